"""Steps that put files and links in their places, and put back what was there."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgecam.errors import EdgecamError
from edgecam.installation.host import Host
from edgecam.installation.plan import Shortcoming, Step


class PlaceFile(Step):
    """Write a file; then commands, which also follow when it is taken back. They need not succeed."""

    def __init__(self, host: Host, place: str, content: str, then: tuple[tuple[str, ...], ...] = ()) -> None:
        self._host = host
        self._place = place
        self._file = host.path(place)
        self._content = content
        self._then = then
        self._before: str | None = None

    def describe(self) -> str:
        after = "".join(f", {' '.join(command)}" for command in self._then)
        return f"write {self._place}{after}"

    def needed(self) -> bool:
        return self._present() != self._content

    def do(self) -> None:
        self._before = self._present()
        write_atomically(self._file, self._content)
        self._follow()

    def undo(self) -> None:
        if self._before is None:
            self._file.unlink(missing_ok=True)
        else:
            write_atomically(self._file, self._before)
        self._follow()

    def _present(self) -> str | None:
        return self._file.read_text(encoding="utf-8") if self._file.is_file() else None

    def _follow(self) -> None:
        for command in self._then:
            done = self._host.run(*command, timeout=60.0)
            if done.code:
                self._host.tell(f"warning: {' '.join(command)}: {done.last_line}")


class PlaceLink(Step):
    """Point a link somewhere else, at once; what is there and is no link is left alone."""

    def __init__(self, host: Host, place: str, to: str) -> None:
        self._place = place
        self._link = host.path(place)
        self._to = to
        self._before: str | None = None

    def describe(self) -> str:
        return f"point {self._place} to {self._to}"

    def needed(self) -> bool:
        return target_of(self._link) != self._to

    def do(self) -> None:
        if self._link.exists() and not self._link.is_symlink():
            raise Shortcoming(f"{self._place} is not edgecam's, and stays: move it away, then install again")
        self._before = target_of(self._link)
        point(self._link, self._to)

    def undo(self) -> None:
        if self._before is not None:
            point(self._link, self._before)
        elif self._link.is_symlink():
            self._link.unlink()


class Remove(Step):
    """Delete files, links or whole folders."""

    def __init__(self, host: Host, *places: str) -> None:
        self._host = host
        self._places = places

    def describe(self) -> str:
        return f"delete {', '.join(self._present() or self._places)}"

    def needed(self) -> bool:
        return bool(self._present())

    def do(self) -> None:
        for place in self._present():
            path = self._host.path(place)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _present(self) -> list[str]:
        return [place for place in self._places if self._host.path(place).exists() or target_of(self._host.path(place))]


class RemoveEmptyFolder(Step):
    """Delete a folder that came with a file of ours, where nobody else put anything into it."""

    def __init__(self, host: Host, place: str) -> None:
        self._place = place
        self._folder = host.path(place)

    def describe(self) -> str:
        return f"delete the empty folder {self._place}"

    def needed(self) -> bool:
        return self._folder.is_dir() and not any(self._folder.iterdir())

    def do(self) -> None:
        self._folder.rmdir()


def target_of(link: Path) -> str | None:
    """Where a link points to; None where there is no link."""
    return str(link.readlink()) if link.is_symlink() else None


def point(link: Path, to: str) -> None:
    """Make or change a link; at each moment there is the old one or the new one."""
    link.parent.mkdir(parents=True, exist_ok=True)
    beside = link.with_name(f".{link.name}.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(to)
    beside.replace(link)


def write_atomically(file: Path, content: str, mode: int = 0o644, group: str = "") -> None:
    """Write a file that is there whole or not at all, readable only as `mode` says from its first byte on."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.new")
    beside.touch(mode=0o600)
    beside.write_text(content, encoding="utf-8")
    if group:
        give(beside, group=group)
    beside.chmod(mode)
    beside.replace(file)


def give(path: Path, user: str | None = None, group: str | None = None) -> None:
    """Change the owner. Raises EdgecamError where there is none of that name, or this user may not."""
    try:
        if user is not None:
            shutil.chown(path, user=user)
        if group is not None:
            shutil.chown(path, group=group)
    except (LookupError, PermissionError) as error:
        raise EdgecamError(f"{path}: it cannot be given to {user or group}: {error}") from None
