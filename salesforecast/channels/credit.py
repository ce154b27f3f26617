"""Touches in numbers, and the rules that share a win among the touches before it: first, last, linear, time decay, position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from salesforecast import stats
from salesforecast.channels.paths import Journeys

HALF_LIFE = 30.0  # days
OUTER = 0.4  # of a win to the first touch, and as much to the last
RULES = ("First touch", "Last touch", "Linear", "Time decay", "Position", "Shapley")


@dataclass(frozen=True)
class Steps:
    """The touches of journeys in numbers: those of a journey stand together, in order.

    Parameters
    ----------
    channel, journey, place, days : ndarray (touches,)
        Which channel, which journey, the how-many-eth of it from 0, days before its end.
    length, won, lost, value, group : ndarray (journeys,)
        Touches, whether it was won, whether it was lost (neither while undecided), its value, what is resampled.
    """

    names: list[str]
    channel: np.ndarray
    journey: np.ndarray
    place: np.ndarray
    days: np.ndarray
    length: np.ndarray
    won: np.ndarray
    lost: np.ndarray
    value: np.ndarray
    group: np.ndarray

    @property
    def groups(self) -> int:
        """How many groups there are to resample."""
        return int(self.group.max()) + 1

    @property
    def last(self) -> np.ndarray:
        """Whether a touch is the last one of its journey."""
        return np.asarray(self.place == self.length[self.journey] - 1)


def steps(journeys: Journeys) -> Steps:
    """The journeys with at least one touch, in numbers."""
    ends = journeys.ends[journeys.ends["touches"] > 0]
    names = journeys.channels
    length = ends["touches"].to_numpy("int64")
    start = np.cumsum(length) - length
    journey = np.repeat(np.arange(len(ends)), length)
    outcome = ends["outcome"].to_numpy()
    return Steps(
        names,
        journeys.touches["channel"].astype("category").cat.set_categories(names).cat.codes.to_numpy("int64"),
        journey,
        np.arange(len(journey)) - start[journey],
        journeys.touches["days_before"].to_numpy("float64"),
        length,
        (outcome == "won").astype("float64"),
        (outcome == "lost").astype("float64"),
        ends["value"].fillna(0.0).to_numpy("float64"),
        stats.group_codes(ends["account_id"]),
    )


def parts(steps: Steps, rule: str, *, half_life: float = HALF_LIFE, outer: float = OUTER) -> np.ndarray:
    """The part of its journey's win that each touch gets; those of a journey sum to 1.

    First and last touch take all. Linear: all alike. Time decay: half as much for each half-life a touch lies further back.
    Position: `outer` each for first and last, the rest alike for those between; of two, half each. Shapley: the journey's channels
    get alike parts, however often each touched. That is the Shapley value where what a set of channels is worth is the wins of
    the journeys that no other channel touched, since that game is a sum of one for each journey, in which its channels are
    all needed and so share alike: exact for any number of channels.

    Source: Shapley (1953); Zhao, Mahboobi & Bagheri (2018) for the last.
    """
    place, length, last = steps.place, steps.length[steps.journey], steps.last
    if rule == "First touch":
        part = (place == 0).astype("float64")
    elif rule == "Last touch":
        part = last.astype("float64")
    elif rule == "Linear":
        part = 1.0 / length
    elif rule == "Time decay":
        latest = steps.days[last][steps.journey]  # counted from it, or parts far back would all be 0
        part = np.exp2((latest - steps.days) / half_life)
        part = part / np.bincount(steps.journey, part)[steps.journey]
    elif rule == "Position":
        between = np.where(length > 2, (1 - 2 * outer) / np.maximum(length - 2, 1), 0.0)
        ends = np.where(length == 1, 1.0, np.where(length == 2, 0.5, outer))
        part = np.where((place == 0) | last, ends, between)
    elif rule == "Shapley":
        _, first = np.unique(steps.journey * len(steps.names) + steps.channel, return_index=True)
        part = np.zeros(len(place))
        part[first] = 1.0
        part = part / np.bincount(steps.journey, part)[steps.journey]
    else:
        raise AssertionError(rule)
    return part


def by_rule(steps: Steps, part: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wins by channel for each row of weights, and value for the first, as each touch has its part of them."""
    channels = len(steps.names)
    cell = steps.group[steps.journey] * channels + steps.channel

    def summed(amounts: np.ndarray) -> np.ndarray:
        sums = np.bincount(cell, part * amounts[steps.journey], minlength=steps.groups * channels)
        return sums.reshape(steps.groups, channels)

    return weight @ summed(steps.won), weight[0] @ summed(steps.won * steps.value)
