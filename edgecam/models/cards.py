"""What is known of a model, as plain values: for `edgecam models list` and `edgecam models info`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgecam.errors import ModelError
from edgecam.modelfile import ModelFile
from edgecam.models.catalogue import Model, load, model_at
from edgecam.models.folders import searched
from edgecam.models.labelling import labels_for
from edgecam.models.published import BY_FILE, PUBLISHED, Published


def list_models(folders: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """What `info` says of every model in the catalogue and in the folders searched, present ones first."""
    files = {path.name: path for folder in reversed(searched(folders)) for path in sorted(folder.glob("*.tflite"))}
    present = [info(model_at(path)) for path in sorted(files.values(), key=lambda path: path.name)]
    absent = [_absent(published) for published in PUBLISHED if published.file not in files]
    return present + absent


def info(model: Model) -> dict[str, Any]:
    """All about one model, as plain values; `problem` says in one line why a file cannot be used, else it is None."""
    published = BY_FILE.get(model.path.name)
    card = {"name": model.name, "file": str(model.path), "present": model.path.exists(), "note": model.note}
    card["about"] = published.about if published else ""
    try:
        file = load(model.path)
        return card | _described(file, published) | _labels_described(file, model.labels)
    except ModelError as error:
        return _blank(published) | card | {"problem": str(error)}


def _described(file: ModelFile, published: Published | None) -> dict[str, Any]:
    return {
        "bytes": file.size_bytes,
        "sha256": file.sha256,
        "family": file.family,
        "input": list(file.input_size) if file.takes_a_picture else None,
        "dtype": file.inputs[0].dtype if file.inputs else None,
        "classes": file.classes,
        "edgetpu": file.compiled_for_edgetpu,
        "license": file.metadata.license or (published.license if published else ""),
        "pinned": bool(published and published.pinned),
        "verified": bool(published and published.pinned and published.matches(file)),
    }


def _labels_described(file: ModelFile, labels: Path | None) -> dict[str, Any]:
    found = labels_for(file, labels)
    return {"labels": len(found.known()), "labels_from": found.source, "problem": None}


def _blank(published: Published | None) -> dict[str, Any]:
    unknown = ("bytes", "sha256", "family", "input", "dtype", "classes", "edgetpu", "labels", "labels_from")
    license_name = published.license if published else ""
    pinned = bool(published and published.pinned)
    return dict.fromkeys(unknown) | {"license": license_name, "pinned": pinned, "verified": False, "problem": None}


def _absent(published: Published) -> dict[str, Any]:
    card = {"name": published.name, "file": published.file, "present": False, "note": published.caution}
    return card | {"about": published.about} | _blank(published)
