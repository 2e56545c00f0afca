"""`edgecam evaluate`: how good is this model?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgecam import console
from edgecam.commands.options import DeviceOption, JsonOption, LabelsOption, ModelOption, ThreadsOption


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(evaluate)


def evaluate(  # noqa: PLR0913, PLR0917 (the options of the command)
    images: Annotated[Path, typer.Option("--images", metavar="DIR", readable=False, help="The folder of pictures.")],
    annotations: Annotated[
        Path,
        typer.Option("--annotations", metavar="FILE", readable=False, help="What is in them, in COCO's JSON format."),
    ],
    model: ModelOption = None,
    labels: LabelsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    tiles: Annotated[
        str, typer.Option("--tiles", metavar="CxR", help="Look at tiles, too, such as 2x2; see [detector] tiles.")
    ] = "",
    tile_overlap: Annotated[
        float, typer.Option("--tile-overlap", metavar="PART", min=0, max=0.5, help="What neighbours share, 0 to 0.5.")
    ] = 0.3,
    as_json: JsonOption = False,
) -> None:
    """Measure a model's COCO average precision on annotated pictures. Needs the extra `eval`."""
    from edgecam.commands.choosing import chosen_detector
    from edgecam.evaluation import evaluate as measure
    from edgecam.tiling import Tiling

    try:
        tiling = Tiling.parse(tiles, tile_overlap)
    except ValueError as error:
        raise typer.BadParameter(f"--tiles {tiles}: {error}") from error
    detector = chosen_detector(device, model, labels, threads, tiling)
    with detector, console.progress("evaluating") as tick:
        figures = measure(detector, images, annotations, progress=tick)
    if as_json:
        console.emit_json(figures)
    else:
        console.emit_table(("figure", "value"), [(name, _figure(value)) for name, value in figures.items()])


def _figure(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"
