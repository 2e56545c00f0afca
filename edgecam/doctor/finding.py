"""What a check found: how it stands, what was seen, and the remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgecam.doctor.surroundings import Surroundings


class State(StrEnum):
    """ok: as it should be; warn: works, worse than it could; fail: does not work; skipped: not to be told here."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `check` is the name of what looked ("" until `examine` adds it).

    `detail` is one line; `remedy` is what to do, never empty for warn and fail.
    """

    check: str
    state: State
    detail: str
    remedy: str = ""


Check = Callable[["Surroundings"], Iterable[Finding]]
"""Looks at one subject, and tells what it finds; changes and disturbs nothing."""


def ok(detail: str) -> Finding:
    """As it should be."""
    return Finding("", State.OK, detail)


def warn(detail: str, remedy: str) -> Finding:
    """It works, but worse than it could, or not for long."""
    return Finding("", State.WARN, detail, remedy)


def fail(detail: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding("", State.FAIL, detail, remedy)


def skipped(detail: str, remedy: str = "") -> Finding:
    """Nothing to look at, or it cannot be told here; `remedy` is how to have it looked at."""
    return Finding("", State.SKIPPED, detail, remedy)


def parted(message: str, otherwise: str) -> tuple[str, str]:
    """The detail and the remedy of one of edgecam's messages, `the thing: what is wrong: remedy`.

    A message without a remedy has `otherwise`.
    """
    detail, separator, remedy = message.rpartition(": ")
    return (detail, remedy) if separator and " " in detail else (message, otherwise)
