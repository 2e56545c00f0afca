"""What stands around the appliance in the soak: its disk, camera, Edge TPU, wall clock, broker and subscriber."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service_lab import broker
from service_lab.container import UNIT, Container
from service_lab.image import REPOSITORY, NotHere
from service_lab.stage import CLIP, Stage

sys.path.insert(0, str(REPOSITORY / "tests"))

from edgetpu.build import FLAGS, SOURCES, compiler
from edgetpu.standin import StandIn

LAB = "/opt/lab"
WORLD = "/srv/lab/world"
CLOCK = "/srv/lab/clock"
FILM = "/srv/lab/film.mp4"
DATA = "/var/lib/edgecam"
DEVICE = "/opt/lab/disk"
CAMERA_UNIT = "lab-camera.service"
PYTHON = "/opt/edgecam/current/bin/python"
STICK = "2-1"
DISK_BYTES = 1_200_000_000
SPARE_BYTES = 600_000_000
_SERVICE = f"""\
[Service]
Environment=EDGECAM_HOST_ROOT={WORLD} EDGETPU_STANDIN={WORLD} EDGECAM_LOCK_DIR={WORLD}/locks
Environment=LD_PRELOAD={LAB}/wall_clock.so EDGECAM_LAB_CLOCK={CLOCK}
ReadWritePaths={WORLD}
"""
_CAMERA = """\
[Service]
ExecStart={python} {lab}/camera.py serve {film} {port}
Restart=always
RestartSec=1
[Install]
WantedBy=multi-user.target
"""
_BROKER = """\
autosave_interval 1
autosave_on_changes true
max_queued_messages 0
"""
_CONFIGURATION = """\
[detector]
model = "{lab}/model/edgecam_demo.tflite"
[edgetpu]
library = "{lab}/libedgetpu.so.1"
[retention]
min_free_bytes = {spare}
[mqtt]
enabled = true
host = "127.0.0.1"
port = {port}
username = "{user}"
password_file = "/etc/edgecam/mqtt-password"
stats_interval = 5.0
[cameras.front]
type = "video_file"
path = "tcp://127.0.0.1:{camera}"
"""


@dataclass
class Site:
    """All of it, in a container with edgecam installed."""

    stage: Stage
    container: Container
    camera_port: int
    loop: str = ""

    @property
    def world(self) -> StandIn:
        """The Edge TPUs that are plugged in, and how they behave."""
        return StandIn(self.path(WORLD), Path(LAB))

    def plug(self, *, firmware: bool = True) -> None:
        """Plug in the Edge TPU; the service, which is not root, may give it its firmware."""
        others = os.umask(0)
        try:
            self.world.plug(STICK, firmware=firmware)
        finally:
            os.umask(others)

    def path(self, inside: str) -> Path:
        """A path of the container, from outside; not below DATA, which has a disk of its own."""
        return self.container.disk.root / inside.lstrip("/")

    def set_up(self) -> None:
        """Everything but the disk, and edgecam stopped. Raises NotHere."""
        self.must(f"systemctl stop {UNIT}", limit=120)
        self._compile()
        self._plug_in()
        folder = Path(__file__).parent
        self.container.disk.write(f"{LAB}/camera.py", (folder / "camera.py").read_text())
        self.must(f"{PYTHON} {LAB}/camera.py film {CLIP} {FILM}", limit=300)
        unit = _CAMERA.format(python=PYTHON, lab=LAB, film=FILM, port=self.camera_port)
        self.container.disk.write(f"/etc/systemd/system/{CAMERA_UNIT}", unit)
        self.container.disk.write(f"/etc/systemd/system/{UNIT}.d/soak.conf", _SERVICE)
        self.container.disk.write("/etc/mosquitto/conf.d/soak.conf", _BROKER)
        self.stage.configure(self.container)
        self.container.disk.write("/etc/edgecam/edgecam.toml", self._configuration(), 0o640)
        self.must("chown root:edgecam /etc/edgecam/edgecam.toml; systemctl daemon-reload")
        # Sessions of earlier rounds would be kept, and written to the disk with every message.
        self.must("systemctl stop mosquitto; rm -f /var/lib/mosquitto/mosquitto.db; systemctl start mosquitto")
        self.must(f"systemctl enable {CAMERA_UNIT}; systemctl restart {CAMERA_UNIT}")

    def must(self, command: str, limit: float = 60.0) -> str:
        """Run in the container; its output. Raises NotHere where it fails."""
        done = self.container.run(command, limit=limit)
        if done.returncode:
            raise NotHere(f"{command}: {(done.stderr or done.stdout).strip()[-400:]}")
        return done.stdout

    def set_clock(self, seconds: float) -> None:
        """Move the wall clock of the service so far from the machine's."""
        with self.path(CLOCK).open("r+b") as file:
            file.write(struct.pack("=q", int(seconds * 1e9)))

    def _configuration(self) -> str:
        return _CONFIGURATION.format(
            lab=LAB, spare=SPARE_BYTES, port=self.stage.port, user=broker.USER, camera=self.camera_port
        )

    def _compile(self) -> None:
        """The stand-in for the Edge TPU's library and the one for the wall clock."""
        cc = compiler()
        if cc is None:
            raise NotHere("no C compiler, for the stand-ins of the Edge TPU and of the clock: apt-get install gcc")
        self.path(LAB).mkdir(parents=True, exist_ok=True)
        flags = [flag for flag in FLAGS if "STANDIN_RUNNER" not in flag]
        flags += [f'-DSTANDIN_RUNNER="{LAB}/model_runner.py"']
        sources = [str(source) for source in SOURCES if source.suffix == ".c"]
        clock = ["-O2", "-fPIC", "-shared", str(Path(__file__).parent / "wall_clock.c")]
        for target, arguments in (("libedgetpu.so.1", [*flags, *sources]), ("wall_clock.so", clock)):
            command = [cc, "-o", str(self.path(f"{LAB}/{target}")), *arguments, "-ldl", "-pthread"]
            subprocess.run(command, check=True, capture_output=True)
        self.container.disk.write(CLOCK, "\0" * 8)

    def _plug_in(self) -> None:
        """The model compiled for the stand-in, and one of them plugged in; it remembers its answers."""
        kit, model = REPOSITORY / "tests" / "edgetpu", f"{LAB}/model/edgecam_demo"
        for name in ("model_runner.py", "compile_model.py"):
            self.container.disk.write(f"{LAB}/{name}", (kit / name).read_text())
        self.path(f"{LAB}/model").mkdir(exist_ok=True)
        for suffix in (".tflite", ".txt"):
            shutil.copy(REPOSITORY / "models" / f"edgecam_demo{suffix}", self.path(model + suffix))
        self.must(f"{PYTHON} {LAB}/compile_model.py {model}.tflite {model}_edgetpu.tflite")
        self.world.set(exec="cache", latency_ms=9.1)
        self.plug()
        self.must(f"chmod -R a+rwX {WORLD} {LAB} /srv/lab")

    @contextlib.contextmanager
    def disk(self) -> Iterator[None]:
        """A disk of its own for edgecam's data, that can be filled, frozen and broken."""
        image = self.stage.folder / "soak-disk"
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True, capture_output=True)
        found = subprocess.run(["losetup", "--find", "--show", str(image)], capture_output=True, text=True, check=False)
        if found.returncode:
            raise NotHere(f"no loop device: {found.stderr.strip()}")
        self.loop = found.stdout.strip()
        try:
            number = self.loop.removeprefix("/dev/loop")
            self.must(f"mknod {DEVICE} b 7 {number}; rm -rf {DATA}/*; mount {DEVICE} {DATA}")
            yield
        finally:
            self.container.run(f"fsfreeze --unfreeze {DATA}; systemctl kill --signal=KILL {UNIT}; umount {DATA}")
            subprocess.run(["losetup", "--detach", self.loop], check=False, capture_output=True)


class Subscriber(broker.Listener):
    """Keeps all that comes, whatever becomes of the broker meanwhile: it comes back, to the same session."""

    @contextlib.contextmanager
    def listening(self) -> Iterator[Subscriber]:
        login = f"-h 127.0.0.1 -p {self._port} -u {broker.USER} -P {broker.PASSWORD} -i soak -c -q 1 -k 20"
        topics = "-t edgecam/events -t edgecam/available -t edgecam/status"
        ever = f"while :; do mosquitto_sub {login} -F '%U %t %p' {topics}; sleep 0.2; done"
        with self._notes.open("ab") as notes:
            process = subprocess.Popen(
                self._container.inside(f"exec setsid sh -c \"{ever}\""),
                stdin=subprocess.DEVNULL, stdout=notes, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                yield self
            finally:
                self._container.run("pkill -f '^sh -c while :; do mosquitto_sub'; pkill -x mosquitto_sub")
                process.terminate()
                process.wait(10)
