"""The board: what it says of its power supply and its cooling, and the watch over that."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from edgecam.health.board import (
    REMEDIES,
    TROUBLES,
    UNDER_VOLTAGE,
    Board,
    ask_vcgencmd,
    read_board,
    throttled_since_boot,
)
from edgecam.health.watching import LOOK_EVERY, NEAR, QUIET, BoardWatch, BoardWorker
from edgecam.testing import ManualClock

CAPPED, THROTTLED, WARM = (TROUBLES[bit] for bit in (1, 2, 3))
WEAK = Board(throttled_now=(UNDER_VOLTAGE,), throttled_ever=(UNDER_VOLTAGE,), watched=True)
FINE = Board(watched=True)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def pi(root: Path, throttled: str | None = None, alarm: str | None = None) -> Path:
    """A Raspberry Pi's files, as far as they are looked at."""
    write(root / "sys/firmware/devicetree/base/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    write(root / "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
    write(root / "sys/class/thermal/thermal_zone0/temp", "48312\n")
    write(root / "sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    if throttled is not None:
        write(root / "sys/devices/platform/soc/soc:firmware/get_throttled", f"{throttled}\n")
    if alarm is not None:
        write(root / "sys/class/hwmon/hwmon1/name", "rpi_volt\n")
        write(root / "sys/class/hwmon/hwmon1/in0_lcrit_alarm", f"{alarm}\n")
    return root


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    assert read_board(tmp_path) == Board()


def test_a_pi_that_is_well(tmp_path: Path) -> None:
    board = read_board(pi(tmp_path, "0", "0"))
    assert board == Board("Raspberry Pi 4 Model B Rev 1.4", (), (), 48.3, watched=True)


@pytest.mark.parametrize(
    ("throttled", "alarm", "now", "ever"),
    [
        ("50005", None, (UNDER_VOLTAGE, THROTTLED), (UNDER_VOLTAGE, THROTTLED)),
        ("50000", None, (), (UNDER_VOLTAGE, THROTTLED)),
        ("80008", None, (WARM,), (WARM,)),
        ("f0002", None, (CAPPED,), (UNDER_VOLTAGE, CAPPED, THROTTLED, WARM)),
        (None, "1", (UNDER_VOLTAGE,), (UNDER_VOLTAGE,)),
        ("80008", "1", (UNDER_VOLTAGE, WARM), (UNDER_VOLTAGE, WARM)),
        ("5", "1", (UNDER_VOLTAGE, THROTTLED), (UNDER_VOLTAGE, THROTTLED)),
        ("nonsense", "0", (), ()),
    ],
)
def test_what_a_pi_suffers(
    tmp_path: Path, throttled: str | None, alarm: str | None, now: tuple[str, ...], ever: tuple[str, ...]
) -> None:
    board = read_board(pi(tmp_path, throttled, alarm))
    assert (board.throttled_now, board.throttled_ever, board.watched) == (now, ever, True)


def test_a_pi_5_has_its_firmware_elsewhere(tmp_path: Path) -> None:
    write(tmp_path / "sys/bus/platform/drivers/raspberrypi-firmware/soc@107c000000:firmware/get_throttled", "1\n")
    assert read_board(tmp_path).throttled_now == (UNDER_VOLTAGE,)


def test_a_pc_has_a_model_too_and_watches_nothing(tmp_path: Path) -> None:
    write(tmp_path / "sys/class/dmi/id/product_name", "NUC11\n")
    assert read_board(tmp_path) == Board("NUC11")


@pytest.mark.parametrize(
    ("says", "bits"),
    [
        ("echo throttled=0x50005", 0x50005),
        ("echo 'VCHI initialization failed' >&2; exit 255", None),
        ("exec cat", None),
    ],
)
def test_vcgencmd_is_asked(tmp_path: Path, says: str, bits: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one hangs: it is not waited for."""
    monkeypatch.setattr("edgecam.health.board.VCGENCMD_TIMEOUT", 0.2 if "cat" in says else 10.0)
    command = tmp_path / "vcgencmd"
    command.write_text(f"#!/bin/sh\n{says.replace('cat', 'sleep 30')}\n")
    command.chmod(0o755)
    assert ask_vcgencmd(str(command)) == bits
    assert throttled_since_boot(str(command)) == ((UNDER_VOLTAGE, THROTTLED) if bits else None)


def test_without_vcgencmd_nothing_is_known() -> None:
    assert ask_vcgencmd("no-such-command") is None


def watched(looks: Iterable[tuple[float, Board]], losses: Mapping[str, float] | None = None) -> list[str]:
    """All that is logged over several looks."""
    watch = BoardWatch()
    return [line for now, board in looks for line in watch.update(now, board, losses or {})]


def test_a_trouble_is_said_once_when_it_begins_and_once_when_it_is_over() -> None:
    looks = [(5.0 * turn, WEAK if 10 <= 5 * turn < 40 else FINE) for turn in range(30)]
    assert watched(looks) == [f"the board: {REMEDIES[UNDER_VOLTAGE]}", "the board: under-voltage is over, after 25 s"]


def test_one_that_comes_and_goes_is_one_episode() -> None:
    looks = [(5.0 * turn, WEAK if turn % 3 == 0 else FINE) for turn in range(100)]
    assert len(watched(looks)) == 1


def test_what_lasted_a_moment_between_two_looks_is_said() -> None:
    remembers = Board(throttled_ever=(THROTTLED,), watched=True)
    lines = watched([(0.0, FINE), (5.0, remembers), (10.0, remembers), (40.0, remembers)])
    assert lines == [f"the board: {REMEDIES[THROTTLED]}", "the board: throttled is over, after 1 s"]


def test_what_was_before_the_start_is_said_once() -> None:
    remembers = Board(throttled_ever=(UNDER_VOLTAGE, THROTTLED), watched=True)
    watch = BoardWatch()
    lines = [line for turn in range(3) for line in watch.update(5.0 * turn, remembers, {})]
    assert lines == ["the board suffered before edgecam started: under-voltage, throttled"]
    assert (watch.facts.suffers, watch.facts.episodes) == ({}, {})


def test_the_facts_say_since_when_and_how_often() -> None:
    watch = BoardWatch()
    for now, board in ((0.0, FINE), (5.0, WEAK), (10.0, FINE), (5.0 + QUIET, FINE), (50.0, WEAK), (55.0, WEAK)):
        watch.update(now, board, {})
    assert watch.facts.suffers == {UNDER_VOLTAGE: 50.0}
    assert watch.facts.episodes == {UNDER_VOLTAGE: 2}
    assert watch.facts.board == WEAK


LOST = 100.0


@pytest.mark.parametrize(
    ("weak", "said"),
    [
        ((80.0, 85.0), "under-voltage 15 s before"),
        ((80.0, 85.0, 90.0, 95.0), "under-voltage since 20 s before"),
        ((100.0,), "under-voltage since 0 s before"),
        ((60.0,), None),
        ((105.0,), "under-voltage 5 s after"),
        ((LOST + NEAR + LOOK_EVERY,), None),
        ((40.0,), None),
        ((), None),
    ],
)
def test_it_is_put_beside_the_loss_of_a_detector(weak: tuple[float, ...], said: str | None) -> None:
    watch, lines = BoardWatch(), list[str]()
    for turn in range(40):
        now = 5.0 * turn
        losses = {"front": LOST} if now >= LOST else {}
        lines += [line for line in watch.update(now, WEAK if now in weak else FINE, losses) if "detector" in line]
    assert lines == ([f"front: the detector was lost, {said}: it may not get enough power"] if said else [])
    assert watch.facts.beside == ({"front": said} if said else {})


def test_a_trouble_that_was_over_when_the_detector_was_lost() -> None:
    watch = BoardWatch()
    for now in (0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 36.0):
        watch.update(now, WEAK if now == 5.0 else FINE, {"front": 34.0} if now > 34 else {})
    assert watch.facts.beside == {"front": "under-voltage 29 s before"}
    watch.update(40.0, FINE, {})
    assert watch.facts.beside == {}, "the detector is back"


def test_the_thread_looks_every_few_seconds_and_logs(caplog: pytest.LogCaptureFixture) -> None:
    clock, boards = ManualClock(), [FINE, WEAK, WEAK]
    worker = BoardWorker(clock, read=lambda: boards.pop(0), losses=lambda: {"front": 3.0})
    worker.stopping.set()  # it waits for nothing
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            worker.step()
            worker.step()
            clock.advance(LOOK_EVERY)
    assert boards == []
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["the board", "front"]
    assert worker.facts.beside == {"front": "under-voltage 2 s after"}
