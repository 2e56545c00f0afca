"""Where the parts of an installed edgecam lie."""

from __future__ import annotations

HOME = "/opt/edgecam"
RELEASES = f"{HOME}/releases"
#: A link to the release in use.
CURRENT = f"{HOME}/current"
#: Held while an installation runs.
LOCK = "/run/lock/edgecam-install"
COMMAND = "/usr/local/bin/edgecam"
UNIT_NAME = "edgecam.service"
UNIT = f"/etc/systemd/system/{UNIT_NAME}"
#: The owner's changes to the unit.
DROP_INS = f"{UNIT}.d"
SYSUSERS = "/etc/sysusers.d/edgecam.conf"
RULES = "/etc/udev/rules.d/60-edgecam-edgetpu.rules"
CONFIG_FOLDER = "/etc/edgecam"
CONFIG = f"{CONFIG_FOLDER}/edgecam.toml"
#: The packages that the installer added, one a line, for `uninstall --purge`.
ADDED_PACKAGES = f"{CONFIG_FOLDER}/added-packages"
#: Where systemd takes the service's secrets from.
CREDENTIALS = ("/etc/credstore", "/etc/credstore.encrypted")
DATA = "/var/lib/edgecam"
MODELS = f"{DATA}/models"
#: Left behind by the service for its next start: events that no disk took.
RUNTIME = "/run/edgecam"
USER = "edgecam"
