"""The steps of a hardware check: what each runs, how long that may take, and what becomes of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from hardware_report import briefs, machine
from hardware_report.privacy import Private
from hardware_report.product import EDGECAM, WATCHING, Done, run
from hardware_report.values import SYNTHETIC, Camera, Inventory, Outcome, Plan, State

KINDS = ("machine", "models", "tpu", "cameras", "bench", "demo", "watch", "unplug")
ALONE = frozenset({"machine", "models", "demo"})
"""Kinds for which neither Edge TPUs nor cameras need be looked for."""

SLACK = 240.0
"""Seconds that a command may take beyond what it measures, on a slow board."""
PULLED = ("mobiledet", "mobiledet-edgetpu")

Judge = Callable[[Any], tuple[str, str]]
"""From a document to its figures in short, and what is wrong with it, "" for nothing."""


@dataclass(frozen=True)
class Step:
    """One step: its name, its kind (what --only takes), what it does, and why it cannot be done, "" where it can."""

    name: str
    kind: str
    act: Callable[[], Outcome]
    why_not: str = ""

    def perform(self) -> Outcome:
        """Do it, where it can be done."""
        return Outcome(self.name, State.ABSENT, reason=self.why_not) if self.why_not else self.act()


class Workbench:
    """Makes the steps.

    `scratch` is thrown away after them; `ask` shows a text and waits until it is agreed to; `monitors` are the sockets
    of those that may be used.
    """

    def __init__(
        self, plan: Plan, scratch: Path, private: Private, ask: Callable[[str], None], monitors: Sequence[str] = ()
    ) -> None:
        self._plan = plan
        self._scratch = scratch
        self._private = private
        self._ask = ask
        self._monitors = tuple(monitors)
        self._documents: dict[str, Any] = {}
        self._watched = 0

    def first(self, *, pull: bool) -> list[Step]:
        """The steps that look around; `pull` has the published models fetched."""
        fetch = Step("models pull", "models", partial(self._edgecam, "models", "pull", *PULLED, brief=briefs.pulled))
        return [
            Step("machine", "machine", self._machine),
            *([fetch] if pull else []),
            Step("models list", "models", partial(self._edgecam, "models", "list", brief=briefs.models)),
            Step("tpu list", "tpu", partial(self._edgecam, "tpu", "list", brief=briefs.tpus)),
            Step("cameras", "cameras", partial(self._edgecam, "cameras", brief=briefs.cameras)),
        ]

    @property
    def inventory(self) -> Inventory:
        """What the first steps saw."""
        return inventory(self._documents.get("tpu list"), self._documents.get("cameras"), self._monitors)

    def rest(self, found: Inventory, *, interactive: bool) -> Iterator[Step]:
        """The steps that measure what there is."""
        limit = SLACK + 60.0 * len(found.tpus)
        check = partial(self._edgecam, "tpu", "check", brief=briefs.checked, limit=limit)
        yield Step("tpu check", "tpu", check, found.no_tpu)
        for device in ("cpu", *(found.tpus or ("edgetpu",))):
            why_not = "" if device == "cpu" else found.no_tpu
            yield Step(f"bench {device}", "bench", partial(self._bench, device), why_not)
        yield Step("demo", "demo", self._demo)
        yield Step("demo --display", "demo", partial(self._demo, "--display"), found.no_monitor)
        for camera in found.cameras or (SYNTHETIC,):
            name = f"watch {camera.name}" if found.cameras else "watch"
            watch = partial(self._watch, name, camera, self._plan.watch, _fine(briefs.watched))
            yield Step(name, "watch", watch, found.no_camera)
        if interactive:
            yield from self._unpluggings(found)

    def _unpluggings(self, found: Inventory) -> Iterator[Step]:
        """By hand. The cable of a camera on the board's own connector is not one of them: it would come to harm."""
        behind = (*found.cameras, SYNTHETIC)[0]
        for device in found.tpus or ("Edge TPU",):
            why_not = found.no_tpu or ("" if device.startswith("usb:") else "it is a card, not a stick")
            yield self._unplugging(device, behind, partial(briefs.stick_pulled, device=device), why_not)
        for camera in found.cameras or (Camera("", "", "camera"),):
            cable = "its cable must not be pulled while the board has power" if camera.kind == "picamera2" else ""
            yield self._unplugging(camera.name, camera, briefs.camera_pulled, found.no_camera or cable)
        monitor = (*found.monitors, "monitor")[0]
        yield self._unplugging(monitor, behind, briefs.monitor_pulled, found.no_monitor)

    def _unplugging(self, what: str, camera: Camera, judge: Judge, why_not: str) -> Step:
        name, seconds = f"unplug {what}", self._plan.unplug

        def act() -> Outcome:
            self._ask(
                f"{what}: {seconds:g} seconds begin with Enter. Wait 15 seconds, unplug it, wait 10 seconds,"
                " plug it in again in the same place, and leave it."
            )
            return self._watch(name, camera, seconds, judge)

        return Step(name, "unplug", act, why_not)

    def _machine(self) -> Outcome:
        begun = monotonic()
        figures = machine.facts()
        told = (figures["board"], figures["architecture"], figures["system"], f"Python {figures['python']}")
        brief = ", ".join(filter(None, told))
        return Outcome("machine", State.OK, "", _since(begun), brief=brief, figures=figures, heat=machine.heat())

    def _bench(self, device: str) -> Outcome:
        plan = self._plan
        options = ("--device", device, "--seconds", f"{plan.bench:g}", "--rounds", str(plan.rounds))
        name = f"bench {device}"
        return self._edgecam("bench", *options, brief=briefs.bench, limit=plan.bench + SLACK, name=name)

    def _demo(self, *options: str) -> Outcome:
        name = " ".join(("demo", *options))
        out = ("--out", str(self._scratch / "demo-out"))
        return self._edgecam("demo", *options, *out, brief=briefs.demo, limit=2 * SLACK, name=name)

    def _watch(self, name: str, camera: Camera, seconds: float, judge: Judge) -> Outcome:
        self._watched += 1
        folder = self._scratch / f"watch-{self._watched}"
        folder.mkdir()
        config = folder / "edgecam.toml"
        config.write_text(configuration(camera, display=bool(self._monitors)), encoding="utf-8")
        arguments = (str(config), "--seconds", f"{seconds:g}")
        command = f"tools/hardware_report/watching.py {shlex.join(arguments)}"
        program = partial(run, WATCHING, arguments, seconds + SLACK, self._scratch)
        return self._outcome(name, command, program, judge)

    def _edgecam(self, *arguments: str, brief: Callable[[Any], str], limit: float = SLACK, name: str = "") -> Outcome:
        """Run a command of edgecam, whose name is that of the step unless said otherwise, and keep its document."""
        name = name or (" ".join(arguments[:2]))
        program = partial(run, EDGECAM, (*arguments, "--json"), limit, self._scratch)
        return self._outcome(name, f"edgecam {shlex.join(arguments)} --json", program, _fine(brief))

    def _outcome(self, name: str, command: str, program: Callable[[], Done], judge: Judge) -> Outcome:
        begun = monotonic()
        done = program()
        seconds = _since(begun)
        self._documents[name] = done.document
        brief, problem = "", done.reason or ("no document came" if done.document is None else "")
        if not problem:
            brief, problem = judge(done.document)
        clean = self._private
        return Outcome(
            clean.text(name),
            State.FAILED if problem else State.OK,
            clean.text(command),
            seconds,
            clean.text(problem),
            clean.text(brief),
            clean.document(done.document),
            machine.heat(),
            tuple(map(clean.text, done.said)),
        )


