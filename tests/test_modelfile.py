"""Model files are verified to the last byte before any runtime sees them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import tiny_models
from flatbuffer_writer import flexbuffer_map
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgecam.errors import ModelError
from edgecam.modelfile import ModelFile, PostProcess

SSD_V1 = "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
DOG_VS_CAT = "ssdlite_mobiledet_dog_vs_cat.tflite"
TRAFFIC_LIGHT = "ssd_mobilenet_v2_fpnlite_320_trafficlight_int8.tflite"
ONE_CLASS = "ssd_mobilenet_v2_300_1class.tflite"
ONE_CLASS_EDGETPU = "ssd_mobilenet_v2_300_1class_edgetpu.tflite"

BOXES_FIRST = ("boxes", "classes", "scores", "count")
SCORES_FIRST = ("scores", "boxes", "count", "classes")


def refusal_of(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        ModelFile.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def write(folder: Path, content: bytes, name: str = "model.tflite") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "size", "roles", "classes"),
    [
        (SSD_V1, 300, BOXES_FIRST, 90),
        (DOG_VS_CAT, 320, BOXES_FIRST, 2),
        (TRAFFIC_LIGHT, 320, SCORES_FIRST, 4),
        (ONE_CLASS, 300, BOXES_FIRST, 1),
        (ONE_CLASS_EDGETPU, 300, BOXES_FIRST, 1),
    ],
)
def test_real_detectors_are_described(assets: Path, name: str, size: int, roles: tuple[str, ...], classes: int) -> None:
    model = ModelFile.load(assets / "models" / name)
    assert not model.is_classifier
    assert model.input_size == (size, size)
    assert model.inputs[0].dtype == "uint8"
    assert model.postprocess == PostProcess(roles, classes, 10)
    assert model.classes == classes
    assert model.compiled_for_edgetpu == (name == ONE_CLASS_EDGETPU)
    assert model.size_bytes == (assets / "models" / name).stat().st_size


def test_metadata_gives_labels_normalisation_and_licence(assets: Path) -> None:
    model = ModelFile.load(assets / "models" / SSD_V1)
    assert model.metadata.name == "Coco SSD MobileNetV1"
    assert "Apache" in model.metadata.license
    assert (model.metadata.mean, model.metadata.std) == ((127.5,), (127.5,))
    assert model.embedded_labels is not None
    assert model.embedded_labels.startswith(b"person\nbicycle\n")


def test_the_signature_names_outputs_by_position(assets: Path) -> None:
    model = ModelFile.load(assets / "models" / TRAFFIC_LIGHT)
    assert model.signature_outputs == {"output_0": 2, "output_1": 0, "output_2": 3, "output_3": 1}


@pytest.mark.parametrize("name", [SSD_V1, DOG_VS_CAT, TRAFFIC_LIGHT, ONE_CLASS, ONE_CLASS_EDGETPU])
def test_the_reader_agrees_with_the_official_schema(assets: Path, name: str) -> None:
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="the official reader is not installed")
    official = schema.Model.GetRootAs((assets / "models" / name).read_bytes(), 0)
    graph = official.Subgraphs(0)
    model = ModelFile.load(assets / "models" / name)
    for tensor, index in zip(model.inputs, graph.InputsAsNumpy(), strict=True):
        quantisation = graph.Tensors(index).Quantization()
        assert tensor.name == graph.Tensors(index).Name().decode()
        assert tensor.shape == tuple(graph.Tensors(index).ShapeAsNumpy())
        assert (tensor.scale, tensor.zero_point) == (quantisation.Scale(0), quantisation.ZeroPoint(0))
    names = [graph.Tensors(index).Name().decode() for index in graph.OutputsAsNumpy()]
    assert [tensor.name for tensor in model.outputs] == names
    codes = [official.OperatorCodes(index).CustomCode() for index in range(official.OperatorCodesLength())]
    assert set(model.custom_ops) == {code.decode() for code in codes if code}


@pytest.mark.parametrize("cut", range(20))
@pytest.mark.parametrize("name", [SSD_V1, DOG_VS_CAT])
def test_a_real_model_cut_anywhere_is_refused(assets: Path, tmp_path: Path, name: str, cut: int) -> None:
    content = (assets / "models" / name).read_bytes()
    message = refusal_of(write(tmp_path, content[: (cut + 1) * len(content) // 21], name))
    assert "truncated or damaged" in message
    assert "copy or download it again" in message


@pytest.mark.parametrize("lost", [1, 2, 3, 4, 22, 100, 700, 782, 783])
def test_a_cut_in_the_files_at_the_end_is_refused(assets: Path, tmp_path: Path, lost: int) -> None:
    content = (assets / "models" / SSD_V1).read_bytes()
    assert "labelmap.txt" in refusal_of(write(tmp_path, content[:-lost]))


def test_a_model_cut_at_any_byte_is_refused_unless_only_padding_is_lost(tmp_path: Path) -> None:
    content = tiny_models.detector()
    for length in range(1, len(content)):
        path = write(tmp_path, content[:length])
        if any(content[length:]):
            refusal_of(path)


@pytest.mark.parametrize("lost", [1, 2, 3, 5])
def test_an_odd_end_is_refused_though_nothing_in_use_is_missing(assets: Path, tmp_path: Path, lost: int) -> None:
    content = (assets / "models" / DOG_VS_CAT).read_bytes()
    assert "its end is missing" in refusal_of(write(tmp_path, content[:-lost]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_damage_anywhere_gives_a_model_or_a_model_error(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(
        tiny_models.with_files(
            tiny_models.detector(metadata=tiny_models.metadata(mean=[0], std=[1], label_file="labels.txt")),
            {"labels.txt": b"cat\ndog\n"},
        )
    )
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        model = ModelFile.load(write(tmp_path, bytes(content)))
    except ModelError:
        return
    assert not model.is_classifier


@given(st.binary(max_size=200))
def test_any_bytes_behind_the_mark_give_a_model_error(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    refusal_of(write(tmp_path_factory.getbasetemp(), b"\x08\0\0\0TFL3" + junk))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (b"person\nbicycle\n", "looks like text"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a picture"),
        (b"PK\x03\x04" + bytes(40), "a zip archive"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "an HDF5 file"),
        (b"\x10\0\0\0M001" + bytes(40), "begins with 10 00 00 00 4d 30 30 31"),
        (b"\x1c\0\0", "truncated or damaged"),
    ],
)
def test_foreign_files_are_told_apart(tmp_path: Path, content: bytes, what: str) -> None:
    assert what in refusal_of(write(tmp_path, content))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "no such model file" in refusal_of(tmp_path / "absent.tflite")
    assert "a folder" in refusal_of(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal_of(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, tiny_models.detector())
    path.chmod(0)
    assert "cannot be read" in refusal_of(path)


def test_the_digest_is_checked_where_it_is_given(tmp_path: Path) -> None:
    path = write(tmp_path, tiny_models.detector())
    digest = ModelFile.load(path).sha256
    assert ModelFile.load(path, digest.upper()).sha256 == digest
    with pytest.raises(ModelError, match=r"SHA-256 is .* 0000 was expected"):
        ModelFile.load(path, "0000")


def test_files_that_the_metadata_announces_must_be_there_and_whole(tmp_path: Path) -> None:
    model = tiny_models.detector(metadata=tiny_models.metadata(label_file="labels.txt"))
    assert "labels.txt" in refusal_of(write(tmp_path, model))
    assert "labels.txt" in refusal_of(write(tmp_path, tiny_models.with_files(model, {"other.txt": b"cat"})))
    whole = tiny_models.with_files(model, {"labels.txt": b"cat\ndog"})
    assert ModelFile.load(write(tmp_path, whole)).embedded_labels == b"cat\ndog"
    assert "labels.txt" in refusal_of(write(tmp_path, whole.replace(b"cat\ndog", b"cow\ndog")))


def test_weights_must_fill_their_tensors(tmp_path: Path) -> None:
    spec = tiny_models.TensorSpec("weights", (2, 2), content=bytes(12))
    assert "'weights' has 12 bytes, its shape wants 16" in refusal_of(
        write(tmp_path, tiny_models.model([spec], [], [0], [0]))
    )


@pytest.mark.parametrize(("inputs", "outputs", "taken"), [([1], [0], 0), ([0], [7], 0), ([0], [0], 9)])
def test_indices_must_lead_somewhere(tmp_path: Path, inputs: list[int], outputs: list[int], taken: int) -> None:
    operator = tiny_models.OperatorSpec(tiny_models.RESHAPE, (taken, -1), (0,))
    content = tiny_models.model([tiny_models.TensorSpec("one", (1,))], [operator], inputs, outputs)
    assert "is used, there are 1" in refusal_of(write(tmp_path, content))


def test_other_schema_versions_are_refused(tmp_path: Path) -> None:
    content = tiny_models.model([tiny_models.TensorSpec("one", (1,))], [], [0], [0], version=4)
    assert "schema version 4" in refusal_of(write(tmp_path, content))


def test_a_classifier_is_told_from_a_detector(tmp_path: Path) -> None:
    model = ModelFile.load(write(tmp_path, tiny_models.classifier()))
    assert (model.is_classifier, model.classes, model.postprocess) == (True, 12, None)


def test_a_model_that_takes_no_picture_is_unknown_and_has_no_input_size(tmp_path: Path) -> None:
    tensors = [tiny_models.TensorSpec("sound", (1, 16000)), tiny_models.TensorSpec("words", (1, 12))]
    model = ModelFile.load(write(tmp_path, tiny_models.model(tensors, [], [0], [1])))
    assert not model.is_classifier
    with pytest.raises(ModelError, match=r"takes \[1, 16000\], not one RGB picture"):
        assert model.input_size


def test_without_readable_options_the_scores_tell_the_number_of_classes(tmp_path: Path) -> None:
    whole = tiny_models.detector()
    renamed = whole.replace(b"num_classes", b"xum_classes")
    assert ModelFile.load(write(tmp_path, renamed)).postprocess == PostProcess(BOXES_FIRST, 2, 3)
    options = flexbuffer_map({"num_classes": 5, "threshold": 0.5})
    assert whole.count(options) == 0
    tensors = [tiny_models.TensorSpec("a", (1, 2, 2, 3)), tiny_models.TensorSpec("b", (1, 9, 7))]
    for given_options, classes in ((options, 5), (b"\xff\xff\xff", 6), (b"", 6), (options[:-3], 6)):
        operator = tiny_models.OperatorSpec("TFLite_Detection_PostProcess", (0, 1, 0), (0,), given_options)
        content = tiny_models.model(tensors, [operator], [0], [0])
        assert ModelFile.load(write(tmp_path, content)).classes == classes
