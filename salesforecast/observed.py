"""Deals as they were observed: from the day they were entered to the day they closed, or to the end of the data."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from salesforecast import stats
from salesforecast.errors import MissingTable, TooLittleData, unknown
from salesforecast.tables import TABLES

ENOUGH = 10  # a curve is followed while no deal at risk stands for more than one in so many
ENOUGH_NOW = 5  # the same within one period, whose interval tells the rest
NEARLY_ALL = 0.99  # of all wins: the age by which they have come is the horizon; open deals older than it have stalled
BLOCKS = 8  # of time: fewer say too little of how one differs from the next
AT_ONCE = "Nothing was lost and every deal closed on the day it was entered"  # as orders do that are read as deals
FAR = 10**7  # days: a deal that is open closes after everything else


@dataclass(frozen=True)
class Observed:
    """Deals with a date, in days since the first one was entered; `group` is what is resampled."""

    deals: pd.DataFrame
    created: np.ndarray
    closed: np.ndarray  # far in the future while open
    outcome: np.ndarray
    group: np.ndarray
    groups: int
    first_close: int
    zero: pd.Timestamp

    def day(self, when: pd.Timestamp) -> int:
        """A date in days since the first deal was entered."""
        return (when - self.zero).days

    def table(self, since: int, last: int, ages: int, group: np.ndarray | None = None) -> stats.LifeTable:
        """The life table of the days `since` to `last`, both included, by account or by the groups given."""
        group, groups = (self.group, self.groups) if group is None else (group, int(group.max()) + 1)
        seen = (self.closed >= since) & (self.created <= last)
        entry = np.maximum(0, np.maximum(since, self.first_close) - self.created)
        over = self.closed <= last
        exit = np.where(over, self.closed, last) - self.created
        outcome = np.where(over, self.outcome, "open")
        return stats.life_table(entry[seen], exit[seen], outcome[seen], group[seen], groups, ages)

    def edges(self, last: int) -> list[int]:
        """The first days of blocks of calendar time up to `last`: quarters, or months or weeks where those are few."""
        begin, end = (self.zero + pd.Timedelta(days=d) for d in (self.first_close, last))
        every = [pd.date_range(begin, end, freq=f)[1:] for f in ("QS", "MS", "W-MON")]
        starts = next((e for e in every if len(e) + 1 >= BLOCKS), every[-1])
        return sorted({self.first_close, *((s - self.zero).days for s in starts)})

    def by_time(self, last: int, ages: int) -> stats.LifeTable:
        """The life table up to `last`, its groups the blocks of time."""
        parts = [
            self.table(a, b - 1, ages, np.zeros_like(self.group)) for a, b in pairwise([*self.edges(last), last + 1])
        ]
        return stats.LifeTable(
            *(np.vstack(p) for p in zip(*((t.entered, t.left, t.won, t.lost) for t in parts), strict=True))
        )


def observed(deals: pd.DataFrame) -> Observed:
    """Deals that can be placed in time: created on a known day, and closed on a known day or open."""
    need(deals, "created_date", "closed_date")
    dated = deals["created_date"].notna() & ((deals["outcome"] == "open") | deals["closed_date"].notna())
    deals = deals[dated]
    if deals.empty or deals["closed_date"].isna().all():
        raise TooLittleData(
            "No deal has both a created date and a closed date, so no win curve can be drawn. Map both columns."
        )
    zero = deals["created_date"].min()
    closed = (deals["closed_date"] - zero).dt.days.where(deals["outcome"] != "open")
    accounts = deals["account_id"] if "account_id" in deals else pd.Series(pd.NA, index=deals.index, dtype="str")
    group = stats.group_codes(accounts)
    return Observed(
        deals,
        (deals["created_date"] - zero).dt.days.to_numpy("int64"),
        closed.fillna(FAR).to_numpy("int64"),
        deals["outcome"].to_numpy("str"),
        group,
        int(group.max()) + 1,
        int(closed.min()),
        zero,
    )


def need(deals: pd.DataFrame, *columns: str) -> None:
    """Refuse, with the export or the column to add, when the deals do not carry these columns."""
    if deals.empty:
        raise TooLittleData("There are no deals to say this of.")
    for column in columns:
        if column in deals and deals[column].notna().any():
            continue
        if column == "closed_date" and (deals["outcome"] == "open").all():
            raise TooLittleData("No deal has closed yet, so nothing can be said of how deals end.")
        if column in TABLES["opportunities"].names:
            what = f"the column {column} of the opportunities, which is empty in the data. Map or fill it"
        else:
            table = next((t for t in TABLES.values() if column in t.names), None)
            if table is None:
                raise unknown("column to split by", column, sorted(c for c in deals if deals[c].notna().any()))
            what = f"{column}, which comes with the table '{table.name}'. Add {table.export}"
        raise MissingTable(f"This needs {what}.")


def followed(table: stats.LifeTable, enough: int = ENOUGH) -> int:
    """The last age to which a curve is followed; -1 when to none.

    Up to it one deal stands for no more than one in `enough` of all: those at risk over the share still undecided is how
    many would be at risk had none been decided. Few at risk since nearly all are decided is the end of the story, not a
    short history.
    """
    at_risk, decided = table.at_risk(), (table.won + table.lost).sum(axis=0)
    after = np.cumprod(1 - decided / np.maximum(at_risk, 1))
    thin = np.flatnonzero(at_risk < np.maximum(enough * np.r_[1.0, after[:-1]], 1))
    return int(thin[0]) - 1 if len(thin) else len(at_risk) - 1


def whole(seen: Observed, as_of: pd.Timestamp) -> tuple[stats.LifeTable, int]:
    """The life table of all the data up to the age to which it is followed, and that age.

    Raises
    ------
    TooLittleData
        With fewer than 10 wins, or fewer than 10 deals at risk at the first ages.
    """
    last = seen.day(as_of)
    ages = int(max(1, last - seen.created.min() + 1))
    end = followed(seen.table(-FAR, last, ages, np.zeros_like(seen.group)))
    won = int((seen.outcome == "won").sum())
    if won >= ENOUGH and won == len(seen.outcome) and (seen.closed == seen.created).all():
        raise TooLittleData(f"{AT_ONCE}, so there is no win rate and no time to close to tell.")
    if end < 1 or won < ENOUGH:
        raise TooLittleData(
            f"There are {won} won deals with dates; a win rate that counts open deals needs at least {ENOUGH}, "
            f"and as many deals observed at each age."
        )
    return seen.table(-FAR, last, end + 1), end


def settled(won: np.ndarray, lost: np.ndarray) -> bool:
    """Whether a curve has ended its rise: fewer than 3% of its wins come in the last fifth of its ages, or could still come."""
    late, undecided = won[-1] - won[int(0.8 * (len(won) - 1))], 1 - won[-1] - lost[-1]
    return bool(min(late, undecided) <= 0.03 * won[-1])


def horizon(seen: Observed, as_of: pd.Timestamp) -> int:
    """The age by which nearly all wins of the whole history have come, open deals counted as undecided.

    Raises
    ------
    TooLittleData
        When the data are too short to see nearly all wins.
    """
    table, end = whole(seen, as_of)
    won, lost = stats.incidence(table, np.ones((1, seen.groups)))
    if not settled(won[0], lost[0]):
        raise TooLittleData(
            f"Deals can be followed for {end} days, and wins still come at that age, so it cannot be said by when nearly all "
            f"have come. A longer history would tell."
        )
    return int(stats.first_age(won, NEARLY_ALL * won[:, -1])[0])


def reach(stage_history: pd.DataFrame, stages: pd.DataFrame) -> pd.DataFrame:
    """Per opportunity: the rank of the furthest open stage it reached, and what it is by its last change."""
    moves = stage_history.merge(stages, on="stage", validate="many_to_one").sort_values(["entered_at", "sequence"])
    deal = moves["opportunity_id"]
    return pd.DataFrame({
        "furthest": moves["rank"].where(moves["outcome"] == "open", 0).groupby(deal).max(),
        "outcome": moves.groupby(deal)["outcome"].last(),
    })  # fmt: skip
