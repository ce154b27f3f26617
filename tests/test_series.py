"""Series from tables, and the calendars: complete periods, explicit zeros, nothing lost unseen; days counted by hand."""

import inspect

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforecast.errors import DataError, SettingError, TooLittleData
from salesforecast.forecasting import calendars, series


def day(text: str) -> pd.Timestamp:
    return pd.Timestamp(text)


def won(*rows: tuple) -> pd.DataFrame:
    """Deals from (closed day or None, amount or None[, region[, outcome]])."""
    return pd.DataFrame(
        {
            "closed_date": pd.to_datetime([r[0] for r in rows]),
            "created_date": pd.to_datetime([r[0] for r in rows]),
            "amount": pd.Series([r[1] for r in rows], dtype="float64"),
            "region": pd.Series([r[2] if len(r) > 2 else "North" for r in rows], dtype="str"),
            "outcome": [r[3] if len(r) > 3 else "won" for r in rows],
        }
    )


def values(frame: pd.DataFrame, name: str = "all") -> dict[str, float]:
    own = frame[frame["series"] == name]
    return dict(zip(own["period"].dt.strftime("%Y-%m-%d"), own["value"], strict=True))


DEALS = won(
    ("2025-01-31", 10), ("2025-01-01", 5), ("2025-04-02", 7), ("2025-05-30", 90), ("2025-02-10", 3, "North", "lost")
)


def test_bookings_are_the_amounts_won_by_month_with_zeros_where_nothing_was_won():
    assert values(series.bookings(DEALS, as_of=day("2025-04-30"))) == {
        "2025-01-01": 15,
        "2025-02-01": 0,
        "2025-03-01": 0,
        "2025-04-01": 7,
    }


def test_a_period_that_is_not_over_is_cut_and_one_that_ends_today_is_not():
    assert list(values(series.bookings(DEALS, as_of=day("2025-05-30"))))[-1] == "2025-04-01"
    assert values(series.bookings(DEALS, as_of=day("2025-05-31")))["2025-05-01"] == 90


def test_zeros_go_on_to_the_last_complete_period_when_sales_have_stopped():
    assert list(values(series.bookings(DEALS, as_of=day("2025-08-15"))).values())[-2:] == [0, 0]


@pytest.mark.parametrize(
    ("every", "start", "want"),
    [
        ("quarter", 1, {"2025-01-01": 15, "2025-04-01": 97}),
        ("quarter", 2, {"2024-11-01": 15, "2025-02-01": 7, "2025-05-01": 90}),
        ("year", 4, {"2024-04-01": 15, "2025-04-01": 97}),
        ("week", 1, {"2024-12-30": 5, "2025-01-06": 0, "2025-01-13": 0, "2025-01-20": 0, "2025-01-27": 10}),
    ],
)
def test_quarters_and_years_are_fiscal_and_weeks_begin_on_monday(every, start, want):
    got = values(series.bookings(DEALS, every=every, as_of=day("2026-03-31"), fiscal_year_start=start))
    assert {p: v for p, v in got.items() if p in want} == want
    assert list(got)[: len(want)] == list(want)


def test_each_group_is_a_series_that_begins_with_its_first_sale():
    frame = series.bookings(
        won(("2025-01-05", 1, "North"), ("2025-03-05", 2, "South"), ("2025-03-06", 4, None)),
        by=("region",),
        as_of=day("2025-04-30"),
    )
    assert values(frame, "North") == {"2025-01-01": 1, "2025-02-01": 0, "2025-03-01": 0, "2025-04-01": 0}
    assert values(frame, "South") == {"2025-03-01": 2, "2025-04-01": 0}
    assert values(frame, "not filled in") == {"2025-03-01": 4, "2025-04-01": 0}


def test_groups_add_up_to_the_total(sample):
    whole = series.bookings(sample.deals, as_of=sample.as_of)
    parts = series.bookings(sample.deals, by=("region", "family"), as_of=sample.as_of)
    assert parts["series"].nunique() == 15
    np.testing.assert_allclose(parts.groupby("period")["value"].sum(), whole.set_index("period")["value"])
    deals = sample.deals[sample.deals["outcome"] == "won"]
    assert whole["value"].sum() == deals["amount"].sum()  # the sample ends with a month


