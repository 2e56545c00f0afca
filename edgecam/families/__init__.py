"""Families of models: which there are, and which one a model is of. A new one is a file here and a line in FAMILIES."""

from __future__ import annotations

from edgecam.families import nanodet, ssd_heads, ssd_postprocess, tf2_detections
from edgecam.families.family import Candidates, Decoder, Family, FamilyOptions, FormError, Output, outputs_of
from edgecam.modelfile import ModelFile, ModelForm

__all__ = [
    "FAMILIES",
    "Candidates",
    "Decoder",
    "Family",
    "FamilyOptions",
    "FormError",
    "Output",
    "family_of",
    "outputs_of",
    "recognise",
]

#: In the order in which they are tried on a model that does not say what it is.
FAMILIES: tuple[Family, ...] = (
    ssd_postprocess.FAMILY,
    tf2_detections.FAMILY,
    nanodet.FAMILY,
    ssd_heads.FAMILY,
)


def family_of(form: ModelForm) -> Family:
    """The family a form names. Raises FormError where there is none of that name."""
    for family in FAMILIES:
        if family.name == form.family:
            return family
    known = ", ".join(family.name for family in FAMILIES)
    raise FormError(f"family {form.family!r} is not known: one of {known}")


def recognise(file: ModelFile) -> ModelForm | None:
    """The form of a model as its own file tells it, None where it is of no family; it must take a picture.

    Raises FormError where it looks like one, but something about it cannot be told.
    """
    found = (family.recognise(file) for family in FAMILIES)
    return next((form for form in found if form is not None), None)
