"""How many deals will be entered in the weeks to come: recent level times the season, per working day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from salesforecast.pipeline import weeks

RECENT = 26  # weeks that tell the level
A_YEAR = 364
TEMPLATES = 400  # recent deals that stand for those to come
SEASON = 30.0  # deals a month has to have for its season to weigh as much as none


@dataclass(frozen=True)
class Arrivals:
    """Deals per working day.

    Parameters
    ----------
    level : float
        Of a month without season.
    season : ndarray (12,)
        Factor of each month.
    spread : float
        The variance of the weekly counts over their mean, at least 1.
    """

    level: float
    season: np.ndarray
    spread: float

    def between(self, since: np.ndarray, last: np.ndarray) -> np.ndarray:
        """The deals to be expected in each span of days, both counted; none where it ends before it begins."""
        days = np.arange(min(since.min(), last.min()), last.max() + 1)
        rate = np.where(np.is_busday(days), self.level * self.season[_month(days)], 0.0)
        total = np.r_[0.0, rate.cumsum()]
        start = np.minimum((since - days[0]).astype(int), len(days))
        return np.maximum(total[(last - days[0]).astype(int) + 1] - total[start], 0.0)


def fit(created: pd.Series, day: pd.Timestamp) -> Arrivals:
    """The level of the last 26 weeks, and the season of all months against the year around them.

    Parameters
    ----------
    created : Series
        The created dates known at the end of `day`.
    """
    today = np.datetime64(day, "D")
    born = np.sort(created.dropna().to_numpy().astype("datetime64[D]"))
    if not len(born):
        return Arrivals(0.0, np.ones(12), 1.0)
    first = born[0]
    season = _season(born, first, today)
    since = max(first, today - 7 * RECENT + 1)
    expected = Arrivals(1.0, season, 1.0).between(np.array([since]), np.array([today]))[0]
    level = (born >= since).sum() / max(expected, 1.0)
    return Arrivals(float(level), season, _spread(born, since, today, Arrivals(float(level), season, 1.0)))


def templates(created: pd.DataFrame, day: pd.Timestamp) -> pd.Series:
    """The ids of deals of the last year that stand for those to come: at most 400, evenly through the year.

    Parameters
    ----------
    created : DataFrame
        opportunity_id, created_date; the earliest first.
    """
    recent = created.loc[created["created_date"] > day - pd.Timedelta(days=A_YEAR), "opportunity_id"]
    return recent.iloc[np.unique(np.linspace(0, len(recent) - 1, min(TEMPLATES, len(recent))).round().astype(int))]


def _season(born: np.ndarray, first: Any, today: Any) -> np.ndarray:
    """Each month's deals per working day over that of the year around it, drawn to 1 where deals are few."""
    months = np.arange(first.astype("datetime64[M]"), today.astype("datetime64[M]") + 1)
    since = np.maximum(months.astype("datetime64[D]"), first)
    last = np.minimum((months + 1).astype("datetime64[D]") - 1, today)
    days = np.maximum(weeks.working_days(since, last), 1)
    count = np.bincount((born.astype("datetime64[M]") - months[0]).astype(int), minlength=len(months))
    around = pd.Series(count / days).rolling(13, center=True).mean().to_numpy()
    whole = ~np.isnan(around)  # with half a year on either side: the first months of a CRM are low, not out of season
    of_year = months.astype(int) % 12
    seen = np.bincount(of_year[whole], weights=count[whole], minlength=12)
    usual = np.bincount(of_year[whole], weights=(around * days)[whole], minlength=12)
    return (seen + SEASON) / (usual + SEASON)


def _spread(born: np.ndarray, since: Any, today: Any, arrivals: Arrivals) -> float:
    starts = np.arange(since, today - 5, 7)
    if len(starts) < 8:
        return 1.0
    count = np.searchsorted(born, starts + 7) - np.searchsorted(born, starts)
    mean = np.maximum(arrivals.between(starts, starts + 6), 0.1)
    return float(max(1.0, ((count - mean) ** 2 / mean).mean()))


def _month(days: np.ndarray) -> np.ndarray:
    return days.astype("datetime64[M]").astype(int) % 12
