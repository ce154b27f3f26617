"""How right the forecast was in the past periods: what it said then, what simpler methods said, and whether chances came true."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import shrinkage, stats, style
from salesforecast.errors import TooLittleData
from salesforecast.formats import Format, count, missing, money, percent, plural, points, points_off
from salesforecast.pipeline import combination, simple
from salesforecast.pipeline.backtesting import Backtest
from salesforecast.text import enumerated, opening

KEYS = ["period", "origin", "weeks_to_go", "actual"]
WEEKS = (12, 8, 4, 1)  # to go, as far as a period is that long
EDGES = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)  # of the classes of chances
ABOUT = {
    **simple.METHODS,
    "pipeline": "every open deal at its chance of being won by the end, and deals to come",
    "floor": "what the luck of single deals leaves on average where all chances are right; past periods may have been luckier",
    "series": "booked so far, and the weeks to come forecast from the weeks before",
}
ALARM = 0.05  # of a difference by luck in any class: a rarer one is said to be none
WIDE = 0.3  # an interval of a share that is wider says little
DRAWN = 3  # methods beside ours in the chart of the errors: more lines cannot be told apart
METHOD = {
    "combination": "this forecast", "pipeline": "pipeline model", "amount_share": "share of amounts",
    "stage_share": "share of deals", "series": "series of bookings", "run_rate": "run rate", "pick_up": "pick-up",
    "floor": "luck alone", "last_year": "last year", "stage_rate": "weighted by stage rate", "crm_probability": "weighted by the CRM",
    "human_commit": "human commit",
}  # fmt: skip


def judged(past: Backtest, combined: pd.DataFrame) -> pd.DataFrame:
    """Every past period as it was forecast at about as many weeks before its end as today.

    Returns
    -------
    DataFrame
        period, origin, mean, lower, upper, level, actual (money), held (flag), off (actual over mean, fraction);
        the earliest first. The range was made with what earlier periods had shown.
    """
    here = combined.iloc[-1]["weeks_to_go"] if past.now is not None else combined["weeks_to_go"].max()
    over = combined[combined["actual"].notna()]
    gap = (over["weeks_to_go"] - here).abs()
    nearest = over[gap == gap.groupby(over["period"]).transform("min")].drop_duplicates("period")
    if nearest.empty:
        raise TooLittleData("No period is over that could have been forecast from the data before it.")
    out = nearest[["period", "origin", "weeks_to_go", "mean", "lower", "upper", "level", "actual"]]
    return out.assign(held=nearest["held"] == 1, off=out["actual"] / out["mean"]).reset_index(drop=True)


def every_method(past: Backtest, combined: pd.DataFrame, series: np.ndarray | None = None) -> pd.DataFrame:
    """What every method said of each origin's period: period, origin, weeks_to_go, actual, method, mean."""
    frames = [past.methods, combined[[*KEYS, "mean"]].assign(method="combination")]
    if series is not None:
        frames.append(past.origins[KEYS].assign(method="series", mean=past.origins["booked"] + past.to_the_end(series)))
    return pd.concat(frames, ignore_index=True)[[*KEYS, "method", "mean"]]


