"""What an export does not say in a column of its own, but says elsewhere: stages, outcomes, dates, names."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salesforecast import asof, keys, ledger, moves
from salesforecast.crm.mapping import ROLES, Mapping, TableMapping
from salesforecast.errors import DataError
from salesforecast.tables import OUTCOMES, TABLES

Frames = dict[str, pd.DataFrame]
ORDER = {name: place for place, name in enumerate(OUTCOMES)}


def declared_stages(tables: Frames, mapping: Mapping) -> None:
    """Add the stage table as the config declares it or as it was exported, where there is one."""
    if mapping.stages:
        rows = [(s.stage, float(rank), s.outcome) for rank, s in enumerate(mapping.stages, start=1)]
        tables["stages"] = pd.DataFrame(rows, columns=["stage", "rank", "outcome"]).astype(
            {"stage": "str", "outcome": "str"}
        )
        if any(s.limit_days for s in mapping.stages):
            tables["stages"]["limit_days"] = [float(s.limit_days or "nan") for s in mapping.stages]
        return
    if "stages" in tables:
        frame = _with_outcome(tables["stages"])
        if "rank" not in frame:
            frame = frame.assign(rank=range(1, len(frame) + 1))
        tables["stages"] = frame.assign(rank=frame["rank"].rank(method="first"))


def stages(tables: Frames, mapping: Mapping) -> None:
    """Add the stage table from the deals' own outcome, or closed and won columns, where there is none."""
    if "stages" in tables:
        return
    deals = _with_outcome(tables["opportunities"])
    if "outcome" not in deals or "stage" not in deals:
        raise DataError(
            f"Nothing says which stages are open, won or lost. {_columns_that_say(mapping)}xport the stage table, or declare each "
            f'stage in salesforecast.toml: [[stage]] stage = "…" outcome = "open", "won" or "lost".{_found(deals)}'
        )
    tables["stages"] = _from_deals(deals, tables.get("stage_history"))


def _columns_that_say(mapping: Mapping) -> str:
    """The beginning of an advice: the CRM's own columns, where it has such, as its exports call them."""
    of = mapping.tables.get("opportunities", TableMapping()).outcome
    theirs = [repr(of[role][0]) for role in ROLES if of.get(role)][:2]
    return f"Add {' and '.join(theirs)} to the columns of the export, e" if theirs else "E"


def _found(deals: pd.DataFrame) -> str:
    stages = sorted(deals["stage"].dropna().unique()) if "stage" in deals else []
    return f" Found: {', '.join(map(repr, stages[:20]))}." if stages else ""


def _from_deals(deals: pd.DataFrame, history: pd.DataFrame | None) -> pd.DataFrame:
    """Each stage with the outcome of the deals in it, ranked by the CRM's own probability or by its place in histories."""
    mixed = deals.groupby("stage")["outcome"].nunique()
    if (mixed > 1).any():
        raise DataError(
            f"The stage {mixed.idxmax()!r} holds deals of several outcomes. Declare the stages in salesforecast.toml: "
            f"one [[stage]] each."
        )
    found = deals.groupby("stage")["outcome"].first()
    if history is not None:
        more = pd.Index(history["stage"].dropna().unique()).difference(found.index)
        found = pd.concat([found, pd.Series("open", index=more)])
    if "probability" in deals:
        depth = deals.groupby("stage")["probability"].median()
    elif history is not None:
        depth = history.groupby("opportunity_id").cumcount().groupby(history["stage"]).median()
    else:
        depth = pd.Series(dtype="float64")
    frame = pd.DataFrame({"stage": found.index.astype("str"), "outcome": found.to_numpy()})
    frame["depth"] = frame["stage"].map(depth).fillna(0)
    frame["closing"] = frame["outcome"].map(ORDER)
    frame = frame.sort_values(["closing", "depth", "stage"], ignore_index=True)
    return frame.assign(rank=frame.index + 1.0)[["stage", "rank", "outcome"]].astype({"stage": "str", "outcome": "str"})


