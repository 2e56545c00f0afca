"""What every sink keeps to, the fake included."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import av
import cv2
import pytest
from fake_screen import FakeScreen
from sink_stories import annotated, event, renamed, story, tell

from edgecam import sinks
from edgecam.clip_store import ClipStore
from edgecam.clock import SystemClock
from edgecam.errors import InputError, SinkError
from edgecam.journal import Journal
from edgecam.mqtt.retained import RetainedTopics
from edgecam.mqtt.topics import Topics
from edgecam.ports import Sink
from edgecam.recording.encoder import EncoderOptions
from edgecam.sinks.clips import ClipSink
from edgecam.sinks.display import Display
from edgecam.sinks.gated import GatedSink
from edgecam.sinks.video import VideoSink
from edgecam.switches import Switches
from edgecam.testing import RecordingSink
from edgecam.types import EventType

SinkMaker = Callable[[Path], Sink]


def clips(folder: Path) -> Sink:
    """Clips with keyframes so often that a story has some, in a store that other tests' eyes pass over."""
    store, often = ClipStore(folder / "store"), EncoderOptions(keyframe_interval=0.3)
    return sinks.create(
        "clips", folder=folder / "clips", camera="front", store=store, clock=SystemClock(), encoder=often
    )


IN_FILES: dict[str, SinkMaker] = {
    "video": lambda folder: sinks.create("video", path=folder / "annotated.mp4", keyframe_interval=0.3),
    "snapshot": lambda folder: sinks.create("snapshot", folder=folder / "snapshots"),
    "jsonl": lambda folder: sinks.create("jsonl", path=folder / "events.jsonl"),
    "journal": lambda folder: sinks.create("journal", path=folder / "edgecam.db"),
    "clips": clips,
    "gated": lambda folder: GatedSink(VideoSink(folder / "gated.mp4", keyframe_interval=0.3), Switches(), "recordings"),
}
ALL: dict[str, SinkMaker] = IN_FILES | {
    "recording": lambda _: RecordingSink(),
    "mqtt": lambda _: sinks.create("mqtt", retained=RetainedTopics(), topics=Topics(), camera="front"),
    "requested": lambda folder: sinks.create("requested", folder=folder, camera="front", clock=SystemClock()),
    "display": lambda _: sinks.create(
        "display", display=Display(FakeScreen(), SystemClock(), ["front"]), camera="front"
    ),
}

every_sink = pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())
every_sink_in_files = pytest.mark.parametrize("make", IN_FILES.values(), ids=IN_FILES.keys())


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def assert_all_whole(folder: Path) -> None:
    """Every file that a sink has left can be read to its end, and none is a part of one."""
    for path in files(folder):
        if path.suffix == ".mp4":
            with av.open(str(path)) as video:
                assert sum(1 for _ in video.decode(video=0)) > 0
        elif path.suffix == ".jpg":
            assert cv2.imread(str(path)) is not None
        elif path.suffix == ".jsonl":
            text = path.read_text(encoding="utf-8")
            assert not text or text.endswith("\n")
            assert all(json.loads(line)["id"] for line in text.splitlines())
        elif path.suffix == ".db":
            if path.stat().st_size:
                with Journal(path, read_only=True) as journal:
                    list(journal.events())
        else:
            assert path.name.removesuffix("-wal").removesuffix("-shm") in {"filling", "edgecam.db", "store"}, path


@every_sink
def test_a_story_is_taken_and_leaves_only_whole_files(make: SinkMaker, tmp_path: Path) -> None:
    with make(tmp_path) as sink:
        tell(sink, *story())
    assert_all_whole(tmp_path)


@every_sink
def test_opening_and_closing_twice_is_harmless(make: SinkMaker, tmp_path: Path) -> None:
    sink = make(tmp_path)
    sink.close()
    sink.open()
    sink.open()
    tell(sink, *story())
    sink.close()
    sink.close()
    assert_all_whole(tmp_path)


@every_sink
def test_a_closed_sink_may_be_opened_again_and_loses_nothing_of_before(make: SinkMaker, tmp_path: Path) -> None:
    sink = make(tmp_path)
    for event_id in ("1.0-a", "2.0-b"):
        with sink:
            tell(sink, *(renamed(part, event_id) for part in story()))
    assert_all_whole(tmp_path)
    found = files(tmp_path)
    suffixes = [path.suffix for path in found]
    if ".mp4" in suffixes or ".jpg" in suffixes:
        assert len([path for path in found if path.name != "store"]) == 2
    for path in found:
        if path.suffix == ".jsonl":
            assert len(path.read_text().splitlines()) == 6
        if path.suffix == ".db":
            with Journal(path, read_only=True) as journal:
                assert [each["id"] for each in journal.events()] == ["1.0-a", "2.0-b"]


@every_sink
def test_a_constructor_touches_nothing(make: SinkMaker, tmp_path: Path) -> None:
    make(tmp_path / "new")
    assert not list(tmp_path.iterdir())