def test_keys_name_the_series_and_what_they_are_made_of(sample):
    pd.testing.assert_frame_equal(series.keys(sample.deals, "region"), series.keys(sample.deals, ["region"]))
    keys = series.keys(sample.deals, ("region", "family"))
    assert list(keys.columns) == ["series", "region", "family"]
    assert keys.loc[0].tolist() == ["Americas · Atlas", "Americas", "Atlas"]
    assert set(keys["series"]) == set(
        series.created_pipeline(sample.deals, by=("region", "family"), as_of=sample.as_of)["series"]
    )


def test_two_groups_that_would_share_a_name_are_refused():
    deals = won(("2025-01-05", 1, "A · B"), ("2025-01-05", 1, "A")).assign(team=["C", "B · C"])
    with pytest.raises(DataError, match="same name, 'A · B · C'"):
        series.bookings(deals, by=("region", "team"), as_of=day("2025-01-31"))


def test_what_is_left_out_is_counted_and_with_the_series_accounts_for_every_deal():
    deals = won(
        ("2025-01-05", 1),
        (None, 2),
        ("2025-02-05", None),
        ("2025-03-05", 8),
        ("2025-03-01", 32),
        ("2024-12-31", 16),
        ("2024-12-31", 64, "", "lost"),
    )
    args = {"as_of": day("2025-03-30"), "since": day("2024-12-15")}
    out = series.left_out(deals, "bookings", **args).set_index("reason")
    assert out["n"].to_dict() == {
        "without a closed_date": 1,
        "without an amount": 1,
        "from 2025-03-01 on, in a month that is not over": 2,
        "before 2025-01-01, in a month the data are not complete for": 1,
    }
    assert values(series.bookings(deals, **args)) == {"2025-01-01": 1, "2025-02-01": 0}
    assert out["amount"].sum() + 1 == 59


@given(
    st.lists(
        st.tuples(
            st.none() | st.dates(day("2023-01-01").date(), day("2025-12-31").date()), st.none() | st.integers(0, 9)
        ),
        min_size=1,
    ),
    st.sampled_from(["week", "month", "quarter", "year"]),
    st.integers(1, 12),
)
def test_no_amount_is_lost_or_counted_twice(rows, every, start):
    deals = won(*rows)
    args = {"every": every, "as_of": day("2025-06-30"), "fiscal_year_start": start}
    out = series.left_out(deals, "created_pipeline", **args)
    try:
        counted = series.created_pipeline(deals, **args)
    except TooLittleData:
        assert out["n"].sum() == len(deals)
        return
    assert counted["value"].sum() + out["amount"].sum() == deals["amount"].sum()
    assert counted["period"].is_monotonic_increasing and counted["period"].is_unique


def test_won_deals_are_counted_with_or_without_an_amount_and_orders_add_up_net_amounts(sample):
    deals = won(("2025-01-05", None), ("2025-01-06", 5), ("2025-01-06", 5, "", "lost"))
    assert values(series.won_count(deals, as_of=day("2025-01-31"))) == {"2025-01-01": 2}
    lines = pd.DataFrame({"order_date": pd.to_datetime(["2025-01-05", "2025-01-05"]), "net_amount": [3.0, -1.0]})
    assert values(series.orders(lines, as_of=day("2025-01-31"))) == {"2025-01-01": 2}


def test_the_first_period_that_the_data_hold_in_part_is_cut_when_they_say_since_when():
    got = series.bookings(DEALS, as_of=day("2025-04-30"), since=day("2025-01-02"))
    assert values(got) == {"2025-04-01": 7}
    assert values(series.bookings(DEALS, as_of=day("2025-04-30"), since=day("2025-01-01")))["2025-01-01"] == 15


def test_nothing_to_count_is_said_with_what_would_do():
    with pytest.raises(TooLittleData, match="One month with a date and an amount would do"):
        series.bookings(DEALS, as_of=day("2025-01-30"))


def test_a_mistyped_column_or_length_of_period_is_answered_with_the_right_one():
    with pytest.raises(SettingError, match="Did you mean 'region'"):
        series.bookings(DEALS, by=("regoin",), as_of=day("2025-04-30"))
    with pytest.raises(SettingError, match="Did you mean 'month'"):
        series.bookings(DEALS, every="months", as_of=day("2025-04-30"))
    with pytest.raises(SettingError, match="Did you mean 'bookings'"):
        series.left_out(DEALS, "booking", as_of=day("2025-04-30"))


