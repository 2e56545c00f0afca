"""Installing, upgrading and removing: on a machine in a folder whose commands behave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from installation_machine import CONFIG, Machine, wheel

from edgecam.errors import EdgecamError
from edgecam.installation import installing
from edgecam.installation.installing import install_on
from edgecam.installation.options import Options
from edgecam.installation.removal import uninstall_from


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "root")


def install(machine: Machine, options: Options) -> int:
    """Each in another second."""
    machine.installations += 1
    return install_on(machine.host, options, machine.log.append, f"s{machine.installations}")


def uninstall(machine: Machine, *, purge: bool = False) -> int:
    return uninstall_from(machine.host, machine.log.append, purge=purge, dry_run=False)


def tree(root: Path) -> set[str]:
    """All files and links; folders count by what is in them."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink() or path.is_file()}


def contents(root: Path) -> dict[str, bytes]:
    """What is in the files, and where links point to; processes come and go."""
    paths = {name: root / name for name in tree(root) if not name.startswith("proc")}
    return {name: bytes(path.readlink()) if path.is_symlink() else path.read_bytes() for name, path in paths.items()}


def current(machine: Machine) -> str:
    return (machine.root / "opt/edgecam/current").readlink().name


def test_one_command_leads_to_a_service_that_is_ready(machine: Machine, tmp_path: Path) -> None:
    assert install(machine, wheel(tmp_path, "1.0")) == 0
    assert machine.state == "active"
    assert machine.running == current(machine) == "1.0-s1"
    assert set(machine.installed) == {"python3-venv", "python3-pip-whl", "python3-systemd"}
    assert (machine.root / "usr/local/bin/edgecam").readlink() == Path("/opt/edgecam/current/bin/edgecam")
    assert (machine.root / "etc/edgecam/edgecam.toml").read_text() == CONFIG
    assert (machine.root / "etc/edgecam/edgecam.toml").stat().st_mode & 0o777 == 0o640
    assert machine.log[-1] == "edgecam 1.0 is installed"


def test_a_dry_run_names_every_step_and_changes_nothing(machine: Machine, tmp_path: Path) -> None:
    options = wheel(tmp_path, "1.0")
    before = tree(machine.root)
    assert install(machine, replace(options, dry_run=True, models=("mobiledet",))) == 0
    assert tree(machine.root) == before
    assert not machine.installed
    promised = [line.removeprefix("would ") for line in machine.log if line.startswith("would ")]
    machine.log.clear()
    install(machine, replace(options, models=("mobiledet",)))
    done = [line for line in machine.log if line.replace("1.0-s2", "1.0-s1") in promised]
    assert len(done) == len(promised) > 10


def test_a_second_time_there_is_nothing_to_do(machine: Machine, tmp_path: Path) -> None:
    options = wheel(tmp_path, "1.0")
    install(machine, options)
    before, started = tree(machine.root), machine.ran.count("systemctl start edgecam.service")
    assert install(machine, options) == 0
    assert tree(machine.root) == before
    assert machine.ran.count("systemctl start edgecam.service") == started
    assert machine.log[-1] == "edgecam 1.0 was already installed, nothing was to be done"


def test_a_service_that_was_stopped_is_started_again(machine: Machine, tmp_path: Path) -> None:
    options = wheel(tmp_path, "1.0")
    install(machine, options)
    machine.state = "inactive"
    install(machine, options)
    assert machine.state == "active"


def test_an_upgrade_keeps_the_release_before_and_no_older_one(machine: Machine, tmp_path: Path) -> None:
    wheels = [wheel(tmp_path, version) for version in ("1.0", "1.1", "1.2")]
    for each in wheels:
        assert install(machine, each) == 0
    releases = sorted(path.name for path in (machine.root / "opt/edgecam/releases").iterdir())
    assert releases == ["1.1-s2", "1.2-s3"]
    assert machine.running == current(machine) == releases[1]
    install(machine, wheels[-1])
    assert sorted(path.name for path in (machine.root / "opt/edgecam/releases").iterdir()) == releases


def test_an_upgrade_never_touches_the_configuration_and_shows_new_keys(machine: Machine, tmp_path: Path) -> None:
    install(machine, wheel(tmp_path, "1.0"))
    owners = machine.root / "etc/edgecam/edgecam.toml"
    owners.write_text("# mine\n" + CONFIG)
    newer = {"edgecam/data/edgecam.toml": CONFIG + "\n[status]\n#socket = 1\n"}
    assert install(machine, wheel(tmp_path, "1.1", **newer)) == 0
    assert owners.read_text() == "# mine\n" + CONFIG
    assert "tell the new keys of /etc/edgecam/edgecam.toml: status.socket" in machine.log


@pytest.mark.parametrize("start", ["crashes", "waits", "refuses"])
def test_an_upgrade_that_does_not_become_ready_is_taken_back(machine: Machine, tmp_path: Path, start: str) -> None:
    install(machine, wheel(tmp_path, "1.0"))
    before = contents(machine.root)
    unit = {"edgecam/data/systemd/edgecam.service": "[Service]\nType=exec\n"}
    with pytest.raises(EdgecamError, match=r"1\.1"):
        install(machine, wheel(tmp_path, "1.1", start, **unit))
    assert machine.state == "active"
    assert machine.running == current(machine) == "1.0-s1"
    assert contents(machine.root) == before


