"""What a hardware check is made of: its plan, what became of each step, and what was found on the machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """What became of a step."""

    OK = "ok"
    FAILED = "failed"
    ABSENT = "not here"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Plan:
    """How long to measure, in seconds: each bench in so many rounds, each camera, each device that is unplugged."""

    bench: float = 20.0
    rounds: int = 3
    watch: float = 60.0
    unplug: float = 60.0


FULL = Plan()
QUICK = Plan(bench=3.0, rounds=1, watch=8.0, unplug=40.0)


@dataclass(frozen=True)
class Outcome:
    """What became of one step.

    `command` is what was run, `reason` why it failed or could not run, `brief` the figures that matter most in one
    line, `figures` all of them, a document as JSON has it; `heat` is how hot the machine was at the end, `said` what
    came on stderr.
    """

    step: str
    state: State
    command: str = ""
    seconds: float = 0.0
    reason: str = ""
    brief: str = ""
    figures: Any = None
    heat: dict[str, Any] = field(default_factory=dict)
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Camera:
    """A camera to watch: `kind` and `which` are `type` and `camera` or `path` of its section; `name` is for people."""

    kind: str
    which: str
    name: str

    @property
    def section(self) -> dict[str, str]:
        """Its keys in the configuration."""
        return {"type": self.kind, ("path" if self.kind == "v4l2" else "camera"): self.which}


@dataclass(frozen=True)
class Inventory:
    """What there is to measure. `no_tpu`, `no_camera` and `no_monitor` say why there is none, "" where there is."""

    tpus: tuple[str, ...] = ()
    cameras: tuple[Camera, ...] = ()
    monitors: tuple[str, ...] = ()
    no_tpu: str = ""
    no_camera: str = ""
    no_monitor: str = ""


SYNTHETIC = Camera("synthetic", "", "rendered scenes")
"""Stands in for a camera where only something else is looked at."""
