"""From the pictures of a V4L2 camera to I420 in limited range, in one pass over the main picture."""

from __future__ import annotations

from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.cameras.decoder import FULL_TO_LIMITED
from edgecam.cameras.v4l2_device import Layout
from edgecam.yuv import blank, even, planes

Image = NDArray[np.uint8]

_PLANAR_JPEG = {"yuvj420p", "yuvj422p", "yuvj440p", "yuvj444p", "yuv420p", "yuv422p", "yuv440p", "yuv444p"}

#: AVCOL_RANGE_MPEG.
_LIMITED_RANGE = 1


class PictureDamaged(Exception):
    """A buffer does not hold a whole picture."""


class Converter:
    """Makes I420 pictures of a camera's buffers. For MJPEG it has a decoder of its own."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._size = even(layout.size)
        self._decoder: Any = None
        if layout.fourcc == "MJPG":
            # Not OpenCV's: it gives BGR, which costs two conversions, and refuses a camera that leaves out the
            # Huffman tables, as UVC allows.
            self._decoder = av.CodecContext.create("mjpeg", "r")
            self._decoder.thread_count = 1

    def i420(self, data: Image) -> Image:
        """A new I420 picture. Raises PictureDamaged."""
        if self._decoder is not None:
            return self._from_jpeg(data)
        image = self._from_raw(data)
        return _limited(image) if self._layout.full_range else image

    def _from_raw(self, data: Image) -> Image:
        if self._layout.fourcc == "YUYV":
            return self._from_yuyv(data)
        return self._from_nv12(data) if self._layout.fourcc == "NV12" else self._from_yu12(data)

    def _from_yuyv(self, data: Image) -> Image:
        """Y0 U Y1 V: Y as it is, each chroma sample the mean of two lines."""
        width, height = self._size
        pairs = _lines(data, 0, (height, width, 2), self._layout.stride_bytes)
        image = blank(self._size)
        y, u, v = planes(image)
        cv2.extractChannel(pairs, 0, y)
        chroma = cv2.extractChannel(pairs, 1).reshape(height, width // 2, 2)
        halved = cv2.resize(chroma, (width // 2, height // 2), interpolation=cv2.INTER_LINEAR)
        cv2.extractChannel(halved, 0, u)
        cv2.extractChannel(halved, 1, v)
        return image

    def _from_nv12(self, data: Image) -> Image:
        width, height = self._size
        stride = self._layout.stride_bytes
        image = blank(self._size)
        y, u, v = planes(image)
        np.copyto(y, _lines(data, 0, (height, width), stride))
        chroma = _lines(data, stride * self._layout.size[1], (height // 2, width // 2, 2), stride)
        cv2.extractChannel(chroma, 0, u)
        cv2.extractChannel(chroma, 1, v)
        return image

    def _from_yu12(self, data: Image) -> Image:
        """The chroma planes have half the stride of the luma plane."""
        stride, start = self._layout.stride_bytes, 0
        image = blank(self._size)
        for plane, halved in zip(planes(image), (1, 2, 2), strict=True):
            np.copyto(plane, _lines(data, start, plane.shape, stride // halved))
            start += stride // halved * -(-self._layout.size[1] // halved)
        return image

    def _from_jpeg(self, data: Image) -> Image:
        if not data.size:
            raise PictureDamaged("an empty packet, which would end the decoder")
        source: Any = data  # PyAV takes any buffer without saying so
        try:
            frames = self._decoder.decode(av.Packet(source))
        except av.FFmpegError as error:
            raise PictureDamaged("not a JPEG picture") from error
        if not frames or even((frames[0].width, frames[0].height)) != self._size:
            raise PictureDamaged("not a JPEG picture of the camera's size")
        return _from_planes(frames[0], self._size)


def _lines(data: Image, start: int, shape: tuple[int, ...], stride: int) -> Image:
    """A view of padded lines [h, w] or [h, w, channels] from byte `start` on. Raises PictureDamaged."""
    last = shape[2] if len(shape) == 3 else 1
    strides = (stride, last, 1)[: len(shape)]
    # NumPy's own check lets an empty buffer pass.
    if data.size < start + stride * (shape[0] - 1) + shape[1] * last:
        raise PictureDamaged(f"{data.size} bytes are too few")
    return np.ndarray(shape, np.uint8, data[start:], strides=strides)


def _from_planes(frame: av.VideoFrame, size: tuple[int, int]) -> Image:
    """A decoded picture of any subsampling: JPEG's chroma may be as high or as wide as its luma."""
    full_range = frame.color_range != _LIMITED_RANGE
    if frame.format.name not in _PLANAR_JPEG:
        frame, full_range = frame.reformat(format="yuv420p", dst_color_range="MPEG"), False
    image = blank(size)
    plane: Any  # PyAV's planes are buffers without saying so
    for target, plane, (scale, offset) in zip(planes(image), frame.planes, FULL_TO_LIMITED, strict=False):
        lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        tall, wide = (1 if abs(a - b) <= 1 else 2 for a, b in zip(lines.shape, target.shape, strict=True))
        lines = lines[: target.shape[0] * tall, : target.shape[1] * wide]
        if lines.shape != target.shape:
            lines = np.asarray(cv2.resize(lines, target.shape[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
        if full_range:
            cv2.convertScaleAbs(lines, target, scale, offset)
        else:
            np.copyto(target, lines)
    return image


def _limited(image: Image) -> Image:
    for plane, (scale, offset) in zip(planes(image), FULL_TO_LIMITED, strict=True):
        cv2.convertScaleAbs(plane, plane, scale, offset)
    return image
