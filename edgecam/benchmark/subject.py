"""What a benchmark measures: a model, and the device that `edgecam run` would use for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecam import models
from edgecam.benchmark import host
from edgecam.benchmark.film import FilmCamera, NotingSink, Picture
from edgecam.composition import build_inference, build_parts, model_folders
from edgecam.config import Config, SyntheticConfig
from edgecam.detectors.edgetpu import EdgeTpu, list_edge_tpus, lock_path, parse_choice, trouble
from edgecam.detectors.pace import is_quick, with_fitting_threads
from edgecam.detectors.process import DetectorProcess, ProcessOptions
from edgecam.detectors.reading import ModelReader
from edgecam.errors import DetectorError, ModelError
from edgecam.inference import InferenceWorker
from edgecam.models import Model
from edgecam.pipeline import PipelineParts
from edgecam.ports import Camera, Clock, Sink

NAME = "bench"
"""The camera's name."""


class Subject:
    """The model and the device of a configuration: makes the processes and pipelines to measure.

    `device` is what the pipeline runs on when all is well, as in DetectorInfo; `host_device` what the single process
    runs on: the first of them. `threads` of the CPU are the same for the bare loop and the pipelines; where they are
    left to choose, a process measures for a moment. Raises ModelError, InputError, and DetectorError where the device
    chosen is not to be had.
    """

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self.model: Model = models.resolve(config.detector.model, model_folders(config))
        pair = models.pair_of(self.model, model_folders(config))
        tpus = _usable(config.detector.device, compiled=pair.edgetpu is not None)
        path = pair.edgetpu if tpus else pair.cpu
        if path is None:
            raise ModelError(pair.missing)
        self._file = models.load(path)
        models.check_detector(self._file)
        self._reader = ModelReader(self._file, models.labels_for(pair, _path(config.detector.labels)))
        self._tpus = tpus
        self.device = ",".join(tpu.device for tpu in tpus) or "cpu"
        self.host_device = tpus[0].device if tpus else "cpu"
        self.threads = 1 if tpus else self._fitting_threads()

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height of the model's input in pixels."""
        return self._file.input_size

    @property
    def open_timeout(self) -> float:
        """Longest time, seconds, to start the process."""
        return self._config.edgetpu.open_timeout

    def process(self) -> DetectorProcess:
        """A detector process like the pipeline's, or, on the CPU, like what the pipeline runs in its own process."""
        return self.processes()[0]

    def processes(self) -> list[DetectorProcess]:
        """One for each device."""
        options, content = self._options(self.threads), self._file.content
        on_tpus = [DetectorProcess(content, tpu.device, options, lock_path(tpu)) for tpu in self._tpus]
        return on_tpus or [DetectorProcess(content, "cpu", options)]

    def tensors(self, pictures: Sequence[Picture]) -> list[NDArray[np.generic]]:
        """The model's input for each of the pictures."""
        return [self._reader.tensor(picture.lores) for picture in pictures]

    def parts(self, camera: FilmCamera, sink: NotingSink, *, drawn: bool = False) -> PipelineParts:
        """The pipeline of `edgecam run`, with this camera and nothing but this sink.

        `drawn`: with the overlay, and the detector in a process of its own in any case.
        """
        config, stand_in = self._chosen(isolate=drawn), SyntheticConfig(type="synthetic")
        parts = build_parts(config, NAME, stand_in, self.model, self._clock)
        return replace(parts, camera=camera, sinks=[sink], overlay=parts.overlay if drawn else None)

    def shared(
        self, cameras: Sequence[Camera], sinks: Sequence[Sink]
    ) -> tuple[list[PipelineParts], InferenceWorker | None]:
        """The pipelines of `edgecam run` with these cameras and a sink each, and what lends them a detector.

        None for a single one, which has its own. Inference has processes of its own in any case.
        """
        stand_ins = {f"{NAME}{number}": SyntheticConfig(type="synthetic") for number in range(len(cameras))}
        config = self._chosen(isolate=True).model_copy(update={"cameras": stand_ins})
        inference = build_inference(config, self.model, lambda: None)
        parts = [
            build_parts(config, name, stand_in, self.model, self._clock, inference)
            for name, stand_in in stand_ins.items()
        ]
        changes = zip(parts, cameras, sinks, strict=True)
        return [replace(each, camera=camera, sinks=[sink], overlay=None) for each, camera, sink in changes], inference

    def _fitting_threads(self) -> int:
        return with_fitting_threads(self._file, self._config.detector.threads, self._options, self._is_quick).threads

    def _is_quick(self, options: ProcessOptions) -> bool:
        with host.running(DetectorProcess(self._file.content, "cpu", options), self.open_timeout) as process:
            return is_quick(lambda: process.bare(1)[0])

    def _options(self, threads: int) -> ProcessOptions:
        config = self._config
        return ProcessOptions(runtime=config.detector.runtime, threads=threads, **config.edgetpu.model_dump())

    def _chosen(self, *, isolate: bool) -> Config:
        """The configuration with the threads that were chosen; `isolate`: in a process of its own in any case."""
        threads = self._config.detector.threads if self._tpus else self.threads
        changes: dict[str, object] = {"threads": threads, **({"isolate": True} if isolate else {})}
        return self._config.model_copy(update={"detector": self._config.detector.model_copy(update=changes)})


def _usable(device: str, *, compiled: bool) -> list[EdgeTpu]:
    """The Edge TPUs to measure; none: the CPU. Raises DetectorError where one is insisted on and not to be had."""
    choice = parse_choice(device)
    if not choice.wants_tpu or not (compiled or choice.insists):
        return []
    found = choice.select(list_edge_tpus())
    troubles = [reason for tpu in found if (reason := trouble(tpu))]
    usable = [tpu for tpu in found if not trouble(tpu)]
    if not usable and choice.insists:
        absent = f"no Edge TPU found (device {device!r}): plug one in, or give --device cpu"
        raise DetectorError("; ".join(troubles) or absent)
    return usable


def _path(text: str) -> Path | None:
    return Path(text) if text else None
