"""Every sample export of the evaluation data goes in; the messy ones say what their clean counterparts say.

What each file gave is stated here. Skipped without the evaluation data.
"""

from pathlib import Path

import pandas as pd
import pytest

import salesforecast as sf
from conftest import ROOT
from salesforecast.crm import values
from salesforecast.crm.files import read
from salesforecast.errors import DataError

MAVEN = (ROOT / "data" / "configs" / "maven_crm.toml").read_text("utf-8")


@pytest.fixture
def config(tmp_path):
    """A mapping beside no data."""

    def _config(text: str) -> Path:
        (tmp_path / "mapping.toml").write_text(text, encoding="utf-8")
        return tmp_path / "mapping.toml"

    return _config


def rows(export) -> dict[str, int]:
    return {name: len(frame) for name, frame in export.tables.items()}


def unused(export) -> list[str]:
    return export.sources.loc[export.sources["table"] == "", "file"].tolist()


# ---- exports of a CRM --------------------------------------------------------------------------------------------------


def test_the_salesforce_extract_gives_all_its_rows(evaluation):
    export = sf.load(evaluation / "crm_samples" / "salesforce_devorg_earthfink1982")
    assert export.evidence.startswith("11 of 19 headers of Opportunity.csv are those of salesforce")
    assert rows(export) == {"accounts": 18, "opportunities": 36, "stage_history": 48}
    assert unused(export) == ["Lead.csv"]  # it has no created date
    assert "created_at is missing" in export.sources.set_index("file")["why"]["Lead.csv"]
    crm, _ = sf.clean(export)
    deals = pd.read_csv(evaluation / "crm_samples" / "salesforce_devorg_earthfink1982" / "Opportunity.csv")
    assert len(crm.opportunities) == 36 and crm.opportunities["amount"].sum() == deals["Amount"].sum()
    assert (crm.opportunities["outcome"] == "won").sum() == deals["IsWon"].sum()
    assert crm.opportunities["created_date"].dropna().dt.strftime("%Y-%m-%d").unique().tolist() == [
        "2026-02-23",
        "2026-02-24",
    ]


def test_fivetrans_copy_of_salesforce_is_known_and_its_deleted_deals_are_set_apart(evaluation):
    export = sf.load(evaluation / "crm_samples" / "fivetran_salesforce_seeds")
    assert export.settings.crm == "salesforce_fivetran"
    assert rows(export) == {"accounts": 10, "opportunities": 10, "stage_history": 10} and unused(export) == []
    history = export.tables["stage_history"]
    assert history["entered_at"].str.startswith("2019-").all()
    assert set(history["opportunity_id"]) <= set(export.tables["opportunities"]["opportunity_id"])
    assert export.tables["opportunities"]["_deleted"].eq("true").all()
    with pytest.raises(DataError, match="None of the 10 rows .*: 10 × deleted in the CRM"):
        sf.clean(export)


def test_fivetrans_copy_of_hubspot_is_known_with_its_stages_and_their_outcomes(evaluation, config):
    folder = evaluation / "crm_samples" / "fivetran_hubspot_seeds"
    export = sf.load(folder)
    assert export.evidence.startswith("8 of 11 headers of deal_data.csv are those of hubspot")
    assert rows(export) == {"opportunities": 44, "stages": 71, "stage_history": 14, "reps": 100}
    assert unused(export) == [
        "deal_company_data.csv", "deal_contact_data.csv", "deal_pipeline_data.csv", "deal_property_history_data.csv",
        "merged_deal_data.csv", "property_data.csv",
    ]  # fmt: skip
    stages = pd.read_csv(folder / "deal_pipeline_stage_data.csv")
    assert export.tables["stages"]["stage"].tolist() == stages["label"].tolist()
    # The seeds hash the ids of stages differently in each table, and no deal has one: so none is left.
    history = pd.read_csv(folder / "deal_stage_data.csv")
    assert export.tables["stage_history"]["stage"].tolist() == history["value"].tolist()
    declared = "".join(f'[[stage]]\nstage = "{v}"\n' for v in [*history["value"].unique(), "none"])
    with pytest.raises(DataError, match="None of the 44 rows .*: no row has a value in stage"):
        sf.clean(sf.load(folder, config(declared)))


