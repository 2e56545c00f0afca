"""The stages of a benchmark, two results beside each other, and the page: values in, values out."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.benchmark import comparing, stages
from edgecam.benchmark.comparing import compare, difference
from edgecam.benchmark.film import FilmCamera, render
from edgecam.benchmark.page import page
from edgecam.benchmark.stage_figures import Measured, StageRound, stage_figures
from edgecam.clock import SystemClock
from edgecam.errors import InputError
from edgecam.testing import ManualClock

pytestmark = pytest.mark.any_runtime

LIMIT = 120.0
RATES = st.lists(st.floats(1, 100), min_size=2, max_size=8)


def a_stage(cpu: float, limit: float) -> StageRound:
    return StageRound("read", "bare decode", Measured((0.25,) * 4, 4 * cpu), Measured((0.5,) * 2, 2 * limit))


class TestStages:
    def test_the_ratio_is_that_of_the_cpu_times_and_the_middle_of_the_rounds(self) -> None:
        (found,) = stage_figures([[a_stage(0.3, 0.1)], [a_stage(0.2, 0.1)], [a_stage(0.9, 0.1)]])
        assert found.rounds == pytest.approx((3, 2, 9))
        assert found.ratio == pytest.approx(3)
        assert (found.cpu, found.limit_cpu) == pytest.approx((1.4 / 3, 0.1))
        assert (found.duration.count, found.duration.p50, found.limit_duration.p50) == (12, 0.25, 0.5)

    def test_a_stage_and_its_limit_take_turns(self) -> None:
        calls: list[str] = []
        stage = stages.Stage("s", "l", lambda: calls.append("stage"), lambda: calls.append("limit"))
        found = stages.measure(stage, 0.0)
        turns = [calls[first : first + stages.LEAST] for first in range(2 * stages.WARM, len(calls), stages.LEAST)]
        assert turns == [["stage"] * stages.LEAST, ["limit"] * stages.LEAST] * stages.BLOCKS
        assert len(found.stage.durations) == len(found.limit.durations) == stages.BLOCKS * stages.LEAST

    def test_every_stage_works_and_cleans_up(self) -> None:
        with stages.stages(render((40, 30)), 30.0, SystemClock()) as found:
            rounds = [stages.measure(stage, 0.0) for stage in found]
        assert len({each.name for each in rounds}) == 8
        assert all(each.stage.cpu > 0 and each.limit.cpu > 0 for each in rounds)


class TestAhead:
    def test_a_ring_is_filled_at_once_and_then_it_keeps_its_pace(self) -> None:
        clock = ManualClock(start=100.0)
        pictures = render((4, 4))[:2]
        camera = FilmCamera(pictures, 10.0, clock, lossless=False, fresh=True, ahead=3)
        with camera:
            frames = [camera.read(1.0) for _ in range(6)]
        assert camera.handed_out == pytest.approx([100, 100, 100, 100, 100.1, 100.2], abs=0.01)
        assert [frame.sequence for frame in frames if frame] == list(range(6))
        assert camera.copies == 1


class TestComparing:
    def test_what_differs_by_more_than_the_rounds_is_said(self) -> None:
        assert difference("x", "fps", [10, 10.1, 9.9], [20, 20.1, 19.9], more_is_better=True).verdict == "better"
        assert difference("x", "ms", [10, 10.1, 9.9], [20, 20.1, 19.9], more_is_better=False).verdict == "worse"

    def test_what_does_not_is_the_same(self) -> None:
        assert difference("x", "fps", [10, 14, 6], [12, 16, 8], more_is_better=True).verdict == "same"
        assert difference("x", "fps", [10, 10], [10.1, 10.1], more_is_better=True).verdict == "same"

    def test_a_single_round_says_nothing(self) -> None:
        assert difference("x", "fps", [10], [20], more_is_better=True).verdict == "?"

    def test_the_bound_is_the_books(self) -> None:
        # Two samples of three with variance 1 each: four degrees of freedom, t = 4.604, standard error sqrt(2/3).
        found = difference("x", "", [1, 2, 3], [4, 5, 6], more_is_better=True)
        assert found.noise == pytest.approx(4.604 * (2 / 3) ** 0.5)
        assert found.verdict == "same"

    @given(RATES)
    def test_nothing_differs_from_itself(self, rounds: list[float]) -> None:
        assert difference("x", "fps", rounds, rounds, more_is_better=True).verdict == "same"

    @given(RATES, RATES)
    def test_the_other_way_round_says_the_contrary(self, before: list[float], after: list[float]) -> None:
        there = difference("x", "fps", before, after, more_is_better=True)
        assert there.noise == pytest.approx(difference("x", "fps", after, before, more_is_better=True).noise)

    def test_a_result_of_before_there_were_stages_can_be_compared(self) -> None:
        old = a_document()
        for part in ("stages", "memory", "start"):
            del old[part]
        names = {each.name for each in compare(old, a_document())}
        assert names == {"bare", "host", "pipeline", "host / bare", "pipeline / bare", "CPU a frame"}

    def test_other_machines_are_named(self) -> None:
        other = a_document() | {"machine": a_document()["machine"] | {"cores": 4}}
        assert comparing.machines_differ(a_document(), other) == ["cores: 2 and 4"]

    def test_what_is_no_benchmark_is_refused(self, tmp_path: Path) -> None:
        for content in ("{}", "no"):
            (tmp_path / "a.json").write_text(content)
            with pytest.raises(InputError, match="edgecam bench --json"):
                comparing.load(tmp_path / "a.json")
        with pytest.raises(InputError, match="cannot be read"):
            comparing.load(tmp_path / "absent.json")

    def test_the_command_measures_nothing(self, tmp_path: Path) -> None:
        for name in ("a.json", "b.json"):
            (tmp_path / name).write_text(json.dumps(a_document()))
        command = [sys.executable, "-m", "edgecam", "bench", "--compare", *map(str, sorted(tmp_path.iterdir()))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        rows = done.stdout.splitlines()
        assert rows[0].split()[:2] == ["FIGURE", "UNIT"]
        assert {row.split()[-1] for row in rows[1:]} == {"same"}


def a_document() -> dict[str, Any]:
    numbers = count(1)
    spread = {"count": 3, "p50": 0.001, "p95": 0.002, "p99": 0.01}
    stage = {
        "name": "read <&>", "against": "bare", "duration": spread, "cpu": 0.002, "limit_duration": spread,
        "limit_cpu": 0.001, "ratio": 2.0, "rounds": [2.0, 2.1],
    }  # fmt: skip
    rates = {part: {"fps": 10.0 * next(numbers), "rounds": [10.0, 11.0]} for part in ("bare", "host", "pipeline")}
    return {
        "machine": {"board": "", "cpu": "some", "cores": 2, "system": "Linux", "python": "3", "edgecam": "0"},
        "detector": {"model": "m", "device": "cpu", "runtime": "r"}, "plan": {"seconds": 1.0, "rounds": 2, "fps": 30.0},
        **rates, "live": {"overhead": spread}, "stages": [stage, stage | {"name": "zero", "cpu": 0.0}],
        "cpu": {"per_frame": 0.002, "rounds": [0.002, 0.0021], "floor": 0.001, "copies": 2.0, "faults": 0.0},
        "memory": {"rss_bytes": 10**8, "rounds": [10**8, 10**8], "growth_bytes": 0},
        "start": {"seconds": 0.5, "bare": 0.25, "rounds": [0.5, 0.5]},
    }  # fmt: skip


class TestPage:
    def test_it_stands_alone_and_has_the_figures_and_plots(self) -> None:
        text = page(a_document())
        assert "http" not in text
        assert "<script" not in text
        assert text.count("<svg") == 3
        assert "read &lt;&amp;&gt;" in text
        for drawing in text.split("<svg")[1:]:
            ElementTree.fromstring("<svg" + drawing.split("</svg>")[0] + "</svg>")  # noqa: S314 (our own)
