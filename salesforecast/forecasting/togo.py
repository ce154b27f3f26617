"""What a series says is still to come in a period, as of many days at once."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast.forecasting.grammar import fit, forecast
from salesforecast.forecasting.models import Ensemble
from salesforecast.forecasting.panel import Model, Panel

A_QUARTER = 13


def to_go(weekly: np.ndarray, weeks: np.ndarray, model: Model | None = None) -> np.ndarray:
    """The sum of the weeks to come, forecast from the weeks up to each of several days.

    Every day is a series of its own, so that none sees what another knew. The season is a quarter of 13 weeks: what sales
    teams close towards its end is the same week of it.

    Parameters
    ----------
    weekly : ndarray (days, weeks)
        The values of the weeks up to each day, the newest last; missing before the first one.
    weeks : ndarray of int (days,) or (days, spans)
        How many weeks are to come, or several numbers of weeks for each day.
    model : Model, optional
        `Ensemble()` unless given.

    Returns
    -------
    ndarray like `weeks`

    Examples
    --------
    >>> to_go(np.full((1, 30), 5.0), np.array([4])).round(6).tolist()
    [20.0]
    >>> to_go(np.full((1, 30), 5.0), np.array([[1, 2]])).round(6).tolist()
    [[5.0, 10.0]]
    """
    # One more series, as long as any: where past origins begin follows from the longest, and must not hang on later days.
    every = np.vstack([weekly, np.ones(weekly.shape[1])])
    names = tuple(f"{i:06d}" for i in range(len(every)))
    first = pd.Timestamp("2001-01-01")  # a Monday like any other: only the order of the weeks matters
    panel = Panel(names, every, pd.date_range(first, periods=weekly.shape[1], freq="W-MON"), "W-MON", A_QUARTER)
    h = max(int(np.max(weeks)), 1)
    means = forecast(fit(panel, {"series": model or Ensemble()}), h)["mean"].to_numpy().reshape(len(every), h)[:-1]
    upto = np.column_stack([np.zeros(len(means)), means.cumsum(axis=1)])
    wanted = np.asarray(weeks)
    return np.take_along_axis(upto, wanted.reshape(len(means), -1), axis=1).reshape(wanted.shape)
