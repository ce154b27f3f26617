"""Cleaning: text becomes values, and the rules do the rest. Every change is a row of the issues."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from salesforecast import derive, formats, keeping, ledger, rates, reading, words
from salesforecast.contract import breaches
from salesforecast.crm import Export
from salesforecast.crm.mapping import Mapping
from salesforecast.crm.source import Unread
from salesforecast.errors import DataError, SettingError
from salesforecast.fixes import fixes
from salesforecast.ledger import ISSUES, SET_APART
from salesforecast.periods import day
from salesforecast.rules import LIST_PRICE, RULES, Frames, Rule, Scene, flag, set_apart
from salesforecast.tables import TABLES, Crm, Settings
from salesforecast.undoing import undo, writing

__all__ = ["ISSUES", "RULES", "clean", "finding_summary", "fixes", "summary", "undo"]

MUCH_LATER = 31  # days after the last day in the data: an as_of beyond is a mistake, not a weekend
EXPORTED_ON = "_exported_on"  # in a series of exports of one table, the day each row was exported


def clean(export: Export, as_of: str = "") -> tuple[Crm, pd.DataFrame]:
    """The checked tables, and every change that was made on the way.

    Parameters
    ----------
    export : Export
        What `load` read.
    as_of : str
        The last day the data are to be known, as 2025-06-30; the last day in the data when empty. An earlier day
        gives the tables as they were known at the end of it.

    Returns
    -------
    crm : Crm
        The tables.
    issues : DataFrame
        table, row (its key), column, rule, was, became, why, line (as a file of one line of headers and then the rows
        counts it; 0 for no line); one row per change or flag, in the order of the rules, of the rows in `crm`. A row that
        was set apart has no column, and `was` holds it whole as JSON.

    Raises
    ------
    DataError
        When a table still breaks its contract after cleaning.
    SettingError
        When `as_of` is no day, or lies more than a month after the data end.
    """
    if isinstance(export, Unread) and (done := keeping.read(as_of, lambda: _clean(export, as_of)[0].written)):
        _speak(done[0].settings)
        return done
    return _clean(export, as_of)


def _speak(settings: Settings) -> None:
    formats.use_currency(settings.currency)
    words.use(settings.locale)


def _clean(export: Export, as_of: str) -> tuple[Crm, pd.DataFrame]:
    _speak(export.settings)
    found: list[pd.DataFrame] = []
    read = export.sources[export.sources["table"] != ""]
    mapping, files = export.mapping, read.groupby("table")["file"].agg(", ".join).to_dict()
    orders = reading.date_orders(export.tables, mapping, files, found)
    newest, older = _exports(export.tables, found)
    rules = [r for r in RULES if mapping.list_price_as_amount or r.name != LIST_PRICE]
    tables, known_until = _cleaned(newest, mapping, orders, rules, found)
    snapshots = {made: _whole(_cleaned(then, mapping, orders, rules, [])[0]) for made, then in older.items()}
    made_on = max(known_until, _newest_day(export.tables)) if older else known_until
    crm = Crm(tables, made_on, export.settings, export.digest, snapshots=snapshots)
    if as_of and (wanted := day(as_of)) != crm.as_of:
        crm = _as_of(crm, wanted)
    # The flags are those of the day asked for; the tables still have their places in the export as index.
    there = dict(crm.tables)
    _run([r for r in rules if _only_notes(r)], there, crm.as_of, found)
    issues = pd.concat([f for f in found if len(f)] or [ledger.none()], ignore_index=True)
    issues = _of_rows_there(issues, crm) if as_of else issues
    if crm.as_of >= made_on:
        places = {
            n: f.index.to_numpy() for n, f in there.items() if n in newest and not (n == "stages" and mapping.stages)
        }
        crm = replace(crm, written=writing(export.tables, there, places, issues))
    return replace(crm, tables=_whole(there)), issues


def _cleaned(
    raw: Frames, mapping: Mapping, orders: dict[str, dict[str, str]], rules: list[Rule], found: list[pd.DataFrame]
) -> tuple[Frames, pd.Timestamp]:
    """The tables after all rules that change something, in order, and the last day they know."""
    tables = {name: reading.entries(frame, name, mapping, orders[name], found) for name, frame in raw.items()}
    derive.declared_stages(tables, mapping)
    for name in tables:
        tables[name] = reading.one_spelling(tables[name], name, tables, found)
    derive.stages(tables, mapping)
    reading.unknown_stages(tables, found)
    derive.opportunities(tables, mapping)
    derive.stage_history(tables, found)
    _run([r for r in rules if r.act is set_apart], tables, pd.Timestamp.min, found)
    _some_left(tables, raw, found)
    rates.convert(tables, raw, mapping.settings.currency, found)
    known_until = derive.last_day(tables)
    _run([r for r in rules if r.act is not set_apart and not _only_notes(r)], tables, known_until, found)
    return _checked(tables), known_until


def _some_left(tables: Frames, raw: Frames, found: list[pd.DataFrame]) -> None:
    """Refuse an export all of whose deals were set apart, with why each was."""
    given = raw["opportunities"]
    if len(tables["opportunities"]) or not len(given):
        return
    empty = [
        c.name for c in TABLES["opportunities"].columns if c.required and c.name in given and _empty(given[c.name])
    ]
    done = summary(pd.concat(found, ignore_index=True))
    gone = done[(done["table"] == "opportunities") & (done["done"] == SET_APART)]
    why = "; ".join(f"{row.n:,} × {row.rule} ({row.why.rstrip('.')})" for row in gone.itertuples())
    if empty:
        why = f"no row has a value in {' and '.join(empty)}, which every deal needs. Map the column that has it"
    raise DataError(f"None of the {formats.plural(len(given), 'row')} of the opportunities can be used: {why}.")


def _empty(column: pd.Series) -> bool:
    return bool((column.isna() | column.astype("str").str.strip().eq("")).all())


def _exports(raw: Frames, found: list[pd.DataFrame]) -> tuple[Frames, dict[pd.Timestamp, Frames]]:
    """The newest export of each table, and for each older day what the newest exports not after it held."""
    dated = {name: _days(frame, name) for name, frame in raw.items() if EXPORTED_ON in frame}
    if not dated:
        return raw, {}
    every = sorted({d for days in dated.values() for d in days.dropna().unique()})

    def until(made: pd.Timestamp) -> Frames:
        held = {name: days[days <= made].max() for name, days in dated.items()}
        return {
            name: frame[dated[name] == held[name]].drop(columns=EXPORTED_ON) if name in dated else frame
            for name, frame in raw.items() if name not in dated or pd.notna(held[name])
        }  # fmt: skip

    older = {made: then for made in every[:-1] if "opportunities" in (then := until(made))}
    why = "An older export of the table: it says what was known on that day, and is not counted."
    for name, days in dated.items():
        for made in [d for d in every if (days == d).any() and d < days.max()]:
            rows = raw[name][days == made]
            found.append(ledger.of_table(name, len(rows), made, "older export", why))
    return until(every[-1]), older


def _days(frame: pd.DataFrame, name: str) -> pd.Series:
    days = pd.to_datetime(frame[EXPORTED_ON], errors="coerce")
    if days.isna().any():
        raise DataError(
            f"{days.isna().sum():,} rows of '{name}' come from a file without a day in its name, and others from dated exports. "
            f"Name each file by the day it was exported, as {name}_2025-06-30.csv, or take the undated one out of the folder."
        )
    return days.dt.normalize()


def _newest_day(raw: Frames) -> pd.Timestamp:
    return max(_days(frame, name).max() for name, frame in raw.items() if EXPORTED_ON in frame)


def _whole(tables: Frames) -> Frames:
    return {name: frame.reset_index(drop=True) for name, frame in tables.items()}


def _as_of(crm: Crm, wanted: pd.Timestamp) -> Crm:
    """The tables of the day asked for, which keep their places in the export as index."""
    if wanted > crm.as_of + pd.Timedelta(days=MUCH_LATER):
        raise SettingError(
            f"as_of is {wanted:%Y-%m-%d}, but the data end on {crm.as_of:%Y-%m-%d}. Export anew, or leave as_of out."
        )
    then = crm.at(wanted)
    return then if wanted > crm.as_of else replace(then, tables=crm.known(wanted)[0])


def _only_notes(rule: Rule) -> bool:
    return rule.act.__qualname__.startswith(flag.__name__)


def _run(rules: list[Rule], tables: Frames, as_of: pd.Timestamp, found: list[pd.DataFrame]) -> None:
    noted: dict[str, object] = {}  # flags change nothing, so what one worked out holds for the next
    for rule in rules:
        for name in list(tables) if rule.table == "*" else [rule.table]:
            if name in tables:
                scene = Scene(name, tables, as_of, noted if _only_notes(rule) else {})
                tables[name] = _apply(rule, scene, found)


def _checked(tables: Frames) -> Frames:
    ordered = {name: derive.in_order(frame, name) for name, frame in tables.items()}
    if problems := [f"{name}.{p}" for name, frame in ordered.items() for p in breaches(frame, name)]:
        raise DataError("\n  - ".join(["The tables break their contract after cleaning:", *problems]))
    return ordered


def _of_rows_there(issues: pd.DataFrame, crm: Crm) -> pd.DataFrame:
    """The issues of deals that were known on the day; those of rows set apart stay."""
    deals = issues["table"].eq("opportunities") & issues["column"].ne("") & issues["line"].gt(0)
    gone = deals & ~issues["row"].isin(crm.opportunities["opportunity_id"])
    return issues[~gone].reset_index(drop=True)


def summary(issues: pd.DataFrame) -> pd.DataFrame:
    """The issues counted by what they are.

    Returns
    -------
    DataFrame
        rule, table, column, n, done ("changed", "set apart" or "noticed"), why; in the order of the rules.
    """
    done = pd.Series("changed", index=issues.index).mask(issues["was"] == issues["became"], "noticed")
    done = done.mask((issues["became"] == SET_APART) & (issues["column"] == ""), SET_APART)
    keys = ["rule", "table", "column"]
    counted = (
        issues.assign(done=done)
        .groupby(keys, sort=False)
        .agg(n=("row", "size"), done=("done", "first"), why=("why", "first"))
    )
    return counted.reset_index()


def finding_summary(summary: pd.DataFrame) -> str:
    """One sentence: how much was changed, set apart and noticed."""
    count = summary.groupby("done")["n"].sum()
    parts = [
        f"{formats.plural(count.get('changed', 0), 'value')} changed",
        f"{formats.plural(count.get('set apart', 0), 'row')} set apart",
        f"{formats.plural(count.get('noticed', 0), 'value')} noticed and left as they are",
    ]
    return f"Cleaning: {parts[0]}, {parts[1]}, {parts[2]}."


def _apply(rule: Rule, at: Scene, found: list[pd.DataFrame]) -> pd.DataFrame:
    frame = at.tables[at.name]
    rows = rule.where(frame, at).fillna(False).astype(bool)
    if not rows.any():
        return frame
    after, column = rule.act(frame, rows)
    if column:
        found.append(ledger.noted(at.name, frame[rows], column, after.loc[rows, column], rule.name, rule.why))
    else:
        found.append(ledger.apart(at.name, frame[rows], rule.name, rule.why))
    return after
