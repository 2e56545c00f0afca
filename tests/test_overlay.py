"""What is drawn, where, and that nothing else is touched.

The reference pictures are drawn anew with `EDGECAM_UPDATE_REFERENCES=1 pytest tests/test_overlay.py`; look at them
before committing them.
"""

from __future__ import annotations

import math
import os
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecam.overlay import KNOWN, PALETTE, Overlay, colour_of
from edgecam.plates import INK
from edgecam.types import BBox, Track

REFERENCES = Path(__file__).resolve().parent / "reference"
TOLERANCE = 6
"""Largest difference from a reference in any channel of 0 to 255; OpenCV releases differ in the last bits."""
WALL = datetime(2026, 7, 25, 14, 3, 27, tzinfo=UTC)
STILL = BBox(0, 0, 0, 0)


def make_track(track_id: int, label: str, bbox: BBox, score: float = 0.87, *, predicted: bool = False) -> Track:
    return Track(track_id, label, score, bbox, 5, 0, STILL, confirmed=True, predicted=predicted)


def flat(width: int, height: int, luma: int = 128) -> NDArray[np.uint8]:
    image = np.full((height * 3 // 2, width), 128, np.uint8)
    image[:height] = luma
    return image


def checkered(width: int, height: int, dark: int, light: int) -> NDArray[np.uint8]:
    image = flat(width, height)
    rows, columns = np.indices((height, width))
    image[:height] = np.where((rows // 24 + columns // 24) % 2, dark, light)
    return image


STREET = (
    make_track(3, "person", BBox(0.08, 0.35, 0.2, 0.8)),
    make_track(12, "person", BBox(0.16, 0.3, 0.28, 0.78), 0.6, predicted=True),
    make_track(7, "car", BBox(0.4, -0.1, 0.75, 0.4), 0.934),
    make_track(8, "dog", BBox(0.85, 0.6, 1.2, 0.9), 1.0),
    make_track(9, "Fußgänger", BBox(0.5, 0.62, 0.6, 0.75), 0.5),
)
SCENES = {
    "dark": (checkered(480, 270, 20, 60), STREET),
    "light": (checkered(480, 270, 190, 235), STREET),
    "foreign": (flat(320, 180, 90), [make_track(1, "行人", BBox(0.2, 0.3, 0.6, 0.8))]),
    "tiny": (flat(64, 48, 90), [make_track(1, "cat", BBox(0.2, 0.3, 0.8, 0.9))]),
}


@pytest.mark.parametrize("name", SCENES)
def test_the_picture_is_that_of_the_reference(name: str) -> None:
    background, tracks = SCENES[name]
    image = background.copy()
    Overlay().draw(image, tracks, WALL, "edgecam-demo · cpu · 29.9 fps")
    drawn = cv2.cvtColor(image, cv2.COLOR_YUV2BGR_I420)
    file = REFERENCES / f"overlay_{name}.png"
    if os.environ.get("EDGECAM_UPDATE_REFERENCES"):
        cv2.imwrite(str(file), drawn, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    reference = cv2.imread(str(file))
    assert reference is not None, f"{file} is missing: see the head of this file"
    assert reference.shape == drawn.shape
    assert cv2.absdiff(drawn, reference).max() <= TOLERANCE


anywhere = st.floats(-1e6, 1e6) | st.floats(-0.2, 1.2) | st.sampled_from([0.0, 0.5, 1.0, math.inf, -math.inf])
boxes = st.builds(BBox, anywhere, anywhere, anywhere, anywhere)
tracks_anywhere = st.lists(
    st.builds(
        make_track,
        st.integers(0, 10**9),
        st.sampled_from(["person", "dog", "", "行人", "a very long label that fits no small picture"]) | st.text(),
        boxes,
        st.floats(-1, 2),
        predicted=st.booleans(),
    ),
    max_size=6,
)
sizes = st.tuples(st.integers(1, 80), st.integers(1, 60)).map(lambda half: (2 * half[0], 2 * half[1]))


@settings(max_examples=150, deadline=None)
@given(size=sizes, tracks=tracks_anywhere, scale=st.floats(0.1, 4), luma=st.integers(0, 255))
def test_whatever_the_boxes_nothing_fails_or_is_written_outside(
    size: tuple[int, int], tracks: Sequence[Track], scale: float, luma: int
) -> None:
    width, height = size
    fence, samples = 4096, width * height * 3 // 2
    memory = np.full(samples + 2 * fence, 77, np.uint8)
    image = memory[fence : fence + samples].reshape(height * 3 // 2, width)
    image[:] = luma
    Overlay(scale=scale).draw(image, tracks, WALL, "status")
    assert (memory[:fence] == 77).all()
    assert (memory[fence + samples :] == 77).all()


@settings(deadline=None)
@given(size=sizes, track=st.builds(make_track, st.just(1), st.just("person"), boxes, predicted=st.booleans()))
def test_a_box_is_drawn_around_its_object_in_all_three_planes_and_nowhere_else(
    size: tuple[int, int], track: Track
) -> None:
    width, height = size
    image = flat(width, height, 60)
    Overlay(show_labels=False).draw(image, [track], None, "")
    seen, reach = track.bbox.clipped(), 6
    rows, columns = np.indices((height, width))
    near = (columns >= seen.xmin * width - reach) & (columns < seen.xmax * width + reach)
    near &= (rows >= seen.ymin * height - reach) & (rows < seen.ymax * height + reach)
    assert not (image[:height] != 60)[~near].any()
    for plane in image.reshape(-1)[width * height :].reshape(2, height // 2, width // 2):
        assert not (plane != 128)[~near[::2, ::2]].any()


@pytest.mark.parametrize(
    "bbox",
    [
        BBox(0.5, 0.5, 0.5, 0.5),
        BBox(0.2, 0.2, 0.2, 0.9),
        BBox(0.6, 0.6, 0.4, 0.4),
        BBox(1.1, 0.2, 1.4, 0.5),
        BBox(0.2, -2, 0.4, -0.1),
        BBox(0.2, 0.2, 0.2001, 0.2001),
    ],
)
def test_a_box_with_nothing_to_see_leaves_the_picture_as_it_was(bbox: BBox) -> None:
    image = checkered(320, 180, 20, 200)
    before = image.copy()
    Overlay().draw(image, [make_track(1, "person", bbox)], None, "")
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    "overlay",
    [Overlay(show_labels=False, show_clock=False, show_status=False), Overlay(show_clock=False, show_status=False)],
)
def test_nothing_to_draw_leaves_the_picture_as_it_was(overlay: Overlay) -> None:
    image = checkered(320, 180, 20, 200)
    before = image.copy()
    overlay.draw(image, [], WALL, "status")
    assert np.array_equal(image, before)


def changed(overlay: Overlay, tracks: Sequence[Track], size: tuple[int, int] = (640, 360)) -> NDArray[np.bool_]:
    """Which luma samples of a grey picture the overlay changes."""
    image = flat(*size, 90)
    overlay.draw(image, tracks, WALL, "status")
    touched: NDArray[np.bool_] = image[: size[1]] != 90
    return touched


def test_each_switch_takes_its_part_away() -> None:
    track = make_track(1, "person", BBox(0.4, 0.4, 0.6, 0.6))
    everything = changed(Overlay(), [track])
    assert everything[330:, :200].any()
    assert everything[330:, 440:].any()
    assert everything[100:140].any()
    assert not changed(Overlay(show_labels=False), [track])[100:138].any()
    assert not changed(Overlay(show_clock=False, show_status=False), [track])[300:].any()


def test_clock_and_status_each_stand_in_their_corner() -> None:
    pictures = []
    for overlay in (Overlay(), Overlay(show_clock=False), Overlay(show_status=False)):
        image = flat(640, 360)
        overlay.draw(image, [], WALL, "status")
        pictures.append(image[:360])
    both, status, clock = pictures
    assert np.array_equal(both[:, :320], status[:, :320])
    assert np.array_equal(both[:, 320:], clock[:, 320:])
    assert (both[:, :320] != clock[:, :320]).any()
    assert (both[:, 320:] != status[:, 320:]).any()


def test_a_status_that_finds_no_room_beside_the_clock_is_left_out() -> None:
    crowded, alone = flat(320, 180), flat(320, 180)
    Overlay().draw(crowded, [], WALL, "a status as long as the picture is wide, and longer")
    Overlay(show_status=False).draw(alone, [], WALL, "")
    assert np.array_equal(crowded, alone)


def test_the_clock_shows_the_time_as_it_is_given() -> None:
    pictures = []
    for wall in (
        WALL,
        WALL.replace(tzinfo=timezone(timedelta(hours=5))),
        WALL.astimezone(timezone(timedelta(hours=5))),
    ):
        image = flat(640, 360)
        Overlay().draw(image, [], wall, "")
        pictures.append(image)
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_a_predicted_box_is_dashed() -> None:
    bbox = BBox(0.2, 0.2, 0.8, 0.8)
    overlay = Overlay(show_labels=False, show_clock=False, show_status=False)
    solid, dashed = (
        changed(overlay, [make_track(1, "person", bbox, predicted=predicted)]) for predicted in (False, True)
    )
    line = slice(200, 440)
    assert solid[71, line].all()
    assert 0.3 < dashed[71, line].mean() < 0.7


def plate_area(tracks: Sequence[Track]) -> int:
    """Luma samples of label plates: those of no other part have the plate's own value."""
    image = flat(640, 360, 90)
    Overlay(show_clock=False, show_status=False).draw(image, tracks, None, "")
    only_boxes = flat(640, 360, 90)
    Overlay(show_labels=False, show_clock=False, show_status=False).draw(only_boxes, tracks, None, "")
    return int((image[:360] != only_boxes[:360]).sum())


@pytest.mark.parametrize("count", [2, 3, 4])
def test_labels_of_objects_in_one_place_stand_apart(count: int) -> None:
    bbox = BBox(0.3, 0.3, 0.7, 0.7)
    crowd = [make_track(track_id, "person", bbox) for track_id in range(1, count + 1)]
    assert plate_area(crowd) > 0.9 * count * plate_area(crowd[:1])


@pytest.mark.parametrize(("top", "expected"), [(0.5, "above"), (0.0, "inside")])
def test_a_label_stands_above_its_box_or_inside_at_the_top_edge(top: float, expected: str) -> None:
    bbox = BBox(0.3, top, 0.6, top + 0.4)
    rows = np.flatnonzero(
        changed(Overlay(show_clock=False, show_status=False), [make_track(1, "dog", bbox)]).any(axis=1)
    )
    assert (rows[0] < top * 360 - 8) == (expected == "above")
    assert rows[0] >= 0


@given(label=st.text())
def test_a_label_has_one_colour(label: str) -> None:
    assert colour_of(label) == colour_of(label)
    assert colour_of(label) in PALETTE


def test_colours_are_those_of_yesterday() -> None:
    assert [PALETTE.index(colour_of(label)) for label in ("person", "car", "dog", "cat", "bird")] == [0, 1, 2, 3, 4]
    assert [PALETTE.index(colour_of(label)) for label in ("zebra", "kite", "Hund")] == [0, 4, 1]
    assert set(KNOWN.values()) <= set(range(len(PALETTE)))


def linear(colour: Sequence[float]) -> NDArray[np.float64]:
    values = np.asarray(colour, float) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def luminance(colour: Sequence[float]) -> float:
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("colour", PALETTE)
def test_text_is_readable_on_every_plate(colour: tuple[int, int, int]) -> None:
    """Contrast as WCAG 2.2 has it, which asks for 4.5."""
    assert (luminance(colour) + 0.05) / (luminance(INK) + 0.05) > 7


# Machado, Oliveira, Fernandes 2009: what remains of linear RGB without the medium, and without the long cones.
DEUTERANOPIA = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
PROTANOPIA = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]


@pytest.mark.parametrize("sight", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["full", "deuteranopia", "protanopia"])
def test_colours_differ_for_every_eye(sight: NDArray[np.float64]) -> None:
    seen = np.clip([np.asarray(sight) @ linear(colour) for colour in PALETTE], 0, 1).astype(np.float32)
    lab = cv2.cvtColor(seen[None], cv2.COLOR_LRGB2Lab)[0]
    assert min(float(np.linalg.norm(one - other)) for one, other in combinations(lab, 2)) > 20


def test_a_frame_costs_no_picture_of_memory() -> None:
    overlay, image = Overlay(), flat(1280, 720)
    overlay.draw(image, STREET, WALL, "status")
    tracemalloc.start()
    overlay.draw(image, STREET, WALL, "status")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < image.nbytes / 4


def test_drawing_again_on_the_same_picture_gives_the_same() -> None:
    first, second = flat(640, 360), flat(640, 360)
    overlay = Overlay()
    overlay.draw(first, STREET, WALL, "status")
    overlay.draw(second, reversed(STREET), WALL, "status")
    assert np.array_equal(first, second)
