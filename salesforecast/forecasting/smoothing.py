"""Exponential smoothing of many series at once: the recursion over time runs once, with all series and candidates abreast.

Periods are the loop; series x candidate parameters are the vector. The state is known at every period, so one pass gives
the forecasts from every past origin.

For a series y with level l, slope b and season s (additive errors e, season of m periods, damping phi):

    base = l + phi b          mu = base + s   or   base * s          e = y - mu
    l'   = base + alpha d     b' = phi b + beta d                    d = e   or   e / s
    s'   = s + gamma e   or   s + gamma / (1 - alpha) (y / l' - s)

Source: Hyndman, Koehler, Ord & Snyder (2008), chapter 2; the models ETS(A, N/A/Ad, N/A/M), the multiplicative season with the
new level, as Winters (1960) has it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

Trend = Literal["none", "additive", "damped"]
Season = Literal["none", "additive", "multiplicative"]


@dataclass(frozen=True)
class Columns:
    """Series as columns, the longest first, so that those that have begun by a period are always the first ones.

    Parameters
    ----------
    y : ndarray (periods, series)
        NaN before a series begins.
    start : ndarray (series,)
        The first period of each series; never falls.
    order : ndarray (series,)
        Which series each column is.
    """

    y: np.ndarray
    start: np.ndarray
    order: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Columns:
        """The columns of an array (series, periods) with NaN on the left where a series is younger."""
        start = np.isnan(values).sum(axis=1)
        order = np.argsort(start, kind="stable")
        return cls(np.ascontiguousarray(values[order].T), start[order], order)

    @property
    def begun(self) -> np.ndarray:
        """How many columns have begun at each period."""
        return np.searchsorted(self.start, np.arange(len(self.y)), side="right")


@dataclass(frozen=True)
class Parameters:
    """alpha, beta, gamma and phi; each (series, candidates). Those that a model does not have are 0, or 1 for phi."""

    alpha: np.ndarray
    beta: np.ndarray
    gamma: np.ndarray
    phi: np.ndarray


@dataclass(frozen=True)
class Initial:
    """The states before the first value: level and slope (series,), season (m, series) by calendar place."""

    level: np.ndarray
    slope: np.ndarray
    season: np.ndarray


@dataclass(frozen=True)
class States:
    """The states after each period (periods, series), the season's also before the first one; and one-step errors."""

    level: np.ndarray
    slope: np.ndarray
    season: np.ndarray  # (m + periods, series): the season's initial states come first
    error: np.ndarray


def squared_error(
    columns: Columns, trend: Trend, season: Season, parameters: Parameters, initial: Initial
) -> np.ndarray:
    """The sum of squared one-step errors of every series and candidate; infinite where the recursion breaks down.

    Returns
    -------
    ndarray (series, candidates)
    """
    return _recurse(columns, trend, season, parameters, initial)


def one_step_errors(
    columns: Columns, trend: Trend, season: Season, parameters: Parameters, initial: Initial
) -> np.ndarray:
    """The one-step errors (periods, series, candidates); 0 before a series begins."""
    errors = np.zeros((*columns.y.shape, parameters.alpha.shape[1]))
    _recurse(columns, trend, season, parameters, initial, errors=errors)
    return errors


def trace(columns: Columns, trend: Trend, season: Season, parameters: Parameters, initial: Initial) -> States:
    """The states at every period, for one candidate per series."""
    periods, series = columns.y.shape
    states = States(
        np.full((periods, series), np.nan),
        np.zeros((periods, series)),
        np.concatenate([initial.season, np.zeros((periods, series))]),
        np.full((periods, series), np.nan),
    )
    _recurse(columns, trend, season, parameters, initial, keep=states)
    return states


def _recurse(
    columns: Columns,
    trend: Trend,
    season: Season,
    parameters: Parameters,
    initial: Initial,
    *,
    keep: States | None = None,
    errors: np.ndarray | None = None,
) -> np.ndarray:
    alpha, beta, gamma, phi = (getattr(parameters, f.name) for f in fields(Parameters))
    shape = alpha.shape
    m = len(initial.season)
    level = np.repeat(initial.level[:, None], shape[1], axis=1)
    slope = np.repeat(initial.slope[:, None], shape[1], axis=1)
    states = np.repeat(initial.season[:, :, None], shape[1], axis=2)
    total = np.zeros(shape)
    share = gamma / (1 - alpha)
    with np.errstate(all="ignore"):  # a candidate may run away; its sum of squares is infinite then
        for t, k in enumerate(columns.begun):
            place = states[t % m, :k]
            if trend == "none":
                base = level[:k]
            else:
                grown = phi[:k] * slope[:k]
                base = level[:k] + grown
            if season == "none":
                error = columns.y[t, :k, None] - base
            elif season == "additive":
                error = columns.y[t, :k, None] - base - place
            else:
                error = columns.y[t, :k, None] - base * place
            total[:k] += error * error
            step = error / place if season == "multiplicative" else error
            level[:k] = base + alpha[:k] * step
            if season == "additive":
                place += gamma[:k] * error
            elif season == "multiplicative":
                place += share[:k] * (columns.y[t, :k, None] / level[:k] - place)
            if trend != "none":
                slope[:k] = grown + beta[:k] * step
            if errors is not None:
                errors[t, :k] = error
            if keep is not None:
                keep.level[t, :k], keep.error[t, :k] = level[:k, 0], error[:, 0]
                keep.slope[t, :k] = slope[:k, 0] if trend != "none" else 0.0
                keep.season[m + t] = states[t % m, :, 0]
    total[~np.isfinite(total)] = np.inf
    return total


def ahead(states: States, phi: np.ndarray, season: Season, m: int, h: int, origins: np.ndarray) -> np.ndarray:
    """Point forecasts from past origins.

    Parameters
    ----------
    states : States
        From `trace`.
    phi : ndarray (series,)
    season : str
    m, h : int
        Periods in a season, and ahead.
    origins : ndarray of int
        How many periods had been seen, each.

    Returns
    -------
    ndarray (origins, h, series)
        NaN where a series had not begun.
    """
    weights = np.cumsum(phi[None] ** np.arange(1, h + 1)[:, None], axis=0)  # phi + phi^2 + ...
    base = states.level[origins - 1][:, None] + weights[None] * states.slope[origins - 1][:, None]
    if season == "none":
        return base
    # The row of the latest state of each place in the calendar: rows are shifted by the m initial ones.
    target = origins[:, None] + np.arange(h)[None]
    row = m + target - m * (1 + (target - origins[:, None]) // m)
    place = states.season[row]
    return base + place if season == "additive" else base * place
