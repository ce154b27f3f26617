import pandas as pd
import pytest

from salesforecast import quality, synthetic
from salesforecast.cleaning import clean
from salesforecast.crm import load
from salesforecast.errors import TooLittleData
from salesforecast.tables import Crm

END = pd.Timestamp("2025-06-30")


def crm(**tables):
    return Crm(tables, END)


def deals(n=4, **columns):
    frame = {
        "opportunity_id": [f"D{i}" for i in range(n)], "stage": ["Open"] * n, "outcome": (["open", "won", "lost", "lost"] * n)[:n],
        "closed_date": pd.to_datetime([None, "2025-06-01", "2025-06-02", None] * (n // 4)), "lost_reason": pd.Series([None, None, "price", None] * (n // 4)),
    }  # fmt: skip
    return pd.DataFrame(frame | columns)


def test_a_column_is_counted_among_the_rows_that_can_have_it():
    got = quality.completeness(crm(opportunities=deals())).set_index("column")
    assert got.loc["closed_date", ["n", "filled"]].tolist() == [3, 2]
    assert got.loc["lost_reason", ["n", "filled"]].tolist() == [2, 1]
    assert got.loc["stage", "share"] == 1
    assert "**lost\\_reason** has the most gaps: 50% of the 2 deals" in quality.finding_completeness(got.reset_index())


def test_a_table_that_fell_silent_is_named_and_a_quiet_one_is_not():
    steady = pd.DataFrame({"at": pd.date_range("2024-01-01", END, freq="D")})
    stopped = pd.DataFrame({"created_at": pd.date_range("2024-01-01", "2025-05-20", freq="D")})
    rare = pd.DataFrame({"order_date": pd.date_range("2024-01-01", END, freq="90D")})
    got = quality.freshness(crm(opportunities=deals(), activities=steady, leads=stopped, orders=rare)).set_index(
        "table"
    )
    assert got["silent"].to_dict() == {"opportunities": False, "activities": False, "orders": False, "leads": True}
    assert got.loc["activities", ["n", "usual"]].tolist() == [28, 28]
    assert "**leads** has fallen silent" in quality.finding_freshness(got.reset_index())


def test_a_bulk_close_is_found_with_its_day_and_a_busy_quarter_end_is_not():
    usual = pd.date_range("2025-01-01", "2025-06-20", freq="D").repeat(2)
    busy = pd.Series([pd.Timestamp("2025-03-31")] * 12)
    bulk = pd.Series([pd.Timestamp("2025-05-04")] * 60)
    days = pd.concat([usual.to_series(), busy, bulk], ignore_index=True)
    frame = pd.DataFrame({"opportunity_id": range(len(days)), "outcome": "lost", "closed_date": days})
    got = quality.bulk_days(crm(opportunities=frame))
    assert got[["date", "closed"]].to_numpy().tolist() == [[pd.Timestamp("2025-05-04"), 62]]
    assert "62 deals were closed on 4 May 2025" in quality.finding_bulk_days(got)


def test_without_closed_dates_the_reason_is_said():
    with pytest.raises(TooLittleData):
        quality.bulk_days(crm(opportunities=deals().drop(columns="closed_date")))


def test_the_effects_explain_the_change_of_the_amounts_to_the_cent(tmp_path):
    synthetic.write(tmp_path, synthetic.Truth(opportunities=800), seed=5, dirty=True)
    export = load(tmp_path)
    cleaned, issues = clean(export)
    raw = pd.to_numeric(export.tables["opportunities"]["amount"], errors="coerce").sum()
    effects = quality.effects(issues)
    assert effects["change"].sum() == pytest.approx(cleaned.opportunities["amount"].sum() - raw, abs=0.005)
    assert effects["deals"].sum() == len(export.tables["opportunities"]) - len(cleaned.opportunities)
    assert "moved the sum of the amounts by" in quality.finding_effects(effects)


def test_an_amount_that_was_only_written_otherwise_is_no_change_of_the_numbers(write):
    head = "opportunity_id,stage,outcome,amount,created_date,closed_date\n"
    rows = "a,Won,won,2.5k,2025-01-01,2025-01-11\nb,Won,won, 100,2025-01-01,2025-01-11\nc,Open,open,7,2025-01-05,\n"
    cleaned, issues = clean(load(write(opportunities=head + rows)))
    assert set(issues["rule"]) == {"in thousands or millions", "spaces"}
    assert quality.effects(issues)["change"].tolist() == [0.0, 0.0]
    assert quality.headline(cleaned, issues)["bookings"].tolist() == [2600.0, 2600.0]


def test_an_analysis_is_possible_only_with_its_columns_filled():
    got = quality.analyses(crm(opportunities=deals(created_date=pd.NaT))).set_index("analysis")
    assert not got["possible"].any()
    assert "fill created_date" in got.loc["win curve, win rates, stalled deals", "missing"]
    assert "add the stage history" in got.loc["stage conversion, time in stage, lost value by stage", "missing"]


def test_the_headline_numbers_before_are_those_of_the_export_and_after_those_of_the_tables(write):
    head = "opportunity_id,stage,outcome,amount,created_date,closed_date\n"
    good = "a,Won,won,100,2025-01-01,2025-01-11\nb,Lost,lost,50,2025-01-01,2025-01-21\nc,Open,open,7,2025-01-05,\n"
    bad = "a,Won,won,x,2025-01-01,2025-01-11\nd,Won,won,-60,2025-01-01,2025-01-31\na,Won,won,90,2025-01-01,2025-01-11\nf,Open,open,y,2025-01-05,\ne,Lost,lost,0,2025-01-30,2025-01-20\n"
    cleaned, issues = clean(load(write(opportunities=head + good + bad)))
    got = quality.headline(cleaned, issues).set_index("data")
    # As exported: a three times (100, x and 90) and d (-60) are won, b and e lost; three times 10, 30, 20 and -10 days.
    assert got.loc["as exported"].tolist() == pytest.approx([8, 4, 2, 4 / 6, 130, 130 / 3, 70 / 6])
    # Cleaned: the last row of a, d without an amount; e without an age.
    assert got.loc["cleaned"].tolist() == [6, 2, 2, 0.5, 90, 90, 20]
    said = quality.finding_headline(got.reset_index())
    assert "**average size** most: $43 → $90" in said
    assert quality.chart_headline(got.reset_index()).to_dict()
    same = pd.concat([got.loc[["cleaned"]]] * 2).reset_index()
    assert quality.finding_headline(same) == "Cleaning moved none of the headline numbers."
