"""CSV and its like: which separator, where the headers are, and all rows as text exactly as they are written."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc

from salesforecast.crm.sheets import AHEAD, SIGNS, header_row, tidy
from salesforecast.errors import DataError
from salesforecast.tables import examples

SEPARATORS = "".join(SIGNS)
HEAD = 1 << 22  # characters in which the separator and the headers are looked for
BLOCK = 1 << 23  # bytes read at once; a row has to fit
END = "\x1eend of the rows"

csv.field_size_limit(1 << 30)


def rows(data: bytes, name: str, known: Collection[str]) -> tuple[pd.DataFrame, str, str]:
    """The rows of a CSV file in UTF-8 under its headers, what was dropped, and which rows were filled up.

    Raises
    ------
    DataError
        When it is empty, has more values than headers, or a quote that is never closed.
    """
    head = data[:HEAD].decode("utf-8", errors="ignore")
    if not head.strip():
        raise DataError(f"{name} is empty. Export it again, or take it out of the folder.")
    between, first, ends = _cut(head, len(data) <= HEAD)
    place = header_row(first, known)
    end = ends[place] if place < len(ends) else len(head)
    lines = len(re.findall(r"\r\n?|\n", head[:end])) + 1
    body = data[len(head[:end].encode()) :]
    usual = Counter(len(row) for row in first[place + 1 :] if row)
    width = max(usual, key=lambda w: (usual[w], w), default=len(first[place]))
    frame, short = _body(body, width, between, name, lines)
    titles = [" ".join(v.strip() for v in row if v.strip()) for row in first[:place]]
    return tidy(
        first[place], frame, name, first_line=lines, short=short, titles=[t for t in titles if t], between=between
    )


def _cut(head: str, whole: bool) -> tuple[str, list[list[str]], list[int]]:
    """The separator that cuts the most lines into the same number of values, and the first lines cut by it."""
    found = {mark: _first_rows(head, mark, whole) for mark in SEPARATORS}

    def score(mark: str) -> tuple[int, int]:
        widths = Counter(len(row) for row in found[mark][0] if len(row) > 1)
        width, times = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
        return times, width

    best = max(SEPARATORS, key=score)
    return best, *found[best]


def _first_rows(head: str, between: str, whole: bool) -> tuple[list[list[str]], list[int]]:
    """The first lines cut into values, and where each ends in the text."""
    at, ends, found = 0, [], []

    def lines() -> Iterator[str]:
        nonlocal at
        for line in io.StringIO(head, newline=""):
            at += len(line)
            yield line

    for row in csv.reader(lines(), delimiter=between):
        found.append(row)
        ends.append(at)
        if len(found) >= 2 * AHEAD:
            return found, ends
    if not whole and len(found) > 1:  # the last one may be cut off
        return found[:-1], ends[:-1]
    return found, ends


def _body(data: bytes, width: int, between: str, name: str, first_line: int) -> tuple[pd.DataFrame, list[int]]:
    """All rows, those with fewer or more values than usual in their places; and the places of those with fewer."""
    quoted = b'"' in data
    if quoted:
        data = b"".join([data, f"\n{END}{between * (width - 1)}\n".encode()])
    table, odd = _parsed(data, width, between, name)
    if quoted and not (table.num_rows and table[0][-1].as_py() == END):
        raise DataError(f"{name} has a quote that is opened and never closed. Export it again with quotes doubled.")
    table = table.slice(0, table.num_rows - 1) if quoted else table
    frame = table.to_pandas().set_axis(range(width), axis=1)
    if quoted:
        _no_rows_in_values(frame, between, name, first_line)
    if not odd:
        return frame, []
    values = [next(csv.reader(io.StringIO(row.text, newline=""), delimiter=between), []) for row in odd]
    wide = max(width, *map(len, values))
    more = pd.DataFrame([v + [""] * (wide - len(v)) for v in values], dtype="str")
    places = [row.number - 1 for row in odd]
    taken = set(places)
    frame = frame.reindex(columns=range(wide), fill_value="").astype("str")
    frame.index = pd.Index([i for i in range(len(frame) + len(odd)) if i not in taken])
    frame = pd.concat([frame, more.set_axis(places, axis=0)]).sort_index()
    return frame, [p for p, v in zip(places, values, strict=True) if len(v) < width]


def _parsed(data: bytes, width: int, between: str, name: str) -> tuple[pa.Table, list[Any]]:
    """The rows of the usual width, and the others as they are written."""
    names = [str(i) for i in range(width)]
    block = BLOCK
    while True:
        odd: list[Any] = []

        def keep(row: Any, odd: list[Any] = odd) -> str:
            odd.append(row)
            return "skip"

        try:
            table = pc.read_csv(
                pa.BufferReader(data),
                # One thread only: several do not say in which line an odd row stands.
                read_options=pc.ReadOptions(column_names=names, block_size=block, use_threads=False),
                parse_options=pc.ParseOptions(delimiter=between, newlines_in_values=True, invalid_row_handler=keep),
                convert_options=pc.ConvertOptions(column_types=dict.fromkeys(names, pa.large_string()), strings_can_be_null=False),
            )  # fmt: skip
            return table, odd
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return pa.table({n: pa.array([], pa.large_string()) for n in names}), []
            if "straddling" not in str(error) or block > len(data):
                raise DataError(f"{name} cannot be read as CSV: {str(error).strip()}.") from None
            block = min(block * 16, (1 << 31) - 1) if len(data) < 1 << 31 else len(data)


def _no_rows_in_values(frame: pd.DataFrame, between: str, name: str, first_line: int) -> None:
    """Refuse a value that has swallowed whole rows, because a quote was opened and closed somewhere far below."""
    if len(frame.columns) < 3:
        return
    for c in frame:
        for place, text in frame[c][frame[c].str.contains(r"[\r\n]", regex=True)].items():
            if any(line.count(between) >= len(frame.columns) - 1 for line in text.splitlines()[1:]):
                raise DataError(
                    f"{name} has a value that holds whole lines of the table, near line {place + first_line:,}: "
                    f"{examples([text])}. A quote is opened there and not closed. Export it again with quotes doubled."
                )
