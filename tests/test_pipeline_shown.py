"""What a report says of the pipeline forecast: chances against what came, errors, deals that decide, pipeline needed, methods."""

from dataclasses import replace
from math import erf
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from test_pipeline import company

from salesforecast import periods, pipeline, style
from salesforecast.errors import TooLittleData
from salesforecast.pipeline import combination, hazards, judging, models, outlook, watching, weeks
from salesforecast.tables import NOT_RECORDED, Crm

Q = periods.period
TODAY = "2024-05-20"


@pytest.fixture(scope="module")
def crm() -> Crm:
    return company().at(TODAY)


@pytest.fixture(scope="module")
def past(crm) -> pipeline.Backtest:
    return pipeline.backtest(crm, Q("2024Q2"))


@pytest.fixture(scope="module")
def combined(past) -> pd.DataFrame:
    return pipeline.combine(past)


@pytest.fixture(scope="module")
def bare(crm) -> pipeline.Backtest:
    """The same company where nothing records changes."""
    told = {name: frame for name, frame in crm.tables.items() if name != "stage_history"}
    return pipeline.backtest(replace(crm, tables=told), Q("2024Q2"))


# ---- did the chances come true ----------------------------------------------------------------------------------------


def history(rng, *, shock: float = 0.0, shift: float = 0.0, spans: int = 11, deals: int = 40, origins: int = 6):
    """Chances that wander to their outcomes, exact unless a shock moves a period; said too high in 40-60% by `shift`."""
    steps = rng.normal(0, 1 / np.sqrt(origins), (spans, deals, origins + 1))
    steps[:, :, 0] = rng.normal(-0.8, 1.2, (spans, deals))
    way = steps.cumsum(axis=2)
    won = way[:, :, -1] + rng.normal(0, shock, (spans, 1)) > 0 if shock else way[:, :, -1] > 0
    left = np.sqrt(2 * (1 - np.arange(origins) / origins))
    chance = 0.5 * (1 + np.vectorize(erf)(way[:, :, :origins] / left))
    span, deal, origin = (x.ravel() for x in np.meshgrid(*map(np.arange, (spans, deals, origins)), indexing="ij"))
    p = chance.ravel()
    p = np.where((p > 0.4 - shift) & (p < 0.6 - shift), p + shift, p) if shift else p
    frame = pd.DataFrame({
        "period": [f"Q{k}" for k in span], "origin": span * 100 + origin, "opportunity_id": span * 1000 + deal,
        "chance": p, "won": won[span, deal],
    })  # fmt: skip
    return SimpleNamespace(deals=frame, origins=pd.DataFrame({"period": frame["period"].unique(), "actual": 1.0}))


def alarms(seeds: int, **how) -> float:
    """How often anything is said to be off."""
    said = [
        pipeline.finding_calibration(judging.calibration(history(np.random.default_rng(s), **how)))
        for s in range(seeds)
    ]
    return float(np.mean(["more than luck explains" in s for s in said]))


@pytest.mark.parametrize("how", [{}, {"shock": 0.3}, {"spans": 3}, {"spans": 5, "shock": 0.3}])
def test_exact_chances_are_seldom_said_to_be_off(how):
    assert alarms(100, **how) <= 0.07


def test_chances_that_are_off_are_found():
    assert alarms(40, shift=0.2, deals=80) > 0.8


def test_the_intervals_of_exact_chances_hold_them_and_are_as_wide_as_wins_differ():
    found = [judging.calibration(history(np.random.default_rng(s), shock=0.2)).assign(seed=s) for s in range(60)]
    every = pd.concat(found, ignore_index=True)
    inside = (every["said"] >= every["lower"]) & (every["said"] <= every["upper"])
    assert 0.93 < inside.mean() <= 1.0
    rows = every[every["chances"] == "40% to 60%"]
    width = (rows["upper"] - rows["lower"]).mean() / 2
    assert 1.7 < width / (rows["won_share"] - rows["said"]).std() < 4


def test_the_variance_of_exact_chances_is_that_of_their_wins():
    """A deal that is counted at every origin counts as much less than so many deals."""
    gap, luck = [], []
    for seed in range(150):
        past = history(np.random.default_rng(seed), spans=4)
        row = judging.calibration(past).iloc[0]
        inside = past.deals[past.deals["chance"] <= 0.1]
        before = inside.sort_values("origin").groupby("opportunity_id").cumcount()
        p = inside["chance"].loc[before.index]
        luck.append((p * (1 - p) * (1 + 2 * before)).sum() / len(inside) ** 2)
        gap.append(row["won_share"] - row["said"])
    assert np.var(gap) == pytest.approx(np.mean(luck), rel=0.35)


