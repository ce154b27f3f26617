"""Attribution: credits that can be worked out by hand, that sum to what was won, and that are refused where times say nothing."""

import importlib.util
from dataclasses import replace
from fractions import Fraction
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import ROOT
from salesforecast import channels, style
from salesforecast.channels import credit, markov, shapley
from salesforecast.channels.attribution import METHODS
from salesforecast.errors import CannotSay, DataError, MissingTable, SettingError, TooLittleData
from salesforecast.periods import ONE_DAY
from salesforecast.tables import Crm


def _benchmark():
    module = importlib.util.spec_from_file_location("attribution_benchmark", ROOT / "benchmarks" / "attribution.py")
    benchmark = importlib.util.module_from_spec(module)
    module.loader.exec_module(benchmark)
    return benchmark


benchmark = _benchmark()
DAY = pd.Timestamp("2025-06-30")


def told(*rows: tuple) -> channels.Journeys:
    """Journeys from (path, won, lost[, value of the won together])."""
    return channels.written_out(pd.DataFrame([(*r, 0.0)[:4] for r in rows], columns=["path", "won", "lost", "value"]))


def effects(journeys: channels.Journeys, order: int = 1) -> tuple[dict, dict]:
    steps = credit.steps(journeys)
    wins, value = markov.removal(steps, np.ones((1, steps.groups)), order=order)
    return dict(zip(steps.names, wins[0], strict=True)), dict(zip(steps.names, value, strict=True))


def shares(journeys: channels.Journeys, method: str, column: str = "conversions", **more) -> dict:
    found = channels.attribution(journeys, methods=[method], replicates=2, **more).set_index("channel")
    return found[column].to_dict()


HAND = told(("Fair > Call", 1, 1, 8.0), ("Call", 2, 1, 6.0), ("Fair", 1, 3, 1.0))


# ---- worked by hand ----------------------------------------------------------------------------------------------------


def test_markov_equals_the_example_worked_by_hand():
    # From Fair: 2 of 6 to Call, 1 of 6 won. From Call: 3 of 5 won. P(win) = 2/3 (1/6 + 2/6 3/5) + 1/3 3/5 = 4/9.
    # Without Call: 2/3 1/6 = 1/9. Without Fair: 1/3 3/5 = 1/5. In value: 5/3 in all; 1/9 without Call; 1/3 14/5 without Fair.
    wins, value = effects(HAND)
    assert wins == pytest.approx({"Call": 3 / 4, "Fair": 11 / 20}, rel=1e-13)
    assert value == pytest.approx({"Call": 14 / 15, "Fair": 11 / 25}, rel=1e-13)
    assert shares(HAND, "Markov", order=1) == pytest.approx({"Call": 4 * 15 / 26, "Fair": 4 * 11 / 26}, rel=1e-13)
    assert shares(HAND, "Markov", "value", order=1) == pytest.approx(
        {"Call": 15 * 70 / 103, "Fair": 15 * 33 / 103}, rel=1e-13
    )


def test_markov_equals_the_well_known_example_of_three_paths():
    # C1 > C2 > C3 won, C1 lost, C2 > C3 lost: effects 1/2, 1, 1
    journeys = told(("C1 > C2 > C3", 1, 0), ("C1", 0, 1), ("C2 > C3", 0, 1))
    assert effects(journeys)[0] == pytest.approx({"C1": 0.5, "C2": 1.0, "C3": 1.0}, rel=1e-13)
    assert shares(journeys, "Markov", order=1) == pytest.approx({"C1": 0.2, "C2": 0.4, "C3": 0.4}, rel=1e-13)


def test_at_order_two_a_state_remembers_the_touch_before():
    # Fair then Call wins, Call alone wins 2 of 3: without Fair 1/3 2/3 of 4/9, without Call 1/9
    assert effects(HAND, order=2)[0] == pytest.approx({"Call": 3 / 4, "Fair": 1 / 2}, rel=1e-13)


def test_the_rules_share_a_win_as_they_say():
    ends = pd.DataFrame({"journey": ["a"], "outcome": ["won"], "ended_at": [DAY], "value": [100.0]})
    days = [60, 30, 10, 0]
    touches = pd.DataFrame({
        "journey": "a", "channel": ["A", "B", "A", "C"], "at": [DAY - pd.Timedelta(days=d) for d in days]
    })  # fmt: skip
    journeys = channels.paths(touches, ends, window=90)
    half = [2 ** (-d / 30) for d in days]
    parts = {
        "First touch": (1, 0, 0), "Last touch": (0, 0, 1), "Linear": (1 / 2, 1 / 4, 1 / 4), "Position": (0.5, 0.1, 0.4),
        "Shapley": (1 / 3, 1 / 3, 1 / 3), "Time decay": ((half[0] + half[2]) / sum(half), half[1] / sum(half), half[3] / sum(half)),
    }  # fmt: skip
    for method, expected in parts.items():
        assert shares(journeys, method) == pytest.approx(dict(zip("ABC", expected, strict=True)), rel=1e-13), method
    assert shares(journeys, "Position", "value", outer=0.3) == pytest.approx({"A": 50.0, "B": 20.0, "C": 30.0})
    assert shares(told(("A > B", 1, 0)), "Position") == {"A": 0.5, "B": 0.5}


