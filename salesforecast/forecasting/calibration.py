"""Intervals and paths from the errors that the same forecasts made at past origins: conformal calibration per horizon.

One pass of a point model gives its forecasts from every past origin. Their errors, whole paths over the horizons, are
divided by a scale known at the origin and by the typical size that the series' own scaled errors have; what is left is
alike across series and goes into one pool. A forecast's sample paths are the point forecast plus paths drawn from the
pool, made as large as the series' own errors are. So the marginals of the paths are the quantiles of the interval, and errors
keep together over horizons as they did in the past.

Source: split conformal prediction (Vovk, Gammerman & Shafer 2005; Xu & Xie 2021 for series), pooled over series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from joblib import Parallel, delayed

from salesforecast.forecasting.panel import Panel, Streams
from salesforecast.forecasting.seasonal import is_seasonal, mean_change
from salesforecast.forecasting.smoothing import Columns
from salesforecast.formats import plural

CHUNK = 256  # series that are worked on side by side
SEASONS = 6  # seasons of past origins
ORIGINS = (
    24,
    72,
)  # at least so many origins are looked at, where there are; more than the second number are thinned out
PRIOR = 3.0  # windows of h periods that the typical spread of all series counts for, beside the series' own
SHARE = 0.4  # of a series that an origin needs behind it
STRICT = 2.0  # power of a member's error in its weight, where its past is long
ENOUGH = 20  # error paths in a pool, below which it cannot carry an interval
POOL = 4000  # error paths kept in a pool


class Points(Protocol):
    """A model of point forecasts for columns of series: what it learns from them, and its forecasts from past origins."""

    def learn(self, columns: Columns, m: int, seasonal: np.ndarray) -> Any:
        """The parameters, from all that is seen."""
        ...

    def rolling(
        self, columns: Columns, m: int, seasonal: np.ndarray, h: int, origins: np.ndarray, learnt: Any
    ) -> np.ndarray:
        """Forecasts (origins, h, series), NaN where the model cannot say."""
        ...


@dataclass(frozen=True)
class Chunk:
    """Some series of one kind, the models that forecast them, and what these have learnt."""

    kind: str
    columns: Columns  # its order: which series of the panel each column is
    m: int
    seasonal: np.ndarray
    members: tuple[Points, ...]
    learnt: tuple[Any, ...]


@dataclass(frozen=True)
class _Ahead:
    """What a chunk says about the next h periods; arrays by column."""

    point: np.ndarray  # (series, h)
    scale: np.ndarray  # (series,) known at the origin
    spread: np.ndarray  # (series,) mean absolute scaled error of the past; NaN without a past origin
    windows: np.ndarray  # (series,) how many windows of h periods that rests on
    errors: np.ndarray  # (paths, h) scaled errors over the spread
    change: np.ndarray  # (series,) mean absolute change from one period to the next


def learn(panel: Panel, members: dict[str, tuple[Points, ...]], kinds: np.ndarray) -> tuple[Chunk, ...]:
    """The models of each kind of series, learnt in chunks that `joblib.parallel_config` may spread."""
    tasks = []
    for kind in sorted(set(kinds)):
        rows = np.flatnonzero(kinds == kind)
        rows = rows[np.argsort(panel.lengths[rows], kind="stable")]  # series of one length side by side
        for i in range(0, len(rows), CHUNK):
            tasks.append((kind, rows[i : i + CHUNK]))
    return tuple(
        Parallel()(delayed(_learn)(kind, panel.values[rows], rows, panel.season, members[kind]) for kind, rows in tasks)
    )


def _learn(kind: str, values: np.ndarray, rows: np.ndarray, m: int, members: tuple[Points, ...]) -> Chunk:
    columns = Columns.of(
        values[:, np.isnan(values).sum(axis=1).min() // m * m :]
    )  # without seasons in which no series was there
    seasonal = is_seasonal(columns, m)
    learnt = tuple(member.learn(columns, m, seasonal) for member in members)
    return Chunk(kind, Columns(columns.y, columns.start, rows[columns.order]), m, seasonal, members, learnt)


def origins_of(periods: int, m: int, h: int) -> np.ndarray:
    """The past origins (periods seen) that leave h periods to compare with, latest last: six seasons of them, thinned to 72."""
    least, most = ORIGINS
    first = max(periods - h - max(SEASONS * m, least) + 1, 1)
    past = np.arange(first, periods - h + 1)
    return past[::-1][:: max(-(-len(past) // most), 1)][::-1]


def combined(chunk: Chunk, h: int, origins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The members' weighted mean from each origin and what came then, both (origins, h, series).

    Weights are one over the member's mean absolute error at the past origins, drawn towards equal ones where these are
    few. Forecasts are kept within four times the range seen, and from falling below 0 where no value ever did.
    """
    y, start = chunk.columns.y, chunk.columns.start
    low, high = np.nanmin(y, axis=0), np.nanmax(y, axis=0)
    reach = 4 * (high - low)
    floor = np.where(low >= 0, 0.0, low - reach)
    said = np.stack(
        [
            member.rolling(chunk.columns, chunk.m, chunk.seasonal, h, origins, own)
            for member, own in zip(chunk.members, chunk.learnt, strict=True)
        ]
    )
    said = np.where(np.isnan(said), np.nan, np.clip(said, np.maximum(floor, low - reach), high + reach))
    came = np.full(said.shape[1:], np.nan)
    past = origins + h <= len(y)
    came[past] = y[origins[past][:, None] + np.arange(h)]
    # An origin with little behind it errs more than the last one will.
    long = np.maximum(np.where(chunk.seasonal, 2 * chunk.m, 5), SHARE * (len(y) - start))
    counts = np.asarray(origins[:, None] - start[None] >= long[None])
    came = np.where(counts[:, None], came, np.nan)
    weights = np.ones((len(said), y.shape[1]))
    if len(said) > 1:
        wrong = np.abs(said - came)
        there = ~np.isnan(wrong)
        count = there.sum(axis=(1, 2))
        mean = np.where(there, wrong, 0.0).sum(axis=(1, 2)) / np.maximum(count, 1)
        mean = np.where(count > 0, mean, np.nan)
        typical = np.nan_to_num(np.nanmean(np.where(count > 0, mean, 0.0), axis=0))
        windows = count.max(axis=0) / h**2
        power = STRICT * windows / (windows + 1)
        ratio = np.where((count > 0) & (typical > 0), mean / np.where(typical > 0, typical, 1), 1.0)
        weights = np.maximum(ratio, 1e-3) ** -power
    there = ~np.isnan(said)
    share = np.where(there, weights[:, None, None], 0.0)
    with np.errstate(invalid="ignore"):
        mean = (share * np.where(there, said, 0.0)).sum(axis=0) / share.sum(axis=0)
    return mean, came


