from __future__ import annotations

import gzip
import html
import json
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from salesforecast import privacy, report
from salesforecast.cleaning import clean
from salesforecast.crm import load
from salesforecast.errors import ReportError, SettingError
from salesforecast.page import digest, runtime

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.usefixtures("kernels_find_the_package")
browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
ROOT = Path(__file__).parent.parent
HOSTILE = "</script><script>document.title='harm'</script><img src=x onerror=\"document.title='harm'\"> **Ann** & Co"

SETUP = f"""
import altair as alt
import pandas as pd
from types import SimpleNamespace
from salesforecast import cells as sf
from salesforecast.errors import TooLittleData
from salesforecast.tables import Crm, Settings

name = {HOSTILE!r}
crm = Crm({{}}, pd.Timestamp("2025-06-08"), Settings(company=name), digest="ab12" * 16)
quarter = SimpleNamespace(label=period, since=pd.Timestamp("2025-04-01"), until=pd.Timestamp("2025-07-01"))
frame = pd.DataFrame({{"rep": [name, "Bo", "Cy"], "n": [3, 20, 100]}})


def bars(frame, **about):
    bar = alt.Chart(frame).mark_bar(color="#0072B2").encode(x="n:Q", y=alt.Y("rep:N", sort=None))
    words = alt.Chart(frame, name="words").mark_text().encode(x="n:Q", y="rep:N", text="rep:N")
    title = alt.TitleParams(name, subtitle="A very long subtitle " * 5)
    return alt.layer(bar, words).properties(
        title=title, width=500, height=90, autosize="none",
        padding={{"left": 120, "right": 100, "top": 60, "bottom": 20}},
        description=name, usermeta={{"salesforecast": about}},
    )


narrow = {{"padding": {{"left": 90, "right": 8, "top": 20, "bottom": 20}}, "hide": ["words"]}}
sf.head(crm, quarter)
"""
START = [
    ("parameters", 'period: str = "2025Q2"  # the period reported\nn: int = 3\nsure: bool = False\nrate: float = 0.5'),
    ("setup", SETUP),
    ("nbval-ignore-output", "sf.in_short()"),
]
GOOD = [
    "# Rep performance\n\nRun it with papermill. SECRET-HOWTO",
    *START,
    "## Who wins more?\n\n**Win rate** is won by closed. <script>alert(1)</script>",
    "with sf.section():\n"
    '    sf.show(f"{sf.md(name)} wins $5 of $9.", bars(frame, narrow=narrow, title_height=40), frame)',
    ("aside", "### How to read it\n\nThe bar is the count.\n\n### Before you act\n\nWait."),
    "## What of the rest?",
    'with sf.section():\n    sf.show("**Two** of three are quiet.", table=frame, note="By closed date.")',
    "## How fast do they ramp up?\n\nMonths.",
    'with sf.section():\n    raise TooLittleData(f"Needs 60 more deals of {name}.")',
    "## What could not be analysed",
    "sf.unsaid()",
    "## How this page was made\n\nBy counting.\n\n### What it cannot say\n\nWhy.",
    "sf.made(crm, period=period, n=n, sure=sure, rate=rate)",
]
QUIET = ["# Quiet", ("parameters", 'period: str = "2025Q2"'), "## Nothing?", "1 + 1"]
BROKEN = [
    "# Funnel",
    *START,
    "## Which stage loses most?\n\nOf those that left.",
    'sf.show("**Proposal** loses most.", table=frame)',
    "## Where are deals stalled?",
    "with sf.section():\n    frame.loc[0, 'nothing']",
    "## Which are late?",
    "1",
]


