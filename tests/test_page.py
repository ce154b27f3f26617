"""What a reader does with a page: points at a mark, picks a name, filters a table, reads it in another script."""

import json

import browser
import nbformat
import pandas as pd
import pytest

from salesforecast import style, words
from salesforecast.page import PageExporter, content, finding, markdown

NAMES = [f"Rep {i:02}" for i in range(1, 15)] + ["<b>آرش</b>"]


@pytest.fixture(scope="module", params=["en", "fa"])
def page(request, tmp_path_factory):
    """A page with a chart and a table of fifteen names, and its language."""
    words.use(request.param)
    frame = pd.DataFrame({"rep": NAMES, "n": range(40, 55), "win_rate": [i / 20 for i in range(1, 16)]})
    chart = style.spec(style.dots(frame, "win_rate", "rep", title="Win rate by rep", subtitle="Won of closed"))
    shown = [
        ("head", {"text/markdown": "x"}, {"period": "2025Q2", "dates": "April", "locale": request.param}),
        ("finding", {"text/markdown": "**Rep 14** wins 70% of 53."}, {}),
        ("chart", {"application/vnd.vegalite.v5+json": chart, "text/plain": "chart"}, {"finding": "Rep 14 wins"}),
        ("table", {"text/html": style.table(frame)}, {"rows": len(frame)}),
        ("finding", {"text/markdown": "The others cannot be told apart."}, {}),
    ]
    words.use("en")
    outputs = [
        nbformat.v4.new_output("display_data", data, metadata={"salesforecast": {"role": role, **about}})
        for role, data, about in shown
    ]
    nb = nbformat.v4.new_notebook()
    nb.cells = [
        nbformat.v4.new_markdown_cell("# Funnel"),
        nbformat.v4.new_code_cell("1", outputs=outputs[:1]),
        nbformat.v4.new_markdown_cell("## Who wins?\n\nWon of closed."),
        nbformat.v4.new_code_cell("2", outputs=outputs[1:]),
    ]
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(PageExporter().from_notebook_node(nb)[0], "utf-8")
    return path, request.param


@pytest.fixture
def tab(page, tmp_path):
    with browser.tab(tmp_path) as tab:
        tab.open(page[0].as_uri())
        tab.until("'ready' in document.documentElement.dataset")
        tab.run("for (const row of document.querySelectorAll('details')) row.open = true")
        yield tab
        assert tab.complaints == []


def dot(tab, row):
    """Where the dot of a row is, in the window."""
    tab.run("document.querySelector('.chart').scrollIntoView({block: 'start'})")
    return tab.run(
        f"(() => {{ const b = document.querySelectorAll('.chart .mark-symbol path')[{row}].getBoundingClientRect();"
        "return [b.x + b.width / 2, b.y + b.height / 2] })()"
    )


@browser.needed
def test_a_mark_says_what_it_is_and_a_name_from_the_crm_stays_text(tab):
    tab.move(*dot(tab, 14))
    said = tab.run("document.querySelector('.tip').innerText")
    assert "<b>آرش</b>" in said
    assert tab.run("document.querySelectorAll('.tip b').length") == 0
    tab.move(2, 2)
    assert tab.run("document.querySelector('.tip').hidden")


@browser.needed
def test_a_click_on_a_mark_picks_its_name_in_charts_and_tables_and_escape_lets_go(tab):
    count = "[document.querySelectorAll('.chart .mark-symbol .faded').length, document.querySelectorAll('tr.picked').length]"
    assert tab.run(count) == [0, 0]
    tab.move(*dot(tab, 3), click=True)
    assert tab.run(count) == [14, 1]
    assert tab.run("document.querySelector('tr.picked th').textContent") == "Rep 04"
    tab.key("Escape")
    assert tab.run(count) == [0, 0]


