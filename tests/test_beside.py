"""The thread that runs the interpreter while its owner reads, the detector that uses it, and how threads are chosen."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import tiny_models
from numpy.typing import NDArray

from edgecam.detectors import beside, hosted, pace, tflite
from edgecam.detectors.beside import Beside, Outputs
from edgecam.detectors.hosted import IsolatedDetector
from edgecam.detectors.process import DetectorProcess, ProcessOptions
from edgecam.detectors.tflite import TfliteDetector
from edgecam.errors import DetectorError
from edgecam.types import Inference

DEMO = Path(__file__).resolve().parent.parent / "models" / "edgecam_demo.tflite"
LIMIT = 20


def invoke_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "invoke"]


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    before = invoke_threads()
    yield
    assert invoke_threads() == before


class Echo:
    """An engine whose output is its input; it waits in `run` for `go`, and fails on a negative number."""

    def __init__(self) -> None:
        self.go = Event()
        self.go.set()
        self.loaded = threading.Semaphore(0)
        self._tensor: NDArray[np.generic] = number(0)

    def load(self, tensor: NDArray[np.generic]) -> None:
        self._tensor = tensor
        self.loaded.release()

    def run(self) -> Outputs:
        assert self.go.wait(LIMIT)
        if int(self._tensor[0]) < 0:
            raise DetectorError("it burns")
        return Outputs([self._tensor], 0.25)


class Broken(Echo):
    def load(self, tensor: NDArray[np.generic]) -> None:
        raise ZeroDivisionError


def number(value: int) -> NDArray[np.int64]:
    return np.array([value])


def test_answers_come_in_order() -> None:
    runner = Beside(Echo())
    runner.start()
    for value in range(5):
        runner.submit(number(value))
    assert [int(runner.collect().tensors[0][0]) for _ in range(5)] == list(range(5))
    assert runner.close()


def test_an_answer_is_handed_over_once_the_next_is_loaded_not_before() -> None:
    handed_over: list[int] = []

    class Noting(Echo):
        def load(self, tensor: NDArray[np.generic]) -> None:
            handed_over.append(runner._answers.qsize())
            super().load(tensor)

    engine = Noting()
    engine.go.clear()
    runner = Beside(engine)
    runner.start()
    runner.submit(number(1))
    assert engine.loaded.acquire(timeout=LIMIT)
    runner.submit(number(2))
    engine.go.set()
    assert engine.loaded.acquire(timeout=LIMIT)
    assert [int(runner.collect().tensors[0][0]) for _ in range(2)] == [1, 2]
    assert handed_over == [0, 0]
    assert runner.close()


def test_what_was_done_before_a_fault_comes_before_it() -> None:
    runner = Beside(Echo())
    runner.start()
    for value in (1, -1, 2):
        runner.submit(number(value))
    assert int(runner.collect().tensors[0][0]) == 1
    with pytest.raises(DetectorError, match="it burns"):
        runner.collect()
    assert runner.close()


def test_a_hung_invoke_holds_up_the_end_for_a_while_only_and_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_LAST_WAIT", 0.01)
    engine = Echo()
    engine.go.clear()
    runner = Beside(engine)
    runner.start()
    for value in range(3):
        runner.submit(number(value))
    assert engine.loaded.acquire(timeout=LIMIT)
    assert not runner.close()
    engine.go.set()
    invoke_threads()[-1].join(LIMIT)
    assert not engine.loaded.acquire(timeout=0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_ended_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_TURN", 0.01)
    runner = Beside(Broken())
    runner.start()
    runner.submit(number(1))
    with pytest.raises(DetectorError, match="has ended"):
        runner.collect()
    assert runner.close()


def noise(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (192, 320, 3), np.uint8)


def collected(detector: TfliteDetector) -> Inference:
    done = detector.collect(timeout=0)
    assert done is not None
    return done


def test_two_at_a_time_find_the_same_as_one_by_one() -> None:
    pictures = [noise(seed) for seed in range(12)]
    with TfliteDetector(DEMO) as detector:
        expected = [detector.detect(picture) for picture in pictures]
        assert not invoke_threads()
        detector.submit(pictures[0])
        found = []
        for picture in pictures[1:]:
            detector.submit(picture)
            found.append(collected(detector).detections)
        assert len(invoke_threads()) == 1
        found.append(collected(detector).detections)
        assert detector.collect(timeout=0) is None
        assert detector.detect(pictures[3]) == expected[3]
    assert found == expected


@pytest.mark.parametrize(("short", "slots"), [(60.0, 2), (0.0, 1)])
def test_only_a_quick_model_takes_a_second_picture(monkeypatch: pytest.MonkeyPatch, short: float, slots: int) -> None:
    monkeypatch.setattr(tflite, "_SHORT", short)
    detector = TfliteDetector(DEMO)
    assert detector.slots == 1
    with detector:
        assert detector.slots == 1
        detector.detect(noise(1))
        assert detector.slots == slots
    assert detector.slots == 1


def test_a_fault_in_the_thread_closes_the_detector_which_may_be_opened_again(tmp_path: Path) -> None:
    bad, good = np.full((2, 2, 3), 9, np.uint8), np.zeros((2, 2, 3), np.uint8)
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_models.fragile_detector())
    detector = TfliteDetector(path)
    detector.open()
    for picture in (good, bad, good):
        detector.submit(picture)
    assert len(collected(detector).detections) == 3
    with pytest.raises(DetectorError, match="inference failed"):
        detector.collect(timeout=0)
    assert not invoke_threads()
    with pytest.raises(DetectorError, match="is not open"):
        detector.collect(timeout=0)
    detector.open()
    assert detector.collect(timeout=0) is None
    assert len(detector.detect(good)) == 3
    detector.close()


def test_it_may_be_closed_with_pictures_under_way() -> None:
    detector = TfliteDetector(DEMO)
    for under_way in (1, 2):
        detector.open()
        for seed in range(under_way):
            detector.submit(noise(seed))
        detector.close()
    assert not invoke_threads()


@pytest.mark.parametrize(("quick", "threads", "told"), [(True, 1, "one CPU thread"), (False, 3, "3 CPU threads")])
def test_threads_left_to_choose_are_as_the_model_is_quick(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, quick: bool, threads: int, told: str
) -> None:
    built = []
    build = tflite._build_interpreter

    def noted(*arguments: object) -> object:
        built.append(arguments[-1])
        return build(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(tflite, "_build_interpreter", noted)
    monkeypatch.setattr(pace, "automatic_threads", lambda: 3)
    monkeypatch.setattr(tflite, "is_quick", lambda _invoke: quick)
    caplog.set_level(logging.INFO, "edgecam")
    with TfliteDetector(DEMO, threads=0) as detector:
        assert detector.detect(noise(1)) == one_thread_finds(noise(1))
    assert built[0] == 1
    assert built[:-1][-1] == threads
    assert caplog.text.count(told) == 1


def one_thread_finds(picture: NDArray[np.uint8]) -> object:
    with TfliteDetector(DEMO, threads=1) as detector:
        return detector.detect(picture)


def test_a_model_that_fails_on_an_empty_picture_is_opened_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_models.fragile_detector())

    def fails(_invoke: object) -> bool:
        raise RuntimeError("node 3 failed to invoke")

    monkeypatch.setattr(pace, "automatic_threads", lambda: 2)
    monkeypatch.setattr(tflite, "is_quick", fails)
    with TfliteDetector(path, threads=0) as detector:
        assert len(detector.detect(np.zeros((2, 2, 3), np.uint8))) == 3


@pytest.mark.parametrize(("quick", "threads"), [(True, [1]), (False, [1, 3])])
def test_a_process_of_its_own_chooses_alike(
    monkeypatch: pytest.MonkeyPatch, *, quick: bool, threads: list[int]
) -> None:
    started = []

    class Noted(DetectorProcess):
        def start(self) -> None:
            started.append(self._options.threads)
            super().start()

    monkeypatch.setattr(hosted, "DetectorProcess", Noted)
    monkeypatch.setattr(pace, "automatic_threads", lambda: 3)
    monkeypatch.setattr(hosted, "is_quick", lambda invoke: invoke() > 0 and quick)
    with IsolatedDetector(DEMO, options=ProcessOptions(threads=0)) as detector:
        assert detector.detect(noise(1)) == one_thread_finds(noise(1))
    assert started == threads
