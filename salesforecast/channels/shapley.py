"""Shapley values of channels from how often each set of them wins, by arithmetic on all subsets at once."""

from __future__ import annotations

import numpy as np

from salesforecast.channels.credit import Steps, by_rule, parts

MOST = 12  # channels: beyond, the smallest are one


def by_rates(steps: Steps, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wins and value by channel, where what a set of channels is worth follows from its rate of winning.

    The worth of a set S is the wins there would be, were there no other channels: each journey then wins at the rate of
    those of its channels that are in S, and never without any. The rate of journeys touched by exactly these channels is
    drawn towards that of all, the more the fewer there are (a beta-binomial by moments); sets nobody saw have that of all.
    Drawn all the way this is the alike parts of `parts`. Unlike those it needs journeys that came to nothing, and a channel
    with which fewer are won can have a negative value.

    With more than 12 channels the smallest by touches count as one, whose credit they share by their alike parts.

    Source: Shao & Li (2011); Dalessandro, Perlich, Stitelman & Provost (2012); Harsanyi (1963) for the dividends.

    Parameters
    ----------
    steps : Steps
    weight : ndarray (rows, groups)

    Returns
    -------
    wins : ndarray (rows, channels)
        Their sum is the wins of the row.
    value : ndarray (channels,)
        Of the first row.
    """
    sizes = np.bincount(steps.channel, minlength=len(steps.names))
    large = np.argsort(-sizes, kind="stable")
    player = np.empty(len(sizes), dtype="int64")
    player[large] = np.minimum(np.arange(len(sizes)), MOST - 1)
    players = min(len(sizes), MOST)
    touched = np.bitwise_or.reduceat(1 << player[steps.channel], np.flatnonzero(steps.place == 0))
    decided = steps.won + steps.lost > 0
    cell = (steps.group * 2**players + touched)[decided]

    def summed(amounts: np.ndarray, rows: np.ndarray = weight) -> np.ndarray:
        sums = np.bincount(cell, amounts[decided], minlength=steps.groups * 2**players)
        return np.asarray(rows @ sums.reshape(steps.groups, -1))

    n, won, value = summed(np.ones(len(decided))), summed(steps.won), summed(steps.won * steps.value, weight[:1])
    prior = _prior(won[0], n[0])
    wins, worth = (
        _shared(_rates(of, n[: len(of)], prior), n[: len(of)], of.sum(axis=1), players) for of in (won, value)
    )
    if len(sizes) <= MOST:
        back = np.argsort(large)
        return wins[:, back], worth[0, back]
    alike = by_rule(steps, parts(steps, "Shapley"), weight)
    return _spread(wins, alike[0], player), _spread(worth, alike[1][None, :], player)[0]


def _prior(won: np.ndarray, n: np.ndarray) -> float:
    """How many journeys the rate of all counts for beside those of a set; without bound where sets differ no more than by chance."""
    won, n = won[n > 0], n[n > 0]
    rate, total = won.sum() / n.sum(), n.sum()
    if not 0 < rate < 1 or len(n) < 2:
        return np.inf
    spread = (n * (won / n - rate) ** 2).sum() / (rate * (1 - rate)) - (len(n) - 1)
    alike = spread / (total - (n**2).sum() / total - (len(n) - 1))
    return (1 - alike) / alike if 0 < alike < 1 else np.inf


def _rates(of: np.ndarray, n: np.ndarray, prior: float) -> np.ndarray:
    """The rate of each set, drawn towards that of all; nothing for the empty set."""
    with np.errstate(invalid="ignore", divide="ignore"):
        every = of.sum(axis=1, keepdims=True) / n.sum(axis=1, keepdims=True)
    rates = (of + prior * every) / (n + prior) if np.isfinite(prior) else np.broadcast_to(every, n.shape).copy()
    rates[:, 0] = 0.0
    return rates


def _shared(rates: np.ndarray, n: np.ndarray, total: np.ndarray, players: int) -> np.ndarray:
    """Each player's Shapley value of the sum over journeys of the rate of those of their channels that are there.

    A set's dividend is shared alike by its members; a journey pays the dividends of all sets within its own.
    """
    dividend, paying = rates, n
    bits = np.arange(2**players)
    for i in range(players):
        has = bits[(bits >> i) & 1 == 1]
        lower, upper = dividend.copy(), paying.copy()
        lower[:, has] -= dividend[:, has ^ (1 << i)]
        upper[:, has ^ (1 << i)] += paying[:, has]
        dividend, paying = lower, upper
    sizes = np.array([int(b).bit_count() for b in bits])
    each = dividend * paying / np.maximum(sizes, 1)
    wins = np.stack([each[:, (bits >> i) & 1 == 1].sum(axis=1) for i in range(players)], axis=1)
    whole = wins.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(wins * (total / whole)[:, None])


def _spread(grouped: np.ndarray, alike: np.ndarray, player: np.ndarray) -> np.ndarray:
    """The credit of players given to their channels, those of one player by their alike parts."""
    among = np.zeros_like(grouped)
    for c, p in enumerate(player):
        among[:, p] += alike[:, c]
    members = np.bincount(player)[player]
    with np.errstate(invalid="ignore", divide="ignore"):
        portion = np.where(among[:, player] > 0, alike / among[:, player], 1 / members)
    return np.asarray(grouped[:, player] * np.where(members == 1, 1.0, portion))
