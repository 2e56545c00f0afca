"""What is said of a detector process that ended: one line with what happened and the remedy."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.detectors.diagnosis import Ending, explain

FATAL = "F driver/usb/usb_driver.cc:857] transfer on tag 1 failed. Abort. Not found: USB transfer error 5"
FACTS = {"runtime": "tflite-runtime 2.14.0", "library_version": "RuntimeVersion(13)"}
TPU = Ending("usb:2-1", "/usr/bin/python3", "libedgetpu.so.1", facts=FACTS)
CPU = Ending("cpu", "/usr/bin/python3", "libedgetpu.so.1", facts=FACTS)
REPLUG = "unplug it and plug it in again, and check cable and power"


@pytest.mark.parametrize("stage", ["interpreter", "allocate", "invoke"])
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_a_crash_in_a_new_interpreter_is_a_mismatch_and_names_both_versions(stage: str, number: signal.Signals) -> None:
    told = explain(replace(TPU, stage=stage, code=-number))
    assert "libedgetpu.so.1 (RuntimeVersion(13)) and tflite-runtime 2.14.0 do not match" in told
    assert number.name in told
    assert "install a libedgetpu built for this runtime" in told


def test_a_fatal_line_of_the_usb_driver_tells_an_unplugging_from_a_mismatch() -> None:
    ending = replace(TPU, stage="allocate", code=-signal.SIGABRT, stderr=f"INFO: x\n{FATAL}\nlater\n")
    assert explain(ending) == (
        f"usb:2-1: libedgetpu gave up while the model was prepared ({FATAL}):"
        f" the device was unplugged or failed: {REPLUG}"
    )


def test_a_crash_at_work_or_on_the_cpu_is_no_mismatch() -> None:
    assert "do not match" not in explain(replace(TPU, stage="ready", code=-signal.SIGSEGV))
    told = explain(replace(CPU, stage="invoke", code=-signal.SIGSEGV))
    assert told == (
        "cpu: its process died of SIGSEGV in the first inference: try the other runtime, or convert the model anew"
    )


def test_who_holds_the_lock_is_named_where_it_is_known() -> None:
    assert f"(process {os.getpid()} (" in explain(replace(TPU, kind="busy", text=str(os.getpid())))
    assert "in use by another edgecam: stop it first" in explain(replace(TPU, kind="busy", text="half a p"))


def test_small_talk_is_not_taken_for_a_reason() -> None:
    stderr = "no such driver\nINFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nW0000 00:00 file.cc] hm\n\n"
    assert "(no such driver)" in explain(replace(TPU, stage="import", code=1, stderr=stderr))
    assert "(nothing on stderr)" in explain(replace(TPU, stage="import", code=1))


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        (replace(TPU, stage="ready", waited=1.0), f"usb:2-1: no answer for 1 s, killed: {REPLUG}"),
        (
            replace(TPU, stage="delegate", waited=30.0),
            "not ready after 30 s, stuck while the device was opened, killed",
        ),
        (replace(TPU, stage="ready", code=-9), "killed by SIGKILL at work: by someone, or by the kernel for want of"),
        (replace(TPU, stage="ready"), "its process closed its channel at work"),
        (replace(TPU, stage="ready", code=-250), "its process died of signal 250 at work"),
        (replace(CPU, kind="runtime", text="No module"), "no runtime in /usr/bin/python3 (No module): install"),
        (replace(CPU, stage="allocate", kind="failed", text="op edgetpu-custom-op"), "compiled for the Edge TPU"),
        (replace(TPU, stage="list", kind="failed", text="x.so"), "libedgetpu cannot be used (x.so): install"),
        (
            replace(TPU, stage="import", kind="failed", text=""),
            "failed while the runtime was imported (no reason given)",
        ),
    ],
    ids=str,
)
def test_each_end_has_its_words(ending: Ending, told: str) -> None:
    assert told in explain(ending)


@given(
    st.sampled_from(["start", "import", "list", "delegate", "allocate", "ready", "whatever"]),
    st.none() | st.integers(-64, 255),
    st.sampled_from(["", "busy", "absent", "failed", "unheard of"]),
    st.text(max_size=2000),
    st.text(max_size=2000),
)
def test_it_is_always_one_line_that_names_the_device(
    stage: str, code: int | None, kind: str, text: str, stderr: str
) -> None:
    told = explain(replace(TPU, stage=stage, code=code, kind=kind, text=text, stderr=stderr))
    assert told.startswith("usb:2-1: ")
    assert len(told.splitlines()) == 1
    assert len(told) < 1000
