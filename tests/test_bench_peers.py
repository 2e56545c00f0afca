"""tools/bench-peers: what it counts and computes, and that a peer that cannot take part is a row that says why."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edgecam.config import load

pytestmark = pytest.mark.any_runtime

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

broker, environments, film, measuring, peers, results, tool, counting = (
    import_module(f"bench_peers.{name}")
    for name in (
        "broker", "environments", "film", "measuring", "peers", "results", "__main__", "inside.counting",
    )
)  # fmt: skip
Way, Unavailable = peers.Way, environments.Unavailable
BARE = {peers.LITERT: {"invoke": 0.010, "cpu": 0.020}}


def measured(frames: int = 300, cpu: float = 9.0, told: tuple[Any, ...] = ()) -> Any:
    """Ten seconds of something."""
    return measuring.Measured(frames, 10.0, cpu, 100_000_000, 150_000_000, 2, None, told)


def order(folder: Path, **settings: Any) -> Any:
    """What a peer gets to do; its virtual environments would be in `folder`."""
    given = {
        "way": Way.PACED, "runtime": peers.LITERT, "recording": False, "film": folder / "film.mp4",
        "model": folder / "model.tflite", "labels": folder / "labels.txt", "folder": folder, "peers": folder / "peers",
        "port": 1883,
    }  # fmt: skip
    return peers.Order(**(given | settings))


def python_program(folder: Path, code: str) -> Any:
    """A program that runs this code beside the counter."""
    counts, named = peers._counted(order(folder))
    return peers.Program([sys.executable, "-c", code], counts, {**named, "PYTHONPATH": str(peers.INSIDE)})


def entry(name: str) -> Any:
    """One of the table."""
    return next(each for each in peers.ENTRIES if each.name == name)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured counts at once."""
    monkeypatch.setattr(measuring, "WARM", 0.0)
    monkeypatch.setattr(measuring, "START", 20.0)


def test_figures_are_medians_of_rounds_each_beside_its_own_bare_invoke() -> None:
    findings = results.Findings()
    for frames, cpu, bare in ((300, 9.0, 0.020), (300, 12.0, 0.040), (150, 9.0, 0.030)):
        findings.add(Way.PACED, {peers.LITERT: {"invoke": 0.0, "cpu": bare}}, measured(frames, cpu))
    row = results.row(entry("edgecam, ai-edge-litert"), findings)
    assert row["paced_fps"] == 30
    assert row["cpu"] == pytest.approx(0.040)  # of 0.03, 0.04 and 0.06
    assert row["ratio"] == pytest.approx(1.5)  # of 1.5, 1.0 and 2.0
    assert (row["pss_bytes"], row["rss_bytes"], row["processes"]) == (100_000_000, 150_000_000, 2)
    assert row["fps"] is None
    assert row["mqtt"]["p50"] is None
    assert row["beyond"] is None


def test_a_message_s_delay_is_from_its_frame_and_less_the_bare_invoke() -> None:
    told = tuple(broker.Told(100 + n + n / 1000, 100 + n) for n in range(1, 101))
    findings = results.Findings()
    findings.add(Way.TOLD, BARE, measured(told=told))
    row = results.row(entry("edgecam, ai-edge-litert"), findings)
    assert row["mqtt"]["messages"] == 100
    assert row["mqtt"]["p50"] == pytest.approx(0.050)
    assert row["mqtt"]["p95"] == pytest.approx(0.095)
    assert row["beyond"] == pytest.approx(0.040)


def test_a_peer_with_a_runtime_of_its_own_stands_beside_litert() -> None:
    findings = results.Findings()
    findings.add(Way.PACED, BARE, measured(300, 9.0))
    assert results.row(entry("MediaPipe 1.2.2"), findings)["ratio"] == pytest.approx(1.5)


def test_who_cannot_take_part_is_a_row_that_says_why_and_is_not_tried_again() -> None:
    findings, tries = results.Findings(), []

    def refused() -> Any:
        tries.append(1)
        raise Unavailable("it could not be installed: no wheel")

    for _ in range(3):
        assert tool._note(findings, Way.FREE, BARE, refused) == "it could not be installed: no wheel"
    row = results.row(entry("MediaPipe 1.2.2"), findings)
    assert row["why"] == {"free": "it could not be installed: no wheel"}
    assert len(tries) == 1
    document = {"rows": [row], "bare": BARE, "clip": "clip.mp4", "model": "model.tflite"}
    (table,) = results.tables(json.loads(json.dumps(document)))
    assert table.caption == "MediaPipe 1.2.2, free: it could not be installed: no wheel"


def test_one_round_that_fails_does_not_take_the_others_away() -> None:
    findings, outcomes = results.Findings(), [measured(), None, measured()]

    def next_outcome() -> Any:
        outcome = outcomes.pop(0)
        if outcome is None:
            raise Unavailable("it ended with 1: killed")
        return outcome

    for _ in range(3):
        tool._note(findings, Way.FREE, BARE, next_outcome)
    row = results.row(entry("MediaPipe 1.2.2"), findings)
    assert (row["fps"], row["why"]) == (30, {})
    assert [each["fps"] for each in row["rounds"]["free"]] == [30, 30]
    assert row["failed"] == {"free": "it ended with 1: killed"}


