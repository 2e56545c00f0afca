"""The software Edge TPU in which the appliance lives, and the model compiled for it."""

from __future__ import annotations

import shutil
import zipfile
from contextlib import suppress
from pathlib import Path

from edgetpu.build import build_library, compiler
from edgetpu.compile_model import compile_for_standin
from edgetpu.standin import StandIn

from edgecam.errors import EdgecamError

LATENCY_MS = 9.1
"""Of one inference: MobileDet's on a USB stick."""


def compiled(model: Path, folder: Path) -> Path:
    """The model in `folder`, with its version for the Edge TPU beside it. Raises OSError."""
    copy, target = folder / model.name, folder / f"{model.stem}_edgetpu.tflite"
    shutil.copy(model, copy)
    copy.chmod(0o644)
    compile_for_standin(copy, target)
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(copy) as files, zipfile.ZipFile(target, "a") as put:
        for name in files.namelist():
            put.writestr(name, files.read(name))  # its labels, which a metadata-carrying model has at its end
    return copy


def made(folder: Path) -> StandIn:
    """A world with one stick. It runs the model on the CPU once for each picture, and remembers the answer.

    Raises EdgecamError where there is no compiler for it.
    """
    cc = compiler()
    if cc is None:
        raise EdgecamError("no C compiler for the software Edge TPU: apt-get install gcc libc6-dev")
    world = StandIn(folder, build_library(cc))
    world.set(exec="cache", latency_ms=LATENCY_MS)
    world.plug()
    return world
