"""The same money laid out better, never outside of what was tried."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import stats, style
from salesforecast.channels.response import Response, response
from salesforecast.errors import TooLittleData
from salesforecast.text import md

LEVELS = 61
ALL = "All"
FIXED = ("spend does not vary", "moves with season or others", "budget follows sales", "not spent on today")


def reallocation(fit: Response, *, level: float = stats.LEVEL) -> pd.DataFrame:
    """Today's total budget, dealt out so that the believed marginal returns are equal.

    What is believed has been drawn towards the mean of all channels, the more so the less a channel tells. Each channel stays between
    the least and the most that was spent on it in any span as long as today. Channels whose answer the data cannot tell
    from season, others, or a budget that follows sales keep what they have.

    Parameters
    ----------
    fit : Response
        From `fitted`.
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame
        channel, spend (a period, today), proposed, least_tried, most_tried, marginal_return, marginal_then (believed, at the proposal),
        added (sales a period) with lower, upper, sure (the probability that it is above 0). Most added to first; the row "All" last.

    Raises
    ------
    TooLittleData
        When no channel can be told to bring anything, or fewer than two can be moved.
    """
    told = response(fit).set_index("channel")["told"].reindex(list(fit.channels))
    moves = np.flatnonzero(~told.isin(FIXED)).tolist()
    if len(moves) < 2 or not (told == "yes").any():
        raise TooLittleData(
            f"No budget can be moved on these data: {int((told == 'yes').sum())} of {style.plural(len(told), 'channel')} can be told to "
            f"bring something, and {len(moves)} may be moved. Budgets that change on purpose, one channel at a time, would tell."
        )
    last, draws = fit.recent, fit.draws
    today = fit.spend[:, -last:].mean(axis=1)
    spans = np.lib.stride_tricks.sliding_window_view(fit.spend, last, axis=1).mean(axis=-1)
    lowest, highest = spans.min(axis=1), spans.max(axis=1)

    def brought(c: int, amount: float) -> np.ndarray:
        """Draws of sales a period at so much spend."""
        return np.asarray(
            draws.gain[:, c] * draws.curves[c].at(amount / today[c], last).mean(axis=1)[draws.curve[:, c]]
        )

    steps = []
    for c in moves:
        amounts = np.linspace(lowest[c], highest[c], LEVELS)
        mean = np.array([brought(c, a).mean() for a in amounts])
        corners = _hull(amounts, mean)
        slopes, widths = np.diff(mean[corners]) / np.diff(amounts[corners]), np.diff(amounts[corners])
        steps += [(slope, width, c) for slope, width in zip(slopes, widths, strict=True)]
    proposed = today.copy()
    proposed[moves] = lowest[moves]
    left = today[moves].sum() - lowest[moves].sum()
    for _, width, c in sorted(steps, key=lambda step: (-step[0], step[2])):
        proposed[c] += (part := min(width, left))
        left -= part
    added = np.zeros((len(today), len(draws.gain)))
    for c in moves:
        added[c] = brought(c, proposed[c]) - brought(c, today[c])
    small = 0.001

    def marginal(c: int, amount: float) -> float:
        if not today[c]:
            return np.nan
        more, less = max(amount, 1e-9 * today[c]) * (1 + small), max(amount, 1e-9 * today[c]) * (1 - small)
        return float((brought(c, more) - brought(c, less)).mean() / (more - less))

    frame = pd.DataFrame({
        "channel": fit.channels, "spend": today, "proposed": proposed, "least_tried": lowest, "most_tried": highest,
        "marginal_return": [marginal(c, a) for c, a in enumerate(today)], "marginal_then": [marginal(c, a) for c, a in enumerate(proposed)],
    })  # fmt: skip
    frame["more"] = frame["proposed"] - frame["spend"]
    frame = pd.concat([frame, pd.DataFrame({"channel": [ALL], "spend": [today.sum()], "proposed": [proposed.sum()]})])
    values = np.vstack([added, added.sum(axis=0)])
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2], axis=1)
    frame = frame.assign(added=values.mean(axis=1), lower=low, upper=high, sure=(values > 0).mean(axis=1))
    order = pd.concat([frame[:-1].sort_values(["more", "channel"], ascending=[False, True]), frame[-1:]])
    return order.drop(columns="more").reset_index(drop=True)


def _hull(x: np.ndarray, y: np.ndarray) -> list[int]:
    """The corners of the least concave curve that lies nowhere below the points."""
    corners: list[int] = []
    for i in range(len(x)):
        while len(corners) > 1 and (y[i] - y[corners[-2]]) * (x[corners[-1]] - x[corners[-2]]) >= (
            y[corners[-1]] - y[corners[-2]]
        ) * (x[i] - x[corners[-2]]):
            corners.pop()
        if not corners or x[i] > x[corners[-1]]:
            corners.append(i)
    return corners


def finding_reallocation(reallocation: pd.DataFrame) -> str:
    """One sentence: what moving the money would add, or that no move can be told to pay."""
    total, rows = reallocation.iloc[-1], reallocation[:-1]
    moved = rows["proposed"] - rows["spend"]
    if total["lower"] <= 0 or moved.max() <= 0.01 * total["spend"]:
        return (
            "No shift of the budget within what was tried **can be told to pay** "
            f"(95% interval {style.between(total['lower'], total['upper'], style.money)} of sales a period)."
        )
    to, source = rows.loc[moved.idxmax(), "channel"], rows.loc[moved.idxmin(), "channel"]
    return (
        f"Moving {style.money(moved.clip(lower=0).sum())} a period, most to **{md(to)}** and from **{md(source)}**, goes with "
        f"{style.money(total['added'])} more sales ({style.between(total['lower'], total['upper'], style.money)})."
    )


def chart_reallocation(reallocation: pd.DataFrame) -> alt.LayerChart:
    """Per channel the spend proposed, in the range that was tried."""
    rows, say = reallocation[:-1], style.figure(2)
    shown = rows.assign(lower=rows["least_tried"], upper=rows["most_tried"])
    named = rows.loc[rows["proposed"] - rows["spend"] > 0.01 * rows["spend"].sum(), "channel"].head(1)
    return style.dots(
        shown, "proposed", "channel", fmt=style.money, accent=list(named),
        columns=[("spend", "Today", style.money), ("marginal_return", "Marginal", say), ("marginal_then", "Then", say)],
        title="The same budget, dealt out to equal marginal returns",
        subtitle="Spend a period: the dot is proposed, the line the range tried",
    )  # fmt: skip
