"""Is the default forecast better than what an analyst would install instead, and do its intervals hold?

    SALESFORECAST_EVALUATION_DATA=folder python benchmarks/forecast_accuracy.py [--sets monthly quarterly yearly] [--ours]

The tourism competition (Athanasopoulos et al. 2011) with its test part as published: 24 months, 8 quarters, 4 years
ahead. Ours and the peers see the same series in the same run; the peers live in their own environment, which
`benchmarks/peers.sh` makes, and are left out where it is not there.

sMAPE in per cent and MASE are means over series; MSIS is the mean interval score; MASE and MSIS are scaled by the mean
absolute seasonal change of the training part. Times are of one process, with both intervals, by the clock and of the processor (which other
work on the machine does not make longer).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from salesforecast.forecasting.models import Drift, Ensemble, Naive, SeasonalNaive, Smoothing, Theta
from salesforecast.forecasting.panel import Model, Panel, Streams

SETS = {"monthly": (12, 24, "MS"), "quarterly": (4, 8, "QS"), "yearly": (1, 4, "YS-JAN")}
LEVELS = (0.8, 0.95)
HERE = Path(__file__).parent
PEERS = HERE / ".venv-peers" / "bin" / "python"
OURS: dict[str, Model] = {
    "Ensemble (the default)": Ensemble(),
    "Smoothing, damped, additive": Smoothing(),
    "Theta": Theta(),
    "Theta of years": Theta(yearly=True),
    "seasonal naive": SeasonalNaive(),
    "drift": Drift(),
}


def tourism(folder: Path, name: str, drop: int = 0) -> tuple[Panel, np.ndarray]:
    """A set of the competition, all series ending together: the panel, and what came, (series, h).

    With `drop`, the last h periods of the training part less the last `drop` - h: what may be looked at while choosing.
    """
    m, h, freq = SETS[name]
    frame = pd.read_csv(folder / "forecast_benchmarks" / "tourism_comp" / "tourism_long.csv.gz").query("freq == @m")
    parts = {
        split: {k: g["value"].to_numpy() for k, g in rows.sort_values("t").groupby("series")}
        for split, rows in frame.groupby("split")
    }
    train, test = parts["train"], parts["test"]
    if drop:
        test = {k: y[len(y) - drop :][:h] for k, y in train.items()}
        train = {k: y[: len(y) - drop] for k, y in train.items() if len(y) > drop}
    names = tuple(sorted(train))
    longest = max(map(len, train.values()))
    values = np.stack([np.concatenate([np.full(longest - len(train[k]), np.nan), train[k]]) for k in names])
    return Panel(names, values, pd.date_range("1900-01-01", periods=longest, freq=freq), freq, m), np.stack(
        [test[k] for k in names]
    )


def scores(
    panel: Panel, came: np.ndarray, mean: np.ndarray, bounds: dict[float, tuple[np.ndarray, np.ndarray]]
) -> dict[str, float]:
    """sMAPE, MASE, and coverage and MSIS at each level."""
    y, m = panel.values, panel.season
    scale = np.nanmean(np.abs(y[:, m:] - y[:, :-m]), axis=1)
    size = np.abs(mean) + np.abs(came)
    found = {
        "sMAPE": 200 * np.mean(np.abs(mean - came) / np.where(size > 0, size, 1)),
        "MASE": np.mean(np.abs(mean - came).mean(axis=1) / scale),
    }
    for level, (lower, upper) in bounds.items():
        outside = np.maximum(lower - came, 0) + np.maximum(came - upper, 0)
        found[f"cover {level:.0%}"] = np.mean((lower <= came) & (came <= upper))
        found[f"MSIS {level:.0%}"] = np.mean((upper - lower + 2 / (1 - level) * outside).mean(axis=1) / scale)
    return found


def ours(
    panel: Panel, model: Model, h: int
) -> tuple[np.ndarray, dict[float, tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Means, bounds, and seconds by the clock and of the processor of one of our models."""
    begun = np.array([time.perf_counter(), time.process_time()])
    short = panel.lengths < (model.least(panel) if hasattr(model, "least") else 1)
    fitted = (Naive() if short.all() else model).fit(panel)
    bounds = {}
    for level in LEVELS:
        if hasattr(fitted, "interval"):
            mean, *both = fitted.interval(h, level)
        else:
            paths = fitted.simulate(h, 1000, Streams(0, panel.names))
            mean, both = paths.mean(axis=1), np.quantile(paths, [0.5 - level / 2, 0.5 + level / 2], axis=1)
        bounds[level] = (both[0], both[1])
    return mean, bounds, np.array([time.perf_counter(), time.process_time()]) - begun


