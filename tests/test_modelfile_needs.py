"""What a model needs and how it counts: as the official schema and the runtimes themselves tell it."""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from flatbuffer_writer import Fields, Items, Scalar, Writer, flexbuffer_map
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import FLOAT32, INT8, INT32, UINT8, OperatorSpec, TensorSpec

from edgecam import models
from edgecam.errors import ModelError
from edgecam.modelfile import ModelFile
from edgecam.modelfile.codes import BUILTINS, CUSTOM, DTYPES, LITERT, TFLITE_RUNTIME
from edgecam.modelfile.flatbuffer import FlatbufferError, flexbuffer_bytes, flexbuffer_numbers
from edgecam.modelfile.needs import compiled_part, operators_of, runtime_fits, select_operators
from edgecam.modelfile.quantisation import quantisation_of

CONV_2D, FULLY_CONNECTED, FLOAT16 = 3, 9, 1
PACKAGE_KEY = "4"


@dataclass(frozen=True)
class Tensor(TensorSpec):
    """A tensor with a scale for each channel, with sizes that may vary, or with another tensor's content."""

    scales: tuple[float, ...] = ()
    any_shape: tuple[int, ...] = ()
    same_as: int | None = None

    def fields(self, buffer: int) -> Fields:
        fields = dict(super().fields(buffer if self.same_as is None else self.same_as + 1))
        if self.scales:
            fields[4] = {2: Items("f", self.scales), 3: Items("q", [0] * len(self.scales), align=8)}
        return fields | ({7: Items("i", self.any_shape)} if self.any_shape else {})


@dataclass(frozen=True)
class Operator(OperatorSpec):
    """An operator of a version of our choice."""

    version: int = 1

    def code_fields(self) -> Fields:
        return dict(super().code_fields()) | {2: Scalar("i", self.version)}


def load(folder: Path, content: bytes) -> ModelFile:
    path = folder / "model.tflite"
    path.write_bytes(content)
    return ModelFile.load(path)


def package(runtime_version: int, size: int = 64) -> bytes:
    """The options of an edgetpu-custom-op: a flexbuffer map with libedgetpu's package in it."""
    blob = Writer().finish({0: Scalar("i", runtime_version), 1: Items("B", bytes(size)), 4: "1.0"}, b"DWN1")
    data = bytearray(b"1\0" + PACKAGE_KEY.encode() + b"\0")
    data += struct.pack("<I", len(blob))
    blob_at = len(data)
    data += blob + b"\0" * (1 + -(len(blob) + 1) % 4)
    data += struct.pack("<I", 2)
    keys_at = len(data)
    data += struct.pack("<II", keys_at, keys_at + 4 - 2)
    data += struct.pack("<II", len(data) - keys_at, 4)
    data += struct.pack("<I", 2)
    values_at = len(data)
    data += struct.pack("<iI", 3, values_at + 4 - blob_at) + bytes((1 << 2 | 2, 5 << 2 | 2))
    return bytes(data) + bytes((len(data) - values_at, 9 << 2 | 2, 1))


def convolution(weights: Tensor, activations: int = FLOAT32, *, unpacked: bool = False) -> bytes:
    """A model of one convolution, with its weights as they are or through a DEQUANTIZE."""
    scale = 0.0 if activations == FLOAT32 else 0.5
    bias = Tensor("bias", (4,), INT32, bytes(16), scales=(0.5,) * 4) if scale else Tensor("bias", (4,), 0, bytes(16))
    tensors = [
        Tensor("picture", (1, 8, 8, 3), activations, scale=scale),
        weights,
        bias,
        Tensor("features", (1, 8, 8, 4), activations, scale=scale),
        Tensor("unpacked", weights.shape),
    ]
    operators = [OperatorSpec(tiny_models.DEQUANTIZE, (1,), (4,))] if unpacked else []
    operators.append(OperatorSpec(CONV_2D, (0, 4 if unpacked else 1, 2), (3,)))
    return tiny_models.model(tensors, operators, (0,), (3,))


