"""tools/bench-trackers: truth, imagined detections and figures; and how good our tracker is on a small part of them."""

from __future__ import annotations

import sys
from collections import Counter
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edgecam.assignment import best_pairs
from edgecam.types import BBox, Detection

pytestmark = pytest.mark.any_runtime

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

contenders, scores, seers, stages, timing, table = (
    import_module(f"bench_trackers.{name}")
    for name in ("contenders", "scores", "seers", "stages", "timing", "__main__")
)


def sight(number: int, box: tuple[float, float, float, float], visible: float = 1.0) -> Any:
    return stages.Sight(number, "person", BBox(*box), visible)


def shown(number: int, box: tuple[float, float, float, float]) -> Any:
    return contenders.Shown(number, BBox(*box))


class Figures(NamedTuple):
    mota: float
    idf1: float
    switches: int


def figures(film: Any) -> Figures:
    """CLEAR-MOT and IDF1 in few words, for where TrackEval is not installed."""
    objects = tracks = matched = switches = 0
    holders: dict[int, int] = {}
    together: Counter[tuple[int, int]] = Counter()
    for moment, boxes in zip(*film, strict=True):
        real, told, overlaps = scores.counted(moment, boxes)
        objects, tracks = objects + len(real), tracks + len(told)
        fits = [(r, t) for r, t in product(range(len(real)), range(len(told))) if overlaps[r, t] >= scores.IOU]
        together.update((real[r], told[t]) for r, t in fits)
        gains = {(r, t): overlaps[r, t] + 1000 * (holders.get(real[r]) == told[t]) for r, t in fits}
        for r, t in best_pairs(gains):
            matched += 1
            switches += holders.setdefault(real[r], told[t]) != told[t]
            holders[real[r]] = told[t]
    same = sum(together[pair] for pair in best_pairs({pair: float(count) for pair, count in together.items()}))
    return Figures(1 - (objects + tracks - 2 * matched + switches) / objects, 2 * same / (objects + tracks), switches)


def followed(stage: Any, rate: int, **settings: Any) -> Any:
    """The truth, and what our tracker makes of it through the imagined detector."""
    entry = contenders.Entry("ours", "edgecam", "", lambda rate: contenders.Ours(rate, **settings))
    moments, looks = table.imagined(stage, rate)
    return moments, table.shown(entry, rate, looks)


@pytest.fixture(scope="module")
def street() -> Any:
    """Eleven seconds of a street."""
    return stages.rendered(1001, "street", "day", 11)


@pytest.fixture(scope="module")
def square() -> Any:
    """A crowd that is hidden and hides itself."""
    return stages.squared(1007, 20)


@pytest.mark.parametrize(
    ("rate", "least"), [(5, Figures(0.83, 0.87, 3)), (10, Figures(0.92, 0.93, 3)), (30, Figures(0.94, 0.95, 3))]
)
def test_few_in_a_street_are_mistaken(street: Any, rate: int, least: Figures) -> None:
    got = figures(followed(street, rate))
    assert got.mota >= least.mota
    assert got.idf1 >= least.idf1
    assert got.switches <= least.switches


@pytest.mark.parametrize(
    ("rate", "least"), [(5, Figures(0.77, 0.39, 42)), (10, Figures(0.88, 0.41, 35)), (30, Figures(0.94, 0.43, 38))]
)
def test_a_crowd_is_followed_through_crossings_and_behind_pillars(square: Any, rate: int, least: Figures) -> None:
    """Eight people in one small place who look alike to a tracker: nobody's numbers are good here."""
    got = figures(followed(square, rate))
    assert got.mota >= least.mota
    assert got.idf1 >= least.idf1
    assert got.switches <= least.switches


def test_the_short_figures_are_those_of_trackeval(street: Any, square: Any) -> None:
    pytest.importorskip("trackeval")
    for stage in (street, square):
        film = followed(stage, 10)
        theirs = scores.score([film])
        assert figures(film) == pytest.approx((theirs.mota, theirs.idf1, theirs.switches))


def test_perfect_is_one_and_a_swap_is_two_switches() -> None:
    left, right = (0.1, 0.1, 0.2, 0.5), (0.7, 0.1, 0.8, 0.5)
    moments = [(sight(1, left), sight(2, right))] * 4
    kept = [[shown(5, left), shown(6, right)]] * 4
    swapped = [*kept[:2], *[[shown(6, left), shown(5, right)]] * 2]
    assert figures((moments, kept)) == (1, 1, 0)
    assert figures((moments, swapped)) == (1 - 2 / 8, 0.5, 2)


