"""Labels and figures in the languages of the readers; sentences stay English, with English figures."""

import ast
import json
import re
import tomllib

import pandas as pd
import pytest

from salesforecast import columns, formats, style, words
from salesforecast.cards import Card, Cards
from salesforecast.errors import SettingError
from salesforecast.report import summary

LANGUAGES = ["fa", "hu", "nb", "uk", "zh"]


def written(tag, say, *values, **options):
    words.use(tag)
    with words.labels():
        return say(*values, **options).replace("\u00a0", " ")


def test_there_are_the_six_languages_and_an_unknown_one_is_refused():
    assert words.languages() == sorted(["en", *LANGUAGES])
    with pytest.raises(SettingError, match="no locale 'hx'.*Known: en, fa, hu"):
        words.language("hx")


@pytest.mark.parametrize(
    ("tag", "meant"),
    [
        ("en", ["€4.72M", "€548k", "−CHF 1,240", "31%", "30% to 50%", "8 Jun 2025", "12,345", "3.9 days"]),
        ("hu", ["4,72 millió €", "548 E €", "−1 240 CHF", "31%", "30% – 50%", "2025. jún. 8.", "12 345", "3,9 nap"]),
        ("nb", ["4,72 mill. €", "548 k €", "−1 240 CHF", "31 %", "30 % – 50 %", "8. juni 2025", "12 345", "3,9 dager"]),
        ("uk", ["4,72 млн €", "548 тис. €", "−1 240 CHF", "31%", "30% – 50%", "8 черв. 2025", "12 345", "3,9 дн."]),
        ("zh", ["€472万", "€54.8万", "−CHF 1,240", "31%", "30% 至 50%", "2025年6月8日", "12,345", "3.9 天"]),
        ("fa", ["۴٫۷۲ میلیون €", "۵۴۸ هزار €", "−۱٬۲۴۰ CHF", "۳۱٪", "۳۰٪ تا ۵۰٪", "۸ ژوئن ۲۰۲۵", "۱۲٬۳۴۵", "۳٫۹ روز"]),
    ],
)
def test_figures_dates_and_amounts_are_written_as_the_language_does(tag, meant):
    said = [
        written(tag, formats.money, 4_718_200, "€"),
        written(tag, formats.money, 548_000, "€", short=True),
        written(tag, formats.money, -1240, "CHF"),
        written(tag, formats.percent, 0.312),
        written(tag, formats.between, 0.3, 0.5, ".0%"),
        written(tag, formats.day, "2025-06-08"),
        written(tag, formats.count, 12345),
        written(tag, formats.duration, 3.87),
    ]
    assert [re.sub("[\u200e\u2067\u2069]", "", text) for text in said] == meant


@pytest.mark.parametrize("tag", LANGUAGES)
def test_a_sentence_keeps_its_english_figures(tag):
    words.use(tag)
    assert f"{formats.money(4_718_200)} at {formats.percent(0.312)}" == "$4.72M at 31%"


@pytest.mark.parametrize("tag", LANGUAGES)
def test_a_table_is_headed_and_filled_in_the_language_and_still_sorts(tag):
    words.use(tag)
    frame = pd.DataFrame({"rep": ["Ann"], "won": [1234], "win_rate": [0.53], "lower": [0.37], "upper": [0.68]})
    table = style.table(frame)
    language = words.language(tag)
    assert language.words["Win rate"] in table
    assert "Win rate" not in table
    assert f' data-sort="1234">{language.figures("1,234")}</td>' in table
    assert f"{language.words['interval']}</th>" in table


def test_the_sign_of_an_amount_stands_before_it_in_both_directions():
    words.use("fa")
    with words.labels():
        assert formats.change(0.06) == "\u200e+۶٪"
        assert formats.money(-1240, "€") == "\u2067\u200e−۱٬۲۴۰\u00a0€\u2069"


@pytest.mark.parametrize(
    ("text", "meant"),
    [("$68.9 thousand", "68,9 ezer $"), ("31%", "31%"), ("−5 points", "−5 pont"), ("101 days", "101 nap"),
     ("976", "976"), ("no change", "nincs változás"), ("vs last year", "vs last year"), ("$4.72M", "4,72 millió $")],
)  # fmt: skip
def test_the_figure_of_a_card_is_written_anew_in_the_language(text, meant):
    words.use("hu")
    assert formats.label(text).replace("\u00a0", " ") == meant
    assert meant.split()[0] in Cards([Card("Win rate", text)])._repr_html_()


