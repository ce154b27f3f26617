"""A plan: cells that add up. Its columns, its sums at any node, over-assignment beside it, and the nodes that carry nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from salesforecast.errors import CannotSay, DataError, SettingError, unknown
from salesforecast.targets.rounding import apportioned

MEASURES = ("target", "baseline", "new")
CENT = 0.01
MOST = 2**52  # units: whole numbers that a float holds exactly


def dimensions(plan: pd.DataFrame) -> list[str]:
    """The columns that name a cell: all but target, baseline and new."""
    return [str(c) for c in plan.columns if c not in MEASURES]


def texts(plan: pd.DataFrame) -> pd.DataFrame:
    """The names of the cells as text, days as 2025-06-30; checked.

    Raises
    ------
    DataError
        When the plan has no cells or no figures, a name is missing, a cell stands twice, or a figure is negative or missing.
    """
    names = dimensions(plan)
    faults = []
    if not names:
        faults.append("it has no column that names its cells, such as period, region or rep_id")
    if "target" not in plan and "baseline" not in plan:
        faults.append("it has neither a column target nor baseline")
    if plan.empty:
        faults.append("it has no cells")
    shown = {}
    for name in names:
        column = plan[name]
        if pd.api.types.is_float_dtype(column):
            faults.append(f"{name}: figures cannot name a cell; write them as text, or leave the column out")
        if column.isna().any():
            faults.append(f"{name}: {column.isna().sum()} names are missing; write 'none' for cells that have none")
        day = pd.api.types.is_datetime64_any_dtype(column)
        shown[name] = column.dt.strftime("%Y-%m-%d") if day else column.astype("str")
    frame = pd.DataFrame(shown, index=plan.index)
    for name in ("target", "baseline"):
        if name in plan:
            values = pd.to_numeric(plan[name], errors="coerce").to_numpy("float64", na_value=np.nan)
            bad = ~np.isfinite(values) | (values < 0)
            if bad.any():
                faults.append(
                    f"{name}: {bad.sum()} figures are missing or negative, e.g. {plan[name].to_numpy()[bad][0]!r}"
                )
    if names and not plan.empty:
        twice = frame.duplicated()
        if twice.any():
            cell = ", ".join(frame[twice].iloc[0])
            faults.append(f"{twice.sum()} cells stand twice, e.g. {cell!r}; add them up first")
    if faults:
        raise DataError("The plan cannot be used:\n  - " + "\n  - ".join(faults))
    return frame


def levels(plan: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """The plan's sums by some of its columns, exact to the cent.

    Parameters
    ----------
    plan : DataFrame
        Its cells; target and baseline are added up, where it has them.
    by : sequence of str
        Columns of the plan; none of them gives the total.

    Returns
    -------
    DataFrame
        The columns of `by`, then baseline and target in money; in the order of the names.

    Examples
    --------
    >>> plan = pd.DataFrame({"region": ["N", "N", "S"], "product_id": ["P", "Q", "P"], "target": [0.1, 0.2, 5.0]})
    >>> levels(plan, ["region"])
      region  target
    0      N     0.3
    1      S     5.0
    """
    by = list(by)
    for name in by:
        if name not in dimensions(plan):
            raise unknown("column of the plan", name, dimensions(plan))
    cents = {
        m: to_units(plan[m], CENT) if m == "target" else plan[m] * 100 for m in ("baseline", "target") if m in plan
    }
    frame = pd.DataFrame(cents, index=plan.index)
    grouped = frame.groupby([plan[name] for name in by], observed=True).sum().reset_index() if by else None
    frame = frame.sum().to_frame().T if grouped is None else grouped
    return frame.assign(**{m: frame[m].round() / 100 for m in cents})


def to_units(money: pd.Series, unit: float) -> np.ndarray:
    """The amounts as whole numbers of the unit, each rounded for itself."""
    return np.rint(money.to_numpy("float64") / unit).astype("int64")


def to_money(whole: np.ndarray, unit: float) -> np.ndarray:
    """Whole numbers of the unit as money, the nearest float to each amount in cents."""
    return np.asarray(whole * round(unit * 100)) / 100


def checked_unit(unit: float) -> float:
    """The unit, which is whole cents."""
    if not (unit >= CENT and abs(unit * 100 - round(unit * 100)) < 1e-9):
        raise SettingError(f"A plan is rounded to whole cents or more, not to {unit}. Choose 0.01, 1, 100 or 1000.")
    return unit


def overassigned(
    plan: pd.DataFrame, by: str | Sequence[str], factor: float, *, within: Sequence[str] = (), unit: float = CENT
) -> pd.DataFrame:
    """What each node of a level is given when the level carries more than the plan; the plan itself stays exact.

    A manager who hands out 105% of the own target covers for those who will miss theirs. The level's sum is exactly the
    factor times the plan's, within each node of `within`, shared in proportion to the plan by largest remainder.

    Parameters
    ----------
    plan : DataFrame
        With target.
    by : str, or sequence of str
        The column of the level, such as rep_id; of several (`cells_by`) the last.
    factor : float
        1.05 for 5% more than the plan.
    within : sequence of str
        The columns of the nodes whose sums are exact, such as region.
    unit : float
        To which the amounts are rounded.

    Returns
    -------
    DataFrame
        The columns of `within` and `by`, target (the plan's), assigned, over (assigned beyond the target, money).
    """
    by = by if isinstance(by, str) else next(reversed(by), "")
    if not by:
        raise CannotSay("The plan is for the whole alone, so nobody is given a part of it.")
    if not (np.isfinite(factor) and factor > 0):
        raise SettingError(f"The factor of over-assignment is {factor}; 1.05 hands out 5% more than the plan.")
    checked_unit(unit)
    outer = [w for w in within if w != by]
    frame = levels(plan, [*outer, by]).drop(columns="baseline", errors="ignore")
    group = frame.groupby(outer, sort=False).ngroup().to_numpy() if outer else np.zeros(len(frame), "int64")
    cents = to_units(frame["target"], CENT)
    sums = np.bincount(group, cents)
    whole = apportioned(
        cents.astype("float64"), group, np.floor(sums * factor * CENT / unit + 0.5 + 1e-9).astype("int64")
    )
    frame["assigned"] = to_money(whole, unit)
    frame["over"] = (to_units(frame["assigned"], CENT) - cents) / 100
    return frame


def empty(plan: pd.DataFrame, by: str) -> pd.DataFrame:
    """The nodes that carry nothing, and whether they are new or had no history.

    A node at zero stays at zero whatever is asked of the others. One that is new (column `new` of the plan) needs a wish of
    kind start, or a ramped baseline.

    Returns
    -------
    DataFrame
        The column of `by`, cells, new (flag), why (in words); in the order of the names.
    """
    figures = plan["target"] if "target" in plan else plan["baseline"]
    fresh = plan["new"].astype("bool") if "new" in plan else pd.Series(False, plan.index)
    frame = pd.DataFrame({"carried": figures.astype("float64"), "cells": 1, "new": fresh})
    frame = frame.groupby(plan[by], observed=True).agg({"carried": "sum", "cells": "sum", "new": "any"}).reset_index()
    frame = frame[frame["carried"] == 0].drop(columns="carried").reset_index(drop=True)
    words = {True: "new: give a starting share", False: "no history: stays at zero unless given a starting share"}
    return frame.assign(why=frame["new"].map(words).astype("str"))
