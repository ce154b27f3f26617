"""What tables held at the end of a day: by dated exports, by the stage history, or by the dates of today's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from salesforecast import keys

Frames = Mapping[str, pd.DataFrame]

NOT_RECORDED = "(not recorded)"
CHANGING = ("stage", "amount", "expected_close_date", "rep_id")  # of a deal, in its history
ONLY_CLOSED = ("lost_reason", "competitor", "probability", "forecast_category")
PAID_BY_MONTH = ("spend", "costs")  # a month's figure is known when the month is over
PEOPLE = ("team", "manager", "region", "role")
ACTED = ("outcome", "minutes", "cost")  # of an activity, once it is done


def exported(snapshots: Mapping[pd.Timestamp, Frames], day: pd.Timestamp) -> pd.Timestamp | None:
    """The day of the newest export not after the day; of the first one when all are later; None without exports."""
    days = sorted(snapshots)
    return max([d for d in days if d <= day], default=days[0]) if days else None


def tables_at(
    tables: Frames, day: pd.Timestamp, dates: Mapping[str, Sequence[str]]
) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """The tables as they were known at the end of the day, and what in them is of today.

    Parameters
    ----------
    tables : dict
        As they are known now; rows keep their index.
    day : Timestamp
        The day.
    dates : dict
        Table -> its columns that say when something happened, the row's beginning first.

    Returns
    -------
    tables : dict
        Rows that had begun by then, without what happened to them later.
    of_today : tuple of str
        Columns of the opportunities that nothing takes back for at least one deal; other tables' as `reps.team`, or the
        table's name when all of it is of today.
    """
    end = day + pd.Timedelta(days=1)
    then = {
        name: _activities(frame, end) if name == "activities" and {"at", "planned_at"} <= set(frame)
        else _months(frame, end) if name in PAID_BY_MONTH
        else _until(frame, [c for c in dates.get(name, ()) if c in frame], end)
        for name, frame in tables.items()
    }  # fmt: skip
    deals, taken_back = _deals(tables, then, end)
    then["opportunities"] = deals
    for name, frame in then.items():
        if name not in ("opportunities", "stage_history") and "opportunity_id" in frame:
            # A lead or a call of that day cannot belong to a deal that was entered later.
            then[name] = frame.assign(
                opportunity_id=frame["opportunity_id"].where(
                    keys.among(frame["opportunity_id"], deals["opportunity_id"])
                )
            )
    return then, (*(c for c in deals if c not in taken_back), *_undated(then, dates))


def _undated(then: Frames, dates: Mapping[str, Sequence[str]]) -> list[str]:
    whole = [
        name for name, frame in then.items() if name not in PAID_BY_MONTH and not set(dates.get(name, ())) & set(frame)
    ]
    people = [f"reps.{c}" for c in PEOPLE if "reps" in then and "reps" not in whole and c in then["reps"]]
    return [*(name for name in whole if name != "opportunities"), *people]


def _until(frame: pd.DataFrame, facts: list[str], end: pd.Timestamp) -> pd.DataFrame:
    """Rows that had begun before `end`; whatever happened to them later is empty."""
    if not facts:
        return frame
    # What has no date of birth is kept: nothing says that it was not there.
    kept = frame[(frame[facts[0]] < end) | frame[facts[0]].isna()]
    return kept.assign(**{c: kept[c].where(kept[c] < end) for c in facts[1:]})


def _activities(frame: pd.DataFrame, end: pd.Timestamp) -> pd.DataFrame:
    """What was done or due by then; what was due and done later is still to do."""
    begun = frame[["at", "planned_at"]].min(axis=1)
    kept = frame[(begun < end) | begun.isna()]
    done = kept["at"] < end
    return kept.assign(**{c: kept[c].where(done) for c in ("at", *ACTED) if c in kept})


def _months(frame: pd.DataFrame, end: pd.Timestamp) -> pd.DataFrame:
    """The periods that were over; a label that names no period is kept."""
    return frame[~frame["period"].isin([label for label in frame["period"].dropna().unique() if _ends(label) >= end])]


def _ends(label: str) -> pd.Timestamp:
    try:
        return pd.Period(label).end_time
    except ValueError:
        return pd.Timestamp.min


def _deals(tables: Frames, then: Frames, end: pd.Timestamp) -> tuple[pd.DataFrame, set[str]]:
    """The opportunities as of then, and their columns that are of then in each deal."""
    now, deals = tables["opportunities"], then["opportunities"]
    back = {"opportunity_id", "created_date", "closed_date"}
    known = pd.Series(False, index=deals.index)
    if "stage_history" in then and len(deals):
        moves = then["stage_history"]
        ours = keys.among(moves["opportunity_id"], deals["opportunity_id"])
        moves = moves if ours.all() else moves[ours]
        last = moves.drop_duplicates("opportunity_id", keep="last").set_index("opportunity_id")
        known = keys.among(deals["opportunity_id"], last.index)
        outcomes = tables["stages"].set_index("stage")["outcome"]
        past = {"outcome": last["stage"].map(outcomes), **{c: last[c] for c in CHANGING if c in last}}
        for column, values in past.items():
            was = deals["opportunity_id"].map(values)
            deals = deals.assign(**{column: was.where(known, deals[column]) if column in deals else was})
        if "closed_date" in deals:
            shut = deals["closed_date"].isna() & known & deals["outcome"].ne("open")
            if shut.any():  # closed then, opened again, and perhaps closed once more since
                days = closing_days(moves[moves["opportunity_id"].isin(deals.loc[shut, "opportunity_id"])], outcomes)
                deals = deals.assign(
                    closed_date=deals["closed_date"].mask(shut, days.reindex(deals["opportunity_id"]).array)
                )
        if known.all():
            back |= set(past)
    if "closed_date" in now:
        closing = now["closed_date"].reindex(deals.index)
        closes_later = ~known & deals["outcome"].ne("open") & (closing >= end)
        deals = deals.assign(
            outcome=deals["outcome"].mask(closes_later, "open"), stage=deals["stage"].mask(closes_later, NOT_RECORDED)
        )
    is_open = deals["outcome"] == "open"
    emptied = [c for c in (*ONLY_CLOSED, "closed_date") if c in deals]
    return deals.assign(**{c: deals[c].mask(is_open) for c in emptied}), back


def closing_days(moves: pd.DataFrame, outcomes: pd.Series) -> pd.Series:
    """The day each deal came into the outcome it has now; none while open.

    Parameters
    ----------
    moves : DataFrame
        opportunity_id, entered_at, stage; deal by deal, in the order they happened.
    outcomes : Series
        The outcome of each stage.
    """
    if moves.empty:
        return pd.Series(dtype="datetime64[us]")
    begins = keys.starts(moves["opportunity_id"])
    deal, outcome = np.cumsum(begins), np.zeros(len(moves), dtype="int8")
    for number, name in enumerate(("open", "won", "lost"), start=1):
        outcome[keys.among(moves["stage"], outcomes.index[outcomes == name]).to_numpy()] = number
    runs = np.flatnonzero(begins | np.r_[True, outcome[1:] != outcome[:-1]])
    # The last run of one outcome of each deal begins at its last start.
    last = runs[np.r_[deal[runs][1:] != deal[runs][:-1], True]]
    rows = moves.iloc[last[outcome[last] > 1]]
    return rows.set_index("opportunity_id")["entered_at"].dt.normalize()
