"""The bridge between two forecasts: nothing left over between any two days, and every change in its own term."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import vl_convert

from salesforecast import style, synthetic
from salesforecast.cleaning import clean
from salesforecast.crm import load
from salesforecast.errors import SettingError
from salesforecast.periods import period
from salesforecast.pipeline import bridging as bridges
from salesforecast.pipeline import models, panels

QUARTER = period("2024Q1")
START, END = pd.Timestamp("2023-11-15"), pd.Timestamp("2024-04-20")
ADDITIONS = ("Amounts at winning", "Amount changes", "Model refit")
UNBORN = ("Deals entered", "Deals to come", "Model refit")


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    """What a made-up company knew on any day, and two models that were fitted 11 weeks apart."""
    folder = tmp_path_factory.mktemp("company")
    synthetic.write(folder, synthetic.Truth(opportunities=600, years=2), seed=3)
    crm = panels.needed(clean(load(folder))[0])
    seen = cache(lambda day: models.seen(crm.at(day)))
    fitted = []
    for day in (START, pd.Timestamp("2024-01-31")):
        past = panels.panels(crm, pd.date_range("2022-10-01", day, freq="7D"))
        fitted.append(models.fit(past, seen(day)))
    return crm, seen, fitted


@pytest.fixture(scope="module")
def then(company):
    """A day in the quarter, the model then, and what it said of the open deals: chance, worth, and how they stood."""
    _, seen, (model, _) = company
    known = seen(pd.Timestamp("2024-01-20"))
    return known, model, said(model, known)


def said(model, known) -> pd.DataFrame:
    outlook = models.ahead(model, known, np.array([QUARTER.until], "datetime64[D]") - 1)
    return outlook.deals.assign(chance=outlook.won[:, 0]).set_index("opportunity_id")


def forecast(model, known, span) -> float:
    """The slow way: what had been booked, deal by deal, and what `ahead` expects of each span of the days to come."""
    last = span.until - pd.Timedelta(days=1)
    total = 0.0
    for deal in known.ended.itertuples():
        if deal.outcome == "won" and span.since <= deal.closed_date <= min(last, known.day) and deal.amount > 0:
            total += deal.amount
    if known.day >= last:
        return total
    ends = [e for e in (span.since - pd.Timedelta(days=1), last) if e > known.day]
    outlook = models.ahead(model, known, np.array(ends, "datetime64[D]"))
    return total + outlook.open[-1] + outlook.new[-1]


def terms(frame: pd.DataFrame) -> pd.Series:
    return frame.iloc[1:-1].set_index("term")["amount"]


def only(frame: pd.DataFrame, *names: str) -> pd.Series:
    """The terms, when none but these is anything."""
    found = terms(frame)
    assert list(found.index) == list(bridges.TERMS)
    np.testing.assert_allclose(found.drop(list(names)), 0, atol=1e-6)
    return found[list(names)]


def altered(known, deal, **columns):
    """The same day with this open deal standing otherwise."""
    panel = known.panel.copy()
    panel.loc[panel["opportunity_id"] == deal, list(columns)] = list(columns.values())
    return replace(known, panel=panel)


def closed(known, deal, outcome, day, amount):
    """The same day with this deal closed."""
    ended = known.ended.copy()
    ended.loc[deal, ["outcome", "closed_date", "amount"]] = [outcome, pd.Timestamp(day), amount]
    return replace(known, panel=known.panel[known.panel["opportunity_id"] != deal], ended=ended)


def days_later(known, days):
    """So many days later when nothing at all has happened."""
    moved = {c: known.panel[c] + days for c in ("age", "in_stage", "quiet")} | {"due": known.panel["due"] - days}
    day = known.day + pd.Timedelta(days=days)
    return replace(known, day=day, panel=known.panel.assign(day=day, **moved))


# ---- nothing left over -----------------------------------------------------------------------------------------------


def test_the_terms_add_up_to_the_change_between_any_two_days(company):
    _, seen, (model, later_model) = company
    rng, kinds = np.random.default_rng(11), set()
    spans = [QUARTER, period("2024-01"), period("2024-03"), period("2024")]
    for first, passed in zip(rng.integers(0, 158, 40), rng.integers(1, 158, 40), strict=True):
        day, span = START + pd.Timedelta(days=int(first)), spans[rng.integers(0, len(spans))]
        last = min(day + pd.Timedelta(days=int(passed)), END)
        other = later_model if last >= later_model.day and rng.random() < 0.7 else model
        frame = bridges.bridge(model, seen(day), other, seen(last), span)
        assert frame["amount"].iloc[0] == pytest.approx(forecast(model, seen(day), span), abs=0.005)
        assert frame["amount"].iloc[-1] == pytest.approx(forecast(other, seen(last), span), abs=0.005)
        change = frame["amount"].iloc[-1] - frame["amount"].iloc[0]
        assert terms(frame).sum() == pytest.approx(change, abs=0.005)
        kinds.update(terms(frame).index[terms(frame).abs() > 1])

        deals = bridges.deals_bridge(model, seen(day), other, seen(last), span)
        by_term = deals.groupby("term")["amount"].sum().reindex(list(bridges.TERMS), fill_value=0.0).drop(list(UNBORN))
        np.testing.assert_allclose(by_term, terms(frame)[by_term.index], atol=0.005)
        assert not deals[~deals["term"].isin(ADDITIONS)].duplicated("opportunity_id").any()
        assert deals["amount"].abs().is_monotonic_decreasing
    rare = {"Reopened deals", "Removed deals", "Corrected bookings", "Other methods"}
    assert set(bridges.TERMS) - kinds == rare, "a term is not tried"


def test_from_the_eve_of_the_quarter_to_what_came(company):
    crm, seen, (model, later_model) = company
    eve, end = pd.Timestamp("2023-12-31"), pd.Timestamp("2024-03-31")
    frame = bridges.bridge(model, seen(eve), later_model, seen(end), QUARTER)
    assert frame["term"].iloc[[0, -1]].tolist() == ["Pipeline model on 2023-12-31", "Actual"]
    deals = crm.at(end).opportunities
    came = deals[(deals["outcome"] == "won") & deals["closed_date"].between("2024-01-01", "2024-03-31")]
    assert len(came) == 20 == frame["n"].iloc[-1], "what is open at the end is no part of what came"
    assert frame["amount"].iloc[-1] == came["amount"].sum()
    found, old = terms(frame), said(model, seen(eve))
    assert found[["Deals to come", "Model refit", "Amount changes"]].abs().max() == 0
    won = old[old.index.isin(came["opportunity_id"])]
    assert found["Deals won"] == pytest.approx(((1 - won["chance"]) * won["worth"]).sum())
    counts = frame.set_index("term")["n"]
    assert counts["Deals won"] == len(won)
    assert counts["Deals entered"] == (deals["created_date"] > eve).sum()
    lost = deals.loc[deals["outcome"] == "lost", "opportunity_id"]
    assert found["Deals lost"] == pytest.approx(-(old["chance"] * old["worth"])[old.index.isin(lost)].sum())


def test_a_day_and_itself_have_nothing_between_them(company):
    _, seen, (model, _) = company
    for day in (START, pd.Timestamp("2023-12-31"), pd.Timestamp("2024-02-07"), END):
        for span in (QUARTER, period("2024-03")):
            frame = bridges.bridge(model, seen(day), model, seen(day), span)
            only(frame)
            assert bridges.deals_bridge(model, seen(day), model, seen(day), span).empty


def test_a_bridge_goes_to_a_later_day(company):
    _, seen, (model, _) = company
    with pytest.raises(SettingError, match="2023-12-31 is before 2024-01-20"):
        bridges.bridge(model, seen(pd.Timestamp("2024-01-20")), model, seen(pd.Timestamp("2023-12-31")), QUARTER)


# ---- every change in its own term ------------------------------------------------------------------------------------


def test_a_deal_won_adds_what_its_chance_had_left_out_and_then_what_it_came_to_beside_its_worth(then):
    known, model, old = then
    deal = old["worth"].idxmax()
    chance, worth = old.loc[deal, ["chance", "worth"]]
    frame = bridges.bridge(model, known, model, closed(known, deal, "won", "2024-01-20", worth + 500), QUARTER)
    found = only(frame, "Deals won", "Amounts at winning")
    assert found.tolist() == pytest.approx([(1 - chance) * worth, 500])
    assert 0 < chance < 1 and frame.set_index("term")["n"][["Deals won", "Amounts at winning"]].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("outcome", "day", "term"),
    [("lost", "2024-01-20", "Deals lost"), ("won", "2023-12-30", "Won outside the period")],
)
def test_a_deal_lost_or_won_outside_the_period_takes_what_its_chance_had_put_in(then, outcome, day, term):
    known, model, old = then
    deal = (old["chance"] * old["worth"]).idxmax()
    frame = bridges.bridge(model, known, model, closed(known, deal, outcome, day, 9e9), QUARTER)
    assert only(frame, term).item() == pytest.approx(-old.loc[deal, "chance"] * old.loc[deal, "worth"])


@pytest.mark.parametrize(("inside", "due", "term"), [(True, 150, "Slipped out"), (False, 20, "Pulled in")])
def test_a_close_date_moved_over_the_end_of_the_period(then, inside, due, term):
    known, model, old = then
    there = old["due"].between(1, 71) if inside else old["due"] > 71  # the quarter ends in 71 days
    deal = old.loc[there & (old["chance"] > 0.02), "chance"].idxmax()
    new = altered(known, deal, due=float(due), stage=old["stage"][old["stage"] != old.loc[deal, "stage"]].iloc[0])
    moved = said(model, new).loc[deal]
    found = only(bridges.bridge(model, known, model, new, QUARTER), term).item()
    assert found == pytest.approx(moved["chance"] * moved["worth"] - old.loc[deal, "chance"] * old.loc[deal, "worth"])
    assert found != 0


def test_a_date_that_goes_by_is_no_move_of_the_date(company):
    _, seen, (model, _) = company
    known = seen(pd.Timestamp("2023-12-20"))
    assert (known.panel["due"] < 0).any(), "no deal is overdue before the quarter and in it"
    only(bridges.bridge(model, known, model, days_later(known, 20), QUARTER), "Time passing", *UNBORN[:2])


def test_an_amount_that_is_cut_and_the_chance_it_changes_are_told_apart(then):
    known, model, old = then
    deal = old.loc[old["amount"] > 0, "chance"].idxmax()
    new = altered(known, deal, amount=old.loc[deal, "amount"] * 0.4)
    was, now = old.loc[deal], said(model, new).loc[deal]
    assert now["worth"] == pytest.approx(0.4 * was["worth"]) and was["chance"] != now["chance"]
    found = only(bridges.bridge(model, known, model, new, QUARTER), "Amount changes", "Time passing")
    assert found["Amount changes"] == pytest.approx(-0.6 * was["worth"] * (was["chance"] + now["chance"]) / 2)
    assert found["Time passing"] == pytest.approx((now["chance"] - was["chance"]) * 1.4 * was["worth"] / 2)


def test_a_stage_move_takes_all_the_change_of_its_deal(then):
    known, model, old = then
    deal = old.index[(old["stage"] == "Discovery") & ~old["silent"]][0]
    new = altered(known, deal, stage="Negotiation", in_stage=0.0, quiet=0.0)
    was, now = old.loc[deal], said(model, new).loc[deal]
    found = only(bridges.bridge(model, known, model, new, QUARTER), "Stage moves").item()
    assert found == pytest.approx(now["chance"] * now["worth"] - was["chance"] * was["worth"]) and found > 0


def test_time_passing_is_told_from_a_change_that_no_other_term_has(then):
    known, model, old = then
    later = days_later(known, 10)
    deal = old.index[old["due"] > 20][0]
    new = altered(later, deal, quiet=2.0, due=float(old.loc[deal, "due"]) - 13)  # the date moved, but not over the end
    frame = bridges.bridge(model, known, model, new, QUARTER)
    found = only(frame, "Other changes", "Time passing", *UNBORN[:2])
    change = (said(model, new)["chance"] - old["chance"]) * old["worth"]
    assert found["Other changes"] == pytest.approx(change[deal]) and change[deal] != 0
    assert found["Time passing"] == pytest.approx(change.drop(deal).sum())
    assert frame.set_index("term")["n"][["Other changes", "Time passing"]].tolist() == [1, len(old) - 1]


def test_what_is_still_open_when_the_period_is_over_has_slipped_if_it_was_due(then):
    known, model, old = then
    found = terms(bridges.bridge(model, known, model, days_later(known, 71), QUARTER))
    part, due = -old["chance"] * old["worth"], old["due"] <= 71
    assert found["Slipped out"] == pytest.approx(part[due].sum()) and found["Slipped out"] < 0
    assert found["Time passing"] == pytest.approx(part[~due].sum())


def test_a_deal_entered_is_measured_against_what_was_expected_of_such_deals(then):
    known, model, _ = then
    new = models.ahead(model, known, np.array(["2024-03-31"], "datetime64[D]")).new[0]
    none = [terms(bridges.bridge(model, known, model, days_later(known, d), QUARTER))["Deals entered"] for d in range(0, 72, 7)]  # fmt: skip
    assert none[0] == pytest.approx(0, abs=1e-6) and (np.diff(none) < 0).all()
    over = terms(bridges.bridge(model, known, model, days_later(known, 71), QUARTER))
    assert over["Deals entered"] == pytest.approx(-new) and over["Deals to come"] == 0
    row = known.panel.iloc[[0]].assign(opportunity_id="entered", age=0.0, in_stage=0.0, quiet=0.0)
    ended = pd.concat([known.ended, pd.DataFrame({"outcome": ["open"]}, index=["entered"])])
    more = replace(known, panel=pd.concat([known.panel, row], ignore_index=True), ended=ended)
    deal = said(model, more).loc["entered"]
    frame = bridges.bridge(model, known, model, more, QUARTER)
    assert only(frame, "Deals entered").item() == pytest.approx(deal["chance"] * deal["worth"])
    assert frame.set_index("term")["n"]["Deals entered"] == 1


def test_deals_that_vanish_come_back_or_are_corrected(then):
    known, model, old = then
    deal = old["chance"].idxmax()
    part = old.loc[deal, "chance"] * old.loc[deal, "worth"]
    gone = replace(known, panel=known.panel[known.panel["opportunity_id"] != deal], ended=known.ended.drop(deal))
    assert only(bridges.bridge(model, known, model, gone, QUARTER), "Removed deals").item() == pytest.approx(-part)
    lost = closed(known, deal, "lost", "2024-01-20", np.nan)
    assert only(bridges.bridge(model, lost, model, known, QUARTER), "Reopened deals").item() == pytest.approx(part)
    booked = known.won.index[known.won["closed_date"] >= QUARTER.since][0]
    ended = known.ended.copy()
    ended.loc[booked, "amount"] += 700
    frame = bridges.bridge(model, known, model, replace(known, ended=ended), QUARTER)
    assert only(frame, "Corrected bookings").item() == pytest.approx(700)
    assert frame.set_index("term")["n"]["Corrected bookings"] == 1
    back = pd.DataFrame({"outcome": "won", "closed_date": QUARTER.since, "amount": 900.0}, index=["dated back"])
    late = replace(known, ended=pd.concat([known.ended, back]))
    assert only(bridges.bridge(model, known, model, late, QUARTER), "Corrected bookings").item() == pytest.approx(900)


@pytest.mark.parametrize(
    ("was", "now", "closed_on", "term", "amount"),
    [
        ("lost", "won", "2024-01-25", "Reopened deals", 700.0),
        ("lost", "won", "2024-01-15", "Corrected bookings", 700.0),
        ("won", "lost", "2024-01-25", "Reopened deals", -700.0),
        ("won", "lost", "2024-01-15", "Corrected bookings", -700.0),
    ],
)
def test_a_closed_deal_closed_in_another_way_was_reopened_or_if_dated_back_corrected(
    then, was, now, closed_on, term, amount
):
    known, model, old = then
    deal, later = old["chance"].idxmax(), days_later(known, 6)
    before, after = closed(known, deal, was, "2024-01-15", 700.0), closed(later, deal, now, closed_on, 700.0)
    frame = bridges.bridge(model, before, model, after, QUARTER)
    assert only(frame, term, "Time passing", *UNBORN[:2])[term] == pytest.approx(amount)


def test_the_same_data_under_another_model_is_the_refit_alone(company):
    _, seen, (model, other) = company
    known = seen(pd.Timestamp("2024-02-15"))
    frame = bridges.bridge(model, known, other, known, QUARTER)
    change = frame["amount"].iloc[-1] - frame["amount"].iloc[0]
    assert only(frame, "Model refit").item() == pytest.approx(change) and abs(change) > 1


def test_where_all_methods_forecast_the_days_what_the_others_make_of_it_is_a_term(company):
    _, seen, (model, _) = company
    first, last = pd.Timestamp("2024-01-21"), pd.Timestamp("2024-02-18")
    said = pd.DataFrame({"period": "2024Q1", "origin": [first, last], "mean": [5e5, 4.2e5]})
    frame = bridges.bridge(model, seen(first), model, seen(last), QUARTER, said)
    alone = bridges.bridge(model, seen(first), model, seen(last), QUARTER)
    ends = frame.iloc[[0, -1]]
    assert ends["amount"].tolist() == [5e5, 4.2e5]
    assert ends["term"].tolist() == ["Forecast of 2024-01-21", "Forecast of 2024-02-18"]
    assert frame["amount"].iloc[:-1].sum() == pytest.approx(4.2e5, abs=0.005)
    pd.testing.assert_series_equal(terms(frame).drop("Other methods"), terms(alone).drop("Other methods"))
    gap = [whole - own for whole, own in zip(ends["amount"], alone.iloc[[0, -1]]["amount"], strict=True)]
    assert terms(frame)["Other methods"] == pytest.approx(gap[1] - gap[0]) and terms(alone)["Other methods"] == 0
    one = bridges.bridge(model, seen(first), model, seen(last), QUARTER, said.head(1))
    pd.testing.assert_frame_equal(one, alone)
    over = bridges.bridge(model, seen(first), model, seen(pd.Timestamp("2024-03-31")), QUARTER, said)
    came = bridges.bridge(model, seen(first), model, seen(pd.Timestamp("2024-03-31")), QUARTER)
    assert over["amount"].iloc[-1] == came["amount"].iloc[-1] and over["amount"].iloc[0] == 5e5
    assert over["amount"].iloc[:-1].sum() == pytest.approx(over["amount"].iloc[-1], abs=0.005)


# ---- in words and drawn ----------------------------------------------------------------------------------------------


def made(
    start: float,
    end: float,
    last: str = "Pipeline model on 2025-06-15",
    first: str = "Pipeline model on 2025-05-31",
    **parts,
):
    """A bridge with these terms, underscores for spaces."""
    named = {name.replace("_", " "): amount for name, amount in parts.items()}
    assert start + sum(named.values()) == end and set(named) <= set(bridges.TERMS)
    amounts = [start, *(named.get(term, 0.0) for term in bridges.TERMS), end]
    return pd.DataFrame({
        "period": "2025Q2", "since": pd.Timestamp("2025-05-31"), "day": pd.Timestamp("2025-06-15"),
        "term": [first, *bridges.TERMS, last], "n": 1, "amount": amounts,
    })  # fmt: skip


def test_the_finding_names_the_largest_move_the_way_the_forecast_went():
    up = made(1e6, 1.12e6, Deals_lost=-2e5, Deals_won=1.9e5, Slipped_out=-2e4, Deals_entered=1.5e5)
    assert bridges.finding_bridge(up) == (
        "The pipeline model's forecast for 2025Q2 rose by $120 thousand since 2025-05-31, most by **deals won** (+$190 thousand); "
        "most against it: deals lost (−$200 thousand)."
    )
    down = made(1e6, 9e5, Deals_lost=-1e5)
    assert bridges.finding_bridge(down) == (
        "The pipeline model's forecast for 2025Q2 fell by $100 thousand since 2025-05-31, most by **deals lost** (−$100 thousand)."
    )


def test_the_finding_tells_an_actual_from_a_forecast_and_no_change_from_one():
    over = made(1e6, 9e5, "Actual", Slipped_out=-3e5, Deals_entered=2e5)
    assert bridges.finding_bridge(over) == (
        "2025Q2 brought $100 thousand less than the pipeline model's forecast of 2025-05-31, most by **slipped out** (−$300 thousand); "
        "most against it: deals entered (+$200 thousand)."
    )
    known = made(1e6, 1.05e6, "Actual", "Actual", Corrected_bookings=5e4)
    assert "more than the bookings known on 2025-05-31, most by **corrected bookings**" in bridges.finding_bridge(known)
    still = made(1e6, 1e6, Deals_won=5e4, Deals_lost=-5e4)
    assert bridges.finding_bridge(still) == "The pipeline model's forecast for 2025Q2 has not changed since 2025-05-31."
    whole = made(1e6, 9e5, "Actual", "Forecast of 2025-05-31", Slipped_out=-1e5)
    assert "less than the forecast of 2025-05-31" in bridges.finding_bridge(whole)
    same = made(1e6, 1e6, "Actual", "Actual")
    assert bridges.finding_bridge(same) == "2025Q2 brought the bookings known on 2025-05-31."


def test_the_chart_leaves_out_what_moved_nothing_and_ends_at_the_forecast():
    spec = style.spec(bridges.chart_bridge(made(1e6, 1.12e6, Deals_lost=-2e5, Deals_won=3.2e5)))
    rows = next(rows for rows in spec["datasets"].values() if "label" in rows[0])
    assert [(r["label"], r["end"]) for r in rows] == [
        ("Pipeline model on 2025-05-31", 1_000_000), ("Deals won", 1_320_000), ("Deals lost", 1_120_000),
        ("Pipeline model on 2025-06-15", 1_120_000),
    ]  # fmt: skip
    assert "What moved the forecast for 2025Q2" in vl_convert.vegalite_to_svg(spec, vl_version="6.4")
