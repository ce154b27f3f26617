import gzip

import pandas as pd
import pytest

from salesforecast.cleaning import clean, undo
from salesforecast.crm import load, mappings, multiples
from salesforecast.crm import values as v
from salesforecast.crm.mapping import parse
from salesforecast.errors import DataError, SettingError

DEALS = "opportunity_id,stage,outcome,amount,created_date,closed_date\na,Open,open,5,2025-01-02,\nb,Won,won,7,2025-01-03,2025-02-03\n"
SALESFORCE = (
    "Id,Name,StageName,Amount,Probability,CloseDate,IsClosed,IsWon,CreatedDate,Colour__c\n"
    "6a,Acme,Prospecting,10,10,2025-07-01,FALSE,FALSE,2025-01-02,red\n"
    "6b,Bolt,Closed Won,20,100,2025-02-03,TRUE,TRUE,2025-01-03,blue\n"
)


def test_a_folder_under_our_own_names_needs_no_config(write):
    export = load(write(opportunities=DEALS))
    assert export.settings.crm == "salesforecast"
    assert export.tables["opportunities"]["amount"].tolist() == ["5", "7"]


def test_salesforce_is_found_by_its_headers_and_unknown_columns_are_kept(write):
    export = load(write(Opportunity=SALESFORCE))
    assert export.settings.crm == "salesforce"
    frame = export.tables["opportunities"]
    assert frame["opportunity_id"].tolist() == ["6a", "6b"]
    assert frame["Colour__c"].tolist() == ["red", "blue"]
    assert export.sources.iloc[0]["unmapped"] == "Colour__c"


def test_headers_match_whatever_their_case_and_spaces(write):
    export = load(write(Opportunity=SALESFORCE.replace("StageName", " stagename ")))
    assert export.tables["opportunities"]["stage"].tolist() == ["Prospecting", "Closed Won"]


def test_semicolons_tabs_and_bars_are_found(write, tmp_path):
    plain = load(write(opportunities=DEALS)).tables["opportunities"]
    for mark in ";\t|":
        folder = tmp_path / f"sep{ord(mark)}"
        folder.mkdir()
        (folder / "opportunities.csv").write_text(DEALS.replace(",", mark))
        pd.testing.assert_frame_equal(load(folder).tables["opportunities"], plain)


def test_a_comma_at_the_end_of_every_line_moves_no_column(write, tmp_path):
    plain = load(write(opportunities=DEALS)).tables["opportunities"]
    head, *rows = DEALS.splitlines()
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "opportunities.csv").write_text("\n".join([head, *(row + ",," for row in rows)]) + "\n")
    pd.testing.assert_frame_equal(load(tmp_path / "c").tables["opportunities"], plain)


def test_a_header_that_the_config_names_and_the_file_lacks_is_refused(write):
    folder = write(
        opportunities=DEALS,
        salesforecast__toml='[opportunities]\nfiles = ["opportunities"]\n[opportunities.columns]\ncreated_date = "Created Dat"\n',
    )
    with pytest.raises(
        SettingError,
        match=r"created_date: There is no header in opportunities.csv 'Created Dat'. Did you mean 'created_date'",
    ):
        load(folder)


def test_typed_parquet_columns_become_what_a_csv_says(tmp_path):
    frame = pd.DataFrame({
        "opportunity_id": [7, 12], "stage": ["Open", "Won"], "outcome": ["open", "won"], "amount": [5.5, None],
        "created_date": pd.to_datetime(["2025-01-01T23:30Z", "2025-01-03T08:00Z"]), "is_new_customer": [True, False],
    }).set_index("opportunity_id")  # fmt: skip
    frame.to_parquet(tmp_path / "opportunities.PARQUET", index=True)
    (tmp_path / "salesforecast.toml").write_text(
        'timezone = "Europe/Oslo"\n[opportunities.aliases.opportunity_id]\n7 = "9"\n'
    )
    crm, _ = clean(load(tmp_path), as_of="2025-01-31")
    deals = crm.opportunities.set_index("opportunity_id")
    assert list(deals.index) == ["12", "9"] and deals["is_new_customer"].tolist() == [False, True]
    assert deals["created_date"]["9"] == pd.Timestamp("2025-01-02"), (
        "half past eleven in London is after midnight in Oslo"
    )


