"""What runs in the peers' environments (tools/bench_peers/inside), on an interpreter that is made up."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "tools" / "bench_peers" / "inside"))

from counting import NUMBERS
from single_loop import Detector

pytestmark = pytest.mark.any_runtime

OUTPUTS: tuple[Any, ...] = (
    np.array([[[0.1, 0.2, 0.3, 0.4], [9e9] * 4, [9e9] * 4]], np.float32),
    np.array([[1, 9e9, 9e9]], np.float32),
    np.array([[0.8, 9e9, 9e9]], np.float32),
    np.array([1], np.float32),
)
"""Boxes, classes, scores and how many are there: what is behind these is whatever the memory had."""


class Interpreter:
    """Finds the same in every picture."""

    def __init__(self, model_path: str = "", num_threads: int = 1) -> None:
        pass

    def allocate_tensors(self) -> None:
        pass

    def get_input_details(self) -> list[dict[str, Any]]:
        return [{"index": 7, "shape": np.array([1, 20, 30, 3])}]

    def get_output_details(self) -> list[dict[str, int]]:
        return [{"index": number} for number in range(len(OUTPUTS))]

    def set_tensor(self, index: int, value: Any) -> None:
        assert (index, value.shape) == (7, (1, 20, 30, 3))

    def invoke(self) -> None:
        pass

    def get_tensor(self, index: int) -> Any:
        return OUTPUTS[index]


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module with the made-up interpreter."""
    module = ModuleType("made_up_runtime")
    module.__dict__["Interpreter"] = Interpreter
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__name__


def test_the_single_loop_takes_what_the_model_says_is_there(runtime: str) -> None:
    found = Detector(runtime, "any.tflite").detect(np.zeros((40, 60, 3), np.uint8))
    assert [number for _, number, _ in found] == [1]


def test_of_watsor_what_the_model_says_is_there_is_counted(
    runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = tmp_path / "counter"
    counter.write_bytes(NUMBERS.pack(0, 0))
    monkeypatch.setenv("PEER_RUNTIME", runtime)
    monkeypatch.setenv("PEER_COUNTER", str(counter))
    for name in ("tflite_runtime", "tflite_runtime.interpreter", "watsor_whole"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.delitem(sys.modules, "watsor_whole")
    interpreter = import_module("watsor_whole").Interpreter()
    interpreter.invoke()
    interpreter.invoke()
    assert NUMBERS.unpack(counter.read_bytes()) == (2, 2)
