"""A plan is a list of steps: each says what it does, whether it is needed, does it, and takes it back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from edgecam.errors import EdgecamError


class Shortcoming(EdgecamError):
    """A step did not succeed, and edgecam runs without it: the others go on."""


class Unfinished(EdgecamError):
    """A step did not succeed; nothing is taken back, the others go on, but the installation has failed."""


class Step(ABC):
    """One thing to be done."""

    #: Whether it changes the machine; one that looks or tells does not.
    changes = True

    @abstractmethod
    def describe(self) -> str:
        """What it does, as an order: "write /etc/edgecam/edgecam.toml"."""

    def needed(self) -> bool:
        """Whether there is anything to do; changes nothing."""
        return True

    @abstractmethod
    def do(self) -> None:
        """Do it. Raises EdgecamError or OSError: then it and all steps before it are taken back."""

    def undo(self) -> None:
        """Take back what `do` did, also half of it. Only called after `do`."""


@dataclass
class Outcome:
    """How a plan went: how many steps did something, and what did not succeed."""

    done: int = 0
    shortcomings: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """Steps in their order."""

    steps: Sequence[Step]

    def lines(self) -> Iterator[str]:
        """What would be done, a line for each step."""
        for step in self.steps:
            yield f"{'would' if step.needed() else 'no need to'} {step.describe()}"

    def carry_out(self, tell: Callable[[str], None]) -> Outcome:
        """Do what is needed. Raises what a step raised, after those before it were taken back in reverse order."""
        outcome = Outcome()
        with ExitStack() as taking_back:
            for step in self.steps:
                if step.needed():
                    tell(step.describe())
                    taking_back.callback(_take_back, step, tell)
                    _do(step, outcome, tell)
            taking_back.pop_all()
        return outcome


def _do(step: Step, outcome: Outcome, tell: Callable[[str], None]) -> None:
    try:
        step.do()
        outcome.done += step.changes
    except Shortcoming as error:
        tell(f"warning: {error}")
        outcome.shortcomings.append(str(error))
    except Unfinished as error:
        tell(f"failed: {error}")
        outcome.unfinished.append(str(error))


def _take_back(step: Step, tell: Callable[[str], None]) -> None:
    """What cannot be taken back does not keep the rest from it."""
    try:
        step.undo()
    except (EdgecamError, OSError) as error:
        tell(f"warning: not taken back: {step.describe()}: {error}")
