"""Which labels a model gets: from a label file, from inside it or its sibling, or from the catalogue."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from edgecam.labels import COCO, COCO_80, Labels, load_labels, parse_labels
from edgecam.modelfile import ModelFile
from edgecam.models.catalogue import load, sibling_labels
from edgecam.models.forms import classes_of
from edgecam.models.pairs import ModelPair
from edgecam.models.published import BY_FILE, PUBLISHED

log = logging.getLogger(__name__)


def labels_for(model: ModelFile | ModelPair, labels: Path | None = None) -> Labels:
    """The labels of a model: from the file given, a label file beside the model, the model itself, or the catalogue.

    A model of 90 or 80 classes without any gets COCO's; others are called by number. Both versions of a pair have the
    same labels, whichever of the two brings them. Raises ModelError where they do not fit.
    """
    if isinstance(model, ModelPair):
        files = [load(path) for path in (model.cpu, model.edgetpu) if path is not None]
        labels = labels or model.labels
    else:
        files = [model]
        labels = labels or sibling_labels(model.path)
    found = load_labels(labels) if labels else _own(files)
    classes = next((count for file in files if (count := classes_of(file)) is not None), None)
    fitted = found.fitted(classes)
    if classes is not None and len(fitted.names) > classes:
        log.warning(
            "%s: %d labels, the model has %d classes: is it the right file?", found.source, len(fitted.names), classes
        )
    return fitted


def _own(files: Sequence[ModelFile]) -> Labels:
    """The labels that one of a model's versions has inside, or that the catalogue knows."""
    for file in files:
        if file.embedded_labels is not None:
            return parse_labels(file.embedded_labels, f"{file.path} (embedded labels)")
    for file in files:
        same = (known for known in PUBLISHED if known.sha256 == file.sha256)
        published = BY_FILE.get(file.path.name) or next(same, None)
        if published and published.labels:
            return published.labels
    first = files[0]
    classes = classes_of(first)
    for usual in (COCO, COCO_80):
        if classes == len(usual.names):
            log.warning("%s has no labels: taking COCO's, as it has %d classes", first.path, classes)
            return usual
    return Labels(("",) * (classes or 0), f"{first.path} (no labels)")
