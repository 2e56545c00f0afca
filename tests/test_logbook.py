"""Where records go: stderr as it is, stderr with priorities, or the journal with fields."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from typing import Any

import pytest

from edgecam import logbook
from edgecam.worker import Worker


def record(level: int = logging.WARNING, text: str = "lost", **extra: Any) -> logging.LogRecord:
    return logging.getLogger("edgecam.test").makeRecord("edgecam.test", level, "x.py", 7, text, (), None, "f", extra)


class Capture(Worker):
    """A camera's worker that handles one record."""

    def __init__(self, handler: logging.Handler, record: logging.LogRecord) -> None:
        super().__init__("capture-front", lambda: None)
        self.camera = "front"
        self._handler, self._record = handler, record

    def step(self) -> None:
        self._handler.handle(self._record)
        self.stopping.set()


def handled_in_a_worker(handler: logging.Handler, what: logging.LogRecord) -> None:
    worker = Capture(handler, what)
    worker.start()
    worker.join_within(10.0)


def test_the_journal_gets_fields() -> None:
    sent: list[tuple[str, dict[str, Any]]] = []
    handler = logbook.JournalHandler(lambda text, **fields: sent.append((text, fields)))
    handled_in_a_worker(handler, record(text="camera lost", event_id="1-a", detector="usb:2-1"))
    handler.handle(record(logging.CRITICAL, "hangs", worker="detect-back", camera="back"))
    (first, its), (second, others) = sent
    assert first == "front: camera lost"
    assert its["PRIORITY"] == "4"
    assert {name: value for name, value in its.items() if name.startswith("EDGECAM_")} == {
        "EDGECAM_WORKER": "capture-front",
        "EDGECAM_CAMERA": "front",
        "EDGECAM_EVENT_ID": "1-a",
        "EDGECAM_DETECTOR": "usb:2-1",
    }
    assert (its["CODE_FILE"], its["CODE_LINE"], its["SYSLOG_IDENTIFIER"]) == ("x.py", 7, "edgecam")
    assert second == "hangs"
    assert (others["EDGECAM_WORKER"], others["EDGECAM_CAMERA"], others["PRIORITY"]) == ("detect-back", "back", "2")


def test_a_journal_that_refuses_ends_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(_text: str, **_fields: str) -> None:
        raise OSError(105, "No buffer space available")

    logbook.JournalHandler(refuse).handle(record())
    assert "No buffer space" in capsys.readouterr().err


def test_on_a_terminal_a_line_names_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    handler = logbook.handler({})
    handled_in_a_worker(handler, record(text="camera lost"))
    handled_in_a_worker(handler, record(text="front: said so itself"))
    handler.handle(record(text="of all"))
    assert out.getvalue() == "edgecam: front: camera lost\nedgecam: front: said so itself\nedgecam: of all\n"


PROGRAM = """
import logging, os, sys
status = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}" if sys.argv[1] == "ours" else "1:2"
sys.modules["systemd.journal"] = None
from edgecam import cli, console, logbook
from edgecam.errors import ConfigError
logging.basicConfig(level=logging.DEBUG, handlers=[logbook.handler()])
logging.info("two\\nlines")
logging.error("one")
console.complain(ConfigError("wrong\\nworse"))
"""


@pytest.mark.parametrize(
    ("stream", "lines"),
    [
        ("ours", ["<6>two", "<6>lines", "<3>one", "<3>edgecam: wrong", "<3>edgecam: worse"]),
        ("another", ["edgecam: two", "lines", "edgecam: one", "edgecam: wrong", "edgecam: worse"]),
    ],
)
def test_without_systemds_library_lines_bear_their_priority_where_the_journal_reads(
    stream: str, lines: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, stream], stderr=subprocess.PIPE, text=True, timeout=60, check=True
    )
    assert done.stderr.splitlines() == lines


def test_a_closed_stderr_is_not_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = os.fstat

    def closed(number: int) -> os.stat_result:
        if number == 2:
            raise OSError(9, "Bad file descriptor")
        return ask(number)

    monkeypatch.setattr(os, "fstat", closed)
    assert not logbook.in_journal({"JOURNAL_STREAM": "1:2"})
