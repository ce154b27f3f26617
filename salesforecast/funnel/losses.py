"""Where value is lost."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import stats, style
from salesforecast.errors import TooLittleData
from salesforecast.funnel.observed import need
from salesforecast.funnel.stages import reach
from salesforecast.periods import Period
from salesforecast.text import md

NOT_FILLED = "not filled in"


def lost_value(deals: pd.DataFrame, *, period: Period, as_of: pd.Timestamp, by: str) -> pd.DataFrame:
    """What the deals lost in a period were worth, by a column of theirs.

    Parameters
    ----------
    deals : DataFrame
        Columns outcome, closed_date, amount, and the one named by `by`.
    period : Period
    as_of : Timestamp
        The last day the data are known.
    by : str
        A column: product, family, segment, channel, lost_reason, …; rows where it is empty are "not filled in".

    Returns
    -------
    DataFrame
        The column `by`, lost (deals), amount (money they were worth), share (of all lost amount), closed (deals won or
        lost in the period), loss_rate (lost of closed), lower, upper (95% Wilson interval); dearest first.

    Raises
    ------
    MissingTable
        When the column is not in the data.
    TooLittleData
        When nothing was lost in the period.
    """
    need(deals, by, "amount")
    now = period.so_far(as_of)
    closed = deals[(deals["closed_date"] >= now.since) & (deals["closed_date"] < now.until)]
    lost = closed["outcome"] == "lost"
    if not lost.any():
        raise TooLittleData(f"No deal was lost in {period.label}, so there is nothing to split.")
    group = closed[by].fillna(NOT_FILLED)
    frame = pd.DataFrame({
        "lost": lost.groupby(group).sum(),
        "amount": closed["amount"].where(lost, 0.0).groupby(group).sum(),
        "closed": lost.groupby(group).size(),
    }).reset_index(names=by)  # fmt: skip
    frame.insert(3, "share", frame["amount"] / frame["amount"].sum())
    frame = frame[frame["lost"] > 0].sort_values(["amount", by], ascending=[False, True], ignore_index=True)
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
    top = named.iloc[0]
    return (
        f"**{md(top[by])}** holds the most lost value: {style.money(top['amount'])} of {style.money(total)} "
        f"({style.percent(top['share'])}), in {style.plural(top['lost'], 'lost deal')}."
    )


def chart_lost_value(lost: pd.DataFrame) -> alt.LayerChart:
    """Lost value by group, dearest first, or in funnel order when by stage."""
    by = lost.columns[0]
    words = [
        f"{style.money(a, short=True)} ({style.percent(s)}, {style.plural(n, 'deal')})"
        for a, s, n in zip(lost["amount"], lost["share"], lost["lost"], strict=True)
    ]
    top = lost.loc[lost["amount"].idxmax(), by]
    order = "in funnel order" if by == "stage" else "dearest first"
    return style.bars(
        lost.assign(words=words).head(20), "amount", by, text="words", accent=top,
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
        stage, lost, amount, share, in the order of the funnel.
    """
    rank = deals["opportunity_id"].map(reach(stage_history, stages)["furthest"])
    names = stages.set_index("rank")["stage"]
    frame = lost_value(deals.assign(furthest=rank.map(names)), period=period, as_of=as_of, by="furthest")
    place = frame["furthest"].map(stages.set_index("stage")["rank"]).fillna(np.inf)
    frame = frame.rename(columns={"furthest": "stage"}).iloc[place.argsort(kind="stable")]
    return frame[["stage", "lost", "amount", "share"]].reset_index(drop=True)


def finding_lost_by_stage(lost: pd.DataFrame) -> str:
    """One sentence: the furthest stage of the deals that hold the most lost value."""
    top = lost.loc[lost["amount"].idxmax()]
    return (
        f"Most value is lost from **{md(top['stage'])}**: {style.money(top['amount'])} of {style.money(lost['amount'].sum())} "
        f"({style.percent(top['share'])}), in {style.plural(top['lost'], 'deal')}."
    )


def chart_lost_by_stage(lost: pd.DataFrame) -> alt.LayerChart:
    """Lost value by the furthest stage reached, in the order of the funnel."""
    return chart_lost_value(lost)
