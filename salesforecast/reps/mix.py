"""What was to be expected of a deal, whoever had it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.special import expit

MIX = ("segment", "channel", "product", "size", "industry", "region", "customer", "tenure", "amount", "quarter")
RARE = 30  # rows of a level: rarer ones are put together
MOST = 200_000  # rows to learn from
RIDGE = 1.0  # a normal prior of standard deviation 1 on each effect, in log-odds
ROUNDS = 30


def expected(spells: pd.DataFrame) -> pd.DataFrame:
    """The chance each deal had of being won in the days it was counted, by its case mix alone.

    The chance of ever being won is a logit of segment, channel, product, size and industry of the customer, their region, new or
    existing customer, how long the rep had been there, the first amount and the quarter of entry, ridge-penalised, without any
    term for the rep and without what a rep controls (discount, activity, stages). With pi that chance, the chance of
    being won within the days counted, for a deal still open at their beginning, is

        P = pi (Gw(b) - Gw(a)) / (1 - pi Gw(a) - (1 - pi) Gl(a))

    where Gw and Gl are the shares of all wins, and of all other ends, that come by an age.

    Parameters
    ----------
    spells : DataFrame
        From `spells`.

    Returns
    -------
    DataFrame
        The spells with odds (log-odds of ever being won), chance (P), slope (of P in the log-odds).

    Source
    ------
    Normand & Shahian (2007) for the indirect standardisation; Farewell (1982) for the mixture of ever and when.
    """
    columns = [_levels(spells[c]) for c in MIX if c in spells]
    columns = [c for c in columns if c.max() > 0]
    few = np.unique(np.linspace(0, len(spells) - 1, min(len(spells), MOST)).astype("int64"))
    effects = _fit(spells.iloc[few], [c[few] for c in columns], [c.max() + 1 for c in columns])
    odds = np.full(len(spells), effects[0])
    edges = np.cumsum([1, *(c.max() + 1 for c in columns)])
    for codes, (low, high) in zip(columns, pairwise(edges), strict=True):
        odds = odds + effects[low:high][codes]
    chance, slope = chances(spells, odds)
    return spells.assign(odds=odds, chance=chance, slope=slope)


def chances(spells: pd.DataFrame, odds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The chance of being won within the days counted, and its slope in the log-odds of ever being won."""
    ever = expit(odds)
    rest = 1 - spells["before_lost"].to_numpy()
    reached = spells["reached"].to_numpy()
    left = np.maximum(rest - ever * (spells["before_won"] - spells["before_lost"]).to_numpy(), 1e-9)
    chance = np.clip(ever * reached / left, 1e-9, 1 - 1e-9)
    return chance, ever * (1 - ever) * reached * rest / left**2


def scores(spells: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """How each row speaks for a better rep, and how much it can say: the score and the information of the log-odds."""
    variance = spells["chance"] * (1 - spells["chance"])
    won = spells["won"].astype("float64")
    score = (won - spells["chance"]) * spells["slope"] / variance
    return score.to_numpy(), (spells["slope"] ** 2 / variance).to_numpy()


def _levels(values: pd.Series) -> np.ndarray:
    """Codes from 0; rare levels, and what is missing, are put together as the last."""
    codes = pd.factorize(values.where(values >= 0), sort=True)[0]
    counts = np.bincount(codes + 1)
    rare = np.flatnonzero(counts < RARE) - 1
    codes = np.where(np.isin(codes, rare), -1, codes)
    return np.unique(np.where(codes < 0, codes.max() + 1, codes), return_inverse=True)[1]


def _fit(spells: pd.DataFrame, columns: list[np.ndarray], sizes: list[int]) -> np.ndarray:
    """The constant and the effects, by Fisher scoring."""
    n, edges = len(spells), np.cumsum([1, *sizes])
    design = np.zeros((n, edges[-1]))
    design[:, 0] = 1.0
    for codes, low in zip(columns, edges[:-1], strict=True):
        design[np.arange(n), low + codes] = 1.0
    penalty = np.r_[0.0, np.full(edges[-1] - 1, RIDGE)]
    share = float(np.clip(spells["won"].sum() / max(spells["reached"].sum(), 1e-9), 0.01, 0.99))
    effects = np.r_[np.log(share / (1 - share)), np.zeros(edges[-1] - 1)]
    for _ in range(ROUNDS):
        chance, slope = chances(spells, design @ effects)
        score, weight = scores(spells.assign(chance=chance, slope=slope))
        step = np.linalg.solve(
            (design.T * weight) @ design + np.diag(penalty + 1e-9), design.T @ score - penalty * effects
        )
        effects = effects + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-7:
            break
    return effects
