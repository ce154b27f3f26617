"""Is the period on its way: what was due by today, where it will end, and what is needed for each day that is left."""

from __future__ import annotations

from dataclasses import replace

import altair as alt
import numpy as np
import pandas as pd
from scipy.stats import norm

from salesforecast import stats, style
from salesforecast.cards import Card, Cards
from salesforecast.errors import TooLittleData
from salesforecast.periods import ONE_DAY, Period
from salesforecast.targets.outlook import LEVEL
from salesforecast.targets.pattern import Pattern, path, wandering
from salesforecast.targets.sold import between, deal_size

DASHED = "working days"  # the line it is named by
UNEVEN = 1.25  # times another working day: a weekday that brings as much more, or less, is named
FEW_PERIODS = 3  # past periods: from fewer no band is drawn


def pace(
    sales: pd.DataFrame,
    span: Period,
    as_of: pd.Timestamp,
    target: float,
    days: Pattern,
    *,
    level: float = LEVEL,
) -> pd.DataFrame:
    """Day by day what of the target was due by then, its band, and what was booked.

    Due is the target times the share of the days' pattern (`pattern`: season, end of quarter, end of month, weekday, working days).
    The band holds `level` of what periods that end on target have had by that day: its variance is c E (1 - E), E the share due,
    c from past periods of the same length (`wandering`), Student's t for how few they are; with fewer than 3 of them, that of the luck
    of single deals alone.

    Parameters
    ----------
    sales : DataFrame
        day, amount.
    span : Period
    as_of : Timestamp
        The last day known.
    target : float
        Money; missing where there is none, and then what is due is missing.
    days : Pattern
        Learnt from what was sold before the period.

    Returns
    -------
    DataFrame
        day, works, working_day, working_days, share (due by then), linear (share by working days alone), due, lower, upper (money),
        booked (money, missing after as_of); by day.
    """
    frame = path(days, span)
    c, periods = wandering(sales, days, span.kind)
    wide = stats.t_quantile(max(periods - 1, 1), level)
    if periods < FEW_PERIODS:
        c, wide = _by_luck(sales, span, target), float(norm.ppf(0.5 + level / 2))
    off = wide * np.sqrt(c * frame["share"] * (1 - frame["share"]))
    part = between(sales, span.since, min(as_of + ONE_DAY, span.until))
    money = np.bincount((part["day"] - span.since).dt.days, part["amount"], len(frame)).cumsum()
    every = np.maximum(frame["working_days"], 1)
    return frame.assign(
        linear=np.where(frame["working_days"] > 0, frame["working_day"] / every, np.arange(1, len(frame) + 1) / len(frame)),
        due=target * frame["share"], lower=target * (frame["share"] - off).clip(0, 1), upper=target * (frame["share"] + off).clip(0, None),
        booked=np.where(frame["day"] <= as_of, money, np.nan),
    )  # fmt: skip


def _by_luck(sales: pd.DataFrame, span: Period, target: float) -> float:
    """The c of `wandering` when deals come by chance: the mean of squared amounts over the mean amount, over the target."""
    year = between(sales, span.since - pd.DateOffset(years=1), span.since)
    if year.empty or not target > 0:
        return float("nan")
    return deal_size(year) / target


def last_known(pace: pd.DataFrame) -> pd.Series:
    """The last day of the path that is known.

    Raises
    ------
    TooLittleData
        When the period has not begun.
    """
    known = pace[pace["booked"].notna()]
    if known.empty:
        raise TooLittleData("The period has not begun, so nothing was due yet.")
    return known.iloc[-1]


