"""Measures each stage of a frame by itself, in turn with the least that the same work takes without edgecam."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count, cycle
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter, process_time, thread_time
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.benchmark import bare
from edgecam.benchmark.bare import Work
from edgecam.benchmark.figures import Cost
from edgecam.benchmark.film import SIZE, Picture
from edgecam.benchmark.stage_figures import Measured, StageRound
from edgecam.cameras.video_file import VideoFileCamera
from edgecam.events import event_document
from edgecam.journal import Journal
from edgecam.overlay import Overlay
from edgecam.ports import Clock
from edgecam.recording.encoder import Encoder, EncoderOptions
from edgecam.ring import FrameRing
from edgecam.sinks.display import Display
from edgecam.tracker import Tracker
from edgecam.types import AnnotatedFrame, BBox, Detection, Event, EventType, Frame, Track
from edgecam.yuv import i420_to_rgb, lores_from_i420

OBJECTS = 5
"""So many people are tracked and drawn."""
LEAST = 5
"""Fewest times that a stage is done in a round, however short the time."""
WARM = 3
"""So many times, before, do not count."""
BLOCKS = 4
"""A stage and its limit take turns so often in a round: what disturbs the machine disturbs both."""
_CLIP_FPS, _STEP, _PATIENCE = 30, 1 / 30, 5.0


class Stage(NamedTuple):
    """A stage, what its limit is, and one frame's work of each."""

    name: str
    against: str
    work: Work
    limit: Work


class NullScreen:
    """A screen that nobody sees; says when it has shown a picture."""

    size = SIZE

    def __init__(self) -> None:
        self.shown = threading.Event()

    def open(self) -> str:
        return "nowhere"

    def show(self, image: NDArray[np.uint8], width: int, height: int) -> None:
        self.shown.set()

    def keys(self) -> list[str]:
        return []

    def close(self) -> None:
        """There is nothing to close."""


