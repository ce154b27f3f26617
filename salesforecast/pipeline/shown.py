"""What a report shows of the pipeline forecast: one sentence and one chart for each question."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import style
from salesforecast.cards import Card, Cards
from salesforecast.errors import TooLittleData
from salesforecast.formats import Format, between, count, money, percent, plural
from salesforecast.periods import ONE_DAY, Period
from salesforecast.pipeline.backtesting import Backtest
from salesforecast.pipeline.outlook import current
from salesforecast.tables import Crm
from salesforecast.text import md, opening

METHOD = {
    "combination": "this forecast", "pipeline": "pipeline model", "amount_share": "share of amounts",
    "stage_share": "share of deals", "series": "series of bookings", "run_rate": "run rate", "pick_up": "pick-up",
    "floor": "luck alone", "last_year": "last year", "stage_rate": "weighted by stage rate", "crm_probability": "weighted by the CRM",
    "human_commit": "human commit",
}  # fmt: skip


def finding_parts(parts: pd.DataFrame, past: Backtest) -> str:
    """One sentence: the number, its range, and the chance of reaching the target."""
    rows = parts.set_index("part")
    whole, label = rows.loc["Forecast"], md(current(past).period.label)
    said = (
        f"{label} is heading for **{money(whole['amount'])}**; four times in five it will end between "
        f"{money(whole['lower'])} and {money(whole['upper'])}"
    )
    if "Target" not in rows.index:
        return f"{said}. There is no target for it."
    chance, target = rows.at["Target", "chance"], rows.at["Target", "amount"]
    if rows.at["Won so far", "amount"] >= target:
        return f"{said}. The target of {money(target)} is reached."
    return f"{said}. The chance of reaching {money(target)} is **{_chance(chance)}**."


def finding_period(asked: Period, span: Period, crm: Crm) -> str:
    """One sentence: which period is forecast, as of when; and what the one asked for brought, when it is over."""
    known = f"known is what had happened by {crm.as_of:%Y-%m-%d}"
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
        return f"Every one of the {plural((deals['outcome'] == 'open').sum(), 'open deal')} is in the forecast."
    worth = f", {money(lost['amount'].sum())}," if "amount" in lost else ""
    return (
        f"**{plural(len(lost), 'open deal')}**{worth} {'has' if len(lost) == 1 else 'have'} no created date and "
        f"{'is' if len(lost) == 1 else 'are'} not in the forecast; fill it in to count them."
    )


def cards_parts(parts: pd.DataFrame) -> Cards:
    """The cards of the page: the forecast, the chance, what is won, what is open and what is to come."""
    rows = parts.set_index("part")
    whole, won, pipe, new = (rows.loc[p] for p in ("Forecast", "Won so far", "Open pipeline", "Deals to come"))
    cards = [Card("Forecast", money(whole["amount"]), (f"80% range {between(whole['lower'], whole['upper'], money)}",))]
    if "Target" in rows.index:
        chance, gap = rows.at["Target", "chance"], rows.at["Gap", "amount"]
        short = f"{money(abs(gap))} {'short' if gap > 0 else 'above'} on average"
        cards.append(
            Card("Chance of the target", _chance(chance), (f"target {money(rows.at['Target', 'amount'])}", short))
        )
    ranges = [f"80% range {between(part['lower'], part['upper'], money)}" for part in (pipe, new)]
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
        title="What the forecast is made of", subtitle="The fainter, the less certain; lines: the ranges that hold four times in five",
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
    """One sentence: how the forecast did against the best of the simple methods."""
    weeks = [c for c in accuracy if c.endswith("to_go")]
    rows = accuracy.set_index("method")[weeks]
    ours = rows.loc["combination"]
    simple = rows.drop(
        index=[m for m in ("combination", "pipeline", "series", "human_commit", "floor") if m in rows.index]
    )
    best = simple.mean(axis=1).idxmin()
    first, last = (int(weeks[k].split("_")[0]) for k in (0, -1))
    luck = (
        f" Luck alone leaves {percent(rows.at['floor', weeks[0]])} on average with {plural(first, 'week')} to go, were all chances right."
        if "floor" in rows.index
        else ""
    )
    verdict = "less than" if ours.mean() < simple.loc[best].mean() else "no less than"
    return (
        f"Over {plural(accuracy['n'].iloc[0], 'past period')} this forecast was off by **{percent(ours.iloc[0])}** of the bookings "
        f"with {plural(first, 'week')} to go and {percent(ours.iloc[-1])} with {plural(last, 'week')}; over all weeks of the table that is "
        f"{verdict} the best simple method, {METHOD[best]}: "
        f"{percent(simple.loc[best].iloc[0])} and {percent(simple.loc[best].iloc[-1])}.{luck}"
    )


def table_accuracy(accuracy: pd.DataFrame) -> pd.DataFrame:
    """The same with the methods' names in words."""
    return accuracy.assign(method=accuracy["method"].map(METHOD))


def chart_accuracy(accuracy: pd.DataFrame) -> alt.LayerChart:
    """The error of each method by weeks to go, ours in colour; methods off by more than their bookings are left to the table."""
    weeks = [c for c in accuracy if c.endswith("to_go")]
    kept = accuracy[accuracy[weeks].max(axis=1) < 0.6].head(6)
    long = kept.melt(id_vars="method", value_vars=weeks, var_name="to_go", value_name="off")
    long = long.assign(weeks=[-float(w.split("_")[0]) for w in long["to_go"]], method=long["method"].map(METHOD))
    return style.lines(
        style.rounded(long, "off"), "weeks", "off", "method", fmt=percent, main=METHOD["combination"], x_title="weeks to the end",
        title="Off by, of the bookings", subtitle="Sum of absolute errors over the sum of bookings, past periods, as known then",
    )  # fmt: skip


