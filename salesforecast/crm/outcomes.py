"""Open, won or lost as the export says it: by a column of words, by flags, by a stage table; never by a stage's name."""

from __future__ import annotations

import pandas as pd

from salesforecast.crm.mapping import CONFIG, TableMapping
from salesforecast.crm.values import FLAGS
from salesforecast.errors import DataError
from salesforecast.tables import examples

WON, LOST = "Won", "Lost"  # the stages of deals whose outcome is told by a word beside the stage


def settle(frame: pd.DataFrame, table: str, of: TableMapping) -> pd.DataFrame:
    """The frame with `_closed` and `_won` where a column of words, or flags for won and lost, say as much.

    Raises
    ------
    DataError
        For a word that the mapping does not know.
    """
    if "_status" in frame:
        frame = _from_words(frame, table, of)
    if "_closed" not in frame and {"_won", "_lost"} <= set(frame):
        won, lost = (frame[c].str.strip().str.casefold().map(FLAGS).astype("boolean") for c in ("_won", "_lost"))
        frame = frame.assign(_closed=(won | lost).astype("str").mask((won | lost).isna()))
    return frame.drop(columns=["_status", "_lost"], errors="ignore")


def _from_words(frame: pd.DataFrame, table: str, of: TableMapping) -> pd.DataFrame:
    words = {word.casefold(): what for what, theirs in of.status.items() for word in (what, *theirs)}
    said = frame["_status"].str.strip().str.casefold()
    meant = said.map(words)
    odd = said.notna() & said.ne("") & meant.isna()
    if odd.any():
        raise DataError(
            f"The column of '{table}' that says open, won or lost holds {examples(frame.loc[odd, '_status'])} in "
            f'{odd.sum():,} rows. Say what it means in {CONFIG}: [{table}.status] open = ["…"], won = ["…"], lost = ["…"].'
        )
    says = meant.notna()
    closed, won = meant.isin(["won", "lost"]), meant.eq("won")
    frame = frame.assign(_closed=closed.astype("str").where(says), _won=won.astype("str").where(says))
    # Such a CRM leaves a closed deal in the stage in which it was; here a stage says what a deal in it is.
    before = frame["stage"] if "stage" in frame else pd.Series("Open", index=frame.index).where(says).astype("str")
    frame = frame.assign(stage=before.mask(won, WON).mask(meant.eq("lost"), LOST), stage_before=before)
    if meant.eq("deleted").any() and "_deleted" not in frame:
        frame = frame.assign(_deleted=meant.eq("deleted").astype("str"))
    return frame


def complete_stages(tables: dict[str, pd.DataFrame]) -> None:
    """Add Won and Lost to a stage table of open stages only, where the deals say by a word what came of them."""
    stages, deals = tables.get("stages"), tables["opportunities"]
    if stages is None or "stage_before" not in deals or {"outcome", "_closed", "_won"} & set(stages):
        return
    ends = pd.DataFrame({"stage": [WON, LOST], "outcome": ["won", "lost"]}, dtype="str")
    if "rank" in stages:
        ends["rank"] = pd.Series(["1000", "1001"], dtype="str")  # after all others; ranks are counted anew
    tables["stages"] = pd.concat([stages.assign(outcome="open").astype({"outcome": "str"}), ends], ignore_index=True)


def name_stages(tables: dict[str, pd.DataFrame]) -> None:
    """Put the stages' names in the place of the ids by which deals and histories know them.

    Two stages of one name, in two pipelines, keep their ids beside it.
    """
    stages = tables.get("stages")
    if stages is None or "_key" not in stages:
        return
    names = stages["stage"].str.strip()
    twice = names.duplicated(keep=False)
    names = names.where(~twice, names + " [" + stages["_key"] + "]")
    tables["stages"] = stages.assign(stage=names).drop(columns="_key")
    by_key = dict(zip(stages["_key"].str.strip(), names, strict=True))
    for table in ("opportunities", "stage_history"):
        if table in tables and "stage" in tables[table]:
            theirs = tables[table]["stage"].str.strip()
            tables[table] = tables[table].assign(stage=theirs.map(by_key).fillna(theirs).astype("str"))
