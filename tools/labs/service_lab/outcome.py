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
    lab: str = "service"

    def note(self, name: str, value: object) -> None:
        """Keep a figure."""
        self.figures[name] = str(value)
        print(f"tools/labs/{self.lab}: {self.suite}: {self.round}: {name}: {value}", file=sys.stderr, flush=True)

    def expect(self, true: object, complaint: str) -> bool:
        """Note the complaint unless it is true; returns whether it is."""
        if not true:
            self.complaints.append(complaint)
            print(f"tools/labs/{self.lab}: {self.suite}: {self.round}: ! {complaint}", file=sys.stderr, flush=True)
        return bool(true)

    def lines(self) -> list[str]:
        """For people: a line for each figure, then the complaints."""
        return [
            f"{'FAIL' if self.complaints else 'ok  '}  {self.suite}: {self.round}",
            *(f"      {name:32} {value}" for name, value in self.figures.items()),
            *(f"      ! {complaint}" for complaint in self.complaints),
        ]

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"passed": not self.complaints}
