"""How long it takes a new rep to get up to speed, with those who left counted."""

from __future__ import annotations

from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import stats, style
from salesforecast.errors import MissingTable, TooLittleData
from salesforecast.periods import ONE_DAY
from salesforecast.reps.coaching import mean_amounts
from salesforecast.reps.staff import roster
from salesforecast.tables import Crm

SPAN = 91  # days of a quarter of tenure
QUARTERS = 8
HIRED = 5  # fewer reps hired since the data begin do not make a curve
ROUNDS = 50
REPLICATES = 200


def ramp(crm: Crm) -> pd.DataFrame:
    """Wins a quarter by time since hiring, of everybody hired since the data begin, and of those still here.

    Somebody who leaves is missing from later quarters, so a plain mean there is that of the ones who stayed. Here each rep has a
    level and all share one curve: wins of rep i in quarter t are Poisson with mean a_i f(t), the a_i gamma with mean 1 over
    all who were hired, so f(t) is what the average rep hired brings, whoever has left by then. Quarters that are not over are
    left out.

    Parameters
    ----------
    crm : Crm
        Reps with start_date (and end_date); opportunities with closed_date.

    Returns
    -------
    DataFrame
        quarter (of tenure, 1 first), n (reps observed in it), wins (of the average rep hired), lower, upper (95%, by resampling
        reps), stayers (mean of those still here), n_stayers, staying (share of the hired who are still here at its end).

    Raises
    ------
    MissingTable
        Without start dates.
    TooLittleData
        With fewer than 5 reps hired since the data begin.
    """
    seen = _hired(crm)
    curve, draws = _curve(seen.count, seen.watched), _draws(seen)
    lower, upper = stats.quantile_interval(draws)
    there = seen.watched & ~seen.gone[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        stayers = (seen.count * there).sum(axis=0) / there.sum(axis=0)
    frame = pd.DataFrame({
        "quarter": np.arange(1, QUARTERS + 1), "n": seen.watched.sum(axis=0), "wins": curve, "lower": lower, "upper": upper,
        "stayers": stayers, "n_stayers": there.sum(axis=0), "staying": _staying(seen.days, seen.gone),
    })  # fmt: skip
    return frame[frame["n"] > 0].reset_index(drop=True)


@dataclass(frozen=True)
class _Hired:
    """The reps hired since the data begin: wins by quarter of tenure, which of these were observed, days, and who has left."""

    count: np.ndarray
    watched: np.ndarray
    days: np.ndarray
    gone: np.ndarray


def _hired(crm: Crm) -> _Hired:
    staff, wins = roster(crm), crm.opportunities
    if staff["start_date"].isna().all():
        raise MissingTable("This needs the first day of work of each rep. Map start_date of the reps.")
    hired = staff[(staff["start_date"] >= crm.first_day) & (staff["start_date"] <= crm.as_of)].reset_index(drop=True)
    if len(hired) < HIRED:
        raise TooLittleData(
            f"{style.plural(len(hired), 'rep')} {'was' if len(hired) == 1 else 'were'} hired since the data begin; a curve needs {HIRED}."
        )
    wins = wins[(wins["outcome"] == "won") & wins["closed_date"].notna()]
    place = pd.Index(hired["rep_id"]).get_indexer(wins["rep_id"])
    day = (wins["closed_date"].to_numpy() - hired["start_date"].to_numpy()[place]) // ONE_DAY.to_numpy()
    mine = (place >= 0) & (day >= 0) & (day < SPAN * QUARTERS)
    count = np.zeros((len(hired), QUARTERS))
    np.add.at(count, (place[mine], day[mine] // SPAN), 1)
    gone = (hired["end_date"].notna() & (hired["end_date"] <= crm.as_of)).to_numpy()
    days = ((hired["end_date"].where(gone, crm.as_of) - hired["start_date"]) / ONE_DAY + 1).to_numpy()
    watched = np.arange(1, QUARTERS + 1) * SPAN <= days[:, None]
    watched &= watched.sum(axis=0) >= 2
    if not watched[:, 0].any():
        raise TooLittleData("Fewer than 2 of the reps hired since the data begin have been here for a quarter.")
    return _Hired(count * watched, watched, days, gone)


def _draws(seen: _Hired) -> np.ndarray:
    """The curve of resampled reps, (draws, quarters)."""
    rng, n = np.random.default_rng(0), len(seen.days)
    chosen = [rng.integers(0, n, n) for _ in range(REPLICATES)]
    return np.array([_curve(seen.count[rows], seen.watched[rows]) for rows in chosen])


def _curve(count: np.ndarray, watched: np.ndarray) -> np.ndarray:
    """f(t): what the average of all who were hired brings in each quarter of tenure."""
    with np.errstate(invalid="ignore", divide="ignore"):
        curve = np.where(watched.any(axis=0), count.sum(axis=0) / watched.sum(axis=0), np.nan)
        total, shape = count.sum(axis=1), 5.0
        known = watched.any(axis=1)
        for _ in range(ROUNDS):
            usual = np.nansum(watched * curve, axis=1)
            level = (shape + total) / (shape + usual)
            level = level / level[known].mean()
            curve = (count * watched).sum(axis=0) / (watched * level[:, None]).sum(axis=0)
            usual = np.nansum(watched * curve, axis=1)
            excess = ((total - usual)[known] ** 2 - usual[known]).sum() / max((usual[known] ** 2).sum(), 1e-9)
            shape = 1 / max(excess, 0.01)
    return np.asarray(curve)


def _staying(days: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """The share still here at the end of each quarter of tenure, those still here counted as long as they have been."""
    outcome = np.where(gone, "lost", "open")
    length = days.astype("int64") - 1
    table = stats.life_table(
        np.zeros(len(days), dtype="int64"), length, outcome, np.zeros(len(days), dtype="int64"), 1, int(SPAN * QUARTERS)
    )
    _, left = stats.incidence(table, np.ones((1, 1)))
    return np.asarray(1 - left[0][np.arange(1, QUARTERS + 1) * SPAN - 1])


def finding_ramp(ramp: pd.DataFrame) -> str:
    """One sentence: what a rep hired brings after a year, and how much those still here flatter it."""
    now = ramp[ramp["quarter"] <= 4].iloc[-1]
    first = ramp.iloc[0]
    flatter = now["stayers"] / now["wins"] - 1
    left = 1 - now["staying"]
    words = (
        f"The average rep hired wins **{style.figure(1)(now['wins'])} deals** in quarter {style.count(now['quarter'])} of tenure (95% "
        f"interval {style.between(now['lower'], now['upper'], style.figure(1))}), {style.figure(1)(first['wins'])} in the first."
    )
    if left > 0 and pd.notna(flatter) and abs(flatter) >= 0.005:
        words += (
            f" Those still here alone would say {style.figure(1)(now['stayers'])}: {style.percent(abs(flatter))} too "
            f"{'many' if flatter > 0 else 'few'}, for {style.percent(left)} have left by then."
        )
    elif left <= 0:
        words += " Nobody hired has left by then."
    return words


def chart_ramp(ramp: pd.DataFrame) -> alt.LayerChart:
    """Wins a quarter by quarter of tenure: of the average rep hired, and of those still here."""
    sides = pd.concat([
        ramp.assign(series="all hired", value=ramp["wins"]),
        ramp.assign(series="still here", value=ramp["stayers"], lower=np.nan, upper=np.nan),
    ])  # fmt: skip
    return style.lines(
        sides, "quarter", "value", "series", fmt=style.figure(1), main="all hired", band=True, x_title="quarters since hiring",
        title="Wins a quarter since hiring", subtitle="Average of everybody hired since the data begin, leavers too; 95% band",
    )  # fmt: skip


def hire_or_improve(crm: Crm, gaps: pd.DataFrame) -> pd.DataFrame:
    """What one more rep would book in the first year, beside what help at one stage would bring where it is worth most.

    A new rep's first year is the curve of `ramp` over four quarters, each times the share of the hired who are still there at its
    beginning, times the mean amount won in the last year. It holds where there are deals enough for one more: else the new rep works
    what the others would have worked.

    Parameters
    ----------
    crm : Crm
        As for `ramp`; costs where there are.
    gaps : DataFrame
        From `stage_gaps`.

    Returns
    -------
    DataFrame
        option, worth (money, first year), lower_90, upper_90, cost (a year's mean cost of a rep present; missing for help, and
        without costs).

    Raises
    ------
    TooLittleData
        As `ramp`, and when nobody hired has been here for a year.
    """
    seen = _hired(crm)
    if not seen.watched[:, 3].any():
        raise TooLittleData(
            "Nobody hired since the data begin has been here for a year, so a first year cannot be valued."
        )
    deals = crm.opportunities
    won = deals[(deals["outcome"] == "won") & (deals["closed_date"] > crm.as_of - pd.DateOffset(years=1))]
    amounts = won["amount"] if "amount" in won else pd.Series(dtype="float64")
    here = np.r_[1.0, _staying(seen.days, seen.gone)[:3]]
    year = _draws(seen)[:, :4] @ here * mean_amounts(amounts, REPLICATES)
    low, high = np.nanquantile(year, [0.05, 0.95])
    top = gaps.iloc[0]
    return pd.DataFrame({
        "option": ["One more rep", "Help at one stage, for one rep"],
        "worth": [float(_curve(seen.count, seen.watched)[:4] @ here * amounts.mean()), top["worth"]],
        "lower_90": [low, top["lower_90"]], "upper_90": [high, top["upper_90"]], "cost": [_cost(crm), np.nan],
    })  # fmt: skip


def _cost(crm: Crm) -> float:
    """What a rep costs a year: the costs by rep of the last twelve months over the reps who had any, by month."""
    if "costs" not in crm:
        return np.nan
    months = pd.period_range(end=crm.as_of + ONE_DAY, periods=13, freq="M")[:-1].astype(str)
    costs = crm.costs[crm.costs["period"].isin(months) & crm.costs["rep_id"].notna()]
    present = costs[["period", "rep_id"]].drop_duplicates()
    return float(12 * costs["cost"].sum() / len(present)) if len(present) else np.nan


def finding_hire_or_improve(options: pd.DataFrame) -> str:
    """One sentence: which of the two would bring more, or that it cannot be told."""
    hire, help_ = options.iloc[0], options.iloc[1]
    said = [
        f"{style.money(o['worth'])} (90% interval {style.between(o['lower_90'], o['upper_90'], style.money)})"
        for o in (hire, help_)
    ]
    cost = "" if pd.isna(hire["cost"]) else f", at a cost of about {style.money(hire['cost'])}"
    clear = hire["lower_90"] > help_["upper_90"] or help_["lower_90"] > hire["upper_90"]
    end = "" if clear else " Which is more cannot be told."
    hired = f"With deals enough, one more rep would book **{said[0]}** in the first year{cost}"
    return f"{hired}; help at the stage worth most, {said[1]}.{end}"


def chart_hire_or_improve(options: pd.DataFrame) -> alt.LayerChart:
    """The worth of both, with their intervals."""
    return style.dots(
        options.assign(lower=options["lower_90"], upper=options["upper_90"]), "worth", "option", fmt=style.money,
        title="What either would bring in a year", subtitle="Bookings of the first year; 90% intervals; costs not taken off",
    )  # fmt: skip
