"""What an open deal will be worth when it is won: quotes are cut, and some deals have none yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

LIKE = 10.0  # deals: how many of its own a group needs to weigh as much as all together
POOL = 2000  # won deals from which the surprise in an amount is drawn, the newest
SORTS = ("segment", "product_id")


@dataclass(frozen=True)
class Amounts:
    """What deals came to when they were won.

    Parameters
    ----------
    kept : dict
        Stage -> won amount over the amount quoted there; "" for all stages.
    usual : dict
        (segment, product) -> mean won amount; with "" for any.
    quoted, unquoted : ndarray
        Won amounts over what was expected of them, with and without a quote; their means are 1.
    """

    kept: dict[str, float]
    usual: dict[tuple[str, str], float]
    quoted: np.ndarray
    unquoted: np.ndarray

    def expected(self, panel: pd.DataFrame) -> np.ndarray:
        """The mean amount of each deal if it is won, in money."""
        share = panel["stage"].map(self.kept).fillna(self.kept[""]).to_numpy("float64")
        quoted = panel["amount"].to_numpy("float64") * share
        return np.where(quoted > 0, quoted, self.unseen(panel))

    def unseen(self, deals: pd.DataFrame) -> np.ndarray:
        """The mean amount of won deals of each one's segment and product, quoted or not."""
        usual, every = self.usual, self.usual["", ""]
        pairs = zip(deals["segment"], deals["product_id"], strict=True)
        return np.array([usual.get(pair, usual.get((pair[0], ""), every)) for pair in pairs], dtype="float64")

    def surprise(self, quoted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A factor with mean 1 for each expected amount, drawn from those seen; `quoted` says which had a quote."""
        return np.where(quoted, rng.choice(self.quoted, len(quoted)), rng.choice(self.unquoted, len(quoted)))


def fit(panels: pd.DataFrame, births: pd.DataFrame, ended: pd.DataFrame) -> Amounts:
    """What won deals came to, against their quotes in the panels and by segment and product.

    Parameters
    ----------
    panels, births : DataFrame
        From `panels.panel` of past days, and `panels.births`.
    ended : DataFrame
        By opportunity_id: outcome and amount, as known on the day of the fit.
    """
    final = ended.loc[ended["outcome"] == "won", "amount"].fillna(0.0)  # a win without an amount books nothing
    if not (final > 0).any():
        return Amounts({"": 1.0}, {("", ""): 0.0}, np.ones(1), np.ones(1))
    sold = births[births["opportunity_id"].isin(final.index)]
    amount = sold["opportunity_id"].map(final).to_numpy("float64") if len(sold) else np.array([])
    usual = _usual(sold, amount, float(final.mean()))
    named = zip(sold["segment"], sold["product_id"], strict=True)
    surprise = _around_one((amount / np.array([usual[pair] for pair in named]))[-POOL:])
    kept, ratio = _kept(panels, final)
    return Amounts(kept, usual, surprise if ratio is None else ratio, surprise)


def _kept(panels: pd.DataFrame, final: pd.Series) -> tuple[dict[str, float], np.ndarray | None]:
    """By stage the share of the quote that is won in the end, drawn to that of all stages; and how it differs from deal to
    deal, None where no past quote is known.
    """
    quoted = panels[(panels["amount"] > 0) & panels["opportunity_id"].isin(final.index)]
    if quoted.empty:
        return {"": 1.0}, None
    came = quoted["opportunity_id"].map(final)
    overall, prior = float(came.sum() / quoted["amount"].sum()), LIKE * float(quoted["amount"].mean())
    sums = pd.DataFrame({"came": came, "quote": quoted["amount"]}).groupby(quoted["stage"]).sum()
    kept = {"": overall, **((sums["came"] + prior * overall) / (sums["quote"] + prior)).to_dict()}
    return kept, _around_one((came / (quoted["amount"] * quoted["stage"].map(kept))).to_numpy()[-POOL:])


def _usual(sold: pd.DataFrame, amount: np.ndarray, mean: float) -> dict[tuple[str, str], float]:
    """Means by segment and product, each drawn to the mean of the segment, and that to the mean of all."""
    usual = {("", ""): mean}
    value = pd.Series(amount, index=sold.index)
    for segment, of_segment in value.groupby(sold["segment"]):
        usual[segment, ""] = (of_segment.sum() + LIKE * mean) / (len(of_segment) + LIKE)
    for pair, ours in value.groupby([sold[c] for c in SORTS]):
        usual[pair] = (ours.sum() + LIKE * usual[pair[0], ""]) / (len(ours) + LIKE)
    return usual


def _around_one(ratio: np.ndarray) -> np.ndarray:
    ratio = ratio[np.isfinite(ratio)]
    return ratio / ratio.mean() if len(ratio) and ratio.mean() > 0 else np.ones(1)
