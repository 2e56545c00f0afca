"""What families without a post-process operator share: scores above a floor, and the best of what they find.

Only candidates that pass the floor are dequantised: the outputs have hundreds of thousands of numbers, most near zero.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgecam.families.family import Candidates, FoundOptions, Output, usable
from edgecam.families.suppression import LIMIT, best, suppressed
from edgecam.modelfile import ModelFile

#: What an output holds: scores made by a sigmoid or a softmax, or what one of the two is still to be applied to.
Scores = Literal["sigmoid", "softmax", "logits", "softmax-logits"]

_MAKE_SCORES = frozenset({"LOGISTIC", "SOFTMAX"})
#: Operators that leave the numbers as they are.
_MOVERS = frozenset({
    "CONCATENATION", "DEQUANTIZE", "EXPAND_DIMS", "PACK", "QUANTIZE", "RESHAPE", "SLICE", "SQUEEZE", "STRIDED_SLICE",
    "TRANSPOSE",
})  # fmt: skip


class Picks(NamedTuple):
    """What passes the floor: rows, columns and scores [n], in no order."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    scores: NDArray[np.float64]


def picks_above(levels: NDArray[np.generic], output: Output, kind: Scores, floor: float) -> Picks:
    """The places of a table [rows, columns] of stored numbers whose score is `floor` or more, the `LIMIT` best ones."""
    if kind == "softmax-logits":
        levels, output = _softmax(output.real(levels)), Output(output.shape, 0.0, 0)
    wanted = math.log(floor / max(1e-9, 1 - floor)) if kind == "logits" else floor
    found = np.flatnonzero(_at_least(levels, output.level(wanted)))
    chosen = levels.reshape(-1)[found]
    keep = best(chosen, LIMIT)
    rows, columns = np.divmod(found[keep], max(1, levels.shape[1]))
    scores = output.real(chosen[keep])
    return Picks(rows, columns, 1 / (1 + np.exp(-scores)) if kind == "logits" else scores)


def chosen(boxes: NDArray[np.float64], picks: Picks, options: FoundOptions) -> Candidates:
    """The candidates that class-wise suppression leaves; `boxes` are those of the picks, in fractions, and cut at
    the picture's edges only afterwards, as the post-process operator does."""
    kept = suppressed(boxes, picks.columns, picks.scores, options.max_overlap, options.max_detections)
    return usable(boxes[kept], picks.columns[kept], picks.scores[kept])


def are_scores(file: ModelFile, position: int) -> bool:
    """True where an output's numbers are scores already, by its range or its operators."""
    tensor = file.outputs[position]
    if tensor.scale > 0 and tensor.dtype in {"uint8", "int8"}:
        limits = np.iinfo(tensor.dtype)
        lowest, highest = ((limit - tensor.zero_point) * tensor.scale for limit in (limits.min, limits.max))
        if lowest >= 0 and 0.9 < highest <= 1.01:
            return True
    return bool(_makers(file, position) & _MAKE_SCORES)


def _makers(file: ModelFile, position: int) -> set[str]:
    """The operators that made an output's numbers, not those that only moved them."""
    graph = file.structure.graphs[0]
    made_by = {tensor: operator for operator in graph.operators for tensor in operator.outputs}
    names, seen, ahead = set[str](), set[int](), [graph.outputs[position]]
    while ahead:
        operator = made_by.get(tensor := ahead.pop())
        if operator is None or tensor in seen:
            continue
        seen.add(tensor)
        if operator.code.name in _MOVERS:
            ahead += [source for source in operator.inputs if source >= 0]
        else:
            names.add(operator.code.name)
    return names


def _at_least(levels: NDArray[np.generic], wanted: float) -> NDArray[np.bool_]:
    """Where the stored numbers are `wanted` or more; integers are compared as such, which is four times as fast."""
    kind = levels.dtype
    if kind.kind in "iu":
        limits = np.iinfo(kind.name)
        if wanted > limits.max:
            return np.zeros(levels.shape, dtype=bool)
        wanted = max(limits.min, math.ceil(wanted - 1e-6))
    return np.asarray(np.greater_equal(levels, kind.type(wanted)))


def _softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