def test_who_is_mostly_hidden_counts_neither_way() -> None:
    box, hidden = (0.1, 0.1, 0.3, 0.5), (0.6, 0.1, 0.8, 0.5)
    moment = (sight(1, box), sight(2, hidden, visible=0.3))
    assert scores.counted(moment, [shown(1, box), shown(2, hidden)])[:2] == ([1], [1])
    assert scores.counted(moment, [shown(1, box)])[:2] == ([1], [1])
    assert scores.counted(moment, [shown(1, box), shown(3, (0.4, 0.6, 0.5, 0.9))])[:2] == ([1], [1, 3])


def test_overlaps_are_those_of_boxes(square: Any) -> None:
    sights = square.moments[0]
    boxes = [shown(n, tuple(one.bbox.toward(BBox(0, 0, 1, 1), 0.05))) for n, one in enumerate(sights)]
    for (row, one), (column, other) in product(enumerate(sights), enumerate(boxes)):
        assert scores.overlaps(sights, boxes)[row, column] == pytest.approx(one.bbox.iou(other.bbox))


def test_a_square_has_crossings_and_hides_everybody_for_a_while(square: Any) -> None:
    visible: dict[int, list[float]] = {}
    for moment in square.moments:
        for one in moment:
            assert one.bbox.clipped() == one.bbox
            visible.setdefault(one.object_id, []).append(one.visible)
    assert len(visible) == 8
    assert sum(min(parts) < 0.5 < max(parts) for parts in visible.values()) >= 6


def test_the_imagined_detector_errs_as_it_says_and_always_alike(street: Any) -> None:
    moments, looks = table.imagined(street, 30)
    assert table.imagined(street, 30)[1] == looks
    assert table.imagined(street, 10)[1] != looks[::3]
    plain = [(one, found) for sights, found in zip(moments, looks, strict=True) for one in sights if one.visible > 0.9]
    strong = sum(any(look.score >= 0.5 and look.bbox.iou(one.bbox) > 0.5 for look in found) for one, found in plain)
    assert 0.8 < strong / len(plain) < 0.99
    pairs = [(sights, look) for sights, found in zip(moments, looks, strict=True) for look in found]
    false = [look for sights, look in pairs if all(look.bbox.iou(one.bbox) < 0.3 for one in sights)]
    assert 0.5 < len(false) / len(moments) < 1.5
    assert sum(look.score >= 0.5 for look in false) < 0.1 * len(false)


def test_scores_waver_about_three_quarters() -> None:
    detector = seers.ImaginedDetector(1, 10)
    looks = [detector.look((sight(n, (0.4, 0.2, 0.6, 0.9)),)) for n in range(200)]
    best = [max((one.score for one in found), default=0.0) for found in looks]
    assert 0.6 < sum(best) / len(best) < 0.9


@pytest.mark.parametrize("entry", table.ENTRIES, ids=lambda entry: entry.name)
def test_each_tracker_follows_two_people(entry: Any) -> None:
    if entry.missing:
        pytest.skip(f"{entry.name}: {entry.missing}")
    looks = [
        [Detection("person", 0.9, BBox(x, 0.3, x + 0.1, 0.7)) for x in (0.1 + n / 100, 0.8 - n / 100)]
        for n in range(20)
    ]
    told = table.shown(entry, 10, looks)
    assert len({one.track_id for one in told[-1]}) == 2
    assert {one.track_id for one in told[-1]} == {one.track_id for one in told[10]}
    for one in told[-1]:
        assert max(one.bbox.iou(look.bbox) for look in looks[-1]) > 0.8


def test_a_tracker_that_is_not_installed_says_so() -> None:
    entry = contenders.Entry("none", "no_such_package", "", contenders.Ours)
    assert entry.missing == "no_such_package is not installed"


def test_every_tracker_is_timed_on_the_same_crowd() -> None:
    entries = [contenders.Entry(name, "edgecam", "", contenders.Ours) for name in ("a", "b")]
    times = timing.milliseconds(entries, 5, 2)
    assert times.keys() == {"a", "b"}
    assert timing.crowd(5) == timing.crowd(5)
    assert len(timing.crowd(20)[0][1]) > 15


def test_pixels_are_fractions_again() -> None:
    box = BBox(0.1, 0.2, 0.3, 0.4)
    assert contenders.in_fractions(contenders.in_pixels(box)) == pytest.approx(box)
