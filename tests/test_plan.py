"""A plan keeps every wish at once, to the cent; what cannot hold together is named."""

from __future__ import annotations

import itertools
import zipfile

import numpy as np
import pandas as pd
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from salesforecast import targets
from salesforecast.errors import CannotSay, DataError, SettingError
from salesforecast.targets import fitting, rounding
from salesforecast.targets.sums import asked
from salesforecast.targets.wishes import read as parsed

NAMES = ["region", "rep_id", "product_id", "period"]


def cents(amounts) -> np.ndarray:
    return np.rint(np.asarray(amounts, dtype="float64") * 100).astype("int64")


def cube(reps=4, products=3, months=2, seed=0, top=100_000) -> pd.DataFrame:
    """A plan of reps in two regions by products and months."""
    rng = np.random.default_rng(seed)
    cells = [
        (f"region {'EW'[r % 2]}", f"R{r}", f"P{p}", f"2025-{m + 1:02}")
        for r in range(reps) for p in range(products) for m in range(months)
    ]  # fmt: skip
    plan = pd.DataFrame(cells, columns=NAMES)
    return plan.assign(target=rng.integers(1, top, len(plan)) / 100)


def flags(plan: pd.DataFrame, wish: dict) -> np.ndarray:
    """Which cells a wish is about, cell by cell."""
    found = []
    for cell in plan.to_dict("records"):
        inside = True
        for name in NAMES:
            if name in wish:
                values = wish[name] if isinstance(wish[name], list | tuple) else [wish[name]]
                inside &= cell[name] in values
        found.append(inside)
    return np.array(found)


@st.composite
def plans(draw, most=1_000_000, zeros=True):
    """A plan of cells at random, some at zero, not a full table."""
    reps, products, months = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    plan = cube(reps, products, months)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    top = draw(st.sampled_from([5, 100, most]))
    amounts = rng.integers(1, top, len(plan))
    if zeros:
        amounts *= rng.random(len(plan)) < 0.8
    plan["target"] = amounts / 100
    return plan[rng.random(len(plan)) < 0.95].reset_index(drop=True) if len(plan) > 4 else plan


