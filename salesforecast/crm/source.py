"""Reading files into frames of text under our names."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from salesforecast.crm.mapping import CONFIG, OWN, Mapping, TableMapping, mappings, parse, read_config
from salesforecast.errors import DataError, SettingError, unknown
from salesforecast.tables import TABLES, Settings

ENDINGS = (".csv", ".csv.gz", ".parquet")
SPARE = 20  # values beyond the headers that a line may have before it is no CSV line at all


@dataclass(frozen=True)
class Export:
    """What was read, before any cleaning.

    Parameters
    ----------
    tables : dict
        Our table -> frame of text under our column names; columns nobody mapped keep their own names.
    mapping : Mapping
        How it was read, with the analyst's settings.
    sources : DataFrame
        One row per file: file, table ("" when it was not used), rows, mapped (our columns found), unmapped (theirs
        that were kept as they are), why (it was not used).
    digest : str
        SHA-256 over the names and bytes of all files read, and of the config.
    """

    tables: dict[str, pd.DataFrame]
    mapping: Mapping
    sources: pd.DataFrame
    digest: str

    @property
    def settings(self) -> Settings:
        """Company, currency, fiscal year."""
        return self.mapping.settings


def load(folder: str | Path, config: str | Path | None = None) -> Export:
    """The tables of an export, under our names; values are left as the files write them.

    Which CRM it comes from is found by the file names and headers, unless a salesforecast.toml in the folder, or
    the one given, says so.

    Parameters
    ----------
    folder : path
        A folder of CSV, gzipped CSV or Parquet files.
    config : path, optional
        A salesforecast.toml; without it the one in the folder is used, if there is one.

    Raises
    ------
    DataError
        When the folder or a file is missing, empty or unreadable, or no file holds the opportunities.
    SettingError
        When the config is not valid.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise DataError(f"The data folder {folder} {what}. Give the folder that holds the exported files.")
    config = Path(config) if config else folder / CONFIG if (folder / CONFIG).exists() else None
    files = sorted(f for f in folder.iterdir() if f.is_file() and f.name.casefold().endswith(ENDINGS))
    if not files:
        raise DataError(f"The folder {folder} holds no export: no file ends in {', '.join(ENDINGS)}.")

    declared = read_config(config) if config else {}
    headers = {f: _header(f) for f in files}
    crm = declared.get("crm") or _detect(headers)
    mapping = parse({**declared, "crm": crm}, str(config or "no config"))
    mapping = replace(mapping, settings=replace(mapping.settings, crm=crm))

    _all_there(declared, mapping, headers)
    digest, sources = hashlib.sha256(), []
    parts: dict[str, list[pd.DataFrame]] = {}
    if config:
        digest.update(config.read_bytes())
    for file in files:
        table, named, why = _place(file, headers[file], mapping, set(declared))
        if not table:
            sources.append({"file": file.name, "table": "", "rows": pd.NA, "mapped": "", "unmapped": "", "why": why})
            continue
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
        theirs = _read(file, headers[file])
        frame = _rename(theirs, named)
        parts.setdefault(table, []).append(frame)
        ours = [c for c in frame.columns if c in TABLES[table].names]
        sources.append({
            "file": file.name, "table": table, "rows": len(frame), "mapped": ", ".join(ours),
            "unmapped": ", ".join(c for c in frame.columns if c not in ours and not c.startswith("_")), "why": "",
        })  # fmt: skip
    if "opportunities" not in parts:
        raise DataError(
            f"None of the files in {folder} holds the opportunities: {', '.join(f.name for f in files)}. "
            f'Name the file under [opportunities] in a {CONFIG}: files = ["…"]; '
            f"`salesforecast init` writes one to start from."
        )
    tables = {name: pd.concat(p, ignore_index=True) for name, p in parts.items()}
    return Export(tables, mapping, pd.DataFrame(sources).astype({"rows": "Int64"}), digest.hexdigest())


def _all_there(declared: dict[str, Any], mapping: Mapping, headers: dict[Path, list[str]]) -> None:
    """Refuse a config that maps a column to a header which none of the table's files has."""
    for table in set(declared) & set(TABLES):
        mine = [file for file in headers if _by_name(file, mapping) == table]
        there = {name for file in mine for name in headers[file]}
        for ours, theirs in declared[table].get("columns", {}).items():
            if mine and not any(ours in _columns(headers[file], mapping.tables[table]) for file in mine):
                named = theirs if isinstance(theirs, str) else " or ".join(theirs)
                raise SettingError(
                    f"{CONFIG}, [{table}.columns] {ours}: {unknown(f'header in {mine[0].name}', named, sorted(there))}"
                )


def _detect(headers: dict[Path, list[str]]) -> str:
    """The CRM most of whose columns are in the files; the project's own names when none is better."""
    scores = {
        name: sum(
            len(_columns(headers[file], mapping.tables[table]))
            for file in headers
            if (table := _by_name(file, mapping))
        )
        for name, mapping in mappings().items()
    }
    return max(scores, key=lambda name: (scores[name], name == OWN))


