"""All there is, in segments: no frame lost between two, one encoder for them and the clips, a place of their own."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from clip_recording import BOX, START, Film, Guarded, Recorder, no_room, recording, told
from clip_shelf import Shelf
from clip_stories import growing_clip, known_packets

from edgecam.clip_files import Sweep
from edgecam.clip_store import ClipKind, ClipRow, ClipStore
from edgecam.composition import build_clips, build_housekeeping
from edgecam.config import Config
from edgecam.errors import SinkError
from edgecam.housekeeping import HousekeepingWorker
from edgecam.recording.adoption import adopt
from edgecam.recording.boxes import boxes_path
from edgecam.recording.checking import check
from edgecam.recording.encoder import Encoder
from edgecam.retention import Policy
from edgecam.sinks import clip_stream
from edgecam.testing import ManualClock
from edgecam.types import BBox, EventType, Track

pytestmark = pytest.mark.any_runtime

NEW, END = EventType.NEW, EventType.END
DOG = Track(7, "dog", 0.9, BOX, 3, 0, BBox(0, 0, 0, 0), confirmed=True)


def of_kind(recorder: Recorder, kind: ClipKind) -> list[ClipRow]:
    return [row for row in recorder.rows() if row.kind is kind]


def contiguous(numbers: list[int]) -> bool:
    return numbers == list(range(numbers[0], numbers[-1] + 1))


def test_segments_follow_each_other_with_no_frame_lost_or_doubled(tmp_path: Path) -> None:
    film = Film(fps=14.7)
    with recording(tmp_path, film, events=False, segment_length=5.0) as recorder:
        recorder.run(17)
        recorder.tell(NEW)
        recorder.run(3)
    rows = recorder.rows()
    assert [row.kind for row in rows] == [ClipKind.CONTINUOUS] * len(rows)
    assert [number for row in rows for number in recorder.numbers(row)] == list(range(len(film.times)))
    assert len(rows) == 5
    for row, following in pairwise(rows):
        assert row.end == pytest.approx(following.start, abs=0.001)
    assert recorder.shown_events() == {}
    assert {row.path.parts[0] for row in rows} == {"continuous"}
    assert all(row.path.parent.name.count("-") == 2 and row.path.name.endswith(f"{row.clip_id}.mp4") for row in rows)


def test_clips_and_segments_share_one_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Encoder] = []

    class Counted(Encoder):
        def open(self) -> None:
            opened.append(self)
            super().open()

    monkeypatch.setattr(clip_stream, "Encoder", Counted)
    with recording(tmp_path, pre_roll=2.0, post_roll=1.0, segment_length=60.0) as recorder:
        recorder.run(5)
        recorder.tell(NEW)
        recorder.run(2)
        recorder.tell(END)
        recorder.run(4)
    (segment,) = of_kind(recorder, ClipKind.CONTINUOUS)
    (clip,) = of_kind(recorder, ClipKind.EVENT)
    assert recorder.numbers(segment) == list(range(11 * 30))
    assert contiguous(recorder.numbers(clip))
    assert recorder.shown_events() == {"1.0-a": [clip.clip_id]}
    assert len(opened) == 1
    assert recorder.sink.recorded == 2


def test_a_disk_that_refuses_costs_the_segment_what_it_costs_a_clip(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path, pre_roll=4.0, post_roll=1.0, segment_length=600.0)
    guarded.run(4)
    with no_room():
        guarded.run(2)
        assert guarded.outlet.trouble
    guarded.run(6)
    assert guarded.outlet.trouble == ""
    guarded.outlet.close()
    recorder = guarded.recorder
    before, after = (recorder.numbers(row) for row in recorder.rows())
    assert contiguous(before)
    assert contiguous(after)
    assert after[0] <= before[-1] + 1, "no frame is missing between the two"
    assert all(path.stat().st_size for path in (tmp_path / "continuous").rglob("*.mp4"))


def test_the_boxes_lie_beside_segments_as_beside_clips(tmp_path: Path) -> None:
    with recording(tmp_path, events=False, segment_length=60.0, overlay=False) as recorder:
        for _ in range(40):
            recorder.sink.write(
                recorder.film.frame((Track(7, "dog", 0.9, BOX, 3, 0, BBox(0, 0, 0, 0), confirmed=True),))
            )
    (row,) = recorder.rows()
    assert boxes_path(tmp_path / row.path).stat().st_size > 1000


def test_switched_off_nothing_is_recorded(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, events=False, segment_length=60.0)
    with recorder.sink:
        recorder.run(2)
    recorder.film.skip(100)
    with recorder.sink:
        recorder.run(2)
    first, second = recorder.rows()
    assert second.start - first.start == pytest.approx(102, abs=0.1)


def test_a_segment_that_a_crash_cut_is_adopted_as_one(tmp_path: Path) -> None:
    stream, packets = known_packets()
    clip = tmp_path / "continuous" / "front" / "2026-11-30" / "18-30-05-abc.mp4"
    clip.parent.mkdir(parents=True)
    growing_clip(clip, packets, stream)
    with ClipStore(tmp_path / "edgecam.db") as store:
        (adopted,) = adopt(tmp_path / "continuous", store, ClipKind.CONTINUOUS)
        assert (adopted.kind, adopted.clip_id, adopted.camera) == (ClipKind.CONTINUOUS, "abc", "front")
    assert check(clip).ok


def test_the_sweep_takes_in_a_segment_that_is_not_in_the_journal(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    row = shelf.write("abc")
    moved = tmp_path / "continuous" / Path(*row.path.parts[1:])
    moved.parent.mkdir(parents=True)
    (tmp_path / row.path).rename(moved)
    with ClipStore(shelf.journal) as store:
        sweep = Sweep(store, tmp_path, 0.0)
        list(sweep.steps())
        (found,) = store.clips()
    assert (found.kind, found.path, found.frames) == (ClipKind.CONTINUOUS, moved.relative_to(tmp_path), row.frames)


def test_segments_have_bounds_of_their_own(tmp_path: Path) -> None:
    clock = ManualClock(START)
    with recording(tmp_path, segment_length=3.0, pre_roll=1.0, post_roll=1.0) as recorder:
        recorder.run(3)
        recorder.tell(NEW)
        recorder.run(12)
    segments = of_kind(recorder, ClipKind.CONTINUOUS)
    clips = of_kind(recorder, ClipKind.EVENT)
    most = segments[-1].size_bytes + segments[-2].size_bytes
    policies = {ClipKind.EVENT: Policy(), ClipKind.CONTINUOUS: Policy(max_bytes=most)}
    worker = HousekeepingWorker(tmp_path, ClipStore(tmp_path / "edgecam.db"), policies, clock)
    for _ in range(10):
        worker.turn()
    worker.teardown()
    assert worker.facts.deleted == len(segments) - 2
    assert {row.clip_id for row in recorder.rows()} == {row.clip_id for row in [*segments[-2:], *clips]}


@pytest.mark.parametrize("clips", [True, False])
def test_as_configured(tmp_path: Path, *, clips: bool) -> None:
    """With the clips or without, in the folders and with the bounds that the configuration names."""
    settings = {"enabled": True, "segment_length": 10.0, "max_age": 100.0}
    config = Config.model_validate({"data_dir": tmp_path, "continuous": settings, "clips": {"enabled": clips}})
    film = Film()
    with build_clips(config, "front", ManualClock(START)) as sink:
        for _ in range(90):
            sink.write(film.frame())
        sink.publish(told(NEW, "1.0-a", film.now, film.now))
        for _ in range(10):
            sink.write(film.frame())
    with ClipStore(tmp_path / "edgecam.db", read_only=True) as store:
        rows = list(store.clips())
    assert sorted(row.path.parts[0] for row in rows) == (["clips", "continuous"] if clips else ["continuous"])
    assert config.continuous.bounds() == {"max_age": 100.0, "max_bytes": None}
    assert build_housekeeping(config, ManualClock(START), lambda: None) is not None


def test_it_needs_the_journal() -> None:
    with pytest.raises(ValueError, match=r"continuous.enabled = false"):
        Config.model_validate(
            {"journal": {"enabled": False}, "clips": {"enabled": False}, "continuous": {"enabled": True}}
        )


def test_no_segment_is_ever_empty(tmp_path: Path) -> None:
    film = Film(size=(8, 8))
    with recording(tmp_path, film, events=False, segment_length=5.0) as recorder, pytest.raises(SinkError, match="8x8"):
        recorder.run(0.1)
    assert recorder.rows() == []
    assert list((tmp_path / "continuous").rglob("*.*")) == []
