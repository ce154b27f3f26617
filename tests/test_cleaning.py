import json

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salesforecast import derive
from salesforecast.cleaning import ISSUES, RULES, clean, fixes, undo
from salesforecast.contract import breaches
from salesforecast.crm import load
from salesforecast.errors import DataError, SettingError
from salesforecast.tables import TABLES

HEAD = (
    "opportunity_id,rep_id,product_id,stage,outcome,amount,created_date,closed_date,expected_close_date,lost_reason\n"
)
GOOD = "a,r1,Atlas Pro,Open,open,5,2025-05-02,,2025-07-01,\nb,r1,Atlas Pro,Won,won,7,2025-01-03,2025-06-03,,\n"


def cleaned(write, rows="", **more):
    return clean(load(write(opportunities=HEAD + GOOD + rows, **more)))


def rule(issues, name):
    return issues[issues["rule"] == name]


def test_a_clean_export_gives_no_issues(write):
    crm, issues = cleaned(write)
    assert issues.empty and list(issues.columns) == ISSUES
    assert crm.as_of == pd.Timestamp("2025-06-03")
    assert crm.opportunities["amount"].tolist() == [5.0, 7.0]


@pytest.mark.parametrize(
    ("row", "name", "column", "was", "became"),
    [
        ("c,r1,Atlas Pro,Won,won,-9,2025-05-01,2025-06-01,,", "negative amount", "amount", "-9", ""),
        ("c,r1,Atlas Pro,Lost,lost,0,2025-05-01,2025-06-01,,", "amount 0 on a lost deal", "amount", "0", ""),
        ("c,r1,Atlas Pro,Won,won,9,2025-06-02,2025-06-01,,", "closed before created", "created_date", "2025-06-02", ""),
        ("c,r1,Atlas Pro,Open,open,9,2025-06-02,2025-06-03,,", "open with a closed date", "closed_date", "2025-06-03", ""),
        ("c,r1,Atlas Pro,Won,won,9,2025-05-02,2071-06-03,,", "closed after the data end", "closed_date", "2071-06-03", ""),
        ("c,r1,Atlas Pro,Won,won,,2025-05-02,2025-06-03,,", "won without an amount", "amount", "", ""),
        ("c,r1,Atlas Pro,Lost,lost,9,2025-05-02,,,", "closed without a date", "closed_date", "", ""),
        ("c,r1,Atlas Pro,Open,open,9,,,,", "no created date", "created_date", "", ""),
        ("c,,Atlas Pro,Open,open,9,2025-05-02,,,", "no owner", "rep_id", "", ""),
        ("c,r1,Atlas Pro,Open,open,9,2025-05-02,,2025-05-05,", "expected date has passed", "expected_close_date", "2025-05-05", "2025-05-05"),
        ("c,r1,Atlas Pro,Won,won,9,2025-05-02,2025-05-02,,", "won on the day it was entered", "created_date", "2025-05-02", "2025-05-02"),
        ("c,r1,Atlas Pro,Open,open,9,31/02/2025,,,", "not a date", "created_date", "31/02/2025", ""),
        ("c,r1,Atlas Pro,Open,open,lots,2025-05-02,,,", "not a money", "amount", "lots", ""),
        ("c,r1,Atlas  Pro ,Open,open,9,2025-05-02,,,", "spaces", "product_id", "Atlas  Pro ", "Atlas Pro"),
        ("c,r1,Atlas Pro,open,open,9,2025-05-02,,,", "spelling", "stage", "open", "Open"),
    ],
)  # fmt: skip
def test_each_mistake_is_one_row_of_the_issues_with_what_was_and_what_became(write, row, name, column, was, became):
    crm, issues = cleaned(write, row + "\n")
    found = rule(issues, name)
    assert found[["table", "row", "column", "was", "became"]].to_numpy().tolist() == [
        ["opportunities", "c", column, was, became]
    ]
    assert found["why"].iloc[0]
    assert len(crm.opportunities) == 3


def test_a_repeated_id_keeps_the_last_row_and_the_issues_keep_the_other_whole(write):
    crm, issues = cleaned(write, "a,r1,Atlas Pro,Open,open,8,2025-05-02,,2025-07-01,\n")
    assert crm.opportunities.set_index("opportunity_id").loc["a", "amount"] == 8
    (kept,) = rule(issues, "repeated id").to_dict("records")
    assert (kept["row"], kept["became"], json.loads(kept["was"])["amount"]) == ("a", "set apart", "5")


