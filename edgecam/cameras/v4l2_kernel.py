"""The kernel's Video4Linux2 interface: the structures and request numbers that edgecam needs.

Source: linux/videodev2.h, as documented in the kernel's "Video for Linux API". Only single-plane capture into mapped
buffers is here. `c_long` and `c_ulong` give the structures their size, and with it the request numbers, on 64-bit and
on 32-bit machines.
"""

from __future__ import annotations

import ctypes
from ctypes import c_int32, c_long, c_uint8, c_uint32, c_ulong

CAPTURE = 1
"""V4L2_BUF_TYPE_VIDEO_CAPTURE"""
MAPPED = 1
"""V4L2_MEMORY_MMAP"""

CAN_CAPTURE, CAN_STREAM, HAS_DEVICE_CAPS = 0x00000001, 0x04000000, 0x80000000

STAMP_MASK, STAMP_MONOTONIC, IS_DAMAGED = 0x0000E000, 0x00002000, 0x00000040

DISCRETE = 1
"""V4L2_FRMSIZE_TYPE_DISCRETE and V4L2_FRMIVAL_TYPE_DISCRETE"""

COLORSPACE_REC709, COLORSPACE_JPEG, ENCODING_DEFAULT, ENCODING_709, QUANTIZATION_DEFAULT, FULL_RANGE = 3, 7, 0, 2, 0, 1


class Capability(ctypes.Structure):
    """struct v4l2_capability"""

    _fields_ = (
        ("driver", c_uint8 * 16),
        ("card", c_uint8 * 32),
        ("bus_info", c_uint8 * 32),
        ("version", c_uint32),
        ("capabilities", c_uint32),
        ("device_caps", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class FormatDescription(ctypes.Structure):
    """struct v4l2_fmtdesc"""

    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("flags", c_uint32),
        ("description", c_uint8 * 32),
        ("pixelformat", c_uint32),
        ("mbus_code", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class Pix(ctypes.Structure):
    """struct v4l2_pix_format"""

    _fields_ = tuple(
        (name, c_uint32)
        for name in (
            *("width", "height", "pixelformat", "field", "bytesperline", "sizeimage"),
            *("colorspace", "priv", "flags", "ycbcr_enc", "quantization", "xfer_func"),
        )
    )


class _FormatUnion(ctypes.Union):
    _fields_ = (("pix", Pix), ("raw", c_ulong * (200 // ctypes.sizeof(c_ulong))))


class Format(ctypes.Structure):
    """struct v4l2_format"""

    _anonymous_ = ("fmt",)
    _fields_ = (("type", c_uint32), ("fmt", _FormatUnion))


class Fraction(ctypes.Structure):
    """struct v4l2_fract"""

    _fields_ = (("numerator", c_uint32), ("denominator", c_uint32))


class _Capture(ctypes.Structure):
    _fields_ = (("capability", c_uint32), ("mode", c_uint32), ("interval", Fraction), ("rest", c_uint32 * 6))


class _ParameterUnion(ctypes.Union):
    _fields_ = (("capture", _Capture), ("raw", c_uint8 * 200))


class Parameters(ctypes.Structure):
    """struct v4l2_streamparm; `interval` is the time of one frame."""

    _anonymous_ = ("parm",)
    _fields_ = (("type", c_uint32), ("parm", _ParameterUnion))


class SizeStep(ctypes.Structure):
    """struct v4l2_frmsizeenum; a discrete size stands in `values[0:2]`, else min, max, step of width and of height."""

    _fields_ = (
        ("index", c_uint32),
        ("pixelformat", c_uint32),
        ("type", c_uint32),
        ("values", c_uint32 * 6),
        ("reserved", c_uint32 * 2),
    )


class IntervalStep(ctypes.Structure):
    """struct v4l2_frmivalenum; a discrete interval is `values[0]`, else shortest, longest, step."""

    _fields_ = (
        ("index", c_uint32),
        ("pixelformat", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("type", c_uint32),
        ("values", Fraction * 3),
        ("reserved", c_uint32 * 2),
    )


class Request(ctypes.Structure):
    """struct v4l2_requestbuffers"""

    _fields_ = (
        ("count", c_uint32),
        ("type", c_uint32),
        ("memory", c_uint32),
        ("capabilities", c_uint32),
        ("flags", c_uint32),
    )


class Buffer(ctypes.Structure):
    """struct v4l2_buffer"""

    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("bytesused", c_uint32),
        ("flags", c_uint32),
        ("field", c_uint32),
        ("seconds", c_long),
        ("microseconds", c_long),
        ("timecode", c_uint32 * 4),
        ("sequence", c_uint32),
        ("memory", c_uint32),
        ("offset", c_ulong),
        ("length", c_uint32),
        ("reserved2", c_uint32),
        ("request_fd", c_int32),
    )


def _request(direction: int, number: int, argument: type) -> int:
    """The number of an ioctl (asm-generic/ioctl.h); direction: 1 written to the kernel, 2 read from it, 3 both."""
    return direction << 30 | ctypes.sizeof(argument) << 16 | ord("V") << 8 | number


QUERYCAP = _request(2, 0, Capability)
ENUM_FMT = _request(3, 2, FormatDescription)
S_FMT = _request(3, 5, Format)
REQBUFS = _request(3, 8, Request)
QUERYBUF = _request(3, 9, Buffer)
QBUF = _request(3, 15, Buffer)
DQBUF = _request(3, 17, Buffer)
STREAMON = _request(1, 18, c_int32)
STREAMOFF = _request(1, 19, c_int32)
S_PARM = _request(3, 22, Parameters)
ENUM_FRAMESIZES = _request(3, 74, SizeStep)
ENUM_FRAMEINTERVALS = _request(3, 75, IntervalStep)


def fourcc(code: int) -> str:
    """The four characters of a pixel format."""
    return code.to_bytes(4, "little").decode("latin-1")


def text(field: ctypes.Array[c_uint8]) -> str:
    """A text of the kernel's, up to its first NUL."""
    return bytes(field).partition(b"\0")[0].decode("utf-8", "replace")
