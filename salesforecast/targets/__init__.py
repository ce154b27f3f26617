"""Targets: a plan whose cells add up at every node, and the wishes it keeps, all of them at once or none in silence.

The plan is a table of cells, every wish asks something of sums of cells, and `fit` finds the plan nearest to the one given that keeps all.
"""

from salesforecast.targets.changes import changes, finding_changes, kept, standing
from salesforecast.targets.contradictions import feasible, finding_feasible
from salesforecast.targets.fitting import fit
from salesforecast.targets.plan import dimensions, empty, levels, overassigned
from salesforecast.targets.wishes import wishes
from salesforecast.targets.workbook import read, write

__all__ = [
    "changes",
    "dimensions",
    "empty",
    "feasible",
    "finding_changes",
    "finding_feasible",
    "fit",
    "kept",
    "levels",
    "overassigned",
    "read",
    "standing",
    "wishes",
    "write",
]
