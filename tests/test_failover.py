"""Edge TPUs that come, fail and come back, and the CPU that stands in: every picture is answered, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecam.detectors.edgetpu import EdgeTpu
from edgecam.detectors.failover import HELD_BACK, FailoverDetector
from edgecam.detectors.seat import FIRMWARE_LIMIT, GONE_LIMIT, LONGEST_WAIT, PATIENCE, RARE_WAIT, SLOTS
from edgecam.detectors.watch import TpuWatch
from edgecam.errors import DetectorError, ModelError
from edgecam.models import ModelPair
from edgecam.testing import ManualClock
from edgecam.types import BBox, Detection, Inference

Picture = NDArray[np.uint8]
ALWAYS_READABLE = Path("/dev/null").open("rb")  # noqa: SIM115 -- as long as the tests run


class FakeHosted:
    """Keeps the contract of a HostedModel; the test says when it is ready, dies or hangs."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.runtime, self.note = "fake runtime", ""
        self.getting_ready = 1
        self.fault = ""
        self.slow = False
        self.killed = False
        self.pictures: list[Picture] = []

    def start(self) -> None:
        self.check()

    def poll(self) -> bool:
        self.check()
        self.getting_ready -= 1
        return self.getting_ready < 0

    def submit(self, image: Picture) -> None:
        self.check()
        assert len(self.pictures) < 2, "no free slot"
        self.pictures.append(image)

    def collect(self, timeout: float) -> Inference | None:
        self.check()
        assert self.pictures, "nothing is under way"
        if self.slow:
            return None
        return Inference([named(self.pictures.pop(0), self.device)], 0.009)

    def fileno(self) -> int:
        return ALWAYS_READABLE.fileno()

    def check(self) -> None:
        assert not self.killed, "used after its end"
        if self.fault:
            raise DetectorError(self.fault)

    def kill(self) -> None:
        self.killed = True
        self.pictures.clear()


def named(image: Picture, where: str) -> Detection:
    return Detection(f"{image[0, 0, 0]} on {where}", 0.9, BBox(0, 0, 1, 1))


def picture(number: int) -> Picture:
    return np.full((2, 2, 3), number % 256, np.uint8)


