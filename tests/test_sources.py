"""Whatever an export comes in: the same rows whichever way they are written, and never a row lost without a word."""

import gzip
import io
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
import xlsxwriter

from salesforecast.cleaning import clean
from salesforecast.crm import load, mappings
from salesforecast.crm.files import read
from salesforecast.errors import DataError, SalesforecastError, SettingError

HEADER = ["Id", "Name", "StageName", "Amount", "CloseDate", "IsClosed", "IsWon", "CreatedDate"]
ROWS = [
    ["6a", "Müller – Größe “L”", "Prospecting", "10.5", "2025-07-01", "false", "false", "2025-01-02"],
    ["6b", 'Bolt, "the" café', "Closed Won", "20", "2025-02-03", "true", "true", "2025-01-03"],
    ["6c", "Two\nlines, é", "Closed Lost", "", "2025-02-04", "true", "false", "2025-01-04"],
]


def written(rows=ROWS, header=HEADER, mark=",", end="\n") -> str:
    frame = pd.DataFrame(rows, columns=header)
    return frame.to_csv(index=False, sep=mark, lineterminator=end)


@pytest.fixture
def export(tmp_path):
    """Write one file and load it."""

    def _export(content, name="Opportunity.csv", config=""):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        if config:
            (tmp_path / "salesforecast.toml").write_text(config, encoding="utf-8")
        return load(tmp_path / name)

    return _export


def workbook(pages: dict[str, list[list]], merged=()) -> bytes:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        for title, rows in pages.items():
            sheet = book.add_worksheet(title)
            for at in merged:
                sheet.merge_range(*at)
            for i, row in enumerate(rows):
                for j, value in enumerate(row):
                    if value is not None and value != "":
                        sheet.write(i, j, value)
    return file.getvalue()


def zipped(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name.replace("__", "."), content)
    return file.getvalue()


# ---- the same rows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("encoding", "told"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16-le"), ("utf-16-be", "utf-16-be"),
     ("cp1252", "cp1252"), ("mac_roman", "mac_roman")],
)  # fmt: skip
def test_any_encoding_and_any_line_end_give_the_same_rows(export, encoding, told, end):
    read = export(written(end=end).encode(encoding))
    names = [r[1] for r in ROWS]
    assert read.tables["opportunities"]["name"].tolist() == names
    assert read.sources["encoding"].tolist() == [told]


@pytest.mark.parametrize("mark", ",;\t|")
def test_any_separator_gives_the_same_rows_also_with_decimal_commas(export, mark):
    rows = [[*r[:3], r[3].replace(".", ","), *r[4:]] for r in ROWS]
    assert export(written(rows, mark=mark)).tables["opportunities"]["amount"].tolist() == ["10,5", "20", ""]


@pytest.mark.parametrize("name", ["Opportunity.csv.gz", "Opportunity.zip", "Opportunity.xlsx", "Opportunity.csv"])
def test_gzip_zip_and_excel_give_the_same_as_csv_whatever_the_file_is_called(export, name):
    plain = written().encode()
    content = {"gz": gzip.compress(plain), "ip": zipped(Opportunity__csv=plain), "sx": workbook({"Sheet1": [HEADER, *ROWS]}),
               "sv": gzip.compress(plain)}[name[-2:]]  # fmt: skip
    frame = export(content, name).tables["opportunities"]
    assert frame["name"].tolist() == [r[1] for r in ROWS] and frame["amount"].tolist() == ["10.5", "20", ""]


def test_a_workbook_gives_days_numbers_and_flags_as_a_csv_says_them(export):
    day = pd.Timestamp("2025-07-01").to_pydatetime()
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        sheet, dates = book.add_worksheet("Opportunities"), book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, HEADER)
        sheet.write_row(1, 0, ["6a", "Acme", "Prospecting", 1234567.0])
        sheet.write_datetime(1, 4, day, dates)
        sheet.write_row(1, 5, [False, False, "2025-01-02"])
    row = export(file.getvalue(), "book.xlsx").tables["opportunities"].iloc[0]
    assert (row["amount"], row["closed_date"], row["_closed"]) == ("1234567", "2025-07-01", "False")