@st.composite
def kept_by_some_plan(draw):
    """A plan, and overlapping wishes that another plan of the same cells keeps, so that they can hold together."""
    plan = draw(plans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    own = cents(plan["target"])
    other = np.where(own > 0, np.rint(own * rng.lognormal(0, draw(st.sampled_from([0.1, 1, 3])), len(own))), 0)
    other = np.where(rng.random(len(own)) < draw(st.sampled_from([0, 0.3])), 0, other).astype("int64")
    asked_of = []
    for _ in range(draw(st.integers(1, 8))):
        where = {
            name: sorted(set(rng.choice(plan[name].unique(), rng.integers(1, 3))))
            for name in NAMES
            if rng.random() < 0.4
        }
        inside = flags(plan, where)
        if inside.any():
            kind = rng.choice(["pin", "pin", "at_least", "at_most"])
            room = {"pin": 0, "at_least": -1, "at_most": 1}[kind] * int(rng.integers(0, 50))
            asked_of.append({"kind": str(kind), "amount": max(0, int(other[inside].sum()) + room) / 100, **where})
    return plan, asked_of


# ---- every wish, to the cent -------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(kept_by_some_plan())
def test_overlapping_wishes_that_some_plan_keeps_are_kept_to_the_cent(case):
    plan, asked_of = case
    fitted = targets.fit(plan, asked_of, keep=None)
    for wish in asked_of:
        got, amount = cents(fitted["target"])[flags(plan, wish)].sum(), round(wish["amount"] * 100)
        assert {"pin": got == amount, "at_least": got >= amount, "at_most": got <= amount}[wish["kind"]]
    assert (fitted["target"] >= 0).all()
    assert (fitted["target"][plan["target"] == 0] == 0).all(), "a cell at zero stays at zero"
    assert targets.feasible(plan, asked_of, keep=None).empty


@settings(max_examples=15)
@given(kept_by_some_plan(), st.randoms(use_true_random=False))
def test_the_order_of_wishes_rows_and_columns_means_nothing(case, random):
    plan, asked_of = case
    first = targets.fit(plan, asked_of, keep=None)
    random.shuffle(asked_of)
    order = list(range(len(plan)))
    random.shuffle(order)
    again = targets.fit(plan.iloc[order], asked_of, keep=None).sort_index()
    assert again["target"].to_numpy().tobytes() == first["target"].to_numpy().tobytes()
    turned = targets.fit(plan[["target", *reversed(NAMES)]], asked_of, keep=None)
    np.testing.assert_array_equal(turned["target"], first["target"])


@settings(max_examples=25)
@given(kept_by_some_plan())
def test_a_plan_that_keeps_the_wishes_stays_as_it_is(case):
    plan, asked_of = case
    fitted = targets.fit(plan, asked_of, keep=None)
    again = targets.fit(fitted, asked_of, keep=None)
    np.testing.assert_array_equal(again["target"], fitted["target"])


@settings(max_examples=30)
@given(kept_by_some_plan())
def test_the_fit_is_the_nearest_plan_that_plain_proportional_fitting_finds(case):
    plan, asked_of = case
    x, factors = cents(plan["target"]).astype("float64"), np.zeros(len(asked_of))
    inside, amounts = [flags(plan, w) for w in asked_of], [round(w["amount"] * 100) for w in asked_of]
    for _ in range(1000):  # one wish after the other, slowly; a bound only as far as it binds (Hildreth)
        for j, wish in enumerate(asked_of):
            if x[inside[j]].sum() > 0:
                factor = factors[j] + (np.log(amounts[j] / x[inside[j]].sum()) if amounts[j] else -50)
                factor = {"pin": factor, "at_least": max(factor, 0), "at_most": min(factor, 0)}[wish["kind"]]
                x[inside[j]] *= np.exp(factor - factors[j])
                factors[j] = factor
    gaps = np.array([amounts[j] - x[inside[j]].sum() for j in range(len(asked_of))])
    bound = np.array([w["kind"] != "pin" for w in asked_of]) & (factors == 0)
    sides = np.array([{"pin": 0, "at_least": 1, "at_most": -1}[w["kind"]] for w in asked_of])
    if (np.where(bound, sides * gaps, np.abs(gaps)) < 0.01).all():  # it has come to its end
        fitted = targets.fit(plan, asked_of, keep=None)
        assert np.abs(fitted["target"] * 100 - x).max() < 1.001 + 1e-9 * x.max(), "within the cent that rounding takes"


@settings(max_examples=25)
@given(kept_by_some_plan(), st.integers(-4, 12))
def test_a_plan_in_other_money_is_fitted_alike(case, power):
    plan, _ = case
    if not plan["target"].any():
        return
    wish = [{"kind": "pin", "amount": 1000.0}]
    scaled = plan.drop(columns="target").assign(baseline=plan["target"] * 2.0**power)
    one, other = targets.fit(plan, wish)["target"], targets.fit(scaled, wish)["target"]
    np.testing.assert_array_equal(other, one)


@settings(max_examples=25)
@given(plans(zeros=False), st.data())
def test_a_tree_adds_up_at_every_node_at_any_unit(plan, data):
    unit = data.draw(st.sampled_from([0.01, 1, 100]))
    total = data.draw(st.integers(1, 500)) * unit * 7
    shares = plan.drop(columns="target").assign(baseline=plan["target"] / plan["target"].sum())
    fitted = targets.fit(shares, [{"kind": "pin", "amount": round(total, 2)}], unit=unit)
    assert cents(fitted["target"]).sum() == round(total * 100)
    assert (cents(fitted["target"]) % round(unit * 100) == 0).all()
    exact = shares["baseline"] * total
    assert (np.abs(fitted["target"] - exact) < unit + 1e-9).all(), "largest remainder: less than a unit away"
    for by in itertools.chain.from_iterable(itertools.combinations(NAMES, k) for k in range(3)):
        sums = targets.levels(fitted, by)
        assert cents(sums["target"]).sum() == round(total * 100)
        if by:
            own = pd.Series(cents(fitted["target"])).groupby([fitted[name] for name in by]).sum()
            np.testing.assert_array_equal(cents(sums["target"]), own)


def test_sums_of_a_baseline_are_rounded_once():
    plan = pd.DataFrame({"region": ["N"] * 3, "month": list("abc"), "baseline": [0.004] * 3})
    assert targets.levels(plan, ["region"])["baseline"].to_list() == [0.01]


def test_what_no_wish_touches_keeps_its_proportions():
    plan = cube()
    fitted = targets.fit(plan, [{"kind": "pin", "amount": 4000, "region": "region E"}])
    for region, part in plan.groupby("region"):
        ratio = fitted.loc[part.index, "target"] / part["target"]
        assert ratio.max() - ratio.min() < 0.02 / part["target"].min(), region
    assert cents(fitted["target"]).sum() == cents(plan["target"]).sum()
    assert fitted["baseline"].equals(plan["target"])


def test_the_sums_by_a_column_stay_when_asked():
    plan = cube()
    fitted = targets.fit(plan, [{"kind": "pin", "amount": 800, "rep_id": "R0"}], keep=["period", "product_id"])
    for by in ("period", "product_id"):
        np.testing.assert_array_equal(targets.levels(plan, [by])["target"], targets.levels(fitted, [by])["target"])
    assert targets.kept(plan, fitted, [{"kind": "pin", "amount": 800, "rep_id": "R0"}])["is_kept"].all()


def test_a_locked_cell_stays_and_the_others_carry_the_change():
    plan = cube()
    fitted = targets.fit(
        plan, [{"kind": "lock", "rep_id": "R1"}, {"kind": "pin", "amount": 6000, "region": "region W"}]
    )
    locked = plan["rep_id"] == "R1"
    assert fitted["target"][locked].equals(plan["target"][locked])
    assert cents(fitted["target"][plan["region"] == "region W"]).sum() == 600_000


def test_a_share_of_a_node_is_a_share_of_what_is_pinned_there():
    plan = cube()
    wish = {"kind": "share", "amount": 0.4, "region": "region E", "product_id": "P1", "along": "product_id"}
    fitted = targets.fit(plan, [wish, {"kind": "pin", "amount": 2000.01, "region": "region E"}])
    part = targets.levels(fitted, ["region", "product_id"]).set_index(["region", "product_id"])["target"]
    assert part[("region E", "P1")] == 800.0  # 800.004 to the cent
    stays = targets.fit(plan, [wish])
    east = plan["region"] == "region E"
    assert cents(stays["target"][east]).sum() == cents(plan["target"][east]).sum()


def test_a_share_of_a_node_that_another_wish_speaks_of_is_a_share_of_what_that_asks():
    plan = pd.DataFrame({"region": ["E", "E", "W"], "rep_id": ["A", "B", "C"], "target": [40.0, 40.0, 20.0]})
    half = {"kind": "share", "amount": 0.5, "region": "E", "along": "region"}
    of_east = {"kind": "share", "amount": 0.5, "region": "E", "rep_id": "A", "along": "rep_id"}
    assert targets.feasible(plan, [half, of_east]).empty
    assert targets.fit(plan, [of_east, half])["target"].to_list() == [25.0, 25.0, 50.0]
    least = {"kind": "at_least", "amount": 90, "region": "E"}
    assert targets.fit(plan, [of_east, least])["target"].to_list() == [45.0, 45.0, 10.0]


@pytest.mark.parametrize("cents_", [532056621794364, 1_000_000_000_010, 400_000_000_000_001])
def test_large_amounts_with_cents_are_read(cents_):
    plan = pd.DataFrame({"region": ["E", "W"], "target": [40.0, 20.0]})
    fitted = targets.fit(plan, [{"kind": "pin", "amount": cents_ / 100}], keep=None)
    assert cents(fitted["target"]).sum() == cents_
    with pytest.raises(SettingError, match="parts of a cent"):
        targets.fit(plan, [{"kind": "pin", "amount": 10_000_000_000.015}])


# ---- moves -------------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(plans(zeros=False), st.data())
def test_moves_go_cell_by_cell_and_touch_nothing_else(plan, data):
    reps = sorted(plan["rep_id"].unique())
    if len(reps) < 2:
        return
    source, to = data.draw(st.permutations(reps))[:2]
    own, other = plan["rep_id"] == source, plan["rep_id"] == to
    keys = ["product_id", "period"]
    both = set(map(tuple, plan.loc[other, keys].to_numpy()))
    if not all(tuple(k) in both for k in plan.loc[own, keys].to_numpy()):
        with pytest.raises(CannotSay, match="that the other side does not have"):
            targets.fit(
                plan,
                [{"kind": "move", "amount": plan["target"][own].sum().round(2), "rep_id": source, "to_rep_id": to}],
            )
        return
    amount = data.draw(st.integers(0, int(cents(plan["target"][own]).sum())))
    fitted = targets.fit(plan, [{"kind": "move", "amount": amount / 100, "rep_id": source, "to_rep_id": to}])
    before, after = cents(plan["target"]), cents(fitted["target"])
    assert (after - before)[own].sum() == -amount and (after - before)[other].sum() == amount
    np.testing.assert_array_equal(before[~own & ~other], after[~own & ~other])
    pair = own | other
    for m, sums in plan.assign(b=before, a=after)[pair].groupby(keys):
        assert sums["a"].sum() == sums["b"].sum(), f"the two keep what they carry together in {m}"


def test_several_moves_add_up_whatever_their_order():
    plan = cube()
    moves = [
        {"kind": "move", "amount": 100, "rep_id": "R0", "to_rep_id": "R1"},
        {"kind": "move", "amount": 50.05, "rep_id": "R0", "to_rep_id": "R2", "product_id": "P1"},
        {"kind": "move", "amount": 100, "rep_id": "R0", "to_rep_id": "R1"},
        {"kind": "move", "amount": 70, "region": "region W", "to_region": "region E"},
    ]
    results = [targets.fit(plan, order)["target"].to_numpy().tobytes() for order in itertools.permutations(moves)]
    assert len(set(results)) == 1
    change = targets.changes(plan, targets.fit(plan, moves[:3]), ["rep_id"]).set_index("rep_id")["change"]
    assert change.to_dict() == {"R0": -250.05, "R1": 200.0, "R2": 50.05, "R3": 0.0}


def test_what_a_node_sends_goes_to_its_siblings_of_the_same_parent():
    plan = cube(reps=6)
    fitted = targets.fit(plan, [{"kind": "send", "rep_id": "R0"}])
    change = targets.changes(plan, fitted, ["rep_id"]).set_index("rep_id")["change"]
    assert cents(fitted["target"][plan["rep_id"] == "R0"]).sum() == 0
    assert (change[["R1", "R3", "R5"]] == 0).all(), "other region"
    assert (change[["R2", "R4"]] > 0).all()
    by = ["region", "product_id", "period"]
    pd.testing.assert_frame_equal(targets.levels(plan, by)[by], targets.levels(fitted, by)[by])
    np.testing.assert_array_equal(targets.levels(plan, by)["target"], targets.levels(fitted, by)["target"])


def test_a_move_of_more_than_there_is_is_named():
    plan = cube()
    has = targets.levels(plan, ["rep_id"]).set_index("rep_id")["target"]["R0"]
    told = targets.feasible(plan, [{"kind": "move", "amount": has + 1, "rep_id": "R0", "to_rep_id": "R1"}])
    assert f"carries only {has:,.2f}".removesuffix(".00") in told["why"].iloc[0]
    half = {"kind": "move", "amount": round(has * 0.6, 2), "rep_id": "R0"}
    told = targets.feasible(plan, [half | {"to_rep_id": "R1"}, half | {"to_rep_id": "R2"}])
    assert "cannot be: that would be -" in told["why"].iloc[0]


# ---- what cannot hold --------------------------------------------------------------------------------------------------


def test_pins_that_ask_for_more_than_their_region_are_named_with_their_amounts():
    plan = cube(top=100_000_00)
    wishes = [
        {"kind": "pin", "amount": 2_600_000, "region": "region E"},
        {"kind": "pin", "amount": 1_500_000, "region": "region E", "product_id": "P0"},
        {"kind": "pin", "amount": 1_400_000, "region": "region E", "product_id": "P1"},
        {"kind": "pin", "amount": 5, "rep_id": "R1"},
    ]
    told = targets.feasible(plan, wishes, keep=None)
    assert told["why"].unique().tolist() == [
        "'region region E, product P0 carries 1,500,000' and 'region region E, product P1 carries 1,400,000' ask for 2,900,000 within "
        "'region region E carries 2,600,000': 300,000 too much."
    ]
    assert len(told) == 3 and (told["short"] == 300_000).all()
    with pytest.raises(CannotSay, match="300,000 too much"):
        targets.fit(plan, wishes, keep=None)
    assert "2,900,000" in targets.finding_feasible(told)


def test_parts_that_cover_a_node_and_ask_for_less_are_named():
    plan = cube(reps=2)
    wishes = [{"kind": "at_least", "amount": 100, "rep_id": "R0"}, *(
        {"kind": "pin", "amount": 10, "rep_id": "R0", "product_id": f"P{p}"} for p in range(3)
    )]  # fmt: skip
    (why,) = targets.feasible(plan, wishes, keep=None)["why"].unique()
    assert why.startswith("'rep R0 carries at least 100' asks for 100 within") and "(30): 70 too much" in why


def test_a_contradiction_of_one_cent_in_ten_million_is_seen():
    plan = cube()
    wishes = [{"kind": "pin", "amount": 10_000_000.00}, {"kind": "pin", "amount": 5_000_000, "region": "region E"},
              {"kind": "pin", "amount": 5_000_000.01, "region": "region W"}]  # fmt: skip
    told = targets.feasible(plan, wishes)
    assert len(told) == 3 and (told["short"] == 0.01).all()
    assert targets.feasible(plan, [*wishes[:2], wishes[2] | {"amount": 5_000_000}]).empty


def test_the_total_that_stays_is_named_beside_the_wishes_it_contradicts():
    plan = cube()
    total = targets.levels(plan)["target"].iloc[0]
    told = targets.feasible(plan, [{"kind": "at_least", "amount": total + 5, "region": ["region E", "region W"]}])
    assert told.empty, "a wish that speaks of all cells takes the place of the total that stays"
    told = targets.feasible(plan, [{"kind": "at_least", "amount": total + 5, "region": "region E"}])
    assert set(told["kind"]) == {"at_least", "kept"} and (told["short"] == 5).all()


def test_locked_cells_in_the_way_are_named():
    plan = cube(reps=2, products=1, months=1).assign(target=[60.0, 40.0])
    lock = {"kind": "lock", "rep_id": "R0"}
    for pin in ({"kind": "pin", "amount": 50, "rep_id": "R0"}, {"kind": "pin", "amount": 70, "rep_id": "R0"}):
        told = targets.feasible(plan, [lock, pin], keep=None)
        assert sorted(told["kind"]) == ["lock", "pin"]
    told = targets.feasible(plan, [lock, {"kind": "pin", "amount": 55}], keep=None)
    assert "'rep R0 is locked' holds more than that" in told["why"].iloc[0]


def test_cells_at_zero_that_a_pin_needs_are_named_with_the_fix_and_a_start_is_one():
    plan = cube()
    plan.loc[plan["rep_id"] == "R3", "target"] = 0.0
    pin = {"kind": "pin", "amount": 500, "rep_id": "R3"}
    (why,) = targets.feasible(plan, [pin])["why"].unique()
    assert (
        "6 cells of it (region region W, rep R3, product P0, period 2025-01, …) stand at zero" in why
        and "kind start" in why
    )
    fitted = targets.fit(plan, [pin, {"kind": "start", "amount": 100, "rep_id": "R3"}])
    own = fitted[plan["rep_id"] == "R3"]
    assert cents(own["target"]).sum() == 50_000 and (own["target"] > 0).all()
    like = fitted[plan["rep_id"] == "R1"]["target"].to_numpy()  # the only other of the region: the same mix
    np.testing.assert_allclose(own["target"] / own["target"].sum(), like / like.sum(), atol=1e-4)
    assert cents(fitted["target"]).sum() == cents(plan["target"]).sum()


def test_new_hires_are_told_from_nodes_without_history():
    plan = cube().assign(new=lambda p: p["rep_id"] == "R2")
    plan.loc[plan["rep_id"].isin(["R2", "R3"]), "target"] = 0.0
    empty = targets.empty(plan, "rep_id").set_index("rep_id")
    assert empty["new"].to_dict() == {"R2": True, "R3": False} and empty["cells"].to_list() == [6, 6]
    assert "starting share" in empty["why"]["R2"] and "no history" in empty["why"]["R3"]


@settings(max_examples=12)
@given(plans(), st.data())
def test_a_contradiction_is_one_and_none_of_its_wishes_can_be_spared(plan, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    wishes = []
    for _ in range(data.draw(st.integers(2, 7))):
        where = {name: [str(rng.choice(plan[name].unique()))] for name in NAMES if rng.random() < 0.4}
        if flags(plan, where).any():
            kind = str(rng.choice(["pin", "pin", "at_least", "at_most"]))
            wishes.append({"kind": kind, "amount": float(rng.integers(0, 300)), **where})
    free = (plan["target"] > 0).to_numpy()

    def can(rows) -> bool:
        """By a linear programme over the cells themselves."""
        a, b = [], []
        for w in rows:
            inside = flags(plan, w)[free].astype(float)
            if w["kind"] != "at_most":
                a, b = [*a, -inside], [*b, -w["amount"]]
            if w["kind"] != "at_least":
                a, b = [*a, inside], [*b, w["amount"]]
        if not free.any():
            return all(w["amount"] == 0 or w["kind"] == "at_most" for w in rows)
        return not rows or linprog(np.zeros(free.sum()), A_ub=np.array(a), b_ub=b).status == 0

    told = targets.feasible(plan, wishes, keep=None)
    assert told.empty == can(wishes)
    named = dict(zip(targets.wishes(plan, wishes)["wish"], wishes, strict=False)) if len(told) else {}
    for _, rows in told.groupby("contradiction"):
        found = [named[w] for w in rows["wish"] if w in named]
        if len(found) == len(rows):
            assert not can(found)
            assert all(can([w for w in found if w is not spared]) for spared in found)


def test_what_holds_only_in_parts_of_a_unit_is_said():
    plan = pd.DataFrame({"region": list("ABC"), "target": [1.0, 1.0, 1.0]})
    pairs = [{"kind": "pin", "amount": 0.01, "region": pair} for pair in (["A", "B"], ["B", "C"], ["A", "C"])]
    told = targets.feasible(plan, pairs, keep=None)
    assert len(told) == 3 and "only in parts of 0.01" in told["why"].iloc[0] and "by a cent" in told["why"].iloc[0]
    coarse = [w | {"amount": 100.0} for w in pairs]
    assert "smaller unit" in targets.feasible(plan, coarse, keep=None, unit=100)["why"].iloc[0]
    assert targets.fit(plan, coarse, keep=None, unit=1)["target"].to_list() == [50.0, 50.0, 50.0]


def test_an_amount_that_is_no_whole_unit_is_named():
    plan = cube()
    told = targets.feasible(plan, [{"kind": "pin", "amount": 1050, "rep_id": "R0"}], keep=None, unit=100)
    assert "not a whole number of 100s" in told["why"].iloc[0]


# ---- rounding ----------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.data())
def test_largest_remainder_gives_whole_numbers_less_than_one_away(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    group = np.sort(rng.integers(0, 4, 30))
    weights = rng.random(30) * (rng.random(30) < 0.8)
    totals = rng.integers(0, 1000, 4)
    whole = rounding.apportioned(weights, group, totals)
    for g in range(4):
        own = weights[group == g]
        if len(own):
            assert whole[group == g].sum() == totals[g]
            exact = own / own.sum() * totals[g] if own.sum() else np.full(len(own), totals[g] / len(own))
            assert (np.abs(whole[group == g] - exact) < 1).all()
            assert (whole[group == g][(own == 0) & (own.sum() > 0)] == 0).all()
            up = whole[group == g] > np.floor(exact + 1e-9)
            part = exact - np.floor(exact + 1e-9)
            assert part[up].min(initial=1) >= part[~up].max(initial=0) - 1e-9, "the largest remainders go up"


def test_sums_in_three_directions_at_once_are_exact():
    plan = cube(reps=8, products=7, months=6, seed=3)
    rng = np.random.default_rng(1)
    wishes = []
    for name in ("rep_id", "product_id", "period"):
        sums = cents(targets.levels(plan, [name])["target"])
        new = rounding.apportioned(
            sums * rng.uniform(0.8, 1.2, len(sums)), np.zeros(len(sums), int), np.array([sums.sum()])
        )
        wishes += [
            {"kind": "pin", "amount": a / 100, name: v} for v, a in zip(sorted(plan[name].unique()), new, strict=True)
        ]
    fitted = targets.fit(plan, wishes)
    assert targets.kept(plan, fitted, wishes)["is_kept"].all()
    want = asked(plan, parsed(plan, wishes), 0.01, ())
    free = want.near > 0
    atom, matrix = fitting.atoms([s.cells for s in want.sums], free)
    bounds = np.array([s.lower for s in want.sums])
    x = fitting.nearest(matrix, np.bincount(atom, want.near), bounds, bounds)
    assert np.abs(cents(fitted["target"])[want.order] - x[atom]).max() < 1, (
        "each cell goes up or down to a cent, not further"
    )


def test_ten_thousand_cells_with_sixty_overlapping_pins_are_exact():
    plan = cube(reps=20, products=25, months=12, seed=5, top=10_000_00)
    rng = np.random.default_rng(2)
    other = plan["target"].to_numpy() * rng.lognormal(0, 0.4, len(plan))
    wishes = []
    for name in ("rep_id", "product_id", "period"):
        sums = pd.Series(other).groupby(plan[name]).sum().round(2)
        wishes += [{"kind": "pin", "amount": a, name: v} for v, a in sums.iloc[:-1].items()]
    fitted = targets.fit(plan, wishes, keep=None)
    assert targets.kept(plan, fitted, wishes)["is_kept"].all()
    turned = targets.fit(plan[::-1], wishes[::-1], keep=None)[::-1]
    assert turned["target"].to_numpy().tobytes() == fitted["target"].to_numpy().tobytes()


# ---- beside the plan ---------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(plans(), st.integers(100, 150), st.sampled_from([0.01, 1, 100]))
def test_over_assignment_is_exact_at_its_level_and_leaves_the_plan_alone(plan, percent, unit):
    before = plan.copy()
    given_out = targets.overassigned(plan, "rep_id", percent / 100, within=["region"], unit=unit)
    pd.testing.assert_frame_equal(plan, before)
    for _, rows in given_out.groupby("region"):
        base, units = cents(rows["target"]).sum(), round(unit * 100)
        assert cents(rows["assigned"]).sum() == (base * percent * 2 + 100 * units) // (200 * units) * units
        np.testing.assert_array_equal(cents(rows["over"]), cents(rows["assigned"]) - cents(rows["target"]))
    assert cents(given_out["target"]).sum() == cents(plan["target"]).sum()


def test_changes_tell_each_node_before_and_after_and_the_largest_first():
    plan = cube()
    fitted = targets.fit(plan, [{"kind": "pin", "amount": 4000, "region": "region E"}])
    frame = targets.changes(plan, fitted, ["region", "rep_id"])
    assert frame["change"].abs().is_monotonic_decreasing and cents(frame["change"]).sum() == 0
    assert "nodes of 4 changed" in targets.finding_changes(frame)
    assert targets.finding_changes(targets.changes(plan, plan, ["rep_id"])).startswith("Nothing changed")


# ---- wishes that cannot be read ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"kind": "pinn", "amount": 1}, "Did you mean 'pin'"),
        ({"kind": "pin", "amount": 1, "rep": "R0"}, "Did you mean 'rep_id'"),
        ({"kind": "pin", "amount": 1, "rep_id": "R00"}, "There is no rep_id 'R00'"),
        ({"kind": "pin", "rep_id": "R0"}, "a pin needs an amount"),
        ({"kind": "pin", "amount": -1}, "zero or more"),
        ({"kind": "pin", "amount": "much"}, "not a figure"),
        ({"kind": "pin", "amount": 0.005}, "parts of a cent"),
        ({"kind": "lock", "amount": 5}, "a lock has no amount"),
        ({"kind": "share", "amount": 1.5, "rep_id": "R0"}, "a fraction from 0 to 1"),
        ({"kind": "move", "amount": 5, "rep_id": "R0"}, "a move names from where and to where"),
        ({"kind": "pin", "amount": 5, "rep_id": "R0", "to_rep_id": "R1"}, "only a move names where it goes"),
        ({"kind": "send", "rep_id": "R0", "product_id": "P0"}, "says in along one of the columns"),
    ],
)
def test_a_wish_that_cannot_be_read_is_named_with_its_number(wish, said):
    with pytest.raises(SettingError, match="wish 2: ") as error:
        targets.wishes(cube(), [{"kind": "keep", "rep_id": "R0"}, wish])
    assert said in str(error.value)


def test_a_plan_that_cannot_be_used_names_all_its_faults():
    plan = cube(reps=2).assign(size=1.5)
    plan.loc[0, "target"] = -1.0
    plan.loc[1, "rep_id"] = None
    with pytest.raises(DataError) as error:
        targets.fit(plan)
    for said in (
        "size: figures cannot name a cell",
        "rep_id: 1 names are missing",
        "target: 1 figures are missing or negative",
    ):
        assert said in str(error.value)
    with pytest.raises(DataError, match="1 cells stand twice"):
        targets.fit(pd.concat([cube(), cube().head(1)]))


# ---- the workbook ------------------------------------------------------------------------------------------------------


HOSTILE = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2",
    "@SUM(A1)",
    "_x0041_",
    '["a"]',
    "<b>&\"'",
    "007",
    "a\tb",
    "名前",
    " lead",
    "x" * 300,
    *(first + "y" * 40_000 for first in "ab"),
]


