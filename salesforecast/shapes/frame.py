"""What all shapes share: room and margins, scales and ticks, what lies across."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from salesforecast import words as languages
from salesforecast.errors import SettingError, unknown
from salesforecast.formats import Format, dated, day, missing, money_in, speaker

ACCENT, WARN, GREY, INK = "#0072B2", "#D55E00", "#72777D", "currentColor"
SERIES = (ACCENT, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", WARN)
WIDE, PHONE = 720, 358
ROW = 28
TITLE = 32  # the title's own room: its line and the space below
SUBTITLE_LINE = 18
ON_PHONE = "padding.left + width + padding.right < 480"
ALONE = alt.Data(values=[{}])
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


def widest_of(texts: Iterable[Any], size: float = 13) -> float:
    """The width of the widest of these texts, in px."""
    return max((text_width(str(t), size) for t in texts), default=0.0)


def cut_to(text: str, room: float, size: float = 12) -> str:
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


class Room(NamedTuple):
    """The margins of a chart, wide and on a phone."""

    left: float
    right: float
    phone_left: float
    phone_right: float

    @property
    def phone(self) -> float:
        """The width of the plot on a phone."""
        return PHONE - self.phone_left - self.phone_right


def framed(
    layers: Sequence[Any],
    room: Room,
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


def px_of(expression: str) -> Any:
    """A place in px, as an expression of the plot's width or padding."""
    return alt.value(alt.ExprRef(expression))


def word_at(text: str, x: Any, y: Any, name: str = "", **mark: Any) -> Any:
    """One word at one place, outside any data."""
    layer = alt.Chart(ALONE).mark_text(text=text, **mark).encode(x=x, y=y)
    return layer.properties(name=name) if name else layer


# ---- scales -------------------------------------------------------------------------------------------------------


def floats(values: Iterable[Any]) -> list[float]:
    """Numbers, with NaN for what is missing."""
    return [math.nan if missing(v) else float(v) for v in values]


