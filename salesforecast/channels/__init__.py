"""Channel effectiveness: what each channel brings and costs, what differs on the same deals, and where raw numbers mislead.

A channel is what a deal came by: a lead source, a way of selling, a partner. Open deals are undecided everywhere.
"""

from salesforecast.channels.answering import answering, chart_answering, finding_answering
from salesforecast.channels.attempts import attempts
from salesforecast.channels.attribution import (
    agreement,
    attribution,
    chain_order,
    chain_orders,
    chart_agreement,
    chart_attribution,
    finding_agreement,
    finding_attribution,
    note_attribution,
    refused,
    side_by_side,
)
from salesforecast.channels.budget import chart_reallocation, finding_reallocation, reallocation
from salesforecast.channels.change import change, chart_change, finding_change
from salesforecast.channels.collection import (
    chart_collection,
    chart_complaints,
    collection,
    complaints,
    finding_collection,
    finding_complaints,
)
from salesforecast.channels.entries import ages, entries, lead_entries, two_years
from salesforecast.channels.fair import chart_fair, fair, finding_fair
from salesforecast.channels.handoff import (
    by_answer,
    chart_by_answer,
    chart_handoff,
    finding_by_answer,
    finding_handoff,
    handoff,
)
from salesforecast.channels.journeys import finding_touched, journeys, touched
from salesforecast.channels.leads import chart_distribution, distribution, fairness, finding_distribution, quality
from salesforecast.channels.listed import listed
from salesforecast.channels.paths import Journeys, paths, written_out
from salesforecast.channels.response import chart_response, delay, finding_response, fitted, response, sales
from salesforecast.channels.returns import chart_returns, finding_returns, returns
from salesforecast.channels.reversal import chart_reversals, explained, finding_reversals, reversals
from salesforecast.channels.scorecard import chart_scorecard, finding_scorecard, scorecard
from salesforecast.channels.signals import chart_signals, finding_signals, judged, signals
from salesforecast.channels.spending import spending
from salesforecast.channels.staked import stake_collection, stake_fair, stake_reallocation
from salesforecast.channels.tactics import chart_tactics, finding_tactics, pairs, tactics
from salesforecast.channels.testing import arm_size, chart_trial, design_effect, detectable, finding_trial, rule, trial
from salesforecast.channels.waiting import chart_same_age, finding_same_age, same_age
from salesforecast.periods import years

__all__ = [
    "Journeys",
    "ages",
    "agreement",
    "answering",
    "arm_size",
    "attempts",
    "attribution",
    "by_answer",
    "chain_order",
    "chain_orders",
    "change",
    "chart_agreement",
    "chart_answering",
    "chart_attribution",
    "chart_by_answer",
    "chart_change",
    "chart_collection",
    "chart_complaints",
    "chart_distribution",
    "chart_fair",
    "chart_handoff",
    "chart_reallocation",
    "chart_response",
    "chart_returns",
    "chart_reversals",
    "chart_same_age",
    "chart_scorecard",
    "chart_signals",
    "chart_tactics",
    "chart_trial",
    "collection",
    "complaints",
    "delay",
    "design_effect",
    "detectable",
    "distribution",
    "entries",
    "explained",
    "fair",
    "fairness",
    "finding_agreement",
    "finding_answering",
    "finding_attribution",
    "finding_by_answer",
    "finding_change",
    "finding_collection",
    "finding_complaints",
    "finding_distribution",
    "finding_fair",
    "finding_handoff",
    "finding_reallocation",
    "finding_response",
    "finding_returns",
    "finding_reversals",
    "finding_same_age",
    "finding_scorecard",
    "finding_signals",
    "finding_tactics",
    "finding_touched",
    "finding_trial",
    "fitted",
    "handoff",
    "journeys",
    "judged",
    "lead_entries",
    "listed",
    "note_attribution",
    "pairs",
    "paths",
    "quality",
    "reallocation",
    "refused",
    "response",
    "returns",
    "reversals",
    "rule",
    "sales",
    "same_age",
    "scorecard",
    "side_by_side",
    "signals",
    "spending",
    "stake_collection",
    "stake_fair",
    "stake_reallocation",
    "tactics",
    "touched",
    "trial",
    "two_years",
    "written_out",
    "years",
]
