from __future__ import annotations

import gc
import mmap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecam.late_picture import LatePicture
from edgecam.picture_pool import KEPT, SIZES, SMALLEST, PicturePool, is_pooled
from edgecam.types import Frame
from edgecam.yuv import blank, i420_from_planes, planes, rgb_from_planes

SHAPE = (360, 320)
assert SHAPE[0] * SHAPE[1] >= SMALLEST


def address(picture: NDArray[np.uint8]) -> int:
    return int(picture.__array_interface__["data"][0])


def root_of(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    while isinstance(picture.base, np.ndarray):
        picture = picture.base
    return picture


def test_what_was_let_go_is_used_again() -> None:
    pool = PicturePool()
    first = pool.empty(SHAPE)
    where = address(first)
    assert (first.shape, first.dtype) == (SHAPE, np.dtype(np.uint8))
    assert first.flags.c_contiguous
    assert first.flags.writeable
    assert address(pool.empty(SHAPE)) != where
    del first
    assert address(pool.empty(SHAPE)) == where
    assert address(pool.empty((SHAPE[1], SHAPE[0]))) == where, "it is the bytes that count"
    assert address(pool.empty((*SHAPE, 2))) != where


@pytest.mark.parametrize(
    "view",
    [
        lambda picture: picture[10:20, ::2],
        lambda picture: planes(picture)[2],
        lambda picture: picture.reshape(-1)[7:].view(),
        memoryview,
        lambda picture: np.frombuffer(picture, np.uint8),
        lambda picture: [picture.T],
    ],
)
def test_a_view_of_any_kind_holds_the_memory(view: object) -> None:
    pool = PicturePool()
    picture = pool.empty(SHAPE)
    where = address(picture)
    held = view(picture)  # type: ignore[operator]
    del picture
    assert address(pool.empty(SHAPE)) != where
    del held
    assert address(pool.empty(SHAPE)) == where


class Story:
    """What some threads do with pictures: each picture keeps the number that was written into it."""

    def __init__(self, pool: PicturePool) -> None:
        self._pool = pool
        self._held: list[tuple[NDArray[np.uint8], int]] = []

    def play(self, steps: list[int]) -> None:
        for number, step in enumerate(steps):
            if step % 3 == 0 and self._held:
                self._held.pop(step % len(self._held))
            else:
                picture = self._pool.empty((SHAPE[0], SHAPE[1] + step % 2))
                picture[...] = number % 256
                self._held.append((picture[step % 9 :], number % 256))
            for picture, content in self._held:
                assert (picture[0, 0], picture[-1, -1]) == (content, content)
        assert len({address(picture) for picture, _ in self._held}) == len(self._held)
        assert all((picture == content).all() for picture, content in self._held)


@given(st.lists(st.integers(0, 1000), max_size=40))
def test_no_two_who_hold_a_picture_share_memory(steps: list[int]) -> None:
    Story(PicturePool()).play(steps)


def test_nor_do_those_of_several_threads() -> None:
    pool = PicturePool()
    rng = np.random.default_rng(0)
    stories = [rng.integers(0, 1000, 300).tolist() for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda steps: Story(pool).play(steps), stories))


def mapped() -> int:
    """Bytes that this process has mapped, of any kind."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * mmap.PAGESIZE


def test_only_a_few_free_ones_are_kept() -> None:
    pool = PicturePool()
    large = (2160 * 3 // 2, 3840)
    before = mapped()
    many = [pool.empty(large) for _ in range(5 * KEPT)]
    assert mapped() - before >= 5 * KEPT * 12_000_000
    many.clear()
    assert mapped() - before <= (KEPT + 1) * 13_000_000


def test_sizes_that_are_no_longer_asked_for_are_forgotten() -> None:
    pool = PicturePool()
    before = mapped()
    for width in range(2000, 2000 + 10 * SIZES):
        pool.empty((3000, width))
    assert mapped() - before <= (SIZES + 2) * 7_000_000


def test_a_small_picture_comes_from_the_heap() -> None:
    picture = PicturePool().empty((72, 64))
    assert picture.base is None
    assert not is_pooled(picture)


def test_it_comes_back_from_a_cycle_and_in_whatever_thread() -> None:
    pool = PicturePool()
    ring: list[object] = [pool.empty(SHAPE)]
    ring.append(ring)
    where = address(ring[0])  # type: ignore[arg-type]
    del ring
    collector = threading.Thread(target=gc.collect)
    collector.start()
    collector.join(30)
    assert address(pool.empty(SHAPE)) == where


def test_it_is_told_from_other_memory() -> None:
    picture = PicturePool().empty(SHAPE)
    assert is_pooled(root_of(picture))
    assert not is_pooled(np.frombuffer(bytearray(SMALLEST), np.uint8))
    assert not is_pooled(np.empty(SHAPE, np.uint8))


def test_the_pictures_of_a_frame_are_of_the_pool() -> None:
    source = tuple(np.full(shape, 90, np.uint8) for shape in ((480, 640), (240, 320), (240, 320)))
    assert len(source) == 3
    late = LatePicture(lambda: i420_from_planes(source, (640, 480)), (640, 480))
    frame = Frame(0, 0.0, late, rgb_from_planes(source, (320, 320)))
    odd = rgb_from_planes(source, (301, 301), bt709=True)
    of_an_array = Frame(0, 0.0, blank((640, 480)), odd)
    pictures = [frame.copy_of_main(), frame.main, frame.copy_of_main(), frame.lores, of_an_array.copy_of_main(), odd]
    assert all(is_pooled(root_of(picture)) for picture in pictures)
    assert all((picture == 90).all() for picture in pictures[:3])
