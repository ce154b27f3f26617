"""From stage to stage: who goes on, and how long it takes."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import stats, style
from salesforecast.errors import TooLittleData
from salesforecast.observed import reach
from salesforecast.periods import ONE_DAY
from salesforecast.text import enumerated, md


def stage_conversion(stage_history: pd.DataFrame, stages: pd.DataFrame) -> pd.DataFrame:
    """The share of opportunities that go on from each open stage, of those that have left it.

    An opportunity has *entered* every stage up to the furthest one it reached, has *advanced* from a stage when it
    reached a later open one or was won, and is *waiting* when the stage is its furthest and it is not closed. The
    waiting ones are left out of the rate: their outcome is not known yet.

    Parameters
    ----------
    stage_history : DataFrame
        Columns opportunity_id, entered_at, sequence, stage.
    stages : DataFrame
        Columns stage, rank, outcome.

    Returns
    -------
    DataFrame
        One row per open stage, in funnel order: stage, entered (opportunities), n (have left the stage), waiting,
        advanced, conversion (fraction of n), lower, upper (95% Wilson interval).

    Examples
    --------
    >>> stages = pd.DataFrame({"stage": ["Qualify", "Propose", "Won", "Lost"], "rank": [1, 2, 3, 4],
    ...                        "outcome": ["open", "open", "won", "lost"]})
    >>> moves = [("a", "Qualify"), ("a", "Propose"), ("a", "Won"), ("b", "Qualify"), ("b", "Lost"), ("c", "Propose")]
    >>> history = pd.DataFrame(moves, columns=["opportunity_id", "stage"]).assign(
    ...     entered_at=pd.Timestamp("2025-01-01"), sequence=range(6))
    >>> stage_conversion(history, stages)[["stage", "entered", "n", "waiting", "advanced", "conversion"]].round(2)
         stage  entered  n  waiting  advanced  conversion
    0  Qualify        3  3        0         2        0.67
    1  Propose        2  1        1         1        1.00
    """
    deals = reach(stage_history, stages)
    closed, won = deals["outcome"] != "open", deals["outcome"] == "won"
    rows = []
    for stage in stages[stages["outcome"] == "open"].sort_values("rank").itertuples():
        past, here = deals["furthest"] > stage.rank, deals["furthest"] == stage.rank
        rows.append({
            "stage": stage.stage,
            "entered": int((past | here).sum()),
            "n": int((past | here & closed).sum()),
            "waiting": int((here & ~closed).sum()),
            "advanced": int((past | here & won).sum()),
        })  # fmt: skip
    return stats.add_rate(pd.DataFrame(rows), hits="advanced", n="n", name="conversion")


def finding_stage_conversion(conversion: pd.DataFrame) -> str:
    """One sentence: the stage that loses the largest share, or that the largest cannot be told apart."""
    known = conversion.dropna(subset=["conversion"]).sort_values("conversion", kind="stable")
    if known.empty or known["conversion"].iloc[0] == 1:
        raise TooLittleData("No deal has been lost from a stage yet, so the stages cannot be compared.")
    low, rest = known.iloc[0], known.iloc[1:]
    rivals = rest[rest["lower"] <= low["upper"]]
    if len(rivals):
        names = [f"**{md(name)}**" for name in [low["stage"], *rivals["stage"]]]
        return (
            f"The largest losses cannot be told apart: {enumerated(names, len(names))} lose "
            f"{style.percent(1 - low['conversion'])} to {style.percent(1 - rivals['conversion'].iloc[-1])} of the deals that leave them."
        )
    lost = style.between(1 - low["upper"], 1 - low["lower"], style.percent)
    return (
        f"**{md(low['stage'])}** loses the largest share: {style.percent(1 - low['conversion'])} of the {style.count(low['n'])} deals "
        f"that left it went no further (95% interval {lost})."
    )


def chart_stage_conversion(conversion: pd.DataFrame) -> alt.LayerChart:
    """Conversion and interval per stage, in the order of the funnel."""
    known = conversion.dropna(subset=["conversion"])
    low = known[known["lower"] <= known["upper"].loc[known["conversion"].idxmin()]] if len(known) else known
    return style.dots(
        conversion, "conversion", "stage", fmt=".0%", accent=low["stage"].tolist(),
        columns=(("n", "Left", style.count), ("waiting", "Waiting", style.count)),
        title="Share of deals that go on, by stage", subtitle="Of those that have left the stage; 95% intervals; in funnel order",
    )  # fmt: skip


def time_in_stage(stage_history: pd.DataFrame, stages: pd.DataFrame, *, as_of: pd.Timestamp) -> pd.DataFrame:
    """How long deals stay in each open stage, with those that are still there counted as not yet gone.

    A stay begins when a deal comes into a stage and ends when it goes into another one, forward or back, or closes; a
    deal that returns begins a second stay. Changes that leave the stage as it is (of the amount, say) end nothing. A
    stay that goes on counts up to the end of `as_of`.

    Parameters
    ----------
    stage_history : DataFrame
        Columns opportunity_id, entered_at, sequence, stage.
    stages : DataFrame
        Columns stage, rank, outcome.
    as_of : Timestamp
        The last day the data are known.

    Returns
    -------
    DataFrame
        One row per open stage, in funnel order: stage, n (stays), still_there, median_days, lower, upper (95%), late_days
        (nine of ten stays have ended by then; missing when more than one in ten goes on longer than anyone has watched).

    Source
    ------
    Kaplan & Meier (1958); the interval of the median by Brookmeyer & Crowley (1982).
    """
    from statsmodels.duration.survfunc import SurvfuncRight

    stays = _stays(stage_history, stages, as_of)
    rows = []
    for stage in stages[stages["outcome"] == "open"].sort_values("rank")["stage"]:
        here = stays[stays["stage"] == stage]
        row = {"stage": stage, "n": len(here), "still_there": int((~here["ended"]).sum())}
        if here["ended"].any():
            curve = SurvfuncRight(here["days"], here["ended"].astype(int))
            with np.errstate(divide="ignore", invalid="ignore"):
                lower, upper = curve.quantile_ci(0.5)
            row |= {"median_days": _gone(curve, 0.5), "lower": lower, "upper": upper, "late_days": _gone(curve, 0.9)}
        rows.append(row)
    frame = pd.DataFrame(rows, columns=["stage", "n", "still_there", "median_days", "lower", "upper", "late_days"])
    return frame.replace([np.inf, -np.inf], np.nan)


def _gone(curve: Any, share: float) -> float:
    """The first time by which a share of the stays are over; missing when that is not seen."""
    over = curve.surv_prob <= 1 - share + 1e-12
    return float(curve.surv_times[over.argmax()]) if over.any() else np.nan


def finding_time_in_stage(times: pd.DataFrame) -> str:
    """One sentence: the stage in which deals stay longest, or that the longest cannot be told apart."""
    unending = times[times["median_days"].isna() & (times["still_there"] > times["n"] / 2)]
    if len(unending):
        worst = unending.loc[unending["still_there"].idxmax()]
        return (
            f"**{md(worst['stage'])}** holds deals longest: {style.count(worst['still_there'])} of {style.plural(worst['n'], 'stay')} "
            f"have not ended, so no typical time can be given for it."
        )
    known = times.dropna(subset=["median_days"]).sort_values("median_days", ascending=False, kind="stable")
    if known.empty:
        raise TooLittleData("In no stage have half of the stays ended, so no typical time can be given.")
    slow, rivals = known.iloc[0], _as_slow(known).iloc[1:]
    if len(rivals):
        names = [f"**{md(name)}**" for name in [slow["stage"], *rivals["stage"]]]
        low = rivals["median_days"].iloc[-1]
        return (
            f"The longest stays cannot be told apart: half of them last longer than {style.duration(low)} to "
            f"{style.duration(slow['median_days'])} in {enumerated(names, len(names))}."
        )
    late = "" if pd.isna(slow["late_days"]) else f", and 1 in 10 longer than {style.duration(slow['late_days'])}"
    return (
        f"Deals stay longest in **{md(slow['stage'])}**: half of the stays last longer than {style.duration(slow['median_days'])}{late}; "
        f"{style.plural(slow['still_there'], 'deal')} {'is' if slow['still_there'] == 1 else 'are'} there now."
    )


def _as_slow(known: pd.DataFrame) -> pd.DataFrame:
    """The slowest stage and those whose interval reaches into its own; a missing bound reaches everywhere."""
    slow = known.loc[known["median_days"].idxmax()]
    lower = 0.0 if pd.isna(slow["lower"]) else slow["lower"]
    return known[known["upper"].fillna(np.inf) >= lower]


def chart_time_in_stage(times: pd.DataFrame) -> alt.LayerChart:
    """Median days and interval per stage, in the order of the funnel."""
    known = times.dropna(subset=["median_days"])
    longest = _as_slow(known)["stage"].tolist() if len(known) else []
    return style.dots(
        times, "median_days", "stage", fmt=style.duration, accent=longest,
        columns=(("n", "Stays", style.count), ("still_there", "There now", style.count)),
        title="Time in stage, by stage", subtitle="Median, deals still there counted as not yet gone; 95% intervals; in funnel order",
    )  # fmt: skip


def _stays(stage_history: pd.DataFrame, stages: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """One row per stay in an open stage: opportunity_id, stage, entered_at, days, ended."""
    moves = stage_history.sort_values(["opportunity_id", "entered_at", "sequence"], kind="stable")
    deal = moves["opportunity_id"]
    moved = (moves["stage"] != moves["stage"].shift()) | (deal != deal.shift())
    moves = moves[moved]
    until = moves.groupby("opportunity_id")["entered_at"].shift(-1)
    ended = until.notna()
    stay = (until.fillna(as_of + ONE_DAY) - moves["entered_at"]) / ONE_DAY
    stays = moves[["opportunity_id", "stage", "entered_at"]].assign(days=stay, ended=ended)
    is_open = stays["stage"].map(stages.set_index("stage")["outcome"]) == "open"
    return stays[is_open].reset_index(drop=True)
