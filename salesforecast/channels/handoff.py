"""From marketing to sales: what is lost and how long it takes between a lead, its answer, a deal and a win."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import stats, style
from salesforecast.channels.adjusting import standardised
from salesforecast.channels.answering import ALL, arrival
from salesforecast.channels.leads import FEW, arrived, entered
from salesforecast.errors import MissingTable, TooLittleData
from salesforecast.periods import ONE_DAY
from salesforecast.tables import NOT_FILLED, Crm
from salesforecast.text import md

STEPS = ("answered", "a deal", "won")
AT_RISK = 10  # cases: a curve is not followed past the age with fewer
NEARLY_ALL = 0.97  # of those that come: the age by which they have is the horizon
BANDS = ((1, "within 1 hour"), (4, "1 to 4 hours"), (24, "4 to 24 hours"), (np.inf, "later or not yet"))
WITHIN = 60  # days after the first in which a lead becomes a deal
ALPHA = 0.05


def handoff(
    crm: Crm, *, since: pd.Timestamp, until: pd.Timestamp, by: str = "channel", level: float = stats.LEVEL
) -> pd.DataFrame:
    """Per group the share of leads answered, the share that become a deal, the share of these deals won, and the delays.

    Leads that still wait, and deals still open, are undecided: a group is not worse because its leads are young. Shares are those reached
    by the age at which nearly all that come have come, the same for every group; a lost deal can no longer be won.

    Parameters
    ----------
    crm : Crm
        Leads with created_at, first_response_at, opportunity_id and the column `by`; opportunities.
    since, until : Timestamp
        When the leads came in.
    by : str
        "channel", "campaign" or "rep_id".
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame
        the group (column `by`), step (answered, a deal, won), n (leads, or deals that came of them), came, waiting (undecided and
        younger than the horizon; a lost deal is decided), share with lower, upper, median_days (half of those that come have come),
        horizon (days). Share and delay are missing with fewer than 20, or when none is old enough. By group, "All" last.

    Raises
    ------
    TooLittleData
        When no lead came in.
    """
    leads = arrived(crm, since, until)
    if by not in leads:
        raise MissingTable(f"This needs the column {by} of the leads. Map it.")
    end = crm.as_of + ONE_DAY
    deals = crm.opportunities.drop_duplicates("opportunity_id").set_index("opportunity_id")
    since_deal, outcome = entered(crm, leads), leads["opportunity_id"].map(deals["outcome"])
    none = pd.Series(pd.NaT, index=leads.index, dtype="datetime64[us]")
    closed = leads["opportunity_id"].map(deals["closed_date"]) if "closed_date" in deals else none
    answer = leads.get("first_response_at", none)
    came_in, became, always = leads["created_at"], since_deal.notna(), pd.Series(True, index=leads.index)
    won = became & (outcome == "won") & closed.notna()
    waits = {  # how long it took, how long it has been, whether it came, may still come, and is asked
        "answered": (answer - came_in, end - came_in, answer.notna(), always, always & answer.notna().any()),
        "a deal": (since_deal - came_in.dt.normalize(), end - came_in.dt.normalize(), became, always, always),
        "won": (closed - since_deal, end - since_deal, won, outcome == "open", became & closed.notna().any()),
    }
    group = leads[by].astype("str").fillna(NOT_FILLED).to_numpy("str")
    rows = []
    for step, (wait, age, event, still, asked) in waits.items():
        use = asked.to_numpy(bool)
        if not use.any():
            continue
        came = event.to_numpy(bool)[use]
        duration = np.maximum(np.where(came, (wait / ONE_DAY)[use], (age / ONE_DAY)[use]).astype("float64"), 0.0)
        horizon = _horizon(arrival(duration, came))
        for name in [*sorted(set(group)), None]:
            of = group[use] == name if name is not None else np.ones(int(use.sum()), dtype=bool)
            row = {by: ALL if name is None else name, "step": step, "n": int(of.sum()), "came": int(came[of].sum()),
                   "waiting": int((~came & still.to_numpy()[use] & (duration < horizon))[of].sum()), "last": name is None}  # fmt: skip
            rows.append({**row, **_reached(duration[of], came[of], horizon, level), "horizon": horizon})
    order = [by, "step", "n", "came", "waiting", "share", "lower", "upper", "median_days", "horizon"]
    frame = pd.DataFrame(rows).reindex(columns=[*order, "last"])
    place = frame["step"].map({step: i for i, step in enumerate(STEPS)})
    return frame.assign(place=place).sort_values(["last", by, "place"], ignore_index=True)[order]


def _parts(handoff: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the groups, and those of all together."""
    steps = handoff["step"].nunique()
    return handoff.iloc[:-steps], handoff.iloc[-steps:].set_index("step")


