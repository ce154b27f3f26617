"""The parameters of exponential smoothing, searched for all series at once."""

from __future__ import annotations

from itertools import product

import numpy as np

from salesforecast.forecasting.smoothing import (
    Columns,
    Initial,
    Parameters,
    Season,
    Trend,
    one_step_errors,
    squared_error,
)

LEAST, MOST = 1e-4, 1 - 1e-4  # bounds of alpha, beta / alpha and gamma / (1 - alpha)
PHI = (0.8, 0.98)
ROUNDS = 6
STARTS = 3
COARSE = {
    "alpha": (0.002, 0.03, 0.1, 0.25, 0.5, 0.8),
    "beta": (0.005, 0.08, 0.35, 0.9),
    "gamma": (0.01, 0.12, 0.5),
    "phi": (0.05, 0.9),
}
FAR = 9.2  # bound of the parameters on the logit scale
NUDGE = 1e-4
DAMPED = (1e-3, 0.03, 0.3, 3.0, 30.0)
LONGEST = 3.0
USUAL = (
    0.3,
    0.05,
    0.1,
    0.7,
)  # where parameters usually lie: alpha, beta / alpha, gamma / (1 - alpha), phi within its bounds
WIDE = 1.5  # how far from there they usually are, on the logit scale


def search(
    columns: Columns,
    trend: Trend,
    season: Season,
    initial: Initial,
    seasonal: np.ndarray | None = None,
    *,
    prior: float = 0.0,
    starts: int = STARTS,
) -> tuple[Parameters, np.ndarray]:
    """The parameters with the smallest sum of squared one-step errors: a coarse grid, then damped Gauss-Newton steps from its best.

    Bounds are the usual ones: 0 < beta < alpha < 1, gamma < 1 - alpha, 0.8 < phi < 0.98.

    Parameters
    ----------
    columns, trend, season, initial
        As for `squared_error`.
    seasonal : ndarray of bool (series,), optional
        Where a series has no season, gamma is 0.
    prior : float
        How much it counts that parameters are usual: what is made small is n log(sum of squares) + prior x the squared
        distance from the usual ones. 0 for least squares. Short series are better off with some.
    starts : int
        From how many points of the grid.

    Returns
    -------
    parameters : Parameters (series, 1)
    total : ndarray (series,)
        The sums of squares.
    """
    has = {"alpha": True, "beta": trend != "none", "gamma": season != "none", "phi": trend == "damped"}
    free = [i for i, name in enumerate(has) if has[name]]
    grid = _logit(np.array(list(product(*(COARSE[name] if has[name] else (0.5,) for name in has)))))
    series = np.arange(columns.y.shape[1])
    count = np.maximum(len(columns.y) - columns.start, 1)
    usual = _logit(np.array(USUAL))

    def judged(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sums = squared_error(columns, trend, season, _parameters(points, has, seasonal), initial)
        if prior == 0:
            return sums, sums
        far = (((points - usual) / WIDE)[..., free] ** 2).sum(axis=-1)
        with np.errstate(divide="ignore"):
            return count[:, None] * np.log(sums) + prior * far, sums

    cost, sums = judged(np.broadcast_to(grid, (len(series), *grid.shape)))
    cells = cost.reshape(len(series), len(COARSE["alpha"]) * (len(COARSE["beta"]) if has["beta"] else 1), -1)
    inner = cells.argmin(axis=2)
    ranked = cells.min(axis=2).argsort(axis=1, kind="stable")
    nudges = np.concatenate([np.zeros((1, 4)), NUDGE * np.eye(4)[free]])
    found = []
    # There may be several valleys: begin in the best cells of the grid, and where the level hardly moves.
    first = np.argmin(cost[:, : cells.shape[2] * (cells.shape[1] // len(COARSE["alpha"]))], axis=1)
    begins = [ranked[:, i] * cells.shape[2] + inner[series, ranked[:, i]] for i in range(max(starts - 1, 1))]
    for place in [*begins, first][:starts]:
        best, least, total = grid[place], cost[series, place], sums[series, place]
        for _ in range(ROUNDS):
            error = one_step_errors(columns, trend, season, _parameters(best[:, None] + nudges, has, seasonal), initial)
            toward = prior * (total / count)[:, None] / WIDE**2
            points = np.clip(best[:, None] + _steps(error, free, (best - usual)[:, free], toward), -FAR, FAR)
            tried, squares = judged(points)
            pick = tried.argmin(axis=1)
            better = tried[series, pick] < least
            best = np.where(better[:, None], points[series, pick], best)
            least, total = np.where(better, tried[series, pick], least), np.where(better, squares[series, pick], total)
        found.append((best, least, total))
    pick = np.argmin([least for _, least, _ in found], axis=0)
    best, total = (np.stack([f[i] for f in found])[pick, series] for i in (0, 2))
    return _parameters(best[:, None], has, seasonal), total


def _steps(error: np.ndarray, free: list[int], away: np.ndarray, toward: np.ndarray) -> np.ndarray:
    """Steps of Levenberg and Marquardt, each damped differently: (series, steps, 4).

    `error` (periods, series, 1 + free) are the errors at the best point, and at points nudged along each free parameter; `away`
    is how far the point is from the usual one, and `toward` how strongly that draws.
    """
    error = np.nan_to_num(error, nan=0.0, posinf=0.0, neginf=0.0)
    slopes = (error[:, :, 1:] - error[:, :, :1]) / NUDGE
    toward = np.nan_to_num(toward, posinf=0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        curve = np.nan_to_num(np.einsum("tsi,tsj->sij", slopes, slopes)) + toward[:, :, None] * np.eye(len(free))
        pull = np.nan_to_num(np.einsum("tsi,ts->si", slopes, error[:, :, 0])) + toward * away
    size = np.maximum(np.einsum("sii->si", curve), 1e-6 * np.einsum("sii->s", curve)[:, None] + 1e-100)
    # In units in which each parameter's own curvature is 1, so that damping treats them alike.
    root = np.sqrt(size)
    curve, pull = curve / root[:, :, None] / root[:, None], pull / root
    steps = np.zeros((len(curve), len(DAMPED), 4))
    for i, damping in enumerate(DAMPED):
        step = -np.linalg.solve(curve + damping * np.eye(len(free)), pull[:, :, None])[:, :, 0] / root
        steps[:, i, free] = np.clip(step, -LONGEST, LONGEST)
    return steps


def _logit(p: np.ndarray) -> np.ndarray:
    return np.log(p / (1 - p))


def _parameters(points: np.ndarray, has: dict[str, bool], seasonal: np.ndarray | None) -> Parameters:
    """The parameters of points (series, candidates, 4) on the logit scale."""
    share = np.clip(1 / (1 + np.exp(-points)), LEAST, MOST)
    alpha = share[..., 0]
    gamma = (1 - alpha) * share[..., 2] if has["gamma"] else np.zeros_like(alpha)
    return Parameters(
        alpha,
        alpha * share[..., 1] if has["beta"] else np.zeros_like(alpha),
        gamma if seasonal is None else gamma * seasonal[:, None],
        PHI[0] + (PHI[1] - PHI[0]) * share[..., 3] if has["phi"] else np.ones_like(alpha),
    )
