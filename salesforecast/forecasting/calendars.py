"""Regressors that are known in advance: working days, holidays that move, what a table says of the periods ahead; and which help."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from salesforecast.errors import DataError, SettingError, TooLittleData, unknown
from salesforecast.forecasting.panel import Panel, frequency
from salesforecast.text import md
from salesforecast.workdays import holidays_of, open_days

if TYPE_CHECKING:
    from salesforecast.forecasting.regression import Components, Regression, Sarimax

LEAST = 0.5  # a period without any working day has no logarithm


class Moving(NamedTuple):
    """A holiday that moves: the country whose calendar has it, its name there, and the days it is felt before and after."""

    country: str
    name: str
    before: int
    after: int


MOVING = {
    "easter": Moving("DE", "Easter Monday", 9, 0),
    "nowruz": Moving("IR", r"Nowruz", 7, 13),
    "lunar_new_year": Moving("CN", r"Chinese New Year \(Spring Festival\)", 7, 7),
    "eid_al_fitr": Moving("TR", r"Eid al-Fitr.*", 3, 3),
    "eid_al_adha": Moving("TR", r"Eid al-Adha.*", 3, 4),
}


def working_days(periods: pd.DatetimeIndex, *, country: str = "", freq: str = "") -> np.ndarray:
    """The working days of each period: no weekend and no public holiday of the country, moving ones included.

    The weekend is the country's own (Friday in Iran), and days off that are worked elsewhere count where they are worked.
    Without a country: Mondays to Fridays. Calendars of the package `holidays`; those of years ahead are as announced, or
    computed, and may still change.

    Parameters
    ----------
    periods : DatetimeIndex
        First days of consecutive periods.
    country : str
        Two letters (ISO 3166), such as "IR"; with a part of it, "GB-ENG", where parts have their own; "" for none.
    freq : str
        "MS", "QS", "W-MON", …, where it cannot be read from the periods.

    Returns
    -------
    ndarray (periods,)
        Days.

    Raises
    ------
    SettingError
        When there is no calendar of that country.

    Examples
    --------
    >>> months = pd.date_range("2024-03-01", periods=3, freq="MS")
    >>> working_days(months).tolist(), working_days(months, country="GB-ENG").tolist()
    ([21.0, 22.0, 23.0], [20.0, 21.0, 21.0])
    """
    edges = ahead(periods, 1, freq=freq)
    days = pd.date_range(edges[0], edges[-1], inclusive="left")
    return _per_period(days[open_days(days, country).to_numpy()], edges)


def moving_share(periods: pd.DatetimeIndex, name: str, *, freq: str = "") -> np.ndarray:
    """The share of a moving holiday's time that lies in each period; the shares of one year's feast add up to 1.

    Its time is the days on which business feels it: Easter from Palm Saturday to Easter Monday, Nowruz the week before to
    the thirteenth day after, Lunar New Year and the Eids a few days around.

    Parameters
    ----------
    periods : DatetimeIndex
        First days of consecutive periods.
    name : str
        "easter", "nowruz", "lunar_new_year", "eid_al_fitr" or "eid_al_adha".
    freq : str
        As in `working_days`.

    Source: Bell & Hillmer (1983), for Easter in monthly series.

    Examples
    --------
    >>> moving_share(pd.date_range("2024-03-01", periods=3, freq="MS"), "easter").tolist()  # 31 March 2024
    [0.9, 0.1, 0.0]
    """
    if name not in MOVING:
        raise unknown("moving holiday", name, MOVING)
    edges, feast = ahead(periods, 1, freq=freq), MOVING[name]
    long = feast.before + 1 + feast.after
    felt = [
        day + pd.Timedelta(days=shift)
        for day in _feasts(feast, range(edges[0].year - 1, edges[-1].year + 2))
        for shift in range(-feast.before, feast.after + 1)
    ]
    return _per_period(pd.DatetimeIndex(felt), edges) / long


def regressors(
    periods: pd.DatetimeIndex,
    h: int,
    *,
    country: str = "",
    moving: Sequence[str] = (),
    table: pd.DataFrame | None = None,
    series: Sequence[str] = (),
    freq: str = "",
) -> dict[str, np.ndarray]:
    """Known-in-advance values for the periods of a panel and the `h` after it, under the names the models ask for.

    Parameters
    ----------
    periods : DatetimeIndex
        The panel's.
    h : int
        How many periods ahead are to be forecast.
    country : str
        Whose public holidays are not worked; "" for weekdays only.
    moving : sequence of str
        Moving holidays, see `moving_share`.
    table : DataFrame, optional
        Columns period (first day), name, value, and series where a value is of one series only: campaigns, prices, a market
        index. Every period of the panel and the `h` ahead must be there; a month without a campaign is a 0.
    series : sequence of str
        The panel's names, in its order; needed when the table has a column series.
    freq : str
        As in `working_days`.

    Returns
    -------
    dict of str to ndarray (1 or series, periods + h)
        log_working_days, the moving holidays, and the names in the table. Half a day stands for none at all, which has no
        logarithm.

    Raises
    ------
    SettingError
        When a holiday or a country is not known, or a name is given twice.
    DataError
        When values are missing in the table; the message names the periods.
    """
    every = ahead(periods, h, freq=freq)
    days = working_days(every, country=country, freq=freq)
    out = {"log_working_days": np.log(np.maximum(days, LEAST))[None, :]}
    for name in moving:
        out[name] = moving_share(every, name, freq=freq)[None, :]
    if table is not None:
        for column in ("period", "name", "value"):
            if column not in table:
                raise unknown("column", column, table.columns)
        for key, rows in table.groupby("name", sort=False):
            name = str(key)
            if name in out:
                raise SettingError(
                    f"The regressor {name!r} is made by the calendar already; give the table's another name."
                )
            out[name] = _from_table(name, rows, every, len(periods), list(series))
    return out


def worth(
    panel: Panel,
    names: Sequence[str],
    *,
    model: Regression | Sarimax | Components | None = None,
    h: int = 1,
    origins: int = 24,
) -> pd.DataFrame:
    """Whether a regressor makes forecasts better that are made before the fact: each name on its own, at past origins.

    The model is fitted at every origin to what was known then, with and without the regressor. It is kept when the errors become
    smaller by more than one standard error of that difference. Its future values count as known; an index that must itself be
    forecast is worth less than is said here.

    Parameters
    ----------
    panel : Panel
        With the regressors.
    names : sequence of str
        Which of them to try.
    model : Regression, Sarimax or Components
        What they are added to; a `Regression` without others where none is given.
    h : int
        Periods ahead.
    origins : int
        At most so many, `h` periods apart, so that their errors do not overlap.

    Returns
    -------
    DataFrame
        regressor, n (origins), without, with_it (mean absolute error as a share of the mean value, averaged over series), gain
        (share by which the error becomes smaller), kept, why (a sentence).

    Raises
    ------
    SettingError
        When the panel has no regressor of that name.
    TooLittleData
        With fewer than 8 origins.
    """
    from salesforecast.forecasting.grammar import backtest
    from salesforecast.forecasting.regression import Regression, columns_of

    model = model or Regression()
    columns_of(panel, names)
    enough = int((len(panel.periods) - h - model.least(panel) - 2) // h)
    if min(origins, enough) < 8:
        raise TooLittleData(
            f"Whether a regressor helps takes 8 past origins; {len(panel.periods)} periods leave {max(0, enough)}. About "
            f"{(8 - max(0, enough)) * h} more periods would do."
        )
    models = {"": model, **{name: replace(model, regressors=(*model.regressors, name)) for name in names}}
    tried = backtest(panel, models, h, origins=min(origins, enough), step=h)
    actual = pd.DataFrame(panel.values, index=list(panel.names), columns=panel.periods).stack().rename("actual")
    tried = tried.join(actual, on=["series", "period"])
    size = tried["series"].map(dict(zip(panel.names, np.nanmean(np.abs(panel.values), axis=1), strict=True)))
    error = ((tried["actual"] - tried["mean"]).abs() / size).groupby([tried["origin"], tried["model"]]).mean().unstack()
    rows = []
    for name in names:
        better = error[""] - error[name]
        sure = better.mean() > better.std(ddof=1) / np.sqrt(len(better))
        gain = float(better.mean() / error[""].mean())
        rows.append((name, len(better), error[""].mean(), error[name].mean(), gain, bool(sure), _why(name, gain, sure)))
    return pd.DataFrame(rows, columns=["regressor", "n", "without", "with_it", "gain", "kept", "why"])


def without(panel: Panel, worth: pd.DataFrame) -> Panel:
    """The panel without the regressors that did not help."""
    left_out = set(worth.loc[~worth["kept"], "regressor"])
    return replace(panel, regressors={name: x for name, x in panel.regressors.items() if name not in left_out})


def finding_worth(worth: pd.DataFrame) -> str:
    """One sentence for each regressor: whether it is kept, and why."""
    return " ".join(worth["why"])


def ahead(periods: pd.DatetimeIndex, h: int, *, freq: str = "") -> pd.DatetimeIndex:
    """The periods and the `h` after them.

    >>> ahead(pd.date_range("2025-01-01", periods=3, freq="MS"), 1).strftime("%Y-%m").tolist()
    ['2025-01', '2025-02', '2025-03', '2025-04']
    """
    return pd.date_range(periods[0], periods=len(periods) + h, freq=freq or periods.freqstr or frequency(periods))


def _from_table(name: str, rows: pd.DataFrame, every: pd.DatetimeIndex, past: int, series: Sequence[str]) -> np.ndarray:
    """The values of one name, a row per series or one for all."""
    own = "series" in rows and rows["series"].notna().any()
    if own and not series:
        raise SettingError(f"The regressor {name!r} differs by series; give `series`, the names of the panel.")
    out = []
    for one in series if own else [""]:
        part = rows[rows["series"] == one] if own else rows
        twice = part["period"][part["period"].duplicated()]
        if len(twice):
            raise DataError(f"The regressor {name!r} has two values for {twice.iloc[0]:%Y-%m-%d}{_of(one)}; keep one.")
        values = part.set_index("period")["value"].reindex(every).astype("float64")
        for when, gone in (("ahead", values.index[past:]), ("past", values.index[:past])):
            missing = gone[values[gone].isna()]
            if len(missing):
                named = ", ".join(f"{p:%Y-%m-%d}" for p in missing[:3])
                more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
                raise DataError(
                    f"The regressor {name!r}{_of(one)} has no value for {len(missing)} of the periods {when}: {named}{more}. "
                    f"Add a row for each; where nothing happens, a 0."
                )
        out.append(values.to_numpy())
    return np.stack(out)


def _of(series: str) -> str:
    return f" of the series {series!r}" if series else ""


def _feasts(feast: Moving, years: range) -> list[pd.Timestamp]:
    """The (first) day of the feast, in each year; a feast by the moon may come twice in one."""
    found = holidays_of(feast.country, years, "en_US")
    days = sorted(
        pd.Timestamp(d) for d, said in found.items() if any(re.fullmatch(feast.name, s) for s in said.split("; "))
    )
    return [day for i, day in enumerate(days) if i == 0 or (day - days[i - 1]).days > 14]


def _per_period(days: pd.DatetimeIndex, edges: pd.DatetimeIndex) -> np.ndarray:
    """How many of the days lie in each period; a day may be there twice."""
    place = edges.searchsorted(days, side="right") - 1
    inside = (place >= 0) & (place < len(edges) - 1)
    return np.bincount(place[inside], minlength=len(edges) - 1).astype("float64")


def _why(name: str, gain: float, sure: bool) -> str:
    moved = f"{abs(gain):.0%} {'smaller' if gain > 0 else 'larger'}"
    if sure:
        return f"**{md(name)}** is kept: with it the errors at past origins are {moved}."
    reason = "no more than chance" if gain > 0 else "it does not help"
    return f"**{md(name)}** is left out: with it the errors at past origins are {moved}, {reason}."
