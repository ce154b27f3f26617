"""Many against many: the funnel plot and small multiples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from salesforecast.columns import column
from salesforecast.formats import Format, missing, speaker
from salesforecast.shapes.frame import (
    GREY,
    INK,
    VERDICT,
    Room,
    along_of,
    alt,
    axis_across,
    figures_at_left,
    floats,
    framed,
    need,
    px_of,
    reach_of,
    round_figure,
    scale_of,
    spread_apart,
    tick_words,
    to_px,
    widest_of,
    word_at,
    x_of,
    y_of,
)
from salesforecast.words import labels


@labels()
def funnel_plot(
    frame: pd.DataFrame,
    limits: pd.DataFrame,
    value: str,
    label: str,
    *,
    n: str = "n",
    fmt: Format = ".0%",
    title: str,
    subtitle: str,
    line: float,
    line_label: str,
    verdict: str | None = None,
    x_title: str = "",
) -> alt.LayerChart:
    """Rates against how many they rest on, with the room that chance alone would fill.

    Parameters
    ----------
    frame : DataFrame
        One row per mark; those whose verdict is not "same" are named.
    limits : DataFrame
        Columns n, lower_95, upper_95, lower_998, upper_998, by n.
    value, label, n : str
        The columns with the rate, with the name, and with the number it rests on.
    line, line_label : float, str
        The rate of all, and its words.
    """
    need(frame, value, label, n, verdict)
    say = speaker(fmt)
    data = pd.DataFrame({"label": frame[label].astype(str).to_list(), "n": floats(frame[n])})
    data["value"] = floats(frame[value])
    data["text"] = [say(v) for v in data["value"]]
    data["verdict"] = ["same"] * len(data) if verdict is None else frame[verdict].fillna("same").to_list()
    names = ["lower_95", "upper_95", "lower_998", "upper_998"]
    bounds = limits[["n", *names]].astype(float)
    domain, ticks = scale_of([*data["value"], line, *bounds["lower_95"], *bounds["upper_95"]], fmt, None)
    bounds[names] = bounds[names].clip(*domain)
    reach = reach_of([float(v) for v in bounds["n"]])
    along = along_of(pd.Series([*reach]), x_title)
    words = tick_words(ticks, fmt)
    left = max(28.0, widest_of(words, 12) + 12)
    right = widest_of([line_label, "99.8%"], 12) + 10
    room = Room(left, right, left, right)
    height = 260.0
    across = x_of("n", reach, axis_across(along, reach, room, ticks=False))
    axis = figures_at_left(ticks, words)
    colour = alt.Color("verdict:N", scale=VERDICT, legend=None)
    tooltip = [
        alt.Tooltip("label:N", title=column(label).header),
        alt.Tooltip("text:N", title=column(value).header),
        alt.Tooltip("n:Q", title=x_title or column(n).header),
    ]
    area, points = alt.Chart(bounds), alt.Chart(data)
    layers = [
        area.mark_area(color=GREY, opacity=opacity)
        .encode(x=across, y=y_of(f"lower_{k}", domain, axis), y2=f"upper_{k}:Q")
        .properties(name=f"limits-{k}")
        for k, opacity in (("998", 0.10), ("95", 0.12))
    ]
    rule = alt.Chart(pd.DataFrame({"at": [float(line)]}))
    layers.append(rule.mark_rule(strokeWidth=1.25).encode(y="at:Q").properties(name="line"))
    layers.append(
        points.mark_circle(size=72)
        .encode(x=across, y=y_of("value", domain, axis), color=colour, tooltip=tooltip)
        .properties(name="dots")
    )
    last = bounds.iloc[-1]
    ends = [(line_label, line, INK), ("95%", last["upper_95"], GREY), ("99.8%", last["upper_998"], GREY)]
    spread = spread_apart([to_px(v, domain, height) for _, v, _ in ends], 0, height, 16)
    for (word, _, ink), place in zip(ends, spread, strict=True):
        layers.append(word_at(word, px_of("width + 6"), alt.value(round_figure(place)), align="left", color=ink))
    middle = (reach[0] + reach[1]) / 2
    for side, align, dx in (("right", "left", 9), ("left", "right", -9)):
        part = data[(data["verdict"] != "same") & ((data["n"] <= middle) == (side == "right"))]
        if len(part):
            layers.append(
                alt.Chart(part.assign(value=_apart(part["value"].to_list(), domain, height)))
                .mark_text(align=align, dx=dx, limit=150)
                .encode(x=across, y=y_of("value", domain, axis), text="label:N", color=colour)
                .properties(name=f"names-{side}")
            )
    return framed(layers, room, height, title, subtitle)


def _apart(values: list[float], domain: Sequence[float], height: float) -> list[float]:
    """Where the names of these values stand: at their dots, and where two would stand on each other a line apart."""
    at = [to_px(v, domain, height) for v in values]
    places = spread_apart(at, 0, height, 14)
    one = (domain[1] - domain[0]) / height
    return [v if abs(p - a) < 0.5 else v - (p - a) * one for v, a, p in zip(values, at, places, strict=True)]


@labels()
def multiples(
    frame: pd.DataFrame,
    x: str,
    value: str,
    label: str,
    *,
    fmt: Format,
    title: str,
    subtitle: str,
    reference: str | None = None,
) -> alt.LayerChart:
    """Small charts on one scale, in the frame's order: four beside each other, two on a phone.

    Parameters
    ----------
    frame : DataFrame
        One row per point.
    x, value, label : str
        The columns across, up, and with the name of each small chart.
    reference : str
        A column with what each is compared with, drawn in grey.
    """
    need(frame, x, value, label, reference)
    along, say = along_of(frame[x]), speaker(fmt)
    names = list(dict.fromkeys(frame[label].astype(str)))
    low, high = reach_of(along.at)
    seen = [v for c in (value, reference) if c for v in floats(frame[c]) if not missing(v)]
    bottom, top = reach_of(seen)
    tall, head, row = 48, 20, 88
    data = pd.DataFrame({"cell": [names.index(v) for v in frame[label].astype(str)]})
    data["label"], data["says"] = frame[label].astype(str).to_list(), along.says
    data["across"] = [None if v is None else (v - low) / (high - low) for v in along.at]
    for name, source in (("up", value), ("other", reference)):
        if source:
            data[name] = [head + tall * (1 - (v - bottom) / (top - bottom)) for v in floats(frame[source])]
    data["text"] = [say(v) for v in frame[value]]
    data = data[data["across"].notna()]
    last = data[data["up"].notna()].sort_values("across", kind="stable").groupby("cell").tail(1)
    first = data.drop_duplicates("cell").assign(across=0.0, up=6)

    gap, room = 24, max(32.0, widest_of(last["text"], 12) + 10)
    in_row = "(width < 480 ? 2 : 4)"
    cell = f"((width + {gap}) / {in_row})"

    def placed(part: pd.DataFrame, field: str) -> alt.Chart:
        chart = alt.Chart(part).transform_filter(f"isValid(datum.{field})")
        return chart.transform_calculate(
            px=f"(datum.cell % {in_row}) * {cell} + datum.across * ({cell} - {gap + math.ceil(room)})",
            py=f"floor(datum.cell / {in_row}) * {row} + datum.{field}",
        )

    place = {"x": alt.X("px:Q", scale=None, axis=None), "y": alt.Y("py:Q", scale=None, axis=None)}
    tooltip = [
        alt.Tooltip("label:N", title=column(label).header),
        alt.Tooltip("says:N", title=column(x).header),
        alt.Tooltip("text:N", title=column(value).header),
    ]
    layers = []
    if reference:
        other = placed(data, "other").mark_line(strokeWidth=1, color=GREY, opacity=0.7)
        layers.append(other.encode(**place, detail="cell:N").properties(name="reference"))
    layers += [
        placed(data, "up").mark_line(strokeWidth=1.75).encode(**place, detail="cell:N").properties(name="lines"),
        placed(data, "up").mark_circle(size=90, opacity=0).encode(**place, tooltip=tooltip).properties(name="points"),
        placed(last, "up").mark_circle(size=32).encode(**place, tooltip=tooltip).properties(name="last"),
        placed(last, "up")
        .mark_text(align="left", dx=7, fontWeight=600)
        .encode(**place, text="text:N")
        .properties(name="ends"),
        placed(first, "up")
        .mark_text(align="left", fontWeight=600, limit=alt.ExprRef(f"{cell} - {gap}"))
        .encode(**place, text="label:N")
        .properties(name="names"),
    ]
    rows, phone_rows = math.ceil(len(names) / 4), math.ceil(len(names) / 2)
    height, phone = row * rows, row * phone_rows
    return framed(layers, Room(2, 2, 2, 2), height, title, subtitle, top=8, bottom=0, phone_height=phone)
