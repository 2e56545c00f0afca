"""tools/train without TensorFlow: every layout gives the same pictures, and what cannot be used is one clear line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_layouts import HEIGHT, LABELS, WIDTH, Shot, shots, write_coco, write_voc, write_yolo

from edgecam.errors import InputError

pytestmark = pytest.mark.any_runtime
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

anchors, command_line, labelled, layouts, preparing, yolo = (
    import_module(f"training.{name}") for name in ("anchors", "__main__", "labelled", "layouts", "preparing", "yolo")
)

WRITERS: dict[str, Callable[..., Path]] = {"coco": write_coco, "voc": write_voc, "yolo": write_yolo}
SHOT = Shot("one", np.full((60, 100, 3), 90, np.uint8), (("walker", (10, 12, 40, 54)), ("animal", (50, 30, 99, 60))))


@pytest.fixture(scope="module")
def rendered() -> list[Shot]:
    return shots(range(3_000_000, 3_000_014))


def contents(found: Any) -> list[tuple[str, list[tuple[str, list[float]]]]]:
    """Names of pictures and their objects, edges in hundredths of a pixel: YOLO's files have six digits."""
    sides = (WIDTH, HEIGHT) * 2
    return [
        (
            picture.path.name,
            [
                (thing.label, [round(edge * side, 2) for edge, side in zip(thing.bbox, sides, strict=True)])
                for thing in picture.things
            ],
        )
        for picture in found.pictures
    ]


def test_all_layouts_read_to_the_same_pictures(tmp_path: Path, rendered: list[Shot]) -> None:
    found = [layouts.read(write(tmp_path / name, rendered)) for name, write in WRITERS.items()]
    assert [each.layout for each in found] == ["COCO", "Pascal VOC", "YOLO"]
    assert [each.labels for each in found] == [LABELS] * 3
    assert contents(found[0]) == contents(found[1]) == contents(found[2])
    assert not any(each.complaints for each in found)
    assert found[0].counts() == {label: sum(t[0] == label for s in rendered for t in s.things) for label in LABELS}
    drawn = {shot.name: shot for shot in rendered}
    for picture in found[0].pictures:
        shot = drawn[picture.path.stem]
        assert [thing.label for thing in picture.things] == [label for label, _ in shot.things]
        for thing, (_, edges) in zip(picture.things, shot.things, strict=True):
            np.testing.assert_allclose(np.array(thing.bbox) * [WIDTH, HEIGHT, WIDTH, HEIGHT], edges, atol=1e-6)


def test_the_same_pictures_are_held_out_in_every_layout(tmp_path: Path, rendered: list[Shot]) -> None:
    parts = [preparing.split(layouts.read(write(tmp_path / name, rendered)), 0.25) for name, write in WRITERS.items()]
    names = [{picture.path.name for picture in each.validation} for each in parts]
    assert names[0] == names[1] == names[2]
    assert [(len(each.train), len(each.validation)) for each in parts] == [(10, 4)] * 3


def test_a_layout_may_say_itself_what_is_held_out(tmp_path: Path, rendered: list[Shot]) -> None:
    folder = write_yolo(tmp_path, rendered)
    for kind in ("images", "labels"):
        (folder / kind / "val").mkdir()
        for path in sorted((folder / kind).glob("*.*"))[:3]:
            path.rename(path.parent / "val" / path.name)
    parts = preparing.split(layouts.read(folder), 0.2)
    assert [picture.path.stem for picture in parts.validation] == [shot.name for shot in rendered[:3]]


