"""Fit, simulate, forecast, backtest: four verbs over frames of series, forecasts and paths.

Frames: series (series, period, value); forecasts (series, model, origin, period, horizon, mean, lower, upper, level);
paths (series, model, origin, period, horizon, path, value). The names given to the models become the column model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from salesforecast.errors import SettingError, TooLittleData
from salesforecast.forecasting.models import Naive
from salesforecast.forecasting.panel import Fitted, Model, Panel, Streams
from salesforecast.formats import plural

DRAWS = 1000  # paths that stand behind an interval, where a model does not know it without drawing
BLOCK = 500  # series drawn at once, for models that can be taken apart


@dataclass(frozen=True)
class Fits:
    """Models fitted to a panel.

    Parameters
    ----------
    panel : Panel
        What the models saw; its last period is the origin of their forecasts.
    fitted : dict
        Name of the model -> what became of it.
    notes : DataFrame
        series, model, note: where a model did something else than it was asked for, as with a series too short for it.
    """

    panel: Panel
    fitted: dict[str, Fitted]
    notes: pd.DataFrame


def fit(series: pd.DataFrame | Panel, models: Mapping[str, Model]) -> Fits:
    """The models, each fitted to every series.

    A series that is shorter than a model's `least` is forecast with its last value and the changes seen so far (`Naive`)
    in the model's place; the notes say so.

    Parameters
    ----------
    series : DataFrame or Panel
        Columns series, period, value; a Panel where there are regressors.
    models : mapping
        Name -> model.

    Returns
    -------
    Fits

    Raises
    ------
    DataError
        Gaps, periods twice or off the calendar.
    Exception
        What a model raises, with the model and the first series that it fails on in a note.
    """
    _named(models)
    panel = Panel.of(series)
    fitted, notes = {}, []
    for name, model in models.items():
        fitted[name] = _fit(panel, name, model)
        notes += [(who, name, note) for who, note in getattr(fitted[name], "notes", ())]
    return Fits(panel, fitted, pd.DataFrame(notes, columns=["series", "model", "note"], dtype="str"))


def simulate(fits: Fits, h: int, n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """What may come: n paths of h periods for every series and model.

    A quarter's interval is the quantile of the paths' sums over its months. Each series and model draws from its own
    generator, made of the seed and their names, so that adding a series or a model changes nobody else's draws.

    Returns
    -------
    DataFrame
        series, model, origin, period, horizon (1 = next), path (0 to n - 1), value; one row each, in this order of series,
        model, path and horizon.
    """
    _ahead(h)
    panel = fits.panel
    drawn = [_paths(fits.fitted[name], panel, name, h, n, seed) for name in fits.fitted]
    values = np.stack(drawn, axis=1)  # (series, models, n, h)
    frame = _frame(panel, tuple(fits.fitted), h, n)
    return frame.assign(path=np.tile(np.repeat(np.arange(n), h), len(frame) // (n * h)), value=values.ravel())


def forecast(fits: Fits, h: int, level: float = 0.8, seed: int = 0) -> pd.DataFrame:
    """The next h periods of every series by every model, with intervals.

    The bounds are quantiles of sample paths (1,000 of them, where a model does not know the quantiles themselves); the
    mean is that of the paths. Bounds of several periods must not be added up: take `simulate` for that.

    Parameters
    ----------
    fits : Fits
        From `fit`.
    h : int
        Periods ahead.
    level : float
        The share of cases that the interval from lower to upper is to hold.
    seed : int

    Returns
    -------
    DataFrame
        series, model, origin (last period seen), period, horizon (1 = next), mean, lower, upper, level; in the order of
        series, models and horizons. In the unit of the series.
    """
    _ahead(h)
    if not 0 < level < 1:
        raise SettingError(f"The level is a share between 0 and 1, such as 0.8, not {level}.")
    panel = fits.panel
    three = [_interval(fits.fitted[name], panel, name, h, level, seed) for name in fits.fitted]
    mean, lower, upper = (np.stack(part, axis=1).ravel() for part in zip(*three, strict=True))
    return _frame(panel, tuple(fits.fitted), h).assign(mean=mean, lower=lower, upper=upper, level=level)


def backtest(
    series: pd.DataFrame | Panel,
    models: Mapping[str, Model],
    h: int,
    origins: int = 12,
    step: int = 1,
    level: float = 0.8,
    seed: int = 0,
) -> pd.DataFrame:
    """What `forecast` would have said at past origins: everything is fitted again at each, to what was known then.

    The last origin leaves h periods to score. A series that had not begun at an origin is left out there; origins before
    the first period are dropped. The origins run through `joblib`, so that `joblib.parallel_config` spreads them.

    Parameters
    ----------
    series : DataFrame or Panel
    models : mapping
        Name -> model.
    h : int
        Periods ahead, at every origin.
    origins, step : int
        How many, and how many periods apart.
    level, seed
        As in `forecast`.

    Returns
    -------
    DataFrame
        As from `forecast`, with one block of rows per origin, earliest first.

    Raises
    ------
    TooLittleData
        No origin leaves h periods to score.
    """
    _named(models)
    _ahead(h)
    panel = Panel.of(series)
    seen = len(panel.periods) - h - step * np.arange(origins)[::-1]
    seen = seen[seen >= 1]
    if not len(seen):
        raise TooLittleData(
            f"There are {len(panel.periods)} periods; judging forecasts {h} ahead takes at least {h + 1}. Ask for a smaller h."
        )
    parts = Parallel()(delayed(_past)(panel.head(int(k)), dict(models), h, level, seed) for k in seen)
    return pd.concat(parts, ignore_index=True)


def _past(panel: Panel, models: dict[str, Model], h: int, level: float, seed: int) -> pd.DataFrame:
    return forecast(fit(panel.rows(panel.lengths > 0), models), h, level, seed)


@dataclass(frozen=True)
class _Parts:
    """Several fitted models that share out the series of a panel between them."""

    parts: tuple[tuple[np.ndarray, Fitted], ...]
    series: int
    notes: tuple[tuple[str, str], ...] = ()

    def simulate(self, h: int, n: int, rng: Streams) -> np.ndarray:
        paths = np.empty((self.series, n, h))
        for rows, fitted in self.parts:
            paths[rows] = fitted.simulate(h, n, rng.rows(rows))
        return paths


def _fit(panel: Panel, name: str, model: Model) -> Fitted:
    least = model.least(panel) if hasattr(model, "least") else 1
    short = panel.lengths < least
    if not short.any():
        return _fit_or_say(panel, name, model)
    parts: list[tuple[np.ndarray, Fitted]] = [(np.flatnonzero(short), Naive().fit(panel.rows(short)))]
    notes = [
        (panel.names[i], f"{plural(panel.lengths[i], 'observation')}, and {name} needs {least}: the last value instead")
        for i in np.flatnonzero(short)
    ]
    if not short.all():
        parts.append((np.flatnonzero(~short), _fit_or_say(panel.rows(~short), name, model)))
        notes += getattr(parts[-1][1], "notes", ())
    return _Parts(tuple(parts), len(panel.names), tuple(notes))


def _fit_or_say(panel: Panel, name: str, model: Model) -> Fitted:
    try:
        return model.fit(panel)
    except Exception as error:
        who = next((panel.names[i] for i in range(len(panel.names)) if _fails(panel.rows(np.array([i])), model)), None)
        error.add_note(
            f"While fitting the model {name!r}" + (f" to the series {who!r}." if who else " to the whole panel.")
        )
        raise


def _fails(panel: Panel, model: Model) -> bool:
    try:
        model.fit(panel)
    except Exception:
        return True
    return False


def _paths(fitted: Fitted, panel: Panel, name: str, h: int, n: int, seed: int) -> np.ndarray:
    streams = Streams(seed, panel.names, f"{name}\x1f{panel.origin:%Y-%m-%d}")
    paths = fitted.simulate(h, n, streams)
    if paths.shape != (len(panel.names), n, h) or not np.isfinite(paths).all():
        raise ValueError(
            f"The model {name!r} has to give finite paths of shape {(len(panel.names), n, h)}, not {paths.shape}."
        )
    return paths


def _interval(fitted: Fitted, panel: Panel, name: str, h: int, level: float, seed: int) -> tuple[np.ndarray, ...]:
    if isinstance(
        fitted, _Parts
    ):  # each part as if it were alone, so that a short series changes no long one's numbers
        three = tuple(np.empty((fitted.series, h)) for _ in range(3))
        for rows, part in fitted.parts:
            for whole, mine in zip(three, _interval(part, panel.rows(rows), name, h, level, seed), strict=True):
                whole[rows] = mine
        return three
    if hasattr(fitted, "interval"):
        return tuple(fitted.interval(h, level))
    if hasattr(fitted, "rows") and len(panel.names) > BLOCK:  # so that not all paths of all series are there at once
        blocks = [np.arange(i, min(i + BLOCK, len(panel.names))) for i in range(0, len(panel.names), BLOCK)]
        parts = [_interval(fitted.rows(block), panel.rows(block), name, h, level, seed) for block in blocks]
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))
    paths = _paths(fitted, panel, name, h, DRAWS, seed)
    lower, upper = np.quantile(paths, [0.5 - level / 2, 0.5 + level / 2], axis=1)
    return paths.mean(axis=1), lower, upper


def _frame(panel: Panel, models: tuple[str, ...], h: int, n: int = 1) -> pd.DataFrame:
    """The keys of forecasts or paths: series, then models, then (paths, then) horizons."""
    series = len(panel.names)
    each = n * h
    return pd.DataFrame(
        {
            "series": pd.Index(panel.names, dtype="str").repeat(len(models) * each),
            "model": pd.Index(models, dtype="str").take(np.tile(np.repeat(np.arange(len(models)), each), series)),
            "origin": panel.origin,
            "period": panel.future(h).take(np.tile(np.arange(h), series * len(models) * n)),
            "horizon": np.tile(np.arange(1, h + 1), series * len(models) * n),
        }
    )


def _named(models: Mapping[str, Model]) -> None:
    if not isinstance(models, Mapping) or not models:
        raise SettingError('Models have names: fit(series, {"ensemble": Ensemble()}).')


def _ahead(h: int) -> None:
    if h < 1:
        raise SettingError(f"A forecast reaches at least 1 period ahead, not {h}.")
