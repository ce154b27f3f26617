"""The pipeline forecast, part by part, against hand-counted cases and a company whose truth is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from conftest import altered
from salesforecast import goals, periods, pipeline, synthetic
from salesforecast.errors import MissingTable, SettingError, TooLittleData
from salesforecast.formats import money
from salesforecast.pipeline import (
    amounts,
    arrivals,
    backtesting,
    combination,
    hazards,
    models,
    outlook,
    panels,
    simple,
    watching,
    weeks,
)
from salesforecast.tables import NOT_RECORDED, Crm

Q = periods.period


def company(seed: int = 3, **changes) -> Crm:
    truth = synthetic.Truth(**{"opportunities": 900, "years": 2, **changes})
    return panels.needed(Crm(synthetic.tables(truth, seed), as_of=truth.as_of))


@pytest.fixture(scope="module")
def crm() -> Crm:
    return company()


@pytest.fixture(scope="module")
def past(crm) -> pipeline.Backtest:
    return pipeline.backtest(crm.at("2024-05-20"), Q("2024Q2"))


@pytest.fixture(scope="module")
def combined(past) -> pd.DataFrame:
    return pipeline.combine(past)


def hand(*deals: dict, moves: list[dict] | None = None, as_of: str = "2025-06-30") -> Crm:
    """A CRM of a few deals."""
    usual = {"stage": "Open", "outcome": "open", "amount": np.nan, "closed_date": pd.NaT, "segment": "S"}
    frame = pd.DataFrame([{"opportunity_id": f"D{i}", **usual, **d} for i, d in enumerate(deals)])
    for column in ("created_date", "closed_date"):
        frame[column] = pd.to_datetime(frame[column])
    stages = pd.DataFrame(
        {"stage": ["Open", "Late", "Won", "Lost"], "rank": [1.0, 2, 3, 4], "outcome": ["open", "open", "won", "lost"]}
    )
    tables = {"opportunities": frame, "stages": stages}
    if moves is not None:
        history = pd.DataFrame(moves)
        history["entered_at"] = pd.to_datetime(history["entered_at"])
        if "expected_close_date" in history:
            history["expected_close_date"] = pd.to_datetime(history["expected_close_date"])
        tables["stage_history"] = history.assign(sequence=history.groupby("opportunity_id").cumcount() + 1.0)
    return Crm(tables, as_of=pd.Timestamp(as_of))


# ---- weeks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", range(1, 13))
def test_every_quarter_has_thirteen_weeks_and_ends_with_the_last_day_of_the_thirteenth(start):
    days = pd.date_range("2023-01-01", "2026-12-31")
    number = weeks.number(days, start)
    frame = pd.DataFrame(
        {"day": days, "week": number, "quarter": days.to_period(f"Q-{periods.MONTHS[(start + 10) % 12]}")}
    )
    whole = frame[frame["quarter"].isin(frame["quarter"].unique()[1:-1])]
    assert (whole.groupby("quarter")["week"].nunique() == 13).all()
    sizes = whole.groupby(["quarter", "week"]).size().groupby("quarter")
    assert set(sizes.nth(slice(1, None))) == {7} and sizes.first().between(5, 8).all()
    assert (np.diff(number) >= 0).all() and (np.diff(number) <= 1).all()
    last = frame.groupby("week")["day"].max().iloc[1:-1]
    assert (weeks.last_day(last.index.to_numpy(), start) == last.to_numpy().astype("datetime64[D]")).all()


def test_a_missing_day_is_in_no_week_that_will_come():
    assert weeks.number(pd.Series([pd.NaT]))[0] > 10**9


# ---- panels -----------------------------------------------------------------------------------------------------------


def test_a_panel_has_what_was_known_of_a_deal_on_the_day():
    told = [
        {"opportunity_id": "D0", "entered_at": "2025-01-02 09:00", "stage": "Open", "amount": 100.0, "expected_close_date": "2025-02-01"},
        {"opportunity_id": "D0", "entered_at": "2025-01-10 09:00", "stage": "Late", "amount": 120.0, "expected_close_date": "2025-03-01"},
        {"opportunity_id": "D0", "entered_at": "2025-01-20 09:00", "stage": "Late", "amount": 150.0, "expected_close_date": "2025-02-15"},
        {"opportunity_id": "D0", "entered_at": "2025-02-20 09:00", "stage": "Won", "amount": 90.0, "expected_close_date": "2025-02-20"},
    ]  # fmt: skip
    crm = hand(
        {"created_date": "2025-01-02", "closed_date": "2025-02-20", "outcome": "won", "stage": "Won", "amount": 90.0},
        moves=told,
    )
    row = panels.panel(crm.at("2025-01-31")).iloc[0]
    assert (row["stage"], row["amount"], row["age"], row["in_stage"], row["quiet"], row["due"], row["pushes"]) == (
        "Late", 150.0, 29, 21, 11, 15, 1,
    )  # fmt: skip
    assert panels.panel(crm.at("2025-02-20")).empty and panels.panel(crm.at("2025-01-01")).empty


def test_without_a_history_the_past_has_no_stage_and_no_amount_but_today_has():
    crm = hand(
        {"created_date": "2025-01-02", "closed_date": "2025-02-20", "outcome": "won", "stage": "Won", "amount": 90.0},
        {"created_date": "2025-01-02", "stage": "Late", "amount": 70.0},
    )
    then, now = panels.panel(crm.at("2025-01-31")), panels.panel(crm)
    assert then["stage"].tolist() == [NOT_RECORDED, NOT_RECORDED] and then["amount"].isna().all()
    assert (then["quiet"] == 29).all()
    assert now["amount"].tolist() == [70.0]


def test_a_deal_is_described_by_the_day_it_was_born(crm):
    born = panels.births(crm).set_index("opportunity_id")
    first = crm.stage_history.drop_duplicates("opportunity_id").set_index("opportunity_id").loc[born.index]
    assert (born["stage"] == first["stage"]).all() and (born["age"] == 0).all()
    pd.testing.assert_series_equal(born["amount"], first["amount"], check_names=False, check_index_type=False)


def test_new_customers_are_told_from_the_wins_before_the_deal_where_no_column_says_it():
    crm = hand(
        {
            "created_date": "2025-01-02",
            "closed_date": "2025-02-20",
            "outcome": "won",
            "stage": "Won",
            "account_id": "A",
        },
        {"created_date": "2025-02-01", "account_id": "A"},
        {"created_date": "2025-03-01", "account_id": "A"},
        {"created_date": "2025-03-01", "account_id": "B"},
    )
    assert panels.panel(crm)["customer"].tolist() == ["new", "known", "new"]
    nobody = hand({"created_date": "2025-03-01"}, {"created_date": "2025-03-01", "account_id": "B"})
    assert panels.panel(nobody)["customer"].tolist() == ["", "new"]  # nothing tells: neither


def test_a_crm_without_closed_dates_is_told_what_to_map():
    crm = hand({"created_date": "2025-01-02"})
    bare = replace(crm, tables={**crm.tables, "opportunities": crm.opportunities.drop(columns="closed_date")})
    with pytest.raises(MissingTable, match="closed_date"):
        panels.panel(bare)


# ---- chances ----------------------------------------------------------------------------------------------------------


def drawn(n: int, weekly: np.ndarray, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """Deals of two stages, won each week with the chance of their stage and lost with 0.05; 30 weeks are seen."""
    rng = np.random.default_rng(seed)
    stage = rng.integers(0, 2, n)
    begin = rng.integers(10, 30, n) + 100
    won_in = rng.geometric(weekly[stage])
    lost_in = rng.geometric(0.05, n)
    over = np.minimum(won_in, lost_in)
    day = weeks.last_day(begin)
    frame = pd.DataFrame({
        "day": day.astype("datetime64[us]"), "opportunity_id": [f"D{i}" for i in range(n)], "account_id": "",
        "rep_id": "", "product_id": "", "segment": "", "channel": "", "customer": "",
        "stage": np.where(stage, "Late", "Early"), "amount": 100.0, "age": 30.0, "in_stage": 10.0, "quiet": 5.0,
        "due": np.nan, "pushes": 0.0,
    })  # fmt: skip
    ended = pd.DataFrame({
        "outcome": np.where(won_in <= lost_in, "won", "lost"),
        "closed_date": weeks.last_day(begin + over).astype("datetime64[us]"), "amount": 100.0,
    }, index=frame["opportunity_id"])  # fmt: skip
    return frame, begin, ended


def test_the_chances_of_a_process_of_known_hazards_are_found():
    weekly = np.array([0.02, 0.12])
    frame, week, ended = drawn(6000, weekly)
    found = hazards.fit(frame, week, ended, until=131, thin=1)
    won, lost = found.ahead(frame.iloc[:50], 131, 8)
    still = (1 - weekly) * 0.95
    truth = np.array([sum(h * 0.975 * s**k for k in range(8)) for h, s in zip(weekly, still, strict=True)])
    for name, expected in zip(("Early", "Late"), truth, strict=True):
        mine = won.sum(axis=1)[(frame["stage"].iloc[:50] == name).to_numpy()]
        assert mine.mean() == pytest.approx(expected, abs=0.03)
    assert (won >= 0).all() and ((won + lost).sum(axis=1) <= 1).all()


def test_what_is_open_at_the_end_of_the_data_counts_as_open_and_not_as_lost():
    frame, week, ended = drawn(4000, np.array([0.05, 0.05]))
    whole = hazards.fit(frame, week, ended, until=10_000, thin=1).ahead(frame, 131, 8)[0].sum(axis=1).mean()
    cut = hazards.fit(frame, week, ended, until=135, thin=1).ahead(frame, 131, 8)[0].sum(axis=1).mean()
    assert cut == pytest.approx(whole, abs=0.03)


def test_a_label_that_is_filled_in_when_a_deal_is_won_tells_nothing():
    frame, week, ended = drawn(3000, np.array([0.05, 0.05]))
    won = (ended["outcome"] == "won").to_numpy()
    late = frame.assign(product_id=np.where(won, "P1", ""), segment=np.where(np.arange(3000) % 2, "S1", "S2"))
    found = hazards.fit(late, week, ended, until=131, thin=1)
    assert found.levels["product_id"] == [] and found.levels["segment"] == ["S1", "S2"]
    chance = found.ahead(late, 131, 8)[0].sum(axis=1)
    assert chance[won].mean() == pytest.approx(chance[~won].mean(), abs=0.01)


def test_reasons_add_up_to_what_sets_a_deal_apart():
    frame, week, ended = drawn(2000, np.array([0.02, 0.12]))
    found = hazards.fit(frame, week, ended, until=131, thin=1)
    why = found.reasons(frame, 131)
    late = (frame["stage"] == "Late").to_numpy()
    assert (why.loc[late, "stage"] > 0).all() and (why.loc[~late, "stage"] < 0).all()
    assert why["segment"].abs().max() == 0


# ---- amounts and arrivals ---------------------------------------------------------------------------------------------


def test_a_quote_is_worth_what_such_quotes_came_to_and_no_quote_what_its_kind_did():
    n = 400
    panel = pd.DataFrame({
        "opportunity_id": [f"D{i}" for i in range(n)], "stage": ["Open", "Late"] * (n // 2), "amount": 100.0,
        "segment": ["S", "L"] * (n // 2), "product_id": "",
    })  # fmt: skip
    ended = pd.DataFrame({"outcome": "won", "amount": [80.0, 90.0] * (n // 2)}, index=panel["opportunity_id"])
    found = amounts.fit(panel, panel, ended)
    assert found.expected(panel.iloc[:2]) == pytest.approx([80.2, 89.8], abs=0.4)
    bare = panel.iloc[:2].assign(amount=np.nan)
    assert found.expected(bare) == pytest.approx([80.2, 89.8], abs=0.4)
    assert found.expected(bare.assign(segment="unheard of")) == pytest.approx([85.0, 85.0])
    factor = found.surprise(np.array([True] * 5000 + [False] * 5000), np.random.default_rng(0))
    assert factor.mean() == pytest.approx(1.0, abs=0.01)


def test_arrivals_follow_the_recent_level_the_season_and_the_working_days():
    rng = np.random.default_rng(1)
    days = pd.bdate_range("2021-01-01", "2024-12-31")
    season = np.where(days.month == 8, 0.5, 1.0)
    born = pd.Series(days.repeat(rng.poisson(6.0 * season)))
    found = arrivals.fit(born, pd.Timestamp("2024-12-31"))
    august, june = (found.between(np.array([a], "datetime64[D]"), np.array([b], "datetime64[D]"))[0]
                    for a, b in (("2025-08-01", "2025-08-31"), ("2025-06-01", "2025-06-30")))  # fmt: skip
    assert june == pytest.approx(6 * 21, rel=0.1)
    assert august == pytest.approx(3 * 21, rel=0.2)
    sunday = np.array(["2025-06-01"], "datetime64[D]")
    assert found.between(sunday, sunday)[0] == 0
    assert found.between(sunday + 9, sunday)[0] == 0


def test_a_young_crm_has_no_season():
    born = pd.Series(pd.bdate_range("2024-01-01", "2024-12-31").repeat(np.r_[1, np.arange(261) // 20]))
    assert (arrivals.fit(born, pd.Timestamp("2024-12-31")).season == 1).all()


# ---- the model and its draws ------------------------------------------------------------------------------------------


def test_draws_have_the_expected_mean_and_add_up_over_any_groups(past):
    now = past.now
    deals, kinds = len(now.outlook.deals), len(now.outlook.kinds)
    one = models.draw(now.model, now.outlook, np.zeros(deals, int), np.zeros(kinds, int), n=4000, seed=1)
    many = models.draw(now.model, now.outlook, np.arange(deals) % 5, np.arange(kinds) % 5, many=5, n=4000, seed=1)
    expected = now.outlook.open.sum() + now.outlook.new.sum()
    assert one.mean() == pytest.approx(expected, rel=0.03)
    assert many.shape == (5, 4000, 1)
    assert np.abs(many.sum(axis=0) - one[0]).max() < 0.005


def test_spans_add_up_to_the_whole(past):
    now = past.now
    whole = now.outlook
    last = whole.ends[-1]
    split = models.ahead(now.model, now.seen, np.array([last - 20, last - 9, last]))
    assert split.open.sum() == pytest.approx(whole.open.sum(), rel=1e-9)
    assert split.new.sum() == pytest.approx(whole.new.sum(), rel=1e-9)
    assert split.won.shape[1] == 3 and (split.won >= 0).all()


def test_a_deal_nobody_touches_is_silent_and_counts_little(past):
    deals = past.now.outlook.deals
    chance = past.now.outlook.won.sum(axis=1)
    assert deals["silent"].any() and chance[deals["silent"]].max() < chance[~deals["silent"]].mean()
    row = pipeline.silent(past, pipeline.combine(past)).iloc[0]
    assert row["n"] == (deals["quiet"] > row["silent_after"]).sum() and row["of"] == len(deals)


def test_with_hardly_any_wins_the_forecast_says_what_it_needs():
    crm = hand({"created_date": "2025-01-02", "closed_date": "2025-02-20", "outcome": "won", "stage": "Won", "amount": 9.0},
               {"created_date": "2025-01-09"})  # fmt: skip
    with pytest.raises(TooLittleData, match="3 more won deals"):
        pipeline.backtest(crm, Q("2025Q3"))


def test_thirty_closed_deals_give_a_wide_range_and_not_an_error():
    rng = np.random.default_rng(5)
    rows = []
    for k in range(45):
        created = pd.Timestamp("2025-01-06") + pd.Timedelta(days=int(4 * k % 165))
        row = {"created_date": created, "segment": "S"}
        if k < 30:
            won = k % 2 == 0
            row |= {"outcome": "won" if won else "lost", "stage": "Won" if won else "Lost", "amount": float(rng.lognormal(9, 0.6)),
                    "closed_date": min(created + pd.Timedelta(days=20), pd.Timestamp("2025-06-30"))}  # fmt: skip
        rows.append(row)
    crm = hand(*rows)
    past = pipeline.backtest(crm, Q("2025Q3"))
    parts = pipeline.parts(past, pipeline.combine(past)).set_index("part")
    whole = parts.loc["Forecast"]
    assert whole["lower"] < whole["amount"] < whole["upper"]
    assert whole["upper"] - whole["lower"] > 0.4 * whole["amount"]
    assert "heading for" in pipeline.finding_parts(parts.reset_index(), past)


# ---- nothing of the future --------------------------------------------------------------------------------------------


def test_what_comes_after_the_origin_changes_nothing(crm):
    day = pd.Timestamp("2024-05-13")
    one, two = (pipeline.backtest(c.at(day), Q("2024Q2")) for c in (crm, altered(crm, day)))
    pd.testing.assert_frame_equal(one.origins, two.origins, check_exact=True)
    pd.testing.assert_frame_equal(one.methods, two.methods, check_exact=True)
    pd.testing.assert_frame_equal(one.deals, two.deals, check_exact=True)
    pd.testing.assert_frame_equal(one.windows, two.windows, check_exact=True)
    pd.testing.assert_frame_equal(one.commits, two.commits, check_exact=True)
    assert one.draws.tobytes() == two.draws.tobytes() and one.weekly.tobytes() == two.weekly.tobytes()
    assert len(one.origins) > 40


def test_each_past_origin_is_what_it_would_have_been_on_its_day(crm, past):
    day = pd.Timestamp("2024-03-03")
    assert (past.origins["origin"] == day).sum() == 1
    then = pipeline.backtest(crm.at(day), Q("2024Q1")).origins.iloc[-1]
    now = past.origins[past.origins["origin"] == day].iloc[0]
    for column in ("booked", "open", "new", "floor"):
        assert now[column] == then[column]
    assert pd.isna(then["actual"]) and now["actual"] > 0


def test_weights_know_only_windows_and_ranges_only_periods_that_were_over(past):
    later = past.origins["period"].isin(past.origins["period"].unique()[-3:])
    day = past.origins.loc[later, "origin"].iloc[0]
    ends = past.windows["origin"] + pd.to_timedelta(7 * past.windows["weeks"], unit="D")
    changed = replace(
        past,
        origins=past.origins.assign(actual=past.origins["actual"].where(~later, past.origins["actual"] * 5)),
        windows=past.windows.assign(actual=past.windows["actual"].where(ends <= day, past.windows["actual"] * 5 + 1e6)),
    )
    before = past.origins["origin"] <= day
    one, two = pipeline.combine(past), pipeline.combine(changed)
    columns = ["mean", "lower", "upper", "shock"]
    pd.testing.assert_frame_equal(one.loc[before, columns], two.loc[before, columns], check_exact=True)
    assert before.any() and not one.loc[~before, "mean"].equals(two.loc[~before, "mean"])


# ---- the combination --------------------------------------------------------------------------------------------------


def test_the_member_that_was_nearer_weighs_more(past):
    rest = pd.DataFrame({"pipeline": past.origins["open"] + past.origins["new"], "run_rate": 0.0})
    good, bad = (past.windows.assign(run_rate=past.windows["actual"] * k) for k in (1, 3))
    last = past.origins.index[-1]
    found = [combination.weights(replace(past, windows=frame), rest) for frame in (good, bad)]
    share = [weight.loc[last, "run_rate"] for weight in found]
    assert share[0] > 0.6 > 0.2 > share[1]
    assert np.allclose(found[0].sum(axis=1), 1)


def test_a_member_that_says_nothing_weighs_nothing(past):
    rest = pd.DataFrame({"pipeline": past.origins["open"], "run_rate": np.nan})
    assert (combination.weights(past, rest)["pipeline"] == 1).all()


def test_the_shared_shock_has_mean_one_and_grows_with_past_errors(past):
    factors = combination.factors(np.array([0.1, 0.3]), 200_000, 0)
    assert factors.mean(axis=1) == pytest.approx([1, 1], abs=0.005)
    wild = replace(
        past,
        origins=past.origins.assign(
            actual=past.origins["actual"] * np.where(np.arange(len(past.origins)) // 13 % 2, 0.4, 2.2)
        ),
    )
    assert pipeline.combine(wild)["shock"].iloc[-1] > pipeline.combine(past)["shock"].iloc[-1] + 0.1


def test_the_forecast_is_booked_plus_the_weighted_members(past, combined):
    rest = combination.rest_of(past, None)
    by_hand = past.origins["booked"] + (combination.weights(past, rest) * rest.fillna(0)).sum(axis=1)
    assert combined["mean"].to_numpy() == pytest.approx(by_hand.to_numpy())
    assert (combined["lower"] <= combined["upper"]).all() and (combined["lower"] >= combined["booked"] - 1e-6).all()


# ---- the simple methods -----------------------------------------------------------------------------------------------


def test_the_simple_methods_by_hand():
    def origin(label, day, *rows):
        panel = pd.DataFrame(rows, columns=["opportunity_id", "stage", "amount", "due"])
        return simple.Origin(Q(label), pd.Timestamp(day), 4, panel)

    won = pd.DataFrame({
        "closed_date": pd.to_datetime(["2024-05-01", "2024-06-20", "2024-06-25", "2024-08-05"]),
        "amount": [100.0, 60.0, 40.0, 30.0],
    }, index=["X", "A", "Late", "Now"])  # fmt: skip
    before = origin(
        "2024Q2", "2024-06-02", ("A", "Open", 50.0, 10.0), ("B", "Open", 150.0, 10.0), ("C", "Late", 10.0, np.nan)
    )
    here = origin("2024Q3", "2024-09-02", ("D", "Open", 100.0, 20.0), ("E", "Late", 20.0, np.nan))
    found, _ = simple.forecasts(here, won, [before], pd.Series({"Open": 0.5, "Late": 0.9}))
    assert found["pick_up"] == 30 + 100  # what the quarter before booked after the same day
    assert (
        found["stage_share"] == 30 + 100 * 0.5 + 40
    )  # one of two such deals was won; 40 came from a deal not yet entered
    assert found["amount_share"] == 30 + 100 * 60 / 200 + 40
    assert found["crm_probability"] == 30 + 100 * 0.5 + 20 * 0.9
    assert found["stage_rate"] == 30 + 100 * 0.5 + 20 * 0.0
    days = int(np.busday_count("2024-05-01", "2024-09-03"))
    assert found["run_rate"] == pytest.approx(30 + 230 / days * int(np.busday_count("2024-09-03", "2024-10-01")))
    assert "last_year" not in found


# ---- targets ----------------------------------------------------------------------------------------------------------


def with_targets(*rows: tuple) -> Crm:
    frame = pd.DataFrame(rows, columns=["period", "rep_id", "team", "target"]).astype({"rep_id": "str", "team": "str"})
    frame = frame.assign(
        rep_id=frame["rep_id"].where(frame["rep_id"] != ""), team=frame["team"].where(frame["team"] != "")
    )
    reps = pd.DataFrame(
        {"rep_id": ["R1", "R2"], "rep": ["Åsa", "林"], "team": ["North", "South"], "region": ["EU", "EU"]}
    )
    crm = hand({"created_date": "2025-01-02", "rep_id": "R1"})
    return replace(crm, tables={**crm.tables, "targets": frame, "reps": reps})


def test_the_targets_of_a_period():
    crm = with_targets(
        ("2025Q2", "", "", 100.0),
        ("2025Q2", "", "North", 60.0),
        ("2025Q2", "", "South", 40.0),
        ("2025Q2", "R1", "", 55.0),
    )
    assert goals.target(crm, Q("2025Q2")) == 100
    assert goals.targets(crm, Q("2025Q2"), "team").to_dict() == {"North": 60, "South": 40}
    assert goals.targets(crm, Q("2025Q2"), "rep").to_dict() == {"Åsa": 55}
    assert goals.targets(crm, Q("2025Q2"), "region").to_dict() == {"EU": 100}
    assert goals.target(crm, Q("2025Q2"), team="North", region="") == 60
    assert np.isnan(goals.target(crm, Q("2025Q2"), team="North", product="P"))
    assert np.isnan(goals.target(crm, Q("2025Q3")))


def test_months_make_a_quarter_only_when_all_are_there():
    months = [("2025-04", "", "", 10.0), ("2025-05", "", "", 20.0), ("2025-06", "", "", 30.0)]
    assert goals.target(with_targets(*months), Q("2025Q2")) == 60
    assert np.isnan(goals.target(with_targets(*months[:2]), Q("2025Q2")))


def test_a_target_whose_period_cannot_be_read_belongs_to_none():
    crm = with_targets(
        ("next year", "", "", 7.0), ("2025-04", "", "", 10.0), ("2025-05", "", "", 20.0), ("2025-06", "", "", 30.0)
    )
    assert goals.target(crm, Q("2025Q2")) == 60


def test_a_company_without_a_target_of_its_own_has_that_of_its_teams():
    crm = with_targets(("2025Q2", "", "North", 60.0), ("2025Q2", "", "South", 40.0), ("2025Q2", "R1", "", 55.0))
    assert goals.target(crm, Q("2025Q2")) == 100


# ---- the outlook ------------------------------------------------------------------------------------------------------


def test_no_team_drops_out_of_the_target_of_the_company():
    months = ["2025-04", "2025-05", "2025-06"]
    rows = [(m, "North", 10.0) for m in months] + [(m, "South", 5.0) for m in months[:2]] + [("2025Q2", "West", 7.0)]
    frame = pd.DataFrame(rows, columns=["period", "team", "target"])
    crm = Crm(
        {"opportunities": pd.DataFrame({"opportunity_id": []}), "targets": frame}, as_of=pd.Timestamp("2025-05-01")
    )
    assert goals.target(crm, Q("2025Q2")) == 30 + 10 + 7
    assert goals.targets(crm, Q("2025Q2"), "team").to_dict() == {"North": 30.0, "West": 7.0}


def test_the_parts_add_up_to_the_forecast(past, combined):
    parts = pipeline.parts(past, combined, 2_000_000.0).set_index("part")
    assert parts["amount"].iloc[:3].sum() == pytest.approx(parts.at["Forecast", "amount"], abs=0.005)
    assert parts.at["Forecast", "amount"] == combined["mean"].iloc[-1]
    chance = (combination.paths(past, combined)[-1] >= 2_000_000.0).mean()
    assert parts.at["Target", "chance"] == chance
    assert parts.at["Gap", "amount"] == pytest.approx(2_000_000.0 - combined["mean"].iloc[-1])


def test_a_higher_target_is_less_likely(past, combined):
    mean = combined["mean"].iloc[-1]
    chances = [
        pipeline.parts(past, combined, mean * k).set_index("part").at["Target", "chance"] for k in (0.5, 1.0, 2.0)
    ]
    assert chances[0] > 0.9 > chances[1] > 0.1 > chances[2]


@pytest.mark.parametrize("by", ["rep", "segment", "channel", "product"])
def test_groups_add_up_to_the_company(crm, past, combined, by):
    groups = pipeline.by_group(past, combined, crm.at("2024-05-20"), by)
    assert groups["forecast"].sum() == pytest.approx(combined["mean"].iloc[-1], abs=0.005)
    assert groups["booked"].sum() == pytest.approx(combined["booked"].iloc[-1], abs=0.005)
    assert groups["n"].sum() == len(past.now.outlook.deals)
    assert (groups["lower"] <= groups["upper"]).all()


def test_weekly_paths_are_those_of_the_company_in_the_forecasting_grammar(crm, past, combined):
    from salesforecast import forecasting as fc

    then = crm.at("2024-05-20")
    paths = pipeline.weekly_paths(past, combined, then, "segment")
    assert list(paths) == ["series", "model", "origin", "period", "horizon", "path", "value"]
    assert set(paths["model"]) == {"pipeline"} and paths["horizon"].max() == 6
    whole = paths.groupby("path")["value"].sum()
    low, high = np.quantile(whole, [0.1, 0.9]) + combined["booked"].iloc[-1]
    assert (low, high) == pytest.approx((combined["lower"].iloc[-1], combined["upper"].iloc[-1]), rel=0.08)
    outlook_ = fc.shown.outlook(pipeline.weekly_paths(past, combined, then), "pipeline")
    assert outlook_["mean"].iloc[-1] == pytest.approx(combined["mean"].iloc[-1] - combined["booked"].iloc[-1], rel=0.08)


def test_the_deals_to_watch_are_those_with_most_to_win_or_lose(crm, past, combined):
    watch = pipeline.watch(past, combined, crm.at("2024-05-20"), combined["mean"].iloc[-1])
    weight = watch["amount"] * np.sqrt(watch["chance"] * (1 - watch["chance"]))
    assert weight.is_monotonic_decreasing and len(watch) == watching.MOST
    assert (watch["swing"] >= 0).all()
    assert watch["expected"].tolist() == pytest.approx((watch["amount"] * watch["chance"]).tolist())
    assert (watch["likelier"].ne("") | watch["unlikelier"].ne("")).mean() > 0.8


# ---- how right it was -------------------------------------------------------------------------------------------------


def test_a_deal_that_alone_decides_the_target_swings_its_whole_chance(past, combined):
    now, n = past.now, past.draws.shape[1]
    deals, likely = now.outlook.deals, now.outlook.won[:, 0].argmax()
    huge = replace(now.outlook, deals=deals.assign(worth=deals["worth"].mask(deals.index == likely, 1e9)))
    none = np.zeros(len(huge.deals), dtype=int), np.zeros(len(huge.kinds), dtype=int)
    drawn = models.draw(now.model, huge, *none, n=n, seed=0)[0, :, 0]
    with_it = replace(past, now=replace(now, outlook=huge), draws=np.vstack([past.draws[:-1], drawn]))
    watch = pipeline.watch(with_it, combined.assign(scale=1.0, shock=0.0), company().at("2024-05-20"), 5e8)
    assert watch["amount"].iloc[0] == 1e9 and 0.1 < watch["chance"].iloc[0] < 0.95
    assert watch["swing"].iloc[0] == pytest.approx(1.0) and watch["swing"].iloc[1] == 0.0


def test_the_ledger_has_each_past_period_once_as_far_from_its_end_as_today(past, combined):
    judged = pipeline.judged(past, combined)
    assert judged["period"].is_unique and set(judged["weeks_to_go"]) == {6}
    held = (judged["actual"] >= judged["lower"]) & (judged["actual"] <= judged["upper"])
    assert judged["held"].tolist() == held.tolist()
    finding = pipeline.finding_judged(judged)
    assert f"**{int(held.sum())} of {len(judged)}**" in finding


def test_the_errors_by_method_are_those_of_a_plain_loop(past, combined):
    found = pipeline.accuracy(past, combined).set_index("method")
    both = past.methods.merge(past.origins[["period", "origin"]])
    wide = both.pivot_table(index=["period", "weeks_to_go", "actual"], columns="method", values="mean")[
        [m for m in found.index if m not in ("combination", "floor")]
    ].dropna().reset_index()  # fmt: skip
    at_four = wide[wide["weeks_to_go"] == 4]
    by_hand = (at_four["pipeline"] - at_four["actual"]).abs().sum() / at_four["actual"].sum()
    assert found.at["pipeline", "4_weeks_to_go"] == pytest.approx(by_hand)
    assert set(found.index) >= {"combination", "pipeline", "run_rate", "pick_up", "amount_share"}


def test_a_period_that_has_not_begun_is_refused_with_the_one_that_can_be_asked_for(crm):
    with pytest.raises(SettingError, match="Ask for 2024Q3"):
        pipeline.backtest(crm, Q("2025Q1"))


def test_a_year_is_refused_with_the_quarter_that_can_be_asked_for(crm):
    with pytest.raises(SettingError, match="is a year: .* as 2024Q2"):
        pipeline.backtest(crm.at("2024-05-20"), pipeline.coming(Q("2024"), pd.Timestamp("2024-05-20")))


def test_a_period_asked_for_that_is_over_is_told_with_what_it_brought(crm, past):
    then = crm.at("2024-05-20")
    said = pipeline.finding_period(Q("2024Q1"), Q("2024Q2"), then)
    brought = past.origins.loc[past.origins["period"] == "2024Q1", "actual"].iloc[0]
    assert said.startswith(f"2024Q1 is over: it brought **{money(brought)}**. Forecast is 2024Q2")
    assert "ends on 2024-06-30" in pipeline.finding_period(Q("2024Q2"), Q("2024Q2"), then)


def test_open_deals_that_nobody_dated_are_said_to_be_left_out():
    crm = hand({"created_date": "2025-01-02"}, {"amount": 70.0}, {"outcome": "won", "stage": "Won"})
    assert len(panels.panel(crm)) == 1
    assert pipeline.finding_left_out(crm).startswith("**1 open deal**, $70, has no created date")
    one, closed = {"created_date": "2025-01-02"}, {"created_date": "2025-01-02", "outcome": "lost", "stage": "Lost"}
    for deals, said in (
        ((one,), "The one open deal is in the forecast."),
        ((one, one), "All 2 open deals are in the forecast."),
        ((closed,), "No deal is open, so the forecast rests on deals to come."),
    ):
        assert pipeline.finding_left_out(hand(*deals)) == said


def test_deals_to_come_of_who_has_left_go_to_the_others_of_the_team_in_turn():
    reps = pd.DataFrame({
        "rep_id": ["R1", "R2", "R3", "R4"], "rep": ["Ann", "Bo", "Cy", "Di"], "team": ["N", "N", "N", "S"],
        "end_date": pd.to_datetime(["2025-03-31", None, None, "2025-01-31"]),
    })  # fmt: skip
    crm = hand({"created_date": "2025-01-02"})
    crm = replace(crm, tables={**crm.tables, "reps": reps})
    whose = pd.Series(["R1", "R2", "R1", "R1", "R4"])
    assert outlook._heirs(crm, whose, "rep").tolist() == ["Bo", "", "Cy", "Bo", ""]  # nobody is left in the south
    assert outlook._heirs(crm, whose, "rep_id").tolist() == ["R2", "", "R3", "R2", ""]


def test_the_weeks_after_an_origin_are_those_that_came(crm, past):
    """What is forecast of one to thirteen weeks, and what they brought, by a plain loop."""
    won = crm.at("2024-05-20").opportunities.query("outcome == 'won'")
    some = past.windows[past.windows["actual"].notna()].sample(25, random_state=0)
    for row in some.itertuples():
        last = row.origin + pd.Timedelta(days=7 * row.weeks)
        inside = won["closed_date"].between(row.origin + pd.Timedelta(days=1), last)
        assert row.actual == pytest.approx(won.loc[inside, "amount"].sum())
        assert last <= pd.Timestamp("2024-05-20")
    until = past.windows["origin"] + pd.to_timedelta(7 * past.windows["weeks"], unit="D")
    assert past.windows["actual"].isna().equals(until > pd.Timestamp("2024-05-20"))
    whole = past.windows["pipeline"].to_numpy().reshape(past.ahead.shape)
    there = (past.origins["weeks_to_go"] < 13).to_numpy()
    expected = (past.origins["open"] + past.origins["new"]).to_numpy()
    assert past.to_the_end(whole)[there][:-1] == pytest.approx(expected[there][:-1])
    shares = past.methods.query("method == 'amount_share'").set_index("origin")["mean"]
    by_weeks = pd.Series(
        past.to_the_end(past.windows["amount_share"].to_numpy().reshape(past.ahead.shape)), past.origins["origin"]
    )
    rest = shares - past.origins.set_index("origin")["booked"].reindex(shares.index)
    assert by_weeks[rest.index][there[-len(rest) :]][:-1].to_numpy() == pytest.approx(
        rest[there[-len(rest) :]][:-1].to_numpy(), abs=0.01
    )


def test_weights_learn_from_windows_inside_a_period_before_any_period_is_over(crm):
    past = pipeline.backtest(crm.at("2023-12-31"))
    first = past.origins["period"] == past.origins["period"].iloc[0]
    one = replace(
        past, **{k: getattr(past, k)[past_k] for k, past_k in {
            "origins": first.to_numpy(), "draws": first.to_numpy(), "weekly": first.to_numpy(),
            "windows": np.repeat(first.to_numpy(), past.ahead.shape[1]),
        }.items()},
    )  # fmt: skip
    rest = pd.DataFrame({"pipeline": past.origins["open"][first], "run_rate": past.origins["open"][first]})
    exact = one.windows.assign(run_rate=one.windows["actual"], pipeline=3 * one.windows["actual"])
    share = combination.weights(replace(one, windows=exact), rest)["run_rate"]
    assert share.iloc[0] < 0.5 < 0.8 < share.iloc[-1] and len(share) == 13


def test_months_can_be_forecast_too(crm):
    past = backtesting.backtest(crm.at("2023-04-17"), Q("2023-04"))
    assert set(past.origins["weeks_to_go"]) <= {1, 2, 3, 4}
    assert past.origins["period"].iloc[-1] == "2023-04" and past.origins["origin"].iloc[-1] == pd.Timestamp(
        "2023-04-17"
    )
    assert past.origins["period"].nunique() >= 4


# ---- known truth, in small --------------------------------------------------------------------------------------------


def test_over_a_made_up_company_the_chances_are_right_and_the_range_holds():
    past = pipeline.backtest(company(11, opportunities=1800, years=2))
    combined = pipeline.combine(past)
    ours = past.deals[past.deals["weeks_to_go"].isin([4, 8, 12])]
    assert ours["chance"].sum() == pytest.approx(ours["won"].sum(), rel=0.12)
    held = combined["held"].dropna()
    assert 0.6 <= held.mean() <= 0.97
    errors = pipeline.accuracy(past, combined).set_index("method")
    weeks_ = [c for c in errors if c.endswith("to_go")]
    assert (
        errors.loc["combination", weeks_].mean()
        < 0.9 * errors[weeks_].reindex(["run_rate", "last_year", "stage_share"]).mean(axis=1).min()
    )


# ---- words ------------------------------------------------------------------------------------------------------------


def test_the_findings_say_what_the_frames_hold(crm, past, combined):
    then = crm.at("2024-05-20")
    parts = pipeline.parts(past, combined, 2_000_000.0)
    rows = parts.set_index("part")
    said = pipeline.finding_parts(parts, past)
    assert said.startswith("2024Q2 is heading for **") and "$2.00M" in said
    assert pipeline.finding_parts(pipeline.parts(past, combined), past).endswith("There is no target for it.")
    met = pipeline.finding_parts(pipeline.parts(past, combined, rows.at["Won so far", "amount"]), past)
    assert met.endswith("is reached.")
    assert "in the pipeline already" in pipeline.finding_made(parts)
    accuracy = pipeline.accuracy(past, combined)
    assert "best simple method" in pipeline.finding_accuracy(accuracy) and "Luck alone" in pipeline.finding_accuracy(
        accuracy
    )
    groups = pipeline.by_group(past, combined, then, "segment")
    assert groups["segment"].iloc[0] in pipeline.finding_groups(groups)
    with_targets_ = groups.assign(target=1.0, chance=[0.9, 0.4, 0.2])
    assert pipeline.finding_groups(with_targets_).startswith("**1 of 3** is more likely than not")
    watch = pipeline.watch(past, combined, then)
    assert "swing" not in watch and "The five deals that matter most" in pipeline.finding_watch(watch, parts)
    short = pipeline.finding_coverage(pipeline.coverage(past, combined, combined["mean"].iloc[-1] * 1.3))
    assert "more of deals like those that are open" in short
    assert "There is pipeline enough" in pipeline.finding_coverage(
        pipeline.coverage(past, combined, combined["mean"].iloc[-1] * 0.6)
    )
    for chart in (
        pipeline.chart_parts(parts), pipeline.chart_judged(pipeline.judged(past, combined)), pipeline.chart_accuracy(accuracy),
        pipeline.chart_groups(groups), pipeline.chart_groups(with_targets_), pipeline.chart_calibration(pipeline.calibration(past)),
    ):  # fmt: skip
        assert chart.to_dict()["layer"]


def test_names_from_the_crm_are_escaped(past, combined):
    groups = pd.DataFrame(
        {"team": ["<b>*x*"], "n": [1], "booked": [0.0], "forecast": [1.0], "lower": [0.0], "upper": [2.0]}
    )
    assert "<b>" not in pipeline.finding_groups(groups) and "\\*x" in pipeline.finding_groups(groups)


def test_a_chance_is_never_said_to_be_certain(past, combined):
    tiny, huge = (
        pipeline.finding_parts(pipeline.parts(past, combined, t), past) for t in (1e12, combined["booked"].iloc[-1] + 1)
    )
    assert "under 1%" in tiny and "over 99%" in huge


def test_what_no_record_tells_of_the_past_is_not_said_to_have_changed(crm, past):
    then = crm.at("2024-05-20")
    young = replace(then, tables={name: frame for name, frame in then.tables.items() if name != "stage_history"})
    with pytest.raises(
        TooLittleData, match="tells the amount and the expected close date of the open deals on 2024-05-13"
    ):
        pipeline.lately(past, young, 7)


def test_with_no_deal_open_and_with_few_the_findings_say_so(past, combined):
    watch, parts = pipeline.watch(past, combined, company().at("2024-05-20")), pipeline.parts(past, combined)
    with pytest.raises(TooLittleData, match="No deal is open"):
        pipeline.finding_watch(watch.head(0), parts)
    assert "hangs on 2 deals" in pipeline.finding_watch(watch.head(2), parts)


def test_the_finding_of_the_errors_says_luck_once(past, combined):
    said = pipeline.finding_accuracy(pipeline.accuracy(past, combined))
    assert said.count("Luck alone") == 1 and "Over all weeks of the table" in said and ". with" not in said


def test_the_last_week_and_the_last_period_are_bridged_to_the_cent(crm, past):
    then = crm.at("2024-05-20")
    for between in (pipeline.lately(past, then, 7), pipeline.last_period(past, then)):
        bridge = pipeline.bridge(*between)
        assert bridge["amount"].iloc[:-1].sum() == pytest.approx(bridge["amount"].iloc[-1], abs=0.005)
        table = pipeline.table_bridge(bridge)
        assert table["amount"].iloc[:-1].sum() == pytest.approx(table["amount"].iloc[-1], abs=0.1)
    assert between[-1].label == "2024Q1" and bridge["term"].iloc[-1] == "Actual"
    with pytest.raises(TooLittleData, match="data begin"):
        pipeline.lately(past, then, 5000)


def test_a_split_by_what_the_export_does_not_hold_is_refused_and_does_not_stop_the_page(crm, past, combined):
    bare = crm.at("2024-05-20")  # a company without a table of reps
    with pytest.raises(MissingTable, match="Map the column team of the reps"):
        pipeline.by_group(past, combined, bare, "team")
    with pytest.raises(SettingError, match="no column 'teem'"):
        pipeline.by_group(past, combined, bare, "teem")


def test_the_deal_that_moved_the_forecast_most_is_named_and_escaped():
    moved = pd.DataFrame({"opportunity_id": ["<b>*x*", "B"], "term": ["Stage moves"] * 2, "amount": [1200.0, -3.0]})
    assert "moved it most: stage moves (+$1,200)" in pipeline.finding_deals(moved)
    assert "<b>" not in pipeline.finding_deals(moved)
    assert pipeline.finding_deals(moved.head(0)) == "No deal of its own moved the forecast."
