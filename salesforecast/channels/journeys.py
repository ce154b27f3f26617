"""Journeys: the touches before a deal was won or lost, and those of which nothing came, from the tables of a CRM."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast import keys, style
from salesforecast.channels.paths import OUTCOMES, Journeys, paths
from salesforecast.errors import TooLittleData
from salesforecast.periods import ONE_DAY
from salesforecast.tables import Crm

WINDOW = 90  # days
MOMENT = pd.Timedelta(microseconds=1)


def journeys(
    crm: Crm, *, since: pd.Timestamp, until: pd.Timestamp, window: int = WINDOW, trusted: bool = False
) -> Journeys:
    """The journeys that ended from `since` to before `until`, and those undecided then.

    A deal's journey is its touches (its own, those of the lead it was, those of its account that no other deal takes)
    in the `window` days before it was won or lost (that day is the last of them), or before `until` while it is open:
    then it is undecided. A touch of an account goes to the account's next deal that closes within the window, else to
    its newest open one. Touches of leads without a deal, and of accounts that no deal takes, make journeys that end
    with a pause of more than `window` days: nothing came of them. Before the pause is so long, they are undecided.
    Everybody's path is cut to the same length, or winners would have longer ones since they live longer. A journey
    whose window begins before touches were recorded is left out.

    The times are tested: of journeys that were won, the touches come before the win, not before and after it as by chance. If
    they do not, or too many stand at the same time, the order cannot be used, and `unordered` says why.

    Parameters
    ----------
    crm : Crm
        Touches; opportunities with closed_date, account_id and amount where there are; leads where there are. Touches that name
        a deal which is not in it (as after `crm.only`) are left out; those of accounts and leads alone stay, wherever they are.
    since, until : Timestamp
        When journeys ended. What is after `crm.as_of` is not known.
    window : int
        Days.
    trusted : bool
        Use the times although they look scrambled: touches may go on after a win.

    Returns
    -------
    Journeys
        Won and lost deals without a touch in the window are there with 0 touches.

    Raises
    ------
    MissingTable
        Without touches.
    TooLittleData
        When no journey ended in that time.
    """
    cut = min(until, crm.as_of + ONE_DAY)
    touches = crm.touches.dropna(subset=["at", "channel"])
    touches = keys.in_order(touches[touches["at"] < cut], ["at", "touch_id"]).reset_index(drop=True)
    deals = _deals(crm, since, cut)
    if touches.empty:
        raise TooLittleData(f"No touch is on record before {cut:%Y-%m-%d}, so there are no journeys.")
    found = _whose(touches, deals, crm, window)
    own = found[found["journey"].notna()]
    bare = found[found["journey"].isna() & found["party"].notna()]
    lead_ends, lead_touches = _without_deal(bare, since, cut, window)
    ends = pd.concat([deals.drop(columns="decided"), lead_ends], ignore_index=True)
    begun = touches["at"].min().normalize()
    short = ends["looks_from"].fillna(ends["ended_at"]) - pd.Timedelta(days=window) < begun
    ends = ends[ends["in_time"] & ~short]
    made = paths(
        pd.concat([own, lead_touches])[["journey", "at", "channel", "direct"]], ends.drop(columns=["in_time"]),
        window=window, trusted=trusted,
    )  # fmt: skip
    gone = pd.concat([
        made.left_out, pd.DataFrame({"why": ["of nobody on record"], "touches": [len(found) - len(own) - len(bare)]})
    ])  # fmt: skip
    keep = (made.ends["touches"] > 0) | (made.ends["outcome"] != "open")
    if not keep.any():
        raise TooLittleData(f"No journey ended from {since:%Y-%m-%d} to {cut - ONE_DAY:%Y-%m-%d}.")
    at = np.cumsum(keep.to_numpy()) - 1
    return Journeys(
        made.ends[keep].reset_index(drop=True), made.touches.assign(journey=at[made.touches["journey"]]), window,
        gone[gone["touches"] > 0].reset_index(drop=True), made.unordered, made.untimed,
    )  # fmt: skip


def _deals(crm: Crm, since: pd.Timestamp, cut: pd.Timestamp) -> pd.DataFrame:
    """The deals as journeys: all that began before the cut, those open then as undecided."""
    deals = crm.opportunities
    closed = deals.get("closed_date", pd.Series(pd.NaT, index=deals.index, dtype="datetime64[us]"))
    created = deals.get("created_date", pd.Series(pd.NaT, index=deals.index, dtype="datetime64[us]"))
    over = deals["outcome"] != "open"
    there = ~(created >= cut) & ~(over & closed.isna())
    decided = over & (closed < cut)
    frame = pd.DataFrame({
        "journey": deals["opportunity_id"], "account_id": deals.get("account_id", pd.NA),
        "outcome": deals["outcome"].where(decided, "open"),
        "ended_at": (closed.dt.normalize() + ONE_DAY - MOMENT).where(decided, cut - MOMENT),  # a day lasts to its end
        "value": deals.get("amount", pd.Series(np.nan, index=deals.index)).where(decided & (deals["outcome"] == "won")),
        "decided": decided, "in_time": ~decided | (closed >= since), "created": created,
    })  # fmt: skip
    return frame[there].assign(looks_from=frame["ended_at"]).reset_index(drop=True)


def _whose(touches: pd.DataFrame, deals: pd.DataFrame, crm: Crm, window: int) -> pd.DataFrame:
    """The touches with the deal (journey) they belong to, else the lead or account (party); `direct` ones name the deal."""
    none = pd.Series(pd.NA, index=touches.index, dtype="str")
    lead, account = touches.get("lead_id", none), touches.get("account_id", none)
    named = touches.get("opportunity_id", none)
    if "leads" in crm:
        became = crm.leads.set_index("lead_id")["opportunity_id"] if "opportunity_id" in crm.leads else none[:0]
        named = named.fillna(lead.map(became).astype("str"))
        lead = lead.where(keys.among(lead, crm.leads["lead_id"]))
    known = keys.among(named, deals["journey"])
    elsewhere = keys.among(named, crm.opportunities["opportunity_id"])  # begun later: as yet it is only a lead
    frame = touches[["at", "channel"]].assign(journey=named.where(known), direct=known)
    free = named.isna() | (elsewhere & ~known)
    frame["party"] = ("lead " + lead).fillna("account " + account).where(free)
    asked = free & lead.isna() & account.notna()
    if asked.any() and deals["account_id"].notna().any():
        ours = touches.loc[asked, ["at"]].assign(account_id=account[asked].astype("str"), row=np.flatnonzero(asked))
        theirs = deals[deals["account_id"].notna()].astype({"account_id": "str"})
        theirs = theirs.sort_values(["ended_at", "journey"], kind="stable")
        closing = theirs[theirs["decided"]].assign(at=lambda t: t["ended_at"])[["account_id", "at", "journey"]]
        reach = pd.Timedelta(days=window)
        next_one = pd.merge_asof(ours, closing, on="at", by="account_id", direction="forward", tolerance=reach)
        still = (
            theirs[~theirs["decided"]].sort_values(["created", "journey"]).drop_duplicates("account_id", keep="last")
        )
        waits = ours["account_id"].map(still.set_index("account_id")["journey"])
        end = still["ended_at"].iloc[0] if len(still) else pd.NaT
        waits = waits.where(end - ours["at"] <= reach)
        taken = pd.Series(next_one["journey"].to_numpy(), index=ours.index).fillna(waits)
        frame.loc[taken.index, "journey"] = taken
    return frame.assign(party=frame["party"].where(frame["journey"].isna()))


def _without_deal(
    bare: pd.DataFrame, since: pd.Timestamp, cut: pd.Timestamp, window: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The journeys of leads and accounts without a deal: each ends with a pause longer than the window."""
    bare = keys.in_order(bare, ["party"])  # they are in the order of time
    pause = pd.Timedelta(days=window)
    new = keys.starts(bare["party"]) | (bare["at"].diff() > pause).to_numpy()
    number = pd.Series(np.cumsum(new), index=bare.index).astype("str")
    names = bare["party"] + " " + number.str.zfill(9)
    last = bare.assign(journey=names).drop_duplicates("journey", keep="last")
    over = last["at"] + pause < cut
    ends = pd.DataFrame({
        "journey": last["journey"], "account_id": last["party"].str.removeprefix("account "),
        "outcome": np.where(over, "lost", "open"), "ended_at": last["at"], "value": np.nan,
        "in_time": ~over | (last["at"] + pause >= since), "looks_from": last["at"],
    })  # fmt: skip
    return ends, bare.assign(journey=names)