def test_names_are_unique_and_each_table_row_has_all_columns() -> None:
    names = [each.name for each in peers.ENTRIES]
    assert len(set(names)) == len(names)
    rows = [results.row(each, results.Findings()) for each in peers.ENTRIES]
    pieces = {"tracking": {"5": {"edgecam": 0.2}, "20": {}}, "drawing": {"plain OpenCV": 0.07}, "missing": {}}
    document = {"rows": rows, "bare": BARE, "clip": "c", "model": "m", "pieces": pieces}
    whole, small = results.tables(document)
    assert whole.row_count == len(names)
    assert small.row_count == 2


def test_a_virtual_environment_that_cannot_be_made_says_why_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = tmp_path / "python-with-a-broken-pip"
    pip = '#!/bin/sh\necho "ERROR: no wheel for $6"; echo; exit 1\n'
    venv.write_text(f"#!/bin/sh\nmkdir -p $3/bin; printf '%s' '{pip}' > $3/bin/python; chmod +x $3/bin/python\n")
    venv.chmod(0o755)
    monkeypatch.setattr(environments, "_interpreter", lambda _old: str(venv))
    nowhere = environments.Environment("nowhere", ("watsor",))
    with pytest.raises(Unavailable, match=r"^it could not be installed: ERROR: no wheel for watsor$"):
        environments.python_of(nowhere, tmp_path)
    assert not (tmp_path / "nowhere" / "peer-stamp").exists()


def test_a_virtual_environment_is_made_once_and_anew_when_its_packages_change(tmp_path: Path) -> None:
    empty = environments.Environment("empty", ())
    (tmp_path / "empty" / "bin").mkdir(parents=True)
    (tmp_path / "empty" / "peer-stamp").write_text(empty.stamp)
    assert environments.python_of(empty, tmp_path) == tmp_path / "empty" / "bin" / "python"
    followed = tmp_path / "pyproject.toml"
    followed.write_text("a = 1")
    other = environments.Environment("empty", (), follows=followed)
    assert other.stamp != empty.stamp
    before = other.stamp
    followed.write_text("a = 2")
    assert other.stamp != before


def test_a_debian_program_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="no motion here, and no apt-get"):
        environments.debian_program("motion", tmp_path)


def test_an_unpacked_program_finds_its_own_libraries(tmp_path: Path) -> None:
    program = tmp_path / "root" / "usr" / "bin" / "motion"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH $1"\n')
    program.chmod(0o755)
    libraries = tmp_path / "root" / "usr" / "lib" / "x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    environments._write_front(tmp_path / "motion", tmp_path / "root", "motion")
    said = subprocess.run([tmp_path / "motion", "a b"], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"{libraries}:{libraries}/blas:")
    assert said.endswith(" a b\n")


@pytest.mark.parametrize(
    ("words", "last"),
    [
        ("Collecting x\nERROR: No match for it\nWARNING: an error may follow\n", "ERROR: No match for it"),
        ("one\ntwo\n\n", "two"),
        ("", "it said nothing"),
    ],
)  # fmt: skip
def test_the_last_line_of_a_log_is_the_one_that_tells(tmp_path: Path, words: str, last: str) -> None:
    log = tmp_path / "log"
    log.write_text(words)
    assert environments.last_line(log) == last


@pytest.mark.parametrize("name", [each.name for each in peers.ENTRIES if each.name.startswith("edgecam, ai")])
@pytest.mark.parametrize("way", list(Way))
def test_edgecam_takes_the_configuration_that_is_written_for_it(tmp_path: Path, way: Any, name: str) -> None:
    recording = entry(name).recording
    program = peers.edgecam(order(tmp_path, way=way, recording=recording))
    config = load(Path(program.command[-1]), cameras_needed=True)
    camera = config.cameras["film"]
    assert camera.pace == ("fast" if way is Way.FREE else "realtime")  # type: ignore[union-attr]
    assert config.clips.enabled == recording
    assert config.mqtt.port == 1883
    assert config.detector.threads == 1
    assert program.counts() == (0, None)  # nobody is there yet


def test_watsor_s_configuration_paces_and_records_as_ordered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "python_of", lambda *_rest: Path("python"))
    monkeypatch.setattr(peers, "debian_program", lambda *_rest: Path("/unpacked/ffmpeg"))
    configs = {}
    for way, recording in ((Way.FREE, False), (Way.PACED, True)):
        folder = tmp_path / way
        folder.mkdir()
        program = peers.watsor(order(folder, way=way, recording=recording))
        configs[way] = json.loads((folder / "watsor.yaml").read_text())
        assert program.environment["PATH"].startswith("/unpacked:")
    free, paced = configs[Way.FREE], configs[Way.PACED]
    assert "-re" not in free["ffmpeg"]["decoder"]
    assert "encoder" not in free["ffmpeg"]
    assert "-re" in paced["ffmpeg"]["decoder"]
    assert "superfast" in paced["ffmpeg"]["encoder"]
    assert paced["cameras"][0]["film"]["output"].endswith(".mp4")