def test_a_row_without_an_id_is_set_apart_under_its_line(write):
    crm, issues = cleaned(write, ",r1,Atlas Pro,Open,open,8,2025-05-02,,,\n")
    assert len(crm.opportunities) == 2
    assert rule(issues, "required value empty")["row"].tolist() == ["line 4"]


def test_a_product_spelt_another_way_becomes_the_one_of_the_product_list(write):
    crm, issues = cleaned(
        write, "c,r1,AtlasPro,Open,open,9,2025-05-02,,,\n", products="product_id,product\nAtlas Pro,Atlas Pro\n"
    )
    assert set(crm.opportunities["product_id"]) == {"Atlas Pro"}
    assert rule(issues, "named, not numbered")[["row", "was", "became"]].to_numpy().tolist() == [
        ["c", "AtlasPro", "Atlas Pro"]
    ]


def test_a_product_by_its_name_becomes_its_id_and_two_of_one_name_become_none(write):
    rows = "c,r1,atlas pro,Open,open,9,2025-05-02,,,\nd,r1,Twin,Open,open,9,2025-05-02,,,\n"
    crm, _ = cleaned(write, rows, products="product_id,product\nP1,Atlas Pro\nP2,Twin\nP3,Twin\n")
    assert crm.opportunities.set_index("opportunity_id")["product_id"][["c", "d"]].tolist() == ["P1", "Twin"]


def test_what_differs_in_a_sign_or_a_figure_stays_apart(write):
    head = HEAD.replace("lost_reason", "segment")
    rows = [
        ("c", "A+"),
        ("d", "A-"),
        ("e", "<50"),
        ("f", ">50"),
        ("g", "10-1"),
        ("h", "101"),
        ("i", "NA"),
        ("j", "None"),
    ]
    text = head + "".join(f"{i},r1,P,Open,open,9,2025-05-02,,,{s}\n" for i, s in rows)
    crm, issues = clean(load(write(opportunities=text)))
    assert crm.opportunities["segment"].tolist() == [s for _, s in rows] and issues.empty


def test_what_stands_for_nothing_is_emptied_in_the_open(write):
    crm, issues = cleaned(write, "c,-,Atlas Pro,Open,open,n/a,2025-05-02,,,\n")
    assert crm.opportunities.set_index("opportunity_id").loc["c", ["rep_id", "amount"]].isna().all()
    assert rule(issues, "stands for nothing")[["column", "was"]].to_numpy().tolist() == [
        ["rep_id", "-"],
        ["amount", "n/a"],
    ]


def test_an_as_of_long_after_the_data_end_is_refused(write):
    with pytest.raises(SettingError, match="as_of is 2035-01-01, but the data end on 2025-06-03"):
        clean(load(write(opportunities=HEAD + GOOD)), as_of="2035-01-01")


def test_issues_are_those_of_the_day_asked_for(write):
    late = "c,r1,Atlas Pro,Open,open,-9,2025-06-02,,,\n"
    assert len(rule(cleaned(write, late)[1], "negative amount")) == 1
    crm, issues = clean(load(write(opportunities=HEAD + GOOD + late)), as_of="2025-05-31")
    assert "c" not in set(crm.opportunities["opportunity_id"]) and issues.empty


def test_a_date_centuries_before_all_others_costs_its_deal_the_age_only(write):
    rows = "".join(f"x{i},r1,Atlas Pro,Won,won,9,2025-05-{i % 28 + 1:02},2025-06-01,,\n" for i in range(300))
    crm, issues = cleaned(write, rows + "c,r1,Atlas Pro,Won,won,9,1902-05-02,2025-06-03,,\n")
    assert rule(issues, "created long before all others")["row"].tolist() == ["c"]
    assert crm.opportunities["created_date"].min() == pd.Timestamp("2025-01-03")


def test_a_change_that_stands_twice_in_the_history_is_one(write):
    export = write(
        opportunities="opportunity_id,amount\na,5\n", stages="stage,rank,outcome\nQualify,1,open\nWon,2,won\nLost,3,lost\n",
        stage_history="opportunity_id,entered_at,stage\na,2025-01-01 10:00,Qualify\na,2025-01-01 10:00,Qualify\na,2025-01-05 09:00,Won\n",
    )  # fmt: skip
    crm, issues = clean(load(export))
    assert len(crm.stage_history) == 2 and len(rule(issues, "repeated change")) == 1


