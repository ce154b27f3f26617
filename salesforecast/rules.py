"""The cleaning rules: what is wrong, where, what is done about it, and why. A new rule is one `Rule(…)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from salesforecast import duplicates, keys, moves
from salesforecast.tables import TABLES

Frames = dict[str, pd.DataFrame]
LIST_PRICE = "amount from the list price"
BULK, TIMES = 20, 10  # deals closed on one day, and how many times the usual of its weekday: beyond it is a bulk edit
FEW = 20  # days: of fewer none is an outlier
EXPECTED = ("expected_close_date",)
LONG = 365  # days after which an expected date is no slip of a month or two
THOUSAND, ENOUGH = 1_000, 20  # times the median of so many amounts or more: a slip of the comma
MERGED = {"merged", "merged deal", "duplicate", "duplicated", "duplicate deal", "merged into another"}


@dataclass(frozen=True)
class Scene:
    """What a rule may look at beside its frame: the frame's table, all tables, the last day the data are known."""

    name: str
    tables: Frames
    as_of: pd.Timestamp
    found: dict[str, Any] = field(
        default_factory=dict
    )  # what one rule worked out and the next may use, while nothing changes

    def moves(self) -> pd.DataFrame:
        """What the stage history says of each deal, see `moves.summary`; no row without one."""
        if "moves" not in self.found:
            there = {"stage_history", "stages"} <= set(self.tables) and len(self.tables["stage_history"])
            self.found["moves"] = moves.summary(self.tables) if there else moves.NONE
        return self.found["moves"]


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
    return keys.among(t[column], at.tables[table][column]) if table in at.tables else pd.Series(True, index=t.index)


def _again(t: pd.DataFrame, at: Scene) -> pd.Series:
    """Rows whose key comes again; the changes of a deal are numbered, so none does."""
    if at.name == "stage_history":
        return pd.Series(False, index=t.index)
    return keys.repeated(t, [k for k in TABLES[at.name].key if k in t], keep="last")


