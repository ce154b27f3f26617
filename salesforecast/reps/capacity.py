"""What the people here can be expected to book in the next four quarters, and whether to hire or to help."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import shrinkage, style
from salesforecast.errors import TooLittleData
from salesforecast.periods import ONE_DAY
from salesforecast.reps.fair import rates
from salesforecast.reps.ramp import hired
from salesforecast.reps.staffing import DRAWS, REPS, YEAR, Staffing, present, step_of
from salesforecast.tables import Crm

AHEAD = 12  # months
LEVEL = 0.80


def capacity(
    staffing: Staffing, own: pd.DataFrame | None = None, *, months: int = AHEAD, level: float = LEVEL, seed: int = 1
) -> pd.DataFrame:
    """Wins and bookings to be expected of the people here, month by month: the sum of P(still here) × ramp × level × season.

    The range holds what is not known: who leaves, each one's level, the curve of tenure, and the luck of the months, part of
    it shared by all. Nobody is hired in it; it holds where deals come as they came.

    Parameters
    ----------
    staffing : Staffing
        From `staffing`.
    own : DataFrame, optional
        rep_id: only these. Else everybody.
    months, level, seed
        How many months, the level of the ranges, the seed of the draws.

    Returns
    -------
    DataFrame
        period (a month), reps_here (expected to be here), wins, bookings with lower_80, upper_80 (missing without amounts),
        to_date (bookings from the first month on) with to_date_lower_80, to_date_upper_80. In the order of time.

    Raises
    ------
    TooLittleData
        With fewer than 3 people here: this is for planning, and says nothing of one person.
    """
    s = staffing
    here = ~(s.staff["end_date"] <= s.as_of)
    if own is not None:
        here &= s.staff["rep_id"].isin(own["rep_id"])
    rows = np.flatnonzero(here)
    if len(rows) < REPS:
        raise TooLittleData(
            f"Capacity is planned for {REPS} people or more; {style.count(len(rows))} of those on this page "
            f"{'is' if len(rows) == 1 else 'are'} here."
        )
    ahead = pd.period_range(s.as_of.to_period("M") + 1, periods=months, freq="M")
    wins, money, there = _drawn(s, s.staff.iloc[rows].reset_index(drop=True), rows, ahead, seed)
    tail = [0.5 - level / 2, 0.5 + level / 2]
    low, high = np.quantile(money, tail, axis=0)
    summed = money.cumsum(axis=1)
    below, above = np.quantile(summed, tail, axis=0)
    name = f"{100 * level:.0f}"
    return pd.DataFrame({
        "period": ahead.astype(str).astype("str"), "reps_here": there.mean(axis=0), "wins": wins.mean(axis=0),
        "bookings": money.mean(axis=0),
        f"lower_{name}": low, f"upper_{name}": high, "to_date": summed.mean(axis=0), f"to_date_lower_{name}": below,
        f"to_date_upper_{name}": above,
    })  # fmt: skip


def _drawn(
    s: Staffing, staff: pd.DataFrame, rows: np.ndarray, ahead: pd.PeriodIndex, seed: int, fresh: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(draws, months): wins, bookings, people still here. Of `fresh` people nothing is known but what holds for all."""
    rng = np.random.default_rng(seed)
    n = (DRAWS, len(staff))
    level = rng.gamma(s.shape, 1 / s.shape, n) if fresh else s.level[:, rows]
    amount = rng.choice(s.amount.ravel(), n) if fresh else s.amount[:, rows]
    days, step, place = (
        present(staff, ahead),
        step_of(staff, ahead),
        np.unique(ahead.asfreq("Q").astype(str), return_inverse=True)[1],
    )
    luck = rng.standard_normal((DRAWS, 1)) + rng.standard_normal(
        (DRAWS, place.max() + 1)
    )  # of the year, and of each quarter
    shock = np.exp(s.shock * luck - s.shock**2)
    still = np.ones(n)
    wins, money, there = (np.zeros((DRAWS, len(ahead))) for _ in range(3))
    for m, month in enumerate(ahead):
        leaving = np.where(step[:, m] < YEAR, s.leaving[:, :1], s.leaving[:, 1:])
        part = np.where(rng.random(n) < leaving, rng.random(n), 1.0)  # who leaves does so at some time in the month
        mean = (
            still * part * days[:, m] * s.pace[:, step[:, m]] * level * s.season[month.month - 1] * shock[:, [place[m]]]
        )
        got = rng.poisson(mean)
        there[:, m] = (still * (days[:, m] > 0)).sum(axis=1)
        wins[:, m] = got.sum(axis=1)
        money[:, m] = (got * amount).sum(axis=1) * np.maximum(
            0.0, 1 + s.spread * rng.standard_normal(DRAWS) / np.sqrt(np.maximum(got.sum(axis=1), 1))
        )
        still = still * (part == 1.0)
    return wins, money, there


