"""A child process on a lifeline: spawned, listened to, killed, with nothing of it left behind."""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from time import monotonic
from typing import Any

from edgecam.detectors import child
from edgecam.detectors.child import MESSAGE_BYTES

log = logging.getLogger(__name__)

_KEPT_STDERR_BYTES = 4096
#: How long a killed process may take to be gone, in seconds.
_KILL_TIMEOUT = 2.0


class SpawnedChild:
    """A process that runs `child.py`, and all that belongs to it: channel, lifeline, stderr, memory.

    `memory` is the descriptor of the memory shared with it, `stderr` the end of what it wrote there.
    """

    def __init__(self, name: str) -> None:
        self.memory = -1
        self._name = name
        self._resources = ExitStack()
        self._written = self._line = b""

    def start(self, python: str, content: bytes, order: dict[str, Any]) -> None:
        """Spawn it with the model's content and its order; returns at once. Raises OSError where that fails."""
        try:
            with ExitStack() as passed:
                self._spawn(python, content, order, passed)
        except OSError:
            self._resources.close()
            raise

    @property
    def stderr(self) -> str:
        return self._written.decode(errors="replace")

    def wait(self, end: float) -> bool:
        """Wait until it has said something or gone, until `end` (monotonic) at most; reads its stderr on the way."""
        while True:
            heard = [descriptor for descriptor, _ in self._poller.poll(max(0.0, end - monotonic()) * 1000)]
            if self._stderr in heard and not self._read_stderr():
                self._poller.unregister(self._stderr)
            if self._channel.fileno() in heard:
                return True
            if monotonic() >= end:
                return False

    def fileno(self) -> int:
        """What can be waited for together with others: readable once it has said something or gone."""
        return self._channel.fileno()

    def receive(self) -> bytes:
        """What it said; empty where it has gone."""
        for _ in range(2):  # the reset of a process that died with mail unread comes before its own last words
            with suppress(ConnectionResetError):
                return self._channel.recv(MESSAGE_BYTES)
        return b""

    def send(self, message: bytes) -> None:
        """Say something. Raises ConnectionError where it has gone."""
        self._channel.send(message)

    def running(self) -> bool:
        return self._process.poll() is None

    def bury(self, patience: float) -> int | None:
        """Wait `patience` seconds for its own end, else kill it; release everything. Call it once.

        Returns its exit code (-N: signal N), None where it had to be killed.
        """
        code = self._end_within(patience)
        if code is None:
            self._process.kill()
            if self._end_within(_KILL_TIMEOUT) is None:
                log.warning("%s: process %d is killed but stays: a driver holds it", self._name, self._process.pid)
        self._read_stderr()
        self._resources.close()
        return code

    def _spawn(self, python: str, content: bytes, order: dict[str, Any], passed: ExitStack) -> None:
        """What only the child keeps is closed with `passed`. All descriptors are closed on exec but those named."""
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._resources.enter_context(self._channel)
        passed.enter_context(theirs)
        self._channel.setblocking(False)
        lifeline, _ = _pipe(passed, self._resources)
        self._stderr, stderr = _pipe(self._resources, passed)
        os.set_blocking(self._stderr, False)
        model, self.memory = _memory("edgecam-model", passed), _memory("edgecam-tensors", self._resources)
        with open(model, "wb", closefd=False) as file:
            file.write(content)
        self._process = subprocess.Popen(  # noqa: S603 -- what the user configured
            [python, "-u", child.__file__, str(theirs.fileno()), str(lifeline)],
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            pass_fds=(theirs.fileno(), lifeline, model, self.memory),
            env=_environment(python),
            start_new_session=True,  # Ctrl-C in a terminal is for the parent
        )
        self._channel.send(json.dumps({**order, "model_fd": model, "memory_fd": self.memory}).encode())
        self._poller = select.poll()
        self._poller.register(self._channel, select.POLLIN)
        self._poller.register(self._stderr, select.POLLIN)

    def _read_stderr(self) -> bool:
        """Keep the end of what it has written to stderr; False where no more will come."""
        try:
            text = os.read(self._stderr, MESSAGE_BYTES)
        except BlockingIOError:
            return True
        *lines, self._line = (self._line[-_KEPT_STDERR_BYTES:] + text).split(b"\n")
        for line in lines:
            log.debug("%s: %s", self._name, line.decode(errors="replace"))
        self._written = (self._written + text)[-_KEPT_STDERR_BYTES:]
        return bool(text)

    def _end_within(self, timeout: float) -> int | None:
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None


def _pipe(reading: ExitStack, writing: ExitStack) -> tuple[int, int]:
    """A pipe's two ends, each closed with its stack."""
    ends = os.pipe()
    reading.callback(os.close, ends[0])
    writing.callback(os.close, ends[1])
    return ends


def _memory(name: str, owner: ExitStack) -> int:
    """Memory with a descriptor and no place in the file system, closed with its stack."""
    descriptor = os.memfd_create(name)
    owner.callback(os.close, descriptor)
    return descriptor


def _environment(python: str) -> dict[str, str]:
    """The child's environment is ours, but another Python must not look for its library and packages in this one's."""
    ours = () if python == sys.executable else ("PYTHONHOME", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if name not in ours}
