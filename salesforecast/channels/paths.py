"""Paths: the touches of each journey in a window of fixed length before its end, their order tested."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from salesforecast import keys
from salesforecast.errors import DataError, SettingError

CHECKED = 20  # wins with touches: on fewer nothing is said of whether the times are right
TIED = 0.20  # of neighbours of different channels at the same time: more, and the order is anybody's guess
OUTCOMES = ("won", "lost", "open")


@dataclass(frozen=True)
class Journeys:
    """Journeys and their touches, as `journeys`, `paths` and `written_out` make them.

    Parameters
    ----------
    ends : DataFrame
        One row per journey: journey, account_id (what is resampled), outcome ("won", "lost" or "open", which is undecided),
        ended_at, value (of the won), touches (in the window).
    touches : DataFrame
        One row per touch in the window, journey by journey in the order of time: journey (the row of `ends`), channel,
        days_before (the end; missing where times are not known).
    window : float
        In days.
    left_out : DataFrame
        why, touches: those that are in no journey.
    unordered, untimed : str
        Why the order of the touches, and why the time between them and the end, cannot be used; "" where they can.
    """

    ends: pd.DataFrame
    touches: pd.DataFrame
    window: float
    left_out: pd.DataFrame
    unordered: str = ""
    untimed: str = ""

    @property
    def channels(self) -> list[str]:
        """The channels of the touches, by name."""
        return sorted(self.touches["channel"].unique())


def paths(touches: pd.DataFrame, ends: pd.DataFrame, *, window: float, trusted: bool = False) -> Journeys:
    """Journeys from touches that say to which journey they belong: cut to the window, in order, their times tested.

    Parameters
    ----------
    touches : DataFrame
        journey, at, channel; direct (whether it names the journey, where some do not).
    ends : DataFrame
        journey, outcome ("won", "lost" or "open"), ended_at; account_id and value where there are.
    window : float
        Days.
    trusted : bool
        Use the times although they look scrambled.

    Returns
    -------
    Journeys
        By name of the journey. Where the times cannot be used, all touches of a journey count, whenever they were, in the order of
        their channels' names.

    Raises
    ------
    DataError
        For an outcome that is none, or a journey that ends twice.

    Examples
    --------
    >>> day = pd.Timestamp("2025-06-30")
    >>> ends = pd.DataFrame({"journey": ["a", "b"], "outcome": ["won", "open"], "ended_at": [day, day], "value": [500.0, None]})
    >>> touches = pd.DataFrame({"journey": ["a", "a", "b"], "channel": ["Fair", "Call", "Fair"],
    ...                         "at": [day - pd.Timedelta(days=n) for n in (9, 100, 3)]})
    >>> paths(touches, ends, window=90).touches
       journey channel  days_before
    0        0    Fair          9.0
    1        1    Fair          3.0
    """
    if window <= 0:
        raise SettingError(f"The window is {window} days; it has to be more than 0.")
    wrong = sorted(set(ends["outcome"]) - set(OUTCOMES))
    if wrong:
        raise DataError(f"Journeys end as won, lost or open, not as {', '.join(map(repr, wrong[:3]))}.")
    if ends["journey"].duplicated().any():
        twice = ends.loc[ends["journey"].duplicated(), "journey"].iloc[0]
        raise DataError(f"Journey {twice!r} has more than one end; each ends once.")
    ends = keys.in_order(ends, ["journey"]).reset_index(drop=True)
    frame = pd.DataFrame({
        "journey": ends["journey"], "account_id": ends["account_id"] if "account_id" in ends else ends["journey"],
        "outcome": ends["outcome"], "ended_at": ends["ended_at"],
        "value": ends["value"].astype("float64").where(ends["outcome"] == "won") if "value" in ends else np.nan,
    })  # fmt: skip
    place = pd.Index(frame["journey"]).get_indexer(touches["journey"])
    known = touches[place >= 0]
    place = place[place >= 0]
    before = (frame["ended_at"].to_numpy()[place] - known["at"].to_numpy()) / np.timedelta64(1, "D")
    rows = pd.DataFrame({"journey": place, "channel": known["channel"].to_numpy(), "days_before": before})
    direct = known["direct"].to_numpy() if "direct" in known else np.ones(len(known), dtype=bool)
    unordered = "" if trusted else _scrambled(rows[direct], frame["outcome"] == "won")
    inside = rows["days_before"].between(0, window) if not unordered else pd.Series(True, index=rows.index)
    kept = rows[inside]
    # names decide among touches at the same time, so that the order of the file does not
    kept = kept.assign(back=-kept["days_before"])
    kept = keys.in_order(kept, ["journey", "back", "channel"]).drop(columns="back").reset_index(drop=True)
    if not unordered:
        unordered = "" if trusted else _tied(kept)
    if unordered:
        kept = keys.in_order(kept, ["journey", "channel"]).reset_index(drop=True).assign(days_before=np.nan)
    frame["touches"] = np.bincount(kept["journey"], minlength=len(frame))
    late, early = (int((beyond & ~inside).sum()) for beyond in (rows["days_before"] < 0, rows["days_before"] > window))
    left_out = pd.DataFrame({
        "why": ["of journeys that ended at another time", "after the end", f"more than {window:g} days before the end"],
        "touches": [len(touches) - len(known), late, early],
    })  # fmt: skip
    return Journeys(frame, kept, window, left_out[left_out["touches"] > 0].reset_index(drop=True), unordered, unordered)


def _scrambled(rows: pd.DataFrame, won: pd.Series) -> str:
    """Why the times of the touches cannot be right; "" when they can."""
    ours = rows[won.to_numpy()[rows["journey"]]]
    each = ours["days_before"].ge(0).groupby(ours["journey"]).agg(["size", "all"])
    if len(each) < CHECKED:
        return ""
    last, chance = each["all"].mean(), (1 / (each["size"] + 1)).mean()
    if last - chance >= (1 - chance) / 2:
        return ""
    return (
        f"The times of the touches do not order them: a win is the last event in {last:.0%} of {len(each):,} journeys, where "
        f"shuffled times would give {chance:.0%} and true ones nearly all. Results that need the order are not given."
    )


def _tied(kept: pd.DataFrame) -> str:
    """Why the order of the touches cannot be told from equal times; "" when it can."""
    at, channel, journey = (kept[c].to_numpy() for c in ("days_before", "channel", "journey"))
    other = (journey[1:] == journey[:-1]) & (channel[1:] != channel[:-1])
    tied = int((other & (at[1:] == at[:-1])).sum())
    if not other.any() or tied <= TIED * other.sum():
        return ""
    return (
        f"The times of the touches do not order them: {tied:,} of {int(other.sum()):,} neighbours of different channels bear the same "
        f"time. Results that need the order are not given; times of day would tell."
    )


def written_out(table: pd.DataFrame, *, separator: str = ">") -> Journeys:
    """Journeys from paths written out with how often each was taken: the order is known, times and accounts are not.

    Parameters
    ----------
    table : DataFrame
        path ("Fair > Call > Fair"), won (journeys that ended so), value (of these together), lost (journeys that did not).
    separator : str
        Between channels.

    Returns
    -------
    Journeys
        Each journey its own account; the value of a path is shared equally by its wins.

    Examples
    --------
    >>> table = pd.DataFrame({"path": ["Fair > Call", "Call"], "won": [2, 0], "value": [30.0, 0.0], "lost": [1, 1]})
    >>> written_out(table).ends[["outcome", "value", "touches"]]
      outcome  value  touches
    0     won   15.0        2
    1     won   15.0        2
    2    lost    NaN        2
    3    lost    NaN        1
    """
    steps = table["path"].str.split(separator).explode().str.strip()
    empty = steps.isna() | (steps == "")
    if empty.any():
        raise DataError(f"A path has a step without a channel, e.g. in row {steps.index[empty][0]}.")
    won, lost = table["won"].to_numpy("int64"), table["lost"].to_numpy("int64")
    times = np.column_stack([won, lost]).ravel()
    path = np.repeat(np.repeat(np.arange(len(table)), 2), times)
    outcome = np.repeat(np.tile(["won", "lost"], len(table)), times)
    each = (
        np.where(won > 0, table["value"].to_numpy("float64") / np.maximum(won, 1), 0.0)
        if "value" in table
        else won * np.nan
    )
    counts = table["path"].str.count(separator).to_numpy("int64") + 1
    length, first = counts[path], (np.cumsum(counts) - counts)[path]
    journey = np.repeat(np.arange(len(path)), length)
    inside = np.arange(len(journey)) - np.repeat(np.cumsum(length) - length, length)
    ends = pd.DataFrame({
        "journey": np.arange(len(path)), "account_id": np.arange(len(path)), "outcome": outcome, "ended_at": pd.NaT,
        "value": np.where(outcome == "won", each[path], np.nan), "touches": length,
    })  # fmt: skip
    touches = pd.DataFrame(
        {"journey": journey, "channel": steps.to_numpy()[np.repeat(first, length) + inside], "days_before": np.nan}
    )
    none = pd.DataFrame({"why": pd.Series(dtype="str"), "touches": pd.Series(dtype="int64")})
    return Journeys(ends, touches, np.inf, none, "", "The paths carry no times.")
