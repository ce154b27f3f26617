"""The chart shapes. A shape draws a tidy result frame, one row a mark, and computes no statistics.

Each chart is drawn for 720 px and says in `usermeta["salesforecast"]` what a page changes on a phone (`narrow`)
and how much room of `padding.top` is the title's (`title_height`). What depends on the width of the plot is an
expression of `width` or `padding`, so that a page only has to set those.
"""

from __future__ import annotations

import json
import math
import re
import sys
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from salesforecast.errors import SettingError, unknown
from salesforecast.formats import MISSING, MONTHS, Format, between, column, day, missing, money_in, speaker

sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # jsonschema would compile a grammar for 1 s
import altair as alt  # noqa: E402

ACCENT, WARN, GREY, INK = "#0072B2", "#D55E00", "#72777D", "currentColor"
SERIES = (ACCENT, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", WARN)
WIDE, PHONE = 720, 358
ROW = 28
TITLE = 32  # the title's own room: its line and the space below
SUBTITLE_LINE = 18
ON_PHONE = "padding.left + width + padding.right < 480"
ALONE = alt.Data(values=[{}])
BAND = alt.Scale(type="band", paddingInner=0, paddingOuter=0)
VERDICT = alt.Scale(domain=["above", "below", "same", "few"], range=[ACCENT, WARN, GREY, GREY])


# ---- room ---------------------------------------------------------------------------------------------------------


def text_width(text: str, size: float = 13) -> float:
    """About how wide a text is in px, on the generous side, for fonts are not known."""
    em = 0.0
    for c in str(text):
        if unicodedata.combining(c):
            continue
        if unicodedata.east_asian_width(c) in "WF":
            em += 1.02
        elif c in "iljtfrI.,:;|!'’()[] ":
            em += 0.36
        elif c in "mwMW%@":
            em += 0.92
        elif c.isupper():
            em += 0.7
        else:
            em += 0.59
    return em * size


def _widest(texts: Iterable[Any], size: float = 13) -> float:
    return max((text_width(str(t), size) for t in texts), default=0.0)


def _cut(text: str, room: float, size: float = 12) -> str:
    """The text, shortened to the room it has."""
    if text_width(text, size) <= room:
        return text
    while text and text_width(text + "…", size) > room:
        text = text[:-1]
    return text.rstrip(" ,;") + "…"


def _wrapped(text: str, room: float, size: float) -> str:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, size) * 0.9 > room and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


class _Room(NamedTuple):
    """The margins of a chart, wide and on a phone."""

    left: float
    right: float
    phone_left: float
    phone_right: float

    @property
    def phone(self) -> float:
        """The width of the plot on a phone."""
        return PHONE - self.phone_left - self.phone_right


def _frame(
    layers: Sequence[Any],
    room: _Room,
    height: float,
    title: str,
    subtitle: str = "",
    *,
    top: float = 12,
    bottom: float = 24,
    hide: Sequence[str] = (),
    phone_height: float | None = None,
    width: float = WIDE,
    description: str = "",
) -> alt.LayerChart:
    """A plot of exactly this size: the margins are given, never guessed from the letters."""
    wide = {"left": math.ceil(room.left), "right": math.ceil(room.right), "top": top, "bottom": bottom}
    phone = {**wide, "left": math.ceil(room.phone_left), "right": math.ceil(room.phone_right)}
    narrow: dict[str, Any] = {"padding": phone, "hide": list(hide)}
    if phone_height is not None:
        narrow["height"] = phone_height
    own: dict[str, Any] = {"narrow": narrow, "title_height": 0}
    properties: dict[str, Any] = {
        "width": width - wide["left"] - wide["right"],
        "height": height,
        "padding": dict(wide),
        "autosize": alt.AutoSizeParams(type="none"),
        "description": description or ". ".join(t.rstrip(".") for t in (title, subtitle) if t) + ".",
    }
    if title:
        lines = _wrapped(subtitle, width, 13)
        own["title_height"] = TITLE + SUBTITLE_LINE * (lines.count("\n") + 1 if lines else 0)
        properties["padding"]["top"] += own["title_height"]
        properties["title"] = alt.TitleParams(
            text=title,
            **({"subtitle": lines} if lines else {}),
            anchor="start",
            frame="group",
            dx=-wide["left"],
            offset=12,  # above whatever stands over the plot
        )
    # canvas cannot follow a change of JupyterLab's theme, SVG takes its ink from the page
    return alt.layer(*layers).properties(
        **properties, usermeta={"salesforecast": own, "embedOptions": {"renderer": "svg"}}
    )


def _px(expression: str) -> Any:
    return alt.value(alt.ExprRef(expression))


def _word(text: str, x: Any, y: Any, name: str = "", **mark: Any) -> Any:
    """One word at one place, outside any data."""
    layer = alt.Chart(ALONE).mark_text(text=text, **mark).encode(x=x, y=y)
    return layer.properties(name=name) if name else layer


# ---- scales -------------------------------------------------------------------------------------------------------


