"""The best one-to-one pairing of rows with columns."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

Gains = Mapping[tuple[int, int], float]
Pairs = list[tuple[int, int]]


def best_pairs(gains: Gains) -> Pairs:
    """The one-to-one pairing of rows and columns with the greatest total gain, ordered by row.

    `gains` says what a pair (row, column) is worth; one that is not there, or not above zero, is never made. Optimal,
    not greedy: in a crowd, the greedy pairing gives the neighbour's box away.
    """
    most: dict[int, float] = {}
    favourites: dict[int, int] = {}
    for (row, column), gain in gains.items():
        if gain > most.get(row, 0.0):
            most[row], favourites[row] = gain, column
    if len(set(favourites.values())) < len(favourites):
        return _Contest(gains, most, favourites).settled()
    return sorted(favourites.items())  # every row has the best it could have: no pairing is better


class _Contest:
    """Pairs for rows of which several want the same column, by shortest augmenting paths.

    As in D. F. Crouse, "On implementing 2D rectangular assignment algorithms", IEEE Transactions on Aerospace and
    Electronic Systems 52(4), 2016, but only the offers are looked at, and every row has one more: to stay alone, at no
    gain. The prices of columns and the profits of rows prove the pairing: no row could gain more than its profit
    elsewhere, the price of the column deducted.
    """

    def __init__(self, gains: Gains, most: dict[int, float], favourites: dict[int, int]) -> None:
        """First, rows take the columns they like best; the first to come has it. That leaves few paths to search."""
        self._offers: dict[int, dict[int, float]] = {}
        for (row, column), gain in gains.items():
            if gain > 0:
                self._offers.setdefault(row, {})[column] = gain
        self._profits = most.copy()
        self._prices: dict[int, float] = {}
        self._row_of = {column: row for row, column in reversed(favourites.items())}
        self._column_of = {row: column for column, row in self._row_of.items()}

    def settled(self) -> Pairs:
        for row in self._offers:
            if row not in self._column_of:
                self._place(row)
        return sorted((row, column) for row, column in self._column_of.items() if column >= 0)

    def _place(self, start: int) -> None:
        """Find the row `start` a column, by the cheapest chain of rows each of which steps aside for the one before."""
        prices, row_of = self._prices, self._row_of
        reached: dict[int, float] = {}
        pending: dict[int, float] = {}
        previous: dict[int, int] = {}
        row, length = start, 0.0
        while True:
            beginning = length + self._profits[row]
            for column, gain in self._offers[row].items():
                cost = beginning - gain + prices.get(column, 0.0)
                if cost < pending.get(column, inf) and column not in reached:
                    pending[column], previous[column] = cost, row
            pending[~row], previous[~row] = beginning, row  # to stay alone: a column below zero that only this row has
            column = min(pending, key=pending.__getitem__)
            length = reached[column] = pending.pop(column)
            if column not in row_of:
                break
            row = row_of[column]
        self._reprice(start, reached, length)
        self._shift(start, column, previous)

    def _shift(self, start: int, column: int, previous: Mapping[int, int]) -> None:
        """Pair along the chain, from its end at the free `column` back to `start`."""
        while True:
            row = previous[column]
            left = self._column_of.get(row, column)
            self._row_of[column], self._column_of[row] = row, column
            if row == start:
                return
            column = left

    def _reprice(self, start: int, reached: Mapping[int, float], length: float) -> None:
        """Columns that had to be left grow dearer by what that spared, so that every row is content again."""
        self._profits[start] -= length
        for column, cost in reached.items():
            self._prices[column] = self._prices.get(column, 0.0) + length - cost
            if column in self._row_of:
                self._profits[self._row_of[column]] -= length - cost
