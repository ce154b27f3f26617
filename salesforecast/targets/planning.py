"""The plan of a coming period: the baseline, the wishes of a workbook that was edited, and a workbook to edit."""

from __future__ import annotations

import re
from pathlib import Path

import altair as alt
import pandas as pd

from salesforecast import style
from salesforecast.crm import separated, values
from salesforecast.crm.encodings import utf8
from salesforecast.errors import CannotSay, DataError, SettingError
from salesforecast.periods import ONE_DAY, Period, period, period_at
from salesforecast.tables import Kind, examples
from salesforecast.targets.edits import read
from salesforecast.targets.fitting import fit
from salesforecast.targets.plan import CENT, levels, texts
from salesforecast.targets.wishes import wishes
from salesforecast.targets.workbook import write
from salesforecast.text import clean, md

FIGURES: dict[str, Kind] = {"uplift": "fraction", "potential": "money"}  # of what files hold


def coming(span: Period, as_of: pd.Timestamp) -> Period:
    """The period while it is not over, else the one that is not by `as_of`.

    >>> coming(period("2025Q2"), pd.Timestamp("2025-05-31")).label, coming(period("2025Q2"), pd.Timestamp("2025-06-30")).label
    ('2025Q2', '2025Q3')
    """
    while span.until <= as_of + ONE_DAY:
        span = span.previous(-1)
    return span


def year(span: Period) -> Period:
    """The fiscal year that a period lies in."""
    return period_at(span.since, "Y", span.fiscal_year_start)


def longer(span: Period) -> Period:
    """The fiscal year that a quarter or month lies in.

    Raises
    ------
    CannotSay
        When the period is a year itself: it has been told already.
    """
    if span.kind == "Y":
        raise CannotSay("The period of this page is the year itself.")
    return year(span)


def eve(span: Period, as_of: pd.Timestamp) -> pd.Timestamp:
    """The first day not to be learnt from: the period's first, or the one after the last day known."""
    return min(span.since, as_of + ONE_DAY)


def to_plan(label: str, span: Period) -> Period:
    """The period of that name; the year after the period's own where none is given."""
    return period(label, span.fiscal_year_start) if label else year(span).previous(-1)


def cells_by(sales: pd.DataFrame, given: str = "") -> list[str]:
    """The columns that name a plan's cells: those given, with commas between, else region, team and rep as far as sales have them."""
    return [c.strip() for c in given.split(",") if c.strip()] or [c for c in ("region", "team", "rep") if c in sales]


def given(file: str = "") -> pd.DataFrame | None:
    """The rows of a CSV file, names as text, uplift and potential as figures; none where no file is named.

    Raises
    ------
    DataError
        When it cannot be read, or a figure is none.
    """
    if not file:
        return None
    name = clean(Path(file).name)
    try:
        rows, _, _ = separated.rows(utf8(Path(file).read_bytes(), name)[0], name, ())
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}. Give a CSV file with a row of headers.") from None
    rows = rows.apply(lambda column: column.str.strip()).replace("", pd.NA)
    for column, kind in FIGURES.items():
        if column in rows:
            text, rows[column] = rows[column], values.parse(rows[column], kind)
            if len(odd := text[text.notna() & rows[column].isna()]):
                raise DataError(f"{name}, column {column}: {examples(odd)} is no figure. Write 0.3 or 30%.")
    return rows


def whole_company(*only: str) -> None:
    """Refuse what is told among all on a page that is limited.

    Raises
    ------
    CannotSay
        When any of region, team, rep or product is chosen.
    """
    if any(only):
        raise CannotSay(
            "Quotas, their fairness and whether targets add up are told of the whole company alone: see the page without a region, team, "
            "rep or product."
        )


