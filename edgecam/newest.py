"""The newest picture of a camera, for whoever wants to see it now."""

from __future__ import annotations

from edgecam.types import AnnotatedFrame


class NewestFrame:
    """Holds one annotated frame, the newest: from any thread, without a lock and without a wait."""

    def __init__(self) -> None:
        self._newest: AnnotatedFrame | None = None

    def put(self, annotated: AnnotatedFrame | None) -> None:
        """There is a newer one; None: there is none any more."""
        self._newest = annotated

    def get(self) -> AnnotatedFrame | None:
        """The newest; None before the first, and once no more will come."""
        return self._newest
