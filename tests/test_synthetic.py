"""The made-up company is what its truth says: all estimators are tested against it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from salesforecast import contract, synthetic, tables
from salesforecast.errors import SettingError
from salesforecast.synthetic import Truth

TRUTH = Truth()
PLAIN = replace(TRUTH, shock_sd=0.0, rep_sd=0.0, ramp_effect=0.0, size_effect=0.0)
SAMPLE = Path(__file__).parent.parent / "data" / "sample"
DTYPES = {
    "id": "str", "label": "str", "date": "datetime64[us]", "moment": "datetime64[us]", "money": "float64",
    "fraction": "float64", "count": "float64", "flag": "bool",
}  # fmt: skip


@pytest.fixture(scope="module")
def company():
    return synthetic.tables(TRUTH, 3)


@pytest.fixture(scope="module")
def many():
    """Twelve companies in which only channel, segment, product and being new matter."""
    return pd.concat([synthetic.deals(PLAIN, seed)[0].assign(seed=seed) for seed in range(12)], ignore_index=True)


def logit(x, y):
    """Coefficients and standard errors of a logistic regression, by Newton's method."""
    beta = np.zeros(x.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-x @ beta))
        information = (x * (p * (1 - p))[:, None]).T @ x
        beta = beta + np.linalg.solve(information, x.T @ (y - p))
    return beta, np.sqrt(np.diag(np.linalg.inv(information)))


def test_every_table_has_the_declared_columns_in_their_kinds_and_keeps_its_contract(company):
    assert set(company) == {
        "opportunities", "stages", "stage_history", "reps", "accounts", "products", "leads", "touches", "activities",
        "orders", "targets", "spend", "costs", "invoices", "complaints", "calls",
    }  # fmt: skip
    for name, frame in company.items():
        assert len(frame), name
        # the company has one currency, and a limit of a stage is a setting of the analyst
        declared = [c for c in tables.TABLES[name].columns if c.name not in {"currency", "limit_days"}]
        assert list(frame.columns) == [c.name for c in declared], name
        assert contract.breaches(frame, name) == [], name
        wanted = {c.name: DTYPES[c.kind] for c in declared}
        assert frame.dtypes.astype(str).to_dict() == wanted, name
        assert frame.index.equals(pd.RangeIndex(len(frame))), name


def test_a_small_young_company_keeps_its_contract_too():
    for truth in (Truth(opportunities=40, years=1), Truth(opportunities=300, years=2, start="2021-03-15", reps=11)):
        for name, frame in synthetic.tables(truth, 5).items():
            assert contract.breaches(frame, name) == [], name


def test_nothing_happens_after_as_of_but_wishes_reach_further(company):
    end = TRUTH.as_of + pd.Timedelta(days=1)
    looked = 0
    for name, frame in company.items():
        for column in frame.select_dtypes("datetime"):
            if column not in ("expected_close_date", "due_date"):
                assert frame[column].max() < end, (name, column)
                looked += 1
    assert looked >= 11
    assert company["opportunities"]["expected_close_date"].max() > end
    assert company["stage_history"]["entered_at"].max() >= TRUTH.as_of - pd.Timedelta(days=3)
    for name in ("spend", "costs"):
        assert company[name]["period"].max() == "2025-06"
    assert company["targets"]["period"].max() == "2025Q4"


def test_the_history_begins_when_a_deal_is_created_and_ends_as_it_stands_today(company):
    deal = company["opportunities"].set_index("opportunity_id")
    history = company["stage_history"]
    first = history.groupby("opportunity_id").first()
    last = history.groupby("opportunity_id").last()
    assert first.index.equals(deal.index)
    assert (first["entered_at"].dt.normalize() == deal["created_date"]).all()
    closed = deal["outcome"] != "open"
    assert 0 < closed.sum() < len(deal)
    assert (last["entered_at"].dt.normalize() == deal["closed_date"])[closed].all()
    assert (last["expected_close_date"] == deal["closed_date"])[closed].all()
    assert deal["closed_date"].isna().equals(~closed)
    for column in ("stage", "rep_id", "amount"):
        pd.testing.assert_series_equal(last[column], deal[column])
    still = ~closed
    pd.testing.assert_series_equal(last["expected_close_date"][still], deal["expected_close_date"][still])
    same = history["opportunity_id"].eq(history["opportunity_id"].shift())
    assert (history["entered_at"].diff()[same] >= pd.Timedelta(0)).all()
    assert (history["sequence"] == history.groupby("opportunity_id").cumcount() + 1).all()


