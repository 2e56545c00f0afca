"""How quick a model is on one thread of the CPU: one that is quick is given no second thread."""

from __future__ import annotations

from collections.abc import Callable

QUICK = 0.008
"""Seconds of an invoke, below which a second thread buys little: the rest of edgecam needs that core, too."""
_TRIES = 3


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
