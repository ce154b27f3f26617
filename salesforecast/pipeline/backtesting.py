"""What the forecast would have said in every week of past periods, with only what was known then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from salesforecast import periods
from salesforecast.errors import MissingTable, SettingError, TooLittleData, unknown
from salesforecast.periods import ONE_DAY, Period
from salesforecast.pipeline import models, panels, simple, weeks
from salesforecast.pipeline.origins import Beside, Said, beside, days_of, said_at
from salesforecast.tables import Crm

EVERY = {"quarter": "Q", "month": "M"}


@dataclass(frozen=True)
class Now:
    """The forecast that is not over yet: the period, the model, what it was given, and what it expects."""

    period: Period
    model: models.Model
    seen: models.Seen
    outlook: models.Ahead


@dataclass(frozen=True)
class Backtest:
    """The forecasts of past periods, and what came.

    Parameters
    ----------
    origins : DataFrame
        One row per period and origin, the earliest first: period, origin (day), weeks_to_go, since, last (the first and the
        last day of the period), booked (money by that day), open, new (money the pipeline model expected of open deals and of
        deals to come), actual_open, actual_new (what they brought), actual (the period's bookings; all three missing while it
        is not over), floor (the standard deviation that even perfect probabilities leave, money), learnt (weeks of closings
        known when the model was fitted), unsure (the variance of what is expected over its square, for being learnt from so few
        wins), told (flag: a history told the stages that it learnt from).
    methods : DataFrame
        period, origin, weeks_to_go, method, mean (the period's total, money), actual.
    windows : DataFrame
        What was forecast of the weeks after each origin, wherever the period ends: origin, weeks (1, 2, … as many as a period
        has: how many weeks after the origin), pipeline, run_rate, amount_share (money of these weeks together), actual
        (missing while they are not over); in the order of `origins`.
    commits : DataFrame
        One row per origin and level of submitters that had called the period by then: period, origin, weeks_to_go, level, n
        (submitters), called, corrected (the period's bookings as called, and with past bias taken out: `commits.said`), actual.
        Empty without the table `calls`.
    draws : ndarray (origins, draws)
        Of what was still to come by the pipeline model, without what all deals of a period share; in the order of `origins`.
    weekly : ndarray (origins, weeks)
        The bookings of the weeks up to each origin as they were known then, the newest last; missing before the first one.
    deals : DataFrame
        One row per origin and open deal: period, origin, weeks_to_go, opportunity_id, chance (of being won by the end of the
        period), worth (money if won), won (flag: it was).
    now : Now
        What stands behind the last row of `origins`, whose actual is missing; None without a period to come.
    fitted : dict
        Day -> the model that was fitted on it.
    seed : int
        Of all that is drawn.
    """

    origins: pd.DataFrame
    methods: pd.DataFrame
    windows: pd.DataFrame
    commits: pd.DataFrame
    draws: np.ndarray
    weekly: np.ndarray
    deals: pd.DataFrame
    now: Now | None = None
    fitted: Mapping[pd.Timestamp, models.Model] = field(default_factory=dict)
    seed: int = 0

    @property
    def ahead(self) -> np.ndarray:
        """1, 2, … as many weeks as a period has, for every origin: (origins, weeks)."""
        return self.windows["weeks"].to_numpy().reshape(len(self.origins), -1)

    @property
    def to_go(self) -> np.ndarray:
        """The place in `ahead` of the weeks to go of each origin."""
        return np.minimum(self.origins["weeks_to_go"].to_numpy(), self.ahead.shape[1]) - 1

    def to_the_end(self, ahead: np.ndarray) -> np.ndarray:
        """Of what the weeks ahead bring together (origins, weeks) what is still to come in each origin's period.

        Where a week is only in part left, as many of its working days as are.
        """
        day, last = (self.origins[c].to_numpy("datetime64[D]") for c in ("origin", "last"))
        left = weeks.working_days(day + 1, last)
        known = weeks.working_days((day + 1)[:, None], day[:, None] + 7 * self.ahead)
        both = zip(left, known, ahead, strict=True)
        return np.array([np.interp(n, np.r_[0, upto], np.r_[0.0, brought]) for n, upto, brought in both])


def backtest(crm: Crm, period: Period | None = None, *, every: str = "quarter", seed: int = 0) -> Backtest:
    """The pipeline model and the simple methods at every week of the periods that are over, and as of today.

    The model is fitted again at the beginning of each quarter, to what was known on the day before; at each week it is
    given the deals as they were known then. Periods before the model can be fitted are left out.

    Parameters
    ----------
    crm : Crm
    period : Period, optional
        The period to forecast as of today, a quarter or a month (`coming`); only past ones are when it is left out.
    every : str
        "quarter" or "month", where no period says it.
    seed : int

    Raises
    ------
    MissingTable
        When no deal that was won has an amount.
    TooLittleData
        When no period is over that a model could be fitted before.
    SettingError
        When the period is a year, is over, or begins after tomorrow.
    """
    if period is not None:
        every = next((name for name, kind in EVERY.items() if kind == period.kind), "")
        if not every:
            near = periods.period_at(max(crm.as_of + ONE_DAY, period.since), "Q", period.fiscal_year_start)
            raise SettingError(
                f"{period.label} is a year: most of its deals are not entered yet, so its open deals tell little. Ask for a quarter, "
                f"as {near.label}, or a month; the forecast of the series looks a year ahead."
            )
        if period.since > crm.as_of + ONE_DAY:
            near = periods.period_at(crm.as_of + ONE_DAY, period.kind, period.fiscal_year_start)
            raise SettingError(
                f"{period.label} begins on {period.since:%Y-%m-%d}; from the deals a period is forecast at the earliest on the day "
                f"before it begins, and the data end on {crm.as_of:%Y-%m-%d}. Ask for {near.label}."
            )
        if period.until <= crm.as_of + ONE_DAY:
            raise SettingError(
                f"{period.label} was over on {crm.as_of:%Y-%m-%d}, the last day of the data. Ask for "
                f"{coming(period, crm.as_of).label}, or take the data back to a day within it: crm.at(day)."
            )
    if every not in EVERY:
        raise unknown("length of period", every, EVERY)
    small, start = panels.needed(crm), crm.settings.fiscal_year_start
    won = panels.won(panels.closings(small))
    if len(won) and not (won["amount"] > 0).any():
        raise MissingTable(
            "The forecast is of money, and no won deal has an amount. Map the column amount of the opportunities, or fill it in."
        )
    spans, ends = _over(crm, every), _week_ends(crm)
    running = [] if period is None else [period]
    origins = [
        (p, day, w)
        for p in (*spans, *running)
        for day, w in days_of(p)
        if crm.first_day <= day and _is_past(p, day, crm)
    ]
    days = sorted({*ends, *(day for _, day, _ in origins)})
    other = beside(crm, seed)
    fits = {eve(p.since, start) for p, _, _ in origins}
    known = dict(zip(days, Parallel()(delayed(_seen)(small, day, day in fits) for day in days), strict=True))
    past = [simple.Origin(p, day, w, known[day].panel) for p, day, w in origins]
    groups: dict[pd.Timestamp, list[simple.Origin]] = {}
    for origin in past:
        if origin.period.since > crm.first_day:
            groups.setdefault(eve(origin.period.since, start), []).append(origin)
    jobs = []
    for day, mine in groups.items():
        learnt = [known[d].panel for d in ends if d < day]
        if learnt and day > crm.first_day:
            first = known[day] if day in known else _seen(small, day, True)
            jobs.append(
                delayed(_quarterly)(first, start, pd.concat(learnt), mine, [known[o.day] for o in mine], past, other)
            )
    done = [found for found in Parallel()(jobs) if found is not None]
    said, fitted = [one for _, all_said in done for one in all_said], {model.day: model for model, _ in done}
    if not said and period is None:
        raise TooLittleData(
            f"No {every} that is over has enough before it to learn from: at least {models.LEAST} won deals have to be "
            f"known when it begins. A longer export would do."
        )
    now = None
    if period is not None:
        learnt = [known[d].panel for d in ends if d < crm.as_of]
        now, today = _now(small, period, learnt, past, fitted, other)
        said.append(today)
    return _backtest(said, won, crm.as_of, now, fitted, seed)


def _is_past(period: Period, day: pd.Timestamp, crm: Crm) -> bool:
    """Whether a day of a period is an origin of the past: today is not one of the period that is running."""
    return day < crm.as_of or period.until <= crm.as_of + ONE_DAY


def _backtest(
    said: list[Said],
    won: pd.DataFrame,
    as_of: pd.Timestamp,
    now: Now | None,
    fitted: Mapping[pd.Timestamp, models.Model],
    seed: int,
) -> Backtest:
    """All that was said, with what came."""
    frame = pd.DataFrame([one.origin for one in said])
    keys = frame[["period", "origin", "weeks_to_go"]].to_dict("records")
    over = frame["last"] <= as_of
    span = frame.drop_duplicates("period").set_index("period")[["since", "last"]]
    came = {label: simple.between(won, since, last) for label, since, last in span.itertuples()}
    frame["actual"] = frame["period"].map(came).where(over)
    told = [
        {**key, "method": m, "mean": v} for key, one in zip(keys, said, strict=True) for m, v in one.methods.items()
    ]
    actual = frame[["period", "origin", "actual"]]
    methods = pd.DataFrame(told).merge(actual, on=["period", "origin"], validate="m:1")
    called = pd.concat([one.commits.assign(**key) for key, one in zip(keys, said, strict=True)], ignore_index=True)
    called = called.merge(actual, on=["period", "origin"], validate="m:1")
    deals = pd.concat([one.deals.assign(**key) for key, one in zip(keys, said, strict=True)], ignore_index=True)
    deals["won"] = (deals["opportunity_id"].map(won["closed_date"]) <= deals["period"].map(span["last"])).to_numpy()
    brought = deals["opportunity_id"].map(won["amount"]).where(deals["won"], 0.0)
    per = brought.groupby([deals["period"], deals["origin"]]).sum()
    per = per.reindex(pd.MultiIndex.from_frame(frame[["period", "origin"]])).fillna(0.0).to_numpy()
    frame["actual_open"] = np.where(over, per, np.nan)
    frame["actual_new"] = frame["actual"] - frame["booked"] - frame["actual_open"]
    windows = _came(pd.concat([one.windows for one in said], ignore_index=True), won, as_of)
    draws, weekly = (np.stack([getattr(one, name) for one in said]) for name in ("draws", "weekly"))
    return Backtest(frame, methods, windows, called, draws, weekly, deals, now, fitted, seed)


def coming(period: Period, as_of: pd.Timestamp) -> Period:
    """The period to forecast: itself while it is not over, else the one that has not ended by `as_of`.

    >>> coming(periods.period("2025Q2"), pd.Timestamp("2025-05-31")).label
    '2025Q2'
    >>> coming(periods.period("2025Q2"), pd.Timestamp("2025-06-30")).label
    '2025Q3'
    """
    while period.until <= as_of + ONE_DAY:
        period = period.previous(-1)
    return period


def _seen(crm: Crm, day: pd.Timestamp, to_fit: bool) -> models.Seen:
    return models.seen(crm.at(day), to_fit=to_fit)


def _quarterly(
    first: models.Seen,
    start: int,
    learnt: pd.DataFrame,
    origins: list[simple.Origin],
    seen: list[models.Seen],
    past: list[simple.Origin],
    other: Beside,
) -> tuple[models.Model, list[Said]] | None:
    """The model fitted the day before a quarter began, and the forecasts of its origins."""
    try:
        model = models.fit(learnt, first, start)
    except TooLittleData:
        return None
    return model, [
        said_at(model, o, known, simple.like(o, past), other) for o, known in zip(origins, seen, strict=True)
    ]


def _came(windows: pd.DataFrame, won: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """The windows with what was booked in them."""
    daily = won.groupby("closed_date")["amount"].sum().sort_index()
    total, days = np.r_[0.0, daily.cumsum().to_numpy()], daily.index.to_numpy()
    ends = windows["origin"] + pd.to_timedelta(7 * windows["weeks"], unit="D")
    by, since = (total[np.searchsorted(days, d.to_numpy(), side="right")] for d in (ends, windows["origin"]))
    return windows.assign(actual=np.where(ends <= as_of, by - since, np.nan))[
        ["origin", "weeks", "pipeline", "run_rate", "amount_share", "actual"]
    ]


def _now(
    crm: Crm,
    period: Period,
    learnt: list[pd.DataFrame],
    past: list[simple.Origin],
    fitted: dict[pd.Timestamp, models.Model],
    other: Beside,
) -> tuple[Now, Said]:
    """The forecast as of today, by a model fitted where the backtest fits its own, the day before the quarter began; where the
    data are too young for that, by one fitted to all known today. It is added to those fitted.
    """
    start, seen = crm.settings.fiscal_year_start, _seen(crm, crm.as_of, True)
    day, last = min(eve(period.since, start), crm.as_of), period.until - ONE_DAY
    if day not in fitted:
        panel = pd.concat(learnt or [seen.panel.iloc[:0]])
        try:
            first = seen if day == crm.as_of else _seen(crm, day, True)
            fitted[day] = models.fit(panel[panel["day"] < day], first, start)
        except TooLittleData:
            fitted[day] = models.fit(panel, seen, start)
    here = simple.Origin(period, crm.as_of, max(1, round((last - crm.as_of).days / 7)), seen.panel)
    before = [_as_long_before(o, here, crm) for o in simple.like(here, past)[-simple.BACK :]]
    said = said_at(fitted[day], here, seen, before, other)
    return Now(period, fitted[day], seen, said.outlook), said


def _as_long_before(o: simple.Origin, here: simple.Origin, crm: Crm) -> simple.Origin:
    """An origin of a past period, moved to as many days before its end as here."""
    day = max(o.last - (here.last - here.day), o.period.since - ONE_DAY)
    return o if day == o.day else replace(o, day=day, panel=panels.panel(crm.at(day)))


def eve(day: pd.Timestamp, fiscal_year_start: int = 1) -> pd.Timestamp:
    """The day before the quarter of a day began: when its model is fitted.

    >>> eve(pd.Timestamp("2025-05-31"))
    Timestamp('2025-03-31 00:00:00')
    """
    return periods.period_at(day, "Q", fiscal_year_start).since - ONE_DAY


def _over(crm: Crm, every: str) -> list[Period]:
    """The whole periods between the first day and the last one of the data."""
    start = crm.settings.fiscal_year_start
    first = periods.period_at(crm.first_day, EVERY[every], start)
    found = []
    while first.until <= crm.as_of + ONE_DAY:
        if first.since >= crm.first_day - pd.Timedelta(days=6):
            found.append(first)
        first = first.previous(-1)
    return found


def _week_ends(crm: Crm) -> list[pd.Timestamp]:
    start = crm.settings.fiscal_year_start
    first, last = weeks.number(pd.DatetimeIndex([crm.first_day, crm.as_of]), start)
    ends = pd.DatetimeIndex(weeks.last_day(np.arange(first, last + 1), start))
    return [day for day in ends if crm.first_day <= day <= crm.as_of]
