"""A plan as a workbook to be edited; `edits` reads it back."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from salesforecast.errors import DataError
from salesforecast.targets.changes import standing
from salesforecast.targets.plan import CENT, dimensions, levels, texts, to_units
from salesforecast.targets.wishes import KINDS, Given, amount_in_words
from salesforecast.text import clean

HOW, CELLS, WISHES, AS_WRITTEN = "How to edit", "Cells", "Wishes", "as written"
NUMBER, PIN = "no.", "pin"
ROWS, LONGEST, MOST = 1_000_000, 2_000, 32_000  # of a sheet, signs shown of a name, signs of a cell
LINES = (
    "Overtype a target, or write an amount under pin: the node, or the cell, then carries exactly this at the next fit.",
    "A pin with the amount that stands there already holds it. All else moves in proportion, and every sum stays exact.",
    "More can be asked in the sheet Wishes, a row each: kind, amount and the node; an empty column takes all, several values are",
    'written ["A", "B"]. To give up a wish, delete its row there.',
    "Rows may be sorted and filtered. Names, numbers of rows and baselines must stay as they are; rows must not go or come.",
)


def write(
    plan: pd.DataFrame,
    path: str | Path,
    wishes: Given = (),
    *,
    by: Sequence[Sequence[str]] | None = None,
    made: Mapping[str, object] | None = None,
) -> Path:
    """Write the plan as a workbook whose targets can be edited; the same plan gives the same bytes.

    Parameters
    ----------
    plan : DataFrame
        With target; its names must be text, or days.
    path : path
        Of the .xlsx file.
    wishes : DataFrame or list of dicts
        What the plan has kept so far, to be kept on: moves and shares are written as the amounts they came to.
    by : sequence of sequences of str
        A sheet for each: the columns whose sums it shows; by default the total and each column.
    made : mapping
        From what the plan was made, for the first sheet.

    Raises
    ------
    DataError
        When the plan has too many cells, a wish names more than a cell of a workbook holds, or the file cannot be written. Long names
        are cut where they are shown, and stay whole in what is read back.
    """
    import xlsxwriter

    named, rows = texts(plan), plan.reset_index(drop=True)
    if "target" not in plan:
        raise DataError("The plan has no column target to be edited. Run targets.fit first.")
    if len(plan) > ROWS:
        raise DataError(
            f"The plan has {len(plan):,} cells; a sheet holds {ROWS:,}. Write a plan of months rather than days."
        )
    path = Path(path)
    if path.suffix.lower() != ".xlsx":
        raise DataError(f"{path.name} does not end in .xlsx, and a plan is written as an Excel workbook. Name it so.")
    names = dimensions(plan)
    sheets = [tuple(b) for b in by] if by is not None else [(), *((n,) for n in names)]
    kept = standing(plan, wishes)
    days = [n for n in names if pd.api.types.is_datetime64_any_dtype(plan[n])]
    target = to_units(rows["target"], CENT)
    about = {
        "names": names, "days": days, "sheets": sheets, "baseline": "baseline" in plan, "new": "new" in plan,
    }  # fmt: skip
    hidden = [coded(about)] + [
        coded([list(cell), int(t), None if b is None else repr(float(b)), bool(f)])
        for cell, t, b, f in zip(
            named.itertuples(index=False, name=None),
            target,
            rows["baseline"] if "baseline" in plan else [None] * len(rows),
            rows["new"] if "new" in plan else [False] * len(rows),
            strict=True,
        )
    ]
    digest = hashlib.sha256("\n".join(hidden).encode()).hexdigest()[:16]
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True}) as book:
        book.set_properties({"title": "Targets", "created": dt.datetime(2000, 1, 1, tzinfo=dt.UTC)})
        head = book.add_format({"bold": True, "bottom": 1})
        money = book.add_format({"num_format": "#,##0.00"})
        asked = book.add_format({"num_format": "#,##0.00", "bg_color": "#FFF7DC"})
        page = book.add_worksheet(HOW)
        facts = {
            "cells": f"{len(plan):,}",
            "total": amount_in_words(int(target.sum()) / 100),
            "plan": digest,
            **(made or {}),
        }
        page.set_column(0, 0, 16)
        page.write_string(0, 0, "Targets", head)
        for line, text in enumerate([*LINES, "", *(f"{key}: {value}" for key, value in facts.items())], 1):
            page.write_string(line, 0, clean(text))
        for title, node, frame in sheets_of(plan, named, sheets):
            page = book.add_worksheet(title)
            _fill(page, [NUMBER, *node, *(m for m in ("baseline", "target") if m in frame), PIN], head)
            page.set_column(1, max(len(node), 1), 18)
            page.set_column(len(node) + 1, len(node) + 3, 18)
            for column, name in enumerate(node, 1):
                for line, text in enumerate(frame[name], 1):
                    page.write_string(line, column, seen(text))
            for line in range(1, len(frame) + 1):
                page.write_number(line, 0, line)
                page.write_blank(line, len(node) + 2 + ("baseline" in frame), None, asked)
            for column, name in enumerate([m for m in ("baseline", "target") if m in frame], len(node) + 1):
                for line, value in enumerate(frame[name].to_numpy("float64"), 1):
                    page.write_number(line, column, value, money)
            page.freeze_panes(1, 0)
            page.autofilter(0, 0, max(len(frame), 1), len(node) + 2 + ("baseline" in frame))
        _write_wishes(book.add_worksheet(WISHES), kept, names, head, money)
        page = book.add_worksheet(AS_WRITTEN)
        for line, text in enumerate(hidden):
            for column, start in enumerate(range(0, len(text), MOST)):
                page.write_string(line, column, text[start : start + MOST])
        page.very_hidden()
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(data.getvalue())
        os.replace(new, path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}. Close it, or name another file.") from None
    return path


def sheets_of(
    plan: pd.DataFrame, named: pd.DataFrame, sheets: Sequence[tuple[str, ...]]
) -> list[tuple[str, list[str], pd.DataFrame]]:
    """Title, columns and rows of each sheet of nodes, and of the cells."""
    figures = named.assign(**{m: plan[m].to_numpy("float64") for m in ("baseline", "target") if m in plan})
    found, titles = [], {HOW.lower(), CELLS.lower(), WISHES.lower(), AS_WRITTEN}
    for node in sheets:
        words = " ".join(n.removesuffix("_id") for n in node)
        title = "Total" if not node else re.sub(r"[\[\]:*?/\\']", " ", f"By {words}")[:28].strip()
        while title.lower() in titles:
            title = title[:26] + f" {len(titles)}"
        titles.add(title.lower())
        found.append((title, list(node), levels(figures, node)))
    names = list(named)
    cells = figures.sort_values(names, kind="stable", ignore_index=True)
    return [*found, (CELLS, names, cells)]


def _fill(page: Any, head: Sequence[str], form: Any) -> None:
    for column, name in enumerate(head):
        page.write_string(0, column, seen(name), form)


def _write_wishes(page: Any, kept: pd.DataFrame, names: list[str], head: Any, money: Any) -> None:
    columns = ["kind", "amount", "along", *names, *(f"to_{n}" for n in names)]
    _fill(page, columns, head)
    page.set_column(0, len(columns) - 1, 16)
    page.freeze_panes(1, 0)
    for line, row in enumerate(kept.to_dict("records"), 1):
        for column, name in enumerate(columns):
            value = row.get(name)
            if name == "amount" and value == value and value is not None:
                page.write_number(line, column, value, money)
            elif isinstance(value, tuple) or (isinstance(value, str) and (value[:1] == "[" or seen(value) != value)):
                text = coded(list(value) if isinstance(value, tuple) else [value])
                if len(text) > MOST:
                    raise DataError(
                        f"A wish of kind {row['kind']} names more than a cell holds under {name}. Make several of it."
                    )
                page.write_string(line, column, text)
            elif isinstance(value, str):
                page.write_string(line, column, value)
    page.data_validation(1, 0, 500, 0, {"validate": "list", "source": list(KINDS), "ignore_blank": True})


def coded(value: object) -> str:
    """JSON in plain ASCII, without the _x0041_ that workbooks take for a character."""
    return json.dumps(value).replace("_", "\\u005f")


def seen(text: object) -> str:
    """The text as a sheet shows it and gives it back."""
    return clean(re.sub(r"_x[0-9A-Fa-f]{4}_", " ", str(text)))[:LONGEST]
