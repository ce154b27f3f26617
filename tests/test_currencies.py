"""Amounts in several currencies: each at the rate of its day, explained to the cent, or refused."""

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salesforecast.cleaning import clean, fixes, undo
from salesforecast.crm import load, mappings
from salesforecast.errors import DataError

HEAD = "opportunity_id,stage,outcome,amount,currency,created_date,closed_date,expected_close_date\n"
DEALS = (
    "a,Won,won,100.00,EUR,2025-01-10,2025-03-31,\n"  # closed on the day of a rate
    "b,Won,won,100,EUR,2025-01-10,2025-03-30,\n"  # the day before it
    "c,Open,open,100,EUR,2025-02-10,,2025-12-31\n"  # open: the day it was entered, not the day it is expected
    "d,Won,won,100,USD,2025-01-10,2025-03-31,\n"
    "e,Won,won,100,EUR,2024-11-10,2024-12-30,\n"  # older than the first rate
    "f,Won,won,,EUR,2025-01-10,2025-03-31,\n"
)
RATES = "date,currency,rate\n2025-03-31,EUR,1.25\n2025-01-01,EUR,1.0312\n2025-01-01,GBP,1.3\n"
DOLLARS = 'currency = "USD"\n'


def cleaned(write, rows=DEALS, config=DOLLARS, head=HEAD, **more):
    export = load(write(opportunities=head + rows, salesforecast__toml=config, **more))
    return export, *clean(export)


def test_each_amount_is_converted_at_the_last_rate_on_or_before_its_day(write):
    _, crm, issues = cleaned(write, exchange_rates=RATES)
    deals = crm.opportunities.set_index("opportunity_id")
    assert deals["amount"].dropna().to_dict() == {"a": 125.0, "b": 103.12, "c": 103.12, "d": 100.0}
    assert deals["currency"].to_dict() == {"a": "USD", "b": "USD", "c": "USD", "d": "USD", "e": "EUR", "f": "EUR"}
    told = issues[issues["column"] == "amount"][["row", "rule", "was", "became"]].to_numpy().tolist()
    assert told[:4] == [
        ["a", "converted", "100", "125"], ["b", "converted", "100", "103.12"], ["c", "converted", "100", "103.12"],
        ["e", "no exchange rate", "100", ""],
    ]  # fmt: skip


def test_the_currency_that_is_reported_already_is_not_advised(write):
    with pytest.raises(DataError, match=r"put a file exchange_rates.csv .*worth in EUR\)\.$"):
        cleaned(write, config='currency = "EUR"\n')


def test_a_currency_named_by_a_word_beside_the_amount_counts_as_well(write):
    head, rows = HEAD.replace("currency,", ""), "a,Won,won,1 200 kr,2025-01-10,2025-03-31,\n"
    assert cleaned(write, rows, 'currency = "NOK"\n', head)[1].opportunities["amount"].tolist() == [1200.0]
    with pytest.raises(DataError, match=r"Amounts are in kr \(1 row\), and the reporting currency is USD"):
        cleaned(write, rows, DOLLARS, head)


def test_a_later_rate_changes_nothing(write):
    before = cleaned(write, exchange_rates=RATES)[1].opportunities
    after = cleaned(write, exchange_rates=RATES + "2025-04-01,EUR,99\n")[1].opportunities
    pd.testing.assert_frame_equal(before, after)


def test_rates_as_salesforce_and_the_ecb_write_them_are_turned_over(write):
    deals = (
        "Id,StageName,Amount,CurrencyIsoCode,CloseDate,IsClosed,IsWon,CreatedDate\n"
        "6a,Closed Won,100,EUR,2025-02-03,true,true,2025-01-03\n6b,Closed Won,100,USD,2025-02-03,true,true,2025-01-03\n"
    )
    rates = "Id,IsoCode,StartDate,ConversionRate\n1,USD,2024-01-01,1\n2,EUR,2024-01-01,0.8\n"
    crm, _ = clean(load(write(Opportunity=deals, DatedConversionRate=rates)))
    assert crm.opportunities["amount"].tolist() == [125.0, 100.0]


@pytest.mark.parametrize(
    ("rates", "config", "says"),
    [
        ("", DOLLARS, r"Amounts are in EUR \(5 rows\), USD \(1 row\), and the reporting currency is USD. .* for EUR: put a file exchange_rates.csv .*currency = \"EUR\""),
        ("date,currency,rate\n2025-01-01,GBP,1\n", DOLLARS, "without rates for EUR"),
        ("date,currency,rate\n2025-01-01,EUR,0\n", DOLLARS, "without rates for EUR"),
        (RATES, 'currency = "NOK"\n', "the reporting currency is NOK. .* without rates for USD"),
        (RATES + "2025-01-01,USD,0.8\n", DOLLARS, "one USD is worth '0.8', but USD is the reporting currency"),
    ],
)  # fmt: skip
def test_amounts_that_cannot_be_added_up_are_refused_with_what_is_missing(write, rates, config, says):
    with pytest.raises(DataError, match=says):
        cleaned(write, config=config, **({"exchange_rates": rates} if rates else {}))


