"""The chart shapes. A shape draws a tidy result frame, one row a mark, and computes no statistics.

Each chart is drawn for 720 px and says in `usermeta["salesforecast"]` what a page changes on a phone (`narrow`)
and how much room of `padding.top` is the title's (`title_height`). What depends on the width of the plot is an
expression of `width` or `padding`, so that a page only has to set those.
"""

from salesforecast.shapes.frame import ACCENT, GREY, INK, SERIES, WARN, alt, rounded, text_width
from salesforecast.shapes.many import funnel_plot, multiples
from salesforecast.shapes.rows import bars, dots, steps
from salesforecast.shapes.small import bullet, span, spark
from salesforecast.shapes.time import fan, ledger, lines

__all__ = [
    "ACCENT", "GREY", "INK", "SERIES", "WARN", "alt", "bars", "bullet", "dots", "fan", "funnel_plot", "ledger", "lines",
    "multiples", "rounded", "span", "spark", "steps", "text_width",
]  # fmt: skip
