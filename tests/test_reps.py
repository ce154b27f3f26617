"""The fair comparison of reps: nobody named on luck, nearer to the truth than raw rates, and everybody counted."""

import importlib.util
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import salesforecast as sf
from conftest import ROOT, SAMPLE, deals
from salesforecast import reps, shrinkage, style, synthetic
from salesforecast.errors import CannotSay, MissingTable, SettingError, TooLittleData
from salesforecast.periods import period
from salesforecast.tables import Crm

END = pd.Timestamp("2025-06-30")
NEXT = END + pd.Timedelta(days=1)


def _benchmark():
    module = importlib.util.spec_from_file_location("rep_fairness", ROOT / "benchmarks" / "rep_fairness.py")
    benchmark = importlib.util.module_from_spec(module)
    module.loader.exec_module(benchmark)
    return benchmark


benchmark = _benchmark()


@pytest.fixture(scope="module")
def fair(sample):
    year, _ = reps.years(period("2025Q2"))
    expected = reps.expected(reps.spells(sample, since=year.since, until=year.until))
    return reps.fair(expected, reps.roster(sample, since=year.since))


# ---- luck and truth: small versions of benchmarks/rep_fairness.py ------------------------------------------------------


def test_of_equal_reps_hardly_anybody_is_named():
    found = benchmark.null(40)
    assert found["named"] <= 0.05
    assert found["a test at 5% each"] > 0.5  # what a leaderboard with a test for each rep would do


def test_estimates_err_less_than_raw_rates_and_rank_intervals_hold_what_they_say():
    found = benchmark.signal(30)
    assert found["lower by"] >= 0.30
    assert 0.87 <= found["rank intervals hold"] <= 0.95


def test_with_enough_deals_names_are_given_and_are_on_the_right_side():
    found = benchmark.signal(6, sd=0.08, deals=300)
    assert found["named"] >= 20
    assert found["on the wrong side"] <= 0.05 * found["named"]


def test_the_order_by_estimate_is_nearer_to_the_truth_than_the_raw_one_when_hard_deals_are_dealt_out_unevenly():
    found = benchmark.case_mix(12)
    assert found["adjusted"] > found["raw"] + 0.05


def test_equal_reps_of_a_whole_made_up_company_are_not_named():
    named = 0
    for seed in range(4):
        truth = replace(synthetic.Truth(), rep_sd=0.0)
        crm = Crm(synthetic.tables(truth, seed), truth.as_of)
        rows = reps.spells(crm, since=NEXT - pd.DateOffset(years=1), until=NEXT)
        named += reps.fair(reps.expected(rows), reps.roster(crm))["verdict"].isin(["above", "below"]).any()
    assert named == 0


def test_the_estimates_of_the_sample_follow_the_planted_effects(fair):
    truth = synthetic.rep_effects(synthetic.Truth(), 0).set_index("rep_id")["effect"]
    known = fair.dropna(subset="win_rate").set_index("rep_id")
    assert np.corrcoef(known["win_rate"], truth[known.index])[0, 1] > 0.5


# ---- what is expected ---------------------------------------------------------------------------------------------------


def test_expected_wins_add_up_to_the_wins_and_are_nowhere_outside_of_0_to_1(sample):
    rows = reps.expected(reps.spells(sample, since=pd.Timestamp("2024-07-01"), until=NEXT))
    assert rows["chance"].sum() == pytest.approx(rows["won"].sum(), rel=0.02)
    assert rows["chance"].between(0, 1).all()
    for column in ("segment", "channel"):  # within each level, too, but for the ridge
        sums = rows.groupby(column)[["chance", "won"]].sum()
        assert (sums["chance"] / sums["won"]).between(0.9, 1.1).all()


def test_the_chance_is_that_of_a_simulation_of_ever_and_when():
    rng, n, ever = np.random.default_rng(0), 400_000, 0.3
    won = rng.random(n) < ever
    days = np.where(won, rng.integers(10, 60, n), rng.integers(20, 120, n))
    seen = days >= 30  # still open at age 30
    share = (won & seen & (days <= 45)).sum() / seen.sum()
    row = pd.DataFrame({
        "before_won": [20 / 50], "before_lost": [10 / 100], "reached": [16 / 50],
    })  # fmt: skip
    chance, slope = reps.mix.chances(row, np.array([np.log(ever / (1 - ever))]))
    assert chance[0] == pytest.approx(share, abs=0.003)
    more, _ = reps.mix.chances(row, np.array([np.log(ever / (1 - ever)) + 1e-5]))
    assert slope[0] == pytest.approx((more[0] - chance[0]) / 1e-5, rel=1e-3)


