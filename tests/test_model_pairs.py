"""A model's two versions, compiled for the Edge TPU and for the CPU, are found, told apart and checked against."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import tiny_models
from model_folders import only_bundled

from edgecam import models
from edgecam.errors import ModelError
from edgecam.models import Model, ModelPair
from edgecam.models.published import BY_NAME

EDGETPU_OP, POSTPROCESS_OP = "edgetpu-custom-op", "TFLite_Detection_PostProcess"
CPU = tiny_models.detector()
COMPILED = tiny_models.detector(custom_ops=(EDGETPU_OP, POSTPROCESS_OP))
REAL_CPU, REAL_COMPILED = BY_NAME["mobiledet"].file, BY_NAME["mobiledet-edgetpu"].file


@pytest.fixture(autouse=True)
def bundled_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No models on the machine but those a test puts there."""
    return only_bundled(tmp_path, monkeypatch)


@pytest.fixture
def unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any content passes for a published file's: the real ones are not at hand."""
    monkeypatch.setattr("edgecam.models.entries.Published.matches", lambda published, model: True)


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def with_labels(content_of_labels: bytes, *custom_ops: str) -> bytes:
    operators = custom_ops or (POSTPROCESS_OP,)
    named = tiny_models.detector(metadata=tiny_models.metadata(label_file="labels.txt"), custom_ops=operators)
    return tiny_models.with_files(named, {"labels.txt": content_of_labels})


class TestFinding:
    def test_a_sibling_lies_beside_it_whichever_of_the_two_is_named(self, tmp_path: Path) -> None:
        cpu, compiled = put(tmp_path / "garden.tflite", CPU), put(tmp_path / "garden_edgetpu.tflite", COMPILED)
        assert models.pair_of(models.resolve(cpu)) == ModelPair("garden", compiled, cpu)
        assert models.pair_of(models.resolve(compiled)) == ModelPair("garden_edgetpu", compiled, cpu)

    def test_a_cpu_model_alone_says_what_is_missing_and_no_more(self, tmp_path: Path) -> None:
        cpu = put(tmp_path / "garden.tflite", CPU)
        pair = models.pair_of(models.resolve(cpu))
        assert (pair.edgetpu, pair.cpu, pair.note) == (None, cpu, "")
        assert pair.missing == (
            f"{cpu}: its version compiled for the Edge TPU is not here:"
            " compile it with edgetpu_compiler, and put garden_edgetpu.tflite beside it"
        )

    def test_a_compiled_model_without_its_cpu_sibling_says_so_at_every_start(self, tmp_path: Path) -> None:
        compiled = put(tmp_path / "garden_edgetpu.tflite", COMPILED)
        pair = models.pair_of(models.resolve(compiled))
        assert (pair.edgetpu, pair.cpu) == (compiled, None)
        assert pair.note == pair.missing
        assert pair.missing == (
            f"{compiled}: runs on an Edge TPU only, its version for the CPU is not here: put garden.tflite beside it"
        )

    def test_what_a_file_is_counts_not_its_name(self, tmp_path: Path) -> None:
        compiled = put(tmp_path / "garden.tflite", COMPILED)
        pair = models.pair_of(models.resolve(compiled))
        assert (pair.edgetpu, pair.cpu) == (compiled, None)
        assert "name it X_edgetpu.tflite, and put X.tflite" in pair.note
        cpu = put(tmp_path / "street_edgetpu.tflite", CPU)
        pair = models.pair_of(models.resolve(cpu))
        assert (pair.edgetpu, pair.cpu) == (None, cpu)
        assert "street_edgetpu.tflite: not compiled for the Edge TPU, whatever its name says" in pair.note

    def test_the_note_of_the_model_stays(self, tmp_path: Path) -> None:
        compiled = put(tmp_path / "garden_edgetpu.tflite", COMPILED)
        pair = models.pair_of(Model("garden", compiled, note="knows gardens only"))
        assert pair.note.startswith("knows gardens only; ")

    def test_published_siblings_are_found_in_any_folder(self, tmp_path: Path, unpinned: None) -> None:
        cpu, compiled = put(tmp_path / "service" / REAL_CPU, CPU), put(tmp_path / "data" / REAL_COMPILED, COMPILED)
        folders = [tmp_path / "data"]
        for name in ("mobiledet", "mobiledet-edgetpu", "auto"):
            pair = models.pair_of(models.resolve(name, folders), folders)
            assert (pair.edgetpu, pair.cpu, pair.missing) == (compiled, cpu, "")

    def test_a_published_model_alone_tells_how_to_pull_its_sibling(self, tmp_path: Path, unpinned: None) -> None:
        put(tmp_path / "data" / REAL_COMPILED, COMPILED)
        pair = models.pair_of(models.resolve("mobiledet-edgetpu", [tmp_path / "data"]))
        assert pair.missing.endswith("run `edgecam models pull mobiledet`")
        put(tmp_path / "other" / REAL_CPU, CPU)
        pair = models.pair_of(models.resolve("mobiledet", [tmp_path / "other"]))
        assert pair.missing.endswith("run `edgecam models pull mobiledet-edgetpu`")

    def test_a_private_model_is_not_looked_for_elsewhere(self, tmp_path: Path) -> None:
        cpu = put(tmp_path / "mine" / "garden.tflite", CPU)
        put(tmp_path / "data" / "garden_edgetpu.tflite", COMPILED)
        assert models.pair_of(models.resolve(cpu), [tmp_path / "data"]).edgetpu is None

    def test_auto_takes_the_compiled_mobiledet_where_only_that_is_present(self, tmp_path: Path, unpinned: None) -> None:
        put(tmp_path / "bundled" / BY_NAME["edgecam-demo"].file, CPU)
        compiled = put(tmp_path / "data" / REAL_COMPILED, COMPILED)
        assert models.resolve("auto", [tmp_path / "data"]).path == compiled
        cpu = put(tmp_path / "data" / REAL_CPU, CPU)
        assert models.resolve("auto", [tmp_path / "data"]).path == cpu

    def test_the_real_pair(self, assets: Path) -> None:
        folder = assets / "models"
        cpu, compiled = (
            folder / "ssd_mobilenet_v2_300_1class.tflite",
            folder / "ssd_mobilenet_v2_300_1class_edgetpu.tflite",
        )
        for path in (cpu, compiled):
            pair = models.pair_of(models.resolve(path))
            assert (pair.edgetpu, pair.cpu, pair.note, pair.missing) == (compiled, cpu, "", "")