def test_voc_may_say_itself_what_is_held_out(tmp_path: Path, rendered: list[Shot]) -> None:
    folder = write_voc(tmp_path, rendered)
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "val.txt").write_text(f"{rendered[4].name}\n{rendered[7].name}\n")
    parts = preparing.split(layouts.read(folder), 0.2)
    assert [picture.path.stem for picture in parts.validation] == [rendered[4].name, rendered[7].name]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: "", "not XML"),
        (lambda text: text[:100], "not XML"),
        (lambda text: "<html></html>", "<html> where Pascal VOC has <annotation>"),
        (lambda text: "<!DOCTYPE a>" + text, "DOCTYPE"),
        (lambda text: text.replace("<xmin>11</xmin>", "<xmin>left</xmin>"), "'left' where a number is wanted"),
        (lambda text: text.replace("<xmin>11</xmin>", ""), "None where a number is wanted"),
        (lambda text: text.replace("<xmin>11</xmin>", "<xmin>99</xmin>"), "without a width or height"),
        (lambda text: text.replace("<xmax>40</xmax>", "<xmax>140</xmax>"), "outside its picture"),
        (lambda text: text.replace("<name>walker</name>", "<name> </name>"), "it has no name"),
        (lambda text: text.replace("<width>100</width>", "<width>0</width>"), "width and height are not stated"),
        (lambda text: text.replace("<width>100</width>", "<width>1e999</width>"), "where a number is wanted"),
        (lambda text: text.replace("one.jpg", "two.jpg"), None),
    ],
)
def test_broken_voc_is_one_line(tmp_path: Path, change: Callable[[str], str], complaint: str | None) -> None:
    folder = write_voc(tmp_path, [SHOT])
    path = folder / "Annotations" / "one.xml"
    path.write_text(change(path.read_text()))
    assert_told(layouts.read(folder).complaints, complaint, path)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("3 0.5 0.5 0.1 0.1", "class 3, there are 0 to 2"),
        ("-1 0.5 0.5 0.1 0.1", "class -1"),
        ("1.5 0.5 0.5 0.1 0.1", "class 1.5"),
        ("nan 0.5 0.5 0.1 0.1", "'nan' where a number is wanted"),
        ("walker 0.5 0.5 0.1 0.1", "'walker' where a number is wanted"),
        ("0 0.5 0.5 0.1", "4 values"),
        ("0 0.5 0.5 0.1 0.1 0.9", "6 values"),
        ("0 0.5 0.5 0 0.1", "a box without a width or height"),
        ("0 320 180 50 60", "a box outside its picture"),
        ("0 0.5 0.5 inf 0.1", "'inf' where a number is wanted"),
        ("2 0.5 0.5 0.2 0.2\n\n", None),
        ("2 0.1 0.1 0.4 0.1 0.2 0.5", None),
    ],
)
def test_broken_yolo_is_one_line(tmp_path: Path, line: str, complaint: str | None) -> None:
    folder = write_yolo(tmp_path, [SHOT])
    path = folder / "labels" / "one.txt"
    path.write_text(f"0 0.5 0.5 0.2 0.2\n{line}\n")
    assert_told(layouts.read(folder).complaints, complaint and f"line 2: {complaint}", path)


@pytest.mark.parametrize(
    ("key", "change", "complaint"),
    [
        ("annotations", {"bbox": [1, 2, 3]}, "x, y, width, height"),
        ("annotations", {"bbox": [1, 2, "wide", 4]}, "'wide' where a number is wanted"),
        ("annotations", {"bbox": [1, 2, 10**400, 4]}, "where a number is wanted"),
        ("annotations", {"bbox": [10, 10, -5, 4]}, "without a width or height"),
        ("annotations", {"bbox": [90, 10, 50, 4]}, "outside its picture"),
        ("annotations", {"category_id": 77}, "no category has the id 77"),
        ("annotations", {"image_id": 77}, "no picture has the id 77"),
        ("images", {"file_name": "gone.jpg"}, "no such picture"),
        ("images", {"width": 0}, "not stated"),
    ],
)
def test_broken_coco_is_one_line(tmp_path: Path, key: str, change: dict[str, Any], complaint: str) -> None:
    folder = write_coco(tmp_path, [SHOT])
    path = folder / "annotations.json"
    document = json.loads(path.read_text())
    document[key][0] |= change
    path.write_text(json.dumps(document))
    assert_told(layouts.read(folder).complaints, complaint, path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        '{"images": 3, "annotations": [], "categories": []}',
        '{"images": [{}], "annotations": [], "categories": []}',
    ],
)
def test_what_is_no_coco_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"labels\.json: (not JSON|no COCO)"):
        layouts.read(path)


def assert_told(complaints: tuple[str, ...], complaint: str | None, path: Path) -> None:
    """One line that names the file and says what is wrong; None: nothing is."""
    if complaint is None:
        assert complaints == ()
        return
    assert len(complaints) == 1
    assert complaint in complaints[0]
    assert str(path) in complaints[0]
    assert "\n" not in complaints[0]


