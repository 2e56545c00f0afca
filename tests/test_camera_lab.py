"""The camera lab (tools/labs/camera), the short way: the Pi camera on the real picamera2 and libcamera.

Runs where the lab is built already, and builds it with EDGECAM_LABS=1.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

LAB = Path(__file__).resolve().parent.parent / "tools" / "labs" / "camera"
SKIPPED = 77

pytestmark = [pytest.mark.any_runtime, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Any]:
    """Each round's outcome by its name."""
    cached = [] if os.environ.get("EDGECAM_LABS") == "1" else ["--cached"]
    done = subprocess.run([LAB, "--short", "--json", *cached], capture_output=True, text=True, check=False)
    if done.returncode == SKIPPED:
        pytest.skip(done.stderr.strip().rpartition("\n")[2])
    assert done.stdout, done.stderr
    return {outcome["round"]: outcome for outcome in json.loads(done.stdout)}


@pytest.mark.parametrize("name", ["pipeline", "contract", "cycles", "stalled", "two-cameras", "bad-input"])
def test_a_round_in_the_camera_lab(outcomes: dict[str, Any], name: str) -> None:
    assert outcomes[name]["complaints"] == []
    assert outcomes[name]["figures"]["requests"].endswith(", 0 not given back")


def test_no_round_is_left_out(outcomes: dict[str, Any]) -> None:
    assert len(outcomes) == 6
