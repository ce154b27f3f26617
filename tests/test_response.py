"""What one more unit of spend brings: known truth, what cannot be told, and money moved only within what was tried."""

import importlib.util
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from conftest import ROOT
from salesforecast import channels, style
from salesforecast.channels.saturation import adstock, hill
from salesforecast.errors import DataError, TooLittleData
from salesforecast.tables import Crm, Settings


def _benchmark():
    module = importlib.util.spec_from_file_location("spend_response", ROOT / "benchmarks" / "spend_response.py")
    benchmark = importlib.util.module_from_spec(module)
    module.loader.exec_module(benchmark)
    return benchmark


benchmark = _benchmark()


def carried(x, decay, most=8):
    """The published sets' own adstock: a finite window, weights that sum to 1."""
    weight = decay ** np.arange(float(most))
    return np.convolve(x, weight / weight.sum())[: len(x)]


def tanh_truth(x, a, top, rate, last=13):
    """Contribution a period, average and marginal return of the last periods, where the answer is top x tanh(rate x a / 2)."""
    flat = np.tanh(rate * a / 2)
    slope = rate / 2 * (1 - flat**2)
    spent = x[-last:].sum()
    return top * np.array([flat[-last:].mean(), flat[-last:].sum() / spent, (slope * a)[-last:].sum() / spent])


def holds(found, channel, truth):
    row = found.set_index("channel").loc[channel]
    bounds = [
        ("contribution_lower", "contribution_upper"),
        ("average_return_lower", "average_return_upper"),
        ("lower", "upper"),
    ]
    return [bool(row[low] <= t <= row[high]) for (low, high), t in zip(bounds, truth, strict=True)]


# ---- simulated sets of others, with known truth ----------------------------------------------------------------------


def test_the_known_effects_of_a_published_set_with_a_common_cause_are_within_the_intervals(evaluation):
    data = pd.read_csv(evaluation / "marketing_mix" / "pymc_mmm_roas_data.csv").rename(columns={"date": "period"})
    spend = data.melt("period", ["x1", "x2"], "channel", "spend")
    total = data.rename(columns={"y": "value"})[["period", "value"]]
    found = channels.response(channels.fitted(spend, total, controls=data[["period", "z"]]))
    truth = {
        "x1": tanh_truth(data["x1"].to_numpy(), data["x1_adstock"].to_numpy(), 200.0, 2 * 0.5),
        "x2": tanh_truth(data["x2"].to_numpy(), data["x2_adstock"].to_numpy(), 150.0, 2.5),
    }
    for channel, effect in (("x1", data["x1_effect"]), ("x2", data["x2_effect"])):
        assert truth[channel][0] == pytest.approx(
            100 * effect[-13:].mean(), rel=0.02
        )  # the truth as the file itself has it
        assert holds(found, channel, truth[channel]) == [True, True, True], channel
    # without what moves both budget and sales, the budget that follows it gets the credit
    without = channels.response(channels.fitted(spend, total)).set_index("channel")
    assert without.loc["x1", "lower"] > truth["x1"][2]


def test_the_known_effects_of_a_published_set_with_flights_are_within_the_intervals(evaluation):
    data = pd.read_csv(evaluation / "marketing_mix" / "pymc_mmm_example_xx254.csv")
    data["period"] = pd.to_datetime(data["date_week"], format="%m/%d/%Y")
    spend = data.melt("period", ["x1", "x2"], "channel", "spend")
    total = data.rename(columns={"y": "value"})[["period", "value"]]
    found = channels.response(channels.fitted(spend, total, controls=data[["period", "event_1", "event_2"]]))
    for channel, top, rate, decay in (("x1", 3000.0, 4.0, 0.4), ("x2", 2000.0, 3.0, 0.2)):
        x = data[channel].to_numpy()
        assert holds(found, channel, tanh_truth(x, carried(x, decay), top, rate)) == [True, True, True], channel
    assert set(found["told"]) == {"yes"}


def test_days_are_refused_with_what_to_do(evaluation):
    data = pd.read_csv(evaluation / "marketing_mix" / "pymc_data_mmm.csv").rename(
        columns={"date_week": "period", "y": "value"}
    )
    with pytest.raises(DataError, match="these are days.*Sum them up to weeks"):
        channels.fitted(data.melt("period", ["x1", "x2"], "channel", "spend"), data[["period", "value"]])


