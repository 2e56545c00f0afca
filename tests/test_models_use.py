"""Verifying the models that are here, and having the configuration use one: nothing else in the file changes."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path

import pytest
import tiny_models
from model_folders import only_bundled

from edgecam import cli, detectors, models
from edgecam.bundled import example_config
from edgecam.config import load
from edgecam.config.editing import change, with_text
from edgecam.detectors.process import ProcessOptions
from edgecam.errors import ConfigError
from edgecam.models.published import BY_NAME
from edgecam.models.verification import verify

PETS = "ssdlite_mobiledet_dog_vs_cat.tflite"
COMPILED = "ssd_mobilenet_v2_300_1class_edgetpu.tflite"
RELOADED = "a service that runs is started again by: systemctl restart edgecam\n"


@pytest.fixture(autouse=True)
def bundled_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return only_bundled(tmp_path, monkeypatch)


def put(path: Path, content: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tiny_models.detector() if content is None else content)
    return path


class TestVerify:
    """`edgecam models verify`."""

    def test_each_file_is_looked_at_and_a_wrong_one_is_one_line(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, assets: Path
    ) -> None:
        mine = tmp_path / "mine"
        monkeypatch.setenv("EDGECAM_MODELS", str(mine))
        real = (assets / "models" / PETS).read_bytes()
        put(mine / PETS, real[:-1] + bytes([real[-1] ^ 1]))
        put(tmp_path / "bundled" / PETS, real)
        put(mine / "garden.tflite")
        assert cli.main(["models", "verify"]) == 1
        out, err = capsys.readouterr()
        assert [line.split("  ")[0] for line in out.splitlines()] == ["NAME", "garden", "dog-vs-cat", "dog-vs-cat"]
        assert [
            word in line for line, word in zip(out.splitlines()[1:], ("whole", "wrong", "as published"), strict=True)
        ]
        assert err.count("\n") == 1
        assert f"{mine / PETS}: not the published file of that name" in err
        assert cli.main(["models", "verify", "garden", str(tmp_path / "bundled" / PETS), "--json"]) == 0
        assert [(each["name"], each["state"]) for each in json.loads(capsys.readouterr().out)] == [
            ("garden", "whole"), ("dog-vs-cat", "as published"),
        ]  # fmt: skip

    def test_files_that_are_none_or_cut_are_wrong(self, bundled_folder: Path, assets: Path) -> None:
        put(bundled_folder / "cut.tflite", (assets / "models" / PETS).read_bytes()[:100_000])
        put(bundled_folder / "text.tflite", b"hello")
        (bundled_folder / "folder.tflite").mkdir()
        assert [verdict.state for verdict in verify()] == ["wrong"] * 3

    def test_a_name_that_leads_nowhere_is_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["models", "verify", "mobiledet"]) == 1
        assert "edgecam models pull mobiledet" in capsys.readouterr().err

    def test_without_any_there_is_nothing_wrong(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["models", "verify", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == []


class TestEditing:
    """`edgecam.config.editing`."""

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ('[detector]\nmodel = "auto"\n', 1),
            ('# mine\n[ detector ] # here\n  model="old"# why\nthreads = 2\n', 2),
            ("[detector]\nmodel = 'x'\n", 1),
            ('detector.model = "a"\ndata_dir = "b"\n', 0),
            ('[tracker]\nmax_age = 1\n[detector]\r\nmodel = "auto"\r\n', 3),
            ('data_dir = """\n[detector]\nmodel = "no"\n"""\n[detector]\nmodel = "a"\n', 5),
        ],
    )
    def test_one_line_changes_and_its_comment_stays(self, text: str, line: int) -> None:
        before, after = text.split("\n"), with_text(text, "detector", "model", 'new "one"').split("\n")
        assert [number for number, pair in enumerate(zip(before, after, strict=True)) if len(set(pair)) > 1] == [line]
        assert '"new \\"one\\""' in after[line]
        assert after[line].partition("#")[2] == before[line].partition("#")[2]
        assert after[line].endswith("\r") == before[line].endswith("\r")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", '\n[detector]\nmodel = "new"\n'),
            ('data_dir = "x"', 'data_dir = "x"\n\n[detector]\nmodel = "new"\n'),
            ("[detector]\nthreads = 2\n", '[detector]\nmodel = "new"\nthreads = 2\n'),
            ("[detector.x]\n", '[detector.x]\n\n[detector]\nmodel = "new"\n'),
            ("[detector] # mine", '[detector] # mine\nmodel = "new"'),
            ("[detector]\r\nthreads = 2\r\n", '[detector]\r\nmodel = "new"\r\nthreads = 2\r\n'),
        ],
    )
    def test_a_key_that_is_not_there_gets_a_line(self, text: str, expected: str) -> None:
        assert with_text(text, "detector", "model", "new") == expected

    @pytest.mark.parametrize(
        "text",
        [
            'detector = { model = "a" }\n',
            "detector = { threads = 1 }\n",
            '[detector]\nmodel = """\na"""\n',
            '["detector"]\n"model" = "a"\n',
            "detector.threads = 2\n",
            '[detector]\nmodel = "a\\u0062"\n',
        ],
    )
    def test_what_only_a_person_can_change_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigError, match=r'detector\.model: is written in a way .*: set it to "new"'):
            with_text(text, "detector", "model", "new")

    def test_the_example_changes_in_one_line_and_keeps_its_owner_and_mode(self, tmp_path: Path) -> None:
        path = put(tmp_path / "edgecam.toml", example_config().read_bytes())
        path.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(path, 1, 2)
        before = path.stat()
        link = tmp_path / "link.toml"
        link.symlink_to(path)
        assert change(link, "detector", "model", "garden") == "auto"
        changed = set(path.read_text().split("\n")) ^ set(example_config().read_text().split("\n"))
        assert changed == {'model = "auto"', 'model = "garden"'}
        after = path.stat()
        assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (before.st_uid, before.st_gid, 0o640)
        assert sorted(each.name for each in tmp_path.glob("*.toml*")) == ["edgecam.toml", "link.toml"]
        assert link.is_symlink()
        assert load(link).detector.model == "garden"

    def test_a_value_that_is_not_allowed_changes_nothing(self, tmp_path: Path) -> None:
        path = put(tmp_path / "edgecam.toml", b'[detector]\ndevice = "cpu"\n')
        with pytest.raises(ConfigError, match=r"detector\.device: "):
            change(path, "detector", "device", "gpu")
        assert path.read_bytes() == b'[detector]\ndevice = "cpu"\n'
        assert list(tmp_path.glob(".*")) == []

    def test_a_folder_that_takes_nothing_is_one_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = put(tmp_path / "edgecam.toml", b"")

        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("edgecam.config.editing.os.fsync", refuse)
        with pytest.raises(ConfigError, match=r"cannot be written \(Permission denied\): run this as a user who may"):
            change(path, "detector", "model", "garden")
        assert (path.read_bytes(), list(tmp_path.glob(".*"))) == (b"", [])


class TestUse:
    """`edgecam models use`."""

    @pytest.fixture
    def config(self, tmp_path: Path) -> Path:
        return put(tmp_path / "edgecam.toml", f'data_dir = "{tmp_path}/data" # here\n[detector]\n'.encode())

    def use(self, model: str | Path, config: Path, *more: str) -> int:
        return cli.main(["models", "use", str(model), "--config", str(config), *more])

    def model_in(self, config: Path) -> str:
        name: str = tomllib.loads(config.read_text())["detector"].get("model", "")
        return name

    def test_a_name(self, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = put(tmp_path / "data" / "models" / "garden.tflite")
        assert self.use("garden.tflite", config) == 0
        assert capsys.readouterr() == (
            f"{config}: the model was auto, from the next start on it is garden: {file}\n{RELOADED}", ""
        )  # fmt: skip
        assert self.model_in(config) == "garden"
        assert models.resolve(load(config).detector.model, [tmp_path / "data" / "models"]).path == file
        assert self.use("garden", config) == 0
        assert capsys.readouterr().out == f"{config}: the model is garden already: {file}\n"
        assert self.use("garden", config, "--json") == 0
        assert json.loads(capsys.readouterr().out) == {
            "config": str(config), "model": "garden", "before": "garden", "file": str(file),
        }  # fmt: skip

    def test_a_path_is_written_whole(self, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = put(tmp_path / "elsewhere" / "own.tflite")
        monkeypatch.chdir(file.parent)
        assert self.use("own.tflite", config) == 0
        assert self.model_in(config) == str(file)

    def test_auto_is_the_best_one_again(self, config: Path, bundled_folder: Path) -> None:
        put(bundled_folder / "garden.tflite")
        put(bundled_folder / BY_NAME["edgecam-demo"].file)
        assert self.use("garden", config) == 0
        assert self.use("auto", config) == 0
        assert self.model_in(config) == "auto"

    def test_one_that_only_its_user_finds_is_told(
        self, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        own = put(tmp_path / "home" / ".local/share/edgecam/models" / "garden.tflite").parent
        assert self.use("garden", config) == 0
        assert capsys.readouterr().err == (
            f"edgecam: garden: {own} is not where the service looks: copy garden.tflite to {tmp_path}/data/models\n"
        )

    @pytest.mark.parametrize(
        ("model", "device", "said"),
        [
            ("nonesuch", "auto", "no model is called 'nonesuch'"),
            ("mobiledet", "auto", "edgecam models pull mobiledet"),
            ("sounds", "auto", "not one RGB picture"),
            ("cut", "auto", "cut.tflite: "),
            ("garden", "edgetpu", "its version compiled for the Edge TPU is not here"),
            ("compiled_edgetpu", "cpu", "runs on an Edge TPU only"),
            ("short", "auto", "1 labels, the model has 2 classes"),
        ],
    )
    def test_one_that_would_not_run_is_refused_and_nothing_changes(
        self,
        config: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        assets: Path,
        model: str,
        device: str,
        said: str,
    ) -> None:
        folder = tmp_path / "data" / "models"
        put(folder / "garden.tflite")
        put(folder / "short.tflite")
        put(folder / "short.txt", b"cat")
        put(folder / "cut.tflite", tiny_models.detector()[:300])
        sound = [tiny_models.TensorSpec("sound", (1, 16000)), tiny_models.TensorSpec("words", (1, 12))]
        put(folder / "sounds.tflite", tiny_models.model(sound, [], (0,), (1,)))
        put(folder / "compiled_edgetpu.tflite", (assets / "models" / COMPILED).read_bytes())
        config.write_text(f'{config.read_text()}device = "{device}"\n')
        before = config.read_bytes()
        assert self.use(model, config) == 1
        out, err = capsys.readouterr()
        assert (out, err.count("\n"), config.read_bytes()) == ("", 1, before)
        assert said in err

    def test_a_configuration_with_faults_is_left_alone(
        self, config: Path, bundled_folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        put(bundled_folder / "garden.tflite")
        config.write_text("[detector]\nthreads = -1\n")
        assert self.use("garden", config) == 78
        assert "detector.threads: -1" in capsys.readouterr().err
        assert config.read_text() == "[detector]\nthreads = -1\n"


def test_the_detector_says_which_model_nothing_means(
    tmp_path: Path, bundled_folder: Path, assets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecam.models.entries.Published.matches", lambda published, model: True)
    pets = (assets / "models" / PETS).read_bytes()
    for file, name in ((bundled_folder, "edgecam-demo"), (tmp_path / "data", "mobiledet")):
        put(file / BY_NAME[name].file, pets)
        put((file / BY_NAME[name].file).with_suffix(".txt"), b"cat\ndog")
        model = models.resolve(None, [tmp_path / "data"])
        detector = detectors.choose("cpu", model, None, ProcessOptions())
        detector.open()
        assert detector.info.model == model.name == name
        detector.close()
