"""Retention: over any history the bounds hold, favourites stay, and the oldest goes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecam.retention import EARLIEST, Policy, StoredClip, beyond_reach, to_delete

pytestmark = pytest.mark.any_runtime

DAY = 86400.0
NOW = EARLIEST + 1000 * DAY
LABELS = ("person", "dog", "car", "cat")
MANY = 100_000


def clip(number: int, age: float, size_bytes: int = 10, **more: object) -> StoredClip:
    """A clip that began `age` seconds before NOW."""
    made = StoredClip(f"clip-{number}", "front", (), NOW - age, NOW - age + 10, size_bytes)
    return replace(made, **more)  # type: ignore[arg-type]


def history(random: Random, count: int, span: float) -> list[StoredClip]:
    """Clips of several cameras over `span` seconds until NOW, in the order in which they were recorded."""
    favourites = random.choice([0.0, 0.01, 0.3, 1.0])
    starts = sorted(NOW - random.uniform(0, span) for _ in range(count))
    return [
        StoredClip(
            f"clip-{number}",
            random.choice(("front", "back")),
            tuple(random.sample(LABELS, random.randint(0, 2))),
            start,
            start + random.uniform(1, 300),
            random.randint(0, 20_000_000),
            kept=random.random() < favourites,
        )
        for number, start in enumerate(starts)
    ]


def assert_right(clips: Sequence[StoredClip], now: float | None, free_bytes: int, policy: Policy) -> None:
    """What is deleted is right: bounds, favourites, order, and nothing without a reason."""
    deleted = to_delete(clips, now, free_bytes, policy)
    gone = set(deleted)
    left = [each for each in clips if each.clip_id not in gone]
    by_id = {each.clip_id: place for place, each in enumerate(clips)}
    places = [by_id[each] for each in deleted]
    assert len(gone) == len(deleted)
    assert all(a < b for a, b in pairwise(places)), "the oldest goes first"
    assert not any(clips[place].kept for place in places), "a favourite never goes"

    def expired(each: StoredClip) -> bool:
        return now is not None and now - each.start > policy.age_limit(each)

    removable = [each for each in left if not each.kept]
    assert not any(expired(each) for each in removable), "nothing is older than its bound"
    total = sum(each.size_bytes for each in left)
    free = free_bytes + sum(clips[place].size_bytes for place in places)
    over = max(total - (total if policy.max_bytes is None else policy.max_bytes), policy.min_free_bytes - free)
    assert over <= 0 or not removable, "no bound of size is exceeded while there is something to delete"

    for_size = [clips[place] for place in places if not expired(clips[place])]
    if for_size:
        last = for_size[-1]
        assert over + last.size_bytes > 0, "nothing goes without need"
        assert all(each.kept for each in clips[: by_id[last.clip_id]] if each.clip_id not in gone), "oldest first"


@pytest.mark.parametrize("seed", range(8))
def test_a_random_history_of_many_clips_keeps_within_its_bounds(seed: int) -> None:
    random = Random(seed)
    clips = history(random, MANY, span=random.choice([10, 100, 900]) * DAY)
    total = sum(each.size_bytes for each in clips)
    policy = Policy(
        max_age=random.choice([None, 0.0, 7 * DAY, 30 * DAY]),
        max_bytes=random.choice([None, 0, total // 3, total * 2]),
        min_free_bytes=random.choice([0, total // 10, total * 3]),
        label_max_age=random.choice([{}, {"person": 60 * DAY, "cat": DAY}, {"dog": None}]),
    )
    assert_right(clips, random.choice([NOW, NOW, None]), random.choice([0, total // 5]), policy)


ages = st.none() | st.floats(0, 40 * DAY)
small_histories = st.lists(
    st.builds(
        StoredClip,
        clip_id=st.uuids().map(str),
        camera=st.just("front"),
        labels=st.lists(st.sampled_from(LABELS), max_size=3, unique=True).map(tuple),
        start=st.floats(NOW - 40 * DAY, NOW),
        end=st.just(NOW),
        size_bytes=st.integers(0, 100),
        kept=st.booleans(),
    ),
    max_size=30,
    unique_by=lambda each: each.clip_id,
).map(lambda clips: sorted(clips, key=lambda each: each.start))


@settings(max_examples=300, deadline=None)
@given(
    small_histories,
    st.none() | st.just(NOW),
    st.integers(0, 300),
    st.builds(
        Policy,
        ages,
        st.none() | st.integers(0, 1500),
        st.integers(0, 800),
        st.dictionaries(st.sampled_from(LABELS), ages),
    ),
)
def test_any_history_keeps_within_its_bounds(
    clips: list[StoredClip], now: float | None, free_bytes: int, policy: Policy
) -> None:
    assert_right(clips, now, free_bytes, policy)


def test_sweeping_twice_deletes_nothing_more() -> None:
    clips = history(Random(3), 1000, 60 * DAY)
    policy = Policy(max_age=30 * DAY, max_bytes=3_000_000_000)
    gone = set(to_delete(clips, NOW, 0, policy))
    left = [each for each in clips if each.clip_id not in gone]
    assert gone
    assert to_delete(left, NOW, 0, policy) == []


def test_a_clip_stays_as_long_as_the_most_patient_of_its_labels() -> None:
    policy = Policy(max_age=7 * DAY, label_max_age={"person": 30 * DAY, "cat": DAY, "fox": None})
    clips = [
        clip(0, 900 * DAY, labels=("fox", "cat")),
        clip(1, 40 * DAY, labels=("person",)),
        clip(2, 20 * DAY, labels=("person", "cat")),
        clip(3, 10 * DAY, labels=("dog",)),
        clip(4, 5 * DAY),
        clip(5, 2 * DAY, labels=("cat",)),
        clip(6, 2 * DAY, labels=("cat", "dog")),
    ]
    assert to_delete(clips, NOW, 0, policy) == ["clip-1", "clip-3", "clip-5"]


def test_what_goes_by_age_counts_for_size_and_free_space() -> None:
    clips = [clip(0, 40 * DAY), clip(1, 3 * DAY), clip(2, 2 * DAY), clip(3, DAY)]
    policy = Policy(max_age=30 * DAY, max_bytes=30, min_free_bytes=20)
    assert to_delete(clips, NOW, 10, policy) == ["clip-0"]
    assert to_delete(clips, NOW, 0, policy) == ["clip-0", "clip-1"]


def test_favourites_count_and_what_they_make_impossible_is_told() -> None:
    clips = [clip(0, 3 * DAY, 60, kept=True), clip(1, 2 * DAY, 30), clip(2, DAY, 20, kept=True)]
    policy = Policy(max_bytes=70)
    assert to_delete(clips, NOW, 0, policy) == ["clip-1"]
    assert beyond_reach(clips, 0, policy) == 10
    assert beyond_reach(clips, 0, Policy(max_bytes=80)) == 0
    assert beyond_reach(clips, 5, Policy(min_free_bytes=50)) == 15
    assert beyond_reach(clips, 5, Policy(min_free_bytes=35)) == 0


def test_a_clip_from_before_the_clock_was_set_lives_as_long_as_the_next_one() -> None:
    wrong = [clip(number, 0.0, start=float(number), end=10.0) for number in range(3)]
    policy = Policy(max_age=7 * DAY)
    assert to_delete(wrong, NOW, 0, policy) == []
    later = [*wrong, clip(3, DAY)]
    assert to_delete(later, NOW, 0, policy) == []
    assert to_delete(later, NOW + 5 * DAY, 0, policy) == []
    assert to_delete(later, NOW + 6.1 * DAY, 0, policy) == ["clip-0", "clip-1", "clip-2", "clip-3"]


def test_a_clip_from_the_future_goes_with_the_next_one_and_takes_nothing_with_it() -> None:
    clips = [clip(0, 3 * DAY), clip(1, -9000 * DAY), clip(2, 2 * DAY), clip(3, DAY)]
    assert to_delete(clips, NOW, 0, Policy(max_age=2.5 * DAY)) == ["clip-0"]
    assert to_delete(clips, NOW, 0, Policy(max_age=1.5 * DAY)) == ["clip-0", "clip-1", "clip-2"]
    assert to_delete(clips, NOW, 0, Policy(max_bytes=20)) == ["clip-0", "clip-1"]


def test_a_date_that_was_not_known_to_be_right_is_not_believed() -> None:
    clips = [clip(0, 60 * DAY, clock_synced=False), clip(1, DAY)]
    assert to_delete(clips, NOW, 0, Policy(max_age=7 * DAY)) == []
    assert to_delete([replace(clips[0], clock_synced=True), clips[1]], NOW, 0, Policy(max_age=7 * DAY)) == ["clip-0"]


def test_while_the_clock_is_not_known_to_be_right_nothing_goes_by_age() -> None:
    clips = [clip(number, (30 - number) * DAY) for number in range(20)]
    policy = Policy(max_age=7 * DAY, max_bytes=150)
    assert to_delete(clips, None, 0, policy) == [f"clip-{number}" for number in range(5)]


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 2**32),
    st.floats(-1e10, 1e10) | st.floats(-90 * DAY, 90 * DAY),
    st.integers(0, 59),
    st.integers(1, 10),
    st.sampled_from([Policy(max_age=30 * DAY), Policy(max_bytes=300), Policy(max_age=30 * DAY, max_bytes=300)]),
)
def test_clips_of_a_stepping_clock_cost_no_other_clip(
    seed: int, step: float, first: int, count: int, policy: Policy
) -> None:
    """Whatever dates a few clips in a row have, none of the others goes that would have stayed.

    All go that would have gone, but where the clock was ahead by so little that the dates can be believed.
    """
    random = Random(seed)
    clips = [clip(number, (60 - number) * DAY + random.uniform(0, 1000), 10) for number in range(60)]
    stepped = range(first, min(60, first + count))
    wrong = [
        replace(each, start=each.start + step, clock_synced=abs(step) > 1e9) if number in stepped else each
        for number, each in enumerate(clips)
    ]
    others = {each.clip_id for number, each in enumerate(clips) if number not in stepped}
    before = [each for each in to_delete(clips, NOW, 0, policy) if each in others]
    after = [each for each in to_delete(wrong, NOW, 0, policy) if each in others]
    assert set(after) <= set(before)
    if not 0 < step < 61 * DAY:
        assert after == before


def test_clips_at_one_instant_go_in_the_order_of_recording() -> None:
    clips = [clip(number, DAY, 10) for number in range(6)]
    assert to_delete(clips, NOW, 0, Policy(max_bytes=30)) == ["clip-0", "clip-1", "clip-2"]
