"""Coherent roll-ups: sums counted by hand, weights against the published formula, draws that add up and keep their joint errors."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT
from salesforecast.errors import DataError, SettingError, TooLittleData
from salesforecast.forecasting import hierarchy as h
from salesforecast.forecasting import reconciliation as r
from salesforecast.forecasting.models import Ensemble

KEYS = pd.DataFrame(
    {
        "series": ["N · A", "N · B", "S · A", "S · B"],
        "region": ["N", "N", "S", "S"],
        "product": ["A", "B", "A", "B"],
    }
)
CROSSED = h.structure(KEYS)


def draws(structure: h.Structure, n: int = 50, horizon: int = 3, seed: int = 0, shift: float = 50.0) -> pd.DataFrame:
    """Independent paths for every node, that do not add up."""
    rng = np.random.default_rng(seed)
    size = structure.sums.sum(axis=1)[:, None, None]
    values = shift * size + 10 * size * rng.standard_normal((len(structure.nodes), n, horizon))
    periods = pd.date_range("2025-01-01", periods=horizon, freq="MS")
    at = pd.MultiIndex.from_product(
        [structure.names, range(n), range(1, horizon + 1)], names=["series", "path", "horizon"]
    )
    frame = pd.DataFrame({"value": values.ravel()}, index=at).reset_index()
    return frame.assign(model="m", origin=pd.Timestamp("2024-12-01"), period=periods[frame["horizon"] - 1])


def errors(structure: h.Structure, origins: int = 40, seed: int = 1, horizons: int = 3) -> pd.DataFrame:
    """Past errors: of the bottom as drawn, of the nodes above their sums and something of their own."""
    rng = np.random.default_rng(seed)
    m = structure.sums.shape[1]
    bottom = rng.standard_normal((origins * horizons, m)) * np.arange(1, m + 1) + rng.standard_normal(
        (origins * horizons, 1)
    )
    every = bottom @ structure.sums.T + np.where(structure.nodes["bottom"], 0.0, 0.5) * rng.standard_normal(
        (1, len(structure.nodes))
    )
    at = pd.MultiIndex.from_product([range(1, horizons + 1), pd.date_range("2020-01-01", periods=origins, freq="MS")])
    wide = pd.DataFrame(every, index=at.set_names(["horizon", "origin"]), columns=structure.names)
    return wide.rename_axis(columns="series").stack().rename("error").reset_index()


def past_of(cases: np.ndarray) -> r.Past:
    return r.Past(cases[:, None])


def cube(paths: pd.DataFrame, structure: h.Structure) -> np.ndarray:
    wide = paths.pivot(index="series", columns=["path", "horizon"], values="value").sort_index(axis=1)
    return wide.loc[structure.names].to_numpy()


# ---- the structure ----------------------------------------------------------------------------------------------------


def test_groups_that_cross_give_every_sum_once():
    assert CROSSED.names == ["all", "N", "S", "A", "B", "N · A", "N · B", "S · A", "S · B"]
    assert CROSSED.sums[:5].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1]]
    assert CROSSED.bottom == list(KEYS["series"]) and CROSSED.nodes["bottom"].sum() == 4


def test_a_column_within_another_adds_no_level_that_repeats_one():
    tree = KEYS.assign(country=["X", "X", "X", "X"], team=["N", "N", "S", "S"])
    assert list(h.structure(tree).nodes["level"].unique()) == ["total", "region", "product", "bottom"]
    rep = KEYS.assign(rep=["Ann", "Bob", "Cyd", "Dee"])
    assert "rep" not in set(h.structure(rep).nodes["level"])  # one series each: the bottom is that level already


def test_only_the_levels_asked_for_are_made():
    assert h.structure(KEYS, levels=[("product",)]).names[:3] == ["all", "A", "B"]
    with pytest.raises(SettingError, match="Did you mean 'product'"):
        h.structure(KEYS, levels=[("prodct",)])


def test_two_levels_that_share_a_name_are_told_apart():
    keys = KEYS.assign(region=["A", "A", "S", "S"])
    assert h.structure(keys).names[1:5] == ["region: A", "S", "product: A", "B"]


def test_totals_are_the_sums_of_the_bottom_and_begin_with_their_first_part():
    periods = pd.date_range("2025-01-01", periods=3, freq="MS")
    frame = pd.concat(
        pd.DataFrame({"series": name, "period": periods[i:], "value": 10.0**j})
        for j, (name, i) in enumerate(zip(CROSSED.bottom, [0, 1, 2, 2], strict=True))
    )
    got = h.totals(frame, CROSSED).set_index(["series", "period"])["value"].unstack()
    assert got.loc["all"].tolist() == [1, 11, 1111]
    assert got.loc["S"].isna().tolist() == [True, True, False] and got.loc["S"].iloc[2] == 1100
    assert list(h.totals(frame, CROSSED)["series"].unique()) == CROSSED.names
    with pytest.raises(DataError, match="1 bottom series.*'N · A'"):
        h.totals(frame[frame["series"] != "N · A"], CROSSED)


# ---- the projection ---------------------------------------------------------------------------------------------------


def formula(structure: h.Structure, w: np.ndarray) -> np.ndarray:
    s, inverse = structure.sums, np.linalg.inv(w)
    return np.linalg.inv(s.T @ inverse @ s) @ s.T @ inverse


def test_structural_weights_are_those_of_the_formula():
    w = np.diag(CROSSED.sums.sum(axis=1))
    base = np.random.default_rng(0).normal(10, 3, (9, 1, 1))
    want = formula(CROSSED, w) @ base[:, 0, 0]
    np.testing.assert_allclose(r.bottom_of(base, CROSSED, "structural")[:, 0, 0], want, rtol=1e-9)


def test_mint_weights_are_those_of_the_formula_with_the_shrunk_covariance():
    rng = np.random.default_rng(2)
    past = rng.standard_normal((30, 9)) * np.arange(1, 10)
    size = np.sqrt((past**2).mean(axis=0))
    shrunk = past.T @ past / 30
    off = ~np.eye(9, dtype=bool)
    shrunk[off] *= 1 - r.shrinkage(past)
    base = rng.normal(10, 3, (9, 1, 1))
    np.testing.assert_allclose(np.sqrt(np.diag(shrunk)), size)
    want = formula(CROSSED, shrunk) @ base[:, 0, 0]
    np.testing.assert_allclose(r.bottom_of(base, CROSSED, "mint", past_of(past))[:, 0, 0], want, rtol=1e-7)


def test_two_nodes_reconcile_to_the_mean_that_was_worked_by_hand():
    # total 12 with error variance 2, parts 4 and 5 with variance 1 each and no covariance: the gap of 3 is shared 2 : 1 : 1
    pair = h.structure(pd.DataFrame({"series": ["a", "b"], "side": ["a", "b"]}), levels=[])
    got = r._projected(pair, np.diag([2.0, 1.0, 1.0])) @ np.array([12.0, 4.0, 5.0])
    assert got.tolist() == pytest.approx([4.75, 5.75])


def test_shrinkage_is_that_of_a_loop_over_pairs():
    past = np.random.default_rng(3).standard_normal((12, 4)) + np.random.default_rng(4).standard_normal((12, 1))
    z = past / np.sqrt((past**2).mean(axis=0))
    above = below = 0.0
    for i in range(4):
        for j in range(4):
            if i != j:
                products = z[:, i] * z[:, j]
                above += 12 / 11**3 * ((products - products.mean()) ** 2).sum()
                below += products.mean() ** 2
    assert r.shrinkage(past) == pytest.approx(min(1.0, above / below))


def test_cases_that_overlap_count_as_one():
    past = np.random.default_rng(11).standard_normal((40, 5)) + np.random.default_rng(12).standard_normal((40, 1))
    again = np.repeat(past, 3, axis=0)
    assert r.shrinkage(again, 40) == pytest.approx(r.shrinkage(past), rel=0.05)
    assert r.shrinkage(again) < 0.5 * r.shrinkage(past)


def test_shrinkage_goes_with_the_evidence():
    rng = np.random.default_rng(5)
    common = rng.standard_normal((400, 1)) + 0.3 * rng.standard_normal((400, 6))
    assert r.shrinkage(common) < 0.05 < 0.6 < r.shrinkage(rng.standard_normal((12, 40)))


# ---- paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["mint", "structural", "bottom_up"])
@pytest.mark.parametrize("shift", [50.0, 5.0])
def test_every_draw_adds_up_and_none_is_negative(method, shift):
    paths = draws(CROSSED, shift=shift)
    got = cube(r.reconcile(paths, CROSSED, method=method, errors=errors(CROSSED)), CROSSED)
    assert (paths["value"] < 0).any() or shift > 5
    assert np.abs(got - CROSSED.sums @ got[-4:]).max() <= 1e-9 * got.max()
    assert got.min() >= 0


def test_coherent_paths_stay_as_they_are():
    rng = np.random.default_rng(6)
    bottom = rng.gamma(5, 10, (4, 20, 3))
    values = np.einsum("ij,jnh->inh", CROSSED.sums, bottom)
    for method in ("mint", "structural"):
        past = rng.standard_normal((30, 9)) * np.arange(1, 10)
        np.testing.assert_allclose(r.bottom_of(values, CROSSED, method, past_of(past)), bottom, rtol=1e-8)


def test_negative_bottom_values_go_to_nothing_and_the_total_stays():
    got = r.without_negatives(np.array([[4.0, -1.0], [2.0, -2.0], [-3.0, 1.0]])[:, :, None])[:, :, 0]
    assert got[:, 0].tolist() == [2.0, 1.0, 0.0]
    assert got[:, 1].tolist() == [0.0, 0.0, 0.0]  # a total below 0 is none


def test_values_below_zero_are_kept_where_they_have_a_meaning():
    paths = draws(CROSSED, shift=5.0)
    got = cube(r.reconcile(paths, CROSSED, method="structural", non_negative=False), CROSSED)
    assert got.min() < 0 and np.abs(got - CROSSED.sums @ got[-4:]).max() < 1e-9 * np.abs(got).max()


@given(st.integers(0, 10_000), st.floats(-5, 20))
def test_adding_up_holds_whatever_the_draws_are(seed, shift):
    past = np.random.default_rng(seed).standard_normal((12, 9))
    values = np.random.default_rng(seed + 1).standard_normal((9, 4, 2)) * 10 + shift
    bottom = r.without_negatives(r.bottom_of(values, CROSSED, "mint", past_of(past)))
    total = r.bottom_of(values, CROSSED, "mint", past_of(past)).sum(axis=0)
    assert bottom.min() >= 0
    np.testing.assert_allclose(bottom.sum(axis=0), np.maximum(total, 0), atol=1e-9 * max(1.0, np.abs(total).max()))


def test_reordering_joins_nodes_and_horizons_as_the_errors_were_and_keeps_each_horizons_values():
    rng = np.random.default_rng(7)
    common = rng.standard_normal((300, 1, 1)) + 0.3 * rng.standard_normal((300, 2, 1))
    past = np.concatenate(
        [common, common + 0.5 * rng.standard_normal((300, 2, 1)), -common], axis=2
    )  # origins, horizons, nodes
    values = rng.gamma(2, 1, (3, 4000, 2))
    got = r.reordered(values, past, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(got, axis=1), np.sort(values, axis=1))
    ranks = got.argsort(axis=1).argsort(axis=1).transpose(1, 2, 0).reshape(4000, 6)
    want = np.corrcoef(past.reshape(300, 6).T)
    np.testing.assert_allclose(
        np.corrcoef(ranks.T), 6 / np.pi * np.arcsin(want / 2), atol=0.06
    )  # of ranks of normal draws


def test_a_total_of_series_that_err_together_is_less_sure_than_one_of_series_that_do_not():
    rng = np.random.default_rng(8)
    paths, at = draws(CROSSED, n=800, horizon=1), pd.date_range("2020-01-01", periods=60, freq="MS")

    def past(bottom: np.ndarray) -> pd.DataFrame:
        wide = pd.DataFrame(bottom @ CROSSED.sums.T, index=at.rename("origin"), columns=CROSSED.names)
        return wide.rename_axis(columns="series").stack().rename("error").reset_index().assign(horizon=1)

    own = rng.standard_normal((60, 4))
    spread = [
        r.bottom_up(paths, CROSSED, errors=past(e)).query("series == 'all'")["value"].std()
        for e in (own, own[:, [0]] + 0.1 * own)
    ]
    assert spread[1] > 1.5 * spread[0]


def test_few_past_errors_fall_back_to_structural_scaling_and_the_result_says_so():
    few = r.reconcile(draws(CROSSED), CROSSED, errors=errors(CROSSED, origins=7))
    assert set(few["method"]) == {"structural"}
    same = r.reconcile(draws(CROSSED), CROSSED, method="structural")
    pd.testing.assert_frame_equal(few, same)
    assert set(r.reconcile(draws(CROSSED), CROSSED, errors=errors(CROSSED, origins=8))["method"]) == {"mint"}
    with pytest.raises(TooLittleData, match="needs past errors"):
        r.reconcile(draws(CROSSED), CROSSED)


def test_the_order_of_rows_and_a_second_model_change_nothing():
    paths, past = draws(CROSSED), errors(CROSSED)
    want = r.reconcile(paths, CROSSED, errors=past)
    mixed = r.reconcile(paths.sample(frac=1, random_state=0), CROSSED, errors=past.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(mixed, want)
    both = r.reconcile(pd.concat([paths, draws(CROSSED, seed=9).assign(model="n")]), CROSSED, errors=past)
    pd.testing.assert_frame_equal(both[both["model"] == "m"].reset_index(drop=True), want)
    assert both["model"].value_counts().to_dict() == {"m": len(want), "n": len(want)}


@pytest.mark.parametrize("known", [2, 0])
def test_one_new_series_takes_the_past_from_no_other(known):
    rng = np.random.default_rng(16)
    keys = pd.DataFrame({"series": [f"s{i}" for i in range(10)], "half": ["a"] * 9 + ["b"]})
    tree, n = h.structure(keys), 2000
    new = ["b", "s9"]  # alone in its half
    held = {}
    for kind in ("with", "without"):
        hits = []
        for _ in range(12):
            common = rng.standard_normal((40, 1)) + 0.5 * rng.standard_normal((40, 10))  # what they err together
            every = pd.DataFrame(common @ tree.sums.T, columns=tree.names)
            past, later = every[:24].copy(), every[24:]
            past.loc[: 23 - known, new] = np.nan
            past = past.assign(origin=pd.date_range("2020-01-01", periods=24, freq="MS")).melt(
                "origin", var_name="series"
            )
            past = past.dropna().rename(columns={"value": "error"}).assign(horizon=1)
            paths = every.std().to_numpy()[:, None] * rng.standard_normal((len(tree.names), n))
            frame = pd.DataFrame(paths, index=pd.Index(tree.names, name="series")).rename_axis(columns="path")
            frame = frame.stack().rename("value").reset_index().assign(model="m", horizon=1)
            frame = frame.assign(origin=pd.Timestamp("2024-12-01"), period=pd.Timestamp("2025-01-01"))
            given = {"errors": past} if kind == "with" else {"method": "structural"}
            got = r.reconcile(frame, tree, **given, non_negative=False)
            assert set(got["method"]) == {"mint" if kind == "with" else "structural"}
            bounds = got[got["series"] == "all"]["value"].quantile([0.1, 0.9]).to_numpy()
            hits.append(later["all"].between(*bounds).mean())
        held[kind] = np.mean(hits)
    assert 0.7 < held["with"] < 0.92 and held["without"] < 0.6, held


def test_a_node_without_paths_or_errors_is_named():
    with pytest.raises(DataError, match="1 series of the hierarchy have no paths, e.g. 'N'"):
        r.reconcile(draws(CROSSED).query("series != 'N'"), CROSSED, method="structural")
    r.reconcile(draws(CROSSED).query("series != 'N'"), CROSSED, method="bottom_up")  # which needs the bottom only
    with pytest.raises(DataError, match="1 nodes have no past errors, e.g. 'N'"):
        r.reconcile(draws(CROSSED), CROSSED, errors=errors(CROSSED).query("series != 'N'"))
    with pytest.raises(DataError, match="reach 2 periods ahead and the paths 3; backtest with h=3"):
        r.reconcile(draws(CROSSED), CROSSED, errors=errors(CROSSED, horizons=2))
    with pytest.raises(SettingError, match="Did you mean 'mint'"):
        r.reconcile(draws(CROSSED), CROSSED, method="mintt")


def test_past_errors_are_what_came_minus_what_was_said_once_for_each_period():
    when = pd.to_datetime(["2025-02-01", "2025-03-01"])
    said = pd.DataFrame(
        {
            "series": "a",
            "model": "m",
            "origin": pd.Timestamp("2025-01-01"),
            "period": when,
            "horizon": [1, 2],
            "mean": [7.0, 9.0],
        }
    )
    two_levels = pd.concat([said.assign(level=0.5), said.assign(level=0.8)])
    came = pd.DataFrame({"series": "a", "period": when[:1], "value": [10.0]})
    got = r.past_errors(two_levels, came)
    assert got[["horizon", "error"]].to_numpy().tolist() == [[1, 3.0]]
    with pytest.raises(SettingError, match="2 models"):
        r.past_errors(pd.concat([said, said.assign(model="n")]), came)


def test_ranges_are_made_as_wide_as_the_past_errors_of_reconciled_forecasts_ask_for():
    rng = np.random.default_rng(13)
    bottom = rng.standard_normal((200, 3, 4)) * [1.0, 2, 3, 4]
    past = r.Past(bottom @ CROSSED.sums.T)
    for narrow in (0.5, 2.0):  # draws half as wide as the errors were, or twice
        apart = narrow * (rng.standard_normal((2000, 3, 4)) * [1.0, 2, 3, 4]).transpose(2, 0, 1)
        for method, seen in (("mint", past), ("structural", past), ("bottom_up", r.Past(bottom))):
            assert r.width(apart, CROSSED, method, seen) == pytest.approx(1 / narrow, rel=0.05)
    paths, at = draws(CROSSED, n=400), errors(CROSSED, origins=60)
    wide = r.reconcile(paths, CROSSED, errors=at.assign(error=10 * at["error"]), non_negative=False)
    tight = r.reconcile(paths, CROSSED, errors=at, non_negative=False)
    spread = [got.groupby(["series", "horizon"])["value"].std() for got in (wide, tight)]
    np.testing.assert_allclose(spread[0], 10 * spread[1], rtol=1e-6)
    np.testing.assert_allclose(*(got.groupby("series")["value"].mean() for got in (wide, tight)), rtol=1e-9)


def test_weights_learnt_from_the_errors_they_are_judged_by_would_make_the_ranges_too_narrow():
    rng = np.random.default_rng(14)
    keys = pd.DataFrame({"series": [f"s{i:02}" for i in range(20)], "half": ["a", "b"] * 10})
    tree = h.structure(keys)
    apart = rng.standard_normal((20, 1000, 1))
    half = np.quantile(np.abs(tree.sums @ apart[:, :, 0]), 0.8, axis=1)
    held, mix = [], rng.standard_normal((3, 23))
    for _ in range(20):
        common = rng.standard_normal((1012, 3)) @ mix  # errors go together, so that little is shrunk and much is learnt
        every = common + 0.2 * rng.standard_normal((1012, 23))
        past = r.Past(every[:12, None])
        reconciled = tree.sums @ r._weights(tree, "mint", past)
        later = np.abs(every[12:] @ reconciled.T) / half
        own = np.quantile(np.abs(past.errors[:, 0] @ reconciled.T) / half, 0.8)
        held.append([np.mean(later <= r.width(apart, tree, "mint", past)), np.mean(later <= own)])
    mean = np.mean(held, axis=0)
    assert 0.78 < mean[0] < 0.85 and mean[1] < 0.77, mean


def test_draws_that_have_no_width_keep_none():
    past = r.Past(np.random.default_rng(15).standard_normal((12, 2, 9)))
    assert r.width(np.zeros((4, 50, 2)), CROSSED, "mint", past) == 1.0


# ---- does it help? ------------------------------------------------------------------------------------------------------


def test_reconciled_forecasts_of_known_series_are_nearer_the_truth_than_bottom_up_and_unreconciled_ones():
    rng = np.random.default_rng(10)
    truth = CROSSED.sums @ np.array([10.0, 20.0, 30.0, 40.0])
    noise = rng.standard_normal((4000, 9)) * np.array([4, 3, 3, 3, 3, 6, 6, 6, 6])
    base = truth + noise
    past, now = base[:40] - truth, base[40:].T[:, :, None]
    error = {
        m: np.abs(CROSSED.sums @ r.bottom_of(now, CROSSED, m, past_of(past))[:, :, 0] - truth[:, None]).mean()
        for m in ("mint", "bottom_up")
    }
    error["none"] = np.abs(now[:, :, 0] - truth[:, None]).mean()
    assert error["mint"] < 0.95 * min(error["bottom_up"], error["none"])


def test_on_the_tourism_hierarchy_reconciled_forecasts_beat_bottom_up_and_unreconciled_ones(evaluation):
    module = importlib.util.spec_from_file_location("forecast_hierarchy", ROOT / "benchmarks" / "forecast_hierarchy.py")
    benchmark = importlib.util.module_from_spec(module)
    module.loader.exec_module(benchmark)
    series, structure = benchmark.tourism(evaluation)
    assert structure.sums.shape == (425, 304)
    scores = benchmark.study(
        series, structure, Ensemble(), origins=1, draws=200
    )  # which checks that every draw adds up
    mean = scores.groupby("way")["rmsse"].mean()
    assert mean["mint"] < 0.97 * mean[["bottom_up", "unreconciled"]].min()
    covered = scores[scores["way"] == "mint"].groupby("level")["covered"].mean()
    assert covered.min() > 0.65 and scores.loc[scores["way"] == "mint", "covered"].mean() > 0.7