def test_an_axis_and_the_words_beside_marks_are_in_the_language():
    words.use("fa")
    frame = pd.DataFrame({"rep": ["Ann", "Bo"], "win_rate": [0.2, 0.4], "lower": [0.1, 0.3], "upper": [0.3, 0.5]})
    drawn = str(style.spec(style.dots(frame, "win_rate", "rep", title="Win rate", subtitle="Won of closed")))
    assert "۲۰٪" in drawn
    assert "20%" not in drawn


@pytest.mark.parametrize("tag", LANGUAGES)
def test_every_language_has_the_same_labels_with_the_same_places_to_fill(tag):
    of = {t: tomllib.loads((words.HERE / f"{t}.toml").read_text("utf-8"))["words"] for t in LANGUAGES}
    assert set(of[tag]) == set.union(*map(set, of.values()))
    for english, own in of[tag].items():
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", own)), english
        assert own.strip()
        assert "<" not in own


@pytest.mark.parametrize("tag", LANGUAGES)
def test_every_header_of_a_known_column_has_its_word(tag):
    known = words.language(tag).words
    wanted = {c.header for c in columns.COLUMNS.values()} | {c.unit for c in columns.COLUMNS.values()}
    assert {w for w in wanted if w and w not in {"%", "×"}} - set(known) == set()


TEMPLATES = sorted((words.HERE.parent / "page").glob("*.j2"))
PATHS = {"SHA-256", "tables.xlsx", "findings.json", "manifest.json", "results"}  # the same in every language


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_fixed_label_of_a_page_is_asked_for_in_its_language(path):
    template = path.read_text("utf-8")
    plain = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", template, flags=re.DOTALL)
    left = " ".join(re.sub(r"<[^>]*>", " ", plain).split())
    assert re.findall(r"[^\W\d_]{2,}", re.sub("|".join(map(re.escape, PATHS)), "", left)) == []
    assert not re.search(r'(aria-label|placeholder|title|alt)="[^"{]*[a-z]', template)
    listed = re.search(r"columns\(\[(.*?)\]\)", template)
    asked = set(re.findall(r'\bt\("([^"]+)"\)', template)) | set(re.findall('"([^"]+)"', listed[1] if listed else ""))
    assert asked or "base" in path.name
    for tag in LANGUAGES:
        assert asked - set(words.language(tag).words) == set(), tag


@pytest.mark.parametrize("tag", LANGUAGES)
def test_what_notebooks_share_has_its_words(tag):
    """Headings that stand in more than one notebook, and the names of the pages."""
    heads, seen = set(), set()
    for path in sorted((words.HERE.parent.parent / "notebooks").glob("*.ipynb")):
        nb = json.loads(path.read_text("utf-8"))
        own = {
            m
            for c in nb["cells"]
            if c["cell_type"] == "markdown"
            for m in re.findall(r"(?m)^#+ (.*)$", "".join(c["source"]))
        }
        heads |= (own & seen) | {nb["metadata"]["salesforecast"]["nav"]}
        seen |= own
    assert "In short" in heads
    assert heads - set(words.language(tag).words) == set()


def test_every_label_is_asked_for_somewhere():
    """A literal or a keyword of the package, as it is or as the header of the column it names, or a title of a notebook."""
    root, labels = words.HERE.parent, set(words.language("hu").words)
    asked = {c.header for c in columns.COLUMNS.values()} | {c.unit for c in columns.COLUMNS.values()}
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = node.arg if isinstance(node, ast.keyword) else getattr(node, "value", None)
            if isinstance(name, str):
                asked |= {name, columns.column(name).header}
    for path in [*root.rglob("*.j2"), *root.rglob("*.js")]:
        text = path.read_text("utf-8")
        asked |= {label for label in labels if f'"{label}"' in text}
    for path in (root.parent / "notebooks").glob("*.ipynb"):
        nb = json.loads(path.read_text("utf-8"))
        told = "\n".join("".join(c["source"]) for c in nb["cells"] if c["cell_type"] == "markdown")
        asked |= {nb["metadata"]["salesforecast"]["nav"], *re.findall(r"(?m)^#+ (.*)$", told)}
    assert sorted(labels - asked) == []


@pytest.mark.parametrize(
    ("tag", "meant"),
    [("en", ["0.52 to 1.10M", "35 to 237k", "0 to 950"]), ("zh", ["52 至 110万", "3 至 24万", "0 至 950"]),
     ("fa", ["۰٫۵۲ تا ۱٫۱۰ میلیون", "۳۵ تا ۲۳۷ هزار", "۰ تا ۹۵۰"])],
)  # fmt: skip
def test_the_range_of_a_stake_is_written_as_the_language_does(tag, meant):
    assert [written(tag, summary.spread, *ends) for ends in ((520e3, 1.1e6), (34_600, 237_000), (0, 950))] == meant
