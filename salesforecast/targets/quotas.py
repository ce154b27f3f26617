"""What quotas would be: from results, potential and workload, weighted by how well each told the results that came after."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product as combinations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import style
from salesforecast.errors import MissingTable, SettingError, TooLittleData
from salesforecast.formats import Format
from salesforecast.goals import targets
from salesforecast.periods import ONE_DAY, Period
from salesforecast.tables import TABLES, Crm
from salesforecast.targets.outlook import chances
from salesforecast.targets.rounding import apportioned
from salesforecast.targets.sold import between, has
from salesforecast.targets.staffing import there
from salesforecast.text import md

DRIVERS = ("results", "potential", "workload", "equal")
STEP = 0.1
PAST = 8  # periods looked back
LEAST = 3  # past periods, and reps in each
SEEN = 0.5  # of the year before: who was there for less has no past that a quota is held against
A_YEAR = pd.DateOffset(years=1)


def potential(deals: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    """What the deals that came to each rep in the year before are worth at the company's rates: chances given, not used.

    Each deal entered in the year counts the mean won money of closed deals of its segment and product family, whoever had them; so
    what the rep made of them plays no part. Workload is how many they were. Where territories have a potential of
    their own (market size, accounts), give that instead.

    Parameters
    ----------
    deals : DataFrame
        rep, created_date, closed_date, outcome, amount; segment and family where they are.
    until : Timestamp
        The first day not known.

    Returns
    -------
    DataFrame
        rep, potential (money), workload (deals); by name.
    """
    if "created_date" not in deals:
        raise MissingTable(
            "This needs the day each deal was entered. Map the column created_date of the opportunities."
        )
    known = deals[(deals["created_date"] < until) & deals["rep"].notna()]
    labels = [c for c in ("segment", "family") if c in known and known[c].notna().any()]
    kind = known[labels].astype("object").fillna("").agg(" · ".join, axis=1) if labels else pd.Series("", known.index)
    closed = known[
        (known["outcome"] != "open") & (known["closed_date"] < until) & (known["closed_date"] >= until - 2 * A_YEAR)
    ]
    worth = closed["amount"].where(closed["outcome"] == "won", 0.0).fillna(0.0)
    mean = worth.groupby(kind[closed.index]).mean()
    year = known[known["created_date"] >= until - A_YEAR]
    value = kind[year.index].map(mean).fillna(float(worth.mean()) if len(worth) else 0.0)
    out = pd.DataFrame({"potential": value.groupby(year["rep"]).sum(), "workload": year.groupby("rep").size()})
    return out.rename_axis("rep").reset_index()


def record(
    sales: pd.DataFrame,
    deals: pd.DataFrame,
    people: pd.DataFrame | None,
    span: Period,
    as_of: pd.Timestamp,
    *,
    wanted: Mapping[str, pd.Series] | None = None,
    given: pd.DataFrame | None = None,
    ramp: pd.DataFrame | None = None,
    past: int = PAST,
) -> pd.DataFrame:
    """For past periods and the coming one, what was known of each rep before it began, and what they then booked.

    Parameters
    ----------
    sales : DataFrame
        day, amount, rep.
    deals : DataFrame
        As `potential` reads them.
    people : DataFrame
        rep, start_date, end_date.
    span : Period
        The coming one; its booked is missing.
    as_of : Timestamp
        The last day known.
    wanted : mapping of label to Series, optional
        The targets of each period by rep, from `wanted_before`.
    given : DataFrame, optional
        rep, potential: the territories' own, in place of that of deals.
    ramp : DataFrame, optional
    past : int
        How many periods are looked back.

    Returns
    -------
    DataFrame
        period, rep, full (mean of the period's days, the ramp in it), seen (the share of the year before that the rep was there in full
        work), results (money booked in the year before, times the days of the period over 365), potential, workload (both of the
        year), equal, target, booked; the coming period last. Who is not there on any day of a period is left out.

        What of the year a rep was not there counts as the mean of all, money over work: few days of work say little.
    """
    has(sales, "rep")
    if people is None:
        raise MissingTable(f"Quotas need the table 'reps', which is not in the data. Add {TABLES['reps'].export}.")
    frames, until = [], as_of + ONE_DAY
    first = sales["day"].min()
    for i in range(past, -1, -1):
        at = span.previous(i) if i else span
        if at.since - pd.Timedelta(days=180) < first:
            continue
        if i and at.until > until:
            continue
        begun = min(at.since, until)
        during = there(people, pd.date_range(at.since, at.until - ONE_DAY), ramp).mean(axis=1)
        before = there(people, pd.date_range(max(begun - A_YEAR, first), begun - ONE_DAY), ramp).mean(axis=1)
        frame = people[["rep"]].assign(period=at.label, full=during, seen=before)
        year = between(sales, begun - A_YEAR, begun)
        chance = potential(deals, begun).set_index("rep")
        got = {"results": year.groupby("rep")["amount"].sum() * at.days / 365, **chance}
        for name, sums in got.items():
            value = frame["rep"].map(sums).fillna(0.0)
            frame[name] = value + (1 - before) * value.sum() / max(before.sum(), 1e-12)
        if given is not None:
            potential_ = frame["rep"].map(given.groupby("rep")["potential"].sum())
            frame["potential"] = potential_.fillna(potential_.mean())
        frame["equal"] = 1.0
        goal = (wanted or {}).get(at.label)
        frame["target"] = frame["rep"].map(goal).astype("float64") if goal is not None and len(goal) else np.nan
        booked = between(sales, at.since, at.until).groupby("rep")["amount"].sum()
        frame["booked"] = frame["rep"].map(booked).fillna(0.0) if at.until <= until else np.nan
        frames.append(frame[frame["full"] > 0])
    if not frames:
        raise TooLittleData("Quotas need half a year of history before the first period looked at.")
    return pd.concat(frames, ignore_index=True)[["period", "rep", "full", "seen", *DRIVERS, "target", "booked"]]


def wanted_before(crm: Crm, span: Period, *, past: int = PAST) -> dict[str, pd.Series]:
    """The targets by rep of the period and of those before it, by the label of each."""
    labels = [span.previous(i) if i else span for i in range(past, -1, -1)]
    return {at.label: targets(crm, at, "rep") for at in labels}


def weigh(record: pd.DataFrame) -> pd.DataFrame:
    """Which mixture of results, potential, workload and equal parts told best what reps booked afterwards.

    Each driver gives shares of the period (times the days a rep is there, ramped); a mixture is their weighted mean. Its error is
    the sum of absolute differences to the shares that came, halved: the money that would have had to change hands. All mixtures in
    steps of a tenth are tried on past periods, with what was known before each began; the weights are the mean of all mixtures
    within one standard error of the best, for the best alone is chance. `chosen` is then judged once more without hindsight: for
    each period the weights come from the periods before it. Where one driver alone told as much as that, it has all the weight.

    Parameters
    ----------
    record : DataFrame
        From `record`.

    Returns
    -------
    DataFrame
        driver (results, potential, workload, equal, chosen), weight, elsewhere (the error: fraction of the money), n (past
        periods); chosen has no weight.

    Raises
    ------
    TooLittleData
        With fewer than 3 past periods.
    """
    past = record[record["booked"].notna()]
    past = past[past.groupby("period")["booked"].transform("sum") > 0]
    labels = list(dict.fromkeys(past["period"]))
    if len(labels) < LEAST:
        raise TooLittleData(
            f"Weights are chosen by how well they told past periods; {style.plural(len(labels), 'period')} "
            f"{'is' if len(labels) == 1 else 'are'} there, {LEAST} are needed."
        )
    steps = round(1 / STEP)
    grid = np.array([c for c in combinations(range(steps + 1), repeat=len(DRIVERS)) if sum(c) == steps]) * STEP
    errors = []
    for label in labels:
        rows = past[past["period"] == label]
        shares = _shares(rows)
        got = (rows["booked"] / rows["booked"].sum()).to_numpy()
        errors.append(np.abs(grid @ shares.T - got).sum(axis=1) / 2)
    loss = np.array(errors)
    weights = _chosen(grid, loss)
    alone = [int(np.flatnonzero((grid == row).all(axis=1))[0]) for row in np.eye(len(DRIVERS))]
    later = []
    for i in range(2, len(labels)):
        rows = past[past["period"] == labels[i]]
        got = (rows["booked"] / rows["booked"].sum()).to_numpy()
        later.append(np.abs(_shares(rows) @ _chosen(grid, loss[:i]) - got).sum() / 2)
    elsewhere = loss[2:, alone].mean(axis=0)
    if elsewhere.min() <= np.mean(later):
        weights = np.eye(len(DRIVERS))[elsewhere.argmin()]
    out = pd.DataFrame({"driver": DRIVERS, "weight": weights, "elsewhere": elsewhere})
    chosen = pd.DataFrame([{"driver": "chosen", "weight": np.nan, "elsewhere": float(np.mean(later))}])
    return pd.concat([out, chosen], ignore_index=True).assign(n=len(labels) - 2)


def _shares(rows: pd.DataFrame) -> np.ndarray:
    """The shares each driver gives the reps of a period, (reps, drivers)."""
    values = rows[list(DRIVERS)].to_numpy("float64") * rows[["full"]].to_numpy("float64")
    whole = values.sum(axis=0)
    equal = rows["full"].to_numpy("float64") / rows["full"].sum()
    return np.where(whole > 0, values / np.where(whole > 0, whole, 1.0), equal[:, None])


def _chosen(grid: np.ndarray, loss: np.ndarray) -> np.ndarray:
    mean = loss.mean(axis=0)
    best = int(mean.argmin())
    error = (loss - loss[:, [best]]).std(axis=0, ddof=1) / np.sqrt(len(loss)) if len(loss) > 1 else np.zeros(len(mean))
    near = mean <= mean[best] + error + 1e-12
    return np.asarray(grid[near].mean(axis=0))


def quotas(
    record: pd.DataFrame,
    weights: pd.DataFrame,
    *,
    total: float = 0.0,
    forecast: pd.DataFrame | None = None,
    stretch: float = 1.0,
    over: float = 1.0,
    paths: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """A proposal: the total shared by the chosen mixture, ramped for new hires.

    Parameters
    ----------
    record : DataFrame
        From `record`; its coming period.
    weights : DataFrame
        From `weigh`, or your own: driver, weight.
    total : float
        Money to be shared; 0, or a missing one, takes the sum of the forecast times `stretch`.
    forecast : DataFrame, optional
        rep, forecast (money), of any model; the mean of the paths where none is given. It stands beside the proposal and is no driver:
        it is what the proposal is judged by.
    stretch : float
        1.05 asks for 5% more than the forecast.
    over : float
        Over-assignment: 1.05 hands out 5% more than the total.
    paths : DataFrame, optional
        series, path, value of the coming period: the chance of each quota.

    Returns
    -------
    DataFrame
        rep, full (of a seasoned rep), results, potential, workload (shares), forecast, before (booked a period in the year before, had they
        been there all of it; missing for who was there for less than half of it), quota (money, whole units), growth (quota over
        before), target, chance; largest quota first; quotas add up to total × over.

    Raises
    ------
    SettingError
        Without a total and without a forecast.
    """
    now = record[record["period"] == record["period"].iloc[-1]].reset_index(drop=True)
    if forecast is None and paths is not None:
        means = paths.groupby(["series", "path"])["value"].sum().groupby("series").mean()
        forecast = means.rename("forecast").rename_axis("rep").reset_index()
    if not total > 0 and forecast is None:
        raise SettingError("Quotas need a total, or a forecast to take it from.")
    ahead = (
        now["rep"].map(forecast.groupby("rep")["forecast"].sum())
        if forecast is not None
        else pd.Series(np.nan, now.index)
    )
    whole = total if total > 0 else float(ahead.sum()) * stretch
    shares = _shares(now)
    weight = weights.set_index("driver")["weight"].reindex(list(DRIVERS)).fillna(0.0).to_numpy()
    share = shares @ weight / max(weight.sum(), 1e-12)
    units = apportioned(share, np.zeros(len(share), dtype="int64"), np.array([round(whole * over)]))
    out = pd.DataFrame({
        "rep": now["rep"], "full": now["full"], "results": shares[:, 0], "potential": shares[:, 1], "workload": shares[:, 2],
        "forecast": ahead.astype("float64"), "before": now["results"].where(now["seen"] >= SEEN), "quota": units.astype("float64"),
        "target": now["target"],
    })  # fmt: skip
    out["growth"] = out["quota"] / out["before"].where(out["before"] > 0) - 1
    if paths is not None:
        known = chances(out.set_index("rep")["quota"], paths[paths["series"].isin(out["rep"])]).set_index("series")
        out["chance"] = out["rep"].map(known["chance"])
    if forecast is None:
        out = out.drop(columns="forecast")
    if out["target"].isna().all():
        out = out.drop(columns="target")
    return out.sort_values(["quota", "rep"], ascending=[False, True], ignore_index=True)


def finding_weigh(weights: pd.DataFrame) -> str:
    """One sentence: what told best how reps would do, and how well."""
    own = weights[weights["driver"] != "chosen"]
    top = own.sort_values(["weight", "driver"], ascending=[False, True])
    errors = weights.set_index("driver")["elsewhere"]
    words = {
        "results": "results of the year before",
        "potential": "potential",
        "workload": "workload",
        "equal": "equal parts",
    }
    main = [f"{words[r.driver]} {style.percent(r.weight)}" for r in top.head(3).itertuples() if r.weight >= 0.05]
    best = str(errors[list(DRIVERS)].idxmin())
    alone = "" if best == "results" else f", {style.percent(errors[best])} by {words[best]} alone"
    if errors["chosen"] >= errors[best]:
        return (
            f"**No mixture told more than {words[best]} alone**, which quotas go by: {style.percent(errors[best])} of the money fell "
            f"elsewhere by that, {style.percent(errors['chosen'])} by the mixture chosen."
        )
    return (
        f"Told best by **{', '.join(main)}**: {style.percent(errors['chosen'])} of the money fell elsewhere, "
        f"{style.percent(errors['results'])} by last year's results alone{alone}."
    )


def finding_quotas(quotas: pd.DataFrame) -> str:
    """One sentence: what is shared, the range of the quotas, and how many are ramped."""
    high, low = quotas.iloc[0], quotas.iloc[-1]
    new = quotas[quotas["full"] < 1]
    words = f"**{style.money(quotas['quota'].sum())}** over {style.plural(len(quotas), 'rep')}"
    if len(quotas) > 1:
        words += (
            f", from {style.money(low['quota'])} ({md(low['rep'])}) to {style.money(high['quota'])} ({md(high['rep'])})"
        )
    if len(new):
        words += f"; {style.plural(len(new), 'rep')} not there in full {'is' if len(new) == 1 else 'are'} ramped"
    return words + "."


def chart_quotas(quotas: pd.DataFrame) -> alt.LayerChart:
    """The proposed quotas."""
    columns: list[tuple[str, str, Format | None]] = [("before", "Before", style.money)]
    if "target" in quotas:
        columns.append(("target", "Target now", style.money))
    if "chance" in quotas:
        columns.append(("chance", "Chance", style.percent))
    return style.dots(
        quotas.head(30), "quota", "rep", fmt=style.money, columns=columns, title="Proposed quotas",
        subtitle="The total shared by weights chosen on past periods; largest first",
    )  # fmt: skip


def table_quotas(quotas: pd.DataFrame) -> pd.DataFrame:
    """The proposal as the page's table has it."""
    names = {"results": "results_share", "potential": "potential_share", "workload": "workload_share"}
    return quotas.rename(columns=names)
