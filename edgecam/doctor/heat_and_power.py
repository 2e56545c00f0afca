"""Whether the board has power and cooling enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgecam.doctor.finding import Finding, fail, ok, skipped, warn
from edgecam.doctor.surroundings import Surroundings
from edgecam.health.board import UNDER_VOLTAGE, read_board

HOT, TOO_HOT = 70.0, 80.0
"""Degrees Celsius: a Raspberry Pi slows down from 80 on (its documentation: "frequency management")."""
_POWER = "take the board's own power supply and a short cable; an Edge TPU takes 900 mA more: a powered hub helps"
_COOL = "give it a fan or a heat sink, and air"


def check_power(here: Surroundings) -> Iterator[Finding]:
    """Under-voltage and throttling, now and since the start of the board, where it watches its power."""
    board = read_board(here.root)
    before = [word for word in board.throttled_ever if word not in board.throttled_now]
    if not board.watched:
        yield skipped("this board does not watch its power")
    if board.throttled_now:
        yield fail(f"now: {', '.join(board.throttled_now)}", _remedy(board.throttled_now))
    if before:
        yield warn(f"since the start: {', '.join(before)}", _remedy(before))
    if board.watched and not board.throttled_ever:
        yield ok("neither under-voltage nor throttling")


def check_temperature(here: Surroundings) -> Iterator[Finding]:
    """The processor's temperature."""
    celsius = read_board(here.root).temperature_celsius
    if celsius is None:
        yield skipped("no temperature is told here")
    elif celsius >= TOO_HOT:
        yield fail(f"{celsius:.0f} degrees Celsius: it slows down", _COOL)
    elif celsius >= HOT:
        yield warn(f"{celsius:.0f} degrees Celsius: it slows down at {TOO_HOT:.0f}", _COOL)
    else:
        yield ok(f"{celsius:.0f} degrees Celsius")


def _remedy(words: Sequence[str]) -> str:
    return _POWER if UNDER_VOLTAGE in words else _COOL
