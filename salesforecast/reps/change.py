"""Who got better or worse by more than luck, and more than the fall-back that follows every extreme."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm

from salesforecast import shrinkage, style
from salesforecast.errors import TooLittleData
from salesforecast.reps.fair import DELTA, FEW, extremes, sides, verdicts, wider
from salesforecast.reps.mix import scores
from salesforecast.text import enumerated, md

LATE = 3  # months at the end of a window: who was trained in them is judged by the time before


def change(before: pd.DataFrame, now: pd.DataFrame, roster: pd.DataFrame) -> pd.DataFrame:
    """Each rep's win rate in two windows, beside what the first one let expect of the second.

    Who was high by luck falls back without getting worse, and who was low rises without any help. So the second result is held
    against the first one drawn towards the mean of all: B times it, with B = tau2 / (tau2 + s2) and tau2 the variance of
    true values (Paule and Mandel, of the first window). Case mix is allowed for in both. Named is as in `fair`: under a
    false-discovery rate of 10%, and beyond 2 points with a probability over 90%.

    Parameters
    ----------
    before, now : DataFrame
        From `expected`, of two windows that follow each other.
    roster : DataFrame
        From `roster`.

    Returns
    -------
    DataFrame
        rep_id, rep, closed_before, closed_now, rate_before (win rate before, on the deals of all, not shrunk), predicted (for
        now), rate_now, change_share (rate_now less predicted), lower, upper (95%), q, verdict (above, below or same). Largest change first.

    Raises
    ------
    TooLittleData
        When fewer than 3 reps have closed ten deals in both windows.

    Source
    ------
    Galton (1886); Efron & Morris (1975).
    """
    known = {}
    for name, rows in (("before", before), ("now", now)):
        score, information = scores(rows)
        sums = pd.DataFrame({"score": score, "information": information, "closed": rows["closed"].astype("int64")})
        wide = wider(score, information, rows["rep_id"], rows["group"])
        sums = sums.groupby(rows["rep_id"]).sum()
        known[name] = sums.assign(effect=sums["score"] / sums["information"], variance=wide / sums["information"])
    both = known["before"].add_suffix("_before").join(known["now"].add_suffix("_now"), how="inner")
    both = both[(both["closed_before"] >= FEW) & (both["closed_now"] >= FEW)]
    if len(both) < 3:
        raise TooLittleData(f"Fewer than 3 reps have closed {FEW} deals both in this year and in the one before.")
    then, s2 = both["effect_before"], both["variance_before"]
    tau2 = shrinkage.spread(then.to_numpy(), s2.to_numpy()) ** 2
    keep = tau2 / (tau2 + s2)
    error = np.sqrt(both["variance_now"] + keep * s2)
    difference = both["effect_now"] - keep * then
    rate = logit(expit(now["odds"]).mean())

    def share(effect: pd.Series) -> np.ndarray:
        return np.asarray(expit(rate + effect))

    predicted = share(keep * then)
    frame = pd.DataFrame({
        "rep_id": both.index, "closed_before": both["closed_before"].to_numpy(), "closed_now": both["closed_now"].to_numpy(),
        "rate_before": share(then), "predicted": predicted, "rate_now": share(both["effect_now"]),
    })  # fmt: skip
    frame["change_share"] = frame["rate_now"] - frame["predicted"]
    frame["lower"] = share(keep * then + difference - 1.96 * error) - predicted
    frame["upper"] = share(keep * then + difference + 1.96 * error) - predicted
    z = (difference / error).to_numpy()
    frame["q"] = shrinkage.q_values(2 * norm.sf(np.abs(z)))
    edge = (
        logit(np.clip(predicted + np.sign(z) * DELTA, 1e-9, 1 - 1e-9)) - rate - keep * then
    )  # of a change not worth a name
    beyond = norm.cdf(np.sign(z) * (difference - edge) / error)
    frame["verdict"] = verdicts(frame["change_share"], frame["q"], beyond)
    frame.insert(1, "rep", frame["rep_id"].map(roster.set_index("rep_id")["rep"]).fillna(frame["rep_id"]))
    return frame.sort_values(["change_share", "rep_id"], ascending=[False, True], ignore_index=True)


def finding_change(change: pd.DataFrame) -> str:
    """One sentence: who changed beyond luck and the fall-back to the mean, or that nobody did."""
    if change.empty:
        return "Too few deals in one of the two years to say whether anything changed."
    named = change[change["verdict"] != "same"]
    if named.empty:
        who = (
            f"None of {style.plural(len(change), 'rep')}"
            if len(change) > 1
            else f"**{md(change.iloc[0]['rep'])}** has not"
        )
        verb = " changed" if len(change) == 1 else " has changed"
        return f"{who}{verb} by more than luck and the usual fall-back towards the mean explain."
    parts = []
    for these, verb in sides(named, "improved", "fell"):
        listed = [
            f"**{md(r.rep)}** ({style.percent(r.rate_now)} where the year before let expect {style.percent(r.predicted)})"
            for r in these.itertuples()
        ]
        parts.append(f"{enumerated(listed)} {verb}")
    return f"Beyond luck and the fall-back towards the mean, {'; '.join(parts)}."


def chart_change(change: pd.DataFrame) -> alt.LayerChart:
    """The win rate now less what the year before let expect, with its interval."""
    data, cut = extremes(change)
    return style.dots(
        data, "change_share", "rep", fmt=style.points, line=0.0, line_label="as predicted", verdict="verdict",
        columns=(("rate_before", "Was", style.percent), ("predicted", "Predicted", style.percent), ("rate_now", "Is now", style.percent)),
        title="Win rate against what the year before let expect",
        subtitle=f"Difference; case mix and fall-back towards the mean allowed for; 95% intervals{cut}",
    )  # fmt: skip


def trained(change: pd.DataFrame, costs: pd.DataFrame, *, since: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame:
    """How the reps who were trained in a window changed beside the others of the same result the year before.

    Who is sent to a training has often just had a bad year, and gets better anyway. So this year's win rate is regressed on that of
    the year before and on having been trained: reps of the same year before are compared, and the fall-back towards the mean is in
    the slope. Left out is who was trained in the last quarter of the window, of which most lies before, and who was trained in the
    year before it, and stands for neither. Nobody was sent by lot: it stays an association.

    Parameters
    ----------
    change : DataFrame
        From `change`.
    costs : DataFrame
        period (months), rep_id, kind; the first training of a rep in the window or the year before it counts.
    since, until : Timestamp

    Returns
    -------
    DataFrame
        who (trained, others, left out, difference), n (reps), rate_before, rate_now (means of the win rate), change_share (their
        difference; in the last row that of trained and others of the same year before), lower, upper (95%, of that row).

    Raises
    ------
    TooLittleData
        When fewer than 3 reps were trained, or fewer than 3 were not.

    Source
    ------
    Analysis of covariance: Senn (2006); errors by HC3, MacKinnon & White (1985).
    """
    from statsmodels.api import OLS, add_constant

    costs = costs.reindex(columns=["period", "rep_id", "kind"])
    days = pd.to_datetime(costs["period"].where(costs["kind"] == "training"), format="%Y-%m", errors="coerce")
    first = days[(days >= since - pd.DateOffset(years=1)) & (days < until)].groupby(costs["rep_id"]).min()
    month = pd.to_datetime(change["rep_id"].map(first.to_dict()))
    end = until - pd.DateOffset(months=LATE)
    mine, other = (month >= since) & (month < end), month.isna()
    if mine.sum() < 3 or other.sum() < 3:
        nameless = int(((days >= since) & (days < until) & costs["rep_id"].isna()).sum())
        went = int(((first >= since) & (first < end)).sum())
        raise TooLittleData(_untold(int(mine.sum()), int(other.sum()), went, nameless))
    group = np.select([mine, other], ["trained", "others"], "left out")
    frame = change.groupby(group).agg(
        n=("rep_id", "size"), rate_before=("rate_before", "mean"), rate_now=("rate_now", "mean")
    )
    frame = (
        frame.reindex([who for who in ("trained", "others", "left out") if who in frame.index])
        .rename_axis("who")
        .reset_index()
    )
    frame["change_share"] = frame["rate_now"] - frame["rate_before"]
    change, mine = change[mine | other], mine[mine | other]
    design = add_constant(pd.DataFrame({"before": change["rate_before"], "trained": mine.astype("float64")}))
    fit = OLS(change["rate_now"], design).fit(cov_type="HC3", use_t=True)
    low, high = fit.conf_int().loc["trained"]
    last = pd.DataFrame(
        {"who": ["difference"], "n": [len(change)], "change_share": fit.params["trained"], "lower": low, "upper": high}
    )
    return pd.concat([frame, last], ignore_index=True)[
        ["who", "n", "rate_before", "rate_now", "change_share", "lower", "upper"]
    ]


def _untold(mine: int, others: int, went: int, nameless: int) -> str:
    """What is missing to compare the trained with the others, exactly."""
    if not went and not nameless:
        return (
            "The costs hold no training in the first three quarters of the year. Costs of kind training, with the rep and the month, "
            "would say who was trained."
        )
    so_many = "one" if mine == 1 else str(mine) if mine else "none"
    if mine >= 3:
        all_but = f"All but {others}" if others else "All"
        return f"{all_but} of the reps with {FEW} closed deals in both years were trained in them; 3 others are needed to compare with."
    words = f"The costs name {style.plural(went, 'rep')} first trained in the first three quarters of the year"
    if went:
        words += f", {so_many} of whom closed {FEW} deals in this year and in the one before"
    if nameless:
        words += f"; {style.plural(nameless, 'cost')} of training {'names' if nameless == 1 else 'name'} no rep"
    return (
        f"{words}. At least 3 such reps are needed: training of those who were here before, with the rep and the month."
    )


def finding_trained(trained: pd.DataFrame) -> str:
    """One sentence: whether those who were trained changed more than the others."""
    by, row = trained.set_index("who")["n"], trained.iloc[-1]
    interval = f"(95% interval {style.between(row['lower'], row['upper'], style.points)})"
    out = by.get("left out", 0)
    rest = (
        f" {style.plural(out, 'rep')} trained too late or in the year before {'is' if out == 1 else 'are'} left out."
        if out
        else ""
    )
    who = f"The {style.plural(by['trained'], 'rep')} trained"
    if row["lower"] <= 0 <= row["upper"]:
        return f"{who} **cannot be told apart** from others of the same year before: {style.points(row['change_share'])} {interval}.{rest}"
    return (
        f"{who} stand **{style.points(row['change_share'])}** beside others of the same year before {interval}; whether the training "
        f"did it, only a test by lot would tell.{rest}"
    )
