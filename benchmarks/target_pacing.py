"""Is pacing by the path of the days nearer than pacing by the calendar, and do chances, alarms and fairness tests keep their word?

    SALESFORECAST_EVALUATION_DATA=DIR python benchmarks/target_pacing.py superstore
    python benchmarks/target_pacing.py companies [--companies 30]
    python benchmarks/target_pacing.py quotas [--companies 300]

superstore: a target for the last year of four, set from the first three, decomposed to day x region x category and tracked through
the year. Error: of the year's result as projected at the end of each month, and of the share due by then, in points; linear pacing is
by working days, last year's path by the share that the year before had reached on the same day.

companies: made-up companies with a rush at the quarter's end. At the first quarter, the middle and the third quarter of each of their
last quarters: the projected result against linear pacing, the chances of the targets of reps and company against what came, how many
ranges held, and how many reps on their path were named.

quotas: made-up records of 24 reps over 8 quarters whose quotas are fair, ignore the potential, follow the last year (ratchet), or ignore
who sells well: how often the fairness tests name something, and what.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd

from salesforecast import periods, synthetic, targets
from salesforecast.tables import Crm
from salesforecast.targets.control import exceptions
from salesforecast.targets.sold import between

DAY = pd.Timedelta(days=1)


def orders(folder: Path) -> pd.DataFrame:
    """Superstore's orders: day, amount, region, category; the lines of an order in a category are one sale."""
    raw = pd.read_csv(folder / "superstore" / "Sample - Superstore.csv", encoding="utf-8-sig")
    raw["day"] = pd.to_datetime(raw["Order Date"], format="%m/%d/%Y")
    keys = ["day", "Order ID", "Region", "Category"]
    sums = raw.groupby(keys, as_index=False)["Sales"].sum()
    return sums.rename(
        columns={"Region": "region", "Category": "category", "Sales": "amount", "Order ID": "order"}
    ).sort_values(["day", "order", "category"], ignore_index=True)


def tracked(sales: pd.DataFrame, span: periods.Period, country: str = "US") -> tuple[pd.DataFrame, pd.DataFrame]:
    """The year's pacing at the end of each month, and the error of the due share by region and category."""
    days = targets.pattern(sales, span.since, country=country)
    even = targets.pattern(sales, span.since, country=country, plain=True)
    cells = targets.baseline(sales, span, by=["region", "category"], every="day", days=days, country=country)
    cells["day"] = pd.to_datetime(cells["day"])
    year, last = between(sales, span.since, span.until), between(sales, span.previous().since, span.since)
    actual, target = float(year["amount"].sum()), float(cells["baseline"].sum())
    rows, nodes = [], []
    for end in pd.date_range(span.since, span.until, freq="MS")[1:]:
        now = end - DAY
        booked = float(year.loc[year["day"] <= now, "amount"].sum())
        ago = now - pd.DateOffset(years=1)
        shares = {
            "path": targets.due(days, span, now), "linear": targets.due(even, span, now),
            "last year": float(last.loc[last["day"] <= ago, "amount"].sum() / last["amount"].sum()),
        }  # fmt: skip
        ours = targets.company(sales[sales["day"] <= now], span, now, days).projected
        row = {"month": f"{now:%Y-%m}", "booked": booked / actual, "due": booked / target - shares["path"]}
        row |= {f"share {k}": abs(s - booked / actual) for k, s in shares.items()}
        row |= {"projected ours": abs(ours / actual - 1)}
        row |= {f"projected {k}": abs(booked / shares[k] / actual - 1) for k in ("linear", "last year")}
        rows.append(row)
        keys = ["region", "category"]
        whole = year.groupby(keys)["amount"].sum()
        reached = year[year["day"] <= now].groupby(keys)["amount"].sum().reindex(whole.index).fillna(0.0) / whole
        own = cells[cells["day"] <= now].groupby(keys)["baseline"].sum() / cells.groupby(keys)["baseline"].sum()
        before = last.groupby(keys)["amount"].sum()
        old = last[last["day"] <= ago].groupby(keys)["amount"].sum().reindex(before.index).fillna(0.0) / before
        weight = whole / whole.sum()
        paths = {"path": own, "linear": shares["linear"], "last year": old.reindex(whole.index)}
        nodes.append(
            {"month": row["month"]} | {k: float(((reached - p).abs() * weight).sum()) for k, p in paths.items()}
        )
    return pd.DataFrame(rows), pd.DataFrame(nodes)


