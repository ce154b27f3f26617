"""Calls, e-mails, visits, demos: what goes with each attempt and each hour. Who got which was not dealt out by lot."""

from __future__ import annotations

from itertools import combinations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import shrinkage, stats, style
from salesforecast.channels.adjusting import Standardised, shared, standardised
from salesforecast.errors import TooLittleData
from salesforecast.periods import ONE_DAY
from salesforecast.tables import Crm
from salesforecast.text import md

TACTICS = ("cold_call", "call", "email", "personalised_email", "visit", "meeting", "event", "demo")
WORDS = {"cold_call": "cold call", "email": "e-mail", "personalised_email": "personalised e-mail"}
WITHIN = 30  # days after the attempt in which its result is looked for
FEW = 50  # decided attempts, and FEW_ACCOUNTS accounts, to be compared
FEW_ACCOUNTS = 20
MIX = ("stage", "nth", "age", "pause", "segment", "product", "size", "industry", "region", "customer")
CELLS = ("stage", "nth")
OVERLAP = 0.5
ALPHA = 0.05  # false-discovery rate of a named pair
MOVED, OPENED = "deal moved on", "deal opened"


def attempts(crm: Crm, *, since: pd.Timestamp, until: pd.Timestamp, within: int = WITHIN) -> pd.DataFrame:
    """Every attempt at a customer with what came in the days after it, and what was known when it was made.

    An attempt on an open deal has a result when the deal came to a stage it had not reached before, or was won, within so many days.
    An attempt at an account without an open deal has one when a deal was opened within them; there only the first attempt
    counts, for the second was made as the first had none. Attempts younger than that are not decided. Those without deal
    and account, and those on the day a deal closed, cannot be judged.

    Parameters
    ----------
    crm : Crm
        Activities; opportunities; stage_history, stages, accounts where there are. Without a stage history the result is a win.
    since, until : Timestamp
        The first day of the attempts, and the first day left out.
    within : int
        Days.

    Returns
    -------
    DataFrame
        activity_id, at, tactic, aim ("deal moved on", "deal opened", or missing when it cannot be judged), minutes, cluster (the account,
        else the deal), decided, result, and what was known then: stage, nth (1, 2, 3 or 4+ attempts on it so far), age (of the deal),
        pause (since the attempt before), segment, product, size, industry, region, customer (new or existing). By time.

    Raises
    ------
    TooLittleData
        When nothing of the kind was done.
    """
    acts = crm.activities
    acts = acts[acts["type"].isin(TACTICS) & acts["at"].notna()].sort_values(["at", "activity_id"], ignore_index=True)
    deals = crm.deals.drop_duplicates("opportunity_id").set_index("opportunity_id")
    rows = pd.DataFrame({"activity_id": acts["activity_id"], "at": acts["at"], "tactic": acts["type"]})
    for column in ("minutes", "opportunity_id", "account_id"):
        rows[column] = (
            acts[column] if column in acts else pd.Series(np.nan if column == "minutes" else pd.NA, index=acts.index)
        )
    rows["opportunity_id"] = rows["opportunity_id"].astype("str").where(rows["opportunity_id"].isin(deals.index))
    own = (
        rows["opportunity_id"].map(deals["account_id"])
        if "account_id" in deals
        else pd.Series(pd.NA, index=rows.index, dtype="str")
    )
    rows["account_id"] = rows["account_id"].astype("str").fillna(own.astype("str"))
    created, closed = (
        rows["opportunity_id"].map(deals["created_date"]),
        rows["opportunity_id"].map(deals["closed_date"]),
    )
    day = rows["at"].dt.normalize()
    on_deal = rows["opportunity_id"].notna() & (created <= day) & ~(closed <= day)
    working = _open_deals(deals, rows["account_id"], day)
    at_account = rows["opportunity_id"].isna() & rows["account_id"].notna() & ~working
    rows["aim"] = pd.Series(np.where(on_deal, MOVED, OPENED), dtype="str").where(on_deal | at_account)
    target = rows["opportunity_id"].where(on_deal, "account " + rows["account_id"]).where(rows["aim"].notna())
    nth = rows.groupby(target).cumcount() + 1
    pause = (rows["at"] - rows.groupby(target)["at"].shift()).dt.days
    rows["cluster"] = rows["account_id"].fillna(rows["opportunity_id"])
    end = crm.as_of + ONE_DAY
    rows["decided"] = rows["at"] + within * ONE_DAY < end
    moved, stage = _moved(crm, deals, rows, within)
    rows["result"] = np.where(on_deal, moved, _opened(deals, rows["account_id"], day, within))
    rows["stage"] = stage
    number = nth.fillna(0).astype("int64").astype("str")
    rows["nth"] = number.mask(nth > 3, "4+").where(rows["aim"].notna())
    rows["age"] = _band((day - created).dt.days, (7, 30, 90), "days")
    rows["pause"] = _band(pause, (7, 30), "days")
    for column in ("segment", "product", "size", "industry", "region"):
        if column in deals:
            rows[column] = rows["opportunity_id"].map(deals[column].astype("str"))
    if "is_new_customer" in deals:
        rows["customer"] = rows["opportunity_id"].map(deals["is_new_customer"].astype("str"))
    if "accounts" in crm:
        known = crm.accounts.set_index("account_id")
        for column in {"size", "industry", "region"} & set(known):
            rows[column] = rows["account_id"].map(known[column].astype("str"))
    late = (rows["aim"] == OPENED) & (nth > 1)
    rows = rows[day.between(since, until, inclusive="left") & ~late]
    if rows.empty:
        raise TooLittleData(
            f"Nobody was called, written to or visited between {since:%Y-%m-%d} and {until - ONE_DAY:%Y-%m-%d}."
        )
    return rows.drop(columns=["opportunity_id", "account_id"]).reset_index(drop=True)


