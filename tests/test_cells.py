from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from salesforecast import cards
from salesforecast import cells as show
from salesforecast import text as texts
from salesforecast.errors import DataError, MissingTable, TooLittleData
from salesforecast.page import finding as as_html
from salesforecast.tables import Crm, Settings

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "**Ann**",
    "[click](javascript:alert(1))",
    "![x](https://evil.example/x.png)",
    "https://evil.example www.evil.example a@evil.example",
    "`code` ~~gone~~ _it_ $x^2$ | a",
    "&lt;b&gt; & co",
    r"back\slash \* \\",
    "# heading",
    "- list",
    "1. list",
    "line\nbreak\n\n    code",
]
QUARTER = SimpleNamespace(label="2025Q2", since=pd.Timestamp("2025-04-01"), until=pd.Timestamp("2025-07-01"))


@pytest.fixture(autouse=True)
def shell():
    shell = InteractiveShell.instance()
    shell.user_ns["sf"] = show
    shell.user_ns["errors"] = SimpleNamespace(TooLittleData=TooLittleData, DataError=DataError)
    yield shell
    InteractiveShell.clear_instance()


def displayed(shell, code):
    """The displays of a cell: role, data, and whether it updates an earlier one."""
    with capture_output() as captured:
        result = shell.run_cell(code, store_history=True)
    outputs = [
        SimpleNamespace(
            role=o.metadata["salesforecast"]["role"], about=o.metadata["salesforecast"], data=o.data, update=o.update
        )
        for o in captured.outputs
    ]
    assert captured.stdout == "" or result.error_in_exec is not None
    return outputs, result.error_in_exec


def crm(as_of="2025-06-08", **settings):
    return Crm({}, pd.Timestamp(as_of), Settings(**settings), digest="ab12" * 16)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_name_is_shown_as_it_is_whatever_markup_it_holds(text):
    html = as_html(f"**{texts.md(text)}** wins")
    assert html.unescape() == f"<strong>{texts.clean(text)}</strong> wins"
    assert html.count("<") == 2


@pytest.mark.parametrize("text", HOSTILE)
def test_a_screen_reader_reads_a_name_as_it_is(text):
    assert texts.plain(f"**{texts.md(text)}** wins") == f"{texts.clean(text)} wins"


def test_a_name_cannot_turn_the_reading_direction_of_what_follows():
    assert "\u202e" not in texts.md("Ann\u202e55%")
    assert texts.md("مریم") == "\u2068مریم\u2069"


def test_a_finding_needs_no_escaping_of_its_amounts_and_lets_no_html_in(shell):
    (finding,), _ = displayed(shell, "sf.show('From $1M to $2M, <b>up</b>')")
    assert finding.data["text/markdown"] == r"From \$1M to \$2M, &lt;b>up&lt;/b>"
    assert finding.data["text/plain"] == "From $1M to $2M, <b>up</b>"


@pytest.mark.parametrize(
    ("as_of", "words"),
    [
        ("2025-04-01", "1 April to 30 June 2025. As of Tuesday 1 April, day 1 of 91."),
        ("2025-06-08", "1 April to 30 June 2025. As of Sunday 8 June, day 69 of 91."),
        ("2025-06-30", "1 April to 30 June 2025. As of Monday 30 June; the period is complete."),
        ("2026-01-02", "1 April to 30 June 2025. As of Friday 2 January 2026; the period is complete."),
        ("2025-03-31", "1 April to 30 June 2025. As of Monday 31 March, before it begins."),
    ],
)
def test_dates_are_said_in_words(as_of, words):
    assert texts.dates_in_words(QUARTER, pd.Timestamp(as_of)) == words


def test_a_period_over_two_years_names_both():
    season = SimpleNamespace(label="S", since=pd.Timestamp("2024-11-01"), until=pd.Timestamp("2025-02-01"))
    assert texts.dates_in_words(season, pd.Timestamp("2024-12-31")).startswith(
        "1 November 2024 to 31 January 2025. As of Tuesday 31 December 2024, day 61 of 92."
    )


def test_finding_chart_and_table_are_displayed_in_this_order_each_with_its_role(shell):
    shell.user_ns["frame"] = pd.DataFrame({"rep": ["Ann", "Bo"], "n": [1, 2]})
    outputs, error = displayed(
        shell,
        "import altair as alt\n"
        "chart = alt.Chart(frame).mark_bar().encode(x='n:Q', y='rep:N')\n"
        "sf.show('**Bo** leads.', chart, frame, note='Counted.')",
    )
    assert error is None
    assert [o.role for o in outputs] == ["finding", "chart", "table", "note"]
    finding, chart, table, note = outputs
    assert finding.data == {"text/markdown": "**Bo** leads.", "text/plain": "Bo leads."}
    assert chart.about["finding"] == "Bo leads."
    assert chart.data["application/vnd.vegalite.v5+json"]["mark"]
    assert table.about["rows"] == 2
    assert "<td" in table.data["text/html"]
    assert table.data["text/plain"] == "Table, 2 rows."
    assert note.data["text/plain"] == "Counted."


def test_of_a_long_table_the_first_rows_are_shown_and_the_rest_is_counted(shell):
    shell.user_ns["frame"] = pd.DataFrame({"rep": [f"r{i}" for i in range(1234)], "n": range(1234)})
    (_, table), _ = displayed(shell, "sf.show('Long.', table=frame)")
    assert table.about["rows"] == 1234
    assert "r199<" in table.data["text/html"]
    assert "r200<" not in table.data["text/html"]
    assert "The first 200 of 1,234 rows." in table.data["text/html"]


