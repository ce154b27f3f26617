"""Credit by what would be lost without a channel: a Markov chain over the touches, solved by its fundamental matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from salesforecast.channels.credit import Steps

if TYPE_CHECKING:
    from scipy.sparse import csr_array

ORDERS = (1, 2, 3)
STATES = 2000  # more, and an order is not tried: it says little of each state, and takes long
SOLVED = 400  # states: with more, resampling goes by the slope
FOLDS = 5
AT_ONCE = 2e7  # numbers in memory


def orders(steps: Steps) -> pd.DataFrame:
    """How well chains of order 1 to 3 foretell the next touch or the end, on accounts they were not fitted to.

    A chain of order k knows the last k touches. Each fifth of the accounts is foretold by a chain fitted to the others; what
    these have seldom seen after k touches is drawn towards what they saw after k − 1, with the weight of one case for each thing
    that can happen next.

    Source: Anderl, Becker, von Wangenheim & Schumann (2016), who choose among orders 1 to 4.

    Returns
    -------
    DataFrame
        One row per order: order, states (touches remembered, as seen), fit (mean log-likelihood of what comes next, held out;
        missing for more than 2,000 states and with fewer than 5 accounts), chosen (the lowest whose fit is within one standard
        error of the best; 1 where none is known).
    """
    most = max(ORDERS)
    now, following, rows = _moves(steps, most)
    group = steps.group[rows] % FOLDS
    kinds = len(steps.names) + 2
    events = pd.DataFrame({"now": now, "next": following, "fold": group})
    counts = events.value_counts(sort=False).unstack("fold", fill_value=0).sort_index()
    table = counts.to_numpy("float64")
    context, after = (counts.index.get_level_values(name).to_numpy("int64") for name in ("now", "next"))
    test, total = table, table.sum(axis=1, keepdims=True)
    train = total - table
    _, which = np.unique(after, return_inverse=True)
    sums = _summed(which, train)
    chance = (sums[which] + 1) / (sums.sum(axis=0) + kinds)
    found, by_fold, base = [], [], len(steps.names) + 1
    for order in ORDERS:
        shorter = context % base**order
        states, of_state = np.unique(shorter, return_inverse=True)
        _, of_move = np.unique(of_state * kinds + which, return_inverse=True)
        chance = (_summed(of_move, train)[of_move] + kinds * chance) / (_summed(of_state, train)[of_state] + kinds)
        by_fold.append((test * np.log(chance)).sum(axis=0) / test.sum(axis=0))
        tried = len(states) <= STATES and test.shape[1] == FOLDS
        fit = float((test * np.log(chance)).sum() / test.sum()) if tried else np.nan
        found.append((order, len(states) - 1, fit))
    frame = pd.DataFrame(found, columns=["order", "states", "fit"])
    chosen = 0
    if frame["fit"].notna().any():
        best = int(frame["fit"].idxmax())
        gains = by_fold[best] - np.array(by_fold[: best + 1])
        chosen = int(np.argmax(gains.mean(axis=1) <= gains.std(axis=1, ddof=1) / np.sqrt(FOLDS)))
    return frame.assign(chosen=frame.index == chosen)


def _summed(cell: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sums by cell, fold by fold."""
    return np.stack([np.bincount(cell, column) for column in counts.T], axis=1)


