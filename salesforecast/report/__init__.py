"""The report: notebooks run and written together into a folder that is the same for the same data and parameters.

`declared` finds the notebooks and their parameters, `nursery` and `running` execute them, `results` reads what they said,
`recommendations` and `memory` weigh it and look back, `summary`, `workbook` and `writing` write it down, `folder` puts it in place,
`bundle` does all of this in order.
"""

from salesforecast.report.bundle import run
from salesforecast.report.declared import Parameter, converted, copy_for_project, notebooks, parameters
from salesforecast.report.folder import slug
from salesforecast.report.running import Outcome

__all__ = ["Outcome", "Parameter", "converted", "copy_for_project", "notebooks", "parameters", "run", "slug"]
