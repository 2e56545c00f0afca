"""The kernel's interface, held against its own headers (64-bit Linux)."""

from __future__ import annotations

import ctypes

import pytest

from edgecam.cameras import v4l2_kernel as kernel


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_long) != 8, reason="the numbers are those of 64-bit machines")
def test_request_numbers_are_those_of_videodev2_h() -> None:
    """Printed by a C program from linux/videodev2.h; the sizes of the structures are part of them."""
    numbers = {
        "QUERYCAP": 0x80685600, "ENUM_FMT": 0xC0405602, "S_FMT": 0xC0D05605, "REQBUFS": 0xC0145608,
        "QUERYBUF": 0xC0585609, "QBUF": 0xC058560F, "DQBUF": 0xC0585611, "STREAMON": 0x40045612,
        "STREAMOFF": 0x40045613, "S_PARM": 0xC0CC5616, "ENUM_FRAMESIZES": 0xC02C564A, "ENUM_FRAMEINTERVALS": 0xC034564B,
    }  # fmt: skip
    assert {name: getattr(kernel, name) for name in numbers} == numbers


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_long) != 8, reason="the offsets are those of 64-bit machines")
def test_offsets_are_those_of_videodev2_h() -> None:
    assert (kernel.Buffer.seconds.offset, kernel.Buffer.offset.offset, kernel.Format.pix.offset) == (24, 64, 8)


def test_four_characters() -> None:
    assert kernel.fourcc(0x56595559) == "YUYV"
