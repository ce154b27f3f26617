"""From the clean tables back to the text that the files held, cell by cell.

Three things make the text: the clean value, the issues (what was changed and which rows were set apart), and for the rest,
kept when the tables are cleaned, the text itself wherever the value's own text is another one: a date as 02/23/26, an
amount as $1,200, a stage under the CRM's name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from salesforecast import ledger
from salesforecast.errors import DataError
from salesforecast.tables import Crm

Frames = Mapping[str, pd.DataFrame]
TRIED = 1_000  # values by which the form of a column is chosen
MOMENTS = (
    "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.000Z",
    "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m/%d/%y", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M",
)  # fmt: skip
NUMBERS: dict[str, Callable[[float], str]] = {
    "1": lambda v: f"{v:.17g}" if float(f"{v:.15g}") != v else f"{v:.15g}",
    "1.00": lambda v: f"{v:.2f}",
    "1.0": lambda v: f"{v:.1f}",
    "1,000": lambda v: f"{v:,.0f}",
    "1,000.00": lambda v: f"{v:,.2f}",
    "$1,000": lambda v: f"${v:,.0f}",
    "$1,000.00": lambda v: f"${v:,.2f}",
    "100 per cent": lambda v: f"{v * 100:.10g}",
    "100%": lambda v: f"{v * 100:.10g}%",
}
FLAGS = (("true", "false"), ("True", "False"), ("TRUE", "FALSE"), ("1", "0"), ("yes", "no"), ("Yes", "No"), ("Y", "N"))


@dataclass(frozen=True)
class Written:
    """How the files wrote a table.

    Parameters
    ----------
    columns : tuple of str
        The columns, in the order of the file.
    rows : int
        How many rows there were.
    kept : array of int
        The place in the file of each row of the clean table.
    forms : dict
        Column -> how its values are mostly written, and what stands for nothing.
    cells : dict
        Column -> the text, by place, of what form and issues do not give back.
    """

    columns: tuple[str, ...]
    rows: int
    kept: np.ndarray
    forms: dict[str, tuple[str, Any]]
    cells: dict[str, pd.Series]


def undo(crm: Crm, issues: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The tables as they were read: every row at its place, every cell as the file wrote it.

    It needs both things that `clean` gave: the issues hold what was changed and set apart; the tables remember how the files
    wrote the rest (02/23/26, $1,200, a blank), which no issue says. Save neither or both.

    Parameters
    ----------
    crm, issues
        What `clean` gave, without `as_of`; not the tables of an earlier day, nor a part of them.

    Returns
    -------
    dict
        Our table -> frame of text, equal to the `tables` of the export that was cleaned.

    Raises
    ------
    DataError
        When the tables are those of an earlier day, or not those that `clean` gave.
    """
    if not crm.written:
        raise DataError(
            f"These tables do not know how they were written: they are those of {crm.as_of:%Y-%m-%d}, or made by hand. "
            f"Undo what clean(export) gave, without as_of and before at()."
        )
    raw = {}
    for name, written in crm.written.items():
        clean = crm.tables.get(name)
        if len(written.kept) and (clean is None or len(clean) != len(written.kept)):
            raise DataError(
                f"The table '{name}' has {0 if clean is None else len(clean):,} rows, but clean() gave {len(written.kept):,}. "
                f"Undo the tables as clean() gave them."
            )
        base = {c: _base(written, c, clean, _of(issues, name)) for c in written.columns}
        raw[name] = pd.DataFrame(
            {c: _with(column, written.cells.get(c)) for c, column in base.items()},
            index=pd.RangeIndex(written.rows), columns=pd.Index(written.columns),
        )  # fmt: skip
    return raw


def writing(raw: Frames, clean: Frames, places: Mapping[str, np.ndarray], issues: pd.DataFrame) -> dict[str, Written]:
    """How each table was written, as `undo` needs it.

    Parameters
    ----------
    raw, clean : dict
        The tables before and after.
    places : dict
        Table -> the place in `raw` of each of its clean rows; a table that is not there was not made of the raw one.
    issues : DataFrame
        What was changed.
    """
    found = {}
    for name, frame in raw.items():
        place = places.get(name, np.array([], dtype="int64"))
        there = clean.get(name) if name in places else None
        forms = {c: _form(frame[c], None if there is None or c not in there else there[c], place) for c in frame}
        written = Written(tuple(frame.columns), len(frame), place, forms, {})
        own = _of(issues, name)
        for c in frame:
            text = frame[c].reset_index(drop=True)
            base = _base(written, c, there, own)
            if not pd.api.types.is_string_dtype(text.dtype):
                written.cells[c] = text
                continue
            other = ~((text == base) | (text.isna() & base.isna())).fillna(False).astype(bool)
            if other.any():
                written.cells[c] = text[other.to_numpy()]
        found[name] = written
    return found


