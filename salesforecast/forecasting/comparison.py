"""Whether two models' forecasts differ by more than chance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast.errors import TooLittleData, unknown
from salesforecast.forecasting.accuracy import scored
from salesforecast.forecasting.panel import Panel
from salesforecast.formats import percent, plural
from salesforecast.text import md, opening


def compare(forecasts: pd.DataFrame, series: pd.DataFrame | Panel, a: str, b: str, level: float = 0.95) -> pd.DataFrame:
    """Whether the errors of two models differ by more than chance: the Diebold-Mariano test, corrected for few origins.

    The difference at an origin is the mean, over series and horizons, of a's absolute error minus b's, each over the mean
    absolute seasonal change of its series. Differences at neighbouring origins share periods and are correlated, over as
    many origins as forecasts overlap; where their variance comes out negative, Bartlett weights are used.

    Source: Diebold & Mariano (1995); Harvey, Leybourne & Newbold (1997): their factor, and Student's t.

    Parameters
    ----------
    forecasts : DataFrame
        From `backtest`.
    series : DataFrame or Panel
    a, b : str
        Names of models.
    level : float
        Of the interval.

    Returns
    -------
    DataFrame
        One row: a, b, n (origins), difference (in units of the seasonal change; below 0 where a is better), lower, upper, statistic,
        p_value. The last four are missing with fewer origins than the test needs (more than the forecasts overlap).
    """
    from scipy.stats import t

    for name in (a, b):
        if name not in set(forecasts["model"]):
            raise unknown("model", name, sorted(set(forecasts["model"])))
    e = scored(forecasts[forecasts["model"].isin([a, b])], series)
    e = e.assign(loss=(e["mean"] - e["actual"]).abs() / e["change"].where(e["change"] > 0))
    wide = e.pivot_table(index=["origin", "series", "period"], columns="model", values="loss").dropna()
    if wide.empty:
        raise TooLittleData(f"{a} and {b} have no forecast of the same period in common.")
    d = (wide[a] - wide[b]).groupby(level="origin").mean()
    n, h = len(d), int(e["horizon"].max())
    places = Panel.of(series).periods.get_indexer(pd.DatetimeIndex(d.index))
    step = int(np.diff(places).min()) if n > 1 else 1
    overlap = -(-h // step)  # origins whose forecasts share a period, itself included
    x = d.to_numpy() - d.mean()
    difference = float(d.mean())
    row = {"a": a, "b": b, "n": n, "difference": difference}
    factor = (n + 1 - 2 * overlap + overlap * (overlap - 1) / n) / n
    if n <= overlap or factor <= 0:
        return pd.DataFrame([{**row, "lower": np.nan, "upper": np.nan, "statistic": np.nan, "p_value": np.nan}])
    gamma = np.array([(x[k:] * x[: n - k]).sum() / n for k in range(overlap)])
    variance = gamma[0] + 2 * gamma[1:].sum()
    if variance <= 0:
        variance = gamma[0] + 2 * ((1 - np.arange(1, overlap) / overlap) * gamma[1:]).sum()
    error = float(np.sqrt(variance / n / factor))
    reach = t.ppf(0.5 + level / 2, n - 1) * error
    statistic = difference / error if error > 0 else np.copysign(np.inf, difference) if difference else 0.0
    p = 2 * t.sf(abs(statistic), n - 1)
    return pd.DataFrame(
        [
            {
                **row,
                "lower": difference - reach,
                "upper": difference + reach,
                "statistic": statistic,
                "p_value": p,
            }
        ]
    )


def finding_compare(comparison: pd.DataFrame, level: float = 0.95) -> str:
    """One sentence: which of two models errs less, or that there is no evidence of a difference.

    Parameters
    ----------
    comparison : DataFrame
        From `compare`.
    level : float
        One minus the largest p-value that counts as evidence.
    """
    c = comparison.iloc[0]
    origins = plural(c["n"], "origin")
    nothing = f"There is **no evidence of a difference** between {md(c['a'])} and {md(c['b'])}"
    if np.isnan(c["p_value"]):
        return f"{nothing}: {origins} are too few to test forecasts that overlap so far."
    if c["p_value"] >= 1 - level:
        return f"{nothing} at {origins} (p = {c['p_value']:.2f})."
    better, worse = (c["a"], c["b"]) if c["difference"] < 0 else (c["b"], c["a"])
    p = "p < 0.01" if c["p_value"] < 0.01 else f"p = {c['p_value']:.2f}"
    size = percent(abs(c["difference"]))
    return f"**{opening(better)}** errs less than {md(worse)}, by {size} of the usual change from season to season, at {origins} ({p})."
