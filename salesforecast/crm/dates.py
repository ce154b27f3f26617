"""Text into days and moments: numbers, month names, Excel's serial numbers, seconds since 1970, moments with a zone."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from salesforecast.crm.words import DIGITS, folded, months, weekdays
from salesforecast.errors import DataError
from salesforecast.tables import examples

_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s*(?:[AaPp]\.?[Mm]\.?)?"
_NUMBERS = rf"^\D{{0,12}}?(?P<a>\d{{1,4}})\s?[-/.]\s?(?P<b>\d{{1,2}})\s?[-/.]\s?(?P<c>\d{{1,4}})\.?(?:[T ,]+(?P<time>{_CLOCK}))?$"
_ISO = r"^\d{4}-?\d{2}-?\d{2}(?:[T ].*)?$"
_ZONE = r"\d{2}:\d{2}.*(?:Z|[+-]\d{2}:?\d{2})$"
_WORD = re.compile(r"\d+|[^\W\d_]+(?:[\u200c'’ʼ][^\W\d_]+)*")
_BESIDE = ("st", "nd", "rd", "th", "kl", "р", "року", "г")  # 3rd, kl. 14:05, 2026 р.
_NO_DAY = (2000, 13, 1)
# Whole columns of plain numbers: what they count, the least and the most that is a day in a sales history.
_SERIAL, _SECONDS, _MILLISECONDS = (20_000, 80_000), (631_152_000, 4_102_444_800), (631_152_000_000, 4_102_444_800_000)


def ascii_digits(text: pd.Series) -> pd.Series:
    """The same with Persian, Arabic and full-width digits as 0 to 9, and 2026年3月1日 as 2026-3-1."""
    odd = text.str.contains(r"[^\x00-\x7f]", regex=True).fillna(False)
    if not odd.any():
        return text
    plain = text[odd].map(
        lambda v: re.sub(r"(\d)\s*日", r"\1", re.sub(r"(\d)\s*[年月]\s*(?=\d)", r"\1-", v.translate(DIGITS)))
    )
    return text.mask(odd, plain)


def date_order(columns: Iterable[pd.Series], where: str) -> str:
    """The order of day and month in a table, "mdy" or "dmy", by the evidence of all its date columns.

    Returns "" where it does not matter.

    Raises
    ------
    DataError
        When every date can be read both ways and the reading matters.
    """
    parts = [p for c in columns if len(p := _split(ascii_digits(pd.Series(c.dropna().unique(), dtype="str"))))]
    if not parts:
        return ""
    all_parts = pd.concat(parts)
    short = all_parts[all_parts["a"].str.len() <= 2]
    first, second = short["a"].astype(int), short["b"].astype(int)
    months_first, days_first = int((second > 12).sum()), int((first > 12).sum())
    if months_first or days_first:
        return "mdy" if months_first >= days_first else "dmy"
    if (first == second).all():
        return ""
    raise DataError(
        f"The dates in {where} can be read as day/month or as month/day, e.g. {examples(short['all'])}. "
        f'Say which in salesforecast.toml: date_order = "dmy" or date_order = "mdy".'
    )


def against(column: pd.Series, order: str) -> list[str]:
    """The different dates of a column that can only be read in the other order of day and month.

    >>> against(pd.Series(["02/23/26", "23/02/26", "03/04/26", "40/50/26"], dtype="str"), "mdy")
    ['23/02/26']
    """
    parts = _split(ascii_digits(pd.Series(column.dropna().unique(), dtype="str")))
    short = parts[parts["a"].str.len() <= 2]
    day, month = ("a", "b") if order == "mdy" else ("b", "a")
    return short.loc[short[day].astype(int).between(13, 31) & short[month].astype(int).le(12), "all"].tolist()


def moments(text: pd.Series, order: str, timezone: str) -> pd.Series:
    """The moments of a column; missing where a text is none."""
    given = ascii_digits(text.dropna())
    out = pd.Series(pd.NaT, index=text.index, dtype="datetime64[us]")
    if given.empty:
        return out
    found = _counted(given, timezone)
    left = given[found.isna()]
    found = found.fillna(_iso(left, timezone))
    for read in (lambda t: _by_numbers(t, order), _by_words):
        if (left := given[found.isna()]).empty:
            break
        found = found.fillna(read(left))
    out.loc[found.index] = found
    return out


def _missing(text: pd.Series) -> pd.Series:
    return pd.Series(pd.NaT, index=text.index, dtype="datetime64[us]")


def _counted(text: pd.Series, timezone: str) -> pd.Series:
    """Days since 1899-12-30, as Excel counts, or seconds or milliseconds since 1970; when all plain numbers are such."""
    numbers = text[text.str.fullmatch(r"\d{5}(?:\.\d+)?|\d{9,13}")]
    others = text.str.fullmatch(r"\d+(?:\.\d+)?") & ~text.index.isin(numbers.index)
    if numbers.empty or others.any():
        return _missing(text)
    value = pd.to_numeric(numbers).astype("float64")
    if value.between(*_SERIAL).all():
        days = pd.Timestamp("1899-12-30") + pd.to_timedelta((value * 86_400).round(), unit="s")
        return days.astype("datetime64[us]").reindex(text.index)
    for unit, span in (("s", _SECONDS), ("ms", _MILLISECONDS)):
        if value.between(*span).all():
            return _local(pd.to_datetime(value.astype("int64"), unit=unit, utc=True), timezone).reindex(text.index)
    return _missing(text)


def _local(aware: pd.Series, timezone: str) -> pd.Series:
    return aware.dt.tz_convert(timezone or "UTC").dt.tz_localize(None).astype("datetime64[us]")


def _iso(text: pd.Series, timezone: str) -> pd.Series:
    form = text[text.str.match(_ISO)]
    if form.empty:
        return _missing(text)
    if (named := form.str.endswith(("UTC", "GMT"))).any():
        form = form.mask(named, form[named].str[:-3].str.rstrip() + "Z")
    if form.str.contains(_ZONE, regex=True).any():
        found = _local(pd.to_datetime(form, format="ISO8601", utc=True, errors="coerce"), timezone)
    else:
        found = pd.to_datetime(form, format="ISO8601", errors="coerce").astype("datetime64[us]")
    persian = found.dt.year.between(1300, 1499)  # no business is that old, but a Persian year is
    if persian.any():
        found = found.mask(persian)
    return found.reindex(text.index)


def _split(text: pd.Series) -> pd.DataFrame:
    """Dates written as three numbers, taken apart: a, b, c, time, all."""
    parts = text.str.extract(_NUMBERS)
    return parts.assign(all=text)[parts["a"].notna()]


def _by_numbers(text: pd.Series, order: str) -> pd.Series:
    parts = _split(text)
    if parts.empty:
        return _missing(text)
    a, b, c = (parts[k].astype(int) for k in "abc")
    year_first = parts["a"].str.len() == 4
    day_first = order == "dmy"
    year = np.where(year_first, a, c)
    month = np.where(year_first | day_first, b, a)
    day = np.where(year_first, c, a if day_first else b)
    year = np.where(year < 69, 2000 + year, np.where(year < 100, 1900 + year, year))
    if (persian := (year >= 1300) & (year < 1500)).any():
        dates = [
            _gregorian(int(y), int(m), int(d)) if p else (y, m, d)
            for y, m, d, p in zip(year, month, day, persian, strict=True)
        ]
        year, month, day = (np.array(v) for v in zip(*dates, strict=True))
    month = np.where(year < 1000, _NO_DAY[1], month)  # a year of three digits is none
    days = pd.to_datetime(
        pd.DataFrame({"year": np.maximum(year, 1000), "month": month, "day": day}, index=parts.index), errors="coerce"
    )
    return (days.astype("datetime64[us]") + _time(parts["time"])).reindex(text.index)


def _time(text: pd.Series) -> pd.Series:
    clock = text.str.extract(r"^(?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2}(?:\.\d+)?))?\s*(?P<half>[AaPp])?").astype(
        "str"
    )
    hours = pd.to_numeric(clock["h"]).fillna(0)
    half = clock["half"].str.casefold()
    hours = hours.where(half.isna(), hours % 12) + (half == "p") * 12
    minutes, seconds = pd.to_numeric(clock["m"]).fillna(0), pd.to_numeric(clock["s"]).fillna(0)
    return pd.to_timedelta(hours * 3600 + minutes * 60 + seconds, unit="s")


# ---- month names -------------------------------------------------------------------------------------------------------


def _by_words(text: pd.Series) -> pd.Series:
    """Dates with the name of a month; each different text is read once."""
    read = {v: _named(v) for v in text.unique()}
    return pd.to_datetime(text.map(read), errors="coerce").astype("datetime64[us]")


def _named(text: str) -> pd.Timestamp | None:
    """A date with the name of its month: 26 October 2012; Oct 26, 2012; 2012. október 26.

    >>> _named("Friday, 26 October 2012"), _named("2026. március 3., kedd"), _named("the 3 of May or so, 2026")
    (Timestamp('2012-10-26 00:00:00'), Timestamp('2026-03-03 00:00:00'), None)
    """
    clock = re.search(rf"[T ,]+({_CLOCK})$", text)
    rest = re.sub(r"年|(?<=\d)日", " ", text[: clock.start()] if clock else text)
    words = [w for w in _WORD.findall(rest) if folded(w) not in weekdays() and folded(w) not in _BESIDE]
    if len(words) != 3:
        words = _without_weekday_in_two(words)
    if (
        len(words) == 3 and len(words[0]) == 4 and all(w.isdecimal() for w in words)
    ):  # a weekday stood beside the numbers
        words = [words[0], f"{int(words[1])}月", words[2]]
    named = [i for i, w in enumerate(words) if folded(w) in months()]
    if len(words) != 3 or len(named) != 1 or named[0] == 2:
        return None
    month = months()[folded(words[named[0]])]
    others = [w for i, w in enumerate(words) if i != named[0]]
    if not all(w.isdecimal() for w in others):
        return None
    year_first = len(others[0]) == 4
    day, year = (int(others[1]), int(others[0])) if year_first else (int(others[0]), int(others[1]))
    if len(others[0 if year_first else 1]) not in (2, 4):
        return None
    year += 0 if year > 99 else 2000 if year < 69 else 1900
    time = _time(pd.Series([clock[1]], dtype="str")).iloc[0] if clock else pd.Timedelta(0)
    if month > 12 or 1300 <= year < 1500:
        year, month, day = _gregorian(year, month - 12 if month > 12 else month, day)
    try:
        return pd.Timestamp(year, month, day) + time
    except ValueError:
        return None


def _without_weekday_in_two(words: list[str]) -> list[str]:
    """The words without a weekday that is written in two, as سه شنبه."""
    for i in range(len(words) - 1):
        if folded(words[i] + words[i + 1]) in weekdays():
            return words[:i] + words[i + 2 :]
    return words


def _gregorian(year: int, month: int, day: int) -> tuple[int, int, int]:
    """A day of the Persian calendar in ours, by the rule of 33 years that holds from 1343 to 1472; the 13th month for no day.

    >>> _gregorian(1404, 1, 1), _gregorian(1403, 12, 30), _gregorian(1399, 10, 11)
    ((2025, 3, 21), (2025, 3, 20), (2020, 12, 31))
    """
    leap = year % 33 in (1, 5, 9, 13, 17, 22, 26, 30)
    if not (1 <= month <= 12 and 1 <= day <= (31 if month <= 6 else 30 if month < 12 or leap else 29)):
        return _NO_DAY
    before = sum(1 for y in range(1343, year) if y % 33 in (1, 5, 9, 13, 17, 22, 26, 30)) if year >= 1343 else -sum(
        1 for y in range(year, 1343) if y % 33 in (1, 5, 9, 13, 17, 22, 26, 30)
    )  # fmt: skip
    days = 365 * (year - 1343) + before + (31 * (month - 1) if month <= 7 else 186 + 30 * (month - 7)) + day - 1
    found = dt.date(1964, 3, 21) + dt.timedelta(days=days)  # 1343-01-01
    return found.year, found.month, found.day
