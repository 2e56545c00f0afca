"""The outbox: the messages that were recorded and that the broker has not taken yet, in the journal's own file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

from edgecam.errors import SinkError
from edgecam.journal_faults import explained
from edgecam.journal_schema import JournalFile, complaint, connect_beside, outdated, transaction
from edgecam.ports import Clock

BUSY_TIMEOUT = 0.5
"""Seconds to wait for who records; the publisher has other things to do."""
TRIMMED_AT_ONCE = 1000
"""Messages given up in one transaction, so that nobody has to wait for it."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
#: Pages in the write-ahead log after which it is folded into the file: fewer than who records waits for, so that this
#: work, which may take a slow card a while, falls to the publisher's thread.
_CHECKPOINT_PAGES = 250

_PUT = "INSERT INTO outbox (boot, monotonic, wall, synced, payload) VALUES (?, ?, ?, ?, ?)"
_MOMENT = "boot, monotonic, wall, synced"
#: Once the clock is right, so are the times of this boot; what is older was recorded before the machine started.
_DATE = """
    UPDATE outbox SET synced = 1, wall = :wall - CASE WHEN boot = :boot THEN :monotonic - monotonic ELSE :monotonic END
    WHERE synced = 0
"""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time that can be compared with others after a restart, and after a step of the wall clock.

    `boot` names the time since the machine started, in which `monotonic` counts seconds; `wall` is in Unix seconds,
    and `synced` says whether it was known to be right.
    """

    boot: str
    monotonic: float
    wall: float
    synced: bool

    def age(self, now: Moment) -> float | None:
        """Seconds since then; None where that cannot be known: the machine was started in between, and one of the two
        wall clocks may be wrong."""
        if self.boot == now.boot:
            return max(0.0, now.monotonic - self.monotonic)
        return max(0.0, now.wall - self.wall) if self.synced and now.synced else None


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One message, by its place in the order of all there ever were; `payload` is a JSON object."""

    sequence: int
    recorded: Moment
    payload: str


def moment(clock: Clock) -> Moment:
    """The present moment."""
    synced = clock.synced()  # first: the clock may be set in between, and must then not vouch for before
    monotonic = clock.monotonic()
    return Moment(this_boot(), monotonic, clock.wall(monotonic).timestamp(), synced)


@cache
def this_boot() -> str:
    """The kernel's name for the time since the machine started; where it has none, one for this process."""
    return _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.is_file() else str(uuid4())


def put(connection: sqlite3.Connection, payload: str, recorded: Moment) -> OutboxMessage:
    """Add a message, within the transaction that records what it speaks of; returns it with its number."""
    row = (recorded.boot, recorded.monotonic, recorded.wall, recorded.synced, payload)
    sequence = connection.execute(_PUT, row).lastrowid
    assert sequence is not None
    return OutboxMessage(sequence, recorded, payload)


def sent_form(message: OutboxMessage, now: Moment, connected: Moment) -> bytes:
    """The stored message with what only sending tells: `sequence`, `late` (it was recorded before this connection was
    made) and `delay`, the seconds from recording to sending, null where the clock cannot tell."""
    age = message.recorded.age(now)
    delay = "null" if age is None else f"{age:.3f}"
    late = "true" if is_late(message, connected) else "false"
    return f'{message.payload[:-1]},"sequence":{message.sequence},"late":{late},"delay":{delay}}}'.encode()


def is_late(message: OutboxMessage, connected: Moment) -> bool:
    """Whether a message was recorded before the connection was made."""
    recorded = message.recorded
    return recorded.boot != connected.boot or recorded.monotonic < connected.monotonic


class OutboxBusy(SinkError):
    """Somebody else writes to the file; what was not written can be written soon, and reading goes on."""


class OutboxStalled(OutboxBusy):
    """The disk has not answered yet."""


