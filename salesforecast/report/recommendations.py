"""What could be done, by what it promises: estimates drawn towards each other before they are ranked, for the best of several noisy
estimates is too good to be true.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd

from salesforecast import shrinkage
from salesforecast.report.results import Said
from salesforecast.stakes import LEVEL

MOST = 5
COLUMNS = ["page", "key", "lever", "estimate", "promised", "lower", "upper", "chance", "evidence", "test", "level"]
WIDE = 2 * NormalDist().inv_cdf(0.5 + LEVEL / 2)  # standard deviations in a range


def options(said: Sequence[Said]) -> pd.DataFrame:
    """What the findings propose: the rows of `by_key` that have a lever."""
    found = by_key(said)
    return found[found["lever"] != ""].reset_index(drop=True)


def by_key(said: Sequence[Said]) -> pd.DataFrame:
    """What hangs on each option, proposed now or not.

    Returns
    -------
    DataFrame
        page, key, lever, amount, lower, upper (money; the 80% range), evidence, test, shrunk, level; one row per key, of several one
        that is proposed, and of those the dearest.
    """
    rows = [
        {
            "page": one.page, "key": s.key or f"{one.page}: {one.question}", "lever": s.lever, "amount": s.amount, "lower": s.lower,
            "upper": s.upper, "evidence": s.evidence, "test": s.test, "shrunk": s.shrunk, "level": s.level,
        }
        for one in said for s in one.stakes if s.lever or s.key
    ]  # fmt: skip
    columns = ["page", "key", "lever", "amount", "lower", "upper", "evidence", "test", "shrunk", "level"]
    frame = pd.DataFrame(rows, columns=columns)
    frame = frame.sort_values(["amount", "key"], ascending=[False, True]).sort_values(
        "lever", key=lambda lever: lever == "", kind="stable"
    )
    return frame.drop_duplicates("key").reset_index(drop=True)


def recommended(options: pd.DataFrame, most: int = MOST) -> pd.DataFrame:
    """The options by what they promise after shrinkage.

    Of many noisy estimates the highest is high by luck too. So each is drawn towards the mean of all, the more the less it is
    known (normal-normal). The spread of the true values is Paule and Mandel's: of the estimates tried (benchmarks/README.md) its
    promises for the best of 3 to 12 options come nearest to what is delivered. The range allows for its uncertainty. What a
    notebook has shrunk among its own alike is left as it is. An option without a range promises nothing, since it cannot be said
    how much of it is luck.

    Parameters
    ----------
    options : DataFrame
        From `options`.
    most : int
        How many are listed.

    Returns
    -------
    DataFrame
        page, key, lever, estimate (as found), promised, lower, upper (money within a year; the 80% range after shrinkage), chance (that
        it is worth more than 0), evidence, test, level. Most promised first; only what promises more than 0.

    Source
    ------
    Smith & Winkler (2006), the optimizer's curse; Efron & Morris (1975).
    """
    known = options[(options["upper"] > options["lower"]) & options["amount"].notna()].reset_index(drop=True)
    if known.empty:
        return pd.DataFrame(columns=COLUMNS)
    error = ((known["upper"] - known["lower"]) / WIDE).to_numpy("float64")
    amount = known["amount"].to_numpy("float64")
    rng = np.random.default_rng(0)
    draws = amount + error * rng.standard_normal((shrinkage.DRAWS, len(known)))
    promised, low, high = (
        amount.copy(),
        known["lower"].to_numpy("float64", copy=True),
        known["upper"].to_numpy("float64", copy=True),
    )
    free = ~known["shrunk"].to_numpy("bool")
    if free.sum() > 1:
        promised[free] = _drawn_together(amount[free], error[free] ** 2)
        spread_out = shrinkage.shrunk(amount[free], error[free] ** 2).draws
        draws[:, free] = spread_out - spread_out.mean(axis=0) + promised[free]
        low[free], high[free] = np.quantile(draws[:, free], [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0)
    found = known.assign(estimate=amount, promised=promised, lower=low, upper=high, chance=(draws > 0).mean(axis=0))
    found = found[found["promised"] > 0].sort_values(["promised", "key"], ascending=[False, True])
    return found[COLUMNS].head(most).reset_index(drop=True)


def _drawn_together(estimates: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Each estimate drawn towards the mean of all, by the share of its variance that is noise.

    Examples
    --------
    >>> _drawn_together(np.array([90.0, 100.0, 140.0]), np.array([400.0, 400.0, 400.0])).round(1).tolist()
    [101.4, 105.7, 122.9]
    """
    between = shrinkage.spread(estimates, variances) ** 2
    weight = 1 / (variances + between)
    centre = (weight * estimates).sum() / weight.sum()
    return np.asarray(centre + between * weight * (estimates - centre))
