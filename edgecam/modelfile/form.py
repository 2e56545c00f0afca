"""The form of a model: how a picture goes in and what its outputs mean; kept in the model file itself, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from edgecam.errors import ModelError
from edgecam.modelfile.flatbuffer import FlatbufferError
from edgecam.modelfile.rewriting import with_metadata
from edgecam.modelfile.schema import FORM_ENTRY

Resize = Literal["stretch", "letterbox"]

_VERSION = 1
_LIMIT_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class ModelForm:
    """How to speak to a model.

    `family` names what reads its outputs (see docs/models.md). `resize`: a picture is stretched to the input's size, or
    fitted into it with its shape kept (`letterbox`). `options` are the family's own, plain JSON values; those of the
    input are every family's: `mean` and `std` (one number or three; (value - mean) / std with values 0 to 255), and
    `channels`, `rgb` or `bgr`. Raises ValueError for an empty family, another `resize`, or options that are no JSON.
    """

    family: str
    resize: Resize = "stretch"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.family or not isinstance(self.family, str):
            raise ValueError(f"family {self.family!r}: a name is wanted")
        if self.resize not in get_args(Resize):
            raise ValueError(f"resize {self.resize!r}: one of {', '.join(get_args(Resize))} is wanted")
        if not isinstance(self.options, Mapping) or not all(isinstance(name, str) for name in self.options):
            raise ValueError(f"options {self.options!r}: an object with names is wanted")
        self.to_json()

    def to_json(self) -> bytes:
        """The form as it stands in a model file."""
        stated = {"version": _VERSION, "family": self.family, "resize": self.resize, "options": dict(self.options)}
        try:
            return json.dumps(stated, sort_keys=True, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise ValueError(f"options {self.options!r}: {error}") from error

    @classmethod
    def from_json(cls, data: bytes) -> ModelForm:
        """The form that a model file states. Raises ValueError, which says what is wrong with it."""
        if len(data) > _LIMIT_BYTES:
            raise ValueError(f"{len(data)} bytes, {_LIMIT_BYTES} at most")
        try:
            stated = json.loads(data.rstrip(b"\0"), parse_float=_finite, parse_constant=_finite)
        except RecursionError as error:
            raise ValueError("nested too deep") from error
        if not isinstance(stated, dict):
            raise ValueError("an object is wanted")
        if stated.get("version") != _VERSION:
            raise ValueError(f"version {stated.get('version')!r}, {_VERSION} is wanted")
        return cls(stated.get("family", ""), stated.get("resize", "stretch"), stated.get("options", {}))


def write_form(content: bytes, form: ModelForm) -> bytes:
    """A .tflite file's content with the form stated in its metadata, in place of one that was there.

    Weights, operators, other metadata and files appended to the model stay as they are. Raises ModelError where the
    content is no sound model.
    """
    try:
        return with_metadata(content, FORM_ENTRY, form.to_json())
    except FlatbufferError as error:
        raise ModelError(f"its form cannot be written into the model: {error}: convert the model anew") from error


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number")
    return number
