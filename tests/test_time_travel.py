"""The tables of a day know nothing of what came after it, by whichever evidence they are taken back."""

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from salesforecast import synthetic
from salesforecast.cleaning import clean
from salesforecast.crm import load
from salesforecast.errors import DataError
from salesforecast.tables import TABLES, Crm

SMALL = replace(synthetic.Truth(), opportunities=150)
BEGUN = {"opportunities": "created_date", "stage_history": "entered_at", "reps": "start_date", "leads": "created_at", "touches": "at", "orders": "order_date", "invoices": "invoice_date", "complaints": "created_at"}  # fmt: skip
OF_THEN = ("stage", "outcome", "amount", "expected_close_date", "rep_id", "closed_date", "lost_reason", "competitor",
           "probability", "forecast_category")  # fmt: skip


def fingerprint(crm: Crm) -> str:
    said = f"{crm.as_of} {crm.of_today} {crm.evidence}"
    tables = "".join(name + frame.to_csv(index=True) for name, frame in sorted(crm.tables.items()))
    return hashlib.sha256((said + tables).encode()).hexdigest()


def later_rows(crm: Crm, name: str, day: pd.Timestamp) -> pd.Series:
    """The rows of a table that had not begun at the end of the day."""
    frame, end = crm.tables[name], day + pd.Timedelta(days=1)
    if name in BEGUN:
        return frame[BEGUN[name]] >= end
    if name == "activities":
        return frame[["at", "planned_at"]].min(axis=1) >= end
    if name in ("spend", "costs"):
        return frame["period"].map(lambda p: pd.Period(p).end_time >= end)
    return pd.Series(False, index=frame.index)


def spoiled(crm: Crm, day: pd.Timestamp, how: str, rng: np.random.Generator) -> Crm:
    """The same with everything after the day deleted, shuffled or altered, and its traces in today's columns."""
    end, tables = day + pd.Timedelta(days=1), {}
    moved = crm.stage_history.loc[crm.stage_history["entered_at"] >= end, "opportunity_id"].unique()
    for name, frame in crm.tables.items():
        later, frame = later_rows(crm, name, day), frame.copy()
        dates = [
            c.name for c in TABLES[name].columns if c.kind in ("date", "moment") and c.name in frame and not c.plan
        ]
        if how == "deleted":
            frame = frame[~later]
        else:
            columns = [
                c for c in frame if c not in TABLES[name].key and c not in dates and c not in ("period", "planned_at")
            ]
            for c in columns:
                values = frame.loc[later, c].to_numpy(copy=True)
                frame.loc[later, c] = rng.permutation(values) if how == "shuffled" else values[::-1]
        if name == "opportunities":  # what today's row says of a deal that has changed since
            since = frame["opportunity_id"].isin(moved)
            for c in [c for c in OF_THEN if c in frame and c != "closed_date"]:
                frame.loc[since, c] = rng.permutation(frame.loc[since, c].to_numpy(copy=True))
        for c in dates:  # what happened later happens on other days, or never
            after = frame[c] >= end
            born = c == dates[0]
            if how == "deleted" and not born:
                frame.loc[after, c] = pd.NaT
            elif not (born and name == "stage_history"):
                frame.loc[after, c] += pd.to_timedelta(rng.integers(0, 90, int(after.sum())), unit="D")
        if name not in ("opportunities", "stage_history") and "opportunity_id" in frame:  # what became a deal since
            deals = crm.opportunities
            since = frame["opportunity_id"].isin(deals.loc[deals["created_date"] >= end, "opportunity_id"])
            mixed = rng.permutation(frame.loc[since, "opportunity_id"].to_numpy(copy=True))
            frame.loc[since, "opportunity_id"] = None if how == "deleted" else mixed
        if name == "activities" and how != "deleted":
            undone = ~(frame["at"] < end)
            for c in [c for c in ("outcome", "minutes", "cost") if c in frame]:
                frame.loc[undone, c] = rng.permutation(frame.loc[undone, c].to_numpy(copy=True))
        order = rng.permutation(len(frame)) if how == "shuffled" and name not in ("stage_history", "stages") else np.arange(len(frame))  # fmt: skip
        key = [k for k in TABLES[name].key if k in frame] if name != "stages" else ["rank"]
        tables[name] = frame.iloc[order].sort_values(key, kind="stable", ignore_index=True)
    return replace(crm, tables=tables)


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    folder = tmp_path_factory.mktemp("company")
    synthetic.write(folder, SMALL, seed=5)
    return clean(load(folder))[0]


