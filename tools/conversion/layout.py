"""Pictures channel-last under a network that was written channel-first: values that know which of their axes is which.

PyTorch's networks count their axes batch, channel, row, column; TensorFlow Lite wants channels last, and every change
between the two costs a copy. A value here keeps its axes as the network counts them (`axes`) apart from how they lie
(`tensor`): a transposition moves nothing until an operation needs it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conversion.tensorflow_door import tensorflow

_CHANNELS_LAST = (0, 2, 3, 1)


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor whose axis n is the network's axis `axes[n]`; `padding` is still to be put around it.

    `padding` is (before, after) for each of the network's axes, `filler` what it is made of. Where it was joined of
    others along the axis `joint`, `parts` are those, as far as later changes of its axes left them whole.
    """

    tensor: Any
    axes: tuple[int, ...]
    padding: tuple[tuple[int, int], ...] = ()
    filler: float = 0.0
    parts: tuple[Value, ...] = ()
    joint: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes as the network counts its axes, without the padding."""
        sizes = dict(zip(self.axes, self.tensor.shape, strict=True))
        return tuple(int(sizes[axis]) for axis in range(len(self.axes)))

    @property
    def padded_shape(self) -> tuple[int, ...]:
        """The sizes with the padding."""
        around = self.padding or ((0, 0),) * len(self.axes)
        return tuple(size + sum(pad) for size, pad in zip(self.shape, around, strict=True))

    def position(self, axis: int) -> int:
        """Where the network's axis lies in the tensor."""
        return self.axes.index(axis % len(self.axes))

    def settled(self) -> Value:
        """The same with its padding put around it."""
        if not self.padding:
            return self
        tf = tensorflow()
        around = [self.padding[axis] for axis in self.axes]
        padded = tf.pad(self.tensor, around, constant_values=self.filler)
        return Value(padded, self.axes)

    def lying(self, axes: Sequence[int]) -> Any:
        """The tensor with the network's axes in this order."""
        value = self.settled()
        return transposed(value.tensor, [value.axes.index(axis) for axis in axes])

    def plain(self) -> Any:
        """The tensor as the network counts its axes."""
        return self.lying(range(len(self.axes)))

    def mapped(self, tensor: Any) -> Value:
        """Another tensor that lies as this one."""
        return Value(tensor, self.axes)


def picture(tensor: Any) -> Value:
    """A tensor [batch, rows, columns, channels] for a network that counts channels before rows."""
    return Value(tensor, _CHANNELS_LAST)


def transposed(tensor: Any, order: Sequence[int]) -> Any:
    """tf.transpose in as few dimensions as will do: axes that stay together are moved as one."""
    tf = tensorflow()
    shape = [int(size) for size in tensor.shape]
    if list(order) == list(range(len(shape))):
        return tensor
    runs: list[list[int]] = []
    for axis in (axis for axis in order if shape[axis] != 1):
        if runs and _next_to(shape, runs[-1][-1], axis):
            runs[-1].append(axis)
        else:
            runs.append([axis])
    target = [shape[axis] for axis in order]
    flat = sorted(runs)
    if flat != runs:
        tensor = tf.reshape(tensor, [1, *(math.prod(shape[axis] for axis in run) for run in flat)])
        tensor = tf.transpose(tensor, [0, *(1 + flat.index(run) for run in runs)])
    return tf.reshape(tensor, target)


def _next_to(shape: Sequence[int], left: int, right: int) -> bool:
    """True where nothing but sizes of one lies between two axes."""
    return left < right and all(shape[axis] == 1 for axis in range(left + 1, right))


def padded(value: Value, padding: Sequence[Sequence[int]], filler: float = 0.0) -> Value:
    """A value with padding to come, (before, after) for each of the network's axes."""
    around = tuple((int(before), int(after)) for before, after in padding)
    return replace(value.settled(), padding=around if any(map(any, around)) else (), filler=filler)


def permuted(value: Value, order: Sequence[int]) -> Value:
    """The network's transposition: the axes get other numbers, nothing moves."""
    number = {int(old): new for new, old in enumerate(order)}
    padding = tuple(value.padding[int(old)] for old in order) if value.padding else ()
    axes = tuple(number[axis] for axis in value.axes)
    parts = tuple(permuted(part, order) for part in value.parts)
    return Value(value.tensor, axes, padding, value.filler, parts, number.get(value.joint, 0))


