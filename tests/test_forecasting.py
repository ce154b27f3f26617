"""The grammar, the models and the measures: known truth, hand-worked numbers, and series that are awkward."""

from contextlib import nullcontext
from dataclasses import dataclass

import joblib
import numpy as np
import pandas as pd
import pytest

from salesforecast import forecasting as fc
from salesforecast.errors import DataError, SettingError, TooLittleData
from salesforecast.forecasting import calibration
from salesforecast.forecasting.accuracy import MEASURES, accuracy, crps_of_paths, scored, skill
from salesforecast.forecasting.comparison import compare, finding_compare
from salesforecast.forecasting.grammar import backtest, fit, forecast, simulate
from salesforecast.forecasting.models import Drift, Ensemble, Intermittent, Mean, Naive, SeasonalNaive, Smoothing, Theta
from salesforecast.forecasting.panel import Panel, Streams, frequency

MODELS = {
    "ensemble": Ensemble(),
    "theta": Theta(),
    "theta of years": Theta(yearly=True),
    "smoothing": Smoothing(),
    "smoothing of logarithms": Smoothing("additive", "multiplicative", 0),
    "intermittent": Intermittent(),
    "seasonal naive": SeasonalNaive(),
    "naive": Naive(),
    "drift": Drift(),
    "mean": Mean(),
}


def monthly(values, name="a", start="2018-01-01", freq="MS") -> pd.DataFrame:
    periods = pd.date_range(start, periods=len(values), freq=freq)
    return pd.DataFrame({"series": name, "period": periods, "value": np.asarray(values, dtype="float64")})


def together(arrays, freq="MS", season=12) -> Panel:
    """A panel of an array (series, periods)."""
    names = tuple(f"s{i:05}" for i in range(len(arrays)))
    return Panel(
        names,
        np.asarray(arrays, dtype="float64"),
        pd.date_range("2010-01-01", periods=len(arrays[0]), freq=freq),
        freq,
        season,
    )