def _horizon(curve: pd.DataFrame) -> float:
    """The age by which nearly all that come have come, of all groups together."""
    followed = curve[curve["at_risk"] >= AT_RISK]
    if followed.empty:
        return np.nan
    return float(followed.loc[followed["share"] >= NEARLY_ALL * followed["share"].iloc[-1], "time"].iloc[0])


def _reached(duration: np.ndarray, came: np.ndarray, horizon: float, level: float) -> dict[str, float]:
    """The share that has come by the horizon, with its interval, and the time by which half of these have."""
    if len(duration) < FEW or not (duration >= horizon).sum() >= 1:
        return {}
    curve = arrival(duration, came, level)
    curve = curve[curve["time"] <= horizon]
    if curve.empty:
        lower, upper = stats.add_rate(pd.DataFrame({"k": [0], "n": [len(duration)]}), hits="k", n="n", name="r").loc[
            0, ["lower", "upper"]
        ]
        return {"share": 0.0, "lower": float(lower), "upper": float(upper)}
    end = curve.iloc[-1]
    half = curve.loc[curve["share"] >= end["share"] / 2 - 1e-12, "time"].iloc[0]
    return {
        "share": float(end["share"]),
        "lower": float(end["lower"]),
        "upper": float(end["upper"]),
        "median_days": float(half),
    }


def finding_handoff(handoff: pd.DataFrame) -> str:
    """One sentence: how many of 100 leads become deals and wins, and of each step the group clearly below."""
    by = str(handoff.columns[0])
    rows, every = _parts(handoff)
    if "a deal" not in every.index or pd.isna(every.loc["a deal", "share"]):
        return "Too few leads are old enough to say how many become deals."
    total = every.loc["a deal"]
    won = total["share"] * every.loc["won", "share"] if "won" in every.index else np.nan
    some = round(100 * total["share"])
    said = f"Of 100 leads **{style.count(some)} {'becomes a deal' if some == 1 else 'become deals'}**"
    if pd.notna(won):
        said += f", {style.count(100 * won)} {'is' if round(100 * won) == 1 else 'are'} won"
    lows = []
    for step in ("a deal", "won"):
        at = rows[rows["step"] == step].dropna(subset="share")
        low = at[at["upper"] < every.loc[step, "lower"]] if step in every.index else at[:0]
        if low.empty:
            continue
        least = low.loc[low["share"].idxmin()]
        between = style.between(100 * least["lower"], 100 * least["upper"], style.count)
        many, who = f"{style.count(100 * least['share'])} ({between})", f"**{md(least[by])}**"
        usual = style.count(100 * every.loc[step, "share"])
        lows.append(
            f"of {who} {many} become deals"
            if step == "a deal"
            else f"of 100 deals of {who} {many} are won, of all {usual}"
        )
    if not lows:
        return f"{said}; no {'rep' if by == 'rep_id' else by} is clearly below that."
    return f"{said}; {'; '.join(lows)}."


def chart_handoff(handoff: pd.DataFrame) -> alt.LayerChart:
    """The share of leads that become a deal, by group, with the delay."""
    by = str(handoff.columns[0])
    groups, every = _parts(handoff)
    rows, total = groups[groups["step"] == "a deal"].dropna(subset="share"), every.loc["a deal"]
    later = groups[groups["step"] == "won"].set_index(by)["share"]
    rows = rows.assign(won=rows[by].map(later)).sort_values(["share", by], ascending=[False, True])
    low = rows.loc[rows["upper"] < total["lower"], by].tail(1)
    return style.dots(
        rows, "share", by, line=float(total["share"]), line_label=f"all {style.percent(total['share'])}", accent=list(low),
        columns=[("median_days", "Half within", style.duration), ("won", "Then won", style.percent), ("n", "Leads", style.count)],
        title="Leads that become a deal", subtitle="Share, young leads undecided; 95% intervals; highest first",
    )  # fmt: skip


