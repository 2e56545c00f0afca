"""`edgecam bench`: how fast is it here, and how much of that is the pipeline's doing?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecam import console
from edgecam.commands import bench_cameras
from edgecam.commands.options import DeviceOption, JsonOption, LabelsOption, ModelOption, ThreadsOption
from edgecam.errors import EdgecamError

if TYPE_CHECKING:
    from edgecam.benchmark import Figures, Report, Subject
    from edgecam.benchmark.comparing import Difference
    from edgecam.benchmark.figures import Spread
    from edgecam.benchmark.stage_figures import StageFigures
    from edgecam.ports import Clock

STAGE_COLUMNS = ("stage", "p50 ms", "p95 ms", "p99 ms", "CPU ms", "limit ms", "ratio", "the limit is")
SECONDS, SECONDS_OF_CAMERAS = 10.0, 60.0
COLUMNS = ("measured", "fps", "of bare", "p50 ms", "p95 ms", "p99 ms", "these ms are")


class Runtime(StrEnum):
    """What may run the model."""

    AUTO = "auto"
    AI_EDGE_LITERT = "ai-edge-litert"
    TFLITE_RUNTIME = "tflite-runtime"


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(bench)


def bench(  # noqa: PLR0913, PLR0917 -- the options of a command
    model: ModelOption = None,
    labels: LabelsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    runtime: Annotated[Runtime, typer.Option("--runtime", help="What runs the model.")] = Runtime.AUTO,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="S", min=0.1, help="How long to measure: 10; --cameras: 60.")
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", metavar="N", min=1, help="In so many rounds.")] = 3,
    fps: Annotated[float, typer.Option("--fps", metavar="F", min=1, max=1000, help="Of the live camera.")] = 30.0,
    cameras: Annotated[
        int | None, typer.Option("--cameras", metavar="N", min=1, max=64, help="1, 2, 4 … N cameras at one detector.")
    ] = None,
    as_json: JsonOption = False,
    report_to: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.html", dir_okay=False, help="Write a page with plots, too.")
    ] = None,
    to_compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--compare", metavar="A.json B.json", help="Measure nothing: compare two results of --json."),
    ] = None,
) -> None:
    """Measure the bare interpreter, the detector process and the whole pipeline, side by side.

    The bare loop runs in a process like the detector's, and does nothing but invoke: all else is to be seen beside
    it. The pipeline is that of `edgecam run`, but its camera shows pictures rendered before and nothing is written.
    Then each stage of a frame by itself, in turn with the least that the same work takes without edgecam.

    With --cameras: several cameras at one detector, on all devices that --device names. What each of them gets, and
    costs, and what it is to the others when one stalls or dies.
    """
    if to_compare is not None:
        _compare(*to_compare, as_json=as_json)
        return
    from edgecam.benchmark import Benchmark, Plan
    from edgecam.clock import SystemClock

    clock = SystemClock()
    chosen = {"model": model or "auto", "labels": str(labels or ""), "device": device, "threads": threads}
    subject = _subject({**chosen, "runtime": runtime.value}, clock)
    if cameras is not None:
        several = bench_cameras.measure(subject, cameras, seconds or SECONDS_OF_CAMERAS, rounds, fps, clock)
        _write_page(report_to, several.document())
        bench_cameras.show(several, as_json=as_json)
        return
    plan = Plan(seconds or SECONDS, rounds, fps)
    with console.progress("measuring", plan.steps) as tick:
        report = Benchmark(subject, plan, clock).run(tick)
    _write_page(report_to, report.document())
    if as_json:
        console.emit_json(report.document())
    else:
        _print(report)


def _subject(detector: Mapping[str, Any], clock: Clock) -> Subject:
    from edgecam.benchmark import Subject
    from edgecam.config import Config

    config = Config()
    chosen = config.detector.model_copy(update=detector)
    return Subject(config.model_copy(update={"detector": chosen}), clock)


def _print(report: Report) -> None:
    machine, detector = report.machine, report.detector
    host = f"{detector.host_device}, {detector.host_runtime}, {detector.threads} CPU threads"
    facts = {
        "machine": ", ".join(filter(None, (machine.board, machine.cpu, f"{machine.cores} cores", machine.system))),
        "software": f"edgecam {machine.edgecam}, Python {machine.python}",
        "model": detector.model,
        "bare loop": host,
        "pipeline": f"{detector.device}, {detector.runtime}",
        "degraded": detector.degraded,
    }
    console.emit_fields({name: value for name, value in facts.items() if value})
    console.emit("")
    console.emit_table(COLUMNS, _rows(report.figures))
    console.emit("")
    console.emit_table(STAGE_COLUMNS, _stage_rows(report.stages))
    live = report.figures.live
    console.emit(
        f"\nOf {live.frames_captured} frames at {live.fps:g} fps, {live.frames_analysed} were analysed,"
        f" {live.frames_skipped} skipped, {live.frames_dropped} dropped."
    )
    cpu = report.figures.cpu
    console.emit(
        f"CPU time of a 720p frame outside inference, encoding and display: {1000 * cpu.per_frame:.2f} ms,"
        f" {cpu.ratio:.1f} times what a copy, a small picture and five boxes take with plain calls"
        f" ({1000 * cpu.floor:.2f} ms);"
        f" {cpu.copies:.1f} copies and {cpu.faults:.1f} page faults a frame."
    )
    memory, start = report.figures.memory, report.figures.start
    console.emit(
        f"Memory of all processes: {memory.rss_bytes / 1e6:.0f} MB, {memory.growth_bytes / 1e6:+.1f} MB while it ran."
        f" Start: {start.seconds:.2f} s, a bare detector process {start.bare:.2f} s."
    )


def _compare(before: Path, after: Path, *, as_json: bool) -> None:
    from edgecam.benchmark import comparing

    first, second = comparing.load(before), comparing.load(after)
    found, unlike = comparing.compare(first, second), comparing.machines_differ(first, second)
    if as_json:
        figures = [asdict(each) | {"change": each.change, "verdict": each.verdict} for each in found]
        known = [each | {"noise": None if isinf(each["noise"]) else each["noise"]} for each in figures]
        console.emit_json({"unlike": unlike, "figures": known})
        return
    for line in unlike:
        console.say(f"not measured alike: {line}")
    rows = [
        (
            each.name,
            each.unit,
            f"{each.before:.4g}",
            f"{each.after:.4g}",
            f"{each.change:+.1%}",
            _noise(each),
            each.verdict,
        )
        for each in found
    ]
    console.emit_table(("figure", "unit", "before", "after", "change", "noise", "verdict"), rows)


def _noise(each: Difference) -> str:
    return "?" if isinf(each.noise) or not each.before else f"{each.noise / abs(each.before):.1%}"


def _write_page(path: Path | None, document: Mapping[str, Any]) -> None:
    from edgecam.benchmark.page import page

    if path is None:
        return
    try:
        path.write_text(page(document), encoding="utf-8")
    except OSError as error:
        raise EdgecamError(f"{path}: cannot be written: {error.strerror}") from error


def _stage_rows(stages: Sequence[StageFigures]) -> list[tuple[str, ...]]:
    return [
        (
            each.name,
            *_ms(each.duration),
            f"{1000 * each.cpu:.3f}",
            f"{1000 * each.limit_cpu:.3f}",
            f"{each.ratio:.2f}",
            each.against,
        )
        for each in stages
    ]


def _rows(figures: Figures) -> list[tuple[str, ...]]:
    bare, host, pipeline, live = figures.bare, figures.host, figures.pipeline, figures.live
    return [
        ("bare interpreter", f"{bare.fps:.1f}", "1.000", *_ms(bare.invoke), "one invoke"),
        (
            "detector process",
            f"{host.fps:.1f}",
            f"{host.ratio:.3f}",
            *_ms(host.overhead),
            "one frame beyond its invoke",
        ),
        ("pipeline, unpaced", f"{pipeline.fps:.1f}", f"{pipeline.ratio:.3f}", "", "", "", ""),
        (f"pipeline, {live.fps:g} fps", "", "", *_ms(live.overhead), "from frame to analysis beyond its invoke"),
    ]


def _ms(spread: Spread) -> tuple[str, ...]:
    return tuple(f"{1000 * value:.2f}" for value in (spread.p50, spread.p95, spread.p99))
