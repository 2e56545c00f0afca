"""TensorFlow 1's detectors to .tflite: a frozen tflite_graph.pb, or a checkpoint where the Object Detection API is."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from conversion import checking
from conversion.flat import CLASSIC_INPUT, with_classic_outputs
from conversion.quantising import converted
from conversion.tensorflow_door import chatter_held, first_line, tensorflow
from conversion.writing import Steps, write_model
from edgecam.errors import InputError
from edgecam.labels import load_labels
from edgecam.modelfile import POSTPROCESS_OP
from edgecam.modelfile.form import ModelForm, write_form

_OUTPUTS = tuple(POSTPROCESS_OP + (f":{number}" if number else "") for number in range(4))
_API = "Object Detection API (tensorflow/models, research/object_detection; needs tf_slim and compiled protos)"


class InferenceType(StrEnum):
    """The classic tool's names for what a model counts in."""

    FLOAT = "FLOAT"
    QUANTIZED_UINT8 = "QUANTIZED_UINT8"


@dataclass(frozen=True, slots=True)
class Recipe:
    """The options that the classic tool (TOCO) had; None for the post-process operation: as the graph has it.

    `shape` None: the graph's own. `ranges` (least, greatest) for what the training did not measure.
    """

    input_array: str = CLASSIC_INPUT
    shape: tuple[int, ...] | None = None
    inference: InferenceType = InferenceType.QUANTIZED_UINT8
    mean: float = 128.0
    std: float = 128.0
    ranges: tuple[float, float] | None = None
    score_threshold: float | None = None
    max_detections: int | None = None
    regular_nms: bool | None = None

    def post_process(self) -> Mapping[str, Any]:
        """What of the post-process operation is to be changed."""
        stated = {
            "nms_score_threshold": self.score_threshold,
            "max_detections": self.max_detections,
            "use_regular_nms": self.regular_nms,
        }
        return {name: value for name, value in stated.items() if value is not None}


def convert(source: Path, output: Path, recipe: Recipe, labels: Path | None = None, work: Path | None = None) -> Path:
    """Convert a frozen graph; returns the model that was written. Raises InputError."""
    given = load_labels(labels) if labels else None
    content = read_graph(source)
    operation = _prepared(source, content, recipe)
    shape = _shape(source, content, recipe)
    steps = Steps(work, [source], recipe)
    made = steps.step(f"{recipe.inference} model", lambda: _converted(source, content, recipe, shape))
    name = "float" if recipe.inference is InferenceType.FLOAT else "uint8"
    path = output / f"{source.stem}-{name}.tflite"
    form = ModelForm("ssd-postprocess", options={"mean": [recipe.mean], "std": [recipe.std]})
    fitted = given.fitted(operation.attr["num_classes"].i) if given else None
    write_model(path, write_form(made, form), fitted, checking.runs)
    return path


def read_graph(source: Path) -> Any:
    """A frozen graph. Raises InputError where the file is none."""
    tf = tensorflow()
    from google.protobuf.message import DecodeError

    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(source.read_bytes())
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror}): give a frozen tflite_graph.pb") from error
    except DecodeError as error:
        raise InputError(f"{source}: damaged, or no frozen graph: give a tflite_graph.pb, not a SavedModel") from error
    if not graph.node:
        raise InputError(f"{source}: has no operations: give a frozen tflite_graph.pb")
    return graph


def _prepared(source: Path, graph: Any, recipe: Recipe) -> Any:
    """The graph's post-process operation, with the recipe's changes made in it."""
    found = [node for node in graph.node if node.op == POSTPROCESS_OP]
    if len(found) != 1:
        raise InputError(
            f"{source}: has no {POSTPROCESS_OP}: export it with export_tflite_ssd_graph.py --add_postprocessing_op"
        )
    variables = [node.name for node in graph.node if node.op in ("Variable", "VariableV2", "VarHandleOp")]
    if variables:
        raise InputError(f"{source}: is not frozen ({variables[0]} is a variable): freeze it, or give its checkpoint")
    for name, value in recipe.post_process().items():
        kind = {bool: "b", int: "i", float: "f"}[type(value)]
        setattr(found[0].attr[name], kind, value)
    return found[0]


def _shape(source: Path, graph: Any, recipe: Recipe) -> tuple[int, ...]:
    nodes = [node for node in graph.node if node.name == recipe.input_array]
    if not nodes:
        known = ", ".join(node.name for node in graph.node if node.op == "Placeholder") or "none"
        raise InputError(f"{source}: has no input {recipe.input_array!r}: give --input-array, one of {known}")
    shape = recipe.shape or tuple(dim.size for dim in nodes[0].attr["shape"].shape.dim)
    if len(shape) != 4 or min(shape) < 1:
        raise InputError(f"{source}: its input is {list(shape)}: give --input-shape, as in 1,320,320,3")
    return shape


def _converted(source: Path, graph: Any, recipe: Recipe, shape: Sequence[int]) -> bytes:
    tf = tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "tflite_graph.pb"
        prepared.write_bytes(graph.SerializeToString())
        name = recipe.input_array
        try:
            with chatter_held():
                converter = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(
                    str(prepared), [name], list(_OUTPUTS), {name: list(shape)}
                )
        except (ValueError, TypeError, OSError, tf.errors.OpError) as error:
            raise InputError(f"{source}: {first_line(error)}: export the graph again") from error
        if recipe.inference is InferenceType.QUANTIZED_UINT8:
            converter.inference_type = converter.inference_input_type = tf.uint8
            converter.quantized_input_stats = {name: (recipe.mean, recipe.std)}
            converter.change_concat_input_ranges = False
            converter.default_ranges_stats = recipe.ranges
        return with_classic_outputs(converted(converter, str(source)), recipe.input_array)


def export_checkpoint(checkpoint: Path, pipeline: Path, folder: Path, recipe: Recipe) -> Path:
    """Freeze a checkpoint by the Object Detection API; returns the frozen graph in `folder`. Raises InputError."""
    missing = [each for each in (pipeline, checkpoint.with_name(checkpoint.name + ".index")) if not each.is_file()]
    if missing:
        raise InputError(
            f"{missing[0]}: no such file: give --checkpoint as in model.ckpt-400000, and its pipeline.config"
        )
    tf = tensorflow()
    try:
        from google.protobuf import text_format
        from object_detection import export_tflite_ssd_graph_lib
        from object_detection.protos import pipeline_pb2
    except ImportError as error:
        raise InputError(f"{checkpoint}: {error}: a checkpoint needs the {_API}, or give a frozen graph") from error
    config = pipeline_pb2.TrainEvalPipelineConfig()
    try:
        text_format.Merge(pipeline.read_text(), config)
        with tf.Graph().as_default():
            export_tflite_ssd_graph_lib.export_tflite_graph(
                config,
                str(checkpoint),
                str(folder),
                add_postprocessing_op=True,
                max_detections=recipe.max_detections or 10,
                max_classes_per_detection=1,
                use_regular_nms=bool(recipe.regular_nms),
            )
    except (text_format.ParseError, tf.errors.OpError, ValueError, OSError) as error:
        raise InputError(f"{checkpoint}: cannot be exported: {first_line(error)}") from error
    return folder / "tflite_graph.pb"
