"""The runtimes that run .tflite files: which one is there, and a quiet start."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.metadata import version
from typing import Any, NamedTuple

from edgecam.errors import InputError

#: Distribution -> module with the class Interpreter; in order of preference (the first one is the faster one).
RUNTIMES = {"ai-edge-litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}

_GREETINGS = (b"INFO: Created TensorFlow Lite", b"INFO: Initialized TensorFlow Lite")


class Runtime(NamedTuple):
    """A runtime: its name, its version and its class Interpreter."""

    name: str
    version: str
    interpreter: Callable[..., Any]


def find_runtime(choice: str = "auto") -> Runtime:
    """The runtime named; for "auto" the one in $EDGECAM_RUNTIME, else the first one installed. Raises InputError."""
    named = os.environ.get("EDGECAM_RUNTIME", "auto") if choice == "auto" else choice
    if named != "auto" and named not in RUNTIMES:
        raise InputError(f"runtime {named!r}: give auto, {' or '.join(RUNTIMES)}")
    wanted = list(RUNTIMES) if named == "auto" else [named]
    reasons = []
    for name in wanted:
        try:
            return Runtime(name, version(name), import_module(RUNTIMES[name]).Interpreter)
        except ImportError as error:
            reasons.append(str(error).partition("\n")[0])
    raise InputError(f"no {' or '.join(wanted)} here ({'; '.join(reasons)}): pip install {wanted[0]}")


@contextmanager
def without_greeting() -> Iterator[None]:
    """Keep the runtime's own greeting off stderr, which it writes past Python's streams.

    For the building of an interpreter only. What else reaches stderr meanwhile, from any thread, is held and passed on.
    """
    try:
        stderr = os.dup(2)
    except OSError:
        yield
        return
    held = os.memfd_create("stderr")
    _flush_stderr()
    os.dup2(held, 2)
    try:
        yield
    finally:
        _flush_stderr()
        os.dup2(stderr, 2)
        os.close(stderr)
        with os.fdopen(held, "rb") as written, suppress(OSError):
            written.seek(0)
            os.write(2, b"".join(line for line in written if not line.startswith(_GREETINGS)))


def _flush_stderr() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
