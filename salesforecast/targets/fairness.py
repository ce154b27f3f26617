"""Are quotas fair: does attainment depend on what a rep was given, or on what they reached the year before."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from scipy.stats import t

from salesforecast import shrinkage, style
from salesforecast.errors import TooLittleData

ALPHA = 0.05  # over both tests together
LEAST = 8  # reps
TESTS = {
    "potential": "twice the potential",
    "results": "twice the result of the year before",
}


def fairness(record: pd.DataFrame, *, alpha: float = ALPHA) -> pd.DataFrame:
    """Whether attainment goes with potential, or with the result of the year before, where fair quotas have neither.

    A quota that takes the potential into account leaves attainment the same on rich and poor territories: a slope of 0. One that rises with
    last year's result punishes it (the ratchet: a slope below 0), one that ignores who sells well has a slope above 0. Attainment
    is held against the logarithm of each, differences between periods taken out; errors are clustered by rep, Student's t with reps
    less one; both tests together name something in at most 5 of 100 fair companies (Holm 1979).

    Parameters
    ----------
    record : DataFrame
        period, rep, potential, results (a day of full work, from `record`), target, booked; periods with both target and booked count.

    Returns
    -------
    DataFrame
        driver (potential, results), slope (change of attainment, as a fraction, when the driver doubles), lower, upper (95%), p, q (Holm),
        n (reps), periods, explained (share of the variance of attainment), verdict (above, below, same).

    Raises
    ------
    TooLittleData
        With fewer than 8 reps that had a target and a result.

    Source
    ------
    Weitzman (1980) on the ratchet; Liang & Zeger (1986) on clustered errors; Holm (1979).
    """
    known = record[(record["target"] > 0) & record["booked"].notna()]
    reps = known["rep"].nunique()
    if reps < LEAST:
        raise TooLittleData(
            f"{style.plural(reps, 'rep')} had a target in a period that is over; whether quotas are fair is told among {LEAST} or more."
        )
    rows = []
    for driver in TESTS:
        some = known[known[driver] > 0]
        x = np.log2(some[driver].to_numpy("float64"))
        y = (some["booked"] / some["target"]).to_numpy()
        group = some["period"].to_numpy()
        x, y = _within(x, group), _within(y, group)
        spread = float((x**2).sum())
        code, names = pd.factorize(some["rep"])
        if spread < 1e-9 or len(names) < LEAST:
            continue
        slope = float((x * y).sum() / spread)
        rest = y - slope * x
        # HC3-like: each rep's residuals scaled up by what the rep itself weighs in the slope
        own = np.bincount(code, x**2, len(names)) / spread
        score = np.bincount(code, x * rest, len(names)) / np.maximum(1 - own, 0.1)
        error = float(np.sqrt((score**2).sum()) / spread)
        df = len(names) - 1
        p = float(2 * t.sf(abs(slope) / error, df)) if error > 0 else 1.0
        wide = float(t.ppf(0.975, df)) * error
        explained = 1 - float((rest**2).sum() / max((y**2).sum(), 1e-12))
        rows.append((driver, slope, slope - wide, slope + wide, p, len(names), some["period"].nunique(), explained))
    if not rows:
        raise TooLittleData("Potential and results do not differ between the reps, so nothing can go with them.")
    frame = pd.DataFrame(rows, columns=["driver", "slope", "lower", "upper", "p", "n", "periods", "explained"])
    frame.insert(5, "q", shrinkage.holm(frame["p"].to_numpy()))
    side = np.where(frame["slope"] > 0, "above", "below")
    return frame.assign(verdict=np.where(frame["q"] < alpha, side, "same"))


def _within(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Values less the mean of their group."""
    series = pd.Series(values)
    return np.asarray(series - series.groupby(group).transform("mean"))


def finding_fairness(fairness: pd.DataFrame) -> str:
    """One or two sentences: what attainment goes with, or that nothing unfair can be told."""
    unfair = fairness[fairness["verdict"] != "same"]
    if unfair.empty:
        wide = fairness.set_index("driver")
        row = wide.iloc[0]
        return (
            f"**No unfairness can be told**: with {TESTS[str(wide.index[0])]} attainment changes by {style.points(row['slope'])} "
            f"(95% interval {style.between(row['lower'], row['upper'], style.points)}, {style.plural(int(row['n']), 'rep')})."
        )
    said = []
    for row in unfair.itertuples():
        interval = style.between(row.lower, row.upper, style.points)
        what = f"With {TESTS[str(row.driver)]} attainment changes by **{style.points(row.slope)}** (95% interval {interval})"
        meaning = {
            ("potential", "above"): "quotas ask too little of rich territories",
            ("potential", "below"): "quotas ask too much of rich territories",
            ("results", "above"): "quotas ask too little of those who sold more",
            ("results", "below"): "a good year is punished by the next quota",
        }[(str(row.driver), str(row.verdict))]
        said.append(f"{what}: {meaning}.")
    return " ".join(said)


def chart_fairness(fairness: pd.DataFrame) -> alt.LayerChart:
    """How attainment changes when a driver doubles, with intervals; fair is 0."""
    words = {"potential": "Potential", "results": "Last year's result"}
    return style.dots(
        fairness.assign(what=fairness["driver"].map(words)), "slope", "what", fmt=style.points, line=0.0, line_label="fair",
        verdict="verdict", title="Change of attainment when it doubles", subtitle="Points of attainment; 95% intervals, clustered by rep",
    )  # fmt: skip


def table_fairness(fairness: pd.DataFrame) -> pd.DataFrame:
    """The tests as the page's table has them."""
    return fairness.rename(columns={"slope": "change_share", "n": "reps"})