def sales(series: int, months: int, seed: int = 0) -> np.ndarray:
    """Made-up sales: a wandering level, a season and noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(months)
    level = 200 + rng.normal(0, 3, (series, months)).cumsum(axis=1)
    return level + 30 * np.sin(2 * np.pi * t / 12 + rng.uniform(0, 6, (series, 1))) + rng.normal(0, 8, (series, months))


# The panel


def test_a_gap_is_refused_with_its_series_and_period():
    frame = monthly(range(24)).drop(index=7)
    with pytest.raises(
        DataError, match="gaps: 'a' in 2018-08-01 .1 in all., since the periods are taken for months. Fill"
    ):
        Panel.of(pd.concat([frame, monthly(range(24), "b")]))


def test_a_hole_in_the_only_series_is_a_gap_too():
    frame = monthly(range(24))
    frame.loc[5, "value"] = np.nan
    with pytest.raises(DataError, match="'a' in 2018-06-01"):
        Panel.of(frame)
    with pytest.raises(DataError, match="'a' in 2018-06-01"):
        Panel.of(frame.dropna())


def test_a_series_that_ended_early_is_refused_with_its_last_period():
    with pytest.raises(DataError, match="1 series ends before the last period, 2019-12-01: 'b' in 2019-10-01"):
        Panel.of(pd.concat([monthly(range(24)), monthly(range(22), "b")]))


def test_a_period_that_stands_there_twice_is_refused():
    with pytest.raises(DataError, match="more than once: 'a' in 2018-12-01"):
        Panel.of(pd.concat([monthly(range(12)), monthly([3], start="2018-12-01")]))


def test_infinite_values_and_days_off_the_calendar_are_refused():
    with pytest.raises(DataError, match="infinite"):
        Panel.of(monthly([1, np.inf, 3]))
    with pytest.raises(DataError, match="'QS'.*2018-02-01 does not fit"):
        Panel.of(monthly(range(6)), freq="QS")


def test_a_frame_without_values_says_which_column_it_lacks():
    with pytest.raises(SettingError, match="no column 'value'. .*Known: series, period, y"):
        Panel.of(monthly(range(4)).rename(columns={"value": "y"}))


def test_periods_of_pandas_are_taken_by_their_first_day_and_last_days_are_refused_with_the_way_out():
    frame = monthly(range(24))
    as_periods = Panel.of(frame.assign(period=frame["period"].dt.to_period("M")))
    assert as_periods.periods.equals(Panel.of(frame).periods) and as_periods.freq == "MS"
    with pytest.raises(DataError, match="last days of months, such as 2018-01-31. Name each by its first day"):
        Panel.of(frame.assign(period=frame["period"] + pd.offsets.MonthEnd(0)))


def test_nothing_to_forecast_from_is_said_in_words():
    with pytest.raises(TooLittleData, match="no value"):
        Panel.of(monthly([np.nan, np.nan]))
    with pytest.raises(TooLittleData, match="hold no value: b"):
        Panel.of(pd.concat([monthly(range(4)), monthly([np.nan] * 4, "b")]))


def test_a_younger_series_begins_with_missing_values_and_keeps_its_own_length():
    panel = Panel.of(pd.concat([monthly(range(24)), monthly(range(5), "b", start="2019-08-01")]))
    assert panel.names == ("a", "b") and panel.lengths.tolist() == [24, 5] and panel.season == 12
    assert np.isnan(panel.values[1, :19]).all() and panel.values[1, 19:].tolist() == [0, 1, 2, 3, 4]
    assert panel.upto(pd.Timestamp("2019-08-01")).lengths.tolist() == [20, 1] == panel.head(20).lengths.tolist()
    assert panel.future(2).tolist() == [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-02-01")]


@pytest.mark.parametrize(
    ("days", "freq", "season"),
    [
        (["2025-01-01", "2025-04-01", "2025-07-01"], "QS", 4),
        (["2025-02-01", "2025-05-01", "2025-11-01"], "QS-FEB", 4),
        (["2023-04-01", "2024-04-01", "2025-04-01"], "YS-APR", 1),
        (["2025-01-06", "2025-01-13", "2025-01-20"], "W-MON", 52),
        (["2025-01-01", "2025-01-02", "2025-01-05"], "D", 7),
        ([str(d.date()) for d in pd.bdate_range("2025-01-01", "2025-02-10")], "B", 5),
    ],
)
def test_the_frequency_is_read_from_the_first_days(days, freq, season):
    assert frequency(pd.DatetimeIndex(days)) == freq
    whole = pd.date_range(days[0], days[-1], freq=freq)
    panel = Panel.of(pd.DataFrame({"series": "a", "period": whole, "value": 1.0}))
    assert (panel.freq, panel.season) == (freq, season)


def test_a_regressor_of_the_wrong_shape_is_refused_by_name():
    panel = Panel.of(monthly(range(6)), regressors={"price": np.ones(9)})
    assert panel.regressors["price"].shape == (1, 9) and panel.head(3).regressors["price"].shape == (1, 9)
    with pytest.raises(SettingError, match="'price' has the shape .1, 4."):
        Panel.of(monthly(range(6)), regressors={"price": np.ones(4)})


# The grammar


def test_a_forecast_has_a_row_for_every_series_model_and_horizon_in_this_order():
    series = pd.concat([monthly(sales(1, 40)[0], "b"), monthly(sales(1, 40, 1)[0], "a")])
    got = forecast(fit(series, {"naive": Naive(), "ensemble": Ensemble()}), 3, level=0.9)
    assert list(got) == ["series", "model", "origin", "period", "horizon", "mean", "lower", "upper", "level"]
    assert got["series"].tolist() == ["a"] * 6 + ["b"] * 6
    assert got["model"].tolist() == (["naive"] * 3 + ["ensemble"] * 3) * 2
    assert got["horizon"].tolist() == [1, 2, 3] * 4
    assert (got["origin"] == pd.Timestamp("2021-04-01")).all() and (got["level"] == 0.9).all()
    assert got["period"].tolist() == [pd.Timestamp(f"2021-0{i}-01") for i in (5, 6, 7)] * 4
    assert (got["lower"] < got["mean"]).all() and (got["mean"] < got["upper"]).all()


def test_paths_are_laid_out_path_by_path():
    fits = fit(together(sales(3, 30)), {"naive": Naive(), "mean": Mean()})
    got = simulate(fits, h=3, n=4, seed=5)
    assert list(got) == ["series", "model", "origin", "period", "horizon", "path", "value"]
    raw = fits.fitted["mean"].simulate(3, 4, Streams(5, fits.panel.names, "mean\x1f2012-06-01"))
    mine = got[(got["series"] == "s00001") & (got["model"] == "mean")]
    assert mine["path"].tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert mine["value"].tolist() == raw[1].ravel().tolist()


def test_another_series_or_model_changes_nobody_elses_draws():
    two, three = together(sales(3, 40)[:2]), together(sales(3, 40))
    models = {"naive": Naive(), "seasonal naive": SeasonalNaive(), "mean": Mean()}
    few = simulate(fit(two, {"naive": Naive()}), h=4, n=20)
    many = simulate(fit(three, models), h=4, n=20)
    same = many[(many["model"] == "naive") & many["series"].isin(two.names)].reset_index(drop=True)
    assert len(same) == len(few) == 2 * 20 * 4
    pd.testing.assert_frame_equal(few, same)


def test_two_series_alike_do_not_draw_alike():
    y = sales(1, 60)[0]
    got = simulate(fit(together([y, y]), {"ensemble": Ensemble(), "mean": Mean()}), h=4, n=50)
    one, other = (got.loc[got["series"] == name, "value"].to_numpy() for name in ("s00000", "s00001"))
    assert (one != other).mean() > 0.9


def test_series_of_different_ages_keep_their_own_forecasts():
    values = sales(12, 60) + 1000 * np.arange(12)[:, None]
    for i in range(12):
        values[i, : (7 * i) % 40] = np.nan
    got = forecast(fit(together(values), {"ensemble": Ensemble()}), 3)
    for row in got.rename(columns={"mean": "mean_"}).itertuples():
        assert abs(row.mean_ - values[int(row.series[1:]), -12:].mean()) < 100
        assert row.lower < row.mean_ < row.upper


def test_the_same_seed_gives_the_same_paths_and_another_one_others():
    fits = fit(together(sales(2, 60)), {"ensemble": Ensemble()})
    a, b, c = (simulate(fits, 6, 50, seed)["value"].to_numpy() for seed in (1, 1, 2))
    assert (a == b).all() and (a != c).mean() > 0.9


def test_the_bounds_of_the_default_are_the_quantiles_of_its_paths():
    fits = fit(together(sales(3, 90)), {"ensemble": Ensemble()})
    said, paths = forecast(fits, 6, level=0.8), simulate(fits, 6, n=20_000)
    drawn = paths.groupby(["series", "horizon"])["value"].quantile([0.1, 0.9]).unstack()
    width = (said["upper"] - said["lower"]).to_numpy()
    assert np.abs(drawn[0.1].to_numpy() - said["lower"].to_numpy()).max() < 0.05 * width.min()
    assert np.abs(drawn[0.9].to_numpy() - said["upper"].to_numpy()).max() < 0.05 * width.min()
    mean = paths.groupby(["series", "horizon"])["value"].mean().to_numpy()
    assert np.abs(mean - said["mean"].to_numpy()).max() < 0.03 * width.min()


def test_a_quarters_interval_from_paths_is_narrower_than_its_months_bounds_added_up():
    fits = fit(together(sales(200, 90)), {"ensemble": Ensemble()})
    said, paths = forecast(fits, 3), simulate(fits, 3, n=1000)
    quarter = paths.groupby(["series", "path"])["value"].sum().groupby("series").quantile([0.1, 0.9]).unstack()
    added = said.groupby("series")[["lower", "upper"]].sum()
    ratio = (quarter[0.9] - quarter[0.1]).sum() / (added["upper"] - added["lower"]).sum()
    assert 0.577 < ratio < 0.95  # 1 / sqrt(3) were independent months, 1 the same error three times


def test_a_backtest_sees_nothing_after_its_origin():
    rng = np.random.default_rng(0)
    series = pd.concat([monthly(100 + rng.normal(0, 5, 60), name) for name in "abc"])
    origin = series["period"].unique()[60 - 3 - 6]  # the first of 6 that leave 3 periods to score
    changed = series.assign(value=series["value"].where(series["period"] <= origin, 1e6))
    before, after = backtest(series, MODELS, h=3, origins=6), backtest(changed, MODELS, h=3, origins=6)
    first = before["origin"] == origin
    assert first.sum() == 3 * 3 * len(MODELS)
    pd.testing.assert_frame_equal(before[first], after[first], check_exact=True)
    assert (before.loc[~first, "mean"].to_numpy() != after.loc[~first, "mean"].to_numpy()).any()


def test_every_model_is_tried_for_what_it_must_not_know():
    public = {name for name in fc.__all__ if hasattr(getattr(fc, name), "fit")}
    elsewhere = {"Boosting", "Components", "Regression", "Sarimax"}  # in test_regression
    assert public - {type(model).__name__ for model in MODELS.values()} == elsewhere


def test_a_backtest_is_what_forecast_would_have_said_then():
    panel = together(sales(3, 50))
    got = backtest(panel, MODELS, h=4, origins=3, step=2, level=0.9, seed=3)
    assert [str(o.date()) for o in got["origin"].unique()] == ["2013-06-01", "2013-08-01", "2013-10-01"]
    then = forecast(fit(panel.head(44), MODELS), 4, level=0.9, seed=3)
    pd.testing.assert_frame_equal(got[got["origin"] == "2013-08-01"].reset_index(drop=True), then)


def test_a_backtest_leaves_out_a_series_that_had_not_begun_and_origins_before_the_first_period():
    values = sales(2, 20)
    values[1, :14] = np.nan
    got = backtest(together(values), {"naive": Naive()}, h=2, origins=30)
    assert got["origin"].nunique() == 18
    assert got.loc[got["series"] == "s00001", "origin"].min() == pd.Timestamp("2011-03-01")
    with pytest.raises(TooLittleData, match="20 periods; judging forecasts 20 ahead takes at least 21"):
        backtest(together(values), {"naive": Naive()}, h=20)


@dataclass(frozen=True)
class Picky:
    def fit(self, panel):
        if (panel.values > 1000).any():
            raise ValueError("too much")
        return Naive().fit(panel)


def test_a_fit_that_fails_says_on_which_series_and_model():
    with pytest.raises(ValueError, match="too much") as caught:
        fit(together([[1.0, 2, 3], [1, 2000, 3], [5000, 1, 1]]), {"naive": Naive(), "picky": Picky()})
    assert caught.value.__notes__ == ["While fitting the model 'picky' to the series 's00001'."]


def test_a_series_too_short_for_a_model_takes_the_last_value_and_the_notes_say_so():
    values = sales(3, 30)
    values[1, :25] = np.nan
    fits = fit(together(values), {"seasonal naive": SeasonalNaive(), "naive": Naive()})
    note = "5 observations, and seasonal naive needs 13: the last value instead"
    assert fits.notes.to_dict("records") == [{"series": "s00001", "model": "seasonal naive", "note": note}]
    got = forecast(fits, 12).set_index(["series", "model", "horizon"])["mean"].sort_index()
    assert got["s00001", "seasonal naive"].to_numpy() == pytest.approx(values[1, -1], rel=0.15)
    alone = forecast(fit(together(values).rows(np.array([0, 2])), {"seasonal naive": SeasonalNaive()}), 12)
    assert got["s00002", "seasonal naive"].to_numpy() == pytest.approx(
        alone.query("series == 's00002'")["mean"].to_numpy(), abs=0
    )


def test_what_is_asked_for_has_to_make_sense():
    fits = fit(together(sales(1, 20)), {"naive": Naive()})
    with pytest.raises(SettingError, match="Models have names"):
        fit(together(sales(1, 20)), {})
    with pytest.raises(SettingError, match="at least 1 period ahead, not 0"):
        forecast(fits, 0)
    with pytest.raises(SettingError, match="share between 0 and 1, such as 0.8, not 80"):
        forecast(fits, 3, level=80)
    with pytest.raises(SettingError, match="no trend 'dampd'"):
        Smoothing(trend="dampd")
    with pytest.raises(SettingError, match="no kind 'crouton'"):
        Intermittent("crouton")


@pytest.mark.parametrize("backend", ["loky", "threading", "dask"])
def test_joblib_backends_give_the_same_numbers(backend, monkeypatch):
    panel = together(sales(8, 50))

    def both():
        # Chunks are made where fit is called; the workers of a backtest make their own.
        past = backtest(panel, {"theta": Theta()}, h=3, origins=2)
        with monkeypatch.context() as patched:
            patched.setattr(calibration, "CHUNK", 3)
            return past, forecast(fit(panel, {"ensemble": Ensemble()}), 4)

    alone = both()
    with cluster() if backend == "dask" else nullcontext() as client:
        with joblib.parallel_config(backend=backend, n_jobs=2):
            spread = both()
        if client:  # two origins and three chunks, each fitted and forecast
            assert client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter) > 2 + 3 + 3
    for one, other in zip(alone, spread, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def cluster():
    """Two workers in threads of this process; the test is skipped where the package's `scale` is not installed."""
    distributed = pytest.importorskip("distributed")
    return distributed.Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None)