def accuracy(past: Backtest, combined: pd.DataFrame, series: np.ndarray | None = None) -> pd.DataFrame:
    """The error of every method by weeks to go, over the same past periods.

    Returns
    -------
    DataFrame
        method, about (what it does), n (periods), then a column per weeks to go (12, 8, 4, 1, as far as there are any): the
        sum of absolute errors over the sum of actuals (WAPE, fraction); taken_off (what the combination takes off it, over
        all these weeks together, fraction: below 0 the combination is worse) with taken_off_lower, taken_off_upper (95%, from
        leaving out one period at a time; missing with fewer than three). The best at most weeks to go first. Periods that a
        method says nothing of are left out of all, and methods that say nothing of more than a quarter of them. The row
        "floor" is no method: the mean absolute error that is left when all chances are right, by the simulated deals.
    """
    every = every_method(past, combined, series).dropna(subset=["actual"])
    there = set(every["weeks_to_go"])
    shown = [w for w in (WEEKS if 8 in there else (4, 3, 2, 1)) if w in there]
    wide = every[every["weeks_to_go"].isin(shown)].pivot_table(index=KEYS, columns="method", values="mean")
    wide = wide.dropna(axis=1, thresh=max(1, int(0.75 * len(wide)))).dropna()
    if wide.empty:
        raise TooLittleData("No period is over that all methods could forecast, so they cannot be compared.")
    actual = wide.index.get_level_values("actual").to_numpy()
    luck = past.origins.set_index(["period", "origin"])["floor"].reindex(
        wide.index.droplevel(["weeks_to_go", "actual"])
    )
    error = wide.sub(actual, axis=0).abs().assign(floor=luck.to_numpy() * np.sqrt(2 / np.pi))
    weeks = wide.index.get_level_values("weeks_to_go")
    table = (error.groupby(weeks).sum().div(pd.Series(actual).groupby(np.asarray(weeks)).sum(), axis=0)).T
    table = table[[w for w in shown if w in table]]
    order = (table.rank()).mean(axis=1).sort_values(kind="stable").index
    table = table.loc[order]
    period = wide.index.get_level_values("period")
    lost = error[order].groupby(period, sort=False).sum()
    lost = lost.sub(lost["combination"], axis=0)
    size = pd.Series(actual).groupby(np.asarray(period), sort=False).sum().to_numpy()[:, None]
    taken = (lost.sum() / size.sum()).to_numpy()
    half = half_width((lost.sum() - lost).to_numpy() / (size.sum() - size)) if len(lost) > 1 else np.nan
    used = enumerated([METHOD[m] for m in members(past, series)], most=len(METHOD))
    about = ABOUT | {"combination": f"the forecast of this page: {used}, weighted by past errors"}
    out = pd.DataFrame({"method": table.index, "n": len(lost)})
    out = out.assign(**{_weeks(w): table[w].to_numpy() for w in table})
    out = out.assign(taken_off=taken, taken_off_lower=taken - half, taken_off_upper=taken + half)
    ours = out["method"].isin(["combination", "floor"])
    out.loc[ours, [c for c in out if c.startswith("taken_off")]] = np.nan
    return out.assign(about=[about[m] for m in table.index])


def members(past: Backtest, series: np.ndarray | None = None) -> pd.DataFrame:
    """What each method that the forecast is made of says is still to come at each origin: a column per method."""
    return combination.rest_of(past, series)


def half_width(without: np.ndarray) -> np.ndarray:
    """Half the width of the 95% interval of each column, from what it is without each period; missing with fewer than three."""
    n = len(without)
    if n < 3:
        return np.full(without.shape[1], np.nan)
    return np.asarray(stats.t_quantile(n - 1) * np.sqrt(stats.jackknife_variance(without)))


def _weeks(w: int) -> str:
    return f"{w}_week{'s' if w != 1 else ''}_to_go"


def calibration(past: Backtest) -> pd.DataFrame:
    """Whether as many deals were won as the chances said, over all past origins.

    A deal is counted at every origin, and its chances there are steps to one outcome. Were they right, (won - chance) of two
    origins would go together by p(1 - p) of the later one, so the variance of all wins of a class follows from the chances alone.
    It is that or, where larger, what the periods differ by. The interval is that of as many independent deals as have this variance,
    fewer where few periods tell it: so it exists also where all were won or none.

    Returns
    -------
    DataFrame
        One row per class of chances: chances (its name), n (deals, each counted once at every origin), deals (different ones),
        said (mean chance), won_share (fraction), lower, upper (95% interval; missing with deals of one period only), p (how
        often luck alone gives a difference as large, by Holm over the classes), periods.

    Source: Korn & Graubard (1998) for the interval; Holm (1979).
    """
    known = past.deals[past.deals["period"].isin(past.origins.loc[past.origins["actual"].notna(), "period"])]
    if known["period"].nunique() < 2:
        raise TooLittleData(
            "Fewer than two periods are over that could have been forecast, so chances cannot be checked."
        )
    kind = pd.cut(known["chance"], EDGES, include_lowest=True, labels=False)
    rows = []
    for k, ours in known.groupby(kind):
        said, won = ours["chance"].mean(), ours["won"].mean()
        lower, upper, p = _held(ours)
        low, high = EDGES[int(k)], EDGES[int(k) + 1]
        rows.append({
            "chances": f"{low:.0%} to {high:.0%}", "n": len(ours), "deals": ours["opportunity_id"].nunique(),
            "said": said, "won_share": won, "lower": lower, "upper": upper, "p": p, "periods": ours["period"].nunique(),
        })  # fmt: skip
    out = pd.DataFrame(rows)
    judged = out["p"].notna()
    out.loc[judged, "p"] = shrinkage.holm(out.loc[judged, "p"].to_numpy())
    return out


