"""The window, on a real X server without a monitor: the pixels are read back from the server itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from x_server import SIZE, XServer

from edgecam.clock import SystemClock
from edgecam.errors import SinkError
from edgecam.overlay import Overlay, colour_of
from edgecam.sinks import window
from edgecam.sinks.display import Display
from edgecam.sinks.window import WindowScreen
from edgecam.sinks.window_process import picture_size, place
from edgecam.types import AnnotatedFrame, BBox, Frame, Track
from edgecam.yuv import blank, i420_to_rgb, planes

pytest.importorskip("pygame")

LIMIT = 60.0
"""Seconds after which something that should happen at once has not."""
BOX = BBox(0.25, 0.25, 0.5, 0.75)
Image = NDArray[np.uint8]


@pytest.fixture
def x_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[XServer]:
    server = XServer(tmp_path / "x")
    for name in ("WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", server.display)
    yield server
    server.stop()


@pytest.fixture
def screen(x_server: XServer) -> Iterator[WindowScreen]:
    made = WindowScreen(fullscreen=True)
    yield made
    made.close()


def picture(size: tuple[int, int] = (1280, 720), boxes: tuple[BBox, ...] = (BOX,)) -> Image:
    """A grey ramp with persons drawn on it."""
    image = blank(size)
    y, u, v = planes(image)
    y[...] = np.linspace(40, 120, size[0], dtype=np.uint8)
    u[...] = v[...] = 128
    tracks = [Track(n, "person", 0.9, box, 3, 0, BBox(0, 0, 0, 0), confirmed=True) for n, box in enumerate(boxes)]
    Overlay(show_labels=False).draw(image, tracks, None, "")
    return image


def show(screen: WindowScreen, image: Image) -> None:
    screen.show(image, *picture_size(image))


def boxes_seen(pixels: Image) -> BBox:
    """The edges of what has the colour of a person, in pixels."""
    like_it = np.abs(pixels.astype(int) - colour_of("person")).max(axis=2) < 24
    rows, columns = np.flatnonzero(like_it.any(axis=1)), np.flatnonzero(like_it.any(axis=0))
    return BBox(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


def awaited(condition: Callable[[], bool], wait: Callable[[], object]) -> bool:
    end = monotonic() + LIMIT
    while monotonic() < end:
        if condition():
            return True
        wait()
    return False


def press_until(condition: Callable[[list[str]], bool], screen: WindowScreen, server: XServer, key: str) -> list[str]:
    """Press a key until the condition holds for what the window has told; returns that.

    Again and again, because an X server without a desktop gives a window the keyboard when it likes.
    """
    heard: list[str] = []

    def press() -> None:
        server.press(key)
        again = monotonic() + 2.0
        while monotonic() < again and not condition(heard):
            heard.extend(screen.keys())

    assert awaited(lambda: condition(heard), press)
    return heard


def contains(key: str, heard: list[str]) -> bool:
    return key in heard


class TestPixels:
    def test_the_box_is_at_its_place_on_the_whole_screen(self, x_server: XServer, screen: WindowScreen) -> None:
        assert screen.open() == "1920x1080 on x11"
        image = picture()
        show(screen, image)
        expected = cv2.resize(i420_to_rgb(image), SIZE, interpolation=cv2.INTER_LINEAR)
        assert np.abs(x_server.screen.astype(int) - expected).mean() < 1.5
        seen = boxes_seen(x_server.screen)
        wanted = (BOX.xmin * SIZE[0], BOX.ymin * SIZE[1], BOX.xmax * SIZE[0], BOX.ymax * SIZE[1])
        assert seen == pytest.approx(wanted, abs=6)

    def test_each_picture_takes_the_place_of_the_one_before(self, x_server: XServer, screen: WindowScreen) -> None:
        screen.open()
        for xmin in (0.1, 0.3, 0.5):
            show(screen, picture(boxes=(BBox(xmin, 0.2, xmin + 0.2, 0.6),)))
            assert boxes_seen(x_server.screen).xmin == pytest.approx(xmin * SIZE[0], abs=6)

    @pytest.mark.parametrize("size", [(640, 480), (96, 720), (1920, 1080), (3840, 2160), (2, 2), (1280, 100)])
    def test_any_picture_is_as_large_as_fits_between_black_bars(
        self, x_server: XServer, screen: WindowScreen, size: tuple[int, int]
    ) -> None:
        screen.open()
        show(screen, picture((1280, 720)))
        show(screen, picture(size, boxes=()))
        left, top, width, height = place(size, SIZE)
        pixels = x_server.screen
        assert pixels[top : top + height, left : left + width].min() > 15
        black = np.ones(pixels.shape[:2], bool)
        black[top : top + height, left : left + width] = False
        assert not pixels[black].any()

    def test_a_window_has_the_picture_at_its_own_size(self, x_server: XServer) -> None:
        screen = WindowScreen(fullscreen=False)
        try:
            assert screen.open() == "1280x720 on x11"
            image = picture()
            show(screen, image)
            left, top = (SIZE[0] - 1280) // 2, (SIZE[1] - 720) // 2
            assert np.array_equal(x_server.screen[top : top + 720, left : left + 1280], i420_to_rgb(image))
        finally:
            screen.close()
        assert not x_server.screen.any()


class TestKeys:
    def test_they_are_told(self, x_server: XServer, screen: WindowScreen) -> None:
        screen.open()
        show(screen, picture())
        told = {key: key for key in ("q", "space", "1", "9", "0", "g", "n", "p", "left", "right")}
        for key, name in (told | {"keypad 2": "2"}).items():
            assert name in press_until(partial(contains, name), screen, x_server, key)

    def test_f_toggles_the_full_screen_and_keeps_the_picture(self, x_server: XServer, screen: WindowScreen) -> None:
        screen.open()
        show(screen, picture(boxes=(BBox(0.0, 0.0, 1.0, 1.0),)))
        for width in (1280, 1920):
            seen = partial(self.is_seen, x_server, range(width - 12, width + 1))
            assert press_until(seen, screen, x_server, "f") == []

    def is_seen(self, server: XServer, wide: range, _heard: list[str]) -> bool:
        pixels = server.screen
        return bool(pixels.any()) and round(boxes_seen(pixels).width) in wide

    def test_the_size_is_that_of_the_window_as_it_is_now(self, x_server: XServer, screen: WindowScreen) -> None:
        screen.open()
        assert screen.size == SIZE
        show(screen, picture())
        press_until(lambda _heard: screen.size == (1280, 720), screen, x_server, "f")


class TestSeveralCameras:
    """A display with two cameras, chosen at the keyboard."""

    def test_they_are_chosen_by_key(self, x_server: XServer, screen: WindowScreen) -> None:
        display = Display(screen, SystemClock(), ["front", "back"])
        ways_in = {display.sink("front"): plain_frame(80), display.sink("back"): plain_frame(160)}
        dark, bright = 80, 160

        def seen() -> tuple[int, ...]:
            """The luma on the left and on the right, to the next ten."""
            pixels = x_server.screen
            return tuple(10 * round((16 + int(pixels[540, column].max()) * 219 / 255) / 10) for column in (480, 1440))

        def is_seen(expected: tuple[int, int]) -> bool:
            return seen() == expected

        def film() -> None:
            for sink, frame in ways_in.items():
                sink.write(frame)
            signal.sigtimedwait([], 0.05)

        def press(key: str, expected: tuple[int, int]) -> None:
            x_server.press(key)
            again = monotonic() + 2.0  # a window without a desktop gets the keyboard when it gets it
            while monotonic() < again and seen() != expected:
                film()

        with ExitStack() as opened:
            for sink in ways_in:
                opened.enter_context(sink)
            assert awaited(partial(is_seen, (dark, bright)), film)
            for key, expected in (("2", (bright, bright)), ("1", (dark, dark)), ("g", (dark, bright))):
                assert awaited(partial(is_seen, expected), partial(press, key, expected))
        assert display.state == "showing 1920x1080 on x11"


def plain_frame(luma: int) -> AnnotatedFrame:
    main = blank((640, 360))
    for plane, value in zip(planes(main), (luma, 128, 128), strict=True):
        plane[...] = value
    return AnnotatedFrame(Frame(0, 0.0, main, np.zeros((2, 2, 3), np.uint8)), main, (), None)


class TestTrouble:
    def test_without_an_x_server_it_is_a_plain_reason(
        self, monkeypatch: pytest.MonkeyPatch, screen: WindowScreen
    ) -> None:
        monkeypatch.setenv("DISPLAY", ":4999")
        with pytest.raises(SinkError, match=r"no window can be opened: .* \(DISPLAY is :4999\)"):
            screen.open()

    def test_an_x_server_that_goes_takes_the_window_and_nothing_else(
        self, x_server: XServer, screen: WindowScreen, tmp_path: Path
    ) -> None:
        screen.open()
        show(screen, picture())
        x_server.stop()
        with pytest.raises(SinkError, match="the window was lost"):
            show(screen, picture())
        screen.close()
        with pytest.raises(SinkError, match="no window can be opened"):
            screen.open()
        screen.close()
        x_server.process = XServer(tmp_path / "x", x_server.display).process
        assert screen.open() == "1920x1080 on x11"
        show(screen, picture())
        assert boxes_seen(x_server.screen).xmin == pytest.approx(BOX.xmin * SIZE[0], abs=6)

    def test_an_x_server_that_hangs_is_waited_for_only_so_long(
        self, x_server: XServer, screen: WindowScreen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(window, "TURN_TIMEOUT", 0.5)
        screen.open()
        with x_server.frozen(), pytest.raises(SinkError, match=r"does not answer for 0.5 s"):
            show(screen, picture())
        screen.close()
        assert screen.open() == "1920x1080 on x11"

    def test_closed_it_refuses(self, screen: WindowScreen) -> None:
        screen.close()
        for use in (screen.keys, lambda: show(screen, picture())):
            with pytest.raises(SinkError, match="not open"):
                use()


class TestDemo:
    """The product from outside."""

    def start(self, folder: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "edgecam", "-v", "demo", "--display", "--json", "--out", str(folder / "demo")]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0)

    def wait_for_a_person(self, demo: subprocess.Popen[str], server: XServer) -> None:
        def seen() -> bool:
            assert demo.poll() is None, demo.communicate()
            like_it = np.abs(server.screen[::3, ::3].astype(int) - colour_of("person")).max(axis=2) < 24
            return bool(like_it.sum() > 100)

        assert awaited(seen, lambda: signal.sigtimedwait([], 0.2))

    def test_boxes_are_seen_and_q_ends_it_in_good_order(self, x_server: XServer, tmp_path: Path) -> None:
        demo = self.start(tmp_path)
        self.wait_for_a_person(demo, x_server)

        def press_q() -> None:
            x_server.press("q")
            signal.sigtimedwait([], 0.2)

        assert awaited(lambda: demo.poll() is not None, press_q)
        out, err = demo.communicate(timeout=LIMIT)
        assert (demo.returncode, "Traceback" in err) == (0, False), err
        summary = json.loads(out)
        shown = summary.pop("display")
        assert shown["state"] == "showing 1280x720 on x11"
        assert shown["shown"] + shown["skipped"] == summary["frames_written"] < 500
        assert summary["frames_captured"] == summary["frames_written"] + summary["frames_dropped"]
        assert not x_server.screen.any()

    def test_ctrl_c_closes_the_window(self, x_server: XServer, tmp_path: Path) -> None:
        demo = self.start(tmp_path)
        self.wait_for_a_person(demo, x_server)
        os.killpg(demo.pid, signal.SIGINT)
        _, err = demo.communicate(timeout=LIMIT)
        assert (demo.returncode, "Traceback" in err) == (0, False), err
        assert not x_server.screen.any()

    def test_the_window_of_a_killed_edgecam_goes(self, x_server: XServer, tmp_path: Path) -> None:
        demo = self.start(tmp_path)
        self.wait_for_a_person(demo, x_server)
        demo.kill()
        _, err = demo.communicate(timeout=LIMIT)  # ends when the window's process, which has stderr too, has ended
        assert "Traceback" not in err
        assert not x_server.screen.any()


class TestRun:
    def run(self, folder: Path) -> tuple[dict[str, Any], str]:
        """A camera of 50 frames; returns the summary, and what was said."""
        config = folder / "edgecam.toml"
        config.write_text(
            'data_dir = "data"\n[video]\nenabled = false\n[display]\nenabled = true\nbackend = "window"\n'
            '[cameras.front]\ntype = "synthetic"\nsize = [320, 180]\nduration = 2.0\n',
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "edgecam", "run", "-c", str(config), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True)
        return json.loads(done.stdout), done.stderr

    def test_it_shows_what_the_configuration_names(self, x_server: XServer, tmp_path: Path) -> None:
        summary, _ = self.run(tmp_path)
        assert summary["display"]["state"] == "showing 1920x1080 on x11"
        assert summary["display"]["shown"] + summary["display"]["skipped"] == summary["frames_written"] > 0

    def test_of_two_cameras_each_has_its_half(self, x_server: XServer, tmp_path: Path) -> None:
        cameras = "".join(
            f'[cameras.{name}]\ntype = "synthetic"\nsize = [320, 180]\nfps = 10\n' for name in ("front", "back")
        )
        config = tmp_path / "edgecam.toml"
        config.write_text(
            f'data_dir = "data"\n[video]\nenabled = false\n[display]\nenabled = true\nbackend = "window"\n{cameras}',
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "edgecam", "run", "-c", str(config), "--json"]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0)

        def both_seen() -> bool:
            assert running.poll() is None, running.communicate()
            pixels = x_server.screen
            whole = all(pixels[280:800, half : half + 950].min(axis=0).mean() > 10 for half in (0, 960))
            return whole and not pixels[:250].any()

        try:
            assert awaited(both_seen, lambda: signal.sigtimedwait([], 0.2))
        finally:
            os.killpg(running.pid, signal.SIGINT)
            out, err = running.communicate(timeout=LIMIT)
        assert (running.returncode, "Traceback" in err) == (0, False), err
        summary = json.loads(out)
        assert summary["display"]["shown"] + summary["display"]["skipped"] == summary["frames_written"] > 0

    def test_without_an_x_server_all_else_goes_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DISPLAY", ":4999")
        summary, said = self.run(tmp_path)
        assert summary["frames_written"] == summary["display"]["skipped"] > 0
        assert said.count("no window can be opened") == 1


even = st.integers(1, 2000).map(lambda half: 2 * half)


@given(st.tuples(even, even), st.tuples(st.integers(2, 4000), st.integers(2, 4000)))
def test_a_picture_is_placed_whole_in_the_middle_and_as_large_as_it_fits(
    size: tuple[int, int], room: tuple[int, int]
) -> None:
    left, top, width, height = place(size, room)
    assert width % 2 == height % 2 == 0
    assert 0 <= left <= left + width <= room[0]
    assert 0 <= top <= top + height <= room[1]
    assert room[0] - width < 2 or room[1] - height < 2
    assert abs(left - (room[0] - left - width)) <= 1
    scale = min(room[0] / size[0], room[1] / size[1])
    assert abs(width - size[0] * scale) < 2
    assert abs(height - size[1] * scale) < 2
