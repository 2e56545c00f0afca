"""How many CPU threads a model gets: one where it is quick on that, else as many as it gives right results with."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TypeVar

from edgecam.modelfile import ModelFile

log = logging.getLogger(__name__)
T = TypeVar("T")

QUICK = 0.008
"""Seconds of an invoke, below which a second thread buys little: the rest of edgecam needs that core, too."""
_TRIES = 3
_MOST_AUTOMATIC_THREADS = 4


def with_fitting_threads(file: ModelFile, asked: int, start: Callable[[int], T], quick: Callable[[T], bool]) -> T:
    """What `start` makes of the threads this model gets: as many of the `asked` as fit it; 0: as suits the model.

    Then, where more than one fits the model and the machine, it is started with one, and goes on with that where
    `quick` says so. Else `start` is called once more: what it made first is not used again.
    """
    most = fitting_threads(file, asked or automatic_threads())
    if asked or most == 1:
        return start(most)
    started = start(1)
    if quick(started):
        log.info("%s: one CPU thread: an invoke takes less than %.0f ms", file.path, QUICK * 1000)
        return started
    log.info("%s: %d CPU threads", file.path, most)
    return start(most)


def automatic_threads() -> int:
    """One thread per core this process may use, four at most: more than there are free cores slow it down."""
    return min(_MOST_AUTOMATIC_THREADS, len(os.sched_getaffinity(0)))


def fitting_threads(file: ModelFile, wanted: int) -> int:
    """The threads, `wanted` or fewer, that this model gives right results with.

    Regular (class-wise) suppression on T threads, fewer than there are classes, silently loses class T: seen on
    tflite-runtime 2.14 and ai-edge-litert 2.3, with 3 to 12 classes on 2 to 4 threads. One thread loses nothing.
    """
    operator = file.postprocess
    if wanted == 1 or operator is None or not operator.regular_nms or wanted >= (operator.classes or wanted + 1):
        return wanted
    log.info("%s: regular NMS loses a class on %d threads: one is used", file.path, wanted)
    return 1


def is_quick(invoke: Callable[[], float]) -> bool:
    """Whether one invoke, whose seconds `invoke` returns, takes less than QUICK.

    The first one counts for nothing, since it readies the weights. Of the next three one must be quick, as a busy
    machine may hold up the others; but twice QUICK is no matter of luck, and ends it.
    """
    invoke()
    for _ in range(_TRIES):
        seconds = invoke()
        if seconds < QUICK:
            return True
        if seconds > 2 * QUICK:
            return False
    return False
