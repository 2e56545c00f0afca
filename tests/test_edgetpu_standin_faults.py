"""The software Edge TPU fails as the real one does, when it is told to and no sooner."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest
from edgetpu.standin import StandIn
from edgetpu.user import LIMIT, Users, is_running, wait_until_gone


@pytest.mark.parametrize(
    ("fault", "status"), [("abort", -signal.SIGABRT), ("segv", -signal.SIGSEGV), ("exit", 3)], ids=str
)
def test_dies_in_the_inference_it_is_told_to(fault: str, status: int, standin: StandIn, use: Users) -> None:
    standin.set(fault=fault, fault_after=2)
    user = use()
    user.start()
    assert user.invoke() == user.invoke()
    assert user.invoke() == ""
    assert user.death()[0] == status


def test_a_failed_inference_is_a_python_exception(standin: StandIn, use: Users) -> None:
    standin.set(fault="error")
    user = use()
    user.start()
    answer = user.invoke()
    assert answer.startswith("ERROR Failed to execute request.")
    assert "EdgeTpuDelegateForCustomOp) failed to invoke" in answer


def test_a_hanging_inference_ends_by_sigkill_or_when_the_fault_goes(standin: StandIn, use: Users) -> None:
    standin.set(fault="hang", fault_after=1)
    user = use()
    user.start()
    answer = user.invoke()
    user.ask()
    standin.wait_for(event="fault", fault="hang")
    standin.set(fault="none")
    assert user.line() == answer
    standin.set(fault="hang")
    user.ask()
    user.process.kill()
    assert user.death()[0] == -signal.SIGKILL


@pytest.mark.parametrize(
    ("fault", "reached", "status"),
    [
        ({"open_fault": "abort"}, [""], -signal.SIGABRT),
        ({"open_fault": "segv"}, [""], -signal.SIGSEGV),
        ({"open_fault": "null"}, ["ERROR Failed to load delegate"], 0),
        ({"old_abi": 1}, ["opened", ""], -signal.SIGSEGV),
        ({"prepare_fault": "error"}, ["opened", "built", "ERROR Failed to prepare for TPU."], 0),
        ({"prepare_fault": "abort"}, ["opened", "built", ""], -signal.SIGABRT),
    ],
    ids=str,
)
def test_fails_on_the_way_where_it_is_told_to(
    fault: dict[str, Any], reached: list[str], status: int, standin: StandIn, use: Users
) -> None:
    standin.set(**fault)
    user = use()
    for expected in reached:
        line = user.line()
        assert line.startswith(expected) if expected else line == ""
    assert user.death()[0] == status


def test_an_opening_that_hangs_ends_when_the_fault_goes(standin: StandIn, use: Users) -> None:
    standin.set(open_fault="hang")
    user = use()
    standin.wait_for(event="fault", fault="hang")
    assert user.process.poll() is None
    standin.set(open_fault=None)
    user.start()


@pytest.mark.parametrize("loss", ["unplugged", "plugged in again", "aborts by itself", "in an inference"])
def test_losing_the_device_aborts_its_process(loss: str, standin: StandIn, use: Users) -> None:
    user = use()
    user.start()
    if loss == "in an inference":
        standin.set(latency_ms=1000 * LIMIT)
        user.ask()
    if loss == "aborts by itself":
        standin.set(fault="abort_idle")
    else:
        standin.unplug("2-1")
    if loss == "plugged in again":
        standin.plug("2-1")
    status, errors = user.death()
    assert status == -signal.SIGABRT
    assert errors.splitlines()[-1].startswith("F driver/usb/usb_driver.cc:")


def test_a_second_process_steals_a_stick_from_the_first(standin: StandIn, use: Users) -> None:
    first = use()
    first.start()
    answer = first.invoke()
    second = use()
    second.start()
    assert first.death()[0] == -signal.SIGABRT
    assert second.invoke() == answer


def test_a_second_process_is_refused_a_pcie_device(standin: StandIn, use: Users) -> None:
    standin.plug("apex_0", kind="pci")
    first = use(device="pci")
    first.start()
    second = use(device="pci:0")
    assert second.line().startswith("ERROR Failed to load delegate")
    assert first.invoke()
    first.kill()
    third = use(device="pci:0")
    third.start()


def test_a_device_whose_node_cannot_be_opened_is_refused(standin: StandIn, use: Users) -> None:
    next(standin.folder.glob("dev/bus/usb/002/*")).unlink()
    assert use().line().startswith("ERROR Failed to load delegate")


def test_two_sticks_are_two_devices(standin: StandIn, use: Users) -> None:
    standin.plug("2-2")
    first, second = use(device="usb:0"), use(device="usb:1")
    first.start()
    second.start()
    answer = first.invoke()
    standin.unplug("2-1")
    assert first.death()[0] == -signal.SIGABRT
    assert second.invoke() == answer


def product_of(world: StandIn, name: str) -> str:
    return (world.folder / "sys/bus/usb/devices" / name / "idProduct").read_text("ascii").strip()


def test_the_first_opening_loads_the_firmware(standin: StandIn, use: Users) -> None:
    before = standin.plug("2-2", firmware=False)
    assert product_of(standin, "2-2") == "089a"
    user = use(device="usb:1")
    user.start()
    assert product_of(standin, "2-2") == "9302"
    assert not before.exists()
    assert len(list(standin.folder.glob("dev/bus/usb/002/*"))) == 2
    assert user.invoke()
    user.end()
    again = use(device="usb:1")
    again.start()
    assert sum(entry["event"] == "firmware" for entry in standin.log()) == 1


def test_a_stick_comes_back_with_its_firmware_though_its_process_has_died(standin: StandIn, use: Users) -> None:
    standin.plug("2-2", firmware=False)
    place = standin.folder / "sys/bus/usb/devices/2-2"
    standin.set(dfu_ms=1000)
    user = use(device="usb:1")
    standin.wait_for(event="firmware")
    user.kill()
    waiting = threading.Event()
    for _ in range(1000):
        if place.exists() and product_of(standin, "2-2") == "9302":
            return
        waiting.wait(0.01)
    raise AssertionError("the stick has not come back")


def test_a_stick_pulled_while_it_loads_its_firmware_stays_away(standin: StandIn, use: Users) -> None:
    standin.plug("2-2", firmware=False)
    standin.set(dfu_ms=1000)
    user = use(device="usb:1")
    standin.wait_for(event="firmware")
    standin.unplug("2-2")
    assert user.line().startswith("ERROR Failed to load delegate")
    assert len(list(standin.folder.glob("dev/bus/usb/002/*"))) == 1


def test_the_models_process_dies_with_its_owner(standin: StandIn, use: Users) -> None:
    user = use()
    user.start()
    runner = standin.wait_for(event="model", pid=user.process.pid)["runner"]
    assert is_running(runner)
    user.kill()
    wait_until_gone(runner)


def test_closing_leaves_nothing_behind(standin: StandIn, use: Users) -> None:
    user = use()
    user.start()
    user.end()
    assert user.process.returncode == 0
    runner = standin.wait_for(event="model", pid=user.process.pid)["runner"]
    wait_until_gone(runner)
