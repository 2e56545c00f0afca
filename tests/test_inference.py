"""One detector for several cameras: each has its share, and none of them can take another's."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecam.app import build
from edgecam.clock import SystemClock
from edgecam.config import CameraConfig, Config, SyntheticConfig
from edgecam.config.clips import ClipsSection
from edgecam.config.schema import DetectorSection
from edgecam.detectors.tiled import TiledDetector
from edgecam.errors import DetectorError, ModelError
from edgecam.inference import InferenceWorker, SharedDetector
from edgecam.ports import Detector
from edgecam.testing import ScriptedDetector
from edgecam.types import BBox, Detection, DetectorInfo, Inference

pytestmark = pytest.mark.any_runtime
LIMIT = 10.0
PICTURE = np.zeros((2, 2, 3), np.uint8)


class CountingDetector(ScriptedDetector):
    """Answers with the first byte of each picture, after `takes` seconds; `most` is the largest number under way."""

    def __init__(self, slots: int = 2, takes: float = 0.001) -> None:
        super().__init__(slots=slots)
        self.takes = takes
        self.most = 0
        self.answered: list[int] = []
        self.closed = 0

    def submit(self, image: NDArray[np.uint8]) -> None:
        super().submit(image)
        self.most = max(self.most, len(self.under_way))

    def collect(self, timeout: float) -> Inference | None:
        if not self.under_way:
            return None
        threading.Event().wait(self.takes)
        number = int(self.under_way.pop(0)[0, 0, 0])
        self.answered.append(number)
        return Inference([Detection(str(number), 0.5, BBox(0.0, 0.0, 1.0, 1.0))], 0.0)

    def close(self) -> None:
        super().close()
        self.closed += 1


@contextmanager
def running(detector: Detector) -> Iterator[InferenceWorker]:
    worker = InferenceWorker(detector)
    worker.start()
    try:
        yield worker
    finally:
        assert worker.stop_within(LIMIT) is None
        assert worker.fault is None


def picture(number: int) -> NDArray[np.uint8]:
    return np.full((2, 2, 3), number, np.uint8)


def looking(
    share: SharedDetector, number: int, enough: Callable[[], bool], seen: Counter[int], together: threading.Barrier
) -> threading.Thread:
    """A thread that asks, hands in and collects as a camera's does, and counts what it gets in `seen`."""

    def look() -> None:
        under_way = 0
        together.wait(LIMIT)
        while not enough():
            while under_way < share.slots and share.turn(0.0 if under_way else 0.1):
                share.submit(picture(number))
                under_way += 1
            done = share.collect(0.1)
            if done is not None:
                assert [found.label for found in done.detections] == [str(number)]
                under_way -= 1
                seen[number] += 1

    share.open()
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    return thread


def shares_of(detector: CountingDetector, weights: list[float], total: int) -> Counter[int]:
    seen: Counter[int] = Counter()
    with running(detector) as worker:
        shares = [worker.share(f"camera {number}", weight) for number, weight in enumerate(weights)]
        together = threading.Barrier(len(shares))
        threads = [
            looking(share, number, lambda: seen.total() >= total, seen, together) for number, share in enumerate(shares)
        ]
        for thread in threads:
            thread.join(LIMIT)
            assert not thread.is_alive()
    return seen


def test_four_cameras_have_equal_shares() -> None:
    detector = CountingDetector()
    seen = shares_of(detector, [1.0] * 4, 400)
    assert max(seen.values()) - min(seen.values()) <= 0.05 * 100
    assert detector.most <= 2


def test_eight_cameras_on_two_edge_tpus() -> None:
    seen = shares_of(CountingDetector(slots=4), [1.0] * 8, 480)
    assert max(seen.values()) - min(seen.values()) <= 0.05 * 60


def test_a_weight_of_three_gets_three_times_as_much() -> None:
    seen = shares_of(CountingDetector(slots=1), [3.0, 1.0], 320)
    assert 2.7 <= seen[0] / seen[1] <= 3.3


def test_who_does_not_use_its_turn_does_not_hold_up_the_others() -> None:
    detector = CountingDetector(slots=1)
    with running(detector) as worker:
        idle, busy = worker.share("idle"), worker.share("busy")
        idle.open()
        busy.open()
        assert idle.turn(LIMIT)
        assert busy.detect(picture(7))[0].label == "7"


