"""Whether what was sold is paid, and whether customers complain, by channel."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import shrinkage, stats, style
from salesforecast.channels.entries import channel_of
from salesforecast.channels.fair import LEVEL, RATE
from salesforecast.errors import MissingTable, TooLittleData
from salesforecast.observed import need
from salesforecast.tables import NOT_FILLED, Crm
from salesforecast.text import md

WITHIN = 90  # days after a win in which complaints count
FEW = 20  # invoices or wins: with fewer a channel is not named


def collection(crm: Crm, *, since: pd.Timestamp, until: pd.Timestamp, by: str = "channel") -> pd.DataFrame:
    """The share of invoices paid late or overdue, by channel.

    An invoice is decided when its due day is over: in time when paid by then, else late, paid or not. One that is not yet due is
    undecided, also when it is paid already; else the last month's would be the good payers only.

    Parameters
    ----------
    crm : Crm
        invoices with due_date and paid_date; opportunities for the channel.
    since, until : Timestamp
        Invoices written from `since` to before `until`.
    by : str
        What is compared: channel, partner_id or any other column of the deals.

    Returns
    -------
    DataFrame
        channel, n (decided), late, late_rate, lower, upper (90%, invoices of a customer alike), overdue (late and still unpaid),
        open_amount (money overdue), undecided, q, verdict (above, below, same; few with fewer than 20). Highest rate first.

    Raises
    ------
    MissingTable
        Without invoices, their due dates, or any day on which one was paid.
    TooLittleData
        When no invoice of the window was due.
    """
    bills = crm.invoices
    for column in ("due_date", "paid_date"):
        if column not in bills or bills[column].isna().all():
            raise MissingTable(f"This needs the {column} of the invoices, which is empty in the data. Map or fill it.")
    bills = bills[(bills["invoice_date"] >= since) & (bills["invoice_date"] < until)]
    bills = bills.assign(channel=channel_of(crm, bills, by))
    due = bills["due_date"] < crm.as_of  # paid on the due day is in time, so the day has to be over
    late = due & ~(bills["paid_date"] <= bills["due_date"])
    if not due.any():
        raise TooLittleData("No invoice of this time was due by the end of the data.")
    unpaid = late & bills["paid_date"].isna()
    frame = _rates(bills[due], late[due], "late", bills["account_id"][due] if "account_id" in bills else None)
    counts = {
        "overdue": unpaid.astype("int64"),
        "open_amount": bills["amount"].where(unpaid, 0.0),
        "undecided": (~due).astype("int64"),
    }
    for name, values in counts.items():
        frame[name] = frame["channel"].map(values.groupby(bills["channel"]).sum()).fillna(0)
    frame = frame.astype({"overdue": "int64", "undecided": "int64"})
    order = [
        "channel",
        "n",
        "late",
        "late_rate",
        "lower",
        "upper",
        "overdue",
        "open_amount",
        "undecided",
        "q",
        "verdict",
    ]
    return frame[order]


def complaints(crm: Crm, *, since: pd.Timestamp, until: pd.Timestamp, by: str = "channel") -> pd.DataFrame:
    """The share of won deals with a complaint in the 90 days after, by channel.

    Deals won less than 90 days before the end of the data are undecided.

    Returns
    -------
    DataFrame
        channel, n (won deals, 90 days old), complained, complaint_rate, lower, upper (90%, deals of a customer alike), cost (of all
        complaints about them, where known), undecided, q, verdict. Highest rate first.

    Raises
    ------
    MissingTable
        Without complaints that name a deal or an order line.
    TooLittleData
        When no deal of the window was won 90 days ago.
    """
    found, deals = crm.complaints, crm.deals
    need(deals, "closed_date")
    deal = found["opportunity_id"] if "opportunity_id" in found else pd.Series(pd.NA, index=found.index, dtype="str")
    if "order_line_id" in found and "orders" in crm and "opportunity_id" in crm.orders:
        deal = deal.fillna(found["order_line_id"].map(crm.orders.set_index("order_line_id")["opportunity_id"]))
    if deal.isna().all():
        raise MissingTable(
            "This needs the deal or the order line of each complaint. Map opportunity_id or order_line_id of it."
        )
    won = deals[(deals["outcome"] == "won") & (deals["closed_date"] >= since) & (deals["closed_date"] < until)]
    won = won.assign(channel=won[by].astype("str").fillna(NOT_FILLED) if by in won else NOT_FILLED)
    old = won["closed_date"] + pd.Timedelta(days=WITHIN) <= crm.as_of
    if not old.any():
        raise TooLittleData(
            f"No deal of this time was won {WITHIN} days before the end of the data, so complaints may still come."
        )
    ended = deal.map(won.set_index("opportunity_id")["closed_date"])
    days = (found["created_at"] - ended).dt.days
    counts = (days >= 0) & (days <= WITHIN)
    hit = won["opportunity_id"].isin(deal[counts])
    frame = _rates(
        won[old], hit[old], "complained", won["account_id"][old] if "account_id" in won else None, name="complaint_rate"
    )
    cost = found["cost"].where(counts).groupby(deal).sum() if "cost" in found else pd.Series(dtype="float64")
    frame["cost"] = (
        frame["channel"].map(won["opportunity_id"].map(cost).where(old).groupby(won["channel"]).sum()).fillna(0.0)
    )
    frame["undecided"] = frame["channel"].map((~old).groupby(won["channel"]).sum()).fillna(0).astype("int64")
    return frame[
        ["channel", "n", "complained", "complaint_rate", "lower", "upper", "cost", "undecided", "q", "verdict"]
    ]


def _rates(rows: pd.DataFrame, hit: pd.Series, hits: str, account: pd.Series | None, name: str = "") -> pd.DataFrame:
    """Rates by channel whose intervals know that rows of a customer are alike, and who differs from the rest beyond luck."""
    name = name or f"{hits}_rate"
    frame = pd.DataFrame({"n": rows.groupby("channel").size(), hits: hit.groupby(rows["channel"]).sum()}).reset_index()
    group = stats.group_codes(account) if account is not None else np.arange(len(rows))
    code = pd.Index(frame["channel"]).get_indexer(rows["channel"])
    own, y = np.eye(len(frame))[code], hit.to_numpy("float64")
    rate = (own.T @ y) / frame["n"].to_numpy()
    spread = own * (y[:, None] - rate[code][:, None])
    alike = stats.clustered(spread, group) / np.maximum((spread**2).sum(axis=0), 1e-12)
    wider = np.where(rate * (1 - rate) > 0, np.maximum(alike, 1.0), 1.0)
    # Wilson's interval on as many rows as the alike ones are worth
    worth = frame.assign(hits=frame[hits] / wider, worth=frame["n"] / wider)
    bounds = stats.add_rate(worth, hits="hits", n="worth", name="rate", level=LEVEL)
    frame = frame.assign(**{name: rate, "lower": bounds["lower"], "upper": bounds["upper"]})
    rest = (y.sum() - frame[hits]) / (len(y) - frame["n"]).where(frame["n"] < len(y))
    frame = frame.assign(q=np.nan, verdict="few")
    known = (frame["n"] >= FEW) & rest.notna()
    some = pd.DataFrame(
        {"hits": frame[hits] / wider, "n": frame["n"] / wider, "rest": rest, "others": len(y) - frame["n"]}
    )[known]
    p = [_differs(*map(float, row)) for row in some.itertuples(index=False)]
    frame.loc[known, "q"] = shrinkage.q_values(np.array(p))
    side = pd.Series(np.where(frame[name] > rest, "above", "below"), index=frame.index)
    frame["verdict"] = side.where(frame["q"] < RATE, "same").where(known, "few")
    return frame.sort_values([name, "channel"], ascending=[False, True], ignore_index=True)


def _differs(hits: float, n: float, rest: float, others: float) -> float:
    """How likely a share that differs so much from that of the others is by luck."""
    from scipy.stats import norm

    together = (hits + rest * others) / (n + others)
    error = np.sqrt(max(together * (1 - together), 1e-12) * (1 / n + 1 / others))
    return float(2 * norm.sf(abs(hits / n - rest) / error))


def finding_collection(collection: pd.DataFrame) -> str:
    """One sentence: whose invoices are paid later than the others' by more than luck, and how much is overdue."""
    due = collection["open_amount"].sum()
    tail = f" {style.money(due)} is overdue." if due > 0 else " Nothing is overdue."
    return _named(collection, "late_rate", "late", "invoices", "are paid late or overdue") + tail


