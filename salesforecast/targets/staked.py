"""What hangs on the target in money, and its figure on the summary."""

from __future__ import annotations

import pandas as pd

from salesforecast.cards import Card, Cards
from salesforecast.formats import money, percent
from salesforecast.periods import Period
from salesforecast.stakes import Stake, shortfall
from salesforecast.targets.pacing import chance_words, last_known


def stake_gap(standing: pd.Series) -> Stake | None:
    """The mean by which the period falls short of its target, over all that may happen; nothing once it is reached, or without one.

    Parameters
    ----------
    standing : Series
        The row of the whole of `attainment`, with paths: booked, target, projected, lower, upper (80%).
    """
    target = float(standing["target"])
    if not target > 0 or standing["booked"] >= target or pd.isna(standing.get("projected")):
        return None
    gap, low, high = (target - float(standing[c]) for c in ("projected", "upper", "lower"))
    return shortfall(gap, low, high)


def cards_headline(pace: pd.DataFrame, standing: pd.Series, span: Period) -> Cards | None:
    """Attainment for the summary, with what was due by then, or where the period will end; nothing without a target.

    Parameters
    ----------
    pace : DataFrame
        From `pace`.
    standing : Series
        The row of the whole of `attainment`.
    span : Period
    """
    if not standing["target"] > 0:
        return None
    now = last_known(pace)
    of = [f"{money(standing['booked'], short=True)} of {money(standing['target'], short=True)}"]
    if now["day"] < pace["day"].iloc[-1]:
        known = pd.notna(standing.get("chance"))
        of.append(
            f"{percent(now['share'])} was due; by the days alone, chance {chance_words(standing['chance'])}"
            if known
            else f"{percent(now['share'])} was due by then"
        )
    return Cards([Card(f"Attainment, {span.label}", percent(standing["attainment"]), tuple(of))])
