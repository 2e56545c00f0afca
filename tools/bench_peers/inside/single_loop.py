"""The program that one writes first: OpenCV reads, the interpreter looks, OpenCV draws and writes, in one loop.

    single_loop.py MODULE MODEL LABELS CLIP PACE VIDEO

MODULE is ai_edge_litert.interpreter or tflite_runtime.interpreter; PACE frames per second, 0 for as fast as it goes;
VIDEO the file to write, "" for none.
"""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path
from typing import Any

import cv2
from counting import from_environment

LEAST = 0.5
_GREEN = (0, 255, 0)


def main() -> None:
    """Look at the clip over and over until somebody ends it."""
    module, model, labels, clip, pace, video = sys.argv[1:]
    names = Path(labels).read_text(encoding="utf-8").splitlines() if labels else []
    detector = Detector(module, model)
    counter, writer = from_environment(), None
    step, due = (1 / float(pace) if float(pace) else 0.0), time.monotonic()
    capture = cv2.VideoCapture(clip)
    while True:
        there, picture = capture.read()
        if not there:
            capture = cv2.VideoCapture(clip)
            continue
        found = detector.detect(picture)
        draw(picture, found, names)
        if video:
            size = (picture.shape[1], picture.shape[0])
            writer = writer or cv2.VideoWriter(video, cv2.VideoWriter.fourcc(*"mp4v"), 30, size)
            writer.write(picture)
        counter.add(len(found))
        due += step
        time.sleep(max(0.0, due - time.monotonic()))


class Detector:
    """An interpreter of a model with the usual four outputs, on one thread."""

    def __init__(self, module: str, model: str) -> None:
        self._interpreter = importlib.import_module(module).Interpreter(model_path=model, num_threads=1)
        self._interpreter.allocate_tensors()
        shape = self._interpreter.get_input_details()[0]
        self._input, self._size = shape["index"], (int(shape["shape"][2]), int(shape["shape"][1]))
        self._outputs = [each["index"] for each in self._interpreter.get_output_details()]

    def detect(self, picture: Any) -> list[tuple[Any, int, float]]:
        """Box (ymin, xmin, ymax, xmax in parts), class and score of what is in a BGR picture."""
        small = cv2.cvtColor(cv2.resize(picture, self._size), cv2.COLOR_BGR2RGB)
        self._interpreter.set_tensor(self._input, small[None])
        self._interpreter.invoke()
        boxes, classes, scores, count = (self._interpreter.get_tensor(index)[0] for index in self._outputs)
        there = int(count)  # what is behind them was never written
        return [
            (box, int(number), float(score))
            for box, number, score in zip(boxes[:there], classes[:there], scores[:there], strict=True)
            if score >= LEAST
        ]


def draw(picture: Any, found: list[tuple[Any, int, float]], names: list[str]) -> None:
    """A box and a name for each."""
    height, width = picture.shape[:2]
    for (top, left, bottom, right), number, score in found:
        corner = (int(left * width), int(top * height))
        cv2.rectangle(picture, corner, (int(right * width), int(bottom * height)), _GREEN, 2)
        name = names[number] if number < len(names) else str(number)
        cv2.putText(picture, f"{name} {score:.0%}", corner, cv2.FONT_HERSHEY_SIMPLEX, 0.6, _GREEN, 2)


if __name__ == "__main__":
    main()
