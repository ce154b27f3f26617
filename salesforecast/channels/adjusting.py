"""Rates on the same cases: what each choice would bring if all cases were as all cases together are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from salesforecast import stats

RARE = 30  # cases of a level: rarer ones are put together
RIDGE = 1.0  # a normal prior of standard deviation 1 on each effect of a covariate, in log-odds
LOOSE = 0.04  # the same for the choices, of standard deviation 5: only against no result at all
ROUNDS = 40


@dataclass(frozen=True)
class Standardised:
    """The rate of each choice on all cases, and the covariance of these rates, by clusters."""

    choices: tuple[str, ...]
    rates: np.ndarray
    covariance: np.ndarray
    clusters: int

    def interval(self, level: float = stats.LEVEL) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the rates, by Student's t on the log-odds."""
        rate = np.clip(self.rates, 1e-9, 1 - 1e-9)
        odds, error = np.log(rate / (1 - rate)), np.sqrt(np.diag(self.covariance)) / (rate * (1 - rate))
        reach = stats.t_quantile(max(self.clusters - 1, 1), level) * error
        return 1 / (1 + np.exp(-(odds - reach))), 1 / (1 + np.exp(-(odds + reach)))

    def gap(self, one: int, other: int, level: float = stats.LEVEL) -> tuple[float, float, float, float]:
        """The difference of two rates, its bounds, and p."""
        from scipy.stats import t

        v, free = self.covariance, max(self.clusters - 1, 1)
        gap, error = (
            float(self.rates[one] - self.rates[other]),
            float(np.sqrt(v[one, one] + v[other, other] - 2 * v[one, other])),
        )
        reach = stats.t_quantile(free, level) * error
        return gap, gap - reach, gap + reach, float(2 * t.sf(abs(gap) / error, free)) if error > 0 else 1.0


def standardised(result: np.ndarray, choice: pd.Series, covariates: pd.DataFrame, clusters: np.ndarray) -> Standardised:
    """The share with a result that each choice would have on all cases, by a logit of choice and covariates.

    The logit is ridge-penalised; each choice's rate is the mean of its predictions over all cases (g-computation); errors
    are by clusters (sandwich).

    Parameters
    ----------
    result : ndarray of bool
    choice : Series of str
    covariates : DataFrame
        Labels and flags; missing is a level of its own, rare levels are put together.
    clusters : ndarray of int
        Cases of a cluster are alike.

    Source
    ------
    Hernán & Robins (2020), chapter 13, for standardisation; Liang & Zeger (1986) for the errors.
    """
    code, choices = pd.factorize(choice, sort=True)
    parts = [np.ones((len(code), 1)), np.eye(len(choices))[code][:, 1:]]
    parts += [dummies for name in covariates if (dummies := _dummies(covariates[name])).shape[1]]
    design = np.column_stack(parts)
    k = len(choices)
    penalty = np.r_[1e-9, np.full(k - 1, LOOSE), np.full(design.shape[1] - k, RIDGE)]
    y, effects = result.astype("float64"), np.zeros(design.shape[1])
    effects[0] = np.log((y.sum() + 0.5) / (len(y) - y.sum() + 0.5))
    for _ in range(ROUNDS):
        chance = 1 / (1 + np.exp(-design @ effects))
        information = (design.T * (chance * (1 - chance))) @ design + np.diag(penalty)
        step = np.linalg.solve(information, design.T @ (y - chance) - penalty * effects)
        effects = effects + np.clip(step, -3, 3)
        if np.abs(step).max() < 1e-9:
            break
    chance = 1 / (1 + np.exp(-design @ effects))
    information = (design.T * (chance * (1 - chance))) @ design + np.diag(penalty)
    groups = pd.factorize(clusters)[0]
    n = int(groups.max()) + 1
    scores = np.zeros((n, design.shape[1]))
    np.add.at(scores, groups, design * (y - chance)[:, None])
    inverse = np.linalg.inv(information)
    variance = inverse @ (scores.T @ scores) @ inverse * (n / max(n - 1, 1))
    rates, slopes = np.zeros(k), np.zeros((k, design.shape[1]))
    rest = design @ effects - design[:, 1:k] @ effects[1:k]
    for i in range(k):
        there = 1 / (1 + np.exp(-(rest + (effects[i] if i else 0.0))))
        weight = there * (1 - there)
        rates[i], slopes[i] = there.mean(), (weight @ design) / len(design)
        slopes[i, 1:k] = 0.0
        if i:
            slopes[i, i] = weight.mean()
    return Standardised(tuple(str(c) for c in choices), rates, slopes @ variance @ slopes.T, n)


def _dummies(values: pd.Series) -> np.ndarray:
    """One column a level, without the first; rare ones, and what is missing, are put together."""
    codes = pd.factorize(values.astype("str").where(values.notna()), sort=True)[0]
    counts = np.bincount(codes + 1)
    codes = np.where(np.isin(codes, np.flatnonzero(counts < RARE) - 1), -1, codes)
    codes = np.unique(codes, return_inverse=True)[1]
    return np.eye(int(codes.max()) + 1)[codes][:, 1:]


def shared(choice: pd.Series, cells: pd.DataFrame) -> pd.DataFrame:
    """Of each two choices, the share of their cases that lies in cells where both were used.

    Examples
    --------
    >>> shared(pd.Series(["a", "a", "b", "b"]), pd.DataFrame({"stage": ["1", "2", "2", "3"]})).loc["a", "b"].item()
    0.5
    """
    cell = (
        cells.fillna("").groupby(list(cells), sort=True).ngroup()
        if len(cells.columns)
        else pd.Series(0, index=choice.index)
    )
    counts = pd.crosstab(cell, choice)
    n, used = counts.to_numpy("float64"), counts.to_numpy() > 0
    common = n.T @ used  # of each choice, the cases in cells where the other was used
    return pd.DataFrame((common + common.T) / (n.sum(axis=0)[:, None] + n.sum(axis=0)), counts.columns, counts.columns)
