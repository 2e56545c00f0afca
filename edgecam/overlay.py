"""The overlay: boxes, labels, clock and status, drawn straight onto planar YUV 4:2:0."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from edgecam.canvas import Area, Canvas, overlap
from edgecam.lettering import em_px, name_plate, strip
from edgecam.outlines import draw_outline, margin_px, pen_of
from edgecam.plates import Colour, Plate
from edgecam.types import Track

PALETTE: tuple[Colour, ...] = (
    (88, 212, 255),  # sky blue
    (255, 164, 0),  # amber
    (38, 236, 156),  # bluish green
    (252, 104, 176),  # pink
    (254, 248, 120),  # yellow
    (255, 116, 81),  # vermilion
    (165, 144, 255),  # violet
)
"""After Okabe and Ito (jfly.uni-koeln.de/color), then moved until every eye tells them apart: tests/test_overlay.py."""
KNOWN = {"person": 0, "car": 1, "dog": 2, "cat": 3, "bird": 4, "truck": 5, "bus": 5, "bicycle": 6, "motorcycle": 6}
"""Labels that often stand side by side get colours of their own; any other takes one by its hash."""

SMALLEST = 0.6
"""Below this share of the sizes at 720 lines text cannot be read, nor a line's colour be told."""
_SECONDS = len("2026-07-25 14:03:27")


class Overlay:
    """Draws what the tracks say onto a picture; knows nothing of where it comes from and goes to.

    Sizes follow the picture's height; `scale` multiplies them all. Drawn parts are kept, so that a frame costs only
    the laying of small plates. It may draw in several threads at a time.
    """

    def __init__(
        self, *, show_labels: bool = True, show_clock: bool = True, show_status: bool = True, scale: float = 1.0
    ) -> None:
        self._show_labels = show_labels
        self._show_clock = show_clock
        self._show_status = show_status
        self._scale = scale
        self._strip: tuple[tuple[int, str, str, float], Plate] | None = None

    def draw(self, image: NDArray[np.uint8], tracks: Iterable[Track], wall: datetime | None, status: str) -> None:
        """Draw on `image`, in place: I420, uint8 [h * 3 // 2, w], contiguous, width and height even.

        Every track given is drawn, a predicted one with a dashed box. `wall` is shown as it stands, in its own time
        zone; None leaves the clock out, an empty status the status.
        """
        canvas = Canvas(image)
        unit = max(SMALLEST, self._scale * canvas.height / 720)
        visible = _visible_ones(tracks, canvas, margin_px(unit))
        for place, track in visible:
            draw_outline(canvas, place, pen_of(colour_of(track.label), unit, dashed=track.predicted))
        taken = self._draw_strip(canvas, status, wall, unit)
        if self._show_labels:
            _draw_labels(canvas, visible, taken, unit)
        canvas.finish()

    def _draw_strip(self, canvas: Canvas, status: str, wall: datetime | None, unit: float) -> list[Area]:
        """Draw the strip along the lower edge and return the place it takes."""
        clock = wall.isoformat(" ", "seconds")[:_SECONDS] if wall is not None and self._show_clock else ""
        shown = canvas.width, status if self._show_status else "", clock.replace(" ", "  "), unit
        if not shown[1] and not shown[2]:
            return []
        kept = self._strip
        if kept is None or kept[0] != shown:
            self._strip = kept = shown, strip(*shown)
        top = canvas.height - kept[1].height
        canvas.lay(kept[1], 0, top)
        return [(0, top, canvas.width, canvas.height)]


def colour_of(label: str) -> Colour:
    """The colour of a label, the same in every process."""
    known = KNOWN.get(label)
    return PALETTE[crc32(label.encode(errors="replace")) % len(PALETTE) if known is None else known]


def _visible_ones(tracks: Iterable[Track], canvas: Canvas, margin: int) -> list[tuple[Area, Track]]:
    """The tracks of which there is something to see, in the order of their numbers, and where they are.

    A place is the visible part of a box, so far inside that its line is seen whole.
    """
    width, height = canvas.width, canvas.height
    across, down, rightmost, lowest = width / 2, height / 2, width - margin, height - margin
    visible = []
    for track in sorted(tracks, key=attrgetter("track_id")):
        x0, y0, x1, y1 = track.bbox
        left = max(margin, 2 * round(x0 * across) if 0 < x0 < 1 else width * (x0 >= 1))
        top = max(margin, 2 * round(y0 * down) if 0 < y0 < 1 else height * (y0 >= 1))
        right = min(rightmost, 2 * round(x1 * across) if 0 < x1 < 1 else width * (x1 >= 1))
        bottom = min(lowest, 2 * round(y1 * down) if 0 < y1 < 1 else height * (y1 >= 1))
        if left < right and top < bottom:
            visible.append(((left, top, right, bottom), track))
    return visible


def _draw_labels(canvas: Canvas, visible: Sequence[tuple[Area, Track]], taken: list[Area], unit: float) -> None:
    em, margin = em_px(unit), margin_px(unit)
    for place, track in visible:
        percent = round(100 * min(1.0, max(0.0, track.score)))
        plate = name_plate(track.label, percent, track.track_id, colour_of(track.label), em, track.predicted)
        spot = _label_place(canvas, place, plate, margin, taken)
        canvas.add(plate, spot[0], spot[1])
        taken.append(spot)


def _label_place(canvas: Canvas, box: Area, plate: Plate, margin: int, taken: Sequence[Area]) -> Area:
    """Where a box's label stands: above, inside where the box is at the top edge, below, or inside.

    The first place that nothing has taken; failing that, the first.
    """
    height, width, _ = plate
    above, below, lowest = box[1] - margin - height, box[3] + margin, max(0, canvas.height - height)
    inside = min(box[1] + margin, lowest)
    reach, rightmost, first = margin // 4 * 2, max(0, canvas.width - width), None
    for top in (above, below, inside) if above >= 0 else (inside, below):
        if top <= lowest:
            for left in (box[0] - reach, box[2] + reach - width):
                x = max(0, min(left, rightmost))
                place = x, top, x + width, top + height
                if not overlap(place, taken):
                    return place
                first = first or place
    return first or (0, 0, width, height)
