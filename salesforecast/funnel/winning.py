"""How many deals are won, by when, and which open ones have stalled."""

from __future__ import annotations

from itertools import pairwise

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import stats, style
from salesforecast.observed import FAR, Observed, horizon, observed, settled, whole

AGES = (30, 60, 90, 180, 365)


def win_curve(
    deals: pd.DataFrame, *, as_of: pd.Timestamp, since: pd.Timestamp | None = None, level: float = stats.LEVEL
) -> pd.DataFrame:
    """The share of deals won by each age, with lost as the competing end and open deals counted as undecided.

    Every dated deal counts from the day it was entered (or from the first day on which the data show any closing, when
    it is older) to the day it closed or, still open, to `as_of`. The curve is followed while no open deal stands for more
    than a tenth of all. The band is that of the share in the long run: quarters share good and bad luck, and deals of
    an account are alike, so the variance is that between quarters (months or weeks, where there are fewer than 8 quarters)
    plus what accounts add to it.

    Parameters
    ----------
    deals : DataFrame
        Columns outcome, created_date, closed_date; account_id where there is one.
    as_of : Timestamp
        The last day the data are known.
    since : Timestamp, optional
        Count only deals entered on this day or later.
    level : float
        Of the pointwise band.

    Returns
    -------
    DataFrame
        One row per week of age and one for the last age: age (days), n (open and observed at it), won (share won by
        the end of it), lower, upper, lost (share lost by it), undecided (share).

    Source
    ------
    Aalen & Johansen (1978); Putter, Fiocco & Geskus (2007). Left truncation by delayed entry. Variance clustered two ways:
    Cameron, Gelbach & Miller (2011).
    """
    if since is not None:
        deals = deals[deals["created_date"] >= since]
    seen = observed(deals)
    table, end = whole(seen, as_of)
    won, lost = stats.incidence(table, np.ones((1, seen.groups)))
    lower, upper = stats.share_interval(won[0], *_variance(seen, table, as_of), level)
    ages = np.unique(np.append(np.arange(0, end + 1, 7), end))
    frame = pd.DataFrame({
        "age": ages, "n": table.at_risk()[ages].astype("int64"), "won": won[0][ages], "lower": lower[ages], "upper": upper[ages],
        "lost": lost[0][ages],
    })  # fmt: skip
    return frame.assign(undecided=1 - frame["won"] - frame["lost"])


def _variance(seen: Observed, table: stats.LifeTable, as_of: pd.Timestamp) -> tuple[np.ndarray, int]:
    """The variance of the curve with deals of one time, and deals of one account, alike; and its degrees of freedom."""
    ages = table.won.shape[1]
    blocks = seen.by_time(seen.day(as_of), ages)
    each = stats.jackknife(seen.table(-FAR, seen.day(as_of), ages, np.arange(len(seen.created)) % stats.GROUPS))
    accounts_add = stats.jackknife(table) - each
    return np.maximum(stats.jackknife(blocks) + accounts_add, each / 2), blocks.won.shape[0] - 1


def finding_win_curve(curve: pd.DataFrame, rates: pd.DataFrame) -> str:
    """Two sentences: how many of 100 deals are won, and how far off won / closed is.

    Parameters
    ----------
    curve : DataFrame
        From `win_curve`.
    rates : DataFrame
        From `win_rates`.
    """
    end, closed = curve.iloc[-1], rates.iloc[1]
    interval = "" if pd.isna(end["lower"]) else f" (95% interval {end['lower'] * 100:.0f} to {end['upper'] * 100:.0f})"
    if pd.isna(closed["error"]):
        return (
            f"Of 100 deals entered, **{end['won'] * 100:.0f} are won** within {style.days(end['age'])}{interval}; "
            f"{end['undecided'] * 100:.0f} are still undecided then, and few deals could be watched for longer."
        )
    says = f"Of 100 deals entered, **{end['won'] * 100:.0f} are won** in the end{interval} and {end['lost'] * 100:.0f} lost."
    if not (closed["error_lower"] > 0 or closed["error_upper"] < 0):
        return f"{says} Won of closed says {closed['win_rate'] * 100:.0f}, which cannot be told apart from it."
    how = f"{style.points(abs(closed['error'])).lstrip('+')} too {'high' if closed['error'] > 0 else 'low'}"
    return f"{says} Won of closed says {closed['win_rate'] * 100:.0f}: {how}, since it leaves out the deals still open."


