"""What cannot hold together, told before anything is applied: the smallest sets of wishes that contradict each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from salesforecast.errors import CannotSay
from salesforecast.formats import plural
from salesforecast.targets.fitting import atoms, nearest, pull, solved
from salesforecast.targets.plan import CENT, checked_unit
from salesforecast.targets.rounding import controlled
from salesforecast.targets.sums import Asked, Sum, asked
from salesforecast.targets.wishes import Given, amount_in_words, place, read
from salesforecast.text import clean, enumerated, md

SECONDS = 30.0  # of a linear programme
MOST = 10  # contradictions that are looked for
ENOUGH = 0.01  # of a unit: a smaller gap is arithmetic
FAR = 1e-2  # of the farthest pull
FEW = 40  # wishes: of more, those that only whole units set at odds are not told apart


def feasible(plan: pd.DataFrame, wishes: Given, *, keep: Sequence[str] | None = (), unit: float = CENT) -> pd.DataFrame:
    """The wishes that cannot hold together: none, or the smallest sets, with what is wrong; nothing is applied.

    Of each set any one wish can be given up and the others hold together. Where one set is found it is left out and the rest
    looked at again, so that a wish is named in one set only.

    Parameters
    ----------
    plan, wishes, keep, unit
        As in `fit`.

    Returns
    -------
    DataFrame
        contradiction (number), wish (in words; also what is kept), kind, short (money by which they miss each other; missing where
        that has no meaning), why (a sentence, the same for each wish of a set). Empty where all can hold.

    Source
    ------
    Chinneck & Dravnieks (1991), irreducible infeasible sets by elastic and deletion filters; Farkas (1902).

    Examples
    --------
    >>> plan = pd.DataFrame({"region": ["E", "E", "W"], "product_id": ["P", "Q", "P"], "target": [3.0, 1.0, 6.0]})
    >>> told = feasible(plan, [{"kind": "pin", "amount": 5, "region": "E"},
    ...                        {"kind": "at_least", "amount": 5, "region": "E", "product_id": "P"},
    ...                        {"kind": "pin", "amount": 2, "product_id": "Q"}])
    >>> print(told["why"].iloc[0])
    'region E, product P carries at least 5' and 'product Q carries 2' ask for 7 within 'region E carries 5': 2 too much.
    """
    return contradictions(asked(plan, read(plan, wishes), checked_unit(unit), keep))


def finding_feasible(feasible: pd.DataFrame) -> str:
    """One sentence: that all wishes can hold together, or which cannot.

    Parameters
    ----------
    feasible : DataFrame
        From `feasible`.
    """
    if feasible.empty:
        return "All wishes can hold together."
    sets = feasible["contradiction"].nunique()
    more = f" {plural(sets - 1, 'other contradiction')} below." if sets > 1 else ""
    return f"**Not all wishes can hold together**: {md(feasible['why'].iloc[0])}{more}"


def in_words(found: pd.DataFrame) -> str:
    """All contradictions as a message."""
    whys = found["why"].unique()
    return "These wishes cannot hold together, so nothing was changed:\n  - " + "\n  - ".join(whys)


def contradictions(want: Asked) -> pd.DataFrame:
    """The contradictions in what is asked."""
    rows: list[tuple[int, int, float, str]] = []
    if not want.faults and solved(want) is not None:
        return _framed(want, rows)
    for item, why in want.faults.items():
        rows.append((len(rows) + 1, item, np.nan, why))
    number = len(rows)
    left = [i for i in range(len(want.items)) if i not in want.faults and want.kinds[i] != "start"]
    while number - len(want.faults) < MOST:
        found = _smallest(want, left)
        if not found:
            break
        number += 1
        short, why = _why(want, found)
        rows += [(number, item, short, why) for item in found]
        left = [i for i in left if i not in found]
    if not rows:
        rows += [(1, item, np.nan, why) for item, why in _whole(want, left)]
    return _framed(want, rows)


def _framed(want: Asked, rows: list[tuple[int, int, float, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["contradiction", "item", "short", "why"])
    frame["wish"] = frame["item"].map(dict(enumerate(want.items))).astype("str")
    frame["kind"] = frame["item"].map(dict(enumerate(want.kinds))).astype("str")
    return frame.astype({"short": "float64", "why": "str"})[["contradiction", "wish", "kind", "short", "why"]]


# ---- the smallest set --------------------------------------------------------------------------------------------------


def _part(want: Asked, items: Sequence[int], zeros: bool = True) -> tuple[list[Sum], np.ndarray, np.ndarray]:
    """The sums that these items ask, which cells are free, and what the others hold."""
    fixed = np.zeros(len(want.start), dtype=bool)
    for item in items:
        if item in want.locks:
            fixed[want.locks[item]] = True
    free = ~fixed & (want.near > 0) if zeros else ~fixed
    chosen = set(items)
    return [s for s in want.sums if s.item in chosen], free, np.where(fixed, want.start, 0)


def _gap(want: Asked, items: Sequence[int], zeros: bool = True) -> tuple[float, np.ndarray]:
    """By how many units the sums miss what is asked at the least, and the weight of each sum in the proof (Farkas)."""
    from scipy import sparse
    from scipy.optimize import linprog

    sums, _, _, _, matrix, lower, upper = _system(want, items, zeros)
    if not sums:
        return 0.0, np.zeros(0)
    m, n = matrix.shape
    one = sparse.identity(m, format="csr")
    above = np.isfinite(upper)
    nothing = sparse.csr_array((m, m))
    rows = sparse.vstack(
        [sparse.hstack([-matrix, -one, nothing]), sparse.hstack([matrix, nothing, -one])[above]], format="csr"
    )
    cost = np.concatenate([np.zeros(n), np.ones(2 * m)])
    done = linprog(
        cost, A_ub=rows, b_ub=np.concatenate([-lower, upper[above]]), method="highs", options={"time_limit": SECONDS}
    )
    if done.x is None:
        raise CannotSay(
            f"Whether the {len(items):,} wishes can hold together was not found out in {SECONDS:g} s. Ask for fewer at a time."
        )
    duals = -np.asarray(done.ineqlin.marginals)
    weight = duals[:m].copy()
    weight[above] -= duals[m:]
    return float(done.fun), weight


def _short(want: Asked, items: Sequence[int], zeros: bool = True) -> bool:
    sums = [s for s in want.sums if s.item in set(items)]
    top = max((s.lower for s in sums), default=0.0)
    return _gap(want, items, zeros)[0] > max(ENOUGH, 1e-12 * top)


def _holds(want: Asked, items: list[int]) -> bool:
    """Whether the fit of these items comes to an end, which proves that they hold together."""
    _, _, free, atom, matrix, lower, upper = _system(want, items)
    weights = np.bincount(atom[free], want.near[free], minlength=matrix.shape[1])
    return bool((upper >= 0).all()) and nearest(matrix, weights, np.maximum(lower, 0), upper) is not None


def _system(want: Asked, items: Sequence[int], zeros: bool = True) -> tuple[Any, ...]:
    """The sums of these items, what the others hold, the free cells and their groups, and the bounds left to them."""
    sums, free, held = _part(want, items, zeros)
    atom, matrix = atoms([s.cells for s in sums], free)
    lower, upper = (
        np.array([getattr(s, side) - held[s.cells].sum() for s in sums], dtype="float64") for side in ("lower", "upper")
    )
    return sums, held, free, atom, matrix, lower, upper


def _suspects(want: Asked, items: list[int]) -> list[int]:
    """Of many items those that pull without limit when all are fitted: a linear programme of few sums is quick and sure."""
    sums, _, free, atom, matrix, lower, upper = _system(want, items)
    if len(sums) <= FEW:
        return []
    weights = np.bincount(atom[free], want.near[free], minlength=matrix.shape[1])
    pulls = pull(matrix, weights, np.maximum(lower, 0), upper)
    limited = pulls[np.isfinite(pulls)].max(initial=0)
    some = {s.item for s, p in zip(sums, pulls, strict=True) if p > limited * FAR}
    return [i for i in items if i in some or i in want.locks]


def _smallest(want: Asked, items: list[int]) -> list[int]:
    """A set of items that cannot hold together, of which every smaller one can; empty where all can."""
    if _holds(want, items):
        return []
    found = _suspects(want, items)
    if not found or not _short(want, found):
        found = items
        if not _short(want, found):
            return []
    _, weight = _gap(want, found)
    sums = [s for s in want.sums if s.item in set(found)]
    proof = {s.item for s, w in zip(sums, weight, strict=True) if abs(w) > 1e-9}
    proven = [i for i in found if i in proof or i in want.locks]
    found = proven if _short(want, proven) else list(found)
    # what is kept unasked is given up last, so that a wish is named rather than it
    for item in sorted(found, key=lambda i: (i in want.locks, -i), reverse=True):
        fewer = [i for i in found if i != item]
        if _short(want, fewer):
            found = fewer
    return found


# ---- in words ----------------------------------------------------------------------------------------------------------


def _why(want: Asked, items: list[int]) -> tuple[float, str]:
    gap, weight = _gap(want, items)
    sums, _, held = _part(want, items)
    size = np.abs(weight[np.abs(weight) > 1e-6])
    weight = np.round(weight / size.min(), 6) if len(size) else weight
    asking = [(s, w) for s, w in zip(sums, weight, strict=True) if w > 1e-6]
    leaving = [(s, -w) for s, w in zip(sums, weight, strict=True) if w < -1e-6]
    much = sum(w * (s.lower - held[s.cells].sum()) for s, w in asking) * want.unit
    room = sum(w * (s.upper - held[s.cells].sum()) for s, w in leaving) * want.unit
    short = round(gap * want.unit, 2)
    locked = any(i in want.locks for i in items)
    beside = " beside the locked cells" if locked else ""
    stuck = _stuck(want, items, asking, leaving) if not locked or _short(want, items) else ""
    if asking and leaving:
        verb = "asks" if len(asking) == 1 else "ask"
        why = (
            f"{_list(asking)} {verb} for {amount_in_words(much)}{beside} within {_list(leaving)}"
            f"{_left(leaving, room, locked)}: {amount_in_words(short)} too much"
        )
        why += f", since {stuck}." if stuck else "."
    elif asking:
        why = (
            f"{_list(asking)} cannot be: "
            + (stuck or f"{amount_in_words(much)} would have to be in locked cells")
            + "."
        )
    else:
        locks = " and ".join(f"'{want.items[i]}'" for i in items if i in want.locks)
        carried = f": {locks} holds more than that" if locks else f": that would be {amount_in_words(room)}"
        why = f"{_list(leaving)} cannot be{carried}."
    return short, why


def _list(sums: list[tuple[Sum, float]]) -> str:
    names = [f"'{s.label}'" + (f" ({w:g} times)" if w > 1 + 1e-6 else "") for s, w in sums]
    return enumerated(names, 5)


def _left(leaving: list[tuple[Sum, float]], room: float, locked: bool) -> str:
    return "" if len(leaving) == 1 and leaving[0][1] == 1 and not locked else f" ({amount_in_words(room)})"


def _stuck(want: Asked, items: list[int], asking: list[tuple[Sum, float]], leaving: list[tuple[Sum, float]]) -> str:
    """Words for cells at zero, where only these stand in the way."""
    if _short(want, items, zeros=False) or not asking:
        return ""
    inside = np.zeros(len(want.start), dtype=bool)
    for s, _ in asking:
        inside[s.cells] = True
    for s, _ in leaving:
        inside[s.cells] = False
    at_zero = np.flatnonzero(inside & (want.near <= 0))
    if not len(at_zero):
        return ""
    cells = want.cells
    first = place(tuple((n, (str(cells.values[n][cells.codes[n][at_zero[0]]]),)) for n in cells.names))
    return (
        f"{plural(len(at_zero), 'cell')} of it ({clean(first)}{', …' if len(at_zero) > 1 else ''}) stand at zero and stay there "
        f"unless given a starting share (kind start)"
    )


def _whole(want: Asked, items: list[int]) -> list[tuple[int, str]]:
    """The items that hold together in fractions, but in no whole units."""

    def none(some: Sequence[int]) -> bool:
        *_, matrix, lower, upper = _system(want, some)
        return controlled(matrix, np.full(matrix.shape[1], 0.5), np.maximum(lower, 0), upper) is None

    found = items
    if len(items) <= FEW and none(items):
        for item in items:
            fewer = [i for i in found if i != item]
            if fewer and none(fewer):
                found = fewer
    finer = "Change one of them by a cent." if want.unit <= CENT else "Choose a smaller unit, or change one of them."
    named = ", ".join(f"'{want.items[i]}'" for i in found[:6]) + (" …" if len(found) > 6 else "")
    why = f"{named} hold together only in parts of {want.unit:g}, to which the plan is rounded. {finer}"
    return [(item, why) for item in found]