def test_several_sheets_and_several_members_are_several_tables(export):
    accounts = [["Id", "Name"], ["1a", "Acme"], ["1b", "Bolt"]]
    book = export(workbook({"Notes": [], "Accounts": accounts, "Opportunities": [HEADER, *ROWS]}), "crm.xlsx")
    assert {n: len(t) for n, t in book.tables.items()} == {"accounts": 2, "opportunities": 3}
    assert book.sources["file"].tolist() == ["crm.xlsx: Accounts", "crm.xlsx: Opportunities"]
    packed = export(zipped(Account__csv=b"Id,Name\n1a,Acme\n", Opportunity__csv=written().encode()), "crm.zip")
    assert {n: len(t) for n, t in packed.tables.items()} == {"accounts": 1, "opportunities": 3}


def test_a_large_file_is_cut_into_the_same_rows_as_a_small_one(tmp_path):
    rng = np.random.default_rng(0)
    words = np.array(["plain", "com,ma", 'quo"te', "li\nne", "", " space ", "Ünï"])
    rows = [[f"6{i}", *rng.choice(words, 7)] for i in range(60_000)]
    (tmp_path / "Opportunity.csv").write_text(written(rows), encoding="utf-8", newline="")
    frame = read(tmp_path / "Opportunity.csv")[0].frame
    assert (frame.to_numpy() == np.array(rows, dtype=object)).all()


# ---- what is no row ----------------------------------------------------------------------------------------------------


def test_titles_blank_rows_and_footers_are_told_and_are_no_rows(export):
    titles = "Pipeline report\nAs of 2025-03-31,Currency: EUR\n\n"
    footers = ',,,,,,,\n"Grand Totals (3 records)",,,30.5,,,,\n\n"Confidential Information - Do Not Distribute"\n'
    read = export(titles + written() + footers)
    assert read.tables["opportunities"]["opportunity_id"].tolist() == ["6a", "6b", "6c"]
    assert read.sources["dropped"].iloc[0] == (
        "2 above the headers, e.g. 'Pipeline report', 'As of 2025-03-31 Currency: EUR'; 1 blank; "
        "2 below the rows, e.g. 'Grand Totals (3 records)', 'Confidential Information - Do Not Distribute'"
    )


def test_a_last_row_with_few_values_is_a_row_and_is_told(export):
    read = export(written() + "6d,Dent,Prospecting\n")
    assert read.tables["opportunities"]["opportunity_id"].tolist() == ["6a", "6b", "6c", "6d"]
    assert read.sources["filled"].tolist() == ["1 with fewer values than headers, e.g. line 5"]


def test_headers_that_repeat_end_in_spaces_hold_commas_or_are_missing_keep_their_columns(export):
    head = 'Id,Name ,StageName,Amount,"Pricing, Delivery",Amount,CreatedDate,,\n'
    frame = export(head + "6a,Acme,Prospecting,1,x,2,2025-01-02,,\n6b,Bolt,Prospecting,3,y,4,2025-01-03,note,\n").tables["opportunities"]  # fmt: skip
    assert frame["name"].tolist() == ["Acme", "Bolt"] and frame["amount"].tolist() == ["1", "3"]
    assert frame["Amount (2)"].tolist() == ["2", "4"] and frame["Pricing, Delivery"].tolist() == ["x", "y"]
    assert frame["Unnamed 8"].tolist() == ["", "note"] and "Unnamed 9" not in frame


def test_rows_whose_values_look_like_headers_do_not_move_the_headers(tmp_path):
    (tmp_path / "words.csv").write_text("Table,Field,Meaning\nOpportunity,Amount,Stage\nAccount,Name,Industry\n")
    assert list(read(tmp_path / "words.csv", {"amount", "stage", "name", "industry"})[0].frame) == ["Table", "Field", "Meaning"]  # fmt: skip


# ---- which table, which CRM --------------------------------------------------------------------------------------------


def test_dated_exports_of_one_table_are_put_together_with_their_days(tmp_path):
    for day, stage in [("2025-04-30", "Closed Won"), ("all_2025-03-31", "Prospecting")]:
        (tmp_path / f"Opportunity_{day}.csv").write_text(f"Id,StageName,Amount,CreatedDate\n6a,{stage},5,2025-01-02\n")
    (tmp_path / "Account.csv").write_text("Id,Name\n1a,Acme\n")
    for path in (tmp_path, tmp_path / "Opportunity_*.csv"):
        frame = load(path).tables["opportunities"]
        assert frame["stage"].tolist() == ["Prospecting", "Closed Won"]
        assert frame["_exported_on"].tolist() == ["2025-03-31", "2025-04-30"]
    assert "accounts" not in load(tmp_path / "Opportunity_*.csv").tables
    assert "_exported_on" not in load(tmp_path).tables["accounts"]


