"""What a report shows of the pipeline forecast: one sentence and one chart for each question."""

from __future__ import annotations

from fractions import Fraction

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import style
from salesforecast.cards import Card, Cards
from salesforecast.errors import TooLittleData
from salesforecast.formats import Format, between, count, money, percent, plural
from salesforecast.periods import ONE_DAY, Period
from salesforecast.pipeline import combination
from salesforecast.pipeline.backtesting import Backtest
from salesforecast.pipeline.outlook import current
from salesforecast.stakes import LEVEL
from salesforecast.tables import Crm
from salesforecast.text import md


def finding_parts(parts: pd.DataFrame, past: Backtest) -> str:
    """One sentence: the number, its range, and the chance of reaching the target."""
    rows = parts.set_index("part")
    whole, label = rows.loc["Forecast"], md(current(past).period.label)
    said = (
        f"{label} is heading for **{money(whole['amount'])}**; {often(parts)} it will end between "
        f"{money(whole['lower'])} and {money(whole['upper'])}"
    )
    if "Target" not in rows.index:
        return f"{said}. There is no target for it."
    chance, target = rows.at["Target", "chance"], rows.at["Target", "amount"]
    if rows.at["Won so far", "amount"] >= target:
        return f"{said}. The target of {money(target)} is reached."
    return f"{said}. The chance of reaching {money(target)} is **{chance_of(chance)}**."


def finding_period(asked: Period, span: Period, crm: Crm, **only: str) -> str:
    """One sentence: which period is forecast, as of when; what the one asked for brought, when it is over; and of which deals.

    Parameters
    ----------
    asked, span : Period
        The one asked for, and the one forecast.
    crm : Crm
        Of today.
    **only : str
        What the page is limited to, by name: team="North"; empty ones are nothing.
    """
    known = f"known is what had happened by {crm.as_of:%Y-%m-%d}"
    if part := ", ".join(f"{name} {value}" for name, value in only.items() if value):
        known += (
            f". It is forecast from the deals of {md(part)} alone: a model of its own. The company's page splits its own forecast, and "
            f"the two need not agree"
        )
    if asked.label == span.label:
        return f"{md(span.label)} ends on {span.until - ONE_DAY:%Y-%m-%d}; {known}."
    deals = crm.opportunities
    won = deals[
        (deals["outcome"] == "won") & (deals["closed_date"] >= asked.since) & (deals["closed_date"] < asked.until)
    ]
    brought = money(won["amount"].sum()) if "amount" in won else plural(len(won), "win")
    return f"{md(asked.label)} is over: it brought **{brought}**. Forecast is {md(span.label)}, which is not; {known}."


def finding_left_out(crm: Crm) -> str:
    """One sentence: how many open deals the forecast leaves out, because nobody says when they were entered."""
    deals = crm.opportunities
    lost = deals[(deals["outcome"] == "open") & (deals["created_date"].isna() | (deals["created_date"] > crm.as_of))]
    if lost.empty:
        n = int((deals["outcome"] == "open").sum())
        every = "No deal is open" if not n else "The one open deal is" if n == 1 else f"All {count(n)} open deals are"
        return f"{every}{' in the forecast' if n else ', so the forecast rests on deals to come'}."
    worth = f", {money(lost['amount'].sum())}," if "amount" in lost else ""
    return (
        f"**{plural(len(lost), 'open deal')}**{worth} {'has' if len(lost) == 1 else 'have'} no created date and "
        f"{'is' if len(lost) == 1 else 'are'} not in the forecast; fill it in to count them."
    )


