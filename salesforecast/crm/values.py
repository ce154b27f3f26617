"""Text into values, column by column: how a column is written is decided by all of its values, never by one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from salesforecast.errors import DataError
from salesforecast.tables import Kind, examples

# What people and programs write where there is nothing. NA, None and null may be names (North America, Mr None), so in
# text only the others count.
NOTHING_IN_TEXT = {"-", "–", "—", "(no value)", "(none)", "(blank)", "#n/a"}
NOTHING = NOTHING_IN_TEXT | {"none", "null", "nan", "n/a", "na"}
FLAGS = {
    **dict.fromkeys(("true", "yes", "y", "t", "1", "1.0"), True),
    **dict.fromkeys(("false", "no", "n", "f", "0", "0.0"), False),
}

_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s*(?:[AaPp][Mm])?"
_NUMBERS = rf"^\D{{0,12}}?(?P<a>\d{{1,4}})[-/.](?P<b>\d{{1,2}})[-/.](?P<c>\d{{1,4}})(?:[T ,]+(?P<time>{_CLOCK}))?$"
_ZONE = r"\d{2}:\d{2}.*(?:Z|[+-]\d{2}:?\d{2})$"
_WORDS = ("%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%y", "%d, %b, %y", "%A, %d %B %Y")


def parse(text: pd.Series, kind: Kind, *, order: str = "", timezone: str = "", per_cent: bool = False) -> pd.Series:
    """The values of a column; missing where a text is not of the kind.

    Parameters
    ----------
    text : Series of str
        Trimmed; missing where nothing is written.
    kind : str
        One of `tables.KINDS`.
    order : str
        "mdy" or "dmy" for dates whose numbers do not begin with the year, as `date_order` found it.
    timezone : str
        Zone into which zone-aware moments are turned; UTC when empty.
    per_cent : bool
        Whether plain numbers are per cent.

    Returns
    -------
    Series
        str, datetime64[us], float64 or boolean.

    Examples
    --------
    >>> parse(pd.Series(["$1,493,660", "2,000", None]), "money").tolist()
    [1493660.0, 2000.0, nan]
    >>> parse(pd.Series(["02/23/26", "TBD"]), "date", order="mdy").dt.strftime("%Y-%m-%d").tolist()
    ['2026-02-23', nan]
    """
    if kind in ("id", "label"):
        return text.astype("str")
    if kind in ("date", "moment"):
        moments = _moments(text, order, timezone).astype("datetime64[us]")
        return moments.dt.normalize() if kind == "date" else moments
    if kind == "flag":
        return text.str.casefold().map(FLAGS).astype("boolean")
    return _numbers(text, per_cent=per_cent)


def date_order(columns: Iterable[pd.Series], where: str) -> str:
    """The order of day and month in a table, "mdy" or "dmy", by the evidence of all its date columns.

    Returns "" where it does not matter.

    Raises
    ------
    DataError
        When every date can be read both ways and the reading matters.
    """
    parts = [p for c in columns if len(p := _split(c.dropna())) and not p.empty]
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


def _split(text: pd.Series) -> pd.DataFrame:
    """Dates written as three numbers, taken apart: a, b, c, time, all."""
    parts = text.str.extract(_NUMBERS)
    return parts.assign(all=text)[parts["a"].notna()]


def _moments(text: pd.Series, order: str, timezone: str) -> pd.Series:
    given = text.dropna()
    out = pd.Series(pd.NaT, index=text.index, dtype="datetime64[us]")
    if given.empty:
        return out
    if given.str.contains(_ZONE, regex=True).any():
        aware = pd.to_datetime(given, format="ISO8601", utc=True, errors="coerce")
        found = aware.dt.tz_convert(timezone or "UTC").dt.tz_localize(None)
    else:
        found = pd.to_datetime(given, format="ISO8601", errors="coerce")
    found = found.astype("datetime64[us]")
    rest = given[found.isna()]
    if len(rest):
        found = found.fillna(_by_numbers(rest, order))
        for form in _WORDS:
            if found.notna().all():
                break
            left = given[found.isna()]
            found = found.fillna(pd.to_datetime(left, format=form, errors="coerce").astype("datetime64[us]"))
    out.loc[found.index] = found
    return out


def _by_numbers(text: pd.Series, order: str) -> pd.Series:
    parts = _split(text)
    if parts.empty:
        return pd.Series(pd.NaT, index=text.index, dtype="datetime64[us]")
    a, b, c = (parts[k].astype(int) for k in "abc")
    year_first = parts["a"].str.len() == 4
    day_first = order == "dmy"
    year = np.where(year_first, a, c)
    month = np.where(year_first | day_first, b, a)
    day = np.where(year_first, c, a if day_first else b)
    year = np.where(year < 69, 2000 + year, np.where(year < 100, 1900 + year, year))
    days = pd.to_datetime(pd.DataFrame({"year": year, "month": month, "day": day}, index=parts.index), errors="coerce")
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


def _numbers(text: pd.Series, *, per_cent: bool) -> pd.Series:
    plain = pd.to_numeric(text, errors="coerce").astype("float64").replace([np.inf, -np.inf], np.nan)
    odd = text[plain.isna() & text.notna()]
    if odd.empty:
        return plain / 100 if per_cent else plain
    comma = _comma_is_decimal(odd)
    if comma:
        odd = text.dropna()  # then 2.000 is two thousand, which the fast way above has read as 2
    percent = odd.str.contains("%", regex=False)
    negative = odd.str.contains(r"^\s*\(.*\)\s*$|^[^\d]*[−-]|[−-]\s*$", regex=True)
    bare = odd.str.replace(r"(?i)^[\s(−-]*(?:[a-z]{1,3}(?=[\s$€£¥\d−-]))?[\s$€£¥(−-]*", "", regex=True)
    bare = bare.str.replace(r"(?i)[\s$€£¥%)]*(?:\s*[a-z]{3})?[\s%)−-]*$", "", regex=True)
    bare = bare.str.replace(r"['’\s\u00a0\u202f]", "", regex=True)
    thousands, point = (".", ",") if comma else (",", ".")
    bare = bare.str.replace(thousands, "", regex=False).str.replace(point, ".", regex=False)
    value = pd.to_numeric(bare.where(bare.str.fullmatch(r"\d+(\.\d*)?|\.\d+")), errors="coerce") * np.where(
        negative, -1.0, 1.0
    )
    plain = plain / 100 if per_cent else plain
    plain.loc[odd.index] = value / np.where(percent | per_cent, 100.0, 1.0)
    return plain


def _comma_is_decimal(column: pd.Series) -> bool:
    """Whether this column writes 1.234,50: by its values that could be nothing else."""
    german = column.str.contains(r",\d{1,2}\D*$|,\d{4,}\D*$|\.\d{3},", regex=True).any()
    return bool(german and not column.str.contains(r",\d{3}\.|,\d{3},", regex=True).any())
