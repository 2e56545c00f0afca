"""The names of models: which file a name means, where it is looked for, and whether it is the published one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecam.errors import ModelError
from edgecam.modelfile import ModelFile
from edgecam.models.folders import find, searched
from edgecam.models.published import BY_FILE, BY_NAME, DEMO, REAL, REAL_EDGETPU


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
    bundled models. Nothing means the real MobileDet where it is present, in its CPU version, else in the one compiled
    for the Edge TPU, else the bundled demonstrator. Raises ModelError.
    """
    text = "auto" if name is None else str(name)
    if text == "auto":
        return _automatic(folders)
    path = Path(text).expanduser()
    if path.is_file() or path.name != text:
        return model_at(path)
    published = BY_NAME.get(text)
    file = published.file if published else text.removesuffix(".tflite") + ".tflite"
    found = find(file, folders)
    if found is not None:
        return model_at(found)
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


def model_at(path: Path) -> Model:
    """The model in a file, whether it is there or not."""
    published = BY_FILE.get(path.name)
    return Model(name_of(path), path, sibling_labels(path), published.caution if published else "")


def name_of(path: Path) -> str:
    """What a model file is called: by the catalogue, else after the file."""
    published = BY_FILE.get(path.name)
    return published.name if published else path.stem


def sibling_labels(path: Path) -> Path | None:
    """The label file beside a model: its name with .txt, .pbtxt or _labels.txt, with or without _edgetpu."""
    stems = dict.fromkeys((path.stem, path.stem.removesuffix("_edgetpu")))
    names = (stem + end for stem in stems for end in (".txt", ".pbtxt", "_labels.txt"))
    return next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)


def _automatic(folders: Sequence[Path]) -> Model:
    for name in (REAL, REAL_EDGETPU, DEMO):
        found = find(BY_NAME[name].file, folders)
        if found is not None:
            return model_at(found)
    where = ", ".join(str(folder) for folder in searched(folders))
    raise ModelError(f"no model in {where}: run `edgecam models pull {REAL}`, or name a file with --model")


def _names(folders: Sequence[Path]) -> Iterator[str]:
    yield from BY_NAME
    for folder in searched(folders):
        yield from (path.stem for path in folder.glob("*.tflite"))


def _unknown(text: str, folders: Sequence[Path]) -> str:
    near = difflib.get_close_matches(text.lower(), sorted(set(_names(folders))), n=3, cutoff=0.4)
    advice = f"did you mean {' or '.join(near)}?" if near else "see `edgecam models list`, or name a .tflite file"
    return f"no model is called {text!r}: {advice}"