KERNEL = (4, 1, 1, 3)


class TestQuantisation:
    @pytest.mark.parametrize(
        ("content", "kind", "weights", "granularity", "weight_bytes"),
        [
            (convolution(Tensor("w", KERNEL, FLOAT32, bytes(48))), "float", "float32", "", 64),
            (convolution(Tensor("w", KERNEL, UINT8, bytes(12), 0.5), UINT8), "full integer", "uint8", "per tensor", 28),
            (
                convolution(Tensor("w", KERNEL, INT8, bytes(12), scales=(0.5,) * 4), INT8),
                "full integer", "int8", "per channel", 28,
            ),
            (convolution(Tensor("w", KERNEL, INT8, bytes(12), 0.5)), "dynamic range", "int8", "per tensor", 28),
            (
                convolution(Tensor("w", KERNEL, INT8, bytes(12), 0.5), unpacked=True),
                "integer weights", "int8", "per tensor", 28,
            ),
            (
                convolution(Tensor("w", KERNEL, FLOAT16, bytes(24)), unpacked=True),
                "float16 weights", "float16", "", 40,
            ),
        ],
    )  # fmt: skip
    def test_kinds(
        self, tmp_path: Path, content: bytes, kind: str, weights: str, granularity: str, weight_bytes: int
    ) -> None:
        found = quantisation_of(load(tmp_path, content).structure)
        assert (found.kind, found.weights, found.granularity) == (kind, (weights,), granularity)
        assert (found.parameters, found.weight_bytes) == (16, weight_bytes)

    def test_parts_that_differ_are_mixed_but_for_small_weights_left_as_they_were(self, tmp_path: Path) -> None:
        tensors = [
            Tensor("a", (1, 3)),
            Tensor("w8", (4, 3), INT8, bytes(12), 0.5),
            Tensor("b", (1, 4)),
            Tensor("w32", (2, 4), FLOAT32, bytes(32)),
            Tensor("c", (1, 2)),
            Tensor("q", (1, 3), INT8, scale=0.5),
            Tensor("r", (1, 4), INT8, scale=0.5),
        ]
        first, second = OperatorSpec(FULLY_CONNECTED, (0, 1, -1), (2,)), OperatorSpec(FULLY_CONNECTED, (2, 3, -1), (4,))
        found = quantisation_of(load(tmp_path, tiny_models.model(tensors, [first, second], (0,), (4,))).structure)
        assert (found.kind, found.kinds) == ("dynamic range", ("dynamic range", "float"))
        integer = OperatorSpec(FULLY_CONNECTED, (5, 1, -1), (6,))
        found = quantisation_of(load(tmp_path, tiny_models.model(tensors, [integer, second], (0,), (4,))).structure)
        assert (found.kind, found.kinds) == ("mixed", ("float", "full integer"))

    def test_one_buffer_is_counted_once_and_anchors_and_shapes_never(self, tmp_path: Path) -> None:
        found = quantisation_of(load(tmp_path, tiny_models.detector()).structure)
        assert (found.parameters, found.weight_bytes) == (9, 36)
        tensors = [
            Tensor("a", (1, 3)),
            Tensor("w", (3, 3), FLOAT32, bytes(36)),
            Tensor("again", (3, 3), same_as=1),
            Tensor("b", (1, 3)),
        ]
        operators = [OperatorSpec(FULLY_CONNECTED, (0, weights, -1), (3,)) for weights in (1, 2)]
        found = quantisation_of(load(tmp_path, tiny_models.model(tensors, operators, (0,), (3,))).structure)
        assert (found.parameters, found.weight_bytes) == (9, 36)

    def test_nothing_calculated_is_of_no_kind(self, tmp_path: Path) -> None:
        found = quantisation_of(load(tmp_path, tiny_models.model([TensorSpec("a", (1,))], [], (0,), (0,))).structure)
        assert (found.kind, found.kinds, found.parameters) == ("", (), 0)

    def test_a_scale_that_is_no_number_is_damage(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="'a' has a scale that is no number"):
            load(tmp_path, tiny_models.model([TensorSpec("a", (1,), UINT8, scale=math.inf)], [], (0,), (0,)))


