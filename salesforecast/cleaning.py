"""Cleaning: text becomes values, and a table of rules does the rest. Every change is a row of the issues."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from salesforecast import derive, formats
from salesforecast.crm import Export, values
from salesforecast.crm.mapping import Mapping
from salesforecast.errors import DataError
from salesforecast.periods import day
from salesforecast.tables import TABLES, Crm, breaches

Frames = dict[str, pd.DataFrame]
LIST_PRICE = "amount from the list price"
ISSUES = ["table", "row", "column", "rule", "was", "became", "why"]

# Labels in which two spellings mean one thing; names of people, firms and deals are left as they are written.
CATEGORIES = {
    "channel", "segment", "stage", "outcome", "lost_reason", "competitor", "forecast_category", "team", "manager",
    "region", "role", "industry", "size", "family", "type", "purpose", "kind", "campaign",
}  # fmt: skip
REFERENCES = {"rep_id": "reps", "product_id": "products", "account_id": "accounts", "stage": "stages"}


@dataclass(frozen=True)
class Scene:
    """What a rule may look at beside its frame: the frame's table, all tables, the last day the data are known."""

    name: str
    tables: Frames
    as_of: pd.Timestamp


@dataclass(frozen=True)
class Rule:
    """What is wrong, where, what is done about it, and why.

    Parameters
    ----------
    table : str
        The table it looks at; "*" for each table.
    name : str
        What is wrong, in two or three words; the column `rule` of the issues.
    where : callable
        (frame, scene) -> which rows.
    act : callable
        (frame, rows) -> the changed frame: `set_apart`, `blank(column)`, `fill(column, source)` or `flag(column)`.
    why : str
        The reason, in a sentence.
    """

    table: str
    name: str
    where: Callable[[pd.DataFrame, Scene], pd.Series]
    act: Callable[[pd.DataFrame, pd.Series], tuple[pd.DataFrame, str]]
    why: str


def set_apart(frame: pd.DataFrame, rows: pd.Series) -> tuple[pd.DataFrame, str]:
    """Take the rows out; the issues keep them whole."""
    return frame[~rows], ""


def blank(column: str) -> Callable[[pd.DataFrame, pd.Series], tuple[pd.DataFrame, str]]:
    """Empty a column in the rows."""
    return lambda frame, rows: (frame.assign(**{column: frame[column].mask(rows)}), column)


def fill(column: str, source: str) -> Callable[[pd.DataFrame, pd.Series], tuple[pd.DataFrame, str]]:
    """Take a column from another one in the rows."""
    return lambda frame, rows: (frame.assign(**{column: frame[column].mask(rows, frame[source])}), column)


def flag(column: str) -> Callable[[pd.DataFrame, pd.Series], tuple[pd.DataFrame, str]]:
    """Change nothing; the issues say that it is so."""
    return lambda frame, rows: (frame, column)


def _when(*columns: str) -> Callable[[Callable[..., pd.Series]], Callable[..., pd.Series]]:
    """A rule's `where` that holds nowhere when the columns are not in the data."""

    def guard(where: Callable[..., pd.Series]) -> Callable[..., pd.Series]:
        return lambda t, at: where(t, at) if set(columns) <= set(t.columns) else pd.Series(False, index=t.index)

    return guard


def _known(t: pd.DataFrame, at: Scene, column: str, table: str) -> pd.Series:
    """Whether a reference is in the table it points to; true where there is no such table."""
    return t[column].isin(at.tables[table][column]) if table in at.tables else pd.Series(True, index=t.index)


