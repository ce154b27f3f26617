"""Targets against hand-counted frames, made-up companies whose truth is known, and properties that must hold for any."""

import importlib.util
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import ROOT
from salesforecast import periods, report, synthetic, targets
from salesforecast.errors import CannotSay, DataError, MissingTable, SettingError, TooLittleData
from salesforecast.tables import Crm
from salesforecast.targets import gaps, outlook, pacing, staffing
from salesforecast.targets.pattern import SLOTS, Pattern
from salesforecast.targets.results import GRAINS

Q, DAY = periods.period, pd.Timedelta(days=1)


def _study():
    module = importlib.util.spec_from_file_location("target_pacing", ROOT / "benchmarks" / "target_pacing.py")
    loaded = importlib.util.module_from_spec(module)
    module.loader.exec_module(loaded)
    return loaded


study = _study()


def steady(since="2022-01-01", until="2025-01-01", each=100.0, **labels) -> pd.DataFrame:
    """One sale of the same amount on each Monday to Friday."""
    days = pd.date_range(since, until, inclusive="left")
    days = days[days.day_of_week < 5]
    return pd.DataFrame({"day": days, "amount": each, **labels})


def rushed(seed: int, *, rush: float = 2.5, deals: float = 3.0, years: int = 3) -> pd.DataFrame:
    """Deals that come by chance, `rush` times as many in the last three weeks of a quarter; all quarters alike."""
    rng = np.random.default_rng(seed)
    days = pd.date_range("2022-01-01", periods=365 * years, freq="D")
    ends = days.to_period("Q").end_time.normalize()
    rate = np.where(days.day_of_week < 5, deals * np.where((ends - days).days < 21, rush, 1.0), 0.0)
    n = rng.poisson(rate)
    when = np.repeat(days, n)
    return pd.DataFrame(
        {"day": when, "amount": rng.lognormal(8, 0.8, len(when)), "rep_id": rng.choice(["R1", "R2", "R3"], len(when))}
    )


# ---- the pattern of the days ------------------------------------------------------------------------------------------


def test_business_that_is_the_same_every_day_is_due_by_working_days():
    days = targets.pattern(steady(), pd.Timestamp("2025-01-01"))
    line = targets.path(days, Q("2025Q2"))
    assert line["share"].to_numpy() == pytest.approx(line["working_day"] / line["working_days"], abs=1e-9)
    assert days.growth == pytest.approx(1.0, abs=0.01) and days.level == pytest.approx(100.0, rel=0.01)


def test_a_rush_at_the_end_of_quarters_is_found_and_noise_is_not_taken_for_one():
    true = 3 * 2.5 / (3 * 2.5 + 10)
    found = [
        1 - targets.due(targets.pattern(rushed(s), pd.Timestamp("2024-10-01")), Q("2024Q4"), pd.Timestamp("2024-12-10"))
        for s in range(6)
    ]
    assert np.mean(found) == pytest.approx(true, abs=0.04)
    flat = [targets.pattern(rushed(s, rush=1.0), pd.Timestamp("2024-10-01")).factors["week"] for s in range(6)]
    assert np.abs(np.log(flat)).mean() < 0.04


def test_a_day_off_carries_nothing_and_a_holiday_is_one():
    days = targets.pattern(steady(), pd.Timestamp("2025-01-01"), country="GB-ENG")
    line = targets.path(days, Q("2025Q2")).set_index("day")
    for free in ("2025-04-18", "2025-04-21", "2025-05-05", "2025-06-01"):
        day = pd.Timestamp(free)
        assert not line.at[day, "works"] and line.at[day, "share"] == line.at[day - DAY, "share"]
    assert line["working_days"].iloc[0] == 65 - 4


def test_a_shop_that_sells_at_weekends_works_then():
    days = pd.date_range("2023-01-01", "2025-01-01", inclusive="left")
    sales = pd.DataFrame({"day": days, "amount": 50.0})
    assert targets.pattern(sales, pd.Timestamp("2025-01-01")).weekend == ()
    assert targets.path(targets.pattern(sales, pd.Timestamp("2025-01-01")), Q("2025-02"))["working_days"].iloc[0] == 28


def test_the_first_months_of_a_crm_are_no_low_season():
    sales = steady("2022-01-01", "2025-01-01")
    young = sales.assign(amount=sales["amount"].where(sales["day"] >= "2022-04-01", 10.0))
    assert targets.pattern(young, pd.Timestamp("2025-01-01")).since == pd.Timestamp("2022-04-01")


def test_a_period_without_working_days_is_due_evenly():
    days = targets.pattern(steady(), pd.Timestamp("2025-01-01"))
    closed = replace(days, weekend=(0, 1, 2, 3, 4, 5, 6))
    line = targets.path(closed, Q("2025-02"))
    assert line["share"].to_numpy() == pytest.approx(np.arange(1, 29) / 28)
    cells = targets.baseline(steady(), Q("2025-02"), every="day", total=2800.0, days=closed)
    assert cells["baseline"].to_numpy() == pytest.approx(100.0)


def test_less_than_a_quarter_of_history_is_said():
    with pytest.raises(TooLittleData, match="no history"):
        targets.pattern(steady().iloc[:0], pd.Timestamp("2022-01-01"))
    with pytest.raises(TooLittleData, match=r"whole quarter of history before \d"):
        targets.pattern(steady("2022-01-01", "2022-02-01"), pd.Timestamp("2022-02-01"))


def test_the_pattern_sees_nothing_of_the_period_and_after():
    sales = rushed(1)
    changed = sales.assign(amount=sales["amount"].where(sales["day"] < "2024-07-01", 9e6))
    a, b = (targets.pattern(s, pd.Timestamp("2024-07-01")) for s in (sales, changed))
    assert repr(a) == repr(b)
    ours = [targets.paths(s, Q("2024Q3"), pd.Timestamp("2024-06-30"), draws=50) for s in (sales, changed)]
    pd.testing.assert_frame_equal(*ours)


# ---- the baseline of the plan -----------------------------------------------------------------------------------------

PEOPLE = pd.DataFrame({
    "rep_id": ["R1", "R2", "R3", "R4"], "rep": ["Ann", "Bo", "Cy", "Di"], "team": ["N", "N", "S", "N"], "region": ["E", "E", "E", "E"],
    "start_date": pd.to_datetime([None, None, None, "2025-01-01"]), "end_date": pd.to_datetime([None, "2025-04-30", None, None]),
})  # fmt: skip


def team_sales() -> pd.DataFrame:
    """Ann and Bo of N and Cy of S, each a sale of 100 on each working day, of A and B in turn."""
    one = pd.concat(
        [steady(rep_id=r, rep=n, team=t) for r, n, t in (("R1", "Ann", "N"), ("R2", "Bo", "N"), ("R3", "Cy", "S"))]
    )
    return one.assign(product=np.where(one["day"].dt.day % 2, "A", "B")).sort_values("day", ignore_index=True)


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(["team", "rep", "product"]), unique=True),
    st.sampled_from(["quarter", "month", "week", "day"]),
    st.floats(1, 1e8),
)
def test_cells_add_up_at_every_node_and_are_never_negative(by, every, total):
    cells = targets.baseline(team_sales(), Q("2025Q2"), by=by, every=every, total=total, people=PEOPLE)
    assert cells["baseline"].min() >= 0
    assert cells["baseline"].sum() == pytest.approx(total, rel=1e-9)
    plan = targets.fit(cells)
    assert round(plan["target"].sum() * 100) == round(total * 100)
    months = targets.levels(plan, ["quarter"])
    assert months["target"].sum() == plan["target"].sum().round(2)


def test_who_leaves_carries_until_the_last_day_and_the_team_the_rest():
    cells = targets.baseline(
        team_sales(), Q("2025Q2"), by=["team", "rep"], every="day", total=65 * 300.0, people=PEOPLE[:3]
    )
    bo = cells[(cells["rep"] == "Bo") & (cells["baseline"] > 0)]
    assert bo["day"].max() == "2025-04-30"
    teams = cells.groupby("team")["baseline"].sum()
    assert teams["N"] == pytest.approx(65 * 200.0, rel=1e-6) and teams["S"] == pytest.approx(65 * 100.0, rel=1e-6)
    ann = cells[(cells["rep"] == "Ann")].set_index("day")["baseline"]
    assert ann["2025-04-30"] == pytest.approx(100, rel=1e-6) and ann["2025-05-01"] == pytest.approx(200, rel=1e-6)


