"""What hangs on findings in money: counted by hand, and on nobody by luck."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from conftest import deals
from salesforecast import channels, funnel, pipeline, reps, targets
from salesforecast.periods import period
from salesforecast.stakes import Forecast, Stake, kept, stake
from salesforecast.tables import Crm


def test_a_stake_comes_back_as_it_was_kept():
    whole = Stake(1.5, 1.0, 2.0, lever="Call", key="k", test="Try", evidence="test", shrunk=True, level=-3.0)
    assert stake(kept(whole)) == whole
    assert kept(Forecast("2025Q2", 1.0)) == {"period": "2025Q2", "mean": 1.0}
    with pytest.raises(ValueError, match="evidence is one of association"):
        Stake(1.0, evidence="hope")


def velocity(change, sure):
    """The velocity fell from 100 a day, or rose; and another metric, which does not count."""
    rows = [
        ("open_deals", 9.0, 1.0, -0.9, -0.9, -0.9, True),
        ("velocity", 100.0, 100 + 100 * change, change, change - 0.1, change + 0.2, sure),
    ]
    return pd.DataFrame(rows, columns=["metric", "was", "is_now", "change", "lower", "upper", "sure"])


def test_a_clear_fall_of_the_velocity_costs_a_year_of_it():
    found = funnel.stake_velocity(velocity(-0.5, True))
    assert found.amount == 50 * 365
    assert 30 * 365 < found.lower < found.amount < found.upper < 60 * 365
    assert found.lever == "", "nothing is proposed"


def test_nothing_is_at_stake_where_the_velocity_did_not_clearly_fall():
    assert funnel.stake_velocity(velocity(-0.5, False)) is None
    assert funnel.stake_velocity(velocity(0.5, True)) is None
    assert funnel.stake_velocity(velocity(float("nan"), False)) is None


def test_stalled_deals_count_at_the_chance_of_their_age():
    ages = pd.DataFrame(
        {"amount": [1000.0, 500.0, 70.0], "chance": [0.5, 0.01, np.nan], "stalled": [False, True, True]}
    )
    assert funnel.stake_stalled(ages).amount == 5.0
    assert funnel.stake_stalled(ages.assign(stalled=False)) is None


def parts(mean, lower, upper, target=None):
    rows = [("Won so far", 20.0, 20.0, 20.0), ("Forecast", mean, lower, upper)]
    if target:
        rows += [("Target", target, np.nan, np.nan), ("Gap", target - mean, target - upper, target - lower)]
    return pd.DataFrame(rows, columns=["part", "amount", "lower", "upper"]).assign(chance=0.5)


def test_the_shortfall_is_its_mean_over_all_that_may_happen():
    sd = (120 - 80) / (2 * 1.2815516)
    draws = np.random.default_rng(0).normal(100, sd, 400_000)
    for target in (70, 100, 130):
        found = pipeline.stake_parts(parts(100.0, 80.0, 120.0, target))
        assert found.amount == pytest.approx(np.maximum(target - draws, 0).mean(), abs=0.1)
        if target > 80:
            assert (found.lower, found.upper) == (max(0, target - 120), target - 80)
        else:
            assert np.isnan([found.lower, found.upper]).all(), "a range of 0 to 0 beside a shortfall would be odd"
    assert pipeline.stake_parts(parts(100.0, 80.0, 120.0)) is None, "without a target nothing falls short of it"


def test_the_deals_that_matter_most_are_each_won_or_not():
    watch = pd.DataFrame({"amount": [100.0, 50.0], "chance": [0.5, 1.0], "expected": [50.0, 50.0]})
    found = pipeline.stake_watch(watch)
    assert (found.amount, found.lower, found.upper) == (100.0, 50.0, 150.0)
    assert pipeline.stake_watch(watch.assign(expected=0.0)) is None


def test_coverage_and_silent_deals_are_worth_what_is_missing_or_expected():
    row = pd.DataFrame({"missing_pipeline": [200.0], "conversion": [0.25]})
    assert pipeline.stake_coverage(row).amount == 50.0
    assert pipeline.stake_coverage(row.assign(missing_pipeline=-1.0)) is None
    assert pipeline.stake_silent(pd.DataFrame({"expected": [7.0]})).amount == 7.0
    assert pipeline.stake_silent(pd.DataFrame({"expected": [0.0]})) is None


def test_nobody_is_proposed_for_help_on_luck():
    gaps = pd.DataFrame({
        "rep_id": ["1", "2"], "rep": ["*Ann*", "Bo"], "stage": ["Quote", "Quote"], "worth": [100.0, 90.0],
        "lower_90": [50.0, -10.0], "upper_90": [150.0, 190.0], "named": [True, False],
    })  # fmt: skip
    ann, bo = reps.stakes_stage_gaps(gaps)
    assert ann.lever == r"Help **\*Ann\*** at **Quote**" and ann.shrunk and ann.level == -100.0
    assert 50 < ann.lower < 100 < ann.upper < 150
    assert bo.lever == "" and bo.key == "gap of 2 at Quote" and bo.level == -90.0
    assert "Bo" not in str(bo)


def test_the_cost_of_one_more_rep_is_taken_off():
    options = pd.DataFrame(
        {"worth": [500.0, 1.0], "lower_90": [400.0, 0.0], "upper_90": [600.0, 2.0], "cost": [450.0, np.nan]}
    )
    found = reps.stake_hire_or_improve(options)
    assert found.amount == 50.0 and found.lower < 0 < found.upper
    assert "not taken off" in reps.stake_hire_or_improve(options.assign(cost=np.nan)).lever


def test_quiet_deals_are_worth_their_chance():
    rng = np.random.default_rng(3)
    rows = [(d, d + 10, "won" if rng.random() < 0.4 else "lost") for d in range(300)]
    frame = deals(*rows, *((290 + i, None, "open") for i in range(5)))
    stages = pd.DataFrame({"stage": ["Open"], "rank": [1.0], "outcome": ["open"]})
    crm = Crm(
        {"opportunities": frame.assign(stage="Open"), "stages": stages},
        pd.Timestamp("2025-01-01") + pd.Timedelta(days=311),
    )
    quiet = pd.DataFrame({"amount": [1000.0, 1000.0], "age": [2, 3]})
    share = np.mean([outcome == "won" for *_, outcome in rows])
    found = reps.stake_neglected(quiet, crm)
    assert found.amount == pytest.approx(2000 * share, rel=0.1)
    assert found.lower <= found.amount <= found.upper
    assert reps.stake_neglected(quiet.head(0), crm) is None


def test_the_headline_has_bookings_with_a_change_that_is_clear_only_beyond_chance(sample):
    span = period("2025Q2")
    metrics = funnel.metrics(sample.deals, period=span, as_of=sample.as_of)
    changes = funnel.changes(sample.deals, period=span, as_of=sample.as_of)
    trend = funnel.trend(sample.deals, period=span, as_of=sample.as_of)
    cards = {card.name: card for card in funnel.cards_headline(metrics, changes, trend).cards}
    assert list(cards) == ["Bookings, 2025Q2", "Win rate", "Pipeline", "Time to close", "Velocity"]
    won = sample.deals[
        (sample.deals["outcome"] == "won") & sample.deals["closed_date"].between("2025-04-01", "2025-06-30")
    ]
    assert cards["Bookings, 2025Q2"].value == f"${won['amount'].sum() / 1e6:.2f}M"
    assert cards["Bookings, 2025Q2"].spark[-1] == won["amount"].sum()
    bare = trend.assign(bookings=trend["bookings"].where(trend.index != 5))  # nothing was booked in it
    bare.loc[:2, ["bookings", "open_deals"]] = np.nan  # before the first closing
    spark = funnel.cards_headline(metrics, changes, bare).cards[0].spark
    assert np.isnan(spark[:3]).all() and spark[3] > 0 and spark[5] == 0
    gaps = metrics.assign(won=5, valued=3, undated=2)
    lines = {card.name: card.of for card in funnel.cards_headline(gaps, changes, trend).cards}
    assert lines["Bookings, 2025Q2"] == ("from 3 of 5 won deals",)
    assert lines["Pipeline"][-1] == "2 more have no created date"
    few = metrics.assign(bookings=[300.0, 100.0, 290.0], valued=[3, 2, 3])
    many = metrics.assign(bookings=[300.0, 100.0, 290.0], valued=[3000, 2000, 3000])
    sure = [funnel.cards_headline(m, changes, trend).cards[0].changes for m in (few, many)]
    assert [one[2] for one in sure[0]] == [False, False]
    assert [one[2] for one in sure[1]] == [True, False]


def whole(booked, target, projected=np.nan, lower=np.nan, upper=np.nan, chance=np.nan):
    row = {
        "n": 3,
        "booked": booked,
        "target": target,
        "projected": projected,
        "lower": lower,
        "upper": upper,
        "chance": chance,
    }
    return pd.Series({**row, "attainment": booked / target if target else np.nan})


def test_the_gap_of_a_target_is_its_mean_over_all_that_may_happen():
    found = targets.stake_gap(whole(40.0, 110.0, 100.0, 80.0, 120.0))
    draws = np.random.default_rng(0).normal(100, 20 / 1.2815516, 400_000)
    assert found.amount == pytest.approx(np.maximum(110 - draws, 0).mean(), abs=0.1)
    assert (found.lower, found.upper) == (0, 30)
    over = targets.stake_gap(whole(90.0, 100.0, 90.0, 90.0, 90.0))
    assert (over.amount, over.lower, over.upper) == (10, 10, 10), (
        "a period that is over fell short by what it fell short"
    )


@pytest.mark.parametrize(
    "standing",
    [whole(100.0, 100.0, 130.0, 120.0, 140.0), whole(1.0, 0.0, 1.0, 1.0, 1.0), whole(1.0, np.nan), whole(1.0, 9.0)],
)
def test_nothing_hangs_on_a_target_that_is_reached_or_missing(standing):
    assert targets.stake_gap(standing) is None


def test_the_summary_has_attainment_with_what_was_due_and_the_chance_while_the_period_runs():
    days = pd.date_range("2025-04-01", "2025-06-30")
    share = np.arange(1, len(days) + 1) / len(days)
    pace = pd.DataFrame({"day": days, "share": share, "booked": np.where(days <= "2025-05-15", 40.0, np.nan)})
    standing = whole(40_000.0, 100_000.0, 95_000.0, 80_000.0, 110_000.0, 0.4)
    said = str(targets.cards_headline(pace, standing, period("2025Q2")))
    assert said == "Attainment, 2025Q2: 40%. $40.0k of $100k; 49% was due; by the days alone, chance about 2 in 5"
    over = str(targets.cards_headline(pace.assign(booked=40.0), standing, period("2025Q2")))
    assert over == "Attainment, 2025Q2: 40%. $40.0k of $100k", "a period that is over has no chance any more"
    assert targets.cards_headline(pace, whole(1.0, np.nan), period("2025Q2")) is None


def test_a_channel_surely_behind_costs_its_gap_on_its_deals_of_a_year():
    fair = pd.DataFrame({
        "n": [200, 400, 100], "gap_share": [0.1, -0.1, -0.05], "gap_share_lower": [0.0, -0.15, -0.2], "gap_share_upper": [0.2, -0.04, 0.1],
        "verdict": ["above", "below", "same"],
    })  # fmt: skip
    entered = pd.DataFrame({"outcome": ["won", "won", "lost"], "amount": [50.0, 150.0, 9e9]})
    found = channels.stake_fair(fair, entered)
    assert found.amount == pytest.approx(200 * 100 * 0.1) and found.shrunk and not found.lever
    assert 200 * 100 * 0.04 < found.lower < found.amount < found.upper < 200 * 100 * 0.15
    assert channels.stake_fair(fair.assign(verdict="same"), entered) is None, "nobody is behind on luck"


def test_what_is_overdue_is_at_stake():
    assert channels.stake_collection(pd.DataFrame({"open_amount": [5.0, 7.0]})).amount == 12
    assert channels.stake_collection(pd.DataFrame({"open_amount": [0.0]})) is None


def test_a_budget_that_pays_is_an_option_of_a_year_and_one_that_may_not_is_none():
    budget = pd.DataFrame({
        "channel": ["Fair", "[Web](x)", "All"], "spend": [100.0, 100.0, 200.0], "proposed": [60.0, 140.0, 200.0],
        "added": [-5.0, 25.0, 20.0], "lower": [-9.0, 10.0, 5.0], "upper": [0.0, 40.0, 35.0],
    })  # fmt: skip
    months, weeks = SimpleNamespace(every="M"), SimpleNamespace(every="W")
    found = channels.stake_reallocation(budget, months)
    assert found.amount == 240 and 60 < found.lower < 240 < found.upper < 420
    assert "[Web](x)" not in found.lever and found.lever.startswith("Move $40 a period"), "names are not links"
    assert channels.stake_reallocation(budget, weeks).amount == pytest.approx(20 * 365.25 / 7)
    assert channels.stake_reallocation(budget.assign(lower=-1.0), months) is None
