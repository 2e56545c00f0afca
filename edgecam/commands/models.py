"""`edgecam models`: which models there are, and what they are."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from edgecam import console
from edgecam.commands.options import MODEL_FOLDERS, JsonOption

commands = typer.Typer(help="List models, or describe one.")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(commands, name="models")


@commands.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """List the models that are present, then those that are known but not here."""
    from edgecam import models

    found = models.list_models(MODEL_FOLDERS)
    if as_json:
        console.emit_json(found)
    else:
        console.emit_table(("name", "present", "input", "classes", "about"), map(_row, found))


@commands.command()
def info(
    model: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A model's name or file; auto: what would run.")],
    as_json: JsonOption = False,
) -> None:
    """Describe a model: what it takes, what it knows, what it is good for."""
    from edgecam import models

    described = models.info(models.resolve(model, MODEL_FOLDERS))
    if as_json:
        console.emit_json(described)
    if described["problem"]:
        console.say(described["problem"])
        raise typer.Exit(1)
    if not as_json:
        console.emit_fields({name: value for name, value in described.items() if value not in (None, "")})


def _row(model: dict[str, Any]) -> list[str]:
    """One line of the list."""
    size = "x".join(map(str, model["input"])) if model["input"] else "-"
    classes = "-" if model["classes"] is None else str(model["classes"])
    about = model["problem"] or model["note"] or model["about"] or model["file"]
    return [model["name"], "yes" if model["present"] else "no", size, classes, about]
