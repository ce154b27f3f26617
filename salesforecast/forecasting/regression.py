"""Models for looking into one series, with regressors that are known in advance.

SARIMAX, unobserved components and linear regression are statsmodels'. On a log scale paths are drawn there and then raised to
the exponential, so that their mean is the mean and not the median (the bias-adjusted back-transform). A series that never was
below 0 is not forecast below 0, and one that never changed stays where it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from salesforecast.errors import DataError, SettingError, unknown
from salesforecast.forecasting.panel import Fitted, Panel, Streams

Scale = Literal["log", "identity"]


# ---- what the models share ------------------------------------------------------------------------------------------


def columns_of(panel: Panel, names: Sequence[str]) -> np.ndarray:
    """The regressors a model asks for: (series, periods + ahead, regressors).

    Raises
    ------
    SettingError
        When the panel has none of that name, with "Did you mean".
    """
    for name in names:
        if name not in panel.regressors:
            raise unknown("regressor", name, panel.regressors)
    if not names:
        return np.empty((len(panel.names), len(panel.periods), 0))
    width = min(panel.regressors[name].shape[1] for name in names)
    each = [np.broadcast_to(panel.regressors[name][:, :width], (len(panel.names), width)) for name in names]
    return np.stack(each, axis=2)


def future_of(panel: Panel, names: Sequence[str], h: int) -> np.ndarray:
    """Their values in the next `h` periods: (series, h, regressors).

    Raises
    ------
    DataError
        When there are not as many; the message names the periods.
    """
    if not names:
        return np.empty((len(panel.names), h, 0))
    seen = len(panel.periods)
    for name in names:
        there = panel.regressors[name].shape[1] - seen
        if there < h:
            missing = panel.future(h)[max(there, 0) :]
            raise DataError(
                f"The regressor {name!r} ends before the forecast does: it has no value for "
                f"{', '.join(f'{p:%Y-%m-%d}' for p in missing[:3])}{f' and {len(missing) - 3} more' if len(missing) > 3 else ''}. "
                f"Give its values {h} periods ahead."
            )
    return columns_of(panel, names)[:, seen : seen + h]


def _seen(panel: Panel, i: int) -> slice:
    return slice(int(len(panel.periods) - panel.lengths[i]), len(panel.periods))


def _scaled(y: np.ndarray, scale: Scale, name: str) -> np.ndarray:
    if scale == "identity":
        return y
    if scale != "log":
        raise unknown("scale", scale, ("log", "identity"))
    if (y <= 0).any():
        raise SettingError(
            f"The series {name!r} has {int((y <= 0).sum())} values of 0 or below, which have no logarithm; take scale='identity', "
            f"or a model for demand that comes and goes."
        )
    return np.log(y)


def _back(paths: np.ndarray, y: np.ndarray, scale: Scale) -> np.ndarray:
    """Paths in the unit of the series."""
    if scale == "log":
        return np.exp(np.minimum(paths, np.log(y.max()) + 7))  # a thousand times the largest: beyond is no forecast
    return np.maximum(paths, 0.0) if y.min() >= 0 else paths


def _still(y: np.ndarray) -> bool:
    """Has it never changed? Then nothing can be learnt, and it stays where it is."""
    return bool(np.ptp(y) <= 1e-12 * np.abs(y).max())


def _each(panel: Panel, of: Callable[[int], Any]) -> tuple[Any, ...]:
    """One fit per series, through joblib; what fails says of which series it is."""
    from joblib import Parallel, delayed

    return tuple(Parallel()(delayed(of)(i) for i in range(len(panel.names))))


# ---- state space models of statsmodels ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sarimax:
    """Seasonal ARIMA with regressors (FPP3, chapters 9 and 10; Box & Jenkins 1970), by maximum likelihood.

    Parameters
    ----------
    order : (p, d, q)
    seasonal_order : (P, D, Q)
        At the panel's season; (0, 0, 0) is none.
    regressors : tuple of str
        Names in the panel's regressors.
    scale : str
        "log" for changes in per cent, "identity" for values with zeros or below.
    """

    order: tuple[int, int, int] = (0, 1, 1)
    seasonal_order: tuple[int, int, int] = (0, 1, 1)
    regressors: tuple[str, ...] = ()
    scale: Scale = "identity"

    def least(self, panel: Panel) -> int:
        """What differencing takes, two per parameter, and a full season over where there is one."""
        (p, d, q), (sp, sd, sq) = self.order, self._seasonal(panel)
        season = panel.season * (sp + sd + sq > 0)
        return d + season * (sd + max(sp, sq, 1)) + 2 * (p + q + sp + sq + len(self.regressors)) + 3

    def fit(self, panel: Panel) -> Fitted:
        """The model fitted to every series, one by one."""
        from statsmodels.tsa.statespace.sarimax import SARIMAX

        seasonal = (*self._seasonal(panel), panel.season if any(self._seasonal(panel)) else 0)
        constant = "c" if self.order[1] + seasonal[1] == 0 else None

        def model(y: np.ndarray, x: np.ndarray | None) -> Any:
            return SARIMAX(y, exog=x, order=self.order, seasonal_order=seasonal, trend=constant)

        return _states(panel, self.regressors, self.scale, model)

    def _seasonal(self, panel: Panel) -> tuple[int, int, int]:
        return self.seasonal_order if panel.season > 1 else (0, 0, 0)


@dataclass(frozen=True)
class Components:
    """Level, trend and season that change over time, with regressors (Harvey 1989), by maximum likelihood.

    Parameters
    ----------
    level : str
        As statsmodels names it: "local level", "local linear trend", "smooth trend", "random walk with drift", …
    season : bool
        With a season; of more than 12 periods it is made of three pairs of waves.
    regressors, scale
        As in `Sarimax`.
    """

    level: str = "local linear trend"
    season: bool = True
    regressors: tuple[str, ...] = ()
    scale: Scale = "identity"

    def least(self, panel: Panel) -> int:
        """Two seasons, two per regressor, and 6."""
        return 2 * panel.season * (self.season and panel.season > 1) + 2 * len(self.regressors) + 6

    def fit(self, panel: Panel) -> Fitted:
        """The model fitted to every series, one by one."""
        from statsmodels.tsa.statespace.structural import UnobservedComponents

        season: dict[str, Any] = {}
        if self.season and 1 < panel.season <= 12:
            season = {"seasonal": panel.season}
        elif self.season and panel.season > 12:
            season = {"freq_seasonal": [{"period": panel.season, "harmonics": 3}]}

        def model(y: np.ndarray, x: np.ndarray | None) -> Any:
            return UnobservedComponents(y, level=self.level, exog=x, **season)

        return _states(panel, self.regressors, self.scale, model)


@dataclass(frozen=True)
class _States:
    panel: Panel
    regressors: tuple[str, ...]
    scale: Scale
    results: tuple[tuple[Any, float], ...]  # what statsmodels fitted, and to values of which size; None to a constant

    def simulate(self, h: int, n: int, rng: Streams) -> np.ndarray:
        ahead = future_of(self.panel, self.regressors, h)
        out = np.empty((len(self.results), n, h))
        for i, ((result, size), g) in enumerate(zip(self.results, rng, strict=True)):
            if result is None:
                out[i] = self.panel.last[i]
                continue
            x = {"exog": ahead[i]} if self.regressors else {}
            paths = result.get_forecast(h, **x).predicted_mean + _deviations(result, h, n, g)
            y = self.panel.values[i][_seen(self.panel, i)]
            out[i] = _back(paths * size, y, self.scale)
        return out


def _deviations(result: Any, h: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """How paths stray from the forecast; statsmodels' own `simulate` draws one path at a time."""
    form, filtered = result.model.ssm, result.filter_results
    transition, design = form["transition"], form["design"][0]
    noise = _root(form["selection"] @ form["state_cov"] @ form["selection"].T)
    seen = np.sqrt(max(0.0, float(form["obs_cov"][0, 0])))
    state = rng.standard_normal((n, len(transition))) @ _root(filtered.predicted_state_cov[:, :, -1]).T
    out = np.empty((n, h))
    for j in range(h):
        out[:, j] = state @ design + seen * rng.standard_normal(n)
        state = state @ transition.T + rng.standard_normal(state.shape) @ noise.T
    return out


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _states(
    panel: Panel, regressors: tuple[str, ...], scale: Scale, model: Callable[[np.ndarray, np.ndarray | None], Any]
) -> Fitted:
    from statsmodels.tools.sm_exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    x = columns_of(panel, regressors)

    def one(i: int) -> tuple[Any, float]:
        y = _scaled(panel.values[i][_seen(panel, i)], scale, panel.names[i])
        size = float(np.std(y))  # amounts in millions have variances the optimiser cannot take
        if _still(y):
            return None, size
        with threadpool_limits(1), warnings.catch_warnings():
            for kind in (ConvergenceWarning, UserWarning, RuntimeWarning):
                warnings.simplefilter("ignore", kind)
            return model(y / size, x[i, _seen(panel, i)] if regressors else None).fit(disp=False, maxiter=100), size

    return _States(panel, regressors, scale, _each(panel, one))


