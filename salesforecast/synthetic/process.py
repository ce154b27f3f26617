"""A made-up company whose truth is known: what the estimators are tested against, and the sample data.

How a deal lives. It is created on a working day and given to a rep who is there that day; the rep's team decides the
mix of segments, the segment the mix of channels. It is silent (dies without being closed) with `silent_share`, else
it is won with log-odds

    reference (the product of the stage conversions) + channel + segment + product + rep
    + existing_effect (an old customer) + ramp_effect (a rep who is new) + size_effect * log(size relative to usual)
    + the shock of the quarter in which it would be won

and it walks the stages to the last one when it is won, and to the one where the reference deal is lost otherwise.
Discounts, activities, touches and the speed of answering leads have no effect on winning: whoever finds one errs.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd

from salesforecast.synthetic.truth import Truth

Array = np.ndarray
DAY = 1440  # minutes
OPENING, HOURS = 540, 510  # the working day in minutes: from 9:00, to 17:30
HANDOVER = 1065  # a leaver's deals pass on at 17:45, after the day's other changes
TAIL = 3650  # days after as_of that the calendar still knows, for outcomes nobody has seen yet
REASONS = ("Price", "No decision", "Competitor", "Timing", "Missing feature")
RIVALS = ("Norvane", "Quillon", "Tessaro")
OUTCOME = ("silent", "won", "lost")
SILENT, WON, LOST = range(3)


def rep_effects(truth: Truth, seed: int) -> pd.DataFrame:
    """The reps' true effects on the log-odds of winning.

    Returns
    -------
    DataFrame
        One row per rep: rep_id, effect.
    """
    crew = crew_of(truth, seed)
    return pd.DataFrame({"rep_id": pd.Series(ids("U", truth.reps), dtype="str"), "effect": crew.effect})


def quarter_shocks(truth: Truth, seed: int) -> pd.DataFrame:
    """What all deals that would be won in a quarter share, on the log-odds of winning.

    Returns
    -------
    DataFrame
        One row per quarter from the start on, also after as_of: quarter (2022Q3, …), effect.
    """
    days = calendar(truth)
    names = pd.PeriodIndex(pd.DatetimeIndex(days.dates[days.quarter_start]), freq="Q")
    return pd.DataFrame({"quarter": names.astype("str"), "effect": _shocks(truth, seed)})


def win_curve(truth: Truth, ages: Array | list[int]) -> pd.DataFrame:
    """The true share of deals won by age, of all deals, silent ones too (cumulative incidence), with shock_sd = 0.

    Simulated once with 240,000 deals of fixed seeds and no censoring: its standard error is below 0.001.

    Parameters
    ----------
    truth : Truth
        The company.
    ages : array of int
        Days since creation; the day of creation is 0.

    Returns
    -------
    DataFrame
        One row per age: age (days), won (fraction of all deals).
    """
    _, won_days, n = _population(replace(truth, shock_sd=0.0))
    return pd.DataFrame({"age": np.asarray(ages), "won": np.searchsorted(won_days, ages, side="right") / n})


def stage_conversion(truth: Truth) -> pd.DataFrame:
    """The true share that goes on from each open stage, when every deal has run to its end.

    A deal has entered every stage up to the furthest it reached and has advanced when it reached a later open one or
    was won. Silent deals wait in their furthest stage for ever and are left out there. Exact given the share won,
    which is simulated with shock_sd = 0 (standard error below 0.001).

    Returns
    -------
    DataFrame
        One row per open stage, in funnel order: stage, conversion (fraction).
    """
    won = _population(replace(truth, shock_sd=0.0))[0]
    entered = truth.loss_stage[::-1].cumsum()[::-1]
    further = entered - truth.loss_stage
    closed = (1 - truth.silent_share) * (won + (1 - won) * entered)
    advanced = (1 - truth.silent_share) * (won + (1 - won) * further)
    silent = truth.silent_share * further
    return pd.DataFrame({
        "stage": pd.Series([s.stage for s in truth.stages], dtype="str"),
        "conversion": (advanced + silent) / (closed + silent),
    })  # fmt: skip


def win_share(truth: Truth) -> float:
    """The true share won of the deals that are not silent, with shock_sd = 0."""
    return _population(replace(truth, shock_sd=0.0))[0]


def deals(truth: Truth, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The deals alone, as known at as_of and with what nobody knows yet.

    Parameters
    ----------
    truth : Truth
        The company.
    seed : int
        The draw.

    Returns
    -------
    opportunities : DataFrame
        The columns of the table `opportunities`, in order of creation, and the truth:
        true_outcome (won, lost, silent), true_closed_date (missing when silent), true_days (created to closed),
        true_probability (of winning, for deals not silent, with the shock of the quarter), true_amount (agreed when
        won).
    stage_history : DataFrame
        The table `stage_history` up to as_of: a row when a deal is created, changes stage, amount, expected close
        date or owner, or is closed; `sequence` numbers the rows of a deal.
    """
    book = book_of(truth, seed)
    return book.opportunities, book.stage_history


