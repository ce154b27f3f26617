"""How soon leads are answered."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import stats, style
from salesforecast.channels.leads import FEW, arrived, rep_names
from salesforecast.errors import MissingTable
from salesforecast.periods import ONE_DAY
from salesforecast.tables import NOT_FILLED, Crm
from salesforecast.text import md

ALL = "All"


def arrival(duration: np.ndarray, event: np.ndarray, level: float = stats.LEVEL) -> pd.DataFrame:
    """The share that has come by each time, those still waiting counted as undecided (Kaplan & Meier 1958).

    Returns
    -------
    DataFrame
        time, share, lower, upper (log-log, Greenwood), at_risk: one row a time at which something came.

    Examples
    --------
    >>> arrival(np.array([1.0, 2.0, 2.0, 5.0]), np.array([True, True, False, False]))[["time", "share", "at_risk"]]
       time  share  at_risk
    0   1.0   0.25        4
    1   2.0   0.50        3
    """
    order = np.argsort(duration, kind="stable")
    time, came = duration[order], event[order].astype("float64")
    times, first = np.unique(time, return_index=True)
    at_risk = len(time) - first
    events = np.add.reduceat(came, first) if len(first) else np.zeros(0)
    waiting = np.cumprod(1 - events / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(events / (at_risk * np.maximum(at_risk - events, 1e-300)))
    lower, upper = stats.share_interval(waiting, waiting**2 * greenwood, 10**6, level)
    frame = pd.DataFrame(
        {"time": times, "share": 1 - waiting, "lower": 1 - upper, "upper": 1 - lower, "at_risk": at_risk}
    )
    return frame[events > 0].reset_index(drop=True)


def _first(curve: pd.DataFrame, column: str, share: float) -> float:
    reached = curve.loc[curve[column] >= share - 1e-12, "time"]
    return float(reached.iloc[0]) if len(reached) else np.nan


def answering(
    crm: Crm, *, since: pd.Timestamp, until: pd.Timestamp, by: str = "rep", level: float = stats.LEVEL
) -> pd.DataFrame:
    """How long leads wait for the first answer: the median, those not answered yet counted as waiting.

    Parameters
    ----------
    crm : Crm
        Leads with first_response_at; reps for their names.
    since, until : Timestamp
        When the leads came in.
    by : str
        "rep", "channel" or "campaign".
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame
        the group (column `by`), leads, answered, waiting (not answered yet), median_days with lower, upper, in_a_day (share answered
        within 24 hours). Fastest first, groups with under 20 leads last without figures; the row "All" at the end.
    """
    leads = arrived(crm, since, until)
    if "first_response_at" not in leads or leads["first_response_at"].isna().all():
        raise MissingTable("This needs the time of the first answer. Map the column first_response_at of the leads.")
    wait = leads["first_response_at"].sub(leads["created_at"]) / ONE_DAY
    leads, wait = leads[~(wait < 0)], wait[~(wait < 0)]  # an answer before the lead is a mistake in the data
    came = wait.notna().to_numpy()
    duration = wait.fillna((crm.as_of + ONE_DAY - leads["created_at"]) / ONE_DAY).to_numpy("float64")
    column = "rep_id" if by == "rep" else by
    if column not in leads:
        raise MissingTable(f"This needs the column {column} of the leads. Map it.")
    group = leads[column]
    if by == "rep":
        group = group.map(rep_names(crm)).astype("str").fillna(group)
    group = group.fillna(NOT_FILLED).to_numpy("str")
    rows = []
    for name in [*sorted(set(group)), None]:
        of = group == name if name is not None else np.ones(len(group), dtype=bool)
        row = {
            by: ALL if name is None else name,
            "leads": int(of.sum()),
            "answered": int(came[of].sum()),
            "waiting": int((~came[of]).sum()),
        }
        curve = arrival(duration[of], came[of], level) if of.sum() >= FEW else None
        if curve is not None:
            middle = [_first(curve, c, 0.5) for c in ("share", "upper", "lower")]
            done = curve.loc[curve["time"] <= 1, "share"]
            row |= dict(
                zip(("median_days", "lower", "upper"), middle, strict=True),
                in_a_day=float(done.iloc[-1]) if len(done) else 0.0,
            )
        rows.append(row)
    order = [by, "leads", "answered", "waiting", "median_days", "lower", "upper", "in_a_day"]
    frame = pd.DataFrame(rows).reindex(columns=order)
    return pd.concat([frame[:-1].sort_values(["median_days", by], kind="stable"), frame[-1:]], ignore_index=True)


def finding_answering(answering: pd.DataFrame) -> str:
    """One sentence: how long a lead waits, and who is slower beyond doubt."""
    total, by = answering.iloc[-1], str(answering.columns[0])
    if pd.isna(total["median_days"]):
        return f"Too few leads were answered to say how long one waits: {style.count(total['answered'])} of {style.count(total['leads'])}."
    rows = answering[:-1].dropna(subset="median_days")
    slow = rows[rows["lower"] > total["upper"]]
    tail = f"; **{md(slow.iloc[-1][by])}** takes {style.duration(slow.iloc[-1]['median_days'])}" if len(slow) else ""
    between = style.between(total["lower"], total["upper"], style.duration)
    return (
        f"Half of the leads are answered within **{style.duration(total['median_days'])}** (95% interval {between}); "
        f"{style.percent(total['in_a_day'])} within a day{tail}."
    )


def chart_answering(answering: pd.DataFrame, most: int = 24) -> alt.LayerChart:
    """The median wait for the first answer, by group."""
    by, total = str(answering.columns[0]), answering.iloc[-1]
    rows = answering[:-1].dropna(subset="median_days")
    half = most // 2
    shown = rows if len(rows) <= most else pd.concat([rows.head(half), rows.tail(half)])
    cut = "" if len(rows) <= most else f"; the {half} fastest and {half} slowest of {len(rows)}"
    hours = {name: 24 * shown[c] for name, c in (("hours", "median_days"), ("lower", "lower"), ("upper", "upper"))}
    return style.dots(
        shown.assign(**hours), "hours", by, fmt=style.figure(1), line=24 * float(total["median_days"]),
        line_label=f"all {style.figure(1)(24 * total['median_days'])}", accent=list(rows.loc[rows["lower"] > total["upper"], by].tail(1)),
        columns=[("leads", "Leads", style.count), ("waiting", "Waiting", style.count), ("in_a_day", "In a day", style.percent)],
        title="Hours to the first answer", subtitle="Median, leads not answered yet counted as waiting; 95% intervals; fastest first" + cut,
    )  # fmt: skip
