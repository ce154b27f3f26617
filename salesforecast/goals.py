"""What was to be reached, by whom: the rows of the table `targets` that belong to a period."""

from __future__ import annotations

import pandas as pd

from salesforecast.errors import SettingError
from salesforecast.periods import Period, period
from salesforecast.tables import Crm

WHOSE = ("rep_id", "team", "region", "channel", "product_id")


def target(crm: Crm, span: Period, **only: str) -> float:
    """The company's target for the period, or that of one region, team or product; missing where there is none.

    A choice of two, as a product in a region, has a target only by chance and is given none.

    A period without a row of its own has the sum of its months or quarters, where all of them have one; a company without one
    has the sum of its regions, else of its teams, else of its reps: also of those that have one for some of the months, as who
    came or left within the period.
    """
    if "targets" not in crm:
        return float("nan")
    chosen = {by: value for by, value in only.items() if value}
    if chosen:
        by, value = next(iter(chosen.items()))
        return float(targets(crm, span, by).get(value, float("nan"))) if len(chosen) == 1 else float("nan")
    own = _of(crm, span, "")
    if len(own):
        return float(own.iloc[0])
    by = next((column for column in ("region", "team", "rep_id") if len(_of(crm, span, column))), "")
    return float(_of(crm, span, by, partly=True).sum()) if by else float("nan")


def targets(crm: Crm, span: Period, by: str) -> pd.Series:
    """The targets of the period by rep, team, region, channel or product, under the names that `crm.deals` shows.

    Where no region has a row of its own, each has the sum of its teams.
    """
    column = {"rep": "rep_id", "product": "product_id"}.get(by, by)
    if "targets" not in crm or column not in WHOSE:
        return pd.Series(dtype="float64")
    found = _of(crm, span, column)
    if column == "region" and found.empty and "reps" in crm and {"team", "region"} <= set(crm.reps):
        region = crm.reps.drop_duplicates("team").set_index("team")["region"]
        found = _of(crm, span, "team").groupby(region).sum()
    table, name = {"rep_id": ("reps", "rep"), "product_id": ("products", "product")}.get(column, ("", ""))
    if table and table in crm:
        found = found.rename(crm.tables[table].set_index(column)[name])
    return found


def _of(crm: Crm, span: Period, column: str, *, partly: bool = False) -> pd.Series:
    """The targets that belong to the values of one column alone ("" for the company), `partly` also of a part of the span; by value."""
    rows = crm.targets
    others = [c for c in WHOSE if c in rows and c != column]
    rows = rows[rows[others].isna().all(axis=1)]
    if column and column not in rows:
        return pd.Series(dtype="float64")
    rows = rows[rows[column].notna()] if column else rows
    who = rows[column] if column else pd.Series("", rows.index)
    exact = rows["period"] == span.label
    own = rows.loc[exact, "target"].groupby(who[exact]).sum()
    inside = {label: _within(label, span) for label in rows["period"].unique()}
    share = rows["period"].map(inside).astype("float64")
    share = share[(share > 0) & ~who.isin(own.index)]
    parts, covered = rows["target"].groupby(who[share.index]).sum(), share.groupby(who[share.index]).sum()
    return pd.concat([own, parts[covered > (0.0 if partly else 0.999)]])


def _within(label: str, span: Period) -> float:
    """Which share of the span a smaller period covers; 0 when it is no part of it."""
    try:
        part = period(label, span.fiscal_year_start)
    except SettingError:
        return 0.0
    return part.days / span.days if span.since <= part.since and part.until <= span.until else 0.0
