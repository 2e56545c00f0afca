"""`edgecam run`: the service's main job, in the foreground."""

from __future__ import annotations

import faulthandler
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from edgecam import console
from edgecam.commands.options import DEFAULT_CONFIG, ConfigOption, JsonOption

if TYPE_CHECKING:
    from edgecam.app import App
    from edgecam.pipeline import Counters
    from edgecam.ports import Clock
    from edgecam.types import DetectorInfo


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(run)


def run(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Watch the configured cameras until they end or somebody stops it (Ctrl-C, SIGTERM)."""
    from edgecam.allocator import limit_heaps
    from edgecam.app import build, tidy
    from edgecam.clock import SystemClock
    from edgecam.config import load
    from edgecam.reloading import Reloading
    from edgecam.service import Service
    from edgecam.systemd import Notifier

    limit_heaps()
    faulthandler.enable(2)  # the watchdog ends a hung process with SIGABRT: where each thread stood is then on stderr
    settings = load(config, cameras_needed=True)
    clock = SystemClock()
    app = build(settings, clock, config)
    service = Service(app, Notifier(), clock)
    reloading = Reloading(config, settings, app)
    app.on_hangup = lambda: service.reload(reloading.read_again)
    app.on_reload = lambda: service.reload(reloading.follow_file)
    service.insist(lambda: tidy(settings, clock))
    with console.progress("watching") as advance:
        app.run(_each(service.tick, _Progress(app, advance)))
    summary = summarise(app.counters(), app.detectors(), clock)
    if app.display is not None:
        summary["display"] = app.display.summary()
    if app.messaging is not None:
        summary["mqtt"] = app.messaging.summary()
    if app.housekeeping is not None:
        summary["storage"] = app.housekeeping.facts.summary()
    if as_json:
        console.emit_json(summary)
    else:
        console.emit_fields({name: value for name, value in summary.items() if name != "cameras"})


def summarise(counters: dict[str, Counters], detectors: dict[str, DetectorInfo | None], clock: Clock) -> dict[str, Any]:
    """The sum over the cameras, and each camera's own counts with the detector it had at the end."""
    each = {name: asdict(counts) for name, counts in counters.items()}
    names = next(iter(each.values()))
    cameras = {name: counts | {"detector": _described(detectors[name], clock)} for name, counts in each.items()}
    return {name: sum(counts[name] for counts in each.values()) for name in names} | {"cameras": cameras}


def _described(info: DetectorInfo | None, clock: Clock) -> dict[str, str] | None:
    """What is kept stable of a detector; `degraded` says why it is not where it was meant to be, "" where it is."""
    if info is None:
        return None
    return {
        "model": info.model,
        "runtime": info.runtime,
        "device": info.device,
        "since": clock.wall(info.since).isoformat(timespec="seconds"),
        "degraded": info.degraded,
    }


def _each(*actions: Callable[[], None]) -> Callable[[], None]:
    """All of them, one after the other."""

    def act() -> None:
        for action in actions:
            action()

    return act


class _Progress:
    """Advances the bar by the frames written since the last turn."""

    def __init__(self, app: App, advance: Any) -> None:
        self._app = app
        self._advance = advance
        self._shown = 0

    def __call__(self) -> None:
        written = sum(counts.frames_written for counts in self._app.counters().values())
        self._advance(written - self._shown)
        self._shown = written
