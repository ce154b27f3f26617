"""The open deals on which the period hangs, and why each is thought likely or unlikely."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast.formats import count, plural
from salesforecast.pipeline import weeks
from salesforecast.pipeline.backtesting import Backtest
from salesforecast.pipeline.outlook import current, futures, scale
from salesforecast.tables import Crm

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
        being won by the end of the period); expected (amount x chance, times what the other methods make of the deals); swing
        (with a target: by how much the chance of reaching it is higher if the deal is won than if it is not); likelier,
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
    out = out.assign(stage=names["stage"].to_numpy(), amount=a, chance=p, expected=a * p * scale(past, combined))
    if pd.notna(target):
        without = _without(past, combined, order)
        out["swing"] = (without + a[:, None] >= target).mean(axis=1) - (without >= target).mean(axis=1)
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
    week = int(weeks.number(pd.DatetimeIndex([now.seen.day]), now.model.fiscal_year_start)[0])
    every = now.outlook.deals[~now.outlook.deals["silent"]]
    moved = now.model.open.reasons(pd.concat([every, deals], ignore_index=True), week).iloc[len(every) :]
    up, down = [], []
    for (_, deal), (_, move) in zip(deals.iterrows(), moved.iterrows(), strict=True):
        if deal["silent"]:
            up.append("")
            down.append(f"silent: {plural(deal['quiet'], 'day')} without a change")
            continue
        ranked, words = move[move.abs() >= STRONG].sort_values(), _words(deal)
        up.append(", ".join([words[g] for g in ranked.index[::-1] if ranked[g] > 0][:most]))
        down.append(", ".join([words[g] for g in ranked.index if ranked[g] < 0][:most]))
    return up, down


def silent(past: Backtest, combined: pd.DataFrame) -> pd.DataFrame:
    """The open deals that nobody has touched for longer than nearly all won deals ever were.

    Returns
    -------
    DataFrame
        One row: n (silent deals), of (open deals), amount (money they stand for), expected (what the forecast counts of it),
        silent_after (days).
    """
    now = current(past)
    quiet = now.outlook.deals["silent"].to_numpy()
    worth = now.outlook.deals["worth"].to_numpy()
    return pd.DataFrame([{
        "n": int(quiet.sum()), "of": len(quiet), "amount": worth[quiet].sum(),
        "expected": (worth * now.outlook.won[:, 0])[quiet].sum() * scale(past, combined), "silent_after": now.model.silent_after,
    }])  # fmt: skip


def _words(deal: pd.Series) -> dict[str, str]:
    """What stands behind each group of features of a deal."""
    due, pushes = deal["due"], int(deal["pushes"])
    when = "no expected date" if pd.isna(due) else (
        f"{plural(int(-due), 'day')} past its date" if due < 0 else f"expected in {plural(int(due), 'day')}"
    )  # fmt: skip
    return {
        "stage": f"stage {deal['stage']}",
        "time in stage": f"{count(deal['in_stage'])} days in its stage",
        "age": f"{count(deal['age'])} days old",
        "silence": f"{count(deal['quiet'])} days without a change",
        "amount": "no amount" if pd.isna(deal["amount"]) else "its size",
        "expected close date": when,
        "pushed date": f"date pushed {plural(pushes, 'time')}" if pushes else "date never pushed",
        "segment": f"segment {deal['segment']}",
        "channel": f"channel {deal['channel']}",
        "product_id": "its product",
        "rep_id": "its rep's past deals",
        "new customer": "new customer" if deal["new"] else "has bought before",
    }
