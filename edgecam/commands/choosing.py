"""The detector that a command's options mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgecam import console

if TYPE_CHECKING:
    from edgecam.ports import Detector
    from edgecam.tiling import Tiling


def chosen_detector(
    device: str, model: str | None, labels: Path | None, threads: int, tiling: Tiling | None = None
) -> Detector:
    """A detector that is not yet open; says what its user should know of the model. Raises InputError, ModelError."""
    from edgecam import detectors
    from edgecam.detectors.process import ProcessOptions
    from edgecam.detectors.tiled import suited
    from edgecam.models import resolve

    chosen = resolve(model)
    if chosen.note:
        console.say(f"{chosen.name}: {chosen.note}")
    detector = detectors.choose(device, chosen, labels or chosen.labels, ProcessOptions(threads=threads))
    return suited(detector, chosen, tiling)
