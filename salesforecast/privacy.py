"""Codes in place of names."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

import pandas as pd

from salesforecast.tables import Crm

DIGITS = 6  # of a code: of 300 people two share one in 1 case of 370, and only those two get longer ones


def coded(crm: Crm, codes: bool = True) -> Crm:
    """The same data with codes in place of the names and ids of reps, teams and managers; as they are where `codes` is false.

    A code is made from the id alone, so it is the same in every report, whoever comes or goes, but for those whose first six digits
    somebody shares: theirs are longer where both are in the data. Whoever knows or guesses the ids can
    work out whose it is (where the id is the name, that is every colleague), unless the settings have a secret `codes_key`, which goes
    into it. What sellers called their deals goes too, for names stand in it.
    """
    if not codes:
        return crm
    tables = dict(crm.tables)
    people = pd.concat([_texts(frame, "rep_id") for frame in tables.values()], ignore_index=True)
    key = crm.settings.codes_key
    names = _codes(people, "Rep", key)
    groups = {
        column: _codes(pd.concat([_texts(f, column) for f in tables.values()], ignore_index=True), word, key)
        for column, word in (("team", "Team"), ("manager", "Manager"))
    }
    for table, frame in tables.items():
        new = {c: frame[c].map(to).astype("str") for c, to in groups.items() if c in frame}
        if "rep_id" in frame:
            new["rep_id"] = frame["rep_id"].map(names).astype("str")
            if table == "reps":
                new["rep"] = new["rep_id"]
        if table == "opportunities" and "name" in frame:
            new["name"] = pd.Series(pd.NA, index=frame.index, dtype="str")
        tables[table] = frame.assign(**new)
    return replace(crm, tables=tables, snapshots={}, written={})


def _texts(frame: pd.DataFrame, column: str) -> pd.Series:
    return frame[column].dropna() if column in frame else pd.Series(dtype="str")


def _codes(values: pd.Series, word: str, key: str = "") -> dict[str, str]:
    names = sorted(set(values))
    hashes = {name: hashlib.sha256((key + name).encode()).hexdigest().upper() for name in names}
    codes, digits = {name: h[:DIGITS] for name, h in hashes.items()}, DIGITS
    while alike := [name for times in [Counter(codes.values())] for name, code in codes.items() if times[code] > 1]:
        digits += 1
        codes |= {name: hashes[name][:digits] for name in alike}
    return {name: f"{word} {code}" for name, code in codes.items()}