def test_a_class_is_judged_as_one_of_several():
    past = history(np.random.default_rng(3))
    known = past.deals
    kind = pd.cut(known["chance"], judging.EDGES, include_lowest=True, labels=False)
    raw = sorted(judging._held(ours)[2] for _, ours in known.groupby(kind))
    found = judging.calibration(past)["p"]
    assert len(raw) == 6 and found.min() == pytest.approx(min(1.0, 6 * raw[0])) and found.max() <= 1
    assert found.sort_values().iloc[1] == pytest.approx(min(1.0, max(6 * raw[0], 5 * raw[1])))


def test_periods_that_agree_by_chance_do_not_make_the_interval_narrow():
    deals = pd.DataFrame(
        {"period": np.repeat(["A", "B", "C"], 10), "origin": 1, "opportunity_id": range(30), "chance": 0.5}
    )
    deals["won"] = [*[True] * 5, *[False] * 5] * 2 + [True] * 6 + [False] * 4
    origins = pd.DataFrame({"period": ["A", "B", "C"], "actual": 1.0})
    row = judging.calibration(SimpleNamespace(deals=deals, origins=origins)).iloc[0]
    assert row["lower"] < 0.3 and row["upper"] > 0.7 and row["won_share"] == 16 / 30


@pytest.mark.parametrize(("won", "bound"), [(False, "lower"), (True, "upper")])
def test_a_class_of_which_all_or_none_were_won_is_judged(won, bound):
    past = history(np.random.default_rng(1), deals=80)
    middle = past.deals["chance"].between(0.2, 0.4, inclusive="right")
    past.deals.loc[middle, "won"] = won
    row = judging.calibration(past).set_index("chances").loc["20% to 40%"]
    assert row["won_share"] == row[bound] == float(won) and 0 <= row["lower"] < row["upper"] <= 1
    said = pipeline.finding_calibration(judging.calibration(past))
    assert f"20% to 40%, **{'100%' if won else '0%'}** were won" in said


def test_few_periods_are_said_to_tell_little(past):
    few = judging.calibration(history(np.random.default_rng(0), spans=2, deals=15))
    assert "2 periods are too few to say much of" in pipeline.finding_calibration(few)
    known = past.deals[past.deals["period"] != "2024Q2"]
    found = pipeline.calibration(past)
    assert found["n"].sum() == len(known)
    assert (found["said"] * found["n"]).sum() == pytest.approx(known["chance"].sum())
    assert (found["won_share"] * found["n"]).sum() == pytest.approx(known["won"].sum())
    one = found.assign(p=1.0, lower=0.1, upper=0.2)
    one.loc[0, ["lower", "upper", "p"]] = np.nan
    said = pipeline.finding_calibration(one)
    assert f"in {len(found) - 1} classes luck explains" in said and said.endswith(
        "1 class with deals of one period only cannot be judged."
    )
    with pytest.raises(TooLittleData):
        pipeline.finding_calibration(one.head(1))


# ---- better than a simple method? -------------------------------------------------------------------------------------


def told(past, rng, ours: float, simple: float):
    """The past periods with a forecast and a simple method that are off by so much."""
    over = past.origins["actual"].notna()
    actual = past.origins["actual"].where(over, 1.0)
    per = past.origins["period"].map(lambda p: rng[p])
    combined = past.origins[judging.KEYS].assign(mean=actual * (1 + ours * per), lower=0.0, upper=0.0, booked=0.0)
    methods = past.origins[judging.KEYS].assign(method="run_rate", mean=actual * (1 + simple))
    return replace(past, methods=methods), combined


