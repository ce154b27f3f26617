"""From a CRM export to a quarterly sales report whose numbers are right and can show it.

>>> import salesforecast as sf
>>> crm, issues = sf.clean(sf.load("data/sample"))                                          # doctest: +SKIP
>>> sf.funnel.win_curve(crm.deals, as_of=crm.as_of)                                         # doctest: +SKIP
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from salesforecast import funnel, style
    from salesforecast.cleaning import clean
    from salesforecast.crm import load
    from salesforecast.periods import period
    from salesforecast.show import head, in_short, made, section, show, unsaid

__version__ = "0.1.0"

_HOME = {
    "clean": "salesforecast.cleaning",
    "funnel": "",
    "head": "salesforecast.show",
    "in_short": "salesforecast.show",
    "load": "salesforecast.crm",
    "made": "salesforecast.show",
    "period": "salesforecast.periods",
    "section": "salesforecast.show",
    "show": "salesforecast.show",
    "style": "",
    "unsaid": "salesforecast.show",
}

__all__ = [
    "clean", "funnel", "head", "in_short", "load", "made", "period", "section", "show", "style", "unsaid",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # Imported when first asked for, so that the command line answers --help at once.
    if name not in _HOME:
        raise AttributeError(f"module 'salesforecast' has no attribute {name!r}")
    home = _HOME[name]
    return getattr(importlib.import_module(home), name) if home else importlib.import_module(f"salesforecast.{name}")
