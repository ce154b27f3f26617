"""What can go wrong, and what to do about it.

SalesforecastError
├── DataError        a file or a table is not what it should be
├── SettingError     a parameter, a setting or a name is not known or not valid
├── ReportError      a notebook failed, or a report could not be written
└── CannotSay        the data do not carry this answer; a report says so and goes on
    ├── MissingTable     an export has to be added
    └── TooLittleData    more rows are needed

The command line prints the message of each of them as one paragraph, without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SalesforecastError(Exception):
    """The mother of all errors that salesforecast raises on purpose."""


class DataError(SalesforecastError):
    """A file or a table is not what it should be."""


class SettingError(SalesforecastError):
    """A parameter, a setting or a name is not known or not valid."""


class ReportError(SalesforecastError):
    """A notebook failed, or a report could not be written."""


class CannotSay(SalesforecastError):
    """The data do not carry this answer. A report prints the reason in the answer's place and goes on."""


class MissingTable(CannotSay):
    """A table that the analysis needs is not in the data; the message names the export to add."""


class TooLittleData(CannotSay):
    """There are too few rows for an honest answer; the message says how many would do."""


def unknown(what: str, name: object, known: Iterable[object]) -> SettingError:
    """The error for a name nobody knows, with the nearest one that is known.

    Examples
    --------
    >>> print(unknown("notebook", "funel", ["funnel", "targets"]))
    There is no notebook 'funel'. Did you mean 'funnel'? Known: funnel, targets.
    """
    names = [str(k) for k in known]
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(names[:30]) + (", …" if len(names) > 30 else "")
    return SettingError(f"There is no {what} {str(name)!r}.{hint} Known: {shown or 'none'}.")
