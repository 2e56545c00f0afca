"""Rendered scenes: the same for ever, at any size, with boxes that are exactly what is seen."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecam.scenes import LABELS, Scene, SceneObject, View
from edgecam.scenes import scene as scene_module
from edgecam.scenes.animals import bird_look, dog_look, draw_bird_flying, draw_bird_standing, draw_dog
from edgecam.scenes.camera import Camera
from edgecam.scenes.canvas import Canvas, Image, Placement
from edgecam.scenes.cars import car_look, draw_car
from edgecam.scenes.people import draw_person, person_look
from edgecam.scenes.shapes import Shape, disc, poly
from edgecam.scenes.trips import Route, Trip, travelled
from edgecam.scenes.world import Actor, Traffic
from edgecam.types import BBox

SEEDS = st.integers(0, 10**9)
TIMES = st.floats(0, 5000, allow_nan=False)


def small(seed: int, place: str | None = None, light: str | None = None) -> Scene:
    return Scene(seed, width=320, height=180, place=place, light=light)


def view(seed: int, t: float) -> View:
    return small(seed).render(t)


@lru_cache(maxsize=1)
def sample_views() -> list[View]:
    return [view(seed, 8.0) for seed in range(40)]


def spread(shapes: list[Shape]) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a drawing."""
    points = np.concatenate([shape.points for shape in shapes])
    return points.real.min(), points.real.max(), points.imag.min(), points.imag.max()


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


# ---- the contract ----


@given(SEEDS, TIMES)
@settings(max_examples=15, deadline=None)
def test_a_view_depends_on_nothing_but_seed_time_and_size(seed: int, t: float) -> None:
    scene = small(seed)
    scene.render(t + 7.0)
    again = scene.render(t)
    fresh = view(seed, t)
    assert np.array_equal(again.image, fresh.image)
    assert again.objects == fresh.objects


@given(SEEDS, TIMES)
@settings(max_examples=20, deadline=None)
def test_boxes_lie_within_the_frame_and_every_object_is_visible(seed: int, t: float) -> None:
    seen = view(seed, t)
    assert seen.image.shape == (180, 320, 3)
    assert seen.image.dtype == np.uint8
    for item in seen.objects:
        assert item.label in LABELS
        assert 0.0 <= item.bbox.xmin < item.bbox.xmax <= 1.0
        assert 0.0 <= item.bbox.ymin < item.bbox.ymax <= 1.0
        assert 0.0 < item.visible <= 1.0
        assert item.object_id > 0
    ids = [item.object_id for item in seen.objects]
    assert len(ids) == len(set(ids))


def test_the_same_seed_shows_the_same_at_any_size() -> None:
    compared = 0
    for seed in range(12):
        little, large = (Scene(seed, width=w, height=h).render(6.0) for w, h in ((320, 180), (960, 540)))
        others = {item.object_id: item for item in large.objects}
        for item in little.objects:
            if item.difficult or item.visible < 0.95:
                continue
            twin = others[item.object_id]
            assert twin.label == item.label
            assert twin.visible == pytest.approx(item.visible, abs=0.08)
            assert np.allclose(item.bbox, twin.bbox, atol=1.6 / 180)
            compared += 1
        shrunk = large.image.reshape(180, 3, 320, 3, 3).mean(axis=(1, 3))
        assert np.abs(shrunk - little.image).mean() < 14
    assert compared > 12


def test_an_unusual_shape_of_frame_shows_the_same_world_stretched() -> None:
    wide, square = view(4, 9.0), Scene(4, width=256, height=256).render(9.0)
    assert [item.object_id for item in wide.objects] == [item.object_id for item in square.objects]
    for item, other in zip(wide.objects, square.objects, strict=True):
        assert np.allclose(item.bbox, other.bbox, atol=0.02)


def test_everything_there_is_appears() -> None:
    scenes = [small(seed) for seed in range(16)]
    assert {scene.place for scene in scenes} == {"street", "garden"}
    assert {scene.light_name for scene in scenes} == {"day", "dusk", "rain"}
    assert {item.label for seen in sample_views() for item in seen.objects} == set(LABELS)