def hostile() -> pd.DataFrame:
    plan = pd.DataFrame(
        {"rep_id": np.repeat(HOSTILE, 2), "day": pd.to_datetime(["2025-01-02", "2025-01-03"] * len(HOSTILE))}
    )
    return plan.assign(baseline=np.arange(len(plan)) / 3 + 1, target=np.arange(len(plan)) + 0.25)


def edited(path, edits, *, out):
    """The workbook with some cells changed, as somebody does in Excel: (sheet, row, column) -> value."""
    import python_calamine

    book = python_calamine.load_workbook(str(path))
    with xlsxwriter.Workbook(str(out)) as new:
        for title in book.sheet_names:
            page = new.add_worksheet(title)
            for r, cells in enumerate(book.get_sheet_by_name(title).to_python(skip_empty_area=False)):
                for c, value in enumerate(cells):
                    value = edits.pop((title, r, c), value)
                    if isinstance(value, str):
                        page.write_string(r, c, value)
                    else:
                        page.write(r, c, value)
            for key in [k for k in edits if k[0] == title]:
                page.write(key[1], key[2], edits.pop(key))
    assert not edits
    return out


def test_a_workbook_gives_back_the_plan_whatever_its_names(tmp_path):
    plan = hostile()
    path = targets.write(plan, tmp_path / "t.xlsx", made={"data": "=HYPERLINK()"})
    back, edits = targets.read(path)
    assert edits.empty
    pd.testing.assert_frame_equal(back, plan, check_dtype=False)
    assert path.read_bytes() == targets.write(plan, tmp_path / "u.xlsx", made={"data": "=HYPERLINK()"}).read_bytes()
    with zipfile.ZipFile(path) as book:
        assert not any(b"<f>" in book.read(name) for name in book.namelist() if "sheet" in name), (
            "no text became a formula"
        )


