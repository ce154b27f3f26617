"""Where help would pay: the one stage of each rep whose gap is worth most, and the open deals nobody works on."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from scipy.stats import norm

from salesforecast import shrinkage, style
from salesforecast.errors import TooLittleData
from salesforecast.observed import horizon, need, observed, reach
from salesforecast.periods import ONE_DAY
from salesforecast.reps.fair import extremes, verdicts, wider
from salesforecast.reps.returns import groups
from salesforecast.reps.staff import roster, work
from salesforecast.tables import Crm
from salesforecast.text import md

FEW = 10  # deals that have left a stage: fewer say too little of a rep
REPS = 3  # fewer with so many deals cannot be compared at a stage
GAPS = 30  # times between contacts: fewer do not tell what is usual
USUAL = 0.9  # of the times between contacts on deals that were won


def stage_gaps(crm: Crm, *, since: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame:
    """For each rep the stage whose gap to the others is worth most a year of such deals, after shrinkage; one beyond luck first.

    The gap of a stage is the share of a rep's deals that went on from it, less the share that went on of all reps' deals of the
    same segments, drawn towards the others' the more the less is known. Its worth is what the missing deals would have brought:
    those that left the stage × the gap × the share of deals past the stage that are won × the mean amount won. Deals of an account
    are alike, which widens all variances alike. What came after `until` is not known.

    Parameters
    ----------
    crm : Crm
        Opportunities, stages, stage_history.
    since, until : Timestamp
        The deals closed in this time, and those open at its end.

    Returns
    -------
    DataFrame
        rep_id, rep, stage, n (deals that left it), advanced, conversion, usual_share (of all reps, same segments), gap_share (shrunk, a
        fraction, negative where fewer go on), worth (money, positive where catching up would bring some), lower_90, upper_90
        (missing where no amount is known), q (false-discovery rate over all reps and stages), named (flag: under 10%, and a loss
        with a probability over 90%). Most worth first, or most deals missing.

    Raises
    ------
    TooLittleData
        When no stage is open, or none has 3 reps with ten deals that left it.
    """
    names, crm = roster(crm).set_index("rep_id")["rep"], crm.at(min(until - ONE_DAY, crm.as_of))
    deals = crm.deals
    need(deals, "rep_id", "closed_date")
    deals = deals[((deals["closed_date"] >= since) | (deals["outcome"] == "open")) & deals["rep_id"].notna()]
    furthest = deals["opportunity_id"].map(reach(crm.stage_history, crm.stages)["furthest"])
    deals = deals.assign(furthest=furthest, group=groups(deals)).dropna(subset=["furthest"])
    segment = deals["segment"].fillna("") if "segment" in deals else pd.Series("", index=deals.index)
    won, over = deals["outcome"] == "won", deals["outcome"] != "open"
    amount = mean_amounts(deals.loc[won, "amount"] if "amount" in deals else pd.Series(dtype="float64"))
    parts = []
    for stage in crm.stages[crm.stages["outcome"] == "open"].sort_values("rank").itertuples():
        past = (deals["furthest"] > stage.rank) | (won & (deals["furthest"] >= stage.rank))
        left = past | ((deals["furthest"] == stage.rank) & over)
        rate = past[left].groupby(segment[left]).transform("mean")
        parts.append(deals.loc[left, ["rep_id", "group"]].assign(
            stage=stage.stage, n=1, advanced=past[left].astype("int64"), usual=rate, variance=rate * (1 - rate),
            residual=past[left] - rate, each=(won & past).sum() / max(1, (past & over).sum()),
        ))  # fmt: skip
    if not parts:
        raise TooLittleData("No stage is open, so stages cannot be compared between reps.")
    rows = pd.concat(parts)
    wide = wider(rows["residual"], rows["variance"], rows["stage"], rows["rep_id"], rows["group"])
    sums = (
        rows.groupby(["stage", "rep_id", "each"], sort=False)[["n", "advanced", "usual", "variance"]]
        .sum()
        .reset_index()
    )
    sums = sums[(sums["n"] >= FEW) & (sums["variance"] > 0)]
    sums = sums[sums.groupby("stage")["rep_id"].transform("size") >= REPS].sort_values("rep_id")
    if sums.empty:
        raise TooLittleData(
            f"No stage has {REPS} reps with {FEW} deals that left it, so stages cannot be compared between reps."
        )
    parts = []
    for _, here in sums.groupby("stage", sort=False):
        n = here["n"].to_numpy()
        gap, variance = (here["advanced"] - here["usual"]).to_numpy() / n, wide * here["variance"].to_numpy() / n**2
        draws = shrinkage.shrunk(gap, variance).draws
        worth = -draws * n * here["each"].to_numpy() * amount[:, None]
        parts.append(here.assign(
            conversion=here["advanced"] / n, usual_share=here["usual"] / n, gap_share=draws.mean(axis=0), worth=worth.mean(axis=0),
            lower_90=np.quantile(worth, 0.05, axis=0), upper_90=np.quantile(worth, 0.95, axis=0),
            p=2 * norm.sf(np.abs(gap) / np.sqrt(variance)), behind=(draws < 0).mean(axis=0),
        ))  # fmt: skip
    every = pd.concat(parts, ignore_index=True)
    every["q"] = shrinkage.q_values(every["p"].to_numpy())
    every["named"] = verdicts(every["gap_share"], every["q"], every["behind"]) == "below"
    every["missing"] = every["worth"].fillna(-every["gap_share"] * every["n"])
    every = every.sort_values(["named", "missing", "rep_id"], ascending=[False, False, True]).drop_duplicates("rep_id")
    every = every.sort_values(["missing", "rep_id"], ascending=[False, True], ignore_index=True)
    every.insert(1, "rep", every["rep_id"].map(names).fillna(every["rep_id"]))
    order = ["rep_id", "rep", "stage", "n", "advanced", "conversion", "usual_share", "gap_share", "worth", "lower_90", "upper_90", "q",
             "named"]  # fmt: skip
    return every[order]


def mean_amounts(amounts: pd.Series, draws: int = shrinkage.DRAWS) -> np.ndarray:
    """Draws of the mean amount of won deals, for it is uncertain too."""
    known = amounts.dropna()
    mean, error = known.mean(), known.std() / np.sqrt(max(1, len(known)))
    return np.asarray(mean * np.exp(np.random.default_rng(1).standard_normal(draws) * np.nan_to_num(error / mean)))


def finding_stage_gaps(gaps: pd.DataFrame) -> str:
    """One sentence: whose stage is worth most beyond luck, or that none is."""
    if gaps.empty:
        return "Too few deals have left a stage to say where help would pay."
    named = gaps[gaps["named"]]
    if named.empty:
        top = gaps.iloc[0]
        who = "No stage of any one rep falls" if len(gaps) > 1 else f"No stage of {md(top['rep'])} falls"
        most = (
            f"; the largest gap, at {md(top['stage'])}, shrunk, would be worth {style.money(top['worth'])} a year (90% interval "
            f"{style.between(top['lower_90'], top['upper_90'], style.money)})"
        )
        return f"**{who} behind by more than luck**{most if top['worth'] > 0 else ''}."
    top = named.iloc[0]
    more = f" {style.plural(len(named) - 1, 'other rep')} likewise, see the table." if len(named) > 1 else ""
    if pd.isna(top["worth"]):
        return (
            f"**{md(top['rep'])}** is furthest behind at **{md(top['stage'])}**: {style.percent(top['conversion'])} go on where "
            f"{style.percent(top['usual_share'])} is usual.{more}"
        )
    return (
        f"Help at **{md(top['stage'])}** would pay most for **{md(top['rep'])}**: {style.percent(top['conversion'])} go on where "
        f"{style.percent(top['usual_share'])} is usual, worth {style.money(top['worth'])} a year (90% interval "
        f"{style.between(top['lower_90'], top['upper_90'], style.money)}).{more}"
    )


def chart_stage_gaps(gaps: pd.DataFrame) -> alt.LayerChart:
    """What catching up would be worth at each rep's stage, with its interval."""
    data, cut = extremes(gaps)
    data = data.assign(lower=data["lower_90"], upper=data["upper_90"])
    return style.dots(
        data, "worth", "rep", fmt=style.money, line=0.0, accent=data.loc[data["named"], "rep"].tolist(),
        columns=(
            ("stage", "At", None), ("conversion", "Go on", style.percent), ("usual_share", "Usual", style.percent),
            ("n", "Left", style.count),
        ),
        title="What catching up with the usual would be worth", subtitle=f"The stage worth most by rep; 90% intervals{cut}",
    )  # fmt: skip


