"""Whether deals are kept within the usual time of a stage, by rep and team."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from scipy.stats import norm

from salesforecast import shrinkage, stats, style
from salesforecast.errors import MissingTable, TooLittleData
from salesforecast.observed import FAR, Observed, observed
from salesforecast.periods import ONE_DAY
from salesforecast.reps.fair import DELTA, extremes, verdicts, wider
from salesforecast.reps.spells import owners
from salesforecast.reps.staff import part_of, roster
from salesforecast.tables import Crm
from salesforecast.text import md

USUAL = 0.8  # of the deals that were won: they had left a stage by its limit
WINS = 20  # won deals that went through a stage: fewer do not tell what is usual
FEW = 10  # times a limit was kept or not: nobody is compared on fewer


def stage_limits(crm: Crm) -> pd.DataFrame:
    """The usual time limit of each open stage, in days.

    The one that is declared for the stage (limit_days), else the time by which four of five of the deals that were won had
    gone on from it, counted from the first day in it to the first day in a later one.

    Parameters
    ----------
    crm : Crm
        Opportunities, stages (limit_days where there is a rule), stage_history.

    Returns
    -------
    DataFrame
        stage, limit_days, n (won deals that went through it), declared (flag). In the order of the funnel.

    Raises
    ------
    TooLittleData
        When no stage has a declared limit or 20 won deals that went through it.
    """
    visits = _visits(crm, observed(crm.deals))
    won = visits[visits["won"]]
    rows = []
    for stage in _open_stages(crm).itertuples():
        days = (won["left"] - won["entered"])[won["rank"] == stage.rank]
        rule = getattr(stage, "limit_days", np.nan)
        usual = float(np.ceil(days.quantile(USUAL))) if len(days) >= WINS else np.nan
        rows.append((stage.stage, usual if pd.isna(rule) else float(rule), len(days), pd.notna(rule)))
    frame = pd.DataFrame(rows, columns=["stage", "limit_days", "n", "declared"]).dropna(subset="limit_days")
    if frame.empty:
        raise TooLittleData(
            f"No stage has {WINS} won deals that went through it, so no time in a stage is usual. Declare limit_days of the stages."
        )
    return frame.reset_index(drop=True)


def _open_stages(crm: Crm) -> pd.DataFrame:
    return crm.stages[crm.stages["outcome"] == "open"].sort_values("rank")


def _visits(crm: Crm, seen: Observed) -> pd.DataFrame:
    """Each deal's first time in each open stage: deal (place in `seen`), rank, entered, left (days; far ahead where it has not), onward
    (it left for a later open stage or was won), won (the deal was, and passed the stage).
    """
    history = crm.stage_history
    ranks = crm.stages.set_index("stage")["rank"]
    open_ranks = _open_stages(crm)["rank"].to_numpy()
    place = pd.Index(seen.deals["opportunity_id"]).get_indexer(history["opportunity_id"])
    moves = pd.DataFrame({"deal": place, "rank": history["stage"].map(ranks).to_numpy(),
                          "day": (history["entered_at"].dt.normalize() - seen.zero).dt.days.to_numpy()})  # fmt: skip
    moves = moves[(place >= 0) & np.isin(moves["rank"], open_ranks)]
    if moves.empty:
        raise MissingTable(
            "This needs the stages of the stage_history, of which none is an open one. Add the history of the deals."
        )
    first = moves.groupby(["deal", "rank"], as_index=False)["day"].min()
    # the first day in any later open stage
    later = first.sort_values(["deal", "rank"], ascending=[True, False])
    reached = later.groupby("deal")["day"].cummin()
    onward = reached.groupby(later["deal"]).shift().reindex(first.index)
    deal = first["deal"].to_numpy()
    closed, won = seen.closed[deal], seen.outcome[deal] == "won"
    left = np.minimum(onward.fillna(2 * FAR).to_numpy("int64"), closed)
    entered = first["day"].to_numpy()
    frame = first.rename(columns={"day": "entered"}).assign(
        left=left, onward=(onward <= closed).to_numpy() | (won & (left == closed)), won=won,
    )  # fmt: skip
    return frame[(left >= entered) & (entered <= closed)].reset_index(drop=True)


def keeping(
    crm: Crm, limits: pd.DataFrame, *, since: pd.Timestamp, until: pd.Timestamp, by: str = "rep"
) -> pd.DataFrame:
    """How often deals left a stage by its limit, by rep or team, beside the usual of the same stages and segments.

    A deal in a stage counts on the day it leaves or on the first day past the limit, whichever is first, for its owner of
    that day; it was *kept* when it had left, on or out. Where the limit has not been reached and the deal is still in the
    stage, nothing is decided and nothing is counted. The usual is that of all reps' deals in the same stages and segments;
    the gap to it is drawn towards nought the more the less is known; somebody is *above* or *below* under a false-discovery
    rate of 10% and beyond 2 points with a probability over 90%.

    Parameters
    ----------
    crm : Crm
    limits : DataFrame
        From `stage_limits`.
    since, until : Timestamp
        The days counted, from `since` to before `until`.
    by : str
        rep or team.

    Returns
    -------
    DataFrame
        rep_id (by rep), the name; n (decided), kept, kept_share with lower, upper (95% Wilson), usual_share (of all, same
        stages and segments), gap_share (to it, shrunk), q, verdict (few under 10). Largest share kept beyond the usual first,
        those not compared last.

    Raises
    ------
    TooLittleData
        When nobody has 10 deals in a stage that were decided.
    """
    staff, crm = roster(crm), crm.at(min(until - ONE_DAY, crm.as_of))
    seen = observed(crm.deals)
    visits = limited(crm, seen, limits)
    day = np.minimum(visits["left"], visits["entered"] + visits["limit"] + 1)
    last = seen.day(crm.as_of)
    visits = visits.assign(day=day, kept=visits["left"] <= visits["entered"] + visits["limit"])
    visits = visits[(day >= seen.day(since)) & (day <= last)]
    whose = visits.merge(owners(crm, seen), on="deal")
    whose = whose[(whose["start"] <= whose["day"]) & (whose["day"] <= whose["end"])].dropna(subset="rep_id")
    group = whose["rep_id"] if by == "rep" else whose["rep_id"].map(part_of(staff, by))
    if by != "rep" and group.nunique() < 2:
        raise TooLittleData(f"There is only one {by} here, so there is nothing to set beside it.")
    usual = whose.groupby([whose["rank"], _segment(seen)[whose["deal"]]])["kept"].transform("mean")
    rows = pd.DataFrame({
        "group": group, "account": seen.group[whose["deal"]], "n": 1, "kept": whose["kept"].astype("int64"), "usual": usual,
        "variance": usual * (1 - usual), "residual": whose["kept"] - usual,
    }).dropna(subset="group")  # fmt: skip
    wide = wider(rows["residual"], rows["variance"], rows["group"], rows["account"])
    frame = rows.drop(columns=["account", "residual"]).groupby("group").sum().rename_axis("group").reset_index()
    known = (frame["n"] >= FEW) & (frame["variance"] > 0)
    if not known.any():
        raise TooLittleData(
            f"No {by} has {FEW} deals that left a stage or stayed in it past its limit, so none can be compared."
        )
    frame = stats.add_rate(frame, hits="kept", n="n", name="kept_share")
    frame["usual_share"] = frame["usual"] / frame["n"]
    gap, variance = (frame["kept"] - frame["usual"]) / frame["n"], frame["variance"] * wide / frame["n"] ** 2
    frame["gap_share"] = frame["q"] = frame["beyond"] = np.nan
    draws = shrinkage.shrunk(gap[known].to_numpy(), variance[known].to_numpy()).draws
    frame.loc[known, "gap_share"] = draws.mean(axis=0)
    frame.loc[known, "beyond"] = np.maximum((draws > DELTA).mean(axis=0), (draws < -DELTA).mean(axis=0))
    frame.loc[known, "q"] = shrinkage.q_values(2 * norm.sf(np.abs(gap[known] / np.sqrt(variance[known])).to_numpy()))
    frame["verdict"] = verdicts(frame["gap_share"], frame["q"], frame["beyond"], known)
    frame[by] = (
        frame["group"].map(staff.set_index("rep_id")["rep"]).fillna(frame["group"]) if by == "rep" else frame["group"]
    )
    order = [by, "n", "kept", "kept_share", "lower", "upper", "usual_share", "gap_share", "q", "verdict"]
    if by == "rep":
        frame, order = frame.rename(columns={"group": "rep_id"}), ["rep_id", *order]
    return frame.sort_values(["gap_share", by], ascending=[False, True], ignore_index=True)[order]


def limited(crm: Crm, seen: Observed, limits: pd.DataFrame) -> pd.DataFrame:
    """The visits of stages that have a limit, as `_visits` has them, with limit (days)."""
    visits = _visits(crm, seen)
    ranks = crm.stages.set_index("stage")["rank"]
    limit = visits["rank"].map(dict(zip(limits["stage"].map(ranks), limits["limit_days"], strict=True)))
    return visits.assign(limit=limit).dropna(subset="limit").astype({"limit": "int64"})


def _segment(seen: Observed) -> np.ndarray:
    deals = seen.deals
    return np.asarray(deals["segment"].fillna("") if "segment" in deals else pd.Series("", deals.index))


def finding_stage_limits(limits: pd.DataFrame) -> str:
    """One sentence: the limit of each stage, and where it comes from."""
    said = ", ".join(f"{md(r.stage)} **{style.days(r.limit_days)}**" for r in limits.itertuples())
    if limits["declared"].all():
        return f"The limits are those that were declared: {said}."
    some = "; the others were declared" if limits["declared"].any() else ""
    own = limits[~limits["declared"]] if limits["declared"].any() else limits
    said = ", ".join(f"{md(r.stage)} **{style.days(r.limit_days)}**" for r in own.itertuples())
    return f"Four of five deals that were won had gone on by then: {said}{some}."


def finding_keeping(keeping: pd.DataFrame) -> str:
    """One sentence: how often limits are kept, and who differs beyond luck or that nobody does."""
    by = "rep" if "rep" in keeping else keeping.columns[0]
    n, kept = keeping["n"].sum(), keeping["kept"].sum()
    if not n:
        return "No deal left a stage or stayed in it past its limit in this time."
    share = f"Stage limits were kept for **{style.percent(kept / n)}** of {style.plural(n, 'deal in a stage', 'deals in a stage')}"
    if len(keeping) == 1:
        row = keeping.iloc[0]
        told = {"above": "more than luck explains", "below": "less than luck explains", "few": "on too few to compare"}
        return f"{share}, where {style.percent(row['usual_share'])} is usual: {told.get(row['verdict'], 'luck may explain it')}."
    named = keeping[keeping["verdict"].isin(["above", "below"])]
    if named.empty:
        return f"{share}; the {by}s **cannot be told apart**."
    first = named.loc[named["gap_share"].abs().idxmax()]
    more = (
        f"; {style.plural(len(named) - 1, 'other')} {'differs' if len(named) == 2 else 'differ'} too"
        if len(named) > 1
        else ""
    )
    at, usual = style.percent(first["kept_share"]), style.percent(first["usual_share"])
    return f"{share}; **{md(first[by])}** keeps {at} where {usual} is usual{more}."


def chart_keeping(keeping: pd.DataFrame) -> alt.LayerChart:
    """The share of limits kept, with the usual of the same stages."""
    by = "rep" if "rep" in keeping else keeping.columns[0]
    data, cut = extremes(keeping[keeping["verdict"] != "few"])
    return style.dots(
        data, "kept_share", by, verdict="verdict", columns=(("usual_share", "Usual", style.percent), ("n", "Decided", style.count)),
        title="Deals that left a stage by its limit", subtitle=f"Share; 95% intervals; most beyond the usual first{cut}",
    )  # fmt: skip
