"""What the forecast would have said in every week of past periods, with only what was known then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from salesforecast import periods
from salesforecast.errors import SettingError, TooLittleData, unknown
from salesforecast.periods import ONE_DAY, Period
from salesforecast.pipeline import commits, models, panels, simple, weeks
from salesforecast.tables import NOT_RECORDED, Crm

DRAWS = 1000
HISTORY = 208  # weeks
Part = tuple[list, list, list, list, list, list, list]
EVERY = {"quarter": "Q", "month": "M"}


@dataclass(frozen=True)
class Now:
    """The forecast that is not over yet: the period, the model, what it was given, what it expects, and the panels of the past."""

    period: Period
    model: models.Model
    seen: models.Seen
    outlook: models.Ahead
    panels: pd.DataFrame


@dataclass(frozen=True)
class Backtest:
    """The forecasts of past periods, and what came.

    Parameters
    ----------
    origins : DataFrame
        One row per period and origin: period, origin (day), weeks_to_go, booked (money by that day), open, new (money the
        pipeline model expected of open deals and of deals to come), actual_open, actual_new (what they brought), actual (the
        period's bookings), floor (the standard deviation that even perfect probabilities leave, money), learnt (weeks of
        closings known when the model was fitted), told (flag: a history told the stages that it learnt from).
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
    """

    origins: pd.DataFrame
    methods: pd.DataFrame
    windows: pd.DataFrame
    commits: pd.DataFrame
    draws: np.ndarray
    weekly: np.ndarray
    deals: pd.DataFrame
    now: Now | None = None

    @property
    def ahead(self) -> np.ndarray:
        """1, 2, … as many weeks as a period has, for every origin: (origins, weeks)."""
        return self.windows["weeks"].to_numpy().reshape(len(self.origins), -1)

    @property
    def to_go(self) -> np.ndarray:
        """The place in `ahead` of the weeks to go of each origin."""
        return np.minimum(self.origins["weeks_to_go"].to_numpy(), self.ahead.shape[1]) - 1

    def to_the_end(self, ahead: np.ndarray) -> np.ndarray:
        """Of what the weeks ahead bring together (origins, weeks) what is still to come in each origin's period."""
        return np.asarray(ahead[np.arange(len(ahead)), self.to_go])


@dataclass(frozen=True)
class Beside:
    """What the forecast takes from outside the deals: the CRM's probabilities, the calls, who is in which team; and the seed."""

    probability: pd.Series | None
    calls: pd.DataFrame
    people: pd.DataFrame
    seed: int


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
    TooLittleData
        When no period is over that a model could be fitted before.
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
    if every not in EVERY:
        raise unknown("length of period", every, EVERY)
    small, start = panels.needed(crm), crm.settings.fiscal_year_start
    spans = _over(crm, every)
    origins = [(p, day, w) for p in spans for day, w in days_of(p) if day >= crm.first_day]
    ends, beside = _week_ends(crm), Beside(_probability(crm), commits.calls(crm), commits.people(crm), seed)
    days = sorted({*ends, *(day for _, day, _ in origins)})
    fits = {eve(p.since, start) for p in spans}
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
            earlier = [o for o in past if o.last < mine[-1].day]
            here = [known[o.day] for o in mine]
            first = known[day] if day in known else _seen(small, day, True)
            jobs.append(delayed(_quarterly)(first, start, pd.concat(learnt), mine, here, earlier, beside))
    parts = [part for part in Parallel()(jobs) if part is not None]
    if not parts and period is None:
        raise TooLittleData(
            f"No {every} that is over has enough before it to learn from: at least {models.LEAST} won deals have to be "
            f"known when it begins. A longer export would do."
        )
    now = None if period is None else _now(crm, period, known, past, beside)
    if now is not None:
        parts.append(now[1])
    rows, means, windows, calls, draws, weekly, deals = ([x for part in parts for x in part[k]] for k in range(7))
    frame = pd.DataFrame(rows)
    won = models.seen(small).won
    actual = frame["period"].map({p.label: simple.between(won, p.since, p.until - ONE_DAY) for p in spans})
    frame["actual"] = actual
    methods = pd.DataFrame(means).merge(frame[["period", "origin", "actual"]], on=["period", "origin"], validate="m:1")
    said = pd.concat(calls, ignore_index=True)
    said = said.merge(frame[["period", "origin", "actual"]], on=["period", "origin"], validate="m:1")
    judged = pd.concat(deals, ignore_index=True)
    closed = judged["opportunity_id"].map(won["closed_date"])
    last = judged["period"].map({p.label: p.until for p in spans})
    judged["won"] = (closed < last).to_numpy()
    came = judged["opportunity_id"].map(won["amount"]).where(judged["won"], 0.0)
    per = came.groupby([judged["period"], judged["origin"]]).sum()
    frame["actual_open"] = per.reindex(pd.MultiIndex.from_frame(frame[["period", "origin"]])).fillna(0).to_numpy()
    frame["actual_new"] = frame["actual"] - frame["booked"] - frame["actual_open"]
    if period is not None:  # nobody knows yet
        frame.loc[frame["period"] == period.label, ["actual", "actual_open", "actual_new"]] = np.nan
        methods.loc[methods["period"] == period.label, "actual"] = np.nan
        said.loc[said["period"] == period.label, "actual"] = np.nan
    ahead = _came(pd.concat(windows, ignore_index=True), won, crm.as_of)
    return Backtest(frame, methods, ahead, said, np.stack(draws), np.stack(weekly), judged, now[0] if now else None)


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


