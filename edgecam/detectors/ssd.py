"""Decodes what TFLite_Detection_PostProcess puts out, whatever order a model gives it in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecam.modelfile import POSTPROCESS_ROLES

_SIGNATURE_ROLES = {"output_0": "count", "output_1": "scores", "output_2": "classes", "output_3": "boxes"}
_OTHER_ORDER = ("scores", "boxes", "count", "classes")


class Candidates(NamedTuple):
    """Candidates, best first: boxes [n, 4] (xmin, ymin, xmax, ymax, in fractions), class numbers and scores [n].

    `discarded` is the number left out because box, class or score were unusable.
    """

    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    scores: NDArray[np.float64]
    discarded: int


def output_roles(
    known: Sequence[str], signature: Mapping[str, int], shapes: Sequence[tuple[int, ...]]
) -> dict[str, int]:
    """Where among a model's outputs are `boxes`, `classes`, `scores` and `count`?

    `known` are the roles as the post-process operator itself tells them (`PostProcess.roles`), certain where complete.
    Else pycoral's convention holds: with a signature, output_0 to output_3 are count, scores, classes, boxes; else if
    output 3 has one element: boxes, classes, scores, count; else scores, boxes, count, classes.
    """
    if set(known) >= set(POSTPROCESS_ROLES):
        return {role: list(known).index(role) for role in POSTPROCESS_ROLES}
    if set(signature) >= set(_SIGNATURE_ROLES):
        return {role: signature[name] for name, role in _SIGNATURE_ROLES.items()}
    order = POSTPROCESS_ROLES if math.prod(shapes[3]) == 1 else _OTHER_ORDER
    return {role: position for position, role in enumerate(order)}


def dequantised(values: NDArray[np.generic], scale: float, zero_point: int) -> NDArray[np.float64]:
    """Real values of an output tensor: (q - zero_point) * scale where it is quantised (scale above 0)."""
    real = values.astype(np.float64)
    return (real - zero_point) * scale if scale > 0 else real


def decode(
    boxes: NDArray[np.float64], classes: NDArray[np.float64], scores: NDArray[np.float64], count: NDArray[np.float64]
) -> Candidates:
    """Candidates of the four outputs: boxes [1, N, 4] as ymin, xmin, ymax, xmax, classes and scores [1, N], count [1].

    Boxes are cut at the frame's edges; those with nothing left, and anything not finite, are discarded.
    """
    every = scores.reshape(-1)
    stated = float(count.reshape(-1)[0])
    number = int(min(max(stated, 0), every.size)) if math.isfinite(stated) else 0
    edges = boxes.reshape(-1, 4)[:number][:, [1, 0, 3, 2]]
    kinds, values = classes.reshape(-1)[:number], every[:number]
    inside = np.minimum(np.maximum(edges, 0.0), 1.0)  # half the time of np.clip on so few
    usable = np.isfinite(edges).all(axis=1) & (inside[:, 2:] > inside[:, :2]).all(axis=1)
    usable &= np.isfinite(values) & np.isfinite(kinds) & (kinds >= 0)
    best_first = np.flatnonzero(usable)[np.argsort(-values[usable], kind="stable")]
    return Candidates(
        boxes=inside[best_first],
        classes=np.rint(kinds[best_first]).astype(np.int64),
        scores=np.minimum(np.maximum(values[best_first], 0.0), 1.0),
        discarded=number - len(best_first),
    )