def test_a_forecast_is_said_to_be_nearer_or_worse_only_by_more_than_its_periods_differ(past):
    spans = list(past.origins["period"].unique())
    steady, wild = dict.fromkeys(spans, 1.0), dict(zip(spans, np.resize([0.1, 3.0], len(spans)), strict=True))
    near = pipeline.accuracy(*told(past, steady, 0.1, 0.3))
    row = near.set_index("method").loc["run_rate"]
    assert row["taken_off"] == pytest.approx(0.2) and row["taken_off_lower"] == pytest.approx(0.2)
    assert "was nearer than the best simple method, run rate, by 20 points" in pipeline.finding_accuracy(near)
    worse = pipeline.finding_accuracy(pipeline.accuracy(*told(past, steady, 0.3, 0.1)))
    assert "was **worse** than the best simple method, run rate, by 20 points" in worse
    unsure = pipeline.finding_accuracy(pipeline.accuracy(*told(past, wild, 0.2, 0.3)))
    assert "cannot be told apart from the best simple method, run rate" in unsure


def test_the_gain_and_its_interval_are_those_of_a_plain_loop(past, combined):
    found = pipeline.accuracy(past, combined).set_index("method")
    shown = [int(c.split("_")[0]) for c in found if c.endswith("to_go")]
    every = judging.every_method(past, combined).dropna(subset=["actual"])
    wide = every[every["weeks_to_go"].isin(shown)].pivot_table(index=judging.KEYS, columns="method", values="mean")
    wide = wide[[m for m in found.index if m != "floor"]].dropna().reset_index()

    def gain(rows):
        off = {m: (rows[m] - rows["actual"]).abs().sum() / rows["actual"].sum() for m in ("run_rate", "combination")}
        return off["run_rate"] - off["combination"]

    assert found.at["run_rate", "taken_off"] == pytest.approx(gain(wide))
    spans = wide["period"].unique()
    left = np.array([gain(wide[wide["period"] != span]) for span in spans])
    error = np.sqrt((len(spans) - 1) / len(spans) * ((left - left.mean()) ** 2).sum())
    from scipy.stats import t

    half = (found.at["run_rate", "taken_off_upper"] - found.at["run_rate", "taken_off_lower"]) / 2
    assert half == pytest.approx(t.ppf(0.975, len(spans) - 1) * error)


def test_only_the_methods_that_take_part_are_said_to(past, combined):
    said = pipeline.accuracy(past, combined).set_index("method").at["combination", "about"]
    assert said == "the forecast of this page: pipeline model, share of amounts and run rate, weighted by past errors"


def test_the_chart_of_errors_says_how_many_methods_it_leaves_out(past, combined):
    accuracy = pipeline.accuracy(past, combined)
    drawn = style.spec(pipeline.chart_accuracy(accuracy))
    names = {row["series"] for rows in drawn["datasets"].values() for row in rows}
    assert {"this forecast", "luck alone"} <= names and len(names) == 5
    assert f"{len(accuracy) - 5} more methods in the table only" in str(drawn["title"])


# ---- what the methods say ---------------------------------------------------------------------------------------------


def test_the_methods_weighted_make_the_forecast(past, combined):
    found = pipeline.methods(past, combined)
    each, ours = found.iloc[:-1], found.iloc[-1]
    assert (each["weight"] * each["forecast"]).sum() == pytest.approx(ours["forecast"])
    assert ours["forecast"] == combined["mean"].iloc[-1] and each["weight"].is_monotonic_decreasing
    assert each["forecast"].iloc[0] + each["pull"].sum() == pytest.approx(ours["forecast"])
    at = combined["weeks_to_go"].iloc[-1]
    over = combined[combined["actual"].notna() & (combined["weeks_to_go"] == at)]
    assert over["period"].is_unique and set(over["period"]) == set(combined["period"]) - {"2024Q2"}
    assert ours["off_by"] == pytest.approx((over["mean"] - over["actual"]).abs().sum() / over["actual"].sum())


def test_the_finding_of_the_methods_says_which_pulls_where():
    found = pd.DataFrame({
        "method": ["run rate", "pipeline model", "this forecast"], "forecast": [3e6, 1e6, 2.6e6], "weight": [0.8, 0.2, 1.0],
        "pull": [0.0, -4e5, np.nan], "off_by": 0.1,
    })  # fmt: skip
    assert pipeline.finding_methods(found) == (
        "The 2 methods say $1.00M (pipeline model) to $3.00M (run rate), **77%** of the forecast apart. Run rate weighs most, 80%, and "
        "says $3.00M; pipeline model pulls the forecast down most, by $400 thousand."
    )
    assert pipeline.finding_methods(found.iloc[[0, 2]]).startswith(
        "Only one method says something of the period, the run rate"
    )
    same = pipeline.finding_methods(found.assign(pull=0.0))
    assert same.endswith("none of the others moves the forecast away from it.")


