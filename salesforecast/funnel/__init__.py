"""The funnel: how many deals there are, how many will be won, how long it takes, where they stick and are lost.

Deals that are still open are undecided everywhere: they are never counted as lost, and never left out.
"""

from salesforecast.funnel.drivers import chart_velocity_drivers, finding_velocity_drivers, velocity_drivers
from salesforecast.funnel.losses import (
    chart_lost_by_stage,
    chart_lost_value,
    finding_lost_by_stage,
    finding_lost_value,
    lost_by_stage,
    lost_value,
)
from salesforecast.funnel.stages import (
    chart_stage_conversion,
    chart_time_in_stage,
    finding_stage_conversion,
    finding_time_in_stage,
    stage_conversion,
    time_in_stage,
)
from salesforecast.funnel.staked import cards_headline, stake_stalled, stake_velocity
from salesforecast.funnel.velocity import (
    cards_metrics,
    changes,
    finding_metrics,
    metrics,
    trend,
)
from salesforecast.funnel.winning import (
    chart_pipeline_age,
    chart_win_curve,
    finding_stalled,
    finding_win_curve,
    pipeline_age,
    stalled,
    win_curve,
    win_rates,
)

__all__ = [
    "cards_headline",
    "cards_metrics",
    "changes",
    "chart_lost_by_stage",
    "chart_lost_value",
    "chart_pipeline_age",
    "chart_stage_conversion",
    "chart_time_in_stage",
    "chart_velocity_drivers",
    "chart_win_curve",
    "finding_lost_by_stage",
    "finding_lost_value",
    "finding_metrics",
    "finding_stage_conversion",
    "finding_stalled",
    "finding_time_in_stage",
    "finding_velocity_drivers",
    "finding_win_curve",
    "lost_by_stage",
    "lost_value",
    "metrics",
    "pipeline_age",
    "stage_conversion",
    "stake_stalled",
    "stake_velocity",
    "stalled",
    "time_in_stage",
    "trend",
    "velocity_drivers",
    "win_curve",
    "win_rates",
]
