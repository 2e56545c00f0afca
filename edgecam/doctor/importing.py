"""Which Python packages load, tried in a process of its own: one that does not fit may end it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

from edgecam.doctor.surroundings import Run

PACKAGES = {
    "numpy": "numpy",
    "opencv-python-headless": "cv2",
    "av": "av",
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
    "simplejpeg": "simplejpeg",
}
"""What counts with NumPy's own binary interface, by distribution: the module to load. simplejpeg is picamera2's."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One package: its version ("" where it is not told), and why it does not load ("" where it does)."""

    version: str
    error: str = ""


def try_to_load(run: Run, packages: Mapping[str, str]) -> dict[str, Loaded]:
    """Those of the packages (distribution -> module) that are installed, loaded one after the other."""
    folder = Path(__file__).resolve().parent.parent.parent
    paths = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    script = f"from {__name__} import main; main()"
    told = run(["env", f"PYTHONPATH={paths}", sys.executable, "-c", script, json.dumps(dict(packages))])
    if told is None:
        return {"python": Loaded("", f"{sys.executable} could not be started")}
    found: dict[str, Loaded] = {}
    for line in told.out.splitlines():
        name, version, error = json.loads(line)
        found[name] = Loaded(version, error)
    if told.code and found:
        last = list(found)[-1]
        how = f"signal {-told.code}" if told.code < 0 else f"exit {told.code}"
        found[last] = Loaded(found[last].version, f"ends the whole process ({how})")
    return found


def main() -> None:
    """Load what the first argument names; a line of JSON before each, and one with its error after it."""
    answer = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for name, module in json.loads(sys.argv[1]).items():
        if find_spec(module.partition(".")[0]) is None:
            continue
        version = _version(name)
        answer.write(json.dumps([name, version, ""]) + "\n")
        try:
            import_module(module)
        except (ImportError, AttributeError, ValueError, RuntimeError, TypeError, SystemError) as error:
            answer.write(json.dumps([name, version, " ".join(str(error).split()) or type(error).__name__]) + "\n")


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
