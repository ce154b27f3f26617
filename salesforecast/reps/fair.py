"""Who wins more or less than was to be expected of the deals, beyond luck."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import chi2, norm

from salesforecast import shrinkage, style
from salesforecast.errors import TooLittleData
from salesforecast.reps.mix import scores
from salesforecast.text import enumerated, md

DELTA = 0.02  # of the win rate: a smaller difference is not worth a name
RATE = 0.10  # of false names among all names
SURE = 0.90  # that a difference is larger than DELTA
FEW = 10  # closed deals: nobody is compared on fewer
RANKED = 3  # reps: a smaller team is not ranked
POWER = 0.80
MOST = 30  # rows of a chart
ALPHA = 0.05  # of the test that all reps are equal
GAPS = (0.05, 0.10, 0.15)


def fair(expected: pd.DataFrame, roster: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Each rep's wins against those expected of their deals, and the win rate this speaks for on the company's deals.

    The estimate is the rep's log-odds of winning beyond the case mix, drawn towards the others' the more the less is known
    (`shrinkage.shrunk`), written as the share the rep would win of all deals of the window. Deals of an account are alike,
    which widens all variances alike. Somebody is *above* or *below* when the false-discovery rate is under 10% and the
    win rate differs from all by more than 2 points with a probability over 90%; *few* have closed fewer than ten deals and
    are not compared.

    Parameters
    ----------
    expected : DataFrame
        From `expected`.
    roster : DataFrame
        From `roster`: who is listed, with or without deals.
    level : float
        Of the intervals of the win rate.

    Returns
    -------
    DataFrame
        rep_id, rep, team, deals (worked in the window), closed (won or lost), won, expected_wins, ratio (won over
        expected_wins), variance (of won, by luck alone, alike deals counted in), effect (on the log-odds, not shrunk), information
        (of it), win_rate, lower, upper, all_reps (the win rate of all), gap_share (to it), place_low, place_high (90%, 1 the
        highest; missing where fewer than 3 are compared), q, beyond (probability of a gap over 2 points to that side), verdict.
        Highest win rate first, those not compared last.

    Raises
    ------
    TooLittleData
        When nobody has closed ten deals.

    Source
    ------
    Normand & Shahian (2007); Spiegelhalter (2005); Benjamini & Hochberg (1995); Goldstein & Spiegelhalter (1996).
    """
    score, information = scores(expected)
    rows = pd.DataFrame({
        "rep_id": expected["rep_id"], "group": expected["group"], "score": score, "information": information,
        "deals": 1, "closed": expected["closed"].astype("int64"), "won": expected["won"].astype("int64"),
        "expected_wins": expected["chance"], "variance": expected["chance"] * (1 - expected["chance"]),
    })  # fmt: skip
    wide = wider(score, information, rows["rep_id"], rows["group"])
    sums = rows.drop(columns="group").groupby("rep_id").sum()
    frame = roster[["rep_id", "rep", "team"]].join(sums, on="rep_id")
    frame = frame.fillna(dict.fromkeys(("deals", "closed", "won", "expected_wins", "variance", "information"), 0))
    frame = frame.astype({"deals": "int64", "closed": "int64", "won": "int64"})
    frame["variance"], frame["information"] = frame["variance"] * wide, frame["information"] / wide
    frame["ratio"] = frame["won"] / frame["expected_wins"].where(frame["expected_wins"] > 0)
    known = frame["closed"] >= FEW
    if not known.any():
        raise TooLittleData(f"No rep has closed {FEW} deals in the time compared, so reps cannot be compared fairly.")
    some = frame[known]
    estimates = (some["score"] / wide / some["information"]).to_numpy()
    believed = shrinkage.shrunk(estimates, 1 / some["information"].to_numpy())
    draws, everybody = rates(expected, believed.draws), float(rates(expected, np.zeros((1, 1)))[0, 0])
    p = 2 * norm.sf(np.abs(estimates) * np.sqrt(some["information"].to_numpy()))
    above = (draws > everybody + DELTA).mean(axis=0)
    below = (draws < everybody - DELTA).mean(axis=0)
    frame.loc[known, "effect"] = estimates
    frame.loc[known, "win_rate"] = draws.mean(axis=0)
    frame.loc[known, "lower"], frame.loc[known, "upper"] = np.quantile(
        draws, [0.5 - level / 2, 0.5 + level / 2], axis=0
    )
    frame["all_reps"], frame["gap_share"] = everybody, frame["win_rate"] - everybody
    frame["place_low"] = frame["place_high"] = np.nan
    if known.sum() >= RANKED:
        frame.loc[known, "place_low"], frame.loc[known, "place_high"] = shrinkage.ranks(draws)
    frame.loc[known, "q"] = shrinkage.q_values(p)
    frame.loc[known, "beyond"] = np.where(estimates > 0, above, below)
    frame["verdict"] = verdicts(frame["gap_share"], frame["q"], frame["beyond"], known)
    order = ["rep_id", "rep", "team", "deals", "closed", "won", "expected_wins", "ratio", "variance", "effect", "information", "win_rate",
             "lower", "upper", "all_reps", "gap_share", "place_low", "place_high", "q", "beyond", "verdict"]  # fmt: skip
    return frame.sort_values(["win_rate", "rep_id"], ascending=[False, True], ignore_index=True)[order]