def test_a_pattern_of_dated_exports_gives_the_versions_of_each_deal_and_no_repeated_ids(tmp_path):
    for day, stage, amount in [("2025-04-30", "Closed Won", 7), ("2025-03-31", "Prospecting", 5)]:
        text = written(
            [["6a", "A", stage, str(amount), day, str(stage == "Closed Won"), str(stage == "Closed Won"), "2025-01-02"]]
        )
        (tmp_path / f"Opportunity_{day}.csv").write_text(text)
    crm, issues = clean(load(tmp_path / "Opportunity_*.csv"))
    assert issues["rule"].tolist() == ["older export"] and crm.opportunities["amount"].tolist() == [7]
    assert crm.at("2025-04-29").opportunities[["stage", "amount"]].to_numpy().tolist() == [["Prospecting", 5.0]]
    assert crm.at("2025-04-30").opportunities["stage"].tolist() == ["Closed Won"]


@pytest.mark.parametrize(
    "name", ["sf_opportunity_data.csv", "Opportunities 20250331.csv", "salesforce-export-opportunity-2025-03-31T0800.csv",
             "Opportunity (2).csv", "OpportunityExport.csv", "report1743379200.csv"],
)  # fmt: skip
def test_what_stands_around_the_name_of_a_table_does_not_stop_the_match(export, name):
    assert export(written(), name).sources["table"].tolist() == ["opportunities"]


LABELS = {
    "salesforce": "Opportunity ID,Opportunity Name,Opportunity Owner,Account Name,Stage,Amount,Probability (%),Close Date,Created Date,Closed,Won",
    "hubspot": "Record ID,Deal Name,Deal Stage,Pipeline,Amount,Close Date,Create Date,Deal owner,Associated Company,Is Closed Won,Is closed lost",
    "pipedrive": "Deal - ID,Deal - Title,Deal - Value,Deal - Stage,Deal - Status,Deal - Owner,Deal - Organization,Deal - Deal created,Deal - Won time,Deal - Lost time",
    "zoho": "Record Id,Deal Name,Deal Owner,Account Name,Stage,Amount,Closing Date,Created Time,Probability (%)",
    "spreadsheet": "Customer,Deal Owner,Deal size,Sales stage,Probability,Close Date/Expected Close Date,Reporting Date",
    "salesforecast": "opportunity_id,name,stage,outcome,amount,created_date,closed_date",
}


@pytest.mark.parametrize("crm", LABELS)
@pytest.mark.parametrize("name", ["deals.csv", "x17.csv"])
def test_which_crm_it_is_is_found_by_the_headers_alone_and_told(export, crm, name):
    header = LABELS[crm].split(",")
    values = [
        "1" if "ID" in h or "Id" in h or h == "opportunity_id" else "Open" if "Status" in h else "" for h in header
    ]
    read = export("\n".join([",".join(header), ",".join([*values[:-1], "x"])]), name)
    assert read.settings.crm == crm
    known = int(read.evidence.split(" of ")[0])
    assert known >= 0.8 * len(header) and f"of {len(header)} headers of {name} are those of {crm}" in read.evidence


def test_a_sheet_of_another_kind_is_not_taken_for_a_table(tmp_path):
    (tmp_path / "Opportunity.csv").write_text(written())
    (tmp_path / "Contact.csv").write_text(
        "Id,Name,Title,Department,Email,Phone,AccountId,Birthdate,Fax\n3a,Ann,CEO,X,,,,,\n"
    )
    (tmp_path / "broken.csv").write_bytes(b"a,b\n1,\x002\n")
    sources = load(tmp_path).sources.set_index("file")
    assert sources["table"].to_dict() == {"Opportunity.csv": "opportunities", "Contact.csv": "", "broken.csv": ""}
    assert "NUL bytes, e.g. in line 2" in sources["why"]["broken.csv"]


