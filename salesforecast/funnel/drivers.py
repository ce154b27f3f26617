"""What moved sales velocity since another period, factor by factor."""

from __future__ import annotations

from functools import partial

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import stats, style
from salesforecast.errors import TooLittleData
from salesforecast.funnel.velocity import COUNTED, FACTORS, METRICS, draws_of
from salesforecast.observed import ENOUGH, ENOUGH_NOW, horizon, observed
from salesforecast.periods import Period


def velocity_drivers(deals: pd.DataFrame, *, period: Period, as_of: pd.Timestamp) -> pd.DataFrame:
    """What moved sales velocity since another period, split exactly into its five factors.

    The part of a factor x is L(V1, V0) ln(x1 / x0) with L(a, b) = (a - b) / ln(a / b), time to close with a minus; the
    parts add up to V1 - V0 (logarithmic mean Divisia index, LMDI-I).

    Parameters
    ----------
    deals, period, as_of
        As for `metrics`.

    Returns
    -------
    DataFrame
        For each period compared with: against, driver, part (money a day), lower, upper (95%), from, to (the factor
        then and now). The first row is the velocity then, the last the velocity now, those between add up to the change.

    Raises
    ------
    TooLittleData
        When no earlier period has a velocity.

    Source
    ------
    Ang (2005), Energy Policy 33, 867-871.
    """
    spans = period.compared(as_of)
    draws, counts = draws_of(deals, spans, as_of)
    frames = []
    for i, span in enumerate(spans[1:], start=1):
        now, then = draws["velocity"][0], draws["velocity"][i]
        if not (now[0] > 0 and then[0] > 0):
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.log(now / then)
            mean = np.where(np.abs(ratio) < 1e-12, now, (now - then) / ratio)
            parts = {m: (-1 if m == "time_to_close" else 1) * mean * np.log(draws[m][0] / draws[m][i]) for m in FACTORS}
        rows = [{"driver": span.label, "part": then[0], "from": np.nan, "to": np.nan, "draws": then}]
        rows += [
            {"driver": METRICS[m], "part": p[0], "from": draws[m][i, 0], "to": draws[m][0, 0], "draws": p}
            for m, p in parts.items()
        ]
        rows += [{"driver": spans[0].label, "part": now[0], "from": np.nan, "to": np.nan, "draws": now}]
        for row in rows:
            lower, upper = stats.quantile_interval(row.pop("draws")[1:])
            row.update(against=span.label, lower=lower, upper=upper)
        frames.append(pd.DataFrame(rows))
    if not frames:
        horizon(observed(deals), as_of)  # where that cannot be said, it says why
        lacks = [_lacks(row, alive) for (_, row), alive in zip(counts.iterrows(), draws["alive"][:, 0], strict=True)]
        if not draws["velocity"][0, 0] > 0:
            raise TooLittleData(f"There is no velocity to compare: {lacks[0]}.")
        raise TooLittleData(f"There is no earlier velocity to compare {spans[0].label} with: {'; '.join(lacks[1:])}.")
    return pd.concat(frames, ignore_index=True)[["against", "driver", "part", "lower", "upper", "from", "to"]]


def _lacks(row: pd.Series, alive: float) -> str:
    """What a period without a velocity lacks."""
    if row["won"] < ENOUGH:
        return f"{row['period']} has {style.plural(row['won'], 'win')} with dates, and {ENOUGH} are needed"
    if not row["valued"]:
        return f"no win of {row['period']} has an amount"
    if not alive > 0:
        return f"no deal that may still be won was open at the end of {row['period']}"
    return (
        f"{row['period']} has {style.plural(row['won'], 'win')}, but at some age up to {style.days(row['horizon'])} fewer than "
        f"{ENOUGH_NOW} deals, too few to follow"
    )


def finding_velocity_drivers(drivers: pd.DataFrame, changes: pd.DataFrame) -> str:
    """One sentence: what moved velocity most since the first period compared with, and what pulled the other way.

    Parameters
    ----------
    drivers : DataFrame
        From `velocity_drivers`.
    changes : DataFrame
        From `changes`.
    """
    first = drivers[drivers["against"] == drivers["against"].iloc[0]]
    then, now, parts = first.iloc[0], first.iloc[-1], first.iloc[1:-1]
    change = now["part"] - then["part"]
    total = changes[(changes["metric"] == "velocity") & (changes["against"] == then["driver"])]
    verb = (
        f"{'rose' if change > 0 else 'fell'} by {style.money(abs(change))} a day"
        if total["sure"].all()
        else "did not clearly change"
    )
    # What is counted is as it is; what is estimated is named only where its interval leaves out nothing at all.
    counted = parts["driver"].isin([METRICS[m] for m in COUNTED]) & (parts["part"].abs() > 0.02 * now["part"])
    estimated = ~parts["driver"].isin([METRICS[m] for m in COUNTED]) & ((parts["lower"] > 0) | (parts["upper"] < 0))
    clear = parts[counted | estimated].sort_values("part", key=abs, ascending=False)
    if clear.empty:
        return f"Velocity {verb} since {then['driver']}; what its factors did may be chance."
    words = [f"{_moved(part)} {_signed(part['part'])}" for _, part in clear.iterrows()]
    rest = "" if len(clear) == len(parts) else "; the rest may be chance"
    return f"Velocity {verb} since {then['driver']}: **{words[0]}**{''.join('; ' + w for w in words[1:])}{rest}."


def _moved(part: pd.Series) -> str:
    """A factor and the way it went: "shorter time to close"."""
    up = part["to"] > part["from"]
    words = {
        METRICS["open_deals"]: ("more open deals", "fewer open deals"),
        METRICS["alive"]: ("more of them alive", "fewer of them alive"),
        METRICS["average_size"]: ("larger deals", "smaller deals"),
        METRICS["win_rate"]: ("a higher win rate", "a lower win rate"),
        METRICS["time_to_close"]: ("a longer time to close", "a shorter time to close"),
    }[part["driver"]]
    return words[0] if up else words[1]


def _signed(amount: float) -> str:
    return ("added " if amount > 0 else "took ") + style.money(abs(amount))


def chart_velocity_drivers(drivers: pd.DataFrame) -> alt.LayerChart:
    """From the velocity then to the velocity now, one step a factor."""
    first = drivers[drivers["against"] == drivers["against"].iloc[0]]
    return style.steps(
        first, "driver", "part", fmt=partial(style.money, short=True), total=[first["driver"].iloc[0], first["driver"].iloc[-1]],
        title="What moved sales velocity", subtitle="Money a day; the five parts add up exactly to the change; 95% intervals",
    )  # fmt: skip