def test_making_a_series_changes_nothing_in_the_table():
    before = DEALS.copy()
    series.bookings(DEALS, by=("region",), as_of=day("2025-04-30"))
    pd.testing.assert_frame_equal(DEALS, before)


# ---- calendars --------------------------------------------------------------------------------------------------------

MONTHS_2024 = pd.date_range("2024-01-01", periods=12, freq="MS")


def test_working_days_are_those_of_a_wall_calendar():
    # England 2024: 1 Jan, 29 Mar, 1 Apr, 6 and 27 May, 26 Aug, 25 and 26 Dec are off
    plain = [23, 21, 21, 22, 23, 20, 23, 22, 21, 23, 21, 22]
    off = [1, 0, 1, 1, 2, 0, 0, 1, 0, 0, 0, 2]
    assert calendars.working_days(MONTHS_2024).tolist() == plain
    assert calendars.working_days(MONTHS_2024, country="GB-ENG").tolist() == (np.array(plain) - off).tolist()


def test_a_country_has_its_own_weekend():
    # the first week of August 2024, Monday to Sunday: Iran is off on Friday only
    week = pd.DatetimeIndex(["2024-08-05"])
    assert calendars.working_days(week, freq="W-MON").tolist() == [5]
    assert calendars.working_days(week, country="IR", freq="W-MON").tolist() == [6]


def test_the_weeks_of_a_year_have_the_working_days_of_its_months():
    weeks = pd.date_range("2024-01-01", periods=53, freq="W-MON")  # to 5 January 2025
    months = calendars.working_days(pd.date_range("2024-01-01", periods=12, freq="MS"), country="DE")
    extra = 2  # 2 and 3 January 2025
    assert calendars.working_days(weeks, country="DE").sum() == months.sum() + extra


@pytest.mark.parametrize(
    ("name", "years", "shares"),
    [
        ("easter", "2023", {"2023-04": 1.0}),  # 9 April
        ("easter", "2024", {"2024-03": 0.9, "2024-04": 0.1}),  # 31 March: 23 March to 1 April
        ("lunar_new_year", "2024", {"2024-02": 1.0}),  # 10 February
        ("lunar_new_year", "2025", {"2025-01": 10 / 15, "2025-02": 5 / 15}),  # 29 January: 22 January to 5 February
        ("nowruz", "2024", {"2024-03": 19 / 21, "2024-04": 2 / 21}),  # 20 March: 13 March to 2 April
    ],
)
def test_moving_holidays_lie_where_the_almanac_has_them(name, years, shares):
    months = pd.date_range(f"{years}-01-01", periods=12, freq="MS")
    got = pd.Series(calendars.moving_share(months, name), index=months.strftime("%Y-%m"))
    assert got[got > 0].to_dict() == pytest.approx(shares)


@pytest.mark.parametrize("name", list(calendars.MOVING))
def test_a_moving_holiday_comes_once_a_year(name):
    years = pd.date_range("2000-01-01", periods=33 * 12, freq="MS")
    feasts = calendars.moving_share(years, name).sum()
    # the lunar year of 354 days has 34 feasts in 33 years
    assert feasts == pytest.approx(34 if name.startswith("eid") else 33, abs=1)


def test_regressors_reach_as_far_as_the_forecast():
    got = calendars.regressors(MONTHS_2024, 3, country="GB", moving=["easter"])
    assert {name: x.shape for name, x in got.items()} == {"log_working_days": (1, 15), "easter": (1, 15)}
    assert np.exp(got["log_working_days"][0, 0]) == pytest.approx(22)
    assert got["easter"][0, -3:].tolist() == [0, 0, 0] and got["easter"].sum() == pytest.approx(1)


def table(name="campaign", periods=15, **columns) -> pd.DataFrame:
    when = pd.date_range("2024-01-01", periods=periods, freq="MS")
    return pd.DataFrame({"period": when, "name": name, "value": np.arange(float(periods)), **columns})


def test_values_of_a_table_come_in_the_order_of_the_panel():
    both = pd.concat([table(series="b"), table(series="a").assign(value=1.0)])
    got = calendars.regressors(MONTHS_2024, 3, table=both, series=("a", "b"))["campaign"]
    assert got.shape == (2, 15) and got[0].tolist() == [1.0] * 15 and got[1, 14] == 14
    assert calendars.regressors(MONTHS_2024, 3, table=table())["campaign"].shape == (1, 15)