def test_deals_are_created_and_closed_on_working_days(company):
    deal = company["opportunities"]
    for day in (deal["created_date"], deal["closed_date"].dropna(), company["stage_history"]["entered_at"]):
        assert (day.dt.day_of_week < 5).all()
        assert not day.dt.strftime("%m-%d").isin(TRUTH.holidays).any()


def test_amounts_change_after_the_first_guess_and_change_rows_keep_the_stage(company):
    history = company["stage_history"]
    same = history["opportunity_id"].eq(history["opportunity_id"].shift())
    changed = same & history["amount"].ne(history["amount"].shift()) & history["amount"].notna()
    kept = same & history["stage"].eq(history["stage"].shift())
    assert (changed & kept).sum() > 200
    pushed = kept & history["expected_close_date"].ne(history["expected_close_date"].shift())
    assert pushed.sum() > 500
    first = history.groupby("opportunity_id")["amount"].nth(0)
    assert first.isna().mean() == pytest.approx(TRUTH.amount_missing, abs=0.02)
    won = company["opportunities"].query("outcome == 'won'")
    assert won["amount"].notna().all()
    assert (won["amount"] <= won["list_amount"]).all()


def test_the_sample_is_what_the_generator_writes(tmp_path):
    written = synthetic.write(tmp_path)
    assert sorted(p.name for p in SAMPLE.iterdir()) == sorted(p.name for p in written)
    for path in written:
        assert path.read_bytes() == (SAMPLE / path.name).read_bytes(), path.name
    assert sum(p.stat().st_size for p in written) < 4_200_000


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    truth = Truth(opportunities=300, touches=100)

    def read(folder, seed, dirty):
        return {p.name: p.read_bytes() for p in synthetic.write(tmp_path / folder, truth, seed, dirty)}

    for dirty in (False, True):
        one, again, other = read(f"a{dirty}", 1, dirty), read(f"b{dirty}", 1, dirty), read(f"c{dirty}", 2, dirty)
        assert one == again
        assert {name for name in one if one[name] == other[name]} == {
            "OpportunityStage.csv", "Product2.csv", "salesforecast.toml",
        }  # fmt: skip
    assert b"\r" not in b"".join(one.values())


def test_deals_alone_are_the_deals_of_the_tables(company):
    opportunities, history = synthetic.deals(TRUTH, 3)
    known = opportunities[list(company["opportunities"])]
    pd.testing.assert_frame_equal(known, company["opportunities"])
    pd.testing.assert_frame_equal(history, company["stage_history"])


def test_what_is_known_at_as_of_is_the_truth_as_far_as_it_has_happened():
    deal, _ = synthetic.deals(TRUTH, 3)
    happened = deal["true_closed_date"] <= TRUTH.as_of
    assert deal["outcome"].where(happened).equals(deal["true_outcome"].where(happened))
    assert (deal["outcome"][~happened] == "open").all()
    running = ~happened & (deal["true_outcome"] != "silent")
    assert 0.03 < running.mean() < 0.12
    days = (deal["true_closed_date"] - deal["created_date"]).dt.days.astype(float)
    pd.testing.assert_series_equal(days, deal["true_days"], check_names=False)


def test_silent_deals_never_close_and_are_as_many_as_planted(many):
    silent = many[many["true_outcome"] == "silent"]
    error = np.sqrt(PLAIN.silent_share * (1 - PLAIN.silent_share) / len(many))
    assert len(silent) / len(many) == pytest.approx(PLAIN.silent_share, abs=4 * error)
    assert (silent["outcome"] == "open").all()
    assert silent["true_closed_date"].isna().all()
    assert (silent["created_date"] < PLAIN.as_of - pd.Timedelta(days=900)).any()


def test_the_channel_mix_is_the_planted_one_in_every_segment(many):
    for i, segment in enumerate(PLAIN.segments):
        part = many.loc[many["segment"] == segment.segment, "channel"]
        found = part.value_counts(normalize=True)
        for channel in PLAIN.channels:
            share = channel.mix[i]
            error = np.sqrt(share * (1 - share) / len(part))
            assert found[channel.channel] == pytest.approx(share, abs=4 * error), (segment.segment, channel.channel)


