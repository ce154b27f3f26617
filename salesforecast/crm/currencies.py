"""Which currency amounts are in: by a column, or by the code or sign that stands beside each amount."""

from __future__ import annotations

import re
from collections.abc import Collection

import pandas as pd

from salesforecast import keys
from salesforecast.crm import multiples

# The amount that says it for a row, where no column does.
AMOUNTS = {"opportunities": "amount", "stage_history": "amount", "orders": "net_amount"}
# A sign, and whose it may be: the first where nothing in the data says more.
SIGNS = {
    "$": ("USD", "AUD", "CAD", "NZD", "SGD", "HKD", "MXN"), "US$": ("USD",), "A$": ("AUD",), "C$": ("CAD",), "R$": ("BRL",),
    "€": ("EUR",), "£": ("GBP",), "¥": ("JPY", "CNY"), "kr": ("NOK", "SEK", "DKK", "ISK"), "Ft": ("HUF",), "zł": ("PLN",),
    "Kč": ("CZK",), "₴": ("UAH",), "₹": ("INR",), "Fr": ("CHF",),
}  # fmt: skip
NAMED = rf"(?:{'|'.join(sign for sign in SIGNS if sign.isalpha())})"  # the signs that are words, as kr
_CODE = rf"[A-Za-z]{{0,2}}[$€£¥₴₹]|[A-Za-z]{{3}}|(?i:{NAMED})"
_BESIDE = re.compile(
    rf"^[\s(−-]*(?P<before>{_CODE})\.?[\s(−-]*\d|\d(?:[.,]\s?[−–—-]+)?[\s)]*(?P<after>{_CODE})\.?[\s)]*$"
)


def codes(written: pd.Series) -> pd.Series:
    """Currencies as their codes of three letters; a sign of several countries stays a sign.

    >>> codes(pd.Series(["eur", "USD - U.S. Dollar", "€", "$", " ", None], dtype="str")).tolist()
    ['EUR', 'USD', 'EUR', '$', nan, nan]
    """
    return written.map({v: _code(v) for v in written.dropna().unique()}).astype("str")


def _code(text: str) -> str | None:
    text = text.strip()
    if found := re.match(r"[A-Za-z]{3}\b", text):
        return found[0].upper()
    signs = {sign.casefold(): sign for sign in SIGNS}
    sign = signs.get(text.casefold(), text)
    return SIGNS[sign][0] if len(SIGNS.get(sign, ())) == 1 else sign or None


def beside(amounts: pd.Series) -> pd.Series | None:
    """The code or sign beside each amount, as it is written; None where no amount has one.

    >>> beside(pd.Series(["USD 485,000.00", "€5", "1 200 EUR", "5 Mio.", "2k kr", "TBD"], dtype="str")).tolist()
    ['USD', '€', 'EUR', nan, 'kr', nan]
    """
    maybe = keys.matches(amounts, r"[A-Za-z$€£¥₴₹]")
    if not maybe.any():
        return None
    parts = multiples.without(amounts[maybe])[0].str.extract(_BESIDE)
    found = parts["before"].fillna(parts["after"])
    return found.reindex(amounts.index).astype("str") if found.notna().any() else None


def only_one(tables: dict[str, pd.DataFrame]) -> str:
    """The currency of all deals, when they say one and the same; else ""."""
    said = tables["opportunities"].get("currency")
    found = codes(said).dropna().unique() if said is not None else []
    return str(found[0]) if len(found) == 1 else ""


def reporting(setting: str, given: Collection[str]) -> str:
    """The code of the reporting currency, which the setting may give by a sign that several countries have.

    >>> reporting("EUR", ["USD"]), reporting("$", ["CAD", "EUR"]), reporting("$", ["USD", "CAD"]), reporting("kr.", ["SEK"])
    ('EUR', 'CAD', 'USD', 'SEK')
    """
    may = SIGNS.get(setting) or SIGNS.get(setting.rstrip("."))
    if may is None:
        return setting.strip().upper()
    here = [c for c in may if c in given]
    return here[0] if len(here) == 1 else may[0]
