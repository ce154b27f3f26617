from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import deals
from salesforecast import funnel, synthetic
from salesforecast.errors import MissingTable, SettingError, TooLittleData
from salesforecast.periods import period

STAGES = pd.DataFrame(
    {"stage": ["Qualify", "Propose", "Won", "Lost"], "rank": [1, 2, 3, 4], "outcome": ["open", "open", "won", "lost"]}
)
END = pd.Timestamp("2025-06-30")


def company(n=600, seed=0, days=540, win=0.4):
    """Deals entered evenly; won after 10 to 40 days, lost after 20 to 120, closed only when that is before the end."""
    rng = np.random.default_rng(seed)
    created = rng.integers(0, days, n)
    won = rng.random(n) < win
    closed = created + np.where(won, rng.integers(10, 41, n), rng.integers(20, 121, n))
    frame = pd.DataFrame({"created": created, "closed": closed, "won": won})
    zero = END - pd.Timedelta(days=days)
    done = frame["closed"] <= days
    return pd.DataFrame({
        "opportunity_id": [f"D{i:05}" for i in range(n)], "account_id": [f"A{i % 200:03}" for i in range(n)],
        "created_date": zero + pd.to_timedelta(frame["created"], unit="D"),
        "closed_date": (zero + pd.to_timedelta(frame["closed"], unit="D")).where(done),
        "outcome": pd.Series(np.where(done, np.where(won, "won", "lost"), "open"), dtype="str"),
        "amount": rng.integers(50, 150, n).astype(float), "stage": "Qualify", "product": rng.choice(["Atlas", "Borealis"], n),
    })  # fmt: skip


# ---- metrics -----------------------------------------------------------------------------------------------------------


def test_counts_and_amounts_of_a_period_are_those_of_a_plain_count():
    d, q = company(), period("2025Q2")
    row = funnel.metrics(d, period=q, as_of=END).iloc[0]
    inside = d["closed_date"].between(q.since, q.until, inclusive="left")
    won = d[inside & (d["outcome"] == "won")]
    assert row["won"] == len(won) and row["lost"] == (inside & (d["outcome"] == "lost")).sum()
    assert row["bookings"] == won["amount"].sum() and row["average_size"] == pytest.approx(won["amount"].mean())
    assert row["open_deals"] == (d["outcome"] == "open").sum()
    before = funnel.metrics(d, period=q, as_of=END).iloc[1]
    then_open = (d["created_date"] < "2025-04-01") & ~(d["closed_date"] < "2025-04-01")
    assert (before["period"], before["open_deals"]) == ("2025Q1", then_open.sum())


def test_velocity_is_the_product_of_its_factors():
    for row in funnel.metrics(company(), period=period("2025Q2"), as_of=END).dropna(subset="velocity").itertuples():
        alive = row.open_deals * row.alive
        assert row.velocity == pytest.approx(alive * row.average_size * row.win_rate / row.time_to_close)


def test_velocity_is_what_a_steady_company_books_in_a_day():
    # Little's law: what leaves the funnel a day is what is in it over how long it stays.
    rows = pd.DataFrame(
        [funnel.metrics(company(seed=s, n=2000), period=period("2025Q2"), as_of=END).iloc[0] for s in range(10)]
    )
    assert rows["velocity"].mean() == pytest.approx(rows["bookings"].mean() / 91, rel=0.04)
    usual = rows["open_deals"] * rows["average_size"] * rows["win_rate"] / 25  # N A W / T with the wins' 25 days
    assert usual.mean() > 2 * rows["bookings"].mean() / 91


def test_win_rate_and_time_find_what_the_company_was_made_with():
    rows = [funnel.metrics(company(seed=s, n=2000), period=period("2025Q2"), as_of=END).iloc[0] for s in range(10)]
    frame = pd.DataFrame(rows)
    assert frame["horizon"].between(38, 40).all()
    assert frame["win_rate"].mean() == pytest.approx(0.4, abs=0.015)
    # Won after 10 to 40 days, lost after 20 to 120 of which the first 40 count: 0.4 x 25 + 0.6 x 37.9.
    assert frame["time_to_close"].mean() == pytest.approx(32.7, abs=0.8)
    assert frame["win_rate"].between(frame["win_rate_lower"], frame["win_rate_upper"]).all()


