"""The panel: many series side by side on one calendar, and what a model has to be to forecast them.

A model sees the whole panel at once, `fit(panel)`, and answers with sample paths, `simulate(h, n, rng)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Protocol, overload

import numpy as np
import pandas as pd

from salesforecast.errors import DataError, SettingError, TooLittleData, unknown

SEASONS = {"YS": 1, "QS": 4, "MS": 12, "W": 52, "B": 5, "D": 7}
ANCHORS = ("DEC", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV")
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
SHOWN = 3


@dataclass(frozen=True)
class Panel:
    """Series side by side on a common, regular calendar; all of them end in the same period, the origin.

    Parameters
    ----------
    names : tuple of str
        One for each series.
    values : ndarray (series, periods)
        NaN on the left where a series is younger; never inside, and never at the end.
    periods : DatetimeIndex
        The first day of each period, without a hole.
    freq : str
        pandas' name of the steps: "MS", "QS" (or "QS-FEB", "QS-MAR"), "YS-…", "W-MON"…, "B" or "D".
    season : int
        Periods in a season: 12 for months, 4 quarters, 52 weeks, 5 or 7 days, 1 for none.
    regressors : dict of ndarray (series or 1, periods + h)
        What is known in advance, by name: column j belongs to period j, the columns beyond the last period to the future.
    """

    names: tuple[str, ...]
    values: np.ndarray
    periods: pd.DatetimeIndex
    freq: str
    season: int
    regressors: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        series: pd.DataFrame | Panel,
        *,
        season: int | None = None,
        regressors: Mapping[str, np.ndarray] | None = None,
        freq: str | None = None,
    ) -> Panel:
        """The panel of a frame of series.

        Gaps are refused, since nobody but the owner of the data knows whether a missing period is a zero, a closed shop
        or a lost file. A series may start later than the others, and may begin with missing values; it may not end
        earlier.

        Parameters
        ----------
        series : DataFrame
            Columns series, period (its first day, or a pandas Period), value. A Panel is given back as it is.
        season : int, optional
            Periods in a season, where it is not the usual one of the frequency.
        regressors : mapping, optional
            Arrays (series or 1, periods + h), with the series in the order of their names.
        freq : str, optional
            Where it cannot be read from the periods, as with a single one (which is taken for a month, when it is
            the first day of one).

        Returns
        -------
        Panel
            Series in the order of their names.

        Raises
        ------
        DataError
            A period twice, off the calendar, missing inside, or a series that ends early; an endless value.
        SettingError
            A column that is not there.
        TooLittleData
            No value at all.
        """
        if isinstance(series, Panel):
            return series
        for column in ("series", "period", "value"):
            if column not in series:
                raise unknown("column", column, series.columns)
        frame = series[["series", "period", "value"]].assign(value=series["value"].astype("float64"))
        if isinstance(frame["period"].dtype, pd.PeriodDtype):
            frame["period"] = frame["period"].dt.to_timestamp()
        frame["period"] = pd.to_datetime(frame["period"]).dt.as_unit("ns")
        twice = frame.duplicated(["series", "period"])
        if twice.any():
            raise DataError(
                f"These periods stand there more than once: {_shown(frame[twice])}. Add them up, or keep one of each."
            )
        if not frame["value"].notna().any():
            raise TooLittleData("The series hold no value, so there is nothing to forecast from.")
        endless = np.isinf(frame["value"])
        if endless.any():
            raise DataError(f"The values of {_shown(frame[endless])} are infinite.")
        seen = pd.DatetimeIndex(np.sort(frame.loc[frame["value"].notna(), "period"].unique()))
        freq = freq or frequency(seen)
        periods = pd.date_range(seen[0], seen[-1], freq=freq)
        off = seen.difference(periods)
        if len(off):
            raise DataError(
                f"The periods do not follow one another at the frequency {freq!r}: {off[0]:%Y-%m-%d} does not fit. "
                f"Name each period by its first day."
            )
        wide = frame.pivot(index="series", columns="period", values="value").reindex(columns=periods).sort_index()
        panel = cls(
            tuple(str(name) for name in wide.index),
            np.ascontiguousarray(wide.to_numpy("float64")),
            periods,
            freq,
            season or SEASONS[freq.split("-")[0]],
        )
        return replace(_without_gaps(panel), regressors=_regressors(panel, regressors or {}))

    @property
    def origin(self) -> pd.Timestamp:
        """The last period seen."""
        return self.periods[-1]

    @property
    def lengths(self) -> np.ndarray:
        """How many observations each series has."""
        return (~np.isnan(self.values)).sum(axis=1)

    @property
    def last(self) -> np.ndarray:
        """The last value of each series."""
        return self.values[:, -1]

    def head(self, k: int) -> Panel:
        """The first k periods, as if the rest had not been seen; regressors stay, for they are known in advance."""
        return replace(self, values=self.values[:, :k], periods=self.periods[:k])

    def upto(self, period: pd.Timestamp) -> Panel:
        """The periods up to and with this one."""
        return self.head(int(self.periods.searchsorted(period, side="right")))

    def rows(self, keep: np.ndarray) -> Panel:
        """Some of the series: a mask or positions."""
        keep = np.arange(len(self.names))[keep]
        mine = {name: x if len(x) == 1 else x[keep] for name, x in self.regressors.items()}
        names = tuple(self.names[i] for i in keep)
        return replace(self, names=names, values=self.values[keep], regressors=mine)

    def future(self, h: int) -> pd.DatetimeIndex:
        """The next h periods."""
        return pd.date_range(self.origin, periods=h + 1, freq=self.freq)[1:]


class Fitted(Protocol):
    """What a model became when it had seen a panel.

    A fitted model may also have `interval(h, level) -> (mean, lower, upper)`, each (series, h), where it knows them
    without drawing; `rows(keep)`, the same for some of the series, so that paths can be drawn in blocks; and `notes`, pairs
    of series and text, where it had to do something else than asked for.
    """

    def simulate(self, h: int, n: int, rng: Streams) -> np.ndarray:
        """Paths of shape (series, n, h); `rng` holds one generator per series, in the panel's order."""
        ...


