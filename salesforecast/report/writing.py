"""Writing a bundle: a page and the executed notebook of each, the summary, the workbook, the frames, findings and manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd

from salesforecast import words
from salesforecast.filters import FILTERS
from salesforecast.page import Page, PageExporter, content
from salesforecast.report import memory, results, summary, workbook
from salesforecast.report.folder import MANIFEST
from salesforecast.report.recommendations import options, recommended
from salesforecast.report.results import Answers, Said
from salesforecast.report.running import Outcome
from salesforecast.tables import Crm, Settings
from salesforecast.text import clean

TIMES = "timing.json"  # beside the manifest, since no two runs take the same time
NAMELESS = "No report looks back on one of a company without a name. Set company in salesforecast.toml."


@dataclass(frozen=True)
class Bundle:
    """One report: its folder, its notebooks with the values they were given, and what it may remember.

    Parameters
    ----------
    folder : path
        Where it is written.
    notebooks : mapping
        Name -> notebook, in the order of the pages.
    values : mapping
        Name -> the parameters given.
    left : path
        Where the kernels have left the frames, in a folder for each notebook.
    ledger : DataFrame
        What former reports said.
    crm : Crm, optional
        The tables, to see what became of former forecasts.
    above : str
        The address of the list of bundles, when it is one of several.
    """

    folder: Path
    notebooks: Mapping[str, Any]
    values: Mapping[str, Mapping[str, Any]]
    left: Path
    ledger: pd.DataFrame
    crm: Crm | None = None
    above: str = ""


def links(bundle: Bundle) -> list[tuple[str, str]]:
    """Name and address of each page; known before the notebooks have run."""
    pages = [(content(nb).name, f"{name}.html") for name, nb in bundle.notebooks.items()]
    above = [("All reports", bundle.above)] if bundle.above else []
    return [*above, ("Summary", "index.html"), *pages]


def page(folder: Path, name: str, nb: Any, links: Sequence[tuple[str, str]]) -> None:
    """Write the page of an executed notebook, and the notebook."""
    nbformat.write(nb, folder / f"{name}.ipynb")
    html, _ = PageExporter().from_notebook_node(nb, {"salesforecast": {"links": links, "this": f"{name}.html"}})
    (folder / f"{name}.html").write_text(html, "utf-8", newline="\n")


def bundle(this: Bundle, outcomes: Sequence[Outcome], links: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Write what all pages together say: the summary, the workbook, the frames, findings and manifest.

    Returns
    -------
    dict
        What a list of bundles shows of it: head, lead and from what it was made.
    """
    pages = {name: content(nb) for name, nb in this.notebooks.items()}
    every = {name: results.answers(nb, name, this.left / name) for name, nb in this.notebooks.items()}
    said = [one for answers in every.values() for one in answers.said]
    first: dict[str, Any] = {
        part: next((getattr(p, part) for p in pages.values() if getattr(p, part)), {}) for part in ("head", "made")
    }
    report = _report(pages, this.values)
    former = memory.former(this.ledger, report)
    proposed = recommended(options(said))
    forecasts = memory.kept_forecasts(former, _actual(this.crm, former, this.values))
    delivered, changed = memory.delivered(former, said), memory.changed(former, said)
    unsaid = [(asked, why, f"{name}.html") for name, page in pages.items() for asked, why in page.unsaid]
    unsaid += [(pages[o.name].title, o.error, f"{o.name}.html") for o in outcomes if o.status == "without"]
    if not report.company and this.crm:
        unsaid.append(("What became of former reports", NAMELESS, "index.html"))
    head = _head(pages, this.values)
    forecasts_said = results.plain(memory.finding_forecasts(forecasts)) if len(forecasts) else ""
    lead = next((p.lead for name, p in pages.items() if p.lead and every[name].said), "") or next(
        (p.lead for p in pages.values() if p.lead), ""
    )
    words.use(str(head.get("locale", "")))
    with words.labels():
        html = PageExporter().print(
            "summary.html.j2", pages=[(f"{name}.html", p) for name, p in pages.items()], links=links, this="index.html", head=head,
            locale=words.of_page().tag, made=first["made"], lead=lead, cards=summary.headline(said, pages),
            attention=summary.attention(said, pages), proposals=summary.proposals(proposed, pages), unsaid=summary.missing(unsaid),
            since=summary.looked_back(forecasts, delivered, changed, pages), forecasts_said=forecasts_said,
            last=summary.said_on(former["as_of"].max() if len(former) else ""), tables=sum(len(a.results) for a in every.values()),
        )  # fmt: skip
    (this.folder / "index.html").write_text(html, "utf-8", newline="\n")
    _write_results(this.folder, every)
    statuses = [(o.name, o.status, o.error) for o in outcomes]
    tables = [r for a in every.values() for r in a.results]
    if tables:
        workbook.write(this.folder / "tables.xlsx", tables, workbook.provenance(first["made"], head, statuses))
    found = _findings(
        report, said, every, proposed, {"forecasts": forecasts, "delivered": delivered, "changed": changed}
    )
    _json(this.folder / memory.FINDINGS, found)
    _json(this.folder / TIMES, {o.name: {"seconds": round(o.seconds, 1)} for o in outcomes})
    _json(this.folder / MANIFEST, _manifest(this, first["made"], outcomes))
    return {"head": head, "made": first["made"], "lead": lead}


