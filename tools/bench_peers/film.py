"""The clip that all are shown: H.264, 1280x720, 30 frames per second, long enough for one measurement."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from bench_peers.environments import Unavailable

SIZE = (1280, 720)
FPS = 30
LENGTH = 44.0
"""Seconds. Motion plays a file once."""
_OPTIONS = {"preset": "veryfast", "crf": "23", "bf": "0", "g": str(2 * FPS)}


def film(source: Path, folder: Path, length: float = LENGTH, tick: Callable[[], object] = lambda: None) -> Path:
    """The source as such a clip, in `folder`; made once. Raises Unavailable where it has no pictures.

    Every picture of the source is shown for a 30th of a second, whatever its own pace, and again from the first one.
    """
    told = source.stat()
    key = f"{source.resolve()} {told.st_size} {told.st_mtime_ns} {length}"
    target = folder / f"film-{hashlib.sha256(key.encode()).hexdigest()[:12]}.mp4"
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        half = target.with_suffix(".part.mp4")
        _write(source, half, round(length * FPS), tick)
        half.replace(target)
    return target


def _write(source: Path, target: Path, frames: int, tick: Callable[[], object]) -> None:
    with av.open(str(target), "w") as container:
        stream: Any = container.add_stream("libx264", rate=FPS, options=_OPTIONS)
        (stream.width, stream.height), stream.pix_fmt = SIZE, "yuv420p"
        pictures = _pictures(source)
        for number in range(frames):
            picture = next(pictures).reformat(*SIZE, format="yuv420p", interpolation="BICUBIC")
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(picture))
            tick()
        container.mux(stream.encode(None))


def _pictures(source: Path) -> Iterator[Any]:
    """Over and over."""
    while True:
        count = 0
        try:
            with av.open(str(source)) as container:
                for picture in container.decode(video=0):
                    count += 1
                    yield picture
        except (OSError, av.FFmpegError) as error:
            raise Unavailable(f"{source}: cannot be played: {error}") from error
        if not count:
            raise Unavailable(f"{source}: has no pictures: give --clip another video")
