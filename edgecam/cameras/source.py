"""What a file camera plays: the pictures of a video or of a folder, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edgecam.yuv import Planes


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One decoded picture: its planes (limited range, perhaps padded or of odd size) and timestamps in seconds.

    The planes may belong to the decoder: copy them before the next picture is asked for, unless they are `lasting`:
    those stay as they are for as long as somebody has them. `bt709`: the colours are BT.709, not BT.601.
    """

    planes: Planes
    pts: float | None = None
    dts: float | None = None
    bt709: bool = False
    lasting: bool = False


class Source(Protocol):
    """Opened and closed any number of times; each time it plays from the beginning."""

    @property
    def duration(self) -> float | None:
        """Length in seconds as the header says, if it does."""

    @property
    def frames(self) -> int | None:
        """Number of pictures as the header says, if it does."""

    @property
    def fps(self) -> float | None:
        """Pictures per second as the header says, if it does."""

    def open(self) -> None:
        """Acquire. Raises InputError where trying again is of no use, CameraError where it may help."""

    def next(self) -> Picture | None:
        """The next picture; None where a live stream has none yet. Raises EndOfStream, CameraError."""

    def close(self) -> None:
        """Release; safe to call twice."""
