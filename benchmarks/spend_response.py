"""Do the intervals of what one more unit of spend brings hold the truth?

    python benchmarks/spend_response.py [--sets 200]

Made-up histories with known truth: trend, season, a base, channels whose spend saturates and carries over, and errors that carry over.
*Weekly*: three years, three channels answering for the total. *Monthly*: four years, four channels, each answering for its own sales.
*Nothing*: as weekly, and one of the channels brings nothing; how often is it said to bring something? *Chased*: as weekly, and the
budget of one follows the sales of the week before; how often is that seen, and how often claimed of the others? *Company*: whole
made-up companies, where spend brings nothing at all.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from salesforecast import channels, synthetic
from salesforecast.tables import Crm

LEVELS = (0.80, 0.90, 0.95)
BOUNDS = {"average_return": ("average_return_lower", "average_return_upper"), "marginal_return": ("lower", "upper")}


def history(
    seed: int,
    *,
    every: str = "W",
    periods: int = 156,
    n: int = 3,
    own: bool = False,
    nothing: bool = False,
    chased: bool = False,
    noise: float = 0.06,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Spend, sales, and the truth by channel: average_return and marginal_return at today's spend.

    Parameters
    ----------
    seed : int
    every : str
        "W" or "M".
    periods, n : int
        How many periods and channels.
    own : bool
        The sales of each channel are known.
    nothing, chased : bool
        The first channel brings nothing; the budget of the first channel follows the sales of the period before.
    noise : float
        Standard deviation of the errors over the mean of the sales; they carry over by 0.3.
    """
    rng = np.random.default_rng(seed)
    start, step = ("2021-01-04", "7D") if every == "W" else ("2021-01-01", "MS")
    when = pd.date_range(start, periods=periods, freq=step)
    last = 13 if every == "W" else 3
    level = np.exp(rng.normal(0, 0.5, n))
    pace = rng.standard_normal((n, periods))
    for t in range(1, periods):
        pace[:, t] = 0.5 * pace[:, t - 1] + np.sqrt(0.75) * pace[:, t]
    spend = level[:, None] * np.exp(0.5 * pace)
    flights = rng.random(n) < 0.3
    spend[flights] *= np.repeat(rng.random((n, periods // 4 + 1)) < 0.6, 4, axis=1)[flights, :periods]
    decay = rng.uniform(0, 0.7 if every == "W" else 0.4, n)
    half, slope = level * np.exp(rng.uniform(np.log(0.4), np.log(4), n)), rng.uniform(1, 2, n)
    average = np.exp(rng.normal(0, 0.5, n)) * np.r_[0.0 if nothing else 1.0, np.ones(n - 1)]
    time, turn = np.linspace(0, 1, periods), 2 * np.pi * np.arange(periods) / (365.25 / 7 if every == "W" else 12)
    groups = n if own else 1
    base = level.sum() * 2.5 / groups
    rest = base * (1 + 0.2 * time + 0.1 * np.sin(turn + rng.uniform(0, 6)) + 0.05 * np.cos(2 * turn))
    error = rng.standard_normal((groups, periods))
    for t in range(1, periods):
        error[:, t] = 0.3 * error[:, t - 1] + np.sqrt(1 - 0.09) * error[:, t]
    sales = rest + noise * base * 1.4 * error
    carried, part, usual = np.zeros((n, periods)), np.zeros((n, periods)), sales[0].mean()

    def curve(a: np.ndarray) -> np.ndarray:
        return np.asarray(a**slope / (a**slope + half**slope))

    top = average * level * 1.15 / curve(level)
    before = spend[:, :last].mean(axis=1)
    for t in range(periods):
        if chased and t:
            spend[0, t] = level[0] * max(0.1, 1 + 4 * (sales[0, t - 1] / usual - 1)) * np.exp(0.1 * pace[0, t])
        before = decay * before + (1 - decay) * spend[:, t]
        carried[:, t], part[:, t] = before, curve(before)
        brought = top * part[:, t]
        sales[:, t] += brought if own else brought.sum()
    names = [f"C{i}" for i in range(n)]
    frame = pd.DataFrame(spend, index=names, columns=when).rename_axis("channel").reset_index()
    frame = frame.melt("channel", var_name="period", value_name="spend").astype({"period": "datetime64[us]"})
    total = pd.DataFrame(sales, index=names if own else ["all"], columns=when).rename_axis("channel").reset_index()
    total = total.melt("channel", var_name="period", value_name="value").astype({"period": "datetime64[us]"})
    today = spend[:, -last:].sum(axis=1)
    truth = pd.DataFrame({
        "channel": names,
        "average_return": (top[:, None] * part)[:, -last:].sum(axis=1) / np.where(today > 0, today, np.nan),
        "marginal_return": ((top * slope)[:, None] * (part * (1 - part))[:, -last:]).sum(axis=1)
        / np.where(today > 0, today, np.nan),
    })  # fmt: skip
    return frame, total if own else total.drop(columns="channel"), truth


def covered(sets: int, **how: object) -> pd.DataFrame:
    """Per set and channel: estimates, truth, and whether the intervals of each level hold it."""
    rows = []
    for seed in range(sets):
        spend, total, truth = history(seed, **how)  # type: ignore[arg-type]
        fit = channels.fitted(spend, total)
        found = channels.response(fit)
        both = found.merge(truth, on="channel", suffixes=("", "_true")).assign(seed=seed)
        for level in LEVELS:
            at = channels.response(fit, level=level).set_index("channel").loc[both["channel"]].reset_index()
            for of, (low, high) in BOUNDS.items():
                both[f"{of} {level:.0%}"] = (at[low] <= both[f"{of}_true"]) & (both[f"{of}_true"] <= at[high])
        rows.append(both)
    return pd.concat(rows, ignore_index=True).dropna(subset="marginal_return_true")


def known(sets: int, **how: object) -> pd.Series:
    """Coverage, error and width, and how often it can be told."""
    rows = covered(sets, **how)
    miss = rows["marginal_return"] - rows["marginal_return_true"]
    hold = {
        f"{of} {level:.0%}": rows[f"{of} {level:.0%}"].mean()
        for of in ("average_return", "marginal_return")
        for level in LEVELS
    }
    return pd.Series({
        "sets": sets, **hold, "marginal: mean truth": rows["marginal_return_true"].mean(), "bias": miss.mean(),
        "median error": miss.abs().median(), "median width": (rows["upper"] - rows["lower"]).median(),
        "told": (rows["told"] == "yes").mean(),
    })  # fmt: skip


def nothing(sets: int) -> pd.Series:
    """Of a channel that brings nothing: how often its intervals hold 0, and how often it is said to bring something."""
    rows = covered(sets, nothing=True)
    none = rows[rows["channel"] == "C0"]
    return pd.Series(
        {
            "sets": sets,
            "95% interval holds 0": none["marginal_return 95%"].mean(),
            "told": (none["told"] == "yes").mean(),
        }
    )


def chased(sets: int) -> pd.Series:
    """Where one budget follows sales: how often is it seen, and how often claimed of budgets that do not?"""
    rows = covered(sets, chased=True)
    follows, first = rows["follows_q"] < 0.01, rows["channel"] == "C0"
    return pd.Series({"sets": sets, "seen": follows[first].mean(), "claimed of others": follows[~first].mean()})


def company(companies: int) -> pd.Series:
    """Of whole companies in which spend brings nothing: coverage of 0, and in how many some channel is said to bring something."""
    truth, rows = synthetic.Truth(), []
    for seed in range(companies):
        crm = Crm(synthetic.tables(truth, seed), truth.as_of)
        found = channels.response(channels.fitted(crm.spend, channels.sales(crm), delay=channels.delay(crm)))
        rows.append(
            {"holds 0": ((found["lower"] <= 0) & (found["upper"] >= 0)).mean(), "named": (found["told"] == "yes").any()}
        )
    return pd.concat([pd.Series({"companies": companies}), pd.DataFrame(rows).mean()])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=200)
    sets = parser.parse_args().sets
    print(f"weekly\n{known(sets).round(3).to_string()}")
    print(f"\nmonthly\n{known(sets, every='M', periods=48, n=4, own=True).round(3).to_string()}")
    print(f"\nnothing\n{nothing(sets // 2).round(3).to_string()}")
    print(f"\nchased\n{chased(sets // 2).round(3).to_string()}")
    print(f"\ncompany\n{company(sets // 4).round(3).to_string()}")