# Known truth


def walk(rng, series, months):
    return 500 + rng.normal(1, 10, (series, months)).cumsum(axis=1)


def noise(rng, series, months):
    return 100 + rng.normal(0, 10, (series, months))


def seasonal_level(rng, series, months):
    season = 40 * np.sin(2 * np.pi * np.arange(months) / 12 + rng.uniform(0, 6, (series, 1)))
    return 300 + rng.normal(0, 3, (series, months)).cumsum(axis=1) + season + rng.normal(0, 8, (series, months))


@pytest.mark.parametrize("truth", [walk, noise, seasonal_level])
@pytest.mark.parametrize("months", [60, 96])
def test_the_80_per_cent_interval_covers_77_to_83_per_cent_at_each_horizon(truth, months):
    y = truth(np.random.default_rng(1), 3000, months + 12)
    _, lower, upper = Ensemble().fit(together(y[:, :months])).interval(12, 0.8)
    covered = ((lower <= y[:, months:]) & (y[:, months:] <= upper)).mean(axis=0)
    assert covered.min() > 0.77 and covered.max() < 0.83, covered.round(3)


def test_drift_finds_the_slope_and_mean_the_mean_that_the_series_were_made_with():
    rng = np.random.default_rng(0)
    y = 3.0 * np.arange(60) + rng.normal(0, 1, (50, 60))
    got = forecast(fit(together(y), {"drift": Drift(), "mean": Mean(), "ensemble": Ensemble()}), 10)
    mean = got.groupby(["model", "horizon"])["mean"].mean()
    assert mean["drift", 10] == pytest.approx(3 * 69, abs=1.5) and mean["mean", 10] == pytest.approx(3 * 29.5, abs=1.5)
    assert 3 * 65 < mean["ensemble", 10] < 3 * 70  # half its members damp what they see


