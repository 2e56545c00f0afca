"""tools/bench-appliance: what the kernel tells, how it is put together, and (EDGECAM_LABS=1) a whole short run."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt_broker import mosquitto
from rich.console import Console

from edgecam.bundled import demo_clip, models_folder
from edgecam.config import load
from edgecam.errors import InputError

pytestmark = pytest.mark.any_runtime

TOOLS = Path(__file__).resolve().parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

appliance, counting, film, growth, memory, reporting, takes, tool = (
    import_module(f"bench_appliance.{name}")
    for name in ("appliance", "counting", "film", "growth", "memory", "reporting", "takes", "__main__")
)

SMAPS = """\
55d0c0000000-55d0c0c00000 rw-p 00000000 00:00 0                          [heap]
Size:              12288 kB
Rss:               10000 kB
Pss:               10000 kB
Private_Clean:         0 kB
Private_Dirty:     10000 kB
VmFlags: rd wr mr mw me ac sd
7f0004000000-7f0007000000 rw-p 00000000 00:00 0
Rss:                 300 kB
Pss:                 300 kB
Private_Dirty:       300 kB
7f1000000000-7f1000200000 r-xp 00000000 fe:00 12 /v/lib/python3.11/site-packages/av.libs/libx264-3f.so.164
Rss:                 200 kB
Pss:                 100 kB
Private_Clean:         0 kB
VmFlags: rd ex mr
"""


def counts(cpu: float, faults: int = 0) -> Any:
    return counting.Counts(cpu, faults, 0)


def a_take(**changes: Any) -> Any:
    figures = {
        "bare": takes.Bare(0.014, 0.014),
        "span": 10.0,
        "frames": {"captured": 300, "analysed": 300},
        "threads": {"edgecam detect-film": counts(0.015, 2), "edgecam capture-film": counts(0.003)},
        "delays": [0.016, 0.018, 0.030],
        "messages": {"new": 1, "update": 1, "end": 1},
        "stages": {"inference": {"count": 300, "p50": 0.0141, "p95": 0.015, "p99": None}},
        "memory": list(memory.read("edgecam", SMAPS.splitlines())),
    }
    return takes.Take(**figures | changes)


def points(*sizes: float, step: int = 1000) -> list[Any]:
    return [growth.Point(step * (n + 1), float(n), int(size)) for n, size in enumerate(sizes)]


def test_each_mapping_has_its_kind_and_its_sizes() -> None:
    found = list(memory.read("edgecam", SMAPS.splitlines()))
    assert [
        (each.kind, each.rss_bytes // 1024, each.pss_bytes // 1024, each.private_bytes // 1024) for each in found
    ] == [
        ("heap", 10000, 10000, 10000),
        ("heaps of threads", 300, 300, 300),
        ("library av", 200, 100, 0),
    ]


@pytest.mark.parametrize(
    ("begin", "length", "name", "kind"),
    [
        (0x7F0000100000, 4096, "", "small blocks"),
        (0x7F0004000000, (200 << 20) + 4096, "", "large blocks"),
        (0x7F0000100000, 3 << 20, "", "Python's objects, stacks"),
        (0x1000, 4096, "[stack]", "stack"),
        (0x1000, 4096, "[vdso]", "kernel's"),
        (0x1000, 4096, "/memfd:edgecam-tensors (deleted)", "shared tensors and model"),
        (0x1000, 4096, "/usr/lib/x86_64-linux-gnu/libc.so.6", "library of the system"),
        (0x1000, 4096, "/usr/lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so", "library Python"),
        (0x1000, 4096, "/v/lib/python3.11/site-packages/opencv_python_headless.libs/libavcodec.so.59", "library cv2"),
        (0x1000, 4096, "/v/lib/python3.11/site-packages/numpy/_core/_multiarray.so", "library numpy"),
        (0x1000, 4096, "/var/lib/edgecam/edgecam.db-shm", "files"),
    ],
)
def test_what_a_mapping_is_for(begin: int, length: int, name: str, kind: str) -> None:
    assert memory.kind_of(begin, begin + length, name) == kind


def test_the_mappings_of_a_process_are_what_it_holds() -> None:
    held = sum(each.rss_bytes for each in memory.mappings(os.getpid()))
    assert held == pytest.approx(growth.rss_bytes(os.getpid()), rel=0.1)


def test_threads_of_one_name_are_one_and_those_that_ended_are_not_forgotten() -> None:
    begin = counting.Sample(
        {("edgecam", "decode", 7): counts(1.0), ("edgecam", "read", 8): counts(2.0)}, {"edgecam": 3.0}
    )
    middle = counting.Sample(
        {("edgecam", "decode", 7): counts(1.5), ("edgecam", "read", 8): counts(2.1)}, {"edgecam": 3.6}
    )
    end = counting.Sample(
        {("edgecam", "decode", 9): counts(0.25), ("edgecam", "read", 8): counts(2.5)}, {"edgecam": 4.5}
    )
    spent = counting.between(begin, counting.followed(middle, end))
    assert {name: round(each.cpu, 6) for name, each in spent.items()} == {
        ("edgecam", "decode"): 0.75,
        ("edgecam", "read"): 0.5,
        ("edgecam", counting.ENDED): 0.25,
    }


@contextmanager
def started(name: str) -> Iterator[None]:
    """A process with this in its command line."""
    command = [sys.executable, "-c", "print('here', flush=True); input()", name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
        yield
        child.communicate(b"\n")


def test_this_process_is_counted_with_what_it_has_started() -> None:
    with started("detectors/child.py"):
        found = counting.sample(os.getpid())
        assert {process for process, _thread, _number in found.threads} == {"edgecam", "detector"}
        assert ("edgecam", counting.MAIN, os.getpid()) in found.threads
        assert found.whole["edgecam"] > 0


def test_the_software_edge_tpu_s_own_process_is_not_counted() -> None:
    with started("model_runner.py"):
        assert [pid for pid, _called in counting.processes(os.getpid())] == [os.getpid()]


def test_the_kernel_is_told_the_names_of_threads() -> None:
    program = """
