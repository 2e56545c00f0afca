"""TensorFlow 2's detectors to .tflite: a SavedModel as export_tflite_graph_tf2.py writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conversion import calibration, checking
from conversion.flat import with_classic_outputs
from conversion.quantising import Numbers, converted, measured_on
from conversion.tensorflow_door import chatter_held, first_line, tensorflow
from conversion.writing import Steps, write_model
from edgecam.errors import InputError
from edgecam.labels import load_labels
from edgecam.modelfile import POSTPROCESS_OP
from edgecam.modelfile.flatbuffer import FlatbufferError
from edgecam.modelfile.form import ModelForm, write_form
from edgecam.modelfile.schema import Graph, walk


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is wanted; `mean` and `std` are what the training used, 127.5 in TensorFlow's own SSD models."""

    numbers: Numbers = Numbers.none
    mean: float = 127.5
    std: float = 127.5
    resize: str = "stretch"
    pictures: int = 200


def convert(
    source: Path,
    output: Path,
    recipe: Recipe,
    folder: Path | None,
    labels: Path | None = None,
    work: Path | None = None,
) -> Path:
    """Convert a SavedModel; `folder` has the pictures to measure integers on. Raises InputError."""
    if not (source / "saved_model.pb").is_file():
        raise InputError(f"{source}: no SavedModel (no saved_model.pb in it): give the folder that has one")
    files = calibration.picture_files(folder) if folder else []
    given = load_labels(labels) if labels else None
    steps = Steps(work, [source, *files], recipe)
    kind = "float" if recipe.numbers is Numbers.none else str(recipe.numbers)
    made = steps.step(f"{kind} model", lambda: _converted(source, files, recipe))
    path = output / f"{_name(source)}-{kind}.tflite"
    form = ModelForm("ssd-postprocess", _resize(recipe), {"mean": [recipe.mean], "std": [recipe.std]})
    write_model(path, write_form(made, form), given, checking.runs)
    return path


def _resize(recipe: Recipe) -> Any:
    return "letterbox" if recipe.resize == "letterbox" else "stretch"


def _name(source: Path) -> str:
    """What to call the model: SavedModels mostly lie in a folder of just that name."""
    folder = source.resolve()
    return folder.parent.name if folder.name == "saved_model" else folder.name


def _converted(source: Path, files: Sequence[Path], recipe: Recipe) -> bytes:
    tf = tensorflow()
    try:
        with chatter_held():
            loaded = tf.saved_model.load(str(source))
            (function,) = list(loaded.signatures.values())[:1] or [None]
            shapes = [spec.shape for spec in function.structured_input_signature[1].values()] if function else []
            converter = tf.lite.TFLiteConverter.from_saved_model(str(source))
    except (tf.errors.OpError, OSError, ValueError, TypeError, AttributeError, KeyError, RuntimeError) as error:
        raise InputError(
            f"{source}: damaged, or no SavedModel for inference ({first_line(error)}): export it again"
        ) from error
    if len(shapes) != 1 or shapes[0].rank != 4 or not shapes[0].is_fully_defined():
        raise InputError(
            f"{source}: takes {[str(shape) for shape in shapes]}, one picture of fixed size is wanted:"
            " export it with export_tflite_graph_tf2.py"
        )
    _, height, width, _ = shapes[0].as_list()
    shots = list(calibration.pictures(files, (width, height), recipe.pictures, recipe.resize)) if files else []
    measured = measured_on(shots, recipe.mean, recipe.std)
    made = converted(converter, str(source), recipe.numbers, measured, float_outputs=True)
    if POSTPROCESS_OP not in {operator.custom for operator in _main(source, made).operators}:
        raise InputError(f"{source}: has no {POSTPROCESS_OP}: export it with export_tflite_graph_tf2.py")
    return with_classic_outputs(made)


def _main(source: Path, content: bytes) -> Graph:
    try:
        return walk(content).graphs[0]
    except FlatbufferError as error:
        raise InputError(f"{source}: TensorFlow made a model of it that is unsound ({error})") from error
