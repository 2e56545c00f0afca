"""What systemd is told, at a real datagram socket."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from notify_socket import NotifySocket

from edgecam.bundled import systemd_folder
from edgecam.config import Config
from edgecam.patient_outbox import PATIENCE
from edgecam.publisher import PublishWorker
from edgecam.systemd import Notifier
from edgecam.worker import Worker

UNIT = systemd_folder() / "edgecam.service"


def unit_key(name: str) -> str:
    found = re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) == 1
    return str(found[0])


def test_what_is_told_is_as_sd_notify_has_it(tmp_path: Path) -> None:
    systemd = NotifySocket(tmp_path)
    notifier = Notifier(systemd.environment)
    notifier.ready()
    notifier.status("front: 30 fps\nMobileDet")
    notifier.pet()
    notifier.bite()
    notifier.extend(1.5)
    notifier.reloading()
    notifier.stopping()
    notifier.close()
    notifier.close()
    assert systemd.listen() == [
        "READY=1",
        "STATUS=front: 30 fps MobileDet",
        "WATCHDOG=1",
        "WATCHDOG=trigger",
        "EXTEND_TIMEOUT_USEC=1500000",
        "RELOADING=1",
        "STOPPING=1",
    ]
    systemd.close()


def test_nobody_is_told_where_nobody_listens(tmp_path: Path) -> None:
    alone = Notifier({"WATCHDOG_USEC": "1000000"})
    alone.ready()
    assert (alone.listening, alone.watchdog) == (False, None)
    gone = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nothing")})
    gone.ready()
    gone.close()


def test_a_systemd_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    systemd = NotifySocket(tmp_path)
    notifier = Notifier(systemd.environment)
    for _ in range(2000):
        notifier.status("x" * 1000)
    notifier.close()
    systemd.close()


def test_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("")  # Linux chooses an abstract name
        name = listener.getsockname()
        notifier = Notifier({"NOTIFY_SOCKET": "@" + name[1:].decode()})
        notifier.ready()
        assert listener.recv(100) == b"READY=1"
        notifier.close()


@pytest.mark.parametrize(
    ("environment", "limit"),
    [
        ({"WATCHDOG_USEC": "45000000"}, 45.0),
        ({"WATCHDOG_USEC": "45000000", "WATCHDOG_PID": "7"}, 45.0),
        ({"WATCHDOG_USEC": "45000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_ours_or_nobodys(environment: dict[str, str], limit: float | None) -> None:
    assert Notifier({"NOTIFY_SOCKET": "/run/x", **environment}, pid=7).watchdog == limit


def test_the_limits_of_the_unit_fit_those_of_the_threads() -> None:
    watchdog, restart = float(unit_key("WatchdogSec")), float(unit_key("RestartSec"))
    assert Worker.turn_limit < watchdog, "a hung thread is noticed before systemd does"
    assert PublishWorker.turn_limit > 5 * PATIENCE, "a card that stalls is no hang"
    burst, interval = int(unit_key("StartLimitBurst")), float(unit_key("StartLimitIntervalSec"))
    assert burst * (Worker.turn_limit - 1 + restart) > interval, (
        "a thread that hangs after each start is never given up"
    )
    assert burst * (restart + 5) < interval, "a crash at each start is"
    assert float(unit_key("TimeoutStopSec")) >= 3 * Config().pipeline.stop_timeout + 10
    assert unit_key("RestartPreventExitStatus") == "78"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze: apt-get install systemd")
def test_the_unit_is_exposed_little(tmp_path: Path) -> None:
    unit = shutil.copy(UNIT, tmp_path)
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
