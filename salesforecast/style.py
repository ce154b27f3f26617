"""One look for charts, tables and figures: the theme, the renderer, `table`, and the shapes and formats by name.

Nothing is switched on by the import; a notebook calls `enable()`. The theme carries no text, grid or background
colour: a page dresses those by Vega's role classes, and JupyterLab by its own theme.
"""

from __future__ import annotations

import datetime as dt
import html
import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from salesforecast import words
from salesforecast.columns import COLUMNS, Column, column, verdict
from salesforecast.formats import (
    MISSING,
    between,
    change,
    count,
    currency_in_use,
    day,
    days,
    duration,
    figure,
    missing,
    money,
    percent,
    plural,
    points,
    share,
    times,
    use_currency,
)
from salesforecast.shapes import (
    ACCENT,
    GREY,
    INK,
    SERIES,
    WARN,
    alt,
    bars,
    bullet,
    dots,
    fan,
    funnel_plot,
    ledger,
    lines,
    multiples,
    rounded,
    span,
    spark,
    steps,
)

__all__ = [
    "ACCENT",
    "COLUMNS",
    "CONFIG",
    "GREY",
    "INK",
    "SERIES",
    "WARN",
    "Column",
    "bars",
    "between",
    "bullet",
    "change",
    "column",
    "count",
    "day",
    "days",
    "dots",
    "duration",
    "enable",
    "fan",
    "figure",
    "funnel_plot",
    "ledger",
    "lines",
    "money",
    "multiples",
    "percent",
    "plural",
    "points",
    "rounded",
    "share",
    "span",
    "spark",
    "spec",
    "steps",
    "table",
    "times",
    "use_currency",
]

MIME = "application/vnd.vegalite.v5+json"
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
NAME = "salesforecast"
FONT = "system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, Liberation Sans, Arial, sans-serif"

CONFIG: dict[str, Any] = {
    "font": FONT,
    "background": None,
    "aria": False,  # the chart has one description; hundreds of labelled marks are noise
    "lineBreak": "\n",
    "view": {"stroke": None},
    "title": {
        "anchor": "start",
        "fontSize": 14,
        "fontWeight": 600,
        "subtitleFontSize": 13,
        "subtitleLineHeight": 18,
        "subtitlePadding": 4,
    },
    "axis": {
        "domain": False,
        "ticks": False,
        "grid": False,
        "title": None,
        "labelFontSize": 12,
        "labelPadding": 8,
        "labelOverlap": False,
        "labelFlush": False,
        "gridWidth": 1,
    },
    "axisQuantitative": {"grid": True},
    "range": {"category": list(SERIES)},
    "text": {"fontSize": 12, "color": INK},
    "rule": {"color": INK, "strokeWidth": 1},
    "tick": {"color": INK},
    "point": {"filled": True, "size": 64, "opacity": 1, "color": ACCENT},
    "circle": {"opacity": 1, "color": ACCENT},
    "line": {"strokeWidth": 2, "strokeJoin": "round", "strokeCap": "round", "color": ACCENT},
    "bar": {"color": ACCENT},
    "area": {"color": ACCENT, "line": False},
}


# ---- theme and renderer -------------------------------------------------------------------------------------------


def enable() -> None:
    """Draw every chart of this session in the look of the reports, in a form that nbval can compare."""
    _register()
    alt.theme.enable(NAME)
    if NAME not in alt.renderers.names():
        alt.renderers.register(NAME, _render)
    alt.renderers.enable(NAME)


def _register() -> None:
    if NAME not in alt.theme.names():
        alt.theme.register(NAME, enable=False)(lambda: alt.theme.ThemeConfig(config=json.loads(json.dumps(CONFIG))))


def spec(chart: Any) -> dict[str, Any]:
    """The chart as a Vega-Lite specification that is the same under every version of Altair and pandas.

    Keys are sorted, floats have six significant digits, columns that the chart never mentions are dropped (so the
    specification holds no more of the data than the chart shows), and generated names are numbered in order.
    """
    _register()
    with alt.theme.enable(NAME):
        return _canonical(chart.to_dict())