def test_a_team_that_nobody_is_left_in_is_vacant():
    gone = PEOPLE[:3].assign(end_date=pd.to_datetime([None, None, "2025-05-30"]))
    cells = targets.baseline(team_sales(), Q("2025Q2"), by=["team", "rep"], total=19500.0, people=gone)
    june = cells[(cells["team"] == "S") & (cells["month"] == "2025-06")].set_index("rep")["baseline"]
    assert june["vacant"] == pytest.approx(21 * 100.0, rel=1e-6) and june["Cy"] == 0
    assert targets.baseline(team_sales(), Q("2025Q2"), by="team", total=19500.0)["baseline"].sum() == pytest.approx(
        19500
    )


def test_a_new_hire_carries_the_ramp_of_the_team_and_is_told_apart():
    fresh = PEOPLE.assign(end_date=pd.NaT)
    cells = targets.baseline(team_sales(), Q("2025Q1"), by=["team", "rep", "product"], total=30000.0, people=fresh)
    by = cells.groupby("rep").agg(baseline=("baseline", "sum"), new=("new", "any"))
    share = by["baseline"]["Di"] / by["baseline"]["Ann"]
    assert share == pytest.approx(0.5, abs=0.01)
    assert by["new"].to_dict() == {"Ann": False, "Bo": False, "Cy": False, "Di": True}
    assert set(cells.loc[cells["rep"] == "Di", "product"]) == {"A", "B"}


def test_a_promotion_lifts_its_days_and_a_past_one_is_no_season():
    sales = steady(product="A")
    sales["amount"] = np.where(sales["day"].dt.month == 5, 150.0, 100.0)
    years = (2022, 2023, 2024)
    past = pd.DataFrame({"start": [f"{y}-05-01" for y in years], "end": [f"{y}-05-31" for y in years], "uplift": 0.5})
    even = targets.baseline(sales, Q("2025Q2"), by=["product"], total=6500.0, promotions=past)
    assert even["baseline"].to_numpy() / np.array([22, 22, 21]) == pytest.approx(100.0, rel=1e-6)
    season = targets.baseline(sales, Q("2025Q2"), by=["product"], total=6500.0)
    assert 2300 < season["baseline"].to_numpy()[1] < 2823  # 66 sales in Mays: believed in part
    coming = pd.concat([past, pd.DataFrame({"start": ["2025-06-01"], "end": ["2025-06-30"], "uplift": [1.0]})])
    lifted = targets.baseline(sales, Q("2025Q2"), total=8600.0, promotions=coming)
    assert lifted["baseline"].to_numpy() == pytest.approx([2200, 2200, 4200], rel=1e-6)
    with pytest.raises(DataError, match="cannot be"):
        targets.baseline(sales, Q("2025Q2"), promotions=past.assign(end="2024-01-01"))


def test_a_promotion_lifts_what_it_names_alone_whatever_the_plan_is_by():
    sales = steady(product="A", team="N")
    sales = pd.concat([sales, sales.assign(product="B"), sales.assign(team="S", product="B")], ignore_index=True)
    offer = pd.DataFrame({"start": ["2025-06-01"], "end": ["2025-06-30"], "uplift": [1.0], "product": ["A"]})
    cells = targets.baseline(sales, Q("2025Q2"), by="team", promotions=offer)
    june = cells[cells["month"] == "2025-06"].set_index("team")["baseline"]
    assert june["N"] / june["S"] == pytest.approx(3.0)  # half of N's business is A
    whole = targets.baseline(sales, Q("2025Q2"), total=30_000.0, promotions=offer).set_index("month")["baseline"]
    assert whole["2025-06"] / 21 / (whole["2025-05"] / 22) == pytest.approx(4 / 3)
    with pytest.raises(SettingError, match="Did you mean 'product'"):
        targets.baseline(sales, Q("2025Q2"), promotions=offer.rename(columns={"product": "produkt"}))
    with pytest.raises(SettingError, match="no product 'AA'"):
        targets.baseline(sales, Q("2025Q2"), promotions=offer.assign(product="AA"))


def test_a_rep_of_a_few_days_is_drawn_to_the_mean_and_has_no_invented_history():
    days, now = pd.bdate_range("2024-01-01", "2024-12-31"), pd.Timestamp("2024-12-31")
    ids = ["R1", "R2", "R3"]
    sales = pd.concat([pd.DataFrame({"day": days, "amount": 1000.0, "rep_id": r, "rep": r}) for r in ids])
    sales = pd.concat(
        [sales, pd.DataFrame({"day": [now], "amount": 40_000.0, "rep_id": "R4", "rep": "R4"})], ignore_index=True
    )
    people = pd.DataFrame({"rep_id": [*ids, "R4", "R5"], "rep": [*ids, "R4", "R5"], "end_date": pd.NaT})
    people["start_date"] = pd.to_datetime([None, None, None, "2024-12-28", "2025-01-10"])
    deals = sales.assign(created_date=sales["day"], closed_date=sales["day"], outcome="won")
    record = targets.record(sales, deals, people, Q("2025Q1"), now, past=0).set_index("rep")
    year = 262_000 * 90 / 365
    assert record.at["R1", "results"] == pytest.approx(year) and record.at["R5", "results"] == pytest.approx(
        year, rel=0.06
    )
    assert record.at["R4", "results"] == pytest.approx(year + 40_000 * 90 / 365, rel=0.06)
    weights = pd.DataFrame({"driver": ["results"], "weight": [1.0]})
    quotas = targets.quotas(record.reset_index(), weights, total=1_000_000.0).set_index("rep")
    assert (
        quotas.loc[["R4", "R5"], ["before", "growth"]].isna().to_numpy().all() and quotas["before"].notna().sum() == 3
    )


def test_a_column_that_the_data_lack_is_said_with_what_to_map():
    sales, span, now = steady(), Q("2025Q2"), pd.Timestamp("2025-03-31")
    days, none = targets.pattern(sales, span.since), pd.Series(dtype="float64")
    for asked in (
        lambda: targets.attainment(sales, none, span, now, days, by="rep"),
        lambda: targets.paths(sales, span, now, by="rep", days=days),
        lambda: targets.baseline(sales, span, by="team,rep"),
        lambda: targets.gap(sales, 1.0, span, now, days),
        lambda: targets.where(sales, none, span, now, days, by="family", total=1.0),
        lambda: targets.record(sales, pd.DataFrame(), None, span, now),
        lambda: targets.potential(pd.DataFrame({"rep": ["A"]}), now),
    ):
        with pytest.raises(MissingTable, match="Map the column"):
            asked()
    with pytest.raises(MissingTable, match="the table 'reps'"):
        targets.record(sales.assign(rep="A"), pd.DataFrame(), None, span, now)
    assert targets.cells_by(sales) == [] and targets.cells_by(sales.assign(rep="A")) == ["rep"]
    assert targets.level("daily", "", sales) == "" and targets.level("monthly", "", sales.assign(team="N")) == "team"
    assert targets.conversion(pd.DataFrame({"amount": [1.0]}), span, now)["share"].isna().all()
    alone = pd.DataFrame({"series": "All", "path": [0, 1], "value": [1.0, 3.0]})
    assert targets.attainment(sales, none, span, now, days, total=2.0, paths=alone)["chance"].to_list() == [0.5]


def test_potential_moves_shares_as_far_as_it_is_blended():
    sales = team_sales()
    given_ = pd.DataFrame({"team": ["N", "S"], "potential": [1.0, 3.0]})
    for blend, north in ((0.0, 2 / 3), (1.0, 0.25), (0.5, (2 / 3 + 0.25) / 2)):
        cells = targets.baseline(sales, Q("2025Q2"), by=["team", "product"], total=100.0, potential=given_, blend=blend)
        assert cells.groupby("team")["baseline"].sum()["N"] == pytest.approx(north * 100)
    with pytest.raises(SettingError, match="0 to 1"):
        targets.baseline(sales, Q("2025Q2"), by="team", potential=given_, blend=2)
    with pytest.raises(DataError, match="all are 0"):
        targets.baseline(sales, Q("2025Q2"), by="team", potential=given_.assign(potential=0.0), blend=1)
    with pytest.raises(DataError, match="1 node that the plan does not have: X"):
        targets.baseline(sales, Q("2025Q2"), by="team", potential=given_.assign(team=["N", "X"]))


