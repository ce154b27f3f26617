"""What each channel brought in, beside the period before and the year before."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from scipy.stats import norm

from salesforecast import shrinkage, stats, style
from salesforecast.channels.entries import ages, channel_of, entries, two_years
from salesforecast.channels.fair import LEVEL, RATE, counted
from salesforecast.channels.returns import margins
from salesforecast.channels.spending import spending
from salesforecast.errors import TooLittleData
from salesforecast.observed import NEARLY_ALL, need
from salesforecast.periods import Period
from salesforecast.tables import NOT_FILLED, Crm
from salesforecast.text import enumerated, md

ALL = "All"
TOTAL = "\0total"  # the key of the last row, which no channel has
TOP = 5  # customers whose share of bookings is the concentration
MOST = 20  # bars


def scorecard(crm: Crm, *, period: Period, by: str = "channel") -> pd.DataFrame:
    """The results of a period by channel, and of all together.

    What was booked, ordered and spent is that of the period; the win rate and the time to win need deals that had time to end, so they
    are those of the deals entered in the two years to its end, with open deals undecided. A period that is not over is compared with
    the same number of days of the others; changes are of bookings per working day, Monday to Friday.

    Parameters
    ----------
    crm : Crm
        Opportunities; leads, orders, products and spend where there are.
    period : Period
    by : str
        What is compared: channel, partner_id, or any other column of the deals.

    Returns
    -------
    DataFrame
        channel; leads (that came in), created (deals entered), closed, won, bookings (money; missing where no win has an amount),
        average_deal, top_share (of the bookings, by the five largest customers; missing with fewer than ten customers), then of two years
        entries, win_rate, lower, upper (90%, deals of a customer and of a quarter alike; missing with fewer than 10 wins, and while
        wins still come at the last age followed), undecided (share still open), cycle_days (by which half of the wins have come);
        revenue, margin (of the order lines of the period), spend and contribution (margin less spend) where the data have them; then
        for the period before and the year before bookings and change (relative, 95%). Largest bookings first, All last.

    Raises
    ------
    MissingTable
        When nothing says by which channel deals came.
    """
    deals = crm.deals
    need(deals, by, "closed_date")
    group = deals[by].astype("str").fillna(NOT_FILLED)
    amount = deals["amount"] if "amount" in deals else pd.Series(np.nan, index=deals.index)
    deals = deals.assign(channel=group, amount=amount)
    spans = period.compared(crm.as_of)
    keys = [*sorted({*group, *_elsewhere(crm, spans[0], by)}), TOTAL]
    now, past = _of(deals, spans[0], keys), [_of(deals, span, keys) for span in spans[1:]]
    frame = now.reset_index(names="channel")
    frame["average_deal"] = frame["bookings"] / frame["valued"].where(frame["valued"] > 0)
    created = deals[_within(deals["created_date"], spans[0])] if "created_date" in deals else deals[:0]
    frame.insert(
        1, "created", _sums(pd.Series(1, index=created.index), created["channel"], keys).astype("int64").to_numpy()
    )
    if "leads" in crm and by in crm.leads:
        leads = crm.leads[_within(crm.leads["created_at"], spans[0])]
        counts = _sums(pd.Series(1, index=leads.index), leads[by].fillna(NOT_FILLED), keys)
        frame.insert(1, "leads", counts.astype("int64").to_numpy())
    frame = frame.merge(_lasting(crm, period, by), on="channel", how="left")
    frame = _money(crm, frame, spans[0], by, keys)
    for name, span, then in zip(("before", "year"), spans[1:], past, strict=False):
        known = span.until > deals["closed_date"].min()  # what lies before the first closing is not in the data
        booked = then["bookings"].to_numpy() if known else np.full(len(then), np.nan)
        changed = stats.sums_change(now, then, span.weekdays / spans[0].weekdays)
        columns = (f"change_{name}{end}" for end in ("", "_lower", "_upper"))
        frame = frame.assign(**{f"bookings_{name}": booked}, **dict(zip(columns, changed, strict=True)))
    frame["bookings"] = frame["bookings"].where(
        (frame["valued"] > 0) | (frame["won"] == 0)
    )  # else the amounts are not known
    frame = frame.drop(columns=["valued", "squares"])
    frame = frame.assign(last=frame["channel"].eq(TOTAL)).sort_values(
        ["last", "bookings", "channel"], ascending=[True, False, True], ignore_index=True
    )
    return frame.assign(channel=frame["channel"].replace(TOTAL, ALL)).drop(columns="last")


def _elsewhere(crm: Crm, span: Period, by: str) -> set[str]:
    """The channels by which a lead or an order came in a span, or that cost something in it, whether or not a deal names them."""
    found: set[str] = set()
    if "leads" in crm and by in crm.leads:
        found |= set(crm.leads.loc[_within(crm.leads["created_at"], span), by].fillna(NOT_FILLED))
    if "orders" in crm:
        found |= set(channel_of(crm, crm.orders[_within(crm.orders["order_date"], span)], by))
    if "spend" in crm and by == "channel":
        spent = spending(crm)
        found |= set(spent.loc[(spent["spend"] > 0) & _within(spent["period"], span), "channel"])
    return found


def _within(days: pd.Series, span: Period) -> pd.Series:
    return days.between(span.since, span.until, inclusive="left")


def _sums(values: pd.Series, group: pd.Series, keys: list[str]) -> pd.Series:
    return pd.concat([values.groupby(group).sum().reindex(keys[:-1]).fillna(0), pd.Series({TOTAL: values.sum()})])


def _of(deals: pd.DataFrame, span: Period, keys: list[str]) -> pd.DataFrame:
    """The counts and sums of a span by channel."""
    here = deals[_within(deals["closed_date"], span) & (deals["outcome"] != "open")]
    won = here["outcome"] == "won"
    amount = here["amount"].where(won)
    columns = {
        "closed": pd.Series(1, index=here.index), "won": won.astype("int64"), "valued": amount.notna().astype("int64"),
        "bookings": amount.fillna(0.0), "squares": (amount**2).fillna(0.0),
    }  # fmt: skip
    frame = pd.DataFrame({name: _sums(values, here["channel"], keys) for name, values in columns.items()})
    frame = frame.astype({"closed": "int64", "won": "int64", "valued": "int64"})
    frame["top_share"] = np.nan
    if "account_id" in here:
        sold = here.assign(amount=amount).dropna(subset="amount")
        for name, rows in [*sold.groupby("channel"), (TOTAL, sold)]:
            per = rows.groupby("account_id")["amount"].sum().sort_values(ascending=False)
            if len(per) >= 2 * TOP:
                frame.loc[name, "top_share"] = per.head(TOP).sum() / per.sum()
    return frame


def _lasting(crm: Crm, period: Period, by: str) -> pd.DataFrame:
    """Of the deals entered in two years: how many, the share won with open ones undecided, how many are open, and the time to a win."""
    since, until = two_years(period)
    columns = ["channel", "entries", "win_rate", "lower", "upper", "undecided", "cycle_days"]
    try:
        rows = entries(crm, since=since, until=until, by=by)
    except TooLittleData:
        return pd.DataFrame(columns=columns).astype({"channel": "str"})
    out = []
    for name, part in [*rows.groupby("channel"), (TOTAL, rows.assign(channel=TOTAL))]:
        about = ages(part).iloc[0]
        row = {"channel": name, "entries": len(part), "undecided": about["undecided"] / len(part)}
        if about["settled"]:  # else wins still come, and what was won by the last age is not what will be in the end
            part = part[part["entry"] <= part["exit"]]
            y = counted(part, int(about["followed"]))
            rate, error = float(y.mean()), (y - y.mean())[:, None] / len(y)
            times = len(np.unique(part["quarter"]))
            alike = (part["account"].to_numpy("int64"), part["quarter"].to_numpy("int64"))
            variance = stats.clustered(error, *alike[: 2 if times > 1 else 1])
            lower, upper = stats.share_interval(np.array([rate]), variance, max(1, times - 1), LEVEL)
            row |= {
                "win_rate": rate,
                "lower": lower[0],
                "upper": upper[0],
                "cycle_days": _half(part, int(about["followed"])),
            }
        out.append(row)
    return pd.DataFrame(out).reindex(columns=columns)


def _half(part: pd.DataFrame, age: int) -> float:
    """The age by which half of the wins that come by an age have come."""
    entry, exit, outcome = (part[c].to_numpy() for c in ("entry", "exit", "outcome"))
    table = stats.life_table(entry, exit, outcome, np.zeros(len(part), dtype="int64"), 1, age + 1)
    won = stats.incidence(table, np.ones((1, 1)))[0]
    return float(stats.first_age(won, won[:, -1] * NEARLY_ALL / 2)[0])


def _money(crm: Crm, frame: pd.DataFrame, span: Period, by: str, keys: list[str]) -> pd.DataFrame:
    """Revenue, margin, spend and contribution of the period, as far as the data have them for these channels."""
    if "orders" in crm:
        lines = margins(crm)
        there = crm.orders if lines is None else lines
        there = there[_within(there["order_date"], span)]
        own = channel_of(crm, there, by)
        frame["revenue"] = _sums(there["net_amount"], own, keys).to_numpy()
        if lines is not None:
            frame["margin"] = _sums(there["margin"], own, keys).to_numpy()
    if "spend" in crm and by == "channel":
        spend = spending(crm)
        spend = spend[_within(spend["period"], span)]
        frame["spend"] = _sums(spend["spend"], spend["channel"], keys).to_numpy()
        if "margin" in frame:
            frame["contribution"] = frame["margin"] - frame["spend"]
    return frame


def finding_scorecard(scorecard: pd.DataFrame, period: Period) -> str:
    """One or two sentences: which channel booked most, and which clearly changed on a year before."""
    total, rows = scorecard.iloc[-1], scorecard.iloc[:-1]
    if not total["bookings"] > 0:
        closed = style.plural(total["closed"], "deal")
        what = (
            f"No deal won in {period.label} has an amount" if total["won"] else f"Nothing was booked in {period.label}"
        )
        return f"{what}; {closed} closed, {style.count(total['won'])} of them won."
    named = rows[rows["channel"] != NOT_FILLED]
    if named.empty:
        raise TooLittleData("No deal says what it came by, so there is nothing to set side by side.")
    top, year = named.iloc[0], period.year_before().label
    sentence = (
        f"**{md(top['channel'])}** booked {style.money(top['bookings'])} of {style.money(total['bookings'])} "
        f"({style.percent(top['bookings'] / total['bookings'])}), the most of {style.plural(len(named), 'channel')}."
    )
    said = []
    moved = _moved(named)
    for words, found in (("up", named[moved > 0]), ("down", named[moved < 0])):
        if len(found):
            names = [md(c) for c in found["channel"]]
            said.append(f"{enumerated(names)} {'is' if len(found) == 1 else 'are'} clearly {words}")
    return f"{sentence} On {year}, {' and '.join(said)}." if said else f"{sentence} None clearly changed on {year}."


def _moved(rows: pd.DataFrame) -> np.ndarray:
    """1 for each that clearly rose on a year before, -1 for each that fell, else 0: under a false-discovery rate of 10%."""
    if "change_year" not in rows:
        return np.zeros(len(rows))
    change, low, high = (
        np.log((1 + rows[f"change_year{end}"]).where(rows["change_year_lower"].notna()).to_numpy("float64"))
        for end in ("", "_lower", "_upper")
    )
    z = change / (high - low) * 2 * norm.ppf(0.5 + stats.LEVEL / 2)
    clear, known = np.zeros(len(rows), dtype=bool), ~np.isnan(z)
    clear[known] = shrinkage.q_values(2 * norm.sf(np.abs(z[known]))) < RATE
    return np.where(clear, np.sign(z), 0.0)


def chart_scorecard(scorecard: pd.DataFrame) -> alt.LayerChart:
    """Bookings, largest first, with wins and the win rate."""
    rows = scorecard.iloc[:-1].head(MOST)
    words = [
        f"{style.money(b, short=True)} from {style.plural(w, 'win')}"
        + ("" if pd.isna(r) else f"; {style.percent(r)} won in the end")
        for b, w, r in zip(rows["bookings"], rows["won"], rows["win_rate"], strict=True)
    ]
    cut = f"; the {MOST} largest of {len(scorecard) - 1}" if len(scorecard) - 1 > MOST else ""
    return style.bars(
        rows.assign(words=words), "bookings", "channel", text="words", title="Bookings by channel",
        accent=rows.loc[rows["channel"] != NOT_FILLED, "channel"].head(1).tolist(),
        subtitle=f"Amounts of the deals won in the period; largest first{cut}",
    )  # fmt: skip
