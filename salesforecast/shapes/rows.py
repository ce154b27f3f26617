"""Shapes with one row a mark: dots, bars, steps."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from salesforecast import words as languages
from salesforecast.columns import column
from salesforecast.formats import MISSING, Format, between, missing, speaker
from salesforecast.shapes.frame import (
    ACCENT,
    GREY,
    ON_PHONE,
    ROW,
    VERDICT,
    Room,
    alt,
    axis_of,
    floats,
    framed,
    need,
    px_of,
    round_figure,
    scale_of,
    text_width,
    tick_words,
    widest_of,
    word_at,
    x_of,
)
from salesforecast.words import labels


def _row(rows: int) -> alt.Y:
    scale = alt.Scale(type="band", domain=list(range(rows)), paddingInner=0, paddingOuter=0)
    return alt.Y("row:O", axis=None, scale=scale)  # with its domain: rows without a figure keep their place


def _margin_of(labels: Iterable[str]) -> tuple[float, float]:
    """The room for row labels, wide and on a phone."""
    widest = widest_of(labels)
    return min(max(widest, 24) + 20, 208), min(max(widest * 12 / 13, 24) + 14, 148)


def _names(data: pd.DataFrame) -> Any:
    """Row labels that start at the left edge, flush with the title."""
    return (
        alt.Chart(data)
        .mark_text(
            align="left",
            fontSize=alt.ExprRef(f"{ON_PHONE} ? 12 : 13"),
            limit=alt.ExprRef("padding.left - 12"),
        )
        .encode(
            y=_row(len(data)), x=px_of("-padding.left"), text="label:N", tooltip=[alt.Tooltip("label:N", title="Name")]
        )
        .properties(name="names")
    )


def _line(at: float, words: str, domain: Sequence[float], room: Room) -> list[Any]:
    """An upright rule with its words on top, which stay over the plot."""
    span = domain[1] - domain[0] or 1
    place = (at - domain[0]) / span * room.phone
    half = text_width(words, 12) / 2
    align = "left" if place < half - 8 else "right" if room.phone - place < half - 8 else "center"
    x = alt.X("at:Q")
    base = alt.Chart(pd.DataFrame({"at": [float(at)]}))
    layers = [base.mark_rule(strokeWidth=1.25).encode(x=x).properties(name="line")]
    if words:
        layers.append(
            base.mark_text(text=words, align=align, baseline="alphabetic")
            .encode(x=x, y=alt.value(-8))
            .properties(name="line-words")
        )
    return layers


@labels()
def dots(
    frame: pd.DataFrame,
    value: str,
    label: str,
    *,
    fmt: Format = ".0%",
    title: str,
    subtitle: str,
    line: float | None = None,
    line_label: str = "",
    columns: Sequence[tuple[str, str, Format | None]] = (),
    verdict: str | None = None,
    domain: Sequence[float] | None = None,
    accent: str | Collection[str] = (),
    level: float = 0.95,
) -> alt.LayerChart:
    """Estimates in the frame's order, each with its interval, and their figures as columns on the right.

    Parameters
    ----------
    frame : DataFrame
        One row per mark; columns lower and upper are drawn as the interval where they are there.
    value, label : str
        The columns with the estimate and with its name.
    fmt : str or function
        A format such as ".0%", a function such as `money` or `days`, or a currency sign.
    line, line_label : float, str
        What the marks are compared with, and its words.
    columns : sequence of (column, header, format or None)
        Further figures on the right; a phone leaves them out.
    verdict : str
        A column with "above", "below", "same" or "few"; it gives colour and word.
    domain : (low, high)
        The range of the axis; else it follows from the figures.
    accent : str or collection of str
        The labels the finding names, where there is no verdict.
    level : float
        Of the interval.
    """
    need(frame, value, label, verdict, *(c[0] for c in columns))
    say, header = speaker(fmt), column(value).header
    ranged = {"lower", "upper"} <= set(frame.columns)
    data = pd.DataFrame({"row": range(len(frame)), "label": frame[label].astype(str).to_list()})
    data["value"] = floats(frame[value])
    data["text"] = [say(v) for v in frame[value]]
    if ranged:
        data["lower"], data["upper"] = floats(frame["lower"]), floats(frame["upper"])
        data["interval"] = [between(a, b, fmt) for a, b in zip(frame["lower"], frame["upper"], strict=True)]
    if verdict is None:
        named = {accent} if isinstance(accent, str) else set(accent)
        data["verdict"] = ["above" if name in named else "same" for name in data["label"]]
    else:
        data["verdict"] = ["same" if missing(v) else str(v) for v in frame[verdict]]
    seen = [*data["value"], *(data["lower"] if ranged else ()), *(data["upper"] if ranged else ()), line]
    domain, ticks = scale_of(seen, fmt, domain)

    # the columns, from the plot's right edge on: (field, header, where, align, name, mark)
    figures: list[tuple[str, str, float, str, str, dict[str, Any]]] = []
    at = 16 + max(text_width(header, 12), widest_of(data["text"]))
    phone_right = at
    figures.append(("text", header, at, "right", "value", {"fontWeight": 600}))
    for i, (name, head, how) in enumerate(columns):
        field = f"c{i}"
        data[field] = [_cell(v, how) for v in frame[name]]
        at += 18 + max(text_width(head, 12), widest_of(data[field]))
        figures.append((field, head, at, "right", f"column-{i}", {"color": GREY}))
    if verdict is not None:
        data["word"] = data["verdict"].map({"above": "above", "below": "below", "few": "too few"}).fillna("")
        if data["word"].any():
            head = column(verdict).header if verdict != "verdict" else "Beyond chance"
            figures.append(("word", head, at + 20, "left", "verdict", {}))
            at += 20 + max(text_width(head, 12), widest_of(data["word"]))
    left, phone_left = _margin_of(data["label"])
    room = Room(left, at, phone_left, phone_right)

    tooltip = [alt.Tooltip("label:N", title=column(label).header), alt.Tooltip("text:N", title=header)]
    if ranged:
        tooltip.append(alt.Tooltip("interval:N", title=f"{level:.0%} interval"))
    tooltip += [alt.Tooltip(f"c{i}:N", title=c[1]) for i, c in enumerate(columns)]
    colour = alt.Color("verdict:N", scale=VERDICT, legend=None)
    axis = axis_of(ticks, tick_words(ticks, fmt))
    base = alt.Chart(data)
    layers = _line(line, line_label, domain, room) if line is not None and not missing(line) else []
    if ranged:
        layers.append(
            base.transform_filter("isValid(datum.lower) && isValid(datum.upper)")
            .mark_rule(strokeWidth=2, opacity=0.55)
            .encode(y=_row(len(data)), x=x_of("lower", domain, axis), x2="upper:Q", color=colour, tooltip=tooltip)
            .properties(name="intervals")
        )
    layers.append(
        base.transform_filter("isValid(datum.value)")
        .mark_circle(size=72)
        .encode(y=_row(len(data)), x=x_of("value", domain, axis), color=colour, tooltip=tooltip)
        .properties(name="dots")
    )
    layers.append(_names(data))
    for field, head, where, align, name, mark in figures:
        x = px_of(f"width + {math.ceil(where)}")
        text = base.mark_text(align=align, fontSize=13, **mark)
        text = text.encode(y=_row(len(data)), x=x, text=f"{field}:N", **({"color": colour} if field == "word" else {}))
        layers.append(text.properties(name=name))
        layers.append(word_at(head, x, alt.value(-8), f"{name}-head", align=align, baseline="alphabetic", color=GREY))
    hide = [part for f in figures[1:] for part in (f[4], f"{f[4]}-head")]
    return framed(layers, room, ROW * len(data), title, subtitle, top=24, hide=hide)


def _cell(x: Any, how: Format | None) -> str:
    if how is not None:
        return speaker(how)(x)
    if missing(x):
        return MISSING
    return f"{x:,}".replace("-", "−") if isinstance(x, int | float | np.number) else str(x)


@labels()
def bars(
    frame: pd.DataFrame,
    value: str,
    label: str,
    *,
    text: str,
    title: str,
    subtitle: str,
    accent: str | Collection[str] | None = None,
) -> alt.LayerChart:
    """Counts or money by name, from 0; each bar ends in its figure, so there is no axis.

    Parameters
    ----------
    frame : DataFrame
        One row per bar, in the order to be shown.
    value, label, text : str
        The columns with the length, with the name, and with the words at the bar's end.
    accent : str or collection of str
        The labels the finding names; the others are grey.
    """
    need(frame, value, label, text)
    named = set() if accent is None else {accent} if isinstance(accent, str) else set(accent)
    data = pd.DataFrame({"row": range(len(frame)), "label": frame[label].astype(str).to_list()})
    data["value"] = floats(frame[value])
    data["text"] = [MISSING if missing(t) else str(t) for t in frame[text]]
    data["end"] = data["value"].fillna(0).clip(lower=0)
    data["named"] = data["label"].isin(named)
    known = data["value"].dropna()
    domain = [min(0.0, float(known.min())), max(0.0, float(known.max()))] if len(known) else [0.0, 1.0]
    domain = [round_figure(domain[0]), round_figure(domain[1]) or (0.0 if domain[0] else 1.0)]
    left, phone_left = _margin_of(data["label"])
    end = widest_of(data["text"]) + 12
    base, x = alt.Chart(data), x_of("value", domain, None)
    tooltip = [alt.Tooltip("label:N", title=column(label).header), alt.Tooltip("text:N", title=column(value).header)]
    layers = [
        base.transform_filter("isValid(datum.value)")
        .mark_bar(size=16)
        .encode(
            y=_row(len(data)),
            x=x,
            x2=alt.datum(0),
            color=alt.Color("named:N", scale=alt.Scale(domain=[True, False], range=[ACCENT, GREY]), legend=None),
            opacity=alt.Opacity("named:Q", scale=alt.Scale(domain=[0, 1], range=[0.5, 1]), legend=None),
            tooltip=tooltip,
        )
        .properties(name="bars"),
        base.mark_text(align="left", dx=8, fontSize=13)
        .encode(y=_row(len(data)), x="end:Q", text="text:N")
        .properties(name="ends"),
        _names(data),
    ]
    return framed(layers, Room(left, end, phone_left, end), ROW * len(data), title, subtitle, top=0, bottom=0)


@labels()
def steps(
    frame: pd.DataFrame,
    label: str,
    value: str,
    *,
    fmt: Format,
    title: str,
    subtitle: str,
    total: str | Collection[str] = (),
    line: float | None = None,
    line_label: str = "",
    sure: str | None = None,
) -> alt.LayerChart:
    """How one total becomes another, or how parts make up a total.

    Parameters
    ----------
    frame : DataFrame
        One row per step, in order. A change starts where the step before ended; columns lower and upper, if there,
        are the interval of the change or of the total.
    label, value : str
        The columns with the name and with the change, or the height of a total.
    total : str or collection of str
        The labels of the rows that are totals: they stand on 0, in grey.
    line, line_label : float, str
        A target, and its words.
    sure : str
        A column from 0 to 1: the surer a part, the deeper its colour.
    """
    need(frame, label, value, sure)
    totals = {total} if isinstance(total, str) else set(total)
    say, head = speaker(fmt), column(value).header
    rows: list[dict[str, Any]] = []
    level = 0.0
    for i, row in enumerate(frame.to_dict("records")):
        name, change = str(row[label]), row[value]
        known, whole = not missing(change), name in totals
        start = 0.0 if whole else level
        level = start + float(change) if known else start
        low, high = (start + float(row[k]) if not missing(row.get(k)) else None for k in ("lower", "upper"))
        word = say(change)
        if known and not whole and i and change >= 0:
            word = f"+{word}" if any(c.isdigit() and int(c) for c in word) else languages.t("no change")
        rows.append(
            {
                "row": i,
                "label": name,
                "start": start,
                "end": level,
                "lower": low,
                "upper": high,
                "far": max(v for v in (start, level, high) if v is not None),
                "text": word,
                "interval": between(row.get("lower"), row.get("upper"), fmt),
                "whole": whole,
                "sure": float(row[sure]) if sure and not missing(row[sure]) else 1.0,
            }
        )
    fields = ("row", "label", "start", "end", "lower", "upper", "far", "text", "interval", "whole", "sure")
    data = pd.DataFrame(rows, columns=fields)
    ends = [v for name in ("start", "end", "lower", "upper") for v in data[name]] + [line]
    domain, ticks = scale_of(ends, fmt, None, zero=True)
    # the longest figure must fit behind the farthest bar
    left, phone_left = _margin_of(data["label"])
    end = widest_of(data["text"]) + 12
    room = Room(left, end, phone_left, end)
    axis = axis_of(ticks, tick_words(ticks, fmt))
    base = alt.Chart(data)
    tooltip = [alt.Tooltip("label:N", title=column(label).header), alt.Tooltip("text:N", title=head)]
    ranged = data["lower"].notna().any()
    if ranged:
        tooltip.append(alt.Tooltip("interval:N", title="Interval"))
    links = pd.DataFrame({"row": data["row"][:-1], "next": data["row"][1:].to_list(), "end": data["end"][:-1]})
    layers = [
        alt.Chart(links)
        .mark_rule(color=GREY, strokeWidth=1, opacity=0.6)
        .encode(y=_row(len(data)), y2="next:O", x=x_of("end", domain, axis))
        .properties(name="links"),
        base.mark_bar(size=16)
        .encode(
            y=_row(len(data)),
            x=x_of("start", domain, axis),
            x2="end:Q",
            color=alt.Color("whole:N", scale=alt.Scale(domain=[True, False], range=[GREY, ACCENT]), legend=None),
            opacity=alt.Opacity("sure:Q", scale=alt.Scale(domain=[0, 1], range=[0.25, 1]), legend=None),
            tooltip=tooltip,
        )
        .properties(name="bars"),
    ]
    if ranged:
        layers.append(
            base.transform_filter("isValid(datum.lower) && isValid(datum.upper)")
            .mark_rule(strokeWidth=1.5)
            .encode(y=_row(len(data)), x="lower:Q", x2="upper:Q", tooltip=tooltip)
            .properties(name="intervals")
        )
    if line is not None and not missing(line):
        layers += _line(line, line_label, domain, room)
    layers += [
        base.mark_text(align="left", dx=8, fontSize=13, fontWeight=600)
        .encode(y=_row(len(data)), x="far:Q", text="text:N")
        .properties(name="ends"),
        _names(data),
    ]
    return framed(layers, room, ROW * len(data), title, subtitle, top=24 if line is not None else 4)
