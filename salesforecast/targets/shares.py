"""Who carries how much of a plan: shares of history, rates of reps, potential."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from salesforecast.errors import DataError, SettingError, TooLittleData
from salesforecast.formats import plural
from salesforecast.periods import ONE_DAY, Period
from salesforecast.targets.pattern import A_YEAR, Pattern, drawn, log_ratio
from salesforecast.targets.sold import between
from salesforecast.targets.staffing import there

HALF_LIFE = 365.0  # days after which a sale counts half for the shares


def leaves_of(
    history: pd.DataFrame, by: Sequence[str], people: pd.DataFrame | None, span: Period, end: pd.Timestamp
) -> pd.DataFrame:
    """The names that carry a target: the combinations sold lately, and new hires with what their team sells."""
    if not by:
        return pd.DataFrame({"new": [False]})
    leaves = history[history["amount"] > 0][list(by)].drop_duplicates()
    name = next((c for c in ("rep_id", "rep") if c in by), "")
    if name and people is not None:
        new = people[~people[name].isin(leaves[name])]
        new = new[(new["start_date"] < span.until) & ~(new["end_date"] < max(span.since, end))]
        new = new[[c for c in dict.fromkeys((name, "team", "region", "rep")) if c in people]].drop_duplicates(name)
        own = [c for c in by if c in new]
        rest = [c for c in by if c not in new]
        if len(new) and rest:
            nest = "team" if "team" in history else next((c for c in own if c != name), "")
            sold = history[[*([nest] if nest else []), *rest]].drop_duplicates()
            new = new.merge(sold, on=nest) if nest else new.merge(sold, how="cross")
        if len(new):
            leaves = pd.concat([leaves.assign(new=False), new[list(by)].assign(new=True)])
    leaves = leaves if "new" in leaves else leaves.assign(new=False)
    return leaves.sort_values(list(by), ignore_index=True)


def shares_of(history: pd.DataFrame, leaves: pd.DataFrame, by: Sequence[str], end: pd.Timestamp) -> np.ndarray:
    """Each cell's share of the money, recent money counting more, drawn towards the product of its margins."""
    if not by:
        return np.ones(1)
    recent = 0.5 ** ((end - history["day"]) / pd.Timedelta(days=HALF_LIFE))
    sums = history.assign(money=history["amount"] * recent, square=(history["amount"] * recent) ** 2)
    found = leaves.merge(
        sums.groupby(list(by))[["money", "square"]].sum().reset_index(), on=list(by), how="left"
    ).fillna({"money": 0.0, "square": 0.0})
    money, total = found["money"].to_numpy(), float(found["money"].sum())
    if total <= 0:
        raise TooLittleData("Nothing was sold in the two years before the period, so it cannot be shared out.")
    free = _free(leaves, by)
    if len(free) < 2:
        return money / total
    usual = np.full(len(found), total)
    for name in free:
        margin = found.groupby(name)["money"].transform("sum").to_numpy()
        usual = usual * margin / total
    usual *= total / max(usual.sum(), 1e-12)
    raw, noise = log_ratio(money, usual, found["square"].to_numpy())
    out = usual * np.exp(drawn(raw, noise))
    return np.asarray(out / out.sum())


