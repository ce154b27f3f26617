"""Days on which business is done: no weekend and no public holiday, by the calendar of a country."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from salesforecast.errors import unknown


class Calendar(NamedTuple):
    """Public holidays, days of the weekend (0 is Monday), and days of the weekend that are worked."""

    free: pd.DatetimeIndex
    weekend: list[int]
    worked: pd.DatetimeIndex


def calendar(country: str, days: pd.DatetimeIndex) -> Calendar:
    """The calendar of a country ("GB", "GB-ENG") for the years of these days; of none: Monday to Friday, without holidays.

    Raises
    ------
    SettingError
        When there is no calendar of that country.
    """
    if not country:
        return Calendar(pd.DatetimeIndex([]), [5, 6], pd.DatetimeIndex([]))
    found = holidays_of(country, range(days[0].year, days[-1].year + 1))
    worked: set[Any] = getattr(found, "weekend_workdays", set())
    return Calendar(pd.DatetimeIndex(sorted(found)), sorted(found.weekend), pd.DatetimeIndex(sorted(worked)))


def holidays_of(country: str, years: range, language: str | None = None):  # type: ignore[no-untyped-def]
    """The public holidays of the years, of the package `holidays`."""
    import holidays  # here, since it costs a moment that who asks for no country need not wait for

    state, _, part = country.partition("-")
    known = holidays.list_supported_countries()
    if state not in known:
        raise unknown("calendar of the country", state, known)
    if part and part not in known[state]:
        raise unknown(f"calendar of a part of {state}", part, known[state])
    return holidays.country_holidays(state, subdiv=part or None, years=years, language=language)


def open_days(days: pd.DatetimeIndex, country: str = "") -> pd.Series:
    """Whether each day is a working day, by day.

    >>> open_days(pd.date_range("2024-12-24", periods=3), "GB").tolist()
    [True, False, False]
    """
    free, weekend, worked = calendar(country, days)
    return pd.Series(~days.day_of_week.isin(weekend) & ~days.isin(free) | days.isin(worked), index=days)
