"""`edgecam web`: the password of the pages, and the tokens of programs."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecam import console
from edgecam.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from edgecam.errors import ConfigError, InputError

if TYPE_CHECKING:
    from edgecam.web.tokens import Tokens

commands = typer.Typer(help="Set the password of the pages for the browser; make, list and revoke programs' tokens.")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Whose token it is, such as home-assistant.")]
_STORED = "/etc/credstore/edgecam.web-password"


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(commands, name="web")


@commands.command()
def password(
    config: ConfigOption = DEFAULT_CONFIG,
    shown: Annotated[bool, typer.Option("--print", help="Print the hash, whatever the configuration says.")] = False,
) -> None:
    """Set the password: asks for it twice and writes its hash to the file that [web] password_file names.

    Without such a file, the hash is printed, for the systemd credential web-password. Whoever is logged in must log in
    again. Where nobody sits, the password is the first line of stdin.
    """
    from edgecam.config import load
    from edgecam.web.packages import require_packages
    from edgecam.web.passwords import make_hash
    from edgecam.web.secret_files import replace_secret

    file = "" if shown else load(config).web.password_file
    require_packages("edgecam web password")
    hashed = make_hash(_asked())
    if not file:
        console.emit(hashed)
        console.say(f"for the service: put this line into {_STORED}, and restart edgecam")
        return
    try:
        replace_secret(Path(file), f"{hashed}\n", 0o640, owner=config)
    except OSError as error:
        remedy = "run this as the user who may write it"
        raise ConfigError(f"web.password_file {file!r}: {error.strerror}: {remedy}") from None
    console.say(f"written to {file}; it is in force at once, the first one after a restart of edgecam")


@commands.command()
def token(
    name: NameArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    read_only: Annotated[bool, typer.Option("--read-only", help="It may look, and change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a token for a program and print it, this once: it is kept nowhere. It is in force at once.

    The program sends it as `Authorization: Bearer TOKEN`, or as the password of any user.
    """
    made = _tokens(config).make(name, datetime.now().astimezone(), read_only=read_only)
    if as_json:
        console.emit_json({"name": name, "token": made, "read_only": read_only})
    else:
        console.emit(made)


@commands.command()
def tokens(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """List the tokens: whose they are, when they were made, what they may do."""
    listed = _tokens(config).listed()
    if as_json:
        console.emit_json([each.model_dump(exclude={"sha256"}) for each in listed])
    else:
        rows = [(each.name, each.made, "look" if each.read_only else "look and change") for each in listed]
        console.emit_table(("name", "made", "may"), rows)


@commands.command()
def revoke(name: NameArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Revoke a token: from the next request on it opens nothing."""
    _tokens(config).revoke(name)
    console.say(f"the token {name} is revoked")


def _tokens(config: Path) -> Tokens:
    from edgecam.config import load
    from edgecam.web.tokens import Tokens

    settings = load(config)
    return Tokens(settings.web.tokens_path(settings.data_dir))


def _asked() -> str:
    """The new password. Raises InputError where there is none."""
    if sys.stdin.isatty():
        return str(typer.prompt("New password", hide_input=True, confirmation_prompt="Again", err=True))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise InputError("no password on stdin: give it as one line, or run this at a terminal")
    return line