def test_a_season_of_one_product_is_its_own_where_it_is_known():
    rng = np.random.default_rng(0)
    ice = steady(each=100.0, product="ice")
    ice = ice[ice["day"].dt.month.isin([6, 7, 8])]
    bread = steady(each=60.0, product="bread")
    sales = pd.concat([ice, bread]).sort_values("day", ignore_index=True)
    sales["amount"] *= rng.uniform(0.8, 1.2, len(sales))
    cells = targets.baseline(sales, Q("2025"), by=["product"], total=1e6)
    share = cells.pivot(index="month", columns="product", values="baseline")
    share = share / share.sum()
    assert share.loc["2025-07", "ice"] > 0.25 and share.loc["2025-01", "ice"] < 0.05
    assert share["bread"].min() > 0.06


def test_the_plan_knows_its_columns():
    with pytest.raises(SettingError, match="Did you mean 'product'"):
        targets.baseline(team_sales(), Q("2025Q2"), by=["produkt"])
    with pytest.raises(SettingError, match="grain of time"):
        targets.baseline(team_sales(), Q("2025Q2"), every="hour")
    cells = targets.baseline(team_sales(), Q("2025Q2"), by="team, product", total=100.0)
    assert set(cells["team"]) == {"N", "S"} and set(cells["product"]) == {"A", "B"}


# ---- pacing and the outlook -------------------------------------------------------------------------------------------


def test_before_the_period_nothing_is_mixed_in_and_at_its_end_nothing_is_guessed():
    sales = rushed(2)
    start = targets.company(sales[sales["day"] < "2024-07-01"], Q("2024Q3"), pd.Timestamp("2024-06-30"))
    assert start.share == 0 and start.factor == 1 and start.projected == pytest.approx(start.expected)
    end = targets.company(sales, Q("2024Q3"), pd.Timestamp("2024-09-30"))
    actual = sales.loc[sales["day"].between("2024-07-01", "2024-09-30"), "amount"].sum()
    assert end.projected == pytest.approx(actual)
    done = targets.paths(sales, Q("2024Q3"), pd.Timestamp("2024-09-30"), draws=20)
    assert done["value"].to_numpy() == pytest.approx(actual)


def test_the_mixture_moves_from_the_usual_rest_to_booked_over_due():
    few = outlook.Company(expected=1000.0, share=0.1, booked=300.0, deal=100.0, shared=0.02, rest=0.0)
    assert few.factor == pytest.approx((50 + 3) / (50 + 1))
    many = replace(few, deal=0.01)
    assert many.factor == pytest.approx(3.0, rel=0.01) and few.projected < 1300 < many.projected


def test_the_projection_at_mid_quarter_beats_linear_pacing_under_a_rush():
    ours, line = [], []
    for seed in range(8):
        sales = rushed(seed)
        for label in ("2024Q2", "2024Q3"):
            span = Q(label)
            now, actual = (
                span.since + 45 * DAY,
                sales.loc[sales["day"].between(span.since, span.until - DAY), "amount"].sum(),
            )
            known = sales[sales["day"] <= now]
            even = targets.pattern(sales, span.since, plain=True)
            ours.append(abs(targets.company(known, span, now).projected / actual - 1))
            line.append(
                abs(known.loc[known["day"] >= span.since, "amount"].sum() / targets.due(even, span, now) / actual - 1)
            )
    assert np.mean(ours) < 0.6 * np.mean(line)


def test_chances_come_true_as_often_as_they_say():
    rng, said, met, held = np.random.default_rng(5), [], [], []
    for seed in range(14):
        sales = rushed(seed + 50, deals=1.5)
        for label in ("2024Q2", "2024Q3", "2024Q4"):
            span, days = Q(label), targets.pattern(sales, Q(label).since)
            now = span.since + int(rng.integers(10, 75)) * DAY
            paths = targets.paths(sales[sales["day"] <= now], span, now, by="rep_id", days=days, draws=300)
            actual = sales[sales["day"].between(span.since, span.until - DAY)].groupby("rep_id")["amount"].sum()
            goal = actual.mean() * pd.Series(np.exp(rng.normal(0, 0.3, 3)), index=actual.index)
            row = targets.chances(goal, paths).set_index("series")
            said += row["chance"].to_list()
            met += (actual >= goal).to_list()
            held += actual.between(row["lower"], row["upper"]).to_list()
    said_, met_ = np.array(said), np.array(met)
    assert np.mean(said_) == pytest.approx(np.mean(met_), abs=0.08)
    sure = said_ > 0.8
    assert sure.sum() > 20 and met_[sure].mean() > 0.8 and met_[said_ < 0.2].mean() < 0.2
    assert 0.7 < np.mean(held) < 0.92


def test_a_year_whose_quarters_drift_is_less_sure_than_a_quarter_and_a_steady_one_is_not():
    def shared(drift: float) -> np.ndarray:
        found = []
        for seed in range(5):
            rng, sales = np.random.default_rng(seed), rushed(seed, rush=1.0)
            quarter = (sales["day"].dt.year - 2022) * 4 + sales["day"].dt.quarter - 1
            sales["amount"] *= np.exp(np.cumsum(rng.normal(0, drift, 12)))[quarter]
            now = pd.Timestamp("2024-09-30")
            found.append([targets.company(sales, Q(label), now).shared for label in ("2024Q4", "2025")])
        return np.mean(found, axis=0)

    (quarter, year), (calm_quarter, calm_year) = shared(0.12), shared(0.0)
    assert year > quarter and year > 1.25 * calm_year and calm_year < 0.025 and calm_quarter < 0.02


def test_teams_are_sums_of_their_reps_in_every_future_and_who_left_brings_nothing_more():
    sales, people = team_sales(), PEOPLE[:3]
    now = pd.Timestamp("2025-05-10")
    sales = pd.concat([sales, team_sales().assign(day=lambda f: f["day"] + pd.DateOffset(days=1099))])
    sales = sales[sales["day"] <= now]
    reps = targets.paths(sales, Q("2025Q2"), now, by="rep", people=people, draws=40)
    teams = targets.paths(sales, Q("2025Q2"), now, by="team", people=people, draws=40)
    wide = reps.pivot(index="path", columns="series", values="value")
    both = teams.pivot(index="path", columns="series", values="value")
    assert (wide["Ann"] + wide["Bo"]).to_numpy() == pytest.approx(both["N"].to_numpy())
    assert wide["Bo"].nunique() == 1 and wide["Ann"].nunique() > 10


def test_chances_add_up_parts_of_paths_and_a_target_of_zero_has_none():
    paths = pd.DataFrame({"series": "A", "path": [0, 0, 1, 1], "value": [1.0, 2.0, 3.0, 4.0]})
    found = targets.chances(pd.Series({"A": 5.0, "B": 1.0}), paths).set_index("series")
    assert found.at["A", "chance"] == 0.5 and found.at["A", "projected"] == 5 and np.isnan(found.at["B", "chance"])
    assert np.isnan(targets.chances(pd.Series({"A": 0.0}), paths)["chance"].iloc[0])


@pytest.fixture(scope="module")
def quarter():
    """Ann, Bo and Cy in the second quarter of 2025: 100 each a working day until 9 May, from Ann twice."""
    sales = team_sales()
    days = pd.bdate_range("2025-04-01", "2025-05-09")
    now = pd.concat([pd.DataFrame({"day": days, "amount": a, "rep_id": r, "rep": n, "team": t, "product": p})
                     for r, n, t, a, p in (("R1", "Ann", "N", 200.0, "A"), ("R2", "Bo", "N", 100.0, "B"), ("R3", "Cy", "S", 100.0, "C"))])  # fmt: skip
    now = now[~((now["rep"] == "Bo") & (now["day"] > "2025-04-30"))]
    sales = pd.concat([sales, now]).sort_values(["day", "rep_id"], ignore_index=True)
    return sales, targets.pattern(sales, pd.Timestamp("2025-04-01")), pd.Timestamp("2025-05-09")


