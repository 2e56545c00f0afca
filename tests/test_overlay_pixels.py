"""Every pixel of the overlay is what the plain way of drawing makes of it, but for what rounding does.

A plate is off by at most 1.3 levels of 255; where several lie over each other their errors add up, and fade.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_overlay import PlainOverlay

from edgecam.overlay import Overlay
from edgecam.types import BBox, Track

WALL = datetime(2026, 7, 25, 14, 3, 27, tzinfo=UTC)


def make_track(track_id: int, label: str, bbox: BBox, score: float = 0.87, *, predicted: bool = False) -> Track:
    return Track(track_id, label, score, bbox, 5, 0, BBox(0, 0, 0, 0), confirmed=True, predicted=predicted)


small = st.tuples(st.integers(1, 80), st.integers(1, 60)).map(lambda half: (2 * half[0], 2 * half[1]))
LABELS = ["person", "dog", "Fußgänger", ""]
near = st.floats(-0.1, 1.1)
plain_tracks = st.builds(
    make_track, st.integers(1, 9999), st.sampled_from(LABELS), st.builds(BBox, near, near, near, near), st.floats(0, 1),
    predicted=st.booleans(),
)  # fmt: skip
pictures = st.one_of(small, st.sampled_from([(640, 360), (1000, 540), (300, 800)]))


def off_by(size: tuple[int, int], tracks: Sequence[Track], wall: datetime | None, seed: int) -> float:
    """Largest difference of any sample from what the plain way has it, on a picture of noise."""
    image = np.random.default_rng(seed).integers(0, 256, (size[1] * 3 // 2, size[0]), np.uint8)
    plain = PlainOverlay(image)
    status = "status" if wall else ""
    plain.draw(tracks, wall, status)
    Overlay().draw(image, tracks, wall, status)
    return float(np.abs(image - plain.samples()).max())


@settings(max_examples=50, deadline=None)
@given(size=pictures, track=plain_tracks, seed=st.integers(0, 9))
def test_an_object_looks_as_the_plain_way_draws_it(size: tuple[int, int], track: Track, seed: int) -> None:
    assert off_by(size, [track], None, seed) <= 2


@settings(max_examples=30, deadline=None)
@given(size=pictures, tracks=st.lists(plain_tracks, max_size=5, unique_by=lambda track: track.track_id))
def test_a_crowd_looks_as_the_plain_way_draws_it(size: tuple[int, int], tracks: Sequence[Track]) -> None:
    assert off_by(size, tracks, WALL, 1) <= 3


@pytest.mark.parametrize("side", range(2, 64, 2))
@pytest.mark.parametrize("predicted", [False, True])
def test_a_small_box_looks_as_the_plain_way_draws_it(side: int, predicted: bool) -> None:  # noqa: FBT001 (a parameter)
    for width, height in ((side, 200), (200, side), (side, side)):
        bbox = BBox(0.3, 0.3, 0.3 + width / 640, 0.3 + height / 360)
        assert off_by((640, 360), [make_track(1, "car", bbox, predicted=predicted)], None, side) <= 2


def test_threads_that_share_an_overlay_do_not_meet() -> None:
    overlay, wall = Overlay(), [WALL.replace(second=second) for second in range(8)]
    tracks = [[make_track(1, "car", BBox(0.1, 0.1, 0.2 + 0.05 * number, 0.7))] for number in range(8)]
    background = np.random.default_rng(0).integers(0, 256, (540, 640), np.uint8)

    def drawn(number: int) -> bytes:
        image = background.copy()
        overlay.draw(image, tracks[number], wall[number], f"camera {number}")
        return image.tobytes()

    alone = [drawn(number) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(drawn, list(range(8)) * 10)) == alone * 10
