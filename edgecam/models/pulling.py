"""Pulling a published model: fetched from where it was published, verified, and only then put in its place."""

from __future__ import annotations

import difflib
import http.client
import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO

from edgecam.errors import ModelError
from edgecam.modelfile import ModelFile
from edgecam.models.published import BY_FILE, BY_NAME, Published

#: Seconds of silence after which a server is given up.
TIMEOUT = 30.0
LIMIT_BYTES = 100_000_000
_CHUNK_BYTES = 1 << 16
_SCHEMES = ("http", "https", "file")

Watch = Callable[[int | None], AbstractContextManager[Callable[[int], None]]]
"""Opened with the bytes to come (None: unknown); gives what is called with each further number of bytes."""


def published(name: str) -> Published:
    """The published model of that name or file name. Raises ModelError, which names the nearest ones."""
    found = BY_NAME.get(name) or BY_FILE.get(name)
    if found is None:
        near = difflib.get_close_matches(name.lower(), BY_NAME, n=3, cutoff=0.4)
        advice = f"did you mean {' or '.join(near)}?" if near else "see `edgecam models list`"
        raise ModelError(f"no published model is called {name!r}: {advice}")
    return found


def pull(
    model: Published,
    folder: Path,
    *,
    source: str = "",
    timeout: float = TIMEOUT,
    limit_bytes: int = LIMIT_BYTES,
    watch: Watch = lambda _total_bytes: nullcontext(lambda _done: None),
) -> bool:
    """Put a published model into a folder, which is made where it is missing. False where it is there already.

    `source` is the URL of a folder to take it from instead of where it was published. A file of that name with other
    content is replaced, but by verified content only. Any number may pull at once. Raises ModelError; nothing but the
    folder is left behind then.
    """
    path = folder / model.file
    if _is_here(model, path):
        return False
    url = _url(model, folder, source)
    # Not by `tempfile`: its files are closed to others, and the service is another user.
    part = folder / f".{model.file}.{secrets.token_hex(8)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("xb") as file:
                _download(url, path, file, timeout, limit_bytes, watch)
                file.flush()
                os.fsync(file.fileno())
            _verify(model, part, url)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written ({error.strerror}): choose another folder with --to") from error
    return True


def _is_here(model: Published, path: Path) -> bool:
    try:
        return model.pinned and model.matches(ModelFile.load(path))
    except ModelError:
        return False


def _url(model: Published, folder: Path, source: str) -> str:
    if not model.pinned:
        raise ModelError(f"{model.name}: there is no source to pull it from: it comes with edgecam")
    base = source or model.source
    if not base:
        where = f"get {model.file} yourself and put it into {folder}, or name a folder that has it with --from"
        raise ModelError(f"{model.name}: there is no source to pull it from: {where}")
    if base.partition("://")[0].lower() not in _SCHEMES:
        raise ModelError(f"{base!r}: no URL to pull from: it must begin with http://, https:// or file://")
    return f"{base.rstrip('/')}/{model.file}"


def _download(url: str, path: Path, file: IO[bytes], timeout: float, limit_bytes: int, watch: Watch) -> None:
    with _network_faults(url, path):
        # An opener of its own: the shared one remembers the proxies of its first use.
        response = urllib.request.build_opener().open(url, timeout=timeout)
    with response:
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        received = 0
        with watch(total) as advance:
            for chunk in _chunks(response, url, path):
                received += len(chunk)
                if received > limit_bytes:
                    raise ModelError(f"{url}: more than {limit_bytes} bytes: not the published file")
                file.write(chunk)
                advance(len(chunk))
    if total not in (None, received):
        raise ModelError(f"{url}: ended after {received} of {total} bytes: try again")


def _chunks(response: IO[bytes], url: str, path: Path) -> Iterator[bytes]:
    chunk = b"more"
    while chunk:
        with _network_faults(url, path):
            chunk = response.read(_CHUNK_BYTES)
        yield chunk


@contextmanager
def _network_faults(url: str, path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        remedy = f"fetch it elsewhere and copy it to {path}"
        raise ModelError(f"{url}: cannot be fetched ({_why(error)}): {remedy}") from error


def _why(error: BaseException | str) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return _why(error.reason)
    return "no answer in time" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or str(error)


def _verify(model: Published, part: Path, url: str) -> None:
    found = model.checksum(part.read_bytes())
    if found != model.pin:
        wrong = f"not the published file: found {found}, expected {model.pin}"
        raise ModelError(f"{url}: {wrong}: name a folder that has it with --from")
    try:
        ModelFile.load(part)
    except ModelError as error:
        raise ModelError(f"{url}: the published file, but no model that edgecam can read") from error
