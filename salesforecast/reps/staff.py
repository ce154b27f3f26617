"""Who is compared: everybody ever there."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

import pandas as pd

from salesforecast.errors import MissingTable, SettingError
from salesforecast.tables import Crm

EVENTS = ("stage_history", "orders", "leads")  # what happened, whoever did it


def roster(crm: Crm, since: pd.Timestamp | None = None) -> pd.DataFrame:
    """Everybody who sells or sold: those of the table of reps, else those who own deals.

    Parameters
    ----------
    crm : Crm
    since : Timestamp, optional
        Without those who had left by then.

    Returns
    -------
    DataFrame
        rep_id, rep (two of one name carry their id), team, region, start_date, end_date; what is not in the data is missing.
        In the order of the ids.
    """
    if "reps" in crm:
        staff = crm.reps
    elif "rep_id" in crm.opportunities and crm.opportunities["rep_id"].notna().any():
        ids = pd.Series(crm.opportunities["rep_id"].dropna().unique(), dtype="str")
        staff = pd.DataFrame({"rep_id": ids, "rep": ids})
    else:
        raise MissingTable("This needs the owner of each deal. Map the column rep_id of the opportunities.")
    known = {"rep_id": "str", "rep": "str", "team": "str", "region": "str",
             "start_date": "datetime64[us]", "end_date": "datetime64[us]"}  # fmt: skip
    staff = staff.reindex(columns=list(known)).astype(known)
    twice = staff["rep"].duplicated(keep=False)
    staff = staff.assign(rep=staff["rep"].mask(twice, staff["rep"] + " (" + staff["rep_id"] + ")"))
    if since is not None:
        staff = staff[~(staff["end_date"] < since)]
    return staff.sort_values("rep_id", ignore_index=True)


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
