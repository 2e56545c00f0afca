"""What is measured: processor time and memory of each part, messages and their delays; and what gave first."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

from edgecam.health.processes import own_processes
from fleet_sim.publishers import Count
from fleet_sim.subscriber import Received, percentile

PARTS = ("broker", "publishers", "subscribers")
DELIVERED = 0.98
"""So much of what is recorded must arrive within the time, or something has given."""
SLOW = 1.0
"""Seconds: as well where one in a hundred messages takes longer."""
FULL = 0.85
"""Of a core: a thread that has used so much of one is what holds the others up."""
BUSY = 0.9
"""Of all cores of the machine together: beyond it nothing tells what a part could do."""


@dataclass(frozen=True, slots=True)
class Use:
    """Processor seconds that a process has used so far, and its memory now."""

    cpu: float
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Reading:
    """How things stand at one moment, monotonic seconds; `uses` by part, `busy` the processor seconds of all."""

    at: float
    uses: Mapping[str, Sequence[Use]]
    busy: float
    count: Count


@dataclass(frozen=True, slots=True)
class Load:
    """A part over a time: processor cores in use by all its processes, and by the busiest one; memory at the end."""

    cores: float
    busiest: float
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Step:
    """One load and what came of it; rates are a second, times in seconds, `others` the cores that strangers used.

    `offered` event messages were to be recorded, `recorded` were, `delivered` came to the subscribers. `sent` messages
    of all kinds went to the broker, `received` came from it, and `broker_cpu` is what each cost it. `behind` is how
    late the worst was recorded, `slowest` how long recording one took at worst, `waiting` how many lay in outboxes at
    the end. `gave` says what was not as it should be, "" where all was; `first` what held it up.
    """

    rate: float
    seconds: float
    offered: float
    recorded: float
    delivered: float
    sent: float
    received: float
    received_bytes: float
    broker_cpu: float
    p50: float | None
    p95: float | None
    p99: float | None
    waiting: int
    behind: float
    cores: int
    others: float
    loads: Mapping[str, Load]
    slowest: float = 0.0
    gave: str = ""
    first: str = ""


@dataclass(frozen=True, slots=True)
class Storm:
    """The broker away for `outage` seconds and back: when the appliances were back, seconds after it was.

    `busiest` is the most that came within one tenth of a second. `waiting` event messages lay in outboxes when the
    broker came back, the last of them was there after `caught_up`; `late` is how many came so marked.
    """

    outage: float
    p50: float | None
    p95: float | None
    last: float | None
    back: int
    busiest: int
    waiting: int
    caught_up: float | None
    late: int
    broker_cpu: float
    received_bytes: int


@dataclass(frozen=True, slots=True)
class Flood:
    """What the broker bears by itself: messages a second that it took and that came, and cores in use by each part."""

    seconds: float
    taken: float
    delivered: float
    loads: Mapping[str, Load]
    first: str


@dataclass(slots=True)
class Totals:
    """All that has come in the whole run, for the books at its end."""

    events: int = 0
    late: int = 0
    sequences: dict[str, set[int]] = field(default_factory=dict)

    def take(self, received: Received) -> None:
        """Add what has come."""
        self.events += received.events
        self.late += received.late
        for topic, numbers in received.sequences.items():
            self.sequences.setdefault(topic, set()).update(numbers)

    @property
    def different(self) -> int:
        """How many different event messages have come."""
        return sum(map(len, self.sequences.values()))


def read(pids: Mapping[str, Sequence[int]], count: Count, proc: Path = Path("/proc")) -> Reading:
    """How things stand now."""
    uses = {part: [use(pid, proc) for pid in numbers] for part, numbers in pids.items()}
    return Reading(monotonic(), uses, busy_seconds(proc), count)


def use(pid: int, proc: Path = Path("/proc")) -> Use:
    """What one process uses; nothing where it has ended."""
    found = own_processes(pid, proc)
    return Use(found[0].cpu, found[0].rss_bytes) if found else Use(0.0, 0)


def busy_seconds(proc: Path) -> float:
    """Processor seconds that were used since the machine started, by whomever (proc_stat(5))."""
    ticks = [int(word) for word in (proc / "stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _waiting, *interrupts = ticks
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def loads(before: Reading, after: Reading) -> dict[str, Load]:
    """What each part used in between."""
    elapsed = after.at - before.at
    found = {}
    for part, ends in after.uses.items():
        cores = [(end.cpu - start.cpu) / elapsed for start, end in zip(before.uses[part], ends, strict=True)]
        found[part] = Load(round(sum(cores), 3), round(max(cores), 3), sum(end.rss_bytes for end in ends))
    return found


def step(rate: float, publishers: int, before: Reading, after: Reading, received: Received) -> Step:
    """The figures of one load."""
    elapsed, parts = after.at - before.at, loads(before, after)
    busy = (after.busy - before.busy) / elapsed
    sent, came = after.count.sent - before.count.sent, received.events + received.others
    made = Step(
        rate=rate,
        seconds=round(elapsed, 2),
        offered=round(rate * publishers, 1),
        recorded=round((after.count.recorded - before.count.recorded) / elapsed, 1),
        delivered=round((received.events - received.late) / elapsed, 1),
        sent=round(sent / elapsed, 1),
        received=round(came / elapsed, 1),
        broker_cpu=parts["broker"].cores * elapsed / max(1, sent + came),
        received_bytes=round(received.size_bytes / elapsed),
        p50=percentile(received.delays, 0.50),
        p95=percentile(received.delays, 0.95),
        p99=percentile(received.delays, 0.99),
        waiting=after.count.waiting,
        behind=round(after.count.behind, 3),
        cores=os.cpu_count() or 1,
        others=round(max(0.0, busy - sum(load.cores for load in parts.values())), 2),
        loads=parts,
        slowest=round(after.count.slowest, 3),
    )
    return judged(made)


def judged(made: Step) -> Step:
    """The same, with what gave and what held it up."""
    gave = trouble(made)
    return replace(made, gave=gave, first=culprit(made) if gave else "")


def trouble(made: Step) -> str:
    """What is not as it should be; "" where all is."""
    if made.behind > SLOW:
        return f"messages are recorded up to {made.behind:.1f} s after their time"
    if made.delivered < DELIVERED * made.recorded:
        return f"{made.delivered:.0f} of {made.recorded:.0f} messages a second arrive"
    if made.p99 is not None and made.p99 > SLOW:
        return f"one message in a hundred takes longer than {made.p99:.1f} s"
    return ""


def culprit(made: Step) -> str:
    """What is used up; where several are, the one that nothing can be done about by more processes comes first."""
    names = {
        "broker": "the broker: mosquitto has one thread, and its core is full",
        "subscribers": "a subscriber: one Python process, and its core is full",
        "publishers": "a process with publishers: one interpreter, and its core is full",
    }
    for part, name in names.items():
        if made.loads[part].busiest >= FULL:
            return name
    used = sum(load.cores for load in made.loads.values()) + made.others
    if used < BUSY * made.cores:
        if made.slowest > SLOW / 2:
            return f"nothing is used up: recording one message took {made.slowest:.1f} s"
        return "nothing is used up: somebody waits"
    most = max(PARTS, key=lambda part: made.loads[part].cores)
    share = made.loads[most].cores / used
    if made.others > made.loads[most].cores:
        return f"the machine: other programs take {made.others:.1f} of its {made.cores} cores"
    return f"the machine: all {made.cores} cores are busy, {share:.0%} of that with the {most}"


def flood(before: Reading, after: Reading, taken: int, delivered: int) -> Flood:
    """The figures of a flood."""
    elapsed, parts = after.at - before.at, loads(before, after)
    full = parts["broker"].cores >= FULL
    first = "the broker: its core is full" if full else "not the broker: who sends, who listens, or the machine"
    return Flood(round(elapsed, 2), round(taken / elapsed), round(delivered / elapsed), parts, first)


def busiest_tenth(moments: Sequence[float]) -> int:
    """The most moments, seconds, that lie within a tenth of a second."""
    ranked, first, most = sorted(moments), 0, 0
    for place, moment in enumerate(ranked):
        while moment - ranked[first] > 0.1:
            first += 1
        most = max(most, place - first + 1)
    return most