def test_deals_older_than_nearly_all_wins_do_not_count_as_alive():
    d = company(n=2000)
    row = funnel.metrics(d, period=period("2025Q2"), as_of=END).iloc[0]
    is_open = d["outcome"] == "open"
    young = (END - d["created_date"]).dt.days <= row["horizon"]
    assert row["alive"] == pytest.approx((is_open & young).sum() / is_open.sum())
    dead = d[is_open].assign(
        opportunity_id=lambda x: x["opportunity_id"] + "z",
        created_date=lambda x: x["created_date"] - pd.Timedelta(days=300),
    )
    buried = funnel.metrics(pd.concat([d, dead], ignore_index=True), period=period("2025Q2"), as_of=END).iloc[0]
    assert buried["open_deals"] == 2 * row["open_deals"]
    assert buried["velocity"] == pytest.approx(row["velocity"], rel=0.05)


def test_a_period_that_is_not_over_is_compared_with_the_same_days():
    frame = funnel.metrics(company(), period=period("2025Q2"), as_of=pd.Timestamp("2025-05-10"))
    assert ((frame["until"] - frame["since"]).dt.days == 40).all()


def test_open_deals_without_a_created_date_are_told_not_dropped():
    d = company()
    d.loc[d.index[d["outcome"] == "open"][:5], "created_date"] = pd.NaT
    row = funnel.metrics(d, period=period("2025Q2"), as_of=END).iloc[0]
    assert row["undated"] == 5 and row["open_deals"] == (d["outcome"] == "open").sum() - 5
    found = (f(d, period=period("2025Q2"), as_of=END) for f in (funnel.metrics, funnel.changes, funnel.trend))
    cards = str(funnel.cards_metrics(*found))
    assert "5 more without a date" in cards


def test_deals_after_the_period_change_none_of_its_counts():
    d, q = company(), period("2025Q1")
    late = d["created_date"] >= q.until
    one, other = (
        funnel.metrics(x, period=q, as_of=END).iloc[0] for x in (d, d.assign(amount=d["amount"].mask(late, 9e9)))
    )
    assert one[["won", "lost", "open_deals", "bookings"]].equals(other[["won", "lost", "open_deals", "bookings"]])


def test_a_period_without_earlier_data_has_nothing_to_compare_with_and_says_so():
    d = company(days=80)
    metrics, changes = (f(d, period=period("2025Q2"), as_of=END) for f in (funnel.metrics, funnel.changes))
    assert changes["change"].isna().all() and not changes["sure"].any()
    assert "no earlier period" in funnel.finding_metrics(metrics, changes)


@given(st.integers(0, 30), st.sampled_from(["2025Q2", "2025-05", "2025Q1"]))
def test_the_parts_of_the_change_of_velocity_add_up_exactly(seed, label):
    drivers = funnel.velocity_drivers(company(n=1500, seed=seed), period=period(label), as_of=END)
    for _, rows in drivers.groupby("against"):
        parts = rows["part"].to_numpy()
        assert parts[1:-1].sum() == pytest.approx(parts[-1] - parts[0], rel=1e-9)


def test_the_period_with_too_few_wins_for_a_velocity_is_the_one_named():
    d = company(n=1500)
    late, last = d["closed_date"] >= "2025-04-01", d["closed_date"] >= "2025-06-27"
    few = d.assign(outcome=d["outcome"].mask(late & ~last & (d["outcome"] == "won"), "lost"))
    wins = ((few["outcome"] == "won") & late).sum()
    with pytest.raises(
        TooLittleData, match=f"to compare: 2025Q2 has {wins} wins with dates, and 10 are needed"
    ) as error:
        funnel.velocity_drivers(few, period=period("2025Q2"), as_of=END)
    assert wins < 10 and "Neither" not in str(error.value)
    early = d.assign(
        outcome=d["outcome"].mask(~late & (d["outcome"] == "won") & (d["closed_date"] >= "2024-04-01"), "lost")
    )
    said = "no earlier velocity to compare 2025Q2 with: 2025Q1 has 0 wins with dates, and 10 are needed; 2024Q2 has 0"
    with pytest.raises(TooLittleData, match=said):
        funnel.velocity_drivers(early, period=period("2025Q2"), as_of=END)
    bare = d.assign(amount=d["amount"].mask(late))
    with pytest.raises(TooLittleData, match="no win of 2025Q2 has an amount"):
        funnel.velocity_drivers(bare, period=period("2025Q2"), as_of=END)
    dead = d[~(d["outcome"] == "open")]
    with pytest.raises(TooLittleData, match="no deal that may still be won was open at the end of 2025Q2"):
        funnel.velocity_drivers(dead, period=period("2025Q2"), as_of=END)


