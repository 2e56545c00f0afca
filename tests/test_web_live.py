"""Live pictures through a real server: what a viewer gets, who may look, and who is sent away."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="no web server: install edgecam[web]")
pytest.importorskip("httpx", reason="no HTTP client for tests: install edgecam[test]")

import cv2
import httpx
import numpy as np
from clip_recording import START, Film, Recorder, number_in
from live_viewing import decoded, packet, stream
from numpy.typing import NDArray
from web_house import LIMIT, House, made_premises, running
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from edgecam.config import Config
from edgecam.live_feed import LiveFeed, Piece
from edgecam.newest import NewestFrame
from edgecam.sinks.newest import NewestSink
from edgecam.switches import Switches
from edgecam.web import door
from edgecam.web.live import video
from edgecam.web.live.bell import FEW, LINGER, Bell
from edgecam.web.live.muxing import Muxer, codecs
from edgecam.web.live.pictures import FORMS, Form, Pictures
from edgecam.web.live.still import until_next
from edgecam.web.premises import CameraAccess, Premises

pytestmark = pytest.mark.any_runtime


class FilmedCamera:
    """A camera that shows a film, recorded with a pre-roll, and the premises that know it."""

    def __init__(self, folder: Path, size: tuple[int, int] = (160, 96), **web: Any) -> None:
        self.feed, self.newest = LiveFeed(), NewestFrame()
        self.recorder = Recorder(folder, Film(size=size), live=self.feed)
        self._sink = NewestSink(self.newest)
        plain = made_premises(folder, **web)
        marks = Config.model_validate({"cameras": {"front": {"type": "synthetic"}}}).cameras["front"]
        access = CameraAccess("front", Switches(), self.newest, self.feed, ("dog",), marks)
        self.premises: Premises = replace(plain, cameras={"front": access})

    def run(self, frames: int) -> None:
        """So many frames more."""
        for _ in range(frames):
            annotated = self.recorder.film.frame()
            self._sink.write(annotated)
            self.recorder.sink.write(annotated)


@contextmanager
def filmed(folder: Path, **options: Any) -> Iterator[tuple[FilmedCamera, House]]:
    """Such a camera at work, and a server."""
    camera = FilmedCamera(folder, **options)
    with camera.recorder.sink, running(camera.premises) as house:
        yield camera, house


def watching(house: House, camera: str = "front") -> ClientConnection:
    return connect(f"ws://127.0.0.1:{house.port}/live/{camera}", compression=None, open_timeout=LIMIT, max_size=None)


class Seen:
    """A viewer and all that was sent to it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.messages: list[Any] = []

    def until(self, number: int) -> list[Any]:
        """The pictures that have come, once this one of the film is among them."""
        while True:
            shown = decoded(self.messages) if len(self.messages) > 2 else []
            if shown and number_in(shown[-1]) >= number:
                return shown
            message = self.connection.recv(LIMIT)
            self.messages.append(json.loads(message) if isinstance(message, str) else message)


def test_a_viewer_is_told_what_comes_and_then_gets_the_video_from_a_keyframe_on(tmp_path: Path) -> None:
    with filmed(tmp_path) as (camera, house), ExitStack() as stack:
        camera.run(50)
        viewer = Seen(stack.enter_context(watching(house)))
        viewer.until(48)
        camera.run(10)
        shown = viewer.until(58)
    first, header, *fragments = viewer.messages
    assert (first["width"], first["height"]) == (160, 96)
    assert first["codecs"].startswith("avc1.")
    assert header[4:8] == b"ftyp"
    assert all(fragment[4:8] == b"moof" for fragment in fragments)
    assert [number_in(frame) for frame in shown] == list(range(30, 59))
    assert shown[0].time == 0
    assert np.allclose(np.diff([frame.time for frame in shown]), 1 / 30, atol=1e-4)


def test_all_viewers_see_the_same_and_one_that_leaves_is_nobody_elses_business(tmp_path: Path) -> None:
    with filmed(tmp_path) as (camera, house), ExitStack() as stack:
        camera.run(10)
        viewers = [Seen(stack.enter_context(watching(house))) for _ in range(10)]
        for viewer in viewers:
            viewer.until(8)
        viewers.pop().connection.close()
        camera.run(10)
        for viewer in viewers:
            assert [number_in(frame) for frame in viewer.until(18)] == list(range(19))
        for viewer in viewers:
            viewer.connection.close()
        wait_until_nobody_looks(camera, house)


def wait_until(house: House, happened: Callable[[], bool]) -> None:
    """The server has time to notice something."""
    deadline = monotonic() + LIMIT
    while not happened():
        house.ask("/health")
        assert monotonic() < deadline


def wait_until_nobody_looks(camera: FilmedCamera, house: House) -> None:
    wait_until(house, lambda: not camera.feed.wanted)


