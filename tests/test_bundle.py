"""The bundle: what is written, that it is the same twice, and that neither hostile text nor a killed run does harm."""

import contextlib
import html
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
from python_calamine import CalamineWorkbook
from test_report import elements, written

from conftest import ROOT
from salesforecast import keeping, report, words
from salesforecast.cards import Card, Cards
from salesforecast.cleaning import clean, undo
from salesforecast.crm import load
from salesforecast.errors import ReportError, SettingError
from salesforecast.report import folder as folders
from salesforecast.report import memory, recommendations, results, summary, workbook, writing
from salesforecast.report.nursery import Nursery
from salesforecast.report.recommendations import options, recommended
from salesforecast.report.results import Result, Said
from salesforecast.stakes import Forecast, Stake

pytestmark = pytest.mark.usefixtures("kernels_find_the_package")

EVIL = [
    "<script>document.title='harm'</script>", "</script><img src=x onerror=alert(1)>", "[a](javascript:alert(1))", "javascript:alert(1)",
    '=HYPERLINK("http://harm.example","x")', "+1+1", "-2+3", "@SUM(A1)", "\u202eevil\u202c", "x" * 10_000, "../../x", "CON", "a/b\\c:d*?[e]'",
]  # fmt: skip
SETUP = """
import pandas as pd
from types import SimpleNamespace
from salesforecast import cells as sf
from salesforecast.cards import Card, Cards
from salesforecast.errors import MissingTable
from salesforecast.stakes import Forecast, Stake
from salesforecast.tables import Crm, Settings

crm = Crm({}, pd.Timestamp(as_of), Settings(company="Larkfield"), digest="ab12" * 16)
quarter = SimpleNamespace(label=period, since=pd.Timestamp("2025-04-01"), until=pd.Timestamp("2025-07-01"))
sf.head(crm, quarter, team=team)
"""
PARAMETERS = ("parameters", 'period: str = "2025Q2"\nas_of: str = "2025-06-08"\nteam: str = ""\nworth: float = 5e5')
MONEY = [
    "# Reps", PARAMETERS, ("setup", SETUP), "sf.in_short()",
    "## Who?\n\nWins.",
    "gaps = pd.DataFrame({'rep': ['Ann', team or 'Bo'], 'n': [1, 20], 'win_rate': [0.25, None], 'day': pd.to_datetime(['2025-01-02', None])})\n"
    "with sf.section():\n"
    "    sf.show('**Ann** loses $5.', table=gaps, stake=[Stake(worth, 2e5, 8e5, lever='Help **Ann**', key='ann', test='Try.', level=-worth),\n"
    "        Stake(2e5, 1e5, 3e5, lever='Hire', key='hire')], forecast=Forecast('2025Q2', 1e6, 9e5, 1.1e6),\n"
    "        headline=Cards([Card('Bookings, Q2', '$5M'), Card('Win rate', '31%')]))",
    "## And?\n\nMore.",
    "with sf.section():\n    sf.show('Small.', table=gaps.drop(columns='n'), stake=Stake(1e4))\n    sf.show('Nothing to gain.')",
    "## Spend?",
    "with sf.section():\n    raise MissingTable('Add the marketing spend.')",
    "sf.made(crm, period=period)",
]  # fmt: skip
LACKS = [
    "# Spend",
    PARAMETERS,
    ("setup", SETUP),
    "raise MissingTable('Add the marketing spend.')",
    "## What did it bring?",
]
QUIET = ["# Quiet", ("parameters", 'period: str = "2025Q2"'), "## Nothing?", "1 + 1"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    place = tmp_path_factory.mktemp("project")
    written(place / "notebooks/reps.ipynb", MONEY)
    written(place / "notebooks/spend.ipynb", LACKS)
    return place


@pytest.fixture(scope="module")
def made(project):
    """A report, and the next one three months later, beside which the ledger lies."""
    out = project / "reports"
    first = report.run([], out / "2025Q1", folder=project, parameters={"period": "2025Q1", "as_of": "2025-03-31"})
    second = report.run([], out / "2025Q2", folder=project, parameters={"period": "2025Q2", "worth": 2e5})
    return out, first, second


def text(path):
    return re.sub(r"<(style|script)\b.*?</\1>", "", path.read_text("utf-8"), flags=re.DOTALL)


# ---- what is written ------------------------------------------------------------------------------------------------


def test_a_bundle_holds_pages_notebooks_tables_findings_and_a_manifest_of_them(made):
    out = made[0] / "2025Q2"
    there = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert there == {
        "index.html", "reps.html", "reps.ipynb", "spend.html", "spend.ipynb", "tables.xlsx", "findings.json", "manifest.json",
        "timing.json", "results/reps-gaps.parquet", "results/reps-gaps-2.parquet",
    }  # fmt: skip
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert set(manifest["files"]) == there - {"manifest.json"}
    assert [(page["name"], page["status"]) for page in manifest["pages"]] == [("reps", "ok"), ("spend", "without")]
    assert set(json.loads((out / "timing.json").read_text("utf-8"))) == {"reps", "spend"}


def test_what_the_data_do_not_allow_is_said_with_the_missing_table_and_is_no_failure(made):
    _, _, outcomes = made
    spend = outcomes[1]
    assert (spend.status, spend.error, spend.failed) == ("without", "Add the marketing spend.", False)
    page = text(made[0] / "2025Q2/index.html")
    assert "Not possible with these data. Add the marketing spend." in page
    missing = re.search(r"<dt>Add the marketing spend.</dt>(.*?)</div>", page)[1]
    assert re.findall('href="(.*?)">(.*?)<', missing) == [("reps.html", "Spend?"), ("spend.html", "Spend")], (
        "once, with all it opens"
    )


def test_the_dearest_finding_stands_first_and_those_without_money_after_all(made):
    page = text(made[0] / "2025Q2/index.html").partition("What deserves attention")[2]
    order = [
        "<b>$200k</b><span>200 to 800k</span>",
        "loses $5",
        "<b>$10.0k</b>",
        "Small.",
        "All other findings",
        "Nothing to gain.",
    ]
    places = [page.index(part) for part in order]
    assert places == sorted(places)
    found = json.loads((made[0] / "2025Q2/findings.json").read_text("utf-8"))
    assert [one["finding"] for one in found["findings"]] == ["Ann loses $5.", "Small.", "Nothing to gain."]
    assert found["findings"][0]["tables"] == ["results/reps-gaps.parquet"]
    assert found["unsaid"][0] == {
        "page": "reps",
        "question": "Spend?",
        "reason": "Add the marketing spend.",
        "kind": "MissingTable",
    }


def test_the_summary_in_persian_runs_from_right_to_left_with_its_labels_and_figures(made, tmp_path):
    persian = [
        (cell[0], cell[1].replace('company="L', 'locale="fa", company="L')) if isinstance(cell, tuple) else cell
        for cell in MONEY
    ]
    written(tmp_path / "notebooks/reps.ipynb", persian)
    (tmp_path / "out").mkdir()
    shutil.copy(made[0] / "ledger.parquet", tmp_path / "out")  # what became of the first is to be said too
    report.run([], tmp_path / "out/2025Q2", folder=tmp_path)
    raw = (tmp_path / "out/2025Q2/index.html").read_text("utf-8")
    assert '<html lang="fa" dir="rtl">' in raw
    page, known = text(tmp_path / "out/2025Q2/index.html").replace("\u00a0", " "), words.language("fa").words
    for label in (
        "What deserves attention",
        "What could be done",
        "What became of former reports",
        "not measured",
        "The pages",
    ):
        assert known[label] in page and label not in page
    assert 'lang="en" dir="auto"><strong>Ann</strong> loses $5.' in page, "a sentence stays English"
    assert "۵۰۰ هزار" in page and "۳۱ مارس ۲۰۲۵" in page
    assert "Ann loses $5." in (tmp_path / "out/2025Q2/findings.json").read_text("utf-8"), (
        "for machines it stays as it is"
    )


def test_findings_are_ranked_by_money_and_the_rest_keeps_its_order():
    given = [
        said(sentence="a"),
        said(Stake(5.0), sentence="b"),
        said(Stake(-9.0), sentence="c"),
        said(Stake(7.0), Stake(99.0), sentence="d"),
    ]
    assert [one.sentence for one in results.ranked(given)] == ["d", "b", "a", "c"]


def test_the_headline_cards_come_from_the_notebooks(made):
    page = text(made[0] / "2025Q2/index.html")
    assert re.findall(r'<tr class="card"><th scope="row">(.*?)</th><td class="value">(.*?)</td>', page) == [
        ("Bookings, Q2", "$5M"), ("Win rate", "31%")
    ]  # fmt: skip


def test_what_the_changes_of_the_cards_compare_is_said_once_under_them():
    changed = Cards([Card("Bookings", "$5M", changes=(("vs 2025Q1", "+8%", True),))])._repr_html_()
    said_once = "Changes are from the same number of days of each period; those per working day may differ."
    assert summary.headline([replace(said(), headline=changed)], {}).count(said_once) == 1
    plain = Cards([Card("Bookings", "$5M")])._repr_html_()
    assert "number of days" not in summary.headline([replace(said(), headline=plain)], {})


def test_a_frame_of_the_results_is_whole_and_unrounded(made):
    frame = pd.read_parquet(made[0] / "2025Q2/results/reps-gaps.parquet")
    assert frame["win_rate"].tolist()[0] == 0.25 and pd.isna(frame["win_rate"].tolist()[1])
    assert frame["day"].iloc[0] == pd.Timestamp("2025-01-02")


def test_nothing_of_it_is_seen_where_a_notebook_runs_alone(project, tmp_path):
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "-k", "python3"]
    done = subprocess.run(
        [*command, project / "notebooks/reps.ipynb", tmp_path / "x.ipynb"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    nb = nbformat.read(tmp_path / "x.ipynb", 4)
    tables = [
        o for c in nb.cells for o in c.get("outputs", []) if o.metadata.get("salesforecast", {}).get("role") == "table"
    ]
    assert len(tables) == 2 and not any("result" in o.metadata.salesforecast for o in tables)
    assert list(tmp_path.iterdir()) == [tmp_path / "x.ipynb"]


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_papermill_sees_every_parameter_of_a_notebook(path):
    from papermill import inspect_notebook

    ours, theirs = report.parameters(path), inspect_notebook(str(path))
    assert {name: about["inferred_type_name"] for name, about in theirs.items()} == {
        n: p.type.__name__ for n, p in ours.items()
    }
    assert {name: about["help"] for name, about in theirs.items()} == {name: p.comment for name, p in ours.items()}


def test_papermill_runs_a_notebook_of_the_package_on_other_data(tmp_path, write):
    rows = "".join(f"{i},Won,won,{100 + i},2025-01-{i % 28 + 1:02},2025-02-{i % 28 + 1:02}\n" for i in range(60))
    where = write(opportunities="opportunity_id,stage,outcome,amount,created_date,closed_date\n" + rows)
    command = [
        sys.executable,
        "-m",
        "papermill",
        "--no-progress-bar",
        "-k",
        "python3",
        ROOT / "notebooks/data_quality.ipynb",
    ]
    command += [tmp_path / "x.ipynb", "-p", "data", where, "-p", "period", "2025Q1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2025Q1: 1 January to 31 March 2025" in (tmp_path / "x.ipynb").read_text("utf-8")


# ---- the workbook ---------------------------------------------------------------------------------------------------


def table(tmp_path, name, frame):
    frame.to_parquet(tmp_path / "frame.parquet")
    return Result(name, "reps", "Who?", "Ann.", tmp_path / "frame.parquet")


def test_a_workbook_has_real_dates_and_figures_and_text_that_stays_text(tmp_path):
    frame = pd.DataFrame({
        "name": ["=1+1", "+2", "-3", "@x", "x" * 40_000], "n": [1, 2, 3, 4, 5], "win_rate": [0.5, np.nan, np.inf, 0.1, 1.0],
        "day": pd.to_datetime(["2025-01-02", None, "2025-01-03", "2025-02-03", "2025-02-03"]), "sure": [True, False, True, True, False],
        "several": [["a", "b"], [], None, ["c"], ["d"]],
    })  # fmt: skip
    workbook.write(tmp_path / "t.xlsx", [table(tmp_path, "reps-gaps", frame)], [("Company", "=Evil()")])
    sheet = CalamineWorkbook.from_path(tmp_path / "t.xlsx")
    assert sheet.sheet_names == ["About", "reps-gaps"]
    rows = sheet.get_sheet_by_name("reps-gaps").to_python()
    assert rows[1][:2] == ["=1+1", 1.0] and rows[1][2] == 0.5 and str(rows[1][3]) == "2025-01-02" and rows[1][4] is True
    assert rows[3][2] == "" and len(rows[5][0]) == 32_767
    assert rows[1][5] == "['a' 'b']"
    with zipfile.ZipFile(tmp_path / "t.xlsx") as packed:
        parts = {name: packed.read(name).decode() for name in packed.namelist() if name.endswith(".xml")}
    assert not any("<f>" in part for part in parts.values()), "no formula"
    one = parts["xl/worksheets/sheet2.xml"]
    assert 'state="frozen"' in one and "autoFilter" in one and re.search(r'<col min="1" max="1" width="\d', one)


def test_the_same_tables_give_the_same_workbook(tmp_path):
    tables = [table(tmp_path, "reps-gaps", pd.DataFrame({"rep": ["Ann"], "n": [1]}))]
    workbook.write(tmp_path / "a.xlsx", tables, [("Company", "Larkfield")])
    time.sleep(2.1)  # the times in a zip count by two seconds
    workbook.write(tmp_path / "b.xlsx", tables, [("Company", "Larkfield")])
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


def test_sheets_have_names_that_excel_takes_and_no_two_are_alike():
    names = ["a" * 40, "A" * 35, "x/y[z]:*?", "'quoted'", "", "About", "history"]
    found = workbook.sheet_names(names)
    assert all(0 < len(n) <= 31 and not re.search(r"[\[\]:*?/\\']", n) for n in found.values())
    assert len({n.casefold() for n in found.values()} - {"about", "history"}) == len(names)


# ---- hostile text ---------------------------------------------------------------------------------------------------


def test_hostile_text_does_no_harm_in_pages_workbook_frames_or_notebooks(tmp_path):
    cell = f"evil = {EVIL!r}\nframe = pd.DataFrame({{'rep': evil, 'n': range(len(evil))}})\n"
    show = "with sf.section():\n    sf.show(' '.join(sf.md(name[:50]) for name in evil), table=frame, stake=Stake(1.0, lever=sf.md(evil[0]), key=evil[1]))"
    stop = "with sf.section():\n    raise MissingTable(evil[0])"
    setup = SETUP.replace('"Larkfield"', repr(EVIL[0])) + "from salesforecast.text import md\nsf.md = md\n"
    body = [
        "# " + EVIL[1],
        PARAMETERS,
        ("setup", setup),
        "## Who?",
        cell + show,
        "## Else?",
        stop,
        "sf.made(crm, period=period)",
    ]
    written(tmp_path / "notebooks/evil.ipynb", body)
    out = tmp_path / "out"
    (outcome,) = report.run([], out, folder=tmp_path, parameters={"team": EVIL[1]})
    assert outcome.status == "ok", outcome.error
    for page in ("index.html", "evil.html"):
        raw = (out / page).read_text("utf-8")
        found = elements(raw)
        assert "img" not in found and found.count("script") <= 4, page
        assert not re.search(r'(?i)href\s*=\s*"?\s*javascript:', raw)
        assert "\u202e" not in re.sub(r"<bdi>.*?</bdi>", "", raw), "a mark ends with the name that holds it"
    with zipfile.ZipFile(out / "tables.xlsx") as packed:
        assert not any(
            "<f>" in packed.read(n).decode() or "harm.example" in n for n in packed.namelist() if "sheet" in n
        )
        assert not any(n.endswith(".rels") and "http://harm" in packed.read(n).decode() for n in packed.namelist())
    assert pd.read_parquet(out / "results/evil-frame.parquet")["rep"].tolist() == EVIL, "for machines it stays as it is"
    nbformat.validate(nbformat.read(out / "evil.ipynb", 4))


def test_a_report_for_each_value_has_a_folder_that_stays_where_it_belongs(project, tmp_path):
    out = tmp_path / "deep" / "er" / "out"
    values = ["../../x", "North", "north", EVIL[0], "x" * 10_000]
    before = set(tmp_path.rglob("*"))
    outcomes = report.run(["reps"], out, folder=project, each=("team", values))
    assert [o.status for o in outcomes] == ["ok"] * len(values)
    inside = set(tmp_path.rglob("*")) - before
    assert all(out in p.parents or p in (out, *out.parents) or p == out.parent / "ledger.parquet" for p in inside)
    listed = json.loads((out / "manifest.json").read_text("utf-8"))["bundles"]
    assert [one["value"] for one in listed] == values
    places = [one["folder"] for one in listed]
    assert len({p.casefold() for p in places}) == len(values) and all(re.fullmatch(r"[\w-]{1,64}", p) for p in places)
    page = (out / "index.html").read_text("utf-8")
    assert all(f'href="{place}/index.html"' in page for place in places)
    assert "script" not in elements(text(out / "index.html"))
    one = text(out / places[1] / "index.html")
    assert 'href="../index.html"' in one and "team North" in one


@pytest.mark.parametrize("name", [*EVIL, "", ".", "..", " ", "Ann", "شمال", "nul", "index"])
def test_a_folder_name_made_of_a_value_is_one_plain_name(name):
    made = report.slug(name)
    assert re.fullmatch(r"[\w-]{1,64}", made) and Path(made).name == made
    assert made.casefold() not in {"con", "nul", "index"}


# ---- at once, or not at all -----------------------------------------------------------------------------------------


# Runs the report once for each line "period seconds", in a fork that has all imports behind it, and kills it after so long.
RUN = """
import os, signal, sys, time
from salesforecast import report
for line in sys.stdin:
    period, seconds = line.split()
    begun = time.monotonic()
    if not (child := os.fork()):
        try:
            report.run(["reps"], sys.argv[1], folder=sys.argv[2], parameters={"period": period})
        except BaseException:
            os._exit(1)
        os._exit(0)
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() - begun < float(seconds):
        time.sleep(0.002)
    if ended[0] == 0:
        os.kill(child, signal.SIGKILL)
        ended = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(ended[1]), time.monotonic() - begun, flush=True)
"""


def whole(out):
    """Which period the report says, when it is whole."""
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    hashes = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert hashes == {*manifest["files"], "manifest.json"}
    assert folders.MANIFEST not in manifest["files"]
    for name, digest in manifest["files"].items():
        if digest:
            import hashlib

            assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest, name
    return manifest["pages"][0]["parameters"]["period"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the runs to be killed are forks")
def test_a_run_killed_at_any_moment_leaves_a_whole_report(tmp_path):
    written(tmp_path / "notebooks/reps.ipynb", MONEY)  # it writes ledger, workbook and frames too
    out = tmp_path / "out"
    command = [sys.executable, "-c", RUN, str(out), str(tmp_path)]
    chance = random.Random(0)
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as runs:

        def run(period, seconds=600.0):
            runs.stdin.write(f"{period} {seconds}\n")
            runs.stdin.flush()
            code, took = runs.stdout.readline().split()
            assert int(code) in (0, -signal.SIGKILL)
            return int(code), float(took)

        takes = min(run("first"), run("first"))[1]
        assert whole(out) == "first"
        codes, stands, stood = [], "first", {"first", "last"}
        for number in range(20):
            # most of the moments near the end, where things are moved
            code, _ = run(number, takes * chance.choice([chance.uniform(0.1, 1), chance.uniform(0.8, 1.1)]))
            codes.append(code)
            stands = str(number) if code == 0 else stands
            assert whole(out) in (stands, str(number)), "the former one or the new one, and never an older one"
            stands = whole(out)
            stood.add(stands)
            assert (out / "tables.xlsx").exists() and list((out / "results").glob("*.parquet"))
        assert codes.count(-signal.SIGKILL) >= 5
        run("last")
    assert whole(out) == "last"
    assert set(memory.read(tmp_path)["period"]) == stood, "the ledger knows what has stood here, and nothing else"
    assert {p.name for p in tmp_path.iterdir()} == {"notebooks", "out", memory.LEDGER}, (
        "what the killed runs left is gone"
    )


@pytest.mark.parametrize("step", range(6))
def test_a_run_killed_at_a_step_of_the_move_is_put_right_by_the_next(tmp_path, monkeypatch, step):
    """Without the exchange in one step: killed before and after each renaming and removing."""
    monkeypatch.setattr(folders, "_exchanged", lambda one, other: False)
    out = tmp_path / "out"

    class Killed(BaseException):
        pass

    def build(word):
        with folders.building(out) as place:
            (place / folders.REPORT / "manifest.json").write_text(json.dumps({"files": {"a": ""}}))
            (place / folders.REPORT / "a").write_text(word)
            folders.put(place / folders.REPORT, out)

    build("old")
    left = [step]

    def after(act):
        def one(*args, **options):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return act(*args, **options)

        return one

    with monkeypatch.context() as patch:
        patch.setattr(folders.os, "rename", after(os.rename))
        patch.setattr(folders.shutil, "rmtree", after(folders.shutil.rmtree))
        patch.setattr(folders.shutil, "copy2", after(folders.shutil.copy2))
        with contextlib.suppress(Killed):
            build("new")
    with folders.building(out):
        pass
    assert (out / "a").read_text() in ("old", "new")
    assert {p.name for p in tmp_path.iterdir()} == {"out"}


def test_a_file_and_the_folder_one_works_in_are_no_place_for_a_report(tmp_path, monkeypatch):
    (tmp_path / "mine.html").write_text("mine")
    (tmp_path / "work/sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work/sub")
    for out, why in (("mine.html", "is a file"), ("work/sub", "folder you are in"), ("work", "folder you are in")):
        with pytest.raises(ReportError, match=why), folders.building(tmp_path / out):
            pass
    assert (tmp_path / "mine.html").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"mine.html", "work"}


def test_two_runs_into_the_same_folder_are_refused_and_into_two_are_not(tmp_path):
    with folders.building(tmp_path / "a"):
        with (
            pytest.raises(
                ReportError, match=r"Another run is writing .*a now\. Wait for its end, or give another --out"
            ),
            folders.building(tmp_path / "a"),
        ):
            pass
        with folders.building(tmp_path / "b"):
            pass
    with folders.building(tmp_path / "a"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("where", ["data", "data/report", "."])
def test_the_export_is_no_place_for_a_report(tmp_path, where):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/deals.csv").write_text("a\n")
    for data in (tmp_path / "data", tmp_path / "data/deals.csv"):
        with (
            pytest.raises(ReportError, match="holds the exported data, or lies right among them"),
            folders.building((tmp_path / where).resolve(), str(data)),
        ):
            pass
    with folders.building(tmp_path / "data/reports/2025Q2", str(tmp_path / "data")):
        pass


def test_a_notebook_that_would_take_the_page_of_the_summary_is_refused(tmp_path):
    written(tmp_path / "notebooks/index.ipynb", QUIET)
    with pytest.raises(SettingError, match="'index' would take the place of the summary"):
        report.run([], tmp_path / "out", folder=tmp_path)


def test_folders_of_ones_own_stay_as_they_are(tmp_path):
    out = tmp_path / "out"
    for word in ("old", "new"):
        with folders.building(out) as place:
            (place / folders.REPORT / "results").mkdir()
            for name in ("manifest.json", f"results/{word}"):
                (place / folders.REPORT / name).write_text(json.dumps({"files": {f"results/{word}": ""}}))
            folders.put(place / folders.REPORT, out)
        if word == "old":
            out.chmod(0o750)
            (out / "empty").mkdir()
            (out / "mine/deep").mkdir(parents=True)
            (out / "mine/notes.txt").write_text("mine")
            os.utime(out / "mine", (1e9, 1e9))
            (out / "mine").chmod(0o500)
    modes = {path.relative_to(out).as_posix(): path.stat().st_mode & 0o777 for path in out.rglob("*") if path.is_dir()}
    assert (
        modes == {"results": 0o755, "empty": 0o755, "mine": 0o500, "mine/deep": 0o755}
        and out.stat().st_mode & 0o777 == 0o750
    )
    assert (out / "mine").stat().st_mtime == 1e9
    assert {p.name for p in (out / "results").iterdir()} == {"new"}
    (out / "mine").chmod(0o700)


def test_files_that_no_run_has_written_go_along(tmp_path):
    out = tmp_path / "out"
    for word in ("old", "new"):
        with folders.building(out) as place:
            for name in ("manifest.json", word):
                (place / folders.REPORT / name).write_text(json.dumps({"files": {word: ""}}))
            folders.put(place / folders.REPORT, out)
        (out / "mine").mkdir(exist_ok=True)
        (out / "mine/notes.txt").write_text("mine")
        (out / "link").unlink(missing_ok=True)
        (out / "link").symlink_to(tmp_path, target_is_directory=True)
    with folders.building(out) as place:
        (place / folders.REPORT / "manifest.json").write_text(json.dumps({"files": {}}))
        folders.put(place / folders.REPORT, out)
    assert {p.name for p in out.rglob("*") if p.is_file()} == {"manifest.json", "notes.txt"}
    assert (out / "link").is_symlink()


# ---- cleaned once ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_of", ["", "2025-02-10"])
def test_kept_tables_are_those_that_cleaning_gives(write, tmp_path, monkeypatch, as_of):
    deals = (
        "opportunity_id,name,stage,outcome,amount,created_date,closed_date,is_new_customer\n"
        "a, Big  one ,Open,open,5,2025-01-02,,true\nb,,Won,won,\"7,5\",2025-01-03,2025-02-03,false\nb,,Won,won,8,2025-01-03,2025-02-03,\n"
    )  # fmt: skip
    where = write(opportunities=deals, targets="period,target\n2025Q1,100\n")
    crm, issues = clean(load(where), as_of=as_of)
    keeping.write(tmp_path / "kept", crm, issues, data=str(where), config="", as_of=as_of)
    monkeypatch.setenv(keeping.FOLDER, str(tmp_path / "kept"))
    monkeypatch.setattr("salesforecast.crm.source._files", lambda path: pytest.fail("it was read again"))
    again, again_issues = clean(load(where), as_of=as_of)
    assert list(again.tables) == list(crm.tables)
    for name, frame in crm.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], frame, check_exact=True)
    pd.testing.assert_frame_equal(again_issues, issues)
    for about in ("as_of", "settings", "digest", "of_today", "evidence"):
        assert getattr(again, about) == getattr(crm, about)
    assert again.as_of.unit == crm.as_of.unit


def test_what_differs_from_what_was_kept_is_read_and_cleaned_anew(write, tmp_path, monkeypatch):
    where = write(opportunities="opportunity_id,stage,outcome,amount,created_date\na,Open,open, 5 ,2025-01-02\n")
    crm, issues = clean(load(where))
    keeping.write(tmp_path / "kept", crm, issues, data=str(where), config="", as_of="")
    other = tmp_path / "other"
    other.mkdir()
    (other / "opportunities.csv").write_text("opportunity_id,stage,outcome,created_date\nz,Open,open,2025-01-02\n")
    monkeypatch.setenv(keeping.FOLDER, str(tmp_path / "kept"))
    assert clean(load(other))[0].opportunities["opportunity_id"].tolist() == ["z"]
    assert f"{clean(load(where), as_of='2025-01-03')[0].as_of:%Y-%m-%d}" == "2025-01-03"
    export = load(where)
    assert export.tables["opportunities"]["amount"].tolist() == [" 5 "] and export.digest == crm.digest
    kept, kept_issues = clean(load(where))
    assert undo(kept, kept_issues)["opportunities"]["amount"].tolist() == [" 5 "]


def squared(x):
    if x == 13:
        raise ReportError("no luck")
    return x * x


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
def test_loops_on_forks_give_what_they_give_one_after_the_other():
    code = (
        "from joblib import Parallel, delayed; from salesforecast.report import forks; from test_bundle import squared\n"
        "import os; forks.enable(3)\n"
        "assert Parallel()(delayed(squared)(x) for x in range(10)) == [x * x for x in range(10)]\n"
        "assert os.getpid() not in Parallel()(delayed(os.getpid)() for x in range(10))\n"
        "try:\n    Parallel()(delayed(squared)(x) for x in range(10, 20))\nexcept Exception as error:\n    print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "no luck", done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
def test_a_kernel_of_the_nursery_ends_with_its_launcher(tmp_path):
    with Nursery(["json"]) as nursery:
        command = [part.replace("{connection_file}", str(tmp_path / "c.json")) for part in nursery.argv()]
        launcher = subprocess.Popen(command)
        deadline = time.monotonic() + 60
        while not (tmp_path / "c.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        children = Path(f"/proc/{nursery._process.pid}/task/{nursery._process.pid}/children")
        (kernel,) = children.read_text().split()
        launcher.kill()
        launcher.wait()
        while children.read_text().split() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not Path(f"/proc/{kernel}").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
def test_the_nursery_imports_nothing_from_where_the_run_was_begun(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'seen')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    with Nursery(["mine"]) as nursery:
        assert nursery.argv()
    assert not (tmp_path / "seen").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
def test_an_import_without_end_leaves_kernels_to_start_the_usual_way(tmp_path, monkeypatch):
    (tmp_path / "endless.py").write_text("import time\ntime.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(tmp_path)]))
    monkeypatch.setattr("salesforecast.report.nursery.WAIT", 1.0)
    with Nursery(["endless"]) as nursery:
        assert nursery.argv() == []
        process = nursery._process
    assert process.poll() is not None


# ---- what could be done ---------------------------------------------------------------------------------------------


def said(*stakes, sentence="Said.", question="Who?", forecast=None):
    return Said("reps", question, sentence, tuple(stakes), forecast)


@pytest.mark.parametrize(("spread", "left"), [(20, 0.0), (5, 0.25)])
def test_what_is_promised_of_the_best_option_is_delivered_on_average(spread, left):
    """300 times six options, each seen with an error of sd 20 (optimizer's curse).

    Where true worths differ as much as errors do, nothing is promised too much. Where they hardly differ, the spread cannot be told
    from so few, and less than a quarter of the plain optimism is left.
    """
    rng = np.random.default_rng(1)
    shrunk, plain = [], []
    half = 20 * 1.2815516
    for number in range(300):
        true = 100 + rng.normal(0, spread, 6)
        seen = true + rng.normal(0, 20, 6)
        promised = recommendations._drawn_together(seen, np.full(6, 400.0))
        best = int(promised.argmax())
        shrunk.append(true[best] - promised[best])
        plain.append(true[best] - seen[best])
        if number < 20:  # what the report lists is this; the whole way takes long
            stakes = [
                Stake(float(x), float(x) - half, float(x) + half, lever="l", key=f"{i}") for i, x in enumerate(seen)
            ]
            first = recommended(options([said(*stakes)])).iloc[0]
            assert (int(first["key"]), first["promised"]) == (best, pytest.approx(promised[best], rel=1e-6))
    error = np.std(shrunk) / np.sqrt(len(shrunk))
    assert np.mean(plain) < -15
    assert abs(np.mean(shrunk)) < 3 * error - left * np.mean(plain), f"{np.mean(shrunk):.2f} ± {error:.2f}"


def test_options_are_ranked_by_what_they_promise_and_the_list_is_short():
    given = [said(*(Stake(float(i), i - 1.0, i + 1.0, lever=f"L{i}", key=f"k{i}") for i in range(1, 9)))]
    found = recommended(options(given))
    assert found["key"].tolist() == ["k8", "k7", "k6", "k5", "k4"]
    assert (found["upper"] > found["promised"]).all() and (found["promised"] > found["lower"]).all()


def test_the_chance_of_any_gain_stands_beside_each_proposal(made):
    found = json.loads((made[0] / "2025Q2/findings.json").read_text("utf-8"))["recommendations"]
    page = text(made[0] / "2025Q2/index.html")
    shown = re.findall(r"Chance of any gain: (.*?)\.", page)
    assert [html.unescape(one) for one in shown] == [summary.chance(row["chance"]) for row in found] and len(shown) == 2
    # an 80% range reaches 1.2816 sd: zero lies 1.2816 sd away, so the chance of more is 90%
    alone = recommended(options([said(Stake(2e5, 0.0, 4e5, lever="l", key="k"))]))
    assert alone["chance"].tolist() == [pytest.approx(0.9, abs=0.01)] and summary.chance(alone["chance"][0]) == "90%"


def test_an_option_that_is_shrunk_already_is_left_as_it_is_and_one_without_a_range_promises_nothing():
    given = [
        said(
            Stake(100.0, 50.0, 150.0, lever="a", key="a", shrunk=True),
            Stake(900.0, lever="b", key="b"),
            Stake(50.0, 0.0, 100.0),
        )
    ]
    found = recommended(options(given))
    assert found["key"].tolist() == ["a"] and found["promised"].tolist() == [100.0]


# ---- memory ---------------------------------------------------------------------------------------------------------


def entries(of, rows):
    return memory.entries(writing._findings(of, rows, {}, recommended(options(rows)), {}))


def test_a_report_on_a_part_runs_what_can_be_limited_and_leaves_the_memory_of_the_whole(tmp_path):
    of_all = [cell if not isinstance(cell, tuple) else (cell[0], cell[1].replace('team: str = ""\n', "").replace(", team=team", ""))
              for cell in MONEY]  # fmt: skip
    written(tmp_path / "notebooks/reps.ipynb", MONEY)
    written(
        tmp_path / "notebooks/revenue.ipynb",
        [cell if isinstance(cell, tuple) else cell.replace("team or ", "") for cell in of_all],
    )
    told = []
    report.run([], tmp_path / "out/2025Q1", folder=tmp_path, parameters={"as_of": "2025-03-31", "period": "2025Q1"})
    before = memory.read(tmp_path / "out")
    assert set(before["part"]) == {""} and set(before["page"]) == {"reps", "revenue"}
    outcomes = report.run(
        [], tmp_path / "out/ann", folder=tmp_path, parameters={"as_of": "2025-03-31", "period": "2025Q1", "team": "Ann"},
        progress=lambda *what: told.append(what),
    )  # fmt: skip
    assert [o.name for o in outcomes] == ["reps"]
    assert ("revenue", "left out, since it has no parameter team") in told
    ledger = memory.read(tmp_path / "out")
    pd.testing.assert_frame_equal(ledger[ledger["part"] == ""].reset_index(drop=True), before)
    assert set(ledger.loc[ledger["part"] != "", "part"]) == {"team Ann"}
    assert re.search(r"<h1>[^<]*team Ann</h1>", text(tmp_path / "out/ann/index.html"))
    with pytest.raises(SettingError, match="There is no parameter 'team'"):
        report.run(["revenue"], tmp_path / "out/ann", folder=tmp_path, parameters={"team": "Ann"})


def test_a_year_is_a_period_for_every_page(tmp_path):
    written(tmp_path / "notebooks/revenue_forecast.ipynb", MONEY)
    (outcome,) = report.run([], tmp_path / "out", folder=tmp_path, parameters={"period": "2025"})
    assert (outcome.name, outcome.status) == ("revenue_forecast", "ok")


def test_a_value_that_a_notebook_refuses_stops_the_report_and_the_former_one_stands(tmp_path):
    picky = [
        *MONEY[:2],
        ("setup", SETUP),
        "from salesforecast.errors import SettingError\nif worth < 0: raise SettingError('worth is below 0.')",
    ]
    written(tmp_path / "notebooks/picky.ipynb", picky)
    written(tmp_path / "notebooks/reps.ipynb", MONEY)
    out = tmp_path / "out"
    report.run([], out, folder=tmp_path)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(SettingError, match="^picky: worth is below 0.$"):
        report.run([], out, folder=tmp_path, parameters={"worth": -1.0})
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_the_part_is_what_was_asked_for_whatever_the_pages_say_of_it():
    pages = {"a": SimpleNamespace(head={"period": "2025Q1", "part": ""}, made={"data": {"company": "L"}})}
    values = {"a": {"period": "2025Q1", "rep": "Ann", "team": "", "region": "North"}}
    assert writing._report(pages, values).part == "region North, rep Ann"
    assert writing._head(pages, values)["part"] == "region North, rep Ann"


def test_reports_of_a_company_without_a_name_are_not_held_against_each_other(tmp_path):
    nameless = [
        (cell[0], cell[1].replace('company="Larkfield"', "")) if isinstance(cell, tuple) else cell for cell in MONEY
    ]
    nameless = [(cell[0], cell[1] + '\ndata: str = ""') if cell[0] == "parameters" else cell for cell in nameless]
    written(tmp_path / "notebooks/reps.ipynb", nameless)
    for name in ("one", "two"):  # two companies, each in a folder of its own
        (tmp_path / name).mkdir()
        (tmp_path / name / "opportunities.csv").write_text(
            "opportunity_id,stage,outcome,amount,created_date,closed_date\na,Won,won,5,2025-01-02,2025-02-03\n"
        )
    said = {"as_of": "2025-03-31", "period": "2025Q1", "data": str(tmp_path / "one")}
    report.run([], tmp_path / "out/one", folder=tmp_path, parameters=said)
    report.run(
        [], tmp_path / "out/two", folder=tmp_path, parameters={"period": "2025Q2", "data": str(tmp_path / "two")}
    )
    found = json.loads((tmp_path / "out/two/findings.json").read_text("utf-8"))["since_the_last"]
    assert found == {"forecasts": [], "delivered": [], "changed": []}
    assert "Set company in salesforecast.toml" in text(tmp_path / "out/two/index.html")


def test_what_was_promised_and_what_was_delivered_are_read_off_the_same_finding():
    def rows(level):  # two findings speak of the same option; the dearer one is proposed
        dear, cheap = (
            Stake(9e5, 8e5, 1e6, lever="l", key="k", level=level),
            Stake(1e5, 0.0, 2e5, lever="l", key="k", level=-7e7),
        )
        return [said(dear), said(cheap, question="b")]

    ledger = entries(memory.Report("L", "", "2025Q1", "2025-01-31", "ab"), rows(-5e5))
    found = memory.delivered(ledger, rows(-2e5))
    assert found["delivered"].tolist() == [3e5]
    gone = [said(Stake(1.0, 0.0, 2.0, key="k", level=-1e5))]  # no longer proposed, and measured all the same
    assert memory.delivered(ledger, gone)["delivered"].tolist() == [4e5]


def test_a_report_that_stood_when_its_run_was_killed_is_remembered_by_the_next(project, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def put_and_die(*where):
        folders.put(*where)
        raise Killed

    out = tmp_path / "reports"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("salesforecast.report.bundle.put", put_and_die)
        report.run(["reps"], out / "2025Q1", folder=project, parameters={"period": "2025Q1", "as_of": "2025-03-31"})
    assert (out / "2025Q1/index.html").exists() and memory.read(out).empty
    report.run(["reps"], out / "2025Q2", folder=project, parameters={"period": "2025Q2"})
    assert set(memory.read(out)["period"]) == {"2025Q1", "2025Q2"}
    found = json.loads((out / "2025Q2/findings.json").read_text("utf-8"))["since_the_last"]
    assert {row["key"] for row in found["delivered"]} == {"ann", "hire"}


def test_two_reports_of_some_pages_each_keep_the_memory_of_both(project, tmp_path):
    written(tmp_path / "notebooks/a.ipynb", MONEY)
    written(tmp_path / "notebooks/b.ipynb", MONEY)
    for name in ("a", "b", "a"):
        report.run([name], tmp_path / "out" / name, folder=tmp_path)
    ledger = memory.read(tmp_path / "out")
    assert ledger["page"].value_counts().to_dict() == {"a": 6, "b": 6}
    (tmp_path / "out/a").rename(tmp_path / "out/z")
    report.run(["a"], tmp_path / "out/a", folder=tmp_path, parameters={"worth": 3e5})
    amounts = memory.read(tmp_path / "out").query("page == 'a' and kind == 'finding'")["amount"]
    assert amounts.max() == 3e5, "what is said last stays, whatever its folder is called"


def test_the_next_report_prints_promised_and_delivered_and_what_changed(made):
    found = json.loads((made[0] / "2025Q2/findings.json").read_text("utf-8"))["since_the_last"]
    (ann, hire) = sorted(found["delivered"], key=lambda row: row["key"])
    first = json.loads((made[0] / "2025Q1/findings.json").read_text("utf-8"))["recommendations"]
    assert ann["promised"] == next(r["promised"] for r in first if r["key"] == "ann")
    assert ann["delivered"] == 3e5, "the gap was half a million and is two hundred thousand"
    assert "delivered" not in hire, "the data cannot show it"
    page = text(made[0] / "2025Q2/index.html")
    assert "What became of former reports" in page and "not measured" in page and "31 March 2025" in page
    assert "What became of former reports" not in text(made[0] / "2025Q1/index.html")


def test_a_report_made_again_is_the_same_and_stands_once_in_the_ledger(made, project):
    out, *_ = made
    names = ["index.html", "findings.json", "tables.xlsx", "manifest.json"]
    before, ledger = [(out / "2025Q1" / n).read_bytes() for n in names], (out / "ledger.parquet").read_bytes()
    report.run([], out / "2025Q1", folder=project, parameters={"period": "2025Q1", "as_of": "2025-03-31"})
    assert [(out / "2025Q1" / n).read_bytes() for n in names] == before, "nothing of the later report is seen"
    assert (out / "ledger.parquet").read_bytes() == ledger


def test_former_forecasts_are_held_against_what_came():
    rows = [
        said(forecast=Forecast("2025Q1", 100.0, 80.0, 120.0)),
        said(forecast=Forecast("2025Q2", 50.0, 40.0, 60.0), question="b"),
    ]
    ledger = entries(memory.Report("L", "", "2025Q1", "2025-01-31", "ab"), rows)
    former = memory.former(ledger, memory.Report("L", "", "2025Q2", "2025-06-30", "cd"))
    kept = memory.kept_forecasts(former, {"2025Q1": 125.0})
    assert kept[["period", "actual", "held"]].to_numpy().tolist() == [["2025Q1", 125.0, False]]
    assert kept["off"].tolist() == [pytest.approx(-0.2)]
    assert memory.finding_forecasts(kept).startswith(
        "**0 of 1** range of former reports held, where 0.8 are to; the forecasts were off by 20%"
    )
    assert memory.former(ledger, memory.Report("L", "", "2025Q1", "2025-01-31", "ab")).empty, (
        "a report does not remember itself"
    )
    assert memory.former(ledger, memory.Report("Other", "", "2025Q2", "2025-06-30", "cd")).empty


def test_a_broken_ledger_stops_no_report(tmp_path):
    (tmp_path / "ledger.parquet").write_bytes(b"PAR1 no")
    assert memory.read(tmp_path).empty


def test_what_stands_where_the_ledger_should_is_set_aside_and_not_lost(tmp_path):
    (tmp_path / "ledger.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "2025Q1").mkdir()
    (tmp_path / "2025Q1/manifest.json").write_text("{}")
    found = writing._findings(
        memory.Report("L", "", "2025Q1", "2025-01-31", "ab"), [said()], {}, recommended(options([])), {}
    )
    (tmp_path / "2025Q1/findings.json").write_text(json.dumps(found))
    assert len(memory.settled(tmp_path)) == len(memory.read(tmp_path)) == 1
    assert (tmp_path / "ledger.parquet.unread").read_bytes() == b"PAR1 no"


def test_a_report_in_codes_remembers_none_that_tells_names():
    def of(as_of, codes):
        made = {"data": {"company": "L", "as_of": as_of}, "parameters": {"codes": str(codes)}}
        return writing._report({"reps": SimpleNamespace(head={"period": "2025Q1"}, made=made)}, {"reps": {}})

    ledger = entries(of("2025-01-31", False), [said(sentence="Ann loses.")])
    assert len(memory.former(ledger, of("2025-02-28", False))) == 1
    assert memory.former(ledger, of("2025-02-28", True)).empty
    coded = entries(of("2025-01-31", True), [said(sentence="Rep 1A2B3C loses.")])
    assert len(memory.former(coded, of("2025-02-28", True))) == 1


def test_names_of_frames_are_those_of_the_code():
    assert list(
        results._names("sf.show(f(x), c(x), room.table_scores(scores))\nsf.show('', table=room.deals(*both).head(5))")
    ) == ["scores", "deals"]
    assert list(results._names("with sf.section(:")) == []
