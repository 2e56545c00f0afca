"""Frames and events for the tests of sinks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edgecam.ports import Sink
from edgecam.types import AnnotatedFrame, BBox, Event, EventType, Frame

SIZE = (96, 64)


def annotated(sequence: int, timestamp: float | None = None, size: tuple[int, int] = SIZE) -> AnnotatedFrame:
    """A grey picture, brighter with each frame, with noise that makes it cost some bytes; 10 a second unless told."""
    main = np.full((size[1] * 3 // 2, size[0]), 128, np.uint8)
    main[: size[1]] = np.random.default_rng(sequence).integers(0, 40, size[::-1], np.uint8) + 40 + sequence * 5 % 120
    frame = Frame(sequence, sequence / 10 if timestamp is None else timestamp, main, np.zeros((2, 2, 3), np.uint8))
    return AnnotatedFrame(frame, main.copy(), (), None)


def event(kind: EventType, sequence: int, event_id: str = "1767225600.5-abcdef", best: int | None = None) -> Event:
    """A message about frame `sequence`, of an event that began in frame 3."""
    box = BBox(0.25, 0.25, 0.5, 0.75)
    return Event(
        kind,
        event_id,
        "front",
        7,
        "person",
        0.75,
        0.875,
        box,
        sequence,
        sequence / 10,
        start=0.3,
        end=sequence / 10 if kind is EventType.END else None,
        best_sequence=sequence if best is None else best,
        best_bbox=box,
        started=1767225600.3,
    )


def story() -> Iterator[AnnotatedFrame | Event]:
    """Ten frames and one event: announced with frame 3, at its best in frame 5, over with frame 8."""
    for sequence in range(10):
        yield annotated(sequence)
        if sequence == 3:
            yield event(EventType.NEW, 3)
        if sequence == 5:
            yield event(EventType.UPDATE, 5)
        if sequence == 8:
            yield event(EventType.END, 8, best=5)


def tell(sink: Sink, *parts: AnnotatedFrame | Event) -> None:
    """Hand the parts over, in order."""
    for part in parts:
        if isinstance(part, Event):
            sink.publish(part)
        else:
            sink.write(part)


def renamed(part: AnnotatedFrame | Event, event_id: str) -> AnnotatedFrame | Event:
    """The same, of another event."""
    return replace(part, event_id=event_id) if isinstance(part, Event) else part
