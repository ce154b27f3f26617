"""The data themselves: how complete and fresh they are, what looks edited in bulk, what cleaning did, what can be asked."""

from __future__ import annotations

import json
from typing import Any

import altair as alt
import pandas as pd

from salesforecast import rules, style
from salesforecast.errors import TooLittleData
from salesforecast.ledger import SET_APART
from salesforecast.reading import MULTIPLE, SPACES
from salesforecast.tables import TABLES, Crm
from salesforecast.text import md

MAY_LACK = ("partner_id", "competitor", "list_amount")  # most deals have none, and need none
HAPPENED = {"opportunities": "closed_date", "stage_history": "entered_at", "activities": "at", "orders": "order_date",
            "leads": "created_at", "touches": "at"}  # fmt: skip


# ---- completeness ----------------------------------------------------------------------------------------------------


def completeness(crm: Crm) -> pd.DataFrame:
    """How many of the rows fill each declared column.

    A column that only some rows can have is counted among those: the closed date of closed deals, the lost reason of lost
    ones, the expected close date of open ones.

    Returns
    -------
    DataFrame
        One row per table and declared column that the data have, in the declared order: table, column, n (rows that can
        have it), filled, share (fraction filled).
    """
    rows = []
    for name, frame in crm.tables.items():
        for column in [c.name for c in TABLES[name].columns if c.name in frame]:
            values = frame[column]
            if name == "opportunities" and (only := _ONLY.get(column)):
                values = values[frame["outcome"].isin(only)]
            rows.append({"table": name, "column": column, "n": len(values), "filled": int(values.notna().sum())})
    frame = pd.DataFrame(rows, columns=["table", "column", "n", "filled"])
    return frame.assign(share=frame["filled"] / frame["n"].where(frame["n"] > 0))


_ONLY = {
    "closed_date": ("won", "lost"), "expected_close_date": ("open",), "lost_reason": ("lost",), "probability": ("open",),
    "forecast_category": ("open",),
}  # fmt: skip


def finding_completeness(completeness: pd.DataFrame) -> str:
    """One sentence: the column of the opportunities with the most gaps, of those that are filled at all."""
    deals = completeness[(completeness["table"] == "opportunities") & ~completeness["column"].isin(MAY_LACK)]
    deals = deals[deals["filled"] > 0]
    gaps = deals[deals["share"] < 1].sort_values("share", kind="stable")
    if gaps.empty:
        return "Every column of the opportunities that the export holds is filled in every row that can have it."
    low = gaps.iloc[0]
    return (
        f"**{md(low['column'])}** has the most gaps: {style.percent(low['share'])} of the {style.plural(low['n'], 'deal')} that "
        f"can have it fill it. {style.plural(len(gaps), 'column')} of the opportunities {'has' if len(gaps) == 1 else 'have'} gaps."
    )


def chart_completeness(completeness: pd.DataFrame) -> alt.LayerChart:
    """The share filled of each column of the opportunities, in the declared order."""
    deals = completeness[completeness["table"] == "opportunities"]
    words = [f"{style.percent(s)} of {style.count(n)}" for s, n in zip(deals["share"], deals["n"], strict=True)]
    low = (
        deals[(deals["filled"] > 0) & (deals["share"] < 1) & ~deals["column"].isin(MAY_LACK)]
        .nsmallest(1, "share")["column"]
        .tolist()
    )
    return style.bars(
        deals.assign(words=words), "share", "column", text="words", accent=low,
        title="How far the columns of the opportunities are filled", subtitle="Share of the rows that can have it; blue: most gaps",
    )  # fmt: skip


# ---- freshness -------------------------------------------------------------------------------------------------------


