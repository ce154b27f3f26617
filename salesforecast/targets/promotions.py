"""Promotions: lifts in their days for whom they name, and history without those of the past."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from salesforecast.errors import DataError, unknown
from salesforecast.formats import plural
from salesforecast.targets.sold import LABELS, has

DAYS = ("start", "end", "uplift")


def promotions_of(promotions: pd.DataFrame | None, sales: pd.DataFrame) -> pd.DataFrame:
    """The promotions with their days, checked against what was sold; none of them where none are given."""
    if promotions is None:
        return pd.DataFrame({name: [] for name in DAYS})
    for name in DAYS:
        if name not in promotions:
            raise unknown("column of promotions", name, promotions.columns)
    out = promotions.assign(start=pd.to_datetime(promotions["start"]), end=pd.to_datetime(promotions["end"]))
    for name in (c for c in out if c not in DAYS):
        if name not in LABELS:
            raise unknown("column of promotions", name, [*DAYS, *(c for c in LABELS if c in sales)])
        has(sales, name)
        for value in out[name].dropna().unique():
            if value != "" and value not in set(sales[name]):
                raise unknown(name, value, sorted(sales[name].unique()))
    wrong = out[(out["end"] < out["start"]) | (out["uplift"] <= -1)]
    if len(wrong):
        raise DataError(
            f"{plural(len(wrong), 'promotion')} cannot be: the first ends {wrong['end'].iloc[0]:%Y-%m-%d}, starts "
            f"{wrong['start'].iloc[0]:%Y-%m-%d} and has an uplift of {wrong['uplift'].iloc[0]:g}. An uplift of 0.3 sells 30% more."
        )
    return out


def named(rows: pd.DataFrame, offer: object, by: Iterable[str]) -> np.ndarray:
    """Which rows a promotion is for: those that carry the names it has in the columns `by`, all where it has none."""
    inside = np.ones(len(rows), dtype=bool)
    for name in by:
        value = getattr(offer, name, None)
        if value is not None and pd.notna(value) and value != "":
            inside &= (rows[name] == value).to_numpy()
    return inside


def lifts(leaves: pd.DataFrame, history: pd.DataFrame, offer: object, by: Sequence[str]) -> np.ndarray:
    """How much of each cell's business a promotion is for: all or nothing by the plan's columns, the share sold before by others."""
    others = [c for c in LABELS if c in history and c not in by]
    money = history.assign(hit=history["amount"].where(named(history, offer, others), 0.0))
    share = pd.Series(float(money["hit"].sum() / money["amount"].sum()), index=leaves.index)
    if by:
        sums = money.groupby(list(by), as_index=False)[["hit", "amount"]].sum()
        found = leaves[list(by)].merge(sums, on=list(by), how="left")
        share = (found["hit"] / found["amount"]).fillna(share)  # who is new has the share of all
    return np.asarray(share * named(leaves, offer, by))


def without(sales: pd.DataFrame, offers: pd.DataFrame) -> pd.DataFrame:
    """Sales without the lift of past promotions."""
    amount = sales["amount"].to_numpy("float64").copy()
    names = [c for c in offers if c not in DAYS]
    for offer in offers.itertuples():
        inside = sales["day"].between(offer.start, offer.end).to_numpy() & named(sales, offer, names)
        amount[inside] /= 1 + offer.uplift
    return sales.assign(amount=amount)