def test_who_rested_is_not_owed_it() -> None:
    detector = CountingDetector(slots=1)
    with running(detector) as worker:
        one, other = worker.share("one"), worker.share("other")
        one.open()
        other.open()
        for _ in range(50):
            one.detect(picture(1))
        seen: Counter[int] = Counter()
        both = threading.Barrier(2)
        threads = [looking(share, n, lambda: seen.total() >= 40, seen, both) for n, share in ((1, one), (2, other))]
        for thread in threads:
            thread.join(LIMIT)
    assert abs(seen[1] - seen[2]) <= 4


def test_a_fault_is_told_to_each_camera_and_each_can_go_on() -> None:
    class Breaking(CountingDetector):
        broken = True

        def collect(self, timeout: float) -> Inference | None:
            if self.under_way and self.broken:
                self.broken = False
                raise DetectorError("pulled out")
            return super().collect(timeout)

    detector = Breaking()
    with running(detector) as worker:
        shares = [worker.share("one"), worker.share("other")]
        for share in shares:
            share.open()
        with pytest.raises(DetectorError, match="pulled out"):
            shares[0].detect(PICTURE)
        with pytest.raises(DetectorError, match="pulled out"):
            shares[1].detect(PICTURE)
        for share in shares:
            share.close()
            share.open()
            assert share.detect(picture(3))[0].label == "3"
    assert detector.opened == 2


def test_what_opening_refuses_is_told_to_who_opens() -> None:
    class Refusing(CountingDetector):
        def open(self) -> None:
            raise ModelError("no such model")

    with running(Refusing()) as worker:
        for share in (worker.share("one"), worker.share("other")):
            with pytest.raises(ModelError, match="no such model"):
                share.open()


def test_it_is_closed_when_the_last_camera_closes_and_answers_for_nobody_are_dropped() -> None:
    detector = CountingDetector()
    with running(detector) as worker:
        one, other = worker.share("one"), worker.share("other")
        one.open()
        other.open()
        assert one.turn(LIMIT)
        one.submit(picture(1))
        one.close()
        assert other.detect(picture(2))[0].label == "2"
        other.close()
        one.open()
        assert one.detect(picture(4))[0].label == "4"
    assert detector.closed == detector.opened


def test_without_its_thread_it_says_so() -> None:
    share = InferenceWorker(ScriptedDetector()).share("one")
    with pytest.raises(DetectorError, match="no thread"):
        share.open()
    with pytest.raises(DetectorError, match="never open"):
        _: DetectorInfo = share.info


def test_a_weight_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        InferenceWorker(ScriptedDetector()).share("one", 0.0)


def test_two_cameras_share_a_detector_and_one_has_it_to_itself(tmp_path: Path) -> None:
    for number, lent in ((1, []), (2, ["inference"])):
        synthetic = [SyntheticConfig(type="synthetic", seed=n, duration=0.4, pace="fast") for n in range(number)]
        cameras: dict[str, CameraConfig] = {f"camera{n}": camera for n, camera in enumerate(synthetic)}
        config = Config(data_dir=tmp_path / str(number), cameras=cameras, clips=ClipsSection(enabled=False))
        app = build(config, SystemClock())
        assert [service.name for service in app.services if isinstance(service, InferenceWorker)] == lent
        app.run()
        assert [counts.frames_analysed for counts in app.counters().values()] == [10] * number


def test_tiles_that_are_configured_are_looked_at_and_counted_as_one_picture(tmp_path: Path) -> None:
    cameras: dict[str, CameraConfig] = {
        f"camera{n}": SyntheticConfig(type="synthetic", seed=n, duration=0.2, pace="fast") for n in range(2)
    }
    detector = DetectorSection(model="edgecam-demo", tiles="2x1")
    config = Config(data_dir=tmp_path, cameras=cameras, detector=detector, clips=ClipsSection(enabled=False))
    app = build(config, SystemClock())
    assert all(isinstance(pipeline.detect._detector, TiledDetector) for pipeline in app.pipelines)
    app.run()
    assert [counts.frames_analysed for counts in app.counters().values()] == [5, 5]