def _place(file: Path, header: list[str], mapping: Mapping, declared: set[str]) -> tuple[str, dict[str, str], str]:
    """The table a file holds, with our column -> their header; ("", {}, why not) when it is none of them."""
    refused = []
    for candidate in (mapping, mappings()[OWN]):
        table = _by_name(file, candidate)
        if not table:
            continue
        found = _columns(header, candidate.tables[table])
        missing = next((k for k in _must_have(table) if k not in found), "")
        if not missing:
            return table, found, ""
        theirs = candidate.tables[table].columns.get(missing, (missing,))
        refused.append(
            f"{file.name} should hold the table '{table}', but the column for {missing} is missing: "
            f"no header is {' or '.join(repr(t) for t in theirs)}. Its headers: {', '.join(header[:30])}. "
            f'Name the right one in {CONFIG} under [{table}.columns]: {missing} = "…".'
        )
        needed = table == "opportunities" or table in declared
    if refused and needed:
        raise DataError(refused[0])
    return "", {}, refused[0] if refused else "no table of this name is known"


def _must_have(table: str) -> list[str]:
    """Columns without which a file cannot be this table; what cleaning.py can derive is not among them."""
    derived = {"sequence", "stage", "outcome", "rank"} if table == "opportunities" else {"sequence", "outcome", "rank"}
    return [c.name for c in TABLES[table].columns if c.required and c.name not in derived]


def _by_name(file: Path, mapping: Mapping) -> str:
    wanted = {_plain(name): table for table, t in mapping.tables.items() for name in t.files}
    return wanted.get(_plain(file.name), "")


def _plain(name: str) -> str:
    """A file name without ending, in one case, letters and digits only."""
    name = name.casefold()
    for ending in sorted(ENDINGS, key=len, reverse=True):
        name = name.removesuffix(ending)
    return "".join(ch for ch in name if ch.isalnum())


def _columns(header: list[str], table: TableMapping) -> dict[str, str]:
    """Our column -> the first of their headers that is there; case and spaces do not matter."""
    there: dict[str, str] = {}
    for name in header:
        there.setdefault("".join(name.casefold().split()), name)
    found = {}
    for ours, theirs in table.columns.items():
        match = next((there[k] for t in theirs if (k := "".join(t.casefold().split())) in there), None)
        if match is not None:
            found[ours] = match
    for role, name in {**table.outcome, "deleted": table.deleted}.items():
        if (key := "".join(name.casefold().split())) in there:
            found[f"_{role}"] = there[key]
    return found


def _rename(theirs: pd.DataFrame, named: dict[str, str]) -> pd.DataFrame:
    """Our columns first, then theirs that nobody mapped."""
    ours = pd.DataFrame({our: theirs[their] for our, their in named.items()}, index=theirs.index)
    rest = theirs[[c for c in theirs.columns if c not in set(named.values()) and c not in ours]]
    return pd.concat([ours, rest], axis=1)


def _header(file: Path) -> list[str]:
    if _is_parquet(file):
        import pyarrow.parquet as pq

        try:
            return list(pq.read_schema(file).names)
        except Exception as error:
            raise DataError(f"{file.name} cannot be read as Parquet: {error}.") from None
    return [str(c) for c in _csv(file, header=0, nrows=0).columns]


def _read(file: Path, header: list[str]) -> pd.DataFrame:
    """A file as text, whatever it holds."""
    if _is_parquet(file):
        import pyarrow.parquet as pq

        frame = pq.read_table(file).to_pandas(ignore_metadata=True)
        return pd.DataFrame({str(c): _as_text(frame[c]) for c in frame}, index=frame.index)
    spare = [f"\0{i}" for i in range(SPARE)]  # where commas at the end of a line, or too many fields, end up
    frame = _csv(file, header=None, skiprows=1, names=[*header, *spare], index_col=False)
    beyond = frame[spare].notna() & (frame[spare] != "")
    if beyond.any(axis=None):
        lines = (frame.index[beyond.any(axis=1)] + 2).tolist()
        raise DataError(
            f"{file.name} has more values than headers in {len(lines):,} lines, e.g. line {lines[0]:,}: perhaps a comma stands "
            f"in a value without quotes. Export it again with quoted values."
        )
    return frame[header]


def _is_parquet(file: Path) -> bool:
    return file.name.casefold().endswith(".parquet")


def _as_text(column: pd.Series) -> pd.Series:
    """A typed column as a CSV would write it."""
    if pd.api.types.is_datetime64_any_dtype(column):
        text = column.map(lambda v: v.isoformat(), na_action="ignore")
    elif pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        text = column.astype("Int64")
    else:
        text = column
    return text.astype("str").mask(column.isna())


def _separator(file: Path, encoding: str) -> str:
    """What stands between the headers most often, outside of quotes."""
    opener: Any = gzip.open if file.suffix.casefold() == ".gz" else open
    with opener(file, "rt", encoding=encoding) as lines:
        first = re.sub(r'"[^"]*"', "", next((line for line in lines if line.strip()), ""))
    return max(",;\t|", key=first.count)


def _csv(file: Path, **options: Any) -> pd.DataFrame:
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            between = _separator(file, encoding)
            return pd.read_csv(file, sep=between, dtype=str, keep_default_na=False, encoding=encoding, **options)
        except UnicodeDecodeError:
            continue
        except pd.errors.EmptyDataError:
            raise DataError(f"{file.name} is empty. Export it again, or take it out of the folder.") from None
        except (pd.errors.ParserError, EOFError, OSError) as error:
            raise DataError(f"{file.name} cannot be read as CSV: {str(error).strip()}.") from None
    raise DataError(f"{file.name} is neither UTF-8 nor Windows-1252 text. Save it as UTF-8.")
