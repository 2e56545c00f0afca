"""Makes a journal of a million events and measures what an appliance does with it: open, list, keep tidy.

    tools/bench-journal [--events 1000000] [--folder DIR] [--json]

The events are a year's, of four cameras, in the product's own schema and documents, written in one transaction past
the product's own code, which commits each. Two of three are shown by a clip; the clips have no files. Each figure is
shown beside what is asked of it; it is the middle of three where it can be repeated, and CPU seconds stand beside it,
since the clock tells little while the machine has other work.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edgecam.clip_store import ClipKind, ClipStore
from edgecam.event_search import EventSearch, Wanted
from edgecam.event_store import EventStore
from edgecam.event_upkeep import EventUpkeep
from edgecam.events import event_document
from edgecam.journal import Journal
from edgecam.journal_schema import connect_to_write, migrate, transaction
from edgecam.retention import Policy
from edgecam.thinning import Thinning
from edgecam.types import BBox, Event, EventType

YEAR, DAY = 365 * 86_400.0, 86_400.0
NOW = datetime(2028, 12, 1, tzinfo=UTC)
CAMERAS = ("front", "garden", "drive", "back")
LABELS = ("person", "car", "person", "cat", "dog", "car", "bird", "bicycle")
ZONES = ((), ("path",), ("path", "door"), ("lawn",), ("street",))
CLIPPED = 3
"""Of so many events all but one are shown by a clip."""
TOGETHER = 2
"""Events that one clip shows."""
PAGE = 100
REPEATED = 3
LIMITS = {"open": 2.0, "page": 0.050, "calendar": 2.0, "retention": 5.0}
"""Seconds: what is asked of each kind of figure."""


@dataclass(frozen=True, order=True)
class Figure:
    """One figure: what kind it is of (a key of LIMITS), seconds by the clock and of the processor, of how many."""

    kind: str
    seconds: float
    cpu: float
    count: int


def build(path: Path, events: int) -> None:
    """Make the journal."""
    connection = connect_to_write(path)
    migrate(connection)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -200000")
    with transaction(connection):
        marks = ", ".join("?" * 16)
        connection.executemany(f"INSERT INTO events VALUES ({marks})", _events(events))  # noqa: S608 (marks)
        clips = "id, camera, path, start_time, end_time, clock_synced, frames, bytes, kept, cut, kind"
        query = f"INSERT INTO clips ({clips}) VALUES (?, ?, ?, ?, ?, 1, 600, 2000000, ?, NULL, 'event')"  # noqa: S608
        connection.executemany(query, _clips(events))
        connection.executemany("INSERT INTO clip_events VALUES (?, ?)", _links(events))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _start(number: int, events: int) -> float:
    return round(NOW.timestamp() - YEAR + number * YEAR / events, 3)


def _id(number: int, events: int) -> str:
    return f"{_start(number, events):.6f}-{number % 36**6:06x}"


def _events(events: int) -> Iterator[tuple[Any, ...]]:
    box = BBox(0.41, 0.32, 0.55, 0.81)
    event = Event(
        EventType.END, "ID", "CAMERA", 1, "LABEL", 0.81, 0.87, box, 17, 19.0, 0.0, 19.0, 9, box, 4.0, 0.87,
        frame_size=(1280, 720), position_changes=3,
    )  # fmt: skip
    document = event_document(event)
    for number in range(events):
        start = _start(number, events)
        camera, label = CAMERAS[number % len(CAMERAS)], LABELS[number * 7 // 5 % len(LABELS)]
        zones = ZONES[number // 3 % len(ZONES)]
        document |= {
            "id": _id(number, events), "camera": camera, "label": label, "start_time": start, "track_id": number,
            "frame_time": start + 19, "end_time": start + 19, "frame": number * 300, "entered_zones": zones,
            "best": document["best"] | {"time": start + 4, "frame": number * 300 - 200}, "clip": None,
        }  # fmt: skip
        yield (
            document["id"], camera, label, 0.81, 0.87, number, start, start + 19, start + 19, number * 300,
            number * 300 - 200, "[0.41, 0.32, 0.55, 0.81]", f"/var/lib/edgecam/snapshots/{camera}/{document['id']}.jpg",
            None, json.dumps(document, ensure_ascii=False), json.dumps(zones, separators=(",", ":")),
        )  # fmt: skip


def _clip_id(number: int) -> str:
    return f"clip-{number:07d}"


def _clips(events: int) -> Iterator[tuple[Any, ...]]:
    for number in range(0, events, CLIPPED * TOGETHER):
        for part in range(2):
            start, camera = _start(number + part, events), CAMERAS[(number + part) % len(CAMERAS)]
            path = f"clips/{camera}/{datetime.fromtimestamp(start, UTC):%Y-%m-%d/%H-%M-%S}-{number + part}.mp4"
            yield _clip_id(number + part), camera, path, start - 5, start + 25, number % 1000 == 0


def _links(events: int) -> Iterator[tuple[str, str]]:
    group = CLIPPED * TOGETHER
    for number in range(events):
        if number % CLIPPED:
            yield _id(number, events), _clip_id(number - number % group + number % 2)


def measure(path: Path) -> Iterator[tuple[str, Figure]]:
    """Each figure, with its name."""
    yield from _opened(path)
    with EventSearch(path) as search:
        yield from _pages(search)
    with Journal(path, read_only=True) as journal:
        newest = lambda: journal.events(limit=PAGE)  # noqa: E731
        yield "edgecam events, the newest", timed("page", newest)
        cats = lambda: journal.events(label="cat", zone="lawn", limit=PAGE)  # noqa: E731
        yield "edgecam events, cats in a zone", timed("page", cats)
    yield from _kept_tidy(path)


def _opened(path: Path) -> Iterator[tuple[str, Figure]]:
    def start() -> Iterable[int]:
        with Journal(path, outbox=True) as journal:
            yield journal.close_open_events("stopped")

    def reader() -> Iterable[Any]:
        with EventSearch(path) as search:
            yield search.last_place()

    yield "start of edgecam run", timed("open", start)
    yield "start of a reader", timed("open", reader)


def _pages(search: EventSearch) -> Iterator[tuple[str, Figure]]:
    past = (NOW - timedelta(days=300)).timestamp()
    questions = {
        "the newest": Wanted(),
        "the next page, 300 days back": Wanted(before=past),
        "one camera": Wanted(cameras=CAMERAS[:1]),
        "cats of one camera": Wanted(cameras=CAMERAS[1:2], labels=("cat",)),
        "cats of one camera, 300 days back": Wanted(cameras=CAMERAS[1:2], labels=("cat",), before=past),
        "a label that no event has": Wanted(labels=("giraffe",)),
        "a camera that is no more": Wanted(cameras=("attic",)),
        "one zone": Wanted(zones=("door",)),
        "a zone that is no more": Wanted(zones=("moat",)),
        "with a clip": Wanted(has_clip=True),
        "without a clip": Wanted(has_clip=False),
        "favourites": Wanted(kept=True),
        "in progress": Wanted(in_progress=True),
        "a score that none has": Wanted(min_score=0.99),
    }
    for name, wanted in questions.items():
        yield f"page: {name}", timed("page", partial(search.search, wanted, PAGE))
    yield "days with events", timed("calendar", search.days)
    yield "days with events of one camera", timed("calendar", lambda: search.days("front"))


def _kept_tidy(path: Path) -> Iterator[tuple[str, Figure]]:
    now, data = NOW.timestamp(), path.parent
    with ClipStore(path) as clips, EventStore(path) as events:
        for name, age in (("nothing is old", 2 * YEAR), ("a day is old", YEAR - DAY)):
            thinning = Thinning(clips, data, {ClipKind.EVENT: Policy(max_age=age)})
            yield f"clips, {name}", timed("retention", partial(thinning.steps, now), once=True)
            upkeep = EventUpkeep(events, data, age)
            yield f"events, {name}", timed("retention", partial(upkeep.thin, now), once=True)
        old = now - YEAR / 2
        half = lambda: events.old(-1, events.last_old(old), (old, now), 10**9)  # noqa: E731
        yield "events, half a year looked at", timed("retention", half)
        labels = Policy(2 * YEAR, label_max_age={"person": None, "cat": YEAR})
        thinning = Thinning(clips, data, {ClipKind.EVENT: labels})
        yield "clips, ages by label", timed("retention", lambda: thinning.steps(now), once=True)
        for name, most in (("all is within", 10**13), ("all the bytes are taken", clips.total_bytes())):
            thinning = Thinning(clips, data, {ClipKind.EVENT: Policy(max_bytes=most)})
            yield f"clips by size, {name}", timed("retention", partial(thinning.steps, now, ages=False))


def timed(kind: str, work: Callable[[], Iterable[Any]], *, once: bool = False) -> Figure:
    """How long it takes, the middle of REPEATED."""
    found = []
    for _ in range(1 if once else REPEATED):
        begin, spent = time.monotonic(), time.process_time()
        count = sum(1 for _each in work())
        found.append(Figure(kind, time.monotonic() - begin, time.process_time() - spent, count))
    return statistics.median_low(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000, help="so many (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="keep the journal here; one that is there is taken as it is")
    parser.add_argument("--json", action="store_true", help="one document instead of the table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        path = (options.folder or Path(temporary)) / "journal.sqlite"
        if not path.exists():
            build(path, options.events)
        size = path.stat().st_size
        figures = dict(measure(path))
    if options.json:
        document = {name: asdict(figure) | {"limit": LIMITS[figure.kind]} for name, figure in figures.items()}
        print(json.dumps({"events": options.events, "bytes": size, "figures": document}))
    else:
        _print(figures, options.events, size)
    return 0 if all(figure.cpu < LIMITS[figure.kind] for figure in figures.values()) else 1


def _print(figures: dict[str, Figure], events: int, size: int) -> None:
    print(f"{events} events, {size / 1e6:.0f} MB on the disk, {size / events:.0f} bytes each\n")
    print(f"{'MEASURED':44}  {'MS':>9}  {'CPU MS':>9}  {'LIMIT MS':>9}  ROWS")
    for name, figure in figures.items():
        limit = LIMITS[figure.kind]
        row = f"{name:44}  {1000 * figure.seconds:9.1f}  {1000 * figure.cpu:9.1f}  {1000 * limit:9.0f}  {figure.count}"
        print(f"{row}{'' if figure.seconds < limit else '  *** beyond the limit'}")


if __name__ == "__main__":
    sys.exit(main())