def test_what_a_rep_controls_changes_nothing_that_is_expected(sample):
    changed = sample.opportunities.assign(
        amount=sample.opportunities["amount"] * 0.5, probability=0.9, forecast_category="Commit", stage="Negotiation"
    )
    other = replace(sample, tables={**sample.tables, "opportunities": changed})
    window = {"since": pd.Timestamp("2024-07-01"), "until": NEXT}
    before, after = (reps.expected(reps.spells(crm, **window)) for crm in (sample, other))
    pd.testing.assert_frame_equal(before, after)


def small() -> Crm:
    """Two deals that A began; the first passed on to B on day 50 and was won on day 80."""
    frame = deals((0, 80, "won"), (0, 30, "won"), *[(i, i + 40, "lost") for i in range(100)])
    frame = frame.assign(rep_id=pd.Series(["B", "A", *["A"] * 100], dtype="str"), stage="-")
    zero = pd.Timestamp("2025-01-01")
    rows = [("D000", zero, "A"), ("D000", zero + pd.Timedelta(days=50), "B")]
    rows += [(i, zero, "A") for i in frame["opportunity_id"][1:]]
    moves = pd.DataFrame(rows, columns=["opportunity_id", "entered_at", "rep_id"]).astype(
        {"opportunity_id": "str", "rep_id": "str"}
    )
    moves = moves.assign(sequence=np.arange(len(moves), dtype=float), stage="-")
    return Crm({"opportunities": frame, "stage_history": moves}, END)


def test_a_deal_that_changed_hands_counts_for_each_owner_for_the_days_it_was_theirs():
    rows = reps.spells(small(), since=pd.Timestamp("2025-01-01"), until=NEXT)
    first = rows[rows["opportunity_id"] == "D000"].set_index("rep_id")
    assert first.loc["A", ["entry", "exit", "won"]].tolist() == [
        30,
        50,
        False,
    ]  # no closing is in the data before day 30
    assert first.loc["B", ["entry", "won"]].tolist() == [51, True]
    assert rows["won"].sum() == 2


def test_a_history_that_names_who_made_the_change_is_not_taken_for_owners():
    crm = small()
    robot = crm.stage_history.assign(rep_id="Robot")
    rows = reps.spells(
        replace(crm, tables={**crm.tables, "stage_history": robot}), since=pd.Timestamp("2025-01-01"), until=NEXT
    )
    assert set(rows["rep_id"]) == {"A", "B"}


def test_a_loss_that_nobody_entered_changes_nothing():
    crm, _ = benchmark.company(3)
    frame = crm.opportunities
    lost = (frame["outcome"] == "lost") & (frame["rep_id"] == "R000")
    frame = frame.assign(outcome=frame["outcome"].mask(lost, "open"), closed_date=frame["closed_date"].mask(lost))
    lazy = benchmark.compared(replace(crm, tables={**crm.tables, "opportunities": frame}))
    before = benchmark.compared(crm)
    assert before.loc["R000", "won"] == lazy.loc["R000", "won"]
    assert lazy.loc["R000", "ratio"] == pytest.approx(before.loc["R000", "ratio"], rel=0.08)
    won, closed = lazy.loc["R000", ["won", "closed"]]
    assert won == closed  # won of closed would say 100%


# ---- the verdict and its words --------------------------------------------------------------------------------------------


def test_a_rep_who_left_counts_and_one_without_deals_has_no_rate(fair, sample):
    left = sample.reps.loc[sample.reps["end_date"] > "2024-07-01", "rep_id"]
    rows = fair.set_index("rep_id")
    assert len(left) and rows.loc[left, "deals"].gt(0).all()
    gone = sample.reps.loc[sample.reps["end_date"] < "2024-07-01", "rep_id"]
    assert not rows.index.isin(gone).any()
    staff = pd.concat([reps.roster(sample), pd.DataFrame({"rep_id": ["new"], "rep": ["New"]})])
    rows = reps.expected(reps.spells(sample, since=pd.Timestamp("2024-07-01"), until=NEXT))
    new = reps.fair(rows, staff).set_index("rep_id").loc["new"]
    assert new["deals"] == 0 and pd.isna(new["win_rate"]) and pd.isna(new["place_low"]) and new["verdict"] == "few"


