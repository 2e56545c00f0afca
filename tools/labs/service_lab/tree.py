"""What lies on a disk, to be compared: paths with what they are, and the packages."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service_lab.container import Container

_ELSEWHERE = (
    *("dev", "proc", "sys", "run", "tmp", "srv/lab", "root/edgecam", "root/broken", "root/wheels"),
    *("root/.cache", "root/.config"),
)
#: What any boot, apt or dpkg writes, whoever is installed.
_NOISE = (
    *("var/log", "var/cache", "var/tmp", "var/lib/apt", "var/lib/dpkg", "var/lib/systemd", "var/lib/mosquitto"),
    *("var/lib/ucf", "etc/ld.so.cache", "etc/.pwd.lock", "etc/.updated", "var/.updated", "etc/mailcap"),
    *("etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/resolv.conf", "etc/machine-id", "etc/hostname"),
)
_HASHED_BYTES = 200_000


@dataclass(frozen=True)
class Inventory:
    """A disk at one time."""

    entries: dict[str, str]
    packages: frozenset[str]
    of_packages: frozenset[str]

    @classmethod
    def of(cls, container: Container) -> Inventory:
        """That of a running container."""
        installed = container.run("dpkg-query --show --showformat '${Package} ${db:Status-Status}\\n'").stdout
        owned = container.run("cat /var/lib/dpkg/info/*.list").stdout.split("\n")
        entries = dict(_walk(container.disk.root))
        packages = frozenset(line.split()[0] for line in installed.splitlines() if line.endswith(" installed"))
        return cls(entries, packages, frozenset(path.lstrip("/") for path in owned))

    def beside(self, before: Inventory) -> list[str]:
        """What is there now and was not, or is another; and what is gone: `+ path`, `~ path`, `- path`.

        A folder stands for what is in it; files of packages, and what Python compiled of them, are not ours to count.
        """
        new = [path for path in self.entries if path not in before.entries and not self._of_a_package(path)]
        tops = [path for path in new if str(Path(path).parent) not in new]
        changed = [path for path, what in self.entries.items() if before.entries.get(path, what) != what]
        gone = [path for path in before.entries if path not in self.entries and not before._of_a_package(path)]
        lists = (("+", tops), ("~", changed), ("-", gone))
        return [f"{sign} /{path}" for sign, paths in lists for path in sorted(paths)]

    def _of_a_package(self, path: str) -> bool:
        return path in self.of_packages or "__pycache__" in path


def _walk(root: Path) -> Iterator[tuple[str, str]]:
    skipped = {*_ELSEWHERE, *_NOISE}
    for folder, folders, files in os.walk(root):
        inner = os.path.relpath(folder, root)
        prefix = "" if inner == "." else f"{inner}/"
        folders[:] = [name for name in folders if prefix + name not in skipped]
        for name in (*folders, *files):
            if (path := prefix + name) not in skipped:
                yield path, _describe(Path(folder) / name)


def _describe(path: Path) -> str:
    state = path.lstat()
    rights = f"{stat.filemode(state.st_mode)} {state.st_uid}:{state.st_gid}"
    if stat.S_ISLNK(state.st_mode):
        return f"{rights} -> {path.readlink()}"
    if not stat.S_ISREG(state.st_mode):
        return rights
    if state.st_size <= _HASHED_BYTES:
        return f"{rights} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return f"{rights} {state.st_size} {state.st_mtime_ns}"