@dataclass(frozen=True)
class Calendar:
    """Days counted from the start, far past as_of."""

    dates: Array  # datetime64[D]
    next_working: Array  # the day itself when it is a working day, else the next one
    quarter: Array  # of each day, 0 is the quarter of the start
    quarter_start: Array  # first day of each quarter; the first one may lie before the start: 0
    last_working: Array  # (quarter, 10) its last ten working days, the last first

    def moment(self, t: Array) -> Array:
        """Minutes since the start of a time in days, moved into working hours."""
        t = np.minimum(t, len(self.dates) - 30)
        day = t.astype(np.int64)
        return self.next_working[day] * DAY + OPENING + ((t - day) * HOURS).astype(np.int64)


@lru_cache(maxsize=8)
def calendar(truth: Truth) -> Calendar:
    """The days of the company."""
    dates = np.datetime64(truth.start, "D") + np.arange(truth.days + TAIL)
    stamps = pd.DatetimeIndex(dates)
    working = (stamps.day_of_week < 5) & ~stamps.strftime("%m-%d").isin(truth.holidays)
    number = stamps.year * 4 + stamps.quarter
    quarter = np.asarray(number - number[0])
    day = np.arange(len(dates))
    nearest = np.minimum.accumulate(np.where(working, day, len(dates) - 1)[::-1])[::-1]
    starts = np.searchsorted(quarter, np.arange(quarter[-1] + 1))
    last = [np.r_[[0] * 10, day[working & (quarter == q)]][:-11:-1] for q in range(len(starts))]
    return Calendar(dates, nearest, quarter, starts, np.stack(last))


@dataclass(frozen=True)
class Crew:
    """The reps as numbers."""

    team: Array
    first: Array  # first and last day, counted from the start
    last: Array
    effect: Array

    def active(self, days: int) -> Array:
        """(day, rep): who is there."""
        day = np.arange(days)[:, None]
        return (self.first <= day) & (day <= self.last)


def crew_of(truth: Truth, seed: int) -> Crew:
    """The reps, drawn: which of them came and left, when, and how good they are."""
    rng, n, days = generator(seed, "reps"), truth.reps, calendar(truth)
    effect = truth.rep_sd * rng.standard_normal(n)
    first = -(200 + 2800 * rng.random(n)).astype(np.int64)
    last = np.full(n, len(days.dates))
    came, left = np.split(rng.permutation(n)[: truth.joiners + truth.leavers], [truth.joiners])
    first[came] = days.next_working[(truth.days * (0.1 + 0.75 * rng.random(len(came)))).astype(np.int64)]
    last[left] = days.next_working[(truth.days * (0.25 + 0.65 * rng.random(len(left)))).astype(np.int64)]
    return Crew(np.arange(n) % len(truth.teams), first, last, effect - effect.mean())


def _shocks(truth: Truth, seed: int) -> Array:
    return truth.shock_sd * generator(seed, "shocks").standard_normal(len(calendar(truth).quarter_start))


