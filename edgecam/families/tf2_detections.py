"""Models of the TensorFlow 2 Object Detection API that put out finished detections, told by the names of their outputs.

`detection_boxes` [1, n, 4] (ymin, xmin, ymax, xmax), `detection_classes` [1, n] (counted from 1), `detection_scores`
[1, n] and `num_detections` [1], as exporter_main_v2.py names them; others may be there, and are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from edgecam.families.family import Candidates, Decoder, Family, FamilyOptions, FormError, Output, Outputs
from edgecam.families.ssd_postprocess import decode
from edgecam.modelfile import ModelFile, ModelForm

NAME = "tf2-detections"

_ROLES = {
    "detection_boxes": "boxes",
    "detection_classes": "classes",
    "detection_scores": "scores",
    "num_detections": "count",
}


class DetectionsOptions(FamilyOptions):
    """Options of `tf2-detections`: the number of the first class, and the positions of the outputs by role.

    The roles are `boxes`, `classes`, `scores` and `count`; without any, the outputs' names tell.
    """

    first_class: int = Field(default=1, ge=0)
    outputs: dict[str, int] = Field(default_factory=dict)


class DetectionsDecoder(Decoder):
    """Reads the four outputs; `roles` says where each is."""

    def __init__(self, roles: dict[str, int], outputs: Sequence[Output], first_class: int) -> None:
        self._roles = roles
        self._outputs = list(outputs)
        self._first_class = first_class

    def decode(self, outputs: Outputs, floor: float) -> Candidates:
        real = {role: self._outputs[at].real(outputs[at]) for role, at in self._roles.items()}
        real["classes"] = real["classes"] - self._first_class
        found = decode(**real)
        enough = int(np.count_nonzero(found.scores >= floor))
        return Candidates(found.boxes[:enough], found.classes[:enough], found.scores[:enough], found.discarded)


def _named_roles(file: ModelFile) -> dict[str, int] | None:
    """Where each role is, by the names in the signature, else by those of the tensors; None where one is missing."""
    names = dict(file.signature_outputs)
    for position, tensor in enumerate(file.outputs):
        names.setdefault(tensor.name.rpartition("/")[2].partition(":")[0], position)
    roles = {role: names[name] for name, role in _ROLES.items() if name in names}
    return roles if len(roles) == len(_ROLES) else None


class Tf2Detections(Family):
    """Models with finished detections."""

    name = NAME
    title = "detector with finished detections, as TensorFlow 2's Object Detection API exports it"
    options = DetectionsOptions

    def recognise(self, file: ModelFile) -> ModelForm | None:
        return ModelForm(NAME) if file.postprocess is None and _named_roles(file) else None

    def classes(self, file: ModelFile, form: ModelForm) -> int | None:
        return None

    def decoder(self, file: ModelFile, form: ModelForm, outputs: Sequence[Output]) -> Decoder:
        options = DetectionsOptions.of(form)
        roles = options.outputs or _named_roles(file)
        if not roles or set(roles) != set(_ROLES.values()) or not all(0 <= at < len(outputs) for at in roles.values()):
            raise FormError(
                f"{NAME}: its outputs are not named as the Object Detection API does:"
                f" state the option `outputs`, the positions of {', '.join(_ROLES.values())}"
            )
        return DetectionsDecoder(roles, outputs, options.first_class)


FAMILY = Tf2Detections()
