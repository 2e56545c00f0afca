"""`edgecam config`: check it, show it, describe it."""

from __future__ import annotations

import typer

from edgecam import console
from edgecam.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption

commands = typer.Typer(help="Check, show or describe the configuration.")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(commands, name="config")


@commands.command()
def check(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Say whether `edgecam run` would take the configuration, and all that is wrong with it."""
    from edgecam.config import load

    loaded = load(config, cameras_needed=True)
    cameras = ", ".join(f"{name} ({camera.type})" for name, camera in loaded.enabled_cameras.items())
    console.emit(f"{config}: ok: cameras {cameras}; model {loaded.detector.model}; data in {loaded.data_dir}")


@commands.command()
def show(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Print the configuration in force, defaults included, passwords hidden."""
    from edgecam.config import load, to_toml

    document = load(config).model_dump(mode="json")
    if as_json:
        console.emit_json(document)
    else:
        console.emit(to_toml(document).rstrip("\n"))


@commands.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors that complete and check TOML."""
    from edgecam.config import Config

    console.emit_json(Config.model_json_schema())
