"""One offline HTML page of an executed notebook.

`reading` takes from the notebook what the page says: its structure (`## Question?`, the definition below it, cells tagged
`aside`) and the roles that `show` gave the outputs; `marked` makes HTML of its words; `printing` fills in the templates of this
folder. The page loads nothing from anywhere: one stylesheet, one script, one compressed chart runtime, one payload of chart
specs, all named by their hashes in its content security policy.
"""

from salesforecast.page.marked import finding, markdown
from salesforecast.page.printing import PageExporter, digest, runtime
from salesforecast.page.reading import Page, content

__all__ = ["Page", "PageExporter", "content", "digest", "finding", "markdown", "runtime"]