def freshness(crm: Crm) -> pd.DataFrame:
    """When each table was last written to, and whether it has fallen silent.

    *Usual* is the median number of records a week over the year before the last four weeks.

    Returns
    -------
    DataFrame
        One row per table with dates: table, last (day of the last record), days_ago (before `as_of`), n (records of the
        last four weeks), usual (records in four usual weeks), silent (flag: fewer than a quarter of the usual).
    """
    rows = []
    for name, column in HAPPENED.items():
        if name not in crm or column not in crm.tables[name] or crm.tables[name][column].isna().all():
            continue
        weeks = (crm.as_of - crm.tables[name][column].dropna().dt.normalize()).dt.days // 7
        usual = 4 * weeks[(weeks >= 4) & (weeks < 56)].value_counts().reindex(range(4, 56), fill_value=0).median()
        now = int((weeks < 4).sum())
        last = crm.tables[name][column].max().normalize()
        rows.append({
            "table": name, "last": last, "days_ago": (crm.as_of - last).days, "n": now, "usual": usual,
            "silent": bool(usual >= 8 and now < usual / 4),
        })  # fmt: skip
    if not rows:
        raise TooLittleData("No table has a date, so nothing can be said of how fresh the data are.")
    return pd.DataFrame(rows)


def finding_freshness(freshness: pd.DataFrame) -> str:
    """One sentence: the tables that have fallen silent, or the last record of all."""
    silent = freshness[freshness["silent"]]
    if len(silent):
        names = " and ".join(f"**{name}**" for name in silent["table"])
        worst = silent.iloc[0]
        return (
            f"{names} {'has' if len(silent) == 1 else 'have'} fallen silent: {style.count(worst['n'])} records in the last four weeks, "
            f"where {style.count(worst['usual'])} are usual. Is the export complete?"
        )
    last = freshness.loc[freshness["last"].idxmax()]
    return f"The data are fresh: the last record, of {md(last['table'])}, is from {style.day(last['last'])}; no table has fallen silent."


# ---- bulk edits ------------------------------------------------------------------------------------------------------


def bulk_days(crm: Crm) -> pd.DataFrame:
    """Days on which far more deals were closed than usual: somebody tidied up, or an import set the date.

    Returns
    -------
    DataFrame
        date, closed (deals), lost (of them), usual (mean of the other days of that weekday), times (closed over usual);
        days with at least 20 closings and ten times the usual, latest first.
    """
    deals = crm.opportunities
    if "closed_date" not in deals or deals["closed_date"].isna().all():
        raise TooLittleData("No deal has a closed date, so bulk edits cannot be looked for.")
    found = rules.bulk_days(deals["closed_date"]).rename(columns={"n": "closed"})
    lost = deals.loc[deals["outcome"] == "lost", "closed_date"].value_counts()
    found.insert(1, "lost", lost.reindex(found.index, fill_value=0))
    found = found.assign(times=found["closed"] / found["usual"].clip(lower=0.5)).iloc[::-1]
    return found.rename_axis("date").reset_index()


def finding_bulk_days(bulk: pd.DataFrame) -> str:
    """One sentence: the largest bulk edit, or that there is none."""
    if bulk.empty:
        return "No day stands out by the number of deals closed on it, so no bulk edit shows."
    top = bulk.loc[bulk["closed"].idxmax()]
    return (
        f"**{style.count(top['closed'])} deals were closed on {style.day(top['date'])}**, where {top['usual']:.1f} are usual: a bulk edit, "
        f"whose dates say when somebody tidied up, not when deals ended."
    )


# ---- what cleaning did -----------------------------------------------------------------------------------------------


def effects(issues: pd.DataFrame) -> pd.DataFrame:
    """What cleaning did to the deals and their amounts, rule by rule.

    Parameters
    ----------
    issues : DataFrame
        As `clean` gives them.

    Returns
    -------
    DataFrame
        rule, n (rows of the issues), deals (set apart), before, after (sums of the amounts it touched), change (after -
        before), why; the opportunities only, in the order of the rules. An amount that was only written otherwise, as 2.5k,
        is the same before and after.
    """
    deals = issues[issues["table"] == "opportunities"]
    gone = deals["became"].eq(SET_APART) & deals["column"].eq("")
    of_amount = deals["column"] == "amount"
    before = pd.to_numeric(deals["was"].where(of_amount), errors="coerce")
    before = before.where(~gone, deals["was"].where(gone).map(_amount_of, na_action="ignore")).astype("float64")
    after = pd.to_numeric(deals["became"].where(of_amount), errors="coerce")
    before = before.mask(deals["rule"] == MULTIPLE, after)
    frame = deals.assign(before=before.fillna(0.0), after=after.fillna(0.0), gone=gone)
    by_rule = frame.groupby("rule", sort=False)
    out = by_rule.agg(
        n=("row", "size"), deals=("gone", "sum"), before=("before", "sum"), after=("after", "sum"), why=("why", "first")
    )
    out.insert(4, "change", out["after"] - out["before"])
    return out.reset_index()


