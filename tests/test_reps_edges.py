"""Reps at the edges: what came later, columns that are not there, one of something, owners nobody knows, periods not over."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from test_reps import benchmark
from test_reps_work import BEFORE, Q2, YEAR, only, windows

from conftest import altered
from salesforecast import reps, stats, style
from salesforecast.errors import CannotSay, TooLittleData
from salesforecast.periods import period
from salesforecast.tables import Crm

END = pd.Timestamp("2025-06-30")
NEW_YEAR = pd.Timestamp("2025-01-01")
WINDOW = {"since": pd.Timestamp("2024-01-01"), "until": NEW_YEAR}
STAGES = pd.DataFrame(
    {"stage": ["One", "Two", "Won", "Lost"], "rank": [1.0, 2, 3, 4], "outcome": ["open", "open", "won", "lost"]}
)


# ---- what came later ----------------------------------------------------------------------------------------------------


def test_what_came_after_the_window_changes_nothing_said_of_it(sample):
    limits = reps.stage_limits(sample)
    day = NEW_YEAR - pd.Timedelta(days=1)
    for ask in (
        lambda c: reps.stage_gaps(c, **WINDOW),
        lambda c: reps.expected(reps.spells(c, **WINDOW)),
        lambda c: reps.keeping(c, limits, **WINDOW),
        lambda c: reps.scorecard(c, period=period("2024Q4")),
        lambda c: reps.returns(c, until=NEW_YEAR),
    ):
        then = ask(sample.at(day))
        pd.testing.assert_frame_equal(ask(sample), then)
        pd.testing.assert_frame_equal(ask(altered(sample, day)), then)


def test_a_year_before_the_first_deal_closed_is_said_to_be_one(sample):
    with pytest.raises(TooLittleData, match="No deal had closed by 2019-12-31"):
        reps.spells(sample, since=pd.Timestamp("2019-01-01"), until=pd.Timestamp("2020-01-01"))


def test_where_no_stage_is_open_there_is_nothing_to_coach(sample):
    closed = sample.stages[sample.stages["outcome"] != "open"].reset_index(drop=True)
    with pytest.raises(TooLittleData, match="No stage is open"):
        reps.stage_gaps(replace(sample, tables={**sample.tables, "stages": closed}), **WINDOW)


def test_who_came_after_the_window_has_a_name(sample):
    year, _ = reps.years(period("2024Q3"))
    window = {"since": year.since, "until": year.until}
    names = sample.reps.set_index("rep_id")["rep"]
    for found in (reps.stage_gaps(sample, **window), reps.keeping(sample, reps.stage_limits(sample), **window)):
        assert sample.reps.set_index("rep_id").loc["U18", "start_date"] > year.until and "U18" in set(found["rep_id"])
        assert found["rep"].tolist() == names[found["rep_id"]].tolist()


# ---- coaching -----------------------------------------------------------------------------------------------------------


def two_stages(seed: int, rho: float = 0.0, each: int = 1) -> Crm:
    """Ten equal reps with 80 deals, `each` of an account, whose deals are alike with correlation `rho`."""
    rng, n = np.random.default_rng(seed), 800
    account = np.arange(n) // each

    def went_on(rate):
        odds = (1 - rho) / rho if rho else 0.0
        return rng.random(n) < (rng.beta(rate * odds, (1 - rate) * odds, account.max() + 1)[account] if rho else rate)

    one = went_on(0.7)
    won = one & went_on(0.6)
    deals = pd.DataFrame({
        "opportunity_id": [f"D{i:03}" for i in range(n)], "rep_id": pd.Series(np.repeat([f"R{i}" for i in range(10)], 80), dtype="str"),
        "account_id": pd.Series([f"A{a:03}" for a in account], dtype="str"), "amount": 1000.0, "stage": np.where(won, "Won", "Lost"),
        "outcome": np.where(won, "won", "lost"), "created_date": pd.Timestamp("2024-09-01"), "closed_date": NEW_YEAR,
    })  # fmt: skip
    moves = pd.concat([
        deals.assign(stage="One", sequence=1.0), deals[one].assign(stage="Two", sequence=2.0), deals.assign(sequence=3.0)
    ])[["opportunity_id", "stage", "sequence"]].assign(entered_at=pd.Timestamp("2024-09-01"))  # fmt: skip
    return Crm({"opportunities": deals, "stages": STAGES, "stage_history": moves}, END)


def test_no_stage_of_equal_reps_is_named_where_the_deals_of_an_account_are_alike():
    named = [
        reps.stage_gaps(two_stages(s, 0.2, 8), since=YEAR.since, until=YEAR.until)["named"].any() for s in range(30)
    ]
    assert np.mean(named) <= 0.10


def test_without_amounts_the_stage_with_most_deals_missing_is_shown(sample):
    deals = sample.opportunities.drop(columns="amount")
    gaps = reps.stage_gaps(
        replace(sample, tables=only(sample, opportunities=deals)), since=YEAR.since, until=YEAR.until
    )
    missing = -gaps["gap_share"] * gaps["n"]
    assert missing.is_monotonic_decreasing and gaps["worth"].isna().all() and gaps["stage"].nunique() > 1
    whole = reps.stage_gaps(sample, since=YEAR.since, until=YEAR.until)
    assert set(gaps.loc[gaps["named"], "rep_id"]) == set(whole.loc[whole["named"], "rep_id"])
    text = reps.finding_stage_gaps(gaps.assign(named=[True, *[False] * (len(gaps) - 1)]))
    assert "is furthest behind at" in text and "–" not in text


# ---- a table without a column, and one row ------------------------------------------------------------------------------

GONE = {  # one of each table at a time
    "opportunities": ["rep_id", "amount", "created_date", "closed_date", "account_id", "segment"],
    "stage_history": ["rep_id", "amount"], "reps": ["region", "team", "start_date", "end_date"],
    "activities": ["minutes", "at", "opportunity_id", "account_id", "planned_at", "cost"],
    "orders": ["account_id", "rep_id", "opportunity_id"], "targets": ["team", "rep_id"], "costs": ["rep_id"],
}  # fmt: skip


def asked(crm: Crm) -> list[str]:
    """Everything that the notebook asks, each with its sentence and its chart; what cannot be said is left out. The sentences."""
    said, known = [], {}

    def ask(name, make, *then):
        try:
            known[name] = make()
            for tell in then:
                said.append(str(tell(known[name])))
        except (CannotSay, NoAnswer):
            pass

    class NoAnswer(Exception):
        pass

    def of(name):
        if name not in known:
            raise NoAnswer
        return known[name]

    year = {"since": YEAR.since, "until": YEAR.until}
    ask("now", lambda: reps.expected(reps.spells(crm, **year)))
    ask("then", lambda: reps.expected(reps.spells(crm, since=BEFORE.since, until=BEFORE.until)))
    ask("fair", lambda: reps.fair(of("now"), reps.roster(crm, YEAR.since)), lambda f: reps.finding_fair(f, f), lambda f: reps.finding_luck(f, f),
        reps.chart_fair, lambda f: reps.chart_luck(f, f), reps.listed, reps.needed)  # fmt: skip
    for by in ("rep", "team", "region"):
        ask(
            "card",
            lambda by=by: reps.scorecard(crm, period=Q2, by=by),
            lambda c: reps.finding_scorecard(c, Q2),
            reps.chart_scorecard,
        )
        ask("history", lambda by=by: reps.history(crm, period=Q2, by=by), reps.finding_history, reps.chart_history)
    ask("differences", lambda: reps.differences(crm, **year), lambda d: reps.finding_differences(d, reps.shares(d), d))
    ask(
        "gaps",
        lambda: reps.stage_gaps(crm, **year),
        reps.finding_stage_gaps,
        reps.chart_stage_gaps,
        reps.stakes_stage_gaps,
    )
    ask(
        "quiet",
        lambda: reps.neglected(crm),
        reps.finding_neglected,
        reps.chart_neglected,
        lambda q: reps.stake_neglected(q, crm),
    )
    ask("limits", lambda: reps.stage_limits(crm), reps.finding_stage_limits)
    for by in ("rep", "team"):
        ask(
            "keeping",
            lambda by=by: reps.keeping(crm, of("limits"), **year, by=by),
            reps.finding_keeping,
            reps.chart_keeping,
        )
    ask("late", lambda: reps.late(crm, of("limits")), reps.finding_late, reps.chart_late)
    ask("change", lambda: reps.change(of("then"), of("now"), reps.roster(crm)), reps.finding_change, reps.chart_change)
    ask("trained", lambda: reps.trained(of("change"), crm.costs, **year), reps.finding_trained)
    ask("ramp", lambda: reps.ramp(crm), reps.finding_ramp, reps.chart_ramp)
    ask("staffing", lambda: reps.staffing(crm))
    ask("capacity", lambda: reps.capacity(of("staffing")), reps.finding_capacity, reps.chart_capacity)
    ask("options", lambda: reps.hire_or_improve(crm, of("staffing"), of("gaps"), of("now"), of("fair"), of("fair")),
        reps.finding_hire_or_improve, reps.chart_hire_or_improve, reps.stake_hire_or_improve)  # fmt: skip
    ask("indicators", lambda: reps.indicators(crm, period=Q2), reps.finding_indicators, reps.spoken)
    ask("plans", lambda: reps.plans(crm, period=Q2), reps.finding_plans, reps.chart_plans)
    for by in ("type", "purpose"):
        ask(
            "returns",
            lambda by=by: reps.returns(crm, until=YEAR.until, by=by),
            reps.finding_returns,
            reps.chart_returns,
        )
    return said


@pytest.fixture(scope="module")
def small(sample):
    """A fifth of the accounts' deals."""
    deals = sample.opportunities[sample.opportunities["account_id"].str[-1].isin(["1", "6"])]
    tables = {n: f[f["opportunity_id"].isin(deals["opportunity_id"])] if n in ("stage_history", "activities") else f
              for n, f in sample.tables.items()}  # fmt: skip
    return replace(sample, tables=tables | {"opportunities": deals.reset_index(drop=True)})


