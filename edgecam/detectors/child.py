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
from contextlib import suppress
from importlib import import_module, util
from pathlib import Path
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


class Parent:
    """The channel to the parent; `stage` is what was announced last."""

    def __init__(self, descriptor: int) -> None:
        self.channel = socket.socket(fileno=descriptor)
        self.stage = "start"

    def begin(self, stage: str, **facts: str) -> None:
        """Announce a stage, and what is known by now."""
        self.stage = stage
        self.tell({"stage": stage, **facts})

    def tell(self, message: dict[str, Any]) -> None:
        self.channel.send(json.dumps(message).encode())


class Engine:
    """An interpreter that has run twice, and the slots it is fed through."""

    def __init__(self, interpreter: Any) -> None:
        self._invoke = interpreter.invoke
        self._details = interpreter.get_input_details()[:1]
        self._input = interpreter.tensor(self._details[0]["index"])
        self._input()[...] = 0
        self._first_seconds = [self._timed(), self._timed()]
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
        first, *others = [described(self._details[place], tensor) for place, tensor in enumerate(tensors)]
        return {"input": first, "outputs": others, "slots": offsets, "invoke_seconds": self._first_seconds}

    def invoke(self, number: int) -> float:
        """Run the picture in a slot and leave the outputs there; returns the seconds of the inference alone."""
        slot = self._slots[number]
        self._input()[...] = slot[0]
        seconds = self._timed()
        for place, output in enumerate(self._outputs, 1):
            slot[place][...] = output()
        return seconds

    def bare(self, count: int) -> list[float]:
        """The seconds of each of so many inferences in a tight loop."""
        return [self._timed() for _ in range(count)]

    def _timed(self) -> float:
        before = perf_counter()
        self._invoke()
        return perf_counter() - before


def main() -> None:
    """Open what the order names, then serve until the parent goes."""
    channel, lifeline = [int(argument) for argument in sys.argv[1:3]]
    die_with_parent(lifeline)
    sys.path[:] = [folder for folder in sys.path if folder != str(Path(__file__).parent)]
    parent = Parent(channel)
    order = json.loads(parent.channel.recv(MESSAGE_BYTES))
    for descriptor in (channel, lifeline, order["model_fd"], order["memory_fd"]):
        os.set_inheritable(descriptor, False)  # a process started by a library must not keep the channel open
    live_quietly(b"edgecam-cpu" if order["device"] == "cpu" else b"edgecam-tpu")
    try:
        engine = open_engine(parent, order)
    except _FAILURES as error:
        kind, text = error.args if isinstance(error, Refused) else ("failed", str(error)[:_TEXT_LIMIT])
        parent.tell({"error": {"kind": kind, "text": text, "stage": parent.stage}})
    else:
        serve(parent.channel, engine)
    os._exit(0)  # past the destructors of libraries, which may wait for a device for ever


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


def open_engine(parent: Parent, order: dict[str, Any]) -> Engine:
    """Build the interpreter, run it, share its tensors, tell the parent. Raises Refused or one of `_FAILURES`."""
    content = mmap.mmap(order["model_fd"], 0)[:]
    if order["runtime"] == "auto":
        order["runtime"] = os.environ.get("EDGECAM_RUNTIME", "auto")
    parent.begin("import")
    interpreter, facts = (on_cpu if order["device"] == "cpu" else on_edge_tpu)(parent, order, content)
    parent.begin("allocate")
    interpreter.allocate_tensors()
    parent.begin("invoke")
    engine = Engine(interpreter)
    parent.tell({"ready": dict(facts, **engine.share(order["memory_fd"]))})
    return engine


def on_cpu(parent: Parent, order: dict[str, Any], content: bytes) -> tuple[Any, dict[str, str]]:
    """An interpreter on the CPU, and what is to say of it."""
    runtime, module = find_runtime(order["runtime"])
    parent.begin("interpreter", runtime=runtime)
    interpreter = module.Interpreter(model_content=content, num_threads=order["threads"])
    return interpreter, {"runtime": runtime, "library_version": "", "via": "cpu", "device": "cpu", "note": ""}