@dataclass(frozen=True)
class Walk:
    """The way of every deal to its end, one entry or row per deal."""

    rep: Array  # who got it
    segment: Array
    channel: Array
    product: Array
    is_new: Array
    quantity: Array
    list_amount: Array
    p: Array  # of winning, when not silent
    outcome: Array  # SILENT, WON, LOST
    furthest: Array
    stage: Array  # (column of the walk,) the stage visited there
    visited: Array  # (deal, column)
    entered: Array  # (deal, column) minutes since the start
    closed: Array  # minutes since the start; for silent deals the last one anybody cared
    born: Array  # day of creation

    @property
    def created(self) -> Array:
        """Minutes since the start."""
        return self.entered[np.arange(len(self.born)), self.visited.argmax(axis=1)]

    @property
    def closed_day(self) -> Array:
        """Day of closing; meaningless for silent deals."""
        return self.closed // DAY


def walk_of(truth: Truth, seed: int) -> Walk:
    """All deals from their creation to their true end."""
    days, crew, n = calendar(truth), crew_of(truth, seed), truth.opportunities

    rng = generator(seed, "creation")
    weight = creation_weight(truth).cumsum()
    t0 = np.sort(np.searchsorted(weight / weight[-1], rng.random(n), side="right") + 0.98 * rng.random(n))
    born = t0.astype(np.int64)
    rep = on_duty(truth, crew, born, rng.random(n))
    segment = pick(rng, np.array([t.mix for t in truth.teams])[crew.team[rep]])
    channel = pick(rng, np.array([c.mix for c in truth.channels]).T[segment])
    product = pick(rng, np.tile([p.mix for p in truth.products], (n, 1)))
    is_new = rng.random(n) < truth.new_share

    usual = of(truth.segments, "size")[segment] * of(truth.products, "scale")[product]
    price = list_prices(truth, born)[np.arange(n), product]
    quantity = np.maximum(1, np.round(usual * np.exp(truth.size_sd * rng.standard_normal(n)) / price))
    list_amount = quantity * price
    conversion = of(truth.stages, "conversion").prod()
    odds = (
        np.log(conversion / (1 - conversion))
        + of(truth.channels, "effect")[channel]
        + of(truth.segments, "effect")[segment]
        + of(truth.products, "effect")[product]
        + crew.effect[rep]
        + truth.existing_effect * ~is_new
        + truth.ramp_effect * (born - crew.first[rep] < truth.ramp_days)
        + truth.size_effect * np.log(list_amount / usual)
    )

    # One column for each visit that can happen: 0 | 1, back to 0, 1 again | 2, back to 1, 2 again | …
    rng, last = generator(seed, "walk"), len(truth.stages) - 1
    level = np.r_[0, np.repeat(np.arange(1, last + 1), 3)]
    stage = level - np.r_[0, np.tile([0, 1, 0], last)]
    skip = rng.random((n, last + 1)) < of(truth.stages, "skip")
    back = rng.random((n, last + 1)) < of(truth.stages, "back")
    again = np.r_[False, np.tile([False, True, True], last)]
    speed = of(truth.segments, "delay")[segment] * of(truth.channels, "delay")[channel]
    speed = speed * np.exp(truth.speed_sd * rng.standard_normal(n))
    stay = of(truth.stages, "days")[stage] * np.where(again, 0.5, 1.0)
    stay = stay * speed[:, None] * np.exp(truth.dwell_sd * rng.standard_normal((n, len(level))))

    def visits(furthest: Array) -> Array:
        here = ~skip | (np.arange(last + 1) == furthest[:, None])
        return (level <= furthest[:, None]) & here[:, level] & (~again | back[:, level])

    # The day on which it would be won decides which quarter's shock it meets.
    rng = generator(seed, "outcome")
    end = t0 + (stay * visits(np.full(n, last))).sum(axis=1)
    quarter = days.quarter[days.moment(end) // DAY]
    opens = days.quarter_start[quarter]
    late = (days.moment(end) // DAY - opens < 30) & (opens - born > 21)
    rushed = late & (rng.random(n) < truth.quarter_end_rush)
    target = days.last_working[quarter - 1, (10 * rng.random(n) ** 2).astype(np.int64)]
    p = 1 / (1 + np.exp(-odds - _shocks(truth, seed)[quarter - rushed]))
    outcome = np.where(rng.random(n) < truth.silent_share, SILENT, np.where(rng.random(n) < p, WON, LOST))
    furthest = np.where(outcome == WON, last, pick(rng, np.tile(truth.loss_stage, (n, 1))))

    visited = visits(furthest)
    final = len(level) - 1 - visited[:, ::-1].argmax(axis=1)
    linger = np.where((np.arange(len(level)) == final[:, None]) & (outcome == LOST)[:, None], truth.loss_linger, 1.0)
    rushed &= outcome == WON
    stay = stay * visited * linger
    stay *= np.where(rushed, (target + 0.7 - t0) / np.where(rushed, stay.sum(axis=1), 1.0), 1.0)[:, None]
    until = t0[:, None] + stay.cumsum(axis=1)
    entered = days.moment(np.column_stack([t0, until[:, :-1]]))
    entered = np.maximum.accumulate(np.where(visited, entered, 0), axis=1)
    closed = np.where(rushed, target * DAY + OPENING + int(0.7 * HOURS), days.moment(until[:, -1]))
    closed = np.maximum(closed, entered[:, -1])
    return Walk(
        rep, segment, channel, product, is_new, quantity, list_amount, p, outcome, furthest,
        stage, visited, entered, closed, born,
    )  # fmt: skip


@lru_cache(maxsize=8)
def _population(truth: Truth) -> tuple[float, Array, int]:
    """Share won of the deals not silent, the sorted days to winning, and of how many deals."""
    walks = [walk_of(truth, 1_000_000 + k) for k in range(max(1, 240_000 // truth.opportunities))]
    won = np.sort(np.concatenate([(w.closed_day - w.born)[w.outcome == WON] for w in walks]))
    return float(np.mean([w.p.mean() for w in walks])), won, truth.opportunities * len(walks)


@dataclass(frozen=True)
class Book:
    """The deals as frames, and what the other tables of the company are made from."""

    walk: Walk
    crew: Crew
    opportunities: pd.DataFrame
    stage_history: pd.DataFrame
    account: Array  # of each deal
    group: Array  # of each account: region * number of segments + segment
    moved: Array  # minutes since the start when another rep took the deal over; far away when nobody did
    heir: Array  # who
    discount: Array


def book_of(truth: Truth, seed: int) -> Book:
    """The deals as a CRM would have them at as_of."""
    days, crew, walk = calendar(truth), crew_of(truth, seed), walk_of(truth, seed)
    n, last, far = truth.opportunities, len(truth.stages) - 1, len(days.dates) * DAY
    deal, won, silent = np.arange(n), walk.outcome == WON, walk.outcome == SILENT
    never = np.where(silent, far, walk.closed)

    # What was quoted when. The first amount is a guess, the quote comes with the proposal, the discount at the end.
    rng = generator(seed, "quotes")
    closing = days.quarter[walk.closed_day]
    hurry = walk.closed_day >= days.last_working[closing, -1]
    discount = of(truth.segments, "discount")[walk.segment] + truth.rush_discount * hurry
    discount = np.round(np.minimum(discount * (0.4 + 1.2 * rng.random(n)), 0.6), 3)
    guess = np.round(walk.list_amount * np.exp(0.06 + 0.22 * rng.standard_normal(n)), -2)
    guess = np.where(rng.random(n) < truth.amount_missing, np.nan, np.maximum(guess, 100))
    quote = np.round(walk.list_amount * (1 - 0.4 * discount) * np.exp(0.06 * rng.standard_normal(n)))
    requote = np.round(walk.list_amount * (1 - 0.8 * discount) * np.exp(0.03 * rng.standard_normal(n)))
    agreed = np.round(walk.list_amount * (1 - discount))
    quoting = min(2, last)
    columns, rows = walk.visited.shape[1], walk.visited.nonzero()
    first_quoted = (walk.visited & (walk.stage >= quoting)).argmax(axis=1)
    quoted = walk.furthest >= quoting
    amount = np.full((n, columns), np.nan)
    first = walk.visited.argmax(axis=1)
    amount[deal, first] = guess
    amount[deal[quoted], first_quoted[quoted]] = quote[quoted]
    twice = quoted & (walk.furthest == last) & (rng.random(n) < truth.requote_share)
    final_entry = walk.entered[:, -1]
    again_at = days.moment(np.maximum(final_entry + (walk.closed - final_entry) * (0.2 + 0.7 * rng.random(n)), 0) / DAY)
    again_at = np.clip(again_at, final_entry, walk.closed)

    # Leavers hand over on their last day; heirs are reps of the team who stay.
    stays = crew.last >= truth.days
    places = [np.flatnonzero(stays & (crew.team == t)) for t in range(len(truth.teams))]
    heirs = [p if len(p) else np.flatnonzero(stays) for p in places]
    count = np.array([len(h) for h in heirs])[crew.team[walk.rep]]
    table = np.array([np.resize(h, truth.reps) for h in heirs])
    heir = table[crew.team[walk.rep], (generator(seed, "heirs").random(n) * count).astype(np.int64)]
    leave = crew.last[walk.rep]
    moved = np.where((leave < truth.days) & (never // DAY > leave), leave * DAY + HANDOVER, far)

    # When it should close: a wish, pushed when the day has gone by and somebody still cares.
    rng = generator(seed, "wishes")
    usual = truth.wish_days * of(truth.segments, "delay")[walk.segment]
    wish = _wished(days, walk.born + 7 + usual * np.exp(0.4 * rng.standard_normal(n)), rng.random(n))
    cares = np.where(silent, walk.closed // DAY, walk.closed_day)
    expected = np.full((n, columns), -1)
    expected[deal, first] = wish
    pushes = []
    for _ in range(5):
        at = days.next_working[np.minimum(wish + 1 + (4 * rng.random(n)).astype(np.int64), far // DAY - 60)]
        pushed = (at < cares) & (rng.random(n) < truth.push_share)
        later = _wished(days, at + 10 + 35 * np.exp(0.5 * rng.standard_normal(n)), rng.random(n))
        minute = OPENING + (HOURS * rng.random(n)).astype(np.int64)
        wish = np.where(pushed, later, np.where(at < cares, far // DAY, wish))  # not pushed: nobody will any more
        pushes.append((deal[pushed], (at * DAY + minute)[pushed], later[pushed]))

    # All changes of all deals, sorted; what a change leaves alone is filled from the row before.
    shut, owner = deal[~silent], deal[moved < far]
    none = np.full
    push_deal, push_at, push_to = (np.concatenate(parts) for parts in zip(*pushes, strict=True))
    twice_deal = deal[twice]
    counts = [len(rows[0]), len(twice_deal), len(push_deal), len(owner), len(shut)]
    who = np.concatenate([rows[0], twice_deal, push_deal, owner, shut])
    at = np.concatenate([walk.entered[rows], again_at[twice], push_at, moved[owner], walk.closed[shut]])
    stage = np.concatenate([walk.stage[rows[1]], none(sum(counts[1:4]), -1), last + walk.outcome[shut]])
    money = np.concatenate([
        amount[rows], requote[twice], none(counts[2] + counts[3], np.nan), np.where(won, agreed, np.nan)[shut],
    ])  # fmt: skip
    hope = np.concatenate([expected[rows], none(counts[1], -1), push_to, none(counts[3], -1), walk.closed_day[shut]])
    order = np.lexsort((np.repeat([0, 1, 2, 3, 4], counts), at, who))
    known = order[at[order] < truth.days * DAY]
    who, at, stage, money, hope = who[known], at[known], stage[known], money[known], hope[known]
    begins = np.r_[True, who[1:] != who[:-1]]
    at = np.maximum.accumulate(at + who * 2 * far) - who * 2 * far
    stage = _filled(stage, (stage >= 0) | begins)
    money = _filled(money, ~np.isnan(money) | begins)
    rep = np.where(at >= moved[who], heir[who], walk.rep[who])
    is_close = stage > last
    wished = _filled(np.where(is_close, -1, hope), (hope >= 0) & ~is_close)
    hope = np.where(is_close, hope, wished)

    numbers, names = pd.array(ids("O", n), dtype="str"), pd.array(ids("U", truth.reps), dtype="str")
    labels = [s.stage for s in truth.stages] + [truth.won, truth.lost]
    history = pd.DataFrame({
        "opportunity_id": numbers.take(who),
        "entered_at": stamp(truth, at),
        "sequence": (np.arange(len(who)) - np.flatnonzero(begins)[begins.cumsum() - 1] + 1).astype(float),
        "stage": text(labels, stage),
        "amount": money,
        "expected_close_date": stamp(truth, hope * DAY),
        "rep_id": names.take(rep),
    })  # fmt: skip

    # Today: the last row of each deal.
    now = np.r_[np.flatnonzero(begins)[1:] - 1, len(who) - 1]
    outcome = np.where(stage[now] > last, stage[now] - last, 0)
    reached = (walk.visited & (walk.entered < truth.days * DAY)) * (walk.stage >= quoting)
    account, group = _accounts(truth, seed, crew, walk)
    rng = generator(seed, "details")
    call, reason, rival, partner = rng.random((4, n))
    open_stage = np.minimum(stage[now], last)
    commit = of(truth.stages, "commit")[open_stage]
    category = np.where(call < commit, 2, np.where(call < commit + of(truth.stages, "best_case")[open_stage], 1, 0))
    category = np.where(outcome == 0, category, 2 + outcome)
    is_lost = outcome == LOST
    products = [p.product for p in truth.products]
    opportunities = pd.DataFrame({
        "opportunity_id": numbers,
        "name": text(products, walk.product) + " x" + pd.Series(walk.quantity.astype(np.int64)).astype("str"),
        "account_id": pd.array(ids("A", len(group)), dtype="str").take(account),
        "rep_id": names.take(rep[now]),
        "product_id": pd.array(ids("P", len(products)), dtype="str").take(walk.product),
        "channel": text([c.channel for c in truth.channels], walk.channel),
        "partner_id": text(ids("D", 12, 2), np.where(
            text([c.channel for c in truth.channels], walk.channel) == "Partner", (12 * partner).astype(int), -1)),
        "segment": text([s.segment for s in truth.segments], walk.segment),
        "is_new_customer": walk.is_new,
        "stage": text(labels, stage[now]),
        "outcome": text(("open", "won", "lost"), outcome),
        "amount": money[now],
        "list_amount": np.where(reached.any(axis=1), walk.list_amount, np.nan),
        "probability": np.r_[of(truth.stages, "probability"), 1.0, 0.0][stage[now]],
        "forecast_category": text(("Pipeline", "Best Case", "Commit", "Closed", "Omitted"), category),
        "created_date": stamp(truth, walk.born * DAY),
        "expected_close_date": stamp(truth, wished[now] * DAY),
        "closed_date": stamp(truth, np.where(outcome > 0, walk.closed_day, -1) * DAY),
        "lost_reason": text(REASONS, np.where(
            is_lost & (reason < truth.lost_reason_share), _share(reason, truth.lost_reason_share, 5), -1)),
        "competitor": text(RIVALS, np.where(
            rival < truth.competitor_share, _share(rival, truth.competitor_share, 3), -1)),
        "true_outcome": text(OUTCOME, walk.outcome),
        "true_closed_date": stamp(truth, np.where(silent, -1, walk.closed_day) * DAY),
        "true_days": np.where(silent, np.nan, walk.closed_day - walk.born),
        "true_probability": walk.p,
        "true_amount": np.where(won, agreed, np.nan),
    })  # fmt: skip
    return Book(walk, crew, opportunities, history, account, group, moved, heir, discount)


def _accounts(truth: Truth, seed: int, crew: Crew, walk: Walk) -> tuple[Array, Array]:
    """The account of each deal, and the group (region and segment) of each account.

    A new customer's deal has an account of its own; any other goes to an account of the same region and segment that
    had bought before the start or was won before the deal was created.
    """
    u = generator(seed, "accounts").random(truth.opportunities)
    regions = [truth.regions.index(t.region) for t in truth.teams]
    group = np.array(regions)[crew.team[walk.rep]] * len(truth.segments) + walk.segment
    old = ~walk.is_new
    share = np.bincount(group[old], minlength=len(truth.regions) * len(truth.segments)) / max(old.sum(), 1)
    before = np.maximum(1, np.round(truth.customers * share)).astype(np.int64)
    account = before.sum() + np.cumsum(walk.is_new) - 1
    for g, (first, many) in enumerate(zip(before.cumsum() - before, before, strict=True)):
        won = np.flatnonzero((group == g) & walk.is_new & (walk.outcome == WON))
        won = won[np.argsort(walk.closed_day[won], kind="stable")]
        pool = np.r_[first + np.arange(many), account[won]]
        deal = np.flatnonzero((group == g) & old)
        size = many + np.searchsorted(walk.closed_day[won], walk.born[deal], side="left")
        account[deal] = pool[(u[deal] * size).astype(np.int64)]
    return account, np.r_[np.repeat(np.arange(len(before)), before), group[walk.is_new]]


def _wished(days: Calendar, t: Array, u: Array) -> Array:
    """A wished-for day: 45 % name the last day of the quarter, the others a working day."""
    day = np.minimum(t.astype(np.int64), len(days.dates) - 200)
    return np.where(u < 0.45, days.quarter_start[days.quarter[day] + 1] - 1, days.next_working[day])


def on_duty(truth: Truth, crew: Crew, day: Array, u: Array) -> Array:
    """A rep who is there on the day, each with the same chance."""
    active = crew.active(truth.days)
    nth = (u * active.sum(axis=1)[day]).astype(np.int64)
    return (active.cumsum(axis=1)[day] > nth[:, None]).argmax(axis=1)


def creation_weight(truth: Truth) -> Array:
    """How many deals each day brings, relative to the others: season, growth, and none on a day off."""
    days, day = calendar(truth), np.arange(truth.days)
    month = pd.DatetimeIndex(days.dates[: truth.days]).month
    working = days.next_working[: truth.days] == day
    return np.asarray(truth.season)[month - 1] * (1 + truth.growth) ** (day / 365.25) * working


def list_prices(truth: Truth, day: Array) -> Array:
    """(day, product): what one cost by the list of that day's year, in whole units."""
    year = pd.DatetimeIndex(calendar(truth).dates[day]).year
    factor = (1 + truth.price_growth) ** (np.asarray(year) - truth.as_of.year)
    return np.round(of(truth.products, "list_price") * factor[:, None])


def stamp(truth: Truth, minutes: Array) -> Array:
    """Minutes since the start as moments; below 0 is missing."""
    at = np.datetime64(truth.start, "us") + minutes.astype("timedelta64[m]")
    return np.where(minutes < 0, np.datetime64("NaT", "us"), at.astype("datetime64[us]"))


def text(names: tuple[str, ...] | list[str], codes: Array | pd.Series) -> pd.Series:
    """The names the codes stand for; -1 is missing."""
    return pd.Series(pd.array(list(names), dtype="str").take(np.asarray(codes), allow_fill=True))


def _share(u: Array, share: float, n: int) -> Array:
    """One of n for the numbers below the share, each with the same chance."""
    return (u / max(share, 1e-9) * n).astype(np.int64)


def _filled(values: Array, given: Array) -> Array:
    """Values, where not given taken from the last one that is."""
    return values[np.maximum.accumulate(np.where(given, np.arange(len(values)), 0))]


def ids(letter: str, n: int, width: int = 0) -> list[str]:
    """The first n ids: a letter and a number from 1."""
    width = width or max({"O": 5, "A": 4}.get(letter, 2), len(str(n)))
    return [f"{letter}{i:0{width}d}" for i in range(1, n + 1)]


def of(things: tuple, name: str) -> Array:
    """One number of each of the things."""
    return np.array([getattr(thing, name) for thing in things], dtype=float)


def pick(rng: np.random.Generator, shares: Array) -> Array:
    """One of the columns for each row, by its shares."""
    return (rng.random(len(shares))[:, None] >= shares.cumsum(axis=1)[:, :-1]).sum(axis=1)


def generator(seed: int, name: str) -> np.random.Generator:
    """A generator of its own for each purpose, so that a new one changes nobody else's numbers."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))
