"""What each rep, team and region brought in, beside the period before and the year before."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import goals, stats, style
from salesforecast.errors import TooLittleData
from salesforecast.observed import ENOUGH_NOW, need
from salesforecast.periods import ONE_DAY, Period
from salesforecast.reps.fair import RANKED
from salesforecast.reps.staff import part_of, roster
from salesforecast.tables import Crm
from salesforecast.text import enumerated, md

ALL = "All"
TOTAL = "\0total"  # the key of the last row, which no rep, team or region has
MOST = 30  # bars


def scorecard(crm: Crm, *, period: Period, by: str = "rep") -> pd.DataFrame:
    """The results of a period by rep, team or region, and of all together.

    Deals count for their owner of today, by the day they closed. A period that is not over is compared with the same number of
    days of the others; changes are of bookings per working day, Monday to Friday.

    Parameters
    ----------
    crm : Crm
        Opportunities; reps and targets where there are.
    period : Period
    by : str
        rep, team or region.

    Returns
    -------
    DataFrame
        For reps rep_id, team and, where some had, left (before the period); the name; closed (won or lost in the period), won,
        win_rate (won of closed) with lower, upper (95% Wilson), bookings (money, of the won deals with an amount),
        average_deal (their mean), cycle_days (the median time
        to close at the pace of the period, open deals counted as not yet closed; missing with fewer than 5 deals at risk at an
        age before it), discount (off list price, of the won deals that have one), pipeline (open at the end of the period, at
        the amounts of then), quota and attainment (bookings over quota) where there are targets, then for the period before and
        the year before bookings and change (per working day, relative) with 95% interval. Largest bookings first, two reps
        alone by name; the last row is All.

    Raises
    ------
    MissingTable
        Without owners, or without any team or region.
    """
    staff, deals = roster(crm), crm.opportunities
    need(deals, "rep_id", "closed_date")
    group = deals["rep_id"] if by == "rep" else deals["rep_id"].map(part_of(staff, by))
    everyone = staff["rep_id"] if by == "rep" else staff[by].dropna().drop_duplicates()
    keys = [*sorted(set(everyone) | set(group.dropna())), TOTAL]
    amount = deals["amount"] if "amount" in deals else pd.Series(np.nan, index=deals.index)
    deals = deals.assign(group=pd.Categorical(group, keys[:-1]), amount=amount)  # who owns nothing is in All only
    spans = period.compared(crm.as_of)
    now = _of(deals, spans[0], keys)
    frame = stats.add_rate(now.reset_index(names="group"), hits="won", n="closed", name="win_rate")
    frame["average_deal"] = frame["bookings"] / frame["valued"].where(frame["valued"] > 0)
    frame["cycle_days"] = _cycle(deals, spans[0], keys, crm.as_of)
    if "list_amount" in deals and deals["list_amount"].notna().any():
        frame["discount"] = 1 - frame["agreed"] / frame["listed"].where(frame["listed"] > 0)
    still = crm.at(spans[0].until - ONE_DAY).opportunities.query("outcome == 'open'")
    still = still.reindex(columns=["opportunity_id", "amount"])
    whose = still["opportunity_id"].map(deals.set_index("opportunity_id")["group"].astype("str"))
    frame["pipeline"] = _sums(still[["amount"]], whose, keys)["amount"].fillna(0.0).to_numpy()
    quota = _quota(crm, period, by, keys)
    if quota.notna().any():
        frame["quota"], frame["attainment"] = quota.to_numpy(), frame["bookings"] / quota.to_numpy()
    for name, span in zip(("before", "year"), spans[1:], strict=False):
        then = _of(deals, span, keys)
        changed = stats.sums_change(now, then, span.weekdays / spans[0].weekdays)
        known = span.until > deals["closed_date"].min()  # what lies before the first closing is not in the data
        booked = then["bookings"].to_numpy() if known else np.full(len(then), np.nan)
        columns = (f"change_{name}{end}" for end in ("", "_lower", "_upper"))
        frame = frame.assign(**{f"bookings_{name}": booked}, **dict(zip(columns, changed, strict=True)))
    names = staff.set_index("rep_id")["rep"]
    name = frame["group"].map(names).fillna(frame["group"]) if by == "rep" else frame["group"]
    is_total = frame["group"] == TOTAL
    frame.insert(0, by, name.mask(name == ALL, f"{ALL} ({by})").mask(is_total, ALL))
    frame["group"] = frame["group"].mask(is_total, ALL)
    if by == "rep":
        frame = frame.rename(columns={"group": "rep_id"})
        frame.insert(2, "team", frame["rep_id"].map(staff.set_index("rep_id")["team"]))
    else:
        frame = frame.drop(columns="group")
    gone = pd.Series(False, index=frame.index)
    if by == "rep":
        gone = frame["rep_id"].map(staff.set_index("rep_id")["end_date"]) < spans[0].since
        if gone.any():
            frame.insert(3, "left", gone)
    idle = (frame[["closed", "bookings", "pipeline"]] == 0).all(axis=1)
    frame = frame.assign(last=is_total)[~(gone & idle)].drop(columns=["valued", "squares", "agreed", "listed"])
    if by == "rep" and len(frame) == RANKED:  # with the last row: two alone are not ranked
        return frame.sort_values(["last", by], ignore_index=True).drop(columns="last")
    frame = frame.sort_values(["last", "bookings", by], ascending=[True, False, True], ignore_index=True)
    return frame.drop(columns="last")


def _sums(values: pd.DataFrame, group: pd.Series, keys: list[str]) -> pd.DataFrame:
    """The sums by group, and of all."""
    sums = values.groupby(group, observed=False).sum()
    sums.index = sums.index.astype("str")
    return pd.concat([sums, values.sum().to_frame(TOTAL).T]).reindex(keys)


def _of(deals: pd.DataFrame, span: Period, keys: list[str]) -> pd.DataFrame:
    """The counts and sums of a span by group."""
    inside = (deals["closed_date"] >= span.since) & (deals["closed_date"] < span.until) & (deals["outcome"] != "open")
    here = deals[inside]
    won = here["outcome"] == "won"
    amount = here["amount"].where(won)
    listed = here["list_amount"].where(won & amount.notna()) if "list_amount" in here else amount * np.nan
    values = pd.DataFrame({
        "closed": pd.Series(1, index=here.index), "won": won.astype("int64"), "valued": amount.notna().astype("int64"),
        "bookings": amount.fillna(0.0), "squares": (amount**2).fillna(0.0),
        "agreed": amount.where(listed > 0).fillna(0.0), "listed": listed.where(listed > 0).fillna(0.0),
    })  # fmt: skip
    return _sums(values, here["group"], keys).astype({"closed": "int64", "won": "int64", "valued": "int64"})


def _cycle(deals: pd.DataFrame, span: Period, keys: list[str], as_of: pd.Timestamp) -> np.ndarray:
    """The median time to close by group, at the closing rates of the span at each age."""
    out = np.full(len(keys), np.nan)
    if "created_date" not in deals:
        return out
    first, last = max(span.since, deals["closed_date"].min()), min(span.until - ONE_DAY, as_of)
    is_open = deals["outcome"] == "open"
    there = (
        deals["created_date"].notna() & (deals["created_date"] <= last) & (is_open | (deals["closed_date"] >= first))
    )
    here = deals[there]
    over = (here["closed_date"] <= last).to_numpy()
    entry = ((first - here["created_date"]).dt.days.clip(lower=0)).to_numpy()
    exit = (here["closed_date"].where(over, last) - here["created_date"]).dt.days.to_numpy()
    code = here["group"].cat.codes.to_numpy("int64")
    grown = np.concatenate([np.where(code < 0, len(keys), code), np.full(len(code), len(keys) - 1)])
    entry, exit, over = (np.tile(a, 2) for a in (entry, exit, over))
    order = np.argsort(grown, kind="stable")
    bounds = np.searchsorted(grown[order], np.arange(len(keys) + 1))
    for i in range(len(keys)):
        rows = order[bounds[i] : bounds[i + 1]]
        rows = rows[entry[rows] <= exit[rows]]
        if not len(rows):
            continue
        top = int(exit[rows].max() + 1)
        came, left = np.bincount(entry[rows], minlength=top + 1), np.bincount(exit[rows], minlength=top + 1)
        at_risk = came.cumsum() - np.r_[0, left.cumsum()[:-1]]
        closed = np.bincount(exit[rows][over[rows]], minlength=top + 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            still = np.cumprod(np.where(at_risk > 0, 1 - closed / at_risk, 1.0))
        half = np.flatnonzero(still <= 0.5)
        if len(half) and (at_risk[: half[0] + 1] >= ENOUGH_NOW).all():
            out[i] = half[0]
    return out


def _quota(crm: Crm, period: Period, by: str, keys: list[str]) -> pd.Series:
    """The targets of the period, by whom they are for; the last is the company's."""
    own = goals.own(crm, period, "rep_id") if by == "rep" else goals.targets(crm, period, by)
    return own.reindex(keys).fillna({TOTAL: goals.target(crm, period)})


