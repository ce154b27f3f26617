"""What former reports have said, kept in one file beside them: how right their forecasts were, what came of what they proposed, what
has changed since.

A report sees only what was said with data that ended before its own; so it is the same whenever it is made again.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from salesforecast.report.folder import lock
from salesforecast.report.recommendations import WIDE
from salesforecast.report.results import Said
from salesforecast.stakes import LEVEL
from salesforecast.text import plain

LEDGER = "ledger.parquet"
RUN = ["company", "part", "period", "as_of", "digest"]  # one report; made again, it takes the place of its former rows
COLUMNS = {
    **dict.fromkeys((*RUN, "kind", "page", "key", "text"), "str"), **dict.fromkeys(("amount", "lower", "upper", "level"), "float64")
}  # fmt: skip


@dataclass(frozen=True)
class Report:
    """Which report it is: whose, on which part and period, with data until which day, and their hash."""

    company: str
    part: str
    period: str
    as_of: str
    digest: str


def entries(report: Report, said: Sequence[Said], recommended: pd.DataFrame) -> pd.DataFrame:
    """The rows of a report for the ledger.

    Returns
    -------
    DataFrame
        company, part, period, as_of, digest; kind (finding, forecast, recommendation); page; key (the question, the period
        forecast, the option); text; amount, lower, upper (money; of a finding what is at stake, of a recommendation what it
        promises); level (the figure that an option moves).
    """
    rows: list[dict[str, object]] = []
    for one in said:
        first = one.stakes[0] if one.stakes else None
        rows.append({
            "kind": "finding", "page": one.page, "key": one.question, "text": plain(one.sentence),
            **({"amount": first.amount, "lower": first.lower, "upper": first.upper} if first else {}),
        })  # fmt: skip
        if one.forecast:
            f = one.forecast
            rows.append({"kind": "forecast", "page": one.page, "key": f.period, "text": plain(one.sentence),
                         "amount": f.mean, "lower": f.lower, "upper": f.upper})  # fmt: skip
    for row in recommended.itertuples():
        rows.append({"kind": "recommendation", "page": row.page, "key": row.key, "text": plain(str(row.lever)), "amount": row.promised,
                     "lower": row.lower, "upper": row.upper, "level": row.level})  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).assign(**vars(report))
    return frame.astype(COLUMNS)


def read(folder: Path) -> pd.DataFrame:
    """The ledger of a folder of reports; empty where there is none, or where it is none."""
    try:
        frame = pd.read_parquet(folder / LEDGER)
        return frame[list(COLUMNS)].astype(COLUMNS)
    except (OSError, ValueError, KeyError, TypeError):
        return pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS)


def append(folder: Path, new: pd.DataFrame) -> None:
    """Add the rows of a report; those of the same report, made before, go. The file is whole at any moment."""
    if new.empty:
        return
    with lock(folder / ".ledger.lock"):
        old = read(folder)
        if old.empty and (folder / LEDGER).exists():
            os.replace(folder / LEDGER, folder / f"{LEDGER}.unread")  # of another version, or broken: not ours to lose
        again = (
            old[RUN].apply(tuple, axis=1).isin(set(new[RUN].apply(tuple, axis=1)))
            if len(old)
            else pd.Series(dtype="bool")
        )
        whole = pd.concat([old[~again], new], ignore_index=True) if len(old) else new
        whole = whole.sort_values(["as_of", "period", "company", "part", "digest"], kind="stable", ignore_index=True)
        handle, name = tempfile.mkstemp(prefix=".ledger-", dir=folder)
        os.close(handle)
        try:
            whole.to_parquet(name, index=False)
            os.chmod(name, 0o644)
            os.replace(name, folder / LEDGER)
        finally:
            Path(name).unlink(missing_ok=True)


def former(ledger: pd.DataFrame, report: Report) -> pd.DataFrame:
    """What was said of the same company and part with data that ended earlier."""
    mine = (ledger["company"] == report.company) & (ledger["part"] == report.part) & (ledger["as_of"] < report.as_of)
    return ledger[mine].reset_index(drop=True)


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
    difference of two estimates.

    Returns
    -------
    DataFrame
        key, lever, as_of (when it was first proposed), promised, lower, upper, delivered, delivered_lower, delivered_upper (money a
        year; missing where the data do not show it). Most promised first.
    """
    first = former[former["kind"] == "recommendation"].sort_values("as_of", kind="stable").drop_duplicates("key")
    every = {s.key: {"level": s.level, "width": s.upper - s.lower} for one in said for s in one.stakes if s.key}
    now = pd.DataFrame.from_dict(every, orient="index", columns=["level", "width"])
    rise = first["key"].map(now["level"]).astype("float64") - first["level"]
    width_now = first["key"].map(now["width"]).astype("float64")
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
    was = last.drop_duplicates(["page", "key"]).set_index(["page", "key"])
    seen: set[tuple[str, str]] = set()
    rows = []
    for one in said:
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