def test_a_logistic_regression_finds_the_planted_effects(many):
    closed = many[many["true_outcome"] != "silent"]
    columns, truth = [np.ones(len(closed)), ~closed["is_new_customer"]], [np.nan, PLAIN.existing_effect]
    for channel in PLAIN.channels[1:]:
        columns.append(closed["channel"] == channel.channel)
        truth.append(channel.effect - PLAIN.channels[0].effect)
    for segment in PLAIN.segments[1:]:
        columns.append(closed["segment"] == segment.segment)
        truth.append(segment.effect - PLAIN.segments[0].effect)
    for i, product in enumerate(PLAIN.products[1:], start=2):
        columns.append(closed["product_id"] == f"P{i:02d}")
        truth.append(product.effect - PLAIN.products[0].effect)
    conversion = np.prod([s.conversion for s in PLAIN.stages])
    first = PLAIN.channels[0].effect + PLAIN.segments[0].effect + PLAIN.products[0].effect
    truth[0] = np.log(conversion / (1 - conversion)) + first
    won = (closed["true_outcome"] == "won").to_numpy(float)
    found, error = logit(np.column_stack(columns).astype(float), won)
    off = (found - truth) / error
    assert np.abs(off).max() < 4
    assert np.mean(off**2) == pytest.approx(1, abs=1)
    assert error[1:8].max() < 0.05  # else the check could not fail


def test_the_true_win_share_is_the_share_won_of_deals_not_silent(many):
    closed = many[many["true_outcome"] != "silent"]
    found = (closed["true_outcome"] == "won").mean()
    assert found == pytest.approx(synthetic.win_share(PLAIN), abs=4 * np.sqrt(0.22 / len(closed)))
    assert closed["true_probability"].mean() == pytest.approx(synthetic.win_share(PLAIN), abs=0.005)
    assert 0.30 < synthetic.win_share(TRUTH) < 0.36


def test_the_win_curve_is_the_share_won_by_each_age(many):
    ages = [0, 20, 45, 90, 180, 400, 2000]
    curve = synthetic.win_curve(PLAIN, ages)
    assert list(curve.columns) == ["age", "won"]
    for age, won in zip(curve["age"], curve["won"], strict=True):
        found = ((many["true_outcome"] == "won") & (many["true_days"] <= age)).mean()
        assert won == pytest.approx(found, abs=4 * np.sqrt(0.2 / len(many))), age
    assert curve["won"].iloc[-1] == pytest.approx((1 - PLAIN.silent_share) * synthetic.win_share(PLAIN), abs=0.005)


def test_the_true_stage_conversion_is_what_one_counts_when_all_deals_have_run_to_their_end():
    rank = {s.stage: i + 1 for i, s in enumerate(PLAIN.stages)}
    left, advanced = np.zeros(len(rank)), np.zeros(len(rank))
    for seed in range(12):
        deal, history = synthetic.deals(PLAIN, seed)
        old = deal[deal["true_outcome"].eq("silent") | (deal["true_closed_date"] <= PLAIN.as_of)]
        old = old[old["created_date"] < "2023-07-01"].set_index("opportunity_id")
        furthest = history["stage"].map(rank).groupby(history["opportunity_id"]).max().reindex(old.index)
        for i in range(len(rank)):
            past, here = furthest > i + 1, furthest == i + 1
            left[i] += (past | (here & (old["outcome"] != "open"))).sum()
            advanced[i] += (past | (here & (old["outcome"] == "won"))).sum()
    true = synthetic.stage_conversion(PLAIN)
    assert list(true["stage"]) == list(rank)
    assert advanced / left == pytest.approx(true["conversion"].to_numpy(), abs=0.015)
    assert left.min() > 5000


def test_deals_skip_stages_and_fall_back_as_often_as_planted():
    def steps(stages):
        """Steps from one stage to the next open one, of deals that reached the third stage."""
        found = []
        for seed in range(4):
            _, history = synthetic.deals(replace(PLAIN, stages=stages), seed)
            rank = history["stage"].map({s.stage: i for i, s in enumerate(stages)})
            rank = rank[rank.groupby(history["opportunity_id"]).transform("max") >= 2]
            same = history["opportunity_id"].eq(history["opportunity_id"].shift())[rank.index]
            found.append(pd.DataFrame({"before": rank.shift(), "step": rank.diff()})[same].query("step != 0").dropna())
        return pd.concat(found)

    onward = steps(tuple(replace(s, back=0.0) for s in PLAIN.stages))
    assert set(onward["step"]) == {1.0, 2.0, 3.0}
    first = onward.loc[onward["before"] == 0, "step"]
    assert (first >= 2).mean() == pytest.approx(PLAIN.stages[1].skip, abs=4 * np.sqrt(0.08 * 0.92 / len(first)))
    never = steps(tuple(replace(s, skip=0.0) for s in PLAIN.stages))
    assert set(never["step"]) == {-1.0, 1.0}
    back = (never.query("before == 1")["step"] == -1).sum() / (never.query("before == 0")["step"] == 1).sum()
    # Who falls back comes by once more, so the share is of visits, not of visitors.
    assert back == pytest.approx(PLAIN.stages[1].back / (1 + PLAIN.stages[1].back), abs=0.01)


