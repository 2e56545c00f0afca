"""The one way in to TensorFlow: loaded on use, quiet, and with one line where it is missing."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from edgecam.errors import InputError

_HOW = "run tools/convert, which sets it up, or pip install '.[convert]' on Python 3.11 or 3.12"


def tensorflow() -> Any:
    """The module tensorflow. Raises InputError where it is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    with chatter_held():
        return wanted("tensorflow")


def wanted(module: str) -> Any:
    """A module of the extra `convert`. Raises InputError where it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(f"{module} is needed and cannot be loaded ({error}): {_HOW}") from error


@contextlib.contextmanager
def chatter_held() -> Iterator[None]:
    """Keep what TensorFlow writes past Python's streams off stderr: its errors come as exceptions."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)


def first_line(error: BaseException) -> str:
    """What an error of TensorFlow says, in one line of readable length."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
