"""What the period will bring: the number, its range, what it is made of, and the chance of reaching the target."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast import goals
from salesforecast.errors import MissingTable, TooLittleData, unknown
from salesforecast.periods import Period
from salesforecast.pipeline import combination, models
from salesforecast.pipeline.backtesting import EVERY, Backtest, Now
from salesforecast.tables import NOT_FILLED, Crm

LIKELY = 0.8  # the chance of reaching a target that the pipeline needed is for
MOST = 1000.0  # times the open deals: more are no help
FROM = {  # the table that a label of the deals comes from
    **dict.fromkeys(("rep", "team", "manager", "region", "role"), "reps"),
    **dict.fromkeys(("product", "family"), "products"),
    **dict.fromkeys(("rep_id", "product_id", "channel", "partner_id", "segment"), "opportunities"),
}
PARTS = ("Won so far", "Open pipeline", "Deals to come")


def parts(past: Backtest, combined: pd.DataFrame, target: float = float("nan")) -> pd.DataFrame:
    """What the forecast of the period is made of, and its range.

    Parameters
    ----------
    past : Backtest
        With a period to come.
    combined : DataFrame
        From `combination.combine`; its last row is today's forecast.
    target : float
        Money; missing when there is none.

    Returns
    -------
    DataFrame
        part (Won so far, Open pipeline, Deals to come, Forecast, and with a target Target and Gap), n (deals: won, open,
        wins expected of deals not yet entered), amount (money), lower, upper (the range), level (of it), chance (of reaching the
        target; in the row Target), alone (what the pipeline model says without the other methods, money). The ranges of parts do
        not add up to that of the whole. What the members other than the pipeline model add or take is shared out over the last
        two parts.
    """
    now, row = current(past), combined.iloc[-1]
    outlook, total = now.outlook, combination.paths(past, combined)[-1]
    split = futures(past, combined, np.zeros(len(outlook.deals), int), np.ones(len(outlook.kinds), int), 2)[:, :, 0]
    counts, alone = [len(outlook.deals), outlook.coming.sum()], [outlook.open.sum(), outlook.new.sum()]
    rows = [
        dict.fromkeys(("amount", "lower", "upper", "alone"), row["booked"])
        | {"part": PARTS[0], "n": len(won_so_far(now))}
    ]
    for name, k, own, draws in zip(PARTS[1:], counts, alone, split, strict=True):
        rows.append({"part": name, "n": k, "amount": draws.mean(), "alone": own, **_range(draws, row["level"])})
    rest = row["mean"] - row["booked"]
    drawn = sum(r["amount"] for r in rows[1:])
    for r in rows[1:]:  # their means to the forecast's, which the draws meet but for chance
        r["amount"] *= rest / drawn if drawn > 0 else 1.0
    whole = {c: row[c] for c in ("lower", "upper")} | {"amount": row["mean"], "alone": row["booked"] + sum(alone)}
    rows.append({"part": "Forecast", "n": np.nan, **whole})
    if pd.notna(target):
        chance = float((total >= target).mean())
        rows.append({"part": "Target", "amount": target, "chance": chance})
        rows.append({"part": "Gap", "amount": target - row["mean"], **_range(target - total, row["level"])})
    return pd.DataFrame(rows, columns=["part", "n", "amount", "lower", "upper", "chance", "alone"]).assign(
        level=row["level"]
    )


def by_group(past: Backtest, combined: pd.DataFrame, crm: Crm, by: str, everything: Crm | None = None) -> pd.DataFrame:
    """The forecast of each team, region, rep, product or other label, from the same draws as the company's.

    Means and draws of the groups add up to the company's. Deals to come belong to the groups whose deals came in the last year;
    those of sellers who have left, to the others of their teams in turn.

    Parameters
    ----------
    past, combined
        As in `parts`.
    crm : Crm
        Of today.
    by : str
        A column of `crm.deals`: team, region, rep, product, family, segment, channel, …
    everything : Crm, optional
        Of which `crm` is a part: it has the targets of teams or regions that are whole in the part; of the others the part's own
        rows count, those of its reps.

    Returns
    -------
    DataFrame
        The column; n (open deals), booked, forecast, lower, upper (money), level (of this range), target (where there is one),
        chance (of reaching it); largest forecast first.
    """
    now, row = current(past), combined.iloc[-1]
    won, wanted = won_so_far(now), goals.targets(crm, now.period, by)
    if everything is not None:
        here, there = (
            c.deals[by].value_counts() if by in c.deals else pd.Series(dtype=float) for c in (crm, everything)
        )
        whole = goals.targets(everything, now.period, by)
        whole = whole[whole.index.isin(here.index[here == there.reindex(here.index)])]
        wanted = pd.concat([whole, wanted[~wanted.index.isin(whole.index)]])
    ids = [now.outlook.deals["opportunity_id"], now.outlook.kinds["opportunity_id"], won.index]
    names, codes = _coded(crm, by, ids, wanted.index)
    if by in ("rep", "rep_id"):
        heirs = pd.Index(names).get_indexer(_heirs(crm, now.outlook.kinds["rep_id"], by))
        codes[1] = np.where(heirs >= 0, heirs, codes[1])
    booked = np.bincount(codes[2], weights=won["amount"], minlength=len(names))
    future = booked[:, None] + futures(past, combined, codes[0], codes[1], len(names))[:, :, 0]
    open_worth = now.outlook.deals["worth"].to_numpy() * now.outlook.won[:, 0]
    new_worth = now.outlook.kinds["worth"].to_numpy() * now.outlook.coming[:, 0]
    expected = np.bincount(codes[0], open_worth, len(names)) + np.bincount(codes[1], new_worth, len(names))
    target = wanted.reindex(names).to_numpy("float64")
    out = pd.DataFrame({
        by: names,
        "n": np.bincount(codes[0], minlength=len(names)),
        "booked": booked,
        "forecast": booked + expected * scale(past, combined),
        **_range(future, row["level"]),
        "level": row["level"],
        "target": target,
        "chance": np.where(np.isnan(target), np.nan, (future >= target[:, None]).mean(axis=1)),
    })  # fmt: skip
    out = out if len(wanted) else out.drop(columns=["target", "chance"])
    return out.sort_values(["forecast", by], ascending=[False, True], ignore_index=True)


def coverage(past: Backtest, combined: pd.DataFrame, target: float, *, likely: float = LIKELY) -> pd.DataFrame:
    """How much pipeline the target needs for a chance of reaching it, and how much there is.

    Needed are as many times the open deals that are not silent as bring the chance to `likely`, in the paths of the forecast: deals
    like those there are, each won or not by itself, beside the deals to come and with what all deals of the period share.

    Returns
    -------
    DataFrame
        One row: to_book (money), pipeline (amount of the open deals that are not silent; of those without one what such deals
        bring), coverage (pipeline / to_book),
        conversion (fraction of it expected to be won by the end), needed (coverage for the chance; missing where no multiple of
        these deals is enough), missing_pipeline (the amount of open deals to add for the chance, money, 0 when there is enough),
        likely (the chance).
    """
    now, row = current(past), combined.iloc[-1]
    left = target - row["booked"]
    if not left > 0:
        raise TooLittleData("The target is reached or there is none, so no pipeline is needed for it.")
    quiet = now.outlook.deals["silent"].to_numpy()
    open_amount = float(now.outlook.deals["amount"].fillna(now.outlook.deals["worth"])[~quiet].sum())
    shared = common(past, combined)
    alive, rest = futures(past, combined, quiet.astype(int), np.ones(len(now.outlook.kinds), int), 2)[:, :, 0]
    own, mean = alive / shared, float((alive / shared).mean())

    def chance(times: float) -> float:  # of so many times the deals: mean and variance grow alike
        many = np.maximum(times * mean + np.sqrt(times) * (own - mean), 0.0) * shared
        return float((many + rest >= left).mean())

    low, high = 0.0, 1.0
    while chance(high) < likely and high < MOST and mean > 0:
        low, high = high, 2 * high
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(middle) < likely else (low, middle)
    needed = high * open_amount if chance(high) >= likely else np.nan
    return pd.DataFrame([{
        "to_book": left, "pipeline": open_amount, "coverage": open_amount / left,
        "conversion": mean / open_amount if open_amount else 0.0, "needed": needed / left,
        "missing_pipeline": np.maximum(needed - open_amount, 0.0), "likely": likely,
    }])  # fmt: skip


def forecastable(span: Period) -> Period | None:
    """The period where its deals can forecast it, as a quarter or a month; none for a year, so that only the past is forecast.

    >>> from salesforecast.periods import period
    >>> forecastable(period("2025Q3")).label, forecastable(period("2025"))
    ('2025Q3', None)
    """
    return span if span.kind in EVERY.values() else None


def current(past: Backtest) -> Now:
    """What stands behind today's forecast."""
    if past.now is None:
        raise TooLittleData(
            "From the open deals a quarter or a month can be forecast, and none was asked for: of a year most deals are not entered "
            "yet. Ask for the quarter or the month that is running."
        )
    return past.now


