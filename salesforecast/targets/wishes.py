"""Wishes about a plan, as rows: what a node is to carry, what stays, what moves. Their order means nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from salesforecast.errors import SettingError, unknown
from salesforecast.targets.plan import CENT, dimensions, texts
from salesforecast.text import clean

KINDS = {
    "pin": "the node carries the amount",
    "at_least": "the node carries the amount or more",
    "at_most": "the node carries the amount or less",
    "keep": "the node's sum stays as it is",
    "lock": "each cell of the node stays as it is",
    "move": "the amount goes from the node to the one named in the to_ columns, cell by cell",
    "send": "the amount, or all, goes from the node to its siblings along a column, cell by cell",
    "share": "the node carries this fraction of the node that is left without the columns of along",
    "start": "the cells at zero of the node begin with the amount, as others' cells are spread",
}
NEEDS = {"pin", "at_least", "at_most", "move", "share", "start"}  # an amount
ALONG = {"send", "share"}
Node: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]  # the columns that name it, each with its values
Given: TypeAlias = "pd.DataFrame | Iterable[Mapping[str, Any]]"


@dataclass(frozen=True, order=True)
class Wish:
    """One wish: `where` names the cells as (column, values) in the order of the plan's columns; no columns are all cells."""

    kind: str
    where: Node
    to: Node
    along: tuple[str, ...]
    amount: float | None

    @property
    def destination(self) -> Node:
        """Where a move goes: the same cells but for the columns of `to`."""
        return tuple((name, dict(self.to).get(name, values)) for name, values in self.where)

    @property
    def outer(self) -> Node:
        """Of what a share is one: the node without the columns of `along`."""
        return tuple((name, values) for name, values in self.where if name not in self.along)


def wishes(plan: pd.DataFrame, given: Given) -> pd.DataFrame:
    """The wishes in one form, each checked against the plan.

    Parameters
    ----------
    plan : DataFrame
        Its columns name the nodes.
    given : DataFrame or list of dicts
        Of each wish: kind, amount (money; of a share a fraction), and under the plan's columns the value, or several, that name
        the node; an empty one takes all. A move names in to_rep_id, or the like, where the amount goes. `along` is for a send the
        column whose other values are the siblings, for a share the columns left out of the node it is a share of.

        pin
            the node carries exactly the amount.
        at_least, at_most
            the node carries the amount or more, or less.
        keep
            the node's sum stays as it is.
        lock
            each of the node's cells stays as it is.
        move
            the amount goes to the other node, each part to the cell alike in all else (the same month, the same product).
        send
            the amount, or all where it is empty, goes to the siblings under the same parent, cell by cell in their proportion.
        share
            the node carries this fraction of the larger node, whose own sum is pinned or stays.
        start
            the node's cells at zero begin with the amount: for new hires, who otherwise stay at zero.

    Returns
    -------
    DataFrame
        wish (in words), kind, amount, along, the plan's columns, the to_ columns: empty where nothing is said, several values as a
        tuple. In the order given; the same wish twice stands once, but for moves.

    Raises
    ------
    SettingError
        All wishes that cannot be read, each with what is wrong.

    Examples
    --------
    >>> plan = pd.DataFrame({"region": ["N", "N", "S"], "rep_id": ["A", "B", "C"], "target": [60.0, 40.0, 50.0]})
    >>> asked = wishes(plan, [{"kind": "pin", "amount": 120, "region": "N"},
    ...                       {"kind": "move", "amount": 10, "rep_id": "A", "to_rep_id": "C"}])
    >>> asked["wish"].to_list()
    ['region N carries 120', 'move 10 from rep A to rep C']
    """
    parsed = read(plan, given)
    names = dimensions(plan)
    onto = [name for name in names if any(name in dict(w.to) for w in parsed)]
    rows = [
        {
            "wish": words(w), "kind": w.kind, "amount": np.nan if w.amount is None else w.amount, "along": ", ".join(w.along),
            **{n: _shown(dict(w.where).get(n)) for n in names}, **{f"to_{n}": _shown(dict(w.to).get(n)) for n in onto},
        }
        for w in parsed
    ]  # fmt: skip
    columns = ["wish", "kind", "amount", "along", *names, *(f"to_{n}" for n in onto)]
    return pd.DataFrame(rows, columns=columns).astype(
        {"wish": "str", "kind": "str", "amount": "float64", "along": "str"}
    )


def read(plan: pd.DataFrame, given: Given) -> list[Wish]:
    """The wishes as objects, checked; the same one twice stands once, but for moves."""
    named = texts(plan)
    known = {name: named[name].unique() for name in named}
    sets = {name: set(values) for name, values in known.items()}
    rows = given.to_dict("records") if isinstance(given, pd.DataFrame) else list(given)
    parsed: list[Wish] = []
    faults = []
    for number, row in enumerate(rows, 1):
        try:
            wish = _wish(row, known, sets)
        except SettingError as error:
            faults.append(f"wish {number}: {error}")
        else:
            if wish.kind in ("move", "send") or wish not in parsed:
                parsed.append(wish)
    if faults:
        raise SettingError("Some wishes cannot be read:\n  - " + "\n  - ".join(faults))
    return parsed


