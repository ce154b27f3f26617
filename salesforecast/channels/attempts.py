"""Every attempt at a customer: what came in the days after it, and what was known when it was made."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast.errors import MissingTable, TooLittleData
from salesforecast.observed import need
from salesforecast.periods import ONE_DAY
from salesforecast.tables import Crm

TACTICS = ("cold_call", "call", "email", "personalised_email", "visit", "meeting", "event", "demo")
WITHIN = 30  # days after the attempt in which its result is looked for
MOVED, OPENED = "deal moved on", "deal opened"


def attempts(
    crm: Crm, *, since: pd.Timestamp, until: pd.Timestamp, within: int = WITHIN, of: Crm | None = None
) -> pd.DataFrame:
    """Every attempt at a customer with what came in the days after it, and what was known when it was made.

    An attempt on an open deal has a result when the deal came to a stage it had not reached before, or was won, within so many days.
    An attempt at an account without an open deal, none entered before that day, has one when a deal was opened on that day or
    within them; there only the first attempt counts, for the second was made as the first had none. Attempts younger than that are
    not decided. Those without deal and account, and those on the day a deal closed, cannot be judged.

    Parameters
    ----------
    crm : Crm
        Activities; opportunities; stage_history, stages, accounts where there are. Without a stage history the result is a win.
    since, until : Timestamp
        The first day of the attempts, and the first day left out.
    within : int
        Days.
    of : Crm, optional
        A part of the data, from `crm.only`: only its activities, on its deals, and only deals of it that were opened count as a
        result. What was open and known then is still that of all.

    Returns
    -------
    DataFrame
        activity_id, at, tactic, aim ("deal moved on", "deal opened", or missing when it cannot be judged), minutes, cluster (the account,
        else the deal), decided, result, and what was known then: stage, nth (1, 2, 3 or 4+ attempts on it so far), age (of the deal),
        pause (since the attempt before), segment, product, size, industry, region, customer (new or existing). By time.

    Raises
    ------
    TooLittleData
        When nothing of the kind was done.
    """
    acts = crm.activities
    if "at" not in acts or acts["at"].isna().all():
        raise MissingTable("This needs when each activity was done. Map the column at of the activities.")
    acts = acts[acts["type"].isin(TACTICS) & acts["at"].notna()].sort_values(["at", "activity_id"], ignore_index=True)
    deals = crm.deals.drop_duplicates("opportunity_id").set_index("opportunity_id")
    need(deals, "created_date")
    if "closed_date" not in deals:
        deals["closed_date"] = pd.Series(pd.NaT, index=deals.index, dtype="datetime64[us]")
    rows = pd.DataFrame({"activity_id": acts["activity_id"], "at": acts["at"], "tactic": acts["type"]})
    for column in ("minutes", "opportunity_id", "account_id"):
        rows[column] = (
            acts[column] if column in acts else pd.Series(np.nan if column == "minutes" else pd.NA, index=acts.index)
        )
    rows["opportunity_id"] = rows["opportunity_id"].astype("str").where(rows["opportunity_id"].isin(deals.index))
    own = (
        rows["opportunity_id"].map(deals["account_id"])
        if "account_id" in deals
        else pd.Series(pd.NA, index=rows.index, dtype="str")
    )
    rows["account_id"] = rows["account_id"].astype("str").fillna(own.astype("str"))
    created, closed = (
        rows["opportunity_id"].map(deals["created_date"]),
        rows["opportunity_id"].map(deals["closed_date"]),
    )
    day = rows["at"].dt.normalize()
    on_deal = rows["opportunity_id"].notna() & (created <= day) & ~(closed <= day)
    working = _open_deals(deals, rows["account_id"], day)
    at_account = rows["opportunity_id"].isna() & rows["account_id"].notna() & ~working
    rows["aim"] = pd.Series(np.where(on_deal, MOVED, OPENED), dtype="str").where(on_deal | at_account)
    target = rows["opportunity_id"].where(on_deal, "account " + rows["account_id"]).where(rows["aim"].notna())
    nth = rows.groupby(target).cumcount() + 1
    pause = (rows["at"] - rows.groupby(target)["at"].shift()).dt.days
    rows["cluster"] = rows["account_id"].fillna(rows["opportunity_id"])
    end = crm.as_of + ONE_DAY
    rows["decided"] = rows["at"] + within * ONE_DAY < end
    moved, stage = _moved(crm, deals, rows, within)
    part = crm if of is None else of
    ours = deals[deals.index.isin(part.opportunities["opportunity_id"])]
    rows["result"] = np.where(on_deal, moved, _opened(ours, rows["account_id"], day, within))
    rows["stage"] = stage
    number = nth.fillna(0).astype("int64").astype("str")
    rows["nth"] = number.mask(nth > 3, "4+").where(rows["aim"].notna())
    rows["age"] = _band((day - created).dt.days, (7, 30, 90), "days")
    rows["pause"] = _band(pause, (7, 30), "days")
    for column in ("segment", "product", "size", "industry", "region"):
        if column in deals:
            rows[column] = rows["opportunity_id"].map(deals[column].astype("str"))
    if "is_new_customer" in deals:
        rows["customer"] = rows["opportunity_id"].map(deals["is_new_customer"].astype("str"))
    if "accounts" in crm:
        known = crm.accounts.set_index("account_id")
        for column in {"size", "industry", "region"} & set(known):
            rows[column] = rows["account_id"].map(known[column].astype("str"))
    late = (rows["aim"] == OPENED) & (nth > 1)
    shown = rows["activity_id"].isin(part.activities["activity_id"])
    shown &= rows["opportunity_id"].isna() | rows["opportunity_id"].isin(ours.index)
    rows = rows[day.between(since, until, inclusive="left") & ~late & shown]
    if rows.empty:
        raise TooLittleData(
            f"Nobody was called, written to or visited between {since:%Y-%m-%d} and {until - ONE_DAY:%Y-%m-%d}."
        )
    return rows.drop(columns=["opportunity_id", "account_id"]).reset_index(drop=True)


def _band(values: pd.Series, edges: tuple[int, ...], unit: str) -> pd.Series:
    names = [f"up to {edges[0]}", *(f"up to {e}" for e in edges[1:]), f"over {edges[-1]}"]
    return pd.cut(values, [-np.inf, *edges, np.inf], labels=[f"{n} {unit}" for n in names]).astype("str")


def _open_deals(deals: pd.DataFrame, account: pd.Series, day: pd.Series) -> pd.Series:
    """Whether the account has a deal open on the day: more were created before it than closed by its end."""
    if "account_id" not in deals:
        return pd.Series(False, index=account.index)
    # those closed on the day they were entered never stood open
    before = deals[deals["created_date"].notna() & ~(deals["created_date"] >= deals["closed_date"])]
    counts = [
        _count(before["account_id"], before[of], account, day - d * ONE_DAY)
        for of, d in (("created_date", 1), ("closed_date", 0))
    ]
    return pd.Series(counts[0] > counts[1], index=account.index)


def _count(of: pd.Series, when: pd.Series, account: pd.Series, day: pd.Series) -> np.ndarray:
    """How many of an account's events had come by the end of the day."""
    events = pd.DataFrame({"account": of.astype("str").array, "day": when.to_numpy()}).dropna().sort_values("day")
    events["n"] = events.groupby("account").cumcount() + 1
    asked = (
        pd.DataFrame({"account": account.astype("str").array, "day": day.to_numpy(), "row": np.arange(len(day))})
        .dropna()
        .sort_values("day")
    )
    found = pd.merge_asof(asked, events, on="day", by="account")
    out = np.zeros(len(day))
    out[found["row"].to_numpy()] = found["n"].fillna(0)
    return out


