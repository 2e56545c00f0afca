"""The tracker: the same objects keep their numbers, and nothing that comes in breaks it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import product
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgecam.kalman import Measured
from edgecam.tracker import Tracker, _Candidate, _usable
from edgecam.types import BBox, Detection, Track


def seen(x: float, y: float = 0.5, *, label: str = "person", score: float = 0.9, size: float = 0.1) -> Detection:
    """A detection of twice that height, centred at (x, y)."""
    return Detection(label, score, BBox(x - size / 2, y - size, x + size / 2, y + size))


def feed(tracker: Tracker, frames: Iterable[tuple[float, list[Detection]]]) -> tuple[Track, ...]:
    """Update with (timestamp, detections); returns the last tracks."""
    tracks: tuple[Track, ...] = ()
    for timestamp, detections in frames:
        tracks = tracker.update(timestamp, detections)
    return tracks


def walk(speed: float, since: float, until: float, rate: float = 10.0) -> list[tuple[float, list[Detection]]]:
    """A person that crosses the picture from x = 0.1 on."""
    count = round((until - since) * rate)
    return [(since + n / rate, [seen(0.1 + speed * (since + n / rate))]) for n in range(count)]


def nothing(since: float, until: float, rate: float = 10.0) -> list[tuple[float, list[Detection]]]:
    return [(since + n / rate, []) for n in range(round((until - since) * rate))]


def only(tracks: tuple[Track, ...]) -> Track:
    assert len(tracks) == 1, tracks
    return tracks[0]


def test_an_object_is_believed_at_the_third_hit() -> None:
    tracker = Tracker()
    assert [only(tracker.update(t / 10, [seen(0.5)])).confirmed for t in range(4)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("pattern", "believed", "alive"),
    [
        ("101", False, True),
        ("10101", True, True),
        ("1001", False, True),
        ("1000", False, False),
        ("11000", False, False),
    ],
)
def test_confirmation_is_n_of_m(pattern: str, *, believed: bool, alive: bool) -> None:
    tracks = feed(Tracker(), [(n / 10, [seen(0.5)] if hit == "1" else []) for n, hit in enumerate(pattern)])
    assert [track.confirmed for track in tracks] == ([believed] if alive else [])


def test_hits_and_misses_are_counted() -> None:
    tracker = Tracker()
    track = only(feed(tracker, [*walk(0.2, 0, 1), *nothing(1, 1.3)]))
    assert (track.hits, track.misses, track.predicted) == (10, 3, True)
    track = only(feed(tracker, walk(0.2, 1.3, 1.4)))
    assert (track.hits, track.misses, track.predicted) == (11, 0, False)


@pytest.mark.parametrize("rate", [2.0, 5.0, 10.0, 30.0])
def test_a_walker_keeps_its_number_while_unseen_and_is_predicted(rate: float) -> None:
    tracker = Tracker()
    feed(tracker, walk(0.15, 0, 3, rate))
    lost = only(feed(tracker, nothing(3, 3.9, rate)))
    assert lost.predicted
    moments_later = 3.9 - 1 / rate
    assert lost.bbox.center[0] == pytest.approx(0.1 + 0.15 * moments_later, abs=0.03)
    assert only(feed(tracker, walk(0.15, 3.9, 4.5, rate))).track_id == 1


def test_a_track_ends_when_unseen_for_its_time() -> None:
    tracker = Tracker(max_age=1.0)
    assert feed(tracker, [*walk(0.1, 0, 1), *nothing(1, 1.8)])
    assert not feed(tracker, nothing(1.8, 2.2))
    assert only(feed(tracker, walk(0.1, 2.2, 2.3))).track_id == 2


def test_a_single_miss_is_forgiven_to_a_slow_detector() -> None:
    tracker = Tracker(max_age=1.0)
    feed(tracker, [(float(t), [seen(0.5)]) for t in range(4)])
    assert feed(tracker, [(5.0, [])])
    assert not feed(tracker, [(6.1, [])])


def test_after_a_long_gap_nobody_is_recognised() -> None:
    tracker = Tracker(max_age=1.0)
    feed(tracker, [(t / 10, [seen(0.5)]) for t in range(5)])
    assert only(tracker.update(30.0, [seen(0.5)])).track_id == 2


def test_who_leaves_the_picture_is_not_waited_for() -> None:
    tracker = Tracker(max_age=5.0)
    feed(tracker, [(t / 10, [seen(0.5 + 0.05 * t, size=0.06)]) for t in range(10)])
    assert not feed(tracker, nothing(1.0, 1.5))


def test_a_small_fast_bird_is_one_bird() -> None:
    """Its boxes at 10 a second do not overlap."""
    tracker = Tracker()
    frames = [(t / 10, [seen(0.1 + 0.06 * t, 0.3 + 0.01 * math.sin(t), label="bird", size=0.03)]) for t in range(12)]
    assert frames[0][1][0].bbox.iou(frames[1][1][0].bbox) == 0
    assert only(feed(tracker, frames)).track_id == 1


def test_two_walkers_that_pass_keep_their_numbers() -> None:
    tracker = Tracker()

    def passing(t: float) -> list[Detection]:
        near, far = seen(0.2 + 0.2 * t, size=0.12), seen(0.8 - 0.2 * t, 0.48)
        return [near] if near.bbox.iou(far.bbox) > 0.3 else [near, far]

    start = feed(tracker, [(n / 10, passing(n / 10)) for n in range(5)])
    end = feed(tracker, [(n / 10, passing(n / 10)) for n in range(5, 30)])
    assert [track.track_id for track in start] == [track.track_id for track in end] == [1, 2]
    assert start[0].bbox.center[0] < start[1].bbox.center[0]
    assert end[0].bbox.center[0] > end[1].bbox.center[0]


def test_contested_boxes_go_where_both_fit() -> None:
    """The box nearest to the first track is the only one the second can have."""
    tracker = Tracker()
    feed(tracker, [(t / 10, [seen(0.50), seen(0.56)]) for t in range(5)])
    tracks = tracker.update(0.5, [seen(0.47), seen(0.52)])
    assert [(track.track_id, round(track.bbox.center[0], 2)) for track in tracks] == [(1, 0.47), (2, 0.52)]


def test_label_is_that_of_the_majority() -> None:
    tracker = Tracker()
    labels = ["dog", "dog", "cat", "dog", "cat", "dog", "cat", "cat", "cat"]
    names = [only(tracker.update(n / 10, [seen(0.5, label=label)])).label for n, label in enumerate(labels)]
    assert names == ["dog"] * 8 + ["cat"]
    assert only(tracker.update(0.9, [seen(0.5, label="cat")])).track_id == 1


def test_sure_looks_outvote_doubtful_ones() -> None:
    tracker = Tracker()
    looks = [("cat", 0.55), ("dog", 0.95), ("cat", 0.5), ("dog", 0.9)]
    assert (
        only(feed(tracker, [(n / 10, [seen(0.5, label=a, score=s)]) for n, (a, s) in enumerate(looks)])).label == "dog"
    )


def test_the_same_thing_under_two_labels_is_one_track() -> None:
    both = [seen(0.5, label="dog", score=0.9), seen(0.505, label="cat", score=0.6)]
    assert only(feed(Tracker(), [(t / 10, both) for t in range(5)])).label == "dog"


def test_neighbours_of_different_labels_stay_apart() -> None:
    pair = [seen(0.5, label="person"), seen(0.55, 0.55, label="dog", size=0.08)]
    assert [track.label for track in feed(Tracker(), [(t / 10, pair) for t in range(5)])] == ["person", "dog"]


def test_another_label_takes_over_a_track_only_where_it_covers_it() -> None:
    tracker = Tracker()
    feed(tracker, [(t / 10, [seen(0.5, label="person")]) for t in range(5)])
    beside, upon = seen(0.55, label="dog"), seen(0.51, label="dog")
    assert [track.misses for track in tracker.update(0.5, [beside])] == [1, 0]
    assert [track.misses for track in tracker.update(0.6, [upon, beside])] == [0, 0]


def test_weak_detections_keep_a_track_but_start_none() -> None:
    weak = [seen(0.5, score=0.2)]
    tracker = Tracker(high_score=0.5)
    assert not feed(tracker, [(t / 10, weak) for t in range(5)])
    feed(tracker, [(0.5 + t / 10, [seen(0.5)]) for t in range(3)])
    track = only(feed(tracker, [(0.8 + t / 10, weak) for t in range(20)]))
    assert (track.hits, track.misses) == (23, 0)


def test_weak_detections_do_not_confirm() -> None:
    tracker = Tracker(high_score=0.5)
    tracker.update(0.0, [seen(0.5)])
    assert not feed(tracker, [(t / 10, [seen(0.5, score=0.4)]) for t in range(1, 5)])


def test_a_weak_look_at_something_beside_it_finds_no_lost_track() -> None:
    """Where they overlap it does; else what detectors see in bushes would keep those alive who have gone."""
    tracker = Tracker()
    feed(tracker, [*walk(0.1, 0, 1), *nothing(1, 1.5)])
    assert [track.misses for track in tracker.update(1.5, [seen(0.4, score=0.4)])] == [6]
    assert [track.misses for track in tracker.update(1.6, [seen(0.26, score=0.4)])] == [0]
    assert [track.misses for track in tracker.update(1.7, [seen(0.36, score=0.4)])] == [0]


def test_nobody_comes_back_on_the_far_side_of_the_picture() -> None:
    """Long out of sight somebody might be far away, but who is seen there is likelier another."""
    tracker = Tracker()
    feed(tracker, [*walk(0.1, 0, 1), *nothing(1, 2.8)])
    tracks = tracker.update(2.8, [seen(0.9)])
    assert [track.track_id for track in tracks] == [1, 2]


@pytest.mark.parametrize("hidden", [1.0, 1.5, 1.9])
@pytest.mark.parametrize("rate", [5.0, 10.0, 30.0])
def test_who_walks_behind_something_comes_out_with_the_same_number(hidden: float, rate: float) -> None:
    tracker, back = Tracker(), 3 + hidden
    tracks = feed(tracker, [*walk(0.12, 0, 3, rate), *nothing(3, back, rate), *walk(0.12, back, back + 1, rate)])
    assert only(tracks).track_id == 1


def test_score_is_the_median_of_recent_hits() -> None:
    tracker = Tracker(score_window=3)
    scores = [0.9, 0.6, 0.8, 0.5, 0.7]
    medians = [only(tracker.update(n / 10, [seen(0.5, score=score)])).score for n, score in enumerate(scores)]
    assert medians == pytest.approx([0.9, 0.75, 0.8, 0.6, 0.7])


def test_the_box_of_a_hit_is_the_detection_itself() -> None:
    tracker = Tracker()
    for n, (_, detections) in enumerate(walk(0.3, 0, 1)):
        assert only(tracker.update(n / 10, detections)).bbox == detections[0].bbox


def test_velocity_is_in_frames_per_second() -> None:
    track = only(feed(Tracker(), walk(0.2, 0, 3)))
    assert track.velocity == pytest.approx((0.2, 0, 0.2, 0), abs=0.01)


@pytest.mark.parametrize("step", [0.0, -0.5, -1000.0])
def test_time_that_stands_or_goes_back_breaks_nothing(step: float) -> None:
    tracker = Tracker()
    feed(tracker, walk(0.2, 0, 1))
    assert [only(tracker.update(0.9 + step, [seen(0.28)])).track_id for _ in range(5)] == [1] * 5
    track = only(feed(tracker, walk(0.2, 1, 2)))
    assert track.track_id == 1
    assert track.velocity.xmin == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize(
    "box",
    [(0.5, 0.5, 0.5, 0.9), (0.6, 0.5, 0.4, 0.9), (1.2, 0.2, 1.4, 0.4), (math.nan, 0, 1, 1), (0, 0, math.inf, 1)],
)
def test_impossible_boxes_are_passed_over(box: tuple[float, float, float, float]) -> None:
    assert not Tracker().update(0.0, [Detection("dog", 0.9, BBox(*box))])


def test_boxes_are_cut_to_the_frame() -> None:
    assert only(Tracker().update(0.0, [Detection("dog", 0.9, BBox(-0.1, 0.2, 0.3, 1.1))])).bbox == (0, 0.2, 0.3, 1)


def test_tracks_are_bounded_and_the_best_are_kept() -> None:
    crowd = [seen(0.05 + 0.1 * (n % 10), 0.05 + 0.1 * (n // 10), size=0.04, score=0.5 + n / 250) for n in range(100)]
    tracks = feed(Tracker(), [(t / 10, crowd) for t in range(5)])
    assert len(tracks) == 64
    assert min(track.score for track in tracks) == pytest.approx(0.5 + 36 / 250)


boxes = st.tuples(st.floats(-0.1, 1.0), st.floats(-0.1, 1.0), st.floats(0, 0.6), st.floats(0, 0.6)).map(
    lambda box: BBox(box[0], box[1], box[0] + box[2], box[1] + box[3])
)
detections = st.builds(Detection, st.sampled_from(["person", "dog", "car"]), st.floats(0.05, 1), boxes)
streams = st.lists(st.tuples(st.floats(-0.3, 1.5), st.lists(detections, max_size=5)), max_size=25)


@settings(max_examples=60)
@given(streams)
def test_whatever_comes_the_bookkeeping_is_right(stream: list[tuple[float, list[Detection]]]) -> None:
    tracker, timestamp = Tracker(max_age=1.0), 0.0
    before: dict[int, Track] = {}
    gone: set[int] = set()
    for step, found in stream:
        timestamp += step
        tracks = tracker.update(timestamp, found)
        now = {track.track_id: track for track in tracks}
        assert [track.track_id for track in tracks] == sorted(now), "in order, each once"
        assert not now.keys() & gone, "an id came back"
        assert all(n > max(before.keys() | gone, default=0) for n in now.keys() - before.keys())
        for track in tracks:
            check_one_step(before.get(track.track_id), track)
        gone |= before.keys() - now.keys()
        before = now


def check_one_step(earlier: Track | None, track: Track) -> None:
    """What must hold for a track after one more analysis."""
    assert min(track.bbox) >= 0
    assert max(track.bbox) <= 1
    assert track.bbox.area > 0 or track.predicted
    assert all(math.isfinite(edge) for edge in track.velocity)
    assert 0 <= track.score <= 1
    assert track.predicted == (track.misses > 0)
    if earlier is None:
        assert (track.hits, track.misses) == (1, 0)
    elif track.misses:
        assert (track.hits, track.misses) == (earlier.hits, earlier.misses + 1)
    else:
        assert track.hits == earlier.hits + 1
    assert track.confirmed >= (earlier is not None and earlier.confirmed)
    assert track.hits >= 3 or not track.confirmed


@settings(max_examples=40)
@given(streams, st.randoms(use_true_random=False))
def test_the_order_of_detections_does_not_matter(stream: list[tuple[float, list[Detection]]], random: Random) -> None:
    tracker, shuffled, timestamp = Tracker(), Tracker(), 0.0
    for number, (step, found) in enumerate(stream):
        timestamp += step
        distinct = [
            Detection(one.label, one.score * (1 - 0.001 * (n + number)), one.bbox) for n, one in enumerate(found)
        ]
        if len({one.score for one in distinct}) < len(distinct):
            continue
        first = tracker.update(timestamp, distinct)
        assert shuffled.update(timestamp, random.sample(distinct, len(distinct))) == first


def possible_by_the_rules(tracker: Tracker, candidates: list[Detection]) -> dict[tuple[int, int], float]:
    """The gains, pair by pair and by the book."""
    gains: dict[tuple[int, int], float] = {}
    for (row, identity), (n, detection) in product(enumerate(tracker._identities), enumerate(candidates)):
        predicted = identity.due()
        seen_now, strong = Measured(detection.bbox), detection.score >= 0.5
        limit = min(9.21, identity.motion.doubt(seen_now))
        near = (limit - identity.motion.distance(seen_now)) / 9.21 if strong or not identity.misses else -1
        overlap, areas = predicted.iou(detection.bbox), (predicted.area, detection.bbox.area)
        margins = near, overlap - 0.3, overlap - 0.6, max(areas) - 2.5**2 * min(areas)
        assume(min(abs(margin) for margin in margins) > 1e-9)
        if identity.label != detection.label:
            gain = overlap if overlap >= 0.6 else 0
        elif overlap >= 0.3:
            gain = 1 + overlap
        else:
            gain = near if max(areas) <= 2.5**2 * min(areas) else 0
        if gain > 0:
            gains[row, n] = gain
    return gains


@settings(max_examples=60)
@given(streams, st.lists(detections, min_size=1, max_size=8))
def test_gains_are_those_of_the_rules(stream: list[tuple[float, list[Detection]]], found: list[Detection]) -> None:
    tracker = Tracker()
    tracks = feed(tracker, [(sum(step for step, _ in stream[: n + 1]), seen) for n, (_, seen) in enumerate(stream)])
    # Beside whatever comes, what is sure to be near: under its own label and under another, exactly and about there.
    about = [track.bbox.toward(BBox(0.1, 0.1, 0.9, 0.9), part) for track in tracks for part in (0, 0.1, 0.4)]
    found += [
        Detection(label, score, box)
        for box, label, score in product(about, ("person", "cat"), (0.9, 0.4))
        if box.area > 1e-3
    ]
    candidates = _usable(found)
    assume(candidates)
    looks = [_Candidate(one, strong=one.score >= 0.5) for one in candidates]
    gains = {(row, n): gain for row, n, gain in tracker._gains(looks) if gain > 0}
    assert gains == pytest.approx(possible_by_the_rules(tracker, candidates), abs=1e-9)


Path = Callable[[float], BBox | None]


def street_walker(random: Random) -> Path:
    """Somebody who crosses the picture, with a swinging gait and a changing pace."""
    height, start, phase = random.uniform(0.15, 0.45), random.uniform(0, 15), random.uniform(0, 6)
    speed, foot = random.choice([-1, 1]) * height * random.uniform(0.25, 0.5), 0.45 + height

    def where(t: float) -> BBox | None:
        s = t - start
        travelled = speed * (s + 0.4 * (math.sin(s + phase) - math.sin(phase)))
        x, width = (travelled if speed > 0 else 1 + travelled), 0.3 * height * (1 + 0.25 * math.sin(6 * s + phase))
        box = BBox(x - width / 2, foot - height, x + width / 2, foot).clipped()
        return box if s >= 0 and box.width > 0.02 else None

    return where


def looked_at(random: Random, box: BBox) -> Detection:
    """What a middling detector makes of it: edges off by 5 %, a score that wavers."""
    edges = (edge + random.gauss(0, 0.05) * (box.width, box.height)[n % 2] for n, edge in enumerate(box))
    return Detection("person", min(0.99, max(0.2, random.gauss(0.75, 0.12))), BBox(*edges))


@pytest.mark.parametrize("rate", [5, 10, 30])
def test_a_street_of_walkers_has_few_numbers_too_many(rate: int) -> None:
    """Ten walkers for 30 s, one look in eight fails and strangers pop up: at most one number in five is new."""
    random = Random(7)
    walkers, tracker = [street_walker(random) for _ in range(10)], Tracker()
    numbers: set[tuple[int, int]] = set()
    for n in range(30 * rate):
        places = [(who, box) for who, path in enumerate(walkers) if (box := path(n / rate)) is not None]
        found = [looked_at(random, box) for _, box in places if random.random() > 0.125]
        if random.random() < 0.1:
            found.append(seen(random.random(), random.random(), score=0.55))
        tracks = [track for track in tracker.update(n / rate, found) if track.confirmed and not track.misses]
        for who, box in places:
            best = max(tracks, key=lambda track: track.bbox.iou(box), default=None)
            if best and best.bbox.iou(box) > 0.5 and not any(box.iou(b) > 0.1 for w, b in places if w != who):
                numbers.add((who, best.track_id))
    assert len({who for who, _ in numbers}) == 10
    assert len(numbers) <= 12
