"""Promotions: lifts in their days for whom they name, and history without those of the past."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from salesforecast.errors import DataError, unknown
from salesforecast.formats import plural


def promotions_of(promotions: pd.DataFrame | None, by: Sequence[str]) -> pd.DataFrame:
    """The promotions with their days, checked; none of them where none are given."""
    if promotions is None:
        return pd.DataFrame({"start": [], "end": [], "uplift": []})
    for name in ("start", "end", "uplift"):
        if name not in promotions:
            raise unknown("column of promotions", name, promotions.columns)
    out = promotions.assign(start=pd.to_datetime(promotions["start"]), end=pd.to_datetime(promotions["end"]))
    wrong = out[(out["end"] < out["start"]) | (out["uplift"] <= -1)]
    if len(wrong):
        raise DataError(
            f"{plural(len(wrong), 'promotion')} cannot be: the first ends {wrong['end'].iloc[0]:%Y-%m-%d}, starts "
            f"{wrong['start'].iloc[0]:%Y-%m-%d} and has an uplift of {wrong['uplift'].iloc[0]:g}. An uplift of 0.3 sells 30% more."
        )
    return out


def named(rows: pd.DataFrame, offer: object, by: Sequence[str]) -> np.ndarray:
    """Which rows a promotion is for: those that carry the names it has in the columns `by`, all where it has none."""
    inside = np.ones(len(rows), dtype=bool)
    for name in by:
        value = getattr(offer, name, None)
        if value is not None and pd.notna(value) and value != "":
            inside &= (rows[name] == value).to_numpy()
    return inside


def without(sales: pd.DataFrame, offers: pd.DataFrame) -> pd.DataFrame:
    """Sales without the lift of past promotions."""
    amount = sales["amount"].to_numpy("float64").copy()
    names = [c for c in offers if c in sales and c not in ("start", "end", "uplift", "day", "amount")]
    for offer in offers.itertuples():
        inside = sales["day"].between(offer.start, offer.end).to_numpy() & named(sales, offer, names)
        amount[inside] /= 1 + offer.uplift
    return sales.assign(amount=amount)
