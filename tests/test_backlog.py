"""The hand-over to a sink's thread: in order, bounded, and everything is settled once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sink_stories import annotated, event

from edgecam import backlog as backlog_module
from edgecam.backlog import Backlog, Receipt, Tally
from edgecam.errors import RingClosed
from edgecam.types import AnnotatedFrame, EventType

UPDATE = EventType.UPDATE


class Ledger:
    """Receipts by name, and what was told of each."""

    def __init__(self) -> None:
        self.told: dict[str, list[bool]] = {}

    def receipt(self, name: str, sinks: int = 1) -> Receipt:
        self.told[name] = []
        return Receipt(sinks, self.told[name].append)


def names(backlog: Backlog) -> list[str]:
    """Takes everything, as a sink that takes all."""
    taken = []
    while (item := backlog.take(0.0)) is not None:
        part = item.part
        is_frame = isinstance(part, AnnotatedFrame)
        taken.append(f"frame {part.frame.sequence}" if is_frame else f"event {part.sequence}")  # type: ignore[union-attr]
        backlog.finished(True)
    return taken


def test_frames_and_events_keep_their_order() -> None:
    ledger, backlog = Ledger(), Backlog()
    backlog.put_frame(annotated(0), ledger.receipt("f0"), 0.0)
    backlog.put_events([(event(UPDATE, 0), ledger.receipt("e0"))])
    backlog.put_frame(annotated(1), ledger.receipt("f1"), 0.0)
    assert names(backlog) == ["frame 0", "event 0", "frame 1"]
    assert ledger.told == {"f0": [True], "e0": [True], "f1": [True]}


def test_frames_are_bounded_and_events_are_kept_beside_them() -> None:
    ledger, backlog = Ledger(), Backlog(frames=2)
    came_in = [backlog.put_frame(annotated(number), ledger.receipt(f"f{number}"), 0.0) for number in range(4)]
    backlog.put_events([(event(UPDATE, 3), ledger.receipt("e3"))])
    assert came_in == [True, True, False, False]
    assert ledger.told["f3"] == [], "whoever brought it still has to settle it"
    assert names(backlog) == ["frame 0", "frame 1", "event 3"]


def test_a_frame_in_hand_makes_room_for_another() -> None:
    ledger, backlog = Ledger(), Backlog(frames=1)
    assert backlog.put_frame(annotated(0), ledger.receipt("f0"), 0.0)
    backlog.take(0.0)
    assert backlog.put_frame(annotated(1), ledger.receipt("f1"), 0.0)
    assert not backlog.put_frame(annotated(2), ledger.receipt("f2"), 0.0)


def test_events_beyond_the_bound_go_oldest_first_and_no_frame_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog_module, "EVENTS_KEPT", 3)
    ledger, backlog = Ledger(), Backlog(frames=2)
    backlog.put_frame(annotated(0), ledger.receipt("f0"), 0.0)
    for number in range(5):
        backlog.put_events([(event(UPDATE, number), ledger.receipt(f"e{number}"))])
    assert backlog.events_lost == 2
    assert ledger.told["e0"] == ledger.told["e1"] == [False]
    assert names(backlog) == ["frame 0", "event 2", "event 3", "event 4"]


def test_it_is_drained_after_it_was_closed() -> None:
    ledger, backlog = Ledger(), Backlog()
    backlog.put_frame(annotated(0), ledger.receipt("f0"), 0.0)
    backlog.close()
    backlog.close()
    assert backlog.take(0.0) is not None
    backlog.finished(True)
    with pytest.raises(RingClosed):
        backlog.take(0.0)


def test_what_the_sink_leaves_behind_was_not_taken() -> None:
    ledger, backlog = Ledger(), Backlog()
    backlog.put_events([(event(UPDATE, 0), ledger.receipt("in hand"))])
    backlog.put_events([(event(UPDATE, 1), ledger.receipt("waiting"))])
    backlog.put_frame(annotated(1), ledger.receipt("frame"), 0.0)
    backlog.take(0.0)
    assert backlog.leave() == [event(UPDATE, 0), event(UPDATE, 1)]
    backlog.put_events([(event(UPDATE, 2), ledger.receipt("late"))])
    assert not backlog.put_frame(annotated(3), ledger.receipt("late frame"), 0.0)
    backlog.finished(True)
    assert ledger.told.pop("late frame") == []
    assert set(map(tuple, ledger.told.values())) == {(False,)}
    assert backlog.events_lost == 1


def test_it_is_waited_for_only_while_it_keeps_up() -> None:
    ledger, backlog = Ledger(), Backlog()
    assert backlog.wait_idle(0.0)
    backlog.put_events([(event(UPDATE, 0), ledger.receipt("e0"))])
    assert not backlog.wait_idle(0.001)
    assert not backlog.wait_idle(3600.0), "this returns at once"
    names(backlog)
    assert backlog.wait_idle(3600.0)


def test_a_receipt_tells_once_all_have_settled() -> None:
    ledger = Ledger()
    receipt = ledger.receipt("both", 2)
    receipt.settle(False)
    assert ledger.told["both"] == []
    receipt.settle(True)
    assert ledger.told["both"] == [False]
    ledger.receipt("nobody", 0)
    assert ledger.told["nobody"] == [True]


def test_a_tally_counts_both_ways() -> None:
    tally = Tally()
    for taken in (True, False, True):
        tally.add(taken)
    assert (tally.taken, tally.refused) == (2, 1)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["frame", "event", "take", "finish"]), max_size=60), st.integers(1, 3))
def test_everything_is_settled_exactly_once_whatever_happens(steps: list[str], bound: int) -> None:
    ledger, backlog, tally = Ledger(), Backlog(frames=bound), Tally()
    frame, message, brought = annotated(0), event(UPDATE, 0), 0
    for number, step in enumerate(steps):
        if step == "frame":
            brought += 1
            receipt = Receipt(1, tally.add)
            if not backlog.put_frame(frame, receipt, 0.0):
                receipt.settle(False)
        elif step == "event":
            backlog.put_events([(message, ledger.receipt(f"e{number}"))])
        elif step == "take":
            backlog.finished(True)
            backlog.take(0.0)
        else:
            backlog.finished(True)
    backlog.leave()
    assert tally.taken + tally.refused == brought
    assert all(len(told) == 1 for told in ledger.told.values())
