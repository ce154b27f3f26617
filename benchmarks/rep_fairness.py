"""Does the fair comparison of reps name nobody on luck, and does it come nearer to the truth than raw rates?

    python benchmarks/rep_fairness.py [--companies 300] [--speed]
 Made-up companies of 30 reps with 40 deals each, entered over a year and decided within weeks, so that some are still open.
*Null*: all reps are equal; how often is somebody named? *Signal*: the true win rates have a standard deviation of 5 points;
the error of the estimates against that of won / closed, and how often the 90% rank interval holds the true place. *Case mix*:
some reps get more of the hard deals; the order by the estimate and by the raw rate against the true order. *Whole*: made-up
companies with all their tables and equal reps; how often is somebody named on the page? *Year ahead*: how often the range of
capacity holds what came. With `--speed`: the time for 1,000 reps with 1,000,000 deals.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import spearmanr

from salesforecast import reps, synthetic
from salesforecast.periods import period
from salesforecast.tables import Crm

END = pd.Timestamp("2025-06-30")
RATE = 0.30


def company(
    seed: int, *, n_reps: int = 30, deals: int = 40, sd: float = 0.0, mix: float = 0.0
) -> tuple[Crm, pd.Series]:
    """A company, and the true win rate of each rep on the same deals.

    Parameters
    ----------
    seed : int
    n_reps, deals : int
        Reps, and the deals of each.
    sd : float
        Of the reps' true win rates.
    mix : float
        How unequally hard deals (log-odds 1.2 lower, half of all) are dealt out: 0 evenly, 1 from none to all.
    """
    rng = np.random.default_rng(seed)
    effect = (sd / (RATE * (1 - RATE))) * rng.standard_normal(n_reps)
    rep = np.repeat(np.arange(n_reps), deals)
    share = 0.5 + mix * (rng.permutation(n_reps) / (n_reps - 1) - 0.5)
    hard = rng.random(len(rep)) < share[rep]
    gap = 1.2 if mix else 0.0
    won = rng.random(len(rep)) < expit(logit(RATE) + effect[rep] - gap * hard)
    created = rng.integers(0, 365, len(rep))
    closed = created + np.where(won, rng.integers(20, 90, len(rep)), rng.integers(30, 150, len(rep)))
    done = closed < 365
    zero = END - pd.Timedelta(days=364)
    opportunities = pd.DataFrame({
        "opportunity_id": [f"D{i:06}" for i in range(len(rep))], "rep_id": pd.Series([f"R{r:03}" for r in rep], dtype="str"),
        "segment": pd.Series(np.where(hard, "hard", "easy"), dtype="str"), "stage": "-",
        "outcome": pd.Series(np.where(done, np.where(won, "won", "lost"), "open"), dtype="str"),
        "created_date": zero + pd.to_timedelta(created, unit="D"),
        "closed_date": (zero + pd.to_timedelta(closed, unit="D")).where(done),
    })  # fmt: skip
    names = pd.Series([f"R{r:03}" for r in range(n_reps)], dtype="str")
    staff = pd.DataFrame({"rep_id": names, "rep": names, "team": "One"})
    truth = (expit(logit(RATE) + effect) + expit(logit(RATE) + effect - gap)) / 2
    return Crm({"opportunities": opportunities, "reps": staff}, END), pd.Series(truth, index=names)


def compared(crm: Crm) -> pd.DataFrame:
    """The fair comparison of the year, with won / closed as `raw`, by rep_id."""
    rows = reps.expected(reps.spells(crm, since=END - pd.Timedelta(days=364), until=END + pd.Timedelta(days=1)))
    frame = reps.fair(rows, reps.roster(crm)).set_index("rep_id")
    return frame.assign(raw=frame["won"] / frame["closed"])


def null(companies: int) -> pd.Series:
    """Of companies of equal reps, the share in which somebody is named, and in which somebody has p < 5%."""
    named, naive = [], []
    for seed in range(companies):
        frame = compared(company(seed)[0])
        named.append(frame["verdict"].isin(["above", "below"]).any())
        overall = frame["won"].sum() / frame["closed"].sum()
        z = (frame["raw"] - overall) / np.sqrt(overall * (1 - overall) / frame["closed"])
        naive.append((z.abs() > 1.96).any())
    return pd.Series({"companies": companies, "named": np.mean(named), "a test at 5% each": np.mean(naive)})


def signal(companies: int, sd: float = 0.05, deals: int = 40) -> pd.Series:
    """Root mean square errors, rank intervals, names and how many of them are on the wrong side."""
    errors, raw, held, width, names, wrong = [], [], [], [], 0, 0
    for seed in range(companies):
        crm, truth = company(10_000 + seed, sd=sd, deals=deals)
        frame = compared(crm).reindex(truth.index)
        frame = frame[frame["win_rate"].notna()]
        truth = truth[frame.index]
        errors.append(((frame["win_rate"] - truth) ** 2).mean())
        raw.append(((frame["raw"] - truth) ** 2).mean())
        place = (-truth).rank()
        held.append(((frame["place_low"] <= place) & (place <= frame["place_high"])).mean())
        width.append((frame["place_high"] - frame["place_low"] + 1).median())
        side = frame["verdict"].map({"above": 1, "below": -1}).fillna(0)
        names += int((side != 0).sum())
        wrong += int((side * (truth - truth.mean()) < 0).sum())
    error, plain = np.sqrt(np.mean(errors)), np.sqrt(np.mean(raw))
    return pd.Series({
        "companies": companies, "deals each": deals, "error": error, "raw error": plain, "lower by": 1 - error / plain,
        "rank intervals hold": np.mean(held), "median width": np.mean(width), "named": names, "on the wrong side": wrong,
    })  # fmt: skip


def case_mix(companies: int) -> pd.Series:
    """Mean rank correlation with the true order, by the estimate and by won / closed."""
    rows = []
    for seed in range(companies):
        crm, truth = company(20_000 + seed, sd=0.05, deals=100, mix=0.8)
        frame = compared(crm).reindex(truth.index)
        rows.append([spearmanr(frame[c], truth)[0] for c in ("win_rate", "raw")])
    adjusted, raw = np.array(rows).T
    return pd.Series({
        "companies": companies, "adjusted": adjusted.mean(), "raw": raw.mean(), "adjusted is better": (adjusted > raw).mean(),
    })  # fmt: skip


def named(frame: pd.DataFrame) -> bool:
    """Whether anybody, or anything, is said to differ."""
    return bool(frame["verdict"].isin(["above", "below"]).any())


def whole(companies: int) -> pd.Series:
    """Of whole made-up companies of equal reps, the share in which a finding names somebody, by finding."""
    truth, rows = replace(synthetic.Truth(), rep_sd=0.0), []
    year, before = reps.years(period("2025Q2"))
    for seed in range(companies):
        crm = Crm(synthetic.tables(truth, seed), truth.as_of)
        then, now = (reps.expected(reps.spells(crm, since=y.since, until=y.until)) for y in (before, year))
        staff = reps.roster(crm)
        late = reps.late(crm, reps.stage_limits(crm))
        rows.append({
            "win rate": reps.fair(now, staff)["verdict"].isin(["above", "below"]).any(),
            "change": (reps.change(then, now, staff)["verdict"] != "same").any(),
            "stage": reps.stage_gaps(crm, since=year.since, until=year.until)["named"].any(),
            "stage limits": named(reps.keeping(crm, reps.stage_limits(crm), since=year.since, until=year.until)),
            "kind of activity": named(reps.returns(crm, until=year.until)),
            "late on moving on": "Once they moved on, late deals **cannot" not in reps.finding_late(late),
        })  # fmt: skip
    return pd.concat([pd.Series({"companies": companies}), pd.DataFrame(rows).mean()])


def ahead(companies: int, seed: int = 300) -> pd.Series:
    """Of whole made-up companies, as they were known a year before the end: does the 80% range of capacity hold what came?

    What came are the bookings of those who were there then. With the mean of bookings over capacity, and the mean width of the range.
    """
    truth, rows = synthetic.Truth(), []
    day = truth.as_of - pd.DateOffset(years=1)
    for number in range(companies):
        full = Crm(synthetic.tables(truth, seed + number), truth.as_of)
        staffing = reps.staffing(full.at(day))
        year = reps.capacity(staffing).iloc[-1]
        here = staffing.staff.loc[~(staffing.staff["end_date"] <= day), "rep_id"]
        deals = full.opportunities
        won = deals[(deals["outcome"] == "won") & (deals["closed_date"] > day) & deals["rep_id"].isin(here)]
        booked, low, high = won["amount"].sum(), year["to_date_lower_80"], year["to_date_upper_80"]
        rows.append(
            {
                "held": low <= booked <= high,
                "booked over capacity": booked / year["to_date"],
                "width": (high - low) / year["to_date"],
            }
        )
    return pd.concat([pd.Series({"companies": companies}), pd.DataFrame(rows).mean()])


def speed(n_reps: int = 1000, deals: int = 1000) -> pd.Series:
    """Seconds for each part of the page that goes through all deals."""
    crm, _ = company(1, n_reps=n_reps, deals=deals, sd=0.05, mix=0.8)
    rng, n = np.random.default_rng(0), n_reps * deals
    amount = np.round(np.exp(rng.normal(10, 1, n)))
    more = crm.opportunities.assign(
        amount=amount, list_amount=1.1 * amount, is_new_customer=pd.array(rng.random(n) < 0.5, dtype="boolean"),
        account_id=pd.Series(rng.integers(0, n // 3, n)).map("A{:06d}".format).astype("str"),
        product_id=pd.Series(rng.integers(0, 20, n)).map("P{:02d}".format).astype("str"),
        channel=pd.Series(rng.choice(["Web", "Partner", "Call"], n), dtype="str"),
    )  # fmt: skip
    team = pd.Series([f"T{i % 40:02d}" for i in range(n_reps)], dtype="str")
    came = END - pd.to_timedelta(rng.integers(200, 3000, n_reps), unit="D")
    gone = pd.Series([pd.NaT] * n_reps, dtype="datetime64[us]")
    crm = replace(
        crm, tables={"opportunities": more, "reps": crm.reps.assign(team=team, start_date=came, end_date=gone)}
    )
    span, seconds = period("2025Q2"), {}
    year, _ = reps.years(span)

    def timed(name: str, ask: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        start = perf_counter()
        found = ask()
        seconds[name] = perf_counter() - start
        return found

    rows = timed("whose deals", lambda: reps.spells(crm, since=year.since, until=year.until))
    rows = timed("expected", lambda: reps.expected(rows))
    fair = timed("fair comparison", lambda: reps.fair(rows, reps.roster(crm)))
    timed(
        "words and charts", lambda: (reps.finding_fair(fair, fair), reps.chart_fair(fair), reps.chart_luck(fair, fair))
    )
    timed("scorecard", lambda: reps.scorecard(crm, period=span))
    timed("scorecard of teams", lambda: reps.scorecard(crm, period=span, by="team"))
    timed("bookings", lambda: reps.differences(crm, since=year.since, until=year.until))
    timed("nine periods", lambda: reps.history(crm, period=span))
    back = pd.to_timedelta(rng.integers(0, 1000, n), unit="D")  # three years of them
    older = more.assign(created_date=more["created_date"] - back, closed_date=more["closed_date"] - back)
    longer = replace(crm, tables={**crm.tables, "opportunities": older})
    timed("capacity", lambda: reps.capacity(reps.staffing(longer)))
    return pd.Series({**seconds, "together": sum(seconds.values())})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--companies", type=int, default=300)
    parser.add_argument("--speed", action="store_true", help="only the time for 1,000 reps with 1,000,000 deals")
    args = parser.parse_args()
    if args.speed:
        print(speed().round(2).to_string())
        raise SystemExit
    for name, study in (("null", null), ("signal", signal), ("case mix", case_mix)):
        print(f"\n{name}\n{study(args.companies).round(3).to_string()}")
    print(f"\nwhole\n{whole(args.companies // 3).round(3).to_string()}")
    print(f"\nyear ahead\n{ahead(args.companies // 5).round(3).to_string()}")
    print(f"\nsignal, 150 deals each\n{signal(args.companies // 3, deals=150).round(3).to_string()}")
