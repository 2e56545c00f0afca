"""The network: a small SSDLite detector in MobileDet's form, of operations that the Edge TPU knows.

MobileDet (Xiong et al. 2021) builds its backbones from three blocks: the inverted bottleneck, the fused inverted
bottleneck (its first two layers in one full convolution) and the Tucker layer (compress, full convolution, expand).
The full convolutions suit the Edge TPU, and the CPU that trains this, better than depthwise ones on large maps.
"""

from __future__ import annotations

from typing import Any

import tf_keras as keras
from tf_keras import layers

from training.anchors import SHAPES_PER_LEVEL, Size

Tensor = Any


def _normal(h: Tensor, *, active: bool = True) -> Tensor:
    h = layers.BatchNormalization(momentum=0.97, epsilon=1e-3)(h)
    return layers.ReLU(6.0)(h) if active else h


def _conv(h: Tensor, filters: int, kernel: int, stride: int = 1, *, active: bool = True) -> Tensor:
    conv = layers.Conv2D(filters, kernel, stride, "same", use_bias=False, kernel_initializer="he_normal")
    return _normal(conv(h), active=active)


def _depthwise(h: Tensor, kernel: int, stride: int = 1) -> Tensor:
    conv = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, depthwise_initializer="he_normal")
    return _normal(conv(h))


def _join(h: Tensor, x: Tensor) -> Tensor:
    """Add the block's input to its output where their shapes allow it."""
    return layers.Add()([h, x]) if h.shape == x.shape else h


def inverted_bottleneck(x: Tensor, filters: int, expand: int, kernel: int = 3, stride: int = 1) -> Tensor:
    """Expand 1x1, depthwise, project 1x1."""
    h = _conv(x, x.shape[-1] * expand, 1)
    return _join(_conv(_depthwise(h, kernel, stride), filters, 1, active=False), x)


def fused_bottleneck(x: Tensor, filters: int, expand: int, stride: int = 1) -> Tensor:
    """Expand with a full 3x3 convolution, project 1x1."""
    h = _conv(x, x.shape[-1] * expand, 3, stride)
    return _join(_conv(h, filters, 1, active=False), x)


def tucker(x: Tensor, filters: int) -> Tensor:
    """Compress 1x1 to half, full 3x3 convolution, expand 1x1."""
    h = _conv(_conv(x, x.shape[-1] // 2, 1), filters, 3)
    return _join(_conv(h, filters, 1, active=False), x)


def backbone(image: Tensor) -> list[Tensor]:
    """Feature maps at strides 8, 16 and 32."""
    h = fused_bottleneck(_conv(image, 16, 3, 2), 24, 2, stride=2)
    h = fused_bottleneck(h, 48, 2, stride=2)
    for _ in range(3):
        h = tucker(h, 48)
    maps = [h]
    h = fused_bottleneck(h, 96, 2, stride=2)
    for _ in range(3):
        h = tucker(h, 96)
    maps.append(h)
    h = inverted_bottleneck(h, 128, 4, kernel=5, stride=2)
    for _ in range(2):
        h = inverted_bottleneck(h, 128, 4)
    return [*maps, h]


def build(labels: int, size: Size) -> keras.Model:
    """The network: pixels (v - 128) / 128 in, box encodings [n, 4] and class logits [n, labels] out.

    Encodings are those of TFLite_Detection_PostProcess with scales 10, 10, 5, 5.
    """
    image = keras.Input([size[1], size[0], 3], name="image")
    boxes, scores = [], []
    rare = keras.initializers.Constant(-4.0)  # at first, every anchor thinks that it sees nothing
    for h, shapes in zip(backbone(image), SHAPES_PER_LEVEL, strict=True):
        box = layers.Conv2D(shapes * 4, 1, kernel_initializer=keras.initializers.RandomNormal(stddev=0.02))
        score = layers.Conv2D(shapes * labels, 1, bias_initializer=rare)
        boxes.append(layers.Reshape([-1, 4])(box(_depthwise(h, 3))))
        scores.append(layers.Reshape([-1, labels])(score(_depthwise(h, 3))))
    return keras.Model(image, [layers.Concatenate(1, name="box")(boxes), layers.Concatenate(1, name="score")(scores)])
