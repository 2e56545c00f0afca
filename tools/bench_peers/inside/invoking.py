"""The bare invoke: a tight loop that does nothing else. Prints seconds and CPU seconds of each, as JSON.

Arguments: MODULE MODEL CLIP SECONDS, of which the first is as for single_loop.py.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import time

import cv2


def main() -> None:
    """Invoke on one picture of the clip, on one thread, until the time is over."""
    module, model, clip, seconds = sys.argv[1:]
    interpreter = importlib.import_module(module).Interpreter(model_path=model, num_threads=1)
    interpreter.allocate_tensors()
    shape = interpreter.get_input_details()[0]
    _, picture = cv2.VideoCapture(clip).read()
    small = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), (int(shape["shape"][2]), int(shape["shape"][1])))
    interpreter.set_tensor(shape["index"], small[None])
    for _ in range(5):
        interpreter.invoke()
    took = []
    spent, now = time.process_time(), time.perf_counter()
    end = now + float(seconds)
    while now < end:
        before = now
        interpreter.invoke()
        now = time.perf_counter()
        took.append(now - before)
    print(json.dumps({"invoke": statistics.median(took), "cpu": (time.process_time() - spent) / len(took)}))


if __name__ == "__main__":
    main()
