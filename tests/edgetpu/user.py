"""The test's side of one_user.py: a process that uses a device, and what becomes of processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from edgetpu.standin import StandIn

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = Path(__file__).with_name("one_user.py")
LIMIT = 60.0


class User:
    """A process with the device open; whatever goes on for longer than LIMIT is killed."""

    def __init__(self, world: StandIn, model: Path, device: str = "usb:0", library: str | None = None) -> None:
        names = [str(world.library) if library is None else library, device, str(model)]
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | world.environment,
        )
        self._limit = threading.Timer(LIMIT, self.process.kill)
        self._limit.start()

    def line(self) -> str:
        """The next line it writes; "" where it has ended."""
        assert self.process.stdout
        return self.process.stdout.readline().rstrip("\n")

    def start(self) -> None:
        """Go on until it is ready."""
        assert [self.line() for _ in range(3)] == ["opened", "built", "ready"], self.end()

    def ask(self, seed: int = 0) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"invoke {seed}\n")
        self.process.stdin.flush()

    def invoke(self, seed: int = 0) -> str:
        self.ask(seed)
        return self.line()

    def death(self) -> tuple[int, str]:
        """Wait until it has ended by itself: exit status (a negative signal) and what it wrote to stderr."""
        status = self.process.wait()
        assert self.process.stderr
        return status, self.process.stderr.read()

    def end(self) -> str:
        """End it; what it wrote to stderr."""
        _, errors = self.process.communicate()
        self._limit.cancel()
        return str(errors)

    def kill(self) -> None:
        self.process.kill()
        self.end()


#: Starts one: model, device, library; see the fixture `use`.
Users = Callable[..., User]


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked about yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int) -> None:
    """Raises AssertionError where the process runs on."""
    waiting = threading.Event()
    for _ in range(1000):
        if not is_running(pid):
            return
        waiting.wait(0.01)
    raise AssertionError(f"process {pid} runs on")
