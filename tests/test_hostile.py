"""The real notebooks on an export all of whose text is hostile: nothing of it runs, links, becomes a formula or leaves its folder."""

import json
import re
import zipfile
from dataclasses import replace

import nbformat
import pandas as pd
import pytest
from test_report import CHROMIUM, elements, in_browser

from salesforecast import cli, report, synthetic

pytestmark = pytest.mark.usefixtures("kernels_find_the_package")

EVIL = [
    "<script>document.title='harm'</script>", "</script><img src=x onerror=\"document.title='harm'\">", "[a](javascript:alert(1))",
    "javascript:alert(1)", '=HYPERLINK("http://harm.example","x")', "\u202eevil\u202c", "../../x", "**b** `c` $d$ ![i](http://harm.example)",
    "@SUM(A1)", "{{ 7*7 }} {% raw %}",
]  # fmt: skip
LONG = "x" * 10_000
# What is no text: keys of the CRM and ours, days and figures, words of a closed list, and the period a target is for.
PLAIN = re.compile(
    r"-?[\d.]*|\d{4}-\d\d(-\d\d( [\d:]+)?)?|\d{4}(Q\d)?|true|false|(?:Lead:)?[A-Z]{1,2}\d+|"
    "open|won|lost|visit|call|cold_call|email|personalised_email|demo|meeting|event|admin|"
    "salary|commission|travel|training|entertainment|rep|manager|company|commit|best case"
)


def spoilt(folder, truth):
    """An export with hostile text in front of every text, the same in front of the same; one of each column is very long."""
    synthetic.write(folder, truth=truth)
    taken = {"North": "../../x"}  # a team by the name of a path
    columns = 0
    for file in sorted(folder.glob("*.csv")):
        frame = pd.read_csv(file, dtype="str", keep_default_na=False)
        for column in frame:
            texts = [text for text in dict.fromkeys(frame[column]) if not PLAIN.fullmatch(text)]
            for text in texts:
                evil = EVIL[len(taken) % len(EVIL)]
                taken.setdefault(text, f"{evil}{text}{LONG if text == texts[-1] and len(texts) > 9 else ''}")
            columns += bool(texts)
            frame[column] = [taken.get(text, text) for text in frame[column]]
        frame.to_csv(file, index=False, lineterminator="\n")
    assert columns >= 25
    config = folder / "salesforecast.toml"
    config.write_text(
        config.read_text("utf-8").replace('"Larkfield Instruments"', json.dumps(EVIL[0] + EVIL[2])), "utf-8"
    )
    return taken


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("hostile")
    names = spoilt(place / "in/export", replace(synthetic.Truth(), opportunities=500))
    said = {"data": str(place / "in/export"), "period": "2025Q2"}
    outcomes = report.run([], place / "in/out", parameters=said)
    return place, names, outcomes


def test_every_notebook_runs(made):
    assert {o.name: o.error for o in made[2] if o.status != "ok"} == {}


def test_nothing_of_it_runs_or_links_in_the_pages(made):
    pages = sorted((made[0] / "in/out").glob("*.html"))
    assert len(pages) >= 8
    for page in pages:
        raw = page.read_text("utf-8")
        found = elements(raw)
        assert found.count("script") <= 5 and "img" not in found and "iframe" not in found, page.name
        assert not re.search(r'(?i)(href|src)\s*=\s*["\']?\s*(javascript:|http:)', raw), page.name
        body = re.sub(r"<(script|style)\b.*?</\1>", "", raw, flags=re.DOTALL)
        assert "\u202e" not in re.sub(r"<bdi>.*?</bdi>", "", body), (
            f"{page.name}: a mark ends with the name that holds it"
        )
        assert "<script>document" not in body and "49 " not in re.findall(r"<title>(.*?)</title>", raw)[0]


def test_nothing_of_it_is_a_formula_or_a_link_in_the_workbook(made):
    with zipfile.ZipFile(made[0] / "in/out/tables.xlsx") as packed:
        for name in packed.namelist():
            text = packed.read(name).decode("utf-8", "replace")
            assert "<f>" not in text and not re.search(r"<hyperlink [^>]*r:id", text), name  # only to its own sheets
            assert not name.endswith(".rels") or "harm" not in text


def test_the_executed_notebooks_are_whole_and_hold_no_html_of_it(made):
    for path in (made[0] / "in/out").glob("*.ipynb"):
        nb = nbformat.read(path, 4)
        nbformat.validate(nb)
        for cell in nb.cells:
            for output in cell.get("outputs", []):
                shown = "".join(output.get("data", {}).get("text/html", ""))
                assert not re.search(r"(?i)<(script|img|iframe)|javascript:[^<]*\"", shown), path.name
                words = "".join(output.get("data", {}).get("text/markdown", ""))
                assert not re.search(r"(?i)<(script|img)", words) and "](javascript" not in words.replace("\\]", ""), (
                    path.name
                )


def test_the_changes_for_a_spreadsheet_hold_no_formula(made, capsys):
    where = made[0] / "in"
    assert (
        cli.main(["check", str(where / "export"), "--issues", str(where / "i.csv"), "--fixes", str(where / "f.csv")])
        == 0
    )
    for name in ("i.csv", "f.csv"):
        cells = pd.read_csv(where / name, dtype="str", keep_default_na=False)
        assert not cells.apply(lambda column: column.str.match(r"\s*[=@+]")).any(axis=None), name


def test_a_team_by_the_name_of_a_path_stays_in_its_folder(made):
    place, names, _ = made
    before = {path for path in place.rglob("*") if place / "in/by" not in path.parents}
    teams = sorted(names[team] for team in ("North", "South", "East", "West") if team in names)
    said = {"data": str(place / "in/export"), "period": "2025Q2"}
    assert teams[0] == "../../x"
    outcomes = report.run(["funnel"], place / "in/by", parameters=said, each=("team", teams[:2]))
    assert [o.status for o in outcomes] == ["ok", "ok"] and re.fullmatch(r"x-[0-9a-f]{8}/funnel", outcomes[0].name)
    after = {path for path in place.rglob("*") if place / "in/by" not in path.parents}
    assert after - before <= {place / "in/by", place / "in/ledger.parquet"}


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_in_a_browser_no_page_changes_its_title_and_every_chart_stands(made, tmp_path):
    for name in ("index", "channel_effectiveness"):
        dom, complaints = in_browser(tmp_path, (made[0] / f"in/out/{name}.html").as_uri())
        assert "<title>harm" not in dom and not complaints, (name, complaints)
