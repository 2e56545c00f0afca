"""Keeps the newest picture at hand."""

from __future__ import annotations

from edgecam.newest import NewestFrame
from edgecam.ports import Sink
from edgecam.types import AnnotatedFrame


class NewestSink(Sink):
    """Puts each frame where the web server finds the newest: one reference, whoever looks. Never fails."""

    name = "newest picture"

    def __init__(self, newest: NewestFrame) -> None:
        self._newest = newest

    def write(self, annotated: AnnotatedFrame) -> None:
        self._newest.put(annotated)

    def close(self) -> None:
        self._newest.put(None)
