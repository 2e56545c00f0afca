"""Models: which file a name means, what is known of published ones, pairs with the Edge TPU's, and labels."""

from __future__ import annotations

from edgecam.models.cards import info, list_models
from edgecam.models.catalogue import Model, load, name_of, resolve, sibling_labels
from edgecam.models.entries import Published
from edgecam.models.forms import check_detector, classes_of, form_of, kind_of, unfit_as_detector
from edgecam.models.labelling import labels_for
from edgecam.models.pairs import ModelPair, check_pair, pair_of
from edgecam.models.published import DEMO, PUBLISHED, REAL

__all__ = [
    "DEMO",
    "PUBLISHED",
    "REAL",
    "Model",
    "ModelPair",
    "Published",
    "check_detector",
    "check_pair",
    "classes_of",
    "form_of",
    "info",
    "kind_of",
    "labels_for",
    "list_models",
    "load",
    "name_of",
    "pair_of",
    "resolve",
    "sibling_labels",
    "unfit_as_detector",
]
