"""What follows each kind of activity: wins and bookings an attempt and an hour. It goes with them; it need not come from them."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from scipy.stats import norm

from salesforecast import shrinkage, stats, style
from salesforecast.errors import TooLittleData
from salesforecast.observed import need
from salesforecast.periods import ONE_DAY
from salesforecast.reps.staff import work
from salesforecast.tables import NOT_FILLED, Crm
from salesforecast.text import md

FOLLOWED = 90  # days in which a win follows
RATE = 0.05  # of false names among all: what was done is not dealt out by lot
FEW = 30  # attempts: fewer are not compared
BY = {"type": ("kind of activity", "kinds of activity"), "purpose": ("purpose", "purposes")}


def returns(crm: Crm, *, until: pd.Timestamp, by: str = "type") -> pd.DataFrame:
    """What follows an activity on a deal within 90 days, by kind of activity or by purpose.

    Counted is what was done on open deals in a year that ended 90 days ago, so that each attempt has had its 90 days: a deal
    that is still open then has not been won in them, and nothing is undecided. A win, with its amount, is split evenly over
    the attempts of the 90 days before it, so no win counts twice. Deals of an account are alike: intervals come from
    resampling accounts. Who does more of something may do it on better deals or later in them: this is an association, and no
    cause.

    Parameters
    ----------
    crm : Crm
        Activities (at, opportunity_id, minutes) with `by`; opportunities (outcome, closed_date, amount, account_id).
    until : Timestamp
        The year ends 90 days before this day, or before the last day known.
    by : str
        type or purpose.

    Returns
    -------
    DataFrame
        The column of `by`; n (attempts on open deals), hours (of those with a time), followed (attempts that a win followed)
        with lower, upper (95%), q (false-discovery rate of a difference to the other kinds), verdict (above, below, same; few
        under 30 attempts), wins (split), per_attempt (bookings, money) and bookings_an_hour with their 95% intervals, no_deal (done
        on no deal, which cannot be followed). Most attempts first.

    Raises
    ------
    MissingTable
        Without activities, or when none names its deal or its purpose.
    TooLittleData
        When nothing was done on a deal in that year.
    """
    crm = crm.at(min(until - ONE_DAY, crm.as_of))
    deals = crm.opportunities
    need(deals, "closed_date")
    end = crm.as_of + ONE_DAY - pd.Timedelta(days=FOLLOWED)
    done = work(crm, "at", "opportunity_id", by)
    done = done[done["at"].between(end - pd.DateOffset(years=1), end, inclusive="left")]
    label = done[by].fillna(NOT_FILLED).map(words)
    deal = pd.Index(deals["opportunity_id"]).get_indexer(done["opportunity_id"])
    closed = deals["closed_date"].to_numpy()[deal]
    at = done["at"].dt.normalize().to_numpy()
    on_deal = (deal >= 0) & ~(closed < at)
    if not on_deal.any():
        raise TooLittleData(f"No activity on an open deal was done in the year to {end - ONE_DAY:%Y-%m-%d}.")
    elsewhere = label[~on_deal].value_counts()
    label, deal, closed, at = label[on_deal], deal[on_deal], closed[on_deal], at[on_deal]
    won = (deals["outcome"] == "won").to_numpy()[deal] & (closed - at <= np.timedelta64(FOLLOWED, "D"))
    amount = deals["amount"].fillna(0.0).to_numpy()[deal] if "amount" in deals else np.full(len(deal), np.nan)
    part = np.where(won, 1 / np.maximum(_attempts_before(crm, deals)[deal], 1), 0.0)
    minutes = done["minutes"][on_deal].to_numpy("float64") if "minutes" in done else np.full(len(deal), np.nan)
    timed = ~np.isnan(minutes)
    (code, names), group = pd.factorize(label, sort=True), groups(deals)[deal]
    flat, shape = group * len(names) + code, (int(group.max()) + 1, len(names))

    def summed(values: np.ndarray) -> np.ndarray:
        """(resamplings, kinds): sums; the first row is the data."""
        by_group = np.bincount(flat, weights=values.astype("float64"), minlength=shape[0] * shape[1]).reshape(shape)
        return stats.weights(shape[0]) @ by_group

    n, hits, money, hours = (
        summed(np.ones(len(code))),
        summed(won),
        summed(part * amount),
        summed(np.where(timed, minutes, 0) / 60),
    )
    timed_money = summed(np.where(timed, part * amount, 0.0))
    frame = pd.DataFrame({by: list(names), "n": n[0].astype("int64"), "hours": hours[0]})
    with np.errstate(invalid="ignore", divide="ignore"):
        rest = (hits.sum(axis=1, keepdims=True) - hits) / (n.sum(axis=1, keepdims=True) - n)
        gap = hits / n - rest
        for name, values in (
            ("followed", hits / n),
            ("wins", None),
            ("per_attempt", money / n),
            ("bookings_an_hour", timed_money / hours),
        ):
            if values is None:
                frame[name] = summed(part)[0]
                continue
            values = np.where(np.isfinite(values), values, np.nan)
            low, high = stats.quantile_interval(values[1:])
            known = frame["n"] >= FEW
            ends = ("lower", "upper") if name == "followed" else (f"{name}_lower", f"{name}_upper")
            frame = frame.assign(**{name: values[0], ends[0]: low, ends[1]: high})
            frame.loc[~known, list(ends)] = np.nan
        z = np.abs(gap[0]) / np.nan_to_num(gap[1:], posinf=0.0, neginf=0.0).std(axis=0)
    known = (frame["n"] >= FEW).to_numpy() & np.isfinite(z)
    frame["q"] = np.nan
    frame.loc[known, "q"] = shrinkage.q_values(2 * norm.sf(z[known]))
    side = np.where(frame["q"] < RATE, np.where(gap[0] > 0, "above", "below"), "same")
    frame["verdict"] = np.where(known, side, "few")
    frame["no_deal"] = frame[by].map(elsewhere).fillna(0).astype("int64")
    order = [by, "n", "hours", "followed", "lower", "upper", "q", "verdict", "wins", "per_attempt", "per_attempt_lower",
             "per_attempt_upper", "bookings_an_hour", "bookings_an_hour_lower", "bookings_an_hour_upper", "no_deal"]  # fmt: skip
    return frame[order].sort_values(["n", by], ascending=[False, True], ignore_index=True)


def _attempts_before(crm: Crm, deals: pd.DataFrame) -> np.ndarray:
    """By deal, the activities of the 90 days before it closed, over which a win is split."""
    acts = crm.activities.dropna(subset=["at", "opportunity_id"])
    deal = pd.Index(deals["opportunity_id"]).get_indexer(acts["opportunity_id"])
    back = (deals["closed_date"].to_numpy()[deal] - acts["at"].dt.normalize().to_numpy()) / np.timedelta64(1, "D")
    near = (deal >= 0) & (back >= 0) & (back <= FOLLOWED)
    return np.bincount(deal[near], minlength=len(deals))


def groups(deals: pd.DataFrame) -> np.ndarray:
    """The account of each deal, as `stats.group_codes` has them."""
    accounts = deals["account_id"] if "account_id" in deals else pd.Series(pd.NA, index=deals.index, dtype="str")
    return stats.group_codes(accounts)


def finding_returns(returns: pd.DataFrame) -> str:
    """One sentence: which kinds of activity a win follows more or less often, or that they cannot be told apart."""
    by, known = returns.columns[0], returns[returns["verdict"] != "few"]
    if len(known) < 2:
        return f"Too few attempts: {style.plural(len(known), *BY[by])} had {FEW} of them on deals, and two are needed to compare."
    every = (known["followed"] * known["n"]).sum() / known["n"].sum()
    named = known[known["verdict"] != "same"].sort_values("q", kind="stable")
    if named.empty:
        return (
            f"A win followed **{style.percent(every)}** of attempts within {FOLLOWED} days; by {BY[by][0]} "
            f"({style.between(known['followed'].min(), known['followed'].max(), '.0%')}) they **cannot be told apart**."
        )
    top = named.iloc[0]
    rest = len(named) - 1
    more = f", {style.plural(rest, 'other')} {'differs' if rest == 1 else 'differ'} too" if rest else ""
    return (
        f"**{md(top[by])}**: a win followed {style.percent(top['followed'])} of attempts within {FOLLOWED} days, of all "
        f"{style.percent(every)}{more}; it goes with them, it need not come from them."
    )


def words(kind: str) -> str:
    """A kind of activity as it is written.

    >>> words("personalised_email")
    'Personalised email'
    """
    return kind[:1].upper() + kind[1:].replace("_", " ")


def chart_returns(returns: pd.DataFrame) -> alt.LayerChart:
    """The share of attempts that a win followed, with bookings an attempt and an hour."""
    by, known = returns.columns[0], returns[returns["verdict"] != "few"]
    data = known.sort_values("followed", ascending=False, kind="stable")
    columns = [
        ("n", "Attempts", style.count),
        ("per_attempt", "Bookings each", style.money),
        ("bookings_an_hour", "An hour", style.money),
    ]
    every = (known["followed"] * known["n"]).sum() / known["n"].sum()
    return style.dots(
        data, "followed", by, line=every, line_label=f"all {style.percent(every)}", verdict="verdict",
        columns=[c for c in columns if known[c[0]].notna().any()], title=f"What followed, by {BY[by][0]}",
        subtitle=f"Share of attempts with a win within {FOLLOWED} days; 95% intervals; highest first",
    )  # fmt: skip
