"""One Edge TPU's place in the detector: opened when it is there, given up when it fails, opened again."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgecam.backoff import Backoff
from edgecam.detectors.edgetpu import EdgeTpu, caution, lock_path, trouble
from edgecam.detectors.process import DetectorProcess
from edgecam.errors import DetectorError
from edgecam.types import Inference

log = logging.getLogger(__name__)

LONGEST_WAIT = 3.0
"""Longest wait between two tries, seconds: an Edge TPU that can be had again is back within ten, opening included."""
PATIENCE = 300.0
"""After so many seconds without success the tries become rare: each costs a second of a Pi's CPU."""
RARE_WAIT = 30.0
"""Longest wait between two of them. One that is pulled and plugged in again begins anew."""
GONE_LIMIT = 3.0
"""A running Edge TPU that the kernel has not shown for so long is lost, also where libedgetpu has not noticed."""
FIRMWARE_LIMIT = 6.0
"""One that is being opened may be away for so long: with its firmware a stick leaves and comes back as another."""
STEADY = 10.0
"""Seconds after which one that was lost is no longer held to be failing again and again."""

SLOTS = DetectorProcess.SLOTS
"""Pictures under way on one Edge TPU: the next is written while one is worked on."""


class Hosted(Protocol):
    """What a seat needs of a model in a process of its own; see `HostedModel`."""

    @property
    def runtime(self) -> str: ...
    @property
    def note(self) -> str: ...
    def start(self) -> None: ...
    def poll(self) -> bool: ...
    def submit(self, image: NDArray[np.uint8]) -> None: ...
    def collect(self, timeout: float) -> Inference | None: ...
    def check(self) -> None: ...
    def fileno(self) -> int: ...
    def kill(self) -> None: ...


#: Who uses which Edge TPU in this process: one camera's detector does not disturb another's.
_OWNERS: dict[str, Seat] = {}

Host = Callable[[str, Path], Hosted]
"""Makes the process for a device (`usb:2-1`) and its lock file."""


@dataclass(eq=False, slots=True)
class Job:
    """A picture under way, the seat that works on it (None: none does), and what was found."""

    image: NDArray[np.uint8]
    seat: Seat | None = None
    done: Inference | None = None


class Seat:
    """Keeps one Edge TPU running as far as it can be. Time is an argument, monotonic seconds.

    `ready` says that it takes pictures; `reason` why it does not.
    """

    def __init__(self, tpu: EdgeTpu, host: Host) -> None:
        self.device = tpu.device
        self.ready = False
        self.reason = f"{tpu.device}: being opened"
        self.runtime = ""
        self.jobs: deque[Job] = deque()
        self._tpu = tpu
        self._host = host
        self._hosted: Hosted | None = None
        self._backoff = Backoff()
        self._said = ""
        self._seen = 0.0
        self._ready_at = 0.0

    @property
    def has_room(self) -> bool:
        """True where one more picture may be handed in."""
        return self.ready and len(self.jobs) < SLOTS

    def tend(self, tpu: EdgeTpu | None, now: float) -> bool:
        """Do what is due; `tpu` is the device as it is now, None while it is not there. False: give the seat up.

        Raises DetectorError where a running Edge TPU is lost.
        """
        if tpu is not None:
            self._tpu, self._seen = tpu, now
        if self._hosted is None:
            if tpu is None:
                return False
            if self._backoff.remaining(now) <= 0:
                self._start(now)
        elif not self.ready:
            self._wait_for(self._hosted, now)
        elif now - self._seen > GONE_LIMIT:
            raise DetectorError(f"{self.device}: unplugged")
        elif not self.jobs:
            self._hosted.check()
        return True

    def submit(self, job: Job) -> None:
        """Work on a picture; there must be room. Raises DetectorError where the Edge TPU is lost."""
        assert self._hosted is not None
        self._hosted.submit(job.image)
        job.seat = self
        self.jobs.append(job)

    def collect(self, timeout: float) -> None:
        """Wait for the oldest of its jobs, `timeout` seconds at most. Raises DetectorError where it is lost."""
        assert self._hosted is not None
        done = self._hosted.collect(timeout)
        if done is not None:
            self.jobs.popleft().done = done

    def fileno(self) -> int:
        """Readable once its oldest job is done, or it is lost; see poll(2). Raises DetectorError where it is."""
        assert self._hosted is not None
        return self._hosted.fileno()

    def lose(self, error: DetectorError, now: float) -> None:
        """Give up what runs; its jobs are left without a seat."""
        if now - self._ready_at > STEADY:
            self._backoff.succeeded(now)
        self._fail(str(error), now)

    def close(self) -> None:
        """End what runs. Safe to call twice."""
        if self._hosted is not None:
            self._hosted.kill()
        self._hosted = None
        self.ready = False
        if _OWNERS.get(self.device) is self:
            del _OWNERS[self.device]
        while self.jobs:
            self.jobs.popleft().seat = None

    def _start(self, now: float) -> None:
        if _OWNERS.setdefault(self.device, self) is not self:
            found = f"{self.device}: another camera of this edgecam uses it: plug in one more"
        else:
            found = trouble(self._tpu)
        if found:
            self._refuse(found, now)
            return
        self._hosted = self._host(self.device, lock_path(self._tpu))
        try:
            self._hosted.start()
        except DetectorError as error:
            self._refuse(str(error), now)

    def _wait_for(self, hosted: Hosted, now: float) -> None:
        try:
            self.ready = hosted.poll()
        except DetectorError as error:
            self._refuse(str(error), now)
            return
        if self.ready:
            self._welcome(hosted, now)
        elif now - self._seen > FIRMWARE_LIMIT:
            self._refuse(f"{self.device}: unplugged while it was being opened", now)

    def _welcome(self, hosted: Hosted, now: float) -> None:
        self.runtime, self.reason, self._said = hosted.runtime, "", ""
        self._seen = self._ready_at = now
        for remark in filter(None, (hosted.note, caution(self._tpu))):
            log.warning("%s", remark)

    def _refuse(self, reason: str, now: float) -> None:
        if reason != self._said:
            log.error("%s", reason)
            self._said = reason
        self._fail(reason, now)

    def _fail(self, reason: str, now: float) -> None:
        self.close()
        self.reason = reason
        since = self._backoff.since
        hopeless = since is not None and now - since > PATIENCE
        self._backoff.failed(now, RARE_WAIT if hopeless else LONGEST_WAIT)
