"""Running the notebooks and writing the report: pages, an index, the executed notebooks, a manifest.

The parameters are injected as papermill does it, in a cell after the one tagged `parameters`; the notebooks are
executed by nbclient. A run is built in a folder beside the target and moved over it at the end, so that a cancelled
run leaves the former report as it was.
"""

from __future__ import annotations

import ast
import asyncio
import io
import json
import math
import os
import re
import shutil
import sys
import tempfile
import tokenize
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from salesforecast import quick  # noqa: F401  (before anything of Jupyter)

# isort: split
import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from salesforecast import errors
from salesforecast.errors import ReportError, SettingError, unknown
from salesforecast.page import Page, PageExporter, content

Value = str | int | float | bool
TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class Parameter(NamedTuple):
    """A parameter of a notebook: its type, its default, and what it is for."""

    type: type
    default: Value
    comment: str


@dataclass(frozen=True)
class Outcome:
    """How the run of a notebook ended.

    Parameters
    ----------
    name : str
        The notebook.
    status : str
        ok; failed (a cell raised an error or took too long); died (the kernel did).
    error : str
        What went wrong, in one line; empty when ok.
    section : str
        The question of the cell that failed; empty when that was before the first.
    """

    name: str
    status: str
    error: str = ""
    section: str = ""


# ---- what there is --------------------------------------------------------------------------------------------------


def notebooks(folder: str | Path | None = None) -> dict[str, Path]:
    """The notebooks that can be run, by name.

    Parameters
    ----------
    folder : path, optional
        A project folder. Its own `notebooks/` are taken when it has any, else those that come with the package.
    """
    package = Path(__file__).parent
    places = [Path(folder) / "notebooks"] if folder is not None else []
    # the wheel carries them inside the package, a checkout has them beside it
    for place in (*places, package / "notebooks", package.parent / "notebooks"):
        if found := {path.stem: path for path in sorted(place.glob("*.ipynb"))}:
            return found
    return {}


def parameters(path: str | Path) -> dict[str, Parameter]:
    """The parameters of a notebook, read from its cell tagged `parameters` without running it.

    Parameters
    ----------
    path : path
        The notebook. The cell has one parameter a line: `period: str = "2025Q2"  # the period reported`.

    Raises
    ------
    SettingError
        When a line is not of that form.
    """
    return _declared(_read(path), Path(path).stem)


def copy_for_project(path: str | Path, to: str | Path, **values: str) -> None:
    """Copy a notebook without its outputs, with other defaults for the parameters named."""
    nb = _read(path)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if _tagged(cell, "parameters"):
            for name, value in values.items():
                new = json.dumps(value, ensure_ascii=False)
                cell.source = re.sub(rf'(?m)^({name}: str = )"[^"]*"', lambda m, new=new: m[1] + new, cell.source)
    nbformat.write(nb, to)


def _declared(nb: Any, name: str) -> dict[str, Parameter]:
    cell = next((cell for cell in nb.cells if _tagged(cell, "parameters")), None)
    if cell is None:
        return {}
    tokens = tokenize.generate_tokens(io.StringIO(cell.source).readline)
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    found = {}
    for line in ast.parse(cell.source).body:
        try:
            target, value, kind = _assignment(line)
            default = ast.literal_eval(value)
            kind = kind or TYPES[type(default).__name__]
            found[target] = Parameter(kind, kind(default), comments.get(line.end_lineno or 0, ""))
        except (KeyError, TypeError, ValueError):
            raise SettingError(
                f"Notebook '{name}', cell 'parameters': {ast.unparse(line)!r} is not of the form "
                "'name: type = value' with the type str, int, float or bool."
            ) from None
    return found


def _assignment(line: ast.stmt) -> tuple[str, ast.expr, type | None]:
    """The name, the value and the type of `name: type = value`."""
    if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value:
        return line.target.id, line.value, TYPES[ast.unparse(line.annotation)]
    if isinstance(line, ast.Assign) and len(line.targets) == 1 and isinstance(line.targets[0], ast.Name):
        return line.targets[0].id, line.value, None
    raise ValueError


