"""Reading an export: its files become our tables, as text under our names."""

from __future__ import annotations

import glob
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from salesforecast import keeping
from salesforecast.crm import currencies, matching, outcomes, unpivot
from salesforecast.crm.files import ENDINGS, is_export, read
from salesforecast.crm.mapping import CONFIG, Mapping, TableMapping, mappings, parse, read_config
from salesforecast.crm.matching import Place
from salesforecast.crm.sheets import Sheet, plain
from salesforecast.errors import DataError, SettingError, unknown
from salesforecast.tables import TABLES, Settings

ORDERS_ALONE = (
    " Orders alone can be read as deals that were all won: map their lines under [opportunities], any column that is always filled as "
    'the stage, its values as the labels of one [[stage]] with outcome = "won". That opens bookings, targets and the forecast of the '
    "series; win rates and the funnel need the deals that were lost or are open."
)


@dataclass(frozen=True)
class Export:
    """What was read, before any cleaning.

    Parameters
    ----------
    tables : dict
        Our table -> frame of text under our column names; columns nobody mapped keep their own names. `_exported_on`
        is the day in the name of the file, where several exports of one table have one. `currency` is what stands
        beside the amounts, where no column says it.
    mapping : Mapping
        How it was read, with the analyst's settings.
    sources : DataFrame
        One row per file, sheet or member: file, table ("" when it was not used), rows, mapped (our columns found, each with
        their header: `amount = "Value"`),
        unmapped (theirs that were kept as they are), why (it was not used, or what was made of it), encoding, dropped
        (lines that are no rows: how many, which, an example), filled (rows with fewer values than headers).
    digest : str
        SHA-256 over the names and bytes of all files read, and of the config.
    evidence : str
        Why it was taken for an export of this CRM.
    assumed : bool
        Whether nothing says the currency, neither the config nor the amounts.
    """

    tables: dict[str, pd.DataFrame]
    mapping: Mapping
    sources: pd.DataFrame
    digest: str
    evidence: str = ""
    assumed: bool = False

    @property
    def settings(self) -> Settings:
        """Company, currency, fiscal year."""
        return self.mapping.settings


class Unread(Export):
    """An export whose cleaned tables the run has kept: it is read only when something else of it is asked for."""

    def __init__(self, path: str | Path, config: str | Path | None) -> None:
        object.__setattr__(self, "asked", (path, config))

    def __getattribute__(self, name: str) -> Any:
        got = object.__getattribute__
        if name in Export.__dataclass_fields__ and "read" not in got(self, "__dict__"):
            object.__setattr__(self, "read", _load(*got(self, "asked")))
        return getattr(got(self, "read"), name) if name in Export.__dataclass_fields__ else got(self, name)


@dataclass(frozen=True)
class _Read:
    """A sheet with the file it comes from, or the error that the file gave."""

    file: Path
    sheet: Sheet
    error: str = ""


def load(path: str | Path, config: str | Path | None = None) -> Export:
    """The tables of an export, under our names; values are left as the files write them.

    Which CRM it comes from is found by the file names and headers, unless a salesforecast.toml beside the files, or
    the one given, says so. Files that hold the same table are put together, those with a day in their names in the
    order of the days.

    Parameters
    ----------
    path : path
        A folder, a file, or a pattern such as `exports/Opportunity_*.csv`. CSV in any usual encoding and with any usual
        separator, also packed by gzip or zip; Excel; Parquet.
    config : path, optional
        A salesforecast.toml; without it the one beside the files is used, if there is one.

    Raises
    ------
    DataError
        When a file is missing, empty or unreadable, or no file holds the opportunities.
    SettingError
        When the config is not valid.
    """
    return Unread(path, config) if keeping.kept(path, config) else _load(path, config)


