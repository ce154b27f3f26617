"""What the notebooks have said, read from their outputs: findings with what hangs on them, what could not be said, and the frames."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from salesforecast import stakes
from salesforecast.stakes import Forecast, Stake
from salesforecast.text import plain


@dataclass(frozen=True)
class Said:
    """A finding: where it stands, its sentence in Markdown, what hangs on it, and the names of its frames."""

    page: str
    question: str
    sentence: str
    stakes: tuple[Stake, ...] = ()
    forecast: Forecast | None = None
    headline: str = ""
    tables: tuple[str, ...] = ()

    @property
    def amount(self) -> float:
        """The money at stake; missing where there is none."""
        return self.stakes[0].amount if self.stakes else float("nan")


@dataclass(frozen=True)
class Unsaid:
    """A question without an answer, and why."""

    page: str
    question: str
    reason: str
    kind: str


@dataclass(frozen=True)
class Result:
    """A frame behind a table: its name, unique in the report, what it answers, and the file it lies in."""

    name: str
    page: str
    question: str
    finding: str
    path: Path = field(repr=False)

    def frame(self) -> pd.DataFrame:
        """The frame, whole and unrounded."""
        return pd.read_parquet(self.path)


@dataclass(frozen=True)
class Answers:
    """All that a notebook has said."""

    said: tuple[Said, ...] = ()
    unsaid: tuple[Unsaid, ...] = ()
    results: tuple[Result, ...] = ()


def answers(nb: Mapping[str, Any], page: str, folder: Path) -> Answers:
    """What an executed notebook has said.

    Parameters
    ----------
    nb : NotebookNode
        An executed notebook.
    page : str
        Its name.
    folder : path
        Where its kernel has left the frames.
    """
    said: list[dict[str, Any]] = []
    unsaid: list[Unsaid] = []
    results: list[Result] = []
    title, question = "", ""
    for cell in nb["cells"]:
        if cell["cell_type"] == "markdown":
            for line in cell["source"].splitlines():
                if line.startswith("# ") and not title:
                    title = plain(line[2:].strip())
                if line.startswith("## "):
                    question = plain(line[3:].strip())
            continue
        names = iter(_names(cell["source"]))
        for output in cell.get("outputs", ()):
            about = output.get("metadata", {}).get("salesforecast", {})
            data = output.get("data", {})
            text = "".join(data.get("text/markdown", ""))
            if about.get("role") == "finding":
                said.append(
                    {"page": page, "question": question or title, "sentence": text, "tables": [], **_beside(about)}
                )
            elif about.get("role") == "unsaid":
                reason = "".join(data.get("text/plain", ""))
                unsaid.append(Unsaid(page, question or title, reason, str(about.get("kind", ""))))
            elif about.get("role") == "table":
                name = _unique(f"{page}-{next(names, '') or 'table'}", {r.name for r in results})
                if (path := folder / f"{Path(str(about.get('result', ''))).name}.parquet").is_file():
                    finding = plain(said[-1]["sentence"]) if said else ""
                    results.append(Result(name, page, question or title, finding, path))
                    if said:
                        said[-1]["tables"].append(name)
    whole = tuple(Said(**{**one, "tables": tuple(one["tables"])}) for one in said)
    return Answers(whole, tuple(unsaid), tuple(results))


def _beside(about: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"stakes": tuple(stakes.stake(one) for one in about.get("stakes", ()) if "amount" in one)}
    if "mean" in about.get("forecast", {}):
        found["forecast"] = stakes.forecast(about["forecast"])
    return found | {"headline": str(about.get("headline", ""))}


def _names(source: str) -> Iterator[str]:
    r"""A name for the table of each `show` of a cell: that of the frame in the code, which stays when the words change.

    Examples
    --------
    >>> list(_names("sf.show('x', table=gaps.drop(columns='n'))\nsf.show(f(a), c(a), room.table_scores(a))"))
    ['gaps', 'a']
    >>> list(_names("sf.show('y', None, reps.needed())"))
    ['needed']
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "show"
    ]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        tables = [word.value for word in call.keywords if word.arg == "table"] + call.args[2:3]
        if tables:
            yield _name(tables[0])


def _name(node: ast.expr) -> str:
    while True:
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.Subscript | ast.Attribute):
            node = node.value
        elif isinstance(node, ast.Call):
            owner = node.func.value if isinstance(node.func, ast.Attribute) else None
            if isinstance(owner, ast.Call | ast.Subscript):  # a method of what another call gave
                node = owner
            elif node.args and isinstance(node.args[0], ast.Name):
                return node.args[0].id
            elif isinstance(owner, ast.Name) and node.func.attr in dir(pd.DataFrame):  # type: ignore[attr-defined]
                return owner.id
            else:
                return ast.unparse(node.func).split(".")[-1]
        else:
            return ""


def _unique(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found


def ranked(said: Sequence[Said]) -> list[Said]:
    """The findings, dearest first; those without money at stake after them, in the order of the pages."""
    return sorted(said, key=lambda one: -one.amount if one.amount > 0 else 0.0)


def as_json(value: Mapping[str, Any]) -> str:
    """JSON that is the same for the same content, and that people can read."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def said_as_json(one: Said) -> dict[str, Any]:
    """A finding for findings.json."""
    found: dict[str, Any] = {"page": one.page, "question": one.question, "finding": plain(one.sentence)}
    if one.stakes:
        found["stake"] = stakes.kept(one.stakes[0])
    if one.forecast:
        found["forecast"] = stakes.kept(one.forecast)
    return found | {"tables": [f"results/{name}.parquet" for name in one.tables]}


def cards(html: str) -> dict[str, str]:
    """The rows of a table of cards, by the card's name."""
    rows = re.findall(r'<tr class="card">.*?</tr>', html, flags=re.DOTALL)
    return {match[1]: row for row in rows if (match := re.search(r'<th scope="row">(.*?)</th>', row, flags=re.DOTALL))}