# ---- our own sets: small versions of benchmarks/spend_response.py ----------------------------------------------------


@pytest.mark.parametrize(
    "how", [{}, {"every": "M", "periods": 48, "n": 4, "own": True}], ids=["weekly, the total", "monthly, by channel"]
)
def test_intervals_hold_the_truth_as_often_as_they_say(how):
    found = benchmark.known(6, **how)
    assert found["marginal_return 90%"] >= 0.75 and found["average_return 90%"] >= 0.75  # of 18 and 24, about 16 and 22
    assert abs(found["bias"]) < 0.25 * found["marginal: mean truth"]
    assert found["median error"] < 0.3 * found["marginal: mean truth"]


def test_a_channel_that_brings_nothing_is_not_said_to_bring_something():
    found = benchmark.nothing(4)
    assert found["told"] == 0
    assert found["95% interval holds 0"] >= 0.75


def test_a_budget_that_follows_sales_is_seen_and_no_other_is_called_so():
    found = benchmark.chased(3)
    assert found["seen"] == 1.0
    assert found["claimed of others"] <= 0.1


def test_on_the_sample_where_spend_brings_nothing_no_channel_is_named(sample):
    fit = channels.fitted(channels.spending(sample), channels.sales(sample), delay=channels.delay(sample))
    found = channels.response(fit)
    assert not (found["told"] == "yes").any()
    assert (
        channels.finding_response(found)
        == "What the next unit spent brings **cannot be told** for any of 6 channels: every interval holds 0."
    )
    with pytest.raises(TooLittleData, match="0 of 6 channels can be told"):
        channels.reallocation(fit)


# ---- the curve -------------------------------------------------------------------------------------------------------


def test_steady_spend_carries_over_to_itself_and_one_pulse_is_spread_without_loss():
    assert adstock(np.full(50, 7.0), 0.6, before=7.0) == pytest.approx(np.full(50, 7.0))
    pulse = np.r_[10.0, np.zeros(200)]
    assert adstock(pulse, 0.8).sum() == pytest.approx(10.0)
    assert hill(np.array([0.0, 3.0, 1e12]), 3.0, 2.0) == pytest.approx([0.0, 0.5, 1.0])


def test_the_marginal_return_is_the_slope_of_what_is_brought():
    spend, total, _ = benchmark.history(3)
    fit = channels.fitted(spend, total)
    found = channels.response(fit).set_index("channel")
    for c, name in enumerate(fit.channels):
        curve, at, gain = fit.draws.curves[c], fit.draws.curve[:, c], fit.draws.gain[:, c]
        more, less = (gain * curve.at(times, 13).sum(axis=1)[at] for times in (1.001, 0.999))
        slope = (more - less).mean() / (0.002 * fit.spend[c, -13:].sum())
        assert found.loc[name, "marginal_return"] == pytest.approx(slope, rel=1e-4)
        brought = gain * curve.at(1.0, 13).sum(axis=1)[at]
        assert found.loc[name, "average_return"] == pytest.approx(brought.mean() / fit.spend[c, -13:].sum())


def test_money_in_other_units_gives_the_same_returns_and_the_same_seed_the_same_bytes():
    spend, total, _ = benchmark.history(4)
    first = channels.response(channels.fitted(spend, total))
    again = channels.response(channels.fitted(spend, total))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    cents = channels.response(
        channels.fitted(spend.assign(spend=100 * spend["spend"]), total.assign(value=100 * total["value"]))
    )
    pd.testing.assert_series_equal(first["marginal_return"], cents["marginal_return"], rtol=1e-6)
    shuffled = channels.response(
        channels.fitted(spend.sample(frac=1, random_state=1), total.sample(frac=1, random_state=2))
    )
    pd.testing.assert_frame_equal(first, shuffled)


def test_spend_that_shows_later_is_held_against_later_sales():
    rng = np.random.default_rng(5)
    when = pd.date_range("2021-01-04", periods=130, freq="7D")
    spend = pd.DataFrame({"channel": "A", "period": when, "spend": rng.gamma(4.0, 1.0, 130)})
    value = 50 + 3 * np.r_[np.full(4, 4.0), spend["spend"].to_numpy()[:-4]] + rng.normal(0, 1, 130)
    total = pd.DataFrame({"period": when, "value": value})
    right, wrong = (channels.response(channels.fitted(spend, total, delay=lag)).iloc[0] for lag in (4, 0))
    assert right["lower"] <= 3.0 <= right["upper"] and right["upper"] - right["lower"] < 0.8
    assert wrong["upper"] - wrong["lower"] > 3 * (right["upper"] - right["lower"])


