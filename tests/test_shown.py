"""What a report says of forecasts: each sentence is a claim, and the frames are such that a wrong claim would differ."""

import numpy as np
import pandas as pd
import pytest

from salesforecast import style
from salesforecast.errors import SettingError, TooLittleData
from salesforecast.forecasting import Naive, Panel, SeasonalNaive, shown

MONTHS = pd.date_range("2025-01-01", periods=4, freq="MS")


def history(*values: float) -> pd.DataFrame:
    return pd.DataFrame(
        {"series": "all", "period": pd.date_range("2024-01-01", periods=len(values), freq="MS"), "value": values}
    )


def scores(**models: tuple[float, float]) -> pd.DataFrame:
    """Model = (mase, wape)."""
    names = [name.replace("_", " ") for name in models]
    mase, wape = zip(*models.values(), strict=True)
    return pd.DataFrame({"model": names, "n": 36, "mase": mase, "wape": wape, "bias": 0.0})


def backtest(h: int = 2, origins: int = 3) -> pd.DataFrame:
    rows = [("all", "m", MONTHS[0] + pd.DateOffset(months=o), MONTHS[0] + pd.DateOffset(months=o + k), k, 10.0, 8.0, 12.0, 0.8)
            for o in range(origins) for k in range(1, h + 1)]  # fmt: skip
    return pd.DataFrame(
        rows, columns=["series", "model", "origin", "period", "horizon", "mean", "lower", "upper", "level"]
    )


ACTUAL = pd.DataFrame(
    {"series": "all", "period": pd.date_range("2025-01-01", periods=5, freq="MS"), "value": [10.0, 9, 13, 12, 7]}
)


NONE = pd.DataFrame({"reason": [], "n": [], "amount": []})


def test_the_history_opens_with_what_the_last_year_brought_and_whether_chance_does_as_much():
    year = np.array([80.0, 120, 100, 90, 110, 100, 95, 105, 100, 98, 102, 100])  # 100 a month
    said = shown.finding_series(history(*(1000 * year), *(1000 * (year + 10))), NONE)
    assert said.startswith(
        "The last 12 months brought **10% more** than the 12 before, more than chance does (95% interval 10% to 10%)"
    )
    assert "$105 thousand a month on average" in said and "No row is left out" in said
    moved = year - np.tile(
        [30.0, -20], 6
    )  # 5 less on average, by -30 or +20: Student's t at 11 is 2.201, 26.11 / sqrt(12) = 7.54
    said = shown.finding_series(history(*year, *moved), NONE)
    assert said.startswith(
        "The last 12 months brought **5% less** than the 12 before, no more than chance does (95% interval −22% to 12%)"
    )


def test_years_are_compared_by_halves_and_months_without_two_seasons_are_not_compared():
    years = history(1e5, 1e5, 2e5, 2.2e5).assign(period=pd.date_range("2021-01-01", periods=4, freq="YS"))
    said = shown.finding_series(years, NONE)
    assert said.startswith("The last 2 years brought **110% more** than the 2 before")
    assert "**23 months** of history" in shown.finding_series(history(*range(1, 24)), NONE)
    assert "**1 month** of history" in shown.finding_series(history(5.0), NONE)
    two = pd.DataFrame({"reason": ["a", "b"], "n": [3, 1], "amount": [1.0, 1.0]})
    said = shown.finding_series(history(100_000, 300_000, 200_000), two)
    assert said == (
        "**3 months** of history, $200 thousand a month on average, too little to say whether it grows. "
        "4 rows of the opportunities are left out."
    )
    one = pd.DataFrame({"reason": ["a"], "n": [1], "amount": [1.0]})
    assert shown.finding_series(history(5.0), one).endswith("1 row of the opportunities is left out.")
    assert "too little to say" in shown.finding_series(history(*[0.0] * 30), NONE)


def test_a_sentence_begins_with_a_capital_whatever_the_model_is_called():
    best = scores(seasonal_naive=(1.2, 0.30), ensemble=(0.9, 0.25))
    frame = pd.DataFrame({"model": "ensemble", "horizon": [1, 2], "n": 12, "wape": 0.2, "mase": 1.0})
    ledger = shown.ledger(backtest(h=2, origins=4), ACTUAL, "m")
    for said in (shown.finding_accuracy(best), shown.finding_horizons(frame, "ensemble"),
                 shown.finding_ledger(ledger, "m"), shown.finding_ledger(ledger[ledger["held"]], "m")):  # fmt: skip
        assert said.startswith("**") and said[2].isupper()


