"""The open deals on which the period hangs, and why each is thought likely or unlikely."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast.errors import TooLittleData
from salesforecast.formats import count, missing, money, percent, plural, points_off
from salesforecast.periods import ONE_DAY
from salesforecast.pipeline import weeks
from salesforecast.pipeline.backtesting import Backtest
from salesforecast.pipeline.outlook import common, current, futures, scale
from salesforecast.tables import NOT_RECORDED, Crm
from salesforecast.text import md

MOST = 25
STRONG = 0.25  # log-odds: a reason below it is not worth a word
NAMES = ("name", "account", "rep")


def watch(
    past: Backtest, combined: pd.DataFrame, crm: Crm, target: float = float("nan"), most: int = MOST
) -> pd.DataFrame:
    """The open deals whose outcome moves the period most.

    Parameters
    ----------
    past, combined
        As in `outlook.parts`.
    crm : Crm
        Of today: the names of the deals.
    target : float
        Money; missing when there is none.
    most : int
        Deals.

    Returns
    -------
    DataFrame
        opportunity_id; name, account, rep (as far as the data have them); stage; amount (expected when won, money); chance (of
        being won by the end of the period); expected (amount x chance); swing (with a target: by how much the chance of
        reaching it is higher if the deal is won than if it is not, in the paths of the forecast: what the other methods make of
        the deals and what all deals of a period share is in it); likelier,
        unlikelier (what lifts or lowers the odds against those of the average open deal, in words). The largest
        amount x sqrt(chance x (1 - chance)) first: where there is most to win or lose.
    """
    now = current(past)
    deals, chance = now.outlook.deals, now.outlook.won[:, 0]
    worth = deals["worth"].to_numpy()
    order = np.lexsort((deals["opportunity_id"], -worth * np.sqrt(chance * (1 - chance))))[:most]
    top = deals.iloc[order].reset_index(drop=True)
    p, a = chance[order], worth[order]
    out = pd.DataFrame({"opportunity_id": top["opportunity_id"]})
    names = crm.deals.set_index("opportunity_id").reindex(top["opportunity_id"])
    for column in NAMES:
        if column in names:
            out[column] = names[column].to_numpy()
    out = out.assign(stage=names["stage"].to_numpy(), amount=a, chance=p, expected=a * p)
    if pd.notna(target):
        without = _without(past, combined, order)
        won = combined["scale"].iloc[-1] * np.outer(a, common(past, combined))
        out["swing"] = (without + won >= target).mean(axis=1) - (without >= target).mean(axis=1)
    likelier, unlikelier = reasons(past, top)
    return out.assign(likelier=likelier, unlikelier=unlikelier)


def _without(past: Backtest, combined: pd.DataFrame, top: np.ndarray) -> np.ndarray:
    """What the period may come to if a deal is not won: a row for each of some open deals (by place), a column per draw."""
    outlook = current(past).outlook
    group = np.zeros(len(outlook.deals), dtype=int)
    group[top] = np.arange(1, len(top) + 1)
    rest = np.zeros(len(outlook.kinds), dtype=int)
    split = futures(past, combined, group, rest, len(top) + 1)[:, :, 0]
    return np.asarray(combined["booked"].iloc[-1] + split.sum(axis=0) - split[1:])


def reasons(past: Backtest, deals: pd.DataFrame, most: int = 2) -> tuple[list[str], list[str]]:
    """What lifts and what lowers the odds of each deal against those of the average open deal, the strongest first, in words."""
    now = current(past)
    week = int(weeks.number(pd.DatetimeIndex([now.seen.day + ONE_DAY]), now.model.fiscal_year_start)[0]) - 1
    every = now.outlook.deals[~now.outlook.deals["silent"]]
    moved = now.model.open.reasons(pd.concat([every, deals], ignore_index=True), week).iloc[len(every) :]
    up, down = [], []
    for (_, deal), (_, move) in zip(deals.iterrows(), moved.iterrows(), strict=True):
        told = deal["stage"] != NOT_RECORDED
        if deal["silent"]:
            up.append("")
            down.append(f"silent: {plural(deal['quiet'], 'day')} {'without a change' if told else 'old'}")
            continue
        if not told:  # then the three are one: the days since it was entered
            alike = move.index.intersection(["time in stage", "silence", "age"])
            move = pd.concat([move.drop(alike), pd.Series({"age": move[alike].sum()})])
        ranked, words = move[move.abs() >= STRONG].sort_values(), _words(deal)
        up.append(", ".join([words[g] for g in ranked.index[::-1] if ranked[g] > 0][:most]))
        down.append(", ".join([words[g] for g in ranked.index if ranked[g] < 0][:most]))
    return up, down


def silent(past: Backtest, combined: pd.DataFrame) -> pd.DataFrame:
    """The open deals that nobody has touched for longer than nearly all won deals ever were.

    Returns
    -------
    DataFrame
        One row: n (silent deals), of (open deals), amount (money they stand for), expected (amount x chance), factor (by which
        the other methods take what is expected of all deals up or down), silent_after (days; missing where no win tells it), or
        older_than where nothing records changes: then all that is known is how old a deal is.
    """
    now = current(past)
    deals = now.outlook.deals
    quiet, worth = deals["silent"].to_numpy(), deals["worth"].to_numpy()
    days = now.model.silent_after if np.isfinite(now.model.silent_after) else np.nan
    return pd.DataFrame([{
        "n": int(quiet.sum()), "of": len(quiet), "amount": worth[quiet].sum(),
        "expected": (worth * now.outlook.won[:, 0])[quiet].sum(), "factor": scale(past, combined),
        "silent_after" if (deals["stage"] != NOT_RECORDED).any() else "older_than": days,
    }])  # fmt: skip


def _words(deal: pd.Series) -> dict[str, str]:
    """What stands behind each group of features of a deal."""
    due, pushes = deal["due"], int(deal["pushes"])
    when = "no expected date" if pd.isna(due) else (
        f"{plural(int(-due), 'day')} past its date" if due < 0 else f"expected in {plural(int(due), 'day')}"
    )  # fmt: skip
    return {
        "stage": f"stage {deal['stage']}",
        "time in stage": f"{plural(deal['in_stage'], 'day')} in its stage",
        "age": f"{plural(deal['age'], 'day')} old",
        "silence": f"{plural(deal['quiet'], 'day')} without a change",
        "amount": "no amount" if pd.isna(deal["amount"]) else "its size",
        "expected close date": when,
        "pushed date": f"date pushed {plural(pushes, 'time')}" if pushes else "date never pushed",
        "segment": f"segment {deal['segment']}",
        "channel": f"channel {deal['channel']}",
        "product_id": "its product",
        "rep_id": "its rep's past deals",
        "customer": {"new": "new customer", "known": "has bought before"}.get(deal["customer"], "customer unknown"),
    }


def finding_watch(watch: pd.DataFrame, parts: pd.DataFrame) -> str:
    """Up to three sentences: how much of the forecast hangs on few deals, on which most, and what the other methods make of them."""
    if watch.empty:
        raise TooLittleData("No deal is open, so the period hangs on none.")
    rows = parts.set_index("part")
    expected = rows.at["Open pipeline", "alone"]
    five = percent(watch["expected"].head(5).sum() / expected if expected else np.nan)
    if len(watch) < 5:
        said = f"**{five}** of what the open deals are expected to bring hangs on {plural(len(watch), 'deal')}"
    else:
        said = f"The five deals that matter most carry **{five}** of what the open deals are expected to bring"
    top = watch.loc[watch["swing"].idxmax()] if "swing" in watch else watch.iloc[0]
    name = md(str(top["name"] if "name" in watch and pd.notna(top.get("name")) else top["opportunity_id"]))
    if "swing" in watch and top["swing"] >= 0.005:
        said += f"; {name} alone moves the chance of the target by {points_off(top['swing'])}"
        said += ", more than any other of them." if len(watch) > 1 else "."
    elif "swing" in watch:
        said += "; none of them alone moves the chance of the target by a point."
    else:
        said += f"; the first of them is {name}, {money(top['amount'])} at {percent(top['chance'])}."
    pipe = rows.loc[["Open pipeline", "Deals to come"]].sum()
    return said + _others(pipe["amount"] / pipe["alone"] if pipe["alone"] > 0 else 1.0)


def finding_silent(silent: pd.DataFrame) -> str:
    """One sentence: how many open deals are silent, and what the forecast counts of them."""
    row = silent.iloc[0]
    old = "older_than" in silent
    limit = row["older_than" if old else "silent_after"]
    if missing(limit):
        return "How long a silent deal is quiet cannot be told: no deal of which that is known was won."
    if not row["n"]:
        return f"No open deal {'is older than' if old else 'has been silent for more than'} {plural(limit, 'day')}."
    one = row["n"] == 1
    does = (
        ("is" if one else "are") + " older than" if old else ("has" if one else "have") + " not changed for more than"
    )
    stands = "it stands" if one else "they stand"
    return (
        f"**{count(row['n'])} of {plural(row['of'], 'open deal')}** {does} {plural(limit, 'day')}, longer than nearly all won deals were "
        f"shortly before; of the {money(row['amount'])} {stands} for {money(row['expected'])} is expected."
        + _others(row["factor"])
    )


def _others(factor: float) -> str:
    """A sentence on what the other methods make of the money that the chances of all deals come to."""
    if abs(factor - 1) < 0.005:
        return ""
    return f" The other methods take what all deals are expected to bring {'up' if factor > 1 else 'down'} by {percent(abs(factor - 1))}."
