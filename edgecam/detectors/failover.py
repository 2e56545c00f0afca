"""A detector on all Edge TPUs there are, and on the CPU while there is none."""

from __future__ import annotations

import logging
import select
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecam import allocator, models
from edgecam.detectors.edgetpu import parse_choice
from edgecam.detectors.hosted import HostedModel
from edgecam.detectors.process import ProcessOptions
from edgecam.detectors.seat import SLOTS, Host, Hosted, Job, Seat
from edgecam.detectors.tflite import TfliteDetector
from edgecam.detectors.watch import TpuWatch
from edgecam.errors import DetectorError, InputError, ModelError
from edgecam.labels import Labels
from edgecam.modelfile import ModelFile
from edgecam.models import ModelPair
from edgecam.ports import Detector
from edgecam.types import Detection, DetectorInfo, Inference

log = logging.getLogger(__name__)

NAP = 0.05
"""Seconds between two looks while there is no device at all."""
SPARE_KEPT = 30.0
"""Seconds for which an Edge TPU must have worked until the CPU's interpreter, and its memory, is let go."""
HELD_BACK = 4
"""For each Edge TPU so many answers may be ready while an older picture is still under way on a slower one."""


class FailoverDetector(Detector):
    """Spreads pictures over the Edge TPUs that are there; while none is, the CPU does the work.

    `device` says which Edge TPUs (see `parse_choice`); only with `auto`, and where the pair has a version for the CPU,
    does the CPU stand in: else pictures are not taken (`slots` is 0) until an Edge TPU is back. A picture under way
    on an Edge TPU that is lost goes to another one or to the CPU; where there is neither, `collect` raises
    DetectorError. `labels` is a label file (None: the pair's own labels).

    Nothing here waits for an Edge TPU to open: its process is asked, at each turn, whether it is ready. The CPU's
    interpreter is there from the start, goes once an Edge TPU has worked for SPARE_KEPT seconds, and is opened again,
    which takes a fraction of a second, when that is lost.
    """

    def __init__(
        self,
        pair: ModelPair,
        device: str = "auto",
        labels: Path | None = None,
        options: ProcessOptions | None = None,
        watch: TpuWatch | None = None,
        host: Host | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pair = pair
        self._choice = parse_choice(device)
        self._label_file = labels
        self._options = options or ProcessOptions()
        self._clock = clock
        self._host = host or self._process
        self._watch = watch or TpuWatch()
        self._file: ModelFile | None = None
        self._labels: Labels | None = None
        self._spare: TfliteDetector | None = None
        self._has_spare = False
        self._last_without = 0.0
        self._seats: dict[str, Seat] = {}
        self._jobs: deque[Job] = deque()
        self._info: DetectorInfo | None = None
        self._worked = False

    def open(self) -> None:
        """Verify both models, open the CPU's, and begin to open the Edge TPUs. Raises ModelError, InputError."""
        self.close()
        path = self._pair.edgetpu
        if path is None:
            raise ModelError(self._pair.missing)
        self._file = models.load(path)
        models.check_detector(self._file)
        self._labels = models.labels_for(self._pair, self._label_file)
        self._has_spare = self._pair.cpu is not None and not self._choice.insists
        self._last_without = self._clock()
        self._open_spare()
        self._tend()

    def close(self) -> None:
        for seat in self._seats.values():
            seat.close()
        self._seats.clear()
        self._jobs.clear()
        if self._spare is not None:
            self._spare.close()
        self._spare = None

    @property
    def info(self) -> DetectorInfo:
        if self._info is None:
            raise DetectorError(f"the detector with {self._pair.name} was never open")
        return self._info

    @property
    def labels(self) -> Labels:
        """The names of the model's classes, the same on every device; valid after `open`."""
        if self._labels is None:
            raise DetectorError(f"the detector with {self._pair.name} was never open")
        return self._labels

    @property
    def slots(self) -> int:
        """What is done and waits for an older one does not count: else a slow Edge TPU would hold up a fast one."""
        tpus = len(self._ready())
        held_back = sum(job.done is not None for job in self._jobs)
        return SLOTS * tpus + min(held_back, HELD_BACK * tpus) or int(self._spare is not None)

    def submit(self, image: NDArray[np.uint8]) -> None:
        job = Job(image)
        self._place(job)
        self._jobs.append(job)

    def collect(self, timeout: float) -> Inference | None:
        self._tend()
        if not self._jobs:
            if not self.slots:
                time.sleep(min(timeout, NAP))
            return None
        head = self._jobs[0]
        if head.done is None:
            self._work_on(head, timeout)
        return self._jobs.popleft().done if head.done is not None else None

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """See `Detector.detect`; nothing else may be under way.

        Waits for an Edge TPU that is being opened, `options.open_timeout` seconds at most; raises DetectorError then.
        """
        limit = self._clock() + self._options.open_timeout
        while not self.slots:
            if not self._seats or self._clock() > limit:
                raise DetectorError(self._reasons())
            self.collect(timeout=1.0)
        self.submit(image)
        while (done := self.collect(timeout=1.0)) is None:
            pass
        return done.detections

    def _ready(self) -> list[Seat]:
        return [self._seats[device] for device in sorted(self._seats) if self._seats[device].ready]

    def _place(self, job: Job) -> None:
        """Give a picture to the Edge TPU that has least to do; it stays without where none has room."""
        for seat in sorted(self._ready(), key=lambda seat: len(seat.jobs)):
            if seat.has_room:
                try:
                    seat.submit(job)
                except DetectorError as error:
                    self._lose(seat, error)
                else:
                    return

    def _work_on(self, job: Job, timeout: float) -> None:
        """Take an answer of each Edge TPU that has one, or do the oldest picture on the CPU."""
        if job.seat is None:
            self._place(job)
        busy = [seat for seat in self._ready() if seat.jobs]
        if busy:
            self._wait(busy, timeout)
            for seat in busy:
                self._collect_from(seat, timeout if len(busy) == 1 else 0.0)
        elif self._spare is not None:
            self._spare.submit(job.image)
            job.done = self._spare.collect(timeout)
        else:
            raise DetectorError(self._reasons())

    def _wait(self, busy: Sequence[Seat], timeout: float) -> None:
        """Until one of several has an answer; a single one waits by itself."""
        if len(busy) > 1:
            poller = select.poll()
            for seat in busy:
                with suppress(DetectorError):  # its own `collect` says why
                    poller.register(seat.fileno(), select.POLLIN)
            poller.poll(timeout * 1000)

    def _collect_from(self, seat: Seat, timeout: float) -> None:
        try:
            seat.collect(timeout)
        except DetectorError as error:
            self._lose(seat, error)

    def _lose(self, seat: Seat, error: DetectorError) -> None:
        seat.lose(error, self._clock())
        self._keep_spare(self._clock())
        self._describe()

    def _tend(self) -> None:
        """Look after the Edge TPUs: those that came, those that went, those that are being opened."""
        now = self._clock()
        present = {tpu.device: tpu for tpu in self._choice.select(self._watch.update(now))}
        for device, tpu in present.items():
            if device not in self._seats:
                self._seats[device] = Seat(tpu, self._host)
        for device, seat in list(self._seats.items()):
            try:
                kept = seat.tend(present.get(device), now)
            except DetectorError as error:
                seat.lose(error, now)
                continue
            if not kept:
                del self._seats[device]
        self._keep_spare(now)
        self._describe()

    def _keep_spare(self, now: float) -> None:
        """Have the CPU ready while no Edge TPU is, and for a while after."""
        if not self._ready():
            self._last_without = now
            if self._spare is None and self._has_spare:
                self._reopen_spare()
        elif self._spare is not None and now - self._last_without > SPARE_KEPT:
            self._spare.close()
            self._spare = None
            allocator.give_back()

    def _reopen_spare(self) -> None:
        try:
            self._open_spare()
        except InputError as error:  # the model was good when it was opened first: no reason to end
            log.error("the CPU cannot stand in: %s", error)
            self._has_spare = False

    def _open_spare(self) -> None:
        if not self._has_spare:
            return
        assert self._pair.cpu is not None
        spare = TfliteDetector(self._pair.cpu, self._labels, self._options.threads, self._options.runtime)
        spare.open()
        self._spare = spare

    def _process(self, device: str, lock: Path) -> Hosted:
        assert self._file is not None
        assert self._labels is not None
        # One thread: what edgetpu_compiler leaves to the CPU is small, and class-wise suppression needs it.
        return HostedModel(self._file, self._labels, device, replace(self._options, threads=1), lock)

    def _reasons(self) -> str:
        """Why no Edge TPU runs, or not all of them; "" where they do."""
        if not self._seats:
            return f"no Edge TPU found (device = {self._choice.text!r}): plug one in, or see `edgecam tpu list`"
        return "; ".join(seat.reason for seat in self._seats.values() if seat.reason)

    def _describe(self) -> None:
        """Bring `info` up to date; a change of the device is logged, as a warning once an Edge TPU had worked."""
        ready = self._ready()
        if ready:
            device, runtime = ",".join(seat.device for seat in ready), ready[0].runtime
        elif self._spare is not None:
            device, runtime = "cpu", self._spare.info.runtime
        else:
            device, runtime = "", ""
        reasons, known = self._reasons(), self._info
        if known and (known.device, known.degraded) == (device, reasons):
            return
        assert self._file is not None
        since = known.since if known and known.device == device else self._clock()
        self._info = DetectorInfo(
            models.name_of(self._file.path), runtime, device, self._file.input_size, reasons, since
        )
        if known and known.device != device:
            first = not self._worked and not reasons
            _announce(logging.INFO if first else logging.WARNING, known, self._info)
        self._worked = self._worked or bool(ready)


def _announce(level: int, before: DetectorInfo, now: DetectorInfo) -> None:
    lasted = f"after {now.since - before.since:.1f} s on {before.device or 'none'}"
    why = f": {now.degraded}" if now.degraded else f" ({now.runtime})"
    log.log(level, "detector on %s %s%s", now.device or "none", lasted, why, extra={"detector": now.device})