def test_attainment_by_hand(quarter):
    sales, days, now = quarter
    wanted = pd.Series({"Ann": 6500.0, "Bo": 6500.0, "Cy": 0.0, "Ed": 130.0})
    found = targets.attainment(sales, wanted, Q("2025Q2"), now, days, by="rep", total=13000.0, people=PEOPLE)
    assert found["rep"].to_list() == ["Ann", "Bo", "Ed", "Cy", "All"]
    rows = found.set_index("rep")
    done = 29 / 65  # working days, 1 April to 9 May
    assert rows.at["Ann", "booked"] == 29 * 200 and rows.at["Ann", "attainment"] == pytest.approx(5800 / 6500)
    assert rows.at["Ann", "due"] == pytest.approx(6500 * done, rel=1e-6)
    assert rows.at["Bo", "due"] == pytest.approx(2200, rel=1e-6) and rows.at["Bo", "ahead"] == pytest.approx(
        0, abs=0.01
    )
    assert rows.at["Bo", "to_hand_over"] == pytest.approx(4300, rel=1e-6)
    assert np.isnan(rows.at["Cy", "attainment"]) and rows.at["Cy", "booked"] == 2900
    assert rows.at["Ed", "booked"] == 0 and rows.at["Ed", "attainment"] == 0
    assert rows.at["All", "target"] == 13000 and rows.at["All", "booked"] == 5800 + 2200 + 2900
    text = targets.finding_attainment(found)
    assert (
        text.startswith("**2 of 3** have what was due by today; furthest behind is **Ed**, $58")
        and "$4,300 of targets" in text
    )
    one = targets.finding_attainment(found[found["rep"].isin(["Ann", "Ed", "All"])])
    assert one.startswith("**1 of 2** has what was due by today; furthest behind is **Ed**")


def test_a_leaver_is_not_taken_for_the_team(quarter):
    sales, days, now = quarter
    wanted, total = pd.Series({"N": 13000.0}), 13000.0
    found = targets.attainment(sales, wanted, Q("2025Q2"), now, days, by="team", total=total, people=PEOPLE[1:2])
    row = found.set_index("team").loc["N"]
    assert row["due"] == pytest.approx(13000 * 29 / 65, rel=1e-6) and row["to_hand_over"] == 0


def test_who_left_is_not_among_those_who_reached_the_target(quarter):
    sales, days, _ = quarter
    wanted = pd.Series({"Ann": 5800.0, "Bo": 6500.0, "Cy": 9000.0})
    over = targets.attainment(sales, wanted, Q("2025Q2"), pd.Timestamp("2025-06-30"), days, by="rep", people=PEOPLE)
    assert targets.finding_attainment(over) == (
        "**1 of 2** reached the target; furthest behind is **Cy**, $6,100 under the target. $4,300 of targets of those who left wait "
        "to be handed over."
    )
    alone = targets.attainment(
        sales, wanted[:2], Q("2025Q2"), pd.Timestamp("2025-06-30"), days, by="rep", people=PEOPLE
    )
    assert targets.finding_attainment(alone).startswith("**1 of 1** reached the target. $4,300")


def test_nobody_with_a_target_is_said(quarter):
    sales, days, now = quarter
    found = targets.attainment(sales, pd.Series(dtype="float64"), Q("2025Q2"), now, days, by="rep")
    assert np.isnan(found["target"]).all()
    with pytest.raises(MissingTable, match="Add targets by rep"):
        targets.finding_attainment(found)
    with pytest.raises(TooLittleData, match="no target"):
        targets.gap(sales, float("nan"), Q("2025Q2"), now, days)
    pace = targets.pace(sales, Q("2025Q2"), now, float("nan"), days)
    assert "there is no target" in targets.finding_pace(pace, targets.whole(found))
    with pytest.raises(TooLittleData, match="Add the table of targets"):
        targets.finding_needed(targets.needed(pace, sales, Q("2025Q2")))


def test_pace_and_what_is_needed_by_hand(quarter):
    sales, days, now = quarter
    pace = targets.pace(sales, Q("2025Q2"), now, 19500.0, days)
    today = pacing.last_known(pace)
    assert today["working_day"] == 29 and today["booked"] == 10900 and today["due"] == pytest.approx(29 * 300, rel=1e-6)
    assert (pace["lower"] <= pace["due"] + 1e-9).all() and (pace["due"] <= pace["upper"] + 1e-9).all()
    row = targets.needed(pace, sales, Q("2025Q2")).iloc[0]
    assert row["to_book"] == 8600 and row["working_days"] == 36 and row["per_day"] == pytest.approx(8600 / 36)
    assert row["usual_per_day"] == pytest.approx(300, rel=1e-6) and row["times_due"] == pytest.approx(
        8600 / 36 / 300, rel=1e-6
    )
    pipe = pd.DataFrame({"n": [9], "share": [0.5], "open_amount": [10000.0]})
    assert targets.needed(pace, sales, Q("2025Q2"), pipeline=pipe)["to_create"].iloc[0] == pytest.approx(7200)
    day = pd.DataFrame(
        {
            "amount": [5.0],
            "outcome": "won",
            "created_date": pd.Timestamp("2025-01-09"),
            "closed_date": pd.Timestamp("2025-01-09"),
        }
    )
    nothing = targets.conversion(day, Q("2025Q2"), now)  # each deal is entered and closed on one day
    assert nothing["share"].isna().all() and np.isnan(
        targets.needed(pace, sales, Q("2025Q2"), pipeline=nothing)["to_create"].iloc[0]
    )
    reached = targets.pace(sales, Q("2025Q2"), now, 5000.0, days)
    assert targets.finding_needed(targets.needed(reached, sales, Q("2025Q2"))).startswith("**Nothing more is needed**")
    with pytest.raises(TooLittleData, match="not begun"):
        pacing.last_known(targets.pace(sales, Q("2025Q3"), now, 1.0, days))


def test_a_target_of_zero_and_a_period_that_is_over_are_said(quarter):
    sales, days, _ = quarter
    over = pd.Timestamp("2025-06-30")
    pace = targets.pace(sales, Q("2025Q2"), over, 0.0, days)
    row = pd.Series({"target": 0.0, "booked": 10900.0, "attainment": np.nan})
    assert "target of zero" in targets.finding_pace(pace, row)
    pace = targets.pace(sales, Q("2025Q2"), over, 10000.0, days)
    assert (
        targets.finding_pace(pace, row.replace(0.0, 10000.0))
        == "The period ended at **109% of its target**: $10.9 thousand booked, $900 over it."
    )
    missed = targets.pace(sales, Q("2025Q2"), over, 20000.0, days)
    pipe = pd.DataFrame({"n": [9], "share": [0.5], "open_amount": [10000.0]})
    left = targets.needed(missed, sales, Q("2025Q2"), pipeline=pipe)
    assert "no working day is left" in targets.finding_needed(left)
    assert np.isnan(left["to_create"].iloc[0])  # no pipeline is missing for days that are gone
    assert targets.finding_pace(missed, row.replace(0.0, 20000.0), Q("2025Q2")).startswith("2025Q2 ended at")


def test_every_target_is_in_the_sentence_on_whether_targets_can_be_met():
    ones = pd.DataFrame({"n": [0, 1, 1, 1, 0]})
    assert (
        targets.finding_realism(ones)
        == "**1 of 3 targets** is a stretch that can be met; 1 is hard to meet, 1 is easy."
    )
    said = pd.DataFrame({"n": [1, 16, 4, 0, 2]})
    assert targets.finding_realism(said) == (
        "**4 of 23 targets** are a stretch that can be met; 16 are hard to meet, 1 can hardly be met (chance under 1 in 10), "
        "2 will very likely be met anyway (over 9 in 10)."
    )