class TestOperators:
    def test_the_highest_version_of_each_counts(self, tmp_path: Path) -> None:
        tensors = [TensorSpec("a", (1, 4)), TensorSpec("b", (1, 4))]
        operators = [Operator(CONV_2D, (0,), (1,), version=each) for each in (1, 3, 2)] + [Operator("Mine", (0,), (1,))]
        structure = load(tmp_path, tiny_models.model(tensors, operators, (0,), (1,))).structure
        uses = [(use.name, use.version, use.count, use.custom) for use in operators_of(structure)]
        assert uses == [("CONV_2D", 3, 3, False), ("Mine", 1, 1, True)]

    @pytest.mark.parametrize(
        ("operator", "litert", "tflite_runtime"),
        [
            (Operator(CONV_2D, (0,), (1,)), "", ""),
            (
                Operator(FULLY_CONNECTED, (0,), (1,), version=12),
                "", "knows FULLY_CONNECTED up to version 10, 12 is wanted",
            ),
            (Operator(206, (0,), (1,)), "", "does not know STABLEHLO_COMPOSITE"),
            (Operator(250, (0,), (1,)), "does not know operator 250", "does not know operator 250"),
            (Operator("Mine", (0,), (1,)), *["does not know the custom operator Mine"] * 2),
            (Operator("FlexDet", (0,), (1,)), *["has no Flex delegate for Det"] * 2),
            (Operator("edgetpu-custom-op", (0,), (1,)), "", ""),
            (Operator("Mfcc", (0,), (1,)), "", ""),
        ],
        ids=lambda value: value.code if isinstance(value, Operator) else "",
    )  # fmt: skip
    def test_which_runtimes_have_them(
        self, tmp_path: Path, operator: Operator, litert: str, tflite_runtime: str
    ) -> None:
        if isinstance(operator.code, int) and operator.code > 127:
            operator = Beyond(operator.code, (0,), (1,))
        tensors = [TensorSpec("a", (1, 4)), TensorSpec("b", (1, 4))]
        structure = load(tmp_path, tiny_models.model(tensors, [operator], (0,), (1,))).structure
        fits = runtime_fits(structure)
        assert [(fit.name, fit.version) for fit in fits] == [LITERT, TFLITE_RUNTIME]
        assert [fit.why for fit in fits] == [litert, tflite_runtime]
        assert select_operators(structure) == (("Det",) if operator.code == "FlexDet" else ())

    @pytest.mark.parametrize(("runtime", "module"), [(LITERT, "ai_edge_litert"), (TFLITE_RUNTIME, "tflite_runtime")])
    def test_the_runtimes_say_the_same(self, runtime: tuple[str, str], module: str) -> None:
        interpreter = installed(runtime, module)
        for number, (name, known) in enumerate(BUILTINS):
            if number == CUSTOM:
                continue
            highest = known[runtime]
            assert highest == 0 or accepts(interpreter, number, highest), (name, highest)
            assert not accepts(interpreter, number, highest + 1), (name, highest + 1)


@dataclass(frozen=True)
class Beyond(Operator):
    """An operator whose number the old, 8-bit field cannot hold."""

    def code_fields(self) -> Fields:
        return {0: Scalar("b", 127), 2: Scalar("i", self.version), 3: Scalar("i", int(self.code))}


def installed(runtime: tuple[str, str], module: str) -> Any:
    """The runtime's Interpreter, where the very version is installed that the table was made with."""
    try:
        found = version(runtime[0])
    except PackageNotFoundError:
        pytest.skip(f"{runtime[0]} is not installed here")
    if found != runtime[1]:
        pytest.skip(f"the table is {runtime[0]} {runtime[1]}'s, {found} is installed here")
    return import_module(f"{module}.interpreter").Interpreter


