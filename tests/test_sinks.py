"""What each sink makes of frames and events, read back from its files."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import weakref
from datetime import UTC, datetime
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sink_stories import SIZE, annotated, event, story, tell

from edgecam.errors import SinkError
from edgecam.events import event_document
from edgecam.journal import Journal
from edgecam.late_picture import LatePicture
from edgecam.sinks.faults import write_whole
from edgecam.sinks.journal import JournalSink
from edgecam.sinks.jsonl import JsonLinesSink
from edgecam.sinks.names import safe_name
from edgecam.sinks.snapshot import OPEN_EVENTS, RECENT_FRAMES, SnapshotSink
from edgecam.sinks.video import VideoSink, fitted
from edgecam.types import AnnotatedFrame, Event, EventType, Frame


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def seconds(frame: av.VideoFrame) -> float:
    assert frame.pts is not None
    assert frame.time_base is not None
    return float(frame.pts * frame.time_base)


def boxes_of(path: Path) -> list[str]:
    """The top-level boxes of an MP4 file (ISO/IEC 14496-12, 4.2)."""
    data, found, at = path.read_bytes(), [], 0
    while at < len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8].decode("ascii")
        found.append(kind)
        at += int.from_bytes(data[at + 8 : at + 16], "big") if size == 1 else size
    return found


def test_every_frame_is_in_the_video_at_its_own_time(tmp_path: Path) -> None:
    timestamps = [1000.0, 1000.033, 1000.1, 1000.1, 1000.09, 1000.5, 1003.0]
    with VideoSink(tmp_path / "a.mp4") as sink:
        tell(sink, *(annotated(sequence, at) for sequence, at in enumerate(timestamps)))
    frames = decoded(tmp_path / "a.mp4")
    ticks = [round(seconds(frame) * 90_000) for frame in frames]
    assert ticks == [0, 2970, 9000, 9001, 9002, 45_000, 270_000]
    assert sink.written == 7
    assert sink.files == [tmp_path / "a.mp4"]


def test_the_pictures_in_the_video_are_those_that_were_written(tmp_path: Path) -> None:
    frames = [annotated(sequence, size=(320, 180)) for sequence in range(8)]
    with VideoSink(tmp_path / "a.mp4", crf=4) as sink:
        tell(sink, *frames)
    for shown, given in zip(decoded(tmp_path / "a.mp4"), frames, strict=True):
        difference = np.abs(shown.to_ndarray(format="yuv420p").astype(int) - given.image)
        assert difference.mean() < 2


@pytest.mark.parametrize(("matrix", "code"), [("bt601", 6), ("bt709", 1)])
def test_the_video_says_what_its_colours_mean(tmp_path: Path, matrix: str, code: int) -> None:
    with VideoSink(tmp_path / "a.mp4", matrix=matrix) as sink:
        tell(sink, annotated(0))
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.colorspace, context.color_primaries, context.color_trc) == (code, code, code)
        assert context.color_range == 1  # limited


def test_key_frames_come_at_the_interval_however_irregular_the_frames(tmp_path: Path) -> None:
    timestamps = np.cumsum(np.random.default_rng(1).uniform(0.02, 0.2, 80))
    with VideoSink(tmp_path / "a.mp4", keyframe_interval=1.0) as sink:
        tell(sink, *(annotated(sequence, at) for sequence, at in enumerate(timestamps)))
    keys = [seconds(frame) for frame in decoded(tmp_path / "a.mp4") if frame.key_frame]
    assert len(keys) > 5
    assert all(1.0 <= gap < 1.21 for gap in np.diff(keys))


def test_a_finished_video_is_a_plain_mp4_and_an_unfinished_one_has_another_name(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "a.mp4", keyframe_interval=0.3)
    sink.open()
    tell(sink, *map(annotated, range(20)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4.part"]
    assert "moof" in boxes_of(tmp_path / "a.mp4.part")
    sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert {"ftyp", "mdat", "moov"} <= set(boxes_of(tmp_path / "a.mp4")) <= {"ftyp", "free", "mdat", "moov"}


def test_an_unfinished_video_plays_up_to_its_last_whole_fragment(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "a.mp4", keyframe_interval=0.5, crf=51)
    sink.open()
    tell(sink, *map(annotated, range(33)))
    assert (tmp_path / "a.mp4.part").stat().st_size < 32_000  # however little it is, it is not held back
    shutil.copy(tmp_path / "a.mp4.part", tmp_path / "copy.mp4")
    sink.close()
    assert len(decoded(tmp_path / "copy.mp4")) >= 25
    assert len(decoded(tmp_path / "a.mp4")) == 33


VIDEO_WRITER = """
import sys
from itertools import count
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from sink_stories import annotated
from edgecam.sinks.video import VideoSink
with VideoSink(Path(sys.argv[2]), keyframe_interval=0.5) as sink:
    for sequence in count():
        sink.write(annotated(sequence))
        print(sequence, flush=True)
