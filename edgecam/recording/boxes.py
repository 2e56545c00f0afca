"""The boxes beside a clip: `CLIP.vtt`, a WebVTT metadata track with one cue a frame, in JSON.

WebVTT and not JSON lines, because a player then does the timing: a browser with `<track kind="metadata">` hands a page
the cue that belongs to the picture it shows, and VLC and mpv can show it. A line is JSON all the same, for programs:

    00:00:01.033 --> 00:00:01.066
    {"t":1.033333,"tracks":[{"track_id":7,"label":"person","score":0.91,"bbox":[0.1,0.2,0.3,0.4]}]}

`t` is the frame's exact time in seconds since the clip's start; `bbox` xmin, ymin, xmax, ymax in fractions of the
frame; `"predicted":true` stands where a box was extrapolated. A frame with nothing in it has no cue.
"""

from __future__ import annotations

import json
import math
import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from edgecam.types import BBox, Track

HEADER = b"WEBVTT edgecam boxes\n\n"
FLUSH_EVERY = 0.5
"""Seconds of the clip after which cues go to the file: as often as its fragments do."""
NEAR = 0.001
"""Seconds by which a picture's time may differ from its cue's: players know milliseconds."""
_TIMES = re.compile(rb"(\d{2,}):(\d\d):(\d\d)\.(\d{3}) --> (\d{2,}):(\d\d):(\d\d)\.(\d{3})\s*$")
_NOISE = 0.01
"""Milliseconds by which a sum of floats may fall short."""
_STILL = BBox(0.0, 0.0, 0.0, 0.0)


class Cue(NamedTuple):
    """The tracks of one frame, shown from `start` to `end`, seconds since the clip's start."""

    start: float
    end: float
    tracks: tuple[Track, ...]


def boxes_path(clip: Path) -> Path:
    """Where the boxes of a clip are."""
    return clip.with_suffix(".vtt")


class BoxesWriter:
    """Writes the boxes of a clip while it grows. `start` is the clip's, in monotonic seconds.

    The file is there from the first cue on; killed at any moment, it is whole but for its last line, which readers
    leave out. Only `close` makes it durable: the pictures are what must not be lost. All methods raise OSError.
    """

    def __init__(self, path: Path, start: float) -> None:
        self.cues = 0
        self._path = Path(path)
        self._start = start
        self._file: BinaryIO | None = None
        self._open_cue: tuple[float, tuple[Track, ...]] | None = None
        self._flushed = 0.0

    def write(self, timestamp: float, tracks: Iterable[Track]) -> None:
        """Take the tracks of the next frame; those of frames before the clip's start are left out."""
        at = timestamp - self._start
        if at < -NEAR:
            return
        self._complete(at)
        found = tuple(tracks)
        if found:
            self._open_cue = max(0.0, at), found

    def close(self, end: float) -> None:
        """Write what is left; the last frame was shown until the timestamp `end`. May be called twice."""
        self._complete(end - self._start)
        file, self._file = self._file, None
        if file is not None:
            with file:
                file.flush()
                os.fdatasync(file.fileno())

    def _complete(self, until: float) -> None:
        """Write the cue of the frame before, now that its end is known."""
        open_cue, self._open_cue = self._open_cue, None
        if open_cue is None:
            return
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("xb")
            self._file.write(HEADER)
        self._file.write(_cue_text(open_cue[0], until, open_cue[1]))
        self.cues += 1
        if until - self._flushed >= FLUSH_EVERY:
            self._file.flush()
            self._flushed = until


class Boxes:
    """The boxes of a clip, to be asked for by time."""

    def __init__(self, cues: Iterable[Cue]) -> None:
        self._cues = sorted(cues, key=lambda cue: cue.start)
        self._starts = [cue.start for cue in self._cues]

    def at(self, time: float) -> tuple[Track, ...]:
        """The tracks of the frame that is shown from `time`, in seconds since the clip's start, on."""
        time += NEAR / 2
        before = bisect_right(self._starts, time) - 1
        if before < 0 or time >= max(self._cues[before].end, self._cues[before].start + NEAR):
            return ()
        return self._cues[before].tracks


def read_boxes(path: Path) -> Iterator[Cue]:
    """The cues of a boxes file, in its order; what is torn, or not ours, is left out. Raises OSError."""
    end: float | None = None
    with path.open("rb") as file:
        for line in file:
            times = _TIMES.match(line)
            if times is not None:
                end = _seconds(*times.groups()[4:])
            elif end is not None:
                cue, end = _cue(line, end), None
                if cue is not None:
                    yield cue


def _seconds(hours: bytes, minutes: bytes, seconds: bytes, thousandths: bytes) -> float:
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(thousandths) / 1000


def _cue(line: bytes, end: float) -> Cue | None:
    try:
        document = json.loads(line)
        start = float(document["t"])
        tracks = tuple(_track(each) for each in document["tracks"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return Cue(start, end, tracks) if math.isfinite(start) else None


def _track(document: Any) -> Track:
    """Raises ValueError, TypeError, KeyError where it is not one."""
    bbox = BBox(*(float(edge) for edge in document["bbox"]))
    score = float(document["score"])
    if not all(map(math.isfinite, (*bbox, score))) or not isinstance(document["label"], str):
        raise ValueError("not a track")
    predicted = bool(document.get("predicted", False))
    return Track(int(document["track_id"]), document["label"], score, bbox, 1, 0, _STILL, True, predicted)


def _cue_text(start: float, end: float, tracks: Iterable[Track]) -> bytes:
    document = {"t": round(start, 6), "tracks": [_document(track) for track in tracks]}
    # "-->" ends a cue, wherever it stands (WebVTT, 4.1): JSON can say the same without it.
    text = json.dumps(document, separators=(",", ":")).replace(">", "\\u003e")
    # Downwards, so that a player that is at the picture's exact time has reached its cue.
    first = math.floor(start * 1000 + _NOISE)
    last = max(first + 1, math.floor(end * 1000 + _NOISE))
    return f"{_clock(first)} --> {_clock(last)}\n{text}\n\n".encode("ascii")


def _document(track: Track) -> dict[str, object]:
    document: dict[str, object] = {
        "track_id": track.track_id,
        "label": track.label,
        "score": round(track.score, 4),
        "bbox": [round(edge, 5) for edge in track.bbox],
    }
    return {**document, "predicted": True} if track.predicted else document


def _clock(milliseconds: int) -> str:
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{thousandths:03}"
