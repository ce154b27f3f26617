"""What people called: the latest call of each, their past bias, and what each step was worth, against hand-counted cases."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import salesforecast as sf
from conftest import altered
from salesforecast import periods, pipeline, synthetic
from salesforecast.errors import MissingTable, TooLittleData
from salesforecast.pipeline import backtesting, combination, commits, panels, value
from salesforecast.tables import Crm

Q = periods.period
NOBODY = pd.DataFrame({"team": ["North", "North"], "region": ["EU", "EU"]}, index=["R1", "R2"], dtype=object)


def calls_of(*rows: tuple) -> Crm:
    """A CRM with calls of (submitted at, period, level, rep_id, team, category, amount)."""
    frame = pd.DataFrame(rows, columns=["submitted_at", "period", "level", "rep_id", "team", "category", "amount"])
    frame = frame.assign(
        call_id=[f"F{i}" for i in range(len(frame))],
        submitted_at=pd.to_datetime(frame["submitted_at"]),
        amount=frame["amount"].astype(float),
    )
    for column in ("rep_id", "team", "category"):
        frame[column] = frame[column].astype("str").where(frame[column] != "")
    deals = pd.DataFrame({"opportunity_id": pd.Series([], dtype="str")})
    return Crm({"opportunities": deals, "calls": frame}, as_of=pd.Timestamp("2025-12-31"))


def won(*rows: tuple) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["closed_date", "rep_id", "amount"])
    return frame.assign(closed_date=pd.to_datetime(frame["closed_date"]), amount=frame["amount"].astype(float))


SALES = won(
    ("2025-04-10", "R1", 100), ("2025-06-20", "R1", 100), ("2025-05-02", "R2", 50), ("2025-07-05", "R1", 30), ("2025-09-01", "R2", 70),
)  # fmt: skip


def test_what_is_said_on_a_day_is_what_is_booked_and_what_the_latest_calls_still_hope_for():
    crm = calls_of(
        ("2025-07-07 09:00", "2025Q3", "rep", "R1", "", "commit", 90),
        ("2025-07-21 09:00", "2025Q3", "rep", "R1", "", "", 130),  # no category is a commit
        ("2025-07-23 09:00", "2025Q3", "rep", "R2", "", "Best Case", 999),
        ("2025-07-22 09:00", "2025-Q3", "rep", "R2", "", " Commit", 60),  # the same quarter, written otherwise
        ("2025-07-22 09:00", "2025Q3", "manager", "", "North", "commit", 200),
        ("2025-08-30 09:00", "2025Q3", "rep", "R1", "", "commit", 5000),  # later
        ("2025-07-22 09:00", "some day", "rep", "R1", "", "commit", 1),
    )
    said = commits.said(commits.calls(crm), NOBODY, SALES, Q("2025Q3"), pd.Timestamp("2025-07-31"))
    assert said["level"].tolist() == ["rep", "manager"] and said["n"].tolist() == [2, 1]
    assert said["called"].tolist() == [30 + (130 - 30) + (60 - 0), 30 + (200 - 30)]
    assert (said["corrected"] == said["called"]).all()  # nothing is known of their bias yet
    before = commits.said(commits.calls(crm), NOBODY, SALES, Q("2025Q3"), pd.Timestamp("2025-07-10"))
    assert before["called"].tolist() == [30 + (90 - 30)]
    assert commits.said(commits.calls(crm), NOBODY, SALES, Q("2025Q3"), pd.Timestamp("2025-07-06")).empty


def test_a_call_below_what_is_booked_hopes_for_nothing_more():
    crm = calls_of(("2025-05-05 09:00", "2025Q2", "rep", "R1", "", "", 40))
    said = commits.said(commits.calls(crm), NOBODY, SALES, Q("2025Q2"), pd.Timestamp("2025-05-06"))
    assert said["called"].tolist() == [150.0]
    same_day = calls_of(("2025-05-02 09:00", "2025Q2", "rep", "R2", "", "", 80))  # 50 are booked on the day itself
    said = commits.said(commits.calls(same_day), NOBODY, SALES, Q("2025Q2"), pd.Timestamp("2025-05-02"))
    assert said["called"].tolist() == [100 + 50 + (80 - 50)]


def test_bias_is_what_was_said_over_what_came_beyond_the_bookings_of_that_day_drawn_to_the_level():
    crm = calls_of(
        ("2025-05-05 09:00", "2025Q2", "rep", "R1", "", "", 400),  # 100 booked: says 300 more, 100 came
        ("2025-05-01 09:00", "2025Q2", "rep", "R2", "", "", 100),  # nothing booked: says 100, 50 came
    )
    found = commits.biases(commits.calls(crm), NOBODY, SALES, pd.Timestamp("2025-06-30"))
    assert found[["rep_id", "said", "came"]].values.tolist() == [["R1", 300.0, 100.0], ["R2", 100.0, 50.0]]
    level = (150 + 400) / (400 + 400)  # one period of the level, come as it was called, is added
    assert found["factor"].tolist() == pytest.approx([(100 + 4 * 300 * level) / 1500, (50 + 4 * 100 * level) / 500])
    assert commits.biases(commits.calls(crm), NOBODY, SALES, pd.Timestamp("2025-06-29")).empty  # not over yet


@pytest.mark.parametrize("call", [("some day", "commit"), ("2025Q2", "Best Case")])
def test_calls_of_no_period_or_that_are_no_commits_are_said_to_tell_nothing(call):
    crm = calls_of(("2025-05-01", call[0], "rep", "R1", "", call[1], 9))
    with pytest.raises(TooLittleData, match="None of the calls is a commit with a day, an amount and a period"):
        value.biases(crm)


def test_calls_made_before_or_after_their_period_tell_nothing_of_bias():
    crm = calls_of(
        ("2025-03-31 18:00", "2025Q2", "rep", "R1", "", "", 400), ("2025-07-01 00:00", "2025Q2", "rep", "R1", "", "", 400)
    )  # fmt: skip
    assert commits.biases(commits.calls(crm), NOBODY, SALES, pd.Timestamp("2025-09-30")).empty


def test_a_company_without_calls_has_none_and_says_which_table_to_add():
    crm = Crm({"opportunities": pd.DataFrame({"opportunity_id": []})}, as_of=pd.Timestamp("2025-12-31"))
    assert commits.calls(crm).empty
    assert commits.said(commits.calls(crm), commits.people(crm), SALES, Q("2025Q2"), pd.Timestamp("2025-05-06")).empty
    with pytest.raises(MissingTable, match="forecasts submitted"):
        value.biases(crm)


@pytest.fixture(scope="module")
def company() -> tuple[synthetic.Truth, Crm]:
    truth = synthetic.Truth(opportunities=1000, years=2)
    return truth, Crm(synthetic.tables(truth, 5), as_of=truth.as_of)


@pytest.fixture(scope="module")
def past(company) -> pipeline.Backtest:
    return backtesting.backtest(company[1], every="quarter")


def test_the_planted_biases_are_found():
    truth = synthetic.Truth(opportunities=9000, years=4, call_noise=0.2, call_mood=0.05, joiners=0, leavers=0, reps=12)
    crm = Crm(synthetic.tables(truth, 2), as_of=truth.as_of)
    found = value.biases(crm)
    planted = synthetic.call_biases(truth, 2)
    names = crm.reps.set_index("rep_id")["rep"]
    planted["who"] = planted["who"].map(names).fillna(planted["who"]).replace("", "company")
    both = found.merge(planted, on=["level", "who"], validate="one_to_one", suffixes=("", "_planted"))
    assert len(both) == len(planted) == 12 + 4 + 1
    assert np.log1p(both["bias"]).to_numpy() == pytest.approx(both["bias_planted"].to_numpy(), abs=0.12)
    assert (np.log1p(both["believed"]) - both["bias_planted"]).abs().max() < 0.25
    assert np.corrcoef(np.log1p(both["believed"]), both["bias_planted"])[0, 1] > 0.95


def test_calls_after_the_origin_change_nothing(company):
    crm, day = company[1], pd.Timestamp("2023-11-20")
    other = altered(crm, day)
    later = crm.calls["submitted_at"] > day
    assert later.any() and other.calls["amount"].sum() != crm.calls["amount"].sum()
    one, two = (pipeline.backtest(c.at(day), Q("2023Q4")) for c in (crm, other))
    pd.testing.assert_frame_equal(one.commits, two.commits, check_exact=True)
    pd.testing.assert_frame_equal(one.methods, two.methods, check_exact=True)
    pd.testing.assert_frame_equal(pipeline.combine(one), pipeline.combine(two), check_exact=True)
    assert one.commits["origin"].iloc[-1] == day and "human_commit" in set(one.methods["method"])


def _won(crm: Crm) -> pd.DataFrame:
    ended = panels.closings(crm)
    return ended[(ended["outcome"] == "won") & ended["closed_date"].notna()]


def test_each_past_week_has_the_calls_of_its_day(company, past):
    crm, row = company[1], past.commits.iloc[len(past.commits) // 2]
    day = row["origin"]
    said = commits.said(commits.calls(crm), commits.people(crm), _won(crm.at(day)), Q(row["period"]), day)
    mine = past.commits[past.commits["origin"] == day]
    assert (
        mine["called"].tolist() == said["called"].tolist() and mine["corrected"].tolist() == said["corrected"].tolist()
    )
    method = past.methods[(past.methods["method"] == "human_commit") & (past.methods["origin"] == day)]
    assert method["mean"].tolist() == [said["corrected"].iloc[-1]]


def test_the_value_added_is_that_of_a_plain_loop(company, past):
    combined = pipeline.combine(past)
    found = pipeline.value_added(past, combined, company[1])
    assert found["step"].tolist() == [
        "run rate", "called by rep", "called by manager", "called by company", "called by company, corrected", "this forecast",
    ]  # fmt: skip
    every = past.commits.groupby("origin")["level"].transform("nunique") == 3  # weeks that all three had called
    over = past.commits[every & (past.commits["level"] == "manager")]
    assert found["off_by"].iloc[2] == pytest.approx(
        (over["called"] - over["actual"]).abs().sum() / over["actual"].sum()
    )
    assert found["taken_off"].iloc[2] == pytest.approx(found["off_by"].iloc[1] - found["off_by"].iloc[2])
    assert (found["taken_off_lower"].iloc[1:] <= found["taken_off_upper"].iloc[1:]).all()
    said = pipeline.finding_value_added(found)
    assert f"**{found['off_by'].iloc[1]:.0%}**" in said
    assert pipeline.chart_value_added(found).to_dict()["layer"]
    even = found.assign(taken_off_lower=-0.1, taken_off_upper=0.1)
    assert "cannot be told apart from luck" in pipeline.finding_value_added(even)
    with pytest.raises(TooLittleData, match="had been called"):
        pipeline.value_added(replace(past, commits=past.commits.head(0)), combined, company[1])


def test_commits_that_were_nearer_weigh_more(past):
    rest = combination.rest_of(past, None)
    assert "human_commit" in rest
    came = (past.origins["actual"] - past.origins["booked"]).where(rest["human_commit"].notna())
    right, wrong = (
        combination.weights(past, rest.assign(human_commit=came * k))["human_commit"].iloc[-1] for k in (1, 3)
    )
    assert right > 0.5 > 0.1 > wrong
    silent = combination.weights(past, rest)[rest["human_commit"].isna().to_numpy()]
    assert len(silent) and (silent["human_commit"] == 0).all()


def test_a_choice_of_products_has_no_calls_for_nobody_calls_a_product(company):
    crm = company[1]
    assert "calls" not in crm.only(product=crm.products["product"].iloc[0])
    one = crm.only(team="North")
    assert set(one.calls["rep_id"].dropna()) <= set(one.reps["rep_id"]) and len(one.calls)


def test_names_in_the_calls_are_escaped():
    frame = pd.DataFrame({"level": ["<b>*x*"], "who": ["a"], "called": [2.0], "came_amount": [1.0]})
    assert "<b>" not in pipeline.finding_biases(frame) and "100% more" in pipeline.finding_biases(frame)


def test_the_sample_has_the_calls_that_its_company_made(sample):
    planted = synthetic.tables(synthetic.Truth(), 0)["calls"]
    assert sample.calls["amount"].tolist() == planted["amount"].tolist()
    assert sf.coded(sample).calls["rep_id"].dropna().str.startswith("Rep ").all()


def test_bias_needs_no_day_on_which_a_deal_was_entered(company):
    crm = company[1]
    bare = replace(crm, tables={**crm.tables, "opportunities": crm.opportunities.drop(columns="created_date")})
    assert pipeline.biases(bare)["bias"].tolist() == pipeline.biases(crm)["bias"].tolist()


def test_a_small_effect_beyond_luck_is_no_effect_of_nothing(company, past):
    found = pipeline.value_added(past, pipeline.combine(past), company[1])
    small = found.assign(taken_off=0.003, taken_off_lower=0.001, taken_off_upper=0.005)
    assert "takes off under 1 point" in pipeline.finding_value_added(small)