def _render(given: dict[str, Any], **_: Any) -> dict[str, Any]:
    canonical = _canonical(given)
    return {MIME: canonical, "text/plain": _title(canonical)}


def _title(given: dict[str, Any]) -> str:
    title = given.get("title", "")
    text = title.get("text", "") if isinstance(title, dict) else title
    return " ".join(text) if isinstance(text, list) else str(text) or "Chart"


PROSE = {"$schema", "description", "name", "subtitle", "title", "usermeta"}
# by a counter in older versions of Altair, by the chart's content in newer ones
GENERATED = re.compile(r"\b(param|view|concat|layer|facet|repeat)_(?:[0-9a-f]{16}(?:_\d+)?|\d+)(?![0-9A-Za-z])")


def _canonical(given: dict[str, Any]) -> dict[str, Any]:
    given = dict(given)
    sets: dict[str, Any] = given.pop("datasets", {})
    given["$schema"] = SCHEMA
    if "description" not in given:
        title = given.get("title")
        parts = [_title(given), title.get("subtitle", "") if isinstance(title, dict) else ""]
        given["description"] = ". ".join(" ".join(p) if isinstance(p, list) else p for p in parts if p)
    columns = {name for rows in sets.values() for row in rows if isinstance(row, dict) for name in row}
    names = {name: f"data-{i}" for i, name in enumerate(_used(given, sets), start=1)}
    body = _renamed(_tidy(given), names, columns)
    said = "\n".join(_said(body))
    kept = {name for name in columns if _mentioned(name, said)}
    if names:
        body["datasets"] = {new: _tidy([_row(row, kept) for row in sets[old]]) for old, new in names.items()}
    return dict(sorted(body.items()))


def _row(row: Any, kept: set[str]) -> Any:
    return {name: value for name, value in row.items() if name in kept} if isinstance(row, dict) else row


def _tidy(x: Any) -> Any:
    if isinstance(x, dict):
        return {k: _tidy(x[k]) for k in sorted(x)}
    if isinstance(x, list | tuple):
        return [_tidy(v) for v in x]
    if isinstance(x, float):
        if not math.isfinite(x):
            return None
        x = float(f"{x:.6g}")
        return int(x) if x.is_integer() and abs(x) < 1e15 else x
    return x


def _used(x: Any, sets: dict[str, Any]) -> Iterator[str]:
    """The names of the data sets, in the order in which the sorted specification mentions them."""
    found: dict[str, None] = {}

    def look(x: Any) -> None:
        if isinstance(x, dict):
            for k in sorted(x):
                if k == "name" and isinstance(x[k], str) and x[k] in sets:
                    found.setdefault(x[k])
                look(x[k])
        elif isinstance(x, list):
            for v in x:
                look(v)

    look(x)
    return iter(found)


def _renamed(x: Any, data: dict[str, str], columns: set[str]) -> Any:
    """The specification with data sets and generated names (param_7, view_3) numbered in order."""
    seen: dict[str, str] = {}
    counts: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        old, kind = found.group(0), found.group(1)
        if old in columns:
            return old
        if old not in seen:
            counts[kind] = counts.get(kind, 0) + 1
            seen[old] = f"{kind}_{counts[kind]}"
        return seen[old]

    def go(x: Any, key: str = "") -> Any:
        if isinstance(x, dict):
            return {k: go(v, k) for k, v in x.items()}
        if isinstance(x, list):
            return [go(v, key) for v in x]
        if isinstance(x, str):
            if key == "name" and x in data:
                return data[x]
            return x if key in PROSE - {"name"} else GENERATED.sub(number, x)
        return x

    return go(x)