class Outbox(JournalFile):
    """What the publisher sees of the journal's file, through a connection of its own.

    Its commits are not waited for by the disk (`synchronous=NORMAL`): a power cut may bring back messages that the
    broker has already taken, never lose one. It writes in short transactions, so that who records hardly waits for it.

    All methods raise SinkError, those that write OutboxBusy. Used by the thread that opened it.
    """

    def pending(self, after: int, limit: int) -> list[OutboxMessage]:
        """The messages next in order after the one with sequence `after`, at most `limit`."""
        query = f"SELECT sequence, payload, {_MOMENT} FROM outbox WHERE sequence > ? ORDER BY sequence LIMIT ?"  # noqa: S608 (no input in it)
        with self._faults():
            rows = self._opened.execute(query, (after, limit)).fetchall()
        return [OutboxMessage(sequence, _moment(recorded), payload) for sequence, payload, *recorded in rows]

    def acknowledge(self, sequences: Iterable[int]) -> None:
        """Forget messages, because the broker has them."""
        with self._faults(), transaction(self._opened):
            self._opened.executemany("DELETE FROM outbox WHERE sequence = ?", [(each,) for each in sequences])

    def length(self) -> int:
        """How many messages there are."""
        return self._number("SELECT count(*) FROM outbox")

    def oldest(self) -> Moment | None:
        """When the oldest message was recorded; None where there is none."""
        found = self.pending(0, 1)
        return found[0].recorded if found else None

    def lost(self) -> int:
        """How many messages were given up since the file was made."""
        return self._number("SELECT lost FROM outbox_state")

    def trim(self, now: Moment, *, messages: int, age: float, after: int = 0) -> int:
        """Give up the oldest messages beyond so many, or older than `age` seconds, and count them as lost; returns how
        many, at most TRIMMED_AT_ONCE.

        Those up to the sequence `after` are spared: they are on their way. A message whose age is not known, because
        the clock was not right, is not too old until it is.
        """
        with self._faults():
            if now.synced and self._number("SELECT EXISTS (SELECT 1 FROM outbox WHERE synced = 0)"):
                values = {"wall": now.wall, "boot": now.boot, "monotonic": now.monotonic}
                self._opened.execute(_DATE, values)
            excess = min(self.length() - messages, TRIMMED_AT_ONCE)
            query = f"SELECT sequence, {_MOMENT} FROM outbox WHERE sequence > ? ORDER BY sequence LIMIT ?"  # noqa: S608 (no input in it)
            oldest = self._opened.execute(query, (after, TRIMMED_AT_ONCE)).fetchall()
            ages = [_moment(recorded).age(now) or 0.0 for _, *recorded in oldest]
            cut = max([excess, *(place for place, each in enumerate(ages, 1) if each > age)])
            return self._give_up([sequence for sequence, *_ in oldest[: max(0, cut)]])

    def _give_up(self, sequences: list[int]) -> int:
        if not sequences:
            return 0
        with transaction(self._opened):
            bounds = (sequences[0], sequences[-1])
            given_up = self._opened.execute("DELETE FROM outbox WHERE sequence BETWEEN ? AND ?", bounds).rowcount
            self._opened.execute("UPDATE outbox_state SET lost = lost + ?", (given_up,))
        return given_up

    def _number(self, query: str) -> int:
        with self._faults():
            return int(self._opened.execute(query).fetchone()[0])

    def _connect(self) -> sqlite3.Connection:
        """Open the file, which a Journal has made."""
        return connect_beside(self._path, BUSY_TIMEOUT)

    def _check(self) -> None:
        self._opened.execute("PRAGMA synchronous = NORMAL")
        self._opened.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        reason = complaint(self._opened) or outdated(self._opened)
        if reason:
            raise self._error(reason)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, SinkError):
                raise
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            raise self._error(explained(error), OutboxBusy if busy else SinkError) from error

    def _error(self, reason: str, kind: type[SinkError] = SinkError) -> SinkError:
        return kind(f"outbox {self._path}: {reason}")


def _moment(columns: list[object]) -> Moment:
    boot, monotonic, wall, synced = columns
    return Moment(str(boot), float(str(monotonic)), float(str(wall)), bool(synced))