def _free(leaves: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """The columns that no other one decides: a rep decides the team and the region."""
    kept = list(by)
    for name in by:
        others = [c for c in kept if c != name]
        if any(leaves.groupby(c)[name].nunique().max() == 1 for c in others):
            kept = others
    return kept


def rates(
    history: pd.DataFrame,
    leaves: pd.DataFrame,
    name: str,
    share: np.ndarray,
    people: pd.DataFrame,
    days: Pattern,
    ramp: pd.DataFrame | None,
) -> np.ndarray:
    """Shares by what a rep brings a day of full work, drawn to the team's, while the teams keep their shares."""
    team_of, mine = home(leaves, name, people), leaves[name]
    staff = people.drop_duplicates(name).set_index(name).reindex(sorted(mine.unique()))
    since = max(days.since, days.until - pd.Timedelta(days=A_YEAR))
    when = pd.date_range(since, days.until - ONE_DAY)
    exposure = there(staff, when, ramp) @ days.weights(when)
    last = between(history, since, days.until)
    got = last.groupby(name)["amount"].sum().reindex(staff.index).fillna(0.0).to_numpy()
    square = (last["amount"] ** 2).groupby(last[name]).sum().reindex(staff.index).fillna(0.0).to_numpy()
    team = team_of.groupby(mine).first().reindex(staff.index)
    rate = pd.Series(got).groupby(team.to_numpy()).transform("sum") / np.maximum(
        pd.Series(exposure).groupby(team.to_numpy()).transform("sum"), 1e-9
    )
    if not got.sum() > 0:
        return share
    raw, noise = log_ratio(got, rate.to_numpy() * exposure, square)
    own = pd.Series(rate.to_numpy() * np.exp(drawn(raw, noise)), index=staff.index)
    by_rep = pd.Series(share).groupby(mine.to_numpy()).sum().reindex(mine).to_numpy()
    alike = 1 / np.maximum(mine.groupby(mine).transform("size").to_numpy(), 1)
    mix = np.where(by_rep > 0, share / np.where(by_rep > 0, by_rep, 1.0), alike)
    level = own.reindex(mine).to_numpy() * mix
    of_team = pd.Series(share).groupby(team_of.to_numpy()).transform("sum").to_numpy()
    out = level * of_team / np.maximum(pd.Series(level).groupby(team_of.to_numpy()).transform("sum").to_numpy(), 1e-12)
    return np.asarray(out / out.sum())


def home(leaves: pd.DataFrame, name: str, people: pd.DataFrame) -> pd.Series:
    """Whom a rep's target goes to when they leave: the team; all, where teams are not known."""
    if "team" in leaves:
        return leaves["team"].astype("str")
    team = people.drop_duplicates(name).set_index(name)["team"]
    return leaves[name].map(team).fillna("").astype("str")


def blended(
    share: np.ndarray, leaves: pd.DataFrame, by: Sequence[str], potential: pd.DataFrame | None, blend: float
) -> np.ndarray:
    """The shares with those of the potential mixed in, each name's cells in their proportions."""
    if potential is None:
        return share
    if not 0 <= blend <= 1:
        raise SettingError(f"blend is {blend}; it is the weight of the potential, 0 to 1.")
    on = [c for c in by if c in potential]
    if not on or "potential" not in potential:
        raise DataError(
            f"The potential needs a column 'potential' and one of {', '.join(by)}; it has {', '.join(map(str, potential))}."
        )
    if (potential["potential"] < 0).any() or not potential["potential"].sum() > 0:
        raise DataError("A potential is below 0, or all are 0. Give market size, accounts or expected money.")
    given = potential.groupby(on)["potential"].sum().rename("given").reset_index()
    strange = given.merge(leaves[on].drop_duplicates(), on=on, how="left", indicator="side").query(
        "side == 'left_only'"
    )
    if len(strange):
        raise DataError(
            f"The potential names {plural(len(strange), 'node')} that the plan does not have: {', '.join(map(str, strange[on].iloc[0]))}."
        )
    found = leaves.merge(given, on=on, how="left")["given"]
    known = found.notna().to_numpy()
    margin = pd.Series(share).groupby(leaves.groupby(on).ngroup().to_numpy()).transform("sum").to_numpy()
    heads = 1 / np.maximum(leaves.groupby(on)[on[0]].transform("size").to_numpy(), 1)
    mass = share[known].sum()
    wanted = np.where(known, found.fillna(0.0).to_numpy(), 0.0)
    wanted = mass * wanted / max((wanted * heads).sum(), 1e-12)  # of the names with a potential, together what they had
    new = np.where(known, (1 - blend) * margin + blend * wanted, margin)
    out = np.where(margin > 0, share * new / np.where(margin > 0, margin, 1.0), new * heads)
    return np.asarray(out / out.sum())
