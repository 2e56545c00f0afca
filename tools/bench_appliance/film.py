"""The film that the camera plays: a recorded video, scaled to 1280x720, one picture each thirtieth of a second."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError
from av.video.frame import PictureType

from edgecam.errors import InputError

FPS = 30
SIZE = (1280, 720)
_OPTIONS = {"preset": "veryfast", "crf": "23", "bf": "0", "g": str(2 * FPS)}
"""As an IP camera sends it: no picture that waits for a later one, a key frame every two seconds."""


def make(source: Path, target: Path, pictures: int, size: tuple[int, int] = SIZE, shown: int = 1) -> int:
    """Write the first `pictures` of a video as H.264 in MP4, each `shown` so many times; returns how many it has.

    Raises InputError.
    """
    try:
        return _made(source, target, pictures, size, shown)
    except (OSError, FFmpegError) as error:
        raise InputError(f"{source}: no film can be made of it ({error}): choose another with --video") from error


def _made(source: Path, target: Path, pictures: int, size: tuple[int, int], shown: int) -> int:
    made = 0
    with av.open(str(source)) as video, av.open(str(target), "w") as film:
        stream: Any = film.add_stream("libx264", rate=FPS, options=_OPTIONS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for frame in islice(video.decode(video=0), pictures):
            for _ in range(shown):
                picture = frame.reformat(*size, format="yuv420p")
                picture.pts, picture.time_base, picture.pict_type = made, Fraction(1, FPS), PictureType.NONE
                film.mux(stream.encode(picture))
                made += 1
        film.mux(stream.encode(None))
    return made
