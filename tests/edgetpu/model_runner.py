"""Runs the model inside a stand-in's custom operator on the CPU: the other end of native/model.c.

Standard input is a socket. In: three 64-bit sizes (model, inputs, outputs; bytes) and the .tflite file. Out: 127 bytes,
"ready" or what is wrong. Then, until the socket ends: all inputs in, all outputs out. It runs under whatever Python has
loaded the stand-in, so it keeps to what Python 3.7 knows.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

MODULES = {"ai-edge-litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}


def load_interpreter(choice: str) -> Any:
    """The class Interpreter of the runtime named, or of the first one installed."""
    for name in [choice] if choice in MODULES else list(MODULES):
        try:
            return import_module(MODULES[name]).Interpreter
        except ImportError as error:
            reason = error
    raise reason


def receive(channel: socket.socket, size: int) -> bytearray:
    """Exactly `size` bytes; ends the process where the owner is gone."""
    data = bytearray(size)
    view = memoryview(data)
    while view:
        got = channel.recv_into(view)
        if got == 0:
            sys.exit(0)
        view = view[got:]
    return data


def check(what: str, details: list[dict[str, Any]], wanted: int) -> None:
    """Raise ValueError unless the tensors have as many bytes as the operator's."""
    size = sum(int(detail["shape"].prod()) * detail["dtype"]().itemsize for detail in details)
    if size != wanted:
        raise ValueError(f"{what} of the model have {size} bytes, those of the operator {wanted}")


def prepare(channel: socket.socket, runtime: str) -> Any:
    """The interpreter of the model that comes in, allocated."""
    content_bytes, input_bytes, output_bytes = struct.unpack("=3Q", receive(channel, 24))
    content = bytes(receive(channel, content_bytes))
    interpreter = load_interpreter(runtime)(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    check("the inputs", interpreter.get_input_details(), input_bytes)
    check("the outputs", interpreter.get_output_details(), output_bytes)
    return interpreter


def serve(channel: socket.socket, interpreter: Any) -> None:
    """Answer until the owner is gone."""
    import numpy as np

    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    while True:
        for detail in inputs:
            size = int(detail["shape"].prod()) * detail["dtype"]().itemsize
            values = np.frombuffer(receive(channel, size), detail["dtype"])
            interpreter.set_tensor(detail["index"], values.reshape(detail["shape"]))
        interpreter.invoke()
        channel.sendall(b"".join(interpreter.get_tensor(detail["index"]).tobytes() for detail in outputs))


def main() -> None:
    """Load, say so, serve."""
    os.closerange(3, 65536)  # the owner's channels, which must end with the owner
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = socket.socket(fileno=0)
    try:
        interpreter = prepare(channel, sys.argv[1])
    except Exception as error:  # noqa: BLE001  whatever it is, the owner reports it
        channel.sendall(str(error).partition("\n")[0].encode()[:127].ljust(127, b"\0"))
        return
    channel.sendall(b"ready".ljust(127, b"\0"))
    with suppress(BrokenPipeError, ConnectionResetError):
        serve(channel, interpreter)


if __name__ == "__main__":
    main()
