"""A process that uses a device, one step at a time, for tests of what becomes of it.

    one_user.py LIBRARY DEVICE MODEL

LIBRARY is libedgetpu, or "" to run MODEL on the CPU. It writes "opened", "built", "ready" as it gets there, then reads
commands: "invoke SEED" runs the model on that random picture and writes a hash of the outputs. A Python exception is
written as "ERROR its text" and, before "ready", ends it.
"""

from __future__ import annotations

import hashlib
import sys
from importlib import import_module
from typing import Any

import numpy as np

from edgecam.detectors.runtime import RUNTIMES, find_runtime


def say(line: str) -> None:
    """One line for the test."""
    sys.stdout.write(line.replace("\n", " ") + "\n")
    sys.stdout.flush()


def open_interpreter(library: str, device: str, model: str) -> Any:
    """An allocated interpreter."""
    runtime = import_module(RUNTIMES[find_runtime().name])
    delegates = [runtime.load_delegate(library, {"device": device})] if library else []
    say("opened")
    interpreter = runtime.Interpreter(model_path=model, experimental_delegates=delegates, num_threads=1)
    say("built")
    interpreter.allocate_tensors()
    say("ready")
    return interpreter


def invoke(interpreter: Any, seed: int) -> str:
    """A hash of all outputs for the picture that comes of `seed`."""
    tensor = interpreter.get_input_details()[0]
    picture = np.random.default_rng(seed).integers(0, 256, tensor["shape"], np.uint8).astype(tensor["dtype"])
    interpreter.set_tensor(tensor["index"], picture)
    interpreter.invoke()
    outputs = [interpreter.get_tensor(output["index"]).tobytes() for output in interpreter.get_output_details()]
    return hashlib.sha256(b"".join(outputs)).hexdigest()


def main() -> None:
    """Open, then obey."""
    try:
        interpreter = open_interpreter(*sys.argv[1:4])
    except (RuntimeError, ValueError) as error:
        say(f"ERROR {error}")
        return
    for line in sys.stdin:
        try:
            say(invoke(interpreter, int(line.split()[1])))
        except RuntimeError as error:
            say(f"ERROR {error}")


if __name__ == "__main__":
    main()