def finding_capacity(capacity: pd.DataFrame) -> str:
    """One sentence: what the people here book in the time ahead, and how many of them are still here at its end."""
    last, first = capacity.iloc[-1], capacity.iloc[0]
    leave = first["reps_here"] - last["reps_here"]
    people = f"The {style.plural(round(first['reps_here']), 'rep')} here"
    gone = (
        f"; {style.figure(1)(leave)} of them {'is' if style.figure(1)(leave) == '1.0' else 'are'} expected to leave by then"
        if leave >= 0.05
        else ""
    )
    if pd.isna(last["to_date"]):
        return f"{people} can be expected to win **{style.plural(round(capacity['wins'].sum()), 'deal')}** in {len(capacity)} months{gone}."
    low, high = (last[f"to_date_{side}_80"] for side in ("lower", "upper"))
    return (
        f"{people} can be expected to book **{style.money(last['to_date'])}** in {len(capacity)} months (80% range "
        f"{style.between(low, high, style.money)}){gone}."
    )


def chart_capacity(capacity: pd.DataFrame) -> alt.LayerChart:
    """Bookings to be expected month by month, with their range."""
    value = "bookings" if capacity["bookings"].notna().any() else "wins"
    data = capacity.assign(series="bookings", lower=capacity["lower_80"], upper=capacity["upper_80"])
    return style.lines(
        data, "period", value, "series", fmt=style.money if value == "bookings" else style.figure(0), band=value == "bookings",
        domain=(0.0, float(np.nanmax(data["upper"])) * 1.05) if value == "bookings" else None,
        title=f"{'Bookings' if value == 'bookings' else 'Wins'} a month of the people here", subtitle="Expected; 80% range; nobody hired",
    )  # fmt: skip


def hire_or_improve(
    crm: Crm, staffing: Staffing, gaps: pd.DataFrame, expected: pd.DataFrame, fair: pd.DataFrame, own: pd.DataFrame
) -> pd.DataFrame:
    """What one more rep would book in the first year, beside what those here would bring at the usual win rate.

    A new rep is one person, drawn from all who were ever hired: level, time to get up to speed, chance to leave, luck. It
    holds where there are deals enough for one more: else the new rep works what the others would have worked. Those behind
    are raised by the gap of their win rate to that of all, drawn towards it (as in `fair`), times the deals they closed in
    the window of `expected`, times what their wins bring; only who is behind is counted, and nobody is named.

    Parameters
    ----------
    crm : Crm
        Reps with start_date; costs where there are.
    staffing : Staffing
        From `staffing`.
    gaps : DataFrame
        From `stage_gaps`.
    expected, fair : DataFrame
        From `expected` and `fair`, of a year.
    own : DataFrame
        The rows of `fair` that the page is about.

    Returns
    -------
    DataFrame
        option, worth (money, in a year), lower_90, upper_90, cost (a year's mean cost of a rep present; missing for help, and
        without costs).

    Raises
    ------
    TooLittleData
        With fewer than 5 reps hired since the data begin, or without amounts.
    """
    hired(crm)
    s = staffing
    if np.isnan(s.amount).all():
        raise TooLittleData("Fewer than 3 wins have an amount, so neither hiring nor help can be valued.")
    rows = [("One more rep", _fresh(s), _cost(crm))]
    behind, draws = _behind(s, expected, fair, own)
    if len(behind):
        rows.append(("Raise the one furthest behind", draws[:, 0], np.nan))
    if len(behind) > 1:
        rows.append((f"Raise all {len(behind)} who are behind", draws.sum(axis=1), np.nan))
    frame = pd.DataFrame([
        {"option": name, "worth": d.mean(), "lower_90": np.quantile(d, 0.05), "upper_90": np.quantile(d, 0.95), "cost": cost}
        for name, d, cost in rows
    ])  # fmt: skip
    top = gaps.head(1)
    if len(top) and top["worth"].iloc[0] > 0:
        help_ = top[["worth", "lower_90", "upper_90"]].assign(option="Help at one stage, for one rep", cost=np.nan)
        frame = pd.concat([frame, help_], ignore_index=True)
    return frame


