"""What forecasts were worth: measures as plain functions, scores by any column, and skill.

Every measure reads a frame of forecasts with what came: the columns of forecasts, actual, change (the mean absolute
change from season to season up to the origin) and change_squared (the mean squared one).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from salesforecast.errors import TooLittleData, unknown
from salesforecast.forecasting.panel import Panel
from salesforecast.forecasting.seasonal import mean_change

Measure = Callable[[pd.DataFrame], float]


def bias(e: pd.DataFrame) -> float:
    """The mean of forecast minus actual, in the unit of the series: above 0 the forecasts were too high."""
    return float((e["mean"] - e["actual"]).mean())


def relative_bias(e: pd.DataFrame) -> float:
    """The sum of forecast minus actual over the sum of absolute actuals, a fraction; missing where all actuals are 0."""
    return _ratio((e["mean"] - e["actual"]).sum(), e["actual"].abs().sum())


def mae(e: pd.DataFrame) -> float:
    """The mean absolute error, in the unit of the series."""
    return float((e["mean"] - e["actual"]).abs().mean())


def wape(e: pd.DataFrame) -> float:
    """The sum of absolute errors over the sum of absolute actuals, a fraction; missing where all actuals are 0."""
    return _ratio((e["mean"] - e["actual"]).abs().sum(), e["actual"].abs().sum())


def mase(e: pd.DataFrame) -> float:
    """The mean absolute error over that of the seasonal naive forecast up to the origin; below 1 is better than it was.

    Series that had not changed up to the origin have no such scale and are left out.

    Source: Hyndman & Koehler (2006).
    """
    return _scaled((e["mean"] - e["actual"]).abs(), e["change"])


def rmsse(e: pd.DataFrame) -> float:
    """The root of the mean squared error over that of the seasonal naive forecast up to the origin.

    Source: Makridakis, Spiliotis & Assimakopoulos (2022).
    """
    return float(np.sqrt(_scaled((e["mean"] - e["actual"]) ** 2, e["change_squared"])))


def pinball(e: pd.DataFrame) -> float:
    """The mean quantile loss of the two bounds, in the unit of the series.

    A bound for the quantile q loses q per unit it lies too low and 1 - q per unit it lies too high.

    Source: Koenker & Bassett (1978).
    """
    tail = (1 - e["level"]) / 2
    return float((_quantile_loss(e, "lower", tail) + _quantile_loss(e, "upper", 1 - tail)).mean() / 2)


def crps(e: pd.DataFrame) -> float:
    """The continuous ranked probability score as far as the bounds and the mean tell it: the weighted interval score.

    (|actual - mean| / 2 + (1 - level) / 2 x interval score) / 1.5, in the unit of the series; the more exact one, from
    sample paths, is `crps_of_paths`.

    Source: Bracher, Ray, Gneiting & Reich (2021).
    """
    width = (1 - e["level"]) / 2 * _interval_scores(e)
    return float((((e["actual"] - e["mean"]).abs() / 2 + width) / 1.5).mean())


def coverage(e: pd.DataFrame) -> float:
    """The share of actuals within the bounds, these included; to be compared with the level."""
    return float(e["actual"].between(e["lower"], e["upper"]).mean())


def interval_score(e: pd.DataFrame) -> float:
    """The width of the interval plus 2 / (1 - level) times what an actual lies outside, in the unit of the series.

    Source: Gneiting & Raftery (2007), section 6.2.
    """
    return float(_interval_scores(e).mean())


def msis(e: pd.DataFrame) -> float:
    """The interval score over the mean absolute seasonal change up to the origin, as `mase` is of the error.

    Source: Makridakis, Spiliotis & Assimakopoulos (2020).
    """
    return _scaled(_interval_scores(e), e["change"])


MEASURES: dict[str, Measure] = {
    "bias": bias,
    "relative_bias": relative_bias,
    "mae": mae,
    "wape": wape,
    "mase": mase,
    "rmsse": rmsse,
    "pinball": pinball,
    "crps": crps,
    "coverage": coverage,
    "interval_score": interval_score,
    "msis": msis,
}
ERRORS = (
    "mae",
    "wape",
    "mase",
    "rmsse",
    "pinball",
    "crps",
    "interval_score",
    "msis",
)  # the smaller the better, 0 at best


def scored(forecasts: pd.DataFrame, series: pd.DataFrame | Panel) -> pd.DataFrame:
    """The forecasts whose period has come, with what came and the scales known at their origins: what measures read.

    Parameters
    ----------
    forecasts : DataFrame
        From `forecast` or `backtest`.
    series : DataFrame or Panel
        With the periods forecast.

    Returns
    -------
    DataFrame
        The columns of forecasts, actual, change, change_squared. The scales are those of the changes over a season; of
        one period, where a series had no more than a season; missing, where it had one value or never changed.

    Raises
    ------
    TooLittleData
        None of the periods forecast has come.
    """
    panel = Panel.of(series)
    row = pd.Index(panel.names).get_indexer(forecasts["series"].astype("str"))
    column = panel.periods.get_indexer(pd.DatetimeIndex(forecasts["period"]))
    origin = panel.periods.get_indexer(pd.DatetimeIndex(forecasts["origin"]))
    if (row < 0).any():
        raise unknown("series", forecasts["series"].iloc[int((row < 0).argmax())], panel.names)
    come = (column >= 0) & (origin >= 0)
    actual = np.where(come, panel.values[row, column], np.nan)
    come &= ~np.isnan(actual)
    if not come.any():
        first, last = forecasts["period"].min(), forecasts["period"].max()
        raise TooLittleData(
            f"None of the periods forecast ({first:%Y-%m-%d} to {last:%Y-%m-%d}) has an actual yet. To judge the models now, "
            f"use backtest()."
        )
    absolute, squared = (mean_change(panel.values.T, panel.season, power).T for power in (1, 2))
    frame = forecasts[come].reset_index(drop=True)
    return frame.assign(
        actual=actual[come], change=absolute[row[come], origin[come]], change_squared=squared[row[come], origin[come]]
    )


def accuracy(
    forecasts: pd.DataFrame,
    series: pd.DataFrame | Panel,
    by: Sequence[str] = ("model",),
    measures: Mapping[str, Measure] | Sequence[str] | None = None,
) -> pd.DataFrame:
    """How good forecasts were, for each group of them.

    Parameters
    ----------
    forecasts : DataFrame
        From `forecast` or `backtest`; rows whose period has not come are left out.
    series : DataFrame or Panel
        With the periods forecast.
    by : sequence of str
        Columns of forecasts: ("model",), ("model", "horizon"), ("series", "model"), ...
    measures : mapping or sequence of str, optional
        Functions by name, or names in MEASURES; all of these by default.

    Returns
    -------
    DataFrame
        The columns of `by`, n (forecasts scored), one column per measure; groups in the order in which they come.

    Raises
    ------
    TooLittleData
        None of the periods forecast has come.
    """
    by = [by] if isinstance(by, str) else list(by)
    if measures is None:
        chosen = dict(MEASURES)
    elif isinstance(measures, Mapping):
        chosen = dict(measures)
    else:
        for name in measures:
            if name not in MEASURES:
                raise unknown("measure", name, MEASURES)
        chosen = {name: MEASURES[name] for name in measures}
    for name in by:
        if name not in forecasts:
            raise unknown("column of forecasts", name, forecasts.columns)
    rows = []
    for key, e in scored(forecasts, series).groupby(by, sort=False):
        rows.append([*key, len(e), *(measure(e) for measure in chosen.values())])
    return pd.DataFrame(rows, columns=[*by, "n", *chosen])


def skill(scores: pd.DataFrame, against: str = "seasonal naive") -> pd.DataFrame:
    """By how much each model's errors are smaller than those of another: 1 - score / score of the other.

    Parameters
    ----------
    scores : DataFrame
        From `accuracy`, with model among the columns of `by`.
    against : str
        The model compared with.

    Returns
    -------
    DataFrame
        The columns of `by`, n, and each error measure as a fraction: 0.1 is a tenth less error, below 0 is worse. Missing
        where the other made no error. Bias and coverage are no errors to be small, and are left out.
    """
    if against not in set(scores["model"]):
        raise unknown("model", against, sorted(set(scores["model"])))
    measures = [name for name in scores if name in ERRORS]
    keys = [name for name in scores.columns[: scores.columns.get_loc("n")] if name != "model"]
    base = scores.loc[scores["model"] == against, [*keys, *measures]]
    if keys:
        base = scores[keys].merge(base, on=keys, how="left", validate="many_to_one")
        other = base[measures].to_numpy("float64")
    else:
        other = np.repeat(base[measures].to_numpy("float64"), len(scores), axis=0)
    mine = scores[measures].to_numpy("float64")
    with np.errstate(divide="ignore", invalid="ignore"):
        fraction = np.where(other > 0, 1 - mine / other, np.nan)
    return pd.concat(
        [scores[[*scores.columns[: scores.columns.get_loc("n") + 1]]], pd.DataFrame(fraction, scores.index, measures)],
        axis=1,
    )


def crps_of_paths(paths: pd.DataFrame, series: pd.DataFrame | Panel) -> pd.DataFrame:
    """The continuous ranked probability score of sample paths, exactly: E|X - y| - E|X - X'| / 2 over all pairs of paths.

    Parameters
    ----------
    paths : DataFrame
        From `simulate`, at a past origin.
    series : DataFrame or Panel
        With the periods forecast.

    Returns
    -------
    DataFrame
        series, model, origin, period, horizon, crps (in the unit of the series); only periods that have come.

    Source: Gneiting & Raftery (2007), equation 21.
    """
    panel = Panel.of(series)
    keys = ["series", "model", "origin", "period", "horizon"]
    ordered = paths.sort_values([*keys, "path"], kind="stable")
    n = ordered["path"].nunique()
    cells = ordered.iloc[::n][keys].reset_index(drop=True)
    x = np.sort(ordered["value"].to_numpy().reshape(len(cells), n), axis=1)
    row = pd.Index(panel.names).get_indexer(cells["series"])
    column = panel.periods.get_indexer(pd.DatetimeIndex(cells["period"]))
    y = np.where((row >= 0) & (column >= 0), panel.values[row, column], np.nan)
    spread = (x * (2 * np.arange(1, n + 1) - n - 1)).sum(axis=1) / n**2  # half the mean of |X - X'|
    return cells.assign(crps=np.abs(x - y[:, None]).mean(axis=1) - spread)[~np.isnan(y)].reset_index(drop=True)


def _quantile_loss(e: pd.DataFrame, bound: str, q: pd.Series) -> pd.Series:
    under = e["actual"] - e[bound]
    return np.maximum(q * under, (q - 1) * under)


def _interval_scores(e: pd.DataFrame) -> pd.Series:
    outside = (e["lower"] - e["actual"]).clip(lower=0) + (e["actual"] - e["upper"]).clip(lower=0)
    return e["upper"] - e["lower"] + 2 / (1 - e["level"]) * outside


def _scaled(error: pd.Series, scale: pd.Series) -> float:
    return float((error / scale.where(scale > 0)).mean())


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0 else float("nan")
