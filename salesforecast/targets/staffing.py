"""Who is there on each day of a period, and how far a new hire has come."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from salesforecast.periods import ONE_DAY
from salesforecast.tables import Crm, told_apart
from salesforecast.targets.pattern import Pattern

QUARTER_OF_TENURE = 91  # days
DOUBT = 0.06  # variance of the logarithm of what a ramp may be beside the usual one: a quarter up or down
RAMP = (0.5, 0.75)  # of a seasoned rep, in the first quarters of tenure, where no curve is given


def staff(crm: Crm) -> pd.DataFrame | None:
    """The reps of the data with the days they came and left; none without a table of reps.

    Returns
    -------
    DataFrame
        rep_id, rep (two of one name carry their id), team, region, start_date, end_date; what the data do not have is missing. By id.
    """
    if "reps" not in crm:
        return None
    known = {"rep_id": "str", "rep": "str", "team": "str", "region": "str",
             "start_date": "datetime64[us]", "end_date": "datetime64[us]"}  # fmt: skip
    people = crm.reps.reindex(columns=list(known)).astype(known)
    return people.assign(rep=told_apart(people, "rep_id", "rep")).sort_values("rep_id", ignore_index=True)


def steps(ramp: pd.DataFrame | None) -> tuple[float, ...]:
    """What a new hire brings in each quarter of tenure, as a share of a seasoned rep; 1 from then on.

    Parameters
    ----------
    ramp : DataFrame, optional
        quarter (of tenure, 1 first), wins (of the average rep hired), as `reps.ramp` gives it. A seasoned rep is the mean of the
        quarters after the first year, else the best one; the shares rise and stay under 1. Without it: a half, then three quarters.

    Examples
    --------
    >>> steps(None)
    (0.5, 0.75)
    >>> steps(pd.DataFrame({"quarter": [1, 2, 3, 4, 5, 6], "wins": [2.0, 4.0, 3.0, 8.0, 8.0, 8.0]}))
    (0.25, 0.5, 0.5)
    """
    if ramp is None:
        return RAMP
    wins = ramp.sort_values("quarter")["wins"].to_numpy("float64")
    late = wins[4:] if len(wins) > 4 else wins
    top = float(late.mean()) if len(wins) > 4 else float(late.max())
    if not top > 0:
        return RAMP
    rising = np.minimum(np.maximum.accumulate(wins / top), 1.0)
    return tuple(float(x) for x in rising[rising < 1.0])


def ramp(sales: pd.DataFrame, people: pd.DataFrame | None, days: Pattern) -> pd.DataFrame | None:
    """What a new hire brings in each quarter of the first year, as a share of a seasoned rep, from history and the usual ramp.

    Money booked in a quarter of tenure by everybody hired since the history begins, leavers too, over what seasoned reps bring on as many
    days of the same weight. Where hires are few it stays near a half, three quarters and then all: the two are weighed by what
    is known of them on the log scale.

    Parameters
    ----------
    sales : DataFrame
        day, amount, rep_id.
    people : DataFrame
        rep_id, start_date, end_date.
    days : Pattern

    Returns
    -------
    DataFrame
        quarter (1 to 4, and 5 for all later ones), n (reps seen in it), wins (share of a seasoned rep; of the fifth 1). None, which stands
        for the usual ramp, where it is not known who sold, or who they are.
    """
    if people is None or "rep_id" not in sales:
        return None
    when = pd.date_range(days.since, days.until - ONE_DAY)
    weight = days.expected(when)
    staff = people.drop_duplicates("rep_id").reset_index(drop=True)
    here = there(staff.assign(start_date=pd.NaT), when) * (
        when.to_numpy()[None, :] >= staff["start_date"].fillna(when[0]).to_numpy()[:, None]
    )
    begun = staff["start_date"].fillna(pd.Timestamp("1900-01-01")).to_numpy()
    tenure = np.minimum((when.to_numpy()[None, :] - begun[:, None]) // np.timedelta64(QUARTER_OF_TENURE, "D"), 4)
    hired = begun[:, None] >= np.datetime64(days.since)
    part = sales[sales["day"].between(days.since, days.until, inclusive="left")]
    who = pd.Index(staff["rep_id"]).get_indexer(part["rep_id"])
    part, who = part[who >= 0], who[who >= 0]
    quarter = tenure[who, (part["day"] - days.since).dt.days.to_numpy()]
    newly = hired[who, 0]
    seasoned = (quarter >= 4) | ~newly
    rest = (here * weight * ((tenure >= 4) | ~hired)).sum()
    rate = float(part.loc[seasoned, "amount"].sum() / rest) if rest > 0 else 0.0
    rows = []
    for q, usual in enumerate((*RAMP, 1.0, 1.0)):
        mine = here * (tenure == q) * hired
        want = float((mine * weight).sum()) * rate
        some = part.loc[newly & (quarter == q), "amount"].to_numpy()
        share = usual
        if want > 0 and some.size:
            noise = float((some**2).sum() / some.sum() ** 2)
            trust = DOUBT / (DOUBT + noise)
            share = float(np.exp(trust * np.log(some.sum() / want) + (1 - trust) * np.log(usual)))
        rows.append((q + 1, int((mine.sum(axis=1) > 0).sum()), share))
    return pd.DataFrame([*rows, (5, len(staff), 1.0)], columns=["quarter", "n", "wins"])


def there(people: pd.DataFrame, days: pd.DatetimeIndex, ramp: pd.DataFrame | None = None) -> np.ndarray:
    """How much of a seasoned rep each is on each day: 0 before the first and after the last day of work, the ramp after the first.

    Parameters
    ----------
    people : DataFrame
        start_date, end_date; a missing one is long ago, or not yet.

    Returns
    -------
    ndarray (people, days)
    """
    day = days.to_numpy().astype("datetime64[D]")[None, :]
    start = people["start_date"].fillna(pd.Timestamp("1900-01-01")).to_numpy().astype("datetime64[D]")[:, None]
    end = people["end_date"].fillna(pd.Timestamp("2200-01-01")).to_numpy().astype("datetime64[D]")[:, None]
    tenure = (day - start).astype(int)
    out = np.ones(tenure.shape)
    edges = [*(i * QUARTER_OF_TENURE for i in range(len(steps(ramp)) + 1))]
    for share, (low, high) in zip(steps(ramp), pairwise(edges), strict=True):
        out[(tenure >= low) & (tenure < high)] = share
    return np.where((day >= start) & (day <= end), out, 0.0)
