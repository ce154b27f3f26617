"""The simple forecasts that ours has to beat: what an analyst does in a spreadsheet, with only what was known on the day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from salesforecast.periods import ONE_DAY, Period
from salesforecast.pipeline import weeks

METHODS = {
    "run_rate": "booked so far, and for each working day to come the mean of the last year",
    "last_year": "the bookings of the same period a year before",
    "pick_up": "booked so far, and what the past periods still booked from the same day on",
    "stage_share": "each open deal at the share of past deals of its stage and close date that were won by the end of their "
    "period, seen as long before it; and pick-up for deals to come",
    "amount_share": "as the share of deals, but with the share of their amounts that was won",
    "stage_rate": "each open deal due by the end at the share of its stage's deals that were ever won",
    "crm_probability": "each open deal due by the end at the CRM's own probability",
}
BACK = 4  # past periods that the shares and the pick-up are taken from: older ones had another pipeline


@dataclass(frozen=True)
class Origin:
    """A day inside a period, and what was open then."""

    period: Period
    day: pd.Timestamp
    weeks_to_go: int
    panel: pd.DataFrame

    @property
    def last(self) -> pd.Timestamp:
        """The last day of the period."""
        return self.period.until - ONE_DAY


def between(won: pd.DataFrame, since: pd.Timestamp, last: pd.Timestamp) -> float:
    """The bookings from the day `since` to the day `last`, both counted."""
    return float(won.loc[(won["closed_date"] >= since) & (won["closed_date"] <= last), "amount"].sum())


def forecasts(
    here: Origin, won: pd.DataFrame, past: list[Origin], crm_probability: pd.Series | None
) -> dict[str, float]:
    """The total of the period by each method that the data allow.

    Parameters
    ----------
    here : Origin
    won : DataFrame
        The won deals as known on the day, by opportunity_id: closed_date, amount.
    past : list of Origin
        Of earlier periods, as many weeks before their ends, the earliest first; all over by the day.
    crm_probability : Series, optional
        By stage.
    """
    booked = between(won, here.period.since, here.day)
    year = here.day - pd.Timedelta(days=364)
    since = max(year, won["closed_date"].min()) if len(won) else year
    days = max(int(weeks.working_days(since.to_datetime64(), here.day.to_datetime64())), 1)
    to_go = int(weeks.working_days((here.day + ONE_DAY).to_datetime64(), here.last.to_datetime64()))
    found = {"run_rate": booked + between(won, since, here.day) / days * to_go}
    before = here.period.year_before()
    if len(won) and won["closed_date"].min() <= before.since + pd.Timedelta(days=6):
        found["last_year"] = max(between(won, before.since, before.until - ONE_DAY), booked)
    if not past:
        return found
    recent = past[-BACK:]
    found["pick_up"] = booked + float(np.mean([between(won, o.day + ONE_DAY, o.last) for o in recent]))
    by_deals, by_amounts = _shares(here, won, recent)
    found |= {"stage_share": booked + by_deals, "amount_share": booked + by_amounts}
    due = here.panel[~(here.panel["due"] > (here.last - here.day).days)]
    amount = due["amount"].fillna(_mean(won, here.day))
    known = pd.concat([o.panel for o in past])
    rates = (known["opportunity_id"].isin(won.index)).groupby(known["stage"]).mean()
    found["stage_rate"] = booked + float((amount * due["stage"].map(rates).fillna(0)).sum())
    if crm_probability is not None:
        found["crm_probability"] = booked + float((amount * due["stage"].map(crm_probability).fillna(0)).sum())
    return found


def _shares(here: Origin, won: pd.DataFrame, past: list[Origin]) -> tuple[float, float]:
    """What is still to come by the shares of deals, and of amounts, of the past; and deals not yet entered as in the past."""
    usual = _mean(won, here.day)
    then = pd.concat([_bucketed(o, usual).assign(came=_came(o, won)) for o in past])
    then["hit"], then["n"] = then["came"] > 0, 1.0
    sums = then.groupby(["stage", "bucket"])[["hit", "n", "came", "amount"]].sum()
    now = _bucketed(here, usual)
    mine = sums.reindex(pd.MultiIndex.from_frame(now[["stage", "bucket"]]))
    amount = now["amount"].to_numpy()
    unseen = np.mean([between(won[~won.index.isin(o.panel["opportunity_id"])], o.day + ONE_DAY, o.last) for o in past])
    shares = (mine["hit"] / mine["n"], mine["came"] / mine["amount"])
    by_deals, by_amounts = (float((s.fillna(0.0).to_numpy() * amount).sum() + unseen) for s in shares)
    return by_deals, by_amounts


def _bucketed(o: Origin, usual: float) -> pd.DataFrame:
    due, to_go, length = o.panel["due"], (o.last - o.day).days, o.period.days
    bucket = np.select(
        [due.isna(), due < 0, due <= to_go, due <= to_go + length], ["none", "past", "in", "next"], "later"
    )
    return pd.DataFrame({"stage": o.panel["stage"], "bucket": bucket, "amount": o.panel["amount"].fillna(usual)})


def _came(o: Origin, won: pd.DataFrame) -> np.ndarray:
    """What each deal of the panel brought by the end of the period."""
    fate = won.reindex(o.panel["opportunity_id"])
    return fate["amount"].where(fate["closed_date"] <= o.last, 0.0).to_numpy()


def _mean(won: pd.DataFrame, day: pd.Timestamp) -> float:
    sold = won.loc[(won["closed_date"] <= day) & (won["amount"] > 0), "amount"]
    return float(sold.mean()) if len(sold) else 0.0
