"""Were targets met before: attainment of past periods, and the plan of each segment."""

from __future__ import annotations

import altair as alt
import pandas as pd

from salesforecast import stats, style
from salesforecast.errors import MissingTable, TooLittleData, unknown
from salesforecast.goals import target, targets
from salesforecast.periods import ONE_DAY, Period
from salesforecast.tables import NOT_FILLED, Crm
from salesforecast.targets.sold import between
from salesforecast.text import md

GRAINS = {"daily": "rep", "weekly": "team", "monthly": "region", "results": "region"}


def level(
    grain: str, given: str = "", deals: pd.DataFrame | None = None, *, region: str = "", team: str = "", rep: str = ""
) -> str:
    """The names a role looks at: reps and branch heads daily, middle managers weekly, senior ones monthly, owners only results.

    Parameters
    ----------
    grain : str
        daily, weekly, monthly or results.
    given : str
        Another column, which goes before.
    deals : DataFrame, optional
        From `crm.deals`: where they lack the column, teams are looked at, else reps, else ("") the whole alone.
    region, team, rep : str
        What the page is limited to: within a team reps are compared, within a region its teams.

    Raises
    ------
    SettingError
        For another grain.

    Examples
    --------
    >>> level("daily"), level("weekly"), level("weekly", "product"), level("weekly", team="North")
    ('rep', 'team', 'product', 'rep')
    """
    if grain not in GRAINS:
        raise unknown("grain", grain, GRAINS)
    if given:
        return given
    limited = "rep" if team or rep or grain == "daily" else "team"
    usual = limited if region or team or rep else GRAINS[grain]
    return usual if deals is None else next((c for c in (usual, "team", "rep") if c in deals), "")


def wanted_here(everything: Crm, crm: Crm, span: Period, by: str) -> pd.Series:
    """The targets by the values of a column, of those that a limited page is about.

    Parameters
    ----------
    everything, crm : Crm
        All data, and what `only` has left of them: targets of teams and products are in the first alone.
    span : Period
    by : str
        rep, team, region, product or channel.
    """
    found = targets(everything, span, by)
    if len(crm.opportunities) == len(everything.opportunities):
        return found
    names = set(crm.deals[by].dropna()) if by in crm.deals else set()
    if "reps" in crm and by in crm.reps:
        names |= set(crm.reps[by].dropna())
    return found[found.index.isin(names)]


def results(
    crm: Crm, sales: pd.DataFrame, span: Period, as_of: pd.Timestamp, *, past: int = 8, **only: str
) -> pd.DataFrame:
    """Booked against target for the periods before, and this one as far as it is.

    Parameters
    ----------
    crm : Crm
        targets.
    sales : DataFrame
        day, amount.
    span, as_of
        The period, and the last day known.
    past : int
        How many periods before it.
    **only : str
        As in `goals.target`: team="North".

    Returns
    -------
    DataFrame
        period, target, booked, attainment (fraction), ended (flag); oldest first. Periods without a target are left
        out.

    Raises
    ------
    TooLittleData
        When no period has a target.
    """
    rows = []
    for i in range(past, -1, -1):
        at = span.previous(i) if i else span
        goal = target(crm, at, **only)
        if goal > 0 and at.since <= as_of:
            got = float(between(sales, at.since, min(at.until, as_of + ONE_DAY))["amount"].sum())
            rows.append((at.label, goal, got, got / goal, at.until <= as_of + ONE_DAY))
    if not rows:
        raise TooLittleData("No period here has a target. Add the table of targets.")
    return pd.DataFrame(rows, columns=["period", "target", "booked", "attainment", "ended"])


def finding_results(results: pd.DataFrame) -> str:
    """One sentence: how many past targets were met, and the last."""
    done = results[results["ended"]]
    if done.empty:
        return "No period with a target is over yet."
    met, last = int((done["attainment"] >= 1).sum()), done.iloc[-1]
    of, all_ = style.plural(len(done), "target"), style.percent(done["booked"].sum() / done["target"].sum())
    return (
        f"**{met} of {of}** {'was' if met == 1 else 'were'} met; {last['period']} came to {style.percent(last['attainment'])}, "
        f"all together to {all_}."
    )


def chart_results(results: pd.DataFrame) -> alt.LayerChart:
    """Attainment by period."""
    data = results.assign(period=results["period"].where(results["ended"], results["period"] + " so far"))
    last = data["period"].iloc[-1]
    return style.dots(
        data, "attainment", "period", line=1.0, line_label="target", accent=str(last),
        columns=[("booked", "Booked", style.money), ("target", "Target", style.money)],
        title="Quota reached by period", subtitle="Booked, of the target of the period",
    )  # fmt: skip


def segments(deals: pd.DataFrame, as_of: pd.Timestamp, *, by: str = "segment") -> pd.DataFrame:
    """The plan's sheet of each target group: what it brought in a year, how long it takes, how often it is won, who competes.

    Parameters
    ----------
    deals : DataFrame
        The column of `by`, created_date, closed_date, outcome, amount, competitor where it is.
    as_of : Timestamp
        The last day known: deals closed in the year to it count.
    by : str

    Returns
    -------
    DataFrame
        The column of `by`, n (closed), won, win_rate, lower, upper (95%), bookings (money), average_deal, cycle_days (median of won deals)
        where the day they were entered is known, competitor (named most in lost deals); largest bookings first.
    """
    until = as_of + ONE_DAY
    if by not in deals:
        raise MissingTable(f"This needs the {by} of each deal. Map the column {by} of the opportunities.")
    year = deals[
        deals["closed_date"].between(until - pd.DateOffset(years=1), until, inclusive="left")
        & (deals["outcome"] != "open")
    ]
    if year.empty:
        raise TooLittleData("No deal was closed in the year before.")
    won = year["outcome"] == "won"
    group = year[by].astype("object").fillna(NOT_FILLED).astype("str")
    frame = pd.DataFrame({"n": year.groupby(group).size(), "won": won.groupby(group).sum().astype("int64")})
    frame = stats.add_rate(frame, hits="won", n="n", name="win_rate")
    frame["bookings"] = year["amount"].where(won).groupby(group).sum()
    frame["average_deal"] = year["amount"].where(won).groupby(group).mean()
    if "created_date" in year:
        days = (year["closed_date"] - year["created_date"]).dt.days.where(won)
        frame["cycle_days"] = days.groupby(group).median()
    if "competitor" in year:
        lost = year[(year["outcome"] == "lost") & year["competitor"].notna()]
        most = lost.groupby(group[lost.index])["competitor"].agg(lambda names: sorted(names.mode())[0])
        frame["competitor"] = most.reindex(frame.index).astype("object").where(most.reindex(frame.index).notna(), "")
    frame = frame.rename_axis(by).reset_index()
    return frame.sort_values(["bookings", by], ascending=[False, True], ignore_index=True)


def finding_segments(segments: pd.DataFrame) -> str:
    """One sentence: which target group brings most, and at what rate."""
    if not segments["bookings"].sum() > 0:
        closed = style.plural(segments["n"].sum(), "deal")
        return f"**Nothing was booked** in the year before, of {closed} closed."
    top = segments.iloc[0]
    share, between = (
        top["bookings"] / segments["bookings"].sum(),
        style.between(top["lower"], top["upper"], style.percent),
    )
    within = f", half of the wins within {style.days(top['cycle_days'])}" if pd.notna(top.get("cycle_days")) else ""
    return (
        f"**{md(top.iloc[0])}** brings {style.percent(share)} of the bookings: {style.percent(top['win_rate'])} of "
        f"{style.plural(top['n'], 'closed deal')} won (95% interval {between}){within}."
    )