def test_edits_are_read_back_as_wishes_and_kept_by_the_next_fit(tmp_path):
    plan = targets.fit(cube(), [{"kind": "pin", "amount": 4000, "region": "region E"}])
    path = targets.write(plan, tmp_path / "t.xlsx", [{"kind": "pin", "amount": 4000, "region": "region E"}])
    rep = targets.levels(plan, ["rep_id"])
    changed = edited(path, {
        ("By region", 1, 4): 3500.5,  # pin of region E, which replaces the one before
        ("By rep", 2, 3): float(rep["target"][1]) + 100.0,  # the target of R1 overtyped
        ("Cells", 1, 7): 12.34,
        ("Wishes", 2, 0): "move", ("Wishes", 2, 1): 20.0, ("Wishes", 2, 4): "R3", ("Wishes", 2, 8): "R1",
    }, out=tmp_path / "e.xlsx")  # fmt: skip
    back, edits = targets.read(changed)
    pd.testing.assert_series_equal(back["target"], plan["target"])
    assert sorted(edits["kind"]) == ["move", "pin", "pin", "pin"]
    pins = edits[edits["kind"] == "pin"]
    assert sorted(pins["amount"]) == sorted([3500.5, round(float(rep["target"][1]) + 100.0, 2), 12.34])
    told = targets.feasible(back, edits)
    assert not told.empty, "a pin of R1 and a move to R1 ask for different amounts"
    fitted = targets.fit(back, edits[edits["kind"] == "pin"])
    assert targets.kept(back, fitted, edits[edits["kind"] == "pin"])["is_kept"].all()
    assert cents(fitted["target"][fitted["region"] == "region E"]).sum() == 350_050