import threading
from pathlib import Path
done = threading.Event()
thread = threading.Thread(target=done.wait, name="capture-front-door")
thread.start()
print(Path(f"/proc/self/task/{thread.native_id}/comm").read_text().strip())
done.set()
"""
    naming = os.environ | {"PYTHONPATH": str(TOOLS / "bench_appliance" / "naming")}
    done = subprocess.run([sys.executable, "-c", program], env=naming, capture_output=True, text=True, check=True)
    assert done.stdout == "capture-front-d\n"


def test_a_frame_that_is_analysed_as_a_multiple_of_the_bare_invoke() -> None:
    assert a_take().multiple == pytest.approx(0.018 / 0.014)


@given(st.floats(0, 1), st.floats(0.001, 0.1), st.floats(0, 0.05))
def test_frames_that_are_passed_over_do_not_make_it_cheaper(analysed: float, bare: float, beyond: float) -> None:
    take = a_take(
        bare=takes.Bare(bare, bare),
        frames={"captured": 1000, "analysed": round(1000 * analysed)},
        threads={"edgecam detect-film": counts(bare * round(1000 * analysed) / 1000 + beyond)},
    )
    assert take.multiple == pytest.approx(1 + beyond / bare)


def test_the_way_to_a_message_is_told_less_one_bare_invoke() -> None:
    assert a_take().beyond["p50"] == pytest.approx(0.004)
    assert a_take(delays=[]).beyond["p50"] != a_take(delays=[]).beyond["p50"], "not a number"


@given(st.floats(1e6, 1e9), st.integers(2, 200))
def test_what_stays_does_not_grow(size: float, count: int) -> None:
    begin, end, slope = growth.judged(points(*[size] * count))
    assert (begin, end) == (int(size), int(size))
    assert slope == pytest.approx(0, abs=1)


def test_growth_counts_from_the_end_of_the_warm_up() -> None:
    rising = points(*[0] * 10, *(100e6 + 1000 * n for n in range(90)))
    begin, end, slope = growth.judged(rising)
    assert begin == pytest.approx(100e6, abs=10_000)
    assert end == pytest.approx(100e6 + 85_000, abs=10_000)
    assert growth.judged(rising[10:])[2] == pytest.approx(1000)
    assert slope > 0


def test_the_curve_has_both_ends() -> None:
    sizes = points(*range(95))
    assert (growth.curve(sizes, 10)[0], growth.curve(sizes, 10)[-1], len(growth.curve(sizes, 10))) == (
        sizes[0], sizes[-1], 10,
    )  # fmt: skip
    assert growth.curve(sizes[:1]) == sizes[:1]


def test_rounds_are_put_together_and_judged() -> None:
    cheap, dear = a_take(), a_take(threads={"edgecam detect-film": counts(0.028)}, delays=[0.5])
    one = reporting.summed_up([cheap, cheap, dear])
    assert one["multiple"] == pytest.approx(0.018 / 0.014)
    assert one["messages"] == {"new": 3, "update": 3, "end": 3}
    assert one["memory"]["rss_bytes"] == 10_500 * 1024
    assert [row["thread"] for row in one["threads"]] == ["edgecam detect-film", "edgecam capture-film"]
    document = {"settings": {"cpu, recording": one, "edge tpu, recording": one}}
    assert [goal.reached for goal in reporting.reached(document)] == [True, False, False, True]
    assert all(goal.sure for goal in reporting.reached(document))
    shown = text_of(document)
    assert "detect-film" in shown
    assert "library av" in shown or "heap" in shown
    json.dumps(document)


def test_nothing_is_sure_where_frames_were_passed_over() -> None:
    one = reporting.summed_up([a_take(frames={"captured": 300, "analysed": 250})])
    assert not any(goal.sure for goal in reporting.reached({"settings": {"cpu": one, "cpu, recording": one}}))
    assert "too busy to tell" in text_of({"settings": {"cpu": one}})


def test_where_there_was_no_message_there_is_no_number() -> None:
    document = {"settings": {"cpu": reporting.summed_up([a_take(delays=[])])}}
    assert "nan" in text_of(document)
    written = json.dumps(reporting.plain(document), allow_nan=False)
    assert json.loads(written)["settings"]["cpu"]["beyond"] == {"p50": None, "p95": None, "p99": None}


def test_growth_is_put_together_and_judged() -> None:
    maps = list(memory.read("edgecam", SMAPS.splitlines()))
    sizes = points(*[100e6] * 50, *[103e6] * 50)
    found = growth.Growth(sizes, *growth.judged(sizes), {"frames_captured": 100_000}, maps[:1], maps)
    document = {"growth": reporting.grown(found)}
    (goal,) = reporting.reached(document)
    assert (goal.reached, goal.value) == (False, pytest.approx(3.0))
    assert "frames_captured 100000" in text_of(document)
    json.dumps(document)


def text_of(document: dict[str, Any]) -> str:
    out = io.StringIO()
    console = Console(file=out, width=200)
    for table in reporting.tables(document):
        console.print(table)
    return out.getvalue()


@pytest.mark.parametrize("changes", [{}, {"tpu": True, "recording": False}, {"fps": 800.0, "clips_max_bytes": 1}])
def test_the_configuration_is_edgecam_s(tmp_path: Path, changes: dict[str, Any]) -> None:
    setting = appliance.Setting(demo_clip(), models_folder() / "edgecam_demo.tflite", None, 1883, **changes)
    (tmp_path / "edgecam.toml").write_text(setting.text(tmp_path))
    config = load(tmp_path / "edgecam.toml", cameras_needed=True)
    assert config.clips.enabled is setting.recording
    assert config.detector.device == ("auto" if setting.tpu else "cpu")
    assert set(config.cameras) == {appliance.CAMERA}


def test_a_film_has_the_size_and_length_asked_for(tmp_path: Path) -> None:
    av = import_module("av")
    assert film.make(demo_clip(), tmp_path / "film.mp4", 3, (64, 48), 2) == 6
    with av.open(str(tmp_path / "film.mp4")) as made:
        frames = list(made.decode(video=0))
    assert [(frame.width, frame.height) for frame in frames] == [(64, 48)] * 6
    assert frames[3].time == pytest.approx(3 / film.FPS)


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no film can be made of it"):
        film.make(Path(__file__), tmp_path / "film.mp4", 3)


def test_a_wrong_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if mosquitto() is None:
        pytest.skip("no broker: apt-get install mosquitto")
    assert tool.main(["--assets", str(tmp_path), "--json"]) == 1
    said = capsys.readouterr()
    assert "no such model: give --model FILE" in said.err
    assert not said.out


@contextmanager
def hurried(module: Any, **constants: float) -> Iterator[None]:
    before = {name: getattr(module, name) for name in constants}
    for name, value in constants.items():
        setattr(module, name, value)
    yield
    for name, value in before.items():
        setattr(module, name, value)


@pytest.mark.skipif(not os.environ.get("EDGECAM_LABS"), reason="takes a minute: EDGECAM_LABS=1")
@pytest.mark.skipif(mosquitto() is None, reason="no broker: apt-get install mosquitto")
@pytest.mark.parametrize(
    "arguments", [["--rounds", "1", "--seconds", "3", "--only", "edge tpu, recording"], ["--frames", "2000"]]
)
def test_a_whole_run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--json", "--video", str(demo_clip()), "--model", str(models_folder() / "edgecam_demo.tflite")]
    with hurried(tool, WARM_UP=2.0, BARE=0.2, PICTURES=60):
        assert tool.main([*common, *arguments]) == 0
    document = json.loads(capsys.readouterr().out)
    if "--frames" in arguments:
        assert document["growth"]["counters"]["frames_captured"] >= 2000
        return
    one = document["settings"]["edge tpu, recording"]
    assert 0 < one["analysed"] <= 1.1
    assert {"edgecam capture-film", "detector (main)"} <= {row["thread"] for row in one["threads"]}
    assert one["memory"]["rss_bytes"] > 50_000_000
    assert threading.active_count() < 10
