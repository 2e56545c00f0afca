"""The retained topics: only the newest counts, and all is said again when it must be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgecam.mqtt.retained import RetainedTopics


def test_what_was_overtaken_is_never_sent() -> None:
    retained = RetainedTopics()
    for payload in (b"1", b"2", b"3"):
        retained.put("a", payload)
    retained.put("b", b"x")
    assert retained.take() == [("a", b"3"), ("b", b"x")]
    assert retained.take() == []


def test_what_is_said_already_is_not_said_again_unless_asked_for() -> None:
    retained = RetainedTopics()
    changes: list[int] = []
    retained.on_change = lambda: changes.append(1)
    retained.put("a", b"1")
    retained.take()
    retained.put("a", b"1")
    assert (retained.take(), len(changes)) == ([], 1)
    retained.put("a", b"1", again=True)
    assert (retained.take(), len(changes)) == ([("a", b"1")], 2)


def test_a_broker_that_has_forgotten_is_told_everything() -> None:
    retained = RetainedTopics()
    retained.put("a", b"1")
    retained.put("b", b"2")
    retained.take()
    retained.put("a", b"3")
    retained.send_all_again()
    assert retained.take() == [("a", b"3"), ("b", b"2")]
    assert retained.topics() == ["a", "b"]


@given(st.lists(st.one_of(st.tuples(st.sampled_from("abc"), st.binary(max_size=1)), st.none(), st.just("again"))))
def test_whoever_takes_always_ends_with_the_newest(steps: list[tuple[str, bytes] | str | None]) -> None:
    retained = RetainedTopics()
    said: dict[str, bytes] = {}
    heard: dict[str, bytes] = {}
    for step in steps:
        if step is None:
            heard.update(retained.take())
        elif isinstance(step, str):
            retained.send_all_again()
        else:
            retained.put(*step)
            said[step[0]] = step[1]
    heard.update(retained.take())
    assert heard == said
