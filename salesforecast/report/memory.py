"""What former reports have said, kept in one file beside them: how right their forecasts were, what came of what they proposed, what
has changed since.

A report sees only what was said with data that ended before its own; so it is the same whenever it is made again.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from salesforecast.report.folder import lock
from salesforecast.report.recommendations import WIDE, by_key
from salesforecast.report.results import Said, ranked
from salesforecast.stakes import LEVEL
from salesforecast.text import plain

LEDGER = "ledger.parquet"
FINDINGS = "findings.json"
RUN = ["company", "part", "period", "as_of", "digest"]  # one report
COLUMNS = {
    **dict.fromkeys((*RUN, "kind", "page", "key", "text"), "str"), **dict.fromkeys(("amount", "lower", "upper", "level"), "float64")
}  # fmt: skip


@dataclass(frozen=True)
class Report:
    """Which report it is: whose ("" where nobody named the company), on which part and period, with data until when, their hash."""

    company: str
    part: str
    period: str
    as_of: str
    digest: str


def entries(found: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of a report for the ledger, read from its findings.json; none where it does not say whose it is.

    Returns
    -------
    DataFrame
        company, part, period, as_of, digest; kind (finding, forecast, recommendation); page; key (the question, the period
        forecast, the option); text; amount, lower, upper (money; of a finding what is at stake, of a recommendation what it
        promises); level (the figure that an option moves).
    """
    rows: list[dict[str, Any]] = []
    for one in found["findings"] if found["report"]["company"] else ():
        of = {"page": one["page"], "text": one["finding"]}
        rows.append({**one.get("stake", {}), "kind": "finding", "key": one["question"], **of, "level": None})
        if f := one.get("forecast"):
            rows.append({**f, "kind": "forecast", "key": f["period"], "amount": f["mean"], **of})
    for one in found["recommendations"] if found["report"]["company"] else ():
        rows.append({**one, "kind": "recommendation", "text": one["lever"], "amount": one["promised"]})
    return pd.DataFrame(rows, columns=list(COLUMNS)).assign(**{c: found["report"][c] for c in RUN}).astype(COLUMNS)


def read(folder: Path) -> pd.DataFrame:
    """The ledger of a folder of reports; empty where there is none, or where it is none."""
    try:
        frame = pd.read_parquet(folder / LEDGER)
        return frame[list(COLUMNS)].astype(COLUMNS)
    except (OSError, ValueError, KeyError, TypeError):
        return pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS)


def settled(folder: Path) -> pd.DataFrame:
    """The ledger of a folder of reports, when all that stand there are in it; the file is whole at any moment.

    What a page said of the same company, part, period and data before gives way to what it says now. A run that was killed when its
    report stood already is made good by the next.
    """
    with lock(folder / ".ledger.lock"):
        whole = read(folder)
        if whole.empty and (folder / LEDGER).exists():
            os.replace(folder / LEDGER, folder / f"{LEDGER}.unread")  # of another version, or broken: not ours to lose
        new = [rows for rows in _standing(folder) if len(rows)]
        if not new:
            return whole
        known = whole
        for rows in new:
            again = _pages(whole).isin(set(_pages(rows)))
            whole = pd.concat([whole[~again], rows], ignore_index=True) if len(whole) else rows
        whole = whole.sort_values(
            ["as_of", "period", "company", "part", "digest", "page"], kind="stable", ignore_index=True
        )
        if not whole.equals(known):
            handle, name = tempfile.mkstemp(prefix=".ledger-", dir=folder)
            os.close(handle)
            try:
                whole.to_parquet(name, index=False)
                os.chmod(name, 0o644)
                os.replace(name, folder / LEDGER)
            finally:
                Path(name).unlink(missing_ok=True)
        return whole


def _pages(rows: pd.DataFrame) -> pd.Series:
    return rows[[*RUN, "page"]].apply(tuple, axis=1) if len(rows) else pd.Series(dtype="object")


def _standing(folder: Path) -> Iterator[pd.DataFrame]:
    """What each report in the folder says, those of several values too; the one made last comes last, and stays."""
    for manifest in sorted(folder.glob("[!.]*/manifest.json"), key=lambda path: (path.stat().st_mtime_ns, path)):
        for path in (manifest.parent / FINDINGS, *sorted(manifest.parent.glob(f"*/{FINDINGS}"))):
            with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # none, or none of ours
                yield entries(json.loads(path.read_text("utf-8")))


def former(ledger: pd.DataFrame, report: Report) -> pd.DataFrame:
    """What was said of the same company and part with data that ended earlier; nothing where the company has no name."""
    mine = (ledger["company"] == report.company) & (ledger["part"] == report.part) & (ledger["as_of"] < report.as_of)
    return ledger[mine & bool(report.company)].reset_index(drop=True)