# ---- the pipeline needed ----------------------------------------------------------------------------------------------


def more(past, times: float) -> np.ndarray:
    """What may come with so many times the open deals: each again, and of the last share of one each with so much of its chance."""
    now = past.now
    alive = np.flatnonzero(~now.outlook.deals["silent"].to_numpy())
    whole, part = divmod(times - 1, 1.0)
    added = np.tile(alive, int(whole) + 1)
    share = np.r_[np.ones(int(whole) * len(alive)), np.full(len(alive), part)][:, None]
    deals = pd.concat([now.outlook.deals, now.outlook.deals.iloc[added]], ignore_index=True)
    won, lost = (np.concatenate([x, x[added] * share]) for x in (now.outlook.won, now.outlook.lost))
    grown = replace(now.outlook, deals=deals, won=won, lost=lost)
    none = np.zeros(len(deals), int), np.zeros(len(grown.kinds), int)
    return models.draw(now.model, grown, *none, n=4000, seed=7)[0, :, 0]


@pytest.mark.parametrize("times", [1.5, 2.5])
def test_with_the_pipeline_added_that_is_missing_the_chance_is_the_one_asked_for(past, combined, times):
    row, n = combined.iloc[-1], 4000
    common = combination.factors(np.array([row["shock"]]), n, past.seed)[0]
    future = row["booked"] + row["scale"] * more(past, times) * common
    target = float(np.quantile(future, 0.2))
    found = pipeline.coverage(past, combined, target).iloc[0]
    panel = past.now.outlook.deals[~past.now.outlook.deals["silent"]]
    assert found["pipeline"] == pytest.approx(
        panel["amount"].fillna(panel["worth"]).sum()
    )  # the amounts as the CRM has them
    needed = found["needed"] * found["to_book"] / found["pipeline"]
    for k, right in ((1.0, True), (0.9, False), (1.3, False)):
        reached = row["booked"] + row["scale"] * more(past, needed * k) * common >= target
        assert (abs(reached.mean() - found["likely"]) < 0.03) == right, k
    assert found["missing_pipeline"] == pytest.approx((needed - 1) * found["pipeline"])
    assert found["likely"] == 0.8 and "for a chance of 80% of" in pipeline.finding_coverage(pd.DataFrame([found]))


def test_the_pipeline_there_is_gives_the_chance_there_is(past, combined):
    mean = combined["mean"].iloc[-1]
    chance = pipeline.parts(past, combined, mean).set_index("part").at["Target", "chance"]
    even = outlook.coverage(past, combined, mean, likely=chance).iloc[0]
    assert even["needed"] == pytest.approx(even["coverage"], rel=0.02)
    assert f"a chance of {100 * chance:.0f}%" in pipeline.finding_coverage(pd.DataFrame([even]))
    easy = pipeline.coverage(past, combined, mean * 0.6)
    assert easy["missing_pipeline"].iloc[0] == 0 and "There is pipeline enough" in pipeline.finding_coverage(easy)
    assert (
        outlook.coverage(past, combined, mean * 1.2, likely=0.5)["needed"].iloc[0]
        < (pipeline.coverage(past, combined, mean * 1.2)["needed"].iloc[0])
    )
    with pytest.raises(TooLittleData):
        pipeline.coverage(past, combined, combined["booked"].iloc[-1])
    none = replace(past.now.outlook, won=past.now.outlook.won * 0)
    empty = pipeline.coverage(replace(past, now=replace(past.now, outlook=none)), combined, mean * 1.5)
    assert np.isnan(empty["needed"].iloc[0]) and "no amount of deals like these" in pipeline.finding_coverage(empty)


# ---- the deals that decide --------------------------------------------------------------------------------------------


def test_a_swing_is_that_of_the_forecast_and_not_of_the_deal_at_full_worth(past, combined):
    """One deal of a million that the other methods count at 0.3: won or not, 0.7 million is not reached."""
    now = past.now
    deals = now.outlook.deals.iloc[[0]].assign(worth=1e6, amount=1e6, silent=False)
    one = replace(now.outlook, deals=deals, won=np.array([[0.5]]), lost=np.array([[0.1]]), kinds=now.outlook.kinds.iloc[:0],
                  coming=now.outlook.coming[:0])  # fmt: skip
    alone = replace(past, now=replace(now, outlook=one))
    small = combined.assign(scale=0.3, shock=0.0, booked=0.0)
    watch = pipeline.watch(alone, small, company().at(TODAY), 7e5)
    assert watch["swing"].iloc[0] == 0.0
    assert pipeline.watch(alone, small, company().at(TODAY), 2e5)["swing"].iloc[0] > 0.9
    assert watch["expected"].iloc[0] == 5e5


