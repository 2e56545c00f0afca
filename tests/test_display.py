"""The display: the newest frame on a screen, whatever the screen does."""

from __future__ import annotations

import itertools
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_screen import FakeScreen
from sink_stories import annotated

from edgecam.app import App, build
from edgecam.cameras.synthetic import SyntheticCamera
from edgecam.clock import SystemClock
from edgecam.config import Config
from edgecam.errors import InputError, SinkError
from edgecam.events import EventRules
from edgecam.pipeline import Pipeline, PipelineParts
from edgecam.ports import Camera
from edgecam.sinks.display import Display, DisplaySink
from edgecam.sinks.display_view import View
from edgecam.sinks.display_worker import DisplayWorker
from edgecam.sinks.screen import create
from edgecam.testing import ManualClock, RecordingSink, ScriptedCamera, ScriptedDetector, make_frame
from edgecam.tracker import Tracker

LIMIT = 60.0
"""Seconds after which something that should happen at once has not."""


class OnThisThread:
    """A display's worker whose turns the test takes, a screen, a camera that has a frame, and a clock that stands."""

    def __init__(self, screen: FakeScreen, fps: float = 1000.0) -> None:
        self.screen = screen
        self.clock = ManualClock()
        self.quits = 0
        self.view = View(["front"])
        self.worker = DisplayWorker(screen, self.view, self.clock, self._quit, fps)
        self.offer(0)

    def _quit(self) -> None:
        self.quits += 1

    def offer(self, sequence: int) -> None:
        self.view.seats[0].offer(annotated(sequence), self.clock.monotonic())
        self.worker.look()

    def show(self, *sequences: int) -> list[int]:
        """Offer frames, take a turn; returns the first pixel of each picture that has been shown so far."""
        for sequence in sequences:
            self.offer(sequence)
        self.clock.advance(0.001)
        self.worker.step()
        return [int(picture[0, 0]) for picture in self.screen.pictures]


def pixel(sequence: int) -> int:
    return int(annotated(sequence).image[0, 0])


