"""The detector process on the software Edge TPU: everything libedgetpu is known to do to the process that loads it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from edgetpu.compile_model import compile_for_standin
from edgetpu.standin import StandIn
from edgetpu.user import is_running, wait_until_gone
from process_stories import LIMIT, in_process, pid_of, random_tensors, through, traces, wait_until_dead

from edgecam.detectors.process import DetectorProcess, ProcessOptions
from edgecam.detectors.runtime import find_runtime
from edgecam.errors import DetectorError

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "models" / "edgecam_demo.tflite"

Start = Callable[..., DetectorProcess]


@pytest.fixture
def start(standin: StandIn, demo_edgetpu_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts detector processes in the world of the stand-in, with the bundled model; kills them in the end."""
    for name, value in standin.environment.items():
        monkeypatch.setenv(name, value)
    processes: list[DetectorProcess] = []

    def begin(
        device: str = "usb:2-1", *, ready: bool = True, model: Path | None = None, **options: object
    ) -> DetectorProcess:
        content = (model or demo_edgetpu_model).read_bytes()
        chosen = ProcessOptions(**options)  # type: ignore[arg-type]
        processes.append(DetectorProcess(content, device, chosen, lock_of(standin, device)))
        processes[-1].start()
        assert not ready or processes[-1].wait_ready(LIMIT)
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()


def lock_of(standin: StandIn, device: str) -> Path:
    return standin.folder / "locks" / f"{device.replace(':', '-')}.lock"


def refusal(process: DetectorProcess) -> str:
    """Why it does not get ready."""
    with pytest.raises(DetectorError) as caught:
        process.wait_ready(LIMIT)
    assert not process.alive()
    return str(caught.value)


def failure(process: DetectorProcess) -> str:
    """Why it gives no answer."""
    with pytest.raises(DetectorError) as caught:
        through(process, random_tensors(process, 100))
    assert not process.alive()
    assert process.under_way == 0
    return str(caught.value)


def test_it_answers_what_the_cpu_answers_bit_for_bit(start: Start) -> None:
    process = start()
    tensors = random_tensors(process, 5)
    for ours, expected in zip(through(process, tensors), in_process(DEMO.read_bytes(), tensors), strict=True):
        assert all(np.array_equal(output, wanted) for output, wanted in zip(ours, expected, strict=True))


def test_the_real_mobiledet_too(start: Start, assets: Path, tmp_path: Path) -> None:
    cpu, tpu = assets / "models" / "ssdlite_mobiledet_dog_vs_cat.tflite", tmp_path / "mobiledet_edgetpu.tflite"
    compile_for_standin(cpu, tpu)
    process = start(model=tpu, invoke_timeout=LIMIT)
    tensors = random_tensors(process, 2)
    for ours, expected in zip(through(process, tensors), in_process(cpu.read_bytes(), tensors), strict=True):
        assert all(np.array_equal(output, wanted) for output, wanted in zip(ours, expected, strict=True))


def test_it_says_what_it_is(start: Start) -> None:
    process = start()
    ready, runtime = process.ready, find_runtime()
    assert (ready.runtime, ready.via) == (f"{runtime.name} {runtime.version}", "libedgetpu")
    assert (ready.device, ready.note) == ("usb:0", "")
    assert ready.library_version == "BuildLabel(EDGECAM-STAND-IN), RuntimeVersion(14)"
    assert Path(f"/proc/{pid_of(process)}/comm").read_text() == "edgecam-tpu\n"


def test_each_opens_the_device_it_was_told(start: Start, standin: StandIn) -> None:
    standin.plug("1-1.4")
    standin.plug("apex_0", kind="pci")
    for device in ("usb:1-1.4", "usb:2-1", "pci:apex_0"):
        pid = pid_of(start(device))
        opened = standin.wait_for(event="open", pid=pid)
        assert opened["device"] == device.partition(":")[2]


def test_options_reach_libedgetpu(start: Start, standin: StandIn) -> None:
    start(performance="High")
    assert standin.wait_for(event="option")["Performance"] == "High"


def test_the_lock_is_held_as_long_as_it_lives(start: Start, standin: StandIn) -> None:
    process = start()
    assert lock_of(standin, "usb:2-1").read_text() == str(pid_of(process))
    assert f"in use by another edgecam (process {pid_of(process)} (edgecam-tpu))" in refusal(start(ready=False))
    assert through(process, random_tensors(process, 1))
    process.kill()
    assert start().alive()


