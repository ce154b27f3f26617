"""The notebooks there are, the parameters they declare, and the values they are given.

The parameters are injected as papermill does it, in a cell after the one tagged `parameters`.
"""

from __future__ import annotations

import ast
import io
import json
import math
import re
import tokenize
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from salesforecast import quick  # noqa: F401  (before anything of Jupyter)

# isort: split
import nbformat

from salesforecast.errors import ReportError, SettingError, unknown
from salesforecast.tables import TABLES

Value = str | int | float | bool
TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
# Money before method: the summary's lead is the first finding of the first page that has one. What is not named stands between.
FIRST = ("revenue_forecast", "targets", "funnel", "rep_performance", "channel_effectiveness")
LAST = ("data_quality", "forecasting_guide")


class Parameter(NamedTuple):
    """A parameter of a notebook: its type, its default, and what it is for."""

    type: type
    default: Value
    comment: str


def notebooks(folder: str | Path | None = None) -> dict[str, Path]:
    """The notebooks that can be run, by name, in the order of the pages.

    Parameters
    ----------
    folder : path, optional
        A project folder. Its own `notebooks/` are taken when it has any, else those that come with the package.
    """
    package = Path(__file__).parent.parent
    places = [Path(folder) / "notebooks"] if folder is not None else []
    # the wheel carries them inside the package, a checkout has them beside it
    for place in (*places, package / "notebooks", package.parent / "notebooks"):
        if found := {path.stem: path for path in sorted(place.glob("*.ipynb"), key=_place)}:
            return found
    return {}


def _place(path: Path) -> tuple[int, str]:
    if path.stem in FIRST:
        return FIRST.index(path.stem), ""
    return len(FIRST) + (LAST.index(path.stem) + 1 if path.stem in LAST else 0), path.stem


def reported(nb: Any) -> bool:
    """Whether a notebook belongs to the report when none is named: `"report": false` under `salesforecast` in its metadata says no."""
    return bool(nb.metadata.get("salesforecast", {}).get("report", True))


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
    return declared(read(path), Path(path).stem)


def copy_for_project(path: str | Path, to: str | Path, **values: str) -> None:
    """Copy a notebook without its outputs, with other defaults for the parameters named."""
    nb = read(path)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if tagged(cell, "parameters"):
            for name, value in values.items():
                line = f"{name}: str = {json.dumps(value, ensure_ascii=False)}".replace("\\", r"\\")
                cell.source = re.sub(rf'(?m)^{name}: str = "[^"]*"', line, cell.source)
    nbformat.write(nb, to)


def declared(nb: Any, name: str) -> dict[str, Parameter]:
    """The parameters of a notebook that has been read."""
    cell = next((cell for cell in nb.cells if tagged(cell, "parameters")), None)
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


def read(path: str | Path) -> Any:
    """The notebook with an id for each cell and without what former runs left in it."""
    try:
        raw = json.loads(Path(path).read_text("utf-8"))
        nb = nbformat.from_dict(raw | {"nbformat": 4, "nbformat_minor": 5})
        nb.metadata = _without(nb.metadata, "papermill", "widgets", "signature")
        nb.cells = [cell for cell in nb.cells if not tagged(cell, "injected-parameters")]
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


def given(
    values: Mapping[str, object], own: Mapping[str, Mapping[str, Parameter]], columns: Iterable[str] = ()
) -> dict[str, dict[str, Value]]:
    """The values for each notebook, of the types that it declares.

    Parameters
    ----------
    values : mapping
        By name.
    own : mapping
        The parameters of each notebook.
    columns : iterable of str
        Of the deals, where they are known: what `by` may be.

    Raises
    ------
    SettingError
        For a name that no notebook declares, a value that cannot be read, or one that is none of those there are.
    """
    everywhere = {name: None for parameters in own.values() for name in parameters}
    for name in values:
        if name not in everywhere:
            raise unknown("parameter", name, everywhere)
    found = {
        notebook: {n: converted(n, v, parameters[n].type) for n, v in values.items() if n in parameters}
        for notebook, parameters in own.items()
    }
    for notebook, mine in found.items():
        for name, value in mine.items():
            _allowed(name, value, own[notebook][name].default, list(columns))
    return found


def _allowed(name: str, value: Value, default: Value, columns: list[str]) -> None:
    """Refuse what no question knows; not in a notebook whose own default tells that it means something else by the name."""
    if name == "days" and isinstance(value, int | float) and value < 1 <= float(default):
        raise SettingError(f"Parameter 'days' is at least 1, not {value}.")
    if name == "grain":
        from salesforecast.targets.results import GRAINS

        if value not in GRAINS and default in GRAINS:
            raise unknown(name, value, GRAINS)
    if name == "by" and columns:
        known = {"", *columns, *(column for table in TABLES.values() for column in table.names)}
        if value not in known and default in known:
            raise unknown("column of the deals", value, columns)


def inject(nb: Any, values: Mapping[str, Value]) -> None:
    """Put the values into a cell after the parameters, as papermill does."""
    if not values:
        return
    source = "# Parameters\n" + "\n".join(f"{name} = {value!r}" for name, value in values.items())
    cell = nbformat.v4.new_code_cell(source, id="injected-parameters", metadata={"tags": ["injected-parameters"]})
    after = next(number for number, cell in enumerate(nb.cells) if tagged(cell, "parameters"))
    nb.cells.insert(after + 1, cell)


def tagged(cell: Any, tag: str) -> bool:
    """Whether a cell has a tag."""
    return tag in cell.get("metadata", {}).get("tags", [])


def _without(mapping: Any, *names: str) -> Any:
    return nbformat.from_dict({name: value for name, value in mapping.items() if name not in names})
