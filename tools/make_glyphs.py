#!/usr/bin/env python3
"""Draw a TrueType font once into the picture that edgecam writes its text with.

    python tools/make_glyphs.py Roboto-Medium.ttf

writes edgecam/data/glyphs.png (grey: how much of each pixel a glyph covers) and edgecam/data/glyphs.json (where each
glyph lies, and how far it moves the pen). Needs Pillow. The committed files are Roboto Medium, (c) Google, Apache-2.0.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFont

EM_PX = 48
ATLAS_WIDTH_PX = 1024
DATA = Path(__file__).resolve().parent.parent / "edgecam" / "data"
MISSING = "\ufffd"
BLOCKS = ((0x20, 0x7F), (0xA1, 0x180), (0x386, 0x3CF), (0x400, 0x460))
EXTRA = "–—‘’“”„•…‰€™−≈≤≥ẞ"  # noqa: RUF001 (it is these very characters that are meant)


def characters(font: ImageFont.FreeTypeFont) -> list[str]:
    """The characters to draw: those of BLOCKS and EXTRA that the font has, none that only modify others."""
    wanted = [chr(code) for first, end in BLOCKS for code in range(first, end)] + list(EXTRA)
    absent = bytes(font.getmask("\U0010fffe"))
    return [character for character in wanted if bytes(font.getmask(character)) != absent and character != "\xad"]


def missing_glyph(height: int, baseline: int) -> np.ndarray:
    """The box that stands for a character the font lacks."""
    box = np.zeros((height, 24), np.uint8)
    box[baseline - 34 : baseline + 1, 2:22] = 255
    box[baseline - 31 : baseline - 2, 5:19] = 0
    return box


def draw(font: ImageFont.FreeTypeFont, character: str, height: int, baseline: int) -> tuple[np.ndarray, int]:
    """One glyph as a column of the atlas, and the distance from the pen to its left edge."""
    left, top, right, bottom = font.getbbox(character, anchor="ls")
    cell = np.zeros((height, max(0, right - left)), np.uint8)
    if cell.size and bottom > top:
        mask = font.getmask(character, anchor="ls")
        glyph = np.asarray(mask, np.uint8).reshape(mask.size[::-1])
        cell[baseline + top : baseline + top + glyph.shape[0], : glyph.shape[1]] = glyph[:, : cell.shape[1]]
    return cell // 17 * 17, left


def build(font: ImageFont.FreeTypeFont) -> tuple[np.ndarray, dict[str, Any]]:
    """The atlas and its table: for each character row, column, width, left bearing and advance in pixels."""
    drawn = characters(font)
    boxes = [font.getbbox(character, anchor="ls") for character in drawn]
    baseline = -min(box[1] for box in boxes)
    height = baseline + max(box[3] for box in boxes)
    cells = {character: (*draw(font, character, height, baseline), font.getlength(character)) for character in drawn}
    cells[MISSING] = (missing_glyph(height, baseline), 0, 26.0)
    table: dict[str, list[float]] = {}
    row = column = 0
    for character, (cell, left, advance) in cells.items():
        if column + cell.shape[1] > ATLAS_WIDTH_PX:
            row, column = row + 1, 0
        table[character] = [row, column, cell.shape[1], left, round(advance, 2)]
        column += cell.shape[1] + 1
    atlas = np.zeros(((row + 1) * height, ATLAS_WIDTH_PX), np.uint8)
    for character, (cell, _, _) in cells.items():
        at_row, at_column = int(table[character][0]), int(table[character][1])
        atlas[at_row * height : (at_row + 1) * height, at_column : at_column + cell.shape[1]] = cell
    ascent = math.ceil(-font.getbbox("H", anchor="ls")[1])
    return atlas, {"em": EM_PX, "height": height, "baseline": baseline, "capital": ascent, "glyphs": table}


def main() -> None:
    """Read the font, write the two files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("font", type=Path)
    parser.add_argument("--out", type=Path, default=DATA)
    arguments = parser.parse_args()
    font = ImageFont.truetype(str(arguments.font), EM_PX, layout_engine=ImageFont.Layout.BASIC)
    atlas, table = build(font)
    Image.fromarray(atlas).save(arguments.out / "glyphs.png", optimize=True)
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    (arguments.out / "glyphs.json").write_text(text.replace("],", "],\n") + "\n", encoding="utf-8")
    print(f"{len(table['glyphs'])} glyphs, {atlas.shape[1]}x{atlas.shape[0]}")


if __name__ == "__main__":
    main()