class TestRefusals:
    @pytest.mark.parametrize("name", ["garden.tflite", "garden_edgetpu.tflite"])
    def test_a_sibling_of_the_wrong_kind_is_refused(self, tmp_path: Path, name: str) -> None:
        own = CPU if name == "garden.tflite" else COMPILED
        for file in ("garden.tflite", "garden_edgetpu.tflite"):
            put(tmp_path / file, own)
        with pytest.raises(ModelError) as caught:
            models.pair_of(models.resolve(tmp_path / name))
        if own == CPU:
            assert f"{tmp_path}/garden_edgetpu.tflite: not compiled for the Edge TPU" in str(caught.value)
        else:
            assert f"{tmp_path}/garden.tflite: compiled for the Edge TPU, as" in str(caught.value)

    def test_a_damaged_sibling_is_refused(self, tmp_path: Path) -> None:
        put(tmp_path / "garden.tflite", CPU)
        put(tmp_path / "garden_edgetpu.tflite", COMPILED[:-100])
        with pytest.raises(ModelError, match=r"garden_edgetpu\.tflite: truncated or damaged"):
            models.pair_of(models.resolve(tmp_path / "garden.tflite"))

    def test_a_published_sibling_with_other_content_is_refused(self, tmp_path: Path) -> None:
        put(tmp_path / "data" / REAL_CPU, CPU)
        put(tmp_path / "data" / REAL_COMPILED, COMPILED)
        with pytest.raises(ModelError, match="not the published file of that name"):
            models.pair_of(models.resolve("mobiledet", [tmp_path / "data"]))

    @pytest.mark.parametrize(
        ("compiled", "difference"),
        [
            (
                tiny_models.detector(tiny_models.INT8, zero_point=0, custom_ops=(EDGETPU_OP, POSTPROCESS_OP)),
                r"takes \[1, 2, 2, 3\] int8, .* takes \[1, 2, 2, 3\] uint8",
            ),
            (
                tiny_models.detector(
                    custom_ops=(EDGETPU_OP, POSTPROCESS_OP),
                    options=tiny_models.postprocess_options() | {"num_classes": 3},
                    scores=(0.0,) * 12,
                ),
                "has a class count of 3, .* has a class count of 2",
            ),
            (
                tiny_models.model(
                    [
                        tiny_models.TensorSpec("picture", (1, 2, 2, 3), tiny_models.UINT8, scale=1 / 128),
                        tiny_models.TensorSpec("scores", (1, 2)),
                    ],
                    [tiny_models.OperatorSpec(EDGETPU_OP, (0,), (1,))],
                    (0,),
                    (1,),
                ),
                "is of the family classifier, .* ssd-postprocess",
            ),
        ],
    )
    def test_what_does_not_belong_together_is_refused(self, tmp_path: Path, compiled: bytes, difference: str) -> None:
        put(tmp_path / "garden.tflite", CPU)
        put(tmp_path / "garden_edgetpu.tflite", compiled)
        with pytest.raises(ModelError, match=difference) as caught:
            models.pair_of(models.resolve(tmp_path / "garden.tflite"))
        assert str(tmp_path / "garden.tflite") in str(caught.value)
        assert str(tmp_path / "garden_edgetpu.tflite") in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_other_labels_inside_are_refused(self, tmp_path: Path) -> None:
        put(tmp_path / "garden.tflite", with_labels(b"cow\nhen"))
        put(tmp_path / "garden_edgetpu.tflite", with_labels(b"cow\nowl", EDGETPU_OP, POSTPROCESS_OP))
        with pytest.raises(ModelError, match=r"names its classes 1: 'owl', .* names its classes 1: 'hen'"):
            models.pair_of(models.resolve(tmp_path / "garden.tflite"))

    def test_the_same_labels_written_otherwise_are_the_same(self, tmp_path: Path) -> None:
        put(tmp_path / "garden.tflite", with_labels(b"cow\r\nhen\r\n"))
        put(tmp_path / "garden_edgetpu.tflite", with_labels(b"???\ncow\nhen", EDGETPU_OP, POSTPROCESS_OP))
        assert models.pair_of(models.resolve(tmp_path / "garden.tflite")).missing == ""