def _amount_of(whole: str) -> float:
    row: dict[str, Any] = json.loads(whole)
    return float(pd.to_numeric(row.get("amount"), errors="coerce"))


def finding_effects(effects: pd.DataFrame) -> str:
    """One sentence: how many deals were set apart, and what cleaning did to the sum of the amounts."""
    if effects.empty:
        return "Cleaning had nothing to do with the opportunities."
    gone, change = int(effects["deals"].sum()), effects["change"].sum()
    biggest = effects.loc[effects["change"].abs().idxmax()]
    moved = "left the sum of the amounts as it was"
    if abs(change) >= 0.5 or abs(biggest["change"]) >= 0.5:
        moved = f"moved the sum of the amounts by {style.money(change)}, most of it by **{md(biggest['rule'])}**"
    return f"Cleaning set {style.plural(gone, 'deal')} apart and {moved}."


# ---- what cleaning did to the headline numbers -----------------------------------------------------------------------

HEADLINE = {"won": "Won deals", "win_rate": "Win rate", "bookings": "Bookings", "average_size": "Average size",
            "closed_after": "Closed after"}  # fmt: skip
READ = (SPACES[0], MULTIPLE)  # changes of how a value is written, not of the value


def headline(crm: Crm, issues: pd.DataFrame) -> pd.DataFrame:
    """The headline numbers of all deals as they were exported and as they are after cleaning.

    As exported: with the deals that were set apart, and with the amounts and dates that were changed as they stood in the
    export; what cannot be read there as a number or a date is missing. Amounts of several currencies are added up as they stand.

    Parameters
    ----------
    crm, issues
        What `clean` gave.

    Returns
    -------
    DataFrame
        data ("as exported", "cleaned"), deals, won, lost, win_rate (won / closed), bookings (money), average_size (of won
        deals with an amount, money), closed_after (mean days of closed deals with both dates).
    """
    rows = [{"data": data, **_numbers(deals)} for data, deals in
            (("as exported", _exported(crm, issues)), ("cleaned", crm.opportunities))]  # fmt: skip
    return pd.DataFrame(rows)


def _exported(crm: Crm, issues: pd.DataFrame) -> pd.DataFrame:
    """The deals with their amounts and dates as the issues say they were, and those that were set apart."""
    own = issues[(issues["table"] == "opportunities") & (issues["line"] > 0)]
    gone = own[own["became"].eq(SET_APART) & own["column"].eq("")]
    changed = own[(own["was"] != own["became"]) & ~own["line"].isin(gone["line"]) & ~own["rule"].isin(READ)]
    columns = [c for c in ("amount", "created_date", "closed_date") if c in crm.opportunities]
    deals = crm.opportunities[["opportunity_id", "outcome", *columns]].copy()
    for column in columns:
        first = changed[changed["column"] == column].drop_duplicates("line").set_index("row")
        was = _values(first["was"], column).reindex(deals["opportunity_id"]).set_axis(deals.index)
        deals[column] = deals[column].mask(deals["opportunity_id"].isin(first.index), was)
    apart = pd.DataFrame([json.loads(whole) for whole in gone["was"]]).reindex(columns=["stage", "outcome", *columns])
    by_stage = apart["stage"].map(crm.stages.set_index("stage")["outcome"]) if len(apart) else apart["outcome"]
    apart = apart.assign(outcome=apart["outcome"].fillna(by_stage), **{c: _values(apart[c], c) for c in columns})
    return pd.concat([deals, apart], ignore_index=True) if len(apart) else deals


