"""The configuration of continuous recording."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from edgecam.config.sections import Section


class ContinuousSection(Section):
    """A video of all there is, in segments, encoded as the clips are, and once for both."""

    enabled: bool = Field(default=False, description="Record all there is.")
    segment_length: float = Field(default=600.0, ge=10, le=3600, description="Seconds of each file.")
    max_age: float = Field(default=259_200.0, ge=0, description="Seconds that a segment stays; 0: no limit.")
    max_bytes: int = Field(default=0, ge=0, description="Most bytes of all segments together; 0: no limit.")

    def bounds(self) -> dict[str, Any]:
        """Keywords of `edgecam.retention.Policy`: 0 is no bound."""
        return {"max_age": self.max_age or None, "max_bytes": self.max_bytes or None}
