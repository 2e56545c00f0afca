"""Where the files that ship with edgecam lie: in the installed package, or in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = _PACKAGE / "data"
_CHECKOUT = _PACKAGE.parent


def models_folder() -> Path:
    """The folder of bundled models."""
    installed = _INSTALLED / "models"
    return installed if installed.is_dir() else _CHECKOUT / "models"


def example_config() -> Path:
    """The documented configuration file, `config/edgecam.toml` in a checkout."""
    installed = _INSTALLED / "edgecam.toml"
    return installed if installed.is_file() else _CHECKOUT / "config" / "edgecam.toml"


def systemd_folder() -> Path:
    """The folder of what systemd and udev are given: the unit, the rules, the user."""
    installed = _INSTALLED / "systemd"
    return installed if installed.is_dir() else _CHECKOUT / "systemd"


def demo_clip() -> Path:
    """The bundled clip; its ground truth lies beside it as `demo.json`."""
    return _INSTALLED / "demo.mp4"
