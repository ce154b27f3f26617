"""What is said at one origin: by the pipeline model, by the simple methods and by people, with what was known on the day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from salesforecast.periods import ONE_DAY, Period
from salesforecast.pipeline import commits, models, simple
from salesforecast.tables import NOT_RECORDED, Crm

DRAWS = 1000
HISTORY = 208  # weeks


@dataclass(frozen=True)
class Beside:
    """What the forecast takes from outside the deals: the CRM's probabilities, the calls, who is in which team; and the seed."""

    probability: pd.Series | None
    calls: pd.DataFrame
    people: pd.DataFrame
    seed: int


@dataclass(frozen=True)
class Said:
    """What was said at one origin: its rows of the frames and arrays of `Backtest`, and what the model expects."""

    origin: dict[str, Any]
    methods: dict[str, float]
    windows: pd.DataFrame
    commits: pd.DataFrame
    draws: np.ndarray
    weekly: np.ndarray
    deals: pd.DataFrame
    outlook: models.Ahead


def beside(crm: Crm, seed: int) -> Beside:
    """What of today's data no model is fitted to."""
    return Beside(_probability(crm), commits.calls(crm), commits.people(crm), seed)


def days_of(period: Period) -> list[tuple[pd.Timestamp, int]]:
    """The days on which a period is forecast: the day before it begins, then the same number of weeks before its end.

    >>> from salesforecast.periods import period
    >>> [(f"{day:%m-%d}", w) for day, w in days_of(period("2025-06"))]
    [('05-31', 4), ('06-09', 3), ('06-16', 2), ('06-23', 1)]
    """
    eve, last = period.since - ONE_DAY, period.until - ONE_DAY
    first = round((last - eve).days / 7)
    return [(eve, first), *((last - pd.Timedelta(days=7 * w), w) for w in range(first - 1, 0, -1))]


def said_at(
    model: models.Model, here: simple.Origin, known: models.Seen, before: list[simple.Origin], other: Beside
) -> Said:
    """What the model and the simple methods say at one origin; `before` are those of earlier periods, as long before their ends."""
    many = days_of(here.period)[0][1]
    ends = np.datetime64(here.day, "D") + 7 * np.arange(1, many + 1)
    last = np.datetime64(here.last, "D")
    spans = models.ahead(model, known, np.unique(np.r_[ends, last]))
    outlook = models.until(spans, last)
    booked = simple.between(known.won, here.period.since, here.day)
    one = np.zeros(len(outlook.deals), dtype=int), np.zeros(len(outlook.kinds), dtype=int)
    drawn = models.draw(model, outlook, *one, n=DRAWS, seed=other.seed)[0, :, 0]
    totals, coming = simple.forecasts(here, known.won, before, other.probability, many)
    totals["pipeline"] = booked + outlook.open[0] + outlook.new[0]
    said = commits.said(other.calls, other.people, known.won, here.period, here.day)
    if len(said):
        totals["human_commit"] = float(said["corrected"].iloc[-1])
    money = (spans.open + spans.new).cumsum()[np.searchsorted(spans.ends, ends)]
    return Said(
        {
            "period": here.period.label, "origin": here.day, "weeks_to_go": here.weeks_to_go, "since": here.period.since,
            "last": here.last, "booked": booked, "open": outlook.open[0], "new": outlook.new[0], "floor": drawn.std(),
            "learnt": (model.day - known.won["closed_date"].min()).days / 7, "unsure": (1 + model.amounts.unquoted.var()) / model.wins,
            "told": bool(set(model.open.levels["stage"]) - {NOT_RECORDED}),
        },
        totals,
        coming.assign(origin=here.day, pipeline=money).reset_index(),
        said,
        drawn,
        _weekly(known.won, here.day),
        outlook.deals[["opportunity_id", "worth"]].assign(chance=outlook.won[:, 0]),
        outlook,
    )  # fmt: skip


def _weekly(won: pd.DataFrame, day: pd.Timestamp) -> np.ndarray:
    """The bookings of each seven days up to the day, the newest last; missing before the first win."""
    ago = ((day - won["closed_date"]).dt.days // 7).to_numpy()
    inside = (ago >= 0) & (ago < HISTORY)
    sums = np.bincount(ago[inside].astype(int), weights=won["amount"].to_numpy()[inside], minlength=HISTORY)
    whole = (day - won["closed_date"].min()).days // 7
    return np.where(np.arange(HISTORY) < max(whole, 1), sums, np.nan)[::-1]


def _probability(crm: Crm) -> pd.Series | None:
    """The CRM's probability of each open stage, as it is set today."""
    deals = crm.opportunities
    if "probability" not in deals:
        return None
    now = deals[(deals["outcome"] == "open") & deals["probability"].notna()]
    return now.groupby("stage")["probability"].median() if len(now) else None
