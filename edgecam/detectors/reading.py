"""Between pictures and tensors: makes a model's input of a picture, and detections of its outputs."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgecam import models
from edgecam.detectors.picture import WHOLE, PictureEncoder, Placement, level_table
from edgecam.errors import ModelError
from edgecam.families import Decoder, FamilyOptions, FormError, Output, family_of
from edgecam.labels import Labels
from edgecam.modelfile import ModelFile, ModelForm
from edgecam.types import BBox, Detection

log = logging.getLogger(__name__)


class ModelReader:
    """Speaks to one model, wherever it runs: its form says how (see `models.form_of`).

    Candidates below `score_floor` are left out. `discarded` counts candidates with an unusable box, class or score;
    `unnamed` those whose class has no label. Raises ModelError where the model is no detector edgecam reads.
    """

    def __init__(self, file: ModelFile, labels: Labels, score_floor: float = 0.0) -> None:
        self.labels = labels
        self.discarded = 0
        self.unnamed = 0
        self.form = models.form_of(file)
        self._file = file
        self._score_floor = score_floor
        self._encode = _encoder(file, self.form)
        self._decoder: Decoder | None = None

    def bind(self, shapes: Sequence[tuple[int, ...]], quantisation: Sequence[tuple[float, int]]) -> None:
        """Learn the outputs as the runtime has them: their shapes, and scale and zero point of each (0, 0: real).

        Raises ModelError where they are not what the model's form says.
        """
        outputs = [
            Output(tuple(int(side) for side in shape), float(scale), int(zero_point))
            for shape, (scale, zero_point) in zip(shapes, quantisation, strict=True)
        ]
        try:
            self._decoder = family_of(self.form).decoder(self._file, self.form, outputs)
        except FormError as error:
            raise ModelError(f"{self._file.path}: {error}") from error

    def tensor(self, image: NDArray[np.uint8]) -> NDArray[np.generic]:
        """The model's input [1, height, width, 3] for an RGB picture. Raises InputError where it is none."""
        return self._encode(image)

    def placement(self, image: NDArray[np.uint8]) -> Placement:
        """Where in the model's input the picture is, for `detections`."""
        return self._encode.placement(image)

    def detections(self, outputs: Sequence[NDArray[np.generic]], placement: Placement = WHOLE) -> list[Detection]:
        """What the model's outputs, in its own order, say of the picture placed so; best score first."""
        if self._decoder is None:
            raise RuntimeError("outputs are read before the reader knows their shapes")
        found = self._decoder.decode(outputs, self._score_floor)
        self.discarded += found.discarded
        boxes, classes, scores = found.boxes, found.classes, found.scores
        if placement != WHOLE:
            boxes, there = placement.in_picture(boxes)
            classes, scores = classes[there], scores[there]
        columns = zip(boxes.tolist(), classes.tolist(), scores.tolist(), strict=True)
        return [Detection(self._name(number), score, BBox(*box)) for box, number, score in columns]

    def _name(self, class_id: int) -> str:
        if not self.labels.has_name(class_id):
            self.unnamed += 1
            if self.unnamed == 1 and self.labels.known():
                log.warning("%s has no name for class %d: it goes by its number", self.labels.source, class_id)
        return self.labels.name(class_id)


def _encoder(file: ModelFile, form: ModelForm) -> PictureEncoder:
    """What makes pictures into the model's input; the form's normalisation goes before the metadata's."""
    tensor, options = file.inputs[0], family_of(form).options.of(form)
    mean, std = _normalisation(options) or (file.metadata.mean, file.metadata.std)
    table = level_table(tensor.dtype, tensor.scale, tensor.zero_point, mean, std)
    return PictureEncoder(file.input_size, table, letterbox=form.resize == "letterbox", bgr=options.channels == "bgr")


def _normalisation(options: FamilyOptions) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    return (options.mean, options.std) if options.mean and options.std else None
