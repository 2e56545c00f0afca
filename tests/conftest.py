"""Fixtures shared by the whole suite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from edgetpu.build import build_library, compiler
from edgetpu.compile_model import compile_for_standin
from edgetpu.standin import StandIn
from edgetpu.user import User, Users
from hypothesis import settings

# A busy machine is not a bug: nothing here is judged by the wall clock.
settings.register_profile("edgecam", deadline=None)
settings.load_profile("edgecam")

ROOT = Path(__file__).resolve().parent.parent


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
