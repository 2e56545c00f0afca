"""What the owner may choose when installing. Imported with every command, so it is light."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: What each option does, here and in the commands of edgecam.
HELP = {
    "dry_run": "Print every step, and change nothing.",
    "wheel": "Install this wheel instead of what is running.",
    "offline": "Take all packages from this folder of wheels.",
    "model": "Fetch this model, too; may be repeated.",
    "no_apt": "Leave Debian's packages alone.",
    "no_coral": "Leave the Edge TPU's library alone.",
    "no_start": "Do not start it now.",
    "ready_within": "Longest wait for the first analysed frame, in seconds.",
    "python": "The system's Python.",
    "root": "Install into this folder instead of the machine.",
    "purge": "Configuration, recordings, user and added packages, too.",
}


@dataclass(frozen=True)
class Options:
    """What the owner may choose. `ready_within`: seconds."""

    root: Path = Path("/")
    wheel: Path | None = None
    offline: Path | None = None
    python: str = "/usr/bin/python3"
    models: tuple[str, ...] = ()
    apt: bool = True
    coral: bool = True
    start: bool = True
    ready_within: float = 90.0
    dry_run: bool = False