def test_sentences_are_true_of_one_and_of_none(quarter):
    one = pd.DataFrame({"period": ["2025Q1"], "target": [1.0], "booked": [1.0], "attainment": [1.0], "ended": [True]})
    assert targets.finding_results(one).startswith("**1 of 1 target** was met;")
    closed = pd.Timestamp("2025-05-01")
    deals = pd.DataFrame(
        {"segment": ["big"], "outcome": ["lost"], "amount": [5.0], "created_date": [closed], "closed_date": [closed]}
    )
    assert (
        targets.finding_segments(targets.segments(deals, closed))
        == "**Nothing was booked** in the year before, of 1 deal closed."
    )
    deals["outcome"] = "won"
    assert "100% of 1 closed deal won" in targets.finding_segments(
        targets.segments(deals.drop(columns="created_date"), closed)
    )
    two = pd.DataFrame(
        {"driver": ["potential", "results"], "slope": 0.2, "lower": 0.1, "upper": 0.3, "n": 9, "verdict": "above"}
    )
    assert targets.finding_fairness(two).count("With twice the") == 2
    sales, days, now = quarter
    pace = targets.pace(sales, Q("2025Q2"), now, float("nan"), days)
    alone = pd.DataFrame({"series": "All", "path": [0, 1], "value": [20_000.0, 22_000.0]})
    standing = targets.whole(targets.attainment(sales, pd.Series(dtype="float64"), Q("2025Q2"), now, days, paths=alone))
    cards = targets.cards_standing(pace, standing, targets.needed(pace, sales, Q("2025Q2")))
    assert ": –" not in str(cards) and str(cards).startswith(
        "Booked: $10.9 thousand. 80 deals won; working day 29 of 65"
    )
    assert "(the forecast page looks at the open deals) it will end near **$21.0 thousand**" in targets.finding_pace(
        pace, standing
    )


def test_a_weekday_that_brings_most_is_named_though_the_days_add_up_evenly():
    days = pd.date_range("2024-07-01", "2024-09-30")
    works = days.day_of_week < 5
    for monday, said in ((1.0, "evenly"), (2.6, "**Mondays bring 2.6 times** what another working day does")):
        worth = works * np.where(days.day_of_week == 0, monday, 1.0)
        pace = pd.DataFrame({"day": days, "works": works, "booked": 1.0, "share": worth.cumsum() / worth.sum(),
                             "linear": works.cumsum() / works.sum()})  # fmt: skip
        assert said in targets.finding_path(pace) and ("evenly" in targets.finding_path(pace)) == (monday == 1)


def test_the_path_of_a_period_that_is_over_is_told_as_past():
    sales = rushed(1)
    days = targets.pattern(sales, pd.Timestamp("2024-07-01"))
    for now, verb in (("2024-09-30", "was"), ("2024-07-02", "is")):
        pace = targets.pace(sales, Q("2024Q3"), pd.Timestamp(now), 1.0, days)
        assert f"of the period {verb} due**" in targets.finding_path(pace)
    assert "usually" not in targets.finding_path(pace)


def test_one_driver_that_told_as_much_as_every_mixture_has_all_the_weight():
    rng, frames = np.random.default_rng(10), []
    good = np.exp(rng.normal(0, 0.6, 15))
    for q in range(6):
        noise = np.exp(rng.normal(0, 0.3, (4, 15)))
        frames.append(pd.DataFrame({"period": f"Q{q}", "rep": [f"R{i}" for i in range(15)], "full": 1.0, "results": noise[0], "potential": good,
                                    "workload": good * noise[1], "equal": 1.0, "booked": good * noise[2]}))  # fmt: skip
    weights = targets.weigh(pd.concat(frames)).set_index("driver")
    assert weights["weight"].drop("chosen").to_dict() == {"results": 0, "potential": 1, "workload": 0, "equal": 0}


def test_each_grain_has_its_rows(quarter):
    sales, days, now = quarter
    pace = targets.pace(sales, Q("2025Q2"), now, 19500.0, days)
    rows = {grain: len(targets.at_grain(pace, grain)) for grain in GRAINS}
    assert rows == {"daily": 65, "weekly": 15, "monthly": 4, "results": 2}
    for grain in GRAINS:
        part = targets.at_grain(pace, grain)
        assert now in set(part["day"]) and part["day"].iloc[-1] == pd.Timestamp("2025-06-30")
    assert (
        targets.level("daily") == "rep"
        and targets.level("monthly") == "region"
        and targets.level("daily", "team") == "team"
    )
    with pytest.raises(SettingError, match="Did you mean 'weekly'"):
        targets.level("weekli")


# ---- the gap ----------------------------------------------------------------------------------------------------------


def test_the_gap_by_hand():
    base = pd.DataFrame(
        {"day": pd.Timestamp("2024-07-01"), "amount": [100.0] * 6 + [400.0] * 2, "product": ["A"] * 6 + ["B"] * 2}
    )
    now = pd.DataFrame(
        {"day": pd.Timestamp("2025-05-01"), "amount": [90.0, 90.0, 500.0, 70.0], "product": ["A", "A", "B", "C"]}
    )
    parts = gaps.split(now, base, pd.Series({"": 700.0}), "product").iloc[0]
    # P̄0 = 175; Q1 = 3: volume 525 − 700; mix 2 (100 − 175) + (400 − 175); price −20 + 100; C is new
    assert parts.to_dict() == {"volume": -175.0, "price": 80.0, "mix": 75.0, "new_items": 70.0}
    assert sum(parts) == pytest.approx(750 - 700)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("ABCD"), st.sampled_from(["N", "S"]), st.integers(1, 10**9)), min_size=1, max_size=30),
       st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 10**9)), min_size=1, max_size=10), st.floats(0, 1e7))  # fmt: skip
def test_the_parts_of_the_gap_add_up_to_the_cent(now, base, target):
    flat, since, until = (
        {n: np.ones(k) for n, k in SLOTS.items()},
        pd.Timestamp("2024-01-01"),
        pd.Timestamp("2025-04-01"),
    )
    days = Pattern(flat, (5, 6), "", 1, 1.0, 1.0, 1.0, since, until)
    sold = pd.DataFrame(now, columns=["product", "region", "amount"]).assign(day=pd.Timestamp("2025-05-05"))
    old = pd.DataFrame(base, columns=["product", "amount"]).assign(day=pd.Timestamp("2024-06-03"), region="N")
    sales = pd.concat([old, sold], ignore_index=True)
    sales["amount"] = sales["amount"] / 100
    as_of, span = pd.Timestamp("2025-05-09"), Q("2025Q2")
    cents = (targets.gap(sales, target, span, as_of, days).set_index("part")["amount"] * 100).round().astype("int64")
    assert cents["target"] + cents[["timing", *gaps.PARTS]].sum() == cents["booked"]
    assert cents["target"] == round(target * 100)
    where = targets.where(sales, pd.Series({"N": target / 2}), span, as_of, days, by="region", total=target)
    money = ["due", "booked", "ahead", *gaps.PARTS]
    whole = (where[money] * 100).round().astype("int64")
    assert (whole[list(gaps.PARTS)].sum(axis=1) == whole["ahead"]).all() and (
        whole["booked"] - whole["due"] == whole["ahead"]
    ).all()
    assert (whole.iloc[:-1].sum() == whole.iloc[-1]).all()
    assert whole["booked"].iloc[-1] == cents["booked"]


def test_a_period_that_is_over_has_no_timing_left_and_nodes_that_do_not_add_up_are_a_row(quarter):
    sales, days, _ = quarter
    over = pd.Timestamp("2025-06-30")
    gap = targets.gap(sales, 20000.0, Q("2025Q2"), over, days).set_index("part")["amount"]
    assert gap["timing"] == 0 and gap["new_items"] == 2900
    wanted = pd.Series({"N": 9000.0, "S": 8000.0})
    where = targets.where(sales, wanted, Q("2025Q2"), over, days, by="team", total=20000.0).set_index("team")
    assert where.at["targets do not add up", "due"] == 3000 and where.at["All", "ahead"] == 10900 - 20000
    assert (
        targets.finding_where(where.reset_index())
        == "**S** is $5,100 behind, most by the number of deals; all together are $9,100 behind."
    )


# ---- who is off the path ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deals", [1, 3, 10])
def test_false_alarms_are_as_many_as_stated_however_few_deals_are_due(deals):
    named = np.mean([study.alarms(seed, deals=deals) for seed in range(120)])
    assert 0.05 < named < 0.32  # 0.2 a look are stated


def test_nobody_is_off_the_path_before_anything_is_booked():
    frame = pd.DataFrame({"rep": ["A", "B", "C", "All"], "due": 100.0, "booked": 0.0})
    with pytest.raises(TooLittleData, match="Nothing is booked yet"):
        targets.exceptions(frame, steady(), pd.Timestamp("2025-01-01"))


