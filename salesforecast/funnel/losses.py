"""Where value is lost."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import stats, style
from salesforecast.errors import MissingTable, TooLittleData
from salesforecast.observed import need, reach
from salesforecast.periods import Period
from salesforecast.tables import NOT_FILLED
from salesforecast.text import md

SPLITS = ("family", "product", "segment", "channel", "lost_reason", "rep", "team", "region")
OF_LOST_ONLY = ("lost_reason", "competitor", "stage")  # a rate by them would be 1, or say nothing
MOST = 20  # bars


def lost_value(deals: pd.DataFrame, *, period: Period, as_of: pd.Timestamp, by: str = "") -> pd.DataFrame:
    """What the deals lost in a period were worth, by a column of theirs.

    Parameters
    ----------
    deals : DataFrame
        Columns outcome, closed_date, amount, and the one named by `by`.
    period : Period
    as_of : Timestamp
        The last day the data are known.
    by : str
        A column: family, product, segment, channel, lost_reason, rep, team, region, …; the first of these that the data
        have when empty. Rows in which it is empty are "not filled in".

    Returns
    -------
    DataFrame
        The column, lost (deals), valued (those with an amount), amount (money these were worth), share (of all lost
        amount); and, unless only lost deals carry the column: closed (deals won or lost in the period), loss_rate (lost
        of closed), lower, upper (95% Wilson interval). Dearest first.

    Raises
    ------
    MissingTable
        When the column is not in the data.
    SettingError
        When there is no such column anywhere.
    TooLittleData
        When nothing was lost in the period, or no lost deal has an amount.
    """
    by = by or next((c for c in SPLITS if c in deals and deals[c].notna().any()), "")
    if not by:
        raise MissingTable(f"This needs a column to split by: {', '.join(SPLITS)}; the data fill none of them.")
    need(deals, by, "amount", "closed_date")
    now = period.so_far(as_of)
    closed = deals[(deals["closed_date"] >= now.since) & (deals["closed_date"] < now.until)]
    lost = closed["outcome"] == "lost"
    valued = lost & closed["amount"].notna()
    if not valued.any():
        n = style.plural(lost.sum(), "deal")
        raise TooLittleData(
            f"Of the {n} lost in {period.label} none has an amount."
            if lost.any()
            else f"No deal was lost in {period.label}."
        )
    group = closed[by].astype("str").replace("", None).fillna(NOT_FILLED)
    frame = pd.DataFrame({
        "lost": lost.groupby(group).sum(),
        "valued": valued.groupby(group).sum(),
        "amount": closed["amount"].where(valued, 0.0).groupby(group).sum(),
        "closed": lost.groupby(group).size(),
    }).rename_axis("group").reset_index()  # fmt: skip
    frame.insert(4, "share", frame["amount"] / frame["amount"].sum())
    frame = frame[frame["lost"] > 0].sort_values(["amount", "group"], ascending=[False, True], ignore_index=True)
    frame = frame.rename(columns={"group": by})
    if by in OF_LOST_ONLY:
        return frame.drop(columns="closed")
    return stats.add_rate(frame, hits="lost", n="closed", name="loss_rate")


def finding_lost_value(lost: pd.DataFrame) -> str:
    """One sentence: the group with the most lost value, and its share."""
    by, total = lost.columns[0], lost["amount"].sum()
    blank = lost.loc[lost[by] == NOT_FILLED, "share"].sum()
    named = lost[lost[by] != NOT_FILLED]
    if blank > 0.5 or named.empty:
        return (
            f"{style.column(by).header} is not filled in for {style.percent(blank)} of the {style.money(total)} lost, "
            f"so the rest is shown, not ranked."
        )
    top = named.loc[named["amount"].idxmax()]
    bare = int(lost["lost"].sum() - lost["valued"].sum())
    without = f" {style.plural(bare, 'lost deal')} {'has' if bare == 1 else 'have'} no amount." if bare else ""
    return (
        f"**{md(top[by])}** holds the most lost value: {style.money(top['amount'])} of {style.money(total)} "
        f"({style.percent(top['share'])}), in {style.plural(top['valued'], 'deal')}.{without}"
    )


def chart_lost_value(lost: pd.DataFrame) -> alt.LayerChart:
    """Lost value by group, dearest first, or in funnel order when by stage."""
    by = lost.columns[0]
    words = [
        f"{style.money(a, short=True)} ({style.percent(s)}, {style.plural(n, 'deal')})"
        for a, s, n in zip(lost["amount"], lost["share"], lost["valued"], strict=True)
    ]
    top = lost.loc[lost["amount"].idxmax(), by]
    order = "in funnel order" if by == "stage" else "dearest first"
    if len(lost) > MOST:
        order = f"the {MOST} dearest of {len(lost)}"
    return style.bars(
        lost.assign(words=words).head(MOST), "amount", by, text="words", accent=top,
        title=f"Lost value by {style.column(by).header.casefold()}",
        subtitle=f"Amounts of the deals lost in the period, share and number; {order}",
    )  # fmt: skip


def lost_by_stage(
    deals: pd.DataFrame, stage_history: pd.DataFrame, stages: pd.DataFrame, *, period: Period, as_of: pd.Timestamp
) -> pd.DataFrame:
    """What the deals lost in a period were worth, by the furthest stage they had reached.

    Parameters
    ----------
    deals, stage_history, stages : DataFrame
        As for `lost_value` and `stage_conversion`.
    period : Period
    as_of : Timestamp
        The last day the data are known.

    Returns
    -------
    DataFrame
        stage, lost, valued, amount, share, as for `lost_value`, in the order of the funnel.
    """
    rank = deals["opportunity_id"].map(reach(stage_history, stages)["furthest"])
    names = stages.set_index("rank")["stage"]
    now = lost_value(deals.assign(stage=rank.map(names)), period=period, as_of=as_of, by="stage")
    place = now["stage"].map(stages.set_index("stage")["rank"]).fillna(np.inf)
    return now.iloc[place.argsort(kind="stable")].reset_index(drop=True)


def finding_lost_by_stage(lost: pd.DataFrame) -> str:
    """One sentence: the furthest stage of the deals that hold the most lost value."""
    return finding_lost_value(lost)


def chart_lost_by_stage(lost: pd.DataFrame) -> alt.LayerChart:
    """Lost value by the furthest stage reached, in the order of the funnel."""
    return chart_lost_value(lost)
