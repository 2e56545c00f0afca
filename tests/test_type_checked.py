"""What the type checker is told to look at (`mypy` without arguments)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_runtime

ROOT = Path(__file__).resolve().parent.parent


def test_every_python_program_is_type_checked() -> None:
    """It finds files that end in .py by itself; a program without an ending has to be named."""
    files = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]["files"]
    assert {"edgecam", "tests", "tools"} <= set(files)
    named = (path for path in (ROOT / "tools").rglob("*") if path.is_file() and not path.suffix)
    programs = {path for path in named if b"python" in path.read_bytes().partition(b"\n")[0]}
    assert programs == {ROOT / name for name in files if (ROOT / name).is_file()}
