"""Model files: reads and verifies a .tflite file without any runtime, so that none ever sees a damaged one."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from edgecam.errors import ModelError
from edgecam.modelfile.codes import EDGETPU_OP, POSTPROCESS_OP
from edgecam.modelfile.flatbuffer import FlatbufferError, flexbuffer_numbers
from edgecam.modelfile.form import ModelForm
from edgecam.modelfile.metadata import Metadata, unpack_files
from edgecam.modelfile.schema import IDENTIFIER, Graph, Operator, Structure, Tensor, walk

__all__ = [
    "EDGETPU_OP",
    "POSTPROCESS_OP",
    "POSTPROCESS_ROLES",
    "Metadata",
    "ModelFile",
    "ModelForm",
    "PostProcess",
    "Structure",
    "Tensor",
]

#: What the post-process op puts out, in its order (detection_postprocess.cc of TensorFlow Lite).
POSTPROCESS_ROLES = ("boxes", "classes", "scores", "count")

_REMEDY = "copy or download it again"
_LIMIT_BYTES = 1 << 31


@dataclass(frozen=True, slots=True)
class PostProcess:
    """A model's TFLite_Detection_PostProcess operator.

    `roles` says what each of the model's outputs is, in the model's order: `boxes`, `classes`, `scores`, `count`, or ""
    where an output is none of the operator's own. `classes` is the number of classes and `max_detections` that of
    candidates, None where the file does not say. `regular_nms` is its class-wise suppression.
    """

    roles: tuple[str, ...]
    classes: int | None
    max_detections: int | None
    regular_nms: bool = False


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A verified model file and what it says of itself. `content` is the very bytes that were verified.

    `embedded_labels` is the text of the label file inside the model; `signature_outputs` maps the names in the model's
    signature, where it has one, to positions in `outputs`. `structure` is all of it but its weights.
    """

    path: Path
    content: bytes = field(repr=False)
    sha256: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    signature_outputs: dict[str, int]
    custom_ops: tuple[str, ...]
    postprocess: PostProcess | None
    metadata: Metadata
    embedded_labels: bytes | None
    structure: Structure = field(repr=False)

    @classmethod
    def load(cls, path: Path, sha256: str | None = None) -> ModelFile:
        """Read and verify a model file.

        Raises ModelError where it is missing, unreadable, foreign, truncated or damaged, or where `sha256` is given
        and is not its digest.
        """
        content = _read(path)
        digest = hashlib.sha256(content).hexdigest()
        if sha256 is not None and digest != sha256.lower():
            raise ModelError(f"{path}: SHA-256 is {digest}, {sha256.lower()} was expected: {_REMEDY}")
        try:
            structure = walk(content)
            files = unpack_files(content, structure.metadata.files)
            _check_end(structure, content)
        except FlatbufferError as error:
            raise ModelError(f"{path}: truncated or damaged model file ({error}): {_REMEDY}") from error
        return cls._described(path, content, digest, structure, files)

    @classmethod
    def _described(
        cls, path: Path, content: bytes, digest: str, structure: Structure, files: dict[str, bytes]
    ) -> ModelFile:
        graph, metadata = structure.graphs[0], structure.metadata
        return cls(
            path=path,
            content=content,
            sha256=digest,
            inputs=tuple(graph.tensors[index] for index in graph.inputs),
            outputs=tuple(graph.tensors[index] for index in graph.outputs),
            signature_outputs={
                name: graph.outputs.index(index)
                for name, index in structure.signature.items()
                if index in graph.outputs
            },
            custom_ops=tuple(dict.fromkeys(op.custom for op in graph.operators if op.custom)),
            postprocess=_postprocess(graph),
            metadata=metadata,
            embedded_labels=files.get(metadata.label_file) if metadata.label_file else _only_text(files),
            structure=structure,
        )

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return len(self.content)

    @property
    def takes_a_picture(self) -> bool:
        """True where its one input is one RGB picture, [1, height, width, 3]."""
        shapes = [tensor.shape for tensor in self.inputs]
        return len(shapes) == 1 and len(shapes[0]) == 4 and min(shapes[0]) > 0 and shapes[0][::3] == (1, 3)

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height of the picture it takes. Raises ModelError where it takes something else."""
        if not self.takes_a_picture:
            shapes = " and ".join(str(list(tensor.shape)) for tensor in self.inputs) or "nothing"
            raise ModelError(f"{self.path}: takes {shapes}, not one RGB picture: give an object detector's model file")
        height, width = self.inputs[0].shape[1:3]
        return width, height

    @property
    def stated_form(self) -> ModelForm | None:
        """The form the file itself states, None where it states none. Raises ModelError where it is damaged."""
        if not self.structure.stated_form:
            return None
        try:
            return ModelForm.from_json(self.structure.stated_form)
        except ValueError as error:
            raise ModelError(
                f"{self.path}: the form it states is not understood ({error}): convert it anew with this edgecam"
            ) from error

    @property
    def compiled_for_edgetpu(self) -> bool:
        """True where it runs on an Edge TPU only."""
        return EDGETPU_OP in self.custom_ops

    @property
    def is_classifier(self) -> bool:
        """True where it takes a picture and gives one score per class."""
        return self.takes_a_picture and self.postprocess is None and self._scores_per_class() is not None

    @property
    def classes(self) -> int | None:
        """The number of classes of a classifier, or as the post-process operator has it; None where neither is told."""
        return self.postprocess.classes if self.postprocess else self._scores_per_class()

    def _scores_per_class(self) -> int | None:
        """The length of a classifier's one output, [1, classes]; None where the outputs look otherwise."""
        if len(self.outputs) != 1 or len(self.outputs[0].shape) < 2:
            return None
        *leading, classes = self.outputs[0].shape
        return classes if classes > 1 and all(size == 1 for size in leading) else None


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ModelError(f"{path}: {_not_a_file(path)}")
        with path.open("rb") as file:
            head = file.read(8)
            if head[4:8] != IDENTIFIER[: max(0, len(head) - 4)]:
                raise ModelError(f"{path}: not a TensorFlow Lite model ({_seems(head)}): give a .tflite file")
            size = path.stat().st_size
            if size >= _LIMIT_BYTES:
                raise ModelError(f"{path}: {size} bytes are too many, models are smaller than {_LIMIT_BYTES}")
            content = head + file.read()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}): check the file's permissions") from error
    if not content:
        raise ModelError(f"{path}: the file is empty: {_REMEDY}")
    return content


