"""How many CPU threads a model gets, and how quick it must be to get one."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecam.detectors import pace
from edgecam.detectors.pace import QUICK, fitting_threads, is_quick, with_fitting_threads
from edgecam.modelfile import ModelFile, PostProcess

pytestmark = pytest.mark.any_runtime

DEMO = ModelFile.load(Path(__file__).resolve().parent.parent / "models" / "edgecam_demo.tflite")
REGULAR = replace(DEMO, postprocess=PostProcess((), classes=8, max_detections=10, regular_nms=True))
"""A model that gives right results on one thread only, or on eight and more."""


def chosen(file: ModelFile, asked: int, *, cores: int = 3, quick: bool = True) -> tuple[int, list[int], list[int]]:
    """The threads of what is gone on with, of all that was started, and of what was measured."""
    started: list[int] = []
    measured: list[int] = []

    def start(threads: int) -> int:
        started.append(threads)
        return threads

    def look(threads: int) -> bool:
        measured.append(threads)
        return quick

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pace, "automatic_threads", lambda: cores)
        return with_fitting_threads(file, asked, start, look), started, measured


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("asked", [1, 2, 5])
def test_what_was_asked_is_what_it_gets(asked: int, *, quick: bool) -> None:
    assert chosen(DEMO, asked, quick=quick) == (asked, [asked], [])


def test_nothing_is_measured_where_only_one_fits_the_model_or_the_machine() -> None:
    assert chosen(REGULAR, 0, quick=False) == (1, [1], [])
    assert chosen(REGULAR, 2, quick=False) == (1, [1], [])
    assert chosen(DEMO, 0, cores=1, quick=False) == (1, [1], [])


def test_a_quick_model_goes_on_with_the_one_thread_it_was_measured_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edgecam")
    assert chosen(DEMO, 0, quick=True) == (1, [1], [1])
    assert caplog.messages == [f"{DEMO.path}: one CPU thread: an invoke takes less than 8 ms"]


def test_a_slow_model_is_started_anew_with_all_that_fit(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edgecam")
    assert chosen(DEMO, 0, quick=False) == (3, [1, 3], [1])
    assert caplog.messages == [f"{DEMO.path}: 3 CPU threads"]


@given(file=st.sampled_from([DEMO, REGULAR]), asked=st.integers(0, 12), cores=st.integers(1, 4), quick=st.booleans())
def test_it_is_measured_once_on_one_thread_or_not_at_all(
    file: ModelFile, asked: int, cores: int, *, quick: bool
) -> None:
    threads, started, measured = chosen(file, asked, cores=cores, quick=quick)
    most = fitting_threads(file, asked or cores)
    left_to_choose = asked == 0 and most > 1
    assert threads == started[-1] == (1 if left_to_choose and quick else most)
    assert measured == ([1] if left_to_choose else [])
    assert len(started) == 1 + (left_to_choose and not quick)


@pytest.mark.parametrize(
    ("seconds", "quick", "invokes"),
    [
        pytest.param([9, 0.5], True, 2, id="quick"),
        pytest.param([9, 1.5, 1.5, 0.5], True, 4, id="held-up"),
        pytest.param([9, 3], False, 2, id="slow"),
        pytest.param([0.5, 1.5, 1.5, 1.5], False, 4, id="not-quite"),
    ],
)
def test_the_best_of_a_few_invokes_decides(seconds: list[float], *, quick: bool, invokes: int) -> None:
    coming = iter(seconds)
    assert is_quick(lambda: next(coming) * QUICK) is quick
    assert len(seconds) - len(list(coming)) == invokes
