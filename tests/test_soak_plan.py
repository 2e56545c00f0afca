"""The soak's plan (tools/labs/service soak): every fault comes, and none where it could not be told from another."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools" / "labs"))

from service_lab.soak.plan import CALM, Kind, draw_plan

pytestmark = pytest.mark.any_runtime

KINDS = (
    Kind("hangs", "tpu", (3.0, 20.0)),
    Kind("pulled", "tpu", (8.0, 40.0)),
    Kind("stopped", "broker", (8.0, 40.0)),
    Kind("full", "disk", (8.0, 40.0)),
    Kind("replaced", "disk", (8.0, 40.0), restarts=True, alone=True),
    Kind("killed", "unit", (0.0, 0.0), restarts=True),
    Kind("restarted", "unit", (0.0, 0.0), restarts=True),
)
HOUR = 3600.0

seeds = st.integers(0, 10_000)


@settings(max_examples=20)
@given(seeds)
def test_the_same_seed_gives_the_same_faults(seed: int) -> None:
    assert draw_plan(KINDS, HOUR, seed) == draw_plan(KINDS, HOUR, seed)


@settings(max_examples=20)
@given(seeds)
def test_every_kind_comes_before_any_comes_again(seed: int) -> None:
    counts = Counter(planned.kind for planned in draw_plan(KINDS, HOUR, seed))
    assert set(counts) == set(KINDS)
    assert max(counts.values()) - min(counts.values()) <= 1


@settings(max_examples=20)
@given(seeds, st.floats(0.0, HOUR))
def test_the_beginning_and_the_end_are_calm(seed: int, seconds: float) -> None:
    plan = draw_plan(KINDS, seconds, seed)
    assert all(planned.at >= CALM and planned.ends <= seconds - CALM for planned in plan)
    assert all(before.at <= after.at for before, after in pairwise(plan))


@settings(max_examples=20)
@given(seeds)
def test_a_part_is_mended_before_it_is_struck_again(seed: int) -> None:
    for before, after in combinations(draw_plan(KINDS, HOUR, seed), 2):
        if before.kind.part == after.kind.part or before.kind.alone or after.kind.alone:
            assert after.at > before.ends


@settings(max_examples=20)
@given(seeds)
def test_systemd_is_not_given_reason_to_give_up(seed: int) -> None:
    ends = [planned.at for planned in draw_plan(KINDS, HOUR, seed) if planned.kind.restarts]
    assert all(fifth - first > 90 for first, fifth in zip(ends, ends[4:], strict=False))