class TestTurns:
    def test_the_newest_frame_is_shown(self) -> None:
        display = OnThisThread(FakeScreen())
        assert display.show() == []
        assert display.show(1, 2, 3) == [pixel(3)]
        assert display.show() == [pixel(3)]
        assert display.show(4) == [pixel(3), pixel(4)]
        assert display.view.seats[0].shown == 2
        assert display.worker.state == "showing 640x480 on a fake"

    def test_a_screen_that_is_not_there_is_tried_again_and_said_once(self, caplog: pytest.LogCaptureFixture) -> None:
        display = OnThisThread(FakeScreen(refuse=["no monitor", "no monitor", "another program owns the display"]))
        with caplog.at_level(logging.INFO, "edgecam.sinks.display"):
            for wait, state in (
                (0.0, "no monitor"),
                (0.999, "no monitor"),
                (1.999, "another program owns the display"),
                (3.999, "showing 640x480 on a fake"),
            ):
                display.clock.advance(wait)
                display.show(0)
                assert display.worker.state == state
        assert [record.getMessage() for record in caplog.records] == [
            "display: no monitor",
            "display: another program owns the display",
            "display: back after 7.0 s: showing 640x480 on a fake",
        ]
        assert display.show() == [pixel(0)]

    def test_between_two_tries_it_waits(self) -> None:
        display = OnThisThread(FakeScreen(refuse=["no monitor"]))
        display.show()
        display.worker.stopping.set()
        display.show()
        assert display.screen.opened == 0
        display.clock.advance(1.0)
        display.show()
        assert display.screen.opened == 1

    def test_a_screen_that_is_lost_is_given_back_and_opened_again(self) -> None:
        display = OnThisThread(FakeScreen(fail=["the monitor was pulled"]))
        display.show()
        assert display.show(1) == []
        assert display.worker.state == "the monitor was pulled"
        assert (display.screen.opened, display.screen.closed) == (1, 1)
        display.clock.advance(1.0)
        display.show()
        assert display.show() == [pixel(1)]
        assert display.show(2) == [pixel(1), pixel(2)]

    def test_q_asks_to_quit(self) -> None:
        display = OnThisThread(FakeScreen())
        display.show()
        display.screen.pressed = ["q"]
        display.show()
        display.show()
        assert display.quits == 1

    def test_space_freezes_the_picture_and_the_next_one_goes_on_with_the_newest(self) -> None:
        display = OnThisThread(FakeScreen())
        display.show()
        display.screen.pressed = ["space"]
        assert display.show(1) == [pixel(1)]
        assert display.show(2) == [pixel(1)]
        assert display.show(3) == [pixel(1)]
        display.screen.pressed = ["space"]
        display.show()
        assert display.show() == [pixel(1), pixel(3)]

    def test_what_is_offered_faster_than_the_screen_is_to_be_drawn_is_drawn_at_its_pace(self) -> None:
        display = OnThisThread(FakeScreen(), fps=10.0)
        display.worker.interval = 0.1
        display.show()
        moments = []
        for sequence in range(1, 1001):  # a frame each millisecond
            before = len(display.screen.pictures)
            display.worker.stopping.set()  # wait for nothing
            display.show(sequence)
            if len(display.screen.pictures) > before:
                moments.append(display.clock.monotonic())
        assert len(moments) == pytest.approx(10, abs=1)
        assert all(later - earlier > 0.045 for earlier, later in itertools.pairwise(moments))

    @pytest.mark.parametrize("jitter", [0.0, 0.012])
    def test_a_camera_as_fast_as_the_screen_loses_no_frame(self, jitter: float) -> None:
        display = OnThisThread(FakeScreen(), fps=30.0)
        display.worker.stopping.set()
        display.show()
        display.show()
        begin = display.clock.monotonic()
        for number in range(1, 101):
            at = begin + number / 30 + jitter * (-1) ** number
            display.clock.advance(at - display.clock.monotonic())
            display.show(number)
        assert display.view.seats[0].shown == 101

    def test_a_silent_camera_is_noted_once_a_second(self) -> None:
        display = OnThisThread(FakeScreen())
        display.show()
        assert display.show() == [pixel(0)]
        display.clock.advance(6.0)
        for _ in range(3):
            display.show()
        assert len(display.screen.pictures) == 2
        display.clock.advance(1.0)
        display.show()
        assert len(display.screen.pictures) == 3
        assert display.show(7)[-1] == pixel(7)
        assert display.view.seats[0].shown == 2


class TestSink:
    def test_every_frame_is_shown_or_skipped_and_the_screen_has_one_thread(self) -> None:
        screen = FakeScreen()
        display = Display(screen, SystemClock(), ["front"])
        sink = display.sink("front")
        for _ in range(2):
            with sink:
                for sequence in range(50):
                    sink.write(annotated(sequence))
        assert display.shown + display.skipped == 100
        assert screen.threads <= {"display"}
        assert not screen.is_open

    def test_it_is_summed_up(self) -> None:
        display = Display(FakeScreen(refuse=["no monitor"] * 9), ManualClock(), ["front"])
        assert display.summary() == {"state": "not opened", "shown": 0, "skipped": 0}
        with display.sink("front") as sink:
            sink.write(annotated(0))
        assert display.summary()["skipped"] == 1

    def test_what_it_is_not_opened_for_is_refused(self) -> None:
        with pytest.raises(SinkError, match="display: not open"):
            Display(FakeScreen(), ManualClock(), ["front"]).sink("front").write(annotated(0))

    def test_a_fault_of_ours_is_reported_and_stops_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        class Broken(FakeScreen):
            def keys(self) -> list[str]:
                raise ZeroDivisionError("a bug")

        display = Display(Broken(), SystemClock(), ["front"])
        with display.sink("front") as sink:
            assert display._worker is not None
            display._worker.join(LIMIT)
            sink.write(annotated(0))
            assert display.state == "failed: a bug"
        assert "display failed" in caplog.text


