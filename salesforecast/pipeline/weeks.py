"""The weeks of a quarter: thirteen, the last twelve of seven days, so that the same week of every quarter is as far from its end.

Sales teams close at the end of quarters. In calendar weeks that end moves about; in these it is always the end of week 13.
The first week takes the rest: five to eight days.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

A_QUARTER = 13
_SATURDAY = 5


def number(days: pd.Series | pd.DatetimeIndex | np.ndarray, fiscal_year_start: int = 1) -> np.ndarray:
    """The number of the week each day lies in, counted through all quarters; a missing day is far in the future.

    >>> number(pd.DatetimeIndex(["2025-03-31", "2025-04-01", "2025-06-23", "2025-06-24", "2025-06-30"])) - number(
    ...     pd.DatetimeIndex(["2025-04-01"]))
    array([-1,  0, 11, 12, 12])
    """
    stamps = pd.DatetimeIndex(days)
    known = stamps.notna()
    filled = stamps.where(known, pd.Timestamp("2000-01-01")).normalize()
    quarter = _quarter(filled, fiscal_year_start)
    to_end = (_first_day(quarter + 1, fiscal_year_start) - filled.to_numpy().astype("datetime64[D]")).astype(int) - 1
    week = quarter * A_QUARTER + np.maximum(A_QUARTER - 1 - to_end // 7, 0)
    return np.where(known, week, np.iinfo(np.int32).max)


def last_day(week: np.ndarray, fiscal_year_start: int = 1) -> np.ndarray:
    """The last day of each week (datetime64[D]).

    >>> last_day(number(pd.DatetimeIndex(["2025-04-01", "2025-06-30"]))).astype(str).tolist()
    ['2025-04-07', '2025-06-30']
    """
    quarter, within = np.divmod(np.asarray(week), A_QUARTER)
    return _first_day(quarter + 1, fiscal_year_start) - 1 - 7 * (A_QUARTER - 1 - within)


def of_quarter(week: np.ndarray) -> np.ndarray:
    """1 to 13: which week of its quarter each one is."""
    return np.asarray(week) % A_QUARTER + 1


def working_days(since: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The days from Monday to Friday from `since` to `last`, both counted."""
    return np.busday_count(np.asarray(since, "datetime64[D]"), np.asarray(last, "datetime64[D]") + 1)


def _quarter(days: pd.DatetimeIndex, fiscal_year_start: int) -> np.ndarray:
    return np.asarray((days.year * 12 + days.month - 1 - (fiscal_year_start - 1) % 3) // 3)


def _first_day(quarter: np.ndarray, fiscal_year_start: int) -> np.ndarray:
    months = np.asarray(quarter) * 3 + (fiscal_year_start - 1) % 3 - 1970 * 12
    return months.astype("datetime64[M]").astype("datetime64[D]")
