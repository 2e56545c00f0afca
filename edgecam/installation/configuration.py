"""The owner's configuration: written once, with the cameras that were found; never written again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from edgecam.installation.account import has_user
from edgecam.installation.files import write_atomically
from edgecam.installation.layout import CONFIG, USER
from edgecam.installation.plan import Step
from edgecam.installation.releases import Target, shipped

_SECTION = re.compile(r"#?\[([a-z0-9_.-]+)\]$")
_KEY = re.compile(r"#?([a-z_]+) = ")


class WriteConfig(Step):
    """Write the configuration where there is none."""

    def __init__(self, target: Target, default: str) -> None:
        self._target = target
        self._default = default

    def describe(self) -> str:
        return f"write {CONFIG}, with the cameras that are found"

    def needed(self) -> bool:
        return not self._target.host.path(CONFIG).exists()

    def do(self) -> None:
        host = self._target.host
        done = host.run(self._target.command(), "cameras", "--json", timeout=120.0)
        cameras = list(found_cameras(done.output)) if done.code == 0 else []
        group = USER if has_user(host) and host.is_whole else ""
        write_atomically(host.path(CONFIG), with_cameras(self._default, cameras), 0o640, group)
        names = ", ".join(f"{kind} {which}" for _, kind, which in cameras)
        host.tell(f"cameras: {names or 'none found: edgecam shows its rendered scenes; see `edgecam cameras`'}")


class ShowNewKeys(Step):
    """Tell which keys of the configuration this release has and the one before had not."""

    changes = False

    def __init__(self, target: Target, default: str) -> None:
        self._target = target
        self._default = default

    def describe(self) -> str:
        return f"tell the new keys of {CONFIG}: {', '.join(self._new()) or 'none'}"

    def needed(self) -> bool:
        return bool(self._new())

    def do(self) -> None:
        """The description is what is to be told."""

    def _new(self) -> list[str]:
        target = self._target
        if target.previous in {None, target.name}:
            return []
        try:
            owners = target.host.path(CONFIG).read_text(encoding="utf-8")
        except (FileNotFoundError, PermissionError):  # a dry run may be anybody's
            return []
        before = shipped(target.host, str(target.previous), "data/edgecam.toml") or ""
        return new_keys(self._default, before, owners)


def found_cameras(listing: str) -> Iterator[tuple[str, str, str]]:
    """Name, kind and TOML value of each camera in what `edgecam cameras --json` printed, among other lines."""
    line = next((line for line in reversed(listing.splitlines()) if line.startswith("{")), "{}")
    found: dict[str, Any] = json.loads(line)
    csi = found.get("picamera2", {}).get("cameras", [])
    usb = found.get("v4l2", {}).get("cameras", [])
    for number, camera in enumerate(csi, 1):
        yield f"pi{number}" if len(csi) > 1 else "pi", "picamera2", json.dumps(camera["camera_id"], ensure_ascii=False)
    for number, camera in enumerate(usb, 1):
        yield f"usb{number}" if len(usb) > 1 else "usb", "v4l2", json.dumps(camera["path"], ensure_ascii=False)


def with_cameras(default: str, cameras: list[tuple[str, str, str]]) -> str:
    """The default configuration with these cameras on and, where there are any, the rendered one off."""
    if not cameras:
        return default
    head, section, rest = default.partition("[cameras.demo]\n")
    rest = rest.replace("enabled = true", "enabled = false", 1)
    key = {"picamera2": "camera", "v4l2": "path"}
    tables = (
        f'\n# Found when edgecam was installed.\n[cameras.{name}]\ntype = "{kind}"\n{key[kind]} = {which}\n'
        for name, kind, which in cameras
    )
    return head + section + rest.rstrip("\n") + "\n" + "".join(tables)


def new_keys(now: str, before: str, owners: str) -> list[str]:
    """The keys that a default configuration has and neither the default before it nor the owner's has.

    Without one before, what belongs to cameras is left out: it depends on the kind of camera.
    """
    known = {*documented(before), *documented(owners)}
    return [key for key in documented(now) if key not in known and (before or not key.startswith("cameras."))]


def documented(config: str) -> list[str]:
    """The dotted keys of a configuration, also those that stand in it behind a #."""
    section, found = "", []
    for line in config.splitlines():
        if heading := _SECTION.match(line):
            section = heading[1] + "."
        elif key := _KEY.match(line):
            found.append(section + key[1])
    return found