PEERS_SCRIPT = """
import json, sys, time, warnings
import numpy as np, pandas as pd
warnings.simplefilter("ignore")
from statsforecast.models import AutoETS, AutoCES, AutoTheta, DynamicOptimizedTheta
import statsforecast
values, m, h, levels, out = np.load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4]), sys.argv[5]
models = {"AutoETS": AutoETS, "AutoTheta": AutoTheta, "dynamic optimised theta": DynamicOptimizedTheta, "AutoCES": AutoCES}
found = {}
for name, kind in models.items():
    warm = kind(season_length=m)
    warm.forecast(y=values[0][~np.isnan(values[0])], h=h, level=[80])  # compiled before the clock runs
    begun, worked, said = time.perf_counter(), time.process_time(), []
    for row in values:
        y = row[~np.isnan(row)]
        try:
            got = kind(season_length=m).forecast(y=y, h=h, level=[100 * l for l in levels])
            bounds = [(f"{side}-{100 * level:g}", f"{side}-{100 * level}") for level in levels for side in ("lo", "hi")]
            said.append([got["mean"], *(got[a] if a in got else got[b] for a, b in bounds)])
        except Exception as error:
            last = np.full(h, y[-1])
            said.append([last] * (1 + 2 * len(levels)))
            print(name, "failed on a series:", error, file=sys.stderr)
    found[name] = [time.perf_counter() - begun, time.process_time() - worked]
    np.save(f"{out}/{name}.npy", np.array(said))
    print(name, round(found[name][1], 1), "s of the processor", file=sys.stderr, flush=True)
json.dump({"seconds": found, "version": statsforecast.__version__, "pandas": pd.__version__}, open(f"{out}/times.json", "w"))
"""


def peers(panel: Panel, h: int, folder: str) -> dict:
    """The peers' forecasts of the same series, in their own environment and one process."""
    np.save(f"{folder}/values.npy", panel.values)
    arguments = [f"{folder}/values.npy", str(panel.season), str(h), json.dumps(LEVELS), folder]
    single = {"OMP_NUM_THREADS": "1", "NIXTLA_NUMBA_CACHE": "1", "NIXTLA_ID_AS_COL": "1"}
    subprocess.run([PEERS, "-c", PEERS_SCRIPT, *arguments], check=True, env={**os.environ, **single})
    return json.loads(Path(folder, "times.json").read_text("utf-8"))


def row(name: str, label: str, found: dict[str, float], milliseconds: np.ndarray) -> dict[str, object]:
    """A row of the table."""
    return {"set": name, "model": label, **found, "clock ms": milliseconds[0], "processor ms": milliseconds[1]}


def table(folder: Path, names: list[str], with_peers: bool = True, drop: int = 0) -> pd.DataFrame:
    """One row per set and model: scores, and milliseconds per series by the clock and of the processor."""
    rows = []
    for name in names:
        h = SETS[name][1]
        panel, came = tourism(folder, name, drop)
        for label, model in OURS.items():
            mean, bounds, seconds = ours(panel, model, h)
            rows.append(row(name, label, scores(panel, came, mean, bounds), 1000 * seconds / len(came)))
        if not with_peers:
            continue
        if not PEERS.exists():
            print(f"No peers: {PEERS} is not there; benchmarks/peers.sh makes it.")
            with_peers = False
            continue
        with tempfile.TemporaryDirectory() as place:
            told = peers(panel, h, place)
            for label, seconds in told["seconds"].items():
                said = np.load(f"{place}/{label}.npy")
                bounds = {level: (said[:, 1 + 2 * i], said[:, 2 + 2 * i]) for i, level in enumerate(LEVELS)}
                found = scores(panel, came, said[:, 0], bounds)
                rows.append(
                    row(name, f"statsforecast {told['version']} {label}", found, 1000 * np.array(seconds) / len(came))
                )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["monthly", "quarterly", "yearly"], choices=SETS)
    parser.add_argument("--ours", action="store_true", help="without the peers")
    parser.add_argument(
        "--drop", type=int, default=0, help="judge on the training part, without its last so many periods"
    )
    args = parser.parse_args()
    data = os.environ.get("SALESFORECAST_EVALUATION_DATA")
    if not data:
        sys.exit("SALESFORECAST_EVALUATION_DATA does not name a folder.")
    result = table(Path(data), args.sets, not args.ours, args.drop)
    places = {
        "sMAPE": 2,
        "MASE": 3,
        "MSIS 80%": 2,
        "MSIS 95%": 2,
        "cover 80%": 3,
        "cover 95%": 3,
        "clock ms": 2,
        "processor ms": 2,
    }
    print(result.round(places).to_string(index=False))
    print(
        f"Python {platform.python_version()}, numpy {version('numpy')}, pandas {version('pandas')}; {os.cpu_count()} cores, one process"
    )
