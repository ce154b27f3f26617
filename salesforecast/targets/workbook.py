"""A plan as a workbook to be edited, and read back with the edits as wishes."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from salesforecast.errors import DataError, SettingError
from salesforecast.targets.changes import standing
from salesforecast.targets.plan import CENT, dimensions, levels, texts, to_units
from salesforecast.targets.wishes import KINDS, Given, amount_in_words
from salesforecast.targets.wishes import read as parsed
from salesforecast.targets.wishes import wishes as in_one_form
from salesforecast.text import clean

HOW, CELLS, WISHES, AS_WRITTEN = "How to edit", "Cells", "Wishes", "as written"
NUMBER, PIN = "no.", "pin"
ROWS, LONGEST, WIDEST = 1_000_000, 2_000, 40  # of a sheet, characters of a name, width of a column
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
        When the plan has too many cells or a name is too long for a workbook.
    """
    import xlsxwriter

    named, rows = texts(plan), plan.reset_index(drop=True)
    if "target" not in plan:
        raise DataError("The plan has no column target to be edited. Run targets.fit first.")
    if len(plan) > ROWS:
        raise DataError(
            f"The plan has {len(plan):,} cells; a sheet holds {ROWS:,}. Write a plan of months rather than days."
        )
    longest = max(int(named[c].str.len().max()) for c in named)
    if longest > LONGEST:
        raise DataError(f"A name of the plan has {longest:,} characters; a workbook takes {LONGEST:,}. Shorten it.")
    names = dimensions(plan)
    sheets = [tuple(b) for b in by] if by is not None else [(), *((n,) for n in names)]
    kept = standing(plan, wishes)
    days = [n for n in names if pd.api.types.is_datetime64_any_dtype(plan[n])]
    target = to_units(rows["target"], CENT)
    about = {
        "names": names, "days": days, "sheets": sheets, "baseline": "baseline" in plan, "new": "new" in plan,
    }  # fmt: skip
    hidden = [_coded(about)] + [
        _coded([list(cell), int(t), None if b is None else repr(float(b)), bool(f)])
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
        for title, node, frame in _sheets(plan, named, sheets):
            page = book.add_worksheet(title)
            _fill(page, [NUMBER, *node, *(m for m in ("baseline", "target") if m in frame), PIN], head)
            page.set_column(1, max(len(node), 1), 18)
            page.set_column(len(node) + 1, len(node) + 3, 18)
            for column, name in enumerate(node, 1):
                for line, text in enumerate(frame[name], 1):
                    page.write_string(line, column, _seen(text))
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
            page.write_string(line, 0, text)
        page.very_hidden()
    path = Path(path)
    path.write_bytes(data.getvalue())
    return path


def read(path: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The plan as it was written, and what was edited since, with what it had to keep, as wishes for the next fit.

    An edit replaces an earlier pin of the same node.

    Returns
    -------
    tuple of DataFrame
        The plan (names as text, days as days), and the wishes as `wishes` gives them.

    Raises
    ------
    DataError
        When the file is not such a workbook, a name, number or baseline was changed, a row is missing, or an amount cannot be read;
        all faults at once.

    Examples
    --------
    >>> plan, edits = read("targets.xlsx")                                                  # doctest: +SKIP
    >>> again = fit(plan, edits)                                                            # doctest: +SKIP
    """
    pages = _pages(Path(path))
    plan, about = _as_written(pages, Path(path).name)
    named = texts(plan)
    faults: list[str] = []
    edits: list[dict[str, Any]] = []
    for title, node, frame in _sheets(plan, named, [tuple(s) for s in about["sheets"]]):
        if title not in pages:
            faults.append(f"sheet {title!r} is missing")
        else:
            edits += _edits(pages[title], title, node, frame, faults)
    rows = _read_wishes(pages.get(WISHES), faults)
    if faults:
        more = f"\n  - … and {len(faults) - 12} more" if len(faults) > 12 else ""
        raise DataError(
            f"{Path(path).name} cannot be read back:\n  - "
            + "\n  - ".join(faults[:12])
            + more
            + "\nEdit targets, pins and wishes only."
        )
    try:
        edited = {w.where for w in parsed(plan, edits)}
        before = in_one_form(plan, [
            row for row in rows if row.get("kind") != "pin" or parsed(plan, [row])[0].where not in edited
        ])  # fmt: skip
        return plan, in_one_form(plan, [*before.drop(columns="wish").to_dict("records"), *edits])
    except SettingError as error:
        raise DataError(f"{Path(path).name}, sheet {WISHES}: {error}") from None


# ---- writing -----------------------------------------------------------------------------------------------------------


def _sheets(
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
        page.write_string(0, column, _seen(name), form)


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
            elif isinstance(value, tuple) or (isinstance(value, str) and (value[:1] == "[" or _seen(value) != value)):
                page.write_string(line, column, _coded(list(value) if isinstance(value, tuple) else [value]))
            elif isinstance(value, str):
                page.write_string(line, column, value)
    page.data_validation(1, 0, 500, 0, {"validate": "list", "source": list(KINDS), "ignore_blank": True})


def _coded(value: object) -> str:
    """JSON in plain ASCII, without the _x0041_ that workbooks take for a character."""
    return json.dumps(value).replace("_", "\\u005f")


def _seen(text: object) -> str:
    """The text as a sheet shows it and gives it back."""
    return clean(re.sub(r"_x[0-9A-Fa-f]{4}_", " ", str(text)))


# ---- reading -----------------------------------------------------------------------------------------------------------


def _pages(path: Path) -> dict[str, list[list[Any]]]:
    import python_calamine

    try:
        book = python_calamine.load_workbook(io.BytesIO(path.read_bytes()))
        return {title: book.get_sheet_by_name(title).to_python(skip_empty_area=False) for title in book.sheet_names}
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # a broken workbook can make the reader panic, which is no Exception
        raise DataError(f"{path.name} cannot be read as a workbook: {error}. Save it anew as .xlsx.") from None


def _as_written(pages: dict[str, list[list[Any]]], name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    try:
        about, *rows = [json.loads(row[0]) for row in pages[AS_WRITTEN]]
        names = about["names"]
        plan = pd.DataFrame([row[0] for row in rows], columns=names, dtype="str")
        for day in about["days"]:
            plan[day] = pd.to_datetime(plan[day], format="%Y-%m-%d")
        if about["baseline"]:
            plan["baseline"] = [float(row[2]) for row in rows]
        plan["target"] = np.array([row[1] for row in rows], dtype="int64") / 100
        if about["new"]:
            plan["new"] = [bool(row[3]) for row in rows]
    except (KeyError, IndexError, ValueError, TypeError):
        raise DataError(
            f"{name} is not a plan that targets.write wrote: its sheet {AS_WRITTEN!r} is missing or was changed."
        ) from None
    return plan, about


def _edits(
    page: list[list[Any]], title: str, node: list[str], frame: pd.DataFrame, faults: list[str]
) -> list[dict[str, Any]]:
    """The edited amounts of a sheet as pins; what must not be edited is noted as a fault."""
    figures = [m for m in ("baseline", "target") if m in frame]
    head = [NUMBER, *node, *figures, PIN]
    have = [str(v).strip() for v in page[0]] if page else []
    if have[: len(head)] != [_seen(h) for h in head]:
        faults.append(f"sheet {title!r}: its columns were {', '.join(head)}, now {clean(', '.join(have)) or 'none'}")
        return []
    seen: set[int] = set()
    edits = []
    texts_of = {name: [_seen(v) for v in frame[name]] for name in node}
    shown = {m: frame[m].to_numpy("float64") for m in figures}
    raw = {name: frame[name].to_numpy() for name in node}
    at = {name: column for column, name in enumerate(head)}
    for line, cells in enumerate(page[1:], 2):
        if not any(str(v).strip() for v in cells):
            continue
        where = f"sheet {title!r}, row {line}"
        number = cells[0]
        if not isinstance(number, int | float) or not float(number).is_integer() or not 1 <= number <= len(frame):
            faults.append(f"{where}: {clean(number)!r} is no row of this plan; nodes cannot be added here")
            continue
        row = int(number) - 1
        if row in seen:
            faults.append(f"{where}: row no. {row + 1} stands twice")
            continue
        seen.add(row)
        for name in node:
            text = _seen(_cell(cells[at[name]]))
            if text != texts_of[name][row]:
                faults.append(f"{where}: {name} was {texts_of[name][row]!r}, now {text!r}; names cannot be edited here")
        amounts = {}
        for name in (*figures, PIN):
            value = cells[at[name]] if at[name] < len(cells) else ""
            if isinstance(value, str) and not value.strip() and name == PIN:
                continue
            amount = _figure(value)
            if amount is None:
                faults.append(
                    f"{where}: {name} holds {clean(value)!r}, which is not an amount of zero or more in whole cents"
                )
            elif name == PIN or abs(amount - shown[name][row]) > CENT / 2:
                amounts[name] = amount
        if "baseline" in amounts:
            faults.append(
                f"{where}: baseline was {amount_in_words(shown['baseline'][row])}, and is not to be edited; edit target"
            )
        asked = {amounts[name] for name in ("target", PIN) if name in amounts}
        if len(asked) > 1:
            faults.append(f"{where}: target and pin ask for different amounts")
        elif asked:
            edits.append({"kind": "pin", "amount": asked.pop(), **{name: raw[name][row] for name in node}})
    if len(seen) < len(frame) and not faults:
        lost = next(i for i in range(len(frame)) if i not in seen)
        name = ", ".join(texts_of[n][lost] for n in node)
        faults.append(
            f"sheet {title!r}: {len(frame) - len(seen)} rows are missing, e.g. no. {lost + 1} ({name}); to plan nothing, set 0"
        )
    return edits


def _figure(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value) or value < 0:
        return None
    return round(float(value), 2)


def _cell(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat()[:10] if isinstance(value, dt.date) else str(value)


def _read_wishes(page: list[list[Any]] | None, faults: list[str]) -> list[dict[str, Any]]:
    if not page:
        faults.append(f"sheet {WISHES!r} is missing")
        return []
    head = [str(v).strip() for v in page[0]]
    rows = []
    for cells in page[1:]:
        if not any(str(v).strip() for v in cells):
            continue
        row: dict[str, Any] = {}
        for name, value in zip(head, cells, strict=False):
            if name and str(value).strip():
                row[name] = value if name == "amount" else _several(_cell(value))
        rows.append(row)
    return rows


def _several(text: str) -> str | list[str]:
    """Several values, where they are written as such."""
    if text.startswith("["):
        try:
            values = json.loads(text)
        except ValueError:
            return text
        if isinstance(values, list):
            return [str(v) for v in values]
    return text
