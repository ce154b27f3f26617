"""Models of many series at once: the naive ones every other has to beat, smoothing, theta, rare demand, and the default, `Ensemble`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from salesforecast.errors import SettingError
from salesforecast.forecasting import calibration
from salesforecast.forecasting.calibration import Calibrated, Points
from salesforecast.forecasting.panel import Fitted, Panel, Streams
from salesforecast.forecasting.points import RarePoints, SmoothingPoints, ThetaPoints
from salesforecast.forecasting.smoothing import Season, Trend

RARE_FROM = (
    1.32  # periods per period in which something came, from which demand is intermittent (Syntetos & Boylan 2005)
)


@dataclass(frozen=True)
class Naive:
    """The last value, with the changes seen so far (centred) resampled around it (FPP3, section 5.2).

    A single observation knows no change: its paths stay where it is.
    """

    def fit(self, panel: Panel) -> Fitted:
        """The last values and the changes of every series."""
        return _Steps(
            _tail(panel, 1), tuple(_changes(panel, 1)), np.zeros(len(panel.names)), calibration.floored(panel)
        )

    def rolling(self, panel: Panel, h: int, origins: np.ndarray) -> np.ndarray:
        """The value at each origin, h times: (series, origins, h)."""
        return np.repeat(panel.values[:, np.asarray(origins) - 1][:, :, None], h, axis=2)


@dataclass(frozen=True)
class SeasonalNaive:
    """The value of a season ago, with the changes from season to season (centred) resampled around it, a season at a time.

    A series of a season or less has no value of a season ago: it goes on as `Naive` would, and the notes say so.
    """

    def least(self, panel: Panel) -> int:
        """One observation more than a season, so that there is a change."""
        return panel.season + 1

    def fit(self, panel: Panel) -> Fitted:
        """The last season and the changes of every series."""
        changes = tuple(_changes(panel, panel.season))
        return _Steps(_tail(panel, panel.season), changes, np.zeros(len(panel.names)), calibration.floored(panel))

    def rolling(self, panel: Panel, h: int, origins: np.ndarray) -> np.ndarray:
        """The values of a season before (series, origins, h); NaN where there was none."""
        behind = np.asarray(origins)[:, None] + np.arange(h) % panel.season - panel.season
        return np.where(behind >= 0, panel.values[:, np.maximum(behind, 0)], np.nan)


@dataclass(frozen=True)
class Drift:
    """The last value plus the changes seen so far, resampled with their mean (FPP3, section 5.2)."""

    def least(self, panel: Panel) -> int:
        """Two changes."""
        return 3

    def fit(self, panel: Panel) -> Fitted:
        """The last values, the changes and their means."""
        y = panel.values
        drift = (y[:, -1] - _first(panel)) / (panel.lengths - 1)
        return _Steps(_tail(panel, 1), tuple(_changes(panel, 1)), drift, calibration.floored(panel))


@dataclass(frozen=True)
class Mean:
    """The mean of all values, with their deviations from it resampled."""

    def fit(self, panel: Panel) -> Fitted:
        """The values of every series."""
        return _Draws(tuple(y[~np.isnan(y)] for y in panel.values))


@dataclass(frozen=True)
class Smoothing:
    """Exponential smoothing, with intervals calibrated on its errors at past origins.

    Parameters
    ----------
    trend : "none", "additive" or "damped"
    season : "none", "additive" or "multiplicative"
    power : 1, 0.5 or 0
        Smooth the values, their roots or their logarithms. Series with zeros take roots for logarithms, and series with
        negative values are taken as they are, with an additive season.
    """

    trend: Trend = "damped"
    season: Season = "additive"
    power: float = 1.0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("trend", self.trend, ("none", "additive", "damped")),
            ("season", self.season, ("none", "additive", "multiplicative")),
            ("power", self.power, (1, 0.5, 0)),
        ):
            if value not in known:
                raise SettingError(f"Smoothing has no {name} {value!r}. Known: {', '.join(map(str, known))}.")

    def fit(self, panel: Panel) -> Fitted:
        """Parameters and initial states of every series."""
        return _calibrated(panel, (SmoothingPoints(self.trend, self.season, self.power),))


@dataclass(frozen=True)
class Theta:
    """The theta method on the seasonally adjusted series; or, `yearly`, on what whole seasons bring."""

    yearly: bool = False

    def fit(self, panel: Panel) -> Fitted:
        """The smoothing parameter of every series."""
        return _calibrated(panel, (ThetaPoints(self.yearly),))


@dataclass(frozen=True)
class Intermittent:
    """Rare demand: Croston's method, its unbiased form (SBA), or Teunter, Syntetos and Babai's (TSB)."""

    kind: Literal["croston", "sba", "tsb"] = "tsb"

    def __post_init__(self) -> None:
        if self.kind not in ("croston", "sba", "tsb"):
            raise SettingError(f"Intermittent has no kind {self.kind!r}. Known: croston, sba, tsb.")

    def fit(self, panel: Panel) -> Fitted:
        """The smoothing parameter of every series."""
        return _calibrated(panel, (RarePoints(self.kind),))


STEADY: tuple[Points, ...] = (
    SmoothingPoints("none", "multiplicative", 1.0),
    SmoothingPoints("damped", "additive", 0.0),
    SmoothingPoints("additive", "additive", 0.5),
    ThetaPoints(),
    ThetaPoints(yearly=True),
)
RARE: tuple[Points, ...] = (RarePoints("tsb"), RarePoints("sba"), SmoothingPoints("none", "none", 1.0))


@dataclass(frozen=True)
class Ensemble:
    """The default: several forecasts of each series, weighted by their errors at past origins, with calibrated intervals.

    Steady series: smoothing without trend (multiplicative season), with damped trend (logarithms), with trend (roots), theta, and theta
    of whole seasons. Series in which something comes in fewer than 1 of 1.32 periods: TSB, SBA and simple smoothing. Weights
    are one over the mean absolute error at past origins. Intervals are quantiles of past origins' errors per horizon, their
    shape pooled over the panel's series of the same kind, their size each series' own as far as its past tells it.

    Parameters
    ----------
    steady, rare : tuple of Points
        What is combined.
    """

    steady: tuple[Points, ...] = field(default=STEADY)
    rare: tuple[Points, ...] = field(default=RARE)

    def fit(self, panel: Panel) -> Fitted:
        """All members' parameters for every series, in chunks that `joblib.parallel_config` may spread."""
        came = np.where(np.isnan(panel.values), 0.0, panel.values != 0).sum(axis=1)
        rare = (panel.lengths > RARE_FROM * came) & calibration.floored(panel)
        return _calibrated(panel, self.steady, self.rare, rare)


