"""The detector child: the process that alone loads libedgetpu, or isolates a CPU interpreter, for `process.py`.

It stands alone: a script for Python 3.7 or newer that needs NumPy and a runtime and imports nothing of edgecam, because
libedgetpu and pycoral dictate their own Python. Started as `python -u child.py CHANNEL LIFELINE`, two descriptors.

CHANNEL is a SOCK_SEQPACKET socket. The first message is the order, in JSON; each stage of opening is announced in JSON
as it begins, then {"ready": …} or {"error": …} follows. From then on a message is a `REQUEST`, answered by an `ANSWER`;
tensors lie in memory shared with the parent, in `SLOTS` slots whose offsets "ready" has told.
LIFELINE is the read end of a pipe whose write end only the parent has: the kernel kills this process when it closes.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import mmap
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading
from collections import deque
from contextlib import suppress
from importlib import import_module, util
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter, sleep
from typing import Any

SLOTS = 2
#: op, sequence, slot (of BARE: how many inferences).
REQUEST = struct.Struct("=III")
INVOKE, BARE = 1, 2
#: status, sequence, slot, seconds; FAILED is followed by text, the answer to BARE by the seconds of each as doubles.
ANSWER = struct.Struct("=IIId")
DONE, FAILED = 0, 1
MESSAGE_BYTES = 1 << 16

_RUNTIMES = {"ai-edge-litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}
_ALIGNMENT_BYTES = 64
_TEXT_LIMIT = 2000
#: What runtimes and libraries raise for a device, a model or a set-up they cannot work with.
_FAILURES = (OSError, ValueError, RuntimeError, ImportError, AttributeError, TypeError)


class Refused(RuntimeError):
    """Why this process cannot work: a word for the parent to act on, and what there is to say."""


class Engine:
    """An interpreter that has run twice, and the slots it is fed through."""

    def __init__(self, interpreter: Any) -> None:
        self._invoke = interpreter.invoke
        self._details = interpreter.get_input_details()[:1]
        self._input = interpreter.tensor(self._details[0]["index"])
        self._input()[...] = 0
        self._first_seconds = [self.timed(), self.timed()]
        self._details += interpreter.get_output_details()  # only now: some outputs have no shape before
        self._outputs = [interpreter.tensor(details["index"]) for details in self._details[1:]]
        self._slots: list[list[Any]] = []

    def share(self, memory: int) -> dict[str, Any]:
        """Lay the slots out in the memory; returns what the parent needs to know, offsets in bytes."""
        import numpy as np

        tensors = [self._input(), *(output() for output in self._outputs)]
        sizes = [-(-tensor.nbytes // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES for tensor in tensors]
        starts = [sum(sizes[:place]) for place in range(len(sizes))]
        offsets = [[sum(sizes) * slot + start for start in starts] for slot in range(SLOTS)]
        os.ftruncate(memory, sum(sizes) * SLOTS)
        shared = mmap.mmap(memory, 0)
        for slot in offsets:
            self._slots.append([np.ndarray(t.shape, t.dtype, shared, slot[place]) for place, t in enumerate(tensors)])
        known = self._details
        told = [[known[i]["name"], t.shape, t.dtype.name, *known[i]["quantization"]] for i, t in enumerate(tensors)]
        return {"tensors": told, "slots": offsets, "invoke_seconds": self._first_seconds}

    def load(self, slot: int) -> None:
        """Take the picture in a slot."""
        self._input()[...] = self._slots[slot][0]

    def run(self, slot: int) -> float:
        """Run what was loaded and leave the outputs in a slot; returns the seconds of the inference alone."""
        seconds = self.timed()
        for place, output in enumerate(self._outputs, 1):
            self._slots[slot][place][...] = output()
        return seconds

    def timed(self) -> float:
        """The seconds of an inference on what was loaded last."""
        before = perf_counter()
        self._invoke()
        return perf_counter() - before


def main() -> None:
    """Open what the order names, then serve until the parent goes."""
    channel, lifeline = [int(argument) for argument in sys.argv[1:3]]
    die_with_parent(lifeline)
    sys.path[:] = [folder for folder in sys.path if folder != str(Path(__file__).parent)]
    parent = socket.socket(fileno=channel)
    order = json.loads(parent.recv(MESSAGE_BYTES))
    for descriptor in (channel, lifeline, order["model_fd"], order["memory_fd"]):
        os.set_inheritable(descriptor, False)  # a process started by a library must not keep the channel open
    live_quietly(b"edgecam-cpu" if order["device"] == "cpu" else b"edgecam-tpu")
    try:
        engine = open_engine(parent, order)
    except _FAILURES as error:
        kind, text = error.args if isinstance(error, Refused) else ("failed", str(error)[:_TEXT_LIMIT])
        tell(parent, error={"kind": kind, "text": text})
    else:
        serve(parent, engine)
    os._exit(0)  # past the destructors of libraries, which may wait for a device for ever


def tell(parent: socket.socket, **message: Any) -> None:
    """Tell the parent what begins, and what is known by now."""
    parent.send(json.dumps(message).encode())


def die_with_parent(lifeline: int) -> None:
    """Have the kernel kill this process when the parent is gone, even while a library holds the GIL.

    PR_SET_PDEATHSIG would not do: it follows the thread that started this process, which may end before the parent.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    with suppress(OSError):  # without it SIGIO comes, which ends a process too
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:
        sys.exit("the parent is gone")