def reshaped(value: Value, shape: Sequence[int]) -> Value:
    """The network's reshape. Axes that are split or merged whole stay where they lie."""
    tf = tensorflow()
    value = value.settled()
    old = value.shape
    new = _filled(old, shape)
    groups = _groups(old, new)
    if groups is None:
        return Value(tf.reshape(value.plain(), new), tuple(range(len(new))))
    merged = [axes for axes, _ in groups]
    order = sorted((axes for axes in merged if axes), key=lambda axes: value.axes.index(axes[0]))
    lies = [axis for axes in order for axis in axes]
    targets = {axes[0]: into for axes, into in groups if axes}
    lone = [into for axes, into in groups if not axes]
    axes = [axis for run in order for axis in targets[run[0]]] + [axis for into in lone for axis in into]
    tensor = transposed(value.tensor, [value.axes.index(axis) for axis in lies])
    tensor = tf.reshape(tensor, [new[axis] for axis in axes])
    joint = next((into[0] for old_axes, into in groups if old_axes == (value.joint,) and len(into) == 1), None)
    if joint is None or not value.parts:
        return Value(tensor, tuple(axes))
    parts = tuple(reshaped(part, [*new[:joint], part.shape[value.joint], *new[joint + 1 :]]) for part in value.parts)
    return Value(tensor, tuple(axes), parts=parts, joint=joint)


def _filled(old: Sequence[int], shape: Sequence[int]) -> list[int]:
    sizes = [int(old[number]) if int(size) == 0 else int(size) for number, size in enumerate(shape)]
    known = math.prod(size for size in sizes if size != -1)
    return [math.prod(old) // known if size == -1 else size for size in sizes]


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[tuple[int, ...], tuple[int, ...]]] | None:
    """Which old axes become which new ones, in order; None where some would be mixed."""
    groups = []
    left = right = 0
    while left < len(old) or right < len(new):
        start, into = left, right
        sizes = [old[left] if left < len(old) else 1, new[right] if right < len(new) else 1]
        left, right = min(left + 1, len(old)), min(right + 1, len(new))
        while sizes[0] != sizes[1]:
            if sizes[0] < sizes[1] and left < len(old):
                sizes[0], left = sizes[0] * old[left], left + 1
            elif sizes[1] < sizes[0] and right < len(new):
                sizes[1], right = sizes[1] * new[right], right + 1
            else:
                return None
        if left - start > 1 and right - into > 1:
            return None
        groups.append((tuple(range(start, left)), tuple(range(into, right))))
    return groups


def joined(values: Sequence[Value], axis: int) -> Value:
    """Values one after the other along the network's axis."""
    tf = tensorflow()
    first = values[0].settled()
    axis %= len(first.axes)
    tensor = tf.concat([value.lying(first.axes) for value in values], first.position(axis))
    return Value(tensor, first.axes, parts=tuple(value.settled() for value in values), joint=axis)


def apart(value: Value) -> list[Value]:
    """What a value was joined of, down to what was not joined.

    Integers of a joined tensor share one scale: scores from 0 to 1 beside logits from -9 to 9 keep few levels.
    """
    return [leaf for part in value.parts for leaf in apart(part)] if value.parts else [value]


def parted(value: Value, sizes: Sequence[int], axis: int) -> list[Value]:
    """A value cut along the network's axis."""
    tf = tensorflow()
    value = value.settled()
    parts = tf.split(value.tensor, [int(size) for size in sizes], value.position(axis))
    return [value.mapped(part) for part in parts]


def combined(operation: Any, left: Value | NDArray[Any], right: Value | NDArray[Any]) -> Value:
    """An operation on two values, or on a value and a constant, number by number."""
    if not isinstance(left, Value):
        assert isinstance(right, Value)
        value, other = right.settled(), _constant(left, right)
        return value.mapped(operation(other, value.tensor))
    value = left.settled()
    other = right.lying(value.axes) if isinstance(right, Value) else _constant(right, value)
    return value.mapped(operation(value.tensor, other))


def _constant(constant: NDArray[Any], value: Value) -> NDArray[Any]:
    """A constant as the value lies; one number per channel as a vector, which is what convolutions take for a bias."""
    rank = len(value.axes)
    whole = np.asarray(constant).reshape((1,) * (rank - np.ndim(constant)) + np.shape(constant))
    lies = whole.transpose(value.axes)
    return lies.reshape(-1) if all(size == 1 for size in lies.shape[:-1]) else lies
