"""`edgecam detect`: what is in these pictures and videos?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecam import console
from edgecam.commands.options import (
    DeviceOption,
    JsonOption,
    LabelsOption,
    ModelOption,
    ThreadsOption,
    ThresholdOption,
)
from edgecam.errors import CameraError, InputError, ModelError

if TYPE_CHECKING:
    from edgecam.commands.copies import Copies
    from edgecam.commands.inputs import Input
    from edgecam.commands.looking import Look, Looker
    from edgecam.ports import Detector


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(detect)


def detect(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help="Pictures, videos, folders of them, URLs.")],
    model: ModelOption = None,
    labels: LabelsOption = None,
    threshold: ThresholdOption = 0.5,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", readable=False, help="Write annotated copies to this folder."),
    ] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Find things in pictures and videos, every frame of them.

    All inputs are looked up before the first is opened: one that is missing ends it there. One that proves broken
    is reported and left out, its copy too; the others are done all the same, and the exit code is 1.
    """
    from edgecam.commands.choosing import chosen_detector
    from edgecam.commands.copies import Copies
    from edgecam.commands.inputs import find_inputs

    found = find_inputs(inputs)
    copies = Copies(out, found) if out else None
    if copies:
        copies.check()
    with chosen_detector(device, model, labels, threads) as detector:
        if copies:
            copies.create()
        failed = _look_at_all(detector, threshold, found, copies, as_json=as_json)
    if failed:
        raise typer.Exit(1)


def _look_at_all(
    detector: Detector, threshold: float, inputs: Sequence[Input], copies: Copies | None, *, as_json: bool
) -> int:
    """Look at each input and say what was found; returns how many failed."""
    from edgecam.commands.looking import Looker

    looker = Looker(detector, threshold)
    results: list[dict[str, Any]] = []
    failed = 0
    only_pictures = all(each.kind == "picture" for each in inputs)
    with console.progress("frames", len(inputs) if only_pictures else None) as tick:
        for each in inputs:
            try:
                looks = _look_at(looker, each, copies, tick)
            except ModelError:
                raise
            except (InputError, CameraError) as error:
                failed += 1
                console.complain(error)
                continue
            if as_json:
                results += [_result(each, look) for look in looks]
            else:
                _print(each, looks)
    if as_json:
        console.emit_json({"model": detector.info.model, "runtime": detector.info.runtime, "results": results})
    return failed


def _look_at(looker: Looker, each: Input, copies: Copies | None, tick: Callable[[int], None]) -> list[Look]:
    with copies.writing(each) if copies else nullcontext() as copy:
        look = looker.picture if each.kind == "picture" else looker.video
        return look(each.name, copy, tick)


def _result(each: Input, look: Look) -> dict[str, Any]:
    """One entry of the JSON document, whose form is kept stable."""
    detections = [
        {"label": found.label, "score": round(found.score, 6), "bbox": [round(edge, 6) for edge in found.bbox]}
        for found in look.detections
    ]
    return {"input": each.shown, "frame": look.frame, "detections": detections}


def _print(each: Input, looks: Sequence[Look]) -> None:
    for look in looks:
        found = ", ".join(f"{detection.label} {detection.score:.2f}" for detection in look.detections)
        place = each.shown if each.kind == "picture" else f"{each.shown} frame {look.frame}"
        console.emit(f"{place}: {found or 'nothing'}")
