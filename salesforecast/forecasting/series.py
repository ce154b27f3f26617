"""From the tables to series: one value per period, explicit zeros, and no period that is not over.

A series begins with the first period in which it has something, for nobody can tell an empty period from one before its
time; from there to the last complete period every period is there. What is not counted is counted by `left_out`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from typing import Any, TypeVar

import pandas as pd

from salesforecast.errors import DataError, SettingError, TooLittleData, unknown
from salesforecast.periods import MONTHS, ONE_DAY
from salesforecast.tables import NOT_FILLED

ALL = "all"
BETWEEN = " · "
_Measure = TypeVar("_Measure", bound=Callable[..., Any])


@dataclass(frozen=True)
class Source:
    """What a series adds up: of which rows, by which date, which amount ("" counts rows)."""

    rows: str
    date: str
    amount: str = ""
    won: bool = False


SOURCES = {
    "bookings": Source("won deals", "closed_date", "amount", won=True),
    "orders": Source("order lines", "order_date", "net_amount"),
    "won_count": Source("won deals", "closed_date", won=True),
    "created_pipeline": Source("deals", "created_date", "amount"),
}
_FREQ = {"week": "W-SUN", "month": "M", "quarter": "Q", "year": "Y"}


_OPTIONS = """
by : sequence of str
    One series for each combination of values of these columns; () is one series of all rows.
every : str
    "week" (Monday to Sunday), "month", "quarter" or "year" (both fiscal).
as_of : Timestamp or str
    The last day the data are known. The period that is not over by its end is left out (see `last_complete`).
fiscal_year_start : int
    The month in which the fiscal year of quarters and years starts.
since : Timestamp or str, optional
    The first day the data are complete from; a period that begins before is cut. An export that starts in the middle of
    a period, or that lacks the deals which were open when it starts, has low first periods that never were.

Returns
-------
DataFrame
    series (the values of `by` joined by " · ", empty ones as "not filled in"; "all" without `by`), period (its first
    day), value (money, or a count); by series, then period.

Raises
------
SettingError
    When a column or `every` is not known.
TooLittleData
    When there is nothing to count in a complete period.