def _calibrated(
    panel: Panel, steady: tuple[Points, ...], rare: tuple[Points, ...] = (), is_rare: np.ndarray | None = None
) -> Calibrated:
    kinds = np.where(np.zeros(len(panel.names), dtype=bool) if is_rare is None else is_rare, "rare", "steady")
    chunks = calibration.learn(panel, {"steady": steady, "rare": rare}, kinds)
    return Calibrated(panel.names, chunks, calibration.floored(panel), calibration.short_notes(panel))


def _first(panel: Panel) -> np.ndarray:
    return np.take_along_axis(panel.values, np.isnan(panel.values).sum(axis=1)[:, None], axis=1)[:, 0]


def _tail(panel: Panel, m: int) -> np.ndarray:
    """The last m values (series, m)."""
    return panel.values[:, -m:]


def _changes(panel: Panel, m: int) -> list[np.ndarray]:
    """The centred changes over m periods of each series; a single 0 where there is none."""
    changes = [y[m:] - y[:-m] for y in (y[~np.isnan(y)] for y in panel.values)]
    return [c - c.mean() if len(c) else np.zeros(1) for c in changes]


@dataclass(frozen=True)
class _Steps:
    """The last season repeated, plus what resampled changes from season to season add up to."""

    tail: np.ndarray  # (series, m)
    changes: tuple[np.ndarray, ...]  # over m periods, in order
    drift: np.ndarray  # (series,) per period
    floored: np.ndarray

    def rows(self, keep: np.ndarray) -> _Steps:
        changes = tuple(self.changes[i] for i in np.arange(len(self.changes))[keep])
        return _Steps(self.tail[keep], changes, self.drift[keep], self.floored[keep])

    def simulate(self, h: int, n: int, rng: Streams) -> np.ndarray:
        m = self.tail.shape[1]
        seasons = -(-h // m)
        paths = np.empty((len(self.tail), n, h))
        for i, (tail, changes) in enumerate(zip(self.tail, self.changes, strict=True)):
            # A season's changes are drawn together, since neighbouring ones are alike; short memories go round.
            begin = rng[i].integers(len(changes), size=(n, seasons))
            drawn = changes[(begin[:, :, None] + np.arange(m)) % len(changes)]
            paths[i] = (tail + drawn.cumsum(axis=1)).reshape(n, seasons * m)[:, :h] + self.drift[i] * np.arange(
                1, h + 1
            )
        return np.where(self.floored[:, None, None], np.maximum(paths, 0.0), paths)


@dataclass(frozen=True)
class _Draws:
    values: tuple[np.ndarray, ...]

    def rows(self, keep: np.ndarray) -> _Draws:
        return _Draws(tuple(self.values[i] for i in np.arange(len(self.values))[keep]))

    def simulate(self, h: int, n: int, rng: Streams) -> np.ndarray:
        return np.stack([g.choice(y, size=(n, h)) for g, y in zip(rng, self.values, strict=True)])
