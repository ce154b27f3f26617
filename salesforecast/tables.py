"""The tables: each declared once. The declaration is the data dictionary, the reader's guide and the check.

A column is one line; a table is one entry of `TABLES`. Nothing else has to be touched for `load`, `clean`,
`contract.check` and the README's codebook to know it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from salesforecast import asof
from salesforecast.errors import MissingTable, unknown

Kind = Literal["id", "label", "date", "moment", "money", "fraction", "count", "flag"]

KINDS: dict[str, str] = {
    "id": "text that names one thing",
    "label": "text",
    "date": "a day, without time or zone",
    "moment": "date and time in the business zone",
    "money": "an amount in the reporting currency",
    "fraction": "0 to 1",
    "count": "a number of 0 or more",
    "flag": "true or false",
}


@dataclass(frozen=True)
class Column:
    """A column: its name, its kind, what it means, and whether it may be empty."""

    name: str
    kind: Kind
    about: str
    required: bool = False
    values: tuple[str, ...] = ()
    plan: bool = False  # a wish or a plan, which may lie ahead of what is known


@dataclass(frozen=True)
class Table:
    """A table: its key, what a row is, its columns, which export holds it, and which analyses need it."""

    name: str
    key: tuple[str, ...]
    about: str
    columns: tuple[Column, ...]
    export: str = ""  # what to add when it is missing
    opens: tuple[tuple[str, tuple[str, ...]], ...] = ()  # the analyses that need it, with the columns they need

    def __getitem__(self, column: str) -> Column:
        return {c.name: c for c in self.columns}[column]

    @property
    def names(self) -> list[str]:
        """The column names, in the declared order."""
        return [c.name for c in self.columns]


OUTCOMES = ("open", "won", "lost")
MUST = True

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("opportunities", ("opportunity_id",), "One deal, open or closed.", (
            Column("opportunity_id", "id", "the CRM's id", MUST),
            Column("name", "label", "what the seller calls it"),
            Column("account_id", "id", "the customer"),
            Column("rep_id", "id", "who owns it now"),
            Column("product_id", "id", "the main product"),
            Column("channel", "label", "the lead source or sales channel it came by"),
            Column("partner_id", "id", "the agent, distributor or partner who brought it"),
            Column("segment", "label", "the customer segment"),
            Column("is_new_customer", "flag", "true when the account had never bought before"),
            Column("stage", "label", "where it stands now", MUST),
            Column("outcome", "label", "open, won or lost, by the stage table", MUST, OUTCOMES),
            Column("amount", "money", "the deal's value: expected while open, agreed when won"),
            Column("list_amount", "money", "the same at list price"),
            Column("currency", "label", "the currency of its amounts: EUR"),
            Column("probability", "fraction", "the CRM's own chance of winning"),
            Column("forecast_category", "label", "the seller's call: pipeline, best case, commit, closed"),
            Column("created_date", "date", "the day it was entered"),
            Column("expected_close_date", "date", "the day its seller expects it to close; a wish", plan=True),
            Column("closed_date", "date", "the day it was won or lost; empty while open"),
            Column("lost_reason", "label", "why it was lost"),
            Column("competitor", "label", "who else was in it"),
        ), "the opportunities (deals) of the CRM", (
            ("win curve, win rates, stalled deals", ("created_date", "closed_date")),
            ("funnel metrics and sales velocity", ("created_date", "closed_date", "amount")),
            ("lost value", ("closed_date", "amount")),
        )),
        Table("stages", ("stage",), "One stage of the sales process.", (
            Column("stage", "label", "the stage's name, as in opportunities", MUST),
            Column("rank", "count", "its place in the funnel, 1 first", MUST),
            Column("outcome", "label", "what a deal in it is: open, won or lost", MUST, OUTCOMES),
            Column("limit_days", "count", "the days a deal may stay in it, where there is a rule"),
        ), "the stage table, or [[stages]] in salesforecast.toml"),
        Table("stage_history", ("opportunity_id", "entered_at", "sequence"), "One change of a deal, with its values after the change.", (
            Column("opportunity_id", "id", "the deal", MUST),
            Column("entered_at", "moment", "when it came to be so", MUST),
            Column("sequence", "count", "the order of changes of the same moment", MUST),
            Column("stage", "label", "the stage from then on", MUST),
            Column("amount", "money", "the amount from then on"),
            Column("currency", "label", "the currency of the amount; that of the deal where it is empty"),
            Column("expected_close_date", "date", "the expected close date from then on", plan=True),
            Column("rep_id", "id", "who owned it from then on, or who made the change"),
        ), "the stage history of the opportunities (Salesforce: OpportunityHistory; HubSpot: the Date entered columns)",
            (("stage conversion, time in stage, lost value by stage", ("stage", "entered_at")),)),
        Table("reps", ("rep_id",), "One seller, present or past.", (
            Column("rep_id", "id", "the seller's id, as in opportunities", MUST),
            Column("rep", "label", "the seller's name", MUST),
            Column("team", "label", "the team"),
            Column("manager", "label", "who leads the team"),
            Column("region", "label", "the region"),
            Column("role", "label", "the role"),
            Column("start_date", "date", "first day of work"),
            Column("end_date", "date", "last day of work; empty while here"),
        ), "the users or the sales team", (
            ("teams and regions beside each other", ("team", "region")),
            ("ramp-up of new reps, capacity, hire or help", ("start_date",)),
        )),
        Table("accounts", ("account_id",), "One customer or prospect.", (
            Column("account_id", "id", "the account's id, as in opportunities", MUST),
            Column("account", "label", "its name", MUST),
            Column("industry", "label", "its industry"),
            Column("size", "label", "its size class"),
            Column("region", "label", "its region or country"),
            Column("parent_id", "id", "the account it belongs to"),
        ), "the accounts (companies)"),
        Table("products", ("product_id",), "One product.", (
            Column("product_id", "id", "the product's id, as in opportunities", MUST),
            Column("product", "label", "its name", MUST),
            Column("family", "label", "its family or series"),
            Column("list_price", "money", "its list price"),
            Column("unit_cost", "money", "what one costs to make or buy"),
        ), "the products with their list prices", (("forecast by product family", ("family",)),)),
        Table("leads", ("lead_id",), "One person or company that might buy.", (
            Column("lead_id", "id", "the lead's id", MUST),
            Column("created_at", "moment", "when it came in", MUST),
            Column("channel", "label", "where it came from"),
            Column("campaign", "label", "the campaign that brought it"),
            Column("rep_id", "id", "who got it"),
            Column("first_response_at", "moment", "when somebody first answered"),
            Column("opportunity_id", "id", "the deal it became; empty while it has not"),
        ), "the leads", (
            ("from lead to win, leads dealt out", ("created_at", "rep_id", "opportunity_id")),
            ("how soon leads are answered", ("first_response_at",)),
        )),
        Table("touches", ("touch_id",), "One contact of marketing with a lead or an account.", (
            Column("touch_id", "id", "the touch's id", MUST),
            Column("at", "moment", "when", MUST),
            Column("channel", "label", "through which channel", MUST),
            Column("content", "label", "with what"),
            Column("lead_id", "id", "the lead it reached"),
            Column("account_id", "id", "or the account"),
            Column("opportunity_id", "id", "or the deal"),
        ), "the marketing touches (campaign members)", (("attribution of wins to touches", ("at", "channel")),)),
        Table("activities", ("activity_id",), "One thing a seller did or planned.", (
            Column("activity_id", "id", "the activity's id", MUST),
            Column("at", "moment", "when it was done; empty while only planned"),
            Column("planned_at", "moment", "for when it was planned; empty when it was not", plan=True),
            Column("rep_id", "id", "who", MUST),
            Column("account_id", "id", "with which account"),
            Column("opportunity_id", "id", "for which deal"),
            Column("type", "label", "visit, call, cold_call, email, personalised_email, demo, meeting, event, admin", MUST),
            Column("purpose", "label", "what for"),
            Column("minutes", "count", "how long"),
            Column("cost", "money", "what it cost beside the time"),
            Column("outcome", "label", "what came of it"),
        ), "the activities (tasks and events)", (
            ("what reps do, deals nobody works on, tactics", ("at", "type", "opportunity_id")),
            ("plans and what was done of them", ("planned_at",)),
        )),
        Table("orders", ("order_line_id",), "One line of an order.", (
            Column("order_line_id", "id", "the line's id", MUST),
            Column("order_date", "date", "the day of the order", MUST),
            Column("account_id", "id", "who ordered"),
            Column("opportunity_id", "id", "from which deal"),
            Column("rep_id", "id", "who sold it"),
            Column("product_id", "id", "what"),
            Column("channel", "label", "by which channel"),
            Column("quantity", "count", "how many"),
            Column("list_price", "money", "list price of one"),
            Column("net_amount", "money", "what the line came to after discount", MUST),
            Column("unit_cost", "money", "cost of one"),
            Column("currency", "label", "the currency of its amounts"),
        ), "the order lines"),
        Table("targets", ("period", "rep_id", "team", "region", "channel", "product_id"), "One target; the filled names say whose.", (
            Column("period", "label", "2025Q2, 2025-06 or 2025", MUST),
            Column("rep_id", "id", "for this seller"),
            Column("team", "label", "for this team"),
            Column("region", "label", "for this region"),
            Column("channel", "label", "for this channel"),
            Column("product_id", "id", "for this product"),
            Column("target", "money", "bookings to reach", MUST),
        ), "the targets", (("attainment, pacing, who is ahead", ("period", "target")),)),
        Table("calls", ("call_id",), "What somebody said that a period would bring; the filled names say whose bookings.", (
            Column("call_id", "id", "the call's id", MUST),
            Column("submitted_at", "moment", "when it was said", MUST),
            Column("period", "label", "2025Q2 or 2025-06", MUST),
            Column("level", "label", "who says it: rep, manager, company; in any words", MUST),
            Column("rep_id", "id", "of this seller"),
            Column("team", "label", "of this team"),
            Column("region", "label", "of this region"),
            Column("category", "label", "what kind of call: commit, best case; commit where it is empty"),
            Column("amount", "money", "bookings of the whole period, with what is won already", MUST),
            Column("currency", "label", "the currency of its amounts"),
        ), "the forecasts submitted by sellers and managers (Salesforce: ForecastingItem)",
            (("human commits in the revenue forecast", ("submitted_at", "amount")),)),
        Table("spend", ("channel", "period"), "What a channel cost in a period.", (
            Column("channel", "label", "the channel", MUST),
            Column("period", "label", "the month: 2025-06", MUST),
            Column("spend", "money", "what was spent", MUST),
        ), "the marketing spend by channel and month", (("return on spend, moving the budget", ("spend",)),)),
        Table("costs", ("period", "rep_id", "kind"), "What a seller, or the sales force, cost in a period.", (
            Column("period", "label", "the month: 2025-06", MUST),
            Column("rep_id", "id", "the seller; empty for the sales force as a whole"),
            Column("kind", "label", "salary, commission, travel, training, entertainment", MUST),
            Column("cost", "money", "what it cost", MUST),
        ), "the costs of the sales force", (("change after training", ("kind", "rep_id")),)),
        Table("invoices", ("invoice_id",), "One invoice to a customer.", (
            Column("invoice_id", "id", "the invoice's number", MUST),
            Column("opportunity_id", "id", "from which deal"),
            Column("account_id", "id", "to which customer"),
            Column("channel", "label", "by which channel it was sold; that of the deal where it is empty"),
            Column("invoice_date", "date", "the day it was written", MUST),
            Column("due_date", "date", "the day by which it is to be paid", plan=True),
            Column("paid_date", "date", "the day it was paid; empty while it is not"),
            Column("amount", "money", "what is to be paid", MUST),
        ), "the invoices", (("collection by channel", ("due_date",)),)),
        Table("complaints", ("complaint_id",), "One complaint of a customer.", (
            Column("complaint_id", "id", "the complaint's id", MUST),
            Column("created_at", "moment", "when it came in", MUST),
            Column("account_id", "id", "whose"),
            Column("opportunity_id", "id", "about which deal"),
            Column("order_line_id", "id", "about which order line"),
            Column("kind", "label", "what about"),
            Column("cost", "money", "what it cost to put right"),
        ), "the complaints", (("complaints by channel", ("opportunity_id",)),)),
        Table("exchange_rates", ("date", "currency"), "What a currency is worth from a day on, until its next day.", (
            Column("date", "date", "from this day on", MUST),
            Column("currency", "label", "the currency: EUR", MUST),
            Column("rate", "money", "what one of it is worth in the reporting currency"),
            Column("per_unit", "count", "or how many of it make one of the reporting currency, as Salesforce and the ECB write it"),
        ), "the exchange rates"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What a reader of the data has to know beside the rows.

    Parameters
    ----------
    company : str
        The name on the reports.
    currency : str
        Sign or code that stands before amounts.
    fiscal_year_start : int
        Month in which the fiscal year starts; a fiscal year is named by the year in which it ends.
    locale : str
        The language of labels and figures: en, fa, hu, nb, uk, zh.
    crm : str
        Which mapping read the export.
    codes_key : str
        A secret that codes in place of names are made with, so that nobody without it can work out whose they are.
    """

    company: str = "The company"
    currency: str = "$"
    fiscal_year_start: int = 1
    locale: str = "en"
    crm: str = "salesforecast"
    codes_key: str = ""