def finding_pace(pace: pd.DataFrame, standing: pd.Series, span: Period | None = None) -> str:
    """Two sentences: booked against the target and what was due; where it will end, and how likely that is enough.

    Parameters
    ----------
    pace : DataFrame
        From `pace`.
    standing : Series
        The row of the whole of `attainment`: booked, target, projected, lower, upper, chance.
    span : Period, optional
        Named where it is not the period of the page.
    """
    now, last = last_known(pace), pace["day"].iloc[-1]
    booked, target = float(now["booked"]), float(standing["target"])
    if np.isnan(target):
        near = "" if now["day"] >= last or pd.isna(standing.get("projected")) else f" {_ahead(standing)}"
        return f"**{style.money(booked)}** are booked; there is no target for this period, so nothing was due.{near}"
    if target <= 0:
        return f"**{style.money(booked)}** are booked, with a target of zero: all of it is beyond the plan."
    reached = style.percent(booked / target)
    if now["day"] >= last:
        beyond = booked - target
        side = "over" if beyond >= 0 else "under"
        whose = "The period" if span is None else span.label
        return f"{whose} ended at **{reached} of its target**: {style.money(booked)} booked, {style.money(abs(beyond))} {side} it."
    due = style.percent(now["share"])
    within = "" if pd.isna(now["lower"]) else _within(now)
    whose = "" if span is None else f" of {span.label}"
    return f"**{reached} of the target{whose}** is booked where {due} was due{within}. {_ahead(standing)}"


def _ahead(standing: pd.Series) -> str:
    chance = "" if pd.isna(standing["chance"]) else f", chance of the target {chance_words(standing['chance'])}"
    near, room = style.money(standing["projected"]), style.between(standing["lower"], standing["upper"], style.money)
    return (
        f"By the days alone (the forecast page looks at the open deals) it will end near **{near}** "
        f"(80% range {room}){chance}."
    )


def _within(now: pd.Series) -> str:
    if now["booked"] < now["lower"]:
        return ", below the usual band"
    return ", above the usual band" if now["booked"] > now["upper"] else ", within the usual band"


def chance_words(chance: float) -> str:
    """A chance as people say it, with the figure.

    >>> chance_words(0.19), chance_words(0.5), chance_words(0.004), chance_words(0.97)
    ('about 1 in 5', 'about even', 'under 1 in 50', 'over 9 in 10')
    """
    if chance < 0.02:
        return "under 1 in 50"
    if chance < 0.075:
        return "about 1 in 20"
    if chance > 0.93:
        return "over 9 in 10"
    if 0.45 <= chance <= 0.55:
        return "about even"
    k, m = min(((k, m) for m in (10, 5, 4, 3) for k in range(1, m)), key=lambda n: (abs(chance - n[0] / n[1]), n[1]))
    return f"about {k} in {m}"


def chart_pace(pace: pd.DataFrame, grain: str = "daily") -> alt.LayerChart:
    """The way to the target: booked, within the band of what was due, and the straight line of the working days."""
    part = at_grain(pace, grain)
    start = part.iloc[[0]].assign(
        day=pace["day"].iloc[0] - ONE_DAY, due=0.0, linear=0.0, lower=0.0, upper=0.0, booked=0.0
    )
    part = pd.concat([start, part], ignore_index=True)
    whole = float(pace["due"].iloc[-1])
    columns = ["day", "lower", "upper"]
    lines = {"booked": part["booked"], "due": part["due"], DASHED: part["linear"] * whole}
    if np.isnan(whole):
        lines = {"booked": part["booked"]}
    data = pd.concat(
        [part[columns].assign(line=name, money=values) for name, values in lines.items()], ignore_index=True
    )
    return style.lines(
        data, "day", "money", "line", fmt=style.money, main="booked", band=not np.isnan(whole), dashed=DASHED,
        title="Booked, and what was due by each day",
        subtitle="Added up; shaded: where four of five periods that end on target have been; dashed: by working days alone",
    )  # fmt: skip


def finding_path(pace: pd.DataFrame) -> str:
    """One sentence: by how much the path differs from the straight line of the working days, and where most; else the weekday."""
    off = pace["share"] - pace["linear"]
    at = pace.loc[off.abs().idxmax()]
    gap = float(at["share"] - at["linear"])
    if abs(gap) < 0.02:
        each = pace["share"].diff().fillna(pace["share"].iloc[0])[pace["works"]]
        weekday = pace["day"].dt.day_name()[each.index]
        means = {name: each[weekday == name].mean() / each[weekday != name].mean() for name in weekday.unique()}
        name = max(means, key=lambda one: abs(np.log(means[one])), default="")
        if name and abs(np.log(means[name])) > np.log(UNEVEN):
            times = style.figure(1)(means[name])
            bring = f"**{name}s bring {times} times** what another working day does"
            return f"Added up, business keeps step with the working days, but {bring}."
        return "Business falls **evenly on the working days** of this period; the calendar is no bad guide to it."
    more, verb = "more" if gap > 0 else "less", "is" if pd.isna(at["booked"]) else "was"
    return (
        f"By {style.day(at['day'])} **{style.percent(at['share'])} of the period {verb} due**, "
        f"{style.points(abs(gap)).lstrip('+')} {more} than the working days gone by say."
    )


