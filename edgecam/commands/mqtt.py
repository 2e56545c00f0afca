"""`edgecam mqtt`: check the broker, list the topics and their schemas, have all of it forgotten."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecam import console
from edgecam.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from edgecam.errors import EdgecamError, InputError

if TYPE_CHECKING:
    from edgecam.config.mqtt import MqttSection
    from edgecam.mqtt.directory import Kind

commands = typer.Typer(help="Check the MQTT broker, list topics and schemas, or forget what is retained.")
_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(commands, name="mqtt")


@commands.command()
def check(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Connect to the broker as the configuration says, and tell what is wrong. Disturbs nobody, leaves nothing.

    Exit code 1 where something is wrong, 78 where the configuration is.
    """
    from edgecam.config import load
    from edgecam.mqtt.checking import check

    settings = load(config).mqtt
    findings = list(check(settings))
    if as_json:
        where = {"host": settings.host, "port": settings.effective_port}
        console.emit_json({**where, "findings": [asdict(finding) for finding in findings]})
    else:
        rows = [(finding.name, "ok" if finding.fine else "WRONG", finding.text) for finding in findings]
        console.emit_table(("what", "state", "why"), rows)
    if not all(finding.fine for finding in findings):
        raise typer.Exit(1)


@commands.command()
def topics(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """List every topic of this configuration and what it says.

    LABEL stands for each label of the model where [events] labels names none.
    """
    from edgecam.config import load
    from edgecam.mqtt.directory import directory

    entries = list(directory(load(config)))
    if as_json:
        console.emit_json([{"topic": entry.topic, **asdict(entry.kind)} for entry in entries])
    else:
        rows = [(entry.topic, _way(entry.kind), entry.kind.says) for entry in entries]
        console.emit_table(("topic", "from", "says"), rows)


@commands.command()
def schema(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Of one kind of topic (default: of all).")
    ] = None,
) -> None:
    """Print the JSON Schemas (draft 2020-12) of what is said. `edgecam mqtt topics --json` names the kinds."""
    from edgecam.mqtt.schemas import SCHEMAS, schema_for

    if name is None:
        console.emit_json({kind: schema_for(kind) for kind in SCHEMAS})
    elif name in SCHEMAS:
        console.emit_json(schema_for(name))
    else:
        raise InputError(f"no schema {name}: there are {', '.join(SCHEMAS)}")


@commands.command()
def forget(
    config: ConfigOption = DEFAULT_CONFIG,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Have the broker forget all that this edgecam has retained there, and Home Assistant its devices.

    Below [mqtt] prefix, and the messages of this prefix below [mqtt] discovery_prefix. Others' topics stay as they are.
    Stop edgecam first: what it says again comes back.
    """
    from edgecam.config import load

    settings = load(config).mqtt
    found = _found(settings)
    if found and not yes:
        _ask(settings, found)
    gone = _forget(settings) if found else []
    if as_json:
        console.emit_json({"forgotten": gone})
    else:
        console.emit("\n".join([_counted(gone, "forgotten"), *gone]))


def _found(settings: MqttSection) -> dict[str, bytes]:
    from edgecam.mqtt.credentials import broker_of
    from edgecam.mqtt.forgetting import found_on
    from edgecam.mqtt.topics import Topics
    from edgecam.mqtt.visit import BrokerVisit

    with BrokerVisit(broker_of(settings)) as visit:
        found = found_on(visit, settings)
    if found.get(Topics(settings.prefix).available) == b"online":
        console.say("edgecam is connected to this broker: what it says from now on comes back")
    return found


def _forget(settings: MqttSection) -> list[str]:
    from edgecam.mqtt.credentials import broker_of
    from edgecam.mqtt.forgetting import forget
    from edgecam.mqtt.visit import BrokerVisit

    with BrokerVisit(broker_of(settings)) as visit:
        return forget(visit, settings)


def _ask(settings: MqttSection, found: dict[str, Any]) -> None:
    """Raises EdgecamError for a no, and where there is nobody to ask."""
    for topic in list(found)[:_SHOWN]:
        console.say(topic)
    if len(found) > _SHOWN:
        console.say(f"... and {len(found) - _SHOWN} more")
    place = f"{settings.host}:{settings.effective_port}"
    try:
        agreed = typer.confirm(f"Have the broker {place} forget {_counted(found, '').strip()}?", err=True)
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        raise InputError("nothing was forgotten, as nobody answers: give --yes") from None
    if not agreed:
        raise EdgecamError("nothing was forgotten")


def _counted(topics: Any, what: str) -> str:
    return f"{len(topics)} topic{'' if len(topics) == 1 else 's'} {what}"


def _way(kind: Kind) -> str:
    if kind.command:
        return "others"
    return "edgecam, retained" if kind.retained else "edgecam"
