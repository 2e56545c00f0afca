"""An arm64 Debian in a folder, entered by chroot; qemu-user runs its programs."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service_lab.container import Disk, discard, run_folder
from service_lab.image import Image, NotHere, copy_of_checkout, missing

LAB = "arm64"
PACKAGES = ("python3", "python3-venv", "ca-certificates")
CHECKOUT = "/root/edgecam"
_KERNEL = Path("/proc/sys/fs/binfmt_misc")
_FORMAT = "qemu-aarch64"
_DESCRIBED = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Userland:
    """The folder, mounted with what programs expect, and the checkout in it."""

    disk: Disk

    @classmethod
    @contextlib.contextmanager
    def made(cls, *, cached: bool, again: bool) -> Iterator[Userland]:
        """Made where it is not there yet; what is written in it is gone afterwards. Raises NotHere."""
        image = Image(LAB, "bookworm", PACKAGES, "arm64")
        with emulated():
            image.make(cached=cached, again=again)
            folder = run_folder(LAB)
            try:
                with Disk(image, folder).mounted() as disk:
                    _mount(disk, disk.hand_in())
                    copy_of_checkout(disk.root / CHECKOUT.lstrip("/"))
                    yield cls(disk)
            finally:
                discard(folder)

    def run(self, command: str, *, limit: float) -> tuple[subprocess.CompletedProcess[str], float]:
        """Run a shell's line in it; with the seconds that it took."""
        began = time.monotonic()
        try:
            done = subprocess.run(
                self._inside(command), stdin=subprocess.DEVNULL, capture_output=True,
                text=True, errors="replace", check=False, timeout=limit,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            done = subprocess.CompletedProcess(command, 124, "", f"not done after {limit:g} s")
        return done, time.monotonic() - began

    def enter(self) -> None:
        """A shell on this terminal."""
        subprocess.run(self._inside("exec bash -l"), check=False)

    def _inside(self, command: str) -> list[str]:
        environment = [f"PATH={_PATH}", "HOME=/root", "LANG=C.UTF-8"]
        # A process namespace of its own, so that nothing is left running in it.
        isolated = ["unshare", "--pid", "--fork", "--kill-child", "chroot", str(self.disk.root)]
        mounts = "mount -t proc proc /proc && mount -t sysfs -o ro sysfs /sys"
        return [*isolated, "env", "-i", *environment, "sh", "-c", f"{mounts} && {command}"]


def why_not_here() -> str:
    """Why this machine cannot run the lab, "" where it can."""
    if os.geteuid() != 0:
        return "it needs root, for a chroot"
    if absent := missing("mmdebstrap", "unshare", "chroot"):
        return f"{', '.join(absent)} not found: apt-get install mmdebstrap"
    if platform.machine() != "aarch64" and not _DESCRIBED.is_file():
        return "qemu-user not found: apt-get install qemu-user-static"
    return ""


@contextlib.contextmanager
def emulated() -> Iterator[None]:
    """Have the kernel hand arm64 programs to qemu meanwhile; where it does so already, nothing is changed."""
    if platform.machine() == "aarch64" or (_KERNEL / _FORMAT).exists():
        yield
        return
    if not (_KERNEL / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(_KERNEL)], check=False, capture_output=True)
    try:
        (_KERNEL / "register").write_text(_DESCRIBED.read_text())
    except OSError as error:
        raise NotHere(f"this kernel does not hand programs to an emulator: {error}") from error
    try:
        yield
    finally:
        (_KERNEL / _FORMAT).write_text("-1")


def _mount(disk: Disk, places: list[Path]) -> None:
    """The devices, the names of hosts, and this machine's way to the packages."""
    (disk.root / "etc/resolv.conf").write_text(Path("/etc/resolv.conf").read_text())
    for source in (Path("/dev"), *places):
        target = disk.root / str(source).lstrip("/")
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        subprocess.run(["mount", "--rbind", str(source), str(target)], check=True, capture_output=True)