"""


def test_a_killed_writer_leaves_a_video_that_plays(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", VIDEO_WRITER, str(Path(__file__).parent), str(tmp_path / "a.mp4")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        while writer.stdout.readline().strip() != "60":
            assert writer.poll() is None
        writer.send_signal(signal.SIGKILL)
    assert len(decoded(tmp_path / "a.mp4.part")) >= 50


def test_a_picture_of_another_size_is_fitted_with_black_bars(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "a.mp4", crf=4) as sink:
        tell(sink, annotated(0, size=(160, 80)), annotated(1, size=(80, 80)))
    first, second = (frame.to_ndarray(format="yuv420p") for frame in decoded(tmp_path / "a.mp4"))
    assert first.shape == second.shape == (120, 160)
    assert second[:80, :36].max() < 24
    assert second[:80, 44:116].mean() > 50
    assert second[:80, 124:].max() < 24


def flat(width: int, height: int, sample: int) -> NDArray[np.uint8]:
    return np.full((height * 3 // 2, width), sample, np.uint8)


@pytest.mark.parametrize("size", [(2, 2), (64, 48), (1920, 1080), (10, 400), (400, 10)])
def test_any_picture_fits_into_any_other(size: tuple[int, int]) -> None:
    result = fitted(flat(*size, 200), (96, 64))
    assert result.shape == (96, 96)
    assert (result[:64] == 200).any()
    assert set(np.unique(result)) <= {16, 128, 200}


def test_a_picture_of_the_right_size_is_taken_as_it_is() -> None:
    image = flat(96, 64, 200)
    assert fitted(image, (96, 64)) is image


def test_opened_again_the_video_sink_writes_the_next_file(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "a.mp4")
    for _ in range(3):
        with sink:
            tell(sink, annotated(0))
    with sink:
        pass
    assert sink.files == [tmp_path / name for name in ("a.mp4", "a-2.mp4", "a-3.mp4")]
    assert sorted(tmp_path.iterdir()) == sorted(sink.files)


def test_an_encoder_that_refuses_is_a_sink_error_and_leaves_nothing(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "a.mp4", preset="sluggish")
    sink.open()
    with pytest.raises(SinkError, match=r"a\.mp4: cannot write"):
        sink.write(annotated(0))
    sink.close()
    assert not list(tmp_path.iterdir())


def test_no_file_stays_open_where_the_header_cannot_be_written(tmp_path: Path) -> None:
    before = open_files()
    for _ in range(5):
        with VideoSink(tmp_path / "a.mp4", preset="sluggish") as sink, pytest.raises(SinkError):
            sink.write(annotated(0))
    assert open_files() == before


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def snapshots(folder: Path) -> dict[str, float]:
    """Name of each picture below the folder, and its mean brightness."""
    return {
        str(path.relative_to(folder)): float(np.mean(np.asarray(cv2.imread(str(path)))))
        for path in sorted(folder.rglob("*.jpg"))
    }


def brightness(frame: AnnotatedFrame) -> float:
    return float(np.mean(cv2.cvtColor(frame.image, cv2.COLOR_YUV2BGR_I420)))


DAY = f"{datetime(2026, 1, 1, tzinfo=UTC).astimezone():%Y-%m-%d}"


def test_the_snapshot_is_the_best_frame_of_its_event(tmp_path: Path) -> None:
    with SnapshotSink(tmp_path) as sink:
        for part in story():
            tell(sink, part)
            if isinstance(part, Event) and part.type is EventType.NEW:
                assert list(snapshots(tmp_path).values()) == [pytest.approx(brightness(annotated(3)), abs=1.5)]
    expected = {f"front/{DAY}/1767225600.5-abcdef.jpg": pytest.approx(brightness(annotated(5)), abs=1.5)}
    assert snapshots(tmp_path) == expected
    assert (sink.saved, sink.missed) == (2, 0)


def test_a_disk_that_lags_far_behind_costs_no_picture(tmp_path: Path) -> None:
    with SnapshotSink(tmp_path) as sink:
        told = []
        for part in story():
            if isinstance(part, Event):
                sink.overhear(part)
                told.append(part)
            else:
                assert not sink.glance(part), "its thread is not to be woken for every frame"
        for sequence in range(10, 60):
            sink.glance(annotated(sequence))
        tell(sink, *told)
    assert list(snapshots(tmp_path).values()) == [pytest.approx(brightness(annotated(5)), abs=1.5)]
    assert sink.missed == 0


def test_a_disk_that_stalls_for_long_costs_the_oldest_pictures_not_memory(tmp_path: Path) -> None:
    with SnapshotSink(tmp_path) as sink:
        for number in range(5 * OPEN_EVENTS):
            sink.glance(annotated(number))
            sink.overhear(event(EventType.NEW, number, f"{number}.0-a"))
        assert len(sink._best) == 2 * OPEN_EVENTS


def test_an_event_that_was_best_at_first_is_saved_once(tmp_path: Path) -> None:
    with SnapshotSink(tmp_path) as sink:
        tell(sink, annotated(3), event(EventType.NEW, 3), annotated(4), event(EventType.END, 4, best=3))
    assert sink.saved == 1


@pytest.mark.parametrize(("best", "taken"), [(2, 2), (6, 7), (100, 9)])
def test_where_the_best_frame_was_lost_the_nearest_is_taken(tmp_path: Path, best: int, taken: int) -> None:
    with SnapshotSink(tmp_path) as sink:
        tell(sink, *(annotated(sequence) for sequence in (2, 3, 4, 7, 8, 9)))
        tell(sink, event(EventType.NEW, 9, best=best))
    assert list(snapshots(tmp_path).values()) == [pytest.approx(brightness(annotated(taken)), abs=1.5)]


def test_an_event_of_which_nothing_was_seen_gets_no_picture_of_something_else(tmp_path: Path) -> None:
    with SnapshotSink(tmp_path) as sink:
        tell(sink, event(EventType.NEW, 3), annotated(50), event(EventType.END, 50, best=3))
    assert not snapshots(tmp_path)
    assert (sink.saved, sink.missed) == (0, 1)


def test_only_so_many_pictures_are_kept_in_memory(tmp_path: Path) -> None:
    with SnapshotSink(tmp_path) as sink:
        for number in range(3 * OPEN_EVENTS):
            tell(sink, annotated(number), event(EventType.NEW, number, f"{number}.0-a"))
        assert len(sink._best) == OPEN_EVENTS
        assert len(sink._recent) == RECENT_FRAMES
        for number in range(3 * OPEN_EVENTS):
            tell(sink, event(EventType.END, 200, f"{number}.0-a", best=number))
        assert not sink._best
    assert len(snapshots(tmp_path)) == 3 * OPEN_EVENTS


def test_of_a_picture_that_others_have_drawn_its_frame_is_let_go(tmp_path: Path) -> None:
    with SnapshotSink(tmp_path) as sink:
        frames = []
        for sequence in range(RECENT_FRAMES):
            shown = annotated(sequence)
            frames.append(weakref.ref(shown.frame.main))
            tell(sink, shown)
            del shown
        gone = [frame() is None for frame in frames]
    assert gone == [True] * (RECENT_FRAMES - 3) + [False] * 3


def test_a_picture_that_is_never_saved_is_never_drawn(tmp_path: Path) -> None:
    drawn: list[int] = []

    def lazily(sequence: int) -> AnnotatedFrame:
        plain = annotated(sequence)

        def draw() -> NDArray[np.uint8]:
            drawn.append(sequence)
            return plain.image

        return AnnotatedFrame(plain.frame, LatePicture(draw, plain.frame.size), (), None)

    with SnapshotSink(tmp_path) as sink:
        for part in story():
            tell(sink, lazily(part.frame.sequence) if isinstance(part, AnnotatedFrame) else part)
        tell(sink, *map(lazily, range(10, 20)))
    assert drawn == [3, 5], "when it was announced, and its best"
    assert sink.saved == 2


def test_an_event_refused_by_the_disk_is_saved_after_it_is_told_again(tmp_path: Path) -> None:
    obstacle = tmp_path / "front"
    obstacle.write_text("")
    sink = SnapshotSink(tmp_path)
    sink.open()
    sink.write(annotated(3))
    with pytest.raises(SinkError, match="part of the path is a file"):
        sink.publish(event(EventType.NEW, 3))
    sink.close()
    obstacle.unlink()
    with sink:
        tell(sink, *(annotated(sequence) for sequence in range(4, 30)), event(EventType.NEW, 3))
    assert list(snapshots(tmp_path).values()) == [pytest.approx(brightness(annotated(3)), abs=1.5)]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("front", "front"),
        ("1767225600.5-abcdef", "1767225600.5-abcdef"),
        ("../../etc/passwd", "_.._etc_passwd-"),
        ("..", "_-"),
        ("", "_-"),
        (".hidden", "hidden-"),
        ("Küche 行", "K_che_-"),
        ("a" * 300, "a" * 100 + "-"),
        ("\ud800", "_-"),
    ],
)
def test_names_become_harmless_file_names(text: str, start: str) -> None:
    name = safe_name(text)
    assert name == text if start == text else name.startswith(start)
    assert len(name) < 120


def test_names_that_differ_stay_different() -> None:
    names = ["a/b", "a_b", "a:b", "a b", "", ".", "..", "...", "a" * 200, "a" * 201]
    assert len({safe_name(name) for name in names}) == len(names)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_message_is_a_line_as_soon_as_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    told = []
    with JsonLinesSink(path) as sink:
        for part in story():
            tell(sink, part)
            if isinstance(part, Event):
                told.append(event_document(part))
                assert lines(path) == told
    assert [line["type"] for line in lines(path)] == ["new", "update", "end"]
    assert sink.published == 3


def test_lines_are_added_to_those_of_before_and_a_torn_one_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"id": "before"}\n{"id": "to')
    for _ in range(2):
        with JsonLinesSink(path) as sink:
            sink.publish(event(EventType.NEW, 3))
    text = path.read_text().splitlines()
    assert text[:2] == ['{"id": "before"}', '{"id": "to']
    assert [json.loads(line)["frame"] for line in text[2:]] == [3, 3]


def test_a_device_that_is_full_is_a_sink_error() -> None:
    with JsonLinesSink(Path("/dev/full")) as sink, pytest.raises(SinkError, match="the disk is full"):
        sink.publish(event(EventType.NEW, 3))


def test_the_journal_has_each_message_when_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "edgecam.db"
    with JournalSink(path) as sink, Journal(path, read_only=True) as reader:
        for part in story():
            tell(sink, part)
            if isinstance(part, Event):
                assert list(reader.events()) == [event_document(part) | {"snapshot": None, "clip": None, "cut": None}]


def test_the_journal_notes_the_snapshot_once_it_is_there(tmp_path: Path) -> None:
    folder, path = tmp_path / "snapshots", tmp_path / "edgecam.db"
    noted = []
    with JournalSink(path, snapshots=folder) as journal, SnapshotSink(folder) as pictures:
        for part in story():
            tell(journal, part)
            tell(pictures, part)
            if isinstance(part, Event):
                with Journal(path, read_only=True) as reader:
                    noted.append((reader.event(part.event_id) or {})["snapshot"])
    (picture,) = folder.rglob("*.jpg")
    assert noted == [None, str(picture), str(picture)]


def test_two_cameras_may_share_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "edgecam.db"
    with JournalSink(path) as one, JournalSink(path) as other:
        for number in range(10):
            one.publish(event(EventType.NEW, number, f"{number}.0-a"))
            other.publish(event(EventType.NEW, number, f"{number}.0-b"))
    with Journal(path, read_only=True) as reader:
        assert len(list(reader.events())) == 20


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_whole(path, b"first")
    (tmp_path / "a.jpg.part").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(path, b"second")
    assert path.read_bytes() == b"first"


def test_frames_hold_still() -> None:
    """The stories' frames keep the types' promise: what a sink keeps will not change."""
    frame = annotated(0)
    assert isinstance(frame.frame, Frame)
    assert frame.image.shape == (SIZE[1] * 3 // 2, SIZE[0])
    with pytest.raises(ValueError, match="read-only"):
        frame.image[0] = 0
