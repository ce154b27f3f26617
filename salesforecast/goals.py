"""What was to be reached, by whom: the rows of the table `targets` that belong to a period."""

from __future__ import annotations

import pandas as pd

from salesforecast.periods import Period, readable
from salesforecast.tables import Crm, told_apart

WHOSE = ("rep_id", "team", "region", "channel", "product_id")
BELOW = {
    "region": ("team", "rep_id"),
    "team": ("rep_id",),
}  # whose targets a level without rows of its own is summed from


def target(crm: Crm, span: Period, **only: str) -> float:
    """The company's target for the period, or that of one region, team or product; missing where there is none.

    A choice of two, as a product in a region, has a target only by chance and is given none.

    A period without a row of its own has the sum of its months or quarters, where all of them have one; a company without one
    has the sum of its regions, else of its teams, else of its reps: also of those that have one for some of the months, as who
    came or left within the period.
    """
    chosen = {by: value for by, value in only.items() if value}
    if chosen:
        by, value = next(iter(chosen.items()))
        return float(targets(crm, span, by).get(value, float("nan"))) if len(chosen) == 1 else float("nan")
    whole = own(crm, span, "")
    if len(whole):
        return float(whole.iloc[0])
    by = next((column for column in ("region", "team", "rep_id") if len(own(crm, span, column))), "")
    return float(own(crm, span, by, partly=True).sum()) if by else float("nan")


def targets(crm: Crm, span: Period, by: str) -> pd.Series:
    """The targets of the period by rep, team, region, channel or product, under the names that `crm.deals` shows.

    Where no region has a row of its own, each has the sum of its teams, else of its reps; teams have that of their reps.
    """
    column = {"rep": "rep_id", "product": "product_id"}.get(by, by)
    found = own(crm, span, column)
    if found.empty and (below := summed_from(crm, span, column)):
        parts = own(crm, span, below, partly=True)
        home = crm.reps.dropna(subset=[below, column]).drop_duplicates(below).set_index(below)[column]
        found = parts.groupby(home.reindex(parts.index)).sum()
    table, name = {"rep_id": ("reps", "rep"), "product_id": ("products", "product")}.get(column, ("", ""))
    if table and table in crm:
        names = told_apart(crm.tables[table], column, name) if name == "rep" else crm.tables[table][name]
        shown = dict(zip(crm.tables[table][column], names, strict=True))
        found = found.groupby([shown.get(key, key) for key in found.index]).sum()
    return found


def summed_from(crm: Crm, span: Period, column: str) -> str:
    """The level below whose targets make those of a level without rows of its own; "" where there is none."""
    if "reps" not in crm or column not in BELOW or len(own(crm, span, column)):
        return ""
    there = [below for below in BELOW[column] if {below, column} <= set(crm.reps)]
    return next((below for below in there if len(own(crm, span, below, partly=True))), "")


def own(crm: Crm, span: Period, column: str, *, partly: bool = False) -> pd.Series:
    """The targets in the rows of one column alone ("" for the company), `partly` also of a part of the span; by value.

    A period has its own row, else what lies in it: of a quarter that has a row its months do not count again.
    """
    if "targets" not in crm or column not in ("", *(c for c in WHOSE if c in crm.targets)):
        return pd.Series(dtype="float64")
    rows = crm.targets
    rows = rows[rows[[c for c in WHOSE if c in rows and c != column]].isna().all(axis=1)]
    rows = rows.assign(who=rows[column] if column else "").dropna(subset="who")
    parts = {label: part for label in rows["period"].unique() if (part := inside(str(label), span))}
    rows = rows[rows["period"].isin(parts)]
    longer = {a: [b for b in parts if inside(a, parts[b]) and parts[b].days > parts[a].days] for a in parts}
    given = set(zip(rows["who"], rows["period"], strict=True))
    again = [any((who, b) in given for b in longer[a]) for who, a in zip(rows["who"], rows["period"], strict=True)]
    rows = rows[~pd.Series(again, index=rows.index, dtype="bool")]
    covered = rows.drop_duplicates(["who", "period"])
    days = covered["period"].map({a: p.days for a, p in parts.items()}).astype("float64")
    share = days.groupby(covered["who"]).sum() / span.days
    return rows.groupby("who")["target"].sum()[share > (0.0 if partly else 0.999)]


def inside(label: str, span: Period) -> Period | None:
    """The period of that name where it lies in the span; None where it does not, or is none."""
    part = readable(label, span.fiscal_year_start)
    return part if part and span.since <= part.since and part.until <= span.until else None
