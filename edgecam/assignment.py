"""The best one-to-one pairing of rows with columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pairs = list[tuple[int, int]]


def best_pairs(gains: Floats) -> Pairs:
    """The pairing of rows and columns of `gains` [n, m] with the greatest total gain, ordered by row.

    A pair without a gain (zero or less) is never made. Optimal, not greedy: in a crowd, the greedy pairing gives the
    neighbour's box away.
    """
    possible = gains > 0
    rows, columns = np.flatnonzero(possible.any(axis=1)), np.flatnonzero(possible.any(axis=0))
    useful = np.maximum(gains[np.ix_(rows, columns)], 0)
    chosen = _cheapest(-useful) if rows.size <= columns.size else [(r, c) for c, r in _cheapest(-useful.T)]
    return sorted((int(rows[r]), int(columns[c])) for r, c in chosen if useful[r, c] > 0)


def _cheapest(costs: Floats) -> Pairs:
    """The cheapest assignment of a column to every row of `costs` [n, m], n <= m; O(n^2 m).

    Shortest augmenting paths as in D. F. Crouse, "On implementing 2D rectangular assignment algorithms", IEEE
    Transactions on Aerospace and Electronic Systems 52(4), 2016. First every row takes its own cheapest column
    where that is free, which in practice leaves few paths to search.
    """
    rows, columns = costs.shape
    row_of, column_of = [-1] * columns, [-1] * rows
    for row, column in enumerate(costs.argmin(axis=1).tolist() if rows else ()):
        if row_of[column] < 0:
            row_of[column], column_of[row] = row, column
    row_price, column_price = costs.min(axis=1, initial=0), np.zeros(columns)
    for start in range(rows):
        if column_of[start] < 0:
            _augment(start, costs, (row_price, column_price), (row_of, column_of))
    return list(enumerate(column_of))


def _augment(start: int, costs: Floats, prices: tuple[Floats, Floats], matched: tuple[list[int], list[int]]) -> None:
    """Assign a column to the row `start` along the cheapest chain of swaps; updates prices and matching in place."""
    row_price, column_price = prices
    row_of, column_of = matched
    columns = costs.shape[1]
    shortest, previous = np.full(columns, np.inf), np.full(columns, start)
    scanned = np.zeros(columns, bool)
    visited: list[int] = []
    row, column, length = start, -1, 0.0
    while row >= 0:
        visited.append(row)
        reduced = length + costs[row] - row_price[row] - column_price
        shorter = ~scanned & (reduced < shortest)
        shortest[shorter], previous[shorter] = reduced[shorter], row
        column = int(np.where(scanned, np.inf, shortest).argmin())
        length = float(shortest[column])
        scanned[column] = True
        row = row_of[column]
    row_price[start] += length
    for row in visited[1:]:
        row_price[row] += length - shortest[column_of[row]]
    column_price[scanned] -= length - shortest[scanned]
    while row != start:
        row = int(previous[column])
        row_of[column], column_of[row], column = row, column, column_of[row]