def test_a_section_says_why_it_cannot_say(shell):
    outputs, error = displayed(shell, "with sf.section():\n    raise errors.TooLittleData('Needs <60> *more* deals.')")
    assert error is None
    assert [o.role for o in outputs] == ["unsaid"]
    assert outputs[0].data["text/plain"] == "Needs <60> *more* deals."
    assert as_html(outputs[0].data["text/markdown"]) == "Needs &lt;60&gt; *more* deals."
    assert outputs[0].about["kind"] == "TooLittleData"


def test_a_section_that_rests_on_a_refused_one_is_refused_for_the_same_reason(shell):
    displayed(shell, "sf.in_short()")
    code = "with sf.section():\n    raise errors.TooLittleData('Needs 60 more deals.')\nwith sf.section():\n    sf.show(made_there)"
    outputs, error = displayed(shell, code)
    assert error is None
    assert [o.data["text/plain"] for o in outputs if o.role == "unsaid"] == ["Needs 60 more deals."] * 2


@pytest.mark.parametrize("wrong", ["1 / 0", "raise errors.DataError('wrong')", "{}['x']"])
def test_a_section_hides_no_mistake(shell, wrong):
    outputs, error = displayed(shell, f"with sf.section():\n    {wrong}")
    assert error is not None
    assert not outputs


def test_what_could_not_be_said_is_remembered_once(shell):
    displayed(shell, "sf.in_short()")
    assert "could be answered" in displayed(shell, "sf.unsaid()")[0][0].data["text/plain"]
    for question in ("a", "b"):
        displayed(shell, f"with sf.section():  # {question}\n    raise errors.TooLittleData('Needs more.')")
    displayed(shell, "with sf.section():\n    raise errors.TooLittleData('Needs spend.')")
    assert displayed(shell, "sf.unsaid()")[0][0].data["text/markdown"] == "- Needs more.\n- Needs spend."


def test_the_list_of_findings_grows_and_a_cell_run_again_replaces_its_own(shell):
    def listed(code):
        return [o.data["text/markdown"] for o in displayed(shell, code)[0] if o.role == "in_short"][-1]

    assert "stand here when" in listed("sf.in_short()")
    shell.user_ns["one"] = "First."
    assert listed("sf.show(one)") == "- First."
    assert listed("sf.show('Second.'); sf.show('Third.')") == "- First.\n- Second.\n- Third."
    shell.user_ns["one"] = "First, mended."
    assert listed("sf.show(one)") == "- First, mended.\n- Second.\n- Third."
    assert "stand here when" in listed("sf.in_short()")


def test_a_cell_that_can_no_longer_say_takes_its_finding_back(shell):
    displayed(shell, "sf.in_short()")
    cell = "with sf.section():\n    sf.show(found())"
    shell.user_ns["found"] = lambda: "Found."
    displayed(shell, cell)
    displayed(shell, "sf.show('Other.')")

    def found():
        raise MissingTable("Add spend.")

    shell.user_ns["found"] = found
    outputs, _ = displayed(shell, cell)
    assert outputs[-1].data["text/markdown"] == "- Other."
    assert displayed(shell, "sf.unsaid()")[0][0].data["text/markdown"] == "- Add spend."


def test_the_head_names_company_period_and_dates(shell):
    shell.user_ns.update(crm=crm(company="A & <B>"), quarter=QUARTER)
    (head,), _ = displayed(shell, "sf.head(crm, quarter)")
    assert head.about["company"] == "A & <B>"
    assert head.data["text/plain"].startswith("A & <B>. 2025Q2: 1 April to 30 June 2025.")


def test_what_differs_between_machines_is_not_in_the_visible_output(shell):
    shell.user_ns.update(crm=crm())
    (made,), _ = displayed(shell, "sf.made(crm, period='2025Q2', region='')")
    assert made.about["versions"]["pandas"] == pd.__version__
    assert pd.__version__ not in str(made.data)
    assert "ab12" * 16 in made.data["text/plain"]
    assert "period 2025Q2, region empty" in made.data["text/plain"]
    assert made.about["parameters"] == {"period": "2025Q2", "region": ""}


def test_cards_escape_what_they_show_and_hide_the_line_from_screen_readers():
    card = cards.Card("<b>Bookings", "$3.12M", ("<i>x", "y"), (("vs <2024>", "+6%", True),), (1, 2, float("nan"), 4, 3))
    html = cards.Cards([card], note="<u>")._repr_html_()
    assert "<b>B" not in html
    assert "<i>x" not in html
    assert "<2024>" not in html
    assert "<u>" not in html
    assert 'aria-hidden="true"' in html
    assert html.count("<polyline") == 2  # a missing value leaves a gap
    assert 'class="now"' in html


def test_a_line_of_a_card_that_says_nothing_is_not_there():
    assert "<br>" not in cards.Cards([cards.Card("Booked", "$3", ("the period is over", ""))])._repr_html_()


def test_a_ring_stands_a_year_before_the_dot():
    html = cards._spark(cards.Card("x", "1", spark=(0.0, 1.0, 2.0, 3.0, 4.0)))
    assert '<circle class="ago" cx="4.0" cy="34.0"' in html
    assert '<circle class="now" cx="194.0" cy="4.0"' in html


@pytest.mark.parametrize(
    ("value", "html"), [("47 days", "47 <small>days</small>"), ("$3.12M", "$3.12M"), ("A & B", "A &amp; B")]
)
def test_the_unit_of_a_figure_is_small(value, html):
    assert f'<td class="value">{html}</td>' in cards.Cards([cards.Card("x", value)])._repr_html_()