def _held(ours: pd.DataFrame) -> tuple[float, float, float]:
    """The 95% interval of the share won in a class, and how often luck alone is as far from what was said."""
    from scipy.stats import beta, norm

    ours = ours.sort_values("origin", kind="stable")
    n, said, chance = len(ours), float(ours["chance"].mean()), ours["chance"]
    before = ours.groupby("opportunity_id").cumcount()
    off = (ours["won"] - chance).groupby(ours["period"]).agg(["sum", "size"])
    many = len(off)
    if many < 2:
        return np.nan, np.nan, np.nan
    luck = float((chance * (1 - chance) * (1 + 2 * before)).sum())
    between = float(((off["sum"] - off["size"] * off["sum"].sum() / n) ** 2).sum() * many / (many - 1))
    variance = max(luck, between)
    alike = said * (1 - said) * n**2 / variance if variance > 0 else float(ours["opportunity_id"].nunique())
    alike *= (norm.ppf(0.975) / stats.t_quantile(many - 1)) ** 2
    won = float(ours["won"].mean()) * alike
    lost = alike - won
    lower, upper = (beta.ppf(0.025, won, lost + 1) if won else 0.0), (beta.ppf(0.975, won + 1, lost) if lost else 1.0)
    as_many, as_few = (beta.cdf(said, won, lost + 1) if won else 1.0), (beta.sf(said, won + 1, lost) if lost else 1.0)
    return float(lower), float(upper), float(min(1.0, 2 * min(as_many, as_few)))


def finding_judged(judged: pd.DataFrame) -> str:
    """One sentence: in how many past periods the range held, and how far off the forecasts were."""
    n, held, level = len(judged), int(judged["held"].sum()), judged["level"].iloc[0]
    off = (judged["actual"] - judged["mean"]).abs().sum() / judged["actual"].abs().sum()
    weeks = plural(judged["weeks_to_go"].iloc[-1], "week")
    few = "" if n >= 10 else f" {opening(plural(n, 'period'))} can say little about a range: more will."
    return (
        f"The {percent(level)} ranges held in **{held} of {n}** past periods, seen {weeks} before their end with what was known "
        f"then; {percent(level)} of {n} would be {level * n:.0f}. The forecasts were off by {percent(off)} of the bookings.{few}"
    )


def chart_judged(judged: pd.DataFrame) -> alt.LayerChart:
    """The range that was given for each past period, and what came."""
    frame = judged[["period", "lower", "upper", "actual"]]
    return style.ledger(
        style.rounded(frame, "lower", "upper", "actual"), fmt=money, title="Past forecasts and what came",
        subtitle="Grey: the range given then, with as many weeks to go as now; orange: bookings outside it",
    )  # fmt: skip


def finding_accuracy(accuracy: pd.DataFrame) -> str:
    """Up to three sentences: how far off the forecast was, whether that is less than the best simple method, and what luck leaves."""
    weeks = [c for c in accuracy if c.endswith("to_go")]
    rows = accuracy.set_index("method")
    ours = rows.loc["combination"]
    simple = rows.drop(index=["combination", "pipeline", "series", "human_commit", "floor"], errors="ignore")
    first, last = (int(weeks[k].split("_")[0]) for k in (0, -1))
    said = (
        f"Over {plural(accuracy['n'].iloc[0], 'past period')} this forecast was off by **{percent(ours[weeks[0]])}** of the bookings "
        f"with {plural(first, 'week')} to go and {percent(ours[weeks[-1]])} with {plural(last, 'week')}"
    )
    if len(simple):
        best = simple.loc[simple["taken_off"].idxmin()]
        name, by = METHOD[str(best.name)], best["taken_off"]
        range_ = "" if missing(best["taken_off_lower"]) else (
            f" (95% interval of the gain {points(best['taken_off_lower'])} to {points(best['taken_off_upper'])})"
        )  # fmt: skip
        said += ". Over all weeks of the table together it "
        if best["taken_off_lower"] > 0 or best["taken_off_upper"] < 0:
            said += "was nearer than" if by > 0 else "was **worse** than"
            said += f" the best simple method, {name}, by {points_off(by)}{range_}"
        else:
            said += f"cannot be told apart from the best simple method, {name}: {points_off(by)} {'nearer' if by > 0 else 'worse'}"
            said += range_ or "; fewer than three periods tell no more"
    if "floor" in rows.index:
        luck = rows.at["floor", weeks[0]]
        said += (
            f". Luck alone leaves {percent(luck)} on average with {plural(first, 'week')} to go, were all chances right"
        )
    return f"{said}."


