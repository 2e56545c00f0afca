"""Text becomes masks: whatever it is made of, and the same everywhere."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.glyphs import MISSING, text_mask, typeface, writable


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("person 87% #3", "person 87% #3"),
        ("Fußgänger", "Fußgänger"),
        ("Fußga\u0308nger", "Fußgänger"),
        ("собака", "собака"),
        ("χελώνα", "χελώνα"),
        ("chế độ", "che đo"),
        ("\ufb01lm", "film"),
        ("\uff23\uff21\uff34", "CAT"),
        ("行人", MISSING * 2),
        ("🐕", MISSING),
        ("a\tb\nc\x00d\u200be", "a b cde"),
        ("\ud800", MISSING),
        ("", ""),
    ],
)
def test_what_the_typeface_lacks_is_written_plainly_or_as_a_box(text: str, written: str) -> None:
    assert writable(text) == written


def test_every_glyph_but_the_space_leaves_ink_and_moves_the_pen() -> None:
    face = typeface()
    blank = {character for character, glyph in face.glyphs.items() if not glyph.coverage.any()}
    assert blank == {" "}
    assert all(glyph.advance_px > 0 for glyph in face.glyphs.values())
    assert set(map(chr, range(0x20, 0x7F))) <= set(face.glyphs)


def test_digits_are_equally_wide_so_that_a_clock_stands_still() -> None:
    assert len({typeface().glyphs[digit].advance_px for digit in "0123456789"}) == 1


def test_no_glyph_is_cut_by_its_row() -> None:
    above = {c for c, glyph in typeface().glyphs.items() if glyph.coverage[0].any() and glyph.coverage[0].max() > 200}
    below = {c for c, glyph in typeface().glyphs.items() if glyph.coverage[-1].any() and glyph.coverage[-1].max() > 200}
    assert len(above) < 12
    assert len(below) < 12


@given(text=st.text(max_size=20), em_px=st.floats(1, 120))
def test_any_text_gives_a_mask_whose_height_depends_on_the_size_alone(text: str, em_px: float) -> None:
    mask = text_mask(text, em_px)
    assert mask.dtype == np.uint8
    assert mask.shape[0] == text_mask("x", em_px).shape[0]
    assert bool(mask.shape[1]) == bool(writable(text))


@given(text=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12))
def test_text_is_never_lost_in_silence(text: str) -> None:
    base = [c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) not in ("Mn", "Me", "Cf", "Cc")]
    assert len(writable(text)) >= len(base)
    assert text_mask(text, 24).any()


def test_a_mask_is_as_wide_as_the_pen_travels() -> None:
    assert text_mask("nnnn", 48).shape[1] == pytest.approx(2 * text_mask("nn", 48).shape[1], abs=2)
    assert text_mask("person", 16).shape[1] == pytest.approx(text_mask("person", 48).shape[1] / 3, abs=1)
