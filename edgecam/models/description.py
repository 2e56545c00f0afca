"""What a model file tells of itself, as plain values: inputs, outputs, what it needs to run, how it counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from edgecam.modelfile import ModelFile, Tensor
from edgecam.modelfile.needs import OperatorUse, compiled_part, operators_of, runtime_fits, select_operators
from edgecam.modelfile.quantisation import quantisation_of
from edgecam.models.forms import stated_or_told, unfit_as_detector

_KEYS = (
    "inputs", "outputs", "normalisation", "form", "detector", "unfit", "quantisation", "parameters", "weight_bytes",
    "needs", "runtimes", "compiled", "sibling", "sibling_problem",
)  # fmt: skip


def describe(file: ModelFile, sibling: ModelFile | None = None) -> dict[str, Any]:
    """All that `info` says of any model beyond what `list` does; `sibling` is its other version, where it is here."""
    structure, numbers = file.structure, quantisation_of(file.structure)
    roles = _roles(file)
    names = {position: name for name, position in file.signature_outputs.items()}
    unfit = unfit_as_detector(file)
    return {
        "inputs": [_tensor(each, "picture" if file.takes_a_picture else "") for each in file.inputs],
        "outputs": [_tensor(each, roles[at], names.get(at, "")) for at, each in enumerate(file.outputs)],
        "normalisation": _normalisation(file),
        "form": _form(file),
        "detector": not unfit,
        "unfit": unfit,
        "quantisation": {
            "kind": numbers.kind,
            "kinds": list(numbers.kinds),
            "activations": list(numbers.activations),
            "weights": list(numbers.weights),
            "granularity": numbers.granularity,
        },
        "parameters": numbers.parameters,
        "weight_bytes": numbers.weight_bytes,
        "needs": _needs(file),
        "runtimes": [asdict(fit) | {"runs": not fit.why} for fit in runtime_fits(structure)],
        "compiled": _compiled(file, sibling),
        "sibling": str(sibling.path) if sibling else None,
        "sibling_problem": None,
    }


def blank() -> dict[str, None]:
    """What `describe` would say, where there is nothing to describe."""
    return dict.fromkeys(_KEYS)


def _tensor(tensor: Tensor, role: str, signature: str = "") -> dict[str, Any]:
    """One end of a model; the sizes that may vary are -1 in its shape."""
    whole = len(tensor.scales) == 1
    return {
        "name": tensor.name,
        "role": role,
        "signature": signature,
        "shape": list(tensor.any_shape or tensor.shape),
        "dtype": tensor.dtype,
        "scale": tensor.scale if whole else None,
        "zero_point": tensor.zero_point if whole else None,
        "channels": len(tensor.scales) if len(tensor.scales) > 1 else None,
    }


def _roles(file: ModelFile) -> Sequence[str]:
    if file.postprocess:
        return file.postprocess.roles
    return ["scores" if file.is_classifier else ""] * len(file.outputs)


def _form(file: ModelFile) -> dict[str, Any] | None:
    """How a detector is spoken to, and where that is from; None where there is nothing to say."""
    form, source = stated_or_told(file)
    if form is None:
        return None
    return {"family": form.family, "resize": form.resize, "options": dict(form.options), "from": source}


def _normalisation(file: ModelFile) -> dict[str, list[float]] | None:
    """How the metadata says a picture is to be normalised, (value - mean) / std."""
    mean, std = file.metadata.mean, file.metadata.std
    if not mean or not all(map(math.isfinite, mean + std)):
        return None
    return {"mean": list(mean), "std": list(std)}


def _needs(file: ModelFile) -> dict[str, Any]:
    operators = operators_of(file.structure)
    return {
        "schema_version": file.structure.version,
        "min_runtime_version": file.structure.min_runtime_version or None,
        "operators": [_use(use) for use in operators if not use.custom],
        "custom_operators": [_use(use) for use in operators if use.custom],
        "select_operators": list(select_operators(file.structure)),
    }


def _use(use: OperatorUse) -> dict[str, Any]:
    return {"name": use.name, "version": use.version, "count": use.count}


def _compiled(file: ModelFile, sibling: ModelFile | None) -> dict[str, Any] | None:
    """How much of it is on the Edge TPU; of how many operators only the version it was compiled from tells."""
    part = compiled_part(file.structure)
    if part is None:
        return None
    every = sum(use.count for use in operators_of(sibling.structure)) if sibling else None
    left = sum(use.count for use in part.left_on_cpu)
    return {
        "segments": part.segments,
        "package_bytes": part.package_bytes,
        "min_edgetpu_version": part.min_runtime_version,
        "left_on_cpu": [_use(use) for use in part.left_on_cpu],
        "operators_before": every,
        "operators_moved": every - left if every is not None and every >= left else None,
    }
