"""Real exports, against computations that share no code with the package. Skipped without the evaluation data."""

import numpy as np
import pandas as pd
import pytest

import salesforecast as sf
from conftest import ROOT, altered
from salesforecast import forecasting
from salesforecast.periods import period

CONFIGS = ROOT / "data" / "configs"


@pytest.fixture(scope="module")
def maven(evaluation):
    return sf.clean(sf.load(evaluation / "maven_crm", CONFIGS / "maven_crm.toml"))


@pytest.fixture(scope="module")
def raw_maven(evaluation):
    return pd.read_csv(evaluation / "maven_crm" / "sales_pipeline.csv", parse_dates=["engage_date", "close_date"])


def test_maven_keeps_every_opportunity_in_its_stage(maven, raw_maven):
    crm, _ = maven
    assert crm.opportunities["stage"].value_counts().to_dict() == {
        "Won": 4238,
        "Lost": 2473,
        "Engaging": 1589,
        "Prospecting": 500,
    }
    assert crm.opportunities["stage"].value_counts().to_dict() == raw_maven["deal_stage"].value_counts().to_dict()
    assert crm.opportunities["outcome"].value_counts().to_dict() == {"won": 4238, "lost": 2473, "open": 2089}
    assert crm.as_of == raw_maven["close_date"].max()


def test_maven_loses_no_opportunity_to_the_spelling_of_a_product(maven, raw_maven):
    crm, issues = maven
    assert crm.deals["family"].notna().all()
    alias = issues[(issues["rule"] == "alias") & (issues["column"] == "product_id")]
    assert len(alias) == (raw_maven["product"] == "GTXPro").sum() == 1480
    assert set(alias["was"]) == {"GTXPro"} and set(alias["became"]) == {"GTX Pro"}


def test_maven_shows_the_deals_without_a_date_and_the_reps_without_deals(maven):
    crm, issues = maven
    count = issues["rule"].value_counts()
    assert count["no created date"] == 500 and count["amount 0 on a lost deal"] == 2473
    assert sorted(issues.loc[issues["rule"] == "rep without deals", "row"]) == sorted(
        ["Mei-Mei Johns", "Elizabeth Anderson", "Natalya Ivanova", "Carol Thompson", "Carl Lin"]
    )
    row = sf.funnel.metrics(crm.deals, period=period("2017Q4"), as_of=crm.as_of).iloc[0]
    assert (row["open_deals"], row["undated"]) == (1589, 500)


def test_maven_bookings_and_averages_of_the_quarter_are_those_of_the_raw_file(maven, raw_maven):
    crm, _ = maven
    frame = sf.funnel.metrics(crm.deals, period=period("2017Q4"), as_of=crm.as_of).set_index("period")
    for label, (since, until) in {
        "2017Q4": ("2017-10-01", "2018-01-01"),
        "2017Q3": ("2017-07-01", "2017-10-01"),
    }.items():
        closed = raw_maven[raw_maven["close_date"].between(since, pd.Timestamp(until) - pd.Timedelta(days=1))]
        won = closed[closed["deal_stage"] == "Won"]
        row = frame.loc[label]
        assert (row["won"], row["lost"]) == (len(won), (closed["deal_stage"] == "Lost").sum())
        assert row["bookings"] == won["close_value"].sum()
        assert row["average_size"] == pytest.approx(won["close_value"].mean())


def test_maven_win_curve_is_that_of_a_loop_over_days(maven, raw_maven):
    crm, _ = maven
    curve = sf.funnel.win_curve(crm.deals, as_of=crm.as_of).set_index("age")
    d = raw_maven.dropna(subset="engage_date")
    end, first = pd.Timestamp("2017-12-31"), raw_maven["close_date"].min()
    entry = (first - d["engage_date"]).dt.days.clip(lower=0)
    exit = (d["close_date"].fillna(end) - d["engage_date"]).dt.days
    still, won, at = 1.0, 0.0, {}
    for age in range(141):
        risk = ((entry <= age) & (exit >= age)).sum()
        w, x = (((exit == age) & (d["deal_stage"] == s)).sum() for s in ("Won", "Lost"))
        won, still = won + still * w / risk, still * (1 - (w + x) / risk)
        at[age] = won
    for age in (7, 28, 84, 140):
        assert curve.loc[age, "won"] == pytest.approx(at[age], abs=1e-12)


def test_maven_velocity_parts_add_up(maven):
    crm, _ = maven
    drivers = sf.funnel.velocity_drivers(crm.deals, period=period("2017Q4"), as_of=crm.as_of)
    parts = drivers["part"].to_numpy()
    assert parts[1:-1].sum() == pytest.approx(parts[-1] - parts[0])


def test_maven_without_stage_history_names_the_export_to_add(maven):
    with pytest.raises(sf.errors.MissingTable, match="Add the stage history"):
        _ = maven[0].stage_history


@pytest.fixture(scope="module")
def bpi(evaluation):
    return sf.clean(sf.load(evaluation / "bpi2012", CONFIGS / "bpi2012.toml"))


@pytest.fixture(scope="module")
def raw_bpi(evaluation):
    events = pd.read_csv(evaluation / "bpi2012" / "bpi2012_stage_history.csv.gz")
    return events.assign(at=pd.to_datetime(events["timestamp"], utc=True, format="ISO8601"))


