"""Reads TensorFlow.js graph models: topology from JSON, weights from their shards, one, two or four bytes each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecam.errors import InputError

_DTYPES = {"float32": "<f4", "int32": "<i4", "bool": "?", "uint8": "u1", "float16": "<f2", "uint16": "<u2"}
_SHARDS_AGAIN = "copy the model again, all its shards beside it"


@dataclass(frozen=True, slots=True)
class TfjsModel:
    """A graph model: `nodes` as in the file, `weights` as real numbers by node, the names of its inputs and outputs."""

    path: Path
    nodes: tuple[Mapping[str, Any], ...]
    functions: Mapping[str, Any]
    weights: Mapping[str, NDArray[Any]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_tfjs(path: Path) -> TfjsModel:
    """Read a model.json and its shards. Raises InputError, which names the file and what is wrong with it."""
    document = _document(path)
    topology = document.get("modelTopology")
    if not isinstance(topology, dict) or not isinstance(topology.get("node"), list):
        kind = document.get("format", "unknown")
        raise InputError(f"{path}: a TensorFlow.js file of format {kind!r}, no graph model: export it as a graph model")
    nodes = tuple(topology["node"])
    if not all(isinstance(node, dict) and {"name", "op"} <= node.keys() for node in nodes):
        raise InputError(f"{path}: its topology has a node without a name or an operation: copy the file again")
    try:
        weights = _weights(path, document.get("weightsManifest", []))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: its list of weights is damaged ({error!r}): copy the file again") from error
    missing = [node["name"] for node in nodes if node["op"] == "Const" and node["name"] not in weights]
    if missing:
        raise InputError(f"{path}: no weights for {missing[0]!r} and {len(missing) - 1} more: {_SHARDS_AGAIN}")
    return TfjsModel(path, nodes, topology.get("library") or {}, weights, *_ends(path, document, nodes))


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): give a model.json") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a TensorFlow.js model (no sound JSON): give its model.json") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: not a TensorFlow.js model: give its model.json")
    return document


def _ends(
    path: Path, document: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The inputs and outputs: as the signature says, else what is fed and what nothing else takes."""
    signature = document.get("signature") or document.get("userDefinedMetadata", {}).get("signature") or {}
    known = {node["name"] for node in nodes}
    ends = []
    for side in ("inputs", "outputs"):
        stated = signature.get(side) or {}
        ends.append(tuple(end.get("name", key) for key, end in stated.items()))
    taken = {source.split(":")[0].lstrip("^") for node in nodes for source in node.get("input", ())}
    inputs = ends[0] or tuple(node["name"] for node in nodes if node["op"] == "Placeholder")
    outputs = ends[1] or tuple(sorted(known - taken))
    unknown = [name for name in (*inputs, *outputs) if name.split(":")[0] not in known]
    if unknown or not inputs or not outputs:
        raise InputError(
            f"{path}: its signature names {unknown or 'nothing'}, which is not in the graph: export it again"
        )
    return inputs, outputs


def _weights(path: Path, manifest: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for group in manifest:
        data = b"".join(_shard(path, name) for name in group["paths"])
        at = 0
        for weight in group["weights"]:
            value, size_bytes = _weight(path, weight, data, at)
            at += size_bytes
            found[weight["name"]] = value
        if at != len(data):
            shards = ", ".join(group["paths"])
            raise InputError(f"{path}: {shards} hold {len(data)} bytes, the weights are {at}: {_SHARDS_AGAIN}")
    return found


def _shard(path: Path, name: str) -> bytes:
    shard = path.parent / name
    if Path(name).name != name:
        raise InputError(f"{path}: its shard {name!r} is not beside it: put all files of the model into one folder")
    try:
        return shard.read_bytes()
    except OSError as error:
        raise InputError(f"{shard}: cannot be read ({error.strerror}): {_SHARDS_AGAIN}") from error


def _weight(path: Path, weight: Mapping[str, Any], data: bytes, at: int) -> tuple[NDArray[Any], int]:
    """One weight and its size in the file; integers stand for stored * scale + min, as TensorFlow.js has it."""
    coded = weight.get("quantization")
    stored = coded["dtype"] if coded else weight["dtype"]
    if stored not in _DTYPES or weight["dtype"] not in _DTYPES:
        raise InputError(f"{path}: weight {weight['name']!r} is of type {stored}: one of {', '.join(_DTYPES)} is read")
    shape = tuple(int(size) for size in weight["shape"])
    dtype, count = np.dtype(_DTYPES[stored]), math.prod(shape)
    if min(shape, default=0) < 0 or at + count * dtype.itemsize > len(data):
        raise InputError(f"{path}: its shards end within weight {weight['name']!r}: {_SHARDS_AGAIN}")
    value = np.frombuffer(data, dtype, count, at).reshape(shape)
    if coded and stored != "float16":
        value = value * np.float32(coded["scale"]) + np.float32(coded["min"])
    return value.astype(_DTYPES[weight["dtype"]]), count * dtype.itemsize
