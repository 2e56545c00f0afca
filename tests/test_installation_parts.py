"""The parts of the installer: configuration, the Edge TPU's library, locks, sources; and one real release."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from installation_machine import Machine

from edgecam.config import load
from edgecam.errors import EdgecamError
from edgecam.installation import coral
from edgecam.installation.configuration import documented, found_cameras, new_keys, with_cameras
from edgecam.installation.coral import GetLibrary, matches
from edgecam.installation.installing import require_root
from edgecam.installation.packages import Apt
from edgecam.installation.plan import Plan, Shortcoming, Step
from edgecam.installation.source import Checkout, WheelFile

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "edgecam" / "installation" / "locks"
DEFAULT = (ROOT / "config" / "edgecam.toml").read_text(encoding="utf-8")
DEB = "libedgetpu1-std_16.0tf2.19.1-1.bookworm_amd64.deb"


class Quiet(SimpleHTTPRequestHandler):
    """A server that writes nothing to the terminal."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name that it has above
        pass


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "root")


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and where it is served."""
    folder = tmp_path / "releases"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join(10)


class Note(Step):
    """A step that notes what was done to it."""

    def __init__(self, notes: list[str], name: str, error: Exception | None = None) -> None:
        self.notes, self.name, self.error = notes, name, error

    def describe(self) -> str:
        return self.name

    def do(self) -> None:
        self.notes.append(f"do {self.name}")
        if self.error:
            raise self.error

    def undo(self) -> None:
        self.notes.append(f"undo {self.name}")


def test_a_failed_step_and_those_before_it_are_taken_back_the_last_first() -> None:
    notes: list[str] = []
    plan = Plan([Note(notes, "a"), Note(notes, "b", OSError("disk full")), Note(notes, "c")])
    with pytest.raises(OSError, match="disk full"):
        plan.carry_out(notes.append)
    assert notes == ["a", "do a", "b", "do b", "undo b", "undo a"]


def test_a_shortcoming_does_not_keep_the_others_from_being_done() -> None:
    notes: list[str] = []
    outcome = Plan([Note(notes, "a", Shortcoming("no network")), Note(notes, "b")]).carry_out(notes.append)
    assert (outcome.shortcomings, outcome.done) == (["no network"], 1)
    assert notes[-1] == "do b"


def test_an_installation_that_is_interrupted_is_taken_back() -> None:
    notes: list[str] = []

    class Interrupted(Note):
        def do(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Plan([Note(notes, "a"), Interrupted(notes, "b")]).carry_out(notes.append)
    assert notes[-2:] == ["undo b", "undo a"]


@pytest.mark.parametrize(
    ("version", "fits"),
    [("16.0tf2.19.1-1", True), ("16.0TF2.17.1", True), ("16.0tf2.5.0", False), ("16.0", False), ("", False)],
)
def test_which_builds_of_the_library_fit(version: str, fits: bool) -> None:  # noqa: FBT001 -- a table
    assert matches(version) is fits


def test_the_library_of_a_package_source_is_taken_where_it_fits(machine: Machine) -> None:
    machine.sources[coral.PACKAGE] = "16.0tf2.19.1-1"
    step = GetLibrary(Apt(machine.host), release="http://127.0.0.1:9")
    assert step.needed()
    step.do()
    assert machine.installed[coral.PACKAGE] == "16.0tf2.19.1-1"
    assert not step.needed()


def test_the_pinned_library_is_fetched_and_verified(
    machine: Machine, releases: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = releases
    (folder / DEB).write_bytes(b"a package")
    monkeypatch.setitem(coral.PINS, "amd64", hashlib.sha256(b"a package").hexdigest())
    machine.installed[coral.PACKAGE] = "16.0"
    step = GetLibrary(Apt(machine.host), release=url)
    assert "instead of libedgetpu1-std 16.0, which does not match the runtime" in step.describe()
    step.do()
    assert any(DEB in command for command in machine.ran if command.startswith("apt-get install"))


def test_a_library_that_is_not_the_pinned_one_is_not_installed(machine: Machine, releases: tuple[Path, str]) -> None:
    folder, url = releases
    (folder / DEB).write_bytes(b"another package")
    with pytest.raises(Shortcoming, match="its SHA-256 is"):
        GetLibrary(Apt(machine.host), release=url).do()
    assert not any(command.startswith("apt-get install") for command in machine.ran)


def test_a_library_that_cannot_be_fetched_is_a_shortcoming(machine: Machine, releases: tuple[Path, str]) -> None:
    with pytest.raises(Shortcoming, match="404"):
        GetLibrary(Apt(machine.host), release=releases[1]).do()
    with pytest.raises(Shortcoming, match="put it there"):
        GetLibrary(Apt(machine.host), offline=releases[0]).do()


CAMERAS = (
    '{"picamera2": {"cameras": [{"number": 0, "camera_id": "/base/soc/i2c0mux/imx708@1a", "model": "imx708"}]},'
    ' "v4l2": {"cameras": [{"path": "/dev/v4l/by-id/a"}, {"path": "/dev/v4l/by-id/b"}]}}'
)


def test_the_first_configuration_has_the_cameras_that_were_found(tmp_path: Path) -> None:
    file = tmp_path / "edgecam.toml"
    file.write_text(with_cameras(DEFAULT, list(found_cameras(f"a warning of libcamera\n{CAMERAS}\n"))))
    cameras = load(file).cameras
    assert {name: camera.type for name, camera in cameras.items() if camera.enabled} == {
        "pi": "picamera2",
        "usb1": "v4l2",
        "usb2": "v4l2",
    }
    assert not cameras["demo"].enabled


def test_without_a_camera_the_rendered_one_runs() -> None:
    assert list(found_cameras("nothing at all")) == []
    assert with_cameras(DEFAULT, []) == DEFAULT


def test_every_key_that_is_set_in_the_default_configuration_is_found_in_its_text() -> None:
    def keys(table: dict[str, object], prefix: str = "") -> Iterator[str]:
        for name, value in table.items():
            if isinstance(value, dict) and value:
                yield from keys(value, f"{prefix}{name}.")
            else:
                yield prefix + name

    assert set(keys(tomllib.loads(DEFAULT))) <= set(documented(DEFAULT))


def test_new_keys_are_those_that_neither_the_owner_nor_the_release_before_had() -> None:
    before = "[a]\nold = 1\n#hidden = 2\n"
    now = before + "new = 3\n#newer = 4\n\n[cameras.front]\nloop = false\n"
    assert new_keys(now, before, "[a]\nnewer = 1\n") == ["a.new", "cameras.front.loop"]
    assert new_keys(now, "", "[a]\nold = 1\n") == ["a.hidden", "a.new", "a.newer"]


def test_somebody_who_may_not_is_told_to_use_sudo(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecam.installation.host import Host

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EdgecamError, match="sudo"):
        require_root(Host(Path("/"), machine.log.append, machine))


def test_a_checkout_that_changed_is_another_release(tmp_path: Path) -> None:
    (tmp_path / "edgecam").mkdir()
    (tmp_path / "edgecam" / "a.py").write_text("a = 1\n")
    before = Checkout(tmp_path).fingerprint()
    (tmp_path / "edgecam" / "__pycache__").mkdir()
    (tmp_path / "edgecam" / "__pycache__" / "a.pyc").write_text("compiled")
    assert Checkout(tmp_path).fingerprint() == before
    (tmp_path / "edgecam" / "a.py").write_text("a = 2\n")
    assert Checkout(tmp_path).fingerprint() != before


def test_what_is_no_wheel_of_edgecam_is_refused(tmp_path: Path) -> None:
    for name in ("edgecam-1.0.tar.gz", "numpy-1.0-py3-none-any.whl", "edgecam-1.0-py3-none-any.whl"):
        with pytest.raises(EdgecamError, match="not a wheel of edgecam"):
            WheelFile(tmp_path / name)


@pytest.mark.parametrize("lock", sorted(LOCKS.glob("*-cp*.txt")), ids=lambda lock: lock.stem)
def test_locks_have_every_package_with_its_hashes(lock: Path) -> None:
    entries = lock.read_text().replace("\\\n", "").splitlines()
    assert all("--hash=sha256:" in entry and "==" in entry for entry in entries)
    pins = dict(entry.split()[0].split("==") for entry in entries)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {requirement.partition(">")[0].partition(";")[0].strip() for requirement in project["dependencies"]}
    assert wanted <= pins.keys(), f"run tools/lock: {sorted(wanted - pins.keys())} are missing"
    numpy_1 = lock.stem.endswith("cp311")
    assert pins["numpy"].startswith("1." if numpy_1 else "2.")
    if numpy_1:
        assert tuple(map(int, pins["opencv-python-headless"].split(".")[:2])) < (4, 12)


def test_the_installer_runs_on_a_bare_python(tmp_path: Path) -> None:
    """-S: no packages but Python's own."""
    run = "runpy.run_module('edgecam.installation', None, '__main__')"
    code = f"import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); {run}"
    command = [sys.executable, "-I", "-S", "-c", code, str(ROOT), "--dry-run", "--root", str(tmp_path)]
    options = ["--python", sys.executable] if sys.version_info[:2] in {(3, 11), (3, 13)} else []
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "would point /opt/edgecam/current to releases/" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.any_runtime
@pytest.mark.timeout(1200)
@pytest.mark.skipif(os.environ.get("EDGECAM_LABS") != "1", reason="a real release takes a minute: EDGECAM_LABS=1")
@pytest.mark.skipif(sys.version_info[:2] not in {(3, 11), (3, 13)}, reason="there are locks for Python 3.11 and 3.13")
def test_a_real_release_runs_and_installs_itself_elsewhere(tmp_path: Path) -> None:
    def install(tool: list[str], root: Path) -> subprocess.CompletedProcess[str]:
        words = [*tool, "--root", str(root), "--python", sys.executable]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)

    first, second = tmp_path / "first", tmp_path / "second"
    done = install([str(ROOT / "tools" / "install")], first)
    assert done.returncode == 0, done.stderr
    release = (first / "opt/edgecam/current").resolve()
    subprocess.run([release / "bin/edgecam", "detect", ROOT / "docs/demo.jpg"], check=True, timeout=120)
    done = install([str(release / "bin/python"), "-m", "edgecam.installation"], second)
    assert done.returncode == 0, done.stderr
    said = subprocess.run(
        [second / "opt/edgecam/current/bin/edgecam", "--version"], capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith("edgecam ")
