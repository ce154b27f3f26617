import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforecast.errors import SettingError
from salesforecast.periods import day, period

LABELS = st.one_of(
    st.builds("{}Q{}".format, st.integers(1990, 2090), st.integers(1, 4)),
    st.builds("{}-{:02}".format, st.integers(1990, 2090), st.integers(1, 12)),
    st.integers(1990, 2090).map(str),
)
STARTS = st.integers(1, 12)


@given(LABELS, STARTS)
def test_periods_follow_each_other_without_gap_or_overlap(label, start):
    this = period(label, start)
    assert this.label == label
    assert this.previous().until == this.since
    assert this.previous().previous(-1) == this
    assert this.year_before() == this.previous({4: 1, 7: 12}.get(len(label), 4) if "Q" not in label else 4)


@given(st.integers(1990, 2090), STARTS)
def test_four_quarters_and_twelve_months_make_the_fiscal_year(year, start):
    whole = period(str(year), start)
    quarters = [period(f"{year}Q{q}", start) for q in (1, 2, 3, 4)]
    assert (quarters[0].since, quarters[3].until) == (whole.since, whole.until)
    assert whole.since.month == start
    assert (whole.until - pd.Timedelta(days=1)).year == year


@given(LABELS, STARTS, st.integers(0, 400))
def test_so_far_ends_with_the_last_known_day(label, start, days):
    this = period(label, start)
    as_of = this.since + pd.Timedelta(days=days)
    cut = this.so_far(as_of)
    assert cut.since == this.since and cut.until == min(this.until, as_of + pd.Timedelta(days=1))


@pytest.mark.parametrize("wrong", ["2025Q5", "2025-13", "25Q1", "last quarter", "", "2025-1", "２０２５Q2", "0001Q1"])
def test_what_is_no_period_is_refused_with_the_right_forms(wrong):
    with pytest.raises(
        SettingError, match="is no period. Write a quarter as 2025Q2, a month as 2025-06, a year as 2025"
    ):
        period(wrong)


def test_a_period_after_the_data_names_the_last_one_with_data():
    with pytest.raises(
        SettingError, match=r"2026Q1 begins on 2026-01-01, after the data end \(2025-06-30\).*is 2025Q2"
    ):
        period("2026Q1").so_far(pd.Timestamp("2025-06-30"))


def test_a_day_that_is_none_is_refused():
    with pytest.raises(SettingError, match="as_of is '31.12.2025'; a day is written as 2025-06-30"):
        day("31.12.2025")


def test_a_month_that_is_no_month_cannot_start_a_year():
    with pytest.raises(SettingError, match="fiscal_year_start is 13"):
        period("2025Q1", 13)
