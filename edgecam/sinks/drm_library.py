"""libdrm's interface by ctypes: the structures and calls that edgecam needs.

Source: xf86drm.h, xf86drmMode.h, drm/drm.h and drm/drm_mode.h. Structures keep libdrm's field names.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char, c_int, c_uint16, c_uint32, c_uint64, c_void_p
from functools import cache
from typing import Any

NAME = "libdrm.so.2"

CONNECTED = 1
PREFERRED = 1 << 3
"""DRM_MODE_TYPE_PREFERRED"""
PLANE = 0xEEEEEEEE
"""DRM_MODE_OBJECT_PLANE"""
FLIP_EVENT = 1
"""DRM_MODE_PAGE_FLIP_EVENT"""
FLIP_COMPLETE = 2
"""DRM_EVENT_FLIP_COMPLETE"""


class ModeInfo(ctypes.Structure):
    """drmModeModeInfo"""

    _fields_ = (
        ("clock", c_uint32),
        *((name, c_uint16) for name in ("hdisplay", "hsync_start", "hsync_end", "htotal", "hskew")),
        *((name, c_uint16) for name in ("vdisplay", "vsync_start", "vsync_end", "vtotal", "vscan")),
        ("vrefresh", c_uint32),
        ("flags", c_uint32),
        ("type", c_uint32),
        ("name", c_char * 32),
    )


class Resources(ctypes.Structure):
    """drmModeRes"""

    _fields_ = (
        *(("count_fbs", c_int), ("fbs", POINTER(c_uint32))),
        *(("count_crtcs", c_int), ("crtcs", POINTER(c_uint32))),
        *(("count_connectors", c_int), ("connectors", POINTER(c_uint32))),
        *(("count_encoders", c_int), ("encoders", POINTER(c_uint32))),
        *((name, c_uint32) for name in ("min_width", "max_width", "min_height", "max_height")),
    )


class ConnectorInfo(ctypes.Structure):
    """drmModeConnector"""

    _fields_ = (
        *((name, c_uint32) for name in ("connector_id", "encoder_id", "connector_type", "connector_type_id")),
        ("connection", c_int),
        *(("mmWidth", c_uint32), ("mmHeight", c_uint32), ("subpixel", c_int)),
        *(("count_modes", c_int), ("modes", POINTER(ModeInfo))),
        *(("count_props", c_int), ("props", POINTER(c_uint32)), ("prop_values", POINTER(c_uint64))),
        *(("count_encoders", c_int), ("encoders", POINTER(c_uint32))),
    )


class EncoderInfo(ctypes.Structure):
    """drmModeEncoder"""

    _fields_ = tuple(
        (name, c_uint32) for name in ("encoder_id", "encoder_type", "crtc_id", "possible_crtcs", "possible_clones")
    )


class CrtcInfo(ctypes.Structure):
    """drmModeCrtc"""

    _fields_ = (
        *((name, c_uint32) for name in ("crtc_id", "buffer_id", "x", "y", "width", "height")),
        *(("mode_valid", c_int), ("mode", ModeInfo), ("gamma_size", c_int)),
    )


class PlaneResources(ctypes.Structure):
    """drmModePlaneRes"""

    _fields_ = (("count_planes", c_uint32), ("planes", POINTER(c_uint32)))


class PlaneInfo(ctypes.Structure):
    """drmModePlane"""

    _fields_ = (
        *(("count_formats", c_uint32), ("formats", POINTER(c_uint32))),
        *((name, c_uint32) for name in ("plane_id", "crtc_id", "fb_id", "crtc_x", "crtc_y", "x", "y")),
        *(("possible_crtcs", c_uint32), ("gamma_size", c_uint32)),
    )


class ObjectProperties(ctypes.Structure):
    """drmModeObjectProperties"""

    _fields_ = (("count_props", c_uint32), ("props", POINTER(c_uint32)), ("prop_values", POINTER(c_uint64)))


class EnumEntry(ctypes.Structure):
    """struct drm_mode_property_enum"""

    _fields_ = (("value", c_uint64), ("name", c_char * 32))


class PropertyInfo(ctypes.Structure):
    """drmModePropertyRes"""

    _fields_ = (
        *(("prop_id", c_uint32), ("flags", c_uint32), ("name", c_char * 32)),
        *(("count_values", c_int), ("values", POINTER(c_uint64))),
        *(("count_enums", c_int), ("enums", POINTER(EnumEntry))),
        *(("count_blobs", c_int), ("blob_ids", POINTER(c_uint32))),
    )


class CreateDumb(ctypes.Structure):
    """struct drm_mode_create_dumb"""

    _fields_ = (
        *((name, c_uint32) for name in ("height", "width", "bpp", "flags", "handle", "pitch")),
        ("size", c_uint64),
    )


class MapDumb(ctypes.Structure):
    """struct drm_mode_map_dumb"""

    _fields_ = (("handle", c_uint32), ("pad", c_uint32), ("offset", c_uint64))


class DestroyDumb(ctypes.Structure):
    """struct drm_mode_destroy_dumb"""

    _fields_ = (("handle", c_uint32),)


class Clip(ctypes.Structure):
    """drmModeClip"""

    _fields_ = tuple((name, c_uint16) for name in ("x1", "y1", "x2", "y2"))


def _request(number: int, argument: type) -> int:
    """_IOWR('d', number, argument) of asm-generic/ioctl.h."""
    return 3 << 30 | ctypes.sizeof(argument) << 16 | ord("d") << 8 | number


CREATE_DUMB, MAP_DUMB, DESTROY_DUMB = _request(0xB2, CreateDumb), _request(0xB3, MapDumb), _request(0xB4, DestroyDumb)

_POINTERS = {
    "drmModeGetResources": (Resources, ()),
    "drmModeGetConnector": (ConnectorInfo, (c_uint32,)),
    "drmModeGetConnectorCurrent": (ConnectorInfo, (c_uint32,)),
    "drmModeGetEncoder": (EncoderInfo, (c_uint32,)),
    "drmModeGetCrtc": (CrtcInfo, (c_uint32,)),
    "drmModeGetPlaneResources": (PlaneResources, ()),
    "drmModeGetPlane": (PlaneInfo, (c_uint32,)),
    "drmModeObjectGetProperties": (ObjectProperties, (c_uint32, c_uint32)),
    "drmModeGetProperty": (PropertyInfo, (c_uint32,)),
}
"""Calls that return what libdrm allocates: its kind, and the arguments after the file."""

_FREE = {
    Resources: "drmModeFreeResources",
    ConnectorInfo: "drmModeFreeConnector",
    EncoderInfo: "drmModeFreeEncoder",
    CrtcInfo: "drmModeFreeCrtc",
    PlaneResources: "drmModeFreePlaneResources",
    PlaneInfo: "drmModeFreePlane",
    ObjectProperties: "drmModeFreeObjectProperties",
    PropertyInfo: "drmModeFreeProperty",
}

_WORDS = POINTER(c_uint32)
_RESULTS: dict[str, tuple[Any, ...]] = {
    "drmIsMaster": (),
    "drmSetMaster": (),
    "drmDropMaster": (),
    "drmModeAddFB2": (*(c_uint32,) * 3, _WORDS, _WORDS, _WORDS, _WORDS, c_uint32),
    "drmModeRmFB": (c_uint32,),
    "drmModeSetCrtc": (*(c_uint32,) * 4, _WORDS, c_int, POINTER(ModeInfo)),
    "drmModePageFlip": (c_uint32, c_uint32, c_uint32, c_void_p),
    "drmModeDirtyFB": (c_uint32, POINTER(Clip), c_uint32),
    "drmModeSetPlane": (*(c_uint32,) * 4, c_int, c_int, *(c_uint32,) * 6),
    "drmModeObjectSetProperty": (c_uint32, c_uint32, c_uint32, c_uint64),
}
"""Calls that return an int, negative where they failed, and their arguments after the file."""


@cache
def library() -> ctypes.CDLL:
    """libdrm with its signatures. Raises OSError where it is not installed."""
    loaded = ctypes.CDLL(NAME, use_errno=True)
    for name, (kind, arguments) in _POINTERS.items():
        call = getattr(loaded, name)
        call.argtypes, call.restype = (c_int, *arguments), POINTER(kind)
    for kind, name in _FREE.items():
        call = getattr(loaded, name)
        call.argtypes, call.restype = (POINTER(kind),), None
    for name, arguments in _RESULTS.items():
        call = getattr(loaded, name)
        call.argtypes, call.restype = (c_int, *arguments), c_int
    return loaded


def call(name: str, *arguments: Any) -> int:
    """Call what returns an int. Raises OSError."""
    result: int = getattr(library(), name)(*arguments)
    if result < 0:
        number = -result if result != -1 else ctypes.get_errno() or 1
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


class Given:
    """What libdrm allocated, freed at the end of the `with`. Raises OSError where libdrm gives nothing."""

    def __init__(self, name: str, *arguments: Any) -> None:
        self._free = getattr(library(), _FREE[_POINTERS[name][0]])
        self._pointer = getattr(library(), name)(*arguments)
        if not self._pointer:
            number = ctypes.get_errno() or 1
            raise OSError(number, f"{name}: {os.strerror(number)}")

    def __enter__(self) -> Any:
        return self._pointer.contents

    def __exit__(self, *_exc_info: object) -> None:
        self._free(self._pointer)
