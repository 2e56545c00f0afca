"""The camera that plays: video files, folders of pictures, V4L2 devices and network streams."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecam.cameras.decoder import VideoDecoder
from edgecam.cameras.folder import PictureFolder
from edgecam.cameras.pacing import Pacer, Pacing
from edgecam.cameras.place import Place, find, is_live, local_path, shown
from edgecam.cameras.source import Picture, Source
from edgecam.cameras.timeline import Timeline
from edgecam.clock import SystemClock
from edgecam.errors import CameraError, EdgecamError, EndOfStream, InputError
from edgecam.late_picture import LatePicture
from edgecam.ports import Camera, Clock
from edgecam.types import Frame
from edgecam.yuv import even, i420_from_planes, lores_from_i420, rgb_from_planes

log = logging.getLogger(__name__)

#: Pictures of a folder per second, unless told.
FOLDER_FPS = 1.0

#: A video that ends so much before the end its header declares, seconds (or a tenth of it), has lost something.
EARLY_END = 1.0


class _Pending(NamedTuple):
    """A frame to be, at its time in the stream."""

    time: float
    main: NDArray[np.uint8] | LatePicture
    lores: NDArray[np.uint8]


class VideoFileCamera(Camera):
    """Plays anything ffmpeg opens, or a folder of pictures.

    A frame's timestamp is the monotonic time of `open` plus the video's own time, at any pace, so that tracks see
    the real motion; it grows over loops, resets and wrong timestamps (`Timeline` has the rules). The frames of a
    live stream (a URL or /dev/video…) come at its own pace; they are stamped by its own clock, held to ours.

    The colours of the main picture are those of the stream: for BT.709 video only the small picture is converted
    as such. Full-range and other pixel formats become limited-range 4:2:0; a picture is turned upright; an odd last row
    or column is dropped; what changes its size on the way is stretched to that of the first.
    """

    def __init__(
        self,
        *,
        path: str,
        lores_size: tuple[int, int],
        pace: Literal["realtime", "fast"] = "realtime",
        loop: bool = False,
        fps: float | None = None,
        size: tuple[int, int] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Remember what to play.

        Args:
            path: a file, a folder, /dev/video…, or a URL.
            lores_size: width and height of the small picture, pixels.
            pace: in real time, or as fast as the pictures are taken. A live stream has its own.
            loop: start again at the end.
            fps: frames per second in place of the video's own timestamps (a folder: of FOLDER_FPS); a device is asked
                for it.
            size: even width and height of the main picture, pixels; None: those of the first picture.
            clock: the system's unless told.
        """
        self.lossless = pace == "fast" and not is_live(path)
        self.damaged = 0
        self._path, self._loop, self._fps = path, loop, fps
        self._lores_size, self._wanted_size, self._size = lores_size, size, size
        self._pacer = Pacer(clock or SystemClock())
        self._timeline = Timeline()
        self._source: Source | None = None
        self._pending: _Pending | None = None
        self._sequence = 0

    @property
    def duration(self) -> float | None:
        """Length in seconds, for a progress bar: the header's word. None where it is not known or never ends."""
        return self._source.duration if self._source and not self._loop else None

    @property
    def frames_estimate(self) -> int | None:
        """Number of frames, for a progress bar: the header's word, or duration times rate. None where not known."""
        if self._source is None or self._loop:
            return None
        if self._source.frames or self.duration is None:
            return self._source.frames
        return round(self.duration * self.source_fps)

    @property
    def source_fps(self) -> float:
        """Frames per second: as measured lately, before that as the header says."""
        return 1 / self._timeline.interval

    def open(self) -> None:
        """Open and decode the first picture. Raises InputError, or CameraError where trying again may help."""
        self.close()
        try:
            self._open()
        except EdgecamError:
            self.close()
            raise

    def _open(self) -> None:
        place = find(self._path)
        self._source = source = self._source_at(place)
        source.open()
        fixed = place is Place.FOLDER or (place is Place.FILE and self._fps is not None)
        self._timeline = Timeline(self._fps if self._fps and fixed else source.fps, fixed=fixed)
        try:
            first = source.next()
        except EndOfStream as end:
            raise InputError(f"{shown(self._path)}: no picture could be decoded: damaged, or an odd codec") from end
        self._pending = self._stamped(first) if first else None
        endless = is_live(self._path) and source.duration is None
        self._pacer.start(Pacing.FREE if self.lossless else Pacing.DEVICE if endless else Pacing.TIMESTAMPS)

    def close(self) -> None:
        self._pending = None
        source, self._source = self._source, None
        if source:
            source.close()

    def read(self, timeout: float) -> Frame | None:
        if self._source is None:
            raise CameraError(f"{shown(self._path)}: not open")
        if self._pending is None:
            picture = self._next_picture()
            self._pending = self._stamped(picture) if picture else None
        if self._pending is None:
            return None
        timestamp = self._pacer.admit(self._pending.time, timeout)
        if timestamp is None:
            return None
        frame = Frame(self._sequence, timestamp, self._pending.main, self._pending.lores)
        self._pending = None
        self._sequence += 1
        return frame

    def _source_at(self, place: Place) -> Source:
        if place is Place.FOLDER:
            return PictureFolder(Path(local_path(self._path)), self._fps or FOLDER_FPS, self._count_damage)
        return VideoDecoder(self._path, place, self._count_damage, size=self._wanted_size, fps=self._fps)

    def _count_damage(self) -> None:
        self.damaged += 1

    def _next_picture(self) -> Picture | None:
        assert self._source is not None
        try:
            return self._source.next()
        except EndOfStream:
            self._check_end(self._source.duration)
            if not self._loop:
                raise
        return self._first_of_next_loop()

    def _check_end(self, declared: float | None) -> None:
        """Count an end that comes early: some containers lose all that follows a damaged byte without a word."""
        if declared is None or self._fps or self.damaged:
            return
        if self._timeline.now < declared - max(EARLY_END, declared / 10):
            log.warning(
                "%s: ended after %.1f s, though its header says %.1f: damaged, or the header is wrong",
                shown(self._path),
                self._timeline.now,
                declared,
            )
            self._count_damage()

    def _first_of_next_loop(self) -> Picture | None:
        assert self._source is not None
        self._source.close()
        try:
            self._source.open()
            return self._source.next()
        except (InputError, EndOfStream) as error:
            raise CameraError(f"{shown(self._path)}: cannot be played again: {error}") from error

    def _stamped(self, picture: Picture) -> _Pending:
        y = picture.planes[0]
        self._size = self._size or even((y.shape[1], y.shape[0]))
        if min(self._size) < 2:
            raise InputError(f"{shown(self._path)}: pictures of {y.shape[1]}x{y.shape[0]} pixels: at least 2x2")
        main: NDArray[np.uint8] | LatePicture
        if picture.lasting and self._size == (y.shape[1], y.shape[0]):
            main = LatePicture(partial(i420_from_planes, picture.planes, self._size), self._size)
            lores = rgb_from_planes(picture.planes, self._lores_size, bt709=picture.bt709)
        else:
            main = i420_from_planes(picture.planes, self._size)
            lores = lores_from_i420(main, self._lores_size, bt709=picture.bt709)
        return _Pending(self._timeline.advance(picture.pts, picture.dts), main, lores)
