"""The Edge TPUs of this machine, as the kernel shows them: libedgetpu is neither needed nor loaded for it."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import re
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecam.detectors.holders import Holder, is_ours, lock_holder, processes_with, start_of
from edgecam.errors import InputError

#: USB ids (vendor, product): before its first opening the stick waits for its firmware under the first one.
NO_FIRMWARE, RUNNING = ("1a6e", "089a"), ("18d1", "9302")
#: PCI ids of a card, as sysfs has them.
CARD = ("0x1ac1", "0x089a")
#: Mbit/s of a USB 3 port.
SUPER_SPEED = 5000

_USB_NAME = re.compile(r"[0-9]+-[0-9]+(\.[0-9]+)*")
_APEX_NAME = re.compile(r"apex_[0-9]+")
_PCI_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_NUMBER = re.compile(r"[0-9]{1,6}")
_CHOICE = re.compile(rf"(?P<kind>usb|pci|)(:(?:(?P<index>[0-9]{{1,3}})|(?P<name>{_USB_NAME.pattern}|apex_[0-9]+)))?")
_ALLOWED = "auto, edgetpu, usb, pci, usb:0, pci:0, :0, a name that `edgecam tpu list` shows, or cpu"


@dataclass(frozen=True, slots=True)
class EdgeTpu:
    """One Edge TPU.

    `kind` is "usb" or "pci"; `name` is the kernel's ("2-1": bus 2, port 1; "apex_0"), the same as long as it stays in
    its port. `running` says that its firmware is loaded (PCIe: always). `speed` is in Mbit/s, 0 where not known.
    """

    kind: str
    name: str
    node: Path
    running: bool
    speed: int

    @property
    def device(self) -> str:
        """As edgecam names it: "usb:2-1", "pci:apex_0"."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which Edge TPUs may be used; made by `parse_choice`.

    `wants_tpu`: an Edge TPU at all. `insists`: nothing but what was named will do (all but auto and cpu).
    """

    text: str
    wants_tpu: bool
    insists: bool
    kind: str = ""
    index: int | None = None
    name: str = ""

    def select(self, tpus: Sequence[EdgeTpu]) -> list[EdgeTpu]:
        """Those of `tpus`, in the order of `list_edge_tpus`, that are meant."""
        if not self.wants_tpu:
            return []
        fitting = [tpu for tpu in tpus if self.kind in ("", tpu.kind) and self.name in ("", tpu.name)]
        return fitting if self.index is None else fitting[self.index : self.index + 1]


def parse_choice(text: str) -> Choice:
    """Understand a device setting.

    `auto` (an Edge TPU if there is one, else the CPU), `edgetpu` (any), `cpu`, and pycoral's `usb`, `pci`, `usb:0`,
    `pci:0`, `:0` (counted in the order of `list_edge_tpus`); also the name of one, `usb:2-1`, `pci:apex_0`. Raises
    InputError.
    """
    if text in ("auto", "edgetpu", "cpu"):
        return Choice(text, wants_tpu=text != "cpu", insists=text == "edgetpu")
    found = _CHOICE.fullmatch(text)
    if not found or not text:
        raise InputError(f"device {text!r}: give {_ALLOWED}")
    index = None if found["index"] is None else int(found["index"])
    return Choice(text, wants_tpu=True, insists=True, kind=found["kind"], index=index, name=found["name"] or "")


def host_root() -> Path:
    """Where the host's sys/ and dev/ are: $EDGECAM_HOST_ROOT, else /."""
    return Path(os.environ.get("EDGECAM_HOST_ROOT") or "/")


def list_edge_tpus(root: Path | None = None) -> list[EdgeTpu]:
    """The Edge TPUs below `root` (None: `host_root()`): PCIe before USB, which libedgetpu prefers too; each by name.

    libedgetpu's own order among several follows the order of a folder listing and the state of their firmware; this
    one changes only when one is plugged or pulled. What vanishes or makes no sense while it is read is left out.
    """
    base = host_root() if root is None else root
    usb = [_usb_tpu(base, name) for name in _names(base / "sys/bus/usb/devices", _USB_NAME)]
    pci = [_pci_tpu(base, name) for name in _names(base / "sys/class/apex", _APEX_NAME)]
    return [tpu for tpu in pci + usb if tpu is not None]


