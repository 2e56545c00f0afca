"""Switches, and sinks behind them."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from sink_stories import annotated, event, story, tell

from edgecam.errors import SinkError
from edgecam.outlet import Outlet
from edgecam.sinks.gated import GatedSink
from edgecam.sinks.snapshot import SnapshotSink
from edgecam.sinks.video import VideoSink
from edgecam.switches import Switches
from edgecam.testing import ManualClock, RecordingSink
from edgecam.types import EventType


def test_listeners_hear_how_all_switches_stand_and_each_setting() -> None:
    switches, heard = Switches(snapshots=False), list[tuple[str, bool]]()
    switches.listen(lambda name, on: heard.append((name, on)))
    assert heard == [("detect", True), ("recordings", True), ("snapshots", False)]
    switches.set("detect", False)
    switches.set("detect", False)
    assert heard[3:] == [("detect", False)] * 2
    assert [switches[name] for name in ("detect", "recordings", "snapshots")] == [False, True, False]


def test_what_has_nothing_to_switch_is_off_and_stays_so() -> None:
    switches, heard = Switches(absent=("recordings",)), list[tuple[str, bool]]()
    switches.listen(lambda name, on: heard.append((name, on)))
    switches.set("recordings", True)
    assert not switches["recordings"]
    assert [on for name, on in heard if name == "recordings"] == [False, False], "whoever asked is told how it stands"


def test_there_is_no_other_switch() -> None:
    switches = Switches()
    with pytest.raises(KeyError):
        switches.set("light", True)
    with pytest.raises(KeyError):
        switches["light"]


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_switched_off_a_video_is_whole_and_switched_on_the_next_one_begins(tmp_path: Path) -> None:
    switches = Switches()
    with GatedSink(VideoSink(tmp_path / "a.mp4"), switches, "recordings") as sink:
        tell(sink, *map(annotated, range(5)))
        switches.set("recordings", False)
        tell(sink, *map(annotated, range(5, 10)))
        assert [(path.name, frames_in(path)) for path in tmp_path.iterdir()] == [("a.mp4", 5)]
        switches.set("recordings", True)
        tell(sink, *map(annotated, range(10, 13)))
    assert {path.name: frames_in(path) for path in tmp_path.iterdir()} == {"a.mp4": 5, "a-2.mp4": 3}


def test_nothing_is_written_where_it_is_off_from_the_start(tmp_path: Path) -> None:
    switches = Switches(recordings=False)
    with GatedSink(VideoSink(tmp_path / "a.mp4"), switches, "recordings") as sink:
        tell(sink, *story())
        assert not list(tmp_path.iterdir())
    switches.set("recordings", True)
    with sink:
        tell(sink, *story())
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_what_comes_while_it_is_off_passes_by_and_is_not_told_later() -> None:
    switches, inner = Switches(), RecordingSink()
    outlet = Outlet(GatedSink(inner, switches, "recordings"), ManualClock())
    outlet.open()
    switches.set("recordings", False)
    assert outlet.write(annotated(0))
    assert outlet.publish(event(EventType.NEW, 0))
    switches.set("recordings", True)
    assert outlet.write(annotated(1))
    assert inner.order == ["frame 1"]
    outlet.close()
    assert (inner.opened, outlet.frames_refused, outlet.events_lost) == (2, 0, 0)


def test_a_disk_that_is_full_when_it_is_switched_on_is_tried_again() -> None:
    switches, inner, clock = Switches(recordings=False), RecordingSink(), ManualClock()
    outlet = Outlet(GatedSink(inner, switches, "recordings"), clock)
    outlet.open()
    switches.set("recordings", True)
    inner.refuse.append(SinkError("the disk is full"))
    assert not outlet.write(annotated(0))
    assert outlet.trouble == "the disk is full"
    clock.advance(1.1)
    assert outlet.write(annotated(1))
    assert inner.order == ["frame 1"]


def test_a_fault_is_mended_by_switching_off() -> None:
    switches, inner, clock = Switches(), RecordingSink(), ManualClock()
    outlet = Outlet(GatedSink(inner, switches, "recordings"), clock)
    outlet.open()
    inner.refuse += [SinkError("the disk is full")] * 5
    assert not outlet.write(annotated(0))
    switches.set("recordings", False)
    clock.advance(1.1)
    assert outlet.write(annotated(1))
    assert outlet.trouble == ""


def pictures(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*.jpg")]


def test_no_picture_is_saved_of_an_event_while_snapshots_are_off(tmp_path: Path) -> None:
    switches = Switches(snapshots=False)
    with SnapshotSink(tmp_path, switches=switches) as sink:
        tell(sink, *story())
        assert pictures(tmp_path) == []
        switches.set("snapshots", True)
        tell(sink, annotated(20), event(EventType.NEW, 20, "2.0-b"))
        assert pictures(tmp_path) == ["2.0-b.jpg"]


def test_no_picture_is_kept_for_an_event_that_ends_while_snapshots_are_off(tmp_path: Path) -> None:
    switches = Switches()
    with SnapshotSink(tmp_path, switches=switches) as sink:
        tell(sink, annotated(3), event(EventType.NEW, 3))
        switches.set("snapshots", False)
        tell(sink, annotated(8), event(EventType.END, 8))
        assert not sink._best
        assert sink.saved == 1