def test_deals_deleted_in_salesforce_are_set_apart(write):
    text = (
        "Id,IsDeleted,StageName,CloseDate,IsClosed,IsWon,CreatedDate\n6a,TRUE,Prospecting,2025-07-01,FALSE,FALSE,2025-01-02\n"
        "6b,FALSE,Closed Won,2025-02-03,1.0,1,2025-01-03\n"
    )
    crm, issues = clean(load(write(Opportunity=text)))
    assert crm.opportunities[["opportunity_id", "outcome"]].to_numpy().tolist() == [["6b", "won"]]
    assert rule(issues, "deleted in the CRM")["row"].tolist() == ["6a"]


def test_the_expected_date_of_open_deals_is_not_taken_for_the_end_of_the_data(write):
    # One close date for both, mapped to closed_date only, as a HubSpot export has it.
    text = "opportunity_id,stage,outcome,created_date,closed_date\na,O,open,2025-01-02,2025-09-30\nb,W,won,2025-01-02,2025-02-03\n"
    crm, issues = clean(load(write(opportunities=text)))
    assert crm.as_of == pd.Timestamp("2025-02-03") and issues.empty
    assert crm.opportunities["expected_close_date"].tolist()[0] == pd.Timestamp("2025-09-30")


def test_a_deal_in_an_unknown_stage_is_set_apart_not_guessed(write):
    many = "".join(f"x{i},r1,Atlas Pro,Open,open,9,2025-05-02,,,\n" for i in range(20))
    stages = "stage,rank,outcome\nOpen,1,open\nWon,2,won\n"
    crm, issues = cleaned(write, many + "c,r1,Atlas Pro,Opem,,9,2025-05-02,,,\n", stages=stages)
    assert "c" not in set(crm.opportunities["opportunity_id"])
    assert rule(issues, "unknown stage")["row"].tolist() == ["c"]


def test_many_deals_in_unknown_stages_stop_the_run_with_the_stages(write):
    with pytest.raises(DataError, match=r"2 of 3 rows of 'opportunities' are in stages .* 'Hm' \(2\).*\[\[stage\]\]"):
        clean(
            load(
                write(
                    opportunities="opportunity_id,stage\na,Hm\nb,Hm\nc,Open\n",
                    stages="stage,rank,outcome\nOpen,1,open\n",
                )
            )
        )


def test_what_cannot_be_read_is_told_in_words_of_the_reader(write):
    rows = "opportunity_id,stage,outcome,amount,probability,created_date\na,Open,open,lots,maybe,2025-01-02\n"
    _, issues = clean(load(write(opportunities=rows)))
    why = issues.set_index("column")["why"]
    assert why["amount"] == "It cannot be read as an amount, so it is left out."
    assert why["probability"] == "It cannot be read as a share, so it is left out."


def test_amounts_in_thousands_and_millions_are_read_so_and_each_is_an_issue_that_can_be_undone(write):
    texts = ["2.5k", "1.2M", "5 Mio.", "5 MIO", "3 TEUR", "5k EUR", "7"]
    rows = "".join(f"{i},,,Open,open,{text},2025-01-02,,,\n" for i, text in enumerate(texts))
    export = load(write(opportunities=HEAD + rows, salesforecast__toml='currency = "EUR"\n'))
    crm, issues = clean(export)
    assert crm.opportunities["amount"].tolist() == [2500, 1.2e6, 5e6, 5e6, 3000, 5000, 7]
    told = rule(issues, "in thousands or millions")
    assert told[["was", "became"]].to_numpy().tolist()[:2] == [["2.5k", "2500"], ["1.2M", "1200000"]]
    assert told["was"].tolist() == texts[:-1]
    assert undo(crm, issues)["opportunities"]["amount"].tolist() == texts


def test_without_outcomes_or_stages_the_error_shows_how_to_declare_them(write):
    with pytest.raises(DataError, match=r"Nothing says which stages are open, won or lost.*\[\[stage\]\]"):
        clean(load(write(opportunities="opportunity_id,stage,created_date\na,Open,2025-01-01\n")))


