"""Whether the MQTT broker is there, lets edgecam in, and lets it do what it does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgecam.doctor.finding import Finding, fail, ok, parted, skipped
from edgecam.doctor.secret_files import SEALED, STORED
from edgecam.doctor.surroundings import UNIT, Surroundings
from edgecam.errors import ConfigError
from edgecam.mqtt.checking import check
from edgecam.mqtt.credentials import CREDENTIAL, VARIABLE

PASSED_ON = f"run/credentials/{UNIT}/{CREDENTIAL}"
"""What systemd gives the service, while it runs; for root to read."""
_SUDO = "run `sudo edgecam doctor`, while the service runs"
_REMEDY = "`edgecam mqtt check` tries each step; docs/mqtt.md has the settings"


def check_broker(here: Surroundings) -> Iterator[Finding]:
    """Connect as edgecam does, under another client id, and try what it does there; nothing stays."""
    mqtt = here.config.mqtt
    if not mqtt.enabled:
        yield skipped("mqtt.enabled is false")
        return
    environment: Mapping[str, str] | None = os.environ
    if mqtt.username and not mqtt.password_file:
        environment = _with_the_password(here)
    if environment is None:
        yield skipped("the password is the service's own: this user may not read it", _SUDO)
        return
    try:
        steps = [step for step in check(mqtt, environment) if step.name != "enabled"]
    except ConfigError as error:
        yield from (fail(*parted(line, _REMEDY)) for line in str(error).splitlines())
        return
    wrong = [fail(*parted(step.text, _REMEDY)) for step in steps if not step.fine]
    yield from wrong
    if not wrong:
        yield ok(steps[0].text)


def _with_the_password(here: Surroundings) -> Mapping[str, str] | None:
    """The environment, with the password that the service has; None where it has one that this user may not read."""
    if VARIABLE in os.environ or "CREDENTIALS_DIRECTORY" in os.environ:
        return os.environ
    places = [here.at(place) for place in (PASSED_ON, *STORED)]
    for file in places:
        if os.access(file, os.R_OK):
            return {**os.environ, VARIABLE: file.read_text(encoding="utf-8", errors="replace").rstrip("\r\n")}
    return None if any(map(_is_closed, (*places, here.at(SEALED)))) else os.environ


def _is_closed(file: Path) -> bool:
    """Whether it is there, or may be, and this user may not read it."""
    folder = file.parent
    return os.access(file, os.F_OK) or (folder.is_dir() and not os.access(folder, os.X_OK))