def neglected(crm: Crm) -> pd.DataFrame:
    """The open deals that have been quiet for longer than nine of ten pauses on deals that were won.

    Quiet are the days since the last activity on the deal, or since it was entered. Deals older than the age by which nearly all
    wins have come are left out: they have stalled, and the funnel page lists them.

    Parameters
    ----------
    crm : Crm
        Opportunities and activities with the deal they were for.

    Returns
    -------
    DataFrame
        opportunity_id, rep_id, rep, account, stage, amount, age, quiet, limit (days). Largest amount first, then the quietest.

    Raises
    ------
    TooLittleData
        With fewer than 30 times between contacts on won deals.
    """
    deals, done = crm.deals, work(crm, "at", "opportunity_id").dropna(subset=["at", "opportunity_id"])
    need(deals, "created_date", "closed_date", "rep_id")
    at = done["at"].dt.normalize()
    won = deals[deals["outcome"] == "won"].set_index("opportunity_id")
    moments = pd.concat([
        pd.DataFrame({"deal": done["opportunity_id"], "at": at})[done["opportunity_id"].isin(won.index)],
        pd.DataFrame({"deal": won.index, "at": won["created_date"]}), pd.DataFrame({"deal": won.index, "at": won["closed_date"]}),
    ]).dropna().sort_values(["deal", "at"])  # fmt: skip
    between = moments["at"].diff().dt.days.where(moments["deal"] == moments["deal"].shift()).dropna()
    if len(between) < GAPS or done.empty:
        raise TooLittleData(
            f"Fewer than {GAPS} times between contacts on won deals are known, so none is unusually long."
        )
    limit = int(between.quantile(USUAL))
    is_open = deals[(deals["outcome"] == "open") & deals["created_date"].notna()]
    age = (crm.as_of - is_open["created_date"]) // ONE_DAY
    last = is_open["opportunity_id"].map(at.groupby(done["opportunity_id"]).max()).fillna(is_open["created_date"])
    quiet = (crm.as_of - last) // ONE_DAY
    try:
        oldest: float = horizon(observed(deals), crm.as_of)
    except TooLittleData:
        oldest = np.inf
    found = is_open.assign(age=age, quiet=quiet, limit=limit)[(quiet > limit) & (age <= oldest)]
    wanted = ["opportunity_id", "rep_id", "rep", "account", "stage", "amount", "age", "quiet", "limit"]
    found = found[[c for c in wanted if c in found]].sort_values(["quiet", "opportunity_id"], ascending=[False, True])
    if "amount" in found:
        found = found.sort_values("amount", ascending=False, kind="stable")
    return found.reset_index(drop=True)