def test_the_sheet_kept_by_hand_gives_its_thousand_rows_and_says_what_it_left(evaluation, config):
    folder = evaluation / "crm_samples" / "messy_pipeline_excel_hprady"
    stages = "".join(
        f'[[stage]]\nstage = "{s}"\noutcome = "{o}"\n'
        for s, o in [("Identified", "open"), ("Validated", "open"), ("Qualified", "open"), ("Proposal", "open"), ("Won", "won"), ("Lost", "lost")]
    )  # fmt: skip
    export = sf.load(folder, config(stages))
    assert export.evidence.startswith("8 of 13 headers of sales_pipeline.csv are those of spreadsheet")
    assert export.sources["dropped"].tolist() == ["4,840 blank; 1 below the rows, e.g. '1'"]
    assert export.sources["unmapped"].tolist() == ["Country, Weighted Forecast, Next Steps, Column1, Unnamed 13"]
    crm, _ = sf.clean(export)
    raw = pd.read_csv(folder / "sales_pipeline.csv").dropna(subset="Reporting Date")
    deals = crm.opportunities
    assert len(deals) == len(raw) == 1000 and deals["amount"].sum() == raw["Deal size"].sum()
    assert deals["probability"].round(6).sum() == pytest.approx(
        raw["Probability"].str.rstrip("%").astype(float).sum() / 100
    )
    assert deals["stage"].value_counts().to_dict() == raw["Sales stage"].value_counts().to_dict()
    assert deals["channel"].value_counts().to_dict() == {"F2F": 474, "Partners": 274, "Telesales": 209, "Website": 43}
    days = pd.to_datetime(raw["Close Date/Expected Close Date"], format="%d-%b-%Y")
    is_open = ~raw["Sales stage"].isin(["Won", "Lost"])
    assert deals["expected_close_date"].notna().sum() == is_open.sum()
    assert deals["closed_date"].dropna().sort_values().tolist() == days[~is_open].sort_values().tolist()


# ---- the Maven pipeline, three times -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sales_pipeline_usdates_lf.csv", "sales_pipeline_ddmmyy_plus_quarters.csv"])
def test_a_resaved_pipeline_is_the_original_value_by_value(evaluation, config, name):
    of = "\n".join(MAVEN.split("[reps]")[0].splitlines())  # without the tables that are not beside the variants
    original = sf.load(evaluation / "maven_crm" / "sales_pipeline.csv", config(of))
    variant = sf.load(evaluation / "maven_crm" / "variants" / name, config(of.replace("sales_pipeline.csv", name)))
    clean, messy = sf.clean(original)[0].opportunities, sf.clean(variant)[0].opportunities
    assert len(clean) == 8800
    pd.testing.assert_frame_equal(messy[clean.columns], clean)
    assert set(messy.columns) - set(clean.columns) == (
        {"engage_quarter", "close_quarter"} if "quarters" in name else set()
    )


def test_two_tables_side_by_side_are_read_whole_and_are_no_table_of_ours(evaluation):
    path = evaluation / "maven_crm" / "variants" / "data_dictionary_wide_kisaraF.csv"
    (sheet,) = read(path)
    lines = [line for line in path.read_text("utf-8-sig").splitlines() if line.strip(",")]
    assert len(sheet.frame) == len(lines) - 1 == 7 and sheet.dropped == "3 blank"
    with pytest.raises(DataError, match="None of the files in .* holds the opportunities"):
        sf.load(path)


# ---- order lines and weeks, whose clean counterparts are known ---------------------------------------------------------


def parsed(frame: pd.DataFrame, kinds: dict[str, str]) -> pd.DataFrame:
    order = values.date_order([frame[c] for c, kind in kinds.items() if kind == "date"], "the file")
    return pd.DataFrame({c: values.parse(frame[c].str.strip().mask(lambda t: t == ""), kind, order=order) for c, kind in kinds.items()})  # fmt: skip


