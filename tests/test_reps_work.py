"""What reps brought in and what they did, each against a plain computation on the sample."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from salesforecast import reps, style
from salesforecast.errors import MissingTable, TooLittleData
from salesforecast.periods import period
from salesforecast.tables import Crm

Q2 = period("2025Q2")
YEAR, BEFORE = reps.years(Q2)
END = pd.Timestamp("2025-06-30")


def only(frame, **tables):
    return {**frame.tables, **tables}


# ---- scorecard ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def card(sample):
    return reps.scorecard(sample, period=Q2)


def test_the_scorecard_is_a_plain_count_of_the_deals(sample, card):
    d = sample.opportunities
    for row in card.iloc[:-1].itertuples():
        mine = d[(d["rep_id"] == row.rep_id) & d["closed_date"].between("2025-04-01", "2025-06-30")]
        won = mine[mine["outcome"] == "won"]
        assert (row.closed, row.won) == (len(mine), len(won))
        assert row.bookings == won["amount"].sum() and row.average_deal == pytest.approx(won["amount"].mean())
        priced = won.dropna(subset="list_amount")
        assert row.discount == pytest.approx(1 - priced["amount"].sum() / priced["list_amount"].sum())
        still = d[(d["rep_id"] == row.rep_id) & (d["outcome"] == "open")]
        assert row.pipeline == still["amount"].sum()
        goal = sample.targets.query("period == '2025Q2' and rep_id == @row.rep_id")["target"].sum()
        assert row.attainment == pytest.approx(won["amount"].sum() / goal)
        past = d[
            (d["rep_id"] == row.rep_id) & d["closed_date"].between("2024-04-01", "2024-06-30") & (d["outcome"] == "won")
        ]
        assert row.bookings_year == past["amount"].sum()
        workdays = np.busday_count("2024-04-01", "2024-07-01") / np.busday_count("2025-04-01", "2025-07-01")
        if row.bookings_year:
            assert row.change_year == pytest.approx(row.bookings / row.bookings_year * workdays - 1)
        quarter = np.busday_count("2025-01-01", "2025-04-01") / np.busday_count("2025-04-01", "2025-07-01")
        assert quarter != 1 and row.change_before == pytest.approx(row.bookings / row.bookings_before * quarter - 1)


def test_the_discount_is_that_of_the_deals_with_a_list_price(sample):
    d = sample.opportunities
    some = d.assign(list_amount=d["list_amount"].mask(d.index % 2 == 0))
    row = reps.scorecard(replace(sample, tables=only(sample, opportunities=some)), period=Q2).iloc[-1]
    won = some[some["closed_date"].between("2025-04-01", "2025-06-30") & (some["outcome"] == "won")].dropna(
        subset="list_amount"
    )
    assert row["discount"] == pytest.approx(1 - won["amount"].sum() / won["list_amount"].sum())


def test_teams_and_regions_add_up_to_all(sample, card):
    for by in ("team", "region"):
        frame = reps.scorecard(sample, period=Q2, by=by)
        for column in ("closed", "won", "bookings", "pipeline"):
            assert (
                frame[column].iloc[:-1].sum()
                == pytest.approx(frame[column].iloc[-1])
                == pytest.approx(card[column].iloc[-1])
            )
    goal = sample.targets.query("period == '2025Q2' and team == 'North'")["target"].sum()
    teams = reps.scorecard(sample, period=Q2, by="team").set_index("team")
    assert teams.loc["North", "quota"] == goal


def test_the_cycle_is_the_median_of_a_loop_over_days(sample, card):
    d = sample.opportunities
    for row in card.iloc[[0, 7, -1]].itertuples():
        mine = d if row.rep == "All" else d[d["rep_id"] == row.rep_id]
        age_in = (pd.Timestamp("2025-04-01") - mine["created_date"]).dt.days.clip(lower=0)
        closed = mine["closed_date"] <= END
        age_out = (mine["closed_date"].where(closed, END) - mine["created_date"]).dt.days
        still, age = 1.0, -1
        while still > 0.5:
            age += 1
            risk = ((age_in <= age) & (age_out >= age)).sum()
            still *= 1 - (closed & (age_out == age) & (age_in <= age)).sum() / max(1, risk)
        assert row.cycle_days == age


def test_a_period_not_over_is_compared_with_as_many_days(sample):
    then = sample.at("2025-05-15")
    row = reps.scorecard(then, period=Q2).iloc[-1]
    d = sample.opportunities
    past = d[d["closed_date"].between("2024-04-01", "2024-05-15") & (d["outcome"] == "won")]
    assert row["bookings_year"] == past["amount"].sum()


def test_a_rate_over_nothing_is_missing_and_before_the_data_nothing_is_zero(sample):
    crm = replace(sample, tables=only(sample, opportunities=sample.opportunities.query("rep_id != 'U01'")))
    row = reps.scorecard(crm, period=Q2).set_index("rep_id").loc["U01"]
    assert row["closed"] == 0 and pd.isna(row["win_rate"]) and pd.isna(row["average_deal"]) and row["bookings"] == 0
    first = reps.scorecard(sample.at("2022-12-31"), period=period("2022Q4")).iloc[-1]
    assert pd.isna(first["bookings_year"]) and pd.isna(first["change_year"])


def test_the_finding_of_the_scorecard_claims_a_change_only_where_it_is_clear(sample, card):
    text = reps.finding_scorecard(card, Q2)
    total = card.iloc[-1]
    assert total["change_year_lower"] < 0 < total["change_year_upper"] and "not clearly different from 2024Q2" in text
    half = card.iloc[:-1]["bookings"].cumsum().searchsorted(total["bookings"] / 2) + 1
    assert f"{half} of {len(card) - 1} reps brought half" in text
    team = reps.scorecard(sample.only(team="North"), period=Q2, by="team")
    with pytest.raises(TooLittleData, match="only one team"):
        reps.finding_scorecard(team, Q2)


def test_the_interval_of_a_change_holds_no_change_in_most_of_equal_periods():
    rng, held = np.random.default_rng(0), []
    for _ in range(150):
        days = rng.integers(0, 456, 500)  # a year and a quarter
        frame = pd.DataFrame({
            "opportunity_id": [f"D{i}" for i in range(500)], "rep_id": pd.Series("A", index=range(500), dtype="str"), "stage": "-",
            "outcome": pd.Series("won", index=range(500), dtype="str"), "amount": np.exp(rng.normal(9, 0.8, 500)),
            "closed_date": pd.Timestamp("2024-04-01") + pd.to_timedelta(days, unit="D"),
        })  # fmt: skip
        row = reps.scorecard(Crm({"opportunities": frame}, END), period=Q2).iloc[-1]
        held.append(row["change_year_lower"] <= 0 <= row["change_year_upper"])
    assert 0.91 <= np.mean(held) <= 0.98


# ---- what makes bookings differ --------------------------------------------------------------------------------------------


def test_the_parts_add_up_exactly_and_the_shares_to_one(sample):
    parts = reps.differences(sample, since=YEAR.since, until=YEAR.until)
    known = parts.dropna(subset="volume")
    assert known[["volume", "winning", "mix", "price"]].sum(axis=1).to_numpy() == pytest.approx(
        known["difference"].to_numpy()
    )
    shares = reps.shares(parts)
    assert shares["share"].sum() == pytest.approx(1)
    assert shares["what"].iloc[0].casefold() in reps.finding_differences(parts, shares, parts)


def test_reps_who_differ_only_in_number_differ_by_number():
    rows = [(rep, i) for rep, n in (("A", 5), ("B", 10), ("C", 20)) for i in range(n)]
    frame = pd.DataFrame(rows, columns=["rep_id", "i"]).astype({"rep_id": "str"})
    frame = frame.assign(
        opportunity_id=[f"D{i}" for i in range(len(frame))],
        stage="-",
        outcome="won",
        amount=100.0,
        closed_date=pd.Timestamp("2025-05-05"),
    )
    shares = reps.shares(reps.differences(Crm({"opportunities": frame}, END), since=YEAR.since, until=YEAR.until))
    assert shares.set_index("what")["share"].to_dict() == pytest.approx(
        {"Deals closed": 1, "Win rate": 0, "Product mix": 0, "Size within product": 0}, abs=1e-9
    )


# ---- coaching -----------------------------------------------------------------------------------------------------------------


def test_stage_gaps_count_as_a_loop_does_and_shrink(sample):
    gaps = reps.stage_gaps(sample, since=YEAR.since, until=YEAR.until)
    row = gaps.iloc[0]
    ranks = sample.stages.set_index("stage")
    left = advanced = 0
    for deal in sample.opportunities.query("rep_id == @row.rep_id").itertuples():
        if deal.outcome != "open" and not YEAR.since <= deal.closed_date < YEAR.until:
            continue
        seen = sample.stage_history.query("opportunity_id == @deal.opportunity_id")["stage"].map(ranks["rank"])
        reached = seen[seen < 5].max()
        here = ranks.loc[row["stage"], "rank"]
        on = reached > here or (deal.outcome == "won" and reached == here)
        left += on or (reached == here and deal.outcome != "open")
        advanced += on
    assert (row["n"], row["advanced"]) == (left, advanced)
    raw = row["conversion"] - row["usual_share"]
    assert raw < row["gap_share"] < 0 and row["lower_90"] < row["worth"] < row["upper_90"]
    assert gaps["rep_id"].is_unique and gaps["worth"].is_monotonic_decreasing


def test_a_planted_gap_is_found_at_its_stage_and_nothing_is_found_where_there_is_none():
    stages = pd.DataFrame(
        {"stage": ["One", "Two", "Won", "Lost"], "rank": [1.0, 2, 3, 4], "outcome": ["open", "open", "won", "lost"]}
    )

    def company(weak, seed):
        rng = np.random.default_rng(seed)
        rep = np.repeat([f"R{i}" for i in range(10)], 80)
        one = rng.random(800) < np.where((rep == "R3") & weak, 0.35, 0.7)
        two = one & (rng.random(800) < 0.6)
        deals = pd.DataFrame({
            "opportunity_id": [f"D{i:03}" for i in range(800)], "rep_id": pd.Series(rep, dtype="str"), "amount": 1000.0,
            "stage": np.where(two, "Won", "Lost"), "outcome": np.where(two, "won", "lost"),
            "created_date": pd.Timestamp("2024-09-01"), "closed_date": pd.Timestamp("2025-01-01"),
        })  # fmt: skip
        moves = pd.concat([
            deals.assign(stage="One", sequence=1.0), deals[one].assign(stage="Two", sequence=2.0), deals.assign(sequence=3.0)
        ])[["opportunity_id", "stage", "sequence"]].assign(entered_at=pd.Timestamp("2024-09-01"))  # fmt: skip
        return Crm({"opportunities": deals, "stages": stages, "stage_history": moves}, END)

    found = reps.stage_gaps(company(True, 0), since=YEAR.since, until=YEAR.until)
    assert found.loc[found["named"], ["rep_id", "stage"]].to_numpy().tolist() == [["R3", "One"]]
    missing = 80 * (0.7 - 0.35) * 0.6 * 1000
    assert found.iloc[0]["lower_90"] < missing < found.iloc[0]["upper_90"] * 1.3
    text = reps.finding_stage_gaps(found)
    assert "**One**" in text and "**R3**" in text
    named = [reps.stage_gaps(company(False, s), since=YEAR.since, until=YEAR.until)["named"].any() for s in range(20)]
    assert np.mean(named) <= 0.10
    none = reps.stage_gaps(company(False, 1), since=YEAR.since, until=YEAR.until)
    assert "by more than luck" in reps.finding_stage_gaps(none) and "**R" not in reps.finding_stage_gaps(none)


def test_neglected_deals_are_those_of_a_loop(sample):
    got = reps.neglected(sample)
    limit = got["limit"].iloc[0]
    done = sample.activities.dropna(subset=["at", "opportunity_id"])
    last = done.groupby("opportunity_id")["at"].max().dt.normalize()
    want = set()
    for deal in sample.opportunities.query("outcome == 'open'").itertuples():
        quiet = (END - max(last.get(deal.opportunity_id, deal.created_date), deal.created_date)).days
        if quiet > limit:
            want.add(deal.opportunity_id)
    assert set(got["opportunity_id"]) <= want
    young = sample.opportunities.set_index("opportunity_id").loc[
        list(want - set(got["opportunity_id"])), "created_date"
    ]
    assert ((END - young).dt.days > got["age"].max()).all()  # those left out have stalled
    assert got["amount"].dropna().is_monotonic_decreasing and got["rep"].notna().all()
    assert f"**{len(got)} open deals**" in reps.finding_neglected(got)


# ---- ramp ------------------------------------------------------------------------------------------------------------------------


def hired(seed, leave=True, n=60):
    """Reps hired over two years; the weaker one is, the sooner one leaves. The average hired wins 6 a quarter from the third on."""
    rng = np.random.default_rng(seed)
    level = rng.gamma(8, 1 / 8, n)
    start = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 365, n), unit="D")
    hazard = np.where(level < 0.9, 0.25, 0.02) if leave else np.zeros(n)
    stay = rng.geometric(np.maximum(hazard, 1e-9)) * 91 + rng.integers(0, 91, n)
    end = pd.Series(start + pd.to_timedelta(np.minimum(stay, 3000), unit="D"))
    end = end.where(end <= END)
    rows = []
    for i in range(n):
        for quarter in range(8):
            for _ in range(rng.poisson(level[i] * [2, 4, 6, 6, 6, 6, 6, 6][quarter])):
                day = start[i] + pd.Timedelta(days=int(91 * quarter + rng.integers(0, 91)))
                if day <= END and not day > end[i]:
                    rows.append((f"R{i:02}", day))
    wins = pd.DataFrame(rows, columns=["rep_id", "closed_date"]).astype({"rep_id": "str"})
    wins = wins.assign(opportunity_id=[f"D{i}" for i in range(len(wins))], stage="-", outcome="won", amount=1.0)
    wins["created_date"] = pd.Timestamp("2023-01-01")
    ids = pd.Series([f"R{i:02}" for i in range(n)], dtype="str")
    staff = pd.DataFrame({"rep_id": ids, "rep": ids, "start_date": start, "end_date": end})
    return Crm({"opportunities": wins, "reps": staff}, END)


def test_the_ramp_of_all_hired_is_the_truth_and_that_of_survivors_too_high_by_what_was_planted():
    frames = [reps.ramp(hired(seed)).set_index("quarter") for seed in range(12)]
    year = pd.DataFrame([f.loc[6] for f in frames])
    assert year["wins"].mean() == pytest.approx(6, rel=0.06)
    assert year["stayers"].mean() > 6.7  # the weak are gone
    assert year["stayers"].mean() / year["wins"].mean() > 1.08
    assert ((year["lower"] <= 6) & (year["upper"] >= 6)).mean() >= 0.75
    assert frames[0].loc[1, "wins"] == pytest.approx(2, abs=0.6) and frames[0]["staying"].is_monotonic_decreasing
    text = reps.finding_ramp(frames[0].reset_index())
    assert "Those still here alone would say" in text and "too many" in text


def test_where_nobody_leaves_both_ramps_are_the_plain_mean():
    frame = reps.ramp(hired(3, leave=False))
    full = frame[frame["n"] == 60]
    assert full["wins"].to_numpy() == pytest.approx(full["stayers"].to_numpy(), rel=0.02)
    assert (frame["staying"] == 1).all() and "Nobody hired has left" in reps.finding_ramp(frame)


def test_a_ramp_needs_start_dates_and_some_who_were_hired(sample):
    with pytest.raises(MissingTable, match="start_date"):
        reps.ramp(replace(sample, tables=only(sample, reps=sample.reps.drop(columns="start_date"))))
    with pytest.raises(TooLittleData, match="hired since the data begin; a curve needs 5"):
        reps.ramp(replace(sample, tables=only(sample, reps=sample.reps.head(8))))


# ---- change over time ---------------------------------------------------------------------------------------------------------


def windows(seed, better=False, n=30):
    """Expected rows of two years of 150 deals a rep, true win rates with 5 points spread; R0 improves by 25 points."""
    rng = np.random.default_rng(seed)
    effect = 0.24 * rng.standard_normal(n)
    out = []
    for year in range(2):
        rep = np.repeat(np.arange(n), 150)
        shift = 1.2 * (year == 1) * better * (rep == 0)
        won = rng.random(len(rep)) < 1 / (1 + np.exp(-(np.log(0.3 / 0.7) + effect[rep] + shift)))
        p = np.full(len(rep), won.mean())
        out.append(pd.DataFrame({
            "rep_id": [f"R{r}" for r in rep], "group": np.arange(len(rep)), "won": won, "closed": True,
            "chance": p, "slope": p * (1 - p), "odds": np.log(p / (1 - p)),
        }))  # fmt: skip
    staff = pd.DataFrame({"rep_id": [f"R{i}" for i in range(n)], "rep": [f"R{i}" for i in range(n)]})
    return *out, staff


def test_who_was_high_by_luck_is_predicted_to_fall_back_and_not_said_to_have_got_worse():
    falls, named, held = [], [], []
    for seed in range(40):
        frame = reps.change(*windows(seed))
        top = frame.nlargest(3, "rate_before")
        assert (top["predicted"] < top["rate_before"]).all()
        falls.append((top["rate_now"] - top["predicted"]).mean())
        named.append((frame["verdict"] != "same").any())
        held.append(((frame["lower"] <= 0) & (frame["upper"] >= 0)).mean())
    assert abs(np.mean(falls)) < 0.012
    assert np.mean(named) <= 0.15 and 0.92 <= np.mean(held) <= 0.98


def test_a_real_change_is_named():
    frame = reps.change(*windows(1, better=True))
    assert frame.loc[frame["verdict"] == "above", "rep_id"].tolist() == ["R0"]
    assert reps.finding_change(frame).startswith("Beyond luck and the fall-back") and re.search(
        r"\*\*R0\*\* [(].*[)] improved", reps.finding_change(frame)
    )
    assert "None of 30 reps has changed" in reps.finding_change(reps.change(*windows(2)))


# ---- activity ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found(sample):
    return reps.indicators(sample, period=Q2).set_index("indicator")


def test_the_indicators_are_those_of_a_plain_computation(sample, found):
    a = sample.activities[sample.activities["at"].between("2025-04-01", "2025-07-01", inclusive="left")]
    visits = a[a["type"].isin(["visit", "meeting"])]
    days = 0
    for rep in sample.reps.itertuples():
        for day in pd.bdate_range("2025-04-01", "2025-06-30"):
            days += rep.start_date <= day and not day > rep.end_date
    won = sample.opportunities.query("outcome == 'won' and '2025-04-01' <= closed_date <= '2025-06-30'")
    orders = sample.orders[sample.orders["order_date"].between("2025-04-01", "2025-06-30")]
    costs = sample.costs[sample.costs["period"].isin(["2025-04", "2025-05", "2025-06"])]
    kind = costs.groupby("kind")["cost"].sum()
    assert found.loc["Visits per rep and day present", "value"] == pytest.approx(len(visits) / days)
    assert found.loc["Time per contact", "value"] == pytest.approx(visits["minutes"].mean())
    assert found.loc["Bookings per visit", "value"] == pytest.approx(won["amount"].sum() / len(visits))
    assert found.loc["Entertainment cost per visit", "value"] == pytest.approx(kind["entertainment"] / len(visits))
    there = sum(not rep.end_date < pd.Timestamp("2025-04-01") for rep in sample.reps.itertuples())
    assert found.loc["Training cost per rep", "value"] == pytest.approx(kind["training"] / there)
    share = visits.groupby("rep_id")["minutes"].sum() / a.groupby("rep_id")["minutes"].sum()
    of_visits = (costs.groupby("rep_id")["cost"].sum() * share).sum() + visits["cost"].sum()
    assert found.loc["Cost per visit", "value"] == pytest.approx(of_visits / len(visits))
    named = orders.dropna(subset="rep_id").drop_duplicates(["rep_id", "account_id", "opportunity_id", "order_date"])
    assert found.loc["Orders per hundred visits", "value"] == pytest.approx(100 * len(named) / len(visits))
    assert found.loc["Sales-force cost as a share of sales", "value"] == pytest.approx(
        costs["cost"].sum() / orders["net_amount"].sum()
    )
    until = sample.orders[sample.orders["order_date"] <= END].groupby("account_id")["order_date"]
    assert found.loc["New customers", "value"] == (until.min() >= "2025-04-01").sum()
    assert found.loc["Lost customers", "value"] == until.max().between("2024-04-01", "2024-06-30").sum()
    known = found.dropna(subset="lower")
    assert ((known["lower"] <= known["value"]) & (known["value"] <= known["upper"])).all() and len(known) >= 9


def test_what_the_data_do_not_hold_is_missing_not_zero(sample):
    bare = {k: v for k, v in sample.tables.items() if k not in ("costs", "orders")}
    frame = reps.indicators(replace(sample, tables=bare), period=Q2).set_index("indicator")
    for name in ("Cost per visit", "Training cost per rep", "Entertainment cost per visit", "Sales-force cost as a share of sales",
                 "New customers", "Lost customers"):  # fmt: skip
        assert pd.isna(frame.loc[name, "value"]), name
    assert frame.loc["Visits per rep and day present", "value"] > 0
    no_visits = sample.activities[~sample.activities["type"].isin(["visit", "meeting"])]
    frame = reps.indicators(replace(sample, tables=only(sample, activities=no_visits)), period=Q2)
    assert pd.isna(frame.set_index("indicator").loc["Cost per visit", "value"])
    assert "No visit was recorded" in reps.finding_indicators(frame)


def test_plans_are_those_of_a_plain_count(sample):
    frame = reps.plans(sample, period=Q2)
    a = sample.activities
    for row in frame.iloc[[0, 5, 12]].itertuples():
        mine = a[a["rep_id"] == row.rep_id]
        due = mine[mine["planned_at"].between("2025-04-01", "2025-07-01", inclusive="left")]
        done = mine[mine["at"].between("2025-04-01", "2025-07-01", inclusive="left")]
        assert (row.planned, row.kept, row.done) == (len(due), (due["at"] < "2025-07-01").sum(), len(done))
        assert row.unplanned == pytest.approx(done["planned_at"].isna().mean())
        d = sample.opportunities[sample.opportunities["rep_id"] == row.rep_id]
        theirs = set(d[(d["created_date"] < "2025-07-01") & ~(d["closed_date"] < "2025-04-01")]["account_id"].dropna())
        met = set(done[done["type"] != "admin"]["account_id"].dropna())
        assert (row.accounts, row.reached) == (len(theirs), len(theirs & met))
    share = frame["kept"].sum() / frame["planned"].sum()
    assert f"**{share:.0%}** of {frame['planned'].sum()} planned activities" in reps.finding_plans(frame)


# ---- all of it --------------------------------------------------------------------------------------------------------------------


def test_every_chart_is_one_and_says_what_it_shows(sample, card):
    differences = reps.differences(sample, since=YEAR.since, until=YEAR.until)
    before, now = (reps.expected(reps.spells(sample, since=y.since, until=y.until)) for y in (BEFORE, YEAR))
    charts = [
        reps.chart_scorecard(card), reps.chart_differences(reps.shares(differences)), reps.chart_plans(reps.plans(sample, period=Q2)),
        reps.chart_stage_gaps(reps.stage_gaps(sample, since=YEAR.since, until=YEAR.until)), reps.chart_neglected(reps.neglected(sample)),
        reps.chart_ramp(reps.ramp(sample)), reps.chart_change(reps.change(before, now, reps.roster(sample))),
    ]  # fmt: skip
    for chart in charts:
        spec = style.spec(chart)
        assert spec["title"]["text"] and spec["title"]["subtitle"] and spec["description"]


def test_no_input_is_changed_and_the_order_of_rows_is_nothing(sample):
    before = {name: frame.copy() for name, frame in sample.tables.items()}
    mixed = replace(
        sample, tables={n: f.sample(frac=1, random_state=1).reset_index(drop=True) for n, f in sample.tables.items()}
    )
    for ask in (
        lambda c: reps.scorecard(c, period=Q2),
        lambda c: reps.differences(c, since=YEAR.since, until=YEAR.until),
        lambda c: reps.stage_gaps(c, since=YEAR.since, until=YEAR.until),
        reps.neglected, reps.ramp, lambda c: reps.indicators(c, period=Q2), lambda c: reps.plans(c, period=Q2),
    ):  # fmt: skip
        pd.testing.assert_frame_equal(ask(sample), ask(mixed), check_exact=False, rtol=1e-9)
    for name, frame in sample.tables.items():
        pd.testing.assert_frame_equal(frame, before[name])


def test_a_training_that_does_nothing_is_not_said_to_help_even_when_the_weakest_are_sent():
    named, helped = [], []
    for seed in range(30):
        then, now, staff = windows(seed)
        frame = reps.change(then, now, staff)
        weakest = frame.nsmallest(10, "rate_before")["rep_id"]
        costs = pd.DataFrame({"period": "2025-01", "rep_id": weakest, "kind": "training", "cost": 1.0})
        found = reps.trained(frame, costs, since=YEAR.since, until=YEAR.until).set_index("who").loc["difference"]
        named.append(not found["lower"] <= 0 <= found["upper"])
        risen = frame.set_index("rep_id").eval("rate_now - rate_before")
        helped.append(risen[weakest].mean() - risen.drop(weakest).mean())
    assert np.mean(named) <= 0.15
    assert np.mean(helped) > 0.03  # what a plain before and after would credit the training with


def test_a_training_that_works_is_seen_and_too_few_trained_are_said():
    then, now, staff = windows(3, better=False)
    rng = np.random.default_rng(9)
    went = [f"R{i}" for i in range(12)]
    better = now["rep_id"].isin(went) & (rng.random(len(now)) < 0.25)
    frame = reps.change(then, now.assign(won=now["won"] | better), staff)
    costs = pd.DataFrame({"period": "2025-01", "rep_id": went, "kind": "training", "cost": 1.0})
    found = reps.trained(frame, costs, since=YEAR.since, until=YEAR.until)
    assert found.iloc[-1]["lower"] > 0 and "only a test by lot" in reps.finding_trained(found)
    x = np.column_stack([np.ones(30), frame["rate_before"], frame["rep_id"].isin(went)]).astype(float)
    assert found.iloc[-1]["change_share"] == pytest.approx(np.linalg.lstsq(x, frame["rate_now"], rcond=None)[0][2])
    with pytest.raises(TooLittleData, match="At least 3 such reps"):
        reps.trained(frame, costs.head(2), since=YEAR.since, until=YEAR.until)