def test_losses_linger_longer_than_wins(many):
    days = many.groupby("true_outcome")["true_days"].median()
    assert days["lost"] > 1.1 * days["won"]
    assert 50 < days["won"] < 80


def overdispersion(truth):
    """Variance of win rates between reps over what chance gives."""
    found = []
    for seed in range(6):
        deal, _ = synthetic.deals(truth, seed)
        deal = deal[deal["true_outcome"] != "silent"]
        excess = (deal["true_outcome"] == "won") - deal["true_probability"]
        noise = deal["true_probability"] * (1 - deal["true_probability"])
        found += list(excess.groupby(deal["rep_id"]).sum() ** 2 / noise.groupby(deal["rep_id"]).sum())
    return np.mean(found), len(found)


def test_reps_differ_by_chance_alone_when_rep_sd_is_0():
    same = replace(PLAIN, leavers=0)
    ratio, n = overdispersion(same)
    assert ratio == pytest.approx(1, abs=4 * np.sqrt(2 / n))
    assert (synthetic.rep_effects(same, 0)["effect"] == 0).all()


def test_reps_win_what_their_effects_say():
    truth = replace(PLAIN, rep_sd=0.5, leavers=0)
    assert truth.rep_sd == pytest.approx(synthetic.rep_effects(truth, 1)["effect"].std(), abs=0.2)
    deal, _ = synthetic.deals(truth, 1)
    null, _ = synthetic.deals(replace(truth, rep_sd=0.0), 1)
    odds = np.log(deal["true_probability"] / (1 - deal["true_probability"]))
    base = np.log(null["true_probability"] / (1 - null["true_probability"]))
    found = (odds - base).groupby(deal["rep_id"]).mean()
    assert found.to_numpy() == pytest.approx(synthetic.rep_effects(truth, 1)["effect"].to_numpy(), abs=1e-9)


def test_deals_are_created_by_the_planted_season_and_growth():
    truth = replace(PLAIN, opportunities=60_000, growth=0.0)
    month = synthetic.deals(truth, 0)[0]["created_date"].dt.month.value_counts().sort_index().to_numpy()
    days = pd.bdate_range(truth.start, truth.as_of)
    days = days[~days.strftime("%m-%d").isin(truth.holidays)]
    expected = np.array(truth.season) * pd.Series(days.month).value_counts().sort_index().to_numpy()
    expected = expected / expected.sum() * truth.opportunities
    assert np.abs((month - expected) / np.sqrt(expected)).max() < 4
    year = synthetic.deals(replace(truth, growth=0.5), 0)[0]["created_date"]
    third, first = (year >= "2024-07-01").sum(), (year < "2023-07-01").sum()
    assert third / first == pytest.approx(1.5**2, rel=0.04)


def test_the_rush_pulls_the_planted_share_of_early_wins_into_the_quarter_before():
    def early_and_last(rush):
        counts = np.zeros(2)
        for seed in range(8):
            deal, _ = synthetic.deals(replace(PLAIN, quarter_end_rush=rush), seed)
            deal = deal[deal["true_outcome"].eq("won") & deal["true_closed_date"].between("2023-01-01", PLAIN.as_of)]
            won = deal["true_closed_date"]
            start = won.dt.to_period("Q").dt.start_time
            end = won.dt.to_period("Q").dt.end_time
            old = (start - deal["created_date"]).dt.days > 21
            counts += [((won - start)[old].dt.days < 30).sum(), ((end - won).dt.days < 14).sum()]
        return counts

    without, with_rush = early_and_last(0.0), early_and_last(0.4)
    assert with_rush[0] / without[0] == pytest.approx(0.6, abs=0.03)
    assert with_rush[1] > 1.5 * without[1]


