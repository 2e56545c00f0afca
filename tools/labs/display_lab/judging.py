"""What a screendump of the demonstration shows: which frame, where, and whether the boxes are where they should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from image import ROOT
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Boxes = list[list[tuple[float, ...]]]
"""Of each frame: xmin, ymin, xmax, ymax, in fractions of the picture."""
CLIP = ROOT / "edgecam" / "data" / "demo.mp4"
DRAWN = 40
"""A pixel that differs from the clip by more than this, in any colour, was drawn on."""
SIDE_COVERED = 0.6
"""So much of a box's side must be drawn."""
SMALLEST = 0.03
"""Objects whose box is narrower or lower than this, in fractions of the picture, are not judged."""
IOU = 0.5


class Verdict(NamedTuple):
    """Of one screendump: the frame it shows, how exactly, and its objects with a box, of those that should have one."""

    frame: int
    psnr: float
    psnr_shifted: float
    boxes: int
    objects: int
    bars_black: bool


def decoded(path: Path) -> list[Image]:
    """All frames of a video as B, G, R."""
    with av.open(str(path)) as video:
        return [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in video.decode(video=0)]


def truth() -> Boxes:
    """The boxes that the renderer drew, of each frame: those that are large enough and not difficult."""
    frames = json.loads(CLIP.with_suffix(".json").read_text())["frames"]
    return [
        [
            tuple(thing["bbox"])
            for thing in things
            if not thing["difficult"]
            and thing["bbox"][2] - thing["bbox"][0] > SMALLEST
            and thing["bbox"][3] - thing["bbox"][1] > SMALLEST
        ]
        for things in frames
    ]


def judge(screen: Image, annotated: list[Image], clip: list[Image], boxes: Boxes) -> Verdict:
    """Compare a screendump with the annotated video of the same run, and its drawing with the clip's ground truth."""
    height, width = annotated[0].shape[:2]
    top, left = (screen.shape[0] - height) // 2, (screen.shape[1] - width) // 2
    shown = screen[top : top + height, left : left + width]
    small = _small(shown)
    frame = min(range(len(annotated)), key=lambda number: float(np.abs(small - _small(annotated[number])).mean()))
    drawn = np.abs(shown.astype(np.int16) - clip[frame]).max(axis=2) > DRAWN
    found = [_drawn_box(drawn, box) for box in boxes[frame]]
    return Verdict(
        frame,
        cv2.PSNR(shown, annotated[frame]),
        cv2.PSNR(shown[:-2, :-2].copy(), annotated[frame][2:, 2:].copy()),
        sum(box is not None and _iou(box, true) >= IOU for box, true in zip(found, boxes[frame], strict=True)),
        len(boxes[frame]),
        bars_black=not screen[:top].any() and not screen[top + height :].any(),
    )


def _small(picture: Image) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), np.float32)


def _drawn_box(drawn: NDArray[np.bool_], box: tuple[float, ...]) -> tuple[float, ...] | None:
    """The rectangle that was drawn about where `box` is, in fractions of the picture; None where a side is missing."""
    height, width = drawn.shape
    x0, y0, x1, y1 = (round(edge * size) for edge, size in zip(box, (width, height) * 2, strict=True))
    across, down = slice(max(0, x0 + (x1 - x0) // 5), x1 - (x1 - x0) // 5), slice(y0 + (y1 - y0) // 5, y1)
    columns, rows = drawn[down].mean(axis=0), drawn[:, across].mean(axis=1)
    sides = [
        _strongest(columns, x0, (x1 - x0) // 4),
        _strongest(rows, y0, (y1 - y0) // 4),
        _strongest(columns, x1, (x1 - x0) // 4),
        _strongest(rows, y1, (y1 - y0) // 4),
    ]
    if any(side is None for side in sides):
        return None
    return tuple(float(side) / size for side, size in zip(sides, (width, height) * 2, strict=True) if side is not None)


def _strongest(profile: NDArray[np.float64], place: int, reach: int) -> int | None:
    """Where within `reach` of `place` most is drawn; the picture's edge is a side, too."""
    if place < reach // 2:
        return 0
    if place > len(profile) - reach // 2:
        return len(profile)
    start = max(0, place - reach)
    window = profile[start : place + reach]
    best = int(window.argmax())
    return start + best if window[best] >= SIDE_COVERED else None


def _iou(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    overlap = max(0.0, width) * max(0.0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return overlap / (sum(areas) - overlap)