"""


def _with_options(measure: _Measure) -> _Measure:
    """The measure with the text on its options and its result, which is the same for all, in its docstring."""
    measure.__doc__ = f"{cleandoc(measure.__doc__ or '')}{_OPTIONS}"
    return measure


@_with_options
def bookings(
    deals: pd.DataFrame,
    *,
    by: Sequence[str] = (),
    every: str = "month",
    as_of: pd.Timestamp | str,
    fiscal_year_start: int = 1,
    since: pd.Timestamp | str | None = None,
) -> pd.DataFrame:
    """The amount of the deals won in each period, by closed date.

    Won deals without a closed date or without an amount are left out (see `left_out`).

    Parameters
    ----------
    deals : DataFrame
        Columns outcome, closed_date, amount, and those named by `by`.
    """
    return _series(deals, "bookings", by, every, as_of, fiscal_year_start, since)


@_with_options
def orders(
    lines: pd.DataFrame,
    *,
    by: Sequence[str] = (),
    every: str = "month",
    as_of: pd.Timestamp | str,
    fiscal_year_start: int = 1,
    since: pd.Timestamp | str | None = None,
) -> pd.DataFrame:
    """The net amount of the order lines of each period, by order date.

    Parameters
    ----------
    lines : DataFrame
        Columns order_date, net_amount, and those named by `by`.
    """
    return _series(lines, "orders", by, every, as_of, fiscal_year_start, since)


@_with_options
def won_count(
    deals: pd.DataFrame,
    *,
    by: Sequence[str] = (),
    every: str = "month",
    as_of: pd.Timestamp | str,
    fiscal_year_start: int = 1,
    since: pd.Timestamp | str | None = None,
) -> pd.DataFrame:
    """The number of deals won in each period, by closed date, with or without an amount.

    Parameters
    ----------
    deals : DataFrame
        Columns outcome, closed_date, and those named by `by`.
    """
    return _series(deals, "won_count", by, every, as_of, fiscal_year_start, since)


@_with_options
def created_pipeline(
    deals: pd.DataFrame,
    *,
    by: Sequence[str] = (),
    every: str = "month",
    as_of: pd.Timestamp | str,
    fiscal_year_start: int = 1,
    since: pd.Timestamp | str | None = None,
) -> pd.DataFrame:
    """The amount of the deals created in each period, whatever became of them.

    The amount is the one in the table, which is today's; on `crm.at(day).deals` it is that of the day.

    Parameters
    ----------
    deals : DataFrame
        Columns created_date, amount, and those named by `by`.
    """
    return _series(deals, "created_pipeline", by, every, as_of, fiscal_year_start, since)


def complete_from(deals: pd.DataFrame, since: pd.Timestamp | str = "") -> pd.Timestamp:
    """The first day from which the bookings are complete, for an export lacks the deals that were open when it starts.

    It is the first month that begins when nine of ten wins of a deal entered on the first day would have come.

    Parameters
    ----------
    deals : DataFrame
        outcome, created_date, closed_date.
    since : Timestamp or str
        The day, where it is known; empty to have it worked out.

    Raises
    ------
    SettingError
        When `since` is no date.
    """
    if since != "":
        try:
            return pd.Timestamp(since)
        except ValueError:
            raise SettingError(f"since={since!r} is no date; write it as 2025-01-01.") from None
    won = deals[deals["outcome"] == "won"].dropna(subset=["created_date", "closed_date"])
    ages = (won["closed_date"] - won["created_date"]).dt.days
    first = deals["created_date"].min()
    if ages.empty:
        return pd.Timestamp.min if pd.isna(first) else pd.Timestamp(first)
    day = first + pd.Timedelta(days=int(ages.quantile(0.9)))
    return pd.Timestamp(day.to_period("M").start_time if day.day == 1 else (day.to_period("M") + 1).start_time)


def last_complete(as_of: pd.Timestamp | str, every: str, fiscal_year_start: int = 1) -> pd.Timestamp:
    """The first day of the last period that is over by the end of `as_of`: where every series ends.

    Examples
    --------
    >>> last_complete(pd.Timestamp("2025-06-29"), "month"), last_complete(pd.Timestamp("2025-06-30"), "month")
    (Timestamp('2025-05-01 00:00:00'), Timestamp('2025-06-01 00:00:00'))
    >>> last_complete(pd.Timestamp("2025-06-30"), "quarter", fiscal_year_start=2)
    Timestamp('2025-02-01 00:00:00')
    """
    # the day after belongs to the period after
    return pd.Timestamp(
        ((pd.Timestamp(as_of).normalize() + ONE_DAY).to_period(_freq(every, fiscal_year_start)) - 1).start_time
    )


def left_out(
    frame: pd.DataFrame,
    measure: str,
    *,
    every: str = "month",
    as_of: pd.Timestamp | str,
    fiscal_year_start: int = 1,
    since: pd.Timestamp | str | None = None,
) -> pd.DataFrame:
    """What a series leaves out, and why; with the series it accounts for every row.

    Parameters
    ----------
    frame : DataFrame
        The table that the series is made from.
    measure : str
        The function that makes it: "bookings", "orders", "won_count" or "created_pipeline".
    every, as_of, fiscal_year_start, since
        As given there.

    Returns
    -------
    DataFrame
        reason, n (rows), amount (money of them; missing for counts); only reasons that occur.

    Examples
    --------
    >>> deals = pd.DataFrame({"outcome": ["won", "won", "open"], "closed_date": pd.to_datetime(["2025-01-09", None, None]),
    ...                       "amount": [10.0, 20.0, 30.0]})
    >>> left_out(deals, "bookings", as_of=pd.Timestamp("2025-02-28"))
                      reason  n  amount
    0  without a closed_date  1    20.0
    """
    if measure not in SOURCES:
        raise unknown("measure", measure, SOURCES)
    source = SOURCES[measure]
    rows = _rows(frame, source)
    why = _reasons(rows, source, every, as_of, fiscal_year_start, since)
    amount = rows[source.amount] if source.amount else pd.Series(float("nan"), index=rows.index)
    counted = pd.DataFrame({"reason": why, "amount": amount})[why != ""].groupby("reason", sort=False)["amount"]
    out = pd.DataFrame({"n": counted.size(), "amount": counted.sum(min_count=1)})
    return out.sort_index().reset_index(names="reason")


def keys(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The series that `by` makes, with the values behind their names: what `hierarchy.structure` starts from.

    Parameters
    ----------
    frame : DataFrame
        The table that the series are made from.
    by : sequence of str
        Its columns, or one of them.

    Returns
    -------
    DataFrame
        series, then the columns of `by`; one row per combination that occurs, in the order of the names.
    """
    names, groups = _names(frame, by)
    return (
        groups.assign(series=names)[["series", *groups.columns]]
        .drop_duplicates()
        .sort_values("series", ignore_index=True)
    )


