"""Whether others can read, or change, what is secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from edgecam.doctor.finding import Finding, fail, ok, skipped, warn
from edgecam.doctor.surroundings import Surroundings
from edgecam.mqtt.credentials import CREDENTIAL

CREDENTIAL_FOLDERS = ("etc/credstore", "etc/credstore.encrypted", "run/credstore", "etc/edgecam")
"""Where a credential of the service may lie."""
_URL_PASSWORD = re.compile(r"://[^/\s\"']*:[^/\s\"']+@")


def check_secrets(here: Surroundings) -> Iterator[Finding]:
    """Files with passwords and keys: nobody else reads them; and nobody else writes the configuration."""
    looked = [path for path in dict.fromkeys([*_secrets(here), *_configuration(here)]) if os.access(path, os.F_OK)]
    found = [finding for path in looked if (finding := _judged(path, here)) is not None]
    if found:
        yield from found
    elif looked:
        yield ok(f"closed to others: {', '.join(map(str, looked))}")
    else:
        yield skipped("there are no files with secrets")


def _secrets(here: Surroundings) -> Iterator[Path]:
    files = here.config.mqtt.files
    key = files.get("key_file", files.get("cert_file"))
    yield from (path for path in (files.get("password_file"), key) if path is not None)
    yield from (here.at(folder) / CREDENTIAL for folder in CREDENTIAL_FOLDERS)


def _configuration(here: Surroundings) -> list[Path]:
    return [here.config_path] if here.configured else []


def _judged(path: Path, here: Surroundings) -> Finding | None:
    mode = path.stat().st_mode
    if mode & 0o002:
        return fail(f"every user of this machine may change {path}", f"`sudo chmod o= {path}`")
    secret = path != here.config_path or _holds_a_password(path)
    if mode & 0o004 and secret:
        return warn(f"every user of this machine may read {path}, which is secret", f"`sudo chmod o= {path}`")
    return None


def _holds_a_password(path: Path) -> bool:
    """In a camera's URL."""
    try:
        return _URL_PASSWORD.search(path.read_text(encoding="utf-8", errors="replace")) is not None
    except OSError:
        return False
