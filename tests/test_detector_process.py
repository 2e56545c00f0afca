"""The detector process on the CPU: what it answers, how it ends, and that nothing of it is left."""

from __future__ import annotations

import ast
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
import tiny_models
from edgetpu.user import is_running, wait_until_gone
from process_stories import (
    LIMIT,
    Tensor,
    collected,
    in_process,
    pid_of,
    random_tensors,
    through,
    traces,
    wait_until_dead,
)

from edgecam.detectors import child as child_module
from edgecam.detectors.child import SLOTS
from edgecam.detectors.process import DetectorProcess, ProcessOptions
from edgecam.detectors.runtime import find_runtime
from edgecam.errors import DetectorError, InputError

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "models" / "edgecam_demo.tflite"
Start = Callable[..., DetectorProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts detector processes that are ready, unless said otherwise; kills them in the end."""
    processes: list[DetectorProcess] = []

    def begin(content: bytes = tiny_models.detector(), *, ready: bool = True, **options: object) -> DetectorProcess:
        processes.append(DetectorProcess(content, "cpu", ProcessOptions(**options)))  # type: ignore[arg-type]
        processes[-1].start()
        assert not ready or processes[-1].wait_ready(LIMIT)
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()


def tiny_tensor(level: int = 130) -> Tensor:
    return np.full((1, 2, 2, 3), level, np.uint8)


def model_of(name: str, request: pytest.FixtureRequest) -> bytes:
    """A model's bytes by a name: tiny ones, the bundled one, one of the assets."""
    tiny: dict[str, Callable[[], bytes]] = {
        "uint8": tiny_models.detector,
        "int8": lambda: tiny_models.detector(tiny_models.INT8, zero_point=0),
        "float32": lambda: tiny_models.detector(tiny_models.FLOAT32),
        "demo": DEMO.read_bytes,
    }
    if name in tiny:
        return tiny[name]()
    assets: Path = request.getfixturevalue("assets")
    return (assets / "models" / name).read_bytes()


@pytest.mark.parametrize("name", ["uint8", "int8", "float32", "demo", "ssdlite_mobiledet_dog_vs_cat.tflite"])
def test_it_answers_what_the_runtime_answers_bit_for_bit_and_in_order(
    start: Start, name: str, request: pytest.FixtureRequest
) -> None:
    content = model_of(name, request)
    process = start(content, invoke_timeout=LIMIT)
    tensors = random_tensors(process, 5)
    for ours, expected in zip(through(process, tensors), in_process(content, tensors), strict=True):
        for output, wanted in zip(ours, expected, strict=True):
            assert output.dtype == wanted.dtype
            assert np.array_equal(output, wanted)


def test_it_says_what_it_is(start: Start) -> None:
    ready = start().ready
    runtime = find_runtime()
    assert ready.runtime == f"{runtime.name} {runtime.version}"
    assert (ready.via, ready.device, ready.library_version, ready.note) == ("cpu", "cpu", "", "")
    assert ready.input == ("picture", (1, 2, 2, 3), "uint8", 1 / 128, 128)
    assert [output.shape for output in ready.outputs] == [(1, 3, 4), (1, 3), (1, 3), (1,)]
    assert min(ready.invoke_seconds) > 0


def test_answers_are_copies(start: Start) -> None:
    process = start()
    process.submit(tiny_tensor(0))
    first = collected(process)
    kept = [output.copy() for output in first.outputs]
    through(process, [tiny_tensor(200)] * 4)
    process.kill()
    assert all(np.array_equal(*pair) for pair in zip(first.outputs, kept, strict=True))
    assert first.seconds > 0


def test_no_more_is_taken_than_there_are_slots(start: Start) -> None:
    process = start()
    for under_way in range(SLOTS):
        assert process.under_way == under_way
        process.submit(tiny_tensor())
    with pytest.raises(RuntimeError, match="collect one first"):
        process.submit(tiny_tensor())
    with pytest.raises(RuntimeError, match="collect them first"):
        process.bare(1)
    assert len([collected(process) for _ in range(SLOTS)]) == SLOTS
    assert process.collect(0.0) is None


@pytest.mark.parametrize(
    "tensor", [np.zeros((1, 1, 1, 3), np.uint8), np.zeros((1, 2, 2, 3), np.float32)], ids=["shape", "dtype"]
)
def test_a_wrong_tensor_is_refused_and_harms_nothing(start: Start, tensor: Tensor) -> None:
    process = start()
    with pytest.raises(InputError, match=r"the model takes uint8 \[1, 2, 2, 3\]"):
        process.submit(tensor)
    assert through(process, [tiny_tensor()])


def test_bare_inferences_are_timed_one_by_one(start: Start) -> None:
    process = start()
    assert len(process.bare(250)) == 250
    assert all(seconds > 0 for seconds in process.bare(3))
    assert through(process, [tiny_tensor()])


def test_it_has_a_name_and_leaves_signals_to_the_parent(start: Start) -> None:
    process = start()
    assert Path(f"/proc/{pid_of(process)}/comm").read_text() == "edgecam-cpu\n"
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid_of(process), number)
    assert through(process, [tiny_tensor()])
    assert os.getsid(pid_of(process)) != os.getsid(0)


