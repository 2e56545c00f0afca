"""Any TensorFlow.js graph model to .tflite, as it is: its own layout, its own inputs and outputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conversion import calibration, checking, graph, tfjs_file
from conversion.fused import taken_apart
from conversion.quantising import Numbers, converted, measured_on
from conversion.tensorflow_door import chatter_held, first_line, tensorflow
from conversion.writing import Steps, write_model
from edgecam.errors import InputError
from edgecam.labels import load_labels
from edgecam.modelfile.form import ModelForm, write_form


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is wanted. `input_name`, `outputs` and `shape` None: as the model's signature has them.

    `form` is what to state in the model, see docs/models.md; `mean` and `std` make inputs of pictures to measure on.
    """

    numbers: Numbers = Numbers.none
    input_name: str | None = None
    outputs: tuple[str, ...] | None = None
    shape: tuple[int, ...] | None = None
    mean: float = 127.5
    std: float = 127.5
    float_outputs: bool = False
    pictures: int = 200
    form: ModelForm | None = None


def read_form(path: Path) -> ModelForm:
    """A form from a JSON file. Raises InputError."""
    try:
        stated = json.loads(path.read_bytes())
        return ModelForm.from_json(json.dumps({"version": 1, **stated}).encode())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): give a JSON file") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f'{path}: no form of a model ({error}): as in {{"family": "nanodet", "options": {{}}}}'
        ) from error


def convert(
    source: Path,
    output: Path,
    recipe: Recipe,
    folder: Path | None,
    labels: Path | None = None,
    work: Path | None = None,
) -> Path:
    """Convert a model.json; returns the model that was written. Raises InputError."""
    files = calibration.picture_files(folder) if folder else []
    given = load_labels(labels) if labels else None
    model = tfjs_file.read_tfjs(source)
    shards = sorted(path for path in source.parent.iterdir() if path.suffix == ".bin")
    steps = Steps(work, [source, *shards, *files], recipe)
    kind = "float" if recipe.numbers is Numbers.none else str(recipe.numbers)
    content = steps.step(f"{kind} model", lambda: _converted(model, files, recipe))
    stated = write_form(content, recipe.form) if recipe.form else content
    path = output / f"{source.stem}-{kind}.tflite"
    write_model(path, stated, given, checking.runs)
    return path


def _converted(model: tfjs_file.TfjsModel, files: Sequence[Path], recipe: Recipe) -> bytes:
    tf = tensorflow()
    name = str(model.path)
    outputs = recipe.outputs or model.outputs
    content = taken_apart(name, graph.graph_def(model))
    fed = recipe.input_name or model.inputs[0]
    if recipe.input_name is None and len(model.inputs) != 1:
        raise InputError(f"{name}: takes {', '.join(model.inputs)}: say which with --input")
    content = graph.fed_at(name, graph.pruned(name, content, [*outputs, fed]), fed, recipe.shape)
    content = graph.pruned(name, content, outputs)
    shape = _shape(name, content, fed)

    def network(image: Any) -> Any:
        elements = [graph.tensor_name(each) for each in outputs]
        return tf.graph_util.import_graph_def(
            content, input_map={graph.tensor_name(fed): image}, return_elements=elements, name=""
        )

    try:
        with chatter_held():
            picture = tf.TensorSpec(shape, tf.float32, name="image")
            function = tf.function(network, input_signature=[picture], autograph=False).get_concrete_function()
    except (ValueError, TypeError, KeyError, tf.errors.OpError) as error:
        raise InputError(f"{name}: cannot be built ({first_line(error)}): export the model again") from error
    shots = list(calibration.pictures(files, (shape[2], shape[1]), recipe.pictures)) if files else []
    measured = measured_on(shots, recipe.mean, recipe.std)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    return converted(converter, name, recipe.numbers, measured, float_outputs=recipe.float_outputs)


def _shape(source: str, content: Any, fed: str) -> tuple[int, ...]:
    (node,) = [node for node in content.node if node.name == fed.split(":", maxsplit=1)[0]] or [None]
    shape = tuple(dim.size for dim in node.attr["shape"].shape.dim) if node else ()
    if not shape or min(shape) < 1:
        raise InputError(f"{source}: its input is {list(shape)}: give --input-shape, as in 1,300,300,3")
    return shape
