"""How right the forecast was in the past periods: what it said then, what simpler methods said, and whether chances came true."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast import stats
from salesforecast.errors import TooLittleData
from salesforecast.pipeline import simple
from salesforecast.pipeline.backtesting import Backtest

KEYS = ["period", "origin", "weeks_to_go", "actual"]
WEEKS = (12, 8, 4, 1)  # to go, as far as a period is that long
EDGES = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)  # of the classes of chances
ABOUT = {
    **simple.METHODS,
    "pipeline": "every open deal at its chance of being won by the end, and deals to come",
    "floor": "what the luck of single deals leaves on average where all chances are right; past periods may have been luckier",
    "series": "booked so far, and the weeks to come forecast from the weeks before",
    "combination": "the forecast of this page: pipeline, amount share, series, run rate and human commit, weighted by past errors",
}


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
        sum of absolute errors over the sum of actuals (WAPE, fraction). The best at most weeks to go first. Periods that a
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
    out = pd.DataFrame({"method": table.index, "n": wide.index.get_level_values("period").nunique()})
    return out.assign(**{_weeks(w): table[w].to_numpy() for w in table}).assign(about=[ABOUT[m] for m in table.index])


def _weeks(w: int) -> str:
    return f"{w}_week{'s' if w != 1 else ''}_to_go"


def calibration(past: Backtest) -> pd.DataFrame:
    """Whether as many deals were won as the chances said, over all past origins.

    Returns
    -------
    DataFrame
        One row per class of chances: chances (its name), n (deals, each counted once at every origin), deals (different ones),
        said (mean chance), won_share (fraction), lower, upper (95% interval from leaving out one period at a time).
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
        by = ours.groupby("period")["won"].agg(["sum", "size"])
        without = (by["sum"].sum() - by["sum"]) / (by["size"].sum() - by["size"])
        variance = stats.jackknife_variance(without.to_numpy()[:, None]) if len(by) > 1 else np.array([np.nan])
        lower, upper = stats.share_interval(np.array([won]), variance, max(len(by) - 1, 1))
        low, high = EDGES[int(k)], EDGES[int(k) + 1]
        rows.append({
            "chances": f"{low:.0%} to {high:.0%}", "n": len(ours), "deals": ours["opportunity_id"].nunique(),
            "said": said, "won_share": won, "lower": lower[0], "upper": upper[0],
        })  # fmt: skip
    return pd.DataFrame(rows)
