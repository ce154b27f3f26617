"""Is the pipeline forecast right on companies whose truth is known, and better than what an analyst does in a spreadsheet?

    python benchmarks/pipeline_forecast.py [companies] [first seed]
    SALESFORECAST_EVALUATION_DATA=DIR python benchmarks/pipeline_forecast.py real
    python benchmarks/pipeline_forecast.py capacity [companies] [first seed]
    python benchmarks/pipeline_forecast.py speed

Every company is drawn at random (`company`): how many deals, growth, season, speed, luck that a quarter's deals share, rush at
the quarter's end, silent deals. Each is backtested at every week of its quarters; printed are the errors of all methods by weeks
to go, how often the ranges held, the calibration of the deals' chances and of the chance of reaching a target, and the errors of
open deals and of deals to come apart. The settings were chosen on seeds 0 to 9; run others.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression

from salesforecast import forecasting, synthetic
from salesforecast.pipeline import backtesting, combination, judging, panels
from salesforecast.tables import Crm

SHOWN = [12, 8, 4, 1]
WEEKS = [13, 12, 8, 4, 1]


def company(seed: int) -> synthetic.Truth:
    """A company drawn at random."""
    rng = np.random.default_rng([seed, 77])
    usual = synthetic.Truth()
    speed, season = rng.uniform(0.6, 1.5), np.exp(0.18 * rng.standard_normal(12))
    return replace(
        usual,
        opportunities=int(np.exp(rng.uniform(np.log(2000), np.log(7000)))),
        growth=rng.uniform(-0.15, 0.4),
        shock_sd=rng.uniform(0.05, 0.3),
        size_sd=rng.uniform(0.5, 1.0),
        quarter_end_rush=rng.uniform(0.1, 0.5),
        silent_share=rng.uniform(0.03, 0.15),
        season=tuple(season / season.mean()),
        loss_linger=rng.uniform(2, 6),
        stages=tuple(replace(stage, days=stage.days * speed) for stage in usual.stages),
        push_share=rng.uniform(0.4, 0.8),
        wish_days=rng.uniform(45, 110),
        amount_missing=rng.uniform(0, 0.3),
    )


def crm_of(truth: synthetic.Truth, seed: int) -> Crm:
    """The company's deals as a CRM has them, without the truth."""
    return panels.needed(Crm(synthetic.tables(truth, seed), as_of=truth.as_of))


def limited(seed: int) -> Crm:
    """A company of two years without a stage history in which not the pipeline but the working day limits the wins.

    No more deals are won on a day than the sellers can close; who is ready on a full day waits. Nothing closed before the CRM
    was half a year old.
    """
    rng = np.random.default_rng([seed, 78])
    truth = replace(company(seed), years=2, growth=rng.uniform(0.2, 0.6), quarter_end_rush=0.0)
    deals = synthetic.tables(truth, seed)["opportunities"].drop(columns=["expected_close_date", "probability"])
    begin = pd.Timestamp(truth.start) + pd.Timedelta(days=int(rng.uniform(120, 200)))
    deals = deals[~(deals["closed_date"] < begin)].copy()
    won = deals.index[deals["outcome"] == "won"]
    ready = deals.loc[won, "closed_date"].sort_values(kind="stable")
    days = pd.bdate_range(begin, truth.as_of)
    most = rng.uniform(0.75, 0.95) * len(won) / len(days)
    waiting: list[int] = []
    done, room = {}, 0.0
    at = np.searchsorted(ready.to_numpy(), days.to_numpy(), side="right")
    for day, since, until in zip(days, np.r_[0, at[:-1]], at, strict=True):
        waiting += ready.index[since:until].tolist()
        room = min(room, 3.0) + rng.poisson(20 * most) / 20
        while waiting and room >= 1:
            done[waiting.pop(int(rng.integers(len(waiting))))] = day
            room -= 1
    late = won.difference(list(done))
    deals["closed_date"] = deals["closed_date"].mask(deals.index.isin(won), pd.Series(done))
    deals.loc[late, ["outcome", "stage"]] = ["open", truth.stages[-1].stage]
    tables = {"opportunities": deals.reset_index(drop=True), "stages": synthetic.tables(truth, seed)["stages"]}
    return Crm(tables, as_of=truth.as_of)


