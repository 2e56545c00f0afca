"""The software Edge TPU itself: is it one, as far as a process that uses it can tell?"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
from edgetpu.compile_model import compile_for_standin
from edgetpu.standin import StandIn
from edgetpu.user import LIMIT, Users

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "tests" / "edgetpu"
DEMO = ROOT / "models" / "edgecam_demo.tflite"


class Listed(ctypes.Structure):
    """struct edgetpu_device."""

    _fields_ = (("type", ctypes.c_int), ("path", ctypes.c_char_p))


def listed(world: StandIn, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """What edgetpu_list_devices says."""
    monkeypatch.setenv("EDGETPU_STANDIN", str(world.folder))
    library = ctypes.CDLL(str(world.library))
    library.edgetpu_list_devices.restype = ctypes.POINTER(Listed)
    library.edgetpu_free_devices.argtypes = [ctypes.POINTER(Listed)]
    count = ctypes.c_size_t()
    devices = library.edgetpu_list_devices(ctypes.byref(count))
    found = [(devices[number].type, devices[number].path.decode()) for number in range(count.value)]
    library.edgetpu_free_devices(devices)
    return found


def test_lists_what_is_plugged_in(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    standin.plug("1-1.4", firmware=False)
    standin.plug("apex_0", kind="pci")
    (standin.folder / "sys/bus/usb/devices/usb2").mkdir()
    expected = [(0, "/dev/apex_0"), (1, "/sys/bus/usb/devices/1-1.4"), (1, "/sys/bus/usb/devices/2-1")]
    assert listed(standin, monkeypatch) == expected
    for name in ("1-1.4", "2-1", "apex_0"):
        standin.unplug(name)
    assert listed(standin, monkeypatch) == []


def test_a_stick_plugged_in_again_is_another_device(standin: StandIn) -> None:
    before = {path.name for path in standin.folder.glob("dev/bus/usb/002/*")}
    standin.unplug("2-1")
    assert not any(standin.folder.glob("dev/bus/usb/002/*"))
    node = standin.plug("2-1")
    assert node.stat().st_mode & 0o777 == 0o666
    assert node.name not in before
    with pytest.raises(ValueError, match="plugged in already"):
        standin.plug("2-1")


def test_the_version_is_what_the_control_file_says(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGETPU_STANDIN", str(standin.folder))
    library = ctypes.CDLL(str(standin.library))
    library.edgetpu_version.restype = ctypes.c_char_p
    assert library.edgetpu_version() == b"BuildLabel(EDGECAM-STAND-IN), RuntimeVersion(14)"
    standin.set(version="BuildLabel(OLD), RuntimeVersion(13)")
    assert library.edgetpu_version() == b"BuildLabel(OLD), RuntimeVersion(13)"
    standin.set(version=None)
    assert library.edgetpu_version().startswith(b"BuildLabel(EDGECAM")


CHOICES = {"": "apex_0", "usb": "1-1", "pci": "apex_0", "usb:1": "2-1", "pci:0": "apex_0", ":1": "1-1", ":2": "2-1"}
NO_CHOICES = ["usb:2", "usb:", "usb:x", "usb:-1", ":", "tpu", "us", "pci:1"]
OPEN_ALL = """
import sys
from importlib import import_module
from edgecam.detectors.runtime import RUNTIMES, find_runtime
load_delegate = import_module(RUNTIMES[find_runtime().name]).load_delegate
for choice in sys.argv[2:]:
    try:
        load_delegate(sys.argv[1], {"device": choice, "Performance": "Max"})
        print("fine")
    except ValueError as error:
        print(str(error).split(" from ")[0])
