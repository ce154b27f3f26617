"""Amounts of several currencies become amounts of one, each at the rate of its day."""

from __future__ import annotations

import pandas as pd

from salesforecast import ledger
from salesforecast.crm import currencies
from salesforecast.crm.mapping import CONFIG
from salesforecast.errors import DataError
from salesforecast.formats import plural
from salesforecast.tables import TABLES, examples

Frames = dict[str, pd.DataFrame]
# The day whose rate holds: the first of these that a row has.
DAYS = {"opportunities": ("closed_date", "created_date"), "stage_history": ("entered_at",), "orders": ("order_date",)}
WHY = {
    "converted": "It was in another currency; the rate is the last one on or before its day: closed, else entered.",
    "no exchange rate": "No rate is as old as its day, or it has none; it is not added up with the others.",
    "no currency": "The others are in several currencies and this one says none, so it is not added up with them.",
}


def convert(tables: Frames, raw: Frames, setting: str, found: list[pd.DataFrame]) -> None:
    """Turn the exported amounts into the reporting currency, and the column `currency` with them.

    Parameters
    ----------
    tables : dict
        As values; changed in place.
    raw : dict
        As they were exported: amounts that come from elsewhere, as from a price list, are in the reporting currency.
    setting : str
        The reporting currency, as the settings have it.
    found : list
        Where the issues go.

    Raises
    ------
    DataError
        When amounts are in another currency than the reporting one and there is no rate for it.
    """
    said = {name: said for name in DAYS if name in tables and (said := _said(tables, name)) is not None}
    counts = pd.concat(list(said.values()) or [pd.Series(dtype="str")]).value_counts()
    wanted = currencies.reporting(setting, set(counts.index))
    meant = {
        c: wanted if wanted in currencies.SIGNS.get(c, ()) else currencies.SIGNS.get(c, (c,))[0] for c in counts.index
    }
    others = sorted({c for c in meant.values() if c != wanted})
    if not others:
        return
    table = _rates(tables)
    _refuse(counts, others, wanted, table)
    for name, codes in said.items():
        tables[name] = _converted(tables[name], name, raw[name], codes.map(meant).astype("str"), wanted, table, found)


def _said(tables: Frames, name: str) -> pd.Series | None:
    """The currency of each row; a change that says none is in the currency of its deal. None where nothing says one."""
    frame, deals = tables[name], tables["opportunities"]
    own = currencies.codes(frame["currency"]) if "currency" in frame else None
    if name != "stage_history" or "currency" not in deals:
        return own
    of_deals = currencies.codes(deals["currency"]).set_axis(deals["opportunity_id"])
    of_deals = frame["opportunity_id"].map(of_deals).astype("str")
    return of_deals if own is None else own.fillna(of_deals)


def _rates(tables: Frames) -> pd.DataFrame:
    """What one of a currency was worth, from each day on: date, currency, rate."""
    frame = tables.get("exchange_rates", pd.DataFrame(columns=["date", "currency"]))
    rate = frame.get("rate", pd.Series(float("nan"), index=frame.index))
    if "per_unit" in frame:
        rate = rate.fillna(1 / frame["per_unit"].where(frame["per_unit"] > 0))
    known = frame[["date", "currency"]].assign(rate=rate.astype("float64").where(rate > 0))
    return known.assign(currency=currencies.codes(known["currency"])).dropna().sort_values("date", kind="stable")


def _refuse(counts: pd.Series, others: list[str], wanted: str, table: pd.DataFrame) -> None:
    lacking = [c for c in others if c not in set(table["currency"])]
    listed = ", ".join(f"{code} ({plural(n, 'row')})" for code, n in counts.items())
    if lacking:
        most = str(counts.index[0])
        other = (
            f' If another currency is reported, say so in {CONFIG}: currency = "{most}".'
            if most != wanted and wanted not in currencies.SIGNS.get(most, ())
            else ""
        )
        raise DataError(
            f"Amounts are in {listed}, and the reporting currency is {wanted}. They cannot be added up without rates for "
            f"{', '.join(lacking)}: put a file exchange_rates.csv beside the export, with date, currency, rate (what one of it is "
            f"worth in {wanted}).{other}"
        )
    own = table[(table["currency"] == wanted) & ((table["rate"] - 1).abs() > 1e-9)]
    if len(own):
        raise DataError(
            f"The exchange rates say that one {wanted} is worth {examples(own['rate'])}, but {wanted} is the reporting "
            f'currency. Say in {CONFIG} in which currency the rates are: currency = "…".'
        )


def _converted(
    frame: pd.DataFrame, name: str, raw: pd.DataFrame, codes: pd.Series, wanted: str, table: pd.DataFrame, found: list[pd.DataFrame]
) -> pd.DataFrame:  # fmt: skip
    money = [c.name for c in TABLES[name].columns if c.kind == "money" and c.name in frame and c.name in raw]
    filled = frame[money].notna().any(axis=1)
    rate = _rate_of(frame, name, codes, table)
    cases = {
        "converted": filled & codes.notna() & codes.ne(wanted) & rate.notna(),
        "no exchange rate": filled & codes.notna() & codes.ne(wanted) & rate.isna(),
        "no currency": filled & codes.isna(),
    }
    after = frame.copy()
    for rule, rows in cases.items():
        for column in money:
            mine = rows & frame[column].notna()
            after[column] = after[column].mask(
                mine, (frame[column] * rate).round(2) if rule == "converted" else float("nan")
            )
            if mine.any():
                found.append(ledger.noted(name, frame[mine], column, after.loc[mine, column], rule, WHY[rule]))
    rows = cases["converted"]
    after["currency"] = codes.mask(rows, wanted) if "currency" not in frame else frame["currency"].mask(rows, wanted)
    if "currency" in frame and rows.any():
        found.append(
            ledger.noted(name, frame[rows], "currency", after.loc[rows, "currency"], "converted", WHY["converted"])
        )
    must = [c for c in money if TABLES[name][c].required]
    lost = (after[must].isna() & frame[must].notna()).any(axis=1)
    if lost.any():
        found.append(ledger.apart(name, frame[lost], "no exchange rate", WHY["no exchange rate"]))
    return after[~lost]


def _rate_of(frame: pd.DataFrame, name: str, codes: pd.Series, table: pd.DataFrame) -> pd.Series:
    """The last rate of each row's currency on or before its day."""
    day = pd.Series(pd.NaT, index=frame.index, dtype="datetime64[us]")
    for column in [c for c in DAYS[name] if c in frame]:
        day = day.fillna(frame[column].dt.normalize())
    asked = pd.DataFrame({"date": day, "currency": codes}).dropna().sort_values("date", kind="stable")
    rates = pd.merge_asof(asked, table.astype({"date": asked["date"].dtype}), on="date", by="currency")["rate"]
    return rates.set_axis(asked.index).reindex(frame.index)
