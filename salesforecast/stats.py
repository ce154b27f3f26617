"""Rates with their intervals, curves with undecided cases, and resampling by account: the statistics all analyses share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

LEVEL = 0.95
REPLICATES = 400
FEW = 20  # accounts: fewer say too little of how one differs from the next
AMOUNTS = 10  # on each side: a change of sums of fewer has no interval
GROUPS = 500  # accounts are gathered into at most so many groups before they are resampled


def add_rate(counts: pd.DataFrame, *, hits: str, n: str, name: str, level: float = LEVEL) -> pd.DataFrame:
    """The counts with a rate and its Wilson interval: columns `name`, `lower`, `upper`.

    A rate over no trials is missing, not zero.

    Source: Wilson (1927); Brown, Cai & DasGupta (2001) recommend it for small n.

    Examples
    --------
    >>> add_rate(pd.DataFrame({"won": [1, 0], "n": [4, 0]}), hits="won", n="n", name="win_rate").round(2)
       won  n  win_rate  lower  upper
    0    1  4      0.25   0.05    0.7
    1    0  0       NaN    NaN    NaN
    """
    from statsmodels.stats.proportion import proportion_confint

    trials = counts[n].where(counts[n] > 0).astype("float64")
    lower, upper = proportion_confint(counts[hits].astype("float64"), trials, alpha=1 - level, method="wilson")
    return counts.assign(**{name: counts[hits] / trials, "lower": lower, "upper": upper})


@dataclass(frozen=True)
class LifeTable:
    """How many were at risk, won and lost at each age in whole days, by group of accounts.

    Parameters
    ----------
    entered, left, won, lost : ndarray (groups, ages)
        Entries into observation, ends of it for any reason, wins, losses.
    """

    entered: np.ndarray
    left: np.ndarray
    won: np.ndarray
    lost: np.ndarray

    def at_risk(self) -> np.ndarray:
        """How many are observed and open at each age; shape (ages,)."""
        return _at_risk(self.entered.sum(axis=0), self.left.sum(axis=0))


def group_codes(accounts: pd.Series, most: int = GROUPS) -> np.ndarray:
    """A group for each row, so that rows of one account share it: the unit that is resampled.

    Rows without an account are each their own; so are all, when there are fewer than 20 accounts. More than `most`
    accounts are dealt out over `most` groups in the order of their names, which leaves the groups as independent as the
    accounts.
    """
    own = pd.Series(np.arange(len(accounts)), index=accounts.index).map("row {:09d}".format)
    named = accounts.astype("str") if accounts.nunique() >= FEW else accounts.astype("str").mask(accounts.notna())
    codes = pd.factorize(named.fillna(own), sort=True)[0]
    return codes % most


def life_table(
    entry: np.ndarray, exit: np.ndarray, outcome: np.ndarray, groups: np.ndarray, n_groups: int, ages: int
) -> LifeTable:
    """The life table of deals observed from age `entry` to age `exit`, both included.

    Parameters
    ----------
    entry, exit : ndarray of int
        Ages in days. A deal with entry after exit was never observed and is left out.
    outcome : ndarray of str
        How observation ended: "won", "lost", or "open" (undecided at the end).
    groups : ndarray of int
        As `group_codes` gives them.
    n_groups, ages : int
        The shape of the result.
    """
    seen = (entry <= exit) & (entry < ages)
    entry, exit, outcome, groups = entry[seen], exit[seen], outcome[seen], groups[seen]

    def count(age: np.ndarray, rows: np.ndarray) -> np.ndarray:
        inside = rows & (age < ages)
        flat = np.bincount(groups[inside] * ages + age[inside], minlength=n_groups * ages)
        return flat.reshape(n_groups, ages).astype("float64")

    every = np.ones(len(entry), dtype=bool)
    return LifeTable(
        count(entry, every), count(exit, every), count(exit, outcome == "won"), count(exit, outcome == "lost")
    )


def weights(n_groups: int, replicates: int = REPLICATES, seed: int = 0) -> np.ndarray:
    """Bootstrap weights of shape (replicates + 1, groups): the first row is the data themselves."""
    drawn = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=replicates)
    return np.vstack([np.ones(n_groups), drawn])


def incidence(table: LifeTable, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share won and the share lost by each age, with deals still open counted as undecided.

    Aalen-Johansen with delayed entry, on whole days: F_won(t) = sum over a <= t of S(a-) d_won(a) / n(a), where n(a) is
    open and observed at age a, and S is the share still open.

    Source: Putter, Fiocco & Geskus (2007), section 3.

    Parameters
    ----------
    table : LifeTable
    weight : ndarray (replicates, groups)
        Rows of weights; one row of ones for the data as they are.

    Returns
    -------
    won, lost : ndarray (replicates, ages)
    """
    at_risk = _at_risk(weight @ table.entered, weight @ table.left)
    won, lost = weight @ table.won, weight @ table.lost
    with np.errstate(invalid="ignore", divide="ignore"):
        to_won = np.where(at_risk > 0, won / at_risk, 0.0)
        to_lost = np.where(at_risk > 0, lost / at_risk, 0.0)
    still_open = np.cumprod(1 - to_won - to_lost, axis=-1)
    before = np.concatenate([np.ones((*still_open.shape[:-1], 1)), still_open[..., :-1]], axis=-1)
    return np.cumsum(before * to_won, axis=-1), np.cumsum(before * to_lost, axis=-1)


