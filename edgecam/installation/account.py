"""The user that edgecam runs as, and its groups, which open the devices."""

from __future__ import annotations

from collections.abc import Iterator

from edgecam.errors import EdgecamError
from edgecam.installation.host import Host
from edgecam.installation.layout import SYSUSERS, USER
from edgecam.installation.plan import Step


class MakeAccount(Step):
    """Have systemd-sysusers make user and groups as the file says that was put in place before."""

    def __init__(self, host: Host, content: str) -> None:
        self._host = host
        self._groups = list(_groups_in(content))

    def describe(self) -> str:
        return f"make the user {USER}, in the groups {', '.join(self._groups)} (systemd-sysusers)"

    def needed(self) -> bool:
        return not has_user(self._host) or any(not has_member(self._host, group) for group in self._groups)

    def do(self) -> None:
        self._host.require("systemd-sysusers", SYSUSERS, timeout=60.0)
        if self._host.is_whole and not has_user(self._host):
            raise EdgecamError(f"the user {USER}: systemd-sysusers did not make it from {SYSUSERS}")


class RemoveAccount(Step):
    """Delete user and group."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def describe(self) -> str:
        return f"delete the user and the group {USER}"

    def needed(self) -> bool:
        return has_user(self._host) or _fields(self._host, "group", USER) is not None

    def do(self) -> None:
        if has_user(self._host):
            self._host.require("userdel", USER, timeout=60.0)
        if _fields(self._host, "group", USER) is not None:
            self._host.require("groupdel", USER, timeout=60.0)


def has_user(host: Host) -> bool:
    """Whether the user is there."""
    return _fields(host, "passwd", USER) is not None


def has_member(host: Host, group: str) -> bool:
    """Whether the user is in that group, or has it as its own."""
    fields = _fields(host, "group", group)
    return group == USER or (fields is not None and USER in fields[-1].split(","))


def _fields(host: Host, file: str, name: str) -> list[str] | None:
    path = host.path(f"/etc/{file}")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next((line.split(":") for line in lines if line.startswith(f"{name}:")), None)


def _groups_in(content: str) -> Iterator[str]:
    """The groups of `m USER GROUP` lines."""
    for line in content.splitlines():
        words = line.split()
        if len(words) >= 3 and words[0] == "m" and words[1] == USER:
            yield words[2]
