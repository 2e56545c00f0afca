"""`edgecam bench`: that the counts add up, that each figure is what it says, and that failures are said plainly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from edgetpu.standin import StandIn
from hypothesis import given
from hypothesis import strategies as st

from edgecam.benchmark import Benchmark, Plan, Subject, takes
from edgecam.benchmark import subject as benchmark_subject
from edgecam.benchmark.figures import Cost, Frame, Live, Rate, Round, Spread, figures
from edgecam.benchmark.film import PICTURES, FilmCamera, Note, NotingSink, Picture, render
from edgecam.benchmark.machine import cpu_name, this_machine
from edgecam.benchmark.takes import Take
from edgecam.clock import SystemClock
from edgecam.config import Config
from edgecam.detectors import pace
from edgecam.detectors.tflite import TfliteDetector
from edgecam.errors import DetectorError, EdgecamError, InputError, ModelError
from edgecam.events import EventRules
from edgecam.pipeline import PipelineParts
from edgecam.ports import Detector
from edgecam.testing import ManualClock, ScriptedDetector
from edgecam.tracker import Tracker
from edgecam.types import DetectorInfo

LIMIT = 120.0
"""Seconds after which a benchmark of a fraction of a second has hung."""
INFO = DetectorInfo("tiny", "some 1.0", "cpu", (2, 2))


def grey(number: int) -> Picture:
    return Picture(np.full((72, 64), number, np.uint8), np.full((2, 2, 3), number, np.uint8))


def tiny_config(folder: Path, content: bytes | None = None, **detector: Any) -> Config:
    model = folder / "tiny.tflite"
    model.write_bytes(content or tiny_models.detector())
    model.with_suffix(".txt").write_text("cat\ndog\n")
    chosen = Config().detector.model_copy(update={"model": str(model), "device": "cpu", "threads": 1, **detector})
    return Config().model_copy(update={"detector": chosen})


def bench(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgecam", "bench", "--seconds", "0.3", "--rounds", "2", *arguments]
    env = os.environ | (environment or {})
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False, env=env)


def a_round(invoke: float, slots: float, pipeline: float) -> Round:
    return Round(
        invokes=(invoke,) * 10,
        host=Rate(10, slots * 10),
        round_trips=(0.001, 0.002),
        pipeline=Rate(20, pipeline * 20),
        live=Live(analysed=2, skipped=1, dropped=3, overheads=(0.003, 0.005)),
        cost=Cost(10, 10 * invoke / 8),
        floor=Cost(4, 0.004),
        frame=Frame(faults=0.5, copies=2.0, rss_bytes=1000, grown_bytes=10, start=0.4, bare_start=0.2),
    )


class TestFigures:
    def test_ratios_are_those_of_the_total_rates(self) -> None:
        found = figures([a_round(0.010, 0.010, 0.020), a_round(0.030, 0.040, 0.040)], fps=30.0)
        assert found.bare.fps == pytest.approx(20 / 0.4)
        assert found.bare.rounds == pytest.approx((100.0, 100 / 3))
        assert found.host.fps == pytest.approx(20 / 0.5)
        assert found.host.ratio == pytest.approx(0.8)
        assert found.pipeline.fps == pytest.approx(40 / 1.2)
        assert found.pipeline.ratio == pytest.approx(found.pipeline.fps / found.bare.fps)
        assert found.pipeline.rounds == pytest.approx((50.0, 25.0))

    def test_counts_of_the_rounds_add_up(self) -> None:
        live = figures([a_round(0.01, 0.01, 0.01)] * 3, fps=15.0).live
        assert (live.frames_analysed, live.frames_skipped, live.frames_dropped) == (6, 3, 9)
        assert live.frames_captured == 18
        assert (live.fps, live.overhead.count) == (15.0, 6)

    def test_the_cost_of_a_frame_is_that_of_all_rounds(self) -> None:
        cpu = figures([a_round(0.010, 0.01, 0.01), a_round(0.030, 0.01, 0.01)], fps=30.0).cpu
        assert (cpu.frames, cpu.per_frame, cpu.floor) == pytest.approx((20, 0.0025, 0.001))
        assert cpu.rounds == pytest.approx((0.00125, 0.00375))
        assert (cpu.ratio, cpu.faults, cpu.copies) == pytest.approx((2.5, 0.5, 2.0))

    def test_memory_is_the_most_and_the_start_stands_beside_a_bare_one(self) -> None:
        found = figures([a_round(0.01, 0.01, 0.01)] * 3, fps=30.0)
        assert (found.memory.rss_bytes, found.memory.growth_bytes, len(found.memory.rounds)) == (1000, 10, 3)
        assert (found.start.seconds, found.start.bare, found.start.ratio) == pytest.approx((0.4, 0.2, 2.0))

    @given(st.lists(st.floats(0, 10), min_size=1, max_size=200))
    def test_percentiles_are_in_order_and_within(self, durations: list[float]) -> None:
        spread = Spread.of(durations)
        assert spread.count == len(durations)
        slack = 1e-9
        ordered = [min(durations), spread.p50, spread.p95, spread.p99, max(durations)]
        assert all(low <= high + slack for low, high in pairwise(ordered))

    def test_percentiles_are_those_of_the_book(self) -> None:
        spread = Spread.of([number / 100 for number in range(101)])
        assert (spread.p50, spread.p95, spread.p99) == pytest.approx((0.50, 0.95, 0.99))

    def test_nothing_measured_is_no_figure(self) -> None:
        with pytest.raises(ValueError, match="nothing was measured"):
            Spread.of([])


class TestTakes:
    def test_only_what_was_analysed_in_its_time_counts(self) -> None:
        notes = [Note(sequence, 10.0 + sequence, 0.25) for sequence in range(10)]
        take = Take(notes, [9.5 + sequence for sequence in range(10)], begin=12.0, end=16.0, info=INFO, cpu=0.5)
        assert takes.rate(take) == Rate(4, 4.0)
        assert takes.cost(take) == Cost(4, 0.5), "the four frames handed out from 12.5 to 15.5"
        found = takes.live(take)
        assert (found.analysed, found.skipped, found.dropped) == (5, 0, 0)
        assert found.overheads == pytest.approx((0.25,) * 5)

    @given(st.lists(st.sampled_from(["analysed", "skipped", "dropped"]), min_size=1, max_size=60))
    def test_every_frame_is_accounted_for(self, fates: list[str]) -> None:
        fates = ["analysed", *fates, "analysed"]
        notes = [
            Note(sequence, float(sequence) if fate == "analysed" else None, 0.0)
            for sequence, fate in enumerate(fates)
            if fate != "dropped"
        ]
        found = takes.live(Take(notes, [0.0] * len(fates), begin=0.0, end=1000.0, info=INFO, cpu=0.0))
        assert (found.analysed, found.skipped, found.dropped) == tuple(
            fates.count(fate) for fate in ("analysed", "skipped", "dropped")
        )
        assert len(found.overheads) == found.analysed

    def test_too_little_is_said(self) -> None:
        with pytest.raises(EdgecamError, match="--seconds"):
            takes.rate(Take([Note(0, 1.0, 0.1)], [0.0], begin=0.0, end=2.0, info=INFO, cpu=0.0))

    @pytest.mark.parametrize("lossless", [True, False])
    def test_the_pipeline_analyses_what_the_camera_shows(self, *, lossless: bool) -> None:
        take = record(ScriptedDetector(), lossless=lossless)
        assert takes.rate(take).frames >= takes.LEAST
        found = takes.live(take)
        assert found.dropped == 0
        assert found.skipped == 0 or not lossless
        assert min(found.overheads) >= 0
        assert [note.sequence for note in take.notes] == list(range(len(take.notes)))

    def test_a_detector_that_fails_on_the_way_is_no_measurement(self) -> None:
        again_and_again: Iterable[Any] = cycle([*[()] * 20, DetectorError("unplugged")])
        with pytest.raises(DetectorError, match="cpu failed while it was measured"):
            record(ScriptedDetector(again_and_again), seconds=3600.0)

    def test_a_fault_of_the_pipeline_is_passed_on(self) -> None:
        with pytest.raises(ModelError, match="no such model"):
            record(ScriptedDetector([ModelError("no such model")]))

    def test_what_comes_while_the_pipeline_settles_does_not_count(self) -> None:
        take = record(ScriptedDetector(), settle=0.2)
        made = [note.made for note in take.notes if note.made is not None]
        assert take.begin - made[takes.LEAST - 1] >= 0.2
        assert takes.rate(take).frames < sum(moment <= take.end for moment in made)


def record(detector: Detector, *, seconds: float = 0.05, lossless: bool = True, settle: float = 0.0) -> Take:
    clock, sink = SystemClock(), NotingSink()
    camera = FilmCamera([grey(number) for number in range(3)], 500.0, clock, lossless=lossless)
    rules = EventRules("bench", clock=ManualClock(), new_id=lambda start: f"event-{start}")
    parts = PipelineParts("bench", camera, detector, Tracker(), rules, [sink], None, clock)
    return takes.record(parts, camera, sink, "cpu", seconds, settle)


class TestFilm:
    def test_it_goes_to_and_fro(self) -> None:
        camera = FilmCamera([grey(number) for number in range(4)], 10.0, ManualClock(), lossless=True)
        with camera:
            frames = [camera.read(1.0) for _ in range(9)]
        assert [int(frame.lores[0, 0, 0]) for frame in frames if frame] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
        assert [frame.sequence for frame in frames if frame] == list(range(9))

    def test_in_real_time_it_keeps_its_pace_and_says_when_each_frame_was_handed_out(self) -> None:
        clock = ManualClock(start=100.0)
        camera = FilmCamera([grey(0), grey(1)], 10.0, clock, lossless=False)
        with camera:
            assert camera.read(1.0) is not None
            assert camera.read(0.04) is None
            assert camera.read(1.0) is not None
        assert camera.handed_out == pytest.approx([100.0, 100.1])

    def test_a_camera_opened_again_goes_on_counting(self) -> None:
        clock = ManualClock()
        camera = FilmCamera([grey(0), grey(1)], 10.0, clock, lossless=False)
        for _ in range(2):
            with camera:
                frames = [camera.read(1.0) for _ in range(3)]
        assert [frame.sequence for frame in frames if frame] == [3, 4, 5]
        assert clock.monotonic() == pytest.approx(0.4, abs=0.01)

    def test_the_pictures_are_of_the_size_asked_for_and_differ(self) -> None:
        steps: list[int] = []
        pictures = render((40, 30), steps.append)
        assert len(pictures) == sum(steps) == PICTURES
        assert {picture.main.shape for picture in pictures} == {(1080, 1280)}
        assert {picture.lores.shape for picture in pictures} == {(30, 40, 3)}
        assert len({picture.main.tobytes() for picture in pictures}) == PICTURES


def test_the_processor_is_named_where_the_kernel_names_it() -> None:
    assert cpu_name("processor\t: 0\nmodel name\t: Some CPU: fast @ 2 GHz\n") == "Some CPU: fast @ 2 GHz"
    assert cpu_name("processor\t: 0\nBogoMIPS\t: 108.00\n") == ""
    assert this_machine().cpu
    assert this_machine().cores >= 1


class TestWhole:
    @pytest.mark.timeout(LIMIT + 60)
    def test_json_is_as_promised(self, tmp_path: Path) -> None:
        model = tiny_config(tmp_path).detector.model
        done = bench("--model", model, "--device", "cpu", "--threads", "1", "--fps", "100", "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        before = ["machine", "detector", "plan", "bare", "host", "pipeline", "live", "cpu"]
        assert list(found) == [*before, "memory", "start", "stages"]
        assert list(found["machine"]) == ["board", "cpu", "cores", "system", "python", "edgecam"]
        assert found["plan"] == {"seconds": 0.3, "rounds": 2, "fps": 100.0}
        detector = found["detector"]
        assert (detector["model"], detector["device"], detector["host_device"]) == ("tiny", "cpu", "cpu")
        assert (detector["degraded"], detector["threads"]) == ("", 1)
        assert detector["runtime"]
        spread = {"count", "p50", "p95", "p99"}
        assert set(found["bare"]) == {"fps", "rounds", "invoke"}
        assert set(found["host"]) == {"fps", "ratio", "rounds", "overhead"}
        assert set(found["pipeline"]) == {"fps", "ratio", "rounds"}
        assert (
            set(found["bare"]["invoke"]) == set(found["host"]["overhead"]) == set(found["live"]["overhead"]) == spread
        )
        for part in ("bare", "host", "pipeline"):
            assert len(found[part]["rounds"]) == 2
            assert min(found[part]["rounds"]) > 0
            assert min(found[part]["rounds"]) <= found[part]["fps"] <= max(found[part]["rounds"]) + 1e-3
        for part in ("host", "pipeline"):
            assert found[part]["ratio"] == pytest.approx(found[part]["fps"] / found["bare"]["fps"], rel=1e-3, abs=1e-5)
        live = found["live"]
        assert live["frames_captured"] == live["frames_analysed"] + live["frames_skipped"] + live["frames_dropped"]
        assert live["overhead"]["count"] == live["frames_analysed"] > 0
        cpu = found["cpu"]
        assert set(cpu) == {"frames", "per_frame", "rounds", "floor", "ratio", "faults", "copies"}
        assert cpu["copies"] == 2, "the camera's, and the overlay's"
        assert cpu["per_frame"] > 0
        assert cpu["floor"] > 0

    @pytest.mark.timeout(LIMIT + 60)
    def test_the_table_has_the_bare_figure_beside_the_others(self, tmp_path: Path) -> None:
        done = bench("--model", tiny_config(tmp_path).detector.model, "--device", "cpu", "--fps", "100")
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        rows = [line for line in lines if line.startswith(("MEASURED", "bare int", "detector p", "pipeline, "))]
        assert len(rows) == 5
        stages = ("inference", "read", "hand-over", "small", "track", "overlay", "encode", "display", "journal")
        assert {stage: sum(line.startswith(stage) for line in lines) for stage in stages} == dict.fromkeys(stages, 1)
        assert "1.000" in rows[1]
        assert any(line.startswith("machine ") for line in lines)
        assert "skipped" in lines[-3]
        assert "outside inference" in lines[-2]
        assert "Memory" in lines[-1]

    @pytest.mark.timeout(LIMIT + 60)
    def test_it_leaves_no_process_behind(self, tmp_path: Path) -> None:
        subject = Subject(tiny_config(tmp_path), SystemClock())
        steps: list[int] = []
        plan = Plan(seconds=0.1, rounds=1, fps=200.0)
        Benchmark(subject, plan, SystemClock()).run(steps.append)
        assert sum(steps) == plan.steps
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)


class TestThreads:
    @pytest.mark.parametrize(
        ("wanted", "quick", "threads"), [(0, True, 1), (0, False, 3), (2, True, 2)], ids=["quick", "slow", "given"]
    )
    def test_the_pipeline_has_as_many_as_the_bare_loop(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, wanted: int, quick: bool, threads: int
    ) -> None:
        monkeypatch.setattr(pace, "automatic_threads", lambda: 3)
        monkeypatch.setattr(benchmark_subject, "is_quick", lambda invoke: invoke() > 0 and quick)
        subject = Subject(tiny_config(tmp_path, threads=wanted), SystemClock())
        assert subject.threads == threads
        picture = Picture(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint8))
        detector = subject.parts(FilmCamera([picture], 30.0, SystemClock(), lossless=True), NotingSink()).detector
        assert isinstance(detector, TfliteDetector)
        assert detector._threads == threads
        assert subject.process()._options.threads == threads


class TestOnAnEdgeTpu:
    @pytest.mark.timeout(LIMIT + 60)
    def test_both_the_bare_loop_and_the_pipeline_run_on_it(self, standin: StandIn, demo_edgetpu_model: Path) -> None:
        standin.set(latency_ms=2.0, exec="zero")
        done = bench("--model", str(demo_edgetpu_model), "--device", "usb", "--json", environment=standin.environment)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["detector"]["device"], found["detector"]["host_device"]) == ("usb:2-1", "usb:2-1")
        assert found["bare"]["invoke"]["p50"] >= 0.002
        assert found["live"]["frames_analysed"] > 0

    @pytest.mark.timeout(LIMIT + 60)
    def test_one_that_fails_while_it_is_measured_is_said_plainly(
        self, standin: StandIn, demo_edgetpu_model: Path
    ) -> None:
        standin.set(latency_ms=2.0, exec="zero", fault="error", fault_after=30)
        done = bench("--model", str(demo_edgetpu_model), "--device", "usb", environment=standin.environment)
        assert (done.returncode, done.stdout) == (1, "")
        assert "usb:2-1" in done.stderr
        assert "Traceback" not in done.stderr


class TestRefusals:
    def test_no_edge_tpu_where_one_is_insisted_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EDGECAM_HOST_ROOT", str(tmp_path))
        done = bench("--model", tiny_config(tmp_path).detector.model, "--device", "usb")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "no Edge TPU found" in done.stderr

    def test_a_device_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="device 'gpu'"):
            Subject(tiny_config(tmp_path, device="gpu"), SystemClock())

    def test_a_compiled_model_without_its_sibling_on_the_cpu(self, tmp_path: Path) -> None:
        compiled = tiny_models.detector(custom_ops=("edgetpu-custom-op", "TFLite_Detection_PostProcess"))
        with pytest.raises(ModelError, match=r"tiny\.tflite"):
            Subject(tiny_config(tmp_path, compiled), SystemClock())

    def test_a_process_that_does_not_start_is_said_plainly(self, tmp_path: Path) -> None:
        driven = Config().edgetpu.model_copy(update={"python": str(tmp_path / "no-python")})
        config = tiny_config(tmp_path).model_copy(update={"edgetpu": driven})
        with pytest.raises(DetectorError, match="no-python"):
            Benchmark(Subject(config, SystemClock()), Plan(0.1, 1), SystemClock()).run()