def company(seed: int, **changes: object) -> Crm:
    """A made-up company with its targets."""
    truth = synthetic.Truth(**{"opportunities": 4000, "years": 3, **changes})  # type: ignore[arg-type]
    return Crm(synthetic.tables(truth, seed), as_of=truth.as_of)


def judged(crm: Crm, quarters: int = 5) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The company's last quarters, each judged at three points: the whole's projection, and each rep's chance and outcome.

    The targets of reps are drawn around what their team brought, so that chances of all sizes occur.
    """
    sales, people = targets.sold(crm), targets.staff(crm)
    last = periods.period_at(crm.as_of, "Q")
    last = last if last.until <= crm.as_of + DAY else last.previous()
    rng, whole, nodes = np.random.default_rng(len(sales)), [], []
    for back in range(quarters):
        span = last.previous(back) if back else last
        days = targets.pattern(sales, span.since)
        even = targets.pattern(sales, span.since, plain=True)
        result = between(sales, span.since, span.until)
        actual = float(result["amount"].sum())
        wanted = targets.wanted(crm, span, "rep")
        wanted = wanted * np.exp(rng.normal(0, 0.5, len(wanted)))
        goal = float(targets.target(crm, span)) * float(np.exp(rng.normal(0, 0.15)))
        for part in (0.25, 0.5, 0.75):
            now = (span.since + part * (span.until - span.since)).normalize() - DAY
            known = sales[sales["day"] <= now]
            paths = targets.paths(known, span, now, by="rep", days=days, people=people, seed=back)
            table = targets.attainment(known, wanted, span, now, days, by="rep", total=goal, paths=paths, people=people)
            all_ = targets.whole(table)
            due, line = targets.due(days, span, now), targets.due(even, span, now)
            common = {"quarter": span.label, "part": part}
            whole.append(common | {
                "actual": actual, "projected": all_["projected"], "linear": all_["booked"] / line, "ratio": all_["booked"] / due,
                "held": all_["lower"] <= actual <= all_["upper"], "chance": all_["chance"], "met": actual >= goal,
            })  # fmt: skip
            got = result.groupby("rep")["amount"].sum()
            some = table.iloc[:-1].dropna(subset=["chance"])
            outcome = some["rep"].map(got).fillna(0.0)
            nodes.append(
                some.assign(
                    **common,
                    outcome=outcome,
                    met=outcome >= some["target"],
                    held=outcome.between(some["lower"], some["upper"]),
                )
            )
    return pd.DataFrame(whole), pd.concat(nodes, ignore_index=True)


def reliability(nodes: pd.DataFrame, edges: tuple[float, ...] = (0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0001)) -> pd.DataFrame:
    """The chances said, and the share that came true."""
    group = pd.cut(nodes["chance"], edges, right=False)
    found = nodes.groupby(group, observed=True).agg(n=("met", "size"), said=("chance", "mean"), met=("met", "mean"))
    return found.reset_index(drop=True)


def alarms(seed: int, reps: int = 24, deals: float = 10.0) -> int:
    """How many are named of reps who are all on their path, so many deals due, their deals of the made-up company's sizes."""
    rng = np.random.default_rng(seed)
    before = rng.lognormal(10.0, 1.2, 4 * int(reps * deals))
    year = pd.DataFrame({"day": pd.Timestamp("2024-06-01"), "amount": before})
    mean = float(np.exp(10.0 + 1.2**2 / 2))
    level = deals * np.exp(rng.normal(0, 0.3, reps))
    booked = [rng.lognormal(10.0, 1.2, n).sum() for n in rng.poisson(level)]
    frame = pd.DataFrame({"rep": [f"R{i:02}" for i in range(reps)], "booked": booked, "due": level * mean})
    frame = pd.concat([frame, frame.tail(1).assign(rep="All")], ignore_index=True)
    return int((exceptions(frame, year, pd.Timestamp("2025-01-01"))["verdict"] != "same").sum())


