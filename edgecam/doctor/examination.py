"""The checks by their names, in the order in which a fault explains the next; and an examination by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from typing import cast

from edgecam.doctor.finding import Check, Finding, State
from edgecam.doctor.surroundings import Surroundings
from edgecam.errors import EdgecamError

CHECKS = {
    "config": "settings:check_config",
    "service": "unit:check_service",
    "account": "account:check_account",
    "secrets": "secret_files:check_secrets",
    "numpy": "python_packages:check_numpy",
    "runtime": "runtime:check_runtime",
    "pycoral": "python_packages:check_pycoral",
    "models": "model_files:check_models",
    "cameras": "attached_cameras:check_cameras",
    "cma": "memory:check_cma",
    "coral": "coral:check_coral",
    "gasket": "coral:check_gasket",
    "udev": "coral:check_udev",
    "libedgetpu": "libedgetpu:check_libedgetpu",
    "power": "heat_and_power:check_power",
    "temperature": "heat_and_power:check_temperature",
    "clock": "clock_setting:check_clock",
    "disk": "disk:check_disk",
    "speed": "disk:check_speed",
    "broker": "broker:check_broker",
    "display": "monitor:check_display",
}
"""By name, the module of this room that has it, and its function. Imported on use: a broken package stops but those
that need it."""

_MEND = "mend that, and look again"


def examine(surroundings: Surroundings, name: str) -> Iterator[Finding]:
    """What the check of this name finds. Raises KeyError for one that there is not."""
    module, _, function = CHECKS[name].partition(":")
    try:
        check = cast("Check", getattr(import_module(f"edgecam.doctor.{module}"), function))
        for finding in check(surroundings):
            yield replace(finding, check=name)
    except ImportError as error:
        why = str(error).strip().partition("\n")[0]
        yield Finding(name, State.FAIL, f"could not be looked at: a package is broken or missing ({why})", "see numpy")
    except (EdgecamError, OSError) as error:
        yield Finding(name, State.FAIL, f"could not be looked at: {error}", _MEND)


def worst(findings: Sequence[Finding]) -> State:
    """The state of the whole: that of the worst finding; ok where all others are skipped."""
    order = (State.FAIL, State.WARN)
    states = {finding.state for finding in findings}
    return next((state for state in order if state in states), State.OK)
