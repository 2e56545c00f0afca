"""Measures one detector process: its bare loop, its two slots in use, and one frame at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgecam.benchmark.figures import Rate
from edgecam.errors import DetectorError
from edgecam.ports import Clock

if TYPE_CHECKING:
    from edgecam.detectors.process import Answer, DetectorProcess

LEAST = 3
"""Fewest inferences of a measurement, however short the time."""
TURN = 1.0
"""Seconds between two looks at an answer that does not come; the process has its own, shorter or longer, limit."""

Tensors = Sequence[NDArray[np.generic]]


@contextmanager
def running(process: DetectorProcess, limit: float) -> Iterator[DetectorProcess]:
    """Start it, wait until it is ready and end it again. Raises DetectorError, also where that takes over `limit` s."""
    try:
        process.start()
        if not process.wait_ready(limit):
            raise DetectorError(f"the detector process is not ready after {limit:g} s: is the machine overloaded?")
        yield process
    finally:
        process.kill()


def bare(process: DetectorProcess, tensor: NDArray[np.generic], seconds: float) -> list[float]:
    """The seconds of each invoke of a tight loop that lasts about `seconds`, on one input. Raises DetectorError."""
    process.submit(tensor)
    _next_answer(process)
    pace = median(process.bare(LEAST))
    return process.bare(max(LEAST, round(seconds / pace)))


def both_slots(process: DetectorProcess, tensors: Tensors, seconds: float, clock: Clock) -> Rate:
    """Frames per second with the next frame handed in while the process works on one. Raises DetectorError."""
    coming = cycle(tensors)
    for _ in range(process.SLOTS):
        process.submit(next(coming))
    _next_answer(process)
    begin = now = clock.monotonic()
    frames = 0
    while frames < LEAST or now < begin + seconds:
        process.submit(next(coming))
        _next_answer(process)
        frames += 1
        now = clock.monotonic()
    while process.under_way:
        _next_answer(process)
    return Rate(frames, now - begin)


def one_at_a_time(process: DetectorProcess, tensors: Tensors, seconds: float, clock: Clock) -> list[float]:
    """The seconds from handing in a frame to its answer, less the invoke, of each frame. Raises DetectorError."""
    overheads: list[float] = []
    end = clock.monotonic() + seconds
    for tensor in cycle(tensors):
        begin = clock.monotonic()
        process.submit(tensor)
        answer = _next_answer(process)
        now = clock.monotonic()
        overheads.append(now - begin - answer.seconds)
        if len(overheads) >= LEAST and now >= end:
            break
    return overheads


def _next_answer(process: DetectorProcess) -> Answer:
    while (answer := process.collect(TURN)) is None:
        pass
    return answer
