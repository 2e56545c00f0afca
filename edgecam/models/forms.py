"""The form of a model: stated in its file, or in the catalogue, or told by its outputs; and whether edgecam runs it."""

from __future__ import annotations

from edgecam.errors import ModelError
from edgecam.families import FormError, family_of, outputs_of, recognise
from edgecam.modelfile import ModelFile, ModelForm
from edgecam.modelfile.needs import runtime_fits
from edgecam.models.published import BY_FILE

#: What a detector's input may be.
INPUT_DTYPES = ("uint8", "int8", "float32")

CLASSIFIER, UNKNOWN = "classifier", "unknown"
_REMEDY = "give an SSD model with TFLite_Detection_PostProcess, or state the model's form"


def form_of(file: ModelFile) -> ModelForm:
    """How to speak to a detector: what its file states, else the catalogue's entry of that name, else what its outputs
    tell. Raises ModelError where it is no detector, or where one of these does not fit it."""
    form, problem = _told(file)
    if form is None:
        raise ModelError(f"{file.path}: {problem}")
    return form


def check_detector(file: ModelFile) -> None:
    """Refuse what verified well but is no detector that edgecam reads. Raises ModelError, which says what it is."""
    problem = _told(file)[1] or _input_problem(file)
    if problem:
        raise ModelError(f"{file.path}: {problem}")


def unfit_as_detector(file: ModelFile) -> str:
    """Why edgecam cannot run a model as its detector, in a line; "" where it can."""
    problem = _told(file)[1] or _input_problem(file)
    if problem:
        return problem
    fits = runtime_fits(file.structure)
    return "" if any(not fit.why for fit in fits) else "; ".join(f"{fit.name} {fit.why}" for fit in fits)


def kind_of(file: ModelFile) -> str:
    """The name of a model's family, else `classifier` or `unknown`."""
    form, _ = _told(file)
    return form.family if form else CLASSIFIER if file.is_classifier else UNKNOWN


def classes_of(file: ModelFile) -> int | None:
    """The number of a model's classes, None where it is not known."""
    form, _ = _told(file)
    return family_of(form).classes(file, form) if form else file.classes


def stated_or_told(file: ModelFile) -> tuple[ModelForm | None, str]:
    """The form of a model and where it is from, `file`, `catalogue` or `outputs`; None and "" where it has none."""
    try:
        return _found(file)
    except (FormError, ModelError):
        return None, ""


def _found(file: ModelFile) -> tuple[ModelForm | None, str]:
    """As `stated_or_told`. Raises FormError, ModelError."""
    if not file.takes_a_picture:
        return None, ""
    published = BY_FILE.get(file.path.name)
    for form, source in ((file.stated_form, "file"), (published.form if published else None, "catalogue")):
        if form is not None:
            return form, source
    form = recognise(file)
    return form, "outputs" if form else ""


def _told(file: ModelFile) -> tuple[ModelForm | None, str]:
    """A model's form and "", or None and why it has none that edgecam can read."""
    if not file.takes_a_picture:
        shapes = " and ".join(str(list(tensor.shape)) for tensor in file.inputs) or "nothing"
        return None, f"takes {shapes}, not one RGB picture: give an object detector's model file"
    try:
        form, _ = _found(file)
        if form is not None:
            family = family_of(form)
            family.options.of(form)
            family.decoder(file, form, outputs_of(file))
            return form, ""
    except FormError as error:
        return None, str(error)
    except ModelError as error:
        return None, str(error).removeprefix(f"{file.path}: ")
    if file.is_classifier:
        return None, f"an image classifier of {file.classes} classes: edgecam needs an object detector"
    outputs = ", ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in file.outputs[:4]) or "none"
    return None, f"no detector edgecam knows (outputs: {outputs}): {_REMEDY}"


def _input_problem(file: ModelFile) -> str:
    dtype = file.inputs[0].dtype
    return "" if dtype in INPUT_DTYPES else f"its input is {dtype}: convert it to one of {', '.join(INPUT_DTYPES)}"
