"""The form of a model: as a value, as JSON, and in a model file, which is the same one afterwards."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import detector, metadata, with_files

from edgecam.errors import ModelError
from edgecam.modelfile import ModelFile, ModelForm
from edgecam.modelfile.form import write_form

pytestmark = pytest.mark.any_runtime

NANODET = ModelForm("nanodet", "letterbox", {"strides": [8, 16, 32], "bins": 8, "mean": [0.0], "scores": "sigmoid"})

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
forms = st.builds(
    ModelForm,
    st.text(min_size=1, max_size=20),
    st.sampled_from(["stretch", "letterbox"]),
    st.dictionaries(st.text(max_size=9), values, max_size=4),
)


def written(folder: Path, content: bytes) -> ModelFile:
    path = folder / "model.tflite"
    path.write_bytes(content)
    return ModelFile.load(path)


@given(forms)
def test_a_form_is_the_same_after_a_trip_through_json(form: ModelForm) -> None:
    assert ModelForm.from_json(form.to_json()) == form


@pytest.mark.parametrize(
    ("family", "resize", "options"),
    [
        ("", "stretch", {}),
        (3, "stretch", {}),
        ("ssd", "crop", {}),
        ("ssd", "stretch", []),
        ("ssd", "stretch", {1: 2}),
        ("ssd", "stretch", {"a": object()}),
        ("ssd", "stretch", {"a": float("nan")}),
    ],
)
def test_what_is_no_form_is_refused(family: str, resize: str, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        ModelForm(family, resize, options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"version": 2, "family": "nanodet"}',
        '{"version": 1}',
        '{"version": 1, "family": "nanodet", "resize": "crop"}',
        '{"version": 1, "family": "nanodet", "options": 3}',
        '{"version": 1, "family": "nanodet", "options": {"a": NaN}}',
        '{"version": 1, "family": "nanodet", "options": {"a": 1e999}}',
        "[" * 50_000,
        " " * 70_000,
        b"\xff\xfe",
    ],
)
def test_a_damaged_form_is_refused_in_a_line(tmp_path: Path, text: str | bytes) -> None:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(ValueError, match=r"\w"):
        ModelForm.from_json(data)
    file = written(tmp_path, detector())
    broken = replace(file, structure=replace(file.structure, stated_form=data or b"\0"))
    with pytest.raises(ModelError, match="the form it states is not understood") as caught:
        broken.stated_form  # noqa: B018 -- reading it is the test
    assert "\n" not in str(caught.value)


def test_a_model_states_no_form_until_one_is_written(tmp_path: Path) -> None:
    assert written(tmp_path, detector()).stated_form is None
    assert written(tmp_path, write_form(detector(), NANODET)).stated_form == NANODET


def test_a_form_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    once = write_form(detector(), ModelForm("old"))
    twice = written(tmp_path, write_form(once, NANODET))
    assert twice.stated_form == NANODET
    assert json.loads(twice.structure.stated_form)["family"] == "nanodet"


@pytest.mark.parametrize("described", [b"", metadata(mean=[127.5], std=[127.5], label_file="names.txt", name="it")])
def test_all_else_in_the_model_stays(tmp_path: Path, described: bytes) -> None:
    content = detector(metadata=described, signature=True)
    content = with_files(content, {"names.txt": b"cat\ndog\n"}) if described else content
    before = written(tmp_path, content)
    after = written(tmp_path, write_form(content, NANODET))
    assert after.content.endswith(content)
    assert (len(after.content) - len(content)) % 64 == 0
    assert (after.inputs, after.outputs, after.signature_outputs) == (
        before.inputs, before.outputs, before.signature_outputs,
    )  # fmt: skip
    assert (after.metadata, after.embedded_labels) == (before.metadata, before.embedded_labels)
    assert replace(after.structure, stated_form=b"", end=0) == replace(before.structure, end=0)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ModelError, match="cannot be written"):
        write_form(b"a text, not a model", NANODET)


def test_a_cut_model_is_refused() -> None:
    with pytest.raises(ModelError, match="cannot be written"):
        write_form(detector()[:200], NANODET)
