"""What the rest of a target asks for: money a working day, deals, and pipeline."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast import style
from salesforecast.errors import TooLittleData
from salesforecast.periods import ONE_DAY, Period
from salesforecast.targets.pacing import last_known
from salesforecast.targets.sold import between

OLDEST = 0.95  # of won deals: an open deal that is older than so many were is no pipeline


def needed(
    pace: pd.DataFrame,
    sales: pd.DataFrame,
    span: Period,
    *,
    pipeline: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """What the rest of the target asks for, a working day.

    Parameters
    ----------
    pace : DataFrame
        From `pace`.
    sales : DataFrame
        day, amount: for the average deal of the year before.
    span : Period
    pipeline : DataFrame, optional
        From `conversion`: what is open, and what was booked in the rest of past periods for each money open then.

    Returns
    -------
    DataFrame
        One row: to_book (money, 0 when the target is reached), working_days (left), per_day (money; missing when no day is left),
        usual_per_day (money a working day of the same days by the path), times_due (needed over usual), deals (of average size, to
        win), open_amount, to_create (how much less is open than usually leads to what is left; missing when not known). Without a target
        only the days are known.
    """
    now, end = last_known(pace), pace.iloc[-1]
    target = float(end["due"])
    left = max(target - float(now["booked"]), 0.0) if not np.isnan(target) else np.nan
    days = int(end["working_days"] - now["working_day"])
    usual = (target - float(now["due"])) / days if days else np.nan
    year = between(sales, span.since - pd.DateOffset(years=1), now["day"] + ONE_DAY)
    average = float(year["amount"].mean()) if len(year) else np.nan
    per_day = left / days if days else np.nan
    row = {
        "to_book": left, "working_days": days, "per_day": per_day, "usual_per_day": usual,
        "times_due": per_day / usual if days and usual > 0 else np.nan, "deals": np.ceil(left / average) if average > 0 else np.nan,
        "open_amount": np.nan, "to_create": np.nan,
    }  # fmt: skip
    if pipeline is not None:
        share, there = (float(pipeline[c].iloc[0]) for c in ("share", "open_amount"))
        row["open_amount"] = there
        row["to_create"] = max(left / share - there, 0.0) if share > 0 else np.nan
    if not days:  # what is open now can no longer be won in time, nor what would be added
        row["to_create"] = np.nan
    return pd.DataFrame([row])


def finding_needed(needed: pd.DataFrame, span: Period | None = None) -> str:
    """One sentence: what each working day has to bring, and against what is usual for these days.

    Parameters
    ----------
    needed : DataFrame
        From `needed`.
    span : Period, optional
        Named where it is not the period of the page.

    Raises
    ------
    TooLittleData
        Without a target.
    """
    row = needed.iloc[0]
    if pd.isna(row["to_book"]):
        raise TooLittleData("There is no target for this period, so nothing is needed. Add the table of targets.")
    if row["to_book"] <= 0:
        return "**Nothing more is needed**: the target is reached."
    if row["working_days"] <= 0:
        return f"**{style.money(row['to_book'])}** are missing, and no working day is left."
    of = style.plural(int(row["working_days"]), "working day")
    times = "" if pd.isna(row["times_due"]) else f", {style.times(row['times_due'])} what the path has for them"
    deals = "" if pd.isna(row["deals"]) else f": about {style.plural(int(row['deals']), 'deal')} of average size"
    more = ""
    if pd.notna(row["to_create"]) and row["to_create"] > 0:
        more = (
            f" {style.money(row['to_create'])} more of open deals would be usual, by what past periods made of theirs."
        )
    lead = "" if span is None else f"For {span.label} "
    return f"{lead}**{style.money(row['per_day'])} a working day** are needed on the {of} left{times}{deals}.{more}"


def conversion(deals: pd.DataFrame, span: Period, as_of: pd.Timestamp, *, past: int = 4) -> pd.DataFrame:
    """What was booked in the rest of past periods for each money open on the same day of them, and what is open now.

    A simple measure: it has the deals that came later in it, counts amounts of today, and leaves out deals without an amount and
    those older than nearly all (95%) were when they were won, which are silent more often than not.
    `pipeline.coverage` knows each deal's own chance.

    Parameters
    ----------
    deals : DataFrame
        created_date, closed_date, outcome, amount.
    span, as_of
        The period and the last day known.
    past : int
        How many periods before it.

    Returns
    -------
    DataFrame
        One row: n (deals open then), share (booked in the rest over the money open), open_amount (money, now). Both are missing where
        nothing was open in the past periods, or the day on which deals were entered is not known.
    """
    if "created_date" not in deals:
        return pd.DataFrame([{"n": 0, "share": np.nan, "open_amount": np.nan}])
    known = deals.dropna(subset=["created_date", "amount"])
    wins = known[(known["outcome"] == "won") & (known["closed_date"] < span.since)]
    old = (wins["closed_date"] - wins["created_date"]).quantile(OLDEST) if len(wins) else pd.Timedelta(days=3650)
    gone = min(as_of, span.until - ONE_DAY) - span.since
    n, money, won = 0, 0.0, 0.0
    for i in range(1, past + 1):
        before = span.previous(i)
        day = min(before.since + gone, before.until - ONE_DAY)
        some = known[known["created_date"].between(day - old, day) & ~(known["closed_date"] <= day)]
        rest = known[(known["outcome"] == "won") & (known["closed_date"] > day) & (known["closed_date"] < before.until)]
        n, money, won = n + len(some), money + float(some["amount"].sum()), won + float(rest["amount"].sum())
    now = known[known["created_date"].between(as_of - old, as_of) & (known["outcome"] == "open")]
    share, amount = (won / money, float(now["amount"].sum())) if money > 0 else (np.nan, np.nan)
    return pd.DataFrame([{"n": n, "share": share, "open_amount": amount}])
