"""Where log records go: lines on stderr, or systemd's journal, with fields that it can be searched by."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

FIELDS = ("worker", "camera", "detector", "event_id")
"""What `extra=` may give a record, and the journal's fields EDGECAM_WORKER, EDGECAM_CAMERA … then hold."""


def handler(environment: Mapping[str, str] = os.environ) -> logging.Handler:
    """What brings records to whoever reads: to the journal where stderr leads there, else to stderr.

    Through systemd's own library where that is installed (apt's python3-systemd); without it the journal reads stderr,
    and takes each line's priority from its prefix.
    """
    if not in_journal(environment):
        lines = logging.StreamHandler(sys.stderr)
        lines.setFormatter(_Text("edgecam: "))
        return lines
    try:
        journal = import_module("systemd.journal")
    except ImportError:
        lines = logging.StreamHandler(sys.stderr)
        lines.setFormatter(_Prefixed())
        return lines
    return JournalHandler(journal.send)


def in_journal(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether stderr leads to systemd's journal, which says so as systemd.exec(5) has it: JOURNAL_STREAM."""
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def prefix(level: int, environment: Mapping[str, str] = os.environ) -> str:
    """What to write before a line of that level on stderr: its priority where the journal reads it (sd-daemon(3))."""
    return f"<{priority(level)}>" if in_journal(environment) else ""


def priority(level: int) -> int:
    """The journal's priority of a level of `logging`, as syslog(3) numbers them."""
    steps = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
    return next((number for least, number in steps if level >= least), 7)


def fields(record: logging.LogRecord) -> dict[str, str]:
    """What a record is about, by name: what it says itself, else the worker in whose thread this is called."""
    thread = threading.current_thread()
    known = {"worker": thread.name, "camera": thread.camera} if hasattr(thread, "camera") else {}
    known |= {name: str(getattr(record, name)) for name in FIELDS if hasattr(record, name)}
    return {name: value for name, value in known.items() if value}


class _Text(logging.Formatter):
    """The message, after the camera whose thread it comes from."""

    def __init__(self, before: str = "") -> None:
        super().__init__("%(message)s")
        self._before = before

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        camera = getattr(threading.current_thread(), "camera", "")
        about = f"{camera}: " if camera and not text.startswith(f"{camera}:") else ""
        return f"{self._before}{about}{text}"


class _Prefixed(_Text):
    """The same with the priority before each of its lines."""

    def format(self, record: logging.LogRecord) -> str:
        mark = f"<{priority(record.levelno)}>"
        return mark + super().format(record).replace("\n", f"\n{mark}")


class JournalHandler(logging.Handler):
    """Hands records to the journal through `send`, which is that of `systemd.journal`."""

    def __init__(self, send: Callable[..., Any]) -> None:
        super().__init__()
        self._send = send
        self.setFormatter(_Text())

    def emit(self, record: logging.LogRecord) -> None:
        about = {f"EDGECAM_{name.upper()}": value for name, value in fields(record).items()}
        try:
            self._send(
                self.format(record),
                PRIORITY=str(priority(record.levelno)),
                SYSLOG_IDENTIFIER="edgecam",
                LOGGER=record.name,
                THREAD_NAME=record.threadName or "",
                CODE_FILE=record.pathname,
                CODE_LINE=record.lineno,
                CODE_FUNC=record.funcName or "",
                **about,
            )
        except OSError:
            self.handleError(record)
