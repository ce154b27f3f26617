"""Do reconciled forecasts beat bottom-up and unreconciled ones on the tourism hierarchy?

    SALESFORECAST_EVALUATION_DATA=DIR python benchmarks/forecast_hierarchy.py [--model ensemble] [--origins 8] [--draws 500]

Quarterly trips in Australia, 1998Q1 to 2017Q4, by State x Region x Purpose: 304 bottom series, every sum of them by one or two
of the columns is a node. The first table is of the last 8 quarters; the second is the mean over rolling origins, four
quarters apart, the last 8 quarters among them. RMSSE: root of the mean squared error over 8 quarters, over the same of the
seasonal naive forecast within the past; mean over nodes. Covered: share of outcomes in the 80% interval of the paths.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd

from salesforecast.forecasting import hierarchy, reconciliation
from salesforecast.forecasting.grammar import backtest, fit, simulate
from salesforecast.forecasting.panel import Model, Panel

H = 8
BY = ["State", "Region", "Purpose"]


def tourism(folder: Path) -> tuple[pd.DataFrame, hierarchy.Structure]:
    """The series of all nodes, and which sums they are."""
    raw = pd.read_csv(folder / "forecast_benchmarks" / "tsibble" / "tourism_quarterly_hierarchy.csv")
    raw = raw.assign(
        series=raw[BY[0]].str.cat([raw[c] for c in BY[1:]], sep=" · "),
        period=pd.PeriodIndex(raw["Quarter"], freq="Q").to_timestamp(),
        value=raw["Trips"],
    )
    structure = hierarchy.structure(raw[["series", *BY]].drop_duplicates())
    return hierarchy.totals(raw[["series", "period", "value"]], structure), structure


def study(
    series: pd.DataFrame, structure: hierarchy.Structure, model: Model, *, origins: int, draws: int, past: int = 24
) -> pd.DataFrame:
    """One row per origin, way and node: RMSSE and how much of the outcomes the 80% interval held.

    Nothing that comes after an origin is used for its forecasts: neither by the model nor by the covariance of the errors,
    which is that of the forecasts made at up to `past` quarters before it.
    """
    panel = Panel.of(series)
    last = len(panel.periods) - H
    tried = backtest(panel, {"model": model}, H, origins=past + H - 1 + 4 * (origins - 1))
    errors = reconciliation.past_errors(tried, series)
    rows = []
    for seen in range(last - 4 * (origins - 1), last + 1, 4):
        known = panel.head(seen)
        paths = simulate(fit(known, {"model": model}), H, draws)
        when = pd.DataFrame({"origin": panel.periods[:seen]}).assign(place=np.arange(seen))
        before = errors.merge(when, on="origin")
        before = before[(before["place"] + before["horizon"] < seen) & (before["place"] >= seen - past - H)]
        for way in ("mint", "structural", "bottom_up"):
            made = reconciliation.reconcile(paths, structure, method=way, errors=before, non_negative=True)
            rows.append(_scores(made, panel, seen, structure).assign(way=way))
            if way == "mint":
                _adds_up(made, structure)
        rows.append(_scores(paths, panel, seen, structure).assign(way="unreconciled"))
    return pd.concat(rows, ignore_index=True)


def _scores(paths: pd.DataFrame, panel: Panel, seen: int, structure: hierarchy.Structure) -> pd.DataFrame:
    of = paths.groupby(["series", "horizon"])["value"]
    mean, low, high = of.mean().unstack(), of.quantile(0.1).unstack(), of.quantile(0.9).unstack()
    actual = pd.DataFrame(panel.values[:, seen : seen + H], index=list(panel.names)).loc[mean.index].to_numpy()
    before = pd.DataFrame(panel.values[:, :seen], index=list(panel.names)).loc[mean.index].to_numpy()
    scale = ((before[:, 4:] - before[:, :-4]) ** 2).mean(axis=1)
    held = (low.to_numpy() <= actual) & (actual <= high.to_numpy())
    scores = pd.DataFrame({
        "origin": panel.periods[seen - 1], "series": mean.index, "covered": held.mean(axis=1),
        "rmsse": np.sqrt(((mean.to_numpy() - actual) ** 2).mean(axis=1) / scale),
    })  # fmt: skip
    return scores.merge(structure.nodes, on="series")


def _adds_up(paths: pd.DataFrame, structure: hierarchy.Structure) -> None:
    wide = paths.pivot(index="series", columns=["path", "horizon"], values="value")
    bottom = wide.loc[structure.bottom].to_numpy()
    off = np.abs(wide.loc[structure.names].to_numpy() - structure.sums @ bottom).max()
    assert off < 1e-9 * bottom.sum(axis=0).max() and bottom.min() >= 0, off


def table(scores: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A measure by level of the hierarchy, mean over nodes and origins; a row for each way."""
    out = scores.groupby(["way", "level"])[measure].mean().unstack()[list(dict.fromkeys(scores["level"]))]
    out.insert(0, "all nodes", scores.groupby("way")[measure].mean())
    return out.sort_values("all nodes").round(3)


def models() -> dict[str, Model]:
    """The models that can be asked for."""
    from salesforecast.forecasting.boosting import Boosting
    from salesforecast.forecasting.models import Ensemble

    return {"ensemble": Ensemble(), "boosting": Boosting()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["ensemble", "boosting"], default="ensemble")
    parser.add_argument("--origins", type=int, default=8)
    parser.add_argument("--draws", type=int, default=500)
    args = parser.parse_args()
    folder = Path(os.environ["SALESFORECAST_EVALUATION_DATA"])
    nodes, tree = tourism(folder)
    scores = study(nodes, tree, models()[args.model], origins=args.origins, draws=args.draws)
    print(f"{tree.sums.shape[1]} bottom series, {len(tree.nodes)} nodes, {args.model}, {args.draws} draws")
    last = scores[scores["origin"] == scores["origin"].max()]
    for measure, what in (("rmsse", "RMSSE"), ("covered", "share held by the 80% range")):
        for part, when in ((last, "last 8 quarters"), (scores, f"mean of {args.origins} origins")):
            print(f"\n{what}, {when}:\n{table(part, measure).to_string()}")