def _fresh(s: Staffing) -> np.ndarray:
    """Draws of what a new rep books in the first year."""
    new = pd.DataFrame(
        {
            "start_date": [(s.as_of.to_period("M") + 1).start_time],
            "end_date": pd.Series([pd.NaT], dtype="datetime64[us]"),
        }
    )
    ahead = pd.period_range(s.as_of.to_period("M") + 1, periods=AHEAD, freq="M")
    return _drawn(s, new, np.array([0]), ahead, 2, fresh=True)[1].sum(axis=1)


def _behind(
    s: Staffing, expected: pd.DataFrame, fair: pd.DataFrame, own: pd.DataFrame
) -> tuple[pd.DataFrame, np.ndarray]:
    """Those of `own` whose shrunk win rate is below that of all, furthest in money first, and draws of what the gap is worth a year."""
    known = fair[fair["effect"].notna()].reset_index(drop=True)
    believed = shrinkage.shrunk(known["effect"].to_numpy(), (1 / known["information"]).to_numpy(), draws=DRAWS)
    gap = float(rates(expected, np.zeros((1, 1)))[0, 0]) - rates(expected, believed.draws)
    place = pd.Index(s.staff["rep_id"]).get_indexer(known["rep_id"])
    amount = np.where(place >= 0, s.amount[:, place], s.amount.mean(axis=1)[:, None])
    worth = gap * known["closed"].to_numpy() * amount
    mine = np.flatnonzero(known["rep_id"].isin(own["rep_id"]) & (worth.mean(axis=0) > 0))
    mine = mine[np.argsort(-worth[:, mine].mean(axis=0), kind="stable")]
    return known.iloc[mine], worth[:, mine]


def _cost(crm: Crm) -> float:
    """What a rep costs a year: the costs by rep of the last twelve months over the reps who had any, by month."""
    if "costs" not in crm or "rep_id" not in crm.costs:
        return np.nan
    months = pd.period_range(end=crm.as_of + ONE_DAY, periods=13, freq="M")[:-1].astype(str)
    costs = crm.costs[crm.costs["period"].isin(months) & crm.costs["rep_id"].notna()]
    present = costs[["period", "rep_id"]].drop_duplicates()
    return float(12 * costs["cost"].sum() / len(present)) if len(present) else np.nan


def finding_hire_or_improve(options: pd.DataFrame) -> str:
    """One sentence: which of the two would bring more, or that it cannot be told."""
    hire, cost = options.iloc[0], options.iloc[0]["cost"]

    def said(o: pd.Series) -> str:
        return f"{style.money(o['worth'])} (90% interval {style.between(o['lower_90'], o['upper_90'], style.money)})"

    at = "" if pd.isna(cost) else f", at a cost of about {style.money(cost)}"
    hired = f"With deals enough, one more rep would book **{said(hire)}** in the first year{at}"
    if len(options) == 1:
        return f"{hired}; nobody here is behind the usual win rate."
    others = options.iloc[1:]
    best = others.loc[others["worth"].idxmax()]
    clear = hire["lower_90"] > best["upper_90"] or best["lower_90"] > hire["upper_90"]
    end = "" if clear else " Which is more cannot be told."
    other = f"{best['option'][:1].lower()}{best['option'][1:]}".replace("raise", "raising")
    usual = " to the usual win rate" if other.startswith("raising") else ""
    return f"{hired}; {other}{usual}, {said(best)}.{end}"


def chart_hire_or_improve(options: pd.DataFrame) -> alt.LayerChart:
    """The worth of each, with its interval."""
    return style.dots(
        options.assign(lower=options["lower_90"], upper=options["upper_90"]), "worth", "option", fmt=style.money,
        title="What either would bring in a year", subtitle="Bookings of a year; 90% intervals; costs not taken off",
    )  # fmt: skip
