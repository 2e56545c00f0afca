"""The Raspberry Pi's own cameras, and whatever else libcamera drives, through picamera2."""

from __future__ import annotations

import threading
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgecam.cameras import csi_library
from edgecam.cameras.csi_choice import choose
from edgecam.cameras.csi_library import LIBRARY_ERRORS, Library, reason
from edgecam.cameras.csi_picture import lores_picture, main_picture
from edgecam.cameras.csi_settings import Awb, CsiSettings
from edgecam.cameras.csi_stream import CsiStream
from edgecam.cameras.sensor_time import SensorTime
from edgecam.clock import SystemClock
from edgecam.errors import CameraError, InputError
from edgecam.ports import Camera, Clock
from edgecam.types import Frame
from edgecam.yuv import lores_from_i420

Image = NDArray[np.uint8]


class Picamera2Camera(Camera):
    """Takes both pictures from the ISP: planar YUV 4:2:0 and, at the model's input size, the small one.

    A request's buffers are mapped. The main picture is copied out of them once, for a frame outlives its request by
    far (the ring alone holds more frames than there is CMA for buffers); the copy takes the padding off and turns
    the picture. The small picture is converted straight from its buffer. Then the request goes back, whatever
    happened. Frames that complete while one is being copied are not lost, up to csi_settings.BUFFERS.

    Colours are asked for as limited-range BT.601, as a frame's are.
    """

    def __init__(  # noqa: PLR0913  (the keys of its configuration)
        self,
        *,
        lores_size: tuple[int, int],
        camera: int | str = 0,
        size: tuple[int, int] = (1280, 720),
        fps: float = 30.0,
        rotation: Literal[0, 90, 180, 270] = 0,
        hflip: bool = False,
        vflip: bool = False,
        sensor_mode: tuple[int, int] | None = None,
        focus: Literal["auto"] | float | None = None,
        exposure: float | None = None,
        gain: float | None = None,
        exposure_value: float = 0.0,
        awb: Awb | tuple[float, float] = "auto",
        clock: Clock | None = None,
    ) -> None:
        """Remember what to film.

        Args:
            lores_size: width and height of the small picture, pixels.
            camera: libcamera's id of it, or its number in the order of `edgecam cameras`.
            size: even width and height of the camera's picture, pixels, before it is turned.
            fps: frames per second.
            rotation: degrees clockwise, after the flips. A quarter turn is done by us, in the copy.
            hflip: mirror left and right.
            vflip: mirror top and bottom.
            sensor_mode: width and height of the sensor's read-out, pixels; None: libcamera's choice for `size`.
            focus: "auto" (continuous), or a fixed distance in dioptres (1 / metres; 0 is infinity); None: as it starts.
            exposure: seconds; None: automatic.
            gain: analogue gain; None: automatic.
            exposure_value: brighter or darker than automatic exposure would have it, in stops.
            awb: white balance: a mode, or the gains of red and blue.
            clock: the system's unless told.
        """
        self._camera = camera
        self._lores_size = lores_size
        self._settings = CsiSettings(
            size, lores_size, fps, rotation, hflip, vflip, sensor_mode, focus, exposure, gain, exposure_value, awb
        )
        self._time = SensorTime(clock or SystemClock())
        self._library: Library | None = None
        self._stream: CsiStream | None = None
        self._hanging: threading.Thread | None = None
        self._sequence = 0

    def open(self) -> None:
        """Open and start. Raises CameraError, InputError where the library is missing or the camera cannot do it."""
        self.close()
        if self._hanging and self._hanging.is_alive():
            raise CameraError(
                f"camera {self._camera}: libcamera still hangs in its stop: restart edgecam; if that hangs too, reboot"
            )
        self._hanging = None
        self._library = library = csi_library.load()
        try:
            found = choose(library, self._camera)
        except LIBRARY_ERRORS as error:
            if isinstance(error, CameraError | InputError):
                raise
            raise CameraError(f"camera {self._camera}: libcamera failed: {reason(error)}") from error
        self._stream = CsiStream(library, found, self._settings)
        self._time.start()

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream:
            self._hanging = stream.close()

    def read(self, timeout: float) -> Frame | None:
        stream = self._stream
        if stream is None:
            raise CameraError(f"camera {self._camera}: not open")
        request = stream.next(timeout)
        if request is None:
            return None
        try:
            timestamp = self._time.timestamp(request.get_metadata().get("SensorTimestamp"))
            main = self._main(request, stream)
            lores = self._lores(request, stream, main)
        except LIBRARY_ERRORS as error:
            raise CameraError(f"{stream.name}: a frame cannot be read: {reason(error)}") from error
        finally:
            stream.release(request)
        frame = Frame(self._sequence, timestamp, main, lores)
        self._sequence += 1
        return frame

    def _main(self, request: Any, stream: CsiStream) -> Image:
        granted = stream.granted
        with self._mapped(request, "main") as buffer:
            return main_picture(buffer.array, granted.main, granted.turn)

    def _lores(self, request: Any, stream: CsiStream, main: Image) -> Image:
        granted = stream.granted
        if granted.lores is None:
            return lores_from_i420(main, self._lores_size, bt709=granted.main.bt709)
        with self._mapped(request, "lores") as buffer:
            return lores_picture(buffer.array, granted.lores, self._lores_size, granted.turn)

    def _mapped(self, request: Any, stream: str) -> Any:
        assert self._library is not None
        return self._library.picamera2.MappedArray(request, stream, reshape=False, write=False)
