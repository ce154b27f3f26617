"""Text into values, column by column: how a column is written is decided by all of its values, never by one."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from salesforecast.crm import currencies, dates, multiples
from salesforecast.crm.dates import against, date_order
from salesforecast.tables import Kind

__all__ = ["FLAGS", "NOTHING", "NOTHING_IN_TEXT", "against", "date_order", "parse"]

# What people and programs write where there is nothing. NA, None and null may be names (North America, Mr None), so in
# text only the others count.
NOTHING_IN_TEXT = {"-", "–", "—", "(no value)", "(none)", "(blank)", "#n/a"}
NOTHING = NOTHING_IN_TEXT | {"none", "null", "nan", "n/a", "na"}
FLAGS = {
    **dict.fromkeys(("true", "yes", "y", "t", "1", "1.0"), True),
    **dict.fromkeys(("false", "no", "n", "f", "0", "0.0"), False),
}
# What stands around a number: a currency's code or sign; and ,- or .- for no cents, which is no minus.
_BEFORE = rf"(?i)^[\s(−-]*(?:(?:[a-z]{{1,3}}|{currencies.NAMED})(?=[\s$€£¥₴₹\d−-]|\.\s?\d)\.?)?[\s$€£¥₴₹(−-]*"
_AFTER = rf"(?i)[\s$€£¥₴₹%)]*(?:\s*(?:[a-z]{{3}}|{currencies.NAMED}\.?))?[\s%)−-]*$"
_NO_CENTS = r"[.,]\s?[−–—-]+(?=\D*$)"


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
        found = dates.moments(text, order, timezone)
        return found.dt.normalize() if kind == "date" else found
    if kind == "flag":
        return text.str.casefold().map(FLAGS).astype("boolean")
    return _numbers(text, kind, per_cent=per_cent)


def _numbers(text: pd.Series, kind: Kind, *, per_cent: bool) -> pd.Series:
    text = dates.ascii_digits(text)
    plain = pd.to_numeric(text, errors="coerce").astype("float64").replace([np.inf, -np.inf], np.nan)
    odd = text[plain.isna() & text.notna()]
    if odd.empty:
        return _fractions(plain) if per_cent else plain
    comma = _comma_is_decimal(odd)
    if comma:
        odd = text.dropna()  # then 2.000 is two thousand, which the fast way above has read as 2
    odd, times = multiples.without(odd.str.replace(_NO_CENTS, "", regex=True))
    percent = odd.str.contains("%", regex=False)
    negative = odd.str.contains(r"^\s*\(.*\)\s*$|^[^\d]*[−-]|[−-]\s*$", regex=True)
    bare = odd.str.replace(_BEFORE, "", regex=True).str.replace(_AFTER, "", regex=True)
    bare = bare.str.replace(r"['’\s\u00a0\u202f]", "", regex=True)
    thousands, point = (".", ",") if comma else (",", ".")
    t, p = re.escape(thousands), re.escape(point)
    whole = rf"\d+|\d{{1,3}}(?:{t}\d{{2,3}})*{t}\d{{3}}"  # also 12,34,567
    bare = bare.where(bare.str.fullmatch(rf"(?:{whole})(?:{p}\d*)?|{p}\d+"))
    bare = bare.str.replace(thousands, "", regex=False).str.replace(point, ".", regex=False)
    value = pd.to_numeric(bare, errors="coerce") * np.where(negative, -1.0, 1.0)
    # Only an amount is counted in thousands: 5 m of minutes, or 5 k of seats, may be anything.
    value = (value * times).round(2).where(times != 1, value) if kind == "money" else value.where(times == 1)
    plain = plain / 100 if per_cent else plain
    plain.loc[odd.index] = value / np.where(percent | per_cent, 100.0, 1.0)
    return plain


def _fractions(plain: pd.Series) -> pd.Series:
    """Per cent as fractions; a column that holds fractions already, as Excel keeps them, stays."""
    inside = plain.between(0, 1, inclusive="neither").any() and plain.max() <= 1
    return plain if inside else plain / 100


def _comma_is_decimal(column: pd.Series) -> bool:
    """Whether this column writes 1.234,50: by its values that could be nothing else."""
    german = column.str.contains(r",\d{1,2}\D*$|,\d{4,}\D*$|\.\d{3},", regex=True).any()
    return bool(german and not column.str.contains(r",\d{3}\.|,\d{3},", regex=True).any())
