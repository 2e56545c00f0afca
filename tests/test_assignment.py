"""The pairing: optimal, one to one, and never a pair without a gain."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecam import assignment

Gains = NDArray[np.float64]


def best_pairs(gains: Gains) -> list[tuple[int, int]]:
    """The pairs for a matrix [n, m] of gains."""
    return assignment.best_pairs({(row, column): float(gain) for (row, column), gain in np.ndenumerate(gains)})


@st.composite
def gain_matrices(draw: st.DrawFn, largest: int = 6) -> Gains:
    rows, columns = draw(st.integers(0, largest)), draw(st.integers(0, largest))
    gain = st.one_of(st.just(0.0), st.just(1.0), st.floats(-1, 2, width=16))
    cells = draw(st.lists(gain, min_size=rows * columns, max_size=rows * columns))
    return np.array(cells, dtype=np.float64).reshape(rows, columns)


def best_total_by_trying_all(gains: Gains) -> float:
    useful = np.maximum(gains if gains.shape[0] <= gains.shape[1] else gains.T, 0)
    rows, columns = useful.shape
    orders = np.array(list(permutations(range(columns), rows)), dtype=int)
    return float(useful[np.arange(rows), orders].sum(axis=1).max())


@given(gain_matrices())
def test_total_gain_is_the_greatest_there_is(gains: Gains) -> None:
    total = sum(gains[pair] for pair in best_pairs(gains))
    assert np.isclose(total, best_total_by_trying_all(gains))


@pytest.mark.parametrize("shape", [(6, 6), (5, 7), (7, 5)])
def test_no_better_pairing_is_found_by_trying_all(shape: tuple[int, int]) -> None:
    """Columns that everybody wants: pairs cannot be settled without taking several back."""
    for seed in range(100):
        random = np.random.default_rng(seed)
        gains = random.random(shape) * 0.3 + random.random(shape[1])
        total = sum(gains[pair] for pair in best_pairs(gains))
        assert np.isclose(total, best_total_by_trying_all(gains)), seed


@given(gain_matrices(largest=12))
def test_pairs_are_one_to_one_ordered_and_gainful(gains: Gains) -> None:
    pairs = best_pairs(gains)
    assert pairs == sorted(pairs)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(gains[pair] > 0 for pair in pairs)


@given(gain_matrices(largest=5), st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4))))
def test_a_pair_that_is_not_there_is_one_without_a_gain(gains: Gains, absent: set[tuple[int, int]]) -> None:
    there = {pair: float(gain) for pair, gain in np.ndenumerate(gains) if pair not in absent}
    zeroed = np.array([[there.get((r, c), 0.0) for c in range(gains.shape[1])] for r in range(gains.shape[0])])
    total = sum(there[pair] for pair in assignment.best_pairs(there))
    assert np.isclose(total, best_total_by_trying_all(zeroed.reshape(gains.shape)))


def test_of_equals_the_first_to_come_is_served() -> None:
    assert best_pairs(np.ones((1, 3))) == [(0, 0)]
    assert best_pairs(np.ones((3, 1))) == [(0, 0)]
    assert best_pairs(np.ones((3, 3))) == [(0, 0), (1, 1), (2, 2)]


def test_optimal_where_greedy_is_not() -> None:
    assert best_pairs(np.array([[0.9, 0.8], [0.8, 0.0]])) == [(0, 1), (1, 0)]


def test_a_crowd_of_fifty_is_solved() -> None:
    gains = np.random.default_rng(5).random((50, 50)) + 0.01
    gains[np.arange(50), np.arange(49, -1, -1)] += 2
    assert best_pairs(gains) == [(row, 49 - row) for row in range(50)]