def planned(cells: pd.DataFrame, edited: str = "", *, total: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The plan of whole money units that keeps the wishes of an edited workbook; the baseline's where none is named.

    Parameters
    ----------
    cells : DataFrame
        From `baseline`.
    edited : str
        A workbook that `written` has written and somebody has edited; "" for none.
    total : float
        The target that was asked for; of one with cents, and of a workbook, the cells have cents as well.

    Returns
    -------
    DataFrame, DataFrame
        The plan (with baseline and target), and the wishes it keeps.

    Raises
    ------
    SettingError
        When the workbook holds a plan of other cells; names the first.
    """
    if not edited:
        return fit(cells, unit=1.0 if float(total).is_integer() else CENT), wishes(cells, ())
    plan, asked = read(edited)
    theirs, ours = texts(plan), texts(cells)
    apart = ours.merge(theirs, how="outer", indicator="side") if list(theirs) == list(ours) else None
    if apart is None:
        raise SettingError(
            f"{clean(Path(edited).name)} holds a plan by {', '.join(theirs)}, and this one is by {', '.join(ours)}. Choose `every` and "
            f"`plan_by` as they were when it was written."
        )
    apart = apart[apart["side"] != "both"]
    if len(apart):
        cell, side = clean(", ".join(apart[list(ours)].iloc[0])), apart["side"].iloc[0]
        raise SettingError(
            f"{clean(Path(edited).name)} is no plan of this period, filter and day: {style.plural(len(apart), 'cell')} "
            f"{'stands' if len(apart) == 1 else 'stand'} on one side alone, first '{cell}', "
            f"{'not in the workbook' if side == 'left_only' else 'in the workbook alone'}. Choose `plan` and `as_of` as they were when "
            f"it was written."
        )
    return fit(plan, asked), asked


def finding_planned(plan: pd.DataFrame, asked: pd.DataFrame, span: Period, total: float = 0.0) -> str:
    """One sentence: what the plan comes to, and by what, over how many cells, and how many wishes it keeps."""
    by = (
        "as asked"
        if total > 0
        else "what business brings that goes on and grows as before"
        if asked.empty
        else "as edited"
    )
    kept = f"; {style.plural(len(asked), 'wish')} {'is' if len(asked) == 1 else 'are'} kept" if len(asked) else ""
    over = "in one cell" if len(plan) == 1 else f"spread over {style.plural(len(plan), 'cell')} that add up to the cent"
    return (
        f"**{md(span.label)} is planned at {style.money(float(levels(plan)['target'].iloc[0]))}**, {by}, {over}{kept}."
    )


def chart_planned(plan: pd.DataFrame, by: str = "month") -> alt.LayerChart:
    """The plan by month, or by another of its columns."""
    part = levels(plan, [by])
    top = part.loc[part["target"].idxmax(), by]
    return style.bars(
        part.assign(text=[style.money(v) for v in part["target"]]), "target", by, text="text", accent=str(top),
        title=f"The plan by {by.removesuffix('_id')}", subtitle="Season, working days and shares of the past, and the wishes",
    )  # fmt: skip


def finding_overassigned(overassigned: pd.DataFrame) -> str:
    """One sentence: what a level is given beside the plan.

    Parameters
    ----------
    overassigned : DataFrame
        From `overassigned`.
    """
    plan, more = float(overassigned["target"].sum()), float(overassigned["over"].sum())
    who = style.plural(len(overassigned), str(overassigned.columns[-4]).removesuffix("_id"))
    if not more:
        return f"**{who} {'is' if len(overassigned) == 1 else 'are'} given the plan**, {style.money(plan)}."
    side = "more" if more > 0 else "less"
    return f"**{style.money(plan + more)}** is handed out to {who}, {style.money(abs(more))} {side} than the plan."


def written(plan: pd.DataFrame, asked: pd.DataFrame, file: str = "", *only: str) -> str:
    """Write the plan as a workbook, when a file is named; says so in a sentence.

    Parameters
    ----------
    plan, asked : DataFrame
        From `planned`.
    file : str
    *only : str
        What the page is limited to, which the file's name gets behind it: each team has a file of its own.
    """
    if not file:
        return "Name a file by the parameter `workbook` to have the plan as an Excel workbook that can be edited and read back."
    limited = [re.sub(r"\W+", "-", part)[:60] for part in only if part]
    made = write(plan, Path(file).with_stem(" ".join([Path(file).stem, *limited])), asked)
    return f"The plan was written to {md(Path(made).name)}; name it by `edited` to have its edits kept."
