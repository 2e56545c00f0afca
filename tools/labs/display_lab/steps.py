"""The steps of the display lab: each does one thing to edgecam in the guest and says what it saw. Raises LabFault."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from time import sleep
from typing import Any

import cv2
import judging
import numpy as np
from guest import SCREEN, Guest, LabFault
from numpy.typing import NDArray

Image = NDArray[np.uint8]

HOME = "/home/edgecam"
CAMERA = "/dev/v4l/by-path/platform-vivid.0-video-index0"
MONITOR = "/sys/class/drm/card0-Virtual-1/status"
VIVID = "/sys/bus/platform/drivers/vivid"
SLOW = 600
"""Longest wait for one thing, seconds: emulated, Python alone takes a minute to start on a busy machine."""
DUMPS = 40
"""So many screendumps of the demonstration are judged at most."""
CONFIG = f"""
data_dir = "{HOME}/data"
detector.model = "edgecam-demo"
video.enabled = false
display = {{ enabled = true, backend = "drm" }}
cameras.usb = {{ type = "v4l2", path = "{CAMERA}", size = [640, 360], fps = 10 }}
"""
HOLD_DISPLAY = "import os, time; os.open('/dev/dri/card0', os.O_RDWR); print('held', flush=True); time.sleep(9999)"
ERRORS = f"""
from edgecam import cameras
from edgecam.errors import EdgecamError

def attempt(**options):
    camera = cameras.create("v4l2", lores_size=(64, 64), **options)
    try:
        camera.open()
    except EdgecamError as error:
        print(error)
    return camera