class TestLabels:
    def pair(self, folder: Path, cpu: bytes, compiled: bytes, named: str = "garden.tflite") -> ModelPair:
        put(folder / "garden.tflite", cpu)
        put(folder / "garden_edgetpu.tflite", compiled)
        return models.pair_of(models.resolve(folder / named))

    @pytest.mark.parametrize("named", ["garden.tflite", "garden_edgetpu.tflite"])
    @pytest.mark.parametrize("labels", ["garden.txt", "garden_edgetpu.txt"])
    def test_a_label_file_beside_either_is_that_of_both(self, tmp_path: Path, named: str, labels: str) -> None:
        put(tmp_path / labels, b"cat\ndog")
        pair = self.pair(tmp_path, CPU, COMPILED, named)
        assert pair.labels == tmp_path / labels
        assert models.labels_for(pair).names == ("cat", "dog")

    @pytest.mark.parametrize("named", ["garden.tflite", "garden_edgetpu.tflite"])
    def test_labels_inside_either_are_those_of_both(self, tmp_path: Path, named: str) -> None:
        compiled = with_labels(b"cow\nhen", EDGETPU_OP, POSTPROCESS_OP)
        assert models.labels_for(self.pair(tmp_path, CPU, compiled, named)).names == ("cow", "hen")
        assert models.labels_for(self.pair(tmp_path, with_labels(b"fox\nowl"), COMPILED, named)).names == ("fox", "owl")

    def test_a_label_file_given_goes_first(self, tmp_path: Path) -> None:
        pair = self.pair(tmp_path, with_labels(b"fox\nowl"), COMPILED)
        assert models.labels_for(pair, put(tmp_path / "given.txt", b"bee\nfly")).names == ("bee", "fly")

    def test_what_the_catalogue_knows_of_one_holds_for_both(self, tmp_path: Path, assets: Path) -> None:
        cpu = put(tmp_path / "pets.tflite", (assets / "models" / "ssdlite_mobiledet_dog_vs_cat.tflite").read_bytes())
        tensors = [
            tiny_models.TensorSpec("picture", (1, 320, 320, 3), tiny_models.UINT8, scale=1 / 128, zero_point=128)
        ]
        tensors += [tiny_models.TensorSpec(f"post:{number}", (1, 9, 3)) for number in range(4)]
        operators = [
            tiny_models.OperatorSpec(EDGETPU_OP, (0,), (1,), struct.pack("<I", 0)),
            tiny_models.OperatorSpec(POSTPROCESS_OP, (1, 1, 1), (1, 2, 3, 4)),
        ]
        compiled = put(tmp_path / "pets_edgetpu.tflite", tiny_models.model(tensors, operators, (0,), (1, 2, 3, 4)))
        for path in (cpu, compiled):
            assert models.labels_for(models.pair_of(models.resolve(path))).names == ("cat", "dog")

    def test_without_any_both_go_by_numbers(self, tmp_path: Path) -> None:
        assert models.labels_for(self.pair(tmp_path, CPU, COMPILED)).known() == frozenset()
