"""A large journal: what the tool measures, and that the search, which looks only where it must, misses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clip_shelf import NOON, event_message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgecam.event_search import EventSearch, FoundEvent, Wanted
from edgecam.event_store import EventStore
from edgecam.journal import Journal

pytestmark = pytest.mark.any_runtime

TOOL = Path(__file__).resolve().parent.parent / "tools" / "bench_journal.py"
LIMIT = 120.0
CAMERAS, LABELS, ZONES = ("front", "back", "attic"), ("cat", "dog", "giraffe"), ("door", "lawn", "moat")
EVENTS = 120


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal whose events differ in all that can be asked for; every twentieth has not ended."""
    path = tmp_path_factory.mktemp("large") / "edgecam.db"
    messages = []
    for number in range(EVENTS):
        start = NOON + (number * 7) % 40
        message = event_message(f"{start:.6f}-{number}", start - NOON)
        messages.append((message | {
            "camera": CAMERAS[number % 2], "label": LABELS[number // 3 % 2], "start_time": start,
            "entered_zones": [zone for place, zone in enumerate(ZONES[:2]) if (number >> place) % 2],
            "top_score": number % 11 / 10, "end_time": start + 5 if number % 20 else None,
        }, None))  # fmt: skip
    with Journal(path) as journal:
        journal.record_all(messages)
    return path


def several(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=2, unique=True).map(tuple)


WANTED = st.builds(
    Wanted,
    cameras=several(CAMERAS),
    labels=several(LABELS),
    zones=several(ZONES),
    after=st.none() | st.integers(-1, 41).map(lambda seconds: NOON + seconds),
    before=st.none() | st.integers(-1, 41).map(lambda seconds: NOON + seconds),
    in_progress=st.none() | st.booleans(),
    min_score=st.none() | st.integers(0, 11).map(lambda tenths: tenths / 10),
    max_score=st.none() | st.integers(0, 11).map(lambda tenths: tenths / 10),
)


def is_wanted(found: FoundEvent, wanted: Wanted) -> bool:
    document = found.document
    return all((
        document["camera"] in (wanted.cameras or CAMERAS),
        document["label"] in (wanted.labels or LABELS),
        not wanted.zones or set(wanted.zones) & set(document["entered_zones"]),
        wanted.after is None or document["start_time"] > wanted.after,
        wanted.before is None or document["start_time"] < wanted.before,
        wanted.in_progress is None or wanted.in_progress is not found.is_over,
        wanted.min_score is None or document["top_score"] >= wanted.min_score,
        wanted.max_score is None or document["top_score"] <= wanted.max_score,
    ))  # fmt: skip


@pytest.fixture(scope="module")
def search(path: Path) -> Iterator[EventSearch]:
    with EventSearch(path) as search:
        yield search


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=WANTED, limit=st.sampled_from([1, 7, 1000]))
def test_a_page_is_what_looking_at_every_event_finds(search: EventSearch, wanted: Wanted, limit: int) -> None:
    everything = search.search(Wanted(), 1000)
    assert len(everything) == EVENTS
    expected = [found.event_id for found in everything if is_wanted(found, wanted)]
    assert [found.event_id for found in search.search(wanted, limit)] == expected[:limit]


def test_old_events_are_found_from_place_to_place(path: Path) -> None:
    with EventStore(path) as store:
        last = store.last_old(NOON + 20)
        whole = store.old(-1, last, (NOON + 20, NOON + 1e6), 1000)
        place, parts = -1, []
        while part := store.old(place, last, (NOON + 20, NOON + 1e6), 7):
            parts += part
            place = part[-1].place
    assert parts == whole
    assert whole


def test_the_tool_states_every_figure_with_its_limit() -> None:
    command = [sys.executable, str(TOOL), "--events", "3000", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["events"] == 3000
    assert found["bytes"] > 3000 * 500
    assert {figure["limit"] for figure in found["figures"].values()} == {2.0, 0.05, 5.0}
    for name in ("page: the newest", "page: cats of one camera", "edgecam events, the newest"):
        assert found["figures"][name]["count"] == 100
    assert found["figures"]["page: a label that no event has"]["count"] == 0