@contextmanager
def stages(pictures: Sequence[Picture], fps: float, clock: Clock) -> Iterator[list[Stage]]:
    """The stages of a frame, in the order of its way; inference is measured in the pipeline."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="edgecam-bench-")))
        yield [
            _read(pictures, folder, clock, opened),
            _hand_over(pictures),
            _small_picture(pictures),
            _track(),
            _overlay(pictures, clock),
            _encode(pictures, fps, opened),
            _display(pictures, clock, opened),
            _journal(folder, opened),
        ]


def floor(pictures: Sequence[Picture], fps: float, clock: Clock) -> Cost:
    """The CPU time of nothing but `bare.frame` for each of the pictures, at the camera's pace.

    Each is done once before: the very first of all takes thirty times as long as any other.
    """
    size = (pictures[0].lores.shape[1], pictures[0].lores.shape[0])
    works = [bare.frame(each.main, i420_to_rgb(each.main), size, _boxes()) for each in pictures]
    for work in works:
        work()
    spent = 0.0
    for work in works:
        clock.sleep(1 / fps)
        begin = thread_time()
        work()
        spent += thread_time() - begin
    return Cost(len(works), spent)


def measure(stage: Stage, seconds: float) -> StageRound:
    """Do the stage and its limit in turn for about so many seconds in all."""
    for work in (stage.work, stage.limit):
        for _ in range(WARM):
            work()
    pairs = [[_block(work, seconds / BLOCKS / 2) for work in (stage.work, stage.limit)] for _ in range(BLOCKS)]
    ours, least = zip(*pairs, strict=True)
    return StageRound(stage.name, stage.against, _together(ours), _together(least))


def _block(work: Work, seconds: float) -> Measured:
    durations: list[float] = []
    spent, now = process_time(), perf_counter()
    end = now + seconds
    while len(durations) < LEAST or now < end:
        before = now
        work()
        now = perf_counter()
        durations.append(now - before)
    return Measured(tuple(durations), process_time() - spent)


def _together(blocks: Sequence[Measured]) -> Measured:
    return Measured(tuple(each for block in blocks for each in block.durations), sum(block.cpu for block in blocks))


def _read(pictures: Sequence[Picture], folder: Path, clock: Clock, opened: ExitStack) -> Stage:
    path = folder / "clip.mp4"
    bare.clip(path, [picture.main for picture in pictures], _CLIP_FPS)
    size = (pictures[0].lores.shape[1], pictures[0].lores.shape[0])
    camera = VideoFileCamera(path=str(path), lores_size=size, pace="fast", loop=True, clock=clock)
    opened.enter_context(camera)
    return Stage("read", "bare decode", lambda: camera.read(_PATIENCE), bare.decoding(path))


def _hand_over(pictures: Sequence[Picture]) -> Stage:
    ring, frames, queue = FrameRing(8), _frames(pictures), SimpleQueue[Frame]()

    def hand_over() -> None:
        frame = next(frames)
        ring.put(frame)
        ring.latest("detect", frame.sequence - 1, 0.0)
        ring.next("output", frame.sequence - 1, 0.0)

    def queued() -> None:
        for _ in range(2):
            queue.put(next(frames))
            queue.get()

    return Stage("hand-over", "two plain queues", hand_over, queued)


def _small_picture(pictures: Sequence[Picture]) -> Stage:
    size = (pictures[0].lores.shape[1], pictures[0].lores.shape[0])
    colour, coming = _colour(pictures), cycle(pictures)

    def plain() -> object:
        return cv2.resize(colour, size, interpolation=cv2.INTER_LINEAR)

    return Stage("small picture", "plain resize of RGB", lambda: lores_from_i420(next(coming).main, size), plain)


def _track() -> Stage:
    tracker, moments, boxes = Tracker(), count(), _boxes()
    return Stage(
        "track",
        f"overlaps of {OBJECTS} boxes by NumPy",
        lambda: _update(tracker, next(moments)),
        lambda: bare.overlaps(boxes),
    )


def _overlay(pictures: Sequence[Picture], clock: Clock) -> Stage:
    tracker, overlay, moments, coming = Tracker(), Overlay(), count(), cycle(pictures)
    paths = cycle([_update(tracker, next(moments)) for _ in range(60)])
    wall = clock.wall(clock.monotonic())

    def draw() -> None:
        overlay.draw(next(coming).main.copy(), next(paths), wall, "bench · model · cpu · 30 fps")

    plain = bare.drawing(_colour(pictures), _boxes())
    return Stage("overlay", "copy and plain OpenCV drawing on RGB", draw, plain)


def _encode(pictures: Sequence[Picture], fps: float, opened: ExitStack) -> Stage:
    encoder = Encoder(SIZE, EncoderOptions(codec="libx264", rate=fps))
    opened.enter_context(encoder)
    images = [picture.main for picture in (*pictures, *pictures[-2:0:-1])]
    coming, moments = cycle(images), count()
    plain = bare.encoding(images, fps)
    return Stage("encode", "bare encode", lambda: encoder.encode(next(coming), next(moments) / fps), plain)


def _display(pictures: Sequence[Picture], clock: Clock, opened: ExitStack) -> Stage:
    screen, frames = NullScreen(), _frames(pictures)
    sink = Display(screen, clock, ["bench"], fps=1e6).sink("bench")
    opened.enter_context(sink)
    request, answer, over = threading.Event(), threading.Event(), threading.Event()

    def show() -> None:
        frame = next(frames)
        sink.write(AnnotatedFrame(frame, frame.main, (), None))
        _awaited(screen.shown)

    def respond() -> None:
        while not over.is_set():
            if request.wait(_STEP):
                request.clear()
                answer.set()

    thread = threading.Thread(target=respond, name="bench-plain", daemon=True)
    thread.start()
    opened.callback(thread.join, _PATIENCE)
    opened.callback(over.set)

    def woken() -> None:
        request.set()
        _awaited(answer)

    return Stage("display", "waking a thread and back", show, woken)


def _journal(folder: Path, opened: ExitStack) -> Stage:
    journal = Journal(folder / "journal.db", outbox=True)
    opened.enter_context(journal)
    document = event_document(_event())
    numbers = count()

    def record() -> None:
        number = next(numbers)  # an event's first message, three updates, and its end
        kind = ("new", "update", "update", "update", "end")[number % 5]
        journal.record(document | {"id": f"{number // 5}-bench", "type": kind})

    plain, close = bare.committing(folder / "plain.db", str(document) * 2)
    opened.callback(close)
    return Stage("journal and outbox", "bare commit of as much text", record, plain)


def _awaited(event: threading.Event) -> None:
    assert event.wait(_PATIENCE)
    event.clear()


def _frames(pictures: Sequence[Picture]) -> Iterator[Frame]:
    for sequence, picture in enumerate(cycle(pictures)):
        yield Frame(sequence, sequence * _STEP, *picture)


def _colour(pictures: Sequence[Picture]) -> NDArray[np.uint8]:
    return i420_to_rgb(pictures[0].main)


def _update(tracker: Tracker, number: int) -> tuple[Track, ...]:
    """People who walk to and fro beside each other."""
    shift = 0.1 * abs(number % 100 - 50) / 50
    found = [
        Detection("person", 0.87, BBox(0.04 + 0.17 * each + shift, 0.3, 0.14 + 0.17 * each + shift, 0.8))
        for each in range(OBJECTS)
    ]
    return tracker.update(number * _STEP, found)


def _boxes() -> bare.Boxes:
    tracks = _update(Tracker(), 0)
    scale = (SIZE[0], SIZE[1]) * 2
    return np.asarray([[edge * size for edge, size in zip(track.bbox, scale, strict=True)] for track in tracks])


def _event() -> Event:
    box = BBox(0.4, 0.3, 0.5, 0.8)
    return Event(EventType.NEW, "0-bench", "bench", 1, "person", 0.8, 0.9, box, 9, 1.0, 0.0, None, 9, box)
