"""What each method says of the period now, what it weighs, and where it pulls the forecast."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast.formats import money, percent, plural
from salesforecast.pipeline import combination
from salesforecast.pipeline.backtesting import Backtest
from salesforecast.pipeline.judging import METHOD, members
from salesforecast.pipeline.outlook import current
from salesforecast.text import opening


def methods(past: Backtest, combined: pd.DataFrame, series: np.ndarray | None = None) -> pd.DataFrame:
    """The methods that today's forecast is made of.

    Parameters
    ----------
    past : Backtest
        With a period to come.
    combined : DataFrame
        From `combination.combine`; its last row is today's forecast.
    series : ndarray, optional
        The same as given to `combine`.

    Returns
    -------
    DataFrame
        method (in words), forecast (of the period, money), weight (fraction), pull (weight x what it says beyond the heaviest
        method, money: from what that one says they lead to the forecast), off_by (sum of absolute errors over the sum of
        bookings with about as many weeks to go as now, over the past periods of which all methods said something; missing
        without any); the heaviest first, and last this forecast.
    """
    current(past)
    rest, row = members(past, series), combined.iloc[-1]
    said, weight = rest.iloc[-1].rename_axis(None), combination.weights(past, rest, series).iloc[-1].rename_axis(None)
    said, weight = said[said.notna()], weight[said.notna()]
    off = _off(past, rest[said.index].assign(combination=(combined["mean"] - combined["booked"]).to_numpy()))
    out = pd.DataFrame({
        "method": [METHOD[m] for m in said.index], "forecast": row["booked"] + said, "weight": weight,
        "pull": weight * (said - said[weight.idxmax()]), "off_by": off[said.index],
    }).sort_values(["weight", "method"], ascending=[False, True])  # fmt: skip
    ours = {
        "method": METHOD["combination"],
        "forecast": row["mean"],
        "weight": weight.sum(),
        "off_by": off["combination"],
    }
    return pd.concat([out, pd.DataFrame([ours])], ignore_index=True)


def _off(past: Backtest, rest: pd.DataFrame) -> pd.Series:
    """The error of each column over the past periods, each at the origin with about as many weeks to go as today's."""
    origins = past.origins
    gap = (origins["weeks_to_go"] - origins["weeks_to_go"].iloc[-1]).abs()
    known = origins["actual"].notna() & rest.notna().all(axis=1)
    near = origins[known].assign(gap=gap).sort_values("gap", kind="stable").drop_duplicates("period")
    error = rest.loc[near.index].sub(near["actual"] - near["booked"], axis=0).abs().sum()
    return error / near["actual"].sum() if near["actual"].sum() > 0 else error * np.nan


def finding_methods(methods: pd.DataFrame) -> str:
    """One sentence: how far the methods are apart, which weighs most, and which pulls the forecast where."""
    each, ours = methods.iloc[:-1], methods["forecast"].iloc[-1]
    first = each.iloc[0]
    if len(each) < 2:
        return f"Only one method says something of the period, the {first['method']}: the forecast is what it says."
    low, high = each.loc[each["forecast"].idxmin()], each.loc[each["forecast"].idxmax()]
    apart = money(high["forecast"] - low["forecast"]) + " apart"
    if ours > 0:
        apart = f"**{percent((high['forecast'] - low['forecast']) / ours)}** of the forecast apart"
    said = (
        f"The {plural(len(each), 'method')} say {money(low['forecast'])} ({low['method']}) to {money(high['forecast'])} "
        f"({high['method']}), {apart}. "
        f"{opening(first['method'])} weighs most, {percent(first['weight'])}, and says {money(first['forecast'])}"
    )
    most = each.loc[each["pull"].abs().idxmax()]
    if money(most["pull"]) == money(0):
        return f"{said}; none of the others moves the forecast away from it."
    return f"{said}; {most['method']} pulls the forecast {'up' if most['pull'] > 0 else 'down'} most, by {money(abs(most['pull']))}."