@pytest.mark.parametrize("place", range(6))
def test_a_column_that_is_not_there_is_no_crash(small, place, monkeypatch):
    weights = stats.weights
    monkeypatch.setattr(stats, "weights", lambda n, *_: weights(n, 40))
    gone = {name: columns[place] for name, columns in GONE.items() if place < len(columns)}
    without = {name: small.tables[name].drop(columns=column) for name, column in gone.items()}
    assert len(asked(replace(small, tables=only(small, **without)))) > 3


# ---- who wins nearly all, and one of something --------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.9, 0.97, 1.0])
def test_where_nearly_all_is_won_the_gap_to_tell_is_one_down(monkeypatch, rate):
    monkeypatch.setattr(benchmark, "RATE", min(rate, 1 - 1e-9))
    frame = benchmark.compared(benchmark.company(1, n_reps=5, deals=80)[0]).reset_index()
    assert "5 points would take about" in reps.finding_fair(frame, frame)
    high = frame.assign(all_reps=0.995)
    asked = reps.needed(high).set_index("to_tell").loc["5 points", "closed"]
    each = high["information"].sum() / high["closed"].sum()
    odds = np.log(0.995 / 0.005) - np.log(0.945 / 0.055)
    assert asked == pytest.approx((norm.isf(0.1 / 5 / 2) + norm.ppf(0.8)) ** 2 / odds**2 / each)


