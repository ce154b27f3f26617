"""What hangs on the findings about channels in money, and what could be done about it."""

from __future__ import annotations

import pandas as pd

from salesforecast import style
from salesforecast.channels.entries import YEARS
from salesforecast.channels.fair import LEVEL
from salesforecast.channels.response import A_YEAR, Response
from salesforecast.stakes import Stake, at_80
from salesforecast.text import md


def stake_fair(fair: pd.DataFrame, entries: pd.DataFrame) -> Stake | None:
    """What the deals of the channels named as winning fewer would bring more in a year, won as all channels win the same deals.

    The gap times the deals entered a year times the mean amount of a win; the range is that of the gaps, each at its bound, which
    is wider than that of their sum. Nothing where no channel is named.

    Parameters
    ----------
    fair : DataFrame
        From `fair`: n, gap_share, gap_share_lower, gap_share_upper, verdict.
    entries : DataFrame
        From `entries`, of two years: outcome, amount.
    """
    behind = fair[fair["verdict"] == "below"]
    win = entries.loc[entries["outcome"] == "won", "amount"].mean()
    if behind.empty or pd.isna(win):
        return None
    money = behind["n"] / YEARS * float(win)
    worth, low, high = (float(-(money * behind[c]).sum()) for c in ("gap_share", "gap_share_upper", "gap_share_lower"))
    return Stake(worth, *at_80(worth, low, high, LEVEL), shrunk=True)


def stake_collection(collection: pd.DataFrame) -> Stake | None:
    """The money that is overdue; counted, so it has no range. How much of it is lost in the end is not known.

    Parameters
    ----------
    collection : DataFrame
        From `collection`: open_amount.
    """
    due = float(collection["open_amount"].sum())
    return Stake(due) if due > 0 else None


def stake_reallocation(reallocation: pd.DataFrame, fit: Response) -> Stake | None:
    """What the budget dealt out anew goes with in a year; nothing where no shift can be told to pay.

    Parameters
    ----------
    reallocation : DataFrame
        From `reallocation` at 95%: channel, spend, proposed, added, lower, upper; the last row, All, counts.
    fit : Response
        From `fitted`: whether its periods are months or weeks.
    """
    whole, rows = reallocation.iloc[-1], reallocation[:-1]
    moved = rows["proposed"] - rows["spend"]
    if not whole["lower"] > 0 or moved.max() <= 0.01 * whole["spend"]:
        return None
    to, many = str(rows.loc[moved.idxmax(), "channel"]), A_YEAR[fit.every]
    added, low, high = (float(whole[c]) * many for c in ("added", "lower", "upper"))
    return Stake(
        added, *at_80(added, low, high, 0.95), lever=f"Move {style.money(moved.clip(lower=0).sum())} a period, most to **{md(to)}**",
        key=f"budget to {to}", test="Change one channel's budget on purpose for a quarter, at a time drawn by lot.", shrunk=True,
    )  # fmt: skip