class TestSeveralCameras:
    def test_the_screen_is_kept_until_the_last_camera_has_left(self) -> None:
        screen = FakeScreen()
        display = Display(screen, SystemClock(), ["front", "back"])
        front, back = display.sink("front"), display.sink("back")
        for _ in range(2):
            front.open()
            back.open()
            front.close()
            assert display._worker is not None
            assert not display._worker.stopping.is_set()
            while screen.is_open is False:
                display._worker.join(0.01)
            back.close()
            back.close()
            assert not screen.is_open
        assert screen.opened == screen.closed == 2

    def test_each_frame_is_shown_or_skipped_and_one_thread_draws(self) -> None:
        screen = FakeScreen()
        cameras = [f"camera-{number}" for number in range(4)]
        display = Display(screen, SystemClock(), cameras)

        def play(camera: str) -> None:
            with display.sink(camera) as sink:
                for sequence in range(200):
                    sink.write(annotated(sequence))

        threads = [threading.Thread(target=play, args=(camera,)) for camera in cameras]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        assert display.shown + display.skipped == 800
        assert screen.threads <= {"display"}
        assert not screen.is_open

    def test_a_hanging_screen_holds_no_camera_up(self, hanging: FakeScreen) -> None:
        display = Display(hanging, SystemClock(), ["front", "back"], close_limit=0.1)
        front, back = display.sink("front"), display.sink("back")
        front.open()
        back.open()
        front.write(annotated(0))
        assert hanging.hanging.wait(LIMIT)
        for sequence in range(100):
            front.write(annotated(sequence))
            back.write(annotated(sequence))
        front.close()  # not the last: it does not wait for the screen
        with pytest.raises(SinkError, match="left behind"):
            back.close()

    def test_what_it_shows_may_be_changed_while_it_runs(self) -> None:
        screen = FakeScreen()
        display = Display(screen, SystemClock(), ["front", "back"])
        with display.sink("back") as sink:
            sink.write(annotated(3))
            display.arrange("single", "back", 1000.0)
            assert display._worker is not None
            while not screen.pictures or screen.pictures[-1].shape != annotated(3).image.shape:
                display._worker.join(0.01)
        assert np.array_equal(screen.pictures[-1], annotated(3).image)
        assert display._worker.interval == pytest.approx(0.001)

    def test_a_camera_that_is_not_the_display_s_is_refused(self) -> None:
        with pytest.raises(KeyError):
            Display(FakeScreen(), SystemClock(), ["front"]).sink("back")


@pytest.fixture
def hanging() -> Iterator[FakeScreen]:
    """A screen that hangs in its first `show` until the test is over."""
    screen = FakeScreen(hangs=True)
    yield screen
    screen.freed.set()


