"""What came in by each channel, as it was known at the end of the data: deals or leads, each with its age, end and kind."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast import stats
from salesforecast.errors import MissingTable, TooLittleData
from salesforecast.observed import ENOUGH, NEARLY_ALL, followed, need, observed, settled
from salesforecast.periods import ONE_DAY, Period
from salesforecast.tables import NOT_FILLED, Crm

KINDS = ("segment", "size", "region", "product", "customer")  # what a deal is, whoever brought it
YEARS = 2  # of entries compared
FOLLOWED = 30  # deals: with fewer nothing is said of a channel's curve


def two_years(period: Period) -> tuple[pd.Timestamp, pd.Timestamp]:
    """The first day, and the first day after, of the two years to the end of a period.

    >>> from salesforecast.periods import period
    >>> [f"{day:%Y-%m-%d}" for day in two_years(period("2025Q2"))]
    ['2023-07-01', '2025-07-01']
    """
    return period.until - pd.DateOffset(years=YEARS), period.until


def entries(crm: Crm, *, since: pd.Timestamp, until: pd.Timestamp, by: str = "channel") -> pd.DataFrame:
    """The deals entered in a window, as they stand at the end of the data, by channel.

    Parameters
    ----------
    crm : Crm
        Opportunities with created and closed dates; accounts, products, reps and orders where there are.
    since, until : Timestamp
        Deals entered from `since` to before `until`.
    by : str
        What is compared: channel, partner_id, or any other column of the deals.

    Returns
    -------
    DataFrame
        channel (what is compared, "not filled in" where it is empty), entry, exit (ages in days between which the deal is observed),
        outcome, account, quarter, month (codes of the customer and of the time: deals of one are alike), amount, and the
        kind of deal as far as the data have it: segment, size (of the customer), region, product (its family where there is
        one), customer (new or existing). In the order of the deals.

    Raises
    ------
    MissingTable
        When nothing says by which channel deals came.
    TooLittleData
        When no deal was entered in the window.
    """
    deals = crm.deals
    need(deals, by)
    seen = observed(deals)
    first, last = seen.day(since), min(seen.day(until) - 1, seen.day(crm.as_of))
    there = (seen.created >= first) & (seen.created <= last)
    if not there.any():
        raise TooLittleData(f"No deal was entered between {since:%Y-%m-%d} and {until - ONE_DAY:%Y-%m-%d}.")
    deals, end = seen.deals[there], seen.day(crm.as_of)
    created, closed = seen.created[there], seen.closed[there]
    over = closed <= end
    return pd.DataFrame({
        "channel": deals[by].astype("str").fillna(NOT_FILLED).array,
        "entry": np.maximum(0, seen.first_close - created),
        "exit": np.where(over, closed, end) - created,
        "outcome": np.where(over, seen.outcome[there], "open"),
        "account": seen.group[there],
        **_times(deals["created_date"], (closed - created)[over & (seen.outcome[there] == "won")]),
        "amount": deals["amount"].to_numpy("float64") if "amount" in deals else np.nan,
        **{name: values.array for name, values in _kinds(crm, deals).items()},
    }, index=deals["opportunity_id"].rename(None).array)  # fmt: skip


def lead_entries(crm: Crm, *, since: pd.Timestamp, until: pd.Timestamp, by: str = "channel") -> pd.DataFrame:
    """The leads that came in a window, from the first contact to the win of the deal they became.

    A lead is won or lost with its deal, and undecided while it has none or its deal is open.

    Returns
    -------
    DataFrame
        channel, entry, exit, outcome, account, quarter, month, amount as for `entries`; deal (whether it became one).

    Raises
    ------
    MissingTable
        Without leads, or when they do not carry what is compared.
    TooLittleData
        When none came in the window.
    """
    leads, deals = crm.leads, crm.opportunities
    if by not in leads or leads[by].isna().all():
        raise MissingTable(f"This needs the {by} of each lead. Map the column {by} of the leads.")
    if "opportunity_id" not in leads or leads["opportunity_id"].isna().all():
        raise MissingTable("This needs the deal that each lead became. Map the column opportunity_id of the leads.")
    need(deals, "closed_date")
    leads = leads[(leads["created_at"] >= since) & (leads["created_at"] < min(until, crm.as_of + ONE_DAY))]
    if leads.empty:
        raise TooLittleData(f"No lead came in between {since:%Y-%m-%d} and {until - ONE_DAY:%Y-%m-%d}.")
    wanted = [c for c in ("outcome", "closed_date", "amount", "account_id") if c in deals]
    rows = leads[[by, "created_at", "opportunity_id"]].join(
        deals.set_index("opportunity_id")[wanted], on="opportunity_id", validate="many_to_one"
    )
    came = rows["created_at"].dt.normalize()
    over = rows["outcome"].isin(["won", "lost"]) & (rows["closed_date"] <= crm.as_of)
    account = rows["account_id"] if "account_id" in rows else pd.Series(pd.NA, index=rows.index, dtype="str")
    return pd.DataFrame({
        "channel": rows[by].fillna(NOT_FILLED).array,
        "entry": 0,
        "exit": (rows["closed_date"].where(over, crm.as_of) - came).dt.days.clip(lower=0).to_numpy("int64"),
        "outcome": rows["outcome"].where(over, "open").to_numpy("str"),
        "account": stats.group_codes(account),
        **_times(came, (rows["closed_date"] - came).dt.days[over & (rows["outcome"] == "won")].to_numpy()),
        "amount": rows["amount"].to_numpy("float64") if "amount" in rows else np.nan,
        "deal": rows["opportunity_id"].notna().array,
    }, index=leads["lead_id"].array)  # fmt: skip


def ages(entries: pd.DataFrame) -> pd.DataFrame:
    """To which age each channel can be followed, and by which age nearly all its wins have come.

    Returns
    -------
    DataFrame
        channel; n, won, lost, undecided; followed (days, `observed.followed`); settled (the curve has ended its
        rise by then); horizon (the age by which 99% of its wins have come, where settled).
    """
    rows = []
    for name, part in entries.groupby("channel", sort=True):
        entry, exit, outcome = (part[c].to_numpy() for c in ("entry", "exit", "outcome"))
        top = int(exit.max()) + 1
        table = stats.life_table(entry, exit, outcome, np.zeros(len(part), dtype="int64"), 1, top)
        end, counts = followed(table), pd.Series(outcome).value_counts()
        won, lost = (curve[0, : end + 1] for curve in stats.incidence(table, np.ones((1, 1))))
        flat = bool(end >= 1 and len(part) >= FOLLOWED and counts.get("won", 0) >= ENOUGH and settled(won, lost))
        rows.append({
            "channel": name, "n": len(part), "won": int(counts.get("won", 0)), "lost": int(counts.get("lost", 0)),
            "undecided": int(counts.get("open", 0)), "followed": max(0, end), "settled": flat,
            "horizon": float(stats.first_age(won, np.array(NEARLY_ALL * won[-1]))) if flat else np.nan,
        })  # fmt: skip
    return pd.DataFrame(rows)


def channel_of(crm: Crm, rows: pd.DataFrame, by: str) -> pd.Series:
    """By which channel each invoice or order came: its own, else that of its deal."""
    own = rows[by] if by in rows else pd.Series(pd.NA, index=rows.index, dtype="str")
    if by in crm.deals and "opportunity_id" in rows:
        own = own.fillna(rows["opportunity_id"].map(crm.deals.set_index("opportunity_id")[by]))
    return own.astype("str").fillna(NOT_FILLED)


def _times(came: pd.Series, days_to_win: np.ndarray) -> dict[str, np.ndarray]:
    """Codes of the quarter and month in which half of the wins would have come: that is the time whose luck a deal shares."""
    at = came + pd.Timedelta(days=int(np.median(days_to_win)) if len(days_to_win) else 0)
    month = (at.dt.year * 12 + at.dt.month - 1).to_numpy("int64")
    return {"quarter": month // 3 - month.min() // 3, "month": month - month.min()}


def _kinds(crm: Crm, deals: pd.DataFrame) -> dict[str, pd.Series]:
    """What each deal is, as far as the data have it; never what came of the selling, such as its stage, discount or amount."""
    found = {"segment": deals["segment"]} if "segment" in deals else {}
    if "size" in deals:
        found["size"] = deals["size"]
    if "accounts" in crm and "region" in crm.accounts and "account_id" in deals:
        found["region"] = deals["account_id"].map(crm.accounts.set_index("account_id")["region"])
    elif "region" in deals:
        found["region"] = deals["region"]
    product = next((c for c in ("family", "product") if c in deals and deals[c].notna().any()), None)
    if product:
        found["product"] = deals[product]
    if "is_new_customer" in deals:
        found["customer"] = deals["is_new_customer"].map({True: "new", False: "existing"})
    return {k: found[k].astype("str").fillna(NOT_FILLED) for k in KINDS if k in found and found[k].notna().any()}