@pytest.mark.parametrize("how", ["deleted", "shuffled", "altered"])
def test_nothing_after_the_day_changes_any_table_of_that_day_byte_for_byte(company, how):
    rng = np.random.default_rng(7)
    days = pd.to_datetime(company.first_day) + pd.to_timedelta(rng.integers(30, 1000, 25), unit="D")
    different = 0
    for day in days:
        changed = spoiled(company, day, how, rng)
        then, after = company.at(day), changed.at(day)
        for name in then.tables:
            assert then.tables[name].to_csv() == after.tables[name].to_csv(), (day, name)
        assert fingerprint(then) == fingerprint(after)
        different += fingerprint(changed) != fingerprint(company)
    assert different == len(days), "the test compares nothing where nothing was changed"


def test_a_company_of_another_seed_has_another_past(company, tmp_path):
    synthetic.write(tmp_path, SMALL, seed=6)
    other = clean(load(tmp_path))[0]
    assert fingerprint(other.at("2024-06-30")) != fingerprint(company.at("2024-06-30"))


def test_the_past_of_the_past_is_the_past(company):
    assert fingerprint(company.at("2025-01-31").at("2024-06-30")) == fingerprint(company.at("2024-06-30"))


def test_spending_of_a_month_is_known_when_the_month_is_over(company):
    assert company.at("2024-06-29").spend["period"].max() == "2024-05"
    assert company.at("2024-06-30").spend["period"].max() == "2024-06"


# ---- three kinds of evidence -----------------------------------------------------------------------------------------

STAGES = "stage,rank,outcome\nOpen,1,open\nTalk,2,open\nWon,3,won\nLost,4,lost\n"
HEAD = "opportunity_id,rep_id,segment,stage,amount,created_date,closed_date"


def exports(write, *rows: str, **more):
    """A series of exports: each row begins with the day it was exported on."""
    export = load(
        write(opportunities="\n".join([HEAD, *(r.split(",", 1)[1] for r in rows)]) + "\n", stages=STAGES, **more)
    )
    deals = export.tables["opportunities"].assign(_exported_on=[r.split(",", 1)[0] for r in rows])
    return replace(export, tables={**export.tables, "opportunities": deals})


SERIES = (
    "2025-03-31,a,r1,Small,Open,10,2025-01-02,", "2025-03-31,gone,r1,Small,Open,99,2025-02-02,",
    "2025-04-30,a,r2,Large,Talk,15,2025-01-02,", "2025-04-30,b,r2,Large,Won,7,2025-04-02,2025-04-20",
    "2025-05-31,a,r2,Large,Lost,0,2025-01-02,2025-05-20", "2025-05-31,b,r2,Large,Won,8,2025-04-02,2025-04-20",
)  # fmt: skip


def test_of_a_series_of_exports_the_newest_is_the_present(write):
    crm, issues = clean(exports(write, *SERIES))
    assert crm.as_of == pd.Timestamp("2025-05-31") and crm.opportunities["opportunity_id"].tolist() == ["a", "b"]
    assert crm.opportunities["amount"].sum() == 8 and "_exported_on" not in crm.opportunities
    assert issues["rule"].value_counts()["older export"] == 2
    assert crm.opportunities.set_index("opportunity_id")["outcome"].to_dict() == {"a": "lost", "b": "won"}