def test_parts_far_back_do_not_vanish():
    ends = pd.DataFrame({"journey": ["a"], "outcome": ["won"], "ended_at": [DAY]})
    touches = pd.DataFrame(
        {"journey": "a", "channel": ["A", "B"], "at": [DAY - pd.Timedelta(days=d) for d in (3001, 3000)]}
    )
    found = shares(channels.paths(touches, ends, window=4000), "Time decay", half_life=1)
    assert found == pytest.approx({"A": 1 / 3, "B": 2 / 3}, rel=1e-9)


# ---- slow references ---------------------------------------------------------------------------------------------------


def slow_markov(rows: list[tuple], order: int) -> dict[str, Fraction]:
    """Removal effects in fractions, each by a chain of its own from which the channel was taken out."""
    moves: dict[tuple, dict] = {}
    for path, won, lost, _ in rows:
        names = tuple(path.split(" > "))
        for k, name in enumerate(names):
            at = moves.setdefault(names[max(0, k - order) : k], {})
            at[name] = at.get(name, 0) + won + lost
        at = moves.setdefault(names[-order:], {})
        at["(won)"] = at.get("(won)", 0) + won
        at["(lost)"] = at.get("(lost)", 0) + lost

    def chance(without: str | None) -> Fraction:
        states = list(moves)
        system = [[Fraction(int(i == j)) for j in range(len(states))] + [Fraction(0)] for i in range(len(states))]
        for i, state in enumerate(states):
            total = sum(moves[state].values())
            for to, n in moves[state].items():
                if to == "(won)":
                    system[i][-1] += Fraction(n, total)
                elif to not in ("(lost)", without):
                    system[i][states.index((*state, to)[-order:])] -= Fraction(n, total)
        for i in range(len(states)):  # Gauss
            row = next(r for r in range(i, len(states)) if system[r][i] != 0)
            system[i], system[row] = system[row], system[i]
            system[i] = [v / system[i][i] for v in system[i]]
            for r in range(len(states)):
                if r != i and system[r][i]:
                    factor = system[r][i]
                    system[r] = [a - factor * b for a, b in zip(system[r], system[i], strict=True)]
        return system[states.index(())][-1]

    every = chance(None)
    names = {name for path, *_ in rows for name in path.split(" > ")}
    return {name: 1 - chance(name) / every for name in names}


def slow_shapley(rows: list[tuple], worth) -> dict[str, float]:
    """The mean, over all orders in which channels could come, of what each adds."""
    names = sorted({name for path, *_ in rows for name in path.split(" > ")})
    orders = list(permutations(names))
    found = dict.fromkeys(names, 0.0)
    for order in orders:
        for k, name in enumerate(order):
            found[name] += (worth(set(order[: k + 1])) - worth(set(order[:k]))) / len(orders)
    return found


paths_of = st.lists(
    st.tuples(
        st.lists(st.sampled_from("ABCD"), min_size=1, max_size=5).map(" > ".join), st.integers(0, 3), st.integers(1, 3),
        st.sampled_from([0.0, 1.5, 40.0]),
    ),
    min_size=1, max_size=8,
).filter(lambda rows: sum(r[1] for r in rows) > 0)  # fmt: skip


@settings(max_examples=25)
@given(paths_of, st.sampled_from([1, 2, 3]))
def test_markov_equals_a_slow_one_in_fractions(rows, order):
    exact = slow_markov(rows, order)
    found = effects(told(*rows), order)[0]
    assert found == pytest.approx({name: float(v) for name, v in exact.items()}, abs=1e-10)


@settings(max_examples=25)
@given(paths_of)
def test_shapley_is_the_mean_of_what_a_channel_adds_over_all_orders(rows):
    def within(players: set) -> float:
        return sum(won for path, won, _, _ in rows if set(path.split(" > ")) <= players)

    assert shares(told(*rows), "Shapley") == pytest.approx(slow_shapley(rows, within), abs=1e-10)


@settings(max_examples=25)
@given(paths_of)
def test_shapley_by_rates_is_the_same_of_rates_drawn_towards_that_of_all(rows):
    sets: dict[frozenset, list] = {}
    for path, won, lost, _ in rows:
        own = sets.setdefault(frozenset(path.split(" > ")), [0, 0])
        own[0], own[1] = own[0] + won, own[1] + won + lost
    won, n = (np.array([v[k] for v in sets.values()], dtype=float) for k in (0, 1))
    prior, every = shapley._prior(won, n), won.sum() / n.sum()

    def rate(players: frozenset) -> float:
        if not players:
            return 0.0
        own = sets.get(players, (0, 0))
        return every if np.isinf(prior) else (own[0] + prior * every) / (own[1] + prior)

    def worth(players: set) -> float:
        return sum(count * rate(own & players) for own, (_, count) in sets.items())

    slow = slow_shapley(rows, worth)
    scale = won.sum() / sum(slow.values())
    steps = credit.steps(told(*rows))
    found, _ = shapley.by_rates(steps, np.ones((1, steps.groups)))
    assert found[0] == pytest.approx([slow[name] * scale for name in steps.names], abs=1e-9)


def test_sets_that_differ_by_no_more_than_chance_make_rates_share_as_the_observed_do():
    journeys = told(("A", 10, 90), ("B", 10, 90), ("A > B", 10, 90), ("A > C", 10, 90))
    assert shares(journeys, "Shapley", worth="rates") == pytest.approx(shares(journeys, "Shapley"), rel=1e-12)