def test_a_wish_that_no_cell_of_a_workbook_holds_is_refused_before_it_is_written(tmp_path):
    names = [f"{i:04} {'n' * 40}" for i in range(1000)]
    plan = pd.DataFrame({"rep_id": names, "target": 1.0})
    with pytest.raises(DataError, match="names more than a cell holds under rep_id"):
        targets.write(plan, tmp_path / "t.xlsx", [{"kind": "pin", "amount": 999, "rep_id": names[1:]}])
    assert not list(tmp_path.iterdir())


def test_moves_and_shares_stand_in_the_workbook_as_what_they_came_to(tmp_path):
    plan = cube()
    wishes = [
        {"kind": "move", "amount": 50, "rep_id": "R0", "to_rep_id": "R2"},
        {"kind": "share", "amount": 0.3, "product_id": "P0"},
        {"kind": "at_least", "amount": 10, "rep_id": ["R1", "R2"]},
    ]
    fitted = targets.fit(plan, wishes)
    back, kept = targets.read(targets.write(fitted, tmp_path / "t.xlsx", wishes))
    assert sorted(kept["kind"]) == ["at_least", "pin", "pin", "pin"]
    assert targets.fit(back, kept)["target"].equals(fitted["target"]), "nothing moves a second time"


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("By rep", 2, 1), "Ann", "sheet 'By rep', row 3: rep_id was 'R1', now 'Ann'; names cannot be edited here"),
        (("By rep", 2, 0), 99, "no row of this plan"),
        (("By rep", 2, 0), 1, "stands twice"),
        (("By rep", 2, 3), "much", "target holds 'much', which is not an amount"),
        (("By rep", 2, 4), -5, "pin holds '-5.0'"),
        (("By rep", 2, 2), 5.0, "baseline was"),
        (("By rep", 0, 3), "goal", "its columns were no., rep_id, baseline, target, pin"),
        (("Cells", 1, 2), "R7", "rep_id was 'R0', now 'R7'"),
        (("By rep", 6, 4), 7.0, "is no row of this plan"),
        (("Wishes", 1, 0), "pinn", "Did you mean 'pin'"),
        (("as written", 0, 0), "x", "was changed"),
    ],
)  # fmt: skip
def test_an_edit_that_must_not_be_is_refused_with_its_place(tmp_path, place, value, said):
    plan = cube().assign(baseline=lambda p: p["target"])
    changed = edited(targets.write(plan, tmp_path / "t.xlsx"), {place: value}, out=tmp_path / "e.xlsx")
    with pytest.raises(DataError) as error:
        targets.read(changed)
    assert said in str(error.value)


def test_a_file_that_is_no_plan_is_refused(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"not a workbook")
    with pytest.raises(DataError, match="cannot be read as a workbook"):
        targets.read(tmp_path / "t.xlsx")
    with xlsxwriter.Workbook(str(tmp_path / "u.xlsx")) as book:
        book.add_worksheet("Plan").write(0, 0, "x")
    with pytest.raises(DataError, match="is not a plan that targets.write wrote"):
        targets.read(tmp_path / "u.xlsx")


def test_the_names_are_public_and_sorted():
    assert list(targets.__all__) == sorted(targets.__all__)
    assert all(callable(getattr(targets, name)) for name in targets.__all__)