@pytest.mark.parametrize(
    "text",
    [
        "names: [a, 'b c', \"d\"]",
        "names:\n  - a\n  - b c\n  - d\nnc: 3",
        "path: x\nnames: # classes\n  0: a\n  1: b c\n  2: 'd'\ntrain: images",
        "names: [a,\n  b c,\n  d]\n",
    ],
)
def test_names_in_every_form_of_data_yaml(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.yaml").write_text(text)
    assert yolo.read_names(tmp_path / "data.yaml") == ("a", "b c", "d")


@pytest.mark.parametrize("text", ["", "nc: 3", "names: x", "names:\n  1: a", "names: [a, a]", "names: []"])
def test_names_that_cannot_be_read_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(InputError, match="names"):
        yolo.read_names(tmp_path / "data.yaml")


@given(st.text(max_size=300))
def test_any_text_as_names_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_text(f"names:{text}", encoding="utf-8")
    said = ""
    try:
        assert all(yolo.read_names(path))
    except InputError as error:
        said = str(error)
    assert "\n" not in said


def test_a_picture_of_another_size_than_its_labels_say(tmp_path: Path) -> None:
    folder = write_voc(tmp_path, [SHOT])
    cv2.imwrite(str(folder / "JPEGImages" / "one.jpg"), np.zeros((100, 60, 3), np.uint8))
    (line,) = preparing.broken(layouts.read(folder).pictures)
    assert "60x100, but its labels are for 100x60, it is kept turned (EXIF)" in line


def test_a_training_folder_is_of_one_training(tmp_path: Path, rendered: list[Shot]) -> None:
    parts = preparing.split(layouts.read(write_coco(tmp_path / "coco", rendered)), 0.25)
    recipe = preparing.Recipe()
    preparing.claim(tmp_path / "out" / "work", parts, recipe)
    preparing.claim(tmp_path / "out" / "work", parts, recipe)
    with pytest.raises(InputError, match="other pictures or options"):
        preparing.claim(tmp_path / "out" / "work", parts, preparing.Recipe(seed=1))


def test_pictures_are_scaled_once_and_found_again(tmp_path: Path, rendered: list[Shot]) -> None:
    found = layouts.read(write_coco(tmp_path / "coco", rendered))
    (first,) = preparing.prepared(tmp_path, "train", found.pictures, found.labels, (120, 80))
    assert first.images.shape == (len(rendered), 80, 120, 3)
    assert [len(boxes) for boxes in first.boxes] == [len(picture.things) for picture in found.pictures]
    found.pictures[0].path.unlink()
    (second,) = preparing.prepared(tmp_path, "train", found.pictures, found.labels, (120, 80))
    np.testing.assert_array_equal(first.images, second.images)


def test_few_objects_get_the_usual_anchors() -> None:
    boxes = np.array([[0.1, 0.1, 0.3, 0.4, 0, 0]], np.float32)
    assert anchors.fit_shapes(boxes, (320, 192)) == anchors.USUAL_SHAPES
    grid = anchors.AnchorGrid.lay_out(anchors.USUAL_SHAPES, (128, 96))
    labels, targets = grid.assign(boxes)
    assert (labels == 0).any()
    np.testing.assert_allclose(targets[labels == 0], np.repeat(boxes[:, :4], (labels == 0).sum(), 0))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--input", "300x200"], "--input 300x200"),
        (["--start", "nowhere.tflite"], "--start nowhere.tflite"),
        (["--name", "../x"], "--name '../x'"),
        (["--layout", "yolo"], "the names of the classes are missing"),
        (["--pictures", "/nowhere"], "/nowhere: no such folder"),
        (["--validation", "/nowhere"], "/nowhere: no such file or folder"),
    ],
)
def test_usage_errors_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rendered: list[Shot], options: list[str], said: str
) -> None:
    folder = write_coco(tmp_path / "coco", rendered)
    assert command_line.main([str(folder), "-o", str(tmp_path / "out"), *options]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_broken_labels_end_a_training_before_it_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rendered: list[Shot]
) -> None:
    folder = write_yolo(tmp_path / "yolo", rendered)
    (folder / "labels" / f"{rendered[0].name}.txt").write_text("9 0.5 0.5 0.1 0.1\n")
    (folder / "images" / f"{rendered[1].name}.jpg").write_bytes(b"no picture")
    command = [str(folder), "-o", str(tmp_path / "out"), "--check"]
    assert command_line.main(command) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert "class 9" in said[0]
    assert "not a picture" in said[1]
    assert "2 labels or pictures cannot be used" in said[2]
    assert command_line.main([*command, "--skip-broken", "--held-out", "0.1"]) == 0
    assert "12 pictures in YOLO's layout" in capsys.readouterr().err


def test_too_few_pictures_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_voc(tmp_path / "voc", [SHOT])
    assert command_line.main([str(folder), "-o", str(tmp_path / "out")]) == 1
    assert "label more" in capsys.readouterr().err


def test_a_folder_of_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main([str(tmp_path), "-o", str(tmp_path / "out")]) == 1
    assert "its layout cannot be told" in capsys.readouterr().err
