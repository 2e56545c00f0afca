"""Whether others can read, or change, what is secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from edgecam.config import Config, VideoFileConfig
from edgecam.doctor.finding import Finding, fail, ok, skipped, warn
from edgecam.doctor.surroundings import Surroundings

STORED = ("etc/credstore/edgecam.mqtt-password", "etc/credstore/mqtt-password", "run/credstore/edgecam.mqtt-password")
"""Where the password of the broker lies for the service (its unit's LoadCredential=; systemd.exec(5))."""
SEALED = "etc/credstore.encrypted/edgecam.mqtt-password"
"""The same, encrypted."""
WEB_STORED = tuple(path.replace("mqtt", "web") for path in (*STORED, SEALED))
"""The same of the password of the pages."""
_URL_PASSWORD = re.compile(r"://[^/\s\"']*:[^/\s\"']+@")


def check_secrets(here: Surroundings) -> Iterator[Finding]:
    """Files with passwords and keys: nobody else reads them; and nobody else writes the configuration."""
    looked = [path for path in dict.fromkeys([*_secrets(here), *_configuration(here)]) if os.access(path, os.F_OK)]
    found = [finding for path in looked if (finding := _judged(path, here)) is not None]
    if found:
        yield from found
    elif looked:
        yield ok(f"others can read no secret in {', '.join(map(str, looked))}")
    else:
        yield skipped("there are no files with secrets")


def _secrets(here: Surroundings) -> Iterator[Path]:
    files, web = here.config.mqtt.files, here.config.web
    key = files.get("key_file", files.get("cert_file"))
    yield from (path for path in (files.get("password_file"), key) if path is not None)
    yield from (Path(name) for name in (web.password_file, web.key_file or web.cert_file) if name)
    yield web.tokens_path(here.config.data_dir)
    yield from map(here.at, (*STORED, SEALED, *WEB_STORED))


def _configuration(here: Surroundings) -> list[Path]:
    return [here.config_path] if here.configured else []


def _judged(path: Path, here: Surroundings) -> Finding | None:
    mode = path.stat().st_mode
    if mode & 0o002:
        return fail(f"every user of this machine may change {path}", f"`sudo chmod o= {path}`")
    secret = path != here.config_path or _holds_a_password(here.config)
    if mode & 0o004 and secret:
        return warn(f"every user of this machine may read {path}, which is secret", f"`sudo chmod o= {path}`")
    return None


def _holds_a_password(config: Config) -> bool:
    """In a camera's URL."""
    cameras = (camera for camera in config.cameras.values() if isinstance(camera, VideoFileConfig))
    return any(_URL_PASSWORD.search(camera.path) for camera in cameras)
