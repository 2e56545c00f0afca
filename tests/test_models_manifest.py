"""The manifest of published models: sound in every entry, and refused in one line where it is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgecam import models
from edgecam.bundled import models_folder
from edgecam.errors import ModelError
from edgecam.families import family_of
from edgecam.labels import COCO
from edgecam.modelfile import ModelForm
from edgecam.models.manifest import read_manifest
from edgecam.models.published import BY_FILE, BY_NAME, DEMO, REAL, REAL_EDGETPU

COMMIT = "0123456789abcdef" * 2 + "01234567"
SOUND = f"""
version = 1
[[models]]
name = "garden"
about = "a detector"
task = "detection"
input = [320, 192]
source = "https://models.example/raw/{COMMIT}/v1"
labels = ["hen", "fox"]
license = "MIT"
form = {{ family = "nanodet", resize = "letterbox", options = {{ bins = 11 }} }}
[models.cpu]
file = "garden.tflite"
sha256 = "{"ab" * 32}"
accuracy = [{{ figure = "AP 0.5", of = "ten pictures", source = "https://a.example/page" }}]
[models.edgetpu]
file = "garden_edgetpu.tflite"
git_blob = "{"cd" * 20}"
"""


def manifest(folder: Path, text: str) -> Path:
    path = folder / "manifest.toml"
    path.write_text(text, encoding="utf-8")
    return path


class TestOurs:
    """models/manifest.toml."""

    def test_each_entry_is_pinned_or_bundled(self) -> None:
        for entry in models.PUBLISHED:
            assert entry.pinned or entry.name == DEMO
            assert entry.source == "" or re.search(r"/[0-9a-f]{40}($|/)", entry.source)
        assert {entry.name for entry in models.PUBLISHED if not entry.source} == {"coco-ssd-v1", "dog-vs-cat", DEMO}

    def test_names_files_and_pins_are_their_own(self) -> None:
        assert len(BY_NAME) == len(BY_FILE) == len(models.PUBLISHED)
        pins = [entry.pin for entry in models.PUBLISHED if entry.pinned]
        assert len(set(pins)) == len(pins)

    def test_the_names_that_the_program_knows_are_there(self) -> None:
        assert {REAL, REAL_EDGETPU, DEMO} < BY_NAME.keys()
        assert [name for name in BY_NAME if name.endswith("-edgetpu")] == [
            BY_FILE[entry.file].name for entry in models.PUBLISHED if entry.file.endswith("_edgetpu.tflite")
        ]

    def test_stated_forms_are_of_families_there_are(self) -> None:
        for entry in models.PUBLISHED:
            if entry.form:
                family_of(entry.form).options.of(entry.form)

    def test_what_it_says_is_so_of_the_files_at_hand(self, assets: Path) -> None:
        present = [folder / entry.file for folder in (assets / "models", models_folder()) for entry in models.PUBLISHED]
        found = [path for path in present if path.is_file()]
        assert len(found) >= 3
        for path in found:
            assert models.load(path).input_size == BY_FILE[path.name].input_size

    def test_what_is_published_of_mobiledet_is_told_with_its_sources(self) -> None:
        card = next(card for card in models.list_models() if card["name"] == REAL_EDGETPU)
        assert (card["task"], card["input"]) == ("detection", [320, 320])
        assert {"figure": "9.1 ms", "of": "desktop computer, USB 3, Coral"}.items() <= card["latency"][0].items()
        assert all(figure["source"].startswith("https://") for figure in card["accuracy"] + card["latency"])


class TestReading:
    """Any manifest."""

    def test_all_of_it_arrives(self, tmp_path: Path) -> None:
        cpu, compiled = read_manifest(manifest(tmp_path, SOUND))
        assert (cpu.name, compiled.name) == ("garden", "garden-edgetpu")
        assert (cpu.about, compiled.about) == ("a detector", "a detector, for the Edge TPU")
        assert (cpu.pin, compiled.pin) == ("SHA-256 " + "ab" * 32, "git blob " + "cd" * 20)
        assert cpu.labels is not None
        assert (cpu.labels.names, cpu.license, cpu.input_size) == (("hen", "fox"), "MIT", (320, 192))
        assert cpu.form == ModelForm("nanodet", "letterbox", {"bins": 11})
        assert [(figure.figure, figure.of) for figure in cpu.accuracy] == [("AP 0.5", "ten pictures")]
        assert (compiled.accuracy, compiled.latency) == ((), ())
        coco = read_manifest(manifest(tmp_path, SOUND.replace('["hen", "fox"]', '"coco"')))[0]
        assert coco.labels == COCO

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("version = 1", "version = 2", "version: 2: Input should be 1"),
            ('"garden"', '"Garden!"', "Garden!.name: 'Garden!'"),
            ('task = "detection"\n', "", "garden.task: Field required"),
            ("ab" * 32, "ab" * 31, "garden.cpu.sha256: '" + "ab" * 31),
            ("cd" * 20, "CD" * 20, "garden.edgetpu.git_blob: 'CDCD"),
            ("https://models", "http://models", "garden.source: 'http://models.example/"),
            (COMMIT, "main", "at one commit, named by its 40 hexadecimal digits"),
            ("/v1", "/v1/", "garden.source: .*allowed is a folder's https"),
            ("https://a.example", "http://a.example", "garden.cpu.accuracy.0.source: 'http://a.example/page'"),
            ("[320, 192]", "[320]", "garden.input"),
            ('"garden.tflite"', '"../garden.tflite"', "garden.cpu.file: '../garden.tflite'"),
            ("license", "licence", "garden.licence: 'MIT': Extra inputs are not permitted"),
            (
                'git_blob = "' + "cd" * 20 + '"',
                "",
                "garden: allowed is a source only where each file has its sha256 or",
            ),
            ("git_blob =", f'sha256 = "{"ef" * 32}"\ngit_blob =', "garden.edgetpu: allowed is sha256 or git_blob, not"),
            ("garden_edgetpu.tflite", "garden.tflite", "the file 'garden.tflite' is there twice"),
            ('resize = "letterbox"', 'resize = "crop"', "garden.form.resize: 'crop'"),
            ('family = "nanodet"', 'family = ""', "garden.form: family '': a name is wanted"),
            ("[[models]]", "[[models", "not TOML"),
            ("[[models]]", "[models]", "toml: models: Input should be a valid list"),
        ],
    )
    def test_what_is_wrong_is_refused_in_a_line(self, tmp_path: Path, old: str, new: str, said: str) -> None:
        assert old in SOUND
        path = manifest(tmp_path, SOUND.replace(old, new))
        with pytest.raises(ModelError, match=said) as caught:
            read_manifest(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)

    def test_one_that_is_not_there_is_refused_in_a_line(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"cannot be read \(No such file or directory\): install edgecam again"):
            read_manifest(tmp_path / "manifest.toml")
