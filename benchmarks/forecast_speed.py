"""How long do many series take, and how much memory; does time grow with their number and no faster?

    python benchmarks/forecast_speed.py [--series 100 300 1000 3000 10000] [--jobs 2] [--peer]

Made-up monthly series of five years, forecast 12 ahead with 80 % intervals by the default. With --peer, AutoETS of
statsforecast on a hundred of them, with the same interval, where its environment is there (`benchmarks/peers.sh`). Seconds
of the processors of all processes stand beside those of the clock, which other work on the machine makes longer. And the
smoother against statsmodels on a hundred series: time per series, and the sum of squares over theirs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import psutil

from salesforecast.forecasting.grammar import fit, forecast
from salesforecast.forecasting.models import Ensemble
from salesforecast.forecasting.panel import Panel
from salesforecast.forecasting.parameters import search
from salesforecast.forecasting.seasonal import initial_states
from salesforecast.forecasting.smoothing import Columns

PEERS = Path(__file__).parent / ".venv-peers" / "bin" / "python"
MONTHS, AHEAD = 60, 12


def sales(series: int, seed: int = 0) -> np.ndarray:
    """Made-up sales (series, months): a wandering level, a season in per cent of it, noise; never negative."""
    rng = np.random.default_rng(seed)
    t = np.arange(MONTHS)
    level = 200 + rng.normal(0.3, 4, (series, MONTHS)).cumsum(axis=1)
    season = 1 + 0.2 * np.sin(2 * np.pi * t / 12 + rng.uniform(0, 6, (series, 1)))
    return np.maximum(level * season + rng.normal(0, 10, (series, MONTHS)), 0)


def used() -> tuple[float, float]:
    """Megabytes held by this process and its children, and the seconds their processors have worked."""
    mine = psutil.Process()
    held, worked = 0, 0.0
    for process in (mine, *mine.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            held += process.memory_info().rss
            worked += sum(process.cpu_times()[:2])
    return held / 1e6, worked


def timed(series: int, jobs: int) -> dict[str, float]:
    """Seconds for fit and forecast by the clock and of the processors, and the most memory held meanwhile."""
    values = sales(series)
    names = tuple(f"S{i:06}" for i in range(series))
    panel = Panel(names, values, pd.date_range("2020-01-01", periods=MONTHS, freq="MS"), "MS", 12)
    held, done = [used()[0]], threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            held.append(used()[0])

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun, worked = time.perf_counter(), used()[1]
    with joblib.parallel_config(n_jobs=jobs):
        said = forecast(fit(panel, {"ensemble": Ensemble()}), AHEAD)
    clock, worked = time.perf_counter() - begun, used()[1] - worked
    done.set()
    watcher.join()
    assert len(said) == series * AHEAD
    each = {"clock ms/series": 1000 * clock / series, "processor ms/series": 1000 * worked / series}
    return {"series": series, "jobs": jobs, "clock s": clock, "processor s": worked, **each, "peak MB": max(held)}


PEER_SCRIPT = """
import json, sys, time, warnings
import numpy as np
warnings.simplefilter("ignore")
from statsforecast.models import AutoETS
values = np.load(sys.argv[1])
AutoETS(season_length=12).forecast(y=values[0], h=12, level=[80])
begun = time.process_time()
for y in values:
    AutoETS(season_length=12).forecast(y=y, h=12, level=[80])
print(json.dumps((time.process_time() - begun) / len(values)))
"""


def peer(series: int = 100) -> float:
    """Processor seconds per series of AutoETS."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/values.npy", sales(series))
        told = subprocess.run(
            [PEERS, "-c", PEER_SCRIPT, f"{folder}/values.npy"], check=True, capture_output=True, text=True
        )
    return float(json.loads(told.stdout))


def against_statsmodels(series: int = 100) -> pd.DataFrame:
    """Processor milliseconds per series, and the sum of squares over statsmodels' at the same initial states: median, worst."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    columns, rows = Columns.of(sales(series, seed=1)), []
    for trend, season in (("none", "additive"), ("damped", "additive"), ("damped", "multiplicative")):
        begun = time.process_time()
        initial = initial_states(columns, 12, season, np.ones(series, dtype=bool))
        _, total = search(columns, trend, season, initial)
        middle, ratio = time.process_time(), []
        for i in range(series):
            slope = {} if trend == "none" else {"trend": "add", "damped_trend": True, "initial_trend": initial.slope[i]}
            known = {
                "initialization_method": "known",
                "initial_level": initial.level[i],
                "initial_seasonal": initial.season[:, i],
            }
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = ETSModel(
                    columns.y[:, i], error="add", seasonal=season[:3], seasonal_periods=12, **slope, **known
                )
                theirs = model.fit(disp=False, maxiter=1000)
            ratio.append(total[i] / ((columns.y[:, i] - theirs.fittedvalues) ** 2).sum())
        took = {
            "ours ms": 1000 * (middle - begun) / series,
            "statsmodels ms": 1000 * (time.process_time() - middle) / series,
        }
        rows.append(
            {"trend": trend, "season": season, **took, "ratio median": np.median(ratio), "ratio worst": max(ratio)}
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", nargs="+", type=int, default=[100, 300, 1000, 3000, 10_000])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--peer", action="store_true")
    args = parser.parse_args()
    timed(10, 1)  # imports, and workers begun, once
    timed(600, args.jobs)
    print(pd.DataFrame([timed(n, args.jobs) for n in args.series]).round(2).to_string(index=False))
    if args.peer and PEERS.exists():
        one, theirs = timed(1000, 1)["processor ms/series"], 1000 * peer()
        print(
            f"Processor time, AutoETS: {theirs:.1f} ms a series; ours, one process: {one:.2f} ms; {theirs / one:.0f} times faster"
        )
    elif args.peer:
        print(f"No peer: {PEERS} is not there; benchmarks/peers.sh makes it.")
    print(against_statsmodels().round(4).to_string(index=False))
