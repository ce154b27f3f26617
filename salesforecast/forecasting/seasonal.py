"""Seasons by classical decomposition: is there one, what does it look like at any origin, and where does smoothing start from."""

from __future__ import annotations

import numpy as np

from salesforecast.forecasting.smoothing import Columns, Initial, Season

SEASONS_BEFORE = 5  # seasons that the initial states are made of
SEASONS_BEHIND = 6  # seasons that the shares of the season at an origin are made of
LEAST_SHARE = 0.05


def centred_mean(y: np.ndarray, m: int) -> np.ndarray:
    """The mean over a season around each period (2 x m for an even m), along the first axis; NaN where it does not reach."""
    width = m + 1 - m % 2
    half = width // 2
    mean = np.full(y.shape, np.nan)
    if len(y) < width:
        return mean
    total = np.zeros((len(y) - width + 1, *y.shape[1:]))
    for i in range(width):
        weight = 0.5 / m if m % 2 == 0 and i in (0, width - 1) else 1 / m
        total += weight * y[i : i + len(total)]
    mean[half : half + len(total)] = total
    return mean


def mean_change(y: np.ndarray, m: int, power: int = 1) -> np.ndarray:
    """The mean absolute change over m periods, to a power, up to each period (first axis); over one where there is none yet.

    NaN where nothing has changed yet, as at a first value.
    """
    result = np.full(y.shape, np.nan)
    for lag in (1, m):
        if lag < len(y):
            change = np.abs(y[lag:] - y[:-lag]) ** power
            there = ~np.isnan(change)
            count = np.cumsum(there, axis=0)
            mean = np.cumsum(np.where(there, change, 0.0), axis=0) / np.maximum(count, 1)
            result[lag:] = np.where(count > 0, mean, result[lag:])
    return result


def known_mean(x: np.ndarray, axis: int) -> np.ndarray:
    """The mean of what is not NaN; NaN where nothing is known."""
    there = ~np.isnan(x)
    with np.errstate(invalid="ignore"):
        return np.where(there, x, 0.0).sum(axis=axis) / there.sum(axis=axis)