def test_two_are_not_ranked(fair):
    crm, _ = benchmark.company(1, n_reps=2, deals=60)
    frame = benchmark.compared(crm)
    assert frame["place_low"].isna().all()
    two = reps.listed(fair.head(2))
    assert (two["place"] == "–").all() and two["rep"].is_monotonic_increasing
    assert "Place" not in str(style.spec(reps.chart_fair(fair.head(2)))["layer"])


def test_the_finding_names_nobody_on_luck_and_says_how_many_deals_would_tell(fair):
    text = reps.finding_fair(fair, fair)
    assert text.startswith("**Nobody stands out**") and not any(name in text for name in fair["rep"])
    needed = reps.needed(fair)
    asked = needed[needed["gap_share"] == 0.05].iloc[0]
    rate = fair["all_reps"].iloc[0]
    n = (norm.isf(0.1 / 21 / 2) + norm.ppf(0.8)) ** 2 * rate * (1 - rate) / 0.05**2
    assert (
        0.7 < asked["closed"] / n < 1.6
    )  # open deals and the case mix tell a little more or less than closed ones alone
    assert "5 points would take about" in text and "differ by more than luck" in text


def test_the_finding_of_equal_reps_says_that_luck_makes_the_differences():
    frame = benchmark.compared(benchmark.company(5)[0]).reset_index()
    assert "differ no more than luck makes equal ones differ" in reps.finding_fair(frame, frame)


def test_the_finding_names_those_beyond_luck_and_escapes_their_names():
    crm, _ = benchmark.company(2, sd=0.10, deals=300)
    names = crm.reps.assign(rep="*" + crm.reps["rep"] + "*")
    frame = reps.fair(reps.expected(reps.spells(crm, since=END - pd.Timedelta(days=364), until=NEXT)), names)
    named = frame[frame["verdict"].isin(["above", "below"])]
    text = reps.finding_fair(frame, frame)
    assert len(named) and "than luck explains" in text and r"\*R" in text
    assert {n.replace("\\*", "*") for n in re.findall(r"\*\*(\\\*R\d+\\\*)\*\*", text)} <= set(named["rep"])
    row = named.iloc[0]
    assert f"{row['won']} where {row['expected_wins']:.0f}" in reps.finding_fair(frame, frame)


def test_the_sheet_of_one_rep_names_nobody_else(fair):
    own = fair[fair["verdict"] != "few"].iloc[[5]]
    others = set(fair["rep"]) - set(own["rep"])
    for thing in (
        reps.finding_fair(fair, own),
        str(style.spec(reps.chart_luck(fair, own))),
        reps.finding_luck(fair, own),
    ):
        assert not any(name in thing for name in others)


def test_a_long_ranking_shows_its_ends_in_the_chart_and_all_in_the_table():
    frame = benchmark.compared(benchmark.company(4, n_reps=200, deals=30)[0]).reset_index()
    text = str(style.spec(reps.chart_fair(frame)))
    assert "the 15 highest and 15 lowest of" in text
    assert len(re.findall(r"'label': 'R\d+'", text)) == 30 and len(reps.listed(frame)) == 200


def test_nobody_with_ten_closed_deals_is_said():
    crm, _ = benchmark.company(1, n_reps=5, deals=8)
    with pytest.raises(TooLittleData, match="closed 10 deals"):
        benchmark.compared(crm)


def test_without_owners_the_column_to_map_is_named():
    with pytest.raises(MissingTable, match="rep_id"):
        reps.roster(Crm({"opportunities": deals((0, 10, "won"))}, END))


# ---- shrinkage --------------------------------------------------------------------------------------------------------------


