"""What the README shows runs as it says."""

import re

import pytest

from conftest import ROOT

README = (ROOT / "README.md").read_text("utf-8")
EARLY = {
    "2025-05-31": "2023-08-31",
    "2025Q2": "2023Q3",
}  # "The quarter" at a day with few past quarters, or it takes a minute


def snippets():
    """The README's Python by its sections; the first is what the others go on from."""
    found = {
        part.splitlines()[0]: re.findall(r"(?s)```python\n(.*?)```", part) for part in re.split(r"(?m)^## ", README)
    }
    return {section: blocks for section, blocks in found.items() if blocks}


def test_the_readme_says_from_what_its_snippets_go_on():
    first, *others = snippets().values()
    assert first[0].startswith("import salesforecast as sf") and "crm, issues = " in first[0]
    assert any("import salesforecast" not in block for blocks in others for block in blocks)
    after = README.partition(first[0])[2].split("```python")[0]
    assert "The snippets further down go on from this one: they need its `sf` and `crm`." in " ".join(after.split())


@pytest.mark.parametrize("section", snippets())
def test_a_snippet_runs_after_the_first(section, monkeypatch):
    monkeypatch.chdir(ROOT)
    first = next(iter(snippets()))
    space: dict[str, object] = {}
    for block in [*snippets()[first], *(snippets()[section] if section != first else [])]:
        if section == "The quarter":
            for late, early in EARLY.items():
                block = block.replace(late, early)
        exec(block, space)
