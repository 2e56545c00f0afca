"""Measures several cameras at one detector: their shares, what each costs, and what one's trouble is to the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from edgecam.benchmark import host
from edgecam.benchmark.figures import Rate
from edgecam.benchmark.film import PICTURES, FilmCamera, NotingSink, Picture, render
from edgecam.benchmark.machine import Machine, this_machine
from edgecam.benchmark.rounds import Tested, rounded
from edgecam.benchmark.several_figures import (
    Disturbed,
    SeveralFigures,
    SeveralRound,
    Trouble,
    Window,
    several_figures,
)
from edgecam.benchmark.subject import Subject
from edgecam.benchmark.together import Together, TroubledCamera, together
from edgecam.ports import Clock

_SETTLING = 0.3
"""Seconds after a trouble begins or ends that do not count."""
_WARM = 70
"""Frames of each camera that do not count: more than a ring holds."""


@dataclass(frozen=True, slots=True)
class SeveralPlan:
    """How long in all, in seconds (starting and stopping not counted), in how many rounds; up to how many cameras, and
    the `fps` of each."""

    cameras: int
    seconds: float = 60.0
    rounds: int = 3
    fps: float = 30.0

    @property
    def numbers(self) -> tuple[int, ...]:
        """How many cameras are measured: 1, 2, 4 and so on, and all."""
        powers = [1 << bit for bit in range(self.cameras.bit_length())]
        return (*(power for power in powers if power < self.cameras), self.cameras)

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """What becomes of one of all cameras; the one that stalls is there again when another one dies."""
        return (Trouble.STALLS, Trouble.DIES) if self.cameras > 1 else ()

    @property
    def windows(self) -> int:
        """Into so many parts goes the time of a round: the bare loops, the numbers, and each trouble but for the last
        one's beginning, for which the window of all cameras stands."""
        return 1 + len(self.numbers) + max(0, 2 * len(self.troubles) - 1)

    @property
    def steps(self) -> int:
        """Steps of progress."""
        return PICTURES + self.rounds * self.windows


@dataclass(frozen=True, slots=True)
class SeveralReport:
    """The result."""

    machine: Machine
    detector: Tested
    plan: SeveralPlan
    figures: SeveralFigures

    def document(self) -> dict[str, Any]:
        """The form for JSON, whose keys are stable; seconds and bytes, ratios to what is possible in the same run.

        `machine`, `detector`: as in `Report.document`. `plan`: cameras, seconds, rounds, fps. `limit`: fps, rounds,
        devices. `cameras`: a list, see CamerasFigures. `cpu`, `memory`: slope, base, off, null where there is one
        number of cameras only; see Line. `troubles`: a list, see TroubleFigures.
        """
        parts = {"machine": asdict(self.machine), "detector": asdict(self.detector), "plan": asdict(self.plan)}
        return {**parts, **rounded(asdict(self.figures))}


class SeveralBenchmark:
    """Measures a subject with several cameras by a plan."""

    def __init__(self, subject: Subject, plan: SeveralPlan, clock: Clock) -> None:
        self._subject = subject
        self._plan = plan
        self._clock = clock
        self._runtime = ""

    def run(self, tick: Callable[[int], None] = lambda _done: None) -> SeveralReport:
        """Run it; `tick` gets the number of steps just done. Raises DetectorError, and what ends a pipeline."""
        plan, subject = self._plan, self._subject
        pictures = render(subject.input_size, tick)
        rounds = [self._round(pictures, tick) for _ in range(plan.rounds)]
        tested = Tested(
            subject.model.name, subject.device, self._runtime, "", subject.device, self._runtime, subject.threads
        )
        return SeveralReport(this_machine(), tested, plan, several_figures(rounds, plan.fps))

    def _round(self, pictures: Sequence[Picture], tick: Callable[[int], None]) -> SeveralRound:
        plan = self._plan
        seconds = plan.seconds / plan.rounds / plan.windows
        bare = self._bare(pictures, seconds)
        tick(1)
        windows, disturbed = zip(
            *(self._number(number, pictures, seconds, tick) for number in plan.numbers), strict=True
        )
        return SeveralRound(bare, windows, disturbed[-1])

    def _number(
        self, number: int, pictures: Sequence[Picture], seconds: float, tick: Callable[[int], None]
    ) -> tuple[Window, tuple[Disturbed, ...]]:
        cameras = [self._camera(pictures) for _ in range(number)]
        sinks = [NotingSink() for _ in cameras]
        parts, inference = self._subject.shared(cameras, sinks)
        with together(parts, inference, self._clock) as running:
            running.settle(self._subject.device, lambda: all(map(_is_warm, sinks)))
            window = running.window(seconds)
            tick(1)
            disturbed = self._disturb(running, cameras, window, tick) if number == self._plan.cameras else ()
        return window, disturbed

    def _disturb(
        self, running: Together, cameras: Sequence[TroubledCamera], before: Window, tick: Callable[[int], None]
    ) -> tuple[Disturbed, ...]:
        found: list[Disturbed] = []
        for troubled, trouble in enumerate(self._plan.troubles):
            if found:
                cameras[troubled - 1].suffer(Trouble.NONE)
                running.wait(_SETTLING)
                before = running.window(before.seconds)
                tick(1)
            cameras[troubled].suffer(trouble)
            running.wait(_SETTLING)
            found.append(Disturbed(trouble, troubled, before, running.window(before.seconds)))
            tick(1)
        return tuple(found)

    def _bare(self, pictures: Sequence[Picture], seconds: float) -> tuple[Rate, ...]:
        """The bare loop on each device, all at the same time."""
        subject = self._subject
        tensor = subject.tensors(pictures[:1])[0]
        with ExitStack() as opened:
            processes = [opened.enter_context(host.running(each, subject.open_timeout)) for each in subject.processes()]
            with ThreadPoolExecutor(len(processes)) as pool:
                invokes = list(pool.map(lambda process: host.bare(process, tensor, seconds), processes))
            self._runtime = processes[0].ready.runtime
        return tuple(Rate(len(each), sum(each)) for each in invokes)

    def _camera(self, pictures: Sequence[Picture]) -> TroubledCamera:
        return TroubledCamera(FilmCamera(pictures, self._plan.fps, self._clock, lossless=False, fresh=True))


def _is_warm(sink: NotingSink) -> bool:
    return bool(sink.notes) and sink.notes[-1].sequence >= _WARM
