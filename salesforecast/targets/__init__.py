"""Targets: from the year to the day, and whether they will be met.

The plan is a table of cells, every wish asks something of sums of cells, and `fit` finds the plan nearest to the baseline that keeps all.
The other functions are questions about a period: where we stand, who makes the gap and why, what is needed, whether quotas are fair.
"""

from salesforecast.goals import target
from salesforecast.goals import targets as wanted
from salesforecast.targets.attainment import (
    attainment,
    chart_attainment,
    chart_realism,
    finding_attainment,
    finding_realism,
    realism,
    table_attainment,
    whole,
)
from salesforecast.targets.changes import changes, finding_changes, kept, standing
from salesforecast.targets.contradictions import feasible, finding_feasible
from salesforecast.targets.control import chart_exceptions, exceptions, finding_exceptions, limits, table_exceptions
from salesforecast.targets.decomposition import baseline
from salesforecast.targets.edits import read
from salesforecast.targets.fairness import chart_fairness, fairness, finding_fairness, table_fairness
from salesforecast.targets.fitting import fit
from salesforecast.targets.gaps import chart_gap, chart_where, finding_gap, finding_where, gap, where
from salesforecast.targets.outlook import chances, company, paths
from salesforecast.targets.pacing import (
    at_grain,
    cards_standing,
    chart_pace,
    finding_pace,
    finding_path,
    pace,
    table_pace,
)
from salesforecast.targets.pattern import due, path, pattern
from salesforecast.targets.plan import dimensions, empty, levels, overassigned
from salesforecast.targets.planning import (
    cells_by,
    chart_planned,
    coming,
    eve,
    finding_overassigned,
    finding_planned,
    given,
    longer,
    planned,
    to_plan,
    whole_company,
    written,
    year,
)
from salesforecast.targets.quotas import (
    chart_quotas,
    finding_quotas,
    finding_weigh,
    potential,
    quotas,
    record,
    table_quotas,
    wanted_before,
    weigh,
)
from salesforecast.targets.register import checked, finding_checked
from salesforecast.targets.rest import conversion, finding_needed, needed
from salesforecast.targets.results import (
    chart_results,
    finding_results,
    finding_segments,
    level,
    results,
    segments,
    wanted_here,
)
from salesforecast.targets.sold import sold
from salesforecast.targets.staffing import ramp, staff
from salesforecast.targets.staked import cards_headline, stake_gap
from salesforecast.targets.wishes import wishes
from salesforecast.targets.workbook import write

__all__ = [
    "at_grain",
    "attainment",
    "baseline",
    "cards_headline",
    "cards_standing",
    "cells_by",
    "chances",
    "changes",
    "chart_attainment",
    "chart_exceptions",
    "chart_fairness",
    "chart_gap",
    "chart_pace",
    "chart_planned",
    "chart_quotas",
    "chart_realism",
    "chart_results",
    "chart_where",
    "checked",
    "coming",
    "company",
    "conversion",
    "dimensions",
    "due",
    "empty",
    "eve",
    "exceptions",
    "fairness",
    "feasible",
    "finding_attainment",
    "finding_changes",
    "finding_checked",
    "finding_exceptions",
    "finding_fairness",
    "finding_feasible",
    "finding_gap",
    "finding_needed",
    "finding_overassigned",
    "finding_pace",
    "finding_path",
    "finding_planned",
    "finding_quotas",
    "finding_realism",
    "finding_results",
    "finding_segments",
    "finding_weigh",
    "finding_where",
    "fit",
    "gap",
    "given",
    "kept",
    "level",
    "levels",
    "limits",
    "longer",
    "needed",
    "overassigned",
    "pace",
    "path",
    "paths",
    "pattern",
    "planned",
    "potential",
    "quotas",
    "ramp",
    "read",
    "realism",
    "record",
    "results",
    "segments",
    "sold",
    "staff",
    "stake_gap",
    "standing",
    "table_attainment",
    "table_exceptions",
    "table_fairness",
    "table_pace",
    "table_quotas",
    "target",
    "to_plan",
    "wanted",
    "wanted_before",
    "wanted_here",
    "weigh",
    "where",
    "whole",
    "whole_company",
    "wishes",
    "write",
    "written",
    "year",
]
