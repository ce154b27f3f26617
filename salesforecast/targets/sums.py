"""What the wishes ask of sums of cells: every kind becomes bounds on sums, in whole units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from salesforecast.errors import SettingError, unknown
from salesforecast.targets.plan import CENT, MOST, texts
from salesforecast.targets.rounding import apportioned, snapped
from salesforecast.targets.wishes import Node, Wish, amount_in_words, place, words


@dataclass(frozen=True)
class Sum:
    """A sum of cells that lies between two bounds, in units; `item` says for whose sake, `label` in words what is asked."""

    cells: np.ndarray
    lower: float
    upper: float
    item: int
    label: str


@dataclass(frozen=True)
class Cells:
    """The plan's cells by name, as codes."""

    names: list[str]
    codes: dict[str, np.ndarray]
    values: dict[str, pd.Index]
    n: int

    def at(self, where: Iterable[tuple[str, tuple[str, ...]]]) -> np.ndarray:
        """Which cells lie in a node, as flags."""
        found = np.ones(self.n, dtype=bool)
        for name, values in where:
            found &= np.isin(self.codes[name], self.values[name].get_indexer(list(values)))
        return found

    def follows(self, name: str, other: str) -> bool:
        """Whether each value of `name` has one value of `other`: a rep has one region."""
        pairs = self.codes[name].astype("int64") * len(self.values[other]) + self.codes[other]
        return len(np.unique(pairs)) == len(np.unique(self.codes[name]))

    def key(self, names: Sequence[str]) -> np.ndarray:
        """A number for each combination of the columns' values."""
        key = np.zeros(self.n, dtype="int64")
        for name in names:
            _, key = np.unique(key * len(self.values[name]) + self.codes[name], return_inverse=True)
        return key

    def across(self, moved: Iterable[str]) -> list[str]:
        """The columns that a move along others leaves as they are: the month, the product, not the rep's region."""
        moved = list(moved)
        return [n for n in self.names if not any(n == m or self.follows(n, m) or self.follows(m, n) for m in moved)]


def cells_named(named: pd.DataFrame) -> Cells:
    """The cells of a plan, from their names (`texts`)."""
    factors = {str(name): pd.factorize(named[name], sort=True) for name in named}
    codes, values = {n: f[0] for n, f in factors.items()}, {n: pd.Index(f[1]) for n, f in factors.items()}
    return Cells(list(factors), codes, values, len(named))


@dataclass(frozen=True)
class Asked:
    """All that is asked of a plan, its cells in the order of their names."""

    cells: Cells
    order: np.ndarray  # the plan's rows in the order of their names
    start: np.ndarray  # the cells in whole units
    near: np.ndarray  # to what the new plan is to be near: the cells with moves and starts in them
    sums: list[Sum]
    locks: dict[int, np.ndarray]  # item -> cells
    items: list[str]  # in words: the wishes, then what is kept
    kinds: list[str]
    faults: dict[int, str]  # item -> why it is impossible for itself
    unit: float


