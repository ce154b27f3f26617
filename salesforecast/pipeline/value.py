"""What people's calls were worth: how far off each human step was, what it added to the one before, and whose calls are too high."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import style
from salesforecast.errors import TooLittleData
from salesforecast.formats import Format, percent, plural, points_off
from salesforecast.pipeline import commits, panels
from salesforecast.pipeline.backtesting import Backtest
from salesforecast.pipeline.judging import half_width
from salesforecast.tables import NOT_FILLED, Crm
from salesforecast.text import md

NAIVE, OURS = "run rate", "this forecast"


def value_added(past: Backtest, combined: pd.DataFrame, crm: Crm) -> pd.DataFrame:
    """How far off each step from the run rate to this forecast was, and what it took off the error of the step before.

    The steps: the run rate, which nobody has to think about; the calls of each level, those of the most submitters first; the
    last of them with the bias of its past calls taken out; and this forecast. Judged are the past origins at which every level
    had called.

    Parameters
    ----------
    past : Backtest
    combined : DataFrame
        From `combination.combine`.
    crm : Crm
        calls

    Returns
    -------
    DataFrame
        step; n (periods), origins; off_by (sum of absolute errors over the sum of bookings, fraction), lower, upper (95% interval);
        taken_off (off_by of the step before less its own, fraction: above 0 is better) with taken_off_lower, taken_off_upper (95%). The
        intervals leave out one period at a time; they are missing with fewer than three.

    Source: Gilliland (2010), The Business Forecasting Deal, on forecast value added.
    """
    crm.calls  # noqa: B018  # says which table to add
    keys = ["period", "origin"]
    known = past.commits[past.commits["actual"].notna()]
    if known.empty:
        raise TooLittleData("No period that is over had been called and could be forecast, so calls cannot be judged.")
    levels = known.groupby("level")["n"].mean().sort_values(ascending=False, kind="stable").index.tolist()
    wide = known.pivot(index=keys, columns="level", values="called")[levels]
    last = known[known["level"] == levels[-1]].set_index(keys)["corrected"]
    rate = past.methods[past.methods["method"] == "run_rate"].set_index(keys)["mean"]
    wide.columns = [f"called by {level}" for level in levels]
    wide = wide.assign(**{f"{wide.columns[-1]}, corrected": last})
    wide.insert(0, NAIVE, rate.reindex(wide.index))
    wide = wide.assign(**{OURS: combined.set_index(keys)["mean"].reindex(wide.index)}).dropna()
    if wide.empty:
        raise TooLittleData("No past week had the calls of every level, so they cannot be compared.")
    actual = known.drop_duplicates(keys).set_index(keys)["actual"].reindex(wide.index)
    error = wide.sub(actual, axis=0).abs().groupby(level="period", sort=False).sum()
    size = actual.groupby(level="period", sort=False).sum()
    off, n = (error.sum() / size.sum()).to_numpy(), len(error)
    without = ((error.sum() - error).div(size.sum() - size, axis=0)).to_numpy()
    added = np.r_[np.nan, off[:-1] - off[1:]]
    fewer = np.column_stack([np.full(n, np.nan), without[:, :-1] - without[:, 1:]])
    half, wider = (half_width(x) for x in (without, fewer))
    return pd.DataFrame({
        "step": wide.columns, "n": n, "origins": len(wide), "off_by": off, "lower": np.maximum(off - half, 0), "upper": off + half,
        "taken_off": added, "taken_off_lower": added - wider, "taken_off_upper": added + wider,
    })  # fmt: skip


def finding_value_added(value: pd.DataFrame) -> str:
    """One sentence: how far off the first calls were, and what the steps after them took off or added."""
    called = value[value["step"].str.startswith("called by")]
    first, ours = called.iloc[0], value.iloc[-1]
    better = [
        f"{md(row['step'])} {'takes off' if row['taken_off'] > 0 else 'adds'} {points_off(row['taken_off'])}"
        for _, row in value[value.index > called.index[0]].iterrows()
        if row["taken_off_lower"] > 0 or row["taken_off_upper"] < 0
    ]
    told = "; ".join(better) if better else "what the later steps change cannot be told apart from luck"
    return (
        f"Over {plural(first['n'], 'period')} the sums {md(first['step'])} were off by **{percent(first['off_by'])}** of the bookings "
        f"and this forecast by {percent(ours['off_by'])}; {told}."
    )


def chart_value_added(value: pd.DataFrame) -> alt.LayerChart:
    """How far off each step was."""
    columns: list[tuple[str, str, Format | None]] = [
        ("taken_off", "Taken off", lambda x: "" if pd.isna(x) else percent(x))
    ]
    return style.dots(
        style.rounded(value, "off_by", "lower", "upper"), "off_by", "step", fmt=percent, columns=columns, accent=OURS,
        title="Off by, of the bookings, step by step", subtitle="Sum of absolute errors over the sum of bookings; lines: 95% interval",
    )  # fmt: skip


def biases(crm: Crm) -> pd.DataFrame:
    """By how much each submitter's calls were too high, in the periods that are over.

    Parameters
    ----------
    crm : Crm
        Of today: calls; opportunities; reps where there are.

    Returns
    -------
    DataFrame
        level, who (the seller's name, team or region; "company"); periods, calls; called, came_amount (beyond what was booked when it was
        called, money: means per call, summed over periods); bias (called over came less 1, fraction); believed (the same after
        drawing it to that of the level: what is taken out of the next call); by level, then the highest bias first.

    Raises
    ------
    TooLittleData
        When no called period is over.
    """
    crm.calls  # noqa: B018  # says which table to add
    called = commits.calls(crm)
    if called.empty:
        raise TooLittleData(
            "None of the calls is a commit with a day, an amount and a period such as 2025Q2, so nothing is known of their bias."
        )
    won = panels.won(panels.closings(crm))
    found = commits.biases(called, commits.people(crm), won, crm.as_of)
    if found.empty:
        raise TooLittleData("No period that was called is over, so nothing is known of the calls' bias.")
    names = crm.reps.set_index("rep_id")["rep"] if "reps" in crm else pd.Series(dtype="str")
    seller = found["rep_id"].map(names).fillna(found["rep_id"])
    who = seller.where(found["rep_id"] != "", found["team"].where(found["team"] != "", found["region"]))
    found = found.rename(columns={"said": "called", "came": "came_amount"})
    out = found.assign(
        who=who.where(who != "", "company"), level=found["level"].replace("", NOT_FILLED),
        bias=found["called"] / found["came_amount"].where(found["came_amount"] > 0) - 1, believed=1 / found["factor"] - 1,
    )  # fmt: skip
    size = out.groupby("level")["who"].transform("size")
    out = out.assign(size=size).sort_values(["size", "level", "believed", "who"], ascending=[False, True, False, True])
    return out[["level", "who", "periods", "calls", "called", "came_amount", "bias", "believed"]].reset_index(drop=True)


def finding_biases(biases: pd.DataFrame) -> str:
    """One sentence: whether each level calls too much or too little of what is still to come."""
    said = []
    for level, rows in biases.groupby("level", sort=False):
        bias = rows["called"].sum() / rows["came_amount"].sum() - 1 if rows["came_amount"].sum() > 0 else np.nan
        word = "an unknown share" if pd.isna(bias) else f"{percent(abs(bias))} {'more' if bias >= 0 else 'less'}"
        said.append(f"those called by {md(str(level))} {word}")
    return f"Of what was still to come, the calls said more or less than came: {', '.join(said)}."