def test_the_deal_named_is_the_one_with_the_largest_swing(crm, past, combined):
    parts = pipeline.parts(past, combined, 2e6)
    watch = pipeline.watch(past, combined, crm, 2e6).assign(swing=[0.03, 0.012, 0.31, *[0.0] * 22])
    said = pipeline.finding_watch(watch, parts)
    name = watch["name"].iloc[2] if "name" in watch else watch["opportunity_id"].iloc[2]
    assert f"{name} alone moves the chance of the target by 31 points, more than any other" in said.replace("\\", "")
    assert "by 1 point," in pipeline.finding_watch(watch.assign(swing=[0.01, *[0.0] * 24]), parts)
    assert "none of them alone moves" in pipeline.finding_watch(watch.assign(swing=0.0), parts)


def test_what_the_other_methods_make_of_the_deals_is_said(crm, past, combined):
    half = combined.assign(mean=combined["booked"] + (combined["mean"] - combined["booked"]) / 2)
    half = half.assign(mean=half["booked"] + (past.origins["open"] + past.origins["new"]) / 2)
    parts, watch = pipeline.parts(past, half), pipeline.watch(past, half, crm)
    assert outlook.scale(past, half) == pytest.approx(0.5)
    said = "The other methods take what all deals are expected to bring down by 50%."
    assert pipeline.finding_watch(watch, parts).endswith(said)
    silent = pipeline.silent(past, half)
    assert silent["factor"].iloc[0] == pytest.approx(0.5) and pipeline.finding_silent(silent).endswith(said)
    share = watch["expected"].head(5).sum() / past.now.outlook.open.sum()
    assert f"**{100 * share:.0f}%** of what the open deals" in pipeline.finding_watch(watch, parts)
    whole = half.assign(mean=half["booked"] + past.origins["open"] + past.origins["new"])
    assert "other methods" not in pipeline.finding_silent(pipeline.silent(past, whole))


def test_the_reasons_are_of_the_week_that_the_forecast_begins_with(past, monkeypatch):
    asked, real = [], hazards.Hazards.reasons
    monkeypatch.setattr(
        hazards.Hazards, "reasons", lambda self, deals, week: (asked.append(week), real(self, deals, week))[1]
    )
    watching.reasons(past, past.now.outlook.deals.head(2))
    day = pd.DatetimeIndex([TODAY])
    assert asked == [weeks.number(day + pd.Timedelta(days=1))[0] - 1] != [weeks.number(day)[0]]


def test_luck_is_said_for_today(past, combined):
    row = combined.iloc[-1]
    sd = (past.draws[-1] * row["scale"]).std()
    draws = past.draws[-1] * row["scale"]
    off = 0.8 * sd
    assert np.abs(draws - draws.mean()).mean() == pytest.approx(off, rel=0.1)
    assert f"±{100 * off / row['mean']:.0f}%" in pipeline.finding_luck(past, combined)


# ---- where nothing records changes ------------------------------------------------------------------------------------


def test_without_a_history_deals_are_old_and_not_silent_and_age_is_one_reason(crm, bare):
    combined = pipeline.combine(bare)
    assert (bare.now.outlook.deals["stage"] == NOT_RECORDED).all()
    silent = pipeline.silent(bare, combined)
    assert "silent_after" not in silent and silent["n"].iloc[0] > 1
    said = pipeline.finding_silent(silent)
    assert "are older than" in said and "changed" not in said
    watch = pipeline.watch(bare, combined, crm, most=60)
    words = " ".join([*watch["likelier"], *watch["unlikelier"]])
    assert "days old" in words and "in its stage" not in words and "without a change" not in words
    for side in ("likelier", "unlikelier"):
        assert watch[side].str.count("days? old").max() == 1


