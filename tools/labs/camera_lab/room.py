"""The place of the lab: a Debian sid in a folder, with python3-libcamera, picamera2 and the stand-ins for a Pi."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent.parent
SHIMS = HERE / "shims"

#: trixie's libcamera 0.4 delivers no frames to picamera2; sid's 0.7 does.
SUITE = "sid"
DEBIAN_PACKAGES = ("python3-libcamera",)
WHEELS = (
    *("ai-edge-litert", "av", "numpy", "opencv-python-headless", "pydantic", "rich", "typer"),
    *("hypothesis", "pytest", "pytest-timeout"),
    *("jsonschema", "libarchive-c", "piexif", "pillow", "simplejpeg", "tqdm", "videodev2"),
)
#: Without what it depends on: the rest of that is for what edgecam does not use, and needs a compiler.
BARE_WHEELS = ("picamera2",)

WHEEL_FOLDER, HEAP, MOUNT = "/opt/wheels", "/opt/dma_heap.so", "/edgecam"
SCRATCH = "/tmp"  # noqa: S108 -- the lab's own, empty at each start
BUILD_LIMIT = 1200


class NotHere(Exception):
    """The lab cannot run on this machine; the message says why."""


@dataclass(frozen=True)
class Room:
    """A root folder that is complete."""

    root: Path

    @classmethod
    def made(cls, *, rebuild: bool = False, cached: bool = False) -> Room:
        """The room, built where it is not there yet or not of this recipe, unless `cached`. Raises NotHere."""
        if why := why_not_here():
            raise NotHere(why)
        if cached and not is_built():
            raise NotHere("not built yet (minutes, 1 GB): run tools/labs/camera once, or the tests with EDGECAM_LABS=1")
        room = cls(cache() / "root")
        if rebuild or not is_built():
            room.build()
        if room.enter(["true"]).returncode:
            raise NotHere("the lab cannot be entered: this machine forbids mounts or chroot")
        return room

    def build(self) -> None:
        """Make it in a folder beside and put it in place when it is whole."""
        rough = self.root.with_name("root.part")
        shutil.rmtree(rough, ignore_errors=True)
        rough.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._bootstrap(rough)
            _install_wheels(rough)
            _install_shims(rough)
            (rough / "edgecam-lab").write_text(recipe())
            shutil.rmtree(self.root, ignore_errors=True)
            rough.rename(self.root)
        except (OSError, subprocess.SubprocessError) as error:
            raise NotHere(f"building the lab: {error}") from error
        finally:
            shutil.rmtree(rough, ignore_errors=True)

    def enter(self, command: list[str], *, capture: bool = False, limit: float | None = None) -> Any:
        """Run a command inside: mounts and processes of its own, the repository there but not to be written to."""
        mounts = (
            f"mount --bind {REPOSITORY} {self.root}{MOUNT} && mount -o remount,ro,bind {self.root}{MOUNT}"
            f" && mount --rbind /dev {self.root}/dev && mount -t tmpfs tmpfs {self.root}{SCRATCH} && cd {self.root}"
        )
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": SCRATCH,
            "LD_PRELOAD": HEAP,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": ":".join(
                (MOUNT, f"{MOUNT}/tools/labs", f"{MOUNT}/tools/labs/camera_lab/shims", WHEEL_FOLDER)
            ),
        }
        inside = ["env", "-i", *(f"{name}={value}" for name, value in environment.items()), *command]
        isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={self.root}/proc"]
        whole = [*isolated, "sh", "-c", f'{mounts} && exec chroot . "$@"', "sh", *inside]
        return subprocess.run(whole, stdout=subprocess.PIPE if capture else None, text=True, check=False, timeout=limit)

    def _bootstrap(self, rough: Path) -> None:
        mirror = os.environ.get("EDGECAM_LABS_MIRROR")
        _say(f"Debian {SUITE} with {', '.join(DEBIAN_PACKAGES)}")
        command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(DEBIAN_PACKAGES)}"]
        # A mirror may be a snapshot, older than it is said to be good for.
        command += ['--aptopt=Acquire::Check-Valid-Until "false"', '--aptopt=APT::Install-Recommends "false"']
        _build_step([*command, SUITE, str(rough), *([mirror] if mirror else [])])
        for folder in (MOUNT, "/proc", SCRATCH):
            (rough / folder[1:]).mkdir(exist_ok=True)


def why_not_here() -> str:
    """Why this machine cannot run the lab, "" where it can."""
    if os.geteuid() != 0:
        return "it needs root, to make a chroot"
    missing = [tool for tool in ("mmdebstrap", "cc", "unshare", "chroot") if shutil.which(tool) is None]
    return f"{', '.join(missing)} not found: apt-get install mmdebstrap gcc libc6-dev" if missing else ""


def is_built() -> bool:
    """Whether the room is there, and of this recipe."""
    try:
        return (cache() / "root" / "edgecam-lab").read_text() == recipe()
    except OSError:
        return False


def cache() -> Path:
    """Where the lab is kept."""
    kept = os.environ.get("EDGECAM_LABS_CACHE") or Path.home() / ".cache" / "edgecam" / "labs"
    return Path(kept) / "camera"


def recipe() -> str:
    """What the room is made of, as one short text."""
    parts = [SUITE, *DEBIAN_PACKAGES, *WHEELS, *BARE_WHEELS]
    sources = b"".join((SHIMS / name).read_bytes() for name in ("dma_heap.c", "virtual.yaml"))
    return hashlib.sha256("\n".join(parts).encode() + sources).hexdigest()


def _install_wheels(rough: Path) -> None:
    """By this machine's pip, for the room's Python: it needs no network of its own."""
    _say("wheels")
    found = subprocess.run(
        ["chroot", str(rough), "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    pip = [sys.executable, "-m", "pip", "install", "-q", "--root-user-action=ignore", "--only-binary=:all:"]
    pip += [f"--python-version={found.stdout.strip()}", "--implementation=cp", f"--target={rough}{WHEEL_FOLDER}"]
    _build_step([*pip, *WHEELS])
    _build_step([*pip, "--no-deps", *BARE_WHEELS])


def _install_shims(rough: Path) -> None:
    target = rough / "usr/share/libcamera/pipeline/virtual"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(SHIMS / "virtual.yaml", target)
    _build_step(["cc", "-shared", "-fPIC", "-O1", "-o", f"{rough}{HEAP}", str(SHIMS / "dma_heap.c"), "-ldl"])


def _build_step(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=BUILD_LIMIT)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        errors = [line for line in lines if line.startswith(("E:", "ERROR"))]
        raise NotHere(f"{Path(command[0]).name} failed (exit {done.returncode}): {(errors or lines)[0].strip()}")


def _say(what: str) -> None:
    print(f"tools/labs/camera: building: {what}", file=sys.stderr, flush=True)
