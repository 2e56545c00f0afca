"""The whole appliance for an hour, with faults of its parts drawn at random: nothing may be lost."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service_lab import broker
from service_lab.container import Container
from service_lab.outcome import Outcome
from service_lab.soak.faults import FAULTS, Fault, Look
from service_lab.soak.plan import Planned, draw_plan
from service_lab.soak.record import MEMORY_EVERY, Record, ask, memory, service
from service_lab.soak.site import Site, Subscriber
from service_lab.soak.verdict import judge
from service_lab.stage import Stage, start

PATIENCE = 150.0
"""Seconds after the mending in which the part must be well again."""
_TURN = 0.5
_AGE = re.compile(r"for \d+ s")
_LOOK_EVERY = 1.5
_BY_KIND = {fault.kind: fault for fault in FAULTS}


def soak(stage: Stage, outcome: Outcome, *, minutes: float, seed: int, log: Path) -> None:
    """All of it, in one container; the record is kept in the folder `log`."""
    log.mkdir(parents=True, exist_ok=True)
    with stage.machine("soak") as container:
        site = Site(stage, container, broker.free_port())
        site.set_up()
        subscriber = Subscriber(container, stage.port, log / "heard")
        with site.disk(), subscriber.listening():
            if not outcome.expect(start(container), f"did not start: {container.said()[-6:]}"):
                return
            run = Run(site, Record(log / "record.jsonl", time.monotonic()))
            try:
                run.through(minutes * 60, seed)
                judge(site, subscriber, run.record, outcome)
            finally:
                (log / "journal").write_text(container.run("journalctl --no-pager --output=short-precise").stdout)


@dataclass
class Under:
    """A fault that has struck: when it was mended; and how long after that the part was well, which two looks in a row
    must find. None: not yet."""

    planned: Planned
    fault: Fault
    mended: float | None = None
    well: float | None = None


@dataclass
class Run:
    """Turn for turn: what is due strikes, what is over is mended, and one looks how the appliance is."""

    site: Site
    record: Record
    under: list[Under] = field(default_factory=list)
    _before: Mapping[str, Any] | None = None
    _pid: str = ""
    _excuses: list[str] = field(default_factory=list)
    _reasons: list[str] = field(default_factory=list)
    _looked: float = float("-inf")
    _weighed: float = float("-inf")

    @property
    def container(self) -> Container:
        """Where it runs."""
        return self.site.container

    def through(self, seconds: float, seed: int) -> None:
        """The whole plan, then until all is well or the patience is over."""
        plan = draw_plan([fault.kind for fault in FAULTS], seconds, seed)
        self.record.write("begin", seed=seed, seconds=seconds, faults=len(plan))
        self._excuses.append("the first start")
        while self.record.now < seconds or self.under:
            while plan and plan[0].at <= self.record.now:
                self._strike(plan.pop(0))
            self._mend()
            self._look()
            time.sleep(_TURN)
        self.record.write("end")

    def _strike(self, planned: Planned) -> None:
        fault = _BY_KIND[planned.kind]
        self.record.write("struck", number=planned.number, fault=planned.kind.name, lasts=planned.lasts)
        if planned.kind.restarts:
            self._excuses.append(f"{planned.kind.name} (number {planned.number})")
        fault.strike(self.site, planned.draw)
        self.under.append(Under(planned, fault))

    def _mend(self) -> None:
        for each in self.under:
            if each.mended is None and self.record.now >= each.planned.ends:
                each.fault.mend(self.site, each.planned.draw)
                each.mended = self.record.now
                self.record.write("mended", number=each.planned.number, fault=each.planned.kind.name)
            elif each.mended is None and each.fault.hold:
                each.fault.hold(self.site, each.planned.draw)

    def _look(self) -> None:
        if self.record.now < self._looked + _LOOK_EVERY:
            return
        self._looked = self.record.now
        self._watch_process()
        look = Look(ask(self.container), self._before)
        self._note(look)
        for each in list(self.under):
            if each.mended is not None:
                self._recovered(each, each.mended, look)
        self._before = look.told
        if self.record.now >= self._weighed + MEMORY_EVERY:
            self._weighed = self.record.now
            self.record.write("memory", pid=self._pid, **memory(self.container))

    def _watch_process(self) -> None:
        """Note each new process of the service, and which fault explains that the one before is gone."""
        shown = service(self.container)
        pid = shown.pop("MainPID", "0")
        if pid in ("0", self._pid):
            return
        because = self._excuses.pop(0) if self._excuses else "unexplained"
        self.record.write("service", pid=pid, because=because, **shown)
        self._pid, self._before = pid, None

    def _note(self, look: Look) -> None:
        reasons = [_AGE.sub("for N s", reason) for reason in look.reasons]
        if reasons != self._reasons:
            self._reasons = reasons
            self.record.write("status", reasons=look.reasons)
        if look.told is not None:
            counters = look.told["stats"]["cameras"].get("front", {}).get("counters", {})
            spool = look.told["status"]["spool"]
            self.record.write(
                "counted", pid=self._pid, events=counters.get("events", 0),
                events_lost=look.told["status"]["events_lost"], waiting=spool["messages"], given_up=spool["lost"],
            )  # fmt: skip

    def _recovered(self, each: Under, mended: float, look: Look) -> None:
        after = round(self.record.now - mended, 1)
        number, name = each.planned.number, each.planned.kind.name
        if each.planned.kind.restarts and any(f"(number {number})" in excuse for excuse in self._excuses):
            well = False
        else:
            well = look.is_well(each.planned.kind.part)
        first, each.well = each.well, each.well or after if well else None
        if first is not None and well:
            self.record.write("well", number=number, fault=name, after=first)
        elif not well and after > PATIENCE:
            self.record.write("not well", number=number, fault=name, reasons=look.reasons)
        else:
            return
        self.under.remove(each)
