"""A machine whose only models are those that a test puts there."""

from __future__ import annotations

from pathlib import Path

import pytest


def only_bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of bundled models, empty at first; there are no other models on the machine."""
    folder = tmp_path / "bundled"
    folder.mkdir()
    monkeypatch.delenv("EDGECAM_MODELS", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("edgecam.models.folders.SERVICE", tmp_path / "service")
    monkeypatch.setattr("edgecam.bundled.models_folder", lambda: folder)
    return folder