# Awkward series


@pytest.fixture(scope="module")
def others():
    return sales(30, 60)


def ahead(y, others, h=6, level=0.8):
    """The default's forecast of one series among others, and by itself."""
    padded = np.concatenate([np.full(60 - len(y), np.nan), np.asarray(y, dtype="float64")])
    among = forecast(fit(together([padded, *others]), {"ensemble": Ensemble()}), h, level).iloc[:h]
    alone = forecast(fit(together([y]), {"ensemble": Ensemble()}), h, level)
    return among, alone


@pytest.mark.parametrize("value", [7.0, 0.0, -3.0])
def test_a_series_that_never_changed_goes_on_without_any_width(others, value):
    for got in ahead(np.full(60, value), others):
        np.testing.assert_allclose(got[["mean", "lower", "upper"]], value, rtol=1e-9, atol=1e-9)


def test_one_observation_is_repeated_with_an_interval_as_wide_as_itself_or_more(others):
    for got in ahead([50.0], others):
        np.testing.assert_allclose(got["mean"], 50, rtol=1e-9)
        assert (got["lower"] >= 0).all() and (got["upper"] > 50).all()
    notes = fit(together([[50.0]]), {"ensemble": Ensemble()}).notes
    assert notes["note"].tolist() == [
        "1 observation: its interval rests on the errors of the other series or, without any, on a random walk with its own changes"
    ]