def _said(x: Any, key: str = "") -> Iterator[str]:
    """Every string that may name a column; prose may not."""
    if isinstance(x, dict):
        for k, v in x.items():
            if k not in PROSE and not (k == "text" and isinstance(v, str)):
                yield from _said(v, k)
    elif isinstance(x, list):
        for v in x:
            yield from _said(v, key)
    elif isinstance(x, str):
        yield x


def _mentioned(name: str, said: str) -> bool:
    escaped = re.sub(r"([.\[\]\\'\"])", r"\\\1", name)
    return any(re.search(rf"(?<!\w){re.escape(form)}(?!\w)", said) for form in {name, escaped})


# ---- tables -------------------------------------------------------------------------------------------------------

BOUND = re.compile(r"(?:(?P<of>.+)_)?(?:lower|upper)(?:_?(?P<level>\d+))?")
LONG = 20  # a longer name may wrap on a phone


class _Cells(NamedTuple):
    """A column as it is written."""

    head: str
    css: str
    texts: list[str]
    figures: pd.Series | None = None

    def sort(self, row: int) -> str:
        """The figure itself for the page to sort by, where it is not written in English signs and digits."""
        if self.figures is None or words.in_use().tag == "en" or missing(self.figures.iloc[row]):
            return ""
        return f' data-sort="{float(self.figures.iloc[row]):.6g}"'


@words.labels()
def table(frame: pd.DataFrame, *, currency: str = "", bold: str | None = None, total: str | None = None) -> str:
    """A frame as a plain HTML table in the look of the reports.

    Parameters
    ----------
    frame : DataFrame
        The first column names the rows. Columns lower and upper become one column behind their estimate, the figure
        column before them; so do lower_80 and upper_80, and win_rate_lower and win_rate_upper.
    currency : str
        The sign of all money; that of the data where none is given.
    bold : str
        The column that the finding is about.
    total : str
        The name of the frame's last row, where that sums up the others.

    Examples
    --------
    >>> print(table(pd.DataFrame({"rep": ["Ann & Co"], "win_rate": [0.53], "lower": [0.37], "upper": [0.68]})))
    <table>
    <thead><tr><th scope="col" class="words"><b>Rep</b></th><th scope="col"><b>Win rate</b> %</th>\
<th scope="col" class="by">95%&nbsp;interval</th></tr></thead>
    <tbody>
    <tr><th scope="row"><bdi>Ann &amp; Co</bdi></th><td>53</td><td class="by">37 to 68</td></tr>
    </tbody>
    </table>
    """
    values = {str(c): frame[c] for c in frame.columns}
    currency = currency or currency_in_use()
    shown = _shown(list(values))
    cells = [
        _cells(values, name, currency) if i else _names(name, values[name], currency) for i, name in enumerate(shown)
    ]
    heads = "".join(f'<th scope="col"{_class(c.css)}>{c.head}</th>' for c in cells)
    rows = []
    for i in range(len(frame)):
        name = cells[0].texts[i]
        row = f'<th scope="row"{_class("long" if len(html.unescape(name)) > LONG else "")}><bdi>{name}</bdi></th>'
        for column_name, c in zip(shown[1:], cells[1:], strict=True):
            text = f"<bdi>{c.texts[i]}</bdi>" if c.css == "words" else c.texts[i]
            row += f"<td{_class(c.css)}{c.sort(i)}>{f'<b>{text}</b>' if column_name == bold else text}</td>"
        rows.append(f"<tr>{row}</tr>\n")
    foot = []
    if rows and total is not None and cells[0].texts[-1] == html.escape(total):
        foot = ["<tfoot>\n", rows.pop(), "</tfoot>\n"]
    return f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{''.join(rows)}</tbody>\n{''.join(foot)}</table>"


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _upper(lower: str) -> str:
    return re.sub(r"lower(?=(_?\d+)?$)", "upper", lower)


