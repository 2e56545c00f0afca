"""The module `picamera2`: the camera, its requests and their mapped buffers."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from picamera2_fake.libcamera_side import Transform

if TYPE_CHECKING:
    from picamera2_fake.board import Board, Sensor

STRIDE_ALIGNMENT = 64


class CompletedRequest:
    """Held from its completion on; goes back to the camera when all who hold it have released it."""

    def __init__(self, camera: Any, buffers: dict[str, NDArray[np.uint8]], stamp: int | None) -> None:
        self.ref_count = 1
        self.buffers = buffers
        self._camera = camera
        self._stamp = stamp
        camera.board.held += 1

    def acquire(self) -> None:
        if self.ref_count == 0:
            raise RuntimeError("CompletedRequest: acquiring lock with ref_count 0")
        self.ref_count += 1

    def release(self) -> None:
        self.ref_count -= 1
        if self.ref_count < 0:
            raise RuntimeError("CompletedRequest: lock now has negative ref_count")
        if self.ref_count == 0:
            self._camera.board.held -= 1
            for buffer in self.buffers.values():
                buffer[:] = 0xEE
            self._camera.queue()

    def get_metadata(self) -> dict[str, Any]:
        assert self.ref_count > 0, "metadata of a request that was released"
        return {} if self._stamp is None else {"SensorTimestamp": self._stamp, "ExposureTime": 20000}


class MappedArray:
    """A request's buffer, mapped while the request is held."""

    def __init__(self, request: CompletedRequest, stream: str, *, reshape: bool, write: bool) -> None:
        assert not reshape, "the shape that picamera2 makes keeps the padding"
        assert not write, "nobody draws on the camera's buffers"
        assert request.ref_count > 0, "a buffer of a request that was released"
        self._buffer = request.buffers[stream]
        self.array: NDArray[np.uint8] | None = None

    def __enter__(self) -> MappedArray:
        self.array = self._buffer.view()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.array = None


def module(board: Board) -> Any:
    """What `import picamera2` gives."""
    users: dict[int, Any] = {}

    def known() -> list[dict[str, Any]]:
        return [{"Num": n, "Id": s.camera_id, "Model": s.model} for n, s in enumerate(board.sensors)]

    class Picamera2(_Picamera2):
        platform = board.platform
        global_camera_info = staticmethod(known)
        _cm = SimpleNamespace(cameras=users, cleanup=users.pop)

        def __init__(self, camera_num: int) -> None:
            assert camera_num not in users, "picamera2 would mix up the two users of this camera"
            self.board, self.sensor = board, board.sensors[camera_num]
            self.is_open, self.started, self.camera_idx = False, False, camera_num
            self.notifyme_r, self.notifyme_w = os.pipe2(os.O_NONBLOCK)
            self.notifymeread = os.fdopen(self.notifyme_r, "rb")
            board.pipes.append(self.notifymeread)
            users[camera_num] = self
            if self.sensor.fails == "init":
                raise RuntimeError("Camera __init__ sequence did not complete.") from RuntimeError("no tuning file")
            self.sensor.acquire()
            self.is_open = True

    return SimpleNamespace(Picamera2=Picamera2, MappedArray=MappedArray)


class _Picamera2:
    board: Board
    sensor: Sensor
    notifyme_r: int
    notifyme_w: int
    notifymeread: Any
    is_open: bool
    started: bool
    camera_idx: int
    _cm: Any
    platform: Any
    post_callback: Callable[[CompletedRequest], None] | None = None

    @property
    def camera_controls(self) -> dict[str, tuple[Any, Any, Any]]:
        return self.sensor.controls

    @property
    def sensor_modes(self) -> list[dict[str, Any]]:
        return [{"format": "SRGGB10_CSI2P", "size": size, "fps": 30.0, "bit_depth": 10} for size in self.sensor.modes]

    def create_video_configuration(self, **asked: Any) -> dict[str, Any]:
        for name in set(asked["controls"]) - set(self.sensor.controls):
            raise RuntimeError(f"Control {name} is not advertised by libcamera")
        return asked

    def configure(self, configuration: dict[str, Any]) -> None:
        granted = dict(configuration)
        granted["main"] = self._stream(configuration["main"], self.sensor.largest)
        granted["lores"] = configuration["lores"] and self._stream(configuration["lores"], granted["main"]["size"])
        if not self.sensor.flips:
            granted["transform"] = Transform()
        wanted = configuration["sensor"].get("output_size", self.sensor.modes[0])
        granted["sensor"] = {"output_size": min(self.sensor.modes, key=lambda mode: abs(mode[0] - wanted[0]))}
        self.board.configured.append(granted)
        if self.sensor.no_memory:
            raise OSError(12, "Cannot allocate memory")
        self._granted = granted

    def _stream(self, asked: dict[str, Any], largest: tuple[int, int]) -> dict[str, Any]:
        width, height = min(asked["size"][0], largest[0]) // 2 * 2, min(asked["size"][1], largest[1]) // 2 * 2
        form = self.sensor.format if asked["format"] == "YUV420" else asked["format"]
        line = width * 3 if form in {"BGR888", "RGB888"} else width
        stride = -(-line // STRIDE_ALIGNMENT) * STRIDE_ALIGNMENT
        rows = height if line != width else height * 3 // 2
        return {"format": form, "size": (width, height), "stride": stride, "framesize": stride * rows}

    def camera_configuration(self) -> dict[str, Any]:
        return self._granted

    def start(self, show_preview: object) -> None:
        assert show_preview is None, "its own event loop would be a second thread"
        if self.sensor.fails == "start":
            raise RuntimeError("Failed to start camera: Input/output error")
        self.started = True
        self._requests: list[CompletedRequest | None] = []
        for _ in range(self._granted["buffer_count"]):
            self.queue()

    def queue(self) -> None:
        """Take a request; it completes at once unless the sensor is stalled."""
        if not self.started or self.sensor.stalled:
            return
        if self.sensor.fails == "queue":
            raise RuntimeError("Failed to queue request: No such device")
        if self.sensor.startup_frames:
            self.sensor.startup_frames -= 1
            self._requests.append(None)
        else:
            streams = {name: layout for name in ("main", "lores") if (layout := self._granted[name])}
            buffers = {name: self.board.picture(layout, self._granted["transform"]) for name, layout in streams.items()}
            stamp = round(self.board.clock.monotonic() * 1e9) if self.sensor.stamped else None
            self._requests.append(CompletedRequest(self, buffers, stamp))
        os.write(self.notifyme_w, b"\0")

    def process_requests(self, display: object) -> None:
        completed, self._requests = self._requests, []
        for request in completed:
            if request is None:
                self.queue()
                continue
            if self.post_callback:
                self.post_callback(request)
            request.release()

    def stop(self) -> None:
        if self.sensor.stop_hangs is not None:
            assert self.sensor.stop_hangs.wait(60)
        if self.sensor.fails == "stop":
            raise RuntimeError("Failed to stop camera: No such device")
        if self.started:
            self.started = False
            for request in filter(None, self._requests):
                request.release()

    def close(self) -> None:
        if not self.is_open:
            return
        if self.started:
            self.stop()
        self.sensor.release()
        self._cm.cleanup(self.camera_idx)
        self.is_open = False
        self.notifymeread.close()
        os.close(self.notifyme_w)