class World:
    """A detector on fake Edge TPUs, and a hand on everything."""

    def __init__(self, folder: Path, *, cpu: bool = True, device: str = "auto") -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.plugged: dict[str, EdgeTpu] = {}
        self.hosts: list[FakeHosted] = []
        compiled = folder / "tiny_edgetpu.tflite"
        compiled.write_bytes(tiny_models.detector())
        plain = folder / "tiny.tflite"
        plain.write_bytes(tiny_models.detector())
        plain.with_suffix(".txt").write_text("cat\ndog\n")
        pair = ModelPair("tiny", compiled, plain if cpu else None, plain.with_suffix(".txt"))
        watch = TpuWatch(lambda: list(self.plugged.values()), settle=1.0, interval=0.0)
        self.detector = FailoverDetector(pair, device, watch=watch, host=self.host, clock=self.clock.monotonic)

    def host(self, device: str, lock: Path) -> FakeHosted:
        assert device in self.plugged
        self.hosts.append(FakeHosted(device))
        return self.hosts[-1]

    def plug(self, name: str = "2-1", mode: int = 0o666) -> None:
        node = self.folder / name
        node.touch()
        node.chmod(mode)
        tpu = EdgeTpu("usb", name, node, running=True, speed=5000)
        self.plugged[tpu.device] = tpu

    def unplug(self, name: str = "2-1") -> None:
        del self.plugged[f"usb:{name}"]

    def pass_time(self, seconds: float) -> None:
        """Let time pass with turns in it, as the detect thread makes them."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self.detector.collect(0.0)

    def ask(self, number: int) -> str:
        self.detector.submit(picture(number))
        return self.answer()

    def answer(self) -> str:
        for _ in range(10):
            done = self.detector.collect(0.0)
            if done is not None:
                return done.detections[0].label
        raise AssertionError("no answer")

    @property
    def where(self) -> str:
        return self.detector.info.device


@pytest.fixture
def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., World]]:
    """Makes a world; all of them are closed after the test."""
    monkeypatch.setenv("EDGECAM_LOCK_DIR", str(tmp_path))
    made: list[World] = []

    def make(**options: Any) -> World:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(World(folder, **options))
        return made[-1]

    yield make
    for each in made:
        each.detector.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


def test_the_cpu_works_at_once_and_the_edge_tpu_as_soon_as_it_is_ready(world: World) -> None:
    world.plug()
    world.detector.open()
    assert (world.where, world.detector.info.degraded) == ("cpu", "usb:2-1: being opened")
    assert world.ask(1) == "cat"
    world.pass_time(0.2)
    assert (world.where, world.detector.info.degraded, world.detector.slots) == ("usb:2-1", "", 2)
    assert world.ask(2) == "2 on usb:2-1"


def test_nothing_plugged_is_said_and_waited_for(world: World) -> None:
    world.detector.open()
    assert world.ask(1) == "cat"
    assert "no Edge TPU found" in world.detector.info.degraded
    world.plug()
    world.pass_time(0.9)
    assert not world.hosts, "a stick must have been there for a second"
    world.pass_time(0.5)
    assert world.where == "usb:2-1"


def test_pictures_under_way_on_a_lost_edge_tpu_are_done_by_the_cpu(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    world.plug()
    world.detector.open()
    world.pass_time(20)
    world.detector.submit(picture(1))
    world.detector.submit(picture(2))
    world.hosts[0].fault = "usb:2-1: died of SIGABRT"
    assert [world.answer(), world.answer()] == ["cat", "cat"]
    assert (world.where, world.detector.info.degraded) == ("cpu", "usb:2-1: died of SIGABRT")
    assert world.hosts[0].killed
    world.pass_time(1.5)
    assert world.ask(3) == "3 on usb:2-1"
    changes = [record for record in caplog.records if "detector on" in record.getMessage()]
    assert [(record.levelname, record.getMessage().split(" after")[0]) for record in changes] == [
        ("INFO", "detector on usb:2-1"),
        ("WARNING", "detector on cpu"),
        ("WARNING", "detector on usb:2-1"),
    ]


def test_the_cpu_holds_no_memory_beside_an_edge_tpu_that_works_and_is_there_when_that_is_lost(world: World) -> None:
    world.plug()
    world.detector.open()
    world.pass_time(20)
    assert world.detector._spare is not None
    world.pass_time(15)
    assert world.detector._spare is None
    world.detector.submit(picture(1))
    world.hosts[0].fault = "usb:2-1: died of SIGABRT"
    assert world.answer() == "cat"
    assert (world.where, world.detector.slots) == ("cpu", 1)


def test_a_model_that_has_gone_meanwhile_is_told_and_the_edge_tpu_waited_for(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.plug()
    world.detector.open()
    world.pass_time(40)
    (world.folder / "tiny.tflite").unlink()
    world.hosts[0].fault = "usb:2-1: died of SIGABRT"
    world.detector.collect(0.0)
    assert (world.where, world.detector.slots) == ("", 0)
    (told,) = (record.getMessage() for record in caplog.records if record.levelname == "ERROR")
    assert told.startswith(f"the CPU cannot stand in: {world.folder}/tiny.tflite: no such model file: ")
    world.pass_time(1.5)
    assert world.ask(3) == "3 on usb:2-1"


def test_an_edge_tpu_that_dies_idle_is_noticed(world: World) -> None:
    world.plug()
    world.detector.open()
    world.pass_time(0.5)
    world.hosts[0].fault = "usb:2-1: died of SIGABRT"
    world.detector.collect(0.0)
    assert world.where == "cpu"


def test_a_stick_pulled_and_pushed_in_again_is_back_within_ten_seconds(world: World) -> None:
    world.plug()
    world.detector.open()
    world.pass_time(30)
    world.hosts[0].fault = "usb:2-1: died of SIGABRT"
    world.unplug()
    world.pass_time(60)
    assert "no Edge TPU found" in world.detector.info.degraded
    world.plug()
    world.pass_time(1.4)
    assert world.where == "usb:2-1"


def test_a_stick_that_leaves_with_its_firmware_is_waited_for(world: World) -> None:
    world.plug()
    world.detector.open()
    world.hosts[0].getting_ready = 40
    world.unplug()
    world.pass_time(2.0)
    world.plug()
    world.pass_time(3.0)
    assert (world.where, len(world.hosts)) == ("usb:2-1", 1)


def test_a_stick_pulled_while_it_opens_is_given_up(world: World) -> None:
    world.plug()
    world.detector.open()
    world.hosts[0].getting_ready = 10**6
    world.unplug()
    world.pass_time(FIRMWARE_LIMIT + 1)
    assert world.hosts[0].killed
    world.plug()
    world.pass_time(2.0)
    assert world.where == "usb:2-1"


def test_a_stick_that_libedgetpu_does_not_miss_is_given_up_all_the_same(world: World) -> None:
    world.plug()
    world.detector.open()
    world.pass_time(0.5)
    world.unplug()
    world.pass_time(GONE_LIMIT + 0.5)
    assert world.where == "cpu"


def test_one_that_fails_again_and_again_is_tried_less_and_less_but_never_given_up(world: World) -> None:
    world.plug()
    world.detector.open()
    for _ in range(600):
        world.hosts[-1].fault = "usb:2-1: refused"
        world.pass_time(0.1)
    assert 18 <= len(world.hosts) <= 22
    world.pass_time(LONGEST_WAIT + 0.5)
    assert world.where == "usb:2-1"


def test_one_that_fails_for_long_is_tried_rarely_until_it_is_replugged(world: World) -> None:
    world.plug()
    world.detector.open()

    def fail_for(seconds: float) -> int:
        before = len(world.hosts)
        for _ in range(int(seconds)):
            world.hosts[-1].fault = "usb:2-1: refused"
            world.pass_time(1.0)
        return len(world.hosts) - before

    fail_for(PATIENCE + 5)
    assert 1 <= fail_for(3 * RARE_WAIT) <= 4
    world.unplug()
    world.pass_time(1.0)
    world.plug()
    world.pass_time(2.0)
    assert world.where == "usb:2-1"


def test_one_that_dies_soon_after_each_opening_is_tried_less_and_less(world: World) -> None:
    world.plug()
    world.detector.open()
    for _ in range(60):
        world.pass_time(1.0)
        if world.where == "usb:2-1":
            world.hosts[-1].fault = "usb:2-1: died of SIGABRT"
    assert 12 <= len(world.hosts) <= 22


def test_two_edge_tpus_share_the_work_and_the_answers_stay_in_order(world: World) -> None:
    world.plug("2-1")
    world.plug("2-2")
    world.detector.open()
    world.pass_time(0.5)
    assert (world.where, world.detector.slots) == ("usb:2-1,usb:2-2", 4)
    for number in range(4):
        world.detector.submit(picture(number))
    assert [world.answer() for _ in range(4)] == ["0 on usb:2-1", "1 on usb:2-2", "2 on usb:2-1", "3 on usb:2-2"]


def test_a_slow_one_of_two_does_not_hold_up_the_other(world: World) -> None:
    world.plug("2-1")
    world.plug("2-2")
    world.detector.open()
    world.pass_time(0.5)
    slow, fast = world.hosts
    slow.slow = True
    asked = 0
    for _ in range(20):
        while asked < world.detector.slots:
            world.detector.submit(picture(asked))
            asked += 1
        assert world.detector.collect(0.0) is None
    assert asked == SLOTS * 2 + HELD_BACK * 2, "as far as its answers may be held back"
    assert (len(slow.pictures), len(fast.pictures)) == (2, 0)
    slow.slow = False
    answers = [world.answer() for _ in range(asked)]
    assert [int(answer.split()[0]) for answer in answers] == list(range(asked))
    assert answers.count("0 on usb:2-1") + answers.count("2 on usb:2-1") == 2
    assert sum("usb:2-2" in answer for answer in answers) == asked - 2
    assert world.detector.slots == 4


def test_one_of_two_takes_over_from_the_other(world: World) -> None:
    world.plug("2-1")
    world.plug("2-2")
    world.detector.open()
    world.pass_time(0.5)
    for number in range(4):
        world.detector.submit(picture(number))
    world.hosts[0].fault = "usb:2-1: died of SIGABRT"
    assert [world.answer() for _ in range(4)] == [f"{number} on usb:2-2" for number in range(4)]
    assert (world.where, world.detector.info.degraded) == ("usb:2-2", "usb:2-1: died of SIGABRT")


def test_two_cameras_do_not_disturb_each_other_on_one_edge_tpu(make_world: Callable[..., World]) -> None:
    world, other = make_world(), make_world()
    for each in (world, other):
        each.plug()
        each.detector.open()
        each.pass_time(1.0)
    assert (world.where, other.where) == ("usb:2-1", "cpu")
    assert "another camera" in other.detector.info.degraded
    world.detector.close()
    other.pass_time(LONGEST_WAIT + 0.5)
    assert other.where == "usb:2-1"


def test_without_a_cpu_version_it_takes_nothing_until_there_is_an_edge_tpu(make_world: Callable[..., World]) -> None:
    world = make_world(cpu=False)
    world.detector.open()
    assert (world.where, world.detector.slots) == ("", 0)
    world.plug()
    world.pass_time(2.0)
    world.detector.submit(picture(1))
    world.hosts[0].fault = "usb:2-1: died of SIGABRT"
    with pytest.raises(DetectorError, match="SIGABRT"):
        world.answer()


@pytest.mark.parametrize(
    ("device", "expected"), [("usb", "usb:2-1,usb:2-2"), ("usb:1", "usb:2-2"), ("usb:2-1", "usb:2-1")]
)
def test_who_insists_gets_that_one_and_never_the_cpu(
    make_world: Callable[..., World], device: str, expected: str
) -> None:
    world = make_world(device=device)
    world.detector.open()
    assert world.detector.slots == 0
    world.plug("2-1")
    world.plug("2-2")
    world.pass_time(2.0)
    assert world.where == expected


@pytest.mark.skipif("os.geteuid() == 0", reason="root may use every node")
def test_a_stick_without_permission_is_refused_in_plain_words(world: World) -> None:
    world.plug(mode=0o400)
    world.detector.open()
    assert "udev rule" in world.detector.info.degraded


def test_a_pair_without_a_compiled_version_is_refused(tmp_path: Path) -> None:
    detector = FailoverDetector(ModelPair("x", None, tmp_path / "x.tflite", missing="x: not compiled"))
    with pytest.raises(ModelError, match="not compiled"):
        detector.open()


ACTIONS = ["ask", "ask", "ask", "collect", "plug", "unplug", "die", "time"]


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 1)), max_size=60))
def test_whatever_happens_every_picture_is_answered_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, story: list[tuple[str, int]]
) -> None:
    world = World(tmp_path_factory.mktemp("world"))
    detector, asked, answered = world.detector, 0, []
    detector.open()

    def take() -> None:
        done = detector.collect(0.0)
        if done is not None:
            answered.append(done.detections[0].label)

    def ask() -> None:
        nonlocal asked
        if asked - len(answered) < detector.slots:
            detector.submit(picture(asked))
            asked += 1

    def die(stick: int) -> None:
        for host in world.hosts:
            if host.device == f"usb:2-{stick}" and not host.killed:
                host.fault = "died"

    steps: dict[str, Callable[[int], object]] = {
        "ask": lambda _: ask(),
        "collect": lambda _: take(),
        "plug": lambda stick: world.plug(f"2-{stick}"),
        "unplug": lambda stick: world.plugged.pop(f"usb:2-{stick}", None),
        "die": die,
        "time": lambda _: world.clock.advance(0.7),
    }
    for action, stick in story:
        steps[action](stick)
    for _ in range(20):
        take()
    assert len(answered) == asked
    on_tpu = [(int(label.split()[0]), label) for label in answered if " on " in label]
    assert all(answered[number % 256] == label for number, label in on_tpu)
    detector.close()
    assert all(host.killed for host in world.hosts)
