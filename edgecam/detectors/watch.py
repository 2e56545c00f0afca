"""Watches Edge TPUs come and go."""

from __future__ import annotations

import math
from collections.abc import Callable

from edgecam.detectors.edgetpu import EdgeTpu, list_edge_tpus


class TpuWatch:
    """Tells which Edge TPUs are there for good.

    One that appears counts after `settle` seconds in its place: a stick whose firmware is just loaded leaves and comes
    back, and one may be pushed in slowly. Those there at the first look count at once; one that is gone, at once
    too. `list_tpus` is asked every `interval` seconds at most.
    """

    def __init__(
        self,
        list_tpus: Callable[[], list[EdgeTpu]] = list_edge_tpus,
        settle: float = 1.0,
        interval: float = 0.5,
    ) -> None:
        self._list_tpus = list_tpus
        self._settle = settle
        self._interval = interval
        self._looked: float | None = None
        self._present: list[EdgeTpu] = []
        self._since: dict[str, float] = {}

    def update(self, now: float) -> list[EdgeTpu]:
        """Those that are there for good; `now` is in monotonic seconds."""
        if self._looked is None or now - self._looked >= self._interval:
            self._look(now)
        return [tpu for tpu in self._present if now - self._since[tpu.device] >= self._settle]

    def _look(self, now: float) -> None:
        appeared = -math.inf if self._looked is None else now
        self._looked = now
        self._present = self._list_tpus()
        self._since = {tpu.device: self._since.get(tpu.device, appeared) for tpu in self._present}
