"""Every label format counts its own way; class 0 must come out as the model's first class."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.errors import ModelError
from edgecam.labels import COCO, Labels, load_labels, parse_labels
from edgecam.modelfile import ModelFile


def labels_of(text: str | bytes) -> Labels:
    return parse_labels(text.encode() if isinstance(text, str) else text, "labels.txt")


def test_coco_labels_keep_their_gaps(assets: Path) -> None:
    labels = load_labels(assets / "models" / "coco_labels.txt").fitted(90)
    assert len(labels.names) == 90
    assert len(labels.known()) == 80
    assert [labels.name(number) for number in (0, 10, 11, 12, 89)] == [
        "person", "fire hydrant", "class 11", "stop sign", "toothbrush",
    ]  # fmt: skip
    assert labels.names == COCO.names


def test_labels_inside_the_real_model_agree_with_the_published_file(assets: Path) -> None:
    model = ModelFile.load(assets / "models" / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite")
    assert model.embedded_labels is not None
    assert parse_labels(model.embedded_labels, "embedded").fitted(model.classes).names == COCO.names


@pytest.mark.parametrize(
    "text",
    [
        "cat\ndog\nbird",
        "cat\r\ndog\r\nbird\r\n",
        "\ufeffcat\ndog\nbird\n\n \n",
        "0 cat\n1 dog\n2 bird",
        "0: cat\n\n1: dog\n2:bird\n",
        "0,cat\n1,dog\n2 , bird",
        "2\tbird\n0\tcat\n1\tdog",
        "item { id: 1 name: 'cat' }\nitem { id: 2 name: 'dog' }\nitem { id: 3 name: 'bird' }",
    ],
)
def test_formats(text: str) -> None:
    assert labels_of(text).names == ("cat", "dog", "bird")


def test_utf_16_is_read() -> None:
    assert labels_of("Käfer\nVögel".encode("utf-16")).names == ("Käfer", "Vögel")


def test_names_may_have_blanks_and_numbers() -> None:
    assert labels_of("0  traffic light\n1  boeing 747").names == ("traffic light", "boeing 747")
    assert labels_of("boeing 747\n3 wheeler").names == ("boeing 747", "3 wheeler")


@pytest.mark.parametrize("text", ["cat\n???\nbird", "cat\nn/a\nbird", "cat\n\nbird\n", "0 cat\n2 bird"])
def test_gaps_keep_their_place(text: str) -> None:
    labels = labels_of(text)
    assert labels.names == ("cat", "", "bird")
    assert labels.name(1) == "class 1"
    assert not labels.has_name(1)


def test_classes_beyond_the_file_go_by_their_number() -> None:
    assert labels_of("cat\ndog").name(17) == "class 17"
    assert labels_of("cat\ndog").name(-1) == "class -1"


def test_a_label_map_is_read_with_everything_in_it() -> None:
    text = """
    # COCO's way
    item {
      name: "/m/01g317"
      id: 1
      display_name: "person \\"x\\""
      keypoints { id: 7 label: "nose" }
    }
    item < id: 3, name: 'car'; >
    item { name: "background" id: 0 }
    """
    assert labels_of(text).names == ('person "x"', "", "car")


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("???\ncat\ndog", 2),
        ("background\ncat\ndog", 2),
        ("1 cat\n2 dog", 2),
        ("0 background\n1 cat\n2 dog", 2),
        ("???\ncat\ndog", None),
        ("1 cat\n2 dog", None),
        ("cat\ndog", 2),
        ("cat\ndog", None),
    ],
)
def test_lists_that_begin_with_the_background_are_moved_down(text: str, classes: int | None) -> None:
    assert labels_of(text).fitted(classes).names == ("cat", "dog")


def test_a_first_class_without_a_name_stays_where_the_number_of_classes_says_so() -> None:
    assert labels_of("???\ncat\ndog").fitted(3).name(1) == "cat"


@pytest.mark.parametrize("text", ["cat", "0 cat", "item { id: 1 name: 'cat' }", "background\ncat"])
def test_too_few_labels_are_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"labels.txt: [12] labels, the model has 90 classes: give the label file"):
        labels_of(text).fitted(90)


def test_coco_names_without_the_gaps_are_refused_for_ninety_classes() -> None:
    with pytest.raises(ModelError, match="80 labels, the model has 90 classes"):
        labels_of("\n".join(name for name in COCO.names if name)).fitted(90)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "no labels in it"),
        (b"\n\n", "no labels in it"),
        (b"???\n???", "no labels in it"),
        (b"cat\0dog", "not a text file"),
        (b"\x1c\0\0\0TFL3\xff\xfe", "not a text file"),
        (b"caf\xe9", "not a text file"),
        (b"\xff\xfeabc", "not a text file"),
        (b"1 cat\n1 dog", "class 1 is both 'cat' and 'dog'"),
        (b"99999999 cat", "class number 99999999"),
        (b"item { id: 1 name: 'cat' ", "cut short"),
        (b"item { id: 1 name: 'cat", "line 1 is no label map"),
        (b"item { name: 'cat' }", "'cat' has no usable id"),
        (b"item { id: x name: 'cat' }", r"no usable id \(x\)"),
        (b"item { id: 0 name: 'cat' }", "has id 0, which is the background's"),
    ],
)
def test_broken_label_files_are_refused_in_one_line(content: bytes, what: str) -> None:
    with pytest.raises(ModelError, match=what) as caught:
        labels_of(content)
    assert str(caught.value).startswith("labels.txt: ")
    assert "\n" not in str(caught.value)


def test_what_is_no_label_file_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.txt"
    large.write_bytes(bytes(2 << 20))
    for path, what in ((tmp_path / "none.txt", "no such"), (tmp_path, "a folder"), (large, "too large")):
        with pytest.raises(ModelError, match=what):
            load_labels(path)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode) | st.text("item{}<>:'\" 01\n#").map(str.encode))
def test_any_content_gives_labels_or_a_model_error(content: bytes) -> None:
    try:
        labels = labels_of(content)
    except ModelError:
        return
    assert labels.known()


@given(st.lists(st.from_regex(r"[a-z]{1,8}( [a-z]{1,8})?", fullmatch=True), min_size=1, max_size=30, unique=True))
def test_all_formats_say_the_same(names: list[str]) -> None:
    plain = "\n".join(["0x", *names])
    numbered = "\n".join(f"{number} {name}" for number, name in enumerate(["0x", *names]))
    label_map = "\n".join(f'item {{ id: {number} name: "{name}" }}' for number, name in enumerate(["0x", *names], 1))
    assert labels_of(plain).names == labels_of(numbered).names == labels_of(label_map).names