def test_silent_deals_are_counted_in_one_and_in_many():
    row = {"n": 1, "of": 177, "amount": 100.0, "expected": 1.0, "factor": 1.0, "silent_after": 48.0}
    one = pipeline.finding_silent(pd.DataFrame([row]))
    assert one.startswith("**1 of 177 open deals** has not changed for more than 48 days") and "it stands for" in one
    two = pipeline.finding_silent(pd.DataFrame([row | {"n": 2}]))
    assert two.startswith("**2 of 177 open deals** have not changed") and "they stand for" in two
    none = pipeline.finding_silent(pd.DataFrame([row | {"n": 0, "silent_after": 1.0}]))
    assert none == "No open deal has been silent for more than 1 day."
    assert "cannot be told" in pipeline.finding_silent(pd.DataFrame([row | {"n": 0, "silent_after": np.nan}]))


# ---- words ------------------------------------------------------------------------------------------------------------


def test_the_words_follow_the_level_of_the_range(past, combined, crm):
    wide = pipeline.combine(past, level=0.95)
    parts = pipeline.parts(past, wide, 2e6)
    assert "19 times in 20 it will end" in pipeline.finding_parts(parts, past)
    assert "80%" not in str(pipeline.cards_parts(parts)) and "95% range" in str(pipeline.cards_headline(parts, past))
    assert {"lower_95", "upper_95"} <= set(pipeline.table_range(parts)) and "level" not in pipeline.table_range(parts)
    for chart in (pipeline.chart_parts(parts), pipeline.chart_groups(pipeline.by_group(past, wide, crm, "segment"))):
        assert "four times in five" not in str(chart.to_dict()["title"])
    usual = pipeline.parts(past, combined, 2e6)
    assert "four times in five" in pipeline.finding_parts(usual, past)
    said = pipeline.forecast_parts(parts, past)
    assert (said.lower, said.upper) != (parts["lower"].iloc[3], parts["upper"].iloc[3])
    near = pipeline.forecast_parts(usual, past)
    assert said.upper - said.lower == pytest.approx(near.upper - near.lower, rel=0.3), "a kept range is one of 80%"


def test_the_summary_never_says_a_chance_is_certain(past, combined):
    sure = pipeline.parts(past, combined, combined["booked"].iloc[-1] + 1)
    assert "over 99% chance" in str(pipeline.cards_headline(sure, past))


def test_the_value_of_a_step_is_said_in_points_of_any_number():
    steps = pd.DataFrame({
        "step": ["run rate", "called by rep", "this forecast"], "n": 8, "off_by": [0.2, 0.1, 0.09],
        "taken_off": [np.nan, 0.1, 0.01], "taken_off_lower": [np.nan, 0.05, 0.005], "taken_off_upper": [np.nan, 0.15, 0.015],
    })  # fmt: skip
    assert pipeline.finding_value_added(steps).endswith("this forecast takes off 1 point.")
    worse = steps.assign(taken_off=-0.03, taken_off_upper=-0.01)
    assert pipeline.finding_value_added(worse).endswith("this forecast adds 3 points.")


def test_the_silent_deals_are_at_stake_with_what_the_other_methods_make_of_them():
    assert pipeline.stake_silent(pd.DataFrame({"expected": [7.0], "factor": [2.0]})).amount == 14.0


def test_of_one_group_no_two_are_compared():
    one = pd.DataFrame({"segment": ["Mid-market"], "forecast": [5.0], "target": [4.0], "chance": [0.8]})
    assert (
        pipeline.finding_groups(one) == "**Mid-market** reaches its target with a chance of **80%**; no other has one."
    )
    assert pipeline.finding_groups(one[["segment", "forecast"]]) == (
        "All of the forecast, $5, is of **Mid-market**: there is no other."
    )
    two = pd.concat([one, one.assign(segment="Small", chance=0.5)], ignore_index=True)
    assert pipeline.finding_groups(two).startswith("**1 of 2** is more likely than not to reach")


def test_a_page_of_a_part_says_that_it_is_a_model_of_its_own(crm):
    said = pipeline.finding_period(Q("2024Q2"), Q("2024Q2"), crm, team="Owls", region="", product="")
    assert "from the deals of team Owls alone" in said and "need not agree" in said
    assert "alone" not in pipeline.finding_period(Q("2024Q2"), Q("2024Q2"), crm, team="", region="", product="")


