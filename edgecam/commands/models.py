"""`edgecam models`: which models there are, what they are, and how to get the published ones."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from edgecam import console
from edgecam.commands import model_choice, model_form
from edgecam.commands.options import JsonOption

commands = typer.Typer(
    help="List models, describe, verify or use one, pull published ones, state the form of your own."
)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    model_form.register(commands)
    model_choice.register(commands)
    app.add_typer(commands, name="models")


@commands.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """List the models that are present, then those that are known but not here."""
    from edgecam import models

    found = models.list_models()
    if as_json:
        console.emit_json(found)
    else:
        console.emit_table(("name", "present", "input", "classes", "about"), map(_row, found))


@commands.command()
def info(
    model: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A model's name or file; auto: what would run.")],
    as_json: JsonOption = False,
) -> None:
    """Describe any .tflite file: what it takes and puts out, what it needs to run, its labels, how it counts."""
    from edgecam import models
    from edgecam.commands.model_card import lines_of

    described = models.info(models.resolve(model))
    if as_json:
        console.emit_json(described)
    if described["problem"]:
        console.say(described["problem"])
        raise typer.Exit(1)
    if not as_json:
        console.emit("\n".join(lines_of(described)))


@commands.command()
def pull(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Names, as `edgecam models list` shows them.")],
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="DIR",
            readable=False,
            help="The folder for them (default: $EDGECAM_MODELS, else /var/lib/edgecam/models where you may write,"
            " else ~/.local/share/edgecam/models).",
        ),
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="URL",
            envvar="EDGECAM_MODELS_MIRROR",
            help="A folder to take them from, http(s):// or file:// (default: their publisher).",
        ),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Fetch published models, and verify them by their checksums before they take their place."""
    from edgecam.models import folders, pulling

    wanted = [pulling.published(name) for name in names]
    folder = to or folders.for_new_models()
    done = []
    for model in wanted:
        fetched = pulling.pull(
            model,
            folder,
            source=source,
            watch=partial(console.progress, f"{model.name} (bytes)"),
            waiting=partial(console.say, f"{model.name}: another pull fetches it: waiting for that one"),
        )
        done.append({"name": model.name, "file": str(folder / model.file), "pulled": fetched})
        if not as_json:
            how = "pulled and verified" if fetched else "already here, verified"
            console.emit(f"{model.name}: {how}: {folder / model.file}")
    if as_json:
        console.emit_json(done)


@commands.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME|FILE]...", show_default=False, help="Models (default: all that are here)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check model files, the published ones by their checksums. Exits 1 where one is wrong."""
    from edgecam.models.verification import verify as verdicts

    found = list(verdicts(names or ()))
    if as_json:
        console.emit_json([asdict(each) | {"path": str(each.path)} for each in found])
    else:
        console.emit_table(("name", "file is", "file"), ((each.name, each.state, each.path) for each in found))
    wrong = [each for each in found if each.state == "wrong"]
    for each in wrong:
        console.say(each.problem)
    if wrong:
        raise typer.Exit(1)


def _row(model: dict[str, Any]) -> list[str]:
    """One line of the list."""
    size = "x".join(map(str, model["input"])) if model["input"] else "-"
    classes = "-" if model["classes"] is None else str(model["classes"])
    about = model["problem"] or model["note"] or model["about"] or model["file"]
    return [model["name"], "yes" if model["present"] else "no", size, classes, about]
