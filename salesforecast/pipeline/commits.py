"""What people said that a period would bring: the latest call of each submitter, and what their past calls were worth.

A submitter is a level with the seller, team or region whose bookings are called; without any, the company. A call is of the
whole period. Compared is what it says beyond what was booked when it was made, for that is all that was left to know.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast.periods import ONE_DAY, Period, readable
from salesforecast.tables import Crm

WHOSE = ("rep_id", "team", "region")
COMMIT = "commit"
AS_CALLED = 1.0  # periods, come as they were called, that are added to what a level has shown
AS_THE_LEVEL = 4.0  # periods, come as those of all its level, that are added to what a submitter has shown
WAIT = pd.Timedelta(days=14)  # from the first call of a level: then those who have not called are not awaited any more
COLUMNS = ("level", "n", "called", "corrected")


def calls(crm: Crm) -> pd.DataFrame:
    """The commits in the data, with what a forecast needs of them; none without the table `calls`.

    Returns
    -------
    DataFrame
        submitted_at; period (label), since and until (its first day, and the first one after it); level; rep_id, team, region
        ("" for all); amount (money); submitter (a number for level, rep_id, team and region); by submitted_at.
    """
    columns = ["submitted_at", "period", "level", *WHOSE, "amount"]
    if "calls" not in crm:
        none = pd.DataFrame({c: [] for c in [*columns, "since", "until", "submitter"]})
        days = dict.fromkeys(["submitted_at", "since", "until"], "datetime64[us]")
        return none.astype({**days, "amount": float, "submitter": int})
    rows = crm.calls
    if "category" in rows:
        rows = rows[rows["category"].fillna(COMMIT).str.strip().str.casefold() == COMMIT]
    rows = rows.reindex(columns=columns)
    labels = {c: rows[c].astype(object).where(rows[c].notna(), "") for c in ("level", *WHOSE)}
    spans = {label: readable(label, crm.settings.fiscal_year_start) for label in rows["period"].dropna().unique()}
    named = {
        c: rows["period"].map({k: getattr(s, c) for k, s in spans.items() if s}) for c in ("label", "since", "until")
    }
    rows = rows.assign(**labels, period=named["label"], since=named["since"], until=named["until"])
    rows = rows[rows["period"].notna() & rows["submitted_at"].notna() & rows["amount"].notna()]
    rows = rows.sort_values(["submitted_at", "period", "level", *WHOSE], kind="stable", ignore_index=True)
    return rows.assign(submitter=rows.groupby(["level", *WHOSE], sort=True).ngroup())


def people(crm: Crm) -> pd.DataFrame:
    """By rep_id: team and region of each seller, "" where nothing tells."""
    if "reps" not in crm:
        return pd.DataFrame({"team": [], "region": []}, dtype=object)
    who = crm.reps.set_index("rep_id").reindex(columns=["team", "region"]).astype(object)
    return who.where(who.notna(), "")


def said(called: pd.DataFrame, who: pd.DataFrame, won: pd.DataFrame, span: Period, day: pd.Timestamp) -> pd.DataFrame:
    """What each level says on a day that the period will bring, as it was called and with its past bias taken out.

    Parameters
    ----------
    called : DataFrame
        From `calls`.
    who : DataFrame
        From `people`.
    won : DataFrame
        The won deals as known on the day: closed_date, amount, rep_id.
    span : Period
    day : Timestamp

    Returns
    -------
    DataFrame
        level; n (submitters whose call is known on the day); called, corrected (the period's bookings, money): what is
        booked and what the submitters call beyond their own; the level of most submitters first, of the same number the one
        that speaks for the company last. A level of which not all have called who called the period before says nothing
        for the first two weeks.
    """
    known = called[called["submitted_at"] < day + ONE_DAY]
    now = known[known["period"] == span.label].drop_duplicates("submitter", keep="last")
    before = known[known["since"] < span.since]
    before = before[before["since"] == before.groupby("level")["since"].transform("max")]
    awaited = before.loc[~before["submitter"].isin(now["submitter"]), "level"]
    begun = known[(known["period"] == span.label) & (known["submitted_at"] < day - WAIT)]
    now = now[~now["level"].isin(awaited) | now["level"].isin(begun["level"])]
    if now.empty:
        return pd.DataFrame({c: [] for c in COLUMNS})
    sold = _sold(won, who, known)
    rest = np.maximum(now["amount"].to_numpy() - _booked(sold, now, span.since, day), 0.0)
    factor = _biases(known, sold, day)["factor"]
    mine = factor.reindex(now["submitter"]).fillna(1.0).to_numpy()
    of_all = float(won.loc[(won["closed_date"] >= span.since) & (won["closed_date"] <= day), "amount"].sum())
    parts = (now[list(WHOSE)] != "").any(axis=1).to_numpy().astype(int)
    frame = pd.DataFrame(
        {"level": now["level"].to_numpy(), "n": 1, "parts": parts, "called": rest, "corrected": rest * mine}
    )
    sums = frame.groupby("level")[["n", "parts", "called", "corrected"]].sum().reset_index()
    sums = sums.assign(called=sums["called"] + of_all, corrected=sums["corrected"] + of_all)
    return sums.sort_values(["n", "parts", "level"], ascending=[False, False, True], ignore_index=True)[list(COLUMNS)]


def biases(called: pd.DataFrame, who: pd.DataFrame, won: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """What came of each submitter's past calls: of the periods that were over by the day, calls made while they ran.

    Parameters
    ----------
    called, who, won
        As in `said`.
    day : Timestamp

    Returns
    -------
    DataFrame
        level, rep_id, team, region; periods, calls (how many); said, came (beyond what was booked when they were made, a
        period's mean per call summed over periods, money); factor (what to multiply the next such call by: came over said,
        drawn to that of the level, and that to 1); by level and submitter.
    """
    found = _biases(called, _sold(won, who, called), day)
    whose = called.drop_duplicates("submitter").set_index("submitter")[["level", *WHOSE]]
    return whose.join(found.drop(columns="level"), how="inner").sort_index().reset_index(drop=True)


def _biases(called: pd.DataFrame, sold: dict[int, tuple[np.ndarray, np.ndarray]], day: pd.Timestamp) -> pd.DataFrame:
    """By submitter: level, periods, calls, said, came, factor."""
    at, since, until = called["submitted_at"], called["since"], called["until"]
    rows = called[(until <= day + ONE_DAY) & (at >= since) & (at < until)]
    made, last = rows["submitted_at"].dt.normalize(), rows["until"] - ONE_DAY
    booked, whole = (_booked(sold, rows, rows["since"], upto) for upto in (made, last))
    rows = rows.assign(said=np.maximum(rows["amount"].to_numpy() - booked, 0.0), came=whole - booked, calls=1)
    by = rows.groupby(["submitter", pd.factorize(rows["period"])[0]])
    by = by[["said", "came"]].mean().assign(calls=by["calls"].sum(), periods=1)
    ours = by.groupby(level=0).sum()
    ours = ours.assign(level=called.drop_duplicates("submitter").set_index("submitter")["level"].reindex(ours.index))
    of = ours.groupby("level")
    level = of[["said", "came"]].transform("sum")
    prior = AS_CALLED * level["said"] / of["periods"].transform("max")
    of_level = _over(level["came"] + prior, level["said"] + prior)
    own = AS_THE_LEVEL * ours["said"] / ours["periods"]
    factor = _over(ours["came"] + own * of_level, ours["said"] + own)
    return ours.assign(factor=factor.where(ours["said"] > 0, of_level))


def _sold(won: pd.DataFrame, who: pd.DataFrame, called: pd.DataFrame) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Of each submitter the days of the wins it answers for, in order, and what they had come to before and after each."""
    order = np.argsort(won["closed_date"].to_numpy(), kind="stable")
    days, amount = (won[c].to_numpy()[order] for c in ("closed_date", "amount"))
    seller = won["rep_id"].fillna("").to_numpy(dtype=object)[order]
    place = who.index.get_indexer(seller)
    labels = {"rep_id": seller, **{c: np.append(who[c].to_numpy(object), "")[place] for c in ("team", "region")}}
    found = {}
    for row in called.drop_duplicates("submitter").itertuples():
        mine = np.ones(len(won), dtype=bool)
        for column in WHOSE:
            if value := getattr(row, column):
                mine &= labels[column] == value
        found[row.submitter] = days[mine], np.r_[0.0, amount[mine].cumsum()]
    return found


def _booked(
    sold: dict[int, tuple[np.ndarray, np.ndarray]],
    rows: pd.DataFrame,
    since: pd.Series | pd.Timestamp,
    upto: pd.Series | pd.Timestamp,
) -> np.ndarray:
    """What each row's submitter had booked from `since` to `upto`, both counted."""
    first, last = (np.broadcast_to(np.asarray(x, "datetime64[us]"), len(rows)) for x in (since, upto))
    out, whose = np.zeros(len(rows)), rows["submitter"].to_numpy()
    for submitter in np.unique(whose):
        days, total = sold[submitter]
        mine = whose == submitter
        by = total[np.searchsorted(days, last[mine], side="right")]
        out[mine] = by - total[np.searchsorted(days, first[mine], side="left")]
    return out


def _over(part: pd.Series, whole: pd.Series) -> pd.Series:
    return (part / whole.where(whole > 0)).fillna(1.0)