def test_a_place_and_a_light_can_be_asked_for() -> None:
    scene = small(1, place="garden", light="dusk")
    assert (scene.place, scene.light_name) == ("garden", "dusk")
    assert scene.render(0.0).image.mean() < small(1, place="garden", light="day").render(0.0).image.mean()


@pytest.mark.parametrize("choice", [{"place": "moon"}, {"light": "disco"}])
def test_an_unknown_place_or_light_is_refused_by_name(choice: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"moon|disco"):
        small(0, **choice)


# ---- what a detector needs ----


def test_scenes_are_neither_empty_nor_crowded() -> None:
    counts = [sum(not item.difficult for item in seen.objects) for seen in sample_views()]
    assert 1.5 < np.mean(counts) < 4.0
    assert np.mean([count == 0 for count in counts]) < 0.2
    assert max(counts) <= 9


def test_actors_are_large_enough_for_a_small_input() -> None:
    heights = defaultdict(list)
    for seen in sample_views():
        for item in seen.objects:
            if item.visible > 0.95:
                heights[item.label].append(item.bbox.height * 720)
    for label, (low, high) in {"person": (100, 370), "car": (90, 270), "dog": (60, 205), "bird": (40, 170)}.items():
        assert len(heights[label]) > 5
        assert low <= min(heights[label])
        assert max(heights[label]) <= high


def test_a_hidden_or_tiny_object_is_difficult() -> None:
    box = BBox(0.1, 0.1, 0.3, 0.4)
    assert not SceneObject("car", box, 1, 0.6).difficult
    assert SceneObject("car", box, 1, 0.4).difficult
    assert SceneObject("bird", BBox(0.1, 0.1, 0.3, 0.14), 1, 1.0).difficult
    assert SceneObject("person", BBox(0.1, 0.1, 0.11, 0.4), 1, 1.0).difficult


# ---- over time ----


def test_an_actor_keeps_its_id_and_moves_steadily() -> None:
    scene = small(3, place="street", light="day")
    centres: dict[int, list[tuple[float, float]]] = defaultdict(list)
    labels: dict[int, set[str]] = defaultdict(set)
    for frame in range(120):
        for item in scene.render(frame / 10).objects:
            labels[item.object_id].add(item.label)
            if item.visible > 0.95:
                centres[item.object_id].append((frame / 10, item.bbox.center[0]))
    assert all(len(names) == 1 for names in labels.values())
    passages = [passage for passage in centres.values() if len(passage) > 8]
    assert len(passages) > 2
    for passage in passages:
        for (t0, x0), (t1, x1) in pairwise(passage):
            assert abs(x1 - x0) <= 0.75 * (t1 - t0) + 0.02


def test_actors_keep_coming() -> None:
    scene = small(11)
    early = {item.object_id for t in range(0, 40, 2) for item in scene.render(float(t)).objects}
    late = {item.object_id for t in range(3600, 3640, 2) for item in scene.render(float(t)).objects}
    assert early
    assert late
    assert not early & late


def test_a_pause_stops_and_resumes_without_a_jump() -> None:
    trip = Trip("people", 1, 0.0, 1.2, 1, 0.9, 0.9, 10.0, 4.0, 2.0, ())
    times = np.arange(0.0, trip.duration, 0.02)
    distance = np.array([travelled(trip, t)[0] for t in times])
    pace = np.array([travelled(trip, t)[1] for t in times])
    steps = np.diff(distance)
    assert np.all(steps >= -1e-9)
    assert np.all(steps <= 1.2 * 0.02 + 1e-9)
    assert np.allclose(steps, 1.2 * 0.02 * (pace[:-1] + pace[1:]) / 2, atol=1e-3)
    assert np.sum(pace == 0.0) * 0.02 == pytest.approx(2.0, abs=0.1)
    assert travelled(trip, trip.duration)[0] == pytest.approx(trip.length)