def test_paule_mandel_solves_its_equation_and_finds_the_spread():
    rng = np.random.default_rng(0)
    v = rng.uniform(0.5, 2, 4000)
    x = rng.normal(0, 1.5, 4000) + rng.normal(0, np.sqrt(v))
    tau = shrinkage.spread(x, v)
    w = 1 / (v + tau**2)
    assert (w * (x - (w * x).sum() / w.sum()) ** 2).sum() == pytest.approx(3999)
    assert tau == pytest.approx(1.5, rel=0.05)


def test_q_values_are_those_of_statsmodels():
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(1).random(50) ** 3
    assert shrinkage.q_values(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])


def test_with_many_members_estimates_are_the_known_formula_of_shrinkage():
    rng = np.random.default_rng(0)
    x = rng.normal(0, np.sqrt(2), 500)
    believed = shrinkage.shrunk(x, np.ones(500))
    keep = believed.spread**2 / (believed.spread**2 + 1)
    assert believed.draws.mean(axis=0) == pytest.approx(x.mean() + keep * (x - x.mean()), abs=0.12)


def test_overdispersion_pulls_the_ends_in():
    z = np.r_[np.zeros(18), 50.0, -50.0]
    assert shrinkage.overdispersion(z) < 30 and shrinkage.overdispersion(np.zeros(5)) == 1.0


def test_the_limits_of_the_funnel_are_those_of_the_book(fair):
    known = fair[fair["closed"] >= 10]
    z = (known["won"] - known["expected_wins"]) / np.sqrt(known["variance"])
    phi = max(1, (z.clip(*np.quantile(z, [0.1, 0.9])) ** 2).mean())
    row = reps.limits(fair).iloc[30]
    v = known["variance"].sum() / known["expected_wins"].sum()
    assert row["upper_95"] == pytest.approx(1 + 1.959964 * np.sqrt(phi * v / row["n"]))


# ---- privacy ------------------------------------------------------------------------------------------------------------------


def test_codes_replace_every_name_and_change_no_number(sample, fair):
    coded = sf.coded(sample)
    people = (
        set(sample.reps["rep"]) | set(sample.reps["rep_id"]) | set(sample.reps["team"]) | set(sample.reps["manager"])
    )
    for name, frame in coded.tables.items():
        for column in frame.select_dtypes(["string", "object"]):
            assert not set(frame[column].dropna()) & people, (name, column)
    assert coded.opportunities["name"].isna().all()
    year, _ = reps.years(period("2025Q2"))
    rows = reps.expected(reps.spells(coded, since=year.since, until=year.until))
    hidden = reps.fair(rows, reps.roster(coded, since=year.since))
    assert sorted(hidden["won"]) == sorted(fair["won"]) and hidden["ratio"].sum() == pytest.approx(
        fair["ratio"].sum(), rel=1e-6
    )
    assert sf.coded(sample, False) is sample
    again = sf.coded(replace(sample, tables={**sample.tables, "reps": sample.reps.tail(10)}))
    assert set(again.reps["rep"]) < set(coded.reps["rep"])  # a code does not hang on who else is there


def test_with_codes_a_filter_by_name_is_refused_and_tells_no_name(sample):
    with pytest.raises(SettingError) as told:
        sf.coded(sample).only(rep=sample.reps["rep"].iloc[0])
    assert not any(name in str(told.value) for name in sample.reps["rep"].iloc[1:])


@pytest.mark.parametrize("yes", ["true", "yes"])
def test_the_command_line_takes_the_code_of_a_rep(tmp_path, capsys, yes):
    from salesforecast.cli import main

    code = main(
        [
            "report",
            "none_such",
            "--data",
            str(SAMPLE),
            "--period",
            "2025Q2",
            "--out",
            str(tmp_path / "out"),
            "-p",
            f"codes={yes}",
            "-p",
            "rep=Zoë Lindqvist",
        ]
    )
    said = capsys.readouterr().err
    assert code == 2 and "There is no rep" in said and "Jürgen" not in said


def test_owners_who_are_no_persons_are_left_out(sample):
    without = reps.owned(sample, " U01, U02")
    assert not set(without.opportunities["rep_id"]) & {"U01", "U02"}
    assert "U01" not in set(reps.roster(without)["rep_id"]) and "U01" not in set(without.stage_history["rep_id"])
    assert len(without.stage_history) == len(sample.stage_history)
    pd.testing.assert_frame_equal(reps.owned(sample).opportunities, sample.opportunities)