def judged(seed: int, capacity: bool = False) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Of one company: the errors of each method, the ranges and parts of each origin, and the deals' chances."""
    past = backtesting.backtest(limited(seed) if capacity else crm_of(company(seed), seed))
    series = forecasting.to_go(past.weekly, past.ahead)
    combined = combination.combine(past, series)
    origins = past.origins.assign(lower=combined["lower"], upper=combined["upper"], held=combined["held"], seed=seed)
    origins["mean"] = combined["mean"]
    future = combination.paths(past, combined)
    target = origins["period"].map(origins.groupby("period")["actual"].first().shift(1)) * 1.05
    origins["target"], origins["chance"] = target, (future >= target.to_numpy()[:, None]).mean(axis=1)
    methods = judging.every_method(past, combined, series).assign(seed=seed)
    print(f"company {seed} done", file=sys.stderr, flush=True)
    return methods, origins, past.deals[past.deals["weeks_to_go"].isin(SHOWN)].assign(seed=seed)


def calibration(deals: pd.DataFrame, by_amount: bool) -> pd.DataFrame:
    """Slope and intercept of the outcome on the log-odds of the chance, with se from leaving out a company at a time."""
    rows = []
    for weeks, ours in deals[(deals["chance"] > 1e-4) & (deals["chance"] < 1 - 1e-4)].groupby("weeks_to_go"):
        odds = np.log(ours["chance"] / (1 - ours["chance"])).to_numpy()[:, None]
        weight = (ours["worth"] / ours["worth"].mean()).to_numpy() if by_amount else np.ones(len(ours))
        seeds = ours["seed"].to_numpy()

        def slope(kept: np.ndarray, odds=odds, ours=ours, weight=weight) -> np.ndarray:
            fit = LogisticRegression(C=1e6).fit(odds[kept], ours["won"].to_numpy()[kept], sample_weight=weight[kept])
            return np.array([fit.coef_[0, 0], fit.intercept_[0]])

        whole, every = slope(np.ones(len(ours), bool)), np.unique(seeds)
        without = np.stack([slope(seeds != s) for s in every])
        se = np.sqrt((len(every) - 1) / len(every) * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
        expected = (ours["chance"] * weight).sum() / (ours["won"] * weight).sum()
        rows.append({"weeks_to_go": weeks, "slope": whole[0], "se": se[0], "intercept": whole[1], "se_": se[1],
                     "expected/won": expected})  # fmt: skip
    return pd.DataFrame(rows).round(3)


def main(companies: int = 100, first: int = 100, *, capacity: bool = False) -> None:
    """Print the tables; with `capacity` of companies where it limits the wins."""
    parts = Parallel(n_jobs=int(os.environ.get("JOBS", "2")))(
        delayed(judged)(seed, capacity) for seed in range(first, first + companies)
    )
    methods, origins, deals = (pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True))
    if "KEEP" in os.environ:
        for name, frame in (("methods", methods), ("origins", origins), ("deals", deals)):
            frame.to_parquet(f"{os.environ['KEEP']}/{name}.parquet")
    report(methods, origins, deals)


