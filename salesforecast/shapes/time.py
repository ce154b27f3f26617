"""Shapes over time or over a number: lines, fan, ledger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from salesforecast.columns import column
from salesforecast.formats import Format, between, speaker
from salesforecast.shapes.frame import (
    ACCENT,
    GREY,
    ON_PHONE,
    SERIES,
    WARN,
    Room,
    along_of,
    alt,
    axis_across,
    cut_to,
    figures_at_left,
    floats,
    framed,
    need,
    px_of,
    reach_of,
    round_figure,
    scale_of,
    spread_apart,
    text_width,
    tick_words,
    to_px,
    widest_of,
    word_at,
    x_of,
    y_of,
)
from salesforecast.words import labels


@labels()
def lines(
    frame: pd.DataFrame,
    x: str,
    value: str,
    series: str,
    *,
    fmt: Format,
    title: str,
    subtitle: str,
    main: str | None = None,
    band: bool = False,
    x_title: str = "",
    domain: Sequence[float] | None = None,
    marks: Sequence[tuple[float, str]] = (),
    dashed: str = "",
) -> alt.LayerChart:
    """Series over time or over a number, each named with its last value at its end.

    Parameters
    ----------
    frame : DataFrame
        One row per point; columns lower and upper for the band.
    x, value, series : str
        The columns across (numbers, naive times or names of periods), up, and with the names.
    main : str
        The series the finding is about; the others are grey. Without it each has its own colour, up to six.
    band : bool
        Draw lower to upper of the main series, or of the only one.
    x_title : str
        The unit across, which stands on the last tick.
    marks : sequence of (value, words)
        Level rules with their words.
    dashed : str
        The series that is drawn in dashes.
    """
    need(frame, x, value, series, *(("lower", "upper") if band else ()))
    along, say = along_of(frame[x], x_title), speaker(fmt)
    data = pd.DataFrame({"x": along.at, "says": along.says, "series": frame[series].astype(str).to_list()})
    data["value"] = floats(frame[value])
    data["text"] = [say(v) for v in frame[value]]
    names = list(dict.fromkeys(data["series"]))
    first = main if main is not None else names[0] if len(names) == 1 else None
    if band:
        of = (data["series"] == first).to_numpy()
        for bound in ("lower", "upper"):
            data[bound] = np.where(of, floats(frame[bound]), math.nan)
    seen = [*data["value"], *(v for v, _ in marks)] + ([*data["lower"], *data["upper"]] if band else [])
    domain, ticks = scale_of(seen, fmt, domain)
    height = max(200.0, 16.0 * len(names))

    data = data[data["x"].notna()]
    last = data[data["value"].notna()].sort_values("x", kind="stable").groupby("series", sort=False).tail(1).copy()
    for name, most in (("name", 178.0), ("short", 112.0)):
        last[name] = [
            f"{cut_to(s, most - text_width(t, 12) - 4)} {t}" if len(names) > 1 else t
            for s, t in zip(last["series"], last["text"], strict=True)
        ]
    places = [to_px(v, domain, height) for v in last["value"]]
    last["place"] = [round_figure(p) for p in spread_apart(places, 0, height, 16)]

    words = tick_words(ticks, fmt)
    left = max(24.0, widest_of(words, 12) + 10)
    room = Room(left, widest_of(last["name"], 12) + 12, left, widest_of(last["short"], 12) + 12)
    if first is None:
        order, colours = names, [*SERIES, *[GREY] * len(names)][: len(names)]
    else:
        order = [first, *(n for n in names if n != first)]
        colours = [ACCENT] + [GREY] * (len(order) - 1)
    colour = alt.Color("series:N", scale=alt.Scale(domain=order, range=colours), legend=None)
    across = x_of("x", reach_of(along.at), axis_across(along, reach_of(along.at), room))
    axis = figures_at_left(ticks, words)
    up = y_of("value", domain, axis)
    base = alt.Chart(data)
    tooltip = [
        alt.Tooltip("series:N", title=column(series).header),
        alt.Tooltip("says:N", title=column(x).header),
        alt.Tooltip("text:N", title=column(value).header),
    ]
    layers = []
    if band:
        layers.append(
            base.transform_filter("isValid(datum.lower) && isValid(datum.upper)")
            .mark_area(opacity=0.16, clip=True)
            .encode(x=across, y=y_of("lower", domain, axis), y2="upper:Q", color=colour)
            .properties(name="band")
        )
    for at, words_at in marks:
        rule = alt.Chart(pd.DataFrame({"at": [float(at)]}))
        layers.append(rule.mark_rule().encode(y=alt.Y("at:Q")))
        layers.append(
            rule.mark_text(text=words_at, align="left", baseline="alphabetic", dy=-5).encode(y="at:Q", x=alt.value(0))
        )
    others = data[data["series"] != first] if first else data
    for name, stroke, part in (
        ("lines", 1.5 if first else 2.0, others[others["series"] != dashed]),
        ("dashed", 1.5, others[others["series"] == dashed]),
        ("main", 2.25, data[data["series"] == first]),
    ):
        if len(part):
            how = {"strokeDash": [5, 4]} if name == "dashed" else {}
            drawn = alt.Chart(part).mark_line(strokeWidth=stroke, clip=True, **how)
            layers.append(drawn.encode(x=across, y=up, color=colour, detail="series:N").properties(name=name))
    ends = alt.Chart(last)
    layers += [
        base.mark_circle(size=120, opacity=0).encode(x=across, y=up, tooltip=tooltip).properties(name="points"),
        ends.mark_circle(size=40).encode(x=across, y=up, color=colour, tooltip=tooltip).properties(name="last"),
        ends.transform_calculate(said=f"{ON_PHONE} ? datum.short : datum.name")
        .mark_text(align="left")
        .encode(
            x=px_of("width + 9"),
            y=alt.Y("place:Q", scale=None, axis=None),
            text="said:N",
            color=colour,
            tooltip=tooltip,
        )
        .properties(name="ends"),
    ]
    return framed(layers, room, height, title, subtitle)


@labels()
def fan(
    history: pd.DataFrame,
    future: pd.DataFrame,
    targets: pd.DataFrame | None = None,
    *,
    fmt: Format,
    title: str,
    subtitle: str,
    domain: Sequence[float] | None = None,
) -> alt.LayerChart:
    """Grey history, the mean of the forecast with its ranges, and targets as short bars.

    Parameters
    ----------
    history : DataFrame
        Columns period, value.
    future : DataFrame
        Columns period, mean; lower_50, upper_50, lower_80, upper_80 where they are known.
    targets : DataFrame
        Columns period, target.
    """
    targets = pd.DataFrame({"period": future["period"][:0], "target": []}) if targets is None else targets
    periods = pd.concat([history["period"], future["period"], targets["period"]], ignore_index=True)
    along, say = along_of(periods), speaker(fmt)
    n, m = len(history), len(future)
    past = pd.DataFrame({"x": along.at[:n], "says": along.says[:n], "value": floats(history["value"])})
    past["text"] = [say(v) for v in past["value"]]
    ahead = pd.DataFrame({"x": along.at[n : n + m], "says": along.says[n : n + m]})
    ahead["value"] = floats(future["mean"])
    ahead["text"] = [say(v) for v in ahead["value"]]
    ranges = [level for level in ("80", "50") if f"lower_{level}" in future.columns]
    for level in ranges:
        for bound in (f"lower_{level}", f"upper_{level}"):
            ahead[bound] = floats(future[bound])
        pairs = zip(future[f"lower_{level}"], future[f"upper_{level}"], strict=True)
        ahead[f"range_{level}"] = [between(a, b, fmt) for a, b in pairs]
    bounds = [f"{side}_{level}" for level in ranges for side in ("lower", "upper")]
    joint = past.tail(1).assign(**{b: past["value"].tail(1) for b in bounds})  # the fan opens where history ends
    opened = pd.concat([joint, ahead], ignore_index=True)
    goals = pd.DataFrame({"x": along.at[n + m :], "value": floats(targets["target"])})
    goals["text"] = [say(v) for v in goals["value"]]

    seen = [*past["value"], *goals["value"], *ahead["value"], *(v for b in bounds for v in ahead[b])]
    domain, ticks = scale_of(seen, fmt, domain)
    height = 240.0
    words = tick_words(ticks, fmt)
    left = max(28.0, widest_of(words, 12) + 12)
    end = ahead.iloc[-1]
    at_end = [("forecast", end["value"], ACCENT)] + [(f"{k}% range", end[f"upper_{k}"], GREY) for k in ranges]
    right = widest_of((w for w, _, _ in at_end), 12) + 16
    room = Room(left, right, left, right)
    across = x_of("x", reach_of(along.at), axis_across(along, reach_of(along.at), room))
    axis = figures_at_left(ticks, words)
    up, base = y_of("value", domain, axis), alt.Chart(opened)
    tooltip = [alt.Tooltip("says:N", title="Period"), alt.Tooltip("text:N", title="Value")]
    more = [alt.Tooltip(f"range_{k}:N", title=f"{k}% range") for k in ranges]
    layers = [
        base.mark_area(opacity=0.16 if level == "80" else 0.24, clip=True)
        .encode(x=across, y=y_of(f"lower_{level}", domain, axis), y2=f"upper_{level}:Q")
        .properties(name=f"range-{level}")
        for level in ranges
    ]
    layers += [
        alt.Chart(past).mark_line(color=GREY, strokeWidth=1.5).encode(x=across, y=up).properties(name="history"),
        alt.Chart(past)
        .mark_circle(color=GREY, size=24)
        .encode(x=across, y=up, tooltip=tooltip)
        .properties(name="past"),
        base.mark_line().encode(x=across, y=up).properties(name="mean"),
        alt.Chart(goals)
        .mark_tick(thickness=2, size=18, orient="horizontal")
        .encode(x=across, y=up, tooltip=tooltip)
        .properties(name="targets"),
        alt.Chart(ahead).mark_circle(size=56).encode(x=across, y=up, tooltip=tooltip + more).properties(name="ahead"),
    ]
    first = ahead.iloc[0]
    goal = goals[goals["x"] == first["x"]]
    over = bool(len(goal)) and goal["value"].iloc[0] >= first["value"]
    if m > 1:  # one period ahead is already named at the end
        mean = alt.Chart(ahead.head(1)).mark_text(dy=18 if over or not len(goal) else -12, color=ACCENT, fontWeight=600)
        layers.append(mean.encode(x=across, y=up, text="text:N").properties(name="mean-words"))
    if len(goal):
        named = alt.Chart(goal.head(1).assign(text="target " + goal["text"]))
        near = {"align": "center"} if m > 1 else {"align": "right", "dx": -4}
        layers.append(
            named.mark_text(dy=-10 if over else 14, fontWeight=600, **near)
            .encode(x=across, y=up, text="text:N")
            .properties(name="target-words")
        )
    for (word, _, colour), place in zip(
        at_end, spread_apart([to_px(v, domain, height) for _, v, _ in at_end], 0, height, 16), strict=True
    ):
        weight: dict[str, Any] = {"fontWeight": 600} if colour == ACCENT else {}
        layers.append(
            word_at(word, px_of("width + 12"), alt.value(round_figure(place)), align="left", color=colour, **weight)
        )
    return framed(layers, room, height, title, subtitle, hide=("mean-words",) if m > 1 else ())


@labels()
def ledger(frame: pd.DataFrame, *, fmt: Format, title: str, subtitle: str) -> alt.LayerChart:
    """Every past range, and where the outcome came to lie; a miss is orange and dated.

    Parameters
    ----------
    frame : DataFrame
        Columns period, lower, upper, actual.
    """
    need(frame, "period", "lower", "upper", "actual")
    along, say = along_of(frame["period"]), speaker(fmt)
    data = pd.DataFrame({"x": along.at, "says": along.says})
    for name in ("lower", "upper", "actual"):
        data[name] = floats(frame[name])
    data["text"] = [say(v) for v in data["actual"]]
    data["range"] = [between(a, b, fmt) for a, b in zip(data["lower"], data["upper"], strict=True)]
    data["held"] = data["actual"].between(data["lower"], data["upper"])
    domain, ticks = scale_of([*data["lower"], *data["upper"], *data["actual"]], fmt, None, most=4)
    signed = domain[0] < 0
    words = [f"+{w}" if signed and t > 0 else w for w, t in zip(tick_words(ticks, fmt), ticks, strict=True)]
    left = max(28.0, widest_of(words, 12) + 12)
    low, high = reach_of(along.at)
    edge = (high - low) / max(1, len(data) - 1) / 2
    reach, room = [round_figure(low - edge), round_figure(high + edge)], Room(left, 20, left, 20)
    across = x_of("x", reach, axis_across(along, reach, room))
    base = alt.Chart(data)
    colour = alt.Color("held:N", scale=alt.Scale(domain=[True, False], range=[ACCENT, WARN]), legend=None)
    tooltip = [
        alt.Tooltip("says:N", title="Period"),
        alt.Tooltip("text:N", title="Outcome"),
        alt.Tooltip("range:N", title="Range"),
    ]
    axis = figures_at_left(ticks, words)
    layers = [
        base.mark_rule(color=GREY, strokeWidth=7, opacity=0.28)
        .encode(x=across, y=y_of("lower", domain, axis), y2="upper:Q", tooltip=tooltip)
        .properties(name="ranges"),
        base.transform_filter("isValid(datum.actual)")
        .mark_circle(size=56)
        .encode(x=across, y=y_of("actual", domain, axis), color=colour, tooltip=tooltip)
        .properties(name="outcomes"),
    ]
    if signed:
        zero = alt.Chart(pd.DataFrame({"at": [0]})).mark_rule(color=GREY).encode(y="at:Q")
        layers.insert(0, zero.properties(name="zero"))
    for side, dy in (("above", -12), ("below", 13)):
        missed = data[(data["actual"] > data["upper"]) if side == "above" else (data["actual"] < data["lower"])]
        if len(missed):
            words_at = alt.Chart(missed).mark_text(color=WARN, dy=dy)
            layers.append(words_at.encode(x=across, y="actual:Q", text="says:N").properties(name=f"missed-{side}"))
    return framed(layers, room, 160, title, subtitle, top=16)
