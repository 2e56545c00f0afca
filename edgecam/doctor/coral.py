"""Whether the Edge TPUs are there, free, fast, and open to their users. Opens none of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgecam.detectors.edgetpu import (
    CARD,
    NO_FIRMWARE,
    RUNNING,
    EdgeTpu,
    caution,
    list_edge_tpus,
    lock_path,
    parse_choice,
    trouble,
    why_none,
)
from edgecam.detectors.holders import is_ours, lock_holder, start_of
from edgecam.doctor.finding import Finding, fail, ok, parted, skipped, warn
from edgecam.doctor.surroundings import AS_ROOT, Surroundings

RULES = ("etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d")
_INSTALL_RULES = (
    "`sudo edgecam install`, or copy systemd/60-edgecam-edgetpu.rules to /etc/udev/rules.d;"
    " then `sudo udevadm control --reload` and replug the stick"
)
_REPLUG = "unplug it and plug it in again"


def wanted_tpus(here: Surroundings) -> list[EdgeTpu]:
    """Those that are there and that the configuration means."""
    return parse_choice(here.config.detector.device).select(list_edge_tpus(here.root))


def devices_in_use(here: Surroundings) -> set[str]:
    """Those that the running service says it uses."""
    told = (camera["detector"]["device"] for camera in here.service.cameras.values())
    return {device.strip() for devices in told for device in devices.split(",")}


def check_coral(here: Surroundings) -> Iterator[Finding]:
    """The Edge TPUs that the configuration means: there, on a fast port, with permission, in nobody else's use."""
    choice, present = parse_choice(here.config.detector.device), list_edge_tpus(here.root)
    meant = choice.select(present)
    if meant:
        for tpu in meant:
            yield from _judged(tpu, here)
    elif not choice.wants_tpu:
        yield skipped('detector.device is "cpu"')
    elif choice.insists:
        there = f"there is {_names(present)}" if present else "there is none"
        remedy = "; ".join(why_none(here.root).splitlines())
        yield fail(f"detector.device {choice.text!r}: no such Edge TPU, {there}", remedy)
    else:
        yield skipped("no Edge TPU: the CPU is used", "; ".join(why_none(here.root).splitlines()))


def _judged(tpu: EdgeTpu, here: Surroundings) -> Iterator[Finding]:
    holder = lock_holder(lock_path(tpu))
    if tpu.device in devices_in_use(here) or (holder is not None and not is_ours(holder.pid)):
        yield ok(f"{tpu.device}: in use by edgecam{f' ({holder})' if holder else ''}, {_speed(tpu)}")
    elif found := trouble(tpu):
        if here.service.running and "in use by" in found:
            yield ok(f"{tpu.device}: in use while the service runs, {_speed(tpu)}")
        elif here.closed_to_this_user(found):
            yield skipped(f"{tpu.device}: closed to this user; of the service's user, account tells", AS_ROOT)
        else:
            yield fail(*parted(found, _REPLUG))
    else:
        state = "" if tpu.running else ", firmware not loaded yet"
        yield ok(f"{tpu.device}: free, {_speed(tpu)}{state}")
    if slow := caution(tpu):
        yield warn(*parted(slow, "use a blue USB 3 port"))


def check_gasket(here: Surroundings) -> Iterator[Finding]:
    """A PCIe or M.2 card has its driver, and the driver its node."""
    cards = [folder for folder in sorted(here.at("sys/bus/pci/devices").glob("*")) if _is_card(folder)]
    nodes = sorted(here.at("sys/class/apex").glob("apex_*"))
    if not cards:
        yield skipped("no PCIe or M.2 card")
        return
    idle = [card.name for card in cards if not (card / "driver").exists() and not (card / "driver").is_symlink()]
    for name in idle:
        yield fail(f"the card at {name} has no driver", "`sudo modprobe apex`, else install gasket-dkms")
    if not idle and len(nodes) < len(cards):
        remedy = "`sudo dmesg | grep apex` says why the driver refused it"
        yield fail(f"{len(cards)} cards, but only {len(nodes)} apex devices", remedy)
    elif not idle:
        yield ok(f"driver apex, {', '.join(node.name for node in nodes)}")


def check_udev(here: Surroundings) -> Iterator[Finding]:
    """The rule that gives both ids of a stick, and the cards, to a group."""
    rules = _rules(here)
    lacking = [":".join(ids) for ids in (NO_FIRMWARE, RUNNING) if not _names_ids(rules, ids)]
    cards = [tpu for tpu in list_edge_tpus(here.root) if tpu.kind == "pci"]
    if cards and 'SUBSYSTEM=="apex"' not in rules:
        lacking.append("apex")
    if not lacking:
        yield ok("rules for both ids of a stick" + (" and for cards" if cards else ""))
    elif wanted_tpus(here) or here.service.installed:
        yield fail(f"no udev rule for {' and '.join(lacking)}", _INSTALL_RULES)
    else:
        yield skipped(f"no udev rule for {' and '.join(lacking)}; there is no Edge TPU either", _INSTALL_RULES)


def _rules(here: Surroundings) -> str:
    """The lines of all udev rules that are no comments."""
    files: list[Path] = [file for folder in RULES for file in sorted(here.at(folder).glob("*.rules"))]
    texts = []
    for file in files:
        try:
            texts.append(file.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return "\n".join(line for text in texts for line in text.splitlines() if not line.lstrip().startswith("#"))


def _names_ids(rules: str, ids: tuple[str, str]) -> bool:
    """In one line; libedgetpu's own rules name the vendor alone."""
    vendor, product = ids
    lines = [line for line in rules.splitlines() if re.search(rf'idVendor\}}=="{vendor}"', line)]
    return any("idProduct" not in line or f'idProduct}}=="{product}"' in line for line in lines)


def _is_card(folder: Path) -> bool:
    return (start_of(folder / "vendor").strip(), start_of(folder / "device").strip()) == CARD


def _names(tpus: Sequence[EdgeTpu]) -> str:
    return ", ".join(tpu.device for tpu in tpus)


def _speed(tpu: EdgeTpu) -> str:
    return f"{tpu.speed} Mbit/s" if tpu.speed else "PCIe" if tpu.kind == "pci" else "speed not told"
