"""SSD models with TFLite_Detection_PostProcess: decodes its four outputs, whatever order a model gives them in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgecam.families.family import (
    Candidates,
    Decoder,
    Family,
    FormError,
    Output,
    Outputs,
    dequantised,
)
from edgecam.modelfile import POSTPROCESS_ROLES, ModelFile, ModelForm

NAME = "ssd-postprocess"

_SIGNATURE_ROLES = {"output_0": "count", "output_1": "scores", "output_2": "classes", "output_3": "boxes"}
_OTHER_ORDER = ("scores", "boxes", "count", "classes")


class PostProcessDecoder(Decoder):
    """Reads the four outputs; `roles` says where each is, `outputs` how it is quantised."""

    def __init__(self, roles: Mapping[str, int], outputs: Sequence[Output]) -> None:
        self.roles = dict(roles)
        self._quantisation = {role: outputs[position][1:] for role, position in roles.items()}

    def decode(self, outputs: Outputs, floor: float) -> Candidates:
        real = {role: self._real(outputs[at], *self._quantisation[role]) for role, at in self.roles.items()}
        found = decode(**real)
        if floor <= 0:
            return found
        enough = int(np.count_nonzero(found.scores >= floor))
        return Candidates(found.boxes[:enough], found.classes[:enough], found.scores[:enough], found.discarded)

    def _real(self, values: NDArray[np.generic], scale: float, zero_point: int) -> NDArray[np.generic]:
        """Real values. Past the count the outputs are never written: anything may be there."""
        if scale <= 0:
            return values
        with np.errstate(invalid="ignore"):
            return dequantised(values, scale, zero_point)


def output_roles(
    known: Sequence[str], signature: Mapping[str, int], shapes: Sequence[tuple[int, ...]]
) -> dict[str, int]:
    """Where among a model's outputs are `boxes`, `classes`, `scores` and `count`?

    `known` are the roles as the post-process operator itself tells them (`PostProcess.roles`), certain where complete.
    Else pycoral's convention holds: with a signature, output_0 to output_3 are count, scores, classes, boxes; else if
    output 3 has one element: boxes, classes, scores, count; else scores, boxes, count, classes.
    """
    if set(known) >= set(POSTPROCESS_ROLES):
        return {role: list(known).index(role) for role in POSTPROCESS_ROLES}
    if set(signature) >= set(_SIGNATURE_ROLES):
        return {role: signature[name] for name, role in _SIGNATURE_ROLES.items()}
    order = POSTPROCESS_ROLES if math.prod(shapes[3]) == 1 else _OTHER_ORDER
    return {role: position for position, role in enumerate(order)}


def decode(
    boxes: NDArray[np.generic], classes: NDArray[np.generic], scores: NDArray[np.generic], count: NDArray[np.generic]
) -> Candidates:
    """Candidates of the four outputs: boxes [1, N, 4] as ymin, xmin, ymax, xmax, classes and scores [1, N], count [1].

    Boxes are cut at the frame's edges; those with nothing left, and anything not finite, are discarded. There are 10 to
    100 of them: for so few, plain Python takes less time than NumPy.
    """
    stated = float(count.reshape(-1).tolist()[0])
    number = int(min(max(stated, 0), scores.size)) if math.isfinite(stated) else 0
    every = zip(
        boxes.reshape(-1, 4)[:number].tolist(),
        classes.reshape(-1)[:number].tolist(),
        scores.reshape(-1)[:number].tolist(),
        strict=True,
    )
    found = [
        (score, kind, (max(xmin, 0.0), max(ymin, 0.0), min(xmax, 1.0), min(ymax, 1.0)))
        for (ymin, xmin, ymax, xmax), kind, score in every
        if math.isfinite(xmin + ymin + xmax + ymax + kind + score)
        and kind >= 0
        and max(xmin, 0.0) < min(xmax, 1.0)
        and max(ymin, 0.0) < min(ymax, 1.0)
    ]
    found.sort(key=_score, reverse=True)
    return Candidates(
        boxes=np.array([box for _score, _kind, box in found]).reshape(-1, 4),
        classes=np.array([round(kind) for _score, kind, _box in found], np.int64),
        scores=np.array([min(max(score, 0.0), 1.0) for score, _kind, _box in found]),
        discarded=number - len(found),
    )


def _score(found: tuple[float, float, tuple[float, ...]]) -> float:
    return found[0]


class SsdPostProcess(Family):
    """SSD models with the post-process operator."""

    name = NAME
    title = "SSD detector with TFLite_Detection_PostProcess"

    def recognise(self, file: ModelFile) -> ModelForm | None:
        return ModelForm(NAME) if file.postprocess is not None and len(file.outputs) >= len(POSTPROCESS_ROLES) else None

    def classes(self, file: ModelFile, form: ModelForm) -> int | None:
        return file.classes

    def decoder(self, file: ModelFile, form: ModelForm, outputs: Sequence[Output]) -> Decoder:
        if len(outputs) < len(POSTPROCESS_ROLES):
            raise FormError(f"{NAME}: {len(outputs)} outputs, {len(POSTPROCESS_ROLES)} are wanted")
        operator = file.postprocess
        known = operator.roles if operator else ()
        return PostProcessDecoder(
            output_roles(known, file.signature_outputs, [output.shape for output in outputs]), outputs
        )


FAMILY = SsdPostProcess()
