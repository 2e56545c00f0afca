"""The hand-over from the output thread to the thread of one sink, and what became of each frame at all sinks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from threading import Condition, Lock
from typing import NamedTuple

from edgecam.errors import RingClosed
from edgecam.outlet import EVENTS_KEPT
from edgecam.types import AnnotatedFrame, Event

FRAMES_KEPT = 16
"""Frames that may wait for a sink: half a second at 30 fps, which hides the hiccups of an SD card. While a disk stalls
they take up to 44 MB at 720p, with the overlay's copies; sinks that wait together share them."""


class Tally:
    """Counts frames that every sink took, and those that some sink did not. Any thread may add."""

    def __init__(self) -> None:
        self.taken = 0
        self.refused = 0
        self._lock = Lock()

    def add(self, taken: bool) -> None:  # noqa: FBT001 (it is what is counted)
        """Count one frame."""
        with self._lock:
            if taken:
                self.taken += 1
            else:
                self.refused += 1


class Receipt:
    """What becomes of one frame or event: each of its sinks settles once.

    `done` is called by the last of them, in its thread, with whether all took it; where there is no sink, at once.
    """

    __slots__ = ("_all", "_done", "_left", "_lock")

    def __init__(self, sinks: int, done: Callable[[bool], None]) -> None:
        self._left = sinks
        self._all = True
        self._done = done
        self._lock = Lock()
        if not sinks:
            done(True)

    def settle(self, taken: bool) -> None:  # noqa: FBT001 (it is the answer)
        """Say that one sink took it, or did not."""
        with self._lock:
            self._left -= 1
            self._all = self._all and taken
            is_last = not self._left
        if is_last:
            self._done(self._all)


class Item(NamedTuple):
    """What waits, and its receipt."""

    part: AnnotatedFrame | Event
    receipt: Receipt


class Backlog:
    """Frames and events on their way to one sink, in order.

    At most `frames` frames wait: there is no room for another one until the sink has taken one, and whoever brings it
    decides whether to wait. At most EVENTS_KEPT events wait: the oldest goes and `events_lost` counts it. What the
    sink never took is settled as not taken, once, when it has left.
    """

    def __init__(self, frames: int = FRAMES_KEPT) -> None:
        self.events_lost = 0
        self._frames = frames
        self._items: deque[Item] = deque()
        self._in_hand: list[Item] = []
        self._waiting_frames = 0
        self._changed = Condition()
        self._patient = True
        self._closed = False
        self._left = False

    def put_frame(self, annotated: AnnotatedFrame, receipt: Receipt, timeout: float) -> bool:
        """Add a frame; False where there was no room for it within `timeout` seconds, or the sink has left."""
        with self._changed:
            room = self._changed.wait_for(lambda: self._left or self._waiting_frames < self._frames, timeout)
            if self._left or not room:
                return False
            self._waiting_frames += 1
            self._items.append(Item(annotated, receipt))
            self._changed.notify_all()
            return True

    def put_events(self, events: Iterable[tuple[Event, Receipt]]) -> None:
        """Add events, which may then be taken together. Never waits."""
        lost: list[Item] = []
        with self._changed:
            for event, receipt in events:
                self._items.append(Item(event, receipt))
                out = self._items.pop() if self._left else self._overflow()
                lost += [] if out is None else [out]
            self.events_lost += len(lost)
            self._changed.notify_all()
        for item in lost:
            item.receipt.settle(False)

    def take(self, timeout: float) -> Item | None:
        """The oldest item, which stays in hand until it is `finished`; None on time-out.

        Raises RingClosed once the backlog is closed and empty.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout)
            if not self._items:
                if self._closed:
                    raise RingClosed
                return None
            item = self._items.popleft()
            self._in_hand = [item]
            self._waiting_frames -= isinstance(item.part, AnnotatedFrame)
            self._changed.notify_all()
            return item

    def take_along(self, most: int) -> list[Event]:
        """The events right behind what was taken, at most so many; they are in hand as well. Never waits."""
        with self._changed:
            events: list[Event] = []
            while len(events) < most and self._items and isinstance(event := self._items[0].part, Event):
                events.append(event)
                self._in_hand.append(self._items.popleft())
            return events

    def finished(self, taken: bool) -> None:  # noqa: FBT001 (it is the answer)
        """Say what became of all that is in hand."""
        with self._changed:
            items, self._in_hand = self._in_hand, []
            self._changed.notify_all()
        for item in items:
            item.receipt.settle(taken)

    def wait_idle(self, timeout: float) -> bool:
        """Wait until nothing is left and nothing is in hand. Where that once took too long, the next calls do not wait,
        until one finds it so."""
        with self._changed:
            self._patient = self._changed.wait_for(self._is_idle, timeout if self._patient else 0.0)
            return self._patient

    def close(self) -> None:
        """Say that no more will come; what is inside can still be taken. Safe to call twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def leave(self) -> list[Event]:
        """Say that nobody will take any more. What is left, also in hand, was not taken; returns its events."""
        with self._changed:
            self._left = True
            left = [*self._in_hand, *self._items]
            self._items.clear()
            self._in_hand = []
            self._waiting_frames = 0
            self._changed.notify_all()
        for item in left:
            item.receipt.settle(False)
        return [item.part for item in left if isinstance(item.part, Event)]

    def _is_idle(self) -> bool:
        return self._left or (not self._items and not self._in_hand)

    def _overflow(self) -> Item | None:
        """Take out the oldest event where there are too many; the frames among them are few."""
        if len(self._items) - self._waiting_frames <= EVENTS_KEPT:
            return None
        place = next(place for place, item in enumerate(self._items) if isinstance(item.part, Event))
        item = self._items[place]
        del self._items[place]
        return item