def test_a_channel_that_adds_nothing_to_a_rate_gets_less_by_rates():
    journeys = told(("A", 300, 700), ("B", 10, 990), ("A > B", 300, 700))
    assert shares(journeys, "Shapley")["B"] == pytest.approx(160)
    assert shares(journeys, "Shapley", worth="rates")["B"] < 30


# ---- sums, order, loops ------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(paths_of, st.sampled_from(["observed", "rates"]))
def test_credits_sum_to_what_was_won_and_to_its_value(rows, worth):
    journeys = told(*rows)
    found = channels.attribution(journeys, replicates=2, worth=worth)
    sums = found.groupby("method")[["conversions", "value", "share"]].sum()
    value = sum(r[3] for r in rows if r[1])
    assert set(sums.index) == {*METHODS} - {"Time decay"}
    assert sums["conversions"].to_numpy() == pytest.approx(sum(r[1] for r in rows), rel=1e-12)
    assert sums["value"].to_numpy() == pytest.approx(value, rel=1e-12)
    assert sums["share"].to_numpy() == pytest.approx(1, rel=1e-12)


def test_the_order_of_the_rows_changes_nothing_and_each_run_gives_the_same():
    journeys = benchmark.made_up(80, 3)
    rows = journeys.touches.assign(
        journey=journeys.ends["journey"].to_numpy()[journeys.touches["journey"]],
        at=DAY - pd.to_timedelta(journeys.touches["days_before"], unit="D"),
    )
    again = channels.paths(
        rows.sample(frac=1, random_state=1), journeys.ends.sample(frac=1, random_state=2), window=400
    )
    pd.testing.assert_frame_equal(again.ends, journeys.ends)
    pd.testing.assert_frame_equal(channels.attribution(again), channels.attribution(journeys))


def test_touches_of_one_channel_in_a_row_change_nothing_at_order_one():
    once = told(("A > B", 3, 5), ("B > C > A", 2, 6), ("C", 1, 4))
    often = told(("A > A > A > B", 3, 5), ("B > C > C > A", 2, 6), ("C > C", 1, 4))
    assert effects(once)[0] == pytest.approx(effects(often)[0], rel=1e-12)


# ---- undecided and missing ---------------------------------------------------------------------------------------------


def with_open(journeys: channels.Journeys, outcome: str) -> channels.Journeys:
    """The same with half of the lost journeys made undecided."""
    lost = journeys.ends.index[journeys.ends["outcome"] == "lost"][::2]
    ends = journeys.ends.assign(outcome=journeys.ends["outcome"].mask(journeys.ends.index.isin(lost), outcome))
    return replace(journeys, ends=ends)


def test_an_undecided_journey_is_neither_won_nor_lost():
    # Fair lost twice and undecided once: 1 of 5 moves from Fair is a win, 2 of 5 go on
    journeys = told(("Fair > Call", 1, 1), ("Call", 2, 1), ("Fair", 1, 3))
    last = journeys.ends.index[journeys.ends["outcome"] == "lost"][-1]
    some = replace(
        journeys, ends=journeys.ends.assign(outcome=journeys.ends["outcome"].mask(journeys.ends.index == last, "open"))
    )
    # P(win) = 2/3 (1/5 + 2/5 3/5) + 1/3 3/5 = 37/75; without Call 2/15, without Fair 1/5
    assert effects(some)[0] == pytest.approx({"Call": 1 - 10 / 37, "Fair": 1 - 15 / 37}, rel=1e-12)
    for method in ("First touch", "Last touch", "Linear", "Position", "Shapley"):
        assert shares(some, method) == shares(journeys, method)


def test_a_channel_only_undecided_journeys_came_to_holds_nothing_up():
    journeys = told(("A > B", 2, 3), ("C > D > C", 0, 2))
    ends = journeys.ends.assign(outcome=journeys.ends["outcome"].mask(journeys.ends.index >= 5, "open"))
    found = effects(replace(journeys, ends=ends))[0]
    assert found == pytest.approx({"A": 1.0, "B": 1.0, "C": 0.0, "D": 0.0})


def test_markov_is_refused_without_journeys_that_came_to_nothing():
    journeys = told(("A > B", 3, 0), ("B", 2, 0))
    found = channels.attribution(journeys)
    assert "Markov" not in set(found["method"])
    assert (
        channels.refused(journeys)
        .set_index("method")
        .loc["Markov", "why"]
        .startswith("Markov needs journeys that came to nothing")
    )
    with pytest.raises(CannotSay, match="came to nothing"):
        channels.attribution(journeys, methods=["Markov"])
    with pytest.raises(CannotSay, match="came to nothing"):
        channels.attribution(journeys, methods=["Shapley"], worth="rates")


def test_nothing_won_is_said():
    with pytest.raises(TooLittleData, match="Nothing was won"):
        channels.attribution(told(("A", 0, 3)))


@pytest.mark.parametrize(
    ("setting", "words"),
    [({"methods": ["Markow"]}, "Did you mean 'Markov'"), ({"order": 4}, "order is 4"), ({"outer": 0.6}, "outer is 0.6"),
     ({"half_life": 0}, "half_life is 0"), ({"worth": "rate"}, "Did you mean 'rates'")],
)  # fmt: skip
def test_a_setting_that_is_none_is_refused(setting, words):
    with pytest.raises(SettingError, match=words):
        channels.attribution(HAND, **setting)


# ---- the evaluation sets -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(evaluation):
    data = pd.read_csv(evaluation / "attribution" / "channelattribution_pathdata.csv")
    return data.rename(columns={"total_conversions": "won", "total_conversion_value": "value", "total_null": "lost"})