def round_figure(x: float) -> float:
    """Six significant digits, whole where it is whole."""
    short = float(f"{x:.6g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def rounded(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The frame with four significant digits in these columns: the last ones of a fit differ between machines."""
    return frame.assign(**{c: [_four(v) for v in frame[c]] for c in columns})


def _four(value: float) -> float:
    """Four significant digits; a last 5 leans to where it came from, since a label of three rounds once more.

    >>> _four(42_349.87), _four(42_350.2), _four(42_336.2)
    (42349.96, 42350.04, 42340.0)
    """
    short = f"{value:.3e}"
    figure = float(short)
    if short.partition("e")[0][-1:] != "5" or figure == value:
        return figure
    return float(f"{figure * (1 + 1e-6 * (1 if abs(value) > abs(figure) else -1)):.7g}")


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
                return [round_figure(i * step) for i in range(first, last + 1)]
        power *= 10


def scale_of(
    values: Iterable[Any], fmt: Format, domain: Sequence[float] | None, zero: bool = False, most: int = 5
) -> tuple[list[float], list[float]]:
    """The domain and the ticks for these values; a range near 0 starts there."""
    known = [float(v) for v in values if not missing(v)]
    if domain is not None:
        low, high = float(domain[0]), float(domain[1])
        inside = [t for t in _ticks(low, high, most + 2) if low - 1e-9 <= t <= high + 1e-9]
        return [round_figure(low), round_figure(high)], inside if len(inside) <= most else inside[
            :: math.ceil(len(inside) / most)
        ]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if zero or 0 <= low <= high / 3:
        low, high = min(low, 0.0), max(high, 0.0)
    ticks = _ticks(low, high, most)
    return [ticks[0], ticks[-1]], ticks


def tick_words(ticks: Sequence[float], fmt: Format, unit: str = "") -> list[str]:
    """The ticks in words; the unit stands on the last one only, except for per cent."""
    currency = money_in(fmt)
    if currency is not None:
        top = max((abs(t) for t in ticks), default=0)
        language = languages.in_use()
        scales = [(scale.size, scale.short) for scale in reversed(language.scales) if top >= scale.size]
        divisor, word = (scales or [(1.0, "")])[0]
        last = speaker(fmt)(1).replace(language.figures("1"), f"{{}}{word}")  # the currency and its place
        words = [language.figures(f"{t / divisor:,.6g}".replace("-", "−")) for t in ticks]
        return [*words[:-1], *(last.format(w) for w in words[-1:])]
    say = speaker(fmt)
    words = [say(t) for t in ticks]
    if callable(fmt) and not any("%" in w for w in words):
        words[:-1] = [re.sub(r"[^\d.,٫٬]+$", "", w) for w in words[:-1]]
    if unit and words:
        words[-1] += f" {languages.t(unit)}"
    return words


def axis_of(at: Sequence[float], words: Sequence[str], phone: Sequence[str] = (), **options: Any) -> alt.Axis:
    """An axis with these words at these places."""
    place, text = json.dumps(list(at)), json.dumps(list(words))
    if phone and list(phone) != list(words):
        text = f"({ON_PHONE} ? {json.dumps(list(phone))} : {text})"
    return alt.Axis(values=list(at), tickCount=len(at), labelExpr=f"{text}[indexof({place}, datum.value)]", **options)


def x_of(field: str, domain: Sequence[float], axis: Any) -> alt.X:
    """The position across of a field."""
    return alt.X(f"{field}:Q", scale=alt.Scale(domain=list(domain), nice=False, zero=False, clamp=True), axis=axis)


def y_of(field: str, domain: Sequence[float], axis: Any) -> alt.Y:
    """The position upward of a field."""
    return alt.Y(f"{field}:Q", scale=alt.Scale(domain=list(domain), nice=False, zero=False), axis=axis)


def figures_at_left(ticks: Sequence[float], words: Sequence[str]) -> alt.Axis:
    """A vertical axis whose words start at the left edge."""
    return axis_of(ticks, words, labelAlign="left", labelPadding=alt.ExprRef("padding.left"))


class Along(NamedTuple):
    """Where things lie across: their positions, what the positions are called, and the ticks."""

    at: list[float | None]
    says: list[str]
    ticks: list[float]
    words: list[str]


def _days(at: pd.Timestamp) -> float:
    return round_figure((at - pd.Timestamp(1970, 1, 1)) / pd.Timedelta(days=1))


def along_of(values: pd.Series, unit: str = "", most: int = 6) -> Along:
    """Numbers as they are, dates as days, names in the order they come."""
    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.start_time
    if pd.api.types.is_datetime64_any_dtype(values):
        if values.dt.tz is not None:
            raise SettingError("A chart takes times without a zone; use .dt.tz_localize(None) first.")
        known = values.dropna()
        ticks, words = _dates(known.min(), known.max(), most) if len(known) else ([], [])
        return Along([None if missing(v) else _days(v) for v in values], [day(v) for v in values], ticks, words)
    if pd.api.types.is_numeric_dtype(values):
        known = values.dropna().astype(float)
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        ticks = [t for t in _ticks(low, high, most + 1) if low <= t <= high]
        whole = bool((known % 1 == 0).all()) and low >= 1900 and high <= 2200  # years have no thousands
        figures = languages.in_use().figures
        words = [figures(str(t) if whole else f"{t:,}".replace("-", "−")) for t in ticks]
        if unit and words:
            words[-1] += f" {languages.t(unit)}"
        return Along([None if missing(v) else float(v) for v in values], [str(v) for v in values], ticks, words)
    names = [str(v) for v in pd.unique(values.dropna())]
    place = {name: i for i, name in enumerate(names)}
    at = [None if missing(v) else float(place[str(v)]) for v in values]
    years = {i: found[1] for name, i in place.items() if (found := re.fullmatch(r"(.*\d{2,4})[ -]?(Q1|01)", name))}
    if len(names) > most and 2 <= len(years) <= most:
        return Along(at, [str(v) for v in values], list(years), list(years.values()))
    step = max(1, math.ceil(len(names) / most))
    places = range((len(names) - 1) % step, len(names), step)
    return Along(at, [str(v) for v in values], list(places), [names[i] for i in places])


def _dates(first: pd.Timestamp, last: pd.Timestamp, most: int) -> tuple[list[float], list[str]]:
    """Round dates within a range: starts of years, quarters or months, else days."""
    language = languages.in_use()
    for months in (1, 3, 12, 24, 60, 120):
        starts = pd.date_range(pd.Timestamp(first.year, 1, 1), last, freq=f"{months}MS")
        inside = [t for t in starts if t >= first]
        if len(inside) > most:
            continue
        if len(inside) < 2:
            break
        if months >= 12:
            return [_days(t) for t in inside], [dated("{year}", t) for t in inside]
        named = [i == 0 or t.month == 1 for i, t in enumerate(inside)]
        words = [dated(language.month if y else "{month}", t) for t, y in zip(inside, named, strict=True)]
        return [_days(t) for t in inside], words
    step = max(1, math.ceil((last - first).days / max(1, most - 1)))
    inside = list(pd.date_range(first.normalize(), last, freq=f"{step}D"))
    return [_days(t) for t in inside], [dated(language.month_day, t) for t in inside]


def spread_apart(places: Sequence[float], low: float, high: float, gap: float) -> list[float]:
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


def need(frame: pd.DataFrame, *columns: str | None) -> None:
    """Refuse a frame without these columns."""
    for name in columns:
        if name is not None and name not in frame.columns:
            raise unknown("column", name, frame.columns)


def axis_across(along: Along, domain: Sequence[float], room: Room, ticks: bool = True) -> alt.Axis:
    """The axis below, with fewer words on a phone."""
    phone = _thinned(along, domain, room.phone)
    marks = {"ticks": True, "tickSize": 4, "labelPadding": 4} if ticks else {}
    return axis_of(along.ticks, along.words, phone, grid=False, labelFlush=True, labelOverlap=True, **marks)


def _thinned(along: Along, domain: Sequence[float], width: float) -> list[str]:
    """The words that have room beside each other; the last one, which bears the unit, always has."""
    out, free = [""] * len(along.words), math.inf
    for i in reversed(range(len(out))):
        size = text_width(along.words[i], 12)
        middle = (along.ticks[i] - domain[0]) / (domain[1] - domain[0]) * width
        start = min(max(middle - size / 2, 0), width - size)
        if start + size <= free:
            out[i], free = along.words[i], start - 6
    return out


def reach_of(at: Iterable[float | None]) -> list[float]:
    """The first and the last place across."""
    known = [v for v in at if v is not None]
    if not known:
        return [0.0, 1.0]
    low, high = min(known), max(known)
    return [low, high] if high > low else [low - 0.5, high + 0.5]


def to_px(v: float, domain: Sequence[float], height: float) -> float:
    """Where a value stands, in px from the top."""
    return (1 - (v - domain[0]) / (domain[1] - domain[0])) * height
