"""Rows that may be one thing written twice: proposed, never merged."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

SHARED = 3  # accounts of one name: more are a common name or a chain
SAID_OF_ACCOUNTS = ("industry", "size", "region")
WITHIN = 30  # days between two deals that may be one
ALIKE = 0.9  # of the letters of their names
# What companies end in: Anglo-Saxon, German, French, Spanish, Italian, Dutch, Nordic, Polish, Hungarian, Czech, Ukrainian, Chinese.
LEGAL = (
    "incorporated|inc|corporation|corp|company|co|llc|llp|lp|limited|ltd|plc|pty|pte|gmbh|mbh|ag|kg|ohg|ug|se|ev|sasu|sarl|sas|sa|"
    "eurl|slu|sl|srl|spa|sapi|bv|nv|vof|asa|as|ab|aps|oyj|oy|ehf|hf|sp z ?oo|spzoo|kft|nyrt|zrt|rt|bt|sro|doo|dd|тов|прат|пат|ооо|оао|зао"
)


def companies(names: pd.Series) -> pd.Series:
    """Companies' names without what people vary: case, signs, and the legal form at the end.

    >>> companies(pd.Series(["Acme Holdings, Inc.", "ACME Holdings LLC", "Kovács Kft.", "北方有限公司", "AS", "Nowa Sp. z o.o."])).tolist()
    ['acme holdings', 'acme holdings', 'kovács', '北方', 'as', 'nowa']
    """
    text = pc.utf8_lower(pa.array(names.astype("str")))
    for pattern, instead in (
        (r"[&+/_-]", " "), (r"[^\pL\pN\s]", ""), (r"[\s\x{a0}]+", " "), (r"^ | $", ""),
        (rf"^(.+?)(?: (?:{LEGAL}))+$", r"\1"), (r"^(.+?)(?:股份)?有限公司$", r"\1"),
    ):  # fmt: skip
        text = pc.replace_substring_regex(text, pattern, instead)
    return pd.Series(text.to_numpy(zero_copy_only=False), index=names.index, dtype="str")


def accounts(frame: pd.DataFrame) -> pd.Series:
    """The account each row may be the same as, by the row's index; the first of each name is the one to keep.

    The same name but for case, signs and the legal form; not where one belongs to the other, nor where industry, size or
    region differ, nor a name that more than three accounts have: that is a common name or a chain.

    Parameters
    ----------
    frame : DataFrame
        account_id, account, and parent_id where there is one.
    """
    known = frame[frame["account"].notna() & frame["account_id"].notna()]
    folded = companies(known["account"])
    # Names of the same letters in other scripts or none at all fold to nothing, and nothing is no name.
    known, folded = known[folded != ""], folded[folded != ""]
    first = known["account_id"].groupby(folded).transform("first")
    twice = first != known["account_id"]
    twice &= folded.groupby(folded).transform("size") <= SHARED
    for column in [c for c in ("parent_id", *SAID_OF_ACCOUNTS) if c in known]:
        of_first = first.map(known.drop_duplicates("account_id").set_index("account_id")[column])
        if column == "parent_id":
            twice &= (known[column] != first) & (of_first != known["account_id"])
        else:
            twice &= (known[column] == of_first) | known[column].isna() | of_first.isna()
    return first[twice].astype("str")


def deals(frame: pd.DataFrame) -> pd.Series:
    """The deal each row may be the same as, by the row's index: the one entered before it.

    The same account and amount, entered within 30 days, and names of which nine letters in ten are the same and all
    figures; names that differ in a figure are a series, not a mistake.

    Parameters
    ----------
    frame : DataFrame
        opportunity_id, account_id, amount, name, created_date.
    """
    block = ["account_id", "amount"]
    known = frame.dropna(subset=[*block, "name", "created_date"])
    known = known[known["amount"] > 0]
    known = known[known.duplicated(block, keep=False)].sort_values(
        [*block, "created_date", "opportunity_id"], kind="stable"
    )
    before = known.shift()
    near = (known[block].eq(before[block]).all(axis=1)) & (
        (known["created_date"] - before["created_date"]).dt.days <= WITHIN
    )
    pairs = known[near].assign(other_name=before["name"][near], other=before["opportunity_id"][near])
    words = {
        v: " ".join(re.findall(r"\w+", v.casefold())) for v in pd.concat([pairs["name"], pairs["other_name"]]).unique()
    }
    same = [_alike(words[a], words[b]) for a, b in zip(pairs["name"], pairs["other_name"], strict=True)]
    return pairs.loc[same, "other"].astype("str")


def _alike(a: str, b: str) -> bool:
    if a == b or re.findall(r"\d+", a) != re.findall(r"\d+", b):
        return a == b
    return SequenceMatcher(None, a, b).ratio() >= ALIKE
