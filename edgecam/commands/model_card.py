"""A model's description for people: what `edgecam.models.info` says, in lines folded to fit a terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from typing import Any

from edgecam.families import FAMILIES
from edgecam.modelfile import POSTPROCESS_ROLES

_NAME_WIDTH = 14
_NARROWEST = 60
#: Keeps what belongs together on one line.
_JOINT = "\u00a0"


def lines_of(described: dict[str, Any]) -> list[str]:
    """The lines of a model's card, names in the first column. Nothing in them can steer a terminal."""
    width = max(_NARROWEST, shutil.get_terminal_size((100, 24)).columns)
    last, lines = "", list[str]()
    for name, text in _fields(described):
        shown = "" if name == last else name
        lines += textwrap.wrap(
            "".join(character if character.isprintable() or character == _JOINT else "?" for character in text),
            width,
            initial_indent=shown.ljust(_NAME_WIDTH),
            subsequent_indent=" " * (_NAME_WIDTH + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
        last = name
    return [line.replace(_JOINT, " ") for line in lines]


def _fields(described: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and texts; a name twice in a row is one field with several lines."""
    yield "name", described["name"]
    yield "file", f"{described['file']} ({described['bytes']:,} bytes)"
    yield "SHA-256", described["sha256"] + (" (the published file)" if described["verified"] else "")
    for name in ("about", "note", "license"):
        if described[name]:
            yield name, described[name]
    for name in ("accuracy", "latency"):
        for figure in described[name]:
            yield name, "{figure}: {of}; {source}".format(**figure)
    yield "kind", _kind(described)
    if described["form"]:
        yield "form", _form(described["form"])
    for tensor in described["inputs"]:
        yield "input", _tensor(tensor)
    if described["normalisation"]:
        yield "input", "normalised as (value - {mean}) / {std}".format(**described["normalisation"])
    for tensor in described["outputs"]:
        yield "output", _tensor(tensor)
    yield "labels", _labels(described)
    yield from _calculation(described)
    yield from _needs(described)
    yield from _edgetpu(described)


def _kind(described: dict[str, Any]) -> str:
    kinds = {family.name: family.title for family in FAMILIES} | {"classifier": "image classifier"}
    kind = kinds.get(described["family"], "not known to edgecam")
    if described["classes"] is not None and described["family"] in kinds:
        kind += f", {_count(described['classes'], 'class', 'classes')}"
    if described["input"]:
        kind += f", pictures of {described['input']} pixels"
    return kind if described["detector"] else f"{kind}; edgecam cannot run it as a detector: {described['unfit']}"


def _form(form: dict[str, Any]) -> str:
    """How a picture goes in, and the options of the family."""
    sources = {"file": "stated in the file", "catalogue": "by the catalogue", "outputs": "told by its outputs"}
    options = [f"{name}{_JOINT}{str(value).replace(' ', _JOINT)}" for name, value in form["options"].items()]
    how = {"stretch": "pictures stretched", "letterbox": "pictures fitted in with their shape kept"}[form["resize"]]
    return f"{', '.join([form['family'], how, *options])} ({sources[form['from']]})"


def _tensor(tensor: dict[str, Any]) -> str:
    text = f"{tensor['role']}: " if tensor["role"] else ""
    of_the_operator = tensor["role"] in POSTPROCESS_ROLES and not tensor["shape"]
    shape = "of a shape told at run time" if of_the_operator else str(tensor["shape"]).replace(" ", _JOINT)
    text += f"{tensor['name'] or 'without a name'} {shape} {tensor['dtype']}"
    if tensor["scale"] is not None:
        text += f", scale {tensor['scale']:.6g}, zero{_JOINT}point{_JOINT}{tensor['zero_point']}"
    if tensor["channels"]:
        text += f", {tensor['channels']} scales"
    return text + (f", {tensor['signature']} in its signature" if tensor["signature"] else "")


def _labels(described: dict[str, Any]) -> str:
    if described["labels_problem"]:
        return f"none that fit: {described['labels_problem']}"
    return f"{described['labels']}, from {described['labels_from']}" if described["labels"] else "none"


def _calculation(described: dict[str, Any]) -> Iterator[tuple[str, str]]:
    numbers = described["quantisation"]
    parts = [numbers["kind"] if numbers["kind"] != "mixed" else f"mixed ({', '.join(numbers['kinds'])})"]
    parts += [f"activations {' and '.join(numbers['activations'])}"] if numbers["activations"] else []
    if numbers["weights"]:
        granularity = f" ({numbers['granularity']})" if numbers["granularity"] else ""
        parts.append(f"weights {' and '.join(numbers['weights'])}{granularity}")
    if any(parts):
        yield "quantisation", ", ".join(filter(None, parts))
    if described["parameters"] is not None:
        yield "weights", f"{described['parameters']:,} parameters, {described['weight_bytes']:,} bytes"


def _needs(described: dict[str, Any]) -> Iterator[tuple[str, str]]:
    needs = described["needs"]
    wanted = needs["min_runtime_version"]
    yield "schema", str(needs["schema_version"]) + (f", for TensorFlow Lite {wanted} or later" if wanted else "")
    yield "operators", _uses(needs["operators"]) or "no built-in ones"
    if needs["custom_operators"]:
        yield "custom ops", _uses(needs["custom_operators"])
    if needs["select_operators"]:
        yield "select ops", f"{', '.join(needs['select_operators'])}: TensorFlow's own, by the Flex delegate"
    with_tpu = ", with an Edge TPU" if described["edgetpu"] else ""
    for fit in described["runtimes"]:
        yield (
            "runs on",
            f"{fit['name']} {fit['version']}: " + (f"yes{with_tpu}" if fit["runs"] else f"no, {fit['why']}"),
        )


def _edgetpu(described: dict[str, Any]) -> Iterator[tuple[str, str]]:
    compiled = described["compiled"]
    if compiled is None:
        yield "Edge TPU", "not compiled for it"
    else:
        parts = [f"compiled for it: {_count(compiled['segments'], 'part')} of {compiled['package_bytes']:,} bytes"]
        if compiled["operators_moved"] is not None:
            parts.append(f"{compiled['operators_moved']} of {compiled['operators_before']} operators moved there")
        if compiled["min_edgetpu_version"] is not None:
            parts.append(f"for Edge TPU runtime {compiled['min_edgetpu_version']} or later")
        yield "Edge TPU", ", ".join(parts)
        yield "Edge TPU", f"left on the CPU: {_uses(compiled['left_on_cpu']) or 'nothing'}"
    if described["sibling"]:
        yield "sibling", described["sibling"]
    elif described["sibling_problem"] and described["sibling_problem"] not in described["note"]:
        yield "sibling", described["sibling_problem"]


def _uses(uses: list[dict[str, Any]]) -> str:
    """Operators by count, name and version."""
    return ", ".join(_JOINT.join((str(use["count"]), use["name"], f"v{use['version']}")) for use in uses)


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
