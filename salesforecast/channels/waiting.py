"""How long each channel takes from the first contact to a win, and how it stands at the same age."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from scipy.stats import t as student

from salesforecast import shrinkage, stats, style
from salesforecast.channels.entries import FOLLOWED, ages
from salesforecast.channels.fair import LEVEL, RATE, counted
from salesforecast.errors import TooLittleData
from salesforecast.formats import Format
from salesforecast.observed import ENOUGH, NEARLY_ALL
from salesforecast.text import md


def same_age(entries: pd.DataFrame) -> pd.DataFrame:
    """The share won by each channel within the age to which it can be followed, beside the others' at that age.

    Parameters
    ----------
    entries : DataFrame
        From `entries` or `lead_entries`; of leads the age begins with the first contact, and one without a deal is undecided.

    Returns
    -------
    DataFrame
        channel, n, won (so far), undecided, naive (won of all entered, for comparison), age (days: the longest to which it, and the
        others, can be followed, at most the age by which 99% of all wins have come), win_rate (won by that age, with those still open
        undecided), lower, upper (90%), others (the rest's at the same age), gap_share (to them) with lower and upper, half_days (by
        which half of these wins have come), still_rising (wins still came at the end, so that it is too young to be judged), q
        (false-discovery rate at which it is named), verdict (above, below, same, few). Highest rate first, those with fewer than 30
        entries last.

    Raises
    ------
    TooLittleData
        With fewer than 2 channels of 30 entries, or fewer than 10 wins.
    """
    about = ages(entries)
    if (about["n"] >= FOLLOWED).sum() < 2 or about["won"].sum() < ENOUGH:
        raise TooLittleData(
            "Two channels with 30 entries each, and 10 wins, are needed to compare them at the same age."
        )
    whole = ages(entries.assign(channel="all")).iloc[0]
    longest = whole["horizon"] if whole["settled"] else whole["followed"]
    rows = entries[entries["entry"] <= entries["exit"]]
    channel, out = rows["channel"].to_numpy(), []
    for row in about.itertuples():
        # a slow channel is followed to its own end, not to that of the fast ones
        own_end = row.horizon if row.settled else row.followed
        age = int(min(row.followed, max(longest, own_end)))
        own = channel == row.channel
        if not own.all():  # nor further than the others together
            age = min(age, int(ages(rows[~own].assign(channel="others"))["followed"].iloc[0]))
        few = row.n < FOLLOWED or age < 1 or own.all()
        out.append({"channel": row.channel, "n": row.n, "won": row.won, "undecided": row.undecided, "naive": row.won / row.n, "age": age,
                    **({} if few else _beside(rows, own, age)), "still_rising": not row.settled and row.won >= ENOUGH})  # fmt: skip
    frame = pd.DataFrame(out)
    known = frame["win_rate"].notna()
    frame.loc[known, "q"] = shrinkage.q_values(frame.loc[known, "p"].to_numpy())
    side = np.where(frame["q"] < RATE, np.where(frame["gap_share"] > 0, "above", "below"), "same")
    frame["verdict"] = np.where(known, side, "few")
    frame = frame.sort_values(["win_rate", "channel"], ascending=[False, True], ignore_index=True)
    order = ["channel", "n", "won", "undecided", "naive", "age", "win_rate", "lower", "upper", "others", "gap_share", "gap_share_lower",
             "gap_share_upper", "half_days", "still_rising", "q", "verdict"]  # fmt: skip
    return frame[order]


def _beside(rows: pd.DataFrame, own: np.ndarray, age: int) -> dict[str, float]:
    """The share won by an age of those `own` and of the others, with intervals."""
    sides, errors = [], np.zeros((len(rows), 3))
    for i, part in enumerate((own, ~own)):
        y = counted(rows[part].assign(channel="one"), age)
        sides.append(float(y.mean()))
        errors[part, i] = (y - y.mean()) / part.sum()
    errors[:, 2] = errors[:, 0] - errors[:, 1]
    account, quarter, month = (rows[c].to_numpy("int64") for c in ("account", "quarter", "month"))
    (quarters, months) = (len(np.unique(c)) for c in (quarter, month))
    rate = stats.clustered(errors[:, :1], *((account, quarter) if quarters > 1 else (account,)))
    gap = stats.clustered(errors[:, 2:], *((account, month) if months > 1 else (account,)))
    lower, upper = stats.share_interval(np.array(sides[:1]), rate, max(1, quarters - 1), LEVEL)
    error, reach = float(np.sqrt(gap[0])), stats.t_quantile(max(1, months - 1), LEVEL)
    entry, exit, outcome = (rows.loc[own, c].to_numpy() for c in ("entry", "exit", "outcome"))
    table = stats.life_table(entry, exit, outcome, np.zeros(int(own.sum()), dtype="int64"), 1, age + 1)
    won = stats.incidence(table, np.ones((1, 1)))[0]
    half = float(stats.first_age(won, won[:, -1] * NEARLY_ALL / 2)[0]) if won[0, -1] > 0 else np.nan
    difference = sides[0] - sides[1]
    p = 2 * float(student.sf(abs(difference) / max(error, 1e-12), max(1, months - 1)))
    return {
        "win_rate": sides[0], "lower": float(lower[0]), "upper": float(upper[0]), "others": sides[1], "gap_share": difference,
        "gap_share_lower": difference - reach * error, "gap_share_upper": difference + reach * error, "p": p, "half_days": half,
    }  # fmt: skip


def finding_same_age(same_age: pd.DataFrame, what: str = "lead") -> str:
    """One sentence: how many are undecided, and whether any channel is ahead of or behind the others at the same age."""
    many, still = same_age["n"].sum(), same_age["undecided"].sum()
    known = same_age[same_age["win_rate"].notna()]
    are = "is" if still == 1 else "are"
    start = f"{style.count(still)} of {style.plural(many, what)} ({style.percent(still / many)}) {are} undecided"
    named = []
    for side, word, rows in (("above", "ahead", known), ("below", "behind", known[::-1])):
        these = rows[rows["verdict"] == side]
        for r in these.head(1).itertuples():
            more = f"; {len(these) - 1} more {word}" if len(these) > 1 else ""
            rates = f"{style.percent(r.win_rate, 1)}, others {style.percent(r.others, 1)}"
            named.append(f"**{md(r.channel)}** {word} ({rates}{more})")
    if not named:
        return f"{start}; at the same age **no channel is clearly ahead or behind**."
    return f"{start}; at the same age {' and '.join(named)}."


def chart_same_age(same_age: pd.DataFrame, what: str = "leads") -> alt.LayerChart:
    """The share won by channel, beside the others' at the same age."""
    data = same_age[same_age["win_rate"].notna()]
    fmt = ".1%" if data["win_rate"].max() < 0.2 else ".0%"
    columns: list[tuple[str, str, Format | None]] = [
        ("others", "Others", fmt), ("age", "By day", style.count), ("half_days", "Half by", style.count),
        ("undecided", "Open", style.count),
    ]  # fmt: skip
    return style.dots(
        data, "win_rate", "channel", fmt=fmt, level=LEVEL, verdict="verdict", columns=columns, title=f"Share of {what} won, by channel",
        subtitle="Others: at the same age; undecided ones neither won nor lost; 90% intervals",
    )  # fmt: skip
