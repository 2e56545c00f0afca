"""Whether the configuration can be used."""

from __future__ import annotations

import os
from collections.abc import Iterator

from edgecam.doctor.finding import Finding, fail, ok, skipped
from edgecam.doctor.surroundings import AS_ROOT, Surroundings


def check_config(here: Surroundings) -> Iterator[Finding]:
    """The file is there, it can be read, all in it is allowed, and it has a camera."""
    path = here.config_path
    if here.config_trouble:
        if not os.access(path, os.R_OK) and (os.access(path, os.F_OK) or not os.access(path.parent, os.X_OK)):
            yield skipped(f"{path}: closed to this user; the defaults are looked at", AS_ROOT)
            return
        for complaint in here.config_trouble.splitlines():
            yield fail(complaint, f"put it right in {path}; `edgecam config check` says whether it is")
    elif not here.configured:
        remedy = "`sudo edgecam install` writes one; or name yours with -c FILE"
        yield skipped(f"{path}: not there; the defaults are looked at", remedy)
    elif not here.config.enabled_cameras:
        yield fail(f"{path}: no camera is enabled", "add one: `edgecam cameras` lists what is attached")
    else:
        yield ok(f"{path}: cameras {', '.join(here.config.enabled_cameras)}")
