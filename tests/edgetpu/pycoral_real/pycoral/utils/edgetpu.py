"""The functions of Coral's pycoral.utils.edgetpu, with its names, arguments and results."""

from __future__ import annotations

import ctypes
import os
from importlib import import_module
from typing import Any

_EDGETPU_SHARED_LIB = "libedgetpu.so.1"
_MODULES = {"tflite-runtime": "tflite_runtime.interpreter", "ai-edge-litert": "ai_edge_litert.interpreter"}


class _Device(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("path", ctypes.c_char_p))


def _runtime() -> Any:
    """The module that has Interpreter: pycoral knows tflite_runtime only, but that does not exist for every Python."""
    named = os.environ.get("EDGECAM_RUNTIME", "")
    for module in [_MODULES[named]] if named in _MODULES else list(_MODULES.values()):
        try:
            return import_module(module)
        except ImportError as error:
            reason = error
    raise reason


def get_runtime_version() -> str:
    """The version of libedgetpu."""
    library = ctypes.CDLL(_EDGETPU_SHARED_LIB)
    library.edgetpu_version.restype = ctypes.c_char_p
    return str(library.edgetpu_version().decode())


def list_edge_tpus() -> list[dict[str, str]]:
    """All Edge TPUs there are: `type` is "usb" or "pci"."""
    library = ctypes.CDLL(_EDGETPU_SHARED_LIB)
    library.edgetpu_list_devices.restype = ctypes.POINTER(_Device)
    library.edgetpu_free_devices.argtypes = [ctypes.POINTER(_Device)]
    count = ctypes.c_size_t()
    devices = library.edgetpu_list_devices(ctypes.byref(count))
    try:
        found = [devices[number] for number in range(count.value)]
        return [{"type": "usb" if device.type == 1 else "pci", "path": device.path.decode()} for device in found]
    finally:
        library.edgetpu_free_devices(devices)


def load_edgetpu_delegate(options: dict[str, str] | None = None) -> Any:
    """The delegate; `options` are those of libedgetpu's plugin."""
    return _runtime().load_delegate(_EDGETPU_SHARED_LIB, options or {})


def make_interpreter(model_path_or_content: str | bytes, device: str | None = None, delegate: Any = None) -> Any:
    """An interpreter on an Edge TPU: "usb", "pci", ":N", "usb:N", "pci:N", None for any."""
    delegates = [delegate or load_edgetpu_delegate({"device": device} if device else {})]
    if isinstance(model_path_or_content, bytes):
        return _runtime().Interpreter(model_content=model_path_or_content, experimental_delegates=delegates)
    return _runtime().Interpreter(model_path=model_path_or_content, experimental_delegates=delegates)