FAIR = pd.DataFrame({
    "rep_id": list("ABCDEFGH"), "rep": list("ABCDEFGH"), "deals": 40, "closed": 30, "won": 9, "expected_wins": 9.0, "ratio": 1.0,
    "variance": 6.0, "effect": 0.0, "information": 6.0, "all_reps": 0.3, "gap_share": 0.0, "place_low": np.nan, "place_high": np.nan,
    "q": 0.9, "verdict": "same",
})  # fmt: skip
KINDS = pd.DataFrame(
    {"type": ["Visit", "Call", "Demo"], "n": 40, "followed": 0.3, "q": 0.01, "verdict": ["above", "below", "same"]}
)
PLANS = pd.DataFrame({"planned": [1], "kept": [1], "done": [0], "unplanned": [np.nan]})
CARD = pd.DataFrame({"rep": ["A", "All"], "closed": 1, "won": 1, "bookings": 0.0})
APART = FAIR.assign(effect=[0.9, -0.9] * 4, closed=[28, 44] + [30, 32] * 3)  # each within luck, and together beyond it
FOUR = FAIR.assign(verdict=["above"] * 4 + ["same"] * 4)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (lambda: reps.finding_fair(FOUR, FOUR), "C (9 where 9 were to be expected) and 1 other win more deals than luck explains."),
        (lambda: reps.finding_fair(FAIR, FAIR.head(1).assign(won=1)), "won 1 deal where"),
        (lambda: reps.finding_fair(FAIR, FAIR.head(1).assign(closed=1, verdict="few")), "Too few deals: A closed 1, and 10 are needed"),
        (lambda: reps.finding_luck(FAIR.assign(ratio=[3.0] + [1.0] * 7), FAIR.assign(ratio=[3.0] + [1.0] * 7)),
         "7 of 8 reps are where luck alone keeps 95% of equal ones, 1 is outside; luck alone would put 0.4 there."),
        (lambda: reps.finding_luck(FAIR, FAIR.assign(ratio=[1.0] + [3.0] * 7)), "1 of 8 reps is where"),
        (lambda: reps.finding_luck(APART, APART), "equal ones, each by itself; all together they differ by more than luck."),
        (lambda: reps.finding_fair(FAIR, FAIR.head(2)), "With 30 closed deals each, "),
        (lambda: reps.finding_fair(APART, APART), "With a median of 31 closed deals, "),
        (lambda: reps.finding_returns(KINDS), ", 1 other differs too;"),
        (lambda: reps.finding_returns(KINDS.assign(verdict="few")), "Too few attempts: 0 kinds of activity had"),
        (lambda: reps.finding_returns(KINDS.assign(verdict=["few", "few", "same"])), "Too few attempts: 1 kind of activity had"),
        (lambda: reps.finding_plans(PLANS), "100% of 1 planned activity was done."),
        (lambda: reps.finding_scorecard(CARD, Q2), "1 deal closed, 1 won."),
    ],
)  # fmt: skip
def test_sentences_are_right_at_one(text, says):
    assert says in text().replace("**", "")


