"""The executive summary: the headline figures, what deserves attention, what could be done, what became of the last report."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
from markupsafe import Markup

from salesforecast import words
from salesforecast.formats import day, money, percent
from salesforecast.page import Page, finding
from salesforecast.report.results import Said, cards, ranked
from salesforecast.text import day_in_words

MOST = 6  # findings with money at stake on the first sheet
CARDS = 5
NEEDS = r"^This needs [^.]*, which is not in the data\. "
short = partial(money, short=True)
# The order of the headline figures, by the first words of their names; others follow in the order of the pages.
HEADLINES = (
    "Bookings",
    "Attainment",
    "Target",
    "Forecast",
    "Win rate",
    "Pipeline",
    "Open deals",
    "Sales cycle",
    "Time to close",
    "Velocity",
)


def headline(said: Sequence[Said], pages: Mapping[str, Page]) -> Markup:
    """Five cards: those the notebooks gave to the summary; where none did, those of the first page that has cards."""
    found: dict[str, str] = {}
    for one in said:
        for name, row in cards(one.headline).items():
            found.setdefault(name, row)
    if not found:
        return next((page.cards for page in pages.values() if page.cards), Markup())
    heads = [(word, words.t(word)) for word in HEADLINES]
    order = sorted(
        found, key=lambda name: next((i for i, head in enumerate(heads) if name.startswith(head)), len(heads))
    )
    rows = "".join(found[name] for name in order[:CARDS])
    note = words.t(
        "Small lines: the last periods, the ring a year ago, the dot now. A change in grey may be chance alone."
    )
    days = words.t("Changes are from the same number of days of each period; those per working day may differ.")
    parts = [said for said, sign in ((note, "<polyline"), (days, '<b class="')) if sign in rows]
    under = f'<p class="under">{" ".join(parts)}</p>' if parts else ""
    return Markup(f'<table class="cards"><tbody>{rows}</tbody></table>{under}')


def attention(said: Sequence[Said], pages: Mapping[str, Page]) -> dict[str, Any]:
    """The findings: those with money at stake, dearest first, and all the others by page."""
    known = [one for one in ranked(said) if one.page in pages]
    dear = [_item(one, pages) for one in known if one.amount > 0]
    others = [one for one in said if one.page in pages and not one.amount > 0]
    rest = dear[MOST:] + [_item(one, pages) for one in others]
    return {"dear": dear[:MOST], "rest": rest}


def _item(one: Said, pages: Mapping[str, Page]) -> dict[str, Any]:
    stake = one.stakes[0] if one.stakes else None
    return {
        "amount": short(stake.amount) if stake and stake.amount > 0 else "",
        "range": spread(stake.lower, stake.upper) if stake else "",
        "sentence": finding(one.sentence),
        "question": one.question,
        "page": pages[one.page].name,
        "address": f"{one.page}.html",
    }


def missing(unsaid: Sequence[tuple[str, str, str]]) -> list[tuple[str, list[tuple[str, str]]]]:
    """What would have to be added, with the questions that it opens and their pages; what opens most first.

    Examples
    --------
    >>> missing([("Who?", "This needs the team of each rep, which is not in the data. Map it.", "a.html"), ("Why?", "Add b.", "a.html"),
    ...          ("Who?", "Map it.", "a.html"), ("When?", "Map it.", "b.html")])
    [('Map it.', [('Who?', 'a.html'), ('When?', 'b.html')]), ('Add b.', [('Why?', 'a.html')])]
    """
    opened: dict[str, dict[tuple[str, str], None]] = {}
    for question, reason, address in unsaid:
        # the sentence after it says what to add; what is HTML already stays so
        wanted = type(reason)(re.sub(NEEDS, "", reason))
        opened.setdefault(wanted, {})[question, address] = None
    return sorted(((wanted, list(questions)) for wanted, questions in opened.items()), key=lambda one: -len(one[1]))


def spread(lower: float, upper: float) -> str:
    """A range in the unit of its wider end, named once.

    Examples
    --------
    >>> spread(520e3, 1.1e6), spread(34_600, 237_000), spread(0, 950), spread(-2e6, 1e6), spread(float("nan"), 1)
    ('0.52 to 1.10M', '35 to 237k', '0 to 950', '−2.00 to 1.00M', '')
    """
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return ""
    language, widest = words.in_use(), max(abs(lower), abs(upper))
    scale = next((s for s in reversed(language.scales) if widest >= 0.9995 * s.size), None)
    size, unit, digits = (scale.size, scale.short, 2 if scale != language.scales[0] else 0) if scale else (1.0, "", 0)
    low, high = (f"{bound / size:,.{digits}f}".replace("-", "−") for bound in (lower, upper))
    ends = (language.figures(bound) for bound in (low if low != "−0" else "0", high))
    return language.between.format(**dict(zip(("lower", "upper"), ends, strict=True))) + unit


def proposals(recommended: pd.DataFrame, pages: Mapping[str, Page]) -> list[dict[str, Any]]:
    """What could be done, for the template."""
    return [
        {
            "amount": short(row.promised), "range": spread(row.lower, row.upper), "lever": finding(row.lever),
            "found": short(row.estimate) if abs(row.promised - row.estimate) > 0.02 * abs(row.estimate) else "",
            "evidence": row.evidence, "chance": chance(row.chance), "test": finding(row.test), "page": pages[row.page].name,
            "address": f"{row.page}.html",
        }
        for row in recommended.itertuples() if row.page in pages
    ]  # fmt: skip


def chance(share: float) -> str:
    """A chance that no estimate makes certain.

    Examples
    --------
    >>> chance(0.874), chance(0.9999), chance(0.0)
    ('87%', '> 99%', '< 1%')
    """
    return f"> {percent(0.99)}" if share > 0.99 else f"< {percent(0.01)}" if share < 0.01 else percent(share)


def looked_back(
    forecasts: pd.DataFrame, delivered: pd.DataFrame, changed: pd.DataFrame, pages: Mapping[str, Page]
) -> dict[str, Any]:
    """What became of the former reports, for the template."""
    return {
        "forecasts": [
            {
                "period": row.period, "day": said_on(row.as_of), "mean": short(row.mean), "range": spread(row.lower, row.upper),
                "actual": short(row.actual), "held": words.t("inside" if row.held else "outside"),
            }
            for row in forecasts.head(MOST).itertuples()
        ],
        "delivered": [
            {
                "lever": row.lever, "day": said_on(row.as_of), "promised": short(row.promised), "range": spread(row.lower, row.upper),
                "delivered": short(row.delivered) if pd.notna(row.delivered) else words.t("not measured"),
                "delivered_range": spread(row.delivered_lower, row.delivered_upper),
            }
            for row in delivered.head(MOST).itertuples()
        ],
        "changed": [
            {"question": row.question, "was": row.was, "now": row.now, "page": pages[row.page].name, "address": f"{row.page}.html"}
            for row in changed.head(MOST).itertuples() if row.page in pages
        ],
    }  # fmt: skip


def said_on(iso: str) -> str:
    """A day in the language of the page; empty where there is none."""
    if not iso:
        return ""
    return day_in_words(pd.Timestamp(iso)) if words.in_use() is words.ENGLISH else day(iso)