def accepts(interpreter: Any, number: int, version: int) -> bool:
    """Does the runtime know an operator of that version? Announced only: none is ever prepared, so none can crash."""
    code = {0: Scalar("b", min(number, 127)), 2: Scalar("i", version), 3: Scalar("i", number)}
    graph = {0: [TensorSpec("t", (1,)).fields(0)], 1: Items("i", (0,)), 2: Items("i", (0,)), 3: [], 4: "main"}
    content = Writer().finish({0: Scalar("I", 3), 1: [code], 2: [graph], 3: "probe", 4: [{}]}, b"TFL3")
    try:
        interpreter(model_content=content)
    except ValueError as error:
        if not any(
            said in str(error) for said in ("Didn't find op for builtin opcode", "Op builtin_code out of range")
        ):
            raise
        return False
    return True


class TestCompiled:
    def compiled(self, folder: Path, *options: bytes) -> ModelFile:
        tensors = [TensorSpec(f"t{number}", (1, 2, 2, 3), UINT8, scale=0.5) for number in range(3)]
        moved = [OperatorSpec("edgetpu-custom-op", (0,), (1,), each) for each in options]
        return load(
            folder, tiny_models.model(tensors, [*moved, OperatorSpec(tiny_models.RESHAPE, (1,), (2,))], (0,), (2,))
        )

    def test_what_is_on_the_edge_tpu_and_what_is_left(self, tmp_path: Path) -> None:
        options = package(13), package(14)
        file = self.compiled(tmp_path, *options)
        found = compiled_part(file.structure)
        assert found is not None
        assert (found.segments, found.package_bytes) == (2, sum(map(len, options)))
        assert [(use.name, use.count) for use in found.left_on_cpu] == [("RESHAPE", 1)]
        assert found.min_runtime_version == 14
        numbers = quantisation_of(file.structure)
        assert (numbers.kind, numbers.activations, numbers.parameters) == ("full integer", ("uint8",), None)

    @pytest.mark.parametrize("options", [b"", b"\0\0", b"a model of the stand-in", package(0), package(13)[:-9]])
    def test_a_package_that_cannot_be_read_tells_no_version(self, tmp_path: Path, options: bytes) -> None:
        found = compiled_part(self.compiled(tmp_path, options).structure)
        assert found is not None
        assert found.min_runtime_version is None

    def test_a_cpu_model_has_none(self, tmp_path: Path) -> None:
        assert compiled_part(load(tmp_path, tiny_models.detector()).structure) is None

    def test_the_real_one(self, assets: Path) -> None:
        file = ModelFile.load(assets / "models" / "ssd_mobilenet_v2_300_1class_edgetpu.tflite")
        found = compiled_part(file.structure)
        assert found is not None
        assert (found.segments, found.package_bytes, found.min_runtime_version) == (1, 4026426, 12)
        assert [(use.name, use.version, use.count) for use in found.left_on_cpu] == [
            ("TFLite_Detection_PostProcess", 1, 1)
        ]