def test_orders_read_as_deals_all_won_on_their_day_are_said_to_be_just_that():
    d = company(n=1500)
    sold = d[d["outcome"] == "won"].assign(created_date=lambda f: f["closed_date"])
    for ask in (funnel.win_curve, lambda f, as_of: funnel.velocity_drivers(f, period=period("2025Q2"), as_of=as_of)):
        with pytest.raises(TooLittleData, match="Nothing was lost and every deal closed on the day it was entered"):
            ask(sold, as_of=END)
    metrics, changes = (f(sold, period=period("2025Q2"), as_of=END) for f in (funnel.metrics, funnel.changes))
    said = funnel.finding_metrics(metrics, changes)
    assert "Nothing was lost and every deal closed on the day it was entered" in said and "too short" not in said


def test_one_changed_factor_takes_the_whole_change():
    d = company(n=1500)
    base = funnel.velocity_drivers(d, period=period("2025Q2"), as_of=END)
    larger = d.assign(amount=d["amount"].mask(d["closed_date"] >= "2025-04-01", d["amount"] * 8 / 5))
    more = funnel.velocity_drivers(larger, period=period("2025Q2"), as_of=END)
    size = (
        more.set_index("driver")["to"]["Average size"].iloc[0] / base.set_index("driver")["to"]["Average size"].iloc[0]
    )
    assert size == pytest.approx(8 / 5)
    changes = funnel.changes(larger, period=period("2025Q2"), as_of=END)
    text = funnel.finding_velocity_drivers(more, changes)
    assert "**larger deals added" in text and "Velocity rose by" in text


def test_too_few_wins_are_said_with_how_many_there_are():
    few = deals((0, 5, "won"), (0, 6, "won"), *[(i, None, "open") for i in range(20)])
    with pytest.raises(
        TooLittleData, match="There are 2 won deals with dates; a win rate that counts open deals needs at least 10"
    ):
        funnel.win_curve(few, as_of=END)
    found = [f(few, period=period("2025Q1"), as_of=END) for f in (funnel.metrics, funnel.changes, funnel.trend)]
    assert found[0].iloc[0][["open_deals", "won", "bookings"]].tolist() == [20, 2, 200.0]
    assert funnel.finding_metrics(*found[:2]).startswith(
        "**20 deals are open**, and $200 from 2 wins were booked in 2025Q1."
    )
    assert "too few" in str(funnel.cards_metrics(*found))


def test_when_nothing_has_closed_yet_that_is_what_is_said():
    with pytest.raises(TooLittleData, match="No deal has closed yet"):
        funnel.win_curve(deals(*[(i, None, "open") for i in range(20)]), as_of=END)


def test_without_dates_the_column_to_add_is_named():
    with pytest.raises(MissingTable, match="needs the column created_date"):
        funnel.win_curve(company().drop(columns="created_date"), as_of=END)


# ---- win curve -----------------------------------------------------------------------------------------------------------


def test_the_curve_finds_the_truth_that_the_naive_rates_miss():
    curves = [funnel.win_curve(company(seed=s, n=1000, days=300), as_of=END).iloc[-1]["won"] for s in range(20)]
    rates = [
        funnel.win_rates(company(seed=s, n=1000, days=300), as_of=END).set_index("definition")["win_rate"]
        for s in range(5)
    ]
    assert np.mean(curves) == pytest.approx(0.4, abs=0.01)
    naive = pd.DataFrame(rates).mean()
    assert (
        naive["won of closed"] > 0.42 and naive["won of closed, entered in the last 180 days"] > naive["won of closed"]
    )
    assert naive["won of all entered"] < 0.39


def test_shares_add_up_and_never_fall():
    curve = funnel.win_curve(company(), as_of=END)
    assert (curve[["won", "lost", "undecided"]].sum(axis=1) - 1).abs().max() < 1e-12
    assert (curve[["won", "lost"]].diff().dropna() >= -1e-12).all(axis=None)
    assert (curve["n"] >= 10 * curve["undecided"]).all() and curve[
        "n"
    ].min() >= 1  # no open deal is more than a tenth of all


