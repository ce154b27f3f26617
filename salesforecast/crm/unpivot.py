"""Stage history that an export lays out in columns: one date a stage, as `Date entered "Proposal"`."""

from __future__ import annotations

import re

import pandas as pd

from salesforecast.crm.values import NOTHING

_PIPELINE = re.compile(r"\s*\([^()]*\)$")


def stage_columns(header: list[str], patterns: tuple[str, ...]) -> dict[str, str]:
    """Their column -> the stage it is about; of two columns about one stage, that of the earlier pattern.

    >>> stage_columns(['Date entered "Won (Sales)"', "Date entered 'Won (Sales)'"], ('Date entered "(.*)"', "Date entered '(.*)'"))
    {'Date entered "Won (Sales)"': 'Won (Sales)'}
    """
    found: dict[str, str] = {}
    for pattern in patterns:
        for column in header:
            match = re.fullmatch(pattern, column, flags=re.IGNORECASE)
            if match and match[1].strip() not in found.values():
                found.setdefault(column, match[1].strip())
    return found


def entries(deals: pd.DataFrame, patterns: tuple[str, ...]) -> pd.DataFrame | None:
    """One row per deal and stage it has entered: opportunity_id, entered_at, stage; None without such columns.

    Only the last entry into a stage is known this way. A stage written with its pipeline in brackets loses the brackets
    where the deals write it without.
    """
    found = stage_columns([str(c) for c in deals.columns], patterns)
    if not found or "opportunity_id" not in deals:
        return None
    written = set(deals["stage"].dropna().str.strip().str.casefold()) if "stage" in deals else set()
    if written and not any(s.casefold() in written for s in found.values()):
        found = {c: _PIPELINE.sub("", s) for c, s in found.items()}
    parts = []
    for column, stage in found.items():
        text = deals[column].str.strip()
        there = text.notna() & text.ne("") & ~text.str.casefold().isin(NOTHING)
        part = {"opportunity_id": deals.loc[there, "opportunity_id"], "entered_at": text[there]}
        parts.append(pd.DataFrame(part).assign(stage=stage))
    return pd.concat(parts, ignore_index=True).astype("str")
