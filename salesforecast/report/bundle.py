"""Making the report: all notebooks run, what they said written together, the whole put in its place at once."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from salesforecast import cells, keeping
from salesforecast.errors import SalesforecastError, SettingError, unknown
from salesforecast.filters import FILTERS
from salesforecast.report import memory, writing
from salesforecast.report.declared import declared, given, inject, notebooks, read, reported
from salesforecast.report.folder import REPORT, SCRATCH, building, put, slugs
from salesforecast.report.nursery import JOBS, Nursery, modules
from salesforecast.report.running import Job, Outcome, execute
from salesforecast.tables import Crm

Checked = tuple[Crm, pd.DataFrame]
EVERYWHERE = {"data", "config", "period", "as_of"}  # what every notebook takes, and is checked before
PARTS = "/"  # between a bundle and its notebook in the name of a job


def run(
    names: Sequence[str],
    out: str | Path,
    *,
    parameters: Mapping[str, object] | None = None,
    folder: str | Path | None = None,
    cwd: str | Path | None = None,
    jobs: int = 2,
    timeout: int = 1800,
    progress: Callable[[str, str], None] | None = None,
    each: tuple[str, Sequence[str]] | None = None,
    checked: Checked | None = None,
    nursery: Nursery | None = None,
) -> list[Outcome]:
    """Run notebooks and write the report: `index.html`, a page and the executed notebook of each, `tables.xlsx`, `results/`,
    `findings.json`, `manifest.json`, `timing.json`.

    A notebook that fails leaves a page that says where and why, and does not stop the others. The export is read and cleaned once.
    What is said is kept in `ledger.parquet` beside the report, and the next one looks back on it. The same data, parameters and
    former reports give the same bytes, but for `timing.json`. Until the new report is whole the former stands as it was.

    Parameters
    ----------
    names : sequence of str
        Which notebooks, in the order of the pages; all of them when empty.
    out : path
        The folder of the report. Other files in it are left alone, except those of its former run.
    parameters : mapping, optional
        Values by name. A notebook gets those that it declares; text is read as the declared type. With a filter (`region`, `team`,
        `rep`, `product`) only the notebooks run that have it: the whole must not stand beside a part as if it were one.
    folder : path, optional
        A project folder with its own notebooks, see `notebooks`.
    cwd : path, optional
        Where the notebooks run, so what relative paths start from; each notebook's own folder by default.
    jobs : int
        How many run at a time.
    timeout : int
        Seconds a cell may take.
    progress : callable, optional
        Called with a notebook's name and "started", "ok", "without", "failed" or "died", or with why it is left out.
    each : (str, sequence of str), optional
        A parameter and its values: a report for each, in a folder of `out` named for it, of the notebooks that have the parameter.
    checked : (Crm, DataFrame), optional
        What `clean` gave for these data, where the caller has it already.
    nursery : Nursery, optional
        Where kernels come from, where the caller has begun it already.

    Returns
    -------
    list of Outcome
        One for each notebook, in the given order.

    Raises
    ------
    SettingError
        For a notebook or a parameter that is not known, or a value that cannot be read: nothing has run then. For a value that a
        notebook refuses: the former report stands as it was.
    ReportError
        When the report cannot be written, or another run is writing it.
    """
    known = notebooks(folder)
    for name in names:
        if name not in known:
            raise unknown("notebook", name, known)
    ready = {name: read(known[name]) for name in dict.fromkeys(names) or known}
    if not names:
        ready = {name: nb for name, nb in ready.items() if reported(nb)}
    if not ready:
        raise SettingError("There are no notebooks to run.")
    if any(name.casefold() == "index" for name in ready):
        raise SettingError(
            "The page of a notebook named 'index' would take the place of the summary. Give it another name."
        )
    own = {name: declared(nb, name) for name, nb in ready.items()}
    wanted = dict(parameters or {})
    given(wanted, own, checked[0].deals.columns if checked else ())
    needed = [name for name in FILTERS if wanted.get(name)] + ([each[0]] if each else [])
    lacking = {name: [one for one in needed if one not in own[name]] for name in ready}
    left_out = {name: f"it has no parameter {' or '.join(lacks)}" for name, lacks in lacking.items() if lacks}
    if len(left_out) == len(ready):
        raise SettingError(
            "There is no notebook to run; " + "; ".join(f"{name}: {why}" for name, why in left_out.items()) + "."
        )
    for name, why in left_out.items():
        (progress or _silent)(name, f"left out, since {why}")
    ready = {name: nb for name, nb in ready.items() if name not in left_out}
    own = {name: own[name] for name in ready}
    if each and not each[1]:
        raise SettingError(f"There is no {each[0]} to make a report for.")
    wanted = {name: value for name, value in wanted.items() if any(name in parameters for parameters in own.values())}
    variants = {value: given(wanted | {each[0]: value}, own) for value in each[1]} if each else {"": given(wanted, own)}
    places = {name: Path(cwd or known[name].parent).resolve() for name in ready}
    out = Path(out).resolve()
    born = nullcontext(nursery) if nursery else Nursery(_imports(ready) if len(ready) * len(variants) > 1 else ())
    asked = _asked(variants, places)
    with building(out, asked[0]) as folder_for_now, born as kernels:
        place, left = folder_for_now / REPORT, folder_for_now / SCRATCH
        crm = _keep(left / "kept", *asked, checked)
        bundles = _bundles(place, left, ready, variants, memory.settled(out.parent), crm)
        outcomes = _made(place, bundles, places, jobs, timeout, progress or _silent, kernels, _times(out), each)
        _refuse(outcomes, set(wanted) - EVERYWHERE)
        put(place, out)
    memory.settled(out.parent)
    return outcomes


def _refuse(outcomes: Sequence[Outcome], chosen: set[str]) -> None:
    """Where a notebook has refused what was chosen for it, there is no report: the input has to be mended."""
    said = {o.error: f"{o.name}: {o.error}" for o in outcomes if o.refused} if chosen else {}
    if said:
        raise SettingError(" ".join(said.values()))


def _imports(ready: Mapping[str, Any]) -> list[str]:
    return modules(cell.source for nb in ready.values() for cell in nb.cells if cell.cell_type == "code")


def _silent(name: str, status: str) -> None:
    return None


def _asked(variants: Mapping[str, Mapping[str, Mapping[str, Any]]], places: Mapping[str, Path]) -> tuple[str, str, str]:
    """The data, the config and the last day that the notebooks are given."""
    values, name = next(((v[n], n) for v in variants.values() for n in v if v[n].get("data")), ({}, ""))
    data, config = (os.path.join(places[name], str(values[p])) if values.get(p) else "" for p in ("data", "config"))
    return data, config, str(values.get("as_of", ""))


def _keep(folder: Path, data: str, config: str, as_of: str, checked: Checked | None) -> Crm | None:
    """Read and clean the export once for all notebooks; where that cannot be done, they will say why."""
    from salesforecast.cleaning import clean
    from salesforecast.crm import load

    if not data:
        return None
    try:
        crm, issues = checked or clean(load(data, config), as_of=as_of)
    except SalesforecastError:
        return None
    keeping.write(folder, crm, issues, data=data, config=config, as_of=as_of)
    return crm


def _bundles(
    place: Path,
    left: Path,
    ready: Mapping[str, Any],
    variants: Mapping[str, Mapping[str, Mapping[str, Any]]],
    ledger: pd.DataFrame,
    crm: Crm | None,
) -> dict[str, writing.Bundle]:
    """A bundle for each value, its folders made and the values put into its notebooks."""
    folders = slugs([value for value in variants if value])
    found = {}
    for value, values in variants.items():
        at = folders.get(value, "")
        (place / at).mkdir(exist_ok=True)
        copies = {name: copy.deepcopy(nb) for name, nb in ready.items()}
        for name, nb in copies.items():
            inject(nb, values[name])
            (left / "results" / at / name).mkdir(parents=True)
        found[value] = writing.Bundle(
            place / at, copies, values, left / "results" / at, ledger, crm, "../index.html" if value else ""
        )
    return found


def _made(
    place: Path,
    bundles: Mapping[str, writing.Bundle],
    places: Mapping[str, Path],
    jobs: int,
    timeout: int,
    progress: Callable[[str, str], None],
    kernels: Nursery,
    times: Mapping[str, float],
    each: tuple[str, Sequence[str]] | None,
) -> list[Outcome]:
    """Run all notebooks of all bundles, each page written when its notebook has run, and write the rest."""
    links = {value: writing.links(bundle) for value, bundle in bundles.items()}
    work: dict[str, tuple[str, str]] = {}
    todo = []
    for value, bundle in bundles.items():
        for name, nb in bundle.notebooks.items():
            job = f"{bundle.folder.name}{PARTS}{name}" if value else name
            environment = {
                JOBS: str(max(1, (os.cpu_count() or 1) // jobs)),  # cores that no other notebook needs
                cells.RESULTS: str(bundle.left / name),
                keeping.FOLDER: str(bundle.left.parents[1 if value else 0] / "kept"),
            }
            work[job] = (value, name)
            todo.append(Job(job, nb, places[name], environment))

    def done(job: Job) -> None:
        value, name = work[job.name]
        writing.page(bundles[value].folder, name, job.nb, links[value])

    # what took longest goes first, so that nothing is left to wait for at the end
    todo.sort(key=lambda job: -times.get(work[job.name][1], 0.0))
    ended = execute(todo, at_a_time=jobs, timeout=timeout, progress=progress, nursery=kernels, done=done)
    by_job = {outcome.name: outcome for outcome in ended}
    listed, outcomes = [], []
    for value, bundle in bundles.items():
        own = [replace(by_job[job], name=name) for job, (of, name) in work.items() if of == value]
        listed.append((value, bundle.folder.name, writing.bundle(bundle, own, links[value]), own))
        outcomes += [by_job[job] for job, (of, _) in work.items() if of == value]
    if each:
        writing.listed(place, listed, each[0])
    return outcomes


def _times(out: Path) -> dict[str, float]:
    """How long each notebook took in the former run."""
    for path in (out / writing.TIMES, *sorted(out.glob(f"*/{writing.TIMES}"))[:1]):
        try:
            return {str(name): float(about["seconds"]) for name, about in json.loads(path.read_text("utf-8")).items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return {}