def test_shifting_all_days_shifts_no_share():
    d, shift = company(), pd.Timedelta(days=100)
    moved = d.assign(created_date=d["created_date"] + shift, closed_date=d["closed_date"] + shift)
    shares = ["age", "n", "won", "lost", "undecided"]  # the band goes by calendar quarters
    one, other = funnel.win_curve(d, as_of=END), funnel.win_curve(moved, as_of=END + shift)
    pd.testing.assert_frame_equal(one[shares], other[shares])


def test_the_band_covers_the_truth_with_and_without_bad_quarters():
    # The long study is benchmarks/win_curve.py; this is a small one that a wrong band would still fail.
    for shock in (0.0, 0.3):
        truth = replace(synthetic.Truth(), shock_sd=shock, opportunities=3000)
        true = synthetic.win_curve(truth, [56, 112, 252]).set_index("age")["won"]
        held = []
        for seed in range(12):
            found = synthetic.deals(truth, seed)[0]
            curve = funnel.win_curve(found, as_of=truth.as_of, level=0.90).set_index("age").loc[true.index]
            held.append((curve["lower"] <= true) & (true <= curve["upper"]))
        assert 0.7 <= np.mean(held) <= 0.99


def test_good_and_bad_quarters_do_not_hide_the_naive_error():
    # They move the curve and the naive rate together: the band of the curve is wide, the difference is not.
    truth = replace(synthetic.Truth(), shock_sd=0.5, opportunities=4000)
    for seed in range(5):
        rates = funnel.win_rates(synthetic.deals(truth, seed)[0], as_of=truth.as_of)
        curve, closed = rates.iloc[0], rates.iloc[1]
        assert closed["error_lower"] > 0
        assert closed["error_upper"] - closed["error_lower"] < 0.8 * (curve["upper"] - curve["lower"])


def test_the_finding_names_the_direction_of_the_naive_error():
    truth = synthetic.Truth()
    d = synthetic.deals(truth, 1)[0]
    text = funnel.finding_win_curve(*(f(d, as_of=truth.as_of) for f in (funnel.win_curve, funnel.win_rates)))
    assert "too high, since it leaves out the deals still open" in text
    settled = company(n=2000, days=300).assign(
        closed_date=lambda x: x["closed_date"].fillna(x["created_date"] + pd.Timedelta(days=60)),
        outcome=lambda x: x["outcome"].replace("open", "lost"),
    )
    text = funnel.finding_win_curve(
        *(f(settled, as_of=END + pd.Timedelta(days=200)) for f in (funnel.win_curve, funnel.win_rates))
    )
    assert "cannot be told apart" in text


# ---- stages ----------------------------------------------------------------------------------------------------------


def moves(*rows):
    frame = pd.DataFrame(rows, columns=["opportunity_id", "entered_at", "stage"])
    return frame.assign(
        entered_at=pd.to_datetime(frame["entered_at"], format="ISO8601"), sequence=range(1, len(frame) + 1)
    )


HISTORY = moves(
    ("a", "2025-01-01", "Qualify"), ("a", "2025-01-03", "Qualify"), ("a", "2025-01-05", "Propose"), ("a", "2025-01-06", "Won"),
    ("b", "2025-01-01", "Qualify"), ("b", "2025-01-03", "Lost"),
    ("c", "2025-01-01", "Qualify"), ("c", "2025-01-02", "Propose"), ("c", "2025-01-04", "Qualify"),
    ("d", "2025-01-02", "Propose"), ("d", "2025-01-08", "Lost"),
)  # fmt: skip


def test_conversion_counts_skips_as_entered_and_waiting_deals_as_undecided():
    got = funnel.stage_conversion(HISTORY, STAGES).set_index("stage")
    # a, b, c, d entered Qualify (d skipped it), b stopped there; c has been as far as Propose and waits; d was lost from it.
    assert got.loc["Qualify", ["entered", "n", "waiting", "advanced"]].tolist() == [4, 4, 0, 3]
    assert got.loc["Propose", ["entered", "n", "waiting", "advanced"]].tolist() == [3, 2, 1, 1]


