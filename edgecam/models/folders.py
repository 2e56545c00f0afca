"""Where models lie on this machine: which folders are searched, and which one takes a new model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edgecam import bundled

#: The service's own.
SERVICE = Path("/var/lib/edgecam/models")


def searched(folders: Sequence[Path] = ()) -> list[Path]:
    """$EDGECAM_MODELS, `folders`, the user's ~/.local/share/edgecam/models, the service's, the bundled one."""
    found = [*_named(), *folders, *_own(), SERVICE, bundled.models_folder()]
    return list(dict.fromkeys(found))


def for_new_models() -> Path:
    """$EDGECAM_MODELS, else the service's folder where this user may write to it or make it, else the user's own."""
    data = SERVICE if SERVICE.exists() else SERVICE.parent
    writable = [SERVICE] if os.access(data, os.W_OK | os.X_OK) else []
    return [*_named(), *writable, *_own(), SERVICE][0]


def find(file: str, folders: Sequence[Path] = ()) -> Path | None:
    """The first file of that name in the folders searched; one that is closed to this user is passed over."""
    reachable = (folder for folder in searched(folders) if os.access(folder, os.X_OK))
    return next((folder / file for folder in reachable if (folder / file).is_file()), None)


def _named() -> list[Path]:
    named = os.environ.get("EDGECAM_MODELS")
    return [Path(named).expanduser()] if named else []


def _own() -> list[Path]:
    """Nothing where the user has no home, as some services' have not."""
    try:
        return [Path.home() / ".local/share/edgecam/models"]
    except RuntimeError:
        return []