# ---- linear regression ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Regression:
    """Trend, season and regressors in one line, with errors that follow on each other (AR(1); FPP3, chapters 7 and 10).

    log y = a + b t + season + c' x + e on the log scale, where log working days with c = 1 make sales per working day. The paths
    draw the coefficients, the size of the errors and how they follow on each other too, as far as the data leave them open.

    Parameters
    ----------
    regressors : tuple of str
        Names in the panel's regressors.
    scale : str
        "log" or "identity".
    trend : bool
        With a line through time.
    season : bool
        With a season: a figure for each of up to 12 periods, three pairs of waves for more.
    """

    regressors: tuple[str, ...] = ()
    scale: Scale = "identity"
    trend: bool = True
    season: bool = True

    def least(self, panel: Panel) -> int:
        """Six more than there are coefficients, and one and a half seasons."""
        waves = 6 if panel.season > 12 else panel.season - 1
        season = self.season and panel.season > 1
        return max(1 + self.trend + waves * season + len(self.regressors) + 6, int(1.5 * panel.season) * season)

    def fit(self, panel: Panel) -> Fitted:
        """The model fitted to every series, one by one."""
        x = columns_of(panel, self.regressors)

        def one(i: int) -> _Line | None:
            y = _scaled(panel.values[i][_seen(panel, i)], self.scale, panel.names[i])
            if _still(y):
                return None
            size = float(np.std(y))
            at = np.arange(len(panel.periods))[_seen(panel, i)]
            return _line(y / size, self._design(panel, at, x[i, _seen(panel, i)]), size)

        return _Lines(panel, self, _each(panel, one))

    def _design(self, panel: Panel, at: np.ndarray, x: np.ndarray) -> np.ndarray:
        parts = [np.ones((len(at), 1))]
        if self.trend:
            parts.append(at[:, None] / max(1, len(panel.periods)))
        if self.season and panel.season > 12:
            angle = 2 * np.pi * np.outer(at, [1, 2, 3]) / panel.season
            parts += [np.sin(angle), np.cos(angle)]
        elif self.season and panel.season > 1:
            parts.append((at[:, None] % panel.season == np.arange(1, panel.season)).astype("float64"))
        return np.hstack([*parts, x])