def test_time_in_stage_counts_each_stay_and_those_that_go_on():
    got = funnel.time_in_stage(HISTORY, STAGES, as_of=pd.Timestamp("2025-01-10")).set_index("stage")
    # Qualify: a 4 days (its second row ends nothing), b 2, c 1 and then from the 4th on, 7 days and still there.
    assert got.loc["Qualify", ["n", "still_there"]].tolist() == [4, 1]
    assert got.loc["Qualify", "median_days"] == pytest.approx(2)
    # Propose: a 1, c 2, d 6.
    assert got.loc["Propose", ["n", "still_there"]].tolist() == [3, 0]
    assert got.loc["Propose", "median_days"] == pytest.approx(2)


def test_the_order_of_the_rows_does_not_matter():
    mixed = HISTORY.sample(frac=1, random_state=3).reset_index(drop=True)
    pd.testing.assert_frame_equal(funnel.stage_conversion(mixed, STAGES), funnel.stage_conversion(HISTORY, STAGES))
    day = pd.Timestamp("2025-01-10")
    pd.testing.assert_frame_equal(
        funnel.time_in_stage(mixed, STAGES, as_of=day), funnel.time_in_stage(HISTORY, STAGES, as_of=day)
    )


def rates(*rows):
    from salesforecast.stats import add_rate

    frame = pd.DataFrame(rows, columns=["stage", "advanced", "n"]).assign(waiting=0, entered=lambda f: f["n"])
    return add_rate(frame, hits="advanced", n="n", name="conversion")


def test_the_finding_names_the_lowest_share_not_the_largest_count():
    text = funnel.finding_stage_conversion(rates(("Qualify", 600, 1000), ("Propose", 50, 200)))
    assert "**Propose** loses the largest share: 75% of the 200 deals" in text


def test_the_finding_does_not_single_out_a_stage_by_luck():
    text = funnel.finding_stage_conversion(rates(("Qualify", 60, 100), ("Propose", 55, 100)))
    assert "cannot be told apart" in text and "**Propose** and **Qualify**" in text


# ---- stalled and lost ---------------------------------------------------------------------------------------------------


def test_stalled_deals_are_those_older_than_nearly_all_wins():
    d = company()
    got = funnel.stalled(d, as_of=END)
    limit = got["limit"].iloc[0]
    age = (END - d["created_date"]).dt.days
    assert 38 <= limit <= 40  # wins take 10 to 40 days
    assert set(got["opportunity_id"]) == set(d.loc[(d["outcome"] == "open") & (age > limit), "opportunity_id"])
    assert got["amount"].is_monotonic_decreasing
    assert got["chance"].max() < 0.1


def test_the_bands_of_age_hold_every_open_deal_once():
    d = company()
    d.loc[d.index[d["outcome"] == "open"][:4], "created_date"] = pd.NaT
    ages = funnel.pipeline_age(d, as_of=END)
    assert ages["n"].sum() == (d["outcome"] == "open").sum() and ages.iloc[-1]["ages"] == "no created date"
    assert ages["amount"].sum() == pytest.approx(d.loc[d["outcome"] == "open", "amount"].sum())


def test_lost_value_is_that_of_the_deals_lost_in_the_period():
    d, q = company(), period("2025Q1")
    d.loc[d["product"] == "Borealis", "product"] = None
    got = funnel.lost_value(d, period=q, as_of=END, by="product")
    lost = d[(d["outcome"] == "lost") & d["closed_date"].between(q.since, q.until, inclusive="left")]
    assert got["lost"].sum() == len(lost) and got["amount"].sum() == lost["amount"].sum()
    assert set(got["product"]) == {"Atlas", "not filled in"} and got["share"].sum() == pytest.approx(1)


def test_a_reason_that_is_mostly_empty_is_shown_and_not_ranked():
    frame = pd.DataFrame(
        {"lost_reason": ["not filled in", "price"], "lost": [8, 2], "amount": [80.0, 20.0], "share": [0.8, 0.2]}
    )
    assert "not filled in for 80%" in funnel.finding_lost_value(frame)


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(MissingTable, match="needs the column lost_reason"):
        funnel.lost_value(company(), period=period("2025Q1"), as_of=END, by="lost_reason")


