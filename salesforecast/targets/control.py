"""Who is off the path by more than luck, of many looked at at once."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from scipy.stats import gamma

from salesforecast import shrinkage, style
from salesforecast.errors import TooLittleData
from salesforecast.targets.sold import between, deal_size
from salesforecast.text import md

ALARMS = 0.2  # false alarms expected a look, over all nodes together
SHOWN = (("95", 0.95), ("998", 0.998))


def exceptions(
    attainment: pd.DataFrame, sales: pd.DataFrame, since: pd.Timestamp, *, alarms: float = ALARMS
) -> pd.DataFrame:
    """Which nodes booked more or less than was due by more than the luck of single deals.

    Held against what was due times what all nodes booked over what was due of all, so that a bad quarter is no alarm for everybody.
    Booked money of a node on its path has the mean due and the variance due × b, b the mean of squared amounts over the mean amount
    (deals come by chance, each with its size), widened by the overdispersion of all nodes. Nothing comes at all with the chance of no
    deal, exp(-n), n the deals due over that overdispersion; what comes else is taken as gamma. The limits
    are as wide as it takes for `alarms` false alarms to be expected among all the nodes together: with 24 nodes and 0.2 each has one
    in 120.

    Parameters
    ----------
    attainment : DataFrame
        From `attainment`.
    sales : DataFrame
        day, amount: amounts of the year before `since`.
    since : Timestamp
        The period's first day.
    alarms : float
        False alarms expected over all nodes.

    Returns
    -------
    DataFrame
        The name, booked, due, ratio (booked over due and over the ratio of all), n (deals due), lower, upper (limits of the ratio), p,
        verdict (above, below, same), and for the chart alarms, deal (variance over mean), average (deal), wide (overdispersion); lowest
        ratio first.

    Raises
    ------
    TooLittleData
        With fewer than 3 nodes that had something due, or with nothing booked.
    """
    name = attainment.columns[0]
    nodes = attainment.iloc[:-1]
    nodes = nodes[nodes["due"] > 0].reset_index(drop=True)
    if len(nodes) < 3:
        raise TooLittleData(
            f"{style.plural(len(nodes), 'node')} had something due by now; who is off the path is told among 3 or more."
        )
    year = between(sales, since - pd.DateOffset(years=1), since)
    year = year if len(year) else sales
    deal = deal_size(year)
    average, booked = float(year["amount"].mean()), nodes["booked"].to_numpy()
    if not booked.sum() > 0:
        raise TooLittleData("Nothing is booked yet, so nobody can be off the path that all together are on.")
    mean = nodes["due"].to_numpy() * booked.sum() / nodes["due"].sum()
    wide = shrinkage.overdispersion((booked - mean) / np.sqrt(mean * deal))
    none, shape, scale = _luck(mean, deal, average, wide)
    more = np.where(booked > 0, (1 - none) * gamma.sf(booked, shape, scale=scale), 1.0)
    less = none + (1 - none) * gamma.cdf(booked, shape, scale=scale)
    p = np.minimum(2 * np.minimum(less, more), 1)
    alpha = alarms / len(nodes)
    lower, upper = _limits(mean, deal, average, wide, alpha)
    frame = pd.DataFrame({
        name: nodes[name], "booked": nodes["booked"], "due": nodes["due"], "ratio": nodes["booked"] / mean,
        "n": mean / average, "lower": lower, "upper": upper, "p": p,
    })  # fmt: skip
    side = np.where(frame["ratio"] > 1, "above", "below")
    frame["verdict"] = np.where(p < alpha, side, "same")
    frame = frame.assign(alarms=alarms, deal=deal, average=average, wide=wide)
    return frame.sort_values(["ratio", name], ignore_index=True)


def _luck(mean: np.ndarray, deal: float, average: float, wide: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The chance of nothing booked, and shape and scale of the gamma of what is booked else, that have the mean and its variance."""
    none = np.exp(-mean / (average * wide))
    centre = mean / (1 - none)
    spread = (mean * deal * wide + mean**2) / (1 - none) - centre**2
    return none, centre**2 / spread, spread / centre


def _limits(mean: np.ndarray, deal: float, average: float, wide: float, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    none, shape, scale = _luck(mean, deal, average, wide)
    shares = ((q - none) / (1 - none) for q in (alpha / 2, 1 - alpha / 2))
    low, high = (gamma.ppf(np.maximum(share, 0), shape, scale=scale) / mean for share in shares)
    return np.asarray(low), np.asarray(high)


def limits(exceptions: pd.DataFrame) -> pd.DataFrame:
    """The room that luck fills by the number of deals due: n, lower_95, upper_95, lower_998, upper_998 of the ratio."""
    row = exceptions.iloc[0]
    n = np.linspace(max(0.5, exceptions["n"].min() * 0.8), exceptions["n"].max() * 1.1, 60)
    frame = pd.DataFrame({"n": n})
    for words, level in SHOWN:
        frame[f"lower_{words}"], frame[f"upper_{words}"] = _limits(
            n * row["average"], row["deal"], row["average"], row["wide"], 1 - level
        )
    return frame


def finding_exceptions(exceptions: pd.DataFrame) -> str:
    """One sentence: who is off beyond luck, how many false alarms such limits give, or that nobody is."""
    name, alarms = exceptions.columns[0], float(exceptions["alarms"].iloc[0])
    named = exceptions[exceptions["verdict"] != "same"]
    rate = f"limits that give {style.figure(1)(alarms)} false alarms a look over {len(exceptions)} nodes"
    if named.empty:
        return f"**Nobody is off the path by more than luck**, by {rate}."
    said = [f"**{md(r[name])}** {r['verdict']} at {style.times(r['ratio'])}" for r in named.head(3).to_dict("records")]
    more = f" (and {style.plural(len(named) - 3, 'other')})" if len(named) > 3 else ""
    return (
        f"Off the path by more than luck: {', '.join(said)} of what all together have of what was due{more}, by {rate}."
    )


def chart_exceptions(exceptions: pd.DataFrame) -> alt.LayerChart:
    """Booked over due against how many deals were due, with the room that luck fills."""
    name = exceptions.columns[0]
    data = exceptions.assign(n=exceptions["n"].round(1))
    return style.funnel_plot(
        data, limits(exceptions), "ratio", str(name), fmt=style.figure(2), line=1.0, line_label="as all", verdict="verdict",
        x_title="deals due", title="Booked over what was due, all together at 1",
        subtitle="Shaded: where luck keeps a node 95% and 99.8% of the time; named only beyond the limits for all",
    )  # fmt: skip


def table_exceptions(exceptions: pd.DataFrame) -> pd.DataFrame:
    """The comparison as the page's table has it."""
    return exceptions.drop(columns=["alarms", "deal", "average", "wide"]).rename(columns={"n": "deals_due"})
