"""Why the target is missed or beaten: volume, price, mix and timing, adding up to the cent."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import style
from salesforecast.errors import TooLittleData
from salesforecast.periods import ONE_DAY, Period
from salesforecast.targets.pattern import Pattern, due
from salesforecast.targets.rounding import largest
from salesforecast.targets.sold import between, has
from salesforecast.text import md

PARTS = ("volume", "price", "mix", "new_items")
UNEVEN = "targets do not add up"


def gap(
    sales: pd.DataFrame,
    target: float,
    span: Period,
    as_of: pd.Timestamp,
    days: Pattern,
    *,
    item: str = "product",
) -> pd.DataFrame:
    """The difference between booked and target, in parts that add up to the cent.

    The plan has money only, so its deals are those of the year before: their mean amount by item, P0, their mix, s0, and, so that
    they come to what was due, as many as due / P̄0. With Q1 the deals of each item now and P1 their mean amount:

    - *timing*: what of the target was not due yet by the path; 0 once the period is over;
    - *volume*: P̄0 (ΣQ1 − due / P̄0), more or fewer deals;
    - *mix*: Σ (P0 − P̄0)(s1 − s0) ΣQ1 with Σ s0 (P0 − P̄0) = 0, more of dearer or cheaper items;
    - *price*: Σ (P1 − P0) Q1, larger or smaller deals of the same item, which has quantity, list price and discount in it;
    - *new_items*: what items sold that were not sold in the year before.

    Mix and price depend on the level of the items: families hold less mix than products.

    Parameters
    ----------
    sales : DataFrame
        day, amount and the column `item`.
    target : float
        Of the whole period.
    span, as_of, days
        The period, the last day known, and the pattern.
    item : str
        The column of sales by which deals are alike: product, family, segment.

    Returns
    -------
    DataFrame
        part (target, timing, volume, price, mix, new_items, booked), amount (money; whole cents), n (deals); the parts between target
        and booked add up to booked less target.

    Raises
    ------
    TooLittleData
        Without a target, or without a sale in the year before.

    Source
    ------
    Price, volume and mix as in standard cost accounting (Horngren, Datar & Rajan, Cost Accounting, on sales variances).

    """
    now, base = _held_against(sales, span, as_of, target, item)
    share = due(days, span, as_of)
    parts = split(now, base, pd.Series({"": target * share}), item).iloc[0]
    rest = {"timing": target * (share - 1), **parts}
    booked = _cents(float(now["amount"].sum()))
    cents = whole_cents(list(rest.values()), booked - _cents(target))
    rows = [("target", _cents(target), np.nan), *((k, c, np.nan) for k, c in zip(rest, cents, strict=True))]
    rows.append(("booked", booked, float(len(now))))
    return pd.DataFrame(rows, columns=["part", "cents", "n"]).assign(amount=lambda f: f["cents"] / 100)[
        ["part", "amount", "n"]
    ]


def _held_against(
    sales: pd.DataFrame, span: Period, as_of: pd.Timestamp, target: float, *columns: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What was sold in the period so far, and in the year before it; refused without the columns or a target."""
    has(sales, *columns)
    if np.isnan(target):
        raise TooLittleData("There is no target for this period, so there is no gap. Add the table of targets.")
    now = between(sales, span.since, min(as_of + ONE_DAY, span.until))
    return now, between(sales, span.since - pd.DateOffset(years=1), span.since)


def split(now: pd.DataFrame, base: pd.DataFrame, expected: pd.Series, item: str, by: str = "") -> pd.DataFrame:
    """Booked less expected as volume, price, mix and new items, for each node; the four add up to it but for rounding.

    Parameters
    ----------
    now, base : DataFrame
        What was sold, and what was sold in the year before: amount, `item`, and `by`. Prices and mix of the base are those of all nodes
        together, so that the nodes' parts add up to the parts of all.
    expected : Series
        Money that was due, by the values of `by` ("" for all).
    item, by : str

    Returns
    -------
    DataFrame
        volume, price, mix, new_items, by the index of `expected`.
    """
    old = base.groupby(item)["amount"].agg(["size", "sum"])
    old = old[old["sum"] > 0]
    if old.empty:
        raise TooLittleData(
            "Nothing was sold in the year before, so volume, price and mix have nothing to be held against."
        )
    price0, mean0 = old["sum"] / old["size"], float(old["sum"].sum() / old["size"].sum())
    usual = now[item].map(price0)
    known = usual.notna()
    parts = pd.DataFrame({
        "volume": known * mean0, "price": (now["amount"] - usual).where(known, 0.0), "mix": (usual - mean0).where(known, 0.0),
        "new_items": now["amount"].where(~known, 0.0),
    })  # fmt: skip
    node = now[by] if by else pd.Series("", index=now.index)
    out = parts.groupby(node).sum().reindex(expected.index).fillna(0.0)
    return out.assign(volume=out["volume"] - expected)


