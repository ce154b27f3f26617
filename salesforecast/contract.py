"""What the tables promise: the check that a frame keeps the declaration, and the declaration as a codebook for the reader."""

from __future__ import annotations

import pandas as pd

from salesforecast import keys
from salesforecast.errors import DataError, unknown
from salesforecast.tables import KINDS, OUTCOMES, TABLES, Kind, examples


def breaches(frame: pd.DataFrame, name: str) -> list[str]:
    """What is wrong with a table, one sentence a breach; empty when it keeps its contract."""
    table, found = TABLES[name], []
    for column in table.columns:
        if column.name not in frame:
            if column.required:
                found.append(
                    f"{column.name}: the column is missing; map it in salesforecast.toml under [{name}.columns]"
                )
            continue
        values = frame[column.name]
        given = values.dropna()
        if column.required and len(given) < len(values):
            found.append(
                f"{column.name}: {len(values) - len(given):,} of {len(values):,} values are empty; fill them in the "
                f"export, or let cleaning.py set those rows apart"
            )
        if wrong := _wrong_type(given, column.kind):
            found.append(f"{column.name}: {wrong}")
            continue
        if column.values and len(odd := given[~given.isin(column.values)]):
            found.append(
                f"{column.name}: {len(odd):,} values are none of {', '.join(column.values)}, e.g. {examples(odd)}"
            )
        if column.kind == "fraction" and len(odd := given[(given < 0) | (given > 1)]):
            found.append(
                f"{column.name}: {len(odd):,} values lie outside 0 to 1, e.g. {examples(odd)}; if the export is in "
                f"per cent, list the column under per_cent in salesforecast.toml"
            )
        if column.kind == "count" and len(odd := given[given < 0]):
            found.append(f"{column.name}: {len(odd):,} values are below 0, e.g. {examples(odd)}")
    if set(table.key) <= set(frame.columns):
        repeated = frame[keys.repeated(frame, list(table.key))]
        if len(repeated):
            first = repeated[list(table.key)].iloc[0].astype(str).str.cat(sep=", ")
            found.append(
                f"{len(repeated):,} rows share a key ({', '.join(table.key)}), e.g. {first!r}: keep one of each, "
                f"as cleaning.py's 'repeated id' rule does"
            )
    return found


def check(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The frame, when it keeps the contract of the table `name`.

    Raises
    ------
    DataError
        All breaches at once, each with its count, examples and the fix.
    SettingError
        When there is no such table.
    """
    if name not in TABLES:
        raise unknown("table", name, TABLES)
    if found := breaches(frame, name):
        raise DataError("\n  - ".join([f"Table '{name}' breaks its contract:", *found]))
    return frame


def codebook() -> str:
    """The data dictionary as Markdown: what the README prints."""
    parts = []
    for table in TABLES.values():
        rows = [
            f"| `{c.name}` | {c.kind} | {'yes' if c.required else ''} | {c.about}"
            + (f" ({', '.join(c.values)})" if c.values and c.values != OUTCOMES else "")
            + " |"
            for c in table.columns
        ]
        parts.append(
            f"**`{table.name}`**: {table.about} Key: {', '.join(f'`{k}`' for k in table.key)}.\n\n"
            "| column | kind | must be filled | meaning |\n|---|---|---|---|\n" + "\n".join(rows)
        )
    kinds = "; ".join(f"*{kind}* {about}" for kind, about in KINDS.items())
    return f"Kinds: {kinds}.\n\n" + "\n\n".join(parts) + "\n"


def _wrong_type(given: pd.Series, kind: Kind) -> str:
    """In words, when the values are not of the kind; empty when they are."""
    if given.empty:
        return ""
    if kind in ("id", "label"):
        good = pd.api.types.is_string_dtype(given.dtype)
    elif kind in ("date", "moment"):
        good = pd.api.types.is_datetime64_dtype(given.dtype)
        if good and kind == "date" and (given != given.dt.normalize()).any():
            return "has times of day; a date is a day"
    elif kind == "flag":
        good = pd.api.types.is_bool_dtype(given.dtype)
    else:
        good = pd.api.types.is_numeric_dtype(given.dtype) and not pd.api.types.is_bool_dtype(given.dtype)
    return "" if good else f"is {given.dtype}, not a {kind} ({KINDS[kind]}), e.g. {examples(given)}"


if __name__ == "__main__":  # python -m salesforecast.contract README.md: print the codebook into the README
    import re
    import sys
    from pathlib import Path

    readme = Path(sys.argv[1])
    text = readme.read_text("utf-8")
    printed = re.sub(r"(?s)(<!-- codebook -->\n).*(<!-- /codebook -->)", lambda m: m[1] + codebook() + m[2], text)
    readme.write_text(printed, "utf-8")
