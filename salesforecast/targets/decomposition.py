"""From the year to the day and to each product, region, team, rep and partner: the plan as history and potential would have it.

What comes out are baseline cells; the plan keeps all wishes on top of them and makes every sum exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from salesforecast.errors import SettingError, unknown
from salesforecast.periods import ONE_DAY, Period, period_at
from salesforecast.targets.pattern import A_YEAR, SEASONED, Pattern, drawn, log_ratio, pattern
from salesforecast.targets.promotions import lifts, promotions_of, without
from salesforecast.targets.shares import blended, home, leaves_of, rates, shares_of
from salesforecast.targets.sold import between, has
from salesforecast.targets.staffing import there

TIMES = ("year", "quarter", "month", "week", "day")
VACANT = "vacant"


def baseline(
    sales: pd.DataFrame,
    span: Period,
    *,
    by: Sequence[str] | str = (),
    every: str = "month",
    as_of: pd.Timestamp | None = None,
    total: float = 0.0,
    days: Pattern | None = None,
    potential: pd.DataFrame | None = None,
    blend: float = 0.5,
    promotions: pd.DataFrame | None = None,
    people: pd.DataFrame | None = None,
    ramp: pd.DataFrame | None = None,
    country: str = "",
) -> pd.DataFrame:
    """The period's target spread over time and over the names, as history and potential would have it.

    *Time*: the pattern of the days (`pattern`) with the season of each cell drawn to that of all by what is known of it. A day
    without work carries nothing; a period without a working day is spread evenly over its days. *Shares*: money sold, a sale
    of a year before counting half, each cell drawn towards the product of its margins by the luck in it, blended with
    the potential where one is given. *Promotions* lift their days in the cells they name, past ones are taken out of
    history. *Reps*: a rep's share is what they bring a day of full work, drawn to that of the team; a new hire carries the ramp's share
    of it, and one without any history the team's mean. Who has left carries nothing after the last day of work: what they would
    have carried goes to the rest of the team in proportion to their own shares of the day; to "vacant" where nobody is left.

    Parameters
    ----------
    sales : DataFrame
        day, amount and the columns of `by`; from `sold`.
    span : Period
        What is planned.
    by : sequence of str, or str with commas
        Columns of sales: region, team, rep, product, partner_id, … Cells are the combinations that were sold in the two years before,
        and new hires with what their team sells.
    every : str
        The finest time: year, quarter, month, week or day. A week is cut at the end of a month, so that both add up.
    as_of : Timestamp, optional
        The last day known; the day before the period where none is given.
    total : float
        The target, money; 0 for what the period brings when business goes on, grows and has its season as before.
    days : Pattern, optional
        Else learnt from sales.
    potential : DataFrame
        One or more columns of `by`, and potential (any unit, not negative); names without a row keep their share of history.
    blend : float
        The weight of the potential, 0 to 1; `weigh` says which was best.
    promotions : DataFrame
        start, end (last day), uplift (0.3 sells 30% more), and columns of sales where it is for some names only; of a name that is
        none of the plan's, a cell is lifted by its share of the cell's business.
    people, ramp : DataFrame
        From `staff` and `reps.ramp`; read when rep or rep_id is in `by`.
    country : str
        For public holidays.

    Returns
    -------
    DataFrame
        year, quarter, month, week, day as far as asked for (text), the columns of `by`, baseline (money), new (a name without
        history); by time, then by name: the cells that `plan` begins with.

    Raises
    ------
    MissingTable, SettingError
        For a column that the data do not have, and for one that nobody knows.
    TooLittleData
        Without a quarter of history.
    """
    by = [b.strip() for b in by.split(",") if b.strip()] if isinstance(by, str) else list(by)
    has(sales, *by)
    if every not in TIMES:
        raise unknown("grain of time", every, TIMES)
    end = span.since if as_of is None else min(as_of + ONE_DAY, span.until)
    offers = promotions_of(promotions, sales)
    history = without(sales[sales["day"] < end], offers)
    days = days or pattern(history, end, country=country, fiscal_year_start=span.fiscal_year_start)
    history = between(history, max(days.since, end - 2 * pd.Timedelta(days=A_YEAR)), end)
    leaves = leaves_of(history, by, people, span, end)
    share = shares_of(history, leaves, by, end)
    when = pd.date_range(span.since, span.until - ONE_DAY)
    weight = _daily(sales, leaves, by, days, when)
    name = next((c for c in ("rep_id", "rep") if c in by), "")
    full = np.ones((len(leaves), 1))
    if name and people is not None:
        share = rates(history, leaves, name, share, people, days, ramp)
        full = _present(leaves, name, people, when, ramp)
    share = blended(share, leaves, by, potential, blend)
    carried = share[:, None] * weight
    if name and people is not None:
        leaves, carried = _handed_on(leaves, carried, full, home(leaves, name, people))
    for offer in offers.itertuples():
        inside = np.asarray((when >= offer.start) & (when <= offer.end))
        carried[:, inside] *= 1 + offer.uplift * lifts(leaves, history, offer, by)[:, None]
    if not total >= 0:
        raise SettingError(f"The total is {total}; a plan has a total of 0 or more.")
    total = total or float(days.expected(when).sum())
    return _cells(leaves, carried, when, by, every, span, total)


# ---- days -----------------------------------------------------------------------------------------------------------


def _daily(
    sales: pd.DataFrame, leaves: pd.DataFrame, by: Sequence[str], days: Pattern, when: pd.DatetimeIndex
) -> np.ndarray:
    """The share of each cell's own target that is due on each day, (cells, days): its season drawn to that of all."""
    weight = days.weights(when)
    weight = weight if weight.sum() > 0 else np.ones(len(when))
    out = np.tile(weight, (len(leaves), 1))
    past = pd.date_range(days.since, days.until - ONE_DAY)
    if by and len(leaves) > 1 and len(past) >= SEASONED:
        month = np.asarray(past.month) - 1
        usual = np.bincount(month, days.expected(past), 12)
        known = between(sales, days.since, days.until)
        place = leaves.assign(leaf=range(len(leaves))).merge(known, on=list(by))
        flat = place["leaf"].to_numpy() * 12 + place["day"].dt.month.to_numpy() - 1
        got = np.bincount(flat, place["amount"], 12 * len(leaves)).reshape(-1, 12)
        square = np.bincount(flat, place["amount"] ** 2, 12 * len(leaves)).reshape(-1, 12)
        want = got.sum(axis=1, keepdims=True) * usual / max(usual.sum(), 1e-12)
        raw, noise = log_ratio(got.ravel(), want.ravel(), square.ravel() * days.spread)
        factor = np.ones(len(raw))
        known_cells = want.ravel() > 0
        factor[known_cells] = np.exp(drawn(raw[known_cells], noise[known_cells]))
        out = out * factor.reshape(-1, 12)[:, np.asarray(when.month) - 1]
    whole = out.sum(axis=1, keepdims=True)
    return np.asarray(out / np.where(whole > 0, whole, 1.0))