def test_gzip_and_parquet_give_the_same_as_csv(write, tmp_path):
    plain = load(write(opportunities=DEALS)).tables["opportunities"]
    (tmp_path / "gz").mkdir()
    (tmp_path / "gz" / "opportunities.csv.gz").write_bytes(gzip.compress(DEALS.encode()))
    (tmp_path / "pq").mkdir()
    plain.to_parquet(tmp_path / "pq" / "opportunities.parquet")
    pd.testing.assert_frame_equal(load(tmp_path / "gz").tables["opportunities"], plain)
    pd.testing.assert_frame_equal(load(tmp_path / "pq").tables["opportunities"], plain)


def test_the_digest_changes_with_a_byte_of_the_data_and_with_nothing_else(write):
    folder = write(opportunities=DEALS)
    first = load(folder).digest
    (folder / "notes.txt").write_text("not an export")
    assert load(folder).digest == first
    (folder / "opportunities.csv").write_text(DEALS.replace("5", "6"))
    assert load(folder).digest != first


def test_the_config_of_the_folder_maps_names_stages_and_settings(write):
    folder = write(
        deals="Deal,Where,Value,Von\n1,neu ,5,2025-01-02\n2,Gewonnen,7,2025-01-03\n",
        salesforecast__toml="""
company = "Müller"
fiscal_year_start = 4
[opportunities]
files = ["deals.csv"]
[opportunities.columns]
opportunity_id = "Deal"
stage = "Where"
amount = "Value"
created_date = "Von"
[[stage]]
stage = "New"
labels = ["Neu"]
[[stage]]
stage = "Won"
outcome = "won"
labels = ["Gewonnen"]
""",
    )
    export = load(folder)
    assert (export.settings.company, export.settings.fiscal_year_start) == ("Müller", 4)
    crm, _ = clean(export, as_of="2025-01-31")
    assert crm.opportunities["stage"].tolist() == ["New", "Won"]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "holds no export: no file ends in .csv"),
        ({"opportunities": ""}, "opportunities.csv is empty"),
        ({"opportunities": "opportunity_id,amount\n"}, None),
        ({"opportunities": "stage,amount\nOpen,1\n"}, "the column for opportunity_id is missing: no header is 'opportunity_id'. Its headers: stage, amount"),
        ({"opportunities": "opportunity_id,stage\na,b,c\nd,e,f,g\n"}, r"opportunities.csv has more values than headers in 2 lines, e.g. line 2"),
        ({"orders": "order_line_id,order_date,net_amount\n1,2025-01-01,5\n"}, "None of the files in .* holds the opportunities, .*: orders.csv"),
        ({"opportunities__parquet": "no parquet"}, "opportunities.parquet cannot be read as Parquet"),
    ],
)  # fmt: skip
def test_a_broken_export_is_refused_with_the_file_and_the_fix(write, files, says):
    folder = write(**files)
    if says is None:
        assert len(load(folder).tables["opportunities"]) == 0
    else:
        with pytest.raises(DataError, match=says):
            load(folder)