def converted(name: str, value: object, kind: type) -> Value:
    """The value as the parameter's type; text is read, nothing is guessed.

    Examples
    --------
    >>> converted("weeks", "12", int), converted("adjusted", "no", bool)
    (12, False)

    Raises
    ------
    SettingError
        When it cannot be read so.
    """
    text = str(value).strip()
    try:
        if kind is str:
            return str(value)
        if kind is bool:
            if text.lower() in TRUE + FALSE:
                return text.lower() in TRUE
            raise ValueError
        if isinstance(value, bool):
            raise ValueError
        number = int(text) if kind is int else float(text)
        if not math.isfinite(number):
            raise ValueError
        return number
    except ValueError:
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise SettingError(f"Parameter '{name}' takes {wanted}, not {text!r}.") from None


# ---- running --------------------------------------------------------------------------------------------------------


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
) -> list[Outcome]:
    """Run notebooks and write the report: `index.html`, a page and the executed notebook of each, `manifest.json`.

    A notebook that fails leaves a page that says where and why, and does not stop the others. The same data and
    parameters give the same bytes.

    Parameters
    ----------
    names : sequence of str
        Which notebooks, in the order of the pages; all of them when empty.
    out : path
        The folder of the report. Other files in it are left alone, except pages of its former run.
    parameters : mapping, optional
        Values by name. A notebook gets those that it declares; text is read as the declared type.
    folder : path, optional
        A project folder with its own notebooks, see `notebooks`.
    cwd : path, optional
        Where the notebooks run, so what relative paths start from; each notebook's own folder by default.
    jobs : int
        How many run at a time.
    timeout : int
        Seconds a cell may take.
    progress : callable, optional
        Called with a notebook's name and "started", "ok", "failed" or "died".

    Returns
    -------
    list of Outcome
        One for each notebook, in the given order.

    Raises
    ------
    SettingError
        For a notebook or a parameter that is not known, or a value that cannot be read. Nothing has run then.
    ReportError
        When the report cannot be written.
    """
    known = notebooks(folder)
    names = list(dict.fromkeys(names)) or list(known)
    for name in names:
        if name not in known:
            raise unknown("notebook", name, known)
    ready = {name: _read(known[name]) for name in names}
    if not ready:
        raise SettingError("There are no notebooks to run.")
    values = _given(parameters or {}, {name: _declared(nb, name) for name, nb in ready.items()})
    for name, nb in ready.items():
        _inject(nb, values[name])
    out = Path(out).resolve()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise ReportError(f"The report cannot be written to {out}: {error.strerror}.") from None
    try:
        places = {name: Path(cwd or known[name].parent).resolve() for name in names}
        outcomes = _execute_all(ready, places, jobs, timeout, progress or (lambda name, status: None))
        _write(building, ready, outcomes, values)
        _move(building, out)
    except OSError as error:
        raise ReportError(f"The report cannot be written to {out}: {error.strerror or error}.") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return outcomes


def _read(path: str | Path) -> Any:
    """The notebook with an id for each cell and without what former runs left in it."""
    try:
        raw = json.loads(Path(path).read_text("utf-8"))
        nb = nbformat.from_dict(raw | {"nbformat": 4, "nbformat_minor": 5})
        nb.metadata = _without(nb.metadata, "papermill", "widgets", "signature")
        nb.cells = [cell for cell in nb.cells if not _tagged(cell, "injected-parameters")]
        for number, cell in enumerate(nb.cells):
            cell.source = cell.source if isinstance(cell.source, str) else "".join(cell.source)
            cell.setdefault("id", f"cell-{number}")
            cell.metadata = _without(cell.metadata, "papermill", "execution", "ExecuteTime")
            if cell.cell_type == "code":
                # a result of a former run must never pass for one of this run
                cell.outputs, cell.execution_count = [], None
    except OSError as error:
        raise ReportError(f"The notebook {path} cannot be read: {error.strerror}.") from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ReportError(f"{path} is not a notebook of format 4.") from None
    return nb