def test_a_part_that_narrows_the_spread_of_bookings_is_said_to_and_equal_bookings_are_none():
    shares = pd.DataFrame(
        {"what": ["Deals closed", "Product mix", "Size within product", "Win rate"], "share": [1.1, 0.2, -0.05, -0.25]}
    )
    assert reps.finding_differences(shares, shares, shares) == (
        "Of the spread of bookings between reps, **deals closed** makes 110% and product mix 20%; win rate narrows it by 25%."
    )
    wide = shares.assign(
        what=["Win rate", "Deals closed", "Product mix", "Size within product"], share=[1.14, 0.46, -0.02, -0.58]
    )
    assert reps.finding_differences(wide, wide, wide).endswith(
        "**win rate** makes 114% and deals closed 46%; size within product narrows it by 58%."
    )
    same = pd.DataFrame(
        {"volume": 0.0, "winning": 0.0, "mix": 0.0, "price": 0.0, "difference": 0.0, "bookings": [5.0, 5.0, 5.0]}
    )
    with pytest.raises(TooLittleData, match="3 reps who won a deal booked the same"):
        reps.shares(same)


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (-0.105, -0.015, "**cannot be told apart by more than 2 points** from those in time: 61% and 67% were won (95% interval of the "
                         "difference −10.5 to −1.5 points)."),
        (0.002, 0.018, "**cannot be told apart by more than 2 points** from those in time"),
        (-0.105, 0.015, "**cannot be told apart** from those in time: 61% and 67% were won."),
        (0.03, 0.09, "win more: **61%** against 67% (95% interval of the difference +3.0 to +9.0 points)."),
    ],
)  # fmt: skip
def test_late_deals_are_said_to_differ_beyond_two_points_and_the_interval_is_given_where_it_leaves_out_nought(
    low, high, says
):
    row = pd.DataFrame({"landmark": ["on moving on"], "stage": "All stages", "late_won": 0.61, "kept_won": 0.67, "lower": low,
                        "upper": high, "difference_share": (low + high) / 2})  # fmt: skip
    assert says in reps.finding_late(row)