def quota_record(seed: int, kind: str, reps: int = 24, quarters: int = 8) -> pd.DataFrame:
    """Reps with territories of different potential and skill over quarters, and quotas of a kind.

    fair: what the rep is to bring; flat: the same for everybody; ratchet: the last year's result; territory: potential without skill.
    """
    rng = np.random.default_rng(seed)
    rich, skill = np.exp(rng.normal(0, 0.4, reps)), np.exp(rng.normal(0, 0.2, reps))
    true = 100 * rich * skill
    noise = rng.gamma(8, 1 / 8, (quarters + 4, reps)) * rng.gamma(60, 1 / 60, (quarters + 4, 1))
    got = true * noise
    frames = []
    for q in range(4, quarters + 4):
        year = got[q - 4 : q].mean(axis=0)
        quota = {"fair": true, "flat": np.full(reps, 100.0), "ratchet": year * 1.05, "territory": 100 * rich}[kind]
        seen = rich * np.exp(rng.normal(0, 0.15, reps))
        frames.append(pd.DataFrame({
            "period": f"Q{q}", "rep": [f"R{i:02}" for i in range(reps)], "potential": seen, "results": year, "target": quota,
            "booked": got[q],
        }))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=["superstore", "companies", "quotas"])
    parser.add_argument("--companies", type=int, default=0)
    args = parser.parse_args()
    if args.study == "superstore":
        months, nodes = tracked(orders(Path(os.environ["SALESFORECAST_EVALUATION_DATA"])), periods.period("2017"))
        print((100 * months.set_index("month")).round(1).to_string())
        print("\nmean", (100 * months.drop(columns="month")[:-1].mean()).round(1).to_dict())
        print(
            "\nby region and category, points of the share due:\n",
            (100 * nodes.set_index("month")).round(1).to_string(),
        )
        print("mean", (100 * nodes.drop(columns="month")[:-1].mean()).round(2).to_dict())
    elif args.study == "companies":
        whole, nodes = zip(*(judged(company(seed)) for seed in range(args.companies or 30)), strict=True)
        all_, reps = pd.concat(whole), pd.concat(nodes)
        error = {m: (all_[m] / all_["actual"] - 1).abs() for m in ("projected", "linear", "ratio")}
        print(pd.DataFrame(error).groupby(all_["part"].to_numpy()).mean().mul(100).round(1).to_string())
        print("\ncompany's 80% ranges held", all_.groupby("part")["held"].mean().round(3).to_dict(), "of", len(all_))
        print("reps' 80% ranges held", reps.groupby("part")["held"].mean().round(3).to_dict(), "of", len(reps))
        print("\ncompanies' chances:\n", reliability(all_).round(3).to_string())
        print("\nreps' chances:\n", reliability(reps).round(3).to_string())
    else:
        many = args.companies or 300
        for deals in (1.0, 3.0, 10.0):
            named = np.mean([alarms(seed, deals=deals) for seed in range(many)])
            print(f"{deals:g} deals due: {named:.2f} false alarms a look, of {many} (0.2 are stated)")
        for kind in ("fair", "flat", "ratchet", "territory"):
            found = [targets.fairness(quota_record(seed, kind)) for seed in range(many)]
            said = {
                f"{d} {v}": np.mean([((f["driver"] == d) & (f["verdict"] == v)).any() for f in found])
                for d in ("potential", "results") for v in ("above", "below")
            }  # fmt: skip
            any_ = np.mean([(f["verdict"] != "same").any() for f in found])
            print(kind, f"something named {any_:.1%}", {k: f"{v:.0%}" for k, v in said.items() if v})


if __name__ == "__main__":
    main()
