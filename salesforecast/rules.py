"""The cleaning rules: what is wrong, where, what is done about it, and why. A new rule is one `Rule(…)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from salesforecast.tables import TABLES

Frames = dict[str, pd.DataFrame]
LIST_PRICE = "amount from the list price"


@dataclass(frozen=True)
class Scene:
    """What a rule may look at beside its frame: the frame's table, all tables, the last day the data are known."""

    name: str
    tables: Frames
    as_of: pd.Timestamp


@dataclass(frozen=True)
class Rule:
    """What is wrong, where, what is done about it, and why.

    Parameters
    ----------
    table : str
        The table it looks at; "*" for each table.
    name : str
        What is wrong, in two or three words; the column `rule` of the issues.
    where : callable
        (frame, scene) -> which rows.
    act : callable
        (frame, rows) -> the changed frame: `set_apart`, `blank(column)`, `fill(column, source)` or `flag(column)`.
    why : str
        The reason, in a sentence.
    """

    table: str
    name: str
    where: Callable[[pd.DataFrame, Scene], pd.Series]
    act: Callable[[pd.DataFrame, pd.Series], tuple[pd.DataFrame, str]]
    why: str


def set_apart(frame: pd.DataFrame, rows: pd.Series) -> tuple[pd.DataFrame, str]:
    """Take the rows out; the issues keep them whole."""
    return frame[~rows], ""


def blank(column: str) -> Callable[[pd.DataFrame, pd.Series], tuple[pd.DataFrame, str]]:
    """Empty a column in the rows."""
    return lambda frame, rows: (frame.assign(**{column: frame[column].mask(rows)}), column)


def fill(column: str, source: str) -> Callable[[pd.DataFrame, pd.Series], tuple[pd.DataFrame, str]]:
    """Take a column from another one in the rows."""
    return lambda frame, rows: (frame.assign(**{column: frame[column].mask(rows, frame[source])}), column)


def flag(column: str) -> Callable[[pd.DataFrame, pd.Series], tuple[pd.DataFrame, str]]:
    """Change nothing; the issues say that it is so."""
    return lambda frame, rows: (frame, column)


def _when(*columns: str) -> Callable[[Callable[..., pd.Series]], Callable[..., pd.Series]]:
    """A rule's `where` that holds nowhere when the columns are not in the data."""

    def guard(where: Callable[..., pd.Series]) -> Callable[..., pd.Series]:
        return lambda t, at: where(t, at) if set(columns) <= set(t.columns) else pd.Series(False, index=t.index)

    return guard


def _known(t: pd.DataFrame, at: Scene, column: str, table: str) -> pd.Series:
    """Whether a reference is in the table it points to; true where there is no such table."""
    return t[column].isin(at.tables[table][column]) if table in at.tables else pd.Series(True, index=t.index)


def _first_day(days: pd.Series) -> pd.Timestamp:
    """The first day after the last gap of five years that less than 1 in 200 of the days lie before."""
    given = days.dropna().sort_values(ignore_index=True)
    early = given[: len(given) // 200 + 1]
    gaps = early.index[(given.shift(-1)[: len(early)] - early).dt.days > 5 * 365]
    return given[gaps[-1] + 1] if len(gaps) else days.min()


RULES = (
    Rule("*", "required value empty",
         lambda t, at: t[[c.name for c in TABLES[at.name].columns if c.required and c.name in t]].isna().any(axis=1), set_apart,
         "Without it the row belongs to nothing."),
    Rule("*", "repeated id", lambda t, at: t.duplicated([k for k in TABLES[at.name].key if k in t], keep="last"), set_apart,
         "An export that was resumed repeats rows; the last one is the newest."),
    Rule("stage_history", "deal is not there", lambda t, at: ~_known(t, at, "opportunity_id", "opportunities"), set_apart,
         "A change of a deal that is not in the opportunities belongs to no deal."),
    Rule("opportunities", "created long before all others",
         _when("created_date")(lambda t, at: t["created_date"] < _first_day(t["created_date"])), blank("created_date"),
         "A day years before all others is a typing error; the deal stays, without an age."),
    Rule("opportunities", "no created date", _when("created_date")(lambda t, at: t["created_date"].isna()), flag("created_date"),
         "It is counted among the deals, but has no age, so no curve can hold it."),
    Rule("opportunities", "created after the data end",
         _when("created_date")(lambda t, at: t["created_date"] > at.as_of), blank("created_date"),
         "A deal cannot have been entered after the last day the data are known."),
    Rule("opportunities", "closed after the data end",
         _when("closed_date")(lambda t, at: t["closed_date"] > at.as_of), blank("closed_date"),
         "A deal cannot have closed after the last day the data are known; the deal stays, without a date."),
    Rule("opportunities", "open with a closed date",
         _when("closed_date")(lambda t, at: (t["outcome"] == "open") & t["closed_date"].notna()), blank("closed_date"),
         "Its stage says that it is open, and the stage decides."),
    Rule("opportunities", "closed before created",
         _when("closed_date", "created_date")(lambda t, at: t["closed_date"] < t["created_date"]), blank("created_date"),
         "It was entered after it had closed, so its age is not known; it counts in bookings, not in curves."),
    Rule("opportunities", "negative amount", _when("amount")(lambda t, at: t["amount"] < 0), blank("amount"),
         "A credit note is not a deal value."),
    Rule("opportunities", "amount 0 on a lost deal",
         _when("amount")(lambda t, at: (t["outcome"] == "lost") & (t["amount"] == 0)), blank("amount"),
         "It says that nothing was sold, not what the deal was worth; averages would be pulled down."),
    Rule("opportunities", LIST_PRICE,
         _when("amount", "list_amount")(lambda t, at: t["amount"].isna() & t["list_amount"].notna()), fill("amount", "list_amount"),
         "list_price_as_amount is set: without an amount the product's list price stands in."),
    Rule("opportunities", "won without an amount",
         _when("amount")(lambda t, at: (t["outcome"] == "won") & t["amount"].isna()), flag("amount"),
         "It counts as won and adds nothing to bookings; fill it in the CRM."),
    Rule("opportunities", "closed without a date",
         _when("closed_date")(lambda t, at: (t["outcome"] != "open") & t["closed_date"].isna()), flag("closed_date"),
         "It cannot be placed in a period or in a curve; fill it in the CRM."),
    Rule("opportunities", "won on the day it was entered",
         _when("closed_date", "created_date")(lambda t, at: (t["outcome"] == "won") & (t["closed_date"] == t["created_date"])),
         flag("created_date"), "It was probably entered late; many of them make the cycle look short."),
    Rule("opportunities", "expected date has passed",
         _when("expected_close_date")(lambda t, at: (t["outcome"] == "open") & (t["expected_close_date"] < at.as_of)),
         flag("expected_close_date"), "It is open past the day its seller expected; ask for a new date."),
    Rule("opportunities", "no owner", _when("rep_id")(lambda t, at: t["rep_id"].isna()), flag("rep_id"),
         "It belongs to no rep's record."),
    Rule("opportunities", "owner is not in the reps",
         _when("rep_id")(lambda t, at: t["rep_id"].notna() & ~_known(t, at, "rep_id", "reps")), flag("rep_id"),
         "It belongs to no team or region."),
    Rule("reps", "rep without deals",
         lambda t, at: ~t["rep_id"].isin(at.tables["opportunities"].get("rep_id", pd.Series(dtype="str"))), flag("rep_id"),
         "The rep stands in the team and in none of the deals; rates of this rep are missing, not 0."),
)  # fmt: skip
