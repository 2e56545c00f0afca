"""The checks by their names, in the order in which a fault explains the next; and an examination by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgecam.doctor.account import check_account
from edgecam.doctor.attached_cameras import check_cameras
from edgecam.doctor.broker import check_broker
from edgecam.doctor.clock_setting import check_clock
from edgecam.doctor.coral import check_coral, check_gasket, check_udev
from edgecam.doctor.disk import check_disk, check_speed
from edgecam.doctor.finding import Check, Finding, State
from edgecam.doctor.heat_and_power import check_power, check_temperature
from edgecam.doctor.libedgetpu import check_libedgetpu
from edgecam.doctor.memory import check_cma
from edgecam.doctor.model_files import check_models
from edgecam.doctor.monitor import check_display
from edgecam.doctor.python_packages import check_numpy, check_pycoral, check_runtime
from edgecam.doctor.secret_files import check_secrets
from edgecam.doctor.settings import check_config
from edgecam.doctor.surroundings import Surroundings
from edgecam.doctor.unit import check_service
from edgecam.errors import EdgecamError

CHECKS: dict[str, Check] = {
    "config": check_config,
    "service": check_service,
    "account": check_account,
    "secrets": check_secrets,
    "numpy": check_numpy,
    "runtime": check_runtime,
    "pycoral": check_pycoral,
    "models": check_models,
    "cameras": check_cameras,
    "cma": check_cma,
    "coral": check_coral,
    "gasket": check_gasket,
    "udev": check_udev,
    "libedgetpu": check_libedgetpu,
    "power": check_power,
    "temperature": check_temperature,
    "clock": check_clock,
    "disk": check_disk,
    "speed": check_speed,
    "broker": check_broker,
    "display": check_display,
}


def examine(surroundings: Surroundings, name: str) -> Iterator[Finding]:
    """What the check of this name finds. Raises KeyError for one that there is not."""
    check: Check = CHECKS[name]
    try:
        for finding in check(surroundings):
            yield replace(finding, check=name)
    except (EdgecamError, OSError) as error:
        yield Finding(name, State.FAIL, f"could not be looked at: {error}", "mend that, and look again")


def worst(findings: Sequence[Finding]) -> State:
    """The state of the whole: that of the worst finding; ok where all others are skipped."""
    order = (State.FAIL, State.WARN)
    states = {finding.state for finding in findings}
    return next((state for state in order if state in states), State.OK)