def test_a_camera_that_there_is_not(tmp_path: Path) -> None:
    with filmed(tmp_path) as (_camera, house):
        with pytest.raises(InvalidStatus) as refused:
            watching(house, "back")
        assert refused.value.response.status_code == 404
        assert json.loads(refused.value.response.body)["message"] == "camera back: there is none; there are front"
        assert house.ask("/api/back/latest.jpg").status_code == 404
        assert house.ask("/api/back").status_code == 404


def test_there_are_no_more_viewers_than_there_may_be(tmp_path: Path) -> None:
    with filmed(tmp_path, max_viewers=2) as (camera, house), ExitStack() as stack:
        camera.run(10)
        viewers = [Seen(stack.enter_context(watching(house))) for _ in range(2)]
        for viewer in viewers:
            viewer.until(8)
        with pytest.raises(InvalidStatus) as refused:
            watching(house)
        assert refused.value.response.status_code == 503
        assert "raise web.max_viewers" in json.loads(refused.value.response.body)["message"]
        assert house.ask("/api/front").status_code == 503
        for viewer in viewers:
            viewer.connection.close()
        wait_until_nobody_looks(camera, house)
        stack.enter_context(watching(house))


def test_whoever_looks_is_not_taken_for_one_whose_request_does_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "REQUEST_TIMEOUT", 0.5)
    with filmed(tmp_path) as (camera, house), ExitStack() as stack:
        camera.run(10)
        viewer = Seen(stack.enter_context(watching(house)))
        viewer.until(8)
        with house.connect() as silent:  # comes later, and is sent away
            assert silent.recv(1) == b""
        camera.run(10)
        viewer.until(18)


def test_a_viewer_that_talks_without_end_is_sent_away(tmp_path: Path) -> None:
    with filmed(tmp_path) as (camera, house), watching(house) as viewer:
        camera.run(5)
        with pytest.raises(ConnectionClosed) as ended:  # noqa: PT012 -- which of them is refused is open
            for _ in range(300):
                viewer.send("hello")
            while True:
                viewer.recv(LIMIT)
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1008


def test_a_viewer_that_does_not_read_is_dropped_and_the_others_see_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(video, "SEND_TIMEOUT", 1.0)
    caplog.set_level("INFO", "edgecam")
    flood = [packet(START + n / 10, keyframe=n % 10 == 0, size_bytes=100_000) for n in range(300)]
    with filmed(tmp_path) as (camera, house), ExitStack() as stack:
        viewer, source = stack.enter_context(watching(house)), stream()
        stack.enter_context(stalling(house))
        seen = 0
        for number, each in enumerate(flood):
            camera.feed.put(source, [each])
            while seen <= number:
                message = viewer.recv(LIMIT)
                seen += message.count(b"mdat") if isinstance(message, bytes) else 0
            assert camera.feed.bytes <= 8_000_000
        wait_until(house, lambda: "live front: a viewer was too slow" in caplog.text)
        camera.feed.put(source, [packet(START + 40, keyframe=True)])
        assert viewer.recv(LIMIT)


@contextmanager
def stalling(house: House) -> Iterator[socket.socket]:
    """A viewer that never reads."""
    with socket.socket() as viewer:
        viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        viewer.connect(("127.0.0.1", house.port))
        head = [
            "GET /live/front HTTP/1.1",
            f"Host: 127.0.0.1:{house.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
        ]
        head += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        viewer.sendall("\r\n".join([*head, "", ""]).encode())
        assert viewer.recv(12) == b"HTTP/1.1 101"
        yield viewer


def test_the_newest_picture_as_jpeg(tmp_path: Path) -> None:
    with filmed(tmp_path, size=(320, 192)) as (camera, house):
        assert house.ask("/api/front/latest.jpg").status_code == 503
        camera.run(3)
        whole, small, boxed = (
            house.ask("/api/front/latest.jpg", params=params) for params in ({}, {"h": 96, "quality": 30}, {"bbox": 1})
        )
        assert whole.headers["content-type"] == "image/jpeg"
        assert whole.headers["cache-control"] == "no-store"
        assert image_of(whole.content).shape == (192, 320, 3)
        assert image_of(small.content).shape == (96, 160, 3)
        assert len(small.content) < len(whole.content)
        assert image_of(boxed.content)[2:6, 10:14].mean() > 200  # the film marks its number on the drawn picture
        assert image_of(whole.content)[2:6, 10:14].mean() < 200
        for wrong in ({"h": 0}, {"quality": 101}, {"bbox": "maybe"}):
            assert house.ask("/api/front/latest.jpg", params=wrong).status_code == 422


def image_of(jpeg: bytes) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def parts_of(response: httpx.Response) -> Iterator[bytes]:
    """The JPEGs of a multipart stream."""
    received = b""
    for chunk in response.iter_raw():
        received += chunk
        while b"\r\n\r\n" in received:
            head, _, rest = received.partition(b"\r\n\r\n")
            length = int(head.rpartition(b"Content-Length: ")[2])
            if len(rest) < length + 2:
                break
            assert head.startswith(b"--edgecam\r\nContent-Type: image/jpeg\r\n")
            yield rest[:length]
            received = rest[length + 2 :]