def finding_groups(groups: pd.DataFrame) -> str:
    """One sentence: who is likely to reach the target and who is not; only the largest where there are no targets."""
    by = groups.columns[0]
    if "chance" not in groups or groups["chance"].isna().all():
        top = groups.iloc[0]
        share = top["forecast"] / groups["forecast"].sum()
        return (
            f"**{md(str(top[by]))}** is to bring the most, {money(top['forecast'])}, {percent(share)} of the forecast."
        )
    known = groups[groups["chance"].notna()]
    low, high = known.loc[known["chance"].idxmin()], known.loc[known["chance"].idxmax()]
    likely = int((known["chance"] >= 0.5).sum())
    return (
        f"**{likely} of {len(known)}** are more likely than not to reach their target: {md(str(high[by]))} most "
        f"({_chance(high['chance'])}), {md(str(low[by]))} least ({_chance(low['chance'])})."
    )


def chart_groups(groups: pd.DataFrame) -> alt.LayerChart:
    """The forecast of each group with its range, and the chance of its target."""
    by = groups.columns[0]
    columns: list[tuple[str, str, Format | None]] = [("target", "Target", money), ("chance", "Chance", percent)]
    columns = columns if "chance" in groups else []
    return style.dots(
        style.rounded(groups.head(20), "forecast", "lower", "upper"), "forecast", by, fmt=money, columns=columns,
        title=f"Forecast by {by.replace('_id', '')}", subtitle="Line: the range that holds four times in five",
    )  # fmt: skip


def finding_watch(watch: pd.DataFrame, parts: pd.DataFrame) -> str:
    """One sentence: how much of the forecast hangs on few deals."""
    if watch.empty:
        raise TooLittleData("No deal is open, so the period hangs on none.")
    top, expected = watch.iloc[0], parts.set_index("part").at["Open pipeline", "amount"]
    name = md(str(top["name"] if "name" in watch and pd.notna(top.get("name")) else top["opportunity_id"]))
    five = watch["expected"].head(5).sum() / expected if expected else np.nan
    said = f"The five deals that matter most carry **{percent(five)}** of what the open pipeline is expected to bring"
    if len(watch) < 5:
        said = (
            f"**{percent(five)}** of what the open pipeline is expected to bring hangs on {plural(len(watch), 'deal')}"
        )
    if "swing" in watch and top["swing"] > 0.005:
        return f"{said}; {name} alone moves the chance of the target by {count(100 * top['swing'])} points."
    return f"{said}; the first of them is {name}, {money(top['amount'])} at {percent(top['chance'])}."


def table_range(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame of forecasts whose range is headed by what it holds: 80%."""
    return frame.rename(columns={"lower": "lower_80", "upper": "upper_80"}).drop(columns="level", errors="ignore")


def finding_silent(silent: pd.DataFrame) -> str:
    """One sentence: how many open deals are silent, and what the forecast counts of them."""
    row = silent.iloc[0]
    if not row["n"]:
        return f"No open deal has been silent for more than {plural(row['silent_after'], 'day')}."
    return (
        f"**{count(row['n'])} of {count(row['of'])}** open deals have not changed for more than {count(row['silent_after'])} days, "
        f"after which hardly any was ever won; of the {money(row['amount'])} they stand for the forecast counts {money(row['expected'])}."
    )


def finding_coverage(coverage: pd.DataFrame) -> str:
    """One sentence: whether there is pipeline enough for the rest of the target."""
    row = coverage.iloc[0]
    there = f"{row['coverage']:.1f} times"
    if pd.isna(row["needed"]):
        return f"The open pipeline is {there} what is still to book; how much is needed cannot be told, for nothing of it is expected."
    if row["missing_pipeline"] <= 0:
        return (
            f"There is pipeline enough: **{there}** what is still to book, where {row['needed']:.1f} times are needed to reach the "
            f"target four times in five, since {percent(row['conversion'])} of the open amount is expected by the end."
        )
    return (
        f"The open pipeline is **{there}** what is still to book; to reach the target four times in five it would take "
        f"{row['needed']:.1f} times, {money(row['missing_pipeline'])} more, since {percent(row['conversion'])} of the open amount is "
        f"expected by the end."
    )


def finding_calibration(calibration: pd.DataFrame) -> str:
    """One sentence: whether the chances came true."""
    calibration = calibration.dropna(subset=["lower", "upper"])  # of one period: nothing to hold it against
    if calibration.empty:
        raise TooLittleData("No class of chances has deals of two periods, so chances cannot be checked.")
    off = calibration[(calibration["said"] < calibration["lower"]) | (calibration["said"] > calibration["upper"])]
    if off.empty:
        return (
            f"The chances came true: in all **{plural(len(calibration), 'class', 'classes')}** as many deals were won as they said, "
            f"within what luck allows."
        )
    worst = off.loc[(off["said"] - off["won_share"]).abs().idxmax()]
    return (
        f"Of the deals given a chance of {worst['chances']}, **{percent(worst['won_share'])}** were won where "
        f"{percent(worst['said'])} were expected, more than luck explains; "
        f"{plural(len(calibration) - len(off), 'other class', 'other classes')} came true."
    )


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


def _chance(p: float) -> str:
    """A chance as it is spoken of: never 0 or 100%, for a simulation cannot know that."""
    if p < 0.01:
        return "under 1%"
    return "over 99%" if p > 0.99 else percent(p)


def _wins(n: float) -> str:
    return "under 1 win" if 0 < n < 0.5 else plural(round(n), "win")