def wider(residual: np.ndarray, variance: np.ndarray, *groups: pd.Series) -> float:
    """By what the variances are to be multiplied, at least 1, where what lies in the same groups is alike: a rep's deals of an account."""
    alike = pd.Series(np.asarray(residual)).groupby([np.asarray(g) for g in groups]).sum()
    return max(1.0, float((alike**2).sum() / max(np.sum(variance), 1e-9)))


def verdicts(gap: pd.Series, q: pd.Series, beyond: pd.Series, known: pd.Series | bool = True) -> np.ndarray:
    """Who is named: above or below where the false-discovery rate is under 10% and a gap over 2 points has a probability over 90%."""
    side = np.where(gap > 0, "above", "below")
    return np.where(known, np.where((q < RATE) & (beyond > SURE), side, "same"), "few")


def rates(expected: pd.DataFrame, effects: np.ndarray) -> np.ndarray:
    """The share of all deals that somebody with these effects on the log-odds would win."""
    odds = np.quantile(expected["odds"], (np.arange(200) + 0.5) / 200)
    grid = np.linspace(min(-3.0, effects.min()), max(3.0, effects.max()), 400)
    return np.interp(effects, grid, expit(odds + grid[:, None]).mean(axis=1))


def needed(fair: pd.DataFrame) -> pd.DataFrame:
    """How many closed deals each rep would need for a gap in the win rate to be told from luck.

    A gap is told when its false-discovery rate is under 10% with a chance of 80%, were it the only one. It is one to the higher win
    rate, where more than half is won one to the lower.

    Parameters
    ----------
    fair : DataFrame
        From `fair`.

    Returns
    -------
    DataFrame
        to_tell (the gap in words), gap_share (of the win rate), closed (deals that each rep needs), have (the median
        of those compared); the first row is the gap that can be told with what they have.
    """
    known = fair[fair["closed"] >= FEW]
    rate, have = float(fair["all_reps"].iloc[0]), float(known["closed"].median())
    each = known["information"].sum() / known["closed"].sum()
    reach = norm.isf(RATE / len(known) / 2) + norm.ppf(POWER)
    side = 1 if rate <= 0.5 else -1  # to where there is more room
    gaps = np.arange(0.005, max(rate, 1 - rate) - 0.005, 0.005)

    def deals(gap: np.ndarray) -> np.ndarray:
        return np.asarray((reach / (logit(rate + side * gap) - logit(rate))) ** 2 / each)

    enough = gaps[deals(gaps) <= have]
    first = float(enough[0]) if len(enough) else np.nan
    rows = [(first, have), *((g, float(deals(np.array(g)))) for g in GAPS if g < gaps[-1])]
    frame = pd.DataFrame(rows, columns=["gap_share", "closed"]).assign(have=have)
    frame.insert(0, "to_tell", [style.points(gap).lstrip("+") for gap in frame["gap_share"]])
    return frame


