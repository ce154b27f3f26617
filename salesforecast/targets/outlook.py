"""What a period will bring to each rep, team or product, from history alone: simulated futures, and the chance of each target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from salesforecast import shrinkage
from salesforecast.errors import TooLittleData
from salesforecast.periods import ONE_DAY, Period, period_at
from salesforecast.targets.pattern import A_YEAR, SEASONED, Pattern, log_ratio, pattern
from salesforecast.targets.sold import between, deal_size, has
from salesforecast.targets.staffing import there

DRAWS = 1000
SHARED = 0.02  # variance of what all share, where no past period says: 14% of the level
SHARED_LIKE = 4  # past periods that this is worth
ALL = "All"
LEVEL = 0.8


@dataclass(frozen=True)
class Company:
    """What is believed of the whole before it is split.

    Parameters
    ----------
    expected : float
        Money the whole period was to bring, before it began.
    share : float
        Of it, what was to come by the day.
    booked : float
        What came.
    deal : float
        What one more deal adds of variance, over its mean: the mean of squared amounts over the mean amount.
    shared : float
        Variance of what all deals of a period share, as a factor around 1.
    rest : float
        Variance of what all deals of the days to come share beyond that: a rush at the end that is larger or smaller than usual.
    """

    expected: float
    share: float
    booked: float
    deal: float
    shared: float
    rest: float

    @property
    def shape(self) -> float:
        """Of the gamma distribution of that factor, now that some of the period is known."""
        return 1 / self.shared + self.booked / self.deal

    @property
    def rate(self) -> float:
        """Of the same."""
        return 1 / self.shared + self.expected * self.share / self.deal

    @property
    def factor(self) -> float:
        """What the period brings over what was expected, as believed now.

        Before it begins 1; then the more deals are known, the more it is what was booked over what was due.
        """
        return self.shape / self.rate

    @property
    def projected(self) -> float:
        """Booked, and the rest at that factor."""
        return self.booked + (1 - self.share) * self.expected * self.factor


def company(sales: pd.DataFrame, span: Period, as_of: pd.Timestamp, days: Pattern | None = None) -> Company:
    """The whole period's level: what history expects, mixed with what the period has brought.

    Expected is the money a unit of the days' weight of the year before, times the weights of the period and growth. What
    was booked enters as a credibility estimate: its weight is what the shared luck of periods varies against the luck of single
    deals so far. Early it adds the usual rest to what is booked (Bornhuetter and Ferguson 1972); late it is booked over the
    share due; in between the mixture whose error is smallest (Bühlmann and Straub 1970). The shared variance is that of past quarters'
    errors of this expectation beyond the luck of single deals, four quarters of 0.02 added; of a year that of past years, begun at each
    quarter, four of the larger of 0.02 and the quarters' variance added, since quarters that drift go together. That of the days to
    come is found the same way, from what past periods brought after as much of them was gone.

    Parameters
    ----------
    sales : DataFrame
        day, amount.
    span : Period
    as_of : Timestamp
        The last day known.
    days : Pattern, optional
        Learnt from what was sold before the period and the day.

    Raises
    ------
    TooLittleData
        Without a quarter of history before the period.
    """
    days = days or pattern(sales, min(span.since, as_of + ONE_DAY), fiscal_year_start=span.fiscal_year_start)
    begun = days.until
    year = between(sales, max(days.since, begun - pd.Timedelta(days=A_YEAR)), begun)
    if year.empty:
        raise TooLittleData("Nothing was sold in the year before the period, so nothing can be expected of it.")
    when = pd.date_range(span.since, span.until - ONE_DAY)
    weight = _grown(days, when)
    past = np.asarray(when <= as_of)
    whole = float(weight.sum())
    level = _level(sales, days, begun)
    deal = deal_size(year)
    booked = float(between(sales, span.since, min(as_of + ONE_DAY, span.until))["amount"].sum())
    share = float(weight[past].sum() / whole) if whole > 0 else float(past.mean())
    then: dict[pd.Timestamp, Pattern] = {}
    shared = _believed(*_errors(sales, days, "Q", deal, then))
    if span.kind == "Y":  # no surer than its quarters
        shared = _believed(*_errors(sales, days, "Y", deal, then), usual=max(shared, SHARED))
    gone = float(np.clip((as_of + ONE_DAY - span.since) / (span.until - span.since), 0.0, 0.95))
    kind = "Y" if span.kind == "Y" else "Q"
    rest = _believed(*_errors(sales, days, kind, deal, then, gone, shared)) if gone > 0 else 0.0
    return Company(level * whole, share, booked, deal, shared, rest)


def paths(
    sales: pd.DataFrame,
    span: Period,
    as_of: pd.Timestamp,
    *,
    by: str = "",
    days: Pattern | None = None,
    people: pd.DataFrame | None = None,
    ramp: pd.DataFrame | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Simulated results of the period by rep, team, product or other label: booked so far and the deals of the rest.

    Each node has a number of deals a unit of work (Poisson, its rate gamma: what the node has shown in the year before and in the
    period, drawn to all nodes' by how much they truly differ) and a size of deals, drawn to that of all. Amounts are drawn from
    those of the year before. All share the luck of the period (`company`). Reps count for the days they are there, new ones with the
    ramp's share; who has left brings nothing more. Teams and regions are sums of their reps, in every draw.

    Parameters
    ----------
    sales : DataFrame
        day, amount, rep_id where reps are known, and the column of `by`.
    span, as_of, days
        As in `company`.
    by : str
        A column of sales; "" is the whole.
    people, ramp : DataFrame, optional
        From `staff` and `reps.ramp`.
    draws, seed : int

    Returns
    -------
    DataFrame
        series (the value of `by`, or All), path, value (money, the result of the whole period); by series and path.
    """
    has(sales, *([by] if by else []))
    days = days or pattern(sales, min(span.since, as_of + ONE_DAY), fiscal_year_start=span.fiscal_year_start)
    whole = company(sales, span, as_of, days)
    since = max(days.since, days.until - pd.Timedelta(days=A_YEAR))
    year, now = (
        between(sales, since, days.until),
        between(sales, max(span.since, days.until), min(as_of + ONE_DAY, span.until)),
    )
    staffed = people is not None and "rep_id" in sales and by in ("", "rep", "rep_id", "team", "region")
    nodes = _nodes(year, now, by, people if staffed else None, span, as_of)
    keys = [c for c in nodes if c != "series"]
    before, ahead = pd.date_range(since, days.until - ONE_DAY), pd.date_range(span.since, span.until - ONE_DAY)
    work, weight = _grown(days, before), _grown(days, ahead)
    there_before, there_ahead = np.ones((len(nodes), 1)), np.ones((len(nodes), 1))
    if staffed and people is not None:
        mine = people.drop_duplicates("rep_id").set_index("rep_id").reindex(nodes["rep_id"])
        there_before, there_ahead = there(mine, before, ramp), there(mine, ahead, ramp)
    known = np.asarray(ahead <= as_of)
    exposure = (there_before * work).sum(axis=1)
    done, rest = (there_ahead * weight * known).sum(axis=1), (there_ahead * weight * ~known).sum(axis=1)
    n_year, money_year, square = _sums(year, nodes, keys)
    n_now, money_now, _ = _sums(now, nodes, keys)
    rng = np.random.default_rng(seed)
    shape, rate = _rates(n_year, exposure, n_now, done * whole.factor)
    amounts = year["amount"].to_numpy()
    mean = float(amounts.mean())
    raw, noise = log_ratio(money_year, n_year * mean, square)
    tau2 = shrinkage.spread(raw[n_year > 0], noise[n_year > 0]) ** 2 if (n_year > 0).sum() > 1 else 0.0
    keep = np.where(n_year > 0, tau2 / (tau2 + np.where(np.isfinite(noise), noise, 1.0)), 0.0)
    centre, wide = keep * raw, np.sqrt(np.where(n_year > 0, keep * np.where(np.isfinite(noise), noise, 0.0), tau2))
    size = np.exp(centre - wide**2 / 2 + wide * rng.standard_normal((draws, len(nodes))))
    luck = rng.gamma(whole.shape, 1 / whole.rate, (draws, 1))
    if whole.rest > 0:
        luck = luck * rng.gamma(1 / whole.rest, whole.rest, (draws, 1))
    count = rng.poisson(luck * rng.gamma(shape, 1 / rate, (draws, len(nodes))) * rest)
    flat = count.ravel()
    drawn = rng.choice(amounts, int(flat.sum()))
    cell = np.repeat(np.arange(len(flat)), flat)
    brought = np.bincount(cell, drawn, len(flat)).reshape(count.shape) * size
    expected = (shape / rate * rest * np.exp(centre)).sum() * mean * whole.factor
    scale = (whole.projected - whole.booked) / expected if expected > 0 else 1.0
    total = money_now + brought * scale  # the parts together expect what the whole does
    names = sorted(nodes["series"].unique())
    place = pd.Index(names).get_indexer(nodes["series"])
    out = np.zeros((draws, len(names)))
    np.add.at(out.T, place, total.T)
    return pd.DataFrame({
        "series": pd.Index(names, dtype="str").repeat(draws), "path": np.tile(np.arange(draws), len(names)), "value": out.T.ravel(),
    })  # fmt: skip