def test_a_quarters_shock_moves_the_wins_of_that_quarter():
    truth = replace(PLAIN, shock_sd=0.5, opportunities=30_000)
    wins = []
    for each in (truth, replace(truth, shock_sd=0.0)):
        deal, _ = synthetic.deals(each, 4)
        won = deal.loc[deal["true_outcome"] == "won", "true_closed_date"]
        wins.append(won.dt.to_period("Q").astype(str).value_counts().sort_index())
    shock = synthetic.quarter_shocks(truth, 4).set_index("quarter")["effect"]
    ratio = np.log(wins[0] / wins[1]).loc["2022Q3":"2025Q2"]
    assert len(ratio) == 12
    assert np.corrcoef(ratio, shock.loc["2022Q3":"2025Q2"])[0, 1] > 0.98


def test_leavers_own_no_open_deal_and_do_nothing_after_they_left(company):
    reps = company["reps"].set_index("rep_id")
    gone = reps["end_date"].dropna()
    assert len(gone) == TRUTH.leavers
    deal = company["opportunities"]
    assert not deal.loc[deal["outcome"] == "open", "rep_id"].isin(gone.index).any()
    history, activities, leads = company["stage_history"], company["activities"], company["leads"]
    for rows, at in ((history, "entered_at"), (activities, "at"), (deal, "closed_date")):
        left = rows["rep_id"].map(gone) + pd.Timedelta(days=1)
        assert left.notna().any()
        assert not (rows[at] >= left).any(), at
    moved = history["rep_id"].ne(history["rep_id"].shift()) & (history["sequence"] > 1)
    assert moved.sum() > 20
    assert (history.loc[moved, "entered_at"].dt.normalize() == history["rep_id"].shift()[moved].map(gone)).all()
    created = deal["created_date"] >= deal["rep_id"].map(reps["start_date"])
    assert created[~deal["opportunity_id"].isin(history.loc[moved, "opportunity_id"])].all()
    assert leads["rep_id"].notna().all()


def test_a_new_customer_has_never_bought_and_an_old_one_has(company):
    deal = company["opportunities"]
    won = deal[deal["outcome"] == "won"].groupby("account_id")["closed_date"].min()
    before = deal["account_id"].map(won) < deal["created_date"]
    assert not (before & deal["is_new_customer"]).any()
    new = deal.loc[deal["is_new_customer"], "account_id"]
    assert new.is_unique
    old_deal_of_new_account = deal["account_id"].isin(new) & ~deal["is_new_customer"]
    assert old_deal_of_new_account.sum() > 50
    assert before[old_deal_of_new_account].all()
    assert deal["is_new_customer"].mean() == pytest.approx(TRUTH.new_share, abs=0.03)


def test_the_tables_fit_together(company):
    deal, orders, touches = company["opportunities"], company["orders"], company["touches"]
    booked = orders.groupby("opportunity_id")["net_amount"].sum()
    won = deal[deal["outcome"] == "won"].set_index("opportunity_id")["amount"]
    pd.testing.assert_series_equal(booked, won, check_names=False)
    assert (orders["net_amount"] > 0).all()
    assert (touches[["lead_id", "account_id", "opportunity_id"]].notna().sum(axis=1) == 1).all()
    leads = company["leads"].dropna(subset="opportunity_id")
    came = leads["opportunity_id"].map(deal.set_index("opportunity_id")["created_date"])
    assert (leads["created_at"] < came + pd.Timedelta(days=1)).all()
    assert (
        leads["channel"].tolist() == leads["opportunity_id"].map(deal.set_index("opportunity_id")["channel"]).tolist()
    )
    for name, column, home in (
        ("opportunities", "account_id", "accounts"), ("opportunities", "product_id", "products"),
        ("opportunities", "rep_id", "reps"), ("opportunities", "stage", "stages"), ("activities", "rep_id", "reps"),
        ("activities", "opportunity_id", "opportunities"), ("touches", "lead_id", "leads"),
        ("orders", "account_id", "accounts"), ("accounts", "parent_id", "accounts"), ("costs", "rep_id", "reps"),
    ):  # fmt: skip
        assert company[name][column].dropna().isin(company[home][tables.TABLES[home].key[0]]).all(), (name, column)
    assert company["accounts"]["account"].is_unique