def test_lost_by_stage_takes_the_furthest_stage():
    frame = pd.DataFrame({
        "opportunity_id": list("abcd"), "outcome": ["won", "lost", "open", "lost"], "amount": [1.0, 10.0, 5.0, 20.0],
        "closed_date": pd.to_datetime(["2025-01-06", "2025-01-03", None, "2025-01-08"]),
    })  # fmt: skip
    got = funnel.lost_by_stage(frame, HISTORY, STAGES, period=period("2025Q1"), as_of=pd.Timestamp("2025-01-10"))
    assert got[["stage", "lost", "amount"]].to_numpy().tolist() == [["Qualify", 1, 10.0], ["Propose", 1, 20.0]]
    assert "**Propose** holds the most lost value: $20 of $30 (67%)" in funnel.finding_lost_by_stage(got)


def test_missing_amounts_are_counted_and_never_a_zero():
    d = company()
    d.loc[d["product"] == "Borealis", "amount"] = None
    got = funnel.lost_value(d, period=period("2025Q1"), as_of=END, by="product").set_index("product")
    assert got.loc["Borealis", ["valued", "amount"]].tolist() == [0, 0.0] and got.loc["Borealis", "lost"] > 0
    assert "have no amount" in funnel.finding_lost_value(got.reset_index())
    with pytest.raises(TooLittleData, match="none has an amount"):
        funnel.lost_value(d.assign(amount=np.nan).assign(amount=lambda x: x["amount"].where(x["outcome"] != "won", 5.0)),
                          period=period("2025Q1"), as_of=END, by="product")  # fmt: skip
    bare = funnel.metrics(d.assign(amount=np.nan), period=period("2025Q2"), as_of=END)
    assert bare[["bookings", "open_amount"]].isna().all(axis=None)
    changes = funnel.changes(d.assign(amount=np.nan), period=period("2025Q2"), as_of=END)
    assert "No deal won in 2025Q2 has an amount" in funnel.finding_metrics(bare, changes)


def test_flags_and_unknown_columns_to_split_by():
    d = company().assign(is_new_customer=pd.array([True, False] * 300, dtype="boolean"))
    got = funnel.lost_value(d, period=period("2025Q1"), as_of=END, by="is_new_customer")
    assert set(got["is_new_customer"]) == {"True", "False"}
    with pytest.raises(SettingError, match="There is no column to split by 'prodct'. Did you mean 'product'"):
        funnel.lost_value(d, period=period("2025Q1"), as_of=END, by="prodct")
    assert funnel.lost_value(d, period=period("2025Q1"), as_of=END).columns[0] == "product"
    with pytest.raises(MissingTable, match="needs a column to split by: family, product, segment"):
        funnel.lost_value(d.drop(columns="product"), period=period("2025Q1"), as_of=END)
    with pytest.raises(MissingTable, match="family, which comes with the table 'products'"):
        funnel.lost_value(d, period=period("2025Q1"), as_of=END, by="family")


def test_a_reason_only_lost_deals_carry_has_no_loss_rate():
    d = company().assign(lost_reason=lambda x: x["outcome"].map({"lost": "price"}))
    got = funnel.lost_value(d, period=period("2025Q1"), as_of=END, by="lost_reason")
    assert "loss_rate" not in got and list(got["lost_reason"]) == ["price"]


def test_a_curve_that_still_rises_is_not_called_the_end():
    young = company(n=2000, days=45)  # wins take up to 40 days, losses up to 120
    cut = young[young["created_date"] >= END - pd.Timedelta(days=30)]
    curve, rates = (f(cut, as_of=END) for f in (funnel.win_curve, funnel.win_rates))
    text = funnel.finding_win_curve(curve, rates)
    assert "within" in text and "still undecided" in text and "too high" not in text
    assert rates["error"].isna().all()
    with pytest.raises(TooLittleData, match="wins still come at that age"):
        funnel.stalled(cut, as_of=END)


