"""Proposed corrections for the CRM: where the issues and the other tables say what a value should be."""

from __future__ import annotations

import json
from difflib import get_close_matches

import pandas as pd

from salesforecast import duplicates, ledger, moves
from salesforecast.rules import scale_of_amounts
from salesforecast.tables import TABLES, Crm

FIXES = ["table", "id", "column", "now", "proposed", "why", "confidence"]
SURE, LIKELY, ASK = "sure", "likely: look at it first", "ask the owner"
# What cleaning wrote is what the CRM should hold; of several changes of a cell the last one.
WRITTEN = ("spaces", "alias", "spelling", "named, not numbered")
NEAR = 5  # times: an amount that is 1,000 times another and within this of it


def fixes(issues: pd.DataFrame, crm: Crm) -> pd.DataFrame:
    """The corrections that the data propose for the CRM; nothing where they propose no value.

    Parameters
    ----------
    issues, crm
        What `clean` gave.

    Returns
    -------
    DataFrame
        table, id (its key), column, now (what the CRM holds), proposed, why, confidence ("sure", "likely: look at it first"
        or "ask the owner"); one row per value, by table and id. A deal or an account that may be another one has the other
        one's id as proposed.
    """
    parts = [_as_written(issues), _stages(issues, crm), _twice(issues, crm), *_of_deals(issues, crm)]
    filled = [p for p in parts if len(p)]
    if not filled:
        return pd.DataFrame(columns=FIXES, dtype="str")
    found = pd.concat(filled, ignore_index=True).astype("str")
    found = found[found["proposed"].fillna("").ne("") & (found["proposed"] != found["now"])]
    order = found["table"].map({name: place for place, name in enumerate(TABLES)})
    found = found.assign(order=order).sort_values(["order", "id", "column"], kind="stable")
    return found.drop_duplicates(["table", "id", "column"])[FIXES].reset_index(drop=True)


def _rows(of: pd.DataFrame, proposed: pd.Series, confidence: str, why: str | pd.Series = "", column: str = "") -> pd.DataFrame:  # fmt: skip
    """Fixes of these issues, with what is proposed for each."""
    return pd.DataFrame(
        {
            "table": of["table"], "id": of["row"], "column": column or of["column"], "now": of["was"], "proposed": proposed,
            "why": why if isinstance(why, pd.Series) or why else of["why"], "confidence": confidence,
        },
        columns=FIXES,
    )  # fmt: skip


def _as_written(issues: pd.DataFrame) -> pd.DataFrame:
    mine = issues[issues["rule"].isin(WRITTEN)]
    cell = ["table", "line", "column"]
    last = mine.drop_duplicates(cell, keep="last").set_index(cell)["became"]
    first = mine.drop_duplicates(cell)
    return _rows(first, last.reindex(pd.MultiIndex.from_frame(first[cell])).set_axis(first.index), SURE)


def _stages(issues: pd.DataFrame, crm: Crm) -> pd.DataFrame:
    """The stage whose name is nearest to that of a row set apart for an unknown one."""
    mine = issues[(issues["rule"] == "unknown stage") & (issues["column"] == "")]
    given = mine["was"].map(lambda whole: json.loads(whole).get("stage", ""))
    near = {v: (get_close_matches(v, crm.stages["stage"].tolist(), 1, 0.8) or [""])[0] for v in given.unique()}
    why = "No stage has this name; it is nearest to this one. Until then the row is set apart."
    return _rows(mine.assign(was=given), given.map(near), LIKELY, why, "stage")


def _twice(issues: pd.DataFrame, crm: Crm) -> pd.DataFrame:
    parts = []
    for table, rule, pairs in (
        ("opportunities", "perhaps the same deal twice", duplicates.deals),
        ("accounts", "perhaps the same account twice", duplicates.accounts),
    ):
        mine = issues[(issues["table"] == table) & (issues["rule"] == rule)]
        if len(mine):
            key, frame = TABLES[table].key[0], crm.tables[table]
            other = pairs(frame)
            other = other.set_axis(frame.loc[other.index, key])
            parts.append(_rows(mine.assign(was=mine["row"]), mine["row"].map(other), ASK, column=key))
    return pd.concat(parts) if parts else pd.DataFrame(columns=FIXES)


def _of_deals(issues: pd.DataFrame, crm: Crm) -> list[pd.DataFrame]:
    """What the history, the list price and the usual amount say of a deal's dates, amounts and owner."""
    deals = issues[(issues["table"] == "opportunities") & (issues["column"] != "")]
    # What the CRM holds is what the first change found.
    deals = deals.assign(was=deals.groupby(["line", "column"])["was"].transform("first"))
    # What was converted is no longer what the CRM holds, and no proposal for it.
    converted = deals.loc[deals["rule"] == "converted", "line"]
    deals = deals[(deals["column"] != "amount") | ~deals["line"].isin(converted)]
    by_id = crm.opportunities.set_index("opportunity_id")
    out = []

    def of(*rules: str, column: str) -> pd.DataFrame:
        return deals[deals["rule"].isin(rules) & (deals["column"] == column)]

    def propose(mine: pd.DataFrame, values: pd.Series, confidence: str, why: str) -> None:
        out.append(_rows(mine, ledger.text(mine["row"].map(values)), confidence, why))

    created = of("closed before created", "created long before all others", "no created date", "not a date",
                 "created after the data end", column="created_date")  # fmt: skip
    closed = of("closed after the data end", "closed without a date", "not a date", column="closed_date")
    if {"stage_history", "stages"} <= set(crm.tables) and len(crm.stage_history):
        told = moves.summary(dict(crm.tables))
        propose(created, told["first"], LIKELY, "Its history begins on this day.")
        propose(closed, told["closed"], LIKELY, "On this day its history closes it.")
        late = of("closed before created", column="created_date")
        late = late[ledger.text(late["row"].map(told["first"])) == late["was"]]  # then the other date is the wrong one
        closing = ledger.text(by_id["closed_date"].reindex(late["row"])).to_numpy()
        late = late.assign(column="closed_date", was=closing)
        propose(
            late,
            told["closed"],
            LIKELY,
            "It was created on the day its history begins, and on this day its history closes it.",
        )
        if "rep_id" in crm.stage_history:
            propose(of("no owner", column="rep_id"), moves.latest(crm.tables, "rep_id"), LIKELY, "They made its last change.")  # fmt: skip
        if "amount" in crm.stage_history:
            amounts = moves.latest({"stage_history": crm.stage_history[crm.stage_history["amount"] > 0]}, "amount")
            empty = of("won without an amount", "amount 0 on a lost deal", "not a money", column="amount")
            propose(empty, amounts, LIKELY, "It is the last amount in its history.")
    if "list_amount" in by_id:
        won = of("won without an amount", column="amount")
        propose(won, by_id["list_amount"], ASK, "It is the list price; the price agreed is not in the data.")
    negative = of("negative amount", column="amount")
    out.append(_rows(negative, negative["was"].str.removeprefix("-"), ASK, "The sign may be a slip, or it is a credit note."))  # fmt: skip
    odd = of("1,000 times too much or too little", column="amount")
    if len(odd):
        times = scale_of_amounts(crm.opportunities).set_axis(by_id.index)
        for factor in (1_000, 1 / 1_000):
            near = times[(times / factor).between(1 / NEAR, NEAR)]
            why = "The usual amount of its product or segment is near this one: the comma may have slipped."
            propose(odd, by_id["amount"].reindex(near.index) / factor, ASK, why)
    return out