def chart_win_curve(curve: pd.DataFrame, rates: pd.DataFrame) -> alt.LayerChart:
    """The shares won and lost by age, and the rate that leaves open deals out as a level line."""
    # The tail in which nothing happens any more is left out.
    busy = curve.loc[curve["undecided"] > curve["undecided"].iloc[-1] + 0.01, "age"]
    curve = curve[curve["age"] <= max(28, 1.2 * busy.max())] if len(busy) else curve
    sides = pd.concat(
        [curve.assign(series="won", share=curve["won"]), curve.assign(series="lost", share=curve["lost"])]
    )
    closed = rates.iloc[1]["win_rate"]
    return style.lines(
        sides, "age", "share", "series", fmt=style.percent, main="won", band=True, x_title="days",
        marks=((closed, f"won of closed {style.percent(closed)}"),),
        title="Share of deals won and lost by age",
        subtitle="Open deals counted as undecided; 95% band; what is missing to 100% is undecided",
    )  # fmt: skip


def win_rates(deals: pd.DataFrame, *, as_of: pd.Timestamp, recent: int = 180) -> pd.DataFrame:
    """The win rate in four definitions: the curve's end, and the three that leave open deals out or count them as lost.

    Parameters
    ----------
    deals : DataFrame
        As for `win_curve`.
    as_of : Timestamp
        The last day the data are known.
    recent : int
        Days before `as_of` in which a deal counts as recently entered.

    Returns
    -------
    DataFrame
        definition, n (deals it rests on), won (deals), win_rate, lower, upper (95%), error (above the curve, as a
        fraction; missing for the curve itself, and everywhere when the curve still rises at its end), error_lower,
        error_upper (95%, for won of closed). The first row is the
        curve's.
    """
    curve = win_curve(deals, as_of=as_of)
    seen = observed(deals)
    closed, won = seen.outcome != "open", seen.outcome == "won"
    young = seen.created > seen.day(as_of) - recent
    last = curve.iloc[-1]
    rules = {
        "won of closed": closed,
        f"won of closed, entered in the last {recent} days": closed & young,
        "won of all entered": np.ones(len(closed), dtype=bool),
    }
    counts = pd.DataFrame([{"definition": d, "n": int(r.sum()), "won": int((r & won).sum())} for d, r in rules.items()])
    naive = stats.add_rate(counts, hits="won", n="n", name="win_rate")
    first = pd.DataFrame([{
        "definition": f"won within {int(last['age'])} days, open deals undecided", "n": len(closed), "won": int(won.sum()),
        "win_rate": last["won"], "lower": last["lower"], "upper": last["upper"],
    }])  # fmt: skip
    frame = pd.concat([first, naive], ignore_index=True)
    if not settled(curve["won"].to_numpy(), curve["lost"].to_numpy()):
        return frame.assign(error=np.nan, error_lower=np.nan, error_upper=np.nan)
    error = (frame["win_rate"] - last["won"]).where(frame.index > 0)
    of_closed = error.where(frame["definition"] == "won of closed")
    reach = _error_reach(seen, as_of, closed)
    return frame.assign(error=error, error_lower=of_closed - reach, error_upper=of_closed + reach)


