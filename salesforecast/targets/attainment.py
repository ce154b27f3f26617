"""Where everybody stands: attainment, what was due by today, where it will end, and who makes the gap."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import style
from salesforecast.errors import MissingTable, TooLittleData
from salesforecast.formats import Format
from salesforecast.periods import ONE_DAY, Period
from salesforecast.targets.outlook import ALL, chances
from salesforecast.targets.pattern import Pattern, due, path
from salesforecast.targets.sold import between, has
from salesforecast.text import md

SMALL = 0.10  # a chance under which a target frustrates instead of asking for effort


def attainment(
    sales: pd.DataFrame,
    wanted: pd.Series,
    span: Period,
    as_of: pd.Timestamp,
    days: Pattern,
    *,
    by: str = "",
    total: float | None = None,
    paths: pd.DataFrame | None = None,
    people: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Booked against the target and against what was due, for each node and for all.

    Due is the target times the share of the days' pattern. Somebody who left within the period had due what was due by the last day
    of work; the rest of their target is `to_hand_over` and belongs to whoever takes the customers: it stays in the total. A
    target of zero has no attainment: what is booked is beyond the plan. A node without a target has only what it booked.

    Parameters
    ----------
    sales : DataFrame
        day, amount and the column of `by`.
    wanted : Series
        Targets by name (`goals.targets`).
    span, as_of
        The period, and the last day known.
    days : Pattern
    by : str
        The column of sales; "" is the whole alone.
    total : float, optional
        The target of all (`goals.target`); the sum of the nodes where none is given.
    paths : DataFrame, optional
        series, path, value, from `paths` or any model: adds projected, lower, upper, chance. Those of all are the sums of the paths.
    people : DataFrame, optional
        rep or rep_id, end_date: who left.

    Returns
    -------
    DataFrame
        The column of `by` (or name), n (deals), booked, target, attainment (fraction), due_share, due, ahead (booked less due), ahead_share
        (of the gap of all), projected, lower, upper, chance, to_hand_over; highest attainment first, without target last, and
        the row All at the end.
    """
    has(sales, *([by] if by else []))
    name = by or "name"
    part = between(sales, span.since, min(as_of + ONE_DAY, span.until))
    code = part[by].astype("str") if by else pd.Series(ALL, index=part.index)
    got = part.groupby(code)["amount"].agg(["size", "sum"])
    names = sorted({*got.index, *wanted.index}) if by else []
    frame = pd.DataFrame({name: pd.array(names, dtype="str")})
    frame["n"] = got["size"].reindex(names).fillna(0).to_numpy("int64")
    frame["booked"] = got["sum"].reindex(names).fillna(0.0).to_numpy()
    frame["target"] = wanted.reindex(names).to_numpy("float64")
    share = due(days, span, as_of)
    own = np.full(len(frame), share)
    if people is not None and by in ("rep", "rep_id") and len(frame):
        own = np.minimum(own, _until_left(people, by, names, days, span))
    frame["due_share"] = own
    whole = {
        name: ALL, "n": int(got["size"].sum()) if len(got) else 0, "booked": float(part["amount"].sum()),
        "target": _sum(frame["target"]) if total is None else float(total), "due_share": share,
    }  # fmt: skip
    frame = pd.concat([frame, pd.DataFrame([whole])], ignore_index=True).astype({"n": "int64"})
    frame["due"] = frame["target"] * frame["due_share"]
    frame["ahead"] = frame["booked"] - frame["due"]
    frame["attainment"] = frame["booked"] / frame["target"].where(frame["target"] > 0)
    gap = frame["ahead"].iloc[:-1].sum()
    frame["ahead_share"] = frame["ahead"] / gap if gap else np.nan
    frame.loc[frame.index[-1], "ahead_share"] = np.nan
    frame["to_hand_over"] = np.where(frame["due_share"] < share, frame["target"] * (1 - frame["due_share"]), 0.0)
    frame.loc[frame.index[-1], "to_hand_over"] = frame["to_hand_over"].iloc[:-1].sum()
    if paths is not None:
        frame = _with_chances(frame, name, paths)
    order = [name, "n", "booked", "target", "attainment", "due_share", "due", "ahead", "ahead_share", "projected", "lower", "upper",
             "chance", "to_hand_over"]  # fmt: skip
    frame = frame[[c for c in order if c in frame]]
    nodes = frame.iloc[:-1].sort_values(["attainment", "booked", name], ascending=[False, False, True])
    return pd.concat([nodes, frame.iloc[[-1]]], ignore_index=True)


def _sum(values: pd.Series) -> float:
    return float(values.sum()) if values.notna().any() else float("nan")


def _until_left(people: pd.DataFrame, by: str, names: list[str], days: Pattern, span: Period) -> np.ndarray:
    """The share of the period that was due by each one's last day of work; 1 for who is still here."""
    last = people.drop_duplicates(by).set_index(by)["end_date"].reindex(names)
    line = path(days, span).set_index("day")["share"]
    inside = last.between(span.since, span.until - ONE_DAY)
    out = np.ones(len(names))
    out[inside.to_numpy()] = line.reindex(last[inside]).to_numpy()
    out[(last < span.since).to_numpy()] = 0.0
    return out


def _with_chances(frame: pd.DataFrame, name: str, paths: pd.DataFrame) -> pd.DataFrame:
    nodes = frame.iloc[:-1]
    found = chances(nodes.set_index(name)["target"], paths[paths["series"] != ALL]).set_index("series")
    all_ = paths.groupby("path")["value"].sum().reset_index().assign(series=ALL)
    whole = chances(pd.Series({ALL: frame["target"].iloc[-1]}), all_).set_index("series")
    both = pd.concat([found, whole]) if len(found) else whole
    added = both.reindex(frame[name])[["projected", "lower", "upper", "chance"]].reset_index(drop=True)
    return pd.concat([frame, added], axis=1)


