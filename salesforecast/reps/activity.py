"""What the sales force does: the classical indicators with intervals, and plans against what was done."""

from __future__ import annotations

from collections.abc import Callable

import altair as alt
import numpy as np
import pandas as pd
from scipy.stats import chi2

from salesforecast import stats, style
from salesforecast.errors import TooLittleData
from salesforecast.periods import ONE_DAY, Period
from salesforecast.periods import period as period_of
from salesforecast.reps.fair import extremes
from salesforecast.reps.staff import roster
from salesforecast.tables import Crm

VISITS = ("visit", "meeting")
CONTACTS = ("visit", "call", "cold_call", "email", "personalised_email", "demo", "meeting", "event")
INACTIVE = pd.DateOffset(years=1)  # without an order for so long, a customer is lost
SHOWN: dict[str, Callable[[float], str]] = {
    "": style.figure(2),
    "of 100": style.figure(0),
    "minutes": style.figure(0),
    "money": style.money,
    "share": style.percent,
    "count": style.count,
}  # fmt: skip


def indicators(crm: Crm, *, period: Period) -> pd.DataFrame:
    """The indicators of a sales force's work in a period, each with its interval.

    A *visit* is an activity of type visit or meeting that was done; a *day present* a Monday to Friday on which a rep was
    employed; *bookings* the deals won in the period; *sales* the orders of the period, where there are orders, else the bookings. The cost
    of a visit is the share of the sales force's costs that the minutes of visits are of all minutes recorded, and what the visits cost
    beside. A customer is *new* with the first order ever, *lost* when the year since the last order ends in the period.
    Intervals come from resampling reps; those of counts are Poisson's. What the data do not hold is missing.

    Source: Kotler & Keller, Marketing Management, the key indicators of sales-force effectiveness (entertainment cost a call,
    lost customers and orders per hundred calls among them); training cost beside.

    Parameters
    ----------
    crm : Crm
        Activities; reps, opportunities, orders and costs where there are.
    period : Period

    Returns
    -------
    DataFrame
        indicator, value, lower, upper (95%), n (what it rests on), of (the words for n), unit ("", of 100, minutes, money, share, count).

    Raises
    ------
    MissingTable
        Without activities.
    TooLittleData
        When nothing was done in the period.
    """
    now = period.so_far(crm.as_of)
    done = crm.activities[crm.activities["at"].between(now.since, now.until, inclusive="left")]
    if done.empty:
        raise TooLittleData(f"No activity was done in {period.label}.")
    staff = roster(crm)
    days = _present(staff, now)
    reps = sorted(set(days.index[days > 0]) | set(done["rep_id"]))
    visit = done["type"].isin(VISITS)
    minutes = done.get("minutes", pd.Series(np.nan, index=done.index))
    timed = visit & minutes.notna()
    deals = crm.opportunities
    won = deals[(deals["outcome"] == "won") & deals["closed_date"].between(now.since, now.until, inclusive="left")]
    orders = crm.orders if "orders" in crm else None
    ours = orders[orders["order_date"].between(now.since, now.until, inclusive="left")] if orders is not None else None
    cost, shared = _costs(crm, now)
    spent = done.get("cost", pd.Series(np.nan, index=done.index)).where(visit)

    def by(rows: pd.DataFrame, values: object = 1.0) -> np.ndarray:
        """Sums by rep."""
        sums = pd.Series(values, index=rows.index, dtype="float64").groupby(rows["rep_id"]).sum()
        return np.asarray(sums.reindex(reps).fillna(0.0))

    visits = by(done[visit])
    present = days.reindex(reps).fillna(0.0).to_numpy()
    in_visits, in_all = by(done[timed], minutes[timed]), by(done, minutes.fillna(0))
    booked = by(won, won["amount"].fillna(0)) if "amount" in won else visits * np.nan
    every = _by_rep(cost, reps, None)
    with np.errstate(invalid="ignore", divide="ignore"):
        of_visits = every.sum(axis=0) * np.where(in_all > 0, in_visits / in_all, 0) if len(every) else visits * np.nan
    of_visits = of_visits + by(done[visit], spent[visit].fillna(0))
    entertain, training = _by_rep(cost, reps, "entertainment"), _by_rep(cost, reps, "training")
    sales = float(ours["net_amount"].sum()) if ours is not None else float(booked.sum())
    sold = by(ours.dropna(subset="rep_id"), ours.dropna(subset="rep_id")["net_amount"]) if ours is not None else booked
    share_sold = sold.sum() / sales if sales > 0 else np.nan
    ordered = _orders(ours, won, reps)
    weight = stats.weights(len(reps))
    force = float(cost["cost"].sum() + shared["cost"].sum()) if len(cost) or len(shared) else np.nan
    extra_training = float(shared.loc[shared["kind"] == "training", "cost"].sum()) if len(shared) else 0.0

    def ratio(
        name: str, top: np.ndarray, bottom: np.ndarray, unit: str, of: str, times: float = 1.0, plus: float = 0.0
    ) -> tuple:
        with np.errstate(invalid="ignore", divide="ignore"):
            values = times * (weight @ top + plus) / (weight @ bottom)
        values = np.where(np.isfinite(values), values, np.nan)
        lower, upper = (float(bound) for bound in stats.quantile_interval(values[1:]))
        if lower == upper:  # the same for each rep: nothing to resample
            lower = upper = np.nan
        return name, values[0], lower, upper, bottom.sum(), of, unit

    rows = [
        ratio("Visits per rep and day present", visits, present, "", "rep days"),
        ratio("Time per contact", in_visits, by(done[timed]), "minutes", "visits with a time"),
        ratio("Bookings per visit", booked, visits, "money", "visits"),
        ratio("Cost per visit", of_visits, visits, "money", "visits"),
        ratio("Training cost per rep", training.sum(axis=0), (present > 0).astype(float), "money", "reps", plus=extra_training),
        ratio("Entertainment cost per visit", entertain.sum(axis=0), visits, "money", "visits"),
        ratio("Orders per hundred visits", ordered, visits, "of 100", "visits", times=100),
        *_customers(orders, now),
        ratio("Sales-force cost as a share of sales", every.sum(axis=0) if len(every) else visits * np.nan, sold / share_sold
              if share_sold > 0 else sold * np.nan, "share", "sales", plus=float(shared["cost"].sum()) if len(shared) else 0.0),
        ratio("Share of recorded time on contacts", by(done[done["type"].isin(CONTACTS)], minutes[done["type"].isin(CONTACTS)].fillna(0)),
              in_all, "share", "minutes recorded"),
    ]  # fmt: skip
    if pd.isna(force):
        rows = [(*r[:1], np.nan, np.nan, np.nan, *r[4:]) if "ost" in r[0] and "Lost" not in r[0] else r for r in rows]
    return pd.DataFrame(rows, columns=["indicator", "value", "lower", "upper", "n", "of", "unit"])


