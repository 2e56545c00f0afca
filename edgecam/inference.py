"""The inference thread: one detector for several cameras, each in its turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Condition
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from edgecam.errors import DetectorError
from edgecam.ports import Detector
from edgecam.turns import Place, next_of
from edgecam.types import Detection, DetectorInfo, Inference
from edgecam.worker import Worker

TURN = 0.25
"""Longest wait of one turn, seconds."""
HAND_IN = 0.004
"""How long, in seconds, the thread waits for the picture of a camera whose turn it is, before it looks for answers."""
TURN_LASTS = 0.1
"""A turn that is not used within so many seconds goes to another camera."""


class InferenceWorker(Worker):
    """Owns a detector and lends it to several cameras.

    Whose turn it is, `edgecam.turns` says. A camera takes its newest frame when it is its turn, not when it asks. What
    one of them does, or fails to do, costs the others nothing: an unused turn goes on after TURN_LASTS seconds.

    The detector is open while one of the cameras has it open. A fault of it is told to each of them, and each opens it
    again, as if it had it alone. To be started before the cameras' threads and stopped after them.
    """

    def __init__(self, detector: Detector, on_exit: Callable[[], None] = lambda: None) -> None:
        super().__init__("inference", on_exit)
        self._detector = detector
        self._condition = Condition()
        self._places: list[Place] = []
        self._handed_in: deque[tuple[Place, NDArray[np.uint8]]] = deque()
        self._jobs: deque[Place] = deque()
        self._opened = False
        self._slots = 0
        self._info: DetectorInfo | None = None
        self._refusal: Exception | None = None

    def share(self, name: str, weight: float = 1.0) -> SharedDetector:
        """The detector for one more camera; of two cameras that always ask, each gets by its weight."""
        if weight <= 0:
            raise ValueError(f"weight {weight:g} of {name}: above 0")
        place = Place(name, weight)
        self._places.append(place)
        return SharedDetector(self, place)

    def step(self) -> None:
        if not self._wanted():
            return
        if not self._opened:
            with self.allowing(self.open_limit):
                self._open()
            return
        try:
            self._hand_on()
            self._collect()
        except DetectorError as error:
            self._lose(error)

    def teardown(self) -> None:
        if self._opened:
            self._lose(DetectorError(f"{self.name} has stopped"))

    # What follows is called by the cameras' threads.

    def opened_for(self, place: Place, timeout: float) -> None:
        """Open the detector where it is not open. Raises what its `open` raises."""
        with self._condition:
            place.open, place.fault, self._refusal = True, None, None
            place.done.clear()
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._opened or self._refusal or not self.is_alive(), timeout)
            if self._opened:
                return
            place.open = False
            why = f"did not open within {timeout:g} s" if self.is_alive() else "has no thread that runs it"
            raise self._refusal or DetectorError(f"the shared detector {why}")

    def closed_for(self, place: Place) -> None:
        """Let go of it; answers still under way go nowhere."""
        with self._condition:
            place.open = place.asking = False
            place.turn_since = None
            place.under_way = 0
            place.done.clear()
            self._handed_in = deque(job for job in self._handed_in if job[0] is not place)
            self._jobs = deque(Place("", 1.0) if job is place else job for job in self._jobs)
            self._condition.notify_all()

    def turn_for(self, place: Place, timeout: float) -> bool:
        """Ask for a turn and wait for it; the question stands where there is none in time. Raises DetectorError."""
        with self._condition:
            if place.turn_since is None:
                place.asking = True
                self._condition.notify_all()
                self._condition.wait_for(lambda: place.turn_since is not None or place.fault, timeout)
            place.check()
            return place.turn_since is not None

    def submit_for(self, place: Place, image: NDArray[np.uint8]) -> None:
        """Use the turn. Raises DetectorError."""
        with self._condition:
            place.check()
            place.asking, place.turn_since = False, None
            place.under_way += 1
            self._handed_in.append((place, image))
            self._condition.notify_all()

    def collect_for(self, place: Place, timeout: float) -> Inference | None:
        """The oldest answer for this camera; None in `timeout` seconds, or as soon as it has a turn to use."""
        with self._condition:
            self._condition.wait_for(lambda: place.done or place.fault or place.turn_since is not None, timeout)
            if place.done:
                place.under_way -= 1
                return place.done.popleft()
            place.check()
            return None

    @property
    def slots(self) -> int:
        """How many pictures the detector takes at once, now."""
        return self._slots

    @property
    def info(self) -> DetectorInfo:
        """What runs now. Raises DetectorError before it was open."""
        if self._info is None:
            raise DetectorError("the detector was never open")
        return self._info

    def _wanted(self) -> bool:
        """Wait until there is something to do; False where there is nothing. Closes what nobody has open."""
        with self._condition:
            self._condition.wait_for(self._busy, TURN)
            wanted = any(place.open for place in self._places)
        if self._opened and not wanted:
            self._close()
        return wanted and not self.stopping.is_set()

    def _busy(self) -> bool:
        if not self._opened:
            return any(place.open for place in self._places)
        return bool(self._handed_in or self._jobs) or any(place.waits for place in self._places)

    def _open(self) -> None:
        refusal: Exception | None = None
        try:
            self._detector.open()
            self._learn()
        except (DetectorError, OSError, ValueError) as error:
            refusal = error
        with self._condition:
            self._opened, self._refusal = refusal is None, refusal
            self._condition.notify_all()

    def _close(self) -> None:
        with self._condition:
            self._opened = False
            self._jobs.clear()
            self._handed_in.clear()
        self._detector.close()

    def _learn(self) -> None:
        self._slots, self._info = self._detector.slots, self._detector.info

    def _hand_on(self) -> None:
        """Give out turns as long as there is room, and hand on the pictures that come in for them, at once."""
        limit = monotonic() + HAND_IN
        while True:
            with self._condition:
                self._give_turns()
                self._condition.wait_for(lambda: self._handed_in or not self._turns_out(), limit - monotonic())
                taken = list(self._handed_in)
                self._handed_in.clear()
                self._jobs.extend(place for place, _image in taken)
            for _place, image in taken:
                self._detector.submit(image)
            if not taken:
                return

    def _give_turns(self) -> None:
        now = monotonic()
        for place in self._places:
            if place.turn_since is not None and now - place.turn_since > TURN_LASTS:
                place.turn_since, place.asking = None, False
        while self._turns_out() + len(self._jobs) + len(self._handed_in) < self._slots:
            following = next_of(self._places)
            if following is None:
                return
            following.turn_since = now
            self._condition.notify_all()

    def _turns_out(self) -> int:
        return sum(place.turn_since is not None for place in self._places)

    def _collect(self) -> None:
        """Take one answer, where it comes soon; also looks after the detector's devices."""
        done = self._detector.collect(TURN if self._jobs or not self._slots else 0.0)
        self._learn()
        if done is None:
            return
        with self._condition:
            place = self._jobs.popleft()
            if place.open:
                place.done.append(done)
                self._condition.notify_all()

    def _lose(self, error: DetectorError) -> None:
        """Tell every camera; each opens the detector again when it likes."""
        self._close()
        with self._condition:
            for place in self._places:
                if place.open:
                    place.fault, place.open, place.asking, place.turn_since = error, False, False, None
            self._condition.notify_all()


class SharedDetector(Detector):
    """One camera's share of the detector of an InferenceWorker, which says who is next."""

    open_timeout: float = 60.0

    def __init__(self, worker: InferenceWorker, place: Place) -> None:
        self._worker = worker
        self._place = place

    def open(self) -> None:
        """See `Detector.open`; the first camera's opening opens it for all."""
        self._worker.opened_for(self._place, self.open_timeout)

    def close(self) -> None:
        self._worker.closed_for(self._place)

    @property
    def info(self) -> DetectorInfo:
        return self._worker.info

    @property
    def slots(self) -> int:
        """One more than the detector has, so that a camera asks for its next turn before it has its answer."""
        return self._worker.slots + 1 if self._worker.slots else 0

    def turn(self, timeout: float) -> bool:
        return self._worker.turn_for(self._place, timeout)

    def submit(self, image: NDArray[np.uint8]) -> None:
        self._worker.submit_for(self._place, image)

    def collect(self, timeout: float) -> Inference | None:
        return self._worker.collect_for(self._place, timeout)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """See `Detector.detect`; nothing else may be under way."""
        while not self.turn(TURN):
            pass
        self.submit(image)
        while (done := self.collect(TURN)) is None:
            pass
        return done.detections
