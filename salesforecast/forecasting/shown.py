"""What a report shows of forecasts: one sentence and one chart for each question, from the frames of the other modules.

Figures in charts have four significant digits: the last ones of a fit differ between machines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import stats, style
from salesforecast.errors import TooLittleData, unknown
from salesforecast.forecasting.accuracy import scored
from salesforecast.forecasting.models import SeasonalNaive
from salesforecast.forecasting.panel import Model, Panel
from salesforecast.formats import Format, between, money, percent, plural, speaker
from salesforecast.text import md, opening

WORDS = {
    "horizon": "periods_ahead", "mase": "scaled_error", "wape": "off_by", "bias": "mean_error", "relative_bias": "bias",
    "difference": "error_difference",
}  # fmt: skip
PLAIN = ("seasonal naive", "last value")  # who does not beat them needs no model
NEAR = 0.05  # a share this near to what was said is what was said
MONTH = {"MS": "month", "QS": "quarter", "W": "week", "YS": "year"}


# ---- the series -------------------------------------------------------------------------------------------------------


def finding_series(
    series: pd.DataFrame, left_out: pd.DataFrame, *, of: str = "opportunities", fmt: Format = money
) -> str:
    """One sentence: by how much the last season beat the one before, whether chance does as much, and what is not in it.

    Where there is no season the halves of the history are compared. Chance is judged by the changes from each period to its like
    (Student's t, 95%); several series are added up. `of` is the table whose rows are left out.
    """
    from scipy.stats import t

    panel = Panel.of(series)
    values, period, say = np.nansum(panel.values, axis=0), _period(panel), _say(fmt)
    k = panel.season if panel.season > 1 else len(values) // 2
    usual = f"{say(values.mean())} a {period} on average"
    latest, before = values[-k:], values[-2 * k : -k]
    if k < 2 or len(values) < 2 * k or before.sum() <= 0:
        said = f"**{plural(len(values), period)}** of history, {usual}, too little to say whether it grows."
    else:
        change, moved = latest.sum() / before.sum() - 1, latest - before
        reach = t.ppf(0.975, k - 1) * moved.std(ddof=1) / np.sqrt(k)
        low, high = (moved.mean() - reach) / before.mean(), (moved.mean() + reach) / before.mean()
        verdict = "no more than chance does" if low <= 0 <= high else "more than chance does"
        said = (
            f"The last {plural(k, period)} brought **{percent(abs(change))} {'more' if change >= 0 else 'less'}** than the {k} "
            f"before, {verdict} (95% interval {between(low, high, percent)}); {usual}, from which a {period} typically lies "
            f"{percent(values.std(ddof=1) / values.mean())} off."
        )
    n = int(left_out["n"].sum())
    missing = f"{plural(n, 'row')} of the {of} {'is' if n == 1 else 'are'}" if n else "No row is"
    return f"{said} {missing} left out."


def chart_series(series: pd.DataFrame, *, fmt: Format = money) -> alt.LayerChart:
    """The series over time."""
    panel = Panel.of(series)
    return style.lines(
        style.rounded(series, "value"), "period", "value", "series", fmt=fmt,
        title=f"Each {_period(panel)} of the history",
        subtitle=f"{panel.periods[0]:%B %Y} to {panel.origin:%B %Y}; only {_period(panel)}s that are over",
    )  # fmt: skip


# ---- which model ------------------------------------------------------------------------------------------------------


def possible(models: Mapping[str, Model], panel: Panel, h: int) -> dict[str, Model]:
    """The models that can be judged on the history: to repeat a season, one has to be there before what is judged."""
    a_season = len(panel.periods) - h > panel.season
    return {name: model for name, model in models.items() if a_season or not isinstance(model, SeasonalNaive)}


def best(scores: pd.DataFrame) -> str:
    """The model with the smallest scaled error at past origins; the ensemble where none can be judged."""
    known = scores.dropna(subset="mase")
    return str(known.loc[known["mase"].idxmin(), "model"]) if len(known) else "ensemble"


def rivals(scores: pd.DataFrame) -> tuple[str, str]:
    """The best model and what to hold against it: the plain one, or the next best where the plain one is the best."""
    first, plain = best(scores), _plain(scores)
    return first, plain if plain != first else best(scores[scores["model"] != first])


def _plain(scores: pd.DataFrame) -> str:
    return next((name for name in PLAIN if name in set(scores["model"])), PLAIN[0])


def finding_accuracy(scores: pd.DataFrame, against: str = "") -> str:
    """One sentence: the model with the smallest error at past origins, compared with a plain one.

    Parameters
    ----------
    scores : DataFrame
        From `accuracy` by model, with mase and wape.
    against : str
        The plain model; empty: seasonal naive, or the last value where that cannot be judged.
    """
    against = against or _plain(scores)
    if against not in set(scores["model"]):
        raise unknown("model", against, sorted(set(scores["model"])))
    if scores["mase"].isna().all():
        raise TooLittleData(
            "The history is too short to judge a model by: no past error can be set beside that of a season before."
        )
    first, plain = scores.loc[scores["mase"].idxmin()], scores.set_index("model").loc[against]
    n = plural(first["n"], "forecast")
    if first["model"] == against:
        return f"**No model beats {md(against)}** in {n}: it is {percent(plain['wape'])} off."
    return (
        f"**{opening(first['model'])}** errs least in {n} of the past, {percent(1 - first['mase'] / plain['mase'])} less than "
        f"{md(against)} by the scaled error; in all it is {percent(first['wape'])} off, {md(against)} {percent(plain['wape'])}."
    )


def table_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores as they are shown: four significant digits, and names in words."""
    figures = [c for c in scores if pd.api.types.is_float_dtype(scores[c])]
    return style.rounded(scores, *figures).rename(columns=WORDS)


def chart_accuracy(scores: pd.DataFrame) -> alt.LayerChart:
    """Mean absolute scaled error by model, best first."""
    ordered = table_scores(scores.sort_values("mase", kind="stable"))
    return style.dots(
        ordered, "scaled_error", "model", fmt=".2f", line=1.0, line_label="season to season", accent=ordered["model"].iloc[0],
        columns=(("off_by", "Off by", percent), ("n", "n", None)),
        title="Error at past origins by model",
        subtitle="Mean absolute error over that of the change from season to season before; best first",
    )  # fmt: skip


def finding_horizons(scores: pd.DataFrame, model: str) -> str:
    """One sentence: whether a model errs more the further it looks.

    Parameters
    ----------
    scores : DataFrame
        From `accuracy` by model and horizon, with wape.
    model : str
        The one spoken of.
    """
    if model not in set(scores["model"]):
        raise unknown("model", model, sorted(set(scores["model"])))
    own = scores[scores["model"] == model].sort_values("horizon")
    first, last = own.iloc[0], own.iloc[-1]
    change = last["wape"] - first["wape"]
    moved = (
        "no further off"
        if abs(change) < 0.02
        else f"{style.points(abs(change)).lstrip('+')} {'further off' if change > 0 else 'nearer'}"
    )
    return (
        f"**{opening(model)}** is {percent(first['wape'])} off one period ahead and {moved} {plural(last['horizon'], 'period')} ahead, "
        f"at {plural(own['n'].min(), 'origin')} each."
    )


def chart_horizons(scores: pd.DataFrame, model: str) -> alt.LayerChart:
    """Error by horizon, a line for each model."""
    return style.lines(
        style.rounded(scores, "wape").assign(horizon=[f"{h} ahead" for h in scores["horizon"]]), "horizon", "wape", "model", fmt=".0%",
        main=model,
        title="How far off, by periods ahead", subtitle="Sum of absolute errors over sum of actuals, at past origins",
    )  # fmt: skip


# ---- the intervals ----------------------------------------------------------------------------------------------------


def coverage(backtest: pd.DataFrame, series: pd.DataFrame | Panel) -> pd.DataFrame:
    """How often the intervals held what came, by model.

    Forecasts of one origin, and of neighbouring ones, share periods: the interval of the share counts every `h` of them as one.

    Parameters
    ----------
    backtest : DataFrame
        From `backtest`, of one level.
    series : DataFrame or Panel

    Returns
    -------
    DataFrame
        model, n (forecasts), held, share (held of n), lower, upper (95% Wilson interval of n / h cases), level; in the order
        of the models.
    """
    found = scored(backtest, series)
    inside = found["actual"].between(found["lower"], found["upper"])
    counts = pd.DataFrame({
        "n": inside.groupby(found["model"], sort=False).size(),
        "held": inside.groupby(found["model"], sort=False).sum(),
    }).reset_index()  # fmt: skip
    h = found["horizon"].max()
    rates = stats.add_rate(counts.assign(n=counts["n"] / h, held=counts["held"] / h), hits="held", n="n", name="share")
    return rates.assign(n=counts["n"], held=counts["held"], level=float(found["level"].iloc[0]))


def finding_coverage(coverage: pd.DataFrame, model: str) -> str:
    """One sentence: how often a model's intervals held, and whether that is what they say."""
    if model not in set(coverage["model"]):
        raise unknown("model", model, sorted(set(coverage["model"])))
    own = coverage.set_index("model").loc[model]
    wide = "too wide" if own["share"] > own["level"] else "too narrow"
    if not own["lower"] <= own["level"] <= own["upper"]:
        verdict = f"so they are {wide}"
    elif abs(own["share"] - own["level"]) > NEAR:
        verdict = f"so they are perhaps {wide}, which so few cannot tell from chance"
    else:
        verdict = "which is what they say, as far as so few can tell"
    return (
        f"The {percent(own['level'])} intervals of **{md(model)}** held {percent(own['share'])} of {plural(own['n'], 'outcome')} "
        f"(95% interval {between(own['lower'], own['upper'], percent)}), {verdict}."
    )


def chart_coverage(coverage: pd.DataFrame) -> alt.LayerChart:
    """Share of outcomes within the intervals, by model."""
    level = coverage["level"].iloc[0]
    return style.dots(
        style.rounded(coverage, "share", "lower", "upper"), "share", "model", fmt=".0%", line=level, line_label=percent(level),
        columns=(("n", "n", None),), title="Outcomes within the intervals, by model",
        subtitle="Share of past outcomes; 95% interval, for which forecasts that overlap count as one",
    )  # fmt: skip


def ledger(backtest: pd.DataFrame, series: pd.DataFrame | Panel, model: str, horizon: int = 1) -> pd.DataFrame:
    """Every past interval of a model at one horizon, and what came.

    Returns
    -------
    DataFrame
        period, actual, lower, upper (in the unit of the series), level, held.
    """
    if model not in set(backtest["model"]):
        raise unknown("model", model, sorted(set(backtest["model"])))
    found = scored(backtest[(backtest["model"] == model) & (backtest["horizon"] == horizon)], series)
    found = found.assign(held=found["actual"].between(found["lower"], found["upper"]))
    return found[["period", "actual", "lower", "upper", "level", "held"]]


def table_ledger(ledger: pd.DataFrame) -> pd.DataFrame:
    """The ledger as it is shown: four significant digits, and bounds that say their level."""
    level = f"{100 * ledger['level'].iloc[0]:.0f}"
    named = {"lower": f"lower_{level}", "upper": f"upper_{level}"}
    return style.rounded(ledger, "actual", "lower", "upper").drop(columns="level").rename(columns=named)


def finding_ledger(ledger: pd.DataFrame, model: str) -> str:
    """One sentence: how many intervals were missed, and on which side."""
    above, below = (ledger["actual"] > ledger["upper"]).sum(), (ledger["actual"] < ledger["lower"]).sum()
    if not above + below:
        return f"**{opening(model)}** missed none of {plural(len(ledger), 'outcome')} one period ahead."
    return (
        f"**{opening(model)}** missed {above + below} of {plural(len(ledger), 'outcome')} one period ahead: {above} came higher, "
        f"{below} lower."
    )


def chart_ledger(ledger: pd.DataFrame, *, fmt: Format = money) -> alt.LayerChart:
    """Past intervals and outcomes."""
    return style.ledger(
        style.rounded(ledger, "lower", "upper", "actual"), fmt=fmt, title="What was forecast one period ahead, and what came",
        subtitle="Bar: interval; dot: outcome, orange where it was missed",
    )  # fmt: skip


# ---- what is to come --------------------------------------------------------------------------------------------------


def outlook(paths: pd.DataFrame, model: str, levels: tuple[float, ...] = (0.5, 0.8)) -> pd.DataFrame:
    """What is to come, period by period and in all: quantiles of the paths, and of their sums.

    The bounds of the sum are those of the paths' sums. Bounds of periods do not add up.

    Parameters
    ----------
    paths : DataFrame
        From `simulate`, of one series.
    model : str
        Whose paths.
    levels : tuple of float

    Returns
    -------
    DataFrame
        span (first day of the period, "all" for the sum, which is the last row), mean, lower_50, upper_50, lower_80, upper_80
        (in the unit of the series).
    """
    if model not in set(paths["model"]):
        raise unknown("model", model, sorted(set(paths["model"])))
    wide = paths[paths["model"] == model].pivot(index="path", columns="period", values="value")
    wide = wide.set_axis([f"{p:%Y-%m-%d}" for p in wide.columns], axis=1).assign(all=wide.sum(axis=1))
    out = pd.DataFrame({"span": wide.columns, "mean": wide.mean().to_numpy()})
    for level in levels:
        low, high = np.quantile(wide, [0.5 - level / 2, 0.5 + level / 2], axis=0)
        out = out.assign(**{f"lower_{level * 100:.0f}": low, f"upper_{level * 100:.0f}": high})
    return out


def finding_outlook(outlook: pd.DataFrame, *, fmt: Format = money) -> str:
    """One sentence: what all periods ahead bring together, and how sure that is."""
    whole, say = outlook.iloc[-1], _say(fmt)
    ends = abs(outlook.iloc[:-1]["upper_80"].sum() - outlook.iloc[:-1]["lower_80"].sum())
    wide = ends / (whole["upper_80"] - whole["lower_80"]) - 1
    return (
        f"The next {plural(len(outlook) - 1, 'period')} bring **{say(whole['mean'])}** (80% range {say(whole['lower_80'])} to "
        f"{say(whole['upper_80'])}); adding up the bounds would make that {percent(wide)} too wide."
    )


def chart_outlook(series: pd.DataFrame, outlook: pd.DataFrame, *, fmt: Format = money) -> alt.LayerChart:
    """The history and the periods ahead with their ranges."""
    ahead = outlook.iloc[:-1].assign(period=pd.to_datetime(outlook["span"].iloc[:-1]))
    figures = [c for c in ahead if c not in ("span", "period")]
    return style.fan(
        style.rounded(series, "value"), style.rounded(ahead, *figures), fmt=fmt, title="History and forecast",
        subtitle="Mean of the sample paths, and the ranges that hold 50% (inner) and 80% (outer) of them",
    )  # fmt: skip


def _say(fmt: Format) -> Callable[[Any], str]:
    """A figure in a sentence: money with its word, not its letter."""
    return fmt if callable(fmt) else speaker(fmt)


def _period(panel: Panel) -> str:
    return MONTH.get(panel.freq.split("-")[0], "period")
