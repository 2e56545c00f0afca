"""`edgecam run` on a disk that fails, ended before it is mended: the next run has every event, once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from disk_rig import FIFREEZE, FITHAW, ext4_image, freezable, mounted, unmount
from mqtt_broker import Listener, Mosquitto
from test_run_mqtt import LIMIT, assert_complete, events, finish, write_config

from edgecam.parking import NAME, parse

pytestmark = pytest.mark.any_runtime


def start(config: Path, runtime: Path) -> subprocess.Popen[str]:
    """A run whose run-time folder survives it, as systemd's does; what it says is in `said` beside the file."""
    command = [sys.executable, "-m", "edgecam", "-v", "run", "-c", str(config), "--json"]
    environment = os.environ | {"RUNTIME_DIRECTORY": str(runtime)}
    with said(config).open("a") as stderr:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment)


def said(config: Path) -> Path:
    return config.with_name("said")


def begun(config: Path) -> set[str]:
    """The ids of the events that the runs say have begun."""
    return set(re.findall(r"event (\S+): \w+, score", said(config).read_text()))


def parked_ids(file: Path) -> set[str]:
    """The ids of the events in the file."""
    return {event.document["id"] for event in parse(file.read_bytes()).events}


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = monotonic() + 60.0
    while not condition():
        assert monotonic() < end, "nothing came of it"
        sleep(0.02)


def newest(listener: Listener) -> int:
    """The number of the newest event message that went out."""
    return max(int(message["sequence"]) for message in events(listener))


def stop(process: subprocess.Popen[str], config: Path) -> dict[str, Any]:
    process.send_signal(signal.SIGTERM)
    code, summary, _ = finish(process)
    assert code == 0, said(config).read_text()
    return summary


def fail_for_good(disk: Path) -> None:
    """Have the kernel find an error, upon which it takes the disk read-only."""
    found = subprocess.run(["findmnt", "-no", "SOURCE", disk], capture_output=True, text=True, check=True)
    trigger = Path("/sys/fs/ext4", Path(found.stdout.strip()).name, "trigger_fs_error")
    if not trigger.exists():
        pytest.skip("this kernel has no trigger_fs_error to make a disk fail with")
    trigger.write_text("a test", encoding="ascii")


def mend(image: Path, disk: Path) -> None:
    """As the start of a machine does it."""
    subprocess.run(["umount", disk], check=True)
    assert subprocess.run(["e2fsck", "-p", image], capture_output=True, check=False).returncode <= 1
    mounted("-o", "loop,errors=remount-ro", image, disk)


@pytest.mark.timeout(2 * LIMIT)
def test_events_of_a_disk_that_was_mended_after_the_stop(tmp_path: Path, broker: Mosquitto) -> None:
    image, disk, runtime = ext4_image(tmp_path / "image"), tmp_path / "data", tmp_path / "run"
    disk.mkdir()
    runtime.mkdir()
    config = write_config(tmp_path, broker, pace="realtime", loop=True)
    with ExitStack() as cleanup, Listener(broker, "edgecam/#") as listener:
        mounted("-o", "loop,errors=remount-ro", image, disk)
        cleanup.callback(unmount, disk)
        process = cleanup.enter_context(start(config, runtime))
        cleanup.callback(process.kill)
        listener.wait_for("edgecam/events", limit=LIMIT)
        fail_for_good(disk)
        listener.wait_until(lambda: "edgecam.db: " in said(config).read_text(), limit=60.0)
        recorded, counted = newest(listener), len(listener.payloads("edgecam/street/person"))
        listener.wait_for("edgecam/street/person", count=counted + 4, limit=60.0)
        summary = stop(process, config)
        assert summary["events_lost"] == 0
        parked = len((runtime / NAME).read_bytes().splitlines())
        assert parked > 4
        assert newest(listener) == recorded, "what is not in the journal is not told"
        kept = f"{parked} event messages could not be recorded; kept in {runtime / NAME} for the next start"
        assert kept in said(config).read_text()

        mend(image, disk)
        again = cleanup.enter_context(start(config, runtime))
        cleanup.callback(again.kill)
        listener.wait_until(lambda: newest(listener) > recorded + parked, limit=LIMIT)
        more = stop(again, config)
        listener.wait_for("edgecam/available", b"stopped", count=2)
        assert_complete(events(listener), disk / "edgecam.db")
        ids = {message["after"]["id"] for message in events(listener)}
        assert len(ids) == summary["events"] + more["events"]
        late = {message["sequence"] for message in events(listener) if message["late"]}
        assert late >= set(range(recorded + 1, recorded + parked + 1))
        assert not any(message["after"]["cut"] for message in events(listener)), "each has its own end"
        assert (
            f"{parked} event messages that the last run could not record are recorded now" in said(config).read_text()
        )
        assert not (runtime / NAME).exists()
        assert more["mqtt"]["spool"] == 0


