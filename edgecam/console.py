"""How things are said: results on stdout, all else on stderr, progress only where somebody watches."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from edgecam import logbook
from edgecam.errors import EdgecamError


def say(message: str) -> None:
    """One line on stderr, whatever the message holds."""
    line = "".join(character if character.isprintable() else repr(character)[1:-1] for character in message)
    sys.stderr.write(f"edgecam: {line}\n")


def complain(error: EdgecamError) -> None:
    """An error on stderr, one line for each of the lines it has."""
    for line in str(error).split("\n"):
        sys.stderr.write(logbook.prefix(logging.ERROR))
        say(line)


def emit(text: str) -> None:
    """One or more lines on stdout. Raises EdgecamError where it takes no more, BrokenPipeError where nobody reads."""
    with _stdout_faults():
        sys.stdout.write(f"{text}\n")


def emit_json(document: Any) -> None:
    """The one document of a `--json` command; ASCII, so that it survives any locale. Indented for people only."""
    emit(json.dumps(document, indent=2 if sys.stdout.isatty() else None, allow_nan=False))


def emit_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Aligned columns, as wide as they need to be."""
    lines = [[name.upper() for name in header], *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        emit("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def emit_fields(fields: Mapping[str, Any]) -> None:
    """Names and values, one pair a line."""
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        emit(f"{name.ljust(width)}  {value if isinstance(value, str) else json.dumps(value)}".rstrip())


def finish() -> None:
    """Send what stdout still holds. Raises as `emit` does."""
    with _stdout_faults():
        sys.stdout.flush()


@contextmanager
def progress(task: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where that is a terminal. Yields what to call with each further count that is done."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # A stdout that goes elsewhere must not be drawn into the terminal.
    watched = sys.stdout.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=watched) as bar:
        running = bar.add_task(task, total=total)
        yield lambda done: bar.advance(running, done)


@contextmanager
def _stdout_faults() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise EdgecamError(f"standard output: {error.strerror}") from error