def report(methods: pd.DataFrame, origins: pd.DataFrame, deals: pd.DataFrame) -> None:
    """Print the tables of judged companies."""
    number = origins.groupby("seed")["period"].transform(lambda p: pd.factorize(p)[0])
    print(f"{origins['seed'].nunique()} companies, {len(origins)} origins")
    for what, kept in (("all quarters", number >= 0), ("quarters with three or more to learn from", number >= 3)):
        keys = origins.loc[kept, ["seed", "period", "origin"]]
        mine = methods.merge(keys, on=["seed", "period", "origin"])
        mine["error"] = (mine["mean"] - mine["actual"]).abs()
        sums = mine.groupby(["method", "weeks_to_go"])[["error", "actual"]].sum()
        print(f"\nWAPE of the quarter by weeks to go, {what}")
        print((sums["error"] / sums["actual"]).unstack()[WEEKS].sort_values(8).round(3).to_string())
        of = origins[kept]
        by = of.groupby("weeks_to_go")
        parts = pd.DataFrame({
            "held": by["held"].mean(), "n": by.size(),
            "open, bias": by["open"].sum() / by["actual_open"].sum() - 1,
            "open, WAPE": (of["open"] - of["actual_open"]).abs().groupby(of["weeks_to_go"]).sum() / by["actual_open"].sum(),
            "new, bias": by["new"].sum() / by["actual_new"].sum() - 1,
            "new, WAPE": (of["new"] - of["actual_new"]).abs().groupby(of["weeks_to_go"]).sum() / by["actual_new"].sum(),
            "share of new": by["actual_new"].sum() / by["actual"].sum(),
        })  # fmt: skip
        print(f"\n80% ranges and parts, {what}\n{parts.loc[WEEKS].round(3).to_string()}")
    print(f"\nChances of deals, by count\n{calibration(deals, False).to_string(index=False)}")
    print(f"\nChances of deals, by amount\n{calibration(deals, True).to_string(index=False)}")
    known = origins[origins["target"].notna() & origins["weeks_to_go"].isin(SHOWN)]
    reached = (known["actual"] >= known["target"]).groupby(
        pd.cut(known["chance"], [-0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
    )
    print("\nChance of reaching last quarter's bookings and 5%")
    chance = (
        known["chance"].groupby(pd.cut(known["chance"], [-0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]), observed=True).mean()
    )
    print(pd.DataFrame({"n": reached.size(), "chance": chance, "reached": reached.mean()}).round(3).to_string())


def real() -> None:
    """The errors of all methods on the Maven and BPI 2012 sets, backtested as of every week."""
    import salesforecast as sf

    configs = Path(__file__).parent.parent / "data" / "configs"
    folder = Path(os.environ["SALESFORECAST_EVALUATION_DATA"])
    for name, every in (("maven_crm", "quarter"), ("maven_crm", "month"), ("bpi2012", "month")):
        crm, _ = sf.clean(sf.load(folder / name, configs / f"{name}.toml"))
        past = backtesting.backtest(crm, every=every)
        series = forecasting.to_go(past.weekly, past.ahead)
        combined = combination.combine(past, series)
        every_method = judging.every_method(past, combined, series)
        every_method["error"] = (every_method["mean"] - every_method["actual"]).abs()
        sums = every_method.groupby(["method", "weeks_to_go"])[["error", "actual"]].sum()
        table = (sums["error"] / sums["actual"]).unstack()
        print(f"\n{name} by {every}: {past.origins['period'].nunique()} periods, held {combined['held'].mean():.2f}")
        print(table.loc[table.mean(axis=1).sort_values().index, sorted(table, reverse=True)].round(3).to_string())
        if name == "bpi2012":
            print(f"\n{name}, the week after each origin\n{next_week(past, series).round(3).to_string()}")


def next_week(past: backtesting.Backtest, series: np.ndarray) -> pd.Series:
    """WAPE of the week after each origin, which need not be a period's last."""
    first = past.windows[past.windows["weeks"] == 1].reset_index(drop=True)
    rest = first[["pipeline", "amount_share", "run_rate"]].assign(series=np.maximum(series[:, 0], 0.0))
    weeks = replace(past, origins=past.origins.assign(weeks_to_go=1))
    weight = combination.weights(weeks, rest, series)
    said = rest.assign(combination=(weight.fillna(0) * rest.fillna(0)).sum(axis=1))
    known = first["actual"].notna() & said.notna().all(axis=1)
    error = said[known].sub(first.loc[known, "actual"], axis=0).abs().sum() / first.loc[known, "actual"].sum()
    return error.sort_values().rename(f"{int(known.sum())} weeks")


def speed() -> None:
    """The time of the sample's backtest, and of scoring 100,000 open deals."""
    import salesforecast as sf
    from salesforecast.pipeline import models

    crm, _ = sf.clean(sf.load(Path(__file__).parent.parent / "data" / "sample"))
    clock, processor = time.perf_counter(), time.process_time()
    past = backtesting.backtest(crm, backtesting.coming(sf.period("2025Q2"), crm.as_of))
    print(f"backtest of the sample, {len(past.origins)} origins: {time.perf_counter() - clock:.1f} s by the clock, "
          f"{time.process_time() - processor:.1f} s of processor time")  # fmt: skip
    now = past.now
    many = now.seen.panel.iloc[np.arange(100_000) % len(now.seen.panel)].reset_index(drop=True)
    clock, processor = time.perf_counter(), time.process_time()
    models.ahead(now.model, replace(now.seen, panel=many), now.outlook.ends)
    print(f"100,000 open deals scored: {time.perf_counter() - clock:.1f} s by the clock, "
          f"{time.process_time() - processor:.1f} s of processor time")  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:] == ["real"]:
        real()
    elif sys.argv[1:] == ["speed"]:
        speed()
    elif sys.argv[1:2] == ["capacity"]:
        main(*(int(x) for x in sys.argv[2:]), capacity=True)
    else:
        main(*(int(x) for x in sys.argv[1:]))
