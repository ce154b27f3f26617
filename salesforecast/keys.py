"""Comparing, matching and ordering columns by the million."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def among(column: pd.Series, values: pd.Series | pd.Index) -> pd.Series:
    """Whether each text is one of the values; a missing one is not."""
    found = pc.is_in(pa.array(column.astype("str")), value_set=pa.array(pd.Series(values).dropna().astype("str")))
    return pd.Series(found.to_numpy(zero_copy_only=False), index=column.index) & column.notna()


def matches(text: pd.Series, pattern: str) -> pd.Series:
    r"""Whether each text holds the pattern; a missing one does not. In it \s and \d are those of ASCII.

    >>> matches(pd.Series(["a1", "b", None], dtype="str"), r"\d").tolist()
    [True, False, False]
    """
    found = pc.fill_null(pc.match_substring_regex(pa.array(text.astype("str")), pattern), False)
    return pd.Series(found.to_numpy(zero_copy_only=False), index=text.index)


def starts(column: pd.Series) -> np.ndarray:
    """Whether each text is another one than in the row before."""
    if not len(column):
        return np.array([], dtype=bool)
    texts = pa.array(column.astype("str"))
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    other = pc.fill_null(pc.not_equal(texts[1:], texts[:-1]), True)
    return np.r_[True, other.to_numpy(zero_copy_only=False)]


def codes(column: pd.Series) -> np.ndarray:
    """Numbers in the order of the values, the missing ones last."""
    if pd.api.types.is_string_dtype(column.dtype):
        found, values = pd.factorize(column)
        order = np.empty(len(values), dtype="int64")
        order[np.argsort(np.asarray(values, dtype=object), kind="stable")] = np.arange(len(values))
        return np.where(found < 0, len(values), order[found] if len(values) else 0)
    if pd.api.types.is_datetime64_any_dtype(column):
        return np.where(column.isna(), np.iinfo("int64").max, column.to_numpy().astype("int64"))
    return column.astype("float64").to_numpy()  # NaN is the largest for numpy


def repeated(frame: pd.DataFrame, key: list[str], keep: str | bool = False) -> pd.Series:
    """Whether another row has the same key, as `DataFrame.duplicated`."""
    numbers = pd.DataFrame({k: pd.factorize(frame[k])[0] for k in key}, index=frame.index)
    return numbers.duplicated(keep=keep)


def in_order(frame: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """The rows by key, those of one key in the order they were in; they keep their index."""
    order = np.lexsort([codes(frame[k]) for k in reversed(key)])
    return frame if (order[1:] > order[:-1]).all() else frame.iloc[order]