def test_a_company_with_one_currency_needs_no_rates_and_is_shown_in_it(write):
    rows = DEALS.replace("USD", "EUR")
    _, crm, issues = cleaned(write, rows, config="")
    assert crm.settings.currency == "EUR" and issues[issues["rule"] == "converted"].empty
    assert crm.opportunities["amount"].sum() == 500
    assert cleaned(write, rows.replace("EUR", "USD"), config="")[1].settings.currency == "$"
    _, crm, _ = cleaned(write, rows.replace("EUR", "CAD"), config='currency = "$"\n')
    assert crm.settings.currency == "$" and crm.opportunities["amount"].sum() == 500
    with pytest.raises(DataError, match=r"EUR .6 rows., and the reporting currency is USD"):
        cleaned(write, rows, config='currency = "$"\n')


def test_the_currency_beside_an_amount_counts_where_no_column_says_it(write):
    head = HEAD.replace("currency,", "")
    rows = 'a,Won,won,"USD 1,000.00",2025-01-10,2025-03-31,\nb,Won,won,"€ 1,000",2025-01-10,2025-03-31,\nc,Won,won,7,2025-01-10,2025-03-31,\n'
    with pytest.raises(DataError, match="without rates for EUR"):
        cleaned(write, rows, head=head)
    _, crm, issues = cleaned(write, rows, head=head, exchange_rates=RATES)
    assert crm.opportunities["amount"].dropna().tolist() == [1000.0, 1250.0]
    assert issues.loc[issues["rule"] == "no currency", ["row", "was", "became"]].to_numpy().tolist() == [["c", "7", ""]]


def test_a_history_is_in_the_currency_of_its_deal_at_the_rates_of_its_own_days(write):
    moves = "opportunity_id,entered_at,stage,amount\na,2025-01-10 09:00,Open,80\na,2025-03-31 10:00,Won,100\nd,2025-01-10,Open,50\n"
    stages = "stage,rank,outcome\nOpen,1,open\nWon,2,won\nLost,3,lost\n"
    _, crm, _ = cleaned(write, exchange_rates=RATES, stage_history=moves, stages=stages)
    assert crm.stage_history["amount"].tolist() == [82.5, 125.0, 50.0]
    assert crm.at("2025-02-01").opportunities.set_index("opportunity_id")["amount"]["a"] == 82.5


def test_an_order_without_a_rate_is_set_apart_since_its_amount_must_be_known(write):
    orders = (
        "order_line_id,order_date,net_amount,currency\n1,2025-02-01,100,EUR\n2,2024-02-01,100,EUR\n3,2025-02-01,7,USD\n"
    )
    _, crm, issues = cleaned(write, exchange_rates=RATES, orders=orders)
    assert crm.orders["net_amount"].tolist() == [103.12, 7.0]
    gone = issues[(issues["table"] == "orders") & (issues["became"] == "set apart")]
    assert gone[["row", "rule"]].to_numpy().tolist() == [["2", "no exchange rate"]]


def test_no_correction_is_proposed_in_the_wrong_currency(write):
    usual = "".join(f"u{i},Won,won,{100 + i},USD,2025-01-02,2025-03-01,\n" for i in range(25))
    odd = "x,Won,won,200000,EUR,2025-01-10,2025-03-31,\ny,Won,won,200000,USD,2025-01-10,2025-03-31,\n"
    _, crm, issues = cleaned(write, usual + odd, exchange_rates=RATES)
    assert fixes(issues, crm)["id"].tolist() == ["y"]


def test_every_crm_with_amounts_has_a_column_for_their_currency():
    for name, mapping in mappings().items():
        assert "currency" in mapping.tables["opportunities"].columns, name


CODE = st.sampled_from(["EUR", "eur", " USD", "USD", "", "€", "GBP - Pound"])
AMOUNT = st.sampled_from(["7", "7.005", "1,000.50", "-3", "", "n/a", "0"])
DAY = st.sampled_from(["2024-12-31", "2025-01-01", "2025-03-31", "2025-06-01", "", "TBD"])


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(AMOUNT, CODE, DAY, DAY, st.sampled_from(["open", "won", "lost"])), max_size=8))
def test_conversions_come_back_cell_by_cell_are_done_once_and_explain_the_sums_to_the_cent(write, rows):
    base = "".join(f"g{i},Open,open,5,USD,2025-05-02,,\n" for i in range(20))
    lines = "".join(f'd{i},{o.title()},{o},"{a}",{c},{e},{k},\n' for i, (a, c, e, k, o) in enumerate(rows))
    stages = "stage,rank,outcome\nOpen,1,open\nWon,2,won\nLost,3,lost\n"
    export, crm, issues = cleaned(write, base + lines, exchange_rates=RATES, stages=stages)
    for name, frame in export.tables.items():
        pd.testing.assert_frame_equal(undo(crm, issues)[name], frame)
    raw = export.tables["opportunities"]["amount"].str.replace(",", "")
    cells = issues[issues["column"] == "amount"]
    change = pd.to_numeric(cells["became"]).fillna(0) - pd.to_numeric(cells["was"], errors="coerce").fillna(0)
    before = pd.to_numeric(raw, errors="coerce").sum()
    assert before + change.sum() == pytest.approx(crm.opportunities["amount"].sum(), abs=0.005)
    text = {n: f.map(lambda v: "" if pd.isna(v) else str(v)).to_csv(index=False) for n, f in crm.tables.items()}
    twice, more = clean(load(write(salesforecast__toml=DOLLARS, **text)))
    assert more[more["was"] != more["became"]].empty
    pd.testing.assert_frame_equal(twice.opportunities, crm.opportunities, check_dtype=False)