"""


def test_devices_are_chosen_as_with_libedgetpu(standin: StandIn) -> None:
    standin.plug("1-1")
    standin.plug("apex_0", kind="pci")
    done = subprocess.run(
        [sys.executable, "-c", OPEN_ALL, str(standin.library), *CHOICES, *NO_CHOICES],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | standin.environment,
    )
    assert done.stdout.split("\n")[:-1] == ["fine"] * len(CHOICES) + ["Failed to load delegate"] * len(NO_CHOICES)
    opened = {entry["asked"]: entry["device"] for entry in standin.log() if entry["event"] == "open"}
    assert opened == CHOICES
    assert any(entry.get("Performance") == "Max" for entry in standin.log())


@pytest.mark.parametrize("cpu_model", ["models/edgecam_demo.tflite", "ssdlite_mobiledet_dog_vs_cat.tflite"])
def test_results_equal_the_cpus_bit_for_bit(
    cpu_model: str, standin: StandIn, use: Users, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    bundled = ROOT / cpu_model
    source = bundled if bundled.is_file() else request.getfixturevalue("assets") / "models" / cpu_model
    compile_for_standin(source, tmp_path / "compiled_edgetpu.tflite")
    on_cpu, on_tpu = use(source, library=""), use(tmp_path / "compiled_edgetpu.tflite")
    on_cpu.start()
    on_tpu.start()
    expected = [on_cpu.invoke(seed) for seed in range(3)]
    assert len(set(expected)) == 3
    assert [on_tpu.invoke(seed) for seed in range(3)] == expected
    standin.set(exec="cache")
    assert [on_tpu.invoke(seed) for seed in (0, 1, 0, 1)] == [*expected[:2], *expected[:2]]


def test_remembered_answers_serve_the_next_process_without_the_model(standin: StandIn, use: Users) -> None:
    standin.set(exec="cache")
    first = use()
    first.start()
    answer = first.invoke(1)
    first.end()
    second = use()
    second.start()
    assert second.invoke(1) == answer
    assert [entry["pid"] for entry in standin.log() if "runner" in entry] == [first.process.pid]
    assert second.invoke(2) != answer


def test_an_inference_takes_its_time(standin: StandIn, use: Users) -> None:
    standin.set(latency_ms=9.1, first_ms=40, exec="zero", trace=1)
    user = use()
    user.start()
    zeros = {user.invoke(seed) for seed in range(4)}
    assert len(zeros) == 1
    took = [entry["took_ms"] for entry in standin.log() if entry["event"] == "invoke"]
    assert took[0] >= 40
    assert all(each >= 9.1 for each in took[1:])


def test_a_model_for_a_real_edge_tpu_has_no_results_here(standin: StandIn, use: Users, assets: Path) -> None:
    model = assets / "models" / "ssd_mobilenet_v2_300_1class_edgetpu.tflite"
    user = use(model)
    assert [user.line(), user.line()] == ["opened", "built"]
    assert "compiled for a real Edge TPU: set exec=zero" in user.line()
    standin.set(exec="zero")
    user = use(model)
    user.start()
    assert user.invoke()


LIST_WITH_PYCORAL = """
import sys
from pycoral.utils.edgetpu import get_runtime_version, list_edge_tpus, make_interpreter
print(get_runtime_version(), list_edge_tpus())
with open(sys.argv[1], "rb") as file:
    interpreter = make_interpreter(file.read(), device="usb:0")
interpreter.allocate_tensors()
interpreter.invoke()
print(len(interpreter.get_output_details()))
"""


def run_with_pycoral(world: StandIn, which: str, model: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LIST_WITH_PYCORAL, str(model)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        env=os.environ | world.environment | {"PYTHONPATH": str(HERE / which)},
    )


def test_there_is_a_pycoral_with_googles_contract(standin: StandIn, demo_edgetpu_model: Path) -> None:
    done = run_with_pycoral(standin, "pycoral_real", demo_edgetpu_model)
    listing = "[{'type': 'usb', 'path': '/sys/bus/usb/devices/2-1'}]"
    assert done.stdout.splitlines() == [f"BuildLabel(EDGECAM-STAND-IN), RuntimeVersion(14) {listing}", "4"], done.stderr


def test_there_is_a_pycoral_that_is_something_else(standin: StandIn, demo_edgetpu_model: Path) -> None:
    done = run_with_pycoral(standin, "pycoral_pypi", demo_edgetpu_model)
    assert "ModuleNotFoundError: No module named 'pycoral.utils'" in done.stderr
