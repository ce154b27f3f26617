"""Point forecasts of many series from every past origin at once: smoothing, theta lines, and sizes and gaps of rare demand.

Each of them is a `Points` of `calibration`: it learns its parameters once and then forecasts from any origin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from salesforecast.forecasting.parameters import search
from salesforecast.forecasting.seasonal import initial_states, shares
from salesforecast.forecasting.smoothing import Columns, Initial, Parameters, Season, Trend, ahead, trace

ALPHAS = np.array([0.02, 0.05, 0.09, 0.14, 0.2, 0.27, 0.35, 0.44, 0.53, 0.62, 0.71, 0.8, 0.88, 0.95, 0.99])
PRIOR = 1.0  # what usual parameters count for: a short series cannot tell its own
RARE = np.array([0.02, 0.05, 0.1, 0.15, 0.2, 0.3])


@dataclass(frozen=True)
class SmoothingPoints:
    """Exponential smoothing of y (power 1), its root (0.5) or its logarithm (0).

    Where a series has zeros the root stands in for the logarithm; where it has negative values it is taken as it is, and
    a season as additive.
    """

    trend: Trend = "damped"
    season: Season = "additive"
    power: float = 1.0

    def learn(self, columns: Columns, m: int, seasonal: np.ndarray) -> list[tuple[Initial, Parameters]]:
        """Initial states and parameters, for each way in which series are taken."""
        learnt = []
        for mine, season, _ in self._ways(columns):
            initial = initial_states(mine, m, season, seasonal[mine.order])
            learnt.append(
                (initial, search(mine, self.trend, season, initial, seasonal[mine.order], prior=PRIOR, starts=1)[0])
            )
        return learnt

    def rolling(
        self,
        columns: Columns,
        m: int,
        seasonal: np.ndarray,
        h: int,
        origins: np.ndarray,
        learnt: list[tuple[Initial, Parameters]],
    ) -> np.ndarray:
        """Forecasts (origins, h, series)."""
        said = np.empty((len(origins), h, columns.y.shape[1]))
        for (mine, season, power), (initial, parameters) in zip(self._ways(columns), learnt, strict=True):
            # What a past origin could not know, the season of later years, must not make its errors small.
            early = initial_states(mine, m, season, seasonal[mine.order], seasons=3)
            now = origins == len(mine.y)
            z = np.empty((len(origins), h, len(mine.order)))
            for which, start in ((now, initial), (~now, early)):
                if which.any():
                    states = trace(mine, self.trend, season, parameters, start)
                    z[which] = ahead(states, parameters.phi[:, 0], season, m, h, origins[which])
            said[:, :, mine.order] = (
                z if power == 1 else np.maximum(z, 0.0) ** 2 if power == 0.5 else np.exp(np.minimum(z, 700))
            )
        return said

    def _ways(self, columns: Columns) -> Iterator[tuple[Columns, Season, float]]:
        """The columns by how they are taken, their order being their place here; season; power."""
        low = np.nanmin(columns.y, axis=0)
        powers = np.where(low < 0, 1.0, np.where((low == 0) & (self.power == 0), 0.5, self.power))
        ways = powers + np.where(low < 0, 2, 0)
        for way in np.unique(ways):
            rows = np.flatnonzero(ways == way)
            power = float(powers[rows[0]])
            y = columns.y[:, rows]
            season: Season = "additive" if way >= 2 and self.season == "multiplicative" else self.season
            yield (
                Columns(y if power == 1 else np.sqrt(y) if power == 0.5 else np.log(y), columns.start[rows], rows),
                season,
                power,
            )


@dataclass(frozen=True)
class ThetaPoints:
    """The theta method: simple smoothing plus half the straight line's slope, on the seasonally adjusted series or on years.

    With `yearly`, the series is that of the sums over the last season, looked at once a season: what a year brings is
    forecast, and shared out by the season as it was known at the origin. A series without a season in its calendar (m = 1)
    has no years, and `yearly` is then the same as without.

    Source: Assimakopoulos & Nikolopoulos (2000); Hyndman & Billah (2003); for years, Kourentzes et al. (2014) on
    temporal aggregation.
    """

    yearly: bool = False

    def learn(self, columns: Columns, m: int, seasonal: np.ndarray) -> np.ndarray:
        """The smoothing parameter of each series."""
        x, lag = self._line(columns, m, seasonal)
        _, total = _simple(x, lag, np.broadcast_to(ALPHAS, (x.shape[1], len(ALPHAS))))
        return np.asarray(ALPHAS[total.argmin(axis=1)])

    def rolling(
        self, columns: Columns, m: int, seasonal: np.ndarray, h: int, origins: np.ndarray, learnt: np.ndarray
    ) -> np.ndarray:
        """Forecasts (origins, h, series); missing before a first year, with `yearly`."""
        x, lag = self._line(columns, m, seasonal)
        level = _simple(x, lag, learnt[:, None])[0][:, :, 0]
        slope, count = _slopes(x, lag)
        steps = (np.arange(1, h + 1) + (lag - 1) / 2) / lag  # a year's mean stands in the middle of the year
        seen = origins - 1
        lift = (1 - (1 - learnt) ** count[seen]) / learnt
        line = level[seen][:, None] + 0.5 * slope[seen][:, None] * (steps[None, :, None] - 1 + lift[:, None])
        multiplicative = np.nanmin(columns.y, axis=0) >= 0
        season = shares(columns, m, origins, seasonal, multiplicative)
        place = season[np.arange(len(origins))[:, None], (origins[:, None] + np.arange(h)) % m]
        return np.where(multiplicative, line * place, line + place)

    def _line(self, columns: Columns, m: int, seasonal: np.ndarray) -> tuple[np.ndarray, int]:
        y = columns.y
        if self.yearly and m > 1:
            sums = np.cumsum(np.nan_to_num(y), axis=0)
            sums[m:] -= sums[:-m].copy()
            sums[np.arange(len(y))[:, None] < columns.start + m - 1] = np.nan
            return sums / m, m
        multiplicative = np.nanmin(y, axis=0) >= 0
        season = shares(columns, m, np.array([len(y)]), seasonal, multiplicative)[0][np.arange(len(y)) % m]
        return np.where(multiplicative, y / np.where(multiplicative, season, 1.0), y - season), 1


def _simple(x: np.ndarray, lag: int, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Simple smoothing in steps of `lag` periods: levels (periods, series, candidates) and sums of squared errors."""
    level = np.full((len(x), *alpha.shape), np.nan)
    total = np.zeros(alpha.shape)
    for t in range(len(x)):
        now = x[t][:, None]
        if t < lag:
            level[t] = now
            continue
        error = now - level[t - lag]
        first = np.isnan(error)
        level[t] = np.where(first, now, level[t - lag] + alpha * error)
        total += np.where(first, 0.0, error * error)
    return level, total


