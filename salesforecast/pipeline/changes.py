"""What moved the pipeline model's forecast lately, and what became of the first forecast of the last period."""

from __future__ import annotations

import pandas as pd

from salesforecast.errors import TooLittleData
from salesforecast.periods import ONE_DAY, Period
from salesforecast.pipeline import models, panels
from salesforecast.pipeline.backtesting import Backtest, eve
from salesforecast.pipeline.outlook import current
from salesforecast.tables import Crm

A_WEEK = 7
Between = tuple[models.Model, models.Seen, models.Model, models.Seen, Period]  # what `bridge` and `deals_bridge` take


def lately(past: Backtest, crm: Crm, days: int = A_WEEK) -> Between:
    """The forecast of the period some days ago and today's: what a bridge spans.

    Parameters
    ----------
    past : Backtest
        With a period to come.
    crm : Crm
        Of today.
    days : int

    Returns
    -------
    tuple
        The arguments of `bridge` and `deals_bridge`.

    Raises
    ------
    TooLittleData
        When the data had not begun so many days ago, or today has amounts or dates that nothing tells of that day: they
        would seem to have changed.
    """
    now = current(past)
    day = now.seen.day - pd.Timedelta(days=days)
    if day <= crm.first_day:
        raise TooLittleData(
            f"The data begin on {crm.first_day:%Y-%m-%d}, so there is no forecast of {day:%Y-%m-%d} to compare with."
        )
    then = panels.needed(crm).at(day)
    untold = [c.replace("_", " ") for c in panels.untold(then) if c not in panels.untold(crm)]
    if untold:
        raise TooLittleData(
            f"Nothing tells the {' and the '.join(untold)} of the open deals on {day:%Y-%m-%d}, so what changed since cannot "
            f"be said. The stage history or an export of that day would tell."
        )
    return _model(past, crm, day, now.period), models.seen(then), now.model, now.seen, now.period


def last_period(past: Backtest, crm: Crm) -> Between:
    """The first forecast of the last period that is over, and what was known of it on its last day; as `lately`.

    Raises
    ------
    TooLittleData
        When no period was over that could be forecast.
    """
    span = current(past).period.previous()
    if span.label not in set(past.origins["period"]):
        raise TooLittleData(f"{span.label} could not be forecast when it began, for too little was known by then.")
    first, last, small = span.since - ONE_DAY, span.until - ONE_DAY, panels.needed(crm)
    model = _model(past, crm, first, span)
    return model, models.seen(small.at(first)), model, models.seen(small.at(last)), span


def _model(past: Backtest, crm: Crm, day: pd.Timestamp, span: Period) -> models.Model:
    """The model that was in use on the day; today's where none could be fitted then."""
    used = eve(min(day + ONE_DAY, span.until - ONE_DAY), crm.settings.fiscal_year_start)
    return past.fitted.get(used, current(past).model)
