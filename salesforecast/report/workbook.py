"""tables.xlsx: every table of the report on a sheet of its own, and a first sheet that says what they rest on."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from salesforecast import columns, formats
from salesforecast.report.results import Result
from salesforecast.text import UNSEEN, clean

ROWS = 1_048_575  # of a sheet, below its head
TEXT = 32_767  # signs of a cell
WIDEST = 60
MADE = datetime.datetime(2000, 1, 1)  # noqa: DTZ001  (a file says when it was made; the same report is to be the same file)
RANGE = re.compile(r"^(?:(?:lower|upper)(?:_\d+)?|(.+)_(?:lower|upper))$")


def write(path: Path, results: Sequence[Result], about: Sequence[tuple[str, str]]) -> None:
    """Write the workbook.

    Text stays text, whatever it begins with; dates and figures are dates and figures. The same tables give the same bytes.

    Parameters
    ----------
    path : path
        The file.
    results : sequence of Result
        The tables, in the order of the sheets.
    about : sequence of (str, str)
        What the first sheet says: parameters and provenance.
    """
    import xlsxwriter

    options = {
        "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "nan_inf_to_errors": False,
        "in_memory": True,
    }  # fmt: skip
    with xlsxwriter.Workbook(str(path), options) as book:
        book.set_properties({"created": MADE, "title": "Sales report: tables"})
        head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "bottom"})
        bold = book.add_format({"bold": True, "valign": "top"})
        wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        looks: dict[str, Any] = {}
        names = sheet_names([result.name for result in results])
        first = book.add_worksheet("About")
        first.set_column(0, 0, 32)
        first.set_column(1, 2, 60)
        at = 0
        for name, value in about:
            first.write_string(at, 0, _text(name), bold)
            first.write_string(at, 1, _text(value), wrapped)
            at += 1
        at += 1
        for column, title in enumerate(("Sheet", "Question", "Finding")):
            first.write_string(at, column, title, head)
        for result in results:
            at += 1
            first.write_url(at, 0, f"internal:'{names[result.name]}'!A1", string=names[result.name])
            first.write_string(at, 1, _text(result.question), wrapped)
            first.write_string(at, 2, _text(result.finding), wrapped)
        for result in results:
            _sheet(book, names[result.name], result.frame(), head, looks)


def sheet_names(names: Sequence[str]) -> dict[str, str]:
    """A name for each sheet: 31 signs at most, none that Excel forbids, no two alike but for case.

    Examples
    --------
    >>> list(sheet_names(["funnel-a", "About", 40 * "x" + "1", 40 * "x" + "2"]).values())
    ['funnel-a', 'About~2', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxx~2']
    """
    found, taken = {}, {"about", "history"}
    for name in names:
        plain = re.sub(r"[\[\]:*?/\\']", " ", clean(name))[:31].strip() or "Table"
        sheet, number = plain, 1
        while sheet.casefold() in taken:
            number += 1
            sheet = f"{plain[: 31 - len(f'~{number}')]}~{number}"
        taken.add(sheet.casefold())
        found[name] = sheet
    return found


def _sheet(book: Any, name: str, frame: pd.DataFrame, head: Any, looks: dict[str, Any]) -> None:
    sheet = book.add_worksheet(name)
    sheet.freeze_panes(1, 1)
    shown = frame.head(ROWS)
    forms = _forms(shown)
    for place, column in enumerate(shown):
        title = columns.column(column).header or str(column)
        sheet.write_string(0, place, _text(title), head)
        values = shown[column]
        widths = [len(title)]
        kind = _kind(values)
        form = {"date": "yyyy-mm-dd", "moment": "yyyy-mm-dd hh:mm", "number": forms[column]}.get(kind, "")
        if form and form not in looks:
            looks[form] = book.add_format({"num_format": form})
        look = looks.get(form)
        for row, value in enumerate(values.tolist(), start=1):
            if pd.api.types.is_scalar(value) and pd.isna(value):
                continue
            if kind in ("date", "moment"):
                sheet.write_datetime(row, place, value.to_pydatetime(), look)
            elif kind == "flag":
                sheet.write_boolean(row, place, bool(value))
            elif kind == "number":
                if np.isfinite(float(value)):
                    sheet.write_number(row, place, float(value), look)
                continue
            else:
                text = _text(value)
                sheet.write_string(row, place, text)
                widths.append(len(text))
        least = {"date": 11, "moment": 17, "number": 11}.get(kind, 6)
        sheet.set_column(place, place, min(WIDEST, max(least, *widths) + 2))
    if len(shown):
        sheet.autofilter(0, 0, len(shown), max(0, shown.shape[1] - 1))


def _kind(values: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(values.dtype):
        return "flag"
    if pd.api.types.is_numeric_dtype(values.dtype):
        return "number"
    if pd.api.types.is_datetime64_dtype(values.dtype):
        days = values.dropna()
        good = days.between(pd.Timestamp("1900-01-01"), pd.Timestamp("9999-12-31")).all()  # what Excel can count
        return ("date" if (days == days.dt.normalize()).all() else "moment") if good else "text"
    return "text"


def _forms(frame: pd.DataFrame) -> Mapping[Any, str]:
    """How the figures of each column are shown; bounds as what they bound."""
    found: dict[Any, str] = {}
    before = ""
    for column in frame:
        form = _form(columns.column(column).format, frame[column])
        if bound := RANGE.match(str(column)):
            form = found.get(bound[1], "") or before or form
        else:
            before = form
        found[column] = form
    return found


def _form(say: Any, values: pd.Series) -> str:
    if say in (formats.share, formats.points_bare, formats.change):
        return "0.0%"
    if say in (formats.money, formats.count):
        return "#,##0"
    if pd.api.types.is_integer_dtype(values.dtype):
        return "#,##0"
    return "General" if say is None else "#,##0.0#"


def _text(value: object) -> str:
    """As a cell can hold it: on its length, without signs that cannot be seen."""
    text = UNSEEN.sub(" ", str(value))
    text = text.encode("utf-8", "replace").decode("utf-8")  # half a pair of signs is none
    return text if len(text) <= TEXT else text[: TEXT - 1] + "…"


def provenance(
    made: Mapping[str, Any], head: Mapping[str, Any], pages: Sequence[tuple[str, str, str]]
) -> list[tuple[str, str]]:
    """What the first sheet says: whose data, which period, parameters, versions, and how each notebook ended.

    Parameters
    ----------
    made, head : mapping
        What the pages say of how they were made and of the period.
    pages : sequence of (str, str, str)
        Notebook, status, error.
    """
    data = made.get("data", {})
    found = [
        ("Company", data.get("company", "") or head.get("company", "")), ("Period", f"{head.get('period', '')}: {head.get('dates', '')}"),
        ("Part", head.get("part", "") or "the whole"), ("Read as", data.get("crm", "")), ("Data until", data.get("as_of", "")),
        ("SHA-256 of the data", data.get("digest", "")),
    ]  # fmt: skip
    found += [(f"Parameter {name}", str(value) or "empty") for name, value in made.get("parameters", {}).items()]
    found += [(f"Version of {name}", str(version)) for name, version in made.get("versions", {}).items()]
    return found + [(f"Notebook {name}", f"{status}: {error}" if error else status) for name, status, error in pages]