def pseudo_values(
    entry: np.ndarray, exit: np.ndarray, outcome: np.ndarray, age: int, mark: np.ndarray | None = None
) -> np.ndarray:
    """What each case counts in the share won by an age, or in the mean of what was won by it: their mean is the curve's value.

    The Aalen-Johansen value at the age plus the number of cases times the influence of each on it. Of a case whose end is known that is
    near 1 or 0, of one still undecided something between, as much as its age lets expect; so they can be averaged, regressed and
    resampled as outcomes can. A case whose entry is after its exit was never observed and has none.

    Source: Andersen, Klein & Rosthøj (2003), with the influence function in place of the jackknife.

    Parameters
    ----------
    entry, exit : ndarray of int
        As for `life_table`.
    outcome : ndarray of str
        "won", "lost" or "open".
    age : int
        Wins up to this age count.
    mark : ndarray, optional
        What each win is worth; 1 where not given.

    Examples
    --------
    >>> ages, ends = np.array([3, 5, 6, 9]), np.array(["won", "lost", "open", "won"])
    >>> pseudo_values(np.zeros(4, int), ages, ends, 7).round(2).tolist()  # the last is won later
    [1.0, 0.0, 0.0, 0.0]
    >>> pseudo_values(np.zeros(4, int), ages, ends, 9).round(2).tolist()
    [1.0, 0.0, 1.0, 1.0]
    """
    worth = np.where(outcome == "won", 1.0 if mark is None else np.nan_to_num(mark), 0.0)
    seen = entry <= exit
    start, stop, n = np.minimum(entry, age + 1), np.minimum(exit, age), int(seen.sum())
    inside = seen & (exit <= age)
    won, over = inside & (outcome == "won"), inside & (outcome != "open")

    def at(rows: np.ndarray, when: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(when[rows], None if weight is None else weight[rows], minlength=age + 2)[: age + 1]

    at_risk = _at_risk(at(seen, start).astype("float64"), at(seen, np.minimum(exit, age + 1)).astype("float64"))
    each = np.divide(1.0, at_risk, out=np.zeros(age + 1), where=at_risk > 0)
    to_won, to_end = at(won, stop, worth) * each, at(over, stop) * each
    before = np.r_[1.0, np.cumprod(1 - to_end)[:-1]]
    curve = np.cumsum(before * to_won)
    left = np.divide(
        curve[-1] - curve, 1 - to_end, out=np.zeros(age + 1), where=to_end < 1
    )  # still to come, per one left
    expected = np.r_[0.0, np.cumsum((before * to_won - left * to_end) * each)]
    influence = np.where(won, before[stop] * worth * each[stop], 0.0) - np.where(over, left[stop] * each[stop], 0.0)
    influence -= expected[stop + 1] - expected[np.minimum(start, stop + 1)]
    return np.where(seen, curve[-1] + n * influence, np.nan)


def clustered(influence: np.ndarray, *clusters: np.ndarray) -> np.ndarray:
    """The variance of sums of rows when rows of one cluster are alike, in one or two ways at once; one for each column.

    Two ways: that of the one plus that of the other less that of both together, and at least half of the last.

    Source: Cameron, Gelbach & Miller (2011).

    Parameters
    ----------
    influence : ndarray (rows, columns)
        What each row adds to each estimate.
    *clusters : ndarray of int
        One or two codes for each row.
    """
    if len(clusters) == 1:
        return _between(influence, clusters[0])
    one, two = clusters
    both = np.unique(one.astype("int64") * (int(two.max()) + 1) + two, return_inverse=True)[1]
    each = _between(influence, both)
    return np.maximum(_between(influence, one) + _between(influence, two) - each, each / 2)


def _between(influence: np.ndarray, codes: np.ndarray) -> np.ndarray:
    groups = int(codes.max()) + 1
    sums = np.stack([np.bincount(codes, column, minlength=groups) for column in influence.T], axis=1)
    there = len(np.unique(codes))
    return np.asarray((sums**2).sum(axis=0) * there / max(there - 1, 1))


def jackknife(table: LifeTable) -> np.ndarray:
    """The variance of the share won by each age, by leaving out one group at a time; shape (ages,).

    Source: Efron & Tibshirani (1993), chapter 11; with groups as the unit, for cases of a group are alike.
    """
    return jackknife_variance(without_each(table))


def without_each(table: LifeTable) -> np.ndarray:
    """The share won by each age without one group after the other; shape (groups, ages)."""
    groups = table.won.shape[0]
    return incidence(table, np.ones((groups, groups)) - np.eye(groups))[0]


def jackknife_variance(left_out: np.ndarray) -> np.ndarray:
    """The variance of an estimate from its values without one group after the other, along the first axis."""
    groups = len(left_out)
    return np.asarray((groups - 1) / groups * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))


