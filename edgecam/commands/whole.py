"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgecam.errors import EdgecamError, SinkError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yields a path beside `path`, with its suffix, to write to; the file takes its name at the end.

    After any error nothing new is left. Raises SinkError where the file-system refuses.
    """
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield part
        part.replace(path)
    except EdgecamError:
        raise
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