def test_height_follows_the_depth_of_the_ground() -> None:
    camera = Camera(0.3, 2.5)
    assert camera.scale(0.9) == pytest.approx(2 * camera.scale(0.6))
    tops = {}
    for y in (0.6, 0.9):
        traffic = Traffic(5, (Route("people", y, 0.0, 12.0, 1.0),), camera, rainy=False, lights_on=False)
        tops[y] = max(
            actor.at.scale for t in range(12) for actor in traffic.actors(float(t)) if actor.label == "person"
        )
    assert tops[0.9] / tops[0.6] == pytest.approx(2.0, rel=0.2)


def test_the_nearest_actor_comes_last() -> None:
    routes = tuple(Route("people", y, 0.0, 9.0, 1.0) for y in (0.95, 0.6, 0.8))
    traffic = Traffic(5, routes, Camera(0.3, 2.5), rainy=False, lights_on=False)
    grounds = [actor.ground for actor in traffic.actors(30.0)]
    assert len(grounds) > 1
    assert grounds == sorted(grounds)


# ---- drawings ----


def test_legs_swing_while_walking_and_stand_still_when_standing() -> None:
    look = person_look(generator(1), rainy=False)
    strides = [spread(draw_person(look, phase, 1.0)) for phase in np.linspace(0, 2 * np.pi, 12)]
    widths = [right - left for left, right, _, _ in strides]
    assert max(widths) > 1.4 * min(widths)
    still = [spread(draw_person(look, phase, 0.0)) for phase in (0.0, 2.0)]
    assert np.allclose(still[0], still[1])