def test_a_rep_far_off_is_named_and_a_bad_quarter_alone_names_nobody():
    rng = np.random.default_rng(3)
    year = pd.DataFrame({"day": pd.Timestamp("2024-06-01"), "amount": rng.lognormal(8, 0.6, 800)})
    mean = year["amount"].mean()
    names = [f"R{i:02}" for i in range(12)]
    frame = pd.DataFrame({"rep": [*names, "All"], "due": 200 * mean, "booked": 200 * mean})
    frame["booked"] *= np.r_[rng.uniform(0.93, 1.07, 12), 1.0]
    bad = frame.assign(booked=frame["booked"] * 0.5)
    assert (targets.exceptions(bad, year, pd.Timestamp("2025-01-01"))["verdict"] == "same").all()
    one = frame.assign(booked=frame["booked"].where(frame["rep"] != "R05", 15 * mean))
    found = targets.exceptions(one, year, pd.Timestamp("2025-01-01"))
    assert found.loc[found["verdict"] != "same", ["rep", "verdict"]].to_numpy().tolist() == [["R05", "below"]]
    worse = targets.exceptions(one.assign(booked=one["booked"] * 0.5), year, pd.Timestamp("2025-01-01"))
    assert worse.loc[worse["verdict"] != "same", "rep"].to_list() == ["R05"]  # in a bad quarter too
    assert "**R05**" in targets.finding_exceptions(
        found
    ) and "0.2 false alarms a look over 12 nodes" in targets.finding_exceptions(found)
    up = one.assign(
        booked=one["booked"].where(frame["rep"] != "R05", 200 * mean) * np.where(frame["rep"] == "R05", 1, 0.5)
    )
    said = targets.finding_exceptions(targets.exceptions(up, year, pd.Timestamp("2025-01-01")))
    assert said.startswith(
        "Off the path by more than luck: **R05** above at 1.9× of what all together have of what was due, by"
    )
    many = up.assign(booked=up["booked"].where(~frame["rep"].isin(["R00", "R01", "R02", "R03"]), mean))
    named = targets.exceptions(many, year, pd.Timestamp("2025-01-01")).assign(verdict=["below"] * 4 + ["same"] * 8)
    assert "(and 1 other)" in targets.finding_exceptions(named)
    with pytest.raises(TooLittleData, match="3 or more"):
        targets.exceptions(frame.tail(3), year, pd.Timestamp("2025-01-01"))


# ---- quotas -----------------------------------------------------------------------------------------------------------


def test_planted_unfair_quotas_are_found_and_fair_ones_are_left_alone():
    def share(kind, driver, verdict, seeds=60):
        found = [targets.fairness(study.quota_record(s, kind)) for s in range(seeds)]
        return np.mean([((f["driver"] == driver) & (f["verdict"] == verdict)).any() for f in found])

    assert share("flat", "potential", "above", 20) > 0.9
    assert share("ratchet", "results", "below") > 0.4
    quiet = np.mean([(targets.fairness(study.quota_record(s, "fair"))["verdict"] != "same").any() for s in range(100)])
    assert quiet <= 0.09  # 5% stated


def test_fairness_is_said_in_words():
    flat = targets.fairness(study.quota_record(1, "flat"))
    assert "quotas ask too little of rich territories" in targets.finding_fairness(flat)
    fair = targets.fairness(study.quota_record(1, "fair"))
    assert targets.finding_fairness(fair).startswith("**No unfairness can be told**")
    with pytest.raises(TooLittleData, match="8 or more"):
        targets.fairness(study.quota_record(1, "fair", reps=5))


def test_weights_go_to_what_tells_the_results_and_are_judged_without_hindsight():
    rng, frames = np.random.default_rng(0), []
    good = np.exp(rng.normal(0, 0.6, 15))
    for q in range(9):
        noise = np.exp(rng.normal(0, 0.8, (3, 15)))
        frames.append(pd.DataFrame({
            "period": f"Q{q}", "rep": [f"R{i:02}" for i in range(15)], "full": 1.0, "results": noise[0], "potential": good,
            "workload": noise[1], "equal": 1.0, "seen": 1.0, "target": np.nan, "booked": good * rng.uniform(0.9, 1.1, 15) if q < 8 else np.nan,
        }))  # fmt: skip
    record = pd.concat(frames, ignore_index=True)
    weights = targets.weigh(record).set_index("driver")
    assert weights.at["potential", "weight"] > 0.9 and weights["weight"].sum() == pytest.approx(1)
    assert weights.at["chosen", "elsewhere"] < 0.1 < weights.at["equal", "elsewhere"]
    quotas = targets.quotas(record, weights.reset_index(), total=1001.0)
    assert quotas["quota"].sum() == 1001 and quotas["rep"].iloc[0] == f"R{good.argmax():02}"
    assert targets.quotas(record, weights.reset_index(), total=1000.0, over=1.05)["quota"].sum() == 1050
    with pytest.raises(TooLittleData, match="3 are needed"):
        targets.weigh(record[record["period"].isin(["Q6", "Q7", "Q8"])])
    with pytest.raises(SettingError, match="a total, or a forecast"):
        targets.quotas(record, weights.reset_index())


def test_potential_is_what_came_and_not_what_was_made_of_it():
    day = pd.Timestamp("2025-01-01")
    deals = pd.DataFrame({
        "rep": ["Ann"] * 4 + ["Bo"] * 4, "segment": ["big", "big", "small", "small"] * 2, "outcome": ["won", "won", "won", "won", "lost", "lost", "lost", "open"],
        "amount": [100.0, 100.0, 10.0, 10.0, 90.0, 90.0, 9.0, 9.0], "created_date": day - 90 * DAY, "closed_date": [day - 30 * DAY] * 7 + [pd.NaT],
    })  # fmt: skip
    found = targets.potential(deals, day).set_index("rep")
    assert found.at["Ann", "potential"] == pytest.approx(found.at["Bo", "potential"]) and found[
        "workload"
    ].to_list() == [4, 4]


def test_a_ramp_is_drawn_to_the_usual_one_and_rises():
    assert staffing.steps(None) == (0.5, 0.75)
    days = pd.date_range("2025-01-01", periods=200)
    here = staffing.there(PEOPLE, days)
    assert here[3, 0] == 0.5 and here[3, 100] == 0.75 and here[3, 190] == 1.0
    assert here[1, 119] == 1.0 and here[1, 120] == 0.0


# ---- the register -----------------------------------------------------------------------------------------------------


def with_targets(*rows: tuple, people: pd.DataFrame = PEOPLE) -> Crm:
    names = ["period", "rep_id", "team", "target"]
    frame = pd.DataFrame(rows, columns=names).astype({"target": "float64"})
    frame = frame.assign(
        **{c: frame[c].replace("", None).astype("str").where(frame[c] != "") for c in ("rep_id", "team")}
    )
    deals = pd.DataFrame({"opportunity_id": ["D"], "rep_id": ["R1"]})
    return Crm({"opportunities": deals, "reps": people, "targets": frame}, as_of=pd.Timestamp("2025-06-30"))


def test_targets_that_contradict_each_other_are_said_with_their_amounts():
    crm = with_targets(("2025Q2", "", "", 100.0), ("2025Q2", "", "N", 60.0), ("2025Q2", "", "S", 30.0), ("2025Q2", "R1", "", 50.0), ("2025Q2", "R2", "", 20.0),
                       ("2025Q2", "R3", "", 30.0))  # fmt: skip
    found = targets.checked(crm, Q("2025Q2"))
    apart = found[found["finding"] == "do not add up"].set_index("where")
    assert apart["more"].to_dict() == {"team N: reps": 10.0, "the company: teams": -10.0}
    assert "carry 17% more: over-assignment if it is meant" in apart.at["team N: reps", "why"]
    assert (
        "carry 10% less: if all of them reach their targets, this one is missed"
        in apart.at["the company: teams", "why"]
    )
    assert targets.finding_checked(found).startswith("**The targets do not add up in 2 places**")