def test_two_sellers_of_one_name_are_two_groups(crm, past, combined):
    ids = sorted(crm.opportunities["rep_id"].dropna().unique())
    reps = pd.DataFrame({"rep_id": ids, "rep": ["Jo Li", "Jo Li", *[f"N{i}" for i in ids[2:]]]})
    targets = pd.DataFrame({"period": "2024Q2", "rep_id": ids[:2], "target": [1000.0, 5000.0]})
    named = replace(crm, tables={**crm.tables, "reps": reps, "targets": targets})
    found = pipeline.by_group(past, combined, named, "rep").set_index("rep")
    assert found.loc[[f"Jo Li ({i})" for i in ids[:2]], "target"].tolist() == [1000.0, 5000.0]


def test_a_part_of_the_company_has_the_target_that_the_company_gave_it(crm, past, combined):
    ids = sorted(crm.opportunities["rep_id"].dropna().unique())
    reps = pd.DataFrame({"rep_id": ids, "rep": ids, "team": ["Owls" if k % 2 else "Bees" for k in range(len(ids))]})
    rows = [("Owls", None, 9e5), ("Bees", None, 8e5), (None, ids[1], 1e5)]
    targets = pd.DataFrame(rows, columns=["team", "rep_id", "target"]).assign(period="2024Q2")
    named = replace(crm, tables={**crm.tables, "reps": reps, "targets": targets})
    part = named.only(team="Owls")
    found = pipeline.by_group(past, combined, part, "team", named).set_index("team")["target"].dropna()
    assert (
        found.to_dict()
        == {"Owls": 9e5}
        != pipeline.by_group(past, combined, part, "team").set_index("team")["target"].to_dict()
    )


def test_a_part_of_a_region_is_not_held_against_the_target_of_all_of_it(crm, past, combined):
    ids = sorted(crm.opportunities["rep_id"].dropna().unique())
    reps = pd.DataFrame(
        {"rep_id": ids, "rep": ids, "team": ["Owls" if k % 2 else "Bees" for k in range(len(ids))], "region": "West"}
    )
    targets = pd.DataFrame({"period": "2024Q2", "rep_id": ids, "target": 1e5})
    named = replace(crm, tables={**crm.tables, "reps": reps, "targets": targets})
    part = named.only(team="Owls")
    found = pipeline.by_group(past, combined, part, "region", named).set_index("region")["target"].dropna()
    assert found.to_dict() == {"West": 1e5 * (len(ids) // 2)}


def test_a_year_has_its_past_quarters_and_says_why_it_has_no_forecast(crm):
    assert pipeline.forecastable(Q("2024")) is None and pipeline.forecastable(Q("2024-05")).label == "2024-05"
    past = pipeline.backtest(crm, pipeline.forecastable(Q("2024")))
    combined = pipeline.combine(past)
    assert "past periods" in pipeline.finding_judged(pipeline.judged(past, combined))
    for asked in (
        lambda: pipeline.parts(past, combined), lambda: pipeline.methods(past, combined), lambda: pipeline.watch(past, combined, crm),
        lambda: pipeline.silent(past, combined), lambda: pipeline.coverage(past, combined, 1.0), lambda: pipeline.lately(past, crm),
        lambda: pipeline.by_group(past, combined, crm, "segment"), lambda: pipeline.last_period(past, crm),
    ):  # fmt: skip
        with pytest.raises(TooLittleData, match="of a year most deals are not entered yet"):
            asked()


def test_the_bridge_of_a_period_that_is_over_counts_what_was_in_it(crm, past, combined):
    between = pipeline.last_period(past, crm)
    bridge = pipeline.bridge(*between, combined).set_index("term")
    span, deals = Q("2024Q1"), crm.opportunities
    inside = deals["closed_date"].between(span.since, "2024-03-31")
    assert bridge.at["Actual", "n"] == (inside & (deals["outcome"] == "won")).sum()
    assert bridge.at["Deals entered", "n"] == deals["created_date"].between(span.since, "2024-03-31").sum()
    old = deals["created_date"] < span.since
    assert bridge.at["Deals lost", "n"] == (inside & (deals["outcome"] == "lost") & old).sum()
    assert (bridge["day"] == pd.Timestamp("2024-03-31")).all()
    first = combined[(combined["period"] == "2024Q1") & (combined["origin"] == "2023-12-31")]["mean"]
    assert bridge["amount"].iloc[0] == first.iloc[0] and "Forecast of 2023-12-31" in bridge.index
    assert bridge["amount"].iloc[:-1].sum() == pytest.approx(bridge["amount"].iloc[-1], abs=0.005)