def _present(staff: pd.DataFrame, span: Period) -> pd.Series:
    """Working days, Monday to Friday, on which each rep was employed; all of them where no dates are known."""
    begin = staff["start_date"].fillna(span.since).clip(lower=span.since)
    end = (staff["end_date"] + ONE_DAY).fillna(span.until).clip(upper=span.until)
    days = np.busday_count(begin.to_numpy("datetime64[D]"), np.maximum(begin, end).to_numpy("datetime64[D]"))
    return pd.Series(days.astype("float64"), index=staff["rep_id"])


def _costs(crm: Crm, span: Period) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The costs of the months that lie in the span: of reps, and of the sales force as a whole."""
    none = pd.DataFrame(
        {"rep_id": pd.Series(dtype="str"), "kind": pd.Series(dtype="str"), "cost": pd.Series(dtype="float64")}
    )
    if "costs" not in crm:
        return none, none
    spans = {label: period_of(label, span.fiscal_year_start) for label in crm.costs["period"].unique()}
    inside = {label for label, p in spans.items() if p.since >= span.since and p.until <= span.until}
    costs = crm.costs[crm.costs["period"].isin(inside)]
    return costs[costs["rep_id"].notna()], costs[costs["rep_id"].isna()]


def _by_rep(costs: pd.DataFrame, reps: list[str], kind: str | None) -> np.ndarray:
    """(kind, rep): costs; of one kind or of all."""
    chosen = costs if kind is None else costs[costs["kind"] == kind]
    sums = chosen.groupby("rep_id")["cost"].sum().reindex(reps).fillna(0.0)
    return sums.to_numpy()[None, :]


def _orders(orders: pd.DataFrame | None, won: pd.DataFrame, reps: list[str]) -> np.ndarray:
    """Orders by rep: lines of one day and account are one order; without a table of orders, the deals won."""
    if orders is None:
        return np.asarray(won["rep_id"].value_counts().reindex(reps).fillna(0.0))
    keys = [c for c in ("rep_id", "account_id", "opportunity_id", "order_date") if c in orders]
    one = (
        orders.dropna(subset="rep_id").drop_duplicates(keys) if "rep_id" in orders else orders.head(0).assign(rep_id="")
    )
    return np.asarray(one["rep_id"].value_counts().reindex(reps).fillna(0.0))


def _customers(orders: pd.DataFrame | None, span: Period) -> list[tuple]:
    """Customers with their first order in the span, and those whose year without an order ended in it."""
    if orders is None or "account_id" not in orders:
        return [(name, np.nan, np.nan, np.nan, 0, "customers", "count") for name in ("New customers", "Lost customers")]
    known = orders[orders["order_date"] < span.until].groupby("account_id")["order_date"].agg(["min", "max"])
    new = int((known["min"] >= span.since).sum())
    day = known["max"] + INACTIVE
    lost = int(((day >= span.since) & (day < span.until)).sum())
    return [
        (
            name,
            n,
            chi2.ppf(0.025, 2 * n) / 2 if n else 0.0,
            chi2.ppf(0.975, 2 * n + 2) / 2,
            len(known),
            "customers ever",
            "count",
        )
        for name, n in (("New customers", new), ("Lost customers", lost))
    ]


def spoken(indicators: pd.DataFrame) -> pd.DataFrame:
    """The indicators as they are written: indicator, figure, interval, resting_on."""
    said = [
        SHOWN[r.unit](r.value) + (" minutes" if r.unit == "minutes" and pd.notna(r.value) else "")
        for r in indicators.itertuples()
    ]
    return pd.DataFrame({
        "indicator": indicators["indicator"], "figure": said,
        "interval": [style.between(r.lower, r.upper, SHOWN[r.unit]) for r in indicators.itertuples()],
        "resting_on": [f"{style.money(r.n) if r.of == 'sales' else style.count(r.n)} {r.of}" for r in indicators.itertuples()],
    })  # fmt: skip


def finding_indicators(indicators: pd.DataFrame) -> str:
    """One sentence: visits a day, what one costs and what is booked on one."""
    at = indicators.set_index("indicator")
    day = at.loc["Visits per rep and day present"]
    share = at.loc["Sales-force cost as a share of sales"]
    if not day["value"] > 0:
        return "No visit was recorded in the period, so nothing can be said per visit."
    known = "" if pd.isna(day["lower"]) else f" (95% interval {style.between(day['lower'], day['upper'], '.2f')})"
    cost = "" if pd.isna(share["value"]) else f"; the sales force costs {style.percent(share['value'])} of sales"
    return f"A rep makes **{style.figure(2)(day['value'])} visits a day**{known}{cost}."


def plans(crm: Crm, *, period: Period) -> pd.DataFrame:
    """What each rep planned and did in a period, and how many of their accounts they reached.

    Parameters
    ----------
    crm : Crm
        Activities with planned_at; opportunities with account_id.
    period : Period

    Returns
    -------
    DataFrame
        rep_id, rep, planned (for a day of the period), kept (of these, done by its end), completion with lower, upper (95% Wilson), done
        (in the period), unplanned (share of done), accounts (with a deal of the rep open in the period), reached (of these, by a
        contact), coverage (share), cadence_days (median days between contacts with an account in the year to its end). Most planned first.

    Raises
    ------
    TooLittleData
        When nothing was planned or done.
    """
    now = period.so_far(crm.as_of)
    acts = crm.activities
    planned_at = acts.get("planned_at", pd.Series(pd.NaT, index=acts.index, dtype="datetime64[us]"))
    planned = planned_at.between(now.since, now.until, inclusive="left")
    done = acts["at"].between(now.since, now.until, inclusive="left")
    if not (planned | done).any():
        raise TooLittleData(f"Nothing was planned or done in {period.label}.")
    staff = roster(crm)
    frame = staff[["rep_id", "rep"]].assign(**{
        name: staff["rep_id"].map(acts.loc[rows, "rep_id"].value_counts()).fillna(0).astype("int64")
        for name, rows in (
            ("planned", planned), ("kept", planned & (acts["at"] < now.until)), ("done", done), ("sudden", done & planned_at.isna()),
        )
    })  # fmt: skip
    frame = stats.add_rate(frame, hits="kept", n="planned", name="completion")
    frame["unplanned"] = frame["sudden"] / frame["done"].where(frame["done"] > 0)
    deals = crm.opportunities
    if "account_id" in deals and "account_id" in acts and "created_date" in deals:
        open_then = (deals["created_date"] < now.until) & ~(deals["closed_date"] < now.since)
        theirs = deals.loc[open_then, ["rep_id", "account_id"]].dropna().drop_duplicates()
        contact = acts["type"].isin(CONTACTS) & acts["account_id"].notna()
        met = acts.loc[contact & done, ["rep_id", "account_id"]].drop_duplicates().assign(met=True)
        theirs = theirs.merge(met, how="left", on=["rep_id", "account_id"])
        counts = theirs.groupby("rep_id")["met"].agg(["size", "count"]).reindex(frame["rep_id"]).fillna(0)
        frame["accounts"], frame["reached"] = (counts[c].to_numpy("int64") for c in ("size", "count"))
        frame["coverage"] = frame["reached"] / frame["accounts"].where(frame["accounts"] > 0)
        year = contact & acts["at"].between(now.until - pd.DateOffset(years=1), now.until, inclusive="left")
        days = (
            acts.loc[year, ["rep_id", "account_id"]].assign(day=acts.loc[year, "at"].dt.normalize()).drop_duplicates()
        )
        days = days.sort_values(["rep_id", "account_id", "day"])
        pause = days.groupby(["rep_id", "account_id"])["day"].diff().dt.days
        frame["cadence_days"] = frame["rep_id"].map(pause.groupby(days["rep_id"]).median())
    frame = frame[(frame["planned"] > 0) | (frame["done"] > 0)].drop(columns="sudden")
    return frame.sort_values(["planned", "rep_id"], ascending=[False, True], ignore_index=True)


def finding_plans(plans: pd.DataFrame) -> str:
    """One sentence: how much of what was planned was done, how much was not planned, how many accounts were reached."""
    if plans.empty:
        return "Nothing was planned or done here in the period."
    planned, kept, done = (int(plans[c].sum()) for c in ("planned", "kept", "done"))
    unplanned = (plans["unplanned"] * plans["done"]).sum() / max(1, done)
    reached = ""
    if "accounts" in plans and plans["accounts"].sum():
        share = plans["reached"].sum() / plans["accounts"].sum()
        reached = f" {style.percent(share)} of the accounts with an open deal were reached."
    if not planned:
        return f"Nothing was planned; {style.plural(done, 'activity')} {'was' if done == 1 else 'were'} done.{reached}"
    return (
        f"**{style.percent(kept / planned)}** of {style.plural(planned, 'planned activity')} {'was' if planned == 1 else 'were'} done; "
        f"{style.percent(unplanned)} of what was done was not planned.{reached}"
    )


def chart_plans(plans: pd.DataFrame) -> alt.LayerChart:
    """The share of planned activities that were done, by rep."""
    data, cut = extremes(plans[plans["planned"] > 0].sort_values("completion", ascending=False, kind="stable"))
    columns = [("planned", "Planned", style.count), ("unplanned", "Unplanned", style.percent)]
    if "coverage" in data:
        columns.append(("coverage", "Reached", style.percent))
    return style.dots(
        data, "completion", "rep", columns=columns, title="Planned activities that were done",
        subtitle=f"Share of those planned for the period; 95% intervals; highest first{cut}",
    )  # fmt: skip