def _given(given: Mapping[str, object], declared: Mapping[str, dict[str, Parameter]]) -> dict[str, dict[str, Value]]:
    """The values for each notebook, of the declared types."""
    everywhere = {name: None for own in declared.values() for name in own}
    for name in given:
        if name not in everywhere:
            raise unknown("parameter", name, everywhere)
    return {
        notebook: {name: converted(name, value, own[name].type) for name, value in given.items() if name in own}
        for notebook, own in declared.items()
    }


def _inject(nb: Any, values: Mapping[str, Value]) -> None:
    """Put the values into a cell after the parameters, as papermill does."""
    if not values:
        return
    source = "# Parameters\n" + "\n".join(f"{name} = {value!r}" for name, value in values.items())
    cell = nbformat.v4.new_code_cell(source, id="injected-parameters", metadata={"tags": ["injected-parameters"]})
    after = next(number for number, cell in enumerate(nb.cells) if _tagged(cell, "parameters"))
    nb.cells.insert(after + 1, cell)


class _ThisPython(KernelSpecManager):
    """Kernels run on the Python that runs this, whatever kernels the machine has registered."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        about = {"supported_encryption": ["curve"]}
        return KernelSpec(argv=argv, display_name="Python 3", language="python", metadata=about)


class _Kernel(AsyncKernelManager):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options, kernel_spec_manager=_ThisPython())
        if self.has_trait("transport_encryption"):
            self.transport_encryption = "auto"  # else ipykernel warns about every kernel


def _execute_all(
    ready: Mapping[str, Any],
    places: Mapping[str, Path],
    jobs: int,
    timeout: int,
    progress: Callable[[str, str], None],
) -> list[Outcome]:
    clients: list[NotebookClient] = []

    def one(name: str) -> Outcome:
        progress(name, "started")
        return _execute(name, ready[name], places[name], timeout, clients)

    done: dict[str, Outcome] = {}
    pool = ThreadPoolExecutor(max(1, jobs))
    try:
        for future in as_completed([pool.submit(one, name) for name in ready]):
            outcome = future.result()
            done[outcome.name] = outcome
            progress(outcome.name, outcome.status)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for client in clients:
            if process := getattr(getattr(client.km, "provisioner", None), "process", None):
                process.kill()
        raise
    finally:
        pool.shutdown()
    return [done[name] for name in ready]


def _execute(name: str, nb: Any, place: Path, timeout: int, clients: list[NotebookClient]) -> Outcome:
    """Run a notebook in place; what stopped it is kept in its metadata, for the page."""
    running = [0]
    client = NotebookClient(
        nb,
        kernel_name="python3",
        kernel_manager_class=_Kernel,
        timeout=timeout,
        startup_timeout=120,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(place)}},
        on_cell_start=lambda cell, cell_index: running.__setitem__(0, cell_index),
    )
    clients.append(client)
    # sets and dicts of the notebook keep their order from run to run
    kept = {**os.environ, "PYTHONHASHSEED": "0"}
    status, error = "ok", ""
    try:
        asyncio.run(client.async_execute(env=kept))
    except CellExecutionError as failure:
        status, error = "failed", _in_words(failure.ename, failure.evalue)
    except CellTimeoutError:
        status, error = "failed", f"It took longer than {timeout} seconds."
    except DeadKernelError:
        status, error = "died", "Python stopped without a message; it may have run out of memory."
    except RuntimeError as failure:
        status, error = "died", f"Python did not start: {failure}"
    section = ""
    if status != "ok":
        section = _section(nb, running[0])
        nb.metadata.setdefault("salesforecast", {})["run"] = {
            "status": status, "error": error, "cell": running[0], "section": section
        }  # fmt: skip
    _settle(nb)
    return Outcome(name, status, error, section)


def _in_words(kind: str, message: str) -> str:
    """An error in one line. Our own say all in their message."""
    line = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", message).split())
    line = line if len(line) <= 600 else line[:599] + "…"
    return line if isinstance(getattr(errors, kind, None), type) and line else f"{kind}: {line}".rstrip(": ")


def _section(nb: Any, cell: int) -> str:
    """The question above a cell; empty before the first."""
    heads = [
        line.lstrip("# ").strip()
        for above in nb.cells[:cell]
        if above.cell_type == "markdown"
        for line in above.source.splitlines()
        if line.startswith("## ")
    ]
    return heads[-1] if heads else ""


def _settle(nb: Any) -> None:
    """Take out of the outputs what differs between two runs."""
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            output.pop("transient", None)
            if "text" in output:
                output["text"] = re.sub(r"\S*ipykernel_\d+[\\/]\d+\.py", "cell", output["text"])


# ---- writing --------------------------------------------------------------------------------------------------------


def _write(folder: Path, ready: Mapping[str, Any], outcomes: Sequence[Outcome], values: Mapping[str, Any]) -> None:
    exporter = PageExporter()
    pages = {f"{name}.html": content(nb) for name, nb in ready.items()}
    links = [("Summary", "index.html"), *((page.name, address) for address, page in pages.items())]
    for name, nb in ready.items():
        nbformat.write(nb, folder / f"{name}.ipynb")
        html, _ = exporter.from_notebook_node(nb, {"salesforecast": {"links": links, "this": f"{name}.html"}})
        (folder / f"{name}.html").write_text(html, "utf-8", newline="\n")
    (folder / "index.html").write_text(_index(exporter, pages, links), "utf-8", newline="\n")
    manifest = json.dumps(_manifest(pages, outcomes, values), indent=2, ensure_ascii=False)
    (folder / "manifest.json").write_text(manifest + "\n", "utf-8", newline="\n")


def _index(exporter: PageExporter, pages: Mapping[str, Page], links: Sequence[tuple[str, str]]) -> str:
    """The summary: each page with its finding, and what could not be said."""

    def first(part: str) -> Any:
        return next((getattr(page, part) for page in pages.values() if getattr(page, part)), "")

    return exporter.print(
        "summary.html.j2",
        pages=list(pages.items()),
        links=links,
        this="index.html",
        head=first("head") or {},
        made=first("made") or {},
        lead=first("lead"),
        cards=first("cards"),
        unsaid=[(asked, why, address) for address, page in pages.items() for asked, why in page.unsaid],
    )


def _manifest(pages: Mapping[str, Page], outcomes: Sequence[Outcome], values: Mapping[str, Any]) -> dict[str, Any]:
    """What was run on what, and how it ended; no times, so that it too is the same for the same run."""
    made = next((page.made for page in pages.values() if page.made), {})
    return {
        "data": made.get("data", {}),
        "versions": made.get("versions", {}),
        "pages": [
            {
                "name": outcome.name,
                "status": outcome.status,
                "error": outcome.error,
                "section": outcome.section,
                "page": f"{outcome.name}.html",
                "notebook": f"{outcome.name}.ipynb",
                "parameters": values[outcome.name],
            }
            for outcome in outcomes
        ],
    }


def _move(building: Path, out: Path) -> None:
    """Put the finished files over the former ones; the manifest comes last, since it names the rest."""
    out.mkdir(exist_ok=True)
    made = sorted(building.iterdir(), key=lambda path: (path.name == "manifest.json", path.name))
    stale = _former(out) - {path.name for path in made}
    for path in made:
        os.replace(path, out / path.name)
    for name in stale:
        (out / name).unlink(missing_ok=True)


def _former(out: Path) -> set[str]:
    """The files that the former run wrote, by its manifest."""
    try:
        pages = json.loads((out / "manifest.json").read_text("utf-8"))["pages"]
        names = {str(page[kind]) for page in pages for kind in ("page", "notebook")}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in names if Path(name).name == name and name.endswith((".html", ".ipynb"))}


def _tagged(cell: Any, tag: str) -> bool:
    return tag in cell.get("metadata", {}).get("tags", [])


def _without(mapping: Any, *names: str) -> Any:
    return nbformat.from_dict({name: value for name, value in mapping.items() if name not in names})
