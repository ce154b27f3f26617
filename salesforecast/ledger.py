"""The rows of the issues: what was, what became of it, and why."""

from __future__ import annotations

import json

import pandas as pd

from salesforecast.tables import TABLES

ISSUES = ["table", "row", "column", "rule", "was", "became", "why", "line"]
FIRST_LINE = 2  # of a file with one line of headers
SET_APART = "set apart"


def none() -> pd.DataFrame:
    """Issues without a row."""
    return pd.DataFrame(columns=ISSUES, dtype="str").astype({"line": "int64"})


def noted(name: str, rows: pd.DataFrame, column: str, became: pd.Series, rule: str, why: str) -> pd.DataFrame:
    """A row for each of these rows, whether the value changed or not.

    The index of the rows is their place in the export; `line` is that place as a file with one line of headers counts it.
    """
    return _issues(name, rows, column, rule, text(rows[column]), text(became), why)


def apart(name: str, rows: pd.DataFrame, rule: str, why: str) -> pd.DataFrame:
    """A row for each row that was set apart, with all it held as JSON."""
    columns = {c: text(rows[c]).tolist() for c in rows}
    whole = [
        json.dumps({c: v for c, v in zip(columns, row, strict=True) if v != ""}, ensure_ascii=False)
        for row in zip(*columns.values(), strict=True)
    ]
    return _issues(name, rows, "", rule, pd.Series(whole, index=rows.index, dtype="str"), SET_APART, why)


def of_table(name: str, rows: int, made: pd.Timestamp, rule: str, why: str) -> pd.DataFrame:
    """One row for so many rows of a table, which stay as they are."""
    what = f"{made:%Y-%m-%d}: {rows:,} rows"
    return of_column(name, what, "", what, rule, why)


def of_column(name: str, row: str, column: str, what: str, rule: str, why: str) -> pd.DataFrame:
    """One row for a column as a whole, which stays as it is."""
    return pd.DataFrame([[name, row, column, rule, what, what, why, 0]], columns=ISSUES).astype({"line": "int64"})


def _issues(
    name: str, rows: pd.DataFrame, column: str, rule: str, was: pd.Series, became: pd.Series | str, why: str
) -> pd.DataFrame:
    frame = pd.DataFrame(
        {"table": name, "row": _keys(name, rows), "column": column, "rule": rule, "was": was, "became": became, "why": why},
        index=rows.index,
    )  # fmt: skip
    return frame.astype("str").assign(line=rows.index.to_numpy("int64") + FIRST_LINE)


def _keys(name: str, rows: pd.DataFrame) -> pd.Series:
    """The key of each row as text; its line in the file where the key is empty."""
    key = [k for k in TABLES[name].key if k in rows] or list(rows.columns[:1])
    keys = rows[key[0]].astype("str")
    for k in key[1:]:
        keys = keys + ", " + text(rows[k])
    return keys.fillna("line " + (rows.index.to_series() + FIRST_LINE).astype("str"))


def text(column: pd.Series) -> pd.Series:
    """Values as they are read by people: dates without midnight, whole numbers without decimals, nothing as ''."""
    if pd.api.types.is_datetime64_any_dtype(column):
        midnight = bool((column.dropna() == column.dropna().dt.normalize()).all())
        seconds = not midnight and bool((column.dropna().dt.second != 0).any())
        form = "%Y-%m-%d" if midnight else "%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M"
        return column.dt.strftime(form).astype("str").fillna("")
    if pd.api.types.is_float_dtype(column):
        return column.map(lambda v: "" if pd.isna(v) else f"{v:.15g}").astype("str")
    return column.astype("str").fillna("")
