"""Edge TPUs as the kernel shows them: on made-up sysfs trees, with real processes that hold nodes and locks."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.detectors import edgetpu
from edgecam.detectors.edgetpu import (
    EdgeTpu,
    caution,
    host_root,
    list_edge_tpus,
    lock_path,
    parse_choice,
    trouble,
    why_none,
)
from edgecam.detectors.holders import Holder, is_ours, lock_holder, process_name, start_of
from edgecam.detectors.watch import TpuWatch
from edgecam.errors import InputError

ATTRIBUTES = ("idVendor", "idProduct", "busnum", "devnum", "speed")
GOOD = {"idVendor": "18d1", "idProduct": "9302", "busnum": "2", "devnum": "3", "speed": "5000"}
NOBODY = 65534


class HostTree:
    """A made-up host: its sys/ and dev/."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def plug_usb(self, name: str, *, node: bool = True, **attributes: str) -> Path:
        """Add a USB device, by default a running Edge TPU; returns its sysfs folder."""
        folder = self.root / "sys/bus/usb/devices" / name
        folder.mkdir(parents=True)
        values = GOOD | attributes
        for attribute, value in values.items():
            (folder / attribute).write_text(f"{value}\n")
        if node:
            self._node(f"bus/usb/{int(values['busnum']):03d}/{int(values['devnum']):03d}")
        return folder

    def plug_pci(self, name: str, *, node: bool = True) -> None:
        (self.root / "sys/class/apex" / name).mkdir(parents=True)
        if node:
            self._node(name)

    def _node(self, name: str) -> None:
        path = self.root / "dev" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HostTree:
    """An empty host, which is the one edgecam sees; locks are kept beside it."""
    (tmp_path / "locks").mkdir()
    monkeypatch.setenv("EDGECAM_HOST_ROOT", str(tmp_path / "host"))
    monkeypatch.setenv("EDGECAM_LOCK_DIR", str(tmp_path / "locks"))
    return HostTree(tmp_path / "host")


def only_tpu() -> EdgeTpu:
    (tpu,) = list_edge_tpus()
    return tpu


def usb(name: str = "2-1", speed: int = 5000) -> EdgeTpu:
    return EdgeTpu("usb", name, Path("/dev/bus/usb/002/003"), running=True, speed=speed)


def pci(name: str = "apex_0") -> EdgeTpu:
    return EdgeTpu("pci", name, Path("/dev") / name, running=True, speed=0)


@contextmanager
def stranger(*descriptors: int) -> Iterator[int]:
    """A process that is no descendant of ours and has these descriptors open; yields its pid."""
    start = (
        "import subprocess, sys; fds = [int(n) for n in sys.argv[1:]];"
        "quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL};"
        "print(subprocess.Popen(['sleep', '60'], pass_fds=fds, **quiet).pid)"
    )
    command = [sys.executable, "-c", start, *map(str, descriptors)]
    done = subprocess.run(command, pass_fds=descriptors, capture_output=True, text=True, check=True, timeout=60)
    pid = int(done.stdout)
    watch = os.pidfd_open(pid)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        gone, _, _ = select.select([watch], [], [], 60)
        os.close(watch)
        assert gone, f"process {pid} did not end"


