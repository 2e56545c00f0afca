"""The guest's disks: Debian (made once), the Python packages (made once), and the checkout as it is now."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent.parent
SUITE, PYTHON = "bookworm", "3.11"
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (36, 35, 34, 31, 28, 27, 24, 17)] + ["manylinux2014_x86_64"]
PACKAGES = (
    *("linux-image-amd64", "initramfs-tools", "systemd-sysv", "udev", "dbus", "kmod", "qemu-guest-agent"),
    *("python3", "libdrm2", "psmisc"),
)
TOOLS = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "qemu-system-x86_64": "qemu-system-x86", "git": "git"}
MODULES = ("virtio_pci", "virtio_blk", "ext4", "virtio_gpu", "virtio_console")
SETUP = (
    r"""
set -e
cd "$1"
echo edgecam-lab > etc/hostname
printf '/dev/vda / ext4 rw,noatime 0 0\n/dev/vdb /opt/packages ext4 ro 0 0\n"""
    r"""/dev/vdc /opt/checkout ext4 rw 0 0\n' > etc/fstab
mkdir -p opt/packages opt/checkout
chroot . useradd --system --create-home --groups video,render edgecam
chroot . systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service
echo MODULES=list > etc/initramfs-tools/conf.d/lab
printf '%s\n' virtio_pci virtio_blk ext4 > etc/initramfs-tools/modules
printf 'virtio_gpu\nvirtio_console\n' > etc/modules-load.d/lab.conf
chroot . update-initramfs -u
"""
)


class CannotRun(Exception):
    """The lab cannot run on this machine; the message says why, and what would help."""


class Disks(NamedTuple):
    """What the guest boots from."""

    kernel: Path
    initrd: Path
    root: Path
    packages: Path
    checkout: Path


def prepare(cache: Path, scratch: Path) -> Disks:
    """Make what is missing. Raises CannotRun."""
    _check_host()
    debian = _once(cache, "debian", _key(SUITE, *PACKAGES, SETUP), _make_debian)
    packages = _once(cache, "packages", _key(PYTHON, *_requirements()), _make_packages)
    checkout = scratch / "checkout.img"
    _make_checkout(checkout)
    return Disks(debian / "vmlinuz", debian / "initrd", debian / "root.img", packages / "packages.img", checkout)


def _check_host() -> None:
    if os.uname().machine != "x86_64":
        raise CannotRun("its guest is an x86-64 machine, and so must this one be")
    if os.geteuid() != 0:
        raise CannotRun("it builds a Debian in a chroot, which only root may: run it with sudo")
    missing = sorted(package for tool, package in TOOLS.items() if not shutil.which(tool))
    if missing:
        subprocess.run(["apt-get", "update", "-qq"], check=False, stdout=sys.stderr)
        made = subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], check=False, stdout=sys.stderr
        )
        if made.returncode:
            raise CannotRun(f"these packages could not be installed: {', '.join(missing)}")


def _requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["test"]]


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _once(cache: Path, name: str, key: str, make: Callable[[Path], None]) -> Path:
    """The folder NAME-KEY of the cache, made where it is missing; older ones of the name are removed."""
    folder = cache / f"{name}-{key}"
    if folder.is_dir():
        return folder
    print(f"display lab: making {folder} (minutes, once)", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=cache, prefix="making-") as made:
        part = Path(made) / "part"
        part.mkdir()
        make(part)
        part.rename(folder)
    for old in cache.glob(f"{name}-*"):
        if old != folder:
            shutil.rmtree(old)
    return folder


def _make_debian(folder: Path) -> None:
    tree, script = folder / "tree", folder / "setup"
    script.write_text(SETUP)
    command = [
        *("nice", "-n", "10", "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase"),
        f"--include={','.join(PACKAGES)}",
        *("--aptopt=APT::Install-Recommends false", "--dpkgopt=path-exclude=/usr/share/doc/*"),
        *("--dpkgopt=path-exclude=/usr/share/man/*", f'--customize-hook=sh {script} "$1"'),
        *(SUITE, str(tree), *filter(None, [os.environ.get("EDGECAM_LABS_MIRROR")])),
    ]
    if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
        raise CannotRun("Debian could not be installed into a folder: see above (is the mirror reachable?)")
    for name in ("vmlinuz", "initrd"):
        shutil.copy(next((tree / "boot").glob(f"{name}*")), folder / name)
    _image(tree, folder / "root.img", "3G")
    shutil.rmtree(tree)


def _make_packages(folder: Path) -> None:
    """For the guest's Python, whatever the Python of this machine."""
    tree = folder / "tree"
    platforms = [option for platform in PLATFORMS for option in ("--platform", platform)]
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(tree)),
        *("--python-version", PYTHON, "--implementation", "cp", "--only-binary=:all:", *platforms, *_requirements()),
    ]
    if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
        raise CannotRun("the Python packages could not be fetched: see above (is the package index reachable?)")
    _image(tree, folder / "packages.img", "2G")
    shutil.rmtree(tree)


def _make_checkout(image: Path) -> None:
    """What git tracks and what it does not ignore, as it lies here."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    with tempfile.TemporaryDirectory(dir=image.parent) as folder:
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, Path(folder) / name)
        Path(folder).chmod(0o755)
        _image(Path(folder), image, "256M")


def _image(tree: Path, image: Path, size: str) -> None:
    subprocess.run(["truncate", "-s", size, str(image)], check=True)
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(tree), str(image)], check=True, stdout=sys.stderr
    )
