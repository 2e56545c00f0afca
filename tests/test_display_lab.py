"""edgecam on a bare monitor and on a V4L2 camera, in a machine of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parent.parent / "tools" / "labs" / "display"
CANNOT_RUN = 77


@pytest.mark.skipif(os.environ.get("EDGECAM_LABS") != "1", reason="takes 10 to 40 minutes, as root: EDGECAM_LABS=1")
@pytest.mark.timeout(2 * 3600)
def test_everything_is_as_it_should_be_in_the_display_lab() -> None:
    lab = subprocess.run([LAB], check=False, capture_output=True, text=True)
    if lab.returncode == CANNOT_RUN:
        pytest.skip(lab.stderr.strip().splitlines()[-1])
    assert lab.returncode == 0, f"{lab.stdout}\n{lab.stderr[-3000:]}"
