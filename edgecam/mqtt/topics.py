"""The names of all topics. They do not change: others have built on them."""

from __future__ import annotations

import re
from dataclasses import dataclass

SWITCHES = ("detect", "recordings", "snapshots")
"""What can be switched on and off at each camera."""
RESERVED = frozenset({*SWITCHES, "snapshot", "picture", "lines", "all"})
"""Names below a camera's topic that no label can have."""


def level(name: str) -> str:
    """A label or a line as one level of a topic: `/`, `+`, `#` and NUL become `_`; a reserved name gets one more."""
    plain = re.sub(r"[/+#\0]", "_", name) or "_"
    return plain + "_" if plain in RESERVED else plain


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics below one prefix. Those of cameras and zones are Frigate's, where Frigate has them."""

    prefix: str = "edgecam"

    @property
    def available(self) -> str:
        """`online`, `stopped` or, by the will, `offline`; retained."""
        return f"{self.prefix}/available"

    @property
    def events(self) -> str:
        """Every event message, in Frigate's form, QoS 1."""
        return f"{self.prefix}/events"

    @property
    def status(self) -> str:
        """How edgecam is, retained."""
        return f"{self.prefix}/status"

    @property
    def stats(self) -> str:
        """Rates, counts and latencies, now and then."""
        return f"{self.prefix}/stats"

    def count(self, place: str, label: str) -> str:
        """How many objects of a label a camera sees, or a zone holds; retained."""
        return f"{self.prefix}/{place}/{level(label)}"

    def active(self, place: str, label: str) -> str:
        """How many of them are not stationary; retained."""
        return f"{self.count(place, label)}/active"

    def total(self, place: str) -> str:
        """How many objects of all labels a camera sees, or a zone holds; retained."""
        return f"{self.prefix}/{place}/all"

    def total_active(self, place: str) -> str:
        """How many of those are not stationary; retained."""
        return f"{self.total(place)}/active"

    def snapshot(self, camera: str, label: str) -> str:
        """The JPEG of the last event of a label, or where it lies; retained."""
        return f"{self.count(camera, label)}/snapshot"

    def picture(self, camera: str) -> str:
        """A JPEG of the camera, from the last event or the last one asked for; retained."""
        return f"{self.prefix}/{camera}/picture"

    def take_snapshot(self, camera: str) -> str:
        """The command to take a picture now."""
        return f"{self.prefix}/{camera}/snapshot"

    def snapshot_taken(self, camera: str) -> str:
        """Its answer: when, and where the picture lies; retained."""
        return f"{self.prefix}/{camera}/snapshot/state"

    def crossed(self, camera: str, line: str, direction: str) -> str:
        """How many objects went over a line since edgecam started; retained."""
        return f"{self.prefix}/{camera}/lines/{level(line)}/{level(direction)}"

    def set(self, camera: str, switch: str) -> str:
        """The command for a switch: `ON` or `OFF`."""
        return f"{self.prefix}/{camera}/{switch}/set"

    def state(self, camera: str, switch: str) -> str:
        """How a switch stands; retained."""
        return f"{self.prefix}/{camera}/{switch}/state"