def won_so_far(now: Now) -> pd.DataFrame:
    """The deals won in the period up to today."""
    won = now.seen.won
    return won[(won["closed_date"] >= now.period.since) & (won["closed_date"] <= now.seen.day)]


def futures(
    past: Backtest,
    combined: pd.DataFrame,
    deals: np.ndarray,
    kinds: np.ndarray,
    many: int,
    outlook: models.Ahead | None = None,
) -> np.ndarray:
    """What is still to come, in the paths of the company's forecast: the draws of groups around the combined mean.

    Parameters
    ----------
    deals, kinds : ndarray of int
        The group of each open deal and of each kind of deal to come.
    many : int
        How many groups there are.
    outlook : Ahead, optional
        Of other spans than the whole rest of the period.

    Returns
    -------
    ndarray (many, draws, spans)
        Money; the groups add up to the company.
    """
    now, row, n = current(past), combined.iloc[-1], past.draws.shape[1]
    drawn = models.draw(now.model, outlook or now.outlook, deals, kinds, many=many, n=n, seed=past.seed)
    return drawn * row["scale"] * common(past, combined)[:, None]


def common(past: Backtest, combined: pd.DataFrame) -> np.ndarray:
    """What all deals of today's period share in each path of the forecast: a factor a draw."""
    return combination.factors(combined["shock"].to_numpy()[-1:], past.draws.shape[1], past.seed)[0]


