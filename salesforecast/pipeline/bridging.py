"""The exact bridge from the forecast of one day to that of a later one, or to what came: every deal's part, nothing left over.

A deal's part of the forecast is what it has brought, or while it is open its chance times its worth. First the new data are
read with the old model, and the change of each deal goes to the one thing that happened to it; then the new model reads the
new data, and what that changes is the model's. The other order would ask the new model about a day that it has learnt from.

What the other methods make of the pipeline model's forecast hangs on no deal: where the days have been forecast by all of them it
is one term, elsewhere the bridge is that of the pipeline model alone. A deal that only changed its owner moves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import style
from salesforecast.errors import SettingError
from salesforecast.periods import ONE_DAY, Period
from salesforecast.pipeline import models, simple
from salesforecast.text import md

TERMS = {
    "Deals won": "open deals won since, in the period: the part of their worth that their chance had left out",
    "Amounts at winning": "what these came to, less what they were worth before",
    "Won outside the period": "open deals won since, but not in the period: what their chance had put in",
    "Deals lost": "open deals lost since: what their chance had put in",
    "Slipped out": "open deals that were due in the period and now are not, or are open though it is over",
    "Pulled in": "open deals that were not due in the period and whose expected close date was moved into it",
    "Stage moves": "other open deals in another stage",
    "Other changes": "other open deals in which something else was changed: the chance only",
    "Time passing": "open deals in which nothing was changed",
    "Amount changes": "open deals with another amount: half of it at the old chance, half at the new one",
    "Deals entered": "deals entered since, less what was expected of deals entered in these days",
    "Deals to come": "what is expected of deals entered after the later day, less what was expected of the same before",
    "Reopened deals": "deals that had been closed and are open again, or have been closed once more in another way",
    "Removed deals": "deals that are not in the data any more: deleted, or merged with another",
    "Corrected bookings": "other changes of what had already been booked, and bookings dated back",
    "Model refit": "the same data read by the new model: open deals, and deals to come",
    "Other methods": "what the other methods add to the pipeline model's forecast or take off it, less what they did before",
}
ACTUAL, ALONE = "Actual", "Pipeline model on "


@dataclass(frozen=True)
class _Standing:
    """One day's forecast of the period by one model.

    `deals` has by opportunity_id: outcome, closed_date, booked (missing unless won in the period); of open deals stage,
    amount, due, quiet (as in the panel), chance, worth.
    """

    day: pd.Timestamp
    deals: pd.DataFrame
    new: float
    total: float

    @property
    def money(self) -> pd.Series:
        """What each deal adds to the total."""
        return self.deals["booked"].fillna(0.0) + self.deals["chance"] * self.deals["worth"].fillna(0.0)


def bridge(
    model_0: models.Model,
    seen_0: models.Seen,
    model_1: models.Model,
    seen_1: models.Seen,
    period: Period,
    combined: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """What moved the forecast of a period between two days; from the period's last day on the forecast is what was booked.

    Parameters
    ----------
    model_0, seen_0 : Model, Seen
        Of the earlier day.
    model_1, seen_1 : Model, Seen
        Of the later day; of the same model when it was not fitted again.
    period : Period
    combined : DataFrame, optional
        From `combination.combine`: where it has the forecasts of these days, they are the ends of the bridge, and what they are
        beyond the pipeline model's is the term "Other methods".

    Returns
    -------
    DataFrame
        period (label); since, day (the two days); term; n (deals in it); amount (money). The first row is the forecast of the
        earlier day ("Pipeline model on ..." where it is that model's alone), the last that of the later one ("Actual", with the number of
        wins, when the period is over); those between, one for each of `TERMS`, add up to the change. A deal is in one term, with
        two additions: its change of amount and the model's.

    Raises
    ------
    SettingError
        When the second day is before the first.
    """
    old, mid, now, parts = _read(model_0, seen_0, model_1, seen_1, period)
    later = _to_come(model_0, seen_0, seen_1.day, period)
    whole = parts.groupby("term")["amount"].agg(["size", "sum"]).reindex(list(TERMS), fill_value=0)
    amount = whole["sum"].astype("float64")
    amount["Deals entered"] -= old.new - later
    amount["Deals to come"] += mid.new - later
    amount["Model refit"] += now.new - mid.new
    over = [day >= period.until - ONE_DAY for day in (seen_0.day, seen_1.day)]
    others = [0.0 if done else _others(combined, period, s) for done, s in zip(over, (old, now), strict=True)]
    alone = bool(np.isnan(others).any())
    others = [0.0, 0.0] if alone else others
    amount["Other methods"] += others[1] - others[0]
    ends = [
        ACTUAL if done else f"{ALONE if alone else 'Forecast of '}{s.day:%Y-%m-%d}"
        for done, s in zip(over, (old, now), strict=True)
    ]
    counts = [
        (s.deals["booked"].notna() | (s.deals["outcome"].eq("open") & (not done))).sum()
        for done, s in zip(over, (old, now), strict=True)
    ]
    return pd.DataFrame({
        "period": period.label, "since": seen_0.day, "day": seen_1.day, "term": [ends[0], *TERMS, ends[1]],
        "n": [counts[0], *whole["size"], counts[1]], "amount": [old.total + others[0], *amount, now.total + others[1]],
    })  # fmt: skip


def _others(combined: pd.DataFrame | None, period: Period, then: _Standing) -> float:
    """What the combined forecast of the day is beyond the pipeline model's; missing where the day has none."""
    if combined is None:
        return np.nan
    row = combined[(combined["period"] == period.label) & (combined["origin"] == then.day)]
    return float(row["mean"].iloc[0]) - then.total if len(row) else np.nan


