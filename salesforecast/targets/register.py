"""Can the targets be worked with: what contradicts, what is missing, what is zero, of the period and of those around it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast import style
from salesforecast.goals import WHOSE, inside, own, readable, summed_from, targets
from salesforecast.periods import ONE_DAY, Period, period_at
from salesforecast.tables import Crm, told_apart
from salesforecast.targets.pattern import working
from salesforecast.text import md

LEAST = 0.005  # of the larger: what is less is rounding
NOTHING = "There is no attainment of it; what is booked is beyond the plan."


def checked(crm: Crm, span: Period, *, country: str = "") -> pd.DataFrame:
    """What in the targets of a period cannot be, or has to be known before they are used.

    - *do not add up*: the targets of reps against those of their team, of teams against their region, of the parts against the company,
      of quarters and months against the year, and of months against their quarter, whose row counts. More below than above may be meant
      (over-assignment, a manager's hedge).
    - *summed*: a level without a row of its own, which has the sums of the level below.
    - *zero*: there is no attainment of it; what is booked is beyond the plan.
    - *nobody's*: a target of a rep who is not in the table of reps, or has left before the period.
    - *leaves*: a rep who leaves within the period: due until the last day, the rest waits to be handed over.
    - *missing*: a rep who is there all period while others have a target and they have none.
    - *no working day*: the target is spread evenly over the days.
    - *not readable*: a period that is none.

    Parameters
    ----------
    crm : Crm
        targets, reps.
    span : Period
    country : str
        For public holidays.

    Returns
    -------
    DataFrame
        finding (as above), where, target (money; the upper one), parts (money; the sum below), more (parts less target), why (in
        words); empty when nothing is found. Largest difference first, then by finding.

    Raises
    ------
    MissingTable
        Without the table of targets.
    """
    rows = [*_sums(crm, span), *_times(crm, span), *_zero(crm, span), *_people(crm, span)]
    days = pd.date_range(span.since, span.until - ONE_DAY)
    if not working(days, country).any():
        rows.append(
            ("no working day", span.label, np.nan, np.nan, "The target is spread evenly over the days of the period.")
        )
    bad = [label for label in crm.targets["period"].unique() if not readable(str(label), span.fiscal_year_start)]
    rows += [
        ("not readable", str(label), np.nan, np.nan, "Write a quarter as 2025Q2, a month as 2025-06, a year as 2025.")
        for label in bad
    ]
    frame = pd.DataFrame(rows, columns=["finding", "where", "target", "parts", "why"])
    frame.insert(4, "more", frame["parts"] - frame["target"])
    size = frame["more"].abs().fillna(0.0)
    return frame.iloc[np.lexsort([frame["where"], frame["finding"], -size])].reset_index(drop=True)


def _sums(crm: Crm, span: Period) -> list[tuple[str, str, float, float, str]]:
    found = []
    for above, below, parts in (("team", "rep_id", "reps"), ("region", "team", "teams")):
        whole = own(crm, span, above)
        if len(whole) and "reps" in crm and {above, below} <= set(crm.reps):
            some = own(crm, span, below, partly=True)
            home = crm.reps.drop_duplicates(below).set_index(below)[above].reindex(some.index)
            for name, sum_ in some.groupby(home).sum().items():
                if name in whole.index:
                    found += _compared(f"{above} {name}", float(whole[name]), float(sum_), parts)
        if below := summed_from(crm, span, above):
            why = f"No {above} has a target of its own: each has the sum of its {'reps' if below == 'rep_id' else 'teams'}."
            found.append(("summed", f"{above}s", np.nan, float(targets(crm, span, above).sum()), why))
    company = own(crm, span, "")
    for column in ("region", "team", "rep_id", "product_id", "channel"):
        part = own(crm, span, column, partly=True)
        if len(part) and len(company):
            found += _compared(
                "the company", float(company.iloc[0]), float(part.sum()), f"{column.removesuffix('_id')}s"
            )
    return found


def _compared(where: str, above: float, below: float, parts: str) -> list[tuple[str, str, float, float, str]]:
    if abs(below - above) <= LEAST * max(abs(above), abs(below)):
        return []
    if below > above:
        more = style.percent(below / above - 1) if above else "all"
        why = f"The {parts} carry {more} more: over-assignment if it is meant, a contradiction if not."
    else:
        why = f"The {parts} carry {style.percent(1 - below / above)} less: if all of them reach their targets, this one is missed."
    return [("do not add up", f"{where}: {parts}", above, below, why)]


def _times(crm: Crm, span: Period) -> list[tuple[str, str, float, float, str]]:
    """The year against its quarters and months, and each quarter of the period against its months."""
    found = []
    names = [c for c in WHOSE if c in crm.targets]
    rows = crm.targets.assign(who=crm.targets[names].astype("object").fillna("").agg(" ".join, axis=1).str.strip())
    year = period_at(span.since, "Y", span.fiscal_year_start)
    parts = {label: part for label in rows["period"].unique() if (part := inside(str(label), year))}
    for above in [year, *(p for p in parts.values() if p.kind == "Q" and inside(p.label, span))]:
        whole = rows[rows["period"] == above.label].groupby("who")["target"].sum()
        for kind, many, words in (("Q", 4, "quarters"), ("M", 12 if above is year else 3, "months")):
            below = [label for label, part in parts.items() if part.kind == kind and inside(label, above)]
            sums = rows[rows["period"].isin(below)].groupby("who")["target"].agg(["sum", "size"])
            for who in sorted(set(whole.index) & set(sums.index[sums["size"] == many])):
                where = f"{above.label} {who or 'the company'}"
                found += _compared(where, float(whole[who]), float(sums.loc[who, "sum"]), words)
    return found


def _zero(crm: Crm, span: Period) -> list[tuple[str, str, float, float, str]]:
    names = [c for c in WHOSE if c in crm.targets]
    rows = crm.targets[(crm.targets["period"] == span.label) & (crm.targets["target"] <= 0)]
    return [
        ("zero", " ".join(str(row[c]) for c in names if pd.notna(row[c])) or "the company", float(row["target"]), np.nan,
         NOTHING if row["target"] == 0 else "A target below zero cannot be reached.")
        for row in rows.to_dict("records")
    ]  # fmt: skip


def _people(crm: Crm, span: Period) -> list[tuple[str, str, float, float, str]]:
    if "reps" not in crm or "rep_id" not in crm.targets:
        return []
    rows = crm.targets[
        crm.targets["rep_id"].notna() & crm.targets["period"].map(lambda p: inside(str(p), span) is not None)
    ]
    goal = rows.groupby("rep_id")["target"].sum()
    staff = crm.reps.assign(rep=told_apart(crm.reps, "rep_id", "rep")).drop_duplicates("rep_id").set_index("rep_id")
    nothing = pd.Series(pd.NaT, index=staff.index)
    start, end = (staff.get(c, nothing) for c in ("start_date", "end_date"))
    found = []
    for who, amount in goal.items():
        if who not in staff.index:
            found.append(("nobody's", str(who), float(amount), np.nan, "This rep is not in the table of reps."))
        elif pd.notna(end[who]) and end[who] < span.since:
            found.append(
                (
                    "nobody's",
                    str(staff.at[who, "rep"]),
                    float(amount),
                    np.nan,
                    f"Left on {end[who]:%Y-%m-%d}, before the period.",
                )
            )
        elif pd.notna(end[who]) and end[who] < span.until - ONE_DAY:
            why = f"Leaves on {end[who]:%Y-%m-%d}: due until then, the rest waits to be handed over."
            found.append(("leaves", str(staff.at[who, "rep"]), float(amount), np.nan, why))
    if len(goal):
        there = staff[~(start > span.since) & ~(end < span.until)]
        lately = set(crm.opportunities.get("rep_id", pd.Series(dtype="str")).dropna())
        for who in sorted((set(there.index) - set(goal.index)) & lately):
            why = "Others have a target for this period; this rep has none."
            found.append(("missing", str(staff.at[who, "rep"]), np.nan, np.nan, why))
    return found


def finding_checked(checked: pd.DataFrame) -> str:
    """One sentence: whether the targets add up, and where they do not by most."""
    apart = checked[checked["finding"] == "do not add up"]
    rest = checked[~checked["finding"].isin(["do not add up", "summed"])]
    words = []
    if len(apart):
        worst = apart.iloc[0]
        words.append(
            f"**The targets do not add up in {style.plural(len(apart), 'place')}**; most at {md(worst['where'])}: "
            f"{style.money(worst['parts'])} where {style.money(worst['target'])} is the target."
        )
    if len(rest):
        kinds = rest["finding"].value_counts().sort_index()
        said = ", ".join(f"{k} {n}" for k, n in kinds.items())
        words.append(f"Beside: {said}." if words else f"**The targets add up**, but look at: {said}.")
    return " ".join(words) or "**The targets add up** and nobody's is missing."
