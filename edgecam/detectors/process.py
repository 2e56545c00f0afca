"""The detector process seen from edgecam: starts it, feeds it, times it, kills it."""

from __future__ import annotations

import json
import mmap
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecam.detectors.child import ANSWER, BARE, FAILED, INVOKE, REQUEST, SLOTS
from edgecam.detectors.diagnosis import Ending, explain
from edgecam.detectors.spawning import SpawnedChild
from edgecam.errors import DetectorError, InputError

#: No inference takes longer than the second one did, times this, and than `invoke_timeout`.
_PATIENCE = 5
_BARE_AT_ONCE = 100
#: How long a process that has closed its channel may take to end, in seconds.
_DEATH_TIMEOUT = 2.0
_SEQUENCES = 1 << 32


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """How a detector process runs: `python` is the child's ("": this one), `library` libedgetpu's name or path.

    `performance` is libedgetpu's clock setting: Low, Medium, High, Max, or "" for its default.
    """

    python: str = ""
    runtime: str = "auto"
    library: str = "libedgetpu.so.1"
    threads: int = 1
    open_timeout: float = 30.0
    invoke_timeout: float = 1.0
    performance: str = ""


class TensorSpec(NamedTuple):
    """One input or output; `scale` is 0 where it is not quantised."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class Ready:
    """What a process that is ready says of itself.

    `via` is "pycoral", "libedgetpu" or "cpu"; `device` is libedgetpu's name of it ("usb:0"); `note` is "" or one line
    for the user. `outputs` are in the model's order. `invoke_seconds` are those of the first and second inference.
    """

    runtime: str
    library_version: str
    via: str
    device: str
    note: str
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    invoke_seconds: tuple[float, float]


class Answer(NamedTuple):
    """The outputs of one inference, in the model's order, and the seconds of the invoke alone."""

    outputs: list[NDArray[np.generic]]
    seconds: float


class _Slot(NamedTuple):
    input: NDArray[np.generic]
    outputs: list[NDArray[np.generic]]