def opportunities(tables: Frames, mapping: Mapping) -> None:
    """Add stage, outcome, created, closed and expected dates and the list amount to the opportunities, where they are missing."""
    deals, history, of = tables["opportunities"], tables.get("stage_history"), mapping.tables["opportunities"]
    ranks = tables["stages"].set_index("stage")
    lacks = not {"stage", "created_date", "closed_date"} <= set(deals)
    if lacks and history is not None and {"stage", "entered_at"} <= set(history):
        changes = keys.in_order(history, [c for c in ("opportunity_id", "entered_at", "sequence") if c in history])
        last = changes.drop_duplicates("opportunity_id", keep="last").set_index("opportunity_id")
        if "stage" not in deals:
            deals = deals.assign(stage=deals["opportunity_id"].map(last["stage"]))
        if "created_date" not in deals:
            first = changes.groupby("opportunity_id")["entered_at"].min()
            deals = deals.assign(created_date=deals["opportunity_id"].map(first).dt.normalize())
        if "closed_date" not in deals:
            deals = deals.assign(closed_date=deals["opportunity_id"].map(asof.closing_days(changes, ranks["outcome"])))
    if "stage" not in deals:
        raise DataError(
            "The opportunities have no stage and there is no stage history. Map the column in salesforecast.toml under "
            "[opportunities.columns]."
        )
    deals = _with_outcome(deals)
    by_stage = deals["stage"].map(ranks["outcome"]).astype("str")
    outcome = deals["outcome"].fillna(by_stage) if "outcome" in deals else by_stage
    deals = deals.assign(outcome=outcome)
    if "closed_date" in deals and "expected_close_date" not in deals:
        still_dated = (outcome == "open") & deals["closed_date"].notna()
        if still_dated.sum() > (outcome == "open").sum() / 2:  # one close date for both, mapped to one of ours only
            deals = deals.assign(expected_close_date=deals["closed_date"].where(still_dated))
            deals = deals.assign(closed_date=deals["closed_date"].mask(still_dated))
    if _one_close_date(of.columns) and {"closed_date", "expected_close_date"} <= set(deals):
        # The CRM has one date: the wish while the deal is open, the fact once it is closed.
        is_open = outcome == "open"
        deals = deals.assign(
            expected_close_date=deals["expected_close_date"].where(is_open),
            closed_date=deals["closed_date"].mask(is_open),
        )
    if (
        "products" in tables
        and "list_price" in tables["products"]
        and "list_amount" not in deals
        and "product_id" in deals
    ):
        prices = tables["products"].drop_duplicates("product_id").set_index("product_id")["list_price"]
        deals = deals.assign(list_amount=deals["product_id"].map(prices))
    if mapping.list_price_as_amount and "amount" not in deals:
        deals = deals.assign(amount=pd.Series(float("nan"), index=deals.index))
    tables["opportunities"] = deals.drop(columns=["_closed", "_won"], errors="ignore")


def stage_history(tables: Frames, found: list[pd.DataFrame]) -> None:
    """Number the changes of each deal in the order they happened; a change exported twice is one."""
    if "stage_history" not in tables:
        return
    frame = tables["stage_history"]
    into = moves.merged(tables["opportunities"])
    if (gone := frame["opportunity_id"].isin(list(into))).any():
        became = frame.loc[gone, "opportunity_id"].map(into)
        why = "Its deal was merged into this one, and its history goes on there."
        found.append(ledger.noted("stage_history", frame[gone], "opportunity_id", became, "of a merged deal", why))
        frame = frame.assign(opportunity_id=frame["opportunity_id"].mask(gone, became))
    ours = [c for c in TABLES["stage_history"].names if c in frame]
    frame = keys.in_order(frame, [c for c in ("opportunity_id", "entered_at", "sequence") if c in frame])
    # What stands twice stands side by side.
    begins, at = keys.starts(frame["opportunity_id"]), frame["entered_at"].to_numpy()
    twice = ~begins & np.r_[False, at[1:] == at[:-1]] if len(frame) else begins
    maybe = frame[twice | np.r_[twice[1:], False]] if len(frame) else frame
    again = maybe.index[maybe.duplicated(ours, keep="last")]
    if len(again):
        why = "The same change stands in the export twice."
        found.append(ledger.apart("stage_history", frame.loc[again], "repeated change", why))
        frame = frame[~frame.index.isin(again)]
    deal = np.cumsum(keys.starts(frame["opportunity_id"]))
    number = _counted(deal)
    if "sequence" in frame:
        # The CRM's own numbers may have gaps; they may not run against the clock.
        given, earlier = frame["sequence"].to_numpy(), np.r_[False, deal[1:] == deal[:-1]]
        against = earlier & np.r_[False, given[1:] < given[:-1]]
        why = "The CRM numbers it before a change that happened earlier; the time decides."
        if against.any():
            became = pd.Series(number[against], index=frame.index[against])
            found.append(ledger.noted("stage_history", frame[against], "sequence", became, "out of order", why))
    tables["stage_history"] = frame.assign(sequence=number)


