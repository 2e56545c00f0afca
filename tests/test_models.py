"""Names lead to files; a published name must carry the published content."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from model_folders import only_bundled

from edgecam import cli, models
from edgecam.errors import ModelError
from edgecam.labels import COCO
from edgecam.modelfile import ModelFile
from edgecam.models.entries import git_blob_of

MOBILEDET_FILE = "ssdlite_mobiledet_coco_qat_postprocess.tflite"
DEMO_FILE = "edgecam_demo.tflite"


@pytest.fixture(autouse=True)
def bundled_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of bundled models that is empty at first, and no other models on the machine."""
    return only_bundled(tmp_path, monkeypatch)


def put(folder: Path, name: str, content: bytes | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(tiny_models.detector() if content is None else content)
    return path


def test_nothing_means_the_real_mobiledet_where_it_is_present(tmp_path: Path, bundled_folder: Path) -> None:
    demo = put(bundled_folder, DEMO_FILE)
    for nothing in (None, "auto"):
        assert models.resolve(nothing).path == demo
    real = put(tmp_path / "data", MOBILEDET_FILE)
    for nothing in (None, "auto"):
        assert models.resolve(nothing, [tmp_path / "data"]) == models.Model("mobiledet", real)


def test_the_demonstrator_says_what_it_is(bundled_folder: Path) -> None:
    put(bundled_folder, DEMO_FILE)
    labels = put(bundled_folder, "edgecam_demo.txt", b"person\ncar")
    chosen = models.resolve("edgecam-demo")
    assert chosen.labels == labels
    assert "rendered scenes only" in chosen.note
    assert "edgecam models pull mobiledet" in chosen.note


def test_without_any_model_the_remedy_is_named(bundled_folder: Path) -> None:
    with pytest.raises(ModelError, match="edgecam models pull mobiledet"):
        models.resolve(None)


def test_the_environment_goes_before_folders_and_folders_before_bundled(
    tmp_path: Path, bundled_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [put(folder, "garden.tflite") for folder in (bundled_folder, tmp_path / "data", tmp_path / "mine")]
    assert models.resolve("garden").path == places[0]
    assert models.resolve("garden", [tmp_path / "data"]).path == places[1]
    monkeypatch.setenv("EDGECAM_MODELS", str(tmp_path / "mine"))
    assert models.resolve("garden.tflite", [tmp_path / "data"]).path == places[2]


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = put(tmp_path, "garden.tflite")
    assert models.resolve(path) == models.Model("garden", path)
    assert models.resolve(str(path)) == models.Model("garden", path)
    assert models.resolve(tmp_path / "absent.tflite").path == tmp_path / "absent.tflite"


def test_unknown_names_bring_the_nearest(tmp_path: Path, bundled_folder: Path) -> None:
    put(bundled_folder, "garden.tflite")
    with pytest.raises(ModelError, match=r"no model is called 'mobildet': did you mean mobiledet"):
        models.resolve("mobildet")
    with pytest.raises(ModelError, match="did you mean garden"):
        models.resolve("gardens")
    with pytest.raises(ModelError, match="see `edgecam models list`"):
        models.resolve("zzzzzzzz")


def test_a_known_name_that_is_absent_tells_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="edgecam models pull mobiledet-edgetpu") as caught:
        models.resolve("mobiledet-edgetpu", [tmp_path / "data"])
    assert str(tmp_path / "data") in str(caught.value)


@pytest.mark.parametrize("name", [MOBILEDET_FILE, "ssd_mobilenet_v2_coco_quant_postprocess.tflite"])
def test_a_published_name_with_other_content_is_refused(tmp_path: Path, name: str) -> None:
    path = put(tmp_path, name)
    with pytest.raises(ModelError, match="not the published file of that name"):
        models.load(path)
    assert models.load(path.rename(tmp_path / "mine.tflite")).path == tmp_path / "mine.tflite"


def test_a_git_blob_id_is_a_pin() -> None:
    content = tiny_models.detector()
    model = models.Published("tiny", "tiny.tflite", "", git_blob="0" * 40)
    assert model.pinned
    # As `git hash-object` names the same bytes.
    assert git_blob_of(b"test content\n") == "d670460b4b4aece5915caf5c68d12f560a9fe3e4"
    assert git_blob_of(content) != model.git_blob


def test_real_files_carry_their_pins(assets: Path) -> None:
    for name in ("coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite", "ssdlite_mobiledet_dog_vs_cat.tflite"):
        card = models.info(models.resolve(assets / "models" / name))
        assert (card["present"], card["pinned"], card["verified"], card["problem"]) == (True, True, True, None)


def load_tiny(folder: Path, name: str = "tiny.tflite", content: bytes | None = None) -> ModelFile:
    return models.load(put(folder, name, content))


def test_labels_come_from_the_file_given_first(tmp_path: Path) -> None:
    embedded = tiny_models.with_files(
        tiny_models.detector(metadata=tiny_models.metadata(label_file="labels.txt")), {"labels.txt": b"cow\nhen"}
    )
    model = load_tiny(tmp_path, content=embedded)
    assert models.labels_for(model).names == ("cow", "hen")
    put(tmp_path, "tiny.txt", b"cat\ndog")
    assert models.labels_for(model).names == ("cat", "dog")
    given = put(tmp_path, "given.txt", b"bee\nfly")
    assert models.labels_for(model, given).names == ("bee", "fly")


@pytest.mark.parametrize("name", ["tiny.txt", "tiny.pbtxt", "tiny_labels.txt", "tiny_edgetpu.txt"])
def test_a_label_file_beside_the_model_is_found(tmp_path: Path, name: str) -> None:
    model = load_tiny(tmp_path, "tiny_edgetpu.tflite")
    put(tmp_path, name, b"item { id: 1 name: 'cat' } item { id: 2 name: 'dog' }" if "pb" in name else b"cat\ndog")
    assert models.labels_for(model).names == ("cat", "dog")


def test_a_label_file_too_short_is_refused(tmp_path: Path) -> None:
    model = load_tiny(tmp_path)
    with pytest.raises(ModelError, match="1 labels, the model has 2 classes"):
        models.labels_for(model, put(tmp_path, "short.txt", b"cat"))


def test_a_label_file_too_long_is_used_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = models.labels_for(load_tiny(tmp_path), put(tmp_path, "long.txt", b"cat\ndog\ncow"))
    assert labels.name(1) == "dog"
    assert "3 labels, the model has 2 classes" in caplog.text


def test_a_model_without_labels_goes_by_numbers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        labels = models.labels_for(load_tiny(tmp_path))
    assert labels.known() == frozenset()
    assert labels.name(1) == "class 1"


def test_ninety_classes_without_labels_are_taken_for_coco(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tensors = [tiny_models.TensorSpec("picture", (1, 2, 2, 3)), tiny_models.TensorSpec("scores", (1, 9, 91))]
    operator = tiny_models.OperatorSpec("TFLite_Detection_PostProcess", (0, 1, 0), (0,))
    labels = models.labels_for(load_tiny(tmp_path, content=tiny_models.model(tensors, [operator], [0], [0])))
    assert labels.names == COCO.names
    assert "taking COCO's" in caplog.text


def test_the_real_pet_detector_is_known_by_its_content(assets: Path, tmp_path: Path) -> None:
    original = assets / "models" / "ssdlite_mobiledet_dog_vs_cat.tflite"
    renamed = put(tmp_path, "pets.tflite", original.read_bytes())
    for path in (original, renamed):
        assert models.labels_for(models.load(path)).names == ("cat", "dog")


def test_the_list_names_present_and_absent_models(tmp_path: Path, bundled_folder: Path) -> None:
    put(bundled_folder, "garden.tflite")
    put(bundled_folder, "broken.tflite", b"\x08\0\0\0TFL3")
    put(tmp_path / "data", "garden.tflite", tiny_models.detector(tiny_models.INT8, zero_point=0))
    cards = {card["name"]: card for card in models.list_models([tmp_path / "data"])}
    assert cards["garden"]["file"] == str(tmp_path / "data" / "garden.tflite")
    assert {key: cards["garden"][key] for key in ("input", "dtype", "classes", "labels", "family", "edgetpu")} == {
        "input": [2, 2], "dtype": "int8", "classes": 2, "labels": 0, "family": "ssd-postprocess", "edgetpu": False,
    }  # fmt: skip
    assert "truncated or damaged" in cards["broken"]["problem"]
    assert not cards["mobiledet"]["present"]
    assert {published.name for published in models.PUBLISHED} < cards.keys()
    assert len({tuple(card) for card in cards.values()}) <= 3
    assert len({frozenset(card) for card in cards.values()}) == 1


#: What is said of a model whose one output is a map of five numbers.
UNKNOWN_OUTPUTS = (
    "no detector edgecam knows (outputs: map [1, 8, 8, 5]):"
    " give an SSD model with TFLite_Detection_PostProcess, or state the model's form"
)


class TestInfo:
    """What `edgecam models info` says of any model."""

    def info(self, path: Path) -> dict[str, Any]:
        described = models.info(models.resolve(path))
        assert json.loads(json.dumps(described, allow_nan=False)) == described
        return described

    def test_the_keys_are_always_the_same(self, tmp_path: Path, assets: Path) -> None:
        contents = {"a": tiny_models.detector(), "b": tiny_models.classifier(), "c": b"no model", "d": None}
        cards = [self.info(put(tmp_path, f"{name}.tflite", content)) for name, content in contents.items() if content]
        cards.append(models.info(models.Model("absent", tmp_path / "absent.tflite")))
        cards.append(self.info(assets / "models" / "ssd_mobilenet_v2_300_1class_edgetpu.tflite"))
        assert len({frozenset(card) for card in cards}) == 1
        assert [bool(card["problem"]) for card in cards] == [False, False, True, True, False]

    def test_the_real_pair(self, assets: Path) -> None:
        folder = assets / "models"
        cpu, compiled = (folder / f"ssd_mobilenet_v2_300_1class{end}.tflite" for end in ("", "_edgetpu"))
        of_cpu, of_compiled = self.info(cpu), self.info(compiled)
        picture = {
            "name": "normalized_input_image_tensor", "role": "picture", "signature": "", "shape": [1, 300, 300, 3],
            "dtype": "uint8", "scale": 1 / 128, "zero_point": 128, "channels": None,
        }  # fmt: skip
        assert of_cpu["inputs"] == of_compiled["inputs"] == [picture]
        for card in (of_cpu, of_compiled):
            assert [end["role"] for end in card["outputs"]] == ["boxes", "classes", "scores", "count"]
            assert (card["detector"], card["unfit"], card["classes"], card["labels"]) == (True, "", 1, 0)
            assert [fit["runs"] for fit in card["runtimes"]] == [True, True]
            assert card["quantisation"]["kind"] == "full integer"
        assert (of_cpu["edgetpu"], of_cpu["compiled"], of_cpu["sibling"]) == (False, None, str(compiled))
        assert of_cpu["needs"]["min_runtime_version"] == "1.5.0"
        assert sum(use["count"] for use in of_cpu["needs"]["operators"]) == 114
        assert (of_compiled["edgetpu"], of_compiled["sibling"]) == (True, str(cpu))
        assert of_compiled["needs"]["operators"] == []
        assert of_compiled["compiled"] == {
            "segments": 1,
            "package_bytes": 4026426,
            "min_edgetpu_version": 12,
            "left_on_cpu": [{"name": "TFLite_Detection_PostProcess", "version": 1, "count": 1}],
            "operators_before": 115,
            "operators_moved": 114,
        }

    @pytest.mark.parametrize(
        ("content", "unfit"),
        [
            (tiny_models.classifier(), "an image classifier of 12 classes: edgecam needs an object detector"),
            (
                tiny_models.model(
                    [tiny_models.TensorSpec("sound", (1, 16000)), tiny_models.TensorSpec("words", (1, 12))],
                    [], (0,), (1,),
                ),
                "takes [1, 16000], not one RGB picture: give an object detector's model file",
            ),
            (
                tiny_models.model(
                    [tiny_models.TensorSpec("picture", (1, 8, 8, 3)), tiny_models.TensorSpec("map", (1, 8, 8, 5))],
                    [], (0,), (1,),
                ),
                UNKNOWN_OUTPUTS,
            ),
            (
                tiny_models.detector(tiny_models.INT32),
                "its input is int32: convert it to one of uint8, int8, float32",
            ),
            (
                tiny_models.detector(custom_ops=("Mine", "TFLite_Detection_PostProcess")),
                "; ".join(
                    f"{name} does not know the custom operator Mine" for name in ("ai-edge-litert", "tflite-runtime")
                ),
            ),
        ],
    )  # fmt: skip
    def test_what_is_no_detector_is_described_all_the_same(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, unfit: str
    ) -> None:
        path = put(tmp_path, "other.tflite", content)
        card = self.info(path)
        assert (card["problem"], card["detector"], card["unfit"]) == (None, False, unfit)
        assert card["inputs"]
        assert cli.main(["models", "info", str(path)]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        assert f"edgecam cannot run it as a detector: {unfit}" in " ".join(said.out.split())

    def test_labels_that_do_not_fit_are_a_problem_for_a_detector_only(self, tmp_path: Path) -> None:
        put(tmp_path, "short.txt", b"cat")
        trouble = f"{tmp_path}/short.txt: 1 labels, the model has"
        card = self.info(put(tmp_path, "short.tflite"))
        assert card["problem"] == card["labels_problem"]
        assert card["problem"].startswith(trouble)
        card = self.info(put(tmp_path, "short.tflite", tiny_models.classifier()))
        assert card["problem"] is None
        assert card["labels_problem"].startswith(trouble)

    def test_a_sibling_that_does_not_belong_is_told_and_the_file_described(self, tmp_path: Path) -> None:
        put(tmp_path, "garden_edgetpu.tflite")
        card = self.info(put(tmp_path, "garden.tflite"))
        assert (card["problem"], card["sibling"]) == (None, None)
        assert "garden_edgetpu.tflite: not compiled for the Edge TPU" in card["sibling_problem"]

    def test_the_card_is_folded_and_steers_no_terminal(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "70")
        tensors = [tiny_models.TensorSpec("\x1b[31mred", (1, 4)), tiny_models.TensorSpec("b", (1, 4))]
        operators = [tiny_models.OperatorSpec(number, (0,), (1,)) for number in range(32)]
        path = put(tmp_path, "m.tflite", tiny_models.model(tensors, operators, (0,), (1,)))
        assert cli.main(["models", "info", str(path)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert "\x1b" not in "".join(lines)
        assert any("?[31mred [1, 4] float32" in line for line in lines)
        assert all(len(line) <= 70 for line in lines if str(tmp_path) not in line and line.split()[0] != "SHA-256")
        assert "1 CONV_2D v1," in " ".join(lines)