def days_of(period: Period) -> list[tuple[pd.Timestamp, int]]:
    """The days on which a period is forecast: the day before it begins, then the same number of weeks before its end.

    >>> [(f"{day:%m-%d}", w) for day, w in days_of(periods.period("2025-06"))]
    [('05-31', 4), ('06-09', 3), ('06-16', 2), ('06-23', 1)]
    """
    eve, last = period.since - ONE_DAY, period.until - ONE_DAY
    first = round((last - eve).days / 7)
    return [(eve, first), *((last - pd.Timedelta(days=7 * w), w) for w in range(first - 1, 0, -1))]


def _seen(crm: Crm, day: pd.Timestamp, to_fit: bool) -> models.Seen:
    return models.seen(crm.at(day), to_fit=to_fit)


def _quarterly(
    first: models.Seen,
    start: int,
    learnt: pd.DataFrame,
    origins: list[simple.Origin],
    seen: list[models.Seen],
    past: list[simple.Origin],
    beside: Beside,
) -> Part | None:
    """The forecasts of one quarter's origins, by a model fitted the day before it began."""
    try:
        model = models.fit(learnt, first, start)
    except TooLittleData:
        return None
    return _forecast(model, origins, seen, past, beside)[0]


def _forecast(
    model: models.Model,
    origins: list[simple.Origin],
    seen: list[models.Seen],
    past: list[simple.Origin],
    beside: Beside,
) -> tuple[Part, models.Ahead]:
    """The rows of `origins`, of `methods`, of `windows`, of `commits`, the draws, the weekly bookings and the deals; and what the
    last origin expects.
    """
    rows, means, windows, calls, draws, weekly, deals = [], [], [], [], [], [], []
    for here, known in zip(origins, seen, strict=True):
        many = days_of(here.period)[0][1]
        ends = np.datetime64(here.day, "D") + 7 * np.arange(1, many + 1)
        last = np.datetime64(here.last, "D")
        spans = models.ahead(model, known, np.unique(np.r_[ends, last]))
        outlook = models.until(spans, last)
        booked = simple.between(known.won, here.period.since, here.day)
        key = {"period": here.period.label, "origin": here.day, "weeks_to_go": here.weeks_to_go}
        one = np.zeros(len(outlook.deals), dtype=int), np.zeros(len(outlook.kinds), dtype=int)
        drawn = models.draw(model, outlook, *one, n=DRAWS, seed=beside.seed)[0, :, 0]
        rows.append({
            **key, "booked": booked, "open": outlook.open[0], "new": outlook.new[0], "floor": drawn.std(),
            "learnt": (model.day - known.won["closed_date"].min()).days / 7,
            "told": bool(set(model.open.levels["stage"]) - {NOT_RECORDED}),
        })  # fmt: skip
        before = [o for o in past if o.last < here.day and o.weeks_to_go == here.weeks_to_go]
        totals, coming = simple.forecasts(here, known.won, before, beside.probability, many)
        totals["pipeline"] = booked + outlook.open[0] + outlook.new[0]
        said = commits.said(beside.calls, beside.people, known.won, here.period, here.day)
        if len(said):
            totals["human_commit"] = float(said["corrected"].iloc[-1])
        calls.append(said.assign(**key))
        means += [{**key, "method": name, "mean": value} for name, value in totals.items()]
        money = (spans.open + spans.new).cumsum()[np.searchsorted(spans.ends, ends)]
        windows.append(coming.assign(origin=here.day, pipeline=money).reset_index())
        draws.append(drawn)
        weekly.append(_weekly(known.won, here.day))
        deals.append(
            pd.DataFrame({
                **key, "opportunity_id": outlook.deals["opportunity_id"], "chance": outlook.won[:, 0],
                "worth": outlook.deals["worth"],
            })
        )  # fmt: skip
    return (rows, means, windows, calls, draws, weekly, deals), outlook