# ChannelAttribution 2.2.5 on its own demo data: first, last and linear touch conversions and values, exactly; Markov by simulation
PACKAGE = {
    "alpha": (6308, 8447, 7574.718594, 19121.272356, 28414.214274, 24524.709569, 5344.30, 5615.72),
    "beta": (2831, 989, 2083.500145, 12235.591744, 3850.020987, 8954.266717, 2524.37, 2436.79),
    "eta": (3164, 4167, 3539.951161, 11909.476213, 16754.203800, 13783.497051, 3333.37, 3380.41),
    "iota": (4606, 3355, 3857.096221, 19597.261277, 13487.974271, 15988.988995, 3890.28, 3809.11),
    "lambda": (902, 1207, 1035.257572, 3735.602165, 5249.949985, 4430.316169, 1279.99, 1198.99),
    "theta": (1606, 653, 1022.801394, 6652.349347, 2799.091988, 4295.743619, 1977.11, 1908.38),
    "mi": (2, 2, 2.222222, 5.273, 5.273, 6.081444, None, None),
}


def test_on_the_demo_data_of_a_package_the_rules_give_its_figures_and_markov_lies_within_its_noise(published):
    journeys = channels.written_out(published)
    assert len(journeys.ends) == 19_785 + 68_602
    found = channels.attribution(journeys, replicates=2, order=1).set_index(["method", "channel"])
    second = shares(journeys, "Markov", order=2)
    for name, (first, last, linear, *values, order_1, order_2) in PACKAGE.items():
        for method, wins, value in zip(
            ("First touch", "Last touch", "Linear"), (first, last, linear), values, strict=True
        ):
            assert found.loc[(method, name), ["conversions", "value"]].to_list() == pytest.approx(
                [wins, value], abs=1e-5
            )
        if order_1:  # its simulation stops at half a per cent
            assert found.loc[("Markov", name), "conversions"] == pytest.approx(order_1, rel=0.005)
            assert second[name] == pytest.approx(order_2, rel=0.01)
    assert found.groupby("method")["value"].sum().to_numpy() == pytest.approx(published["value"].sum(), rel=1e-9)


def test_on_the_demo_data_markov_equals_the_slow_one(published):
    rows = list(published[["path", "won", "lost", "value"]].itertuples(index=False, name=None))
    exact = slow_markov(rows, 1)
    assert effects(channels.written_out(published))[0] == pytest.approx(
        {k: float(v) for k, v in exact.items()}, abs=1e-12
    )


def scrambled(evaluation, shuffled: bool = True) -> channels.Journeys:
    """The set whose times are shuffled; or the same with each customer's first conversion as the last event."""
    data = pd.read_csv(evaluation / "attribution" / "attribution_data_subset.csv")
    data["at"] = pd.to_datetime(data["time"]).dt.tz_localize(None)
    if not shuffled:
        data = data.sort_values(["customer_id", "conversion"], kind="stable")
        data["at"] = data.sort_values(["customer_id", "at"])["at"].to_numpy()
    won = data[data["conversion"] == 1].groupby("customer_id").agg(
        at=("at", "min" if shuffled else "max"), value=("conversion_value", "first")
    )  # fmt: skip
    last = data.groupby("customer_id")["at"].max()
    ends = pd.DataFrame({
        "journey": last.index, "ended_at": won["at"].reindex(last.index).fillna(last).to_numpy(),
        "value": won["value"].reindex(last.index).to_numpy(), "outcome": np.where(last.index.isin(won.index), "won", "lost"),
    })  # fmt: skip
    return channels.paths(
        data.rename(columns={"customer_id": "journey"})[["journey", "at", "channel"]], ends, window=31
    )


def test_scrambled_times_are_found_and_what_needs_the_order_is_refused(evaluation):
    journeys = scrambled(evaluation)
    assert "a win is the last event in 12% of 1,642 journeys, where shuffled times would give 11%" in journeys.unordered
    assert journeys.ends["touches"].sum() == 62_483  # whenever they were
    refused = channels.refused(journeys)
    assert list(refused["method"]) == ["First touch", "Last touch", "Time decay", "Position", "Markov"]
    assert (refused["why"] == journeys.unordered).all()
    found = channels.attribution(journeys)
    assert sorted(found["method"].unique()) == ["Linear", "Shapley"]
    for method in refused["method"]:
        with pytest.raises(CannotSay, match="do not order them"):
            channels.attribution(journeys, methods=[method])
    with pytest.raises(CannotSay, match="do not order them"):
        channels.chain_orders(journeys)


def test_what_is_not_given_is_said_with_the_reason_and_so_is_the_order_of_the_chain():
    told_apart = visits(30, after=2, before=2)
    assert channels.chain_order(told_apart) == 0
    assert channels.note_attribution(told_apart, channels.chain_order(told_apart)) == (
        f"Not given: First touch, Last touch, Time decay, Position and Markov. {told_apart.unordered}"
    )
    order = channels.chain_order(HAND)
    assert order == channels.chain_orders(HAND).set_index("chosen").loc[True, "order"] == 1
    assert channels.note_attribution(HAND, order) == (
        "Markov looks back on the last touch (order 1), which foretells journeys it was not fitted to best. "
        "Not given: Time decay. The paths carry no times."
    )
    assert "the last 2 touches (order 2)" in channels.note_attribution(HAND, 2)


