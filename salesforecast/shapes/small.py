"""Word-sized shapes for cards: bullet, span, sparkline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from salesforecast.formats import missing
from salesforecast.shapes.frame import GREY, INK, Room, alt, framed, reach_of, round_figure, text_width, x_of, y_of
from salesforecast.words import labels


def _strip(layers: Sequence[Any], width: float, description: str) -> alt.LayerChart:
    return framed(layers, Room(1, 1, 1, 1), 14, "", top=16, bottom=2, width=width, description=description)


def _marked(marks: Sequence[tuple[float, str, str]], domain: Sequence[float], width: float) -> list[Any]:
    layers, taken = [], [(math.inf, -math.inf)]
    for at, words, kind in marks:
        colour, thick = (INK, 2) if kind == "target" else (GREY, 1.5)
        place, size = (at - domain[0]) / ((domain[1] - domain[0]) or 1) * (width - 2), text_width(words, 12)
        align = "left" if place < size / 2 else "right" if place > width - size / 2 else "center"
        start = place - {"left": 0.0, "center": size / 2, "right": size}[align]
        one, x = alt.Chart(pd.DataFrame({"at": [float(at)]})), x_of("at", domain, None)
        layers.append(one.mark_rule(color=colour, strokeWidth=thick).encode(x=x))
        if words and all(start + size < a or start > b for a, b in taken):  # the first mark keeps its words
            taken.append((start, start + size))
            text = one.mark_text(text=words, align=align, baseline="alphabetic", color=colour)
            layers.append(text.encode(x=x, y=alt.value(-4)))
    return layers


@labels()
def bullet(
    value: float,
    *,
    top: float,
    marks: Sequence[tuple[float, str, str]] = (),
    width: float = 200,
    description: str,
) -> alt.LayerChart:
    """A bar from 0 on a grey track to `top`; marks are (value, words, "target" or "pace")."""
    domain = [0.0, float(top)]
    bar = pd.DataFrame({"from": [0.0], "to": [0.0 if missing(value) else float(value)], "top": [float(top)]})
    base, x = alt.Chart(bar), x_of("from", domain, None)
    layers = [
        base.mark_bar(size=8, color=GREY, opacity=0.18).encode(x=x, x2="top:Q", y=alt.value(7)),
        base.mark_bar(size=8).encode(x=x, x2="to:Q", y=alt.value(7)),
    ]
    return _strip([*layers, *_marked(marks, domain, width)], width, description)


@labels()
def span(
    value: float,
    lower: float,
    upper: float,
    *,
    domain: Sequence[float],
    inner: tuple[float, float] | None = None,
    marks: Sequence[tuple[float, str, str]] = (),
    width: float = 200,
    description: str,
) -> alt.LayerChart:
    """An estimate with its interval, or with two, beside what it is compared with."""
    layers = [
        alt.Chart(pd.DataFrame({"from": [float(a)], "to": [float(b)]}))
        .mark_bar(size=8, opacity=opacity)
        .encode(x=x_of("from", domain, None), x2="to:Q", y=alt.value(7))
        for (a, b), opacity in (((lower, upper), 0.2), *([(inner, 0.26)] if inner else []))
    ]
    layers += _marked(marks, domain, width)
    dot = alt.Chart(pd.DataFrame({"at": [float(value)]})).mark_circle(size=72)
    return _strip([*layers, dot.encode(x=x_of("at", domain, None), y=alt.value(7))], width, description)


@labels()
def spark(
    values: Sequence[float], *, year: int = 4, width: float = 200, height: float = 32, description: str
) -> alt.LayerChart:
    """The last values in grey, with a dot on the newest and a ring `year` steps before."""
    data = pd.DataFrame({"x": range(len(values)), "value": [float("nan") if missing(v) else float(v) for v in values]})
    low, high = reach_of([v for v in data["value"] if not missing(v)])
    domain = [round_figure(low - 0.12 * (high - low)), round_figure(high + 0.12 * (high - low))]
    x, y = x_of("x", [0, max(1, len(values) - 1)], None), y_of("value", domain, None)
    ring = alt.Chart(data.iloc[[-1 - year]] if len(data) > year else data.iloc[:0])
    layers = [
        alt.Chart(data).mark_line(color=GREY, strokeWidth=1.5).encode(x=x, y=y),
        ring.mark_point(filled=False, stroke=GREY, strokeWidth=1.5, size=28).encode(x=x, y=y),
        alt.Chart(data.tail(1)).mark_circle(size=56).encode(x=x, y=y),
    ]
    return framed(layers, Room(4, 5, 4, 5), height, "", top=4, bottom=4, width=width, description=description)
