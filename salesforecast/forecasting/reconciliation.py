"""Sample paths of a hierarchy's nodes, moved to add up in every draw, with ranges as wide as they had to be in the past.

Forecasts of each node on its own do not add up. Reconciliation moves them, as little as the errors of the past suggest, to the
nearest set that does: with y = S b for the sums S of the bottom series b, and W the covariance of the forecast errors,
b~ = (S' W^-1 S)^-1 S' W^-1 y^ (MinT, Wickramasuriya, Athanasopoulos & Hyndman 2019), for every draw of the paths
(Panagiotelis et al. 2023). Bounds are never reconciled: they are quantiles of the reconciled paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from salesforecast.errors import DataError, SettingError, TooLittleData, unknown
from salesforecast.forecasting.hierarchy import Structure

LEAST = 8  # past origins, below which no covariance is estimated
FOLDS = 4  # blocks of past origins, each reconciled with weights learnt from the others
LEVEL = 0.8  # the range whose past coverage sets the width
Method = Literal["mint", "structural", "bottom_up"]


def past_errors(backtest: pd.DataFrame, series: pd.DataFrame) -> pd.DataFrame:
    """What came minus what was forecast, at each past origin: what `reconcile` learns the covariance from.

    Parameters
    ----------
    backtest : DataFrame
        A frame of forecasts of one model with past origins: series, origin, period, horizon, mean.
    series : DataFrame
        series, period, value.

    Returns
    -------
    DataFrame
        series, origin, horizon, error (of the units of the series); only periods that have an actual.
    """
    if "model" in backtest and backtest["model"].nunique() > 1:
        raise SettingError(f"The errors are of {backtest['model'].nunique()} models; take those of one.")
    once = backtest.drop_duplicates(["series", "origin", "period"])  # a frame with several levels repeats its means
    both = once.merge(series, on=["series", "period"], validate="many_to_one")
    return both.assign(error=both["value"] - both["mean"])[["series", "origin", "horizon", "error"]]


def reconcile(
    paths: pd.DataFrame,
    structure: Structure,
    *,
    method: Method = "mint",
    errors: pd.DataFrame | None = None,
    non_negative: bool = True,
    seed: int = 0,
) -> pd.DataFrame:
    """The paths of all nodes, moved to add up in every draw.

    Draws of different nodes are made one by one and know nothing of each other. So first, at each horizon, each node's values are
    put in the order that past errors had, across nodes and horizons (see `reordered`): the total of series that err together
    is less sure. Then each draw is projected: "mint" by the shrunk covariance of the past errors; "structural" by the number of
    bottom series in a node, which needs no past; "bottom_up" takes the bottom paths and adds them up. At last all draws are made
    wider or narrower around their mean by one factor, with which the 80% ranges of all nodes together would have held 80% of
    the past (see `width`). With fewer than 8 past origins "mint" falls back to "structural", the past is not used, and the
    column `method` says so. That a few nodes are younger than that, as a new product, takes the past from no other: what is
    not known of their errors is drawn, as large as their paths are wide and without regard to the others (see
    `with_young`).

    Non-negative: each draw's bottom values below 0 become 0, the ones above are scaled so that its total stays, and the sums are
    made anew from these. It is exact in the sums and keeps the total, where the quadratic programme costs far more for the same
    accuracy (Di Fonzo & Girolimetto 2023).

    Parameters
    ----------
    paths : DataFrame
        series, model, origin, period, horizon, path, value; of one or more models and one or more origins, every node of the
        structure with the same number of paths ("bottom_up": every bottom series).
    structure : Structure
    method : str
        "mint", "structural" or "bottom_up".
    errors : DataFrame, optional
        series, origin, horizon, error, as `past_errors` gives it, from before the origin of the paths, and as far ahead as
        they reach. "mint" needs it; without it the draws are joined by their numbers, as if the nodes were independent, and
        their ranges stay as they come out.
    non_negative : bool
        For amounts and counts; False where values below 0 have a meaning.
    seed : int
        For the order of the draws.

    Returns
    -------
    DataFrame
        The columns of `paths` and `method` (what was done); every node, its value the sum of the bottom values to 1e-9 of it.

    Raises
    ------
    TooLittleData
        When "mint" is given no past errors at all.
    DataError
        When a node has no paths, when it has no errors while a part of it has some, or when the errors do not reach as far as
        the paths.

    Source: Wickramasuriya, Athanasopoulos & Hyndman (2019); Schäfer & Strimmer (2005) for the shrinkage; Panagiotelis et al.
    (2023) for paths; Vovk (2015) for cross-conformal widths.
    """
    if method not in ("mint", "structural", "bottom_up"):
        raise unknown("method", method, ("mint", "structural", "bottom_up"))
    if method == "mint" and errors is None:
        raise TooLittleData("'mint' needs past errors: give `errors`, or take 'structural', which needs none.")
    horizons = sorted(paths["horizon"].unique())
    past = (
        None if errors is None else _past(errors, structure, method, horizons, paths, np.random.default_rng(seed + 1))
    )
    if past is not None and len(past.whole) < LEAST:
        past, method = None, "structural" if method == "mint" else method
    out = []
    for (model, origin), part in paths.groupby(["model", "origin"], sort=False):
        values, periods = _cube(part, structure, method)
        if past is not None:
            values = reordered(values, past.whole, np.random.default_rng(seed))
        bottom = bottom_of(values, structure, method, past)
        if past is not None:
            mean = bottom.mean(axis=1, keepdims=True)
            bottom = mean + width(bottom - mean, structure, method, past) * (bottom - mean)
        if non_negative:
            bottom = without_negatives(bottom)
        sums = _times(structure.sums, bottom)
        nodes, n, h = sums.shape
        out.append(pd.DataFrame({
            "series": np.repeat(structure.names, n * h), "model": model, "origin": origin,
            "period": np.tile(periods, nodes * n), "horizon": np.tile(horizons, nodes * n),
            "path": np.tile(np.repeat(np.arange(n), h), nodes), "value": sums.ravel(), "method": method,
        }))  # fmt: skip
    return pd.concat(out, ignore_index=True)


def bottom_up(paths: pd.DataFrame, structure: Structure, *, errors: pd.DataFrame | None = None) -> pd.DataFrame:
    """The bottom paths, added up; with the past `errors` of the bottom series in the order these had. See `reconcile`."""
    return reconcile(paths, structure, method="bottom_up", errors=errors)


# ---- on arrays ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Past:
    """Errors of past forecasts.

    Parameters
    ----------
    errors : ndarray (origins, horizons, nodes)
        What came minus what was forecast; NaN, for all nodes, at horizons that had not come.
    """

    errors: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """The root of the mean squared error (horizons, nodes): a forecast aims at errors of 0."""
        return np.sqrt(np.nanmean(self.errors**2, axis=0))

    @property
    def unit(self) -> np.ndarray:
        """The errors in units of their size."""
        return self.errors / np.where(self.size > 0, self.size, 1.0)

    @property
    def whole(self) -> np.ndarray:
        """Errors of size 1 from the origins that have all horizons."""
        return self.unit[~np.isnan(self.errors).any(axis=(1, 2))]

    @property
    def cases(self) -> np.ndarray:
        """Errors of all horizons (cases, nodes), each node's in the size it has at the first."""
        every = self.unit.reshape(-1, self.errors.shape[2])
        return every[~np.isnan(every).any(axis=1)] * self.size[0]

    @property
    def origins(self) -> int:
        """How many of the cases are worth counting: errors of several horizons of one origin overlap and are one."""
        return int((~np.isnan(self.errors[:, 0, 0])).sum())