def chances(wanted: pd.Series, paths: pd.DataFrame, *, level: float = LEVEL) -> pd.DataFrame:
    """How likely each target is met, in simulated futures of any model.

    Parameters
    ----------
    wanted : Series
        The targets by name (money). A target of zero needs nothing, so it has no chance that says anything.
    paths : DataFrame
        series, path, value: the result of the period, or its parts by week or month, which are added up (`paths`,
        `pipeline.weekly_paths` with what is booked added, `forecasting.simulate`).
    level : float
        Of the range.

    Returns
    -------
    DataFrame
        series, target, projected (mean), lower, upper, chance; a target without paths, and paths without a target, have what is
        known. In the order of the names.
    """
    total = paths.groupby(["series", "path"])["value"].sum().unstack()
    names = sorted({*total.index, *wanted.index})
    total, goal = total.reindex(names), wanted.reindex(names).astype("float64")
    draws = total.to_numpy("float64") if total.size else np.full((len(names), 1), np.nan)
    known = ~np.isnan(draws).any(axis=1)
    met = np.where(known & (goal > 0).to_numpy(), (draws >= goal.to_numpy()[:, None]).mean(axis=1), np.nan)
    lower, upper = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2], axis=1)
    return pd.DataFrame({
        "series": pd.array(names, dtype="str"), "target": goal.to_numpy(), "projected": draws.mean(axis=1), "lower": lower, "upper": upper,
        "chance": met,
    })  # fmt: skip