def test_it_dumps_no_core(start: Start) -> None:
    limits = Path(f"/proc/{pid_of(start())}/limits").read_text()
    assert re.search(r"^Max core file size +[01] +[01] ", limits, re.MULTILINE)


def test_it_cannot_be_used_before_it_is_started_nor_after_it_is_killed() -> None:
    process = DetectorProcess(tiny_models.detector(), "cpu", ProcessOptions())
    for use in (process.poll, process.check, lambda: process.collect(0.0), lambda: process.bare(1)):
        with pytest.raises(DetectorError, match="was not started"):
            use()
    process.kill()
    process.start()
    with pytest.raises(DetectorError, match="not ready"):
        process.submit(tiny_tensor())
    process.kill()
    process.kill()
    assert not process.alive()
    with pytest.raises(DetectorError, match="was stopped"):
        process.collect(0.0)


def test_a_failed_inference_is_told_and_ends_it(start: Start) -> None:
    process = start(tiny_models.fragile_detector())
    process.submit(np.zeros((1, 2, 2, 3), np.float32))
    assert collected(process)
    os.kill(pid_of(process), signal.SIGSTOP)
    for _ in range(SLOTS):
        process.submit(np.ones((1, 2, 2, 3), np.float32))
    os.kill(pid_of(process), signal.SIGCONT)
    wait_until_dead(process)  # with the second one unread: its channel is reset before its last words are heard
    with pytest.raises(DetectorError, match=r"^cpu: inference failed \(gather index out of bounds"):
        process.collect(LIMIT)
    assert process.under_way == 0
    assert not process.alive()
    with pytest.raises(DetectorError, match="gather index out of bounds"):
        process.submit(np.zeros((1, 2, 2, 3), np.float32))


def test_what_it_said_last_is_heard_also_where_it_died_before_it_was_asked_again(start: Start) -> None:
    process = start(tiny_models.fragile_detector())
    process.submit(np.ones((1, 2, 2, 3), np.float32))
    wait_until_dead(process)
    with pytest.raises(DetectorError, match="gather index out of bounds"):
        process.submit(np.ones((1, 2, 2, 3), np.float32))


@pytest.mark.parametrize("act", ["check", "collect", "submit"])
def test_death_is_noticed_and_named(start: Start, act: str) -> None:
    process = start()
    if act == "collect":
        os.kill(pid_of(process), signal.SIGSTOP)
        process.submit(tiny_tensor())
    os.kill(pid_of(process), signal.SIGKILL)
    wait_until_dead(process)
    use: dict[str, Callable[[], object]] = {
        "check": process.check,
        "collect": lambda: process.collect(LIMIT),
        "submit": lambda: process.submit(tiny_tensor()),
    }
    with pytest.raises(DetectorError, match=r"^cpu: its process was killed by SIGKILL at work"):
        use[act]()
    assert not process.alive()


def test_checking_a_healthy_one_loses_no_answer(start: Start) -> None:
    process = start()
    process.check()
    process.submit(tiny_tensor())
    process.check()
    assert collected(process)
    process.check()


def test_one_that_does_not_answer_is_killed_at_the_limit(start: Start) -> None:
    process = start(invoke_timeout=0.3)
    pid = pid_of(process)
    os.kill(pid, signal.SIGSTOP)
    process.submit(tiny_tensor())
    assert process.collect(0.01) is None
    with pytest.raises(DetectorError, match=r"^cpu: no answer for 0.3 s, killed: "):
        process.collect(LIMIT)
    assert not is_running(pid)


def test_an_answer_that_is_there_counts_however_late_it_is_asked_for(start: Start) -> None:
    process = start(invoke_timeout=0.01)
    process.submit(tiny_tensor())
    process._since -= LIMIT
    assert process._child is not None
    assert process._child.wait(monotonic() + LIMIT)
    assert collected(process)


