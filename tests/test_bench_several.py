"""`edgecam bench --cameras`: that each camera's count is its own, and that each figure is what it says."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import pytest
from edgetpu.standin import StandIn
from hypothesis import given
from hypothesis import strategies as st
from test_bench import LIMIT, bench, grey, tiny_config

from edgecam.benchmark.comparing import compare, load
from edgecam.benchmark.figures import Rate
from edgecam.benchmark.film import FilmCamera, NotingSink
from edgecam.benchmark.page import page
from edgecam.benchmark.several import SeveralBenchmark, SeveralPlan
from edgecam.benchmark.several_figures import (
    Disturbed,
    Line,
    SeveralRound,
    Trouble,
    Window,
    several_figures,
)
from edgecam.benchmark.subject import Subject
from edgecam.benchmark.together import TroubledCamera, together
from edgecam.clock import SystemClock
from edgecam.errors import CameraError, DetectorError, ModelError
from edgecam.events import EventRules
from edgecam.inference import InferenceWorker
from edgecam.pipeline import PipelineParts
from edgecam.ports import Detector
from edgecam.testing import ManualClock, ScriptedDetector
from edgecam.tracker import Tracker

pytestmark = pytest.mark.any_runtime


def film(fps: float = 200.0) -> FilmCamera:
    return FilmCamera([grey(number) for number in range(3)], fps, SystemClock(), lossless=False)


def parts_of(cameras: Sequence[TroubledCamera], inference: InferenceWorker) -> list[PipelineParts]:
    return [
        PipelineParts(
            f"camera{number}",
            camera,
            inference.share(f"camera{number}"),
            Tracker(),
            EventRules("bench", clock=ManualClock(), new_id=lambda start: f"event-{start}"),
            [NotingSink()],
            None,
            SystemClock(),
        )
        for number, camera in enumerate(cameras)
    ]


class TestFigures:
    def test_shares_and_ratios_are_those_of_all_rounds(self) -> None:
        rounds = [
            SeveralRound(
                (Rate(100, 1.0),), (Window(1.0, (30,), (30,), 0.2, 500, 0.3), Window(2.0, (95, 97), (60, 60), 1.0))
            ),
            SeveralRound(
                (Rate(50, 1.0),), (Window(1.0, (20,), (30,), 0.4, 900, 0.5), Window(2.0, (105, 103), (60, 60), 1.0))
            ),
        ]
        found = several_figures(rounds, fps=30.0)
        assert (found.limit.fps, found.limit.rounds, found.limit.devices) == (75.0, (100.0, 50.0), (75.0,))
        one, two = found.cameras
        assert (one.cameras, one.fps, one.possible, one.spread, one.rss_bytes) == (1, 25.0, 30.0, 0.0, 500)
        assert [one.cores, one.per_frame, one.busy] == pytest.approx([0.3, 0.01, 0.4])
        assert one.rounds == pytest.approx((1.0, 20 / 30))
        assert (two.cameras, two.fps, two.each, two.spread) == (2, 100.0, (50.0, 50.0), 0.0)
        assert two.possible == pytest.approx((60 + 50) / 2)
        assert two.ratio == pytest.approx(100 / 55)

    def test_the_limit_is_that_of_all_devices_together(self) -> None:
        two_devices = SeveralRound((Rate(100, 1.0), Rate(20, 1.0)), (Window(1.0, (90, 100), (100, 100), busy=1.5),))
        found = several_figures([two_devices], fps=100.0)
        assert (found.limit.fps, found.limit.devices) == (120.0, (100.0, 20.0))
        assert found.cameras[0].spread == pytest.approx(10 / 95)
        assert found.cameras[0].busy == pytest.approx(0.75)
        assert (found.cpu, found.memory) == (None, None)

    def test_the_others_are_those_without_the_trouble(self) -> None:
        before, since = Window(2.0, (40, 40, 40), (60,) * 3), Window(1.0, (0, 24, 30), (0, 30, 30))
        each = SeveralRound((Rate(60, 1.0),), (before,), (Disturbed(Trouble.DIES, 0, before, since),))
        (found,) = several_figures([each, each], fps=30.0).troubles
        assert (found.trouble, found.before, found.since) == ("dies", 40.0, 54.0)
        assert [found.ratio, found.least] == pytest.approx([1.35, 1.2])
        assert [found.possible, found.of_possible] == pytest.approx([60.0, 0.9])

    @given(st.floats(0.1, 1e3), st.floats(0, 1e3))
    def test_a_line_goes_through_what_is_on_it(self, slope: float, base: float) -> None:
        line = Line.through([1, 2, 4, 8], [base + slope * number for number in (1, 2, 4, 8)])
        assert line is not None
        assert [line.slope, line.base] == pytest.approx([slope, base], abs=1e-9 * (base + slope + 1))
        assert line.off == pytest.approx(0.0, abs=1e-9)

    def test_what_is_off_the_line_is_said(self) -> None:
        line = Line.through([1, 2, 3], [1.0, 2.3, 3.0])
        assert line is not None
        assert line.off == pytest.approx(0.2 / 3)


class TestPlan:
    @given(st.integers(1, 64))
    def test_it_doubles_up_to_all(self, cameras: int) -> None:
        numbers = SeveralPlan(cameras).numbers
        assert (numbers[0], numbers[-1]) == (1, cameras)
        assert list(numbers) == sorted(set(numbers))
        assert all(after <= 2 * before for before, after in pairwise(numbers))

    def test_a_single_camera_has_nobody_to_trouble(self) -> None:
        assert (SeveralPlan(1).windows, SeveralPlan(1).troubles) == (2, ())
        assert SeveralPlan(4).windows == 1 + 3 + 3


class TestTroubledCamera:
    def test_one_that_stalls_gives_nothing_and_then_goes_on(self) -> None:
        camera = TroubledCamera(film())
        with camera:
            first = camera.read(1.0)
            camera.suffer(Trouble.STALLS)
            assert camera.read(0.01) is None
            camera.suffer(Trouble.NONE)
            second = camera.read(1.0)
        assert first is not None
        assert second is not None
        assert (first.sequence, second.sequence) == (0, 1)

    def test_one_that_stalls_is_freed_at_once(self) -> None:
        camera = TroubledCamera(film())
        camera.suffer(Trouble.STALLS)
        threading.Timer(0.01, camera.suffer, [Trouble.NONE]).start()
        assert camera.read(LIMIT) is None

    def test_one_that_dies_cannot_be_opened(self) -> None:
        camera = TroubledCamera(film())
        with camera:
            camera.suffer(Trouble.DIES)
            with pytest.raises(CameraError):
                camera.read(1.0)
        with pytest.raises(CameraError):
            camera.open()


class TestTogether:
    def test_each_camera_has_its_own_count(self) -> None:
        inference = InferenceWorker(ScriptedDetector(slots=2))
        cameras = [TroubledCamera(film()) for _ in range(3)]
        parts = parts_of(cameras, inference)
        with together(parts, inference, SystemClock()) as running:
            running.settle("cpu")
            window = running.window(0.2)
            cameras[1].suffer(Trouble.DIES)
            running.wait(0.2)
            since = running.window(0.2)
        assert len(window.analysed) == len(window.captured) == 3
        assert min(window.analysed) > 0
        assert (since.analysed[1], since.captured[1]) == (0, 0)
        assert min(since.analysed[0], since.analysed[2]) > 0
        assert window.rss_bytes > 0
        assert window.busy == 0.0, "the script's inference takes no time"
        assert not inference.is_alive()

    def test_a_detector_lost_on_the_way_is_no_measurement(self) -> None:
        again_and_again: Iterable[Any] = cycle([*[()] * 20, DetectorError("unplugged")])
        inference = InferenceWorker(ScriptedDetector(again_and_again))
        parts = parts_of([TroubledCamera(film()), TroubledCamera(film())], inference)
        with together(parts, inference, SystemClock()) as running:
            running.settle("cpu")
            with pytest.raises(DetectorError, match="cpu failed while it was measured"):
                running.window(LIMIT)

    def test_what_ends_a_pipeline_is_passed_on(self) -> None:
        class Refusing(ScriptedDetector):
            def open(self) -> None:
                raise ModelError("no such model")

        detector: Detector = Refusing()
        inference = InferenceWorker(detector)
        parts = parts_of([TroubledCamera(film())], inference)
        with pytest.raises(ModelError, match="no such model"), together(parts, inference, SystemClock()):
            pass
        assert not inference.is_alive()

    def test_a_device_that_never_comes_is_said(self) -> None:
        clock = ManualClock()

        class Impatient(ManualClock):
            def monotonic(self) -> float:
                clock.advance(10.0)
                return clock.monotonic()

        inference = InferenceWorker(ScriptedDetector())
        parts = parts_of([TroubledCamera(film())], inference)
        with (
            pytest.raises(DetectorError, match="usb:2-1 does not get on"),
            together(parts, inference, Impatient()) as running,
        ):
            running.settle("usb:2-1")


class TestWhole:
    @pytest.mark.timeout(LIMIT + 60)
    def test_the_table_has_a_line_for_each_number_and_the_page_too(self, tmp_path: Path) -> None:
        model, report = tiny_config(tmp_path).detector.model, tmp_path / "report.html"
        done = bench(
            *("--model", model, "--device", "cpu", "--fps", "200", "--cameras", "2", "--rounds", "1"),
            *("--report", str(report)),
        )
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert sum(line.startswith(("CAMERAS ", "1 ", "2 ", "stalls ", "dies ")) for line in lines) == 5
        assert any(line.startswith("One more camera costs") for line in lines)
        assert "one dies" in report.read_text()

    @pytest.mark.timeout(LIMIT + 60)
    def test_all_edge_tpus_are_measured_and_no_process_is_left(
        self, standin: StandIn, demo_edgetpu_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        standin.plug("2-2")
        standin.set(latency_ms=2.0, exec="zero")
        for name, value in standin.environment.items():
            monkeypatch.setenv(name, value)
        config = tiny_config(tmp_path)
        chosen = config.detector.model_copy(update={"model": str(demo_edgetpu_model), "device": "usb"})
        subject = Subject(config.model_copy(update={"detector": chosen}), SystemClock())
        steps: list[int] = []
        plan = SeveralPlan(2, seconds=0.3, rounds=1, fps=200.0)
        report = SeveralBenchmark(subject, plan, SystemClock()).run(steps.append)
        assert sum(steps) == plan.steps
        assert (len(report.figures.limit.devices), report.detector.device) == (2, "usb:2-1,usb:2-2")
        found = report.document()
        assert list(found) == ["machine", "detector", "plan", "limit", "cameras", "cpu", "memory", "troubles"]
        assert found["plan"] == {"cameras": 2, "seconds": 0.3, "rounds": 1, "fps": 200.0}
        assert [each["cameras"] for each in found["cameras"]] == [1, 2]
        for each in found["cameras"]:
            assert len(each["each"]) == each["cameras"]
            assert sum(each["each"]) == pytest.approx(each["fps"], rel=1e-3)
        assert [each["trouble"] for each in found["troubles"]] == ["stalls", "dies"]
        assert 0 < found["cameras"][0]["busy"] < 1
        assert set(found["cpu"]) == set(found["memory"]) == {"slope", "base", "off"}
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)


def test_before_and_after_can_be_compared(tmp_path: Path) -> None:
    before, after, single = (tmp_path / f"{name}.json" for name in ("before", "after", "single"))
    for path, rounds in ((before, [0.90, 0.91, 0.90]), (after, [0.98, 0.99, 0.98])):
        path.write_text(json.dumps({"machine": {}, "limit": {}, "cameras": [{"cameras": 4, "rounds": rounds}]}))
    single.write_text(json.dumps({"machine": {}, "bare": {"rounds": [1.0]}, "pipeline": {"rounds": [1.0]}}))
    (found,) = compare(load(before), load(after))
    assert (found.name, found.verdict) == ("4 cameras / possible", "better")
    assert compare(load(before), load(single)) == []


def test_a_page_of_a_single_camera() -> None:
    figures = several_figures([SeveralRound((Rate(50, 1.0),), (Window(1.0, (20,), (30,), 0.4, 900),))], 30.0)
    document = {
        "machine": {"board": "", "cpu": "some", "cores": 2, "system": "Linux", "edgecam": "1", "python": "3"},
        "detector": {"model": "tiny", "device": "cpu", "runtime": "some"},
        "plan": {"seconds": 1.0, "rounds": 1, "fps": 30.0},
        "limit": {},
        "cameras": [asdict(each) for each in figures.cameras],
        "troubles": [],
    }
    text = page(document)
    assert "There is only one" in text
