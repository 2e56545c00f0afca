"""The section of the configuration about what is deleted, and when."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from edgecam.config.sections import Label, Section

_Age = Annotated[float, Field(ge=0)]


class RetentionSection(Section):
    """How long clips stay, and how much room they take. The oldest go first, favourites never."""

    max_age: _Age = Field(default=864_000.0, description="Seconds that a clip stays; 0: no limit.")
    max_bytes: int = Field(default=0, ge=0, description="Most bytes of all clips together; 0: no limit.")
    min_free_bytes: int = Field(default=1_000_000_000, ge=0, description="Bytes that stay free on the disk; 0: none.")
    labels: dict[Label, _Age] = Field(default={}, description="Other ages, by label: { person = 2592000.0 }.")
    events_max_age: _Age = Field(
        default=7_776_000.0,
        description="Seconds that an event stays once it has no clip, with its picture; 0: no limit.",
    )

    def bounds(self) -> dict[str, Any]:
        """The keywords of `edgecam.retention.Policy`: 0 is no bound."""
        return {
            "max_age": self.max_age or None,
            "max_bytes": self.max_bytes or None,
            "min_free_bytes": self.min_free_bytes,
            "label_max_age": {label: age or None for label, age in self.labels.items()},
        }
