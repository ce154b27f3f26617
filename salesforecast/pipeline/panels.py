"""As-of panels: every open deal as it was known on a day. Models of deals see nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from salesforecast import keys
from salesforecast.errors import MissingTable
from salesforecast.periods import ONE_DAY
from salesforecast.tables import NOT_RECORDED, TABLES, Crm

LABELS = ("rep_id", "product_id", "segment", "channel")
COLUMNS = (
    "opportunity_id", "account_id", *LABELS, "customer", "stage", "amount", "age", "in_stage", "quiet", "due", "pushes",
)  # fmt: skip
_NEEDED = ("opportunities", "stages", "stage_history")


def panel(crm: Crm) -> pd.DataFrame:
    """The open deals as they are known at the end of `crm.as_of`: what a model may see of them.

    Parameters
    ----------
    crm : Crm
        Of today, or `crm.at(day)`.

    Returns
    -------
    DataFrame
        One row per open deal with a created date, in the order of the table: day; opportunity_id; account_id, rep_id,
        product_id, segment, channel (labels, "" where empty); customer ("new" for an account that had not bought when the deal
        was created, "known" for one that had, "" where nothing tells);
        stage ("(not recorded)" where no history tells it); amount (missing where no history or export of that time tells
        it); age, in_stage, quiet (days since it was created, came into its stage, was changed in any way); due (days until
        the expected close date, below 0 when it has gone by); pushes (how often that date was moved to a later one).
    """
    _dated(crm)
    deals = crm.opportunities
    kept = deals[(deals["outcome"] == "open") & deals["created_date"].notna() & (deals["created_date"] <= crm.as_of)]
    moves = _moves(crm, kept["opportunity_id"])
    day = np.full(len(kept), crm.as_of.to_datetime64())
    last = moves.drop_duplicates("opportunity_id", keep="last") if moves is not None else None
    return _described(crm, kept, last, moves, day)


def panels(crm: Crm, days: Iterable[pd.Timestamp]) -> pd.DataFrame:
    """The panels of several days, one below the other: what was open, as known then."""
    small = needed(crm)
    return pd.concat([panel(small.at(day)) for day in days], ignore_index=True)


def births(crm: Crm, ids: pd.Index | None = None) -> pd.DataFrame:
    """Every deal, or those of the ids, as it was on the day it was created; columns as in `panel`, by that day."""
    deals = created(crm, ids)
    moves = _moves(crm, deals["opportunity_id"])
    if moves is not None:  # of the day it was entered; what a history tells of it only later is not how it began
        day = moves["opportunity_id"].map(deals.set_index("opportunity_id")["created_date"])
        moves = moves[moves["entered_at"] < day + 2 * ONE_DAY]
    first = moves.drop_duplicates("opportunity_id", keep="first") if moves is not None else None
    return _described(crm, deals, first, None, deals["created_date"].to_numpy())


def created(crm: Crm, ids: pd.Index | None = None) -> pd.DataFrame:
    """The opportunities, or those of the ids, with a created date that is known at `crm.as_of`, the earliest first."""
    _dated(crm)
    deals = crm.opportunities
    deals = deals if ids is None else deals[keys.among(deals["opportunity_id"], ids).to_numpy()]
    deals = deals[deals["created_date"].notna() & (deals["created_date"] <= crm.as_of)]
    return deals.sort_values(["created_date", "opportunity_id"], kind="stable")


def closings(crm: Crm) -> pd.DataFrame:
    """How each deal had ended by `crm.as_of`: by opportunity_id, the columns outcome, closed_date, amount, rep_id."""
    deals = crm.opportunities
    amount = deals["amount"] if "amount" in deals else pd.Series(np.nan, index=deals.index)
    index = pd.Index(deals["opportunity_id"].to_numpy(dtype=object), name="opportunity_id", dtype=object)
    frame = pd.DataFrame({"outcome": deals["outcome"], "closed_date": deals["closed_date"], "amount": amount})
    frame["rep_id"] = deals.get("rep_id", "")
    return frame.set_axis(index, axis=0)


def won(ended: pd.DataFrame) -> pd.DataFrame:
    """Of `closings` the won deals with a closed date; a win without an amount brings 0."""
    return ended[(ended["outcome"] == "won") & ended["closed_date"].notna()].fillna({"amount": 0.0})


def untold(crm: Crm) -> list[str]:
    """Which of amount and expected close date the panel leaves out, because nothing tells what they were on the day."""
    history = crm.stage_history if "stage_history" in crm else pd.DataFrame()
    return [c for c in ("amount", "expected_close_date") if c in crm.of_today and c not in history]


def needed(crm: Crm) -> Crm:
    """The same with the tables that panels are made from, which is all that has to be taken back in time."""
    few = {name: frame for name, frame in crm.tables.items() if name in _NEEDED}
    past = {day: {n: f for n, f in frames.items() if n in _NEEDED} for day, frames in crm.snapshots.items()}
    return replace(crm, tables=few, snapshots=past)


def _described(
    crm: Crm, deals: pd.DataFrame, row: pd.DataFrame | None, moves: pd.DataFrame | None, day: np.ndarray
) -> pd.DataFrame:
    """The features of the deals on their day: `row` is the row of the history that held then, `moves` all up to it."""
    ids = pd.Index(deals["opportunity_id"])
    created = deals["created_date"].to_numpy()
    # Plain Python texts: looking them up again and again is faster than in Arrow's.
    out: dict[str, np.ndarray] = {"day": day, "opportunity_id": ids.to_numpy(dtype=object)}
    for column in ("account_id", *LABELS):
        out[column] = (deals[column].fillna("") if column in deals else pd.Series("", deals.index)).to_numpy(
            dtype=object
        )
    then = row.set_index("opportunity_id").reindex(ids) if row is not None else pd.DataFrame(index=ids)
    if "rep_id" in then:
        out["rep_id"] = then["rep_id"].fillna(pd.Series(out["rep_id"], ids, dtype="str")).to_numpy(dtype=object)
    out["customer"] = _customer(crm, deals, created)
    stage = then["stage"].fillna(NOT_RECORDED) if "stage" in then else pd.Series(NOT_RECORDED, ids)
    out["stage"] = stage.to_numpy(dtype=object)
    out["amount"] = _told(crm, deals, then, "amount", np.nan)
    age = _days(day - created)
    entered, changed = (_since(moves, ids, every) for every in (False, True))
    out["age"] = age
    out["in_stage"] = np.where(np.isnat(entered), age, _days(day - entered))
    out["quiet"] = np.where(np.isnat(changed), age, _days(day - changed))
    out["due"] = _days(
        _told(crm, deals, then, "expected_close_date", np.datetime64("NaT")).astype("datetime64[us]") - day
    )
    out["pushes"] = _pushes(moves, ids)
    return pd.DataFrame({c: pd.Series(v, dtype=object) if v.dtype == object else v for c, v in out.items()})


def _told(crm: Crm, deals: pd.DataFrame, then: pd.DataFrame, column: str, missing: object) -> np.ndarray:
    """A column as it was then: from the history, or from an export of that time; never today's value in the past's place."""
    if column in then:
        return np.asarray(then[column].to_numpy())
    if column in deals and column not in crm.of_today:
        return np.asarray(deals[column].to_numpy())
    return np.full(len(deals), missing)


def _moves(crm: Crm, ids: pd.Series) -> pd.DataFrame | None:
    if "stage_history" not in crm:
        return None
    moves = crm.stage_history
    return moves[keys.among(moves["opportunity_id"], ids).to_numpy()]


def _since(moves: pd.DataFrame | None, ids: pd.Index, every: bool) -> np.ndarray:
    """The day of the last change of each deal: of any, or of its stage."""
    if moves is None or moves.empty:
        return np.full(len(ids), np.datetime64("NaT", "us"))
    if not every:
        same = ~keys.starts(moves["opportunity_id"]) & moves["stage"].eq(moves["stage"].shift()).to_numpy()
        moves = moves[~same]
    last = moves.drop_duplicates("opportunity_id", keep="last").set_index("opportunity_id")["entered_at"]
    return np.asarray(last.dt.normalize().reindex(ids).to_numpy())


def _pushes(moves: pd.DataFrame | None, ids: pd.Index) -> np.ndarray:
    if moves is None or "expected_close_date" not in moves:
        return np.zeros(len(ids))
    expected = moves["expected_close_date"]
    later = ~keys.starts(moves["opportunity_id"]) & (expected > expected.shift()).to_numpy()
    return moves.loc[later, "opportunity_id"].value_counts().reindex(ids, fill_value=0).to_numpy("float64")


def _customer(crm: Crm, deals: pd.DataFrame, created: np.ndarray) -> np.ndarray:
    """Whether the account had bought when the deal was created, "" where no account or flag is filled in."""
    if "is_new_customer" in deals:
        known, new = deals["is_new_customer"].notna(), deals["is_new_customer"].fillna(False).to_numpy(dtype=bool)
    elif "account_id" in deals:
        every = crm.opportunities
        first = every[every["outcome"] == "won"].groupby("account_id")["closed_date"].min()
        known = deals["account_id"].notna()
        new = ~(first.reindex(deals["account_id"].fillna("")).to_numpy() < created)
    else:
        return np.full(len(deals), "", dtype=object)
    return np.where(known, np.where(new, "new", "known"), "").astype(object)


def _dated(crm: Crm) -> None:
    missing = [c for c in ("created_date", "closed_date") if c not in crm.opportunities]
    if missing:
        raise MissingTable(
            f"The pipeline forecast needs the column {' and '.join(missing)} of the opportunities. Map it in "
            f"salesforecast.toml: {'; '.join(TABLES['opportunities'][c].about for c in missing)}."
        )


def _days(span: np.ndarray) -> np.ndarray:
    return span / np.timedelta64(1, "D")
