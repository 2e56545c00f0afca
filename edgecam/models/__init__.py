"""The catalogue of models: which file a name means, where it is looked for, and what is known of published files."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecam.errors import ModelError
from edgecam.labels import COCO, Labels, load_labels, parse_labels
from edgecam.modelfile import ModelFile
from edgecam.models.folders import find, searched
from edgecam.models.published import BY_FILE, BY_NAME, DEMO, PUBLISHED, REAL, Published

__all__ = [
    "DEMO",
    "PUBLISHED",
    "REAL",
    "Model",
    "Published",
    "info",
    "labels_for",
    "list_models",
    "load",
    "name_of",
    "resolve",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Model:
    """A model to run: its name, file and label file (None: its own labels); `note` is what its user should know."""

    name: str
    path: Path
    labels: Path | None = None
    note: str = ""


def resolve(name: str | Path | None, folders: Sequence[Path] = ()) -> Model:
    """The model a user means by a name of the catalogue, a file name, a path, or nothing (also "auto").

    Looks in $EDGECAM_MODELS, `folders`, ~/.local/share/edgecam/models and /var/lib/edgecam/models, then among the
    bundled models. Nothing means the real MobileDet where it is present, else the bundled demonstrator. Raises
    ModelError.
    """
    text = "auto" if name is None else str(name)
    if text == "auto":
        return _automatic(folders)
    path = Path(text).expanduser()
    if path.is_file() or path.name != text:
        return _model(path)
    published = BY_NAME.get(text)
    file = published.file if published else text.removesuffix(".tflite") + ".tflite"
    found = find(file, folders)
    if found is not None:
        return _model(found)
    if published:
        where = searched(folders)[0]
        raise ModelError(f"model {text!r} is not here: run `edgecam models pull {text}`, or put {file} into {where}")
    raise ModelError(_unknown(text, folders))


def load(path: Path, sha256: str | None = None) -> ModelFile:
    """Read and verify a model file; one with a published file's name must be that file. Raises ModelError."""
    model = ModelFile.load(path, sha256)
    published = BY_FILE.get(path.name)
    if published and not published.matches(model):
        raise ModelError(
            f"{path}: not the published file of that name ({model.size_bytes} bytes, SHA-256 {model.sha256}):"
            " fetch it again, or rename it if it is your own"
        )
    return model


def labels_for(model: ModelFile, labels: Path | None = None) -> Labels:
    """The labels of a model: from the file given, a label file beside the model, the model itself, or the catalogue.

    A model of 90 classes without any gets COCO's; others are called by number. Raises ModelError where they do not fit.
    """
    found = _find_labels(model, labels or sibling_labels(model.path))
    fitted = found.fitted(model.classes)
    if model.classes is not None and len(fitted.names) > model.classes:
        log.warning(
            "%s: %d labels, the model has %d classes: is it the right file?",
            found.source,
            len(fitted.names),
            model.classes,
        )
    return fitted


def name_of(path: Path) -> str:
    """What a model file is called: by the catalogue, else after the file."""
    published = BY_FILE.get(path.name)
    return published.name if published else path.stem


def sibling_labels(path: Path) -> Path | None:
    """The label file beside a model: its name with .txt, .pbtxt or _labels.txt, with or without _edgetpu."""
    stems = dict.fromkeys((path.stem, path.stem.removesuffix("_edgetpu")))
    names = (stem + end for stem in stems for end in (".txt", ".pbtxt", "_labels.txt"))
    return next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)


def list_models(folders: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """What `info` says of every model in the catalogue and in the folders searched, present ones first."""
    files = {path.name: path for folder in reversed(searched(folders)) for path in sorted(folder.glob("*.tflite"))}
    present = [info(_model(path)) for path in sorted(files.values(), key=lambda path: path.name)]
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


def _automatic(folders: Sequence[Path]) -> Model:
    for name in (REAL, DEMO):
        found = find(BY_NAME[name].file, folders)
        if found is not None:
            return _model(found)
    where = ", ".join(str(folder) for folder in searched(folders))
    raise ModelError(f"no model in {where}: run `edgecam models pull {REAL}`, or name a file with --model")


def _model(path: Path) -> Model:
    published = BY_FILE.get(path.name)
    return Model(name_of(path), path, sibling_labels(path), published.caution if published else "")


def _names(folders: Sequence[Path]) -> Iterator[str]:
    yield from BY_NAME
    for folder in searched(folders):
        yield from (path.stem for path in folder.glob("*.tflite"))


def _unknown(text: str, folders: Sequence[Path]) -> str:
    near = difflib.get_close_matches(text.lower(), sorted(set(_names(folders))), n=3, cutoff=0.4)
    advice = f"did you mean {' or '.join(near)}?" if near else "see `edgecam models list`, or name a .tflite file"
    return f"no model is called {text!r}: {advice}"


def _find_labels(model: ModelFile, labels: Path | None) -> Labels:
    if labels is not None:
        return load_labels(labels)
    if model.embedded_labels is not None:
        return parse_labels(model.embedded_labels, f"{model.path} (embedded labels)")
    same = (known for known in PUBLISHED if known.sha256 == model.sha256)
    published = BY_FILE.get(model.path.name) or next(same, None)
    if published and published.labels:
        return published.labels
    if model.classes == len(COCO.names):
        log.warning("%s has no labels: taking COCO's, as it has 90 classes", model.path)
        return COCO
    return Labels(("",) * (model.classes or 0), f"{model.path} (no labels)")