def test_an_export_of_a_known_crm_without_outcomes_is_told_which_of_its_columns_say_them(write):
    deals = (
        "Record ID,Deal Name,Deal Stage,Pipeline,Amount,Create Date,Deal owner\n1,A,Closed Won,Sales,5,2025-01-03,Ann\n"
    )
    with pytest.raises(
        DataError, match="Add 'Is Deal Closed\\?' and 'Is Closed Won' to the columns of the export, export the"
    ):
        clean(load(write(Deals=deals)))


def test_salesforce_has_one_close_date_and_here_it_is_two(write):
    text = (
        "Id,StageName,Amount,CloseDate,IsClosed,IsWon,CreatedDate\n6a,Prospecting,10,2025-07-01,FALSE,FALSE,2025-01-02\n"
        "6b,Closed Won,20,2025-02-03,TRUE,TRUE,2025-01-03\n6c,Closed Lost,20,2025-02-04,TRUE,FALSE,2025-01-03\n"
    )
    crm, issues = clean(load(write(Opportunity=text)))
    deals = crm.opportunities.set_index("opportunity_id")
    assert deals["outcome"].to_dict() == {"6a": "open", "6b": "won", "6c": "lost"}
    assert deals["expected_close_date"].notna().to_dict() == {"6a": True, "6b": False, "6c": False}
    closed = deals["closed_date"].dt.strftime("%m-%d").fillna("")
    assert closed.to_dict() == {"6a": "", "6b": "02-03", "6c": "02-04"}
    assert issues.empty and list(deals.columns) == [c for c in TABLES["opportunities"].names if c in deals]


def test_stage_outcome_and_dates_come_from_the_history_where_the_deals_lack_them(write):
    export = write(
        opportunities="opportunity_id,amount\na,5\nb,6\nc,7\n",
        stage_history="opportunity_id,entered_at,stage\na,2025-01-01 10:00,Qualify\na,2025-01-05 09:00,Won\n"
        "b,2025-01-02 10:00,Qualify\nc,2025-01-02,Qualify\nc,2025-01-03,Lost\nc,2025-01-04,Qualify\nc,2025-01-09,Lost\nc,2025-01-11,Lost\n",
        stages="stage,rank,outcome\nQualify,1,open\nWon,2,won\nLost,3,lost\n",
    )
    deals = clean(load(export))[0].opportunities.set_index("opportunity_id")
    assert deals["stage"].to_dict() == {"a": "Won", "b": "Qualify", "c": "Lost"}
    assert deals["outcome"].to_dict() == {"a": "won", "b": "open", "c": "lost"}
    assert deals["created_date"].dt.strftime("%m-%d").tolist() == ["01-01", "01-02", "01-02"]
    assert deals["closed_date"].dt.strftime("%m-%d").fillna("").tolist() == ["01-05", "", "01-09"], (
        "the day it came into the outcome it has now"
    )


def test_a_typing_error_far_ahead_is_not_the_end_of_the_data(write):
    rows = "".join(f"x{i},r1,Atlas Pro,Won,won,9,2025-05-{i % 28 + 1:02},2025-06-01,,\n" for i in range(300))
    crm, _ = cleaned(write, rows + "c,r1,Atlas Pro,Won,won,9,2025-05-02,2071-06-03,,\n")
    assert crm.as_of == pd.Timestamp("2025-06-03")


def test_as_of_an_earlier_day_gives_the_tables_of_that_day(write):
    crm, _ = clean(load(write(opportunities=HEAD + GOOD)), as_of="2025-05-31")
    assert crm.opportunities.set_index("opportunity_id")["outcome"].to_dict() == {"a": "open", "b": "open"}
    assert crm.as_of == pd.Timestamp("2025-05-31")


def test_no_rule_changes_the_frame_it_is_given(write):
    export = load(write(opportunities=HEAD + GOOD + "c,r1,AtlasPro,Won,won,-9,2025-06-02,2025-06-01,,\n"))
    before = {name: frame.copy() for name, frame in export.tables.items()}
    clean(export)
    for name, frame in before.items():
        pd.testing.assert_frame_equal(export.tables[name], frame)


def test_rules_have_different_names_and_a_reason():
    assert len({(r.table, r.name) for r in RULES}) == len(RULES)
    assert all(r.why.endswith(".") and len(r.why) > 20 for r in RULES)


