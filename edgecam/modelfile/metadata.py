"""What a model says of itself: the TFLite metadata flatbuffer and the files appended to the model as a zip.

Field numbers are those of metadata_schema.fbs (version 1.1) of TensorFlow Lite Support.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass

from edgecam.modelfile.flatbuffer import Flatbuffer, FlatbufferError, Table

_TENSOR_AXIS_LABELS, _TENSOR_VALUE_LABELS = 2, 3
_NORMALIZATION_OPTIONS = 1
_FILE_LIMIT_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class Metadata:
    """The parts of TFLite metadata that edgecam uses; empty where the model does not say.

    `mean` and `std` normalise the input, (value - mean) / std with values 0 to 255, one number or one per channel.
    `files` are the names of the files that must be in the model's zip; `label_file` is the one with the class names.
    """

    name: str = ""
    description: str = ""
    author: str = ""
    license: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    files: tuple[str, ...] = ()
    label_file: str | None = None


def parse_metadata(data: bytes) -> Metadata:
    """Read the content of a TFLITE_METADATA buffer. Raises FlatbufferError."""
    root = Flatbuffer(data, b"M001").root()
    graphs = root.tables(3)
    inputs = [tensor for graph in graphs for tensor in graph.tables(2)]
    outputs = [tensor for graph in graphs for tensor in graph.tables(3)]
    holders = [(root, 6), *((graph, 4) for graph in graphs), *((tensor, 6) for tensor in inputs + outputs)]
    mean, std = _normalisation(inputs)
    return Metadata(
        name=root.text(0),
        description=root.text(1),
        author=root.text(4),
        license=root.text(5),
        mean=mean,
        std=std,
        files=tuple(dict.fromkeys(file.text(0) for table, field in holders for file in table.tables(field))),
        label_file=_label_file(outputs),
    )


def _normalisation(inputs: list[Table]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    for tensor in inputs:
        for unit in tensor.tables(4):
            options = unit.table(1) if unit.integer(0, "B") == _NORMALIZATION_OPTIONS else None
            if options is not None and options.floats(0) and options.floats(1) and all(options.floats(1)):
                return options.floats(0), options.floats(1)
    return (), ()


def _label_file(outputs: list[Table]) -> str | None:
    """The file that names the values of an output (a detector's classes), else the items along one (a classifier's)."""
    files = [file for tensor in outputs for file in tensor.tables(6)]
    for kind in (_TENSOR_VALUE_LABELS, _TENSOR_AXIS_LABELS):
        named = [file.text(0) for file in files if file.integer(2, "B") == kind]
        if named:
            return named[0]
    return None


def unpack_files(content: bytes, names: tuple[str, ...]) -> dict[str, bytes]:
    """The named files from the zip at the end of the model, checked by CRC. Raises FlatbufferError."""
    if not names:
        return {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: _unpack(archive, name) for name in names}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise FlatbufferError(f"the files at its end ({', '.join(names)}) are missing or damaged") from error


def _unpack(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        entry = archive.getinfo(name)
    except KeyError as error:
        raise FlatbufferError(f"{name!r}, which its metadata announces, is missing") from error
    if entry.file_size > _FILE_LIMIT_BYTES:
        raise FlatbufferError(f"{name!r} at its end is of {entry.file_size} bytes, {_FILE_LIMIT_BYTES} at most")
    return archive.read(entry)