@dataclass(frozen=True, repr=False)
class Crm:
    """Checked tables as they were known at the end of a day: `crm.opportunities`, `crm.stages`, …

    A table that is not in the data raises `MissingTable` when it is asked for, with the export to add.
    """

    tables: Mapping[str, pd.DataFrame]
    as_of: pd.Timestamp
    settings: Settings = field(default_factory=Settings)
    digest: str = ""
    of_today: tuple[str, ...] = ()  # what `at` could not take back, because nothing says what it was
    evidence: str = ""  # by what `at` took it back: "the stage history", "the export of 2025-03-01", …
    snapshots: Mapping[pd.Timestamp, Mapping[str, pd.DataFrame]] = field(default_factory=dict)  # older exports, by day
    written: Mapping[str, Any] = field(default_factory=dict)  # how the files wrote each table, for `cleaning.undo`

    def __getattr__(self, name: str) -> pd.DataFrame:
        if name.startswith("_") or name not in TABLES:
            raise AttributeError(name)
        if name not in self.tables:
            raise MissingTable(f"This needs the table '{name}', which is not in the data. Add {TABLES[name].export}.")
        return self.tables[name]

    def __contains__(self, name: str) -> bool:
        return name in self.tables

    def __repr__(self) -> str:
        rows = ", ".join(f"{name} {len(frame):,}" for name, frame in self.tables.items())
        return f"Crm({self.settings.company}, as of {self.as_of:%Y-%m-%d}: {rows})"

    @property
    def first_day(self) -> pd.Timestamp:
        """The first day on which a deal was entered or closed."""
        deals = self.tables["opportunities"]
        days = [deals[c].min() for c in ("created_date", "closed_date") if c in deals]
        return min([d for d in days if pd.notna(d)], default=self.as_of)

    @property
    def deals(self) -> pd.DataFrame:
        """The opportunities with the names behind their ids: rep, team, manager, region (of the rep), account, product, family."""
        deals = self.tables["opportunities"]
        for table, key, wanted in _NAMES:
            if key not in deals:
                continue
            label = wanted[0]
            if table in self.tables:
                names = self.tables[table].set_index(key)
                if table == "reps" and label in names:
                    names[label] = told_apart(self.tables[table], key, label).to_numpy()
                new = [c for c in wanted if c in names and c not in deals]
                deals = deals.join(names[new], on=key, validate="many_to_one")
            deals = deals.assign(**{label: deals[label].fillna(deals[key]) if label in deals else deals[key]})
        return deals

    def only(self, *, region: str = "", team: str = "", rep: str = "", product: str = "") -> Crm:
        """The same with the deals of one region, team, rep or product (or product family); "" is all.

        What rows of a table cannot be told apart by is left out with the table: spend by any of these, leads and calls by product.

        Raises
        ------
        SettingError
            When there is none of that name, with "Did you mean".
        """
        deals = self.deals
        keep, reps = pd.Series(True, index=deals.index), self.tables.get("reps", pd.DataFrame())
        reps = reps.assign(rep=told_apart(reps, "rep_id", "rep")) if "rep" in reps else reps
        of_reps = pd.Series(True, index=reps.index)
        for what, value, columns in (
            ("region", region, ("region",)), ("team", team, ("team",)), ("rep", rep, ("rep", "rep_id")),
            ("product", product, ("product", "product_id", "family")),
        ):  # fmt: skip
            if value:
                there = [c for c in columns if c in deals]
                known = sorted({v for c in there for v in deals[c].dropna().unique()})
                if value not in known:
                    raise unknown(what, value, known)
                keep &= deals[there].eq(value).any(axis=1)
                if ours := [c for c in columns if c in reps]:
                    of_reps &= reps[ours].eq(value).any(axis=1)
        ids, rep_ids = deals.loc[keep, "opportunity_id"], reps.loc[of_reps, "rep_id"] if len(reps) else []
        by_rep = bool(region or team or rep)
        tables = dict(self.tables)
        for name, frame in (
            {**self.tables, "reps": reps} if len(reps) else self.tables
        ).items():  # a part keeps names apart
            if name in ("opportunities", "stage_history"):
                tables[name] = frame[frame["opportunity_id"].isin(ids)].reset_index(drop=True)
            elif by_rep and name == "calls":  # of the reps, and of the team or region as a whole; not of the company
                whose = [("team", team), ("region", region)]
                ours = [frame[c].eq(value) for c, value in whose if value and c in frame]
                ours += [frame["rep_id"].isin(rep_ids)] if "rep_id" in frame else []
                tables[name] = frame[
                    np.logical_or.reduce(ours, axis=0) if ours else np.zeros(len(frame), bool)
                ].reset_index(drop=True)
            elif by_rep and len(reps) and "rep_id" in frame:
                tables[name] = frame[frame["rep_id"].isin(rep_ids)].reset_index(drop=True)
        if "orders" in tables and product:
            tables["orders"] = _of_product(tables["orders"], ids, self.tables.get("products"), product)
        for name in (*(("calls", "leads") if product else ()), *(("spend",) if product or by_rep else ())):
            tables.pop(name, None)  # nobody calls, asks or spends for a product alone: the others' would stand for it
        return replace(self, tables=tables)

    def part(self, team: str = "") -> dict[str, str]:
        """What limits it to a part (`only`): the team, else the team, region, product or rep with most deals.

        Raises
        ------
        MissingTable
            When no deal says any of these.
        """
        if team:
            return {"team": team}
        deals = self.deals
        for column in ("team", "region", "product", "rep"):
            if column in deals and (most := deals[column].mode()).size:
                return {column: str(most.iloc[0])}
        raise MissingTable(f"This needs the team, region, product or rep of each deal. Add {TABLES['reps'].export}.")

    def at(self, day: pd.Timestamp | str) -> Crm:
        """The tables as they were known at the end of a day before `as_of`.

        With dated exports: what the newest export not after the day held; for a day before the first, that first one taken
        back. With a stage history: stage, outcome, amount, expected close date and rep are those of that day. Without
        one only created and closed dates can be taken back. `evidence` says which of these it was, and `of_today` names
        what could not be taken back, for one deal or for all: before a history begins that is all it would have told.
        """
        day = pd.Timestamp(day).normalize()
        if day >= self.as_of:
            return replace(self, as_of=day)
        there, of_today, evidence = self.known(day)
        tables = {name: frame.reset_index(drop=True) for name, frame in there.items()}
        past = {d: frames for d, frames in self.snapshots.items() if d <= day}
        return replace(self, tables=tables, as_of=day, of_today=of_today, evidence=evidence, snapshots=past, written={})

    def known(self, day: pd.Timestamp) -> tuple[dict[str, pd.DataFrame], tuple[str, ...], str]:
        """The tables at the end of the day with the index they have now, what in them is of today, and by which evidence."""
        made = asof.exported(self.snapshots, day)
        if made is not None and made <= day:
            return dict(self.snapshots[made]), (), f"the export of {made:%Y-%m-%d}"
        tables = self.tables if made is None else self.snapshots[made]
        there, of_today = asof.tables_at(tables, day, _HAPPENED)
        source = "the stage history" if "stage_history" in tables else "created and closed dates"
        return there, of_today, source if made is None else f"{source} in the export of {made:%Y-%m-%d}"


