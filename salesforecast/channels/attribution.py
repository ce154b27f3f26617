"""Which channels get credit for what was won, by several rules side by side: credit, not cause."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import stats, style
from salesforecast.channels import credit, markov, shapley
from salesforecast.channels.paths import Journeys
from salesforecast.errors import CannotSay, SettingError, TooLittleData, unknown
from salesforecast.text import enumerated, md

METHODS = ("First touch", "Last touch", "Linear", "Time decay", "Position", "Markov", "Shapley")
ORDERED = ("First touch", "Last touch", "Time decay", "Position", "Markov")
VALUES = ("observed", "rates")
FEW = 20  # wins with a touch: fewer say too little
MOST = 30  # rows of a chart


def attribution(
    journeys: Journeys,
    *,
    methods: Sequence[str] = METHODS,
    half_life: float = credit.HALF_LIFE,
    outer: float = credit.OUTER,
    order: int = 0,
    worth: str = "observed",
    level: float = 0.95,
    replicates: int = stats.REPLICATES,
    seed: int = 0,
) -> pd.DataFrame:
    """How much of what was won each channel gets, by each method: a way to share credit, not the cause of a win.

    *First* and *last touch* give the win to one touch, *linear* to all alike, *time decay* more to the later ones (half for each
    half-life further back), *position* 40% each to first and last. *Markov* goes by how many wins would be lost if journeys
    ended at the channel (`markov.removal`), *Shapley* by what a channel adds to each set of others (`credit.parts`, or
    `shapley.by_rates`). Nobody is chosen by chance to be touched, and sellers touch those who will buy: none of them says what
    would happen with more or less of a channel.

    Methods that need the order of touches, times, or journeys that came to nothing are left out where these are missing; `refused`
    says which and why. The intervals come from resampling accounts, and share their luck between the methods.

    Parameters
    ----------
    journeys : Journeys
        From `journeys`, `paths` or `written_out`.
    methods : sequence of str
        Among First touch, Last touch, Linear, Time decay, Position, Markov, Shapley.
    half_life : float
        Of time decay, in days.
    outer : float
        Of position: the part of the first touch, and of the last.
    order : int
        Of the Markov chain, 1 to 3; 0 takes the one that foretells best (`chain_orders`).
    worth : str
        Of a set of channels for Shapley: "observed" is the wins no other channel touched, "rates" follows from how often
        journeys of that set win.
    level : float
        Of the intervals.
    replicates, seed : int
        Of the resampling.

    Returns
    -------
    DataFrame
        One row per method and channel: channel, method, conversions (wins; their sum over channels is all wins with a touch), value
        (of these), share (of conversions), lower, upper (of the share). By method as listed above, the highest mean share first.

    Raises
    ------
    TooLittleData
        When nothing was won with a touch in the window.
    CannotSay
        When none of the methods can be given, with the reasons.
    SettingError
        For a method or a setting that is none.

    Source
    ------
    Anderl, Becker, von Wangenheim & Schumann (2016); Shao & Li (2011); Zhao, Mahboobi & Bagheri (2018); Berman (2018) on why
    credit is not cause.

    Examples
    --------
    >>> from salesforecast.channels import written_out
    >>> table = pd.DataFrame({"path": ["Fair > Call", "Call", "Fair"], "won": [1, 2, 1], "value": [8.0, 6.0, 1.0], "lost": [1, 1, 3]})
    >>> found = attribution(written_out(table), methods=["Last touch", "Markov", "Shapley"], order=1)
    >>> found[["channel", "method", "conversions", "value", "share"]].round(3)
      channel      method  conversions   value  share
    0    Call  Last touch        3.000  14.000  0.750
    1    Fair  Last touch        1.000   1.000  0.250
    2    Call      Markov        2.308  10.194  0.577
    3    Fair      Markov        1.692   4.806  0.423
    4    Call     Shapley        2.500  10.000  0.625
    5    Fair     Shapley        1.500   5.000  0.375
    """
    for name in methods:
        if name not in METHODS:
            raise unknown("method", name, METHODS)
    _check(half_life, outer, order, worth)
    reasons = dict(refused(journeys, methods=methods, worth=worth).itertuples(index=False))
    given = [name for name in METHODS if name in methods and name not in reasons]
    if not given:
        raise CannotSay(" ".join(dict.fromkeys(reasons.values())))
    steps = credit.steps(journeys)
    if not steps.won.any():
        raise TooLittleData(
            f"Nothing was won with a touch in the {journeys.window:g} days before, so there is no credit."
        )
    total, value = steps.won.sum(), (steps.won * steps.value).sum()
    weight = stats.weights(steps.groups, replicates, seed)
    if "Markov" in given and not order:
        order = chain_order(journeys)
    frames = []
    for name in given:
        if name == "Markov":
            wins, worths = markov.removal(steps, weight, order=order)
        elif name == "Shapley" and worth == "rates":
            wins, worths = shapley.by_rates(steps, weight)
        else:
            wins, worths = credit.by_rule(steps, credit.parts(steps, name, half_life=half_life, outer=outer), weight)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = wins / wins.sum(axis=1, keepdims=True)
            of_value = worths / worths.sum()
        lower, upper = stats.quantile_interval(shares[1:], level)
        frames.append(pd.DataFrame({
            "channel": steps.names, "method": name, "conversions": shares[0] * total,
            "value": of_value * value if value > 0 else 0.0, "share": shares[0], "lower": lower, "upper": upper,
        }))  # fmt: skip
    frame = pd.concat(frames, ignore_index=True)
    mean = frame.groupby("channel")["share"].mean().round(12)
    first = mean.to_frame().reset_index().sort_values(["share", "channel"], ascending=[False, True])["channel"]
    places = frame.assign(
        m=frame["method"].map(METHODS.index), c=frame["channel"].map({c: i for i, c in enumerate(first)})
    )
    return places.sort_values(["m", "c"], ignore_index=True).drop(columns=["m", "c"])


def _check(half_life: float, outer: float, order: int, worth: str) -> None:
    if not half_life > 0:
        raise SettingError(f"half_life is {half_life} days; it has to be more than 0.")
    if not 0 <= outer <= 0.5:
        raise SettingError(f"outer is {outer}; the parts of first and last are 0 to 0.5 each.")
    if order not in (0, *markov.ORDERS):
        raise SettingError(f"order is {order}; it is 1, 2 or 3, or 0 for the one that foretells best.")
    if worth not in VALUES:
        raise unknown("worth", worth, VALUES)


def refused(journeys: Journeys, *, methods: Sequence[str] = METHODS, worth: str = "observed") -> pd.DataFrame:
    """The methods that these journeys do not carry: method, why. Empty when they carry all."""
    ends = journeys.ends[journeys.ends["touches"] > 0]
    rows = []
    for name in methods:
        needs_lost = name == "Markov" or (name == "Shapley" and worth == "rates")
        if name in ORDERED and journeys.unordered:
            rows.append((name, journeys.unordered))
        elif name == "Time decay" and journeys.untimed:
            rows.append((name, journeys.untimed))
        elif needs_lost and not (ends["outcome"] == "lost").any():
            rows.append(
                (name, f"{name} needs journeys that came to nothing beside those that were won; there are none.")
            )
    return pd.DataFrame(rows, columns=["method", "why"], dtype="str")


def chain_orders(journeys: Journeys) -> pd.DataFrame:
    """How many touches back a Markov chain should look, by how well it foretells accounts it was not fitted to.

    Returns
    -------
    DataFrame
        order, states, fit (mean log-likelihood of what comes next, held out), chosen; see `markov.orders`.

    Raises
    ------
    CannotSay
        When the order of the touches is not known.
    """
    if journeys.unordered:
        raise CannotSay(journeys.unordered)
    return markov.orders(credit.steps(journeys))


def chain_order(journeys: Journeys) -> int:
    """The order of the Markov chain that foretells best; 0 where these journeys carry none."""
    if "Markov" in set(refused(journeys)["method"]) or not len(journeys.touches):
        return 0
    return int(chain_orders(journeys).set_index("chosen").loc[True, "order"])


def note_attribution(journeys: Journeys, order: int) -> str:
    """How far back the Markov chain looks, and which methods are not given, and why.

    Parameters
    ----------
    journeys : Journeys
    order : int
        From `chain_order`.
    """
    back = "the last touch" if order == 1 else f"the last {order} touches"
    said = (
        [f"Markov looks back on {back} (order {order}), which foretells journeys it was not fitted to best."]
        if order
        else []
    )
    for why, rows in refused(journeys).groupby("why", sort=False):
        names = list(rows["method"])
        said.append(f"Not given: {enumerated(names, len(names))}. {why}")
    return " ".join(said)


def side_by_side(attribution: pd.DataFrame) -> pd.DataFrame:
    """The shares with a column for each method: channel, first_touch, last_touch, linear, time_decay, position_based, markov, shapley.

    Channels in the order of `attribution`; methods that were refused have no column.
    """
    names = {name: name.lower().replace(" ", "_") for name in METHODS} | {"Position": "position_based"}
    wide = attribution.pivot(index="channel", columns="method", values="share")
    wide = wide.loc[attribution["channel"].drop_duplicates(), [n for n in METHODS if n in wide.columns]]
    return wide.rename(columns=names).rename_axis(columns=None).reset_index()


def agreement(attribution: pd.DataFrame) -> pd.DataFrame:
    """Where the methods agree on a channel and where they do not.

    They *differ* when one method's interval ends below where another's begins. Resampling moves all methods together,
    so that intervals that overlap do not prove agreement.

    Returns
    -------
    DataFrame
        One row per channel, in the order of `attribution`: channel, lowest (share), lowest_by (method), highest, highest_by,
        range_share (between), place_first, place_last (1 the most credit), verdict ("differ", "same", or "few" where a method has
        no interval).
    """
    ranks = attribution.groupby("method")["share"].rank(ascending=False, method="min")
    rows = []
    for channel, own in attribution.assign(place=ranks).groupby("channel", sort=False):
        low, high = own.loc[own["share"].idxmin()], own.loc[own["share"].idxmax()]
        unknown_interval = own[["lower", "upper"]].isna().any(axis=None)
        differ = own["lower"].max() > own["upper"].min()
        rows.append((
            channel, low["share"], low["method"], high["share"], high["method"], high["share"] - low["share"],
            int(own["place"].min()), int(own["place"].max()), "few" if unknown_interval else "differ" if differ else "same",
        ))  # fmt: skip
    columns = [
        "channel",
        "lowest",
        "lowest_by",
        "highest",
        "highest_by",
        "range_share",
        "place_first",
        "place_last",
        "verdict",
    ]
    return pd.DataFrame(rows, columns=columns)


def finding_attribution(attribution: pd.DataFrame) -> str:
    """One sentence: which channel gets most credit, by how many methods, and whether that is beyond luck."""
    methods = attribution["method"].nunique()
    wins = attribution.loc[attribution["method"] == attribution["method"].iloc[0], "conversions"].sum()
    of = style.plural(round(wins), "win")
    if wins < FEW:
        return f"Too few: credit for {of} with a touch says nothing of channels; about {FEW} would begin to."
    by = "the one method there is" if methods == 1 else "both methods" if methods == 2 else f"all {methods} methods"
    if attribution["channel"].nunique() == 1:
        return f"Every touch before {of} was through **{md(attribution['channel'].iloc[0])}**, so there is no credit to share."
    votes, sure = _first(attribution)
    top = votes.index[0]
    share = attribution.loc[attribution["channel"] == top, "share"]
    low, high = style.percent(share.min()), style.percent(share.max())
    amount = f"{low} to {high}" if low != high else low
    if len(votes) > 1:
        told = "" if sure else "; luck may explain it"
        return (
            f"Credit, not cause: methods disagree who comes first, **{md(top)}** by {votes.iloc[0]} of {methods} ({amount} of {of}) or "
            f"**{md(votes.index[1])}**{told}."
        )
    if sure == methods:
        return f"Credit, not cause: **{md(top)}** gets most by {by}, {amount} of {of}, more than luck explains."
    told = f"beyond luck by {sure}" if sure else "but cannot be told apart from the next"
    return f"Credit, not cause: **{md(top)}** gets most by {by}, {amount} of {of}, {told}."


def _first(attribution: pd.DataFrame) -> tuple[pd.Series, int]:
    """How many methods put each channel first, and how many of all do so beyond luck."""
    tops, sure = [], 0
    for _, own in attribution.groupby("method", sort=False):
        ranked = own.sort_values(["share", "channel"], ascending=[False, True])
        tops.append(ranked["channel"].iloc[0])
        sure += bool(ranked["lower"].iloc[0] > ranked["upper"].iloc[1:].max())
    return pd.Series(tops).value_counts(sort=False).sort_values(ascending=False, kind="stable"), sure


def finding_agreement(agreement: pd.DataFrame) -> str:
    """One sentence: on which channel the methods differ most, beyond luck, or that they cannot be told apart."""
    if agreement["lowest_by"].eq(agreement["highest_by"]).all() and not agreement["range_share"].any():
        return "The methods give every channel the same credit."
    differ = agreement[agreement["verdict"] == "differ"]
    some = agreement if differ.empty else differ
    most = some.loc[some["range_share"].idxmax()]
    span = (
        f"**{md(most['channel'])}** gets {style.percent(most['lowest'])} by {most['lowest_by'].lower()} and "
        f"{style.percent(most['highest'])} by {most['highest_by'].lower()}"
    )
    span = span.replace("markov", "Markov").replace("shapley", "Shapley")
    if differ.empty:
        return f"The methods cannot be told apart on any channel; furthest apart, {span}."
    return f"The methods differ beyond luck on {len(differ)} of {style.plural(len(agreement), 'channel')}: {span}."


def chart_attribution(attribution: pd.DataFrame) -> alt.LayerChart:
    """The share of wins by Markov, or the last method there is, with its interval; the other methods' as figures."""
    shown = list(attribution["method"].drop_duplicates())
    main = "Markov" if "Markov" in shown else shown[-1]
    data = attribution[attribution["method"] == main].sort_values("share", ascending=False, kind="stable")
    wide = attribution.pivot(index="channel", columns="method", values="share")
    wide = wide[[m for m in ("First touch", "Last touch", "Linear", "Shapley") if m in shown and m != main]]
    data = data.join(wide, on="channel").head(MOST)
    more = f"; the first {MOST}" if attribution["channel"].nunique() > MOST else ""
    return style.dots(
        data, "share", "channel", columns=[(m, m.removesuffix(" touch"), style.percent) for m in wide],
        accent=str(_first(attribution)[0].index[0]),
        title=f"Credit for what was won, by {main}" if main in ("Markov", "Shapley") else f"Credit by {main.lower()}",
        subtitle=f"Share of wins with a touch; 95% intervals; other methods on the right; credit, not cause; highest first{more}",
    )  # fmt: skip


def chart_agreement(attribution: pd.DataFrame, channel: str = "") -> alt.LayerChart:
    """The credit of one channel by every method; the channel on which they lie furthest apart where none is given."""
    if channel and channel not in set(attribution["channel"]):
        raise unknown("channel", channel, attribution["channel"].drop_duplicates())
    among = agreement(attribution)
    name = channel or str(among.loc[among["range_share"].idxmax(), "channel"])
    own = attribution[attribution["channel"] == name]
    return style.dots(
        own, "share", "method", columns=[("conversions", "Wins", style.figure(1))],
        title=f"Credit of {name} by method", subtitle="Share of wins with a touch; 95% intervals; the channel on which methods differ most"
        if not channel else "Share of wins with a touch; 95% intervals",
    )  # fmt: skip