def test_those_who_fell_are_named_beside_those_who_rose_and_the_others_counted():
    then, now, staff = windows(1, better=True)
    frame = reps.change(then, now, staff)
    names = [f"R{i}" for i in range(7)]
    frame = frame.head(7).assign(rep=names, verdict=["above"] * 5 + ["below"] * 2)
    text = reps.finding_change(frame)
    assert [n for n in names if f"**{n}**" in text] == ["R0", "R1", "R2", "R5", "R6"]
    assert "and 2 others improved; " in text and text.endswith("fell.") and text.index("R6") < text.index("R5")


# ---- what it costs ------------------------------------------------------------------------------------------------------


def cost_of(crm: Crm) -> pd.DataFrame:
    return reps.indicators(crm, period=Q2).set_index("indicator")


def test_a_visit_of_which_no_minutes_are_known_is_not_free(sample):
    acts = sample.activities
    assert np.isnan(
        cost_of(replace(sample, tables=only(sample, activities=acts.drop(columns="minutes")))).loc[
            "Cost per visit", "value"
        ]
    )
    lazy = acts["rep_id"].isin(["U01", "U02"])
    some = replace(sample, tables=only(sample, activities=acts.assign(minutes=acts["minutes"].mask(lazy))))
    none = replace(sample, tables=only(sample, activities=acts[~lazy].reset_index(drop=True)))
    pd.testing.assert_series_equal(
        cost_of(some).loc["Cost per visit", ["value", "n"]], cost_of(none).loc["Cost per visit", ["value", "n"]]
    )


def test_costs_of_nobody_here_count_and_what_is_not_in_the_data_is_missing(sample):
    costs = sample.costs
    gone = pd.DataFrame({"period": ["2025-05"], "rep_id": ["gone"], "kind": ["entertainment"], "cost": [1e6]})
    more = replace(sample, tables=only(sample, costs=pd.concat([costs, gone], ignore_index=True)))
    share = "Sales-force cost as a share of sales"
    before, after = cost_of(sample), cost_of(more)
    assert after.loc[share, "value"] - before.loc[share, "value"] == pytest.approx(1e6 / before.loc[share, "n"])
    bare = cost_of(replace(sample, tables=only(sample, opportunities=sample.opportunities.drop(columns="amount"))))
    assert np.isnan(bare.loc["Bookings per visit", "value"]) and bare.loc[share, "value"] == before.loc[share, "value"]


