"""Does the band of the win curve cover the truth, and is the naive rate as wrong as the report says?

    python benchmarks/win_curve.py [--companies 200] [--shock]

Made-up companies of one truth, each drawn with its own seed. For each: the win curve with its 90% band against the
true curve at several ages, and the error of won / closed as `win_rates` reports it against its true error.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd

from salesforecast import funnel, synthetic

AGES = [28, 56, 84, 112, 168, 252, 364]


def study(companies: int, truth: synthetic.Truth, level: float = 0.90) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Coverage by age, and the naive rates' reported and true errors.

    Returns
    -------
    coverage : DataFrame
        age, truth, estimate (mean), bias, covered (fraction of companies whose band holds the truth), width (mean).
    errors : DataFrame
        definition, mean rate, reported (mean error as win_rates gives it), true (mean rate minus the true share).
    """
    true = synthetic.win_curve(truth, AGES).set_index("age")["won"]
    held, mean, width, rates = [], [], [], []
    for seed in range(companies):
        deals, _ = synthetic.deals(truth, seed)
        deals = deals[[c for c in deals if not c.startswith("true_")]]
        curve = funnel.win_curve(deals, as_of=truth.as_of, level=level).set_index("age").reindex(AGES)
        held.append((curve["lower"] <= true) & (true <= curve["upper"]))
        mean.append(curve["won"])
        width.append(curve["upper"] - curve["lower"])
        rates.append(funnel.win_rates(deals, as_of=truth.as_of).set_index("definition")[["win_rate", "error"]].iloc[1:])
    coverage = pd.DataFrame({
        "age": AGES, "truth": true.to_numpy(), "estimate": np.mean(mean, axis=0),
        "bias": np.mean(mean, axis=0) - true.to_numpy(), "covered": np.mean(held, axis=0), "width": np.mean(width, axis=0),
    })  # fmt: skip
    every = pd.concat(rates).groupby(level=0, sort=False).mean()
    final = synthetic.win_curve(truth, [10_000])["won"].iloc[0]
    errors = pd.DataFrame(
        {"win_rate": every["win_rate"], "reported": every["error"], "true": every["win_rate"] - final}
    )
    return coverage, errors.reset_index(names="definition")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--companies", type=int, default=200)
    parser.add_argument("--shock", action="store_true", help="with the quarterly shock that all deals share")
    args = parser.parse_args()
    chosen = synthetic.Truth() if args.shock else replace(synthetic.Truth(), shock_sd=0.0)
    coverage, errors = study(args.companies, chosen)
    print(coverage.round(4).to_string(index=False))
    print(f"\ncovered over all ages: {coverage['covered'].mean():.3f}\n")
    print(errors.round(4).to_string(index=False))