RULES = (
    Rule("*", "required value empty",
         lambda t, at: t[[c.name for c in TABLES[at.name].columns if c.required and c.name in t]].isna().any(axis=1), set_apart,
         "Without it the row belongs to nothing."),
    Rule("*", "repeated id", lambda t, at: t.duplicated([k for k in TABLES[at.name].key if k in t], keep="last"), set_apart,
         "An export that was resumed repeats rows; the last one is the newest."),
    Rule("stage_history", "deal is not there", lambda t, at: ~_known(t, at, "opportunity_id", "opportunities"), set_apart,
         "A change of a deal that is not in the opportunities belongs to no deal."),
    Rule("opportunities", "no created date", _when("created_date")(lambda t, at: t["created_date"].isna()), flag("created_date"),
         "It is counted among the deals, but has no age, so no curve can hold it."),
    Rule("opportunities", "created after the data end",
         _when("created_date")(lambda t, at: t["created_date"] > at.as_of), blank("created_date"),
         "A deal cannot have been entered after the last day the data are known."),
    Rule("opportunities", "closed after the data end",
         _when("closed_date")(lambda t, at: t["closed_date"] > at.as_of), blank("closed_date"),
         "A deal cannot have closed after the last day the data are known; the deal stays, without a date."),
    Rule("opportunities", "open with a closed date",
         _when("closed_date")(lambda t, at: (t["outcome"] == "open") & t["closed_date"].notna()), blank("closed_date"),
         "Its stage says that it is open, and the stage decides."),
    Rule("opportunities", "closed before created",
         _when("closed_date", "created_date")(lambda t, at: t["closed_date"] < t["created_date"]), blank("created_date"),
         "It was entered after it had closed, so its age is not known; it counts in bookings, not in curves."),
    Rule("opportunities", "negative amount", _when("amount")(lambda t, at: t["amount"] < 0), blank("amount"),
         "A credit note is not a deal value."),
    Rule("opportunities", "amount 0 on a lost deal",
         _when("amount")(lambda t, at: (t["outcome"] == "lost") & (t["amount"] == 0)), blank("amount"),
         "It says that nothing was sold, not what the deal was worth; averages would be pulled down."),
    Rule("opportunities", LIST_PRICE,
         _when("amount", "list_amount")(lambda t, at: t["amount"].isna() & t["list_amount"].notna()), fill("amount", "list_amount"),
         "list_price_as_amount is set: without an amount the product's list price stands in."),
    Rule("opportunities", "won without an amount",
         _when("amount")(lambda t, at: (t["outcome"] == "won") & t["amount"].isna()), flag("amount"),
         "It counts as won and adds nothing to bookings; fill it in the CRM."),
    Rule("opportunities", "closed without a date",
         _when("closed_date")(lambda t, at: (t["outcome"] != "open") & t["closed_date"].isna()), flag("closed_date"),
         "It cannot be placed in a period or in a curve; fill it in the CRM."),
    Rule("opportunities", "won on the day it was entered",
         _when("closed_date", "created_date")(lambda t, at: (t["outcome"] == "won") & (t["closed_date"] == t["created_date"])),
         flag("created_date"), "It was probably entered late; many of them make the cycle look short."),
    Rule("opportunities", "expected date has passed",
         _when("expected_close_date")(lambda t, at: (t["outcome"] == "open") & (t["expected_close_date"] < at.as_of)),
         flag("expected_close_date"), "It is open past the day its seller expected; ask for a new date."),
    Rule("opportunities", "no owner", _when("rep_id")(lambda t, at: t["rep_id"].isna()), flag("rep_id"),
         "It belongs to no rep's record."),
    Rule("opportunities", "owner is not in the reps",
         _when("rep_id")(lambda t, at: t["rep_id"].notna() & ~_known(t, at, "rep_id", "reps")), flag("rep_id"),
         "It belongs to no team or region."),
    Rule("reps", "rep without deals",
         lambda t, at: ~t["rep_id"].isin(at.tables["opportunities"].get("rep_id", pd.Series(dtype="str"))), flag("rep_id"),
         "The rep stands in the team and in none of the deals; rates of this rep are missing, not 0."),
)  # fmt: skip


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
        table, row (its key), column, rule, was, became, why; one row per change or flag, in the order of the rules.
        A row that was set apart has no column, and `was` holds it whole as JSON.

    Raises
    ------
    DataError
        When a table still breaks its contract after cleaning.
    """
    ledger: list[pd.DataFrame] = []
    mapping = export.mapping
    tables = {name: _values(raw, name, mapping, ledger) for name, raw in export.tables.items()}
    derive.declared_stages(tables, mapping)
    for name in tables:
        tables[name] = _one_spelling(tables[name], name, tables, ledger)
    derive.stages(tables)
    _unknown_stages(tables, ledger)
    derive.opportunities(tables, mapping)
    derive.stage_history(tables)
    known_until = derive.last_day(tables)
    rules = [r for r in RULES if mapping.list_price_as_amount or r.name != LIST_PRICE]
    for rule in rules:
        for name in list(tables) if rule.table == "*" else [rule.table]:
            if name in tables:
                tables[name] = _apply(rule, Scene(name, tables, known_until), ledger)
    tables = {name: derive.in_order(frame, name) for name, frame in tables.items()}
    problems = [f"{name}.{p}" for name, frame in tables.items() for p in breaches(frame, name)]
    if problems:
        raise DataError("\n  - ".join(["The tables break their contract after cleaning:", *problems]))
    issues = pd.concat(ledger, ignore_index=True) if ledger else pd.DataFrame(columns=ISSUES, dtype="str")
    crm = Crm(tables, known_until, export.settings, export.digest)
    if not as_of:
        return crm, issues
    wanted = day(as_of)
    return (crm.at(wanted) if wanted < known_until else Crm(tables, wanted, crm.settings, crm.digest)), issues


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


def _apply(rule: Rule, at: Scene, ledger: list[pd.DataFrame]) -> pd.DataFrame:
    frame = at.tables[at.name]
    rows = rule.where(frame, at).fillna(False).astype(bool)
    if not rows.any():
        return frame
    after, column = rule.act(frame, rows)
    hit = frame[rows]
    if column:
        ledger.append(_rows(at.name, hit, column, rule.name, hit[column], after.loc[rows, column], rule.why))
    else:
        ledger.append(_apart(at.name, hit, rule.name, rule.why))
    return after


def _values(raw: pd.DataFrame, name: str, mapping: Mapping, ledger: list[pd.DataFrame]) -> pd.DataFrame:
    """A table of text with each declared column turned into its kind."""
    table, of = TABLES[name], mapping.tables.get(name)
    frame = raw.copy()
    declared = [c for c in table.columns if c.name in frame]
    texts = [
        c.name
        for c in declared
        if not pd.api.types.is_numeric_dtype(frame[c.name]) and not pd.api.types.is_datetime64_any_dtype(frame[c.name])
    ]
    for column in texts:
        text = frame[column].astype("str").str.replace(r"[\s\u00a0\u202f]+", " ", regex=True).str.strip()
        tidy = text.mask(text.eq("") | text.str.casefold().isin(values.NOTHING))
        ledger.append(
            _diff(
                name,
                frame,
                column,
                "spaces",
                frame[column],
                text,
                "Spaces around or doubled inside a text mean nothing.",
            )
        )
        frame[column] = tidy
    for column, pairs in (of.aliases if of else {}).items():
        if column in frame:
            renamed = frame[column].map(pairs).fillna(frame[column])
            ledger.append(
                _diff(name, frame, column, "alias", frame[column], renamed, "The config says that both are the same.")
            )
            frame[column] = renamed
    for column, words in (of.ignore if of else {}).items():
        if column in frame and (rows := frame[column].isin(words)).any():
            ledger.append(
                _apart(
                    name, frame[rows], "ignored", f"The config sets rows apart whose {column} is {', '.join(words)}."
                )
            )
            frame = frame[~rows].reset_index(drop=True)
    dates = [c.name for c in declared if c.kind in ("date", "moment") and c.name in texts]
    order = mapping.date_order or values.date_order([frame[c] for c in dates], f"the table '{name}'")
    parsed = {
        c.name: values.parse(
            frame[c.name], c.kind, order=order, timezone=mapping.timezone, per_cent=bool(of and c.name in of.per_cent)
        )
        if c.name in texts
        else _typed(frame[c.name], c.kind)
        for c in declared
    }
    for c in declared:
        lost = frame[c.name].notna() & parsed[c.name].isna()
        if lost.any():
            ledger.append(
                _rows(
                    name,
                    frame[lost],
                    c.name,
                    f"not a {c.kind}",
                    frame.loc[lost, c.name],
                    parsed[c.name][lost],
                    f"It cannot be read as a {c.kind}, so it is left out.",
                )
            )
    return frame.assign(**parsed)


def _typed(column: pd.Series, kind: str) -> pd.Series:
    """A column that the file typed (Parquet), in our type."""
    if kind in ("id", "label"):
        whole = pd.to_numeric(column, errors="coerce")
        as_int = pd.api.types.is_float_dtype(column) and (whole.dropna() % 1 == 0).all()
        return (column.astype("Int64") if as_int else column).astype("str").mask(column.isna())
    if kind in ("date", "moment"):
        if getattr(column.dtype, "tz", None) is not None:
            column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        moments = pd.to_datetime(column, errors="coerce").astype("datetime64[us]")
        return moments.dt.normalize() if kind == "date" else moments
    return column.astype("boolean" if kind == "flag" else "float64")


def _one_spelling(frame: pd.DataFrame, name: str, tables: Frames, ledger: list[pd.DataFrame]) -> pd.DataFrame:
    """References and categories that differ in case, spaces or signs only become one."""
    frame = frame.copy()
    for column in frame.columns:
        other = REFERENCES.get(column)
        if other == name or column not in TABLES[name].names:
            continue
        if other in tables and column in tables[other]:
            known = tables[other][column].dropna().unique()
        elif column in CATEGORIES:
            known = frame[column].dropna().value_counts().sort_index().sort_values(ascending=False, kind="stable").index
        else:
            continue
        best: dict[str, str] = {}
        for value in known:
            best.setdefault(_bare(value), value)
        given = pd.Series(frame[column].dropna().unique(), dtype="str")
        swap = {
            v: best[_bare(v)]
            for v in given[~given.isin(known) if other in tables else slice(None)]
            if best.get(_bare(v), v) != v
        }
        if swap:
            renamed = frame[column].map(swap).fillna(frame[column])
            ledger.append(
                _diff(
                    name,
                    frame,
                    column,
                    "spelling",
                    frame[column],
                    renamed,
                    "It differs from a known name in case, spaces or signs only.",
                )
            )
            frame[column] = renamed
    return frame


def _bare(value: str) -> str:
    return "".join(ch for ch in value.casefold() if ch.isalnum()) or value


def _unknown_stages(tables: Frames, ledger: list[pd.DataFrame]) -> None:
    """Set apart deals whose stage nobody declared: whether they are open, won or lost would be a guess."""
    for name in ("opportunities", "stage_history"):
        if name not in tables or "stage" not in tables[name] or "stages" not in tables:
            continue
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
            ledger.append(
                _apart(name, frame[odd], "unknown stage", "No stage table says whether it is open, won or lost.")
            )
            tables[name] = frame[~odd].reset_index(drop=True)


def _diff(
    name: str, frame: pd.DataFrame, column: str, rule: str, was: pd.Series, became: pd.Series, why: str
) -> pd.DataFrame:
    rows = was.notna() & (was.astype("str") != became.astype("str"))
    return _rows(name, frame[rows], column, rule, was[rows], became[rows], why)


def _rows(
    name: str, rows: pd.DataFrame, column: str, rule: str, was: pd.Series, became: pd.Series, why: str
) -> pd.DataFrame:
    return pd.DataFrame({
        "table": name, "row": _keys(name, rows), "column": column, "rule": rule,
        "was": _text(was), "became": _text(became), "why": why,
    }, columns=ISSUES, index=rows.index).astype("str")  # fmt: skip


def _apart(name: str, rows: pd.DataFrame, rule: str, why: str) -> pd.DataFrame:
    whole = rows.apply(
        lambda r: json.dumps({k: str(v) for k, v in r.items() if pd.notna(v)}, ensure_ascii=False), axis=1
    )
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
