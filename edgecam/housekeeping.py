"""The housekeeping thread: old clips go, journal and files agree, and what is written to the disk is counted."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any

from edgecam.clip_files import Sweep, Swept
from edgecam.clip_store import ClipKind, ClipStore
from edgecam.errors import SinkError
from edgecam.event_upkeep import EventUpkeep, Pictures
from edgecam.ports import Clock
from edgecam.retention import Policy
from edgecam.thinning import Thinning
from edgecam.worker import Worker

log = logging.getLogger(__name__)

TURN = 0.5
"""Seconds between two turns."""
AT_A_TIME = 0.2
"""Seconds of work in one turn, about."""
LOOK_EVERY = 60.0
"""Seconds between two looks at the bounds of size."""
HURRY = 5.0
"""The same while the disk is short of free space, and something can be done about it."""
AGES_EVERY = 3600.0
"""Seconds between two looks at the age of every clip."""
SWEEP_EVERY = 86_400.0
"""Seconds between two sweeps."""
RETRY_AFTER = 30.0
"""Seconds until the next attempt after the disk, or the journal, refused."""
DAY = 86_400.0
WRITTEN = Path("/proc/self/io")
"""Where Linux says how much this process wrote (proc_pid_io(5))."""


@dataclass(frozen=True, slots=True)
class HousekeepingFacts:
    """What was done since the start, and how things stand.

    `stored_bytes`, `over_bytes`: see Thinning. `deleted` clips went, which freed `deleted_bytes`. `swept` is what the
    last of the `sweeps` found, `pictures` the same of the snapshots; `deleted_events` went.

    `written_bytes` is what this process gave to the disk, `written_per_day` the same of the last day, or as much as
    there would be in a day where it has not run for one; None where the kernel does not say, or it is too early.
    `trouble` is what is wrong, "" where nothing is.
    """

    stored_bytes: int = 0
    over_bytes: int = 0
    deleted: int = 0
    deleted_bytes: int = 0
    sweeps: int = 0
    swept: Swept = field(default_factory=Swept)
    deleted_events: int = 0
    pictures: Pictures = field(default_factory=Pictures)
    written_bytes: int | None = None
    written_per_day: int | None = None
    trouble: str = ""

    def summary(self) -> dict[str, Any]:
        """The figures, by name, without the details of the sweeps."""
        return {name: value for name, value in asdict(self).items() if name not in {"swept", "pictures"}}


class HousekeepingWorker(Worker):
    """Sweeps at its start and once a day, and keeps the clips of each kind within its policy.

    A look at the bounds costs little and writes nothing; work is done in small pieces. `facts` may be asked for by any
    thread. What the disk or the journal refuses is told as `trouble` and tried again: this thread does not end for it.
    """

    turn_limit = 300.0  # deleting a large file from a slow card takes long, and nobody waits for it

    def __init__(
        self,
        data: Path,
        store: ClipStore,
        policies: Mapping[ClipKind, Policy],
        clock: Clock,
        on_exit: Callable[[], None] = lambda: None,
        *,
        events: EventUpkeep | None = None,
        written: Path = WRITTEN,
    ) -> None:
        """`events` keeps the events and their pictures; None: nobody does."""
        super().__init__("housekeeping", on_exit)
        self._facts = HousekeepingFacts()
        self._data = data
        self._store = store
        self._thinning = Thinning(store, data, policies)
        self._events = events
        self._clock = clock
        self._ledger = Ledger(written)
        self._chore: Iterator[None] | None = None
        self._look_due = self._ages_due = self._sweep_due = self._try_again = float("-inf")
        self._refusal = ""

    @property
    def facts(self) -> HousekeepingFacts:
        """How things stand."""
        thinning, ledger, events = self._thinning, self._ledger, self._events
        return replace(
            self._facts,
            stored_bytes=thinning.stored_bytes,
            over_bytes=thinning.over_bytes,
            deleted=thinning.deleted,
            deleted_bytes=thinning.deleted_bytes,
            deleted_events=events.deleted if events else 0,
            pictures=events.found if events else Pictures(),
            written_bytes=ledger.total,
            written_per_day=ledger.per_day,
            trouble=self._refusal or thinning.trouble or _unmounted(self._facts.swept),
        )

    def follow(self, policies: Mapping[ClipKind, Policy]) -> None:
        """Keep other bounds from the next turn on. From any thread."""

        def change() -> None:
            self._thinning.follow(policies)
            self._look_due = self._ages_due = float("-inf")

        self.between_turns(change)

    def step(self) -> None:
        self.stopping.wait(TURN)
        if not self.stopping.is_set():
            self.turn()

    def teardown(self) -> None:
        self._chore = None
        self._close()

    def turn(self) -> None:
        """Do a little of what is due."""
        now = self._clock.monotonic()
        self._ledger.count(now)
        if now < self._try_again:
            return
        end = monotonic() + AT_A_TIME
        try:
            self._store.open()
            while self._chore is not None or self._begin(now):
                if next(self._chore or iter(()), self) is self:
                    self._chore = None
                if self.stopping.is_set() or monotonic() > end:
                    break
        except SinkError as error:
            self._give_up(now, str(error))
            return
        if self._refusal:
            log.warning("housekeeping goes on")
            self._refusal = ""

    def _begin(self, now: float) -> bool:
        """Take up the next thing that is due; False where nothing is."""
        if now >= self._sweep_due:
            self._chore = self._sweep(now)
        elif now >= self._look_due:
            self._chore = self._look(now)
        return self._chore is not None

    def _sweep(self, now: float) -> Iterator[None]:
        sweep = Sweep(self._store, self._data, self._clock.wall(now).timestamp(), self._facts.swept.missing)
        yield from sweep.steps()
        if self._events is not None:
            yield from self._events.sweep(self._clock.wall(now).timestamp())
        self._sweep_due = now + SWEEP_EVERY
        found = sweep.found
        self._facts = replace(self._facts, sweeps=self._facts.sweeps + 1, swept=found)
        for stranger in found.strangers:
            log.warning("%s: not a clip of edgecam's: left alone", stranger)
        for stranger in self.facts.pictures.strangers:
            log.warning("%s: not a snapshot of edgecam's: left alone", stranger)
        if found.missing:
            log.warning("%s", _unmounted(found))

    def _look(self, now: float) -> Iterator[None]:
        ages = now >= self._ages_due
        unix = self._clock.wall(now).timestamp() if self._clock.synced() else None
        yield from self._thinning.steps(unix, ages=ages, without=self._facts.swept.missing)
        hurry = self._thinning.is_short and not self._thinning.over_bytes
        self._look_due = now + (HURRY if hurry else LOOK_EVERY)
        if ages:
            if self._events is not None:
                yield from self._events.thin(unix)
            self._ages_due = now + AGES_EVERY

    def _give_up(self, now: float, reason: str) -> None:
        """Let go of the file, and try again later."""
        self._chore = None
        self._try_again = now + RETRY_AFTER
        if not self._refusal:
            log.warning("housekeeping: %s", reason)
        self._refusal = reason
        self._close()

    def _close(self) -> None:
        """Let go of the journal's file."""
        self._store.close()
        if self._events is not None:
            self._events.close()