class TestOfficialSchema:
    """Every answer against TensorFlow Lite's own reader, for every model at hand."""

    def test_codes_and_dtypes(self) -> None:
        schema = official_schema()
        names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
        for number, (name, _) in enumerate(BUILTINS):
            assert names[number] == name
        dtypes = {number: name for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
        assert {number: name.upper() for number, (name, _) in DTYPES.items()} == {
            number: dtypes[number] for number in DTYPES
        }

    def test_every_model(self, assets: Path) -> None:
        schema = official_schema()
        bundled = Path(__file__).resolve().parent.parent / "models"
        paths = [*sorted((assets / "models").rglob("*.tflite")), *sorted(bundled.glob("*.tflite"))]
        assert len(paths) >= 6
        for path in paths:
            check_against(schema, ModelFile.load(path), schema.Model.GetRootAs(path.read_bytes(), 0))

    def test_ends_as_the_interpreter_has_them(self, assets: Path) -> None:
        interpreter_class = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
        for path in sorted((assets / "models").glob("*.tflite")):
            described = models.info(models.Model(path.stem, path))
            if described["edgetpu"]:
                continue
            interpreter = interpreter_class(model_path=str(path), num_threads=1)
            interpreter.allocate_tensors()
            for ends, details in (
                (described["inputs"], interpreter.get_input_details()),
                (described["outputs"], interpreter.get_output_details()),
            ):
                assert [end["name"] for end in ends] == [each["name"] for each in details]
                assert [end["dtype"] for end in ends] == [each["dtype"].__name__ for each in details]
                assert [(end["scale"] or 0.0, end["zero_point"] or 0) for end in ends] == [
                    each["quantization"] for each in details
                ]
            assert [end["shape"] for end in described["inputs"]] == [
                each["shape"].tolist() for each in interpreter.get_input_details()
            ]


def official_schema() -> Any:
    return pytest.importorskip("ai_edge_litert.schema_py_generated", reason="the official reader is not installed")


def check_against(schema: Any, file: ModelFile, official: Any) -> None:
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    codes = [official.OperatorCodes(index) for index in range(official.OperatorCodesLength())]
    numbers = [max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) for code in codes]
    labels = [
        code.CustomCode().decode() if number == CUSTOM else names[number]
        for code, number in zip(codes, numbers, strict=True)
    ]
    graphs = [official.Subgraphs(index) for index in range(official.SubgraphsLength())]
    operators = [graph.Operators(index) for graph in graphs for index in range(graph.OperatorsLength())]
    used = Counter(labels[operator.OpcodeIndex()] for operator in operators)
    assert {use.name: use.count for use in operators_of(file.structure)} == used
    assert {use.name: use.version for use in operators_of(file.structure)} == {
        label: code.Version() for label, code in zip(labels, codes, strict=True)
    }
    assert file.structure.version == official.Version()
    check_tensors(file, official, graphs[0])
    entries = {
        official.Metadata(index).Name(): official.Metadata(index).Buffer() for index in range(official.MetadataLength())
    }
    wanted = entries.get(b"min_runtime_version")
    texts = [official.Buffers(wanted).DataAsNumpy().tobytes().rstrip(b"\0").decode()] if wanted else [""]
    assert file.structure.min_runtime_version == texts[0] or not texts[0]


def check_tensors(file: ModelFile, official: Any, graph: Any) -> None:
    sizes, total, scales = dict[int, int](), 0, set[int]()
    anchors = {
        graph.Operators(index).Inputs(2)
        for index in range(graph.OperatorsLength())
        if official.OperatorCodes(graph.Operators(index).OpcodeIndex()).CustomCode() == b"TFLite_Detection_PostProcess"
    }
    for index, own in enumerate(file.structure.graphs[0].tensors):
        tensor = graph.Tensors(index)
        quantisation, stored = tensor.Quantization(), official.Buffers(tensor.Buffer()).DataLength()
        assert (own.name, own.stored_bytes, own.buffer) == (tensor.Name().decode(), stored, tensor.Buffer())
        assert list(own.scales) == (
            [] if not quantisation or quantisation.ScaleIsNone() else list(quantisation.ScaleAsNumpy())
        )
        learned = stored and index not in anchors and (own.dtype not in {"int32", "int64"} or own.scales)
        if learned and tensor.Buffer() not in sizes:
            sizes[tensor.Buffer()] = stored
            total += math.prod(tensor.ShapeAsNumpy().tolist()) if tensor.ShapeLength() else 1
            scales |= {len(own.scales)} if len(own.shape) == 4 else set()
    numbers = quantisation_of(file.structure)
    if file.compiled_for_edgetpu:
        assert (numbers.parameters, numbers.weight_bytes) == (None, None)
    else:
        assert (numbers.parameters, numbers.weight_bytes) == (total, sum(sizes.values()))
        assert numbers.granularity == ("per channel" if max(scales) > 1 else "per tensor")
        assert numbers.kind == "full integer"