def by_answer(
    crm: Crm, *, since: pd.Timestamp, until: pd.Timestamp, within: int = WITHIN, level: float = stats.LEVEL
) -> pd.DataFrame:
    """Of leads by how soon they were answered: the share that become a deal in the days after the first.

    Everybody is taken from the end of the day after the lead came in: bands are by what had happened in the first 24 hours, and only deals
    entered later count. A lead that became a deal before is left out of all bands alike, so that no band has wins for having been
    answered because it was won. Leads too young to be decided are left out too. *Adjusted* is by channel, rep, quarter, hour and weekday.

    Parameters
    ----------
    crm : Crm
        Leads with first_response_at, opportunity_id, channel, rep_id; opportunities.
    since, until : Timestamp
        When the leads came in.
    within : int
        Days after the first in which the deal has to be entered.
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame
        answered (the band), n, became (a deal), share with lower, upper (Wilson), adjusted with adjusted_lower, adjusted_upper (errors
        by rep), and the same in each row: gap_share (adjusted, of the fastest band
        over the slowest) with lower and upper, young (leads not decided), early (became a deal in the first day), p (that all bands are
        alike). Fastest first.

    Raises
    ------
    TooLittleData
        When fewer than two bands have 20 leads that are old enough.
    """
    from scipy.stats import chi2

    leads = arrived(crm, since, until)
    if "first_response_at" not in leads or leads["first_response_at"].isna().all():
        raise MissingTable("This needs the time of the first answer. Map the column first_response_at of the leads.")
    day = leads["created_at"].dt.normalize()
    days, old = (entered(crm, leads) - day).dt.days, day + (within + 1) * ONE_DAY <= crm.as_of
    early, hours = days <= 1, (leads["first_response_at"] - leads["created_at"]) / pd.Timedelta(hours=1)
    rows = leads[old & ~early & ~(hours < 0)]
    band = np.select([(hours <= b).to_numpy() for b, _ in BANDS[:-1]], [w for _, w in BANDS[:-1]], BANDS[-1][1])
    rows = rows.assign(band=band[rows.index], became=days.between(2, within + 1)[rows.index])
    count = rows["band"].value_counts()
    names = [w for _, w in BANDS if count.get(w, 0) >= FEW]
    if len(names) < 2:
        raise TooLittleData(f"Fewer than two bands of answering time have {FEW} leads that are {within + 1} days old.")
    rows = rows[rows["band"].isin(names)]
    frame = rows.groupby("band")["became"].agg(["size", "sum"]).reindex(names).set_axis(["n", "became"], axis=1)
    frame = stats.add_rate(frame.rename_axis("answered").reset_index(), hits="became", n="n", name="share", level=level)
    at = rows["created_at"]
    mix = pd.DataFrame({
        "quarter": at.dt.to_period("Q").astype("str"), "weekday": at.dt.day_of_week.astype("str"), "hour": (at.dt.hour // 4).astype("str"),
    })  # fmt: skip
    for column in ("channel", "rep_id"):
        if column in rows:
            mix[column] = rows[column]
    several = "rep_id" in rows and rows["rep_id"].nunique() >= FEW
    clusters = pd.factorize(rows["rep_id"])[0] if several else np.arange(len(rows))
    fit = standardised(rows["became"].to_numpy(bool), rows["band"], mix, clusters)
    low, high = fit.interval(level)
    at_band = pd.DataFrame(
        {"adjusted": fit.rates, "adjusted_lower": low, "adjusted_upper": high}, index=list(fit.choices)
    ).loc[names]
    k = len(names)
    apart = np.eye(k)[1:] - np.eye(k)[0]
    gaps, spread = apart @ fit.rates, apart @ fit.covariance @ apart.T
    p = float(chi2.sf(gaps @ np.linalg.pinv(spread) @ gaps, k - 1))
    frame = frame.assign(**{c: at_band[c].to_numpy() for c in at_band})
    ends = fit.gap(fit.choices.index(names[0]), fit.choices.index(names[-1]), level)
    frame = frame.assign(gap_share=ends[0], gap_share_lower=ends[1], gap_share_upper=ends[2])
    return frame.assign(young=int((~old & ~early).sum()), early=int(early.sum()), p=p)


def finding_by_answer(by_answer: pd.DataFrame) -> str:
    """One sentence: whether leads answered sooner become deals more often."""
    first, last = by_answer.iloc[0], by_answer.iloc[-1]
    low, high = by_answer["adjusted"].min(), by_answer["adjusted"].max()
    if first["p"] >= ALPHA:
        return (
            f"Leads answered sooner or later **cannot be told apart**: {style.percent(low)} to {style.percent(high)} become deals on the "
            f"same cases."
        )
    if first["gap_share_lower"] <= 0 <= first["gap_share_upper"]:
        return (
            f"How often leads become deals differs with the first answer, {style.percent(low)} to {style.percent(high)}, **but not the "
            f"sooner, the more**; an association."
        )
    more = "more" if first["gap_share"] > 0 else "less"
    between = style.between(first["gap_share_lower"], first["gap_share_upper"], style.points)
    return (
        f"Leads answered **{first['answered']}** become deals {more} often than those answered {last['answered']}: "
        f"{style.points(first['gap_share'])} (95% interval {between}), an association."
    )


def chart_by_answer(by_answer: pd.DataFrame) -> alt.LayerChart:
    """The adjusted share of leads that become a deal, by the time to the first answer."""
    shown = by_answer.assign(lower=by_answer["adjusted_lower"], upper=by_answer["adjusted_upper"])
    named = shown["answered"].head(1) if float(shown["p"].iloc[0]) < ALPHA else []
    return style.dots(
        shown, "adjusted", "answered", accent=list(named), columns=[("share", "As it is", style.percent), ("n", "Leads", style.count)],
        title="Leads that become a deal, by the first answer", subtitle="Share on the same leads, from the second day on; 95% intervals",
    )  # fmt: skip
