"""The display: the newest frame on a screen, whatever the screen does."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

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
from edgecam.sinks.display import DisplaySink, DisplayWorker
from edgecam.sinks.screen import create
from edgecam.testing import ManualClock, RecordingSink, ScriptedCamera, ScriptedDetector, make_frame
from edgecam.tracker import Tracker

LIMIT = 60.0
"""Seconds after which something that should happen at once has not."""


class OnThisThread:
    """A display's worker whose turns the test takes, a screen, and a clock that stands still."""

    def __init__(self, screen: FakeScreen) -> None:
        self.screen = screen
        self.clock = ManualClock()
        self.quits = 0
        self.worker = DisplayWorker(screen, self.clock, self._quit)

    def _quit(self) -> None:
        self.quits += 1

    def show(self, *sequences: int) -> list[int]:
        """Offer frames, take a turn; returns the first pixel of each picture that has been shown so far."""
        for sequence in sequences:
            self.worker.offer(annotated(sequence))
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
        assert display.worker.shown == 2
        assert display.worker.state == "showing 640x480 on a fake"

    def test_a_screen_that_is_not_there_is_tried_again_and_said_once(self, caplog: pytest.LogCaptureFixture) -> None:
        display = OnThisThread(FakeScreen(refuse=["no monitor", "no monitor", "another program owns the display"]))
        with caplog.at_level(logging.INFO, "edgecam.sinks.display"):
            for wait, state in (
                (0.0, "no monitor"),
                (1.0, "no monitor"),
                (2.0, "another program owns the display"),
                (4.0, "showing 640x480 on a fake"),
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
        display.show(2)
        assert display.show() == [pixel(2)]

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


class TestSink:
    def test_every_frame_is_shown_or_skipped_and_the_screen_has_one_thread(self) -> None:
        screen = FakeScreen()
        sink = DisplaySink(screen, SystemClock())
        for _ in range(2):
            with sink:
                for sequence in range(50):
                    sink.write(annotated(sequence))
        assert sink.shown == len(screen.pictures)
        assert sink.shown + sink.skipped == 100
        assert screen.threads <= {"display"}
        assert not screen.is_open

    def test_it_is_summed_up(self) -> None:
        sink = DisplaySink(FakeScreen(refuse=["no monitor"] * 9), ManualClock())
        assert sink.summary() == {"state": "not opened", "shown": 0, "skipped": 0}
        with sink:
            sink.write(annotated(0))
        assert sink.summary()["skipped"] == 1

    def test_what_it_is_not_opened_for_is_refused(self) -> None:
        with pytest.raises(SinkError, match="display: not open"):
            DisplaySink(FakeScreen(), ManualClock()).write(annotated(0))

    def test_a_fault_of_ours_is_reported_and_stops_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        class Broken(FakeScreen):
            def keys(self) -> list[str]:
                raise ZeroDivisionError("a bug")

        sink = DisplaySink(Broken(), SystemClock())
        with sink:
            assert sink._worker is not None
            sink._worker.join(LIMIT)
            sink.write(annotated(0))
            assert sink.state == "failed: a bug"
        assert "display failed" in caplog.text


@pytest.fixture
def hanging() -> Iterator[FakeScreen]:
    """A screen that hangs in its first `show` until the test is over."""
    screen = FakeScreen(hangs=True)
    yield screen
    screen.freed.set()


class TestHangingScreen:
    def test_it_is_said_once_and_when_it_is_over(self, hanging: FakeScreen, caplog: pytest.LogCaptureFixture) -> None:
        sink = DisplaySink(hanging, SystemClock(), stuck_after=30.0)
        sink.open()
        worker = sink._worker
        assert worker is not None
        sink.write(annotated(0))
        assert hanging.hanging.wait(LIMIT)
        sink.write(annotated(1))
        assert sink.state == "showing 640x480 on a fake"
        worker.beat -= 100.0  # as if it had begun so long ago
        sink.write(annotated(2))
        sink.write(annotated(3))
        assert sink.state == "stuck: the screen has not answered for 100 s"
        hanging.freed.set()
        while sink.shown < 2:
            sink.write(annotated(4))
            worker.join(0.01)
        assert sink.state == "showing 640x480 on a fake"
        sink.close()
        assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
            "display: stuck: the screen has not answered for 100 s",
            "display: showing 640x480 on a fake",
        ]

    def test_closing_leaves_it_behind_and_says_so(self, hanging: FakeScreen) -> None:
        sink = DisplaySink(hanging, SystemClock(), close_limit=0.1)
        sink.open()
        sink.write(annotated(0))
        assert hanging.hanging.wait(LIMIT)
        with pytest.raises(SinkError, match=r"display is stuck: no sign of life for 0.1 s.*left behind"):
            sink.close()
        sink.close()
        with pytest.raises(SinkError, match="the screen of before still hangs"):
            sink.open()
        hanging.freed.set()
        assert sink._worker is not None
        sink._worker.join(LIMIT)
        sink.open()
        sink.close()

    def test_the_pipeline_goes_on_and_ends(self, hanging: FakeScreen, caplog: pytest.LogCaptureFixture) -> None:
        camera = ScriptedCamera([make_frame(sequence) for sequence in range(40)], lossless=True)
        others = RecordingSink()
        app = app_with(DisplaySink(hanging, SystemClock(), close_limit=0.1), camera, others)
        app.run()
        assert len(others.frames) == app.counters()["front"].frames_written == 40
        assert others.closed == 1
        assert "display is stuck" in caplog.text


def app_with(display: DisplaySink, camera: Camera, others: RecordingSink) -> App:
    changed = threading.Event()
    parts = PipelineParts(
        name="front",
        camera=camera,
        detector=ScriptedDetector(),
        tracker=Tracker(),
        rules=EventRules("front", clock=ManualClock(), new_id=str),
        sinks=[others, display],
        overlay=None,
        clock=SystemClock(),
    )
    return App([Pipeline(parts, changed.set, output_wait=0.1)], changed, display)


def test_q_ends_the_app_in_good_order() -> None:
    screen = FakeScreen()
    others = RecordingSink()
    camera = SyntheticCamera(size=(64, 48), lores_size=(32, 24), fps=100, clock=SystemClock())
    display = DisplaySink(screen, SystemClock())
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

    def test_of_several_cameras_the_first_is_shown(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        pytest.importorskip("pygame")
        cameras = {name: {"type": "synthetic"} for name in ("one", "two")}
        config = {"data_dir": tmp_path, "display": {"enabled": True, "backend": "window"}, "cameras": cameras}
        app = build(Config.model_validate(config), SystemClock())
        shown = [outlet.name for outlet in app.pipelines[0].output.outlets]
        assert shown[-1] == "DisplaySink"
        assert "DisplaySink" not in [outlet.name for outlet in app.pipelines[1].output.outlets]
        assert app.display is not None
