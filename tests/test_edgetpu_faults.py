"""The fault lab in short: a whole edgecam survives whatever an Edge TPU does, and loses nothing by it.

The limits of time are those of the lab (tools/labs/edgetpu), widened: a busy machine is not a bug.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from edgetpu.build import compiler
from edgetpu.endurance import GAP, Cycles, Gaps
from edgetpu.faults import FAULTS, Record
from edgetpu.kit import Kit, make_kit
from edgetpu.measuring import holdings
from edgetpu.one_run import in_own_process
from edgetpu.parent_killed import MOMENTS

JOBS = 4
LEEWAY = 5.0
LIMIT = 120.0
"""Seconds after which a run hangs."""
NAMES = [*(fault.name for fault in FAULTS), *MOMENTS]
RUNS = [(name, outage) for name in NAMES for outage in (0.3, 1.5)]
SLOW_OPEN, OPEN_TIMEOUT = 4.0, 3.0

Start = Callable[..., "Future[Any]"]


def short_plan(name: str, outage: float) -> dict[str, float]:
    hangs = {"open_timeout": OPEN_TIMEOUT} if name == "hang in open" else {}
    return {"outage": outage, "slow_open": SLOW_OPEN, **hangs}


@pytest.fixture(scope="module")
def kit(standin_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    cc = compiler()
    assert cc
    return make_kit(tmp_path_factory.mktemp("kit"), cc)


@pytest.fixture(scope="module")
def start(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts a run in a process of its own; several go on at the same time, most of which only wait."""
    with ThreadPoolExecutor(JOBS) as pool:

        def submit(kind: type[Any], **order: Any) -> Future[Any]:
            folder = tmp_path_factory.mktemp("run") / "world"
            environment = os.environ.copy()
            return pool.submit(lambda: in_own_process(kind, kit, folder, LIMIT, environment, **order))

        yield submit
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def records(start: Start, request: pytest.FixtureRequest) -> dict[tuple[str, float], Future[Record]]:
    """All runs that the tests selected ask for, begun at once."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = {call.params["run"] for call in calls if call and "run" in call.params}
    return {
        (name, outage): start(Record, run="fault", name=name, plan=short_plan(name, outage))
        for name, outage in RUNS
        if (name, outage) in wanted
    }


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run[0]}, {run[1]} s")
def test_nothing_is_lost_and_the_edge_tpu_is_back(
    run: tuple[str, float], records: dict[tuple[str, float], Future[Record]]
) -> None:
    record = records[run].result()
    assert not record.problems(LEEWAY), record
    if run[0] in MOMENTS:
        assert record.gone is not None
    else:
        assert record.tally
        assert record.tally.walks > 0
        assert min(record.tally.tpu_analyses, record.tally.cpu_analyses, record.tally.events) > 0


def test_nothing_grows_while_a_stick_comes_and_goes(start: Start) -> None:
    done = start(Cycles, run="cycles", count=15, warm_up=5, every=5).result()
    # A model left behind in each of ten cycles would be 13 MB; what an allocator does in ten cycles is not growth yet.
    assert not replace(done, growth_bytes=0.0).problems()
    assert done.growth_bytes < 500_000, done


def test_no_thread_waits_while_a_stick_opens(start: Start) -> None:
    done = start(Gaps, run="gaps", opening=1.0).result()
    busy = max(1.0, done.before / GAP)
    assert not done.problems(LEEWAY * busy), done


class TestMeasuring:
    """That the lab would see what it is there to see."""

    def test_what_is_left_behind_shows(self) -> None:
        before, done = holdings(), threading.Event()
        thread = threading.Thread(target=done.wait)
        thread.start()
        descriptor = os.memfd_create("left-behind")
        child = subprocess.Popen(["sleep", "60"])
        after = holdings()
        done.set()
        thread.join()
        os.close(descriptor)
        child.kill()
        child.wait()
        assert [new - old for new, old in zip(after[:3], before[:3], strict=True)] == [1, 1, 1]
        assert holdings()[:3] == before[:3]
