"""Pulling models from a real server on this machine: what is good takes its place, anything else leaves no trace."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import tiny_models
from model_server import Answer, Server, sending, serving
from test_cli_bad_input import drop_the_right_to_ignore_permissions

from edgecam import cli, models
from edgecam.errors import ModelError
from edgecam.models import folders, pulling
from edgecam.models.entries import Published, git_blob_of
from edgecam.models.published import BY_NAME

CONTENT = tiny_models.detector()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
TINY = Published("tiny", "tiny.tflite", "", sha256=SHA256, source="")
PART = f".tiny.tflite.{SHA256[:16]}.part"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
DOG_VS_CAT = "ssdlite_mobiledet_dog_vs_cat.tflite"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(CONTENT) as model_server:
        yield model_server


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without models, on a machine without the service and without a proxy."""
    for name in ("EDGECAM_MODELS", *PROXIES, *map(str.upper, PROXIES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("edgecam.models.folders.SERVICE", tmp_path / "var" / "models")
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_pulled_model_is_the_published_one_and_open_to_all(server: Server, folder: Path) -> None:
    assert pulling.pull(TINY, folder, source=f"{server.url}/sub/")
    assert server.asked == ["/sub/tiny.tflite"]
    assert files_in(folder) == ["tiny.tflite"]
    assert (folder / "tiny.tflite").read_bytes() == CONTENT
    usual = folder / "usual"
    usual.touch()
    assert (folder / "tiny.tflite").stat().st_mode == usual.stat().st_mode


def test_a_git_blob_and_a_source_of_its_own_will_do(server: Server, folder: Path) -> None:
    model = Published("tiny", "tiny.tflite", "", git_blob=git_blob_of(CONTENT), source=server.url)
    assert pulling.pull(model, folder)
    server.answer = sending(tiny_models.classifier())
    with pytest.raises(ModelError, match=f"found git blob .*, expected git blob {model.git_blob}"):
        pulling.pull(model, folder / "other")


def test_from_a_folder_of_files(tmp_path: Path, folder: Path) -> None:
    stick = tmp_path / "a stick"
    stick.mkdir()
    (stick / "tiny.tflite").write_bytes(CONTENT)
    assert pulling.pull(TINY, folder, source=stick.as_uri())
    assert files_in(folder) == ["tiny.tflite"]
    with pytest.raises(ModelError, match="No such file"):
        pulling.pull(TINY, folder / "other", source=f"file://{tmp_path}")


def test_through_a_proxy(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    assert pulling.pull(TINY, folder, source="http://models.invalid/v1")
    assert server.asked == ["http://models.invalid/v1/tiny.tflite"]


def test_one_that_is_there_is_not_pulled_again(server: Server, folder: Path) -> None:
    pulling.pull(TINY, folder, source=server.url)
    assert not pulling.pull(TINY, folder)
    assert len(server.asked) == 1


def test_one_that_is_damaged_is_replaced_by_a_good_one_only(server: Server, folder: Path) -> None:
    folder.mkdir()
    path = folder / "tiny.tflite"
    path.write_bytes(CONTENT[:100])
    server.answer = sending(b"nonsense")
    with pytest.raises(ModelError):
        pulling.pull(TINY, folder, source=server.url)
    assert path.read_bytes() == CONTENT[:100]
    server.answer = sending(CONTENT)
    assert pulling.pull(TINY, folder, source=server.url)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (sending(b"<html>log in"), f"found SHA-256 {hashlib.sha256(b'<html>log in').hexdigest()}, expected .*{SHA256}"),
        (sending(tiny_models.classifier()), f"expected SHA-256 {SHA256}"),
        (sending(b""), "expected SHA-256"),
        (sending(CONTENT[:200], length=-1), "expected SHA-256"),
        (sending(b"gone", status=404), r"/tiny.tflite: cannot be fetched \(HTTP 404 Not Found\)"),
        (sending(b"", status=503), "HTTP 503"),
        (sending(CONTENT + bytes(5000)), "more than 5000 bytes"),
        (sending(CONTENT + bytes(5000), length=-1), "more than 5000 bytes"),
    ],
)
def test_anything_else_leaves_no_trace(server: Server, folder: Path, answer: Answer, said: str) -> None:
    server.answer = answer
    with pytest.raises(ModelError, match=said) as caught:
        pulling.pull(TINY, folder, source=server.url, limit_bytes=5000)
    assert "\n" not in str(caught.value)
    assert files_in(folder) == []


def test_a_length_that_is_no_number_is_not_believed(server: Server, folder: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "many")
        handler.end_headers()
        handler.wfile.write(CONTENT)

    server.answer = answer
    assert pulling.pull(TINY, folder, source=server.url)


def stalling(server: Server, sent: int) -> Answer:
    """An answer that ends in silence after so many bytes; none at all at 0."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if sent:
            sending(CONTENT[:sent], length=len(CONTENT))(handler)
        server.released.wait(60)

    return answer


def test_a_server_that_stalls_is_given_up(server: Server, folder: Path) -> None:
    server.answer = stalling(server, 0)
    with pytest.raises(ModelError, match=r"no answer in time.*: fetch it elsewhere and copy it to /"):
        pulling.pull(TINY, folder, source=server.url, timeout=0.2)
    assert files_in(folder) == []


def test_a_server_that_trickles_is_given_up(server: Server, folder: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        sending(b"", length=len(CONTENT))(handler)
        for number in range(len(CONTENT)):
            handler.wfile.write(CONTENT[number : number + 1])
            if server.released.wait(0.02):
                return

    server.answer = answer
    with pytest.raises(ModelError, match=r"cannot be fetched \(\d+ bytes in \d s: too slow\): run it again to go on"):
        pulling.pull(TINY, folder, source=server.url, timeout=0.3)
    assert files_in(folder) == [PART]


def test_no_model_is_no_model_whatever_its_checksum(server: Server, folder: Path) -> None:
    server.answer = sending(b"some text")
    model = Published("text", "text.tflite", "", sha256=hashlib.sha256(b"some text").hexdigest())
    with pytest.raises(ModelError, match="no model that edgecam can read"):
        pulling.pull(model, folder, source=server.url)
    assert files_in(folder) == []


def test_its_progress_adds_up(server: Server, folder: Path) -> None:
    totals: list[int | None] = []
    steps: list[int] = []

    @contextmanager
    def watch(total_bytes: int | None) -> Iterator[Callable[[int], None]]:
        totals.append(total_bytes)
        yield steps.append

    pulling.pull(TINY, folder, source=server.url, watch=watch)
    assert totals == [sum(steps)] == [len(CONTENT)]


def test_an_interrupt_leaves_no_trace(server: Server, folder: Path) -> None:
    @contextmanager
    def watch(_total_bytes: int | None) -> Iterator[Callable[[int], None]]:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        pulling.pull(TINY, folder, source=server.url, watch=watch)
    assert files_in(folder) == []


@pytest.mark.parametrize("source", ["/srv/models", "ftp://a.example", "data:text/plain", "models.example/v1"])
def test_other_sources_are_refused(folder: Path, source: str) -> None:
    with pytest.raises(ModelError, match="must begin with http://, https:// or file://"):
        pulling.pull(TINY, folder, source=source)
    assert not folder.exists()


@pytest.mark.parametrize("source", ["http://[::1", "http://a:b", "http://models.invalid/a b", "http://ä.invalid/ö"])
def test_a_source_that_makes_no_sense_is_one_line(folder: Path, source: str) -> None:
    with pytest.raises(ModelError, match="cannot be fetched") as caught:
        pulling.pull(TINY, folder, source=source)
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=r"file/models/tiny.tflite: cannot be written .*--to"):
        pulling.pull(TINY, tmp_path / "file" / "models", source=server.url)
    (tmp_path / "tiny.tflite").mkdir()
    with pytest.raises(ModelError, match=r"tiny.tflite: cannot be written \(Is a directory\)"):
        pulling.pull(TINY, tmp_path, source=server.url)
    assert files_in(tmp_path) == ["file", "tiny.tflite"]


def test_new_models_go_where_they_are_found(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = home / ".local/share/edgecam/models"
    assert folders.for_new_models() == own
    (tmp_path / "var").mkdir()
    assert folders.for_new_models() == tmp_path / "var" / "models"
    monkeypatch.setenv("EDGECAM_MODELS", "~/mine")
    assert folders.for_new_models() == home / "mine"
    named, service = home / "mine", tmp_path / "var" / "models"
    assert folders.searched([tmp_path, service])[:4] == [named, tmp_path, service, own]
    for place in (service, own, named):
        place.mkdir(parents=True)
        (place / "tiny.tflite").write_bytes(CONTENT)
        assert models.resolve("tiny").path == place / "tiny.tflite"


def test_a_user_without_a_home_has_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    assert folders.for_new_models() == tmp_path / "var" / "models" == folders.searched()[0]


def unprivileged(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a process that file permissions bind."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=drop_the_right_to_ignore_permissions,
    )


def test_a_folder_closed_to_the_user_is_passed_over(home: Path, tmp_path: Path) -> None:
    service = tmp_path / "var" / "models"
    service.mkdir(parents=True)
    (service / "tiny.tflite").write_bytes(CONTENT)
    service.chmod(0)
    done = unprivileged(
        "-c",
        "import sys, pathlib; from edgecam.models import folders; folders.SERVICE = pathlib.Path(sys.argv[1]);"
        "print(folders.for_new_models(), folders.find('tiny.tflite'))",
        str(service),
    )
    service.chmod(0o700)
    assert done.stdout == f"{home}/.local/share/edgecam/models None\n", done.stderr


class TestCommand:
    """`edgecam models pull`."""

    def test_no_write_permission_is_one_line(self, server: Server, folder: Path) -> None:
        folder.mkdir(mode=0o555)
        done = unprivileged("-m", "edgecam", "models", "pull", "mobiledet", "--to", str(folder), "--from", server.url)
        assert (done.returncode, done.stdout, files_in(folder), server.asked) == (1, "", [], [])
        assert done.stderr.count("\n") == 1
        assert "cannot be written (Permission denied)" in done.stderr

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("mobildet", "no published model is called 'mobildet': did you mean mobiledet"),
            ("zzzzzzzz", "see `edgecam models list`"),
            ("coco-ssd-v1", "no source to pull it from: get coco_ssd_mobilenet_v1_1.0_quant_2018_"),
            ("dog-vs-cat", "no source to pull it from"),
            ("edgecam-demo", "no source to pull it from: it comes with edgecam"),
        ],
    )
    def test_what_cannot_be_pulled(
        self, capsys: pytest.CaptureFixture[str], folder: Path, name: str, said: str
    ) -> None:
        assert cli.main(["models", "pull", name, "--to", str(folder)]) == 1
        out, err = capsys.readouterr()
        assert (out, err.count("\n"), folder.exists()) == ("", 1, False)
        assert said in err

    def test_an_unknown_name_ends_it_before_any_is_pulled(self, server: Server, folder: Path) -> None:
        assert cli.main(["models", "pull", "mobiledet", "nonesuch", "--to", str(folder), "--from", server.url]) == 1
        assert (server.asked, folder.exists()) == ([], False)

    def test_without_a_network_it_says_what_to_copy_where(
        self, capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
        assert cli.main(["models", "pull", "mobiledet", "--to", str(folder)]) == 1
        file = "ssdlite_mobiledet_coco_qat_postprocess.tflite"
        assert capsys.readouterr().err == (
            f"edgecam: {BY_NAME['mobiledet'].source}/{file}: cannot be fetched (Connection refused):"
            f" fetch it elsewhere and copy it to {folder / file}\n"
        )

    def test_wrong_content_is_refused(self, capsys: pytest.CaptureFixture[str], server: Server, folder: Path) -> None:
        assert cli.main(["models", "pull", "mobiledet", "--to", str(folder), "--from", server.url]) == 1
        said = capsys.readouterr().err
        assert f"found SHA-256 {SHA256}, expected SHA-256 32c48614" in said
        assert files_in(folder) == []

    def test_a_real_model_from_a_stick_is_found_by_its_name(
        self, capsys: pytest.CaptureFixture[str], home: Path, assets: Path
    ) -> None:
        file = home / ".local/share/edgecam/models" / DOG_VS_CAT
        stick = (assets / "models").resolve().as_uri()
        assert cli.main(["models", "pull", "dog-vs-cat", "--from", stick]) == 0
        assert capsys.readouterr() == (f"dog-vs-cat: pulled and verified: {file}\n", "")
        assert cli.main(["models", "pull", DOG_VS_CAT, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == [{"name": "dog-vs-cat", "file": str(file), "pulled": False}]
        assert cli.main(["models", "info", "dog-vs-cat", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["file"] == str(file)