def _round(x: float) -> float:
    short = float(f"{x:.6g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most so many round numbers that enclose the range."""
    if not high > low:
        low, high = (low - abs(low) / 2, low + abs(low) / 2) if low else (0.0, 1.0)
    power = 10 ** (math.floor(math.log10(high - low)) - 1)
    while True:
        for m in (1, 2, 2.5, 5):
            step = m * power
            if m == 2.5 and step not in (0.25, 25, 250) and step < 1e3:
                continue  # "2.5%" or "2.5 deals" would be rounded in the label
            first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
            if last - first + 1 <= most:
                return [_round(i * step) for i in range(first, last + 1)]
        power *= 10


def _scale(
    values: Iterable[Any], fmt: Format, domain: Sequence[float] | None, zero: bool = False, most: int = 5
) -> tuple[list[float], list[float]]:
    """The domain and the ticks for these values; a range near 0 starts there."""
    known = [float(v) for v in values if not missing(v)]
    if domain is not None:
        low, high = float(domain[0]), float(domain[1])
        inside = [t for t in _ticks(low, high, most + 2) if low - 1e-9 <= t <= high + 1e-9]
        return [_round(low), _round(high)], inside if len(inside) <= most else inside[:: math.ceil(len(inside) / most)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if zero or 0 <= low <= high / 3:
        low, high = min(low, 0.0), max(high, 0.0)
    ticks = _ticks(low, high, most)
    return [ticks[0], ticks[-1]], ticks


def _tick_words(ticks: Sequence[float], fmt: Format, unit: str = "") -> list[str]:
    """The ticks in words; the unit stands on the last one only, except for per cent."""
    currency = money_in(fmt)
    if currency is not None:
        top = max((abs(t) for t in ticks), default=0)
        divisor, word = next((u for u in ((1e9, "B"), (1e6, "M"), (1e3, "k")) if top >= u[0]), (1.0, ""))
        last = speaker(fmt)(1).replace("1", "{}") + word  # the currency and its place
        words = [f"{t / divisor:,.6g}".replace("-", "−") for t in ticks]
        return [*words[:-1], *(last.format(w) for w in words[-1:])]
    say = speaker(fmt)
    words = [say(t) for t in ticks]
    if callable(fmt) and not any("%" in w for w in words):
        words[:-1] = [re.sub(r"[^\d.,]+$", "", w) for w in words[:-1]]
    if unit and words:
        words[-1] += f" {unit}"
    return words


def _axis(at: Sequence[float], words: Sequence[str], phone: Sequence[str] = (), **options: Any) -> alt.Axis:
    place, text = json.dumps(list(at)), json.dumps(list(words))
    if phone and list(phone) != list(words):
        text = f"({ON_PHONE} ? {json.dumps(list(phone))} : {text})"
    return alt.Axis(values=list(at), tickCount=len(at), labelExpr=f"{text}[indexof({place}, datum.value)]", **options)


def _x(field: str, domain: Sequence[float], axis: Any) -> alt.X:
    return alt.X(f"{field}:Q", scale=alt.Scale(domain=list(domain), nice=False, zero=False, clamp=True), axis=axis)


def _y(field: str, domain: Sequence[float], axis: Any) -> alt.Y:
    return alt.Y(f"{field}:Q", scale=alt.Scale(domain=list(domain), nice=False, zero=False), axis=axis)


def _figures_at_left(ticks: Sequence[float], words: Sequence[str]) -> alt.Axis:
    return _axis(ticks, words, labelAlign="left", labelPadding=alt.ExprRef("padding.left"))


class _Along(NamedTuple):
    """Where things lie across: their positions, what the positions are called, and the ticks."""

    at: list[float | None]
    says: list[str]
    ticks: list[float]
    words: list[str]


def _days(at: pd.Timestamp) -> float:
    return _round((at - pd.Timestamp(1970, 1, 1)) / pd.Timedelta(days=1))


def _along(values: pd.Series, unit: str = "", most: int = 6) -> _Along:
    """Numbers as they are, dates as days, names in the order they come."""
    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.start_time
    if pd.api.types.is_datetime64_any_dtype(values):
        if values.dt.tz is not None:
            raise SettingError("A chart takes times without a zone; use .dt.tz_localize(None) first.")
        known = values.dropna()
        ticks, words = _dates(known.min(), known.max(), most) if len(known) else ([], [])
        return _Along([None if missing(v) else _days(v) for v in values], [day(v) for v in values], ticks, words)
    if pd.api.types.is_numeric_dtype(values):
        known = values.dropna().astype(float)
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        ticks = [t for t in _ticks(low, high, most + 1) if low <= t <= high]
        whole = bool((known % 1 == 0).all()) and low >= 1900 and high <= 2200  # years have no thousands
        words = [str(t) if whole else f"{t:,}".replace("-", "−") for t in ticks]
        if unit and words:
            words[-1] += f" {unit}"
        return _Along([None if missing(v) else float(v) for v in values], [str(v) for v in values], ticks, words)
    names = [str(v) for v in pd.unique(values.dropna())]
    place = {name: i for i, name in enumerate(names)}
    at = [None if missing(v) else float(place[str(v)]) for v in values]
    years = {i: found[1] for name, i in place.items() if (found := re.fullmatch(r"(.*\d{2,4})[ -]?(Q1|01)", name))}
    if len(names) > most and 2 <= len(years) <= most:
        return _Along(at, [str(v) for v in values], list(years), list(years.values()))
    step = max(1, math.ceil(len(names) / most))
    places = range((len(names) - 1) % step, len(names), step)
    return _Along(at, [str(v) for v in values], list(places), [names[i] for i in places])


def _dates(first: pd.Timestamp, last: pd.Timestamp, most: int) -> tuple[list[float], list[str]]:
    """Round dates within a range: starts of years, quarters or months, else days."""
    for months in (1, 3, 12, 24, 60, 120):
        starts = pd.date_range(pd.Timestamp(first.year, 1, 1), last, freq=f"{months}MS")
        inside = [t for t in starts if t >= first]
        if len(inside) > most:
            continue
        if len(inside) < 2:
            break
        if months >= 12:
            return [_days(t) for t in inside], [str(t.year) for t in inside]
        named = [i == 0 or t.month == 1 for i, t in enumerate(inside)]
        words = [MONTHS[t.month - 1] + (f" {t.year}" if y else "") for t, y in zip(inside, named, strict=True)]
        return [_days(t) for t in inside], words
    step = max(1, math.ceil((last - first).days / max(1, most - 1)))
    inside = list(pd.date_range(first.normalize(), last, freq=f"{step}D"))
    return [_days(t) for t in inside], [f"{t.day} {MONTHS[t.month - 1]}" for t in inside]


def _spread(places: Sequence[float], low: float, high: float, gap: float) -> list[float]:
    """The places moved apart to at least `gap`, as little as possible, within low to high."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    groups: list[tuple[float, list[int]]] = []  # a group stands around the mean of what its members want
    for i in order:
        want, members = places[i], [i]
        while groups and want - groups[-1][0] < gap * (len(members) + len(groups[-1][1])) / 2:
            before, earlier = groups.pop()
            want = (before * len(earlier) + want * len(members)) / (len(earlier) + len(members))
            members = earlier + members
        half = gap * (len(members) - 1) / 2
        groups.append((min(max(want, low + half), max(high - half, low + half)), members))
    out = [0.0] * len(places)
    for middle, members in groups:
        for k, i in enumerate(members):
            out[i] = middle + gap * (k - (len(members) - 1) / 2)
    return out


# ---- rows: dots, bars, steps --------------------------------------------------------------------------------------


def _need(frame: pd.DataFrame, *columns: str | None) -> None:
    for name in columns:
        if name is not None and name not in frame.columns:
            raise unknown("column", name, frame.columns)


def _row() -> alt.Y:
    return alt.Y("row:O", axis=None, sort=None, scale=BAND)


def _margin_of(labels: Iterable[str]) -> tuple[float, float]:
    """The room for row labels, wide and on a phone."""
    widest = _widest(labels)
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
        .encode(y=_row(), x=_px("-padding.left"), text="label:N", tooltip=[alt.Tooltip("label:N", title="Name")])
        .properties(name="names")
    )


def _line(at: float, words: str, domain: Sequence[float], room: _Room) -> list[Any]:
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
    """
    _need(frame, value, label, verdict, *(c[0] for c in columns))
    say, header = speaker(fmt), column(value).header
    ranged = {"lower", "upper"} <= set(frame.columns)
    data = pd.DataFrame({"row": range(len(frame)), "label": frame[label].astype(str).to_list()})
    data["value"] = frame[value].astype(float).to_list()
    data["text"] = [say(v) for v in frame[value]]
    if ranged:
        data["lower"], data["upper"] = frame["lower"].astype(float).to_list(), frame["upper"].astype(float).to_list()
        data["interval"] = [between(a, b, fmt) for a, b in zip(frame["lower"], frame["upper"], strict=True)]
    if verdict is None:
        named = {accent} if isinstance(accent, str) else set(accent)
        data["verdict"] = ["above" if name in named else "same" for name in data["label"]]
    else:
        data["verdict"] = ["same" if missing(v) else str(v) for v in frame[verdict]]
    seen = [*data["value"], *(data["lower"] if ranged else ()), *(data["upper"] if ranged else ()), line]
    domain, ticks = _scale(seen, fmt, domain)

    # the columns, from the plot's right edge on: (field, header, where, align, name, mark)
    figures: list[tuple[str, str, float, str, str, dict[str, Any]]] = []
    at = 16 + max(text_width(header, 12), _widest(data["text"]))
    phone_right = at
    figures.append(("text", header, at, "right", "value", {"fontWeight": 600}))
    for i, (name, head, how) in enumerate(columns):
        field = f"c{i}"
        data[field] = [_cell(v, how) for v in frame[name]]
        at += 18 + max(text_width(head, 12), _widest(data[field]))
        figures.append((field, head, at, "right", f"column-{i}", {"color": GREY}))
    if verdict is not None:
        data["word"] = data["verdict"].map({"above": "above", "below": "below", "few": "too few"}).fillna("")
        if data["word"].any():
            head = column(verdict).header if verdict != "verdict" else "Beyond chance"
            figures.append(("word", head, at + 20, "left", "verdict", {}))
            at += 20 + max(text_width(head, 12), _widest(data["word"]))
    left, phone_left = _margin_of(data["label"])
    room = _Room(left, at, phone_left, phone_right)

    tooltip = [alt.Tooltip("label:N", title=column(label).header), alt.Tooltip("text:N", title=header)]
    if ranged:
        tooltip.append(alt.Tooltip("interval:N", title="95% interval"))
    tooltip += [alt.Tooltip(f"c{i}:N", title=c[1]) for i, c in enumerate(columns)]
    colour = alt.Color("verdict:N", scale=VERDICT, legend=None)
    axis = _axis(ticks, _tick_words(ticks, fmt))
    base = alt.Chart(data)
    layers = _line(line, line_label, domain, room) if line is not None and not missing(line) else []
    if ranged:
        layers.append(
            base.transform_filter("isValid(datum.lower) && isValid(datum.upper)")
            .mark_rule(strokeWidth=2, opacity=0.55)
            .encode(y=_row(), x=_x("lower", domain, axis), x2="upper:Q", color=colour, tooltip=tooltip)
            .properties(name="intervals")
        )
    layers.append(
        base.transform_filter("isValid(datum.value)")
        .mark_circle(size=72)
        .encode(y=_row(), x=_x("value", domain, axis), color=colour, tooltip=tooltip)
        .properties(name="dots")
    )
    layers.append(_names(data))
    for field, head, where, align, name, mark in figures:
        x = _px(f"width + {math.ceil(where)}")
        text = base.mark_text(align=align, fontSize=13, **mark)
        text = text.encode(y=_row(), x=x, text=f"{field}:N", **({"color": colour} if field == "word" else {}))
        layers.append(text.properties(name=name))
        layers.append(_word(head, x, alt.value(-8), f"{name}-head", align=align, baseline="alphabetic", color=GREY))
    hide = [part for f in figures[1:] for part in (f[4], f"{f[4]}-head")]
    return _frame(layers, room, ROW * len(data), title, subtitle, top=24, hide=hide)


def _cell(x: Any, how: Format | None) -> str:
    if how is not None:
        return speaker(how)(x)
    if missing(x):
        return MISSING
    return f"{x:,}".replace("-", "−") if isinstance(x, int | float | np.number) else str(x)


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
    _need(frame, value, label, text)
    named = set() if accent is None else {accent} if isinstance(accent, str) else set(accent)
    data = pd.DataFrame({"row": range(len(frame)), "label": frame[label].astype(str).to_list()})
    data["value"] = frame[value].astype(float).to_list()
    data["text"] = [MISSING if missing(t) else str(t) for t in frame[text]]
    data["end"] = data["value"].fillna(0).clip(lower=0)
    data["named"] = data["label"].isin(named)
    known = data["value"].dropna()
    domain = [min(0.0, float(known.min())), max(0.0, float(known.max()))] if len(known) else [0.0, 1.0]
    domain = [_round(domain[0]), _round(domain[1]) or (0.0 if domain[0] else 1.0)]
    left, phone_left = _margin_of(data["label"])
    end = _widest(data["text"]) + 12
    base, x = alt.Chart(data), _x("value", domain, None)
    tooltip = [alt.Tooltip("label:N", title=column(label).header), alt.Tooltip("text:N", title=column(value).header)]
    layers = [
        base.transform_filter("isValid(datum.value)")
        .mark_bar(size=16)
        .encode(
            y=_row(),
            x=x,
            x2=alt.datum(0),
            color=alt.Color("named:N", scale=alt.Scale(domain=[True, False], range=[ACCENT, GREY]), legend=None),
            opacity=alt.Opacity("named:N", scale=alt.Scale(domain=[True, False], range=[1, 0.5]), legend=None),
            tooltip=tooltip,
        )
        .properties(name="bars"),
        base.mark_text(align="left", dx=8, fontSize=13)
        .encode(y=_row(), x="end:Q", text="text:N")
        .properties(name="ends"),
        _names(data),
    ]
    return _frame(layers, _Room(left, end, phone_left, end), ROW * len(data), title, subtitle, top=0, bottom=0)


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
    _need(frame, label, value, sure)
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
            word = f"+{word}" if any(c in word for c in "123456789") else "no change"
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
    data = pd.DataFrame(rows)
    ends = [v for name in ("start", "end", "lower", "upper") for v in data[name]] + [line]
    domain, ticks = _scale(ends, fmt, None, zero=True)
    # the longest figure must fit behind the farthest bar
    left, phone_left = _margin_of(data["label"])
    end = _widest(data["text"]) + 12
    room = _Room(left, end, phone_left, end)
    axis = _axis(ticks, _tick_words(ticks, fmt))
    base = alt.Chart(data)
    tooltip = [alt.Tooltip("label:N", title=column(label).header), alt.Tooltip("text:N", title=head)]
    ranged = data["lower"].notna().any()
    if ranged:
        tooltip.append(alt.Tooltip("interval:N", title="Interval"))
    links = pd.DataFrame({"row": data["row"][:-1], "next": data["row"][1:].to_list(), "end": data["end"][:-1]})
    layers = [
        alt.Chart(links)
        .mark_rule(color=GREY, strokeWidth=1, opacity=0.6)
        .encode(y=_row(), y2="next:O", x=_x("end", domain, axis))
        .properties(name="links"),
        base.mark_bar(size=16)
        .encode(
            y=_row(),
            x=_x("start", domain, axis),
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
            .encode(y=_row(), x="lower:Q", x2="upper:Q", tooltip=tooltip)
            .properties(name="intervals")
        )
    if line is not None and not missing(line):
        layers += _line(line, line_label, domain, room)
    layers += [
        base.mark_text(align="left", dx=8, fontSize=13, fontWeight=600)
        .encode(y=_row(), x="far:Q", text="text:N")
        .properties(name="ends"),
        _names(data),
    ]
    return _frame(layers, room, ROW * len(data), title, subtitle, top=24 if line is not None else 4)


# ---- over time ----------------------------------------------------------------------------------------------------


def _axis_across(along: _Along, domain: Sequence[float], room: _Room, ticks: bool = True) -> alt.Axis:
    phone = _thinned(along, domain, room.phone)
    marks = {"ticks": True, "tickSize": 4, "labelPadding": 4} if ticks else {}
    return _axis(along.ticks, along.words, phone, grid=False, labelFlush=True, labelOverlap=True, **marks)


def _thinned(along: _Along, domain: Sequence[float], width: float) -> list[str]:
    """The words that have room beside each other; the last one, which bears the unit, always has."""
    out, free = [""] * len(along.words), math.inf
    for i in reversed(range(len(out))):
        size = text_width(along.words[i], 12)
        middle = (along.ticks[i] - domain[0]) / (domain[1] - domain[0]) * width
        start = min(max(middle - size / 2, 0), width - size)
        if start + size <= free:
            out[i], free = along.words[i], start - 6
    return out


def _reach(at: Iterable[float | None]) -> list[float]:
    known = [v for v in at if v is not None]
    if not known:
        return [0.0, 1.0]
    low, high = min(known), max(known)
    return [low, high] if high > low else [low - 0.5, high + 0.5]


def _to_px(v: float, domain: Sequence[float], height: float) -> float:
    return (1 - (v - domain[0]) / (domain[1] - domain[0])) * height


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
    """
    _need(frame, x, value, series, *(("lower", "upper") if band else ()))
    along, say = _along(frame[x], x_title), speaker(fmt)
    data = pd.DataFrame({"x": along.at, "says": along.says, "series": frame[series].astype(str).to_list()})
    data["value"] = frame[value].astype(float).to_list()
    data["text"] = [say(v) for v in frame[value]]
    names = list(dict.fromkeys(data["series"]))
    first = main if main is not None else names[0] if len(names) == 1 else None
    if band:
        of = (data["series"] == first).to_numpy()
        for bound in ("lower", "upper"):
            data[bound] = frame[bound].astype(float).where(of).to_list()
    seen = [*data["value"], *(v for v, _ in marks)] + ([*data["lower"], *data["upper"]] if band else [])
    domain, ticks = _scale(seen, fmt, domain)
    height = max(200.0, 16.0 * len(names))

    data = data[data["x"].notna()]
    last = data[data["value"].notna()].sort_values("x", kind="stable").groupby("series", sort=False).tail(1).copy()
    for name, most in (("name", 178.0), ("short", 112.0)):
        last[name] = [
            f"{_cut(s, most - text_width(t, 12) - 4)} {t}" if len(names) > 1 else t
            for s, t in zip(last["series"], last["text"], strict=True)
        ]
    places = [_to_px(v, domain, height) for v in last["value"]]
    last["place"] = [_round(p) for p in _spread(places, 0, height, 16)]

    words = _tick_words(ticks, fmt)
    left = max(24.0, _widest(words, 12) + 10)
    room = _Room(left, _widest(last["name"], 12) + 12, left, _widest(last["short"], 12) + 12)
    if first is None:
        order, colours = names, [*SERIES, *[GREY] * len(names)][: len(names)]
    else:
        order = [first, *(n for n in names if n != first)]
        colours = [ACCENT] + [GREY] * (len(order) - 1)
    colour = alt.Color("series:N", scale=alt.Scale(domain=order, range=colours), legend=None)
    across = _x("x", _reach(along.at), _axis_across(along, _reach(along.at), room))
    axis = _figures_at_left(ticks, words)
    up = _y("value", domain, axis)
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
            .encode(x=across, y=_y("lower", domain, axis), y2="upper:Q", color=colour)
            .properties(name="band")
        )
    for at, words_at in marks:
        rule = alt.Chart(pd.DataFrame({"at": [float(at)]}))
        layers.append(rule.mark_rule().encode(y=alt.Y("at:Q")))
        layers.append(
            rule.mark_text(text=words_at, align="left", baseline="alphabetic", dy=-5).encode(y="at:Q", x=alt.value(0))
        )
    for name, stroke, part in (
        ("lines", 1.5 if first else 2.0, data[data["series"] != first] if first else data),
        ("main", 2.25, data[data["series"] == first]),
    ):
        if len(part):
            drawn = alt.Chart(part).mark_line(strokeWidth=stroke, clip=True)
            layers.append(drawn.encode(x=across, y=up, color=colour, detail="series:N").properties(name=name))
    ends = alt.Chart(last)
    layers += [
        base.mark_circle(size=120, opacity=0).encode(x=across, y=up, tooltip=tooltip).properties(name="points"),
        ends.mark_circle(size=40).encode(x=across, y=up, color=colour, tooltip=tooltip).properties(name="last"),
        ends.transform_calculate(said=f"{ON_PHONE} ? datum.short : datum.name")
        .mark_text(align="left")
        .encode(
            x=_px("width + 9"),
            y=alt.Y("place:Q", scale=None, axis=None),
            text="said:N",
            color=colour,
            tooltip=tooltip,
        )
        .properties(name="ends"),
    ]
    return _frame(layers, room, height, title, subtitle)


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
    along, say = _along(periods), speaker(fmt)
    n, m = len(history), len(future)
    past = pd.DataFrame({"x": along.at[:n], "says": along.says[:n], "value": history["value"].astype(float).to_list()})
    past["text"] = [say(v) for v in past["value"]]
    ahead = pd.DataFrame({"x": along.at[n : n + m], "says": along.says[n : n + m]})
    ahead["value"] = future["mean"].astype(float).to_list()
    ahead["text"] = [say(v) for v in ahead["value"]]
    ranges = [level for level in ("80", "50") if f"lower_{level}" in future.columns]
    for level in ranges:
        for bound in (f"lower_{level}", f"upper_{level}"):
            ahead[bound] = future[bound].astype(float).to_list()
        pairs = zip(future[f"lower_{level}"], future[f"upper_{level}"], strict=True)
        ahead[f"range_{level}"] = [between(a, b, fmt) for a, b in pairs]
    bounds = [f"{side}_{level}" for level in ranges for side in ("lower", "upper")]
    joint = past.tail(1).assign(**{b: past["value"].tail(1) for b in bounds})  # the fan opens where history ends
    opened = pd.concat([joint, ahead], ignore_index=True)
    goals = pd.DataFrame({"x": along.at[n + m :], "value": targets["target"].astype(float).to_list()})
    goals["text"] = [say(v) for v in goals["value"]]

    seen = [*past["value"], *goals["value"], *ahead["value"], *(v for b in bounds for v in ahead[b])]
    domain, ticks = _scale(seen, fmt, domain)
    height = 240.0
    words = _tick_words(ticks, fmt)
    left = max(28.0, _widest(words, 12) + 12)
    end = ahead.iloc[-1]
    at_end = [("forecast", end["value"], ACCENT)] + [(f"{k}% range", end[f"upper_{k}"], GREY) for k in ranges]
    right = _widest((w for w, _, _ in at_end), 12) + 16
    room = _Room(left, right, left, right)
    across = _x("x", _reach(along.at), _axis_across(along, _reach(along.at), room))
    axis = _figures_at_left(ticks, words)
    up, base = _y("value", domain, axis), alt.Chart(opened)
    tooltip = [alt.Tooltip("says:N", title="Period"), alt.Tooltip("text:N", title="Value")]
    more = [alt.Tooltip(f"range_{k}:N", title=f"{k}% range") for k in ranges]
    layers = [
        base.mark_area(opacity=0.16 if level == "80" else 0.24, clip=True)
        .encode(x=across, y=_y(f"lower_{level}", domain, axis), y2=f"upper_{level}:Q")
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
        at_end, _spread([_to_px(v, domain, height) for _, v, _ in at_end], 0, height, 16), strict=True
    ):
        weight: dict[str, Any] = {"fontWeight": 600} if colour == ACCENT else {}
        layers.append(_word(word, _px("width + 12"), alt.value(_round(place)), align="left", color=colour, **weight))
    return _frame(layers, room, height, title, subtitle, hide=("mean-words",) if m > 1 else ())


def ledger(frame: pd.DataFrame, *, fmt: Format, title: str, subtitle: str) -> alt.LayerChart:
    """Every past range, and where the outcome came to lie; a miss is orange and dated.

    Parameters
    ----------
    frame : DataFrame
        Columns period, lower, upper, actual.
    """
    _need(frame, "period", "lower", "upper", "actual")
    along, say = _along(frame["period"]), speaker(fmt)
    data = pd.DataFrame({"x": along.at, "says": along.says})
    for name in ("lower", "upper", "actual"):
        data[name] = frame[name].astype(float).to_list()
    data["text"] = [say(v) for v in data["actual"]]
    data["range"] = [between(a, b, fmt) for a, b in zip(data["lower"], data["upper"], strict=True)]
    data["held"] = data["actual"].between(data["lower"], data["upper"])
    domain, ticks = _scale([*data["lower"], *data["upper"], *data["actual"]], fmt, None, most=4)
    signed = domain[0] < 0
    words = [f"+{w}" if signed and t > 0 else w for w, t in zip(_tick_words(ticks, fmt), ticks, strict=True)]
    left = max(28.0, _widest(words, 12) + 12)
    low, high = _reach(along.at)
    edge = (high - low) / max(1, len(data) - 1) / 2
    reach, room = [_round(low - edge), _round(high + edge)], _Room(left, 20, left, 20)
    across = _x("x", reach, _axis_across(along, reach, room))
    base = alt.Chart(data)
    colour = alt.Color("held:N", scale=alt.Scale(domain=[True, False], range=[ACCENT, WARN]), legend=None)
    tooltip = [
        alt.Tooltip("says:N", title="Period"),
        alt.Tooltip("text:N", title="Outcome"),
        alt.Tooltip("range:N", title="Range"),
    ]
    axis = _figures_at_left(ticks, words)
    layers = [
        base.mark_rule(color=GREY, strokeWidth=7, opacity=0.28)
        .encode(x=across, y=_y("lower", domain, axis), y2="upper:Q", tooltip=tooltip)
        .properties(name="ranges"),
        base.transform_filter("isValid(datum.actual)")
        .mark_circle(size=56)
        .encode(x=across, y=_y("actual", domain, axis), color=colour, tooltip=tooltip)
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
    return _frame(layers, room, 160, title, subtitle, top=16)


# ---- many against many --------------------------------------------------------------------------------------------


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
    _need(frame, value, label, n, verdict)
    say = speaker(fmt)
    data = pd.DataFrame({"label": frame[label].astype(str).to_list(), "n": frame[n].astype(float).to_list()})
    data["value"] = frame[value].astype(float).to_list()
    data["text"] = [say(v) for v in data["value"]]
    data["verdict"] = ["same"] * len(data) if verdict is None else frame[verdict].fillna("same").to_list()
    names = ["lower_95", "upper_95", "lower_998", "upper_998"]
    bounds = limits[["n", *names]].astype(float)
    domain, ticks = _scale([*data["value"], line, *bounds["lower_95"], *bounds["upper_95"]], fmt, None)
    bounds[names] = bounds[names].clip(*domain)
    reach = _reach([float(v) for v in bounds["n"]])
    along = _along(pd.Series([*reach]), x_title)
    words = _tick_words(ticks, fmt)
    left = max(28.0, _widest(words, 12) + 12)
    right = _widest([line_label, "99.8%"], 12) + 10
    room = _Room(left, right, left, right)
    height = 260.0
    across = _x("n", reach, _axis_across(along, reach, room, ticks=False))
    axis = _figures_at_left(ticks, words)
    colour = alt.Color("verdict:N", scale=VERDICT, legend=None)
    tooltip = [
        alt.Tooltip("label:N", title=column(label).header),
        alt.Tooltip("text:N", title=column(value).header),
        alt.Tooltip("n:Q", title=x_title or column(n).header),
    ]
    area, points = alt.Chart(bounds), alt.Chart(data)
    layers = [
        area.mark_area(color=GREY, opacity=opacity)
        .encode(x=across, y=_y(f"lower_{k}", domain, axis), y2=f"upper_{k}:Q")
        .properties(name=f"limits-{k}")
        for k, opacity in (("998", 0.10), ("95", 0.12))
    ]
    rule = alt.Chart(pd.DataFrame({"at": [float(line)]}))
    layers.append(rule.mark_rule(strokeWidth=1.25).encode(y="at:Q").properties(name="line"))
    layers.append(
        points.mark_circle(size=72)
        .encode(x=across, y=_y("value", domain, axis), color=colour, tooltip=tooltip)
        .properties(name="dots")
    )
    last = bounds.iloc[-1]
    ends = [(line_label, line, INK), ("95%", last["upper_95"], GREY), ("99.8%", last["upper_998"], GREY)]
    spread = _spread([_to_px(v, domain, height) for _, v, _ in ends], 0, height, 16)
    for (word, _, ink), place in zip(ends, spread, strict=True):
        layers.append(_word(word, _px("width + 6"), alt.value(_round(place)), align="left", color=ink))
    middle = (reach[0] + reach[1]) / 2
    for side, align, dx in (("right", "left", 9), ("left", "right", -9)):
        part = data[(data["verdict"] != "same") & ((data["n"] <= middle) == (side == "right"))]
        if len(part):
            layers.append(
                alt.Chart(part)
                .mark_text(align=align, dx=dx, limit=150)
                .encode(x=across, y=_y("value", domain, axis), text="label:N", color=colour)
                .properties(name=f"names-{side}")
            )
    return _frame(layers, room, height, title, subtitle)


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
    _need(frame, x, value, label, reference)
    along, say = _along(frame[x]), speaker(fmt)
    names = list(dict.fromkeys(frame[label].astype(str)))
    low, high = _reach(along.at)
    seen = [v for c in (value, reference) if c for v in frame[c].astype(float) if not missing(v)]
    bottom, top = _reach(seen)
    tall, head, row = 48, 20, 88
    data = pd.DataFrame({"cell": [names.index(v) for v in frame[label].astype(str)]})
    data["label"], data["says"] = frame[label].astype(str).to_list(), along.says
    data["across"] = [None if v is None else (v - low) / (high - low) for v in along.at]
    for name, source in (("up", value), ("other", reference)):
        if source:
            data[name] = [head + tall * (1 - (float(v) - bottom) / (top - bottom)) for v in frame[source]]
    data["text"] = [say(v) for v in frame[value]]
    data = data[data["across"].notna()]
    last = data[data["up"].notna()].sort_values("across", kind="stable").groupby("cell").tail(1)
    first = data.drop_duplicates("cell").assign(across=0.0, up=6)

    gap, room = 24, max(32.0, _widest(last["text"], 12) + 10)
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
    return _frame(layers, _Room(2, 2, 2, 2), height, title, subtitle, top=8, bottom=0, phone_height=phone)


# ---- word-sized ---------------------------------------------------------------------------------------------------


def _strip(layers: Sequence[Any], width: float, description: str) -> alt.LayerChart:
    return _frame(layers, _Room(1, 1, 1, 1), 14, "", top=16, bottom=2, width=width, description=description)


def _marked(marks: Sequence[tuple[float, str, str]], domain: Sequence[float], width: float) -> list[Any]:
    layers, taken = [], [(math.inf, -math.inf)]
    for at, words, kind in marks:
        colour, thick = (INK, 2) if kind == "target" else (GREY, 1.5)
        place, size = (at - domain[0]) / ((domain[1] - domain[0]) or 1) * (width - 2), text_width(words, 12)
        align = "left" if place < size / 2 else "right" if place > width - size / 2 else "center"
        start = place - {"left": 0.0, "center": size / 2, "right": size}[align]
        one, x = alt.Chart(pd.DataFrame({"at": [float(at)]})), _x("at", domain, None)
        layers.append(one.mark_rule(color=colour, strokeWidth=thick).encode(x=x))
        if words and all(start + size < a or start > b for a, b in taken):  # the first mark keeps its words
            taken.append((start, start + size))
            text = one.mark_text(text=words, align=align, baseline="alphabetic", color=colour)
            layers.append(text.encode(x=x, y=alt.value(-4)))
    return layers


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
    base, x = alt.Chart(bar), _x("from", domain, None)
    layers = [
        base.mark_bar(size=8, color=GREY, opacity=0.18).encode(x=x, x2="top:Q", y=alt.value(7)),
        base.mark_bar(size=8).encode(x=x, x2="to:Q", y=alt.value(7)),
    ]
    return _strip([*layers, *_marked(marks, domain, width)], width, description)


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
        .encode(x=_x("from", domain, None), x2="to:Q", y=alt.value(7))
        for (a, b), opacity in (((lower, upper), 0.2), *([(inner, 0.26)] if inner else []))
    ]
    layers += _marked(marks, domain, width)
    dot = alt.Chart(pd.DataFrame({"at": [float(value)]})).mark_circle(size=72)
    return _strip([*layers, dot.encode(x=_x("at", domain, None), y=alt.value(7))], width, description)


def spark(
    values: Sequence[float], *, year: int = 4, width: float = 200, height: float = 32, description: str
) -> alt.LayerChart:
    """The last values in grey, with a dot on the newest and a ring `year` steps before."""
    data = pd.DataFrame({"x": range(len(values)), "value": [float("nan") if missing(v) else float(v) for v in values]})
    low, high = _reach([v for v in data["value"] if not missing(v)])
    domain = [_round(low - 0.12 * (high - low)), _round(high + 0.12 * (high - low))]
    x, y = _x("x", [0, max(1, len(values) - 1)], None), _y("value", domain, None)
    ring = alt.Chart(data.iloc[[-1 - year]] if len(data) > year else data.iloc[:0])
    layers = [
        alt.Chart(data).mark_line(color=GREY, strokeWidth=1.5).encode(x=x, y=y),
        ring.mark_point(filled=False, stroke=GREY, strokeWidth=1.5, size=28).encode(x=x, y=y),
        alt.Chart(data.tail(1)).mark_circle(size=56).encode(x=x, y=y),
    ]
    return _frame(layers, _Room(4, 5, 4, 5), height, "", top=4, bottom=4, width=width, description=description)