def table_accuracy(accuracy: pd.DataFrame) -> pd.DataFrame:
    """The same with the methods' names in words."""
    return accuracy.assign(method=accuracy["method"].map(METHOD))


def chart_accuracy(accuracy: pd.DataFrame) -> alt.LayerChart:
    """The error of this forecast by weeks to go, in colour, of luck, and of the methods nearest to it; the others are in the table."""
    weeks = [c for c in accuracy if c.endswith("to_go")]
    fixed = accuracy["method"].isin(["combination", "floor"])
    kept = accuracy[fixed | accuracy.index.isin(accuracy.index[~fixed][:DRAWN])]
    left = len(accuracy) - len(kept)
    long = kept.melt(id_vars="method", value_vars=weeks, var_name="to_go", value_name="off")
    long = long.assign(weeks=[-float(w.split("_")[0]) for w in long["to_go"]], method=long["method"].map(METHOD))
    return style.lines(
        style.rounded(long, "off"), "weeks", "off", "method", fmt=percent, main=METHOD["combination"], x_title="weeks to the end",
        title="Off by, of the bookings",
        subtitle="Sum of absolute errors over the sum of bookings, past periods, as known then"
        + (f"; {plural(left, 'more method')} in the table only" if left else ""),
    )  # fmt: skip


def finding_calibration(calibration: pd.DataFrame) -> str:
    """Up to three sentences: whether something speaks against the chances, how much the periods can say, and what cannot be judged."""
    known = calibration[calibration["p"].notna()]
    if known.empty:
        raise TooLittleData("No class of chances has deals of two periods, so chances cannot be checked.")
    off, few = known[known["p"] < ALARM], known[known["upper"] - known["lower"] > WIDE]
    if off.empty:
        said = (
            f"**Nothing speaks against the chances**: in {plural(len(known), 'class', 'classes')} luck explains what was won beside what "
            f"was said."
        )
    else:
        worst, rest = off.loc[(off["said"] - off["won_share"]).abs().idxmax()], len(known) - len(off)
        said = (
            f"Of the deals given a chance of {worst['chances']}, **{percent(worst['won_share'])}** were won where "
            f"{percent(worst['said'])} were expected, more than luck explains"
        )
        if len(off) > 1:
            said += (
                f"; so {'is' if len(off) == 2 else 'are'} {plural(len(off) - 1, 'other class', 'other classes')} off"
            )
        said += f"; nothing speaks against the other {f'{rest} classes' if rest > 1 else 'class'}." if rest else "."
    if len(few):
        said += (
            f" {opening(plural(few['periods'].max(), 'period'))} are too few to say much of {plural(len(few), 'class', 'classes')}: the "
            f"intervals there are wider than {count(100 * WIDE)} points."
        )
    if left := len(calibration) - len(known):
        said += f" {opening(plural(left, 'class', 'classes'))} with deals of one period only cannot be judged."
    return said


def chart_calibration(calibration: pd.DataFrame) -> alt.LayerChart:
    """The share won of each class of chances, beside the chance it was given."""
    columns: list[tuple[str, str, Format | None]] = [("said", "Said", percent), ("deals", "Deals", count)]
    return style.dots(
        style.rounded(calibration, "won_share", "lower", "upper"), "won_share", "chances", fmt=percent,
        columns=columns, domain=(0, 1),
        title="Won by the end of the period, by the chance given", subtitle="95% interval; all past weeks, as known then",
    )  # fmt: skip