def on_edge_tpu(parent: Parent, order: dict[str, Any], content: bytes) -> tuple[Any, dict[str, str]]:
    """An interpreter on the Edge TPU named, and what is to say of it."""
    pycoral, its_runtime, note = find_pycoral(order)
    runtime, module = find_runtime(its_runtime or order["runtime"])
    parent.begin("lock", runtime=runtime)
    if order["lock"]:
        take_lock(order["lock"])
    parent.begin("list")
    version, listed = list_edge_tpus(order["library"], pycoral)
    device = numbered(order["device"], listed)
    via = "pycoral" if pycoral else "libedgetpu"
    facts = {"runtime": runtime, "library_version": version, "via": via, "device": device, "note": note}
    parent.begin("delegate", **facts)
    if pycoral:
        return pycoral.make_interpreter(content, device=device), facts
    delegates = [module.load_delegate(order["library"], dict(order["options"], device=device))]
    parent.begin("interpreter")
    threads = order["threads"]
    return module.Interpreter(model_content=content, num_threads=threads, experimental_delegates=delegates), facts


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
    if util.find_spec("pycoral") is None:
        return None, "", ""
    try:
        module = import_module("pycoral.utils.edgetpu")
    except _FAILURES as error:
        return None, "", f"pycoral is ignored: PyPI's, which is another package, or broken ({error})"
    own = next((name for name in _RUNTIMES if _RUNTIMES[name] in sys.modules), "none known")
    if order["runtime"] not in ("auto", own) or order["options"]:
        return None, "", f"pycoral is not used: its runtime is {own}, and it takes no options such as Performance"
    return module, own, ""


def take_lock(path: str) -> None:
    """Hold the lock file for the life of this process, its pid inside. Raises Refused where another one holds it."""
    lock = -1
    for flags in (os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDONLY):  # to create over another user's may be forbidden
        with suppress(OSError):
            lock = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644) if lock < 0 else lock
    if lock < 0:
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


class _Listed(ctypes.Structure):  # struct edgetpu_device of edgetpu_c.h
    _fields_ = (("type", ctypes.c_int), ("path", ctypes.c_char_p))


def list_edge_tpus(name: str, pycoral: Any) -> tuple[str, list[tuple[str, str]]]:
    """libedgetpu's version, and the Edge TPUs it sees as kind and path. Raises Refused where there is no libedgetpu."""
    if pycoral:
        return pycoral.get_runtime_version(), [(each["type"], each["path"]) for each in pycoral.list_edge_tpus()]
    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        raise Refused("library", str(error)) from error
    library.edgetpu_version.restype = ctypes.c_char_p
    library.edgetpu_list_devices.restype = ctypes.POINTER(_Listed)
    count = ctypes.c_size_t()
    devices = library.edgetpu_list_devices(ctypes.byref(count))
    listed = [(("pci", "usb")[device.type], device.path.decode()) for device in devices[: count.value]]
    library.edgetpu_free_devices(devices)
    return library.edgetpu_version().decode(), listed


def numbered(device: str, listed: list[tuple[str, str]]) -> str:
    """libedgetpu's name of a device: its place among those of its kind ("usb:2-1": "usb:0"). Raises Refused."""
    kind, _, name = device.partition(":")
    names = [Path(path).name for listed_kind, path in listed if listed_kind == kind]
    if name not in names:
        raise Refused("absent", ", ".join(f"{listed_kind}:{Path(path).name}" for listed_kind, path in listed))
    return f"{kind}:{names.index(name)}"


def serve(channel: socket.socket, engine: Engine) -> None:
    """Answer requests until the parent goes or an inference fails: after that nothing of the interpreter is sure."""
    while True:
        request = channel.recv(REQUEST.size)
        if not request:
            return
        op, sequence, slot = REQUEST.unpack(request)
        try:
            times = engine.bare(slot) if op == BARE else []
            seconds = sum(times) if op == BARE else engine.invoke(slot)
        except _FAILURES as error:
            channel.send(ANSWER.pack(FAILED, sequence, slot, 0.0) + str(error)[:_TEXT_LIMIT].encode())
            return
        channel.send(ANSWER.pack(DONE, sequence, slot, seconds) + struct.pack(f"={len(times)}d", *times))


def described(details: dict[str, Any], tensor: Any) -> dict[str, Any]:
    """What the parent needs to know of a tensor."""
    scale, zero_point = details["quantization"]
    shape, dtype = [int(length) for length in tensor.shape], tensor.dtype.name
    return {"name": details["name"], "shape": shape, "dtype": dtype, "scale": float(scale), "zero_point": zero_point}


if __name__ == "__main__":
    main()