def test_a_lock_held_by_another_program_is_named(start: Start, standin: StandIn) -> None:
    lock = lock_of(standin, "usb:2-1")
    text = (
        "import fcntl, os, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); f.write(str(os.getpid()));"
    )
    with subprocess.Popen(
        [sys.executable, "-c", text + "f.flush(); print(flush=True); sys.stdin.read()", str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        told = refusal(start(ready=False))
    assert told.startswith(f"usb:2-1: in use by another edgecam (process {holder.pid} (python")
    assert start().alive()


def test_a_lock_that_cannot_be_made(start: Start, standin: StandIn) -> None:
    (standin.folder / "locks").rmdir()
    assert "usb-2-1.lock cannot be opened: check its folder and its permissions" in refusal(start(ready=False))


def test_absent(start: Start, standin: StandIn) -> None:
    standin.plug("2-2")
    standin.unplug("2-1")
    assert "usb:2-1: libedgetpu does not list it (it lists usb:2-2): " in refusal(start(ready=False))
    standin.unplug("2-2")
    assert "(it lists none)" in refusal(start(ready=False))


def test_no_libedgetpu(start: Start) -> None:
    told = refusal(start(ready=False, library="libedgetpu-of-nobody.so.1"))
    assert told.startswith(
        "usb:2-1: libedgetpu cannot be used (libedgetpu-of-nobody.so.1: cannot open shared object file"
    )


@pytest.mark.parametrize(
    ("control", "told"),
    [
        ({"open_fault": "null"}, "libedgetpu lists it but cannot open it (Failed to load delegate from "),
        ({"open_fault": "abort"}, "libedgetpu gave up while the device was opened"),
        ({"open_fault": "segv"}, "its process died of SIGSEGV while the device was opened"),
        ({"prepare_fault": "error"}, "Failed to prepare for TPU. Failed precondition: Could not map pages"),
        ({"prepare_fault": "abort"}, "libedgetpu gave up while the model was prepared (F driver/usb/usb_driver.cc:"),
        ({"fault": "error"}, "Failed to execute request. Deadline exceeded"),
        ({"fault": "exit"}, "its process exited with 3 in the first inference"),
    ],
    ids=str,
)
def test_what_goes_wrong_while_it_opens(start: Start, standin: StandIn, control: dict[str, str], told: str) -> None:
    standin.set(**control)
    assert told in refusal(start(ready=False))
    standin.set(**dict.fromkeys(control))
    assert start().alive()


def test_a_libedgetpu_built_for_another_runtime(start: Start, standin: StandIn) -> None:
    standin.set(old_abi=1)
    told = refusal(start(ready=False))
    runtime = find_runtime()
    assert told.startswith("usb:2-1: libedgetpu.so.1 (BuildLabel(EDGECAM-STAND-IN), RuntimeVersion(14)) and ")
    assert f"{runtime.name} {runtime.version} do not match: SIGSEGV while the" in told


def test_one_that_hangs_while_it_opens_is_killed(start: Start, standin: StandIn) -> None:
    standin.set(open_fault="hang")
    process = start(ready=False, open_timeout=3.0)
    pid = pid_of(process)
    assert "not ready after 3 s, stuck while the device was opened, killed" in refusal(process)
    assert not is_running(pid)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("error", "usb:2-1: inference failed (Failed to execute request. Deadline exceeded: USB transfer error 2"),
        ("abort", "usb:2-1: libedgetpu gave up at work (F driver/usb/usb_driver.cc:"),
        ("segv", "usb:2-1: its process died of SIGSEGV at work"),
        ("exit", "usb:2-1: its process exited with 3 at work"),
        ("hang", "usb:2-1: no answer for 0.5 s, killed: unplug it"),
    ],
)
def test_what_goes_wrong_at_work(start: Start, standin: StandIn, fault: str, told: str) -> None:
    standin.set(fault=fault, fault_after=8)
    process = start(invoke_timeout=0.5)
    pid = pid_of(process)
    assert told in failure(process)
    assert not is_running(pid)
    standin.set(fault=None)
    assert start().alive()


