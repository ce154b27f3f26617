"""Forecasts of many series at once: fit, simulate, forecast and backtest, and what they are worth.

>>> from salesforecast import forecasting as fc
>>> sorted(name for name in fc.__all__ if name[0].isupper())[:3]
['Boosting', 'Components', 'Drift']
"""

from salesforecast.forecasting import calendars, shown
from salesforecast.forecasting.accuracy import MEASURES, accuracy, skill
from salesforecast.forecasting.boosting import Boosting
from salesforecast.forecasting.calendars import regressors, working_days
from salesforecast.forecasting.comparison import compare, finding_compare
from salesforecast.forecasting.grammar import backtest, fit, forecast, simulate
from salesforecast.forecasting.hierarchy import structure, totals
from salesforecast.forecasting.models import (
    Drift,
    Ensemble,
    Intermittent,
    Mean,
    Naive,
    SeasonalNaive,
    Smoothing,
    Theta,
)
from salesforecast.forecasting.panel import Panel
from salesforecast.forecasting.reconciliation import bottom_up, past_errors, reconcile
from salesforecast.forecasting.regression import Components, Regression, Sarimax
from salesforecast.forecasting.series import (
    bookings,
    complete_from,
    created_pipeline,
    keys,
    last_complete,
    left_out,
    orders,
    won_count,
)
from salesforecast.forecasting.togo import to_go

__all__ = [
    "MEASURES",
    "Boosting",
    "Components",
    "Drift",
    "Ensemble",
    "Intermittent",
    "Mean",
    "Naive",
    "Panel",
    "Regression",
    "Sarimax",
    "SeasonalNaive",
    "Smoothing",
    "Theta",
    "accuracy",
    "backtest",
    "bookings",
    "bottom_up",
    "calendars",
    "compare",
    "complete_from",
    "created_pipeline",
    "finding_compare",
    "fit",
    "forecast",
    "keys",
    "last_complete",
    "left_out",
    "orders",
    "past_errors",
    "reconcile",
    "regressors",
    "shown",
    "simulate",
    "skill",
    "structure",
    "to_go",
    "totals",
    "won_count",
    "working_days",
]
