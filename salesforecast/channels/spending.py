"""What each channel cost, by month, whatever the length of the periods in which it was kept."""

from __future__ import annotations

import pandas as pd

from salesforecast.errors import DataError
from salesforecast.periods import Period, period_at, readable
from salesforecast.tables import Crm, examples


def spending(crm: Crm) -> pd.DataFrame:
    """What each channel cost by month: a figure of a quarter or a year is dealt out evenly over its months, a day's is its month's.

    Quarters and years are those of the fiscal year.

    Returns
    -------
    DataFrame
        channel, period (first day of the month), spend.

    Raises
    ------
    MissingTable
        Without spend.
    DataError
        When a period is none.

    Examples
    --------
    >>> table = pd.DataFrame({"channel": ["Fair"], "period": ["2025Q2"], "spend": [300.0]})
    >>> spending(Crm({"spend": table}, pd.Timestamp("2025-06-30")))
      channel     period  spend
    0    Fair 2025-04-01  100.0
    1    Fair 2025-05-01  100.0
    2    Fair 2025-06-01  100.0
    """
    labels = crm.spend["period"].unique()
    spans = {label: _span(label, crm.settings.fiscal_year_start) for label in labels}
    if wrong := [label for label, span in spans.items() if span is None]:
        raise DataError(f"Table 'spend', column period: {examples(wrong)} is no month, quarter or year; write 2025-06.")
    months = pd.DataFrame(
        [(label, m) for label, s in spans.items() if s for m in pd.date_range(s.since, s.until, freq="MS", inclusive="left")],
        columns=["label", "month"],
    ).astype({"month": "datetime64[us]"})  # fmt: skip
    rows = crm.spend.merge(months, left_on="period", right_on="label")
    each = rows["spend"] / rows["label"].map(months["label"].value_counts())
    frame = pd.DataFrame({"channel": rows["channel"], "period": rows["month"], "spend": each})
    return frame.groupby(["channel", "period"], as_index=False)["spend"].sum()


def _span(label: str, fiscal_year_start: int) -> Period | None:
    if span := readable(label, fiscal_year_start):
        return span
    day = pd.NaT if "Q" in str(label).upper() else pd.to_datetime(str(label), errors="coerce")
    return None if pd.isna(day) else period_at(day, "M")
