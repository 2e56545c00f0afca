"""What recording costs: processor time beside FFmpeg's own loop, and the memory of a pre-roll."""

from __future__ import annotations

import json
import os
import sys
import time
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clip_recording import LORES, START, told
from clip_stories import street
from numpy.typing import NDArray

from edgecam.clip_store import ClipStore
from edgecam.recording import encoder as encoding
from edgecam.recording.encoder import EncoderOptions
from edgecam.sinks.clips import ClipSink
from edgecam.testing import ManualClock
from edgecam.types import AnnotatedFrame, EventType, Frame

LABS = os.environ.get("EDGECAM_LABS") == "1"
HD = (1280, 720)
Pictures = tuple[NDArray[np.uint8], ...]


def sink_in(folder: Path, **options: Any) -> ClipSink:
    return ClipSink(folder / "clips", "front", ClipStore(folder / "edgecam.db"), ManualClock(START), **options)


def frames_of(pictures: Pictures, count: int, fps: float = 30.0) -> list[AnnotatedFrame]:
    """So many frames, there and back again."""
    both = [*pictures, *reversed(pictures)]
    chosen = [both[number % len(both)] for number in range(count)]
    return [AnnotatedFrame(Frame(n, START + n / fps, each, LORES), each, (), None) for n, each in enumerate(chosen)]


@pytest.mark.skipif(not LABS, reason="measures processor time, a minute: EDGECAM_LABS=1")
def test_the_recorder_takes_no_more_processor_time_than_ffmpeg(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The whole sink, with journal, pre-roll and a durable file, an event over all of it."""
    frames = frames_of(street(90, HD), 180)
    ours, theirs = [], []
    for turn in range(5):
        ours.append(our_time(frames, tmp_path / f"ours{turn}"))
        theirs.append(their_time(frames, tmp_path / f"theirs{turn}.mp4"))
    ratio = min(ours) / min(theirs)
    each = [1000 * min(column) / len(frames) for column in (ours, theirs)]
    record_property("milliseconds_a_frame", each)
    sys.stdout.write(json.dumps({"ours_ms": each[0], "theirs_ms": each[1], "ratio": ratio}) + "\n")
    assert ratio <= 1.15


def our_time(frames: list[AnnotatedFrame], folder: Path) -> float:
    with sink_in(folder, encoder=EncoderOptions(codec="libx264"), pre_roll=5.0) as sink:
        sink.write(frames[0])
        sink.publish(told(EventType.NEW, "1.0-a", START, START))
        before = time.process_time()
        for frame in frames[1:]:
            sink.write(frame)
        return time.process_time() - before


def their_time(frames: list[AnnotatedFrame], path: Path) -> float:
    options = {**encoding._settings("libx264", HD, EncoderOptions()), "g": "30"}
    movflags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    container: Any = av.open(str(path), "w", options=movflags)
    stream = container.add_stream("libx264", rate=30, options=options)
    stream.width, stream.height, stream.pix_fmt = *HD, "yuv420p"
    stream.codec_context.thread_count = 1
    before = 0.0
    for number, annotated in enumerate(frames):
        if number == 1:
            before = time.process_time()
        frame = av.VideoFrame.from_numpy_buffer(annotated.image, format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 30)
        container.mux(stream.encode(frame))
    taken = time.process_time() - before
    container.mux(stream.encode(None))
    container.close()
    return taken


@pytest.mark.parametrize("seen", ["street", "noise"])
def test_ten_seconds_of_pre_roll_take_at_most_12_mb(
    tmp_path: Path, seen: str, record_property: Callable[[str, object], None]
) -> None:
    """All that Python keeps, at the default rate; noise is the worst that a sensor can do at night."""
    pictures = street(12, HD)
    if seen == "noise":
        random = np.random.default_rng(1)
        pictures = tuple(random.integers(16, 235, (HD[1] * 3 // 2, HD[0]), np.uint8) for _ in range(6))
    frames = frames_of(pictures, 480 if LABS else 400)
    options = EncoderOptions(codec="libx264", preset="ultrafast")
    with sink_in(tmp_path, encoder=options, pre_roll=10.0) as sink:
        tracemalloc.start()
        try:
            for frame in frames:
                sink.write(frame)
            kept, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        seconds = sink._stream.ring.seconds
    figures = {"seen": seen, "kept_bytes": kept, "most_bytes": most, "ring_bytes": sink._stream.max_bytes}
    record_property("pre_roll", figures | {"seconds": seconds})
    sys.stdout.write(json.dumps(figures | {"seconds": seconds}) + "\n")
    assert kept <= 12_000_000
    assert seconds >= 10.0
