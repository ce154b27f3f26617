"""What was sold: one row a won deal or order, with its day, its amount and the names it can be cut by."""

from __future__ import annotations

import pandas as pd

from salesforecast import style
from salesforecast.errors import MissingTable, TooLittleData, unknown
from salesforecast.periods import ONE_DAY, period_at
from salesforecast.tables import NOT_FILLED, Crm

LABELS = ("rep_id", "rep", "team", "region", "product", "family", "channel", "partner_id", "segment")
MAPPED = {
    "rep": "rep_id of the opportunities",
    "team": "team of the reps",
    "region": "region of the reps",
    "product": "product_id of the opportunities",
    "family": "family of the products",
}
FILLED = 0.5  # of the median quarter: what a quarter has to reach before the CRM counts as filled


def sold(crm: Crm) -> pd.DataFrame:
    """The bookings: won deals by closed date, with the names behind their ids.

    A won deal without an amount or a closed date brings nothing that could be counted and is left out; a name that is not
    filled in stands as "not filled in", so that parts add up.

    Parameters
    ----------
    crm : Crm
        opportunities: outcome, closed_date, amount.

    Returns
    -------
    DataFrame
        day, amount (money), opportunity_id, and of rep_id, rep, team, region, product, family, channel, partner_id, segment
        those that the data have; by day.
    """
    deals = crm.deals
    for name in ("closed_date", "amount"):
        if name not in deals:
            raise MissingTable(f"This needs what was booked, and when. Map the column {name} of the opportunities.")
    won = deals[deals["outcome"] == "won"].dropna(subset=["closed_date", "amount"])
    labels = [c for c in LABELS if c in won]
    frame = won[["closed_date", "amount", "opportunity_id", *labels]].rename(columns={"closed_date": "day"})
    frame = frame.assign(**{c: frame[c].astype("object").fillna(NOT_FILLED).astype("str") for c in labels})
    return frame.sort_values(["day", "opportunity_id"], ignore_index=True)


def has(sales: pd.DataFrame, *columns: str) -> None:
    """Refuse what was sold where it lacks a column that it is to be cut by.

    Raises
    ------
    MissingTable
        When the data do not say it; with what to map.
    SettingError
        For a name that is none of `LABELS`.
    """
    for name in columns:
        if name not in sales and name not in LABELS:
            raise unknown(
                "column of what was sold", name, [c for c in sales if c not in ("day", "amount", "opportunity_id")]
            )
        if name not in sales:
            where = MAPPED.get(name, f"{name} of the opportunities")
            raise MissingTable(f"This needs the {name.removesuffix('_id')} of each deal. Map the column {where}.")


def settled(sales: pd.DataFrame, until: pd.Timestamp, fiscal_year_start: int = 1) -> pd.Timestamp:
    """The first day of a history that tells of the business: a new CRM lacks the deals that were open before it.

    History begins with the first quarter that brought at least half of the median quarter.

    Parameters
    ----------
    sales : DataFrame
        day, amount.
    until : Timestamp
        The first day not known.
    fiscal_year_start : int

    Raises
    ------
    TooLittleData
        With less than a quarter of history.
    """
    known = sales[sales["day"] < until]
    if known.empty:
        raise TooLittleData("Nothing was sold before the period, so there is no history to plan by.")
    first = period_at(known["day"].iloc[0], "Q", fiscal_year_start)
    if first.since < known["day"].iloc[0] - 10 * ONE_DAY:
        first = first.previous(-1)  # it began within a quarter
    sums, at = [], first
    while at.until <= until:
        inside = known["day"].between(at.since, at.until, inclusive="left")
        sums.append((at.since, float(known.loc[inside, "amount"].sum())))
        at = at.previous(-1)
    if not sums:
        raise TooLittleData(
            f"There is less than a whole quarter of history before {style.day(until)}, so there is nothing to plan by."
        )
    quarters = pd.DataFrame(sums, columns=["since", "amount"])
    enough = quarters["amount"] >= FILLED * quarters["amount"].median()
    return pd.Timestamp(quarters.loc[enough.idxmax(), "since"])


def deal_size(sales: pd.DataFrame) -> float:
    """The variance that one more unit of money brings when deals come by chance: the mean squared amount over the mean amount.

    Examples
    --------
    >>> deal_size(pd.DataFrame({"amount": [1.0, 3.0]}))
    2.5
    """
    return float((sales["amount"] ** 2).sum() / sales["amount"].sum())


def between(sales: pd.DataFrame, since: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame:
    """What was sold from `since` up to, without, `until`."""
    return sales[sales["day"].between(since, until, inclusive="left")]