def test_missing_values_ahead_are_refused_by_their_periods():
    with pytest.raises(DataError, match="'campaign' has no value for 2 of the periods ahead: 2025-02-01, 2025-03-01"):
        calendars.regressors(MONTHS_2024, 3, table=table(periods=13))
    with pytest.raises(DataError, match="1 of the periods past: 2024-03-01"):
        calendars.regressors(MONTHS_2024, 3, table=table().drop(index=2))
    with pytest.raises(DataError, match="two values for 2024-01-01"):
        calendars.regressors(MONTHS_2024, 3, table=pd.concat([table(), table().head(1)]))


def test_an_unknown_holiday_or_country_is_refused():
    with pytest.raises(SettingError, match="Did you mean 'easter'"):
        calendars.regressors(MONTHS_2024, 3, moving=["eastern"])
    with pytest.raises(SettingError, match="no calendar of the country 'XX'"):
        calendars.working_days(MONTHS_2024, country="XX")
    with pytest.raises(SettingError, match="a part of GB 'LONDON'.*Known:.*ENG"):
        calendars.working_days(MONTHS_2024, country="GB-LONDON")
    with pytest.raises(SettingError, match="made by the calendar already"):
        calendars.regressors(MONTHS_2024, 3, table=table("log_working_days"))


def test_a_week_without_a_working_day_has_a_logarithm():
    off = pd.date_range("2020-01-27", periods=1, freq="W-MON")  # China, Spring Festival
    assert calendars.working_days(off, country="CN", freq="W-MON").tolist() == [0]
    found = calendars.regressors(off, 0, country="CN", freq="W-MON")["log_working_days"]
    assert found.tolist() == [[np.log(0.5)]]


def test_a_sunday_that_is_worked_counts():
    weeks = pd.date_range(
        "2024-09-23", periods=2, freq="W-MON"
    )  # China: 29 September is worked for a day of the week after
    assert calendars.working_days(weeks, country="CN").tolist() == [6, 1]


@pytest.mark.parametrize("name", series.SOURCES)
def test_the_help_of_every_measure_has_all_its_parameters_and_its_result(name):
    measure = getattr(series, name)
    text = inspect.getdoc(measure)
    assert [p for p in inspect.signature(measure).parameters if f"\n{p} : " not in text] == []
    assert text.index("\nParameters\n---") < text.index("\nReturns\n---") < text.index("\nRaises\n---")


def test_days_may_be_given_as_text():
    deals = won(("2025-01-09", 10), ("2025-02-03", 20), ("2025-03-01", 30))
    typed = {"as_of": day("2025-03-30"), "since": day("2025-01-15")}
    text = {"as_of": "2025-03-30", "since": "2025-01-15"}
    pd.testing.assert_frame_equal(series.bookings(deals, **text), series.bookings(deals, **typed))
    assert values(series.bookings(deals, **text)) == {"2025-02-01": 20.0}
    pd.testing.assert_frame_equal(
        series.left_out(deals, "bookings", **text), series.left_out(deals, "bookings", **typed)
    )
    with pytest.raises(TooLittleData, match="over by 2024-12-31"):
        series.bookings(deals, as_of="2024-12-31")


def test_bookings_are_complete_once_nine_of_ten_wins_of_the_first_day_would_have_come():
    first = pd.Timestamp("2024-01-10")
    won = [first + pd.Timedelta(days=age) for age in range(10, 111, 10)]  # nine of ten by day 100: 2024-04-19
    deals = pd.DataFrame({"outcome": "won", "created_date": first, "closed_date": won})
    assert series.complete_from(deals) == pd.Timestamp("2024-05-01")
    assert series.complete_from(deals, "2023-02-03") == pd.Timestamp("2023-02-03")  # known better
    early = deals.assign(created_date=pd.Timestamp("2020-03-02"), closed_date=pd.Timestamp("2020-03-02"))
    assert series.complete_from(early) == pd.Timestamp("2020-04-01")  # any year, not the sample's
    assert series.complete_from(deals.assign(outcome="open")) == first  # nothing tells
    with pytest.raises(SettingError, match="2025-01-01"):
        series.complete_from(deals, "soon")
