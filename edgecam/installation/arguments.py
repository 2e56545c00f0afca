"""The arguments of `tools/install`, which are those of `edgecam install` and `edgecam uninstall`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from edgecam.installation.installing import install
from edgecam.installation.options import HELP, Options
from edgecam.installation.removal import uninstall


def run(arguments: list[str], tell: Callable[[str], None]) -> int:
    """Do what the arguments say; without a word in front of them, install. Returns the exit code."""
    named = arguments[:1] in (["install"], ["uninstall"], ["-h"], ["--help"])
    given = _parser().parse_args(arguments if named else ["install", *arguments])
    if given.action == "uninstall":
        return uninstall(given.root, tell, _show, purge=given.purge, dry_run=given.dry_run)
    options = Options(
        root=given.root,
        wheel=given.wheel,
        offline=given.offline,
        python=given.python,
        models=tuple(given.model),
        apt=not given.no_apt,
        coral=not given.no_coral,
        start=not given.no_start,
        ready_within=given.ready_within,
        dry_run=given.dry_run,
    )
    return install(options, tell, _show)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/install", description="Install edgecam on this machine.")
    actions = parser.add_subparsers(dest="action", required=True)
    installing = actions.add_parser("install", help="install or upgrade (what happens without a word)")
    removing = actions.add_parser("uninstall", help="take it off again")
    for both in (installing, removing):
        both.add_argument("--dry-run", action="store_true", help=HELP["dry_run"])
        both.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help=HELP["root"])
    removing.add_argument("--purge", action="store_true", help=HELP["purge"])
    for name in ("wheel", "offline"):
        metavar = "FILE" if name == "wheel" else "DIR"
        installing.add_argument(f"--{name}", type=Path, metavar=metavar, help=HELP[name])
    installing.add_argument("--model", action="append", default=[], metavar="NAME", help=HELP["model"])
    for name in ("no_apt", "no_coral", "no_start"):
        installing.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=HELP[name])
    installing.add_argument(
        "--ready-within", type=float, default=Options.ready_within, metavar="SECONDS", help=HELP["ready_within"]
    )
    installing.add_argument("--python", default=Options.python, metavar="FILE", help=HELP["python"])
    return parser


def _show(line: str) -> None:
    sys.stdout.write(f"{line}\n")
