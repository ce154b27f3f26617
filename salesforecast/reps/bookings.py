"""Why bookings differ between reps: number of deals, win rate, product mix, price. Exactly."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import style
from salesforecast.errors import TooLittleData
from salesforecast.observed import need
from salesforecast.reps.staff import roster
from salesforecast.tables import Crm
from salesforecast.text import enumerated, md

PARTS = {"volume": "Deals closed", "winning": "Win rate", "mix": "Product mix", "price": "Size within product"}
LEVELS = ("product", "family", "segment")
NARROWS = -0.05  # of the spread: what narrows it more than that is named


def differences(crm: Crm, *, since: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame:
    """Each rep's bookings beside those of the mean rep, split exactly into four parts.

    Bookings are closed deals × share won × mix × price, where mix is what the deals won would bring at the mean amount of
    their product among all reps, and price the actual amount over that. The part of a factor x is L(B, B0) ln(x / x0) with
    L(a, b) = (a - b) / ln(a / b); x0 is the company's, for the number of deals the mean of the reps who won any. The parts add
    up to the difference.

    Parameters
    ----------
    crm : Crm
        Opportunities with amount, product or family or segment, closed_date.
    since, until : Timestamp
        The deals closed from `since` to before `until`.

    Returns
    -------
    DataFrame
        rep_id, rep, closed, won, bookings, difference (to the mean rep), volume, winning, mix, price (money; missing for who won
        nothing with an amount). Largest difference first.

    Raises
    ------
    TooLittleData
        When fewer than 3 reps won a deal with an amount.

    Source
    ------
    LMDI-I: Ang (2005).
    """
    deals = crm.deals
    need(deals, "rep_id", "closed_date", "amount")
    level = next((c for c in LEVELS if c in deals and deals[c].notna().any()), None)
    kind = deals[level].fillna("none") if level else pd.Series("all", index=deals.index)
    deals = deals.assign(kind=kind)
    inside = (deals["closed_date"] >= since) & (deals["closed_date"] < until) & (deals["outcome"] != "open")
    closed = deals[inside & deals["rep_id"].notna()]
    won = closed[(closed["outcome"] == "won") & (closed["amount"] > 0)]
    usual = won.groupby("kind")["amount"].mean()
    staff = roster(crm, since)
    frame = staff[["rep_id", "rep"]].assign(
        closed=staff["rep_id"].map(closed["rep_id"].value_counts()).fillna(0).astype("int64"),
        won=staff["rep_id"].map(won["rep_id"].value_counts()).fillna(0).astype("int64"),
        bookings=staff["rep_id"].map(won.groupby("rep_id")["amount"].sum()).fillna(0.0),
        usual=staff["rep_id"].map(won["kind"].map(usual).groupby(won["rep_id"]).mean()),
    )
    some = frame["won"] > 0
    if some.sum() < 3:
        raise TooLittleData("Fewer than 3 reps won a deal with an amount, so their bookings cannot be compared.")
    mean = frame[some][["closed", "won", "bookings"]].mean()
    size, own = won["amount"].mean(), frame["bookings"] / frame["won"]
    factors = pd.DataFrame({
        "volume": frame["closed"] / mean["closed"], "winning": frame["won"] / frame["closed"] / (mean["won"] / mean["closed"]),
        "mix": frame["usual"] / size, "price": own / frame["usual"],
    })[some]  # fmt: skip
    frame["difference"] = frame["bookings"] - mean["bookings"]
    ratio = np.log(frame["bookings"][some] / mean["bookings"])
    flat = ratio.abs() < 1e-12
    weight = (frame["difference"][some] / ratio.mask(flat, 1.0)).mask(flat, mean["bookings"])
    for name in PARTS:
        frame[name] = weight * np.log(factors[name])
    frame = frame.drop(columns="usual")
    return frame.sort_values(["difference", "rep_id"], ascending=[False, True], ignore_index=True)


def shares(differences: pd.DataFrame) -> pd.DataFrame:
    """How much of the spread of bookings each part accounts for: its covariance with the difference over its variance.

    Returns
    -------
    DataFrame
        what, share (they add up to 1; a negative one narrows the spread). Largest first.

    Raises
    ------
    TooLittleData
        When all booked the same.
    """
    known = differences.dropna(subset=["volume"])
    gap = known["difference"] - known["difference"].mean()
    if (gap.abs() < 1e-9 * known["bookings"].mean()).all():
        raise TooLittleData(
            f"The {style.plural(len(known), 'rep')} who won a deal booked the same, so nothing makes them differ."
        )
    rows = [(words, float((known[name] * gap).sum() / (gap**2).sum())) for name, words in PARTS.items()]
    return pd.DataFrame(rows, columns=["what", "share"]).sort_values("share", ascending=False, ignore_index=True)


def finding_differences(differences: pd.DataFrame, shares: pd.DataFrame, own: pd.DataFrame) -> str:
    """One sentence: what makes the bookings differ; of one rep, what makes theirs."""
    if len(own) == 1 and pd.notna(own.iloc[0]["volume"]):
        row = own.iloc[0]
        parts = sorted(PARTS, key=lambda name: -abs(row[name]))[:2]
        said = " and ".join(f"{PARTS[p].casefold()} {_signed(row[p])}" for p in parts)
        return (
            f"**{md(row['rep'])}** booked {style.money(row['bookings'])}, {style.money(abs(row['difference']))} "
            f"{'more' if row['difference'] > 0 else 'less'} than the mean rep: {said}."
        )
    top, others = shares.iloc[0], shares.iloc[1:]
    others = others[(others.index == 1) | (others["what"] == PARTS["winning"]) | (others["share"] < NARROWS)]
    wider = [f"{what.casefold()} {style.percent(share)}" for what, share in others.to_numpy() if share >= -0.005]
    narrower = [
        f"; {what.casefold()} narrows it by {style.percent(-share)}"
        for what, share in others.to_numpy()
        if share < -0.005
    ]
    said = enumerated([f"**{top['what'].casefold()}** makes {style.percent(top['share'])}", *wider])
    return f"Of the spread of bookings between reps, {said}{''.join(narrower)}."


def _signed(amount: float) -> str:
    return f"{'added' if amount > 0 else 'took'} {style.money(abs(amount))}"


def chart_differences(shares: pd.DataFrame) -> alt.LayerChart:
    """The share of the spread of bookings by part."""
    return style.bars(
        shares.assign(words=[style.percent(s) for s in shares["share"]]), "share", "what", text="words",
        accent=shares["what"].head(1).tolist(), title="What makes the bookings of reps differ",
        subtitle="Share of the spread between reps; the parts add up to 100%",
    )  # fmt: skip