def _range(draws: np.ndarray, level: float) -> dict[str, np.ndarray]:
    lower, upper = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2], axis=-1)
    return {"lower": lower, "upper": upper}


def weekly_paths(past: Backtest, combined: pd.DataFrame, crm: Crm, by: str = "") -> pd.DataFrame:
    """Today's forecast as sample paths in the forecasting grammar, week by week to the end of the period.

    Sums over series and periods are those of the company: a team's range of the quarter is the quantile of its paths' sums.

    Parameters
    ----------
    past, combined, crm
        As in `by_group`.
    by : str
        A column of `crm.deals`; "" is one series, all.

    Returns
    -------
    DataFrame
        series, model ("pipeline"), origin (the last day known), period (the first day of each week; the last one ends with the
        period), horizon (1 = next), path, value (bookings, money); by series, path and horizon.
    """
    now = current(past)
    last = np.datetime64(now.period.until, "D") - 1
    ends = np.unique(np.r_[np.arange(np.datetime64(now.seen.day, "D") + 7, last, 7), last])
    outlook = models.ahead(now.model, now.seen, ends)
    names, codes = _coded(crm, by, [outlook.deals["opportunity_id"], outlook.kinds["opportunity_id"]])
    drawn = futures(past, combined, codes[0], codes[1], len(names), outlook)
    many, n, h = drawn.shape
    starts = np.r_[np.datetime64(now.seen.day, "D"), ends[:-1]] + 1
    return pd.DataFrame({
        "series": pd.Index(names, dtype="str").repeat(n * h),
        "model": pd.array(["pipeline"], dtype="str").take(np.zeros(many * n * h, dtype=int)),
        "origin": now.seen.day,
        "period": np.tile(starts.astype("datetime64[us]"), many * n),
        "horizon": np.tile(np.arange(1, h + 1), many * n),
        "path": np.tile(np.repeat(np.arange(n), h), many),
        "value": drawn.ravel(),
    })  # fmt: skip


def _coded(
    crm: Crm, by: str, ids: list[pd.Series | pd.Index], more: pd.Index | None = None
) -> tuple[list[str], list[np.ndarray]]:
    """The values of a column of the deals, in order, and the number of each deal's value."""
    if not by:
        return ["all"], [np.zeros(len(i), dtype=int) for i in ids]
    deals = crm.deals
    if by in FROM and by not in deals:
        raise MissingTable(
            f"This needs the {by} of each deal, which is not in the data. Map the column {by} of the {FROM[by]}."
        )
    if by not in deals:
        raise unknown("column", by, deals.columns)
    label = deals.set_index("opportunity_id")[by].astype("object")
    label = label.where(label.notna(), NOT_FILLED).astype("str")
    whose = [label.reindex(i).fillna(NOT_FILLED) for i in ids]
    names = sorted({*(w for column in whose for w in column.unique()), *(more if more is not None else ())})
    return names, [pd.Index(names).get_indexer(w) for w in whose]


def _heirs(crm: Crm, reps: pd.Series, by: str) -> pd.Series:
    """Who of those still there gets the deals to come like each one's: of who has left, the others of the team in turn."""
    none = pd.Series("", reps.index, dtype=object)
    people = crm.tables.get("reps", pd.DataFrame())
    if not {"end_date", "team"} <= set(people):
        return none
    gone = people["end_date"] <= crm.as_of
    team, name = (people.set_index("rep_id")[c] for c in ("team", "rep"))
    here = {t: sorted(ids) for t, ids in people[~gone].groupby("team")["rep_id"]}
    turn = dict.fromkeys(here, 0)
    for at in reps.index[reps.isin(people.loc[gone, "rep_id"])]:
        of = team[reps[at]]
        if others := here.get(of):
            heir = others[turn[of] % len(others)]
            none[at] = name[heir] if by == "rep" else heir
            turn[of] += 1
    return none


def scale(past: Backtest, combined: pd.DataFrame) -> float:
    """What the combination makes of the money that the pipeline model expects of deals: the factor that the parts are shown with."""
    outlook, row = current(past).outlook, combined.iloc[-1]
    expected = float(outlook.open.sum() + outlook.new.sum())
    return float(row["mean"] - row["booked"]) / expected if expected > 0 else 1.0