def finding_complaints(complaints: pd.DataFrame) -> str:
    """One sentence: about whose deals customers complain more than about the others' by more than luck."""
    return _named(complaints, "complaint_rate", "complained", "won deals", "bring a complaint")


def _named(frame: pd.DataFrame, rate: str, hits: str, what: str, does: str) -> str:
    share = frame[hits].sum() / frame["n"].sum()
    named = frame[frame["verdict"] == "above"]
    if len(named):
        row = named.iloc[0]
        more = (
            f" (and {len(named) - 1} more channels)"
            if len(named) > 2
            else " (and one more channel)"
            if len(named) == 2
            else ""
        )
        between = style.between(row["lower"], row["upper"], style.percent)
        own = f"{style.percent(row[rate])} of its {what} {does} (90% interval {between})"
        return f"**{md(row['channel'])}**{more}: {own}, where it is {style.percent(share)} of all."
    return f"{style.percent(share)} of {what} {does}; **the channels cannot be told apart**."


def chart_collection(collection: pd.DataFrame) -> alt.LayerChart:
    """The share paid late by channel."""
    share = collection["late"].sum() / collection["n"].sum()
    return style.dots(
        collection, "late_rate", "channel", level=LEVEL, line=float(share), verdict="verdict",
        line_label=f"all {style.percent(share)}",
        columns=[("n", "Due", style.count), ("overdue", "Overdue", style.count), ("undecided", "Not yet due", style.count)],
        title="Invoices paid late or overdue", subtitle="Of those whose due day is over; 90% intervals; highest first",
    )  # fmt: skip


def chart_complaints(complaints: pd.DataFrame) -> alt.LayerChart:
    """The share of won deals with a complaint by channel."""
    share = complaints["complained"].sum() / complaints["n"].sum()
    return style.dots(
        complaints, "complaint_rate", "channel", level=LEVEL, line=float(share), verdict="verdict",
        line_label=f"all {style.percent(share)}",
        columns=[("n", "Won deals", style.count), ("complained", "Complaints", style.count)],
        title=f"Won deals with a complaint within {WITHIN} days", subtitle="Of deals won so long ago; 90% intervals; highest first",
    )  # fmt: skip