def told_apart(frame: pd.DataFrame, key: str, label: str) -> pd.Series:
    """The labels of a table; those that several rows carry have their key behind them.

    Examples
    --------
    >>> told_apart(pd.DataFrame({"rep_id": ["R1", "R2", "R3"], "rep": ["Jo", "Jo", "Al"]}), "rep_id", "rep").to_list()
    ['Jo (R1)', 'Jo (R2)', 'Al']
    """
    twice = frame[label].duplicated(keep=False) & frame[label].notna()
    return frame[label].mask(twice, frame[label] + " (" + frame[key] + ")")


NOT_RECORDED = asof.NOT_RECORDED
NOT_FILLED = "not filled in"  # what stands for an empty label where deals are grouped by it
_HAPPENED = {
    t.name: tuple(c.name for c in t.columns if c.kind in ("date", "moment") and not c.plan) for t in TABLES.values()
}
_NAMES = (
    ("reps", "rep_id", ("rep", "team", "manager", "region")),
    ("accounts", "account_id", ("account", "industry", "size")),
    ("products", "product_id", ("product", "family")),
)


def _of_product(lines: pd.DataFrame, deals: pd.Series, products: pd.DataFrame | None, name: str) -> pd.DataFrame:
    """The order lines of these deals, and those of no deal that name the product or one of its family."""
    none = pd.Series(pd.NA, index=lines.index, dtype="str")
    deal, ids = lines.get("opportunity_id", none), {name}
    if products is not None:
        ids |= set(products.loc[products.reindex(columns=["product", "family"]).eq(name).any(axis=1), "product_id"])
    return lines[deal.isin(deals) | deal.isna() & lines.get("product_id", none).isin(ids)].reset_index(drop=True)


def examples(values: Iterable[object], most: int = 3) -> str:
    """The first few different values, quoted.

    >>> examples(["a", "b", "a", "c", "d"])
    "'a', 'b', 'c'"
    """
    shown = list(dict.fromkeys(str(v) for v in values))[:most]
    return ", ".join(repr(v if len(v) <= 60 else v[:57] + "…") for v in shown)
