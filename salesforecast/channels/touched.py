"""How many journeys there are to give credit for, and how long those are that were won."""

from __future__ import annotations

import pandas as pd

from salesforecast import style
from salesforecast.channels.paths import OUTCOMES, Journeys


def touched(journeys: Journeys) -> pd.DataFrame:
    """Journeys by how they ended, how many had a touch in the window, and how many touches these had.

    Returns
    -------
    DataFrame
        One row per outcome, won, lost (or came to nothing), open: outcome, journeys, touched, touched_share (missing over
        none), touches_each (mean of the touched), value (of the won, touched).
    """
    ends = journeys.ends
    some = ends[ends["touches"] > 0]
    frame = pd.DataFrame({
        "outcome": OUTCOMES,
        "journeys": ends["outcome"].value_counts().reindex(OUTCOMES, fill_value=0).to_numpy("int64"),
        "touched": some["outcome"].value_counts().reindex(OUTCOMES, fill_value=0).to_numpy("int64"),
        "touches_each": some.groupby("outcome")["touches"].mean().reindex(OUTCOMES).to_numpy("float64"),
        "value": some.groupby("outcome")["value"].sum(min_count=1).reindex(OUTCOMES).to_numpy("float64"),
    })  # fmt: skip
    frame.insert(3, "touched_share", frame["touched"] / frame["journeys"].where(frame["journeys"] > 0))
    return frame


def finding_touched(touched: pd.DataFrame, journeys: Journeys) -> str:
    """One sentence: how many wins had a touch on record; only for these credit can be shared."""
    at = touched.set_index("outcome")
    won, touched = int(at.loc["won", "journeys"]), int(at.loc["won", "touched"])
    if not won:
        return "Nothing was won in this time, so there is no credit to share."
    when = f" in the {journeys.window:g} days before" if pd.notna(journeys.window) and journeys.window < 1e6 else ""
    return (
        f"**{style.count(touched)} of {style.plural(won, 'win')}** ({style.percent(touched / won)}) had a touch on record{when}; "
        f"{style.count(at.loc['lost', 'touched'])} touched journeys came to nothing, "
        f"{style.count(at.loc['open', 'touched'])} are undecided."
    )