@contextmanager
def descriptor_on(path: Path, flags: int = os.O_RDWR) -> Iterator[int]:
    descriptor = os.open(path, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class TestListing:
    def test_a_machine_without_usb_or_apex_has_none(self, host: HostTree) -> None:
        assert list_edge_tpus() == []

    def test_a_running_stick(self, host: HostTree) -> None:
        host.plug_usb("2-1")
        node = host.root / "dev/bus/usb/002/003"
        assert only_tpu() == EdgeTpu("usb", "2-1", node, running=True, speed=5000)
        assert only_tpu().device == "usb:2-1"

    def test_a_stick_that_waits_for_its_firmware(self, host: HostTree) -> None:
        host.plug_usb("1-1.4", idVendor="1A6E", idProduct="089A", speed="480")
        assert (only_tpu().running, only_tpu().speed) == (False, 480)

    def test_a_pcie_card(self, host: HostTree) -> None:
        host.plug_pci("apex_0")
        assert only_tpu() == EdgeTpu("pci", "apex_0", host.root / "dev/apex_0", running=True, speed=0)
        assert only_tpu().device == "pci:apex_0"

    def test_cards_before_sticks_each_by_the_numbers_in_the_name(self, host: HostTree) -> None:
        for name in ("2-1", "1-1.10", "1-1.2", "10-1"):
            host.plug_usb(name)
        for name in ("apex_10", "apex_2"):
            host.plug_pci(name)
        assert [tpu.name for tpu in list_edge_tpus()] == ["apex_2", "apex_10", "1-1.2", "1-1.10", "2-1", "10-1"]

    def test_other_devices_are_none(self, host: HostTree) -> None:
        host.plug_usb("1-1", idVendor="18d1", idProduct="4ee1")
        host.plug_usb("usb1", idVendor="1d6b", idProduct="0002")
        host.plug_usb("2-1:1.0")
        host.plug_pci("apex")
        assert list_edge_tpus() == []

    @pytest.mark.parametrize("missing", ATTRIBUTES)
    def test_a_stick_that_lacks_a_file(self, host: HostTree, missing: str) -> None:
        (host.plug_usb("2-1") / missing).unlink()
        assert [tpu.speed for tpu in list_edge_tpus()] == ([0] if missing == "speed" else [])

    def test_links_that_lead_nowhere(self, host: HostTree) -> None:
        folder = host.plug_usb("2-1").parent
        (folder / "2-2").symlink_to("../../../devices/gone")
        (folder / "2-3").symlink_to("2-3")
        host.plug_pci("apex_0")
        (host.root / "sys/class/apex/apex_1").symlink_to("gone")
        assert [tpu.name for tpu in list_edge_tpus()] == ["apex_0", "2-1"]

    @pytest.mark.parametrize("kind", ["folder", "pipe", "endless"])
    def test_files_that_are_none(self, host: HostTree, kind: str) -> None:
        path = host.plug_usb("2-1") / "idVendor"
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
        assert list_edge_tpus() == []

    def test_a_folder_that_is_a_file(self, host: HostTree) -> None:
        (host.root / "sys/class").mkdir(parents=True)
        (host.root / "sys/class/apex").write_text("apex_0")
        (host.root / "sys/bus").symlink_to("/dev/null")
        assert list_edge_tpus() == []

    @given(contents=st.dictionaries(st.sampled_from(ATTRIBUTES), st.binary(max_size=100)))
    def test_rubbish_in_the_files_is_no_error(self, contents: dict[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as root:
            folder = HostTree(Path(root)).plug_usb("2-1")
            for attribute, content in contents.items():
                (folder / attribute).write_bytes(content)
            for tpu in list_edge_tpus(Path(root)):
                assert tpu.device == "usb:2-1"
                assert tpu.speed >= 0

    @given(reads=st.integers(0, 12), stays=st.booleans())
    def test_a_stick_pulled_while_it_is_read(self, *, reads: int, stays: bool) -> None:
        with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
            host, done = HostTree(Path(root)), 0
            pulled = host.plug_usb("2-1")
            if stays:
                host.plug_usb("2-2")

            def read(path: Path) -> str:
                nonlocal done
                if done == reads:
                    shutil.rmtree(pulled)
                done += 1
                return start_of(path)

            patch.setattr(edgetpu, "start_of", read)
            found = [tpu.name for tpu in list_edge_tpus(Path(root))]
            # The speed is read last, and a stick without one is still a stick.
            assert found == (["2-1"] if reads >= 4 else []) + (["2-2"] if stays else [])

    def test_the_host_root_is_taken_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EDGECAM_HOST_ROOT", "/host")
        assert host_root() == Path("/host")
        monkeypatch.setenv("EDGECAM_HOST_ROOT", "")
        assert host_root() == Path("/")


class TestChoice:
    TPUS = (pci("apex_0"), pci("apex_1"), usb("1-1"), usb("2-1.10"))

    @pytest.mark.parametrize(
        ("text", "meant"),
        [
            ("auto", ["apex_0", "apex_1", "1-1", "2-1.10"]),
            ("edgetpu", ["apex_0", "apex_1", "1-1", "2-1.10"]),
            ("usb", ["1-1", "2-1.10"]),
            ("pci", ["apex_0", "apex_1"]),
            ("usb:0", ["1-1"]),
            ("usb:01", ["2-1.10"]),
            ("usb:2", []),
            ("pci:1", ["apex_1"]),
            (":0", ["apex_0"]),
            (":3", ["2-1.10"]),
            (":4", []),
            ("usb:2-1.10", ["2-1.10"]),
            ("usb:9-9", []),
            ("pci:apex_1", ["apex_1"]),
            ("cpu", []),
        ],
    )
    def test_what_each_form_means(self, text: str, meant: list[str]) -> None:
        assert [tpu.name for tpu in parse_choice(text).select(self.TPUS)] == meant

    @pytest.mark.parametrize(
        ("text", "wants_tpu", "insists"),
        [
            ("auto", True, False),
            ("cpu", False, False),
            ("edgetpu", True, True),
            ("usb", True, True),
            (":0", True, True),
        ],
    )
    def test_only_auto_and_cpu_do_not_insist(self, *, text: str, wants_tpu: bool, insists: bool) -> None:
        choice = parse_choice(text)
        assert (choice.text, choice.wants_tpu, choice.insists) == (text, wants_tpu, insists)

    @pytest.mark.parametrize(
        "text",
        ["", "tpu", "usb:", ":", "usb:-1", "usb:x", "USB", " usb", "usb:0 ", "gpu:0", "usb:0:0", "usb:٣", "cpu:0"],
    )
    def test_what_is_refused(self, text: str) -> None:
        with pytest.raises(InputError, match="give auto, edgetpu, usb, pci") as refused:
            parse_choice(text)
        assert repr(text) in str(refused.value)

    @given(st.text() | st.from_regex(r"(usb|pci|):[0-9a-z._:-]{0,8}", fullmatch=True))
    def test_any_text_is_understood_or_refused(self, text: str) -> None:
        try:
            choice = parse_choice(text)
        except InputError:
            return
        assert choice.text == text
        assert set(choice.select(self.TPUS)) <= set(self.TPUS)

    @given(st.sampled_from(["usb", "pci", ""]), st.integers(0, 999))
    def test_an_index_counts_those_of_its_kind(self, kind: str, index: int) -> None:
        of_kind = [tpu for tpu in self.TPUS if kind in ("", tpu.kind)]
        assert parse_choice(f"{kind}:{index}").select(self.TPUS) == of_kind[index : index + 1]

    @given(st.lists(st.sampled_from(TPUS), unique=True))
    def test_the_name_of_any_means_just_it(self, tpus: list[EdgeTpu]) -> None:
        for tpu in tpus:
            assert parse_choice(tpu.device).select(tpus) == [tpu]


class TestTrouble:
    """What speaks against opening an Edge TPU."""

    def test_nothing(self, host: HostTree) -> None:
        host.plug_usb("2-1")
        host.plug_pci("apex_0")
        assert [trouble(tpu) for tpu in list_edge_tpus()] == ["", ""]

    def test_a_missing_node(self, host: HostTree) -> None:
        host.plug_usb("2-1", node=False)
        host.plug_pci("apex_0", node=False)
        card, stick = map(trouble, list_edge_tpus())
        assert card.startswith(f"pci:apex_0: its node {host.root}/dev/apex_0 is missing: load its driver")
        assert stick.startswith(f"usb:2-1: its node {host.root}/dev/bus/usb/002/003 is missing: replug the stick")

    @pytest.mark.parametrize("plug", ["plug_usb", "plug_pci"])
    def test_no_permission_names_node_owner_and_remedy(
        self, plug: str, visible_host: HostTree, as_nobody: Callable[[], None]
    ) -> None:
        getattr(visible_host, plug)({"plug_usb": "2-1", "plug_pci": "apex_0"}[plug])
        tpu = only_tpu()
        tpu.node.chmod(0o600)
        owner = tpu.node.owner()
        as_nobody()
        said = trouble(tpu)
        assert f"no permission for {tpu.node} (-rw------- {owner}:" in said
        assert "install edgecam's udev rule" in said
        assert ("plugdev" in said, "replug" in said, "apex with" in said) == (tpu.kind == "usb",) * 2 + (
            tpu.kind == "pci",
        )

    def test_a_node_of_a_group_lacks_a_member(self, visible_host: HostTree, as_nobody: Callable[[], None]) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root may give a file to another group")
        visible_host.plug_usb("2-1")
        tpu = only_tpu()
        tpu.node.chmod(0o660)
        os.chown(tpu.node, 0, 54321)
        as_nobody()
        assert "`sudo usermod -aG 54321 " in trouble(tpu)

    @pytest.mark.parametrize(
        ("number", "said"), [(errno.EPERM, "is barred: allow the device in the container's"), (errno.ENODEV, "replug")]
    )
    def test_what_the_kernel_refuses_although_the_rights_are_there(
        self, host: HostTree, monkeypatch: pytest.MonkeyPatch, number: int, said: str
    ) -> None:
        host.plug_usb("2-1")
        tpu = only_tpu()
        really_open = os.open

        def refuse(path: Path, flags: int, *mode: int) -> int:
            if path == tpu.node:
                raise OSError(number, os.strerror(number))
            return really_open(path, flags, *mode)

        monkeypatch.setattr(os, "open", refuse)
        assert said in trouble(tpu)

    @pytest.mark.parametrize("plug", ["plug_usb", "plug_pci"])
    def test_in_use_by_another_process(self, host: HostTree, plug: str) -> None:
        getattr(host, plug)({"plug_usb": "2-1", "plug_pci": "apex_0"}[plug])
        tpu = only_tpu()
        with descriptor_on(tpu.node) as node, stranger(node) as pid:
            assert trouble(tpu) == f"{tpu.device}: in use by process {pid} (sleep): stop it first"
        assert trouble(tpu) == ""

    def test_a_file_of_the_same_name_is_another(self, host: HostTree, tmp_path: Path) -> None:
        host.plug_usb("2-1")
        (tmp_path / "003").touch()
        with descriptor_on(tmp_path / "003") as other, stranger(other):
            assert trouble(only_tpu()) == ""

    def test_what_our_children_hold_does_not_count(self, host: HostTree) -> None:
        host.plug_usb("2-1")
        tpu = only_tpu()
        with descriptor_on(tpu.node) as node, descriptor_on(lock_path(tpu), os.O_RDWR | os.O_CREAT) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            child = subprocess.Popen(["sleep", "60"], pass_fds=(node, lock))
            try:
                lock_path(tpu).write_text(f"{child.pid}\n")
                assert trouble(tpu) == ""
            finally:
                child.kill()
                child.wait()

    def test_another_edgecam_is_known_by_its_lock(self, host: HostTree) -> None:
        host.plug_usb("2-1")
        tpu = only_tpu()
        with descriptor_on(lock_path(tpu), os.O_RDWR | os.O_CREAT) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with descriptor_on(tpu.node) as node, stranger(lock, node) as pid:
                lock_path(tpu).write_text(f"{pid}\n")
                assert f"usb:2-1: in use by another edgecam (process {pid} (sleep))" in trouble(tpu)
        assert trouble(tpu) == ""

    def test_the_lock_of_a_dead_edgecam_is_none(self, host: HostTree) -> None:
        host.plug_usb("2-1")
        lock_path(only_tpu()).write_text("1\n")
        assert trouble(only_tpu()) == ""

    def test_a_claim_by_a_process_we_may_not_see(self, host: HostTree) -> None:
        interface = host.plug_usb("2-1").parent / "2-1:1.0"
        interface.mkdir()
        (interface / "driver").symlink_to("../../drivers/usbfs")
        assert "in use by a process of another user: find it with `sudo edgecam tpu list`" in trouble(only_tpu())
        with descriptor_on(only_tpu().node):
            assert trouble(only_tpu()) == "", "it is our own claim"


class TestWhyNone:
    def test_a_machine_that_shows_no_usb_at_all(self, host: HostTree) -> None:
        assert "this machine, or this container, shows no USB devices" in why_none()

    def test_a_machine_with_usb(self, host: HostTree) -> None:
        host.plug_usb("usb1", idVendor="1d6b", idProduct="0002")
        assert "replug it into a blue USB 3 port" in why_none()
        assert "lspci -d 1ac1:089a" in why_none()

    def test_a_card_without_its_driver(self, host: HostTree) -> None:
        for address, vendor in (("0000:01:00.0", "0x1ac1"), ("0000:02:00.0", "0x10ec"), ("0000:03:00.0", "0x1ac1")):
            folder = host.root / "sys/bus/pci/devices" / address
            folder.mkdir(parents=True)
            (folder / "vendor").write_text(f"{vendor}\n")
            (folder / "device").write_text("0x089a\n")
        (host.root / "sys/bus/pci/devices/0000:03:00.0/driver").symlink_to("../../../../bus/pci/drivers/apex")
        assert why_none().startswith("the card at 0000:01:00.0 has no driver: `sudo modprobe apex`")
        assert "02:00.0" not in why_none()
        assert "03:00.0" not in why_none()


class TestHolders:
    def test_this_process_and_its_children_are_ours_and_init_is_not(self) -> None:
        assert is_ours(os.getpid())
        assert not is_ours(os.getppid())
        assert not is_ours(1)
        assert not is_ours(0)

    def test_a_grandchild_is_ours_as_long_as_its_parent_lives(self) -> None:
        script = "import subprocess; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout
            grandchild = int(child.stdout.readline())
            assert is_ours(grandchild)
            os.kill(grandchild, signal.SIGKILL)
        with stranger() as pid:
            assert not is_ours(pid)

    def test_a_process_that_is_gone_has_no_name(self) -> None:
        assert process_name(os.getpid())
        assert process_name(2**31 - 1) == ""
        assert str(Holder(2**31 - 1)) == "process 2147483647"
        assert str(Holder(0)) == "a process that cannot be named"

    @given(st.binary(max_size=600))
    def test_whatever_a_held_lock_file_says(self, content: bytes) -> None:
        with tempfile.NamedTemporaryFile() as lock:
            lock.write(content)
            lock.flush()
            assert lock_holder(Path(lock.name)) is None
            fcntl.flock(lock, fcntl.LOCK_EX)
            holder = lock_holder(Path(lock.name))
            assert holder is not None
            assert str(holder)

    def test_a_lock_file_that_is_none(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "link").symlink_to("/dev/zero")
        assert [lock_holder(tmp_path / name) for name in ("missing", "pipe", "link", ".")] == [None] * 4


class TestLockPath:
    def test_the_environment_decides(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("EDGECAM_LOCK_DIR", str(tmp_path))
        assert lock_path(usb()) == tmp_path / "edgecam-usb-2-1.lock"
        assert lock_path(pci()) == tmp_path / "edgecam-pci-apex_0.lock"

    def test_else_it_is_where_this_user_may_write(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("EDGECAM_LOCK_DIR", raising=False)
        assert os.access(lock_path(usb()).parent, os.W_OK)


class TestCaution:
    @pytest.mark.parametrize(("tpu", "said"), [(usb(speed=480), True), (usb(speed=12), True), (usb(speed=0), False)])
    def test_a_slow_port(self, *, tpu: EdgeTpu, said: bool) -> None:
        assert bool(caution(tpu)) == said

    def test_a_fast_port_and_a_card_need_none(self) -> None:
        assert [caution(tpu) for tpu in (usb(speed=5000), usb(speed=10000), pci())] == ["", "", ""]


class TestWatch:
    """On a list of what is plugged, changed by hand."""

    def test_those_there_at_the_first_look_count_at_once(self) -> None:
        assert TpuWatch(lambda: [usb()]).update(100.3) == [usb()]

    def test_one_that_appears_counts_after_it_has_settled(self) -> None:
        plugged: list[EdgeTpu] = []
        watch = TpuWatch(lambda: list(plugged), settle=1.0, interval=0.5)
        assert watch.update(0.0) == []
        plugged.append(usb())
        assert watch.update(0.25) == [], "not looked yet"
        assert [watch.update(now) for now in (0.5, 1.0, 1.25)] == [[], [], []]
        assert watch.update(1.5) == [usb()]

    def test_one_that_leaves_is_gone_at_the_next_look_and_settles_anew(self) -> None:
        plugged = [usb()]
        watch = TpuWatch(lambda: list(plugged), settle=1.0, interval=0.5)
        watch.update(0.0)
        plugged.clear()
        assert watch.update(0.5) == []
        plugged.append(usb())
        assert [watch.update(now) for now in (1.0, 1.5)] == [[], []]
        assert watch.update(2.0) == [usb()]

    def test_a_stick_whose_firmware_was_loaded_between_two_looks_stays(self) -> None:
        before = EdgeTpu("usb", "2-1", Path("/dev/bus/usb/002/003"), running=False, speed=5000)
        plugged = [before]
        watch = TpuWatch(lambda: list(plugged))
        assert watch.update(0.0) == [before]
        plugged[:] = [EdgeTpu("usb", "2-1", Path("/dev/bus/usb/002/004"), running=True, speed=5000)]
        assert watch.update(0.5) == plugged

    def test_it_looks_no_more_often_than_it_should(self) -> None:
        looks: list[int] = []
        watch = TpuWatch(lambda: looks.append(1) or [], interval=0.5)  # type: ignore[func-returns-value]
        for step in range(101):
            watch.update(step / 100)
        assert len(looks) == 3

    @given(st.lists(st.tuples(st.floats(0, 2), st.booleans()), max_size=30))
    def test_what_counts_is_plugged_and_has_been_for_long_enough(self, steps: list[tuple[float, bool]]) -> None:
        plugged: list[EdgeTpu] = []
        watch = TpuWatch(lambda: list(plugged), settle=1.0, interval=0.0)
        watch.update(0.0)
        now, since = 0.0, 0.0
        for wait, there in steps:
            now += wait
            since = since if there and plugged else now
            plugged[:] = [usb()] if there else []
            assert watch.update(now) == ([usb()] if there and now - since >= 1.0 else [])


@pytest.fixture
def visible_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HostTree]:
    """A host whose folders any user may enter."""
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
        monkeypatch.setenv("EDGECAM_HOST_ROOT", root)
        monkeypatch.setenv("EDGECAM_LOCK_DIR", str(tmp_path))
        yield HostTree(Path(root))


@pytest.fixture
def as_nobody() -> Iterator[Callable[[], None]]:
    """Call it to go on as a user without rights, until the end of the test: root may open everything."""
    me = os.geteuid()

    def become_nobody() -> None:
        if me == 0:
            os.seteuid(NOBODY)
        elif os.access("/", os.W_OK):
            pytest.skip("this user may write anywhere")

    try:
        yield become_nobody
    finally:
        os.seteuid(me)