def deals_bridge(
    model_0: models.Model, seen_0: models.Seen, model_1: models.Model, seen_1: models.Seen, period: Period
) -> pd.DataFrame:
    """The part of every deal that moved the forecast, the largest first; what is expected of deals to come is no deal's.

    Parameters
    ----------
    model_0, seen_0, model_1, seen_1, period
        As for `bridge`.

    Returns
    -------
    DataFrame
        opportunity_id, term (of `TERMS`), amount (money).
    """
    parts = _read(model_0, seen_0, model_1, seen_1, period)[-1]
    return parts[parts["amount"] != 0].sort_values("amount", key=abs, ascending=False, kind="stable", ignore_index=True)


def finding_deals(deals: pd.DataFrame) -> str:
    """One sentence: the deal that moved the forecast most, and by what.

    Parameters
    ----------
    deals : DataFrame
        From `deals_bridge`.
    """
    if deals.empty:
        return "No deal of its own moved the forecast."
    first = deals.iloc[0]
    return f"Of the deals, **{md(str(first['opportunity_id']))}** moved it most: {_words(first)}."


def finding_bridge(bridge: pd.DataFrame) -> str:
    """One sentence: how the forecast changed, by what most, and what pulled the other way.

    Parameters
    ----------
    bridge : DataFrame
        From `bridge`.
    """
    first, last, parts = bridge.iloc[0], bridge.iloc[-1], bridge.iloc[1:-1]
    label, since, change = first["period"], f"{first['since']:%Y-%m-%d}", last["amount"] - first["amount"]
    over, size = last["term"] == ACTUAL, style.money(abs(change))
    whose = "pipeline model's forecast" if first["term"].startswith(ALONE) else "forecast"
    then = f"{'bookings known on' if first['term'] == ACTUAL else whose + ' of'} {since}"
    most, least = parts.loc[parts["amount"].idxmax()], parts.loc[parts["amount"].idxmin()]
    with_it, against = (most, least) if change > 0 else (least, most)
    if abs(change) < 0.5:
        return f"{label} brought the {then}." if over else f"The {whose} for {label} has not changed since {since}."
    if over:
        claim = f"{label} brought {size} {'more' if change > 0 else 'less'} than the {then}"
    else:
        claim = f"The {whose} for {label} {'rose' if change > 0 else 'fell'} by {size} since {since}"
    other = f"; most against it: {_words(against)}" if against["amount"] * change < 0 else ""
    return f"{claim}, most by {_words(with_it, '**')}{other}."


def chart_bridge(bridge: pd.DataFrame) -> alt.LayerChart:
    """From the forecast then to the forecast now, one step for each thing that moved it."""
    first, ends = bridge.iloc[0], set(bridge["term"].iloc[[0, -1]])
    return style.steps(
        bridge[bridge["term"].isin(ends) | (bridge["amount"].abs() >= 0.5)], "term", "amount",
        fmt=partial(style.money, short=True), total=ends, title=f"What moved the forecast for {first['period']}",
        subtitle=f"Money, {first['since']:%Y-%m-%d} to {first['day']:%Y-%m-%d}; the steps add up exactly to the change",
    )  # fmt: skip


