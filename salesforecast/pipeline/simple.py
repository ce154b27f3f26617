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
    "human_commit": "the latest call of those who call for most, with the bias of their past calls taken out",
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


def like(here: Origin, past: list[Origin]) -> list[Origin]:
    """Those of earlier periods, over by the day, as many weeks before their ends."""
    return [o for o in past if o.last < here.day and o.weeks_to_go == here.weeks_to_go]


def between(won: pd.DataFrame, since: pd.Timestamp, last: pd.Timestamp) -> float:
    """The bookings from the day `since` to the day `last`, both counted."""
    closed = won["closed_date"].to_numpy()
    return float(won["amount"].to_numpy()[(closed >= since.to_datetime64()) & (closed <= last.to_datetime64())].sum())


def forecasts(
    here: Origin, won: pd.DataFrame, past: list[Origin], crm_probability: pd.Series | None, ahead: int = 0
) -> tuple[dict[str, float], pd.DataFrame]:
    """The total of the period by each method that the data allow, and what two of them say of the weeks ahead.

    Parameters
    ----------
    here : Origin
    won : DataFrame
        The won deals as known on the day, by opportunity_id: closed_date, amount.
    past : list of Origin
        Of earlier periods, as many weeks before their ends, the earliest first; all over by the day.
    crm_probability : Series, optional
        By stage.
    ahead : int
        How many weeks ahead.

    Returns
    -------
    dict, DataFrame
        Method -> total; and by weeks (1 to `ahead`) what run_rate and amount_share say that they bring together.
    """
    booked = between(won, here.period.since, here.day)
    year = here.day - pd.Timedelta(days=364)
    since = max(year, won["closed_date"].min()) if len(won) else year
    days = max(int(weeks.working_days(since.to_datetime64(), here.day.to_datetime64())), 1)
    ends = np.r_[here.last.to_datetime64(), here.day.to_datetime64() + 7 * np.arange(1, ahead + 1).astype("m8[D]")]
    rate = between(won, since, here.day) / days * weeks.working_days((here.day + ONE_DAY).to_datetime64(), ends)
    found = {"run_rate": booked + float(rate[0])}
    coming = pd.DataFrame({"run_rate": rate[1:], "amount_share": np.nan}, pd.RangeIndex(1, ahead + 1, name="weeks"))
    before = here.period.year_before()
    if len(won) and won["closed_date"].min() <= before.since + pd.Timedelta(days=6):
        found["last_year"] = max(between(won, before.since, before.until - ONE_DAY), booked)
    if not past:
        return found, coming
    recent = past[-BACK:]
    found["pick_up"] = booked + float(np.mean([between(won, o.day + ONE_DAY, o.last) for o in recent]))
    by_deals, by_amounts = _shares(here, won, recent, ahead)
    found |= {"stage_share": booked + float(by_deals[0]), "amount_share": booked + float(by_amounts[0])}
    due = here.panel[~(here.panel["due"] > (here.last - here.day).days)]
    amount = due["amount"].fillna(_mean(won, here.day))
    known = pd.concat([o.panel[["opportunity_id", "stage"]] for o in past])
    rates = (known["opportunity_id"].isin(won.index)).groupby(known["stage"]).mean()
    found["stage_rate"] = booked + float((amount * due["stage"].map(rates).fillna(0)).sum())
    if crm_probability is not None:
        found["crm_probability"] = booked + float((amount * due["stage"].map(crm_probability).fillna(0)).sum())
    return found, coming.assign(amount_share=by_amounts[1:])


def _shares(here: Origin, won: pd.DataFrame, past: list[Origin], ahead: int) -> tuple[np.ndarray, np.ndarray]:
    """What is to come by the shares of deals, and of amounts, of the past, with deals not yet entered as in the past.

    First to the end of the period, then within 1, 2, … `ahead` weeks.
    """
    usual = _mean(won, here.day)
    stages = pd.unique(np.concatenate([o.panel["stage"].to_numpy() for o in [*past, here]]))
    sums, unseen = np.zeros((4, (1 + ahead) * len(stages) * len(BUCKETS))), np.zeros(1 + ahead)
    for o in past:
        spans = _spans(o, ahead)
        fate = won.reindex(o.panel["opportunity_id"])
        within = (fate["closed_date"] - o.day).dt.days.to_numpy()[:, None] <= spans
        came = np.where(within, fate["amount"].to_numpy()[:, None], 0.0)
        amount = np.broadcast_to(o.panel["amount"].fillna(usual).to_numpy()[:, None], came.shape)
        kind = _kinds(o, spans, stages).ravel()
        for k, values in enumerate((came > 0, np.ones(came.shape), came, amount)):
            sums[k] += np.bincount(kind, weights=values.ravel(), minlength=sums.shape[1])
        days = (won["closed_date"] - o.day).dt.days.to_numpy()
        near = np.flatnonzero((days > 0) & (days <= spans.max()))
        fresh = near[~won.index[near].isin(o.panel["opportunity_id"])]
        unseen += won["amount"].to_numpy()[fresh] @ (days[fresh, None] <= spans)
    mine = _kinds(here, _spans(here, ahead), stages)
    amount = here.panel["amount"].fillna(usual).to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.nan_to_num(sums[0] / sums[1]), np.nan_to_num(sums[2] / sums[3])
    by_deals, by_amounts = (amount @ share[mine] + unseen / len(past) for share in shares)
    return by_deals, by_amounts


BUCKETS = ("none", "past", "in", "next", "later")


def _spans(o: Origin, ahead: int) -> np.ndarray:
    """Days to the end of the period, and of 1, 2, … `ahead` weeks."""
    return np.r_[(o.last - o.day).days, 7 * np.arange(1, ahead + 1)]


def _kinds(o: Origin, spans: np.ndarray, stages: np.ndarray) -> np.ndarray:
    """A number for stage, close-date bucket and span of each deal (rows) and each span (columns)."""
    due = o.panel["due"].to_numpy("float64")[:, None]
    bucket = np.select([np.isnan(due), due < 0, due <= spans, due <= spans + o.period.days], [0, 1, 2, 3], 4)
    stage = pd.Index(stages).get_indexer(pd.Index(o.panel["stage"]))[:, None]
    return np.asarray((np.arange(len(spans)) * len(stages) + stage) * len(BUCKETS) + bucket)


def _mean(won: pd.DataFrame, day: pd.Timestamp) -> float:
    sold = won.loc[(won["closed_date"] <= day) & (won["amount"] > 0), "amount"]
    return float(sold.mean()) if len(sold) else 0.0