def test_one_touched_journey_is_one():
    journeys = with_open(told(("Fair", 1, 1)), "open")
    counts = channels.touched(journeys).assign(touched=[1, 1, 1])
    assert channels.finding_touched(counts, journeys).endswith("1 touched journey came to nothing, 1 is undecided.")
    assert channels.finding_touched(counts.assign(touched=[1, 2, 0]), journeys).endswith(
        "2 touched journeys came to nothing, 0 are undecided."
    )


def test_the_same_touches_in_their_order_are_not_refused(evaluation):
    journeys = scrambled(evaluation, shuffled=False)
    assert journeys.unordered == "" and channels.refused(journeys).empty


# ---- times -------------------------------------------------------------------------------------------------------------


def visits(journeys: int, after: int, before: int, days: float = 1.0, trusted: bool = False) -> channels.Journeys:
    """Won journeys with so many touches before and after the win."""
    offsets = [*(-days * (k + 1) for k in range(before)), *(days * (k + 1) for k in range(after))]
    rows = [
        (f"J{i:03d}", "AB"[k % 2], DAY + pd.Timedelta(days=d)) for i in range(journeys) for k, d in enumerate(offsets)
    ]
    ends = pd.DataFrame({"journey": [f"J{i:03d}" for i in range(journeys)], "outcome": "won", "ended_at": DAY})
    return channels.paths(pd.DataFrame(rows, columns=["journey", "channel", "at"]), ends, window=90, trusted=trusted)


def test_touches_after_every_win_are_told_and_can_be_trusted_on_request():
    journeys = visits(30, after=2, before=2)
    assert "a win is the last event in 0% of 30 journeys" in journeys.unordered
    assert set(journeys.ends["touches"]) == {4}
    trusted = visits(30, after=2, before=2, trusted=True)
    assert trusted.unordered == "" and set(trusted.ends["touches"]) == {2}
    assert trusted.left_out.to_numpy().tolist() == [["after the end", 60]]
    assert visits(19, after=2, before=2).unordered == "", "on fewer than 20 nothing is said"
    assert visits(30, after=0, before=3).unordered == ""


def test_times_that_many_touches_share_do_not_order_them():
    journeys = visits(30, after=0, before=3, days=0.0)
    assert "30 of 30 neighbours of different channels bear the same time" in journeys.unordered
    assert channels.attribution(journeys)["method"].unique().tolist() == ["Linear", "Shapley"]


def test_paths_without_times_have_no_time_decay():
    refused = channels.refused(HAND)
    assert refused.to_numpy().tolist() == [["Time decay", "The paths carry no times."]]


def test_a_journey_that_ends_twice_or_in_no_known_way_is_refused():
    touches = pd.DataFrame({"journey": ["a"], "channel": ["A"], "at": [DAY]})
    with pytest.raises(DataError, match="'a' has more than one end"):
        channels.paths(touches, pd.DataFrame({"journey": ["a", "a"], "outcome": "won", "ended_at": DAY}), window=9)
    with pytest.raises(DataError, match="not as 'Won'"):
        channels.paths(touches, pd.DataFrame({"journey": ["a"], "outcome": "Won", "ended_at": DAY}), window=9)
    with pytest.raises(DataError, match="row 0"):
        told(("A > ", 1, 1))
    with pytest.raises(SettingError, match="window is 0"):
        channels.paths(touches, pd.DataFrame({"journey": ["a"], "outcome": ["won"], "ended_at": [DAY]}), window=0)


# ---- journeys from the tables ------------------------------------------------------------------------------------------


def on(n: int | None) -> pd.Timestamp:
    return pd.NaT if n is None else pd.Timestamp("2025-01-01") + pd.Timedelta(days=n)


def company(touches: list[tuple], as_of: int = 300) -> Crm:
    """Touches as (day, channel, lead, account, deal); deals O1 to O5, leads L1 (became O1) to L3."""
    deals = pd.DataFrame(
        [("O1", "A1", "won", 100, 200, 50.0), ("O2", "A2", "lost", 100, 210, 60.0), ("O3", "A3", "open", 250, None, 70.0),
         ("O4", "A1", "won", 201, 260, None), ("O5", "A9", "won", 100, 220, 90.0)],
        columns=["opportunity_id", "account_id", "outcome", "created_date", "closed_date", "amount"],
    )  # fmt: skip
    deals[["created_date", "closed_date"]] = deals[["created_date", "closed_date"]].map(
        lambda n: on(None if pd.isna(n) else int(n))
    )
    frame = pd.DataFrame(touches, columns=["at", "channel", "lead_id", "account_id", "opportunity_id"])
    frame = frame.assign(at=frame["at"].map(on), touch_id=[f"T{i}" for i in range(len(frame))])
    leads = pd.DataFrame({"lead_id": ["L1", "L2", "L3"], "opportunity_id": ["O1", None, None], "created_at": on(0)})
    text = ["lead_id", "account_id", "opportunity_id", "channel"]
    return Crm(
        {"opportunities": deals, "leads": leads.astype({"opportunity_id": "str"}), "touches": frame.astype(dict.fromkeys(text, "str"))},
        on(as_of),
    )  # fmt: skip