def test_few_deals_at_risk_since_all_others_ended_are_no_short_history():
    rng = np.random.default_rng(5)
    created = rng.integers(0, 500, 300)
    won = rng.random(300) < 0.5
    after = np.where(
        won, rng.integers(10, 101, 300), rng.integers(5, 60, 300)
    )  # wins until the last day, then nothing open
    ended = deals(*zip(created, created + after, np.where(won, "won", "lost"), strict=True))
    end = pd.Timestamp("2025-01-01") + pd.Timedelta(days=800)
    curve = funnel.win_curve(ended, as_of=end)
    assert curve["age"].iloc[-1] >= after[won].max() - 1 and curve["n"].iloc[-1] < 10
    assert curve["won"].iloc[-1] == pytest.approx(won.mean(), abs=0.01) and curve["undecided"].iloc[
        -1
    ] == pytest.approx(0)
    rates = funnel.win_rates(ended, as_of=end)
    assert rates["error"].iloc[1] == pytest.approx(0, abs=0.01) and "in the end" in funnel.finding_win_curve(
        curve, rates
    )
    young = ended.assign(
        outcome=ended["outcome"].mask(created > 440, "open")
    )  # with these open, most of the end is not seen
    young["closed_date"] = young["closed_date"].mask(created > 440)
    seen = funnel.win_curve(young, as_of=pd.Timestamp("2025-01-01") + pd.Timedelta(days=500))
    assert seen["age"].iloc[-1] >= 60


def test_a_handful_of_deals_at_the_first_ages_is_no_curve():
    old = company(n=200, days=400).assign(created_date=lambda x: x["created_date"] - pd.Timedelta(days=100))
    late = old[old["closed_date"] > END - pd.Timedelta(days=60)]
    with pytest.raises(TooLittleData):
        funnel.win_curve(late, as_of=END)


def test_few_wins_have_a_mean_and_no_interval_and_no_sure_change():
    d = company(n=160)
    metrics, changes = (f(d, period=period("2025-06"), as_of=END) for f in (funnel.metrics, funnel.changes))
    assert metrics.iloc[0]["valued"] < 10 and pd.notna(metrics.iloc[0]["average_size"])
    assert pd.isna(metrics.iloc[0]["average_size_lower"]) and pd.isna(metrics.iloc[0]["velocity"])
    assert not changes.loc[changes["metric"] == "average_size", "sure"].any()
    assert "are too few to say" in funnel.finding_metrics(metrics, changes)


def test_one_account_gives_intervals_as_wide_as_deals_by_themselves():
    d = company()
    one, many = (
        funnel.metrics(x, period=period("2025Q2"), as_of=END).iloc[0]
        for x in (d.assign(account_id="A"), d.drop(columns="account_id"))
    )
    assert one["win_rate_upper"] - one["win_rate_lower"] == pytest.approx(
        many["win_rate_upper"] - many["win_rate_lower"]
    )


def test_a_period_before_the_data_says_so():
    with pytest.raises(TooLittleData, match="2020Q1 ends before the first deal was entered"):
        funnel.metrics(company(), period=period("2020Q1"), as_of=END)


def test_the_trend_ends_with_the_metrics_of_the_period():
    d = company(n=2000)
    trend, now = (
        funnel.trend(d, period=period("2025Q2"), as_of=END),
        funnel.metrics(d, period=period("2025Q2"), as_of=END).iloc[0],
    )
    assert len(trend) == 9 and trend["period"].iloc[-1] == "2025Q2"
    assert trend["velocity"].iloc[-1] == pytest.approx(now["velocity"])


def test_a_stage_nobody_leaves_is_not_passed_over():
    rows = [(f"a{i}", "2025-01-01", "Qualify") for i in range(20)] + [
        (f"a{i}", "2025-01-03", "Propose") for i in range(20)
    ]
    times = funnel.time_in_stage(moves(*rows, ("a0", "2025-01-05", "Won")), STAGES, as_of=pd.Timestamp("2025-06-30"))
    assert "**Propose** holds deals longest: 19 of 20 stays have not ended" in funnel.finding_time_in_stage(times)


def test_a_stay_without_an_interval_is_no_winner():
    rows = [(f"a{i}", "2025-01-01", "Qualify") for i in range(20)] + [
        (f"a{i}", f"2025-01-{2 + i % 9:02}", "Lost") for i in range(20)
    ]
    times = funnel.time_in_stage(
        moves(*rows, ("z", "2025-01-01", "Propose"), ("z", "2025-02-01", "Won")), STAGES, as_of=END
    )
    assert "cannot be told apart" in funnel.finding_time_in_stage(times)


def test_a_name_from_the_crm_is_no_markup_in_a_finding():
    text = funnel.finding_stage_conversion(rates(("<script>*x*", 10, 100)))
    assert "<script>" not in text and "*x*" not in text.replace("\\*", "")
