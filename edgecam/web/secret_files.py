"""Files that others may not read, written at once or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def replace_secret(path: Path, text: str, mode: int, owner: Path) -> None:
    """Write the file. One that is there keeps its mode and whose it is; a new one gets `mode`, and where root writes it
    for others, it is whose the file or folder `owner` is. Raises OSError."""
    there = path.exists()
    model = (path if there else owner).stat()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), model.st_uid, model.st_gid)
            os.fchmod(file.fileno(), model.st_mode & 0o770 if there else mode)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
