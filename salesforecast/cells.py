"""What the cells of a notebook call: a finding with its chart and table, the page's head, its foot.

Each thing is displayed on its own and says in the output's metadata what it is (`{"salesforecast": {"role": …}}`).
JupyterLab shows it as it stands; `report` builds the page from the roles. The visible outputs are the same on every
machine; what differs between machines (versions) is in the metadata, which nbval does not compare.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import Any

import pandas as pd
from IPython import get_ipython
from IPython.display import display, update_display

from salesforecast import words
from salesforecast.cards import Cards
from salesforecast.errors import CannotSay
from salesforecast.formats import use_currency
from salesforecast.periods import Period
from salesforecast.stakes import Forecast, Stake, kept
from salesforecast.tables import Crm
from salesforecast.text import clean, dates_in_words, md, plain, safe

ROWS = 200
VERSIONS = ("salesforecast", "pandas", "statsmodels", "scikit-learn", "altair")
IN_SHORT = "salesforecast-in-short"
RESULTS = "SALESFORECAST_RESULTS"  # names the folder for the frames behind the tables, while a report is made


@dataclass
class _Said:
    """What this kernel has said so far. The keys are cells, so that a cell run again replaces what it said."""

    findings: dict[tuple[str, int], str] = field(default_factory=dict)
    unsaid: dict[tuple[str, int], str] = field(default_factory=dict)
    unmade: dict[str, str] = field(
        default_factory=dict
    )  # the names that a refused section would have made, and why it was
    listed: bool = False


_said = _Said()


# ---- what a notebook calls ------------------------------------------------------------------------------------------


def head(crm: Crm, period: Period, **only: str) -> None:
    """Display whose report this is, on which period, and how far it has gone.

    Parameters
    ----------
    crm : Crm
        The data; read are `as_of`, the company and the currency.
    period : Period
        The period reported.
    **only : str
        What the page is limited to, by name: team="North". Empty ones are left out.
    """
    use_currency(crm.settings.currency)
    words.use(crm.settings.locale)
    company, dates = crm.settings.company, dates_in_words(period, crm.as_of)
    part = ", ".join(f"{name} {clean(value)}" for name, value in only.items() if value)
    line = f"{md(company)}{', only ' + md(part) if part else ''}. {md(period.label)}: {dates}"
    _put(
        "head",
        {"text/markdown": line},
        company=clean(company),
        period=period.label,
        dates=dates,
        part=part,
        locale=words.of_page().tag,
    )


def in_short() -> None:
    """Display the list of findings; every later `show` adds its own, so that it is full when the notebook has run.

    Its cell is tagged `nbval-ignore-output`: while the notebook runs, the list is empty.
    """
    _said.findings.clear()
    _said.unsaid.clear()
    _said.unmade.clear()
    _said.listed = True
    data, about = _list()
    display(data, metadata=about, raw=True, display_id=IN_SHORT)


def show(
    finding: str,
    chart: Any = None,
    table: pd.DataFrame | None = None,
    *,
    note: str = "",
    bold: str | None = None,
    total: str | None = None,
    stake: Stake | Sequence[Stake] | None = None,
    forecast: Forecast | None = None,
    headline: Cards | None = None,
) -> None:
    """Display a finding, the chart that shows it, and the table behind it.

    Parameters
    ----------
    finding : str
        One sentence, in Markdown; names from the data in it went through `md`.
    chart : Altair chart or Cards, optional
        What shows it.
    table : DataFrame, optional
        A result frame. Of a long one the first 200 rows are shown.
    note : str
        A sentence under the table: what its columns count.
    bold : str, optional
        The column of the table that the finding is about.
    total : str, optional
        The name of the table's last row, where that sums up the others.
    stake : Stake or sequence of Stake, optional
        The money that hangs on the finding, by which the summary ranks it; of several the first is the finding's own, and
        those with a lever are options that the summary weighs against each other. Nothing of it is shown here.
    forecast : Forecast, optional
        What the finding has said of a period, for later reports to hold against what came.
    headline : Cards, optional
        The figures of it that belong on the summary.
    """
    from salesforecast import style  # here, since it brings Altair, and the page needs only the words of this module

    finding = safe(" ".join(finding.split()))
    _said.findings[_cell("show")] = finding
    stakes = [stake] if isinstance(stake, Stake) else list(stake or ())
    about: dict[str, Any] = {"stakes": [kept(one) for one in stakes]} if stakes else {}
    about |= {"forecast": kept(forecast)} if forecast else {}
    about |= {"headline": headline._repr_html_()} if headline else {}
    _put("finding", {"text/markdown": finding, "text/plain": plain(finding)}, **about)
    if isinstance(chart, Cards):
        _put("cards", {"text/html": chart._repr_html_(), "text/plain": str(chart)})
    elif chart is not None:
        spec = style.spec(chart)
        alt = str(spec.get("description") or plain(finding))
        _put("chart", {"application/vnd.vegalite.v5+json": spec, "text/plain": alt}, finding=plain(finding))
    if table is not None:
        more = ""
        if len(table) > ROWS:
            more = f'<p class="tablenote">The first {ROWS} of {len(table):,} rows.</p>'
            total = None  # it is not among them
        rows = f"{len(table):,} row{'' if len(table) == 1 else 's'}"
        content = style.table(table.head(ROWS), bold=bold, total=total) + more
        # the figures are in the HTML, rounded; unrounded ones would differ between machines
        about = {"rows": len(table)} | _result(table)
        _put("table", {"text/html": content, "text/plain": f"Table, {rows}."}, **about)
    if note:
        _put("note", {"text/markdown": safe(note), "text/plain": plain(note)})
    _refresh()


@contextmanager
def section() -> Iterator[None]:
    """Where the data do not carry the answer, display the reason in its place and go on.

    Only `CannotSay` is caught: a mistake in the data or in the program stops the notebook. A section that asks for a name which
    a refused section before it would have made is refused for the same reason.

    Examples
    --------
    >>> from salesforecast.errors import TooLittleData
    >>> with section():
    ...     raise TooLittleData("Needs about 60 more closed deals.")
    {'text/markdown': 'Needs about 60 more closed deals.', 'text/plain': 'Needs about 60 more closed deals.'}
    """
    cell = _cell("section")
    _said.unsaid.pop(cell, None)
    shown = _calls.get("show", 0)
    try:
        yield
    except (CannotSay, NameError) as error:
        if isinstance(error, CannotSay):
            reason, kind = str(error), type(error).__name__
        elif _said.unsaid:
            reason = _said.unmade.get(error.name or "") or next(reversed(_said.unsaid.values()))
            kind = "CannotSay"
        else:
            raise
        _said.unmade |= dict.fromkeys(_made_here(), reason)
        _said.unsaid[cell] = reason
        for key in [key for key in _said.findings if key[0] == cell[0] and key[1] > shown]:
            del _said.findings[key]  # of an earlier run of this cell
        _put("unsaid", {"text/markdown": md(reason), "text/plain": clean(reason)}, kind=kind)
        _refresh()


def unsaid() -> None:
    """Display what could not be answered, and what is missing for it."""
    reasons = list(dict.fromkeys(_said.unsaid.values()))
    if reasons:
        _put("unsaid_list", {"text/markdown": "\n".join(f"- {md(reason)}" for reason in reasons)})
    else:
        _put("unsaid_list", {"text/markdown": "Everything asked here could be answered with these data."})


def made(crm: Crm, **parameters: object) -> None:
    """Display from what the page was made: the data with their hash, `as_of` and the parameters.

    The versions of the packages differ between machines; they stand in the output's metadata, for the page.

    Parameters
    ----------
    crm : Crm
        The data.
    **parameters
        The parameters of the notebook.
    """
    settings = crm.settings
    data = {
        "company": clean(settings.company),
        "crm": clean(settings.crm),
        "digest": clean(crm.digest),
        "as_of": f"{crm.as_of:%Y-%m-%d}",
    }
    given = {name: clean(value) for name, value in parameters.items()}
    versions = {"Python": python_version()} | {name: version for name in VERSIONS if (version := _version(name))}
    hashed = f", SHA-256 `{data['digest']}`" if data["digest"] else ""
    lines = [f"- Data: {md(data['company'])}, read as {md(data['crm'])}, as of {data['as_of']}{hashed}"]
    if given:
        lines.append(
            "- Parameters: " + ", ".join(f"{md(name)} {md(value) or 'empty'}" for name, value in given.items())
        )
    _put("made", {"text/markdown": "\n".join(lines)}, data=data, parameters=given, versions=versions)


# ---- within ---------------------------------------------------------------------------------------------------------


def _result(table: pd.DataFrame) -> dict[str, str]:
    """While a report is made: the name under which the whole, unrounded frame is left for it."""
    if not (folder := os.environ.get(RESULTS)):
        return {}
    whole = table if isinstance(table.index, pd.RangeIndex) else table.reset_index()
    whole = whole.set_axis([str(c) for c in whole.columns], axis=1)
    name = f"{len(list(Path(folder).glob('*.parquet'))) + 1:03}"
    try:
        whole.to_parquet(Path(folder) / f"{name}.parquet", index=False)
    except (ValueError, TypeError, NotImplementedError):  # columns of mixed values, or two of one name
        columns = [
            f"{c}_{i}" if again else c
            for i, (c, again) in enumerate(zip(whole, whole.columns.duplicated(), strict=True))
        ]
        whole.set_axis(columns, axis=1).astype("str").to_parquet(Path(folder) / f"{name}.parquet", index=False)
    return {"result": name}


def _put(role: str, data: dict[str, Any], /, **more: object) -> None:
    data.setdefault("text/plain", plain(data.get("text/markdown", "")))
    display(data, metadata={"salesforecast": {"role": role, **more}}, raw=True)


def _list() -> tuple[dict[str, str], dict[str, Any]]:
    """The list of findings and its metadata."""
    findings = list(_said.findings.values())
    text = "\n".join(f"- {finding}" for finding in findings) or "The findings stand here when the notebook has run."
    return {"text/markdown": text, "text/plain": plain(text)}, {"salesforecast": {"role": "in_short"}}


def _made_here() -> set[str]:
    """The names that the running cell gives to something."""
    shell = get_ipython()
    source = shell.user_ns["In"][-1] if shell is not None else ""
    return {
        node.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _refresh() -> None:
    if _said.listed and get_ipython() is not None:
        data, about = _list()
        update_display(data, metadata=about, raw=True, display_id=IN_SHORT)


def _cell(of: str) -> tuple[str, int]:
    """Which cell is running, and the how-many-eth call of its kind in it this is."""
    shell = get_ipython()
    if shell is None:
        return "", len(_said.findings) if of == "show" else len(_said.unsaid)
    count: int = shell.execution_count
    if _calls.get("count") != count:
        _calls.clear()
        _calls["count"] = count
    _calls[of] = _calls.get(of, 0) + 1
    parent: Mapping[str, Any] = getattr(shell, "get_parent", dict)()
    # JupyterLab names the cell; nbclient and nbval do not, but there no cell runs twice unless it is the same
    return parent.get("metadata", {}).get("cellId") or shell.user_ns["In"][-1], _calls[of]


_calls: dict[str, int] = {}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
