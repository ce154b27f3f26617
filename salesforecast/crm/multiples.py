"""Amounts written with a word for thousand, million or billion: 2.5k, 1.2M, 5 Mio. €, 3 TEUR."""

from __future__ import annotations

import re

import pandas as pd

from salesforecast import keys

# "T" is a thousand only where a currency follows at once, as in TEUR; "billion" is not the same number in all languages.
_TIMES = {
    1e3: ("k", "tsd", "tys", "thousand", "tausend"),
    1e6: ("m", "mm", "mn", "mio", "mln", "mill", "million", "millions", "millionen"),
    1e9: ("b", "bn", "bln", "mrd", "mld", "milliarde", "milliarden"),
}
_BY_WORD = {word: times for times, words in _TIMES.items() for word in words} | {"t": 1e3}
_WORD = rf"(?i:{'|'.join(sorted((w for w in _BY_WORD if w != 't'), key=len, reverse=True))})\.?"
_SIGN, _UPPER = r"[$€£¥₴₹]", r"[A-Z]{3}(?![A-Za-z])"
_TAIL = rf"(?:{_UPPER}|\s*{_SIGN}|\s+[^\W\d_]{{2,3}}\.?)?[\s)−-]*$"
_AFTER = re.compile(rf"(?<=\d)\s*(?P<word>{_WORD}|[Tt](?={_SIGN}|{_UPPER}))(?={_TAIL})")
_BEFORE = re.compile(rf"^[\s(−-]*(?P<word>[kKmMtT]|(?i:mio|tsd)\.?)\s?(?={_SIGN}|{_UPPER})")
_MAYBE = (  # more than these, quickly
    rf"\d\s*(?:{_WORD}|[Tt])(?:[A-Z]{{3}}|\s*{_SIGN}|\s+[^\s\d]{{2,3}}\.?)?[\s)−-]*$|^[\s(−-]*(?:[kKmMtT]|(?i:mio|tsd)\.?)\s?(?:{_SIGN}|[A-Z]{{3}})"
)


def written(amounts: pd.Series) -> pd.Series:
    """Whether each amount has such a word."""
    return without(amounts)[1].ne(1)


def without(amounts: pd.Series) -> tuple[pd.Series, pd.Series]:
    """The amounts without the word, and by what it multiplies them: 1 where there is none.

    >>> bare, times = without(pd.Series(["2.5k", "5 Mio. €", "TEUR 3", "5 TRY", "7", None], dtype="str"))
    >>> bare.tolist(), times.tolist()
    (['2.5', '5 €', 'EUR 3', '5 TRY', '7', nan], [1000.0, 1000000.0, 1000.0, 1.0, 1.0, 1.0])
    """
    times = pd.Series(1.0, index=amounts.index)
    maybe = keys.matches(amounts, _MAYBE)
    if not maybe.any():
        return amounts, times
    parts = [_without(text) for text in amounts[maybe]]
    bare = amounts.copy()
    bare[maybe], times[maybe] = [text for text, _ in parts], [by for _, by in parts]
    return bare, times


def _without(text: str) -> tuple[str, float]:
    times = 1.0
    for pattern in (_AFTER, _BEFORE):
        if found := pattern.search(text):
            times *= _BY_WORD[found["word"].rstrip(".").casefold()]
            text = text[: found.start("word")].rstrip() + text[found.end("word") :]
    return text, times