def test_a_day_is_what_the_newest_export_not_after_it_held_with_deals_deleted_since_and_the_owner_of_then(write):
    crm, _ = clean(exports(write, *SERIES))
    for day in ("2025-03-31", "2025-04-29"):
        then = crm.at(day)
        deals = then.opportunities.set_index("opportunity_id")
        assert deals[["rep_id", "segment", "stage", "amount"]].to_dict("index")["a"] == {"rep_id": "r1", "segment": "Small", "stage": "Open", "amount": 10.0}  # fmt: skip
        assert "gone" in deals.index and "b" not in deals.index
        assert then.of_today == () and then.evidence == "the export of 2025-03-31"
    assert crm.at("2025-05-30").opportunities["rep_id"].tolist() == ["r2", "r2"]


def test_before_the_first_export_that_one_is_taken_back_and_says_so(write):
    then = clean(exports(write, *SERIES))[0].at("2025-01-31")
    assert then.opportunities["opportunity_id"].tolist() == ["a"]
    assert "amount" in then.of_today and then.evidence == "created and closed dates in the export of 2025-03-31"


def test_a_later_export_changes_nothing_of_an_earlier_day(write):
    whole = clean(exports(write, *SERIES))[0]
    less = clean(exports(write, *SERIES[:4], "2025-05-31,a,r9,Huge,Won,1000,2025-01-02,2025-05-21"))[0]
    for day in ("2025-01-31", "2025-04-01", "2025-05-15"):
        assert fingerprint(whole.at(day)) == fingerprint(less.at(day))


def test_one_dated_export_is_no_series_and_an_undated_one_among_dated_ones_is_refused(write):
    crm, issues = clean(exports(write, *[r.replace("2025-05-31", "2025-08-31") for r in SERIES[4:]]))
    assert (
        crm.as_of == pd.Timestamp("2025-05-20")
        and not crm.snapshots
        and issues["rule"].tolist() == ["amount 0 on a lost deal"]
    )
    export = exports(write, *SERIES)
    deals = export.tables["opportunities"]
    mixed = {**export.tables, "opportunities": deals.assign(_exported_on=deals["_exported_on"].mask(deals.index == 1))}
    with pytest.raises(DataError, match="1 rows of 'opportunities' come from a file without a day in its name"):
        clean(replace(export, tables=mixed))


def test_a_series_of_exports_can_be_undone(write):
    from salesforecast.cleaning import undo

    export = exports(write, *SERIES)
    raw = undo(*clean(export))
    pd.testing.assert_frame_equal(raw["opportunities"], export.tables["opportunities"])


def test_a_history_that_begins_later_than_the_data_is_not_used_before_without_saying_so(write):
    rows = "a,r2,Large,Talk,15,2024-01-02,\nb,r2,Large,Won,7,2024-02-02,2025-04-20\n"
    moves = "opportunity_id,entered_at,stage,amount,rep_id\na,2025-01-10 09:00,Talk,15,r2\nb,2025-02-01 10:00,Talk,6,r1\nb,2025-04-20 10:00,Won,7,r2\n"
    crm, _ = clean(load(write(opportunities=HEAD + "\n" + rows, stages=STAGES, stage_history=moves)))
    before = crm.at("2024-06-30")
    assert {"stage", "amount", "rep_id"} <= set(before.of_today)
    assert before.opportunities["outcome"].tolist() == ["open", "open"]
    within = crm.at("2025-03-31")
    assert not {"stage", "amount", "rep_id", "outcome"} & set(within.of_today) and "segment" in within.of_today
    assert within.opportunities["rep_id"].tolist() == ["r2", "r1"] and within.opportunities["amount"].tolist() == [
        15,
        6,
    ]


def test_a_deal_closed_then_and_opened_again_since_has_the_closing_day_of_then(write):
    moves = "opportunity_id,entered_at,stage\na,2025-01-02,Open\na,2025-02-03 10:00,Lost\na,2025-03-01,Talk\na,2025-04-01,Won\n"
    crm, issues = clean(load(write(opportunities=HEAD + "\na,r1,Small,Won,5,2025-01-02,2025-04-01\n", stages=STAGES, stage_history=moves)))  # fmt: skip
    then = crm.at("2025-02-15").opportunities.iloc[0]
    assert (then["outcome"], then["closed_date"]) == ("lost", pd.Timestamp("2025-02-03"))
    assert "opened again after closing" in set(issues["rule"])