def _grown(days: Pattern, when: pd.DatetimeIndex) -> np.ndarray:
    years = np.asarray((when - days.until) / pd.Timedelta(days=A_YEAR))
    return np.asarray(days.weights(when) * days.growth**years)


def _level(sales: pd.DataFrame, days: Pattern, until: pd.Timestamp) -> float:
    """Money a unit of weight in the year before a day."""
    since = max(days.since, until - pd.Timedelta(days=A_YEAR))
    weight = _grown(days, pd.date_range(since, until - ONE_DAY)).sum()
    return float(between(sales, since, until)["amount"].sum() / max(weight, 1e-12))


def _errors(
    sales: pd.DataFrame,
    days: Pattern,
    kind: str,
    deal: float,
    then: dict[pd.Timestamp, Pattern],
    gone: float = 0.0,
    shared: float = 0.0,
) -> tuple[np.ndarray, float]:
    """Past spans' squared relative errors of what was still to come, after a part of their days, less what luck explains.

    Before they begin (gone is 0) that is the whole span; later what their own part so far said of them is allowed for. Years are stepped
    over by quarters, so that they overlap: the second figure is what each of them counts. Each is expected by the pattern (`then`, kept by
    its day) that was known before it began, once that had a season: with hindsight the errors would be too small.
    """
    step, many = ("Q", 4) if kind == "Y" else (kind, 1)
    last, found = period_at(days.until - ONE_DAY, step, days.fiscal_year_start), []
    last = last if last.until <= days.until else last.previous()
    while (since := last.previous(many - 1).since) >= days.since + pd.Timedelta(days=SEASONED):
        when = pd.date_range(since, last.until - ONE_DAY)
        if since not in then:
            then[since] = pattern(sales, since, country=days.country, fiscal_year_start=days.fiscal_year_start)
        first = round(gone * len(when))
        weight = _level(sales, then[since], since) * _grown(then[since], when)
        due, rest = float(weight[:first].sum()), float(weight[first:].sum())
        part = between(sales, since, last.until)
        early = (part["day"] - since).dt.days < first
        booked, came = float(part.loc[early, "amount"].sum()), float(part.loc[~early, "amount"].sum())
        shape, rate = (1 / shared + booked / deal, 1 / shared + due / deal) if shared > 0 else (1.0, 1.0)
        if rest > 0:
            said = rest * shape / rate
            found.append((came / said - 1) ** 2 - deal / said - (1 / shape if shared > 0 else 0.0))
        last = last.previous()
    return np.array(found), 1 / many


