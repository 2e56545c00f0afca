"""One graphics card through the kernel's mode setting: connectors, modes, buffers, planes. Raises plain OSErrors."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import select
import struct
from contextlib import suppress
from ctypes import POINTER, byref, c_uint32, cast, pointer
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecam.sinks import drm_library as drm
from edgecam.sinks.drm_library import Given, call

Image = NDArray[np.uint8]

XRGB8888, YUV420 = (int.from_bytes(code, "little") for code in (b"XR24", b"YU12"))
"""DRM_FORMAT_XRGB8888 (B, G, R, X in memory) and DRM_FORMAT_YUV420 (I420)."""

_TYPES = (
    *("Unknown", "VGA", "DVI-I", "DVI-D", "DVI-A", "Composite", "SVIDEO", "LVDS", "Component", "DIN", "DP", "HDMI-A"),
    *("HDMI-B", "TV", "eDP", "Virtual", "DSI", "DPI", "Writeback", "SPI", "USB"),
)


class Connector(NamedTuple):
    """A socket for a monitor; `modes` are libdrm's, the preferred one first."""

    number: int
    name: str
    connected: bool
    modes: tuple[drm.ModeInfo, ...] = ()


class Rect(NamedTuple):
    """Pixels on the screen."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class Buffer:
    """Memory that the display reads. `planes` are uint8 views: [h, w, 4] B, G, R, X, or the Y, U and V planes."""

    framebuffer: int
    handle: int
    size: tuple[int, int]
    planes: tuple[Image, ...]


class SavedScreen(NamedTuple):
    """What a CRTC showed before."""

    crtc: int
    connector: int
    framebuffer: int
    x: int
    y: int
    mode: drm.ModeInfo | None


class Card:
    """An open /dev/dri/cardN."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1

    def open(self) -> None:
        drm.library()
        self._file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)

    def close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            with suppress(OSError):
                call("drmDropMaster", file)
            os.close(file)

    def take(self) -> None:
        """Become the one program that may change what is shown."""
        if not call("drmIsMaster", self._file):
            call("drmSetMaster", self._file)

    def connectors(self) -> list[Connector]:
        """All connectors, asked anew: the monitor is read, which may take a moment."""
        with Given("drmModeGetResources", self._file) as resources:
            numbers = resources.connectors[: resources.count_connectors]
        found = []
        for number in numbers:
            with Given("drmModeGetConnector", self._file, number) as info:
                kind = _TYPES[info.connector_type] if info.connector_type < len(_TYPES) else "Unknown"
                modes = [drm.ModeInfo.from_buffer_copy(info.modes[place]) for place in range(info.count_modes)]
                modes.sort(key=lambda mode: not mode.type & drm.PREFERRED)
                connected = info.connection == drm.CONNECTED
                found.append(Connector(number, f"{kind}-{info.connector_type_id}", connected, tuple(modes)))
        return found

    def is_connected(self, connector: int) -> bool:
        """As the driver last saw it, which costs next to nothing."""
        with Given("drmModeGetConnectorCurrent", self._file, connector) as info:
            return bool(info.connection == drm.CONNECTED)

    def crtc_for(self, connector: int) -> tuple[int, int]:
        """The number of a CRTC that can drive the connector, and its place in the list. Raises OSError."""
        with Given("drmModeGetResources", self._file) as resources:
            crtcs = resources.crtcs[: resources.count_crtcs]
        with Given("drmModeGetConnector", self._file, connector) as info:
            current, encoders = info.encoder_id, info.encoders[: info.count_encoders]
        for number in sorted(encoders, key=lambda encoder: encoder != current):
            with Given("drmModeGetEncoder", self._file, number) as encoder:
                if encoder.crtc_id in crtcs:
                    return encoder.crtc_id, crtcs.index(encoder.crtc_id)
                for place, crtc in enumerate(crtcs):
                    if encoder.possible_crtcs >> place & 1:
                        return crtc, place
        raise OSError(0, "no CRTC can drive this connector")

    def overlays(self, crtc_place: int, form: int) -> list[int]:
        """Planes over the main one that can show a format; without "universal planes" the kernel lists no others."""
        with Given("drmModeGetPlaneResources", self._file) as resources:
            numbers = resources.planes[: resources.count_planes]
        fitting = []
        for number in numbers:
            with Given("drmModeGetPlane", self._file, number) as plane:
                if plane.possible_crtcs >> crtc_place & 1 and form in plane.formats[: plane.count_formats]:
                    fitting.append(number)
        return fitting

    def prefer(self, plane: int, name: str, value: str) -> None:
        """Set a plane's property to one of its named values, where it has both."""
        with Given("drmModeObjectGetProperties", self._file, plane, drm.PLANE) as properties:
            numbers = properties.props[: properties.count_props]
        for number in numbers:
            with Given("drmModeGetProperty", self._file, number) as info:
                entries = {entry.name.decode(): entry.value for entry in info.enums[: info.count_enums]}
                if info.name.decode() == name and value in entries:
                    call("drmModeObjectSetProperty", self._file, plane, drm.PLANE, number, entries[value])

    def create(self, size: tuple[int, int], form: int) -> Buffer:
        """A black XRGB8888 buffer, or a YUV420 one whose content is undefined."""
        width, height = size
        yuv = form == YUV420
        dumb = drm.CreateDumb(height=height * 3 // 2 if yuv else height, width=width, bpp=8 if yuv else 32)
        fcntl.ioctl(self._file, drm.CREATE_DUMB, dumb, True)
        try:
            pitches, offsets = [dumb.pitch], [0]
            if yuv:
                luma = dumb.pitch * height
                pitches, offsets = [dumb.pitch, *[dumb.pitch // 2] * 2], [0, luma, luma + luma // 4]
            framebuffer = self._add_framebuffer(size, form, dumb.handle, pitches, offsets)
            memory = self._mapped(dumb)
        except OSError:
            self._destroy(dumb.handle)
            raise
        return Buffer(framebuffer, dumb.handle, size, _views(memory, size, pitches, offsets))

    def destroy(self, buffer: Buffer) -> None:
        with suppress(OSError):
            call("drmModeRmFB", self._file, buffer.framebuffer)
        self._destroy(buffer.handle)

    def save(self, crtc: int, connector: int) -> SavedScreen:
        with Given("drmModeGetCrtc", self._file, crtc) as info:
            mode = drm.ModeInfo.from_buffer_copy(info.mode) if info.mode_valid else None
            return SavedScreen(crtc, connector, info.buffer_id, info.x, info.y, mode)

    def restore(self, saved: SavedScreen) -> None:
        self._set_crtc(saved.crtc, saved.framebuffer, saved.x, saved.y, saved.connector, saved.mode)

    def set_mode(self, crtc: int, connector: int, mode: drm.ModeInfo, framebuffer: int) -> None:
        self._set_crtc(crtc, framebuffer, 0, 0, connector, mode)

    def flip(self, crtc: int, framebuffer: int) -> None:
        """Show another buffer from the next refresh on; `wait_for_flip` says when."""
        call("drmModePageFlip", self._file, crtc, framebuffer, drm.FLIP_EVENT, None)

    def wait_for_flip(self, timeout: float) -> bool:
        """Wait until a flip is done; False where it took longer than `timeout` seconds."""
        poll = select.poll()
        poll.register(self._file, select.POLLIN)
        while poll.poll(timeout * 1000):
            if drm.FLIP_COMPLETE in _events(os.read(self._file, 4096)):
                return True
        return False

    def dirty(self, buffer: Buffer) -> None:
        """Say that a buffer on the screen has new content, for displays that do not look by themselves."""
        clip = drm.Clip(0, 0, *buffer.size)
        call("drmModeDirtyFB", self._file, buffer.framebuffer, byref(clip), 1)

    def set_plane(self, plane: int, crtc: int, buffer: Buffer, rect: Rect) -> None:
        """Show a buffer on a plane, scaled to `rect` by the display."""
        width, height = (side << 16 for side in buffer.size)
        call("drmModeSetPlane", self._file, plane, crtc, buffer.framebuffer, 0, *rect, 0, 0, width, height)

    def clear_plane(self, plane: int) -> None:
        call("drmModeSetPlane", self._file, plane, *(0,) * 11)

    def _set_crtc(self, crtc: int, framebuffer: int, x: int, y: int, connector: int, mode: drm.ModeInfo | None) -> None:
        connectors = (c_uint32 * 1)(connector)
        count = 1 if mode else 0
        call(
            "drmModeSetCrtc", self._file, crtc, framebuffer if mode else 0, x, y,
            cast(connectors, POINTER(c_uint32)) if mode else None, count, pointer(mode) if mode else None,
        )  # fmt: skip

    def _add_framebuffer(
        self, size: tuple[int, int], form: int, handle: int, pitches: list[int], offsets: list[int]
    ) -> int:
        four: Any = c_uint32 * 4
        number = c_uint32()
        handles = four(*[handle] * len(pitches))
        call("drmModeAddFB2", self._file, *size, form, handles, four(*pitches), four(*offsets), byref(number), 0)
        return number.value

    def _mapped(self, dumb: drm.CreateDumb) -> mmap.mmap:
        request = drm.MapDumb(handle=dumb.handle)
        fcntl.ioctl(self._file, drm.MAP_DUMB, request, True)
        return mmap.mmap(self._file, dumb.size, offset=request.offset)

    def _destroy(self, handle: int) -> None:
        with suppress(OSError):
            fcntl.ioctl(self._file, drm.DESTROY_DUMB, drm.DestroyDumb(handle), True)


def _views(memory: mmap.mmap, size: tuple[int, int], pitches: list[int], offsets: list[int]) -> tuple[Image, ...]:
    width, height = size
    if len(pitches) == 1:
        return (np.ndarray((height, width, 4), np.uint8, memory, strides=(pitches[0], 4, 1)),)
    shapes = ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    return tuple(
        np.ndarray(shape, np.uint8, memory, offset, (pitch, 1))
        for shape, pitch, offset in zip(shapes, pitches, offsets, strict=True)
    )


def _events(data: bytes) -> list[int]:
    """The kinds of the kernel's events (struct drm_event: type and length, both u32, then its body)."""
    kinds, place = [], 0
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("=II", data, place)
        kinds.append(kind)
        place += max(length, ctypes.sizeof(c_uint32) * 2)
    return kinds
