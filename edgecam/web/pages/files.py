"""Files as they are sent: their bytes, packed if that pays, and a tag that changes with them."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}
PAYS_BYTES = 200
"""Less is not worth packing."""


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file as it is sent. `packed` is the same as gzip; empty where that is no shorter."""

    content: bytes
    packed: bytes
    etag: str
    media_type: str

    @classmethod
    def of(cls, name: str, content: bytes) -> SentFile:
        """A file of this name, whose ending says what it is."""
        packed = gzip.compress(content, 9, mtime=0) if len(content) > PAYS_BYTES else b""
        shorter = packed if len(packed) < len(content) else b""
        tag = sha256(content).hexdigest()[:16]
        return cls(content, shorter, f'"{tag}"', MEDIA_TYPES[name.rpartition(".")[2]])


def load_static() -> tuple[str, dict[str, SentFile]]:
    """The files under `/static/` by name, and a version that changes with any of them."""
    folder = files("edgecam.web.pages") / "static"
    found = {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}
    version = sha256(b"".join(name.encode() + found[name] for name in sorted(found))).hexdigest()[:12]
    return version, {name: SentFile.of(name, content) for name, content in found.items()}
