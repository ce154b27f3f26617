"""Whose deal it was, for how long, and what could be won in that time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast import stats
from salesforecast.errors import TooLittleData
from salesforecast.observed import FAR, Observed, followed, need, observed
from salesforecast.periods import ONE_DAY
from salesforecast.reps.staff import roster
from salesforecast.tables import Crm

OWNERS = 0.9  # of the deals whose last change names their owner: below, the history names whoever made the change
WINS = 100  # of a segment, to have a timing of its own
NEW_DAYS = (180, 365)  # a rep's first days, apart
SIZES = 5  # classes of the first amount


def spells(crm: Crm, *, since: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame:
    """The deals that were open at some time from `since` to before `until`, one row for each owner's time with a deal.

    A deal that changed hands counts for each owner for the days it was theirs: what a leaver worked on is not lost, and an heir
    does not answer for the past. Who owned it when comes from the stage history, where that names owners, else it is the owner
    of today. A deal that is still open, and one that was lost, counts with the days in which it could have been won; a
    loss that nobody entered changes nothing. What describes a deal is what was known when it was entered: the amount is the
    first one in the stage history, never the last.

    Parameters
    ----------
    crm : Crm
        Opportunities; reps, accounts, products and stage_history where there are.
    since, until : Timestamp
        The window; what came after it is not known.

    Returns
    -------
    DataFrame
        rep_id, opportunity_id, group (the account), won (in the window, by this owner), closed (won or lost so), entry, exit
        (ages in days, the first and the last one counted), before_won, before_lost (the share of all wins, and of all other
        ends, that come before the first age), reached (the share of all wins that come in the ages counted), and the case mix:
        segment, channel, product, size, industry, region, customer, tenure, amount, quarter, where the data have them.

    Raises
    ------
    TooLittleData
        When nothing was open in the window.
    """
    need(crm.opportunities, "created_date", "closed_date")
    crm = crm.at(min(until - ONE_DAY, crm.as_of))
    if crm.opportunities["closed_date"].isna().all():
        raise TooLittleData(f"No deal had closed by {crm.as_of:%Y-%m-%d}, so nothing can be said of the time before.")
    seen = observed(crm.deals)
    first, last = seen.day(since), seen.day(crm.as_of)
    rows = owners(crm, seen)
    deal = rows["deal"].to_numpy()
    created, closed = seen.created[deal], seen.closed[deal]
    start = np.maximum.reduce([rows["start"].to_numpy(), created, np.full(len(rows), max(first, seen.first_close))])
    end = np.minimum(rows["end"].to_numpy(), last)
    there = (start <= end) & (closed >= start) & rows["rep_id"].notna().to_numpy()
    if not there.any():
        raise TooLittleData(
            f"No deal with an owner and a date was open between {since:%Y-%m-%d} and {until - ONE_DAY:%Y-%m-%d}."
        )
    rows, deal, start, end = rows[there], deal[there], start[there], end[there]
    inside = closed[there] <= end
    frame = pd.DataFrame({
        "rep_id": rows["rep_id"].array,
        "opportunity_id": seen.deals["opportunity_id"].array.take(deal),
        "group": seen.group[deal],
        "won": inside & (seen.outcome[deal] == "won"),
        "closed": inside,
        "entry": start - seen.created[deal],
        "exit": end - seen.created[deal],
    })  # fmt: skip
    frame = frame.assign(**_timing(seen, crm.as_of, deal, frame["entry"].to_numpy(), frame["exit"].to_numpy()))
    return frame.assign(**_mix(crm, seen, deal, frame["rep_id"], start))


def owners(crm: Crm, seen: Observed) -> pd.DataFrame:
    """Whose a deal was on which days: deal (its place in `seen`), rep_id, start, end (days, counted as in `seen`)."""
    rep = seen.deals["rep_id"].reset_index(drop=True) if "rep_id" in seen.deals else pd.Series(pd.NA, seen.deals.index)
    today = pd.DataFrame({"deal": np.arange(len(rep)), "rep_id": rep.array, "start": -FAR, "end": FAR})
    if "stage_history" not in crm or "rep_id" not in crm.stage_history:
        return today
    history = crm.stage_history[["opportunity_id", "entered_at", "sequence", "rep_id"]].dropna(subset="rep_id")
    place = pd.Index(seen.deals["opportunity_id"]).get_indexer(history["opportunity_id"])
    moves = history.assign(deal=place)[place >= 0].sort_values(["deal", "entered_at", "sequence"])
    before = moves["rep_id"].shift()
    moves = moves[(moves["rep_id"] != before) | (moves["deal"] != moves["deal"].shift())]
    final = moves.drop_duplicates("deal", keep="last").set_index("deal")["rep_id"].reindex(today["deal"])
    same = (final == rep.set_axis(final.index)).to_numpy(dtype=bool, na_value=False)
    if same.sum() < OWNERS * max(1, final.notna().sum()):
        return today
    moves = moves[same[moves["deal"]]]
    day = (moves["entered_at"].dt.normalize() - seen.zero).dt.days.to_numpy()
    opens = (moves["deal"] != moves["deal"].shift()).to_numpy()
    start = np.where(opens, -FAR, day + 1)  # a deal passes on at the end of the day
    end = np.where(np.r_[opens[1:], True], FAR, np.r_[day[1:], 0])
    told = pd.DataFrame({"deal": moves["deal"].to_numpy(), "rep_id": moves["rep_id"].array, "start": start, "end": end})
    return pd.concat([told, today[~same]], ignore_index=True)


def _timing(
    seen: Observed, as_of: pd.Timestamp, deal: np.ndarray, entry: np.ndarray, exit: np.ndarray
) -> dict[str, np.ndarray]:
    """When wins and other ends come, as shares of all of them; by segment where each has wins enough."""
    last = seen.day(as_of)
    ages = int(max(1, last - seen.created.min() + 1))
    segment = np.zeros(len(seen.created), dtype="int64")
    if "segment" in seen.deals:
        codes = pd.factorize(seen.deals["segment"])[0]
        wins = np.bincount(codes[(seen.outcome == "won") & (codes >= 0)], minlength=codes.max() + 1)
        segment = np.where((codes >= 0) & (wins[codes] >= WINS), codes + 1, 0)
    out = {name: np.zeros(len(deal)) for name in ("before_won", "before_lost", "reached")}
    for one in np.unique(segment):
        group = np.where(segment == one, 0, 1) if one else np.zeros_like(segment)
        table = seen.table(-FAR, last, ages, group)
        mine = stats.LifeTable(*(t[:1] for t in (table.entered, table.left, table.won, table.lost)))
        end = max(0, followed(mine))
        won, lost = (curve[0, : end + 1] for curve in stats.incidence(mine, np.ones((1, 1))))
        wins, others = np.r_[0.0, won / max(won[-1], 1e-9)], np.r_[0.0, lost / max(1 - won[-1], 1e-9)]
        rows = segment[deal] == one
        at, until = (np.clip(a[rows], 0, end + 1) for a in (entry, exit + 1))
        out["before_won"][rows], out["before_lost"][rows] = wins[at], others[at]
        out["reached"][rows] = wins[until] - wins[at]
    return out


def _mix(crm: Crm, seen: Observed, deal: np.ndarray, rep_id: pd.Series, start: np.ndarray) -> dict[str, pd.Series]:
    """What a deal was when it was entered, and how long its owner had been there."""
    deals = seen.deals
    out = {}
    for name, column in (("segment", "segment"), ("channel", "channel"), ("product", "product"), ("size", "size"),
                         ("industry", "industry"), ("customer", "is_new_customer")):  # fmt: skip
        if column in deals and deals[column].notna().any():
            out[name] = pd.Series(pd.factorize(deals[column])[0][deal])
    staff = roster(crm).set_index("rep_id")
    region = deals["account_id"].map(crm.accounts.set_index("account_id")["region"]) if _regions(crm) else None
    if region is not None and region.notna().any():
        out["region"] = pd.Series(pd.factorize(region)[0][deal])
    if staff["start_date"].notna().any():
        came = (rep_id.map(staff["start_date"]) - seen.zero).dt.days
        there = start - came
        out["tenure"] = pd.Series(np.digitize(there.fillna(FAR), NEW_DAYS)).mask(there.isna(), -1)
    amounts = _first_amount(crm, deals)
    if amounts is not None:
        out["amount"] = pd.Series(amounts[deal])
    quarter = deals["created_date"].dt.year * 4 + deals["created_date"].dt.quarter
    out["quarter"] = pd.Series(quarter.clip(lower=quarter.max() - 8).to_numpy()[deal])
    return out


def _regions(crm: Crm) -> bool:
    return "accounts" in crm and "region" in crm.accounts and "account_id" in crm.opportunities


def _first_amount(crm: Crm, deals: pd.DataFrame) -> np.ndarray | None:
    """The class of the first amount a deal had in the stage history, -1 where it had none at the start."""
    if "stage_history" not in crm or "amount" not in crm.stage_history:
        return None
    history = crm.stage_history.sort_values(["entered_at", "sequence"]).drop_duplicates("opportunity_id")
    first = deals["opportunity_id"].map(history.set_index("opportunity_id")["amount"])
    if first.notna().sum() < SIZES:
        return None
    return np.asarray(pd.qcut(first.rank(method="first"), SIZES, labels=False).fillna(-1).astype("int64"))
