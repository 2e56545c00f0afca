"""The command line of tools/convert: from arguments to conversions, from errors to exit codes."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Annotated

import typer

from conversion import edgetpu, nanodet, tf1_ssd, tf2_ssd, tfjs
from conversion.flat import CLASSIC_INPUT
from conversion.quantising import Numbers
from edgecam import console
from edgecam.errors import EdgecamError, InputError

FAILED, INTERRUPTED = 1, 130

app = typer.Typer(
    name="convert",
    help="From the forms in which detectors are published to .tflite files that edgecam runs.",
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Source = Annotated[Path, typer.Argument(metavar="SOURCE", readable=False, help="What to convert.")]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where the model goes.")]
Quantise = Annotated[Numbers, typer.Option("--quantise", "-q", help="What the model counts in; none: floats.")]
Calibrate = Annotated[
    Path | None,
    typer.Option("--calibrate", metavar="DIR", help="Pictures like those of the camera, to measure integers on."),
]
Pictures = Annotated[int, typer.Option("--pictures", metavar="N", min=1, help="How many pictures to measure on.")]
LabelFile = Annotated[Path | None, typer.Option("--labels", "-l", metavar="FILE", help="The names of the classes.")]
Work = Annotated[
    Path | None, typer.Option("--work", metavar="DIR", help="Keep finished steps here, and take up those found here.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def _numbers(text: str | None, option: str, count: int | None = None) -> tuple[float, ...] | None:
    """The numbers of an option, with commas between them."""
    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or (count and len(numbers) != count):
        raise InputError(f"{option} {text!r}: {count or 'some'} numbers with commas between them are wanted")
    return numbers


def _shape(text: str | None) -> tuple[int, ...] | None:
    numbers = _numbers(text, "--input-shape", 4)
    return None if numbers is None else tuple(int(number) for number in numbers)


def _check_calibration(numbers: Numbers, folder: Path | None) -> Path | None:
    """The folder, where it is needed."""
    if numbers is not Numbers.none and folder is None:
        raise InputError(f"--quantise {numbers}: give --calibrate, a folder of pictures to measure integers on")
    return folder if numbers is not Numbers.none else None


def _done(path: Path) -> None:
    console.emit(str(path))


@app.command("nanodet")
def convert_nanodet(
    source: Source,
    output: Output = Path(),
    quantise: Quantise = Numbers.none,
    calibrate: Calibrate = None,
    labels: LabelFile = None,
    bins: Annotated[int | None, typer.Option(min=2, help="Distance bins of each side: 8 for m, 11 for g.")] = None,
    classes: Annotated[int | None, typer.Option(min=1, help="The number of classes.")] = None,
    center_offset: Annotated[
        float | None, typer.Option(min=0, max=1, help="Where centres are, in strides: 0.5, or 0 for NanoDet-Plus.")
    ] = None,
    mean: Annotated[str, typer.Option(help="Of the channels in training, in their order.")] = "103.53,116.28,123.675",
    std: Annotated[str, typer.Option(help="Likewise.")] = "57.375,57.12,58.395",
    channels: Annotated[str, typer.Option(help="Their order in training: bgr or rgb.")] = "bgr",
    letterbox: Annotated[bool, typer.Option("--letterbox", help="Trained on pictures that kept their shape.")] = False,
    for_edgetpu: Annotated[
        bool, typer.Option("--edgetpu", help="With operators that the Edge TPU has: PRELU for leaky ReLU.")
    ] = False,
    pictures: Pictures = 200,
    work: Work = None,
) -> None:
    """NanoDet from a TensorFlow.js model.json or an .onnx file."""
    if channels not in ("bgr", "rgb"):
        raise InputError(f"--channels {channels}: bgr or rgb")
    recipe = nanodet.Recipe(
        mean=_numbers(mean, "--mean", 3) or (),
        std=_numbers(std, "--std", 3) or (),
        bgr=channels == "bgr",
        resize="letterbox" if letterbox else "stretch",
        bins=bins,
        classes=classes,
        center_offset=center_offset,
        numbers=quantise,
        pictures=pictures,
        for_edgetpu=for_edgetpu,
    )
    given = nanodet.Source(source, _check_calibration(quantise, calibrate), labels, work)
    _done(nanodet.convert(given, output, recipe))


@app.command("tf1-ssd")
def convert_tf1_ssd(
    source: Annotated[Path | None, typer.Argument(metavar="[GRAPH]", help="A frozen tflite_graph.pb.")] = None,
    output: Output = Path(),
    checkpoint: Annotated[Path | None, typer.Option(help="Instead of a graph, as in model.ckpt-400000.")] = None,
    pipeline: Annotated[Path | None, typer.Option(help="The checkpoint's pipeline.config.")] = None,
    input_array: Annotated[str, typer.Option(help="The graph's input.")] = CLASSIC_INPUT,
    input_shape: Annotated[str | None, typer.Option(help="As in 1,320,320,3; default: the graph's own.")] = None,
    inference_type: Annotated[
        tf1_ssd.InferenceType, typer.Option(help="What the model counts in.")
    ] = tf1_ssd.InferenceType.QUANTIZED_UINT8,
    mean: Annotated[float, typer.Option(help="Of the input: (value - mean) / std.")] = 128.0,
    std: Annotated[float, typer.Option(help="Likewise.")] = 128.0,
    default_ranges: Annotated[
        str | None, typer.Option(help="As in 0,6: for what the training did not measure.")
    ] = None,
    score_threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score; default: the graph's.")
    ] = None,
    max_detections: Annotated[int | None, typer.Option(min=1, help="Most detections; default: the graph's.")] = None,
    regular_nms: Annotated[
        bool | None, typer.Option("--regular-nms/--fast-nms", help="Class by class, or not; default: the graph's.")
    ] = None,
    labels: LabelFile = None,
    work: Work = None,
) -> None:
    """TensorFlow 1's SSD from a frozen graph with the post-process operation, as the classic tool (TOCO) did it."""
    ranges = _numbers(default_ranges, "--default-ranges", 2)
    recipe = tf1_ssd.Recipe(
        input_array=input_array,
        shape=_shape(input_shape),
        inference=inference_type,
        mean=mean,
        std=std,
        ranges=(ranges[0], ranges[1]) if ranges else None,
        score_threshold=score_threshold,
        max_detections=max_detections,
        regular_nms=regular_nms,
    )
    if (source is None) == (checkpoint is None) or (checkpoint is None) != (pipeline is None):
        raise InputError("give a frozen graph, or --checkpoint and --pipeline")
    if source is not None:
        return _done(tf1_ssd.convert(source, output, recipe, labels, work))
    assert checkpoint is not None
    assert pipeline is not None
    with tempfile.TemporaryDirectory() as folder:
        graph = tf1_ssd.export_checkpoint(checkpoint, pipeline, Path(folder), recipe)
        return _done(tf1_ssd.convert(graph, output, recipe, labels, work))


