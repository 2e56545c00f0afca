"""How rates, latencies, temperature and losses were: an hour finely and a week coarsely, in memory, for small plots."""

from __future__ import annotations

import math
import re
from array import array
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple

from pydantic import Field

from edgecam.health.status import Document

FINE_EVERY = 10.0
"""Seconds between two fine samples."""
FINE_SAMPLES = 360
COARSE_OF = 30
"""Fine samples that make a coarse one."""
COARSE_SAMPLES = 2016
HOURS = 168
"""As far as the coarse ones reach."""
NOTED = 200
"""Losses and recoveries that are remembered."""
_NONE = math.nan


class CameraHistory(Document):
    """One camera: a value for each of the times; null where there is none."""

    captured: list[float | None] = Field(description="Frames per second that it gave.")
    analysed: list[float | None] = Field(description="Frames per second that the detector looked at.")
    dropped: list[float | None] = Field(description="Frames that some sink did not take, since the time before.")
    inference: list[float | None] = Field(description="The detector's own time, p50, seconds.")
    detect: list[float | None] = Field(description="From a frame until its analysis, p50, seconds.")
    output: list[float | None] = Field(description="From a frame until every sink had it, p50, seconds.")


class Noted(Document):
    """Something was lost, or came back."""

    time: float = Field(description="When that was seen, Unix seconds.")
    reason: str = Field(description="What it is, in plain words, as in the status.")
    over: bool = Field(description="False: it began. True: it is over.")


class HistoryAnswer(Document):
    """How things were."""

    interval: float = Field(description="Seconds between two times, about.")
    times: list[float] = Field(description="Unix seconds, oldest first.")
    cameras: dict[str, CameraHistory] = Field(description="The cameras, by name.")
    temperature_celsius: list[float | None] = Field(description="Of the board's processor.")
    cpu: list[float | None] = Field(description="CPU cores in use; 1 is one core all the time.")
    rss_bytes: list[float | None] = Field(description="Memory in use.")
    log: list[Noted] = Field(description=f"Losses and recoveries since the start, oldest first, the last {NOTED}.")


_CAMERA = tuple(CameraHistory.model_fields)
_BOARD = ("temperature_celsius", "cpu", "rss_bytes")


class _Sample(NamedTuple):
    """What was at one time; the values as `History` names them."""

    time: float
    values: array[float]


class History:
    """Takes samples, and tells of the last hours. Bounded: about a hundred bytes a sample and camera. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._names: tuple[str, ...] = ()
        self._fine: deque[_Sample] = deque(maxlen=FINE_SAMPLES)
        self._coarse: deque[_Sample] = deque(maxlen=COARSE_SAMPLES)
        self._since_coarse: list[_Sample] = []
        self._dropped: dict[str, int] = {}
        self._reasons: dict[str, str] = {}
        self._log: deque[Noted] = deque(maxlen=NOTED)

    def take(self, document: Mapping[str, Any]) -> None:
        """Take a sample. `document` is that of a Report."""
        with self._lock:
            stats, now = document["stats"], document["stats"]["time"]
            names = tuple(stats["cameras"])
            if names != self._names:  # never while it runs, but at the start
                self._names = names
                self._fine.clear()
                self._coarse.clear()
                self._since_coarse.clear()
            self._note(now, document["status"]["reasons"])
            sample = _Sample(now, array("f", map(_number, self._values(stats))))
            self._fine.append(sample)
            self._since_coarse.append(sample)
            if len(self._since_coarse) == COARSE_OF:
                self._coarse.append(self._together(self._since_coarse))
                self._since_coarse.clear()

    def answer(self, hours: float) -> HistoryAnswer:
        """How things were in the last `hours`: finely as far as an hour reaches, else coarsely."""
        with self._lock:
            fine = hours * 3600 <= FINE_SAMPLES * FINE_EVERY
            interval = FINE_EVERY if fine else FINE_EVERY * COARSE_OF
            samples = list(self._fine if fine else self._coarse)[-math.ceil(hours * 3600 / interval) :]
            columns = {
                name: [_known(each.values[place]) for each in samples] for place, name in enumerate(self._keys())
            }
            return HistoryAnswer(
                interval=interval,
                times=[each.time for each in samples],
                cameras={
                    camera: CameraHistory(**{key: columns[f"{camera}.{key}"] for key in _CAMERA})
                    for camera in self._names
                },
                log=list(self._log),
                **{key: columns[key] for key in _BOARD},
            )

    def _keys(self) -> list[str]:
        """The names of a sample's values, in order."""
        return [f"{camera}.{key}" for camera in self._names for key in _CAMERA] + list(_BOARD)

    def _values(self, stats: Mapping[str, Any]) -> Iterable[float | None]:
        for name, camera in stats["cameras"].items():
            fps, latencies = camera["fps"], camera["latencies"]
            dropped = camera["counters"]["frames_dropped"]
            yield from (fps["captured"], fps["analysed"], dropped - self._dropped.get(name, dropped))
            yield from (latencies[stage]["p50"] for stage in ("inference", "detect", "output"))
            self._dropped[name] = dropped
        process = stats["process"]
        yield from (process["temperature_celsius"], process["cpu"], process["rss_bytes"])

    def _together(self, samples: Sequence[_Sample]) -> _Sample:
        """One sample for several: losses are added up, of all others the mean is taken."""
        together = array("f")
        for place, key in enumerate(self._keys()):
            known = [each.values[place] for each in samples if not math.isnan(each.values[place])]
            together.append(_total(known) if key.endswith(".dropped") else _mean(known))
        return _Sample(samples[-1].time, together)

    def _note(self, now: float, reasons: Iterable[str]) -> None:
        """Remember what began and what is over; the numbers in a reason may change meanwhile."""
        current = {re.sub(r"\d+", "0", reason): reason for reason in reasons}
        for key in [key for key in self._reasons if key not in current]:
            self._log.append(Noted(time=now, reason=self._reasons.pop(key), over=True))
        for key, reason in current.items():
            if key not in self._reasons:
                self._reasons[key] = reason
                self._log.append(Noted(time=now, reason=reason, over=False))


def _number(value: float | None) -> float:
    return _NONE if value is None else float(value)


def _known(value: float) -> float | None:
    """A value with the digits that it has."""
    return None if math.isnan(value) else float(f"{value:.6g}")


def _total(values: Sequence[float]) -> float:
    return sum(values) if values else _NONE


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else _NONE
