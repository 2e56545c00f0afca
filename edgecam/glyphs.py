"""Text as masks, anti-aliased and the same on every OpenCV; the typeface is Roboto Medium, (c) Google, Apache-2.0."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

MISSING = "\ufffd"
"""Stands for a character that the typeface lacks: an empty box, as browsers draw it."""
_DATA = Path(__file__).resolve().parent / "data"


@dataclass(frozen=True, slots=True)
class Glyph:
    """One character: its coverage, uint8 [height, width], where it lies from the pen, and how far the pen moves."""

    coverage: NDArray[np.uint8]
    left_px: int
    advance_px: float


@dataclass(frozen=True, slots=True)
class Typeface:
    """All glyphs at one size. `baseline_px` and `capital_px` are the heights of the line and of an H above it."""

    em_px: int
    height_px: int
    baseline_px: int
    capital_px: int
    glyphs: Mapping[str, Glyph]


@cache
def typeface() -> Typeface:
    """The typeface that ships with edgecam (drawn by tools/make_glyphs.py), read on first use."""
    table = json.loads((_DATA / "glyphs.json").read_text(encoding="utf-8"))
    atlas = cv2.imread(str(_DATA / "glyphs.png"), cv2.IMREAD_GRAYSCALE)
    if atlas is None:
        raise FileNotFoundError(_DATA / "glyphs.png")
    height = table["height"]
    glyphs = {
        character: Glyph(
            np.asarray(atlas, np.uint8)[row * height : (row + 1) * height, column : column + width], left, advance
        )
        for character, (row, column, width, left, advance) in table["glyphs"].items()
    }
    return Typeface(table["em"], height, table["baseline"], table["capital"], glyphs)


def writable(text: str) -> str:
    """The text in characters that the typeface has.

    What it lacks loses its accents or takes its plain form where Unicode knows one (NFKD), otherwise becomes
    MISSING; control and zero-width characters go.
    """
    glyphs = typeface().glyphs
    return "".join(
        character if character in glyphs else _plain(character) for character in unicodedata.normalize("NFC", text)
    )


def text_mask(text: str, em_px: float) -> NDArray[np.uint8]:
    """The coverage of a line of text, uint8 [height, width]; the height depends on the size alone.

    `em_px` is the size as in CSS; a capital is 0.71 of it. Glyphs are set at the atlas' size and the line is shrunk
    as a whole, so that their distances keep their fractions of a pixel.
    """
    face = typeface()
    glyphs = [face.glyphs[character] for character in writable(text)]
    scale = em_px / face.em_px
    height = max(1, round(face.height_px * scale))
    if not glyphs:
        return np.zeros((height, 0), np.uint8)
    line = np.zeros((face.height_px, int(sum(glyph.advance_px for glyph in glyphs)) + face.em_px), np.uint8)
    pen = ink = 0.0
    for glyph in glyphs:
        left = max(0, round(pen) + glyph.left_px)
        part = line[:, left : left + glyph.coverage.shape[1]]
        np.maximum(part, glyph.coverage[:, : part.shape[1]], out=part)
        ink = left + part.shape[1]
        pen += glyph.advance_px
    width = max(1, round(max(pen, ink) * scale))
    line = line[:, : max(1, round(width / scale))]
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(line, (width, height), interpolation=way), np.uint8)


def _plain(character: str) -> str:
    if unicodedata.category(character) in ("Cc", "Cf", "Mn", "Me"):
        return " " if character in "\t\n\r" else ""
    glyphs = typeface().glyphs
    parts = [part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part)]
    known = "".join(part for part in parts if part in glyphs)
    return known if known.strip() and len(known) == len(parts) else MISSING