def _error_reach(seen: Observed, as_of: pd.Timestamp, counted: np.ndarray) -> float:
    """Half the 95% interval of a naive rate minus the curve's end, by leaving out one block of time after the other.

    Both come from the same deals, so good and bad times move them together; what is uncertain is their difference.
    """
    _, end = whole(seen, as_of)
    last = seen.day(as_of)
    blocks = seen.by_time(last, end + 1)
    groups = blocks.won.shape[0]
    ended = np.where(seen.closed <= last, seen.closed, last)
    block = np.clip(np.searchsorted(seen.edges(last), ended, side="right") - 1, 0, groups - 1)[counted]
    n = np.bincount(block, minlength=groups)
    won = np.bincount(block[(seen.outcome == "won")[counted]], minlength=groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = (won.sum() - won) / (n.sum() - n) - stats.without_each(blocks)[:, -1]
    return stats.t_quantile(groups - 1) * float(np.sqrt(stats.jackknife_variance(errors)))


def pipeline_age(deals: pd.DataFrame, *, as_of: pd.Timestamp) -> pd.DataFrame:
    """The open deals by age, with the chance a deal of that age still has.

    The chance is that of being won later, given that the deal is open now: (F_won(end) - F_won(age)) / (share open at
    that age), by the win curve. Deals older than the age by which 99% of all wins have come are *stalled*.

    Parameters
    ----------
    deals : DataFrame
        Columns outcome, created_date, closed_date; amount where there is one.
    as_of : Timestamp
        The last day the data are known.

    Returns
    -------
    DataFrame
        One row per band of age, youngest first: ages ("31 to 60 days"), n (open deals), amount (money), chance (mean
        fraction), stalled (flag). Open deals without a created date have the last row, without a chance.
    """
    aged, limit = _aged(deals, as_of)
    apart = [a for a in AGES if a < aged["age"].max() and abs(a - limit) > 0.15 * limit]
    edges = sorted({*apart, limit})
    bounds = [-1, *edges, np.inf]
    names = [f"{low + 1} to {high} days" for low, high in pairwise(bounds[:-1])]
    names = [*names, f"more than {edges[-1]} days"]
    band = pd.cut(aged["age"], bounds, labels=names)
    by_band = aged.groupby(band, observed=False)
    frame = by_band.agg(n=("age", "size"), amount=("amount", "sum"), chance=("chance", "mean")).reset_index(
        names="ages"
    )
    frame = frame.assign(ages=frame["ages"].astype("str"), stalled=[low >= limit for low in bounds[:-1]])
    undated = deals[(deals["outcome"] == "open") & deals["created_date"].isna()]
    if len(undated):
        amount = undated["amount"].sum() if "amount" in undated else 0.0
        row = {"ages": "no created date", "n": len(undated), "amount": amount, "chance": np.nan, "stalled": False}
        frame = pd.concat([frame, pd.DataFrame([row])], ignore_index=True)
    return frame


def stalled(deals: pd.DataFrame, *, as_of: pd.Timestamp) -> pd.DataFrame:
    """The open deals that are older than the age by which 99% of all wins have come, largest first.

    Parameters
    ----------
    deals : DataFrame
        As for `pipeline_age`; name, account, rep, stage and expected_close_date are carried along where there are.
    as_of : Timestamp
        The last day the data are known.

    Returns
    -------
    DataFrame
        opportunity_id, name, account, rep, stage, age (days), limit (days), amount (money), chance (fraction, of being
        won at all from now on), expected_close_date.
    """
    aged, limit = _aged(deals, as_of)
    wanted = [
        "opportunity_id",
        "name",
        "account",
        "rep",
        "stage",
        "age",
        "limit",
        "amount",
        "chance",
        "expected_close_date",
    ]
    old = aged[aged["age"] > limit].assign(limit=limit)
    old = old.sort_values(["amount", "age", "opportunity_id"], ascending=[False, False, True], ignore_index=True)
    return old[[c for c in wanted if c in old]]


def finding_stalled(ages: pd.DataFrame, deals: pd.DataFrame) -> str:
    """One sentence: how many open deals, and how much of their value, are older than nearly all wins ever were.

    Parameters
    ----------
    ages : DataFrame
        From `pipeline_age`.
    deals : DataFrame
        From `stalled`.
    """
    dated = ages[ages["chance"].notna() | ages["stalled"]]
    late = dated[dated["stalled"]]
    if not late["n"].sum():
        return f"None of the {style.plural(dated['n'].sum(), 'open deal')} is older than nearly all wins have been."
    limit = deals["limit"].iloc[0]
    worth = (
        f", {style.money(late['amount'].sum())} of {style.money(dated['amount'].sum())},"
        if dated["amount"].sum() > 0
        else ""
    )
    return (
        f"**{style.count(late['n'].sum())} of {style.plural(dated['n'].sum(), 'open deal')}**{worth} have stalled: they are older than "
        f"{style.days(limit)}, by when 99 of 100 wins have come."
    )


def chart_pipeline_age(ages: pd.DataFrame) -> alt.LayerChart:
    """Open deals by age, youngest first; stalled ones named."""
    words = [
        f"{style.plural(n, 'deal')}, {style.money(a, short=True)}"
        + ("" if pd.isna(c) else f", chance {'under 1%' if c < 0.01 else style.percent(c)}")
        for n, a, c in zip(ages["n"], ages["amount"], ages["chance"], strict=True)
    ]
    return style.bars(
        ages.assign(words=words), "n", "ages", text="words", accent=ages.loc[ages["stalled"], "ages"].tolist(),
        title="Open deals by age", subtitle="Number, value, and the chance that a deal of this age has of being won; blue: stalled",
    )  # fmt: skip


def _aged(deals: pd.DataFrame, as_of: pd.Timestamp) -> tuple[pd.DataFrame, int]:
    """The open deals with a created date, their age and chance; and the age at which deals count as stalled."""
    seen = observed(deals)
    limit = horizon(seen, as_of)
    table, end = whole(seen, as_of)
    won, lost = (curve[0] for curve in stats.incidence(table, np.ones((1, seen.groups))))
    aged = seen.deals[seen.outcome == "open"]
    aged = aged.assign(age=(as_of - aged["created_date"]).dt.days)
    if "amount" not in aged:
        aged = aged.assign(amount=np.nan)
    at = aged["age"].clip(0, end).to_numpy("int64")
    with np.errstate(invalid="ignore", divide="ignore"):
        chance = (won[end] - won[at]) / (1 - won[at] - lost[at])
    return aged.assign(chance=np.nan_to_num(np.clip(chance, 0, 1))), limit
