"""The command line of tools/train: from labelled pictures to a model in one command, from errors to exit codes."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from conversion.tensorflow_door import chatter_held

from edgecam import console
from edgecam.errors import EdgecamError, InputError
from training import layouts, preparing
from training.labelled import Labelled
from training.layouts import Layout
from training.preparing import Recipe, Split

FAILED, INTERRUPTED = 1, 130
_SMALLEST_PX, _LARGEST_PX, _STEP_PX = 96, 640, 32
_MOST_COMPLAINTS = 50

app = typer.Typer(
    name="train",
    help="From labelled pictures to a detector that edgecam runs.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def train(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A folder of labelled pictures, or a file of COCO annotations.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where the model and all else goes.")],
    layout: Annotated[Layout, typer.Option(help="Of the labels; auto looks at the files.")] = Layout.auto,
    pictures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The pictures, where they are elsewhere.")
    ] = None,
    validation: Annotated[
        Path | None, typer.Option(metavar="SOURCE", help="Labelled pictures to be judged by; default: --held-out.")
    ] = None,
    held_out: Annotated[float, typer.Option(min=0.05, max=0.5, help="The part kept to be judged by.")] = 0.2,
    name: Annotated[str, typer.Option(help="What the model is to be called.")] = "custom",
    size: Annotated[str, typer.Option("--input", metavar="WxH", help="Its input, multiples of 32.")] = "320x192",
    epochs: Annotated[int, typer.Option(min=1, help="At most so often through all pictures.")] = 100,
    patience: Annotated[int, typer.Option(min=1, help="Stop after so many epochs without a better AP50.")] = 20,
    batch: Annotated[int, typer.Option(min=1, max=256, help="Pictures in a step.")] = 16,
    rate: Annotated[float, typer.Option(min=1e-6, max=0.1, help="The highest learning rate.")] = 1e-3,
    start: Annotated[
        str, typer.Option(metavar="demo|scratch|MODEL", help="Begin with the weights of a model made here.")
    ] = "demo",
    minutes: Annotated[float, typer.Option(min=0, help="Stop learning after so long; 0: no limit.")] = 0,
    threads: Annotated[int, typer.Option(min=0, help="0: one for each core.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of all chance.")] = 0,
    check: Annotated[bool, typer.Option("--check", help="Only read the labels and pictures.")] = False,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out what cannot be used.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, whatever --output holds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Train a detector on labelled pictures in COCO's, Pascal VOC's or YOLO's layout; docs/custom-model.md.

    The same command again goes on where a training stopped.
    """
    recipe = Recipe(_size(size), epochs, batch, rate, _start(start), held_out, seed)
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise InputError(f"--name {name!r}: letters, digits, . _ and - are wanted")
    own = _sound(layouts.read(source, layout, pictures), skip_broken)
    separate = _sound(layouts.read(validation, layout), skip_broken) if validation else None
    _tell(own)
    parts = preparing.split(own, held_out, separate)
    if check:
        return
    if batch > len(parts.train):
        raise InputError(f"--batch {batch}: there are {len(parts.train)} pictures to learn from")
    if fresh:
        for folder in ("work", "logs"):
            shutil.rmtree(output / folder, ignore_errors=True)
    figures = _make(output, name, parts, recipe, (patience, minutes or float("inf")), threads or os.cpu_count() or 1)
    if as_json:
        console.emit_json(figures)
    else:
        exported: Any = figures["exported"]
        console.say(f"AP50 {exported['AP50']:.3f} on {len(parts.validation)} pictures that it did not learn from")
        console.emit(str(figures["model"]))


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    sides = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(_SMALLEST_PX <= side <= _LARGEST_PX and side % _STEP_PX == 0 for side in sides):
        raise InputError(
            f"--input {text}: width x height, multiples of {_STEP_PX} from {_SMALLEST_PX} to {_LARGEST_PX}, as 320x192"
        )
    return sides


def _start(text: str) -> str:
    if text not in ("demo", "scratch") and not Path(text).is_file():
        raise InputError(f"--start {text}: demo, scratch, or a .tflite file that tools/train made")
    return text


def _sound(labelled: Labelled, skip_broken: bool) -> Labelled:  # noqa: FBT001
    """What can be used of labelled pictures; one line for all that cannot. Raises InputError if there is any."""
    complaints = [*labelled.complaints, *preparing.broken(labelled.pictures)]
    for complaint in complaints[:_MOST_COMPLAINTS]:
        console.say(complaint)
    if len(complaints) > _MOST_COMPLAINTS:
        console.say(f"… and {len(complaints) - _MOST_COMPLAINTS} more")
    if complaints and not skip_broken:
        raise InputError(f"{len(complaints)} labels or pictures cannot be used: correct them, or --skip-broken")
    return preparing.readable(labelled) if complaints else labelled


def _tell(labelled: Labelled) -> None:
    counts = ", ".join(f"{count} {label}" for label, count in labelled.counts().items())
    console.say(f"{len(labelled.pictures)} pictures in {labelled.layout}'s layout: {counts}")


def _make(
    output: Path, name: str, parts: Split, recipe: Recipe, limits: tuple[int, float], threads: int
) -> dict[str, object]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    try:
        with chatter_held():
            from training import course, making
    except ImportError as error:
        raise InputError(
            f"{error.name or error} is needed: run tools/train, which sets it up, or pip install '.[train]' on"
            " Python 3.11 or 3.12"
        ) from error
    return making.make(making.Place(output, name), parts, recipe, course.Limits(*limits), threads)


def main(arguments: list[str] | None = None) -> int:
    """Run a training and return its exit code: 0 fine, 1 failed, 2 usage, 130 interrupted."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    warnings.simplefilter("ignore")
    for library in ("tensorflow", "absl", "edgecam"):
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        code = app(arguments, prog_name="tools/train", standalone_mode=False)
        console.finish()
    except typer.TyperException as error:
        console.say(f"{error.format_message().rstrip('.')} (see 'tools/train --help')")
        return int(error.exit_code)
    except EdgecamError as error:
        console.complain(error)
        return FAILED
    except (KeyboardInterrupt, typer.Abort):
        console.say("interrupted: the same command goes on")
        return INTERRUPTED
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main())
