import re
from pathlib import Path

import pandas as pd
import pytest

from salesforecast import contract, tables
from salesforecast.errors import DataError, MissingTable, SettingError
from salesforecast.tables import TABLES, Crm


def opportunities(**columns):
    frame = {"opportunity_id": ["a", "b"], "stage": ["Qualify", "Won"], "outcome": ["open", "won"]}
    return pd.DataFrame(frame | columns)


def test_every_declared_key_is_a_declared_column():
    for table in TABLES.values():
        assert set(table.key) <= set(table.names), table.name


def test_a_table_that_keeps_its_contract_comes_back_as_it_is():
    frame = opportunities(amount=[1.0, None])
    assert contract.check(frame, "opportunities") is frame


def test_check_reports_all_breaches_at_once_with_counts_examples_and_the_fix():
    broken = opportunities(
        opportunity_id=["a", "a"],
        stage=["Qualify", None],
        outcome=["open", "closed"],
        probability=[60.0, 0.5],
        amount=["1", "2"],
        created_date=pd.to_datetime(["2025-01-01 10:00", None]),
    )
    with pytest.raises(DataError) as error:
        contract.check(broken, "opportunities")
    text = str(error.value)
    for part in (
        "stage: 1 of 2 values are empty",
        "outcome: 1 values are none of open, won, lost, e.g. 'closed'",
        "probability: 1 values lie outside 0 to 1, e.g. '60.0'; if the export is in per cent",
        "amount: is str, not a money",
        "created_date: has times of day",
        "2 rows share a key (opportunity_id), e.g. 'a'",
    ):
        assert part in text
    assert text.count("\n") == 6


def test_a_missing_required_column_is_named_with_the_place_to_map_it():
    with pytest.raises(DataError, match=r"outcome: the column is missing; map it .* under \[opportunities.columns\]"):
        contract.check(opportunities().drop(columns="outcome"), "opportunities")


def test_an_unknown_table_is_refused_with_the_nearest_name():
    with pytest.raises(SettingError, match="Did you mean 'opportunities'"):
        contract.check(opportunities(), "oportunities")


def test_a_table_that_is_not_there_says_which_export_to_add():
    crm = Crm({"opportunities": opportunities()}, pd.Timestamp("2025-06-30"))
    with pytest.raises(MissingTable, match=r"needs the table 'stage_history'.*Salesforce: OpportunityHistory"):
        _ = crm.stage_history
    with pytest.raises(AttributeError):
        _ = crm.stage_histroy
    assert "stage_history" not in crm and "opportunities" in crm


def test_the_readme_prints_the_codebook_as_declared():
    readme = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    printed = re.search(r"<!-- codebook -->\n(.*)<!-- /codebook -->", readme, re.S)
    assert printed and printed.group(1).strip() == contract.codebook().strip(), (
        "run: python -m salesforecast.contract README.md"
    )


# ---- names and filters -------------------------------------------------------------------------------------------------


@pytest.fixture
def crm():
    deals = opportunities(rep_id=["r1", "r9"], product_id=["p1", None], created_date=pd.to_datetime(["2025-01-01"] * 2))
    reps = pd.DataFrame({"rep_id": ["r1"], "rep": ["Ana"], "team": ["North"], "region": ["EU"]})
    products = pd.DataFrame({"product_id": ["p1"], "product": ["Atlas"], "family": ["A"]})
    return Crm({"opportunities": deals, "reps": reps, "products": products}, pd.Timestamp("2025-06-30"))


def test_deals_carry_names_and_fall_back_to_the_id_where_there_is_none(crm):
    deals = crm.deals
    assert deals["rep"].tolist() == ["Ana", "r9"]
    assert deals["team"].tolist()[0] == "North" and deals["team"].isna().tolist() == [False, True]
    assert deals["product"].tolist()[0] == "Atlas" and pd.isna(deals["product"].iloc[1])
    assert len(deals) == 2 and "rep" not in crm.opportunities


def test_only_keeps_the_deals_of_a_team_and_refuses_an_unknown_one(crm):
    assert crm.only(team="North").opportunities["opportunity_id"].tolist() == ["a"]
    assert crm.only(product="A").opportunities["opportunity_id"].tolist() == ["a"]
    assert crm.only().opportunities["opportunity_id"].tolist() == ["a", "b"]
    with pytest.raises(SettingError, match="There is no team 'Nord'. Did you mean 'North'"):
        crm.only(team="Nord")


# ---- time travel -------------------------------------------------------------------------------------------------------


def history(*rows):
    return pd.DataFrame(rows, columns=["opportunity_id", "entered_at", "sequence", "stage", "amount"]).assign(
        entered_at=lambda h: pd.to_datetime(h["entered_at"], format="ISO8601")
    )


STAGES = pd.DataFrame(
    {"stage": ["Qualify", "Won", "Lost"], "rank": [1.0, 2.0, 3.0], "outcome": ["open", "won", "lost"]}
)


