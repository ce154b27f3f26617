"""Who gets the leads, how many and how good."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import shrinkage, style
from salesforecast.errors import CannotSay, MissingTable, TooLittleData
from salesforecast.observed import need
from salesforecast.periods import ONE_DAY
from salesforecast.tables import NOT_FILLED, Crm, told_apart
from salesforecast.text import md

FEW = 20  # leads of a group: fewer are not judged
PRIOR = 20  # leads: what is known of all channels weighs as much as so many of the channel itself
KNOWN_AFTER = 90  # days after which it counts as known whether a lead became a deal
ALPHA = 0.05
DRAWS = 2000


def arrived(crm: Crm, since: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame:
    """The leads that came in from `since` to before `until` and are known by `as_of`, in the order they came.

    Raises
    ------
    TooLittleData
        When there is none.
    """
    leads = crm.leads
    leads = leads[leads["created_at"].between(since, min(until, crm.as_of + ONE_DAY), inclusive="left")]
    if leads.empty:
        raise TooLittleData(f"No lead came in between {since:%Y-%m-%d} and {until - ONE_DAY:%Y-%m-%d}.")
    return leads.sort_values(["created_at", "lead_id"], ignore_index=True)


def entered(crm: Crm, leads: pd.DataFrame) -> pd.Series:
    """The day on which the deal that each lead became was entered; missing while it has become none.

    Raises
    ------
    MissingTable
        When leads name no deals, or deals have no day.
    """
    if "opportunity_id" not in leads or crm.leads["opportunity_id"].isna().all():
        raise MissingTable("This needs the deal that each lead became. Map the column opportunity_id of the leads.")
    need(crm.opportunities, "created_date")
    deals = crm.opportunities.drop_duplicates("opportunity_id").set_index("opportunity_id")
    return leads["opportunity_id"].map(deals["created_date"])


def rep_names(crm: Crm) -> pd.Series:
    """The reps' names by id, two of one name told apart."""
    if "reps" not in crm:
        return pd.Series(dtype="str")
    return told_apart(crm.reps, "rep_id", "rep").set_axis(crm.reps["rep_id"].array)


def quality(crm: Crm, within: int = KNOWN_AFTER) -> pd.Series:
    """What was to be expected of each lead when it came in: the share of earlier leads of its channel that became deals.

    Only leads that were at least so many days old by then count, and only deals entered in those days: nothing of it is hindsight.
    A channel's share is drawn towards that of all leads, as by 20 of these. Missing while no earlier lead is old enough.

    Parameters
    ----------
    crm : Crm
        Leads (created_at, channel, opportunity_id); opportunities.
    within : int
        Days after which it counts as known whether a lead became a deal.

    Returns
    -------
    Series
        By lead_id: a share.
    """
    leads = crm.leads.sort_values(["created_at", "lead_id"], ignore_index=True)
    days = (entered(crm, leads) - leads["created_at"].dt.normalize()).dt.days
    channel = leads["channel"].fillna(NOT_FILLED) if "channel" in leads else pd.Series(NOT_FILLED, index=leads.index)
    told = pd.DataFrame(
        {"at": leads["created_at"] + within * ONE_DAY, "channel": channel, "became": (days <= within).astype("float64")}
    )
    told["all_n"], told["all"] = np.arange(1, len(told) + 1), told["became"].cumsum()
    of = told.groupby("channel")["became"]
    told["own_n"], told["own"] = of.cumcount() + 1, of.cumsum()
    asked = pd.DataFrame({"at": leads["created_at"].astype(told["at"].dtype), "channel": channel})
    every = pd.merge_asof(asked, told[["at", "all_n", "all"]], on="at", allow_exact_matches=False)
    own = pd.merge_asof(
        asked, told[["at", "channel", "own_n", "own"]], on="at", by="channel", allow_exact_matches=False
    )
    share = every["all"] / every["all_n"]
    value = (own["own"].fillna(0) + PRIOR * share) / (own["own_n"].fillna(0) + PRIOR)
    return pd.Series(value.to_numpy(), index=leads["lead_id"].array)