def written(path, cells, **about):
    """A notebook: strings with a heading or a small letter first are Markdown or code; pairs carry a tag."""
    nb = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}, **about}
    )
    for number, cell in enumerate(cells):
        tag, source = cell if isinstance(cell, tuple) else ("", cell)
        new = nbformat.v4.new_markdown_cell if source.startswith("#") else nbformat.v4.new_code_cell
        nb.cells.append(new(source, id=f"c{number}", metadata={"tags": [tag]} if tag else {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, path)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    written(folder / "notebooks/reps.ipynb", GOOD, salesforecast={"nav": "Reps"})
    written(folder / "notebooks/funnel.ipynb", BROKEN)
    written(folder / "notebooks/quiet.ipynb", QUIET)
    return folder


@pytest.fixture(scope="module")
def made(project):
    """The report of all three, its folder and how each run ended."""
    outcomes = report.run([], project / "out", folder=project, parameters={"period": "2025Q3", "n": "7"})
    return project / "out", {outcome.name: outcome for outcome in outcomes}


# ---- parameters -----------------------------------------------------------------------------------------------------


def test_parameters_are_read_without_running_the_notebook(project):
    found = report.parameters(project / "notebooks/reps.ipynb")
    assert found["period"] == (str, "2025Q2", "the period reported")
    assert found["sure"] == (bool, False, "")
    assert list(found) == ["period", "n", "sure", "rate"]


def test_a_parameter_that_is_computed_is_refused(tmp_path):
    written(tmp_path / "x.ipynb", [("parameters", "day: str = str(1)")])
    with pytest.raises(SettingError, match=r"'x'.*day: str = str\(1\).*name: type = value"):
        report.parameters(tmp_path / "x.ipynb")


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("2025Q2", str, "2025Q2"),
        ("007", str, "007"),
        ("NO", str, "NO"),
        ("12", int, 12),
        ("1e3", float, 1000.0),
        ("yes", bool, True),
        ("False", bool, False),
        (3, float, 3.0),
        (True, bool, True),
    ],
)
def test_a_value_is_read_as_the_declared_type(text, kind, value):
    read = report.converted("x", text, kind)
    assert read == value
    assert type(read) is kind