@pytest.fixture
def later():
    deals = opportunities(
        amount=[50.0, 120.0],
        created_date=pd.to_datetime(["2025-03-01", "2025-01-01"]),
        closed_date=pd.to_datetime([None, "2025-04-01"]),
        lost_reason=pd.Series([None, "price"], dtype="str"),
    )
    moves = history(
        ("b", "2025-01-01 09:00", 1, "Qualify", 100.0),
        ("b", "2025-04-01 12:00", 2, "Won", 120.0),
        ("a", "2025-03-01", 1, "Qualify", 50.0),
    )
    return Crm({"opportunities": deals, "stage_history": moves, "stages": STAGES}, pd.Timestamp("2025-06-30"))


def test_a_deal_won_later_is_open_with_the_stage_and_amount_of_that_day(later):
    then = later.at(pd.Timestamp("2025-03-31"))
    b = then.opportunities.set_index("opportunity_id").loc["b"]
    assert (b["outcome"], b["stage"], b["amount"]) == ("open", "Qualify", 100.0)
    assert pd.isna(b["closed_date"]) and pd.isna(b["lost_reason"])
    assert len(then.stage_history) == 2


def test_on_the_day_it_closed_it_is_closed(later):
    then = later.at(pd.Timestamp("2025-04-01"))
    b = then.opportunities.set_index("opportunity_id").loc["b"]
    assert (b["outcome"], b["stage"], b["amount"]) == ("won", "Won", 120.0)


def test_a_deal_entered_later_is_not_there_yet(later):
    assert later.at(pd.Timestamp("2025-02-28")).opportunities["opportunity_id"].tolist() == ["b"]


def test_without_history_the_columns_of_today_are_named(later):
    bare = Crm({"opportunities": later.opportunities}, later.as_of).at(pd.Timestamp("2025-03-31"))
    b = bare.opportunities.set_index("opportunity_id").loc["b"]
    assert (b["outcome"], b["stage"]) == ("open", tables.NOT_RECORDED)
    assert "amount" in bare.of_today and "created_date" not in bare.of_today


def test_a_reopened_deal_is_what_its_stage_was_and_an_emptied_amount_stays_empty():
    moves = history(
        ("a", "2025-01-01", 1, "Qualify", 10.0), ("a", "2025-01-10", 2, "Lost", 10.0), ("a", "2025-02-01", 3, "Qualify", None),
        ("a", "2025-03-01", 4, "Won", 12.0),
    )  # fmt: skip
    deals = pd.DataFrame({"opportunity_id": ["a"], "stage": ["Won"], "outcome": ["won"], "amount": [12.0],
                          "created_date": pd.to_datetime(["2025-01-01"]), "closed_date": pd.to_datetime(["2025-03-01"])})  # fmt: skip
    crm = Crm({"opportunities": deals, "stage_history": moves, "stages": STAGES}, pd.Timestamp("2025-06-30"))
    lost = crm.at("2025-01-20").opportunities.iloc[0]
    assert (lost["stage"], lost["outcome"], lost["amount"]) == ("Lost", "lost", 10.0)
    again = crm.at("2025-02-20").opportunities.iloc[0]
    assert (again["stage"], again["outcome"]) == ("Qualify", "open") and pd.isna(again["amount"])


def test_without_history_a_closed_deal_without_a_date_stays_closed_and_undated_deals_stay():
    deals = opportunities(
        outcome=["lost", "open"],
        created_date=pd.to_datetime(["2025-01-01", None]),
        closed_date=pd.to_datetime([None, None]),
    )
    then = Crm({"opportunities": deals}, pd.Timestamp("2025-06-30")).at("2025-03-31").opportunities
    assert then["outcome"].tolist() == ["lost", "open"]
    bare = Crm({"opportunities": opportunities()}, pd.Timestamp("2025-06-30")).at("2025-03-31").opportunities
    assert len(bare) == 2


def test_nothing_after_the_day_changes_what_was_known_then(later):
    day = pd.Timestamp("2025-03-31")
    deals, moves = later.opportunities.copy(), later.stage_history.copy()
    deals.loc[deals["closed_date"] > day, "closed_date"] = pd.Timestamp("2025-05-17")
    deals.loc[deals["opportunity_id"] == "b", ["stage", "outcome", "amount"]] = ["Lost", "lost", 7.0]
    moves = moves[moves["entered_at"] <= day].reset_index(drop=True)
    changed = Crm({"opportunities": deals, "stage_history": moves, "stages": STAGES}, later.as_of)
    pd.testing.assert_frame_equal(later.at(day).opportunities, changed.at(day).opportunities)
    pd.testing.assert_frame_equal(later.at(day).stage_history, changed.at(day).stage_history)


def test_a_part_keeps_reps_of_one_name_apart():
    reps = pd.DataFrame({"rep_id": ["R1", "R2", "R3"], "rep": ["Jo", "Jo", "Al"], "team": ["N", "S", "N"]})
    deals = pd.DataFrame({"opportunity_id": ["A", "B", "C"], "rep_id": ["R1", "R2", "R3"]})
    whole = Crm({"opportunities": deals, "reps": reps}, as_of=pd.Timestamp("2025-06-30"))
    for part in (whole.only(team="N"), whole.only(rep="Jo (R1)")):
        assert part.deals["rep"].iloc[0] == "Jo (R1)" and part.reps["rep"].iloc[0] == "Jo (R1)"
        assert part.only(rep="Jo (R1)").deals["opportunity_id"].tolist() == ["A"]
