"""NanoDet: one point per cell of three or four grids, with class scores and distances to the four edges of the box.

A distance is the expectation of a softmax over `bins` numbers (0 to reg_max: reg_max 7 gives 8 bins, 10 gives 11),
times the stride (Integral and distance2bbox of RangiLyu/nanodet). A point is the middle of its cell, (x + 0.5) stride,
in nanodet-m, -g and -t (get_single_level_center_point of gfl_head.py), its corner, x stride, in NanoDet-Plus
(get_single_level_center_priors of nanodet_plus_head.py). Suppression: IoU 0.6, scores from 0.05, 100 at most, as there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgecam.families.family import Candidates, Decoder, Family, FormError, FoundOptions, Output, Outputs, outputs_of
from edgecam.families.heads import Picks, are_scores, chosen, picks_above
from edgecam.families.suppression import LIMIT, best
from edgecam.modelfile import ModelFile, ModelForm

NAME = "nanodet"

#: Strides, and where in its cell a point is: of nanodet-m and -g, and of NanoDet-Plus.
_USUAL = (((8, 16, 32), 0.5), ((8, 16, 32, 64), 0.0))
_USUAL_BINS = (8, 11)
_USUAL_CLASSES = 80
#: What the published models were trained with, of pictures in B, G, R (their config files).
_PUBLISHED_INPUT: dict[str, Any] = {
    "mean": [103.53, 116.28, 123.675],
    "std": [57.375, 57.12, 58.395],
    "channels": "bgr",
}
_AMBIGUOUS = (
    "its outputs look like NanoDet's, but can be read in more than one way:"
    " state the options `classes` and `bins`, or `score_outputs` and `box_outputs`"
)


class NanodetOptions(FoundOptions):
    """Options of `nanodet`.

    `center_offset`: where in its cell a point is, 0.5 the middle, 0 the corner. `scores` says what the score outputs
    hold. `classes` is needed where the shapes do not tell; so are `score_outputs` and `box_outputs`, the positions of
    the outputs, finest grid first.
    """

    strides: tuple[int, ...] = Field(default=(8, 16, 32), min_length=1)
    bins: int = Field(default=8, ge=2, le=64)
    classes: int | None = Field(default=None, ge=1)
    center_offset: float = Field(default=0.5, ge=0, le=1)
    scores: Literal["sigmoid", "logits"] = "sigmoid"
    score_outputs: tuple[int, ...] = ()
    box_outputs: tuple[int, ...] = ()


class Part(NamedTuple):
    """Where some of the points' numbers are: in columns from `start` of an output, the first row for point `first`."""

    output: int
    start: int
    first: int
    rows: int


class Layout(NamedTuple):
    """Where all scores of how many classes, and all distances, are."""

    classes: int
    scores: list[Part]
    boxes: list[Part]


