"""`edgecam tpu`: which Edge TPUs there are, and whether they work."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecam import console
from edgecam.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from edgecam.errors import DetectorError, InputError, ModelError

if TYPE_CHECKING:
    from edgecam.config import Config
    from edgecam.detectors.edgetpu import EdgeTpu
    from edgecam.detectors.process import ProcessOptions
    from edgecam.modelfile import ModelFile

commands = typer.Typer(help="List the Edge TPUs, or check that they work.", invoke_without_command=True)

INVOKES = 20
"""Inferences that `check` times."""
_MEASURED = ("runtime", "library", "via", "note", "open", "invoke")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(commands, name="tpu")


@commands.callback()
def root(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the Edge TPUs, or check that they work."""
    if context.invoked_subcommand is None:
        list_tpus(as_json=as_json)
    elif as_json:
        raise typer.BadParameter(f"--json: give it after '{context.invoked_subcommand}'")


@commands.command("list")
def list_tpus(as_json: JsonOption = False) -> None:
    """List the Edge TPUs and what speaks against using them. Opens none, so none is disturbed."""
    from edgecam.detectors.edgetpu import list_edge_tpus, why_none

    found = [_described(tpu) for tpu in list_edge_tpus()]
    if as_json:
        console.emit_json(found)
    elif not found:
        console.emit(f"no Edge TPU found\n{why_none()}")
    else:
        console.emit_table(("device", "state", "speed", "node"), map(_row, found))
        for remark in (tpu[kind] for tpu in found for kind in ("trouble", "caution") if tpu[kind]):
            console.emit(remark)


@commands.command()
def check(
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            "-d",
            metavar="DEVICE",
            help="edgetpu, usb, pci, usb:0 … (default: the configuration's).",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME|FILE", help="What to run (default: the configuration's model)."),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Open the Edge TPUs, each in a process of its own, run a few inferences and tell how it went.

    Takes the settings of `edgecam run` from the configuration, where there is one.
    """
    settings = _settings(config)
    tpus = _chosen(device, settings)
    file = _compiled(model, settings)
    options = _process_options(settings)
    with console.progress("checking", len(tpus)) as tick:
        outcomes = []
        for tpu in tpus:
            outcomes.append(_try(tpu, file, options))
            tick(1)
    if as_json:
        console.emit_json(outcomes)
    else:
        _report(outcomes)
    failures = [outcome["error"] for outcome in outcomes if outcome["error"]]
    for failure in failures:
        console.say(failure)
    if failures:
        raise typer.Exit(1)


def _described(tpu: EdgeTpu) -> dict[str, Any]:
    from edgecam.detectors.edgetpu import caution, trouble

    return {
        "device": tpu.device,
        "running": tpu.running,
        "speed": tpu.speed or None,
        "node": str(tpu.node),
        "trouble": trouble(tpu),
        "caution": caution(tpu),
    }


def _row(tpu: dict[str, Any]) -> tuple[str, ...]:
    state = "running" if tpu["running"] else "no firmware yet"
    return tpu["device"], state, f"{tpu['speed']} Mbit/s" if tpu["speed"] else "-", tpu["node"]


def _settings(config: Path) -> Config:
    """The configuration; its defaults where none was named and none is installed."""
    from edgecam.config import Config, load

    try:
        absent = config == DEFAULT_CONFIG and not config.exists()
    except PermissionError:
        absent = False  # but closed to this user: `load` says so
    return Config() if absent else load(config)


def _chosen(device: str | None, settings: Config) -> list[EdgeTpu]:
    from edgecam.detectors.edgetpu import list_edge_tpus, parse_choice

    configured = settings.detector.device
    choice = parse_choice(device or ("edgetpu" if configured == "cpu" else configured))
    if not choice.wants_tpu:
        raise InputError(f"device {choice.text!r} is no Edge TPU: give edgetpu, usb, pci, usb:0 …")
    present = list_edge_tpus()
    found = choice.select(present)
    if not found and present:
        there = ", ".join(tpu.device for tpu in present)
        raise DetectorError(f"device {choice.text!r}: not found: there is {there}")
    if not found:
        raise DetectorError("no Edge TPU found: see `edgecam tpu list` for what to check")
    return found


def _compiled(model: str | None, settings: Config) -> ModelFile:
    """The version of the model that is compiled for the Edge TPU, verified."""
    from edgecam.composition import model_folders
    from edgecam.models import load, pair_of, resolve
    from edgecam.models.published import REAL_EDGETPU

    folders = model_folders(settings)
    pair = pair_of(resolve(model or settings.detector.model, folders), folders)
    if pair.edgetpu is None:
        other = f"; or check with the published one: `edgecam models pull {REAL_EDGETPU}`, then --model {REAL_EDGETPU}"
        raise ModelError(pair.missing + other)
    return load(pair.edgetpu)


def _process_options(settings: Config) -> ProcessOptions:
    from edgecam.detectors.process import ProcessOptions

    return ProcessOptions(runtime=settings.detector.runtime, **settings.edgetpu.model_dump())


def _try(tpu: EdgeTpu, file: ModelFile, options: ProcessOptions) -> dict[str, Any]:
    """Open it, use it, let go of it; all that is to be told of that, `error` "" where it went well."""
    from edgecam.clock import SystemClock
    from edgecam.detectors.edgetpu import caution, lock_path, trouble
    from edgecam.detectors.process import DetectorProcess

    outcome: dict[str, Any] = {
        "device": tpu.device,
        "model": str(file.path),
        "caution": caution(tpu),
        "error": trouble(tpu),
    }
    outcome |= dict.fromkeys(_MEASURED)
    if outcome["error"]:
        return outcome
    clock = SystemClock()
    process = DetectorProcess(file.content, tpu.device, options, lock_path(tpu))
    started = clock.monotonic()
    try:
        process.start()
        process.wait_ready(options.open_timeout + 1.0)  # longer than it takes to give up
        opened = clock.monotonic() - started
        invoke = median(process.bare(INVOKES))
        ready = process.ready
    except DetectorError as error:
        return outcome | {"error": str(error)}
    finally:
        process.kill()
    measured = (ready.runtime, ready.library_version, ready.via, ready.note, opened, invoke)
    return outcome | dict(zip(_MEASURED, measured, strict=True))


def _report(outcomes: list[dict[str, Any]]) -> None:
    """What works, a paragraph each; nothing where none does."""
    for number, outcome in enumerate(outcome for outcome in outcomes if not outcome["error"]):
        if number:
            console.emit("")
        console.emit_fields(_shown(outcome))


def _shown(outcome: dict[str, Any]) -> dict[str, str]:
    fields = {
        "device": outcome["device"],
        "model": outcome["model"],
        "runtime": outcome["runtime"],
        "libedgetpu": outcome["library"],
        "via": outcome["via"],
        "open": f"{outcome['open']:.2f} s",
        "invoke": f"{1000 * outcome['invoke']:.2f} ms (median of {INVOKES})",
        "note": outcome["note"],
        "caution": outcome["caution"],
    }
    return {name: value for name, value in fields.items() if value}