@pytest.mark.skipif(os.environ.get("EDGECAM_LABS") != "1", reason="takes a minute: EDGECAM_LABS=1")
@pytest.mark.timeout(2 * LIMIT)
def test_events_of_a_disk_that_hangs_through_the_stop(tmp_path: Path, broker: Mosquitto) -> None:
    """The thread that hangs in the disk may wake up at the last moment and record what was parked already."""
    image, disk, runtime = ext4_image(tmp_path / "image"), tmp_path / "data", tmp_path / "run"
    disk.mkdir()
    runtime.mkdir()
    config = write_config(tmp_path, broker, pace="realtime", loop=True)
    with ExitStack() as cleanup, Listener(broker, "edgecam/#") as listener:
        mounted("-o", "loop", image, disk)
        cleanup.callback(unmount, disk)
        process = cleanup.enter_context(start(config, runtime))
        cleanup.callback(process.kill)
        listener.wait_for("edgecam/events", limit=LIMIT)
        with freezable(disk) as set_to:
            set_to(FIFREEZE)
            listener.wait_until(lambda: "the journal: the disk has not answered" in said(config).read_text(), 60.0)
            counted = len(listener.payloads("edgecam/street/person"))
            listener.wait_for("edgecam/street/person", count=counted + 4, limit=60.0)
            process.send_signal(signal.SIGTERM)
            listener.wait_until(lambda: "for the next start" in said(config).read_text(), 60.0)
            assert len((runtime / NAME).read_bytes().splitlines()) > 4
            set_to(FITHAW)
        assert finish(process)[0] != 0, "threads were stuck"
        recorded = newest(listener)
        again = cleanup.enter_context(start(config, runtime))
        cleanup.callback(again.kill)
        listener.wait_until(lambda: newest(listener) > recorded + 10, limit=LIMIT)
        stop(again, config)
        listener.wait_for("edgecam/available", b"stopped")
        assert_complete(events(listener), disk / "edgecam.db")
        assert "damaged" not in said(config).read_text()
        assert not re.search("journal: .* events lost", said(config).read_text())
        assert not (runtime / NAME).exists()


@contextmanager
def taken_read_only(image: Path, disk: Path, process: subprocess.Popen[str]) -> Iterator[None]:
    """The disk fails; it is mended once the process has ended."""
    fail_for_good(disk)
    yield
    process.wait(LIMIT)
    mend(image, disk)


@contextmanager
def frozen(_image: Path, disk: Path, process: subprocess.Popen[str]) -> Iterator[None]:
    """The disk hangs; the process that waits for it cannot end before it answers again."""
    with freezable(disk) as set_to:
        set_to(FIFREEZE)
        yield
    process.wait(LIMIT)


@pytest.mark.skipif(os.environ.get("EDGECAM_LABS") != "1", reason="takes half a minute: EDGECAM_LABS=1")
@pytest.mark.timeout(2 * LIMIT)
@pytest.mark.parametrize("trouble", [taken_read_only, frozen])
def test_events_of_a_run_that_is_killed_while_its_disk_is_away(
    tmp_path: Path, broker: Mosquitto, trouble: Callable[..., AbstractContextManager[None]]
) -> None:
    image, disk, runtime = ext4_image(tmp_path / "image"), tmp_path / "data", tmp_path / "run"
    disk.mkdir()
    runtime.mkdir()
    config = write_config(tmp_path, broker, pace="realtime", loop=True)
    with ExitStack() as cleanup, Listener(broker, "edgecam/#") as listener:
        mounted("-o", "loop,errors=remount-ro", image, disk)
        cleanup.callback(unmount, disk)
        process = cleanup.enter_context(start(config, runtime))
        cleanup.callback(process.kill)
        listener.wait_for("edgecam/events", limit=LIMIT)
        with trouble(image, disk, process):
            until((runtime / NAME).exists)  # not by what is sent: who sends may hang in the disk as well
            before = begun(config)
            until(lambda: len(begun(config)) > len(before) + 2)
            known = begun(config)
            until(lambda: known - before <= parked_ids(runtime / NAME))
            recorded = newest(listener)
            process.kill()
            parked = len((runtime / NAME).read_bytes().splitlines())
            assert parked > 4
            assert f"events are kept in {runtime / NAME} meanwhile" in said(config).read_text()
        again = cleanup.enter_context(start(config, runtime))
        cleanup.callback(again.kill)
        listener.wait_until(lambda: newest(listener) > recorded + parked, limit=LIMIT)
        stop(again, config)
        listener.wait_for("edgecam/available", b"stopped")
        assert_complete(events(listener), disk / "edgecam.db")
        lost = known - {message["after"]["id"] for message in events(listener)}
        assert not lost, said(config).read_text()
        assert "event messages that the last run could not record are recorded now" in said(config).read_text()
        assert not (runtime / NAME).exists()