@app.command("tf2-ssd")
def convert_tf2_ssd(
    source: Source,
    output: Output = Path(),
    quantise: Quantise = Numbers.none,
    calibrate: Calibrate = None,
    labels: LabelFile = None,
    mean: Annotated[float, typer.Option(help="Of the input: (value - mean) / std.")] = 127.5,
    std: Annotated[float, typer.Option(help="Likewise.")] = 127.5,
    letterbox: Annotated[bool, typer.Option("--letterbox", help="Trained on pictures that kept their shape.")] = False,
    pictures: Pictures = 200,
    work: Work = None,
) -> None:
    """TensorFlow 2's SSD from a SavedModel that export_tflite_graph_tf2.py wrote."""
    resize = "letterbox" if letterbox else "stretch"
    recipe = tf2_ssd.Recipe(quantise, mean, std, resize, pictures)
    _done(tf2_ssd.convert(source, output, recipe, _check_calibration(quantise, calibrate), labels, work))


@app.command("tfjs")
def convert_tfjs(
    source: Source,
    output: Output = Path(),
    quantise: Quantise = Numbers.none,
    calibrate: Calibrate = None,
    input_name: Annotated[str | None, typer.Option("--input", help="Where the picture goes in.")] = None,
    input_shape: Annotated[str | None, typer.Option(help="As in 1,300,300,3; default: the model's own.")] = None,
    outputs: Annotated[str | None, typer.Option(help="Names with commas between them.")] = None,
    mean: Annotated[float, typer.Option(help="Of the input: (value - mean) / std.")] = 127.5,
    std: Annotated[float, typer.Option(help="Likewise.")] = 127.5,
    float_outputs: Annotated[bool, typer.Option("--float-outputs", help="Integers inside, floats out.")] = False,
    form: Annotated[Path | None, typer.Option(metavar="FILE", help="The form to state in it, as JSON.")] = None,
    labels: LabelFile = None,
    pictures: Pictures = 200,
    work: Work = None,
) -> None:
    """Any TensorFlow.js graph model, as it is; shards and weights of one, two or four bytes."""
    recipe = tfjs.Recipe(
        numbers=quantise,
        input_name=input_name,
        outputs=tuple(outputs.split(",")) if outputs else None,
        shape=_shape(input_shape),
        mean=mean,
        std=std,
        float_outputs=float_outputs,
        pictures=pictures,
        form=tfjs.read_form(form) if form else None,
    )
    _done(tfjs.convert(source, output, recipe, _check_calibration(quantise, calibrate), labels, work))


