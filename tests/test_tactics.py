"""Tactics on the same cases, the trial that would tell them apart, and what becomes of leads: known truth and hand-counted rows."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from salesforecast import channels, stats, style
from salesforecast.channels.adjusting import shared, standardised
from salesforecast.channels.answering import arrival
from salesforecast.errors import MissingTable, SettingError, TooLittleData
from salesforecast.tables import Crm

END = pd.Timestamp("2025-06-30")
SINCE, UNTIL = pd.Timestamp("2024-01-01"), END + pd.Timedelta(days=1)
STAGES = pd.DataFrame({
    "stage": ["A", "B", "C", "Won", "Lost"], "rank": [1, 2, 3, 4, 5], "outcome": ["open", "open", "open", "won", "lost"],
}).astype({"stage": "str", "outcome": "str"})  # fmt: skip


def on(*days):
    return pd.to_datetime([pd.NaT if d is None else SINCE + pd.Timedelta(days=d) for d in days]).astype(
        "datetime64[us]"
    )


def texts(values):
    return pd.Series(list(values), dtype="str")


def worked(seed, gap=0.0, n=3000):
    """Deals with one attempt each. E-mails go to deals that are further, which move on more often; `gap` is what they add on the log-odds."""
    rng = np.random.default_rng(seed)
    account, stage = np.arange(n) // 2, rng.integers(0, 2, n)
    email = rng.random(n) < np.where(stage == 1, 0.8, 0.2)
    shock = 0.5 * rng.standard_normal(n // 2 + 1)[account]
    base = np.where(stage == 1, 0.3, -1.4) + shock
    moved = rng.random(n) < expit(base + gap * email)
    day = rng.integers(0, 400, n)
    ids = texts(f"D{i:05}" for i in range(n))
    first = pd.DataFrame(
        {"opportunity_id": ids, "entered_at": on(*day), "sequence": 1, "stage": texts(np.array(["A", "B"])[stage])}
    )
    then = pd.DataFrame(
        {
            "opportunity_id": ids,
            "entered_at": on(*(day + 9)),
            "sequence": 2,
            "stage": texts(np.array(["B", "C"])[stage]),
        }
    )[moved]
    opportunities = pd.DataFrame({
        "opportunity_id": ids, "account_id": texts(f"C{a:05}" for a in account), "stage": "A", "outcome": texts(["open"] * n),
        "created_date": on(*day), "closed_date": pd.Series(pd.NaT, index=range(n), dtype="datetime64[us]"),
    })  # fmt: skip
    activities = pd.DataFrame({
        "activity_id": texts(f"T{i:05}" for i in range(n)), "at": on(*(day + 3)), "rep_id": "U", "opportunity_id": ids,
        "type": texts(np.where(email, "email", "call")), "minutes": np.where(email, 6.0, 30.0),
    })  # fmt: skip
    tables = {"opportunities": opportunities, "stages": STAGES, "activities": activities,
              "stage_history": pd.concat([first, then], ignore_index=True)}  # fmt: skip
    truth = (expit(base + gap) - expit(base)).mean()
    return Crm(tables, END), float(truth)


def tried(crm):
    return channels.attempts(crm, since=SINCE, until=UNTIL)


# ---- tactics: known truth --------------------------------------------------------------------------------------------


def test_an_effect_hidden_by_who_gets_which_is_covered_and_the_raw_gap_misleads():
    held, raw = [], []
    for seed in range(12):
        crm, truth = worked(seed, gap=-0.5, n=1000)
        row = channels.pairs(tried(crm)).iloc[0]
        sign = 1 if row["tactic"] == "email" else -1
        low, high = sorted((sign * row["lower"], sign * row["upper"]))
        held.append(low <= truth <= high)
        raw.append(sign * row["raw_gap"])
    assert np.mean(held) >= 0.8
    assert truth < -0.08 and np.mean(raw) > 0.05  # e-mails look better and are worse


def test_where_tactics_do_nothing_hardly_a_pair_is_named(sample):
    named = [(channels.pairs(tried(worked(100 + seed, n=800)[0]))["verdict"] == "above").any() for seed in range(10)]
    assert np.mean(named) <= 0.2
    tries = channels.attempts(
        sample, since=pd.Timestamp("2022-07-01"), until=UNTIL
    )  # in the sample activities do nothing
    rows, pairs = channels.tactics(tries), channels.pairs(tries)
    assert not (pairs["verdict"] == "above").any() and len(pairs) == 21
    assert channels.finding_tactics(rows, pairs).startswith("On the same cases **7 tactics cannot be told apart**")
    assert set(rows.loc[rows["tactic"] == "cold call", "aim"]) == {
        "cannot be judged"
    }  # they carry neither deal nor account
    assert style.spec(channels.chart_tactics(rows))["title"]["text"] == "Attempts after which a deal moved on"


def test_a_clear_effect_is_named_as_an_association():
    crm, _ = worked(1, gap=-1.0)
    tries = tried(crm)
    said = channels.finding_tactics(channels.tactics(tries), channels.pairs(tries))
    assert said.startswith(
        "On the same cases a **call** goes with a result more often than an e-mail: +"
    ) and said.endswith("an association.")
    assert "(95% interval " in said


def test_tactics_with_another_aim_are_not_put_in_one_range():
    rows = [
        ("call", "deal moved on", 900, 0.4),
        ("visit", "deal moved on", 900, 0.5),
        ("event", "deal opened", 60, 0.02),
    ]
    frame = pd.DataFrame(rows, columns=["tactic", "aim", "tries", "adjusted"])
    said = channels.finding_tactics(frame, pd.DataFrame({"verdict": ["same"], "aim": "deal moved on"}))
    assert said == "On the same cases **2 tactics cannot be told apart**: 40% to 50% of attempts go with a result."


def test_tactics_hardly_used_on_the_same_cases_are_not_said_to_be_alike():
    frame = pd.DataFrame(
        {"tactic": ["call", "visit", "demo"], "aim": "deal moved on", "tries": 90, "adjusted": [0.2, 0.5, 0.4]}
    )
    pairs = pd.DataFrame({"aim": "deal moved on", "verdict": ["few"] * 3})
    assert channels.finding_tactics(frame, pairs) == (
        "**3 tactics cannot be compared**: no two of them were used on the same cases often enough."
    )
    some = pairs.assign(verdict=["few", "same", "few"])
    assert channels.finding_tactics(frame, some).endswith(
        "20% to 50% of attempts go with a result; 2 of 3 pairs cannot be compared."
    )


def test_one_tactic_alone_is_not_said_to_be_unlike_others():
    frame = pd.DataFrame({"tactic": ["call"], "aim": "deal moved on", "tries": 90, "adjusted": [0.2]})
    assert channels.finding_tactics(frame, pd.DataFrame({"aim": [], "verdict": []})) == (
        "**Only one tactic was used often enough**, call, so there is none to compare it with."
    )


def test_the_aim_shown_is_one_with_tactics_to_compare():
    frame = pd.DataFrame({"tactic": ["call", "visit", "demo"], "aim": ["deal moved on", "deal opened", "deal opened"],
                          "tries": [900, 60, 60], "adjusted": [0.2, 0.05, 0.04]})  # fmt: skip
    said = channels.finding_tactics(frame, pd.DataFrame({"verdict": ["same"], "aim": "deal opened"}))
    assert said == "On the same cases **2 tactics cannot be told apart**: 4% to 5% of attempts go with a result."


def test_results_per_hour_are_results_over_the_hours_they_took():
    crm, _ = worked(2)
    rows = channels.tactics(tried(crm)).set_index("tactic")
    for name, minutes in (("call", 30), ("e-mail", 6)):
        row = rows.loc[name]
        assert row["per_hour"] == pytest.approx(row["results"] / (row["tries"] * minutes / 60))
        assert (
            row["lower"] < row["share"] < row["upper"]
            and row["per_hour_lower"] < row["per_hour"] < row["per_hour_upper"]
        )


def test_standardised_rates_agree_with_statsmodels():
    import statsmodels.api as sm

    rng = np.random.default_rng(0)
    n = 6000
    x, cluster = rng.integers(0, 3, n), np.arange(n) // 4
    arm = rng.random(n) < np.array([0.2, 0.5, 0.8])[x]
    y = rng.random(n) < expit(-1 + 0.6 * x - 0.4 * arm + 0.5 * rng.standard_normal(n // 4)[cluster])
    fit = standardised(y, pd.Series(np.where(arm, "b", "a")), pd.DataFrame({"x": x}), cluster)
    design = np.column_stack([np.ones(n), arm, x == 1, x == 2]).astype(float)
    model = sm.GLM(y.astype(float), design, family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": cluster}
    )
    ones, zeros = design.copy(), design.copy()
    ones[:, 1], zeros[:, 1] = 1, 0
    theirs = np.array([model.predict(zeros).mean(), model.predict(ones).mean()])
    assert fit.rates == pytest.approx(theirs, abs=5e-4)
    slope = np.array([(p * (1 - p)) @ d / n for p, d in ((model.predict(zeros), zeros), (model.predict(ones), ones))])
    theirs = slope @ model.cov_params() @ slope.T
    ours = fit.covariance
    assert np.diag(ours) == pytest.approx(np.diag(theirs), rel=0.02)
    assert ours[0, 0] + ours[1, 1] - 2 * ours[0, 1] == pytest.approx(
        theirs[0, 0] + theirs[1, 1] - 2 * theirs[0, 1], rel=0.02
    )


def test_tactics_used_on_different_deals_are_not_compared():
    choice = pd.Series(["a"] * 10 + ["b"] * 10)
    apart = shared(choice, pd.DataFrame({"stage": ["1"] * 9 + ["2"] + ["2"] * 10}))
    assert apart.loc["a", "b"] == pytest.approx(11 / 20)
    assert shared(choice, pd.DataFrame({"stage": ["1"] * 10 + ["2"] * 10})).loc["a", "b"] == 0


# ---- tactics: counted by hand ----------------------------------------------------------------------------------------


def test_what_counts_as_an_attempt_and_as_its_result():
    deals = pd.DataFrame({
        "opportunity_id": texts(["D1", "D2", "D3", "D4"]), "account_id": texts(["C1", "C2", "C3", "C4"]), "stage": "A",
        "outcome": texts(["won", "lost", "open", "open"]), "created_date": on(0, 0, 0, 110), "closed_date": on(20, 30, None, None),
    })  # fmt: skip
    moves = [("D1", 0, 1, "A"), ("D1", 20, 2, "Won"), ("D2", 0, 1, "A"), ("D2", 5, 2, "B"), ("D2", 8, 3, "A"), ("D2", 12, 4, "B"),
             ("D2", 30, 5, "Lost"), ("D3", 0, 1, "A"), ("D3", 545, 2, "B"), ("D4", 110, 1, "A")]  # fmt: skip
    history = pd.DataFrame(moves, columns=["opportunity_id", "day", "sequence", "stage"]).astype(
        {"opportunity_id": "str", "stage": "str"}
    )
    history["entered_at"] = on(*history.pop("day"))
    acts = [
        ("1 win in 30 days", 2, "call", "D1", None), ("2 on the closing day", 20, "visit", "D1", None),
        ("3 further in 30 days", 3, "call", "D2", None), ("4 back where it had been", 9, "call", "D2", None),
        ("5 not decided", 540, "email", "D3", None), ("6 opens a deal", 100, "cold_call", None, "C4"),
        ("7 not the first", 105, "cold_call", None, "C4"), ("8 nobody known", 50, "cold_call", None, None),
        ("9 opens none", 100, "cold_call", None, "C1"), ("X no tactic", 100, "admin", None, "C2"), ("Y a deal is open", 100, "call", None, "C3"),
    ]  # fmt: skip
    activities = pd.DataFrame(acts, columns=["activity_id", "day", "type", "opportunity_id", "account_id"])
    activities = activities.astype(dict.fromkeys(("activity_id", "type", "opportunity_id", "account_id"), "str"))
    activities["at"] = on(*activities.pop("day"))
    crm = Crm({"opportunities": deals, "stage_history": history, "stages": STAGES, "activities": activities}, END)
    rows = tried(crm).set_index("activity_id")
    assert rows.index.str[0].tolist() == ["1", "3", "4", "2", "8", "6", "9", "Y", "5"]
    assert rows["aim"].fillna("-").str[5:].to_dict() == {
        "1 win in 30 days": "moved on", "3 further in 30 days": "moved on", "4 back where it had been": "moved on",
        "2 on the closing day": "", "8 nobody known": "", "6 opens a deal": "opened", "9 opens none": "opened", "Y a deal is open": "",
        "5 not decided": "moved on",
    }  # fmt: skip
    judged = rows.dropna(subset="aim")
    assert judged.loc[judged["result"], :].index.str[0].tolist() == ["1", "3", "6", "5"]
    assert rows.index[~rows["decided"]].tolist() == ["5 not decided"]
    assert rows.loc["4 back where it had been", ["stage", "nth"]].tolist() == [
        "A",
        "2",
    ]  # known then, not the stage of today
    table = channels.tactics(tried(crm)).set_index(["tactic", "aim"])
    assert table.loc[("call", "deal moved on"), ["tries", "results"]].tolist() == [3, 2]
    assert table.loc[("e-mail", "deal moved on"), ["tries", "young"]].tolist() == [0, 1]
    assert table.loc[("e-mail", "deal moved on"), ["share", "per_hour"]].isna().all()  # over nothing: missing, not 0


def dealt(rows, acts):
    """Deals of (id, account, day created, day closed, outcome, product), and calls of (id, day, deal, account)."""
    names = ["opportunity_id", "account_id", "created", "closed", "outcome", "product_id"]
    deals = pd.DataFrame(rows, columns=names).drop(columns=["created", "closed"])
    deals = deals.assign(stage="A", created_date=on(*(r[2] for r in rows)), closed_date=on(*(r[3] for r in rows)))
    done = pd.DataFrame(acts, columns=["activity_id", "day", "opportunity_id", "account_id"])
    done = done.assign(at=on(*done.pop("day")), type="call", rep_id="U")
    tables = {"opportunities": deals, "activities": done}
    return Crm({name: t.astype({c: "str" for c in t if t[c].dtype == object}) for name, t in tables.items()}, END)


def test_an_attempt_that_opens_a_deal_the_same_day_is_a_result():
    crm = dealt(
        [("D1", "C1", 10, None, "open", "P"), ("D2", "C2", 5, 10, "lost", "P"), ("D3", "C3", 9, None, "open", "P")],
        [("opens it", 10, None, "C1"), ("closed that day", 10, None, "C2"), ("one is open", 10, None, "C3")],
    )
    rows = tried(crm).set_index("activity_id")
    assert rows["aim"].fillna("-").to_dict() == {
        "opens it": "deal opened",
        "closed that day": "deal opened",
        "one is open": "-",
    }
    assert rows["result"].to_dict() == {"opens it": True, "closed that day": False, "one is open": False}


def test_attempts_of_one_product_are_those_on_its_deals_and_what_was_open_is_that_of_all():
    crm = dealt(
        [("D1", "C1", 0, None, "open", "P"), ("D2", "C2", 0, None, "open", "Q"), ("D3", "C3", 12, None, "open", "Q"),
         ("D4", "C4", 12, None, "open", "P")],
        [("on P", 10, "D1", "C1"), ("on Q", 10, "D2", "C2"), ("Q is open", 10, None, "C2"), ("opens Q", 10, None, "C3"), ("opens P", 10, None, "C4")],
    )  # fmt: skip
    rows = channels.attempts(crm, since=SINCE, until=UNTIL, of=crm.only(product="P")).set_index("activity_id")
    assert rows["aim"].fillna("-").to_dict() == {
        "Q is open": "-", "on P": "deal moved on", "opens P": "deal opened", "opens Q": "deal opened",
    }  # fmt: skip
    assert rows["result"].to_dict() == {"Q is open": False, "on P": False, "opens P": True, "opens Q": False}


def test_attempts_of_a_part_are_attempts_of_all(sample):
    part = sample.only(product="Atlas")
    every = channels.attempts(sample, since=SINCE, until=UNTIL).set_index("activity_id")
    some = channels.attempts(sample, since=SINCE, until=UNTIL, of=part).set_index("activity_id")
    assert 0 < len(some) < len(every)
    pd.testing.assert_series_equal(some["aim"], every["aim"].reindex(some.index))
    mine = sample.activities.set_index("activity_id")["opportunity_id"].reindex(some.index).dropna()
    assert mine.isin(part.opportunities["opportunity_id"]).all()


@pytest.mark.parametrize(("months", "said"), [(0.4, "under a month"), (1.2, "1 month"), (2.0, "2 months")])
def test_how_long_a_trial_takes_is_said_in_the_number_it_is_in(months, said):
    plan = channels.trial(tries := tried(worked(1)[0]), channels.pairs(tries)).assign(months=months, tries_each=1.0)
    assert channels.finding_trial(plan).endswith(f"with 1 attempt each, {said} at today's pace.")


def test_too_little_is_said():
    crm, _ = worked(1, n=60)
    with pytest.raises(TooLittleData, match="No two tactics have 50 attempts"):
        channels.pairs(tried(crm))
    with pytest.raises(TooLittleData, match="Nobody was called"):
        channels.attempts(crm, since=UNTIL, until=UNTIL + pd.Timedelta(days=90))
    with pytest.raises(MissingTable, match="Add the activities"):
        tried(Crm({"opportunities": crm.opportunities}, END))


# ---- the trial -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("base", "gap"), [(0.05, 0.02), (0.10, 0.05), (0.30, 0.10), (0.42, 0.03), (0.90, 0.05)])
def test_sample_sizes_reach_the_power_that_statsmodels_computes(base, gap):
    from statsmodels.stats.proportion import power_proportions_2indep

    n = channels.arm_size(base, base + gap)
    assert power_proportions_2indep(gap, base, n, return_results=False) == pytest.approx(0.80, abs=2e-3)
    assert power_proportions_2indep(gap, base, n - 2, return_results=False) < 0.80 + 1e-4
    assert channels.detectable(base, n) == pytest.approx(gap, rel=1e-2)
    assert channels.arm_size(base, base + gap, design=1.7) == pytest.approx(1.7 * n, abs=2)


def test_the_design_effect_finds_the_correlation_that_was_planted():
    rng = np.random.default_rng(3)
    size = rng.integers(1, 7, 20000)
    cluster = np.repeat(np.arange(20000), size)
    y = rng.random(len(cluster)) < rng.beta(0.3 * 4, 0.7 * 4, 20000)[cluster]  # correlation 1 / (4 + 1)
    design, rho = channels.design_effect(y, cluster)
    assert rho == pytest.approx(0.20, abs=0.02)
    assert design == pytest.approx(1 + ((size**2).sum() / size.sum() - 1) * rho)
    assert channels.design_effect(y, np.arange(len(y))) == (1.0, 0.0)


def test_a_trial_as_planned_sees_the_gap_four_times_in_five():
    rng, base, gap, m, rho = np.random.default_rng(5), 0.30, 0.08, 5, 0.15
    n = channels.arm_size(base, base + gap, design=1 + (m - 1) * rho)
    accounts, seen, size = round(n / m), [], 1 / rho - 1
    for _ in range(600):
        arms = [rng.binomial(m, rng.beta(p * size, (1 - p) * size, accounts)) / m for p in (base, base + gap)]
        error = np.sqrt(sum(a.var(ddof=1) / accounts for a in arms))
        seen.append((arms[1].mean() - arms[0].mean()) / error > 1.96)
    assert np.mean(seen) == pytest.approx(0.80, abs=0.045)


def test_the_plan_is_for_the_comparison_asked_or_the_one_with_most_at_stake():
    tries = tried(worked(1)[0])
    pairs = channels.pairs(tries)
    plan = channels.trial(tries, pairs)
    assert plan["to_tell"].tolist()[:2] == ["in 3 months", "in 12 months"]
    row = plan.set_index("to_tell").loc["5 points"]
    assert row["tries_each"] == channels.arm_size(row["base"], row["base"] + 0.05, design=row["design"])
    assert row["months"] == pytest.approx(2 * row["tries_each"] / row["a_month"])
    year = plan.iloc[1]
    assert channels.arm_size(year["base"], year["base"] + year["gap_share"], design=year["design"]) == pytest.approx(
        year["tries_each"], rel=0.01
    )
    assert channels.finding_trial(plan).startswith("A trial of **") and "attempts each" in channels.finding_trial(plan)
    assert "two-sided 5%. No look before" in channels.rule(plan)
    assert channels.trial(tries, pairs, tactic="email", other="call").equals(plan)
    assert style.spec(channels.chart_trial(plan))["title"]["text"] == "Months to tell a gap between the two"
    with pytest.raises(SettingError, match="Did you mean 'email'"):
        channels.trial(tries, pairs, tactic="emial")


# ---- leads -----------------------------------------------------------------------------------------------------------


def inbox(seed=0, n=4000, favourite=1.0, speed=0.0, immortal=False):
    """Leads of a year and a half dealt out to 12 reps, one of whom may be favoured; `speed` is what an answer within 4 hours adds."""
    rng = np.random.default_rng(seed)
    day, rep = np.sort(rng.random(n) * 540), rng.choice(12, n, p=np.r_[favourite, np.ones(11)] / (favourite + 11))
    channel = rng.choice(3, n)
    wait = np.exp(rng.normal(-0.8, 1.5, n))
    became = rng.random(n) < expit(np.array([-1.5, -0.8, 0.0])[channel] + speed * (wait < 1 / 6))
    to_deal = np.exp(rng.normal(1.6, 0.9, n))
    if immortal:  # whoever buys before the answer is never answered
        wait = np.where(became & (to_deal < wait), np.nan, wait)
    today = 546.0
    became &= np.floor(day + to_deal) <= today
    answered = day + wait < today
    to_win, wins = np.exp(rng.normal(3.5, 0.6, n)), rng.random(n) < 0.4
    ends = np.floor(day + to_deal) + np.round(to_win * np.where(wins, 1, 3))
    closed = became & (ends <= today)
    start = SINCE.to_datetime64()
    at = pd.Series(start + (day * 86400).astype("timedelta64[s]")).astype("datetime64[us]")
    answer = pd.Series(start + (np.nan_to_num(day + wait) * 86400).astype("timedelta64[s]")).astype("datetime64[us]")
    ids = texts(f"D{i:05}" for i in range(n))
    leads = pd.DataFrame({
        "lead_id": texts(f"L{i:05}" for i in range(n)), "created_at": at, "channel": texts(np.array(["X", "Y", "Z"])[channel]),
        "rep_id": texts(f"U{r:02}" for r in rep), "first_response_at": answer.where(pd.Series(answered & ~np.isnan(wait))),
        "opportunity_id": ids.where(pd.Series(became)),
    })  # fmt: skip
    opportunities = pd.DataFrame({
        "opportunity_id": ids, "stage": "A", "created_date": on(*np.floor(day + to_deal)),
        "outcome": texts(np.where(closed, np.where(wins, "won", "lost"), "open")),
        "closed_date": pd.Series(on(*ends)).where(pd.Series(closed)),
    })[became]  # fmt: skip
    return Crm({"leads": leads, "opportunities": opportunities.reset_index(drop=True)}, END)


def test_an_even_deal_is_called_even_and_a_favourite_is_found():
    uneven = []
    for seed in range(12):
        shares = channels.distribution(inbox(seed, n=1200), since=SINCE, until=UNTIL)
        uneven.append(channels.fairness(shares).set_index("measure").loc["number", "p"] < 0.05)
        assert shares["even"].sum() == pytest.approx(1200) and shares["got"].sum() == 1200
    assert np.mean(uneven) <= 0.17
    shares = channels.distribution(inbox(1, favourite=1.6), since=SINCE, until=UNTIL)
    fair = channels.fairness(shares)
    assert shares.iloc[0][["rep_id", "verdict"]].tolist() == ["U00", "above"]
    assert channels.finding_distribution(shares, fair).startswith(
        "**U00** got 502 leads where an even deal gives 333; 1 rep is outside of chance"
    )
    assert fair.set_index("measure").loc["quality", "p"] > 0.05
    assert style.spec(channels.chart_distribution(shares))["title"]["text"] == "Leads got, over an even deal's"


def test_of_even_deals_one_in_twenty_is_called_uneven_also_between_two_reps(monkeypatch):
    from scipy.stats import binomtest

    monkeypatch.setattr("salesforecast.channels.leads.DRAWS", 10)  # of the Gini by lot, which is not asked here
    rng = np.random.default_rng(0)
    for reps, lots in ((2, 1000), (5, 1000)):
        even = np.full(reps, 400 / reps)
        told = 0
        for got in rng.multinomial(400, np.full(reps, 1 / reps), size=lots):
            spread = np.sqrt(even * (1 - 1 / reps))
            frame = pd.DataFrame(
                {
                    "got": got,
                    "even": even,
                    "spread": spread,
                    "got_ratio": got / even,
                    "good_error": 0.0,
                    "good_gap": 0.0,
                }
            )
            told += channels.fairness(frame).loc[0, "p"] < 0.05
        assert binomtest(int(told), lots, 0.05).pvalue > 0.01


def test_better_leads_for_one_rep_are_seen():
    crm = inbox(2)
    leads = crm.leads
    rng = np.random.default_rng(0)
    leads["rep_id"] = leads["rep_id"].mask((leads["channel"] == "Z") & (rng.random(len(leads)) < 0.15), "U00")
    fair = channels.fairness(channels.distribution(crm, since=SINCE, until=UNTIL)).set_index("measure")
    assert fair.loc["quality", "p"] < 0.001


def test_how_good_a_lead_is_was_known_when_it_came_in():
    crm = inbox(3)
    good, last = channels.quality(crm), pd.Timestamp("2025-01-01")
    early = crm.leads["created_at"] < last
    later = Crm(
        {**crm.tables, "leads": crm.leads.assign(opportunity_id=crm.leads["opportunity_id"].where(early, "nothing"))},
        END,
    )
    pd.testing.assert_series_equal(good[early.to_numpy()], channels.quality(later)[early.to_numpy()])
    first = crm.leads["created_at"] < SINCE + pd.Timedelta(days=90)
    assert good[first.to_numpy()].isna().all() and good[~first.to_numpy()].notna().all()
    means = good.groupby(crm.leads["channel"].to_numpy()).last()
    assert means["X"] < means["Y"] < means["Z"]


def test_a_rep_who_was_not_there_was_not_passed_over():
    crm = inbox(4)
    half = pd.Timestamp("2024-10-01")
    leads = crm.leads[~((crm.leads["rep_id"] == "U03") & (crm.leads["created_at"] >= half))].reset_index(drop=True)
    staff = pd.DataFrame({"rep_id": texts(f"U{r:02}" for r in range(13)), "rep": texts(f"Rep {r}" for r in range(13))})
    staff["end_date"] = pd.Series(pd.NaT, index=range(13), dtype="datetime64[us]").mask(
        staff["rep_id"] == "U03", half - pd.Timedelta(days=1)
    )
    shares = channels.distribution(
        Crm({**crm.tables, "leads": leads, "reps": staff}, END), since=SINCE, until=UNTIL
    ).set_index("rep_id")
    assert "U12" not in shares.index  # never a lead and never a deal: not a seller
    assert shares.loc["U03", "verdict"] == "same"
    alone = channels.distribution(Crm({**crm.tables, "leads": leads}, END), since=SINCE, until=UNTIL).set_index(
        "rep_id"
    )
    assert alone.loc["U03", "verdict"] == "below"


def test_waiting_leads_count_as_waiting_and_the_curve_agrees_with_statsmodels():
    from statsmodels.duration.survfunc import SurvfuncRight

    rng = np.random.default_rng(0)
    wait, end = rng.exponential(2, 300).round(1), rng.exponential(3, 300).round(1)
    duration, came = np.minimum(wait, end), wait <= end
    ours, theirs = arrival(duration, came), SurvfuncRight(duration, came.astype(int))
    at = np.isin(theirs.surv_times, ours["time"])
    assert 1 - ours["share"].to_numpy() == pytest.approx(theirs.surv_prob[at])
    assert ours.loc[ours["share"] >= 0.5, "time"].iloc[0] == theirs.quantile(0.5)
    low, high = (ours.loc[ours[c] >= 0.5, "time"].iloc[0] for c in ("upper", "lower"))
    with np.errstate(divide="ignore", invalid="ignore"):  # theirs, at the last time
        assert (low, high) == pytest.approx(theirs.quantile_ci(0.5, method="cloglog"), abs=0.11)
    crm = inbox(5, immortal=True)
    frame = channels.answering(crm, since=SINCE, until=UNTIL)
    total = frame.iloc[-1]
    plain = (crm.leads["first_response_at"] - crm.leads["created_at"]).dt.total_seconds().median() / 86400
    assert total["rep"] == "All" and total["leads"] == 4000 == total["answered"] + total["waiting"]
    assert total["median_days"] > plain and total["lower"] < total["median_days"] < total["upper"]
    assert "Half of the leads are answered within **" in channels.finding_answering(frame)


def test_answering_time_that_does_nothing_is_not_credited_even_where_buyers_never_get_an_answer():
    p = [
        channels.by_answer(inbox(seed, n=1500, immortal=True), since=SINCE, until=UNTIL)["p"].iloc[0]
        for seed in range(8)
    ]
    assert np.mean(np.array(p) < 0.05) <= 0.25
    frame = channels.by_answer(inbox(1, immortal=True), since=SINCE, until=UNTIL)
    assert channels.finding_by_answer(frame).startswith("Leads answered sooner or later **cannot be told apart**")


def test_answering_time_that_matters_is_found_as_an_association():
    crm = inbox(6, speed=0.8)
    frame = channels.by_answer(crm, since=SINCE, until=UNTIL)
    assert frame["p"].iloc[0] < 0.001 and frame["adjusted"].iloc[0] - frame["adjusted"].iloc[-1] > 0.08
    assert channels.finding_by_answer(frame).endswith("an association.")
    ends = frame["adjusted"].iloc[0] - frame["adjusted"].iloc[-1]
    assert frame["gap_share"].iloc[0] == pytest.approx(ends) and frame["gap_share_lower"].iloc[0] > 0
    young = (crm.leads["created_at"].dt.normalize() + pd.Timedelta(days=61) > END).sum()
    assert 0 < frame["young"].iloc[0] <= young
    assert (
        frame["n"].sum() + frame["young"].iloc[0] + frame["early"].iloc[0] == 4000
    )  # each lead once: in a band, too young, or too early
    assert style.spec(channels.chart_by_answer(frame))["title"]["text"].startswith("Leads that become a deal")


def test_a_channel_with_young_leads_is_not_worse_for_it():
    crm = inbox(7, n=6000)
    leads = crm.leads
    recent = leads["created_at"] >= END - pd.Timedelta(days=8)
    fresh = leads.assign(
        channel=leads["channel"]
        .mask(recent & (leads["channel"] == "Z"), "New")
        .mask(~recent & (leads["channel"] == "Z"), "Old")
    )
    old = fresh[(fresh["channel"] == "Old") & (leads["created_at"] < "2024-03-01")].assign(channel="New")
    fresh.loc[old.index, "channel"] = "New"  # some of its leads are old, most are not
    keep = fresh["channel"].isin(["New", "Old"])
    few = fresh[keep & ((fresh["channel"] == "Old") | recent | (fresh.index % 8 == 0))].reset_index(drop=True)
    frame = channels.handoff(Crm({**crm.tables, "leads": few}, END), since=SINCE, until=UNTIL).set_index(
        ["channel", "step"]
    )
    new, usual = frame.loc[("New", "a deal")], frame.loc[("Old", "a deal")]
    assert new["came"] / new["n"] < usual["lower"]  # the plain share would call it bad
    assert new["lower"] <= usual["share"] <= new["upper"] and new["waiting"] >= 5
    assert "is clearly below" in channels.finding_handoff(frame.reset_index())


def test_shares_won_agree_with_the_curve_where_losses_end_the_case():
    crm = inbox(8)
    frame = channels.handoff(crm, since=SINCE, until=UNTIL)
    won = frame[(frame["channel"] == "All") & (frame["step"] == "won")].iloc[0]
    deals = crm.opportunities
    last = END + pd.Timedelta(days=1)
    age = (deals["closed_date"].fillna(last) - deals["created_date"]).dt.days.to_numpy()
    table = stats.life_table(
        np.zeros(len(deals), int),
        age,
        deals["outcome"].to_numpy("str"),
        np.zeros(len(deals), int),
        1,
        int(age.max()) + 1,
    )
    curve, _ = stats.incidence(table, np.ones((1, 1)))
    assert won["share"] == pytest.approx(curve[0, int(won["horizon"])], abs=0.01)
    assert won["lower"] < 0.4 < won["upper"]  # as they were drawn, with half of the last ones still open
    became = frame[(frame["channel"] == "Z") & (frame["step"] == "a deal")].iloc[0]
    assert became["lower"] < 0.5 < became["upper"]


def test_the_sample_is_read_as_it_was_made(sample):
    since, until = pd.Timestamp("2022-07-01"), UNTIL
    shares = channels.distribution(sample, since=since, until=until)
    assert channels.fairness(shares).set_index("measure").loc["quality", "p"] > 0.01
    speed = channels.by_answer(sample, since=since, until=until)
    assert speed["p"].iloc[0] > 0.05  # answering speed does nothing in it, though the raw shares run from 13% to 37%
    assert speed["share"].max() > 2.5 * speed["share"].min()
    frame = channels.handoff(sample, since=since, until=until)
    assert channels.finding_handoff(frame).startswith(
        "Of 100 leads **28 become deals**, 7 are won; of **Cold call** 21"
    )
    assert (
        channels.chart_handoff(frame).to_dict()
        and channels.chart_answering(channels.answering(sample, since=since, until=until)).to_dict()
    )


def test_a_lost_deal_no_longer_waits_to_be_won():
    crm = inbox(8)
    frame = channels.handoff(crm, since=SINCE, until=UNTIL)
    won = frame.iloc[-1]
    deals = crm.opportunities
    age = (END + pd.Timedelta(days=1) - deals["created_date"]).dt.days
    still = (deals["outcome"] == "open") & (age < won["horizon"])
    lost = (deals["outcome"] == "lost") & (age < won["horizon"])
    assert won["step"] == "won" and won["waiting"] == still.sum() and lost.sum() > 0


def test_a_channel_named_all_is_not_the_total_of_the_hand_off():
    crm = inbox(8)
    leads = crm.leads.assign(channel=crm.leads["channel"].replace("X", "All"))
    frame = channels.handoff(Crm({**crm.tables, "leads": leads}, END), since=SINCE, until=UNTIL)
    plain = channels.handoff(crm, since=SINCE, until=UNTIL)
    assert channels.finding_handoff(frame) == channels.finding_handoff(plain).replace("X", "All")
    assert len(style.spec(channels.chart_handoff(frame))["datasets"]) == len(
        style.spec(channels.chart_handoff(plain))["datasets"]
    )


@pytest.mark.parametrize(("share", "said"), [
    (0.01, "Of 100 leads **1 becomes a deal**, 1 is won; no rep is clearly below that."),
    (0.02, "Of 100 leads **2 become deals**, 2 are won; no rep is clearly below that."),
])  # fmt: skip
def test_the_hand_off_is_said_in_the_number_it_is_in(share, said):
    rows = [(who, step, s) for who in ("U1", "All") for step, s in (("a deal", share), ("won", 1.0))]
    frame = pd.DataFrame(rows, columns=["rep_id", "step", "share"]).assign(lower=0.0, upper=1.0)
    assert channels.finding_handoff(frame) == said


def test_a_channel_whose_deals_are_won_less_often_is_named_at_that_step():
    rows = [("A", "a deal", 0.52, 0.5, 0.54), ("A", "won", 0.4, 0.3, 0.5), ("Out", "a deal", 0.48, 0.4, 0.55),
            ("Out", "won", 0.17, 0.13, 0.22), ("All", "a deal", 0.5, 0.48, 0.52), ("All", "won", 0.31, 0.28, 0.33)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["channel", "step", "share", "lower", "upper"])
    assert channels.finding_handoff(frame) == (
        "Of 100 leads **50 become deals**, 16 are won; of 100 deals of **Out** 17 (13 to 22) are won, of all 31."
    )
    frame.loc[2, ["share", "lower", "upper"]] = [0.3, 0.25, 0.35]
    assert channels.finding_handoff(frame).endswith(
        "of **Out** 30 (25 to 35) become deals; of 100 deals of **Out** 17 (13 to 22) are won, of all 31."
    )


def test_two_reps_of_one_name_are_two():
    crm = inbox(1)
    reps = pd.DataFrame(
        {"rep_id": texts(f"U{r:02}" for r in range(12)), "rep": texts(["Jo", "Jo", *(f"Rep {r}" for r in range(10))])}
    )
    two = Crm({**crm.tables, "reps": reps}, END)
    waits, shares = (
        channels.answering(two, since=SINCE, until=UNTIL),
        channels.distribution(two, since=SINCE, until=UNTIL),
    )
    for frame in (waits[:-1], shares):
        assert {"Jo (U00)", "Jo (U01)"} < set(frame["rep"]) and len(frame) == 12
    assert waits.iloc[-1]["leads"] == waits[:-1]["leads"].sum()


def test_a_chart_of_some_of_many_says_so():
    frame = pd.DataFrame({"rep": [f"R{i}" for i in range(40)] + ["All"], "leads": 50, "answered": 50, "waiting": 0,
                          "median_days": np.r_[np.arange(40) / 40, 0.5], "lower": 0.1, "upper": 0.9, "in_a_day": 0.9})  # fmt: skip
    assert "the 12 fastest and 12 slowest of 40" in str(
        style.spec(channels.chart_answering(frame))["title"]["subtitle"]
    )
    assert "slowest" not in str(style.spec(channels.chart_answering(frame.tail(20)))["title"]["subtitle"])


def test_missing_columns_are_named():
    crm = inbox(9, n=200)
    bare = Crm({**crm.tables, "leads": crm.leads.drop(columns=["first_response_at", "rep_id", "channel"])}, END)
    for ask, column in ((channels.answering, "first_response_at"), (channels.by_answer, "first_response_at"),
                        (channels.distribution, "rep_id"), (channels.handoff, "channel")):  # fmt: skip
        with pytest.raises(MissingTable, match=column):
            ask(bare, since=SINCE, until=UNTIL)
    with pytest.raises(TooLittleData, match="No lead came in"):
        channels.answering(crm, since=UNTIL, until=UNTIL + pd.Timedelta(days=30))


def test_sooner_is_not_called_better_where_only_a_band_between_differs():
    frame = pd.DataFrame({"answered": ["within 1 hour", "1 to 4 hours", "later or not yet"], "adjusted": [0.2, 0.4, 0.21], "p": 0.001,
                          "gap_share": -0.01, "gap_share_lower": -0.05, "gap_share_upper": 0.03})  # fmt: skip
    assert "20% to 40%, **but not the sooner, the more**" in channels.finding_by_answer(frame)
    clear = frame.assign(gap_share=0.1, gap_share_lower=0.05, gap_share_upper=0.15)
    assert channels.finding_by_answer(clear) == (
        "Leads answered **within 1 hour** become deals more often than those answered later or not yet: +10 points "
        "(95% interval +5 points to +15 points), an association."
    )
