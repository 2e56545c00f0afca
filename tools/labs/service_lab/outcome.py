"""How a round went: its figures and what was not as it should be."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Outcome:
    """One round on one Debian."""

    round: str
    suite: str
    figures: dict[str, str] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def note(self, name: str, value: object) -> None:
        """Keep a figure."""
        self.figures[name] = str(value)
        print(f"tools/labs/service: {self.suite}: {self.round}: {name}: {value}", file=sys.stderr, flush=True)

    def expect(self, true: object, complaint: str) -> bool:
        """Note the complaint unless it is true; returns whether it is."""
        if not true:
            self.complaints.append(complaint)
            print(f"tools/labs/service: {self.suite}: {self.round}: ! {complaint}", file=sys.stderr, flush=True)
        return bool(true)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"passed": not self.complaints}
