"""The watch over the board: what it suffers is said once when it begins and once when it is over, and put beside the
loss of a detector, which a weak power supply often causes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgecam.health.board import REMEDIES, TROUBLES, Board, read_board
from edgecam.health.facts import BoardFacts
from edgecam.ports import Clock
from edgecam.worker import Worker

log = logging.getLogger(__name__)

TURN = 0.5
"""Longest wait of one turn, seconds."""
LOOK_EVERY = 5.0
"""Seconds between two looks at the board."""
QUIET = 30.0
"""What has not been seen for so long, in seconds, is over: a weak power supply comes and goes many times a minute."""
NEAR = 30.0
"""Seconds between a trouble of the board and the loss of a detector that may have to do with each other."""


@dataclass(frozen=True, slots=True)
class _Episode:
    """One trouble from its beginning until it was seen last, monotonic seconds."""

    began: float
    seen: float
    over: bool = False


class BoardWatch:
    """Makes episodes of what the board suffers. Time is an argument, monotonic seconds."""

    def __init__(self) -> None:
        self.facts = BoardFacts()
        self._last: dict[str, _Episode] = {}
        self._counts: dict[str, int] = {}
        self._beside: dict[str, tuple[float, str]] = {}
        self._looked = False

    def update(self, now: float, board: Board, losses: Mapping[str, float]) -> list[str]:
        """Take a look at the board, and say what is to be logged.

        `losses` has the cameras whose detector is lost, or another one than was asked for, and since when.
        """
        lines = [*self._earlier(board), *self._begun(now, board), *self._over(now), *self._lost(now, losses)]
        self.facts = BoardFacts(
            board=board,
            suffers={word: episode.began for word, episode in self._last.items() if not episode.over},
            episodes=dict(self._counts),
            beside={camera: said for camera, (_, said) in self._beside.items() if said},
        )
        return lines

    def _earlier(self, board: Board) -> list[str]:
        """What was before the first look: nobody knows when."""
        before = [word for word in board.throttled_ever if word not in board.throttled_now]
        if self._looked or not before:
            return []
        return [f"the board suffered before edgecam started: {', '.join(before)}"]

    def _begun(self, now: float, board: Board) -> list[str]:
        """Also what the board only remembers from between two looks."""
        known = set(self.facts.board.throttled_ever) if self._looked else set(board.throttled_ever)
        self._looked = True
        lines = []
        for word in TROUBLES.values():
            if word in board.throttled_now or word in set(board.throttled_ever) - known:
                last = self._last.get(word)
                if last is None or last.over:
                    self._counts[word] = self._counts.get(word, 0) + 1
                    lines.append(f"the board: {REMEDIES[word]}")
                    last = _Episode(now, now)
                self._last[word] = _Episode(last.began, now)
        return lines

    def _over(self, now: float) -> list[str]:
        lines = []
        for word, episode in self._last.items():
            if not episode.over and now - episode.seen >= QUIET:
                self._last[word] = _Episode(episode.began, episode.seen, over=True)
                lines.append(f"the board: {word} is over, after {max(episode.seen - episode.began, 1.0):.0f} s")
        return lines

    def _lost(self, now: float, losses: Mapping[str, float]) -> list[str]:
        """A trouble may be seen a little after the loss that it caused."""
        lines = []
        beside: dict[str, tuple[float, str]] = {}
        for camera, lost in losses.items():
            known = self._beside.get(camera)
            said = known[1] if known and known[0] == lost else ""
            if not said and now - lost <= NEAR + LOOK_EVERY:
                said = self._what_was_near(lost)
                if said:
                    lines.append(f"{camera}: the detector was lost, {said}: it may not get enough power")
            beside[camera] = (lost, said)
        self._beside = beside
        return lines

    def _what_was_near(self, lost: float) -> str:
        for word in TROUBLES.values():
            episode = self._last.get(word)
            if episode is None:
                continue
            if lost < episode.began:
                found = f"{word} {episode.began - lost:.0f} s after", episode.began - lost
            elif lost > episode.seen + LOOK_EVERY:
                found = f"{word} {lost - episode.seen:.0f} s before", lost - episode.seen
            else:
                found = f"{word} since {lost - episode.began:.0f} s before", 0.0
            if found[1] <= NEAR:
                return found[0]
        return ""


class BoardWorker(Worker):
    """Looks at the board every few seconds. `facts` may be asked for from any thread; `losses` is as in BoardWatch."""

    def __init__(
        self,
        clock: Clock,
        on_exit: Callable[[], None] = lambda: None,
        *,
        losses: Callable[[], Mapping[str, float]] = dict,
        read: Callable[[], Board] = read_board,
    ) -> None:
        super().__init__("board", on_exit)
        self._clock = clock
        self._losses = losses
        self._read = read
        self._watch = BoardWatch()
        self._due = float("-inf")

    @property
    def facts(self) -> BoardFacts:
        """The board as it was seen last."""
        return self._watch.facts

    def step(self) -> None:
        now = self._clock.monotonic()
        if now < self._due:
            self.stopping.wait(min(TURN, self._due - now))
            return
        self._due = now + LOOK_EVERY
        for line in self._watch.update(now, self._read(), self._losses()):
            log.warning("%s", line)