TOUCHES = [
    (0, "Web", "L3", None, None),  # the first on record; nothing came of it
    (100, "Fair", None, None, "O1"),  # more than 90 days before the win
    (150, "Web", "L1", None, None),  # of the lead that became O1
    (190, "Call", None, "A1", None),  # of the account: O1 is the next to close
    (200, "Fair", None, None, "O1"),  # on the day of the win
    (203, "Web", None, None, "O1"),  # after it
    (205, "Web", None, "A1", None),  # of the account: O4 is the next to close
    (121, "Call", None, None, "O2"),  # the first of the 90 days of which that of the loss is the last
    (120, "Web", None, None, "O2"),
    (209, "Call", None, None, "O2"),
    (280, "Fair", None, "A3", None),  # of the account with the open deal
    (150, "Call", "L2", None, None),
    (170, "Fair", "L2", None, None),  # a pause of more than 90 days follows
    (270, "Call", "L2", None, None),  # less than 90 days ago
    (180, "Web", None, None, "O77"),  # of a deal that is not on record
    (180, "Web", None, None, None),
]  # fmt: skip


def test_journeys_of_the_tables_are_the_ones_counted_by_hand():
    journeys = channels.journeys(company(TOUCHES), since=on(180), until=on(301), window=90)
    rows = journeys.touches.assign(name=journeys.ends["journey"].to_numpy()[journeys.touches["journey"]])
    paths = rows.groupby("name", sort=False)["channel"].agg(" > ".join).to_dict()
    assert {k: v for k, v in paths.items() if k.startswith("O")} == {
        "O1": "Web > Call > Fair", "O2": "Call > Call", "O3": "Fair", "O4": "Web",
    }  # fmt: skip
    assert sorted(v for k, v in paths.items() if k.startswith("lead L2")) == ["Call", "Call > Fair"]
    assert not any("L3" in k for k in paths), "its window begins before the record"
    ends = journeys.ends.set_index("journey")
    assert ends["outcome"].to_dict() == {
        "O1": "won", "O2": "lost", "O3": "open", "O4": "won", "O5": "won", **{k: "open" if v == "Call" else "lost" for k, v in paths.items() if "L2" in k}
    }  # fmt: skip
    assert ends.loc[["O1", "O4", "O5"], "touches"].to_list() == [3, 1, 0]
    left_out = journeys.left_out.set_index("why")["touches"].to_dict()
    assert left_out["after the end"] == 1 and left_out["more than 90 days before the end"] == 2
    assert left_out["of nobody on record"] == 2
    counts = channels.touched(journeys).set_index("outcome")
    assert counts["journeys"].to_dict() == {"won": 3, "lost": 2, "open": 2}
    assert counts.loc["won", "touched_share"] == pytest.approx(2 / 3)
    assert counts.loc["won", "touches_each"] == 2


def test_what_comes_after_the_end_of_the_time_is_not_known():
    crm = company(TOUCHES)
    early = channels.journeys(crm, since=on(180), until=on(206), window=90)
    # by then O1 was won, O2, O4 and O5 were open, nobody knew that O4 would be won
    assert early.ends.set_index("journey").loc[["O1", "O2", "O4"], "outcome"].to_list() == ["won", "open", "open"]
    later = [*TOUCHES, (206, "Fair", None, None, "O2"), (299, "Fair", None, "A1", None)]
    again = channels.journeys(company(later), since=on(180), until=on(206), window=90)
    pd.testing.assert_frame_equal(again.touches, early.touches)
    pd.testing.assert_frame_equal(again.ends, early.ends)


def test_a_journey_has_ended_only_in_its_time():
    crm = company(TOUCHES)
    ends = channels.journeys(crm, since=on(201), until=on(301), window=90).ends.set_index("journey")
    assert "O1" not in ends.index and ends.loc["O2", "outcome"] == "lost"
    with pytest.raises(TooLittleData, match="No journey ended"):
        channels.journeys(company([(0, "Web", None, None, "O5")]), since=on(50), until=on(60), window=5)


def test_without_touches_the_table_to_add_is_named():
    crm = company(TOUCHES)
    tables = {name: frame for name, frame in crm.tables.items() if name != "touches"}
    with pytest.raises(MissingTable, match="marketing touches"):
        channels.journeys(Crm(tables, crm.as_of), since=on(0), until=on(301))
    with pytest.raises(TooLittleData, match="No touch is on record"):
        channels.journeys(company(TOUCHES), since=on(-50), until=on(0))


