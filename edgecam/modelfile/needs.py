"""What a model needs to run: its operators and their versions, and which runtimes have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from edgecam.modelfile.codes import BUILTINS, EDGETPU_OP, KNOWN_CUSTOM, LITERT, TFLITE_RUNTIME
from edgecam.modelfile.flatbuffer import Flatbuffer, FlatbufferError, flexbuffer_bytes
from edgecam.modelfile.schema import Code, Operator, Structure

#: How the names of TensorFlow's own operators begin, which need the Flex delegate ("select ops").
_SELECT = "Flex"
_VERSIONS = dict(BUILTINS)
# Where libedgetpu (executable/executable.fbs) has its package in the options, and the package's mark.
_PACKAGE_KEY, _PACKAGE_MARK = "4", b"DWN1"


@dataclass(frozen=True, slots=True)
class OperatorUse:
    """An operator, its highest version and how often it is used; `custom` is True where it is no built-in."""

    name: str
    version: int
    count: int
    custom: bool


@dataclass(frozen=True, slots=True)
class RuntimeFit:
    """Whether a runtime, of the version looked at, has all of a model's operators; `why` not, "" where it has.

    Types and shapes are not looked at; a compiled model needs an Edge TPU all the same.
    """

    name: str
    version: str
    why: str


@dataclass(frozen=True, slots=True)
class Compiled:
    """What edgetpu_compiler made of a model: so many operators for the Edge TPU with so many bytes in all.

    `left_on_cpu` are the operators it did not move. `min_runtime_version` is the Edge TPU runtime asked for (as in
    libedgetpu's `RuntimeVersion`), None where the package does not tell.
    """

    segments: int
    package_bytes: int
    left_on_cpu: tuple[OperatorUse, ...]
    min_runtime_version: int | None


def operators_of(structure: Structure) -> tuple[OperatorUse, ...]:
    """All operators of a model, most used first; those announced and not used have a count of 0."""
    used = Counter(operator.code for graph in structure.graphs for operator in graph.operators)
    return _uses({code: used[code] for code in structure.codes})


def select_operators(structure: Structure) -> tuple[str, ...]:
    """The TensorFlow operators it uses beyond TensorFlow Lite's, by their names there."""
    names = (code.name for code in structure.codes if code.custom and code.name.startswith(_SELECT))
    return tuple(dict.fromkeys(name.removeprefix(_SELECT) for name in names))


def runtime_fits(structure: Structure) -> tuple[RuntimeFit, ...]:
    """Which of the runtimes edgecam uses have what a model needs."""
    return tuple(RuntimeFit(*runtime, "; ".join(_lacks(structure, runtime))) for runtime in (LITERT, TFLITE_RUNTIME))


def compiled_part(structure: Structure) -> Compiled | None:
    """What of a model runs on an Edge TPU; None where it was not compiled for one."""
    operators = [operator for graph in structure.graphs for operator in graph.operators]
    moved = [operator for operator in operators if operator.custom == EDGETPU_OP]
    if not moved:
        return None
    left = Counter(operator.code for operator in operators if operator.custom != EDGETPU_OP)
    return Compiled(
        segments=len(moved),
        package_bytes=sum(len(operator.options) for operator in moved),
        left_on_cpu=_uses(left),
        min_runtime_version=max((version for each in moved if (version := _package_version(each))), default=None),
    )


def _uses(counts: Mapping[Code, int]) -> tuple[OperatorUse, ...]:
    merged: dict[tuple[str, bool], tuple[int, int]] = {}
    for code, count in counts.items():
        version, sum_so_far = merged.get((code.name, code.custom), (0, 0))
        merged[code.name, code.custom] = max(version, code.version), sum_so_far + count
    uses = (OperatorUse(name, version, count, custom) for (name, custom), (version, count) in merged.items())
    return tuple(sorted(uses, key=lambda use: (-use.count, use.name)))


def _lacks(structure: Structure, runtime: tuple[str, str]) -> list[str]:
    """What a runtime lacks, in words."""
    found = []
    if select := select_operators(structure):
        found.append(f"has no Flex delegate for {', '.join(select)}")
    for name, version, custom in dict.fromkeys(structure.codes):
        known = _VERSIONS.get(name, {}).get(runtime, 0)
        if custom and name not in KNOWN_CUSTOM[runtime] | {EDGETPU_OP} and not name.startswith(_SELECT):
            found.append(f"does not know the custom operator {name}")
        elif not custom and not known:
            found.append(f"does not know {name}")
        elif not custom and version > known:
            found.append(f"knows {name} up to version {known}, {version} is wanted")
    return found


def _package_version(operator: Operator) -> int | None:
    """The Edge TPU runtime version in an operator's package, None where it cannot be read."""
    try:
        package = Flatbuffer(flexbuffer_bytes(bytes(operator.options), _PACKAGE_KEY), _PACKAGE_MARK).root()
        version = package.integer(0, "i")
    except FlatbufferError:
        return None
    return version if 0 < version < 1000 else None