def sums_change(
    now: pd.DataFrame, then: pd.DataFrame, pace: float = 1.0, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The relative change of sums of amounts from one time to another, and its bounds: cases come by chance, each with its amount.

    The logarithm of a sum of so many amounts has the variance sum of squares over the squared sum. No change is known where nothing
    was then, and no bounds with fewer than 10 amounts on either side.

    Parameters
    ----------
    now, then : DataFrame
        Row by row the same: bookings (the sum), squares (of the amounts), valued (how many amounts).
    pace : float
        Days of then over days of now.

    Examples
    --------
    >>> sums = pd.DataFrame({"bookings": [20.0, 20.0], "squares": [20.0, 80.0], "valued": [20, 5]})
    >>> [part.round(2).tolist() for part in sums_change(sums, sums.assign(bookings=[10.0, 10.0]))]
    [[1.0, 1.0], [-0.25, nan], [4.33, nan]]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (now["bookings"] / then["bookings"] * pace).where(then["bookings"] > 0).to_numpy("float64")
        error = np.sqrt((now["squares"] / now["bookings"] ** 2 + then["squares"] / then["bookings"] ** 2).to_numpy())
        error = np.where((now["valued"] >= AMOUNTS) & (then["valued"] >= AMOUNTS), error, np.nan)
        reach = np.exp(t_quantile(np.inf, level) * error)
    return ratio - 1, ratio / reach - 1, ratio * reach - 1


def t_quantile(df: float, level: float = LEVEL) -> float:
    """How many standard errors the middle `level` of Student's t reaches."""
    from scipy.stats import t

    return float(t.ppf(0.5 + level / 2, df))


def share_interval(
    share: np.ndarray, variance: np.ndarray, df: int, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """An interval for shares by Student's t on the log(-log) scale, so that it stays within 0 to 1.

    Source: Kalbfleisch & Prentice (2002), section 1.4.

    Parameters
    ----------
    share, variance : ndarray (ages,)
    df : int
        Degrees of freedom of the variance.
    """
    inside = np.clip(share, 1e-12, 1 - 1e-12)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        shift = t_quantile(df, level) * np.sqrt(variance) / (inside * np.abs(np.log(inside)))
        centre = np.log(-np.log(inside))
        lower, upper = np.exp(-np.exp(centre + shift)), np.exp(-np.exp(centre - shift))
    nothing = (share <= 0) | (share >= 1) | (variance <= 0) | ~np.isfinite(shift)
    return np.where(nothing, np.nan, lower), np.where(nothing, np.nan, upper)


def quantile_interval(draws: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """The middle `level` of bootstrap draws along the first axis; missing where more than 1 in 5 could not be computed."""
    useless = np.isnan(draws).mean(axis=0) > 0.2
    known = np.where(useless, 0.0, draws)
    lower, upper = np.nanquantile(known, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    return np.where(useless, np.nan, lower), np.where(useless, np.nan, upper)


def mean_open(won: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """The mean time a case is open within the ages of the curves, in days; one still open at the last age counts to it.

    Examples
    --------
    >>> mean_open(np.array([0.0, 0.5, 0.5]), np.array([0.0, 0.0, 0.25])).item()
    1.5
    """
    return (1 - won - lost)[..., :-1].sum(axis=-1)


def first_age(curve: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The first age at which each curve reaches a share; missing where it never does.

    >>> first_age(np.array([[0.0, 0.2, 0.5], [0.0, 0.0, 0.0]]), np.array([0.2, 0.1])).tolist()
    [1.0, nan]
    """
    reached = curve >= np.asarray(share)[..., None] - 1e-12
    return np.where(reached.any(axis=-1), reached.argmax(axis=-1), np.nan)


def _at_risk(entered: np.ndarray, left: np.ndarray) -> np.ndarray:
    gone = np.concatenate([np.zeros((*left.shape[:-1], 1)), np.cumsum(left, axis=-1)[..., :-1]], axis=-1)
    return np.cumsum(entered, axis=-1) - gone