def _cents(money: float) -> int:
    return round(money * 100)


def whole_cents(parts: list[float], total: int) -> list[int]:
    """The parts in whole cents that add up to the total: each rounded down, the cents left to the largest remainders.

    >>> whole_cents([0.333, 0.333, 0.334], 100)
    [33, 33, 34]
    """
    exact = np.array(parts) * 100
    low = np.floor(exact + 1e-9).astype("int64")
    step, extra = divmod(int(total - low.sum()), len(parts))
    up = largest(exact - low, np.zeros(len(parts), dtype="int64"), np.array([extra]))
    return [int(c) for c in low + step + up]


def finding_gap(gap: pd.DataFrame) -> str:
    """One sentence: the largest reason of being ahead of or behind what was due."""
    rows = gap.set_index("part")["amount"]
    parts = rows[[p for p in PARTS if p in rows]]
    off = float(parts.sum())
    if abs(off) < 0.005 * abs(rows["target"]):
        return f"What is booked is **what was due**, within {style.percent(0.005, 1)} of the target."
    main = parts.idxmax() if off > 0 else parts.idxmin()
    words = {"volume": ("more deals", "fewer deals"), "price": ("larger deals of the same kind", "smaller deals of the same kind"),
             "mix": ("a dearer mix", "a cheaper mix"), "new_items": ("new items", "new items")}[main][0 if off > 0 else 1]  # fmt: skip
    others = parts.drop(main)
    against = others[np.sign(others) != np.sign(off)]
    but = ""
    if len(against) and abs(against).max() >= 0.1 * abs(off):
        worst = str(against.abs().idxmax())
        but = f", {worst} {_signed(against[worst])}"
    due = "the target" if rows["timing"] == 0 else "what was due"
    side = "ahead of" if off > 0 else "behind"
    return f"**{style.money(abs(off))} {side} {due}**: {words} {_signed(parts[main])}{but}."


def _signed(money: float) -> str:
    said = style.money(money)
    return said if money < 0 else f"+{said}"


def chart_gap(gap: pd.DataFrame) -> alt.LayerChart:
    """From the target to what is booked, part by part."""
    names = {"target": "Target", "timing": "Not due yet", "volume": "Volume", "price": "Price and size", "mix": "Mix",
             "new_items": "New items", "booked": "Booked"}  # fmt: skip
    shown = gap[gap["part"].isin(["target", "booked"]) | (gap["amount"] != 0)]
    return style.steps(
        shown.assign(step=shown["part"].map(names)), "step", "amount", fmt=style.money, total=("Target", "Booked"),
        title="From the target to what is booked", subtitle="Parts add up to the cent; volume, price and mix against the year before",
    )  # fmt: skip