def test_pictures_one_after_the_other(tmp_path: Path) -> None:
    with filmed(tmp_path) as (camera, house), house.client() as client:
        camera.run(1)
        with client.stream("GET", "/api/front", params={"fps": 30, "bbox": 1, "h": 96}) as response:
            assert response.headers["content-type"] == "multipart/x-mixed-replace;boundary=edgecam"
            parts = parts_of(response)
            for number in range(5):
                assert shown_number(next(parts)) == number
                camera.run(1)


def shown_number(jpeg: bytes) -> int:
    image = image_of(jpeg)
    return sum(int(image[2:6, 8 * bit + 2 : 8 * bit + 6].mean() > 128) << bit for bit in range(16))


def test_pictures_are_made_once_for_all_who_want_them_in_one_size() -> None:
    newest, film = NewestFrame(), Film()

    async def asked() -> None:
        pictures = Pictures(newest, thread)
        form, other = Form(48, boxes=False, quality=70), Form(64, boxes=True, quality=70)
        assert await pictures.get(form, 0.1) is None
        newest.put(film.frame())
        got = await asyncio.gather(*(pictures.get(form, 0.1) for _ in range(40)))
        assert pictures.made == 1
        assert len({id(each) for each in got}) == 1
        await asyncio.gather(*(pictures.get(other, 0.1) for _ in range(40)))
        newest.put(film.frame())  # 33 ms later: what is there is new enough
        assert await pictures.get(form, 0.1) is got[0]
        assert pictures.made == 2
        for _ in range(3):
            newest.put(film.frame())
        later = await pictures.get(form, 0.1)
        assert later is not None
        assert (later.sequence, pictures.made) == (4, 3)
        for height in range(16, 200):
            await pictures.get(Form(height, boxes=False, quality=1), 0.1)
        assert len(pictures._kept) == FORMS

    with ThreadPoolExecutor(1) as thread:
        asyncio.run(asked())


def test_all_who_want_as_many_pictures_want_them_at_the_same_times() -> None:
    starts = [100.0, 100.03, 100.17]
    assert len({round(start + until_next(start, 5.0), 6) for start in starts}) == 1
    assert until_next(100.2, 5.0) == pytest.approx(0.2)


class LoopWithItsOwnTime(asyncio.SelectorEventLoop):
    now = 100.0

    def time(self) -> float:
        return self.now


def test_few_viewers_get_each_picture_at_once_and_many_get_several_together() -> None:
    loop = LoopWithItsOwnTime()

    async def woken(bell: Bell, number: int, later: float = 0.0) -> int:
        """How many of so many are awake, a moment after it was rung and `later` seconds have passed."""
        waiting = [asyncio.create_task(bell.wait()) for _ in range(number)]
        await asyncio.sleep(0)
        bell.ring()
        bell.ring()
        for _ in range(4):
            await asyncio.sleep(0)
            loop.now += later
            later = 0.0
        awake = sum(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        return awake

    async def rung() -> list[int]:
        few, many, both = (Bell(loop) for _ in range(3))
        return [
            *[await woken(few, FEW) for _ in range(2)],
            await woken(many, FEW + 1),
            await woken(both, 20),
            await woken(both, 20, LINGER / 2),
            await woken(many, FEW + 1, LINGER),
        ]

    try:
        assert loop.run_until_complete(rung()) == [FEW, FEW, FEW + 1, 20, 0, FEW + 1]
    finally:
        loop.close()


def test_time_goes_on_without_a_gap_whatever_becomes_of_the_camera() -> None:
    muxer, first, second, third = Muxer(), stream(), stream(), stream((320, 192))
    pieces = [
        Piece(first, packet(50.0, keyframe=True)),
        Piece(first, packet(50.1, keyframe=False)),
        Piece(second, packet(150.0, keyframe=True)),
        Piece(third, packet(20.0, keyframe=True)),
    ]
    told, header, *rest = muxer.messages(pieces)
    assert told == {"codecs": "avc1.64001f", "width": 160, "height": 96}
    assert codecs(first) == "avc1.64001f"
    assert isinstance(header, bytes)
    before, between, again, another, after = rest
    assert again == {"codecs": "avc1.64001f", "width": 320, "height": 192}
    assert isinstance(another, bytes)
    fragments = [message for message in (before, between, after) if isinstance(message, bytes)]
    assert starts_in(b"".join(fragments)) == [0, 9000, 18000, 27000]


def starts_in(data: bytes) -> list[int]:
    """The times at which fragments begin, in ticks."""
    found, at = [], data.find(b"tfdt")
    while at >= 0:
        found.append(int.from_bytes(data[at + 8 : at + 16], "big"))
        at = data.find(b"tfdt", at + 1)
    return found