def test_seven_observations_of_a_year_each_are_forecast_with_an_interval():
    y = np.array([10.0, 12, 13, 13, 15, 17, 18])
    got = forecast(fit(together([y], "YS-JAN", 1), {"ensemble": Ensemble(), "drift": Drift()}), 4).query(
        "model == 'ensemble'"
    )
    assert (
        got["mean"].between(17, 25).all() and (got["lower"] < got["mean"]).all() and (got["mean"] < got["upper"]).all()
    )
    assert ((got["upper"] - got["lower"]).diff().dropna() > 0).all()


def test_a_series_that_never_was_negative_is_not_forecast_to_be(others):
    rng = np.random.default_rng(4)
    falling = np.maximum(60 - np.arange(60) + rng.normal(0, 5, 60), 0)
    among, alone = ahead(falling, others, h=12, level=0.95)
    assert among["lower"].min() == 0 == alone["lower"].min() and among["mean"].min() >= 0
    paths = simulate(
        fit(together([falling]), {"e": Ensemble(), "n": Naive(), "s": SeasonalNaive(), "d": Drift()}), 12, 200
    )
    assert (paths.groupby("model")["value"].min() == 0).all()


def test_a_negative_series_is_forecast_to_stay_negative_with_its_season(others):
    t = np.arange(60)
    loss = -100 + 20 * np.sin(2 * np.pi * t / 12) + np.random.default_rng(5).normal(0, 3, 60)
    truth = -100 + 20 * np.sin(2 * np.pi * np.arange(60, 72) / 12)
    for got in ahead(loss, others, h=12):
        assert np.abs(got["mean"] - truth).max() < 8 and (got["upper"] < -60).all()


def test_one_outlier_long_ago_moves_the_forecast_by_less_than_a_twentieth_of_it(others):
    spiked = others[0].copy()
    spiked[20] += 2000
    clean, _ = ahead(others[0], others)
    got, _ = ahead(spiked, others)
    assert np.abs(got["mean"].to_numpy() - clean["mean"].to_numpy()).max() < 0.05 * 2000


