"""The last step of every conversion: edgecam's own reader and a runtime take the model, and it runs once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgecam.detectors.runtime import find_runtime, without_greeting
from edgecam.detectors.tflite import TfliteDetector
from edgecam.errors import ModelError
from edgecam.modelfile import ModelFile


def runs(path: Path) -> str:
    """What a model takes and gives, for people, once it has run. Raises ModelError where it cannot be read or run."""
    file = ModelFile.load(path)
    if file.compiled_for_edgetpu:
        return "compiled for the Edge TPU"
    runtime = find_runtime()
    try:
        with without_greeting():
            interpreter = runtime.interpreter(model_content=file.content)
            interpreter.allocate_tensors()
        for tensor in interpreter.get_input_details():
            interpreter.set_tensor(tensor["index"], np.full(tensor["shape"], _grey(tensor["dtype"]), tensor["dtype"]))
        interpreter.invoke()
        outputs = [interpreter.get_tensor(tensor["index"]) for tensor in interpreter.get_output_details()]
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{path.name}: made, but {runtime.name} {runtime.version} cannot run it: {error}") from error
    # Past its count the post-process operation never writes: anything may be there.
    written = outputs[-1:] if file.postprocess else outputs
    if not all(np.isfinite(output).all() for output in written if output.dtype.kind == "f"):
        raise ModelError(f"{path.name}: made, but its outputs are no numbers: are the weights of the model sound?")
    if file.stated_form is not None:
        _detect(path, file)
    takes = " and ".join(f"{tensor.dtype} {list(tensor.shape)}" for tensor in file.inputs)
    return f"takes {takes}, gives {len(outputs)} outputs, runs on {runtime.name} {runtime.version}"


def _detect(path: Path, file: ModelFile) -> None:
    """Have edgecam's detector read the model's outputs by the form it states. Raises ModelError."""
    width, height = file.input_size
    with TfliteDetector(path) as detector:
        detector.detect(np.full((height, width, 3), 128, np.uint8))


def _grey(dtype: type) -> float:
    """A middling number of a type."""
    return 128 if dtype == np.uint8 else 0