def test_of_two_sheets_known_by_their_headers_alone_the_poorer_one_is_not_mixed_in(tmp_path):
    (tmp_path / "x1.csv").write_text(written())
    (tmp_path / "x2.csv").write_text(written([r[:5] for r in ROWS], HEADER[:5]))
    sources = load(tmp_path).sources.set_index("file")
    assert sources["table"].to_dict() == {"x1.csv": "opportunities", "x2.csv": ""}


def test_the_first_sheet_of_a_workbook_may_be_known_by_the_name_of_the_file(tmp_path):
    (tmp_path / "Opportunity.csv").write_text(written())
    (tmp_path / "Account.xlsx").write_bytes(workbook({"Sheet1": [["Id", "Name"], ["1a", "Acme"]]}))
    assert load(tmp_path).tables["accounts"]["account"].tolist() == ["Acme"]


def test_a_config_that_maps_the_opportunities_is_not_mixed_with_a_guess(export):
    config = '[opportunities]\nfiles = ["pipeline"]\n[opportunities.columns]\nopportunity_id = "Deal"\nclosed_date = "Close Date"\n'
    read = export("Deal,Stage,Close Date,Customer,Amount\n1,Won,2025-02-03,Acme,5\n", "pipeline.csv", config)
    assert read.settings.crm == "salesforecast" and read.evidence == "salesforecast.toml maps the columns"
    assert "expected_close_date" not in read.tables["opportunities"]


def test_a_header_of_two_meanings_is_not_matched_without_its_sign(export):
    frame = export(written(header=[*HEADER[:3], "Amount %", *HEADER[4:]])).tables["opportunities"]
    assert "amount" not in frame and "Amount %" in frame


def test_every_mapping_has_a_table_of_opportunities_with_the_columns_that_matter():
    for name, mapping in mappings().items():
        assert {"opportunity_id", "stage", "amount", "created_date", "closed_date"} <= set(mapping.tables["opportunities"].columns), name  # fmt: skip


# ---- what an export says only indirectly -------------------------------------------------------------------------------


def test_pipedrive_says_by_a_word_what_came_of_a_deal_and_keeps_its_stage(export):
    deals = (
        "Deal - ID,Deal - Title,Deal - Value,Deal - Stage,Deal - Status,Deal - Deal created,Deal - Won time,Deal - Lost time\n"
        "1,A,10,Offer,Offen,2025-01-02 10:00:00,,\n"
        "2,B,20,Offer,Gewonnen,2025-01-03 10:00:00,2025-02-03 11:00:00,\n"
        "3,C,30,Contact,Lost,2025-01-04 10:00:00,,2025-02-20 12:00:00\n"
    )
    read = export(deals, "deals.csv")
    frame = read.tables["opportunities"]
    assert frame["stage"].tolist() == ["Offer", "Won", "Lost"]
    assert frame["stage_before"].tolist() == ["Offer", "Offer", "Contact"]
    assert frame["closed_date"].tolist() == ["", "2025-02-03 11:00:00", "2025-02-20 12:00:00"]
    crm, _ = clean(read)
    assert crm.opportunities["outcome"].tolist() == ["open", "won", "lost"]


def test_a_word_for_the_outcome_that_nobody_knows_is_asked_for(export):
    deals = "Deal - ID,Deal - Title,Deal - Value,Deal - Stage,Deal - Status\n1,A,10,Offer,Nyitva\n"
    with pytest.raises(
        DataError, match=r"holds 'Nyitva' in 1 rows. Say what it means in salesforecast.toml: \[opportunities.status\]"
    ):
        export(deals, "deals.csv")
    config = '[opportunities.status]\nopen = ["Nyitva"]\n'
    assert export(deals, "deals.csv", config).tables["opportunities"]["_closed"].tolist() == ["False"]


HUBSPOT = (
    "Record ID,Deal Name,Deal Stage,Amount,Close Date,Create Date,Is Closed Won,Is closed lost,"
    '"Date entered ""Proposal (Sales Pipeline)""","Date entered ""Closed Won (Sales Pipeline)""",Date entered \'Proposal (Sales Pipeline)\'\n'
    "1,A,Proposal,5,2025-06-30,2025-01-02,false,false,2025-01-05 10:00,,2024-12-31 10:00\n"
    "2,B,Closed Won,7,2025-02-03,2025-01-03,true,false,2025-01-06 10:00,2025-02-03 09:00,\n"
    "3,C,Proposal,9,2025-02-04,2025-01-04,false,(No value),(No value),,\n"
)