def _present(
    leaves: pd.DataFrame, name: str, people: pd.DataFrame, when: pd.DatetimeIndex, ramp: pd.DataFrame | None
) -> np.ndarray:
    staff = people.drop_duplicates(name).set_index(name).reindex(leaves[name])
    return there(staff, when, ramp)


def _handed_on(
    leaves: pd.DataFrame, carried: np.ndarray, full: np.ndarray, home: pd.Series
) -> tuple[pd.DataFrame, np.ndarray]:
    """What those not there would have carried, given to the rest of the team by the day; to "vacant" where nobody is left."""
    code, names = pd.factorize(home.to_numpy(), sort=True)
    asked = np.zeros((len(names), carried.shape[1]))
    got = np.zeros_like(asked)
    now = carried * full
    np.add.at(asked, code, carried)
    np.add.at(got, code, now)
    factor = np.where(got > 0, asked / np.where(got > 0, got, 1.0), 0.0)
    out = now * factor[code]
    gone = np.where(got > 0, 0.0, 1.0)[code] * carried
    keep = out.sum(axis=1) > 0
    rows, cells = [leaves[keep]], [out[keep]]
    if (gone.sum(axis=1) > 0).any():
        left = leaves.drop(columns="new").assign(**{c: VACANT for c in ("rep", "rep_id") if c in leaves})[
            gone.sum(axis=1) > 0
        ]
        frame = pd.DataFrame(gone[gone.sum(axis=1) > 0]).groupby([left[c].to_numpy() for c in left.columns]).sum()
        rows.append(frame.index.to_frame(index=False).set_axis(left.columns, axis=1))
        cells.append(frame.to_numpy())
    return pd.concat(rows, ignore_index=True), np.vstack(cells)


# ---- cells ----------------------------------------------------------------------------------------------------------


def _cells(
    leaves: pd.DataFrame,
    carried: np.ndarray,
    when: pd.DatetimeIndex,
    by: Sequence[str],
    every: str,
    span: Period,
    total: float,
) -> pd.DataFrame:
    names = times(when, span.fiscal_year_start)[list(TIMES[: TIMES.index(every) + 1])]
    code = (names != names.shift()).any(axis=1).cumsum().to_numpy() - 1
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]])
    sums = np.add.reduceat(carried, starts, axis=1) / carried.sum()
    cells, buckets = len(leaves), len(starts)
    out = names.iloc[np.repeat(starts, cells)].reset_index(drop=True)
    for name in by:
        out[name] = np.tile(leaves[name].to_numpy(), buckets)
    out["baseline"] = sums.T.ravel() * total
    out["new"] = np.tile(leaves["new"].to_numpy("bool"), buckets)
    return out.sort_values([*names.columns, *by], ignore_index=True, kind="stable")


def times(days: pd.DatetimeIndex, fiscal_year_start: int = 1) -> pd.DataFrame:
    """The names of the year, quarter, month, week and day of each day.

    Examples
    --------
    >>> times(pd.DatetimeIndex(["2025-06-08"])).iloc[0].tolist()
    ['2025', '2025Q2', '2025-06', '2025-W23', '2025-06-08']
    """
    month = days.to_period("M")
    first = {m: period_at(m.start_time, "Q", fiscal_year_start) for m in month.unique()}
    year = {m: period_at(m.start_time, "Y", fiscal_year_start).label for m in first}
    iso = days.isocalendar()
    return pd.DataFrame({
        "year": [year[m] for m in month], "quarter": [first[m].label for m in month], "month": month.astype("str"),
        "week": (iso["year"].astype("str") + "-W" + iso["week"].astype("str").str.zfill(2)).to_numpy(),
        "day": days.strftime("%Y-%m-%d"),
    }).astype("str")  # fmt: skip