def _load(path: str | Path, config: str | Path | None) -> Export:
    files, folder = _files(path)
    config = Path(config) if config else folder / CONFIG if (folder / CONFIG).exists() else None
    declared = read_config(config) if config else {}
    sheets = _sheets(files, _known(declared))
    readable = [r.sheet for r in sheets if not r.error]
    if declared.get("crm"):
        crm, evidence = declared["crm"], f"{CONFIG} says so"
    else:
        mapped = "opportunity_id" in declared.get("opportunities", {}).get("columns", {})
        crm, evidence = matching.detect(readable, mapped=mapped)
    mapping = parse({**declared, "crm": crm}, str(config or "no config"))
    mapping = replace(mapping, settings=replace(mapping.settings, crm=crm))
    _all_there(declared, mapping, readable)

    places = _places(sheets, mapping, set(declared))
    digest = hashlib.sha256(config.read_bytes() if config else b"")
    for file in files:
        if any(r.file == file and at.table for r, at in zip(sheets, places, strict=True)):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    parts: dict[str, list[tuple[str, pd.DataFrame]]] = {}
    sources = []
    for r, at in zip(sheets, places, strict=True):
        about = {"encoding": r.sheet.encoding, "dropped": r.sheet.dropped, "filled": r.sheet.filled}
        if not at.table:
            why = r.error or at.why
            sources.append(
                {"file": r.sheet.name, "table": "", "rows": pd.NA, "mapped": "", "unmapped": "", "why": why, **about}
            )
            continue
        frame, why = _ours(r.sheet, at, mapping)
        day = next((d for name in (*r.sheet.named, r.sheet.name) if (d := matching.exported_on(name))), "")
        parts.setdefault(at.table, []).append((day, frame))
        ours = [c for c in frame.columns if c in TABLES[at.table].names]
        used = unpivot.stage_columns(list(frame.columns), mapping.tables.get(at.table, TableMapping()).entered)
        rest = ", ".join(c for c in frame.columns if c not in ours and c not in used and not c.startswith("_"))
        sources.append({
            "file": r.sheet.name, "table": at.table, "rows": len(frame), "mapped": _mapped(ours, at.named), "unmapped": rest,
            "why": why, **about,
        })  # fmt: skip
    if "opportunities" not in parts:
        broken = next((f" {r.error}" for r in sheets if r.error), "")
        sold = ORDERS_ALONE if "orders" in parts else ""
        raise DataError(
            f"None of the files in {path} holds the opportunities, the deals that every report is about: "
            f"{', '.join(r.sheet.name for r in sheets)}.{broken}{sold} "
            f'Name the file under [opportunities] in a {CONFIG}: files = ["…"]; '
            f"`salesforecast init` writes one to start from."
        )
    tables = {name: _together(p) for name, p in parts.items()}
    for table, frame in tables.items():
        tables[table] = outcomes.settle(frame, table, mapping.tables.get(table, TableMapping()))
        of = currencies.AMOUNTS.get(table)
        if of in frame and "currency" not in frame and (beside := currencies.beside(frame[of])) is not None:
            tables[table] = tables[table].assign(currency=beside)
    usual = currencies.reporting(mapping.settings.currency, ())
    only = currencies.only_one(tables)
    if "currency" not in declared and only not in ("", usual):
        mapping = replace(mapping, settings=replace(mapping.settings, currency=only))
    entered = unpivot.entries(tables["opportunities"], mapping.tables["opportunities"].entered)
    if entered is not None and "stage_history" not in tables:
        tables["stage_history"] = entered
    outcomes.name_stages(tables)
    outcomes.complete_stages(tables)
    return Export(tables, mapping, pd.DataFrame(sources).astype({"rows": "Int64"}), digest.hexdigest(), evidence,
                  "currency" not in declared and not only)  # fmt: skip


def _files(path: str | Path) -> tuple[list[Path], Path]:
    """The files that may hold tables, and the folder in which a config is looked for."""
    path = Path(path)
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.is_file() and is_export(f.name))
        if not files:
            raise DataError(f"The folder {path} holds no export: no file ends in {', '.join(ENDINGS)}.")
        return files, path
    if path.is_file():
        return [path], path.parent
    if glob.has_magic(str(path)):
        found = sorted(Path(f) for f in glob.glob(str(path)) if Path(f).is_file() and is_export(Path(f).name))
        if not found:
            raise DataError(f"No file fits {path} and ends in {', '.join(ENDINGS)}.")
        return found, found[0].parent
    raise DataError(
        f"The data folder {path} does not exist. Give the folder that holds the exported files, or one file."
    )


def _sheets(files: list[Path], known: set[str]) -> list[_Read]:
    """All sheets of all files; a file that cannot be read is one with its error, which counts when the file is needed."""
    found = []
    for file in files:
        try:
            found += [_Read(file, sheet) for sheet in read(file, known)]
        except DataError as error:
            if len(files) == 1:
                raise
            found.append(_Read(file, Sheet(file.name, (file.name,), pd.DataFrame()), str(error)))
    return found