def _first_day(days: pd.Series) -> pd.Timestamp:
    """The first day after the last gap of five years that less than 1 in 200 of the days lie before; of a few days, the first."""
    given = days.dropna().sort_values(ignore_index=True)
    while len(given) >= FEW:  # once more on the days that are left, so that a second cleaning finds nothing
        early = given[: len(given) // 200 + 1]
        gaps = early.index[(given.shift(-1)[: len(early)] - early).dt.days > 5 * 365]
        if not len(gaps):
            break
        given = given[gaps[-1] + 1 :].reset_index(drop=True)
    return given.min()


def bulk_days(closed: pd.Series) -> pd.DataFrame:
    """Days on which far more deals closed than on others of their weekday.

    Returns
    -------
    DataFrame
        By day: n (deals closed), usual (mean of the other days of that weekday); days with at least 20 and ten times the usual.
    """
    by_day = closed.dropna().value_counts().sort_index()
    if by_day.empty:
        return pd.DataFrame({"n": [], "usual": []})
    every = by_day.reindex(pd.date_range(by_day.index.min(), by_day.index.max()), fill_value=0)
    same = every.groupby(every.index.day_of_week)
    usual = (same.transform("sum") - every) / (same.transform("size") - 1).clip(lower=1)
    return pd.DataFrame({"n": every, "usual": usual})[(every >= BULK) & (every >= TIMES * usual.clip(lower=0.5))]


def scale_of_amounts(t: pd.DataFrame) -> pd.Series:
    """How many times the median amount of its product, or segment, each amount is; missing where there are few."""
    by = next((c for c in ("product_id", "segment") if c in t and t[c].notna().any()), None)
    amounts = t["amount"].where(t["amount"] > 0)
    if by is None:
        return amounts / (amounts.median() if amounts.count() >= ENOUGH else float("nan"))
    groups = amounts.groupby(t[by])
    return amounts / groups.transform("median").where(groups.transform("count") >= ENOUGH)


def _by_history(column: str) -> Callable[[pd.DataFrame, Scene], pd.Series]:
    """Whether the history of a deal says so; false without one."""
    return lambda t, at: keys.among(t["opportunity_id"], at.moves().index[at.moves()[column]])


def _of_deal(t: pd.DataFrame, at: Scene, column: str) -> pd.Series:
    """A column of the deal that each change belongs to."""
    deals = at.tables["opportunities"]
    if column not in deals:
        return pd.Series(pd.NaT, index=t.index)
    begins = keys.starts(t["opportunity_id"])  # the changes stand deal by deal
    of_deals = deals.set_index("opportunity_id")[column].reindex(t["opportunity_id"][begins])
    return pd.Series(of_deals.array.take(np.cumsum(begins) - 1), index=t.index)


def _of(values: pd.Series, t: pd.DataFrame) -> pd.Series:
    """The value of each row's deal."""
    return pd.Series(values.reindex(t["opportunity_id"]).array, index=t.index)


def _after_closing(t: pd.DataFrame, at: Scene) -> pd.Series:
    """Changes into an open stage after the day on which a deal that is still closed had closed."""
    moved = t["entered_at"].dt.normalize() > _of_deal(t, at, "closed_date")
    open_stages = at.tables["stages"].loc[at.tables["stages"]["outcome"] == "open", "stage"]
    return moved & t["stage"].isin(open_stages)


def _long_past(t: pd.DataFrame, at: Scene) -> pd.Series:
    return t["expected_close_date"] < at.as_of - pd.Timedelta(days=LONG)


RULES = (
    Rule("*", "required value empty",
         lambda t, at: t[[c.name for c in TABLES[at.name].columns if c.required and c.name in t]].isna().any(axis=1), set_apart,
         "Without it the row belongs to nothing."),
    Rule("*", "repeated id", _again, set_apart,
         "An export that was resumed repeats rows; the last one is the newest."),
    Rule("stage_history", "deal is not there", lambda t, at: ~_known(t, at, "opportunity_id", "opportunities"), set_apart,
         "A change of a deal that is not in the opportunities belongs to no deal."),
    Rule("opportunities", "merged into another deal",
         lambda t, at: t["opportunity_id"].isin(list(moves.merged(t))), set_apart,
         "The CRM says that it went on as another deal; counting both counts it twice."),
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
         _when(*EXPECTED)(lambda t, at: (t["outcome"] == "open") & (t["expected_close_date"] < at.as_of) & ~_long_past(t, at)),
         flag("expected_close_date"), "It is open past the day its seller expected; ask for a new date."),
    Rule("opportunities", "expected date passed long ago",
         _when(*EXPECTED)(lambda t, at: (t["outcome"] == "open") & _long_past(t, at)), flag("expected_close_date"),
         "It is open more than a year past the day its seller expected; it is probably dead, close it in the CRM."),
    Rule("opportunities", "closed in bulk",
         _when("closed_date")(lambda t, at: t["closed_date"].isin(bulk_days(t["closed_date"]).index)), flag("closed_date"),
         "Far more deals closed on this day than on others like it: it says when somebody tidied up, not when the deal ended."),
    Rule("opportunities", "1,000 times too much or too little",
         _when("amount")(lambda t, at: (scale_of_amounts(t) >= THOUSAND) | (scale_of_amounts(t) <= 1 / THOUSAND)), flag("amount"),
         "It is that far from the usual amount of its product or segment; look for a comma or a currency that slipped."),
    Rule("opportunities", "lost by a merger",
         _when("lost_reason")(lambda t, at: (t["outcome"] == "lost") & t["lost_reason"].str.casefold().isin(MERGED)), flag("lost_reason"),
         "It went on as another deal and counts as a loss in every rate; set it apart with ignore in salesforecast.toml."),
    Rule("opportunities", "opened again after closing", _by_history("reopened"), flag("stage"),
         "Its history closes it and opens it again; its age runs from the first day to the last closing."),
    Rule("opportunities", "closed, but its history ends open",
         lambda t, at: (t["outcome"] != "open") & _by_history("ends_open")(t, at), flag("stage"),
         "The history lacks the closing, or the deal was opened again; the deal's own stage decides."),
    Rule("opportunities", "closed weeks before its history says",
         _when("closed_date")(lambda t, at: (_of(at.moves()["closed"], t) - t["closed_date"]).dt.days > duplicates.WITHIN),
         flag("closed_date"), "It was closed in the CRM more than 30 days after the day it is said to have closed: entered late."),
    Rule("opportunities", "perhaps the same deal twice",
         _when("account_id", "name", "amount", "created_date")(lambda t, at: t.index.to_series().isin(duplicates.deals(t).index)),
         flag("opportunity_id"), "Account, amount and name are those of a deal entered shortly before; look, and merge in the CRM."),
    Rule("opportunities", "no owner", _when("rep_id")(lambda t, at: t["rep_id"].isna()), flag("rep_id"),
         "It belongs to no rep's record."),
    Rule("opportunities", "owner is not in the reps",
         _when("rep_id")(lambda t, at: t["rep_id"].notna() & ~_known(t, at, "rep_id", "reps")), flag("rep_id"),
         "It belongs to no team or region."),
    Rule("stage_history", "changed before the deal was entered",
         lambda t, at: t["entered_at"].dt.normalize() < _of_deal(t, at, "created_date"), flag("entered_at"),
         "A change cannot be older than its deal: one of the two dates was set by hand."),
    Rule("stage_history", "in an open stage after closing", _after_closing, flag("entered_at"),
         "The deal had closed by its own date; the time in this stage is not the time of a sale."),
    Rule("accounts", "perhaps the same account twice",
         _when("account")(lambda t, at: t.index.to_series().isin(duplicates.accounts(t).index)), flag("account"),
         "But for case, signs and legal form it is the name of another account; look, and merge in the CRM."),
    Rule("reps", "rep without deals",
         lambda t, at: ~keys.among(t["rep_id"], at.tables["opportunities"].get("rep_id", pd.Series(dtype="str"))), flag("rep_id"),
         "The rep stands in the team and in none of the deals; rates of this rep are missing, not 0."),
)  # fmt: skip
