"""Whether the libraries of the web are installed."""

from __future__ import annotations

from importlib.util import find_spec

from edgecam.errors import ConfigError

LIBRARIES = ("argon2", "fastapi", "tomlkit", "uvicorn", "websockets")


def require_packages(purpose: str) -> None:
    """Raises ConfigError, which says what is not installed, where `purpose` cannot be served."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise ConfigError(f"{purpose}: not installed: {', '.join(missing)}: pip install 'edgecam[web]'")
