"""What is known of a model, as plain values: for `edgecam models list` and `edgecam models info`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgecam.errors import ModelError
from edgecam.modelfile import ModelFile
from edgecam.models.catalogue import Model, load, model_at
from edgecam.models.description import blank, describe
from edgecam.models.entries import Published
from edgecam.models.folders import searched
from edgecam.models.forms import classes_of, kind_of, unfit_as_detector
from edgecam.models.labelling import labels_for
from edgecam.models.pairs import ModelPair, pair_of
from edgecam.models.published import BY_FILE, PUBLISHED


def list_models(folders: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """The models in the folders searched, then those of the catalogue that are not there: a part of what `info` says.

    `problem` says in one line why edgecam cannot use a file, else it is None.
    """
    files = {path.name: path for folder in reversed(searched(folders)) for path in sorted(folder.glob("*.tflite"))}
    present = [_card(model_at(path)) for path in sorted(files.values(), key=lambda path: path.name)]
    absent = [_absent(published) for published in PUBLISHED if published.file not in files]
    return present + absent


def info(model: Model, folders: Sequence[Path] = ()) -> dict[str, Any]:
    """All about one model, as plain values; always the same keys, None for what is not known.

    `problem` says in one line why a file cannot be used, else it is None. A model that is no detector has none: `unfit`
    says why edgecam does not run it. Its sibling for the Edge TPU, or for the CPU, is looked for as by `pair_of`.
    """
    try:
        file = load(model.path)
    except ModelError:
        return blank() | _card(model)
    try:
        pair = pair_of(model, folders)
    except ModelError as error:
        return _card(model, file) | describe(file) | {"sibling_problem": str(error)}
    path = pair.cpu if file.compiled_for_edgetpu else pair.edgetpu
    described = describe(file, load(path) if path else None) | {"sibling_problem": pair.missing or None}
    labels = _labels(pair, model.labels, file)
    return _card(model, file) | labels | described | {"note": pair.note}


def _card(model: Model, file: ModelFile | None = None) -> dict[str, Any]:
    published = BY_FILE.get(model.path.name)
    card = {"name": model.name, "file": str(model.path), "present": model.path.exists(), "note": model.note}
    card |= _told(published)
    try:
        file = file or load(model.path)
    except ModelError as error:
        return _blank(published) | card | {"problem": str(error)}
    return card | _summary(file, published) | _labels(file, model.labels, file)


def _told(published: Published | None) -> dict[str, Any]:
    """What the catalogue tells of a model beyond what its file does."""
    return {
        "about": published.about if published else "",
        "task": published.task if published else None,
        "accuracy": [asdict(figure) for figure in published.accuracy] if published else [],
        "latency": [asdict(figure) for figure in published.latency] if published else [],
    }


def _summary(file: ModelFile, published: Published | None) -> dict[str, Any]:
    return {
        "bytes": file.size_bytes,
        "sha256": file.sha256,
        "family": kind_of(file),
        "input": list(file.input_size) if file.takes_a_picture else None,
        "dtype": file.inputs[0].dtype if file.inputs else None,
        "classes": classes_of(file),
        "edgetpu": file.compiled_for_edgetpu,
        "license": file.metadata.license or (published.license if published else ""),
        "pinned": bool(published and published.pinned),
        "verified": bool(published and published.pinned and published.matches(file)),
    }


def _labels(model: ModelFile | ModelPair, labels: Path | None, file: ModelFile) -> dict[str, Any]:
    """How many labels there are and where from; labels that do not fit are a problem for a detector only."""
    try:
        found = labels_for(model, labels)
    except ModelError as error:
        trouble = str(error)
        problem = None if unfit_as_detector(file) else trouble
        return {"labels": None, "labels_from": None, "labels_problem": trouble, "problem": problem}
    known = {"labels": len(found.known()), "labels_from": found.source}
    return known | {"labels_problem": None, "problem": None}


def _blank(published: Published | None) -> dict[str, Any]:
    unknown = ("bytes", "sha256", "family", "input", "dtype", "classes", "edgetpu", "labels", "labels_from")
    license_name = published.license if published else ""
    pinned = bool(published and published.pinned)
    nothing = dict.fromkeys((*unknown, "labels_problem", "problem"))
    return nothing | {"license": license_name, "pinned": pinned, "verified": False}


def _absent(published: Published) -> dict[str, Any]:
    card = {"name": published.name, "file": published.file, "present": False, "note": published.caution}
    size = list(published.input_size) if published.input_size else None
    return card | _told(published) | _blank(published) | {"input": size}