def test_going_back_is_said_and_the_journal_shown(machine: Machine, tmp_path: Path) -> None:
    install(machine, wheel(tmp_path, "1.0"))
    with pytest.raises(EdgecamError, match=r"1\.0-s1 is in use, as before"):
        install(machine, wheel(tmp_path, "1.1", "crashes"))
    assert "going back to 1.0-s1" in machine.log
    assert "1.0-s1 is ready: demo: 25 fps" in machine.log
    assert "  RuntimeError: the last words" in machine.log


def test_a_new_release_that_waits_as_the_one_before_did_stays(machine: Machine, tmp_path: Path) -> None:
    assert install(machine, wheel(tmp_path, "1.0", "waits")) == 1
    assert install(machine, wheel(tmp_path, "1.1", "waits")) == 1
    assert current(machine).startswith("1.1")
    assert machine.log[-1] == "edgecam 1.1 is installed, but it is not ready"


def test_a_first_installation_that_does_not_run_stays_to_be_looked_at(machine: Machine, tmp_path: Path) -> None:
    assert install(machine, wheel(tmp_path, "1.0", "crashes")) == 1
    assert current(machine).startswith("1.0")
    assert any("journalctl -u edgecam" in line for line in machine.log)


def test_without_the_network_nothing_is_half_done(machine: Machine, tmp_path: Path) -> None:
    machine.no_network = True
    with pytest.raises(EdgecamError, match="no matching distribution"):
        install(machine, wheel(tmp_path, "1.0"))
    assert not (machine.root / "usr/local/bin/edgecam").is_symlink()
    assert not list((machine.root / "opt/edgecam/releases").iterdir())


def test_without_systemd_the_command_is_there_and_says_how_to_go_on(machine: Machine, tmp_path: Path) -> None:
    (machine.root / "run/systemd/system").rmdir()
    assert install(machine, wheel(tmp_path, "1.0")) == 0
    assert not any(line.startswith("systemctl start") for line in machine.ran)
    assert machine.log[-1] == "systemd does not run here: start edgecam with `/usr/local/bin/edgecam -v run`"


def test_a_command_of_somebody_elses_is_not_overwritten(machine: Machine, tmp_path: Path) -> None:
    theirs = machine.root / "usr/local/bin/edgecam"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("#!/bin/sh\n")
    assert install(machine, wheel(tmp_path, "1.0")) == 0
    assert theirs.read_text() == "#!/bin/sh\n"
    assert any("is not edgecam's, and stays" in line for line in machine.log)


@pytest.mark.parametrize(("python", "kind"), [("cp39", "x86_64 with Python 3.9"), ("cp314", "x86_64 with Python 3.14")])
def test_a_python_without_packages_is_named(machine: Machine, tmp_path: Path, python: str, kind: str) -> None:
    machine.python = python
    with pytest.raises(EdgecamError, match=kind):
        install(machine, wheel(tmp_path, "1.0"))


def test_another_installation_is_not_run_into(machine: Machine, tmp_path: Path) -> None:
    with installing.alone(machine.host), pytest.raises(EdgecamError, match="another installation"):
        install(machine, wheel(tmp_path, "1.0"))


def test_uninstall_keeps_what_is_the_owners(machine: Machine, tmp_path: Path) -> None:
    before = tree(machine.root)
    install(machine, wheel(tmp_path, "1.0"))
    data = machine.root / "var/lib/edgecam/edgecam.db"
    data.parent.mkdir(parents=True)
    data.touch()
    parked = machine.root / "run/edgecam/parked-events.jsonl"
    parked.parent.mkdir(parents=True)
    parked.touch()
    assert uninstall(machine) == 0
    assert parked.exists()
    kept = {name for name in tree(machine.root) - before if not name.startswith(("proc", "run"))}
    assert kept == {"etc/edgecam/edgecam.toml", "etc/edgecam/added-packages", "var/lib/edgecam/edgecam.db"}
    assert machine.state == "inactive"
    assert "edgecam:" in (machine.root / "etc/passwd").read_text()


def test_purge_leaves_nothing(machine: Machine, tmp_path: Path) -> None:
    before = tree(machine.root)
    install(machine, wheel(tmp_path, "1.0"))
    secret = machine.root / "etc/credstore/edgecam.mqtt-password"
    secret.parent.mkdir(parents=True)
    secret.touch()
    parked = machine.root / "run/edgecam/parked-events.jsonl"
    parked.parent.mkdir(parents=True)
    parked.touch()
    assert uninstall(machine, purge=True) == 0
    assert not parked.parent.exists()
    assert {name for name in tree(machine.root) - before if not name.startswith(("proc", "run"))} == set()
    assert not machine.installed
    assert not (machine.root / "etc/passwd").read_text()
    assert not (machine.root / "etc/sysusers.d").exists()


def test_purge_leaves_packages_that_something_else_came_to_need(machine: Machine, tmp_path: Path) -> None:
    install(machine, wheel(tmp_path, "1.0"))
    machine.needed_by["python3-venv"] = "pipx"
    assert uninstall(machine, purge=True) == 0
    assert "python3-venv" in machine.installed
    assert any("pipx came to need them" in line for line in machine.log)


def test_uninstall_where_nothing_is_installed_says_so(machine: Machine) -> None:
    assert uninstall(machine) == 0
    assert "edgecam was not installed" in machine.log