def why_none(root: Path | None = None) -> str:
    """What to look at where `list_edge_tpus` finds nothing: one sentence a line."""
    base = host_root() if root is None else root
    cards = [name for name in _names(base / "sys/bus/pci/devices", _PCI_ADDRESS) if _is_idle_card(base, name)]
    usb = (base / "sys/bus/usb/devices").is_dir()
    stick = "replug it into a blue USB 3 port with its own cable; `lsusb` shows it as 1a6e:089a or 18d1:9302"
    lines = [
        *(f"the card at {name} has no driver: `sudo modprobe apex`, else install gasket-dkms" for name in cards),
        f"a USB stick: {stick}" if usb else "a USB stick: this machine, or this container, shows no USB devices at all",
        "" if cards else "a PCIe or M.2 card: `lspci -d 1ac1:089a` shows it; its driver is apex, of gasket-dkms",
        "in a container: pass /dev/bus/usb or /dev/apex_0 in",
    ]
    return "\n".join(filter(None, lines))


def trouble(tpu: EdgeTpu) -> str:
    """Why opening this Edge TPU will fail, with the remedy, in one line; "" where nothing speaks against it.

    Looks for its node, the permission, edgecam's lock and the processes that have the node open. What this process and
    its descendants hold does not count. Takes milliseconds, waits for nothing, disturbs nobody.
    """
    try:
        node = tpu.node.stat()
    except OSError:
        return f"{tpu.device}: its node {tpu.node} is missing: {_missing_remedy(tpu)}"
    refused = _refusal(tpu)
    if refused == errno.EACCES:
        return f"{tpu.device}: no permission for {tpu.node} ({_ownership(node)}): {_permission_remedy(tpu, node)}"
    if refused == errno.EPERM:
        return f"{tpu.device}: {tpu.node} is barred: allow the device in the container's or the service's settings"
    if refused:
        return f"{tpu.device}: {tpu.node} does not open ({os.strerror(refused)}): replug the stick"
    return _in_use(tpu, node)


def caution(tpu: EdgeTpu) -> str:
    """What will work worse than it could, with the remedy, in one line; "" where nothing is known."""
    if tpu.kind == "usb" and 0 < tpu.speed < SUPER_SPEED:
        return f"{tpu.device}: on USB 2 ({tpu.speed} Mbit/s), 4 to 6 times slower: use a blue USB 3 port and cable"
    return ""


def lock_path(tpu: EdgeTpu) -> Path:
    """The file whose flock edgecam holds while it uses this Edge TPU: opening a USB stick resets it for all others.

    It is in $EDGECAM_LOCK_DIR, else /run/lock where that is writable, else the folder for temporary files.
    """
    common = "/run/lock" if os.access("/run/lock", os.W_OK | os.X_OK) else tempfile.gettempdir()
    return Path(os.environ.get("EDGECAM_LOCK_DIR") or common) / f"edgecam-{tpu.kind}-{tpu.name}.lock"


def _names(folder: Path, wanted: re.Pattern[str]) -> list[str]:
    """Names in `folder` that are wanted, numbers in them by their value: 1-1.2 before 1-1.10."""
    try:
        names = [name for name in os.listdir(folder) if wanted.fullmatch(name)]  # noqa: PTH208 -- names are needed
    except OSError:
        return []
    return sorted(names, key=lambda name: [int(number) for number in re.findall("[0-9]+", name)])


