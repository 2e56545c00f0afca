"""Whether the model files are there, whole, the published ones, and fit for the device."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgecam.composition import model_folders
from edgecam.detectors.edgetpu import list_edge_tpus, parse_choice
from edgecam.doctor.finding import Finding, fail, ok, parted, warn
from edgecam.doctor.surroundings import Surroundings
from edgecam.errors import ModelError
from edgecam.models import ModelPair, labels_for, list_models, pair_of, resolve
from edgecam.models.published import BY_FILE

_ANEW = "fetch it anew: `edgecam models pull NAME`; `edgecam models list` has the names"


def check_models(here: Surroundings) -> Iterator[Finding]:
    """The configured model first, then what else lies in the folders that are searched."""
    config, folders = here.config, model_folders(here.config)
    used: set[str] = set()
    try:
        pair = pair_of(resolve(config.detector.model, folders), folders)
        labels_for(pair, Path(config.detector.labels) if config.detector.labels else None)
    except ModelError as error:
        yield fail(*parted(str(error), _ANEW))
    else:
        used = {str(path) for path in (pair.cpu, pair.edgetpu) if path is not None}
        yield ok(f"{pair.name}: {', '.join(map(_described, sorted(used)))}")
        yield from _for_the_device(pair, here)
    for model in list_models(folders):
        if model["present"] and model["problem"] and model["file"] not in used:
            yield warn(*parted(f"not used, {model['problem']}", _ANEW))


def _described(file: str) -> str:
    published = BY_FILE.get(Path(file).name)
    return f"{file} (checksum right)" if published and published.pinned else file


def _for_the_device(pair: ModelPair, here: Surroundings) -> Iterator[Finding]:
    choice = parse_choice(here.config.detector.device)
    if not choice.wants_tpu:
        if pair.cpu is None:
            yield fail(*parted(pair.missing, _ANEW))
    elif pair.edgetpu is None and choice.insists:
        yield fail(*parted(pair.missing, _ANEW))
    elif pair.missing and (pair.cpu is None or list_edge_tpus(here.root)):
        yield warn(*parted(pair.missing, _ANEW))