def test_winners_have_no_longer_paths_because_they_live_longer():
    rng = np.random.default_rng(1)
    n = 1500
    lives = np.where(np.arange(n) % 2, 200, 40)  # winners live five times as long; all are touched every 12 days or so
    closed = 400 + rng.integers(0, 300, n)
    rows = [
        (f"O{i:04d}", "AB"[k % 2], on(int(closed[i])) - pd.Timedelta(days=12 * k + rng.random()))
        for i in range(n)
        for k in range(lives[i] // 12)
    ]
    ends = pd.DataFrame({
        "journey": [f"O{i:04d}" for i in range(n)], "outcome": np.where(np.arange(n) % 2, "won", "lost"), "ended_at": [on(int(c)) for c in closed]
    })  # fmt: skip
    touches = pd.DataFrame(rows, columns=["journey", "channel", "at"])
    each = {
        w: channels.touched(channels.paths(touches, ends, window=w)).set_index("outcome")["touches_each"]
        for w in (30, 365)
    }
    assert each[30]["won"] == pytest.approx(each[30]["lost"], rel=0.02)
    assert each[365]["won"] > 4 * each[365]["lost"]


def test_on_the_sample_an_independent_count_gives_the_same(sample):
    since, until, window = pd.Timestamp("2024-07-01"), pd.Timestamp("2025-07-01"), pd.Timedelta(days=90)
    lead_of = sample.leads.dropna(subset="opportunity_id").set_index("lead_id")["opportunity_id"].to_dict()
    deals = {d.opportunity_id: d for d in sample.opportunities.itertuples()}
    by_account: dict[str, list] = {}
    for deal in deals.values():
        if deal.outcome != "open":
            by_account.setdefault(deal.account_id, []).append(deal)
    own: dict[str, list] = {}
    for touch in sample.touches.itertuples():
        deal = touch.opportunity_id if isinstance(touch.opportunity_id, str) else lead_of.get(touch.lead_id)
        if deal is None and isinstance(touch.account_id, str):
            later = [
                d
                for d in by_account.get(touch.account_id, [])
                if touch.at < d.closed_date + ONE_DAY <= touch.at + window + ONE_DAY
            ]
            later = [d for d in later if d.closed_date + ONE_DAY - pd.Timedelta(microseconds=1) - touch.at <= window]
            deal = min(later, key=lambda d: (d.closed_date, d.opportunity_id)).opportunity_id if later else None
        if deal in deals:
            own.setdefault(deal, []).append(touch)
    first, last, linear = {}, {}, {}
    for name, touches in own.items():
        deal = deals[name]
        if deal.outcome != "won" or not since <= deal.closed_date < until:
            continue
        end = deal.closed_date + ONE_DAY - pd.Timedelta(microseconds=1)
        path = sorted((t.at, t.channel) for t in touches if t.at <= end and end - t.at <= window)
        for k, (_, channel) in enumerate(path):
            first[channel] = first.get(channel, 0) + (k == 0)
            last[channel] = last.get(channel, 0) + (k == len(path) - 1)
            linear[channel] = linear.get(channel, 0) + 1 / len(path)
    journeys = channels.journeys(sample, since=since, until=until)
    assert journeys.unordered == ""
    for method, expected in (("First touch", first), ("Last touch", last), ("Linear", linear)):
        assert shares(journeys, method) == pytest.approx(expected, rel=1e-12)


# ---- order of the chain, intervals -------------------------------------------------------------------------------------


def chained(n: int, seed: int, memory: int) -> channels.Journeys:
    """Journeys of a chain that remembers one touch or two."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        path = [int(rng.integers(3))]
        while rng.random() < 0.75 and len(path) < 12:
            before = path[-min(memory, len(path))]
            path.append(before if rng.random() < 0.6 else int(rng.integers(3)))
        rows.append(
            (" > ".join("ABC"[p] for p in path), *((1, 0) if rng.random() < 0.2 + 0.2 * (path[-1] == 0) else (0, 1)))
        )
    return told(*rows)


@pytest.mark.parametrize("memory", [1, 2])
def test_the_chain_looks_as_far_back_as_the_touches_do(memory):
    found = channels.chain_orders(chained(1500, memory, memory))
    assert found.loc[found["chosen"], "order"].to_list() == [memory]
    assert found["states"].to_list() == [3, 12, 39]


def test_with_few_accounts_order_one_is_taken():
    found = channels.chain_orders(told(("A > B", 1, 1), ("B", 1, 1)))
    assert found["fit"].isna().all() and found.loc[found["chosen"], "order"].to_list() == [1]


def test_intervals_by_the_slope_equal_those_by_solving_up_to_squares(monkeypatch):
    steps = credit.steps(benchmark.made_up(600, 1))
    drawn = np.random.default_rng(0).multinomial(steps.groups, np.full(steps.groups, 1 / steps.groups), 100) - 1.0
    off = {}
    for size in (1.0, 0.1):
        weight = 1 + size * np.vstack([np.zeros(steps.groups), drawn])
        monkeypatch.setattr(markov, "SOLVED", 400)
        solved, value = markov.removal(steps, weight, order=2)
        monkeypatch.setattr(markov, "SOLVED", 1)
        slope, same = markov.removal(steps, weight, order=2)
        assert slope[0] == pytest.approx(solved[0], rel=1e-12) and same == pytest.approx(value, rel=1e-12)
        assert slope.std(axis=0) == pytest.approx(solved.std(axis=0), rel=0.05)
        off[size] = np.abs(slope - solved).max()
    assert off[0.1] < off[1.0] / 50  # a tenth of the way, a hundredth of the error


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    found = benchmark.coverage(16, large=60_000).set_index("method")  # 80 intervals each, of shares that sum to one
    assert found["by_account"].mean() == pytest.approx(0.90, abs=0.06)
    assert found["by_account"].min() > 0.78


def test_journeys_of_one_account_are_resampled_together():
    once = benchmark.made_up(300, 5)
    many = pd.concat([once.ends.assign(journey=once.ends["journey"] + 10_000 * k) for k in range(4)], ignore_index=True)
    touches = pd.concat(
        [once.touches.assign(journey=once.touches["journey"] + len(once.ends) * k) for k in range(4)], ignore_index=True
    )
    fourfold = replace(once, ends=many, touches=touches)
    alone = replace(fourfold, ends=many.assign(account_id=many["journey"].astype("str")))

    def width(journeys: channels.Journeys) -> float:
        found = channels.attribution(journeys, methods=["Linear"])
        return (found["upper"] - found["lower"]).mean()

    assert width(fourfold) == pytest.approx(width(once), rel=0.05)
    assert width(alone) < 0.65 * width(once)


def test_more_than_twelve_channels_by_rates_share_the_smallest_ones_credit():
    rng = np.random.default_rng(2)
    names = [f"C{k:02d}" for k in range(15)]
    rows = [
        (" > ".join(rng.choice(names[: 15 - i % 4], size=1 + i % 3)), int(rng.integers(0, 3)), 3) for i in range(200)
    ]
    found = shares(told(*rows), "Shapley", worth="rates")
    assert len(found) == 15 and sum(found.values()) == pytest.approx(sum(r[1] for r in rows), rel=1e-12)
    assert shares(told(*rows), "Markov", order=1).keys() == found.keys()


# ---- words and charts --------------------------------------------------------------------------------------------------


def frame(**by_method: list[tuple]) -> pd.DataFrame:
    rows = [
        (channel, method.replace("_", " "), 100 * share, 0.0, share, low, high)
        for method, own in by_method.items() for channel, share, low, high in own
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["channel", "method", "conversions", "value", "share", "lower", "upper"])


def test_the_finding_is_true_of_the_frame_and_calls_it_credit():
    clear = frame(
        Linear=[("A", 0.7, 0.6, 0.8), ("B", 0.3, 0.2, 0.4)], Markov=[("A", 0.6, 0.55, 0.65), ("B", 0.4, 0.35, 0.45)]
    )
    assert channels.finding_attribution(clear) == (
        "Credit, not cause: **A** gets most by both methods, 60% to 70% of 100 wins, more than luck explains."
    )
    close = frame(Linear=[("A", 0.52, 0.4, 0.6), ("B", 0.48, 0.4, 0.6)])
    assert channels.finding_attribution(close).endswith("but cannot be told apart from the next.")
    half = pd.concat([clear[clear["method"] == "Linear"], close.assign(method="Markov")])
    assert channels.finding_attribution(half).endswith("52% to 70% of 100 wins, beyond luck by 1.")
    split = frame(
        Linear=[("A", 0.6, 0.5, 0.7), ("B", 0.4, 0.3, 0.5)], Markov=[("A", 0.4, 0.3, 0.5), ("B", 0.6, 0.5, 0.7)]
    )
    assert channels.finding_attribution(split) == (
        "Credit, not cause: methods disagree who comes first, **A** by 1 of 2 (40% to 60% of 100 wins) or **B**; luck may explain it."
    )
    few = split.assign(conversions=split["share"] * 19)
    assert channels.finding_attribution(few).startswith("Too few: credit for 19 wins")
    one = frame(Linear=[("A", 1.0, 1.0, 1.0)])
    assert "no credit to share" in channels.finding_attribution(one)


def test_the_finding_on_agreement_names_the_channel_that_differs():
    found = frame(
        Linear=[("A", 0.7, 0.65, 0.75), ("B", 0.2, 0.15, 0.25), ("C", 0.1, 0.05, 0.15)],
        Last_touch=[("A", 0.5, 0.45, 0.55), ("B", 0.35, 0.3, 0.4), ("C", 0.15, 0.1, 0.2)],
    )
    table = channels.agreement(found)
    assert table.loc[0, ["lowest_by", "highest_by", "verdict"]].to_list() == ["Last touch", "Linear", "differ"]
    assert channels.finding_agreement(table) == (
        "The methods differ beyond luck on 2 of 3 channels: **A** gets 50% by last touch and 70% by linear."
    )
    wide = found.assign(lower=0.2, upper=0.8)
    assert channels.finding_agreement(channels.agreement(wide)).startswith(
        "The methods cannot be told apart on any channel"
    )


def test_findings_are_short_and_names_cannot_do_harm(sample):
    journeys = channels.journeys(sample, since=pd.Timestamp("2024-07-01"), until=pd.Timestamp("2025-07-01"))
    hostile = replace(
        journeys, touches=journeys.touches.assign(channel=journeys.touches["channel"].replace("Website", "<b>*x*"))
    )
    found = channels.attribution(hostile)
    assert "<b>" not in channels.finding_attribution(found) and "&lt;b&gt;\\*x\\*" in channels.finding_attribution(
        found
    )
    sentences = [
        channels.finding_attribution(found), channels.finding_agreement(channels.agreement(found)),
        channels.finding_touched(channels.touched(journeys), journeys),
    ]  # fmt: skip
    assert all(len(s.split()) <= 25 for s in sentences), sentences


def test_the_charts_show_what_the_frames_hold(sample):
    journeys = channels.journeys(sample, since=pd.Timestamp("2024-07-01"), until=pd.Timestamp("2025-07-01"))
    found = channels.attribution(journeys)
    spec = style.spec(channels.chart_attribution(found))
    assert spec["title"]["text"] == "Credit for what was won, by Markov" and "credit, not cause" in str(
        spec["title"]["subtitle"]
    )
    wide = channels.side_by_side(found)
    assert list(wide) == [
        "channel",
        "first_touch",
        "last_touch",
        "linear",
        "time_decay",
        "position_based",
        "markov",
        "shapley",
    ]
    assert wide.drop(columns="channel").sum().to_numpy() == pytest.approx(1)
    assert style.spec(channels.chart_agreement(found, "Partner"))["title"]["text"] == "Credit of Partner by method"
    assert "differ most" in str(style.spec(channels.chart_agreement(found))["title"]["subtitle"])
    with pytest.raises(SettingError, match="Did you mean 'Partner'"):
        channels.chart_agreement(found, "Partners")