class TestDamage:
    """Whatever is cut or changed: a description that JSON can hold, or a ModelError."""

    def rich(self) -> bytes:
        """A model with a part of everything that is looked at."""
        tensors = [
            Tensor("picture", (1, 8, 8, 3), INT8, scale=0.5, any_shape=(-1, 8, 8, 3)),
            Tensor("w", KERNEL, INT8, bytes(12), scales=(0.5,) * 4),
            Tensor("w16", (1, 2), FLOAT16, bytes(4)),
            Tensor("features", (1, 8, 8, 4), INT8, scale=0.5),
            Tensor("real", (1, 2)),
        ]
        operators = [
            Operator(CONV_2D, (0, 1, -1), (3,), version=3),
            Operator(tiny_models.DEQUANTIZE, (2,), (4,)),
            Operator("edgetpu-custom-op", (0,), (3,), package(14)),
            Operator("FlexDet", (4,), (4,)),
            Operator("TFLite_Detection_PostProcess", (3, 3, 2), (3, 4), flexbuffer_map({"num_classes": 2})),
        ]
        described = tiny_models.metadata(mean=[0], std=[1], label_file="labels.txt")
        content = tiny_models.model(tensors, operators, (0,), (3, 4), signature={"output_0": 3}, metadata=described)
        return tiny_models.with_files(content, {"labels.txt": b"cat\ndog\n"})

    def describe(self, folder: Path, content: bytes) -> dict[str, Any] | None:
        path = folder / "model.tflite"
        path.write_bytes(content)
        described = models.info(models.Model("model", path))
        json.dumps(described, allow_nan=False)
        return None if described["problem"] else described

    def test_the_whole_is_described(self, tmp_path: Path) -> None:
        described = self.describe(tmp_path, self.rich())
        assert described is not None
        assert described["inputs"][0]["shape"] == [-1, 8, 8, 3]
        assert described["compiled"]["min_edgetpu_version"] == 14
        assert described["needs"]["select_operators"] == ["Det"]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
    @given(st.data())
    def test_changed_bytes(self, tmp_path: Path, data: st.DataObject) -> None:
        content = bytearray(self.rich())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        self.describe(tmp_path, bytes(content))

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
    @given(st.data())
    def test_flipped_bits_in_a_real_one(self, assets: Path, tmp_path: Path, data: st.DataObject) -> None:
        content = bytearray((assets / "models" / "ssd_mobilenet_v2_300_1class_edgetpu.tflite").read_bytes())
        places = st.one_of(st.integers(0, 2000), st.integers(-3000, -1), st.integers(0, len(content) - 1))
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(places)] ^= 1 << data.draw(st.integers(0, 7))
        self.describe(tmp_path, bytes(content))

    def test_cuts(self, tmp_path: Path) -> None:
        content = self.rich()
        for length in range(0, len(content), 7):
            assert self.describe(tmp_path, content[:length]) is None

    @given(st.binary(max_size=300))
    def test_any_options(self, junk: bytes) -> None:
        for read in (flexbuffer_numbers, lambda data: flexbuffer_bytes(data, PACKAGE_KEY)):
            try:
                read(junk)
            except FlatbufferError:
                continue

    @given(st.integers(0, len(package(14)) - 1), st.integers(0, 255))
    def test_changed_options(self, place: int, value: int) -> None:
        options = bytearray(package(14))
        assert b"DWN1" in flexbuffer_bytes(bytes(options), PACKAGE_KEY)
        options[place] = value
        with suppress(FlatbufferError):
            assert len(flexbuffer_bytes(bytes(options), PACKAGE_KEY)) <= len(options)
