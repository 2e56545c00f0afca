"""Takes out of what programs said whatever tells who or where the owner of the machine is."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HOME = re.compile(r"/home/[^/\s:'\"]+")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")
_COLONS = re.compile(r"(?<![\w:])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE)
_BY_ID = re.compile(r"(/dev/v4l/by-id/)\S*?(-video-index\d+)")
#: A host's name that is also a word of ours, or as short as one, is left: it tells nothing.
_LEAST_NAME = 4


@dataclass(frozen=True)
class Private:
    """What is private here: folders with what to call them, the longest first, and the host's name."""

    folders: tuple[tuple[str, str], ...]
    host: str = ""

    @classmethod
    def of_this_machine(cls, checkout: Path, scratch: Path) -> Private:
        """The owner's home, where edgecam and its Python lie, and the folder for what is thrown away."""
        named = {str(checkout): "CHECKOUT", str(scratch): "SCRATCH", os.path.expanduser("~"): "~"}  # noqa: PTH111 -- never raises
        known = {folder: name for folder, name in named.items() if len(folder) > 1}
        longest_first = sorted(known.items(), key=lambda item: -len(item[0]))
        return cls(tuple(longest_first), socket.gethostname().partition(".")[0])

    def text(self, text: str) -> str:
        """The same without homes, addresses of networks, serial numbers of cameras and the host's name."""
        for folder, name in self.folders:
            text = text.replace(folder, name)
        text = _HOME.sub("~", text)
        text = _BY_ID.sub(r"\1…\2", text)
        text = _COLONS.sub("[address]", _IPV4.sub("[address]", text))
        if len(self.host) >= _LEAST_NAME:
            text = re.sub(rf"(?<![\w-]){re.escape(self.host)}(?![\w-])", "[host]", text)
        return text

    def document(self, value: Any) -> Any:
        """The same for all texts in a document."""
        if isinstance(value, dict):
            return {name: self.document(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.document(each) for each in value]
        return self.text(value) if isinstance(value, str) else value
