"""Why the share won, or the bookings per deal, changed: the channels won differently, or others brought the deals."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import stats, style
from salesforecast.channels.entries import FOLLOWED, ages
from salesforecast.channels.fair import LEVEL, counted
from salesforecast.errors import MissingTable, TooLittleData
from salesforecast.formats import points_bare
from salesforecast.text import md

ALL = "All"
MOST = 14  # parts of a chart
QUARTERS = 8  # of both periods together: with fewer, months take their place
MEASURES = {"win_rate": "share won", "bookings_per_deal": "bookings per deal entered"}


def change(before: pd.DataFrame, now: pd.DataFrame, *, measure: str = "win_rate") -> pd.DataFrame:
    """The change of a total between two periods, split exactly into the channels' rates and their mix.

    The total is sum w r over channels, w the share of deals and r the rate, with open deals undecided. The part of a channel's rate
    is (r1 - r0)(w0 + w1) / 2, that of its share (w1 - w0)((r0 + r1) / 2 - m), m the mean of both totals, so that a channel adds by
    growing when it is better than the whole. All parts add up to the change.

    Parameters
    ----------
    before, now : DataFrame
        From `entries`, of two windows.
    measure : str
        win_rate, or bookings_per_deal (money).

    Returns
    -------
    DataFrame
        channel, n_before, n_now, before_value, now_value (of the channel), by_rate, by_mix, total (each followed by lower and upper, 90%,
        deals of a customer and of a quarter alike), age (days: what was won by then counts). Largest part first; the last row is All.

    Raises
    ------
    MissingTable
        For bookings, when no win of a period has an amount.
    TooLittleData
        When the deals of either period cannot be followed for a day, or have fewer than 10 wins.

    Source
    ------
    Kitagawa (1955).
    """
    if measure == "bookings_per_deal" and any(
        side.loc[side["outcome"] == "won", "amount"].isna().all() for side in (before, now)
    ):
        raise MissingTable(
            "This needs the amounts of the deals won in both periods. Map or fill the column amount of the opportunities."
        )
    age = _age(before, now)
    names = sorted({*before["channel"], *now["channel"]})
    sides = [_side(rows, names, age, measure) for rows in (before, now)]
    (w0, r0, _, _, _), (w1, r1, _, _, _) = sides
    # A channel of one period only has no rate of its own in the other: all it adds is mix.
    old, new = np.where(w0 > 0, r0, r1), np.where(w1 > 0, r1, r0)
    middle = (w0 @ old + w1 @ new) / 2
    k = len(names)
    by_rate, by_mix = (new - old) * (w0 + w1) / 2, (w1 - w0) * ((old + new) / 2 - middle)
    # The slope of each part in the shares and rates of both periods gives each deal's influence.
    parts = []
    for side, (w, _, of_w, of_r, _) in enumerate(sides):
        sign, there = (1.0 if side else -1.0), (w0 > 0) & (w1 > 0)
        of_rate = of_r * (sign * (w0 + w1) / 2 * there) + of_w * ((new - old) / 2)
        own = np.where(there, 1.0, 2.0) * (w > 0)
        of_middle = (of_w @ (new if side else old) + (of_r * w).sum(axis=1)) / 2
        of_mix = of_w * (sign * ((old + new) / 2 - middle)) + of_r * ((w1 - w0) * own / 2)
        of_mix = of_mix - of_middle[:, None] * (w1 - w0)
        parts.append(np.hstack([of_rate, of_mix, of_rate + of_mix]))
    influence = np.vstack(parts)
    influence = np.hstack(
        [influence, *(influence[:, i * k : (i + 1) * k].sum(axis=1, keepdims=True) for i in range(3))]
    )
    error, df = _error(influence, before, now)
    reach = stats.t_quantile(df, LEVEL) * error
    values = np.r_[by_rate, by_mix, by_rate + by_mix, by_rate.sum(), by_mix.sum(), by_rate.sum() + by_mix.sum()]
    counts = [[*rows["channel"].value_counts().reindex(names).fillna(0), len(rows)] for rows in (before, now)]
    frame = pd.DataFrame({"channel": [*names, ALL], "n_before": counts[0], "n_now": counts[1]}).astype(
        {"n_before": "int64", "n_now": "int64"}
    )
    frame["before_value"], frame["now_value"] = (
        [*np.where(w0 > 0, r0, np.nan), w0 @ old],
        [*np.where(w1 > 0, r1, np.nan), w1 @ new],
    )
    for i, name in enumerate(("by_rate", "by_mix", "total")):
        at = np.r_[i * k : (i + 1) * k, 3 * k + i]
        frame[name], frame[f"{name}_lower"], frame[f"{name}_upper"] = (
            values[at],
            (values - reach)[at],
            (values + reach)[at],
        )
    last = frame["channel"].eq(ALL) & (frame.index == k)
    order = frame.assign(last=last, size=-frame["total"].abs()).sort_values(["last", "size", "channel"]).index
    return frame.loc[order].assign(age=age).reset_index(drop=True)


def _age(before: pd.DataFrame, now: pd.DataFrame) -> int:
    """The age by which nearly all wins have come, as far as the deals of both periods can be followed to it."""
    whole = [ages(rows.assign(channel=ALL)).iloc[0] for rows in (before, now, pd.concat([before, now]))]
    if min(part["followed"] for part in whole[:2]) < 1 or min(part["won"] for part in whole[:2]) < 10:
        raise TooLittleData(
            "One of the two periods has fewer than 10 won deals that can be followed, so the change cannot be split."
        )
    horizon = whole[2]["horizon"]
    return int(np.nanmin([whole[0]["followed"], whole[1]["followed"], horizon]))


def _side(
    rows: pd.DataFrame, names: list[str], age: int, measure: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, pd.DataFrame]:
    """Shares and rates of the channels in one period, and the influence of each deal on them."""
    many = rows["channel"].map(rows["channel"].value_counts()) >= FOLLOWED
    strata = rows.assign(
        channel=rows["channel"].where(many, "\0few")
    )  # few deals say too little of when wins come: together
    mark = rows["amount"].to_numpy("float64") if measure == "bookings_per_deal" else None
    y = np.nan_to_num(counted(strata, age, mark))
    own = np.eye(len(names))[pd.Index(names).get_indexer(rows["channel"])]
    number = own.sum(axis=0)
    w = number / len(rows)
    r = np.divide(own.T @ y, number, out=np.zeros(len(names)), where=number > 0)
    of_r = own * (y[:, None] - r) / np.maximum(number, 1)
    return w, r, (own - w) / len(rows), of_r, rows


def _error(influence: np.ndarray, before: pd.DataFrame, now: pd.DataFrame) -> tuple[np.ndarray, float]:
    """The standard errors of sums of influences, and their degrees of freedom."""
    account = np.r_[before["account"], now["account"]].astype("int64")
    for unit in ("quarter", "month"):
        time = np.r_[before[unit], now[unit] + before[unit].max() + 1].astype("int64")
        times = len(np.unique(time))
        # a quarter of which only a part is there counts for less than one; both periods have a mean of their own
        worth = sum(len(side) ** 2 / float((side[unit].value_counts() ** 2).sum()) for side in (before, now))
        if times >= QUARTERS:
            variance = stats.clustered(influence, account, time) * (times - 1) / times * worth / (worth - 2)
            return np.sqrt(variance), worth - 2
    return np.sqrt(stats.clustered(influence, account)), float(max(1, len(np.unique(account)) - 2))


def finding_change(change: pd.DataFrame, *, measure: str = "win_rate") -> str:
    """One sentence: how the total changed, and how much of that is mix and how much rate."""
    total, rows = change.iloc[-1], change.iloc[:-1]
    say = style.points if measure == "win_rate" else _signed
    value = style.percent if measure == "win_rate" else style.money
    from_to = f"{value(total['before_value'])} to {value(total['now_value'])}"
    words = MEASURES[measure].capitalize()
    if total["total_lower"] <= 0 <= total["total_upper"]:
        return (
            f"{words} went from {from_to}, which **cannot be told from no change**; the mix of channels made {say(total['by_mix'])}, their "
            f"own rates {say(total['by_rate'])}."
        )
    largest = rows.iloc[0]
    part = "by_rate" if abs(largest["by_rate"]) > abs(largest["by_mix"]) else "by_mix"
    sure = not largest[f"{part}_lower"] <= 0 <= largest[f"{part}_upper"]
    most = f"; most by **{md(largest['channel'])}** ({say(largest['total'])})" if sure else ""
    rate, mix = say(total["by_rate"]), say(total["by_mix"])
    return f"{words} went from {from_to}: **{rate}** by the channels' own rates, **{mix}** by their mix{most}."


def _signed(amount: float) -> str:
    return ("+" if amount > 0 else "") + style.money(amount)


def chart_change(change: pd.DataFrame, *, measure: str = "win_rate") -> alt.LayerChart:
    """What each channel's rate and mix added, with intervals."""
    rows, parts = change.iloc[:-1], []
    for name, words in (("by_rate", ", rate"), ("by_mix", ", mix")):
        own = {"moved_by": rows[name], "lower": rows[f"{name}_lower"], "upper": rows[f"{name}_upper"]}
        parts.append(rows.assign(part=rows["channel"] + words, **own))
    data = pd.concat(parts)
    data = data.assign(size=-data["moved_by"].abs()).sort_values(["size", "part"], ignore_index=True)
    cut = f"; the {MOST} largest of {len(data)}" if len(data) > MOST else ""
    data = data.head(MOST)
    sure = data.loc[(data["lower"] > 0) | (data["upper"] < 0), "part"].tolist()
    unit = "points; " if measure == "win_rate" else ""
    return style.dots(
        data, "moved_by", "part", level=LEVEL, fmt=points_bare if measure == "win_rate" else style.money, line=0.0, accent=sure,
        line_label="no change", title=f"What changed the {MEASURES[measure]}",
        subtitle=f"By day {change['age'].iloc[0]}; {unit}parts add up to the change; 90% intervals; blue: more than luck{cut}",
    )  # fmt: skip