def live_quietly(name: bytes) -> None:
    """Take a name for `ps`, leave stopping to the parent, and dump no core: libedgetpu aborts at every unplugging."""
    ctypes.CDLL(None).prctl(15, name, 0, 0, 0)  # PR_SET_NAME
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with suppress(ValueError):  # at a limit of 0 the kernel would still feed a program that collects dumps (core(5))
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))


def open_engine(parent: socket.socket, order: dict[str, Any]) -> Engine:
    """Build the interpreter, run it, share its tensors, tell the parent. Raises Refused or one of `_FAILURES`."""
    content = mmap.mmap(order["model_fd"], 0)[:]
    if order["runtime"] == "auto":
        order["runtime"] = os.environ.get("EDGECAM_RUNTIME", "auto")
    tell(parent, stage="import")
    if order["device"] == "cpu":
        runtime, module = find_runtime(order["runtime"])
        facts = {"runtime": runtime, "library_version": "", "via": "cpu", "device": "cpu", "note": ""}
        tell(parent, stage="interpreter", runtime=runtime)
        interpreter = module.Interpreter(model_content=content, num_threads=order["threads"])
    else:
        interpreter, facts = on_edge_tpu(parent, order, content)
    tell(parent, stage="allocate")
    interpreter.allocate_tensors()
    tell(parent, stage="invoke")
    engine = Engine(interpreter)
    tell(parent, ready=dict(facts, **engine.share(order["memory_fd"])))
    return engine


def on_edge_tpu(parent: socket.socket, order: dict[str, Any], content: bytes) -> tuple[Any, dict[str, str]]:
    """An interpreter on the Edge TPU named, and what is to say of it."""
    pycoral, its_runtime, note = find_pycoral(order)
    runtime, module = find_runtime(its_runtime or order["runtime"])
    tell(parent, stage="lock", runtime=runtime)
    if order["lock"]:
        take_lock(order["lock"])
    tell(parent, stage="list")
    version, device = find_edge_tpu(order, pycoral)
    via = "pycoral" if pycoral else "libedgetpu"
    facts = {"runtime": runtime, "library_version": version, "via": via, "device": device, "note": note}
    tell(parent, stage="delegate", **facts)
    if pycoral:
        return pycoral.make_interpreter(content, device=device), facts
    tpu = module.load_delegate(order["library"], dict(order["options"], device=device))
    tell(parent, stage="interpreter")
    return module.Interpreter(model_content=content, num_threads=order["threads"], experimental_delegates=[tpu]), facts


def find_runtime(choice: str) -> tuple[str, Any]:
    """The runtime named, else the first one there is: name and version, and its module. Raises Refused."""
    reasons = []
    for name in [choice] if choice in _RUNTIMES else list(_RUNTIMES):
        try:
            module = import_module(_RUNTIMES[name] + ".interpreter")
            return f"{name} {sys.modules[_RUNTIMES[name]].__version__}", module
        except ImportError as error:
            reasons.append(str(error))
    raise Refused("runtime", "; ".join(reasons))