def test_unplugged_while_it_has_nothing_to_do(start: Start, standin: StandIn) -> None:
    process = start()
    process.check()
    standin.unplug("2-1")
    wait_until_dead(process)
    with pytest.raises(DetectorError, match=r"^usb:2-1: libedgetpu gave up at work \(F driver/usb/usb_driver.cc:"):
        process.check()
    standin.plug("2-1")
    assert start().alive()


def test_killed_by_someone(start: Start) -> None:
    process = start()
    os.kill(pid_of(process), signal.SIGKILL)
    assert "killed by SIGKILL at work" in failure(process)


def test_a_stick_without_firmware(start: Start, standin: StandIn) -> None:
    standin.unplug("2-1")
    standin.plug("2-1", firmware=False)
    process = start()
    assert through(process, random_tensors(process, 1))


def test_nothing_is_left_after_faults(start: Start, standin: StandIn) -> None:
    standin.set(exec="zero", fault="abort", fault_after=4)
    failure(start())
    before = traces()
    for _ in range(5):
        failure(start())
        assert traces() == before


def test_corals_pycoral_is_used_where_it_is(start: Start, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    standin.plug("1-1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "edgetpu" / "pycoral_real"))
    process = start()
    assert (process.ready.via, process.ready.note) == ("pycoral", "")
    assert process.ready.library_version.endswith("RuntimeVersion(14)")
    assert standin.wait_for(event="open")["device"] == "2-1"
    tensors = random_tensors(process, 1)
    expected = in_process(DEMO.read_bytes(), tensors)
    assert all(np.array_equal(*pair) for pair in zip(through(process, tensors)[0], expected[0], strict=True))


def test_corals_pycoral_takes_no_options(start: Start, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "edgetpu" / "pycoral_real"))
    ready = start(performance="Max").ready
    assert ready.via == "libedgetpu"
    assert ready.note.startswith("pycoral is not used: ")
    assert standin.wait_for(event="option")["Performance"] == "Max"


def test_pypis_pycoral_is_another_thing(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "edgetpu" / "pycoral_pypi"))
    ready = start().ready
    assert ready.via == "libedgetpu"
    assert ready.note == (
        "pycoral is ignored: PyPI's, which is another package, or broken (No module named 'pycoral.utils')"
    )


def test_a_compiled_model_cannot_run_on_the_cpu(start: Start) -> None:
    told = refusal(start("cpu", ready=False))
    assert told.startswith("cpu: the model is compiled for the Edge TPU and cannot run on the CPU: give ")


def test_opening_for_seconds_holds_no_thread_of_the_parent(start: Start, standin: StandIn) -> None:
    """libedgetpu holds its own process's GIL that long. A gap of 50 ms is wanted; a busy machine is granted 250."""
    ended = threading.Event()
    gaps: list[float] = []

    def tick() -> None:
        last = monotonic()
        while not ended.wait(0.001):
            gaps.append(-last + (last := monotonic()))

    standin.set(open_ms=3000)
    ticker = threading.Thread(target=tick)
    ticker.start()
    process = start()
    ended.set()
    ticker.join()
    assert process.alive()
    sys.stdout.write(f"largest gap of the ticker: {max(gaps) * 1e3:.1f} ms of {len(gaps)}\n")
    assert max(gaps) < 0.25


STUCK_PARENT = """
import sys, time
from pathlib import Path
from edgecam.detectors.process import DetectorProcess, ProcessOptions
process = DetectorProcess(Path(sys.argv[1]).read_bytes(), "usb:2-1", ProcessOptions())
process.start()
while process._ending.stage != "delegate":
    assert not process.wait_ready(0.1)
print(process._child._process.pid, flush=True)
time.sleep(60)
"""


def test_one_that_hangs_with_the_gil_dies_with_its_parent(standin: StandIn, demo_edgetpu_model: Path) -> None:
    standin.set(open_fault="hang")
    with subprocess.Popen(
        [sys.executable, "-c", STUCK_PARENT, str(demo_edgetpu_model)],
        stdout=subprocess.PIPE,
        env=os.environ | standin.environment | {"PYTHONPATH": str(ROOT)},
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        standin.wait_for(event="fault", fault="hang")
        assert is_running(pid)
        parent.kill()
    wait_until_gone(pid)