def _head(pages: Mapping[str, Page], values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The head of the period asked for: a forecast may be of a later one."""
    heads = [page.head for page in pages.values() if page.head]
    asked = {str(v["period"]) for v in values.values() if "period" in v}
    head = next((h for h in heads if h.get("period") in asked), heads[0] if heads else {})
    part = ", ".join(f"{name} {clean(value)}" for name, value in _limits(values).items())
    return head | {"part": part or head.get("part", "")}


def _limits(values: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The filters given, by which the report is of a part of the company."""
    return {name: str(v[name]) for name in FILTERS for v in values.values() if v.get(name)}


def _report(pages: Mapping[str, Page], values: Mapping[str, Mapping[str, Any]]) -> memory.Report:
    head = _head(pages, values)
    data: dict[str, Any] = next((page.made.get("data", {}) for page in pages.values() if page.made), {})
    coded = any(page.made.get("parameters", {}).get("codes") == "True" for page in pages.values())
    part = f"{head.get('part', '')} in codes" if coded else head.get("part", "")  # else it would remember names
    company = data.get("company", "")
    run = (
        "" if company == Settings.company else company, part, head.get("period", ""), data.get("as_of", ""), data.get("digest", "")
    )  # fmt: skip
    return memory.Report(*map(str, run))


def _actual(crm: Crm | None, former: pd.DataFrame, values: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The bookings of each period forecast before that is over now."""
    from salesforecast.errors import SettingError
    from salesforecast.periods import period

    if crm is None:
        return {}
    given = _limits(values)
    if any(v.get("codes") for v in values.values()) and given:
        return {}  # the filters are codes, which only the notebooks know
    deals = crm.only(**given).deals
    found = {}
    for label in former.loc[former["kind"] == "forecast", "key"].unique():
        try:
            span = period(label, crm.settings.fiscal_year_start)
        except SettingError:
            continue
        if span.until <= crm.as_of + pd.Timedelta(days=1) and {"closed_date", "amount"} <= set(deals):
            won = (
                (deals["outcome"] == "won") & (deals["closed_date"] >= span.since) & (deals["closed_date"] < span.until)
            )
            found[label] = float(deals.loc[won, "amount"].sum())
    return found


def _write_results(folder: Path, every: Mapping[str, Answers]) -> None:
    tables = [r for a in every.values() for r in a.results]
    if tables:
        (folder / "results").mkdir()
    for result in tables:
        shutil.copyfile(result.path, folder / "results" / f"{result.name}.parquet")


def _findings(
    report: memory.Report,
    said: Sequence[Said],
    every: Mapping[str, Answers],
    proposed: pd.DataFrame,
    since: Mapping[str, pd.DataFrame],
) -> dict[str, Any]:
    return {
        "report": vars(report),
        "findings": [
            {"rank": place, **results.said_as_json(one)} for place, one in enumerate(results.ranked(said), start=1)
        ],
        "recommendations": _records(
            proposed.assign(lever=proposed["lever"].map(results.plain), test=proposed["test"].map(results.plain))
        ),
        "unsaid": [vars(one) for answers in every.values() for one in answers.unsaid],
        "since_the_last": {name: _records(frame) for name, frame in since.items()},
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON: six digits, nothing for what is missing."""
    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=10, force_ascii=False))
    return [
        {name: float(f"{v:.6g}") if isinstance(v, float) else v for name, v in row.items() if v is not None and v != ""}
        for row in rows
    ]


def _manifest(this: Bundle, made: Mapping[str, Any], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What was run on what, how it ended, and the files with their hashes. Times stand apart, so that the same run gives the same bytes."""
    return {
        "data": made.get("data", {}),
        "versions": made.get("versions", {}),
        "pages": [
            {
                "name": o.name, "status": o.status, "error": o.error, "section": o.section, "page": f"{o.name}.html",
                "notebook": f"{o.name}.ipynb", "parameters": dict(this.values[o.name]),
            }
            for o in outcomes
        ],
        "times": TIMES,
        "files": _hashes(this.folder),
    }  # fmt: skip


def _hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file, but of that with the times."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        p.relative_to(folder).as_posix(): "" if p.name == TIMES else hashlib.sha256(p.read_bytes()).hexdigest()
        for p in files
    }


def _json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(results.as_json(value), "utf-8", newline="\n")


def listed(folder: Path, bundles: Sequence[tuple[str, str, Mapping[str, Any], Sequence[Outcome]]], by: str) -> None:
    """Write the list of several bundles: its page and its manifest.

    Parameters
    ----------
    folder : path
        The folder that holds the bundles.
    bundles : sequence of (str, str, mapping, sequence of Outcome)
        The value, its folder, what `bundle` said of it, and how its notebooks ended.
    by : str
        The parameter of which they are the values.
    """
    head = {
        k: v for k, v in next((about["head"] for _, _, about, _ in bundles if about["head"]), {}).items() if k != "part"
    }
    rows = [
        (value, f"{place}/index.html", about["lead"], ", ".join(o.name for o in outcomes if o.failed))
        for value, place, about, outcomes in bundles
    ]
    html = PageExporter().print("bundles.html.j2", bundles=rows, links=[("All reports", "index.html")], this="index.html", head=head,
                                locale=head.get("locale", "en"), made=None, by=by)  # fmt: skip
    (folder / "index.html").write_text(html, "utf-8", newline="\n")
    _json(
        folder / MANIFEST,
        {
            "by": by,
            "bundles": [{"value": value, "folder": place} for value, place, *_ in bundles],
            "files": _hashes(folder),
        },
    )
