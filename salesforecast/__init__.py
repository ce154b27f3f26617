"""From a CRM export to a quarterly sales report whose numbers are right and can show it.

>>> import salesforecast as sf
>>> crm, issues = sf.clean(sf.load("data/sample"))                                          # doctest: +SKIP
>>> sf.funnel.win_curve(crm.deals, as_of=crm.as_of)                                         # doctest: +SKIP
"""

import importlib
from typing import TYPE_CHECKING, Any

from salesforecast import quick as quick  # before anything brings altair or Jupyter

if TYPE_CHECKING:
    from salesforecast import channels, cleaning, funnel, quality, reps, style, targets
    from salesforecast.cells import head, in_short, made, section, show, unsaid
    from salesforecast.cleaning import clean
    from salesforecast.crm import load
    from salesforecast.periods import period
    from salesforecast.privacy import coded
    from salesforecast.text import md

__version__ = "0.1.0"

_HOME = {
    "channels": "",
    "clean": "salesforecast.cleaning",
    "cleaning": "",
    "coded": "salesforecast.privacy",
    "funnel": "",
    "head": "salesforecast.cells",
    "in_short": "salesforecast.cells",
    "load": "salesforecast.crm",
    "made": "salesforecast.cells",
    "md": "salesforecast.text",
    "period": "salesforecast.periods",
    "pipeline": "",
    "quality": "",
    "reps": "",
    "section": "salesforecast.cells",
    "show": "salesforecast.cells",
    "style": "",
    "targets": "",
    "unsaid": "salesforecast.cells",
}

__all__ = [
    "channels", "clean", "cleaning", "coded", "funnel", "head", "in_short", "load", "made", "md", "period",
    "pipeline", "quality", "reps", "section", "show", "style", "targets", "unsaid",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # Imported when first asked for, so that the command line answers --help at once.
    if name not in _HOME:
        raise AttributeError(f"module 'salesforecast' has no attribute {name!r}")
    home = _HOME[name]
    return getattr(importlib.import_module(home), name) if home else importlib.import_module(f"salesforecast.{name}")
