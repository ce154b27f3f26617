"""The language of labels and figures: one TOML a language beside this file; English is the language of the code.

A language says how figures, dates, amounts and ranges are written, and has the words of labels by their English
ones. Tables, axes and labels are written in the language of the page, within `labels()`; a sentence is English with
English figures, since half a sentence in another script cannot be read.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from salesforecast.errors import SettingError, unknown

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Scale:
    """A unit of large amounts: its size, its word behind a short and a long figure, and at the head of a column."""

    size: float
    short: str
    long: str
    head: str


@dataclass(frozen=True)
class Language:
    """How a language writes figures, dates and labels.

    Parameters
    ----------
    tag : str
        Its BCP 47 tag: "hu".
    rtl : bool
        Whether it is written from right to left.
    decimal, group, digits : str
        The signs between whole and fraction and between thousands; its ten digits.
    percent, amount, between : str
        Patterns: of a share, of an amount with its currency, of a range.
    scales : tuple of Scale
        Units of large amounts, smallest first.
    months : tuple of str
        The short names of the months.
    day, month, month_day : str
        Patterns of a date, of a month with its year, and of a day without its year.
    words : mapping
        Labels by their English ones.
    """

    tag: str = "en"
    rtl: bool = False
    decimal: str = "."
    group: str = ","
    digits: str = "0123456789"
    percent: str = "{figure}%"
    amount: str = "{currency}{figure}"
    between: str = "{lower} to {upper}"
    scales: tuple[Scale, ...] = (
        Scale(1e3, "k", " thousand", "thousand"),
        Scale(1e6, "M", "M", "million"),
        Scale(1e9, "B", "B", "billion"),
    )
    months: tuple[str, ...] = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    day: str = "{day} {month} {year}"
    month: str = "{month} {year}"
    month_day: str = "{day} {month}"
    words: Mapping[str, str] = field(default_factory=dict)

    def of(self, label: str) -> str:
        """The label in this language, or as it is."""
        return self.words.get(label, label)

    def figures(self, text: str) -> str:
        """A figure as Python writes it, with the signs and digits of this language.

        Examples
        --------
        >>> print(language("hu").figures("1,234.5").replace(chr(160), " "), language("fa").figures("12.5"))
        1 234,5 ۱۲٫۵
        """
        if self.tag == "en":
            return text
        if self.rtl and text[:1] in {"+", "\u2212"}:
            text = "\u200e" + text  # else the sign would stand behind its figure
        return text.translate(
            str.maketrans(dict(zip("0123456789.,", [*self.digits, self.decimal, self.group], strict=True)))
        )


ENGLISH = Language()
_of_page = ENGLISH
_writing_labels = False


def languages() -> list[str]:
    """The tags of the languages there are."""
    return sorted(["en", *(path.stem for path in HERE.glob("*.toml"))])


@cache
def language(tag: str) -> Language:
    """A language by its tag; of "nb-NO" the "nb".

    Examples
    --------
    >>> language("nb-NO").tag, language("").tag
    ('nb', 'en')

    Raises
    ------
    SettingError
        When there is none of that tag.
    """
    short = {"no": "nb", "": "en"}.get(found := tag.replace("_", "-").split("-")[0].lower(), found)
    if short == "en":
        return ENGLISH
    if short not in languages():
        raise unknown("locale", tag, languages())
    given = tomllib.loads((HERE / f"{short}.toml").read_text("utf-8"))
    try:
        scales = tuple(Scale(**scale) for scale in given.pop("scales"))
        return Language(short, scales=scales, months=tuple(given.pop("months")), **given)
    except (KeyError, TypeError) as error:
        raise SettingError(f"The words of {short} are not complete: {error}.") from None


def use(tag: str) -> None:
    """Make this the language of the page from now on."""
    global _of_page
    _of_page = language(tag)


def of_page() -> Language:
    """The language of the page."""
    return _of_page


@contextmanager
def labels() -> Iterator[None]:
    """Write labels, within, in the language of the page; also a decorator."""
    global _writing_labels
    before, _writing_labels = _writing_labels, True
    try:
        yield
    finally:
        _writing_labels = before


def in_use() -> Language:
    """The language that is written now: of the page within `labels()`, English in sentences."""
    return _of_page if _writing_labels else ENGLISH


def t(label: str) -> str:
    """The label in the language that is written now."""
    return in_use().of(label)
