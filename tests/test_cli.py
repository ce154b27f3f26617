import json
import re
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT, SAMPLE
from salesforecast import cli
from salesforecast.report.declared import Parameter, given

DEALS = "opportunity_id,stage,outcome,amount,created_date,closed_date\na,Open,open,5,2025-01-02,\nb,Won,won,7,2025-01-03,2025-02-03\n"


def run(capsys, *args):
    code = cli.main([str(a) for a in args])
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["report", "--data", "{nowhere}", "--period", "2025Q1"], "does not exist. Give the folder that holds the exported files"),
        (["report", "--data", "{empty}", "--period", "2025Q1"], "holds no export"),
        (["report", "--data", "{good}", "--period", "2025Q7"], "'2025Q7' is no period. Write a quarter as 2025Q2"),
        (["report", "--data", "{good}", "--period", "2031Q1"], "2031Q1 begins on 2031-01-01, after the data end (2025-02-03)"),
        (["report", "funel", "--data", "{good}", "--period", "2025Q1"], "There is no notebook 'funel'. Did you mean 'funnel'?"),
        (["report", "--data", "{good}", "--period", "2025Q1", "-p", "regoin=North"], "There is no parameter 'regoin'. Did you mean 'region'?"),
        (["report", "--data", "{good}", "--period", "2025Q1", "-p", "region"], "-p 'region' is not of the form NAME=VALUE"),
        (["report", "--data", "{good}", "--period", "2025Q1", "--as-of", "June"], "as_of is 'June'; a day is written as 2025-06-30"),
        (["report", "--data", "{good}", "--period", "2025Q1", "--config", "{nowhere}"], "There is no config file"),
        (["report", "--data", "{good}", "--period", "2025Q1", "--jobs", "0"], "--jobs is 0; it is 1 or more"),
        (["report", "--data", "{good}", "--period", "2025Q1", "--each", "team"], "No deal has a team, so there is nothing to make a report for each of"),
        (["report", "--data", "{good}", "--period", "2025Q1", "-p", "team=North", "-p", "rep=Bo", "-p", "apart=9"],
         "There is no team 'North'. Known: none. There is no rep 'Bo'. Known: none. There is no owner '9' to set apart"),
        (["report", "--data", "{good}", "--period", "2025Q1", "-p", "grain=hourly"], "There is no grain 'hourly'. Known: daily, weekly, monthly, results."),
        (["report", "--data", "{good}", "--period", "2025Q1", "-p", "days=-3"], "Parameter 'days' is at least 1, not -3."),
        (["report", "--data", "{good}", "--period", "2025Q1", "-p", "by=colour"], "There is no column of the deals 'colour'. Known: opportunity_id, "),
        (["report", "--data", "{twins}", "--period", "2025Q1", "-p", "rep=Jo"], "Several reps are called 'Jo'. Say which: Jo (R1), Jo (R2)."),
        (["check", "{keyless}"], "the column for opportunity_id is missing"),
        (["check", "{blank}"], "opportunities.csv is empty"),
        (["sample", "{good}"], "exists and is not an empty folder"),
        (["sample", "{nowhere}", "--opportunities", "3"], "--opportunities is 3; it is between 100 and 2,000,000"),
        (["init", "{good}"], "exists and is not an empty folder"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message_with_the_fix_and_exit_code_2(capsys, tmp_path, monkeypatch, args, says):
    monkeypatch.chdir(tmp_path)
    for name, text in {"good": DEALS, "keyless": "stage,amount\nOpen,1\n", "blank": "", "empty": None}.items():
        (tmp_path / name).mkdir()
        if text is not None:
            (tmp_path / name / "opportunities.csv").write_text(text)
    (tmp_path / "twins").mkdir()
    twins = [line + f",{who}\n" for line, who in zip(DEALS.splitlines(), ("rep_id", "R1", "R2"), strict=True)]
    (tmp_path / "twins" / "opportunities.csv").write_text("".join(twins))
    (tmp_path / "twins" / "reps.csv").write_text("rep_id,rep\nR1,Jo\nR2,Jo\n")
    code, out, err = run(capsys, *[a.replace("{", str(tmp_path) + "/").replace("}", "") for a in args])
    assert code == 2
    assert says in err and err.startswith("salesforecast: ") and "Traceback" not in err
    assert err.count("\n") == 1 and out == ""
    assert not (tmp_path / "reports").exists(), "nothing is written"


def test_a_parameter_of_ones_own_notebook_may_mean_something_else_by_a_known_name():
    declared = {
        "mine": {"grain": Parameter(str, "fine", ""), "by": Parameter(str, "moon", ""), "days": Parameter(int, -1, "")}
    }
    values = {"grain": "coarse", "by": "sun", "days": -3}
    assert given(values, declared, ["team"]) == {"mine": values}


def test_check_says_what_was_read_cleaned_and_is_possible(capsys, tmp_path):
    code, out, _ = run(capsys, "check", SAMPLE, "--issues", tmp_path / "new" / "issues.csv")
    assert code == 0
    assert "Read as: salesforce. Company: Larkfield Instruments" in out and "Last record: 2025-06-30." in out
    assert "Opportunity.csv: opportunities, 6,000 rows" in out
    assert re.search(r"yes +stage conversion", out)
    assert (tmp_path / "new" / "issues.csv").read_text().startswith("table,row,column,rule,was,became,why,line\n")


def test_issues_written_for_a_spreadsheet_hold_no_formula(capsys, tmp_path):
    (tmp_path / "opportunities.csv").write_text(DEALS + "=HYPERLINK(1),Open,open,lots,2025-01-02,\n")
    run(capsys, "check", tmp_path, "--issues", tmp_path / "issues.txt")
    text = (tmp_path / "issues.txt").read_text()
    assert "HYPERLINK" in text and not re.search(r'(^|,)"?=', text, re.M)


def test_proposed_corrections_are_written_for_the_crm(capsys, tmp_path):
    run(capsys, "sample", tmp_path / "s", "--opportunities", 300, "--dirty")
    code, out, _ = run(capsys, "check", tmp_path / "s", "--fixes", tmp_path / "fixes.csv")
    head, *rows = (tmp_path / "fixes.csv").read_text("utf-8").splitlines()
    assert code == 0 and f"{len(rows)} proposed correction" in out and rows
    assert head.split(",") == ["table", "id", "column", "now", "proposed", "why", "confidence"]


def test_list_shows_each_parameter_with_its_default_and_purpose(capsys):
    code, out, _ = run(capsys, "list")
    assert code == 0 and "funnel\n" in out
    assert "-p period='2025Q2'  (str) the period reported" in out


def test_a_column_that_says_which_deals_were_merged_is_not_called_unused(capsys, tmp_path):
    head, *rows = DEALS.splitlines()
    lines = [f"{head},Merged Deal IDs,Colour", *(f"{row},,blue" for row in rows)]
    (tmp_path / "opportunities.csv").write_text("\n".join(lines) + "\n")
    code, out, _ = run(capsys, "check", tmp_path)
    assert code == 0 and "kept, and used by nothing: Colour\n" in out


def test_sample_and_init_give_what_check_and_report_can_use(capsys, tmp_path):
    assert run(capsys, "sample", tmp_path / "s", "--opportunities", 300, "--seed", 3, "--dirty")[0] == 0
    code, out, _ = run(capsys, "check", tmp_path / "s")
    assert code == 0 and "repeated id" in out
    assert run(capsys, "init", tmp_path / "p")[0] == 0
    assert (tmp_path / "p" / "notebooks" / "funnel.ipynb").exists()
    shutil.copy(tmp_path / "s" / "Opportunity.csv", tmp_path / "p" / "data")
    assert run(capsys, "check", tmp_path / "p" / "data")[0] == 0, "the commented salesforecast.toml is valid as it is"


def test_a_report_from_end_to_end_twice_gives_the_same_bytes(tmp_path):
    def report(out):
        done = subprocess.run(
            [sys.executable, "-m", "salesforecast.cli", "report", "funnel", "--data", str(SAMPLE), "--period", "2025-05",
             "--out", str(out), "-p", "team=North"],
            capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        # timing.json says how long it took: it alone differs
        return {
            f.relative_to(out): f.read_bytes()
            for f in sorted(out.rglob("*"))
            if f.is_file() and f.name != "timing.json"
        }

    one, two = report(tmp_path / "a"), report(tmp_path / "b")
    assert {str(p) for p in one} >= {
        "index.html",
        "funnel.html",
        "manifest.json",
        "tables.xlsx",
        "results/funnel-metrics.parquet",
    }
    assert one == two
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    assert "funnel" in json.dumps(manifest) and str(tmp_path) not in json.dumps(manifest)


def test_check_lists_each_header_with_its_column_and_says_what_is_only_assumed(capsys, tmp_path):
    rows = [row.split(",") for row in DEALS.splitlines()]
    rows[0] = ["Deal ID", "stage", "outcome", "Value", "created_date", "closed_date"]
    (tmp_path / "deals.csv").write_text(
        "\n".join(",".join([*row, "x"]) for row in rows).replace("closed_date,x", "closed_date,Colour") + "\n"
    )
    config = '[opportunities]\nfiles = ["deals.csv"]\n[opportunities.columns]\nopportunity_id = "Deal ID"\namount = "Value"\n'
    config += "".join(f'{column} = "{column}"\n' for column in ("stage", "outcome", "created_date", "closed_date"))
    (tmp_path / "salesforecast.toml").write_text(config)
    code, out, _ = run(capsys, "check", tmp_path)
    assert code == 0
    assert "Company: not named, set company in salesforecast.toml. Currency: $ is assumed, set currency" in out
    assert 'read as: opportunity_id = "Deal ID", stage, outcome, amount = "Value", created_date, closed_date\n' in out
    assert "kept, and used by nothing: Colour\n" in out
    assert "no   how soon leads are answered (leads: first_response_at): add the leads\n" in out
    assert "yes  lost value (opportunities: closed_date, amount)\n" in out
    (tmp_path / "salesforecast.toml").write_text('currency = "EUR"\n' + config)
    assert "Currency: EUR.\n" in run(capsys, "check", tmp_path)[1]
