"""Whether the clock is right: it names clips and dates events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from edgecam.doctor.finding import Finding, fail, ok, skipped, warn
from edgecam.doctor.surroundings import Surroundings

EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""No edgecam is older."""
CONTAINER = ("run/systemd/container", ".dockerenv", "run/.containerenv")
_REMEDY = "`sudo timedatectl set-ntp true` and a network, or a clock with a battery on the board"


def check_clock(here: Surroundings) -> Iterator[Finding]:
    """It is not in the past, and follows another one."""
    now = here.clock.wall(here.clock.monotonic())
    told = f"{now:%Y-%m-%d %H:%M} UTC"
    if now < EARLIEST:
        yield fail(f"it is not {told}", _REMEDY)
    elif here.clock.synced():
        yield ok(f"{told}, synchronised")
    elif any(here.at(mark).exists() for mark in CONTAINER):
        yield skipped(f"{told}; a container follows its host's clock")
    else:
        yield warn(f"{told}, but nothing says that it is right", _REMEDY)