CELL = st.sampled_from(
    ["", " ", "-", "7", "-7", "0", "1,5", "2025-05-02", "2024-12-31", "31/02/2025", "x", "Open", "won", "None", "=1+1"]
)


OUTCOME = st.sampled_from(["", "open", "won", "lost"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELL, CELL, OUTCOME, CELL, CELL, CELL, CELL), max_size=12))
def test_whatever_is_in_the_cells_the_result_keeps_its_contract_and_no_row_is_lost(write, cells):
    stages = "stage,rank,outcome\nOpen,1,open\nWon,2,won\nLost,3,lost\n"
    base = "".join(f"g{i},r1,P,Open,open,5,2025-05-02,,,\n" for i in range(30))
    rows = "".join(
        f'd{i},"{r}","{p}",Open,"{o}","{a}","{c}","{k}","{e}",\n' for i, (r, p, o, a, c, k, e) in enumerate(cells)
    )
    export = load(write(opportunities=HEAD + GOOD + base + rows, stages=stages))
    crm, issues = clean(export, as_of="2025-06-03")
    assert all(not breaches(frame, name) for name, frame in crm.tables.items())
    apart = issues[(issues["became"] == "set apart") & (issues["table"] == "opportunities")]
    assert len(crm.opportunities) + len(apart) == 32 + len(cells)


# ---- what is proposed or only noticed ----------------------------------------------------------------------------------

MOVES = "stage,rank,outcome\nOpen,1,open\nWon,2,won\nLost,3,lost\n"
NAMED = "opportunity_id,name,account_id,stage,outcome,amount,created_date,closed_date,expected_close_date,lost_reason\n"


def noticed(issues, name):
    """The rows a rule noticed, which are left as they are."""
    found = rule(issues, name)
    assert (found["was"] == found["became"]).all()
    return found["row"].tolist()


@pytest.mark.parametrize(
    ("name", "account", "amount", "created", "twice"),
    [
        ("Atlas for Acme", "A1", 9, "2025-05-09", True),
        ("ATLAS  for acme.", "A1", 9, "2025-05-09", True),
        ("Atlas for Acmee", "A1", 9, "2025-05-09", True),
        ("Atlas for Acme", "A1", 9, "2025-06-03", False),  # more than 30 days later
        ("Atlas for Acme", "A1", 9.5, "2025-05-09", False),
        ("Atlas for Acme", "A2", 9, "2025-05-09", False),
        ("Pumps for Brno", "A1", 9, "2025-05-09", False),
    ],
)
def test_two_deals_of_one_account_name_and_amount_entered_within_a_month_are_proposed_not_merged(
    write, name, account, amount, created, twice
):
    rows = f'c,Atlas for Acme,A1,Open,open,9,2025-05-02,,,\nd,"{name}",{account},Open,open,{amount},{created},,,\ne,z,A9,Won,won,1,2025-01-01,2025-06-03,,\n'
    crm, issues = clean(load(write(opportunities=NAMED + rows)))
    assert noticed(issues, "perhaps the same deal twice") == (["d"] if twice else [])
    assert len(crm.opportunities) == 3
    proposed = fixes(issues, crm).query("column == 'opportunity_id'")
    assert proposed[["id", "now", "proposed"]].to_numpy().tolist() == ([["d", "d", "c"]] if twice else [])


def test_names_that_differ_in_a_figure_are_a_series_and_not_a_mistake(write):
    rows = "c,Renewal of the contract 2024,A1,Open,open,9,2025-05-02,,,\nd,Renewal of the contract 2025,A1,Open,open,9,2025-05-03,,,\n"
    issues = clean(load(write(opportunities=NAMED + rows)))[1]
    assert issues.empty


def test_accounts_that_differ_in_case_or_legal_form_only_are_proposed_not_merged(write):
    accounts = (
        "account_id,account,region,parent_id\n1,Acme Inc.,EU,\n2,ACME LLC,EU,\n3,Acme Norway AS,EU,\n4,Acme,US,\n5,Vid Kft.,EU,\n"
        "6,Vid,EU,5\n7,Chain,,\n8,Chain Ltd,,\n9,Chain AG,,\n10,Chain SA,,\n"
    )
    crm, issues = cleaned(write, accounts=accounts)
    assert noticed(issues, "perhaps the same account twice") == ["2"], (
        "not another region, a daughter, or a common name"
    )
    assert len(crm.accounts) == 10
    assert fixes(issues, crm)[["table", "id", "proposed"]].to_numpy().tolist() == [["accounts", "2", "1"]]