def _not_a_file(path: Path) -> str:
    if path.is_dir():
        return "a folder, not a model file: name a .tflite file in it"
    if path.exists():
        return "not a regular file: name a .tflite file"
    return "no such model file: check the name, or see `edgecam models list`"


def _seems(head: bytes) -> str:
    """What a file that is no model looks like, from its first bytes."""
    known = {
        b"PK\x03\x04": "a zip archive",
        b"\x89HDF": "an HDF5 file",
        b"\x89PNG": "a picture",
        b"\xff\xd8\xff": "a picture",
    }
    for mark, kind in known.items():
        if head.startswith(mark):
            return f"it looks like {kind}"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return "it looks like text"
    return f"it begins with {head.hex(' ')}"


def _check_end(structure: Structure, content: bytes) -> None:
    """Every builder pads a flatbuffer to a multiple of four bytes; only files appended as a zip may change that."""
    padded = structure.end + -structure.end % 4
    odd = len(content) % 4 != 0 and not zipfile.is_zipfile(io.BytesIO(content))
    if padded > len(content) or odd:
        raise FlatbufferError(f"its end is missing after {len(content)} bytes")


def _only_text(files: dict[str, bytes]) -> bytes | None:
    """The one text file in a model whose metadata does not say which file holds the labels."""
    texts = [content for name, content in files.items() if name.endswith(".txt")]
    return texts[0] if len(texts) == 1 else None


def _postprocess(graph: Graph) -> PostProcess | None:
    operator = next((op for op in graph.operators if op.custom == POSTPROCESS_OP), None)
    if operator is None:
        return None
    role_of = dict(zip(operator.outputs, POSTPROCESS_ROLES, strict=False))
    try:
        options = flexbuffer_numbers(bytes(operator.options))
    except FlatbufferError:
        options = {}
    candidates = options.get("max_detections")
    return PostProcess(
        roles=tuple(role_of.get(index, "") for index in graph.outputs),
        classes=_class_count(graph, operator, options),
        max_detections=None if candidates is None else int(candidates),
        regular_nms=bool(options.get("use_regular_nms", 0)),
    )


def _class_count(graph: Graph, operator: Operator, options: dict[str, float]) -> int | None:
    """What the operator is told, else what its scores' shape says: [1, anchors, 1 + classes], background first."""
    if "num_classes" in options:
        return int(options["num_classes"])
    shape = graph.tensors[operator.inputs[1]].shape if len(operator.inputs) > 1 else ()
    return shape[-1] - 1 if len(shape) == 3 and shape[-1] > 1 else None
