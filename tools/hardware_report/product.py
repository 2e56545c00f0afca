"""Runs the product's own commands, each in a process of its own with a limit of time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent.parent
EDGECAM = ("-m", "edgecam")
WATCHING = (str(Path(__file__).with_name("watching.py")),)
MOST_LINES = 30
"""Of stderr that are kept."""
PATIENCE = 15.0
"""Seconds in which a process that was asked to stop has to: it may have a monitor or a camera to give back."""


@dataclass(frozen=True)
class Done:
    """How a command ended. `reason` says in one line why it failed, "" where it went well; `said` is its stderr."""

    document: Any
    reason: str = ""
    said: tuple[str, ...] = ()


def run(program: Sequence[str], arguments: Sequence[str], limit: float, folder: Path) -> Done:
    """Run `program` of this Python in `folder`, and read the document that it prints.

    Beyond `limit` seconds, and where KeyboardInterrupt comes, it is asked to stop, then killed.
    """
    process = subprocess.Popen(
        [sys.executable, *program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": _python_path(), "NO_COLOR": "1"},
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        said = _lines(_end(process))
        return Done(None, f"not done after {limit:g} s: {said[-1] if said else 'it said nothing'}", said)
    except KeyboardInterrupt:
        _end(process)
        raise
    finally:
        _kill_all(process)
    return done(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def done(code: int, out: str, err: str) -> Done:
    """What an exit code and what was written come to."""
    try:
        document = json.loads(out) if out.strip() else None
    except ValueError:
        document = None
    said = _lines(err)
    ended = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    return Done(document, "" if code == 0 else (said[-1] if said else ended), said)


def _end(process: subprocess.Popen[bytes]) -> str:
    """Ask it to stop, in good order; what it wrote to stderr."""
    process.send_signal(signal.SIGINT)
    try:
        _, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        _kill_all(process)
        _, err = process.communicate()
    return err.decode(errors="replace")


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """It and whatever it has left behind."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _python_path() -> str:
    return os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH"))))


def _lines(text: str) -> tuple[str, ...]:
    """The end of it."""
    lines = (line.removeprefix("edgecam: ").strip() for line in text.splitlines())
    return tuple(line for line in lines if line)[-MOST_LINES:]
