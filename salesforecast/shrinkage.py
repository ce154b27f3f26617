"""Many alike compared: how far they truly differ, what each estimate is worth, and who differs by more than luck."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DRAWS = 4000
GRID = 200  # values of the spread


@dataclass(frozen=True)
class Shrunk:
    """What is believed of each after looking at all: draws of shape (draws, members), and the spread behind them."""

    draws: np.ndarray
    spread: float  # standard deviation of the true values, by Paule and Mandel; 0 when luck explains everything

    def quantile(self, share: float) -> np.ndarray:
        """A quantile of each member's draws."""
        return np.asarray(np.quantile(self.draws, share, axis=0))


def spread(estimates: np.ndarray, variances: np.ndarray) -> float:
    """The standard deviation of the true values behind noisy estimates; 0 when their noise explains all differences.

    The variance tau2 at which sum (x - mean)^2 / (v + tau2) is its expectation, the number of estimates less one.

    Source: Paule & Mandel (1982).

    Examples
    --------
    >>> round(spread(np.array([-2.0, 0.0, 2.0]), np.array([1.0, 1.0, 1.0])), 3)
    1.732
    >>> spread(np.array([-0.5, 0.0, 0.5]), np.array([1.0, 1.0, 1.0]))
    0.0
    """
    from scipy.optimize import brentq

    if len(estimates) < 2:
        return 0.0

    def excess(tau2: float) -> float:
        weight = 1 / (variances + tau2)
        centre = (weight * estimates).sum() / weight.sum()
        return float((weight * (estimates - centre) ** 2).sum()) - (len(estimates) - 1)

    if excess(0.0) <= 0:
        return 0.0
    high = float(((estimates - estimates.mean()) ** 2).sum())
    return float(np.sqrt(brentq(excess, 0.0, high, xtol=1e-12)))


def shrunk(estimates: np.ndarray, variances: np.ndarray, *, draws: int = DRAWS, seed: int = 0) -> Shrunk:
    """What is believed of each true value when all come from one normal distribution.

    Each estimate moves towards the mean of all, the more so the less it is known. The spread of the true values is itself
    uncertain: it is drawn from its likelihood on a grid (mean integrated out), so that the intervals neither collapse where
    it is estimated as 0 nor ignore that it may be.

    Source: Efron & Morris (1975); Gelman et al. (2013), section 5.4.

    Parameters
    ----------
    estimates, variances : ndarray (members,)
    draws, seed : int
        How many draws, and their seed.
    """
    rng, members = np.random.default_rng(seed), len(estimates)
    known = np.sqrt(np.median(variances)) if members else 1.0
    grid = np.linspace(0.0, 3 * max(spread(estimates, variances), known / 2, 1e-9), GRID)
    total = variances + grid[:, None] ** 2
    weight = 1 / total
    mass = weight.sum(axis=1)
    centre = (weight * estimates).sum(axis=1) / mass
    likely = -0.5 * (
        np.log(total).sum(axis=1) + np.log(mass) + (weight * (estimates - centre[:, None]) ** 2).sum(axis=1)
    )
    chance = np.exp(likely - likely.max())
    at = rng.choice(GRID, size=draws, p=chance / chance.sum())
    mean = centre[at] + rng.standard_normal(draws) / np.sqrt(mass[at])
    keep = grid[at, None] ** 2 / total[at]
    values = mean[:, None] + keep * (estimates - mean[:, None])
    noise = np.sqrt(keep * variances) * rng.standard_normal((draws, members))
    return Shrunk(values + noise, spread(estimates, variances))


def ranks(draws: np.ndarray, level: float = 0.90) -> tuple[np.ndarray, np.ndarray]:
    """The ranges of places, 1 the highest, in which each stands with about the probability `level`.

    Of each width the likeliest range, and of the widths the one whose probability is nearest to `level`: equal tails on whole
    places hold more than they say.

    Source: Goldstein & Spiegelhalter (1996) for ranks by simulation.

    Examples
    --------
    >>> low, high = ranks(np.array([[3.0, 2.0, 1.0], [3.0, 1.0, 2.0]]))
    >>> low.tolist(), high.tolist()
    ([1, 2, 2], [1, 3, 3])
    """
    members = draws.shape[1]
    places = (-draws).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    low, high = np.zeros(members, dtype="int64"), np.zeros(members, dtype="int64")
    for member in range(members):
        below = np.r_[0.0, np.bincount(places[:, member], minlength=members).cumsum() / len(draws)]
        ends = np.searchsorted(below, below[:-1] + level - 1e-9)
        width = np.where(ends <= members, ends - np.arange(members), members + 1)
        best = int(width.min())
        shorter = below[best - 1 :] - below[: members - best + 2]
        if best > 1 and level - shorter.max() < (below[best:] - below[: members - best + 1]).max() - level:
            best -= 1
        start = int((below[best:] - below[: members - best + 1]).argmax())
        low[member], high[member] = start + 1, start + best
    return low, high


def overdispersion(z: np.ndarray, share: float = 0.1) -> float:
    """How much wider than luck the standardised differences are, at least 1: the mean square, its ends pulled in.

    Source: Spiegelhalter (2005), section 3.2: winsorised at 10% on either side.
    """
    if not len(z):
        return 1.0
    low, high = np.quantile(z, [share, 1 - share])
    return max(1.0, float((np.clip(z, low, high) ** 2).mean()))


def holm(p: np.ndarray) -> np.ndarray:
    """The chance of naming any wrongly at which each is just named, however many are looked at.

    Source: Holm (1979).

    Examples
    --------
    >>> holm(np.array([0.04, 0.01, 0.9])).round(3).tolist()
    [0.08, 0.03, 0.9]
    """
    order = np.argsort(p, kind="stable")
    out = np.empty(len(p))
    out[order] = np.minimum(1.0, np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(p), 0, -1)))
    return out


def q_values(p: np.ndarray) -> np.ndarray:
    """The false-discovery rate at which each is just named.

    Source: Benjamini & Hochberg (1995).

    Examples
    --------
    >>> q_values(np.array([0.01, 0.02, 0.9])).round(3).tolist()
    [0.03, 0.03, 0.9]
    """
    if not len(p):
        return np.asarray(p, dtype="float64")
    order = np.argsort(p)
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    out = np.empty(len(p))
    out[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return out
