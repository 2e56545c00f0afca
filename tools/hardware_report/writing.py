"""The report: one document, and the same for people."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hardware_report.values import Outcome, State

FORMAT = 1
"""Of the document; it grows where a reader of the older one would be wrong."""
_MOST_ITEMS = 40

_MEANING = """\
Seconds are those of the whole step. Durations in the figures are seconds; p50, p95, p99 are percentiles.
"not here": this machine lacks what the step needs, which is no failure.
"""


@dataclass(frozen=True)
class Report:
    """What was done so far. `commit` is the checkout's, "" where it is not known; `options` those of the check.

    `stand_in` says that the host was a pretended one (EDGECAM_HOST_ROOT), so that nothing here is of real hardware.
    """

    started: datetime
    version: str
    commit: str
    options: Sequence[str]
    stand_in: bool
    outcomes: Sequence[Outcome]

    @property
    def complete(self) -> bool:
        """Whether every step that could run ran."""
        return all(outcome.state in {State.OK, State.ABSENT} for outcome in self.outcomes)

    def document(self) -> dict[str, Any]:
        """The form for JSON: format, started, edgecam, commit, options, stand_in, complete, steps (see Outcome)."""
        return {
            "format": FORMAT,
            "started": self.started.isoformat(timespec="seconds"),
            "edgecam": self.version,
            "commit": self.commit,
            "options": list(self.options),
            "stand_in": self.stand_in,
            "complete": self.complete,
            "steps": [asdict(outcome) for outcome in self.outcomes],
        }

    def markdown(self) -> str:
        """The form for people."""
        rows = ["| step | result | seconds | °C | in short |", "|---|---|--:|--:|---|", *map(_row, self.outcomes)]
        head = [
            "# edgecam: hardware report",
            "",
            *(["**Of a pretended host (EDGECAM_HOST_ROOT): no figure here is of real hardware.**", ""] * self.stand_in),
            f"{self.started:%Y-%m-%d %H:%M} UTC, edgecam {self.version} {self.commit}".rstrip(),
            f"options: {' '.join(self.options) or 'none'}",
            "",
            _MEANING,
        ]
        return "\n".join([*head, *rows, *(line for outcome in self.outcomes for line in _chapter(outcome))]) + "\n"


def new_folder(parent: Path, started: datetime) -> Path:
    """Make hardware-report-DATE-HOST, with a number after it where there is one already. Raises OSError."""
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname().partition(".")[0]) or "host"
    name = f"hardware-report-{started:%Y-%m-%d}-{host}"
    for number in range(1, 1000):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{parent}: too many reports of one day")


def write(report: Report, folder: Path) -> None:
    """Both forms, each whole or as it was before. Raises OSError."""
    _write_whole(folder / "report.json", json.dumps(report.document(), indent=1, allow_nan=False) + "\n")
    _write_whole(folder / "report.md", report.markdown())


def _write_whole(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _row(outcome: Outcome) -> str:
    heat = outcome.heat.get("celsius")
    seconds = f"{outcome.seconds:.1f}" if outcome.seconds else ""
    cells = (outcome.step, outcome.state, seconds, f"{heat:g}" if heat else "", outcome.reason or outcome.brief)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _chapter(outcome: Outcome) -> Iterator[str]:
    """All figures of a step; nothing where there are none."""
    if outcome.figures is None and not outcome.command:
        return
    yield from ("", f"## {outcome.step}", "")
    if outcome.command:
        yield from (f"`{outcome.command}`", "")
    if outcome.reason:
        yield from (f"**{outcome.state}: {outcome.reason}**", "")
    if throttled := outcome.heat.get("throttled"):
        yield from (f"The firmware: {', '.join(throttled)}.", "")
    if outcome.said:
        yield from (*(f"> {line}  " for line in outcome.said), "")
    lines = list(flat(outcome.figures))
    width = max((len(name) for name, _ in lines), default=0)
    if lines:
        yield from ("```", *(f"{name.ljust(width)}  {value}".strip() for name, value in lines), "```")


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """A document as names and values: {"a": {"b": [1, 2]}} is a.b = 1 2.

    Without what is empty, and models that are not present; of long lists, the beginning.
    """
    if value is None or value == "" or (isinstance(value, dict) and value.get("present") is False):
        return
    if isinstance(value, dict):
        for key, each in value.items():
            yield from flat(each, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(each, dict | list | tuple) for each in value):
        for number, each in enumerate(value[:_MOST_ITEMS]):
            yield from flat(each, f"{name}[{number}]")
        if len(value) > _MOST_ITEMS:
            yield f"{name}[…]", f"{len(value) - _MOST_ITEMS} more, in report.json"
    elif isinstance(value, list | tuple):
        yield name, " ".join(map(str, value)) or "none"
    else:
        yield name, str(value)
