"""What the rounds on one Debian share: its image, the layer with edgecam installed, the broker's port."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service_lab import broker
from service_lab.container import LAB, UNIT, Container, Disk, discard, run_folder
from service_lab.image import REPOSITORY, Image, NotHere, copy_of_checkout, missing
from service_lab.tree import Inventory

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "udev", "python3", "ca-certificates", "procps"),
    *("mosquitto", "mosquitto-clients"),
)
"""What a bare machine has, and the broker. Not python3-venv: what edgecam needs, its installer has to fetch."""
CHECKOUT = "/root/edgecam"
CONFIGURATION = "/etc/edgecam/edgecam.toml"
PASSWORD_FILE = "/etc/edgecam/mqtt-password"  # noqa: S105 -- a path
CLIP = "/srv/lab/demo.mp4"
INSTALL_LIMIT = 900.0


@dataclass
class Stage:
    """One Debian. `installed` is the disk that the install round left, `bare` what was there before it."""

    suite: str
    short: bool
    folder: Path
    port: int
    installed: Path | None = None
    bare: Inventory | None = None

    @classmethod
    def set_up(cls, suite: str, *, short: bool, cached: bool, again: bool) -> Stage:
        """With its image made. Raises NotHere."""
        if why := why_not_here():
            raise NotHere(why)
        stage = cls(suite, short, run_folder(LAB, suite), broker.free_port())
        stage.image.make(cached=cached, again=again)
        return stage

    @property
    def image(self) -> Image:
        """The bare Debian."""
        return Image(LAB, self.suite, PACKAGES)

    @contextlib.contextmanager
    def machine(self, name: str, *, bare: bool = False) -> Iterator[Container]:
        """A running container of its own for a round: bare, or with edgecam installed as the install round left it."""
        below = () if bare or self.installed is None else (self.installed,)
        with Disk(self.image, self.folder / name, below).mounted() as disk:
            binds = disk.hand_in()
            if not below:
                copy_of_checkout(disk.root / CHECKOUT.lstrip("/"))
                (disk.root / CLIP.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
                disk.write(CLIP, "")
                (disk.root / CLIP.lstrip("/")).write_bytes((REPOSITORY / "edgecam" / "data" / "demo.mp4").read_bytes())
                broker.set_up(disk, self.port)
                (disk.root / "var/log/journal").mkdir(exist_ok=True)
            container = Container(disk, binds)
            try:
                container.boot()
                yield container
            finally:
                container.stop()

    def configuration(self, more: str = "", *, password_file: bool = True) -> str:
        """A configuration with a camera that plays the bundled clip over and over, and the broker."""
        secret = f'password_file = "{PASSWORD_FILE}"\n' if password_file else ""
        return (
            f'{more}\n[mqtt]\nenabled = true\nhost = "127.0.0.1"\nport = {self.port}\nusername = "{broker.USER}"\n'
            f'{secret}\n[cameras.front]\ntype = "video_file"\npath = "{CLIP}"\nloop = true\n'
        )

    def configure(self, container: Container, more: str = "", *, password_file: bool = True) -> None:
        """Put it in place, with the rights that the installer gives."""
        container.disk.write(CONFIGURATION, self.configuration(more, password_file=password_file))
        container.disk.write(PASSWORD_FILE, broker.PASSWORD + "\n")
        for path in (CONFIGURATION, PASSWORD_FILE):
            container.run(f"chown root:edgecam {path}; chmod 0640 {path}")

    def listener(self, container: Container, name: str) -> broker.Listener:
        """Who listens at the broker."""
        notes = self.folder / f"heard-{name}"
        notes.touch()
        return broker.Listener(container, self.port, notes)

    def clear(self) -> None:
        """Remove all that the run wrote."""
        discard(self.folder)


def start(container: Container) -> float | None:
    """Start the service anew; seconds until `systemctl start` said that it is ready, None where it failed."""
    # It is enabled: it has been started with the container, with another configuration.
    container.run(f"systemctl stop {UNIT}; systemctl reset-failed {UNIT}", limit=180)
    began = time.monotonic()
    done = container.run(f"systemctl start {UNIT}", limit=180)
    return time.monotonic() - began if done.returncode == 0 else None


def why_not_here() -> str:
    """Why this machine cannot run the lab, "" where it can."""
    if os.geteuid() != 0:
        return "it needs root, to boot a container"
    absent = missing("systemd-nspawn", "mmdebstrap", "setpriv", "nsenter", "pgrep")
    return f"{', '.join(absent)} not found: apt-get install systemd-container mmdebstrap procps" if absent else ""
