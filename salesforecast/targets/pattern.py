"""How business falls on the days: season, end of quarter, end of month and weekday, each believed as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from salesforecast import shrinkage, workdays
from salesforecast.periods import ONE_DAY, Period, period_at
from salesforecast.targets.sold import between, settled

A_YEAR = 365
A_QUARTER = 13
WORKED = 0.25  # of a weekday's money: what a day of the weekend has to bring to count as worked
SEASONED = 540  # days of history before a month's difference may be called a season
GROWTH = 0.15  # how far growth may be from none, as one standard deviation of its logarithm
PASSES = 3
SLOTS = {"month": 12, "week": A_QUARTER, "fifth": 5, "weekday": 7}


@dataclass(frozen=True)
class Pattern:
    """The weight of each day.

    Parameters
    ----------
    factors : dict
        month (of the year, 12), week (of the quarter, 13, the last twelve of seven days), fifth (of the month's days, 5)
        and weekday (7): factors around 1.
    weekend : tuple of int
        The days of the week (0 is Monday) on which nobody works.
    country : str
        Whose public holidays are not worked.
    fiscal_year_start : int
    growth : float
        A year's growth, drawn towards none the less is known of it.
    level : float
        Money per unit of weight at the end of the history.
    spread : float
        How much wider months differ than the luck of single deals makes them, as a factor of the variance, at least 1.
    since, until : Timestamp
        The history it was learnt from.
    """

    factors: dict[str, np.ndarray]
    weekend: tuple[int, ...]
    country: str
    fiscal_year_start: int
    growth: float
    level: float
    spread: float
    since: pd.Timestamp
    until: pd.Timestamp

    def weights(self, days: pd.DatetimeIndex) -> np.ndarray:
        """The weight of each day; 0 on days without work."""
        worked = working(days, self.country, self.weekend)
        slots = _slots(days, self.fiscal_year_start)
        total = worked.astype("float64")
        for name, place in slots.items():
            total = total * self.factors[name][place]
        return total

    def expected(self, days: pd.DatetimeIndex) -> np.ndarray:
        """Money each day brings when business goes on as it did."""
        years = (days - self.until) / pd.Timedelta(days=A_YEAR)
        return self.level * self.weights(days) * self.growth ** np.asarray(years)


def pattern(
    sales: pd.DataFrame, until: pd.Timestamp, *, country: str = "", fiscal_year_start: int = 1, plain: bool = False
) -> Pattern:
    """The pattern of the days, learnt from what was sold before `until`.

    Money a working day in a slot (a month of the year, a week of the quarter, a fifth of the month, a weekday) over that of all,
    growth taken out, one kind of slot after the other and round again. Each logarithm is drawn towards 0 the more, the less is
    known of it: its variance is that of a sum of deals, sum of squared amounts over the squared sum, times the spread of months
    beyond that; the spread of the true factors is Paule and Mandel's. A season needs a year and a half of history. A day of the
    weekend counts as worked where it brought at least a quarter of what a weekday did; a public holiday never does.

    Parameters
    ----------
    sales : DataFrame
        day, amount.
    until : Timestamp
        The first day that is not known.
    country : str
        Two letters, for public holidays; "" for none.
    fiscal_year_start : int
    plain : bool
        Without factors: working days alone, which is linear pacing.

    Raises
    ------
    TooLittleData
        With less than a quarter of history.
    """
    since = settled(sales, until, fiscal_year_start)
    known = between(sales, since, until)
    days = pd.date_range(since, until - ONE_DAY)
    place = np.asarray((known["day"] - since).dt.days)
    money = np.bincount(place, known["amount"], len(days))
    square = np.bincount(place, known["amount"] ** 2, len(days))
    weekend = _weekend(days, money, country)
    worked = working(days, country, weekend)
    slots = _slots(days, fiscal_year_start)
    growth = _growth(money, square, worked)
    years = np.asarray((days - until) / pd.Timedelta(days=A_YEAR))
    usual = worked * growth**years
    factors = {name: np.ones(many) for name, many in SLOTS.items()}
    level, spread = money.sum() / max(usual.sum(), 1.0), 1.0
    names = [] if plain else [n for n in SLOTS if n != "month" or len(days) >= SEASONED]
    for _ in range(PASSES if names else 0):
        for name in names:
            others = usual * np.prod([factors[o][slots[o]] for o in SLOTS if o != name], axis=0)
            factors[name] = _factor(money, square, level * others, slots[name], SLOTS[name], spread)
        total = usual * np.prod([factors[o][slots[o]] for o in SLOTS], axis=0)
        level = money.sum() / max(total.sum(), 1e-12)
        spread = _spread(money, square, level * total, days)
    return Pattern(factors, weekend, country, fiscal_year_start, growth, float(level), spread, since, until)


def working(days: pd.DatetimeIndex, country: str = "", weekend: tuple[int, ...] = (5, 6)) -> np.ndarray:
    """Whether each day is worked: not of that weekend and no public holiday of the country."""
    free, usual, worked = workdays.calendar(country, days)
    off = np.asarray(days.day_of_week.isin(list(weekend)))
    return np.asarray(~off & ~days.isin(free) | (days.isin(worked) & (tuple(usual) == weekend)))


def path(pattern: Pattern, span: Period) -> pd.DataFrame:
    """The share of a period's target that is due by the end of each of its days.

    A day without work has the share of the day before. A period without a working day has its target spread evenly over its days.

    Returns
    -------
    DataFrame
        day, works (bool), working_day (how many were worked by then), working_days (of the period), share (due by then, 0 to 1).
    """
    days = pd.date_range(span.since, span.until - ONE_DAY)
    works = working(days, pattern.country, pattern.weekend)
    weight = pattern.weights(days)
    weight = weight if weight.sum() > 0 else np.ones(len(days))
    share = np.cumsum(weight) / weight.sum()
    return pd.DataFrame({
        "day": days, "works": works, "working_day": np.cumsum(works), "working_days": int(works.sum()), "share": share.clip(0, 1),
    })  # fmt: skip


def due(pattern: Pattern, span: Period, as_of: pd.Timestamp) -> float:
    """The share of a period's target that is due by the end of a day: 0 before it begins, 1 once it is over."""
    if as_of < span.since:
        return 0.0
    if as_of >= span.until - ONE_DAY:
        return 1.0
    frame = path(pattern, span)
    return float(frame.loc[frame["day"] <= as_of, "share"].iloc[-1])


def wandering(sales: pd.DataFrame, pattern: Pattern, kind: str) -> tuple[float, int]:
    """How far the shares reached in past periods lay from the path, and of how many periods.

    The variance of the share by a day is c E (1 - E), E the share due: what single deals of a given total do. c is the mean over
    past periods of a kind and their working days, one period taken off for having been learnt from.

    Returns
    -------
    float, int
        c (missing without a past period) and the number of periods.
    """
    at = period_at(pattern.since, kind, pattern.fiscal_year_start)
    at = at if at.since == pattern.since else at.previous(-1)
    found = []
    while at.until <= pattern.until:
        line = path(pattern, at)
        part = between(sales, at.since, at.until)
        money = np.bincount((part["day"] - at.since).dt.days, part["amount"], len(line)).cumsum()
        if money[-1] > 0:
            inside = (line["works"] & line["share"].between(0.02, 0.98)).to_numpy()
            e = line["share"].to_numpy()[inside]
            if len(e):
                found.append(float(((money[inside] / money[-1] - e) ** 2 / (e * (1 - e))).mean()))
        at = at.previous(-1)
    n = len(found)
    return (float(np.sum(found) / max(n - 1, 1)) if n else float("nan")), n


def _weekend(days: pd.DatetimeIndex, money: np.ndarray, country: str) -> tuple[int, ...]:
    usual = workdays.calendar(country, days).weekend
    sums = np.bincount(days.day_of_week, money, 7) / np.maximum(np.bincount(days.day_of_week, minlength=7), 1)
    weekday = np.mean([sums[d] for d in range(7) if d not in usual])
    return tuple(d for d in usual if sums[d] < WORKED * weekday)


def _slots(days: pd.DatetimeIndex, fiscal_year_start: int) -> dict[str, np.ndarray]:
    """Which month, week of the quarter, fifth of the month and weekday each day is."""
    offset = (fiscal_year_start - 1) % 3
    quarter = days.year * 12 + days.month - 1 - offset
    first = ((quarter // 3 + 1) * 3 + offset - 1970 * 12).to_numpy().astype("datetime64[M]").astype("datetime64[D]")
    to_end = (first - days.to_numpy().astype("datetime64[D]")).astype(int) - 1
    month = days.to_numpy().astype("datetime64[M]").astype("datetime64[D]")
    after = (month.astype("datetime64[M]") + 1).astype("datetime64[D]")
    gone = (days.to_numpy().astype("datetime64[D]") - month).astype(int)
    return {
        "month": np.asarray(days.month) - 1,
        "week": np.maximum(A_QUARTER - 1 - to_end // 7, 0),
        "fifth": np.minimum(5 * gone // (after - month).astype(int), 4),
        "weekday": np.asarray(days.day_of_week),
    }


def _growth(money: np.ndarray, square: np.ndarray, worked: np.ndarray) -> float:
    """A year's growth from days a year (52 weeks) apart, so that the season is in both; drawn towards none."""
    lag = 364
    shared = len(money) - lag
    if shared < 90:
        return 1.0
    early, late = money[:shared].sum(), money[lag:].sum()
    days = worked[lag:].sum() / max(worked[:shared].sum(), 1)
    if early <= 0 or late <= 0:
        return 1.0
    raw = np.log(late / early / days)
    noise = square[:shared].sum() / early**2 + square[lag:].sum() / late**2
    return float(np.exp(raw * GROWTH**2 / (GROWTH**2 + noise)))


def _factor(
    money: np.ndarray, square: np.ndarray, usual: np.ndarray, slot: np.ndarray, many: int, spread: float
) -> np.ndarray:
    got, want = np.bincount(slot, money, many), np.bincount(slot, usual, many)
    raw, noise = log_ratio(got, want, np.bincount(slot, square, many) * spread)
    there = want > 0
    out = np.ones(many)
    out[there] = np.exp(drawn(raw[there], noise[there]))
    return out * got.sum() / max((out * want).sum(), 1e-12)


def log_ratio(got: np.ndarray, want: np.ndarray, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logarithm of money over the money usual, and its variance by the luck of single deals; unknown where nothing is usual.

    Half a deal of the usual size stands in for none, so that a slot without a sale has a logarithm.
    """
    size = square.sum() / max(
        got.sum(), 1e-12
    )  # the mean of squares over the mean: what one more deal adds of variance
    half = size / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        raw = np.log((got + half) / (want + half))
        noise = (np.maximum(square, size * want / 2) + size**2 / 4) / (np.maximum(got, want / 2) + half) ** 2
    return np.where(want > 0, raw, 0.0), np.where(want > 0, noise, np.inf)


def drawn(raw: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Estimates drawn towards 0 by what they share: each times tau2 / (tau2 + its variance)."""
    tau2 = shrinkage.spread(raw, noise) ** 2
    return np.asarray(raw * tau2 / (tau2 + noise))


def _spread(money: np.ndarray, square: np.ndarray, usual: np.ndarray, days: pd.DatetimeIndex) -> float:
    """How much wider months differ from what was usual than the luck of single deals makes them."""
    month = np.asarray((days.year - days[0].year) * 12 + days.month - days[0].month)
    got, want, noise = (np.bincount(month, x) for x in (money, usual, square))
    per_money = noise.sum() / max(got.sum(), 1e-12)
    inside = want > 0
    free = max(int(inside.sum()) - 3, 1)
    return float(max(1.0, ((got - want)[inside] ** 2 / (per_money * want[inside])).sum() / free))
