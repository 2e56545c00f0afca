"""The soak's record: one JSON line for each fault, recovery, start of the service, and look at its memory."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service_lab.container import Container

MEMORY_EVERY = 15.0
_OFTEN = ("memory", "counted")
_ANSWER_BYTES = 8_000_000


@dataclass
class Record:
    """Written as it happens; times are seconds since the beginning."""

    file: Path
    began: float

    @property
    def epoch(self) -> float:
        """The beginning as seconds of the epoch, by the machine's clock."""
        return time.time() - (time.monotonic() - self.began)

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return round(time.monotonic() - self.began, 1)

    def write(self, what: str, **more: Any) -> None:
        """A line in the file; all but the frequent ones on stderr, too."""
        line = {"at": self.now, "time": time.strftime("%H:%M:%S", time.gmtime()), "what": what, **more}
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
        if what not in _OFTEN:
            said = ", ".join(f"{key} {value}" for key, value in more.items())
            print(f"{line['time']} {self.now:7.1f} s  {what}: {said}", file=sys.stderr, flush=True)

    def lines(self, what: str = "") -> list[dict[str, Any]]:
        """What was written so far."""
        if not self.file.exists():
            return []
        found = [json.loads(line) for line in self.file.read_text(encoding="utf-8").splitlines()]
        return [line for line in found if what in ("", line["what"])]


def ask(container: Container, timeout: float = 1.5) -> Mapping[str, Any] | None:
    """What the service says of itself at its status socket; None where it does not."""
    ends, answer = time.monotonic() + timeout, bytearray()
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(timeout)
            link.connect(f"/proc/{container.leader}/root/run/edgecam/status.sock")
            while (part := link.recv(1 << 16)) and time.monotonic() < ends and len(answer) < _ANSWER_BYTES:
                answer += part
        told = json.loads(answer)
        return told if isinstance(told, dict) and "status" in told and "stats" in told else None
    except (OSError, ValueError):
        return None


def memory(container: Container) -> dict[str, float]:
    """Megabytes of the service's processes, the runner of the Edge TPU's stand-in left out: PSS, RSS; how many."""
    command = (
        "for p in $(pgrep -u edgecam); do echo process: $(tr '\\0' ' ' </proc/$p/cmdline); "
        "cat /proc/$p/smaps_rollup; done 2>/dev/null"
    )
    total = {"Pss:": 0, "Rss:": 0}
    processes, counted = 0, False
    for words in map(str.split, container.run(command, limit=20).stdout.splitlines()):
        if words[:1] == ["process:"]:
            counted = not any("model_runner" in word for word in words)
            processes += counted
        elif counted and words and words[0] in total:
            total[words[0]] += int(words[1])
    return {"pss_mb": total["Pss:"] / 1000, "rss_mb": total["Rss:"] / 1000, "processes": processes}


def service(container: Container) -> dict[str, str]:
    """The service's process and how the last one ended, as systemd has it."""
    shown = container.show("MainPID", "ActiveState", "NRestarts", "ExecMainCode", "ExecMainStatus", "Result")
    return shown or {"MainPID": "0", "ActiveState": "unknown"}