def bottom_of(
    values: np.ndarray, structure: Structure, method: Method = "mint", past: Past | None = None
) -> np.ndarray:
    """The bottom values of the nearest draws that add up.

    Parameters
    ----------
    values : ndarray (nodes, draws, horizons)
        "bottom_up" looks at the bottom series only, which are the last.
    structure : Structure
    method : str
    past : Past
        For "mint".

    Returns
    -------
    ndarray (bottom series, draws, horizons)
    """
    weights = _weights(structure, method, past)
    return _times(weights, values[-weights.shape[1] :])


def width(apart: np.ndarray, structure: Structure, method: Method, past: Past) -> float:
    """By which factor the draws have to lie further from their mean, so that their 80% ranges would have held 80% of the past.

    The errors that reconciled forecasts would have made are counted in half-widths of today's ranges, those of all nodes, origins
    and horizons together; the factor is their 80% quantile. Weights learnt from the same errors would make them look small, so
    each quarter of the origins is reconciled with the weights learnt from the other three. One factor for all leaves the
    sums as they are; one for each level did no better on past origins.

    Parameters
    ----------
    apart : ndarray (bottom series, draws, horizons)
        Reconciled draws less their mean.
    structure, method, past
        As for `bottom_of`.

    Source: Vovk (2015), cross-conformal prediction.
    """
    missed = np.empty((*past.errors.shape[:2], len(structure.nodes)))
    origins = np.arange(len(past.errors))
    for block in np.array_split(origins, FOLDS):
        weights = _weights(structure, method, Past(np.delete(past.errors, block, axis=0)))
        missed[block] = past.errors[block] @ (structure.sums @ weights).T
    half = np.quantile(np.abs(_times(structure.sums, apart)), LEVEL, axis=1).T
    in_halves = np.abs(missed) / np.where(half > 0, half, np.nan)
    return float(np.nanquantile(in_halves, LEVEL)) if (~np.isnan(in_halves)).any() else 1.0


