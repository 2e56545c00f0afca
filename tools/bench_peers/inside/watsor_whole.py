"""Watsor as a whole, with its frames counted and its one fault mended; takes Watsor's own arguments.

PEER_RUNTIME names the module that runs the model, ai_edge_litert.interpreter or tflite_runtime.interpreter.

Its detector puts a float into an integer of C, which no Python since 3.10 takes, so that it never detects anything:
here the classes are handed to it as integers. All of this happens in each of its processes: they import this file anew.
"""

from __future__ import annotations

import importlib
import os
import sys
import types
from multiprocessing import set_start_method
from typing import Any

from counting import Counter, from_environment

_runtime = importlib.import_module(os.environ["PEER_RUNTIME"])
_CLASSES, _SCORES, _COUNT = 1, 2, 3


class Interpreter(_runtime.Interpreter):  # type: ignore[name-defined,misc]
    """The runtime's, which counts."""

    _counter: Counter | None = None
    _outputs: tuple[int, ...] = ()

    def invoke(self) -> None:
        super().invoke()
        self._counter = self._counter or from_environment()
        self._outputs = self._outputs or tuple(each["index"] for each in self.get_output_details())
        there = int(self.get_tensor(self._outputs[_COUNT])[0])  # what is behind them was never written
        self._counter.add(int((self.get_tensor(self._outputs[_SCORES])[0, :there] >= 0.5).sum()))

    def get_tensor(self, tensor_index: int, *rest: Any) -> Any:
        values = super().get_tensor(tensor_index, *rest)
        return values.astype("int64") if tensor_index == self._outputs[_CLASSES] else values


def _put_in_place() -> None:
    """Watsor imports tflite_runtime.interpreter, which may be there as an attribute of its package already."""
    door = types.ModuleType("tflite_runtime.interpreter")
    door.__dict__["Interpreter"] = Interpreter
    package = sys.modules.setdefault("tflite_runtime", types.ModuleType("tflite_runtime"))
    package.__dict__["interpreter"] = sys.modules[door.__name__] = door


_put_in_place()

if __name__ == "__main__":
    from watsor.main import Application

    set_start_method("spawn")
    Application().run()
