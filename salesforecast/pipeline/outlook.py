"""What the period will bring: the number, its range, what it is made of, and the chance of reaching the target."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm

from salesforecast import goals
from salesforecast.errors import MissingTable, TooLittleData, unknown
from salesforecast.pipeline import combination, models
from salesforecast.pipeline.backtesting import Backtest, Now
from salesforecast.tables import NOT_FILLED, Crm

LIKELY = 0.8  # the chance of reaching a target that the pipeline needed is for
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
        wins expected of deals not yet entered), amount (money), lower, upper (the range), chance (of reaching the target; in
        the row Target). The ranges of parts do not add up to that of the whole. What the members other than the pipeline
        model add or take is shared out over the last two parts.
    """
    now, row = current(past), combined.iloc[-1]
    outlook, total = now.outlook, combination.paths(past, combined)[-1]
    split = futures(past, combined, np.zeros(len(outlook.deals), int), np.ones(len(outlook.kinds), int), 2)[:, :, 0]
    counts = [len(won_so_far(now)), len(outlook.deals), outlook.coming.sum()]
    rows = [{"part": PARTS[0], "n": counts[0], "amount": row["booked"], "lower": row["booked"], "upper": row["booked"]}]
    for name, k, draws in zip(PARTS[1:], counts[1:], split, strict=True):
        rows.append({"part": name, "n": k, "amount": draws.mean(), **_range(draws, row["level"])})
    rest = row["mean"] - row["booked"]
    drawn = sum(r["amount"] for r in rows[1:])
    for r in rows[1:]:  # their means to the forecast's, which the draws meet but for chance
        r["amount"] *= rest / drawn if drawn > 0 else 1.0
    rows.append({"part": "Forecast", "n": np.nan, "amount": row["mean"], "lower": row["lower"], "upper": row["upper"]})
    if pd.notna(target):
        chance = float((total >= target).mean())
        rows.append({"part": "Target", "amount": target, "chance": chance})
        rows.append({"part": "Gap", "amount": target - row["mean"], **_range(target - total, row["level"])})
    return pd.DataFrame(rows, columns=["part", "n", "amount", "lower", "upper", "chance"])


def by_group(past: Backtest, combined: pd.DataFrame, crm: Crm, by: str) -> pd.DataFrame:
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

    Returns
    -------
    DataFrame
        The column; n (open deals), booked, forecast, lower, upper (money), target (where there is one), chance (of reaching
        it); largest forecast first.
    """
    now, row = current(past), combined.iloc[-1]
    won, wanted = won_so_far(now), goals.targets(crm, now.period, by)
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
        "target": target,
        "chance": np.where(np.isnan(target), np.nan, (future >= target[:, None]).mean(axis=1)),
    })  # fmt: skip
    out = out if len(wanted) else out.drop(columns=["target", "chance"])
    return out.sort_values(["forecast", by], ascending=[False, True], ignore_index=True)


def coverage(past: Backtest, combined: pd.DataFrame, target: float, *, likely: float = LIKELY) -> pd.DataFrame:
    """How much pipeline the rest of the target needs, and how much there is.

    Needed for a chance q: (rest of the target / (1 - z_q CV) less what deals to come are expected to bring) / conversion,
    where conversion is the share of the open amount expected to be won by the end, and CV the spread of what is still to come
    over its mean. So three times the rest is enough only where a third converts, and then only for an even chance.

    Returns
    -------
    DataFrame
        One row: to_book (money), pipeline (amount of the open deals that are not silent), coverage (pipeline / to_book),
        conversion (fraction), needed (coverage for the chance), missing_pipeline (money, 0 when there is enough), likely (the
        chance).
    """
    now, row = current(past), combined.iloc[-1]
    left = target - row["booked"]
    if not left > 0:
        raise TooLittleData("The target is reached or there is none, so no pipeline is needed for it.")
    alive = now.outlook.deals[~now.outlook.deals["silent"]]
    open_amount = float(alive["worth"].sum())
    made = parts(past, combined).set_index("part")["amount"]
    conversion = made["Open pipeline"] / open_amount if open_amount else 0.0
    rest = combination.paths(past, combined)[-1] - row["booked"]
    cv = float(rest.std() / rest.mean()) if rest.mean() > 0 else 1.0
    room = max(1 - norm.ppf(likely) * cv, 0.05)
    needed = max(left - made["Deals to come"] * room, 0.0) / (conversion * room) if conversion > 0 else np.nan
    return pd.DataFrame([{
        "to_book": left, "pipeline": open_amount, "coverage": open_amount / left, "conversion": conversion,
        "needed": needed / left, "missing_pipeline": max(needed - open_amount, 0.0), "likely": likely,
    }])  # fmt: skip


def current(past: Backtest) -> Now:
    """What stands behind today's forecast."""
    if past.now is None:
        raise TooLittleData("The backtest has no period to come: call backtest(crm, period).")
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
    drawn = models.draw(now.model, outlook or now.outlook, deals, kinds, many=many, n=n, seed=0)
    return drawn * row["scale"] * combination.factors(np.array([row["shock"]]), n)[0][:, None]


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
