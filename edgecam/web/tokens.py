"""The tokens of programs: a file that holds their names and hashes, never a token."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edgecam.errors import ConfigError, InputError
from edgecam.web.secret_files import replace_secret

MODE = 0o600
MOST = 100
"""Tokens in one file."""
PREFIX = "edgecam_"
"""What each token begins with, so that one that leaked is recognised."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")


class Token(BaseModel):
    """A token as it is kept: who has it, the SHA-256 of it, when it was made, and whether it may only look.

    A plain hash is enough: a token has 256 random bits and cannot be guessed from it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    sha256: str
    made: str
    read_only: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    tokens: list[Token] = []


@dataclass(frozen=True, slots=True)
class _Stamp:
    """By what a file is known to be the one that was read."""

    inode: int
    size_bytes: int
    changed_ns: int


class Tokens:
    """The tokens in the file at `path`, read again whenever it changes. There need be no such file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: _Stamp | None = None
        self._known: dict[str, Token] = {}

    def listed(self) -> list[Token]:
        """All of them. Raises ConfigError where the file cannot be read."""
        try:
            return _File.model_validate_json(self.path.read_bytes()).tokens
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigError(f"{self.path}: {error.strerror}: run this as the user who may read it") from None
        except ValidationError:
            raise ConfigError(f"{self.path}: holds no tokens: remove it and make them again") from None

    def find(self, text: str) -> Token | None:
        """The token that this is. Raises ConfigError."""
        stamp = _stamp(self.path)
        if stamp != self._stamp:
            self._known = {token.sha256: token for token in self.listed()}
            self._stamp = stamp
        return self._known.get(_digest(text))

    def make(self, name: str, now: datetime, *, read_only: bool = False) -> str:
        """Make a token; it is returned and not kept. Raises InputError for a name, ConfigError for the file."""
        kept = self.listed()
        if not _NAME.fullmatch(name):
            raise InputError(f"{name!r} as a name: allowed are up to 64 letters, digits, blanks, ., _ and -")
        if name in {token.name for token in kept}:
            raise InputError(f"there is a token {name!r}: take another name, or `edgecam web revoke` it first")
        if len(kept) >= MOST:
            raise InputError(f"there are {len(kept)} tokens: revoke one first")
        text = PREFIX + secrets.token_urlsafe(32)
        made = now.isoformat(timespec="seconds")
        self._write([*kept, Token(name=name, sha256=_digest(text), made=made, read_only=read_only)])
        return text

    def revoke(self, name: str) -> None:
        """Forget a token: it opens nothing any more. Raises InputError where there is none, ConfigError."""
        kept = self.listed()
        left = [token for token in kept if token.name != name]
        if len(left) == len(kept):
            there = ", ".join(token.name for token in kept) or "no token"
            raise InputError(f"no token {name!r}: there is {there}")
        self._write(left)

    def _write(self, tokens: Sequence[Token]) -> None:
        document = {"tokens": [token.model_dump() for token in tokens]}
        try:
            replace_secret(self.path, json.dumps(document, indent=1) + "\n", MODE, owner=self.path.parent)
        except OSError as error:
            raise ConfigError(f"{self.path}: {error.strerror}: run this as the user who may write it") from None


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return _Stamp(found.st_ino, found.st_size, found.st_mtime_ns)
