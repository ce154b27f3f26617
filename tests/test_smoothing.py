"""The batch smoother against statsmodels, one series at a time; the season's decomposition; rare demand by hand."""

import warnings

import numpy as np
import pytest
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from salesforecast.forecasting import seasonal
from salesforecast.forecasting.parameters import search
from salesforecast.forecasting.points import RarePoints, SmoothingPoints, ThetaPoints
from salesforecast.forecasting.smoothing import Columns, Initial, Parameters, ahead, squared_error, trace

TRENDS, SEASONS = ("none", "additive", "damped"), ("none", "additive", "multiplicative")
M = 4


def quarters(n: int, series: int, seed: int = 0, m: int = M) -> np.ndarray:
    """Series with level, trend and season that wander: (series, n), younger ones with NaN on the left."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    level = 200 + np.cumsum(rng.normal(0.5, 3, (series, n)), axis=1)
    season = 1 + 0.3 * np.sin(2 * np.pi * t / m + rng.uniform(0, 6, (series, 1)))
    y = level * season + rng.normal(0, 6, (series, n))
    for i in range(series):
        y[i, : (i * 3) % 13] = np.nan
    return y


def statsmodels_of(
    y: np.ndarray, trend: str, season: str, initial: Initial, i: int, start: int, m: int = M
) -> ETSModel:
    """The same model of one series, with the initial states that the batch starts from."""
    place = (start + np.arange(m)) % m
    known = {"initialization_method": "known", "initial_level": initial.level[i]}
    if trend != "none":
        known["initial_trend"] = initial.slope[i]
    if season != "none":
        known["initial_seasonal"] = initial.season[place, i]
    return ETSModel(
        y,
        error="add",
        trend=None if trend == "none" else "add",
        damped_trend=trend == "damped",
        seasonal={"none": None, "additive": "add", "multiplicative": "mul"}[season],
        seasonal_periods=m if season != "none" else None,
        **known,
    )


@pytest.mark.parametrize("trend", TRENDS)
@pytest.mark.parametrize("season", SEASONS)
def test_one_step_predictions_and_forecasts_are_those_of_statsmodels(trend, season):
    columns = Columns.of(quarters(60, 6))
    initial = seasonal.initial_states(columns, M, season, np.full(6, season != "none"))
    rng = np.random.default_rng(1)
    alpha = rng.uniform(0.1, 0.8, (6, 1))
    beta = alpha * rng.uniform(0.1, 0.6, (6, 1)) * (trend != "none")
    gamma = (1 - alpha) * rng.uniform(0.1, 0.6, (6, 1)) * (season != "none")
    phi = rng.uniform(0.82, 0.97, (6, 1)) if trend == "damped" else np.ones((6, 1))
    parameters = Parameters(alpha, beta, gamma, phi)
    states = trace(columns, trend, season, parameters, initial)
    forecasts = ahead(states, phi[:, 0], season, M, 9, np.array([50, 60]))
    for i, start in enumerate(columns.start):
        y = columns.y[start:, i]
        model = statsmodels_of(y, trend, season, initial, i, start)
        values = {
            "smoothing_level": alpha[i, 0],
            "smoothing_trend": beta[i, 0],
            "smoothing_seasonal": gamma[i, 0],
            "damping_trend": phi[i, 0],
        }
        oracle = model.smooth(
            [values[name] if name in values else model_start(model, name) for name in model.param_names]
        )
        np.testing.assert_allclose(y - states.error[start:, i], oracle.fittedvalues, rtol=0, atol=1e-8)
        np.testing.assert_allclose(forecasts[1, :, i], oracle.forecast(9), rtol=0, atol=1e-8)
        earlier = statsmodels_of(y[:-10], trend, season, initial, i, start)
        cut = earlier.smooth(
            [values[name] if name in values else model_start(earlier, name) for name in earlier.param_names]
        )
        np.testing.assert_allclose(forecasts[0, :, i], cut.forecast(9), rtol=0, atol=1e-8)
        total = squared_error(columns, trend, season, parameters, initial)
        assert total[i, 0] == pytest.approx(((y - oracle.fittedvalues) ** 2).sum(), rel=1e-10)


def model_start(model: ETSModel, name: str) -> float:
    return dict(zip(model.param_names, model.start_params, strict=True))[name]


def test_a_hundred_optima_are_those_of_statsmodels_or_better_up_to_half_a_per_cent():
    worst = []
    for seed, (trend, season) in enumerate(
        [
            ("none", "none"),
            ("none", "additive"),
            ("additive", "additive"),
            ("damped", "additive"),
            ("damped", "multiplicative"),
        ]
    ):
        columns = Columns.of(quarters(60, 20, seed=seed))
        initial = seasonal.initial_states(columns, M, season, np.full(20, season != "none"))
        found, total = search(columns, trend, season, initial)
        assert total == pytest.approx(squared_error(columns, trend, season, found, initial)[:, 0], rel=1e-12)
        for i, start in enumerate(columns.start):
            y = columns.y[start:, i]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of convergence
                oracle = statsmodels_of(y, trend, season, initial, i, start).fit(disp=False, maxiter=1000)
            worst.append(total[i] / ((y - oracle.fittedvalues) ** 2).sum())
    assert len(worst) == 100 and max(worst) < 1.005, np.sort(worst)[-5:]


def test_parameters_stay_within_their_bounds_and_a_series_without_season_has_no_gamma():
    columns = Columns.of(quarters(60, 8))
    has = np.arange(8) % 2 == 0
    initial = seasonal.initial_states(columns, M, "additive", has)
    found, _ = search(columns, "damped", "additive", initial, has)
    assert ((found.alpha > 0) & (found.alpha < 1) & (found.beta > 0) & (found.beta < found.alpha)).all()
    assert ((found.phi >= 0.8) & (found.phi <= 0.98)).all() and (found.gamma <= 1 - found.alpha).all()
    assert (found.gamma[has] > 0).all() and (found.gamma[~has] == 0).all() and (initial.season[:, ~has] == 0).all()


def test_a_prior_draws_the_parameters_towards_the_usual_ones():
    columns = Columns.of(quarters(20, 30))
    initial = seasonal.initial_states(columns, M, "none", np.zeros(30, dtype=bool))
    (free, least), (drawn, total) = (search(columns, "additive", "none", initial, prior=p) for p in (0.0, 5.0))
    assert np.abs(np.log(drawn.alpha / (1 - drawn.alpha)) - np.log(0.3 / 0.7)).max() < 3
    assert np.abs(drawn.alpha - 0.3).mean() < 0.5 * np.abs(free.alpha - 0.3).mean() and (total > least * 0.995).all()


def test_another_series_beside_it_changes_no_series_parameters():
    y = quarters(50, 6)
    alone = [Columns.of(y[i : i + 1]) for i in range(6)]
    whole = Columns.of(y)
    point = SmoothingPoints("damped", "additive", 1.0)
    has = np.ones(6, dtype=bool)
    said = point.rolling(whole, M, has, 4, np.array([50]), point.learn(whole, M, has))
    for i, one in enumerate(alone):
        got = point.rolling(one, M, has[:1], 4, np.array([50]), point.learn(one, M, has[:1]))
        np.testing.assert_allclose(said[0, :, list(whole.order).index(i)], got[0, :, 0], rtol=1e-9)


def test_forecasts_from_every_origin_are_those_of_a_pass_that_ends_there():
    y = quarters(48, 5)
    columns = Columns.of(y)
    has = np.ones(5, dtype=bool)
    for point in (
        SmoothingPoints("additive", "additive", 0.5),
        ThetaPoints(),
        ThetaPoints(yearly=True),
        RarePoints("sba"),
    ):
        learnt = point.learn(columns, M, has)
        rolled = point.rolling(columns, M, has, 6, np.array([40, 48]), learnt)
        assert rolled.shape == (2, 6, 5) and np.isfinite(rolled).all()
        changed = Columns(np.where(np.arange(48)[:, None] < 40, columns.y, 1e5), columns.start, columns.order)
        if isinstance(point, SmoothingPoints | RarePoints) or point.yearly:
            again = point.rolling(changed, M, has, 6, np.array([40]), learnt)
            np.testing.assert_array_equal(rolled[0], again[0])


def test_theta_is_that_of_a_loop_over_one_series():
    rng = np.random.default_rng(3)
    y = 50 + 2.0 * np.arange(30) + rng.normal(0, 4, 30)
    columns = Columns.of(y[None])
    none = np.zeros(1, dtype=bool)
    learnt = ThetaPoints().learn(columns, 1, none)
    got = ThetaPoints().rolling(columns, 1, none, 5, np.array([30]), learnt)[0, :, 0]
    alpha, level = learnt[0], y[0]
    for value in y[1:]:
        level += alpha * (value - level)
    slope = np.polyfit(np.arange(30), y, 1)[0]
    want = [level + slope / 2 * (k - 1 + (1 - (1 - alpha) ** 30) / alpha) for k in range(1, 6)]
    np.testing.assert_allclose(got, want, rtol=1e-10)


def test_theta_of_years_forecasts_what_a_year_brings_and_shares_it_out_by_its_season():
    shape = np.array([0.5, 1.0, 1.5, 1.0])
    years = np.array([100.0, 110, 120, 130, 140, 150])
    y = (years[:, None] * shape).ravel()
    columns = Columns.of(y[None])
    has = np.ones(1, dtype=bool)
    point = ThetaPoints(yearly=True)
    got = point.rolling(columns, 4, has, 8, np.array([24]), point.learn(columns, 4, has))[0, :, 0]
    share = got[:4] / got[:4].mean()
    np.testing.assert_allclose(share, shape, atol=0.08)
    assert 150 < got[:4].mean() < 162 and got[4:].mean() > got[:4].mean()


# The season


def test_a_centred_mean_is_worked_by_hand_for_even_and_odd_seasons():
    y = np.array([1.0, 2, 3, 4, 5, 9])[:, None]
    np.testing.assert_allclose(
        seasonal.centred_mean(y, 4)[:, 0], [np.nan, np.nan, 3, (2 / 2 + 3 + 4 + 5 + 9 / 2) / 4, np.nan, np.nan]
    )
    np.testing.assert_allclose(seasonal.centred_mean(y, 3)[:, 0], [np.nan, 2, 3, 4, 6, np.nan])
    assert np.isnan(seasonal.centred_mean(y[:4], 4)).all()


def test_a_season_is_found_where_there_is_one_and_rarely_where_there_is_none():
    rng = np.random.default_rng(0)
    t = np.arange(60)
    season = 10 * np.sin(2 * np.pi * t / 12) + rng.normal(0, 5, (200, 60)) + t
    noise = rng.normal(0, 5, (200, 60)) + t
    walk = rng.normal(0, 5, (200, 60)).cumsum(axis=1)
    found = [seasonal.is_seasonal(Columns.of(y), 12).mean() for y in (season, noise, walk)]
    assert found[0] > 0.95 and found[1] < 0.15 and found[2] < 0.15
    short = Columns.of(season[:, :23])
    assert not seasonal.is_seasonal(short, 12).any() and not seasonal.is_seasonal(Columns.of(season), 1).any()


@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
def test_the_decomposition_gives_back_the_level_slope_and_season_of_an_exact_series(kind):
    t = np.arange(40)
    shape = np.array([-8.0, 4, 10, -6]) if kind == "additive" else np.array([0.6, 1.1, 1.4, 0.9])
    line = 100.0 + 0.0 * t if kind == "multiplicative" else 100 + 2.0 * t
    y = line * shape[t % 4] if kind == "multiplicative" else line + shape[t % 4]
    y[:2] = np.nan  # begins in the third quarter
    columns = Columns.of(y[None])
    got = seasonal.initial_states(columns, 4, kind, np.ones(1, dtype=bool))
    np.testing.assert_allclose(got.season[:, 0], shape, atol=1e-9)
    assert got.slope[0] == pytest.approx(0 if kind == "multiplicative" else 2, abs=1e-9)
    assert got.level[0] == pytest.approx(
        100 if kind == "multiplicative" else 102, abs=1e-9
    )  # the period before its first
    shares = seasonal.shares(
        columns, 4, np.array([10, 40]), np.ones(1, dtype=bool), np.array([kind == "multiplicative"])
    )
    np.testing.assert_allclose(shares[1, :, 0], shape, atol=1e-9)
    np.testing.assert_allclose(shares[0, :, 0], shape, atol=1e-9)


def test_the_season_at_an_origin_knows_nothing_later():
    y = quarters(60, 4)
    changed = y.copy()
    changed[:, 40:] = 1e4
    a, b = (
        seasonal.shares(Columns.of(v), M, np.array([40]), np.ones(4, dtype=bool), np.ones(4, dtype=bool))
        for v in (y, changed)
    )
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - 1).max() > 0.1


# Rare demand


def rates(y, kind, alpha):
    columns = Columns.of(np.array([y], dtype="float64"))
    return RarePoints(kind)._rates(columns, np.full((1, 1), alpha))[:, 0, 0]


def test_croston_sba_and_tsb_give_the_numbers_worked_by_hand():
    y = [0, 6, 0, 0, 3, 0]  # sizes 6 and 3, gaps 2 and 3
    size, gap = 6 + 0.5 * (3 - 6), 2 + 0.5 * (3 - 2)
    np.testing.assert_allclose(rates(y, "croston", 0.5), [0, 3, 3, 3, size / gap, size / gap])
    np.testing.assert_allclose(rates(y, "sba", 0.5), 0.75 * np.array([0, 3, 3, 3, size / gap, size / gap]))
    chance = 0.125 + 0.5 * (1 - 0.125)  # a half, halved twice, then drawn up
    np.testing.assert_allclose(
        rates(y, "tsb", 0.5), [0, 6 * 0.5, 6 * 0.25, 6 * 0.125, size * chance, size * chance / 2]
    )


def test_demand_that_ceased_sinks_with_tsb_and_stays_with_croston():
    y = [4, 0, 4, 0, 4] + [0] * 40
    assert rates(y, "tsb", 0.1)[-1] < 0.05 and rates(y, "croston", 0.1)[-1] > 1.5
