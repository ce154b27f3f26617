"""What the wishes did: each node before and after, and each wish with what it asked and got."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from salesforecast.errors import SettingError
from salesforecast.formats import money, plural
from salesforecast.targets.plan import CENT, checked_unit, levels, texts, to_units
from salesforecast.targets.sums import asked, cells_named
from salesforecast.targets.wishes import Given, read, wishes
from salesforecast.text import md


def changes(before: pd.DataFrame, after: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """What each node carried before and carries after the wishes.

    Parameters
    ----------
    before, after : DataFrame
        Plans of the same cells, as given to `fit` and as it came back; of a plan without target its baseline counts.
    by : sequence of str
        The columns whose nodes are compared; none of them compares the total.

    Returns
    -------
    DataFrame
        The columns of `by`, before, after, change (money), change_share (of before; missing over nothing). Largest change first.
    """
    rows = [levels(_with_target(plan), by).drop(columns="baseline", errors="ignore") for plan in (before, after)]
    if by:
        frame = rows[0].merge(rows[1], on=list(by), how="outer", suffixes=("_0", "_1"), sort=True)
    else:
        frame = rows[0].join(rows[1], lsuffix="_0", rsuffix="_1")
    frame = frame.rename(columns={"target_0": "before", "target_1": "after"}).fillna({"before": 0.0, "after": 0.0})
    cents = to_units(frame["after"], CENT) - to_units(frame["before"], CENT)
    frame["change"] = cents / 100
    frame["change_share"] = frame["change"] / frame["before"].where(frame["before"] > 0)
    order = np.lexsort((np.arange(len(frame)), -np.abs(cents)))
    return frame.iloc[order].reset_index(drop=True)


def finding_changes(changes: pd.DataFrame) -> str:
    """One sentence: how many nodes changed, and the largest change.

    Parameters
    ----------
    changes : DataFrame
        From `changes`.
    """
    moved = changes[changes["change"] != 0]
    if moved.empty:
        return "Nothing changed: the plan already carried what was asked."
    first = moved.iloc[0]
    by = [c for c in changes if c not in ("before", "after", "change", "change_share")]
    node = ", ".join(md(first[c]) for c in by) or "The total"
    sign = "more" if first["change"] > 0 else "less"
    return f"{plural(len(moved), 'node')} of {len(changes):,} changed; **{node}** most: {money(abs(first['change']))} {sign}."


def kept(before: pd.DataFrame, after: pd.DataFrame, given: Given, *, unit: float = CENT) -> pd.DataFrame:
    """Each wish with the sum it is about: what that was, what was asked of it, and what it came to.

    Parameters
    ----------
    before, after : DataFrame
        As given to `fit` and as it came back.
    given : DataFrame or list of dicts
        The wishes.
    unit : float
        As in `fit`.

    Returns
    -------
    DataFrame
        wish (in words; a move has a row for each of its nodes), kind, cells, before, lowest, highest (asked, money; missing where there
        is no such bound), got, is_kept (flag; of a lock: no cell changed). By kind and node, whatever the order of the wishes.
    """
    want = asked(before, read(before, given), checked_unit(unit), None)
    old, new = (to_units(_with_target(plan)["target"], CENT) for plan in (before, after))
    if not texts(before).reset_index(drop=True).equals(texts(after).reset_index(drop=True)):
        raise SettingError("The plans before and after have different cells, so they cannot be compared.")
    old, new, cents = old[want.order], new[want.order], round(unit * 100)
    rows: list[dict[str, Any]] = []
    for s in want.sums:
        had, has, lower, upper = int(old[s.cells].sum()), int(new[s.cells].sum()), s.lower * cents, s.upper * cents
        rows.append({
            "wish": s.label, "kind": want.kinds[s.item], "cells": len(s.cells), "before": had / 100,
            "lowest": lower / 100 if lower > 0 or lower == upper else np.nan, "highest": upper / 100 if np.isfinite(upper) else np.nan,
            "got": has / 100, "is_kept": bool(lower <= has <= upper),
        })  # fmt: skip
    for item, cells in want.locks.items():
        had, has = int(old[cells].sum()), int(new[cells].sum())
        rows.append({
            "wish": want.items[item], "kind": "lock", "cells": len(cells), "before": had / 100, "lowest": had / 100, "highest": had / 100,
            "got": has / 100, "is_kept": bool((old[cells] == new[cells]).all()),
        })  # fmt: skip
    columns = ["wish", "kind", "cells", "before", "lowest", "highest", "got", "is_kept"]
    return pd.DataFrame(rows, columns=columns).astype({"wish": "str", "kind": "str", "is_kept": "bool"})


def standing(plan: pd.DataFrame, given: Given) -> pd.DataFrame:
    """The wishes that a fitted plan is to keep from now on: moves and shares as pins of the sums they came to.

    Parameters
    ----------
    plan : DataFrame
        As `fit` gave it.
    given : DataFrame or list of dicts
        The wishes it was fitted to.

    Returns
    -------
    DataFrame
        As `wishes`. A start is done with; a move given again would move again, so it stands as pins of its two nodes.
    """
    cells = cells_named(texts(plan))
    cents = to_units(_with_target(plan)["target"], CENT)
    rows: list[dict[str, Any]] = []
    for wish in read(plan, given):
        if wish.kind in ("pin", "at_least", "at_most", "keep", "lock"):
            rows.append({"kind": wish.kind, "amount": wish.amount, **dict(wish.where)})
        elif wish.kind != "start":
            nodes = [wish.where, wish.destination] if wish.kind == "move" else [wish.where]
            rows += [{"kind": "pin", "amount": int(cents[cells.at(n)].sum()) / 100, **dict(n)} for n in nodes]
    return wishes(plan, rows)


def _with_target(plan: pd.DataFrame) -> pd.DataFrame:
    return plan if "target" in plan else plan.assign(target=plan["baseline"])