def _counted(groups: np.ndarray) -> np.ndarray:
    """1, 2, … within each run of equal values."""
    place = np.arange(len(groups))
    starts = np.r_[True, groups[1:] != groups[:-1]] if len(groups) else np.array([], dtype=bool)
    return (place - np.maximum.accumulate(np.where(starts, place, 0)) + 1).astype("float64")


def last_day(tables: Frames) -> pd.Timestamp:
    """The last day the data are known: the latest day on which something happened.

    A day far beyond all others is a typing error, not the end of the data: days after a gap of more than 60 days that
    hold less than 1 in 200 of the dates do not count, nor those after a gap of five years that hold less than 1 in 3.
    """
    deals = tables["opportunities"]
    facts = {**tables, "opportunities": deals.assign(closed_date=deals["closed_date"].mask(deals["outcome"] == "open"))
             if "closed_date" in deals else deals}  # fmt: skip
    happened = [
        facts[name][c.name].dropna().dt.normalize()
        for name in ("opportunities", "stage_history", "activities", "orders", "leads")
        if name in tables
        for c in TABLES[name].columns
        if c.kind in ("date", "moment") and not c.plan and c.name in facts[name]
    ]
    days = pd.concat(happened).value_counts().sort_index() if happened else pd.Series(dtype="int64")
    if days.empty:
        raise DataError(
            "The data hold no date at all. Map created_date and closed_date of the opportunities in salesforecast.toml."
        )
    while True:  # once more on the days that are left, so that a second cleaning finds the same day
        gap = days.index.to_series().diff().dt.days
        after = days[::-1].cumsum()[::-1] / days.sum()
        ends = days.index[((gap > 60) & (after < 1 / 200)) | ((gap > 5 * 365) & (after < 1 / 3))]
        if not len(ends):
            return days.index[-1]
        days = days[days.index < ends[0]]


def in_order(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Declared columns first, rows by key; the rows keep their index."""
    declared = [c for c in TABLES[name].names if c in frame]
    rest = [c for c in frame.columns if c not in declared]
    key = [k for k in TABLES[name].key if k in frame]
    frame = frame[declared + rest]
    if name == "stage_history":
        return frame  # in order since it was numbered
    if name == "stages":
        key = ["rank"]
    return keys.in_order(frame, key)


def _with_outcome(frame: pd.DataFrame) -> pd.DataFrame:
    """The outcome from the CRM's own columns `closed` and `won`, where there is no outcome column."""
    if "outcome" in frame or not {"_closed", "_won"} <= set(frame.columns):
        return frame
    closed, won = (frame[c].fillna(False).astype(bool) for c in ("_closed", "_won"))
    outcome = pd.Series("open", index=frame.index).mask(closed, "lost").mask(won, "won")
    return frame.assign(outcome=outcome.astype("str"))


def _one_close_date(columns: dict[str, tuple[str, ...]]) -> bool:
    return bool(set(columns.get("closed_date", ())) & set(columns.get("expected_close_date", ())))
