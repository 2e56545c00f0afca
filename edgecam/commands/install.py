"""`edgecam install` and `edgecam uninstall`: edgecam as a service of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgecam import console
from edgecam.installation.options import HELP, Options

DryRunOption = Annotated[bool, typer.Option("--dry-run", help=HELP["dry_run"])]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(install)
    app.command()(uninstall)


def install(
    dry_run: DryRunOption = False,
    wheel: Annotated[Path | None, typer.Option("--wheel", metavar="FILE", help=HELP["wheel"])] = None,
    offline: Annotated[Path | None, typer.Option("--offline", metavar="DIR", help=HELP["offline"])] = None,
    model: Annotated[list[str] | None, typer.Option("--model", metavar="NAME", help=HELP["model"])] = None,
    no_apt: Annotated[bool, typer.Option("--no-apt", help=HELP["no_apt"])] = False,
    no_coral: Annotated[bool, typer.Option("--no-coral", help=HELP["no_coral"])] = False,
    no_start: Annotated[bool, typer.Option("--no-start", help=HELP["no_start"])] = False,
    ready_within: Annotated[
        float, typer.Option("--ready-within", metavar="SECONDS", min=1.0, help=HELP["ready_within"])
    ] = Options.ready_within,
) -> None:
    """Install this edgecam as a service, or upgrade to it. It goes back by itself where the new one does not run.

    The configuration is written once, /etc/edgecam/edgecam.toml, and never changed after that.
    """
    from edgecam.installation import installing

    options = Options(
        wheel=wheel,
        offline=offline,
        models=tuple(model or ()),
        apt=not no_apt,
        coral=not no_coral,
        start=not no_start,
        ready_within=ready_within,
        dry_run=dry_run,
    )
    raise typer.Exit(installing.install(options, console.say, console.emit))


def uninstall(
    purge: Annotated[bool, typer.Option("--purge", help=HELP["purge"])] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Take edgecam off this machine. Configuration, recordings and the user stay, but for --purge."""
    from edgecam.installation import removal

    raise typer.Exit(removal.uninstall(Options.root, console.say, console.emit, purge=purge, dry_run=dry_run))