@pytest.mark.parametrize(
    ("text", "kind", "wanted"),
    [
        ("1e5", int, "a whole number"),
        ("3.0", int, "a whole number"),
        (True, int, "a whole number"),
        ("many", float, "a number"),
        ("nan", float, "a number"),
        ("inf", float, "a number"),
        ("maybe", bool, "true or false"),
        ("", bool, "true or false"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(text, kind, wanted):
    with pytest.raises(SettingError, match=f"Parameter 'weeks' takes {wanted}, not '{text}'"):
        report.converted("weeks", text, kind)


def test_unknown_names_are_refused_before_anything_runs(project, tmp_path):
    with pytest.raises(SettingError, match=r"no notebook 'rep'\. Did you mean 'reps'"):
        report.run(["rep"], tmp_path / "out", folder=project)
    with pytest.raises(SettingError, match=r"no parameter 'perod'\. Did you mean 'period'"):
        report.run(["reps"], tmp_path / "out", folder=project, parameters={"perod": "2025Q2"})
    with pytest.raises(SettingError, match="Parameter 'n' takes a whole number, not 'x'"):
        report.run(["reps", "quiet"], tmp_path / "out", folder=project, parameters={"n": "x"})
    assert not list(tmp_path.iterdir())


def test_a_parameter_reaches_the_notebooks_that_declare_it(made):
    out, _ = made
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    given = {page["name"]: page["parameters"] for page in manifest["pages"]}
    assert given == {
        "reps": {"period": "2025Q3", "n": 7},
        "funnel": {"period": "2025Q3", "n": 7},
        "quiet": {"period": "2025Q3"},
    }
    nb = nbformat.read(out / "reps.ipynb", 4)
    assert nb.cells[2].metadata.tags == ["injected-parameters"]
    assert nb.cells[2].source == "# Parameters\nperiod = '2025Q3'\nn = 7"
    assert "2025Q3" in (out / "reps.html").read_text("utf-8")


def test_the_notebooks_of_the_project_go_before_those_of_the_package(project, tmp_path):
    assert set(report.notebooks(project)) == {"reps", "funnel", "quiet"}
    assert set(report.notebooks(tmp_path)) == set(report.notebooks())


# ---- running --------------------------------------------------------------------------------------------------------


def test_a_failing_notebook_says_where_and_why_and_the_others_stand(made):
    out, outcomes = made
    assert {name: outcome.status for name, outcome in outcomes.items()} == {
        "reps": "ok", "funnel": "failed", "quiet": "ok"
    }  # fmt: skip
    assert outcomes["funnel"].section == "Where are deals stalled?"
    assert outcomes["funnel"].error == "KeyError: 'nothing'"
    page = html.unescape((out / "funnel.html").read_text("utf-8"))
    assert "it stopped at “Where are deals stalled?”" in page
    assert "<b>This part failed.</b> KeyError: 'nothing'" in page
    assert '<p class="lead"><strong>Proposal</strong> loses most.</p>' in page  # what it said before stands
    assert "Not reached" in page
    assert "<li>Which are late?</li>" in page
    assert "Traceback" not in page
    assert "KeyError: 'nothing'" in html.unescape((out / "index.html").read_text("utf-8"))


def test_a_notebook_that_fails_at_once_leaves_a_page_too(tmp_path):
    written(tmp_path / "notebooks/a.ipynb", ["# A", "raise ValueError('<no> data')", "## B?"])
    (outcome,) = report.run(["a"], tmp_path / "out", folder=tmp_path)
    assert (outcome.status, outcome.section) == ("failed", "")
    page = (tmp_path / "out/a.html").read_text("utf-8")
    assert "it stopped at its first cells" in page
    assert "ValueError: &lt;no&gt; data" in page


def test_our_own_errors_are_said_without_their_kind(tmp_path):
    source = "from salesforecast.errors import DataError\nraise DataError('Table x is empty.')"
    written(tmp_path / "notebooks/a.ipynb", ["# A", source])
    (outcome,) = report.run(["a"], tmp_path / "out", folder=tmp_path)
    assert outcome.error == "Table x is empty."


def test_a_killed_kernel_is_not_called_completed(tmp_path):
    written(tmp_path / "notebooks/a.ipynb", ["# A", "import os\nos._exit(1)"])
    (outcome,) = report.run(["a"], tmp_path / "out", folder=tmp_path)
    assert outcome.status == "died"
    assert "Python stopped" in (tmp_path / "out/a.html").read_text("utf-8")


def test_a_cell_that_takes_too_long_is_stopped(tmp_path):
    written(tmp_path / "notebooks/a.ipynb", ["# A", "import time\ntime.sleep(60)"])
    (outcome,) = report.run(["a"], tmp_path / "out", folder=tmp_path, timeout=1)
    assert (outcome.status, outcome.error) == ("failed", "It took longer than 1 seconds.")


def test_results_of_a_former_run_never_pass_for_new_ones(tmp_path):
    written(tmp_path / "notebooks/a.ipynb", ["# A", "1 / 0", "2"])
    path = tmp_path / "notebooks/a.ipynb"
    nb = nbformat.read(path, 4)
    nb.cells[2].outputs = [nbformat.v4.new_output("display_data", {"text/plain": "OLD RESULT"})]
    nbformat.write(nb, path)
    report.run(["a"], tmp_path / "out", folder=tmp_path)
    assert "OLD RESULT" not in (tmp_path / "out/a.html").read_text("utf-8")
    assert "OLD RESULT" not in (tmp_path / "out/a.ipynb").read_text("utf-8")


def test_the_same_run_gives_the_same_bytes(project, made, tmp_path):
    out, _ = made
    report.run([], tmp_path / "again", folder=project, parameters={"period": "2025Q3", "n": "7"}, jobs=1)
    files = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*") if p.is_file())
    assert {"reps.html", "tables.xlsx", "findings.json", "results/reps-frame.parquet"} <= {
        path.as_posix() for path in files
    }
    for name in files:
        if name.name != "timing.json":  # the one file that says how long things took
            assert (out / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_a_cancelled_run_leaves_the_former_report_as_it_was(project, tmp_path, monkeypatch):
    report.run(["quiet"], tmp_path / "out", folder=project)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def cancel(name, status):
        if status == "ok":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        report.run(["quiet"], tmp_path / "out", folder=project, parameters={"period": "x"}, progress=cancel)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_pages_of_the_former_run_go_and_other_files_stay(project, tmp_path):
    report.run(["quiet"], tmp_path / "out", folder=project)
    (tmp_path / "out/notes.html").write_text("mine")
    written(tmp_path / "notebooks/other.ipynb", QUIET)
    report.run(["other"], tmp_path / "out", folder=tmp_path)
    left = {path.name for path in (tmp_path / "out").iterdir()}
    ours = {"other.html", "other.ipynb", "index.html", "manifest.json", "findings.json", "timing.json"}
    assert left == ours | {"notes.html"}


def test_progress_is_told(project, tmp_path):
    told = []
    report.run(["quiet"], tmp_path / "out", folder=project, progress=lambda *said: told.append(said))
    assert told == [("quiet", "started"), ("quiet", "ok")]


def test_what_is_not_a_notebook_is_refused(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/a.ipynb").write_text('{"cells": 1}')
    with pytest.raises(ReportError, match="not a notebook"):
        report.run(["a"], tmp_path / "out", folder=tmp_path)


def test_papermill_runs_the_same_notebook_and_fills_the_list_of_findings(project, tmp_path):
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "-k", "python3"]
    command += ["-p", "period", "2025Q3", project / "notebooks/reps.ipynb", tmp_path / "out.ipynb"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    nb = nbformat.read(tmp_path / "out.ipynb", 4)
    (cell,) = [cell for cell in nb.cells if cell.source == "sf.in_short()"]
    assert len(cell.outputs) == 1
    listed = cell.outputs[0].data["text/plain"]
    assert "wins $5 of $9." in listed
    assert listed.endswith("- Two of three are quiet.")


def test_nbval_finds_the_outputs_stable_and_sees_a_changed_one(made, tmp_path):
    nb = nbformat.read(made[0] / "reps.ipynb", 4)
    nbformat.write(nb, tmp_path / "same.ipynb")
    (cell,) = [cell for cell in nb.cells if cell.cell_type == "code" and "Two" in cell.source]
    cell.outputs[0]["data"]["text/markdown"] = "**Three** of three are quiet."
    nbformat.write(nb, tmp_path / "changed.ipynb")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--nbval", "-q", "--rootdir", str(tmp_path)]
    results = {
        name: subprocess.run([*command, f"{name}.ipynb"], cwd=tmp_path, capture_output=True, text=True)
        for name in ("same", "changed")
    }
    assert results["same"].returncode == 0, results["same"].stdout
    assert results["changed"].returncode == 1
    assert "1 failed" in results["changed"].stdout


# ---- the page -------------------------------------------------------------------------------------------------------


def visible(page):
    """The page without its styles, scripts and payload."""
    return re.sub(r"<(style|script)\b.*?</\1>", "", page, flags=re.DOTALL)


def test_no_code_and_no_parameter_cell_is_on_the_page(made):
    page = visible((made[0] / "reps.html").read_text("utf-8"))
    for code in ("import altair", "sf.show", "SECRET-HOWTO", "n: int", "# Parameters"):
        assert code not in page


def test_a_section_has_question_finding_caption_notes_table_and_definition(made):
    page = visible((made[0] / "reps.html").read_text("utf-8"))
    section = re.findall(r'<section class="section">.*?</section>', page, flags=re.DOTALL)[0]
    order = ["Who wins more?", 'class="finding"', "<figcaption>", "data-chart", "How to read it", "Before you act"]
    order += ["<b>Table</b>, 3 rows", "<table", "Definition and method", "Win rate</strong> is won by closed."]
    places = [section.index(part) for part in order]
    assert places == sorted(places)
    assert "&lt;script&gt;alert(1)" in section


def test_the_lead_is_the_first_finding_and_the_current_page_is_marked(made):
    page = (made[0] / "reps.html").read_text("utf-8")
    lead = re.search(r'<p class="lead">(.*?)</p>', page)[1]
    assert html.unescape(lead).endswith("**Ann** & Co wins $5 of $9.")
    assert '<a href="reps.html" aria-current="page">Reps</a>' in page
    assert '<a href="funnel.html">Funnel</a>' in page
    assert page.count("<h1>") == 1


def test_the_index_lists_the_pages_with_their_leads_and_what_could_not_be_said(made):
    page = visible((made[0] / "index.html").read_text("utf-8"))
    assert 'href="reps.html">Reps</a>' in page
    assert '<a href="reps.html">How fast do they ramp up?</a>' in page
    assert "Needs 60 more deals of &lt;/script&gt;" in page


def test_title_and_phone_margins_are_taken_out_of_the_spec(made):
    page = (made[0] / "reps.html").read_text("utf-8")
    (chart,) = json.loads(re.search(r'id="charts">(.*?)</script>', page, flags=re.DOTALL)[1])
    assert "title" not in chart["spec"]
    assert "usermeta" not in chart["spec"]
    assert chart["spec"]["padding"]["top"] == 20
    assert chart["narrow"]["hide"] == ["words"]


@pytest.mark.parametrize("name", ["reps.html", "funnel.html", "quiet.html", "index.html"])
def test_the_page_may_run_only_what_it_names_and_load_nothing(made, name):
    page = (made[0] / name).read_text("utf-8")
    policy = html.unescape(re.search(r'Content-Security-Policy" content="(.*?)"', page)[1])
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert digest(re.search(r"<style>(.*?)</style>", page, flags=re.DOTALL)[1]) in policy
    for script in re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL):
        assert digest(script) in policy
    assert not re.findall(
        r'(?:src|href|action|data)="(?!reps|funnel|quiet|index|tables|findings|manifest|#content)', page
    )
    assert "http" not in re.sub(r'(http-equiv="|id="runtime">[^<]*)', "", page)
    assert len(page) < 1_500_000


def test_the_runtime_speaks_of_other_sites_only_to_name_formats():
    script = gzip.decompress(b64decode(runtime()[0])).decode()
    assert set(re.findall(r"https?://([\w.]+)", script)) <= {"www.w3.org", "vega.github.io", "github.com"}


def elements(page):
    """The names of the elements in a page; a sign in an attribute is none."""
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.append(tag)
    parser.feed(page)
    assert "table" in found or "h1" in found
    return found


def in_browser(folder, address, *options):
    """The page's DOM when it has come to rest, and what the browser complained about; without a network."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync", *options]
    command += ["--proxy-server=127.0.0.1:9", f"--user-data-dir={folder}", "--enable-logging=stderr"]
    command += ["--virtual-time-budget=10000", "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@browser
@pytest.mark.parametrize(
    ("name", "charts"), [("reps.html", 1), ("funnel.html", 0), ("quiet.html", 0), ("index.html", 0)]
)
def test_hostile_text_does_no_harm_and_all_charts_stand(made, tmp_path, name, charts):
    page, complaints = in_browser(tmp_path, (made[0] / name).as_uri())
    assert not complaints
    assert re.search(r"<html[^>]* data-ready", page)
    assert page.count('<svg xmlns="http://www.w3.org/2000/svg"') == charts
    assert "<title>harm" not in page
    assert "img" not in elements(page)
    if charts:
        assert "#0072B2" in page  # the bars
        assert re.search(r'role="img" aria-label="[^"]*\*\*Ann\*\* &amp; Co wins \$5 of \$9\."', page)


PROBE = """<script>
const ask = setInterval(() => {
  const root = document.documentElement;
  if (!("ready" in root.dataset)) return;
  clearInterval(ask);
  DO;
  const wide = [...document.querySelectorAll("body *")].filter(one =>
    one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll") && !one.closest(".skip"));
  parent.postMessage([innerWidth, root.scrollWidth, wide.length, document.querySelectorAll(".chart svg").length,
    document.querySelector(".chart svg")?.getBoundingClientRect().width ?? 0,
    document.querySelectorAll(".role-mark.words, .chart .mark-text:not(.role-axis-label)").length,
    [...document.querySelectorAll("section:nth-of-type(2) tbody tr")].map(row => row.lastElementChild.textContent),
    document.querySelector("section:nth-of-type(2) th[aria-sort]")?.getAttribute("aria-sort")], "*");
}, 20);
</script>"""


def probed(made, folder, name, width, do=""):
    """What a script finds in a copy of the page, in a frame as wide as a phone."""
    page = (made[0] / name).read_text("utf-8")
    page = re.sub(r"<meta http-equiv.*?>", "", page)
    (folder / "copy.html").write_text(page.replace("</body>", PROBE.replace("DO;", do) + "</body>"), "utf-8")
    frame = f'<iframe src="copy.html" width="{width}" height="800" style="border:0"></iframe><p id="said"></p>'
    hear = '<script>onmessage = e => document.getElementById("said").textContent = JSON.stringify(e.data)</script>'
    (folder / "frame.html").write_text(hear + frame, "utf-8")
    found, _ = in_browser(folder / "profile", (folder / "frame.html").as_uri(), "--window-size=1400,900")
    return json.loads(html.unescape(re.search(r'id="said">(.*?)</p>', found)[1]))


@browser
@pytest.mark.parametrize("width", [390, 320])
@pytest.mark.parametrize("name", ["reps.html", "funnel.html", "index.html"])
def test_nothing_overflows_on_a_phone(made, tmp_path, name, width):
    inner, scroll, wide, *_ = probed(made, tmp_path, name, width)
    assert inner == width
    assert 0 < scroll <= width
    assert wide == 0


@browser
def test_charts_are_drawn_for_the_phone_not_shrunk(made, tmp_path):
    _, room, _, charts, phone, words, *_ = probed(made, tmp_path, "reps.html", 390)
    assert (charts, phone, words) == (1, room - 32, 0)
    *_, charts, desk, words, _, _ = probed(made, tmp_path, "reps.html", 1280)
    assert (charts, desk, words) == (1, 720, 1)


@browser
def test_a_click_on_a_head_sorts_figures_as_figures(made, tmp_path):
    head = 'document.querySelector("section:nth-of-type(2) th:last-child .sort")'
    *_, rows, order = probed(made, tmp_path, "reps.html", 1280, f"{head}.click();")
    assert (rows, order) == (["100", "20", "3"], "descending")
    *_, rows, order = probed(made, tmp_path, "reps.html", 1280, f"{head}.click();{head}.click();")
    assert (rows, order) == (["3", "20", "100"], "ascending")


# ---- codes ----------------------------------------------------------------------------------------------------------


def test_one_more_person_changes_nobodys_code_and_only_those_who_would_share_one_get_longer_ones():
    people = pd.Series([f"person {number}" for number in range(9000)])
    codes = privacy._codes(people, "Rep")
    long = {name for name, code in codes.items() if len(code) > len("Rep 123456")}
    assert len(set(codes.values())) == len(people)
    assert 0 < len(long) < 20, "9,000 people are enough for two that share six digits"
    without = privacy._codes(people[~people.isin(long)], "Rep")
    assert without == {name: code for name, code in codes.items() if name not in long}


def test_a_key_of_ones_own_makes_codes_that_nobody_else_can_work_out(write):
    deals = "opportunity_id,stage,outcome,amount,created_date,rep_id\na,Open,open,5,2025-01-02,Ann\n"
    codes = []
    for config in ("", 'codes_key = "one"', 'codes_key = "two"', 'codes_key = "one"'):
        crm, _ = clean(load(write(opportunities=deals, salesforecast__toml=config)))
        codes.append(privacy.coded(crm).opportunities["rep_id"][0])
    assert codes[1] == codes[3] and len(set(codes)) == 3
