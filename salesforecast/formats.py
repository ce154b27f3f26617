"""Figures in words, the same on every machine: money, shares, counts, days, changes.

A minus is U+2212, a missing figure an en dash. Nothing here reads the machine's locale; the language of figures and
labels is the one that `words.use` set, English without it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd

from salesforecast import words

MISSING = "–"
MINUS = "−"

Format = str | Callable[[Any], str]
_currency = "$"


def missing(x: Any) -> bool:
    """Whether there is nothing to say: None, NaN, NaT, NA or an infinity."""
    return bool(pd.isna(x)) or (isinstance(x, float) and math.isinf(x))


def _bare(x: float, spec: str) -> str:
    """The figure in English signs and digits."""
    text = format(x, spec)
    if not re.search("[1-9]", text):
        text = text.replace("-", "")  # no minus zero
    return text.replace("-", MINUS)


def _figure(x: float, spec: str) -> str:
    return _local(_bare(x, spec))


def _local(bare: str) -> str:
    """A figure as the language in use writes it."""
    language, (figure, share, _) = words.in_use(), bare.partition("%")
    return language.percent.format(figure=language.figures(figure)) if share else language.figures(figure)


def _three(x: float) -> str:
    """Three figures of a positive number below 1,000."""
    return f"{x:.{2 if x < 9.995 else 1 if x < 99.95 else 0}f}"


def _with_currency(sign: str, bare: str, word: str, currency: str) -> str:
    """An amount with its sign, its unit and its currency, each where the language in use has it."""
    pattern = words.in_use().amount
    if pattern.startswith("{currency}{"):
        currency += "\u00a0" if currency[-1:].isalnum() else ""
        return sign + pattern.format(currency=currency, figure=_local(bare) + word)
    return pattern.format(currency=currency, figure=_local(sign + bare) + word)


def use_currency(sign: str) -> None:
    """Set the sign or code that `money` puts before amounts where none is given: the one of the data at hand."""
    global _currency
    _currency = sign


def currency_in_use() -> str:
    """The sign or code that `money` puts before amounts where none is given."""
    return _currency


def money(x: Any, currency: str = "", *, short: bool = False) -> str:
    """An amount in three figures, or in whole units below 10,000; in the currency of the data where none is given.

    Examples
    --------
    >>> money(4_718_200), money(548_000), money(548_000, short=True), money(1240), money(-27_400)
    ('$4.72M', '$548 thousand', '$548k', '$1,240', '−$27.4 thousand')
    >>> money(2.1e9, "€"), money(999_600), money(0), money(None)
    ('€2.10B', '$1.00M', '$0', '–')
    >>> print(money(5e6, "CHF").replace(chr(160), " "))
    CHF 5.00M
    """
    if missing(x):
        return MISSING
    size = abs(float(x))
    if round(size) < 10_000:
        bare, word = f"{round(size):,}", ""
    else:
        scales = words.in_use().scales
        ends = [*(0.9995 * scale.size for scale in scales[1:]), math.inf]
        scale = next(scale for scale, end in zip(scales, ends, strict=True) if size < end)
        scaled, word = size / scale.size, scale.short if short else scale.long
        bare = _three(scaled) if scaled < 999.5 else f"{scaled:,.0f}"
    sign = MINUS if x < 0 and re.search("[1-9]", bare) else ""
    return _with_currency(sign, bare, word, currency or _currency)


def percent(x: Any, digits: int = 0) -> str:
    """A share in per cent.

    Examples
    --------
    >>> percent(0.312), percent(0.312, 1), percent(-0.02), percent(-0.001), percent(float("nan"))
    ('31%', '31.2%', '−2%', '0%', '–')
    """
    return MISSING if missing(x) else _figure(float(x), f".{digits}%")


def points(x: Any) -> str:
    """The difference of two shares.

    Examples
    --------
    >>> points(0.03), points(-0.021), points(0.01), points(0.004), points(None)
    ('+3 points', '−2 points', '+1 point', 'no change', '–')
    """
    if missing(x):
        return MISSING
    bare, whole = _bare(100 * x, ".0f"), _signed(100 * x, ".0f")
    return whole if not re.search("[1-9]", bare) else whole + (" point" if bare.lstrip(MINUS) == "1" else " points")


def points_off(x: float) -> str:
    """How large the difference of two shares is, whatever its sign.

    Examples
    --------
    >>> points_off(-0.03), points_off(0.01), points_off(0.003)
    ('3 points', '1 point', 'under 1 point')
    """
    size = abs(100 * x)
    return plural(round(size), "point") if size >= 0.95 else "under 1 point"


def points_bare(x: Any) -> str:
    """The difference of two shares as a bare figure, for a column whose header says "points".

    Examples
    --------
    >>> points_bare(0.034), points_bare(-0.02), points_bare(None)
    ('+3.4', '−2.0', '–')
    """
    return MISSING if missing(x) else _figure(100 * float(x), "+.1f")


def count(x: Any) -> str:
    """A whole number.

    Examples
    --------
    >>> count(4238), count(0), count(float("nan"))
    ('4,238', '0', '–')
    """
    return MISSING if missing(x) else _figure(float(x), ",.0f")


def days(x: Any) -> str:
    """A time in whole days.

    Examples
    --------
    >>> days(47.2), days(1), days(1204), days(None)
    ('47 days', '1 day', '1,204 days', '–')
    """
    return MISSING if missing(x) else plural(round(x), "day")


def duration(x: Any) -> str:
    """A time given in days, in the unit that suits it.

    Examples
    --------
    >>> duration(47.2), duration(3.87), duration(0.295), duration(0.00213), duration(None)
    ('47 days', '3.9 days', '7.1 hours', '3.1 minutes', '–')
    """
    if missing(x):
        return MISSING
    size = abs(float(x))
    for unit, scale in (("day", 1), ("hour", 24), ("minute", 1440), ("second", 86400)):
        if size * scale >= 1 or unit == "second":
            value = float(x) * scale
            rounded = f"{value:.1f}".removesuffix(".0") if abs(value) < 9.95 else f"{value:,.0f}"
            return f"{_local(rounded.replace('-', MINUS))} {words.t(unit + ('' if rounded == '1' else 's'))}"
    raise AssertionError


def times(x: Any) -> str:
    """A multiple.

    Examples
    --------
    >>> times(2.14), times(12), times(None)
    ('2.1×', '12.0×', '–')
    """
    return MISSING if missing(x) else _figure(float(x), ",.1f") + "×"


def change(x: Any) -> str:
    """A relative change.

    Examples
    --------
    >>> change(0.06), change(-0.021), change(0.004), change(None)
    ('+6%', '−2%', 'no change', '–')
    """
    return MISSING if missing(x) else _signed(x, ".0%")


def _signed(x: Any, spec: str) -> str:
    bare = _bare(float(x), spec)
    if not re.search("[1-9]", bare):
        return words.t("no change")
    return _local(bare if bare.startswith(MINUS) else "+" + bare)


def between(lower: Any, upper: Any, fmt: Format) -> str:
    """A range in words; `fmt` is a function of this module or a format such as ".0%".

    Examples
    --------
    >>> between(0.37, 0.68, percent), between(4.33, 5.15, ".2f"), between(None, 5, count)
    ('37% to 68%', '4.33 to 5.15', '–')
    """
    if missing(lower) or missing(upper):
        return MISSING
    say = speaker(fmt)
    return words.in_use().between.format(lower=say(lower), upper=say(upper))


def plural(n: Any, one: str, many: str = "") -> str:
    """A number with its noun.

    Examples
    --------
    >>> plural(1, "deal"), plural(1234, "deal"), plural(2, "opportunity"), plural(0, "loss"), plural(2, "man", "men")
    ('1 deal', '1,234 deals', '2 opportunities', '0 losses', '2 men')
    """
    if not many:
        ies, es = re.search("[^aeiou]y$", one), re.search("(s|x|ch|sh)$", one)
        many = one[:-1] + "ies" if ies else one + "es" if es else one + "s"
    return f"{count(n)} {one if n == 1 else many}"


def day(x: Any) -> str:
    """A date.

    Examples
    --------
    >>> day("2025-06-08"), day(None)
    ('8 Jun 2025', '–')
    """
    if missing(x):
        return MISSING
    return dated(words.in_use().day, x)


def dated(pattern: str, x: Any) -> str:
    """A date in a pattern of the language in use: `day`, `month` or `month_day` of `words.Language`.

    Examples
    --------
    >>> dated(words.in_use().month, "2025-06-08")
    'Jun 2025'
    """
    at, language = pd.Timestamp(x), words.in_use()
    day, year = language.figures(str(at.day)), language.figures(str(at.year))
    return pattern.format(day=day, month=language.months[at.month - 1], year=year)


def label(text: str) -> str:
    """A figure in English words, as `money` or `percent` write it, in the language of the page.

    Examples
    --------
    >>> label("$68.9 thousand"), label("no change")
    ('$68.9 thousand', 'no change')
    """
    language = words.of_page()
    found = re.fullmatch(rf"([+{MINUS}]?)(\D*?)\s?([\d.,]+)\s?(\D*)", text)
    if language.tag == "en" or found is None:
        return language.of(text)
    sign, currency, figure, unit = found.groups()
    if unit == "%":
        return language.percent.format(figure=language.figures(sign + figure))
    scale = {"k": 1e3, "thousand": 1e3, "M": 1e6, "B": 1e9}.get(unit)
    with words.labels():
        if scale:
            return money(float(figure.replace(",", "")) * scale * (-1 if sign == MINUS else 1), currency or " ").strip()
        written = _with_currency(sign, figure, "", currency) if currency else language.figures(sign + figure)
        return f"{written} {words.t(unit)}" if unit else written


def share(x: Any) -> str:
    """A share as a bare figure, for a column whose header says "%".

    Examples
    --------
    >>> share(0.527), share(None)
    ('53', '–')
    """
    return MISSING if missing(x) else _local(_bare(float(x), ".0%").removesuffix("%"))


def figure(digits: int) -> Callable[[Any], str]:
    """The format for a bare figure with so many decimals.

    Examples
    --------
    >>> figure(1)(1234.56), figure(2)(-0.001), figure(0)(None)
    ('1,234.6', '0.00', '–')
    """

    def say(x: Any) -> str:
        return MISSING if missing(x) else _figure(float(x), f",.{digits}f")

    return say


def money_in(fmt: Format) -> str | None:
    """The currency, when this format is one of money: `money`, a partial of it, or a currency sign.

    Examples
    --------
    >>> money_in(money), money_in(partial(money, currency="€")), money_in("CHF"), money_in(".0%")
    ('$', '€', 'CHF', None)
    """
    if isinstance(fmt, str):
        return None if re.search(r"[\d%.,]", fmt) or fmt in {"", "f", "g", "e", "n", "d"} else fmt
    if isinstance(fmt, partial) and fmt.func is money:
        return str(fmt.keywords.get("currency") or _currency)
    return _currency if fmt is money else None


def speaker(fmt: Format) -> Callable[[Any], str]:
    """The function behind a format: a function as it is, a currency short, else Python's format language.

    Examples
    --------
    >>> speaker(".1f")(-2), speaker("€")(548_000), speaker(days)(3)
    ('−2.0', '€548k', '3 days')
    """
    currency = money_in(fmt)
    if currency is not None:
        return partial(money, currency=currency, short=True)
    if isinstance(fmt, str):
        return lambda x: MISSING if missing(x) else _figure(float(x), fmt)
    return fmt


def for_spreadsheet(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with text that a spreadsheet would run as a formula kept as text, by an apostrophe before it.

    Examples
    --------
    >>> for_spreadsheet(pd.DataFrame({"name": ["=1+1", "Ann"], "n": [-1, 2]}))["name"].tolist()
    ["'=1+1", 'Ann']
    """
    texts = [c for c in frame if pd.api.types.is_string_dtype(frame[c].dtype)]
    return frame.assign(**{c: frame[c].str.replace(r"^(?=[=+\-@\t\r])", "'", regex=True) for c in texts})