@browser.needed
def test_a_long_table_shows_only_the_rows_with_the_words_typed(tab):
    tab.run("{const f = document.querySelector('.filter'); f.value = 'rep 14'; f.dispatchEvent(new Event('input'))}")
    assert tab.run("[...document.querySelectorAll('tbody tr')].filter(row => !row.hidden).length") == 1
    assert tab.run("document.querySelector('.filtering output').textContent") == "1 / 15"


@browser.needed
def test_figures_sort_as_figures_in_every_script(tab):
    tab.run("document.querySelectorAll('thead .sort')[1].click()")
    names = tab.run("[...document.querySelectorAll('tbody tr')].map(row => row.firstElementChild.textContent)")
    assert names == NAMES[::-1]


@browser.needed
def test_a_page_in_persian_runs_from_right_to_left_and_its_sentences_from_left_to_right(page, tab):
    rtl = page[1] == "fa"
    assert tab.run("getComputedStyle(document.body).direction") == ("rtl" if rtl else "ltr")
    assert tab.run("document.documentElement.lang") == page[1]
    assert tab.run("getComputedStyle(document.querySelector('.finding')).direction") == "ltr"
    assert tab.run("document.querySelector('h1').textContent") == ("قیف فروش" if rtl else "Funnel")
    heads = json.dumps(
        tab.run("[...document.querySelectorAll('thead th b')].map(b => b.textContent)"), ensure_ascii=False
    )
    assert ("نرخ برد" in heads) is rtl
    at = "(name => document.querySelector(name).getBoundingClientRect().x)"
    assert (tab.run(f"{at}('.company')") > tab.run(f"{at}('.top ul')")) is rtl


@browser.needed
@pytest.mark.parametrize(("width", "dark"), [(1280, True), (390, False), (390, True)])
def test_dark_and_phone_hold_the_whole_page(page, tmp_path, width, dark):
    with browser.tab(tmp_path) as tab:
        tab.open(page[0].as_uri(), width=width, dark=dark)
        tab.until("'ready' in document.documentElement.dataset")
        assert tab.complaints == []
        assert tab.run("document.documentElement.scrollWidth") <= width
        ground = tab.run("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(21, 24, 28)" if dark else "rgb(255, 255, 255)")
        assert tab.run("document.querySelectorAll('.chart svg').length") == 1


@browser.needed
def test_a_sentence_without_a_figure_of_its_own_stands_in_the_margin_beside_the_figure(page, tmp_path):
    assert page[0].read_text("utf-8").count('class="finding"') == 1
    place = "(name => document.querySelector(name).getBoundingClientRect())"
    with browser.tab(tmp_path) as tab:
        for width, beside in ((1280, True), (390, False)):
            tab.open(page[0].as_uri(), width=width)
            tab.until("'ready' in document.documentElement.dataset")
            assert "cannot be told apart" in tab.run("document.querySelector('.aside').textContent")
            figure, margin = (f"{place}('{name}')" for name in (".figure", ".aside"))
            assert tab.run(f"{margin}.y < {figure}.bottom") is beside
            if not beside:
                assert tab.run(f"{margin}.y >= {figure}.bottom") and tab.run(f"{margin}.right <= {width}")


@pytest.mark.parametrize("amount", ["−\\$77 thousand", "−€77 thousand"])
def test_a_minus_stays_with_its_currency_when_the_line_breaks(amount):
    for shown in (finding(f"The mix made {amount}."), markdown(f"The mix made {amount}.")):
        assert "−\u2060" in shown
    assert "\u2060" not in finding("It fell by −7 points.")


def test_a_name_in_a_caption_does_not_turn_the_words_after_it():
    spec = {"title": {"text": "\u202eevil leads", "subtitle": ["Share", "won"]}}
    nb = nbformat.v4.new_notebook()
    output = nbformat.v4.new_output("display_data", {"application/vnd.vegalite.v5+json": spec, "text/plain": "x"})
    nb.cells = [nbformat.v4.new_code_cell("1", outputs=[output])]
    (chart,) = content(nb).opening.blocks[0].charts
    assert (chart.title, chart.subtitle) == ("evil leads", "Share won")
