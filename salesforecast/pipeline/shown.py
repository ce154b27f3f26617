"""What a report shows of the pipeline forecast: one sentence and one chart for each question."""

from __future__ import annotations

from fractions import Fraction

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import style
from salesforecast.cards import Card, Cards
from salesforecast.errors import TooLittleData
from salesforecast.formats import Format, between, count, missing, money, percent, plural, points
from salesforecast.periods import ONE_DAY, Period
from salesforecast.pipeline import combination
from salesforecast.pipeline.backtesting import Backtest
from salesforecast.pipeline.judging import METHOD
from salesforecast.pipeline.outlook import current
from salesforecast.stakes import LEVEL
from salesforecast.tables import Crm
from salesforecast.text import md, opening

ALARM = 0.05  # of a difference by luck in any class: a rarer one is said to be none
WIDE = 0.3  # an interval of a share that is wider says little
DRAWN = 3  # methods beside ours in the chart of the errors: more lines cannot be told apart


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


def table_bridge(bridge: pd.DataFrame) -> pd.DataFrame:
    """The terms that moved something, between the two totals."""
    kept = bridge[(bridge["amount"].abs() >= 0.005) | bridge["n"].gt(0)]
    return kept[["term", "n", "amount"]].reset_index(drop=True)


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


def finding_judged(judged: pd.DataFrame) -> str:
    """One sentence: in how many past periods the range held, and how far off the forecasts were."""
    n, held, level = len(judged), int(judged["held"].sum()), judged["level"].iloc[0]
    off = (judged["actual"] - judged["mean"]).abs().sum() / judged["actual"].abs().sum()
    weeks = plural(judged["weeks_to_go"].iloc[-1], "week")
    few = "" if n >= 10 else f" {opening(plural(n, 'period'))} can say little about a range: more will."
    return (
        f"The {percent(level)} ranges held in **{held} of {n}** past periods, seen {weeks} before their end with what was known "
        f"then; {percent(level)} of {n} would be {level * n:.0f}. The forecasts were off by {percent(off)} of the bookings.{few}"
    )


def chart_judged(judged: pd.DataFrame) -> alt.LayerChart:
    """The range that was given for each past period, and what came."""
    frame = judged[["period", "lower", "upper", "actual"]]
    return style.ledger(
        style.rounded(frame, "lower", "upper", "actual"), fmt=money, title="Past forecasts and what came",
        subtitle="Grey: the range given then, with as many weeks to go as now; orange: bookings outside it",
    )  # fmt: skip


def finding_accuracy(accuracy: pd.DataFrame) -> str:
    """Up to three sentences: how far off the forecast was, whether that is less than the best simple method, and what luck leaves."""
    weeks = [c for c in accuracy if c.endswith("to_go")]
    rows = accuracy.set_index("method")
    ours = rows.loc["combination"]
    simple = rows.drop(index=["combination", "pipeline", "series", "human_commit", "floor"], errors="ignore")
    first, last = (int(weeks[k].split("_")[0]) for k in (0, -1))
    said = (
        f"Over {plural(accuracy['n'].iloc[0], 'past period')} this forecast was off by **{percent(ours[weeks[0]])}** of the bookings "
        f"with {plural(first, 'week')} to go and {percent(ours[weeks[-1]])} with {plural(last, 'week')}"
    )
    if len(simple):
        best = simple.loc[simple["taken_off"].idxmin()]
        name, by = METHOD[str(best.name)], 100 * best["taken_off"]
        range_ = "" if missing(best["taken_off_lower"]) else (
            f" (95% interval of the gain {points(best['taken_off_lower'])} to {points(best['taken_off_upper'])})"
        )  # fmt: skip
        said += ". Over all weeks of the table together it "
        if best["taken_off_lower"] > 0 or best["taken_off_upper"] < 0:
            said += "was nearer than" if by > 0 else "was **worse** than"
            said += f" the best simple method, {name}, by {_points(by)}{range_}"
        else:
            said += f"cannot be told apart from the best simple method, {name}: {_points(by)} {'nearer' if by > 0 else 'worse'}"
            said += range_ or "; fewer than three periods tell no more"
    if "floor" in rows.index:
        luck = rows.at["floor", weeks[0]]
        said += (
            f". Luck alone leaves {percent(luck)} on average with {plural(first, 'week')} to go, were all chances right"
        )
    return f"{said}."


def table_accuracy(accuracy: pd.DataFrame) -> pd.DataFrame:
    """The same with the methods' names in words."""
    return accuracy.assign(method=accuracy["method"].map(METHOD))


def chart_accuracy(accuracy: pd.DataFrame) -> alt.LayerChart:
    """The error of this forecast by weeks to go, in colour, of luck, and of the methods nearest to it; the others are in the table."""
    weeks = [c for c in accuracy if c.endswith("to_go")]
    fixed = accuracy["method"].isin(["combination", "floor"])
    kept = accuracy[fixed | accuracy.index.isin(accuracy.index[~fixed][:DRAWN])]
    left = len(accuracy) - len(kept)
    long = kept.melt(id_vars="method", value_vars=weeks, var_name="to_go", value_name="off")
    long = long.assign(weeks=[-float(w.split("_")[0]) for w in long["to_go"]], method=long["method"].map(METHOD))
    return style.lines(
        style.rounded(long, "off"), "weeks", "off", "method", fmt=percent, main=METHOD["combination"], x_title="weeks to the end",
        title="Off by, of the bookings",
        subtitle="Sum of absolute errors over the sum of bookings, past periods, as known then"
        + (f"; {plural(left, 'more method')} in the table only" if left else ""),
    )  # fmt: skip