def where(
    sales: pd.DataFrame,
    wanted: pd.Series,
    span: Period,
    as_of: pd.Timestamp,
    days: Pattern,
    *,
    by: str,
    total: float,
    item: str = "product",
) -> pd.DataFrame:
    """Each node's part in being ahead or behind, and of what it is made; the nodes add up to the whole, to the cent.

    Volume, price and mix are held against all nodes' deals of the year before: a node's price has it that its deals are larger than all
    nodes' deals of the same item. A node without a target of its own carries its share of the year before of what the others'
    targets leave of the total, and is marked so. Where targets of nodes do not add up to the total, the difference is a row of
    its own, "targets do not add up".

    Parameters
    ----------
    sales, span, as_of, days, item
        As in `gap`.
    wanted : Series
        Targets by the values of `by`; may be empty.
    by : str
        A column of sales.
    total : float
        The target of all.

    Returns
    -------
    DataFrame
        The column of `by`, target, assumed (flag: no target of its own), due, booked, ahead, share (of the whole's), volume,
        price, mix, new_items (they add up to ahead, in whole cents); most behind first, and the row All.
    """
    now, base = _held_against(sales, span, as_of, total, by, item)
    share = due(days, span, as_of)
    usual = base.groupby(by)["amount"].sum()
    names = sorted({*now[by], *usual.index, *wanted.index})
    goal = wanted.reindex(names).astype("float64")
    assumed = goal.isna()
    left = max(total - float(goal.sum()), 0.0)
    weight = usual.reindex(names).fillna(0.0)[assumed]
    goal[assumed] = left * weight / weight.sum() if weight.sum() > 0 else 0.0
    parts = split(now, base, goal * share, item, by)
    booked = now.groupby(by)["amount"].sum().reindex(names).fillna(0.0)
    rows = []
    for name in names:
        ahead = _cents(booked[name]) - _cents(goal[name] * share)
        cents = whole_cents(parts.loc[name].to_list(), ahead)
        rows.append(
            (name, goal[name], bool(assumed[name]), _cents(goal[name] * share), _cents(booked[name]), ahead, *cents)
        )
    over = _cents(total * share) - sum(r[3] for r in rows)
    if abs(over) >= max(1, len(rows)):
        rows.append((UNEVEN, total - float(goal.sum()), False, over, 0, -over, -over, 0, 0, 0))
    frame = pd.DataFrame(rows, columns=[by, "target", "assumed", "due", "booked", "ahead", *PARTS])
    money = ["due", "booked", "ahead", *PARTS]
    whole = frame[money].sum()
    frame = frame.sort_values(["ahead", by], ignore_index=True)
    frame = pd.concat(
        [frame, pd.DataFrame([{by: "All", "target": total, "assumed": False, **whole}])], ignore_index=True
    )
    frame[money] = frame[money] / 100
    frame.insert(frame.columns.get_loc("ahead") + 1, "share", frame["ahead"] / (whole["ahead"] / 100 or np.nan))
    return frame


def finding_where(where: pd.DataFrame) -> str:
    """One sentence: which node makes most of the gap."""
    by, all_ = where.columns[0], where.iloc[-1]
    nodes = where.iloc[:-1]
    nodes = nodes[nodes[by] != UNEVEN]
    behind = all_["ahead"] < 0
    main = nodes.iloc[0] if behind else nodes.loc[nodes["ahead"].idxmax()]
    side = "behind" if behind else "ahead"
    reason = main[list(PARTS)].astype("float64")
    why = reason.idxmin() if behind else reason.idxmax()
    words = {"volume": "number of deals", "price": "size of deals", "mix": "mix", "new_items": "new items"}[why]
    of = " of its share of the target" if main["assumed"] else ""
    if main["ahead"] < 0:
        of = of.replace(" of", "", 1)
    return (
        f"**{md(main[by])}** is {style.money(abs(main['ahead']))} {'behind' if main['ahead'] < 0 else 'ahead'}{of}, most by the "
        f"{words}; all together are {style.money(abs(all_['ahead']))} {side}."
    )


def chart_where(where: pd.DataFrame, most: int = 30) -> alt.LayerChart:
    """Ahead or behind by node, from the whole's gap."""
    by = where.columns[0]
    nodes = where.iloc[:-1]
    if len(nodes) > most:
        nodes = pd.concat([nodes.head(most // 2), nodes.tail(most // 2)])
    main = nodes[by].iloc[0] if where["ahead"].iloc[-1] < 0 else nodes.loc[nodes["ahead"].idxmax(), by]
    return style.dots(
        nodes, "ahead", str(by), fmt=style.money, line=0.0, line_label="what was due", accent=str(main),
        columns=[("booked", "Booked", style.money), ("due", "Due", style.money)],
        title="Ahead of and behind what was due", subtitle="Booked less due by today; most behind first",
    )  # fmt: skip
