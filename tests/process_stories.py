"""What the tests of detector processes do with them, and how they look at them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecam.detectors.process import Answer, DetectorProcess
from edgecam.detectors.runtime import find_runtime, without_greeting

#: Seconds after which something hangs; nothing waits that long.
LIMIT = 60.0

Tensor = NDArray[np.generic]


def random_tensors(process: DetectorProcess, count: int) -> list[Tensor]:
    """Input tensors of noise, as the process takes them."""
    wanted = process.ready.input
    generator = np.random.default_rng(3)
    return [generator.integers(0, 127, wanted.shape).astype(wanted.dtype) for _ in range(count)]


def collected(process: DetectorProcess) -> Answer:
    answer = process.collect(LIMIT)
    assert answer is not None
    return answer


def in_process(content: bytes, tensors: list[Tensor]) -> list[list[Tensor]]:
    """What the very same runtime answers without a process of its own."""
    with without_greeting():
        interpreter = find_runtime().interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    answers = []
    for tensor in tensors:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
        interpreter.invoke()
        answers.append([interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()])
    return answers


def through(process: DetectorProcess, tensors: list[Tensor]) -> list[list[Tensor]]:
    """What the process answers, with as many under way as it takes."""
    answers = []
    for tensor in tensors:
        if process.under_way == process.SLOTS:
            answers.append(collected(process).outputs)
        process.submit(tensor)
    while process.under_way:
        answers.append(collected(process).outputs)
    return answers


def pid_of(process: DetectorProcess) -> int:
    assert process._child is not None
    return process._child._process.pid


def wait_until_dead(process: DetectorProcess) -> None:
    """Wait until all of the child's threads and descriptors are gone."""
    assert process._child is not None
    process._child._process.wait(LIMIT)


def traces() -> tuple[int, int, int, int]:
    """Descriptors, threads, mappings of shared memory and children of this process."""
    descriptors, threads = (len(list(Path(folder).iterdir())) for folder in ("/proc/self/fd", "/proc/self/task"))
    maps = Path("/proc/self/maps").read_text().count("edgecam-")
    return descriptors, threads, maps, sum(parent_of(entry) == os.getpid() for entry in Path("/proc").glob("[0-9]*"))


def parent_of(process: Path) -> int:
    """The parent's pid of a process in /proc; 0 where it is gone."""
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