def cards_standing(pace: pd.DataFrame, standing: pd.Series, needed: pd.DataFrame) -> Cards:
    """The period as cards: booked, due, where it will end, the chance, what each day has to bring; of them what has no need of a target.

    Parameters
    ----------
    pace, needed : DataFrame
        From `pace` and `needed`.
    standing : Series
        The row of the whole of `attainment`.
    """
    now, row = last_known(pace), needed.iloc[0]
    known = pace[pace["booked"].notna() & pace["works"]]
    ends = known["booked"].iloc[np.linspace(0, len(known) - 1, 9).astype(int)] if len(known) >= 9 else known["booked"]
    over = now["day"] >= pace["day"].iloc[-1]
    band = f"band {style.between(now['lower'], now['upper'], style.money)}"
    ahead = f"80% range {style.between(standing['lower'], standing['upper'], style.money)}"
    chance = "" if pd.isna(standing["chance"]) else f"target: {chance_words(standing['chance'])}"
    won = style.plural(int(standing["n"]), "deal won", "deals won")
    gone = f"working day {style.count(now['working_day'])} of {style.count(now['working_days'])}"
    left = style.plural(int(row["working_days"]), "working day")
    target, path_has = style.money(standing["target"]), style.money(row["usual_per_day"])
    cards = [
        Card("Booked", style.money(now["booked"]), (f"of a target of {target}", won), spark=tuple(map(float, ends)), year=99),
        Card("Quota reached", style.percent(standing["attainment"]), (f"{style.percent(now['share'])} was due by then", gone)),
        Card("Ahead of what was due", style.money(now["booked"] - now["due"]), (f"due: {style.money(now['due'])}", "" if over else band)),
        Card("Ended at" if over else "Will end near", style.money(standing["projected"]),
             ("the period is over", "") if over else (ahead, chance)),
        Card("Needed a working day", style.money(row["per_day"]),
             (f"on the {left} left", f"the path has {path_has} for each") if row["working_days"] else ("no working day is left", "")),
    ]  # fmt: skip
    if np.isnan(standing["target"]):
        cards = [replace(cards[0], of=(won, gone)), cards[3]]
    return Cards(cards, note="Line: booked, added up since the period began.")


def at_grain(pace: pd.DataFrame, grain: str) -> pd.DataFrame:
    """The path at the last day of each working day, week or month, or of the period alone, and today.

    Parameters
    ----------
    pace : DataFrame
    grain : str
        daily, weekly, monthly or results.
    """
    day = pace["day"]
    step = {
        "daily": day,
        "weekly": day.dt.to_period("W"),
        "monthly": day.dt.to_period("M"),
        "results": day.dt.to_period("Y"),
    }
    ends = ~pd.Series(step.get(grain, day)).duplicated(keep="last")
    ends |= day == day.iloc[-1]
    known = pace["booked"].notna()
    if known.any():
        ends |= day == day[known].iloc[-1]
    if grain == "daily":
        ends &= pace["works"] | (day == day.iloc[-1]) | (known & ~known.shift(-1, fill_value=False))
    if grain == "results":
        ends &= (day == day.iloc[-1]) | (known & ~known.shift(-1, fill_value=False))
    return pace[ends].reset_index(drop=True)


def table_pace(pace: pd.DataFrame, grain: str = "weekly") -> pd.DataFrame:
    """The path as a page's table has it: day, working day, due, booked, ahead."""
    part = at_grain(pace, grain)
    return pd.DataFrame({
        "by_day": part["day"].dt.strftime("%Y-%m-%d"), "working_day": part["working_day"], "due_share": part["share"], "due": part["due"],
        "booked": part["booked"], "ahead": part["booked"] - part["due"],
    })  # fmt: skip