@every_sink
def test_its_name_is_no_name_of_a_class(make: SinkMaker, tmp_path: Path) -> None:
    name = make(tmp_path).name
    assert "Sink" not in name or name == "RecordingSink"


@every_sink_in_files
def test_missing_folders_are_made(make: SinkMaker, tmp_path: Path) -> None:
    with make(tmp_path / "a" / "b") as sink:
        tell(sink, *story())
    assert files(tmp_path / "a" / "b")


@every_sink
def test_nothing_is_left_of_a_story_without_a_word(make: SinkMaker, tmp_path: Path) -> None:
    with make(tmp_path):
        pass
    assert_all_whole(tmp_path)
    assert not [path for path in files(tmp_path) if path.suffix in {".mp4", ".jpg", ".part"}]


@every_sink
def test_the_size_of_the_picture_may_change(make: SinkMaker, tmp_path: Path) -> None:
    with make(tmp_path) as sink:
        tiny = (16, 16) if isinstance(sink, ClipSink) else (2, 2)  # H.264 takes no less
        for sequence, size in enumerate([(96, 64), (64, 96), tiny, (320, 180), (96, 64)]):
            sink.write(annotated(sequence, size=size))
            sink.publish(event(EventType.NEW, sequence, f"{sequence}.0-a"))
            sink.publish(event(EventType.END, sequence, f"{sequence}.0-a"))
    assert_all_whole(tmp_path)


@every_sink
def test_events_are_taken_where_no_frame_was_written(make: SinkMaker, tmp_path: Path) -> None:
    with make(tmp_path) as sink:
        tell(sink, event(EventType.NEW, 3), event(EventType.UPDATE, 5), event(EventType.END, 8, best=5))
        tell(sink, event(EventType.END, 8, "9.0-never-announced"))
    assert_all_whole(tmp_path)


@every_sink_in_files
def test_a_sink_that_is_not_open_says_so(make: SinkMaker, tmp_path: Path) -> None:
    sink = make(tmp_path)
    takes_frames = type(sink).write is not Sink.write
    with pytest.raises(SinkError, match="not open"):
        tell(sink, annotated(0) if takes_frames else event(EventType.NEW, 0))
    assert not files(tmp_path)


@every_sink_in_files
def test_a_place_that_cannot_be_is_one_line_that_names_it(make: SinkMaker, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", Path("/proc/edgecam")):
        sink = make(folder)
        with pytest.raises(SinkError) as caught:
            sink.open()
        assert str(folder) in str(caught.value)
        assert "\n" not in str(caught.value)
        sink.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; the read-only file system covers it there")
@every_sink_in_files
def test_a_folder_without_write_permission_is_a_sink_error(make: SinkMaker, tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    with pytest.raises(SinkError), make(folder / "inside"):
        pass
    assert not list(folder.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB of its own."""
    if shutil.which("mount") is None:
        pytest.skip("cannot mount a small disk to fill: there is no mount command here")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "edgecam-test", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk to fill ({mounted.stderr.strip() or 'not permitted'})")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path, leaving_bytes: int) -> Path:
    """Fill the disk but for some bytes."""
    space = os.statvfs(folder)
    filling = folder / "filling"
    filling.write_bytes(b"x" * max(0, space.f_bavail * space.f_frsize - leaving_bytes))
    return filling


def tell_until_refused(sink: Sink) -> SinkError:
    """Tell story after story until the disk is full."""
    for number in count():
        try:
            tell(sink, *(renamed(part, f"{number}.0-{'x' * 80}") for part in story()))
        except SinkError as error:
            return error
    raise AssertionError


@every_sink_in_files
@pytest.mark.parametrize("leaving_bytes", [0, 9_000, 150_000])
def test_a_full_disk_is_a_sink_error_and_leaves_whole_files(
    make: SinkMaker, small_disk: Path, leaving_bytes: int
) -> None:
    sink = make(small_disk)
    sink.open()
    filling = fill(small_disk, leaving_bytes)
    assert "the disk is full: free some space" in str(tell_until_refused(sink))
    try:
        sink.close()
    except SinkError as error:
        assert "the disk is full" in str(error)  # noqa: PT017 (it may, but need not, fail here once more)
    assert_all_whole(small_disk)
    filling.unlink()
    with sink:
        tell(sink, *story())
    assert_all_whole(small_disk)


@every_sink_in_files
def test_a_read_only_file_system_is_a_sink_error(make: SinkMaker, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(SinkError, match=r"read-only|cannot be opened"):
        make(small_disk).open()
    with pytest.raises(SinkError, match=r"read-only|cannot be opened"):
        make(small_disk / "new").open()


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    kinds = "clips, display, journal, jsonl, mqtt, requested, snapshot, video"
    with pytest.raises(InputError, match=f"sink 'smoke': give one of {kinds}"):
        sinks.create("smoke")


def test_sinks_are_imported_on_use() -> None:
    code = "import sys, edgecam.sinks; assert not {'av', 'cv2', 'sqlite3'} & sys.modules.keys(), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