def test_a_day_on_which_very_many_deals_closed_is_flagged_deal_by_deal_with_the_day(write):
    usual = "".join(
        f"u{i},r1,P,Won,won,9,2025-01-02,{d:%Y-%m-%d},,\n"
        for i, d in enumerate(pd.bdate_range("2025-01-06", "2025-06-03"))
    )
    bulk = "".join(f"b{i},r1,P,Lost,lost,9,2025-01-02,2025-04-13,,\n" for i in range(25))
    issues = cleaned(write, usual + bulk)[1]
    assert sorted(noticed(issues, "closed in bulk")) == sorted(f"b{i}" for i in range(25))
    assert set(rule(issues, "closed in bulk")["was"]) == {"2025-04-13"}
    assert (
        noticed(cleaned(write, usual + bulk.replace("2025-04-13", "2025-04-14").split("b18")[0])[1], "closed in bulk")
        == []
    )


def test_an_amount_a_thousand_times_the_usual_of_its_product_is_flagged_and_a_correction_proposed(write):
    usual = "".join(f"u{i},r1,P,Won,won,{100 + i},2025-01-02,2025-05-{i % 28 + 1:02},,\n" for i in range(25))
    odd = "c,r1,P,Won,won,120000,2025-01-02,2025-05-02,,\nd,r1,P,Won,won,0.1,2025-01-02,2025-05-02,,\ne,r1,P,Won,won,9000,2025-01-02,2025-05-02,,\n"
    crm, issues = cleaned(write, usual + odd)
    assert noticed(issues, "1,000 times too much or too little") == ["c", "d"]
    proposed = fixes(issues, crm)
    assert proposed[["id", "column", "now", "proposed"]].to_numpy().tolist() == [
        ["c", "amount", "120000", "120"],
        ["d", "amount", "0.1", "100"],
    ]
    few = "".join(f"u{i},r1,P,Won,won,{100 + i},2025-01-02,2025-05-{i % 28 + 1:02},,\n" for i in range(10))
    assert noticed(cleaned(write, few + odd)[1], "1,000 times too much or too little") == [], (
        "of few amounts none is the usual one"
    )


def test_a_deal_expected_more_than_a_year_ago_is_told_from_one_that_slipped(write):
    rows = "c,r1,P,Open,open,9,2024-01-02,,2024-06-02,\nd,r1,P,Open,open,9,2024-01-02,,2024-06-03,\ne,r1,P,Open,open,9,2024-01-02,,2025-06-03,\n"
    issues = cleaned(write, rows)[1]
    assert noticed(issues, "expected date passed long ago") == ["c"]
    assert noticed(issues, "expected date has passed") == ["d"]


def test_the_history_is_held_against_its_deal(write):
    deals = (
        "opportunity_id,stage,amount,created_date,closed_date\nback,Won,1,2025-02-01,2025-03-01\nagain,Won,1,2025-01-01,2025-03-01\n"
        "open,Won,1,2025-01-01,2025-03-01\nlate,Won,1,2025-01-01,2025-03-01\nafter,Lost,1,2025-01-01,2025-02-01\ngood,Won,1,2025-01-01,2025-03-01\n"
    )
    moves = (
        "opportunity_id,entered_at,stage\nback,2025-01-31 23:00,Open\nback,2025-03-01,Won\nagain,2025-01-01,Open\nagain,2025-02-01,Lost\n"
        "again,2025-02-03,Open\nagain,2025-03-01,Won\nopen,2025-01-01,Open\nlate,2025-01-01,Open\nlate,2025-04-01,Won\n"
        "after,2025-01-01,Open\nafter,2025-02-02,Open\nafter,2025-02-03,Lost\ngood,2025-01-01,Open\ngood,2025-03-01 17:00,Won\n"
    )
    issues = clean(load(write(opportunities=deals, stages=MOVES, stage_history=moves)))[1]
    assert noticed(issues, "changed before the deal was entered") == ["back, 2025-01-31 23:00, 1"]
    assert noticed(issues, "opened again after closing") == ["again"]
    assert noticed(issues, "closed, but its history ends open") == ["open"]
    assert noticed(issues, "closed weeks before its history says") == ["late"]
    assert noticed(issues, "in an open stage after closing") == ["after, 2025-02-02, 2"]
    assert len(issues) == 5