def asked(plan: pd.DataFrame, wishes: list[Wish], unit: float, keep: Sequence[str] | None) -> Asked:
    """All that the wishes ask, and which sums stay."""
    named = texts(plan)
    cells = cells_named(named)
    order = np.lexsort([cells.codes[name] for name in sorted(named)][::-1])
    cells = replace(cells, codes={name: codes[order] for name, codes in cells.codes.items()})
    figures = plan["target"] if "target" in plan else plan["baseline"]
    exact = snapped(figures.to_numpy("float64")[order] / unit)
    if exact.sum() > MOST:
        raise SettingError(
            f"The plan adds up to {exact.sum() * unit:.3g}, more than is kept exact to {unit:g}. Choose a larger unit."
        )
    start = apportioned(exact, np.zeros(len(exact), dtype="int64"), np.rint([exact.sum()]).astype("int64"))
    ranked = sorted(wishes, key=lambda w: (w.kind, w.where, w.to, w.along, -1.0 if w.amount is None else w.amount))
    faults: dict[int, str] = {}
    shift = np.zeros(len(exact), dtype="int64")
    for item, wish in enumerate(ranked):
        if wish.kind in ("move", "send"):
            with _noted(faults, item):
                shift += _shift(wish, cells, start, unit)
    moved = start + shift
    sums: list[Sum] = []
    locks: dict[int, np.ndarray] = {}
    seeds = np.zeros(len(exact))
    wholes, spoken = _wholes(ranked, cells, moved, unit), {w.where for w in ranked if w.kind in ("pin", "share")}
    for item, wish in enumerate(ranked):
        at = cells.at(wish.where)
        inside = np.flatnonzero(at)
        with _noted(faults, item):
            if not len(inside):
                raise SettingError(f"{words(wish)}: the plan has no such cell.")
            if wish.kind == "lock":
                if unit > CENT and (np.abs(exact[inside] - start[inside]) > 1e-6).any():
                    raise SettingError(f"{words(wish)}, but its cells are not whole {unit:g}s. Choose a smaller unit.")
                locks[item] = inside
            elif wish.kind == "start":
                seeds += _seeds(wish, at, cells, exact, unit)
            else:
                sums += _sums(wish, item, inside, cells, start, moved, wholes, spoken, unit)
    items = [words(w) for w in ranked]
    if keep is not None:
        asked_of = {s.cells.tobytes() for s in sums}
        for cells_of, label in _kept(cells, keep):
            if cells_of.tobytes() not in asked_of:
                amount = int(moved[cells_of].sum())
                items.append(f"{label} keeps its sum of {amount_in_words(amount * unit)}")
                sums.append(Sum(cells_of, amount, amount, len(items) - 1, items[-1]))
    near = np.maximum(exact + shift, 0) + seeds
    kinds = [w.kind for w in ranked] + ["kept"] * (len(items) - len(ranked))
    return Asked(cells, order, start, near, sums, locks, items, kinds, faults, unit)


@contextmanager
def _noted(faults: dict[int, str], item: int) -> Iterator[None]:
    """A wish that is impossible for itself is noted; the others go on."""
    try:
        yield
    except SettingError as error:
        faults.setdefault(item, str(error))


def _units(wish: Wish, unit: float) -> int:
    whole = round((wish.amount or 0.0) / unit)
    if round(whole * unit, 2) != (wish.amount or 0.0):
        raise SettingError(
            f"{words(wish)}: {amount_in_words(wish.amount or 0.0)} is not a whole number of {unit:g}s, to which the plan is rounded. "
            f"Choose a smaller unit or another amount."
        )
    return whole


def _sums(wish: Wish, item: int, inside: np.ndarray, cells: Cells, start: np.ndarray, moved: np.ndarray,
          wholes: dict[Node, int], spoken: set[Node], unit: float) -> list[Sum]:  # fmt: skip
    """The bounds of one wish."""
    said = words(wish)
    if wish.kind in ("move", "send"):
        onto = cells.at(wish.destination) if wish.kind == "move" else _siblings(wish, cells)
        nodes = [(inside, "leaves it"), (np.flatnonzero(onto), "makes that")]
        amounts = [(n, float(moved[n].sum()), f"{said} ({verb} {_shown(moved[n].sum(), unit)})") for n, verb in nodes]
        return [Sum(n, amount, amount, item, label) for n, amount, label in amounts]
    if wish.kind == "keep":
        amount = float(start[inside].sum())
        return [Sum(inside, amount, amount, item, f"{said} of {_shown(amount, unit)}")]
    if wish.kind == "share":
        outer = wish.outer
        around, whole = np.flatnonzero(cells.at(outer)), float(wholes[outer])
        amount = float(np.floor((wish.amount or 0.0) * whole + 0.5))
        own = Sum(inside, amount, amount, item, f"{said} ({_shown(amount, unit)})")
        stays = Sum(around, whole, whole, item, f"{place(outer)} carries {_shown(whole, unit)}")
        return [own] if outer in spoken else [own, stays]
    amount = float(_units(wish, unit))
    lower = 0.0 if wish.kind == "at_most" else amount
    return [Sum(inside, lower, np.inf if wish.kind == "at_least" else amount, item, said)]


def _wholes(wishes: list[Wish], cells: Cells, moved: np.ndarray, unit: float) -> dict[Node, int]:
    """What each node carries of which a share is asked: what a pin or another share asks of it, else its sum within the bounds asked."""
    carried = {w.where: round((w.amount or 0.0) / unit) for w in wishes if w.kind == "pin"}
    for wish in sorted((w for w in wishes if w.kind == "share"), key=lambda w: len(w.where)):  # the outer ones first
        if wish.outer not in carried:
            whole = int(moved[cells.at(wish.outer)].sum())
            for w in wishes:
                if w.where == wish.outer and w.kind in ("at_least", "at_most"):
                    whole = (max if w.kind == "at_least" else min)(whole, round((w.amount or 0.0) / unit))
            carried[wish.outer] = whole
        carried.setdefault(wish.where, int(np.floor((wish.amount or 0.0) * carried[wish.outer] + 0.5)))
    return carried