def whole(attainment: pd.DataFrame) -> pd.Series:
    """The row of all."""
    return attainment.iloc[-1]


def finding_attainment(attainment: pd.DataFrame) -> str:
    """One sentence: how many are at or over what was due, and who is furthest behind in money.

    Raises
    ------
    MissingTable
        When nobody has a target.
    """
    name = attainment.columns[0]
    nodes = attainment.iloc[:-1]
    nodes = nodes[nodes["target"] > 0]
    if nodes.empty:
        raise MissingTable(
            f"Nobody has a target here. Add targets by {'rep' if name == 'name' else name.removesuffix('_id')} to the table of targets."
        )
    left, done = float(attainment["to_hand_over"].iloc[-1]), nodes["due_share"].max() >= 1
    if done:  # who left was not there to reach it
        nodes = nodes[nodes["due_share"] >= 1]
    reached = nodes["ahead"] >= 0
    many = int(reached.sum())
    what = "reached the target" if done else f"{'has' if many == 1 else 'have'} what was due by today"
    words = f"**{many} of {len(nodes)}** {what}"
    waiting = f" {style.money(left)} of targets of those who left wait to be handed over." if left > 0 else ""
    behind = nodes[~reached].sort_values(["ahead", name])
    if behind.empty:
        return f"{words}.{waiting}"
    far = behind.iloc[0]
    to = "the target" if done else "what was due"
    words += f"; furthest behind is **{md(far[name])}**, {style.money(-far['ahead'])} under {to}."
    return words + waiting


def table_attainment(attainment: pd.DataFrame) -> pd.DataFrame:
    """The standing as the page's table has it."""
    return attainment.rename(columns={"n": "won"})


def chart_attainment(attainment: pd.DataFrame, most: int = 30) -> alt.LayerChart:
    """Attainment by node, with what was due, the target and the chance."""
    name = attainment.columns[0]
    nodes = attainment.iloc[:-1]
    nodes = nodes[nodes["target"] > 0].head(most)
    if nodes.empty:
        raise MissingTable("Nobody has a target here, so there is no attainment to draw.")
    share = float(nodes["due_share"].max())
    columns: list[tuple[str, str, Format | None]] = [
        ("booked", "Booked", style.money),
        ("target", "Target", style.money),
    ]
    if "chance" in nodes and share < 1:
        columns.append(("chance", "Chance", style.percent))
    nodes = nodes.drop(columns=["lower", "upper"], errors="ignore")
    far = nodes.sort_values(["ahead", name])[name].iloc[0]
    return style.dots(
        nodes, "attainment", str(name), line=share, line_label="target" if share >= 1 else f"due {style.percent(share)}", columns=columns,
        accent=str(far) if nodes["ahead"].min() < 0 else (),
        title="Quota reached" if share >= 1 else "Quota reached so far",
        subtitle="Booked, of the target of the whole period; highest first",
    )  # fmt: skip


def realism(attainment: pd.DataFrame, *, low: float = 0.4, high: float = 0.7) -> pd.DataFrame:
    """Whether targets ask for effort and can be met: how many have which chance.

    Parameters
    ----------
    attainment : DataFrame
        From `attainment`, with chances.
    low, high : float
        Between these chances a target stretches and is realistic.

    Returns
    -------
    DataFrame
        chance_of (in words), n (nodes with a target), share (of them), names (at most three).

    Raises
    ------
    TooLittleData
        Without chances.
    """
    name = attainment.columns[0]
    nodes = attainment.iloc[:-1]
    if "chance" not in nodes or nodes["chance"].isna().all():
        raise TooLittleData("No target here has a chance that could be told: targets, or paths, are missing.")
    known = nodes.dropna(subset=["chance"]).sort_values(["chance", name])
    edges = [("hardly, under 10%", -1.0, SMALL), (f"hard, 10% to {low:.0%}", SMALL, low),
             (f"a stretch, {low:.0%} to {high:.0%}", low, high), (f"easy, {high:.0%} to 90%", high, 1 - SMALL),
             ("anyway, over 90%", 1 - SMALL, 2.0)]  # fmt: skip
    rows = []
    for words, a, b in edges:
        inside = known[(known["chance"] > a) & (known["chance"] <= b)]
        shown = ", ".join(str(v) for v in inside[name].head(3)) + (" …" if len(inside) > 3 else "")
        rows.append((words, len(inside), len(inside) / len(known), shown))
    return pd.DataFrame(rows, columns=["chance_of", "n", "share", "names"])


def finding_realism(realism: pd.DataFrame) -> str:
    """One sentence: how many targets stretch and can be met, and how many hardly can."""
    hardly, hard, fit, easy, sure = (int(n) for n in realism["n"])
    more = [f"{n} {'is' if n == 1 else 'are'} {words}" for n, words in ((hard, "hard to meet"), (easy, "easy")) if n]
    more += [f"{hardly} can hardly be met (chance under 1 in 10)"] if hardly else []
    more += [f"{sure} will very likely be met anyway (over 9 in 10)"] if sure else []
    rest = f"; {', '.join(more)}" if more else ""
    total, verb = style.plural(realism["n"].sum(), "target"), "is" if fit == 1 else "are"
    return f"**{fit} of {total}** {verb} a stretch that can be met{rest}."


def chart_realism(realism: pd.DataFrame) -> alt.LayerChart:
    """How many targets have which chance."""
    return style.bars(
        realism.assign(text=realism["n"].astype("str")), "n", "chance_of", text="text", accent=str(realism["chance_of"].iloc[2]),
        title="Targets by the chance of being met", subtitle="Number of targets; chances from simulated futures",
    )  # fmt: skip
