"""Lets picamera2 run on libcamera's virtual cameras: importing this module is all it takes.

Those offer no raw stream, lay NV12 out in two planes of one buffer, and deliver as fast as requests come: here they get
the pace of a sensor. The requests that are held are counted. How edgecam and picamera2 handle requests is not touched.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections import deque
from typing import Any

import libcamera
import picamera2.allocators
import picamera2.picamera2
from libcamera import StreamRole

FPS = 30.0

Allocator: Any = picamera2.allocators.DmaAllocator
Camera: Any = libcamera.Camera
Request: Any = picamera2.picamera2.CompletedRequest

_COUNTING = threading.Lock()


class PlaneAllocator(Allocator):
    """picamera2's own allocator, with a plane for luma and one for chroma in each buffer."""

    def allocate(self, libcamera_config: Any, _use_case: Any) -> None:
        self.libcamera_fds: list[int] = []
        self.cleanup()
        for fd in self.open_fds:
            os.close(fd)
        self.frame_buffers: dict[Any, list[Any]] = {}
        self.open_fds: list[int] = []
        for stream in libcamera_config:
            self.frame_buffers[stream.stream] = [self._buffer(stream, i) for i in range(stream.buffer_count)]

    def _buffer(self, stream: Any, number: int) -> Any:
        fd = self.dmaHeap.alloc(f"picamera2-{number}", stream.frame_size).get()
        self.open_fds.append(fd)
        luma = stream.stride * stream.size.height
        planes = []
        for offset, length in ((0, luma), (luma, stream.frame_size - luma)):
            plane = libcamera.FrameBuffer.Plane()
            plane.fd, plane.offset, plane.length = fd, offset, length
            planes.append(plane)
        buffer = libcamera.FrameBuffer(planes)
        own_fd = buffer.planes[0].fd
        self.libcamera_fds.append(own_fd)
        self.mapped_buffers_used[own_fd] = False
        self.mapped_buffers[buffer] = mmap.mmap(fd, stream.frame_size)
        return buffer


class Ledger:
    """How many requests were ever completed, and how many of those were not given back."""

    completed = 0
    held = 0


class CountedRequest(Request):
    """picamera2's own, counted."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        with _COUNTING:
            Ledger.completed += 1
            Ledger.held += 1

    def release(self) -> None:
        """As ever."""
        super().release()
        if self.request is None:
            with _COUNTING:
                Ledger.held -= 1


class Shutter(threading.Thread):
    """Hands a camera's requests to libcamera one at a time, FPS a second, as a sensor fills them."""

    def __init__(self, camera: Any) -> None:
        super().__init__(name="shutter", daemon=True)
        self._camera = camera
        self._requests: deque[Any] = deque()
        self._closed = threading.Event()
        self.fault: Exception | None = None
        self.silent = False

    def queue(self, request: Any) -> None:
        """Fill this request in its turn."""
        if self.fault is not None:
            raise self.fault
        self._requests.append(request)

    def close(self) -> None:
        """End; requests that were not filled are forgotten."""
        self._closed.set()
        self.join()

    def run(self) -> None:
        due = time.monotonic()
        while not self._closed.wait(max(0.0, due - time.monotonic())):
            due = max(due + 1 / FPS, time.monotonic())
            if self._requests and not self.silent:
                try:
                    _queue(self._camera, self._requests.popleft())
                except RuntimeError as error:
                    self.fault = error


_SHUTTERS: dict[str, Shutter] = {}
_start, _stop, _queue, _generate = Camera.start, Camera.stop, Camera.queue_request, Camera.generate_configuration


def _paced_start(camera: Any, *arguments: Any) -> None:
    _start(camera, *arguments)
    _SHUTTERS[camera.id] = Shutter(camera)
    _SHUTTERS[camera.id].start()


def _paced_stop(camera: Any) -> None:
    if shutter := _SHUTTERS.pop(camera.id, None):
        shutter.close()
    _stop(camera)


def _paced_queue(camera: Any, request: Any) -> None:
    _SHUTTERS[camera.id].queue(request)


def _without_raw(camera: Any, roles: list[Any]) -> Any:
    return _generate(camera, [StreamRole.Viewfinder if role == StreamRole.Raw else role for role in roles])


def stop_underneath(camera_id: str) -> None:
    """Stop the camera itself: requests fail, as when its cable is pulled."""
    _stop(libcamera.CameraManager.singleton().get(camera_id))


def fall_silent(camera_id: str) -> None:
    """Deliver no more frames until the camera is started anew, without a fault that anybody could see."""
    _SHUTTERS[camera_id].silent = True


Camera.start, Camera.stop, Camera.queue_request = _paced_start, _paced_stop, _paced_queue
Camera.generate_configuration = _without_raw
picamera2.picamera2.DmaAllocator = PlaneAllocator
picamera2.picamera2.CompletedRequest = CountedRequest
