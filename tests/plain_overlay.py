"""The overlay drawn the slow and plain way: whole pictures in floats, nothing kept, put together or rounded.

What `edgecam.overlay` draws is measured against this.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecam.glyphs import text_mask, typeface
from edgecam.overlay import SMALLEST, colour_of
from edgecam.plates import INK, WHITE, Colour, even, inside, rounded_box
from edgecam.types import BBox, Track

Place = tuple[int, int, int, int]


def luma_and_chroma(colour: Colour) -> tuple[float, float, float]:
    """ITU-R BT.601, limited range."""
    red, green, blue = (channel / 255 for channel in colour)
    return (
        16 + 65.481 * red + 128.553 * green + 24.966 * blue,
        128 - 37.797 * red - 74.203 * green + 112 * blue,
        128 + 112 * red - 93.786 * green - 18.214 * blue,
    )


def halved(values: NDArray[np.floating]) -> NDArray[np.floating]:
    means: NDArray[np.floating] = (values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2]) / 4
    return means


class Sheet:
    """As large as the picture; painted on, and then laid on the picture."""

    def __init__(self, width: int, height: int) -> None:
        self.keep = np.ones((height, width))
        self.add = np.zeros((3, height, width))

    def paint(self, coverage: NDArray[np.floating], colour: Colour, opacity: float, at: tuple[int, int]) -> None:
        """What lies outside the sheet is left out."""
        height, width = self.keep.shape
        top, left = max(0, at[1]), max(0, at[0])
        alpha = opacity * coverage[top - at[1] :, left - at[0] :][: max(0, height - top), : max(0, width - left)]
        place = np.s_[..., top : top + alpha.shape[0], left : left + alpha.shape[1]]
        self.keep[place] *= 1 - alpha
        self.add[place] *= 1 - alpha
        self.add[place] += alpha * np.array(luma_and_chroma(colour))[:, None, None]

    def lay(self, planes: list[NDArray[np.floating]]) -> None:
        planes[0] = planes[0] * self.keep + self.add[0]
        for plane in (1, 2):
            planes[plane] = planes[plane] * halved(self.keep) + halved(self.add[plane])


class PlainOverlay:
    """Draws like `edgecam.overlay.Overlay`, into floats; labels stand where `spots` finds room for them."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.width, self.height = image.shape[1], image.shape[0] * 2 // 3
        self.unit = max(SMALLEST, self.height / 720)
        self.em = 17 * self.unit
        self.margin = even(3 * self.unit)
        chroma = image.reshape(-1)[self.width * self.height :].reshape(2, self.height // 2, self.width // 2)
        self.planes = [plane.astype(float) for plane in (image[: self.height], *chroma)]

    def samples(self) -> NDArray[np.floating]:
        return np.concatenate([plane.reshape(-1) for plane in self.planes]).reshape(-1, self.width)

    def draw(self, tracks: Iterable[Track], wall: datetime | None, status: str) -> None:
        visible = []
        for track in sorted(tracks, key=lambda track: track.track_id):
            place = self.place(track.bbox)
            if place:
                visible.append((place, track))
                self.outline(place, colour_of(track.label), dashed=track.predicted)
        taken = self.strip(status, f"{wall:%Y-%m-%d  %H:%M:%S}" if wall else "")
        for place, track in visible:
            taken.append(self.label(place, track, taken))

    def place(self, bbox: BBox) -> Place | None:
        seen = bbox.clipped()
        right, bottom = self.width - self.margin, self.height - self.margin
        x0, x1 = (min(right, max(self.margin, 2 * round(x * self.width / 2))) for x in (seen.xmin, seen.xmax))
        y0, y1 = (min(bottom, max(self.margin, 2 * round(y * self.height / 2))) for y in (seen.ymin, seen.ymax))
        return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None

    def outline(self, place: Place, colour: Colour, *, dashed: bool) -> None:
        margin, unit = self.margin, self.unit
        left, top = place[0] - margin, place[1] - margin
        width, height = place[2] + margin - left, place[3] + margin - top
        corner = min(even(26 * unit + margin), max(2, min(width, height) // 8 * 2))
        thin, thick = 2 * unit, 2 * unit if dashed else 4 * unit
        sheet, opacity = Sheet(self.width, self.height), 0.7 if dashed else 1.0
        tiles = rounded_box(
            2 * corner, 2 * corner, max(0.0, min(7 * unit, corner - margin)), margin - (4 * unit - thick) / 2
        )
        corners = np.full((height, width), np.inf)
        for rows in (slice(0, corner), slice(-corner, None)):
            for columns in (slice(0, corner), slice(-corner, None)):
                corners[rows, columns] = tiles[rows, columns]
        across = self.edges(width, height, corner, dashed=dashed)
        down = self.edges(height, width, corner, dashed=dashed).T
        for distance, line in ((across, thin), (down, thin), (corners, thick)):
            away = np.abs(distance)
            sheet.paint(inside(away - line / 2 - unit), INK, 0.45 * opacity, (left, top))
            sheet.paint(inside(away - line / 2), colour, opacity, (left, top))
        sheet.lay(self.planes)

    def edges(self, width: int, height: int, corner: int, *, dashed: bool) -> NDArray[np.floating]:
        """How far the pixels of an outline are from its upper or its lower line; infinitely where there is none."""
        distance = np.full((height, width), np.inf)
        for row in range(2 * self.margin):
            away = abs(row + 0.5 - self.margin + self.unit)
            for across in (distance[row], distance[height - 1 - row]):
                across[corner : width - corner] = np.minimum(across[corner : width - corner], away)
        if dashed:
            gaps = np.arange(width - 2 * corner) // even(9 * self.unit) % 2 == 0
            distance[:, corner : width - corner][:, gaps] = np.inf
        return distance

    def strip(self, status: str, clock: str) -> list[Place]:
        if not status and not clock:
            return []
        pad, deep = even(0.6 * self.em), even(2.8 * self.em)
        top, room, reach = self.height - deep, self.width - pad, even(0.15 * self.em)
        ramp = np.linspace(0, 1, deep)[:, None]
        sheet = Sheet(self.width, self.height)
        sheet.paint(np.repeat(ramp * ramp * (3 - 2 * ramp), self.width, axis=1), INK, 0.75, (0, top))
        for text, right in ((clock, True), (status, False)):
            mask = np.pad(text_mask(text, self.em), reach)
            lines, columns = even(mask.shape[0]), even(mask.shape[1])
            if text and columns + pad <= room:
                at = (room - columns if right else pad, self.height - even(0.3 * self.em) - lines)
                sheet.paint(cv2.GaussianBlur(mask, (0, 0), 0.09 * self.em) / 255, INK, 0.8, at)
                sheet.paint(mask / 255, WHITE, 1.0, at)
                room -= columns + pad
        sheet.lay(self.planes)
        return [(0, top, self.width, self.height)]

    def label(self, box: Place, track: Track, taken: list[Place]) -> Place:
        percent = round(100 * min(1.0, max(0.0, track.score)))
        texts = ((track.label, 1.0), (f"{percent}%", 0.85), (f"#{track.track_id}", 0.6))
        parts = [(text_mask(text, self.em), strength) for text, strength in texts]
        pad, space, face = 0.5 * self.em, 0.36 * self.em, typeface()
        width = even(2 * pad + sum(mask.shape[1] for mask, _ in parts) + 2 * space)
        height = even(1.45 * self.em)
        spots = self.spots(box, width, height)
        spot = next((spot for spot in spots if not any(overlapping(spot, other) for other in taken)), spots[0])
        plate = Sheet(width, height)
        opacity = 0.75 if track.predicted else 0.95
        plate.paint(inside(rounded_box(width, height, 0.3 * self.em)), colour_of(track.label), opacity, (0, 0))
        top = round(height / 2 - (face.baseline_px - face.capital_px / 2) * self.em / face.em_px)
        pen = pad
        for mask, strength in parts:
            plate.paint(mask / 255, INK, strength, (round(pen), top))
            pen += mask.shape[1] + space
        sheet = Sheet(self.width, self.height)
        seen = np.s_[..., spot[1] : spot[3], spot[0] : spot[2]]
        room = sheet.keep[seen].shape
        sheet.keep[seen], sheet.add[seen] = plate.keep[: room[0], : room[1]], plate.add[:, : room[0], : room[1]]
        sheet.lay(self.planes)
        return spot

    def spots(self, box: Place, width: int, height: int) -> list[Place]:
        above, below, lowest = box[1] - self.margin - height, box[3] + self.margin, max(0, self.height - height)
        within = min(box[1] + self.margin, lowest)
        lefts = (box[0] - self.margin // 4 * 2, box[2] + self.margin // 4 * 2 - width)
        columns = [max(0, min(left, max(0, self.width - width))) for left in lefts]
        rows = [top for top in ([above, below, within] if above >= 0 else [within, below]) if top <= lowest]
        return [(left, top, left + width, top + height) for top in rows for left in columns]


def overlapping(one: Place, other: Place) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
