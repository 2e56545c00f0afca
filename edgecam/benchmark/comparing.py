"""Two benchmarks beside each other: which figures differ by more than the rounds of each do among themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from pathlib import Path
from statistics import fmean, variance
from typing import Any

from edgecam.errors import InputError

#: Student's t, two-sided, at 99 %, by degrees of freedom from 1 on; beyond the last, that of the normal distribution.
_T99 = (63.66, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055, 3.012, 2.977, 2.947)
_T99_MANY = 2.576
_KINDS = ({"machine", "bare", "pipeline"}, {"machine", "limit", "cameras"})
_LEAST = 0.02
"""A difference of less than 2 % is none: no machine is that steady."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure before and after, the means of the rounds; `noise` is how far they may differ by chance alone.

    `more_is_better`: as with frames per second.
    """

    name: str
    unit: str
    before: float
    after: float
    noise: float
    more_is_better: bool

    @property
    def change(self) -> float:
        """By what part of the figure before it grew."""
        return (self.after - self.before) / self.before if self.before else 0.0

    @property
    def verdict(self) -> str:
        """In words: `better` or `worse` where the difference is beyond noise, else `same`; `?` with a single round."""
        if self.noise == inf:
            return "?"
        if abs(self.after - self.before) <= max(self.noise, _LEAST * abs(self.before)):
            return "same"
        return "better" if (self.after > self.before) is self.more_is_better else "worse"


def load(path: Path) -> dict[str, Any]:
    """A document of `edgecam bench --json`. Raises InputError for anything else."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON: give what `edgecam bench --json` wrote") from error
    if not isinstance(document, dict) or not any(kind <= document.keys() for kind in _KINDS):
        raise InputError(f"{path}: not a benchmark: give what `edgecam bench --json` wrote")
    return document


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Every figure that both have rounds of, as `Report.document` and `SeveralReport.document` have them."""
    others = {name: rounds for name, _, _, rounds in _figures(after)}
    return [
        difference(name, unit, rounds, others[name], more_is_better=more)
        for name, unit, more, rounds in _figures(before)
        if others.get(name) and rounds
    ]


def difference(
    name: str, unit: str, before: Sequence[float], after: Sequence[float], *, more_is_better: bool
) -> Difference:
    """Welch's test at 99 %, by degrees of freedom after Welch and Satterthwaite (Welch, Biometrika 34, 1947)."""
    return Difference(name, unit, fmean(before), fmean(after), _noise(before, after), more_is_better)


def _noise(before: Sequence[float], after: Sequence[float]) -> float:
    if min(len(before), len(after)) < 2:
        return inf
    parts = [(variance(rounds) / len(rounds), len(rounds) - 1) for rounds in (before, after)]
    total = sum(part for part, _ in parts)
    if total == 0:
        return 0.0
    freedom = int(total**2 / sum(part**2 / free for part, free in parts))
    return (_T99[freedom - 1] if freedom <= len(_T99) else _T99_MANY) * sqrt(total)


def machines_differ(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What is not the same in the two but should be: to compare them says little then."""
    parts = {"machine": ("board", "cpu", "cores"), "detector": ("model", "device"), "plan": ("fps", "cameras")}
    return [
        f"{key}: {before.get(part, {}).get(key)} and {after.get(part, {}).get(key)}"
        for part, keys in parts.items()
        for key in keys
        if before.get(part, {}).get(key) != after.get(part, {}).get(key)
    ]


def _figures(document: Mapping[str, Any]) -> Iterator[tuple[str, str, bool, Sequence[float]]]:
    """Name, unit, whether more is better, and the rounds: those first that a busy machine hardly touches."""
    if "cameras" in document:
        for each in document["cameras"]:
            yield f"{each['cameras']} cameras / possible", "", True, each["rounds"]
        return
    bare = document["bare"]["rounds"]
    for part in ("host", "pipeline"):
        if part in document:
            ratios = [ours / least for ours, least in zip(document[part]["rounds"], bare, strict=True) if least]
            yield f"{part} / bare", "", True, ratios
    for stage in document.get("stages", ()):
        yield f"{stage['name']} / {stage['against']}", "", False, stage["rounds"]
    if "cpu" in document:
        yield "CPU a frame", "ms", False, [1000 * each for each in document["cpu"]["rounds"]]
    if "memory" in document:
        yield "memory", "MB", False, [each / 1e6 for each in document["memory"]["rounds"]]
    if "start" in document:
        yield "start", "s", False, document["start"]["rounds"]
    for part in ("bare", "host", "pipeline"):
        if part in document:
            yield part, "fps", True, document[part]["rounds"]
