"""One forecast from several, and its range: weights and ranges follow from how each did in earlier periods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from salesforecast.pipeline.backtesting import Backtest

# What the members weigh before anything is known of them. Set on made-up companies: where a history tells the stages the deals
# know most, elsewhere the rate of the past does.
MEMBERS: Mapping[str, float] = {
    "pipeline": 6.0,
    "amount_share": 1.0,
    "series": 0.5,
    "run_rate": 1.0,
    "human_commit": 1.0,
}
UNTOLD: Mapping[str, float] = {
    "pipeline": 2.0,
    "amount_share": 0.5,
    "series": 1.0,
    "run_rate": 2.0,
    "human_commit": 1.0,
}
WHOLE = 26.0  # weeks of closings from which the pipeline model weighs in full
POWER = 2.0  # of the mean squared error, in the weights
NEAR = 4.0  # weeks: how far errors over a longer or shorter time still count
NEAR_SPREAD = 2.0
PRIOR = 1.0  # periods by which the members' errors are drawn to their geometric mean
SHOCK = 0.15  # what all deals of a period share before anything is known: sd of the log of what is still to come
PRIOR_SHOCK = 3.0  # periods that it weighs as much as
LEAST_SHOCK = 0.03
LEVEL = 0.8


def combine(past: Backtest, series: np.ndarray | None = None, *, level: float = LEVEL) -> pd.DataFrame:
    """The forecast of each origin, and the range that is to hold what comes.

    What is still to come is the weighted mean of the members: the pipeline model, the shares of amounts, the series of
    bookings, the run rate and, where people call the period, their commits. A member weighs by its mean squared error over all
    windows of about as many weeks that were over at the origin, wherever in a period they began, drawn to that of all; so
    nothing is judged by weights that it had a part in. The range is
    that of the simulated deals around this mean, times a shock that all deals of a period share, whose spread is what the past
    errors have beyond the luck of single deals.

    Parameters
    ----------
    past : Backtest
    series : ndarray (origins, weeks), optional
        What the series forecast says that the weeks after each of `past.origins` bring together: 1, 2, … (`past.ahead`), money.
    level : float

    Returns
    -------
    DataFrame
        One row per origin: period, origin, weeks_to_go, booked, mean, lower, upper, level (the period's bookings, money),
        actual, held (whether the range held them; missing while nobody knows), shock (the sd of the log that was added),
        scale (still to come over what the simulated deals say).

    Source: Bates & Granger (1969); Claeskens, Magnus, Vasnev & Wang (2016) on why weights are drawn together.
    """
    origins = past.origins
    rest = rest_of(past, series)
    weight = weights(past, rest, series)
    mean = (weight.fillna(0.0).to_numpy() * rest.fillna(0.0).to_numpy()).sum(axis=1)
    drawn = past.draws.mean(axis=1)
    came = (origins["actual"] - origins["booked"]).to_numpy()
    luck = np.where(drawn > 0, past.draws.std(axis=1) / np.maximum(drawn, 1e-9), 0.0)
    mean = np.where(drawn > 0, mean, 0.0)  # nothing that could still be won
    shock = _shock(past, came - mean, mean, luck * mean)
    scale = np.where(drawn > 0, mean / np.maximum(drawn, 1e-9), 1.0)
    out = origins[["period", "origin", "weeks_to_go", "booked"]].assign(
        mean=origins["booked"] + mean, lower=np.nan, upper=np.nan, level=level, actual=origins["actual"], held=np.nan,
        shock=shock, scale=scale,
    )  # fmt: skip
    out["lower"], out["upper"] = np.quantile(paths(past, out), [0.5 - level / 2, 0.5 + level / 2], axis=1)
    held = (out["actual"] >= out["lower"]) & (out["actual"] <= out["upper"])
    return out.assign(held=held.astype("float64").where(out["actual"].notna()))


def paths(past: Backtest, combined: pd.DataFrame) -> np.ndarray:
    """What each origin's period may come to: the simulated deals around the combined mean, with what they share.

    Returns
    -------
    ndarray (origins, draws)
        Bookings of the period, money.
    """
    common = factors(combined["shock"].to_numpy(), past.draws.shape[1], past.seed)
    return combined["booked"].to_numpy()[:, None] + past.draws * combined["scale"].to_numpy()[:, None] * common


def weights(past: Backtest, rest: pd.DataFrame, series: np.ndarray | None = None) -> pd.DataFrame:
    """What each member weighs at each origin; a row sums to 1.

    Parameters
    ----------
    past : Backtest
    rest : DataFrame
        A column per member, a row per origin: what it says is still to come; missing where it says nothing.
    series : ndarray (origins, weeks), optional
        As in `combine`.
    """
    origins, said = past.origins, rest.to_numpy()
    ahead, came, ends = _windows(past, rest, series)
    out = np.zeros_like(said)
    for i, (day, to_go) in enumerate(zip(origins["origin"].to_numpy(), origins["weeks_to_go"], strict=True)):
        prior = np.array([(MEMBERS if origins["told"].iloc[i] else UNTOLD)[m] for m in rest])
        prior[rest.columns.get_loc("pipeline")] *= min(1.0, origins["learnt"].iloc[i] / WHOLE)
        known = (ends <= day) & ~np.isnan(came)
        if known.any():
            size = np.where(known, came, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
            near = known * np.exp(-np.abs(past.ahead - to_go) / NEAR)
            prior = prior * _trust(ahead, came, near, np.maximum(size, 1e-9), origins["origin"].to_numpy(), ends)
        share = np.where(np.isnan(said[i]), 0.0, prior)
        out[i] = share / share.sum() if share.sum() > 0 else np.where(rest.columns == "pipeline", 1.0, 0.0)
    return pd.DataFrame(out, columns=rest.columns, index=rest.index)


def _trust(
    ahead: np.ndarray, came: np.ndarray, near: np.ndarray, size: np.ndarray, days: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """What each member's weight is multiplied by for its errors, each window counting by `near`, its error against `size`."""
    many = ahead.shape[1]
    error = ((ahead - came[:, :, None]) / size[:, None]) ** 2
    counts = near[:, :, None] * ~np.isnan(error)
    error = np.nan_to_num(error)
    trust = np.ones(ahead.shape[2])
    for m in np.flatnonzero(counts.sum(axis=(0, 1)) > 0):
        # only where it said something itself: some windows are harder than others
        ours = counts[:, :, m, None] * (counts > 0)
        total = ours.sum(axis=(0, 1))
        mean = np.maximum((ours * error).sum(axis=(0, 1)) / np.maximum(total, 1e-300), 1e-12)
        worse = mean[m] / np.exp(np.log(mean)[total > 0].mean())
        seen = ours[:, :, m] > 0  # windows overlap: what counts is the time that they cover
        periods = (ends[seen].max() - days[seen.any(axis=1)].min()) / np.timedelta64(7 * many, "D")
        trust[m] = ((periods * worse + PRIOR) / (periods + PRIOR)) ** -POWER
    return trust


def _windows(
    past: Backtest, rest: pd.DataFrame, series: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each member said of the weeks after each origin (origins, weeks, members), what came, and the last days."""
    n, many = past.ahead.shape
    ahead = np.full((n, many, rest.shape[1]), np.nan)
    for m, name in enumerate(rest):
        if name == "series" and series is not None:
            ahead[:, :, m] = np.maximum(series, 0.0)
        elif name in past.windows:
            ahead[:, :, m] = past.windows[name].to_numpy().reshape(n, many)
        else:  # only the period itself is called
            ahead[np.arange(n), past.to_go, m] = rest[name]
    last = past.origins["origin"].to_numpy()[:, None] + past.ahead * np.timedelta64(7, "D")
    return ahead, past.windows["actual"].to_numpy().reshape(n, many), last


def with_twice_the_wins(past: Backtest, combined: pd.DataFrame) -> tuple[float, float]:
    """The range of today's forecast had its models learnt from twice as many wins, all else as it is."""
    row, n = combined.iloc[-1], list(_earlier(past, NEAR_SPREAD))[-1][1]
    gone = past.origins["unsure"].iloc[-1] / 2 * PRIOR_SHOCK / (n + PRIOR_SHOCK)
    shock = np.sqrt(np.log1p(max(np.expm1(row["shock"] ** 2) - gone, LEAST_SHOCK**2)))
    lower, upper = np.quantile(
        paths(past, combined.assign(shock=shock))[-1], [0.5 - row["level"] / 2, 0.5 + row["level"] / 2]
    )
    return float(lower), float(upper)


def factors(shock: np.ndarray, n: int, seed: int) -> np.ndarray:
    """What all deals of a period share in each path: factors with mean 1; shape (len(shock), n)."""
    z = np.random.default_rng([seed, 1]).standard_normal(n)
    return np.exp(np.multiply.outer(shock, z) - (shock**2 / 2)[:, None])


def rest_of(past: Backtest, series: np.ndarray | None) -> pd.DataFrame:
    """What each member says is still to come at each origin."""
    keys = ["period", "origin"]
    wide = past.methods.pivot(index=keys, columns="method", values="mean")
    wide = wide.reindex(pd.MultiIndex.from_frame(past.origins[keys])).reset_index(drop=True)
    rest = wide.sub(past.origins["booked"].reset_index(drop=True), axis=0).clip(lower=0.0)
    if series is not None:
        rest["series"] = np.maximum(past.to_the_end(series), 0.0)
    return rest.reindex(columns=list(MEMBERS)).dropna(axis=1, how="all")


def _shock(past: Backtest, error: np.ndarray, mean: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """The sd of what the deals of a period share, of the log: what past errors have beyond the luck of single deals, over the
    money that was forecast, all three sums, so that no period with next to nothing to come decides.
    """
    beyond = np.nan_to_num(error**2 - luck**2)
    out = np.empty(len(error))
    prior = SHOCK**2 + past.origins["unsure"].to_numpy()
    for i, (near, n) in enumerate(_earlier(past, NEAR_SPREAD)):
        money = (near * mean**2).sum()
        seen = (near * beyond).sum() / money if n and money > 0 else prior[i]
        out[i] = np.sqrt(np.log1p(max((n * seen + PRIOR_SHOCK * prior[i]) / (n + PRIOR_SHOCK), LEAST_SHOCK**2)))
    return out


def _earlier(past: Backtest, reach: float) -> Iterator[tuple[np.ndarray, int]]:
    """For each origin: how much every origin of the periods that were over then tells of it, and how many periods these are.

    The weight falls with the difference in weeks to go, by e every `reach` weeks.
    """
    number = pd.factorize(past.origins["period"])[0]  # in the order of time
    known, to_go = past.origins["actual"].notna().to_numpy(), past.origins["weeks_to_go"].to_numpy()
    for here, weeks in zip(number, to_go, strict=True):
        before = (number < here) & known
        yield np.exp(-np.abs(to_go - weeks) / reach) * before, len(np.unique(number[before]))
