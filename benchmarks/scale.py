"""How long do loading, checking and cleaning a million deals take, and how much memory?

    python benchmarks/scale.py [--opportunities 1000000] [--format csv] [--dirty] [--profile]

A made-up company of 20,000 deals is written out again and again under new ids until there are enough deals, and its
stage history is filled up to five changes a deal. Making the files is done in another process and is not counted.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

TILE = 20_000
CHANGES = 5  # rows of the stage history for each deal


def write(folder: Path, opportunities: int, form: str, dirty: bool) -> None:
    """Write the export of a company with so many deals and five times as many changes."""
    from salesforecast import synthetic

    files = synthetic.export(replace(synthetic.Truth(), opportunities=TILE), seed=1, dirty=dirty)
    deals, history = files["Opportunity.csv"], files["OpportunityHistory.csv"]
    first = history.groupby("OpportunityId").head(1)
    wanted = CHANGES * len(deals) - len(history)
    more = first.iloc[np.arange(max(wanted, 0)) % len(first)]
    # An edit of the amount in the first stage, some days later: what a history mostly consists of.
    later = pd.to_datetime(more["CreatedDate"]) + pd.to_timedelta(np.arange(len(more)) // len(first) + 1, unit="h")
    more = more.assign(CreatedDate=later.dt.strftime("%Y-%m-%d %H:%M"))
    history = pd.concat([history, more], ignore_index=True)
    times = -(-opportunities // len(deals))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "salesforecast.toml").write_text(synthetic.SETTINGS, "utf-8")
    for name, frame in {**files, "Opportunity.csv": deals, "OpportunityHistory.csv": history}.items():
        if name not in (
            "Opportunity.csv",
            "OpportunityHistory.csv",
            "OpportunityStage.csv",
            "Account.csv",
            "User.csv",
            "Product2.csv",
        ):
            continue
        many = times if name in IDS else 1
        parts = [_renamed(frame, name, i) for i in range(many)]
        whole = pd.concat(parts, ignore_index=True)
        if form == "parquet":
            whole.to_parquet(folder / name.replace(".csv", ".parquet"))
        else:
            whole.to_csv(folder / name, index=False, lineterminator="\n")


IDS = {
    "Opportunity.csv": ("Id", "AccountId"),
    "OpportunityHistory.csv": ("OpportunityId",),
    "Account.csv": ("Id", "Name"),
}


def _renamed(frame: pd.DataFrame, name: str, i: int) -> pd.DataFrame:
    """The same rows as other deals of other accounts, whose changes came some minutes later."""
    new = {c: frame[c] + f"-{i:03}" for c in IDS.get(name, ())} if i else {}
    if name == "OpportunityHistory.csv":
        new["CreatedDate"] = (pd.to_datetime(frame["CreatedDate"]) + pd.Timedelta(seconds=i)).dt.strftime(
            "%Y-%m-%d %H:%M:%S"
        )
    return frame.assign(**new)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # kilobytes on Linux


def measure(folder: Path) -> None:
    """Load, check and clean; print seconds and peak memory after each step."""
    from salesforecast import cleaning
    from salesforecast.contract import check
    from salesforecast.crm import load

    begun = at = time.perf_counter()

    def done(what: str) -> None:
        nonlocal at
        now = time.perf_counter()
        print(
            f"{what:<8} {now - at:7.1f} s   processor {time.process_time():7.1f} s so far   peak {_peak():5.2f} GB",
            flush=True,
        )
        at = now

    export = load(folder)
    done("load")
    crm, issues = cleaning.clean(export)
    done("clean")
    for name, frame in crm.tables.items():
        check(frame, name)
    done("check")
    print(f"{'all':<8} {time.perf_counter() - begun:7.1f} s   peak {_peak():5.2f} GB")
    print(f"{crm!r}; {len(issues):,} issues")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--opportunities", type=int, default=1_000_000)
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv")
    parser.add_argument("--dirty", action="store_true", help="with the mistakes that exports have")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--folder", type=Path, help="measure this export, or write it there first; a temporary one")
    parser.add_argument("--write-only", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write_only:
        write(args.folder, args.opportunities, args.format, args.dirty)
        sys.exit()
    with tempfile.TemporaryDirectory() as temporary:
        where = args.folder or Path(temporary)
        if not (where / "salesforecast.toml").exists():
            subprocess.run([sys.executable, *sys.argv, "--folder", str(where), "--write-only"], check=True)
        if args.profile:
            with cProfile.Profile(time.process_time) as profile:
                measure(where)
            pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
        else:
            measure(where)
