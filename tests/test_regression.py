"""Models with regressors and gradient boosting: known truth, statsmodels' own figures, what changes a forecast and what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from salesforecast.errors import DataError, SettingError, TooLittleData
from salesforecast.forecasting import calendars, grammar
from salesforecast.forecasting.boosting import Boosting
from salesforecast.forecasting.panel import Panel, Streams
from salesforecast.forecasting.regression import Components, Regression, Sarimax

START = "2018-01-01"
WITH_DAYS = {
    "sarimax": Sarimax((1, 0, 0), (0, 1, 0), regressors=("log_working_days",), scale="log"),
    "components": Components("local level", regressors=("log_working_days",), scale="log"),
    "regression": Regression(("log_working_days",), scale="log"),
    "boosting": Boosting(("log_working_days",), rounds=60),
}
PLAIN = {
    "sarimax": Sarimax((1, 0, 0), (0, 1, 0)),
    "components": Components(),
    "regression": Regression(),
    "boosting": Boosting(rounds=30),
}


def panel_of(values: np.ndarray, regressors=None, freq: str = "MS", names=None) -> Panel:
    """A panel from an array (series, periods)."""
    values = np.atleast_2d(values)
    periods = pd.date_range(START, periods=values.shape[1], freq=freq)
    names = names or [f"s{i:04}" for i in range(len(values))]
    wide = pd.DataFrame(values, index=pd.Index(names, name="series"), columns=periods.rename("period"))
    return Panel.of(wide.stack().rename("value").reset_index(), regressors=regressors)


def sales(
    series: int = 3, periods: int = 84, h: int = 12, power: float = 1.5, noise: float = 0.03, seed: int = 0
) -> Panel:
    """Sales that grow with working days to a power, with trend and season; the regressor reaches h ahead."""
    rng = np.random.default_rng(seed)
    days = calendars.regressors(pd.date_range(START, periods=periods, freq="MS"), h, country="GB-ENG")
    t = np.arange(periods)
    log = 8 + np.arange(series)[:, None] + 0.004 * t + 0.2 * np.sin(2 * np.pi * t / 12)
    log = log + power * days["log_working_days"][:, :periods] + noise * rng.standard_normal((series, periods))
    return panel_of(np.exp(log), days)


def paths(model, panel: Panel, h: int = 12, n: int = 200) -> np.ndarray:
    return model.fit(panel).simulate(h, n, Streams(0, panel.names, "m"))


# ---- regressors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_DAYS)
def test_changing_a_future_regressor_changes_the_forecast_of_that_period(name):
    panel = sales()
    x = panel.regressors["log_working_days"].copy()
    x[0, 84 + 2] += np.log(18 / 22)  # four working days fewer in the third month ahead
    fewer = replace(panel, regressors={"log_working_days": x})
    before, after = (paths(WITH_DAYS[name], p).mean(axis=1) for p in (panel, fewer))
    moved = after / before
    np.testing.assert_array_equal(moved[:, :2], 1.0)
    assert (moved[:, 2] < 0.97).all()
    if name != "boosting":  # whose later steps look back at this one
        np.testing.assert_allclose(moved[:, 2], (18 / 22) ** 1.5, rtol=0.06)
        np.testing.assert_allclose(moved[:, 3:], 1.0, rtol=1e-9)


@pytest.mark.parametrize("name", WITH_DAYS)
def test_an_unknown_regressor_is_refused(name):
    model = replace(WITH_DAYS[name], regressors=("log_workingdays",))
    with pytest.raises(SettingError, match="no regressor 'log_workingdays'. Did you mean 'log_working_days'"):
        grammar.fit(sales(), {"m": model})


@pytest.mark.parametrize("name", WITH_DAYS)
def test_a_regressor_that_ends_before_the_forecast_is_refused_by_the_periods_it_lacks(name):
    fits = grammar.fit(sales(h=3), {"m": WITH_DAYS[name]})
    assert len(grammar.forecast(fits, 3)) == 9
    with pytest.raises(DataError, match="no value for 2025-04-01, 2025-05-01, 2025-06-01 and 6 more"):
        grammar.forecast(fits, 12)


def test_the_power_of_working_days_is_found():
    panel = sales(series=1, power=1.0, periods=120)
    fitted = Regression(("log_working_days",), scale="log").fit(panel)
    line = fitted.lines[0]
    error = np.linalg.norm(line.root[-1]) * line.size
    low, high = ((line.coefficients[-1] + k * error) * line.unit for k in (-2.5, 2.5))
    assert low < 1.0 < high and high - low < 0.6


def test_a_line_goes_on():
    y = 10 + 2.0 * np.arange(40) + 0.1 * np.random.default_rng(8).standard_normal(40)
    drawn = paths(Regression(season=False), panel_of(y)).mean(axis=1)[0]
    np.testing.assert_allclose(drawn, 10 + 2.0 * np.arange(40, 52), atol=0.4)


def test_weeks_have_a_smooth_season():
    t = np.arange(110)
    y = 100 + 20 * np.sin(2 * np.pi * t / 52) + 5 * np.random.default_rng(9).standard_normal(110)
    drawn = paths(Regression(trend=False), panel_of(y[:90], freq="W-MON"), h=20).mean(axis=1)[0]
    assert np.abs(drawn - (100 + 20 * np.sin(2 * np.pi * t[90:] / 52))).mean() < 3


# ---- what the paths are --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model", [Sarimax(), Sarimax((1, 0, 1), (0, 0, 0)), Components(), Components("local level", season=False)]
)
def test_paths_have_the_mean_and_the_spread_that_statsmodels_states(model):
    panel = sales(series=1)
    fitted = model.fit(panel)
    drawn = fitted.simulate(12, 20_000, Streams(0, panel.names))[0]
    result, size = fitted.results[0]
    want = result.get_forecast(12)
    np.testing.assert_allclose(drawn.mean(axis=0), want.predicted_mean * size, rtol=0.01)
    np.testing.assert_allclose(drawn.std(axis=0), want.se_mean * size, rtol=0.03)
    # and they keep together over time as the model has it, which the spread of a year's sum shows
    own = (
        result.simulate(12, anchor="end", repetitions=400, rng=np.random.default_rng(1)).reshape(12, -1).sum(axis=0)
        * size
    )
    assert drawn.sum(axis=1).std() == pytest.approx(own.std(), rel=0.12)


def test_on_the_log_scale_the_mean_is_the_mean_and_not_the_median():
    rng = np.random.default_rng(1)
    panel = panel_of(np.exp(3 + 0.8 * rng.standard_normal((1, 240))))
    drawn = (
        Regression(scale="log", trend=False, season=False).fit(panel).simulate(3, 40_000, Streams(0, panel.names))[0]
    )
    assert drawn.mean() == pytest.approx(np.exp(3 + 0.8**2 / 2), rel=0.12)
    assert np.median(drawn) == pytest.approx(np.exp(3), rel=0.12)


def test_eighty_per_cent_intervals_of_a_regression_cover_eighty_per_cent_at_each_horizon():
    rng = np.random.default_rng(3)
    error = rng.standard_normal((1800, 66))
    for t in range(1, 66):
        error[:, t] += 0.5 * error[:, t - 1]
    y = 100 + 0.3 * np.arange(66) + 5 * np.sin(2 * np.pi * np.arange(66) / 12) + 3 * error
    low, high = np.quantile(paths(Regression(), panel_of(y[:, :60]), h=6, n=300), [0.1, 0.9], axis=1)
    covered = ((low <= y[:, 60:]) & (y[:, 60:] <= high)).mean(axis=0)
    assert (covered > 0.77).all() and (covered < 0.83).all(), covered


@pytest.mark.parametrize("name", PLAIN)
def test_a_series_that_never_was_negative_is_not_forecast_below_zero_and_another_may_be(name):
    rng = np.random.default_rng(3)
    y = np.abs(rng.standard_normal((2, 60))) * 3
    drawn = paths(PLAIN[name], panel_of(np.vstack([y[0], y[1] - 3])))
    assert drawn[0].min() >= 0 and drawn[1].min() < 0


@pytest.mark.parametrize("name", PLAIN)
def test_a_constant_stays_and_nothing_stays_nothing(name):
    drawn = paths(PLAIN[name], panel_of(np.vstack([np.full(60, 7.0), np.zeros(60), *np.ones((2, 60))])), n=50)
    np.testing.assert_allclose(drawn[0], 7.0, rtol=0.02)
    np.testing.assert_allclose(drawn[1], 0.0, atol=1e-9)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(("freq", "periods"), [("QS", 40), ("W-MON", 130), ("YS", 30)])
def test_every_length_of_period_gives_finite_paths(name, freq, periods):
    y = 50 + np.cumsum(np.random.default_rng(4).standard_normal((2, periods)), axis=1)
    model = replace(PLAIN[name], seasonal_order=(0, 0, 0)) if name == "sarimax" and freq == "W-MON" else PLAIN[name]
    drawn = paths(model, panel_of(y, freq=freq), h=5, n=20)
    assert drawn.shape == (2, 20, 5) and np.isfinite(drawn).all()


@pytest.mark.parametrize("name", PLAIN)
def test_the_least_a_model_asks_for_is_enough_for_it(name):
    model = PLAIN[name]
    whole = sales(series=8, periods=60, noise=0.2)
    drawn = (
        paths(model, whole.head(model.least(whole)), n=20, h=3)
        if name != "boosting"
        else paths(model, whole.head(10), n=20, h=3)
    )
    assert np.isfinite(drawn).all() and drawn.max() < 100 * whole.values.max()


@pytest.mark.parametrize("name", ["sarimax", "components", "regression"])
def test_a_series_too_short_for_a_model_goes_on_as_it_is_and_the_result_says_so(name):
    panel = sales(series=2, periods=60)
    values = panel.values.copy()
    values[1, :50] = np.nan
    fits = grammar.fit(replace(panel, values=values), {"m": PLAIN[name]})
    assert (
        fits.notes["series"].tolist() == ["s0001"]
        and fits.notes["note"].str.contains("10 observations, and m needs").all()
    )
    alone = grammar.forecast(grammar.fit(panel.rows(np.array([0])), {"m": PLAIN[name]}), 3)
    both = grammar.forecast(fits, 3)
    pd.testing.assert_frame_equal(both[both["series"] == "s0000"].reset_index(drop=True), alone)


def test_a_fit_that_fails_names_the_series_and_the_model():
    values = sales(series=3).values.copy()
    values[1, 40] = 0.0
    with pytest.raises(SettingError, match="The series 's0001' has 1 values of 0 or below") as stopped:
        grammar.fit(panel_of(values), {"in logs": Regression(scale="log")})
    assert "'in logs'" in stopped.value.__notes__[0] and "'s0001'" in stopped.value.__notes__[0]


@pytest.mark.parametrize("name", WITH_DAYS)
def test_a_backtest_sees_nothing_after_its_origin(name):
    panel = sales(periods=60)
    values = panel.values.copy()
    values[:, 54:] *= 50
    models = {"m": WITH_DAYS[name]}
    before, after = (grammar.backtest(p, models, h=3, origins=4) for p in (panel, replace(panel, values=values)))
    known = before["origin"] <= panel.periods[53]
    assert known.sum() == 3 * 3
    pd.testing.assert_frame_equal(before[known], after[known], check_exact=True)
    assert not before[~known].equals(after[~known])


# ---- gradient boosting ----------------------------------------------------------------------------------------------------


def seasonal(series: int, periods: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    year = np.array([1, 1, 1, 1, 1, 2.5, 1, 1, 1, 1, 1, 3])[np.arange(periods) % 12]
    return np.exp(rng.normal(5, 2, (series, 1))) * year * np.exp(0.1 * rng.standard_normal((series, periods)))


def test_a_young_series_learns_its_season_from_the_others():
    y = seasonal(30, 72)
    y[0, :65] = np.nan  # seven periods, June to December 2023
    drawn = paths(Boosting(), panel_of(y)).mean(axis=1)
    for i in (0, 1):
        others = np.delete(drawn[i], [5, 11]).mean()
        assert drawn[i, 5] > 1.7 * others and drawn[i, 11] > 2 * others


def test_a_series_in_other_money_is_the_same_series():
    y = seasonal(10, 60)
    drawn = paths(Boosting(rounds=40), panel_of(y))
    np.testing.assert_allclose(paths(Boosting(rounds=40), panel_of(y * 1024)) / 1024, drawn, rtol=1e-9)


def test_a_rule_beats_the_season_before_on_series_of_one_kind():
    y = seasonal(40, 72)
    error = np.abs(paths(Boosting(), panel_of(y[:, :60])).mean(axis=1) - y[:, 60:]) / y[:, :60].mean(axis=1)[:, None]
    naive = np.abs(y[:, 48:60] - y[:, 60:]) / y[:, :60].mean(axis=1)[:, None]
    assert error.mean() < 0.85 * naive.mean()


def test_the_intervals_of_a_rule_cover_about_what_they_say():
    y = seasonal(150, 72, seed=5)
    low, high = np.quantile(paths(Boosting(), panel_of(y[:, :60])), [0.1, 0.9], axis=1)
    covered = ((low <= y[:, 60:]) & (y[:, 60:] <= high)).mean()
    assert 0.74 < covered < 0.87, covered


def test_the_same_data_and_seed_give_the_same_paths():
    panel = panel_of(seasonal(5, 48))
    np.testing.assert_array_equal(paths(Boosting(rounds=30), panel), paths(Boosting(rounds=30), panel))


def test_a_sale_after_years_of_nothing_explodes_nothing():
    y = seasonal(12, 60)
    y[0, :58] = 0.0
    y[0, 58:] = 1000.0
    drawn = paths(Boosting(), panel_of(y))
    assert drawn[0].max() < 20_000 and drawn[1:].max() < 10 * y[1:].max()


def test_too_few_periods_for_a_rule_are_said_with_how_many_would_do():
    with pytest.raises(TooLittleData, match="40 periods of all series together; there are 9. 31 more would do"):
        grammar.fit(panel_of(np.arange(1.0, 11.0)), {"m": Boosting()})


# ---- does a regressor help? ------------------------------------------------------------------------------------------------


def test_a_regressor_that_moves_sales_is_kept_and_a_random_one_is_left_out():
    panel = sales(series=1)
    market = np.random.default_rng(6).standard_normal((1, 96))
    panel = replace(panel, regressors={**panel.regressors, "market": market})
    worth = calendars.worth(panel, ["log_working_days", "market"], model=Regression(scale="log"))
    assert worth.set_index("regressor")["kept"].to_dict() == {"log_working_days": True, "market": False}
    assert worth["n"].tolist() == [24, 24] and worth.loc[0, "gain"] > 0.3
    assert worth.loc[0, "gain"] == pytest.approx(1 - worth.loc[0, "with_it"] / worth.loc[0, "without"])
    assert list(calendars.without(panel, worth).regressors) == ["log_working_days"]
    said = calendars.finding_worth(worth)
    assert "**log\\_working\\_days** is kept" in said and "**market** is left out" in said and "does not help" in said


def test_random_regressors_are_mostly_left_out():
    rng = np.random.default_rng(7)
    panel = sales(series=1, noise=0.1)
    noise = {f"n{i}": rng.standard_normal((1, 96)) for i in range(40)}
    worth = calendars.worth(replace(panel, regressors=noise), list(noise), model=Regression(scale="log"))
    assert worth["kept"].mean() < 0.2


def test_whether_a_regressor_helps_is_not_said_from_a_few_origins():
    with pytest.raises(TooLittleData, match=r"30 periods leave \d. About \d+ more periods would do"):
        calendars.worth(sales(periods=30), ["log_working_days"], model=Regression(), h=3)
    with pytest.raises(SettingError, match="Did you mean"):
        calendars.worth(sales(), ["log_working_day"])