def _known(declared: dict[str, Any]) -> set[str]:
    """All headers that the mappings and the config know."""
    theirs = [names for m in mappings().values() for t in m.tables.values() for names in t.columns.values()]
    for table in declared.values():
        if isinstance(table, dict) and isinstance(table.get("columns"), dict):
            theirs += [
                (n,) if isinstance(n, str) else tuple(n) for n in table["columns"].values() if isinstance(n, str | list)
            ]
    return {plain(part) for names in theirs for name in names for part in str(name).split(" | ")}


def _places(sheets: list[_Read], mapping: Mapping, declared: set[str]) -> list[Place]:
    """Where each sheet belongs: by its name, else by its headers where nothing is known by that table's name."""
    places = []
    for r in sheets:
        if r.error and any(matching.by_name(r.sheet.named, m) for m in (mapping, mappings()[matching.OWN])):
            raise DataError(r.error)
        places.append(Place(why=r.error) if r.error else matching.place(r.sheet, mapping, declared))
    for at in places:
        if at.refused:
            raise DataError(at.refused)
    named = {at.table for at in places if at.table}
    guesses = [matching.by_headers(r.sheet, mapping) if not at.table and not r.error else Place()
               for r, at in zip(sheets, places, strict=True)]  # fmt: skip
    for table in {g.table for g in guesses if g.table} - named:
        best = max((g for g in guesses if g.table == table), key=lambda g: len(g.named))
        for i, guess in enumerate(guesses):
            if guess.table == table and guess.named.keys() == best.named.keys():
                places[i] = replace(guess, why="known by its headers")
    return places


def _ours(sheet: Sheet, at: Place, mapping: Mapping) -> tuple[pd.DataFrame, str]:
    """Our columns first, then theirs that nobody mapped; and what was made of it."""
    theirs = sheet.frame
    ours = {}
    for our, names in at.named.items():
        column = theirs[names[0]]
        for other in names[1:]:
            column = column.where(column.notna() & column.str.strip().ne(""), theirs[other])
        ours[our] = column
    used = {name for names in at.named.values() for name in names}
    rest = [c for c in theirs.columns if c not in used and c not in ours]
    frame = pd.concat([pd.DataFrame(ours, index=theirs.index), theirs[rest]], axis=1)
    key = TABLES[at.table].key[0]
    if key in frame or not mapping.tables.get(at.table, TableMapping()).numbered:
        return frame, at.why
    frame.insert(0, key, [f"row {i}" for i in range(1, len(frame) + 1)])
    frame[key] = frame[key].astype("str")
    return frame, "; ".join(filter(None, [at.why, f"no header is an id, so {key} is the number of the row"]))


def _mapped(ours: list[str], named: dict[str, tuple[str, ...]]) -> str:
    """Our columns with their headers, as a salesforecast.toml maps them."""
    said = ((our, [name for name in named.get(our, ()) if name != our]) for our in ours)
    return ", ".join(f'{our} = "{" | ".join(theirs)}"' if theirs else our for our, theirs in said)


def _together(parts: list[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    """The files of one table, in the order of the days in their names."""
    parts = sorted(parts, key=lambda part: part[0])
    if any(day for day, _ in parts):
        parts = [(day, f.assign(_exported_on=pd.Series(day or pd.NA, index=f.index, dtype="str"))) for day, f in parts]
    return parts[0][1] if len(parts) == 1 else pd.concat([f for _, f in parts], ignore_index=True)


def _all_there(declared: dict[str, Any], mapping: Mapping, sheets: list[Sheet]) -> None:
    """Refuse a config that maps a column to a header which none of the table's files has."""
    for table in set(declared) & set(TABLES):
        mine = [sheet for sheet in sheets if matching.by_name(sheet.named, mapping) == table]
        headers = {sheet.name: [str(c) for c in sheet.frame.columns] for sheet in mine}
        there = {name for header in headers.values() for name in header}
        for ours, theirs in declared[table].get("columns", {}).items():
            if mine and not any(ours in matching.columns(header, mapping.tables[table]) for header in headers.values()):
                named = theirs if isinstance(theirs, str) else " or ".join(theirs)
                raise SettingError(
                    f"{CONFIG}, [{table}.columns] {ours}: {unknown(f'header in {mine[0].name}', named, sorted(there))}"
                )
