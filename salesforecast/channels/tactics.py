"""Calls, e-mails, visits, demos: what goes with each attempt and each hour. Who got which was not dealt out by lot."""

from __future__ import annotations

from itertools import combinations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import shrinkage, stats, style
from salesforecast.channels.adjusting import Standardised, shared, standardised
from salesforecast.channels.attempts import WITHIN
from salesforecast.errors import TooLittleData
from salesforecast.text import md

WORDS = {"cold_call": "cold call", "email": "e-mail", "personalised_email": "personalised e-mail"}
FEW = 50  # decided attempts, and FEW_ACCOUNTS accounts, to be compared
FEW_ACCOUNTS = 20
MIX = ("stage", "nth", "age", "pause", "segment", "product", "size", "industry", "region", "customer")
CELLS = ("stage", "nth")
OVERLAP = 0.5
ALPHA = 0.05  # false-discovery rate of a named pair


def tactics(attempts: pd.DataFrame, *, level: float = stats.LEVEL, seed: int = 0) -> pd.DataFrame:
    """Per tactic the share of attempts with a result, as it is and on the same cases, and results per hour.

    *Adjusted* is the share the tactic would have on all attempts of the same aim, by stage, number of the attempt, age of the deal,
    pause, segment, product, size, industry, region and new or existing customer, all as known when it was made. It is an
    association: sellers choose whom they call and whom they write to.

    Parameters
    ----------
    attempts : DataFrame
        From `attempts`.
    level, seed
        Of the intervals: by resampling accounts, those of the adjusted share by clusters of accounts.

    Returns
    -------
    DataFrame
        tactic, aim, tries (decided), young (not decided), accounts, results, share with lower, upper, adjusted with adjusted_lower,
        adjusted_upper, hours, per_hour (results) with per_hour_lower, per_hour_upper, adjusted_per_hour. Not adjusted with fewer than 50
        tries or 20 accounts. By aim, highest adjusted share first; last those that cannot be judged.
    """
    frames = []
    for aim, rows in attempts.dropna(subset="aim").groupby("aim", sort=True):
        done = rows[rows["decided"]]
        names = sorted(rows["tactic"].unique())
        group = stats.group_codes(done["cluster"]) if len(done) else np.zeros(0, dtype="int64")
        n_groups = int(group.max()) + 1 if len(group) else 1
        weight = stats.weights(n_groups, seed=seed)
        timed = done["minutes"].notna().to_numpy()

        def by(
            values: np.ndarray,
            done: pd.DataFrame = done,
            group: np.ndarray = group,
            n: int = n_groups,
            names: list = names,
        ) -> np.ndarray:
            place = pd.Index(names).get_indexer(done["tactic"])
            return np.bincount(group * len(names) + place, values, n * len(names)).reshape(n, len(names))

        hit = done["result"].to_numpy("float64")
        tries, results = by(np.ones(len(done))), by(hit)
        in_time, hours = by(hit * timed), by(done["minutes"].fillna(0).to_numpy("float64") / 60)
        frame = pd.DataFrame({
            "tactic": names, "aim": aim, "tries": tries.sum(axis=0).astype("int64"),
            "young": (~rows["decided"]).groupby(rows["tactic"]).sum().reindex(names).to_numpy("int64"),
            "accounts": done.groupby("tactic")["cluster"].nunique().reindex(names).fillna(0).to_numpy("int64"),
            "results": results.sum(axis=0).astype("int64"),
        })  # fmt: skip
        for name, top, bottom in (("share", results, tries), ("per_hour", in_time, hours)):
            with np.errstate(invalid="ignore", divide="ignore"):
                draws = (weight @ top) / (weight @ bottom)
            draws = np.where(np.isfinite(draws), draws, np.nan)
            low, high = stats.quantile_interval(draws[1:], level)
            alone = np.isnan(draws[0]) | (low == high)
            bounds = ("lower", "upper") if name == "share" else (f"{name}_lower", f"{name}_upper")
            frame[name], frame[bounds[0]], frame[bounds[1]] = (
                draws[0],
                np.where(alone, np.nan, low),
                np.where(alone, np.nan, high),
            )
        frame["hours"] = hours.sum(axis=0)
        enough = (frame["tries"] >= FEW) & (frame["accounts"] >= FEW_ACCOUNTS)
        frame["adjusted"] = frame["adjusted_lower"] = frame["adjusted_upper"] = np.nan
        if enough.any():
            fit, _ = _fit(done, list(frame.loc[enough, "tactic"]))
            low, high = fit.interval(level)
            frame.loc[enough, "adjusted"], frame.loc[enough, "adjusted_lower"], frame.loc[enough, "adjusted_upper"] = (
                fit.rates,
                low,
                high,
            )
        with np.errstate(invalid="ignore", divide="ignore"):
            frame["adjusted_per_hour"] = frame["adjusted"] * frame["per_hour"] / frame["share"]
        frames.append(frame.sort_values(["adjusted", "tactic"], ascending=[False, True]))
    lost = attempts[attempts["aim"].isna()].groupby("tactic").size()
    if len(lost):
        frames.append(pd.DataFrame({"tactic": lost.index, "aim": "cannot be judged", "young": lost.to_numpy()}))
    frame = pd.concat(frames, ignore_index=True)
    frame["tactic"] = frame["tactic"].replace(WORDS)
    order = ["tactic", "aim", "tries", "young", "accounts", "results", "share", "lower", "upper", "adjusted", "adjusted_lower",
             "adjusted_upper", "hours", "per_hour", "per_hour_lower", "per_hour_upper", "adjusted_per_hour"]  # fmt: skip
    return frame.reindex(columns=order)


