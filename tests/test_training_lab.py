"""tools/train sets itself up, and the tests that train pass there; minutes, and a download."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LABS = os.environ.get("EDGECAM_LABS") == "1"

pytestmark = [
    pytest.mark.any_runtime,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not LABS, reason="sets up TensorFlow, minutes: EDGECAM_LABS=1, PYTHON=python3.11 or python3.12"),
]


def test_trainings_in_the_environment_that_tools_train_makes() -> None:
    subprocess.run([ROOT / "tools" / "train", "--help"], check=True)
    python = ROOT / ".venv-train" / "bin" / "python"
    wanted = ["pytest>=8", "pytest-timeout>=2.3", "hypothesis>=6.100"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    tests = [ROOT / "tests" / f"test_training{name}.py" for name in ("", "_tensorflow")]
    subprocess.run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], check=True, cwd=ROOT)