def test_a_year_in_quarters_and_months_counts_once_and_the_difference_is_said():
    quarters = [(f"2025Q{i}", "R1", "", 100.0) for i in (1, 2, 3, 4)]
    months = [(f"2025-{i:02}", "R1", "", 30.0) for i in range(1, 13)]
    crm = with_targets(*quarters, *months)
    assert targets.wanted(crm, Q("2025"), "rep").to_dict() == {"Ann": 400.0}
    found = targets.checked(crm, Q("2025"))
    assert found.loc[found["finding"] == "do not add up", "where"].to_list() == [
        f"2025Q{i} R1: months" for i in (1, 2, 3, 4)
    ]
    mixed = with_targets(quarters[0], *months[3:])  # a quarter, then months
    assert targets.wanted(mixed, Q("2025"), "rep").to_dict() == {"Ann": 100.0 + 9 * 30}


def test_a_level_without_targets_of_its_own_has_the_sum_of_the_one_below_and_says_so():
    rows = [("2025Q2", "R1", "", 50.0), ("2025Q2", "R2", "", 20.0), ("2025-06", "R3", "", 30.0)]
    crm = with_targets(*rows)
    assert targets.wanted(crm, Q("2025Q2"), "team").to_dict() == {"N": 70.0, "S": 30.0}
    assert targets.wanted(crm, Q("2025Q2"), "region").to_dict() == {"E": 100.0}
    assert targets.target(crm, Q("2025Q2"), team="N") == 70
    found = targets.checked(crm, Q("2025Q2"))
    assert found.loc[found["finding"] == "summed", "where"].to_list() == ["regions", "teams"]
    assert "do not add up" not in set(found["finding"])
    assert targets.wanted(with_targets(*rows, ("2025Q2", "", "S", 40.0)), Q("2025Q2"), "team").to_dict() == {"S": 40.0}


def test_two_reps_of_one_name_are_two():
    people = PEOPLE.assign(rep=["Ann", "Bo", "Ann", "Di"])
    crm = with_targets(("2025Q2", "R1", "", 50.0), ("2025Q2", "R3", "", 30.0), people=people)
    assert targets.wanted(crm, Q("2025Q2"), "rep").to_dict() == {"Ann (R1)": 50.0, "Ann (R3)": 30.0}
    assert crm.deals["rep"].to_list() == ["Ann (R1)"] and len(crm.only(rep="Ann (R1)").reps) == 1
    staff = targets.staff(crm)
    assert staff["rep"].to_list() == ["Ann (R1)", "Bo", "Ann (R3)", "Di"]
    names = dict(zip(staff["rep_id"], staff["rep"], strict=True))
    sales = team_sales().assign(rep=lambda f: f["rep_id"].map(names))
    wanted, now, days = (
        targets.wanted(crm, Q("2025Q2"), "rep"),
        pd.Timestamp("2025-03-31"),
        targets.pattern(sales, pd.Timestamp("2025-04-01")),
    )
    standing = targets.attainment(sales, wanted, Q("2025Q2"), now, days, by="rep", people=staff)
    assert standing["target"].sum() == 160


def test_zero_targets_leavers_and_strangers_are_listed():
    crm = with_targets(
        ("2025Q2", "R1", "", 0.0), ("2025Q2", "R2", "", 20.0), ("2025Q2", "R9", "", 5.0), ("Q2 25", "R1", "", 5.0)
    )
    found = targets.checked(crm, Q("2025Q2")).set_index("finding")
    assert (
        found.at["zero", "where"] == "R1"
        and found.at["nobody's", "where"] == "R9"
        and found.at["leaves", "where"] == "Bo"
    )
    assert found.at["not readable", "where"] == "Q2 25"
    assert "2025-04-30" in found.at["leaves", "why"]
    later = targets.checked(with_targets(("2025Q3", "R2", "", 20.0)), Q("2025Q3"))
    assert later["why"].str.contains("Left on 2025-04-30, before the period").any()


def test_quarters_that_do_not_make_the_year_are_said():
    quarters = [(f"2025Q{i}", "", "", 10.0) for i in (1, 2, 3, 4)]
    found = targets.checked(with_targets(("2025", "", "", 50.0), *quarters), Q("2025Q2"))
    assert found["where"].to_list() == ["2025 the company: quarters"] and found["more"].to_list() == [-10.0]
    assert targets.checked(with_targets(("2025", "", "", 40.0), *quarters), Q("2025Q2")).empty
    assert targets.finding_checked(targets.checked(with_targets(*quarters), Q("2025Q2"))).startswith(
        "**The targets add up**"
    )


# ---- the whole on data ------------------------------------------------------------------------------------------------


def test_results_of_past_periods_are_counted(sample):
    sales = targets.sold(sample)
    found = targets.results(sample, sales, Q("2025Q2"), sample.as_of).set_index("period")
    deals = sample.opportunities
    quarter = deals[(deals["outcome"] == "won") & deals["closed_date"].between("2024-10-01", "2024-12-31")]
    assert found.at["2024Q4", "booked"] == quarter["amount"].sum() and found["ended"].all()
    assert targets.finding_results(found.reset_index()).startswith("**6 of 9 targets** were met; 2025Q2 came to 116%")
    assert targets.sold(sample)["amount"].sum() == deals.loc[deals["outcome"] == "won", "amount"].sum()


def test_a_page_of_a_team_has_its_targets_alone(sample):
    north = sample.only(team="North")
    assert targets.wanted_here(sample, north, Q("2025Q2"), "team").to_dict() == {"North": 1216000.0}
    reps = targets.wanted_here(sample, north, Q("2025Q2"), "rep")
    assert len(reps) == 5 and reps.sum() == 1254000
    assert len(targets.wanted_here(sample, sample, Q("2025Q2"), "rep")) == 20
    assert targets.level("weekly", team="North") == "rep" and targets.level("monthly", region="Europe") == "team"


def test_longer_and_coming_periods():
    assert targets.longer(Q("2025Q2")).label == "2025" and targets.to_plan("", Q("2025Q2")).label == "2026"
    assert targets.to_plan("2025Q4", Q("2025Q2")).label == "2025Q4"
    with pytest.raises(CannotSay):
        targets.longer(Q("2025"))


def test_a_workbook_that_was_edited_is_kept(tmp_path):
    cells = targets.baseline(team_sales(), Q("2025Q2"), by="team", total=19500.0)
    plan, asked = targets.planned(cells)
    assert plan["target"].sum() == 19500 and len(asked) == 0
    odd = targets.baseline(team_sales(), Q("2025Q2"), by="team", total=1000.5)
    assert targets.planned(odd, total=1000.5)[0]["target"].sum() == pytest.approx(1000.5, abs=1e-9)
    assert "as asked, spread over" in targets.finding_planned(plan, asked, Q("2025Q2"), 19500.0)
    assert "goes on and grows as before" in targets.finding_planned(plan, asked, Q("2025Q2"))
    assert targets.finding_planned(plan.head(1), asked, Q("2025Q2"), 19500.0).endswith("as asked, in one cell.")
    assert "Name a file" in targets.written(plan, asked)
    file = tmp_path / "new folder" / "plan.xlsx"
    assert "plan.xlsx" in targets.written(plan, asked, str(file))
    targets.written(plan, asked, str(file), "", "North/1", "")
    assert sorted(f.name for f in file.parent.iterdir()) == ["plan North-1.xlsx", "plan.xlsx"]
    with pytest.raises(DataError, match="does not end in .xlsx"):
        targets.written(plan, asked, str(tmp_path / "plan.csv"))
    with pytest.raises(DataError, match="cannot be written"):
        targets.written(plan, asked, str(file / "under a file.xlsx"))
    with pytest.raises(
        SettingError, match="30 cells stand on one side alone, first '2025, 2025Q2, 2025-04, N', in the workbook alone"
    ):
        targets.planned(targets.baseline(team_sales(), Q("2026"), by="team"), str(file))
    with pytest.raises(SettingError, match="holds a plan by year, quarter, month, team"):
        targets.planned(targets.baseline(team_sales(), Q("2025Q2"), by="rep"), str(file))
    again, _ = targets.planned(cells, str(file))
    pd.testing.assert_frame_equal(targets.levels(again, ["team"]), targets.levels(plan, ["team"]))


