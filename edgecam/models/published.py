"""The published models, as models/manifest.toml has them, by name and by file."""

from __future__ import annotations

from edgecam.bundled import models_folder
from edgecam.models.manifest import read_manifest

REAL = "mobiledet"
REAL_EDGETPU = "mobiledet-edgetpu"
DEMO = "edgecam-demo"

#: Read when the module is: a part of the program, as its code is, that only happens to be a table.
PUBLISHED = read_manifest(models_folder() / "manifest.toml")
BY_NAME = {published.name: published for published in PUBLISHED}
BY_FILE = {published.file: published for published in PUBLISHED}