def _shown(names: list[str]) -> list[str]:
    """The columns in order; of an interval only the lower bound, behind its estimate."""
    bounds = {n: found["of"] for n in names if (found := BOUND.fullmatch(n)) and "lower" in n and _upper(n) in names}
    hidden = {_upper(n) for n in bounds}
    moved = {n: of for n, of in bounds.items() if of in names}
    out: list[str] = []
    for name in names:
        if name not in hidden and name not in moved:
            out += [name, *(n for n, of in moved.items() if of == name)]
    return out


def _names(name: str, values: pd.Series, currency: str) -> _Cells:
    if column(name).format is money and _is_figure(values):  # a table of one row whose figures have no name
        return _cells({name: values}, name, currency)._replace(css="words")
    say = day if pd.api.types.is_datetime64_any_dtype(values) else _text
    return _Cells(f"<b>{html.escape(column(name).header)}</b>", "words", [html.escape(say(v)) for v in values])


def _cells(values: dict[str, pd.Series], name: str, currency: str) -> _Cells:
    own, known = values[name], column(name)
    bound = BOUND.fullmatch(name)
    if bound and _upper(name) in values and _upper(name) != name:
        before = [
            n for n in list(values)[: list(values).index(name)] if not BOUND.fullmatch(n) and _is_figure(values[n])
        ]
        estimate = bound["of"] if bound["of"] in values else (before or [name])[-1]
        _, say = _unit(estimate, values[estimate], currency)
        texts = [html.escape(between(a, b, say)) for a, b in zip(own, values[_upper(name)], strict=True)]
        return _Cells(_interval(float(bound["level"] or 95)), "by", texts)
    if not _is_figure(own) and not pd.api.types.is_datetime64_any_dtype(own):
        say = verdict if known.format is verdict else _text
        return _Cells(f"<b>{html.escape(known.header)}</b>", "words", [html.escape(say(v)) for v in own])
    unit, say = _unit(name, own, currency)
    head = f"<b>{html.escape(known.header)}</b>" + (f" {html.escape(unit)}" if unit else "")
    return _Cells(head, "", [html.escape(say(v)) for v in own], own if _is_figure(own) else None)


def _interval(level: float) -> str:
    return f"{percent(level / 100)}&nbsp;{html.escape(words.t('interval'))}"


def _is_figure(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values)) and not pd.api.types.is_bool_dtype(values)


def _scale(typical: float) -> tuple[float, str]:
    """The unit in which a column of amounts is written: the second of the language, the first from ten of it on, or one."""
    first, second = words.in_use().scales[:2]
    if typical >= second.size:
        return second.size, second.head
    if typical >= 10 * first.size:
        return first.size, first.head
    return 1.0, ""


def _text(x: Any) -> str:
    if missing(x):
        return MISSING
    if isinstance(x, bool | np.bool_):
        return words.t("yes" if x else "no")
    if isinstance(x, int | float | np.number):
        return figure(0 if float(x).is_integer() else 2)(x)
    return day(x) if isinstance(x, dt.date) else str(x)


def _unit(name: str, values: pd.Series, currency: str) -> tuple[str, Callable[[Any], str]]:
    """The unit of a column of figures, and how one of them is written."""
    known = column(name)
    if pd.api.types.is_datetime64_any_dtype(values):
        return "", day
    if known.format is not None and known.format is not money:
        return known.unit, known.format
    sizes = values.dropna().abs().astype(float)
    typical = float(sizes[sizes > 0].median()) if (sizes > 0).any() else 0.0
    if known.format is None:
        whole = bool((sizes % 1 == 0).all())
        return known.unit, figure(0 if whole or typical >= 100 else 1 if typical >= 10 else 2 if typical >= 0.1 else 3)
    divisor, word = _scale(typical)
    typical /= divisor
    digits = 0 if divisor == 1 or typical >= 100 else 1 if typical >= 10 else 2
    say = figure(digits)
    unit = " ".join(part for part in (currency, word, known.unit) if part)
    return unit, lambda x: MISSING if missing(x) else say(x / divisor)