class TestHangingScreen:
    def test_it_is_said_once_and_when_it_is_over(self, hanging: FakeScreen, caplog: pytest.LogCaptureFixture) -> None:
        display = Display(hanging, SystemClock(), ["front"], stuck_after=30.0)
        sink = display.sink("front")
        sink.open()
        worker = display._worker
        assert worker is not None
        sink.write(annotated(0))
        assert hanging.hanging.wait(LIMIT)
        sink.write(annotated(1))
        assert display.state == "showing 640x480 on a fake"
        worker.beat -= 100.0  # as if it had begun so long ago
        sink.write(annotated(2))
        sink.write(annotated(3))
        assert display.state == "stuck: the screen has not answered for 100 s"
        hanging.freed.set()
        while display.shown < 2 or display.state.startswith("stuck"):
            sink.write(annotated(4))
            worker.join(0.01)
        assert display.state == "showing 640x480 on a fake"
        sink.close()
        assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
            "display: stuck: the screen has not answered for 100 s",
            "display: showing 640x480 on a fake",
        ]

    def test_closing_leaves_it_behind_and_says_so(self, hanging: FakeScreen) -> None:
        display = Display(hanging, SystemClock(), ["front"], close_limit=0.1)
        sink = display.sink("front")
        sink.open()
        sink.write(annotated(0))
        assert hanging.hanging.wait(LIMIT)
        with pytest.raises(SinkError, match=r"display is stuck: no sign of life for 0.1 s.*left behind"):
            sink.close()
        sink.close()
        with pytest.raises(SinkError, match="the screen of before still hangs"):
            sink.open()
        hanging.freed.set()
        assert display._worker is not None
        display._worker.join(LIMIT)
        sink.open()
        sink.close()

    def test_the_pipeline_goes_on_and_ends(self, hanging: FakeScreen, caplog: pytest.LogCaptureFixture) -> None:
        camera = ScriptedCamera([make_frame(sequence) for sequence in range(40)], lossless=True)
        others = RecordingSink()
        app = app_with(Display(hanging, SystemClock(), ["front"], close_limit=0.1), camera, others)
        app.run()
        assert len(others.frames) == app.counters()["front"].frames_written == 40
        assert others.closed == 1
        assert "display is stuck" in caplog.text


def app_with(display: Display, camera: Camera, others: RecordingSink) -> App:
    changed = threading.Event()
    parts = PipelineParts(
        name="front",
        camera=camera,
        detector=ScriptedDetector(),
        tracker=Tracker(),
        rules=EventRules("front", clock=ManualClock(), new_id=str),
        sinks=[others, display.sink("front")],
        overlay=None,
        clock=SystemClock(),
    )
    return App([Pipeline(parts, changed.set, output_wait=0.1)], changed, display)


def test_q_ends_the_app_in_good_order() -> None:
    screen = FakeScreen()
    others = RecordingSink()
    camera = SyntheticCamera(size=(64, 48), lores_size=(32, 24), fps=100, clock=SystemClock())
    display = Display(screen, SystemClock(), ["front"])
    app = app_with(display, camera, others)

    def press_once_shown() -> None:
        if display.shown:
            screen.pressed = ["q"]

    app.run(press_once_shown)
    counts = app.counters()["front"]
    assert counts.frames_captured == counts.frames_written + counts.frames_dropped > 0
    assert len(others.frames) == counts.frames_written == display.shown + display.skipped
    assert not screen.is_open


class TestChoice:
    def test_an_unknown_back_end_is_refused(self) -> None:
        with pytest.raises(InputError, match="display 'hologram': give one of auto, window, drm"):
            create("hologram")

    @pytest.mark.parametrize("variable", ["DISPLAY", "WAYLAND_DISPLAY"])
    def test_a_desktop_means_a_window(self, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
        pytest.importorskip("pygame")
        for each in ("DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(each, raising=False)
        monkeypatch.setenv(variable, "one")
        assert type(create()).__name__ == "WindowScreen"

    def test_a_window_without_pygame_is_one_line_at_the_start(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setitem(sys.modules, "pygame", None)
        config = Config.model_validate(
            {
                "data_dir": tmp_path,
                "display": {"enabled": True, "backend": "window"},
                "cameras": {"front": {"type": "synthetic"}},
            }
        )
        with pytest.raises(InputError, match=r"needs pygame.*pip install 'edgecam\[display\]'") as caught:
            build(config, SystemClock())
        assert "\n" not in str(caught.value)

    def test_every_camera_has_its_way_to_the_one_display(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        pytest.importorskip("pygame")
        cameras = {name: {"type": "synthetic"} for name in ("one", "two")}
        config = {"data_dir": tmp_path, "display": {"enabled": True, "backend": "window"}, "cameras": cameras}
        app = build(Config.model_validate(config), SystemClock())
        assert app.display is not None
        for pipeline in app.pipelines:
            (sink,) = (sink for sink in pipeline.sinks if isinstance(sink, DisplaySink))
            assert sink._seat is app.display.seat(pipeline.name)