def test_costs_of_a_period_that_is_not_over_are_set_beside_the_sales_of_their_months(sample):
    then, april = sample.at("2025-05-15"), reps.indicators(sample.at("2025-04-30"), period=Q2).set_index("indicator")
    found = cost_of(then)
    orders = sample.orders[sample.orders["order_date"].between("2025-04-01", "2025-04-30")]
    costs = sample.costs[sample.costs["period"] == "2025-04"]["cost"]
    share = found.loc["Sales-force cost as a share of sales", "value"]
    assert share == pytest.approx(costs.sum() / orders["net_amount"].sum())
    for name in ("Cost per visit", "Training cost per rep", "Entertainment cost per visit"):
        assert found.loc[name, "value"] == pytest.approx(april.loc[name, "value"])
    assert found.loc["Visits per rep and day present", "n"] > april.loc["Visits per rep and day present", "n"]


def test_recorded_time_and_cadence_are_those_of_a_plain_count(sample):
    acts = sample.activities
    now = acts[acts["at"].between("2025-04-01", "2025-07-01", inclusive="left")]
    share = now.loc[now["type"] != "admin", "minutes"].sum() / now["minutes"].sum()
    assert cost_of(sample).loc["Share of recorded time on contacts", "value"] == pytest.approx(share)
    row = reps.plans(sample, period=Q2).iloc[3]
    mine = acts[
        (acts["rep_id"] == row["rep_id"]) & (acts["type"] != "admin") & acts["at"].between("2024-07-01", "2025-07-01")
    ]
    pauses = []
    for _, met in mine.groupby("account_id"):
        days = sorted(set(met["at"].dt.normalize()))
        pauses += [(b - a).days for a, b in pairwise(days)]
    assert row["cadence_days"] == np.median(pauses)


# ---- owners, quotas, halves ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unlisted(sample):
    """The sample without U01 in its table of reps."""
    return replace(sample, tables=only(sample, reps=sample.reps[sample.reps["rep_id"] != "U01"].reset_index(drop=True)))


def test_an_owner_who_is_not_in_the_table_of_reps_is_compared_under_the_id(sample, unlisted):
    now = reps.expected(reps.spells(unlisted, since=YEAR.since, until=YEAR.until))
    staff = reps.roster(unlisted, YEAR.since)
    assert "U01" in set(reps.fair(now, staff).dropna(subset="win_rate")["rep"])
    for frame in (
        reps.stage_gaps(unlisted, since=YEAR.since, until=YEAR.until), reps.history(unlisted, period=Q2),
        reps.differences(unlisted, since=YEAR.since, until=YEAR.until), reps.plans(unlisted, period=Q2), reps.scorecard(unlisted, period=Q2),
    ):  # fmt: skip
        assert frame["rep"].notna().all() and "U01" in set(frame["rep"])
    deals = unlisted.opportunities
    old = replace(
        unlisted,
        tables=only(unlisted, opportunities=deals[(deals["rep_id"] != "U01") | (deals["closed_date"] < "2024-01-01")]),
    )
    assert "U01" in set(reps.roster(old)["rep_id"]) - set(reps.roster(old, YEAR.since)["rep_id"])
    here = sample.reps.set_index("rep_id")["end_date"]
    days = (
        cost_of(sample).loc["Visits per rep and day present", "n"]
        - cost_of(unlisted).loc["Visits per rep and day present", "n"]
    )
    assert days == np.busday_count("2025-04-01", "2025-07-01") and pd.isna(
        here["U01"]
    )  # nobody knows how long U01 was there


def test_a_quota_is_the_sum_of_its_months_and_of_its_reps(sample):
    goals = sample.targets
    own = goals[(goals["period"] == "2025Q2") & goals["rep_id"].notna()]
    months = pd.concat(
        [own.assign(period=f"2025-0{m}", target=own["target"] / 3) for m in (4, 5, 6)], ignore_index=True
    )
    crm = replace(sample, tables=only(sample, targets=months))
    whole = reps.scorecard(sample, period=Q2).set_index("rep_id")["quota"].drop("All")
    found = reps.scorecard(crm, period=Q2).set_index("rep_id")["quota"]
    assert found.drop("All").to_dict() == pytest.approx(whole.to_dict(), nan_ok=True)
    teams = reps.scorecard(crm, period=Q2, by="team").set_index("team")["quota"]
    team = own["target"].groupby(own["rep_id"].map(sample.reps.set_index("rep_id")["team"])).sum()
    assert teams.drop("All").to_dict() == pytest.approx(team.to_dict())
    assert found["All"] == teams["All"] == pytest.approx(own["target"].sum())


