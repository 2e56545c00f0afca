"""A model in a process of its own: a DetectorProcess that takes pictures and returns detections."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from edgecam import models
from edgecam.detectors.pace import is_quick, with_fitting_threads
from edgecam.detectors.picture import Placement
from edgecam.detectors.process import DetectorProcess, ProcessOptions
from edgecam.detectors.reading import ModelReader
from edgecam.detectors.tflite import refuse_compiled
from edgecam.errors import DetectorError
from edgecam.labels import Labels
from edgecam.modelfile import ModelFile
from edgecam.ports import Detector
from edgecam.types import Detection, DetectorInfo, Inference


class HostedModel:
    """One model on one device, `cpu` or an Edge TPU as `usb:2-1`, in a process of its own; started once, then killed.

    `lock` is the file that keeps other edgecams off the device. All methods raise DetectorError once it is lost.
    """

    SLOTS = DetectorProcess.SLOTS

    def __init__(
        self, file: ModelFile, labels: Labels, device: str, options: ProcessOptions, lock: Path | None = None
    ) -> None:
        self._reader = ModelReader(file, labels)
        self._process = DetectorProcess(file.content, device, options, lock)
        self._placements: deque[Placement] = deque()
        self._bound = False

    def start(self) -> None:
        """Start the process; returns at once."""
        self._process.start()

    def poll(self) -> bool:
        """True once it is ready for pictures; does not wait."""
        return self._process.poll() and self._bind()

    def wait_ready(self, timeout: float) -> bool:
        """Wait until it is ready, `timeout` seconds at most."""
        return self._process.wait_ready(timeout) and self._bind()

    @property
    def runtime(self) -> str:
        """What runs in there, with versions; valid once it is ready."""
        ready = self._process.ready
        version = ready.library_version.rpartition(", ")[2]  # "BuildLabel(…), RuntimeVersion(14)"
        return f"{ready.runtime}, {ready.via} {version}" if version else ready.runtime

    @property
    def note(self) -> str:
        """What its owner should know of how it was opened; mostly empty."""
        return self._process.ready.note

    @property
    def under_way(self) -> int:
        """The number of pictures under way."""
        return self._process.under_way

    def submit(self, image: NDArray[np.uint8]) -> None:
        """Hand in a picture; there must be a free slot."""
        self._process.submit(self._reader.tensor(image))
        self._placements.append(self._reader.placement(image))

    def collect(self, timeout: float) -> Inference | None:
        """What is in the oldest picture under way; None where it is not done within `timeout` seconds."""
        answer = self._process.collect(timeout)
        if answer is None:
            return None
        return Inference(self._reader.detections(answer.outputs, self._placements.popleft()), answer.seconds)

    def fileno(self) -> int:
        """Readable once the oldest picture is done, or it is lost; see poll(2)."""
        return self._process.fileno()

    def is_quick(self) -> bool:
        """Whether its invoke is (see `pace.is_quick`); nothing may be under way, or have been."""
        return is_quick(lambda: self._process.bare(1)[0])

    def check(self) -> None:
        """Raise DetectorError where it died while it had nothing to do."""
        self._process.check()

    def kill(self) -> None:
        """End the process and release all that belonged to it. Safe to call twice."""
        self._process.kill()

    def _bind(self) -> bool:
        if not self._bound:
            outputs = self._process.ready.outputs
            self._reader.bind([spec.shape for spec in outputs], [(spec.scale, spec.zero_point) for spec in outputs])
            self._bound = True
        return True


class IsolatedDetector(Detector):
    """Runs a model on the CPU in a process of its own: a runtime that crashes or hangs takes nothing else with it.

    `labels` is a label file (None: the model's own). `options.threads` 0 means one for a quick model, else one per
    core, four at most.
    """

    def __init__(self, model: Path, labels: Path | None = None, options: ProcessOptions | None = None) -> None:
        self._model = model
        self._label_file = labels
        self._options = options or ProcessOptions()
        self._hosted: HostedModel | None = None
        self._info: DetectorInfo | None = None

    def open(self) -> None:
        """Verify the model and start the process. Raises ModelError, or DetectorError where it does not get ready."""
        self.close()
        file = models.load(self._model)
        models.check_detector(file)
        refuse_compiled(file)
        labels = models.labels_for(file, self._label_file)
        start = partial(self._start, file, labels)
        hosted = with_fitting_threads(file, self._options.threads, start, HostedModel.is_quick)
        name = models.name_of(file.path)
        self._info = DetectorInfo(name, hosted.runtime, "cpu", file.input_size, since=monotonic())

    def _start(self, file: ModelFile, labels: Labels, threads: int) -> HostedModel:
        """A process with so many threads, in place of the one there was."""
        self.close()
        options = replace(self._options, threads=threads)
        self._hosted = HostedModel(file, labels, "cpu", options)
        self._hosted.start()
        if not self._hosted.wait_ready(options.open_timeout + 1.0):
            raise DetectorError(f"the detector process with {self._model} is not ready")
        return self._hosted

    def close(self) -> None:
        if self._hosted is not None:
            self._hosted.kill()
        self._hosted = None

    @property
    def info(self) -> DetectorInfo:
        if self._info is None:
            raise DetectorError(f"the detector process with {self._model} was never open")
        return self._info

    @property
    def slots(self) -> int:
        return HostedModel.SLOTS

    def submit(self, image: NDArray[np.uint8]) -> None:
        self._opened().submit(image)

    def collect(self, timeout: float) -> Inference | None:
        hosted = self._opened()
        return hosted.collect(timeout) if hosted.under_way else None

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """See `Detector.detect`; nothing else may be under way."""
        self.submit(image)
        while (done := self.collect(timeout=1.0)) is None:
            pass
        return done.detections

    def _opened(self) -> HostedModel:
        if self._hosted is None:
            raise DetectorError(f"the detector process with {self._model} is not open")
        return self._hosted