def test_the_best_model_is_the_one_of_the_smallest_scaled_error():
    # the smallest share is not the smallest scaled error
    said = shown.finding_accuracy(scores(seasonal_naive=(1.2, 0.30), ensemble=(0.9, 0.22), drift=(1.0, 0.20)))
    assert said == (
        "**Ensemble** errs least in 36 forecasts of the past, 25% less than seasonal naive by the scaled error; "
        "in all it is 22% off, seasonal naive 30%."
    )
    assert shown.finding_accuracy(scores(seasonal_naive=(0.8, 0.3), ensemble=(0.9, 0.2))).startswith(
        "**No model beats seasonal naive**"
    )
    with pytest.raises(SettingError, match="Did you mean 'seasonal naive'"):
        shown.finding_accuracy(scores(seasonal_naive=(1, 1)), against="seasonal_naive")


@pytest.mark.parametrize(
    ("last", "words"), [(0.30, "10 points further off"), (0.12, "8 points nearer"), (0.21, "no further off")]
)
def test_whether_it_errs_more_further_ahead_is_said_with_how_much(last, words):
    frame = pd.DataFrame({"model": "m", "horizon": [1, 2, 3], "n": 12, "wape": [0.20, 0.9, last], "mase": 1.0})
    said = shown.finding_horizons(frame, "m")
    assert f"20% off one period ahead and {words} 3 periods ahead, at 12 origins" in said


def test_coverage_counts_what_lies_within_and_overlapping_forecasts_as_one():
    got = shown.coverage(backtest(), ACTUAL).iloc[0]
    # outcomes 9, 13 | 13, 12 | 12, 7: three of six within 8 to 12
    assert (got["n"], got["held"], got["share"], got["level"]) == (6, 3, 0.5, 0.8)
    single = shown.coverage(backtest(h=1, origins=4), ACTUAL).iloc[0]
    assert single["n"] == 4 and single["upper"] - single["lower"] < got["upper"] - got["lower"] + 0.1
    assert got["upper"] - got["lower"] > 0.7  # that of three cases
    said = shown.finding_coverage(pd.DataFrame([got]), "m")
    assert (
        "80% intervals of **m** held 50% of 6 outcomes" in said
        and "so they are perhaps too narrow, which so few cannot tell from chance" in said
    )


@pytest.mark.parametrize(
    ("share", "lower", "upper", "verdict"),
    [
        (0.97, 0.72, 1.0, "so they are perhaps too wide, which so few cannot tell from chance."),
        (0.97, 0.90, 1.0, "so they are too wide."),
        (0.50, 0.40, 0.6, "so they are too narrow."),
        (0.83, 0.55, 0.95, "which is what they say, as far as so few can tell."),
    ],
)
def test_intervals_that_hold_far_more_than_they_say_are_called_too_wide(share, lower, upper, verdict):
    row = {"model": "m", "n": 36, "held": 36 * share, "share": share, "lower": lower, "upper": upper, "level": 0.8}
    assert shown.finding_coverage(pd.DataFrame([row]), "m").endswith(verdict)


def test_the_model_taken_is_the_one_that_erred_least_and_is_held_against_the_plain_one():
    judged = scores(seasonal_naive=(1.2, 0.30), ensemble=(0.9, 0.22), mean=(1.0, 0.20))
    assert shown.best(judged) == "ensemble" and shown.rivals(judged) == ("ensemble", "seasonal naive")
    assert shown.rivals(scores(seasonal_naive=(0.8, 0.3), ensemble=(1, 0.2), mean=(0.9, 0.2))) == (
        "seasonal naive",
        "mean",
    )
    unjudged = judged.assign(mase=np.nan)
    assert shown.best(unjudged) == "ensemble"


def test_a_year_ago_is_not_named_where_there_is_none():
    models = {"seasonal naive": SeasonalNaive(), "last value": Naive()}
    for months, names in ((10, ["last value"]), (15, ["last value"]), (16, ["seasonal naive", "last value"])):
        assert list(shown.possible(models, Panel.of(history(*range(1, months + 1))), 3)) == names
    said = shown.finding_accuracy(scores(last_value=(1.2, 0.30), mean=(0.9, 0.25)))
    assert "less than last value by the scaled error" in said and "seasonal" not in said
    assert shown.rivals(scores(last_value=(1.2, 0.30), mean=(0.9, 0.25))) == ("mean", "last value")