def _believed(errors: np.ndarray, each: float, usual: float = SHARED) -> float:
    """A variance from squared errors beyond luck, with four periods of the usual one added; at least a quarter of 0.02."""
    seen, n = max(float(errors.sum()) * each, 0.0), len(errors) * each
    return max((seen + SHARED_LIKE * usual) / (n + SHARED_LIKE), SHARED / 4)


def _nodes(
    year: pd.DataFrame,
    now: pd.DataFrame,
    by: str,
    people: pd.DataFrame | None,
    span: Period,
    as_of: pd.Timestamp,
) -> pd.DataFrame:
    """The nodes simulated, and the series each is part of."""
    keys = list(dict.fromkeys(c for c in (by, "rep_id" if people is not None else "") if c))
    lately = pd.concat([year, now])
    nodes = lately[keys].drop_duplicates() if keys else pd.DataFrame(index=[0])
    if people is not None:
        new = people[~people["rep_id"].isin(nodes["rep_id"])]
        new = new[(new["start_date"].fillna(span.since) < span.until) & ~(new["end_date"] < max(span.since, as_of))]
        nodes = pd.concat([nodes, new[[c for c in keys if c in new]].dropna()], ignore_index=True)
    nodes = nodes.sort_values(keys, ignore_index=True) if keys else nodes
    return nodes.assign(series=nodes[by].astype("str") if by else ALL)


def _sums(part: pd.DataFrame, nodes: pd.DataFrame, keys: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many deals each node won, their money, and the sum of their squares."""
    if not keys:
        values = part["amount"].to_numpy()
        return np.array([float(len(values))]), np.array([values.sum()]), np.array([(values**2).sum()])
    sums = part.assign(n=1.0, square=part["amount"] ** 2).groupby(keys)[["n", "amount", "square"]].sum()
    index = pd.MultiIndex.from_frame(nodes[keys]) if len(keys) > 1 else pd.Index(nodes[keys[0]])
    found = sums.reindex(index).fillna(0.0)
    return found["n"].to_numpy(), found["amount"].to_numpy(), found["square"].to_numpy()


def _rates(
    n_year: np.ndarray, exposure: np.ndarray, n_now: np.ndarray, done: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shape and rate of the gamma of each node's deals a unit of work, after the year and the period so far."""
    usual = n_year.sum() / max(exposure.sum(), 1e-12)
    want = usual * exposure
    extra = ((n_year - want) ** 2 - want).sum() / max((want**2).sum(), 1e-12)
    alike = 1 / np.clip(extra, 1e-3, 10.0)
    return alike + n_year + n_now, alike / max(usual, 1e-12) + exposure + done
