"""The bare invoke: the model in a tight loop in a process of its own, with nothing of edgecam in it.

    python bare.py MODEL RUNTIME THREADS SECONDS [LIBRARY]

Prints a line of JSON: `wall` and `cpu`, seconds of one invoke, the median of the one and the mean of the other.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from statistics import median
from time import perf_counter, process_time
from typing import Any

_LEAST = 20
_WARM_UP = 5


def interpreter(model: str, runtime: str, threads: int, library: str) -> Any:
    """An interpreter ready to invoke; with `library`, a delegate, on that."""
    names = {"ai-edge-litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}
    module = import_module(names[runtime])
    delegates = [module.load_delegate(library)] if library else None
    made = module.Interpreter(model_path=model, num_threads=threads, experimental_delegates=delegates)
    made.allocate_tensors()
    return made


def measure(bare: Any, seconds: float) -> dict[str, float]:
    """Invoke for so long."""
    for _ in range(_WARM_UP):
        bare.invoke()
    times: list[float] = []
    begun, spent = perf_counter(), process_time()
    while len(times) < _LEAST or perf_counter() - begun < seconds:
        before = perf_counter()
        bare.invoke()
        times.append(perf_counter() - before)
    return {"wall": median(times), "cpu": (process_time() - spent) / len(times)}


if __name__ == "__main__":
    model, runtime, threads, seconds, *library = sys.argv[1:]
    bare = interpreter(model, runtime, int(threads), library[0] if library else "")
    print(json.dumps(measure(bare, float(seconds))))