def _band(values: pd.Series, edges: tuple[int, ...], unit: str) -> pd.Series:
    names = [f"up to {edges[0]}", *(f"up to {e}" for e in edges[1:]), f"over {edges[-1]}"]
    return pd.cut(values, [-np.inf, *edges, np.inf], labels=[f"{n} {unit}" for n in names]).astype("str")


def _open_deals(deals: pd.DataFrame, account: pd.Series, day: pd.Series) -> pd.Series:
    """Whether the account has a deal open on the day: more were created by then than closed."""
    if "account_id" not in deals:
        return pd.Series(False, index=account.index)
    counts = [_count(deals["account_id"], deals[of], account, day) for of in ("created_date", "closed_date")]
    return pd.Series(counts[0] > counts[1], index=account.index)


def _count(of: pd.Series, when: pd.Series, account: pd.Series, day: pd.Series) -> np.ndarray:
    """How many of an account's events had come by the end of the day."""
    events = pd.DataFrame({"account": of.astype("str").to_numpy(), "day": when.to_numpy()}).dropna().sort_values("day")
    events["n"] = events.groupby("account").cumcount() + 1
    asked = (
        pd.DataFrame({"account": account.to_numpy(), "day": day.to_numpy(), "row": np.arange(len(day))})
        .dropna()
        .sort_values("day")
    )
    found = pd.merge_asof(asked, events, on="day", by="account")
    out = np.zeros(len(day))
    out[found["row"].to_numpy()] = found["n"].fillna(0)
    return out


def _opened(deals: pd.DataFrame, account: pd.Series, day: pd.Series, within: int) -> np.ndarray:
    if "account_id" not in deals:
        return np.zeros(len(day), dtype=bool)
    before, after = (
        _count(deals["account_id"], deals["created_date"], account, day + d * ONE_DAY) for d in (0, within)
    )
    return np.asarray(after > before)


def _moved(crm: Crm, deals: pd.DataFrame, rows: pd.DataFrame, within: int) -> tuple[np.ndarray, pd.Series]:
    """Whether the deal came further within the days after the attempt; and its stage when it was made."""
    by_deal = rows["opportunity_id"]
    won = by_deal.map(deals["outcome"]) == "won"
    gone = (by_deal.map(deals["closed_date"]) - rows["at"].dt.normalize()).dt.days
    moved = (won & gone.between(1, within)).to_numpy(copy=True)
    if "stage_history" not in crm or "stages" not in crm:
        return moved, pd.Series(pd.NA, index=rows.index, dtype="str")
    moves = crm.stage_history[["opportunity_id", "entered_at", "sequence", "stage"]].merge(crm.stages, on="stage")
    moves = moves.sort_values(["entered_at", "sequence"], kind="stable")
    moves["rank"] = moves["rank"].where(moves["outcome"] == "open", 0)
    moves["furthest"] = moves.groupby("opportunity_id")["rank"].cummax()
    asked = pd.DataFrame({"opportunity_id": by_deal.astype("str"), "row": np.arange(len(rows))}).dropna()
    found = {}
    for name, shift in (("then", 0), ("after", within)):
        at = asked.assign(entered_at=rows["at"].iloc[asked["row"]].to_numpy() + shift * ONE_DAY).sort_values(
            "entered_at"
        )
        at["entered_at"] = at["entered_at"].astype(moves["entered_at"].dtype)
        keys = moves.astype({"opportunity_id": "str"})[["opportunity_id", "entered_at", "furthest", "stage", "outcome"]]
        found[name] = pd.merge_asof(at, keys, on="entered_at", by="opportunity_id").set_index("row").sort_index()
    place, then, after = found["then"].index.to_numpy(), found["then"], found["after"]
    moved[place] |= (after["furthest"] > then["furthest"].fillna(0)).to_numpy() & then["furthest"].notna().to_numpy()
    stage = pd.Series(pd.NA, index=rows.index, dtype="str")
    stage.iloc[place] = then["stage"].astype("str").to_numpy()
    return moved, stage


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
        return (
            f"On the same cases **{len(known)} tactics cannot be told apart**: {style.percent(known['adjusted'].min())} to "
            f"{style.percent(known['adjusted'].max())} of attempts go with a result."
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
    """The compared tactics of the aim with most attempts: what moves a deal on is not held against what opens one."""
    known = tactics.dropna(subset="adjusted")
    return known[known["aim"] == known.groupby("aim")["tries"].sum().idxmax()]


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
