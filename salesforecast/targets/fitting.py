"""The plan nearest to the one given that keeps every wish: proportional fitting of groups of cells, then whole units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from salesforecast.errors import CannotSay
from salesforecast.targets.plan import CENT, MEASURES, checked_unit, to_money
from salesforecast.targets.rounding import apportioned, controlled
from salesforecast.targets.sums import Asked, asked
from salesforecast.targets.wishes import Given, read

SWEEPS = 6  # of plain proportional fitting, before Newton's steps
STEPS = 80
FARTHEST = 3.0  # one step changes no cell by more than this factor's logarithm
MANY = 20_000  # groups: a linear programme of more takes too long
DENSE = 2_000  # sums: with more of them Newton's equations are solved by conjugate gradients


def fit(plan: pd.DataFrame, wishes: Given = (), *, keep: Sequence[str] | None = (), unit: float = CENT) -> pd.DataFrame:
    """The plan nearest to the one given that keeps all wishes, exact to the unit at every sum.

    Nearest is least relative entropy, the sum of x log(x / b) - x + b over the cells: each cell is the one given times one factor
    per wish that it lies in, so what a wish does not touch keeps its proportions, and a cell at zero stays at zero. The order of
    the wishes and of the rows means nothing. Without other wishes, moves change just the cells they are about.

    Parameters
    ----------
    plan : DataFrame
        Columns that name the cells, and target; or baseline where it has no target yet.
    wishes : DataFrame or list of dicts
        As in `wishes`.
    keep : sequence of str or None
        The sums by these columns stay as they are, but those that a wish speaks of; none of them: the total stays; None: also
        the total follows from the wishes.
    unit : float
        The money to which cells are rounded: 0.01, 1, 100 ... Amounts must be whole units; what stays or moves is counted from the
        plan rounded to it.

    Returns
    -------
    DataFrame
        The plan's rows and columns, in their order, with baseline (the one it has, else what was given) and the new target.

    Raises
    ------
    CannotSay
        When the wishes cannot hold together; says which, with their amounts, as `feasible` does.

    Source
    ------
    Deming & Stephan (1940); Csiszár (1975); Darroch & Ratcliff (1972).

    Examples
    --------
    >>> plan = pd.DataFrame({"region": ["N", "N", "S"], "product_id": ["P", "Q", "P"], "target": [30.0, 10.0, 60.0]})
    >>> fit(plan, [{"kind": "pin", "amount": 50, "region": "N"}])
      region product_id  baseline  target
    0      N          P      30.0    37.5
    1      N          Q      10.0    12.5
    2      S          P      60.0    50.0
    """
    want = asked(plan, read(plan, wishes), checked_unit(unit), keep)
    whole = None if want.faults else solved(want)
    if whole is None:
        from salesforecast.targets.contradictions import contradictions, in_words

        raise CannotSay(in_words(contradictions(want)))
    target = np.empty(len(plan))
    target[want.order] = to_money(whole, unit)
    given = plan["baseline"] if "baseline" in plan else plan["target"]
    frame = plan.drop(columns=[m for m in MEASURES if m in plan]).assign(
        baseline=given.astype("float64"), target=target
    )
    return frame.assign(new=plan["new"]) if "new" in plan else frame


def solved(want: Asked) -> np.ndarray | None:
    """The cells in whole units, or None where the wishes cannot hold together."""
    fixed = np.zeros(len(want.start), dtype=bool)
    for cells in want.locks.values():
        fixed[cells] = True
    held = np.where(fixed, want.start, 0)
    rows = [s.cells for s in want.sums]
    lower = np.array([s.lower for s in want.sums]) - [held[r].sum() for r in rows]
    upper = np.array([s.upper for s in want.sums]) - [held[r].sum() for r in rows]
    if (upper < 0).any():
        return None
    free = ~fixed & (want.near > 0)
    atom, matrix = atoms(rows, free)
    weights = np.where(free, want.near, 0.0)
    groups = matrix.shape[1]
    q = np.bincount(atom[free], weights[free], minlength=groups)
    x = nearest(matrix, q, np.maximum(lower, 0), upper)
    if x is None:
        return None
    amounts = controlled(matrix, x, np.maximum(lower, 0), upper)
    if amounts is None:
        return None
    whole = held.astype("int64")
    whole[free] = apportioned(weights[free], atom[free], amounts)
    return whole


def atoms(rows: list[np.ndarray], free: np.ndarray) -> tuple[np.ndarray, Any]:
    """Free cells that lie in just the same sums, as one group: the group of each cell, and which groups each sum has.

    Cells outside all sums are a group as well. The groups are numbered by their first cells.
    """
    from scipy import sparse

    lengths = [len(r) for r in rows]
    cell = np.concatenate([np.zeros(0, dtype="int64"), *rows])
    row = np.repeat(np.arange(len(rows)), lengths)
    inside = free[cell]
    cell, row = cell[inside], row[inside]
    by_cell = np.argsort(cell, kind="stable")  # rows stay in order
    cell, row = cell[by_cell], row[by_cell]
    counts = np.bincount(cell, minlength=len(free))
    starts = np.cumsum(counts) - counts
    label = np.zeros(len(free), dtype="int64")
    for depth in range(int(counts.max(initial=0))):
        deep = counts > depth
        nth = np.full(len(free), -1)
        nth[deep] = row[starts[deep] + depth]
        _, label = np.unique(label * (len(rows) + 1) + nth + 1, return_inverse=True)
    numbers, first, label_free = np.unique(label[free], return_index=True, return_inverse=True)
    rank = np.empty(len(numbers), dtype="int64")
    rank[np.argsort(first, kind="stable")] = np.arange(len(numbers))
    atom = np.full(len(free), -1)
    atom[free] = rank[label_free]
    leader = np.zeros(len(free), dtype=bool)
    leader[np.flatnonzero(free)[first]] = True
    own = leader[cell]
    shape = (len(rows), len(numbers))
    return atom, sparse.csr_array((np.ones(own.sum()), (row[own], atom[cell[own]])), shape=shape)


def nearest(matrix: Any, q: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray | None:
    """The positive numbers nearest to `q` whose sums over the rows of the matrix lie within the bounds; None where there are none.

    The dual problem, one logarithm of a factor per row, is solved by a few sweeps of proportional fitting and then Newton's
    steps, on the rows that bind.
    """
    if matrix.shape[0] == 0 or matrix.shape[1] == 0:
        return q if (lower <= 0).all() else None
    empty = (upper <= 0) & (matrix.sum(axis=1) > 0)
    zero = np.asarray(matrix.T @ empty.astype("float64")) > 0
    if zero.any():  # a sum of nothing: its cells are zero
        rest = nearest(matrix[:, ~zero], q[~zero], lower, upper)
        if rest is None:
            return None
        x = np.zeros(len(q))
        x[~zero] = rest
        return x
    if ((matrix.sum(axis=1) <= 0) & (lower > 0)).any():
        return None
    some = np.flatnonzero((matrix.sum(axis=1) > 0) & ((lower > 0) | np.isfinite(upper)))
    found, _ = _dual(matrix[some].tocsr(), q, lower[some], upper[some])
    return found if found is not None or len(q) > MANY else _by_programme(matrix, q, lower, upper)


def pull(matrix: Any, q: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """How far each row pulls when the fit comes to no end: the rows that contradict each other pull without limit."""
    some = np.flatnonzero((np.asarray(matrix.sum(axis=1)) > 0) & ((lower > 0) | np.isfinite(upper)))
    pulls = np.full(matrix.shape[0], np.inf)  # a row without cells, or of nothing, is looked at in any case
    some = some[upper[some] > 0]
    pulls[some] = np.abs(_dual(matrix[some].tocsr(), q, lower[some], upper[some])[1])
    return pulls


def _dual(matrix: Any, q: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """The fitted numbers by the dual problem, None where it does not converge, and the logarithms of the factors."""
    equal, turned = lower == upper, matrix.T.tocsr()
    at_least = ~equal & (lower > 0)
    bound = np.where(equal | at_least, lower, upper)
    scale = max(float(bound.max(initial=0)), 1.0)
    base, b = q / scale, bound / scale
    start = np.zeros(len(b))
    lam, x = _swept(matrix, turned, base, b, equal, at_least, start)
    enough = np.maximum(0.01, 1e-12 * bound) / scale
    sign = np.where(equal, 0, np.where(at_least, 1, -1))  # that a factor's logarithm may have
    for step in range(STEPS + int((~equal).sum())):
        sums = matrix @ x
        gap = b - sums
        binding = equal | (lam != 0) | (sign * gap > 0)
        done = np.abs(gap) <= enough * (1e-3 if step < STEPS / 2 else 1)
        if (done | ~binding).all():
            return np.asarray(x * scale), lam
        move = np.zeros(len(b))
        while True:  # a bound that does not bind yet and would be left again at once is none
            move[:] = 0
            move[binding] = _newton(matrix[binding], x, gap[binding], sums[binding])
            wrong = binding & (lam == 0) & (sign * move < 0)
            if not wrong.any():
                break
            binding &= ~wrong
        length = min(1.0, FARTHEST / max(np.abs(turned @ move).max(), 1e-300))
        leaving = (lam * move < 0) & ~equal
        ends = np.where(leaving, -lam / np.where(leaving, move, 1), np.inf)
        length = min(length, float(ends.min(initial=np.inf)))  # the first bound that ceases to bind ends the step
        value, slope = lam @ b - x.sum(), float(gap @ move)
        for _ in range(40):
            trial = np.where(ends <= length, 0.0, lam + length * move)
            new = base * np.exp(np.clip(turned @ trial, -700, 700))
            if trial @ b - new.sum() >= value + 1e-4 * length * slope - 1e-15:
                break
            length /= 2
        lam, x = trial, new
    gap = b - matrix @ x
    wrong = np.where(equal, np.abs(gap), np.where(at_least, gap, -gap))
    return (np.asarray(x * scale) if (wrong <= enough).all() else None), lam


def _swept(matrix: Any, turned: Any, base: np.ndarray, b: np.ndarray, equal: np.ndarray, at_least: np.ndarray,
           lam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """A few sweeps of proportional fitting, one sum after the other."""
    x = base.copy()
    parts = [matrix.indices[a:z] for a, z in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)]
    for _ in range(SWEEPS):
        for j, part in enumerate(parts):
            new = lam[j] + np.clip(np.log(b[j] / max(x[part].sum(), 1e-300)), -100, 100)
            if not equal[j]:
                new = max(new, 0.0) if at_least[j] else min(new, 0.0)
            x[part] *= np.exp(new - lam[j])
            lam[j] = new
    return lam, base * np.exp(np.clip(turned @ lam, -700, 700))


def _newton(matrix: Any, x: np.ndarray, gap: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Newton's step on the dual; where sums overlap fully (regions and their total), one of the many that do the same."""
    from scipy import linalg, sparse

    size = 1 / np.sqrt(np.maximum(sums, 1e-300))
    scaled = sparse.diags_array(size) @ matrix @ sparse.diags_array(np.sqrt(x))
    if len(gap) <= DENSE:
        square = (scaled @ scaled.T).toarray()
        square[np.diag_indices_from(square)] += 1e-11
        return np.asarray(size * linalg.solve(square, size * gap, assume_a="pos", check_finite=False))
    back = scaled.T.tocsr()
    square = sparse.linalg.LinearOperator((len(gap), len(gap)), matvec=lambda v: scaled @ (back @ v) + 1e-11 * v)
    return np.asarray(size * sparse.linalg.cg(square, size * gap, rtol=1e-8, maxiter=500)[0])