def _values(text: pd.Series, column: str) -> pd.Series:
    if column == "amount":
        return pd.to_numeric(text, errors="coerce").astype("float64")
    return pd.to_datetime(text, errors="coerce", format="ISO8601").astype("datetime64[us]")


def _numbers(deals: pd.DataFrame) -> dict[str, float]:
    won, lost = deals[deals["outcome"] == "won"], deals[deals["outcome"] == "lost"]
    amounts = won["amount"] if "amount" in won else pd.Series(dtype="float64")
    dated = {"created_date", "closed_date"} <= set(deals)
    closed = deals[deals["outcome"].isin(["won", "lost"])]
    return {
        "deals": len(deals), "won": len(won), "lost": len(lost), "win_rate": len(won) / len(closed) if len(closed) else float("nan"),
        "bookings": amounts.sum(min_count=1), "average_size": amounts.mean(),
        "closed_after": (closed["closed_date"] - closed["created_date"]).dt.days.mean() if dated else float("nan"),
    }  # fmt: skip


def finding_headline(headline: pd.DataFrame) -> str:
    """One sentence: the headline number that cleaning moved most, and by how much."""
    moved = _moved(headline)
    most = moved.loc[moved["change"].abs().idxmax()] if moved["change"].notna().any() else None
    if most is None or abs(most["change"]) < 0.0005:
        return "Cleaning moved none of the headline numbers."
    return f"Cleaning moved **{most['measure'].lower()}** most: {most['words']}. A number that moves this way rests on how the CRM is kept."


def chart_headline(headline: pd.DataFrame) -> alt.LayerChart:
    """How far each headline number moved, in per cent of what it was."""
    moved = _moved(headline)
    most = moved.loc[[moved["change"].abs().idxmax()], "measure"].tolist() if moved["change"].notna().any() else []
    return style.bars(
        moved, "change", "measure", text="words", accent=most,
        title="What cleaning did to the headline numbers", subtitle="Change of each; as exported → cleaned; blue: moved most",
    )  # fmt: skip


def _moved(headline: pd.DataFrame) -> pd.DataFrame:
    before, after = headline.iloc[0], headline.iloc[1]
    say = {"won": style.count, "win_rate": lambda v: style.percent(v, 1), "closed_after": lambda v: f"{v:.1f} days"}
    return pd.DataFrame([
        {"measure": name, "change": after[m] / before[m] - 1 if before[m] else float("nan"),
         "words": " → ".join("–" if pd.isna(v) else say.get(m, style.money)(v) for v in (before[m], after[m]))}
        for m, name in HEADLINE.items()
    ])  # fmt: skip


# ---- what can be asked -----------------------------------------------------------------------------------------------


def analyses(crm: Crm) -> pd.DataFrame:
    """Which analyses the data allow, and what would open the others.

    Returns
    -------
    DataFrame
        analysis, needs (the table and its columns), possible (flag), missing (what to add, in words; "" when possible).
    """
    rows = []
    for table in TABLES.values():
        frame = crm.tables.get(table.name)
        for analysis, columns in table.opens:
            empty = [c for c in columns if frame is None or c not in frame or frame[c].isna().all()]
            missing = (
                ""
                if not empty
                else f"add {table.export}"
                if frame is None
                else f"fill {', '.join(empty)} of '{table.name}'"
            )
            needs = f"{table.name}: {', '.join(columns)}"
            rows.append({"analysis": analysis, "needs": needs, "possible": not empty, "missing": missing})
    return pd.DataFrame(rows)


def finding_analyses(analyses: pd.DataFrame) -> str:
    """One sentence: how many analyses are possible, and what opens the first that is not."""
    closed = analyses[~analyses["possible"]]
    if closed.empty:
        return "Every analysis is possible with these data."
    first = closed.iloc[0]
    return f"**{int(analyses['possible'].sum())} of {len(analyses)} analyses** are possible. For {first['analysis']}: {first['missing']}."
