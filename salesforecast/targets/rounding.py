"""Whole units that keep every sum: largest remainders within a group, whole-number programming where sums overlap."""

from __future__ import annotations

from typing import Any

import numpy as np

CLOSE = 1e-6  # of a unit: nearer to a whole number than this is that number
FEWEST = 2_000  # groups that may be rounded either way when sums overlap, at first
BEST = 100  # of so many the best are looked for
SECONDS = 60.0


def snapped(values: np.ndarray) -> np.ndarray:
    """The values, those that are whole numbers but for the arithmetic as these."""
    near = np.rint(values)
    return np.where(np.abs(values - near) <= np.maximum(CLOSE, 4e-15 * np.abs(values)), near, values)


def apportioned(weights: np.ndarray, group: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Whole numbers that add up to the total of each group, in proportion to the weights, by largest remainder.

    Of equal remainders the first goes up. A group without weights is shared evenly.

    Source
    ------
    Balinski & Young (1982), Fair Representation: the method of Hamilton.

    Examples
    --------
    >>> apportioned(np.array([1.0, 1, 1, 2, 2]), np.array([0, 0, 0, 1, 1]), np.array([100, 7]))
    array([34, 33, 33,  4,  3])
    """
    sums = np.bincount(group, weights, minlength=len(totals))
    members = np.bincount(group, minlength=len(totals))
    idle = sums[group] <= 0
    share = np.where(idle, 1 / members[group], weights / np.where(idle, 1, sums[group]))
    exact = snapped(share * totals[group])
    whole = np.floor(exact).astype("int64")
    short = totals - np.bincount(group, whole, minlength=len(totals)).astype("int64")
    step = np.where(idle | (weights > 0), 1, 0)  # what has no share gets no unit
    return np.asarray(whole + step * largest(exact - whole, group, short))


def largest(part: np.ndarray, group: np.ndarray, many: np.ndarray) -> np.ndarray:
    """Which parts are the largest `many` of their group, as flags; of equal ones the first."""
    order = np.lexsort((np.arange(len(part)), -np.round(part, 9), group))
    members = np.bincount(group, minlength=len(many))
    starts = np.concatenate([[0], np.cumsum(members)[:-1]])
    place = np.empty(len(part), dtype="int64")
    place[order] = np.arange(len(part)) - starts[group[order]]
    return np.asarray(place < many[group])


def controlled(matrix: Any, values: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray | None:
    """Whole numbers near the values, whose sums over the rows of the matrix lie within the bounds; None where there are none.

    Each value goes up or down to a whole number, and against the nearer one only those closest to a half; of few groups such that
    the squared changes are least. Only where that cannot be, some go further.

    Parameters
    ----------
    matrix : sparse array
        Rows are sums, columns the values; zeros and ones.
    values : array
        Not negative.
    lower, upper : array
        Whole numbers, of the sums.

    Source
    ------
    Cox (1987), controlled rounding: for trees and two-way tables the linear programme has whole solutions.
    """
    values = snapped(values)
    floor = np.floor(values)
    part = values - floor
    whole = np.where(part >= 0.5, floor + 1, floor)
    sums = matrix @ whole
    if ((sums >= lower) & (sums <= upper)).all():
        return np.asarray(whole.astype("int64"))
    loose = np.flatnonzero(part > 0)
    loose = loose[np.argsort(np.abs(part[loose] - 0.5), kind="stable")]
    tried = 0
    for most in (FEWEST, 3 * FEWEST, 10 * FEWEST, len(loose)):
        count = min(most, len(loose))
        if count > tried:
            tried = count
            some = np.sort(loose[:count])
            base = whole.copy()
            base[some] = floor[some]
            up = _chosen(matrix, base, some, 1 - 2 * part[some], np.zeros(count), np.ones(count), lower, upper)
            if up is not None:
                base[some] += up
                return np.asarray(base.astype("int64"))
    return _further(matrix, values, lower, upper)


def _further(matrix: Any, values: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray | None:
    """Whole numbers with the least sum of absolute changes, however far they must go."""
    from scipy import sparse

    n = len(values)
    base, everything = np.floor(values), np.arange(2 * n)
    both = sparse.hstack([matrix, -matrix], format="csr")  # up, and down
    cost = np.concatenate([1 - 1.9 * (values - base), 1 + 1.9 * (values - base)])
    at = np.concatenate([base, np.zeros(n)])
    moved = _chosen(
        both, at, everything, cost, np.zeros(2 * n), np.concatenate([np.full(n, np.inf), base]), lower, upper
    )
    return None if moved is None else (base + moved[:n] - moved[n:]).astype("int64")


def _chosen(matrix: Any, base: np.ndarray, some: np.ndarray, cost: np.ndarray, least: np.ndarray, most: np.ndarray,
            lower: np.ndarray, upper: np.ndarray) -> np.ndarray | None:  # fmt: skip
    """The cheapest whole steps of `some` columns that bring the sums within the bounds."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    sums = matrix @ base
    held = LinearConstraint(matrix[:, some], lower - sums, upper - sums)
    # of few the best, of many the first that fits: which cent goes where matters less than a minute
    options = {"time_limit": SECONDS, "mip_rel_gap": 0.0 if len(some) <= BEST else 1e9}
    done = milp(cost, integrality=np.ones(len(some)), bounds=Bounds(least, most), constraints=held, options=options)
    if done.x is None:
        return None
    steps = np.rint(done.x)
    sums = sums + matrix[:, some] @ steps
    return steps if ((sums >= lower) & (sums <= upper)).all() else None
