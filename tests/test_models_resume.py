"""Pulls that are cut, hindered, or not alone: what came stays for the next one, and nothing wrong takes its place."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import tiny_models
from model_server import Answer, Server, ranged, sending, serving

from edgecam import cli
from edgecam.errors import ModelError
from edgecam.models import pulling
from edgecam.models.entries import Published
from edgecam.models.published import BY_NAME

CONTENT = tiny_models.detector()
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
TINY = Published("tiny", "tiny.tflite", "", sha256=SHA256)
PART = f".tiny.tflite.{SHA256[:16]}.part"
CUT = 700


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(CONTENT) as model_server:
        yield model_server


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EDGECAM_MODELS", "EDGECAM_MODELS_MIRROR", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def begin(folder: Path, content: bytes) -> Path:
    """What a pull left that was cut after this content."""
    part = folder / PART
    part.write_bytes(content)
    return part


class TestCut:
    """The network fails in the middle."""

    @pytest.mark.parametrize("way", ["cut", "stalled", "chunked"])
    def test_what_came_stays_and_the_next_pull_goes_on_from_there(self, server: Server, folder: Path, way: str) -> None:
        def stalled(handler: BaseHTTPRequestHandler) -> None:
            ranged(CONTENT, most=CUT)(handler)
            server.released.wait(60)

        def chunked(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            handler.wfile.write(b"%x\r\n%b\r\n" % (CUT, CONTENT[:CUT]))

        server.answer = {"cut": ranged(CONTENT, most=CUT), "stalled": stalled, "chunked": chunked}[way]
        with pytest.raises(
            ModelError, match=f"run it again to go on after the first {CUT} bytes, or fetch it els"
        ) as no:
            pulling.pull(TINY, folder, source=server.url, timeout=0.3)
        assert "\n" not in str(no.value)
        assert files_in(folder) == [PART]
        server.answer = ranged(CONTENT)
        assert pulling.pull(TINY, folder, source=server.url)
        assert server.ranges == ["", f"bytes={CUT}-"]
        assert files_in(folder) == ["tiny.tflite"]
        assert (folder / "tiny.tflite").read_bytes() == CONTENT

    def test_cut_again_and_again_it_comes_to_an_end(self, server: Server, folder: Path) -> None:
        server.answer = ranged(CONTENT, most=500)
        for _ in range(SIZE // 500):
            with pytest.raises(ModelError, match="ended after"):
                pulling.pull(TINY, folder, source=server.url)
        assert pulling.pull(TINY, folder, source=server.url)
        assert server.ranges[:3] == ["", "bytes=500-", "bytes=1000-"]

    def test_the_bar_goes_on_where_it_was(self, server: Server, folder: Path) -> None:
        steps: list[int | None] = []

        @contextmanager
        def watch(total_bytes: int | None) -> Iterator[Callable[[int], None]]:
            steps.append(total_bytes)
            yield steps.append

        begin(folder, CONTENT[:CUT])
        server.answer = ranged(CONTENT)
        pulling.pull(TINY, folder, source=server.url, watch=watch)
        assert steps[:2] == [SIZE, CUT]
        assert sum(step or 0 for step in steps[1:]) == SIZE

    def test_an_interrupt_keeps_what_came(self, server: Server, folder: Path) -> None:
        def interrupted(done: int) -> None:
            if done:
                raise KeyboardInterrupt

        @contextmanager
        def watch(_total_bytes: int | None) -> Iterator[Callable[[int], None]]:
            yield interrupted

        with pytest.raises(KeyboardInterrupt):
            pulling.pull(TINY, folder, source=server.url, watch=watch)
        assert files_in(folder) == [PART]
        assert pulling.pull(TINY, folder, source=server.url)
        assert files_in(folder) == ["tiny.tflite"]

    def test_one_that_was_killed_before_it_was_put_in_place_needs_no_network(
        self, server: Server, folder: Path
    ) -> None:
        begin(folder, CONTENT)
        assert pulling.pull(TINY, folder, source=server.url)
        assert (server.asked, files_in(folder)) == ([], ["tiny.tflite"])

    def test_a_redirect_keeps_the_range(self, server: Server, folder: Path) -> None:
        def elsewhere(handler: BaseHTTPRequestHandler) -> None:
            if handler.path.startswith("/moved"):
                ranged(CONTENT)(handler)
                return
            handler.send_response(302)
            handler.send_header("Location", f"/moved{handler.path}")
            handler.end_headers()

        server.answer = elsewhere
        begin(folder, CONTENT[:CUT])
        assert pulling.pull(TINY, folder, source=server.url)
        assert server.asked == ["/tiny.tflite", "/moved/tiny.tflite"]
        assert server.ranges[-1] == f"bytes={CUT}-"


def whole_with_status_206(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(206 if handler.headers.get("Range") else 200)
    handler.send_header("Content-Range", f"bytes 0-{SIZE - 1}/{SIZE}")
    handler.send_header("Content-Length", str(SIZE))
    handler.end_headers()
    handler.wfile.write(CONTENT)


class TestFromTheStart:
    """What was begun does not help."""

    @pytest.mark.parametrize(
        ("begun", "answer", "requests"),
        [
            (CONTENT[:CUT], sending(CONTENT), 1),
            (CONTENT[:CUT], whole_with_status_206, 2),
            (b"x" * CUT, ranged(CONTENT), 2),
            (b"x" * SIZE, ranged(CONTENT), 2),
            (b"x" * (SIZE + 9), ranged(CONTENT), 2),
            (b"x" * SIZE, sending(CONTENT), 1),
        ],
        ids=["no ranges", "odd ranges", "another beginning", "another file", "a longer one", "no ranges, another file"],
    )
    def test_it_is_fetched_anew(
        self, server: Server, folder: Path, begun: bytes, answer: Answer, requests: int
    ) -> None:
        begin(folder, begun)
        server.answer = answer
        assert pulling.pull(TINY, folder, source=server.url)
        assert len(server.asked) == requests
        assert files_in(folder) == ["tiny.tflite"]

    def test_a_wrong_file_does_not_stay(self, server: Server, folder: Path) -> None:
        begin(folder, CONTENT[:CUT])
        server.answer = ranged(tiny_models.classifier())
        with pytest.raises(ModelError, match="not the published file: found SHA-256 "):
            pulling.pull(TINY, folder, source=server.url)
        assert files_in(folder) == []

    def test_a_refusal_keeps_what_was_begun(self, server: Server, folder: Path) -> None:
        begin(folder, CONTENT[:CUT])
        server.answer = sending(b"gone", status=404)
        with pytest.raises(ModelError, match="HTTP 404"):
            pulling.pull(TINY, folder, source=server.url)
        assert (folder / PART).read_bytes() == CONTENT[:CUT]

    def test_a_link_in_the_way_is_not_followed(self, server: Server, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text("mine")
        (folder / PART).symlink_to(tmp_path / "precious")
        with pytest.raises(ModelError, match="cannot be written"):
            pulling.pull(TINY, folder, source=server.url)
        assert (tmp_path / "precious").read_text() == "mine"


class TestAtOnce:
    """Several pulls of one model."""

    def test_one_fetches_and_the_other_waits_for_it(self, server: Server, folder: Path) -> None:
        waits = threading.Event()

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write(CONTENT[:CUT])
            waits.wait(30)
            handler.wfile.write(CONTENT[CUT:])

        server.answer = answer
        with ThreadPoolExecutor(3) as pool:
            pulls = [pool.submit(pulling.pull, TINY, folder, source=server.url, waiting=waits.set) for _ in range(3)]
            assert sorted(each.result(30) for each in pulls) == [False, False, True]
        assert (len(server.asked), files_in(folder)) == (1, ["tiny.tflite"])

    def test_where_the_first_fails_the_second_does_the_rest(self, server: Server, folder: Path) -> None:
        waits = threading.Event()

        def answer(handler: BaseHTTPRequestHandler) -> None:
            if handler.headers.get("Range"):
                ranged(CONTENT)(handler)
                return
            sending(CONTENT[:CUT], length=SIZE)(handler)
            waits.wait(30)

        server.answer = answer
        with ThreadPoolExecutor(2) as pool:
            pulls = [pool.submit(pulling.pull, TINY, folder, source=server.url, waiting=waits.set) for _ in range(2)]
            failures = [each.exception(30) for each in pulls]
        said = [str(failure) for failure in failures if failure]
        assert [text.split(": ")[1] for text in said] == [f"ended after {CUT} of {SIZE} bytes"]
        assert (server.ranges, files_in(folder)) == (["", f"bytes={CUT}-"], ["tiny.tflite"])

    def test_one_that_does_not_get_on_is_not_waited_for_for_ever(self, server: Server, folder: Path) -> None:
        part = begin(folder, CONTENT[:CUT])
        with part.open("rb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            with pytest.raises(ModelError, match=r"another pull fills it and has not got on for 0 s: end that one"):
                pulling.pull(TINY, folder, source=server.url, timeout=0.1)
        assert (server.asked, part.read_bytes()) == ([], CONTENT[:CUT])

    def test_a_killed_process_is_out_of_the_way_and_its_beginning_is_used(self, server: Server, folder: Path) -> None:
        begun = threading.Event()

        def answer(handler: BaseHTTPRequestHandler) -> None:
            if handler.headers.get("Range"):
                ranged(CONTENT)(handler)
                return
            sending(CONTENT[:CUT], length=SIZE)(handler)
            begun.set()
            server.released.wait(60)

        server.answer = answer
        program = f"""