def without_negatives(bottom: np.ndarray) -> np.ndarray:
    """Bottom values of at least 0 with the total of each draw kept, or 0 where that is below.

    Examples
    --------
    >>> without_negatives(np.array([4.0, 2.0, -3.0])[:, None, None])[:, 0, 0].tolist()
    [2.0, 1.0, 0.0]
    """
    total = np.maximum(bottom.sum(axis=0), 0.0)
    above = np.maximum(bottom, 0.0)
    of = above.sum(axis=0)
    return above * np.divide(total, of, out=np.zeros_like(of), where=of > 0)


def reordered(values: np.ndarray, whole: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same values of each node at each horizon, joined into draws as past errors were, across nodes and horizons.

    Each draw mixes the past errors with normal weights, which gives it their correlations; the values take the ranks of these
    mixtures (a Gaussian copula in the place of the past ranks themselves of Clark et al. 2004). The correlations are not
    shrunk: the weak ones of many small series are what makes their sum unsure.

    Parameters
    ----------
    values : ndarray (nodes, draws, horizons)
    whole : ndarray (origins, horizons, nodes)
    rng : Generator
    """
    origins, h, nodes = whole.shape
    mixed = rng.standard_normal((values.shape[1], origins)) @ whole.reshape(origins, h * nodes)
    rank = mixed.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable").reshape(-1, h, nodes)
    return np.take_along_axis(np.sort(values, axis=1), rank.transpose(2, 0, 1), axis=1)


def shrinkage(cases: np.ndarray, origins: int | None = None) -> float:
    """How far the correlations of errors are shrunk to 0: the sum of their estimated variances over that of their squares.

    Parameters
    ----------
    cases : ndarray (cases, nodes)
    origins : int, optional
        How many of the cases are independent of each other; all, where it is not given.

    Source: Schäfer & Strimmer (2005), section 2, target D; with errors about 0.
    """
    n, scaled = len(cases), Past(cases[:, None]).unit[:, 0]
    r = scaled.T @ scaled / n
    variance = n**2 / (n - 1) ** 3 * ((scaled**2).T @ (scaled**2) / n - r**2) * n / (origins or n)
    off = ~np.eye(len(r), dtype=bool)
    squares = (r[off] ** 2).sum()
    return float(np.clip(variance[off].sum() / squares, 0.0, 1.0)) if squares > 0 else 1.0


def _times(weights: np.ndarray, draws: np.ndarray) -> np.ndarray:
    return np.einsum("ij,jnh->inh", weights, draws, optimize=True)


def _weights(structure: Structure, method: Method, past: Past | None) -> np.ndarray:
    """What the bottom values are made of: (bottom series, nodes); of themselves for "bottom_up"."""
    if method == "bottom_up":
        return np.eye(structure.sums.shape[1])
    if method == "structural" or past is None:
        return _projected(structure, np.diag(structure.sums.sum(axis=1)))
    cases = past.cases
    size = np.sqrt((cases**2).mean(axis=0))
    size = np.maximum(size, 1e-6 * (size.max() or 1.0))  # a node that was never wrong is not infinitely sure
    scaled = cases / size
    r = (1 - shrinkage(cases, past.origins)) * scaled.T @ scaled / len(scaled)
    np.fill_diagonal(r, 1.0)
    return _projected(structure, r * np.outer(size, size))


def _projected(structure: Structure, w: np.ndarray) -> np.ndarray:
    # b~ = b^ - W_b U (U' W U)^-1 U' y^ with U' = [I, -A]: the same as the formula with W^-1, which need not exist
    from scipy.linalg import solve

    m = structure.sums.shape[1]
    upper = len(structure.nodes) - m
    gap = np.hstack([np.eye(upper), -structure.sums[:upper]])
    wu = w @ gap.T
    middle = gap @ wu
    middle[np.diag_indices(upper)] += 1e-12 * np.trace(middle) / upper
    take = np.zeros((m, len(structure.nodes)))
    take[:, upper:] = np.eye(m)
    return take - wu[upper:] @ solve(middle, gap, assume_a="pos")


def young(cube: np.ndarray) -> np.ndarray:
    """Which nodes began lately: with errors at all horizons from fewer than 8 origins, while another has them from 8."""
    enough = (~np.isnan(cube)).all(axis=1).sum(axis=0) >= LEAST
    return ~enough & enough.any()


def with_young(cube: np.ndarray, spread: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The errors of the young nodes filled up, at the origins where all others have theirs.

    What is missing is drawn from a normal distribution about 0; so their ranges keep their size, and nothing is learnt of what
    they go with.

    Parameters
    ----------
    cube : ndarray (origins, horizons, nodes)
        NaN where a forecast was not made or has not come.
    spread : ndarray (horizons, nodes)
        The standard deviation of each node's paths.
    rng : Generator
    """
    known = ~np.isnan(cube)
    there = known[:, :, ~young(cube)].all(axis=2)[:, :, None]
    return np.where(there & ~known, spread * rng.standard_normal(cube.shape), cube)


def _past(
    errors: pd.DataFrame, structure: Structure, method: Method, horizons: Sequence[int], paths: pd.DataFrame,
    rng: np.random.Generator,
) -> Past:  # fmt: skip
    names = structure.bottom if method == "bottom_up" else structure.names
    known = set(errors["series"])
    begun = structure.sums @ np.array([name in known for name in structure.bottom]) > 0
    missing = sorted((set(structure.nodes["series"][begun]) or set(names)).intersection(names) - known)
    if missing:
        raise DataError(f"{len(missing)} nodes have no past errors, e.g. {missing[0]!r}; backtest them all.")
    reach, wanted = int(errors["horizon"].max()), int(max(horizons))
    if reach < wanted:
        raise DataError(
            f"The past errors reach {reach} periods ahead and the paths {wanted}; backtest with h={wanted}."
        )
    wide = errors.pivot(index="origin", columns=["horizon", "series"], values="error")
    cells = wide.reindex(columns=pd.MultiIndex.from_product([horizons, names])).to_numpy()
    cube = cells.reshape(len(wide), len(horizons), len(names))
    if young(cube).any():
        of_each = paths.groupby(["model", "origin", "horizon", "series"])["value"].std()
        spread = of_each.groupby(["horizon", "series"]).mean().unstack().reindex(index=horizons, columns=names)
        cube = with_young(cube, spread.to_numpy(), rng)
    there = ~np.isnan(cube).any(axis=2)
    if not there.any(axis=0).all():
        raise TooLittleData(
            f"At no past origin do all nodes have an error {wanted} periods ahead; {LEAST} origins would do."
        )
    return Past(np.where(there[:, :, None], cube, np.nan)[there.any(axis=1)])


def _cube(part: pd.DataFrame, structure: Structure, method: Method) -> tuple[np.ndarray, np.ndarray]:
    """Paths as nodes x draws x horizons ("bottom_up": of the bottom series), and their periods."""
    wide = part.pivot(index="series", columns=["path", "horizon"], values="value").sort_index(axis=1)
    names = structure.bottom if method == "bottom_up" else structure.names
    missing = [name for name in names if name not in wide.index]
    if missing:
        raise DataError(f"{len(missing)} series of the hierarchy have no paths, e.g. {missing[0]!r}.")
    when = part.drop_duplicates("horizon").sort_values("horizon")["period"].to_numpy()
    values = wide.loc[names].to_numpy()
    if values.shape[1] % len(when) or np.isnan(values).any():
        raise DataError("The series of the hierarchy have different numbers of paths, or paths with gaps.")
    return values.reshape(len(names), -1, len(when)), when
