"""Whether it matters that a deal stays in a stage past its limit."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import stats, style
from salesforecast.errors import TooLittleData
from salesforecast.formats import points_bare
from salesforecast.observed import Observed, observed
from salesforecast.periods import ONE_DAY
from salesforecast.reps.fair import DELTA
from salesforecast.reps.keeping import limited
from salesforecast.reps.mix import expected
from salesforecast.reps.spells import spells
from salesforecast.tables import Crm

AFTER = (180, 90, 30)  # days from the landmark on in which deals are followed: the longest that half of the data allow
FOLLOW = 20  # deals on either side of a landmark
CLASSES = 5  # of the chance that a deal's case mix gives it
LANDMARKS = ("at the limit", "on moving on")
ALL = "All stages"


def late(crm: Crm, limits: pd.DataFrame) -> pd.DataFrame:
    """Whether deals past a stage's limit win less, from two landmarks at which it is known whether they are.

    A deal cannot be late that was over before; so deals are compared from a day on which both kinds are open. *At the limit*:
    deals still open on the first day past it, those that had gone on against those still in the stage. These are also a stage
    behind. *On moving on*: deals on the day they went on to a later stage, those that did so late against those in time,
    which are as far. Both sides are brought to the mix of the late ones, by stage and by fifths of the chance that the case
    mix gives a deal (Hansen 2008): slow kinds of deals may also be won less. Won is the share won within 180 days of that
    day, open deals counted as undecided (Aalen-Johansen); intervals come from resampling accounts.

    Parameters
    ----------
    crm : Crm
    limits : DataFrame
        From `stage_limits`.

    Returns
    -------
    DataFrame
        landmark (at the limit, on moving on), stage (a stage, or All stages), limit_days, kept and late (deals), kept_won,
        late_won (shares), difference_share (late less kept) with lower, upper (95%), within_days (180, or 90 or 30 where the
        data are shorter). In the order of the funnel.

    Raises
    ------
    TooLittleData
        When no stage has 20 deals on either side.
    """
    seen = observed(crm.deals)
    visits = limited(crm, seen, limits)
    last, names, weight = seen.day(crm.as_of), crm.stages.set_index("rank")["stage"], stats.weights(seen.groups)
    alike = _alike(crm, seen)[visits["deal"]]
    after = next((days for days in AFTER if 2 * days <= last - seen.first_close), AFTER[-1])
    frames = []
    for landmark in LANDMARKS:
        parts = []
        for (rank, _), part in visits.groupby(["rank", alike]):
            deal, left = part["deal"].to_numpy(), part["left"].to_numpy()
            over = (part["entered"] + part["limit"] + 1).to_numpy()
            if landmark == "at the limit":
                zero, there = over, seen.closed[deal] >= over
            else:
                zero, there = (
                    left,
                    part["onward"].to_numpy() & (seen.closed[deal] > left),
                )  # a win out of the stage is no move on
            there = there & (zero <= last) & (zero >= seen.first_close)
            sides = [there & ((left >= over) == side) for side in (False, True)]
            won = [_won_after(seen, deal[side], zero[side], last, after, weight) for side in sides]
            if won[0] is not None and won[1] is not None:
                parts.append((rank, int(part["limit"].iloc[0]), *(int(side.sum()) for side in sides), np.array(won)))
        rows = [_together(names[rank], [p for p in parts if p[0] == rank]) for rank in sorted({p[0] for p in parts})]
        if parts:
            rows.append({**_together(ALL, parts), "limit_days": np.nan})
        frames.append(pd.DataFrame(rows).assign(landmark=landmark))
    found = pd.concat([f for f in frames if len(f)] or frames, ignore_index=True)
    if found.empty:
        raise TooLittleData(f"No stage has {FOLLOW} deals in time and as many late ones that can be followed.")
    found["within_days"] = after
    return found[["landmark", *(c for c in found if c != "landmark")]]


def _together(stage: str, parts: list[tuple]) -> dict[str, object]:
    """The parts of a stage, or of all, weighted by their late deals, so that both sides have the same mix."""
    kept, late = sum(p[2] for p in parts), sum(p[3] for p in parts)
    sides = np.tensordot(np.array([p[3] for p in parts]) / late, np.array([p[4] for p in parts]), axes=1)
    gap = sides[1] - sides[0]
    low, high = stats.quantile_interval(gap[1:])
    return {
        "stage": stage, "limit_days": parts[0][1], "kept": kept, "late": late, "kept_won": sides[0][0], "late_won": sides[1][0],
        "difference_share": gap[0], "lower": float(low), "upper": float(high),
    }  # fmt: skip


def _won_after(
    seen: Observed, deal: np.ndarray, zero: np.ndarray, last: int, after: int, weight: np.ndarray
) -> np.ndarray | None:
    """The share won within so many days of a day, (resamplings,); nothing where they are too few, or too young to be followed."""
    over = seen.closed[deal] <= last
    length = np.where(over, seen.closed[deal], last) - zero
    if (last - zero >= after).sum() < FOLLOW:
        return None
    outcome = np.where(over, seen.outcome[deal], "open")
    table = stats.life_table(np.zeros_like(length), length, outcome, seen.group[deal], seen.groups, after + 1)
    return np.asarray(stats.incidence(table, weight)[0][:, -1])


def _alike(crm: Crm, seen: Observed) -> np.ndarray:
    """The class of each deal by its chance from the case mix: fast kinds of deals are also won more often, or less."""
    rows = (
        expected(spells(crm, since=crm.first_day, until=crm.as_of + ONE_DAY))
        if "rep_id" in seen.deals
        else pd.DataFrame()
    )
    if rows.empty:
        return np.zeros(len(seen.deals), dtype="int64")
    odds = seen.deals["opportunity_id"].map(rows.groupby("opportunity_id")["odds"].mean())
    edges = np.unique(odds.quantile(np.arange(1, CLASSES) / CLASSES))
    return np.where(odds.isna(), -1, np.searchsorted(edges, odds.fillna(0.0)))


def finding_late(late: pd.DataFrame) -> str:
    """One or two sentences: whether late deals win less by more than 2 points, and whether they still do when they are as far."""
    said = []
    for row in late[late["stage"] == ALL].itertuples():
        who = (
            "Deals still in a stage past its limit"
            if row.landmark == "at the limit"
            else "Once they moved on, late deals"
        )
        late_won, kept_won = style.percent(row.late_won), style.percent(row.kept_won)
        interval = f"(95% interval of the difference {style.between(row.lower, row.upper, points_bare)} points)"
        if row.upper < -DELTA or row.lower > DELTA:
            less = "less" if row.difference_share < 0 else "more"
            said.append(f"{who} win {less}: **{late_won}** against {kept_won} {interval}.")
        elif row.lower <= 0 <= row.upper:
            said.append(f"{who} **cannot be told apart** from those in time: {late_won} and {kept_won} were won.")
        else:
            said.append(
                f"{who} **cannot be told apart by more than {100 * DELTA:.0f} points** from those in time: {late_won} and {kept_won} "
                f"were won {interval}."
            )
    return " ".join(said)


def chart_late(late: pd.DataFrame) -> alt.LayerChart:
    """How much less late deals win, stage by stage, from either landmark."""
    data, days = late.assign(label=late["stage"] + ", " + late["landmark"]), late["within_days"].iloc[0]
    return style.dots(
        data, "difference_share", "label", fmt=style.points, line=0.0, line_label="no difference",
        columns=(("late_won", "Late", style.percent), ("kept_won", "In time", style.percent)),
        title="Share won of late deals less that of those in time", subtitle=f"Within {days} days; points; 95% intervals",
    )  # fmt: skip
