"""NanoDet to .tflite: channel-last, raw RGB in; out, for each stride, the scores and distance bins of its places."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from conversion import calibration, checking, flat, graph, onnx_file, onnx_ops, picture_ops, tensorflow_ops, tfjs_file
from conversion.graph import Graph
from conversion.layout import Value, apart
from conversion.quantising import Numbers, converted, measured_on
from conversion.tensorflow_door import tensorflow
from conversion.writing import Steps, write_model
from edgecam.errors import InputError
from edgecam.labels import COCO, Labels, load_labels
from edgecam.modelfile.form import ModelForm, write_form
from edgecam.modelfile.schema import walk

#: What the published NanoDet models were trained on, in their order of channels, BGR (their configuration files).
MEAN, STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
_STRIDES = (4, 8, 16, 32, 64, 128)
#: Distance bins of m (reg_max 7) and of g, e, t and plus (reg_max 10).
_BINS = (8, 11)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a NanoDet was trained, and what it shall count in.

    `mean` and `std` are in the network's order of channels. `bins` and `classes` None: told from the shapes.
    `center_offset`, in strides, is where the centre of a place is: 0.5 in the first NanoDets, 0 in NanoDet-Plus, which
    has four strides; None: told from their number.
    """

    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    bgr: bool = True
    resize: str = "stretch"
    bins: int | None = None
    classes: int | None = None
    center_offset: float | None = None
    numbers: Numbers = Numbers.none
    pictures: int = 200
    for_edgetpu: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """What is converted, and the folder of pictures its integers are measured on."""

    model: Path
    pictures: Path | None = None
    labels: Path | None = None
    work: Path | None = None


def convert(source: Source, output: Path, recipe: Recipe) -> Path:
    """Convert a model.json or an .onnx file; returns the model that was written. Raises InputError."""
    files = calibration.picture_files(source.pictures) if source.pictures else []
    given = load_labels(source.labels) if source.labels else None
    network = _read(source.model)
    if recipe.for_edgetpu:
        network = with_sloped_relus(network)
    steps = Steps(source.work, [source.model, *files], recipe)
    kind = ("float" if recipe.numbers is Numbers.none else str(recipe.numbers)) + ("-tpu" if recipe.for_edgetpu else "")
    content = steps.step(f"{kind} model", lambda: _converted(network, files, recipe))
    form, classes = _form(content, recipe, network.source)
    if given is None and classes == len(COCO.known()):
        given = Labels(tuple(name for name in COCO.names if name), "COCO's 80 classes")
    path = output / f"{source.model.stem}-{kind}.tflite"
    write_model(path, write_form(content, form), given.fitted(classes) if given else None, checking.runs)
    return path


def with_sloped_relus(network: Graph) -> Graph:
    """The network with its leaky ReLUs as the Edge TPU has them."""
    nodes = (replace(node, op="SlopedRelu") if node.op == "LeakyRelu" else node for node in network.nodes)
    return replace(network, nodes=tuple(nodes))


def _read(path: Path) -> Graph:
    if path.suffix == ".onnx":
        return onnx_file.read_onnx(path)
    return graph.from_tfjs(tfjs_file.read_tfjs(path))


def _converted(network: Graph, files: Sequence[Path], recipe: Recipe) -> bytes:
    tf = tensorflow()
    width, height = _size(network)
    names: list[str] = []

    def levels(image: Any) -> list[Any]:
        found = list(_levels(_run(network, image, recipe), (width, height), recipe, network.source))
        names[:] = [name for name, _ in found]
        return [tensor for _, tensor in found]

    picture = tf.TensorSpec([1, height, width, 3], tf.float32, name="image")
    function = tf.function(levels, input_signature=[picture], autograph=False).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    shots = list(calibration.pictures(files, (width, height), recipe.pictures, recipe.resize)) if files else []
    content = converted(converter, network.source, recipe.numbers, measured_on(shots))
    return flat.with_names(content, "image", names)


def _size(network: Graph) -> tuple[int, int]:
    """Width and height of the network's picture."""
    shapes = list(network.inputs.values())
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][:2] != (1, 3) or min(shapes[0]) < 1:
        raise InputError(f"{network.source}: takes {shapes}, one picture [1, 3, height, width] is wanted of a NanoDet")
    return shapes[0][3], shapes[0][2]


def _run(network: Graph, image: Any, recipe: Recipe) -> list[Value]:
    (name,) = network.inputs
    picture = picture_ops.levels_to_channels(image, recipe.mean, recipe.std, bgr=recipe.bgr)
    operations = onnx_ops if network.opset else tensorflow_ops
    outputs = operations.run(network, {name: picture})
    return [part for output in outputs for part in apart(output)]


def _levels(parts: Sequence[Value], size: tuple[int, int], recipe: Recipe, source: str) -> Iterator[tuple[str, Any]]:
    """Names and tensors of the outputs: scores and bins of each stride, the finest first."""
    shapes = [part.shape for part in parts]
    if any(len(shape) != 3 or shape[0] != 1 for shape in shapes):
        raise InputError(f"{source}: gives {_listed(shapes)}, not the outputs of a NanoDet: is it another network?")
    bins = recipe.bins or _bins(shapes, recipe, source)
    left = list(parts)
    for stride in _STRIDES:
        places = -(-size[0] // stride) * -(-size[1] // stride)
        here = [part for part in left if part.shape[1] == places]
        if not here:
            continue
        scores = [part for part in here if part.shape[2] == (recipe.classes or part.shape[2]) != 4 * bins]
        distances = [part for part in here if part.shape[2] == 4 * bins]
        if len(scores) != 1 or len(distances) != 1:
            raise InputError(
                f"{source}: gives {_listed(shapes)}: say --bins and --classes, they do not tell themselves"
            )
        left = [part for part in left if part.shape[1] != places]
        yield f"scores_{stride}", scores[0].plain()
        yield f"bins_{stride}", distances[0].plain()


def _bins(shapes: Sequence[tuple[int, ...]], recipe: Recipe, source: str) -> int:
    """The distance bins: 4 * 8 or 4 * 11 numbers for each place, beside its scores."""
    widths = {shape[2] for shape in shapes} - {recipe.classes}
    found = [bins for bins in _BINS if 4 * bins in widths]
    if len(found) != 1:
        raise InputError(f"{source}: gives {_listed(shapes)}: say --bins, the number for each side of a box")
    return found[0]


def _form(content: bytes, recipe: Recipe, source: str) -> tuple[ModelForm, int]:
    """The form of a converted model, and its number of classes."""
    main = walk(content).graphs[0]
    outputs = [main.tensors[index] for index in main.outputs]
    strides = [
        int(tensor.name.removeprefix("scores_")) for tensor in outputs if re.fullmatch(r"scores_\d+", tensor.name)
    ]
    if not strides:
        raise InputError(f"{source}: gives nothing for strides {_STRIDES}: is it a NanoDet?")
    classes, bins = outputs[0].shape[2], outputs[1].shape[2] // 4
    offset = recipe.center_offset
    if offset is None:
        offset = 0.0 if len(strides) > 3 else 0.5
    options = {"strides": strides, "bins": bins, "center_offset": offset, "scores": "sigmoid", "mean": [0], "std": [1]}
    return ModelForm("nanodet", "letterbox" if recipe.resize == "letterbox" else "stretch", options), classes


def _listed(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(str(list(shape)) for shape in shapes[:8])
