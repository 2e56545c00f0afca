"""Products on the disk: finished steps that a second run finds, models that appear whole and checked or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgecam import console
from edgecam.errors import InputError, ModelError
from edgecam.labels import Labels


class Steps:
    """The finished steps of a conversion in a work folder; without a folder nothing is kept.

    They are found again by a run with the same sources and options: `key` is made of both.
    """

    def __init__(self, folder: Path | None, sources: Sequence[Path], options: object) -> None:
        self._folder = folder
        digest = hashlib.sha256(repr(options).encode())
        for source in sources if folder else ():
            digest.update(_digest(source))
        self._key = digest.hexdigest()[:16]

    def step(self, name: str, make: Callable[[], bytes]) -> bytes:
        """What `make` makes, or what it made in an earlier run. Raises InputError where the folder takes nothing."""
        if self._folder is None:
            console.say(f"{name} …")
            return make()
        path = self._folder / f"{self._key}-{name}"
        if path.is_file():
            console.say(f"{name}: found in {self._folder}")
            return path.read_bytes()
        console.say(f"{name} …")
        content = make()
        with appearing(path) as part:
            part.write_bytes(content)
        return content


@contextlib.contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A file to write that gets its name when all went well, and is gone when not; so are the folders made for it.

    Raises InputError where the disk takes nothing.
    """
    made = [folder for folder in path.parents if not folder.exists()]
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        _clear(part, made)
        raise InputError(
            f"{path}: cannot be written ({error.strerror}): give another --output, or make room"
        ) from error
    except BaseException:
        _clear(part, made)
        raise


def _clear(part: Path, folders: Sequence[Path]) -> None:
    with contextlib.suppress(OSError):
        part.unlink()
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def write_model(path: Path, content: bytes, labels: Labels | None, check: Callable[[Path], str]) -> None:
    """Write a model and its labels, once `check` has run it; what `check` says is told. Raises what `check` raises."""
    with appearing(path) as part:
        part.write_bytes(content)
        named = _by_name(check, path)
        # The labels first: a model without its labels would be taken for one with none.
        if labels is None:
            seen = named(part)
        else:
            with appearing(path.with_suffix(".txt")) as names:
                names.write_text("".join(f"{name or '???'}\n" for name in labels.names), encoding="utf-8")
                seen = named(part)
    console.say(f"{path}: {len(content)} bytes; {seen}")


def _by_name(check: Callable[[Path], str], path: Path) -> Callable[[Path], str]:
    """The check, with the name that the model is to have in what it complains of."""

    def run(part: Path) -> str:
        try:
            return check(part)
        except ModelError as error:
            raise ModelError(str(error).replace(str(part), str(path)).replace(part.name, path.name)) from error

    return run


def _digest(source: Path) -> bytes:
    """What tells a source apart: the content of a file, of a folder the content of all its files."""
    if source.is_dir():
        files = sorted(path for path in source.rglob("*") if path.is_file())
        return b"".join(str(path.relative_to(source)).encode() + _digest(path) for path in files)
    try:
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror}): check the name") from error
