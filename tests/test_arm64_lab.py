"""The arm64 lab (tools/labs/arm64): edgecam installed and tried in a Raspberry Pi's architecture, emulated."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parent.parent / "tools" / "labs" / "arm64"
CANNOT_RUN = 77


@pytest.mark.any_runtime
@pytest.mark.timeout(2 * 3600)
@pytest.mark.skipif(os.environ.get("EDGECAM_LABS") != "1", reason="takes 10 to 30 minutes, as root: EDGECAM_LABS=1")
def test_edgecam_installs_and_runs_in_an_arm64_userland() -> None:
    lab = subprocess.run([LAB], check=False, capture_output=True, text=True)
    if lab.returncode == CANNOT_RUN:
        pytest.skip(lab.stderr.strip().splitlines()[-1])
    assert lab.returncode == 0, f"{lab.stdout}\n{lab.stderr[-3000:]}"
