"""What a channel costs and brings: cost per win, return on spend, and margin for an hour of selling."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import stats, style
from salesforecast.channels.entries import ages
from salesforecast.channels.fair import LEVEL, counted
from salesforecast.channels.spending import spending
from salesforecast.errors import MissingTable, TooLittleData
from salesforecast.observed import ENOUGH
from salesforecast.tables import NOT_FILLED, Crm
from salesforecast.text import enumerated, md

RIVAL = 0.05  # a channel that is the highest in fewer of the resamples is out
WINS = 10  # fewer say too little of what a win brings


def returns(crm: Crm, entries: pd.DataFrame, *, since: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame:
    """What the deals entered in a window bring, set against what their channel cost in it and the hours worked on them.

    Open deals count with what deals of their channel and age still bring, so that neither the young nor the slow are counted as
    lost: wins, bookings and margin are sums of pseudo-values at the age by which nearly all wins have come. Margin is that of the order
    lines of a deal, less their unit costs, and bookings times the share of margin of all lines where a won deal has no lines. The return
    is an average of what was spent, not what one more euro would bring.

    Parameters
    ----------
    crm : Crm
        Spend and activities where there are; orders and products for the margin.
    entries : DataFrame
        From `entries`, of all deals of the window.
    since, until : Timestamp
        The window.

    Returns
    -------
    DataFrame
        channel, n (deals), open, won (so far), and expected, what open deals still bring counted: wins, bookings, margin (missing
        without order lines and unit costs); spend (of the months of the window), cost_per_win, return_share (margin less spend, over
        spend; of bookings where there is no margin), hours, per_hour
        (margin, or bookings, for an hour recorded), each of the last with _lower and _upper (90%, resampling customers), first_euro,
        first_hour (share of the resamples in which it is the highest). These are missing of a channel with fewer than 10 wins, or
        whose wins still come at the last age to which it can be followed, short of that at which the others' have come; one that
        cost something, so long ago, and brought no deal at all has lost all of it. Those not filled in are left out. Highest return first.

    Raises
    ------
    MissingTable
        With neither spend nor recorded minutes for these channels.
    TooLittleData
        With fewer than 10 wins.
    """
    frame = ages(entries)
    frame = frame[frame["channel"] != NOT_FILLED]
    spent, hours = _spend(crm, since, until), _hours(crm, entries)
    if spent is not None and frame["channel"].isin(spent.index).any():  # else it is not by channel that is compared
        idle = spent.index[(spent["spend"] > 0) & ~spent.index.isin(frame["channel"])]
        none = {"n": 0, "won": 0, "lost": 0, "undecided": 0, "followed": 0, "settled": True}
        frame = pd.concat([frame, pd.DataFrame({"channel": idle, **none})])
    frame = frame.reset_index(drop=True)
    spend = frame["channel"].map(spent["spend"]) if spent is not None else pd.Series(np.nan, index=frame.index)
    if spend.isna().all() and hours is None:
        raise MissingTable(
            "This needs what each channel cost, or the time spent on its deals: the spend by channel and month, or activities with minutes."
        )
    if (entries["outcome"] == "won").sum() < ENOUGH:
        raise TooLittleData(f"There are fewer than {ENOUGH} wins to say what a channel brings.")
    rows = entries[(entries["entry"] <= entries["exit"]) & entries["channel"].isin(frame["channel"])]
    age = int(np.nanmax([*frame["horizon"].dropna(), 0])) or int(frame["followed"].max())
    margin = _margins(crm, rows)
    worth = rows["amount"].to_numpy() if margin is None else margin
    sums = {"wins": counted(rows, age), "bookings": counted(rows, age, rows["amount"].to_numpy()), "worth": counted(rows, age, worth),
            "hours": np.zeros(len(rows)) if hours is None else hours.reindex(rows.index).fillna(0.0).to_numpy()}  # fmt: skip
    code, groups = pd.Index(frame["channel"]).get_indexer(rows["channel"]), int(rows["account"].max()) + 1
    weight, k = stats.weights(groups), len(frame)
    cell = rows["account"].to_numpy("int64") * k + code
    draws = {n: weight @ np.bincount(cell, v, minlength=groups * k).reshape(groups, k) for n, v in sums.items()}
    cost = spend.to_numpy("float64")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = {
            "cost_per_win": np.where(draws["wins"] > 0, cost / draws["wins"], np.nan),
            "return_share": np.where(cost > 0, (draws["worth"] - cost) / cost, np.nan),
            "per_hour": np.where(draws["hours"] > 0, draws["worth"] / draws["hours"], np.nan),
        }
    frame = frame.rename(columns={"undecided": "open"}).assign(
        wins=draws["wins"][0], bookings=draws["bookings"][0], margin=np.nan if margin is None else draws["worth"][0], spend=cost,
    )  # fmt: skip
    # one that can be followed less far than wins come has more to bring than is seen: it is too young, not dear
    young = ~frame["settled"] & (frame["followed"] < age)
    enough, idle = (frame["won"].to_numpy() >= WINS) & ~young.to_numpy(), np.zeros(k, dtype=bool)
    if spent is not None:  # a deal would have come, and been won, by now
        waited = (crm.as_of - frame["channel"].map(spent["first"])).dt.days
        idle = ((frame["n"] == 0) & (waited > age)).to_numpy()
    for name, values in ratios.items():
        if name == "per_hour":
            frame["hours"] = draws["hours"][0]
        lower, upper = stats.quantile_interval(values[1:], LEVEL)
        frame[name] = np.where(enough | idle, values[0], np.nan)
        frame[f"{name}_lower"], frame[f"{name}_upper"] = (
            np.where(enough, lower, np.nan),
            np.where(enough, upper, np.nan),
        )
    for name, of in (("first_euro", "return_share"), ("first_hour", "per_hour")):
        values = np.where((enough | idle) & ~np.isnan(ratios[of]), ratios[of], -np.inf)[1:]
        known = np.isfinite(values).any(axis=1)
        best = np.bincount(values[known].argmax(axis=1), minlength=k) / max(1, known.sum())
        frame[name] = best if known.any() else np.nan
    frame = frame.drop(columns=["lost", "followed", "settled", "horizon"])
    return frame.sort_values(["return_share", "per_hour", "channel"], ascending=[False, False, True], ignore_index=True)


def _spend(crm: Crm, since: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame | None:
    """What each channel cost in the months of a window, and the first of the months in which it cost anything."""
    if "spend" not in crm or crm.spend.empty:
        return None
    spent = spending(crm)
    inside = (spent["period"] >= since) & (spent["period"] < min(until, crm.as_of))
    spent = spent.assign(spend=spent["spend"].where(inside, 0.0))
    first = spent[spent["spend"] > 0].groupby("channel")["period"].min()
    return pd.DataFrame({"spend": spent.groupby("channel")["spend"].sum(), "first": first})


def _hours(crm: Crm, entries: pd.DataFrame) -> pd.Series | None:
    """The hours recorded on each deal."""
    if "activities" not in crm or not {"opportunity_id", "minutes"} <= set(crm.activities):
        return None
    done = crm.activities[crm.activities["opportunity_id"].isin(entries.index)]
    hours = done.groupby("opportunity_id")["minutes"].sum() / 60
    return hours if hours.sum() > 0 else None


def margins(crm: Crm) -> pd.DataFrame | None:
    """The order lines with their margin (net amount less unit costs); None where nothing tells costs.

    A line without a unit cost has that of its product, and else the share of margin of all lines that have one.
    """
    if "orders" not in crm or "quantity" not in crm.orders:
        return None
    lines = crm.orders
    cost = lines["unit_cost"] if "unit_cost" in lines else pd.Series(np.nan, index=lines.index)
    if "products" in crm and "unit_cost" in crm.products and "product_id" in lines:
        cost = cost.fillna(lines["product_id"].map(crm.products.set_index("product_id")["unit_cost"]))
    own = lines["net_amount"] - lines["quantity"] * cost
    known = own.notna()
    if not known.any() or lines.loc[known, "net_amount"].sum() <= 0:
        return None
    share = own[known].sum() / lines.loc[known, "net_amount"].sum()
    return lines.assign(margin=own.fillna(lines["net_amount"] * share))


def _margins(crm: Crm, rows: pd.DataFrame) -> np.ndarray | None:
    lines = margins(crm)
    if lines is None or "opportunity_id" not in lines:
        return None
    of_deal = lines.groupby("opportunity_id")["margin"].sum()
    share = lines["margin"].sum() / lines["net_amount"].sum()
    own = pd.Series(rows.index).map(of_deal).to_numpy("float64")
    return np.asarray(np.where(np.isnan(own), rows["amount"].to_numpy() * share, own))


def finding_returns(returns: pd.DataFrame) -> str:
    """Two sentences in plain words: where the next euro, and where the next hour, would go by what they have brought."""
    of = "margin" if returns["margin"].notna().any() else "bookings"
    said = []
    for first, value, what in (("first_euro", "return_share", style.money(1)), ("first_hour", "per_hour", "hour")):
        known = returns[returns[value].notna()].sort_values([value, "channel"], ascending=[False, True])
        if len(known) < 2:
            continue
        each, rivals = (0 if what == "hour" else 1) + known[value].iloc[0], known[known[first] >= RIVAL]
        amount = style.money(each) if what == "hour" or each >= 10 else _cents(each)
        names = [md(c) for c in rivals["channel"].head(3)]
        if each < (0 if what == "hour" else 1):
            nothing = "an hour brought less than nothing" if what == "hour" else "none brought back what it cost"
            said.append(f"{nothing}: at most {amount} of {of} for each {what} ({md(known['channel'].iloc[0])})")
        elif len(rivals) == 1:
            low, high = ((0 if what == "hour" else 1) + rivals[f"{value}_{end}"].iloc[0] for end in ("lower", "upper"))
            between = f"; 90% interval {style.between(low, high, style.money if min(low, high) >= 10 or what == 'hour' else _cents)}"
            said.append(
                f"the next {what} goes to **{names[0]}** ({amount} of {of} for each{'' if pd.isna(low) else between})"
            )
        else:
            who = enumerated(names, word="or") if len(rivals) <= 3 else f"any of {len(rivals)} channels"
            said.append(f"the next {what} goes to **{who}**, which cannot be told apart (up to {amount})")
    if not said:
        return "Fewer than two channels have a known cost and wins enough, old enough, so there is nothing to set side by side."
    return f"By past averages, with what open deals are expected to bring, {', '.join(said)}."


def _cents(x: float) -> str:
    return style.money(1).replace("1", style.figure(2)(x))


def chart_returns(returns: pd.DataFrame) -> alt.LayerChart:
    """Return on spend by channel with its interval; margin an hour where there is no spend."""
    value = "return_share" if returns["return_share"].notna().any() else "per_hour"
    data = returns[returns[value].notna()].rename(columns={f"{value}_lower": "lower", f"{value}_upper": "upper"})
    margin = "margin" if returns["margin"].notna().any() else "bookings"
    rivals = data.loc[data["first_euro" if value == "return_share" else "first_hour"] >= RIVAL, "channel"].tolist()
    columns = [
        ("spend", "Spent", _short),
        ("cost_per_win", "Cost an expected win", _short),
        ("per_hour", f"{margin.capitalize()} an hour", _short),
    ]
    if value == "per_hour":
        return style.dots(
            data.rename(columns={value: "for_hour"}), "for_hour", "channel", fmt=style.money, level=LEVEL, accent=rivals,
            columns=[("wins", "Expected", style.count), ("hours", "Hours", style.count)],
            title=f"{margin.capitalize()} for an hour of selling", subtitle="Open deals counted with what they still bring; 90% intervals",
        )  # fmt: skip
    each = data.assign(for_each=data["return_share"] + 1, lower=data["lower"] + 1, upper=data["upper"] + 1)
    return style.dots(
        each, "for_each", "channel", fmt=style.times, level=LEVEL,
        line=1.0, line_label="cost", columns=columns, accent=rivals, title=f"{margin.capitalize()} for each unit of spend",
        subtitle="Open deals counted with what they still bring; 90% intervals; blue: may be the highest",
    )  # fmt: skip


def _short(x: float) -> str:
    return style.money(x, short=True)
