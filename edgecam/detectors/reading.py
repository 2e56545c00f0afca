"""Between pictures and tensors: makes a model's input of a picture, and detections of its outputs."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgecam.detectors.picture import DTYPES, PictureEncoder, level_table
from edgecam.detectors.ssd import decode, dequantised, output_roles
from edgecam.errors import ModelError
from edgecam.labels import Labels
from edgecam.modelfile import POSTPROCESS_ROLES, ModelFile
from edgecam.types import BBox, Detection

log = logging.getLogger(__name__)


class SsdReader:
    """Speaks to one SSD model with TFLite_Detection_PostProcess, wherever it runs.

    Candidates below `score_floor` are left out. `discarded` counts candidates with an unusable box, class or score;
    `unnamed` those whose class has no label.
    """

    def __init__(self, file: ModelFile, labels: Labels, score_floor: float = 0.0) -> None:
        tensor = file.inputs[0]
        table = level_table(tensor.dtype, tensor.scale, tensor.zero_point, file.metadata.mean, file.metadata.std)
        self.labels = labels
        self.discarded = 0
        self.unnamed = 0
        self._file = file
        self._score_floor = score_floor
        self._encode = PictureEncoder(file.input_size, table)
        self._roles: dict[str, int] = {}
        self._quantisation: list[tuple[float, int]] = []

    def bind(self, shapes: Sequence[tuple[int, ...]], quantisation: Sequence[tuple[float, int]]) -> None:
        """Learn the outputs as the runtime has them: their shapes, and scale and zero point of each (0, 0: real)."""
        operator = self._file.postprocess
        self._roles = output_roles(operator.roles if operator else (), self._file.signature_outputs, shapes)
        self._quantisation = list(quantisation)

    def tensor(self, image: NDArray[np.uint8]) -> NDArray[np.generic]:
        """The model's input [1, height, width, 3] for an RGB picture. Raises InputError where it is none."""
        return self._encode(image)

    def detections(self, outputs: Sequence[NDArray[np.generic]]) -> list[Detection]:
        """What the model's outputs, in its own order, say; best score first."""
        with np.errstate(invalid="ignore"):  # past the count the outputs are never written: anything may be there
            found = decode(**{role: self._real(outputs, position) for role, position in self._roles.items()})
        self.discarded += found.discarded
        columns = zip(found.boxes.tolist(), found.classes.tolist(), found.scores.tolist(), strict=True)
        return [
            Detection(self._name(number), score, BBox(*box))
            for box, number, score in columns
            if score >= self._score_floor
        ]

    def _real(self, outputs: Sequence[NDArray[np.generic]], position: int) -> NDArray[np.float64]:
        return dequantised(outputs[position], *self._quantisation[position])

    def _name(self, class_id: int) -> str:
        if not self.labels.has_name(class_id):
            self.unnamed += 1
            if self.unnamed == 1 and self.labels.known():
                log.warning("%s has no name for class %d: it goes by its number", self.labels.source, class_id)
        return self.labels.name(class_id)


def check_readable(file: ModelFile) -> None:
    """Refuse what verified well but is no detector that is read here. Raises ModelError, which says what it is."""
    if file.family == "classifier":
        raise ModelError(
            f"{file.path}: an image classifier of {file.classes} classes: edgecam needs an object detector"
        )
    if file.family != "ssd-postprocess" or len(file.outputs) < len(POSTPROCESS_ROLES):
        outputs = ", ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in file.outputs[:4]) or "none"
        raise ModelError(
            f"{file.path}: no detector edgecam knows (outputs: {outputs}):"
            " give an SSD model with TFLite_Detection_PostProcess"
        )
    if file.inputs[0].dtype not in DTYPES:
        raise ModelError(f"{file.path}: its input is {file.inputs[0].dtype}: convert it to one of {', '.join(DTYPES)}")