def touched(journeys: Journeys) -> pd.DataFrame:
    """Journeys by how they ended, how many had a touch in the window, and how many touches these had.

    Returns
    -------
    DataFrame
        One row per outcome, won, lost (or came to nothing), open: outcome, journeys, touched, touched_share (missing over
        none), touches_each (mean of the touched), value (of the won, touched).
    """
    ends = journeys.ends
    some = ends[ends["touches"] > 0]
    frame = pd.DataFrame({
        "outcome": OUTCOMES,
        "journeys": ends["outcome"].value_counts().reindex(OUTCOMES, fill_value=0).to_numpy("int64"),
        "touched": some["outcome"].value_counts().reindex(OUTCOMES, fill_value=0).to_numpy("int64"),
        "touches_each": some.groupby("outcome")["touches"].mean().reindex(OUTCOMES).to_numpy("float64"),
        "value": some.groupby("outcome")["value"].sum(min_count=1).reindex(OUTCOMES).to_numpy("float64"),
    })  # fmt: skip
    frame.insert(3, "touched_share", frame["touched"] / frame["journeys"].where(frame["journeys"] > 0))
    return frame


def finding_touched(touched: pd.DataFrame, journeys: Journeys) -> str:
    """One sentence: how many wins had a touch on record; only for these credit can be shared."""
    at = touched.set_index("outcome")
    won, touched = int(at.loc["won", "journeys"]), int(at.loc["won", "touched"])
    still = int(at.loc["open", "touched"])
    if not won:
        return "Nothing was won in this time, so there is no credit to share."
    when = f" in the {journeys.window:g} days before" if pd.notna(journeys.window) and journeys.window < 1e6 else ""
    return (
        f"**{style.count(touched)} of {style.plural(won, 'win')}** ({style.percent(touched / won)}) had a touch on record{when}; "
        f"{style.plural(at.loc['lost', 'touched'], 'touched journey')} came to nothing, "
        f"{style.count(still)} {'is' if still == 1 else 'are'} undecided."
    )
