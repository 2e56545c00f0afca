"""A detector on the CPU: a .tflite file run by ai-edge-litert or tflite-runtime."""

from __future__ import annotations

import logging
from collections import deque
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecam import models
from edgecam.detectors.beside import Beside, Outputs
from edgecam.detectors.pace import is_quick, with_fitting_threads
from edgecam.detectors.picture import Placement
from edgecam.detectors.reading import ModelReader
from edgecam.detectors.runtime import Runtime, find_runtime, without_greeting
from edgecam.errors import DetectorError, InputError, ModelError
from edgecam.labels import Labels
from edgecam.modelfile import ModelFile
from edgecam.ports import Detector
from edgecam.types import Detection, DetectorInfo, Inference

log = logging.getLogger(__name__)

_SHORT = 0.015
"""Seconds of an invoke, below which a second picture may wait for it: it is no older then than half a frame."""


class TfliteDetector(Detector):
    """Runs a detector of any family on the CPU.

    `labels` are labels or a label file (None: the model's own). `threads` 0 means one for a quick model, else one per
    core, four at most. `runtime` is "auto", "ai-edge-litert" or "tflite-runtime". Candidates below `score_floor` are
    left out. `sha256`, where given, must be the model file's.

    A picture by itself is worked on in the caller's own thread. Where a second one is handed in, which a quick model
    has a slot for, a thread runs the model on it while the caller makes something of the first.
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
            raise InputError(f"{threads} threads: 0 (as suits the model and the machine) or more")
        self._model = model
        self._given_labels = labels
        self._threads = threads
        self._runtime_choice = runtime
        self._score_floor = score_floor
        self._sha256 = sha256
        self._session: _Session | None = None
        self._held: NDArray[np.generic] | None = None
        self._placements: deque[Placement] = deque()
        self._beside: Beside | None = None

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
        if self._beside is not None and not self._beside.close():
            log.error("%s: an inference hangs: its thread is left behind", self._model)
        self._beside = self._session = self._held = None
        self._placements.clear()

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

    @property
    def slots(self) -> int:
        return 2 if self._session is not None and self._session.seconds < _SHORT else 1

    def submit(self, image: NDArray[np.uint8]) -> None:
        """See `Detector.submit`. Raises InputError for what is no RGB picture."""
        session = self._opened()
        tensor, alone = session.reader.tensor(image), not self._placements
        self._placements.append(session.reader.placement(image))
        if alone:
            self._held = tensor
            return
        if self._beside is None:
            self._beside = Beside(session)
            self._beside.start()
        if self._held is not None:
            self._beside.submit(self._held)
            self._held = None
        self._beside.submit(tensor)

    def collect(self, timeout: float) -> Inference | None:
        """See `Detector.collect`: takes as long as the inference takes. After a DetectorError the detector is closed:
        open it again.
        """
        session = self._opened()
        if not self._placements:
            return None
        try:
            outputs = self._outputs(session)
        except DetectorError:
            self.close()
            raise
        return Inference(session.reader.detections(outputs.tensors, self._placements.popleft()), outputs.seconds)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """See `Detector.detect`; nothing else may be under way.

        Raises InputError for what is no RGB picture, DetectorError as `collect` does.
        """
        self.submit(image)
        done = self.collect(timeout=0.0)
        assert done is not None
        return done.detections

    def _outputs(self, session: _Session) -> Outputs:
        """Of the oldest picture under way: computed here where it is alone, else by the thread."""
        tensor, self._held = self._held, None
        if tensor is None:
            assert self._beside is not None
            return self._beside.collect()
        session.load(tensor)
        return session.run()

    def _opened(self) -> _Session:
        if self._session is None:
            raise DetectorError(f"the detector with {self._model} is not open")
        return self._session


class _Session:
    """An interpreter and all that belongs to it, from open to close; `seconds` are those of its last invoke."""

    def __init__(self, file: ModelFile, reader: ModelReader, runtime: Runtime, threads: int) -> None:
        self.reader = reader
        self.seconds = float("inf")
        name, version = models.name_of(file.path), f"{runtime.name} {runtime.version}"
        self.info = DetectorInfo(name, version, "cpu", file.input_size, since=monotonic())
        self._interpreter = with_fitting_threads(file, threads, partial(_build_interpreter, file, runtime), _is_quick)
        self._input: int = self._interpreter.get_input_details()[0]["index"]
        outputs: list[dict[str, Any]] = self._interpreter.get_output_details()
        self._outputs: list[int] = [output["index"] for output in outputs]
        reader.bind([tuple(output["shape"]) for output in outputs], [output["quantization"] for output in outputs])

    def load(self, tensor: NDArray[np.generic]) -> None:
        """Take an input. Raises DetectorError."""
        try:
            self._interpreter.set_tensor(self._input, tensor)
        except (RuntimeError, ValueError) as error:
            raise self._failed(error) from error

    def run(self) -> Outputs:
        """One inference on what was loaded. Raises DetectorError."""
        try:
            self.seconds = _timed(self._interpreter)
            return Outputs([self._interpreter.get_tensor(index) for index in self._outputs], self.seconds)
        except (RuntimeError, ValueError) as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> DetectorError:
        return DetectorError(f"{self.info.runtime}: inference failed: {_first_line(error)}")


def refuse_compiled(file: ModelFile) -> None:
    """Refuse a model that only an Edge TPU runs. Raises ModelError, which names its CPU sibling where there is one."""
    if not file.compiled_for_edgetpu:
        return
    sibling = file.path.with_name(file.path.name.replace("_edgetpu", ""))
    there = sibling != file.path and sibling.is_file()
    advice = f"use {sibling}" if there else "use the file it was compiled from, usually without _edgetpu in its name"
    raise ModelError(f"{file.path}: compiled for the Edge TPU, it cannot run on the CPU: {advice}")


def _is_quick(interpreter: Any) -> bool:
    """Whether it is on an empty picture. One on which it fails says nothing: it is to fail where the user sees why."""
    tensor = interpreter.get_input_details()[0]
    try:
        interpreter.set_tensor(tensor["index"], np.zeros(tensor["shape"], tensor["dtype"]))
        return is_quick(lambda: _timed(interpreter))
    except (RuntimeError, ValueError):
        return False


def _timed(interpreter: Any) -> float:
    before = perf_counter()
    interpreter.invoke()
    return perf_counter() - before


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