def test_a_missing_folder_is_named():
    with pytest.raises(DataError, match="does not exist. Give the folder that holds the exported files, or one file"):
        load("nowhere")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"oportunities": {}}, "There is no setting or table 'oportunities'. Did you mean 'opportunities'"),
        ({"opportunities": {"column": {}}}, "There is no key 'column'. Did you mean 'columns'"),
        ({"opportunities": {"columns": {"amout": "x"}}}, "There is no column 'amout'. Did you mean 'amount'"),
        ({"crm": "salesforces"}, "There is no CRM mapping 'salesforces'. Did you mean 'salesforce'"),
        ({"fiscal_year_start": 0}, "fiscal_year_start is 0; it is a month"),
        ({"fiscal_year_start": "April"}, "fiscal_year_start is 'April'; it is a whole number"),
        ({"date_order": "day first"}, "date_order is 'day first'; it is one of ymd, mdy, dmy"),
        ({"stage": [{"stage": "A", "outcome": "wone"}]}, "There is no outcome 'wone'. Did you mean 'won'"),
        ({"stage": [{"name": "A"}]}, r"a \[\[stage\]\] has stage, outcome"),
        ({"timezone": "Europe/Olso"}, "There is no time zone 'Europe/Olso'. Did you mean 'Europe/Oslo'"),
        ({"list_price_as_amount": "false"}, "list_price_as_amount is 'false'; it is true or false"),
        ({"opportunities": {"files": 5}}, "files is 5; it is a text or a list of texts"),
        ({"opportunities": {"columns": {"amount": 5}}}, "amount is 5; it is a text or a list of texts"),
        ({"opportunities": {"aliases": {"stage": "x"}}}, "stage is 'x'; it is a table"),
        ({"opportunities": {"outcome": {"wn": "x"}}}, "There is no key 'wn'. Did you mean 'won'"),
        ({"opportunities": {"status": {"opened": ["x"]}}}, "There is no key 'opened'. Did you mean 'open'"),
        ({"opportunities": {"entered": ["Date entered (.*"]}}, "which is no regular expression"),
        ({"opportunities": {"entered": ["Date entered"]}}, "it needs one bracket"),
        ({"crm": ["x"]}, r"crm is \['x'\]; it is text"),
    ],
)  # fmt: skip
def test_a_config_with_a_mistake_is_refused_with_the_nearest_name(content, says):
    with pytest.raises(SettingError, match=says):
        parse(content, "salesforecast.toml")


def test_a_config_that_is_not_toml_is_named_with_the_line(write):
    folder = write(opportunities=DEALS, salesforecast__toml="company = Acme\n")
    with pytest.raises(SettingError, match=r"salesforecast.toml is not valid TOML: .*line 1"):
        load(folder)


def test_every_mapping_of_the_package_names_only_tables_and_columns_of_ours():
    assert {"salesforecast", "salesforce"} <= set(mappings())
    for mapping in mappings().values():
        assert mapping.tables


# ---- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [("1234.5", 1234.5), ("1,234.50", 1234.5), ("$1,493,660", 1493660), ("USD 485,000.00", 485000), ("(1,200.00)", -1200),
     ("-7", -7), ("€ 12", 12), ("1 234", 1234), ("90%", 0.9), ("ten", None), ("10-20", None), ("2024-01", None),
     ("1 234,50", 1234.5), ("۱۲۳٬۴۵۶٫۵", 123456.5), ("１，２３４．５", 1234.5), ("12,34,567", 1234567), ("£1,250.50", 1250.5),
     ("inf", None), ("7-", -7), ("-$5", -5), ("NOK 1,000", 1000), ("12 EUR", 12),
     ("5.000,-", 5000), ("CHF 500.-", 500), ("500,– €", 500), ("-500,-", -500), ("1 200 kr", 1200), ("kr. 500", 500), ("12 zł", 12)],
)  # fmt: skip
def test_numbers_as_people_write_them(text, value):
    got = v.parse(pd.Series([text], dtype="str"), "money").iloc[0]
    assert pd.isna(got) if value is None else got == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("2.5k", 2500), ("(2,5k)", -2500), ("$1.2M", 1.2e6), ("USD 1.2m", 1.2e6), ("5 MIO", 5e6), ("5 Mio. €", 5e6), ("0,5 Mio", 5e5),
     ("5 Mrd", 5e9), ("2 bn USD", 2e9), ("3 TEUR", 3000), ("T€ 3", 3000), ("12 kEUR", 12000), ("3,2 MNOK", 3.2e6), ("5 mill. kr", 5e6),
     ("5 TRY", 5), ("5 MXN", 5), ("KRW 5", 5), ("5 MMK", 5), ("5 t", None), ("1.5kk", None), ("5 billion", None), ("k", None)],
)  # fmt: skip
def test_an_amount_with_a_word_for_thousand_or_million_is_never_the_bare_number(text, value):
    column = pd.Series([text], dtype="str")
    got = v.parse(column, "money").iloc[0]
    assert pd.isna(got) if value is None else got == pytest.approx(value)
    if multiples.written(column).any():  # 5 m may be minutes: only money is counted so
        assert pd.isna(v.parse(column, "count").iloc[0])