def test_half_is_of_what_has_an_owner_and_nobody_is_named_for_it(sample):
    card = reps.scorecard(sample, period=Q2)
    total = card.iloc[-1]
    few = pd.concat([card.head(3).assign(bookings=[3e5, 2e5, 1e5]), card.tail(1)], ignore_index=True)
    text = reps.finding_scorecard(few, Q2)
    assert "1 of 3 reps brought half of what has an owner." in text and total["bookings"] > 1e6
    assert not any(name in text for name in few["rep"].head(3))
    pair = sample.reps["rep"].head(2)
    of_two = sample.reps["rep_id"].head(2)
    deals = sample.opportunities[sample.opportunities["rep_id"].isin(of_two)].reset_index(drop=True)
    two = reps.scorecard(replace(sample, tables=only(sample, opportunities=deals, reps=sample.reps.head(2))), period=Q2)
    text, chart = reps.finding_scorecard(two, Q2), style.spec(reps.chart_scorecard(two))
    assert "brought half" not in text and not any(name in text for name in pair)
    assert two["rep"].head(2).is_monotonic_increasing and "in the order of names" in chart["title"]["subtitle"]


# ---- training, and a period that is not over ------------------------------------------------------------------------------


def test_who_was_trained_too_late_or_the_year_before_is_left_out():
    frame = reps.change(*windows(3))
    month = {
        **{f"R{i}": "2024-09" for i in range(6)},
        **{f"R{i}": "2025-06" for i in range(6, 11)},
        "R11": "2024-02",
        "R12": "2023-01",
    }
    costs = pd.DataFrame({"period": list(month.values()), "rep_id": list(month), "kind": "training", "cost": 1.0})
    found = reps.trained(frame, costs, since=YEAR.since, until=YEAR.until)
    assert found.set_index("who")["n"].to_dict() == {"trained": 6, "others": 18, "left out": 6, "difference": 24}
    assert "6 reps trained too late or in the year before are left out." in reps.finding_trained(found)
    used = frame[~frame["rep_id"].isin([f"R{i}" for i in range(6, 12)])]
    x = np.column_stack([np.ones(24), used["rate_before"], used["rep_id"].isin([f"R{i}" for i in range(6)])]).astype(
        float
    )
    assert found.iloc[-1]["change_share"] == pytest.approx(np.linalg.lstsq(x, used["rate_now"], rcond=None)[0][2])


def test_of_a_period_that_is_not_over_stands_what_is_booked_and_it_is_no_minimum(sample):
    half = sample.at("2025-04-30")
    found = reps.history(half, period=Q2)
    now = found[found["period"] == "2025Q2 so far"]["bookings"].sum()
    deals = half.opportunities
    assert now == pytest.approx(
        deals[(deals["outcome"] == "won") & (deals["closed_date"] >= "2025-04-01")]["amount"].sum()
    )
    whole = found[found["period"] != "2025Q2 so far"].groupby("period")["bookings"].sum()
    text = reps.finding_history(found)
    assert f"**{style.money(whole.iloc[-1])}** in 2025Q1, over 8 periods between" in text
    assert "2025Q2 so far" in str(style.spec(reps.chart_history(found)))
    assert f"{style.money(now)} is booked in 2025Q2 so far" in text and now < whole.min()
    assert f"{style.between(whole.min(), whole.max(), style.money).replace(' to ', ' and ')}" in text
