"""Coherent roll-ups: sample paths of company, region, product and so on that add up in every draw.

Forecasts of each node on its own do not add up. Reconciliation moves them, as little as the errors of the past suggest, to the
nearest set that does: with y = S b for the sums S of the bottom series b, and W the covariance of the forecast errors,
b~ = (S' W^-1 S)^-1 S' W^-1 y^ (MinT, Wickramasuriya, Athanasopoulos & Hyndman 2019), for every draw of the paths
(Panagiotelis et al. 2023). Bounds are never reconciled: they are quantiles of the reconciled paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd

from salesforecast.errors import DataError, SettingError, TooLittleData, unknown

ALL = "all"
BETWEEN = " · "
LEAST = 8  # past origins, below which no covariance is estimated
Method = Literal["mint", "structural", "bottom_up"]


@dataclass(frozen=True)
class Structure:
    """Which node is the sum of which bottom series.

    Parameters
    ----------
    nodes : DataFrame
        series, level (names of the columns it is of, joined by " · "), bottom (is it a bottom series); the total first, the
        bottom series last.
    sums : ndarray (nodes, bottom series)
        1 where the bottom series is part of the node.
    """

    nodes: pd.DataFrame
    sums: np.ndarray

    @property
    def names(self) -> list[str]:
        """The nodes, the total first."""
        return list(self.nodes["series"])

    @property
    def bottom(self) -> list[str]:
        """The bottom series, in the order of the columns of `sums`."""
        return self.names[len(self.nodes) - self.sums.shape[1] :]


def structure(keys: pd.DataFrame, levels: Iterable[Sequence[str]] | None = None) -> Structure:
    """The sums that a set of bottom series has, by its group columns.

    The columns need not form a tree: region and product cross, and sums by region, by product and in total are all nodes.

    Parameters
    ----------
    keys : DataFrame
        One row per bottom series: series, and the group columns (as `series.keys` gives them).
    levels : iterable of sequences of str, optional
        The groupings that are wanted beside total and bottom. Without it: every combination of the columns, save those that
        only repeat another since a column lies within another (a region in one state only).

    Returns
    -------
    Structure
        A node is named by its values joined by " · "; by column and value ("team: North") where two levels share a name.

    Examples
    --------
    >>> keys = pd.DataFrame({"series": ["N · A", "N · B", "S · A"], "region": ["N", "N", "S"], "product": ["A", "B", "A"]})
    >>> structure(keys).names
    ['all', 'N', 'S', 'A', 'B', 'N · A', 'N · B', 'S · A']
    """
    columns = [c for c in keys.columns if c != "series"]
    if "series" not in keys:
        raise unknown("column", "series", keys.columns)
    if not columns or keys.empty:
        raise DataError("A hierarchy needs bottom series with at least one group column beside 'series'.")
    if keys["series"].duplicated().any():
        raise DataError(
            f"The bottom series {keys.loc[keys['series'].duplicated(), 'series'].iloc[0]!r} is there twice."
        )
    wanted = list(levels) if levels is not None else _distinct(keys, columns)
    for column in (c for level in wanted for c in level):
        if column not in columns:
            raise unknown("group column", column, columns)
    found: list[tuple[str, str, np.ndarray, str]] = [(ALL, "total", np.ones(len(keys)), ALL)]
    for level in wanted:
        for values, rows in keys.groupby(list(level), sort=True, dropna=False).indices.items():
            values = values if isinstance(values, tuple) else (values,)
            part = np.zeros(len(keys))
            part[rows] = 1.0
            long = BETWEEN.join(f"{c}: {v}" for c, v in zip(level, values, strict=True))
            found.append((BETWEEN.join(map(str, values)), BETWEEN.join(level), part, long))
    names = pd.Series([name for name, *_ in found] + list(keys["series"]))
    shared = set(names[names.duplicated()])
    rows = [(long if name in shared and name != ALL else name, level, False) for name, level, _, long in found]
    rows += [(name, "bottom", True) for name in keys["series"]]
    nodes = pd.DataFrame(rows, columns=["series", "level", "bottom"])
    if nodes["series"].duplicated().any():
        twice = nodes.loc[nodes["series"].duplicated(), "series"].iloc[0]
        raise DataError(f"Two nodes would be named {twice!r}; rename that value or that bottom series.")
    return Structure(nodes, np.vstack([*(part for *_, part, _ in found), np.eye(len(keys))]))


def totals(series: pd.DataFrame, structure: Structure) -> pd.DataFrame:
    """The series of every node, from those of the bottom.

    Before a bottom series begins it adds nothing; a node begins with the first of its parts.

    Parameters
    ----------
    series : DataFrame
        series, period, value; all bottom series of the structure, others are left out.
    structure : Structure

    Returns
    -------
    DataFrame
        series, period, value; in the order of the structure's nodes.
    """
    wide = series.pivot(index="period", columns="series", values="value")
    missing = [name for name in structure.bottom if name not in wide]
    if missing:
        raise DataError(f"{len(missing)} bottom series of the hierarchy have no values, e.g. {missing[0]!r}.")
    values = wide[structure.bottom]
    sums = values.fillna(0.0).to_numpy() @ structure.sums.T
    there = values.notna().to_numpy() @ structure.sums.T > 0
    out = pd.DataFrame(np.where(there, sums, np.nan), index=wide.index, columns=structure.names)
    long = out.T.stack().rename_axis(["series", "period"]).rename("value").reset_index()
    return long[long["value"].notna()].reset_index(drop=True)


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
    bottom series in a node, which needs no past; "bottom_up" takes the bottom paths and adds them up. With fewer than 8 past
    origins "mint" falls back to "structural", and the column `method` says so.

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
        they reach. "mint" needs it; without it the draws are joined by their numbers, as if the nodes were independent.
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
        When a node has no paths or no errors, or the errors do not reach as far as the paths.

    Source: Wickramasuriya, Athanasopoulos & Hyndman (2019); Schäfer & Strimmer (2005) for the shrinkage; Panagiotelis et al.
    (2023) for paths.
    """
    if method not in ("mint", "structural", "bottom_up"):
        raise unknown("method", method, ("mint", "structural", "bottom_up"))
    if method == "mint" and errors is None:
        raise TooLittleData("'mint' needs past errors: give `errors`, or take 'structural', which needs none.")
    horizons = sorted(paths["horizon"].unique())
    past = None if errors is None else _past(errors, structure, method, horizons)
    if past is not None and len(past.whole) < LEAST:
        past, method = None, "structural" if method == "mint" else method
    out = []
    for (model, origin), part in paths.groupby(["model", "origin"], sort=False):
        values, periods = _cube(part, structure, method)
        if past is not None:
            values = reordered(values, past.whole, np.random.default_rng(seed))
        bottom = bottom_of(values, structure, method, past)
        if non_negative:
            bottom = without_negatives(bottom)
        sums = np.einsum("ij,jnh->inh", structure.sums, bottom, optimize=True)
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


