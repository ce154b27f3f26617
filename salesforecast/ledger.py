"""The rows of the issues: what was, what became of it, and why."""

from __future__ import annotations

import json

import pandas as pd

from salesforecast.tables import TABLES

ISSUES = ["table", "row", "column", "rule", "was", "became", "why"]


def changed(name: str, frame: pd.DataFrame, column: str, became: pd.Series, rule: str, why: str) -> pd.DataFrame:
    """A row for each value of the column that was there and is another one now."""
    was = frame[column]
    rows = was.notna() & (was.astype("str") != became.astype("str").fillna(""))
    return noted(name, frame[rows], column, became[rows], rule, why)


def noted(name: str, rows: pd.DataFrame, column: str, became: pd.Series, rule: str, why: str) -> pd.DataFrame:
    """A row for each of these rows, whether the value changed or not."""
    return pd.DataFrame({
        "table": name, "row": _keys(name, rows), "column": column, "rule": rule,
        "was": _text(rows[column]), "became": _text(became), "why": why,
    }, columns=ISSUES, index=rows.index).astype("str")  # fmt: skip


def apart(name: str, rows: pd.DataFrame, rule: str, why: str) -> pd.DataFrame:
    """A row for each row that was set apart, with all it held as JSON."""
    whole = [
        json.dumps({k: str(v) for k, v in row.items() if v is not None and v == v}, ensure_ascii=False)
        for row in rows.astype("object").where(rows.notna(), None).to_dict("records")
    ]
    return pd.DataFrame({
        "table": name, "row": _keys(name, rows), "column": "", "rule": rule, "was": whole, "became": "set apart", "why": why,
    }, columns=ISSUES, index=rows.index).astype("str")  # fmt: skip


def _keys(name: str, rows: pd.DataFrame) -> pd.Series:
    """The key of each row as text; its line in the file where the key is empty."""
    key = [k for k in TABLES[name].key if k in rows] or list(rows.columns[:1])
    text = rows[key[0]].astype("str")
    for k in key[1:]:
        text = text + ", " + rows[k].astype("str").fillna("")
    return text.fillna("line " + (rows.index.to_series() + 2).astype("str"))


def _text(column: pd.Series) -> pd.Series:
    """Values as they are read by people: dates without midnight, whole numbers without decimals, nothing as ''."""
    if pd.api.types.is_datetime64_any_dtype(column):
        midnight = bool((column.dropna() == column.dropna().dt.normalize()).all())
        return column.dt.strftime("%Y-%m-%d" if midnight else "%Y-%m-%d %H:%M").fillna("")
    if pd.api.types.is_float_dtype(column):
        return column.map(lambda v: "" if pd.isna(v) else f"{v:.10g}")
    return column.astype("str").fillna("")
