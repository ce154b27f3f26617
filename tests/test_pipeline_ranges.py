"""What the pipeline forecast must not be upset by: little data, odd days, late labels, silent deals, half a call."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from test_commits import NOBODY, SALES, calls_of
from test_pipeline import company, drawn, hand

from salesforecast import forecasting, periods, pipeline, synthetic
from salesforecast.errors import MissingTable, SettingError
from salesforecast.pipeline import amounts, combination, commits, hazards, models, panels
from salesforecast.tables import Crm

Q = periods.period


@pytest.fixture(scope="module")
def crm() -> Crm:
    return company()


@pytest.fixture(scope="module")
def past(crm) -> pipeline.Backtest:
    return pipeline.backtest(crm.at("2024-05-20"), Q("2024Q2"))


# ---- ranges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "day"), [(9, "2023-09-30"), (2, "2023-11-18")])
def test_a_period_with_next_to_nothing_to_come_does_not_push_the_range_off_the_forecast(seed, day):
    small = company(seed, opportunities=70)
    past = pipeline.backtest(small.at(day), pipeline.coming(Q("2023Q4"), pd.Timestamp(day)))
    said = pipeline.combine(past).iloc[-1]
    assert said["lower"] < said["mean"] < said["upper"] and said["shock"] < 1.5
    assert said["upper"] - said["lower"] > 0.3 * (said["mean"] - said["booked"])


def test_over_small_companies_the_ranges_hold():
    held = []
    for seed in range(20, 26):
        past = pipeline.backtest(company(seed, opportunities=140))
        held += pipeline.combine(past)["held"].tolist()
    assert len(held) > 150 and 0.7 < np.mean(held) < 0.95


def test_what_is_learnt_from_few_wins_is_as_uncertain_as_they_are_few(past):
    first = pipeline.combine(replace(past, origins=past.origins.assign(unsure=0.25))).iloc[
        0
    ]  # before any period is over
    assert first["shock"] == pytest.approx(np.sqrt(np.log1p(combination.SHOCK**2 + 0.25)))
    young = company(25, opportunities=80)
    said = pipeline.backtest(
        young.at("2023-06-20"), Q("2023Q2")
    )  # 9 deals are won by then, of the 10 that were asked for
    wins = said.now.model.wins
    assert models.LEAST <= wins < 10
    spread = said.now.model.amounts.unquoted.var()
    assert said.origins["unsure"].iloc[-1] == pytest.approx((1 + spread) / wins)


def test_more_wins_are_said_to_narrow_the_range_only_where_few_are_known(past):
    few = replace(past, origins=past.origins.assign(unsure=2.0))
    said = pipeline.combine(few)
    lower, upper = combination.with_twice_the_wins(few, said)
    assert said["lower"].iloc[-1] < lower < upper < said["upper"].iloc[-1]
    known = pipeline.combine(
        replace(few, origins=few.origins.assign(unsure=1.0))
    )  # as if fitted anew, with half the variance
    assert (lower, upper) == pytest.approx(tuple(known.iloc[-1][["lower", "upper"]]), rel=0.03)
    assert "narrower" in pipeline.finding_wins(few, said) and "**" in pipeline.finding_wins(few, said)
    many = replace(past, origins=past.origins.assign(unsure=1e-5))
    assert "hardly narrower" in pipeline.finding_wins(many, pipeline.combine(many))


def test_the_spread_that_the_deals_of_a_period_share_is_found():
    rng, n = np.random.default_rng(0), 40
    origins = pd.DataFrame({"period": [f"P{i}" for i in range(n)], "weeks_to_go": 8, "actual": 1.0, "unsure": 0.0})
    mean, luck = np.full(n, 100.0), np.full(n, 10.0)
    for shared in (0.05, 0.3):
        error = mean * (np.exp(shared * rng.standard_normal(n) - shared**2 / 2) - 1) + luck * rng.standard_normal(n)
        found = combination._shock(SimpleNamespace(origins=origins), error, mean, luck)[-1]
        assert found == pytest.approx(shared, abs=0.08)


def test_the_range_and_its_paths_are_of_the_same_seed(past):
    other = replace(past, seed=5)
    said = pipeline.combine(other)
    paths = combination.paths(other, said)[-1]
    assert said.iloc[-1][["lower", "upper"]].tolist() == pytest.approx(np.quantile(paths, [0.1, 0.9]).tolist())
    assert said["upper"].iloc[-1] != pipeline.combine(past)["upper"].iloc[-1]


def test_members_are_held_against_each_other_on_the_windows_they_speak_of():
    came, near = np.full((40, 3), 100.0), np.ones((40, 3))
    ahead = np.full((40, 3, 2), np.nan)
    ahead[:, :, 0] = [101, 101, 140]  # good in the easy windows, as far off as anybody in the hard ones
    ahead[:, 2, 1] = 140  # speaks of the hard ones only, and is as good there
    days = np.arange("2022-01-03", "2022-10-10", 7, dtype="datetime64[D]")[:40]
    ends = days[:, None] + 7 * np.arange(1, 4)
    trust = combination._trust(ahead, came, near, np.full(3, 100.0), days, ends)
    assert trust[1] == pytest.approx(1.0)


# ---- days -------------------------------------------------------------------------------------------------------------


def test_with_no_working_day_left_nothing_is_still_expected(crm):
    past = pipeline.backtest(crm.at("2024-06-29"), Q("2024Q2"))  # Saturday; a Sunday is left
    series = forecasting.to_go(past.weekly, past.ahead)
    said = pipeline.combine(past, series)
    assert past.to_the_end(series)[-1] == 0
    assert said["mean"].iloc[-1] == said["booked"].iloc[-1]
    parts = pipeline.parts(past, said).set_index("part")["amount"]
    assert parts["Forecast"] == pytest.approx(parts["Won so far"])


def test_part_of_a_week_counts_by_its_working_days(past):
    ahead = np.cumsum(np.full(past.ahead.shape, 10.0), axis=1)
    odd = past.origins.assign(
        last=past.origins["origin"] + pd.Timedelta(days=9)
    )  # from Monday to the Wednesday of the next week
    monday = odd["origin"].dt.day_of_week == 0
    got = replace(past, origins=odd).to_the_end(ahead)
    assert monday.any() and got[monday] == pytest.approx(10 + 10 * 2 / 5)


def test_a_day_inside_a_week_is_compared_with_the_same_day_of_past_periods(crm, monkeypatch):
    seen = []
    plain = pipeline.origins.simple.forecasts
    monkeypatch.setattr(
        pipeline.origins.simple,
        "forecasts",
        lambda here, won, before, *a: seen.append((here, before)) or plain(here, won, before, *a),
    )
    pipeline.backtest(crm.at("2024-05-15"), Q("2024Q2"))
    here, before = seen[-1]
    assert here.day == pd.Timestamp("2024-05-15") and len(before) == 4
    assert {o.last - o.day for o in before} == {here.last - here.day}


def test_the_weeks_of_the_running_period_are_origins_too_and_a_period_that_is_over_is_refused(crm, past):
    mine = past.origins[past.origins["period"] == "2024Q2"]
    assert len(mine) > 5 and mine["actual"].isna().all() and mine["origin"].iloc[-1] == pd.Timestamp("2024-05-20")
    assert past.origins["origin"].is_monotonic_increasing
    over = past.windows[past.windows["origin"].isin(mine["origin"])]["actual"].notna()
    assert over.any()  # weeks of the period that are over are learnt from
    with pytest.raises(SettingError, match="2024Q1 was over on 2024-05-20"):
        pipeline.backtest(crm.at("2024-05-20"), Q("2024Q1"))


def test_what_the_series_says_of_a_day_does_not_hang_on_the_days_after_it(past):
    every = forecasting.to_go(past.weekly, past.ahead)
    some = forecasting.to_go(past.weekly[:20], past.ahead[:20])
    assert (every[:20] == some).all()


# ---- what is filled in late, and what is missing --------------------------------------------------------------------------


def test_customers_known_only_of_won_deals_tell_nothing():
    frame, week, ended = drawn(3000, np.array([0.05, 0.05]))
    won = (ended["outcome"] == "won").to_numpy()
    late = frame.assign(customer=np.where(won, np.where(np.arange(3000) % 3, "new", "known"), ""))
    found = hazards.fit(late, week, ended, until=131, thin=1)
    assert found.levels["customer"] == []
    chance = found.ahead(late, 131, 8)[0].sum(axis=1)
    assert chance[won].mean() == pytest.approx(chance[~won].mean(), abs=0.01)


def test_wins_without_an_amount_lower_what_a_win_is_expected_to_bring():
    n = 400
    panel = pd.DataFrame(
        {
            "opportunity_id": [f"D{i}" for i in range(n)],
            "stage": "Open",
            "amount": np.nan,
            "segment": "S",
            "product_id": "",
        }
    )
    paid = np.where(np.arange(n) % 2, 100.0, np.nan)
    ended = pd.DataFrame({"outcome": "won", "amount": paid}, index=panel["opportunity_id"])
    found = amounts.fit(panel, panel, ended)
    assert found.expected(panel).mean() == pytest.approx(50.0)
    factor = found.surprise(np.ones(10_000, dtype=bool), np.random.default_rng(0))  # no quote is known of the past
    assert factor.std() == pytest.approx(1.0, abs=0.05) and factor.mean() == pytest.approx(1.0, abs=0.05)


def test_without_any_amount_the_column_to_map_is_named(crm):
    bare = crm.opportunities.assign(amount=np.nan)
    history = crm.stage_history.drop(columns="amount")
    with pytest.raises(MissingTable, match="column amount"):
        pipeline.backtest(replace(crm, tables={**crm.tables, "opportunities": bare, "stage_history": history}))


def test_a_history_that_begins_late_does_not_tell_how_a_deal_was_born():
    late = hand(
        {"created_date": "2025-01-02", "closed_date": "2025-03-01", "outcome": "won", "stage": "Won", "amount": 90.0},
        moves=[{"opportunity_id": "D0", "entered_at": "2025-03-01", "stage": "Won", "amount": 90.0}],
    )
    born = panels.births(late).iloc[0]
    assert born["stage"] == "(not recorded)" and np.isnan(born["amount"])


# ---- silent deals -------------------------------------------------------------------------------------------------------


def test_deals_silent_for_long_are_won_as_seldom_as_such_deals_were(past):
    model, seen = past.now.model, past.now.seen
    row = seen.panel.iloc[[0, 0]].assign(quiet=[model.silent_after + 1, 4 * model.silent_after])
    rates = replace(model, revival=np.array([0.02, 0.02, 0.01, 0.005, 0.0001]))
    chance = models.ahead(rates, replace(seen, panel=row), np.array(["2024-06-30"], "datetime64[D]")).won[:, 0]
    assert chance[0] > 0.05 and chance[1] == pytest.approx(1 - (1 - 0.0001) ** 6, rel=0.1)
    assert len(model.revival) == len(models.SILENT) and (model.revival > 0).all()


def test_very_many_deal_weeks_are_thinned_and_say_the_same(monkeypatch):
    frame, week, ended = drawn(6000, np.array([0.02, 0.12]))
    whole = hazards.fit(frame, week, ended, until=131, thin=1).ahead(frame, 131, 8)[0].sum(axis=1)
    monkeypatch.setattr(hazards, "_ROWS", 15_000)
    thinned = hazards.fit(frame, week, ended, until=131, thin=1).ahead(frame, 131, 8)[0].sum(axis=1)
    assert not np.array_equal(whole, thinned) and np.abs(whole - thinned).max() < 0.06


# ---- calls --------------------------------------------------------------------------------------------------------------


def test_a_level_speaks_once_all_have_called_who_called_before_or_two_weeks_later():
    called = commits.calls(calls_of(
        ("2025-04-07", "2025Q2", "rep", "R1", "", "", 300), ("2025-04-07", "2025Q2", "rep", "R2", "", "", 100),
        ("2025-07-07", "2025Q3", "rep", "R1", "", "", 300), ("2025-07-14", "2025Q3", "rep", "R2", "", "", 100),
    ))  # fmt: skip
    on = {
        day: commits.said(called, NOBODY, SALES, Q("2025Q3"), pd.Timestamp(day)) for day in ("2025-07-10", "2025-07-15")
    }
    assert on["2025-07-10"].empty and on["2025-07-15"]["n"].tolist() == [2]
    alone = called[called["submitted_at"] != "2025-07-14"]
    assert commits.said(alone, NOBODY, SALES, Q("2025Q3"), pd.Timestamp("2025-07-15")).empty
    assert len(commits.said(alone, NOBODY, SALES, Q("2025Q3"), pd.Timestamp("2025-07-25"))) == 1


def test_of_levels_with_as_many_callers_the_company_speaks_for_itself():
    called = commits.calls(calls_of(
        ("2025-07-07", "2025Q3", "zone", "R1", "", "", 50), ("2025-07-07", "2025Q3", "board", "", "", "", 1000),
    ))  # fmt: skip
    said = commits.said(called, NOBODY, SALES, Q("2025Q3"), pd.Timestamp("2025-07-08"))
    assert said["level"].tolist() == ["zone", "board"] and said["called"].iloc[-1] == 1000


def test_a_team_is_not_judged_by_what_the_company_called(crm):
    tables = synthetic.tables(synthetic.Truth(opportunities=60, years=1), 1)
    whole = Crm(tables, as_of=pd.Timestamp("2023-12-31"))
    team = whole.reps["team"].dropna().iloc[0]
    calls = pd.DataFrame({
        "call_id": ["a", "b", "c"], "submitted_at": pd.Timestamp("2023-04-03"), "period": "2023Q2", "level": ["company", "manager", "manager"],
        "team": pd.Series([None, team, "another"], dtype="str"), "amount": 1.0,
    })  # fmt: skip
    mine = replace(whole, tables={**tables, "calls": calls}).only(team=team)
    assert mine.calls["call_id"].tolist() == ["b"]
    bare = replace(whole, tables={**tables, "calls": calls.drop(columns="team")}).only(team=team)
    assert bare.calls.empty