def _distinct(keys: pd.DataFrame, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Combinations of columns that group the bottom series each in its own way, neither all in one nor each alone."""
    out, seen = [], set()
    for size in range(1, len(columns) + 1):
        for level in combinations(columns, size):
            group = keys.groupby(list(level), sort=False, dropna=False).ngroup().to_numpy()
            if group.tobytes() not in seen and 1 < len(set(group)) < len(keys):
                seen.add(group.tobytes())
                out.append(level)
    return out


# ---- on arrays ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Past:
    """Errors of past forecasts.

    Parameters
    ----------
    cases : ndarray (cases, nodes)
        Errors of all horizons, each node's in the size it has at the first.
    origins : int
        How many of the cases are worth counting: errors of several horizons of one origin overlap and are one.
    whole : ndarray (origins, horizons, nodes)
        Errors of size 1 from the origins that have all horizons.
    """

    cases: np.ndarray
    origins: int
    whole: np.ndarray


def bottom_of(
    values: np.ndarray, structure: Structure, method: Method = "mint", past: Past | None = None
) -> np.ndarray:
    """The bottom values of the nearest draws that add up.

    Parameters
    ----------
    values : ndarray (nodes, draws, horizons)
    structure : Structure
    method : str
    past : Past
        For "mint".

    Returns
    -------
    ndarray (bottom series, draws, horizons)
    """
    m = structure.sums.shape[1]
    if method == "bottom_up":
        return values[-m:]
    weights = _mint(structure, past) if method == "mint" and past is not None else _structural(structure)
    return np.einsum("ij,jnh->inh", weights, values, optimize=True)


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
    n = len(cases)
    scaled = _scaled(cases)
    r = scaled.T @ scaled / n
    variance = n**2 / (n - 1) ** 3 * ((scaled**2).T @ (scaled**2) / n - r**2) * n / (origins or n)
    off = ~np.eye(len(r), dtype=bool)
    squares = (r[off] ** 2).sum()
    return float(np.clip(variance[off].sum() / squares, 0.0, 1.0)) if squares > 0 else 1.0


def _scaled(errors: np.ndarray) -> np.ndarray:
    """Errors of variance 1 about 0, which is what a forecast aims at."""
    size = np.sqrt((errors**2).mean(axis=0))
    return errors / np.where(size > 0, size, 1.0)


def _mint(structure: Structure, past: Past) -> np.ndarray:
    size = np.sqrt((past.cases**2).mean(axis=0))
    size = np.maximum(size, 1e-6 * (size.max() or 1.0))  # a node that was never wrong is not infinitely sure
    scaled = past.cases / size
    r = (1 - shrinkage(past.cases, past.origins)) * scaled.T @ scaled / len(scaled)
    np.fill_diagonal(r, 1.0)
    return _projected(structure, r * np.outer(size, size))


def _structural(structure: Structure) -> np.ndarray:
    return _projected(structure, np.diag(structure.sums.sum(axis=1)))


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


def _past(errors: pd.DataFrame, structure: Structure, method: Method, horizons: Sequence[int]) -> Past:
    names = structure.bottom if method == "bottom_up" else structure.names
    missing = sorted(set(names) - set(errors["series"]))
    if missing:
        raise DataError(f"{len(missing)} nodes have no past errors, e.g. {missing[0]!r}; backtest them all.")
    reach, wanted = int(errors["horizon"].max()), int(max(horizons))
    if reach < wanted:
        raise DataError(
            f"The past errors reach {reach} periods ahead and the paths {wanted}; backtest with h={wanted}."
        )
    wide = errors.pivot(index=["horizon", "origin"], columns="series", values="error")[names].dropna()
    by_horizon = {h: wide.xs(h, level="horizon") for h in horizons if h in wide.index.get_level_values("horizon")}
    if len(by_horizon) < len(horizons):
        raise TooLittleData(
            f"At no past origin do all nodes have an error {wanted} periods ahead; {LEAST} origins would do."
        )
    unit = {h: pd.DataFrame(_scaled(e.to_numpy()), index=e.index) for h, e in by_horizon.items()}
    first = by_horizon[horizons[0]]
    every = sorted(set.intersection(*(set(e.index) for e in unit.values())))
    whole = np.stack([unit[h].loc[every].to_numpy() for h in horizons], axis=1)
    size = np.sqrt((first.to_numpy() ** 2).mean(axis=0))
    return Past(np.vstack([e.to_numpy() for e in unit.values()]) * size, len(first), whole)


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
