"""Fixtures shared by the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is not a bug: nothing here is judged by the wall clock.
settings.register_profile("edgecam", deadline=None)
settings.load_profile("edgecam")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of real models, pictures and videos; without it the test is skipped."""
    folder = Path(os.environ.get("EDGECAM_TEST_ASSETS", ROOT.parent / "shared"))
    if not (folder / "models").is_dir():
        pytest.skip(f"no test assets at {folder}: set EDGECAM_TEST_ASSETS to the folder with models/, images/, videos/")
    return folder
