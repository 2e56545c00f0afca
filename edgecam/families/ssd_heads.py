"""SSD models without the post-process operator: box codes and scores for every anchor.

Box codes are those of the Object Detection API's FasterRcnnBoxCoder: y and x of the centre in anchor sizes, and the
logarithms of height and width, each times its scale (10, 10, 5, 5).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgecam.families.anchors import MultiscaleAnchors, SsdAnchors
from edgecam.families.family import Candidates, Decoder, Family, FormError, FoundOptions, Output, Outputs, outputs_of
from edgecam.families.heads import Scores, are_scores, chosen, picks_above
from edgecam.modelfile import ModelFile, ModelForm

NAME = "ssd-heads"

#: Codes beyond this would make boxes larger than any picture; it also keeps exp() from running over.
_LARGEST_CODE = 20.0
#: The anchors of the models that are about, tried in turn where a model does not state its own.
_USUAL = (SsdAnchors(), MultiscaleAnchors())


class SsdOptions(FoundOptions):
    """Options of `ssd-heads`.

    `anchors` says how they were generated. `background`: the first score is that of no object at all. `box_output`
    and `score_output` are the positions of the two outputs, where their shapes do not tell.
    """

    anchors: SsdAnchors | MultiscaleAnchors | None = Field(default=None, discriminator="kind")
    box_coder: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    scores: Scores = "logits"
    background: bool = True
    box_output: int | None = Field(default=None, ge=0)
    score_output: int | None = Field(default=None, ge=0)


class SsdHeadsDecoder(Decoder):
    """Decodes box codes [1, n, 4] and scores [1, n, classes] by n anchors."""

    def __init__(
        self, options: SsdOptions, anchors: NDArray[np.float64], roles: tuple[int, int], outputs: Sequence[Output]
    ) -> None:
        self._options = options
        self._anchors = anchors
        self._boxes, self._scores = roles
        self._outputs = list(outputs)

    def decode(self, outputs: Outputs, floor: float) -> Candidates:
        options, output = self._options, self._outputs[self._scores]
        levels = outputs[self._scores].reshape(-1, output.columns)
        if options.background and options.scores != "softmax-logits":
            levels = levels[:, 1:]
        picks = picks_above(levels, output, options.scores, max(floor, options.min_score))
        if options.background and options.scores == "softmax-logits":
            named = picks.columns > 0  # the background takes part in the softmax
            picks = picks._replace(rows=picks.rows[named], columns=picks.columns[named] - 1, scores=picks.scores[named])
        codes = self._outputs[self._boxes].real(outputs[self._boxes].reshape(-1, 4)[picks.rows])
        return chosen(decoded_boxes(codes, self._anchors[picks.rows], options.box_coder), picks, options)


def decoded_boxes(
    codes: NDArray[np.float64], anchors: NDArray[np.float64], box_coder: Sequence[float]
) -> NDArray[np.float64]:
    """Boxes [n, 4] as xmin, ymin, xmax, ymax of codes [n, 4] and anchors [n, 4], both y, x, height, width."""
    scaled = codes / np.asarray(box_coder)
    centres = anchors[:, :2] + scaled[:, :2] * anchors[:, 2:]
    halves = 0.5 * anchors[:, 2:] * np.exp(np.minimum(scaled[:, 2:], _LARGEST_CODE))
    return np.concatenate([(centres - halves)[:, ::-1], (centres + halves)[:, ::-1]], axis=1)


def _roles(outputs: Sequence[Output], options: SsdOptions | None = None) -> tuple[int, int] | None:
    """Where boxes and scores are among the outputs; None where that cannot be told."""
    if options and options.box_output is not None and options.score_output is not None:
        stated = options.box_output, options.score_output
        return stated if max(stated) < len(outputs) else None
    if len(outputs) != 2 or outputs[0].rows != outputs[1].rows:
        return None
    boxes = [at for at, output in enumerate(outputs) if output.columns == 4]
    return (boxes[0], 1 - boxes[0]) if len(boxes) == 1 and outputs[1 - boxes[0]].columns > 1 else None


class SsdHeads(Family):
    """SSD models without a post-process operator."""

    name = NAME
    title = "SSD detector without a post-process operator"
    options = SsdOptions

    def recognise(self, file: ModelFile) -> ModelForm | None:
        outputs = outputs_of(file)
        shapes = [tensor.shape for tensor in file.outputs]
        roles = _roles(outputs)
        if roles is None or any(len(shape) not in {3, 4} or shape[0] != 1 for shape in shapes):
            return None
        number = outputs[roles[0]].rows
        anchors = next((each for each in _USUAL if len(each.boxes(file.input_size)) == number), None)
        if anchors is None:
            raise FormError(
                f"its outputs look like those of an SSD model with {number} anchors, of no usual kind:"
                " state the option `anchors`"
            )
        kind = "sigmoid" if are_scores(file, roles[1]) else "logits"
        return ModelForm(NAME, options={"anchors": anchors.model_dump(mode="json"), "scores": kind})

    def classes(self, file: ModelFile, form: ModelForm) -> int | None:
        options, outputs = SsdOptions.of(form), outputs_of(file)
        roles = _roles(outputs, options)
        return outputs[roles[1]].columns - int(options.background) if roles else None

    def decoder(self, file: ModelFile, form: ModelForm, outputs: Sequence[Output]) -> Decoder:
        options = SsdOptions.of(form)
        roles = _roles(outputs, options)
        if roles is None:
            raise FormError(
                f"{NAME}: it cannot be told which outputs are boxes [n, 4] and scores [n, classes]:"
                " state the options `box_output` and `score_output`"
            )
        generators = (options.anchors,) if options.anchors else _USUAL
        sets = [generator.boxes(file.input_size) for generator in generators]
        number = outputs[roles[0]].rows
        anchors = next((each for each in sets if len(each) == number), None)
        if anchors is None or outputs[roles[1]].rows != number or outputs[roles[0]].columns != 4:
            generated = " or ".join(str(len(each)) for each in sets)
            shapes = " and ".join(str(list(outputs[role].shape)) for role in roles)
            raise FormError(
                f"{NAME}: {generated} anchors do not fit boxes and scores of {shapes}: state the option `anchors`"
            )
        return SsdHeadsDecoder(options, anchors, roles, outputs)


FAMILY = SsdHeads()
