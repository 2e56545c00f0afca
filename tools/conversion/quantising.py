"""From TensorFlow's functions and saved models to .tflite: as floats, or as integers measured on pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conversion.tensorflow_door import chatter_held, first_line, tensorflow
from edgecam import console
from edgecam.errors import InputError


class Numbers(StrEnum):
    """What a model computes with, and what goes in."""

    none = "none"
    uint8 = "uint8"
    int8 = "int8"


def converted(
    converter: Any,
    source: str,
    numbers: Numbers = Numbers.none,
    calibration: Callable[[], Iterable[NDArray[np.float32]]] | None = None,
    *,
    float_outputs: bool = False,
) -> bytes:
    """What a tf.lite.TFLiteConverter makes of its model. Raises InputError, which says why it does not.

    `calibration` gives the model's inputs [1, height, width, 3] to measure integers on. `float_outputs` for models
    that end in an operation on floats, as the post-process one does.
    """
    tf = tensorflow()
    converter.allow_custom_ops = True
    if numbers is not Numbers.none:
        assert calibration is not None, "integers are measured on pictures"
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([np.asarray(each)] for each in calibration())
        kind = tf.uint8 if numbers is Numbers.uint8 else tf.int8
        converter.inference_input_type = kind
        converter.inference_output_type = tf.float32 if float_outputs else kind
        if not float_outputs:
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    try:
        with chatter_held():
            return bytes(converter.convert())
    except InputError:
        raise
    except (tf.errors.OpError, tf.lite.python.convert.ConverterError, ValueError, RuntimeError, TypeError) as error:
        raise InputError(f"{source}: TensorFlow {tf.__version__} cannot convert it: {first_line(error)}") from error


def measured_on(
    shots: Sequence[NDArray[np.uint8]], mean: float = 0.0, std: float = 1.0
) -> Callable[[], Iterator[NDArray[np.float32]]]:
    """The inputs [1, height, width, 3] of RGB pictures, (value - mean) / std, with a bar for who watches."""

    def run() -> Iterator[NDArray[np.float32]]:
        with console.progress("measuring", len(shots)) as advance:
            for shot in shots:
                yield ((shot[None].astype(np.float32) - mean) / std).astype(np.float32)
                advance(1)

    return run
