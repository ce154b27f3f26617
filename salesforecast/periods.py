"""Periods by their label (2025Q2, 2025-06, 2025), fiscal years, and what of a period is over by a day."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from salesforecast.errors import SettingError

MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
ONE_DAY = pd.Timedelta(days=1)

_FORMS = {
    "Q": (re.compile(r"([12][0-9]{3})-?Q([1-4])"), "quarter"),
    "M": (re.compile(r"([12][0-9]{3})-(0[1-9]|1[0-2])"), "month"),
    "Y": (re.compile(r"([12][0-9]{3})"), "year"),
}
_A_YEAR = {"Q": 4, "M": 12, "Y": 1}


@dataclass(frozen=True)
class Period:
    """A span of days with a name: `since` is in it, `until` is the first day left out.

    Parameters
    ----------
    label : str
        2025Q2, 2025-06 or 2025.
    since, until : Timestamp
        First day in, first day out.
    fiscal_year_start : int
        The month in which the fiscal year of quarters and years starts.
    """

    label: str
    since: pd.Timestamp
    until: pd.Timestamp
    fiscal_year_start: int = 1

    @property
    def kind(self) -> str:
        """Q, M or Y."""
        return _kind(self.label)

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.until - self.since).days

    @property
    def weekdays(self) -> int:
        """How many of them are Monday to Friday, at least 1: what bookings are divided by to compare spans."""
        return max(1, int(np.busday_count(self.since.date(), self.until.date())))

    def previous(self, n: int = 1) -> Period:
        """The period `n` before this one, of the same length.

        >>> period("2025Q1").previous().label
        '2024Q4'
        """
        kind = self.kind
        return _named(pd.Period(self.label, freq=_freq(kind, self.fiscal_year_start)) - n, kind, self.fiscal_year_start)

    def year_before(self) -> Period:
        """The same period a year before.

        >>> period("2025-06").year_before().label
        '2024-06'
        """
        return self.previous(_A_YEAR[self.kind])

    def so_far(self, as_of: pd.Timestamp) -> Period:
        """What of it is over by the end of the day `as_of`; itself when all of it is.

        >>> period("2025Q2").so_far(pd.Timestamp("2025-06-08")).days
        69
        """
        if as_of < self.since:
            raise SettingError(
                f"{self.label} begins on {self.since:%Y-%m-%d}, after the data end ({as_of:%Y-%m-%d}). "
                f"The last period with data is {period_at(as_of, self.kind, self.fiscal_year_start).label}."
            )
        return Period(self.label, self.since, min(self.until, as_of + ONE_DAY), self.fiscal_year_start)

    def same_days(self, days: int) -> Period:
        """Its first `days` days, to compare it with a period that is not over; itself when it has no more."""
        return Period(
            self.label, self.since, min(self.until, self.since + pd.Timedelta(days=days)), self.fiscal_year_start
        )

    def compared(self, as_of: pd.Timestamp) -> list[Period]:
        """What of it is over, the period before and the one a year before, these cut to as many days.

        >>> [p.label for p in period("2025Q2").compared(pd.Timestamp("2025-06-08"))]
        ['2025Q2', '2025Q1', '2024Q2']
        """
        now = self.so_far(as_of)
        past = {p.label: p for p in (self.previous(), self.year_before())}
        return [now, *(p if now.days == self.days else p.same_days(now.days) for p in past.values())]


def period(label: str, fiscal_year_start: int = 1) -> Period:
    """The period of that name.

    A quarter or year belongs to the fiscal year that is named by the year in which it ends.

    Parameters
    ----------
    label : str
        2025Q2, 2025-06 or 2025.
    fiscal_year_start : int
        1 for January to 12 for December.

    Raises
    ------
    SettingError
        When the label is none.

    Examples
    --------
    >>> q = period("2025Q2")
    >>> f"{q.since:%Y-%m-%d} {q.until:%Y-%m-%d}"
    '2025-04-01 2025-07-01'
    >>> q = period("2026Q3", fiscal_year_start=2)
    >>> f"{q.since:%Y-%m-%d} {q.until:%Y-%m-%d}"
    '2025-08-01 2025-11-01'
    """
    if not 1 <= fiscal_year_start <= 12:
        raise SettingError(f"fiscal_year_start is {fiscal_year_start}; it is a month, 1 to 12.")
    text = str(label).strip().upper()
    kind = _kind(text)
    return _named(pd.Period(text.replace("-Q", "Q"), freq=_freq(kind, fiscal_year_start)), kind, fiscal_year_start)


def readable(label: str, fiscal_year_start: int) -> Period | None:
    """The period of that name; None where it is none."""
    try:
        return period(label, fiscal_year_start)
    except SettingError:
        return None


def years(span: Period) -> tuple[Period, Period]:
    """The year to the end of a period, and the year before that.

    >>> [f"{y.since:%Y-%m-%d} {y.until:%Y-%m-%d}" for y in years(period("2025Q2"))]
    ['2024-07-01 2025-07-01', '2023-07-01 2024-07-01']
    """
    last = span.year_before()
    ends = (span.until, last.until, last.year_before().until)
    return tuple(replace(span, since=since, until=until) for until, since in pairwise(ends))  # type: ignore[return-value]


def day(text: str, name: str = "as_of") -> pd.Timestamp:
    """A day from its ISO text.

    >>> day("2025-06-08")
    Timestamp('2025-06-08 00:00:00')
    """
    try:
        return pd.Timestamp(pd.to_datetime(str(text), format="%Y-%m-%d"))
    except ValueError:
        raise SettingError(f"{name} is {text!r}; a day is written as 2025-06-30.") from None


def _kind(label: str) -> str:
    for kind, (form, _) in _FORMS.items():
        if form.fullmatch(label):
            return kind
    raise SettingError(f"{label!r} is no period. Write a quarter as 2025Q2, a month as 2025-06, a year as 2025.")


def _freq(kind: str, fiscal_year_start: int) -> str:
    return "M" if kind == "M" else f"{kind}-{MONTHS[(fiscal_year_start + 10) % 12]}"


def _named(span: pd.Period, kind: str, fiscal_year_start: int) -> Period:
    label = f"{span.qyear}Q{span.quarter}" if kind == "Q" else str(span)
    return Period(label, span.start_time.normalize(), span.end_time.normalize() + ONE_DAY, fiscal_year_start)


def period_at(day: pd.Timestamp, kind: str, fiscal_year_start: int = 1) -> Period:
    """The quarter ("Q"), month ("M") or year ("Y") that a day lies in.

    >>> period_at(pd.Timestamp("2025-05-31"), "Q").label, period_at(pd.Timestamp("2025-05-31"), "M").label
    ('2025Q2', '2025-05')
    """
    return _named(day.to_period(_freq(kind, fiscal_year_start)), kind, fiscal_year_start)
