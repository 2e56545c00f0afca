"""The edges of edgecam: what the pipeline needs from devices, from the outside and from time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from time import monotonic
from typing import TYPE_CHECKING, Self

from edgecam.types import AnnotatedFrame, Detection, DetectorInfo, Event, Frame, Inference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray


class Device(ABC):
    """Opened, used and closed by one thread. The constructor does no I/O; `close` may be called twice."""

    def open(self) -> None:
        """Acquire the device. Raises InputError where trying again is of no use, DeviceError where it may help."""

    def close(self) -> None:
        """Release the device. Safe to call twice, and after a failed `open`. A closed device may be opened again."""

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Camera(Device):
    """Delivers frames whose sequence is contiguous for the life of the object, over any number of opens."""

    #: True where the camera can wait for its readers without losing anything (a file read as fast as
    #: possible): the ring then holds it back instead of dropping.
    lossless: bool = False

    @abstractmethod
    def read(self, timeout: float) -> Frame | None:
        """Return the next frame, or None if none came in `timeout` seconds.

        Raises CameraError on a fault that opening again may cure, EndOfStream after the last frame.
        """


class Detector(Device):
    """Finds things in pictures, one at a time or, where its device works beside the caller, several under way.

    Pictures are RGB, uint8 [h, w, 3]; a size other than the model's input is resized. After a DetectorError all that
    was submitted is lost and the detector is to be closed and opened again.
    """

    _submitted: NDArray[np.uint8] | None = None

    @property
    @abstractmethod
    def info(self) -> DetectorInfo:
        """What runs now; valid after `open`."""

    @abstractmethod
    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return all candidates above the model's own floor, best score first. Raises DetectorError."""

    def picture_of(self, frame: Frame) -> NDArray[np.uint8]:
        """The picture of a frame to hand in: its small one, unless the detector looks closer."""
        return frame.lores

    @property
    def slots(self) -> int:
        """How many pictures may be under way at once, now; 0 while there is no device: `collect` then waits for it."""
        return 1

    def turn(self, timeout: float) -> bool:
        """Whether a picture may be handed in now; waits, at most `timeout` seconds, where others have their turn first.

        Raises DetectorError.
        """
        return True

    def submit(self, image: NDArray[np.uint8]) -> None:
        """Hand in a picture, which must not change until it is collected. Raises DetectorError."""
        self._submitted = image

    def collect(self, timeout: float) -> Inference | None:
        """What is in the oldest picture under way; None where there is none, or it took longer than `timeout` seconds.

        A detector that works in the caller's own thread does its work here, however long that takes. Raises
        DetectorError.
        """
        if self._submitted is None:
            return None
        image, self._submitted = self._submitted, None
        started = monotonic()
        found = self.detect(image)
        return Inference(found, monotonic() - started)


class Sink(Device):
    """Takes frames and events, each in order. A slow sink costs frames, never events."""

    #: True where a call may take as long as a disk does: the sink then gets a thread of its own.
    waits_for_disk: bool = False
    #: True where `publish_together` is one operation, all or nothing.
    publishes_together: bool = False

    @property
    def name(self) -> str:
        """What to call it in messages, in plain words that may follow "the"."""
        return type(self).__name__

    def glance(self, annotated: AnnotatedFrame) -> bool:
        """Whether to be given this frame, by `write`. Asked in the output thread, in any state; must not wait."""
        return True

    def write(self, annotated: AnnotatedFrame) -> None:
        """Take one frame. The picture is read-only and may be kept. Raises SinkError."""

    def overhear(self, event: Event) -> None:
        """Hear of an event when its frame was the newest: in the output thread, before `publish`. Must not wait."""

    def look_after(self) -> None:
        """Look after what it has heard of and not taken yet: in the output thread, at each of its turns and after each
        event, in any state. Must not wait."""

    def meanwhile(self, annotated: AnnotatedFrame) -> None:
        """Look at one frame while the sink is closed after a fault, soon to be opened again. Touches no disk."""

    def publish(self, event: Event) -> None:
        """Take one event; a sink that takes frames was given the one it speaks of just before. Raises SinkError."""

    def publish_together(self, events: Sequence[Event]) -> None:
        """Take several events, in order. Raises SinkError."""
        for event in events:
            self.publish(event)

    def park(self, events: Sequence[Event]) -> int:
        """Keep elsewhere, for the next start, what could not be published before the end; returns how many of them.

        Also from another thread, while this sink's own is stuck in a call: must not wait for the sink's disk.
        """
        return 0


class Clock(ABC):
    """Time. Everything measures on the monotonic side; the wall side is one mapping applied at the edge."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds that never jump."""

    @abstractmethod
    def wall(self, timestamp: float) -> datetime:
        """The UTC wall time of a monotonic timestamp."""

    def synced(self) -> bool:
        """Whether the wall clock is known to be right: a Pi without a network starts with the time it last knew."""
        return True

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Wait; no wait for zero or less."""