def find_pycoral(order: dict[str, Any]) -> tuple[Any, str, str]:
    """Coral's `pycoral.utils.edgetpu`, its runtime's name, and a note; None and "" where it is missing or of no use."""
    try:
        module = import_module("pycoral.utils.edgetpu")
    except _FAILURES as error:
        note = f"pycoral is ignored: PyPI's, which is another package, or broken ({error})"
        return None, "", note if util.find_spec("pycoral") else ""
    own = next((name for name in _RUNTIMES if _RUNTIMES[name] in sys.modules), order["runtime"])
    if order["runtime"] not in ("auto", own) or order["options"]:
        return None, "", f"pycoral is not used: its runtime is {own}, and it takes no options such as Performance"
    return module, own, ""


def take_lock(path: str) -> None:
    """Hold the lock file for the life of this process, its pid inside. Raises Refused where another one holds it."""
    for flags in (os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDONLY):  # to create over another user's may be forbidden
        with suppress(OSError):
            lock = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            break
    else:
        raise Refused("lock", path)
    for _ in range(25):  # who looks at a lock holds it for a moment, and a killed process takes time to die
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        sleep(0.01)
    else:
        raise Refused("busy", os.read(lock, 20).decode())
    with suppress(OSError):  # it may be open for reading only
        os.ftruncate(lock, 0)
        os.write(lock, b"%d" % os.getpid())


class _Listed(ctypes.Structure):  # struct edgetpu_device of libedgetpu's edgetpu_c.h
    _fields_ = (("type", ctypes.c_int), ("path", ctypes.c_char_p))


def find_edge_tpu(order: dict[str, Any], pycoral: Any) -> tuple[str, str]:
    """libedgetpu's version, and its name of the device ("usb:2-1" may be "usb:0"). Raises Refused where it has none."""
    if pycoral:
        version = pycoral.get_runtime_version()
        listed = [(each["type"], Path(each["path"]).name) for each in pycoral.list_edge_tpus()]
    else:
        library, count = ctypes.CDLL(order["library"]), ctypes.c_size_t()
        library.edgetpu_version.restype = ctypes.c_char_p
        version = library.edgetpu_version().decode()
        library.edgetpu_list_devices.restype = ctypes.POINTER(_Listed)
        devices = library.edgetpu_list_devices(ctypes.byref(count))
        listed = [(("pci", "usb")[each.type], Path(each.path.decode()).name) for each in devices[: count.value]]
        library.edgetpu_free_devices(devices)
    kind, _, name = order["device"].partition(":")
    names = [listed_name for listed_kind, listed_name in listed if listed_kind == kind]
    if name not in names:
        raise Refused("absent", ", ".join(":".join(each) for each in listed))
    return version, f"{kind}:{names.index(name)}"


def serve(parent: socket.socket, engine: Engine) -> None:
    """Answer requests until the parent goes or an inference fails: after that nothing of the interpreter is sure.

    To send an answer wakes the parent, which may take this very CPU for a while. So where the next picture is there
    already, a thread sends the answer while that picture is in the device: else one of 9.1 ms idles 3 % of its time.
    """
    answers: deque[bytes] = deque()
    bell: SimpleQueue[None] = SimpleQueue()
    sending = threading.Lock()

    def send() -> None:
        with sending:
            while answers:
                parent.send(answers.popleft())

    def send_at_the_bell() -> None:
        while True:
            bell.get()
            send()

    threading.Thread(target=send_at_the_bell, daemon=True).start()
    while True:
        if not select.select([parent], [], [], 0)[0]:
            send()
        request = parent.recv(REQUEST.size)
        if not request:
            return
        op, sequence, slot = REQUEST.unpack(request)
        try:
            if op == INVOKE:
                engine.load(slot)
            if answers:
                bell.put(None)
            times = [engine.timed() for _ in range(slot)] if op == BARE else [engine.run(slot)]
        except _FAILURES as error:
            answers.append(ANSWER.pack(FAILED, sequence, slot, 0.0) + str(error)[:_TEXT_LIMIT].encode())
            send()
            return
        answers.append(ANSWER.pack(DONE, sequence, slot, sum(times)) + struct.pack(f"={len(times)}d", *times))


if __name__ == "__main__":
    main()
