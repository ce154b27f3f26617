"""Bytes into UTF-8: by the mark at the beginning, by strict UTF-8, else by evidence between Windows-1252 and Mac Roman."""

from __future__ import annotations

import codecs
import re

from salesforecast.errors import DataError

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What people write that is no letter, and where it may stand between two letters.
SIGNS = set("\u00a0–—‘’“”•…€£°®™©×½¼¾²³«»¡¿§·\t ")
INSIDE = set("’‘–—·\u00a0")
SAMPLE = 20_000  # places with letters beyond ASCII that are enough to tell encodings apart

_BEYOND = re.compile(rb"[\x00-\x7f]?[\x80-\xff]+[\x00-\x7f]?")
_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


def utf8(data: bytes, name: str) -> tuple[bytes, str]:
    """The same text in UTF-8 without a mark, and the encoding it was in.

    Raises
    ------
    DataError
        When it is no text, or its bytes belong to several encodings or to one that cannot be told.
    """
    mark, encoding = next(((m, e) for m, e in BOMS if data.startswith(m)), (b"", _wide(data)))
    if encoding and encoding != "utf-8":
        try:
            data = data[len(mark) :].decode(encoding).encode()
        except UnicodeError as error:
            raise DataError(
                f"{name} begins as {encoding.upper()} and then breaks off: {error}. Export it again."
            ) from None
    else:
        data = data[len(mark) :]
        encoding = _eight_bit(data, name)
        if encoding != "utf-8":
            data = data.decode(encoding).encode()
    if (at := data.find(b"\0")) >= 0:
        line = data.count(b"\n", 0, at) + 1
        raise DataError(f"{name} holds NUL bytes, e.g. in line {line:,}: it is damaged, or no text. Export it again.")
    return data, encoding


def _wide(data: bytes) -> str:
    """UTF-16 without a mark: every second byte of Western text is 0."""
    head = data[:4096]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if len(head) >= 4 and max(even, odd) > 0.4 * len(head) / 2 and min(even, odd) == 0:
        return "utf-16-le" if odd else "utf-16-be"
    return ""


def _eight_bit(data: bytes, name: str) -> str:
    try:
        data.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError as error:
        first = error.start
    beyond = data.count(b"\n", 0, first) + 1
    parts = [m.group() for _, m in zip(range(SAMPLE), _BEYOND.finditer(data), strict=False)]
    wide = sum(len(_UTF8.findall(p)) for p in parts)
    others = sum(len(re.findall(rb"[\x80-\xff]", _UTF8.sub(b"", p))) for p in parts)
    if wide * 10 >= others:
        raise DataError(
            f"{name} mixes encodings: {wide:,} letters are UTF-8 and {others:,} are not, e.g. in line {beyond:,}. "
            f"Export it again as UTF-8."
        )
    runs = [len(re.findall(rb"[\x80-\xff]", p)) for p in parts]
    if sum(r for r in runs if r >= 4) > sum(runs) / 2:
        raise DataError(
            f"{name} is not UTF-8 and not in Latin letters, e.g. in line {beyond:,}. Save it as UTF-8, so that nothing has "
            f"to be guessed."
        )
    scores = {encoding: _plausible(parts, encoding) for encoding in ("cp1252", "mac_roman")}
    mac_lines = b"\r" in data and b"\n" not in data
    return max(scores, key=lambda e: (scores[e], (e == "mac_roman") == mac_lines))


def _plausible(parts: list[bytes], encoding: str) -> float:
    """How many of the letters beyond ASCII stand where such a letter or sign can stand, less those that do not."""
    score = 0
    for part in parts:
        try:
            text = part.decode(encoding)
        except UnicodeDecodeError:
            return float("-inf")
        for before, char, after in zip(" " + text, text, text[1:] + " ", strict=False):
            if not char.isascii():
                score += 1 if _fits(before, char, after) else -1
    return score


def _fits(before: str, char: str, after: str) -> bool:
    if char.isalpha():
        if char.islower():
            return (before.isalpha() or after.isalpha()) and not after.isupper()
        return (not before.isalpha() or before.isupper()) and after.isalpha()
    return char in SIGNS and (char in INSIDE or not (before.isalpha() and after.isalpha()))
