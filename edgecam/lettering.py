"""What is written on the picture: the name plate of an object, and the strip with clock and status."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.glyphs import text_mask, typeface
from edgecam.plates import (
    INK,
    WHITE,
    Bytes,
    Colour,
    Floats,
    Paint,
    Planes,
    Plate,
    Sketch,
    even,
    inside,
    mixture,
    rounded_box,
)

_STEPS = 16
"""Strengths of text that are told apart, for each of a mask's 255."""


def em_px(unit: float) -> float:
    """The size of the text; `unit` is 1 for a picture 720 pixels high."""
    return 17 * unit


@lru_cache(maxsize=256)
def name_plate(label: str, percent: int, track_id: int, colour: Colour, em: float, dimmed: bool) -> Plate:  # noqa: FBT001 (a keyword is slow)
    """An object's name, score and number on a plate of its colour."""
    parts = [(_word(label, em), 1.0), (_word(f"{percent}%", em), 0.85), (_word(f"#{track_id}", em), 0.6)]
    pad, space = 0.5 * em, 0.36 * em
    width = even(2 * pad + sum(mask.shape[1] for mask, _ in parts) + 2 * space)
    height = even(1.45 * em)
    strength = np.zeros((height, width), np.uint16)
    face = typeface()
    top = round(height / 2 - (face.baseline_px - face.capital_px / 2) * em / face.em_px)
    pen = pad
    for mask, full in parts:
        part = mask[max(0, -top) : height - top]
        place = strength[max(0, top) :, round(pen) :][: part.shape[0], : part.shape[1]]
        np.rint(part * np.float32(full * _STEPS), out=place, casting="unsafe")
        pen += mask.shape[1] + space
    return _written(_pill(width, height, colour, em, dimmed=dimmed), strength, _inks(colour, dimmed=dimmed), pad)


def _written(pill: Paint, strength: NDArray[np.uint16], inks: Paint, pad: float) -> Plate:
    """The plate with text on it, which leaves out `pad` pixels at the left and the right: there it is round."""
    begin = int(pad) // 2 * 2
    columns = slice(begin, strength.shape[1] - begin)
    text = strength[:, columns]
    half = (text[::2, ::2] + text[1::2, ::2] + text[::2, 1::2] + text[1::2, 1::2] + np.uint16(2)) // np.uint16(4)
    keep_and_add = []
    for ground, ink in zip(pill, inks, strict=True):
        planes = Planes(ground.luma.copy(), ground.chroma.copy())
        luma, chroma = planes.part(slice(None), columns)
        luma[...] = ink.luma[0, ::2].take(text)
        for plane, values in zip(chroma, ink.chroma, strict=True):
            plane[...] = values[0].take(half)
        keep_and_add.append(planes)
    return Paint(*keep_and_add).plate()


@lru_cache(maxsize=32)
def _pill(width: int, height: int, colour: Colour, em: float, *, dimmed: bool) -> Paint:
    sketch = Sketch(width, height)
    sketch.paint(inside(rounded_box(width, height, 0.3 * em)), colour, 0.75 if dimmed else 0.95)
    return sketch.finished()


@lru_cache(maxsize=32)
def _inks(colour: Colour, *, dimmed: bool) -> Paint:
    """A plate's paint under each strength of text, from none on: two columns and two rows of luma for each."""
    strengths = np.arange(255 * _STEPS + 1, dtype=np.float32) / (255 * _STEPS)
    sketch = Sketch(2 * strengths.size, 2)
    sketch.paint(np.ones((2, 2 * strengths.size), np.float32), colour, 0.75 if dimmed else 0.95)
    sketch.paint(np.repeat(np.repeat(strengths, 2)[None], 2, axis=0), INK)
    return sketch.finished()


@lru_cache(maxsize=256)
def _word(text: str, em: float) -> Bytes:
    return text_mask(text, em)


@lru_cache(maxsize=4)
def _scrim(width: int, height: int) -> Paint:
    """A shade that grows darker downwards."""
    keep, add = mixture(np.repeat(1 - _day(height), 2, axis=1)[None], (INK,))

    def widened(planes: Planes) -> Planes:
        return Planes(np.repeat(planes.luma[:, :1], width, -1), np.repeat(planes.chroma, width // 2, -1))

    return Paint(widened(keep), widened(add))


def _day(height: int) -> Floats:
    """How much light the rows of a strip let through, [height, 1]."""
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    return 1 - np.float32(0.75) * ramp * ramp * (3 - 2 * ramp)


def strip(width: int, status: str, clock: str, unit: float) -> Plate:
    """The strip along the lower edge of a picture: the clock right, the status left.

    What finds no room is left out.
    """
    em = em_px(unit)
    pad, height = even(0.6 * em), even(2.8 * em)
    ground = _scrim(width, height)
    paint = Paint(*(Planes(planes.luma.copy(), planes.chroma.copy()) for planes in ground))
    room = width - pad
    for text, right in ((clock, True), (status, False)):
        line = _line(text, em, height)
        lines, columns = line.keep.luma.shape
        if text and columns + pad <= room:
            left, top = room - columns if right else pad, height - even(0.3 * em) - lines
            place = paint.part(slice(top, top + lines), slice(left, left + columns))
            for planes, written in zip(place, line, strict=True):
                planes.luma[...], planes.chroma[...] = written
            room -= columns + pad
    return paint.plate()


@lru_cache(maxsize=16)
def _line(text: str, em: float, strip_px: int) -> Paint:
    """White text in a soft shadow, as it stands in the dusk of a strip."""
    mask, reach = text_mask(text, em), even(0.15 * em)
    height, width = mask.shape
    mask = np.pad(mask, ((reach, reach + height % 2), (reach, reach + width % 2)))
    bottom = strip_px - even(0.3 * em)
    light = mask * np.float32(1 / 255)
    shadow = cv2.GaussianBlur(mask, (0, 0), 0.09 * em) * np.float32(0.8 / 255)
    kept = _day(strip_px)[bottom - mask.shape[0] : bottom] * (1 - shadow) * (1 - light)
    return mixture(np.stack((1 - kept - light, light)), (INK, WHITE))