def script(folder: Path, text: str) -> str:
    """A program to be used as the child's Python; `exec "$PYTHON" "$@"` in it goes on as the real one."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\nPYTHON='{sys.executable}'\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_a_python_that_is_not_there(start: Start) -> None:
    with pytest.raises(DetectorError, match=r"^cpu: cannot start /nowhere/python \(No such file or directory\)"):
        start(python="/nowhere/python")


def test_one_that_is_never_ready_is_killed(start: Start, tmp_path: Path) -> None:
    process = start(python=script(tmp_path, "exec sleep 60"), open_timeout=0.2, ready=False)
    pid = pid_of(process)
    assert not process.poll()
    with pytest.raises(DetectorError, match=r"^cpu: not ready after 0.2 s, stuck while Python started, killed: "):
        process.wait_ready(LIMIT)
    assert not is_running(pid)


def test_one_that_ends_at_once_is_told_by_its_last_words(start: Start, tmp_path: Path) -> None:
    process = start(python=script(tmp_path, "echo bad luck >&2; echo 'INFO: hello' >&2; exit 3"), ready=False)
    with pytest.raises(DetectorError, match=r"its process exited with 3 while Python started \(bad luck\): check that"):
        process.wait_ready(LIMIT)


def test_a_python_without_a_runtime(start: Start, tmp_path: Path) -> None:
    process = start(python=script(tmp_path, 'exec "$PYTHON" -S "$@"'), ready=False)
    with pytest.raises(DetectorError, match=r"^cpu: no runtime in .*/python \(No module named .*\): install ai-edge"):
        process.wait_ready(LIMIT)


def test_a_flood_on_stderr_neither_blocks_it_nor_is_kept(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "edgecam.detectors.spawning")
    process = start(python=script(tmp_path, 'yes flood | head -n 20000 >&2; exec "$PYTHON" "$@"'))
    assert through(process, [tiny_tensor()])
    assert process._child is not None
    assert len(process._child.stderr) <= 4096
    assert "cpu: flood" in caplog.messages


def test_another_python_is_not_led_astray_by_this_ones_variables(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    seen = tmp_path / "seen"
    start(python=script(tmp_path, f'env > {seen}; exec "$PYTHON" "$@"'))
    assert "/nowhere" not in seen.read_text()
    assert f"PATH={os.environ['PATH']}" in seen.read_text().splitlines()


def test_a_model_no_runtime_takes(start: Start) -> None:
    process = start(b"TFL3 but nothing else", ready=False)
    with pytest.raises(DetectorError, match=r"cannot run the model, while the interpreter was built \("):
        process.wait_ready(LIMIT)


def test_a_runtime_that_is_not_there(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = find_runtime().name
    monkeypatch.setenv("EDGECAM_RUNTIME", "none")
    assert start(runtime=runtime).ready.runtime.startswith(runtime)


def descriptors(pid: int) -> dict[int, tuple[int, int]]:
    """Descriptor -> device and inode of what it is open on."""
    folder = Path(f"/proc/{pid}/fd")
    return {int(entry.name): (entry.stat().st_dev, entry.stat().st_ino) for entry in folder.iterdir()}


def test_processes_inherit_nothing_of_each_other(start: Start) -> None:
    first, second = (descriptors(pid_of(start())) for _ in range(2))
    null = Path(os.devnull).stat()
    assert set(first.values()) & set(second.values()) == {(null.st_dev, null.st_ino)}


def test_what_a_library_starts_inherits_nothing(start: Start) -> None:
    pid = pid_of(start())
    for descriptor in set(descriptors(pid)) - {0, 1, 2}:
        flags = re.search(r"^flags:\s+([0-7]+)", Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text(), re.MULTILINE)
        assert flags is not None
        assert int(flags[1], 8) & os.O_CLOEXEC


def test_nothing_is_left_of_fifty_of_them(start: Start) -> None:
    def live(kind: int) -> None:
        """One life: ready and killed with an answer waiting, killed at once, or failed."""
        process = start(tiny_models.fragile_detector() if kind == 2 else tiny_models.detector(), ready=kind != 1)
        if kind == 0:
            process.submit(tiny_tensor())
        if kind == 2:
            process.submit(np.ones((1, 2, 2, 3), np.float32))
            with pytest.raises(DetectorError):
                process.collect(LIMIT)
        process.kill()

    live(0)
    before = traces()
    for number in range(50):
        live(1 if number % 2 else number % 4)
        assert traces() == before


PARENT = """
import subprocess, sys, time
from pathlib import Path
from edgecam.detectors.process import DetectorProcess, ProcessOptions
process = DetectorProcess(Path(sys.argv[1]).read_bytes(), "cpu", ProcessOptions())
process.start()
assert process.wait_ready(60)
print(process._child._process.pid, flush=True)
time.sleep(60)
"""

STUCK = """
import ctypes, sys
from edgecam.detectors.child import die_with_parent
die_with_parent(int(sys.argv[1]))
print(flush=True)
ctypes.PyDLL(None).sleep(60)  # holds the GIL, as load_delegate does
"""

PARENT_OF_STUCK = f"""
import os, subprocess, sys, time
lifeline, held = os.pipe()
child = subprocess.Popen([sys.executable, "-c", {STUCK!r}, str(lifeline)], pass_fds=[lifeline], stdout=subprocess.PIPE)
os.close(lifeline)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("text", [PARENT, PARENT_OF_STUCK], ids=["idle", "holding-the-gil"])
def test_it_dies_with_its_parent(text: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", text, str(DEMO)], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    wait_until_gone(pid)


def test_it_does_not_start_to_work_for_a_parent_that_is_gone() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    done = subprocess.run(
        [sys.executable, "-c", STUCK, str(reading)],
        pass_fds=[reading],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    os.close(reading)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "the parent is gone\n")


def test_the_child_stands_alone_under_older_pythons() -> None:
    tree = ast.parse(Path(child_module.__file__).read_text(encoding="utf-8"), feature_version=(3, 7))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported - sys.stdlib_module_names == {"numpy"}


def test_nothing_beside_the_child_hides_a_module_it_imports() -> None:
    beside = {path.stem for path in Path(child_module.__file__).parent.glob("*.py")}
    assert not beside & (sys.stdlib_module_names | {"numpy", "pycoral", "ai_edge_litert", "tflite_runtime"})
