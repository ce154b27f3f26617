import json

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salesforecast.cleaning import ISSUES, RULES, clean
from salesforecast.crm import load
from salesforecast.errors import DataError, SettingError
from salesforecast.tables import TABLES, breaches

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
    assert (kept["row"], kept["became"], json.loads(kept["was"])["amount"]) == ("a", "set apart", "5.0")


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


def test_without_outcomes_or_stages_the_error_shows_how_to_declare_them(write):
    with pytest.raises(DataError, match=r"Nothing says which stages are open, won or lost.*\[\[stage\]\]"):
        clean(load(write(opportunities="opportunity_id,stage,created_date\na,Open,2025-01-01\n")))


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