def _fit(done: pd.DataFrame, names: list[str]) -> tuple[Standardised, pd.DataFrame]:
    chosen = done[done["tactic"].isin(names)]
    mix = chosen[[c for c in MIX if c in chosen]]
    return standardised(
        chosen["result"].to_numpy(bool), chosen["tactic"], mix, stats.group_codes(chosen["cluster"], 10**9)
    ), chosen


def pairs(attempts: pd.DataFrame, *, level: float = stats.LEVEL) -> pd.DataFrame:
    """Each two tactics with the same aim: the difference of their adjusted shares.

    Parameters
    ----------
    attempts : DataFrame
        From `attempts`.
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame
        pair (in words), tactic, other, aim, raw_gap (of the shares as they are), gap_share (adjusted) with lower, upper, overlap (the share
        of their attempts at a stage and number where both are used), q (false-discovery rate over all pairs), verdict (above, same, or few
        where they hardly overlap). Lowest q first.

    Raises
    ------
    TooLittleData
        When no two tactics were used often enough.
    """
    rows = []
    for aim, every in attempts.dropna(subset="aim").groupby("aim", sort=True):
        done = every[every["decided"]]
        count = done.groupby("tactic")["cluster"].agg(["size", "nunique"])
        names = sorted(count.index[(count["size"] >= FEW) & (count["nunique"] >= FEW_ACCOUNTS)])
        if len(names) < 2:
            continue
        fit, chosen = _fit(done, names)
        raw = chosen.groupby("tactic")["result"].mean()
        overlap = shared(chosen["tactic"], chosen[[c for c in CELLS if c in chosen]])
        for i, j in combinations(range(len(names)), 2):
            one, other = (i, j) if fit.rates[i] >= fit.rates[j] else (j, i)
            a, b = fit.choices[one], fit.choices[other]
            gap, low, high, p = fit.gap(one, other, level)
            rows.append({
                "pair": f"{WORDS.get(a, a)} and {WORDS.get(b, b)}", "tactic": a, "other": b, "aim": aim, "raw_gap": float(raw[a] - raw[b]),
                "gap_share": gap, "lower": low, "upper": high, "overlap": overlap.loc[a, b], "p": p,
            })  # fmt: skip
    if not rows:
        raise TooLittleData(
            f"No two tactics have {FEW} attempts each on {FEW_ACCOUNTS} accounts whose result is known."
        )
    frame = pd.DataFrame(rows)
    frame["q"] = shrinkage.q_values(frame["p"].to_numpy())
    side = np.where(frame["q"] < ALPHA, "above", "same")
    frame["verdict"] = np.where(frame["overlap"] < OVERLAP, "few", side)
    return frame.sort_values(["q", "p", "pair"], ignore_index=True).drop(columns="p")


def finding_tactics(tactics: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """One sentence: the clearest difference beyond chance, or that the tactics cannot be told apart."""
    named = pairs[pairs["verdict"] == "above"]
    if named.empty:
        known = _main(tactics)
        mine = pairs[pairs["aim"] == known["aim"].iloc[0]]
        if len(known) == 1:
            return f"**Only one tactic was used often enough**, {md(known['tactic'].iloc[0])}, so there is none to compare it with."
        many, few = style.plural(len(known), "tactic"), int((mine["verdict"] == "few").sum())
        if few == len(mine):
            return f"**{many} cannot be compared**: no two of them were used on the same cases often enough."
        rest = f"; {few} of {style.plural(len(mine), 'pair')} cannot be compared" if few else ""
        return (
            f"On the same cases **{many} cannot be told apart**: {style.percent(known['adjusted'].min())} to "
            f"{style.percent(known['adjusted'].max())} of attempts go with a result{rest}."
        )
    top = named.iloc[0]
    one, other = (WORDS.get(top[c], top[c]) for c in ("tactic", "other"))
    return (
        f"On the same cases {_article(one)} **{md(one)}** goes with a result more often than {_article(other)} {md(other)}: "
        f"{style.points(top['gap_share'])} (95% interval {style.between(100 * top['lower'], 100 * top['upper'], style.figure(0))}); "
        f"an association."
    )


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def _main(tactics: pd.DataFrame) -> pd.DataFrame:
    """The compared tactics of the aim with most attempts, of those with several: moving a deal on is not opening one."""
    known = tactics.dropna(subset="adjusted")
    aims = known.groupby("aim")["tries"].agg(["size", "sum"])
    several = aims[aims["size"] > 1]
    return known[known["aim"] == (aims if several.empty else several)["sum"].idxmax()]


def chart_tactics(tactics: pd.DataFrame) -> alt.LayerChart:
    """The adjusted share of attempts with a result by tactic, for the aim with most attempts."""
    shown = _main(tactics)
    title = f"Attempts after which a {shown['aim'].iloc[0]}"
    shown = shown.assign(lower=shown["adjusted_lower"], upper=shown["adjusted_upper"])
    return style.dots(
        shown, "adjusted", "tactic", columns=[("share", "As it is", style.percent), ("per_hour", "Per hour", style.figure(2)),
                                              ("tries", "Attempts", style.count)],
        title=title, subtitle=f"Share on the same cases within {WITHIN} days; 95% intervals; highest first",
    )  # fmt: skip