def finding_groups(groups: pd.DataFrame) -> str:
    """One sentence: who is likely to reach the target and who is not; only the largest where there are no targets."""
    by = groups.columns[0]
    if "chance" not in groups or groups["chance"].isna().all():
        top = groups.iloc[0]
        if len(groups) == 1:
            return f"All of the forecast, {money(top['forecast'])}, is of **{md(str(top[by]))}**: there is no other."
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


def finding_watch(watch: pd.DataFrame, parts: pd.DataFrame) -> str:
    """Up to three sentences: how much of the forecast hangs on few deals, on which most, and what the other methods make of them."""
    if watch.empty:
        raise TooLittleData("No deal is open, so the period hangs on none.")
    rows = parts.set_index("part")
    expected = rows.at["Open pipeline", "alone"]
    five = percent(watch["expected"].head(5).sum() / expected if expected else np.nan)
    if len(watch) < 5:
        said = f"**{five}** of what the open deals are expected to bring hangs on {plural(len(watch), 'deal')}"
    else:
        said = f"The five deals that matter most carry **{five}** of what the open deals are expected to bring"
    top = watch.loc[watch["swing"].idxmax()] if "swing" in watch else watch.iloc[0]
    name = md(str(top["name"] if "name" in watch and pd.notna(top.get("name")) else top["opportunity_id"]))
    if "swing" in watch and top["swing"] >= 0.005:
        said += f"; {name} alone moves the chance of the target by {_points(100 * top['swing'])}, more than any other of them."
    elif "swing" in watch:
        said += "; none of them alone moves the chance of the target by a point."
    else:
        said += f"; the first of them is {name}, {money(top['amount'])} at {percent(top['chance'])}."
    pipe = rows.loc[["Open pipeline", "Deals to come"]].sum()
    return said + _others(pipe["amount"] / pipe["alone"] if pipe["alone"] > 0 else 1.0)


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


def finding_silent(silent: pd.DataFrame) -> str:
    """One sentence: how many open deals are silent, and what the forecast counts of them."""
    row = silent.iloc[0]
    old = "older_than" in silent
    limit = row["older_than" if old else "silent_after"]
    if missing(limit):
        return "How long a silent deal is quiet cannot be told: no deal of which that is known was won."
    if not row["n"]:
        return f"No open deal {'is older than' if old else 'has been silent for more than'} {plural(limit, 'day')}."
    one = row["n"] == 1
    does = (
        ("is" if one else "are") + " older than" if old else ("has" if one else "have") + " not changed for more than"
    )
    stands = "it stands" if one else "they stand"
    return (
        f"**{count(row['n'])} of {plural(row['of'], 'open deal')}** {does} {plural(limit, 'day')}, longer than nearly all won deals were "
        f"shortly before; of the {money(row['amount'])} {stands} for {money(row['expected'])} is expected."
        + _others(row["factor"])
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


def finding_calibration(calibration: pd.DataFrame) -> str:
    """Up to three sentences: whether something speaks against the chances, how much the periods can say, and what cannot be judged."""
    known = calibration[calibration["p"].notna()]
    if known.empty:
        raise TooLittleData("No class of chances has deals of two periods, so chances cannot be checked.")
    off, few = known[known["p"] < ALARM], known[known["upper"] - known["lower"] > WIDE]
    if off.empty:
        said = (
            f"**Nothing speaks against the chances**: in {plural(len(known), 'class', 'classes')} luck explains what was won beside what "
            f"was said."
        )
    else:
        worst, rest = off.loc[(off["said"] - off["won_share"]).abs().idxmax()], len(known) - len(off)
        said = (
            f"Of the deals given a chance of {worst['chances']}, **{percent(worst['won_share'])}** were won where "
            f"{percent(worst['said'])} were expected, more than luck explains"
        )
        said += f"; so are {plural(len(off) - 1, 'other class', 'other classes')} off" if len(off) > 1 else ""
        said += f"; nothing speaks against the other {plural(rest, 'class', 'classes')}." if rest else "."
    if len(few):
        said += (
            f" {opening(plural(few['periods'].max(), 'period'))} are too few to say much of {plural(len(few), 'class', 'classes')}: the "
            f"intervals there are wider than {count(100 * WIDE)} points."
        )
    if left := len(calibration) - len(known):
        said += f" {opening(plural(left, 'class', 'classes'))} with deals of one period only cannot be judged."
    return said


def chart_calibration(calibration: pd.DataFrame) -> alt.LayerChart:
    """The share won of each class of chances, beside the chance it was given."""
    columns: list[tuple[str, str, Format | None]] = [("said", "Said", percent), ("deals", "Deals", count)]
    return style.dots(
        style.rounded(calibration, "won_share", "lower", "upper"), "won_share", "chances", fmt=percent,
        columns=columns, domain=(0, 1),
        title="Won by the end of the period, by the chance given", subtitle="95% interval; all past weeks, as known then",
    )  # fmt: skip


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


def _points(x: float) -> str:
    """How many points of a share, without a sign."""
    size = abs(x)
    return plural(round(size), "point") if size >= 0.95 else "under 1 point"


def _others(factor: float) -> str:
    """A sentence on what the other methods make of the money that the chances of all deals come to."""
    if abs(factor - 1) < 0.005:
        return ""
    return f" The other methods take what all deals are expected to bring {'up' if factor > 1 else 'down'} by {percent(abs(factor - 1))}."


def _wins(n: float) -> str:
    return "under 1 win" if 0 < n < 0.5 else plural(round(n), "win")
