import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforecast import stats


def table(entry, exit, outcome, groups=None, ages=None):
    entry, exit = np.asarray(entry), np.asarray(exit)
    groups = np.arange(len(entry)) if groups is None else np.asarray(groups)
    return stats.life_table(
        entry, exit, np.asarray(outcome), groups, int(groups.max()) + 1, ages or int(exit.max()) + 1
    )


def once(life):
    won, lost = stats.incidence(life, np.ones((1, life.won.shape[0])))
    return won[0], lost[0]


def test_the_wilson_interval_of_one_in_four_by_hand():
    row = stats.add_rate(pd.DataFrame({"won": [1], "n": [4]}), hits="won", n="n", name="rate").iloc[0]
    z, p, n = 1.959964, 0.25, 4
    centre, half = (
        (p + z * z / (2 * n)) / (1 + z * z / n),
        z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)),
    )
    assert (row["lower"], row["upper"]) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_a_rate_over_nothing_is_missing_not_zero():
    assert (
        stats.add_rate(pd.DataFrame({"won": [0], "n": [0]}), hits="won", n="n", name="rate")[["rate", "lower", "upper"]]
        .isna()
        .all(axis=None)
    )


def test_incidence_worked_by_hand():
    # Five deals: won at 1, lost at 1, open until 2, won at 3, open until 4.
    won, lost = once(table([0] * 5, [1, 1, 2, 3, 4], ["won", "lost", "open", "won", "open"]))
    # Day 1: 5 at risk, 1/5 won, 1/5 lost, 3/5 open. Day 3: 2 at risk, 1/2 of the 3/5 won.
    assert won.tolist() == pytest.approx([0, 0.2, 0.2, 0.5, 0.5])
    assert lost.tolist() == pytest.approx([0, 0.2, 0.2, 0.2, 0.2])


def test_a_deal_that_comes_late_into_view_counts_only_from_then():
    # Three deals: won at 2; seen from age 2 on and open until 3; won at 1.
    won, _ = once(table([0, 2, 0], [2, 3, 1], ["won", "open", "won"]))
    # Day 1: 2 in view, 1/2 won. Day 2: 2 in view (one new), 1/2 of the 1/2 left is won.
    assert won.tolist() == pytest.approx([0, 0.5, 0.75, 0.75])


DEALS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 20), st.sampled_from(["won", "lost", "open"])), min_size=1, max_size=60
)


@given(DEALS)
def test_incidence_equals_a_slow_and_obvious_computation(rows):
    entry = [min(a, b) for a, b, _ in rows]
    exit = [max(a, b) for a, b, _ in rows]
    outcome = [o for *_, o in rows]
    won, lost = once(table(entry, exit, outcome))
    still, f_won, f_lost = 1.0, 0.0, 0.0
    for age in range(max(exit) + 1):
        risk = sum(e <= age <= x for e, x in zip(entry, exit, strict=True))
        d_won = sum(x == age and o == "won" for x, o in zip(exit, outcome, strict=True))
        d_lost = sum(x == age and o == "lost" for x, o in zip(exit, outcome, strict=True))
        if risk:
            f_won, f_lost, still = (
                f_won + still * d_won / risk,
                f_lost + still * d_lost / risk,
                still * (1 - (d_won + d_lost) / risk),
            )
        assert won[age] == pytest.approx(f_won) and lost[age] == pytest.approx(f_lost)


def test_incidence_equals_statsmodels_on_random_deals():
    from statsmodels.duration.survfunc import CumIncidenceRight

    rng = np.random.default_rng(1)
    exit = rng.integers(0, 60, 500)
    outcome = rng.choice(["won", "lost", "open"], 500)
    won, lost = once(table(np.zeros(500, dtype=int), exit, outcome))
    oracle = CumIncidenceRight(exit, np.select([outcome == "won", outcome == "lost"], [1, 2], 0))
    at = oracle.times.astype(int)
    np.testing.assert_allclose(won[at], oracle.cinc[0], atol=1e-12)
    np.testing.assert_allclose(lost[at], oracle.cinc[1], atol=1e-12)


@given(DEALS, st.randoms())
def test_the_order_of_the_deals_does_not_matter(rows, random):
    groups = list(range(len(rows)))
    mixed = list(zip(rows, groups, strict=True))
    random.shuffle(mixed)

    def curve(pairs):
        return once(
            table(
                [min(r[:2]) for r, _ in pairs],
                [max(r[:2]) for r, _ in pairs],
                [r[2] for r, _ in pairs],
                [g for _, g in pairs],
                21,
            )
        )

    np.testing.assert_allclose(curve(mixed), curve(list(zip(rows, groups, strict=True))))


def test_rows_of_one_account_share_a_group_and_rows_without_one_do_not():
    names = [f"{i:02}" for i in range(25)]
    codes = stats.group_codes(pd.Series([*names, "03", None, None], dtype="str"))
    assert codes[25] == codes[3] and len(set(codes)) == 27
    assert stats.group_codes(pd.Series([f"{i:04}" for i in range(2000)], dtype="str")).max() == stats.GROUPS - 1


def test_few_accounts_are_not_resampled_as_accounts():
    assert len(set(stats.group_codes(pd.Series(["a", "a", "b"], dtype="str")))) == 3


def test_resampling_accounts_is_wider_than_resampling_deals_when_accounts_behave_alike():
    rng = np.random.default_rng(0)
    account = np.repeat(np.arange(40), 25)
    outcome = np.where(np.repeat(rng.random(40) < 0.3, 25), "won", "lost")
    zero, day = np.zeros(1000, dtype=int), np.ones(1000, dtype=int)

    def spread(groups):
        life = table(zero, day, outcome, groups)
        won, _ = stats.incidence(life, stats.weights(life.won.shape[0]))
        return won[1:, -1].std()

    assert spread(account) > 3 * spread(np.arange(1000))


def test_a_share_interval_stays_between_0_and_1_and_holds_the_estimate():
    share = np.array([0.0, 0.02, 0.5, 0.99])
    lower, upper = stats.share_interval(share, np.full(4, 0.02**2), df=11)
    assert np.isnan(lower[0]) and (lower[1:] > 0).all() and (upper[1:] < 1).all()
    assert (lower[1:] < share[1:]).all() and (share[1:] < upper[1:]).all()
    assert upper[2] - lower[2] == pytest.approx(2 * 2.201 * 0.02, rel=0.02)  # t with 11 degrees of freedom


def test_the_jackknife_of_a_plain_share_is_its_binomial_variance():
    outcome = np.where(np.arange(400) % 4 == 0, "won", "lost")
    life = table(np.zeros(400, dtype=int), np.ones(400, dtype=int), outcome)
    assert stats.jackknife(life)[-1] == pytest.approx(0.25 * 0.75 / 399)


def test_draws_that_mostly_failed_give_no_interval():
    draws = np.column_stack([np.r_[np.full(30, np.nan), np.arange(70.0)], np.arange(100.0)])
    lower, upper = stats.quantile_interval(draws)
    assert np.isnan(lower[0]) and np.isnan(upper[0])
    assert (lower[1], upper[1]) == pytest.approx((2.475, 96.525))
