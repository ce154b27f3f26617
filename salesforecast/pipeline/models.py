"""The pipeline forecast: what the open deals, and the deals to come, will bring week by week."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from salesforecast.errors import TooLittleData
from salesforecast.formats import plural
from salesforecast.pipeline import amounts, arrivals, hazards, panels, weeks
from salesforecast.pipeline.arrivals import Arrivals
from salesforecast.tables import Crm

LEAST = 4  # won deals: fewer tell nothing of when and for how much deals are won
ALIVE = 0.985  # of the wins came within so many quiet days: a deal quiet for longer is silent
LATEST = 8000  # deals, the newest, whose way from creation on a model is fitted to
BLOCK = 2000  # deals drawn at once
CLOSE = 3  # weeks before a win in which its quiet days are counted
SILENT = np.array(
    [1.0, 1.25, 1.5, 2.0, 3.0]
)  # how many times as long as that a deal is silent: the steps of its revival


@dataclass(frozen=True)
class Seen:
    """What was known at the end of a day, as far as the forecast needs it.

    Parameters
    ----------
    day : Timestamp
    panel : DataFrame
        The open deals (`panels.panel`).
    births : DataFrame
        Deals as they were when created (`panels.births`): what a fit needs, and empty where none is made.
    kinds : DataFrame
        The recent ones that stand for those to come.
    arrivals : Arrivals
        How many deals come.
    ended : DataFrame
        By opportunity_id: outcome, closed_date, amount, rep_id.
    """

    day: pd.Timestamp
    panel: pd.DataFrame
    births: pd.DataFrame
    kinds: pd.DataFrame
    arrivals: Arrivals
    ended: pd.DataFrame

    @cached_property
    def won(self) -> pd.DataFrame:
        """The won deals with a closed date and an amount."""
        return panels.won(self.ended)


def seen(crm: Crm, *, to_fit: bool = True) -> Seen:
    """What `crm`, of today or of a past day, tells the forecast; `to_fit` with all that a model is fitted to."""
    created, day = panels.created(crm), crm.as_of
    kinds = panels.births(crm, pd.Index(arrivals.templates(created, day)))
    births = panels.births(crm, pd.Index(created["opportunity_id"].iloc[-LATEST:])) if to_fit else kinds.iloc[:0]
    rate = arrivals.fit(created["created_date"], day)
    return Seen(day, panels.panel(crm), births, kinds, rate, panels.closings(crm))


@dataclass(frozen=True)
class Model:
    """The fitted parts: chances of open deals, of deals to come, of silent ones, and amounts.

    Parameters
    ----------
    day : Timestamp
        The last day it has seen.
    wins : int
        How many won deals it knows of.
    open, born : Hazards
        Of deals in the pipeline, and of deals from their creation on.
    silent_after : float
        Days without any change after which a deal is silent.
    revival : ndarray
        The share of silent deals won in a week, by how long they have been silent (`SILENT`, times `silent_after`).
    amounts : Amounts
    fiscal_year_start : int
    """

    day: pd.Timestamp
    wins: int
    open: hazards.Hazards
    born: hazards.Hazards
    silent_after: float
    revival: np.ndarray
    amounts: amounts.Amounts
    fiscal_year_start: int


@dataclass(frozen=True)
class Ahead:
    """What is expected of each open deal, and of deals like the recent ones, in each span of days to come.

    Parameters
    ----------
    day : Timestamp
        The last day known.
    ends : ndarray of datetime64[D] (spans,)
        The last day of each span.
    deals : DataFrame
        The panel, and silent (flag) and worth (the mean amount if won).
    won, lost : ndarray (deals, spans)
        Chances.
    kinds : DataFrame
        Recent deals that stand for those to come, with worth.
    coming : ndarray (kinds, spans)
        Wins expected of deals like each of them.
    spread : float
        The variance of the number of deals to come over its mean.
    """

    day: pd.Timestamp
    ends: np.ndarray
    deals: pd.DataFrame
    won: np.ndarray
    lost: np.ndarray
    kinds: pd.DataFrame
    coming: np.ndarray
    spread: float

    @property
    def open(self) -> np.ndarray:
        """Money expected of the open deals in each span."""
        return self.deals["worth"].to_numpy() @ self.won

    @property
    def new(self) -> np.ndarray:
        """Money expected of deals to come in each span."""
        return self.kinds["worth"].to_numpy() @ self.coming


def fit(past: pd.DataFrame, known: Seen, fiscal_year_start: int = 1) -> Model:
    """Learn from panels of past weeks what became of open deals.

    Parameters
    ----------
    past : DataFrame
        Panels of week ends before `known.day`, one below the other.
    known : Seen
        What was known on the day of the fit.
    fiscal_year_start : int

    Raises
    ------
    TooLittleData
        With fewer than 4 won deals.
    """
    wins = int((known.ended["outcome"] == "won").sum())
    if wins < LEAST:
        raise TooLittleData(
            f"{plural(wins, 'deal')} had been won by {known.day:%Y-%m-%d}; the pipeline forecast learns from at least {LEAST}. "
            f"{plural(LEAST - wins, 'more won deal')} would do."
        )
    until = int(weeks.number(pd.DatetimeIndex([known.day + pd.Timedelta(days=1)]), fiscal_year_start)[0]) - 1
    week = weeks.number(past["day"], fiscal_year_start)
    past, week = past[week < until], week[week < until]
    fate = known.ended.reindex(past["opportunity_id"])
    won = (fate["outcome"] == "won").to_numpy()
    ahead = weeks.number(fate["closed_date"], fiscal_year_start) - week
    near = won & (ahead <= CLOSE)
    limit = float(past.loc[near, "quiet"].quantile(ALIVE)) if near.any() else np.inf
    alive = (past["quiet"] <= limit).to_numpy()
    step = np.searchsorted(SILENT * limit, past["quiet"].to_numpy(), side="left")
    revived, still = (
        np.bincount(step[rows], minlength=len(SILENT) + 1)[1:] for rows in (won & (ahead == 1), step >= 0)
    )
    births = known.births
    born = weeks.number(births["day"], fiscal_year_start) - 1
    first_end = known.ended["closed_date"].min()  # deals that closed before the first closing known are not in the data
    whole = (births["day"] >= first_end).to_numpy() & (born < until)
    if whole.sum() < LEAST:
        whole = born < until
    return Model(
        known.day,
        wins,
        hazards.fit(past[alive], week[alive], known.ended, until, fiscal_year_start),
        hazards.fit(births[whole], born[whole], known.ended, until, fiscal_year_start, thin=1),
        limit,
        (revived + 0.5) / (still + 100),
        amounts.fit(past[alive], births, known.ended),
        fiscal_year_start,
    )


def ahead(model: Model, known: Seen, ends: np.ndarray, *, entered_after: pd.Timestamp | None = None) -> Ahead:
    """What the deals known, and those to come, are expected to bring up to each of some days.

    Parameters
    ----------
    model : Model
    known : Seen
        Of a day not before the model's.
    ends : ndarray of datetime64[D]
        The last days of the spans, increasing, all after `known.day`; the first span begins on the day after it.
    entered_after : Timestamp, optional
        Of deals to come only those entered after this day; all when left out.
    """
    start, today = model.fiscal_year_start, np.datetime64(known.day, "D")
    spans, edges = _pieces(today, ends, start)
    first = int(weeks.number(pd.DatetimeIndex([known.day + pd.Timedelta(days=1)]), start)[0])
    week = weeks.number(pd.DatetimeIndex(edges), start)
    h = int(week[-1]) - first + 1
    whole = weeks.working_days(weeks.last_day(week - 1, start) + 1, weeks.last_day(week, start))
    share = weeks.working_days(np.r_[today, edges[:-1]] + 1, edges) / np.maximum(whole, 1)
    into = np.zeros((h, len(ends)))
    np.add.at(into, (week - first, spans), share)

    deals = known.panel.reset_index(drop=True)
    silent = (deals["quiet"] > model.silent_after).to_numpy()
    won, lost = np.zeros((len(deals), h)), np.zeros((len(deals), h))
    won[~silent], lost[~silent] = model.open.ahead(deals[~silent], first - 1, h)
    quiet = deals.loc[silent, "quiet"].to_numpy("float64")[:, None] + 7 * np.arange(h)
    chance = model.revival[np.searchsorted(SILENT * model.silent_after, quiet, side="left") - 1]
    won[silent] = chance * np.cumprod(np.column_stack([np.ones(len(chance)), 1 - chance]), axis=1)[:, :-1]

    kinds, rate = known.kinds, known.arrivals
    coming = np.zeros((len(kinds), h))
    after = today if entered_after is None else max(today, np.datetime64(entered_after, "D"))
    since = np.maximum(weeks.last_day(first + np.arange(h) - 1, start) + 1, after + 1)
    number = rate.between(since, weeks.last_day(first + np.arange(h), start)) if len(kinds) else np.zeros(h)
    cohorts = model.born.from_weeks(kinds, range(first - 1, first - 1 + h), range(h, 0, -1))
    for k, (later, _) in enumerate(cohorts):
        coming[:, k:] += number[k] / len(kinds) * later
    return Ahead(
        known.day, ends, deals.assign(silent=silent, worth=model.amounts.expected(deals)), won @ into, lost @ into,
        kinds.assign(worth=model.amounts.unseen(kinds)), coming @ into, rate.spread,
    )  # fmt: skip


def until(outlook: Ahead, last: np.datetime64) -> Ahead:
    """The same as one span, which ends with the last day of one of its own."""
    upto = outlook.ends <= last
    won, lost, coming = (x[:, upto].sum(axis=1, keepdims=True) for x in (outlook.won, outlook.lost, outlook.coming))
    return replace(outlook, ends=outlook.ends[upto][-1:], won=won, lost=lost, coming=coming)


def draw(
    model: Model, outlook: Ahead, groups: np.ndarray, kinds: np.ndarray, *, many: int = 1, n: int, seed: int
) -> np.ndarray:
    """Sample paths of bookings by group and span: every path is one possible future of all deals together.

    In each path an open deal is won in one of the spans or in none, deals to come are a Poisson number with a shared rate, and
    amounts differ from what was expected of them as they did in the past. What all deals of a period share is not in it; it
    comes on top, once for all groups (`combination.factors`).

    Parameters
    ----------
    model : Model
    outlook : Ahead
    groups, kinds : ndarray of int
        The group of each open deal and of each kind of deal to come; paths of groups add up to that of the company.
    many : int
        How many groups there are.
    n : int
        Paths.
    seed : int

    Returns
    -------
    ndarray (many, n, spans)
    """
    rng = np.random.default_rng([seed, int(outlook.day.timestamp())])
    h = len(outlook.ends)
    total = np.zeros(many * n * h)
    by = outlook.won.sum(axis=1)
    live = np.flatnonzero(by > 1e-6)
    worth, quoted = outlook.deals["worth"].to_numpy(), outlook.deals["amount"].gt(0).to_numpy()
    for i in range(0, len(live), BLOCK):
        part = live[i : i + BLOCK]
        deal, path = np.nonzero(rng.random((len(part), n)) < by[part][:, None])
        when = np.cumsum(outlook.won[part], axis=1) / by[part][:, None]
        span = (rng.random(len(deal))[:, None] > when[deal]).sum(axis=1).clip(max=h - 1)
        deal = part[deal]
        money = worth[deal] * model.amounts.surprise(quoted[deal], rng)
        total += np.bincount((groups[deal] * n + path) * h + span, weights=money, minlength=len(total))
    size = outlook.coming.sum()
    if size > 0:
        extra = max(outlook.spread - 1, 0.0)
        rate = rng.gamma(size / extra, extra / size, n) if extra > 0 else np.ones(n)
        path = np.repeat(np.arange(n), rng.poisson(size * rate))
        pick = np.searchsorted(outlook.coming.ravel().cumsum() / size, rng.random(len(path)))
        kind, span = np.divmod(pick.clip(max=outlook.coming.size - 1), h)
        worth = outlook.kinds["worth"].to_numpy()[kind]
        money = worth * model.amounts.surprise(np.zeros(len(path), dtype=bool), rng)
        total += np.bincount((kinds[kind] * n + path) * h + span, weights=money, minlength=len(total))
    return total.reshape(many, n, h)


def _pieces(today: np.datetime64, ends: np.ndarray, fiscal_year_start: int) -> tuple[np.ndarray, np.ndarray]:
    """The days from tomorrow to the last end cut at every end and at every end of a week: the span of each piece, its last day."""
    first = weeks.number(pd.DatetimeIndex([today + 1]), fiscal_year_start)[0]
    last = weeks.number(pd.DatetimeIndex([ends[-1]]), fiscal_year_start)[0]
    cuts = weeks.last_day(np.arange(first, last + 1), fiscal_year_start)
    edges = np.unique(np.r_[ends, cuts[cuts <= ends[-1]]])
    return np.searchsorted(ends, edges), edges
