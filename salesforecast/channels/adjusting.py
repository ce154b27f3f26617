"""Rates on the same cases: what each choice would bring if all cases were as all cases together are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from salesforecast import stats

RARE = 30  # cases of a level: rarer ones are put together
RIDGE = 1.0  # a normal prior of standard deviation 1 on the effect of each level of a covariate, in log-odds
WIDE = 0.16  # the same of 2.5 on the effect of a choice: it only keeps one without a result finite
ROUNDS = 40
OTHER = "other"


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
    """The share with a result that each choice would have on all cases (`on_the_same`), with errors by clusters (sandwich).

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
    rates, influence = on_the_same(result.astype("float64"), code, len(choices), list(levels(covariates).values()))
    groups = pd.factorize(clusters)[0]
    n = int(groups.max()) + 1
    sums = np.zeros((n, len(choices)))
    np.add.at(sums, groups, influence)
    return Standardised(tuple(str(c) for c in choices), rates, sums.T @ sums * (n / max(n - 1, 1)), n)


def on_the_same(
    y: np.ndarray, code: np.ndarray, choices: int, covariates: list[pd.Series]
) -> tuple[np.ndarray, np.ndarray]:
    """The mean result that each choice would have on all cases, and what each case adds to the error of it.

    A logit of choice and covariates, ridge-penalised; each choice's rate is the mean of its predictions over all cases
    (g-computation).

    Parameters
    ----------
    y : ndarray
        The results: 0 or 1, or pseudo-values of them.
    code : ndarray of int
        The choice of each case.
    choices : int
        How many there are.
    covariates : list of Series
        From `levels`.

    Returns
    -------
    tuple of ndarray
        The rates, and the influence of each case on them, of shape (cases, choices).
    """
    k, n = choices, len(y)
    wide = np.hstack([np.eye(k)[code], *(pd.get_dummies(v, dtype=float).to_numpy() for v in covariates)])
    # cases alike share a row of the design
    design, which, times = np.unique(wide, axis=0, return_inverse=True, return_counts=True)
    which = which.ravel()
    total = np.bincount(which, y, minlength=len(design))
    penalty = np.r_[np.full(k, WIDE), np.full(design.shape[1] - k, RIDGE)]
    start = float(logit(np.clip(y.mean(), 0.01, 0.99)))
    centre = np.r_[np.full(k, start), np.zeros(design.shape[1] - k)]
    effects = centre
    for _ in range(ROUNDS):
        mu = expit(design @ effects)
        bread = (design.T * (times * mu * (1 - mu))) @ design + np.diag(penalty)
        step = np.linalg.solve(bread, design.T @ (total - times * mu) - penalty * (effects - centre))
        effects = effects + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-9:
            break
    mix = design[:, k:]
    chance = expit(effects[:k] + (mix @ effects[k:])[:, None])  # (designs, choices): each choice on each kind of case
    slope = times[:, None] * chance * (1 - chance) / n
    gradient = np.hstack([np.diag(slope.sum(axis=0)), slope.T @ mix])
    mu = expit(design @ effects)
    bread = (design.T * (times * mu * (1 - mu))) @ design + np.diag(penalty)
    pull = np.linalg.solve(bread, gradient.T)  # (effects, choices)
    return (times[:, None] * chance).sum(axis=0) / n, (y - mu[which])[:, None] * (design @ pull)[which]


def levels(covariates: pd.DataFrame) -> dict[str, pd.Series]:
    """The covariates that differ; rare levels, and what is missing, are put together."""
    found = {}
    for name in covariates:
        values = covariates[name].astype("str")
        counts = values.value_counts()
        values = values.where(values.isin(counts.index[counts >= RARE]), OTHER)
        if values.nunique() > 1:
            found[str(name)] = values
    return found


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