def test_the_ledger_says_on_which_side_it_missed():
    ledger = shown.ledger(backtest(h=2, origins=4), ACTUAL, "m")
    assert ledger["actual"].tolist() == [9, 13, 12, 7] and ledger["held"].tolist() == [True, False, True, False]
    assert shown.finding_ledger(ledger, "m") == "**M** missed 2 of 4 outcomes one period ahead: 1 came higher, 1 lower."
    assert "missed none of 2 outcomes" in shown.finding_ledger(ledger[ledger["held"]], "m")


def test_tables_have_four_digits_and_name_the_level_of_their_bounds():
    table = shown.table_ledger(shown.ledger(backtest(h=2, origins=4), ACTUAL.assign(value=1234.567), "m"))
    assert list(table.columns) == ["period", "actual", "lower_80", "upper_80", "held"]
    assert table["actual"].iloc[0] == pytest.approx(1235, rel=1e-6)  # a last 5 leans to where it came from
    frame = shown.table_scores(
        pd.DataFrame(
            {"model": ["m"], "horizon": [1], "n": [36], "mase": [1.23456], "bias": [-123456.7], "relative_bias": [-0.1]}
        )
    )
    assert frame.iloc[0].to_dict() | {
        "mean_error": round(frame["mean_error"].iloc[0], -2),
        "scaled_error": round(frame["scaled_error"].iloc[0], 3),
    } == {
        "model": "m",
        "periods_ahead": 1,
        "n": 36,
        "scaled_error": 1.235,
        "mean_error": -123500.0,  # money: under another head than the share of it
        "bias": -0.1,
    }


def paths() -> pd.DataFrame:
    values = np.random.default_rng(0).normal(100, 10, (4000, 4))
    return pd.DataFrame({"series": "all", "model": "m", "origin": pd.Timestamp("2024-12-01"), "period": np.tile(MONTHS, 4000),
                         "horizon": np.tile([1, 2, 3, 4], 4000), "path": np.repeat(np.arange(4000), 4), "value": values.ravel()})  # fmt: skip


def test_the_range_of_the_sum_is_that_of_the_sums_and_not_the_sum_of_the_ranges():
    outlook = shown.outlook(paths(), "m")
    assert outlook["span"].tolist() == ["2025-01-01", "2025-02-01", "2025-03-01", "2025-04-01", "all"]
    whole, single = outlook.iloc[-1], outlook.iloc[0]
    assert whole["mean"] == pytest.approx(outlook["mean"].iloc[:-1].sum())
    assert whole["upper_80"] - whole["lower_80"] == pytest.approx(
        2 * 1.2816 * 20, rel=0.05
    )  # four independent months: twice one
    assert single["upper_50"] - single["lower_50"] == pytest.approx(2 * 0.6745 * 10, rel=0.05)
    said = shown.finding_outlook(outlook)
    assert "next 4 periods bring **$400**" in said and ("make that 99% too wide" in said or "make that 10" in said)


def test_every_chart_can_be_drawn_and_says_what_it_shows():
    ledger = shown.ledger(backtest(h=2, origins=4), ACTUAL, "m")
    horizons = pd.DataFrame(
        {"model": ["m"] * 2 + ["n"] * 2, "horizon": [1, 2, 1, 2], "n": 12, "wape": [0.2, 0.3, 0.25, 0.5]}
    )
    for chart in (
        shown.chart_series(history(1.23456, 2, 3)),
        shown.chart_accuracy(scores(a=(1.0, 0.2), b=(0.8, 0.3))),
        shown.chart_horizons(horizons, "m"),
        shown.chart_coverage(shown.coverage(backtest(), ACTUAL)),
        shown.chart_ledger(ledger),
        shown.chart_outlook(history(1, 2, 3), shown.outlook(paths(), "m")),
    ):
        spec = style.spec(chart)
        assert spec["title"]["text"] and spec["description"].endswith(".")
    assert "1.235" in str(style.spec(shown.chart_series(history(1.23456, 2, 3)))) and "1.2345" not in str(
        style.spec(shown.chart_series(history(1.23456, 2, 3)))
    )


def test_a_history_too_short_for_a_scaled_error_is_said_in_words():
    scores = pd.DataFrame({"model": ["seasonal naive", "mean"], "n": 3, "mase": np.nan, "wape": 1.5})
    with pytest.raises(TooLittleData, match="too short to judge"):
        shown.finding_accuracy(scores)
