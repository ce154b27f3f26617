"""JupyterLab on the analyst's own copies, driven in a real browser."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

import browser
import pytest

from conftest import ROOT, SAMPLE
from salesforecast import cli, lab, report


def test_the_copies_hold_the_analysts_data_and_are_not_written_over(tmp_path):
    copied = lab.prepare(tmp_path / "mine", data='C:\\data "here"', period="2024Q4")
    assert copied == list(report.notebooks())
    assert lab.prepare(tmp_path / "mine", data="elsewhere") == []
    found = report.parameters(tmp_path / "mine" / "funnel.ipynb")
    assert (found["data"].default, found["period"].default) == ('C:\\data "here"', "2024Q4")
    outputs = [c.get("outputs") for c in json.loads((tmp_path / "mine" / "funnel.ipynb").read_text("utf-8"))["cells"]]
    assert not any(outputs), "results on the sample must not pass for results on her data"


def test_a_file_in_place_of_the_folder_is_said(tmp_path, capsys):
    (tmp_path / "mine").write_text("")
    assert cli.main(["lab", str(SAMPLE), "--in", str(tmp_path / "mine")]) == 2
    assert "is a file; name a folder for your copies" in capsys.readouterr().err


def free_port():
    """A port that nobody listens at now; JupyterLab takes the next one, should that have changed."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of a JupyterLab that `salesforecast lab` has started on the sample."""
    folder = tmp_path_factory.mktemp("lab")
    settings = {"ServerApp": {"allow_root": True}, "LabApp": {"expose_app_in_browser": True}}
    (folder / "config").mkdir()
    (folder / "config" / "jupyter_lab_config.json").write_text(json.dumps(settings), "utf-8")
    command = [sys.executable, "-m", "salesforecast.cli", "lab", str(SAMPLE), "--in", str(folder / "mine")]
    kept = {"PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(folder / "config")}
    kept |= {"JUPYTER_DATA_DIR": str(folder / "data"), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    log = folder / "log.txt"
    with log.open("wb") as to:
        process = subprocess.Popen(
            [*command, "--no-browser", f"--port={free_port()}"],
            cwd=folder,
            env={**os.environ, **kept},
            stdout=to,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + 120
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/lab\?token=\w+", log.read_text("utf-8"))):
            assert process.poll() is None and time.monotonic() < end, log.read_text("utf-8")
            time.sleep(0.2)
        yield found[0]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


DRAWN = "document.querySelectorAll('.jp-RenderedVegaCommon5 .vega-embed .marks').length"  # the menu of each has a drawing too

NOTEBOOK = "[...window.jupyterapp.shell.widgets('main')].find(one => one.context?.path === 'data_quality.ipynb')"


@browser.needed
@pytest.mark.parametrize("dark", [False, True])
def test_jupyterlab_draws_the_charts_of_a_notebook_without_a_network(address, tmp_path, dark):
    base, token = re.fullmatch(r"(http://[^/]+)/lab\?token=(\w+)", address).groups()
    charts = (ROOT / "notebooks" / "data_quality.ipynb").read_text("utf-8").count('"application/vnd.vegalite.v5+json"')
    assert charts >= 2
    with browser.tab(tmp_path) as tab:
        tab.open(f"{base}/lab/tree/data_quality.ipynb?token={token}", height=9000)
        tab.until("!!window.jupyterapp && document.querySelectorAll('.jp-Notebook .jp-Cell').length > 10", 120)
        # without its kernel, or when it is not the one in front, a notebook runs nothing and says nothing
        tab.until(f"{NOTEBOOK}?.sessionContext?.session?.kernel?.status === 'idle'", 120)
        tab.run(f"window.jupyterapp.shell.activateById({NOTEBOOK}.id)")
        tab.until(f"window.jupyterapp.shell.currentWidget === {NOTEBOOK}")
        theme = f"JupyterLab {'Dark' if dark else 'Light'}"
        tab.run(f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: '{theme}'}}).then(() => 1)")
        tab.run("window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => 1)")
        tab.until(f"{DRAWN} === {charts}", 120)
        page = tab.run("document.querySelector('.jp-Notebook').innerText")
        assert "Traceback" not in page
        assert "Every analysis is possible with these data." in page
        assert tab.run("document.querySelectorAll('.jp-RenderedHTMLCommon table').length") >= 3
        assert tab.run("document.body.dataset.jpThemeLight") == str(not dark).lower()


def test_the_playground_runs_on_data_without_teams_and_segments(tmp_path, write):
    rows = "".join(f"{i},Won,won,{100 + i},2024-{i % 12 + 1:02}-01,2025-02-{i % 28 + 1:02}\n" for i in range(60))
    where = write(opportunities="opportunity_id,stage,outcome,amount,created_date,closed_date\n" + rows)
    said = {"data": str(where), "period": "2025Q1"}
    (outcome,) = report.run(["playground"], tmp_path / "out", parameters=said)
    assert outcome.status == "ok", outcome.error
    assert "This needs the team, region, product or rep of each deal" in (tmp_path / "out/playground.html").read_text(
        "utf-8"
    )


def test_a_part_of_the_company_is_taken_from_its_data(sample):
    (column, value), = sample.part().items()  # fmt: skip
    assert column == "team" and (sample.deals["team"] == value).sum() == sample.deals["team"].value_counts().max()
    assert sample.part("South") == {"team": "South"}
    without = replace(sample, tables={n: t for n, t in sample.tables.items() if n != "reps"})
    assert list(without.part()) == ["product"]