def test_a_history_numbered_against_the_clock_is_in_the_order_of_the_clock(write):
    moves = "opportunity_id,entered_at,sequence,stage\na,2025-01-01,20,Open\na,2025-01-02,10,Won\nb,2025-01-01,10,Open\nb,2025-01-01,20,Won\n"
    crm, issues = clean(
        load(write(opportunities="opportunity_id,amount\na,1\nb,2\n", stages=MOVES, stage_history=moves))
    )
    assert rule(issues, "out of order")[["was", "became"]].to_numpy().tolist() == [["10", "2"]]
    assert (
        crm.stage_history["sequence"].tolist() == [1, 2, 1, 2]
        and crm.stage_history["stage"].tolist() == ["Open", "Won"] * 2
    )


def test_a_deal_that_the_crm_merged_into_another_is_set_apart(write):
    head = HEAD.replace("\n", ",MasterRecordId,Merged Deal IDs\n")
    rows = "a,r1,P,Open,open,5,2025-05-02,,,,b,\nb,r1,P,Won,won,7,2025-01-03,2025-06-03,,,,c; x\nc,r1,P,Open,open,7,2025-01-03,,,,,\nd,r1,P,Lost,lost,7,2025-01-03,2025-05-05,,Duplicate,,\n"
    crm, issues = clean(load(write(opportunities=head + rows)))
    assert rule(issues, "merged into another deal")["row"].tolist() == ["a", "c"]
    assert crm.opportunities["opportunity_id"].tolist() == ["b", "d"]
    assert noticed(issues, "lost by a merger") == ["d"]


def test_a_lost_closing_day_and_owner_are_proposed_from_the_history(write):
    deals = "opportunity_id,rep_id,stage,amount,created_date,closed_date\na,,Won,,2025-01-05,2025-01-02\nb,r1,Lost,1,TBD,n/a\nc,r1,Losst,1,2025-01-02,\n"
    more = "".join(f"x{i},r1,Open,1,2025-01-02,\n" for i in range(20))
    moves = "opportunity_id,entered_at,stage,amount,rep_id\na,2025-01-05,Open,70,r7\na,2025-02-03,Won,75,r7\nb,2025-01-04,Open,1,r1\nb,2025-02-05 12:00,Lost,1,r1\n"
    crm, issues = clean(load(write(opportunities=deals + more, stages=MOVES, stage_history=moves)))
    proposed = fixes(issues, crm)
    assert list(proposed.columns) == ["table", "id", "column", "now", "proposed", "why", "confidence"]
    assert proposed[["id", "column", "now", "proposed"]].to_numpy().tolist() == [
        ["a", "amount", "", "75"], ["a", "closed_date", "2025-01-02", "2025-02-03"], ["a", "rep_id", "", "r7"],
        ["b", "closed_date", "n/a", "2025-02-05"], ["b", "created_date", "TBD", "2025-01-04"], ["c", "stage", "Losst", "Lost"],
    ]  # fmt: skip
    assert proposed["why"].str.endswith(".").all()


def test_each_issue_names_its_line(write):
    issues = cleaned(write, "c,r1,P,Won,won,-9,2025-05-01,2025-06-01,,\nc,r1,P,Won,won,9,2025-05-01,2025-06-01,,\nd,,P,Open,open,1,2025-05-01,,,\n")[1]  # fmt: skip
    assert issues[["rule", "line"]].to_numpy().tolist() == [["repeated id", 4], ["no owner", 6]]


def test_an_issue_keeps_its_line_when_the_tables_are_of_an_earlier_day(write):
    late = "A0,r1,P,Open,open,1,2025-06-01,,,\nz,,P,Open,open,1,2025-05-01,,,\n"
    _, issues = clean(load(write(opportunities=HEAD + GOOD + late)), as_of="2025-05-31")
    assert issues[["row", "rule", "line"]].to_numpy().tolist() == [["z", "no owner", 5]]