def _moves(steps: Steps, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every move: the state it starts from, what comes next (a channel from 1, won −1, lost −2), and its journey.

    A state is the last touches as digits, the newest the lowest; 0 where there was none yet.
    """
    base = len(steps.names) + 1
    state = steps.channel + 1
    for back in range(1, order):
        earlier = np.r_[np.zeros(back, dtype="int64"), steps.channel[:-back] + 1][: len(state)]
        state = state + np.where(steps.place >= back, earlier, 0) * base**back
    before = np.where(steps.place > 0, np.r_[0, state[:-1]], 0)
    decided = steps.last & ((steps.won + steps.lost)[steps.journey] > 0)
    ends = np.where(steps.won[steps.journey[decided]] > 0, -1, -2)
    return (
        np.r_[before, state[decided]], np.r_[steps.channel + 1, ends], np.r_[steps.journey, steps.journey[decided]]
    )  # fmt: skip


def removal(steps: Steps, weight: np.ndarray, *, order: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The share of wins, and of value, that would be lost without each channel: its removal effect.

    The chain starts before the first touch and ends won or lost; an undecided journey tells its moves and no end. N = (I − Q)⁻¹ holds
    the visits to be expected, and N r the chance of a win from each state. Without a channel, a journey that comes to it is
    lost: 1 − P(win without it) / P(win) is the chance to come to it first in each of its states, times the chance of a
    win from there, over P(win). A state belongs to the channel of its newest touch. Touches of one channel in a row are kept as
    they are; for order 1 that changes nothing, since the chance of a win does not depend on how long the chain stays.

    With more than 400 states the rows of weights after the first are answered by the slope at the data, not by a solution each.

    Source: Anderl, Becker, von Wangenheim & Schumann (2016); Kemeny & Snell (1960), chapter 3, for the fundamental matrix;
    Efron & Tibshirani (1993), chapter 22, for the slope.

    Parameters
    ----------
    steps : Steps
    weight : ndarray (rows, groups)
        The first row of ones, for the data as they are; then rows of bootstrap weights.
    order : int
        1 to 3.

    Returns
    -------
    wins : ndarray (rows, channels)
        Missing where nothing was won.
    value : ndarray (channels,)
        Of the first row.
    """
    from scipy.sparse import coo_array

    base, channels = len(steps.names) + 1, len(steps.names)
    start, following, journey = _moves(steps, order)
    target = np.where(following > 0, (start * base + following) % base**order, 0)
    codes, of = np.unique(np.r_[0, start, target[following > 0]], return_inverse=True)
    size, on = len(codes), of[1 : len(start) + 1]
    into = np.zeros(len(start), dtype="int64")
    into[following > 0] = of[len(start) + 1 :]
    # what can come next: the states, then won, lost, and the value won
    into[following == -1], into[following == -2] = size, size + 1
    won = following == -1
    cells, at = np.unique(np.r_[on * (size + 3) + into, on[won] * (size + 3) + size + 2], return_inverse=True)
    amount = np.r_[np.ones(len(into)), steps.value[journey[won]]]
    group = steps.group[np.r_[journey, journey[won]]]
    counts = coo_array((amount, (group, at)), shape=(steps.groups, len(cells))).tocsr()
    newest = codes % base
    mine = [np.flatnonzero(newest == c + 1) for c in range(channels)]
    undecided = bool((steps.won + steps.lost == 0).any())
    first = _chain(counts.T @ weight[:1].T, cells, size, undecided)
    value = _lost(*first[1:], mine)[0, :, 1]
    if size > SOLVED:
        return _by_slope(counts, weight, cells, *first, mine), value
    chunk = max(1, int(AT_ONCE / size**2))
    some = (counts.T @ weight[i : i + chunk].T for i in range(0, len(weight), chunk))
    return np.concatenate([_lost(*_chain(m, cells, size, undecided)[1:], mine)[:, :, 0] for m in some]), value


def _chain(
    moves: np.ndarray, cells: np.ndarray, size: int, undecided: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often each state was left, N, and the chance of a win and the value to be expected from each state."""
    rows = moves.shape[1]
    flat = np.zeros((rows, size * (size + 3)))
    flat[:, cells] = moves.T
    table = flat.reshape(rows, size, size + 3)
    between, ends = table[:, :, :size], table[:, :, size:]
    if undecided:  # a state from which no end was ever seen would hold the chain for ever
        leads = ends[:, :, :2].sum(axis=2) > 0
        while True:
            more = leads | ((between @ leads[:, :, None].astype("float64"))[:, :, 0] > 0)
            if (more == leads).all():
                break
            leads = more
        between = between * leads[:, :, None]
    out = between.sum(axis=2) + ends[:, :, :2].sum(axis=2)
    out = np.where(out > 0, out, 1.0)
    visits = np.linalg.inv(np.eye(size) - between / out[:, :, None])
    return out, visits, visits @ (ends / out[:, :, None])[:, :, [0, 2]]


def _lost(visits: np.ndarray, worth: np.ndarray, mine: list[np.ndarray]) -> np.ndarray:
    """The removal effects on wins and on value; shape (rows, channels, 2)."""
    gone = np.zeros((len(visits), len(mine), 2))
    for c, states in enumerate(mine):
        if len(states):
            gone[:, c] = (_first_in(visits, states)[:, None, :] @ worth[:, states])[:, 0]
    whole = worth[:, :1]
    return np.divide(gone, whole, out=np.full_like(gone, np.nan), where=whole > 0)


def _first_in(visits: np.ndarray, states: np.ndarray) -> np.ndarray:
    """The chance that the chain comes to these states first in each of them; shape (rows, states)."""
    within = visits[:, states[:, None], states[None, :]]
    return np.asarray(np.linalg.solve(within.transpose(0, 2, 1), visits[:, 0, states][:, :, None])[:, :, 0])


def _by_slope(
    counts: csr_array, weight: np.ndarray, cells: np.ndarray, out: np.ndarray, visits: np.ndarray, worth: np.ndarray,
    mine: list[np.ndarray],
) -> np.ndarray:  # fmt: skip
    """The removal effects on wins for all rows of weights, by how the chance of a win changes with each count of moves."""
    size = visits.shape[1]
    on, into = cells // (size + 3), cells % (size + 3)
    whole, seen = worth[0, :, 0], visits[0, 0]

    def chances(win: np.ndarray, visited: np.ndarray) -> np.ndarray:
        after = np.r_[win, 1.0, 0.0, 0.0][into]
        slope = np.where(into < size + 2, visited[on] * (after - win[on]) / out[0, on], 0.0)
        return np.asarray(win[0] + (weight - weight[0]) @ (counts @ slope))

    found = np.empty((len(weight), len(mine)))
    every = chances(whole, seen)
    for c, states in enumerate(mine):
        within = visits[0][np.ix_(states, states)]
        win = whole - visits[0][:, states] @ np.linalg.solve(within, whole[states])
        visited = seen - _first_in(visits, states)[0] @ visits[0][states]
        found[:, c] = 1 - chances(win, visited) / every
    return found
