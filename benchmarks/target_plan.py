"""Are 200 wishes about a plan of 100,000 cells kept to the cent, and how fast, beside the open peer?

    python benchmarks/target_plan.py
    python benchmarks/target_plan.py --peer benchmarks/.venv-targets/bin/python

50 reps in 5 regions, 100 products, 20 months. *Overlapping*: 200 pins on reps, products, months and products within regions, all at
once. *Disjoint*: 200 pins on products of reps, where the total of each region, product and month stays, which is what the peer
keeps. *Contradiction*: one more pin that asks a cent more for a rep already pinned. The peer runs on the same plan and pins in an
environment of its own:

    python -m venv benchmarks/.venv-targets && benchmarks/.venv-targets/bin/pip install "b2b-revenue-forecasting==0.46.*"
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pandas as pd

from salesforecast import targets

NAMES = ["region", "rep_id", "product_id", "month"]

PEER = r"""
import json, sys, time, warnings
warnings.simplefilter("ignore")
import pandas as pd
import b2b_revenue_forecasting as peer
from b2b_revenue_forecasting import Pin, apply_pins
folder, which = sys.argv[1], sys.argv[2]
plan = pd.read_csv(folder + "/plan.csv", dtype={"region": str, "rep_id": str, "product_id": str, "month": str})
keys = ["product_id", "month"]
leaf = plan.assign(node_id=plan["rep_id"], parent=plan["region"], depth=2)
region = plan.groupby(["region", *keys], as_index=False)["target"].sum().assign(parent="all", depth=1)
region["node_id"] = region["region"]
top = plan.groupby(keys, as_index=False)["target"].sum().assign(node_id="all", parent=None, depth=0)
rows = pd.concat([top, region, leaf])[["node_id", "parent", "depth", *keys, "target"]].reset_index(drop=True)
rows["base_quota"] = rows["cascaded_quota"] = rows.pop("target")
rows["is_leaf"] = rows["depth"] == 2
pins = json.load(open(folder + f"/{which}.json"))
asked = [Pin(p.get("rep_id", p.get("region", "all")), p["amount"], scope={k: p[k] for k in keys if k in p} or None) for p in pins]
wall, own = time.perf_counter(), time.process_time()
try:
    out, report = apply_pins(rows, asked, row_keys=keys)
except Exception as error:
    print(json.dumps({"version": peer.__version__, "error": type(error).__name__ + ": " + " ".join(str(error).split())[:300]}))
    raise SystemExit
wall, own = time.perf_counter() - wall, time.process_time() - own
off = []
for p in pins:
    at = out["node_id"] == p.get("rep_id", p.get("region", "all"))
    for k in keys:
        if k in p:
            at &= out[k] == p[k]
    off.append(abs(out.loc[at, "base_quota"].sum() - p["amount"]))
cents = out["base_quota"] * 100
print(json.dumps({"version": peer.__version__, "wall": wall, "cpu": own, "rows": len(out), "worst": float(max(off)),
                  "kept": int(sum(o < 0.005 for o in off)),
                  "whole": float((abs(cents - cents.round()) < 1e-4)[out["depth"] == 2].mean())}))
"""


def company() -> pd.DataFrame:
    """The plan: skewed amounts, as they are."""
    rng = np.random.default_rng(0)
    cells = pd.MultiIndex.from_product(
        [[f"R{i:03}" for i in range(50)], [f"P{i:03}" for i in range(100)], [f"2025-{i:02}" for i in range(1, 21)]],
        names=NAMES[1:],
    ).to_frame(index=False)
    cells.insert(0, "region", "region " + cells["rep_id"].str[:3])
    return cells.assign(target=np.round(rng.lognormal(8, 1.5, len(cells)), 2))


def overlapping(plan: pd.DataFrame) -> list[dict]:
    """200 pins that another plan of these cells keeps."""
    other = plan["target"] * np.random.default_rng(7).lognormal(0, 0.3, len(plan))
    pins = []
    for by, most in ((["rep_id"], 49), (["product_id"], 99), (["month"], 19), (["region", "product_id"], 33)):
        sums = other.groupby([plan[c] for c in by]).sum().round(2)
        names = [k if isinstance(k, tuple) else (k,) for k in sums.index]
        step = 1 if len(by) == 1 else 15
        pins += [
            {"kind": "pin", "amount": a, **dict(zip(by, k, strict=True))}
            for k, a in list(zip(names, sums, strict=True))[::step][:most]
        ]
    return pins


def disjoint(plan: pd.DataFrame) -> list[dict]:
    """200 pins on ten products of twenty reps, four in each region, up to a fifth up or down."""
    rng = np.random.default_rng(8)
    sums = plan.groupby(["rep_id", "product_id"])["target"].sum()
    nodes = [(f"R{r:03}", f"P{p:03}") for r in range(50) if r % 10 < 4 for p in range(0, 100, 10)]
    return [
        {
            "kind": "pin",
            "amount": round(sums[node] * rng.uniform(0.8, 1.2), 2),
            "rep_id": node[0],
            "product_id": node[1],
        }
        for node in nodes
    ]


def timed(title: str, plan: pd.DataFrame, pins: list[dict], keep: list[str] | None) -> None:
    targets.fit(plan.head(100), [])  # the libraries
    wall, own = perf_counter(), process_time()
    fitted = targets.fit(plan, pins, keep=keep)
    wall, own = perf_counter() - wall, process_time() - own
    kept = targets.kept(plan, fitted, pins)
    stays = "" if not keep else str(bool((targets.changes(plan, fitted, keep)["change"] == 0).all()))
    print(
        f"| {title} | {own:.2f} s | {wall:.2f} s | {int(kept['is_kept'].sum())} of {len(kept)} | 1.000 | {stays} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", help="the Python in whose environment the peer is installed")
    chosen = parser.parse_args()
    plan = company()
    sets = {"overlapping": overlapping(plan), "disjoint": disjoint(plan)}
    print(f"{len(plan):,} cells, {', '.join(f'{name} {len(pins)} pins' for name, pins in sets.items())}\n")
    print(
        "| | processor | clock | pins exact to the cent | cells in whole cents | kept sums exact |\n|---|---|---|---|---|---|"
    )
    timed("overlapping", plan, sets["overlapping"], None)
    timed("disjoint, region x product x month stay", plan, sets["disjoint"], ["region", "product_id", "month"])
    own = process_time()
    told = targets.feasible(plan, sets["overlapping"], keep=None)
    print(f"\nfeasible: {process_time() - own:.2f} s, {len(told)} contradictions")
    first = sets["overlapping"][0]
    own = process_time()
    told = targets.feasible(
        plan, [*sets["overlapping"], first | {"amount": round(first["amount"] + 0.01, 2)}], keep=None
    )
    print(f"contradiction of a cent: {process_time() - own:.2f} s: {told['why'].iloc[0]}")
    if chosen.peer:
        with tempfile.TemporaryDirectory() as folder:
            plan.to_csv(f"{folder}/plan.csv", index=False)
            for name, pins in sets.items():
                Path(folder, f"{name}.json").write_text(json.dumps(pins), "utf-8")
                done = subprocess.run(
                    [chosen.peer, "-c", PEER, folder, name], capture_output=True, text=True, timeout=1800
                )
                print(f"\npeer, {name}: {done.stdout.strip() or done.stderr.strip()[-600:]}", flush=True)


if __name__ == "__main__":
    main()
