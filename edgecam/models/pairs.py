"""Pairs of models: a version compiled for the Edge TPU and the CPU version it was compiled from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from edgecam.errors import ModelError
from edgecam.labels import parse_labels
from edgecam.modelfile import EDGETPU_OP, ModelFile
from edgecam.models.catalogue import Model, load, sibling_labels
from edgecam.models.folders import find
from edgecam.models.forms import classes_of, kind_of
from edgecam.models.published import BY_FILE

#: What edgetpu_compiler appends to the name of the file it is given.
_COMPILED = "_edgetpu"


@dataclass(frozen=True, slots=True)
class ModelPair:
    """One model in two versions: compiled for the Edge TPU, and for the CPU; None where it is not here.

    `labels` is the label file of both (None: their own labels, see `labels_for`). `note` is what its user should know
    at every start; `missing` says which version is not here and how to get it, "" where both are.
    """

    name: str
    edgetpu: Path | None
    cpu: Path | None
    labels: Path | None = None
    note: str = ""
    missing: str = ""


def pair_of(model: Model, folders: Sequence[Path] = ()) -> ModelPair:
    """A model and its sibling, told apart by what is in them.

    The sibling of X.tflite is X_edgetpu.tflite in the same folder, and the other way round; that of a published model
    may be in any folder searched (see `resolve`). Reads and verifies both files. Raises ModelError where one cannot be
    used, or where the two do not belong together.
    """
    file = load(model.path)
    compiled = file.compiled_for_edgetpu
    wanted = _sibling_name(file)
    path = _find_sibling(model.path, wanted, folders) if wanted else None
    if path is not None:
        sibling = load(path)
        check_pair(*((file, sibling) if compiled else (sibling, file)))
    edgetpu, cpu = (model.path, path) if compiled else (path, model.path)
    missing = "" if path else _missing(file, wanted)
    told_always = missing if compiled or not wanted else ""
    return ModelPair(
        name=model.name,
        edgetpu=edgetpu,
        cpu=cpu,
        labels=model.labels or (sibling_labels(path) if path else None),
        note="; ".join(filter(None, (model.note, told_always))),
        missing=missing,
    )


def check_pair(compiled: ModelFile, cpu: ModelFile) -> None:
    """Refuse two files that are no versions of one model. Raises ModelError, which names both and the difference."""
    if not compiled.compiled_for_edgetpu:
        raise ModelError(
            f"{compiled.path}: not compiled for the Edge TPU (no {EDGETPU_OP} in it):"
            " compile it with edgetpu_compiler, or rename it"
        )
    if cpu.compiled_for_edgetpu:
        raise ModelError(
            f"{cpu.path}: compiled for the Edge TPU, as {compiled.path} is:"
            " put the file that was compiled, which runs on the CPU, in its place"
        )
    for what, one, other in (
        ("takes", _input(compiled), _input(cpu)),
        ("is of the family", kind_of(compiled), kind_of(cpu)),
        ("has a class count of", classes_of(compiled), classes_of(cpu)),
        ("names its classes", _embedded(compiled), _embedded(cpu)),
    ):
        if one != other and None not in (one, other):
            shown, other_shown = _difference(one, other)
            raise ModelError(
                f"{compiled.path} {what} {shown}, {cpu.path} {what} {other_shown}:"
                " they are no versions of one model: compile it again, or rename one of them"
            )


def _sibling_name(file: ModelFile) -> str:
    """The file name the other version would have; "" where this one's name contradicts what it is."""
    path, compiled = file.path, file.compiled_for_edgetpu
    if path.stem.endswith(_COMPILED) != compiled:
        return ""
    return (path.stem.removesuffix(_COMPILED) if compiled else path.stem + _COMPILED) + path.suffix


def _find_sibling(path: Path, name: str, folders: Sequence[Path]) -> Path | None:
    beside = path.with_name(name)
    if beside.is_file():
        return beside
    return find(name, folders) if name in BY_FILE and path.name in BY_FILE else None


def _missing(file: ModelFile, wanted: str) -> str:
    """Which version is not here, and how to get it."""
    path = file.path
    published = BY_FILE.get(wanted) if path.name in BY_FILE else None
    how = f"run `edgecam models pull {published.name}`" if published else f"put {wanted} beside it"
    if file.compiled_for_edgetpu:
        how = how if wanted else f"name it X{_COMPILED}.tflite, and put X.tflite, which it was compiled from, beside it"
        return f"{path}: runs on an Edge TPU only, its version for the CPU is not here: {how}"
    if not wanted:
        return f"{path}: not compiled for the Edge TPU, whatever its name says (no {EDGETPU_OP} in it): compile it"
    how = how if published else f"compile it with edgetpu_compiler, and {how}"
    return f"{path}: its version compiled for the Edge TPU is not here: {how}"


def _input(model: ModelFile) -> str:
    return " and ".join(f"{list(tensor.shape)} {tensor.dtype}" for tensor in model.inputs) or "nothing"


def _embedded(model: ModelFile) -> tuple[str, ...] | None:
    """The labels inside a model, None where there are none."""
    if model.embedded_labels is None:
        return None
    return parse_labels(model.embedded_labels, f"{model.path} (embedded labels)").fitted(classes_of(model)).names


def _difference(one: object, other: object) -> tuple[object, object]:
    """What to show of two values that differ: of labels, the first that do."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        pairs = enumerate(zip_longest(one, other, fillvalue="nothing"))
        number, (name, other_name) = next((n, pair) for n, pair in pairs if pair[0] != pair[1])
        return (f"{number}: {name!r}", f"{number}: {other_name!r}")
    return one, other