class DetectorProcess:
    """One child process with one device and one model, from `start` to `kill`; for one thread, and for one life.

    `content` is the model's bytes; `device` is "cpu", "usb:2-1" or "pci:apex_0"; `lock` is the file whose flock the
    child holds before it opens the device. Every wait has a limit; whatever fails is killed and all of it released.
    """

    SLOTS = SLOTS

    def __init__(self, content: bytes, device: str, options: ProcessOptions, lock: Path | None = None) -> None:
        self._content = content
        self._options = options
        self._lock = lock
        self._ending = Ending(device, options.python or sys.executable, options.library)
        self._fault = f"{device}: the detector process was not started"
        self._child: SpawnedChild | None = None
        self._ready: Ready | None = None
        self._slots: list[_Slot] = []
        self._submitted = self._collected = 0
        self._limit = options.open_timeout
        self._since = 0.0

    def start(self) -> None:
        """Start the child and return at once. Raises DetectorError where it cannot be started."""
        child = SpawnedChild(self._ending.device)
        try:
            child.start(self._ending.python, self._content, self._order())
        except OSError as error:
            python, reason = self._ending.python, error.strerror or error
            self._fault = f"{self._ending.device}: cannot start {python} ({reason}): check its path"
            raise DetectorError(self._fault) from error
        self._child = child
        self._since = monotonic()

    @property
    def ready(self) -> Ready:
        """What the child says of itself; valid once it is ready. Raises DetectorError before."""
        if self._ready is None:
            raise DetectorError(f"{self._ending.device}: the detector process is not ready")
        return self._ready

    @property
    def under_way(self) -> int:
        """How many inferences were submitted and not yet collected; SLOTS at most."""
        return self._submitted - self._collected

    def poll(self) -> bool:
        """Is it ready? Does not wait.

        Raises DetectorError where it died, refused, or took longer than `open_timeout` (it is killed then).
        """
        return self.wait_ready(0.0)

    def wait_ready(self, timeout: float) -> bool:
        """Wait until it is ready, `timeout` seconds at most. Raises what `poll` raises."""
        end = monotonic() + timeout
        child = self._running()
        while self._ready is None:
            if child.wait(min(end, self._since + self._limit)):
                self._heed(child.receive())
            elif monotonic() >= self._since + self._limit:
                raise self._failed(waited=self._limit)
            else:
                return False
        return True

    def submit(self, tensor: NDArray[np.generic]) -> None:
        """Hand in an input tensor; it is copied. Collect before more than SLOTS are under way.

        Raises DetectorError where the process is dead, InputError where the tensor is not what the model takes.
        """
        child, wanted = self._running(), self.ready.input
        if tensor.shape != wanted.shape or tensor.dtype != wanted.dtype:
            got, expected = f"{tensor.dtype} {list(tensor.shape)}", f"{wanted.dtype} {list(wanted.shape)}"
            raise InputError(f"input tensor of {got}: the model takes {expected}")
        if self.under_way >= SLOTS:
            raise RuntimeError(f"{SLOTS} inferences are under way: collect one first")
        number = self._submitted % SLOTS
        np.copyto(self._slots[number].input, tensor)
        if not self.under_way:
            self._since = monotonic()
        self._request(child, REQUEST.pack(INVOKE, self._submitted % _SEQUENCES, number))
        self._submitted += 1

    def collect(self, timeout: float) -> Answer | None:
        """The oldest answer; None where there is none within `timeout` seconds, or nothing under way.

        Raises DetectorError where the process died, failed, or gave no answer within its limit: all is lost then.
        """
        child = self._running()
        message = self._answer(child, timeout, self._limit) if self.under_way else None
        if message is None:
            return None
        _, _, number, seconds = ANSWER.unpack_from(message)
        self._collected += 1
        return Answer([output.copy() for output in self._slots[number].outputs], seconds)

    def bare(self, count: int) -> list[float]:
        """The seconds of so many inferences in a tight loop, on what was submitted last. Nothing may be under way."""
        child = self._running()
        if self.under_way:
            raise RuntimeError("inferences are under way: collect them first")
        seconds: list[float] = []
        while len(seconds) < count:
            number = min(count - len(seconds), _BARE_AT_ONCE)
            limit = number * self._limit
            self._since = monotonic()
            self._request(child, REQUEST.pack(BARE, 0, number))
            message = self._answer(child, limit, limit)
            assert message is not None
            seconds += struct.unpack_from(f"={number}d", message, ANSWER.size)
        return seconds

    def fileno(self) -> int:
        """Readable once it has an answer or is dead; see poll(2). Raises DetectorError where it is known to be."""
        return self._running().fileno()

    def alive(self) -> bool:
        """Is the child running? Does not wait."""
        return self._child is not None and self._child.running()

    def check(self) -> None:
        """Raise DetectorError where the child has died, also while it had nothing to do. Does not wait."""
        heard = self._running().wait(monotonic())
        if not self.alive() or (heard and self._ready and not self.under_way):
            raise self._failed()

    def kill(self) -> None:
        """End the child and release everything: nothing of it is left. Safe to call twice."""
        if self._child is not None:
            self._bury(0.0)
            self._fault = f"{self._ending.device}: the detector process was stopped"

    def _order(self) -> dict[str, Any]:
        options = self._options
        return {
            "device": self._ending.device,
            "runtime": options.runtime,
            "library": options.library,
            "lock": str(self._lock or ""),
            "threads": options.threads,
            "options": {"Performance": options.performance} if options.performance else {},
        }

    def _running(self) -> SpawnedChild:
        if self._child is None:
            raise DetectorError(self._fault)
        return self._child

    def _heed(self, message: bytes) -> None:
        """Take in what the child says while it opens."""
        told = json.loads(message) if message else {}
        if "ready" in told:
            self._accept(told["ready"])
        elif "stage" in told:
            self._ending = replace(self._ending, facts={**self._ending.facts, **told}, stage=told["stage"])
        else:
            raise self._failed(said=told.get("error"))

    def _accept(self, told: dict[str, Any]) -> None:
        offsets, (first, second) = told.pop("slots"), told.pop("invoke_seconds")
        tensors = [TensorSpec(name, tuple(shape), *rest) for name, shape, *rest in told.pop("tensors")]
        self._ready = Ready(**told, input=tensors[0], outputs=tuple(tensors[1:]), invoke_seconds=(first, second))
        shared = mmap.mmap(self._running().memory, 0)
        for slot in offsets:
            views = [np.ndarray(t.shape, t.dtype, shared, offset) for t, offset in zip(tensors, slot, strict=True)]
            self._slots.append(_Slot(views[0], views[1:]))
        self._limit = max(self._options.invoke_timeout, _PATIENCE * second)
        self._ending = replace(self._ending, stage="ready")

    def _request(self, child: SpawnedChild, message: bytes) -> None:
        try:
            child.send(message)
        except ConnectionError:
            while True:  # until what it said last tells why it has gone
                self._answer(child, 0.0, self._limit)

    def _answer(self, child: SpawnedChild, timeout: float, limit: float) -> bytes | None:
        """The next answer; None where there is none within `timeout` seconds. Raises DetectorError."""
        end = self._since + limit
        if not child.wait(min(monotonic() + timeout, end)):
            if monotonic() >= end:
                raise self._failed(waited=limit)
            return None
        message = child.receive()
        if not message:
            raise self._failed()
        if ANSWER.unpack_from(message)[0] == FAILED:
            raise self._failed(said={"kind": "failed", "text": message[ANSWER.size :].decode()})
        self._since = monotonic()
        return message

    def _failed(self, waited: float = 0.0, said: Mapping[str, str] | None = None) -> DetectorError:
        """Kill it. The error says why: it was `waited` for in vain, it `said` what is wrong, or it died."""
        code, stderr = self._bury(0.0 if waited or said else _DEATH_TIMEOUT)
        told = said or {}
        ending = replace(self._ending, code=code, waited=waited, stderr=stderr)
        self._fault = explain(replace(ending, kind=told.get("kind", ""), text=told.get("text", "")))
        return DetectorError(self._fault)

    def _bury(self, patience: float) -> tuple[int | None, str]:
        """Release everything; returns the exit code and the end of its stderr, see `SpawnedChild.bury`."""
        child, self._child = self._running(), None
        self._slots = []  # the shared memory goes with the last array on it
        self._submitted = self._collected = 0
        code = child.bury(patience)
        return code, child.stderr
