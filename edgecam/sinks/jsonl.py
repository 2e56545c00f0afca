"""Events as lines of JSON, for whoever reads along."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from pathlib import Path

from edgecam.errors import SinkError
from edgecam.events import event_document
from edgecam.ports import Sink
from edgecam.sinks.faults import as_sink_error
from edgecam.types import Event


class JsonLinesSink(Sink):
    """Appends one line for each event message; the line is with the operating system before `publish` returns.

    A stream has no end at which a `.part` could be renamed: it is the lines that are whole. A line the disk does not
    take is cut off again, and one torn by a power cut is closed with a newline when the file is next opened. The
    journal is the memory; these lines are not forced to the disk. One writer to a file.
    """

    name = "events file"
    waits_for_disk = True

    def __init__(self, path: Path) -> None:
        self.published = 0
        self._path = Path(path)
        self._file: int | None = None

    def open(self) -> None:
        if self._file is not None:
            return
        with as_sink_error(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if self._is_torn():
                self._append(b"\n")

    def publish(self, event: Event) -> None:
        line = json.dumps(event_document(event), ensure_ascii=False, allow_nan=False)
        with as_sink_error(self._path):
            self._append(line.encode(errors="replace") + b"\n")
        self.published += 1

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with as_sink_error(self._path):
                os.close(file)

    def _is_torn(self) -> bool:
        assert self._file is not None
        status = os.fstat(self._file)
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return False
        return os.pread(self._file, 1, status.st_size - 1) != b"\n"

    def _append(self, line: bytes) -> None:
        if self._file is None:
            raise SinkError(f"{self._path}: not open")
        size = os.fstat(self._file).st_size
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            with suppress(OSError):  # a pipe or a device has no end to cut
                os.ftruncate(self._file, size)
            raise
