"""A sink behind a switch."""

from __future__ import annotations

from edgecam.ports import Sink
from edgecam.switches import Switches
from edgecam.types import AnnotatedFrame, Event


class GatedSink(Sink):
    """Another sink, open only while a switch is on: switched off it is closed in good order, and its files are whole.

    A switch is followed with the next frame or event. What comes while it is off passes by and counts as taken.
    """

    def __init__(self, sink: Sink, switches: Switches, switch: str) -> None:
        self.waits_for_disk = sink.waits_for_disk
        self._sink = sink
        self._switches = switches
        self._switch = switch
        self._in_use = False
        self._is_open = False

    @property
    def name(self) -> str:
        return self._sink.name

    def open(self) -> None:
        self._in_use = True
        self._follow()

    def write(self, annotated: AnnotatedFrame) -> None:
        if self._follow():
            self._sink.write(annotated)

    def meanwhile(self, annotated: AnnotatedFrame) -> None:
        if self._switches[self._switch]:
            self._sink.meanwhile(annotated)

    def publish(self, event: Event) -> None:
        if self._follow():
            self._sink.publish(event)

    def close(self) -> None:
        self._in_use = self._is_open = False
        self._sink.close()

    def _follow(self) -> bool:
        """Open or close the sink as the switch stands, and return how that is."""
        on = self._switches[self._switch]
        if self._in_use and on and not self._is_open:
            self._sink.open()
            self._is_open = True
        elif self._is_open and not on:
            self._is_open = False
            self._sink.close()
        return on
