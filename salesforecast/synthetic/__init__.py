"""A made-up company whose truth is known, and the export its CRM would give.

`truth` holds the parameters, `process` how deals live, `company` the tables around the deals; this front door writes them as a
Salesforce export, clean or with planted dirt. What no CRM holds (orders, targets, spend, costs, invoices, complaints), or
each in another way (calls), is written under our own names.

>>> from salesforecast import synthetic
>>> truth = synthetic.Truth(opportunities=200)
>>> raw = synthetic.export(truth, seed=1)
>>> len(raw["Opportunity.csv"])
200
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from salesforecast.synthetic.calls import call_biases
from salesforecast.synthetic.company import tables
from salesforecast.synthetic.process import (
    deals,
    generator,
    quarter_shocks,
    rep_effects,
    stage_conversion,
    win_curve,
    win_share,
)
from salesforecast.synthetic.truth import Channel, Product, Segment, Stage, Team, Truth
from salesforecast.tables import TABLES

__all__ = [
    "EXPORT", "SETTINGS", "Channel", "Product", "Segment", "Stage", "Team", "Truth", "call_biases", "deals", "dirt", "export",
    "quarter_shocks", "rep_effects", "stage_conversion", "tables", "win_curve", "win_share", "write",
]  # fmt: skip

# Each file: our table, and of each of its columns our column. "closed_date | expected_close_date" means the first on
# closed deals and the second on open ones; "outcome" is spread over IsClosed and IsWon; "" is nothing of ours.
# OpportunityHistory has no column for `sequence`: the rows of a deal are in the order of their Ids.
OWN = ("orders", "targets", "spend", "costs", "invoices", "complaints", "calls")
EXPORT: dict[str, tuple[str, dict[str, str]]] = {
    "Opportunity.csv": ("opportunities", {
        "Id": "opportunity_id", "Name": "name", "AccountId": "account_id", "OwnerId": "rep_id",
        "Product__c": "product_id", "LeadSource": "channel", "Partner__c": "partner_id", "Segment__c": "segment",
        "IsNewCustomer__c": "is_new_customer", "StageName": "stage", "IsClosed": "outcome", "IsWon": "outcome",
        "Amount": "amount", "ListAmount__c": "list_amount", "Probability": "probability",
        "ForecastCategoryName": "forecast_category", "CreatedDate": "created_date",
        "CloseDate": "closed_date | expected_close_date", "LossReason__c": "lost_reason",
        "Competitor__c": "competitor",
    }),
    "OpportunityHistory.csv": ("stage_history", {
        "Id": "", "OpportunityId": "opportunity_id", "CreatedDate": "entered_at", "StageName": "stage",
        "Amount": "amount", "CloseDate": "expected_close_date", "CreatedById": "rep_id",
    }),
    "OpportunityStage.csv": ("stages", {
        "MasterLabel": "stage", "SortOrder": "rank", "IsClosed": "outcome", "IsWon": "outcome",
    }),
    "Account.csv": ("accounts", {
        "Id": "account_id", "Name": "account", "Industry": "industry", "Size__c": "size", "Region__c": "region",
        "ParentId": "parent_id",
    }),
    "User.csv": ("reps", {
        "Id": "rep_id", "Name": "rep", "Team__c": "team", "Manager__c": "manager", "Region__c": "region",
        "Title": "role", "StartDate__c": "start_date", "EndDate__c": "end_date",
    }),
    "Product2.csv": ("products", {
        "Id": "product_id", "Name": "product", "Family": "family", "ListPrice__c": "list_price",
        "UnitCost__c": "unit_cost",
    }),
    "Lead.csv": ("leads", {
        "Id": "lead_id", "CreatedDate": "created_at", "LeadSource": "channel", "Campaign__c": "campaign",
        "OwnerId": "rep_id", "FirstResponse__c": "first_response_at", "ConvertedOpportunityId": "opportunity_id",
    }),
    "CampaignMember.csv": ("touches", {
        "Id": "touch_id", "CreatedDate": "at", "Channel__c": "channel", "Content__c": "content", "LeadId": "lead_id",
        "AccountId": "account_id", "Opportunity__c": "opportunity_id",
    }),
    "Task.csv": ("activities", {
        "Id": "activity_id", "CompletedDateTime": "at", "Planned__c": "planned_at", "OwnerId": "rep_id",
        "AccountId": "account_id", "WhatId": "opportunity_id", "Type": "type", "Subject": "purpose",
        "Minutes__c": "minutes", "Cost__c": "cost", "CallDisposition": "outcome",
    }),
    **{f"{own}.csv": (own, {c: c for c in TABLES[own].names if c != "currency"}) for own in OWN},
}  # fmt: skip


def _settings() -> str:
    """The salesforecast.toml of the export: the company, and where its custom fields are."""
    lines = ['company = "Larkfield Instruments"', 'currency = "$"', "fiscal_year_start = 1", 'crm = "salesforce"']
    for table, columns in EXPORT.values():
        custom = {ours: theirs for theirs, ours in columns.items() if theirs.endswith("__c") or theirs in OURS_ALONE}
        if custom:
            lines += ["", f"[{table}.columns]", *(f'{ours} = "{theirs}"' for ours, theirs in custom.items())]
    return "\n".join(lines) + "\n"


OURS_ALONE = ("CreatedById", "Type", "Subject", "CallDisposition")  # standard fields that this company uses its own way
SETTINGS = _settings()


def export(truth: Truth, seed: int, dirty: bool = False) -> dict[str, pd.DataFrame]:
    """What the company's CRM exports: file name -> rows of text, an empty one where there is no value.

    Salesforce's objects under their API names (custom fields end in __c) for what Salesforce holds; `EXPORT` says
    which of our columns each one is. Dates are 2025-06-08, moments 2025-06-08 14:35, flags true and false,
    probabilities per cent.

    Parameters
    ----------
    truth : Truth
        The company.
    seed : int
        The draw.
    dirty : bool
        With the dirt that `dirt(truth, seed)` lists.
    """
    files = _clean_export(tables(truth, seed))
    return _soil(files, truth, seed)[0] if dirty else files


def dirt(truth: Truth, seed: int) -> pd.DataFrame:
    """What `export(truth, seed, dirty=True)` differs in from the clean export, in full.

    Returns
    -------
    DataFrame
        One row per planted cell or row: file; table (our name); key (Id of the row); column (as in the file; empty
        when it is about the whole row); kind; was; became. 'repeated row' is a second copy of the row, 'lost
        history' a row that is gone. A product alias is the product's name, well or badly written, instead of its id.
    """
    return _soil(_clean_export(tables(truth, seed)), truth, seed)[1]


def write(folder: str | Path, truth: Truth | None = None, seed: int = 0, dirty: bool = False) -> list[Path]:
    """The export as CSV files (UTF-8, line feed) and its salesforecast.toml; the same bytes on every machine.

    Returns
    -------
    list of Path
        The files written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        name: frame.to_csv(index=False, lineterminator="\n")
        for name, frame in export(truth or Truth(), seed, dirty).items()
    }
    written = []
    for name, content in {**contents, "salesforecast.toml": SETTINGS}.items():
        (folder / name).write_bytes(content.encode("utf-8"))
        written.append(folder / name)
    return written