# ---- what cannot be told ---------------------------------------------------------------------------------------------


def changed(spend, channel, values):
    out = spend.sort_values(["channel", "period"], ignore_index=True)
    out.loc[out["channel"] == channel, "spend"] = values
    return out


def test_spend_that_does_not_vary_and_spend_that_moves_with_another_channel_say_so():
    spend, total, _ = benchmark.history(6)
    other = spend.loc[spend["channel"] == "C1"].sort_values("period")["spend"].to_numpy()
    flat = channels.response(channels.fitted(changed(spend, "C0", 2.0), total)).set_index("channel")
    assert flat.loc["C0", "told"] == "spend does not vary"
    twin = channels.response(channels.fitted(changed(spend, "C0", 2 * other), total)).set_index("channel")
    assert twin.loc["C0", "told"] == twin.loc["C1", "told"] == "moves with season or others"
    assert twin.loc["C0", "own_share"] < 0.01 and twin.loc["C2", "own_share"] > 0.8


def test_too_few_periods_are_refused_with_how_many_it_takes():
    spend, total, _ = benchmark.history(7, every="M", periods=30)
    with pytest.raises(TooLittleData, match="There are 30 periods.*3 channels apart takes at least 35"):
        channels.fitted(spend, total)


def test_a_gap_in_the_sales_is_named_and_so_is_a_missing_control():
    spend, total, _ = benchmark.history(8)
    with pytest.raises(DataError, match="weeks with a gap before 2021-02-08"):
        channels.fitted(spend, total[total["period"] != "2021-02-01"])
    controls = total[["period"]].assign(price=1.0).iloc[:-1]
    with pytest.raises(DataError, match="price lack a figure"):
        channels.fitted(spend, total, controls=controls)
    for label in ("soon", "2022Q3", "2022"):
        with pytest.raises(DataError, match=f"'{label}' is no month or week"):
            channels.fitted(spend.assign(period=label), total)


def test_what_was_spent_in_a_quarter_or_a_fiscal_year_is_that_of_its_months():
    table = pd.DataFrame({
        "channel": ["A", "A", "A", "B"], "period": ["2025Q1", "2025-01", "2024", "2025-01-06"], "spend": [300.0, 5.0, 1200.0, 7.0],
    })  # fmt: skip
    crm = Crm({"spend": table}, pd.Timestamp("2025-06-30"), Settings(fiscal_year_start=7))
    found = channels.spending(crm).set_index(["channel", "period"])["spend"]
    # the fiscal 2024 ends with June 2024, and the first quarter of fiscal 2025 begins with July 2024
    assert found["A"].to_dict() == {
        **dict.fromkeys(pd.date_range("2023-07-01", "2024-09-01", freq="MS"), 100.0), pd.Timestamp("2025-01-01"): 5.0,
    }  # fmt: skip
    assert found["B"].to_dict() == {pd.Timestamp("2025-01-01"): 7.0}
    with pytest.raises(DataError, match="'soon' is no month, quarter or year"):
        channels.spending(Crm({"spend": table.assign(period="soon")}, crm.as_of))


def test_a_channel_that_cost_money_and_sold_nothing_stays_in_the_table(sample):
    months = sample.spend.drop_duplicates("period")
    boards = months.assign(channel="Billboards", spend=5000.0 + np.arange(len(months)) * 37 % 1900)
    crm = replace(sample, tables={**sample.tables, "spend": pd.concat([sample.spend, boards], ignore_index=True)})
    answer = channels.fitted(channels.spending(crm), channels.sales(crm), delay=channels.delay(crm))
    found = channels.response(answer)
    last = found.iloc[-1]
    assert (last["channel"], last["told"]) == ("Billboards", "nothing was sold") and np.isnan(last["marginal_return"])
    assert last["spend"] == pytest.approx(boards["spend"].tail(3).mean())
    assert channels.finding_response(found).endswith(
        "for any of 7 channels: the interval holds 0 (6); nothing was sold (1)."
    )