class Model(Protocol):
    """A description of a model, not yet fitted.

    A model may also have `least(panel) -> int`, the fewest observations it can be fitted to: shorter series are
    forecast with the last value instead, and the notes of the fits say so. And it may have
    `rolling(panel, h, origins) -> ndarray (series, origins, h)`, point forecasts from past origins (counts of periods
    seen), NaN where it cannot say, with parameters that may come from the whole panel.
    """

    def fit(self, panel: Panel) -> Fitted:
        """The model fitted to every series of the panel."""
        ...


class Streams(Sequence[np.random.Generator]):
    """One random generator per series, made of the seed and of names, so that nobody's draws depend on the others.

    Where arrays are drawn the first axis is the series: `rng.normal(size=(series, n, h))`.

    Parameters
    ----------
    seed : int
    names : iterable of str
        The series.
    key : str
        What else the draws shall depend on: the model, the origin.
    """

    def __init__(self, seed: int, names: Iterable[str], key: str = "") -> None:
        self._generators = tuple(
            np.random.Generator(np.random.SFC64(np.frombuffer(_digest(seed, name, key), dtype=np.uint32).tolist()))
            for name in names
        )

    def __len__(self) -> int:
        return len(self._generators)

    @overload
    def __getitem__(self, i: int) -> np.random.Generator: ...

    @overload
    def __getitem__(self, i: slice) -> tuple[np.random.Generator, ...]: ...

    def __getitem__(self, i: int | slice) -> np.random.Generator | tuple[np.random.Generator, ...]:
        return self._generators[i]

    def rows(self, keep: np.ndarray) -> Streams:
        """The generators of some of the series: a mask or positions."""
        some = Streams(0, ())
        some._generators = tuple(self._generators[i] for i in np.arange(len(self))[keep])
        return some

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: tuple[int, ...] = ()) -> np.ndarray:
        """Normal draws of shape `size`, whose first axis is the series."""
        return loc + scale * self._each("standard_normal", size)

    def random(self, size: tuple[int, ...]) -> np.ndarray:
        """Uniform draws from 0 to 1 of shape `size`, whose first axis is the series."""
        return self._each("random", size)

    def _each(self, draw: str, size: tuple[int, ...]) -> np.ndarray:
        if not size or size[0] != len(self):
            raise ValueError(f"The first axis of the draws is the series: {len(self)}, not {size[:1]}.")
        return np.stack([getattr(g, draw)(size[1:]) for g in self._generators])