def _read(
    model_0: models.Model, seen_0: models.Seen, model_1: models.Model, seen_1: models.Seen, period: Period
) -> tuple[_Standing, _Standing, _Standing, pd.DataFrame]:
    """The forecast then, the old model's on the new data, the forecast now; and the rows of deals: opportunity_id, term, amount."""
    if seen_1.day < seen_0.day:
        raise SettingError(f"A bridge goes to a later day: {seen_1.day:%Y-%m-%d} is before {seen_0.day:%Y-%m-%d}.")
    old, mid = _standing(model_0, seen_0, period), _standing(model_0, seen_1, period)
    now = mid if model_1 is model_0 else _standing(model_1, seen_1, period)
    pair = old.deals.add_suffix("_0").join(mid.deals.add_suffix("_1"), how="outer", validate="one_to_one")
    change = mid.money.reindex(pair.index, fill_value=0.0) - old.money.reindex(pair.index, fill_value=0.0)
    term = _terms(pair, seen_0.day, seen_1.day, period)
    chance = (pair["chance_0"] + pair["chance_1"]) / 2
    requoted = term.isin(["Slipped out", "Pulled in", "Stage moves", "Other changes", "Time passing"])
    requoted &= (pair["amount_0"].fillna(-1.0) != pair["amount_1"].fillna(-1.0)) & pair["worth_1"].notna()
    won = (term == "Deals won") & pair["worth_0"].notna() & (pair["booked_1"] != pair["worth_0"])
    asides = {
        "Amounts at winning": (pair["booked_1"] - pair["worth_0"])[won],
        "Amount changes": ((pair["worth_1"] - pair["worth_0"]) * chance)[requoted].fillna(0.0),
    }
    for amount in asides.values():
        change = change.sub(amount, fill_value=0.0)
    happened = (term != "Corrected bookings") | (change != 0)  # of the deals long closed, those corrected
    rows = [*asides.items(), ("Model refit", (now.money - mid.money).loc[lambda m: m != 0])]
    parts = [pd.DataFrame({"term": term[happened], "amount": change[happened]})]
    parts += [pd.DataFrame({"term": name, "amount": money}) for name, money in rows if len(money)]
    return old, mid, now, pd.concat(parts).rename_axis("opportunity_id").reset_index()


def _standing(model: models.Model, known: models.Seen, period: Period) -> _Standing:
    """The forecast of the period by the model: booked, open deals, deals to come."""
    last = period.until - ONE_DAY
    until = min(known.day, last)
    counted = known.won["closed_date"].between(period.since, until)
    deals = known.ended[["outcome", "closed_date"]].assign(booked=known.won.loc[counted, "amount"])
    panel = known.panel.set_index("opportunity_id")[["stage", "amount", "due", "quiet"]].assign(
        chance=0.0, worth=np.nan
    )
    total, new = simple.between(known.won, period.since, until), 0.0
    if known.day < last:
        outlook = models.ahead(model, known, _ends(known.day, period))
        scored = outlook.deals.set_index("opportunity_id").assign(chance=outlook.won[:, -1])
        panel = panel.assign(chance=scored["chance"], worth=scored["worth"])
        new = float(outlook.new[-1])
        total += float(outlook.open[-1]) + new
    return _Standing(known.day, deals.join(panel, validate="one_to_one").fillna({"chance": 0.0}), new, total)


def _ends(day: pd.Timestamp, period: Period) -> np.ndarray:
    """The period's last day, after its eve where that is still to come."""
    last, eve = period.until - ONE_DAY, period.since - ONE_DAY
    return np.array([eve, last] if day < eve else [last], dtype="datetime64[D]")


def _to_come(model: models.Model, known: models.Seen, day: pd.Timestamp, period: Period) -> float:
    """The money expected in the period of deals entered after `day`."""
    if known.day >= period.until - ONE_DAY:
        return 0.0
    return float(models.ahead(model, known, _ends(known.day, period), entered_after=day).new[-1])


def _terms(pair: pd.DataFrame, day_0: pd.Timestamp, day_1: pd.Timestamp, period: Period) -> pd.Series:
    """The one thing that happened to each deal: the first in the order given here that fits."""
    was, now = pair["outcome_0"], pair["outcome_1"]
    counted, before = pair["booked_1"].notna(), pair["closed_date_1"] <= day_0
    again = was.ne("open") & (now.eq("open") | (now.ne(was) & ~before))
    passed = (day_1 - day_0).days
    first, last = (period.since - day_0).days, (period.until - ONE_DAY - day_0).days
    due = [pair["due_0"], pair["due_1"] + passed]  # in days from the earlier day; overdue is due tomorrow
    inside = [d.clip(lower=k + 1).between(first, last) for d, k in zip(due, (0, passed), strict=True)]
    found = np.select(
        [
            was.isna() & counted & before, was.isna(), now.isna(), again, was.ne("open"),
            now.eq("won") & counted, now.eq("won"), now.eq("lost"),
            inside[0] & ~inside[1], ~inside[0] & inside[1] & (due[0] != due[1]),
            pair["stage_0"].fillna("") != pair["stage_1"].fillna(""), pair["quiet_1"] < passed,
        ],
        [
            "Corrected bookings", "Deals entered", "Removed deals", "Reopened deals", "Corrected bookings",
            "Deals won", "Won outside the period", "Deals lost", "Slipped out", "Pulled in", "Stage moves", "Other changes",
        ],
        "Time passing",
    )  # fmt: skip
    return pd.Series(found, index=pair.index)


def _words(part: pd.Series, mark: str = "") -> str:
    sign = "+" if part["amount"] > 0 else ""
    return f"{mark}{part['term'][:1].lower()}{part['term'][1:]}{mark} ({sign}{style.money(part['amount'])})"


def table_bridge(bridge: pd.DataFrame) -> pd.DataFrame:
    """The terms that moved something, between the two totals."""
    kept = bridge[(bridge["amount"].abs() >= 0.005) | bridge["n"].gt(0)]
    return kept[["term", "n", "amount"]].reset_index(drop=True)