def _usb_tpu(root: Path, name: str) -> EdgeTpu | None:
    folder = root / "sys/bus/usb/devices" / name
    ids = _attribute(folder / "idVendor").lower(), _attribute(folder / "idProduct").lower()
    bus, number = _attribute(folder / "busnum"), _attribute(folder / "devnum")
    if ids not in (NO_FIRMWARE, RUNNING) or not _NUMBER.fullmatch(bus) or not _NUMBER.fullmatch(number):
        return None
    speed = _attribute(folder / "speed")
    return EdgeTpu(
        kind="usb",
        name=name,
        node=root / "dev/bus/usb" / f"{int(bus):03d}" / f"{int(number):03d}",
        running=ids == RUNNING,
        speed=int(speed) if _NUMBER.fullmatch(speed) else 0,
    )


def _pci_tpu(root: Path, name: str) -> EdgeTpu | None:
    there = os.path.isdir(root / "sys/class/apex" / name)  # noqa: PTH112 -- Path.is_dir raises on some errors
    return EdgeTpu("pci", name, root / "dev" / name, running=True, speed=0) if there else None


def _is_idle_card(root: Path, name: str) -> bool:
    folder = root / "sys/bus/pci/devices" / name
    ids = _attribute(folder / "vendor"), _attribute(folder / "device")
    return ids == CARD and not os.path.lexists(folder / "driver")


def _attribute(path: Path) -> str:
    """What the kernel says in one file, "" where there is nothing to read."""
    return start_of(path).strip()


def _refusal(tpu: EdgeTpu) -> int:
    """The error number of opening the node for use, 0 if none.

    To open a USB node alone does nothing to the stick, and it alone tells what a container's or a service's device
    rules forbid. A PCIe node is not touched: who opens one owns it.
    """
    if tpu.kind == "pci":
        return 0 if os.access(tpu.node, os.R_OK | os.W_OK, effective_ids=True) else errno.EACCES
    try:
        os.close(os.open(tpu.node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _ownership(node: os.stat_result) -> str:
    return f"{stat.filemode(node.st_mode)} {_user(node.st_uid)}:{_group(node.st_gid)}"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _missing_remedy(tpu: EdgeTpu) -> str:
    if tpu.kind == "pci":
        return "load its driver (`sudo modprobe apex`); in a container, pass the node in"
    return "replug the stick; in a container, pass the host's /dev/bus/usb in"


def _permission_remedy(tpu: EdgeTpu, node: os.stat_result) -> str:
    """A node of a group that may use it lacks a member; any other lacks its udev rule."""
    usual, replug = ("apex", "") if tpu.kind == "pci" else ("plugdev", ", then replug the stick")
    me = _user(os.geteuid())
    if node.st_gid != 0 and node.st_mode & 0o060 == 0o060:
        return f"`sudo usermod -aG {_group(node.st_gid)} {me}`, then log in again (a service: restart it)"
    return f"install edgecam's udev rule, or one that gives it to the group {usual} with {me} in it{replug}"


def _in_use(tpu: EdgeTpu, node: os.stat_result) -> str:
    """The lock comes first: it tells that a process is edgecam's, and it tells of other users' processes."""
    other = lock_holder(lock_path(tpu))
    if other is not None and not is_ours(other.pid):
        return f"{tpu.device}: in use by another edgecam ({other}): stop it first (`sudo systemctl stop edgecam`)"
    users = [Holder(pid) for pid in processes_with(tpu.node, node)]
    others = [holder for holder in users if not is_ours(holder.pid)]
    if others:
        return f"{tpu.device}: in use by {others[0]}: stop it first"
    if other is None and not users and _claimed(tpu):
        return f"{tpu.device}: in use by a process of another user: find it with `sudo edgecam tpu list`, and stop it"
    return ""


def _claimed(tpu: EdgeTpu) -> bool:
    """Has a process claimed the stick's interface? The kernel then shows `usbfs` as its driver, also to non-root."""
    try:
        driver = (host_root() / "sys/bus/usb/devices" / f"{tpu.name}:1.0/driver").readlink()
    except OSError:
        return False
    return tpu.kind == "usb" and driver.name == "usbfs"