def finding_neglected(neglected: pd.DataFrame) -> str:
    """One sentence: how many deals are quiet, what they are worth, and for how long."""
    if neglected.empty:
        return "No open deal has been quiet for unusually long."
    worth = (
        f" worth {style.money(neglected['amount'].sum())}"
        if neglected.get("amount", pd.Series(dtype=float)).sum() > 0
        else ""
    )
    return (
        f"**{style.plural(len(neglected), 'open deal')}**{worth} {'has' if len(neglected) == 1 else 'have'} been quiet for more than "
        f"{style.days(neglected['limit'].iloc[0])}, longer than nine of ten pauses on deals that were won."
    )


def chart_neglected(neglected: pd.DataFrame) -> alt.LayerChart:
    """The quiet open deals by owner: number and amount."""
    by = neglected.assign(amount=neglected.get("amount", np.nan)).groupby("rep")
    data = (
        by.agg(n=("opportunity_id", "size"), amount=("amount", "sum"))
        .sort_values(["amount", "n"], ascending=False)
        .reset_index()
    )
    data = data.head(20).assign(
        words=lambda d: [
            f"{style.plural(n, 'deal')}, {style.money(a, short=True)}" for n, a in zip(d["n"], d["amount"], strict=True)
        ]
    )
    return style.bars(
        data, "n", "rep", text="words", title="Quiet open deals by owner",
        subtitle="Number and amount; open deals without activity for unusually long; largest amount first",
    )  # fmt: skip