def test_why_nothing_can_be_told_is_true_of_every_channel():
    frame = pd.DataFrame(
        {"channel": list("ABC"), "told": ["may be nothing"] * 3, "lower": [0.1, -1, -1], "upper": [2.0, 1, 1]}
    )
    say = "What the next unit spent brings **cannot be told** for any of 3 channels: "
    assert channels.finding_response(frame) == f"{say}none is sure enough among 3."
    assert channels.finding_response(frame.assign(lower=-1.0)) == f"{say}every interval holds 0."
    mixed = frame.assign(lower=-1.0, told=["may be nothing", "budget follows sales", "may be nothing"])
    assert channels.finding_response(mixed) == f"{say}the interval holds 0 (2); budgets follow sales (1)."


def test_the_finding_names_the_highest_that_can_be_told_not_the_highest():
    frame = pd.DataFrame({
        "channel": ["A", "B_C"], "spend": [1.0, 2.0], "average_return": [9.0, 2.0], "marginal_return": [8.0, 1.5], "lower": [-1.0, 0.6],
        "upper": [17.0, 2.4], "told": ["may be nothing", "yes"],
    })  # fmt: skip
    assert channels.finding_response(frame) == (
        "One more unit on **B\\_C** goes with 1.50 of sales (95% interval 0.60 to 2.40); 1 of 2 channels cannot be told."
    )
    chased = frame.assign(told=["budget follows sales", "yes"])
    assert channels.finding_response(chased).endswith("1 of 2 channels cannot be told, 1 as budgets follow sales.")
    assert style.spec(channels.chart_response(frame))["title"]["text"] == "What one more unit of spend brings"


# ---- the budget ------------------------------------------------------------------------------------------------------


def test_money_is_moved_within_what_was_tried_to_equal_marginals_and_the_total_stays():
    for seed in (1, 2):
        spend, total, _ = benchmark.history(seed, n=4)
        fit = channels.fitted(spend, total)
        frame = channels.reallocation(fit)
        rows, everything = frame[:-1], frame.iloc[-1]
        assert everything["channel"] == "All"
        assert rows["proposed"].sum() == pytest.approx(rows["spend"].sum())
        assert (
            (rows["proposed"] >= rows["least_tried"] - 1e-9) & (rows["proposed"] <= rows["most_tried"] + 1e-9)
        ).all()
        assert everything["added"] >= -1e-9 and everything["added"] == pytest.approx(rows["added"].sum())
        inside = rows[(rows["proposed"] > 1.02 * rows["least_tried"]) & (rows["proposed"] < 0.98 * rows["most_tried"])]
        assert inside["marginal_then"].max() - inside["marginal_then"].min() < 0.1 * rows["marginal_return"].max()
        at_most = rows[np.isclose(rows["proposed"], rows["most_tried"])]
        assert (at_most["marginal_then"] > inside["marginal_then"].max() - 0.1).all()


def test_money_moved_to_a_channel_named_all_is_not_the_total():
    frame = pd.DataFrame({
        "channel": ["All", "B", "All"], "spend": [100.0, 100.0, 200.0], "proposed": [150.0, 50.0, 200.0], "added": [60.0, -20.0, 40.0],
        "lower": [10.0, -50.0, 5.0], "upper": [99.0, -1.0, 90.0],
    })  # fmt: skip
    stake = channels.stake_reallocation(frame, SimpleNamespace(every="M"))
    assert stake.lever == "Move $50 a period, most to **All**"


def test_a_gain_whose_interval_holds_nothing_is_not_promised():
    frame = pd.DataFrame({
        "channel": ["A", "B", "All"], "spend": [100.0, 100.0, 200.0], "proposed": [150.0, 50.0, 200.0], "least_tried": [50.0, 50.0, np.nan],
        "most_tried": [150.0, 150.0, np.nan], "marginal_return": [2.0, 1.0, np.nan], "marginal_then": [1.5, 1.5, np.nan],
        "added": [60.0, -20.0, 40.0], "lower": [10.0, -50.0, -5.0], "upper": [99.0, -1.0, 90.0], "sure": [0.99, 0.01, 0.93],
    })  # fmt: skip
    assert "can be told to pay" in channels.finding_reallocation(frame)
    surer = frame.assign(lower=[10.0, -50.0, 5.0])
    assert channels.finding_reallocation(surer) == (
        "Moving $50 a period, most to **A** and from **B**, goes with $40 more sales ($5 to $90)."
    )