def _of(issues: pd.DataFrame, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The first change of each cell of a table, and what its rows that were set apart held."""
    own = issues[(issues["table"] == name) & (issues["line"] > 0)]
    cells = own[(own["column"] != "") & (own["was"] != own["became"])].drop_duplicates(["line", "column"])
    gone = own[(own["column"] == "") & (own["became"] == ledger.SET_APART)]
    held = pd.DataFrame([json.loads(whole) for whole in gone["was"]], index=gone["line"] - ledger.FIRST_LINE)
    return cells, held


def _base(written: Written, column: str, clean: pd.DataFrame | None, of: tuple[pd.DataFrame, pd.DataFrame]) -> pd.Series:  # fmt: skip
    """A column as form and issues write it, row by row of the file."""
    cells, held = of
    form, nothing = written.forms[column]
    if clean is not None and column in clean and len(written.kept):
        values = _as_text(clean[column], form)
        if len(written.kept) == written.rows and (written.kept == np.arange(written.rows)).all():
            text = pd.Series(values.array, dtype="str")
        else:
            place = np.full(written.rows, -1)
            place[written.kept] = np.arange(len(written.kept))
            text = pd.Series(pd.api.extensions.take(values.array, place, allow_fill=True), dtype="str")
    else:
        text = pd.Series([None], dtype="str").reindex(range(written.rows))
    if column in held:
        filled = held[column].dropna()
        text.loc[filled.index] = filled
    mine = cells[cells["column"] == column]
    if len(mine):
        text.loc[(mine["line"] - ledger.FIRST_LINE).to_numpy()] = mine["was"].mask(mine["was"] == "").to_numpy()
    return text if nothing is None else text.fillna(nothing)


def _with(text: pd.Series, cells: pd.Series | None) -> pd.Series:
    if cells is None:
        return text
    if len(cells) == len(text):
        return cells.reset_index(drop=True)
    text = text.copy()
    text.loc[cells.index] = cells
    return text


def _form(raw: pd.Series, clean: pd.Series | None, place: np.ndarray) -> tuple[str, Any]:
    """How the values of a column are mostly written, and what mostly stands for nothing: "" or None."""
    nothing = None if raw.isna().sum() > (raw == "").sum() else ""
    if clean is None or not pd.api.types.is_string_dtype(raw.dtype):
        return "", nothing
    filled = np.flatnonzero(clean.notna().to_numpy())[:TRIED]
    values, texts = clean.iloc[filled], raw.iloc[place[filled]].to_numpy()
    return max(_forms(clean), key=lambda form: int((_as_text(values, form).to_numpy() == texts).sum())), nothing


def _forms(column: pd.Series) -> list[str]:
    if pd.api.types.is_datetime64_any_dtype(column):
        return list(MOMENTS)
    if pd.api.types.is_bool_dtype(column.dtype):
        return [" ".join(pair) for pair in FLAGS]
    return list(NUMBERS) if pd.api.types.is_numeric_dtype(column) else [""]


def _as_text(column: pd.Series, form: str) -> pd.Series:
    """The values in a form, missing where there is none; each different value is written once."""
    if pd.api.types.is_string_dtype(column.dtype) or not form:
        return column.astype("str")
    codes, values = pd.factorize(column)
    if pd.api.types.is_datetime64_any_dtype(column):
        texts = pd.DatetimeIndex(values).strftime(form)
    elif pd.api.types.is_bool_dtype(column.dtype):
        true, false = form.split(" ")
        texts = pd.Index([true if v else false for v in values])
    else:
        texts = pd.Index([NUMBERS[form](float(v)) for v in values])
    return pd.Series(pd.api.extensions.take(texts.astype("str").array, codes, allow_fill=True), dtype="str")