def cards_parts(parts: pd.DataFrame) -> Cards:
    """The cards of the page: the forecast, the chance, what is won, what is open and what is to come."""
    rows = parts.set_index("part")
    whole, won, pipe, new = (rows.loc[p] for p in ("Forecast", "Won so far", "Open pipeline", "Deals to come"))
    held = percent(level_of(parts))
    cards = [
        Card(
            "Forecast",
            money(whole["amount"]),
            (f"{held} range {between(whole['lower'], whole['upper'], money)}",),
        )
    ]
    if "Target" in rows.index:
        chance, gap = rows.at["Target", "chance"], rows.at["Gap", "amount"]
        short = f"{money(abs(gap))} {'short' if gap > 0 else 'above'} on average"
        cards.append(
            Card("Chance of the target", chance_of(chance), (f"target {money(rows.at['Target', 'amount'])}", short))
        )
    ranges = [f"{held} range {between(part['lower'], part['upper'], money)}" for part in (pipe, new)]
    cards += [
        Card("Won so far", money(won["amount"]), (plural(won["n"], "deal"),)),
        Card("From open deals", money(pipe["amount"]), (f"of {plural(pipe['n'], 'open deal')}", ranges[0])),
        Card("From deals to come", money(new["amount"]), (f"{_wins(new['n'])} expected", ranges[1])),
    ]
    return Cards(
        cards, "The ranges of the parts do not add up to that of the whole: not everything goes wrong at once."
    )


def finding_made(parts: pd.DataFrame) -> str:
    """One sentence: how much of what is still expected is in the pipeline already."""
    rows = parts.set_index("part")
    pipe, new = rows.loc["Open pipeline"], rows.loc["Deals to come"]
    rest = pipe["amount"] + new["amount"]
    if rest <= 0:
        return "Nothing more is expected in the period."
    return (
        f"**{money(pipe['amount'])}** of the {money(rest)} still expected are in the pipeline already; {money(new['amount'])} are to "
        f"come from deals that nobody has entered yet."
    )


def chart_parts(parts: pd.DataFrame) -> alt.LayerChart:
    """What is won, what the open deals and those to come add, and the whole beside the target."""
    rows = parts[~parts["part"].isin(["Target", "Gap"])].reset_index(drop=True)
    rows = rows.assign(
        sure=rows["part"].map({"Won so far": 1.0, "Open pipeline": 0.7, "Deals to come": 0.35, "Forecast": 1.0})
    )
    target = parts.loc[parts["part"] == "Target", "amount"]
    return style.steps(
        style.rounded(rows, "amount", "lower", "upper"), "part", "amount", fmt=money, total="Forecast", sure="sure",
        line=float(target.iloc[0]) if len(target) else None, line_label="target",
        title="What the forecast is made of", subtitle=f"The fainter, the less certain; lines: the ranges that hold {often(parts)}",
    )  # fmt: skip


def finding_groups(groups: pd.DataFrame) -> str:
    """One sentence: who is likely to reach the target and who is not; only the largest where there are no targets."""
    by = groups.columns[0]
    if "chance" not in groups or groups["chance"].isna().all():
        top = groups.iloc[0]
        if len(groups) == 1:
            return f"All of the forecast, {money(top['forecast'])}, is of **{md(str(top[by]))}**: there is no other."
        if not groups["forecast"].sum() > 0:
            return f"Nothing is expected of any {by.replace('_id', '')}."
        share = top["forecast"] / groups["forecast"].sum()
        return (
            f"**{md(str(top[by]))}** is to bring the most, {money(top['forecast'])}, {percent(share)} of the forecast."
        )
    known = groups[groups["chance"].notna()]
    low, high = known.loc[known["chance"].idxmin()], known.loc[known["chance"].idxmax()]
    likely = int((known["chance"] > 0.5).sum())
    if len(known) == 1:
        return f"**{md(str(high[by]))}** reaches its target with a chance of **{chance_of(high['chance'])}**; no other has one."
    return (
        f"**{likely} of {len(known)}** {'is' if likely == 1 else 'are'} more likely than not to reach their target: "
        f"{md(str(high[by]))} most ({chance_of(high['chance'])}), {md(str(low[by]))} least ({chance_of(low['chance'])})."
    )


def chart_groups(groups: pd.DataFrame) -> alt.LayerChart:
    """The forecast of each group with its range, and the chance of its target."""
    by = groups.columns[0]
    columns: list[tuple[str, str, Format | None]] = [("target", "Target", money), ("chance", "Chance", percent)]
    columns = columns if "chance" in groups else []
    return style.dots(
        style.rounded(groups.head(20), "forecast", "lower", "upper"), "forecast", by, fmt=money, columns=columns,
        title=f"Forecast by {by.replace('_id', '')}", subtitle=f"Line: the range that holds {often(groups)}",
    )  # fmt: skip