def inventory(tpus: Any, cameras: Any, monitors: Sequence[str]) -> Inventory:
    """What there is, by what `edgecam tpu list` and `edgecam cameras` say; None where they could not be asked."""
    devices = tuple(tpu["device"] for tpu in tpus or ())
    listed = cameras or {"picamera2": {"cameras": (), "problem": ""}, "v4l2": {"cameras": ()}}
    found = [Camera("picamera2", camera["camera_id"], camera["model"]) for camera in listed["picamera2"]["cameras"]]
    found += [Camera("v4l2", camera["path"], camera["name"]) for camera in listed["v4l2"]["cameras"]]
    problem = listed["picamera2"]["problem"]
    return Inventory(
        devices,
        tuple(found),
        tuple(monitors),
        no_tpu="" if devices else "no Edge TPU found",
        no_camera="" if found else ": ".join(filter(None, ("no camera found", problem))),
        no_monitor="" if monitors else "no monitor found",
    )


def configuration(camera: Camera, *, display: bool) -> str:
    """That of a box with this camera, all else as it is by default: 1280x720 at 30 fps, or what is next to that."""
    lines = ['data_dir = "data"', "[display]", f"enabled = {str(display).lower()}", "[cameras.check]"]
    lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in camera.section.items() if value]
    return "\n".join(lines) + "\n"


def _fine(brief: Callable[[Any], str]) -> Judge:
    """Whatever came is well."""
    return lambda document: (brief(document), "")


def _since(begun: float) -> float:
    return round(monotonic() - begun, 2)
