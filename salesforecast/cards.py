"""The cards of a page: one figure each, with what it rests on, its course and its changes."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from salesforecast import formats, words
from salesforecast.text import clean


@dataclass(frozen=True)
class Card:
    """One figure of the summary.

    Parameters
    ----------
    name : str
        What the figure is.
    value : str
        The figure as it is read: "$3.12M", "31%", "47 days".
    of : tuple of str
        Two lines below it: what it is of; its interval, or n.
    changes : tuple of (str, str, bool)
        Against what, the change, and whether it is more than chance.
    spark : tuple of float
        The last values, oldest first; the last one is now. Missing ones leave a gap.
    year : int
        How many steps of `spark` make a year; the ring stands there.
    """

    name: str
    value: str
    of: tuple[str, ...] = ()
    changes: tuple[tuple[str, str, bool], ...] = ()
    spark: tuple[float, ...] = ()
    year: int = 4


@dataclass(frozen=True)
class Cards:
    """The cards of a page, with one note under them that explains lines, ring and marks."""

    cards: Sequence[Card]
    note: str = ""

    def _repr_html_(self) -> str:
        rows = "".join(_card(card) for card in self.cards)
        note = f'<p class="under" dir="auto">{html.escape(clean(self.note))}</p>' if self.note else ""
        return f'<table class="cards"><tbody>{rows}</tbody></table>{note}'

    def __str__(self) -> str:
        return "\n".join(
            f"{c.name}: {c.value}. " + "; ".join([*c.of, *(f"{against} {change}" for against, change, _ in c.changes)])
            for c in self.cards
        )


def _card(card: Card) -> str:
    """A row of a plain table, which reads well without a stylesheet; the page's stylesheet makes it a card."""
    value = html.escape(formats.label(clean(card.value)))
    if unit := re.fullmatch(r"([^A-Za-z&]+) ([^\d&]+)", value):
        value = f"{unit[1]} <small>{unit[2]}</small>"
    of = "<br>".join(f'<span dir="auto">{html.escape(clean(line))}</span>' for line in card.of if line)
    changes = "".join(
        f'<div><span>{html.escape(clean(against))}</span> <b class="{"sure" if sure else "unsure"}">'
        f"{html.escape(formats.label(clean(change)))}</b></div>"
        for against, change, sure in card.changes
    )
    return (
        f'<tr class="card"><th scope="row">{html.escape(words.of_page().of(clean(card.name)))}</th><td class="value">{value}</td>'
        f'<td class="of">{of}</td><td class="spark">{_spark(card)}</td><td class="changes">{changes}</td></tr>'
    )


def _spark(card: Card, width: int = 198, height: int = 38, edge: int = 4) -> str:
    """The last values as a line, a ring a year ago, a dot now. The words beside it say the same."""
    known = [value for value in card.spark if math.isfinite(value)]
    if len(known) < 2:
        return ""
    low, span = min(known), (max(known) - min(known)) or 1.0
    step = (width - 2 * edge) / (len(card.spark) - 1)
    spots = [
        (f"{edge + i * step:.1f}", f"{height - edge - (value - low) / span * (height - 2 * edge):.1f}")
        if math.isfinite(value)
        else None
        for i, value in enumerate(card.spark)
    ]
    lines: list[list[str]] = [[]]
    for spot in spots:
        if spot:
            lines[-1].append(",".join(spot))
        else:
            lines.append([])
    marks = "".join(f'<polyline points="{" ".join(line)}" fill="none" />' for line in lines if len(line) > 1)
    ago = spots[-1 - card.year] if len(spots) > card.year else None
    if ago:
        marks += f'<circle class="ago" cx="{ago[0]}" cy="{ago[1]}" r="2.5" fill="none" />'
    if now := spots[-1]:
        marks += f'<circle class="now" cx="{now[0]}" cy="{now[1]}" r="3.5" />'
    return (
        f'<svg aria-hidden="true" focusable="false" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'stroke="currentColor">{marks}</svg>'
    )
