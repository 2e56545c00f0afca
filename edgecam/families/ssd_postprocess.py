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
    usable,
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
        # Past the count the outputs are never written: anything may be there.
        with np.errstate(invalid="ignore"):
            found = decode(
                **{role: dequantised(outputs[at], *self._quantisation[role]) for role, at in self.roles.items()}
            )
        enough = int(np.count_nonzero(found.scores >= floor))
        return Candidates(found.boxes[:enough], found.classes[:enough], found.scores[:enough], found.discarded)


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
    boxes: NDArray[np.float64], classes: NDArray[np.float64], scores: NDArray[np.float64], count: NDArray[np.float64]
) -> Candidates:
    """Candidates of the four outputs: boxes [1, N, 4] as ymin, xmin, ymax, xmax, classes and scores [1, N], count [1].

    Boxes are cut at the frame's edges; those with nothing left, and anything not finite, are discarded.
    """
    every = scores.reshape(-1)
    stated = float(count.reshape(-1)[0])
    number = int(min(max(stated, 0), every.size)) if math.isfinite(stated) else 0
    edges = boxes.reshape(-1, 4)[:number][:, [1, 0, 3, 2]]
    return usable(edges, classes.reshape(-1)[:number], every[:number])


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
