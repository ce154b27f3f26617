"""What hangs on the findings about reps in money, and what could be done about it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast import stats
from salesforecast.errors import TooLittleData
from salesforecast.observed import observed, whole
from salesforecast.stakes import LEVEL, Stake, at_80
from salesforecast.tables import Crm
from salesforecast.text import md

DRAWS = 4000


def stakes_stage_gaps(gaps: pd.DataFrame) -> list[Stake]:
    """What each rep's gap is worth a year; of those beyond luck, help is an option.

    Nobody is named on luck: the others are kept without a name, so that a later report can tell what became of a gap.

    Parameters
    ----------
    gaps : DataFrame
        From `stage_gaps`: rep_id, rep, stage, worth, lower_90, upper_90, named. Its estimates are shrunk already.
    """
    found = []
    for row in gaps.itertuples():
        lever = f"Help **{md(row.rep)}** at **{md(row.stage)}**" if row.named and row.worth > 0 else ""
        found.append(Stake(
            float(row.worth), *at_80(row.worth, row.lower_90, row.upper_90, 0.9), lever=lever, key=f"gap of {row.rep_id} at {row.stage}",
            test="Coach some of those behind at this stage for a quarter, drawn by lot, and compare." if lever else "",
            shrunk=True, level=-float(row.worth),
        ))  # fmt: skip
    return found


def stake_hire_or_improve(options: pd.DataFrame) -> Stake:
    """What one more rep would book in the first year, the cost taken off where it is known.

    Parameters
    ----------
    options : DataFrame
        From `hire_or_improve`: worth, lower_90, upper_90, cost; the first row counts.
    """
    hire = options.iloc[0]
    cost = 0.0 if pd.isna(hire["cost"]) else float(hire["cost"])
    low, high = at_80(hire["worth"], hire["lower_90"], hire["upper_90"], 0.9)
    taken = ", its cost not taken off" if pd.isna(hire["cost"]) else ""
    return Stake(
        float(hire["worth"]) - cost, low - cost, high - cost, lever=f"Hire **one more rep**, where there are deals enough{taken}",
        key="one more rep", test="Hire one, not several, and hold the first two quarters against the curve.",
    )  # fmt: skip


def stake_neglected(neglected: pd.DataFrame, crm: Crm) -> Stake | None:
    """What the quiet deals would bring: each with the chance that open deals of its age have of being won.

    Parameters
    ----------
    neglected : DataFrame
        From `neglected`: amount, age.
    crm : Crm
        The deals from which the chance by age is learnt.
    """
    if neglected.empty or "amount" not in neglected:
        return None
    try:
        seen = observed(crm.deals)
        table, end = whole(seen, crm.as_of)
    except TooLittleData:
        return None
    won, lost = (curve[0] for curve in stats.incidence(table, np.ones((1, seen.groups))))
    still = np.clip(1 - won - lost, 1e-9, 1)
    chance = np.clip((won[-1] - won) / still, 0, 1)[np.minimum(neglected["age"].to_numpy("int64"), end)]
    amount = neglected["amount"].fillna(0).to_numpy("float64")
    drawn = (np.random.default_rng(0).random((DRAWS, len(amount))) < chance) @ amount
    low, high = np.quantile(drawn, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    expected = float((amount * chance).sum())
    return Stake(expected, float(low), float(high)) if expected > 0 else None