def finding_lead(scorecard: pd.DataFrame, own: pd.DataFrame, period: Period) -> str:
    """The page in a sentence: the bookings beside the year before, and whether anybody's win rate stands out beyond luck.

    Parameters
    ----------
    scorecard : DataFrame
        From `scorecard`, by rep.
    own : DataFrame
        The rows of `fair` that the page is about.
    period : Period
    """
    total = scorecard.iloc[-1]
    what = f"**{style.money(total['bookings'])}** booked in {period.label}{_against(total, period)}"
    if not total["bookings"] > 0:
        what = f"Nothing was booked in {period.label}, {style.plural(total['won'], 'deal')} won"
    known = own[own["verdict"] != "few"]
    named = known[known["verdict"] != "same"].sort_values("q", kind="stable")
    if known.empty:
        return f"{what}; too few deals have closed to compare win rates."
    if len(own) == 1:
        words = {
            "above": "above what luck explains",
            "below": "below what luck explains",
            "same": "within what luck explains",
        }
        return f"{what}; the win rate of the year is {words[known.iloc[0]['verdict']]}."
    if named.empty:
        return f"{what}; nobody's win rate of the year stands out beyond luck."
    if len(named) == 1:
        row = named.iloc[0]
        return f"{what}; **{md(row['rep'])}** wins {'more' if row['verdict'] == 'above' else 'fewer'} deals than luck explains."
    who = [f"**{md(r.rep)}** ({'more' if r.verdict == 'above' else 'fewer'})" for r in named.itertuples()]
    return f"{what}; {enumerated(who, 2)} win more or fewer deals than luck explains."


