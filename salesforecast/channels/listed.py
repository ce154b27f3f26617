"""Result frames as the page's tables have them."""

from __future__ import annotations

import re

import pandas as pd

from salesforecast import style

WORKINGS = (
    "age",
    "lacking",
    "all_channels",
    "place_low",
    "place_high",
    "false_alarms",
    "judged",
    "p",
    "raw_lower",
    "raw_upper",
)
AT_95 = ("change_before", "change_year")
# of these another question has the name for something else
NAMES = {
    "adjusted": "same_deals",
    "spend": "spent",
    "contribution": "margin_less_spend",
    "per_hour": "for_hour",
    "cost": "to_repair",
}
EXPECTED = {"wins": "expected_wins", "bookings": "expected_bookings", "margin": "expected_margin"}
OF_MONEY = ("before_value", "now_value", "by_rate", "by_mix", "total")


def listed(frame: pd.DataFrame, *, measure: str = "") -> pd.DataFrame:
    """A result frame of this room without its workings, its 90% intervals named as such.

    Parameters
    ----------
    frame : DataFrame
        From any question of this room.
    measure : str
        Of `change`: bookings_per_deal where its parts are money.
    """
    if {"place_low", "place_high"} <= set(frame):
        place = [style.between(a, b, style.count) for a, b in zip(frame["place_low"], frame["place_high"], strict=True)]
        frame = frame.assign(place=place)
    shown = frame.drop(columns=[c for c in WORKINGS if c in frame])
    if "undecided" in shown and shown["undecided"].dtype.kind == "f":
        shown = shown.rename(columns={"undecided": "undecided_share"})
    if measure == "bookings_per_deal":
        money = {
            c: c.replace(m, m.removesuffix("_value") + "_money") for m in OF_MONEY for c in shown if c.startswith(m)
        }
        shown = shown.rename(columns=money)
    if "cost_per_win" in shown:  # these have not all happened yet
        shown = shown.rename(columns=EXPECTED)
    shown = shown.rename(
        columns=lambda c: next(
            (c.replace(a, b) for a, b in NAMES.items() if re.fullmatch(f"{a}(_lower|_upper)?", c)), c
        )
    )
    ends = ("lower", "upper")
    return shown.rename(columns=lambda c: f"{c}_90" if c.endswith(ends) and not c.startswith(AT_95) else c)