RHO = np.linspace(-0.95, 0.95, 20)


@dataclass(frozen=True)
class _Line:
    """A line through time, in units of the series' standard deviation."""

    coefficients: np.ndarray
    root: np.ndarray  # of their covariance, in units of the errors
    df: int
    size: float  # of what is new in the errors
    likely: np.ndarray  # how likely each value of RHO is
    last: float  # the last value
    design: np.ndarray  # of the last period
    unit: float


def _line(y: np.ndarray, design: np.ndarray, unit: float) -> _Line:
    """The fit at the AR(1) coefficient of the highest restricted likelihood, which the number of coefficients does not bias."""
    from statsmodels.regression.linear_model import OLS

    n, k = len(y), np.linalg.matrix_rank(design)
    score = np.empty(len(RHO))
    for i, rho in enumerate(RHO):
        r = np.linalg.qr(np.column_stack([_whitened(design, rho), _whitened(y, rho)]), mode="r")
        of = np.abs(np.diag(r))
        score[i] = (
            -(n - k) * np.log(max(of[-1], 1e-150)) - np.log(np.maximum(of[:-1], 1e-12)).sum() + np.log1p(-(rho**2)) / 2
        )
    rho = float(RHO[score.argmax()])
    fitted = OLS(_whitened(y, rho), _whitened(design, rho)).fit()
    likely = np.exp(score - score.max())
    root = _root(np.asarray(fitted.normalized_cov_params))
    size = float(np.sqrt(fitted.ssr / max(1, n - k)))
    return _Line(
        np.asarray(fitted.params), root, max(1, n - k), size, likely / likely.sum(), float(y[-1]), design[-1], unit
    )


def _whitened(v: np.ndarray, rho: float) -> np.ndarray:
    """What is new in each period, where errors are `rho` times the one before and something new (Prais & Winsten 1954)."""
    return np.concatenate([np.sqrt(1 - rho**2) * v[:1], v[1:] - rho * v[:-1]])


@dataclass(frozen=True)
class _Lines:
    panel: Panel
    model: Regression
    lines: tuple[_Line | None, ...]

    def simulate(self, h: int, n: int, rng: Streams) -> np.ndarray:
        ahead = future_of(self.panel, self.model.regressors, h)
        at = len(self.panel.periods) + np.arange(h)
        out = np.empty((len(self.lines), n, h))
        for i, (line, g) in enumerate(zip(self.lines, rng, strict=True)):
            if line is None:
                out[i] = self.panel.last[i]
                continue
            sigma = line.size * np.sqrt(line.df / g.chisquare(line.df, size=(n, 1)))
            drawn = line.coefficients + sigma * (g.standard_normal((n, line.root.shape[1])) @ line.root.T)
            paths = drawn @ self.model._design(self.panel, at, ahead[i]).T
            shocks, rho = sigma * g.standard_normal((n, h)), g.choice(RHO, size=n, p=line.likely)
            error = line.last - drawn @ line.design
            for j in range(h):
                error = rho * error + shocks[:, j]
                paths[:, j] += error
            y = self.panel.values[i][_seen(self.panel, i)]
            out[i] = _back(paths * line.unit, y, self.model.scale)
        return out