@given(SEEDS, st.floats(0, 50), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_everybody_stands_on_the_ground(seed: int, phase: float, stride: float) -> None:
    rng = generator(seed)
    drawings = [
        (draw_person(person_look(rng, rainy=seed % 2 == 0), phase, stride), 0.93, 1.06),
        (draw_dog(dog_look(rng), phase, stride, phase), 1.1, 1.75),
        (draw_bird_standing(bird_look(rng), stride, 0.0), 0.6, 1.1),
        (draw_car(car_look(rng), phase, lights_on=seed % 2 == 0), 1.3, 2.0),
    ]
    for shapes, low, high in drawings:
        _, _, bottom, top = spread(shapes)
        assert -0.06 <= bottom <= 0.06
        assert low <= top <= high


def test_wings_beat_and_wheels_turn() -> None:
    bird = bird_look(generator(2))
    tops = [spread(draw_bird_flying(bird, phase))[3] for phase in np.linspace(0, 2 * np.pi, 9)]
    assert max(tops) > min(tops) + 0.4
    car = car_look(generator(2))
    parked, rolled = (draw_car(car, metres, lights_on=False) for metres in (0.0, 0.2))
    moved = sum(not np.allclose(a.points, b.points) for a, b in zip(parked, rolled, strict=True))
    assert moved == 2 * car.spokes


# ---- the canvas ----


def blank() -> Canvas:
    return Canvas(np.full((90, 160, 3), 200, np.uint8))


SQUARE = [poly([(0, 0), (1, 0), (1, 1), (0, 1)], (250, 20, 20), outlined=True)]
RED = [(250, 20, 20)]
BLACK = (0, 0, 0)


def test_the_mask_is_exactly_what_was_painted() -> None:
    canvas = blank()
    area, whole = canvas.paint(SQUARE, Placement(0.5, 0.75, 0.25, 1.0), 3, RED, BLACK, 1.0)
    changed = np.any(canvas.frame != 200, axis=2)
    owned = canvas.owner == 3
    assert whole == owned.sum()
    rows, columns = np.nonzero(owned)
    painted_rows, painted_columns = np.nonzero(changed)
    assert abs(rows.min() - painted_rows.min()) <= 1
    assert abs(columns.max() - painted_columns.max()) <= 1
    assert area.x0 <= columns.min()
    assert columns.max() < area.x1
    assert owned.sum() == pytest.approx((0.25 * 90) ** 2, rel=0.2)


def test_an_actor_cut_by_the_edge_counts_its_pixels_outside() -> None:
    inside, cut = blank(), blank()
    _, whole = inside.paint(SQUARE, Placement(0.5, 0.75, 0.25, 1.0), 1, RED, BLACK, 1.0)
    _, same = cut.paint(SQUARE, Placement(-0.125, 0.75, 0.25, 1.0), 1, RED, BLACK, 1.0)
    assert same == pytest.approx(whole, rel=0.03)
    assert np.count_nonzero(cut.owner) == pytest.approx(whole / 2, rel=0.1)


def test_the_nearer_actor_takes_the_pixels() -> None:
    canvas = blank()
    canvas.paint(SQUARE, Placement(0.5, 0.75, 0.25, 1.0), 1, RED, BLACK, 1.0)
    before = np.count_nonzero(canvas.owner == 1)
    canvas.paint(SQUARE, Placement(0.6, 0.8, 0.25, 1.0), 2, RED, BLACK, 1.0)
    assert np.count_nonzero(canvas.owner == 2) >= before
    assert 0 < np.count_nonzero(canvas.owner == 1) < before


def test_shadows_reflections_and_glow_belong_to_nobody() -> None:
    canvas = blank()
    at = Placement(0.5, 0.5, 0.25, 1.0)
    polygons, reach = canvas.project(SQUARE, at, -0.3, 0.5)
    assert not canvas.darken(polygons, reach, 0.4).empty
    assert canvas.frame.min() < 150
    canvas.mirror(polygons, reach, RED, 0.3)
    canvas.glow(disc(0.5 + 0.5j, 0.1, 0.1, (255, 255, 200)), at, 0.2)
    assert not canvas.owner.any()


def test_what_is_outside_the_frame_leaves_no_trace() -> None:
    canvas = blank()
    area, _ = canvas.paint(SQUARE, Placement(3.0, 0.5, 0.25, 1.0), 1, RED, BLACK, 1.0)
    polygons, reach = canvas.project(SQUARE, Placement(-3.0, 0.5, 0.25, 1.0))
    assert area.empty
    assert canvas.darken(polygons, reach, 0.4).empty
    assert canvas.glow(SQUARE[0], Placement(5.0, 0.5, 0.25, 1.0), 0.1).empty
    assert np.all(canvas.frame == 200)


def test_boxes_are_exactly_the_extents_of_the_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    canvases: list[Canvas] = []

    class Kept(Canvas):
        """A canvas that can be looked at afterwards."""

        def __init__(self, frame: Image) -> None:
            super().__init__(frame)
            canvases.append(self)

    monkeypatch.setattr(scene_module, "Canvas", Kept)
    for seed in range(8):
        seen, owner = view(seed, 8.0), canvases.pop().owner
        extents = {}
        for number in np.unique(owner[owner > 0]):
            rows, columns = np.nonzero(owner == number)
            x0, y0, x1, y1 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            extents[int(number)] = BBox(x0 / 320, y0 / 180, x1 / 320, y1 / 180)
        assert [item.bbox for item in seen.objects] == list(extents.values())


def test_a_box_is_where_its_actor_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels inside a box change when its actor is taken away."""
    scene = small(21, place="garden", light="day")
    checked = 0
    everybody = Traffic.actors
    for t in (2.0, 9.0, 17.0, 26.0):
        seen = scene.render(t)
        for item in seen.objects:

            def all_but_one(traffic: Traffic, t: float, gone: int = item.object_id) -> list[Actor]:
                return [actor for actor in everybody(traffic, t) if actor.object_id != gone]

            with monkeypatch.context() as patch:
                patch.setattr(Traffic, "actors", all_but_one)
                without = scene.render(t)
            changed = np.abs(seen.image.astype(int) - without.image).max(axis=2) > 40
            left, top, right, bottom = (round(v) for v in np.array(item.bbox) * (320, 180, 320, 180))
            assert changed[top:bottom, left:right].mean() > 0.15
            assert item.object_id not in {other.object_id for other in without.objects}
            checked += 1
    assert checked >= 3