def test_mediapipe_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="give --labels"):
        peers.mediapipe(order(tmp_path, labels=None))


def test_a_counter_is_seen_from_outside(tmp_path: Path) -> None:
    counts, named = peers._counted(order(tmp_path))
    counter = counting.Counter(named["PEER_COUNTER"])
    counter.add(2)
    counter.add(0)
    assert counts() == (2, 2)


def test_a_program_is_measured_with_all_its_processes(tmp_path: Path, at_once: None) -> None:
    code = """
import subprocess, sys
from counting import from_environment
child = subprocess.Popen([sys.executable, "-c", "while True: sum(range(1000))"])
counter = from_environment()
while True:
    counter.add(1)
    sum(range(10000))
"""
    found = measuring.measure(python_program(tmp_path, code), tmp_path, 0.5)
    assert found.processes == 2
    assert found.frames > 0
    assert found.found >= found.frames
    assert found.cpu > 0
    assert 0 < found.pss_bytes <= found.rss_bytes * 1.01


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("raise SystemExit('there is no camera')", "it ended with 1: there is no camera"),
        ("import counting, time; counting.from_environment().add(1); time.sleep(60)", "it processed no frame in 0.2 s"),
        (
            "import counting\ncounter = counting.from_environment()\nwhile True: counter.add(0)",
            "it detected nothing in the clip",
        ),
    ],
)
def test_a_program_that_does_not_do_its_work_says_so(tmp_path: Path, at_once: None, code: str, why: str) -> None:
    with pytest.raises(Unavailable, match=why):
        measuring.measure(python_program(tmp_path, code), tmp_path, 0.2)


def test_frame_times_of_both_appliances() -> None:
    said = json.dumps({"type": "update", "after": {"frame_time": 1700000000.25}}).encode()
    assert broker.frame_time(broker.EDGECAM, said) == 1700000000.25
    local = json.dumps({"t": "2026-01-02T03:04:05.500000", "d": []}).encode()
    assert math.modf(broker.frame_time("watsor/cameras/film/detection/person/details", local))[0] == 0.5


def test_a_listener_hears_and_asks_watsor_for_details(tmp_path: Path) -> None:
    if shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        pytest.skip("no MQTT broker: apt-get install mosquitto")
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    with broker.broker(tmp_path) as port:
        listener = broker.Listener(port)
        listener.start()
        asked: list[bytes] = []
        client = Client(CallbackAPIVersion.VERSION2, "peer")
        client.on_message = lambda _client, _userdata, message: asked.append(bytes(message.payload))
        client.connect("127.0.0.1", port)
        client.loop_start()
        client.subscribe(broker.COMMAND, 1)
        client.publish(broker.EDGECAM, json.dumps({"after": {"frame_time": 1.0}}), qos=1).wait_for_publish(10)
        broker._wait_for(lambda: asked and listener.told, "nothing came")
        client.disconnect()
        client.loop_stop()
        listener.stop()
    assert asked == [b"details = on"]
    assert listener.told[0].frame_time == 1.0


def test_the_film_is_of_one_size_pace_and_length_whatever_the_source(tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    with av.open(str(source), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shade in range(3):
            picture = av.VideoFrame.from_ndarray(np.full((72, 64), 60 * shade, np.uint8), format="yuv420p")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    ticks: list[int] = []
    made = film.film(source, tmp_path, length=0.2, tick=lambda: ticks.append(1))
    with av.open(str(made)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (1280, 720, 30)
        assert len(list(container.decode(stream))) == len(ticks) == 6
    before = made.stat().st_mtime_ns
    assert film.film(source, tmp_path, length=0.2).stat().st_mtime_ns == before
    source.write_bytes(b"no video")
    with pytest.raises(Unavailable, match="cannot be played"):
        film.film(source, tmp_path, length=0.2)


@pytest.mark.parametrize("words", [["--clip", "/no/such.mp4"], ["--seconds", "100"], ["--rounds", "0"]])
def test_what_cannot_be_is_refused_in_one_line(
    assets: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--clip", str(assets / "videos" / tool.CLIP), "--model", str(assets / "models" / tool.MODEL)]
    with pytest.raises(SystemExit) as ended:
        tool.parsed([*given, *words])
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("tools/bench-peers: error: ")


@pytest.mark.skipif(os.environ.get("EDGECAM_LABS") != "1", reason="minutes and downloads: set EDGECAM_LABS=1")
@pytest.mark.timeout(1800)
def test_the_whole_of_it_in_short(assets: Path) -> None:
    command = [str(ROOT / "tools" / "bench-peers"), "--json", "--rounds", "1", "--seconds", "3"]
    settings = {**os.environ, "EDGECAM_TEST_ASSETS": str(assets)}
    done = subprocess.run(command, env=settings, stdout=subprocess.PIPE, check=True)
    document = json.loads(done.stdout)
    ours = document["rows"][0]
    assert ours["name"] == "edgecam, ai-edge-litert"
    assert ours["why"] == {}
    assert ours["fps"] > 0
    assert ours["mqtt"]["messages"] > 0
    assert document["pieces"]["tracking"]["5"]["edgecam"] > 0
