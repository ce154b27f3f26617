"""What hangs on the findings of the funnel in money, and the figures of it that belong on the summary."""

from __future__ import annotations

from functools import partial
from statistics import NormalDist

import numpy as np
import pandas as pd

from salesforecast import style
from salesforecast.cards import Card, Cards
from salesforecast.funnel.velocity import cards_metrics
from salesforecast.stakes import Stake, at_80

YEAR = 365
Z = NormalDist().inv_cdf(0.975)


def stake_velocity(changes: pd.DataFrame) -> Stake | None:
    """What a clear fall of the velocity costs in a year, should it stay so; nothing where it did not clearly fall.

    Parameters
    ----------
    changes : DataFrame
        From `changes`: metric, was, is_now (money a day), lower, upper (of the relative change, 95%), sure. The first period compared
        with counts.
    """
    known = changes[(changes["metric"] == "velocity") & changes["change"].notna()]
    if known.empty or not known["sure"].iloc[0] or known["change"].iloc[0] >= 0:
        return None
    first = known.iloc[0]
    cost, low, high = (
        (was * YEAR)
        for was in (first["was"] - first["is_now"], -first["upper"] * first["was"], -first["lower"] * first["was"])
    )
    return Stake(float(cost), *at_80(float(cost), float(low), float(high), 0.95))


def stake_stalled(ages: pd.DataFrame) -> Stake | None:
    """What the stalled deals may still bring: their amounts times the chance that deals of their age have.

    Parameters
    ----------
    ages : DataFrame
        From `pipeline_age`: amount, chance, stalled.
    """
    late = ages[ages["stalled"] & ages["chance"].notna()]
    expected = float((late["amount"] * late["chance"]).sum())
    return Stake(expected) if expected > 0 else None


def cards_headline(metrics: pd.DataFrame, changes: pd.DataFrame, trend: pd.DataFrame) -> Cards:
    """The figures of the period for the summary: bookings, win rate, pipeline, time to close, velocity.

    The change of bookings is clear when the interval of the ratio leaves out 1: bookings are a number of wins, as uncertain as a
    Poisson number, times their mean amount, with its interval.

    Parameters
    ----------
    metrics, changes, trend : DataFrame
        From the functions of these names.
    """
    now = metrics.iloc[0]
    money = partial(style.money, short=True)
    cards = {card.name: card for card in cards_metrics(metrics, changes, trend).cards}
    moves = tuple(
        (f"vs {was['period']}", style.change(now["bookings"] / was["bookings"] - 1), _clear(now, was))
        for _, was in metrics.iloc[1:].iterrows()
        if now["bookings"] > 0 and was["bookings"] > 0
    )
    all_of = "" if now["valued"] == now["won"] else f"{style.count(now['valued'])} of "  # the others have no amount
    wins = f"from {all_of}{style.plural(now['won'], 'won deal')}"
    course = (
        trend["bookings"].fillna(0.0).where(trend["open_deals"].notna())
    )  # before the first closing there are no data
    spark = tuple(course) if trend["bookings"].notna().sum() > 2 else ()
    year = {4: 1, 6: 4, 7: 12}[len(str(now["period"]))]
    bookings = Card(f"Bookings, {now['period']}", money(now["bookings"]), (wins,), moves, spark, year)
    shown = [bookings, cards["Win rate"]]
    if pd.notna(now["open_amount"]):
        alive = "" if pd.isna(now["alive"]) else f"{style.percent(now['alive'])} of them alive"
        old = cards["Open deals"]
        undated = f"{style.count(now['undated'])} more have no created date" if now["undated"] > 0 else ""
        of = tuple(line for line in (f"in {style.plural(now['open_deals'], 'open deal')}", alive, undated) if line)
        moves = tuple((f"deals {against}", change, sure) for against, change, sure in old.changes)
        shown.append(
            Card(
                "Pipeline",
                money(now["open_amount"]),
                of,
                moves,
                old.spark,
                year,
            )
        )
    return Cards([*shown, cards["Time to close"], cards["Velocity"]])


def _clear(now: pd.Series, was: pd.Series) -> bool:
    error = np.sqrt(_relative(now) + _relative(was))
    return bool(abs(np.log(now["bookings"] / was["bookings"])) > Z * error)


def _relative(row: pd.Series) -> float:
    """The relative variance of the bookings of a period; without an interval of the mean amount nothing is clear."""
    mean = (row["average_size_upper"] - row["average_size_lower"]) / (2 * Z * row["average_size"])
    return float(np.nan_to_num(1 / row["valued"] + mean**2, nan=np.inf))