def _by_programme(matrix: Any, q: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray | None:
    """Where the fit comes to no end: which cells the sums force to zero, by a linear programme, and the fit of the others."""
    from scipy import sparse
    from scipy.optimize import Bounds, LinearConstraint, milp

    n, m = matrix.shape[1], matrix.shape[0]
    finite = np.isfinite(upper)
    top = max(float(np.max(np.where(finite, upper, lower), initial=1.0)), 1.0)
    lo, hi = sparse.csr_array(lower[:, None] / top), sparse.csr_array(np.where(finite, upper, 0)[:, None] / top)
    nothing, one = sparse.csr_array((m, n)), sparse.identity(n, format="csr")
    alone = sparse.csr_array((n, 1))
    rows = sparse.vstack([  # x, t, s: the sums are within s times the bounds, and t is at most x
        sparse.hstack([matrix, nothing, -lo]), sparse.hstack([matrix, nothing, -hi])[finite], sparse.hstack([one, -one, alone]),
    ], format="csr")  # fmt: skip
    below = np.concatenate([np.zeros(m), np.full(finite.sum(), -np.inf), np.zeros(n)])
    above = np.concatenate([np.full(m, np.inf), np.zeros(finite.sum()), np.full(n, np.inf)])
    limits = Bounds(
        np.concatenate([np.zeros(2 * n), [1.0]]), np.concatenate([np.full(n, np.inf), np.ones(n), [np.inf]])
    )
    cost = np.concatenate([np.zeros(n), -np.ones(n), [0.0]])
    done = milp(cost, bounds=limits, constraints=LinearConstraint(rows, below, above), options={"time_limit": 10.0})
    if done.x is None:
        return None
    some = done.x[n : 2 * n] > 0.5
    if some.all():
        return None
    inside = matrix[:, some].tocsr()
    filled = np.asarray(inside.sum(axis=1)) > 0
    if (~filled & (lower > 0)).any():
        return None
    found, _ = _dual(
        inside[filled & ((lower > 0) | finite)], q[some], *(v[filled & ((lower > 0) | finite)] for v in (lower, upper))
    )
    if found is None:
        return None
    x = np.zeros(n)
    x[some] = found
    return x