class NanodetDecoder(Decoder):
    """Decodes the scores and distances of all points, wherever among the outputs they are."""

    def __init__(
        self, options: NanodetOptions, size: tuple[int, int], layout: Layout, outputs: Sequence[Output]
    ) -> None:
        self._options = options
        self._layout = layout
        self._outputs = list(outputs)
        self._centres, self._reach = points(size, options.strides, options.center_offset)

    def decode(self, outputs: Outputs, floor: float) -> Candidates:
        picks = self._picks(outputs, max(floor, self._options.min_score))
        distances = self._distances(outputs, picks.rows) * self._reach[picks.rows]
        centres = self._centres[picks.rows]
        boxes = np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)
        return chosen(np.clip(boxes, 0.0, 1.0), picks, self._options)  # here they are cut before, as in the original

    def _picks(self, outputs: Outputs, floor: float) -> Picks:
        """The points and classes whose score is high enough."""
        found = []
        for part in self._layout.scores:
            output = self._outputs[part.output]
            levels = outputs[part.output].reshape(-1, output.columns)
            levels = levels[:, part.start : part.start + self._layout.classes]
            picks = picks_above(levels, output, self._options.scores, floor)
            found.append(picks._replace(rows=picks.rows + part.first))
        scores = np.concatenate([picks.scores for picks in found])
        keep = best(scores, LIMIT)
        rows, columns = (np.concatenate(each)[keep] for each in zip(*(picks[:2] for picks in found), strict=True))
        return Picks(rows, columns, scores[keep])

    def _distances(self, outputs: Outputs, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Left, top, right and bottom of some points, in strides: [n, 4]."""
        bins = self._options.bins
        logits = np.empty((len(rows), 4 * bins))
        for part in self._layout.boxes:
            here = (rows >= part.first) & (rows < part.first + part.rows)
            output = self._outputs[part.output]
            stored = outputs[part.output].reshape(-1, output.columns)[rows[here] - part.first]
            logits[here] = output.real(stored[:, part.start : part.start + 4 * bins])
        return expectation(logits.reshape(-1, 4, bins))


def points(
    size: tuple[int, int], strides: Sequence[int], offset: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The points [n, 2] (x, y), row by row and the first stride first, and a stride's reach [n, 2], all in fractions
    of a picture of `size` (width, height)."""
    centres, reaches = [], []
    for stride in strides:
        columns, rows = (math.ceil(side / stride) for side in size)
        x, y = np.meshgrid((np.arange(columns) + offset) * stride, (np.arange(rows) + offset) * stride)
        centres.append(np.stack([x.ravel(), y.ravel()], axis=1) / size)
        reaches.append(np.tile(np.array([stride, stride]) / size, (rows * columns, 1)))
    return np.concatenate(centres), np.tile(np.concatenate(reaches), (1, 2))


def expectation(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of 0, 1, 2, … by the softmax of the last dimension."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers @ np.arange(logits.shape[-1]) / powers.sum(axis=-1))


def layouts(options: NanodetOptions, size: tuple[int, int], outputs: Sequence[Output]) -> list[Layout]:
    """Where scores and distances may be, by the shapes: one layout where all is well.

    Either may be one output per stride, or one for all; both may share outputs, scores first. Where several numbers of
    classes would do, but one of them is that of COCO, it is that one.
    """
    widths = {output.columns for output in outputs}
    possible = widths | {width - 4 * options.bins for width in widths}
    numbers = [options.classes] if options.classes else sorted(number for number in possible if number > 0)
    found = [layout for number in numbers if (layout := _layout(options, number, size, outputs)) is not None]
    return [layout for layout in found if layout.classes == _USUAL_CLASSES] or found


def _layout(options: NanodetOptions, classes: int, size: tuple[int, int], outputs: Sequence[Output]) -> Layout | None:
    """The layout of a model with so many classes; None where there is none, or outputs are left over.

    Raises FormError where scores and distances are of the same shape.
    """
    cells = [math.prod(math.ceil(side / stride) for side in size) for stride in options.strides]
    wide = 4 * options.bins
    places = list(range(len(outputs)))
    scores = _parts(outputs, options.score_outputs or places, cells, {classes: 0, classes + wide: 0})
    used = [part.output for part in scores or [] if outputs[part.output].columns == classes]
    free = options.box_outputs or [place for place in places if place not in used]
    boxes = _parts(outputs, free, cells, {wide: 0, classes + wide: classes})
    if not scores or not boxes or {part.output for part in scores + boxes} != set(places):
        return None
    if used and classes == wide and not options.score_outputs:
        raise FormError(_AMBIGUOUS)
    return Layout(classes, scores, boxes)


def _parts(
    outputs: Sequence[Output], places: Sequence[int], cells: Sequence[int], starts: dict[int, int]
) -> list[Part] | None:
    """The outputs, among those at `places`, that have the numbers of every cell; `starts` are the columns from which
    they are, by the width of an output."""
    for division in (list(cells), [sum(cells)]):
        free, found, first = list(places), list[Part](), 0
        for rows in division:
            fits = (at for at in free if outputs[at].rows == rows and outputs[at].columns in starts)
            place = next(fits, None)
            if place is None:
                break
            free.remove(place)
            found.append(Part(place, starts[outputs[place].columns], first, rows))
            first += rows
        if len(found) == len(division):
            return found
    return None


def _only(layouts: Sequence[Layout], options: NanodetOptions, outputs: Sequence[Output]) -> Layout:
    if len(layouts) > 1:
        raise FormError(_AMBIGUOUS)
    if not layouts:
        shapes = ", ".join(str(list(output.shape)) for output in outputs)
        classes = f"{options.classes} classes, " if options.classes else ""
        raise FormError(
            f"{NAME}: outputs of {shapes} do not fit {classes}{options.bins} bins and strides"
            f" {', '.join(map(str, options.strides))}: state the options that do"
        )
    return layouts[0]


class Nanodet(Family):
    """NanoDet-m, -g, -t and NanoDet-Plus."""

    name = NAME
    title = "NanoDet detector"
    options = NanodetOptions

    def recognise(self, file: ModelFile) -> ModelForm | None:
        outputs = outputs_of(file)
        fits = [
            (options, layout)
            for strides, offset in _USUAL
            for bins in _USUAL_BINS
            for options in [NanodetOptions(strides=strides, bins=bins, center_offset=offset)]
            for layout in layouts(options, file.input_size, outputs)
        ]
        usual = [fit for fit in fits if fit[1].classes == _USUAL_CLASSES]
        if len(usual or fits) > 1:
            raise FormError(_AMBIGUOUS)
        return _form(file, *(usual or fits)[0]) if fits else None

    def classes(self, file: ModelFile, form: ModelForm) -> int | None:
        options, outputs = NanodetOptions.of(form), outputs_of(file)
        return _only(layouts(options, file.input_size, outputs), options, outputs).classes

    def decoder(self, file: ModelFile, form: ModelForm, outputs: Sequence[Output]) -> Decoder:
        options = NanodetOptions.of(form)
        layout = _only(layouts(options, file.input_size, outputs), options, outputs)
        return NanodetDecoder(options, file.input_size, layout, outputs)


def _form(file: ModelFile, options: NanodetOptions, layout: Layout) -> ModelForm:
    """The form of a model that says nothing of itself: trained, and fed, as the published ones are."""
    logits = file.outputs[layout.scores[0].output].scale == 0 and not are_scores(file, layout.scores[0].output)
    told = {"strides": list(options.strides), "bins": options.bins, "classes": layout.classes}
    told |= {"center_offset": options.center_offset, "scores": "logits" if logits else "sigmoid"}
    return ModelForm(NAME, "letterbox", told | _PUBLISHED_INPUT)


FAMILY = Nanodet()
