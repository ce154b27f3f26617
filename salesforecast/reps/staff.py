"""Who is compared: everybody ever there."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

import pandas as pd

from salesforecast.errors import MissingTable, SettingError
from salesforecast.tables import Crm, told_apart

EVENTS = ("stage_history", "orders", "leads")  # what happened, whoever did it


def roster(crm: Crm, since: pd.Timestamp | None = None) -> pd.DataFrame:
    """Everybody who sells or sold: those of the table of reps, and who else owns deals, under their ids.

    Parameters
    ----------
    crm : Crm
    since : Timestamp, optional
        Without those who had left by then; who is not in the table of reps, by the last of their deals.

    Returns
    -------
    DataFrame
        rep_id, rep (two of one name carry their id), team, region, start_date, end_date; what is not in the data is missing.
        In the order of the ids.
    """
    deals = crm.opportunities
    owners = deals["rep_id"].dropna() if "rep_id" in deals else pd.Series(dtype="str")
    if owners.empty and "reps" not in crm:
        raise MissingTable("This needs the owner of each deal. Map the column rep_id of the opportunities.")
    known = {"rep_id": "str", "rep": "str", "team": "str", "region": "str",
             "start_date": "datetime64[us]", "end_date": "datetime64[us]"}  # fmt: skip
    staff = crm.reps if "reps" in crm else pd.DataFrame(columns=["rep_id"])
    others = owners[~owners.isin(staff["rep_id"])].drop_duplicates()
    staff = pd.concat([t.reindex(columns=list(known)).astype(known) for t in (
        staff, pd.DataFrame({"rep_id": others, "rep": others}))], ignore_index=True)  # fmt: skip
    staff = staff.assign(rep=told_apart(staff, "rep_id", "rep"))
    if since is not None:
        last = (
            deals["closed_date"].fillna(crm.as_of).groupby(owners).max() if "closed_date" in deals else owners.head(0)
        )
        gone = staff["end_date"].fillna(staff["rep_id"].where(staff["rep_id"].isin(others)).map(last)) < since
        staff = staff[~gone]
    return staff.sort_values("rep_id", ignore_index=True)


def part_of(staff: pd.DataFrame, by: str) -> pd.Series:
    """The team or region of each rep, by rep_id.

    Raises
    ------
    MissingTable
        Where nobody has one.
    """
    if staff[by].isna().all():
        raise MissingTable(
            f"This needs the {by} of each rep, which is not in the data. Map the column {by} of the reps."
        )
    return staff.set_index("rep_id")[by]


def work(crm: Crm, *columns: str) -> pd.DataFrame:
    """The activities.

    Raises
    ------
    MissingTable
        Without activities, or where one of these columns is empty.
    """
    for column in columns:
        if column not in crm.activities or crm.activities[column].isna().all():
            raise MissingTable(
                f"This needs the {column} of the activities, which is empty in the data. Map or fill it."
            )
    return crm.activities


def within(frame: pd.DataFrame, crm: Crm) -> pd.DataFrame:
    """The rows of a result whose rep is among those of `crm`, which `only` has limited to a region, a team or one rep."""
    return frame[frame["rep_id"].isin(roster(crm)["rep_id"])].reset_index(drop=True)


def owned(crm: Crm, apart: str = "") -> Crm:
    """The data with an owner for each deal, and without those who are no persons.

    Where the deals name no owner at all, a deal is that of whoever made the first change in its stage history.

    Parameters
    ----------
    crm : Crm
    apart : str
        Ids of queues, robots, house accounts, with commas between. Their deals and their work are left out; what they changed in
        the stage history stays, as nobody's.

    Raises
    ------
    SettingError
        When there is no owner of such an id, with "Did you mean".
    """
    out = {part.strip() for part in apart.split(",") if part.strip()}
    tables = dict(crm.tables)
    there = (
        {v for frame in tables.values() if "rep_id" in frame for v in frame["rep_id"].dropna().unique()}
        if out
        else set()
    )
    for one in sorted(out - there):
        near = get_close_matches(one, sorted(there), 1, 0.5)  # one alone: with codes no list of ids may show
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise SettingError(f"There is no owner {one!r} to set apart: apart takes ids as the export has them.{hint}")
    for name, frame in tables.items() if out else ():
        if "rep_id" in frame:
            theirs = frame["rep_id"].isin(out)
            kept = frame.assign(rep_id=frame["rep_id"].mask(theirs)) if name in EVENTS else frame[~theirs]
            tables[name] = kept.reset_index(drop=True)
    deals, history = tables["opportunities"], tables.get("stage_history", pd.DataFrame())
    nobody = "rep_id" not in deals or deals["rep_id"].isna().all()
    if nobody and "rep_id" in history and history["rep_id"].notna().any():
        moves = history.dropna(subset="rep_id").sort_values(["entered_at", "sequence"])
        first = moves.drop_duplicates("opportunity_id").set_index("opportunity_id")["rep_id"]
        tables["opportunities"] = deals.assign(rep_id=deals["opportunity_id"].map(first).astype("str"))
    return replace(crm, tables=tables)
