"""What became of each deal: into which it was merged, and by its history when it began, reopened and ended."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from salesforecast import asof, keys
from salesforecast.crm.sheets import plain

NONE = pd.DataFrame({
    "first": pd.Series(dtype="datetime64[us]"), "ends_open": pd.Series(dtype="bool"),
    "reopened": pd.Series(dtype="bool"), "closed": pd.Series(dtype="datetime64[us]"),
}, index=pd.Index([], dtype="str", name="opportunity_id"))  # fmt: skip

# Columns that name the deal into which one was merged, or those that were merged into it; without spaces and signs.
MERGED_INTO = {"masterrecordid", "mergedinto", "mergedintoid", "mergedintodeal"}
MERGED_FROM = {"mergeddealids", "mergedids", "mergedobjectids", "mergedrecordids", "hsmergedobjectids"}


def tells_merged(column: object) -> bool:
    """Whether a column of the CRM's own says which deals were merged.

    >>> tells_merged("Merged Deal IDs"), tells_merged("hs_merged_object_ids"), tells_merged("Deal ID")
    (True, True, False)
    """
    return plain(str(column)) in MERGED_INTO | MERGED_FROM


def merged(deals: pd.DataFrame) -> dict[str, str]:
    """The deals that went on as another one -> the one that is left, by the columns in which a CRM says so."""
    into: dict[str, str] = {}
    for column in deals:
        if not tells_merged(column):
            continue
        name = plain(str(column))
        text = deals[column].astype("str").dropna()
        other = text.str.split(r"[;,]", regex=True).explode().str.strip() if name in MERGED_FROM else text.str.strip()
        own = deals["opportunity_id"].reindex(other.index)
        gone, left = (other, own) if name in MERGED_FROM else (own, other)
        rows = gone.notna() & left.notna() & gone.ne("") & left.ne("") & gone.ne(left)
        into |= dict(zip(gone[rows], left[rows], strict=True))
    for first, left in into.items():
        passed = {first}
        while left in into and left not in passed:
            passed.add(left)
            left = into[left]
        into[first] = left
    return into


def summary(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per deal with a history: first (day), ends_open, reopened (flags), closed (day it came into its outcome).

    Parameters
    ----------
    tables : dict
        stage_history in the order it happened, and stages.
    """
    history, outcomes = tables["stage_history"], tables["stages"].set_index("stage")["outcome"]
    begins = keys.starts(history["opportunity_id"])
    deal, names = np.cumsum(begins) - 1, history["opportunity_id"][begins].array
    is_open = keys.among(history["stage"], outcomes.index[outcomes == "open"]).to_numpy()
    ends = np.r_[begins[1:], True]
    reopened = np.zeros(len(names), dtype=bool)
    reopened[deal[np.r_[False, ~is_open[:-1] & is_open[1:] & ~begins[1:]]]] = True
    closed = asof.closing_days(history, outcomes)
    return pd.DataFrame(
        {"first": history["entered_at"].to_numpy()[begins], "ends_open": is_open[ends], "reopened": reopened},
        index=pd.Index(names, dtype="str", name="opportunity_id"),
    ).assign(first=lambda f: f["first"].dt.normalize(), closed=closed)


def latest(tables: Mapping[str, pd.DataFrame], column: str) -> pd.Series:
    """The last filled value of a column in each deal's history."""
    filled = tables["stage_history"].dropna(subset=column)
    return filled.drop_duplicates("opportunity_id", keep="last").set_index("opportunity_id")[column]
