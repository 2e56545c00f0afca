"""Convolutions and their kin on values of a channel-first network, with TensorFlow's channel-last operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conversion.layout import Value, padded, picture
from conversion.tensorflow_door import tensorflow

_LAST = (0, 2, 3, 1)


class Window(NamedTuple):
    """How a window moves over a picture: steps and spacing in rows and columns."""

    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)


def convolution(value: Value, kernel: NDArray[Any], window: Window, order: Sequence[int] = _LAST) -> Value:
    """A convolution, `kernel` [rows, columns, in, out]; `order`: batch, rows, columns, channels in the network's axes.

    A kernel [rows, columns, channels, 1] for as many channels convolves each by itself.
    """
    tf = tensorflow()
    tensor, padding = _framed(value, kernel.shape[:2], window, order)
    strides = (1, *window.strides, 1)
    if _is_depthwise(kernel, int(tensor.shape[-1])):
        found = tf.nn.depthwise_conv2d(tensor, kernel, strides, padding, dilations=window.dilations)
    else:
        found = tf.nn.conv2d(tensor, kernel, strides, padding, dilations=window.dilations)
    return Value(found, tuple(order))


def _is_depthwise(kernel: NDArray[Any], channels: int) -> bool:
    return bool(kernel.shape[3] == 1 and kernel.shape[2] == channels > 1)


def max_pool(value: Value, size: tuple[int, int], window: Window, order: Sequence[int] = _LAST) -> Value:
    """The greatest of each window. Padding repeats the border.

    PyTorch pads with minus infinity, which no quantisation can hold; a border repeated as often as the window reaches
    beyond it gives the same maxima and adds no value to the range.
    """
    tf = tensorflow()
    tensor = _bordered(value, size, window, order)
    return Value(tf.nn.max_pool2d(tensor, size, window.strides, "VALID"), tuple(order))


def average_pool(value: Value, size: tuple[int, int], window: Window, order: Sequence[int] = _LAST) -> Value:
    """The mean of each window; zeros of a padding count."""
    tf = tensorflow()
    return Value(tf.nn.avg_pool2d(value.lying(order), size, window.strides, "VALID"), tuple(order))


def resized(
    value: Value,
    size: Sequence[int],
    order: Sequence[int] = _LAST,
    *,
    bilinear: bool,
    align_corners: bool,
    half_pixel: bool,
) -> Value:
    """A picture at another size (rows, columns)."""
    tf = tensorflow()
    operation: Callable[..., Any] = tf.raw_ops.ResizeBilinear if bilinear else tf.raw_ops.ResizeNearestNeighbor
    target = [int(number) for number in size]
    images = value.lying(order)
    found = operation(images=images, size=target, align_corners=align_corners, half_pixel_centers=half_pixel)
    return Value(found, tuple(order))


def sloped_relu(value: Value, slope: float) -> Value:
    """A leaky ReLU as PRELU with one slope per channel: the Edge TPU has that one, not LEAKY_RELU."""
    tf = tensorflow()
    value = value.settled()
    # In this form, and with slopes of this shape, the converter makes one operation of it.
    slopes = np.full((1, 1, int(value.tensor.shape[-1])), -slope, np.float32)
    return value.mapped(tf.nn.relu(value.tensor) + slopes * tf.nn.relu(-value.tensor))


def _framed(value: Value, size: Sequence[int], window: Window, order: Sequence[int]) -> tuple[Any, str]:
    """The picture and TensorFlow's padding: `SAME` where that is what the network's zeros amount to."""
    spans = [(length - 1) * spacing for length, spacing in zip(size, window.dilations, strict=True)]
    wanted = tuple((span // 2, span - span // 2) for span in spans)
    if window.strides == (1, 1) and value.padding and value.filler == 0:
        around = [value.padding[axis] for axis in order]
        if around == [(0, 0), *wanted, (0, 0)]:
            return Value(value.tensor, value.axes).lying(order), "SAME"
    return _trimmed(value, size, window, order).lying(order), "VALID"


def _trimmed(value: Value, size: Sequence[int], window: Window, order: Sequence[int]) -> Value:
    """The value without the padding that no window reaches."""
    if not value.padding:
        return value
    around = [list(pad) for pad in value.padding]
    for number, axis in enumerate(order[1:3]):
        reach = (size[number] - 1) * window.dilations[number] + 1
        whole = value.padded_shape[axis]
        unused = (whole - reach) % window.strides[number]
        around[axis][1] = max(0, around[axis][1] - unused)
    return padded(Value(value.tensor, value.axes), around, value.filler)


def _bordered(value: Value, size: Sequence[int], window: Window, order: Sequence[int]) -> Any:
    tf = tensorflow()
    reached = _trimmed(value, size, window, order)
    tensor = Value(value.tensor, value.axes).lying(order)
    if not reached.padding or reached.filler > -1e3:
        return reached.lying(order)
    for number, axis in enumerate(order[1:3], start=1):
        before, after = reached.padding[axis]
        length = int(tensor.shape[number])
        first, last = _edge(tensor, number, 0), _edge(tensor, number, length - 1)
        tensor = tf.concat([first] * before + [tensor] + [last] * after, number) if before or after else tensor
    return tensor


def _edge(tensor: Any, axis: int, at: int) -> Any:
    tf = tensorflow()
    begin = [0] * len(tensor.shape)
    begin[axis] = at
    sizes = [int(size) for size in tensor.shape]
    sizes[axis] = 1
    return tf.slice(tensor, begin, sizes)


def levels_to_channels(levels: Any, mean: Sequence[float], std: Sequence[float], *, bgr: bool) -> Value:
    """What the network was trained on, (value - mean) / std, from RGB with values 0 to 255: one 1x1 convolution.

    `mean` and `std` are in the network's order of channels, which `bgr` says. Kept apart from the network's first
    convolution, whose zeros at the border stand for `mean`, not for black.
    """
    tf = tensorflow()
    kernel = np.zeros((1, 1, 3, 3), np.float32)
    for channel, spread in enumerate(std):
        kernel[0, 0, 2 - channel if bgr else channel, channel] = 1 / spread
    offset = (-np.asarray(mean) / np.asarray(std)).astype(np.float32)
    return picture(tf.nn.bias_add(tf.nn.conv2d(levels, kernel, 1, "VALID"), offset))
