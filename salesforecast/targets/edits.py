"""What was edited in the workbook of a plan, read back as wishes."""

from __future__ import annotations

import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from salesforecast.errors import DataError, SettingError
from salesforecast.targets.plan import CENT, texts
from salesforecast.targets.wishes import amount_in_words
from salesforecast.targets.wishes import read as parsed
from salesforecast.targets.wishes import wishes as in_one_form
from salesforecast.targets.workbook import AS_WRITTEN, NUMBER, PIN, WISHES, seen, sheets_of
from salesforecast.text import clean


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
    for title, node, frame in sheets_of(plan, named, [tuple(s) for s in about["sheets"]]):
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
        about, *rows = [json.loads("".join(map(str, row))) for row in pages[AS_WRITTEN]]
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
    if have[: len(head)] != [seen(h) for h in head]:
        faults.append(f"sheet {title!r}: its columns were {', '.join(head)}, now {clean(', '.join(have)) or 'none'}")
        return []
    rows_seen: set[int] = set()
    edits = []
    texts_of = {name: [seen(v) for v in frame[name]] for name in node}
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
        if row in rows_seen:
            faults.append(f"{where}: row no. {row + 1} stands twice")
            continue
        rows_seen.add(row)
        for name in node:
            text = seen(_cell(cells[at[name]]))
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
    if len(rows_seen) < len(frame) and not faults:
        lost = next(i for i in range(len(frame)) if i not in rows_seen)
        name = ", ".join(texts_of[n][lost] for n in node)
        faults.append(
            f"sheet {title!r}: {len(frame) - len(rows_seen)} rows are missing, e.g. no. {lost + 1} ({name}); to plan nothing, set 0"
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