def test_names_come_in_several_scripts(company):
    for name, column in (("reps", "rep"), ("accounts", "account")):
        text = "".join(company[name][column])
        for script in ("å", "و", "华" if name == "accounts" else "陈", "株" if name == "accounts" else "藤", "о"):
            assert script in text, (name, script)


def test_the_export_holds_the_tables_under_the_names_it_declares(company):
    raw = synthetic.export(TRUTH, 3)
    assert set(raw) == set(synthetic.EXPORT)
    said = set()
    for file, (table, columns) in synthetic.EXPORT.items():
        assert list(raw[file].columns) == list(columns)
        assert (raw[file].dtypes == "str").all()
        assert raw[file].notna().all(axis=None)
        assert len(raw[file]) == len(company[table])
        for theirs, ours in columns.items():
            said |= {(table, name) for name in ours.split(" | ")}
            if ours and "|" not in ours and tables.TABLES[table][ours].kind in ("id", "label") and ours != "outcome":
                assert raw[file][theirs].tolist() == company[table][ours].fillna("").tolist(), (file, theirs)
    declared = {(t, c) for t in company for c in company[t]}
    assert declared - said == {("stage_history", "sequence")}
    deal, ours = raw["Opportunity.csv"], company["opportunities"]
    is_open = ours["outcome"] == "open"
    assert (deal["IsClosed"] == "false").equals(is_open)
    assert (deal["IsWon"] == "true").equals(ours["outcome"] == "won")
    close = pd.to_datetime(deal["CloseDate"])
    assert (close[is_open] == ours["expected_close_date"][is_open]).all()
    assert (close[~is_open] == ours["closed_date"][~is_open]).all()
    assert (pd.to_numeric(deal["Probability"]) / 100).equals(ours["probability"])
    assert raw["OpportunityHistory.csv"]["Id"].is_monotonic_increasing
    assert raw["OpportunityHistory.csv"]["CreatedDate"].str.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d").all()


def test_the_record_of_dirt_is_complete_and_true():
    truth = Truth(opportunities=1500, touches=200)
    clean, dirty = synthetic.export(truth, 7), synthetic.export(truth, 7, dirty=True)
    record = synthetic.dirt(truth, 7)
    kinds = {
        "repeated row", "product alias", "negative amount", "closed before created", "closed in the far future",
        "missing owner", "missing amount on won deal", "lost amount of 0", "spaces or case", "no date", "stage typo",
        "entered only when won", "lost history", "bulk close",
    }  # fmt: skip
    assert set(record["kind"]) == kinds
    found = set()
    for file in clean:
        if "Id" not in clean[file]:
            pd.testing.assert_frame_equal(clean[file], dirty[file])
            continue
        was, became = clean[file].set_index("Id"), dirty[file].set_index("Id")
        copies = became.groupby(level=0).size()
        found |= {(file, key, "", "1", "2") for key in copies.index[copies == 2]}
        found |= {(file, key, "", "1", "0") for key in was.index.difference(became.index)}
        assert copies.max() <= 2
        for key in copies.index[copies == 2]:
            assert became.loc[key].drop_duplicates().shape[0] == 1
        became = became[~became.index.duplicated()]
        was = was.loc[became.index]
        for row, column in zip(*np.nonzero((was != became).to_numpy()), strict=True):
            name = was.columns[column]
            found.add((file, was.index[row], name, was.iat[row, column], became.iat[row, column]))
    told = list(record[["file", "key", "column", "was", "became"]].itertuples(index=False, name=None))
    assert len(told) == len(set(told))
    assert set(told) == found


def test_a_bulk_close_puts_dozens_of_losses_on_one_day_that_nobody_works():
    record = synthetic.dirt(TRUTH, 0)
    bulk = record[(record["kind"] == "bulk close") & (record["file"] == "Opportunity.csv")]
    assert 24 <= len(bulk) <= 60
    assert bulk["became"].nunique() == 1
    assert pd.Timestamp(bulk["became"].iloc[0]).day_of_week == 6
    assert record.query("kind == 'product alias'")["became"].isin(["AtlasPro", "Atlas Pro", "atlas pro"]).any()


def test_an_impossible_company_is_refused_with_all_that_is_wrong():
    product = replace(TRUTH.products[0], mix=0.5)
    with pytest.raises(SettingError, match=r"products: mix sums to 1\.38.*season has 3"):
        Truth(products=(product, *TRUTH.products[1:]), season=(1.0, 1.0, 1.0))
    with pytest.raises(SettingError, match="nobody is there all the time"):
        Truth(reps=10)