def kept_forecasts(former: pd.DataFrame, actual: Mapping[str, float]) -> pd.DataFrame:
    """Former forecasts beside what came.

    Parameters
    ----------
    former : DataFrame
        From `former`.
    actual : mapping
        The bookings of each period that is over, by its label.

    Returns
    -------
    DataFrame
        period, as_of (of the forecast), mean, lower, upper, actual (money), held (flag: the 80% range had it), off (a fraction of what
        came); newest period first, of each the newest forecast first.
    """
    rows = former[(former["kind"] == "forecast") & former["key"].isin(list(actual))]
    found = pd.DataFrame({
        "period": rows["key"], "as_of": rows["as_of"], "mean": rows["amount"], "lower": rows["lower"], "upper": rows["upper"],
        "actual": rows["key"].map(dict(actual)).astype("float64"),
    })  # fmt: skip
    found["held"] = (found["actual"] >= found["lower"]) & (found["actual"] <= found["upper"])
    found["off"] = (found["mean"] - found["actual"]) / found["actual"].where(found["actual"] != 0)
    found = found.drop_duplicates(["period", "as_of"], keep="last")
    return found.sort_values(["period", "as_of"], ascending=False, ignore_index=True)


def delivered(former: pd.DataFrame, said: Sequence[Said]) -> pd.DataFrame:
    """What former reports promised of each option, and what has come of it.

    Delivered is by how much the figure that the lever moves has risen since the option was first proposed. Its range is that of the
    difference of two estimates. Where two findings speak of an option, the one that is proposed counts, then as now (`by_key`).

    Returns
    -------
    DataFrame
        key, lever, as_of (when it was first proposed), promised, lower, upper, delivered, delivered_lower, delivered_upper (money a
        year; missing where the data do not show it). Most promised first.
    """
    first = former[former["kind"] == "recommendation"].sort_values("as_of", kind="stable").drop_duplicates("key")
    now = by_key(said).set_index("key")
    rise = first["key"].map(now["level"]).astype("float64") - first["level"]
    width_now = first["key"].map(now["upper"] - now["lower"]).astype("float64")
    error = np.hypot(width_now, first["upper"] - first["lower"]) / WIDE
    half = error * WIDE / 2
    found = pd.DataFrame({
        "key": first["key"], "lever": first["text"], "as_of": first["as_of"], "promised": first["amount"], "lower": first["lower"],
        "upper": first["upper"], "delivered": rise, "delivered_lower": rise - half, "delivered_upper": rise + half,
    })  # fmt: skip
    return found.sort_values(["promised", "key"], ascending=[False, True], ignore_index=True)


def changed(former: pd.DataFrame, said: Sequence[Said]) -> pd.DataFrame:
    """The questions that the last report answered otherwise.

    Returns
    -------
    DataFrame
        page, question, was, now (sentences), was_amount, amount (money at stake); the dearest of either report first. `was` is empty
        for a question that is answered for the first time.
    """
    columns = ["page", "question", "was", "now", "was_amount", "amount"]
    if former.empty:
        return pd.DataFrame(columns=columns)
    last = former[former["as_of"] == former["as_of"].max()]
    last = last[(last["kind"] == "finding") & (last["period"] == last["period"].iloc[-1])]
    last = last.sort_values(
        "amount", key=lambda amount: -amount.clip(lower=0).fillna(0), kind="stable"
    )  # as `ranked` has them
    was = last.drop_duplicates(["page", "key"]).set_index(["page", "key"])
    seen: set[tuple[str, str]] = set()
    rows = []
    for one in ranked(said):
        at = (one.page, one.question)
        if at in seen:
            continue
        seen.add(at)
        text = str(was["text"].get(at, ""))
        if text != plain(one.sentence):
            rows.append((*at, text, plain(one.sentence), was["amount"].get(at, np.nan), one.amount))
    found = pd.DataFrame(rows, columns=columns).astype({"was_amount": "float64", "amount": "float64"})
    weight = found[["was_amount", "amount"]].max(axis=1).fillna(0.0)
    return found.iloc[np.argsort(-weight.to_numpy(), kind="stable")].reset_index(drop=True)


def finding_forecasts(kept: pd.DataFrame) -> str:
    """One sentence: how many ranges of former reports held, and how far off the forecasts were."""
    off = kept["off"].abs().mean()
    n, held = len(kept), int(kept["held"].sum())
    said = f"**{held} of {n}** {'range' if n == 1 else 'ranges'} of former reports held, where {LEVEL * n:.1f} are to"
    return f"{said}; the forecasts were off by {off:.0%} of what came." if pd.notna(off) else f"{said}."
