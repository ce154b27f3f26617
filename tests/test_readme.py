"""What the README shows runs as it says."""

import re

import pytest

import salesforecast as sf
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


def test_the_recipe_for_orders_alone_reads_them_as_won_deals(write):
    after = README.partition("**Orders alone.**")[2]
    recipe = re.sub("(?m)^   ", "", re.findall(r"(?s)```toml\n(.*?)```", after)[0])
    orders = "Row,Customer,Order Date,Ship Mode,Sales\n" + "".join(
        f"{i},C{i % 5},2025-0{1 + i % 4}-10,{mode},10\n" for i, mode in enumerate(["Standard", "Express"] * 20)
    )
    crm, _ = sf.clean(sf.load(write(orders=orders, salesforecast__toml=recipe)))
    assert (crm.deals["outcome"] == "won").all() and crm.deals["amount"].sum() == 400
    assert (crm.deals["created_date"] == crm.deals["closed_date"]).all() and crm.deals["account_id"].nunique() == 5


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
