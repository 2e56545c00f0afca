"""The monitor without a desktop: what is shown where, what goes wrong and how it is told, what is given back."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from fake_card import CONSOLE, Monitor, as_shown, mode
from hypothesis import given
from hypothesis import strategies as st
from made_videos import numbered_picture

from edgecam.errors import SinkError
from edgecam.sinks import drm
from edgecam.sinks.drm import DrmScreen
from edgecam.sinks.drm_card import Rect
from edgecam.sinks.drm_scanout import letterbox
from edgecam.testing import ManualClock

SIZE = (64, 48)


@pytest.fixture
def monitor() -> Monitor:
    return Monitor()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def screen(monitor: Monitor, clock: ManualClock) -> DrmScreen:
    return screen_on(monitor, clock)


def screen_on(monitor: Monitor, clock: ManualClock, card: str = "", connector: str = "") -> DrmScreen:
    screen = DrmScreen(card, connector)
    screen.card_at, screen.now, screen.paths = monitor.card_at, clock.monotonic, lambda: [Path("/dev/dri/card0")]
    return screen


def show(screen: DrmScreen, number: int, size: tuple[int, int] = SIZE) -> None:
    screen.show(numbered_picture(number, size), *size)


def test_pictures_are_shown_as_they_are(screen: DrmScreen, monitor: Monitor) -> None:
    assert screen.open() == "64x48 on HDMI-A-1"
    for number in range(5):
        show(screen, number)
        np.testing.assert_array_equal(monitor.screen()[:, :, :3], as_shown(numbered_picture(number)))
    assert (monitor.flipped, monitor.dirty, len(monitor.buffers)) == (5, 0, 2)


def test_the_shown_buffer_is_never_drawn_on(screen: DrmScreen, monitor: Monitor) -> None:
    screen.open()
    show(screen, 1)
    before, shown = monitor.shown, monitor.screen().copy()
    show(screen, 2)
    np.testing.assert_array_equal(monitor.buffers[before].planes[0], shown)


@pytest.mark.parametrize("size", [(32, 24), (128, 96)])
def test_pictures_of_another_size_fill_the_screen(screen: DrmScreen, monitor: Monitor, size: tuple[int, int]) -> None:
    screen.open()
    show(screen, 3, size)
    middle = monitor.screen()[40, 50, :3].astype(int)
    assert abs(middle - as_shown(numbered_picture(3))[40, 50]).max() <= 1


def test_bars_stay_black(monitor: Monitor, clock: ManualClock) -> None:
    monitor.modes = (mode(80, 48, preferred=True),)
    screen = screen_on(monitor, clock)
    screen.open()
    show(screen, 5)
    shown = monitor.screen()
    assert not shown[:, :8].any()
    assert not shown[:, 72:].any()
    np.testing.assert_array_equal(shown[:, 8:72, :3], as_shown(numbered_picture(5)))


@pytest.mark.parametrize("size", [(64, 24), (24, 48)])
def test_nothing_is_left_of_a_picture_of_another_shape(
    screen: DrmScreen, monitor: Monitor, size: tuple[int, int]
) -> None:
    screen.open()
    for _ in range(2):
        show(screen, 1)
    for _ in range(2):
        show(screen, 2, size)
        left, top = (SIZE[0] - size[0]) // 2, (SIZE[1] - size[1]) // 2
        bars = monitor.screen()[:, :, :3].copy()
        bars[top : top + size[1], left : left + size[0]] = 0
        assert not bars.any()


def test_it_has_the_size_of_its_mode(screen: DrmScreen) -> None:
    with pytest.raises(SinkError, match="not open"):
        _ = screen.size
    screen.open()
    assert screen.size == SIZE


@given(*[st.integers(8, 4000).map(lambda half: half * 2)] * 2, *[st.integers(16, 8000)] * 2)
def test_a_letterbox_fits_and_keeps_the_shape(width: int, height: int, wide: int, high: int) -> None:
    rect = letterbox((width, height), (wide, high))
    assert not any(value % 2 for value in rect)
    assert rect.x >= 0
    assert rect.y >= 0
    assert rect.x + rect.width <= wide
    assert rect.y + rect.height <= high
    assert wide - rect.width <= 1 or high - rect.height <= 1
    assert abs(rect.width * height - rect.height * width) <= 3 * max(width, height)


def test_a_driver_that_cannot_flip_gets_its_one_buffer_redrawn(screen: DrmScreen, monitor: Monitor) -> None:
    monitor.trouble = {"flip": errno.EINVAL}
    screen.open()
    for number in range(4):
        show(screen, number)
        np.testing.assert_array_equal(monitor.screen()[:, :, :3], as_shown(numbered_picture(number)))
    assert (monitor.flipped, monitor.dirty) == (0, 3)
    monitor.trouble = {"dirty": errno.ENOSYS}
    show(screen, 4)
    np.testing.assert_array_equal(monitor.screen()[:, :, :3], as_shown(numbered_picture(4)))


def test_a_plane_that_takes_yuv_gets_the_picture_as_it_is(screen: DrmScreen, monitor: Monitor) -> None:
    monitor.overlays, monitor.modes = (51,), (mode(128, 96),)
    screen.open()
    for number in range(3):
        show(screen, number)
        assert monitor.plane is not None
        framebuffer, rect = monitor.plane
        assert rect == Rect(0, 0, 128, 96)
        flat = np.concatenate([plane.reshape(-1) for plane in monitor.buffers[framebuffer].planes])
        np.testing.assert_array_equal(flat, numbered_picture(number).reshape(-1))
    assert monitor.preferences == {"COLOR_ENCODING": "ITU-R BT.601 YCbCr", "COLOR_RANGE": "YCbCr limited range"}
    assert not monitor.screen().any()
    show(screen, 1, (32, 24))
    assert len(monitor.buffers) == 3
    screen.close()
    assert (monitor.plane, monitor.buffers) == (None, {})


def test_a_plane_that_cannot_scale_is_left_alone_for_good(screen: DrmScreen, monitor: Monitor) -> None:
    monitor.overlays, monitor.modes = (51,), (mode(128, 96),)
    monitor.trouble = {"set_plane": errno.ERANGE}
    for _ in range(2):
        screen.open()
        show(screen, 3)
        assert (monitor.plane, len(monitor.buffers)) == (None, 2)
        assert monitor.screen()[80, 100].any()
        monitor.trouble = {}


def test_the_monitor_shows_at_the_end_what_it_showed_before(screen: DrmScreen, monitor: Monitor) -> None:
    screen.open()
    show(screen, 1)
    assert monitor.shown != CONSOLE
    screen.close()
    screen.close()
    assert (monitor.shown, monitor.buffers, monitor.open_files) == (CONSOLE, {}, 0)
    with pytest.raises(SinkError, match="not open"):
        show(screen, 2)


def test_a_monitor_may_be_pulled_and_come_back(screen: DrmScreen, monitor: Monitor, clock: ManualClock) -> None:
    screen.open()
    show(screen, 1)
    monitor.connected = False
    show(screen, 2)
    clock.advance(1.5)
    with pytest.raises(SinkError, match=r"^no monitor on HDMI-A-1$"):
        show(screen, 3)
    screen.close()
    with pytest.raises(SinkError, match=r"^no monitor on HDMI-A-1$"):
        screen.open()
    assert monitor.open_files == 0
    monitor.connected, monitor.modes = True, (mode(128, 96, preferred=True),)
    assert screen.open() == "128x96 on HDMI-A-1"
    show(screen, 4)


def test_a_display_that_takes_no_more_pictures_is_lost(screen: DrmScreen, monitor: Monitor) -> None:
    screen.open()
    show(screen, 1)
    monitor.flips_done = False
    with pytest.raises(SinkError, match="takes no pictures"):
        show(screen, 2)
    screen.close()
    assert monitor.buffers == {}


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"open": errno.EACCES}, "no permission on /dev/dri/card0: add this user to the group video"),
        ({"open": errno.ENOENT}, "No such file or directory"),
        ({"connectors": errno.EOPNOTSUPP}, "Operation not supported"),
        ({"take": errno.EACCES}, "another program owns the display: stop the desktop"),
        ({"take": errno.EBUSY}, "another program owns the display"),
        ({"set_mode": errno.EACCES}, "another program owns the display"),
        ({"create": errno.ENOMEM}, "Cannot allocate memory"),
    ],
)
def test_what_goes_wrong_is_told_and_leaves_nothing(
    screen: DrmScreen, monitor: Monitor, trouble: dict[str, int], words: str
) -> None:
    monitor.trouble = trouble
    with pytest.raises(SinkError) as caught:
        screen.open()
    assert str(caught.value).startswith(words)
    assert (monitor.buffers, monitor.open_files, monitor.shown) == ({}, 0, CONSOLE)


def test_a_lost_master_is_told(screen: DrmScreen, monitor: Monitor) -> None:
    screen.open()
    monitor.trouble = {"flip": errno.EACCES}
    with pytest.raises(SinkError, match="another program owns the display"):
        show(screen, 1)


def test_the_named_connector_is_taken_and_no_other(monitor: Monitor, clock: ManualClock) -> None:
    assert screen_on(monitor, clock, connector="HDMI-A-1").open() == "64x48 on HDMI-A-1"
    with pytest.raises(SinkError, match="no connector DSI-1: there is HDMI-A-1"):
        screen_on(monitor, clock, connector="DSI-1").open()


def test_no_graphics_card(screen: DrmScreen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drm, "DEVICES", tmp_path)
    screen.paths = drm.cards
    with pytest.raises(SinkError, match="no graphics card: /dev/dri has none"):
        screen.open()


def test_a_card_without_a_display_is_passed_over(screen: DrmScreen, monitor: Monitor) -> None:
    """As on a Raspberry Pi 4, where card0 may be the 3D part."""
    blind = Monitor(trouble={"connectors": errno.EOPNOTSUPP})
    screen.paths = lambda: [Path("/dev/dri/card0"), Path("/dev/dri/card1")]
    screen.card_at = lambda path: (blind if path.name == "card0" else monitor).card_at(path)
    assert screen.open() == "64x48 on HDMI-A-1"
    assert blind.open_files == 0


def test_there_are_no_keys(screen: DrmScreen) -> None:
    assert screen.keys() == []
