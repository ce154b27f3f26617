"""What hangs on the findings of the forecast in money, what it has said for later reports, and its figure on the summary."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast.cards import Card, Cards
from salesforecast.formats import money, percent
from salesforecast.pipeline.backtesting import Backtest
from salesforecast.pipeline.outlook import current
from salesforecast.pipeline.shown import chance_of, level_of
from salesforecast.stakes import LEVEL, Forecast, Stake, at_80, shortfall

DRAWS = 4000
FEW = 5  # deals that a finding speaks of


def stake_parts(parts: pd.DataFrame) -> Stake | None:
    """The mean by which the period falls short of its target, over all that may happen; nothing without a target.

    Parameters
    ----------
    parts : DataFrame
        From `parts`; the row Gap counts, its range taken as that of a normal.
    """
    rows = parts.set_index("part")
    if "Gap" not in rows.index:
        return None
    return shortfall(*_at_80(rows.loc["Gap"], parts))


def forecast_parts(parts: pd.DataFrame, past: Backtest) -> Forecast:
    """What was said of the period, for later reports to hold against what came."""
    whole = parts.set_index("part").loc["Forecast"]
    return Forecast(current(past).period.label, *_at_80(whole, parts))


def _at_80(row: pd.Series, parts: pd.DataFrame) -> tuple[float, float, float]:
    """The amount of a part and its 80% range."""
    amount, lower, upper = (float(row[c]) for c in ("amount", "lower", "upper"))
    level = level_of(parts)
    return amount, *((lower, upper) if level == LEVEL else at_80(amount, lower, upper, level))


def cards_headline(parts: pd.DataFrame, past: Backtest) -> Cards:
    """The forecast with its range and the chance of the target, for the summary."""
    rows, label = parts.set_index("part"), current(past).period.label
    whole = rows.loc["Forecast"]
    of = [
        f"{percent(level_of(parts))} range {money(whole['lower'], short=True)} to {money(whole['upper'], short=True)}"
    ]
    if "Target" in rows.index:
        of.append(
            f"{chance_of(rows.at['Target', 'chance'])} chance of {money(rows.at['Target', 'amount'], short=True)}"
        )
    cards = [Card(f"Forecast, {label}", money(whole["amount"], short=True), tuple(of))]
    won = float(rows.at["Won so far", "amount"])
    if "Target" in rows.index and won > 0:
        share = percent(won / rows.at["Target", "amount"])
        cards.append(Card(f"Attainment, {label}", share, (f"{money(won, short=True)} won so far",)))
    return Cards(cards)


def stake_watch(watch: pd.DataFrame) -> Stake | None:
    """What the deals that matter most are expected to bring by the end of the period, each won or not.

    Parameters
    ----------
    watch : DataFrame
        From `watch`: amount, chance, expected.
    """
    top = watch.head(FEW)
    expected = float(top["expected"].sum())
    if expected <= 0:
        return None
    won = np.random.default_rng(0).random((DRAWS, len(top))) < top["chance"].to_numpy("float64")
    low, high = np.quantile(won @ top["amount"].to_numpy("float64"), [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Stake(expected, float(low), float(high))


def stake_silent(silent: pd.DataFrame) -> Stake | None:
    """What the forecast counts of the silent deals, with what the other methods make of it."""
    row = silent.iloc[0]
    expected = float(row["expected"] * row.get("factor", 1.0))
    return Stake(expected) if expected > 0 else None


def stake_coverage(coverage: pd.DataFrame) -> Stake | None:
    """What the missing pipeline would have brought by the end of the period; nothing where there is enough."""
    row = coverage.iloc[0]
    if pd.isna(row["missing_pipeline"]) or not row["missing_pipeline"] > 0 or pd.isna(row["conversion"]):
        return None
    return Stake(float(row["missing_pipeline"] * row["conversion"]))
