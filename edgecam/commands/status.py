"""`edgecam status`: how the running edgecam is."""

from __future__ import annotations

import sys
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecam import console
from edgecam.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption

if TYPE_CHECKING:
    from rich.console import Group

    from edgecam.health.page import Part

WATCH_EVERY = 2.0
"""Seconds between two looks of `--watch`."""
DEGRADED = 1
"""Exit code where it runs, but not as configured, or does not run."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    config: ConfigOption = DEFAULT_CONFIG,
    socket: Annotated[
        Path | None, typer.Option("--socket", metavar="FILE", help="Ask there (default: as [status] socket says).")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Ask again and again, until Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how the running edgecam is. Exits 1 where it is degraded, or does not run."""
    path = socket or _configured(config)
    if watch:
        _watch(path, as_json=as_json)
    from edgecam.health.asking import ask
    from edgecam.health.page import page

    document = ask(path)
    if as_json:
        console.emit_json(document)
    elif sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(_drawn(page(document)))
    else:
        _write(page(document))
    if document["status"]["status"] != "ok":
        raise typer.Exit(DEGRADED)


def _configured(config: Path) -> Path:
    """Where to ask. The configuration has secrets, so that not everybody who may ask can read it."""
    from edgecam.config import load
    from edgecam.errors import ConfigError
    from edgecam.health.asking import asked_socket

    try:
        return asked_socket(load(config).status.socket)
    except ConfigError:
        return asked_socket()


def _watch(path: Path, *, as_json: bool) -> None:
    """Look every two seconds; an edgecam that is not running is waited for."""
    if as_json or not sys.stdout.isatty():
        while True:
            _look(path, as_json=as_json)
            sleep(WATCH_EVERY)
    from rich.live import Live

    with Live(_looked(path), auto_refresh=False, screen=True) as screen:
        while True:
            sleep(WATCH_EVERY)
            screen.update(_looked(path), refresh=True)


def _look(path: Path, *, as_json: bool) -> None:
    """One document a line, or one page after the other."""
    from edgecam.health.asking import Unreachable, ask
    from edgecam.health.page import page

    try:
        document = ask(path)
    except Unreachable as error:
        console.complain(error)
        return
    if as_json:
        console.emit_json(document)
    else:
        _write([*page(document), ("", [], [])])
    console.finish()


def _looked(path: Path) -> Group:
    from edgecam.health.asking import Unreachable, ask
    from edgecam.health.page import page

    try:
        return _drawn(page(ask(path)))
    except Unreachable as error:
        return _drawn([(str(error), [], [])])


def _write(parts: list[Part]) -> None:
    for number, (title, header, rows) in enumerate(parts):
        if number and title:
            console.emit("")
        if title or not number:
            console.emit(title)
        if header and rows:
            console.emit_table(header, rows)
        elif rows:
            console.emit_fields({str(name): str(value) for name, value in rows})
    console.emit("")


def _drawn(parts: list[Part]) -> Group:
    """The parts for a terminal."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    drawn: list[Any] = []
    for title, header, rows in parts:
        drawn.append(Text(title, style="bold"))
        if rows:
            table = Table(*header, box=box.SIMPLE_HEAD if header else None, show_header=bool(header), pad_edge=False)
            for row in rows:
                table.add_row(*map(Text, map(str, row)))
            drawn.append(table)
        drawn.append(Text(""))
    return Group(*drawn)