def test_where_deals_name_no_owner_the_first_who_worked_on_one_is_it():
    crm = small()
    bare = replace(crm, tables={**crm.tables, "opportunities": crm.opportunities.drop(columns="rep_id")})
    assert set(reps.owned(bare).opportunities["rep_id"]) == {"A"}
    assert reps.owned(bare, "A").opportunities["rep_id"].dropna().tolist() == ["B"]


# ---- the Maven set ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def maven(evaluation):
    return sf.clean(sf.load(evaluation / "maven_crm", ROOT / "data" / "configs" / "maven_crm.toml"))[0]


def test_maven_names_nobody_and_shows_the_five_without_deals(maven):
    year, before = reps.years(period("2017Q4"))
    rows = reps.expected(reps.spells(maven, since=year.since, until=year.until))
    fair = reps.fair(rows, reps.roster(maven))
    assert fair["won"].sum() == 4238 and fair["closed"].sum() == 6711
    assert set(fair["verdict"]) == {"same", "few"} and (fair["deals"] == 0).sum() == 5
    text = reps.finding_fair(fair, fair)
    assert "differ no more than luck makes equal ones differ" in text and "5 reps had no deals" in text
    closed = maven.opportunities[maven.opportunities["outcome"] != "open"]
    table = pd.crosstab(closed["rep_id"], closed["outcome"])
    share = table.sum(axis=0) / table.to_numpy().sum()
    chi2 = ((table - np.outer(table.sum(axis=1), share)) ** 2 / np.outer(table.sum(axis=1), share)).to_numpy().sum()
    assert chi2 == pytest.approx(33.3, abs=0.1) and len(table) == 30
    with pytest.raises(CannotSay):
        reps.spells(maven, since=before.since, until=before.until)


def test_maven_bookings_differ_by_volume_and_product_mix(maven):
    year, _ = reps.years(period("2017Q4"))
    parts = reps.differences(maven, since=year.since, until=year.until)
    share = reps.shares(parts).set_index("what")["share"]
    assert share["Deals closed"] + share["Product mix"] > 0.95 and abs(share["Win rate"]) < 0.05
    raw = maven.opportunities[maven.opportunities["outcome"] == "won"].groupby("rep_id")["amount"].sum()
    assert parts.set_index("rep_id").loc[raw.index, "bookings"].to_dict() == pytest.approx(raw.to_dict())
    known = parts.dropna(subset="volume")
    assert known[["volume", "winning", "mix", "price"]].sum(axis=1).to_numpy() == pytest.approx(
        known["difference"].to_numpy()
    )
    assert parts["volume"].isna().sum() == 5


# ---- the BPI Challenge 2012 -----------------------------------------------------------------------------------------------------


def test_bpi_workers_are_compared_without_the_automatic_one(evaluation):
    crm = sf.clean(sf.load(evaluation / "bpi2012", ROOT / "data" / "configs" / "bpi2012.toml"))[0]
    crm = reps.owned(crm, "112")
    assert "112" not in set(reps.roster(crm)["rep_id"])
    log = pd.read_csv(evaluation / "bpi2012" / "bpi2012_stage_history.csv.gz").sort_values(["case_id", "event_index"])
    person = log[log["resource"].notna() & (log["resource"] != 112) & (log["activity"] != "O_CANCELLED")]
    first = person.drop_duplicates("case_id").set_index("case_id")["resource"].map("{:.0f}".format)
    deals = crm.opportunities.set_index("opportunity_id")
    assert (deals["rep_id"].dropna() == first.set_axis(first.index.astype(str))[deals["rep_id"].dropna().index]).all()
    year, _ = reps.years(period("2012Q1"))
    rows = reps.expected(reps.spells(crm, since=year.since, until=year.until))
    fair = reps.fair(rows, reps.roster(crm))
    assert fair["won"].sum() == (deals["rep_id"].notna() & (deals["outcome"] == "won")).sum()
    named = fair[fair["verdict"].isin(["above", "below"])]
    assert len(named) and "than luck explains" in reps.finding_fair(fair, fair)
    card = reps.scorecard(crm, period=period("2012Q1"))
    assert card["cycle_days"].notna().sum() > 10
