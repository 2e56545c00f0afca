"""A detector on the CPU: a .tflite file run by ai-edge-litert or tflite-runtime."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecam import models
from edgecam.detectors.reading import ModelReader
from edgecam.detectors.runtime import Runtime, find_runtime, without_greeting
from edgecam.errors import DetectorError, InputError, ModelError
from edgecam.labels import Labels
from edgecam.modelfile import ModelFile
from edgecam.ports import Detector
from edgecam.types import Detection, DetectorInfo

log = logging.getLogger(__name__)

_MOST_AUTOMATIC_THREADS = 4


class TfliteDetector(Detector):
    """Runs a detector of any family on the CPU.

    `labels` are labels or a label file (None: the model's own). `threads` 0 means one per core, four at most. `runtime`
    is "auto", "ai-edge-litert" or "tflite-runtime". Candidates below `score_floor` are left out. `sha256`, where given,
    must be the model file's.
    """

    def __init__(
        self,
        model: Path,
        labels: Path | Labels | None = None,
        threads: int = 1,
        runtime: str = "auto",
        score_floor: float = 0.0,
        sha256: str | None = None,
    ) -> None:
        if threads < 0:
            raise InputError(f"{threads} threads: 0 (one per core, four at most) or more")
        self._model = model
        self._given_labels = labels
        self._threads = threads
        self._runtime_choice = runtime
        self._score_floor = score_floor
        self._sha256 = sha256
        self._session: _Session | None = None

    def open(self) -> None:
        """Verify the model file and build the interpreter.

        Raises ModelError where the model or its labels cannot be used, InputError where the runtime is missing.
        """
        self.close()
        file = models.load(self._model, self._sha256)
        models.check_detector(file)
        refuse_compiled(file)
        given = self._given_labels
        labels = given if isinstance(given, Labels) else models.labels_for(file, given)
        if not labels.known():
            log.warning("%s: no labels: classes go by their numbers; give a label file", self._model)
        reader = ModelReader(file, labels, self._score_floor)
        self._session = _Session(file, reader, find_runtime(self._runtime_choice), self._threads)

    def close(self) -> None:
        self._session = None

    @property
    def info(self) -> DetectorInfo:
        return self._opened().info

    @property
    def labels(self) -> Labels:
        """The names of the model's classes; valid after `open`."""
        return self.reader.labels

    @property
    def reader(self) -> ModelReader:
        """What reads the model's outputs, with its labels and its counts; valid after `open`."""
        return self._opened().reader

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """See `Detector.detect`. Raises InputError for what is no RGB picture, DetectorError where the runtime fails.

        After a DetectorError the detector is closed: open it again.
        """
        session = self._opened()
        try:
            return session.run(image)
        except DetectorError:
            self.close()
            raise

    def _opened(self) -> _Session:
        if self._session is None:
            raise DetectorError(f"the detector with {self._model} is not open")
        return self._session


class _Session:
    """An interpreter and all that belongs to it, from open to close."""

    def __init__(self, file: ModelFile, reader: ModelReader, runtime: Runtime, threads: int) -> None:
        self.reader = reader
        name, version = models.name_of(file.path), f"{runtime.name} {runtime.version}"
        self.info = DetectorInfo(name, version, "cpu", file.input_size, since=monotonic())
        self._interpreter = _build_interpreter(file, runtime, fitting_threads(file, threads or automatic_threads()))
        self._input: int = self._interpreter.get_input_details()[0]["index"]
        outputs: list[dict[str, Any]] = self._interpreter.get_output_details()
        self._outputs: list[int] = [output["index"] for output in outputs]
        reader.bind([tuple(output["shape"]) for output in outputs], [output["quantization"] for output in outputs])

    def run(self, image: NDArray[np.uint8]) -> list[Detection]:
        """One inference. Raises DetectorError."""
        tensor = self.reader.tensor(image)
        try:
            self._interpreter.set_tensor(self._input, tensor)
            self._interpreter.invoke()
            outputs = [self._interpreter.get_tensor(index) for index in self._outputs]
        except (RuntimeError, ValueError) as error:
            raise DetectorError(f"{self.info.runtime}: inference failed: {_first_line(error)}") from error
        return self.reader.detections(outputs, self.reader.placement(image))


def refuse_compiled(file: ModelFile) -> None:
    """Refuse a model that only an Edge TPU runs. Raises ModelError, which names its CPU sibling where there is one."""
    if not file.compiled_for_edgetpu:
        return
    sibling = file.path.with_name(file.path.name.replace("_edgetpu", ""))
    there = sibling != file.path and sibling.is_file()
    advice = f"use {sibling}" if there else "use the file it was compiled from, usually without _edgetpu in its name"
    raise ModelError(f"{file.path}: compiled for the Edge TPU, it cannot run on the CPU: {advice}")


def automatic_threads() -> int:
    """One thread per core this process may use, four at most: more than there are free cores slow it down."""
    return min(_MOST_AUTOMATIC_THREADS, len(os.sched_getaffinity(0)))


def fitting_threads(file: ModelFile, wanted: int) -> int:
    """The threads, `wanted` or fewer, that this model gives right results with.

    Regular (class-wise) suppression on T threads, fewer than there are classes, silently loses class T: seen on
    tflite-runtime 2.14 and ai-edge-litert 2.3, with 3 to 12 classes on 2 to 4 threads. One thread loses nothing.
    """
    operator = file.postprocess
    if wanted == 1 or operator is None or not operator.regular_nms or wanted >= (operator.classes or wanted + 1):
        return wanted
    log.info("%s: regular NMS loses a class on %d threads: one is used", file.path, wanted)
    return 1


def _build_interpreter(file: ModelFile, runtime: Runtime, threads: int) -> Any:
    """An interpreter of the very bytes that were verified. Raises ModelError."""
    try:
        with without_greeting():
            interpreter = runtime.interpreter(model_content=file.content, num_threads=threads)
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"{file.path}: {runtime.name} {runtime.version} cannot run it ({_first_line(error)}):"
            " try the other runtime, or convert the model anew"
        ) from error
    return interpreter


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
