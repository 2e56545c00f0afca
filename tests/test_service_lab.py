"""The service lab (tools/labs/service), the short way: edgecam installed and run by a real systemd in a container."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

LAB = Path(__file__).resolve().parent.parent / "tools" / "labs" / "service"
SKIPPED = 77

pytestmark = [
    pytest.mark.any_runtime,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.environ.get("EDGECAM_LABS") != "1", reason="takes minutes, as root: EDGECAM_LABS=1"),
]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Any]:
    """Each round's outcome by its name."""
    done = subprocess.run([LAB, "--short", "--json"], capture_output=True, text=True, check=False)
    if done.returncode == SKIPPED:
        pytest.skip(done.stderr.strip().rpartition("\n")[2])
    assert done.stdout, done.stderr
    return {outcome["round"]: outcome for outcome in json.loads(done.stdout)}


@pytest.mark.parametrize("name", ["install", "doctor", "uninstall"])
def test_a_round_in_the_service_lab(outcomes: dict[str, Any], name: str) -> None:
    assert outcomes[name]["complaints"] == []