def test_bpi_reaches_each_stage_as_often_as_its_readme_says(bpi):
    crm, _ = bpi
    conversion = sf.funnel.stage_conversion(crm.stage_history, crm.stages).set_index("stage")
    assert conversion["entered"].to_dict() == {
        "Submitted": 13087,
        "Preaccepted": 7367,
        "Accepted": 5113,
        "Offer sent": 5015,
        "Offer back": 3254,
    }
    assert crm.opportunities["stage"].value_counts()[["Approved", "Declined", "Cancelled"]].tolist() == [
        2246,
        7635,
        2807,
    ]
    assert (crm.opportunities["outcome"] == "open").sum() == 399


def test_bpi_time_in_stage_is_that_of_a_computation_from_the_raw_log(bpi, raw_bpi):
    crm, _ = bpi
    got = sf.funnel.time_in_stage(crm.stage_history, crm.stages, as_of=crm.as_of).set_index("stage")
    label = {"A_SUBMITTED": "Submitted", "A_PARTLYSUBMITTED": "Submitted", "A_PREACCEPTED": "Preaccepted", "A_ACCEPTED": "Accepted",
             "A_FINALIZED": "Offer sent", "O_SELECTED": "Offer sent", "O_CREATED": "Offer sent", "O_SENT": "Offer sent",
             "O_SENT_BACK": "Offer back"}  # fmt: skip
    events = raw_bpi[raw_bpi["activity"] != "O_CANCELLED"]
    stays: dict[str, list[tuple[float, bool]]] = {name: [] for name in got.index}
    end = pd.Timestamp("2012-03-15", tz="Europe/Amsterdam").tz_convert("UTC")
    for _, case in events.sort_values("event_index").groupby("case_id"):
        names = [label.get(a, "closed") for a in case["activity"]]
        times = list(case["at"])
        start = 0
        for i in range(1, len(names) + 1):
            if i == len(names) or names[i] != names[start]:
                if names[start] != "closed":
                    until = times[i] if i < len(names) else end
                    stays[names[start]].append(((until - times[start]).total_seconds() / 86400, i < len(names)))
                start = i
    for name, rows in stays.items():
        days, ended = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
        assert got.loc[name, ["n", "still_there"]].tolist() == [len(rows), (~ended).sum()]
        order = np.lexsort((~ended, days))
        left, median = 1.0, np.nan
        for k, i in enumerate(order):
            if ended[i]:
                left *= 1 - 1 / (len(order) - k)
                if left <= 0.5 + 1e-12:
                    median = days[i]
                    break
        assert got.loc[name, "median_days"] == pytest.approx(median, abs=1e-6), name


def test_salesforce_objects_load_by_their_names(evaluation):
    folder = evaluation / "crm_samples" / "salesforce_devorg_earthfink1982"
    export = sf.load(folder)
    crm, issues = sf.clean(export)
    assert export.settings.crm == "salesforce"
    raw = pd.read_csv(folder / "Opportunity.csv")
    deals = crm.opportunities.set_index("opportunity_id")
    assert len(deals) == len(raw) == 36
    want = np.select([raw["IsWon"], raw["IsClosed"]], ["won", "lost"], "open")
    assert deals["outcome"].reindex(raw["Id"]).tolist() == want.tolist()
    assert deals["amount"].sum() == raw["Amount"].sum() and deals["probability"].max() == 1
    assert len(crm.stage_history) == 48 and crm.stage_history["entered_at"].max() == pd.Timestamp("2026-03-07 21:00")
    late = pd.to_datetime(raw["CloseDate"], format="%m/%d/%y") < pd.to_datetime(raw["CreatedDate"], format="%m/%d/%y")
    assert (issues["rule"] == "closed before created").sum() == (late & raw["IsClosed"]).sum()


# ---- the pipeline forecast --------------------------------------------------------------------------------------------


def test_the_forecast_of_bpi_2012_sees_nothing_after_its_day(bpi):
    day = pd.Timestamp("2012-02-13")
    crm, _ = bpi
    one, two = (sf.pipeline.backtest(c.at(day), period("2012-02")) for c in (crm, altered(crm, day)))
    pd.testing.assert_frame_equal(one.origins, two.origins, check_exact=True)
    pd.testing.assert_frame_equal(one.methods, two.methods, check_exact=True)
    assert one.draws.tobytes() == two.draws.tobytes()
    assert one.origins["origin"].iloc[-1] == day and one.now.outlook.open[0] > 0


def test_the_forecast_of_maven_is_far_nearer_than_the_weighted_pipeline(maven, raw_maven):
    past = sf.pipeline.backtest(maven[0], period("2017Q4").previous(-1))
    combined = sf.pipeline.combine(past, forecasting.to_go(past.weekly, past.ahead))
    booked = (
        raw_maven[raw_maven["deal_stage"] == "Won"]
        .groupby(raw_maven["close_date"].dt.to_period("Q"))["close_value"]
        .sum()
    )
    actual = past.origins.dropna(subset=["actual"]).groupby("period")["actual"].first()
    assert actual.to_dict() == {
        f"{q.year}Q{q.quarter}": v for q, v in booked.items() if f"{q.year}Q{q.quarter}" != "2017Q1"
    }
    off = sf.pipeline.accuracy(past, combined).set_index("method")
    weeks = ["8_weeks_to_go", "4_weeks_to_go", "1_week_to_go"]
    assert (off.loc["combination", weeks] < 0.2).all()
    assert off.loc["combination", weeks].mean() < 0.5 * off.loc["stage_rate", weeks].mean()