def _clean_export(found: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    files = {}
    for name, (table, columns) in EXPORT.items():
        frame = found[table]
        out: dict[str, pd.Series] = {}
        values: pd.Series
        for theirs, ours in columns.items():
            if theirs == "IsClosed":
                values = pd.Series(np.where(frame["outcome"] == "open", "false", "true"))
            elif theirs == "IsWon":
                values = pd.Series(np.where(frame["outcome"] == "won", "true", "false"))
            elif ours == "":
                values = pd.Series([f"H{i:05d}" for i in range(1, len(frame) + 1)])
            elif "|" in ours:
                values = _cells(frame["closed_date"].fillna(frame["expected_close_date"]), "date")
            else:
                values = _cells(frame[ours], TABLES[table][ours].kind)
            out[theirs] = values.astype("str")
        files[name] = pd.DataFrame(out)
    return files


def _cells(values: pd.Series, kind: str) -> pd.Series:
    """The values as text; empty where missing."""
    if kind in ("id", "label"):
        return values.fillna("")
    if kind in ("date", "moment"):
        return values.dt.strftime("%Y-%m-%d" if kind == "date" else "%Y-%m-%d %H:%M").fillna("")
    if kind == "flag":
        return values.map({True: "true", False: "false"})
    whole = pd.Series(values * 100 if kind == "fraction" else values).round().astype("Int64")
    return whole.astype("str").where(whole.notna(), "")


def _soil(files: dict[str, pd.DataFrame], truth: Truth, seed: int) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """The files with dirt, and the list of it. No cell is soiled twice, and a deal gets one kind of dirt only."""
    rng = generator(seed, "dirt")
    deals_file, history_file = "Opportunity.csv", "OpportunityHistory.csv"
    files = {name: frame.copy() for name, frame in files.items()}
    deal, history = files[deals_file], files[history_file]
    planted: list[tuple[str, str, str, str, str, str]] = []
    taken: set[tuple[str, int]] = set()

    def some(file: str, share: float, where: pd.Series | None = None) -> list[int]:
        """Rows of the file, of those that qualify and have no dirt yet; at least one when there is any."""
        rows = range(len(files[file])) if where is None else np.flatnonzero(where)
        free = [int(i) for i in rows if (file, int(i)) not in taken]
        many = min(len(free), max(1, round(share * len(files[file]))))
        chosen = sorted(int(i) for i in rng.choice(free, many, replace=False)) if many else []
        taken.update((file, i) for i in chosen)
        return chosen

    def cell(file: str, row: int, column: str) -> str:
        return str(files[file].at[row, column])

    def put(file: str, row: int, column: str, kind: str, became: str) -> None:
        planted.append((file, cell(file, row, "Id"), column, kind, cell(file, row, column), became))
        files[file].loc[row, column] = became

    def one_of(*shapes: str) -> str:
        return shapes[int(rng.integers(0, len(shapes)))]

    closed, won = deal["IsClosed"] == "true", deal["IsWon"] == "true"
    lost, priced = closed & ~won, deal["Amount"] != ""
    created, ended = pd.to_datetime(deal["CreatedDate"]), pd.to_datetime(deal["CloseDate"])

    # Entered only when won: created on the day it closed, with nothing before.
    late = some(deals_file, 0.010, won & (ended > created))
    for i in late:
        put(deals_file, i, "CreatedDate", "entered only when won", cell(deals_file, i, "CloseDate"))
    shut = history["StageName"].isin([truth.won, truth.lost])
    gone = history["OpportunityId"].isin(deal.loc[late, "Id"]) & ~shut
    planted += [(history_file, key, "", "lost history", "1", "0") for key in history.loc[gone, "Id"]]
    files[history_file] = history = history[~gone].reset_index(drop=True)
    closing = {str(history.at[i, "OpportunityId"]): int(i) for i in np.flatnonzero(shut[~gone])}

    # Somebody tidied up on a Sunday: old losses closed late, all on one day.
    day = truth.as_of - pd.Timedelta(days=40)
    day -= pd.Timedelta(days=(day.day_of_week + 1) % 7)
    for i in some(deals_file, 0.006, lost & (created < day - pd.Timedelta(days=180)) & (ended < day)):
        row = closing[cell(deals_file, i, "Id")]
        put(deals_file, i, "CloseDate", "bulk close", f"{day:%Y-%m-%d}")
        put(history_file, row, "CreatedDate", "bulk close", f"{day:%Y-%m-%d} 10:{int(rng.integers(0, 60)):02d}")
        put(history_file, row, "CloseDate", "bulk close", f"{day:%Y-%m-%d}")
    for i in some(deals_file, 0.004, closed):
        early = created[i] - pd.Timedelta(days=int(rng.integers(1, 60)))
        put(deals_file, i, "CloseDate", "closed before created", f"{early:%Y-%m-%d}")
    for i in some(deals_file, 0.002, closed):
        year = truth.as_of.year + int(rng.integers(10, 75))
        put(deals_file, i, "CloseDate", "closed in the far future", f"{year}-01-01")
    for i in some(deals_file, 0.002, closed):
        put(deals_file, i, "CloseDate", "no date", one_of("31/02/2025", "TBD", "n/a"))
    for i in some(deals_file, 0.001):
        put(deals_file, i, "CreatedDate", "no date", one_of("31/02/2025", "TBD", "n/a"))
    for i in some(deals_file, 0.006):
        put(deals_file, i, "OwnerId", "missing owner", "")
    for i in some(deals_file, 0.008, won):
        put(deals_file, i, "Amount", "missing amount on won deal", "")
    for i in some(deals_file, 0.004, priced & ~lost):
        put(deals_file, i, "Amount", "negative amount", "-" + cell(deals_file, i, "Amount"))
    for i in some(deals_file, 0.015, lost):
        put(deals_file, i, "Amount", "lost amount of 0", "0")
    for i in some(deals_file, 0.004):
        stage = cell(deals_file, i, "StageName")
        put(deals_file, i, "StageName", "stage typo", stage[:-2] + stage[-1])
    for column, share in (("LeadSource", 0.012), ("Segment__c", 0.008), ("StageName", 0.008)):
        for i in some(deals_file, share):
            label = cell(deals_file, i, column)
            became = one_of(label.upper(), label.lower(), f" {label}", f"{label} \t")
            put(deals_file, i, column, "spaces or case", became)
    products = dict(zip(files["Product2.csv"]["Id"], files["Product2.csv"]["Name"], strict=True))
    for i in some(deals_file, 0.010):
        label = str(products[cell(deals_file, i, "Product__c")])
        put(deals_file, i, "Product__c", "product alias", one_of(label.replace(" ", ""), label.lower(), label))
    for i in some("Account.csv", 0.005):
        put("Account.csv", i, "Name", "spaces or case", f"  {cell('Account.csv', i, 'Name')} ")
    for i in some("Task.csv", 0.002, files["Task.csv"]["CompletedDateTime"] != ""):
        put("Task.csv", i, "CompletedDateTime", "no date", "TBD")
    for file, share in ((deals_file, 0.006), ("Account.csv", 0.003), ("Lead.csv", 0.004), ("Task.csv", 0.002)):
        rows = some(file, share)
        planted += [(file, cell(file, i, "Id"), "", "repeated row", "1", "2") for i in rows]
        files[file] = pd.concat([files[file], files[file].loc[rows]], ignore_index=True)

    record = pd.DataFrame(planted, columns=["file", "key", "column", "kind", "was", "became"]).astype("str")
    record.insert(1, "table", record["file"].map({file: table for file, (table, _) in EXPORT.items()}).astype("str"))
    return files, record