def test_a_decimal_comma_is_known_by_the_whole_column():
    column = pd.Series(["1.234,50", "2.000", "7,5"], dtype="str")
    assert v.parse(column, "money").tolist() == [1234.5, 2000.0, 7.5]


def test_a_number_that_breaks_the_writing_of_its_column_is_missing_not_a_hundred_times_itself():
    column = pd.Series(["1,234.50", "1,234,567", "1 234,50"], dtype="str")
    assert v.parse(column, "money").tolist()[:2] == [1234.5, 1234567.0]
    assert pd.isna(v.parse(column, "money").iloc[2])


def test_a_per_cent_column_that_a_workbook_keeps_as_fractions_is_not_divided_again():
    assert v.parse(pd.Series(["0.65", "1", "0"], dtype="str"), "fraction", per_cent=True).tolist() == [0.65, 1, 0]
    assert v.parse(pd.Series(["65", "1", "0.5"], dtype="str"), "fraction", per_cent=True).tolist() == [
        0.65,
        0.01,
        0.005,
    ]


def test_plain_numbers_are_days_only_when_all_of_the_column_are():
    mixed = pd.Series(["45720", "20250304", "2025-03-04"], dtype="str")
    assert v.parse(mixed, "date").isna().tolist() == [True, False, False]
    beside = pd.Series(["45720", "4 March 2025", "TBD"], dtype="str")
    assert v.parse(beside, "date").dt.strftime("%Y-%m-%d").tolist()[:2] == ["2025-03-04"] * 2


def test_seconds_since_1970_come_into_the_business_zone():
    column = pd.Series(["1741043400000"], dtype="str")  # ten past eleven in the evening of the third, in London
    assert v.parse(column, "moment", timezone="Europe/Oslo").iloc[0] == pd.Timestamp("2025-03-04 00:10")


def test_per_cent_columns_become_fractions_and_a_sign_is_not_counted_twice():
    assert v.parse(pd.Series(["60", "5%"], dtype="str"), "fraction", per_cent=True).tolist() == [0.6, 0.05]


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [("2025-03-04", "", "2025-03-04"), ("2025-03-04T10:20:30", "", "2025-03-04"), ("03/04/2025", "mdy", "2025-03-04"),
     ("04.03.25", "dmy", "2025-03-04"), ("4-Mar-2025", "", "2025-03-04"), ("31/02/2025", "dmy", None), ("TBD", "", None),
     ("Tuesday, 4 March 2025", "", "2025-03-04"), ("04, Mar, 25", "", "2025-03-04"), ("Mar 4th, 2025", "", "2025-03-04"),
     ("2025. március 4., kedd", "", "2025-03-04"), ("2025. márc. 4.", "", "2025-03-04"), ("2025. 03. 04.", "", "2025-03-04"),
     ("tir. 4. mars 2025", "", "2025-03-04"), ("4. des. 2025", "", "2025-12-04"), ("вівторок, 4 березня 2025 р.", "", "2025-03-04"),
     ("2025年3月4日 星期二", "", "2025-03-04"), ("2025年三月4日", "", "2025-03-04"), ("۴ مارس ۲۰۲۵", "", "2025-03-04"),
     ("سه‌شنبه ۱۴ اسفند ۱۴۰۳", "", "2025-03-04"), ("۱۴۰۳/۱۲/۱۴", "", "2025-03-04"), ("1403-12-14", "", "2025-03-04"),
     ("２０２５-０３-０４", "", "2025-03-04"), ("45720", "", "2025-03-04"), ("1741046400000", "", "2025-03-04"),
     ("1741046400", "", "2025-03-04"), ("2025-03-04 10:00:00 UTC", "", "2025-03-04"), ("20250304", "", "2025-03-04"),
     ("2025", "", None), ("2025-03", "", None), ("mid March 2025", "", None), ("30 February 2025", "", None),
     ("1404/12/30", "", None), ("1/2/203", "dmy", None)],
)  # fmt: skip
def test_dates_as_people_write_them(text, order, day):
    got = v.parse(pd.Series([text], dtype="str"), "date", order=order).iloc[0]
    assert pd.isna(got) if day is None else got == pd.Timestamp(day)