def _ahead(chunk: Chunk, h: int) -> _Ahead:
    y, m = chunk.columns.y, chunk.m
    origins = np.append(origins_of(len(y), m, h), len(y))
    point, came = combined(chunk, h, origins)
    scale = np.sqrt(_typical_change(y, m)[origins - 1] * np.abs(point).mean(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = np.where(scale[:, None] > 0, (came - point) / scale[:, None], 0.0)
    scaled = np.where(np.isnan(came), np.nan, scaled)
    whole = np.asarray(~np.isnan(scaled).any(axis=1))
    count = whole.sum(axis=0)
    size = np.where(whole, np.abs(np.where(whole[:, None], scaled, 0.0)).mean(axis=1), 0.0).sum(axis=0)
    spread = np.where(count > 0, size / np.maximum(count, 1), np.nan)
    usable = whole & (spread > 1e-9)
    errors = np.ascontiguousarray(np.moveaxis(scaled / np.where(spread > 1e-9, spread, 1.0), 1, 2)[usable])
    step = np.diff(origins).min() if len(origins) > 2 else 1
    change = _typical_change(y, m if chunk.seasonal.any() else 1)[-1]
    plain = _typical_change(y, 1)[-1]
    return _Ahead(point[-1].T, scale[-1], spread, count * step / h, errors, np.where(chunk.seasonal, change, plain))


def _typical_change(y: np.ndarray, m: int) -> np.ndarray:
    """The mean absolute change over m periods up to each period; |y| at the first value."""
    change = mean_change(y, m)
    return np.where(np.isnan(change), np.abs(y), change)


@dataclass(frozen=True)
class Calibrated:
    """Point forecasts with the errors of their past around them.

    Parameters
    ----------
    names : tuple of str
    chunks : tuple of Chunk
    floored : ndarray of bool (series,)
        Which series never were negative and are not let to become so.
    notes : sequence of (series, note)
    """

    names: tuple[str, ...]
    chunks: tuple[Chunk, ...]
    floored: np.ndarray
    notes: Sequence[tuple[str, str]] = ()

    def simulate(self, h: int, n: int, rng: Streams) -> np.ndarray:
        """Paths (series, n, h): the point forecast plus past errors, drawn as whole paths from the pool."""
        paths = np.empty((len(self.names), n, h))
        for rows, point, width, pool in self._parts(h):
            for i, row in enumerate(rows):
                drawn = pool[rng[int(row)].integers(len(pool), size=n)]
                paths[row] = point[i] + width[i] * drawn
        return np.where(self.floored[:, None, None], np.maximum(paths, 0.0), paths)

    def interval(self, h: int, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The point forecast and the quantiles of the paths, each (series, h), without drawing any."""
        mean, lower, upper = (np.empty((len(self.names), h)) for _ in range(3))
        for rows, point, width, pool in self._parts(h):
            low, high = np.quantile(pool, [0.5 - level / 2, 0.5 + level / 2], axis=0)
            mean[rows], lower[rows], upper[rows] = point, point + width[:, None] * low, point + width[:, None] * high
        floor = np.where(self.floored, 0.0, -np.inf)[:, None]
        return np.maximum(mean, floor), np.maximum(lower, floor), np.maximum(upper, floor)

    def _parts(self, h: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """For each kind of series: rows of the panel, point (rows, h), width (rows,) and the pool (paths, h)."""
        said = Parallel()(delayed(_ahead)(chunk, h) for chunk in self.chunks)
        parts = []
        for kind in sorted({chunk.kind for chunk in self.chunks}):
            mine = [(chunk, ahead) for chunk, ahead in zip(self.chunks, said, strict=True) if chunk.kind == kind]
            rows = np.concatenate([chunk.columns.order for chunk, _ in mine])
            order = np.argsort(rows)
            point, scale, spread, windows, change = (
                np.concatenate([getattr(ahead, name) for _, ahead in mine])[order]
                for name in ("point", "scale", "spread", "windows", "change")
            )
            pool = np.concatenate([ahead.errors for _, ahead in mine])
            if len(pool) >= ENOUGH:
                pool = pool[np.linspace(0, len(pool) - 1, min(len(pool), POOL)).astype(int)]
                pool = pool - pool.mean(axis=0)  # the paths' mean is the point forecast
                typical = np.nanmedian(spread)
                own = np.where(
                    windows > 0, (np.nan_to_num(spread) * windows + typical * PRIOR) / (windows + PRIOR), typical
                )
                # The errors of a short past are too small: parameters were fitted to the same values. How much was read off
                # simulated series of 4 to 10 years.
                width = scale * own * np.sqrt(1 + 0.5 / (1 + windows) ** 2)
            else:
                pool, width = _random_walk(h), change
            parts.append((rows[order], point, width, pool))
        return parts


def _random_walk(h: int) -> np.ndarray:
    """Paths whose steps are normal with mean absolute size 1: what stands in where there is no past to learn from."""
    steps = np.random.default_rng(0).normal(0, np.sqrt(np.pi / 2), (POOL // 4, h))
    return np.concatenate([steps, -steps]).cumsum(axis=1)


def short_notes(panel: Panel) -> list[tuple[str, str]]:
    """What is to be said of series whose own past cannot carry an interval."""
    least = max(2 * panel.season, 5)
    short = np.flatnonzero(panel.lengths < least + 1)
    say = "{}: its interval rests on the errors of the other series or, without any, on a random walk with its own changes"
    return [(panel.names[i], say.format(plural(panel.lengths[i], "observation"))) for i in short]


def floored(panel: Panel) -> np.ndarray:
    """Which series never were negative."""
    return np.asarray(~(np.nanmin(panel.values, axis=1) < 0))