def _shown(whole: float, unit: float) -> str:
    return amount_in_words(float(whole) * unit)


def _kept(cells: Cells, by: Sequence[str]) -> Iterable[tuple[np.ndarray, str]]:
    for name in by:
        if name not in cells.names:
            raise unknown("column of the plan", name, cells.names)
    key = cells.key(by)
    order = np.argsort(key, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        first = group[0]
        yield group, place(tuple((n, (str(cells.values[n][cells.codes[n][first]]),)) for n in by))


# ---- moves, cell by cell -----------------------------------------------------------------------------------------------


def _siblings(wish: Wish, cells: Cells) -> np.ndarray:
    """The cells of the other values along the column, under the same parents: the other reps of the team."""
    (along,) = wish.along
    own = cells.at(wish.where)
    others = cells.at((n, v) for n, v in wish.where if n != along) & ~cells.at(x for x in wish.where if x[0] == along)
    for parent in cells.names:
        if parent != along and cells.follows(along, parent) and not cells.follows(parent, along):
            others &= np.isin(cells.codes[parent], np.unique(cells.codes[parent][own]))
    return others


def _shift(wish: Wish, cells: Cells, start: np.ndarray, unit: float) -> np.ndarray:
    """What a move takes from and gives to each cell, in whole units, each to the cell alike in all else."""
    own = cells.at(wish.where)
    onto = cells.at(wish.destination) if wish.kind == "move" else _siblings(wish, cells)
    if (own & onto).any():
        raise SettingError(f"{words(wish)}: the two have cells in common.")
    if wish.kind == "send" and not onto.any():
        raise SettingError(f"{words(wish)}: it has no siblings.")
    has = int(start[own].sum())
    amount = has if wish.amount is None else _units(wish, unit)
    if amount > has:
        raise SettingError(f"{words(wish)}: it carries only {amount_in_words(has * unit)}.")
    if amount == 0:
        return np.zeros(cells.n, dtype="int64")
    across = cells.across([n for n, _ in wish.to] or wish.along)
    alike = cells.key(across)
    giving = np.flatnonzero(own)
    given = apportioned(start[giving].astype("float64"), np.zeros(len(giving), "int64"), np.array([amount]))
    keys, key = np.unique(alike[giving], return_inverse=True)
    taking = np.flatnonzero(onto & np.isin(alike, keys))
    totals = np.bincount(key, given, minlength=len(keys)).astype("int64")
    place_of = np.searchsorted(keys, alike[taking])
    lost = np.flatnonzero((np.bincount(place_of, minlength=len(keys)) == 0) & (totals > 0))
    if len(lost):
        one = giving[key == lost[0]][0]
        cell = place(tuple((n, (str(cells.values[n][cells.codes[n][one]]),)) for n in across))
        raise SettingError(
            f"{words(wish)}: {amount_in_words(int(totals[lost].sum()) * unit)} of it lie in {len(lost)} cells that the other side does not "
            f"have, e.g. {cell}. Add these cells to the plan, or move only what both have."
        )
    shift = np.zeros(cells.n, dtype="int64")
    shift[giving] -= given
    shift[taking] += apportioned(start[taking].astype("float64"), place_of, totals)
    return shift


def _seeds(wish: Wish, at: np.ndarray, cells: Cells, exact: np.ndarray, unit: float) -> np.ndarray:
    """What the cells at zero of a node begin with, spread as the cells of the others are that are alike in all else."""
    zero = np.flatnonzero(at & (exact <= 0))
    seeds = np.zeros(cells.n)
    if not len(zero):
        raise SettingError(f"{words(wish)}, but none of its cells is at zero.")
    rest = [n for n in cells.names if n not in {name for name, _ in wish.where}]
    alike = cells.key(rest)
    profile = np.bincount(alike, exact)[alike[zero]] / np.bincount(alike[zero], minlength=alike.max() + 1)[alike[zero]]
    total = profile.sum()
    seeds[zero] = _units(wish, unit) * (profile / total if total > 0 else np.full(len(zero), 1 / len(zero)))
    return seeds