def test_days_before_all_others_are_looked_for_again_once_the_first_are_gone(write):
    rows = "".join(f"x{i},r1,P,Won,won,9,2025-05-{i % 28 + 1:02},2025-06-01,,\n" for i in range(60))
    odd = "c,r1,P,Won,won,9,1902-05-02,2025-06-03,,\nd,r1,P,Won,won,9,1950-05-02,2025-06-03,,\n"
    assert rule(cleaned(write, rows + odd)[1], "created long before all others")["row"].tolist() == ["c", "d"]
    few = "".join(f"x{i},r1,P,Won,won,9,2025-05-{i % 28 + 1:02},2025-06-01,,\n" for i in range(5))
    assert rule(cleaned(write, few + odd)[1], "created long before all others").empty


def test_the_end_of_the_data_is_looked_for_again_once_days_far_ahead_are_gone():
    days = [*pd.date_range("2024-01-01", periods=597).tolist(), *pd.to_datetime(["2025-12-01"] * 2 + ["2071-01-01"])]
    deals = pd.DataFrame({"created_date": days, "outcome": "open"})
    assert derive.last_day({"opportunities": deals}) == pd.Timestamp("2024-01-01") + pd.Timedelta(days=596)
    assert derive.last_day({"opportunities": deals.iloc[:-1]}) == pd.Timestamp("2024-01-01") + pd.Timedelta(days=596)


def test_dates_of_both_orders_are_read_in_that_of_the_most_and_the_column_is_named(write):
    days = ["02/23/25", "03/04/25", "02/24/25", "25/02/25"]
    rows = "".join(f"{i},r1,P,Open,open,1,{d},,2025-07-01,\n" for i, d in enumerate(days))
    crm, issues = cleaned(write, rows)
    got = crm.opportunities.set_index("opportunity_id")["created_date"].dt.strftime("%m-%d")
    assert got["0":"3"].fillna("").tolist() == ["02-23", "03-04", "02-24", ""]
    assert rule(issues, "not a date")[["row", "was"]].to_numpy().tolist() == [["3", "25/02/25"]]
    told = rule(issues, "dates in both orders").iloc[0]
    assert (told["row"], told["column"], told["was"]) == (
        "opportunities.csv",
        "created_date",
        "1 date, e.g. '25/02/25'",
    )
    assert "month/day" in told["why"] and 'date_order = "dmy"' in told["why"]
    assert (
        len(rule(clean(load(write(opportunities=HEAD + GOOD + rows)), as_of="2025-05-31")[1], "dates in both orders"))
        == 1
    )
    settled = cleaned(write, rows, salesforecast__toml='date_order = "dmy"\n')
    assert rule(settled[1], "dates in both orders").empty and len(rule(settled[1], "not a date")) == 2
    assert settled[0].opportunities.set_index("opportunity_id")["created_date"]["1"] == pd.Timestamp("2025-04-03")


def test_two_columns_of_different_orders_are_each_read_in_their_own(write):
    rows = "c,r1,P,Won,won,1,02/23/25,25/03/25,,\nd,r1,P,Won,won,1,01/02/25,01/02/25,,\n"
    crm, issues = cleaned(write, rows)
    deals = crm.opportunities.set_index("opportunity_id")
    assert deals.loc["d", ["created_date", "closed_date"]].dt.strftime("%m-%d").tolist() == ["01-02", "02-01"]
    assert deals.loc["c", "closed_date"] == pd.Timestamp("2025-03-25") and issues.empty


def test_the_history_of_a_merged_deal_goes_on_in_the_one_that_is_left(write):
    deals = "opportunity_id,stage,amount,created_date,closed_date,Merged object IDs\na,Won,7,2025-01-03,2025-03-01,b;c\nb,Open,9,2025-01-04,,\nd,Won,7,2025-01-03,2025-03-01,a\n"
    history = "opportunity_id,entered_at,stage\nb,2025-01-04,Open\nc,2025-01-05,Open\nd,2025-03-01,Won\n"
    export = load(write(opportunities=deals, stages=MOVES, stage_history=history))
    crm, issues = clean(export)
    assert crm.opportunities["opportunity_id"].tolist() == ["d"], "a was merged into d, and b and c into a"
    assert crm.stage_history["opportunity_id"].tolist() == ["d"] * 3
    assert rule(issues, "of a merged deal")[["was", "became"]].to_numpy().tolist() == [["b", "d"], ["c", "d"]]
    pd.testing.assert_frame_equal(undo(crm, issues)["stage_history"], export.tables["stage_history"])