def finding_fair(fair: pd.DataFrame, own: pd.DataFrame) -> str:
    """One or two sentences: who differs beyond luck, or that nobody can be named and how many deals would tell.

    Parameters
    ----------
    fair : DataFrame
        From `fair`.
    own : DataFrame
        The rows of it that the page is about.
    """
    known = own[own["verdict"] != "few"]
    idle = int((own["deals"] == 0).sum())
    without = f" {style.plural(idle, 'rep')} had no deals in this time." if idle and len(own) > 1 else ""
    if known.empty:
        few = f"none of the {style.plural(len(own), 'rep')} here has closed {FEW}"
        if len(own) == 1:
            few = f"**{md(own.iloc[0]['rep'])}** closed {style.count(own.iloc[0]['closed'])}, and {FEW} are needed,"
        return f"Too few deals: {few} in the time compared.{without}"
    if len(own) == 1:
        return _one(own.iloc[0]) + _would_tell(fair)
    named = known[known["verdict"] != "same"]
    if named.empty:
        p, points = _heterogeneity(fair)
        if p >= ALPHA:
            how = (
                f"the win rates of {style.plural(len(known), 'rep')} differ no more than luck makes equal ones differ."
            )
        else:
            wide = points >= 0.005  # what is left beside the noise of few deals may round to nothing
            spread = f" (true win rates by about {style.points(points).lstrip('+')})" if wide else ""
            how = f"all in all reps differ by more than luck{spread}, but it cannot be told who."
        return f"**Nobody stands out**: {how}{_would_tell(fair)}{without}"
    sentences = []
    for these, words in sides(named):
        listed = [
            f"**{md(r.rep)}** ({style.count(r.won)} where {style.count(r.expected_wins)} were to be expected)"
            for r in these.itertuples()
        ]
        verb = "wins" if len(these) == 1 else "win"
        sentences.append(f"{enumerated(listed)} {verb} {words} deals than luck explains.")
    rest = len(known) - len(named)
    others = f" The other {rest} cannot be told apart." if rest > 1 else ""
    return f"{' '.join(sentences)}{others}{without}"


def sides(named: pd.DataFrame, above: str = "more", below: str = "fewer") -> list[tuple[pd.DataFrame, str]]:
    """Those above, the highest first, and those below, the lowest first, each with its word; a side without anybody is left out."""
    both = ((named[named["verdict"] == "above"], above), (named[named["verdict"] == "below"][::-1], below))
    return [(rows, word) for rows, word in both if len(rows)]


def _heterogeneity(fair: pd.DataFrame) -> tuple[float, float]:
    """How likely equal reps are to differ so much, and the standard deviation of the true win rates."""
    known = fair.dropna(subset=["effect"])
    effect, information, rate = known["effect"], known["information"], float(fair["all_reps"].iloc[0])
    centre = (effect * information).sum() / information.sum()
    q = float((information * (effect - centre) ** 2).sum())
    spread = shrinkage.spread(effect.to_numpy(), (1 / information).to_numpy())
    return float(chi2.sf(q, len(known) - 1)), spread * rate * (1 - rate)


def _one(row: pd.Series) -> str:
    told = {"above": "more than luck explains", "below": "fewer than luck explains", "same": "which luck may explain"}
    low, high = row["place_low"], row["place_high"]
    places = "" if pd.isna(low) else f"; place {style.count(low)} to {style.count(high)}"
    return (
        f"**{md(row['rep'])}** won {style.plural(row['won'], 'deal')} where {style.count(row['expected_wins'])} were to be expected, "
        f"{told[row['verdict']]}{places}."
    )


def _would_tell(fair: pd.DataFrame) -> str:
    rows = needed(fair)
    now, asked = rows.iloc[0], rows[rows["gap_share"] == GAPS[0]].iloc[0]
    gap = (
        "no gap shows"
        if pd.isna(now["gap_share"])
        else f"only gaps of {style.points(now['gap_share']).lstrip('+')} show"
    )
    closed, have = fair.loc[fair["closed"] >= FEW, "closed"], style.count(now["have"])
    with_them = f"With {have} closed deals each" if closed.nunique() == 1 else f"With a median of {have} closed deals"
    return (
        f" {with_them}, {gap}; {style.points(asked['gap_share']).lstrip('+')} would take about "
        f"{style.count(float(f'{asked.closed:.2g}'))}."
    )


def extremes(frame: pd.DataFrame, most: int = MOST) -> tuple[pd.DataFrame, str]:
    """The first and the last rows of a long ranking and those who are named, and words for it."""
    if len(frame) <= most:
        return frame, ""
    side = most // 2
    ends = (np.arange(len(frame)) < side) | (np.arange(len(frame)) >= len(frame) - side)
    named = frame["verdict"].isin(["above", "below"]) if "verdict" in frame else frame.get("named", False)
    return frame[ends | named], f"; the {side} highest and {side} lowest of {len(frame)}"


def chart_fair(own: pd.DataFrame) -> alt.LayerChart:
    """The estimated win rate per rep, with interval, expected wins and the places it may have."""
    data, cut = extremes(_order(own[own["closed"] >= FEW]))
    data = data.assign(place=[
        style.between(a, b, style.count) for a, b in zip(data["place_low"], data["place_high"], strict=True)
    ])  # fmt: skip
    columns = [("won", "Won", style.count), ("expected_wins", "Expected", style.figure(1)), ("place", "Place", None)]
    if data["place_low"].isna().all():
        columns.pop()
    order = "in the order of names" if len(own) == RANKED - 1 else f"highest first{cut}"
    return style.dots(
        data, "win_rate", "rep", line=float(own["all_reps"].iloc[0]),
        line_label=f"all {style.percent(own['all_reps'].iloc[0])}", columns=columns, verdict="verdict",
        title="Win rate by rep on the same deals",
        subtitle=f"Estimate for the deals of all reps; 95% intervals; places 90%; {order}",
    )  # fmt: skip