def is_seasonal(columns: Columns, m: int) -> np.ndarray:
    """Whether each series has a season: do values over their centred mean differ between places in the calendar?

    By an analysis of variance at 5 %. Series of less than two seasons have none; those of less than two and a half count
    as seasonal, for that cannot be tested.

    Source: as the test for stable seasonality of X-11 (Shiskin, Young & Musgrave 1967).
    """
    from scipy.stats import f

    periods, series = columns.y.shape
    length = periods - columns.start
    if m == 1:
        return np.zeros(series, dtype=bool)
    apart = columns.y - centred_mean(columns.y, m)
    there = ~np.isnan(apart)
    z = np.where(there, apart, 0.0)
    places = [slice(place, None, m) for place in range(m)]
    count = np.stack([there[place].sum(axis=0) for place in places]).astype("float64")
    total = np.stack([z[place].sum(axis=0) for place in places])
    n, mean = np.maximum(count.sum(axis=0), 1), total.sum(axis=0) / np.maximum(count.sum(axis=0), 1)
    between = (total**2 / np.maximum(count, 1)).sum(axis=0) - n * mean**2
    within = (z * z).sum(axis=0) - (total**2 / np.maximum(count, 1)).sum(axis=0)
    free = np.maximum(n - m, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (between / (m - 1)) / (within / free)
    # A season that repeats itself exactly leaves nothing within; a series that never changes has nothing between either.
    exact = (within <= 1e-12 * between) & (between > 1e-12 * np.abs(z).max(axis=0) ** 2)
    clear = exact | (f.sf(np.nan_to_num(ratio), m - 1, free) < 0.05)
    return np.asarray((length >= 2 * m) & (clear | (length < 2.5 * m)))


def initial_states(
    columns: Columns, m: int, season: Season, seasonal: np.ndarray, seasons: int = SEASONS_BEFORE
) -> Initial:
    """Where the recursion starts: the season by decomposition of the first seasons, level and slope by a short regression.

    Source: Hyndman et al. (2008), section 2.6.1.
    """
    periods, series = columns.y.shape
    shape = np.full((m, series), 1.0 if season == "multiplicative" else 0.0)
    first = np.arange(seasons * m)[:, None] + columns.start[None]
    y = np.where(first < periods, columns.y[np.minimum(first, periods - 1), np.arange(series)], np.nan)
    if season != "none" and seasonal.any():
        mean = centred_mean(y, m)
        apart = _over(y, mean) if season == "multiplicative" else y - mean
        by_age = known_mean(apart.reshape(seasons, m, series), axis=0)
        by_age = _level(by_age, season)
        place = (columns.start[None] + np.arange(m)[:, None]) % m
        found = np.empty_like(by_age)
        np.put_along_axis(found, place, by_age, axis=0)
        shape = np.where(seasonal[None], found, shape)
    q = min(max(10, 2 * m), len(columns.y))
    first = np.arange(q)[:, None] + columns.start[None]
    y = np.where(first < periods, columns.y[np.minimum(first, periods - 1), np.arange(series)], np.nan)
    place = np.take_along_axis(shape, first % m, axis=0)
    y = y / place if season == "multiplicative" else y - place
    there = ~np.isnan(y)
    x = np.where(there, np.arange(1, q + 1)[:, None], np.nan)
    x0, y0 = np.nanmean(x, axis=0), np.nanmean(y, axis=0)
    spread = np.nansum((x - x0) ** 2, axis=0)
    slope = np.where(there.sum(axis=0) >= 3, np.nansum((x - x0) * (y - y0), axis=0) / np.maximum(spread, 1), 0.0)
    return Initial(y0 - slope * x0, slope, shape)


def shares(
    columns: Columns, m: int, origins: np.ndarray, seasonal: np.ndarray, multiplicative: np.ndarray
) -> np.ndarray:
    """The season as it was known at each origin: the mean of the last six seasons' ratios (or differences) to their centred mean.

    Parameters
    ----------
    columns : Columns
    m : int
    origins : ndarray of int
        Periods seen.
    seasonal, multiplicative : ndarray of bool (series,)

    Returns
    -------
    ndarray (origins, m, series)
        By calendar place; factors around 1 where multiplicative, else amounts around 0.
    """
    periods, series = columns.y.shape
    neutral = np.broadcast_to(np.where(multiplicative, 1.0, 0.0), (len(origins), m, series))
    if m == 1 or not seasonal.any():
        return neutral
    mean = centred_mean(columns.y, m)
    apart = np.where(multiplicative, _over(columns.y, mean), columns.y - mean)
    there = ~np.isnan(apart)
    sums, counts = np.where(there, apart, 0.0), there.astype("float64")
    for t in range(m, periods):
        sums[t] += sums[t - m]
        counts[t] += counts[t - m]
    window = SEASONS_BEHIND * m
    known = origins[:, None] - m // 2 - m + np.arange(m)[None]  # the last m periods whose centred mean is known
    late, early = np.maximum(known, 0), known - window
    inside = (known >= 0)[:, :, None]
    total = np.where(inside, sums[late] - np.where((early >= 0)[:, :, None], sums[np.maximum(early, 0)], 0.0), 0.0)
    count = np.where(inside, counts[late] - np.where((early >= 0)[:, :, None], counts[np.maximum(early, 0)], 0.0), 0.0)
    with np.errstate(invalid="ignore"):
        found = total / count
    complete = (count > 0).all(axis=1)
    factors = np.maximum(found, LEAST_SHARE)
    centred = np.where(
        multiplicative, factors / factors.mean(axis=1, keepdims=True), found - found.mean(axis=1, keepdims=True)
    )
    by_place = np.empty_like(centred)
    np.put_along_axis(by_place, np.broadcast_to((known % m)[:, :, None], centred.shape), centred, axis=1)
    return np.where((complete & seasonal)[:, None], by_place, neutral)


def _over(y: np.ndarray, mean: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.isnan(mean), np.nan, np.where(mean > 0, y / mean, 1.0))


def _level(shape: np.ndarray, season: Season) -> np.ndarray:
    """The season around 1 (multiplicative) or 0, with what is not known neutral."""
    if season == "multiplicative":
        shape = np.where(np.isnan(shape), 1.0, np.maximum(shape, LEAST_SHARE))
        return shape / shape.mean(axis=0)
    shape = np.where(np.isnan(shape), 0.0, shape)
    return shape - shape.mean(axis=0)
