"""The last nine periods of each rep or team, small and on one scale."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import style
from salesforecast.errors import TooLittleData
from salesforecast.observed import need
from salesforecast.periods import ONE_DAY, Period
from salesforecast.reps.staff import part_of, roster
from salesforecast.tables import Crm

PERIODS = 9  # two years and the one at hand, by quarters
MOST = 24  # small charts
SO_FAR = " so far"  # behind the name of a period that is not over


def history(crm: Crm, *, period: Period, by: str = "rep") -> pd.DataFrame:
    """Bookings of the last nine periods by rep, team or region, each beside the mean of all who were there.

    Deals count for their owner of today, by the day they closed; those without an owner are nobody's and left out. Of a period
    that is not over stands what is booked, and its name ends in "so far".

    Parameters
    ----------
    crm : Crm
        Opportunities with rep_id, closed_date and amount; reps where there are.
    period : Period
        The last of the nine; periods before the data begin are left out.
    by : str
        rep, team or region.

    Returns
    -------
    DataFrame
        rep_id (by rep), the name, period (label), bookings (money; missing before a rep came and after one left), mean (of
        all who were there). Largest bookings in all first, each in the order of time.

    Raises
    ------
    TooLittleData
        With fewer than 3 periods in the data.
    """
    deals, staff = crm.opportunities, roster(crm)
    need(deals, "rep_id", "closed_date", "amount")
    spans = [period.previous(n) for n in range(PERIODS - 1, 0, -1)] + [period]
    first = (
        deals["closed_date"].min().to_period("M").start_time
    )  # what lies before the first closing is not in the data
    spans = [s for s in spans if first <= s.since <= crm.as_of]
    if len(spans) < 3:
        raise TooLittleData(
            f"The data hold {style.plural(len(spans), 'period')} up to {period.label}; a course needs 3."
        )
    won = deals[(deals["outcome"] == "won") & deals["rep_id"].notna()]
    edges = np.array([s.since for s in spans] + [spans[-1].until], dtype="datetime64[ns]")
    place = np.searchsorted(edges, won["closed_date"].to_numpy("datetime64[ns]"), side="right") - 1
    owner = won["rep_id"] if by == "rep" else won["rep_id"].map(part_of(staff, by))
    keys = pd.Index(staff["rep_id"] if by == "rep" else sorted(staff[by].dropna().unique()))
    whose = keys.get_indexer(owner)
    inside = (place >= 0) & (place < len(spans)) & (whose >= 0)
    sums = np.zeros((len(keys), len(spans)))
    np.add.at(sums, (whose[inside], place[inside]), won["amount"].fillna(0.0).to_numpy()[inside])
    there = np.ones_like(sums, dtype=bool)
    if by == "rep":
        since, until = edges[:-1], edges[1:]
        begin = staff["start_date"].fillna(pd.Timestamp("1900-01-01")).to_numpy("datetime64[ns]")[:, None]
        end = staff["end_date"].fillna(pd.Timestamp("2200-01-01")).to_numpy("datetime64[ns]")[:, None]
        there = ((begin < until) & (end >= since)) | (sums > 0)
    values = np.where(there, sums, np.nan)
    seen = there.any(axis=1) & (sums.sum(axis=1) > 0)
    labels = [s.label + (SO_FAR if s.until > crm.as_of + ONE_DAY else "") for s in spans]
    frame = pd.DataFrame({
        "group": np.repeat(keys.to_numpy()[seen], len(spans)), "period": np.tile(labels, int(seen.sum())),
        "bookings": values[seen].ravel(), "mean": np.tile(np.nansum(values, axis=0) / np.maximum(there.sum(axis=0), 1), int(seen.sum())),
        "order": np.repeat(-sums[seen].sum(axis=1), len(spans)), "at": np.tile(np.arange(len(spans)), int(seen.sum())),
    })  # fmt: skip
    frame = frame.astype({"group": "str", "period": "str"})
    frame = frame.sort_values(["order", "group", "at"], ignore_index=True).drop(columns=["order", "at"])
    if by == "rep":
        frame.insert(1, "rep", frame["group"].map(staff.set_index("rep_id")["rep"]))
    return frame.rename(columns={"group": "rep_id" if by == "rep" else by})


def finding_history(history: pd.DataFrame) -> str:
    """One sentence: how the bookings of all went over the periods, and how many booked in each of them."""
    if history.empty:
        return "Nobody here booked anything in these periods."
    running = history["period"].str.endswith(SO_FAR)
    whole, now = history[~running], history[running]
    total = whole.groupby("period")["bookings"].sum()
    first, last = whole["period"].iloc[0], whole["period"].iloc[-1]
    by = whole.groupby(history.columns[0])["bookings"].agg(["count", "size", "min"])
    here = by[by["count"] == by["size"]]
    steady = ""
    if "rep" in history and len(here) > 1:
        always = int((here["min"] > 0).sum())
        steady = f" {always} of {style.plural(len(here), 'rep')} who were there throughout booked in each."
    so_far = f"; {style.money(now['bookings'].sum())} is booked in {now['period'].iloc[0]}" if len(now) else ""
    return (
        f"Bookings went from {style.money(total[first])} in {first} to **{style.money(total[last])}** in {last}, "
        f"over {len(total)} periods between "
        f"{style.between(total.min(), total.max(), style.money).replace(' to ', ' and ')}{so_far}.{steady}"
    )


def chart_history(history: pd.DataFrame) -> alt.LayerChart:
    """A small chart for each, on one scale, with the mean of all in grey."""
    key = history.columns[0]
    name = "rep" if "rep" in history else key
    keys = history[key].drop_duplicates()
    shown = history[history[key].isin(keys.head(MOST))]
    cut = f"; the {MOST} largest of {len(keys)}" if len(keys) > MOST else ""
    return style.multiples(
        shown, "period", "bookings", name, fmt=style.money, reference="mean", title=f"Bookings by {name} and period",
        subtitle=f"One scale for all; grey: mean of those there; largest first; the last figure is written{cut}",
    )  # fmt: skip
