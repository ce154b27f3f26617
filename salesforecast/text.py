"""Text from the CRM made safe to show, and dates in words."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence

import pandas as pd

from salesforecast import words
from salesforecast.formats import dated, plural
from salesforecast.periods import Period

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December")  # fmt: skip

# control characters, and the marks that could turn the direction of the text that follows
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff]+")


def clean(text: object) -> str:
    """The text on one line, without characters that cannot be seen or that turn the reading direction."""
    return " ".join(UNSEEN.sub(" ", str(text)).split())


def md(text: object) -> str:
    r"""The text with all that Markdown or HTML would read as markup escaped: for names from the CRM in a finding.

    Examples
    --------
    >>> print(md("<b>*Ann* $5"))
    &lt;b&gt;\*Ann\* \$5
    """
    escaped = html.escape(clean(text), quote=False)
    escaped = re.sub(r"[\\`*_\[\]$~|@#^]", r"\\\g<0>", escaped)
    # bare addresses would become links, and a leading sign or number a list or a heading
    escaped = re.sub(r"(?i)(?<=\bwww)\.|(?<=[a-z]):(?=//)|^[-+=]|(?<=^\d)[.)]", r"\\\g<0>", escaped)
    if any(unicodedata.bidirectional(sign) in ("R", "AL") for sign in escaped):
        return f"\u2068{escaped}\u2069"  # its direction stays its own
    return escaped


def opening(text: object) -> str:
    """The text as `md` has it, with a capital: for a name that begins a sentence.

    Examples
    --------
    >>> opening("seasonal naive"), opening("ETS")
    ('Seasonal naive', 'ETS')
    """
    return md(clean(text)[:1].upper() + clean(text)[1:])


def enumerated(names: Sequence[str], most: int = 3, word: str = "and") -> str:
    """The first few, and how many more there are.

    >>> enumerated(["A"]), enumerated(["A", "B"], word="or"), enumerated(["A", "B", "C", "D"])
    ('A', 'A or B', 'A, B, C and 1 other')
    """
    rest = len(names) - most
    *first, last = [*names[:most], *([plural(rest, "other")] if rest > 0 else [])]
    return f"{', '.join(first)} {word} {last}" if first else last


def plain(text: str) -> str:
    r"""A finding without its markup: what a screen reader reads.

    Examples
    --------
    >>> print(plain(r"**Ann \& Co** wins \$5"))
    Ann & Co wins $5
    """
    parts = re.split(r"\\([!-/:-@\[-`{-~])", text)
    parts[::2] = [re.sub(r"[*`]|\b_|_\b", "", part) for part in parts[::2]]
    return html.unescape("".join(parts))


def safe(text: str) -> str:
    """A finding as it is shown: amounts must not turn into formulas, and a finding needs no HTML."""
    return re.sub(r"(?<!\\)\$", r"\\$", text).replace("<", "&lt;")


def day_in_words(day: pd.Timestamp, *, year: bool = True) -> str:
    """8 June 2025, whatever language the machine speaks."""
    return f"{day.day} {MONTHS[day.month - 1]}" + (f" {day.year}" if year else "")


def dates_in_words(period: Period, as_of: pd.Timestamp) -> str:
    """The dates of a period, and how far it has gone.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> quarter = SimpleNamespace(label="2025Q2", since=pd.Timestamp("2025-04-01"), until=pd.Timestamp("2025-07-01"))
    >>> dates_in_words(quarter, pd.Timestamp("2025-06-08"))
    '1 April to 30 June 2025. As of Sunday 8 June, day 69 of 91.'
    """
    last = period.until - pd.Timedelta(days=1)
    language = words.of_page()
    if language.tag != "en":
        return _dates_elsewhere(period.since, last, as_of, language)
    span = f"{day_in_words(period.since, year=period.since.year != last.year)} to {day_in_words(last)}"
    today = f"{DAYS[as_of.day_of_week]} {day_in_words(as_of, year=as_of.year != last.year)}"
    if as_of < period.since:
        return f"{span}. As of {today}, before it begins."
    if as_of >= last:
        return f"{span}. As of {today}; the period is complete."
    day, days = (as_of.normalize() - period.since).days + 1, (period.until - period.since).days
    return f"{span}. As of {today}, day {day} of {days}."


def _dates_elsewhere(since: pd.Timestamp, last: pd.Timestamp, as_of: pd.Timestamp, language: words.Language) -> str:
    """The same in another language, from the patterns its words have for the three English ones."""
    with words.labels():
        since_words, last_words, today = (dated(language.day, day) for day in (since, last, as_of))
    span = language.between.format(lower=since_words, upper=last_words)
    days = (last - since).days + 1
    day = min(max((as_of.normalize() - since).days + 1, 0), days)
    figures = {"day": language.figures(str(day)), "days": language.figures(str(days))}
    pattern = (
        "As of {today}, before it begins."
        if as_of < since
        else "As of {today}; the period is complete."
        if as_of >= last
        else "As of {today}, day {day} of {days}."
    )
    return f"{span}. {language.of(pattern).format(today=today, **figures)}"
