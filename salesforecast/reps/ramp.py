"""How long it takes a new rep to get up to speed, with those who left counted."""

from __future__ import annotations

from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import stats, style
from salesforecast.errors import MissingTable, TooLittleData
from salesforecast.observed import need
from salesforecast.periods import ONE_DAY
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
    seen = hired(crm)
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


def hired(crm: Crm) -> _Hired:
    """The reps hired since the data begin; refused where they are too few to make a curve."""
    staff, wins = roster(crm), crm.opportunities
    need(wins, "rep_id", "closed_date")
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