def finding_luck(past: Backtest, combined: pd.DataFrame) -> str:
    """One sentence: how far off today's forecast would be were every chance right."""
    row = combined.iloc[-1]
    current(past)
    off = past.origins["floor"].iloc[-1] * row["scale"] * np.sqrt(2 / np.pi)
    if not row["mean"] > 0:
        raise TooLittleData("Nothing is expected of the period, so luck has nothing to move.")
    return (
        f"Were every chance right, the luck of single deals alone would still leave this forecast off by **±{percent(off / row['mean'])}** "
        f"on average, {money(off)}, as the deals are simulated."
    )


def finding_wins(past: Backtest, combined: pd.DataFrame) -> str:
    """One sentence: from how many wins the models have learnt, and what twice as many would make of the range."""
    row, wins = combined.iloc[-1], current(past).model.wins
    lower, upper = combination.with_twice_the_wins(past, combined)
    spared = 1 - (upper - lower) / (row["upper"] - row["lower"]) if row["upper"] > row["lower"] else 0.0
    said = f"The models have learnt from {plural(wins, 'won deal')}; twice as many would make the range"
    if spared < 0.02:
        return f"{said} hardly narrower: its width is the luck of deals and of periods."
    return f"{said} about **{percent(spared)} narrower**, from {money(lower)} to {money(upper)} with today's deals."


def table_range(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame of forecasts whose range is headed by what it holds: 80%."""
    held = round(100 * level_of(frame))
    return frame.rename(columns={"lower": f"lower_{held}", "upper": f"upper_{held}"}).drop(
        columns="level", errors="ignore"
    )


def finding_coverage(coverage: pd.DataFrame) -> str:
    """One sentence: whether there is pipeline enough for the rest of the target."""
    row = coverage.iloc[0]
    there, chance = f"{row['coverage']:.1f} times", f"a chance of {percent(row['likely'])} of reaching the target"
    if pd.isna(row["needed"]):
        return f"The open pipeline is {there} what is still to book; no amount of deals like these gives {chance}."
    if row["missing_pipeline"] <= 0:
        return (
            f"There is pipeline enough: **{there}** what is still to book, where {row['needed']:.1f} times give {chance}; "
            f"{percent(row['conversion'])} of the open amount is expected by the end."
        )
    return (
        f"The open pipeline is **{there}** what is still to book; for {chance} it would take {row['needed']:.1f} times, "
        f"**{money(row['missing_pipeline'])}** more of deals like those that are open, of which {percent(row['conversion'])} is expected "
        f"by the end."
    )


def finding_quarters(outlook: pd.DataFrame) -> str:
    """One sentence: what the next periods bring together by the series of bookings."""
    if len(outlook) < 2:
        raise TooLittleData("The series is too short to look further ahead.")
    whole, first = outlook.iloc[-1], outlook.iloc[:-1]
    return (
        f"By the series of bookings alone the {plural(len(first), 'quarter')} after it bring **{money(whole['mean'])}**; four times in "
        f"five between {money(whole['lower_80'])} and {money(whole['upper_80'])}."
    )


def often(frame: pd.DataFrame) -> str:
    """How often the range of the frame holds, as it is spoken of: four times in five."""
    level = Fraction(level_of(frame)).limit_denominator(100)
    if level == Fraction(4, 5):
        return "four times in five"
    return f"{plural(level.numerator, 'time')} in {level.denominator}"


def level_of(frame: pd.DataFrame) -> float:
    """What the range of the frame holds."""
    return float(frame["level"].iloc[0]) if "level" in frame else LEVEL


def chance_of(p: float) -> str:
    """A chance as it is spoken of: never 0 or 100%, for a simulation cannot know that."""
    if p < 0.01:
        return "under 1%"
    return "over 99%" if p > 0.99 else percent(p)


def _wins(n: float) -> str:
    return "under 1 win" if 0 < n < 0.5 else plural(round(n), "win")