def _series(
    frame: pd.DataFrame,
    measure: str,
    by: Sequence[str],
    every: str,
    as_of: pd.Timestamp | str,
    fiscal_year_start: int,
    since: pd.Timestamp | str | None,
) -> pd.DataFrame:
    source, freq = SOURCES[measure], _freq(every, fiscal_year_start)
    rows = _rows(frame, source)
    names, _ = _names(rows, by)
    counted = _reasons(rows, source, every, as_of, fiscal_year_start, since) == ""
    if not counted.any():
        end = last_complete(as_of, every, fiscal_year_start)
        begun = "" if since is None else f" and begins on {pd.Timestamp(since):%Y-%m-%d} or later"
        raise TooLittleData(
            f"There are no {source.rows} to count in a {every} that is over by {pd.Timestamp(as_of):%Y-%m-%d}{begun}, that is up to "
            f"the one that starts on {end:%Y-%m-%d}. One {every} with a date and an amount would do."
        )
    values = rows.loc[counted, source.amount] if source.amount else pd.Series(1.0, index=rows.index[counted])
    periods = rows.loc[counted, source.date].dt.to_period(freq)
    sums = values.astype("float64").groupby([names[counted], periods]).sum()
    wide = sums.unstack(0)
    last = last_complete(as_of, every, fiscal_year_start).to_period(freq)
    wide = wide.reindex(pd.period_range(wide.index.min(), last, freq=freq))
    begun = wide.notna().cummax()
    long = wide.fillna(0.0).where(begun).T.stack().rename_axis(["series", "period"]).rename("value").reset_index()
    long = long[long["value"].notna()].reset_index(drop=True)
    return long.assign(series=long["series"].astype("str"), period=long["period"].dt.start_time)


def _rows(frame: pd.DataFrame, source: Source) -> pd.DataFrame:
    for column in (source.date, *([source.amount] if source.amount else []), *(["outcome"] if source.won else [])):
        if column not in frame:
            raise unknown("column", column, frame.columns)
    return frame[frame["outcome"] == "won"] if source.won else frame


def _reasons(
    rows: pd.DataFrame,
    source: Source,
    every: str,
    as_of: pd.Timestamp | str,
    fiscal_year_start: int,
    since: pd.Timestamp | str | None,
) -> pd.Series:
    """Why a row is left out; "" where it is counted."""
    freq = _freq(every, fiscal_year_start)
    end = (last_complete(as_of, every, fiscal_year_start).to_period(freq) + 1).start_time
    date, why = rows[source.date], pd.Series("", index=rows.index, dtype="str")
    if source.amount:
        why = why.mask(rows[source.amount].isna(), f"without {_a(source.amount)}")
    if since is not None:
        first = pd.Timestamp(since).to_period(freq)
        start = first.start_time if first.start_time >= pd.Timestamp(since) else (first + 1).start_time
        why = why.mask(date < start, f"before {start:%Y-%m-%d}, in a {every} the data are not complete for")
    why = why.mask(date >= end, f"from {end:%Y-%m-%d} on, in a {every} that is not over")
    return why.mask(date.isna(), f"without {_a(source.date)}")


def _a(column: str) -> str:
    return f"{'an' if column[0] in 'aeiou' else 'a'} {column}"


def _names(frame: pd.DataFrame, by: Sequence[str]) -> tuple[pd.Series, pd.DataFrame]:
    """The name of each row's series, and the values it is made of."""
    if isinstance(by, str):
        by = (by,)
    for column in by:
        if column not in frame:
            raise unknown("column", column, frame.columns)
    groups = pd.DataFrame({c: frame[c].astype("object").where(frame[c].notna(), NOT_FILLED).astype("str") for c in by})
    if not len(by):
        return pd.Series(ALL, index=frame.index, dtype="str"), groups.reindex(frame.index)
    names = groups.iloc[:, 0].str.cat([groups[c] for c in by[1:]], sep=BETWEEN) if len(by) > 1 else groups[by[0]]
    distinct = groups.assign(name=names).drop_duplicates()
    twice = distinct.loc[distinct["name"].duplicated(), "name"]
    if len(twice):
        raise DataError(
            f"Two groups would have the same name, {twice.iloc[0]!r}: a value of {' or '.join(by)} holds {BETWEEN!r}. "
            f"Rename that value in the data."
        )
    return names, groups


def _freq(every: str, fiscal_year_start: int) -> str:
    if every not in _FREQ:
        raise unknown("length of period", every, _FREQ)
    if not 1 <= fiscal_year_start <= 12:
        raise SettingError(f"fiscal_year_start is {fiscal_year_start}; it is a month, 1 to 12.")
    return _FREQ[every] + (f"-{MONTHS[(fiscal_year_start + 10) % 12]}" if every in ("quarter", "year") else "")