def test_a_clock_with_am_and_pm():
    column = pd.Series(["02/23/26 08:55 PM", "02/23/26 12:05 AM", "02/23/26 12:00 PM"], dtype="str")
    assert v.parse(column, "moment", order="mdy").dt.strftime("%H:%M").tolist() == ["20:55", "00:05", "12:00"]


def test_moments_with_a_zone_come_into_the_business_zone():
    column = pd.Series(["2011-10-30T01:30:00+02:00", "2011-10-30T02:30:00+01:00"], dtype="str")
    got = v.parse(column, "moment", timezone="Europe/Amsterdam")
    assert got.dt.strftime("%H:%M").tolist() == ["01:30", "02:30"]
    assert v.parse(column, "moment").dt.strftime("%H:%M").tolist() == ["23:30", "01:30"]


def test_the_order_of_day_and_month_is_decided_by_all_date_columns_of_a_table():
    clear, unclear = pd.Series(["02/23/26"], dtype="str"), pd.Series(["03/04/26"], dtype="str")
    assert v.date_order([unclear, clear], "x") == "mdy"
    assert v.date_order([unclear, pd.Series(["23.02.26"], dtype="str")], "x") == "dmy"
    assert v.date_order([pd.Series(["05/05/25"], dtype="str")], "x") == ""


def test_an_order_that_nothing_decides_is_asked_for_not_guessed():
    with pytest.raises(DataError, match=r"can be read as day/month or as month/day, e.g. '03/04/26'.*date_order"):
        v.date_order([pd.Series(["03/04/26"], dtype="str")], "the table 'opportunities'")


def test_deals_without_a_stage_are_said_and_not_called_deals_without_a_date(write):
    rows = "id,stage,amount,created_date,closed_date\n" + "".join(f"{i},,5,2025-01-02,2025-02-03\n" for i in range(44))
    stage = '[[stage]]\nstage = "Won"\noutcome = "won"\n'
    with pytest.raises(
        DataError, match="None of the 44 rows of the opportunities can be used: no row has a value in stage"
    ):
        clean(load(write(opportunities=rows.replace("id,", "opportunity_id,", 1), salesforecast__toml=stage)))


def test_an_export_of_orders_alone_is_told_what_can_be_made_of_it(write):
    orders = "order_line_id,order_date,account_id,net_amount\na,2025-01-02,x,5\n"
    with pytest.raises(
        DataError, match="the deals that every report is about: .*Orders alone can be read as deals that were all won"
    ):
        load(write(orders=orders))


@pytest.mark.parametrize(("mark", "named"), [(",", "a comma"), (";", "a semicolon"), ("\t", "a tab")])
def test_a_stray_separator_is_called_by_its_name(write, tmp_path, mark, named):
    (tmp_path / "opportunities.csv").write_text((DEALS + "c,Won,won,7,2025-01-03,2025-02-03,x\n").replace(",", mark))
    with pytest.raises(
        DataError, match=f"more values than headers in 1 line, line 4: perhaps {named} stands in a value"
    ):
        load(tmp_path / "opportunities.csv")


def test_ids_that_a_program_took_for_figures_find_each_other(write):
    deals = "opportunity_id,rep_id,stage,outcome,amount,created_date\n1.0,112.0,Open,open,5,2025-01-02\n2.0,,Open,open,5.0,2025-01-02\n"
    where = write(opportunities=deals, reps="rep_id,rep\n112,Ann\n7,Bo\n")
    export = load(where)
    crm, issues = clean(export)
    assert crm.deals["opportunity_id"].tolist() == ["1", "2"] and crm.deals["rep"].tolist()[0] == "Ann"
    odd = issues[issues["rule"] == "ids written with .0"]
    assert odd["column"].tolist() == ["opportunity_id", "rep_id"] and odd["was"].tolist()[1] == "1 id, e.g. '112.0'"
    pd.testing.assert_frame_equal(undo(crm, issues)["opportunities"], export.tables["opportunities"])
    versions = deals.replace("1.0,", "1.5,")
    assert clean(load(write(opportunities=versions)))[0].deals["opportunity_id"].tolist() == ["1.5", "2.0"]
