"""The judgement on every thread: does it still take its turns, and if not, where does it stand?"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from types import FrameType

from edgecam.worker import Worker

log = logging.getLogger(__name__)

MOST_AT_ONCE = 1.0
"""Most seconds that count between two looks: while nobody looked, all of the process stood still, or the machine."""
_PACKAGE = str(Path(__file__).parent)


class Supervision:
    """Watches the beats of workers; `look` is to be called several times a second.

    A worker hangs once it has shown no beat for longer than its `beat_limit`, in time during which somebody looked: a
    process that was stopped for a minute is not hung when it goes on. A thread that has ended does not hang. Sinks
    on the disk are not for this judgement: an SD card that does nothing for half a minute is no reason to restart.
    """

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._watched = [_Watched(worker) for worker in workers]
        self._looked: float | None = None

    @property
    def hung(self) -> list[str]:
        """The names of the workers that hang, the one silent for longest first."""
        silent = sorted((each for each in self._watched if each.hangs), key=lambda each: -each.silence)
        return [each.worker.name for each in silent]

    def look(self, now: float | None = None) -> bool:
        """Judge them all at the monotonic time `now`; True while none hangs. A hang is logged at once, and its end."""
        now = monotonic() if now is None else now
        elapsed = 0.0 if self._looked is None else min(now - self._looked, MOST_AT_ONCE)
        self._looked = now
        for each in self._watched:
            each.look(elapsed)
        return not any(each.hangs for each in self._watched)


class _Watched:
    """One worker, and for how many seconds it has shown no life."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.silence = 0.0
        self.hangs = False
        self._beat = worker.beat

    def look(self, elapsed: float) -> None:
        beat = self.worker.beat
        alive = self.worker.is_alive()
        if alive and beat == self._beat:
            self.silence += elapsed
            if not self.hangs and self.silence > self.worker.beat_limit:
                self._begins()
            return
        if self.hangs:
            self._ends("goes on" if alive else "has ended")
        self.silence, self._beat = 0.0, beat

    def _begins(self) -> None:
        self.hangs = True
        log.critical(
            "%s hangs: no sign of life for %.1f s, %s",
            self.worker.name,
            self.silence,
            whereabouts(self.worker),
            extra={"worker": self.worker.name, "camera": self.worker.camera},
        )

    def _ends(self, how: str) -> None:
        self.hangs = False
        log.warning("%s %s after %.1f s without a sign of life", self.worker.name, how, self.silence)


def whereabouts(worker: Worker) -> str:
    """What a thread is doing, in one line: the function it is in, and those of edgecam's that led there."""
    frame = sys._current_frames().get(worker.ident or 0)  # noqa: SLF001 (documented, and the only way)
    if frame is None:
        return "not running"
    inner, *callers = traceback.walk_stack(frame)
    own = [_place(*each) for each in callers if each[0].f_code.co_filename.startswith(_PACKAGE)]
    return "in " + ", from ".join([_place(*inner), *own[:2]])


def _place(frame: FrameType, line: int) -> str:
    """Where a frame is, without a look at its file: the disk may be what hangs."""
    code = frame.f_code
    return f"{code.co_name} ({'/'.join(code.co_filename.rsplit('/', 2)[1:])}:{line})"