@app.command("edgetpu")
def compile_for_edgetpu(
    source: Annotated[Path | None, typer.Argument(metavar="[MODEL]", help="A .tflite file in integers.")] = None,
    output: Output = Path(),
    log: Annotated[Path | None, typer.Option(metavar="FILE", help="Only read a log of edgetpu_compiler.")] = None,
    as_json: Json = False,
) -> None:
    """Compile a model with edgetpu_compiler, and say what runs on the Edge TPU and what does not."""
    if (source is None) == (log is None):
        raise InputError("give a model to compile, or --log with the log of a compilation")
    if log is not None:
        return _tell(edgetpu.read_log(log), as_json)
    assert source is not None
    file = edgetpu.checked(source)
    if edgetpu.find_compiler() is None:
        console.say(f"{source}: expected, by the Edge TPU's list of operators alone:")
        _tell(edgetpu.Report("", {}, tuple(edgetpu.expected(file))), as_json)
        raise InputError(f"{edgetpu.COMPILER} is not installed: {edgetpu.remedy(source)}")
    path, report = edgetpu.compiled(source, output)
    console.say(f"{path}: {report.on_tpu} operators on the Edge TPU, {report.on_cpu} on the CPU")
    return _tell(report, as_json)


def _tell(report: edgetpu.Report, as_json: bool) -> None:  # noqa: FBT001 -- as the option is
    if as_json:
        console.emit_json(report.document())
    else:
        console.emit_table(("operator", "count", "status"), report.rows())
    for line in report.warnings():
        console.say(line)


def main(arguments: list[str] | None = None) -> int:
    """Run a conversion and return its exit code: 0 fine, 1 failed, 2 usage, 130 interrupted."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    warnings.simplefilter("ignore")
    for library in ("tensorflow", "absl", "edgecam"):
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        code = app(arguments, prog_name="tools/convert", standalone_mode=False)
        console.finish()
    except typer.TyperException as error:
        console.say(f"{error.format_message().rstrip('.')} (see 'tools/convert --help')")
        return int(error.exit_code)
    except EdgecamError as error:
        console.complain(error)
        return FAILED
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main())
