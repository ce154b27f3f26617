"""Which channel does other than it used to: its share of the wins against limits from its own past."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import style
from salesforecast.errors import TooLittleData
from salesforecast.observed import need
from salesforecast.periods import Period, period_at
from salesforecast.tables import NOT_FILLED, Crm
from salesforecast.text import md

PAST = 24  # months behind the limits, at most
ENOUGH = 8  # months, at least
SIGMAS = 3.0
MOVING = 1.128  # the mean range of two, in standard deviations
SIMULATED = 500
MOST = 12  # charts


def signals(crm: Crm, *, period: Period, by: str = "channel") -> pd.DataFrame:
    """Each channel's share of the deals won, month by month, with the limits that its months before the period give.

    The share takes out what moves all channels: season, growth, a good month. The limits are three standard deviations from the mean of
    up to 24 months before the period; the deviation is that of a share of so many wins, times how much more than luck the past months
    moved from one to the next (at least 1).

    Parameters
    ----------
    crm : Crm
        Opportunities with closed dates.
    period : Period
        Its months, as far as they are over, are judged.
    by : str
        What is compared.

    Returns
    -------
    DataFrame
        channel, period (month), wins, n (of all channels), share, centre, low, high, judged (in the period), signal (above, below,
        same; for judged months), false_alarms (expected in all judged months of all channels by luck). Channels by wins, months in order.

    Raises
    ------
    TooLittleData
        With fewer than 8 months before the period, or 2 channels.

    Source
    ------
    Laney (2002), p' charts; Wheeler & Chambers (1992) for the moving range.
    """
    deals = crm.deals
    need(deals, by, "closed_date")
    ended = min(period.until, crm.as_of + pd.Timedelta(days=1))
    won = deals[(deals["outcome"] == "won") & (deals["closed_date"] < ended)]
    months = pd.period_range(
        max(period.since - pd.DateOffset(months=PAST), _first_whole(deals)), ended - pd.Timedelta(days=1), freq="M"
    )
    months = months[months.end_time < ended]
    judged = months.start_time >= period.since
    if (~judged).sum() < ENOUGH or not judged.any():
        have = f"{int((~judged).sum())} and {int(judged.sum())}"
        raise TooLittleData(
            f"Limits need {ENOUGH} whole months before {period.label} and one whole month in it; there are {have}."
        )
    counts = pd.crosstab(won["closed_date"].dt.to_period("M"), won[by].astype("str").fillna(NOT_FILLED)).reindex(
        months, fill_value=0
    )
    counts = counts.loc[:, counts.sum() > 0]
    if counts.shape[1] < 2:
        raise TooLittleData("There are fewer than two channels with a win, so there is no share to watch.")
    counts = counts[counts.sum().sort_values(ascending=False, kind="stable").index]
    n = counts.sum(axis=1).to_numpy("float64")
    centre, low, high = _limits(counts.to_numpy("float64"), n, judged)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = counts.to_numpy() / n[:, None]
    found = np.where(share > high, "above", np.where(share < low, "below", "same"))
    k, m = counts.shape[1], len(months)
    expected = _false_alarms(n, centre, judged)
    frame = pd.DataFrame({
        "channel": np.repeat(counts.columns.to_numpy("str"), m), "period": np.tile(months.astype("str"), k),
        "wins": counts.to_numpy().T.ravel(), "n": np.tile(n.astype("int64"), k), "share": share.T.ravel(), "centre": np.repeat(centre, m),
        "low": low.T.ravel(), "high": high.T.ravel(), "judged": np.tile(judged, k),
        "signal": np.where(judged[:, None], found, "same").T.ravel(),
    })  # fmt: skip
    return frame.assign(false_alarms=expected)


def _first_whole(deals: pd.DataFrame) -> pd.Timestamp:
    """The first day of the first whole month with closings."""
    first = deals["closed_date"].min()
    month = period_at(first, "M")
    return month.since if first == month.since else month.until


def _limits(counts: np.ndarray, n: np.ndarray, judged: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean share of the months not judged, and the limits of each month; counts of shape (…, months, channels)."""
    past = ~judged
    centre = counts[..., past, :].sum(axis=-2) / n[past].sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        luck = np.sqrt((centre * (1 - centre))[..., None, :] / n[:, None])
        z = ((counts / n[:, None] - centre[..., None, :]) / luck)[..., past & (n > 0), :]
    moved = np.abs(np.diff(np.nan_to_num(z), axis=-2)).mean(axis=-2) / MOVING
    half = SIGMAS * luck * np.maximum(1.0, moved)[..., None, :]
    return centre, np.clip(centre[..., None, :] - half, 0, 1), np.clip(centre[..., None, :] + half, 0, 1)


def _false_alarms(n: np.ndarray, centre: np.ndarray, judged: np.ndarray, seed: int = 0) -> float:
    """How many judged months are outside of limits made in the same way, when every channel keeps its share and luck alone moves it."""
    drawn = np.random.default_rng(seed).binomial(
        n.astype("int64")[:, None], centre, size=(SIMULATED, len(n), len(centre))
    )
    _, low, high = _limits(drawn.astype("float64"), n, judged)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = drawn / n[:, None]
    return float(((share > high) | (share < low))[:, judged].sum() / SIMULATED)


def finding_signals(signals: pd.DataFrame) -> str:
    """One sentence: which months of which channel are outside of their limits, and how many luck alone would give."""
    judged = signals[signals["judged"]]
    alarms = judged["false_alarms"].iloc[0]
    luck = f"luck alone would give {alarms:.1f}" if alarms >= 0.05 else "luck alone would give hardly any"
    months = judged["period"].nunique()
    out = judged[judged["signal"] != "same"]
    if out.empty:
        return (
            f"**No channel stands out**: in {style.plural(months, 'month')} all {judged['channel'].nunique()} channels are within the "
            f"limits of their past."
        )
    said = [
        f"**{md(r.channel)}** in {md(r.period)} ({style.percent(r.share)} of the wins, usually {style.percent(r.centre)})"
        for r in out.head(2).itertuples()
    ]
    names = f"{', '.join(said)} and {len(out) - 2} more" if len(out) > 2 else " and ".join(said)
    return (
        f"{names} {'is' if len(out) == 1 else 'are'} outside of the usual; {luck} in {style.plural(months, 'month')}."
    )


def judged(signals: pd.DataFrame) -> pd.DataFrame:
    """The months of the period, as the page's table has them."""
    rows = signals[signals["judged"]].rename(columns={"signal": "verdict", "wins": "won"})
    return rows[["channel", "period", "won", "n", "share", "centre", "low", "high", "verdict"]].reset_index(drop=True)


def chart_signals(signals: pd.DataFrame) -> alt.LayerChart:
    """Each channel's share of the wins by month, with its past mean in grey."""
    names = signals["channel"].drop_duplicates()
    shown = signals[signals["channel"].isin(names.head(MOST))]
    cut = f"; the first {MOST} of {len(names)}" if len(names) > MOST else ""
    return style.multiples(
        shown, "period", "share", "channel", fmt=style.percent, reference="centre", title="Share of the deals won, by month",
        subtitle=f"Grey: the mean of the months before the period; most wins first{cut}",
    )  # fmt: skip