def _against(total: pd.Series, period: Period) -> str:
    """The change on the year before in words; nothing where it is not known."""
    year = period.year_before().label
    change, low, high = (total.get(f"change_year{end}", np.nan) for end in ("", "_lower", "_upper"))
    if pd.isna(change):
        return ""
    if pd.isna(low) or low <= 0 <= high:
        return f", per working day not clearly different from {year}"
    return f", per working day {'up' if change > 0 else 'down'} {style.percent(abs(change))} on {year}"


def finding_scorecard(scorecard: pd.DataFrame, period: Period) -> str:
    """Two sentences: the bookings with their change on a year before, and how few bring half of those with an owner; nobody's name."""
    by = "rep" if "rep" in scorecard else scorecard.columns[0]
    total, rows = scorecard.iloc[-1], scorecard.iloc[:-1]
    if by != "rep" and len(rows) < 2:
        raise TooLittleData(f"There is only one {by} here, so there is nothing to set beside it.")
    if not total["bookings"] > 0:
        closed = style.plural(total["closed"], "deal")
        return f"Nothing was booked in {period.label}; {closed} closed, {style.count(total['won'])} won."
    year = period.year_before().label
    sentence = (
        f"**{style.money(total['bookings'])}** from {style.plural(total['won'], 'win')}{_against(total, period)}."
    )
    sold = rows[rows["bookings"] > 0]
    if by != "rep":
        top = rows.iloc[0]
        grew = rows[rows.get("change_year_lower", pd.Series(np.nan, index=rows.index)) > 0][by].map(md)
        up = f" Clearly up on {year}: {', '.join(grew)}." if len(grew) else ""
        return (
            f"**{md(top[by])}** booked {style.money(top['bookings'])} of {style.money(total['bookings'])} "
            f"({style.percent(top['bookings'] / total['bookings'])}), the most of {style.plural(len(rows), by)}.{up}"
        )
    if "left" in rows:
        rows = rows[~rows["left"] | (rows["bookings"] > 0)]  # who was gone booked nothing, and could not
    if len(rows) < RANKED or sold.empty:
        return sentence
    half = int((sold["bookings"].sort_values(ascending=False).cumsum() < sold["bookings"].sum() / 2).sum()) + 1
    idle = len(rows) - len(sold)
    rest = f"; {style.plural(idle, by)} booked nothing" if idle else ""
    what = "it" if sold["bookings"].sum() > 0.995 * total["bookings"] else "what has an owner"
    return f"{sentence} {half} of {style.plural(len(rows), by)} brought half of {what}{rest}."


def chart_scorecard(scorecard: pd.DataFrame) -> alt.LayerChart:
    """Bookings, largest first, with wins, win rate and quota reached."""
    by = "rep" if "rep" in scorecard else scorecard.columns[0]
    rows = scorecard.iloc[:-1]
    shown = rows.head(MOST)
    reached = shown["attainment"] if "attainment" in shown else pd.Series(np.nan, index=shown.index)
    words = [
        f"{style.money(b, short=True)} from {style.plural(w, 'win')}"
        + ("" if pd.isna(a) else f", {style.percent(a)} of quota")
        for b, w, a in zip(shown["bookings"], shown["won"], reached, strict=True)
    ]
    cut = f"; the {MOST} largest of {len(rows)}" if len(rows) > MOST else ""
    order = "in the order of names" if by == "rep" and len(rows) == RANKED - 1 else f"largest first{cut}"
    return style.bars(
        shown.assign(words=words), "bookings", by, text="words", accent=[] if by == "rep" else shown[by].head(1).tolist(),
        title=f"Bookings by {by}", subtitle=f"Amounts of the deals won in the period; {order}",
    )  # fmt: skip
