"""Which series add up to which: the nodes of company, region, product and so on over a set of bottom series, and their totals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from salesforecast.errors import DataError, unknown
from salesforecast.forecasting.series import ALL, BETWEEN


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
        One row per bottom series: series, and the group columns (as `keys` gives them).
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
        raise DataError(
            f"{len(missing)} bottom series of the hierarchy have no values, e.g. {missing[0]!r}; leave them out of the keys."
        )
    values = wide[structure.bottom]
    sums = values.fillna(0.0).to_numpy() @ structure.sums.T
    there = values.notna().to_numpy() @ structure.sums.T > 0
    out = pd.DataFrame(np.where(there, sums, np.nan), index=wide.index, columns=structure.names)
    long = out.T.stack().rename_axis(["series", "period"]).rename("value").reset_index()
    return long[long["value"].notna()].reset_index(drop=True)


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