def limits(fair: pd.DataFrame) -> pd.DataFrame:
    """Between which ratios of won to expected wins luck keeps a rep, by the number of wins expected.

    Limits are 1 ± z sqrt(phi v / n): v is the variance by luck per expected win, phi the overdispersion of all reps' standardised
    differences, their ends pulled in, and at least 1.

    Returns
    -------
    DataFrame
        n (expected wins), lower_95, upper_95, lower_998, upper_998.

    Source
    ------
    Spiegelhalter (2005), sections 3.1 and 3.2.
    """
    known = fair[fair["closed"] >= FEW]
    z = ((known["won"] - known["expected_wins"]) / np.sqrt(known["variance"])).to_numpy()
    phi = shrinkage.overdispersion(z)
    each = known["variance"].sum() / known["expected_wins"].sum()
    n = np.linspace(known["expected_wins"].min() * 0.9, known["expected_wins"].max() * 1.03, 60)
    half = np.sqrt(phi * each / n)
    bounds = {
        f"{side}_{name}": np.maximum(0, 1 + sign * z * half)
        for name, z in (("95", norm.ppf(0.975)), ("998", norm.ppf(0.999)))
        for side, sign in (("lower", -1), ("upper", 1))
    }
    return pd.DataFrame({"n": n, **bounds})


def chart_luck(fair: pd.DataFrame, own: pd.DataFrame) -> alt.LayerChart:
    """Wins over expected wins against expected wins, with the room that luck alone would fill; only `own` bear names."""
    known = fair[fair["closed"] >= FEW]
    mine = known["rep_id"].isin(own["rep_id"])
    alone = mine & (len(own) == 1)
    data = known.assign(
        rep=known["rep"].where(mine, "another rep"), n=known["expected_wins"].round(1),
        mark=known["verdict"].where(mine, "same").mask(alone & (known["verdict"] == "same"), "few"),
    )  # fmt: skip
    return style.funnel_plot(
        data, limits(fair), "ratio", "rep", fmt=style.figure(2), line=1.0, line_label="as expected", verdict="mark",
        x_title="wins expected", title="Wins over expected wins, and how many were expected",
        subtitle="Shaded: where luck keeps a rep 95% and 99.8% of the time; named only beyond luck",
    )  # fmt: skip


def finding_luck(fair: pd.DataFrame, own: pd.DataFrame) -> str:
    """One sentence: how many reps are where luck alone would put them."""
    known = own[own["closed"] >= FEW]
    if known.empty:
        return f"Nobody here has closed {FEW} deals in the time compared."
    bounds = limits(fair)
    low, high = (np.interp(known["expected_wins"], bounds["n"], bounds[f"{side}_95"]) for side in ("lower", "upper"))
    inside = int(((known["ratio"] >= low) & (known["ratio"] <= high)).sum())
    outside = len(known) - inside
    if len(known) == 1:
        where = "where luck keeps 95% of equal reps" if inside else "outside of where luck keeps 95% of equal reps"
        return f"**{md(known.iloc[0]['rep'])}** is {where}."
    beyond = ""
    if outside:
        beyond = f", {outside} {'is' if outside == 1 else 'are'} outside; luck alone would put {style.figure(1)(0.05 * len(known))} there"
    elif _heterogeneity(fair)[0] < ALPHA:
        beyond = ", each by itself; all together they differ by more than luck"
    verb = "is" if inside == 1 else "are"
    return f"**{inside} of {len(known)} reps** {verb} where luck alone keeps 95% of equal ones{beyond}."


def listed(fair: pd.DataFrame) -> pd.DataFrame:
    """The comparison as the page's table has it, without ids and the workings."""
    frame = _order(fair)
    place = [style.between(a, b, style.count) for a, b in zip(frame["place_low"], frame["place_high"], strict=True)]
    frame.insert(frame.columns.get_loc("place_low"), "place", place)
    hidden = ["rep_id", "variance", "effect", "information", "all_reps", "ratio", "place_low", "place_high"]
    return frame.drop(columns=hidden)


def _order(own: pd.DataFrame) -> pd.DataFrame:
    """Two alone are not ranked: by name and without places, for the one below would be last."""
    if len(own) != RANKED - 1:
        return own
    return own.assign(place_low=np.nan, place_high=np.nan).sort_values("rep", ignore_index=True)