def test_after_a_level_shift_the_forecast_is_at_the_new_level(others):
    rng = np.random.default_rng(6)
    y = np.where(np.arange(60) < 40, 100.0, 200.0) + rng.normal(0, 4, 60)
    for got in ahead(y, others):
        assert got["mean"].between(185, 225).all()
        assert (got["lower"] < 200).all() and (got["upper"] > 200).all()


def test_rare_demand_is_forecast_at_its_rate_and_says_that_nothing_is_likely():
    rng = np.random.default_rng(7)
    y = (rng.random((300, 60)) < 0.25) * rng.gamma(4, 25, (300, 60))  # 25 a month
    got = forecast(
        fit(together(y), {"ensemble": Ensemble(), "tsb": Intermittent("tsb"), "sba": Intermittent("sba")}), 6
    )
    assert got.groupby("model")["mean"].mean().between(22, 28).all()
    assert (got["lower"] == 0).mean() > 0.95 and (got["upper"] > 0).all()


def test_ten_thousand_series_come_out_finite_and_in_their_order():
    y = np.repeat(sales(100, 30), 100, axis=0) + np.repeat(np.arange(10_000)[:, None], 30, axis=1)
    got = forecast(fit(together(y), {"ensemble": Ensemble()}), 3)
    assert len(got) == 30_000 and np.isfinite(got[["mean", "lower", "upper"]].to_numpy()).all()
    first = got.loc[got["horizon"] == 1, "mean"].to_numpy()
    assert np.abs(first - y[:, -1]).max() < 150 and np.corrcoef(first, np.arange(10_000))[0, 1] > 0.99


# The measures


@pytest.fixture
def worked():
    """Two forecasts at one origin, by hand: the series changed by 2, 4 and 6, with a season of one."""
    series = monthly([10.0, 12, 8, 14, 20, 10], freq="YS")
    forecasts = pd.DataFrame(
        {
            "series": "a",
            "model": "m",
            "origin": pd.Timestamp("2021-01-01"),
            "period": pd.to_datetime(["2022-01-01", "2023-01-01"]),
            "horizon": [1, 2],
            "mean": [17.0, 14.0],
            "lower": [12.0, 11.0],
            "upper": [19.0, 18.0],
            "level": 0.8,
        }
    )
    return forecasts, series


BY_HAND = {
    "bias": ((17 - 20) + (14 - 10)) / 2,
    "relative_bias": ((17 - 20) + (14 - 10)) / 30,
    "mae": (3 + 4) / 2,
    "wape": 7 / 30,
    "mase": (3 / 4 + 4 / 4) / 2,  # mean change (2 + 4 + 6) / 3
    "rmsse": np.sqrt((9 + 16) / 2 / ((4 + 16 + 36) / 3)),
    # 20 in (12, 19): 0.1 * 8 and 0.9 * 1; 10 in (11, 18): 0.9 * 1 and 0.1 * 8
    "pinball": (0.8 + 0.9 + 0.9 + 0.8) / 4,
    "interval_score": (7 + 10 * 1 + 7 + 10 * 1) / 2,
    "crps": ((3 / 2 + 0.1 * 17) / 1.5 + (4 / 2 + 0.1 * 17) / 1.5) / 2,
    "coverage": 0.0,
    "msis": 17 / 4,
}


def test_every_measure_has_numbers_worked_by_hand():
    assert set(BY_HAND) == set(MEASURES)


@pytest.mark.parametrize("name", BY_HAND)
def test_a_measure_gives_the_number_worked_by_hand(name, worked):
    got = accuracy(*worked, measures=[name])
    assert got.columns.tolist() == ["model", "n", name] and got["n"].tolist() == [2]
    assert got[name].iloc[0] == pytest.approx(BY_HAND[name], abs=1e-12)


def test_a_forecast_above_the_actual_has_a_bias_above_zero(worked):
    forecasts, series = worked
    assert accuracy(forecasts.assign(mean=100.0), series)["bias"].iloc[0] == 85.0


def test_the_scale_of_a_score_is_what_was_known_at_its_origin(worked):
    forecasts, series = worked
    later = pd.concat([forecasts, forecasts.iloc[1:].assign(origin=pd.Timestamp("2022-01-01"), horizon=1)])
    assert scored(later, series)["change"].tolist() == [4.0, 4.0, 4.5]