def frequency(periods: pd.DatetimeIndex) -> str:
    """The frequency that periods lie on, from the first days alone: months, quarters, years, weeks, working days or days.

    Examples
    --------
    >>> frequency(pd.DatetimeIndex(["2025-01-01", "2025-04-01", "2025-10-01"]))
    'QS'
    >>> frequency(pd.DatetimeIndex(["2025-02-01", "2025-05-01"])), frequency(pd.DatetimeIndex(["2025-02-01"]))
    ('QS-FEB', 'MS')
    >>> frequency(pd.DatetimeIndex(["2025-01-06", "2025-01-20"])), frequency(pd.DatetimeIndex(["2025-01-06", "2025-01-07"]))
    ('W-MON', 'D')
    """
    if (periods.day == 1).all():
        month = periods.year * 12 + periods.month
        step = int(np.gcd.reduce(np.diff(month))) if len(periods) > 1 else 1
        if step and step % 12 == 0:
            return f"YS-{ANCHORS[periods.month[0] % 12]}"
        if step and step % 3 == 0:
            return ("QS-MAR", "QS", "QS-FEB")[periods.month[0] % 3]
        return "MS"
    if len(periods) > 1 and len(set(periods.day_of_week)) == 1:
        return f"W-{WEEKDAYS[periods.day_of_week[0]]}"
    if len(periods) > 1 and periods.is_month_end.all():
        raise DataError(
            f"The periods are the last days of months, such as {periods[0]:%Y-%m-%d}. Name each by its first day: "
            f"frame['period'].dt.to_period('M').dt.to_timestamp()."
        )
    weeks = (periods[-1] - periods[0]).days / 7
    return "B" if weeks >= 2 and (periods.day_of_week < 5).all() else "D"


# What a frequency is called, by the first letter of pandas' name of it.
_STEPS = {"M": "months", "Q": "quarters", "Y": "years", "W": "weeks", "B": "working days", "D": "days"}


def _without_gaps(panel: Panel) -> Panel:
    empty = np.isnan(panel.values)
    started = ~np.logical_and.accumulate(empty, axis=1)
    if not started.any(axis=1).all():
        names = [panel.names[i] for i in np.flatnonzero(~started.any(axis=1))]
        raise TooLittleData(
            f"These series hold no value: {', '.join(names[:SHOWN])} ({len(names)} in all). Leave them out."
        )
    early = np.flatnonzero(empty[:, -1])
    if len(early):
        last = panel.values.shape[1] - 1 - (~empty[:, ::-1]).argmax(axis=1)
        ends = [f"{panel.names[i]!r} in {panel.periods[last[i]]:%Y-%m-%d}" for i in early[:SHOWN]]
        raise DataError(
            f"{len(early)} series {'ends' if len(early) == 1 else 'end'} before the last period, {panel.origin:%Y-%m-%d}: "
            f"{', '.join(ends)}. Fill the periods in which nothing happened with 0, or leave out the series that ended."
        )
    series, period = np.nonzero(empty & started)
    if len(series):
        where = [
            f"{panel.names[i]!r} in {panel.periods[j]:%Y-%m-%d}"
            for i, j in list(zip(series, period, strict=True))[:SHOWN]
        ]
        raise DataError(
            f"There are gaps: {', '.join(where)} ({len(series)} in all), since the periods are taken for {_STEPS[panel.freq[0]]}. "
            f"Fill those in which nothing happened with 0, and the others with what they should have been."
        )
    return panel


def _regressors(panel: Panel, regressors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    series, periods = panel.values.shape
    checked = {}
    for name, x in regressors.items():
        array = np.atleast_2d(np.asarray(x, dtype="float64"))
        if array.shape[0] not in (1, series) or array.shape[1] < periods:
            raise SettingError(
                f"The regressor {name!r} has the shape {array.shape}; it needs 1 or {series} rows, and at least {periods} columns."
            )
        if not np.isfinite(array).all():
            raise DataError(f"The regressor {name!r} has missing or infinite values.")
        checked[str(name)] = array
    return checked


def _digest(seed: int, name: str, key: str) -> bytes:
    return blake2b(f"{seed}\x1f{name}\x1f{key}".encode(), digest_size=16).digest()


def _shown(rows: pd.DataFrame) -> str:
    some = [f"{r.series!r} in {r.period:%Y-%m-%d}" for r in rows.head(SHOWN).itertuples()]
    return f"{', '.join(some)} ({len(rows)} in all)"
