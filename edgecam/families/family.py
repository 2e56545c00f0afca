"""What a family of models is: how it is recognised, what its options are, and what makes candidates of its outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from edgecam.modelfile import ModelFile, ModelForm

Outputs = Sequence[NDArray[np.generic]]
Numbers = tuple[float, ...]


class FormError(ValueError):
    """A form cannot be told from a model, or does not fit it; says in a line what is missing or wrong."""


class Candidates(NamedTuple):
    """Candidates, best first: boxes [n, 4] (xmin, ymin, xmax, ymax, in fractions), class numbers and scores [n].

    `discarded` is the number left out because box, class or score were unusable.
    """

    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    scores: NDArray[np.float64]
    discarded: int


class Output(NamedTuple):
    """One output as the file or the runtime has it: its shape, and its scale and zero point (0.0 and 0: real)."""

    shape: tuple[int, ...]
    scale: float
    zero_point: int

    @property
    def rows(self) -> int:
        """How many rows of `columns` numbers it has, whatever the dimensions before the last."""
        return int(np.prod(self.shape[:-1], dtype=np.int64))

    @property
    def columns(self) -> int:
        """The length of its last dimension; 0 where it has none."""
        return self.shape[-1] if self.shape else 0

    def level(self, value: float) -> float:
        """The stored number that stands for a real value."""
        return value / self.scale + self.zero_point if self.scale > 0 else value

    def real(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """Real values of stored ones: (q - zero_point) * scale where the output is quantised."""
        return dequantised(values, self.scale, self.zero_point)


class Decoder(ABC):
    """Makes candidates of one model's outputs."""

    @abstractmethod
    def decode(self, outputs: Outputs, floor: float) -> Candidates:
        """Candidates, those below the score `floor` left out; boxes in fractions of the model's picture, cut at it."""


class FamilyOptions(BaseModel):
    """The options every family has: what a picture becomes on its way in, see `ModelForm`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: Numbers = ()
    std: tuple[PositiveFloat, ...] = ()
    channels: Literal["rgb", "bgr"] = "rgb"

    @model_validator(mode="after")
    def _normalises_all_channels(self) -> Self:
        if bool(self.mean) != bool(self.std) or not {len(self.mean), len(self.std)} <= {0, 1, 3}:
            raise PydanticCustomError("normalisation", "mean and std: one number or three for each are wanted")
        return self

    @classmethod
    def of(cls, form: ModelForm) -> Self:
        """The options of a form. Raises FormError."""
        try:
            return cls.model_validate(dict(form.options))
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise FormError(f"{form.family}: option {where + ': ' if where else ''}{fault['msg']}") from error


class FoundOptions(FamilyOptions):
    """Options of families whose candidates edgecam itself chooses: by score, overlap of the same class, and number."""

    min_score: float = Field(default=0.05, gt=0, lt=1)
    max_overlap: float = Field(default=0.6, gt=0, le=1)
    max_detections: int = Field(default=100, ge=1, le=300)


class Family(ABC):
    """One family of models: how it is recognised, and what reads it.

    `name` is the one forms have, `title` is for people; `options` is what is read from a form.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    options: ClassVar[type[FamilyOptions]] = FamilyOptions

    @abstractmethod
    def recognise(self, file: ModelFile) -> ModelForm | None:
        """The form of a model as its file alone tells it, None where it is of another family.

        Raises FormError where it looks like this one, but something about it cannot be told.
        """

    @abstractmethod
    def classes(self, file: ModelFile, form: ModelForm) -> int | None:
        """The number of classes of a model, None where it is not known. Raises FormError."""

    @abstractmethod
    def decoder(self, file: ModelFile, form: ModelForm, outputs: Sequence[Output]) -> Decoder:
        """What reads a model's outputs, given as the file has them, or as a runtime that has run the model once.

        Raises FormError where the form does not fit them.
        """


def dequantised(values: NDArray[np.generic], scale: float, zero_point: int) -> NDArray[np.float64]:
    """Real values of an output tensor: (q - zero_point) * scale where it is quantised (scale above 0)."""
    real = values.astype(np.float64)
    return (real - zero_point) * scale if scale > 0 else real


def outputs_of(file: ModelFile) -> list[Output]:
    """The outputs as a model file has them."""
    return [Output(tensor.shape, tensor.scale, tensor.zero_point) for tensor in file.outputs]


def usable(
    boxes: NDArray[np.float64], classes: NDArray[np.float64] | NDArray[np.int64], scores: NDArray[np.float64]
) -> Candidates:
    """Candidates of boxes [n, 4] (xmin, ymin, xmax, ymax), class numbers and scores [n], in any order.

    Boxes are cut at the picture's edges; those with nothing left, and anything not finite, are discarded.
    """
    inside = np.minimum(np.maximum(boxes, 0.0), 1.0)  # half the time of np.clip on so few
    fine = np.isfinite(boxes).all(axis=1) & (inside[:, 2:] > inside[:, :2]).all(axis=1)
    fine &= np.isfinite(scores) & np.isfinite(classes) & (classes >= 0)
    best_first = np.flatnonzero(fine)[np.argsort(-scores[fine], kind="stable")]
    return Candidates(
        boxes=inside[best_first],
        classes=np.rint(classes[best_first]).astype(np.int64),
        scores=np.minimum(np.maximum(scores[best_first], 0.0), 1.0),
        discarded=len(scores) - len(best_first),
    )