def test_scores_by_horizon_and_by_series_are_those_of_the_parts():
    panel = together(sales(3, 40))
    said = backtest(panel, {"naive": Naive(), "mean": Mean()}, h=3, origins=4)
    by = accuracy(said, panel, by=("model", "horizon"))
    assert len(by) == 6 and (by["n"] == 12).all()
    whole = accuracy(said, panel).set_index("model")["mae"]
    assert by.groupby("model")["mae"].mean().to_dict() == pytest.approx(whole.to_dict())
    assert accuracy(said, panel, by="series")["n"].tolist() == [24] * 3


def test_a_measure_of_ones_own_is_a_function(worked):
    got = accuracy(*worked, measures={"worst": lambda e: (e["mean"] - e["actual"]).abs().max()})
    assert got["worst"].tolist() == [4.0]


def test_scoring_what_has_not_come_yet_points_to_backtest():
    series = monthly(sales(1, 30)[0])
    said = forecast(fit(series, {"naive": Naive()}), 3)
    with pytest.raises(TooLittleData, match="2020-07-01 to 2020-09-01.*use backtest"):
        accuracy(said, series)


def test_an_unknown_measure_series_or_column_is_refused_with_the_nearest(worked):
    forecasts, series = worked
    with pytest.raises(SettingError, match="no measure 'masse'. Did you mean 'mase'"):
        accuracy(forecasts, series, measures=["masse"])
    with pytest.raises(SettingError, match="no column of forecasts 'horizn'. Did you mean 'horizon'"):
        accuracy(forecasts, series, by=("horizn",))
    with pytest.raises(SettingError, match="no series 'b'"):
        accuracy(forecasts.assign(series="b"), series)


def test_a_series_that_never_changed_has_no_scale_and_is_left_out_of_scaled_measures():
    panel = together([np.full(30, 5.0), sales(1, 30)[0]])
    said = backtest(panel, {"mean": Mean()}, h=2, origins=3)
    got = accuracy(said, panel, by=("series",)).set_index("series")
    assert np.isnan(got.loc["s00000", "mase"]) and got.loc["s00000", "mae"] == 0
    assert accuracy(said, panel)["mase"].iloc[0] == pytest.approx(got.loc["s00001", "mase"])


def test_skill_is_the_share_of_the_seasonal_naive_error_that_is_gone():
    scores = pd.DataFrame(
        {
            "model": ["seasonal naive", "a", "seasonal naive", "a"],
            "horizon": [1, 1, 2, 2],
            "n": 5,
            "bias": 1.0,
            "mae": [4.0, 3, 10, 12],
            "coverage": 0.8,
        }
    )
    got = skill(scores)
    assert list(got) == ["model", "horizon", "n", "mae"] and got["mae"].tolist() == pytest.approx([0, 0.25, 0, -0.2])
    assert skill(scores.iloc[:2].drop(columns="horizon"))["mae"].tolist() == [0, 0.25]
    with pytest.raises(SettingError, match="no model 'naive'"):
        skill(scores, against="naive")


def test_the_crps_of_paths_is_that_of_a_loop_over_all_pairs():
    panel = together(sales(2, 40))
    paths = simulate(fit(panel.head(37), {"naive": Naive(), "ensemble": Ensemble()}), h=5, n=30)
    got = crps_of_paths(paths, panel)
    assert len(got) == 2 * 2 * 3 and got["horizon"].max() == 3
    for row in got.itertuples():
        x = paths.query("series == @row.series and model == @row.model and horizon == @row.horizon")["value"].to_numpy()
        y = panel.values[panel.names.index(row.series), panel.periods.get_loc(row.period)]
        slow = np.mean([abs(a - y) for a in x]) - np.mean([abs(a - b) for a in x for b in x]) / 2
        assert row.crps == pytest.approx(slow, rel=1e-10)


# The comparison


def said_by(errors_a, errors_b, h):
    """A backtest in which the models err by so much, at every origin (rows) and horizon (columns)."""
    origins = len(errors_a)
    series = monthly(100 + np.resize([0.0, 1.0], 30 + origins + h), freq="YS", start="1950-01-01")
    rows = []
    for o in range(origins):
        for k in range(h):
            at = series.iloc[30 + o + k]
            for name, errors in (("a", errors_a), ("b", errors_b)):
                rows.append(
                    (
                        "a",
                        name,
                        series["period"].iloc[29 + o],
                        at["period"],
                        k + 1,
                        at["value"] + errors[o][k],
                        0.0,
                        0.0,
                        0.8,
                    )
                )
    return pd.DataFrame(
        rows, columns=["series", "model", "origin", "period", "horizon", "mean", "lower", "upper", "level"]
    ), series


