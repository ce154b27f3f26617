"""The four funnel metrics and sales velocity."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from salesforecast import stats, style
from salesforecast.cards import Card, Cards
from salesforecast.errors import TooLittleData
from salesforecast.observed import AT_ONCE, ENOUGH, ENOUGH_NOW, followed, horizon, observed
from salesforecast.periods import ONE_DAY, Period
from salesforecast.periods import period as period_of

METRICS = {
    "open_deals": "Open deals",
    "alive": "Share alive",
    "average_size": "Average size",
    "win_rate": "Win rate",
    "time_to_close": "Time to close",
    "velocity": "Velocity",
}
FACTORS = list(METRICS)[:5]
COUNTED = ("open_deals", "alive")  # from all deals, so without an interval
PAST = {4: 9, 6: 9, 7: 13}  # periods of a trend, by the length of the label: years, quarters, months
SHARES = ("alive", "win_rate")  # their changes are differences


def draws_of(
    deals: pd.DataFrame, spans: list[Period], as_of: pd.Timestamp, replicates: int = stats.REPLICATES
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Each metric for each span: arrays of shape (spans, 1 + replicates), the data themselves first; and the counts."""
    seen = observed(deals)
    if spans[0].until <= seen.zero:
        raise TooLittleData(f"{spans[0].label} ends before the first deal was entered ({seen.zero:%Y-%m-%d}).")
    try:
        within = horizon(seen, as_of)
    except TooLittleData:
        within = 0  # the counts can be said all the same
    weight = stats.weights(seen.groups, replicates)
    amount = seen.deals["amount"].to_numpy("float64") if "amount" in seen.deals else np.full(len(seen.deals), np.nan)
    out = {m: np.full((len(spans), len(weight)), np.nan) for m in METRICS}
    counts = []
    for i, span in enumerate(spans):
        since, last = seen.day(span.since), seen.day(span.until - ONE_DAY)
        is_open = (seen.created <= last) & (seen.closed > last)
        alive = is_open & (last - seen.created <= within)
        closing = (seen.closed >= since) & (seen.closed <= last)
        won = closing & (seen.outcome == "won")
        valued = won & ~np.isnan(amount)
        age = (seen.closed - seen.created)[closing]
        counts.append({
            "period": span.label, "since": span.since, "until": span.until, "horizon": within or np.nan,
            "entered": int(((seen.created >= since) & (seen.created <= last)).sum()),
            "won": int(won.sum()), "lost": int((closing & (seen.outcome == "lost")).sum()),
            "valued": int(valued.sum()), "bookings": amount[valued].sum() if valued.any() else np.nan,
            "closed_after": age.mean() if len(age) else np.nan,
            "open_amount": np.nansum(amount[is_open]) if span.until > as_of and (~np.isnan(amount[is_open])).any() else np.nan,
            "open_valued": int((~np.isnan(amount[is_open])).sum()),
        })  # fmt: skip
        if last < seen.first_close:
            continue
        sums = np.bincount(seen.group[valued], amount[valued], minlength=seen.groups)
        numbers = np.bincount(seen.group[valued], minlength=seen.groups)
        table = seen.table(since, last, within + 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            out["open_deals"][i] = is_open.sum()
            out["alive"][i] = np.divide(alive.sum(), is_open.sum()) if within else np.nan
            out["average_size"][i] = (weight @ sums) / (weight @ numbers)
            if valued.sum() < ENOUGH:
                out["average_size"][i, 1:] = np.nan  # a mean, but no interval worth the name
            if within and followed(table, ENOUGH_NOW) == within and won.sum() >= ENOUGH:
                won_by, lost_by = stats.incidence(table, weight)
                open_for = stats.mean_open(won_by, lost_by)
                out["win_rate"][i] = won_by[:, -1]
                out["time_to_close"][i] = np.where(open_for > 0, open_for, np.nan)
            at_work = out["open_deals"][i] * out["alive"][i]
            out["velocity"][i] = at_work * out["average_size"][i] * out["win_rate"][i] / out["time_to_close"][i]
    return out, pd.DataFrame(counts)


def metrics(deals: pd.DataFrame, *, period: Period, as_of: pd.Timestamp) -> pd.DataFrame:
    """The four funnel metrics and sales velocity for a period, the one before and the one a year before.

    *Open deals* N are those open at the end of the period; *alive* L is the share of them no older than the horizon, the
    age by which 99% of all wins in the data came. *Average size* A is the mean amount of the deals won in the period.
    *Win rate* W is the share of deals that would be won within the horizon if at every age they were won and lost as
    often as in this period; open deals count as undecided, so it is neither won / closed nor won / created. *Time to
    close* T is the mean number of days such a deal is open, won, lost or neither by the horizon. *Velocity* is
    N x L x A x W / T: by Little's law N x L / T deals leave the funnel a day, so this is the money a day that the open deals
    bring at their present number. The usual N x A x W / T, with dead deals in N and only the wins' days in T, is far too
    high. A period that is not over is compared with the same number of days. Intervals come from 400 resamples of
    accounts.

    Parameters
    ----------
    deals : DataFrame
        Columns outcome, created_date, closed_date; account_id and amount where there are.
    period : Period
    as_of : Timestamp
        The last day the data are known.

    Returns
    -------
    DataFrame
        One row per period, the asked one first: period, since, until, horizon (days), entered, won, lost (deals), valued
        (won deals with an amount), bookings (money), closed_after (mean days of those that closed in it, for comparison),
        open_amount (money, known for the present only), open_valued (open deals with an amount), open_deals, undated (open
        deals without a created date, not among open_deals; known for the present only), alive (fraction of open_deals),
        and each of average_size, win_rate, time_to_close (days), velocity (money a day) followed by its _lower and _upper
        (95%). A win rate needs 10 wins in the period and a curve followed to the horizon (no open deal stands for more than a
        fifth of all); an interval of the average size needs 10 amounts; the horizon, and all that rests on it, a history long
        enough to see by when nearly all wins come. What cannot be said is missing.

    Raises
    ------
    MissingTable
        Without created and closed dates.
    TooLittleData
        When no deal has both dates, or the period lies before the first deal.

    Source
    ------
    Win rate and time: period life table with competing risks, Putter, Fiocco & Geskus (2007). Little (1961).
    """
    spans = period.compared(as_of)
    draws, frame = draws_of(deals, spans, as_of)
    undated = int((deals["created_date"].isna() & (deals["outcome"] == "open")).sum())
    frame["open_deals"] = draws["open_deals"][:, 0]
    frame["undated"] = np.where(frame["until"] > as_of, undated, np.nan) if undated else 0.0
    frame["alive"] = draws["alive"][:, 0]
    for metric in [m for m in METRICS if m not in COUNTED]:
        frame[metric] = draws[metric][:, 0]
        frame[f"{metric}_lower"], frame[f"{metric}_upper"] = stats.quantile_interval(draws[metric][:, 1:].T)
    return frame


def finding_metrics(metrics: pd.DataFrame, changes: pd.DataFrame) -> str:
    """Two sentences: the velocity and how it changed, and the four metrics it is made of.

    Parameters
    ----------
    metrics : DataFrame
        From `metrics`.
    changes : DataFrame
        From `changes`.
    """
    now = metrics.iloc[0]
    a_day = now["bookings"] / (now["until"] - now["since"]).days
    booked = "" if pd.isna(a_day) else f" {style.money(a_day)} a day were booked in {now['period']}."
    if pd.isna(now["open_deals"]):
        return f"{now['period']} ends before the first deal closed; what its open deals bring in cannot be said."
    if pd.isna(now["alive"]):
        booked = (
            f"{style.money(now['bookings'])} from {style.plural(now['valued'], 'win')} were booked in {now['period']}"
        )
        if not now["valued"]:
            booked = f"no win of {now['period']} has an amount" if now["won"] else f"nothing was won in {now['period']}"
        why = "The history is too short, or its wins too few, to say how fast the open deals bring in money"
        if (
            not now["open_deals"]
            and not metrics["lost"].any()
            and (metrics["closed_after"].dropna() == 0).all()
            and now["won"]
        ):
            why = f"{AT_ONCE}, so there is no pace at which open deals bring in money"
        return (
            f"**{style.plural(now['open_deals'], 'deal')} {'is' if now['open_deals'] == 1 else 'are'} open**, and {booked}. "
            f"{why}."
        )
    alive = (
        f"Of {style.plural(now['open_deals'], 'open deal')}, {style.count(now['open_deals'] * now['alive'])} are alive"
    )
    if pd.notna(now["velocity"]):
        return f"{alive}; they bring in **{style.money(now['velocity'])} a day**, {_against(changes)}.{booked}"
    if not now["valued"]:
        return f"**{alive}.** No deal won in {now['period']} has an amount, so what they bring in cannot be said."
    closed = f"{style.count(now['won'])} won and {style.count(now['lost'])} lost in {now['period']}"
    return f"**{alive}.** {closed} are too few to say what they bring in.{booked}"


def _against(changes: pd.DataFrame) -> str:
    """The change of velocity since the first period that has one, in words."""
    known = changes[(changes["metric"] == "velocity") & changes["change"].notna()]
    if known.empty:
        return "with no earlier period to compare it with"
    first = known.iloc[0]
    if not first["sure"]:
        return f"not clearly different from {first['against']}"
    return f"{'up' if first['change'] > 0 else 'down'} {style.percent(abs(first['change']))} on {first['against']}"


def trend(deals: pd.DataFrame, *, period: Period, as_of: pd.Timestamp) -> pd.DataFrame:
    """The metrics of the last two years, or of the last 13 months, for the small lines of the cards.

    Parameters
    ----------
    deals, period, as_of
        As for `metrics`.

    Returns
    -------
    DataFrame
        One row per period, oldest first: period, bookings, open_deals, alive, average_size, win_rate, time_to_close, velocity.
    """
    now = period.so_far(as_of)
    spans = [
        now,
        *(
            period.previous(n).same_days(now.days) if now.days < period.days else period.previous(n)
            for n in range(1, PAST[len(period.label)])
        ),
    ]
    draws, counts = draws_of(deals, spans, as_of, replicates=0)
    return (
        counts[["period", "bookings"]].assign(**{m: draws[m][:, 0] for m in METRICS}).iloc[::-1].reset_index(drop=True)
    )


def cards_metrics(metrics: pd.DataFrame, changes: pd.DataFrame, trend: pd.DataFrame) -> Cards:
    """The five figures as cards, each with what it rests on, its course and its changes."""
    now = metrics.iloc[0]
    whole = period_of(now["period"]).days == (now["until"] - now["since"]).days

    def card(metric: str, say: Callable[[float], str], *of: str, bare: Callable[[float], str] | None = None) -> Card:
        mine = changes[(changes["metric"] == metric) & changes["change"].notna()]
        word = style.points if metric in SHARES else style.change
        if pd.isna(now[metric]):
            return Card(
                METRICS[metric], "too few", (f"{style.count(now['won'])} won, {style.count(now['lost'])} lost",)
            )
        lower = now.get(f"{metric}_lower", np.nan)
        interval = "" if pd.isna(lower) else f"95% interval {style.between(lower, now[f'{metric}_upper'], bare or say)}"
        return Card(
            METRICS[metric], say(now[metric]), tuple(line for line in (*of, interval) if line),
            tuple((f"vs {c.against}", word(c.change), c.sure) for c in mine.itertuples()),
            tuple(trend[metric]) if trend[metric].notna().sum() > 2 else (),
            year={4: 1, 6: 4, 7: 12}[len(now["period"])],
        )  # fmt: skip

    money = partial(style.money, short=True)
    a_day = now["bookings"] / (now["until"] - now["since"]).days
    undated = f"; {style.count(now['undated'])} more without a date" if now["undated"] > 0 else ""
    bare = now["open_deals"] - now["open_valued"]
    alive = "" if pd.isna(now["alive"]) else f"{style.percent(now['alive'])} alive"
    worth = (
        ""
        if pd.isna(now["open_amount"])
        else money(now["open_amount"]) + (f" ({style.count(bare)} without an amount), " if bare else ", ")
    )
    days, closed_after = (now["until"] - now["since"]).days, style.count(now["closed_after"])
    return Cards(
        (
            card("velocity", money, f"a day; booked: {money(a_day)}"),
            card("open_deals", style.count, f"{worth}{alive}{undated}".strip(", ")),
            card("average_size", money, f"mean of {style.plural(now['valued'], 'won deal')}"),
            card("win_rate", style.percent, f"won within {style.days(now['horizon'])}"),
            card("time_to_close", style.days, f"at most {style.count(now['horizon'])}; closed ones: {closed_after}", bare=style.count),
        ),
        note="Velocity is what the open deals bring in a day at their present number. Alive: no older than the age by which 99% of all "
        "wins came. Small lines: the last periods, the ring a year ago, the dot now. A change in grey may be chance alone."
        + ("" if whole else f" The period is not over: it is compared with the first {days} days of the others."),
    )  # fmt: skip


def changes(deals: pd.DataFrame, *, period: Period, as_of: pd.Timestamp) -> pd.DataFrame:
    """How much each metric has changed since the period before and since the one a year before.

    Parameters
    ----------
    deals, period, as_of
        As for `metrics`.

    Returns
    -------
    DataFrame
        against (period), metric, was, is_now, change (relative; for alive and win_rate the difference of
        fractions), lower, upper
        (95%, from the same resamples of accounts in both periods; none for open_deals and alive, which are counted), sure (the
        interval leaves out no change).
    """
    spans = period.compared(as_of)
    draws, _ = draws_of(deals, spans, as_of)
    rows = []
    for i, span in enumerate(spans[1:], start=1):
        for metric in METRICS:
            now, was = draws[metric][0], draws[metric][i]
            with np.errstate(invalid="ignore", divide="ignore"):
                change = now - was if metric in SHARES else now / was - 1
            lower, upper = (np.nan, np.nan) if metric in COUNTED else stats.quantile_interval(change[1:])
            rows.append({
                "against": span.label, "metric": metric, "was": was[0], "is_now": now[0], "change": change[0],
                "lower": lower, "upper": upper, "sure": bool(lower > 0 or upper < 0 or (metric in COUNTED and abs(change[0]) > 0)),
            })  # fmt: skip
    return pd.DataFrame(rows)
