"""What the sales force does: the classical indicators with intervals, and plans against what was done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import altair as alt
import numpy as np
import pandas as pd
from scipy.stats import chi2

from salesforecast import goals, stats, style
from salesforecast.errors import TooLittleData
from salesforecast.periods import ONE_DAY, Period
from salesforecast.reps.fair import extremes
from salesforecast.reps.staff import roster, work
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
    of a visit is the share of a rep's costs that the minutes of visits are of all minutes recorded, and what the visits cost
    beside; reps without recorded minutes or without costs are left out of it. What holds costs is of the months whose costs are
    known. A customer is *new* with the first of the orders in the data, which on the page of a team or a rep are theirs, *lost*
    when the year since the last one ends in the period. Intervals come from resampling reps; those of counts are Poisson's.
    What the data do not hold is missing.

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
    if not work(crm, "at")["at"].between(now.since, now.until, inclusive="left").any():
        raise TooLittleData(f"No activity was done in {period.label}.")
    did = _work(crm, now)
    costs, paid = _costs(crm, now)
    there = _work(crm, paid)
    spent = there.reindex(did.index).fillna(0.0)
    kinds = {"all": costs, **{kind: costs[costs["kind"] == kind] for kind in ("training", "entertainment")}}
    for kind, rows in kinds.items():
        spent[kind] = rows.groupby("rep_id")["cost"].sum().reindex(did.index).fillna(0.0)
    others = {kind: float(rows["cost"].sum() - spent[kind].sum()) for kind, rows in kinds.items()}  # of nobody here
    timed = (spent["all"] > 0) & (spent["recorded"] > 0)  # of the others it is not known what a visit costs
    of_visits = (spent["all"] * spent["in_visits"] / spent["recorded"] + spent["beside"]).where(timed, 0.0)
    each = _inside(crm.orders, "order_date", paid)["net_amount"] if "orders" in crm else there["booked"]
    sales = float(each.sum())
    sold = spent["sold"]
    sold = sold * sales / sold.sum() if sold.sum() > 0 else pd.Series(sales / len(did), did.index)
    weight = stats.weights(len(did))

    def ratio(
        name: str, top: pd.Series, bottom: pd.Series, unit: str, of: str, times: float = 1.0, plus: float = 0.0
    ) -> tuple:
        with np.errstate(invalid="ignore", divide="ignore"):
            values = times * (weight @ top.to_numpy() + plus) / (weight @ bottom.to_numpy())
        values = np.where(np.isfinite(values), values, np.nan)
        lower, upper = (float(bound) for bound in stats.quantile_interval(values[1:]))
        if lower == upper:  # the same for each rep: nothing to resample
            lower = upper = np.nan
        return name, values[0], lower, upper, bottom.sum(), of, unit

    visits, present = spent["visits"], (spent["present"] > 0).astype("float64")
    rows = [
        ratio("Visits per rep and day present", did["visits"], did["present"], "", "rep days"),
        ratio("Time per contact", did["in_visits"], did["timed"], "minutes", "visits with a time"),
        ratio("Bookings per visit", did["booked"], did["visits"], "money", "visits"),
        ratio("Cost per visit", of_visits, visits.where(timed, 0.0), "money", "visits"),
        ratio("Training cost per rep", spent["training"], present, "money", "reps", plus=others["training"]),
        ratio("Entertainment cost per visit", spent["entertainment"], visits, "money", "visits", plus=others["entertainment"]),
        ratio("Orders per hundred visits", did["ordered"], did["visits"], "of 100", "visits", times=100),
        *_customers(crm.orders if "orders" in crm else None, now),
        ratio("Sales-force cost as a share of sales", spent["all"], sold, "share", "sales", plus=others["all"]),
        ratio("Share of recorded time on contacts", did["in_contacts"], did["recorded"], "share", "minutes recorded"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["indicator", "value", "lower", "upper", "n", "of", "unit"])


def _work(crm: Crm, span: Period) -> pd.DataFrame:
    """What each rep did and won in the span, of those who were there or did something: days present; visits, of these timed; minutes
    in_visits, in_contacts and recorded; beside (cost of visits); booked, sold and ordered.
    """
    done, deals = _inside(crm.activities, "at", span), crm.opportunities
    won = _inside(deals[deals["outcome"] == "won"], "closed_date", span)
    visit = done["type"].isin(VISITS)
    minutes, cost = (done.get(c, pd.Series(np.nan, index=done.index)) for c in ("minutes", "cost"))
    booked = won.get("amount")
    days = _present(roster(crm), span)
    if "reps" in crm:  # how long others were there is not known
        days = days[days.index.isin(crm.reps["rep_id"])]
    reps = sorted(set(days.index[days > 0]) | set(done["rep_id"]))

    def by(rows: pd.DataFrame, values: pd.Series | None) -> pd.Series:
        if values is None or "rep_id" not in rows:
            return pd.Series(np.nan, reps)
        return values.astype("float64").groupby(rows["rep_id"]).sum().reindex(reps).fillna(0.0)

    sums = {
        "visits": by(done, visit), "timed": by(done, visit & minutes.notna()), "in_visits": by(done, minutes.where(visit)),
        "in_contacts": by(done, minutes.where(done["type"].isin(CONTACTS))), "recorded": by(done, minutes),
        "beside": by(done, cost.where(visit)), "booked": by(won, booked), "sold": by(won, booked),
        "ordered": by(won, pd.Series(1.0, won.index)),
    }  # fmt: skip
    if "orders" in crm:
        lines = _inside(crm.orders, "order_date", span)
        one = lines.drop_duplicates([c for c in ("rep_id", "account_id", "opportunity_id", "order_date") if c in lines])
        sums |= {"sold": by(lines, lines["net_amount"]), "ordered": by(one, pd.Series(1.0, one.index))}
    return pd.DataFrame({"present": days.reindex(reps).fillna(0.0), **sums})


def _inside(frame: pd.DataFrame, column: str, span: Period) -> pd.DataFrame:
    """The rows of the span; none without the column."""
    if column not in frame:
        return frame.head(0)
    return frame[frame[column].between(span.since, span.until, inclusive="left")]


def _present(staff: pd.DataFrame, span: Period) -> pd.Series:
    """Working days, Monday to Friday, on which each rep was employed; all of them where no dates are known."""
    begin = staff["start_date"].fillna(span.since).clip(lower=span.since)
    end = (staff["end_date"] + ONE_DAY).fillna(span.until).clip(upper=span.until)
    days = np.busday_count(begin.to_numpy("datetime64[D]"), np.maximum(begin, end).to_numpy("datetime64[D]"))
    return pd.Series(days.astype("float64"), index=staff["rep_id"])


def _costs(crm: Crm, span: Period) -> tuple[pd.DataFrame, Period]:
    """The costs of the months that lie in the span, and the part of the span they are of; none of it without costs."""
    columns = {"period": "str", "rep_id": "str", "kind": "str", "cost": "float64"}
    costs = (crm.costs if "costs" in crm else pd.DataFrame()).reindex(columns=list(columns)).astype(columns)
    parts = {label: part for label in costs["period"].unique() if (part := goals.inside(str(label), span))}
    since = min((p.since for p in parts.values()), default=span.since)
    until = max((p.until for p in parts.values()), default=span.since)
    return costs[costs["period"].isin(parts)], replace(span, since=since, until=until)


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
    never = pd.Series(pd.NaT, index=acts.index, dtype="datetime64[us]")
    at, planned_at = acts.get("at", never), acts.get("planned_at", never)
    planned = planned_at.between(now.since, now.until, inclusive="left")
    done = at.between(now.since, now.until, inclusive="left")
    if not (planned | done).any():
        raise TooLittleData(f"Nothing was planned or done in {period.label}.")
    staff = roster(crm)
    frame = staff[["rep_id", "rep"]].assign(**{
        name: staff["rep_id"].map(acts.loc[rows, "rep_id"].value_counts()).fillna(0).astype("int64")
        for name, rows in (
            ("planned", planned), ("kept", planned & (at < now.until)), ("done", done), ("sudden", done & planned_at.isna()),
        )
    })  # fmt: skip
    frame = stats.add_rate(frame, hits="kept", n="planned", name="completion")
    frame["unplanned"] = frame["sudden"] / frame["done"].where(frame["done"] > 0)
    deals = crm.opportunities
    if {"rep_id", "account_id", "created_date", "closed_date"} <= set(deals) and "account_id" in acts:
        open_then = (deals["created_date"] < now.until) & ~(deals["closed_date"] < now.since)
        theirs = deals.loc[open_then, ["rep_id", "account_id"]].dropna().drop_duplicates()
        contact = acts["type"].isin(CONTACTS) & acts["account_id"].notna()
        met = acts.loc[contact & done, ["rep_id", "account_id"]].drop_duplicates().assign(met=True)
        theirs = theirs.merge(met, how="left", on=["rep_id", "account_id"])
        counts = theirs.groupby("rep_id")["met"].agg(["size", "count"]).reindex(frame["rep_id"]).fillna(0)
        frame["accounts"], frame["reached"] = (counts[c].to_numpy("int64") for c in ("size", "count"))
        frame["coverage"] = frame["reached"] / frame["accounts"].where(frame["accounts"] > 0)
        year = contact & at.between(now.until - pd.DateOffset(years=1), now.until, inclusive="left")
        days = acts.loc[year, ["rep_id", "account_id"]].assign(day=at[year].dt.normalize()).drop_duplicates()
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
    sudden = f"; {style.percent(unplanned)} of what was done was not planned" if done else ""
    return (
        f"**{style.percent(kept / planned)}** of {style.plural(planned, 'planned activity')} {'was' if planned == 1 else 'were'} "
        f"done{sudden}.{reached}"
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
