"""The fair comparison: what each channel would win of the same deals, beside what it wins of its own."""

from __future__ import annotations

from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import f as ratio
from scipy.stats import norm
from scipy.stats import t as student

from salesforecast import shrinkage, stats, style
from salesforecast.channels.adjusting import levels, on_the_same
from salesforecast.channels.entries import FOLLOWED, KINDS, ages
from salesforecast.errors import TooLittleData
from salesforecast.observed import ENOUGH
from salesforecast.tables import NOT_FILLED
from salesforecast.text import enumerated, md

LEVEL = 0.90
RATE = 0.10  # of false names
ALPHA = 0.05  # of saying that the channels differ where they do not
SURE = 0.90
DELTA = 0.02  # of the win rate: less is no difference to speak of
HELD = 5  # deals of a kind that a channel must have had, to be judged on it
COVERED = 0.80  # of all deals of kinds a channel has had: with less it is not compared


@dataclass(frozen=True)
class Fit:
    """What is known of each channel on the same deals: its rate, and what each deal adds to the error of it."""

    channels: list[str]
    age: int  # wins are counted to it, in days
    raw: np.ndarray  # the share won of its own deals
    rate: np.ndarray  # the share it would win of all deals
    share: np.ndarray  # of all deals that are its own
    of_raw: np.ndarray  # (deals, channels): the influence of each deal on raw
    of_rate: np.ndarray  # on rate
    account: np.ndarray
    quarter: np.ndarray
    month: np.ndarray

    def of_rates(self, influence: np.ndarray) -> tuple[np.ndarray, int]:
        """The variance of rates with these influences, deals of a customer and of a quarter alike; and its degrees of freedom."""
        return self._variance(influence, self.quarter)

    def of_gaps(self, influence: np.ndarray) -> tuple[np.ndarray, int]:
        """The same of differences between channels: the luck of a quarter is all channels', that of a month may be one's alone."""
        return self._variance(influence, self.month)

    def alike(self, gap: np.ndarray, variance: np.ndarray, influence: np.ndarray) -> float:
        """How likely luck alone makes the channels differ so much: p of the sum of their squared gaps, each over its variance.

        The gaps of one comparison are not independent; a scaled F has the mean and the variance of the sum.

        Source: Satterthwaite (1946); Rao & Scott (1984).
        """
        one, other = np.triu_indices(len(gap), 1)
        both, df = self.of_gaps(influence[:, one] + influence[:, other])
        plain, _ = self.of_gaps(influence)
        r = (both - plain[one] - plain[other]) / 2 / np.sqrt(variance[one] * variance[other])
        free = len(gap) ** 2 / (len(gap) + 2 * (np.clip(r, -1, 1) ** 2).sum())
        return float(ratio.sf((gap**2 / variance).mean(), free, df))

    def _variance(self, influence: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, int]:
        times = len(np.unique(time))
        if times < 2:
            return stats.clustered(influence, self.account), max(1, len(np.unique(self.account)) - 1)
        return stats.clustered(influence, self.account, time), times - 1


def compared(entries: pd.DataFrame) -> pd.DataFrame:
    """Which channels can be compared, and by which age wins are counted.

    Wins are counted to the age by which 99% have come in the slowest channel whose curve has ended its rise. A channel whose wins
    still come at the last age to which it can be followed is too young to be judged, however few it has won; one with fewer
    than 30 deals or 10 wins says too little; one that never had the kinds of deals that make up a fifth of all is not comparable.

    Returns
    -------
    DataFrame
        From `ages`, with age (wins are counted to it), covered (share of all deals that are of kinds the channel had at least
        5 of), lacking (the largest kind it had not), state (same, young, few, apart). Raises nothing.
    """
    frame = ages(entries)
    kinds = _kinds(entries)
    state = np.where((frame["n"] < FOLLOWED) | (frame["won"] + frame["lost"] < ENOUGH), "few", "young")
    state = np.where(frame["settled"], "same", state)
    # One that could be followed as long as the others' horizon and has hardly won anything is bad, not young.
    age = frame["horizon"].max()
    long = (frame["followed"] >= age) & (state == "young") & (frame["won"] < ENOUGH)
    state = np.where(long, "same", state)
    frame = frame.assign(age=age, covered=1.0, lacking="", state=state)
    for i, row in enumerate(frame.itertuples()):
        own = (entries["channel"] == row.channel).to_numpy()
        alien, lacking = np.zeros(len(entries), dtype=bool), []
        for kind, values in kinds.items():
            had = values[own].value_counts()
            new = ~values.isin(had.index[had >= HELD])
            alien |= new.to_numpy()
            lacking += [(int(n), f"{kind} {level}") for level, n in values[new].value_counts().sort_index().items()]
        frame.loc[i, "covered"] = 1 - alien.mean()
        frame.loc[i, "lacking"] = max(lacking, default=(0, ""), key=lambda pair: pair[0])[1]
    apart = (frame["state"] == "same") & ((frame["covered"] < COVERED) | (frame["channel"] == NOT_FILLED))
    return frame.assign(state=frame["state"].mask(apart, "apart"))