class Ledger:
    """Counts what this process gave to the disk, in bytes; `total` and `per_day` are None while they are not known."""

    def __init__(self, source: Path = WRITTEN) -> None:
        self.total: int | None = None
        self.per_day: int | None = None
        self._source = source
        self._began: tuple[float, int] | None = None
        self._hours: deque[tuple[float, int]] = deque(maxlen=25)
        self._due = float("-inf")

    def count(self, now: float) -> None:
        """Look at the count, once a minute. `now` is in monotonic seconds."""
        if now < self._due:
            return
        self._due = now + LOOK_EVERY
        written = _written(self._source)
        if written is None:
            return
        if not self._hours or now - self._hours[-1][0] >= DAY / 24:
            self._hours.append((now, written))
        self._began = self._began or (now, written)
        self.total = written - self._began[1]
        then, before = self._hours[0]
        if now - then >= LOOK_EVERY:
            self.per_day = round((written - before) * DAY / (now - then))


def _written(source: Path) -> int | None:
    """`write_bytes`, what really went to a disk, less what was deleted before it did."""
    try:
        known = dict(line.split(": ") for line in source.read_text(encoding="ascii").splitlines())
        return int(known["write_bytes"]) - int(known["cancelled_write_bytes"])
    except (OSError, ValueError, KeyError):
        return None


def _unmounted(swept: Swept) -> str:
    if not swept.missing:
        return ""
    return f"{len(swept.missing)} of {swept.clips} clips have no file: is their disk mounted?"
