"""Cleaning: text becomes values, and the rules do the rest. Every change is a row of the issues."""

from __future__ import annotations

import re

import pandas as pd

from salesforecast import derive, formats
from salesforecast.crm import Export, values
from salesforecast.crm.mapping import Mapping, TableMapping
from salesforecast.errors import DataError, SettingError
from salesforecast.ledger import ISSUES, apart, changed, noted
from salesforecast.periods import day
from salesforecast.rules import LIST_PRICE, RULES, Frames, Rule, Scene, flag
from salesforecast.tables import TABLES, Crm, breaches

# Labels in which two spellings mean one thing; names of people, firms and deals are left as they are written.
CATEGORIES = {
    "channel", "segment", "stage", "outcome", "lost_reason", "competitor", "forecast_category", "team", "manager",
    "region", "role", "industry", "size", "family", "type", "purpose", "kind", "campaign",
}  # fmt: skip
# A reference may be given by the name instead of the id: our column -> (table, its name).
REFERENCES = {"rep_id": ("reps", "rep"), "product_id": ("products", "product"), "account_id": ("accounts", "account")}
MUCH_LATER = 31  # days after the last day in the data: an as_of beyond is a mistake, not a weekend


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
        table, row (its key), column, rule, was, became, why; one row per change or flag, in the order of the rules, of
        the rows in `crm`. A row that was set apart has no column, and `was` holds it whole as JSON.

    Raises
    ------
    DataError
        When a table still breaks its contract after cleaning.
    SettingError
        When `as_of` is no day, or lies more than a month after the data end.
    """
    formats.use_currency(export.settings.currency)
    found: list[pd.DataFrame] = []
    mapping = export.mapping
    tables = {name: _values(raw, name, mapping, found) for name, raw in export.tables.items()}
    derive.declared_stages(tables, mapping)
    for name in tables:
        tables[name] = _one_spelling(tables[name], name, tables, found)
    derive.stages(tables)
    _unknown_stages(tables, found)
    derive.opportunities(tables, mapping)
    derive.stage_history(tables, found)
    known_until = derive.last_day(tables)
    rules = [r for r in RULES if mapping.list_price_as_amount or r.name != LIST_PRICE]
    _run([r for r in rules if not _only_notes(r)], tables, known_until, found)
    crm = Crm(_checked(tables), known_until, export.settings, export.digest)
    if as_of:
        crm = _as_of(crm, day(as_of))
    _run([r for r in rules if _only_notes(r)], dict(crm.tables), crm.as_of, found)
    issues = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=ISSUES, dtype="str")
    return crm, _of_rows_there(issues, crm)


def _as_of(crm: Crm, wanted: pd.Timestamp) -> Crm:
    if wanted > crm.as_of + pd.Timedelta(days=MUCH_LATER):
        raise SettingError(
            f"as_of is {wanted:%Y-%m-%d}, but the data end on {crm.as_of:%Y-%m-%d}. Export anew, or leave as_of out."
        )
    return crm.at(wanted)


def _only_notes(rule: Rule) -> bool:
    return rule.act.__qualname__.startswith(flag.__name__)


def _run(rules: list[Rule], tables: Frames, as_of: pd.Timestamp, found: list[pd.DataFrame]) -> None:
    for rule in rules:
        for name in list(tables) if rule.table == "*" else [rule.table]:
            if name in tables:
                tables[name] = _apply(rule, Scene(name, tables, as_of), found)


def _checked(tables: Frames) -> Frames:
    ordered = {name: derive.in_order(frame, name) for name, frame in tables.items()}
    if problems := [f"{name}.{p}" for name, frame in ordered.items() for p in breaches(frame, name)]:
        raise DataError("\n  - ".join(["The tables break their contract after cleaning:", *problems]))
    return ordered


def _of_rows_there(issues: pd.DataFrame, crm: Crm) -> pd.DataFrame:
    """The issues of deals that were known on the day; those of rows set apart stay."""
    deals = issues["table"].eq("opportunities") & issues["column"].ne("")
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
    done = done.mask((issues["became"] == "set apart") & (issues["column"] == ""), "set apart")
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
        found.append(noted(at.name, frame[rows], column, after.loc[rows, column], rule.name, rule.why))
    else:
        found.append(apart(at.name, frame[rows], rule.name, rule.why))
    return after


# ---- text into values ------------------------------------------------------------------------------------------------


def _values(raw: pd.DataFrame, name: str, mapping: Mapping, found: list[pd.DataFrame]) -> pd.DataFrame:
    """A table of text with each declared column turned into its kind; rows keep their place in the file as index."""
    table, of = TABLES[name], mapping.tables.get(name, TableMapping())
    frame = raw.copy()
    declared = [c for c in table.columns if c.name in frame]
    for c in declared:
        text = frame[c.name].astype("str").str.replace(r"[\s\u00a0\u202f]+", " ", regex=True).str.strip()
        frame[c.name] = frame[c.name].mask(frame[c.name] == "")
        _set(
            frame,
            name,
            c.name,
            text.mask(text == ""),
            "spaces",
            "Spaces around or doubled inside a text mean nothing.",
            found,
        )
        nothing = values.NOTHING_IN_TEXT if c.kind in ("id", "label") else values.NOTHING
        known = frame[c.name].mask(frame[c.name].str.casefold().isin(nothing))
        _set(frame, name, c.name, known, "stands for nothing", "It is written where there is no value.", found)
    for column, pairs in of.aliases.items():
        if column in frame:
            _set(
                frame,
                name,
                column,
                _swapped(frame[column], pairs),
                "alias",
                "The config says that both are the same.",
                found,
            )
    if name in ("opportunities", "stage_history") and "stage" in frame:
        # Their labels for our stages are names, like their headers for our columns, and no issue.
        ours = {_folded(label): s.stage for s in mapping.stages for label in s.labels}
        theirs = frame["stage"].dropna().unique()
        frame["stage"] = _swapped(frame["stage"], {v: ours[_folded(v)] for v in theirs if _folded(v) in ours})
    for column, words in of.ignore.items():
        if column in raw and (rows := raw[column].astype("str").str.strip().isin(words)).any():
            found.append(
                apart(name, frame[rows], "ignored", f"The config sets rows apart whose {column} is {', '.join(words)}.")
            )
            frame, raw = frame[~rows], raw[~rows]
    order = mapping.date_order or values.date_order(
        [frame[c.name] for c in declared if c.kind in ("date", "moment")], f"the table '{name}'"
    )
    for c in declared:
        parsed = values.parse(
            frame[c.name], c.kind, order=order, timezone=mapping.timezone, per_cent=c.name in of.per_cent
        )
        lost = frame[c.name].notna() & parsed.isna()
        why = f"It cannot be read as a {c.kind}, so it is left out."
        found.append(noted(name, frame[lost], c.name, parsed[lost], f"not a {c.kind}", why))
        frame[c.name] = parsed
    for role in [c for c in ("_closed", "_won", "_deleted") if c in frame]:
        parsed = values.parse(frame[role].str.strip().mask(lambda t: t == ""), "flag")
        lost = parsed.isna() & frame[role].notna() & frame[role].ne("")
        found.append(noted(name, frame[lost], role, parsed[lost], "not a flag", "It says neither true nor false."))
        frame[role] = parsed
    if "_deleted" in frame:
        gone = frame.pop("_deleted").fillna(False).astype(bool)
        found.append(apart(name, frame[gone], "deleted in the CRM", "The export still holds it, the CRM does not."))
        frame = frame[~gone]
    return frame


def _swapped(column: pd.Series, names: dict[str, str]) -> pd.Series:
    return column.map(lambda v: names.get(v, v), na_action="ignore").astype("str")


def _set(
    frame: pd.DataFrame, name: str, column: str, became: pd.Series, rule: str, why: str, found: list[pd.DataFrame]
) -> None:
    found.append(changed(name, frame, column, became, rule, why))
    frame[column] = became


# ---- one name for one thing ------------------------------------------------------------------------------------------


def _one_spelling(frame: pd.DataFrame, name: str, tables: Frames, found: list[pd.DataFrame]) -> pd.DataFrame:
    """Categories that differ in case or spaces only become one; a reference by name becomes the id."""
    frame = frame.copy()
    for column in [c for c in frame if c in TABLES[name].names]:
        given = pd.Series(frame[column].dropna().unique())
        if column in REFERENCES and REFERENCES[column][0] in tables and REFERENCES[column][0] != name:
            swap, rule = _ids_of_names(given, tables[REFERENCES[column][0]], column), "named, not numbered"
            why = "It is the name of the one whose id belongs here."
        elif column == "stage" and "stages" in tables and name != "stages":
            swap, rule = _known_spelling(given, tables["stages"]["stage"]), "spelling"
            why = "It differs from a stage in case or spaces only."
        elif column in CATEGORIES:
            counts = frame[column].value_counts().sort_index().sort_values(ascending=False, kind="stable")
            swap, rule = _known_spelling(given, counts.index.to_series()), "spelling"
            why = "It differs from the usual spelling in case or spaces only."
        else:
            continue
        if swap:
            _set(frame, name, column, _swapped(frame[column], swap), rule, why, found)
    return frame


def _known_spelling(given: pd.Series, known: pd.Series) -> dict[str, str]:
    """What is written -> the known one (the first, of several) that is the same when folded."""
    best: dict[str, str] = {}
    for value in known.dropna():
        best.setdefault(_folded(value), value)
    return {v: best[_folded(v)] for v in given if best.get(_folded(v), v) != v}


def _ids_of_names(given: pd.Series, other: pd.DataFrame, key: str) -> dict[str, str]:
    """What is written and is no id -> the id of the only one of that name."""
    label = REFERENCES[key][1]
    if key not in other or label not in other:
        return {}
    names = other[[key, label]].dropna().drop_duplicates()
    folded = names[label].map(_folded)
    ids = names[~folded.duplicated(keep=False)].set_axis(folded[~folded.duplicated(keep=False)])[key]
    return {v: ids[_folded(v)] for v in given[~given.isin(other[key])] if _folded(v) in ids.index}


def _folded(value: str) -> str:
    """A label without what people vary: case, spaces, underscores, and hyphens or slashes between letters.

    >>> _folded("Mid-Market") == _folded("mid market"), _folded("A+") == _folded("A-")
    (True, False)
    """
    return re.sub(r"[\s_]|(?<=[^\W\d_])[-/](?=[^\W\d_])", "", value.casefold())


def _unknown_stages(tables: Frames, found: list[pd.DataFrame]) -> None:
    """Set apart deals whose stage nobody declared: whether they are open, won or lost would be a guess."""
    for name in [n for n in ("opportunities", "stage_history") if n in tables and "stage" in tables[n]]:
        frame = tables[name]
        odd = frame["stage"].notna() & ~frame["stage"].isin(tables["stages"]["stage"])
        if odd.sum() > 0.1 * len(frame):
            named = frame.loc[odd, "stage"].value_counts()
            raise DataError(
                f"{odd.sum():,} of {len(frame):,} rows of '{name}' are in stages that the stage table does not have: "
                f"{', '.join(f'{s!r} ({n:,})' for s, n in named.head(5).items())}. Declare them as [[stage]] in "
                f"salesforecast.toml."
            )
        if odd.any():
            found.append(
                apart(name, frame[odd], "unknown stage", "No stage table says whether it is open, won or lost.")
            )
            tables[name] = frame[~odd]
