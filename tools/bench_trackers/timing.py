"""What an update costs: all trackers in turn, in the same run, on the same detections."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from random import Random
from statistics import median
from time import thread_time

from bench_trackers.contenders import Entry
from edgecam.types import BBox, Detection

RATE = 10
_FRAMES = 200


def crowd(count: int, seed: int = 3) -> list[tuple[float, list[Detection]]]:
    """So many people walking about, seen ten times a second by a middling detector."""
    dice = Random(seed)
    people = [
        (dice.random(), dice.uniform(0.2, 0.8), dice.uniform(0.06, 0.2), dice.choice([-1, 1]) * dice.uniform(0.02, 0.1))
        for _ in range(count)
    ]
    frames = []
    for number in range(_FRAMES):
        found = []
        for start, y, height, speed in people:
            x = abs((start + speed * number / RATE) % 2 - 1)
            box = (x - height / 4, y - height / 2, x + height / 4, y + height / 2)
            edges = BBox(*(edge + dice.gauss(0, 0.04) * height for edge in box))
            score = min(0.98, max(0.3, dice.gauss(0.75, 0.12)))
            if dice.random() > 0.05:
                found.append(Detection("person", score, edges))
        frames.append((number / RATE, found))
    return frames


def milliseconds(entries: Sequence[Entry], objects: int, rounds: int) -> dict[str, float]:
    """Median over the rounds of the mean CPU time of an update, by name; every tracker once in every round."""
    frames = crowd(objects)
    times: dict[str, list[float]] = {entry.name: [] for entry in entries}
    for turn in range(rounds):
        for entry in (*entries[turn % len(entries) :], *entries[: turn % len(entries)]):
            times[entry.name].append(_once(entry, frames))
    return {name: median(one) for name, one in times.items()}


def _once(entry: Entry, frames: list[tuple[float, list[Detection]]]) -> float:
    contender = entry.start(RATE)
    prepared = [contender.prepare(*frame) for frame in frames]
    gc.collect()
    began = thread_time()
    for one in prepared:
        contender.update(one)
    return 1000 * (thread_time() - began) / len(frames)
