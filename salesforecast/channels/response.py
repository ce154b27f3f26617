"""What the next euro spent on a channel brings, and when the data cannot tell."""

from __future__ import annotations

from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import shrinkage, stats, style
from salesforecast.channels.saturation import Block, Posterior, curves, posterior
from salesforecast.errors import DataError, TooLittleData
from salesforecast.observed import need
from salesforecast.periods import ONE_DAY
from salesforecast.tables import Crm, examples
from salesforecast.text import md

FEWEST = 12  # periods of sales, beside what trend, season and channels use up
EACH = 3  # periods beside, for each channel
OWN = (
    0.10  # of the variation of spend that nothing else explains: below, the channel moves with the others or the season
)
VARIES = 0.05  # spend moves by less than this share of its mean: it does not vary
FOLLOWS = 0.01  # false-discovery rate for "the budget follows sales"
DECAYS = {"M": np.linspace(0.0, 0.8, 9), "W": np.linspace(0.0, 0.9, 19)}  # coarser ones make intervals too narrow
TODAY = {"M": 3, "W": 13}  # periods that are "today"
A_YEAR = {"M": 12.0, "W": 365.25 / 7}
LONGER = r"\s*\d{4}\s*|.*[Qq].*"  # labels of years and quarters
UNSOLD = "nothing was sold"
DOUBT = 0.05  # that of any channel it is said wrongly that its spend brings something


@dataclass(frozen=True)
class Response:
    """What is believed of each channel's answer to spend: draws, and the spend they rest on."""

    channels: tuple[str, ...]
    every: str  # M or W
    spend: np.ndarray  # (channels, periods)
    draws: Posterior
    own: (
        np.ndarray
    )  # (channels,): share of the variation of spend that trend, season, controls and other channels leave
    varies: np.ndarray  # (channels,): standard deviation of spend over its mean
    follows: np.ndarray  # (channels,): q value of "the budget follows the sales of the period before"
    unsold: pd.Series  # what is spent a period today on each channel that sold nothing, and so is not in the others

    @property
    def recent(self) -> int:
        """How many periods count as today."""
        return TODAY[self.every]


def sales(crm: Crm, *, by: str = "channel") -> pd.DataFrame:
    """Bookings per complete month: won opportunities by the day they closed.

    Parameters
    ----------
    crm : Crm
        Opportunities: outcome, closed_date, amount, and channel.
    by : str
        "channel", or "" for the total.

    Returns
    -------
    DataFrame
        channel (unless total), period (first day of the month), value. Months without bookings are 0.
    """
    need(crm.opportunities, *filter(None, (by, "closed_date", "amount")))
    won = crm.opportunities.query("outcome == 'won'").dropna(subset="closed_date")
    end = (crm.as_of + ONE_DAY).to_period("M")
    months = pd.period_range(crm.first_day.to_period("M") + int(crm.first_day.day > 1), end - 1, freq="M")
    keys = ([won[by]] if by else []) + [won["closed_date"].dt.to_period("M").rename("period")]
    sums = won["amount"].groupby(keys).sum()
    if by:
        index = pd.MultiIndex.from_product([sorted(won[by].dropna().unique()), months], names=[by, "period"])
    else:
        index = pd.Index(months, name="period")
    frame = sums.reindex(index).fillna(0.0).rename("value").reset_index()
    return frame.assign(period=frame["period"].dt.start_time.astype("datetime64[us]"))


def delay(crm: Crm) -> int:
    """Whole months from when a deal that is won is entered to when it is won: the median. Spend is held against sales so much later."""
    need(crm.opportunities, "created_date", "closed_date")
    won = crm.opportunities.query("outcome == 'won'")
    days = (won["closed_date"] - won["created_date"]).dt.days.median()
    return 0 if pd.isna(days) else round(days / 30.4)