def fit(entries: pd.DataFrame, *, kinds: tuple[str, ...] = KINDS) -> Fit:
    """The rates of the comparable channels on the mix of all their deals, by g-computation.

    Each deal counts with its pseudo-value for being won by the age, taken within its channel, so that open deals are undecided and a
    slow channel is not taken for a bad one. A logit of these on channel and kind of deal (ridge-penalised kinds) gives each channel's
    chance for each deal; its mean over all deals is the rate on the common mix.

    Raises
    ------
    TooLittleData
        With fewer than two channels to compare.

    Source
    ------
    Andersen, Klein & Rosthøj (2003) for pseudo-values; Hernán & Robins (2020), chapter 13, for standardisation.
    """
    which = compared(entries)
    some = which[which["state"] == "same"]
    if len(some) < 2:
        raise TooLittleData(_too_few(which))
    rows = entries[entries["channel"].isin(some["channel"]) & (entries["entry"] <= entries["exit"])]
    age, channels = int(some["age"].iloc[0]), sorted(some["channel"])
    y, code, k = counted(rows, age), pd.Index(channels).get_indexer(rows["channel"]), len(channels)
    rate, of_rate = on_the_same(y, code, k, list(_kinds(rows, kinds).values()))
    own = np.eye(k)[code]
    number = own.sum(axis=0)
    raw = (own * y[:, None]).sum(axis=0) / number
    times = (rows[c].to_numpy("int64") for c in ("account", "quarter", "month"))
    return Fit(channels, age, raw, rate, number / len(rows), own * (y[:, None] - raw) / number, of_rate, *times)


def _kinds(rows: pd.DataFrame, kinds: tuple[str, ...] = KINDS) -> dict[str, pd.Series]:
    return levels(rows[[name for name in kinds if name in rows]])


def counted(rows: pd.DataFrame, age: int, mark: np.ndarray | None = None) -> np.ndarray:
    """The pseudo-value of each deal within its channel."""
    out = np.zeros(len(rows))
    channel = rows["channel"].to_numpy()
    entry, exit, outcome = (rows[c].to_numpy() for c in ("entry", "exit", "outcome"))
    for name in np.unique(channel):
        own = channel == name
        out[own] = stats.pseudo_values(entry[own], exit[own], outcome[own], age, None if mark is None else mark[own])
    return out