LINE = {
    "Row ID": "id", "Order ID": "id", "Order Date": "date", "Ship Date": "date", "Ship Mode": "label", "Customer ID": "id",
    "Customer Name": "label", "Segment": "label", "City": "label", "Postal Code": "id", "Region": "label", "Product ID": "id",
    "Category": "label", "Sub-Category": "label", "Product Name": "label", "Sales": "money", "Quantity": "count",
    "Discount": "fraction", "Profit": "money",
}  # fmt: skip


@pytest.fixture(scope="module")
def orders(evaluation):
    (sheet,) = read(evaluation / "superstore" / "Sample - Superstore.csv")
    assert (len(sheet.frame), sheet.encoding) == (9994, "utf-8")
    return parsed(sheet.frame, LINE)


@pytest.fixture(scope="module")
def workbook(evaluation):
    return {
        s.named[0]: s.frame for s in read(evaluation / "superstore" / "Sample - Superstore (Tableau 2019-2022).xls")
    }


def test_the_workbook_gives_its_three_sheets(workbook):
    assert {name: len(frame) for name, frame in workbook.items()} == {"Orders": 10194, "People": 4, "Returns": 800}
    sales = values.parse(workbook["Orders"]["Sales"], "money")
    assert sales.notna().all() and sales.sum() == pytest.approx(2_326_534.35, abs=0.01)


def test_mac_roman_with_bare_returns_is_the_original_value_by_value(evaluation, orders):
    (sheet,) = read(evaluation / "messy_fixtures" / "superstore" / "superstore_macCR_macroman_ddmmyy_head.csv")
    assert (len(sheet.frame), sheet.encoding, sheet.dropped) == (261, "mac_roman", "")
    got = parsed(sheet.frame, LINE)
    known = orders.set_index("Row ID").loc[got["Row ID"]].reset_index()
    pd.testing.assert_frame_equal(got, known)


def test_a_mark_and_two_digit_years_are_the_workbook_value_by_value(evaluation, workbook):
    (sheet,) = read(evaluation / "messy_fixtures" / "superstore" / "superstore_bom_ddmmyy_countryregion_head.csv")
    assert (len(sheet.frame), sheet.encoding) == (175, "utf-8")
    kinds = {**LINE, "Country/Region": "label", "State/Province": "label"}
    got, known = parsed(sheet.frame, kinds), parsed(workbook["Orders"], kinds)
    known = known.set_index("Row ID").loc[got["Row ID"]].reset_index()
    pd.testing.assert_frame_equal(got, known)


WEEK = {"Store": "id", "Date": "date", "Weekly_Sales": "money", "Holiday_Flag": "flag", "Temperature": "money",
        "Fuel_Price": "money", "CPI": "money", "Unemployment": "money"}  # fmt: skip


def test_weeks_with_a_mark_and_bare_returns_are_all_there(evaluation):
    (sheet,) = read(evaluation / "messy_fixtures" / "walmart" / "walmart_bom_macCR_iso_head.csv")
    weeks = parsed(sheet.frame, WEEK)
    assert len(weeks) == 269 and weeks.notna().all(axis=None)
    assert weeks.iloc[0]["Weekly_Sales"] == 1643690.9 and weeks.iloc[0]["Date"] == pd.Timestamp("2010-02-05")


def test_dollar_amounts_and_long_dates_are_the_same_weeks(evaluation):
    folder = evaluation / "messy_fixtures" / "walmart"
    (iso,), (long,) = (
        read(folder / "walmart_bom_macCR_iso_head.csv"),
        read(folder / "walmart_dollar_amounts_long_dates_head.csv"),
    )
    assert (len(long.frame), list(long.frame.columns)[:4]) == (166, ["Store", "Days", "Date", "Weekly_Sales"])
    got = parsed(long.frame, {**WEEK, "Days": "date"})
    assert got["Days"].equals(got["Date"])  # `26, Oct, 12` and `Friday, 26 October 2012`
    both = got.merge(parsed(iso.frame, WEEK), on=["Store", "Date"], suffixes=("", "_iso"))
    assert len(both) == 4  # the heads of both files share four weeks of one store
    assert (both["Weekly_Sales"] - both["Weekly_Sales_iso"]).abs().max() <= 0.5  # it was rounded to dollars
    for column in ["Holiday_Flag", "Temperature", "Fuel_Price", "Unemployment"]:
        assert both[column].equals(both[f"{column}_iso"])
