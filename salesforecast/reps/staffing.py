"""How many wins a month a rep brings by tenure, how long people stay, and what a win brings: what capacity rests on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from salesforecast import shrinkage, style
from salesforecast.errors import MissingTable, TooLittleData
from salesforecast.observed import need
from salesforecast.periods import ONE_DAY
from salesforecast.reps.coaching import mean_amounts
from salesforecast.reps.staff import roster
from salesforecast.tables import Crm

TENURE = (
    91,
    182,
    273,
    365,
    730,
)  # days: a step for each quarter of the first year, one for the second year, one for after
YEAR = 4  # steps that make up the first year
DAYS = 365.25 / 12
LEAST = 12  # months of data, and
REPS = 3  # reps with wins: fewer have no capacity to speak of
DRAWS = 2000
ROUNDS = 60
FILLED = 0.9  # of the wins
SHARED = 0.15  # spread of the luck all share in a quarter, in logs, before anything is known; counts as
QUARTERS = 8


@dataclass(frozen=True)
class Staffing:
    """What was learnt of wins a month: by tenure, by month of the year, by rep; how long people stay; what a win brings.

    `pace` and `level` are draws, (draws, steps of tenure) and (draws, reps); `leaving` the chance to leave in a month, in the
    first year and after, (draws, 2); `shock` the spread of the luck that all share in a quarter, in logs (taken for that of a
    whole year too); `shape` that of the gamma levels of reps.
    """

    staff: pd.DataFrame
    pace: np.ndarray
    season: np.ndarray
    level: np.ndarray
    leaving: np.ndarray
    amount: np.ndarray
    spread: float
    shock: float
    shape: float
    as_of: pd.Timestamp


def staffing(crm: Crm, *, seed: int = 0) -> Staffing:
    """Everything `capacity` and `hire_or_improve` rest on, learnt from everybody who was ever here.

    Wins of rep i in month m are Poisson with mean a(i) f(tenure) s(month of the year) × the share of the month's working days
    the rep was there; the levels a(i) are gamma with mean 1 over all ever hired, so who left early does not lift f. Leaving
    is a chance a month, one in the first year and one after, of everybody who was there. The amounts won differ by rep, drawn
    towards the mean of all the more the fewer they are.

    Parameters
    ----------
    crm : Crm
        Reps with start_date (and end_date); opportunities with closed_date (and amount).
    seed : int

    Raises
    ------
    MissingTable
        Without start dates.
    TooLittleData
        With fewer than 12 months of data, or fewer than 3 reps who won something.
    """
    staff = roster(crm)
    need(crm.opportunities, "rep_id", "closed_date")
    if staff["start_date"].isna().all():
        raise MissingTable("This needs the first day of work of each rep. Map start_date of the reps.")
    staff = staff[staff["start_date"].notna() & (staff["start_date"] <= crm.as_of)].reset_index(drop=True)
    months = _months(crm)
    count, here, step, money = _panel(crm, staff, months)
    if len(months) < LEAST or (count.sum(axis=1) > 0).sum() < REPS:
        months_known, winners = (
            style.plural(len(months), "whole month"),
            style.plural(int((count.sum(axis=1) > 0).sum()), "rep"),
        )
        raise TooLittleData(
            f"{months_known} and {winners} with wins are known; capacity needs {LEAST} months and {REPS} reps."
        )
    rng = np.random.default_rng(seed)
    of_year = months.month.to_numpy() - 1
    pace, season, usual, shape = _fit(count, here, step, of_year)
    level = rng.gamma(shape + count.sum(axis=1), 1 / (shape + usual.sum(axis=1)), (DRAWS, len(staff)))
    mean = usual * ((shape + count.sum(axis=1)) / (shape + usual.sum(axis=1)))[:, None]
    wins = np.array([count[step == k].sum() for k in range(len(pace))])
    pace = pace * rng.gamma(wins + 0.5, 1 / np.maximum(wins, 0.5), (DRAWS, len(pace)))
    quarter = np.unique(months.asfreq("Q").astype(str), return_inverse=True)[1]
    got, meant = (np.bincount(quarter, weights=m.sum(axis=0)) for m in (count, mean))
    excess = ((got - meant) ** 2 - meant) / np.maximum(meant, 1) ** 2
    shared = max(0.0, (excess.sum() + QUARTERS * SHARED**2) / (len(excess) + QUARTERS))
    return Staffing(
        staff,
        pace,
        season,
        level,
        _leaving(staff, crm, rng),
        *_amounts(money, len(staff), rng),
        float(np.sqrt(shared)),
        shape,
        crm.as_of,
    )


def _months(crm: Crm) -> pd.PeriodIndex:
    """The whole months of the data from when most of the wins that were to come had been entered, at most the last four years."""
    deals = crm.opportunities
    won, first = deals[deals["outcome"] == "won"], crm.first_day
    if "created_date" in deals and (age := (won["closed_date"] - won["created_date"]).dt.days).notna().any():
        first = first + pd.Timedelta(
            days=int(age.quantile(FILLED))
        )  # before, the deals of those months are not in the data
    months = pd.period_range(
        first.to_period("M") + int(first.day > 1), (crm.as_of + ONE_DAY).to_period("M") - 1, freq="M"
    )
    return months[-48:]


def _panel(
    crm: Crm, staff: pd.DataFrame, months: pd.PeriodIndex
) -> tuple[np.ndarray, np.ndarray, np.ndarray, pd.DataFrame]:
    """(rep, month): wins, working days there, step of tenure; and the amounts won by rep."""
    deals = crm.opportunities
    won = deals[(deals["outcome"] == "won") & deals["closed_date"].notna()]
    rep = pd.Index(staff["rep_id"]).get_indexer(won["rep_id"])
    month = months.get_indexer(pd.PeriodIndex(won["closed_date"], freq="M"))
    count = np.zeros((len(staff), len(months)))
    inside = (rep >= 0) & (month >= 0)
    np.add.at(count, (rep[inside], month[inside]), 1)
    amount = won["amount"] if "amount" in won else pd.Series(np.nan, index=won.index)
    money = pd.DataFrame({"rep": rep[inside], "amount": amount[inside].to_numpy("float64")})
    money = money[money["amount"] > 0]
    return count, present(staff, months), step_of(staff, months), money


def present(staff: pd.DataFrame, months: pd.PeriodIndex) -> np.ndarray:
    """(rep, month): the working days each was there, as a share of those of a usual month."""
    first, last = (t.to_numpy("datetime64[D]") for t in (months.start_time, months.end_time.normalize() + ONE_DAY))
    begin = np.maximum(staff["start_date"].to_numpy("datetime64[D]")[:, None], first)
    gone = (staff["end_date"] + ONE_DAY).fillna(pd.Timestamp("2200-01-01")).to_numpy("datetime64[D]")
    end = np.maximum(np.minimum(gone[:, None], last), begin)
    return np.busday_count(begin, end) / DAYS * 7 / 5


def step_of(staff: pd.DataFrame, months: pd.PeriodIndex) -> np.ndarray:
    """(rep, month): the step of tenure each was on in the middle of the month."""
    middle = months.start_time.to_numpy("datetime64[D]") + np.timedelta64(15, "D")
    days = (middle - staff["start_date"].to_numpy("datetime64[D]")[:, None]).astype("int64")
    return np.digitize(days, TENURE)


def _fit(
    count: np.ndarray, here: np.ndarray, step: np.ndarray, of_year: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """The pace by tenure, the season (mean 1, drawn towards none), the usual wins of a rep of level 1, the shape of the levels."""
    steps, there = len(TENURE) + 1, here.sum(axis=1) > 0
    level, season, shape = np.ones(len(count)), np.ones(12), 5.0
    for _ in range(ROUNDS):
        base = here * level[:, None] * season[of_year]
        seen = np.array([base[step == k].sum() for k in range(steps)])
        wins = np.array([count[step == k].sum() for k in range(steps)])
        pace = np.where(seen > 0, wins / np.where(seen > 0, seen, 1), np.nan)
        known = np.flatnonzero(~np.isnan(pace))
        pace = pace[
            known[np.abs(known[:, None] - np.arange(steps)).argmin(axis=0)]
        ]  # a step nobody was in: the nearest
        usual = here * pace[step] * season[of_year]
        level = (shape + count.sum(axis=1)) / (shape + usual.sum(axis=1))
        level = level / level[there].mean()
        total, expected = count.sum(axis=1)[there], usual.sum(axis=1)[there]
        excess = ((total - expected) ** 2 - expected).sum() / max((expected**2).sum(), 1e-9)
        shape = 1 / max(excess, 0.01)
        flat = (here * pace[step] * level[:, None]).sum(axis=0)
        season = (np.bincount(of_year, weights=count.sum(axis=0), minlength=12) + 20) / (
            np.bincount(of_year, weights=flat, minlength=12) + 20
        )
        season = season / np.average(season, weights=np.bincount(of_year, minlength=12))
    return pace, season, here * pace[step] * season[of_year], float(shape)


def _leaving(staff: pd.DataFrame, crm: Crm, rng: np.random.Generator) -> np.ndarray:
    """The chance to leave in a month, in the first year and after, (draws, 2): those who left over the months at risk."""
    first = max(crm.first_day, staff["start_date"].min())
    gone = staff["end_date"].notna() & (staff["end_date"] <= crm.as_of)
    end = staff["end_date"].where(gone, crm.as_of)
    year = staff["start_date"] + pd.Timedelta(days=365)
    parts = []
    for since, until in ((staff["start_date"], year), (year, pd.Series(pd.Timestamp("2200-01-01"), index=staff.index))):
        begin, over = since.clip(lower=first), end.where(end < until, until)
        at_risk = ((over - begin).dt.days.clip(lower=0) / DAYS).sum()
        left = (gone & (end >= begin) & (end < until) & (end >= since)).sum()
        parts.append(rng.gamma(left + 0.5, 1 / (at_risk + 12), DRAWS))  # half of one in a year before anything is known
    return 1 - np.exp(-np.column_stack(parts))


def _amounts(money: pd.DataFrame, reps: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """(draws, reps): the mean amount a rep's win brings, and how one differs from the next, as a share of it."""
    if len(money) < REPS:
        return np.full((DRAWS, reps), np.nan), np.nan
    by = money.groupby("rep")["amount"].agg(["mean", "size"]).reindex(range(reps))
    spread = max(0.01, float((money["amount"] / money["rep"].map(by["mean"])).std()))
    known = (by["size"] > 0).to_numpy()
    draws = np.tile(np.log(mean_amounts(money["amount"], DRAWS))[:, None], reps)
    found = shrinkage.shrunk(
        np.log(by["mean"][known]).to_numpy(), spread**2 / by["size"][known].to_numpy(), draws=DRAWS
    )
    draws[:, known] = found.draws
    return np.exp(draws), spread