def distribution(crm: Crm, *, since: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame:
    """How many leads each rep got and how good these were when they came in, against an even deal among those who were there.

    Even means: each lead goes with equal chance to any rep employed on its day. How good a lead is follows from its channel, as known then
    (`quality`), against the mean of all leads of its month.

    Parameters
    ----------
    crm : Crm
        Leads with rep_id; opportunities; reps where there are.
    since, until : Timestamp
        The first day, and the first day left out.

    Returns
    -------
    DataFrame
        rep_id, rep, got (leads), even (leads to be expected), lower, upper (where an even deal keeps 95%), got_ratio (got over even), good
        (mean expected conversion; missing where leads name no deals), good_gap (to the leads of the same months, a share) and its
        good_error, worth (deals to be expected of the leads), spread (of the number by chance), q (false-discovery rate of a number that
        is not even), verdict (above, below, same; few under 20 to be expected). Most over even first.

    Raises
    ------
    TooLittleData
        Without leads in the time, or with fewer than two reps who got some.
    """
    from scipy.stats import binom

    leads = arrived(crm, since, until)
    if "rep_id" not in leads or leads["rep_id"].isna().all():
        raise MissingTable("This needs the rep who got each lead. Map the column rep_id of the leads.")
    leads = leads.dropna(subset="rep_id").assign(day=leads["created_at"].dt.normalize())
    ids = sorted(set(leads["rep_id"]))
    days = pd.DatetimeIndex(sorted(leads["day"].unique()))
    there = np.ones((len(days), len(ids)), dtype=bool)
    names = pd.Series(ids, index=ids)
    if "reps" in crm:
        staff = crm.reps.set_index("rep_id")
        selling = staff[
            staff.index.isin(crm.opportunities.get("rep_id", pd.Series(dtype="str"))) | staff.index.isin(ids)
        ]
        ids = sorted(set(ids) | set(selling.index))
        names = rep_names(crm).reindex(ids).fillna(pd.Series(ids, index=ids))
        dates = {c: staff[c].reindex(ids).to_numpy("datetime64[us]") if c in staff else np.full(len(ids), "NaT", "datetime64[us]")
                 for c in ("start_date", "end_date")}  # fmt: skip
        when = days.to_numpy("datetime64[us]")[:, None]
        there = ~(when < dates["start_date"]) & ~(when > dates["end_date"])
    row, column = days.get_indexer(leads["day"]), pd.Index(ids).get_indexer(leads["rep_id"])
    there[row, column] = True  # whoever got one was there
    if len(ids) < 2:
        raise TooLittleData("Leads went to one rep only, so there is nothing to compare.")
    counts = np.bincount(row, minlength=len(days))
    chance = there / there.sum(axis=1, keepdims=True)
    even = counts @ chance
    got = np.bincount(column, minlength=len(ids))
    spread = np.sqrt(counts @ (chance * (1 - chance)))
    share, trials = even / len(leads), len(leads)
    low, high = (binom.ppf(p, trials, share) for p in (0.025, 0.975))
    p = np.minimum(1.0, 2 * np.minimum(binom.cdf(got, trials, share), binom.sf(got - 1, trials, share)))
    q = np.full(len(ids), np.nan)
    judged = even >= FEW
    q[judged] = shrinkage.q_values(p[judged])
    try:
        good = leads["lead_id"].map(quality(crm))
    except CannotSay:  # nothing tells how good they are, but it can be counted who got them
        good = pd.Series(np.nan, index=leads.index)
    gap = good - good.groupby(leads["created_at"].dt.to_period("M")).transform("mean")
    by = leads["rep_id"]
    frame = pd.DataFrame({
        "rep_id": ids, "rep": names.to_numpy(), "got": got, "even": even, "lower": low, "upper": high,
        "got_ratio": got / np.where(even > 0, even, np.nan), "good": good.groupby(by).mean().reindex(ids).to_numpy(),
        "good_gap": gap.groupby(by).mean().reindex(ids).to_numpy(), "worth": good.groupby(by).sum(min_count=1).reindex(ids).to_numpy(),
        "spread": spread, "q": q,
    })  # fmt: skip
    frame["good_error"] = (gap.std() / np.sqrt(gap.groupby(by).count().reindex(ids))).to_numpy()
    side = np.where(frame["got"] > frame["even"], "above", "below")
    frame["verdict"] = np.where(~judged, "few", np.where(frame["q"] < ALPHA, side, "same"))
    frame = frame[frame["even"] > 0]  # the others were not there
    return frame.sort_values(["got_ratio", "rep_id"], ascending=[False, True], ignore_index=True)


def fairness(distribution: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Whether leads are dealt out more unevenly than by lot: their number, and how good they are.

    Parameters
    ----------
    distribution : DataFrame
        From `distribution`.
    seed : int
        Of the draws by lot.

    Returns
    -------
    DataFrame
        measure (number, quality), gini (of got over even; of the mean quality), by_lot (the Gini that an even deal gives on average),
        true_spread (standard deviation of what is not chance, a share of the mean), p (that an even deal is as uneven).
    """
    from scipy.stats import chi2

    rows, rng = [], np.random.default_rng(seed)
    known = distribution
    drawn = (
        rng.multinomial(int(known["got"].sum()), known["even"] / known["even"].sum(), size=DRAWS)
        / known["even"].to_numpy()
    )
    # Pearson's statistic; its mean, which is the reps less one where all were always there, are its degrees of freedom
    uneven, free = (known["got"] - known["even"]) ** 2 / known["even"], (known["spread"] ** 2 / known["even"]).sum()
    error = (known["spread"] / known["even"]).to_numpy()
    enough = (known["even"] >= FEW).to_numpy()
    rows.append((
        "number", gini(known["got_ratio"].to_numpy()), float(np.mean([gini(d) for d in drawn])),
        shrinkage.spread(known["got_ratio"].to_numpy()[enough], error[enough] ** 2),
        float(chi2.sf(uneven.sum(), free)) if free > 0 else 1.0,
    ))  # fmt: skip
    told = distribution[distribution["good_error"].gt(0) & distribution["good_gap"].notna()]
    if len(told) > 1:
        usual = float(told["good"].mean())
        each, error = told["good_gap"].to_numpy(), told["good_error"].to_numpy()
        lots = usual + error * rng.standard_normal((DRAWS, len(told)))
        rows.append((
            "quality", gini(usual + each), float(np.mean([gini(d) for d in lots])), shrinkage.spread(each, error**2) / usual,
            float(chi2.sf((each**2 / error**2).sum(), len(told) - 1)),
        ))  # fmt: skip
    return pd.DataFrame(rows, columns=["measure", "gini", "by_lot", "true_spread", "p"])


def gini(values: np.ndarray) -> float:
    """Half the mean difference between two, over the mean: 0 when all have the same.

    >>> gini(np.array([1.0, 1.0, 1.0])), gini(np.array([0.0, 0.0, 0.0, 4.0]))
    (0.0, 0.75)
    """
    x = np.sort(values)
    n = len(x)
    return float((2 * np.arange(1, n + 1) - n - 1) @ x / (n * x.sum())) if x.sum() else 0.0


def finding_distribution(distribution: pd.DataFrame, fairness: pd.DataFrame) -> str:
    """One sentence: who got more or fewer leads than an even deal gives, or that chance explains it all."""
    at = fairness.set_index("measure")
    uneven = at.loc["number", "p"] < ALPHA
    named = distribution[distribution["verdict"].isin(["above", "below"])]
    better = (
        ""
        if "quality" not in at.index
        else "; how good they are differs "
        + ("by more than chance" if at.loc["quality", "p"] < ALPHA else "no more than by chance")
    )
    if not uneven or named.empty:
        words = (
            "no more unevenly than by lot" if not uneven else "more unevenly than by lot, but it cannot be told to whom"
        )
        return f"Leads go to {style.plural(len(distribution), 'rep')} **{words}**{better}."
    first = named.loc[(named["got_ratio"] - 1).abs().idxmax()]
    return (
        f"**{md(first['rep'])}** got {style.plural(first['got'], 'lead')} where an even deal gives {style.count(first['even'])}; "
        f"{style.plural(len(named), 'rep')} {'is' if len(named) == 1 else 'are'} outside of chance{better}."
    )


def chart_distribution(distribution: pd.DataFrame, most: int = 24) -> alt.LayerChart:
    """Leads got over an even deal's, by rep, with where chance keeps it."""
    some, half = distribution, most // 2
    shown = some if len(some) <= most else pd.concat([some.head(half), some.tail(half)])
    shown = shown.assign(lower=shown["lower"] / shown["even"], upper=shown["upper"] / shown["even"])
    cut = "" if len(some) <= most else f"; the {half} highest and {half} lowest of {len(some)}"
    return style.dots(
        shown, "got_ratio", "rep", fmt=style.figure(2), line=1.0, line_label="even", verdict="verdict",
        columns=[("got", "Got", style.count), ("even", "Even", style.count), ("good", "Become deals", style.percent)],
        title="Leads got, over an even deal's", subtitle=f"Line: where an even deal keeps 95%; most first{cut}",
    )  # fmt: skip
