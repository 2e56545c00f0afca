"""`edgecam models use`: which model the configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecam import console
from edgecam.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from edgecam.errors import ModelError

if TYPE_CHECKING:
    from edgecam.config import Config
    from edgecam.models import Model


def register(commands: typer.Typer) -> None:
    """Add the command to those of `edgecam models`."""
    commands.command("use")(use)


def use(
    model: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="A model's name or file; auto: the best one that is present.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Have the configuration name this model, once it has proved to be one that edgecam runs."""
    from edgecam.composition import model_folders
    from edgecam.config import load
    from edgecam.config.editing import change
    from edgecam.models import resolve

    settings = load(config)
    chosen = resolve(model, model_folders(settings))
    notes = [_checked(chosen, settings), _hidden(model, chosen, settings)]
    name = str(chosen.path.absolute()) if _is_path(model) else "auto" if model == "auto" else chosen.name
    before = change(config, "detector", "model", name) or "auto"
    if as_json:
        console.emit_json({"config": str(config), "model": name, "before": before, "file": str(chosen.path)})
    elif before == name:
        console.emit(f"{config}: the model is {name} already: {chosen.path}")
    else:
        console.emit(f"{config}: the model was {before}, from the next start on it is {name}: {chosen.path}")
        console.emit("a service that runs is started again by: systemctl restart edgecam")
    for note in filter(None, notes):
        console.say(f"{chosen.name}: {note}")


def _checked(model: Model, settings: Config) -> str:
    """What is to be known of a model that suits this configuration. Raises ModelError where it does not."""
    from edgecam.composition import build_detector, model_folders
    from edgecam.models import check_detector, labels_for, load, pair_of

    check_detector(load(model.path))
    pair = pair_of(model, model_folders(settings))
    if settings.detector.device == "cpu" and pair.cpu is None:
        raise ModelError(pair.missing)
    build_detector(settings, model)
    labels_for(pair, Path(settings.detector.labels) if settings.detector.labels else None)
    return pair.note


def _hidden(said: str, model: Model, settings: Config) -> str:
    """What to do about a model that this user finds by its name and the service does not, "" where there is none."""
    from edgecam import bundled
    from edgecam.composition import model_folders
    from edgecam.models.folders import SERVICE

    found = (*model_folders(settings), SERVICE, bundled.models_folder())
    if _is_path(said) or model.path.parent in found:
        return ""
    return f"{model.path.parent} is not where the service looks: copy {model.path.name} to {found[0]}"


def _is_path(said: str) -> bool:
    """Whether a user means a file, as `edgecam.models.resolve` has it."""
    path = Path(said).expanduser()
    return path.is_file() or path.name != said
