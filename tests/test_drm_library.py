"""libdrm's structures, held against its own headers."""

from __future__ import annotations

import ctypes

import pytest

from edgecam.sinks import drm_library as drm
from edgecam.sinks.drm_card import XRGB8888, YUV420


def test_requests_and_formats_are_those_of_drm_h() -> None:
    """DRM_IOCTL_MODE_CREATE_DUMB, _MAP_DUMB and _DESTROY_DUMB; fourcc_code('X','R','2','4') and ('Y','U','1','2')."""
    assert (drm.CREATE_DUMB, drm.MAP_DUMB, drm.DESTROY_DUMB) == (0xC02064B2, 0xC01064B3, 0xC00464B4)
    assert (XRGB8888, YUV420) == (0x34325258, 0x32315559)


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="the sizes are those of 64-bit machines")
def test_structures_are_as_large_as_libdrms() -> None:
    """Printed by a C program from xf86drmMode.h."""
    sizes = {
        drm.ModeInfo: 68, drm.Resources: 80, drm.ConnectorInfo: 88, drm.EncoderInfo: 20, drm.CrtcInfo: 100,
        drm.PlaneResources: 16, drm.PlaneInfo: 56, drm.ObjectProperties: 24, drm.PropertyInfo: 88, drm.EnumEntry: 40,
    }  # fmt: skip
    assert {kind.__name__: ctypes.sizeof(kind) for kind in sizes} == {
        kind.__name__: size for kind, size in sizes.items()
    }