def test_hubspots_columns_of_days_become_the_stage_history(export):
    read = export(HUBSPOT, "hubspot-crm-exports-all-deals-2025-06-30.csv")
    assert read.tables["opportunities"]["_closed"].tolist()[:2] == ["False", "True"]
    history = read.tables["stage_history"]
    assert list(history.itertuples(index=False, name=None)) == [
        ("1", "2025-01-05 10:00", "Proposal"),
        ("2", "2025-01-06 10:00", "Proposal"),
        ("2", "2025-02-03 09:00", "Closed Won"),
    ]
    assert read.sources["unmapped"].tolist() == ["Date entered 'Proposal (Sales Pipeline)'"], (
        "the older of two says no more"
    )
    crm, _ = clean(read)
    assert crm.opportunities.set_index("opportunity_id")["outcome"].to_dict() == {"1": "open", "2": "won", "3": "open"}


def test_hubspots_internal_names_of_stages_become_their_labels_and_closedwon_is_only_a_name(tmp_path):
    (tmp_path / "deals.csv").write_text(
        "hs_object_id,dealname,dealstage,amount,closedate,createdate,hs_v2_date_entered_closedwon,hs_date_entered_closedwon,hs_v2_date_entered_77\n"
        "1,A,closedwon,5,1751241600000,1735776000000,1736035200000,1,\n2,B,77,7,1738540800000,1735776000000,,,1738540800000\n"
    )
    (tmp_path / "deal_pipeline_stage.csv").write_text(
        "stage_id,label,display_order,is_closed,closed_won\nclosedwon,Proposal sent,1,false,false\n77,Signed,2,true,true\n"
    )
    crm, _ = clean(load(tmp_path))
    assert crm.opportunities["stage"].tolist() == ["Proposal sent", "Signed"]
    assert crm.opportunities["outcome"].tolist() == ["open", "won"]
    history = crm.stage_history[["opportunity_id", "stage"]]
    assert history.to_numpy().tolist() == [["1", "Proposal sent"], ["2", "Signed"]]
    assert crm.opportunities["created_date"].eq("2025-01-02").all()


def test_stages_of_one_name_in_two_pipelines_stay_apart(tmp_path):
    (tmp_path / "deals.csv").write_text("deal_id,property_dealname,deal_pipeline_stage_id,property_createdate\n1,A,s1,2025-01-02\n2,B,s2,2025-01-02\n")  # fmt: skip
    (tmp_path / "deal_pipeline_stage.csv").write_text("stage_id,label,is_closed,closed_won,display_order\ns1,Done,true,true,1\ns2,Done,true,false,2\n")  # fmt: skip
    assert load(tmp_path).tables["opportunities"]["stage"].tolist() == ["Done [s1]", "Done [s2]"]


def test_a_sheet_without_ids_gets_the_numbers_of_its_rows_and_says_so(export):
    read = export(
        "Customer,Deal size,Sales stage,Created\nAcme,5,Offer,2025-01-02\nBolt,6,Offer,2025-01-03\n", "my deals.csv"
    )
    assert read.tables["opportunities"]["opportunity_id"].tolist() == ["row 1", "row 2"]
    assert "no header is an id" in read.sources["why"].iloc[0]