def fitted(
    spend: pd.DataFrame, sales: pd.DataFrame, *, controls: pd.DataFrame | None = None, delay: int = 0, seed: int = 0
) -> Response:
    """The answer of sales to spend by channel: trend, season, controls, and a saturating curve with carry-over a channel.

        y_t = base + trend + season + controls + sum_c gain_c hill(adstock(x_c))

    Adstock is geometric, hill(a) = a^s / (a^s + k^s). Where the sales are by channel, each channel's spend answers for its
    own sales, with its own base, trend and season; else all channels together for the total. The prior is weak: the average
    returns of the channels come from one normal distribution whose centre and spread are learned.

    Parameters
    ----------
    spend : DataFrame
        Columns channel, period (2025-06, or the first day of a month or week), spend. A period without a row had none.
    sales : DataFrame
        Columns period, value, and channel where they are known by channel. Months or weeks, without gaps.
    controls : DataFrame, optional
        Column period and numeric columns: prices, promotions, holidays, and whatever moves both budget and sales.
    delay : int
        Periods from spend to the first sales it can bring.
    seed : int

    Raises
    ------
    DataError
        When periods are not months or weeks, or have gaps.
    TooLittleData
        When there are too few periods for so many channels.

    Source
    ------
    Jin, Wang, Sun, Chan & Koehler (2017); Chan & Perry (2017) on what such data cannot tell.
    """
    own = "channel" in sales
    when = _starts(sales["period"], "sales")
    periods = pd.DatetimeIndex(np.sort(when.unique()))
    every = _every(periods)
    money = spend.assign(period=_starts(spend["period"], "spend"))
    if every == "W":  # whichever day weeks begin with
        money["period"] = periods[0] + 7 * ((money["period"] - periods[0]).dt.days // 7) * ONE_DAY
    first = min(money["period"].min(), periods[0])
    whole = pd.date_range(first, max(money["period"].max(), periods[-1]), freq="MS" if every == "M" else "7D")
    paid = (
        money.pivot_table(index="channel", columns="period", values="spend", aggfunc="sum")
        .reindex(columns=whole)
        .fillna(0.0)
    )
    paid = paid[paid.sum(axis=1) > 0]
    rows = whole.get_indexer(periods) - delay
    known = (rows >= 0) & (rows < len(whole)) & (periods >= money["period"].min() + (whole[delay] - whole[0]))
    periods, rows = periods[known], rows[known]
    unsold = paid[:0]
    if own:
        sold = paid.index.isin(sales.loc[(sales["value"] != 0) & when.isin(periods), "channel"])
        paid, unsold = paid[sold], paid[~sold]
    if paid.empty:
        raise TooLittleData("No channel has both spend and sales.")
    names = tuple(str(c) for c in paid.index)
    groups = [(c,) for c in range(len(names))] if own else [tuple(range(len(names)))]
    nuisance = _nuisance(periods, every, controls)
    asked = nuisance.shape[1] + FEWEST + EACH * max(len(g) for g in groups)
    if len(periods) < asked:
        raise TooLittleData(
            f"There are {len(periods)} periods with spend and sales; to tell trend, season and "
            f"{style.plural(max(len(g) for g in groups), 'channel')} apart takes at least {asked}."
        )
    values = [
        sales["value"].to_numpy("float64") if not own else sales["value"].where(sales["channel"] == name)
        for name in names
    ]
    blocks = []
    for group in groups:
        y = (
            pd.Series(np.asarray(values[group[0]], dtype="float64"))
            .groupby(when.to_numpy())
            .sum()
            .reindex(periods)
            .to_numpy()
        )
        blocks.append(Block(y, nuisance, group, rows))
    amounts = paid.to_numpy()
    options = [curves(x, DECAYS[every], TODAY[every]) for x in amounts]
    size = sum(max(abs(b.sales.mean()), b.sales.std()) for b in blocks)
    unit = float(size / amounts.mean(axis=1).sum())
    draws = posterior(blocks, options, unit, seed=seed)
    checks = [_checks(amounts, block, c) for block in blocks for c in block.channels]
    apart, varies, p = (np.array(part) for part in zip(*checks, strict=True))
    idle = unsold.iloc[:, -TODAY[every] :].mean(axis=1)
    return Response(names, every, amounts, draws, apart, varies, shrinkage.q_values(p), idle)


def _starts(periods: pd.Series, table: str) -> pd.Series:
    """The first day of each period."""
    if not pd.api.types.is_datetime64_any_dtype(periods):
        text = periods.astype("str")
        dated = pd.to_datetime(text.mask(text.str.fullmatch(LONGER)), errors="coerce", format="mixed")
        if dated.isna().any():
            raise DataError(
                f"Table '{table}', column period: {examples(periods[dated.isna()])} is no month or week; write 2025-06, or the first "
                f"day of the week. `channels.spending` deals the figures of quarters and years out over their months."
            )
        periods = dated
    return periods.dt.normalize().astype("datetime64[us]")


def _every(periods: pd.DatetimeIndex) -> str:
    """M or W."""
    steps = np.diff(periods.to_numpy()) / np.timedelta64(1, "D")
    if len(steps) and (steps == 7).all():
        return "W"
    months = periods.to_period("M")
    if len(steps) and (periods.day == 1).all() and len(months) == (months[-1] - months[0]).n + 1:
        return "M"
    usual = np.median(steps) if len(steps) else 0
    what = "days" if usual < 7 else "weeks" if usual < 28 else "months"
    odd = [f"{p:%Y-%m-%d}" for p in periods[1:][steps != usual][:3]]
    raise DataError(
        f"Table 'sales', column period: spend response reads months (first day each) or weeks, without gaps; these are {what}"
        + (
            f" with a gap before {', '.join(odd)}. Add them, with 0 where nothing was sold."
            if odd
            else ". Sum them up to weeks."
        )
    )


def _nuisance(periods: pd.DatetimeIndex, every: str, controls: pd.DataFrame | None) -> np.ndarray:
    """Constant, trend (bent, from two years on), season (months, or waves of a year where those are few), controls."""
    n, years = len(periods), len(periods) / A_YEAR[every]
    time = np.linspace(-1, 1, n)
    columns = [np.ones(n), time]
    if years >= 2:
        columns.append(time**2)
    if (
        every == "M" and years >= 2.5
    ):  # budgets are planned by the month: anything coarser would take the calendar for their effect
        columns += [(periods.month == month).astype("float64") for month in range(2, 13)]
    elif years >= 1.5:
        turn = 2 * np.pi * (periods.day_of_year.to_numpy() - 1) / 365.25
        columns += [wave(k * turn) for k in ((1, 2) if every == "M" else (1, 2, 3)) for wave in (np.sin, np.cos)]
    if controls is not None:
        given = controls.assign(period=_starts(controls["period"], "controls")).set_index("period").reindex(periods)
        if given.isna().any(axis=None):
            names = [c for c in given if given[c].isna().any()]
            raise DataError(
                f"Table 'controls': {', '.join(map(str, names))} lack a figure for some periods of the sales; fill them in."
            )
        spread = given - given.mean()
        columns += [spread[c].to_numpy("float64") for c in given if spread[c].abs().max() > 0]
    return np.column_stack(columns)


def _checks(amounts: np.ndarray, block: Block, c: int) -> tuple[float, float, float]:
    """Of one channel: the share of its variation that is its own, its variation over its mean, p of "follows sales"."""
    from scipy.stats import t

    spent = amounts[:, block.rows]
    x, others = spent[c], [spent[d] for d in block.channels if d != c]
    spread = float(x.std())
    if spread <= 1e-9 * x.mean():
        return 0.0, 0.0, 1.0
    around = np.column_stack([block.nuisance, *others])
    rest = x - around @ np.linalg.lstsq(around, x, rcond=None)[0]
    apart = float((rest @ rest) / (len(x) - np.linalg.matrix_rank(around)) / (spread**2 * len(x) / (len(x) - 1)))
    # does the budget of a period go with the sales of the one before, given its own past?
    at, lag = block.rows[1:], block.sales[:-1]
    before = np.column_stack([block.nuisance[1:], amounts[c, at - 1], lag])
    now = amounts[c, at]
    effects, *_ = np.linalg.lstsq(before, now, rcond=None)
    free = len(now) - before.shape[1]
    error = now - before @ effects
    variance = error @ error / free * np.linalg.pinv(before.T @ before)[-1, -1]
    p = float(t.sf(effects[-1] / np.sqrt(variance), free)) if variance > 0 else 1.0
    return min(1.0, apart), spread / float(x.mean()), p


def response(fit: Response, *, level: float = stats.LEVEL) -> pd.DataFrame:
    """What each channel's spend brings today, on average and on the margin.

    *Today* is the last three months or 13 weeks. The marginal return is what one more unit of spend, laid out over time as today's
    is, adds to sales, with what it carries over; the average return is all that today's spend brings, over today's spend.

    Parameters
    ----------
    fit : Response
        From `fitted`.
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame
        channel, spend (a period, today), contribution (sales a period from it) with contribution_lower, contribution_upper,
        average_return with average_return_lower, average_return_upper, marginal_return with lower, upper, above_zero (the probability
        that it is), own_share (of the variation of spend that trend, season and other channels do not explain), follows_q (false-discovery
        rate of "the budget follows sales"), told (yes, or why not). Highest marginal return first, channels without spend today last.
    """
    last, draws = fit.recent, fit.draws
    rows = []
    for c, (name, curve) in enumerate(zip(fit.channels, draws.curves, strict=True)):
        at, gain = draws.curve[:, c], draws.gain[:, c]
        today = float(fit.spend[c, -last:].mean())
        brought = gain * curve.at(1.0, last).mean(axis=1)[at]
        more = gain * curve.marginal(last)[at] / last
        row: dict[str, object] = {"channel": name, "spend": today}
        for of, values in (("contribution", brought), ("average_return", brought / today if today else brought * np.nan),
                           ("marginal_return", more / today if today else more * np.nan)):  # fmt: skip
            low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
            bounds = ("lower", "upper") if of == "marginal_return" else (f"{of}_lower", f"{of}_upper")
            row |= {of: float(values.mean()), bounds[0]: float(low), bounds[1]: float(high)}
        above = float((more > 0).mean()) if today else np.nan
        row |= {"above_zero": above, "own_share": fit.own[c], "follows_q": fit.follows[c]}
        rows.append({**row, "told": _told(fit, c, today, above)})
    rows += [{"channel": str(name), "spend": float(x), "told": UNSOLD} for name, x in fit.unsold.items()]
    return pd.DataFrame(rows).sort_values(["marginal_return", "channel"], ascending=[False, True], ignore_index=True)


def _told(fit: Response, c: int, today: float, above: float) -> str:
    if not today:
        return "not spent on today"
    if fit.varies[c] < VARIES:
        return "spend does not vary"
    if fit.own[c] < OWN:
        return "moves with season or others"
    if fit.follows[c] < FOLLOWS:
        return "budget follows sales"
    return "yes" if above >= 1 - DOUBT / len(fit.channels) else "may be nothing"


def finding_response(response: pd.DataFrame) -> str:
    """One sentence: the channel whose next unit of spend is known to bring most, or that none can be told."""
    told = response[response["told"] == "yes"]
    follows = int((response["told"] == "budget follows sales").sum())
    if told.empty:
        many, why = len(response), response["told"].value_counts().sort_index()
        why = why.sort_values(ascending=False, kind="stable")
        nothing = response[response["told"] == "may be nothing"]
        hold = bool(((nothing["lower"] <= 0) & (nothing["upper"] >= 0)).all())
        reasons = {
            "may be nothing": "{} interval holds 0" if hold else f"none is sure enough among {style.count(many)}",
            "budget follows sales": "budgets follow sales", "spend does not vary": "spend hardly varies",
            "moves with season or others": "spend moves with the season or others", "not spent on today": "nothing is spent today",
            UNSOLD: "nothing was sold",
        }  # fmt: skip
        said = [reasons[str(told)].format("every" if len(why) == 1 else "the") for told in why.index]
        because = (
            said[0] if len(why) == 1 else "; ".join(f"{w} ({style.count(n)})" for w, n in zip(said, why, strict=True))
        )
        return (
            f"What the next unit spent brings **cannot be told** for any of {style.plural(many, 'channel')}: {because}."
        )
    best = told.iloc[0]
    say = style.figure(2)
    rest = len(response) - len(told)
    tail = f"; {rest} of {len(response)} channels cannot be told" if rest else ""
    warned = f", {follows} as budgets follow sales" if follows else ""
    return (
        f"One more unit on **{md(best['channel'])}** goes with {say(best['marginal_return'])} of sales "
        f"(95% interval {style.between(best['lower'], best['upper'], say)}){tail}{warned}."
    )


def chart_response(response: pd.DataFrame) -> alt.LayerChart:
    """The marginal return per channel with its interval, and 1, where spend just comes back as sales."""
    shown = response.dropna(subset="marginal_return")
    shown = shown.assign(verdict=np.where(shown["told"] == "yes", np.where(shown["lower"] > 1, "above", "same"), "few"))
    return style.dots(
        shown, "marginal_return", "channel", fmt=style.figure(2), line=0.0, line_label="nothing",
        columns=[("average_return", "Average", style.figure(2)), ("spend", "Spend", style.money), ("told", "Can be told", None)],
        accent=list(shown.loc[shown["told"] == "yes", "channel"].head(1)),
        title="What one more unit of spend brings", subtitle="Sales per unit at today's spend; 95% intervals; highest first",
    )  # fmt: skip
