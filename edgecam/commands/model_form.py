"""`edgecam models form`: state in a model file how edgecam is to speak to it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from edgecam import console
from edgecam.commands.options import JsonOption
from edgecam.errors import InputError

if TYPE_CHECKING:
    from edgecam.modelfile.form import Resize


def register(commands: typer.Typer) -> None:
    """Add the command to those of `edgecam models`."""
    commands.command("form")(form)


def form(
    model: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="The .tflite file; it is not changed.")],
    to: Annotated[Path, typer.Option("--to", metavar="FILE", readable=False, help="The file to write.")],
    family: Annotated[str, typer.Option("--family", metavar="NAME", help="The family, see docs/models.md.")],
    resize: Annotated[
        str, typer.Option("--resize", metavar="stretch|letterbox", help="How pictures were fitted in training.")
    ] = "stretch",
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of the family, VALUE in JSON; may be repeated."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a copy of a model that states its form, where its outputs alone do not tell edgecam what they mean."""
    from edgecam import models
    from edgecam.modelfile import ModelFile, ModelForm
    from edgecam.modelfile.form import write_form

    options = dict(_option(text) for text in option or [])
    try:
        stated = ModelForm(family, cast("Resize", resize), options)
    except ValueError as error:
        raise InputError(str(error)) from error
    part = to.with_name(to.name + ".part")
    try:
        part.write_bytes(write_form(ModelFile.load(model).content, stated))
        models.check_detector(replace(ModelFile.load(part), path=model))
        part.replace(to)
    except OSError as error:
        raise InputError(f"{to}: cannot be written ({error.strerror}): name another place with --to") from error
    finally:
        part.unlink(missing_ok=True)
    if as_json:
        console.emit_json({"file": str(to), "family": family, "resize": resize, "options": options})
    else:
        console.emit(f"{to}: {family}, as stated; try it with `edgecam detect --model {to}`")


def _option(text: str) -> tuple[str, Any]:
    """Name and value of NAME=VALUE; a VALUE that is no JSON is a text."""
    name, mark, value = text.partition("=")
    if not name or not mark:
        raise InputError(f"option {text!r}: NAME=VALUE is wanted, as in bins=11")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
