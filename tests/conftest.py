"""Fixtures shared by the whole suite."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from edgetpu.build import build_library, compiler
from edgetpu.compile_model import compile_for_standin
from edgetpu.standin import StandIn
from edgetpu.user import User, Users
from hypothesis import settings
from mqtt_broker import ACL, CONSUMER, EDGECAM, Certificates, Mosquitto, make_certificates, mosquitto, running

# A busy machine is not a bug: nothing here is judged by the wall clock.
settings.register_profile("edgecam", deadline=None)
settings.load_profile("edgecam")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _log_level_stays() -> Iterator[None]:
    """A tool that is run within a test may turn edgecam's log down; the next test wants to read it."""
    logger = logging.getLogger("edgecam")
    before = logger.level
    yield
    logger.setLevel(before)


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of real models, pictures and videos; without it the test is skipped."""
    folder = Path(os.environ.get("EDGECAM_TEST_ASSETS", ROOT.parent / "shared"))
    if not (folder / "models").is_dir():
        pytest.skip(f"no test assets at {folder}: set EDGECAM_TEST_ASSETS to the folder with models/, images/, videos/")
    return folder


@pytest.fixture(scope="session")
def standin_library() -> Path:
    """The software libedgetpu.so.1; without a C compiler the test is skipped."""
    cc = compiler()
    if cc is None:
        pytest.skip("no C compiler for the software Edge TPU: apt-get install gcc libc6-dev")
    return build_library(cc)


@pytest.fixture
def standin(tmp_path: Path, standin_library: Path) -> StandIn:
    """A fresh world with one software Edge TPU, a running USB stick in port 2-1."""
    world = StandIn(tmp_path / "world", standin_library)
    world.plug("2-1")
    return world


@pytest.fixture(scope="session")
def demo_edgetpu_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model, compiled for the software Edge TPU."""
    target = tmp_path_factory.mktemp("compiled") / "edgecam_demo_edgetpu.tflite"
    compile_for_standin(ROOT / "models" / "edgecam_demo.tflite", target)
    return target


@pytest.fixture
def use(standin: StandIn, demo_edgetpu_model: Path) -> Iterator[Users]:
    """Starts processes that use the devices of the fixture `standin`; the bundled model unless said otherwise."""
    users: list[User] = []

    def start(model: Path = demo_edgetpu_model, device: str = "usb:0", library: str | None = None) -> User:
        users.append(User(standin, model, device, library))
        return users[-1]

    yield start
    for user in users:
        user.kill()


@pytest.fixture
def broker_folder(tmp_path: Path) -> Path:
    """Where a broker keeps its memory; without mosquitto the test is skipped."""
    if mosquitto() is None:
        pytest.skip("no MQTT broker: apt-get install mosquitto")
    return tmp_path / "broker"


@pytest.fixture
def broker(broker_folder: Path) -> Iterator[Mosquitto]:
    """A running broker that lets everybody in."""
    with running(Mosquitto(broker_folder)) as started:
        yield started


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """What a broker and its clients need to speak TLS; without openssl the test is skipped."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with: apt-get install openssl")
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def secure_broker(broker_folder: Path, certificates: Certificates) -> Iterator[Mosquitto]:
    """A running broker with TLS, passwords and access rules: EDGECAM and CONSUMER are let in."""
    secure = Mosquitto(broker_folder, certificates=certificates, passwords=(EDGECAM, CONSUMER), acl=ACL)
    with running(secure) as started:
        yield started