def _wish(row: Mapping[str, Any], known: Mapping[str, np.ndarray], sets: Mapping[str, set[str]]) -> Wish:
    kind = clean(row.get("kind", ""))
    if kind not in KINDS:
        raise unknown("kind of wish", kind, KINDS)
    where: dict[str, tuple[str, ...]] = {}
    to: dict[str, tuple[str, ...]] = {}
    for column, value in row.items():
        name = str(column).removeprefix("to_") if str(column) not in known else str(column)
        if column in ("wish", "kind", "amount", "along"):
            continue
        values = _values(value)
        if not values:
            continue
        if name not in known:
            raise unknown("column of the plan", name, known)
        for v in values:
            if v not in sets[name]:
                raise unknown(name, v, known[name])
        (where if name == column else to)[name] = values
    if to and kind != "move":
        raise SettingError(f"only a move names where it goes, not a {kind}")
    if kind == "move" and (not to or not set(to) <= set(where)):
        raise SettingError("a move names from where and to where under the same columns, as rep_id and to_rep_id")
    amount = _amount(kind, row.get("amount"))
    along = _along(kind, row.get("along"), where)
    order = [n for n in known if n in where]
    return Wish(kind, tuple((n, where[n]) for n in order), tuple((n, to[n]) for n in order if n in to), along, amount)


def _values(value: object) -> tuple[str, ...]:
    several = value if isinstance(value, list | tuple | set | frozenset | np.ndarray | pd.Series) else [value]
    found = {_text(v) for v in several if not (v is None or v is pd.NaT or v is pd.NA or v == "" or v != v)}
    return tuple(sorted(found))


def _text(value: object) -> str:
    return f"{value:%Y-%m-%d}" if hasattr(value, "strftime") else str(value)


def _amount(kind: str, value: Any) -> float | None:
    if value is None or value == "" or value is pd.NA or value != value:
        if kind in NEEDS:
            raise SettingError(f"a {kind} needs an amount")
        return None
    if kind not in NEEDS and kind != "send":
        raise SettingError(f"a {kind} has no amount; a pin has")
    try:
        amount = float(value)
    except (TypeError, ValueError):
        raise SettingError(f"the amount {clean(value)!r} is not a figure") from None
    if not np.isfinite(amount) or amount < 0:
        raise SettingError(f"the amount {amount:g} is not one a plan can carry; it is zero or more")
    if kind == "share" and amount > 1:
        raise SettingError(f"a share is a fraction from 0 to 1, not {amount:g}")
    if kind != "share" and abs(amount - round(amount, 2)) > CENT / 1e4:
        raise SettingError(f"the amount {amount!r} has parts of a cent")
    return amount if kind == "share" else round(amount, 2)


def _along(kind: str, value: Any, where: Mapping[str, object]) -> tuple[str, ...]:
    given = _values(value.split(",") if isinstance(value, str) else value)
    along = tuple(sorted(v.strip() for v in given))
    if kind not in ALONG:
        if along:
            raise SettingError(f"a {kind} has no along")
        return ()
    if not along and len(where) == 1:
        return tuple(where)
    if not along or (kind == "send" and len(along) > 1) or not set(along) <= set(where):
        how = "one of the columns" if kind == "send" else "those of the columns"
        raise SettingError(
            f"a {kind} says in along {how} of its node ({', '.join(where) or 'it names none'}) it goes along"
        )
    return along


# ---- in words ----------------------------------------------------------------------------------------------------------


def words(wish: Wish) -> str:
    """The wish as a short clause."""
    node, much = place(wish.where), "all" if wish.amount is None else amount_in_words(wish.amount)
    whole = place(wish.outer)
    return {
        "pin": f"{node} carries {much}",
        "at_least": f"{node} carries at least {much}",
        "at_most": f"{node} carries at most {much}",
        "keep": f"{node} keeps its sum",
        "lock": f"{node} is locked",
        "move": f"move {much} from {node} to {place(tuple(x for x in wish.destination if x[0] in dict(wish.to)))}",
        "send": f"send {much} of {node} to its siblings by {_named(', '.join(wish.along))}",
        "share": f"{node} carries {float(100 * (wish.amount or 0)):.6g}% of {whole}",
        "start": f"{node} starts with {much}",
    }[wish.kind]


def place(where: Node) -> str:
    """The node in words: region East, product P1.

    >>> place((("region", ("East",)), ("product_id", ("P1", "P2", "P3", "P4"))))
    'region East, product P1, P2, P3 and 1 other'
    """
    if not where:
        return "the total"
    return ", ".join(f"{_named(name)} {_list(values)}" for name, values in where)


def amount_in_words(amount: float) -> str:
    """The exact amount: 2,600,000 or 0.05."""
    return f"{amount:,.2f}".removesuffix(".00")


def _named(column: str) -> str:
    return column.removesuffix("_id")


def _list(values: tuple[str, ...]) -> str:
    shown = ", ".join(clean(v) for v in values[:3])
    rest = len(values) - 3
    return shown if rest <= 0 else f"{shown} and {rest} other{'s' if rest > 1 else ''}"


def _shown(values: tuple[str, ...] | None) -> object:
    return None if values is None else values[0] if len(values) == 1 else values