def fair(entries: pd.DataFrame) -> pd.DataFrame:
    """The share of deals each channel wins of its own, and would win of the mix of all, with open deals undecided.

    Parameters
    ----------
    entries : DataFrame
        From `entries`.

    Returns
    -------
    DataFrame
        channel, n, undecided, raw (share won of its own deals), raw_lower, raw_upper, adjusted (of the common mix), lower, upper (both
        90%, deals of a customer and of a quarter alike), believed (adjusted, drawn towards all the more the less is known), gap_share
        (believed less that of all) with lower and upper (90%), place_low, place_high (90%, 1 the highest), q, beyond (probability
        of a gap over 2 points to that side), all_channels (share won of all), p (that all win alike), age (days, wins are counted to
        it), covered, lacking, verdict (above, below, same; few; young: wins still come at the last age followed; apart: not filled
        in, or it never had the kinds of deals compared). Highest believed first, then those not compared.

    Raises
    ------
    TooLittleData
        With fewer than two channels to compare.

    Source
    ------
    Hernán & Robins (2020), chapter 13; Cameron, Gelbach & Miller (2011); Efron & Morris (1975); Benjamini & Hochberg (1995).
    """
    made, frame = fit(entries), compared(entries)
    everybody = float(made.share @ made.rate)
    own = pd.DataFrame({"channel": made.channels, "raw": made.raw, "adjusted": made.rate})
    for name, rate, influence in (("raw_", made.raw, made.of_raw), ("", made.rate, made.of_rate)):
        lower, upper = stats.share_interval(rate, *made.of_rates(influence), LEVEL)
        own[f"{name}lower"], own[f"{name}upper"] = lower, upper
    gap = made.rate - everybody
    of_gap = made.of_rate - (made.of_rate @ made.share)[:, None]
    variance, df = made.of_gaps(of_gap)
    variance = np.maximum(variance, _hardly_won(frame.set_index("channel").loc[made.channels]))
    scale = made.rate * (1 - made.rate)
    # Student's t with few months is wider than the normal: the variance is raised to what it says at this level.
    raised = variance * (stats.t_quantile(df, LEVEL) / norm.ppf(0.5 + LEVEL / 2)) ** 2
    believed = shrinkage.shrunk(logit(made.rate), raised / scale**2)
    draws = expit(believed.draws)
    centre = draws @ made.share
    own["believed"], own["gap_share"] = draws.mean(axis=0), (draws - centre[:, None]).mean(axis=0)
    own["gap_share_lower"], own["gap_share_upper"] = np.quantile(
        draws - centre[:, None], [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0
    )
    own["place_low"], own["place_high"] = shrinkage.ranks(draws) if len(own) > 2 else (np.nan, np.nan)
    own["q"] = shrinkage.q_values(2 * student.sf(np.abs(gap) / np.sqrt(variance), df))
    side = np.where(gap > 0, 1, -1)
    own["beyond"] = (side * (draws - centre[:, None]) > DELTA).mean(axis=0)
    own["named"] = np.where((own["q"] < RATE) & (own["beyond"] > SURE), np.where(side > 0, "above", "below"), "same")
    frame = frame.merge(own, on="channel", how="left")
    frame["verdict"] = frame["named"].where(frame["state"] == "same", frame["state"])
    frame["all_channels"], frame["p"] = everybody, made.alike(gap, variance, of_gap)
    order = ["channel", "n", "undecided", "raw", "raw_lower", "raw_upper", "adjusted", "lower", "upper", "believed", "gap_share",
             "gap_share_lower", "gap_share_upper", "place_low", "place_high", "q", "beyond", "all_channels", "p", "age", "covered",
             "lacking", "verdict"]  # fmt: skip
    return frame.sort_values(["believed", "channel"], ascending=[False, True], ignore_index=True)[order]


def _hardly_won(which: pd.DataFrame) -> np.ndarray:
    """The least variance of a rate that rests on fewer than 5 wins: a handful of equal outcomes is no certainty."""
    rate = (which["won"] + 1) / (which["n"] + 2)
    return np.where(which["won"] < HELD, rate * (1 - rate) / which["n"], 0.0)


def finding_fair(fair: pd.DataFrame) -> str:
    """One sentence: which channels win more or less of the same deals, or that they cannot be told apart."""
    known = fair[fair["believed"].notna()]
    named = known[known["verdict"].isin(["above", "below"])]
    young = fair[fair["verdict"] == "young"]
    wait = f" {enumerated([md(c) for c in young['channel']])} cannot be judged yet." if len(young) else ""
    if named.empty:
        from_to = style.between(known["believed"].min(), known["believed"].max(), style.percent)
        if known["p"].iloc[0] >= ALPHA:
            return f"On the same deals **the {len(known)} channels cannot be told apart**: {from_to} won, no more than luck explains.{wait}"
        near = ((known["gap_share_lower"] > -DELTA) & (known["gap_share_upper"] < DELTA)).all()
        but = (
            "each is within 2 points of all together"
            if near
            else "which of them does so by over 2 points cannot be told"
        )
        return f"On the same deals **the {len(known)} channels differ** by more than luck explains, {from_to} won, but {but}.{wait}"
    said = []
    for side, verb in (("above", "more"), ("below", "fewer")):
        these = named[named["verdict"] == side]
        these = these if side == "above" else these[::-1]
        names = [f"**{md(r.channel)}** ({style.percent(r.adjusted)})" for r in these.itertuples()]
        if names:
            said.append(f"{enumerated(names, 2)} {'wins' if len(names) == 1 else 'win'} {verb}")
    everybody = style.percent(fair["all_channels"].iloc[0])
    return f"Of the same deals, {', '.join(said)} than all channels together ({everybody}).{wait}"


def chart_fair(fair: pd.DataFrame) -> alt.LayerChart:
    """The share won of the common mix by channel, with its interval, beside the raw share."""
    data = fair[fair["believed"].notna()].rename(columns={"adjusted": "same_deals"})
    everybody = data["all_channels"].iloc[0]
    return style.dots(
        data, "same_deals", "channel", line=float(everybody), line_label=f"all {style.percent(everybody)}",
        columns=[("raw", "Raw", style.percent), ("n", "Deals", style.count), ("undecided", "Open", style.count)],
        verdict="verdict", level=LEVEL, title="Share of the same deals that each channel wins",
        subtitle="On the mix of all; open deals undecided; 90% intervals; colour: beyond luck",
    )  # fmt: skip


def _too_few(which: pd.DataFrame) -> str:
    words = {"young": "wins still come at the last age to which they can be followed", "few": "fewer than 30 deals, or 10 decided",
             "apart": "not filled in, or other kinds of deals than the rest"}  # fmt: skip
    why = [
        f"{style.plural(int((which['state'] == state).sum()), 'channel')}: {said}"
        for state, said in words.items()
        if (which["state"] == state).any()
    ]
    return f"Fewer than two channels can be compared ({'; '.join(why) or 'there is one only'})."
