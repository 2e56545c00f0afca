"""Families: which one a model is of, what is said where that cannot be told, and how pictures go in and boxes out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecam import cli, families, models
from edgecam.detectors.hosted import IsolatedDetector
from edgecam.detectors.picture import WHOLE, PictureEncoder, level_table
from edgecam.detectors.tflite import TfliteDetector
from edgecam.errors import ModelError
from edgecam.labels import COCO, COCO_80
from edgecam.modelfile import ModelFile, ModelForm
from edgecam.modelfile.form import write_form
from edgecam.models import published
from edgecam.models.catalogue import model_at
from edgecam.types import Detection

DETECTIONS = {
    "detection_scores": (1, 3),
    "raw_detection_boxes": (1, 5, 4),
    "detection_boxes": (1, 3, 4),
    "num_detections": (1,),
    "detection_classes": (1, 3),
}
NANODET = {"one": (1, 21, 34)}
OPTIONS = {"strides": [8, 16, 32], "classes": 2, "scores": "sigmoid", "mean": [0], "std": [1]}
RAW = level_table("uint8", 1.0, 0)


def written(folder: Path, content: bytes, form: ModelForm | None = None, name: str = "tiny.tflite") -> Path:
    path = folder / name
    path.write_bytes(write_form(content, form) if form else content)
    return path


def loaded(folder: Path, content: bytes, form: ModelForm | None = None) -> ModelFile:
    return ModelFile.load(written(folder, content, form))


def nanodet(**options: Any) -> ModelForm:
    return ModelForm("nanodet", "stretch", OPTIONS | options)


class TestWhichFamily:
    def test_the_names_of_the_families_all_differ_and_so_do_their_titles(self) -> None:
        assert len({family.name for family in families.FAMILIES}) == len(families.FAMILIES)
        assert len({family.title for family in families.FAMILIES}) == len(families.FAMILIES)

    @pytest.mark.parametrize(
        ("content", "kind"),
        [
            (tiny_models.detector(), "ssd-postprocess"),
            (tiny_models.heads((32, 32), {"b": (1, 42, 4), "s": (1, 42, 3)}), "ssd-heads"),
            (tiny_models.heads((32, 32), NANODET), "nanodet"),
            (tiny_models.heads((32, 32), DETECTIONS), "tf2-detections"),
            (tiny_models.classifier(), "classifier"),
            (tiny_models.heads((32, 32), {"map": (1, 5, 5, 7)}), "unknown"),
        ],
    )
    def test_a_family_is_told_by_operator_names_or_shapes(self, tmp_path: Path, content: bytes, kind: str) -> None:
        assert models.kind_of(loaded(tmp_path, content)) == kind

    def test_what_the_file_states_goes_before_the_catalogue_and_that_before_the_outputs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        content = tiny_models.heads((32, 32), NANODET)
        assert models.form_of(loaded(tmp_path, content)).resize == "letterbox"
        known = replace(published.PUBLISHED[0], file="tiny.tflite", form=nanodet(min_score=0.25))
        monkeypatch.setitem(published.BY_FILE, "tiny.tflite", known)
        assert models.form_of(loaded(tmp_path, content)) == nanodet(min_score=0.25)
        assert models.form_of(loaded(tmp_path, content, nanodet())) == nanodet()

    @pytest.mark.parametrize(
        ("form", "complaint"),
        [
            (ModelForm("yolo"), "family 'yolo' is not known: one of ssd-postprocess, tf2-detections, nanodet, ssd-"),
            (ModelForm("nanodet", options={"mean": [1, 2, 3]}), "nanodet: option mean and std: one number or three"),
            (ModelForm("nanodet", options={"mean": [1, 2], "std": [1, 2]}), "option mean and std: one number or three"),
            (ModelForm("nanodet", options={"mean": [1], "std": [0]}), "nanodet: option std.0: Input should be greater"),
            (ModelForm("ssd-postprocess", options={"speed": 3}), "ssd-postprocess: option speed: "),
            (ModelForm("ssd-postprocess"), "ssd-postprocess: 1 outputs, 4 are wanted"),
            (ModelForm("tf2-detections"), "state the option `outputs`, the positions of boxes, classes, scores, count"),
            (ModelForm("tf2-detections", options={"outputs": {"boxes": 0, "classes": 0, "scores": 0, "count": 9}}),
             "state the option `outputs`"),
        ],
    )  # fmt: skip
    def test_a_form_that_does_not_fit_is_refused_in_a_line(
        self, tmp_path: Path, form: ModelForm, complaint: str
    ) -> None:
        path = written(tmp_path, tiny_models.heads((32, 32), NANODET), form)
        for detector in (TfliteDetector(path), IsolatedDetector(path)):
            with pytest.raises(ModelError, match=complaint) as caught:
                detector.open()
            assert "\n" not in str(caught.value)
        assert models.unfit_as_detector(ModelFile.load(path)) in str(caught.value)

    def test_the_card_shows_family_and_form(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = written(tmp_path, tiny_models.heads((32, 32), NANODET), nanodet(min_score=0.25))
        card = models.info(model_at(path))
        assert (card["family"], card["classes"], card["unfit"]) == ("nanodet", 2, "")
        assert (card["form"]["from"], card["form"]["resize"]) == ("file", "stretch")
        assert card["form"]["options"]["min_score"] == 0.25
        assert cli.main(["models", "info", str(path)]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "NanoDet detector, 2 classes, pictures of [32, 32] pixels" in said
        assert "nanodet, pictures stretched, classes 2," in said
        assert "min_score 0.25" in said
        assert "(stated in the file)" in said

    @pytest.mark.parametrize(("classes", "names"), [(80, COCO_80.names), (90, COCO.names), (79, ("",) * 79)])
    def test_models_of_as_many_classes_as_coco_get_its_labels(
        self, tmp_path: Path, classes: int, names: tuple[str, ...]
    ) -> None:
        tensors = [tiny_models.TensorSpec("picture", (1, 32, 32, 3))]
        tensors += [tiny_models.TensorSpec("s", (1, 42, classes + 1)), tiny_models.TensorSpec("b", (1, 42, 4))]
        file = loaded(tmp_path, tiny_models.model(tensors, [], [0], [1, 2]))
        assert models.labels_for(file).names == names


class TestFinishedDetections:
    @pytest.mark.parametrize("signature", [True, False])
    @pytest.mark.parametrize("first", [1, 0])
    def test_they_are_found_by_their_names(self, tmp_path: Path, signature: bool, first: int) -> None:  # noqa: FBT001
        outputs: dict[str, tuple[int, ...]] = DETECTIONS
        if signature:  # then the tensors' own names say nothing
            content = tiny_models.heads((32, 32), outputs, tiny_models.FLOAT32, signature=True)
            content = content.replace(b"StatefulPartitionedCall", b"")
        else:
            content = tiny_models.heads((32, 32), {f"Post/{name}:0": shape for name, shape in outputs.items()},
                                        tiny_models.FLOAT32)  # fmt: skip
        form = ModelForm("tf2-detections", options={"mean": [0], "std": [100], "first_class": first})
        picture = np.zeros(3072, np.uint8)
        picture[:3] = (90, 80, 70)
        picture[23:35] = (10, 20, 30, 40, 0, 0, 50, 50, 50, 50, 50, 90)
        picture[35] = 200
        picture[36:39] = (200, 100, 100)
        with TfliteDetector(written(tmp_path, content, form)) as detector:
            found = detector.detect(picture.reshape(32, 32, 3))
        assert [(each.label, round(each.score, 3)) for each in found] == [
            (f"class {2 - first}", 0.9), (f"class {1 - first}", 0.8),
        ]  # fmt: skip
        assert found[0].bbox == pytest.approx((0.2, 0.1, 0.4, 0.3))


class TestStating:
    """`edgecam models form`."""

    def stated(self, folder: Path, *arguments: str) -> int:
        path = written(folder, tiny_models.heads((32, 32), {"one": (1, 21, 60)}))
        return cli.main(["models", "form", str(path), "--to", str(folder / "stated.tflite"), *arguments])

    def test_a_copy_of_the_model_states_its_form(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        asked = [
            "--resize",
            "letterbox",
            "--option",
            "bins=11",
            "--option",
            "strides=[8,16,32]",
            "--option",
            "scores=logits",
        ]
        assert self.stated(tmp_path, "--family", "nanodet", *asked) == 0
        assert "stated.tflite: nanodet, as stated" in capsys.readouterr().out
        file = ModelFile.load(tmp_path / "stated.tflite")
        options = {"bins": 11, "strides": [8, 16, 32], "scores": "logits"}
        assert file.stated_form == ModelForm("nanodet", "letterbox", options)
        assert models.classes_of(file) == 16
        assert ModelFile.load(tmp_path / "tiny.tflite").stated_form is None

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (["--family", "yolo"], "tiny.tflite: family 'yolo' is not known: one of ssd-postprocess"),
            (["--family", "nanodet", "--resize", "crop"], "resize 'crop': one of stretch, letterbox is wanted"),
            (["--family", "nanodet", "--option", "bins"], "option 'bins': NAME=VALUE is wanted, as in bins=11"),
            (
                ["--family", "nanodet", "--option", "strides=[8]"],
                "tiny.tflite: nanodet: outputs of [1, 21, 60] do not fit 8 bins",
            ),
            (["--family", "nanodet", "--option", "bins=NaN"], "options {'bins': nan}"),
        ],
    )
    def test_what_does_not_fit_is_refused_and_nothing_left_behind(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
    ) -> None:
        assert self.stated(tmp_path, *arguments) == 1
        said = capsys.readouterr().err
        assert complaint in said
        assert said.count("\n") == 1
        assert [path.name for path in tmp_path.iterdir()] == ["tiny.tflite"]

    def test_a_place_that_cannot_be_written_to_is_named(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.stated(tmp_path, "--to", str(tmp_path / "no" / "m.tflite"), "--family", "nanodet") == 1
        assert "no/m.tflite: cannot be written (No such file or directory)" in capsys.readouterr().err


def encoder(size: tuple[int, int], **options: bool) -> PictureEncoder:
    return PictureEncoder(size, RAW, **options)


class TestPictures:
    def test_a_letterboxed_picture_keeps_its_shape_in_the_middle(self) -> None:
        tensor = encoder((8, 8), letterbox=True)(np.full((20, 40, 3), 200, np.uint8))
        assert (tensor[0, 2:6] == 200).all()
        assert not tensor[0, :2].any()
        assert not tensor[0, 6:].any()

    @pytest.mark.parametrize("size", [(8, 8), (16, 16), (4, 4)])
    def test_one_of_the_right_shape_fills_the_input(self, size: tuple[int, int]) -> None:
        picture = np.full((size[1], size[0], 3), 9, np.uint8)
        encode = encoder((8, 8), letterbox=True)
        assert (encode(picture) == 9).all()
        assert encode.placement(picture) == WHOLE

    def test_channels_are_turned_before_they_are_normalised(self) -> None:
        table = level_table("float32", 0, 0, (0, 10, 20), (1, 1, 1))
        tensor = PictureEncoder((1, 1), table, bgr=True)(np.array([[[100, 110, 120]]], np.uint8))
        assert tensor.tolist() == [[[[120, 100, 80]]]]

    @given(
        st.integers(1, 500), st.integers(1, 500), st.integers(4, 300), st.integers(4, 300),
        st.tuples(*[st.floats(0, 0.45)] * 2), st.tuples(*[st.floats(0.55, 1)] * 2),
    )  # fmt: skip
    def test_boxes_come_back_to_where_they_are_in_the_picture(
        self, width: int, height: int, across: int, down: int, low: tuple[float, float], high: tuple[float, float]
    ) -> None:
        placement = encoder((across, down), letterbox=True).placement(np.zeros((height, width, 3), np.uint8))
        offset, scale = np.array(placement[:2]), np.array(placement[2:])
        box = np.concatenate([np.array(low) * scale + offset, np.array(high) * scale + offset])
        back, there = placement.in_picture(box[None])
        assert there.tolist() == [0]
        assert back[0] == pytest.approx([*low, *high], abs=1e-9)

    def test_boxes_beside_the_picture_are_left_out_and_others_cut(self) -> None:
        placement = encoder((8, 8), letterbox=True).placement(np.zeros((20, 40, 3), np.uint8))
        boxes, there = placement.in_picture(np.array([[0.1, 0.0, 0.3, 0.2], [0.25, 0.0, 0.75, 0.5]]))
        assert there.tolist() == [1]
        assert boxes.tolist() == [[0.25, 0.0, 0.75, 0.5]]

    @pytest.mark.parametrize("kind", [TfliteDetector, IsolatedDetector])
    def test_pictures_of_several_shapes_under_way_keep_their_own_places(self, tmp_path: Path, kind: Any) -> None:
        content = tiny_models.heads((96, 64), {"one": (1, 126, 34)})
        path = written(tmp_path, content, replace(nanodet(), resize="letterbox"))
        pictures = [speckled(80, 40), speckled(30, 90), speckled(96, 64)]
        with TfliteDetector(path) as plain:
            apart = [plain.detect(picture) for picture in pictures]
        with kind(path) as detector:
            together: list[list[Detection]] = []
            waiting = list(pictures)
            while len(together) < len(pictures):
                while waiting and len(pictures) - len(waiting) - len(together) < detector.slots:
                    detector.submit(waiting.pop(0))
                done = detector.collect(timeout=5)
                if done is not None:
                    together.append(done.detections)
        assert together == apart
        assert all(apart)
        assert len({tuple(found) for found in apart}) == len(pictures)


def speckled(width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3)).astype(np.uint8)
