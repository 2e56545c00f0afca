"""Builds the stand-in with the system's C compiler; a library once built is found again by the hash of its sources."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = sorted((HERE / "native").glob("*.[ch]"))
FLAGS = [
    *("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden"),
    *("-Wl,-soname,libedgetpu.so.1", f'-DSTANDIN_RUNNER="{HERE / "model_runner.py"}"'),
]


def compiler() -> str | None:
    """The C compiler: $CC, else cc; None where there is none."""
    return shutil.which(os.environ.get("CC", "cc"))


def build_library(cc: str) -> Path:
    """Path of libedgetpu.so.1, the stand-in. Raises RuntimeError, with the compiler's words, where it fails."""
    content = b"\0".join(source.read_bytes() for source in SOURCES)
    name = hashlib.sha256(content + repr(FLAGS).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"edgecam-edgetpu-standin-{os.getuid()}-{name}"
    library = folder / "libedgetpu.so.1"
    if library.is_file():
        return library
    folder.mkdir(mode=0o700, exist_ok=True)
    unfinished = folder / f"unfinished-{os.getpid()}"
    files = [str(source) for source in SOURCES if source.suffix == ".c"]
    done = subprocess.run(
        [cc, *FLAGS, "-o", str(unfinished), *files, "-ldl", "-pthread"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the Edge TPU stand-in does not build:\n{done.stderr}")
    unfinished.replace(library)
    return library
