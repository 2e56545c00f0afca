"""Whether the service's user may use what the configuration names."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgecam.doctor.finding import Finding, fail, ok, skipped
from edgecam.doctor.surroundings import Surroundings

INSTALLED = "etc/edgecam/edgecam.toml"
"""The service's configuration."""
_READ, _WRITE, _ENTER = 4, 2, 1


@dataclass(frozen=True, slots=True)
class Account:
    """A user by its numbers; `groups` has its own one and those it was added to."""

    name: str
    uid: int
    groups: frozenset[int]

    def may(self, path: Path, wanted: int) -> bool:
        """Whether the permission bits let it read (4), write (2) and enter (1) as `wanted`. Raises OSError.

        What access control lists add is not seen: those of devices are for whoever sits at the desktop.
        """
        found = path.stat()
        if self.uid == 0:
            return True
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid in self.groups else 0
        return found.st_mode >> shift & wanted == wanted

    def reaches(self, path: Path, root: Path) -> Path | None:
        """The first folder on the way that it may not enter; None where it may enter all."""
        folders = [folder for folder in reversed(path.parents) if root in (folder, *folder.parents)]
        return next((folder for folder in folders if folder.exists() and not self.may(folder, _ENTER)), None)


def find_account(name: str, here: Surroundings, more_groups: str = "") -> Account | None:
    """A user of this machine's own files; `more_groups` are names of groups that its service adds."""
    user = next((fields for fields in _entries(here.at("etc/passwd"), 7) if fields[0] == name), None)
    if user is None:
        return None
    joined = (
        int(fields[2])
        for fields in _entries(here.at("etc/group"), 4)
        if name in fields[3].split(",") or fields[0] in more_groups.split()
    )
    return Account(name, int(user[2]), frozenset((int(user[3]), *joined)))


def check_account(here: Surroundings) -> Iterator[Finding]:
    """The user is there, it may read the configuration, write the data, and open the devices."""
    name = here.service.user
    if here.configured and here.config_path != here.at(INSTALLED):
        yield skipped(f"{here.config_path} is not the service's configuration")
        return
    account = find_account(name, here, here.service.unit.get("SupplementaryGroups", ""))
    if account is None:
        remedy = "`sudo edgecam install` makes it"
        missing = f"there is no user {name}"
        yield fail(missing, remedy) if here.service.installed else skipped(missing, remedy)
        return
    found = [*_files(account, here), *_devices(account, here)]
    yield from found or [ok(f"the user {name} may use the configuration, the data and the devices")]


def _files(account: Account, here: Surroundings) -> Iterator[Finding]:
    data = here.config.data_dir
    if here.configured and here.config_path.exists():
        blocked = account.reaches(here.config_path, here.root)
        if blocked is not None or not account.may(here.config_path, _READ):
            where = blocked or here.config_path
            remedy = f"`sudo chgrp {account.name} {where}` and `sudo chmod g+r{'x' if blocked else ''} {where}`"
            yield fail(f"the user {account.name} may not read {here.config_path}", remedy)
    if data.is_dir():
        blocked = account.reaches(data, here.root)
        if blocked is not None:
            yield fail(f"the user {account.name} may not enter {blocked}", f"`sudo chmod o+x {blocked}`")
        elif not account.may(data, _READ | _WRITE | _ENTER):
            yield fail(f"the user {account.name} may not write to {data}", f"`sudo chown -R {account.name}: {data}`")


def _devices(account: Account, here: Surroundings) -> Iterator[Finding]:
    for node in _needed(here):
        try:
            found = node.stat()
        except OSError:
            continue
        if not account.may(node, _READ | _WRITE):
            group = _group_name(found.st_gid, here)
            shown = f"{stat.filemode(found.st_mode)}, group {group or found.st_gid}"
            yield fail(f"the user {account.name} may not use {node} ({shown})", _remedy(account, found, group))


def _needed(here: Surroundings) -> Iterator[Path]:
    """The device nodes that the configuration means."""
    from edgecam.detectors.edgetpu import list_edge_tpus, parse_choice

    config, dev = here.config, here.at("dev")
    kinds = {camera.type for camera in config.enabled_cameras.values()}
    if "picamera2" in kinds:
        for pattern in ("media[0-9]*", "video[0-9]*", "dma_heap/linux,cma", "dma_heap/vidbuf_cached"):
            yield from sorted(dev.glob(pattern))
    yield from (Path(camera.path) for camera in config.enabled_cameras.values() if camera.type == "v4l2")
    if config.display.enabled and config.display.backend != "window":
        yield from sorted(dev.glob("dri/card[0-9]*"))
    yield from (tpu.node for tpu in parse_choice(config.detector.device).select(list_edge_tpus(here.root)))


def _remedy(account: Account, found: os.stat_result, group: str) -> str:
    if group not in ("", "root") and found.st_mode & 0o060 == 0o060:
        return f"`sudo usermod -aG {group} {account.name}`, then `sudo systemctl restart edgecam`"
    return "its udev rule is missing: `sudo edgecam install`, then replug it"


def _group_name(gid: int, here: Surroundings) -> str:
    groups = _entries(here.at("etc/group"), 4)
    return next((fields[0] for fields in groups if fields[2] == str(gid)), "")


def _entries(path: Path, size: int) -> list[list[str]]:
    """The lines of passwd(5) or group(5) that have all their fields, and numbers where they belong."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    entries = (line.split(":") for line in lines)
    numbers = slice(2, size - 3 if size == 7 else 3)
    return [fields for fields in entries if len(fields) == size and all(map(str.isdecimal, fields[numbers]))]