from pathlib import Path
from edgecam.models.entries import Published
from edgecam.models.pulling import pull
print(pull(Published("tiny", "tiny.tflite", "", sha256={SHA256!r}), Path({str(folder)!r}), source={server.url!r}))
"""
        first = subprocess.Popen([sys.executable, "-c", program])
        assert begun.wait(60)
        second = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        while not (folder / PART).stat().st_size:
            assert first.poll() is None
        first.kill()
        first.wait(60)
        assert second.communicate(timeout=60)[0] == "True\n"
        assert (server.ranges, files_in(folder)) == (["", f"bytes={CUT}-"], ["tiny.tflite"])


class TestFullDisk:
    """A real one, of 64 kB, already nearly full."""

    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[Path]:
        place = tmp_path / "small"
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "edgecam-test", str(place)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("only root may mount a small disk")
        yield place
        subprocess.run(["umount", str(place)], check=True)

    @pytest.mark.parametrize("begun", [b"", b"x" * 2000])
    def test_it_is_one_clear_line_and_nothing_stays(self, server: Server, small: Path, begun: bytes) -> None:
        large = tiny_models.with_files(CONTENT, {"labels.txt": b"cow\n" * 20_000})
        model = Published("large", "large.tflite", "", sha256=hashlib.sha256(large).hexdigest())
        server.answer = ranged(large)
        (small / "other").write_bytes(bytes(16_000))
        if begun:
            (small / f".large.tflite.{model.sha256[:16]}.part").write_bytes(large[: len(begun)])
        with pytest.raises(ModelError) as caught:
            pulling.pull(model, small, source=server.url)
        assert str(caught.value) == (
            f"{small}/large.tflite: cannot be written (No space left on device):"
            " free some space, or choose another folder with --to"
        )
        assert files_in(small) == ["other"]


class TestMirror:
    """Where models come from, as the environment has it."""

    def test_the_environment_names_a_mirror(
        self, server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("EDGECAM_MODELS_MIRROR", f"{server.url}/mirror")
        assert cli.main(["models", "pull", "mobiledet", "--to", str(folder)]) == 1
        assert server.asked == [f"/mirror/{BY_NAME['mobiledet'].file}"]
        assert "not the published file" in capsys.readouterr().err
        assert cli.main(["models", "pull", "mobiledet", "--to", str(folder), "--from", f"{server.url}/named"]) == 1
        assert server.asked[1:] == [f"/named/{BY_NAME['mobiledet'].file}"]

    def test_a_folder_of_files_needs_no_server(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, assets: Path
    ) -> None:
        monkeypatch.setenv("EDGECAM_MODELS_MIRROR", (assets / "models").resolve().as_uri())
        assert cli.main(["models", "pull", "dog-vs-cat", "coco-ssd-v1", "--to", str(folder)]) == 0
        assert files_in(folder) == sorted(BY_NAME[name].file for name in ("dog-vs-cat", "coco-ssd-v1"))
        assert os.access(folder / BY_NAME["dog-vs-cat"].file, os.R_OK)
