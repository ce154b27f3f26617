"""The house keeps its shape: who may import whom, what a notebook may hold, what a module must not do."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import salesforecast

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "salesforecast"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MODULES = sorted(PACKAGE.rglob("*.py"))

# A module imports only from rows above its own, and from its own package.
ROWS = [
    {"quick", "errors", "filters", "keys", "stakes"},
    {"words"},
    {"formats"},
    {"columns"},
    {"asof"},
    {"tables", "periods", "stats", "shrinkage", "shapes", "workdays"},
    {"contract"},
    {"style", "synthetic", "text", "observed", "privacy", "keeping", "goals"},
    {"cards"},
    {"cells", "crm"},
    {"ledger", "duplicates", "moves"},
    {"rules"},
    {"derive", "reading", "rates", "undoing", "fixes"},
    {"cleaning"},
    {"funnel", "forecasting", "pipeline", "quality", "reps", "targets", "channels"},
    {"page"},
    {"report"},
    {"lab"},
    {"cli"},
]
RANK = {name: place for place, row in enumerate(ROWS) for name in row}


def top(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path):
    """The modules of ours that a module imports, the name of the room only."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            names = (
                [".".join([node.module, a.name]) for a in node.names] if parts == ["salesforecast"] else [node.module]
            )
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        yield from (n.split(".")[1] for n in names if n.startswith("salesforecast."))


def test_every_module_has_its_row():
    assert {top(p) for p in MODULES} - {"__init__"} <= set(RANK)


@pytest.mark.parametrize(
    "path", [p for p in MODULES if top(p) != "__init__"], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_a_module_imports_only_from_rows_above(path):
    here = top(path)
    wrong = {name for name in imported(path) if name not in {here, "__version__"} and RANK[name] >= RANK[here]}
    assert not wrong, f"{here} must not import {wrong}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_reads_a_clock(path):
    text = path.read_text("utf-8")
    allowed = {"time.monotonic"} if top(path) in ("cli", "report") else set()  # how long it took, for people
    found = set(
        re.findall(
            r"""\b(?:\w+\.)?(?:now|today|utcnow|time\.time|time\.monotonic|perf_counter)\(|Timestamp\(["'](?:now|today)""",
            text,
        )
    )
    assert {f.rstrip("(") for f in found} <= allowed


def test_the_public_names_are_all_there_and_sorted():
    assert list(salesforecast.__all__) == sorted(salesforecast.__all__)
    for name in salesforecast.__all__:
        assert getattr(salesforecast, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'funel'"):
        _ = salesforecast.funel


def test_the_command_line_starts_without_the_heavy_libraries():
    heavy = ["pandas", "numpy", "altair", "sklearn", "statsmodels", "nbclient"]
    code = f"import sys, salesforecast.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_package_changes_nothing_of_pandas_altair_or_warnings():
    code = (
        "import pandas as pd, altair as alt, warnings; before = (pd.get_option('display.max_rows'), len(warnings.filters));"
        "import salesforecast as sf; sf.funnel, sf.style, sf.clean, sf.show;"
        "print(before == (pd.get_option('display.max_rows'), len(warnings.filters)), alt.renderers.active, alt.theme.active)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "default", "default"]


# ---- notebooks -----------------------------------------------------------------------------------------------------------


def cells(path: Path, kind: str = "code"):
    return [c for c in json.loads(path.read_text("utf-8"))["cells"] if c["cell_type"] == kind]


def source(cell) -> str:
    return "".join(cell["source"])


LOGIC = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.While, ast.If, ast.IfExp, ast.BinOp, ast.BoolOp, ast.UnaryOp, ast.Compare,
         ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp, ast.Lambda, ast.Try)  # fmt: skip


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_a_notebook_holds_no_logic(path):
    for cell in cells(path):
        logic = [type(n).__name__ for n in ast.walk(ast.parse(source(cell))) if isinstance(n, LOGIC)]
        assert not logic, f"{logic} in: {source(cell)}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_a_notebook_has_run_from_top_to_bottom_without_error(path):
    counts = [c["execution_count"] for c in cells(path)]
    assert counts == list(range(1, len(counts) + 1)), "nbval compares nothing in a cell that was never executed"
    assert all(o["output_type"] != "error" for c in cells(path) for o in c["outputs"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_a_notebook_has_its_form(path):
    tags = [set(c["metadata"].get("tags", [])) for c in cells(path)]
    assert tags[0] == {"parameters"} and tags[1] == {"setup"}
    assert source(cells(path, "markdown")[0]).startswith("# ")
    ignored = [c for c, t in zip(cells(path), tags, strict=True) if "nbval-ignore-output" in t]
    assert [source(c) for c in ignored] == ["sf.in_short()"], "only the list that fills itself may be left uncompared"
    assert source(cells(path)[-1]).startswith("sf.made(")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_a_notebook_tells_nothing_of_the_machine_it_ran_on(path):
    text = path.read_text("utf-8")
    assert not re.search(r"/home/|/root/|/tmp/|/Users/|[A-Z]:\\\\|0x[0-9a-f]{8,}|Traceback", text)
