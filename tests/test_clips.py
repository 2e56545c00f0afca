"""Clips: when they begin and end, what is in them, what the store knows of them, and what a bad disk costs."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest
from clip_recording import FRAME, START, Film, Guarded, Recorder, no_room, recording, told
from clip_stories import shown

from edgecam.errors import SinkError
from edgecam.journal import Journal
from edgecam.recording.boxes import Boxes, boxes_path, read_boxes
from edgecam.recording.checking import check
from edgecam.recording.encoder import EncoderOptions
from edgecam.sinks.clip_interest import SILENT_AFTER, Interest
from edgecam.sinks.journal import JournalSink
from edgecam.types import BBox, EventType, Track

pytestmark = pytest.mark.any_runtime

NEW, UPDATE, END = EventType.NEW, EventType.UPDATE, EventType.END
LABS = os.environ.get("EDGECAM_LABS") == "1"


def contiguous(numbers: list[int]) -> bool:
    return numbers == list(range(numbers[0], numbers[-1] + 1))


def test_a_clip_begins_before_its_event_and_ends_after_it(tmp_path: Path) -> None:
    with recording(tmp_path, pre_roll=4.0, post_roll=2.0) as recorder:
        recorder.run(20)
        began = recorder.film.now - 0.4
        recorder.tell(NEW, start=began)
        recorder.run(3)
        ended = recorder.film.now - 0.5
        recorder.tell(END, start=began, end=ended)
        recorder.run(5)
    (row,) = recorder.rows()
    assert contiguous(recorder.numbers(row))
    first, last = recorder.span(row)
    assert began - 4.0 - 1.0 - FRAME <= first <= began - 4.0
    assert ended + 2.0 - FRAME <= last + FRAME <= ended + 2.0 + FRAME
    assert recorder.shown_events() == {"1.0-a": ["clip1"]}
    assert recorder.sink.recorded == 1


def test_the_store_knows_a_clip_as_its_file_is(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        recorder.run(8)
        recorder.tell(NEW)
        recorder.run(2)
        recorder.tell(END)
    (row,) = recorder.rows()
    path = tmp_path / row.path
    verdict = check(path)
    assert verdict.ok, verdict.errors
    assert row.end is not None
    assert row.end - row.start == pytest.approx(verdict.duration, abs=0.001)
    assert (row.frames, row.size_bytes, row.cut, row.camera) == (verdict.frames, path.stat().st_size, None, "front")
    first, _ = recorder.span(row)
    assert row.start == recorder.clock.wall(first).timestamp()
    local = datetime.fromtimestamp(row.start, UTC).astimezone()
    assert row.path == Path("clips", "front", f"{local:%Y-%m-%d}", f"{local:%H-%M-%S}-clip1.mp4")
    assert row.clock_synced


def test_a_clip_is_known_while_it_grows_and_no_step_of_the_clock_makes_it_longer(tmp_path: Path) -> None:
    with recording(tmp_path, pre_roll=1.0) as recorder:
        recorder.clock.right = False
        recorder.run(3)
        recorder.tell(NEW)
        (row,) = recorder.rows()
        assert (row.end, row.clock_synced) == (None, False)
        assert (tmp_path / f"{row.path}.part").stat().st_size > 0
        recorder.clock.step(3600.0)
        recorder.clock.right = True
        recorder.run(2)
    (after,) = recorder.rows()
    assert (after.start, after.clock_synced) == (row.start, False)
    assert after.end == pytest.approx(row.start + check(tmp_path / row.path).duration, abs=0.001)


def test_events_that_overlap_share_a_clip(tmp_path: Path) -> None:
    with recording(tmp_path, pre_roll=1.0, post_roll=2.0) as recorder:
        recorder.run(4)
        recorder.tell(NEW, "1.0-a")
        recorder.run(1)
        recorder.tell(NEW, "2.0-b")
        recorder.tell(END, "1.0-a")
        recorder.run(3)
        recorder.tell(UPDATE, "2.0-b")
        recorder.tell(END, "2.0-b")
        recorder.run(1)
        recorder.tell(NEW, "3.0-c")  # in the post-roll
        recorder.run(0.5)
        recorder.tell(END, "3.0-c")
        recorder.run(4)
        recorder.tell(NEW, "4.0-d")
    assert recorder.shown_events() == {
        "1.0-a": ["clip1"],
        "2.0-b": ["clip1"],
        "3.0-c": ["clip1"],
        "4.0-d": ["clip2"],
    }
    assert all(contiguous(recorder.numbers(row)) for row in recorder.rows())


def test_a_long_event_goes_on_in_the_next_clip_with_no_frame_lost_or_doubled(tmp_path: Path) -> None:
    with recording(tmp_path, Film(fps=14.7), pre_roll=1.0, post_roll=1.0, max_length=5.0) as recorder:
        recorder.run(4)
        recorder.tell(NEW, "1.0-a")
        recorder.run(12)
        recorder.tell(NEW, "2.0-b")
        recorder.run(6)
        recorder.tell(END, "1.0-a")
        recorder.tell(END, "2.0-b")
        recorder.run(3)
    rows = recorder.rows()
    assert len(rows) >= 4
    numbers = [recorder.numbers(row) for row in rows]
    assert contiguous([number for each in numbers for number in each])
    for row, following in pairwise(rows):
        assert row.end is not None
        assert row.end == pytest.approx(following.start, abs=0.001)
        assert 3.9 < row.end - row.start <= 5.001
    clips = recorder.shown_events()
    assert clips["1.0-a"] == [row.clip_id for row in rows]
    assert clips["2.0-b"] == [row.clip_id for row in rows if row.end and row.end > rows[0].start + 13]


def test_what_stands_still_is_not_recorded_until_it_moves(tmp_path: Path) -> None:
    with recording(tmp_path, pre_roll=1.0, post_roll=2.0) as recorder:
        recorder.run(3)
        recorder.tell(NEW)
        recorder.run(4)
        recorder.tell(UPDATE, stationary=True)
        still = recorder.film.now
        recorder.run(30)
        recorder.tell(UPDATE, position_changes=1)
        moved = recorder.film.now
        recorder.run(2)
        recorder.tell(END)
        recorder.run(4)
    first, second = recorder.rows()
    assert recorder.span(first)[1] == pytest.approx(still + 2.0, abs=2 * FRAME)
    assert moved - 2.0 - FRAME <= recorder.span(second)[0] <= moved - 1.0
    assert recorder.shown_events() == {"1.0-a": ["clip1", "clip2"]}


def test_without_a_pre_roll_nothing_is_encoded_until_an_event(tmp_path: Path) -> None:
    with recording(tmp_path, pre_roll=0.0, post_roll=1.0) as recorder:
        for _ in range(2):
            recorder.run(5)
            assert not recorder.sink._stream.is_open
            assert recorder.sink.kept_bytes == 0
            announced = len(recorder.film.times) - 1
            recorder.tell(NEW, f"{announced}.0-a", start=recorder.film.now - 0.4)
            recorder.run(2)
            recorder.tell(END, f"{announced}.0-a")
            recorder.run(3)
            numbers = recorder.numbers(recorder.rows()[-1])
            assert numbers[0] == announced
            assert contiguous(numbers)
    assert len(recorder.rows()) == len(recorder.shown_events()) == 2


@pytest.mark.parametrize("gap", [4.0, 100.0, -50.0])
def test_a_camera_that_was_away_goes_on_in_another_clip(tmp_path: Path, gap: float) -> None:
    with recording(tmp_path, pre_roll=1.0, post_roll=1.0) as recorder:
        recorder.run(3)
        recorder.tell(NEW)
        recorder.run(2)
        recorder.film.skip(gap)
        away = len(recorder.film.times)
        recorder.run(2)
        recorder.tell(END)
        recorder.run(3)
    before, after = (recorder.numbers(row) for row in recorder.rows())
    assert (before[-1], after[0]) == (away - 1, away)
    assert recorder.shown_events() == {"1.0-a": ["clip1", "clip2"]}


def test_a_short_gap_is_a_picture_that_is_shown_for_longer(tmp_path: Path) -> None:
    with recording(tmp_path, pre_roll=1.0) as recorder:
        recorder.run(3)
        recorder.tell(NEW)
        recorder.run(1)
        recorder.film.skip(2.0)
        recorder.run(1)
    (row,) = recorder.rows()
    assert contiguous(recorder.numbers(row))
    assert len(check(tmp_path / row.path).gaps) == 1


def test_another_size_is_another_clip(tmp_path: Path) -> None:
    film = Film()
    with recording(tmp_path, film, pre_roll=1.0) as recorder:
        recorder.run(3)
        recorder.tell(NEW)
        recorder.run(1)
        turned = recorder.film = Film(size=(96, 160), start=film.now + FRAME)
        recorder.run(2)
    first, second = (tmp_path / row.path for row in recorder.rows())
    assert {(frame.width, frame.height) for frame in shown(first)} == {(160, 96)}
    assert {(frame.width, frame.height) for frame in shown(second)} == {(96, 160)}
    assert len(shown(second)) == len(turned.times)
    assert recorder.shown_events() == {"1.0-a": ["clip1", "clip2"]}


def test_a_size_that_cannot_be_encoded_is_one_line_and_no_end_of_it_all(tmp_path: Path) -> None:
    film = Film(size=(8, 8))
    with recording(tmp_path, film) as recorder, pytest.raises(SinkError, match="8x8 pixels") as caught:
        recorder.run(0.1)
    assert "\n" not in str(caught.value)


def test_a_codec_that_is_not_there_is_one_line_and_events_go_on(tmp_path: Path) -> None:
    """h264_v4l2m2m is the hardware of a Pi 4; where a machine has it, this is no test."""
    if Path("/dev/video11").exists():
        pytest.skip("this machine has the codec")
    guarded = Guarded(tmp_path, encoder=EncoderOptions(codec="h264_v4l2m2m"), pre_roll=1.0)
    guarded.run(0.2)
    assert guarded.outlet.trouble == (
        "no H.264 encoder works for 160x96 pixels (h264_v4l2m2m: this machine has no such encoder):"
        " choose another codec or preset"
    )
    guarded.tell(NEW)
    guarded.tell(END)
    guarded.outlet.close()
    assert guarded.recorder.rows() == []
    assert guarded.recorder.files() == []


def test_boxes_go_beside_the_clip_where_they_are_not_in_it(tmp_path: Path) -> None:
    def track(number: int) -> Track:
        box = BBox(0.1, 0.1, 0.2 + number / 1000, 0.5)
        return Track(7, "dog", 0.9, box, 3, 0, BBox(0, 0, 0, 0), confirmed=True)

    with recording(tmp_path, pre_roll=1.0, max_length=3.0, overlay=False) as recorder:
        for number in range(200):
            recorder.sink.write(recorder.film.frame((track(number),)))
            if number == 90:
                recorder.tell(NEW)
    rows = recorder.rows()
    assert len(rows) > 1
    number = -1
    for row in rows:
        boxes = Boxes(read_boxes(boxes_path(tmp_path / row.path)))
        frames = shown(tmp_path / row.path)
        widths = [boxes.at(float(frame.pts * frame.time_base))[0].bbox.xmax for frame in frames]
        found = [round((width - 0.2) * 1000) for width in widths]
        assert contiguous(found)
        assert number in (-1, found[0] - 1)
        number = found[-1]
        assert row.size_bytes == sum(
            (tmp_path / row.path).with_suffix(each).stat().st_size for each in (".mp4", ".vtt")
        )
        luma = frames[0].to_ndarray(format="yuv420p")[: frames[0].height]
        plain = recorder.film._pictures[0][: frames[0].height]
        assert np.abs(luma[:8].astype(int) - plain[:8]).mean() < 20, "the camera's picture, without marks"


def test_an_event_has_a_clip_from_the_moment_there_is_one(tmp_path: Path) -> None:
    path, film = tmp_path / "edgecam.db", Film()
    with JournalSink(path) as journal, recording(tmp_path, film) as recorder:
        recorder.run(2)
        known = []
        for kind in (NEW, UPDATE, END):
            event = told(kind, "1.0-a", film.now, START)
            journal.publish(event)
            with Journal(path, read_only=True) as reader:
                known.append((reader.event("1.0-a") or {})["clip"])
            recorder.sink.publish(event)
            recorder.run(1)
    (row,) = recorder.rows()
    assert known == [None, str(row.path), str(row.path)]


def test_recording_goes_on_where_a_full_disk_stopped_it(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, pre_roll=4.0, post_roll=1.0)
    guarded.run(6)
    guarded.tell(NEW)
    guarded.run(2)
    with no_room():
        guarded.run(2)
        assert guarded.outlet.trouble
    guarded.run(6)
    assert guarded.outlet.trouble == ""
    guarded.tell(END)
    guarded.run(3)
    guarded.outlet.close()
    recorder = guarded.recorder
    first, second = recorder.rows()
    before, after = recorder.numbers(first), recorder.numbers(second)
    assert contiguous(before)
    assert contiguous(after)
    assert after[0] <= before[-1] + 1, "no frame is missing between the two"
    assert before[-1] - after[0] <= 31, "and at most a second is in both"
    assert recorder.shown_events() == {"1.0-a": ["clip1", "clip2"]}
    assert all(path.suffix == ".mp4" and path.stat().st_size for path in recorder.files())
    assert recorder.sink.recorded == 2


def test_an_event_that_is_told_while_the_disk_is_full_has_its_clip_afterwards(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, pre_roll=4.0, post_roll=1.0)
    guarded.run(6)
    with no_room():
        guarded.tell(NEW)
        announced = len(guarded.film.times)
        guarded.run(1)
    guarded.run(1)
    guarded.tell(END)
    guarded.run(3)
    guarded.outlet.close()
    (row,) = guarded.recorder.rows()
    numbers = guarded.recorder.numbers(row)
    assert contiguous(numbers)
    assert numbers[0] < announced - 4 * 30
    assert guarded.outlet.events_lost == 0
    assert guarded.recorder.files() == [tmp_path / row.path]


def test_an_event_that_was_over_before_the_disk_came_back_gets_no_clip_of_something_else(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, pre_roll=1.0, post_roll=1.0)
    guarded.run(3)
    with no_room():
        guarded.tell(NEW)
        guarded.run(1)
        guarded.tell(END)
        guarded.run(60)
    guarded.run(40)
    assert guarded.outlet.trouble == ""
    guarded.outlet.close()
    assert guarded.recorder.rows() == []
    assert guarded.recorder.files() == []


def test_switched_off_and_on_it_forgets_what_was(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, pre_roll=1.0)
    with recorder.sink:
        recorder.run(2)
        recorder.tell(NEW)
        recorder.run(1)
    with recorder.sink:
        recorder.run(2)
        assert len(recorder.rows()) == 1
        recorder.tell(UPDATE)  # it goes on, though its beginning was missed
        recorder.run(1)
    assert recorder.shown_events() == {"1.0-a": ["clip1", "clip2"]}


def test_an_event_that_says_no_more_does_not_record_for_ever() -> None:
    interest = Interest(5.0)
    assert interest.take(told(NEW, "1.0-a", 10.0, 9.0)) == 9.0
    assert interest.wants(10.0 + SILENT_AFTER)
    assert interest.take(told(UPDATE, "1.0-a", 100.0, 9.0)) is None
    assert interest.wants(100.0 + SILENT_AFTER)
    assert not interest.wants(100.1 + SILENT_AFTER)
    assert interest.events == ()


@pytest.mark.parametrize("seed", range(3))
def test_before_any_of_many_events_there_is_what_was_asked_for(tmp_path: Path, seed: int) -> None:
    """Events at random, 30 in all, 200 with EDGECAM_LABS=1: the first frame is at or before the pre-roll, and within
    one keyframe of it; the journal's lengths are those of the decoded files; no frame is missing or in two places."""
    random = Random(seed)
    film = Film(fps=random.choice([10.0, 15.0]))
    wanted: dict[str, tuple[float, float]] = {}
    pre_roll, post_roll = random.uniform(1, 6), random.uniform(0, 3)
    with recording(tmp_path, film, pre_roll=pre_roll, post_roll=post_roll, max_length=20.0) as recorder:
        recorder.run(pre_roll + 5)
        for number in range(200 if LABS else 10):
            began = film.now - random.uniform(0, 1.5)
            event_id = f"{number}.0-{seed}"
            recorder.tell(NEW, event_id, began)
            recorder.run(random.uniform(0, 12))
            wanted[event_id] = (began, film.now)
            recorder.tell(END, event_id, began)
            recorder.run(random.choice([0.0, random.uniform(0, 12)]))
        recorder.run(post_roll + 1)
    rows = {row.clip_id: row for row in recorder.rows()}
    spans = {clip_id: recorder.span(row) for clip_id, row in rows.items()}
    clips = recorder.shown_events()
    begun: set[str] = set()
    for event_id, (began, ended) in wanted.items():
        own = clips[event_id]
        first, last = spans[own[0]][0], spans[own[-1]][1]
        assert first <= began - min(pre_roll, began - START)
        if own[0] not in begun:
            assert first > began - pre_roll - 1.0 - 2 / 10
        begun.update(own)
        assert last + 2 / 10 >= ended + post_roll
    for row in rows.values():
        assert row.end is not None
        assert check(tmp_path / row.path).duration == pytest.approx(row.end - row.start, abs=0.001)
