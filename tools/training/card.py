"""The model card: what a trained model is, what it was made of, and how good it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from training.labelled import LabelledPicture
from training.preparing import Recipe, Split


@dataclass(frozen=True)
class Outcome:
    """What a training came to: the epoch the weights are of, how many there were, the figures of both forms."""

    epoch: int
    epochs: int
    network: Mapping[str, float]
    exported: Mapping[str, float]
    finished: bool


def card(name: str, content: bytes, parts: Split, recipe: Recipe, outcome: Outcome) -> str:
    """The card of a model, as Markdown."""
    width, height = recipe.size
    start = {"scratch": "random weights", "demo": "the weights of edgecam's bundled model"}.get(
        recipe.start, recipe.start
    )
    training = (
        f"{outcome.epochs} epochs of {recipe.epochs}, batches of {recipe.batch}, rate {recipe.rate:g},"
        f" seed {recipe.seed}, from {start}"
    )
    unfinished = "" if outcome.finished else " **Training was not finished.**"
    return f"""# {name}

An SSDLite detector for {", ".join(parts.labels)}. Made by edgecam's `tools/train`.{unfinished}

| | |
|---|---|
| file | `{name}.tflite`, {len(content)} bytes, labels in `{name}.txt` |
| sha256 | `{hashlib.sha256(content).hexdigest()}` |
| input | uint8 [1, {height}, {width}, 3] RGB, scale 1/128, zero point 128; the frame is stretched to it |
| outputs | boxes, labels, scores, count of TFLite_Detection_PostProcess, in this order |
| training | {training} |
| kept | the weights of epoch {outcome.epoch}, the best in validation |

## Pictures

| | pictures | {" | ".join(parts.labels)} |
|---|--:|{"--:|" * len(parts.labels)}
| to learn from | {len(parts.train)} | {_counts(parts.train, parts.labels)} |
| to be judged by | {len(parts.validation)} | {_counts(parts.validation, parts.labels)} |

## Figures

COCO's average precision on the pictures to be judged by. They also decided which epoch was kept, so expect somewhat
less on new pictures. With few of them (see above) the figures are rough.

| | AP | AP50 | AP75 | {" | ".join(f"AP50 {label}" for label in parts.labels)} |
|---|--:|--:|--:|{"--:|" * len(parts.labels)}
| the network, in floats | {_figures(outcome.network, parts.labels)} |
| this file, in integers | {_figures(outcome.exported, parts.labels)} |

## Limits

It knows what its pictures showed: the same cameras, distances, light and seasons. What it never saw it takes for
something it knows. The operations are those that the Edge TPU's compiler documents;
`tools/convert edgetpu` compiles it.
"""


def _counts(pictures: tuple[LabelledPicture, ...], labels: tuple[str, ...]) -> str:
    found = [thing.label for picture in pictures for thing in picture.things if not thing.difficult]
    return " | ".join(str(found.count(label)) for label in labels)


def _figures(figures: Mapping[str, float], labels: tuple[str, ...]) -> str:
    names = ["AP", "AP50", "AP75", *(f"AP50_{label}" for label in labels)]
    return " | ".join("none" if figures[name] < 0 else f"{figures[name]:.3f}" for name in names)
