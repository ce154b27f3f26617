"""The pipeline forecast: what the open deals, and those to come, will bring by the end of a period, and how right that was before.

The models see nothing but `crm.at(day)`. `backtest` forecasts every week of the past periods and today, `combine` joins the
pipeline model with the series of bookings, two simple methods and the calls of people where there are any, and the other
functions are questions about the result.
"""

from salesforecast.goals import target, targets
from salesforecast.pipeline.backtesting import Backtest, backtest, coming
from salesforecast.pipeline.bridging import (
    bridge,
    chart_bridge,
    deals_bridge,
    finding_bridge,
    finding_deals,
    table_bridge,
)
from salesforecast.pipeline.changes import last_period, lately
from salesforecast.pipeline.combination import combine
from salesforecast.pipeline.judging import (
    accuracy,
    calibration,
    chart_accuracy,
    chart_calibration,
    chart_judged,
    finding_accuracy,
    finding_calibration,
    finding_judged,
    judged,
    table_accuracy,
)
from salesforecast.pipeline.outlook import by_group, coverage, forecastable, parts, weekly_paths
from salesforecast.pipeline.shown import (
    cards_parts,
    chart_groups,
    chart_parts,
    finding_coverage,
    finding_groups,
    finding_left_out,
    finding_luck,
    finding_made,
    finding_parts,
    finding_period,
    finding_quarters,
    finding_wins,
    table_range,
)
from salesforecast.pipeline.staked import (
    cards_headline,
    forecast_parts,
    stake_coverage,
    stake_parts,
    stake_silent,
    stake_watch,
)
from salesforecast.pipeline.value import (
    biases,
    chart_value_added,
    finding_biases,
    finding_value_added,
    value_added,
)
from salesforecast.pipeline.watching import finding_silent, finding_watch, silent, watch
from salesforecast.pipeline.weighing import finding_methods, methods

__all__ = [
    "Backtest",
    "accuracy",
    "backtest",
    "biases",
    "bridge",
    "by_group",
    "calibration",
    "cards_headline",
    "cards_parts",
    "chart_accuracy",
    "chart_bridge",
    "chart_calibration",
    "chart_groups",
    "chart_judged",
    "chart_parts",
    "chart_value_added",
    "combine",
    "coming",
    "coverage",
    "deals_bridge",
    "finding_accuracy",
    "finding_biases",
    "finding_bridge",
    "finding_calibration",
    "finding_coverage",
    "finding_deals",
    "finding_groups",
    "finding_judged",
    "finding_left_out",
    "finding_luck",
    "finding_made",
    "finding_methods",
    "finding_parts",
    "finding_period",
    "finding_quarters",
    "finding_silent",
    "finding_value_added",
    "finding_watch",
    "finding_wins",
    "forecast_parts",
    "forecastable",
    "judged",
    "last_period",
    "lately",
    "methods",
    "parts",
    "silent",
    "stake_coverage",
    "stake_parts",
    "stake_silent",
    "stake_watch",
    "table_accuracy",
    "table_bridge",
    "table_range",
    "target",
    "targets",
    "value_added",
    "watch",
    "weekly_paths",
]
