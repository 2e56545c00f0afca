"""The capture thread's turns, taken one by one on the test's own thread."""

from __future__ import annotations

import pytest

from edgecam.capture import CaptureWorker
from edgecam.errors import CameraError, EndOfStream, InputError, RingClosed
from edgecam.ring import FrameRing
from edgecam.testing import ManualClock, ScriptedCamera, make_frame
from edgecam.types import Frame

Script = list[Frame | Exception | None]


def capturing(script: Script, ring: FrameRing | None = None) -> tuple[CaptureWorker, ScriptedCamera, ManualClock]:
    camera, clock = ScriptedCamera(script), ManualClock()
    worker = CaptureWorker(camera, ring or FrameRing(8), clock, lambda: None, stall_limit=5.0)
    worker.setup()
    return worker, camera, clock


def test_frames_go_into_the_ring_and_are_counted() -> None:
    ring = FrameRing(8)
    worker, _, _ = capturing([make_frame(0), None, make_frame(1)], ring)
    for _ in range(3):
        worker.step()
    assert worker.captured == 2
    assert [ring.next("x", after, 0.0).sequence for after in (-1, 0)] == [0, 1]  # type: ignore[union-attr]
    with pytest.raises(EndOfStream):
        worker.step()


def test_a_lost_camera_is_opened_again_and_its_frames_go_on_counting(caplog: pytest.LogCaptureFixture) -> None:
    worker, camera, clock = capturing([make_frame(0), CameraError("cable"), None, make_frame(1), make_frame(2)])
    worker.stopping.set()  # so that waiting for the back-off returns at once
    for _ in range(4):
        worker.step()
    assert camera.opened == 1, "the back-off has not run out"
    clock.advance(1.1)
    for _ in range(3):
        worker.step()
    assert (camera.opened, worker.reopened, worker.captured) == (2, 1, 3)
    assert [record.getMessage() for record in caplog.records] == ["camera lost: cable", "camera back after 1.1 s"]


def test_a_silent_camera_has_failed() -> None:
    worker, camera, clock = capturing([make_frame(0), None, None, make_frame(1)])
    worker.step()
    clock.advance(4.0)
    worker.step()
    assert camera.opened == 1
    clock.advance(2.0)
    worker.step()
    clock.advance(1.1)
    worker.step()
    assert camera.opened == 2
    assert worker.captured == 2


def test_a_missing_file_is_not_tried_again() -> None:
    class Missing(ScriptedCamera):
        def open(self) -> None:
            raise InputError("no.mp4: no such file")

    worker = CaptureWorker(Missing([]), FrameRing(1), ManualClock(), lambda: None)
    with pytest.raises(InputError):
        worker.setup()
    worker.teardown()


def test_teardown_closes_the_ring_for_the_others() -> None:
    ring = FrameRing(8)
    worker, _, _ = capturing([], ring)
    worker.teardown()
    with pytest.raises(RingClosed):
        ring.next("output", -1, 0.0)
