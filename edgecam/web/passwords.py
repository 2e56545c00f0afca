"""The password of the pages: where its hash comes from, and whether a word is it. The password itself is never kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgecam.config.web import WebSection
from edgecam.errors import ConfigError, InputError

CREDENTIAL = "web-password"
"""The name of systemd's credential (`LoadCredential=web-password:FILE`)."""
VARIABLE = "EDGECAM_WEB_PASSWORD_HASH"
SHORTEST, LONGEST = 8, 512
"""Allowed characters of a password."""
TIME_COST, MEMORY_KIB, LANES = 2, 19_456, 1
"""Argon2id as OWASP's Password Storage Cheat Sheet has it for machines with little memory."""
MOST_MEMORY_KIB, MOST_TIME_COST = 262_144, 32
"""A hash that costs more is not taken: to check it would disturb everything else."""
REMEDY = "make one with `edgecam web password`"


def make_hash(password: str) -> str:
    """The Argon2id hash of a password, as text. Raises InputError for one that is too short or too long."""
    from argon2 import PasswordHasher

    if not SHORTEST <= len(password) <= LONGEST:
        raise InputError(f"a password of {len(password)} characters: allowed are {SHORTEST} to {LONGEST}")
    return PasswordHasher(TIME_COST, MEMORY_KIB, LANES).hash(password)


def is_password(password: str, hashed: str) -> bool:
    """Whether a hash is that of this password; takes about a tenth of a second on a small board, on purpose."""
    from argon2 import PasswordHasher
    from argon2.exceptions import Argon2Error, InvalidHashError

    try:
        return PasswordHasher().verify(hashed, password)
    except (Argon2Error, InvalidHashError):
        return False


@dataclass(frozen=True, slots=True)
class PasswordPlace:
    """Where a hash lies: in the file `path`, or, where that is None, in `text`. `name` is for messages."""

    name: str
    path: Path | None = None
    text: str = ""

    def read(self) -> str:
        """The hash. Raises ConfigError, which never shows what is there."""
        return _checked(self.name, self.text if self.path is None else _read(self.name, self.path))


def password_place(options: WebSection, environment: Mapping[str, str] = os.environ) -> PasswordPlace | None:
    """The first place that has a hash; None where there is none, and everybody may come in."""
    credential = Path(environment.get("CREDENTIALS_DIRECTORY", os.devnull)) / CREDENTIAL
    if options.password_file:
        return PasswordPlace(f"web.password_file {options.password_file!r}", Path(options.password_file))
    if credential.is_file():
        return PasswordPlace(f"the credential {CREDENTIAL}", credential)
    if VARIABLE in environment:
        return PasswordPlace(f"the variable {VARIABLE}", text=environment[VARIABLE])
    return None


def _read(name: str, path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(4096)
    except FileNotFoundError:
        raise ConfigError(f"{name}: not found: {REMEDY}") from None
    except OSError as error:
        raise ConfigError(f"{name}: {error.strerror}: give a file that this user may read") from None
    except ValueError:
        raise ConfigError(f"{name}: is no hash of a password: {REMEDY}") from None


def _checked(name: str, text: str) -> str:
    from argon2 import extract_parameters
    from argon2.exceptions import InvalidHashError

    hashed = text.strip()
    try:
        costs = extract_parameters(hashed)
    except (InvalidHashError, ValueError):
        raise ConfigError(f"{name}: is no hash of a password: {REMEDY}") from None
    if costs.memory_cost > MOST_MEMORY_KIB or costs.time_cost > MOST_TIME_COST:
        raise ConfigError(f"{name}: this hash takes too much memory or time to check: {REMEDY}")
    return hashed
