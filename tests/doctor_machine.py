"""A machine for the doctor: a folder with the files of one, commands that answer, and a service that says something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgecam.config import Config
from edgecam.doctor import Finding, State, Surroundings, examine
from edgecam.doctor.surroundings import Answer, Service, Space, run_command
from edgecam.testing import ManualClock

STRANGER = 4711
"""The number of the service's user, which is not whoever runs the tests."""
RULES = Path(__file__).resolve().parent.parent / "systemd" / "60-edgecam-edgetpu.rules"
HEALTHY_UNIT = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "ExecMainStatus": "0",
    "UnitFileState": "enabled",
    "NeedDaemonReload": "no",
    "NRestarts": "0",
    "StatusText": "front: 30.0 fps",
    "User": "edgecam",
    "SupplementaryGroups": "",
}
DEMO_CAMERA: dict[str, Any] = {"type": "synthetic"}


class TickingClock(ManualClock):
    """Each look at it takes `tick` seconds: a disk measured by it is that slow."""

    def __init__(self, tick: float) -> None:
        super().__init__()
        self._tick = tick

    def monotonic(self) -> float:
        self.sleep(self._tick)
        return super().monotonic()


@dataclass
class Machine:
    """A machine below `root`, well unless told otherwise. `settings` are those of its configuration."""

    root: Path
    settings: dict[str, Any] = field(default_factory=dict)
    cameras: dict[str, Any] = field(default_factory=lambda: {"front": DEMO_CAMERA})
    service: Service = field(default_factory=Service)
    clock: ManualClock = field(default_factory=ManualClock)
    free: int = 50_000_000_000
    commands: dict[str, Answer] = field(default_factory=dict)
    trouble: str = ""
    configured: bool = True

    def __post_init__(self) -> None:
        self.data.mkdir(parents=True)
        self.write("run/systemd/system/.there", "")
        self.config_path.parent.mkdir(parents=True)
        self.config_path.write_text("# as in `settings`\n")
        self.config_path.chmod(0o640)

    @property
    def data(self) -> Path:
        return self.root / "var/lib/edgecam"

    @property
    def config_path(self) -> Path:
        return self.root / "etc/edgecam/edgecam.toml"

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        """A file of this machine."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def set(self, **sections: dict[str, Any]) -> None:
        """Change the configuration."""
        self.settings |= sections

    def installed(
        self, told: Mapping[str, Any] | None = None, unit: Mapping[str, str] | None = None, *, running: bool = False
    ) -> None:
        """With the service; `unit` are those of systemd's properties of it that differ from the usual ones."""
        self.service = Service(
            running=running or told is not None, unit=HEALTHY_UNIT | dict(unit or {}), told=told or {}
        )

    def user(self, name: str = "edgecam", groups: str = "") -> None:
        """With the service's user."""
        self.write("etc/passwd", f"root:x:0:0:root:/root:/bin/sh\n{name}:x:{STRANGER}:{STRANGER}::/:/bin/false\n")
        self.write("etc/group", f"root:x:0:\n{name}:x:{STRANGER}:\n{groups}")

    @property
    def surroundings(self) -> Surroundings:
        config = Config.model_validate({"data_dir": str(self.data), "cameras": self.cameras} | self.settings)
        return Surroundings(
            config=config if self.configured else Config(),
            config_path=self.config_path,
            configured=self.configured,
            config_trouble=self.trouble,
            root=self.root,
            service=self.service,
            clock=self.clock,
            run=self._run,
            space=lambda _folder: Space(64_000_000_000, self.free),
        )

    def findings(self, *names: str) -> list[Finding]:
        """What the checks of these names find."""
        return [finding for name in names for finding in examine(self.surroundings, name)]

    def only(self, name: str, state: State) -> Finding:
        """The one finding of a check, which has this state."""
        (finding,) = self.findings(name)
        assert finding.state == state, finding
        return finding

    def _run(self, command: Sequence[str]) -> Answer | None:
        """Those of `commands` as told, by how they begin; systemd's are not on this machine; others are real."""
        line = " ".join(command)
        told = (answer for begin, answer in self.commands.items() if line.startswith(begin))
        return next(told, None if command[0] == "systemctl" else run_command(command))


def status_of(device: str = "cpu", *, camera: bool = True, reasons: Sequence[str] = ()) -> dict[str, Any]:
    """What a running service says of itself, as far as the doctor reads it."""
    front = {"detector": {"device": device}, "camera": {"open": camera}}
    status = {"status": "degraded" if reasons else "ok", "reasons": list(reasons), "cameras": {"front": front}}
    return {"status": status}


def of_state(findings: Sequence[Finding], state: State) -> list[Finding]:
    """Those in this state."""
    return [finding for finding in findings if finding.state == state]


def past() -> ManualClock:
    """The clock of a board that has none, before it has asked the network."""
    return ManualClock(wall_at_zero=datetime(1970, 1, 1, tzinfo=UTC), right=False)
