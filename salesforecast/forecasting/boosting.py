"""Gradient boosting over lags: one rule that learns from all series of a panel at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from salesforecast.errors import TooLittleData
from salesforecast.forecasting.panel import Fitted, Panel, Streams
from salesforecast.forecasting.regression import columns_of, future_of
from salesforecast.forecasting.seasonal import known_mean

ROWS = 40  # fewer periods teach no rule
FOLDS = 4
FIRM = 10  # periods of its own after which a series' errors count as much as everybody's
CHUNK = 64  # series drawn at once, for memory


@dataclass(frozen=True)
class Boosting:
    """Gradient boosting that learns one rule from all series: what comes next, from lags, means, season and regressors.

    Every series is divided by its own level (the mean of the last season), so that large and small ones teach each other, and so
    that a trend the trees have not seen can go on. Paths go step by step: each draws an error of those that the rule made on
    periods it was not fitted to (four blocks of time, left out in turn), in the size of its series.

    Parameters
    ----------
    regressors : tuple of str
        Names in the panel's regressors.
    rounds, rate, leaves : int, float, int
        Trees, how much of each is taken, and how many leaves one has.

    Source: Januschowski et al. (2022) on trees in the M5 competition.
    """

    regressors: tuple[str, ...] = ()
    rounds: int = 150
    rate: float = 0.05
    leaves: int = 15

    def least(self, panel: Panel) -> int:
        """Three: a shorter series knows no level."""
        return 3

    def fit(self, panel: Panel) -> Fitted:
        """One rule for all series of the panel."""
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        x = columns_of(panel, self.regressors)
        born = len(panel.periods) - panel.lengths
        at, lags, target, series = [], [], [], []
        for t in range(1, len(panel.periods)):
            rows = np.flatnonzero(~np.isnan(panel.values[:, t - 1]))
            usual = np.nanmean(np.abs(panel.values[rows, :t]), axis=1)
            features, level = _features(panel.values[rows, :t], t, panel.season, x[rows, t], usual)
            told = level > 0  # where nothing has ever come, nothing is learnt
            at.append(np.full(told.sum(), t))
            lags.append(features[told])
            target.append(panel.values[rows[told], t] / level[told])
            series.append(rows[told])
        y = np.concatenate(target) if target else np.empty(0)
        if len(y) < ROWS:
            raise TooLittleData(
                f"Boosting learns from {ROWS} periods of all series together; there are {len(y)}. {ROWS - len(y)} more would do."
            )
        features, when, who = np.vstack(lags), np.concatenate(at), np.concatenate(series)

        def rule(rows: np.ndarray) -> Any:
            known = ~np.isnan(features[rows]).all(axis=0)  # a column without any value cannot be cut
            chosen = HistGradientBoostingRegressor(
                max_iter=self.rounds,
                learning_rate=self.rate,
                max_leaf_nodes=self.leaves,
                min_samples_leaf=max(5, min(20, rows.sum() // 20)),
                early_stopping=False,
                random_state=0,
            )
            return chosen.fit(np.where(known, features[rows], 0.0), y[rows])

        error = np.empty(len(y))
        with threadpool_limits(1):  # sums in one order, and no threads that wait for each other
            for block in np.array_split(np.unique(when), FOLDS):
                held = np.isin(when, block)
                error[held] = y[held] - rule(~held).predict(features[held])
            whole = rule(np.ones(len(y), dtype=bool))
        young = when - born[who] < _window(panel.season)
        grown = ~young if (~young).sum() >= ROWS else np.ones(len(y), dtype=bool)
        pools = (_pool(error, who, len(born)), _pool(error[grown], who[grown], len(born)))
        return _Boosted(panel, self.regressors, whole, pools)


def _pool(error: np.ndarray, who: np.ndarray, series: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors of size 1, and the size that each series' own have, drawn to the size of all where they are few."""
    count, own = np.bincount(who, minlength=series), np.bincount(who, error**2, minlength=series)
    size = np.sqrt((own + FIRM * (error**2).mean()) / (count + FIRM))
    return np.divide(error, size[who], out=np.zeros_like(error), where=size[who] > 0), size


@dataclass(frozen=True)
class _Boosted:
    panel: Panel
    regressors: tuple[str, ...]
    rule: Any
    pools: tuple[tuple[np.ndarray, np.ndarray], ...]  # of all series; of those with a season behind them, who err less

    def simulate(self, h: int, n: int, rng: Streams) -> np.ndarray:
        from threadpoolctl import threadpool_limits

        x = future_of(self.panel, self.regressors, h)
        grown = (self.panel.lengths >= _window(self.panel.season)).astype(int)
        out = np.empty((len(self.panel.names), n, h))
        for start in range(0, len(out), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(out)))
            drawn = np.empty((len(rows), n, h))
            for k, i in enumerate(rows.tolist()):
                errors, size = self.pools[grown[i]]
                drawn[k] = errors[rng[i].integers(len(errors), size=(n, h))] * size[i]
            with threadpool_limits(1):
                out[rows] = self._paths(rows, drawn, x[rows])
        return out

    def _paths(self, rows: np.ndarray, errors: np.ndarray, x: np.ndarray) -> np.ndarray:
        values, season = self.panel.values[rows], self.panel.season
        _, n, h = errors.shape
        floor = np.repeat(np.where(np.nanmin(values, axis=1) < 0, -np.inf, 0.0), n)
        usual = np.repeat(np.nanmean(np.abs(values), axis=1), n)
        t = values.shape[1]
        past = np.repeat(values[:, max(0, t - 2 * _window(season)) :], n, axis=0)
        for j in range(h):
            features, level = _features(past, t + j, season, np.repeat(x[:, j], n, axis=0), usual)
            now = (self.rule.predict(features) + errors[:, :, j].ravel()) * level
            past = np.hstack([past, np.maximum(now, floor)[:, None]])
        return past[:, -h:].reshape(len(rows), n, h)


def _window(season: int) -> int:
    """How many periods make the level."""
    return season if season > 1 else 4


def _features(past: np.ndarray, t: int, season: int, x: np.ndarray, usual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is known of period t: lags and means as multiples of the level, place in the season, regressors; and the level.

    After a season of nearly nothing the level would make an ordinary value enormous: it is at least half the usual.
    """
    window = _window(season)
    padded = np.hstack([np.full((len(past), max(0, 2 * window - past.shape[1])), np.nan), past[:, -2 * window :]])
    level = np.maximum(known_mean(np.abs(padded[:, window:]), axis=1), usual / 2)
    unit = np.where(level > 0, level, 1.0)[:, None]
    means = [known_mean(padded[:, -3:], axis=1), known_mean(padded[:, :window], axis=1)]
    place = np.full(len(past), t % season)
    lags = padded[:, [-k for k in range(1, min(window, 13) + 1)]]
    return np.column_stack(
        [lags / unit, padded[:, [-window]] / unit, *(m[:, None] / unit for m in means), place, x]
    ), level
