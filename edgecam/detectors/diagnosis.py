"""Why a detector process ended, in one line: from its stage, its exit, its stderr and what it said itself."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgecam.detectors.holders import Holder

_PLACES = {
    "start": "while Python started",
    "import": "while the runtime was imported",
    "lock": "while it took the lock",
    "list": "while libedgetpu listed its devices",
    "delegate": "while the device was opened",
    "interpreter": "while the interpreter was built",
    "allocate": "while the model was prepared",
    "invoke": "in the first inference",
    "ready": "at work",
}
#: Where a libedgetpu built for another TensorFlow Lite crashes (libedgetpu#53: in Interpreter()).
_MISMATCH_STAGES = ("interpreter", "allocate", "invoke")
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL)
#: A fatal line of libedgetpu's log: `F driver/usb/usb_driver.cc:857] transfer on tag 1 failed. Abort. …`.
_FATAL = re.compile(r"^F\S* .*\]", re.MULTILINE)
_SMALL_TALK = re.compile(r"^(INFO|WARNING|VERBOSE)\b|^[IW]\d{4} |^\s*$")
_REPLUG = "unplug it and plug it in again"
_TEXT_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Ending:
    """What is known of the end of a detector process.

    `device`, `python` and `library` are what it was told to use. `stage` is the last it announced ("start" before the
    first, "ready" after the last), `facts` what it announced with the stages: `runtime`, `library_version`.
    `code` is its exit code (-N: signal N; None: it did not end by itself). `waited`: it was killed after so many
    seconds without an answer. `stderr` is the end of what it wrote. `kind` and `text`: what it said itself.
    """

    device: str
    python: str
    library: str
    stage: str = "start"
    facts: Mapping[str, str] = field(default_factory=dict)
    code: int | None = None
    waited: float = 0.0
    stderr: str = ""
    kind: str = ""
    text: str = ""

    @property
    def on_tpu(self) -> bool:
        return self.device != "cpu"

    @property
    def runtime(self) -> str:
        return self.facts.get("runtime", "the runtime")

    @property
    def place(self) -> str:
        return _PLACES.get(self.stage, self.stage)


def explain(ending: Ending) -> str:
    """What happened and the remedy, in one line."""
    if ending.kind:
        reason = _refusal(ending)
    elif ending.waited:
        reason = _silence(ending)
    elif ending.code is not None and ending.code < 0:
        reason = _death(ending, -ending.code)
    else:
        reason = _exit(ending)
    return f"{ending.device}: {reason}"


def _refusal(ending: Ending) -> str:
    """It said itself why it cannot work."""
    text = _flat(ending.text)
    known = {
        "busy": f"in use by another edgecam{_holder(text)}: stop it first (`sudo systemctl stop edgecam`)",
        "lock": f"the lock file {text} cannot be opened: check its folder and its permissions",
        "absent": f"libedgetpu does not list it (it lists {text or 'none'}): {_REPLUG}, and check cable and power",
        "runtime": f"no runtime in {ending.python} ({text}): install ai-edge-litert or tflite-runtime there",
    }
    return known.get(ending.kind) or _failure(ending, text or "no reason given")


def _failure(ending: Ending, text: str) -> str:
    """The runtime or libedgetpu refused."""
    if "edgetpu-custom-op" in text and not ending.on_tpu:
        return "the model is compiled for the Edge TPU and cannot run on the CPU: give the model it was compiled from"
    if ending.stage == "list":
        return f"libedgetpu cannot be used ({text}): install libedgetpu1-std, built for the runtime in use"
    if ending.stage == "delegate":
        return (
            f"libedgetpu lists it but cannot open it ({text}): stop other programs that use it,"
            f" allow its device node (udev rule for 1a6e:089a and 18d1:9302), or {_REPLUG}"
        )
    if ending.stage == "ready":
        return f"inference failed ({text}): {_remedy(ending)}"
    if ending.stage in _MISMATCH_STAGES:
        return f"{ending.runtime} cannot run the model, {ending.place} ({text}): {_remedy(ending)}"
    return f"failed {ending.place} ({text})"


def _silence(ending: Ending) -> str:
    """It gave no answer in its time."""
    waited = f"{ending.waited:.3g} s"
    if ending.stage == "ready":
        return f"no answer for {waited}, killed: {_remedy(ending)}"
    return f"not ready after {waited}, stuck {ending.place}, killed: {_remedy(ending)}, or allow it more time to open"


def _death(ending: Ending, number: int) -> str:
    """A signal ended it."""
    name = _signal_name(number)
    last = _last_words(ending.stderr)
    told = f" ({last})" if last else ""
    if number == signal.SIGKILL:
        return f"its process was killed by {name} {ending.place}: by someone, or by the kernel for want of memory"
    lost = _FATAL.search(ending.stderr) is not None
    if ending.on_tpu and number in _CRASHES and ending.stage in _MISMATCH_STAGES and not lost:
        return (
            f"{ending.library} ({ending.facts.get('library_version') or 'version unknown'}) and {ending.runtime} do"
            f" not match: {name} {ending.place}{told}: install a libedgetpu built for this runtime,"
            " or run the detector in a Python with the runtime it was built for"
        )
    if ending.on_tpu and number == signal.SIGABRT:
        return f"libedgetpu gave up {ending.place}{told}: the device was unplugged or failed: {_remedy(ending)}"
    return f"its process died of {name} {ending.place}{told}: {_remedy(ending)}"


def _exit(ending: Ending) -> str:
    """It ended by itself, without a word on the channel."""
    ended = "closed its channel" if ending.code is None else f"exited with {ending.code}"
    last = _last_words(ending.stderr) or "nothing on stderr"
    remedy = f"check that {ending.python} runs" if ending.stage == "start" else _remedy(ending)
    return f"its process {ended} {ending.place} ({last}): {remedy}"


def _remedy(ending: Ending) -> str:
    if ending.on_tpu:
        return f"{_REPLUG}, and check cable and power"
    return "try the other runtime, or convert the model anew"


def _holder(pid: str) -> str:
    return f" ({Holder(int(pid))})" if pid.isdecimal() else ""


def _last_words(stderr: str) -> str:
    """The line of stderr that tells most: a fatal one of libedgetpu's, else the last that is no small talk."""
    lines = [line for line in stderr.splitlines() if not _SMALL_TALK.search(line)]
    fatal = [line for line in lines if _FATAL.search(line)]
    return _flat((fatal or lines or [""])[-1])


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _flat(text: str) -> str:
    """On one line, and its end where it is long: runtimes put the newest last."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _TEXT_LIMIT else f"… {flat[-_TEXT_LIMIT:]}"
