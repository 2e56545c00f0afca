"""The manifest of published models: reads models/manifest.toml, and refuses one that is not sound."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgecam.errors import ModelError
from edgecam.labels import COCO, Labels
from edgecam.modelfile import ModelForm
from edgecam.models.entries import Figure, Published

#: What the name of a model gets where its version for the Edge TPU is meant.
EDGETPU = "-edgetpu"
_AT_A_COMMIT = re.compile(r"https://[^/\s]+/\S*\b[0-9a-f]{40}(/\S*)?")


def read_manifest(path: Path) -> tuple[Published, ...]:
    """The published models of a manifest, one for each file, in its order. Raises ModelError."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        models = list(_models(_Manifest.model_validate(document)))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}): install edgecam again") from error
    except ValidationError as error:
        raise ModelError(f"{path}: {_first(error, document)}") from error
    except ValueError as error:
        raise ModelError(f"{path}: not TOML: {error}: install edgecam again") from error
    for what, values in (("name", [each.name for each in models]), ("file", [each.file for each in models])):
        twice = [value for value, times in Counter(values).items() if times > 1]
        if twice:
            raise ModelError(f"{path}: the {what} {twice[0]!r} is there twice: rename one")
    return tuple(models)


def _pinned_source(url: str) -> str:
    if not _AT_A_COMMIT.fullmatch(url) or url.endswith("/"):
        raise ValueError("allowed is a folder's https:// URL at one commit, named by its 40 hexadecimal digits")
    return url


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Figure(_Table):
    figure: str = Field(min_length=1)
    of: str = Field(min_length=1)
    source: str = Field(pattern=r"^https://\S+$")


class _File(_Table):
    file: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*\.tflite$")
    sha256: str = Field(default="", pattern=r"^[0-9a-f]{64}$")
    git_blob: str = Field(default="", pattern=r"^[0-9a-f]{40}$")
    accuracy: list[_Figure] = []
    latency: list[_Figure] = []

    @model_validator(mode="after")
    def _one_pin(self) -> _File:
        if self.sha256 and self.git_blob:
            raise ValueError("allowed is sha256 or git_blob, not both")
        return self


class _Form(_Table):
    family: str
    resize: Literal["stretch", "letterbox"] = "stretch"
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _a_form(self) -> _Form:
        ModelForm(**self.model_dump())
        return self


class _Model(_Table):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    about: str = Field(min_length=1)
    task: Literal["detection"]
    input: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=2, max_length=2)]
    source: Annotated[str, AfterValidator(_pinned_source)] = ""
    labels: Literal["coco", ""] | Annotated[list[str], Field(min_length=1)] = ""
    license: str = ""
    caution: str = ""
    form: _Form | None = None
    cpu: _File | None = None
    edgetpu: _File | None = None

    @model_validator(mode="after")
    def _whole(self) -> _Model:
        files = [file for file in (self.cpu, self.edgetpu) if file]
        if not files:
            raise ValueError("allowed is a model with a table cpu, edgetpu or both")
        if self.source and not all(file.sha256 or file.git_blob for file in files):
            raise ValueError("allowed is a source only where each file has its sha256 or git_blob")
        return self


class _Manifest(_Table):
    version: Literal[1]
    models: list[_Model]


def _models(manifest: _Manifest) -> Iterator[Published]:
    for model in manifest.models:
        if model.cpu:
            yield _published(model, model.cpu, model.name, model.about)
        if model.edgetpu:
            yield _published(model, model.edgetpu, model.name + EDGETPU, f"{model.about}, for the Edge TPU")


def _published(model: _Model, file: _File, name: str, about: str) -> Published:
    return Published(
        name=name,
        file=file.file,
        about=about,
        sha256=file.sha256,
        git_blob=file.git_blob,
        license=model.license,
        labels=_labels(model),
        caution=model.caution,
        source=model.source,
        form=ModelForm(**model.form.model_dump()) if model.form else None,
        task=model.task,
        input_size=(model.input[0], model.input[1]),
        accuracy=tuple(Figure(**figure.model_dump()) for figure in file.accuracy),
        latency=tuple(Figure(**figure.model_dump()) for figure in file.latency),
    )


def _labels(model: _Model) -> Labels | None:
    if isinstance(model.labels, str):
        return COCO if model.labels else None
    return Labels(tuple(model.labels), f"the classes of {model.name}")


def _first(error: ValidationError, document: dict[str, Any]) -> str:
    """The first complaint, in a line: where, by the model's name, the value, and what is allowed."""
    fault = error.errors(include_url=False)[0]
    places = list(fault["loc"])
    if len(places) > 1 and places[0] == "models":
        model = document["models"][places[1]]
        places[:2] = [str(model.get("name", f"model {places[1]}") if isinstance(model, dict) else f"model {places[1]}")]
    value = "" if fault["type"] == "missing" or isinstance(fault["input"], dict) else f"{fault['input']!r}: "
    return f"{'.'.join(map(str, places))}: {value}{fault['msg'].removeprefix('Value error, ')}"
