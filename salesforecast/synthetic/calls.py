"""What the sellers of the made-up company, their managers and the head of sales say that a quarter will bring.

A call is what is booked so far and a guess of the rest: partly what will come indeed, partly what usually comes of this seller,
times the submitter's bias, which is what a model of calls has to find.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast.synthetic.process import Book, Truth, crew_of, generator, ids, text

WEEKS = (12, 6, 2)  # before the end of a quarter, on which calls are submitted
SEES = 0.4  # how much of the rest is seen; the other part is the usual one
LEVELS = ("rep", "manager", "company")


def call_biases(truth: Truth, seed: int) -> pd.DataFrame:
    """By how much each one's calls are too high: the log of the rest that is called over the rest that comes.

    Returns
    -------
    DataFrame
        One row per rep, team (its manager) and for the company: level (rep, manager, company), who (rep_id, team or ""), bias.
    """
    drawn = generator(seed, "call biases").standard_normal(truth.reps + len(truth.teams))
    bias = np.r_[
        truth.call_bias + truth.call_bias_sd * drawn[: truth.reps],
        truth.call_bias / 2 + truth.call_bias_sd / 2 * drawn[truth.reps :],
        truth.call_bias / 4,
    ]
    who = [*ids("U", truth.reps), *(t.team for t in truth.teams), ""]
    level = np.repeat(LEVELS, [truth.reps, len(truth.teams), 1])
    return pd.DataFrame({"level": level, "who": who, "bias": bias}).astype({"level": "str", "who": "str"})


def calls(truth: Truth, seed: int, book: Book) -> pd.DataFrame:
    """The calls of the whole quarters that are over at as_of, in the order they were submitted; none in the first quarter."""
    crew, start = crew_of(truth, seed), pd.Timestamp(truth.start)
    bias, rng = call_biases(truth, seed)["bias"].to_numpy(), generator(seed, "calls")
    won = book.opportunities[book.opportunities["outcome"] == "won"]
    names, teams = ids("U", truth.reps), len(truth.teams)
    seller = pd.Index(names).get_indexer(won["rep_id"])
    closed, amount = won["closed_date"].to_numpy(), won["amount"].fillna(0.0).to_numpy()
    quarters = [
        q for q in pd.period_range(start, truth.as_of, freq="Q")
        if q.start_time > start and q.end_time.normalize() <= truth.as_of
    ]  # fmt: skip
    ends = [q.end_time.normalize() for q in quarters]
    days = [[end - pd.Timedelta(days=7 * weeks) for weeks in WEEKS] for end in ends]

    def sold(since: pd.Timestamp, until: pd.Timestamp) -> np.ndarray:
        inside = (closed >= since) & (closed <= until)
        return np.bincount(seller[inside], amount[inside], truth.reps)

    shape = (len(quarters), len(WEEKS), truth.reps)
    booked, rest, there = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=bool)
    for q, w in np.ndindex(*shape[:2]):
        day = days[q][w]
        booked[q, w] = sold(quarters[q].start_time, day)
        rest[q, w] = sold(day + pd.Timedelta(days=1), ends[q])
        there[q, w] = (crew.first <= (day - start).days) & (crew.last >= (day - start).days)
    usual = (rest * there).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    guess = np.where(there, SEES * rest + (1 - SEES) * usual, 0.0)

    def of_all(x: np.ndarray) -> np.ndarray:
        return np.r_[x, np.bincount(crew.team, x, teams), x.sum()]

    wide = np.repeat([1.0, 0.5, 0.3], [truth.reps, teams, 1]) * truth.call_noise
    rows: list[pd.DataFrame] = []
    for q, quarter in enumerate(quarters):
        mood = truth.call_mood * rng.standard_normal()  # what all of them have in common
        for w, weeks in enumerate(WEEKS):
            luck = mood + wide * rng.standard_normal(len(bias))
            factor = np.exp(bias + luck * np.sqrt(weeks / 13))
            said = np.round(of_all(booked[q, w]) + of_all(guess[q, w]) * factor, -3)
            submits, day = np.r_[there[q, w], np.full(teams + 1, True)], days[q][w]
            rows.append(pd.DataFrame({
                "submitted_at": day - pd.Timedelta(days=max(day.day_of_week - 4, 0)) + pd.Timedelta(hours=16),
                "period": f"{quarter.year}Q{quarter.quarter}", "whose": np.flatnonzero(submits), "amount": said[submits],
            }))  # fmt: skip
    empty = pd.DataFrame(
        {"submitted_at": pd.to_datetime([]), "period": [], "whose": np.zeros(0, int), "amount": np.zeros(0)}
    )
    frame = pd.concat(rows or [empty], ignore_index=True).astype({"period": "str"})
    who = frame["whose"].to_numpy()
    level = np.searchsorted([truth.reps, truth.reps + teams], who, side="right")
    nobody = text((), np.full(len(frame), -1))
    return frame.assign(
        call_id=text([f"F{i:05d}" for i in range(1, len(frame) + 1)], np.arange(len(frame))),
        level=text(LEVELS, level),
        rep_id=text(names, np.where(level == 0, who, -1)),
        team=text([t.team for t in truth.teams], np.where(level == 1, who - truth.reps, -1)),
        region=nobody,
        category=text(["commit"], np.zeros(len(frame), dtype=int)),
    )