def test_the_comparison_is_diebold_and_marianos_with_the_correction_for_few_origins():
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, (20, 3)), rng.normal(0, 1.4, (20, 3))
    got = compare(*said_by(a, b, 3), "a", "b").iloc[0]
    d = (np.abs(a) - np.abs(b)).mean(axis=1)  # the series changes by 1 a year
    n, h = 20, 3
    centred = d - d.mean()
    variance = sum((1 if k == 0 else 2) * sum(centred[t] * centred[t - k] for t in range(k, n)) / n for k in range(h))
    statistic = d.mean() / np.sqrt(variance / n) * np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    assert (
        got["n"] == 20 and got["difference"] == pytest.approx(d.mean()) and got["statistic"] == pytest.approx(statistic)
    )
    from scipy.stats import t

    assert got["p_value"] == pytest.approx(2 * t.sf(abs(statistic), 19))


def test_two_models_that_differ_by_chance_give_no_evidence_of_a_difference():
    rng = np.random.default_rng(3)
    got = compare(*said_by(rng.normal(0, 1, (24, 2)), rng.normal(0, 1, (24, 2)), 2), "a", "b")
    assert got["p_value"].iloc[0] > 0.05 and got["lower"].iloc[0] < 0 < got["upper"].iloc[0]
    assert finding_compare(got).startswith("There is **no evidence of a difference** between a and b at 24 origins")


def test_a_model_that_errs_half_as_much_is_found_whichever_comes_first():
    rng = np.random.default_rng(4)
    errors = rng.normal(0, 1, (24, 2))
    forecasts, series = said_by(errors / 2, errors, 2)
    for first, second in (("a", "b"), ("b", "a")):
        assert finding_compare(compare(forecasts, series, first, second)).startswith("**A** errs less than b, by 4")


def test_too_few_origins_for_so_far_ahead_are_no_evidence():
    rng = np.random.default_rng(5)
    got = compare(*said_by(rng.normal(0, 1, (4, 6)), rng.normal(0, 9, (4, 6)), 6), "a", "b")
    assert got["p_value"].isna().all() and "too few" in finding_compare(got) and "no evidence" in finding_compare(got)


def test_the_test_of_a_true_null_rejects_about_as_often_as_it_should():
    rng = np.random.default_rng(6)
    rejected = []
    for _ in range(150):
        shocks = rng.normal(0, 1, (2, 41))
        overlapping = [np.stack([s[:40], s[1:]], axis=1) for s in shocks]  # neighbouring origins share an error
        rejected.append(compare(*said_by(*overlapping, 2), "a", "b")["p_value"].iloc[0] < 0.05)
    assert 0.02 < np.mean(rejected) < 0.10


# The tourism competition, where the data are

PUBLISHED = {  # the best of four peers, measured with statsforecast 2.1.1 on the same series: sMAPE, MASE, MSIS at 80 and 95 %
    "monthly": (12, 24, "MS", 19.09, 1.511, 7.79, 13.61),
    "quarterly": (4, 8, "QS", 14.84, 1.566, 8.42, 15.08),
}


@pytest.mark.parametrize("which", PUBLISHED)
def test_the_default_beats_every_peer_on_the_tourism_competition(which, evaluation):
    m, h, freq, *best = PUBLISHED[which]
    frame = pd.read_csv(evaluation / "forecast_benchmarks" / "tourism_comp" / "tourism_long.csv.gz").query("freq == @m")
    wide = (
        frame.assign(part=frame["split"])
        .sort_values(["series", "t"])
        .groupby(["series", "part"])["value"]
        .apply(np.array)
        .unstack()
    )
    longest = wide["train"].map(len).max()
    panel = together([np.concatenate([np.full(longest - len(y), np.nan), y]) for y in wide["train"]], freq, m)
    came = np.stack(list(wide["test"]))
    scale = np.nanmean(np.abs(panel.values[:, m:] - panel.values[:, :-m]), axis=1)
    fitted = Ensemble().fit(panel)
    mean, low, high = fitted.interval(h, 0.8)
    smape = 200 * np.mean(np.abs(mean - came) / np.maximum(np.abs(mean) + np.abs(came), 1e-9))
    mase = np.mean(np.abs(mean - came).mean(axis=1) / scale)
    found = [smape, mase]
    for level in (0.8, 0.95):
        _, low, high = fitted.interval(h, level)
        outside = np.maximum(low - came, 0) + np.maximum(came - high, 0)
        found.append(np.mean((high - low + 2 / (1 - level) * outside).mean(axis=1) / scale))
        assert abs(np.mean((low <= came) & (came <= high)) - level) < 0.065
    assert (np.array(found) < best).all(), found
