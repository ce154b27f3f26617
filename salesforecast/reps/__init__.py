"""Rep performance: what each brought in, what was to be expected of their deals, and what differs by more than luck.

A name appears in a finding only beyond luck. Everybody counts who was there, also those who have left.
"""

from salesforecast.periods import years
from salesforecast.reps.activity import (
    chart_plans,
    finding_indicators,
    finding_plans,
    indicators,
    plans,
    spoken,
)
from salesforecast.reps.bookings import chart_differences, differences, finding_differences, shares
from salesforecast.reps.capacity import (
    capacity,
    chart_capacity,
    chart_hire_or_improve,
    finding_capacity,
    finding_hire_or_improve,
    hire_or_improve,
)
from salesforecast.reps.change import change, chart_change, finding_change, finding_trained, trained
from salesforecast.reps.coaching import (
    chart_neglected,
    chart_stage_gaps,
    finding_neglected,
    finding_stage_gaps,
    neglected,
    stage_gaps,
)
from salesforecast.reps.fair import chart_fair, chart_luck, fair, finding_fair, finding_luck, limits, listed, needed
from salesforecast.reps.history import chart_history, finding_history, history
from salesforecast.reps.keeping import (
    chart_keeping,
    finding_keeping,
    finding_stage_limits,
    keeping,
    stage_limits,
)
from salesforecast.reps.late import chart_late, finding_late, late
from salesforecast.reps.mix import expected
from salesforecast.reps.ramp import chart_ramp, finding_ramp, ramp
from salesforecast.reps.returns import chart_returns, finding_returns, returns
from salesforecast.reps.scorecard import chart_scorecard, finding_lead, finding_scorecard, scorecard
from salesforecast.reps.spells import spells
from salesforecast.reps.staff import owned, roster, within
from salesforecast.reps.staffing import staffing
from salesforecast.reps.staked import stake_hire_or_improve, stake_neglected, stakes_stage_gaps

__all__ = [
    "capacity",
    "change",
    "chart_capacity",
    "chart_change",
    "chart_differences",
    "chart_fair",
    "chart_hire_or_improve",
    "chart_history",
    "chart_keeping",
    "chart_late",
    "chart_luck",
    "chart_neglected",
    "chart_plans",
    "chart_ramp",
    "chart_returns",
    "chart_scorecard",
    "chart_stage_gaps",
    "differences",
    "expected",
    "fair",
    "finding_capacity",
    "finding_change",
    "finding_differences",
    "finding_fair",
    "finding_hire_or_improve",
    "finding_history",
    "finding_indicators",
    "finding_keeping",
    "finding_late",
    "finding_lead",
    "finding_luck",
    "finding_neglected",
    "finding_plans",
    "finding_ramp",
    "finding_returns",
    "finding_scorecard",
    "finding_stage_gaps",
    "finding_stage_limits",
    "finding_trained",
    "hire_or_improve",
    "history",
    "indicators",
    "keeping",
    "late",
    "limits",
    "listed",
    "needed",
    "neglected",
    "owned",
    "plans",
    "ramp",
    "returns",
    "roster",
    "scorecard",
    "shares",
    "spells",
    "spoken",
    "staffing",
    "stage_gaps",
    "stage_limits",
    "stake_hire_or_improve",
    "stake_neglected",
    "stakes_stage_gaps",
    "trained",
    "within",
    "years",
]
