"""Pulling a published model: fetched from where it was published, verified, and only then put in its place."""

from __future__ import annotations

import difflib
import errno
import io
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from edgecam.errors import ModelError
from edgecam.modelfile import ModelFile
from edgecam.models.entries import Published
from edgecam.models.fetching import FetchError, Watch, fetch
from edgecam.models.parts import held
from edgecam.models.published import BY_FILE, BY_NAME

#: Seconds of silence after which a server is given up.
TIMEOUT = 30.0
LIMIT_BYTES = 100_000_000
_SCHEMES = ("http", "https", "file")


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
    waiting: Callable[[], None] = lambda: None,
) -> bool:
    """Put a published model into a folder, which is made where it is missing. False where it is there already.

    `source` is the URL of a folder to take it from instead of where it was published. A file of that name with other
    content is replaced, but by verified content only. Any number may pull at once: one of them does, the others call
    `waiting` and wait. Raises ModelError; what was fetched until then stays in a hidden file named after the pin, and
    the next pull goes on from there. Content that is not the published one does not stay.
    """
    path = folder / model.file
    if _is_here(model, path):
        return False
    url = _url(model, folder, source)
    part = folder / f".{model.file}.{model.pin.split()[-1][:16]}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with held(part, 2 * timeout, waiting) as file:
            if _is_here(model, path):
                file.truncate(0)
                return False
            try:
                _fill(model, url, file, timeout, limit_bytes, watch)
                os.fsync(file.fileno())
                _check(part, url)
                part.replace(path)
            except FetchError as error:
                raise ModelError(f"{error}: {_remedy(file, path)}") from error
            except (ModelError, OSError):
                file.truncate(0)
                raise
            _sync(folder)
    except OSError as error:
        space = "free some space, or " if error.errno in {errno.ENOSPC, errno.EDQUOT} else ""
        remedy = f"{space}choose another folder with --to"
        raise ModelError(f"{path}: cannot be written ({error.strerror}): {remedy}") from error
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


def _fill(model: Published, url: str, file: io.FileIO, timeout: float, limit_bytes: int, watch: Watch) -> None:
    """Bring the published content into the file. Raises ModelError where the URL has something else."""
    if model.checksum(_content(file)) == model.pin:
        return
    if fetch(url, file, timeout, limit_bytes, watch):
        if model.checksum(_content(file)) == model.pin:
            return
        # The beginning may have been another file's, before the server got this one.
        file.truncate(0)
        fetch(url, file, timeout, limit_bytes, watch)
    found = model.checksum(_content(file))
    if found != model.pin:
        wrong = f"not the published file: found {found}, expected {model.pin}"
        raise ModelError(f"{url}: {wrong}: name a folder that has it with --from")


def _content(file: io.FileIO) -> bytes:
    file.seek(0)
    return file.readall()


def _check(part: Path, url: str) -> None:
    try:
        ModelFile.load(part)
    except ModelError as error:
        raise ModelError(f"{url}: the published file, but no model that edgecam can read") from error


def _remedy(file: io.FileIO, path: Path) -> str:
    kept = os.fstat(file.fileno()).st_size
    again = f"run it again to go on after the first {kept} bytes, or " if kept else ""
    return f"{again}fetch it elsewhere and copy it to {path}"


def _sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
