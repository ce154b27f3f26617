"""Where the raw numbers mislead: a channel that wins more of its own deals and fewer of the same deals (Simpson's paradox)."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from scipy.stats import t as student

from salesforecast import shrinkage, stats, style
from salesforecast.channels.entries import KINDS
from salesforecast.channels.fair import LEVEL, counted, fit
from salesforecast.text import md

ERROR = 0.05  # of claiming any reversal where there is none
FEW = 10  # deals: of a kind with fewer no rate is shown

WORDS = {
    "segment": "segment",
    "size": "customer size",
    "region": "region",
    "product": "product",
    "customer": "new or existing customer",
}


def reversals(entries: pd.DataFrame) -> pd.DataFrame:
    """Each pair of channels: how far the one is ahead by the raw share won, and how far on the same deals.

    A pair is *reversed* when the raw order is contradicted by a gap on the same deals that is sure: with the probability 5% at most is
    any reversal claimed where none is true (Holm, over all pairs).

    Parameters
    ----------
    entries : DataFrame
        From `entries`.

    Returns
    -------
    DataFrame
        channel (ahead by the raw share), other, raw_gap and fair_gap (of channel over other, fractions), each with lower and upper (90%),
        p (of the fair gap, Holm's), reversed. Reversed ones first, then the largest change of the gap.

    Raises
    ------
    TooLittleData
        With fewer than two channels to compare.

    Source
    ------
    Bickel, Hammel & O'Connell (1975); Holm (1979).
    """
    made = fit(entries)
    k = len(made.channels)
    one, two = np.triu_indices(k, 1)
    swap = made.raw[one] < made.raw[two]
    one, two = np.where(swap, two, one), np.where(swap, one, two)
    frame = pd.DataFrame({"channel": np.array(made.channels)[one], "other": np.array(made.channels)[two]})
    for name, rate, influence in (("raw_gap", made.raw, made.of_raw), ("fair_gap", made.rate, made.of_rate)):
        variance, df = made.of_gaps(influence[:, one] - influence[:, two])
        gap, error, reach = rate[one] - rate[two], np.sqrt(variance), stats.t_quantile(df, LEVEL)
        frame[name], frame[f"{name}_lower"], frame[f"{name}_upper"] = gap, gap - reach * error, gap + reach * error
    frame["p"] = shrinkage.holm(2 * student.sf(np.abs(frame["fair_gap"]) / error, df))
    frame["reversed"] = (frame["raw_gap"] > 0) & (frame["fair_gap"] < 0) & (frame["p"] < ERROR)
    moved = (frame["raw_gap"] - frame["fair_gap"]).abs()
    frame = frame.assign(moved=moved).sort_values(
        ["reversed", "moved"], ascending=False, ignore_index=True, kind="stable"
    )
    return frame.drop(columns="moved")


def explained(entries: pd.DataFrame, reversals: pd.DataFrame) -> pd.DataFrame:
    """The first pair of `reversals` kind by kind: the split of deals that accounts best for the change of its order.

    Parameters
    ----------
    entries : DataFrame
        From `entries`.
    reversals : DataFrame
        From `reversals`.

    Returns
    -------
    DataFrame
        deals (a kind of deals; then all as they are, and all on the same deals), channel, n (deals of the channel; missing on the same
        deals), win_rate (open deals undecided; missing with fewer than 10 deals). Two rows each, the channel ahead by the raw share first.
    """
    pair = reversals.iloc[0]
    names = [pair["channel"], pair["other"]]
    made = fit(entries)
    at = [made.channels.index(name) for name in names]
    there = [k for k in KINDS if k in entries and entries[k].nunique() > 1]
    gaps = {}
    for kind in there:
        alone = fit(entries, kinds=(kind,))
        gaps[kind] = abs(float(alone.rate[at[0]] - alone.rate[at[1]]) - pair["fair_gap"])
    kind = min(gaps, key=lambda k: gaps[k], default="")
    rows = entries[entries["channel"].isin(made.channels) & (entries["entry"] <= entries["exit"])]
    rows = rows.assign(y=counted(rows, made.age))
    own = rows[rows["channel"].isin(names)]
    parts = []
    if kind:
        cells = own.groupby([kind, "channel"])["y"].agg(["size", "mean"])
        cells = cells.reindex(pd.MultiIndex.from_product([sorted(own[kind].unique()), names]))
        frame = cells.rename_axis(["deals", "channel"]).reset_index()
        frame["deals"] = WORDS[kind].capitalize() + ": " + frame["deals"]
        parts.append(frame.set_axis(["deals", "channel", "n", "win_rate"], axis=1).fillna({"n": 0}))
    n = own["channel"].value_counts().reindex(names).to_numpy("float64")
    for words, rate, count in (("All as they are", made.raw, n), ("All on the same deals", made.rate, n * np.nan)):
        parts.append(pd.DataFrame({"deals": words, "channel": names, "n": count, "win_rate": rate[at]}))
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(win_rate=frame["win_rate"].where(~(frame["n"] < FEW)))


def finding_reversals(reversals: pd.DataFrame) -> str:
    """One sentence: whether the raw order misleads, and for whom."""
    wrong = reversals[reversals["reversed"]]
    if len(wrong):
        row = wrong.iloc[0]
        more = f" So it is with {style.plural(len(wrong) - 1, 'other pair')}." if len(wrong) > 1 else ""
        one, two = md(row["channel"]), md(row["other"])
        interval = style.between(-100 * row["fair_gap_upper"], -100 * row["fair_gap_lower"], ".0f")
        return (
            f"**The raw numbers mislead**: {one} wins {_gap(row['raw_gap'])} more of its deals than {two}, but of the same deals {two} "
            f"wins {_gap(-row['fair_gap'])} more (90% interval {interval}).{more}"
        )
    turned = int(((reversals["raw_gap"] > 0) & (reversals["fair_gap"] < 0)).sum())
    if turned:
        return (
            f"**No reversal is sure**: on the same deals {turned} of {style.plural(len(reversals), 'pair')} would change places, by no "
            f"more than luck explains."
        )
    return "**The raw order stands**: on the same deals no channel changes places with another."


def _gap(share: float) -> str:
    return style.points(share).lstrip("+") if abs(share) >= 0.005 else f"{100 * abs(share):.1f} points"


def chart_reversals(explained: pd.DataFrame) -> alt.LayerChart:
    """The two channels kind by kind, as they are, and on the same deals."""
    short = explained["deals"].str.replace(
        "^.*: |^All on the | as they are$", "", regex=True
    )  # a phone has little room
    data = explained.assign(row=short.str.capitalize() + ", " + explained["channel"])
    first = explained["channel"].iloc[0]
    return style.dots(
        data, "win_rate", "row", columns=[("n", "Deals", style.count)], accent=data.loc[data["channel"] == first, "row"].tolist(),
        title=f"{first} and {explained['channel'].iloc[1]}, kind by kind",
        subtitle=f"Share won, open deals undecided; blue: {first}, ahead by the raw share",
    )  # fmt: skip
