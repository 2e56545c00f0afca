"""Runs a benchmark: rounds, each of which measures everything, so that what disturbs the machine disturbs all alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgecam.benchmark import host, stages, takes
from edgecam.benchmark.figures import Figures, Frame, Round, figures
from edgecam.benchmark.film import PICTURES, FilmCamera, NotingSink, Picture, render
from edgecam.benchmark.machine import Machine, this_machine
from edgecam.benchmark.stage_figures import Measured, StageFigures, StageRound, stage_figures
from edgecam.benchmark.subject import Subject
from edgecam.ports import Clock

#: What part of a round's time each measurement gets.
BARE, SLOTS, SINGLE, PIPELINE, LIVE, COST, STAGES = 0.15, 0.1, 0.05, 0.15, 0.15, 0.15, 0.25
AHEAD = 3 * 64
"""So many frames fill the ring, and have the allocator reuse what comes free: afterwards no memory is new."""
SETTLE = 2.0
"""Seconds of each run of the pipeline before what counts, in a benchmark that is not shorter itself: the first second
costs half as much again."""
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Plan:
    """How long in all, in seconds, in how many rounds; `fps` of the live camera.

    Not counted are starting, stopping, and the first `settle` seconds of each run of the pipeline.
    """

    seconds: float = 10.0
    rounds: int = 3
    fps: float = 30.0

    @property
    def settle(self) -> float:
        """Seconds of each run of the pipeline before what counts."""
        return min(SETTLE, self.seconds / self.rounds)

    @property
    def steps(self) -> int:
        """Steps of progress."""
        return PICTURES + 5 * self.rounds


@dataclass(frozen=True, slots=True)
class Tested:
    """What was measured.

    `device` and `runtime` are the pipeline's (`degraded`: see DetectorInfo), `host_device` and `host_runtime` those of
    the bare loop's process. `threads` are those of the CPU.
    """

    model: str
    device: str
    runtime: str
    degraded: str
    host_device: str
    host_runtime: str
    threads: int


@dataclass(frozen=True, slots=True)
class Report:
    """A benchmark's result."""

    machine: Machine
    detector: Tested
    plan: Plan
    figures: Figures
    stages: tuple[StageFigures, ...]

    def document(self) -> dict[str, Any]:
        """The form for JSON, whose keys are stable; durations in seconds, ratios to the bare loop of the same run.

        `machine`: board, cpu, cores, system, python, edgecam. `detector`: see Tested. `plan`: seconds, rounds, fps.
        `bare`: fps, rounds (fps of each), invoke. `host`: fps, ratio, rounds, overhead. `pipeline`: fps, ratio,
        rounds. `live`: fps, frames_captured, frames_analysed, frames_skipped, frames_dropped, overhead. `invoke` and
        `overhead`: count, p50, p95, p99. `cpu`: frames, per_frame, rounds, floor (CPU seconds), ratio, faults, copies.
        `memory`: rss_bytes, rounds, growth_bytes. `start`: seconds, bare, ratio, rounds. `stages`: name, against,
        duration, cpu, limit_duration, limit_cpu, ratio, rounds (the ratio of each); see StageFigures.
        """
        parts = {"machine": asdict(self.machine), "detector": asdict(self.detector), "plan": asdict(self.plan)}
        return {**parts, **rounded(asdict(self.figures)), "stages": [rounded(asdict(each)) for each in self.stages]}


class Benchmark:
    """Measures a subject by a plan."""

    def __init__(self, subject: Subject, plan: Plan, clock: Clock) -> None:
        self._subject = subject
        self._plan = plan
        self._clock = clock
        self._tested: Tested | None = None

    def run(self, tick: Callable[[int], None] = lambda _done: None) -> Report:
        """Run it; `tick` gets the number of steps just done. Raises DetectorError, and what ends a pipeline."""
        plan = self._plan
        pictures = render(self._subject.input_size, tick)
        rounds, by_stage = [], []
        for _ in range(plan.rounds):
            found, inference = self._round(pictures, plan.seconds / plan.rounds, tick)
            rounds.append(found)
            by_stage.append([inference, *self._stages(pictures, plan.seconds / plan.rounds * STAGES)])
            tick(1)
        assert self._tested is not None
        return Report(this_machine(), self._tested, plan, figures(rounds, plan.fps), stage_figures(by_stage))

    def _stages(self, pictures: Sequence[Picture], seconds: float) -> list[StageRound]:
        with stages.stages(pictures, self._plan.fps, self._clock) as found:
            return [stages.measure(stage, seconds / len(found)) for stage in found]

    def _round(
        self, pictures: Sequence[Picture], seconds: float, tick: Callable[[int], None]
    ) -> tuple[Round, StageRound]:
        subject, clock = self._subject, self._clock
        tensors = subject.tensors(pictures)
        started = clock.monotonic()
        with host.running(subject.process(), subject.open_timeout) as process:
            started = clock.monotonic() - started
            invokes = host.bare(process, tensors[0], seconds * BARE)
            slots = host.both_slots(process, tensors, seconds * SLOTS, clock)
            single = host.one_at_a_time(process, tensors, seconds * SINGLE, clock)
            host_runtime = process.ready.runtime
        tick(1)
        pipeline = takes.rate(self._take(pictures, seconds * PIPELINE, lossless=True))
        tick(1)
        take = self._take(pictures, seconds * LIVE)
        tick(1)
        costs = self._take(pictures, seconds * COST, drawn=True)
        tick(1)
        info = take.info
        self._tested = Tested(
            info.model,
            info.device,
            info.runtime,
            info.degraded,
            subject.host_device,
            host_runtime,
            subject.threads,
        )
        cost = takes.cost(costs)
        faults = costs.faults / max(1, cost.frames)
        frame = Frame(faults, takes.copies(costs), costs.rss_bytes, costs.grown_bytes, take.start, started)
        least = stages.floor(pictures, self._plan.fps, clock)
        found = Round(tuple(invokes), slots, tuple(single), pipeline, takes.live(take), cost, least, frame)
        inferences = Measured(tuple(takes.inferences(take)), sum(takes.inferences(take)))
        bare = Measured(tuple(invokes), sum(invokes))
        return found, StageRound("inference", "bare invoke", inferences, bare)

    def _take(
        self, pictures: Sequence[Picture], seconds: float, *, lossless: bool = False, drawn: bool = False
    ) -> takes.Take:
        """A run of the pipeline; `drawn`: with fresh pictures, the overlay and the inference in another process."""
        camera = FilmCamera(pictures, self._plan.fps, self._clock, lossless=lossless, fresh=drawn, ahead=AHEAD * drawn)
        sink = NotingSink()
        parts = self._subject.parts(camera, sink, drawn=drawn)
        return takes.record(parts, camera, sink, self._subject.device, seconds, self._plan.settle)


def rounded(value: Any) -> Any:
    """The same without digits that mean nothing."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [rounded(each) for each in value]
    return round(value, _DECIMALS) if isinstance(value, float) else value