@pytest.mark.parametrize(
    ("text", "uplift"),
    [("start,end,uplift,product\n2025-06-01,2025-06-30,30%,A\n2025-07-01,2025-07-02,-0.1,\n", [0.3, -0.1]),
     ("start;end;uplift;product\n2025-06-01;2025-06-30;0,3;Ä\n2025-07-01;2025-07-02;1,25;\n", [0.3, 1.25])],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252"])
def test_a_file_of_promotions_is_read_as_an_export_is(tmp_path, text, uplift, encoding):
    file = tmp_path / "offers.csv"
    file.write_bytes(text.encode(encoding))
    offers = targets.given(str(file))
    assert offers["uplift"].tolist() == uplift and list(offers) == ["start", "end", "uplift", "product"]
    assert offers["product"].iloc[0] in ("A", "Ä") and pd.isna(offers["product"].iloc[1])


def test_a_figure_that_is_none_is_named_with_its_column(tmp_path):
    file = tmp_path / "offers.csv"
    file.write_text("start,end,uplift\n2025-06-01,2025-06-30,much\n")
    with pytest.raises(DataError, match=r"offers\.csv, column uplift: 'much' is no figure\. Write 0\.3 or 30%\."):
        targets.given(str(file))
    file.write_text("team,potential\nN,1.200 €\nS,many\n")
    with pytest.raises(DataError, match=r"column potential: 'many' is no figure"):
        targets.given(str(file))
    file.write_text("team;potential\nN;1.234,50 €\nS;\n", "utf-8")
    assert targets.given(str(file))["potential"].tolist() == pytest.approx([1234.5, np.nan], nan_ok=True)


def test_promotions_and_potential_come_from_files_and_the_plan_is_handed_out_over_it(tmp_path):
    file = tmp_path / "offers.csv"
    file.write_text("start,end,uplift,product\n2025-06-01,2025-06-30,1.0,A\n")
    offers = targets.given(str(file))
    lifted, plain = (
        targets.baseline(team_sales(), Q("2025Q2"), by="product", promotions=p) for p in (offers, targets.given())
    )
    a = [f[f["month"] == "2025-06"].set_index("product")["baseline"] for f in (lifted, plain)]
    assert a[0]["A"] / a[0]["B"] == pytest.approx(2 * a[1]["A"] / a[1]["B"])
    with pytest.raises(DataError, match=r"none\.csv cannot be read: No such file"):
        targets.given(str(tmp_path / "none.csv"))
    plan, _ = targets.planned(targets.baseline(team_sales(), Q("2025Q2"), by="team,rep", total=19500.0))
    handed = [targets.overassigned(plan, ["team", "rep"], over) for over in (1.0, 1.1)]
    assert targets.finding_overassigned(handed[0]) == "**3 reps are given the plan**, $19.5 thousand."
    assert (
        targets.finding_overassigned(handed[0].head(1).assign(target=7.0, over=0.0))
        == "**1 rep is given the plan**, $7."
    )
    assert (
        targets.finding_overassigned(handed[1])
        == "**$21.4 thousand** is handed out to 3 reps, $1,950 more than the plan."
    )
    with pytest.raises(CannotSay, match="nobody is given a part"):
        targets.overassigned(plan, [], 1.1)
    with pytest.raises(CannotSay, match="whole company"):
        targets.whole_company("", "North")
    targets.whole_company("", "")


def test_the_page_of_an_export_of_deals_alone_comes_to_its_end(tmp_path):
    rng, n = np.random.default_rng(1), 300
    won = rng.random(n) < 0.5
    days = (pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D")).strftime("%Y-%m-%d")
    deals = {"Id": [f"D{i}" for i in range(n)], "StageName": np.where(won, "Closed Won", "Closed Lost"), "Amount": rng.lognormal(9, 0.7, n),
             "CloseDate": days, "IsClosed": True, "IsWon": won}  # fmt: skip
    (tmp_path / "data").mkdir()
    pd.DataFrame(deals).to_csv(tmp_path / "data" / "opportunities.csv", index=False)
    (outcome,) = report.run(
        ["targets"], tmp_path / "out", parameters={"data": str(tmp_path / "data"), "period": "2025Q2"}, jobs=1
    )
    assert outcome.status == "ok", outcome.error
    page = (tmp_path / "out" / "targets.html").read_text("utf-8")
    assert "Will end near" in page and "is planned at" in page and "Map the column rep_id" in page


def test_every_finding_is_short_and_every_chart_draws(sample):
    span, now = Q("2025Q2"), pd.Timestamp("2025-05-23")
    crm = sample.at(now)
    sales, people = targets.sold(crm), targets.staff(crm)
    days, goal = targets.pattern(sales, span.since), targets.target(crm, span)
    paths = targets.paths(sales, span, now, by="rep", days=days, people=people, draws=200)
    standing = targets.attainment(
        sales, targets.wanted(crm, span, "rep"), span, now, days, by="rep", total=goal, paths=paths, people=people
    )
    pace = targets.pace(sales, span, now, goal, days)
    needed = targets.needed(pace, sales, span, pipeline=targets.conversion(crm.deals, span, now))
    gap, off = targets.gap(sales, goal, span, now, days), targets.exceptions(standing, sales, span.since)
    where = targets.where(sales, targets.wanted(crm, span, "team"), span, now, days, by="team", total=goal)
    realism, results = targets.realism(standing), targets.results(crm, sales, span, now)
    record = targets.record(
        sales,
        crm.deals,
        people,
        span,
        now,
        wanted=targets.wanted_before(crm, span),
        ramp=targets.ramp(sales, people, days),
    )
    weights, fairness = targets.weigh(record), targets.fairness(record)
    quotas = targets.quotas(record, weights, total=goal, paths=paths)
    assert quotas["quota"].sum() == round(goal)
    whole = targets.whole(standing)
    assert whole["projected"] == pytest.approx(paths["value"].sum() / 200)
    said = [targets.finding_pace(pace, whole), targets.finding_path(pace), targets.finding_needed(needed), targets.finding_attainment(standing),
            targets.finding_gap(gap), targets.finding_where(where), targets.finding_exceptions(off), targets.finding_realism(realism),
            targets.finding_results(results), targets.finding_fairness(fairness), targets.finding_weigh(weights), targets.finding_quotas(quotas),
            targets.finding_segments(targets.segments(crm.deals, now))]  # fmt: skip
    for text in said:
        assert len(text.split()) <= 45 and "nan" not in text.lower(), text
    charts = [targets.chart_attainment(standing), targets.chart_gap(gap), targets.chart_where(where), targets.chart_exceptions(off),
              targets.chart_realism(realism), targets.chart_results(results), targets.chart_fairness(fairness), targets.chart_quotas(quotas)]  # fmt: skip
    for chart in [*charts, *(targets.chart_pace(pace, grain) for grain in GRAINS)]:
        assert chart.to_dict()["layer"]
    assert "Booked: $4.76M" in str(targets.cards_standing(pace, whole, needed))


def test_a_year_of_superstore_is_paced_nearer_than_by_calendar_or_last_year(evaluation):
    months, nodes = study.tracked(study.orders(evaluation), Q("2017"))
    mean = months[:-1].drop(columns="month").mean()
    assert mean["projected ours"] < 0.5 * mean["projected last year"] < mean["projected linear"]
    assert mean["share path"] < 0.03 < mean["share linear"]
    by_node = nodes[:-1].drop(columns="month").mean()
    assert by_node["path"] < by_node["last year"] < by_node["linear"]


def test_made_up_companies_end_where_they_were_to(sample):
    crm = Crm(synthetic.tables(synthetic.Truth(opportunities=2500), 4), as_of=synthetic.Truth().as_of)
    whole, nodes = study.judged(crm, quarters=3)
    error = {m: (whole[m] / whole["actual"] - 1).abs().mean() for m in ("projected", "linear")}
    assert error["projected"] < error["linear"]
    assert nodes["chance"].mean() == pytest.approx(nodes["met"].mean(), abs=0.1)


def test_a_mixture_is_not_praised_where_one_part_alone_told_more():
    rows = [
        ("results", 0.1, 0.32),
        ("potential", 0.1, 0.30),
        ("workload", 0.0, 0.35),
        ("equal", 0.8, 0.28),
        ("chosen", np.nan, 0.29),
    ]
    weights = pd.DataFrame(rows, columns=["driver", "weight", "elsewhere"])
    said = targets.finding_weigh(weights)
    assert said.startswith(
        "**No mixture told more than equal parts alone**, which quotas go by: 28% of the money fell elsewhere by that, 29% by"
    )
    weights.loc[4, "elsewhere"] = 0.25
    assert targets.finding_weigh(weights).startswith("Told best by **equal parts 80%")