# ---- what cannot be read -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("Opportunity.csv", written().encode().replace(b"6b", b"6\x00b"), "holds NUL bytes, e.g. in line 3"),
        ("Opportunity.csv", "Id,StageName\n6a,Größe é ü ö\n".encode() + b"6b,M\xfcller\n", "mixes encodings: 5 letters are UTF-8 and 1 are not, e.g. in line 3"),
        ("Opportunity.csv", "Id,StageName\n6a,Продаж договір\n".encode("cp1251"), "not in Latin letters, e.g. in line 2"),
        ("Opportunity.csv", b'Id,StageName\n6a,"Open\n6b,Won\n', "a quote that is opened and never closed"),
        ("Opportunity.csv", b'Id,StageName,Amount\n6a,"Open,1\n6b,Won,2\n6c,"Lost",3\n', "holds whole lines of the table, near line 2|quote"),
        ("Opportunity.csv.gz", gzip.compress(written().encode())[:-9], "cannot be unpacked: .*cut off"),
        ("Opportunity.zip", zipped(notes__txt=b"x"), "holds no table"),
        ("Opportunity.zip", zipped(Opportunity__csv=b"Id,StageName\n")[:-5], "cannot be unpacked"),
        ("Opportunity.xlsx", workbook({"a": [HEADER]})[:900], "cannot be (read|unpacked)"),
        ("Opportunity.xlsx", workbook({"a": [], "b": []}), r"none of its sheets holds a value \(a, b\)"),
        ("Opportunity.xls", b"<html><table><tr><td>Id</td></tr></table>", "is a web page named like a workbook"),
        ("Opportunity.parquet", b"PAR1xxxx", "cannot be read as Parquet"),
        ("Opportunity.csv", b" \n\n", "Opportunity.csv is empty"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(export, name, content, says):
    with pytest.raises(DataError, match=says):
        export(content, name)


# ---- broken files, by the hundred --------------------------------------------------------------------------------------


def lines(rng) -> list[list[str]]:
    n = int(rng.integers(5, 40))
    return [[f"6x{i}", rng.choice(["Acme", "Bolt, Inc", "Öl AG"]), rng.choice(["Prospecting", "Closed Won"]), str(rng.integers(1, 999)),
             "2025-07-01", "false", "false", "2025-01-02"] for i in range(n)]  # fmt: skip


def at(rng, content: bytes) -> int:
    return int(rng.integers(len(content) // 4, len(content)))


def cut(rng, content: bytes) -> bytes:
    return content[: at(rng, content)]


def flipped(rng, content: bytes, n: int = 5) -> bytes:
    changed = bytearray(content)
    for place in rng.integers(0, len(changed), n):
        changed[place] = int(rng.integers(0, 256))
    return bytes(changed)


def plain(rng, **how) -> bytes:
    return written(lines(rng), **how).encode()


def ragged(rng, few: bool) -> tuple[bytes, int]:
    rows = lines(rng)
    for i in rng.integers(0, len(rows), 3):
        rows[i] = rows[i][: int(rng.integers(1, 7))] if few else [*rows[i], "more"]
    text = "\n".join([",".join(HEADER), *(",".join(v.replace(",", "") for v in r) for r in rows)])
    return text.encode(), len(rows)


def counted(rng, change) -> tuple[bytes, int]:
    rows = lines(rng)
    return change(rows), len(rows)


BROKEN = {
    "truncated gz": lambda r: ("Opportunity.csv.gz", cut(r, gzip.compress(plain(r))), None),
    "flipped gz": lambda r: ("Opportunity.csv.gz", flipped(r, gzip.compress(plain(r))), None),
    "wrong delimiter": lambda r: ("Opportunity.csv", plain(r, mark=str(r.choice(list("^~:#")))), None),
    "NUL bytes": lambda r: ("Opportunity.csv", (lambda c, i: c[:i] + b"\0" + c[i:])(c := plain(r), at(r, c)), None),
    "rows too short": lambda r: ("Opportunity.csv", *ragged(r, few=True)),
    "rows too long": lambda r: ("Opportunity.csv", *ragged(r, few=False)),
    "500 columns": lambda r: ("Opportunity.csv", (lambda n: written([row + ["x"] * n for row in lines(r)[:5]], [*HEADER, *map(str, range(n))]).encode())(492), 5),
    "a 200-character header": lambda r: ("Opportunity.csv", *counted(r, lambda rows: written(rows, [*HEADER[:-1], "long " * 40]).encode())),
    "mixed encodings": lambda r: ("Opportunity.csv", "Id,StageName\n1,Größe\n2,Öl é\n".encode() + plain(r).decode().encode("cp1252"), None),
    "formulas": lambda r: ("Opportunity.csv", *counted(r, lambda rows: written([[*r[:3], "=SUM(A1:A9)", *r[4:]] for r in rows]).encode())),
    "merged headers": lambda r: ("Opportunity.xlsx", *counted(r, lambda rows: workbook({"a": [[], HEADER, *rows]}, [(0, 0, 0, 3, "Deal"), (0, 4, 0, 7, "Days")]))),
    "an empty sheet first": lambda r: ("Opportunity.xlsx", *counted(r, lambda rows: workbook({"Empty": [], "a": [HEADER, *rows]}))),
    "truncated xlsx": lambda r: ("Opportunity.xlsx", cut(r, workbook({"a": [HEADER, *lines(r)]})), None),
    "flipped xlsx": lambda r: ("Opportunity.xlsx", flipped(r, workbook({"a": [HEADER, *lines(r)]}), 40), None),
    "an open quote": lambda r: ("Opportunity.csv", (lambda c, i: c[:i] + b',"' + c[i:])(c := plain(r), at(r, c)), None),
    "random bytes": lambda r: ("Opportunity.csv", r.bytes(2_000), None),
    "random bytes as xlsx": lambda r: ("Opportunity.xlsx", b"PK\x03\x04" + r.bytes(500), None),
    "random bytes as xls": lambda r: ("Opportunity.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + r.bytes(2_000), None),
    "random bytes as zip": lambda r: ("Opportunity.zip", r.bytes(500), None),
    "flipped zip": lambda r: ("Opportunity.zip", flipped(r, zipped(Opportunity__csv=plain(r))), None),
    "flipped parquet": lambda r: ("Opportunity.parquet", flipped(r, parquet(lines(r)), 20), None),
    "repeated headers": lambda r: ("Opportunity.csv", *counted(r, lambda rows: written([[*r, *r] for r in rows], HEADER * 2).encode())),
    "blank rows between": lambda r: ("Opportunity.csv", *counted(r, lambda rows: written(rows).replace("\n", "\n,,,,,,,\n").encode())),
    "headers only": lambda r: ("Opportunity.csv", (",".join(HEADER) + "\n" * int(r.integers(0, 5))).encode(), 0),
    "a cut-off csv": lambda r: ("Opportunity.csv", cut(r, plain(r)), None),
    "no headers": lambda r: ("Opportunity.csv", plain(r).split(b"\n", 1)[1], None),
    "UTF-16 cut in a letter": lambda r: ("Opportunity.csv", plain(r).decode().encode("utf-16")[:-3], None),
    "marks in the middle": lambda r: ("Opportunity.csv", *counted(r, lambda rows: written(rows).replace("\n6x3", "\n\ufeff6x3").encode())),
    "a huge value": lambda r: ("Opportunity.csv", *counted(r, lambda rows: written([[*r[:1], "y" * 400_000, *r[2:]] for r in rows[:3]] + rows[3:]).encode())),
    "control characters": lambda r: ("Opportunity.csv", *counted(r, lambda rows: written([[r[0], "\x01\x1e\x7f", *r[2:]] for r in rows]).encode())),
    "line ends of all kinds": lambda r: ("Opportunity.csv", *counted(r, lambda rows: "".join(line + str(r.choice(["\n", "\r\n", "\r"])) for line in written(rows).splitlines()).encode())),
}  # fmt: skip


def parquet(rows) -> bytes:
    file = io.BytesIO()
    pd.DataFrame(rows, columns=HEADER).to_parquet(file)
    return file.getvalue()


def told(sources, kinds: str) -> int:
    """The lines that `sources` says are no rows."""
    return sum(int(n.replace(",", "")) for n in re.findall(rf"([\d,]+) (?:{kinds})", "; ".join(sources["dropped"])))


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("seed", range(10))
def test_a_broken_file_ends_in_a_clear_error_or_in_rows_that_are_all_accounted_for(export, kind, seed):
    name, content, rows = BROKEN[kind](np.random.default_rng([seed, len(kind)]))
    try:
        read = export(content, name)
    except SalesforecastError as error:
        assert "Opportunity" in str(error) or "status" in str(error)
        assert rows is None or kind == "rows too long", error
        return
    there, frame = len(read.tables["opportunities"]), read.tables["opportunities"]
    if rows is None and name.endswith(".csv"):
        text = content.decode("utf-16" if "UTF-16" in kind else "utf-8", errors="replace")
        rows = sum(bool(line.strip()) for line in text.splitlines()) - 1 - told(read.sources, "above")
    if rows is not None:
        assert there + told(read.sources, "blank|below") == rows + (rows + 1 if kind == "blank rows between" else 0)
        assert frame["opportunity_id"].is_unique
    if seed == 0:
        try:
            crm, issues = clean(read)
        except SalesforecastError:
            return
        apart = issues[
            (issues["table"] == "opportunities") & issues["became"].eq("set apart") & issues["column"].eq("")
        ]
        assert len(crm.opportunities) + len(apart) == there


PACKED = {"gz": gzip.compress, "zip": lambda c: zipped(Opportunity__csv=c)}
DAMAGE = {
    **{f"and in a {ending}": (f"Opportunity.csv.{ending}".replace("csv.zip", "zip"), lambda r, c, pack=pack: pack(c)) for ending, pack in PACKED.items()},
    "and a mark in front": ("Opportunity.csv", lambda r, c: b"\xef\xbb\xbf" + c),
    "and returns only": ("Opportunity.csv", lambda r, c: c.replace(b"\n", b"\r")),
    "and returns too": ("Opportunity.csv", lambda r, c: c.replace(b"\n", b"\r\n")),
    "and a title": ("Opportunity.csv", lambda r, c: b"All deals\n\n" + c),
    "and a footer": ("Opportunity.csv", lambda r, c: c + b"\nTotal,,\nCopyright\n"),
    "and cut off": ("Opportunity.csv", cut),
    "and NUL bytes": ("Opportunity.csv", lambda r, c: (lambda i: c[:i] + b"\0" + c[i:])(at(r, c))),
    "and bytes flipped": ("Opportunity.csv", flipped),
    "and an open quote": ("Opportunity.csv", lambda r, c: (lambda i: c[:i] + b',"' + c[i:])(at(r, c))),
    "and twice in the file": ("Opportunity.csv", lambda r, c: c + c),
    "and in UTF-16": ("Opportunity.csv", lambda r, c: c.decode("utf-8", errors="replace").encode("utf-16")),
    "and called a workbook": ("Opportunity.xlsx", lambda r, c: c),
    "and called Parquet": ("Opportunity.parquet", lambda r, c: c),
    "and tabs among the commas": ("Opportunity.csv", lambda r, c: c.replace(b",", b"\t", 9)),
}  # fmt: skip
OF_TEXT = [kind for kind in BROKEN if BROKEN[kind](np.random.default_rng(0))[0].endswith(".csv")]


def outcome(export, content: bytes, name: str) -> str:
    try:
        return export(content, name).tables["opportunities"].to_csv()
    except SalesforecastError as error:
        return type(error).__name__


@pytest.mark.parametrize("kind", OF_TEXT)
@pytest.mark.parametrize("more", DAMAGE)
def test_a_file_broken_in_two_ways_ends_in_a_clear_error_or_in_rows_that_are_all_accounted_for(export, kind, more):
    rng = np.random.default_rng([7, len(kind), len(more)])
    _, content, _ = BROKEN[kind](rng)
    name, change = DAMAGE[more]
    try:
        read = export(change(rng, content), name)
        crm, issues = clean(read)
    except SalesforecastError as error:
        assert len(str(error)) > 30
    else:
        apart = issues["became"].eq("set apart") & issues["column"].eq("") & issues["table"].eq("opportunities")
        assert len(crm.opportunities) + apart.sum() == len(read.tables["opportunities"])
    if more in ("and in a gz", "and in a zip"):
        assert outcome(export, change(rng, content), name) == outcome(export, content, "Opportunity.csv")


def test_three_hundred_kinds_of_broken_files_are_tried():
    assert len(BROKEN) + len(OF_TEXT) * len(DAMAGE) >= 300


def test_ten_thousand_columns_are_read_and_kept(export):
    wide = written([[*row, *["x"] * 9_992] for row in ROWS], [*HEADER, *map(str, range(9_992))])
    frame = export(wide).tables["opportunities"]
    assert frame["opportunity_id"].tolist() == ["6a", "6b", "6c"] and frame["9991"].tolist() == ["x"] * 3


def test_a_setting_that_is_wrong_is_found_before_the_data_are_read(export):
    with pytest.raises(SettingError, match="There is no CRM mapping 'hubspott'. Did you mean 'hubspot'"):
        export(written(), config='crm = "hubspott"\n')