def _came(windows: pd.DataFrame, won: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """The windows with what was booked in them."""
    daily = won.groupby("closed_date")["amount"].sum().sort_index()
    total, days = np.r_[0.0, daily.cumsum().to_numpy()], daily.index.to_numpy()
    ends = windows["origin"] + pd.to_timedelta(7 * windows["weeks"], unit="D")
    by, since = (total[np.searchsorted(days, d.to_numpy(), side="right")] for d in (ends, windows["origin"]))
    return windows.assign(actual=np.where(ends <= as_of, by - since, np.nan))[
        ["origin", "weeks", "pipeline", "run_rate", "amount_share", "actual"]
    ]


def _now(crm: Crm, period: Period, known: dict, past: list[simple.Origin], beside: Beside) -> tuple[Now, Part]:
    """The forecast as of today, by a model fitted where the backtest fits its own: the day before the quarter began."""
    small, start = panels.needed(crm), crm.settings.fiscal_year_start
    seen = _seen(small, crm.as_of, True)
    every = pd.concat([known[day].panel for day in known if day < crm.as_of] or [seen.panel.iloc[:0]])
    model = model_at(every, small, min(eve(period.since, start), crm.as_of), seen)
    last = period.until - ONE_DAY
    here = simple.Origin(period, crm.as_of, max(1, round((last - crm.as_of).days / 7)), seen.panel)
    part, outlook = _forecast(model, [here], [seen], past, beside)
    return Now(period, model, seen, outlook, every), part


def model_at(past: pd.DataFrame, crm: Crm, day: pd.Timestamp, today: models.Seen) -> models.Model:
    """The model as it was fitted on the day; where the data are too young for that, the one fitted to all known today."""
    small, start = panels.needed(crm), crm.settings.fiscal_year_start
    try:
        return models.fit(past[past["day"] < day], models.seen(small.at(day)), start)
    except TooLittleData:
        return models.fit(past, today, start)


def eve(day: pd.Timestamp, fiscal_year_start: int = 1) -> pd.Timestamp:
    """The day before the quarter of a day began: when its model is fitted.

    >>> eve(pd.Timestamp("2025-05-31"))
    Timestamp('2025-03-31 00:00:00')
    """
    return periods.period_at(day, "Q", fiscal_year_start).since - ONE_DAY


def _weekly(won: pd.DataFrame, day: pd.Timestamp) -> np.ndarray:
    """The bookings of each seven days up to the day, the newest last; missing before the first win."""
    ago = ((day - won["closed_date"]).dt.days // 7).to_numpy()
    inside = (ago >= 0) & (ago < HISTORY)
    sums = np.bincount(ago[inside].astype(int), weights=won["amount"].to_numpy()[inside], minlength=HISTORY)
    whole = (day - won["closed_date"].min()).days // 7
    return np.where(np.arange(HISTORY) < max(whole, 1), sums, np.nan)[::-1]


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


def _probability(crm: Crm) -> pd.Series | None:
    """The CRM's probability of each open stage, as it is set today."""
    deals = crm.opportunities
    if "probability" not in deals:
        return None
    now = deals[(deals["outcome"] == "open") & deals["probability"].notna()]
    return now.groupby("stage")["probability"].median() if len(now) else None