def _opened(deals: pd.DataFrame, account: pd.Series, day: pd.Series, within: int) -> np.ndarray:
    if "account_id" not in deals:
        return np.zeros(len(day), dtype=bool)
    before, after = (
        _count(deals["account_id"], deals["created_date"], account, day + d * ONE_DAY) for d in (-1, within)
    )
    return np.asarray(after > before)


def _moved(crm: Crm, deals: pd.DataFrame, rows: pd.DataFrame, within: int) -> tuple[np.ndarray, pd.Series]:
    """Whether the deal came further within the days after the attempt; and its stage when it was made."""
    by_deal = rows["opportunity_id"]
    won = by_deal.map(deals["outcome"]) == "won"
    gone = (by_deal.map(deals["closed_date"]) - rows["at"].dt.normalize()).dt.days
    moved = (won & gone.between(1, within)).to_numpy(copy=True)
    if "stage_history" not in crm or "stages" not in crm:
        return moved, pd.Series(pd.NA, index=rows.index, dtype="str")
    moves = crm.stage_history[["opportunity_id", "entered_at", "sequence", "stage"]].merge(crm.stages, on="stage")
    moves = moves.sort_values(["entered_at", "sequence"], kind="stable")
    moves["rank"] = moves["rank"].where(moves["outcome"] == "open", 0)
    moves["furthest"] = moves.groupby("opportunity_id")["rank"].cummax()
    asked = pd.DataFrame({"opportunity_id": by_deal.astype("str"), "row": np.arange(len(rows))}).dropna()
    found = {}
    for name, shift in (("then", 0), ("after", within)):
        at = asked.assign(entered_at=rows["at"].iloc[asked["row"]].to_numpy() + shift * ONE_DAY).sort_values(
            "entered_at"
        )
        at["entered_at"] = at["entered_at"].astype(moves["entered_at"].dtype)
        keys = moves.astype({"opportunity_id": "str"})[["opportunity_id", "entered_at", "furthest", "stage", "outcome"]]
        found[name] = pd.merge_asof(at, keys, on="entered_at", by="opportunity_id").set_index("row").sort_index()
    place, then, after = found["then"].index.to_numpy(), found["then"], found["after"]
    moved[place] |= (after["furthest"] > then["furthest"].fillna(0)).to_numpy() & then["furthest"].notna().to_numpy()
    stage = pd.Series(pd.NA, index=rows.index, dtype="str")
    stage.iloc[place] = then["stage"].astype("str").to_numpy()
    return moved, stage