def _slopes(x: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """The slope of the straight line through every lag-th value up to each period, per lag, and how many values it runs through."""
    count = (~np.isnan(x)).astype("float64")
    total, moment = np.nan_to_num(x), np.zeros_like(x)
    for t in range(lag, len(x)):
        count[t] += count[t - lag]
        moment[t] = moment[t - lag] + (count[t] - 1) * total[t]
        total[t] += total[t - lag]
    spread = count * (count**2 - 1) / 12
    return np.where(count > 1, (moment - (count - 1) / 2 * total) / np.where(count > 1, spread, 1.0), 0.0), count


@dataclass(frozen=True)
class RarePoints:
    """Intermittent demand: the size of what comes, and how often, smoothed apart; a level forecast of their product.

    Kinds: "croston" (size over gap), "sba" (the same less alpha / 2 of it, without Croston's bias) and "tsb" (size times
    probability, which sinks while nothing comes).

    Source: Croston (1972); Syntetos & Boylan (2005); Teunter, Syntetos & Babai (2011).
    """

    kind: str = "tsb"

    def learn(self, columns: Columns, m: int, seasonal: np.ndarray) -> np.ndarray:
        """The smoothing parameter of each series, with the least squared one-step error."""
        rates = self._rates(columns, np.broadcast_to(RARE, (columns.y.shape[1], len(RARE))))
        error = columns.y[1:, :, None] - rates[:-1]
        return np.asarray(RARE[np.where(np.isnan(error), 0.0, error * error).sum(axis=0).argmin(axis=1)])

    def rolling(
        self, columns: Columns, m: int, seasonal: np.ndarray, h: int, origins: np.ndarray, learnt: np.ndarray
    ) -> np.ndarray:
        """Forecasts (origins, h, series), the same at every horizon."""
        return np.repeat(self._rates(columns, learnt[:, None])[origins - 1][:, None, :, 0], h, axis=1)

    def _rates(self, columns: Columns, alpha: np.ndarray) -> np.ndarray:
        """The expected demand per period after each period (periods, series, candidates); 0 before the first one came."""
        rates = np.full((len(columns.y), *alpha.shape), np.nan)
        size, gap, chance = np.zeros(alpha.shape), np.ones(alpha.shape), np.zeros(alpha.shape)
        since, begun = np.zeros(alpha.shape), np.zeros(alpha.shape, dtype=bool)
        for t, k in enumerate(columns.begun):
            y = columns.y[t, :k, None]
            comes = np.broadcast_to(y != 0, alpha[:k].shape)
            a, fresh = alpha[:k], comes & ~begun[:k]
            since[:k] += 1
            size[:k] = np.where(fresh, y, np.where(comes, size[:k] + a * (y - size[:k]), size[:k]))
            gap[:k] = np.where(fresh, since[:k], np.where(comes, gap[:k] + a * (since[:k] - gap[:k]), gap[:k]))
            chance[:k] = np.where(fresh, 1 / since[:k], np.where(begun[:k], chance[:k] + a * (comes - chance[:k]), 0.0))
            since[:k][comes] = 0
            begun[:k] |= comes
            rates[t, :k] = (
                size[:k] * chance[:k] if self.kind == "tsb" else size[:k] / gap[:k] * (1 - a / 2 * (self.kind == "sba"))
            )
        return rates