attempt(path="/dev/video99")
attempt(path="/dev/null")
attempt(path="{CAMERA}", size=(100, 100))
attempt(path="{CAMERA}", format="mjpeg")
first = attempt(path="{CAMERA}", size=(640, 360))
attempt(path="{CAMERA}", size=(640, 360))
"""
SAID = (
    ("/dev/video99", "no such device: is the camera plugged in?"),
    ("/dev/null", "not a camera"),
    (CAMERA, "no size 100x100: it offers yu12 320x180"),
    (CAMERA, "no format mjpeg: it offers yu12, nv12, yuyv"),
    (CAMERA, "in use by another program"),
    (CAMERA, "no permission: add this user to the group video"),
)


class Steps:
    """Done in the order of the methods; `picture` is the best screendump of the demonstration."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._console: Image | None = None
        self._dumps: list[Image] = []
        self.picture: Image | None = None
        self.figures: dict[str, Any] = {}

    def demo(self) -> str:
        """`edgecam demo --display` on the bare monitor, as a user of the group video, with no desktop."""
        guest = self._guest
        self._console = self._marked_console()
        guest.start_service("demo", f"python3 -m edgecam demo --json --display --out {HOME}/demo-out")
        self._watch("demo")
        result = guest.wait_for_end("demo", 4 * SLOW)
        summary = json.loads(guest.read(f"{HOME}/demo-out/summary.json"))
        self.figures["demo"] = summary
        if result != "success" or not self._dumps:
            raise LabFault(f"demo: {result}, {len(self._dumps)} screendumps: {guest.journal('demo')[-500:]}")
        display = summary["display"]
        shown = f"shown {display['shown']}, skipped {display['skipped']}"
        return f"{summary['frames_written']} frames, {shown}, recall {summary['recall']:.2f}, {len(self._dumps)} dumps"

    def boxes(self) -> str:
        """The screendumps against the run's own annotated video, and against the clip's ground truth."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "annotated.mp4"
            path.write_bytes(self._guest.read(f"{HOME}/demo-out/annotated.mp4"))
            annotated = judging.decoded(path)
        clip, truth = judging.decoded(judging.CLIP), judging.truth()
        verdicts = [judging.judge(dump, annotated, clip, truth) for dump in self._dumps]
        boxes, objects = sum(verdict.boxes for verdict in verdicts), sum(verdict.objects for verdict in verdicts)
        self.figures["dumps"] = [verdict._asdict() for verdict in verdicts]
        best = max(range(len(verdicts)), key=lambda number: (verdicts[number].boxes, verdicts[number].psnr))
        self.picture = self._dumps[best]
        worst = min(verdict.psnr for verdict in verdicts)
        said = f"{boxes} of {objects} true objects have their box (IoU {judging.IOU}); PSNR at least {worst:.1f} dB"
        if boxes < 0.85 * objects or not objects or worst < 30:
            raise LabFault(said)
        if any(verdict.psnr < verdict.psnr_shifted or not verdict.bars_black for verdict in verdicts):
            raise LabFault(f"{said}; a picture is not in its place")
        return said

    def console(self) -> str:
        """After the demonstration the monitor shows the console again."""
        return self._console_is_back()

    def taken(self) -> str:
        """Another program has the display when the service starts: a status; then it lets go."""
        guest = self._guest
        self._console = self._marked_console()
        guest.must(f"modprobe vivid n_devs=1 && udevadm settle && cat > /etc/edgecam-lab.toml <<'END'\n{CONFIG}\nEND")
        guest.start_service("holder", f'python3 -c "{HOLD_DISPLAY}"', user="root")
        guest.wait_for("holder", "held", SLOW)
        guest.start_service("watch", "python3 -m edgecam run --json -c /etc/edgecam-lab.toml")
        guest.wait_for("watch", "display: another program owns the display", SLOW)
        guest.must("systemctl stop holder")
        return _line(guest.wait_for("watch", "display: back after", SLOW), "display: back after")

    def monitor(self) -> str:
        """The monitor is switched off and on, by the kernel's own switch; the service goes on."""
        guest = self._guest
        lines = guest.journal("watch").count("display: back after")
        guest.must(f"echo off > {MONITOR}")
        guest.wait_for("watch", "display: no monitor on Virtual-1", SLOW)
        guest.must("systemctl is-active watch")
        guest.must(f"echo detect > {MONITOR}")
        text = guest.wait_for("watch", "display: back after", SLOW, count=lines + 1)
        sleep(3)
        return f"{_line(text, 'display: back after')}; {self._moving()}"

    def unplugged(self) -> str:
        """The camera is pulled and plugged in again; its path is the same, its node may not be."""
        guest = self._guest
        guest.must(f"echo vivid.0 > {VIVID}/unbind")
        lost = _line(guest.wait_for("watch", "camera lost", SLOW), "camera lost")
        sleep(3)
        guest.must(f"echo vivid.0 > {VIVID}/bind && udevadm settle")
        back = _line(guest.wait_for("watch", "camera back", SLOW), "camera back")
        sleep(3)
        return f"{lost}; {back}; {self._moving()}"

    def stopped(self) -> str:
        """SIGTERM: an orderly end, and the console again."""
        guest = self._guest
        guest.must("systemctl kill --signal=TERM watch", SLOW)
        if (result := guest.wait_for_end("watch", SLOW)) != "success":
            raise LabFault(f"watch: {result}: {guest.journal('watch')[-500:]}")
        text = guest.journal("watch")
        summary = self.figures["watch"] = json.loads(text[text.index("{") : text.rindex("}") + 1])
        return f"{summary['frames_captured']} frames captured; {self._console_is_back()}"

    def killed(self) -> str:
        """SIGKILL while it shows: the kernel itself brings the console back."""
        guest = self._guest
        self._console = self._marked_console()
        guest.start_service("victim", "python3 -m edgecam run -c /etc/edgecam-lab.toml")
        self._until_shown("victim")
        guest.must("systemctl kill --signal=KILL victim")
        guest.wait_for_end("victim", SLOW)
        return self._console_is_back()

    def contract(self) -> str:
        """The camera contract suite, on vivid."""
        guest = self._guest
        answer = guest.run(
            f"cd /opt/checkout && EDGECAM_V4L2_DEVICE={CAMERA} PYTHONPATH=/opt/packages:/opt/checkout timeout {SLOW}"
            " python3 -m pytest -q -p no:cacheprovider -k v4l2-device tests/test_camera_contract.py",
            SLOW + 30,
        )
        last = answer.out.strip().splitlines()[-1] if answer.out.strip() else answer.err[-300:]
        self.figures["contract"] = last
        if answer.code or "skipped" in last:
            raise LabFault(f"{last}: {answer.out[-1500:]}")
        return last

    def errors(self) -> str:
        """What a user is told who asks for what there is not."""
        guest = self._guest
        guest.must(f"cat > /root/errors.py <<'END'\n{ERRORS}\nEND")
        everyone = "systemd-run --quiet --pipe --wait --setenv=PYTHONPATH=/opt/checkout:/opt/packages"
        alone = f"from edgecam import cameras; cameras.create('v4l2', path='{CAMERA}', lores_size=(64, 64)).open()"
        said = guest.must(f"{everyone} python3 /root/errors.py", SLOW)
        said += guest.run(f'{everyone} --property=User=nobody python3 -c "{alone}"', SLOW).err
        self.figures["errors"] = said.splitlines()
        missing = [words for path, words in SAID if not re.search(f"{re.escape(f'{path}: {words}')}", said)]
        if missing:
            raise LabFault(f"not said: {missing}: {said[-1500:]}")
        return f"{len(SAID)} of {len(SAID)} said as they should be"

    def _watch(self, unit: str) -> None:
        """Take screendumps while the unit runs and shows pictures, which differ from one to the next."""
        pause = 0.3 if self._guest.accelerator == "kvm" else 4.0
        while len(self._dumps) < DUMPS and not self._guest.run(f"systemctl is-active {unit}").code:
            screen = self._guest.screen()
            if not self._is_console(screen) and (not self._dumps or _differ(screen, self._dumps[-1]) > 0.001):
                self._dumps.append(screen)
            sleep(pause)

    def _until_shown(self, unit: str) -> None:
        for _ in range(SLOW):
            if not self._is_console(self._guest.screen()):
                return
            sleep(1)
        raise LabFault(f"{unit}: shows nothing after {SLOW} s: {self._guest.journal(unit)[-500:]}")

    def _moving(self) -> str:
        first = self._guest.screen()
        for _ in range(60):
            sleep(1)
            if _differ(first, self._guest.screen()) > 0.0005 and not self._is_console(first):
                return "the picture moves"
        raise LabFault("the picture stands still")

    def _marked_console(self) -> Image:
        """The console with a text of ours, so that it can be known again."""
        self._guest.must(r"printf '\033[2J\033[H\n  This is the console of the display lab.\n' > /dev/tty1")
        sleep(2)
        screen = self._guest.screen()
        if screen.shape[1::-1] != SCREEN or not screen.any():
            raise LabFault(f"no console on the monitor: {screen.shape}")
        return screen

    def _is_console(self, screen: Image) -> bool:
        assert self._console is not None
        return screen.shape == self._console.shape and _differ(screen, self._console) < 0.01

    def _console_is_back(self) -> str:
        for _ in range(10):
            if self._is_console(self._guest.screen()):
                return "the console is back"
            sleep(1)
        raise LabFault("the console is not back")


def _differ(one: Image, other: Image) -> float:
    """The part of the pixels that differ."""
    if one.shape != other.shape:
        return 1.0
    return float((cv2.absdiff(one, other).max(axis=2) > 16).mean())


def _line(text: str, words: str) -> str:
    """The last line with the words, from them on."""
    return [line[line.index(words) :] for line in text.splitlines() if words in line][-1]
