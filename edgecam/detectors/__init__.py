"""The detectors behind `ports.Detector`: model files, runtimes and decoders; each kind is imported on use."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgecam.detectors.edgetpu import parse_choice
from edgecam.errors import InputError, ModelError
from edgecam.models import Model, pair_of
from edgecam.ports import Detector

if TYPE_CHECKING:
    from edgecam.detectors.process import ProcessOptions

log = logging.getLogger(__name__)

#: Kind -> where its class is. Device libraries are needed only by the kind in use.
DETECTORS = {
    "tflite": "edgecam.detectors.tflite:TfliteDetector",
    "isolated": "edgecam.detectors.hosted:IsolatedDetector",
    "failover": "edgecam.detectors.failover:FailoverDetector",
}


def create(kind: str, **keywords: Any) -> Detector:
    """A detector of a kind; `keywords` are its constructor's. Raises InputError for an unknown kind."""
    if kind not in DETECTORS:
        raise InputError(f"detector {kind!r}: give one of {', '.join(DETECTORS)}")
    module, _, name = DETECTORS[kind].partition(":")
    return cast("Detector", getattr(import_module(module), name)(**keywords))


def choose(
    device: str,
    model: Model,
    labels: Path | None,
    options: ProcessOptions,
    *,
    isolate: bool = False,
    folders: Sequence[Path] = (),
) -> Detector:
    """The detector for a model on a device (see `parse_choice`); with `isolate` the CPU's has its own process, too.
    A compiled version of a published model is also looked for in `folders`.

    Raises ModelError where the device is an Edge TPU and the model is not compiled for one, or the other way round.
    """
    choice = parse_choice(device)
    if choice.wants_tpu:
        pair = pair_of(model, folders)
        if pair.edgetpu is not None:
            if pair.missing:
                log.warning("%s: without an Edge TPU there will be no detections", pair.missing)
            return create("failover", pair=pair, device=device, labels=labels, options=options)
        if choice.insists:
            raise ModelError(f"device {device!r}: {pair.missing}; on an Edge TPU it would silently run on the CPU")
        log.info("%s: the CPU is used", pair.missing)
    if isolate:
        return create("isolated", model=model.path, labels=labels, options=options)
    return create("tflite", model=model.path, labels=labels, threads=options.threads, runtime=options.runtime)
