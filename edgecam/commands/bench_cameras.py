"""What `edgecam bench --cameras` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecam import console

if TYPE_CHECKING:
    from edgecam.benchmark import Subject
    from edgecam.benchmark.several import SeveralReport
    from edgecam.benchmark.several_figures import CamerasFigures, SeveralFigures, TroubleFigures
    from edgecam.ports import Clock

COLUMNS = ("cameras", "fps", "possible", "ratio", "busy", "of each", "spread", "cores", "CPU ms", "MB")
TROUBLE_COLUMNS = ("one of them", "others before", "others since", "ratio", "worst", "of possible")


def measure(subject: Subject, cameras: int, seconds: float, rounds: int, fps: float, clock: Clock) -> SeveralReport:
    """Measure up to so many cameras, with a bar. Raises DetectorError, and what ends a pipeline."""
    from edgecam.benchmark.several import SeveralBenchmark, SeveralPlan

    plan = SeveralPlan(cameras, seconds, rounds, fps)
    with console.progress("measuring", plan.steps) as tick:
        return SeveralBenchmark(subject, plan, clock).run(tick)


def show(report: SeveralReport, *, as_json: bool) -> None:
    """Print the tables and the lines, or the document."""
    if as_json:
        console.emit_json(report.document())
    else:
        _print(report)


def _print(report: SeveralReport) -> None:
    machine, detector, plan, found = report.machine, report.detector, report.plan, report.figures
    facts = {
        "machine": ", ".join(filter(None, (machine.board, machine.cpu, f"{machine.cores} cores", machine.system))),
        "software": f"edgecam {machine.edgecam}, Python {machine.python}",
        "model": detector.model,
        "detector": f"{detector.device}, {detector.runtime}",
        "limit": f"{found.limit.fps:.1f} inferences a second: {_devices(found)}",
    }
    console.emit_fields(facts)
    console.emit("")
    console.emit_table(COLUMNS, [_row(each) for each in found.cameras])
    console.emit(
        f"\nEach camera shows 720p at {plan.fps:g} fps. fps: inferences a second, of all cameras; possible: the limit,"
        "\nor all frames that come; busy: the part of the time that the devices were at work; spread: the most less"
        "\nthe least, as a part of the mean; cores and CPU ms a frame: what is not inference."
    )
    if found.cpu and found.memory:
        console.emit(
            f"\nOne more camera costs {1000 * found.cpu.slope:.1f} ms of CPU time a second, and"
            f" {found.memory.slope / 1e6:.0f} MB.\nFarthest from that line: {found.cpu.off:.1%}, and"
            f" {found.memory.off:.1%}."
        )
    if found.troubles:
        console.emit("")
        console.emit_table(TROUBLE_COLUMNS, [_trouble_row(each) for each in found.troubles])


def _devices(found: SeveralFigures) -> str:
    each = " + ".join(f"{fps:.1f}" for fps in found.limit.devices)
    return f"the bare loops of {len(found.limit.devices)} devices at once, {each}" if "+" in each else "the bare loop"


def _row(each: CamerasFigures) -> tuple[str, ...]:
    return (
        str(each.cameras),
        f"{each.fps:.1f}",
        f"{each.possible:.1f}",
        f"{each.ratio:.3f}",
        f"{each.busy:.3f}",
        f"{min(each.each):.1f} to {max(each.each):.1f}" if each.cameras > 1 else f"{each.fps:.1f}",
        f"{each.spread:.1%}",
        f"{each.cores:.2f}",
        f"{1000 * each.per_frame:.2f}",
        f"{each.rss_bytes / 1e6:.0f}",
    )


def _trouble_row(each: TroubleFigures) -> tuple[str, ...]:
    return (
        each.trouble,
        f"{each.before:.1f}",
        f"{each.since:.1f}",
        f"{each.ratio:.3f}",
        f"{each.least:.3f}",
        f"{each.of_possible:.3f}",
    )
