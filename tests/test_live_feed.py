"""Live video: every viewer gets the recorder's own packets, from a keyframe on, and costs nobody anything."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="no web server: install edgecam[web]")

from clip_recording import START, Film, Recorder
from hypothesis import given
from hypothesis import strategies as st
from live_viewing import Watcher, packet, stream

from edgecam.errors import SinkError
from edgecam.live_feed import ATTENDED_FOR, LiveFeed, Viewing
from edgecam.newest import NewestFrame
from edgecam.preroll import Packet
from edgecam.recording.encoder import EncoderOptions
from edgecam.sinks.gated import GatedSink
from edgecam.sinks.live import DEPTH, LiveEncoderWorker, LiveSink
from edgecam.sinks.newest import NewestSink
from edgecam.switches import Switches
from edgecam.types import EventType

pytestmark = pytest.mark.any_runtime

QUICK = EncoderOptions(codec="libx264", quality=35, preset="ultrafast")


def no_bell() -> None:
    """For viewers that ask by themselves."""


def taken(viewing: Viewing) -> list[Packet]:
    return [piece.packet for piece in viewing.take()]


def film_of(seconds: int, fps: int = 10, keyframes: int = 10) -> list[Packet]:
    return [packet(n / fps, keyframe=n % keyframes == 0) for n in range(seconds * fps)]


def test_a_viewer_begins_with_the_newest_keyframe_and_misses_nothing_from_then_on() -> None:
    feed, source, film = LiveFeed(), stream(), film_of(5)
    feed.put(source, film[:25])
    viewing = feed.subscribe(no_bell)
    assert taken(viewing) == film[20:25]
    feed.put(source, film[25:26])
    feed.put(source, film[26:40])
    assert taken(viewing) == film[25:40]
    assert taken(viewing) == []


def test_where_there_is_no_keyframe_a_viewer_waits_for_one() -> None:
    feed, source, film = LiveFeed(), stream(), film_of(3)
    viewing = feed.subscribe(no_bell)
    feed.put(source, film[5:10])
    assert taken(viewing) == []
    feed.put(source, film[10:15])
    assert taken(viewing) == film[10:15]


def test_while_nobody_looks_there_is_no_more_than_it_takes_to_begin() -> None:
    feed, source = LiveFeed(), stream()
    assert not feed.wanted
    feed.put(source, film_of(60)[:595])
    assert feed.bytes == 5 * 1000
    viewing = feed.subscribe(no_bell)
    assert feed.wanted
    viewing.close()
    viewing.close()
    assert not feed.wanted


def test_a_slow_viewer_is_dropped_and_counted_and_the_others_go_on() -> None:
    feed, source, film = LiveFeed(seconds=2.0), stream(), film_of(10)
    feed.put(source, film[:1])
    slow, quick = feed.subscribe(no_bell), feed.subscribe(no_bell)
    assert taken(slow) == film[:1]
    seen, most = [], 0
    for each in film[1:]:
        feed.put(source, [each])
        seen += taken(quick)
        most = max(most, feed.bytes)
    assert seen == film
    assert not quick.lost
    assert taken(slow) == []
    assert taken(slow) == []
    assert slow.lost
    assert feed.dropped == 1
    assert most <= 1000 * 10 * 3.1  # two seconds, and up to a keyframe


def test_what_viewers_may_be_behind_is_bounded_in_bytes_too() -> None:
    feed, source, film = LiveFeed(seconds=60.0, max_bytes=7500), stream(), film_of(3, keyframes=100)
    viewing = feed.subscribe(no_bell)
    for each in film[:7]:
        feed.put(source, [each])
    assert taken(viewing) == film[:7]
    for each in film[7:]:
        feed.put(source, [each])
    assert feed.bytes <= 7500
    assert taken(viewing) == []
    assert viewing.lost


@given(st.lists(st.one_of(st.integers(0, 2), st.booleans()), max_size=120), st.integers(2000, 9000))
def test_whatever_happens_a_viewer_sees_a_stretch_without_holes_or_is_dropped(
    doings: list[int | bool], max_bytes: int
) -> None:
    """A boolean is a packet, a keyframe or not; a number is a viewer that takes what there is."""
    feed, source = LiveFeed(seconds=1.0, max_bytes=max_bytes), stream()
    film: list[Packet] = []
    viewings = [feed.subscribe(no_bell) for _ in range(3)]
    seen: list[list[Packet]] = [[], [], []]
    for doing in doings:
        if isinstance(doing, bool):
            film.append(packet(len(film) / 10, keyframe=doing))
            feed.put(source, film[-1:])
        else:
            seen[doing] += taken(viewings[doing])
    assert feed.bytes <= max_bytes
    for sight in seen:
        first = film.index(sight[0]) if sight else 0
        assert sight == film[first : first + len(sight)]
        assert not sight or sight[0].keyframe
    assert feed.dropped == sum(viewing.lost for viewing in viewings)


def test_viewers_with_one_bell_are_rung_for_once() -> None:
    feed, rung = LiveFeed(), []

    def bell() -> None:
        rung.append(1)

    viewings = [feed.subscribe(bell) for _ in range(20)]
    feed.put(stream(), film_of(1))
    assert rung == [1]
    assert all(taken(viewing) for viewing in viewings)


def test_of_two_who_encode_the_newer_packets_count_from_a_keyframe_on() -> None:
    feed, first, second, film = LiveFeed(), stream(), stream(), film_of(10)
    watcher = Watcher(feed)
    feed.put(first, film[:33])
    feed.put(second, film[20:38])  # those up to 32 are late; the rest waits for a keyframe
    assert watcher.look() == film[:33]
    feed.put(second, film[38:45])
    assert watcher.look() == film[40:45]
    feed.put(first, film[33:46])  # late again, all but one
    assert watcher.look() == []
    feed.put(second, film[45:55])
    assert watcher.look() == film[45:55]
    assert {id(piece.stream) for piece in watcher.pieces} == {id(first), id(second)}


def test_after_a_clock_that_was_set_back_the_video_goes_on() -> None:
    feed, film = LiveFeed(), film_of(2)
    watcher = Watcher(feed)
    feed.put(stream(), [packet(1000.0, keyframe=True)])
    feed.put(stream(), film)
    assert watcher.look()[1:] == film


def test_who_comes_after_the_end_of_a_stream_does_not_begin_with_it() -> None:
    feed, old, new, film = LiveFeed(), stream(), stream(), film_of(3)
    feed.put(old, film[:15])
    feed.end(new)
    assert feed.bytes > 0
    feed.end(old)
    assert feed.bytes == 0
    watcher = Watcher(feed)
    assert watcher.look() == []
    feed.put(new, film[20:])
    assert watcher.look() == film[20:]


def test_the_viewer_gets_the_very_packets_that_are_recorded(tmp_path: Path) -> None:
    """No second encode: one object is in the pre-roll and with the viewer."""
    feed = LiveFeed()
    recorder = Recorder(tmp_path, live=feed, pre_roll=5.0)
    watcher = Watcher(feed)
    with recorder.sink:
        recorder.run(2.0)
        kept = recorder.sink._stream.ring.since(START)
        seen = watcher.look()
        assert [id(each) for each in seen] == [id(each) for each in kept]
        assert watcher.numbers() == list(range(len(kept)))


def test_without_pre_roll_pictures_are_encoded_while_somebody_looks_and_only_then(tmp_path: Path) -> None:
    feed = LiveFeed()
    recorder = Recorder(tmp_path, live=feed, pre_roll=0.0, post_roll=1.0)
    with recorder.sink:
        recorder.run(1.0)
        assert not recorder.sink._stream.is_open
        watcher = Watcher(feed)
        recorder.run(1.5)
        recorder.tell(EventType.NEW)
        recorder.run(1.0)
        recorder.tell(EventType.END)
        watcher.numbers()
        watcher.leave()
        recorder.run(2.0)
        assert not recorder.sink._stream.is_open
        assert feed.bytes == 0
    assert watcher.numbers() == list(range(30, 104))  # the encoder keeps one
    (row,) = recorder.rows()
    numbers = recorder.numbers(row)
    assert numbers == list(range(60, 135))


def test_the_video_goes_on_while_the_recorder_is_down(tmp_path: Path) -> None:
    feed = LiveFeed()
    recorder = Recorder(tmp_path, live=feed, pre_roll=0.0)
    watcher = Watcher(feed)
    for _ in range(10):
        recorder.sink.meanwhile(recorder.film.frame())
    assert watcher.numbers() == list(range(9))
    assert feed.is_attended(recorder.film.now)


def test_recordings_switched_off_the_video_goes_on_from_an_encoder_of_its_own(tmp_path: Path) -> None:
    feed, switches, film = LiveFeed(), Switches(), Film()
    recorder = Recorder(tmp_path, film, live=feed)
    recorded, live = GatedSink(recorder.sink, switches, "recordings"), LiveSink("front", feed, encoder=QUICK)
    watcher, before = Watcher(feed), live_threads()
    with recorded, live:
        seen = 0
        for number in range(300):
            if number in (60, 200):
                switches.set("recordings", number == 200)
            frame = film.frame()
            live.write(frame)
            recorded.write(frame)
            watcher.look()
            seen += wait_for_the_encoder(live)
        assert 0 < seen < 300
        assert live_threads() == before
    numbers = watcher.numbers()
    assert numbers == sorted(set(numbers))
    missing = set(range(300)) - set(numbers)
    assert len([number for number in missing if 60 <= number < 190]) <= 30 * ATTENDED_FOR + 2
    assert numbers[-1] >= 298
    assert live.left_out == 0


def live_threads() -> int:
    return sum(thread.name.startswith("live-") for thread in threading.enumerate())


def wait_for_the_encoder(live: LiveSink) -> bool:
    """Whether an encoder of its own runs; it is waited for, so that nothing is left out here."""
    worker = live._worker
    if worker is None:
        return False
    while worker._waiting and worker.is_alive():
        worker.join(0.001)
    return worker.is_alive()


def test_where_nobody_looks_there_is_no_encoder_and_no_thread() -> None:
    feed, film, before = LiveFeed(), Film(), live_threads()
    with LiveSink("front", feed, encoder=QUICK) as live:
        for _ in range(5):
            live.write(film.frame())
        assert live._worker is None
        assert live_threads() == before
        watcher = Watcher(feed)
        live.write(film.frame())
        worker = live._worker
        assert worker is not None
        watcher.leave()
        worker.join(10)
        assert not worker.is_alive()
        assert worker.fault is None


def test_what_the_encoder_has_no_time_for_is_left_out_and_counted() -> None:
    feed, film = LiveFeed(), Film()
    worker = LiveEncoderWorker("front", None, feed)  # type: ignore[arg-type]  # it never runs
    left_out = [worker.offer(film.frame()) for _ in range(DEPTH + 3)]
    assert left_out == [0] * DEPTH + [1] * 3


def test_an_encoder_that_does_not_work_is_told() -> None:
    feed, film = LiveFeed(), Film()
    watcher = Watcher(feed)
    with LiveSink("front", feed, encoder=EncoderOptions(codec="h264_v4l2m2m")) as live:
        live.write(film.frame())
        worker = live._worker
        assert worker is not None
        worker.join(10)
        with pytest.raises(SinkError, match=r"live video: no H.264 encoder works"):
            live.write(film.frame())
        live.write(film.frame())  # opened again, it tries again
    assert watcher.numbers() == []


def test_the_newest_frame_is_at_hand_until_the_end() -> None:
    newest, film = NewestFrame(), Film()
    with NewestSink(newest) as sink:
        assert newest.get() is None
        frames = [film.frame() for _ in range(3)]
        for frame in frames:
            sink.write(frame)
            assert newest.get() is frame
    assert newest.get() is None
